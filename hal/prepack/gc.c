// SPDX-License-Identifier: Apache-2.0
// Making a folder smaller. A file is never changed: what is to stay of files that lose entries is
// copied into the next generation, which says that it replaces them; then they are removed.
#include "writer.h"

#include "error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** More small files than this are merged. */
#define MAX_SMALL_FILES 8u
#define SMALL_FILE_BYTES (UINT64_C(64) << 20)

/** A build leaves files alone that lose less than one byte in this many. */
#define LAZY_SHARE 2u

/** What happens to a file. */
enum fate { KEEP, MERGE, REMOVE };

/** One collection. */
struct collection {
    segue_packed_cache *cache;
    const struct segue_packed_gc_params *params;
    /** Those of the cache at the beginning, held. */
    struct segue_pack **packs;
    uint32_t pack_count;
    struct segue_packed_live *live;
    uint32_t live_count;
    /** Per live entry. */
    bool *drops;
    /** Per pack. */
    enum fate *fates;
    /** Only files that lose much, or for the size's sake. */
    bool lazy;
    struct segue_packed_gc_result result;
};

static int compare_used(const void *left, const void *right)
{
    const struct segue_packed_live *a = left;
    const struct segue_packed_live *b = right;
    if (a->used_s != b->used_s)
        return a->used_s < b->used_s ? -1 : 1;
    // Of equal age, the earlier generation goes first.
    const uint64_t a_generation = a->pack->index.footer.header.generation;
    const uint64_t b_generation = b->pack->index.footer.header.generation;
    if (a_generation != b_generation)
        return a_generation < b_generation ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/** What an entry costs in a file. */
static uint64_t cost_bytes(const struct segue_packed_live *live)
{
    return segue_pack_align(live->size_bytes) + SEGUE_PACK_ENTRY_BYTES +
           segue_pack_chunk_count(live->size_bytes) * SEGUE_PACK_CHUNK_BYTES;
}

/** What a file costs besides its entries. */
static uint64_t overhead_bytes(const struct segue_pack_footer *footer)
{
    return SEGUE_PACK_HEADER_BYTES + SEGUE_PACK_FOOTER_BYTES + footer->index_bytes -
           footer->entry_count * (uint64_t)SEGUE_PACK_ENTRY_BYTES -
           footer->chunk_count * SEGUE_PACK_CHUNK_BYTES;
}

static bool is_wanted(const struct collection *collection, const struct segue_packed_live *live)
{
    const struct segue_packed_gc_params *params = collection->params;
    if (params->model != NULL) {
        struct segue_pack_entry record;
        segue_pack_index_entry(&live->pack->index, live->at, &record);
        if (strcmp(segue_pack_string(live->pack, record.model), params->model) == 0)
            return false;
    }
    const uint64_t now_s = segue_pack_wall_ns() / 1000000000u;
    return params->max_age_s == 0 || now_s <= live->used_s ||
           now_s - live->used_s <= params->max_age_s;
}

/** Decides which entries go: those that are not wanted, then the least recently used. */
static void choose_entries(struct collection *collection)
{
    // Counted as if every file stayed: a little too much, so that the limit holds.
    uint64_t size_bytes = 0;
    for (uint32_t i = 0; i < collection->pack_count; i++)
        size_bytes += overhead_bytes(&collection->packs[i]->index.footer);
    if (collection->live_count != 0)
        qsort(collection->live, collection->live_count, sizeof(collection->live[0]), compare_used);
    for (uint32_t i = 0; i < collection->live_count; i++) {
        collection->drops[i] = !is_wanted(collection, &collection->live[i]);
        if (!collection->drops[i])
            size_bytes += cost_bytes(&collection->live[i]);
    }
    const uint64_t limit_bytes = collection->params->size_limit_bytes;
    for (uint32_t i = 0; limit_bytes != 0 && size_bytes > limit_bytes && i < collection->live_count;
         i++) {
        if (collection->drops[i])
            continue;
        collection->drops[i] = true;
        size_bytes -= cost_bytes(&collection->live[i]);
    }
    for (uint32_t i = 0; i < collection->live_count; i++) {
        collection->result.removed_entries += collection->drops[i];
        collection->result.kept_entries += !collection->drops[i];
    }
}

/** Entries of a pack that stay, and what they cost. */
static uint32_t count_kept(const struct collection *collection, const struct segue_pack *pack,
                           uint64_t *out_bytes)
{
    uint32_t count = 0;
    *out_bytes = 0;
    for (uint32_t i = 0; i < collection->live_count; i++) {
        if (collection->live[i].pack != pack || collection->drops[i])
            continue;
        count++;
        *out_bytes += cost_bytes(&collection->live[i]);
    }
    return count;
}

/** What happens to a file for the sake of its own entries. */
static enum fate choose_fate(const struct collection *collection, const struct segue_pack *pack,
                             bool *out_small)
{
    const uint64_t file_bytes = pack->index.footer.file_bytes;
    uint64_t kept_bytes = 0;
    const uint32_t kept = count_kept(collection, pack, &kept_bytes);
    *out_small = file_bytes <= SMALL_FILE_BYTES;
    // A file that only notes sources has no entries to lose.
    if (kept == pack->index.footer.entry_count)
        return KEEP;
    if (kept == 0)
        return REMOVE;
    return collection->lazy && kept_bytes > file_bytes / LAZY_SHARE ? KEEP : MERGE;
}

/** Decides what happens to each file. @return whether something does. */
static bool choose_files(struct collection *collection)
{
    uint32_t small_count = 0;
    bool changes = false;
    for (uint32_t i = 0; i < collection->pack_count; i++) {
        bool is_small = false;
        collection->fates[i] = choose_fate(collection, collection->packs[i], &is_small);
        small_count += is_small && collection->fates[i] != REMOVE;
        changes = changes || collection->fates[i] != KEEP;
    }
    for (uint32_t i = 0; small_count > MAX_SMALL_FILES && i < collection->pack_count; i++) {
        if (collection->fates[i] == KEEP &&
            collection->packs[i]->index.footer.file_bytes <= SMALL_FILE_BYTES) {
            collection->fates[i] = MERGE;
            changes = true;
        }
    }
    return changes;
}

/** Copies one entry; one that turns out to be corrupt is left out. */
static segue_status copy_entry(segue_packed_writer *writer, const struct segue_packed_live *live,
                               unsigned char *chunk)
{
    struct segue_pack *pack = live->pack;
    struct segue_pack_entry record;
    segue_pack_index_entry(&pack->index, live->at, &record);
    const struct segue_packed_tensor tensor = {
        .key = record.parts,
        .model = segue_pack_string(pack, record.model),
        .name = segue_pack_string(pack, record.name),
        .size_bytes = record.size_bytes,
    };
    segue_status status = segue_packed_writer_add_at(writer, &tensor, record.created_ns);
    const uint32_t chunk_count = (uint32_t)segue_pack_chunk_count(record.size_bytes);
    for (uint32_t i = 0; status == SEGUE_OK && i < chunk_count; i++) {
        const size_t length_bytes = segue_pack_chunk_length(&record, i);
        const uint64_t offset_bytes = record.offset_bytes + (uint64_t)i * SEGUE_PACKED_CHUNK_BYTES;
        if (segue_pack_read(pack->fd, offset_bytes, chunk, length_bytes) != 0 ||
            !segue_pack_chunk_matches(pack, &record, i, chunk, length_bytes)) {
            atomic_store(&pack->corrupt[live->at], true);
            segue_packed_cache_log(writer->cache, SEGUE_LOG_WARNING,
                                   "packed cache %s: %s of %s is corrupt in %s and is dropped",
                                   writer->cache->path, tensor.name, tensor.model, pack->name);
            segue_packed_writer_drop_last(writer);
            return SEGUE_OK;
        }
        status = segue_packed_writer_append(writer, chunk, length_bytes);
    }
    return status;
}

static segue_status copy_sources(segue_packed_writer *writer, const struct segue_pack *pack)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < pack->index.footer.source_count; i++) {
        struct segue_pack_source source;
        memcpy(&source, pack->index.sources + (size_t)i * SEGUE_PACK_SOURCE_BYTES, sizeof(source));
        status = segue_packed_writer_add_source(writer, &source.identity, &source.content);
    }
    return status;
}

static enum fate fate_of(const struct collection *collection, const struct segue_pack *pack)
{
    for (uint32_t i = 0; i < collection->pack_count; i++) {
        if (collection->packs[i] == pack)
            return collection->fates[i];
    }
    return KEEP;
}

/** Fills the next generation with what stays of the files that are merged. */
static segue_status merge(struct collection *collection, segue_packed_writer *writer)
{
    unsigned char *chunk = malloc(SEGUE_PACKED_CHUNK_BYTES);
    if (chunk == NULL)
        return segue_prepack_fail_memory("a chunk of a packed tensor");
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < collection->pack_count; i++) {
        if (collection->fates[i] == MERGE)
            status = copy_sources(writer, collection->packs[i]);
        if (status == SEGUE_OK && collection->fates[i] != KEEP)
            status = segue_packed_writer_add_replaced(
                writer, collection->packs[i]->index.footer.header.generation);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < collection->live_count; i++) {
        const struct segue_packed_live *live = &collection->live[i];
        if (!collection->drops[i] && fate_of(collection, live->pack) == MERGE)
            status = copy_entry(writer, live, chunk);
    }
    free(chunk);
    return status;
}

/** The new generation's entries were used when those were that they are copies of. */
static void carry_used(const struct collection *collection)
{
    segue_packed_cache *cache = collection->cache;
    pthread_mutex_lock(&cache->lock);
    for (uint32_t i = 0; i < collection->live_count; i++) {
        const struct segue_packed_live *live = &collection->live[i];
        struct segue_pack_entry record;
        segue_pack_index_entry(&live->pack->index, live->at, &record);
        for (uint32_t k = 0; k < cache->pack_count; k++) {
            struct segue_pack *pack = cache->packs[k];
            uint32_t at = 0;
            if (pack == live->pack || !segue_pack_index_find(&pack->index, &record.key, &at))
                continue;
            atomic_store(&pack->used_s[at], (uint32_t)live->used_s);
            atomic_store(&pack->used_changed, true);
        }
    }
    for (uint32_t k = 0; k < cache->pack_count; k++)
        segue_pack_save_used(cache->packs[k], cache->folder_fd);
    pthread_mutex_unlock(&cache->lock);
}

static void remove_pack(struct collection *collection, const struct segue_pack *pack)
{
    const int folder_fd = collection->cache->folder_fd;
    char used_name[SEGUE_PACK_NAME_BYTES];
    segue_pack_used_name(pack->index.footer.header.generation, used_name);
    if (segue_pack_remove(folder_fd, pack->name) == 0)
        collection->result.removed_files++;
    (void)segue_pack_remove(folder_fd, used_name);
}

/** Publishes what is merged, then removes what that replaces. */
static segue_status carry_out(struct collection *collection)
{
    bool merges = false;
    for (uint32_t i = 0; i < collection->pack_count; i++)
        merges = merges || collection->fates[i] == MERGE;
    segue_status status = SEGUE_OK;
    if (merges) {
        segue_packed_writer *writer = segue_packed_writer_create(collection->cache);
        if (writer == NULL)
            return segue_prepack_fail_memory("a build of a packed cache");
        status = merge(collection, writer);
        if (status == SEGUE_OK)
            status = segue_packed_writer_commit(writer);
        segue_packed_writer_destroy(writer);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < collection->pack_count; i++) {
        if (collection->fates[i] != KEEP)
            remove_pack(collection, collection->packs[i]);
    }
    return status;
}

static segue_status prepare(struct collection *collection)
{
    segue_packed_cache *cache = collection->cache;
    pthread_mutex_lock(&cache->lock);
    segue_status status =
        segue_packed_cache_list_live(cache, &collection->live, &collection->live_count);
    collection->result.bytes_before = segue_packed_cache_file_bytes(cache);
    const uint32_t pack_count = cache->pack_count;
    collection->packs = calloc((size_t)pack_count + 1, sizeof(collection->packs[0]));
    for (uint32_t i = 0; collection->packs != NULL && i < pack_count; i++) {
        segue_pack_retain(cache->packs[i]);
        collection->packs[collection->pack_count++] = cache->packs[i];
    }
    pthread_mutex_unlock(&cache->lock);
    if (status != SEGUE_OK)
        return status;
    collection->drops = calloc((size_t)collection->live_count + 1, sizeof(bool));
    collection->fates = calloc((size_t)pack_count + 1, sizeof(enum fate));
    if (collection->packs == NULL || collection->drops == NULL || collection->fates == NULL)
        return segue_prepack_fail_memory("what to collect of a packed cache");
    return SEGUE_OK;
}

static void finish(struct collection *collection)
{
    for (uint32_t i = 0; i < collection->pack_count; i++)
        segue_pack_release(collection->packs[i]);
    free(collection->packs);
    free(collection->live);
    free(collection->drops);
    free(collection->fates);
}

/** Counts what was done. */
static void count(struct collection *collection)
{
    segue_packed_cache *cache = collection->cache;
    pthread_mutex_lock(&cache->lock);
    collection->result.bytes_after = segue_packed_cache_file_bytes(cache);
    cache->stats.evicted_entries += collection->result.removed_entries;
    for (uint32_t i = 0; i < collection->live_count; i++)
        cache->stats.evicted_bytes += collection->drops[i] ? collection->live[i].size_bytes : 0;
    pthread_mutex_unlock(&cache->lock);
}

segue_status segue_packed_cache_collect(segue_packed_cache *cache,
                                        const struct segue_packed_gc_params *params, bool lazy,
                                        struct segue_packed_gc_result *out_result)
{
    struct collection collection = {.cache = cache, .params = params};
    segue_status status = prepare(&collection);
    if (status == SEGUE_OK) {
        choose_entries(&collection);
        collection.result.bytes_after = collection.result.bytes_before;
        // Over the limit entries go, and they must not come back as older copies in other files.
        collection.lazy = lazy && (params->size_limit_bytes == 0 ||
                                   collection.result.bytes_before <= params->size_limit_bytes);
        const bool changes = choose_files(&collection);
        if (changes && !params->dry_run) {
            status = carry_out(&collection);
            if (status == SEGUE_OK)
                status = segue_packed_cache_refresh(cache);
            if (status == SEGUE_OK)
                carry_used(&collection);
        }
    }
    if (status == SEGUE_OK && !params->dry_run)
        count(&collection);
    if (status == SEGUE_OK)
        *out_result = collection.result;
    finish(&collection);
    return status;
}

segue_status segue_packed_cache_gc(segue_packed_cache *cache,
                                   const struct segue_packed_gc_params *params,
                                   struct segue_packed_gc_result *out_result)
{
    if (cache == NULL || params == NULL || out_result == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_cache_gc: nothing may be NULL");
    if (params->dry_run)
        return segue_packed_cache_collect(cache, params, false, out_result);
    segue_packed_writer *writer = NULL;
    segue_status status = segue_packed_cache_begin(cache, &writer);
    if (status != SEGUE_OK)
        return status;
    struct segue_packed_gc_result result;
    status = segue_packed_cache_collect(cache, params, false, &result);
    if (status == SEGUE_OK) {
        result.removed_files += writer->removed_files;
        *out_result = result;
    }
    segue_packed_writer_abandon(writer);
    return status;
}
