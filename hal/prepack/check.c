// SPDX-License-Identifier: Apache-2.0
// Reading whole files to find what is corrupt.
#include "cache.h"

#include "error.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** One verification. */
struct check {
    segue_packed_cache *cache;
    segue_packed_defect_fn defect;
    void *context;
    struct segue_packed_verify_result result;
    unsigned char *chunk;
};

SEGUE_PRINTF(2, 3) static void complain(struct check *check, const char *format, ...)
{
    char message[2560];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (check->defect != NULL)
        check->defect(check->context, message);
}

static bool is_zero(const unsigned char *bytes, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/** Whether the zeros behind a tensor are zeros. */
static bool check_padding(struct check *check, const struct segue_pack *pack,
                          const struct segue_pack_entry *record)
{
    const uint64_t end_bytes = record->offset_bytes + record->size_bytes;
    const size_t rest_bytes = (size_t)(segue_pack_align(end_bytes) - end_bytes);
    return segue_pack_read(pack->fd, end_bytes, check->chunk, rest_bytes) == 0 &&
           is_zero(check->chunk, rest_bytes);
}

static void check_entry(struct check *check, struct segue_pack *pack, uint32_t at)
{
    struct segue_pack_entry record;
    segue_pack_index_entry(&pack->index, at, &record);
    const uint32_t chunk_count = (uint32_t)segue_pack_chunk_count(record.size_bytes);
    const char *name = segue_pack_string(pack, record.name);
    bool sound = true;
    for (uint32_t i = 0; i < chunk_count; i++) {
        const size_t length_bytes = segue_pack_chunk_length(&record, i);
        const uint64_t offset_bytes = record.offset_bytes + (uint64_t)i * SEGUE_PACKED_CHUNK_BYTES;
        const int error = segue_pack_read(pack->fd, offset_bytes, check->chunk, length_bytes);
        check->result.chunk_count++;
        check->result.byte_count += length_bytes;
        if (error == 0 && segue_pack_chunk_matches(pack, &record, i, check->chunk, length_bytes))
            continue;
        sound = false;
        check->result.corrupt_chunks++;
        complain(check, "%s: chunk %" PRIu32 " of %s of %s, at byte %" PRIu64 ", %s", pack->name, i,
                 name, segue_pack_string(pack, record.model), offset_bytes,
                 error == 0  ? "does not match its checksum"
                 : error > 0 ? strerror(error)
                             : "is cut off");
    }
    if (sound && !check_padding(check, pack, &record)) {
        sound = false;
        complain(check, "%s: bytes behind %s are not zero", pack->name, name);
    }
    check->result.entry_count++;
    if (!sound) {
        check->result.corrupt_entries++;
        atomic_store(&pack->corrupt[at], true);
    }
}

/** Header, index and footer may have changed since the file was opened. */
static bool check_ends(struct check *check, const struct segue_pack *pack)
{
    struct segue_pack *again = NULL;
    const char *problem = NULL;
    const bool shared = (check->cache->params.flags & SEGUE_PACKED_CACHE_SHARED_FOLDER) != 0;
    const enum segue_pack_state state =
        segue_pack_open(check->cache->folder_fd, pack->name, shared, &again, &problem);
    if (state == SEGUE_PACK_VALID) {
        segue_pack_release(again);
        return true;
    }
    check->result.invalid_files++;
    complain(check, "%s: %s", pack->name, problem);
    return false;
}

segue_status segue_packed_cache_verify(segue_packed_cache *cache, segue_packed_defect_fn defect,
                                       void *context, struct segue_packed_verify_result *out_result)
{
    if (cache == NULL || out_result == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_packed_cache_verify: cache and out_result must not be "
                                  "NULL");
    struct check check = {.cache = cache, .defect = defect, .context = context};
    check.chunk = malloc(SEGUE_PACKED_CHUNK_BYTES);
    if (check.chunk == NULL)
        return segue_prepack_fail_memory("a chunk of a packed tensor");
    // Packs of its own, so that the cache stays usable meanwhile.
    pthread_mutex_lock(&cache->lock);
    segue_status status = segue_packed_cache_rescan(cache, NULL);
    const uint32_t pack_count = cache->pack_count;
    struct segue_pack **packs = calloc((size_t)pack_count + 1, sizeof(packs[0]));
    for (uint32_t i = 0; packs != NULL && i < pack_count; i++) {
        packs[i] = cache->packs[i];
        segue_pack_retain(packs[i]);
    }
    check.result.invalid_files = cache->stats.invalid_files;
    pthread_mutex_unlock(&cache->lock);
    if (packs == NULL)
        status = segue_prepack_fail_memory("the files of a packed cache");
    if (status == SEGUE_OK && check.result.invalid_files != 0)
        complain(&check, "%" PRIu64 " files are not valid or not readable and were left out",
                 check.result.invalid_files);
    for (uint32_t i = 0; packs != NULL && i < pack_count; i++) {
        check.result.file_count++;
        const bool sound = status == SEGUE_OK && check_ends(&check, packs[i]);
        for (uint32_t k = 0; sound && k < packs[i]->index.footer.entry_count; k++)
            check_entry(&check, packs[i], k);
        segue_pack_release(packs[i]);
    }
    free(packs);
    free(check.chunk);
    if (status != SEGUE_OK)
        return status;
    *out_result = check.result;
    if (check.result.corrupt_entries != 0 || check.result.invalid_files != 0)
        return segue_prepack_fail(
            SEGUE_MISMATCH,
            "packed cache %s: %" PRIu64 " corrupt entries, %" PRIu64 " files that are not valid",
            cache->path, check.result.corrupt_entries, check.result.invalid_files);
    return SEGUE_OK;
}
