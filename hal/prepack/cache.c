// SPDX-License-Identifier: Apache-2.0
// Opening a folder, and finding what is in it.
#include "cache.h"

#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_LOCK_TIMEOUT_NS UINT64_C(600000000000)

const char *segue_packed_miss_name(enum segue_packed_miss miss)
{
    static const char *const names[SEGUE_PACKED_MISS_COUNT] = {
        "absent", "inputs", "layout", "parameters", "architecture", "packer", "corrupt",
    };
    return (unsigned)miss < SEGUE_PACKED_MISS_COUNT ? names[miss] : "?";
}

void segue_packed_cache_log(const segue_packed_cache *cache, enum segue_log_level level,
                            const char *format, ...)
{
    if (cache->params.log == NULL)
        return;
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    cache->params.log(cache->params.log_context, level, message);
}

static segue_status check_params(const struct segue_packed_cache_params *params)
{
    const uint32_t known_flags = SEGUE_PACKED_CACHE_READ_ONLY | SEGUE_PACKED_CACHE_SHARED_FOLDER |
                                 SEGUE_PACKED_CACHE_STRICT | SEGUE_PACKED_CACHE_NO_WAIT |
                                 SEGUE_PACKED_CACHE_VERIFY_ON_DEVICE;
    if (params == NULL || params->path == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_cache_open: params and params.path must not be "
                                  "NULL");
    if ((params->flags & ~known_flags) != 0)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "packed cache %s: flags 0x%x have unknown bits; use bits of "
                                  "segue_packed_cache_flags",
                                  params->path, params->flags);
    if ((unsigned)params->verification > SEGUE_PACKED_VERIFY_OFF)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "packed cache %s: verification is %d; use a value of "
                                  "segue_packed_verification",
                                  params->path, (int)params->verification);
    return SEGUE_OK;
}

segue_status segue_packed_cache_open(const struct segue_packed_cache_params *params,
                                     segue_packed_cache **out_cache)
{
    segue_status status = check_params(params);
    if (status == SEGUE_OK && out_cache == NULL)
        status = segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                    "packed cache %s: out_cache must not be NULL", params->path);
    if (status != SEGUE_OK)
        return status;
    segue_packed_cache *cache = calloc(1, sizeof(*cache));
    if (cache == NULL)
        return segue_prepack_fail_memory("a packed cache");
    atomic_init(&cache->references, 1);
    cache->folder_fd = -1;
    cache->params = *params;
    cache->seed = segue_pack_now_ns() ^ (uint64_t)getpid() << 40;
    if (cache->params.lock_timeout_ns == 0)
        cache->params.lock_timeout_ns = DEFAULT_LOCK_TIMEOUT_NS;
    (void)pthread_mutex_init(&cache->lock, NULL);
    cache->path = strdup(params->path);
    cache->params.path = cache->path;
    status = cache->path != NULL ? SEGUE_OK : segue_prepack_fail_memory("a packed cache's path");
    if (status == SEGUE_OK)
        status = segue_pack_open_folder(
            cache->path, (params->flags & SEGUE_PACKED_CACHE_READ_ONLY) == 0,
            (params->flags & SEGUE_PACKED_CACHE_SHARED_FOLDER) != 0, &cache->folder_fd);
    if (status == SEGUE_OK)
        status = segue_packed_cache_rescan(cache, NULL);
    if (status != SEGUE_OK) {
        segue_packed_cache_release(cache);
        return status;
    }
    *out_cache = cache;
    return SEGUE_OK;
}

static void drop_packs(struct segue_pack **packs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        segue_pack_release(packs[i]);
    free(packs);
}

void segue_packed_cache_release(segue_packed_cache *cache)
{
    if (atomic_fetch_sub_explicit(&cache->references, 1, memory_order_acq_rel) != 1)
        return;
    drop_packs(cache->packs, cache->pack_count);
    if (cache->folder_fd >= 0)
        (void)close(cache->folder_fd);
    (void)pthread_mutex_destroy(&cache->lock);
    free(cache->path);
    free(cache);
}

void segue_packed_cache_close(segue_packed_cache *cache)
{
    if (cache == NULL)
        return;
    pthread_mutex_lock(&cache->lock);
    if ((cache->params.flags & SEGUE_PACKED_CACHE_READ_ONLY) == 0) {
        for (uint32_t i = 0; i < cache->pack_count; i++)
            segue_pack_save_used(cache->packs[i], cache->folder_fd);
    }
    pthread_mutex_unlock(&cache->lock);
    segue_packed_cache_release(cache);
}

segue_status segue_packed_cache_rescan(segue_packed_cache *cache, struct segue_pack_scan *out_scan)
{
    struct segue_pack_scan scan = {0};
    const segue_status status = segue_pack_scan_folder(cache, &scan);
    if (status != SEGUE_OK)
        return status;
    drop_packs(cache->packs, cache->pack_count);
    cache->packs = scan.packs;
    cache->pack_count = scan.pack_count;
    cache->last_generation = scan.last_generation;
    cache->stats.invalid_files = scan.invalid_files;
    scan.packs = NULL;
    scan.pack_count = 0;
    if (out_scan != NULL)
        *out_scan = scan;
    else
        segue_pack_scan_free(&scan);
    return SEGUE_OK;
}

segue_status segue_packed_cache_refresh(segue_packed_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    const segue_status status = segue_packed_cache_rescan(cache, NULL);
    pthread_mutex_unlock(&cache->lock);
    return status;
}

segue_packed_entry *segue_packed_entry_create(segue_packed_cache *cache, struct segue_pack *pack,
                                              uint32_t at)
{
    segue_packed_entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL)
        return NULL;
    atomic_fetch_add_explicit(&cache->references, 1, memory_order_relaxed);
    segue_pack_retain(pack);
    entry->cache = cache;
    entry->pack = pack;
    entry->at = at;
    segue_pack_index_entry(&pack->index, at, &entry->record);
    return entry;
}

/** The first part of a key in which an entry of the same name differs. */
static enum segue_packed_miss first_difference(const struct segue_packed_key *wanted,
                                               const struct segue_packed_key *found)
{
    if (memcmp(&wanted->inputs, &found->inputs, sizeof(wanted->inputs)) != 0)
        return SEGUE_PACKED_MISS_INPUTS;
    if (wanted->layout_id != found->layout_id || wanted->layout_version != found->layout_version)
        return SEGUE_PACKED_MISS_LAYOUT;
    if (memcmp(&wanted->parameters, &found->parameters, sizeof(wanted->parameters)) != 0)
        return SEGUE_PACKED_MISS_PARAMETERS;
    if (wanted->architecture != found->architecture)
        return SEGUE_PACKED_MISS_ARCHITECTURE;
    return SEGUE_PACKED_MISS_PACKER;
}

/** Why the key is not there: held against the latest entry of that name. */
static enum segue_packed_miss explain_miss(const segue_packed_cache *cache,
                                           const struct segue_packed_key *key, const char *model,
                                           const char *name)
{
    for (uint32_t i = 0; i < cache->pack_count; i++) {
        const struct segue_pack *pack = cache->packs[i];
        for (uint32_t k = 0; k < pack->index.footer.entry_count; k++) {
            struct segue_pack_entry record;
            segue_pack_index_entry(&pack->index, k, &record);
            if (strcmp(segue_pack_string(pack, record.name), name) == 0 &&
                strcmp(segue_pack_string(pack, record.model), model) == 0)
                return first_difference(key, &record.parts);
        }
    }
    return SEGUE_PACKED_MISS_ABSENT;
}

/** The latest sound entry of that key. */
static struct segue_pack *find_pack(const segue_packed_cache *cache,
                                    const struct segue_packed_digest *digest, uint32_t *out_at,
                                    bool *out_corrupt)
{
    *out_corrupt = false;
    for (uint32_t i = 0; i < cache->pack_count; i++) {
        struct segue_pack *pack = cache->packs[i];
        if (!segue_pack_index_find(&pack->index, digest, out_at))
            continue;
        if (!atomic_load(&pack->corrupt[*out_at]))
            return pack;
        *out_corrupt = true;
    }
    return NULL;
}

/** Looks up; the outcome counts in the statistics unless it is a miss that `counts_misses` leaves
 *  out. */
static segue_status find_entry(segue_packed_cache *cache, const struct segue_packed_key *key,
                               const char *model, const char *name, bool counts_misses,
                               segue_packed_entry **out_entry, enum segue_packed_miss *out_miss)
{
    struct segue_packed_digest digest;
    segue_pack_key_digest(key, &digest);
    uint32_t at = 0;
    bool corrupt = false;
    segue_status status = SEGUE_NOT_FOUND;
    pthread_mutex_lock(&cache->lock);
    struct segue_pack *pack = find_pack(cache, &digest, &at, &corrupt);
    if (pack != NULL) {
        segue_packed_entry *entry = segue_packed_entry_create(cache, pack, at);
        status = entry != NULL ? SEGUE_OK : SEGUE_OUT_OF_HOST_MEMORY;
        if (entry != NULL) {
            cache->stats.hits++;
            segue_pack_note_use(pack, at);
            *out_entry = entry;
        }
    } else {
        *out_miss = corrupt ? SEGUE_PACKED_MISS_CORRUPT : explain_miss(cache, key, model, name);
        cache->stats.misses[*out_miss] += counts_misses;
    }
    pthread_mutex_unlock(&cache->lock);
    return status != SEGUE_OUT_OF_HOST_MEMORY
               ? status
               : segue_prepack_fail_memory("an entry of a packed cache");
}

segue_status segue_packed_cache_find(segue_packed_cache *cache, const struct segue_packed_key *key,
                                     const char *model, const char *name,
                                     segue_packed_entry **out_entry,
                                     enum segue_packed_miss *out_miss)
{
    if (cache == NULL || key == NULL || model == NULL || name == NULL || out_entry == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_cache_find: only out_miss may be NULL");
    enum segue_packed_miss miss = SEGUE_PACKED_MISS_ABSENT;
    const segue_status status = find_entry(cache, key, model, name, true, out_entry, &miss);
    if (status != SEGUE_NOT_FOUND)
        return status;
    if (out_miss != NULL)
        *out_miss = miss;
    if ((cache->params.flags & SEGUE_PACKED_CACHE_STRICT) != 0)
        return segue_prepack_fail(SEGUE_NOT_FOUND,
                                  "packed cache %s: %s of %s is not to be had (%s), and the cache "
                                  "is strict; build it without SEGUE_PACKED_CACHE_STRICT first",
                                  cache->path, name, model, segue_packed_miss_name(miss));
    return SEGUE_NOT_FOUND;
}

segue_status segue_packed_cache_find_again(segue_packed_cache *cache,
                                           const struct segue_packed_key *key,
                                           segue_packed_entry **out_entry)
{
    enum segue_packed_miss miss;
    return find_entry(cache, key, "", "", false, out_entry, &miss);
}

segue_status segue_packed_cache_find_source(segue_packed_cache *cache,
                                            const struct segue_packed_digest *identity,
                                            struct segue_packed_digest *out_content)
{
    const unsigned char *content = NULL;
    pthread_mutex_lock(&cache->lock);
    for (uint32_t i = 0; content == NULL && i < cache->pack_count; i++)
        content = segue_pack_index_find_source(&cache->packs[i]->index, identity);
    if (content != NULL)
        memcpy(out_content, content, sizeof(*out_content));
    pthread_mutex_unlock(&cache->lock);
    return content != NULL ? SEGUE_OK : SEGUE_NOT_FOUND;
}

uint64_t segue_packed_cache_file_bytes(const segue_packed_cache *cache)
{
    uint64_t size_bytes = 0;
    for (uint32_t i = 0; i < cache->pack_count; i++)
        size_bytes += cache->packs[i]->index.footer.file_bytes;
    return size_bytes;
}
