// SPDX-License-Identifier: Apache-2.0
#include "safetensors.h"

#include "error.h"
#include "json_get.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS (1u << 20)
#define MAX_NAME_BYTES 1024
#define MAX_DIMENSIONS 32
#define DTYPE_COUNT 15

/** In the order of enum segue_dtype, then those that only have a size. */
static const char *const dtype_names[DTYPE_COUNT] = {
    "U8",  "I8",   "U16", "I16", "U32",  "I32",     "U64",     "I64",
    "F16", "BF16", "F32", "F64", "BOOL", "F8_E4M3", "F8_E5M2",
};

static size_t dtype_size_bytes(uint32_t index)
{
    size_t size_bytes = segue_dtype_size_bytes((enum segue_dtype)index);
    return size_bytes != 0 ? size_bytes : 1;
}

segue_status segue_safetensors_check_size(const char *file, const unsigned char prefix[8],
                                          uint64_t file_size_bytes, uint64_t *out_header_bytes)
{
    uint64_t header_bytes;
    if (file_size_bytes < sizeof(header_bytes)) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: %" PRIu64 " bytes are too few for a safetensors file", file,
                                file_size_bytes);
    }
    memcpy(&header_bytes, prefix, sizeof(header_bytes));
    if (header_bytes > SEGUE_SAFETENSORS_MAX_HEADER_BYTES) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: a header of %" PRIu64 " bytes; at most %u are supported", file,
                                header_bytes, SEGUE_SAFETENSORS_MAX_HEADER_BYTES);
    }
    if (header_bytes > file_size_bytes - sizeof(header_bytes)) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: a header of %" PRIu64 " bytes in a file of %" PRIu64, file,
                                header_bytes, file_size_bytes);
    }
    *out_header_bytes = header_bytes;
    return SEGUE_OK;
}

static segue_status read_metadata(const struct segue_json *at)
{
    json_t *object = (json_t *)(uintptr_t)at->value;
    if (!json_is_object(object)) {
        return segue_json_fail(at, "must be an object of strings");
    }
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        if (!json_is_string(json_object_iter_value(i))) {
            return segue_json_fail(at, "must be an object of strings");
        }
    }
    return SEGUE_OK;
}

/** The dimensions, and their product with the element size. */
static segue_status read_shape(const struct segue_json *at, size_t element_bytes,
                               struct segue_pool *pool, struct segue_tensor *tensor)
{
    struct segue_json shape;
    uint32_t dimension_count = 0;
    segue_status status = segue_json_member(at, "shape", &shape);
    if (status == SEGUE_OK) {
        status = segue_json_array(&shape, MAX_DIMENSIONS, &dimension_count);
    }
    uint64_t *extents =
        status == SEGUE_OK ? segue_pool_allocate(pool, dimension_count, sizeof(extents[0])) : NULL;
    if (status == SEGUE_OK && extents == NULL) {
        status = segue_trace_fail_memory("a list of tensors");
    }
    uint64_t size_bytes = element_bytes;
    for (uint32_t i = 0; status == SEGUE_OK && i < dimension_count; i++) {
        struct segue_json element = segue_json_element(&shape, i);
        uint64_t extent = 0;
        status = segue_json_u64(&element, 0, INT64_MAX, &extent);
        if (status == SEGUE_OK && extent != 0 && size_bytes > (uint64_t)INT64_MAX / extent) {
            status = segue_json_fail(&shape, "the tensor's size overflows");
        }
        size_bytes *= extent;
        extents[i] = extent;
    }
    tensor->size_bytes = size_bytes;
    tensor->shape = extents;
    tensor->dimension_count = dimension_count;
    return status;
}

/** Fills in all but the name; offset_bytes is still relative to the data. */
static segue_status read_tensor(const struct segue_json *at, uint64_t data_size_bytes,
                                struct segue_pool *pool, struct segue_tensor *tensor)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets", NULL};
    struct segue_json child;
    uint32_t dtype = 0;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "dtype", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_enum(&child, dtype_names, DTYPE_COUNT, &dtype);
    }
    if (status == SEGUE_OK) {
        status = read_shape(at, dtype_size_bytes(dtype), pool, tensor);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "data_offsets", &child);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    uint64_t offsets[2] = {0, 0};
    uint32_t count = 0;
    status = segue_json_array(&child, 2, &count);
    if (status == SEGUE_OK && count != 2) {
        return segue_json_fail(&child, "must be an array of two offsets");
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < 2; i++) {
        struct segue_json element = segue_json_element(&child, i);
        status = segue_json_u64(&element, i == 0 ? 0 : offsets[0], data_size_bytes, &offsets[i]);
    }
    if (status == SEGUE_OK && offsets[1] - offsets[0] != tensor->size_bytes) {
        return segue_json_fail(at, "dtype and shape make %" PRIu64 " bytes, data_offsets %" PRIu64,
                               tensor->size_bytes, offsets[1] - offsets[0]);
    }
    tensor->dtype_name = dtype_names[dtype];
    tensor->dtype = segue_dtype_size_bytes((enum segue_dtype)dtype) != 0 ? (int)dtype : -1;
    tensor->offset_bytes = offsets[0];
    return status;
}

static int compare_positions(const void *left, const void *right)
{
    const struct segue_tensor *a = left;
    const struct segue_tensor *b = right;
    if (a->offset_bytes != b->offset_bytes) {
        return a->offset_bytes < b->offset_bytes ? -1 : 1;
    }
    // Empty tensors come before the one that begins at the same place.
    return (a->size_bytes > b->size_bytes) - (a->size_bytes < b->size_bytes);
}

/** No holes, no overlap, nothing left over. */
static segue_status check_layout(const char *file, const struct segue_tensor_list *list,
                                 uint64_t data_size_bytes)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < list->tensor_count; i++) {
        const struct segue_tensor *tensor = &list->tensors[i];
        if (tensor->offset_bytes != end) {
            return segue_trace_fail(SEGUE_INVALID_DATA,
                                    "%s: tensor \"%.80s\" begins at byte %" PRIu64
                                    " of the data, but those before it end at %" PRIu64,
                                    file, tensor->name, tensor->offset_bytes, end);
        }
        end += tensor->size_bytes;
    }
    if (end != data_size_bytes) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: the tensors end at byte %" PRIu64 " of %" PRIu64
                                " bytes of data",
                                file, end, data_size_bytes);
    }
    return SEGUE_OK;
}

static segue_status read_tensors(const struct segue_json *root, uint64_t data_size_bytes,
                                 struct segue_pool *pool, struct segue_tensor_list *list)
{
    json_t *object = (json_t *)(uintptr_t)root->value;
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        struct segue_json at = {.parent = root,
                                .key = json_object_iter_key(i),
                                .value = json_object_iter_value(i),
                                .file = root->file};
        segue_status status;
        if (strcmp(at.key, "__metadata__") == 0) {
            status = read_metadata(&at);
        } else if (at.key[0] == '\0' || strlen(at.key) > MAX_NAME_BYTES ||
                   !segue_text_is_plain(at.key)) {
            status = segue_json_fail(&at,
                                     "a tensor's name must have 1 to %d bytes and no control "
                                     "characters",
                                     MAX_NAME_BYTES);
        } else {
            struct segue_tensor *tensor = &list->tensors[list->tensor_count];
            status = read_tensor(&at, data_size_bytes, pool, tensor);
            if (status == SEGUE_OK) {
                tensor->name = segue_pool_copy_string(pool, at.key);
                status = tensor->name != NULL ? SEGUE_OK : segue_trace_fail_memory("tensor names");
                list->tensor_count++;
            }
        }
        if (status != SEGUE_OK) {
            return status;
        }
    }
    return SEGUE_OK;
}

segue_status segue_safetensors_parse(const char *file, const char *header, size_t header_bytes,
                                     uint64_t data_size_bytes, struct segue_pool *pool,
                                     struct segue_tensor_list *out_list)
{
    json_t *root = NULL;
    // The format allows padding by spaces behind the object, none in front.
    if (header_bytes == 0 || header[0] != '{') {
        return segue_trace_fail(SEGUE_INVALID_DATA, "%s: the header must begin with '{'", file);
    }
    segue_status status = segue_json_parse(file, header, header_bytes, &root);
    if (status != SEGUE_OK) {
        return status;
    }
    struct segue_json at = {.value = root, .file = file};
    struct segue_tensor_list list = {0};
    size_t count = json_object_size(root);
    if (count > MAX_TENSORS) {
        status = segue_json_fail(&at, "%zu tensors; at most %u are supported", count, MAX_TENSORS);
        goto done;
    }
    list.tensors = segue_pool_allocate(pool, count, sizeof(list.tensors[0]));
    if (list.tensors == NULL) {
        status = segue_trace_fail_memory("a list of tensors");
        goto done;
    }
    status = read_tensors(&at, data_size_bytes, pool, &list);
    if (status != SEGUE_OK) {
        goto done;
    }
    if (list.tensor_count != 0) {
        qsort(list.tensors, list.tensor_count, sizeof(list.tensors[0]), compare_positions);
    }
    status = check_layout(file, &list, data_size_bytes);
    if (status != SEGUE_OK) {
        goto done;
    }
    for (uint32_t i = 0; i < list.tensor_count; i++) {
        list.tensors[i].offset_bytes += 8 + (uint64_t)header_bytes;
    }
    *out_list = list;
done:
    json_decref(root);
    return status;
}

segue_status segue_safetensors_read(const char *file, int fd, uint64_t file_size_bytes,
                                    struct segue_pool *pool, struct segue_tensor_list *out_list)
{
    unsigned char prefix[8] = {0};
    uint64_t header_bytes = 0;
    int error = 0;
    if (file_size_bytes >= sizeof(prefix)) {
        error = segue_read_exactly(fd, 0, prefix, sizeof(prefix));
    }
    if (error == 0) {
        segue_status status =
            segue_safetensors_check_size(file, prefix, file_size_bytes, &header_bytes);
        if (status != SEGUE_OK) {
            return status;
        }
    }
    char *header = NULL;
    if (error == 0) {
        header = malloc((size_t)header_bytes + 1);
        if (header == NULL) {
            return segue_trace_fail_memory("a safetensors header");
        }
        error = segue_read_exactly(fd, sizeof(prefix), header, (size_t)header_bytes);
    }
    segue_status status =
        error == 0 ? segue_safetensors_parse(file, header, (size_t)header_bytes,
                                             file_size_bytes - sizeof(prefix) - header_bytes, pool,
                                             out_list)
                   : segue_trace_fail(SEGUE_IO_ERROR, "%s: could not be read: %s", file,
                                      error > 0 ? strerror(error) : "it became shorter");
    free(header);
    return status;
}
