// SPDX-License-Identifier: Apache-2.0
#include "trace_write.h"

#include "error.h"
#include "json_get.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

/** Update data up to this length stands in the JSON document itself. */
#define INLINE_BYTES 256

/** Describes an object of a kind that only has a name. The item is a borrowed reference. */
static segue_status add_object(segue_trace_writer *writer, struct segue_written_objects *objects,
                               enum segue_name_space space, const void *handle, const char *kind,
                               json_t **out_item)
{
    uint32_t number = objects->handles.count;
    bool is_new = false;
    char *name = segue_writer_make_name(writer, space, "", kind, number);
    json_t *item = name != NULL ? json_pack("{s:s}", "name", name) : NULL;
    if (item == NULL || json_array_append(objects->items, item) != 0 ||
        json_array_append_new(objects->names, json_string(name)) != 0 ||
        !segue_handles_add(&objects->handles, handle, &number, &is_new)) {
        writer->done = true;
        json_decref(item);
        free(name);
        return segue_trace_fail_memory("a trace");
    }
    json_decref(item);
    free(name);
    *out_item = item;
    return SEGUE_OK;
}

segue_status segue_writer_name_semaphore(segue_trace_writer *writer, segue_semaphore *semaphore,
                                         const char **out_name, uint32_t *out_number)
{
    struct segue_written_objects *objects = &writer->semaphores;
    segue_status status = SEGUE_OK;
    if (!segue_handles_find(&objects->handles, semaphore, out_number)) {
        uint64_t value = 0;
        json_t *item = NULL;
        status = segue_semaphore_query(semaphore, &value);
        *out_number = objects->handles.count;
        if (status == SEGUE_OK) {
            status = add_object(writer, objects, SEGUE_NAMES_OF_SEMAPHORES, semaphore, "semaphore",
                                &item);
        }
        if (status == SEGUE_OK && value != 0) {
            status = segue_json_set(item, "initial", segue_json_from_u64(value));
        }
        if (status == SEGUE_OK &&
            json_array_append_new(writer->semaphore_values, json_integer((json_int_t)value)) != 0) {
            status = segue_trace_fail_memory("a trace");
        }
        writer->done = writer->done || status == SEGUE_OUT_OF_HOST_MEMORY;
    }
    if (status == SEGUE_OK) {
        *out_name = json_string_value(json_array_get(objects->names, *out_number));
    }
    return status;
}

segue_status segue_writer_name_event(segue_trace_writer *writer, segue_event *event,
                                     const char **out_name, uint32_t *out_number)
{
    struct segue_written_objects *objects = &writer->events;
    segue_status status = SEGUE_OK;
    if (!segue_handles_find(&objects->handles, event, out_number)) {
        json_t *item = NULL;
        *out_number = objects->handles.count;
        status = add_object(writer, objects, SEGUE_NAMES_OF_EVENTS, event, "event", &item);
        if (status == SEGUE_OK && json_array_append_new(writer->event_states, json_false()) != 0) {
            writer->done = true;
            status = segue_trace_fail_memory("a trace");
        }
    }
    if (status == SEGUE_OK) {
        *out_name = json_string_value(json_array_get(objects->names, *out_number));
    }
    return status;
}

static segue_status name_buffer(void *context, segue_buffer *buffer, const char **out_name)
{
    return segue_writer_name_buffer(context, buffer, out_name);
}

static segue_status name_executable(void *context, segue_executable *executable,
                                    const char **out_name)
{
    return segue_writer_name_executable(context, executable, out_name);
}

static segue_status name_event(void *context, segue_event *event, const char **out_name)
{
    uint32_t number = 0;
    return segue_writer_name_event(context, event, out_name, &number);
}

static segue_status add_data(void *context, json_t *command, const void *data,
                             uint64_t length_bytes)
{
    segue_trace_writer *writer = context;
    if (length_bytes <= INLINE_BYTES) {
        char digits[2 * INLINE_BYTES + 1];
        segue_hex_encode(data, (uint32_t)length_bytes, digits);
        return segue_json_set(command, "hex", json_string(digits));
    }
    // Named by their content, so that the same data is stored once.
    char digits[2 * sizeof(XXH128_canonical_t) + 1];
    char name[64];
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits(data, (size_t)length_bytes));
    segue_hex_encode(digest.digest, sizeof(digest.digest), digits);
    snprintf(name, sizeof(name), "update.%s", digits);
    segue_status status = SEGUE_OK;
    if (!writer->has_tensors || json_object_get(writer->tensors.header, name) == NULL) {
        status = segue_writer_store_tensor(writer, name, SEGUE_DTYPE_U8, data, length_bytes);
    }
    return status == SEGUE_OK ? segue_json_set(command, "tensor", json_string(name)) : status;
}

/** The handle whose memory the address points into. */
static const struct segue_written_buffer *find_address(const segue_trace_writer *writer,
                                                       uint64_t address)
{
    for (uint32_t i = 0; i < writer->buffer_handles.count; i++) {
        const struct segue_written_buffer *buffer = &writer->buffers[i];
        // Below the buffer the difference wraps to more than any size.
        if (address - buffer->device_address < buffer->size_bytes) {
            return buffer;
        }
    }
    return NULL;
}

/** Whether submissions give any of eight bytes of the constants: what is recorded there is not what
 *  the kernel gets. */
static bool is_given(const struct segue_dispatch *dispatch, uint32_t position)
{
    for (uint32_t i = 0; i < dispatch->constant_use_count; i++) {
        const struct segue_constant_use *use = &dispatch->constant_uses[i];
        if (use->offset_bytes < position + sizeof(uint64_t) &&
            position < use->offset_bytes + use->size_bytes) {
            return true;
        }
    }
    return false;
}

/** Notes the addresses in one constant, at multiples of 8 as pointers are. */
static segue_status add_constant_pointers(segue_trace_writer *writer, json_t *array,
                                          const struct segue_dispatch *dispatch, uint32_t begin,
                                          uint32_t size_bytes)
{
    const unsigned char *constants = dispatch->constants;
    for (uint32_t i = 0; i + sizeof(uint64_t) <= size_bytes; i += (uint32_t)sizeof(uint64_t)) {
        uint64_t address;
        memcpy(&address, constants + begin + i, sizeof(address));
        const struct segue_written_buffer *buffer = find_address(writer, address);
        if (buffer == NULL || is_given(dispatch, begin + i)) {
            continue;
        }
        json_t *item =
            json_pack("{s:I, s:s, s:I}", "at", (json_int_t)(begin + i), "buffer", buffer->name,
                      "offset", (json_int_t)(address - buffer->device_address));
        if (item == NULL || json_array_append_new(array, item) != 0) {
            return segue_trace_fail_memory("a trace");
        }
    }
    return SEGUE_OK;
}

/** Kernels that reach memory through their constants: the addresses of known buffers in these will
 *  differ in a replay. */
static segue_status add_pointers(void *context, json_t *command,
                                 const struct segue_dispatch *dispatch)
{
    struct segue_executable_params params;
    segue_executable_get_params(dispatch->executable, &params);
    const struct segue_entry_point *entry = &params.entry_points[dispatch->entry_point];
    if ((entry->flags & SEGUE_ENTRY_OPAQUE) == 0) {
        return SEGUE_OK;
    }
    json_t *array = json_array();
    segue_status status = array != NULL ? SEGUE_OK : segue_trace_fail_memory("a trace");
    uint32_t begin = 0;
    for (uint32_t i = 0; status == SEGUE_OK && i < entry->parameter_count; i++) {
        if (entry->parameters[i].kind == SEGUE_PARAMETER_CONSTANT) {
            status = add_constant_pointers(context, array, dispatch, begin,
                                           entry->parameters[i].size_bytes);
            begin += entry->parameters[i].size_bytes;
        }
    }
    if (status == SEGUE_OK && json_array_size(array) != 0) {
        return segue_json_set(command, "pointers", array);
    }
    json_decref(array);
    return status;
}

struct segue_command_names segue_writer_command_names(segue_trace_writer *writer)
{
    return (struct segue_command_names){
        .buffer = name_buffer,
        .executable = name_executable,
        .event = name_event,
        .data = add_data,
        .pointers = add_pointers,
        .context = writer,
    };
}

/** Carried through the visit. */
struct description {
    segue_trace_writer *writer;
    const struct segue_constant_slot *constant_slots;
    json_t *commands;
    segue_status status;
};

static segue_status run_event(segue_trace_writer *writer, const struct segue_command_info *command)
{
    const char *name = NULL;
    uint32_t number = 0;
    segue_status status = segue_writer_name_event(writer, command->as.event, &name, &number);
    if (status != SEGUE_OK) {
        return status;
    }
    if (command->kind != SEGUE_COMMAND_WAIT_EVENT) {
        json_t *state = json_boolean(command->kind == SEGUE_COMMAND_SIGNAL_EVENT);
        json_array_set_new(writer->event_states, number, state);
        return SEGUE_OK;
    }
    if (!json_is_true(json_array_get(writer->event_states, number))) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_STATE,
                                   "command %" PRIu32
                                   " waits for an event that was signalled before the trace "
                                   "begins; add the submission that signals it, too",
                                   command->index);
    }
    return SEGUE_OK;
}

static bool add_command(void *context, const struct segue_command_info *command)
{
    struct description *description = context;
    struct segue_command_names names = segue_writer_command_names(description->writer);
    names.constant_slots = description->constant_slots;
    json_t *json = NULL;
    description->status = segue_command_to_json(command, &names, &json);
    if (description->status == SEGUE_OK &&
        (command->kind == SEGUE_COMMAND_SIGNAL_EVENT ||
         command->kind == SEGUE_COMMAND_RESET_EVENT || command->kind == SEGUE_COMMAND_WAIT_EVENT)) {
        description->status = run_event(description->writer, command);
        if (description->status != SEGUE_OK) {
            json_decref(json);
            return false;
        }
    }
    if (description->status == SEGUE_OK &&
        json_array_append_new(description->commands, json) != 0) {
        description->status = segue_trace_fail_memory("a trace");
    }
    return description->status == SEGUE_OK;
}

static segue_status describe(segue_trace_writer *writer, segue_command_buffer *command_buffer,
                             json_t *item)
{
    struct segue_command_buffer_info info;
    struct segue_command_buffer_stats stats;
    struct description description = {.writer = writer, .commands = json_array()};
    segue_command_buffer_get_info(command_buffer, &info);
    segue_status status = segue_command_buffer_get_stats(command_buffer, &stats);
    if (status == SEGUE_OK) {
        // Keeps the first place for the name, which is known later.
        status = segue_json_set(item, "name", json_null());
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "mode", json_string(segue_mode_names[stats.mode]));
    }
    if (status == SEGUE_OK && info.flags != 0) {
        status = segue_json_set(item, "flags",
                                segue_bits_to_json(info.flags, segue_command_buffer_flag_names,
                                                   SEGUE_COMMAND_BUFFER_FLAG_NAME_COUNT));
    }
    if (status == SEGUE_OK && info.slot_count != 0) {
        status = segue_json_set(item, "slots", json_integer(info.slot_count));
    }
    if (status == SEGUE_OK) {
        status = segue_writer_describe_constant_slots(&info, item);
    }
    if (status != SEGUE_OK) {
        json_decref(description.commands);
        return status;
    }
    description.constant_slots = info.constant_slots;
    status = segue_json_set(item, "commands", description.commands);
    if (status == SEGUE_OK) {
        status = segue_command_buffer_visit(command_buffer, add_command, &description);
    }
    return status == SEGUE_OK ? description.status : status;
}

/** The description made last of this command buffer, if it is still right: then its number. */
static bool find_same(const segue_trace_writer *writer, segue_command_buffer *command_buffer,
                      json_t *item, size_t *out_number)
{
    uint32_t handle;
    if (!segue_handles_find(&writer->command_buffer_handles, command_buffer, &handle)) {
        return false;
    }
    size_t number =
        (size_t)json_integer_value(json_array_get(writer->command_buffer_latest, handle));
    json_t *old = json_array_get(writer->command_buffers, number);
    // The name is not part of what must agree.
    json_t *copy = json_copy(item);
    bool same = copy != NULL && json_object_set(copy, "name", json_object_get(old, "name")) == 0 &&
                (json_object_get(old, "label") == NULL ||
                 json_object_set(copy, "label", json_object_get(old, "label")) == 0) &&
                json_equal(copy, old);
    json_decref(copy);
    *out_number = number;
    return same;
}

static segue_status keep(segue_trace_writer *writer, segue_command_buffer *command_buffer,
                         json_t *item, size_t *out_number)
{
    struct segue_command_buffer_info info;
    uint32_t handle;
    bool is_new = false;
    segue_command_buffer_get_info(command_buffer, &info);
    size_t number = json_array_size(writer->command_buffers);
    char *label = segue_writer_make_label(info.label != NULL ? info.label : "");
    char *name = label != NULL ? segue_writer_make_name(writer, SEGUE_NAMES_OF_COMMAND_BUFFERS,
                                                        label, "commands", (uint32_t)number)
                               : NULL;
    segue_status status = name != NULL ? segue_json_set(item, "name", json_string(name))
                                       : segue_trace_fail_memory("a trace");
    if (status == SEGUE_OK && strcmp(name, label) != 0) {
        status = segue_json_set(item, "label", json_string(label));
    }
    free(name);
    free(label);
    if (status != SEGUE_OK) {
        return status;
    }
    if (!segue_handles_add(&writer->command_buffer_handles, command_buffer, &handle, &is_new) ||
        json_array_append(writer->command_buffers, item) != 0 ||
        (is_new ? json_array_append_new(writer->command_buffer_latest,
                                        json_integer((json_int_t)number))
                : json_array_set_new(writer->command_buffer_latest, handle,
                                     json_integer((json_int_t)number))) != 0) {
        writer->done = true;
        return segue_trace_fail_memory("a trace");
    }
    *out_number = number;
    return SEGUE_OK;
}

segue_status segue_writer_name_command_buffer(segue_trace_writer *writer,
                                              segue_command_buffer *command_buffer,
                                              const char **out_name)
{
    size_t number = 0;
    json_t *item = json_object();
    segue_status status =
        item != NULL ? describe(writer, command_buffer, item) : segue_trace_fail_memory("a trace");
    if (status == SEGUE_OK && !find_same(writer, command_buffer, item, &number)) {
        status = keep(writer, command_buffer, item, &number);
    }
    json_decref(item);
    if (status == SEGUE_OK) {
        const json_t *kept = json_array_get(writer->command_buffers, number);
        *out_name = json_string_value(json_object_get(kept, "name"));
    }
    return status;
}
