// SPDX-License-Identifier: Apache-2.0
#include "trace_write.h"

#include "error.h"
#include "model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/** Adds a list unless it is empty. */
static segue_status set_list(json_t *root, const char *key, json_t *array)
{
    return json_array_size(array) != 0 ? segue_json_set(root, key, json_incref(array)) : SEGUE_OK;
}

static segue_status build_root(segue_trace_writer *writer, const char *tensors_path, json_t *root)
{
    char version[24];
    json_t *buffers = NULL;
    snprintf(version, sizeof(version), "%d.%d", SEGUE_TRACE_VERSION_MAJOR,
             SEGUE_TRACE_VERSION_MINOR);
    segue_status status = segue_json_set(root, "segue_trace", json_string(version));
    if (status == SEGUE_OK && writer->has_tensors) {
        status = segue_json_set(root, "tensors", json_pack("[s]", base_name(tensors_path)));
    }
    if (status == SEGUE_OK) {
        status = segue_writer_describe_buffers(writer, &buffers);
    }
    if (status == SEGUE_OK) {
        status = set_list(root, "buffers", buffers);
    }
    json_decref(buffers);
    if (status == SEGUE_OK) {
        status = set_list(root, "executables", writer->executables.items);
    }
    if (status == SEGUE_OK) {
        status = set_list(root, "packings", writer->packings);
    }
    if (status == SEGUE_OK) {
        status = set_list(root, "semaphores", writer->semaphores.items);
    }
    if (status == SEGUE_OK) {
        status = set_list(root, "events", writer->events.items);
    }
    if (status == SEGUE_OK) {
        status = set_list(root, "command_buffers", writer->command_buffers);
    }
    if (status == SEGUE_OK) {
        status = set_list(root, "submissions", writer->submissions);
    }
    return status == SEGUE_OK ? set_list(root, "expectations", writer->expectations) : status;
}

/** The document under its temporary name. */
static segue_status write_document(segue_trace_writer *writer, const char *tensors_path,
                                   struct segue_output_file *file)
{
    json_t *root = json_object();
    segue_status status =
        root != NULL ? build_root(writer, tensors_path, root) : segue_trace_fail_memory("a trace");
    char *text = status == SEGUE_OK ? segue_json_print(root) : NULL;
    json_decref(root);
    if (status == SEGUE_OK && text == NULL) {
        status = segue_trace_fail_memory("a trace");
    }
    if (status == SEGUE_OK && strlen(text) > SEGUE_TRACE_MAX_JSON_BYTES) {
        status =
            segue_trace_fail_on(writer->device, SEGUE_UNIMPLEMENTED,
                                "%s: the document would have %zu bytes, more than readers take",
                                writer->path, strlen(text));
    }
    if (status == SEGUE_OK) {
        status = segue_output_open(file, writer->path);
    }
    if (status == SEGUE_OK) {
        status = segue_output_write(file, text, strlen(text));
    }
    free(text);
    return status;
}

/** The document comes last: it names the others. */
static segue_status commit(segue_trace_writer *writer, struct segue_output_file *tensors,
                           struct segue_output_file *document)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < writer->code_file_count; i++) {
        status = segue_output_commit(&writer->code_files[i]);
    }
    if (status == SEGUE_OK && writer->has_tensors) {
        status = segue_output_commit(tensors);
    }
    return status == SEGUE_OK ? segue_output_commit(document) : status;
}

segue_status segue_trace_writer_finish(segue_trace_writer *writer)
{
    if (writer == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "writer must not be NULL");
    }
    if (writer->done) {
        return segue_trace_fail_on(writer->device, SEGUE_INVALID_STATE,
                                   "%s: the writer has finished or failed before", writer->path);
    }
    writer->done = true;
    struct segue_output_file tensors = {.fd = -1};
    struct segue_output_file document = {.fd = -1};
    char *tensors_path = NULL;
    if (asprintf(&tensors_path, "%s.safetensors", writer->stem) < 0) {
        return segue_trace_fail_memory("a trace");
    }
    segue_status status = write_document(writer, tensors_path, &document);
    if (status == SEGUE_OK && writer->has_tensors) {
        status = segue_output_open(&tensors, tensors_path);
    }
    if (status == SEGUE_OK && writer->has_tensors) {
        status = segue_safetensors_finish(&writer->tensors, &tensors);
    }
    if (status == SEGUE_OK) {
        status = commit(writer, &tensors, &document);
    }
    segue_output_abandon(&tensors);
    segue_output_abandon(&document);
    free(tensors_path);
    return status;
}
