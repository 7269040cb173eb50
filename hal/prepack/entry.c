// SPDX-License-Identifier: Apache-2.0
// Entries: describing them, reading them, and finding out that they are corrupt.
#include "cache.h"

#include "error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/** Of sampled verification: one chunk in this many. */
#define SAMPLE_EVERY 16u

void segue_packed_entry_get_info(const segue_packed_entry *entry,
                                 struct segue_packed_entry_info *out_info)
{
    const struct segue_pack *pack = entry->pack;
    *out_info = (struct segue_packed_entry_info){
        .key = entry->record.parts,
        .content = entry->record.content,
        .model = segue_pack_string(pack, entry->record.model),
        .name = segue_pack_string(pack, entry->record.name),
        .file = pack->name,
        .generation = pack->index.footer.header.generation,
        .fd = pack->fd,
        .offset_bytes = entry->record.offset_bytes,
        .size_bytes = entry->record.size_bytes,
        .chunk_count = (uint32_t)segue_pack_chunk_count(entry->record.size_bytes),
        .created_ns = entry->record.created_ns,
        .last_used_s = atomic_load_explicit(&pack->used_s[entry->at], memory_order_relaxed),
    };
}

void segue_packed_entry_release(segue_packed_entry *entry)
{
    if (entry == NULL)
        return;
    segue_pack_release(entry->pack);
    segue_packed_cache_release(entry->cache);
    free(entry);
}

bool segue_packed_entry_is_sampled(const segue_packed_entry *entry, uint32_t chunk)
{
    switch (entry->cache->params.verification) {
    case SEGUE_PACKED_VERIFY_OFF:
        return false;
    case SEGUE_PACKED_VERIFY_FULL:
        return true;
    case SEGUE_PACKED_VERIFY_SAMPLED:
        break;
    }
    if (chunk == 0 || chunk + 1 == segue_pack_chunk_count(entry->record.size_bytes))
        return true;
    // The high bits of a product by an odd number depend on all bits below.
    const uint64_t mixed =
        (entry->cache->seed + entry->record.first_chunk + chunk) * UINT64_C(0x9E3779B97F4A7C15);
    return (mixed >> 32) % SAMPLE_EVERY == 0;
}

static void count_checks(segue_packed_cache *cache, uint32_t chunk_count, uint64_t time_ns)
{
    pthread_mutex_lock(&cache->lock);
    cache->stats.verified_chunks += chunk_count;
    cache->stats.verify_ns += time_ns;
    pthread_mutex_unlock(&cache->lock);
}

bool segue_packed_entry_check_chunk(const segue_packed_entry *entry, uint32_t chunk,
                                    const void *data, size_t length_bytes)
{
    const uint64_t start_ns = segue_pack_now_ns();
    const bool matches =
        segue_pack_chunk_matches(entry->pack, &entry->record, chunk, data, length_bytes);
    count_checks(entry->cache, 1, segue_pack_now_ns() - start_ns);
    return matches;
}

uint64_t segue_packed_entry_device_checksum(const segue_packed_entry *entry, uint32_t chunk)
{
    if (chunk >= segue_pack_chunk_count(entry->record.size_bytes))
        return 0;
    return segue_pack_index_chunk(&entry->pack->index, entry->record.first_chunk + chunk).device;
}

void segue_packed_entry_report_corrupt(segue_packed_entry *entry, uint32_t chunk, const char *where)
{
    segue_packed_cache *cache = entry->cache;
    atomic_store(&entry->pack->corrupt[entry->at], true);
    pthread_mutex_lock(&cache->lock);
    cache->stats.corrupt_chunks++;
    pthread_mutex_unlock(&cache->lock);
    segue_packed_cache_log(
        cache, SEGUE_LOG_WARNING,
        "packed cache %s: %s of %s is corrupt %s, in %s at byte %" PRIu64 "; it is not served",
        cache->path, segue_pack_string(entry->pack, entry->record.name),
        segue_pack_string(entry->pack, entry->record.model), where, entry->pack->name,
        entry->record.offset_bytes + (uint64_t)chunk * SEGUE_PACKED_CHUNK_BYTES);
}

static segue_status fail_read(const segue_packed_entry *entry, int error)
{
    return segue_prepack_fail(SEGUE_IO_ERROR, "packed cache %s: %s could not be read: %s",
                              entry->cache->path, entry->pack->name,
                              error > 0 ? strerror(error) : "it became shorter");
}

static segue_status fail_corrupt(segue_packed_entry *entry, uint32_t chunk)
{
    segue_packed_entry_report_corrupt(entry, chunk, "on the disk");
    return segue_prepack_fail(SEGUE_MISMATCH,
                              "packed cache %s: chunk %" PRIu32 " of %s does not match its "
                              "checksum",
                              entry->cache->path, chunk,
                              segue_pack_string(entry->pack, entry->record.name));
}

static void count_read(const segue_packed_entry *entry, uint64_t bytes, uint64_t time_ns)
{
    segue_packed_cache *cache = entry->cache;
    pthread_mutex_lock(&cache->lock);
    cache->stats.read_bytes += bytes;
    cache->stats.read_ns += time_ns;
    pthread_mutex_unlock(&cache->lock);
}

/** Reads [begin, begin + length) of one chunk, checked. *whole_memory is NULL, or has room for a
 *  chunk. */
static segue_status read_checked(segue_packed_entry *entry, uint32_t chunk, size_t begin_bytes,
                                 void *data, size_t length_bytes, void **whole_memory)
{
    const uint64_t chunk_offset_bytes =
        entry->record.offset_bytes + (uint64_t)chunk * SEGUE_PACKED_CHUNK_BYTES;
    const size_t chunk_bytes = segue_pack_chunk_length(&entry->record, chunk);
    const bool checks = segue_packed_entry_is_sampled(entry, chunk);
    // A chunk that is read in part is checked all the same, on the side.
    const bool aside = checks && length_bytes != chunk_bytes;
    if (aside && *whole_memory == NULL)
        *whole_memory = malloc(SEGUE_PACKED_CHUNK_BYTES);
    void *whole = *whole_memory;
    if (aside && whole == NULL)
        return segue_prepack_fail_memory("a chunk of a packed tensor");
    const int error = aside
                          ? segue_pack_read(entry->pack->fd, chunk_offset_bytes, whole, chunk_bytes)
                          : segue_pack_read(entry->pack->fd, chunk_offset_bytes + begin_bytes, data,
                                            length_bytes);
    if (error != 0)
        return fail_read(entry, error);
    if (checks && !segue_packed_entry_check_chunk(entry, chunk, aside ? whole : data, chunk_bytes))
        return fail_corrupt(entry, chunk);
    if (aside)
        memcpy(data, (const char *)whole + begin_bytes, length_bytes);
    return SEGUE_OK;
}

segue_status segue_packed_entry_read(segue_packed_entry *entry, uint64_t offset_bytes, void *data,
                                     size_t length_bytes)
{
    if (entry == NULL || (data == NULL && length_bytes != 0))
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_entry_read: entry and data must not be NULL");
    if (offset_bytes > entry->record.size_bytes ||
        length_bytes > entry->record.size_bytes - offset_bytes)
        return segue_prepack_fail(
            SEGUE_OUT_OF_RANGE,
            "packed cache %s: %zu bytes at offset %" PRIu64 " leave the %" PRIu64 " bytes of %s",
            entry->cache->path, length_bytes, offset_bytes, entry->record.size_bytes,
            segue_pack_string(entry->pack, entry->record.name));
    void *whole = NULL;
    const uint64_t start_ns = segue_pack_now_ns();
    const size_t total_bytes = length_bytes;
    segue_status status = SEGUE_OK;
    while (status == SEGUE_OK && length_bytes != 0) {
        const uint32_t chunk = (uint32_t)(offset_bytes / SEGUE_PACKED_CHUNK_BYTES);
        const size_t begin_bytes = (size_t)(offset_bytes % SEGUE_PACKED_CHUNK_BYTES);
        size_t piece_bytes = segue_pack_chunk_length(&entry->record, chunk) - begin_bytes;
        piece_bytes = piece_bytes < length_bytes ? piece_bytes : length_bytes;
        status = read_checked(entry, chunk, begin_bytes, data, piece_bytes, &whole);
        data = (char *)data + piece_bytes;
        offset_bytes += piece_bytes;
        length_bytes -= piece_bytes;
    }
    free(whole);
    count_read(entry, total_bytes - length_bytes, segue_pack_now_ns() - start_ns);
    return status;
}

segue_status segue_packed_entry_accept(segue_packed_entry *entry, uint64_t offset_bytes,
                                       const void *data, size_t length_bytes, bool checks)
{
    for (size_t at = 0; checks && at < length_bytes; at += SEGUE_PACKED_CHUNK_BYTES) {
        const uint32_t chunk = (uint32_t)((offset_bytes + at) / SEGUE_PACKED_CHUNK_BYTES);
        if (segue_packed_entry_is_sampled(entry, chunk) &&
            !segue_packed_entry_check_chunk(entry, chunk, (const char *)data + at,
                                            segue_pack_chunk_length(&entry->record, chunk)))
            return fail_corrupt(entry, chunk);
    }
    count_read(entry, length_bytes, 0);
    return SEGUE_OK;
}

struct segue_packed_part {
    XXH3_state_t *state;
};

struct segue_packed_part *segue_packed_part_create(void)
{
    struct segue_packed_part *part = calloc(1, sizeof(*part));
    if (part == NULL)
        return NULL;
    part->state = XXH3_createState();
    if (part->state == NULL) {
        free(part);
        return NULL;
    }
    return part;
}

void segue_packed_part_destroy(struct segue_packed_part *part)
{
    if (part != NULL)
        (void)XXH3_freeState(part->state);
    free(part);
}

segue_status segue_packed_entry_check_part(segue_packed_entry *entry,
                                           struct segue_packed_part *part, uint64_t offset_bytes,
                                           const void *data, size_t length_bytes)
{
    const uint64_t start_ns = segue_pack_now_ns();
    uint32_t checked_count = 0;
    segue_status status = SEGUE_OK;
    while (status == SEGUE_OK && length_bytes != 0) {
        const uint32_t chunk = (uint32_t)(offset_bytes / SEGUE_PACKED_CHUNK_BYTES);
        const size_t begin_bytes = (size_t)(offset_bytes % SEGUE_PACKED_CHUNK_BYTES);
        const size_t chunk_bytes = segue_pack_chunk_length(&entry->record, chunk);
        const size_t rest_bytes = chunk_bytes - begin_bytes;
        const size_t part_bytes = rest_bytes < length_bytes ? rest_bytes : length_bytes;
        if (segue_packed_entry_is_sampled(entry, chunk)) {
            if (begin_bytes == 0)
                (void)XXH3_64bits_reset(part->state);
            (void)XXH3_64bits_update(part->state, data, part_bytes);
            checked_count += part_bytes == rest_bytes;
            if (part_bytes == rest_bytes &&
                XXH3_64bits_digest(part->state) !=
                    segue_pack_index_chunk(&entry->pack->index, entry->record.first_chunk + chunk)
                        .xxh3)
                status = fail_corrupt(entry, chunk);
        }
        data = (const char *)data + part_bytes;
        offset_bytes += part_bytes;
        length_bytes -= part_bytes;
    }
    count_checks(entry->cache, checked_count, segue_pack_now_ns() - start_ns);
    return status;
}

segue_status segue_packed_entry_read_unchecked(segue_packed_entry *entry, uint64_t offset_bytes,
                                               void *data, size_t length_bytes)
{
    const uint64_t start_ns = segue_pack_now_ns();
    const int error = segue_pack_read(entry->pack->fd, entry->record.offset_bytes + offset_bytes,
                                      data, length_bytes);
    count_read(entry, length_bytes, segue_pack_now_ns() - start_ns);
    return error == 0 ? SEGUE_OK : fail_read(entry, error);
}
