// SPDX-License-Identifier: Apache-2.0
#include "command_json.h"

#include "error.h"
#include "json_get.h"
#include "vocabulary.h"

#include <segue/executable.h>

#include <stdlib.h>
#include <string.h>

segue_status segue_range_to_json(const struct segue_buffer_ref *ref,
                                 const struct segue_command_names *names, json_t **out_json)
{
    const char *name = NULL;
    json_t *range = json_object();
    segue_status status =
        range != NULL ? SEGUE_OK : segue_trace_fail_memory("describing a command");
    if (status == SEGUE_OK && ref->buffer != NULL) {
        status = names->buffer(names->context, ref->buffer, &name);
        if (status == SEGUE_OK) {
            status = segue_json_set(range, "buffer", json_string(name));
        }
    } else if (status == SEGUE_OK) {
        status = segue_json_set(range, "slot", json_integer(ref->slot));
    }
    if (status == SEGUE_OK && ref->offset_bytes != 0) {
        status = segue_json_set(range, "offset", segue_json_from_u64(ref->offset_bytes));
    }
    if (status == SEGUE_OK && ref->length_bytes != SEGUE_WHOLE_SIZE) {
        status = segue_json_set(range, "length", segue_json_from_u64(ref->length_bytes));
    }
    if (status != SEGUE_OK) {
        json_decref(range);
        return status;
    }
    *out_json = range;
    return SEGUE_OK;
}

static segue_status set_range(json_t *command, const char *key, const struct segue_buffer_ref *ref,
                              const struct segue_command_names *names)
{
    json_t *range = NULL;
    segue_status status = segue_range_to_json(ref, names, &range);
    return status == SEGUE_OK ? segue_json_set(command, key, range) : status;
}

static segue_status add_fill(json_t *json, const struct segue_command_info *command,
                             const struct segue_command_names *names)
{
    uint32_t size_bytes = command->as.fill.pattern_size_bytes;
    uint32_t pattern = command->as.fill.pattern & (UINT32_MAX >> (32 - 8 * size_bytes));
    segue_status status = set_range(json, "target", &command->as.fill.target, names);
    if (status == SEGUE_OK) {
        status = segue_json_set(json, "pattern", json_integer(pattern));
    }
    return status == SEGUE_OK ? segue_json_set(json, "pattern_size", json_integer(size_bytes))
                              : status;
}

static segue_status add_update(json_t *json, const struct segue_command_info *command,
                               const struct segue_command_names *names)
{
    segue_status status = set_range(json, "target", &command->as.update.target, names);
    return status == SEGUE_OK ? names->data(names->context, json, command->as.update.data,
                                            command->as.update.target.length_bytes)
                              : status;
}

static segue_status add_copy(json_t *json, const struct segue_command_info *command,
                             const struct segue_command_names *names)
{
    segue_status status = set_range(json, "source", &command->as.copy.source, names);
    return status == SEGUE_OK ? set_range(json, "target", &command->as.copy.target, names) : status;
}

static segue_status add_constants(json_t *json, const struct segue_dispatch *dispatch)
{
    if (dispatch->constants_size_bytes == 0) {
        return SEGUE_OK;
    }
    char *digits = malloc(2 * (size_t)dispatch->constants_size_bytes + 1);
    if (digits == NULL) {
        return segue_trace_fail_memory("describing a command");
    }
    segue_hex_encode(dispatch->constants, dispatch->constants_size_bytes, digits);
    segue_status status = segue_json_set(json, "constants", json_string(digits));
    free(digits);
    return status;
}

static segue_status add_constant_uses(json_t *json, const struct segue_dispatch *dispatch,
                                      const struct segue_command_names *names)
{
    if (dispatch->constant_use_count == 0) {
        return SEGUE_OK;
    }
    json_t *array = json_array();
    segue_status status = segue_json_set(json, "constant_slots", array);
    for (uint32_t i = 0; status == SEGUE_OK && i < dispatch->constant_use_count; i++) {
        const struct segue_constant_use *use = &dispatch->constant_uses[i];
        json_t *item = json_pack("{s:s, s:I}", "slot", names->constant_slots[use->slot].name, "at",
                                 (json_int_t)use->offset_bytes);
        if (item == NULL || json_array_append_new(array, item) != 0) {
            status = segue_trace_fail_memory("describing a command");
        }
    }
    return status;
}

static segue_status add_bindings(json_t *json, const struct segue_dispatch *dispatch,
                                 const struct segue_command_names *names)
{
    json_t *bindings = json_array();
    segue_status status = segue_json_set(json, "bindings", bindings);
    for (uint32_t i = 0; status == SEGUE_OK && i < dispatch->binding_count; i++) {
        json_t *range = NULL;
        status = segue_range_to_json(&dispatch->bindings[i], names, &range);
        if (status == SEGUE_OK && json_array_append_new(bindings, range) != 0) {
            status = segue_trace_fail_memory("describing a command");
        }
    }
    return status;
}

static segue_status add_dispatch(json_t *json, const struct segue_command_info *command,
                                 const struct segue_command_names *names)
{
    const struct segue_dispatch *dispatch = &command->as.dispatch;
    struct segue_executable_params params;
    const char *name = NULL;
    segue_executable_get_params(dispatch->executable, &params);
    const struct segue_entry_point *entry = &params.entry_points[dispatch->entry_point];
    segue_status status = names->executable(names->context, dispatch->executable, &name);
    if (status == SEGUE_OK) {
        status = segue_json_set(json, "executable", json_string(name));
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(json, "entry", segue_json_from_text(entry->name));
    }
    if (status == SEGUE_OK) {
        status =
            segue_json_set(json, "grid",
                           json_pack("[I, I, I]", (json_int_t)dispatch->grid[0],
                                     (json_int_t)dispatch->grid[1], (json_int_t)dispatch->grid[2]));
    }
    if (status == SEGUE_OK &&
        memcmp(dispatch->block, entry->block_size, sizeof(dispatch->block)) != 0) {
        status = segue_json_set(json, "block",
                                json_pack("[I, I, I]", (json_int_t)dispatch->block[0],
                                          (json_int_t)dispatch->block[1],
                                          (json_int_t)dispatch->block[2]));
    }
    if (status == SEGUE_OK && dispatch->dynamic_shared_bytes != entry->dynamic_shared_bytes) {
        status =
            segue_json_set(json, "dynamic_shared", json_integer(dispatch->dynamic_shared_bytes));
    }
    if (status == SEGUE_OK) {
        status = add_bindings(json, dispatch, names);
    }
    if (status == SEGUE_OK) {
        status = add_constants(json, dispatch);
    }
    if (status == SEGUE_OK) {
        status = add_constant_uses(json, dispatch, names);
    }
    if (status == SEGUE_OK && names->pointers != NULL) {
        status = names->pointers(names->context, json, dispatch);
    }
    if (status == SEGUE_OK && dispatch->duration_ns != 0) {
        status = segue_json_set(json, "duration_ns", json_integer(dispatch->duration_ns));
    }
    return status;
}

static segue_status set_masks(json_t *item, uint32_t source, uint32_t target)
{
    segue_status status = segue_json_set(
        item, "source",
        segue_bits_to_json(source, segue_access_mask_names, SEGUE_ACCESS_MASK_NAME_COUNT));
    return status == SEGUE_OK ? segue_json_set(item, "target",
                                               segue_bits_to_json(target, segue_access_mask_names,
                                                                  SEGUE_ACCESS_MASK_NAME_COUNT))
                              : status;
}

/** A new object at the end of an array; NULL when out of memory. */
static json_t *append_object(json_t *array)
{
    json_t *item = json_object();
    return item != NULL && json_array_append_new(array, item) == 0 ? item : NULL;
}

static segue_status add_memory_barriers(json_t *json, const struct segue_barrier *barrier)
{
    json_t *items = json_array();
    segue_status status = segue_json_set(json, "memory", items);
    for (uint32_t i = 0; status == SEGUE_OK && i < barrier->memory_barrier_count; i++) {
        json_t *item = append_object(items);
        status = item != NULL ? set_masks(item, barrier->memory_barriers[i].source,
                                          barrier->memory_barriers[i].target)
                              : segue_trace_fail_memory("describing a command");
    }
    return status;
}

static segue_status add_buffer_barriers(json_t *json, const struct segue_barrier *barrier,
                                        const struct segue_command_names *names)
{
    json_t *items = json_array();
    segue_status status = segue_json_set(json, "buffers", items);
    for (uint32_t i = 0; status == SEGUE_OK && i < barrier->buffer_barrier_count; i++) {
        const struct segue_buffer_barrier *model = &barrier->buffer_barriers[i];
        json_t *item = append_object(items);
        status = item != NULL ? set_masks(item, model->source, model->target)
                              : segue_trace_fail_memory("describing a command");
        if (status == SEGUE_OK) {
            status = set_range(item, "range", &model->range, names);
        }
    }
    return status;
}

static segue_status add_barrier(json_t *json, const struct segue_command_info *command,
                                const struct segue_command_names *names)
{
    const struct segue_barrier *barrier = &command->as.barrier;
    segue_status status = SEGUE_OK;
    if ((barrier->flags & SEGUE_BARRIER_EXECUTION) != 0) {
        status = segue_json_set(json, "execution", json_true());
    }
    if (status == SEGUE_OK && barrier->memory_barrier_count != 0) {
        status = add_memory_barriers(json, barrier);
    }
    if (status == SEGUE_OK && barrier->buffer_barrier_count != 0) {
        status = add_buffer_barriers(json, barrier, names);
    }
    return status;
}

static segue_status add_event(json_t *json, const struct segue_command_info *command,
                              const struct segue_command_names *names)
{
    const char *name = NULL;
    segue_status status = names->event(names->context, command->as.event, &name);
    return status == SEGUE_OK ? segue_json_set(json, "event", json_string(name)) : status;
}

static segue_status add_arguments(json_t *json, const struct segue_command_info *command,
                                  const struct segue_command_names *names)
{
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
        return add_fill(json, command, names);
    case SEGUE_COMMAND_UPDATE:
        return add_update(json, command, names);
    case SEGUE_COMMAND_COPY:
        return add_copy(json, command, names);
    case SEGUE_COMMAND_DISPATCH:
        return add_dispatch(json, command, names);
    case SEGUE_COMMAND_BARRIER:
        return add_barrier(json, command, names);
    case SEGUE_COMMAND_SIGNAL_EVENT:
    case SEGUE_COMMAND_RESET_EVENT:
    case SEGUE_COMMAND_WAIT_EVENT:
        return add_event(json, command, names);
    case SEGUE_COMMAND_BEGIN_GROUP:
        return segue_json_set(json, "label", segue_json_from_text(command->as.group_label));
    case SEGUE_COMMAND_END_GROUP:
        return SEGUE_OK;
    }
    return segue_trace_fail(SEGUE_UNIMPLEMENTED, "command kind %d", (int)command->kind);
}

segue_status segue_command_to_json(const struct segue_command_info *command,
                                   const struct segue_command_names *names, json_t **out_json)
{
    json_t *json = json_object();
    if (json == NULL) {
        return segue_trace_fail_memory("describing a command");
    }
    segue_status status =
        segue_json_set(json, "op", json_string(segue_command_names[command->kind]));
    if (status == SEGUE_OK) {
        status = add_arguments(json, command, names);
    }
    if (status != SEGUE_OK) {
        json_decref(json);
        return status;
    }
    *out_json = json;
    return SEGUE_OK;
}
