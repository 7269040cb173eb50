// SPDX-License-Identifier: Apache-2.0
// From a temporary file to the folder's next generation.
#include "writer.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

static int compare_entries(const void *left, const void *right)
{
    const struct segue_pack_entry *a = left;
    const struct segue_pack_entry *b = right;
    return memcmp(&a->key, &b->key, sizeof(a->key));
}

static int compare_sources(const void *left, const void *right)
{
    const struct segue_pack_source *a = left;
    const struct segue_pack_source *b = right;
    return memcmp(&a->identity, &b->identity, sizeof(a->identity));
}

/** Sorts the sources and drops all but one of each identity. */
static void settle_sources(struct segue_pack_array *sources)
{
    struct segue_pack_source *items = sources->items;
    if (sources->count == 0)
        return;
    qsort(items, sources->count, sizeof(items[0]), compare_sources);
    size_t kept = 1;
    for (size_t i = 1; i < sources->count; i++) {
        if (compare_sources(&items[kept - 1], &items[i]) != 0)
            items[kept++] = items[i];
    }
    sources->count = kept;
}

/** Index and footer, end to end. NULL when out of memory; free it. */
static unsigned char *make_index(segue_packed_writer *writer, struct segue_pack_footer *footer,
                                 size_t *out_size_bytes)
{
    const struct segue_pack_entry *entries = writer->entries.items;
    const struct segue_pack_chunk *chunks = writer->chunks.items;
    const uint64_t *replaced = writer->replaced.items;
    if (writer->entries.count != 0)
        qsort(writer->entries.items, writer->entries.count, sizeof(entries[0]), compare_entries);
    settle_sources(&writer->sources);
    footer->index_bytes = writer->entries.count * SEGUE_PACK_ENTRY_BYTES +
                          writer->chunks.count * SEGUE_PACK_CHUNK_BYTES +
                          writer->sources.count * SEGUE_PACK_SOURCE_BYTES +
                          writer->replaced.count * SEGUE_PACK_REPLACED_BYTES +
                          writer->strings.count;
    *out_size_bytes = (size_t)footer->index_bytes + SEGUE_PACK_FOOTER_BYTES;
    unsigned char *bytes = malloc(*out_size_bytes);
    if (bytes == NULL)
        return NULL;
    unsigned char *next = bytes;
    for (size_t i = 0; i < writer->entries.count; i++, next += SEGUE_PACK_ENTRY_BYTES)
        segue_pack_put_entry(&entries[i], next);
    for (size_t i = 0; i < writer->chunks.count; i++, next += SEGUE_PACK_CHUNK_BYTES)
        segue_pack_put_chunk(&chunks[i], next);
    if (writer->sources.count != 0)
        memcpy(next, writer->sources.items, writer->sources.count * SEGUE_PACK_SOURCE_BYTES);
    next += writer->sources.count * SEGUE_PACK_SOURCE_BYTES;
    for (size_t i = 0; i < writer->replaced.count; i++, next += SEGUE_PACK_REPLACED_BYTES)
        segue_pack_put_u64(replaced[i], next);
    if (writer->strings.count != 0)
        memcpy(next, writer->strings.items, writer->strings.count);
    return bytes;
}

/** Writes everything but the data. */
static segue_status write_ends(segue_packed_writer *writer)
{
    writer->header.created_ns = segue_pack_wall_ns();
    if (getrandom(writer->header.build_id, sizeof(writer->header.build_id), GRND_NONBLOCK) < 0)
        memcpy(writer->header.build_id, &writer->header.created_ns, sizeof(uint64_t));
    struct segue_pack_footer footer = {
        .header = writer->header,
        .index_offset_bytes = writer->offset_bytes,
        .entry_count = (uint32_t)writer->entries.count,
        .source_count = (uint32_t)writer->sources.count,
        .replaced_count = (uint32_t)writer->replaced.count,
        .chunk_count = writer->chunks.count,
        .string_bytes = writer->strings.count,
    };
    size_t size_bytes = 0;
    unsigned char *index = make_index(writer, &footer, &size_bytes);
    if (index == NULL)
        return segue_prepack_fail_memory("the index of a packed cache");
    footer.source_count = (uint32_t)writer->sources.count;
    footer.file_bytes = footer.index_offset_bytes + size_bytes;
    segue_packed_digest_bytes(index, (size_t)footer.index_bytes, &footer.index_digest);
    segue_pack_put_footer(&footer, index + footer.index_bytes);
    unsigned char header[SEGUE_PACK_HEADER_BYTES];
    segue_pack_put_header(&writer->header, header);

    int error = segue_pack_write(writer->fd, 0, header, sizeof(header));
    if (error == 0)
        error = segue_pack_write(writer->fd, footer.index_offset_bytes, index, size_bytes);
    // A tensor that was dropped may have reached further.
    if (error == 0 && TEMP_FAILURE_RETRY(ftruncate(writer->fd, (off_t)footer.file_bytes)) != 0)
        error = errno;
    free(index);
    if (error != 0)
        return segue_prepack_fail(SEGUE_IO_ERROR, "packed cache %s: %s could not be written: %s",
                                  writer->cache->path, writer->temporary_name, strerror(error));
    return SEGUE_OK;
}

/** To the disk, then its name, then the name to the disk. */
static segue_status rename_file(segue_packed_writer *writer)
{
    const segue_packed_cache *cache = writer->cache;
    char name[SEGUE_PACK_NAME_BYTES];
    segue_pack_file_name(writer->header.generation, name);
    int error = segue_pack_sync(writer->fd);
    if (error == 0)
        error = segue_pack_rename(cache->folder_fd, writer->temporary_name, name);
    if (error != 0)
        return segue_prepack_fail(SEGUE_IO_ERROR, "packed cache %s: %s could not be published: %s",
                                  cache->path, name, strerror(error));
    error = segue_pack_sync(cache->folder_fd);
    // Some file systems cannot flush folders, and need not.
    if (error != 0 && error != EINVAL) {
        (void)segue_pack_remove(cache->folder_fd, name);
        return segue_prepack_fail(SEGUE_IO_ERROR,
                                  "packed cache %s: the folder could not be flushed: %s",
                                  cache->path, strerror(error));
    }
    (void)close(writer->fd);
    writer->fd = -1;
    return SEGUE_OK;
}

segue_status segue_packed_writer_commit(segue_packed_writer *writer)
{
    if (writer->failed || writer->open)
        return segue_prepack_fail(
            SEGUE_INVALID_STATE, "packed cache %s: %s; nothing is published", writer->cache->path,
            writer->failed ? "writing failed" : "the last tensor is not complete");
    segue_packed_cache *cache = writer->cache;
    if (writer->fd < 0) {
        const int error =
            segue_pack_create_temporary(cache->folder_fd, writer->temporary_name, &writer->fd);
        if (error != 0)
            return segue_prepack_fail(SEGUE_IO_ERROR,
                                      "packed cache %s: no file could be created: %s", cache->path,
                                      strerror(error));
    }
    pthread_mutex_lock(&cache->lock);
    writer->header.generation = cache->last_generation + 1;
    pthread_mutex_unlock(&cache->lock);
    const uint64_t start_ns = segue_pack_now_ns();
    segue_status status = write_ends(writer);
    if (status == SEGUE_OK)
        status = rename_file(writer);
    pthread_mutex_lock(&cache->lock);
    cache->stats.write_ns += segue_pack_now_ns() - start_ns;
    if (status == SEGUE_OK)
        cache->stats.published++;
    pthread_mutex_unlock(&cache->lock);
    return status;
}

/** What the builder that has just taken the lock finds: leftovers, which it removes. */
static segue_status enter(segue_packed_cache *cache, uint64_t *out_removed)
{
    struct segue_pack_scan scan = {0};
    pthread_mutex_lock(&cache->lock);
    const segue_status status = segue_packed_cache_rescan(cache, &scan);
    for (uint32_t i = 0; status == SEGUE_OK && i < scan.garbage_count; i++) {
        if (segue_pack_remove(cache->folder_fd, scan.garbage[i]) == 0)
            ++*out_removed;
    }
    cache->stats.removed_files += *out_removed;
    pthread_mutex_unlock(&cache->lock);
    segue_pack_scan_free(&scan);
    return status;
}

segue_status segue_packed_cache_begin(segue_packed_cache *cache, segue_packed_writer **out_writer)
{
    if (cache == NULL || out_writer == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_cache_begin: cache and out_writer must not be "
                                  "NULL");
    if ((cache->params.flags & SEGUE_PACKED_CACHE_READ_ONLY) != 0)
        return segue_prepack_fail(SEGUE_INVALID_ACCESS,
                                  "packed cache %s: it was opened to be read only; open it without "
                                  "SEGUE_PACKED_CACHE_READ_ONLY to build",
                                  cache->path);
    const bool waits = (cache->params.flags & SEGUE_PACKED_CACHE_NO_WAIT) == 0;
    const uint64_t start_ns = segue_pack_now_ns();
    struct segue_pack_lock lock = {.fd = -1};
    segue_status status = segue_pack_lock_take(cache->folder_fd, cache->path,
                                               waits ? cache->params.lock_timeout_ns : 0, &lock);
    pthread_mutex_lock(&cache->lock);
    cache->stats.lock_wait_ns += segue_pack_now_ns() - start_ns;
    cache->stats.recovered_locks += status == SEGUE_OK && lock.recovered;
    pthread_mutex_unlock(&cache->lock);
    if (status != SEGUE_OK)
        return status;
    uint64_t removed_files = 0;
    status = enter(cache, &removed_files);
    segue_packed_writer *writer = status == SEGUE_OK ? segue_packed_writer_create(cache) : NULL;
    if (status == SEGUE_OK && writer == NULL)
        status = segue_prepack_fail_memory("a build of a packed cache");
    if (status != SEGUE_OK) {
        segue_pack_lock_release(&lock);
        return status;
    }
    writer->lock = lock;
    writer->removed_files = removed_files;
    *out_writer = writer;
    return SEGUE_OK;
}

/** Takes the new generation in and keeps the folder within its limit. Failing here does not undo
 *  the publication. */
static void settle(segue_packed_cache *cache)
{
    const struct segue_packed_gc_params params = {
        .size_limit_bytes = cache->params.size_limit_bytes,
    };
    struct segue_packed_gc_result result;
    segue_status status = segue_packed_cache_refresh(cache);
    if (status == SEGUE_OK)
        status = segue_packed_cache_collect(cache, &params, true, &result);
    if (status != SEGUE_OK)
        segue_packed_cache_log(cache, SEGUE_LOG_WARNING,
                               "packed cache %s: it was built, but not tidied: %s", cache->path,
                               segue_last_error()->message);
}

segue_status segue_packed_writer_publish(segue_packed_writer *writer)
{
    if (writer == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_writer_publish: writer must not be NULL");
    segue_packed_cache *cache = writer->cache;
    segue_status status = SEGUE_OK;
    if (writer->entries.count != 0 || writer->sources.count != 0 || writer->failed ||
        writer->open) {
        status = segue_packed_writer_commit(writer);
        if (status == SEGUE_OK)
            settle(cache);
    }
    if (status != SEGUE_OK) {
        pthread_mutex_lock(&cache->lock);
        cache->stats.publish_failures++;
        pthread_mutex_unlock(&cache->lock);
    }
    segue_packed_writer_destroy(writer);
    return status;
}
