// SPDX-License-Identifier: Apache-2.0
// Taking a plan through its phases, at a go, in steps or on a thread; and what is had from it.
#include "plan.h"

#include "cache.h"
#include "error.h"
#include "files.h"

#include <stdlib.h>
#include <string.h>

/** Nothing is to be had from the plan any more, and nothing half done stays. */
static segue_status fail_plan(segue_prepack_plan *plan, segue_status status)
{
    plan->failure = status;
    segue_prepack_end_digests(plan);
    segue_packed_writer_abandon(plan->writer);
    plan->writer = NULL;
    // Waits for what was submitted, which may still write the buffers.
    segue_prepack_close_load(plan);
    return status;
}

/** The point behind all uploads; from here on nothing else writes the constants. */
static segue_status step_release(segue_prepack_plan *plan, bool *out_done)
{
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(plan, &point);
    segue_status status = segue_prepack_stream_flush(plan->stream);
    for (uint32_t i = 0; status == SEGUE_OK && i < plan->result_count; i++) {
        if (plan->results[i].buffer != NULL)
            status = segue_buffer_seal(plan->results[i].buffer);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < plan->item_count; i++) {
        for (uint32_t k = 0; status == SEGUE_OK && k < plan->items[i].input_count; k++) {
            if (plan->items[i].inputs[k].kept != NULL)
                status = segue_buffer_seal(plan->items[i].inputs[k].kept);
        }
    }
    if (status == SEGUE_OK)
        status = segue_prepack_stream_signal(plan->stream, &point);
    *out_done = true;
    return status;
}

static void report_progress(segue_prepack_plan *plan)
{
    const uint64_t before = plan->stats.increment_count;
    segue_prepack_load_count(plan);
    if (plan->stats.increment_count == before || plan->params.progress == NULL)
        return;
    const uint64_t done_bytes = plan->stats.uploaded_bytes;
    const struct segue_prepack_progress progress = {
        .done_bytes = done_bytes,
        .total_bytes = plan->total_bytes > done_bytes ? plan->total_bytes : done_bytes,
        .increment_count = plan->stats.increment_count,
        .elapsed_ns = segue_pack_now_ns() - plan->begun_ns,
    };
    plan->params.progress(plan->params.progress_context, &progress);
}

static void add_time(segue_prepack_plan *plan, enum segue_prepack_phase phase, uint64_t time_ns)
{
    plan->stats.total_ns += time_ns;
    if (phase == SEGUE_PREPACK_PHASE_KEYS || phase == SEGUE_PREPACK_PHASE_CLAIM)
        plan->stats.key_ns += time_ns;
    else if (phase == SEGUE_PREPACK_PHASE_STORE)
        plan->stats.store_ns += time_ns;
    else
        plan->stats.load_ns += time_ns;
}

static segue_status step_phase(segue_prepack_plan *plan, bool *out_done)
{
    switch (plan->phase) {
    case SEGUE_PREPACK_PHASE_KEYS:
        return segue_prepack_step_keys(plan, out_done);
    case SEGUE_PREPACK_PHASE_CLAIM:
        return segue_prepack_step_claim(plan, out_done);
    case SEGUE_PREPACK_PHASE_LOAD:
        return segue_prepack_step_load(plan, out_done);
    case SEGUE_PREPACK_PHASE_VERIFY:
        return segue_prepack_step_verify(plan, out_done);
    case SEGUE_PREPACK_PHASE_RELEASE:
        return step_release(plan, out_done);
    case SEGUE_PREPACK_PHASE_STORE:
        return segue_prepack_step_store(plan, out_done);
    case SEGUE_PREPACK_PHASE_ENDED:
        break;
    }
    *out_done = true;
    return SEGUE_OK;
}

segue_status segue_prepack_plan_step(segue_prepack_plan *plan, bool *out_done)
{
    if (plan == NULL || out_done == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_prepack_plan_step: plan and out_done must not be NULL");
    if (plan->failure != SEGUE_OK)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_STATE,
                                     "prepack: the plan failed before (%s); make another one",
                                     segue_status_name(plan->failure));
    if (!plan->has_begun)
        plan->begun_ns = segue_pack_now_ns();
    plan->has_begun = true;
    // Once released, the rest only concerns the cache.
    if (atomic_load(&plan->cancelled) && plan->phase <= SEGUE_PREPACK_PHASE_RELEASE)
        return fail_plan(plan, segue_prepack_fail_on(plan->device, SEGUE_INVALID_STATE,
                                                     "prepack: the plan was cancelled"));
    const uint64_t start_ns = segue_pack_now_ns();
    const enum segue_prepack_phase phase = plan->phase;
    bool phase_done = false;
    const segue_status status = step_phase(plan, &phase_done);
    add_time(plan, phase, segue_pack_now_ns() - start_ns);
    if (status != SEGUE_OK)
        return fail_plan(plan, status);
    if (phase_done && plan->phase != SEGUE_PREPACK_PHASE_ENDED) {
        plan->phase++;
        plan->cursor = 0;
    }
    report_progress(plan);
    *out_done = plan->phase == SEGUE_PREPACK_PHASE_ENDED;
    return SEGUE_OK;
}

segue_status segue_prepack_plan_run(segue_prepack_plan *plan)
{
    bool done = false;
    segue_status status = SEGUE_OK;
    while (status == SEGUE_OK && !done)
        status = segue_prepack_plan_step(plan, &done);
    return status;
}

static void *run_thread(void *context)
{
    segue_prepack_plan *plan = context;
    plan->thread_status = segue_prepack_plan_run(plan);
    if (plan->thread_status != SEGUE_OK)
        *plan->thread_error = *segue_last_error();
    return NULL;
}

segue_status segue_prepack_plan_start(segue_prepack_plan *plan)
{
    if (plan == NULL || plan->has_thread)
        return segue_prepack_fail(SEGUE_INVALID_STATE, "segue_prepack_plan_start: %s",
                                  plan == NULL ? "plan must not be NULL"
                                               : "the plan has a thread already");
    const int error = pthread_create(&plan->thread, NULL, run_thread, plan);
    if (error != 0)
        return segue_prepack_fail_on(plan->device, SEGUE_OUT_OF_HOST_MEMORY,
                                     "prepack: no thread could be started: %s", strerror(error));
    plan->has_thread = true;
    return SEGUE_OK;
}

segue_status segue_prepack_plan_wait(segue_prepack_plan *plan)
{
    if (plan == NULL || !plan->has_thread)
        return segue_prepack_fail(SEGUE_INVALID_STATE,
                                  "segue_prepack_plan_wait: the plan has no thread; start it");
    (void)pthread_join(plan->thread, NULL);
    plan->has_thread = false;
    // Errors belong to threads: it is raised again on this one.
    if (plan->thread_status != SEGUE_OK)
        return segue_report_error(plan->device, plan->thread_status, plan->thread_error->file,
                                  plan->thread_error->line, plan->thread_error->message);
    return SEGUE_OK;
}

/** The result of a constant, if its buffer may be handed out. */
static segue_status find_result(segue_prepack_plan *plan, uint32_t constant,
                                struct segue_prepack_result **out_result)
{
    if (plan == NULL || constant >= plan->item_count)
        return segue_prepack_fail(SEGUE_OUT_OF_RANGE, "prepack: the plan has no constant %u",
                                  constant);
    const struct segue_prepack_item *item = &plan->items[constant];
    const bool is_loaded = plan->failure == SEGUE_OK && !plan->has_thread &&
                           plan->phase > SEGUE_PREPACK_PHASE_RELEASE &&
                           item->result != SEGUE_PREPACK_NONE &&
                           plan->results[item->result].buffer != NULL;
    if (!is_loaded)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_STATE,
                                     "constant %s: it is not loaded, or was dropped or released; "
                                     "run the plan, or restore it",
                                     item->name);
    *out_result = &plan->results[item->result];
    return segue_prepack_stream_reap(plan->stream);
}

segue_status segue_prepack_plan_get_buffer(segue_prepack_plan *plan, uint32_t constant,
                                           segue_buffer **out_buffer)
{
    struct segue_prepack_result *result = NULL;
    const segue_status status = find_result(plan, constant, &result);
    if (status != SEGUE_OK)
        return status;
    return segue_buffer_create_view(result->buffer, 0, SEGUE_WHOLE_SIZE, plan->items[constant].name,
                                    out_buffer);
}

segue_status segue_prepack_plan_get_source(segue_prepack_plan *plan, uint32_t constant,
                                           uint32_t source, segue_buffer **out_buffer)
{
    struct segue_prepack_result *result = NULL;
    const segue_status status = find_result(plan, constant, &result);
    if (status != SEGUE_OK)
        return status;
    const struct segue_prepack_item *item = &plan->items[constant];
    if (source >= item->input_count || item->inputs[source].kept == NULL)
        return segue_prepack_fail_on(plan->device, SEGUE_OUT_OF_RANGE,
                                     "constant %s: source %u is not kept; add the constant with "
                                     "keeps_sources",
                                     item->name, source);
    return segue_buffer_create_view(item->inputs[source].kept, 0, SEGUE_WHOLE_SIZE, item->name,
                                    out_buffer);
}

segue_status segue_prepack_plan_release(segue_prepack_plan *plan, uint32_t constant)
{
    struct segue_prepack_result *result = NULL;
    const segue_status status = find_result(plan, constant, &result);
    if (status != SEGUE_OK)
        return status;
    struct segue_prepack_item *item = &plan->items[constant];
    item->result = SEGUE_PREPACK_NONE;
    for (uint32_t i = 0; i < item->input_count; i++) {
        segue_buffer_destroy(item->inputs[i].kept);
        item->inputs[i].kept = NULL;
    }
    segue_buffer_destroy(item->destination);
    item->destination = NULL;
    if (--result->uses == 0) {
        segue_buffer_destroy(result->buffer);
        result->buffer = NULL;
    }
    return SEGUE_OK;
}

/** Whether the cache has a result, so that memory for it can be given up. */
static bool can_come_back(segue_prepack_plan *plan, const struct segue_prepack_result *result)
{
    const struct segue_prepack_item *item = &plan->items[result->item];
    segue_packed_entry *entry = NULL;
    if (plan->params.cache == NULL || item->destination != NULL || item->keeps_sources ||
        result->buffer == NULL ||
        segue_packed_cache_find_again(plan->params.cache, &item->key, &entry) != SEGUE_OK)
        return false;
    segue_packed_entry_release(entry);
    return true;
}

segue_status segue_prepack_plan_drop(segue_prepack_plan *plan, uint64_t *out_bytes)
{
    if (plan == NULL || out_bytes == NULL || plan->has_thread || plan->failure != SEGUE_OK ||
        plan->phase != SEGUE_PREPACK_PHASE_ENDED)
        return segue_prepack_fail(SEGUE_INVALID_STATE,
                                  "segue_prepack_plan_drop: the plan has not ended well");
    const segue_status status = segue_prepack_stream_reap(plan->stream);
    if (status != SEGUE_OK)
        return status;
    uint64_t dropped_bytes = 0;
    for (uint32_t i = 0; i < plan->result_count; i++) {
        struct segue_prepack_result *result = &plan->results[i];
        if (!can_come_back(plan, result))
            continue;
        dropped_bytes += plan->items[result->item].packed_bytes;
        segue_buffer_destroy(result->buffer);
        result->buffer = NULL;
        result->is_loaded = false;
    }
    *out_bytes = dropped_bytes;
    return SEGUE_OK;
}

segue_status segue_prepack_plan_restore(segue_prepack_plan *plan)
{
    if (plan == NULL || plan->has_thread || plan->failure != SEGUE_OK ||
        plan->phase != SEGUE_PREPACK_PHASE_ENDED)
        return segue_prepack_fail(SEGUE_INVALID_STATE,
                                  "segue_prepack_plan_restore: the plan has not ended well");
    bool is_needed = false;
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < plan->result_count; i++) {
        struct segue_prepack_result *result = &plan->results[i];
        result->is_wanted = result->buffer == NULL && result->uses != 0;
        if (!result->is_wanted)
            continue;
        is_needed = true;
        status = segue_prepack_look_up(plan, result);
    }
    if (status != SEGUE_OK)
        return fail_plan(plan, status);
    if (!is_needed)
        return SEGUE_OK;
    atomic_fetch_add(&plan->done_value, 1);
    plan->phase = SEGUE_PREPACK_PHASE_CLAIM;
    return segue_prepack_plan_run(plan);
}
