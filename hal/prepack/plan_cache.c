// SPDX-License-Identifier: Apache-2.0
// A plan and its cache: looking up, the lock, and storing what was packed.
#include "plan.h"

#include "cache.h"
#include "error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** Bytes read back at a time. */
#define PIECE_BYTES (UINT64_C(16) << 20)

static bool is_strict(const segue_prepack_plan *plan)
{
    return (plan->params.cache->params.flags & SEGUE_PACKED_CACHE_STRICT) != 0;
}

/** Gives a result its entry, unless it has another size: then whoever made it lies, and it is
 * packed anew, or refused, where the cache is strict. */
static segue_status take_entry(const segue_prepack_plan *plan, struct segue_prepack_result *result,
                               segue_packed_entry *entry)
{
    const struct segue_prepack_item *item = &plan->items[result->item];
    const uint64_t entry_bytes = entry->record.size_bytes;
    if (entry_bytes == item->packed_bytes) {
        segue_packed_entry_release(result->entry);
        result->entry = entry;
        result->way = SEGUE_PREPACK_HIT;
        return SEGUE_OK;
    }
    segue_packed_entry_release(entry);
    if (is_strict(plan))
        return segue_prepack_fail_on(plan->device, SEGUE_MISMATCH,
                                     "constant %s: its entry has %" PRIu64
                                     " bytes, and packed it has %" PRIu64,
                                     item->name, entry_bytes, item->packed_bytes);
    segue_prepack_plan_log(plan, SEGUE_LOG_WARNING,
                           "prepack: the entry of %s has %" PRIu64 " bytes, not %" PRIu64
                           "; it is packed again",
                           item->name, entry_bytes, item->packed_bytes);
    return SEGUE_OK;
}

segue_status segue_prepack_look_up(segue_prepack_plan *plan, struct segue_prepack_result *result)
{
    result->way = SEGUE_PREPACK_PACK;
    if (plan->params.cache == NULL)
        return SEGUE_OK;
    const struct segue_prepack_item *item = &plan->items[result->item];
    segue_packed_entry *entry = NULL;
    const segue_status status = segue_packed_cache_find(plan->params.cache, &item->key, plan->model,
                                                        item->name, &entry, NULL);
    if (status == SEGUE_OK)
        return take_entry(plan, result, entry);
    return status == SEGUE_NOT_FOUND && !is_strict(plan) ? SEGUE_OK : status;
}

/** The same for one that was missing. */
static segue_status look_again(segue_prepack_plan *plan, struct segue_prepack_result *result)
{
    segue_packed_entry *entry = NULL;
    const segue_status status =
        segue_packed_cache_find_again(plan->params.cache, &plan->items[result->item].key, &entry);
    if (status == SEGUE_OK)
        return take_entry(plan, result, entry);
    return status == SEGUE_NOT_FOUND ? SEGUE_OK : status;
}

/** Goes on without storing anything, or does not, where the cache is strict. */
static segue_status go_private(segue_prepack_plan *plan, segue_status status)
{
    segue_packed_writer_abandon(plan->writer);
    plan->writer = NULL;
    plan->is_private = true;
    plan->stats.packed_privately = true;
    if (is_strict(plan))
        return status;
    segue_prepack_plan_log(plan, SEGUE_LOG_WARNING,
                           "prepack: nothing is stored for the next time: %s",
                           segue_last_error()->message);
    return SEGUE_OK;
}

static bool is_missing(const struct segue_prepack_result *result)
{
    return result->is_wanted && !result->is_loaded && result->way == SEGUE_PREPACK_PACK;
}

/** Something is to be packed, or sources are to be noted. */
static bool has_news(const segue_prepack_plan *plan, bool *out_missing)
{
    bool notes = false;
    *out_missing = false;
    for (uint32_t i = 0; i < plan->result_count; i++)
        *out_missing = *out_missing || is_missing(&plan->results[i]);
    for (uint32_t i = 0; i < plan->item_count; i++) {
        for (uint32_t k = 0; k < plan->items[i].input_count; k++)
            notes = notes || plan->items[i].inputs[k].is_new;
    }
    return notes || *out_missing;
}

/** What another process has noted meanwhile is no news. */
static void drop_known_notes(segue_prepack_plan *plan)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        for (uint32_t k = 0; k < plan->items[i].input_count; k++) {
            struct segue_prepack_input *input = &plan->items[i].inputs[k];
            struct segue_packed_digest content;
            input->is_new = input->is_new &&
                            segue_packed_cache_find_source(plan->params.cache, &input->identity,
                                                           &content) != SEGUE_OK;
        }
    }
}

/** Takes the cache's lock and looks again: another process may have built meanwhile. */
static segue_status claim(segue_prepack_plan *plan, bool is_needed)
{
    segue_packed_cache *cache = plan->params.cache;
    if (plan->writer != NULL || plan->is_private ||
        (cache->params.flags & SEGUE_PACKED_CACHE_READ_ONLY) != 0)
        return SEGUE_OK;
    segue_status status = segue_packed_cache_begin(cache, &plan->writer);
    if (status != SEGUE_OK) {
        // Notes alone are not worth a complaint.
        plan->is_private = true;
        return is_needed ? go_private(plan, status) : SEGUE_OK;
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < plan->result_count; i++) {
        if (is_missing(&plan->results[i]))
            status = look_again(plan, &plan->results[i]);
    }
    drop_known_notes(plan);
    bool missing = false;
    if (status == SEGUE_OK && !has_news(plan, &missing)) {
        segue_packed_writer_abandon(plan->writer);
        plan->writer = NULL;
    }
    return status;
}

/** Makes the checksum kernel, where the cache asks for it; without it the host checks. */
static segue_status prepare_checksum(segue_prepack_plan *plan)
{
    const struct segue_packed_cache_params *params = &plan->params.cache->params;
    if (plan->checksum != NULL || (params->flags & SEGUE_PACKED_CACHE_VERIFY_ON_DEVICE) == 0 ||
        params->verification == SEGUE_PACKED_VERIFY_OFF)
        return SEGUE_OK;
    const segue_status status = segue_prepack_make_checksum(plan->device, &plan->checksum);
    if (status == SEGUE_OK || is_strict(plan))
        return status;
    segue_prepack_plan_log(plan, SEGUE_LOG_WARNING,
                           "prepack: checksums are computed on the host: %s",
                           segue_last_error()->message);
    return SEGUE_OK;
}

static void count_bytes(segue_prepack_plan *plan)
{
    for (uint32_t i = 0; i < plan->result_count; i++) {
        const struct segue_prepack_result *result = &plan->results[i];
        const struct segue_prepack_item *item = &plan->items[result->item];
        if (!result->is_wanted || result->is_loaded)
            continue;
        if (result->way == SEGUE_PREPACK_HIT || !item->packs) {
            plan->total_bytes += item->packed_bytes;
            continue;
        }
        for (uint32_t k = 0; k < item->input_count; k++)
            plan->total_bytes += item->inputs[k].params.size_bytes;
    }
}

segue_status segue_prepack_step_claim(segue_prepack_plan *plan, bool *out_done)
{
    *out_done = true;
    segue_status status = SEGUE_OK;
    if (plan->params.cache != NULL) {
        bool missing = false;
        if (has_news(plan, &missing))
            status = claim(plan, missing);
        if (status == SEGUE_OK)
            status = prepare_checksum(plan);
    }
    if (status == SEGUE_OK)
        count_bytes(plan);
    return status;
}

segue_status segue_prepack_replace_entry(segue_prepack_plan *plan,
                                         struct segue_prepack_result *result)
{
    plan->stats.corrupt_count++;
    if (is_strict(plan))
        return SEGUE_MISMATCH;
    segue_prepack_plan_log(plan, SEGUE_LOG_WARNING,
                           "prepack: the entry of %s is corrupt; it is packed again",
                           plan->items[result->item].name);
    segue_packed_entry_release(result->entry);
    result->entry = NULL;
    result->is_loaded = false;
    // What was uploaded of it must not be unordered with what comes now.
    segue_status status = segue_prepack_stream_flush(plan->stream);
    result->way = SEGUE_PREPACK_PACK;
    if (status == SEGUE_OK)
        status = look_again(plan, result);
    if (status == SEGUE_OK && result->way == SEGUE_PREPACK_PACK)
        status = claim(plan, true);
    return status;
}

/** Whether another result goes to the cache under the same key: constants of equal content, each
 *  with a destination of its own. */
static bool is_stored_elsewhere(const segue_prepack_plan *plan,
                                const struct segue_prepack_result *result)
{
    const struct segue_prepack_item *item = &plan->items[result->item];
    for (uint32_t i = 0; i < plan->result_count; i++) {
        const struct segue_prepack_result *other = &plan->results[i];
        const bool comes_first =
            other < result && other->is_wanted && other->way == SEGUE_PREPACK_PACK;
        if (other != result && (other->is_stored || comes_first) &&
            memcmp(&plan->items[other->item].key, &item->key, sizeof(item->key)) == 0)
            return true;
    }
    return false;
}

segue_status segue_prepack_open_tensor(segue_prepack_plan *plan,
                                       struct segue_prepack_result *result)
{
    if (plan->writer == NULL || is_stored_elsewhere(plan, result))
        return SEGUE_OK;
    const struct segue_prepack_item *item = &plan->items[result->item];
    const struct segue_packed_tensor tensor = {
        .key = item->key,
        .model = plan->model,
        .name = item->name,
        .size_bytes = item->packed_bytes,
    };
    const segue_status status = segue_packed_writer_add(plan->writer, &tensor);
    result->is_stored = status == SEGUE_OK;
    return status == SEGUE_OK ? SEGUE_OK : go_private(plan, status);
}

segue_status segue_prepack_store_piece(void *context, const void *data, size_t length_bytes)
{
    segue_prepack_plan *plan = context;
    if (plan->writer == NULL)
        return SEGUE_OK;
    const segue_status status = segue_packed_writer_append(plan->writer, data, length_bytes);
    if (status == SEGUE_OK)
        plan->stats.stored_bytes += length_bytes;
    return status == SEGUE_OK ? SEGUE_OK : go_private(plan, status);
}

/** Reads a packed constant back and adds it. */
static segue_status store_result(segue_prepack_plan *plan, struct segue_prepack_result *result)
{
    segue_status status = segue_prepack_open_tensor(plan, result);
    if (status != SEGUE_OK || plan->writer == NULL)
        return status;
    const uint64_t size_bytes = plan->items[result->item].packed_bytes;
    void *piece = malloc(size_bytes < PIECE_BYTES ? (size_t)size_bytes : PIECE_BYTES);
    if (piece == NULL)
        return segue_prepack_fail_memory("a packed constant");
    for (uint64_t offset = 0; status == SEGUE_OK && offset < size_bytes; offset += PIECE_BYTES) {
        const uint64_t rest = size_bytes - offset;
        const uint64_t length = rest < PIECE_BYTES ? rest : PIECE_BYTES;
        status = segue_buffer_read(result->buffer, offset, piece, length);
        if (status == SEGUE_OK)
            status = segue_prepack_store_piece(plan, piece, (size_t)length);
    }
    free(piece);
    return status;
}

/** Whether all sources are still what was digested. */
static bool are_sources_unchanged(const segue_prepack_plan *plan)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        for (uint32_t k = 0; k < plan->items[i].input_count; k++) {
            const struct segue_prepack_input *input = &plan->items[i].inputs[k];
            const struct segue_prepack_source *source = &input->params;
            struct segue_packed_digest identity;
            bool settled = false;
            if (source->kind == SEGUE_PREPACK_FILE && input->is_known &&
                (segue_packed_source_identity(source->fd, source->offset_bytes, source->size_bytes,
                                              &identity, &settled) != SEGUE_OK ||
                 memcmp(&identity, &input->identity, sizeof(identity)) != 0))
                return false;
        }
    }
    return true;
}

static segue_status add_notes(segue_prepack_plan *plan)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < plan->item_count; i++) {
        for (uint32_t k = 0; status == SEGUE_OK && k < plan->items[i].input_count; k++) {
            struct segue_prepack_input *input = &plan->items[i].inputs[k];
            if (input->is_new)
                status =
                    segue_packed_writer_add_source(plan->writer, &input->identity, &input->content);
            input->is_new = false;
        }
    }
    return status;
}

static segue_status publish(segue_prepack_plan *plan)
{
    segue_status status = SEGUE_OK;
    if (!are_sources_unchanged(plan))
        status = segue_prepack_fail_on(plan->device, SEGUE_INVALID_DATA,
                                       "prepack: a source file was changed while it was loaded");
    if (status == SEGUE_OK)
        status = add_notes(plan);
    if (status != SEGUE_OK)
        return go_private(plan, status);
    segue_packed_writer *writer = plan->writer;
    plan->writer = NULL;
    status = segue_packed_writer_publish(writer);
    return status == SEGUE_OK ? SEGUE_OK : go_private(plan, status);
}

segue_status segue_prepack_step_store(segue_prepack_plan *plan, bool *out_done)
{
    if (plan->writer == NULL) {
        *out_done = true;
        return SEGUE_OK;
    }
    while (plan->cursor < plan->result_count) {
        struct segue_prepack_result *result = &plan->results[plan->cursor++];
        if (result->way != SEGUE_PREPACK_PACK || !result->is_wanted || result->is_stored ||
            is_stored_elsewhere(plan, result))
            continue;
        const segue_status status = segue_prepack_stream_finish(plan->stream);
        return status == SEGUE_OK ? store_result(plan, result) : status;
    }
    *out_done = true;
    return publish(plan);
}
