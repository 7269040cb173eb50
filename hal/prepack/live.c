// SPDX-License-Identifier: Apache-2.0
// All that a cache can serve, what it has done, and what identifies a source.
#include "cache.h"

#include "error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/** A file changed this recently may change again without its times showing it. */
#define SETTLED_NS UINT64_C(2000000000)

/** Whether this is the copy of its key that is served. */
static bool is_live(const segue_packed_cache *cache, uint32_t pack_at, uint32_t at)
{
    struct segue_pack *pack = cache->packs[pack_at];
    if (atomic_load(&pack->corrupt[at]))
        return false;
    struct segue_pack_entry record;
    segue_pack_index_entry(&pack->index, at, &record);
    for (uint32_t i = 0; i < pack_at; i++) {
        uint32_t other = 0;
        if (segue_pack_index_find(&cache->packs[i]->index, &record.key, &other) &&
            !atomic_load(&cache->packs[i]->corrupt[other]))
            return false;
    }
    return true;
}

segue_status segue_packed_cache_list_live(segue_packed_cache *cache,
                                          struct segue_packed_live **out_live, uint32_t *out_count)
{
    size_t capacity = 0;
    for (uint32_t i = 0; i < cache->pack_count; i++)
        capacity += cache->packs[i]->index.footer.entry_count;
    struct segue_packed_live *live = calloc(capacity + 1, sizeof(*live));
    if (live == NULL)
        return segue_prepack_fail_memory("the entries of a packed cache");
    uint32_t count = 0;
    for (uint32_t i = 0; i < cache->pack_count; i++) {
        struct segue_pack *pack = cache->packs[i];
        for (uint32_t k = 0; k < pack->index.footer.entry_count; k++) {
            if (!is_live(cache, i, k))
                continue;
            struct segue_pack_entry record;
            segue_pack_index_entry(&pack->index, k, &record);
            const uint64_t created_s = record.created_ns / 1000000000u;
            const uint64_t used_s = atomic_load_explicit(&pack->used_s[k], memory_order_relaxed);
            live[count++] = (struct segue_packed_live){
                .pack = pack,
                .at = k,
                .size_bytes = record.size_bytes,
                .used_s = used_s > created_s ? used_s : created_s,
            };
        }
    }
    *out_live = live;
    *out_count = count;
    return SEGUE_OK;
}

static int compare_names(const void *left, const void *right)
{
    const struct segue_packed_live *a = left;
    const struct segue_packed_live *b = right;
    struct segue_pack_entry a_record;
    struct segue_pack_entry b_record;
    segue_pack_index_entry(&a->pack->index, a->at, &a_record);
    segue_pack_index_entry(&b->pack->index, b->at, &b_record);
    const int order = strcmp(segue_pack_string(a->pack, a_record.model),
                             segue_pack_string(b->pack, b_record.model));
    return order != 0 ? order
                      : strcmp(segue_pack_string(a->pack, a_record.name),
                               segue_pack_string(b->pack, b_record.name));
}

segue_status segue_packed_cache_visit(segue_packed_cache *cache, segue_packed_visitor visit,
                                      void *context)
{
    struct segue_packed_live *live = NULL;
    uint32_t count = 0;
    pthread_mutex_lock(&cache->lock);
    segue_status status = segue_packed_cache_list_live(cache, &live, &count);
    segue_packed_entry **entries = NULL;
    if (status == SEGUE_OK && count != 0) {
        qsort(live, count, sizeof(live[0]), compare_names);
        entries = calloc(count, sizeof(entries[0]));
    }
    // Handles for all of them first: the visitor may change the cache.
    for (uint32_t i = 0; entries != NULL && i < count; i++)
        entries[i] = segue_packed_entry_create(cache, live[i].pack, live[i].at);
    pthread_mutex_unlock(&cache->lock);
    bool goes_on = true;
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        if (entries == NULL || entries[i] == NULL)
            status = segue_prepack_fail_memory("the entries of a packed cache");
        else if (goes_on)
            goes_on = visit(context, entries[i]);
    }
    for (uint32_t i = 0; entries != NULL && i < count; i++)
        segue_packed_entry_release(entries[i]);
    free(entries);
    free(live);
    return status;
}

void segue_packed_cache_get_stats(segue_packed_cache *cache,
                                  struct segue_packed_cache_stats *out_stats)
{
    pthread_mutex_lock(&cache->lock);
    struct segue_packed_cache_stats stats = cache->stats;
    stats.file_count = cache->pack_count;
    stats.file_bytes = segue_packed_cache_file_bytes(cache);
    for (uint32_t i = 0; i < cache->pack_count; i++) {
        for (uint32_t k = 0; k < cache->packs[i]->index.footer.entry_count; k++) {
            if (!is_live(cache, i, k))
                continue;
            struct segue_pack_entry record;
            segue_pack_index_entry(&cache->packs[i]->index, k, &record);
            stats.entry_count++;
            stats.entry_bytes += record.size_bytes;
        }
    }
    pthread_mutex_unlock(&cache->lock);
    *out_stats = stats;
}

static uint64_t time_ns(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

segue_status segue_packed_source_identity(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                                          struct segue_packed_digest *out_identity,
                                          bool *out_settled)
{
    struct stat info;
    if (fstat(fd, &info) != 0)
        return segue_prepack_fail(SEGUE_IO_ERROR, "a source file could not be looked at: %s",
                                  strerror(errno));
    const uint64_t modified_ns = time_ns(info.st_mtim);
    const uint64_t changed_ns = time_ns(info.st_ctim);
    const uint64_t parts[] = {
        (uint64_t)info.st_dev,
        (uint64_t)info.st_ino,
        (uint64_t)info.st_size,
        modified_ns,
        changed_ns,
        offset_bytes,
        length_bytes,
    };
    segue_packed_digest_bytes(parts, sizeof(parts), out_identity);
    const uint64_t now_ns = segue_pack_wall_ns();
    *out_settled = now_ns > SETTLED_NS && modified_ns < now_ns - SETTLED_NS &&
                   changed_ns < now_ns - SETTLED_NS;
    return SEGUE_OK;
}
