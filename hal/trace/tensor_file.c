// SPDX-License-Identifier: Apache-2.0
#include <segue/tensor_file.h>

#include "error.h"
#include "gguf.h"
#include "names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct segue_tensor_file {
    struct segue_pool pool;
    const char *path;
    int fd;
    struct segue_tensor_list list;
    struct segue_names names;
};

/** Types of elements: so many of them in so many bytes. Those of several are ggml's blocks. */
static const struct {
    const char *name;
    uint32_t block_elements;
    uint32_t block_bytes;
} dtypes[] = {
    {"BOOL", 1, 1},     {"U8", 1, 1},       {"I8", 1, 1},       {"F8_E4M3", 1, 1},
    {"F8_E5M2", 1, 1},  {"U16", 1, 2},      {"I16", 1, 2},      {"F16", 1, 2},
    {"BF16", 1, 2},     {"U32", 1, 4},      {"I32", 1, 4},      {"F32", 1, 4},
    {"U64", 1, 8},      {"I64", 1, 8},      {"F64", 1, 8},      {"U4", 2, 1},
    {"I4", 2, 1},       {"Q4_0", 32, 18},   {"Q4_1", 32, 20},   {"Q5_0", 32, 22},
    {"Q5_1", 32, 24},   {"Q8_0", 32, 34},   {"Q8_1", 32, 36},   {"Q2_K", 256, 84},
    {"Q3_K", 256, 110}, {"Q4_K", 256, 144}, {"Q5_K", 256, 176}, {"Q6_K", 256, 210},
    {"Q8_K", 256, 292},
};

bool segue_tensor_dtype_block(const char *dtype, uint32_t *out_block_elements,
                              uint32_t *out_block_bytes)
{
    for (size_t i = 0; i < sizeof(dtypes) / sizeof(dtypes[0]); i++) {
        if (strcmp(dtypes[i].name, dtype) == 0) {
            *out_block_elements = dtypes[i].block_elements;
            *out_block_bytes = dtypes[i].block_bytes;
            return true;
        }
    }
    return false;
}

/** Reads whichever header it is. */
static segue_status read_header(segue_tensor_file *file)
{
    struct stat info;
    if (fstat(file->fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        return segue_trace_fail(SEGUE_IO_ERROR, "%s: not a regular file", file->path);
    }
    const uint64_t size_bytes = (uint64_t)info.st_size;
    unsigned char magic[4] = {0};
    const int error =
        size_bytes < sizeof(magic) ? 0 : segue_read_exactly(file->fd, 0, magic, sizeof(magic));
    if (error != 0) {
        return segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be read: %s", file->path,
                                error > 0 ? strerror(error) : "it became shorter");
    }
    // No safetensors file begins like that: its header would be larger than any that is read.
    return segue_gguf_is(magic)
               ? segue_gguf_read(file->path, file->fd, size_bytes, &file->pool, &file->list)
               : segue_safetensors_read(file->path, file->fd, size_bytes, &file->pool, &file->list);
}

static segue_status index_names(segue_tensor_file *file)
{
    struct segue_names *names = &file->names;
    names->names =
        segue_pool_allocate(&file->pool, file->list.tensor_count, sizeof(names->names[0]));
    if (names->names == NULL) {
        return segue_trace_fail_memory("tensor names");
    }
    names->count = file->list.tensor_count;
    for (uint32_t i = 0; i < names->count; i++) {
        names->names[i] = (struct segue_name){.text = file->list.tensors[i].name, .index = i};
    }
    uint32_t duplicate = 0;
    if (!segue_names_sort(names, &duplicate)) {
        return segue_trace_fail(SEGUE_INVALID_DATA, "%s: two tensors are named \"%.80s\"",
                                file->path, file->list.tensors[duplicate].name);
    }
    return SEGUE_OK;
}

segue_status segue_tensor_file_open(const char *path, segue_tensor_file **out_file)
{
    if (path == NULL || out_file == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "segue_tensor_file_open: path and out_file must not be NULL");
    }
    segue_tensor_file *file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return segue_trace_fail_memory("a file of tensors");
    }
    // Not a pipe's or a device's: those would wait.
    file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const int error = file->fd < 0 ? errno : 0;
    file->path = segue_pool_copy_string(&file->pool, path);
    segue_status status = file->path != NULL ? SEGUE_OK : segue_trace_fail_memory("a path");
    if (status == SEGUE_OK && error != 0) {
        status =
            segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be opened: %s", path, strerror(error));
    }
    if (status == SEGUE_OK) {
        status = read_header(file);
    }
    if (status == SEGUE_OK) {
        status = index_names(file);
    }
    if (status != SEGUE_OK) {
        segue_tensor_file_close(file);
        return status;
    }
    *out_file = file;
    return SEGUE_OK;
}

void segue_tensor_file_close(segue_tensor_file *file)
{
    if (file == NULL) {
        return;
    }
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    segue_pool_free(&file->pool);
    free(file);
}

int segue_tensor_file_get_fd(const segue_tensor_file *file)
{
    return file->fd;
}

uint32_t segue_tensor_file_get_count(const segue_tensor_file *file)
{
    return file->list.tensor_count;
}

segue_status segue_tensor_file_get(const segue_tensor_file *file, uint32_t index,
                                   struct segue_tensor_info *out_info)
{
    if (file == NULL || out_info == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "segue_tensor_file_get: file and out_info must not be NULL");
    }
    if (index >= file->list.tensor_count) {
        return segue_trace_fail(SEGUE_OUT_OF_RANGE,
                                "%s: there is no tensor %" PRIu32 " of %" PRIu32, file->path, index,
                                file->list.tensor_count);
    }
    const struct segue_tensor *tensor = &file->list.tensors[index];
    if (tensor->dtype_name == NULL) {
        return segue_trace_fail(SEGUE_UNIMPLEMENTED,
                                "%s: tensor \"%.80s\" is of type %" PRIu32 ", which is not known",
                                file->path, tensor->name, tensor->type_number);
    }
    if (tensor->dimension_count > SEGUE_TENSOR_MAX_DIMENSIONS) {
        return segue_trace_fail(
            SEGUE_UNIMPLEMENTED,
            "%s: tensor \"%.80s\" has %" PRIu32 " dimensions; at most %d are supported", file->path,
            tensor->name, tensor->dimension_count, SEGUE_TENSOR_MAX_DIMENSIONS);
    }
    *out_info = (struct segue_tensor_info){
        .name = tensor->name,
        .dtype = tensor->dtype_name,
        .offset_bytes = tensor->offset_bytes,
        .size_bytes = tensor->size_bytes,
        .dimension_count = tensor->dimension_count,
    };
    for (uint32_t i = 0; i < tensor->dimension_count; i++) {
        out_info->shape[i] = tensor->shape[i];
    }
    return SEGUE_OK;
}

segue_status segue_tensor_file_find(const segue_tensor_file *file, const char *name,
                                    struct segue_tensor_info *out_info)
{
    uint32_t index = 0;
    if (file == NULL || name == NULL || out_info == NULL) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "segue_tensor_file_find: nothing may be NULL");
    }
    if (!segue_names_find(&file->names, name, &index)) {
        return segue_trace_fail(SEGUE_NOT_FOUND, "%s: none of its %" PRIu32 " tensors is \"%.80s\"",
                                file->path, file->list.tensor_count, name);
    }
    return segue_tensor_file_get(file, index, out_info);
}
