// SPDX-License-Identifier: Apache-2.0
// The load: hands the pipeline one job after the other, and marks what has arrived. Sources that
// are kept come first, since packing may read them; then result by result, what is packed in ranges
// of rows.
#include "plan.h"

#include "error.h"
#include "files.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** Ranges that are handed out and not packed yet, at most. */
#define OPEN_RANGES 128u
/** Ranges of one constant that the memory for sources has room for: one is filled while others
 *  arrive or are packed. */
#define RANGES_IN_MEMORY 4u
/** Places for sources begin at multiples of this. */
#define PLACE_ALIGN_BYTES 256u

/** struct segue_prepack_job.kind; index is an item or a result. */
enum job_kind {
    KEEP,
    ENTRY,
    PLAIN,
    SOURCE,
    PACK,
};

/** A range of rows on its way. */
struct open_range {
    struct segue_prepack_range range;
    struct segue_prepack_raw_place place;
    bool has_place;
};

struct segue_prepack_load {
    struct segue_prepack_upload *upload;
    struct segue_prepack_raw raw;
    uint64_t raw_bytes;
    /** Of the constant at the plan's cursor: the next source and the next run of it. */
    uint32_t source;
    uint32_t run;
    /** Where its next range begins. */
    uint32_t row;
    /** The newest one of `ranges` is being handed out. */
    bool is_open;
    /** Ranges in turn: those from `first` on are handed out. */
    struct open_range ranges[OPEN_RANGES];
    uint32_t first;
    uint32_t count;
    /** An entry was corrupt: when all is done, what is not loaded comes again. */
    bool comes_again;
    uint64_t allocate_ns;
};

static segue_status make_buffer(segue_prepack_plan *plan, uint64_t size_bytes, const char *label,
                                segue_buffer **buffer)
{
    if (*buffer != NULL)
        return SEGUE_OK;
    const struct segue_buffer_params params = {
        .size_bytes = size_bytes, .memory = SEGUE_MEMORY_CONSTANT, .label = label};
    const uint64_t start_ns = segue_pack_now_ns();
    const segue_status status = segue_buffer_create(plan->device, &params, buffer);
    plan->load->allocate_ns += segue_pack_now_ns() - start_ns;
    return status;
}

static struct segue_prepack_bytes bytes_of(const struct segue_prepack_item *item, uint32_t source)
{
    return (struct segue_prepack_bytes){
        .source = &item->inputs[source].params,
        .size_bytes = item->inputs[source].params.size_bytes,
        .name = item->name,
    };
}

/** Bytes that a range needs a place for: sources that are kept have theirs. */
static uint64_t place_bytes(const struct segue_prepack_item *item,
                            const struct segue_prepack_range *range)
{
    uint64_t size_bytes = 0;
    for (uint32_t i = 0; i < item->input_count; i++) {
        const struct segue_prepack_input *input = &item->inputs[i];
        if (input->kept != NULL)
            continue;
        const uint64_t length_bytes = segue_prepack_rows_source_bytes(
            &item->packing.rows, i, input->params.size_bytes, range);
        size_bytes +=
            (length_bytes + PLACE_ALIGN_BYTES - 1) / PLACE_ALIGN_BYTES * PLACE_ALIGN_BYTES;
    }
    return size_bytes;
}

/** Where a source of a range is in its place. */
static uint64_t source_place(const struct segue_prepack_item *item,
                             const struct segue_prepack_range *range, uint32_t source)
{
    struct segue_prepack_item before = *item;
    before.input_count = source;
    return place_bytes(&before, range);
}

/** Memory for sources: as much as there is for staging, but not more than there are sources. */
static uint64_t ring_bytes(segue_prepack_plan *plan)
{
    static const struct segue_prepack_range all = {0, 0};
    struct segue_prepack_load *load = plan->load;
    uint64_t source_bytes = load->raw_bytes;
    for (uint32_t i = 0; load->raw_bytes == 0 && i < plan->result_count; i++) {
        const struct segue_prepack_result *result = &plan->results[i];
        const struct segue_prepack_item *item = &plan->items[result->item];
        if (item->packs && result->is_wanted && result->way == SEGUE_PREPACK_PACK)
            source_bytes += place_bytes(item, &all);
    }
    load->raw_bytes = source_bytes;
    const uint64_t most_bytes = plan->params.limits.staging_bytes;
    return load->raw_bytes < most_bytes ? load->raw_bytes : most_bytes;
}

/** Opens the next range of a constant; *out_opened false: there is no room now. */
static segue_status open_range(segue_prepack_plan *plan, const struct segue_prepack_item *item,
                               bool *out_opened)
{
    struct segue_prepack_load *load = plan->load;
    *out_opened = load->count < OPEN_RANGES;
    if (!*out_opened)
        return SEGUE_OK;
    struct open_range *open = &load->ranges[(load->first + load->count) % OPEN_RANGES];
    static const struct segue_prepack_rows whole = {0};
    open->range =
        segue_prepack_rows_range(item->keeps_sources ? &whole : &item->packing.rows,
                                 item->input_count, load->row, ring_bytes(plan) / RANGES_IN_MEMORY);
    const uint64_t size_bytes = place_bytes(item, &open->range);
    open->has_place = size_bytes != 0;
    segue_status status = SEGUE_OK;
    if (open->has_place)
        status = segue_prepack_raw_take(&load->raw, plan->device, plan->stream, ring_bytes(plan),
                                        size_bytes, &open->place, out_opened);
    if (status != SEGUE_OK || !*out_opened)
        return status;
    load->count++;
    load->is_open = true;
    load->source = 0;
    load->run = 0;
    return SEGUE_OK;
}

/** The next run of a source of the open range; false: there is none left. */
static bool next_run(segue_prepack_plan *plan, const struct segue_prepack_item *item,
                     struct segue_prepack_job *out_job)
{
    struct segue_prepack_load *load = plan->load;
    const struct open_range *open = &load->ranges[(load->first + load->count - 1) % OPEN_RANGES];
    while (load->source < item->input_count && item->inputs[load->source].kept != NULL)
        load->source++;
    if (load->source == item->input_count)
        return false;
    struct segue_prepack_run runs[2];
    const uint32_t run_count =
        segue_prepack_rows_runs(&item->packing.rows, load->source,
                                item->inputs[load->source].params.size_bytes, &open->range, runs);
    const struct segue_prepack_run *run = &runs[load->run];
    *out_job = (struct segue_prepack_job){
        .kind = SOURCE,
        .bytes = bytes_of(item, load->source),
        .offset_bytes = run->offset_bytes,
        .length_bytes = run->length_bytes,
        .target = open->place.buffer,
        .target_offset_bytes = open->place.offset_bytes +
                               source_place(item, &open->range, load->source) + run->place_bytes,
        .after = open->place.after,
    };
    if (++load->run == run_count) {
        load->run = 0;
        load->source++;
    }
    return true;
}

/** The next source of a constant that is packed, or the packing of a range. */
static segue_status next_of_packed(segue_prepack_plan *plan, uint32_t at,
                                   struct segue_prepack_job *out_job, bool *out_has)
{
    struct segue_prepack_load *load = plan->load;
    const struct segue_prepack_item *item = &plan->items[plan->results[at].item];
    *out_has = true;
    if (!load->is_open) {
        const segue_status status = open_range(plan, item, out_has);
        if (status != SEGUE_OK || !*out_has)
            return status;
    }
    if (next_run(plan, item, out_job))
        return SEGUE_OK;
    const struct segue_prepack_range range =
        load->ranges[(load->first + load->count - 1) % OPEN_RANGES].range;
    *out_job = (struct segue_prepack_job){.kind = PACK, .index = at};
    load->is_open = false;
    load->row = range.first + range.count;
    if (range.count == 0 || segue_prepack_rows_is_last(&item->packing.rows, &range)) {
        load->row = 0;
        plan->cursor++;
    }
    return SEGUE_OK;
}

static segue_status prepare_result(segue_prepack_plan *plan, struct segue_prepack_result *result)
{
    const struct segue_prepack_item *item = &plan->items[result->item];
    if (result->buffer == NULL && item->destination != NULL)
        return segue_buffer_create_view(item->destination, 0, SEGUE_WHOLE_SIZE, item->name,
                                        &result->buffer);
    return make_buffer(plan, item->packed_bytes, item->name, &result->buffer);
}

/** A job of the result at the cursor. */
static segue_status next_of_result(segue_prepack_plan *plan, uint32_t at,
                                   struct segue_prepack_job *out_job, bool *out_has)
{
    struct segue_prepack_result *result = &plan->results[at];
    const struct segue_prepack_item *item = &plan->items[result->item];
    const bool is_hit = result->way == SEGUE_PREPACK_HIT;
    if (!is_hit && item->packs)
        return next_of_packed(plan, at, out_job, out_has);
    *out_job = (struct segue_prepack_job){
        .kind = is_hit ? ENTRY : PLAIN,
        .index = at,
        .bytes = bytes_of(item, 0),
        .length_bytes = item->packed_bytes,
    };
    if (is_hit)
        out_job->bytes = (struct segue_prepack_bytes){
            .entry = result->entry,
            .size_bytes = item->packed_bytes,
            .name = item->name,
            // Then all of it is held against the other checksums, on the device.
            .is_unchecked = plan->checksum != NULL,
        };
    *out_has = true;
    plan->cursor++;
    return SEGUE_OK;
}

/** A source that something else reads, too. *out_has false: the item at the cursor has no more. */
static segue_status next_of_item(segue_prepack_plan *plan, struct segue_prepack_job *out_job,
                                 bool *out_has)
{
    struct segue_prepack_load *load = plan->load;
    struct segue_prepack_item *item = &plan->items[plan->cursor];
    while (item->keeps_sources && load->source < item->input_count) {
        struct segue_prepack_input *input = &item->inputs[load->source];
        if (input->kept != NULL) {
            load->source++;
            continue;
        }
        const segue_status status =
            make_buffer(plan, input->params.size_bytes, item->name, &input->kept);
        if (status != SEGUE_OK)
            return status;
        *out_job = (struct segue_prepack_job){
            .kind = KEEP,
            .index = plan->cursor,
            .bytes = bytes_of(item, load->source),
            .length_bytes = input->params.size_bytes,
            .target = input->kept,
        };
        load->source++;
        *out_has = true;
        return SEGUE_OK;
    }
    load->source = 0;
    plan->cursor++;
    return SEGUE_OK;
}

static segue_status next_job(void *context, struct segue_prepack_job *out_job, bool *out_has)
{
    segue_prepack_plan *plan = context;
    segue_status status = SEGUE_OK;
    *out_has = false;
    // The cursor goes over all constants, then over all results.
    while (status == SEGUE_OK && !*out_has && plan->cursor < plan->item_count)
        status = next_of_item(plan, out_job, out_has);
    if (status != SEGUE_OK || *out_has)
        return status;
    uint32_t at = plan->cursor - plan->item_count;
    while (at < plan->result_count &&
           (!plan->results[at].is_wanted || plan->results[at].is_loaded)) {
        plan->cursor++;
        at++;
    }
    return at < plan->result_count ? next_of_result(plan, at, out_job, out_has) : SEGUE_OK;
}

static segue_status job_arrived(void *context, const struct segue_prepack_job *job,
                                uint64_t offset_bytes, const void *data, size_t length_bytes)
{
    segue_prepack_plan *plan = context;
    if (job->bytes.entry != NULL)
        plan->stats.cache_read_bytes += length_bytes;
    else
        plan->stats.source_read_bytes += length_bytes;
    if (job->kind != PLAIN)
        return SEGUE_OK;
    // What is not packed goes to the cache on the way.
    struct segue_prepack_result *result = &plan->results[job->index];
    segue_status status = SEGUE_OK;
    if (offset_bytes == 0)
        status = segue_prepack_open_tensor(plan, result);
    if (status == SEGUE_OK && result->is_stored)
        status = segue_prepack_store_piece(plan, data, length_bytes);
    return status;
}

static void mark_loaded(segue_prepack_plan *plan, struct segue_prepack_result *result)
{
    result->is_loaded = true;
    plan->stats.hit_count += result->way == SEGUE_PREPACK_HIT;
    plan->stats.packed_count += result->way == SEGUE_PREPACK_PACK;
}

/** Memory is allocated while readers are at what comes next: they need not wait for it. */
static segue_status locate(void *context, const struct segue_prepack_job *job,
                           segue_buffer **out_target)
{
    segue_prepack_plan *plan = context;
    struct segue_prepack_result *result = &plan->results[job->index];
    const segue_status status = prepare_result(plan, result);
    *out_target = result->buffer;
    return status;
}

/** Records the packing of a range. */
static segue_status record_packing(segue_prepack_plan *plan,
                                   const struct segue_prepack_result *result,
                                   const struct open_range *open)
{
    const struct segue_prepack_item *item = &plan->items[result->item];
    const struct segue_prepack_rows *rows = &item->packing.rows;
    struct segue_prepack_launch launch = item->packing.launch;
    unsigned char *constants = malloc((size_t)launch.constants_size_bytes + 1);
    if (constants == NULL)
        return segue_prepack_fail_memory("the packing of a constant");
    if (launch.constants_size_bytes != 0)
        memcpy(constants, launch.constants, launch.constants_size_bytes);
    segue_prepack_rows_launch(rows, &open->range, &launch, constants);
    segue_buffer *inputs[SEGUE_PREPACK_MAX_SOURCES];
    for (uint32_t i = 0; i < item->input_count; i++)
        inputs[i] = item->inputs[i].kept != NULL ? item->inputs[i].kept : open->place.buffer;
    struct segue_buffer_ref bindings[SEGUE_PREPACK_MAX_SOURCES + 1];
    struct segue_dispatch dispatch;
    segue_prepack_make_dispatch(&plan->packers[item->packer], &launch, inputs, result->buffer,
                                bindings, &dispatch);
    for (uint32_t i = 0; i < item->input_count; i++) {
        if (item->inputs[i].kept != NULL)
            continue;
        bindings[i].offset_bytes = open->place.offset_bytes + source_place(item, &open->range, i);
        bindings[i].length_bytes = segue_prepack_rows_source_bytes(
            rows, i, item->inputs[i].params.size_bytes, &open->range);
    }
    segue_prepack_rows_packed(rows, item->packed_bytes, &open->range,
                              &bindings[item->input_count].offset_bytes,
                              &bindings[item->input_count].length_bytes);
    const segue_status status = segue_prepack_stream_dispatch(plan->stream, &dispatch);
    free(constants);
    return status;
}

static segue_status job_ended(void *context, const struct segue_prepack_job *job)
{
    segue_prepack_plan *plan = context;
    if (job->kind == ENTRY || job->kind == PLAIN)
        mark_loaded(plan, &plan->results[job->index]);
    if (job->kind != PACK)
        return SEGUE_OK;
    struct segue_prepack_load *load = plan->load;
    struct segue_prepack_result *result = &plan->results[job->index];
    const struct open_range *open = &load->ranges[load->first];
    segue_status status = prepare_result(plan, result);
    if (status == SEGUE_OK)
        status = record_packing(plan, result, open);
    if (status != SEGUE_OK)
        return status;
    if (open->has_place)
        segue_prepack_raw_give(&load->raw, plan->stream);
    const struct segue_prepack_rows *rows = &plan->items[result->item].packing.rows;
    if (open->range.count == 0 || segue_prepack_rows_is_last(rows, &open->range))
        mark_loaded(plan, result);
    load->first = (load->first + 1) % OPEN_RANGES;
    load->count--;
    return SEGUE_OK;
}

static segue_status job_failed(void *context, const struct segue_prepack_job *job,
                               segue_status status)
{
    segue_prepack_plan *plan = context;
    if (job->kind != ENTRY || status != SEGUE_MISMATCH)
        return status;
    plan->load->comes_again = true;
    return segue_prepack_replace_entry(plan, &plan->results[job->index]);
}

segue_status segue_prepack_load_create(segue_prepack_plan *plan,
                                       struct segue_prepack_load **out_load)
{
    struct segue_prepack_load *load = calloc(1, sizeof(*load));
    if (load == NULL)
        return segue_prepack_fail_memory("a load");
    const struct segue_prepack_owner owner = {
        .context = plan,
        .next = next_job,
        .arrived = job_arrived,
        .locate = locate,
        .ended = job_ended,
        .failed = job_failed,
    };
    const segue_status status = segue_prepack_upload_create(plan->device, &plan->params.limits,
                                                            plan->stream, &owner, &load->upload);
    if (status != SEGUE_OK) {
        free(load);
        return status;
    }
    *out_load = load;
    return SEGUE_OK;
}

void segue_prepack_close_load(segue_prepack_plan *plan)
{
    struct segue_prepack_load *load = plan->load;
    if (load != NULL)
        segue_prepack_upload_settle(load->upload);
    segue_prepack_stream_destroy(plan->stream);
    plan->stream = NULL;
    plan->load = NULL;
    if (load == NULL)
        return;
    segue_prepack_upload_destroy(load->upload);
    segue_prepack_raw_destroy(&load->raw);
    free(load);
}

void segue_prepack_load_count(segue_prepack_plan *plan)
{
    struct segue_prepack_stats *stats = &plan->stats;
    struct segue_prepack_stream_stats stream;
    segue_prepack_stream_get_stats(plan->stream, &stream);
    stats->uploaded_bytes = stream.uploaded_bytes;
    stats->increment_count = stream.increment_count;
    stats->submit_ns = stream.submit_ns;
    stats->slot_wait_ns = stream.wait_ns;
    struct segue_prepack_upload_stats upload;
    segue_prepack_upload_get_stats(plan->load->upload, &upload);
    stats->peak_staging_bytes = upload.staging_bytes;
    stats->staging_node = upload.node;
    if (upload.unpinned_count > stats->unpinned_slot_count)
        segue_prepack_plan_log(plan, SEGUE_LOG_WARNING,
                               "prepack: no more memory could be pinned; going on with %" PRIu64
                               " bytes of it",
                               upload.staging_bytes);
    stats->unpinned_slot_count = upload.unpinned_count;
    stats->pin_ns = upload.pin_ns;
    stats->read_ns = upload.read_ns;
    stats->read_wait_ns = upload.read_wait_ns;
    stats->cached_file_bytes = upload.cached_bytes;
    stats->direct_file_bytes = upload.direct_bytes;
    stats->direct_fallback_count = upload.fallback_count;
    stats->uring_refusal_count = upload.refusal_count;
    if (stream.first_submit_ns > upload.first_read_ns)
        stats->first_submit_ns = stream.first_submit_ns - upload.first_read_ns;
    stats->allocate_ns = plan->load->allocate_ns;
    if (plan->load->raw.peak_bytes > stats->peak_source_bytes)
        stats->peak_source_bytes = plan->load->raw.peak_bytes;
}

segue_status segue_prepack_step_load(segue_prepack_plan *plan, bool *out_done)
{
    struct segue_prepack_load *load = plan->load;
    const uint64_t increment = segue_prepack_stream_increment(plan->stream);
    bool is_idle = false;
    segue_status status = SEGUE_OK;
    while (status == SEGUE_OK && !is_idle &&
           segue_prepack_stream_increment(plan->stream) == increment)
        status = segue_prepack_upload_pump(load->upload, &is_idle);
    if (status != SEGUE_OK || !is_idle)
        return status;
    if (load->comes_again) {
        // What was copied of a corrupt entry must not come after what takes its place.
        status = segue_prepack_stream_finish(plan->stream);
        if (status != SEGUE_OK)
            return status;
        load->comes_again = false;
        load->raw_bytes = 0;
        plan->cursor = plan->item_count;
        return SEGUE_OK;
    }
    segue_prepack_load_count(plan);
    segue_prepack_raw_destroy(&load->raw);
    load->raw_bytes = 0;
    *out_done = true;
    status = segue_prepack_stream_flush(plan->stream);
    if (status == SEGUE_OK)
        segue_prepack_upload_rest(load->upload);
    return status;
}
