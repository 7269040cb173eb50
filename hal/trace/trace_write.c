// SPDX-License-Identifier: Apache-2.0
#include "trace_write.h"

#include "content.h"
#include "dtype.h"
#include "error.h"
#include "json_get.h"
#include "model.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

/** Labels and names are cut to this many bytes, which leaves room for numbers. */
#define MAX_LABEL_BYTES 200

char *segue_writer_make_label(const char *label)
{
    json_t *json = segue_json_from_text(label);
    char *copy = json != NULL ? strdup(json_string_value(json)) : NULL;
    json_decref(json);
    if (copy != NULL && strlen(copy) > MAX_LABEL_BYTES) {
        size_t length = MAX_LABEL_BYTES;
        while (length != 0 && ((unsigned char)copy[length] & 0xc0) == 0x80) {
            length--;
        }
        copy[length] = '\0';
    }
    return copy;
}

/** Takes a name unless it is taken. @return 1 if it is, -1 when out of memory. */
static int take_name(segue_trace_writer *writer, enum segue_name_space space, const char *name)
{
    char *key = NULL;
    if (asprintf(&key, "%c%s", (int)space, name) < 0) {
        return -1;
    }
    int result = json_object_get(writer->used_names, key) != NULL                 ? 1
                 : json_object_set_new(writer->used_names, key, json_true()) == 0 ? 0
                                                                                  : -1;
    free(key);
    return result;
}

char *segue_writer_make_name(segue_trace_writer *writer, enum segue_name_space space,
                             const char *label, const char *kind, uint32_t number)
{
    char *name = segue_writer_make_label(label);
    if (name != NULL && name[0] == '\0') {
        free(name);
        if (asprintf(&name, "%s%" PRIu32, kind, number) < 0) {
            return NULL;
        }
    }
    int taken = name != NULL ? take_name(writer, space, name) : -1;
    while (taken > 0) {
        char *longer = NULL;
        // The same number may be taken, too, by a label that looks like a name.
        int length = asprintf(&longer, "%.*s#%" PRIu32, MAX_LABEL_BYTES + 20, name, number++);
        free(name);
        name = length >= 0 ? longer : NULL;
        taken = name != NULL ? take_name(writer, space, name) : -1;
    }
    if (taken < 0) {
        free(name);
        return NULL;
    }
    return name;
}

static char *make_stem(const char *path)
{
    size_t length = strlen(path);
    bool has_extension = length > 5 && strcmp(path + length - 5, ".json") == 0;
    return strndup(path, has_extension ? length - 5 : length);
}

static bool create_objects(struct segue_written_objects *objects)
{
    objects->names = json_array();
    objects->items = json_array();
    return objects->names != NULL && objects->items != NULL;
}

static void free_objects(struct segue_written_objects *objects)
{
    segue_handles_free(&objects->handles);
    json_decref(objects->names);
    json_decref(objects->items);
}

segue_status segue_trace_writer_create(segue_device *device, const char *path,
                                       segue_trace_writer **out_writer)
{
    if (device == NULL || path == NULL || out_writer == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "device, path and out_writer must not be NULL");
    }
    const char *slash = strrchr(path, '/');
    const char *problem = segue_path_problem(slash != NULL ? slash + 1 : path);
    if (problem != NULL) {
        // Readers would refuse the names of the files beside it.
        return segue_trace_fail_on(device, SEGUE_INVALID_ARGUMENT, "%s: %s", path, problem);
    }
    segue_trace_writer *writer = calloc(1, sizeof(*writer));
    if (writer == NULL) {
        return segue_trace_fail_memory("a trace writer");
    }
    writer->device = device;
    writer->path = strdup(path);
    writer->stem = make_stem(path);
    writer->used_names = json_object();
    writer->semaphore_values = json_array();
    writer->event_states = json_array();
    writer->command_buffer_latest = json_array();
    writer->command_buffers = json_array();
    writer->submissions = json_array();
    writer->expectations = json_array();
    writer->packings = json_array();
    bool created = create_objects(&writer->executables);
    created = create_objects(&writer->semaphores) && created;
    created = create_objects(&writer->events) && created;
    if (!created || writer->path == NULL || writer->stem == NULL || writer->used_names == NULL ||
        writer->semaphore_values == NULL || writer->event_states == NULL ||
        writer->command_buffer_latest == NULL || writer->command_buffers == NULL ||
        writer->submissions == NULL || writer->expectations == NULL || writer->packings == NULL) {
        segue_trace_writer_destroy(writer);
        return segue_trace_fail_memory("a trace writer");
    }
    *out_writer = writer;
    return SEGUE_OK;
}

void segue_trace_writer_destroy(segue_trace_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    for (uint32_t i = 0; i < writer->code_file_count; i++) {
        segue_output_abandon(&writer->code_files[i]);
    }
    segue_safetensors_abandon(&writer->tensors);
    segue_writer_free_buffers(writer);
    free_objects(&writer->executables);
    free_objects(&writer->semaphores);
    free_objects(&writer->events);
    segue_handles_free(&writer->command_buffer_handles);
    json_decref(writer->used_names);
    json_decref(writer->semaphore_values);
    json_decref(writer->event_states);
    json_decref(writer->command_buffer_latest);
    json_decref(writer->command_buffers);
    json_decref(writer->submissions);
    json_decref(writer->expectations);
    json_decref(writer->packings);
    free(writer->code_files);
    free(writer->path);
    free(writer->stem);
    free(writer);
}

static segue_status check_open(const segue_trace_writer *writer)
{
    return writer->done
               ? segue_trace_fail_on(writer->device, SEGUE_INVALID_STATE,
                                     "%s: the writer has finished or failed before", writer->path)
               : SEGUE_OK;
}

segue_status segue_trace_writer_set_content(segue_trace_writer *writer, segue_buffer *buffer,
                                            const struct segue_content *content)
{
    if (writer == NULL || buffer == NULL || content == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "writer, buffer and content must not be NULL");
    }
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    segue_status status = check_open(writer);
    const char *problem = segue_content_problem(content);
    if (status == SEGUE_OK && problem == NULL &&
        info.size_bytes % segue_content_unit_bytes(content) != 0) {
        problem = "its size is not a multiple of the content's element size";
    }
    if (status == SEGUE_OK && problem == NULL && info.memory_offset_bytes != 0) {
        problem = "it is a view";
    }
    if (status == SEGUE_OK && problem != NULL) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_ARGUMENT, "buffer \"%s\": %s",
                                   info.label, problem);
    }
    return status == SEGUE_OK ? segue_writer_add_buffer(writer, buffer, content) : status;
}

/** The "bindings" of an execution. */
static segue_status describe_bindings(segue_trace_writer *writer,
                                      const struct segue_execution *execution, json_t *item)
{
    const struct segue_command_names names = segue_writer_command_names(writer);
    json_t *array = json_array();
    segue_status status = segue_json_set(item, "bindings", array);
    for (uint32_t i = 0; status == SEGUE_OK && i < execution->binding_count; i++) {
        json_t *range = NULL;
        status = segue_range_to_json(&execution->bindings[i], &names, &range);
        if (status == SEGUE_OK && json_array_append_new(array, range) != 0) {
            status = segue_trace_fail_memory("a trace");
        }
    }
    return status;
}

static segue_status describe_execution(segue_trace_writer *writer,
                                       const struct segue_execution *execution, json_t *array)
{
    struct segue_command_buffer_info info;
    const char *name = NULL;
    if (execution->command_buffer == NULL) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_ARGUMENT,
                                   "an execution has no command buffer");
    }
    segue_command_buffer_get_info(execution->command_buffer, &info);
    if (info.slot_count != execution->binding_count ||
        (info.slot_count != 0 && execution->bindings == NULL)) {
        return segue_trace_fail_on(
            writer->device, SEGUE_INVALID_ARGUMENT,
            "command buffer \"%s\" has %" PRIu32 " slots, bound are %" PRIu32,
            info.label != NULL ? info.label : "", info.slot_count, execution->binding_count);
    }
    segue_status status = segue_writer_check_slots(writer->device, execution);
    if (status != SEGUE_OK) {
        return status;
    }
    json_t *item = json_object();
    status = item != NULL ? segue_writer_describe_constants(writer->device, execution, item)
                          : segue_trace_fail_memory("a trace");
    if (status != SEGUE_OK) {
        json_decref(item);
        return status;
    }
    if (json_array_append_new(array, item) != 0) {
        return segue_trace_fail_memory("a trace");
    }
    status = segue_writer_name_command_buffer(writer, execution->command_buffer, &name);
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "command_buffer", json_string(name));
    }
    return status == SEGUE_OK && execution->binding_count != 0
               ? describe_bindings(writer, execution, item)
               : status;
}

static segue_status describe_value(segue_trace_writer *writer,
                                   const struct segue_semaphore_value *value, bool is_signal,
                                   json_t *array)
{
    const char *name = NULL;
    uint32_t number = 0;
    segue_status status = segue_writer_name_semaphore(writer, value->semaphore, &name, &number);
    if (status != SEGUE_OK) {
        return status;
    }
    uint64_t reached =
        (uint64_t)json_integer_value(json_array_get(writer->semaphore_values, number));
    if (is_signal ? value->value <= reached : value->value > reached) {
        return segue_trace_fail_on(
            writer->device, is_signal ? SEGUE_INVALID_ARGUMENT : SEGUE_INVALID_STATE,
            is_signal ? "signals value %" PRIu64 " of %s, which is not above %" PRIu64
                      : "waits for value %" PRIu64 " of %s, which has reached %" PRIu64
                        "; add the submission that signals it first",
            value->value, name, reached);
    }
    if (is_signal && json_array_set_new(writer->semaphore_values, number,
                                        json_integer((json_int_t)value->value)) != 0) {
        return segue_trace_fail_memory("a trace");
    }
    json_t *item =
        json_pack("{s:s, s:o}", "semaphore", name, "value", segue_json_from_u64(value->value));
    return item != NULL && json_array_append_new(array, item) == 0
               ? SEGUE_OK
               : segue_trace_fail_memory("a trace");
}

static segue_status describe_values(segue_trace_writer *writer, json_t *item, const char *key,
                                    const struct segue_semaphore_value *values, uint32_t count,
                                    bool is_signal)
{
    if (count == 0) {
        return SEGUE_OK;
    }
    json_t *array = json_array();
    segue_status status = segue_json_set(item, key, array);
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        status = describe_value(writer, &values[i], is_signal, array);
    }
    return status;
}

segue_status segue_trace_writer_add_submission(segue_trace_writer *writer,
                                               const struct segue_submission *submission)
{
    if (writer == NULL || submission == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "writer and submission must not be NULL");
    }
    segue_status status = check_open(writer);
    if (status != SEGUE_OK) {
        return status;
    }
    json_t *item = json_object();
    json_t *executions = json_array();
    if (item == NULL) {
        json_decref(executions);
        return segue_trace_fail_memory("a trace");
    }
    status =
        describe_values(writer, item, "waits", submission->waits, submission->wait_count, false);
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "executions", executions);
    } else {
        json_decref(executions);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < submission->execution_count; i++) {
        status = describe_execution(writer, &submission->executions[i], executions);
    }
    if (status == SEGUE_OK) {
        status = describe_values(writer, item, "signals", submission->signals,
                                 submission->signal_count, true);
    }
    if (status == SEGUE_OK && json_array_append(writer->submissions, item) != 0) {
        status = segue_trace_fail_memory("a trace");
    }
    json_decref(item);
    return status;
}

/** "digest", or "tensor" and "relative_tolerance". */
static segue_status describe_expected(segue_trace_writer *writer,
                                      const struct segue_expectation *expectation,
                                      uint64_t length_bytes, const char *name, json_t *item)
{
    if (expectation->relative_tolerance == 0) {
        char digits[2 * sizeof(XXH128_canonical_t) + 1];
        XXH128_canonical_t digest;
        XXH128_canonicalFromHash(&digest, XXH3_128bits(expectation->data, (size_t)length_bytes));
        segue_hex_encode(digest.digest, sizeof(digest.digest), digits);
        return segue_json_set(item, "digest", json_string(digits));
    }
    char tensor_name[320];
    snprintf(tensor_name, sizeof(tensor_name), "expected.%s", name);
    segue_status status = segue_writer_store_tensor(writer, tensor_name, expectation->dtype,
                                                    expectation->data, length_bytes);
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "tensor", json_string(tensor_name));
    }
    return status == SEGUE_OK ? segue_json_set(item, "relative_tolerance",
                                               json_real(expectation->relative_tolerance))
                              : status;
}

static segue_status check_expectation(const segue_trace_writer *writer,
                                      const struct segue_expectation *expectation,
                                      struct segue_buffer_ref *out_range)
{
    struct segue_buffer_ref range = expectation->range;
    struct segue_buffer_info info;
    size_t element_bytes = segue_dtype_size_bytes(expectation->dtype);
    if (range.buffer == NULL || expectation->data == NULL || element_bytes == 0 ||
        !isfinite(expectation->relative_tolerance) || expectation->relative_tolerance < 0) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_ARGUMENT,
                                   "an expectation needs a buffer, data, a dtype and a tolerance "
                                   "that is not negative");
    }
    segue_buffer_get_info(range.buffer, &info);
    if (range.offset_bytes <= info.size_bytes && range.length_bytes == SEGUE_WHOLE_SIZE) {
        range.length_bytes = info.size_bytes - range.offset_bytes;
    }
    if (range.offset_bytes > info.size_bytes ||
        range.length_bytes > info.size_bytes - range.offset_bytes) {
        return segue_trace_fail_on(
            writer->device, SEGUE_OUT_OF_RANGE,
            "offset %" PRIu64 " + length %" PRIu64 " exceeds buffer \"%s\" of %" PRIu64 " bytes",
            range.offset_bytes, range.length_bytes, info.label, info.size_bytes);
    }
    if (range.length_bytes % element_bytes != 0) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_ARGUMENT,
                                   "%" PRIu64 " bytes are no whole number of %s elements",
                                   range.length_bytes, segue_dtype_name(expectation->dtype));
    }
    *out_range = range;
    return SEGUE_OK;
}

/** The name given, or "buffer[offset]". From malloc. */
static char *name_expectation(segue_trace_writer *writer,
                              const struct segue_expectation *expectation, const char *buffer_name)
{
    char made[320];
    snprintf(made, sizeof(made), "%s[%" PRIu64 "]", buffer_name, expectation->range.offset_bytes);
    return segue_writer_make_name(writer, SEGUE_NAMES_OF_EXPECTATIONS,
                                  expectation->name != NULL ? expectation->name : made,
                                  "expectation", (uint32_t)json_array_size(writer->expectations));
}

segue_status segue_trace_writer_expect(segue_trace_writer *writer,
                                       const struct segue_expectation *expectation)
{
    if (writer == NULL || expectation == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "writer and expectation must not be NULL");
    }
    struct segue_buffer_ref range;
    const char *buffer_name = NULL;
    segue_status status = check_open(writer);
    if (status == SEGUE_OK) {
        status = check_expectation(writer, expectation, &range);
    }
    if (status == SEGUE_OK) {
        status = segue_writer_name_buffer(writer, range.buffer, &buffer_name);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    const struct segue_command_names names = segue_writer_command_names(writer);
    char *name = name_expectation(writer, expectation, buffer_name);
    json_t *range_json = NULL;
    json_t *item = json_object();
    status = name != NULL && item != NULL ? segue_json_set(item, "name", json_string(name))
                                          : segue_trace_fail_memory("a trace");
    if (status == SEGUE_OK) {
        status = segue_range_to_json(&range, &names, &range_json);
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "range", range_json);
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(item, "dtype", json_string(segue_dtype_name(expectation->dtype)));
    }
    if (status == SEGUE_OK) {
        status = describe_expected(writer, expectation, range.length_bytes, name, item);
    }
    if (status == SEGUE_OK && json_array_append(writer->expectations, item) != 0) {
        status = segue_trace_fail_memory("a trace");
    }
    json_decref(item);
    free(name);
    return status;
}

segue_status segue_trace_write_command_buffer(segue_command_buffer *command_buffer,
                                              const struct segue_buffer_ref *bindings,
                                              uint32_t binding_count, const char *path)
{
    if (command_buffer == NULL || path == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "command_buffer and path must not be NULL");
    }
    struct segue_command_buffer_info info;
    segue_command_buffer_get_info(command_buffer, &info);
    const struct segue_execution execution = {
        .command_buffer = command_buffer,
        .bindings = bindings,
        .binding_count = binding_count,
    };
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    segue_trace_writer *writer = NULL;
    segue_status status = segue_trace_writer_create(info.device, path, &writer);
    if (status == SEGUE_OK) {
        status = segue_trace_writer_add_submission(writer, &submission);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_writer_finish(writer);
    }
    segue_trace_writer_destroy(writer);
    return status;
}
