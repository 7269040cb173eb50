// SPDX-License-Identifier: Apache-2.0
// Plans: making them, filling them, taking them through their phases, and what is had from them.
#include "plan.h"

#include "error.h"
#include "files.h"
#include "pinned.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void segue_prepack_plan_log(const segue_prepack_plan *plan, enum segue_log_level level,
                            const char *format, ...)
{
    if (plan->params.log == NULL)
        return;
    char message[SEGUE_ERROR_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    plan->params.log(plan->params.log_context, level, message);
}

segue_status segue_prepack_plan_create(segue_device *device,
                                       const struct segue_prepack_params *params,
                                       segue_prepack_plan **out_plan)
{
    static const struct segue_prepack_params defaults = {0};
    if (device == NULL || out_plan == NULL)
        return segue_prepack_fail(
            SEGUE_INVALID_ARGUMENT,
            "segue_prepack_plan_create: device and out_plan must not be NULL");
    segue_prepack_plan *plan = calloc(1, sizeof(*plan));
    if (plan == NULL)
        return segue_prepack_fail_memory("a prepack plan");
    plan->device = device;
    plan->params = params != NULL ? *params : defaults;
    atomic_init(&plan->cancelled, false);
    atomic_init(&plan->done_value, 1);
    plan->model = strdup(plan->params.model != NULL ? plan->params.model : "model");
    plan->params.model = plan->model;
    plan->thread_error = calloc(1, sizeof(*plan->thread_error));
    segue_status status = plan->model != NULL && plan->thread_error != NULL
                              ? SEGUE_OK
                              : segue_prepack_fail_memory("a prepack plan");
    if (status == SEGUE_OK && (plan->model[0] == '\0' || !segue_prepack_is_plain(plan->model) ||
                               strlen(plan->model) > SEGUE_PACKED_MAX_NAME_BYTES))
        status = segue_prepack_fail_on(device, SEGUE_INVALID_ARGUMENT,
                                       "prepack: the model's name must have 1 to %d bytes and no "
                                       "control characters",
                                       SEGUE_PACKED_MAX_NAME_BYTES);
    if (status == SEGUE_OK)
        status = segue_semaphore_create(device, 0, &plan->done);
    if (status == SEGUE_OK)
        status = segue_prepack_settle_staging(device, &plan->params.limits);
    if (status == SEGUE_OK)
        status = segue_prepack_stream_create(device, &plan->params.limits, &plan->stream);
    if (status == SEGUE_OK)
        status = segue_prepack_load_create(plan, &plan->load);
    if (status != SEGUE_OK) {
        segue_prepack_plan_destroy(plan);
        return status;
    }
    *out_plan = plan;
    return SEGUE_OK;
}

static void free_item(struct segue_prepack_item *item)
{
    for (uint32_t i = 0; item->inputs != NULL && i < item->input_count; i++) {
        struct segue_prepack_input *input = &item->inputs[i];
        segue_buffer_destroy(input->kept);
        free((void *)(uintptr_t)input->params.file);
        free((void *)(uintptr_t)input->params.identity);
        free((void *)(uintptr_t)input->params.dtype);
    }
    free(item->inputs);
    free((void *)(uintptr_t)item->packing.launch.constants);
    segue_buffer_destroy(item->destination);
    free(item->name);
    *item = (struct segue_prepack_item){0};
}

void segue_prepack_plan_destroy(segue_prepack_plan *plan)
{
    if (plan == NULL)
        return;
    if (plan->has_thread) {
        segue_prepack_plan_cancel(plan);
        (void)pthread_join(plan->thread, NULL);
    }
    segue_prepack_end_digests(plan);
    segue_packed_writer_abandon(plan->writer);
    segue_prepack_close_load(plan);
    for (uint32_t i = 0; i < plan->result_count; i++) {
        segue_packed_entry_release(plan->results[i].entry);
        segue_buffer_destroy(plan->results[i].buffer);
    }
    for (uint32_t i = 0; i < plan->item_count; i++)
        free_item(&plan->items[i]);
    for (uint32_t i = 0; i < plan->packer_count; i++)
        free((void *)(uintptr_t)plan->packers[i].probe.launch.constants);
    segue_prepack_close_files(plan);
    segue_executable_destroy(plan->checksum);
    segue_semaphore_destroy(plan->done);
    free(plan->results);
    free(plan->packers);
    free(plan->items);
    free(plan->thread_error);
    free(plan->model);
    free(plan);
}

/** A copy of bytes; false when out of memory. NULL stays NULL. */
static bool copy_bytes(const void **pointer, size_t size_bytes)
{
    if (*pointer == NULL || size_bytes == 0) {
        *pointer = NULL;
        return true;
    }
    void *copy = malloc(size_bytes);
    if (copy != NULL)
        memcpy(copy, *pointer, size_bytes);
    *pointer = copy;
    return copy != NULL;
}

static bool copy_text(const char **text)
{
    const void *pointer = *text;
    const bool copied = copy_bytes(&pointer, pointer != NULL ? strlen(pointer) + 1 : 0);
    *text = pointer;
    return copied;
}

static bool copy_launch(struct segue_prepack_launch *launch)
{
    return copy_bytes(&launch->constants, launch->constants_size_bytes);
}

static bool is_same_launch(const struct segue_prepack_launch *a,
                           const struct segue_prepack_launch *b)
{
    return memcmp(a->grid, b->grid, sizeof(a->grid)) == 0 &&
           memcmp(a->block, b->block, sizeof(a->block)) == 0 &&
           a->dynamic_shared_bytes == b->dynamic_shared_bytes &&
           a->constants_size_bytes == b->constants_size_bytes &&
           (a->constants_size_bytes == 0 ||
            memcmp(a->constants, b->constants, a->constants_size_bytes) == 0);
}

/** The packer of that kernel and probe, which may be new. */
static segue_status find_packer(segue_prepack_plan *plan,
                                const struct segue_prepack_packing *packing, uint32_t input_count,
                                uint32_t *out_packer)
{
    static const struct segue_prepack_probe none = {0};
    const struct segue_prepack_probe *probe = packing->probe != NULL ? packing->probe : &none;
    for (uint32_t i = 0; i < plan->packer_count; i++) {
        const struct segue_prepack_packer *packer = &plan->packers[i];
        if (packer->executable == packing->executable &&
            packer->entry_point == packing->entry_point && packer->input_count == input_count &&
            packer->probe.output_bytes == probe->output_bytes &&
            memcmp(packer->probe.input_bytes, probe->input_bytes, sizeof(probe->input_bytes)) ==
                0 &&
            is_same_launch(&packer->probe.launch, &probe->launch)) {
            *out_packer = i;
            return SEGUE_OK;
        }
    }
    struct segue_prepack_packer *packers =
        realloc(plan->packers, (plan->packer_count + 1) * sizeof(*packers));
    if (packers == NULL)
        return segue_prepack_fail_memory("the packers of a plan");
    plan->packers = packers;
    struct segue_prepack_packer packer = {
        .executable = packing->executable,
        .entry_point = packing->entry_point,
        .has_probe = packing->probe != NULL,
        .probe = *probe,
        .input_count = input_count,
    };
    if (!copy_launch(&packer.probe.launch))
        return segue_prepack_fail_memory("the packers of a plan");
    *out_packer = plan->packer_count;
    plan->packers[plan->packer_count++] = packer;
    return SEGUE_OK;
}

static segue_status copy_inputs(struct segue_prepack_item *item,
                                const struct segue_prepack_constant *constant)
{
    item->inputs = calloc(constant->source_count, sizeof(item->inputs[0]));
    bool copied = item->inputs != NULL;
    for (uint32_t i = 0; copied && i < constant->source_count; i++) {
        struct segue_prepack_source *params = &item->inputs[i].params;
        item->input_count = i + 1;
        *params = constant->sources[i];
        params->tensor = NULL;
        // All three become copies, or NULL, before anything may fail.
        copied = copy_text(&params->file);
        copied = copy_text(&params->dtype) && copied;
        copied = copy_bytes(&params->identity, params->identity_bytes) && copied;
    }
    return copied ? SEGUE_OK : segue_prepack_fail_memory("the sources of a constant");
}

static segue_status fill_item(segue_prepack_plan *plan, struct segue_prepack_item *item,
                              const struct segue_prepack_constant *constant)
{
    item->name = strdup(constant->name);
    if (item->name == NULL)
        return segue_prepack_fail_memory("the name of a constant");
    segue_status status = copy_inputs(item, constant);
    if (status == SEGUE_OK && constant->packing != NULL) {
        item->packing = *constant->packing;
        item->packing.probe = NULL;
        if (!copy_launch(&item->packing.launch))
            status = segue_prepack_fail_memory("the packing of a constant");
        if (status == SEGUE_OK)
            status = find_packer(plan, constant->packing, constant->source_count, &item->packer);
    }
    if (status == SEGUE_OK && constant->destination != NULL) {
        struct segue_buffer_info info;
        segue_buffer_get_info(constant->destination, &info);
        item->destination_id = info.memory_id;
        status = segue_buffer_create_view(constant->destination, 0, SEGUE_WHOLE_SIZE, info.label,
                                          &item->destination);
    }
    return status;
}

segue_status segue_prepack_plan_add(segue_prepack_plan *plan,
                                    const struct segue_prepack_constant *constant,
                                    uint32_t *out_index)
{
    if (plan == NULL || constant == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_prepack_plan_add: plan and constant must not be NULL");
    if (plan->has_begun)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_STATE,
                                     "prepack: the plan has begun to run; make another one");
    struct segue_prepack_source sources[SEGUE_PREPACK_MAX_SOURCES];
    struct segue_prepack_constant resolved = *constant;
    uint64_t packed_bytes = 0;
    segue_status status = segue_prepack_resolve_sources(plan, constant, sources);
    if (status != SEGUE_OK)
        return status;
    if (constant->sources != NULL)
        resolved.sources = sources;
    status = segue_prepack_check(plan, &resolved, &packed_bytes);
    if (status != SEGUE_OK)
        return status;
    if (plan->item_count == plan->item_capacity) {
        const uint32_t capacity = plan->item_capacity == 0 ? 16 : 2 * plan->item_capacity;
        struct segue_prepack_item *items = realloc(plan->items, capacity * sizeof(*items));
        if (items == NULL)
            return segue_prepack_fail_memory("the constants of a plan");
        plan->items = items;
        plan->item_capacity = capacity;
    }
    struct segue_prepack_item *item = &plan->items[plan->item_count];
    *item = (struct segue_prepack_item){
        .packs = constant->packing != NULL,
        .packer = SEGUE_PREPACK_NONE,
        .packed_bytes = packed_bytes,
        .keeps_sources = constant->keeps_sources,
        .result = SEGUE_PREPACK_NONE,
    };
    status = fill_item(plan, item, &resolved);
    if (status != SEGUE_OK) {
        free_item(item);
        return status;
    }
    if (out_index != NULL)
        *out_index = plan->item_count;
    plan->item_count++;
    plan->stats.constant_count++;
    return SEGUE_OK;
}

void segue_prepack_plan_remove_last(segue_prepack_plan *plan, uint32_t count)
{
    while (plan->item_count > count) {
        free_item(&plan->items[--plan->item_count]);
        plan->stats.constant_count--;
    }
}

void segue_prepack_plan_cancel(segue_prepack_plan *plan)
{
    if (plan != NULL)
        atomic_store(&plan->cancelled, true);
}

void segue_prepack_plan_get_point(segue_prepack_plan *plan, struct segue_semaphore_value *out_point)
{
    out_point->semaphore = plan->done;
    out_point->value = atomic_load(&plan->done_value);
}

void segue_prepack_plan_get_stats(const segue_prepack_plan *plan,
                                  struct segue_prepack_stats *out_stats)
{
    *out_stats = plan->stats;
}
