// SPDX-License-Identifier: Apache-2.0
// Uploading and packing, a bounded piece a step.
#include "plan.h"

#include "error.h"

/** Uploaded in one step. */
#define STEP_BYTES (UINT64_C(64) << 20)

/** Uploads the next piece of `bytes` from the byte cursor on; *out_done with the last one. */
static segue_status upload(segue_prepack_plan *plan, const struct segue_prepack_bytes *bytes,
                           segue_buffer *target, const struct segue_prepack_observer *observer,
                           bool *out_done)
{
    const uint64_t rest_bytes = bytes->size_bytes - plan->byte_cursor;
    const uint64_t length_bytes = rest_bytes < STEP_BYTES ? rest_bytes : STEP_BYTES;
    const segue_status status = segue_prepack_stream_upload(
        plan->stream, bytes, target, plan->byte_cursor, length_bytes, observer);
    if (status != SEGUE_OK)
        return status;
    if (bytes->entry != NULL)
        plan->stats.cache_read_bytes += length_bytes;
    else
        plan->stats.source_read_bytes += length_bytes;
    plan->byte_cursor += length_bytes;
    *out_done = plan->byte_cursor == bytes->size_bytes;
    if (*out_done)
        plan->byte_cursor = 0;
    return SEGUE_OK;
}

static segue_status make_buffer(segue_prepack_plan *plan, uint64_t size_bytes,
                                enum segue_memory_type memory, const char *label,
                                segue_buffer **buffer)
{
    if (*buffer != NULL)
        return SEGUE_OK;
    const struct segue_buffer_params params = {
        .size_bytes = size_bytes, .memory = memory, .label = label};
    return segue_buffer_create(plan->device, &params, buffer);
}

/** A source that something else reads, too. *out_done with its last piece. */
static segue_status load_source(segue_prepack_plan *plan, struct segue_prepack_item *item,
                                uint32_t at, bool *out_done)
{
    struct segue_prepack_input *input = &item->inputs[at];
    const struct segue_prepack_bytes bytes = {
        .source = &input->params, .size_bytes = input->params.size_bytes, .name = item->name};
    segue_status status =
        make_buffer(plan, bytes.size_bytes, SEGUE_MEMORY_CONSTANT, item->name, &input->kept);
    if (status == SEGUE_OK)
        status = upload(plan, &bytes, input->kept, NULL, out_done);
    return status;
}

/** The packed bytes from the cache. */
static segue_status load_entry(segue_prepack_plan *plan, struct segue_prepack_result *result,
                               bool *out_done)
{
    const struct segue_prepack_item *item = &plan->items[result->item];
    const struct segue_prepack_bytes bytes = {
        .entry = result->entry,
        .size_bytes = item->packed_bytes,
        .name = item->name,
        // Then all of it is held against the other checksums, on the device.
        .is_unchecked = plan->checksum != NULL,
    };
    const segue_status status = upload(plan, &bytes, result->buffer, NULL, out_done);
    if (status != SEGUE_MISMATCH)
        return status;
    plan->byte_cursor = 0;
    return segue_prepack_replace_entry(plan, result);
}

/** A constant that is not packed: straight into its memory, and to the cache on the way. */
static segue_status load_plain(segue_prepack_plan *plan, struct segue_prepack_result *result,
                               bool *out_done)
{
    const struct segue_prepack_item *item = &plan->items[result->item];
    const struct segue_prepack_bytes bytes = {
        .source = &item->inputs[0].params, .size_bytes = item->packed_bytes, .name = item->name};
    const struct segue_prepack_observer observer = {.observe = segue_prepack_store_piece,
                                                    .context = plan};
    segue_status status = SEGUE_OK;
    if (plan->byte_cursor == 0)
        status = segue_prepack_open_tensor(plan, result);
    if (status == SEGUE_OK)
        status =
            upload(plan, &bytes, result->buffer, result->is_stored ? &observer : NULL, out_done);
    return status;
}

/** The next piece of a source of a constant that is packed, or, behind the last one, its packing.
 */
static segue_status load_packed(segue_prepack_plan *plan, struct segue_prepack_result *result,
                                bool *out_done)
{
    struct segue_prepack_item *item = &plan->items[result->item];
    while (plan->source_cursor < item->input_count) {
        const uint32_t at = plan->source_cursor;
        struct segue_prepack_input *input = &item->inputs[at];
        if (input->kept != NULL) {
            plan->source_cursor++;
            continue;
        }
        const struct segue_prepack_bytes bytes = {
            .source = &input->params, .size_bytes = input->params.size_bytes, .name = item->name};
        bool source_done = false;
        segue_status status =
            make_buffer(plan, bytes.size_bytes, SEGUE_MEMORY_DEVICE, item->name, &plan->raw[at]);
        if (status == SEGUE_OK)
            status = upload(plan, &bytes, plan->raw[at], NULL, &source_done);
        plan->source_cursor += source_done;
        return status;
    }
    segue_buffer *inputs[SEGUE_PREPACK_MAX_SOURCES];
    for (uint32_t i = 0; i < item->input_count; i++)
        inputs[i] = item->inputs[i].kept != NULL ? item->inputs[i].kept : plan->raw[i];
    struct segue_buffer_ref bindings[SEGUE_PREPACK_MAX_SOURCES + 1];
    struct segue_dispatch dispatch;
    segue_prepack_make_dispatch(&plan->packers[item->packer], &item->packing.launch, inputs,
                                result->buffer, bindings, &dispatch);
    const segue_status status = segue_prepack_stream_dispatch(plan->stream, &dispatch);
    // What was recorded keeps the inputs alive until the packing is done.
    for (uint32_t i = 0; i < item->input_count; i++) {
        segue_buffer_destroy(plan->raw[i]);
        plan->raw[i] = NULL;
    }
    plan->source_cursor = 0;
    *out_done = true;
    return status;
}

static segue_status load_result(segue_prepack_plan *plan, struct segue_prepack_result *result,
                                bool *out_done)
{
    const struct segue_prepack_item *item = &plan->items[result->item];
    segue_status status = SEGUE_OK;
    if (result->buffer == NULL && item->destination != NULL)
        status = segue_buffer_create_view(item->destination, 0, SEGUE_WHOLE_SIZE, item->name,
                                          &result->buffer);
    else
        status = make_buffer(plan, item->packed_bytes, SEGUE_MEMORY_CONSTANT, item->name,
                             &result->buffer);
    if (status != SEGUE_OK)
        return status;
    if (result->way == SEGUE_PREPACK_HIT)
        return load_entry(plan, result, out_done);
    return item->packs ? load_packed(plan, result, out_done) : load_plain(plan, result, out_done);
}

/** Sources that are kept come first: packing then reads them. */
static segue_status step_sources(segue_prepack_plan *plan)
{
    struct segue_prepack_item *item = &plan->items[plan->cursor];
    const uint32_t at = plan->source_cursor;
    const bool is_wanted = item->keeps_sources && at < item->input_count &&
                           (item->inputs[at].kept == NULL || plan->byte_cursor != 0);
    bool source_done = !is_wanted;
    const segue_status status = is_wanted ? load_source(plan, item, at, &source_done) : SEGUE_OK;
    plan->source_cursor += source_done;
    if (plan->source_cursor >= item->input_count || !item->keeps_sources) {
        plan->source_cursor = 0;
        plan->cursor++;
    }
    return status;
}

segue_status segue_prepack_step_load(segue_prepack_plan *plan, bool *out_done)
{
    // The cursor goes over all constants, then over all results.
    if (plan->cursor < plan->item_count)
        return step_sources(plan);
    const uint32_t at = plan->cursor - plan->item_count;
    if (at == plan->result_count) {
        *out_done = true;
        return SEGUE_OK;
    }
    struct segue_prepack_result *result = &plan->results[at];
    if (!result->is_wanted || result->is_loaded) {
        plan->cursor++;
        return SEGUE_OK;
    }
    bool result_done = false;
    const segue_status status = load_result(plan, result, &result_done);
    if (status != SEGUE_OK || !result_done)
        return status;
    result->is_loaded = true;
    plan->stats.hit_count += result->way == SEGUE_PREPACK_HIT;
    plan->stats.packed_count += result->way == SEGUE_PREPACK_PACK;
    plan->cursor++;
    return SEGUE_OK;
}
