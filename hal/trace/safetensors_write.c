// SPDX-License-Identifier: Apache-2.0
#include "safetensors.h"

#include "command_json.h"
#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COPY_BYTES ((size_t)1 << 20)

static const char *const dtype_names[] = {
    "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64",
};

segue_status segue_safetensors_begin(struct segue_safetensors_writer *writer, const char *path)
{
    struct segue_safetensors_writer begun = {.header = json_object()};
    char *data_path = NULL;
    if (begun.header == NULL || asprintf(&data_path, "%s.data", path) < 0) {
        json_decref(begun.header);
        return segue_trace_fail_memory("a safetensors file");
    }
    segue_status status = segue_output_open(&begun.data, data_path);
    free(data_path);
    if (status != SEGUE_OK) {
        json_decref(begun.header);
        return status;
    }
    *writer = begun;
    return SEGUE_OK;
}

segue_status segue_safetensors_add(struct segue_safetensors_writer *writer, const char *name,
                                   enum segue_dtype dtype, uint64_t size_bytes)
{
    if (strcmp(name, "__metadata__") == 0) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "a tensor may not be named \"__metadata__\"");
    }
    uint64_t begin = writer->data.size_bytes;
    uint64_t count = size_bytes / segue_dtype_size_bytes(dtype);
    json_t *tensor =
        json_pack("{s:s, s:[I], s:[I, I]}", "dtype", dtype_names[dtype], "shape", (json_int_t)count,
                  "data_offsets", (json_int_t)begin, (json_int_t)(begin + size_bytes));
    if (tensor == NULL || json_object_set_new(writer->header, name, tensor) != 0) {
        return segue_trace_fail_memory("a safetensors header");
    }
    return SEGUE_OK;
}

segue_status segue_safetensors_append(struct segue_safetensors_writer *writer, const void *data,
                                      uint64_t length_bytes)
{
    return segue_output_write(&writer->data, data, length_bytes);
}

static segue_status copy_data(struct segue_safetensors_writer *writer,
                              struct segue_output_file *out_file)
{
    unsigned char *piece = malloc(COPY_BYTES);
    if (piece == NULL) {
        return segue_trace_fail_memory("copying tensors");
    }
    segue_status status = SEGUE_OK;
    uint64_t size_bytes = writer->data.size_bytes;
    for (uint64_t offset = 0; status == SEGUE_OK && offset < size_bytes;) {
        size_t length =
            size_bytes - offset < COPY_BYTES ? (size_t)(size_bytes - offset) : COPY_BYTES;
        int error = segue_read_exactly(writer->data.fd, offset, piece, length);
        if (error != 0) {
            status =
                segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be read: %s", writer->data.path,
                                 error > 0 ? strerror(error) : "it became shorter");
        } else {
            status = segue_output_write(out_file, piece, length);
        }
        offset += length;
    }
    free(piece);
    return status;
}

segue_status segue_safetensors_finish(struct segue_safetensors_writer *writer,
                                      struct segue_output_file *out_file)
{
    char *header = segue_json_dumps(writer->header, JSON_COMPACT);
    if (header == NULL) {
        return segue_trace_fail_memory("a safetensors header");
    }
    // Padded, so that the data begins at a multiple of 8.
    static const char padding[8] = "        ";
    uint64_t text_bytes = strlen(header);
    uint64_t header_bytes = (text_bytes + 7) / 8 * 8;
    segue_status status = SEGUE_OK;
    if (header_bytes > SEGUE_SAFETENSORS_MAX_HEADER_BYTES) {
        status = segue_trace_fail(
            SEGUE_UNIMPLEMENTED, "%s: too many tensors for one safetensors header", out_file->path);
    }
    if (status == SEGUE_OK) {
        status = segue_output_write(out_file, &header_bytes, sizeof(header_bytes));
    }
    if (status == SEGUE_OK) {
        status = segue_output_write(out_file, header, text_bytes);
    }
    if (status == SEGUE_OK) {
        status = segue_output_write(out_file, padding, header_bytes - text_bytes);
    }
    if (status == SEGUE_OK) {
        status = copy_data(writer, out_file);
    }
    free(header);
    segue_safetensors_abandon(writer);
    return status;
}

void segue_safetensors_abandon(struct segue_safetensors_writer *writer)
{
    if (writer->header == NULL) {
        return;
    }
    json_decref(writer->header);
    segue_output_abandon(&writer->data);
    *writer = (struct segue_safetensors_writer){0};
}
