// SPDX-License-Identifier: Apache-2.0
// Writing a generation: tensors chunk by chunk under a temporary name.
#include "writer.h"

#include "error.h"

#include <segue/prepack_kernels.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

/** Room for `count` more items; false when out of memory. */
static bool reserve(struct segue_pack_array *array, size_t count, size_t item_bytes)
{
    if (count <= array->capacity - array->count)
        return true;
    size_t capacity = array->capacity < 16 ? 16 : 2 * array->capacity;
    if (capacity < array->count + count)
        capacity = array->count + count;
    void *items = realloc(array->items, capacity * item_bytes);
    if (items == NULL)
        return false;
    array->items = items;
    array->capacity = capacity;
    return true;
}

static bool append(struct segue_pack_array *array, const void *items, size_t count,
                   size_t item_bytes)
{
    if (!reserve(array, count, item_bytes))
        return false;
    memcpy((char *)array->items + array->count * item_bytes, items, count * item_bytes);
    array->count += count;
    return true;
}

segue_packed_writer *segue_packed_writer_create(segue_packed_cache *cache)
{
    segue_packed_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL)
        return NULL;
    writer->fd = -1;
    writer->lock.fd = -1;
    writer->offset_bytes = SEGUE_PACK_HEADER_BYTES;
    writer->content_state = XXH3_createState();
    if (writer->content_state == NULL ||
        posix_memalign((void **)&writer->chunk, SEGUE_PACKED_ALIGN_BYTES,
                       SEGUE_PACKED_CHUNK_BYTES) != 0) {
        (void)XXH3_freeState(writer->content_state);
        free(writer);
        return NULL;
    }
    atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
    writer->cache = cache;
    return writer;
}

void segue_packed_writer_destroy(segue_packed_writer *writer)
{
    segue_packed_cache *cache = writer->cache;
    if (writer->fd >= 0) {
        (void)close(writer->fd);
        (void)segue_pack_remove(cache->folder_fd, writer->temporary_name);
    }
    segue_pack_lock_release(&writer->lock);
    free(writer->entries.items);
    free(writer->chunks.items);
    free(writer->sources.items);
    free(writer->replaced.items);
    free(writer->strings.items);
    free(writer->chunk);
    (void)XXH3_freeState(writer->content_state);
    free(writer);
    segue_packed_cache_release(cache);
}

void segue_packed_writer_abandon(segue_packed_writer *writer)
{
    if (writer != NULL)
        segue_packed_writer_destroy(writer);
}

static segue_status fail_write(segue_packed_writer *writer, const char *what, int error)
{
    writer->failed = true;
    return segue_prepack_fail(
        SEGUE_IO_ERROR, "packed cache %s: %s could not be %s: %s", writer->cache->path,
        writer->temporary_name[0] != '\0' ? writer->temporary_name : "a new file", what,
        strerror(error));
}

/** Creates the file, once there is something to put into it. */
static segue_status open_file(segue_packed_writer *writer)
{
    if (writer->fd >= 0)
        return SEGUE_OK;
    int fd = -1;
    const int error =
        segue_pack_create_temporary(writer->cache->folder_fd, writer->temporary_name, &fd);
    if (error != 0)
        return fail_write(writer, "created", error);
    writer->fd = fd;
    return SEGUE_OK;
}

static segue_status check_tensor(const segue_packed_writer *writer,
                                 const struct segue_packed_tensor *tensor)
{
    const char *path = writer->cache->path;
    if (writer->failed || writer->open)
        return segue_prepack_fail(
            SEGUE_INVALID_STATE,
            "packed cache %s: %s; abandon the build, or complete the tensor "
            "first",
            path, writer->failed ? "writing failed before" : "the tensor before is not complete");
    if (tensor->size_bytes == 0 || tensor->size_bytes > SEGUE_PACK_MAX_FILE_BYTES)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "packed cache %s: a tensor of %" PRIu64 " bytes cannot be kept",
                                  path, tensor->size_bytes);
    const char *names[] = {tensor->model, tensor->name};
    for (size_t i = 0; i < 2; i++) {
        if (names[i] == NULL || names[i][0] == '\0' ||
            strlen(names[i]) > SEGUE_PACKED_MAX_NAME_BYTES || !segue_prepack_is_plain(names[i]))
            return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                      "packed cache %s: the %s's name must have 1 to %d bytes and "
                                      "no control characters",
                                      path, i == 0 ? "model" : "tensor",
                                      SEGUE_PACKED_MAX_NAME_BYTES);
    }
    if (writer->entries.count == SEGUE_PACK_MAX_ENTRIES)
        return segue_prepack_fail(SEGUE_OUT_OF_RANGE,
                                  "packed cache %s: a build takes %u tensors; publish these first",
                                  path, SEGUE_PACK_MAX_ENTRIES);
    return SEGUE_OK;
}

/** Whether the build has that key. Linear: adding a tensor costs far more than this. */
static bool has_key(const segue_packed_writer *writer, const struct segue_packed_digest *key)
{
    const struct segue_pack_entry *entries = writer->entries.items;
    for (size_t i = 0; i < writer->entries.count; i++) {
        if (memcmp(&entries[i].key, key, sizeof(*key)) == 0)
            return true;
    }
    return false;
}

/** Appends a name to the strings. False when out of memory. */
static bool add_string(segue_packed_writer *writer, const char *text, uint32_t *out_at)
{
    *out_at = (uint32_t)writer->strings.count;
    return append(&writer->strings, text, strlen(text) + 1, 1);
}

segue_status segue_packed_writer_add_at(segue_packed_writer *writer,
                                        const struct segue_packed_tensor *tensor,
                                        uint64_t created_ns)
{
    segue_status status = check_tensor(writer, tensor);
    if (status != SEGUE_OK)
        return status;
    struct segue_pack_entry entry = {
        .parts = tensor->key,
        .offset_bytes = writer->offset_bytes,
        .size_bytes = tensor->size_bytes,
        .first_chunk = writer->chunks.count,
        .created_ns = created_ns,
    };
    segue_pack_key_digest(&entry.parts, &entry.key);
    if (has_key(writer, &entry.key))
        return segue_prepack_fail(SEGUE_INVALID_STATE,
                                  "packed cache %s: the build has %s of %s already",
                                  writer->cache->path, tensor->name, tensor->model);
    status = open_file(writer);
    if (status != SEGUE_OK)
        return status;
    const struct segue_pack_entry *last =
        writer->entries.count == 0
            ? NULL
            : (struct segue_pack_entry *)writer->entries.items + writer->entries.count - 1;
    const size_t strings_before = writer->strings.count;
    bool fits = true;
    // Most tensors are of the model of the one before.
    if (last != NULL && strcmp((char *)writer->strings.items + last->model, tensor->model) == 0)
        entry.model = last->model;
    else
        fits = add_string(writer, tensor->model, &entry.model);
    fits = fits && add_string(writer, tensor->name, &entry.name) &&
           append(&writer->entries, &entry, 1, sizeof(entry));
    if (!fits) {
        writer->strings.count = strings_before;
        return segue_prepack_fail_memory("the index of a packed cache");
    }
    (void)XXH3_128bits_reset(writer->content_state);
    writer->taken_bytes = 0;
    writer->chunk_used_bytes = 0;
    writer->open = true;
    return SEGUE_OK;
}

segue_status segue_packed_writer_add(segue_packed_writer *writer,
                                     const struct segue_packed_tensor *tensor)
{
    if (writer == NULL || tensor == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_writer_add: writer and tensor must not be NULL");
    return segue_packed_writer_add_at(writer, tensor, segue_pack_wall_ns());
}

static struct segue_pack_entry *last_entry(segue_packed_writer *writer)
{
    return (struct segue_pack_entry *)writer->entries.items + writer->entries.count - 1;
}

/** Writes one chunk whose bytes are all there. */
static segue_status write_chunk(segue_packed_writer *writer, const unsigned char *data,
                                size_t length_bytes)
{
    const struct segue_pack_chunk checksums = {
        .xxh3 = XXH3_64bits(data, length_bytes),
        .device = segue_checksum(data, length_bytes),
    };
    if (!append(&writer->chunks, &checksums, 1, sizeof(checksums))) {
        writer->failed = true;
        return segue_prepack_fail_memory("the index of a packed cache");
    }
    (void)XXH3_128bits_update(writer->content_state, data, length_bytes);
    const struct segue_pack_entry *entry = last_entry(writer);
    const int error =
        segue_pack_write(writer->fd, entry->offset_bytes + writer->taken_bytes, data, length_bytes);
    if (error != 0)
        return fail_write(writer, "written", error);
    writer->taken_bytes += length_bytes;
    return SEGUE_OK;
}

/** Ends the open tensor: zeros up to the next one's place. */
static segue_status complete_tensor(segue_packed_writer *writer)
{
    static const unsigned char zeros[SEGUE_PACKED_ALIGN_BYTES];
    struct segue_pack_entry *entry = last_entry(writer);
    const uint64_t end_bytes = entry->offset_bytes + entry->size_bytes;
    const uint64_t aligned_bytes = segue_pack_align(end_bytes);
    const int error =
        segue_pack_write(writer->fd, end_bytes, zeros, (size_t)(aligned_bytes - end_bytes));
    if (error != 0)
        return fail_write(writer, "written", error);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(writer->content_state));
    memcpy(&entry->content, canonical.digest, sizeof(entry->content));
    writer->offset_bytes = aligned_bytes;
    writer->open = false;
    return SEGUE_OK;
}

segue_status segue_packed_writer_append(segue_packed_writer *writer, const void *data,
                                        uint64_t length_bytes)
{
    if (writer == NULL || (data == NULL && length_bytes != 0))
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_writer_append: writer and data must not be NULL");
    if (writer->failed || !writer->open)
        return segue_prepack_fail(SEGUE_INVALID_STATE,
                                  "packed cache %s: no tensor is open for more bytes",
                                  writer->cache->path);
    const uint64_t rest_bytes =
        last_entry(writer)->size_bytes - writer->taken_bytes - writer->chunk_used_bytes;
    if (length_bytes > rest_bytes)
        return segue_prepack_fail(SEGUE_OUT_OF_RANGE,
                                  "packed cache %s: %" PRIu64 " bytes are too many for a tensor "
                                  "that lacks %" PRIu64,
                                  writer->cache->path, length_bytes, rest_bytes);
    const uint64_t start_ns = segue_pack_now_ns();
    const unsigned char *next = data;
    const bool completes = length_bytes == rest_bytes;
    uint64_t left_bytes = length_bytes;
    segue_status status = SEGUE_OK;
    while (status == SEGUE_OK && left_bytes != 0) {
        if (writer->chunk_used_bytes == 0 && left_bytes >= SEGUE_PACKED_CHUNK_BYTES) {
            status = write_chunk(writer, next, SEGUE_PACKED_CHUNK_BYTES);
            next += SEGUE_PACKED_CHUNK_BYTES;
            left_bytes -= SEGUE_PACKED_CHUNK_BYTES;
            continue;
        }
        const size_t room_bytes = SEGUE_PACKED_CHUNK_BYTES - writer->chunk_used_bytes;
        const size_t piece_bytes = left_bytes < room_bytes ? (size_t)left_bytes : room_bytes;
        memcpy(writer->chunk + writer->chunk_used_bytes, next, piece_bytes);
        writer->chunk_used_bytes += piece_bytes;
        next += piece_bytes;
        left_bytes -= piece_bytes;
        if (piece_bytes == room_bytes || (completes && left_bytes == 0)) {
            const size_t used_bytes = writer->chunk_used_bytes;
            writer->chunk_used_bytes = 0;
            status = write_chunk(writer, writer->chunk, used_bytes);
        }
    }
    if (status == SEGUE_OK && completes)
        status = complete_tensor(writer);
    segue_packed_cache *cache = writer->cache;
    pthread_mutex_lock(&cache->lock);
    cache->stats.written_bytes += length_bytes;
    cache->stats.write_ns += segue_pack_now_ns() - start_ns;
    pthread_mutex_unlock(&cache->lock);
    return status;
}

void segue_packed_writer_drop_last(segue_packed_writer *writer)
{
    const struct segue_pack_entry *entry = last_entry(writer);
    // Its strings stay: they are few, and the next tensor's may be the same.
    writer->offset_bytes = entry->offset_bytes;
    writer->chunks.count = (size_t)entry->first_chunk;
    writer->entries.count--;
    writer->open = false;
    writer->chunk_used_bytes = 0;
}

segue_status segue_packed_writer_add_source(segue_packed_writer *writer,
                                            const struct segue_packed_digest *identity,
                                            const struct segue_packed_digest *content)
{
    if (writer == NULL || identity == NULL || content == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_writer_add_source: nothing may be NULL");
    const struct segue_pack_source source = {.identity = *identity, .content = *content};
    if (!append(&writer->sources, &source, 1, sizeof(source)))
        return segue_prepack_fail_memory("the sources of a packed cache");
    return SEGUE_OK;
}

segue_status segue_packed_writer_add_replaced(segue_packed_writer *writer, uint64_t generation)
{
    if (!append(&writer->replaced, &generation, 1, sizeof(generation)))
        return segue_prepack_fail_memory("the index of a packed cache");
    return SEGUE_OK;
}
