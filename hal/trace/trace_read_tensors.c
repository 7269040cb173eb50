// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "error.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static segue_status open_file(const struct segue_json *at, segue_trace *trace)
{
    struct segue_trace_file *file = &trace->files[trace->file_count];
    const char *path = NULL;
    uint64_t size_bytes = 0;
    segue_status status = segue_trace_open_file(at, trace, &path, &file->fd, &size_bytes);
    if (status != SEGUE_OK) {
        return status;
    }
    // It is closed with the trace from now on.
    trace->file_count++;
    file->path = segue_pool_copy_string(&trace->pool, path);
    if (file->path == NULL) {
        return segue_trace_fail_memory("a trace");
    }
    return segue_safetensors_read(path, file->fd, size_bytes, &trace->pool, &file->tensors);
}

/** One table of all tensors of all files. */
static segue_status index_tensors(const struct segue_json *at, segue_trace *trace)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < trace->file_count; i++) {
        count += trace->files[i].tensors.tensor_count;
    }
    struct segue_name *names = NULL;
    segue_status status =
        segue_trace_allocate(trace, (size_t)count, sizeof(trace->tensors[0]), &trace->tensors);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, (size_t)count, sizeof(names[0]), &names);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    uint32_t next = 0;
    for (uint32_t i = 0; i < trace->file_count; i++) {
        for (uint32_t k = 0; k < trace->files[i].tensors.tensor_count; k++, next++) {
            const struct segue_tensor *tensor = &trace->files[i].tensors.tensors[k];
            trace->tensors[next] = (struct segue_trace_tensor){.tensor = tensor, .file = i};
            names[next] = (struct segue_name){.text = tensor->name, .index = next};
        }
    }
    trace->tensor_count = next;
    trace->tensor_names = (struct segue_names){.names = names, .count = next};
    uint32_t duplicate = 0;
    if (!segue_names_sort(&trace->tensor_names, &duplicate)) {
        struct segue_json element = segue_json_element(at, trace->tensors[duplicate].file);
        return segue_json_fail(&element, "tensor \"%.80s\" is in an earlier file, too",
                               trace->tensors[duplicate].tensor->name);
    }
    return SEGUE_OK;
}

segue_status segue_trace_read_tensors(const struct segue_json *root, segue_trace *trace)
{
    struct segue_json at;
    uint32_t count = 0;
    segue_status status =
        segue_json_optional_array(root, "tensors", SEGUE_TRACE_MAX_FILES, &at, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(trace->files[0]), &trace->files);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        status = open_file(&element, trace);
    }
    return status == SEGUE_OK ? index_tensors(&at, trace) : status;
}

segue_status segue_trace_read_tensor(const struct segue_trace *trace, uint32_t tensor,
                                     uint64_t offset_bytes, void *data, size_t length_bytes)
{
    const struct segue_trace_tensor *entry = &trace->tensors[tensor];
    const struct segue_trace_file *file = &trace->files[entry->file];
    int error = segue_read_exactly(file->fd, entry->tensor->offset_bytes + offset_bytes, data,
                                   length_bytes);
    if (error != 0) {
        return segue_trace_fail(SEGUE_IO_ERROR, "%s: tensor \"%.80s\" could not be read: %s",
                                file->path, entry->tensor->name,
                                error > 0 ? strerror(error) : "the file became shorter");
    }
    return SEGUE_OK;
}
