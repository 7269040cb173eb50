// SPDX-License-Identifier: Apache-2.0
#include "gguf_bytes.h"

#include "error.h"

#include <segue/tensor_file.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS (1u << 20)
#define MAX_DIMENSIONS 4u
#define MAX_ARRAY_DEPTH 4u
#define DEFAULT_ALIGNMENT 32u
/** The least that a key with its value, and a tensor's description, can take. */
#define LEAST_VALUE_BYTES 13u
#define LEAST_TENSOR_BYTES 24u

/** Types of metadata. */
enum value_type {
    VALUE_U32 = 4,
    VALUE_STRING = 8,
    VALUE_ARRAY = 9,
    VALUE_TYPE_COUNT = 13,
};

/** Bytes of each type of metadata; 0: as long as it says itself. */
static const uint32_t value_bytes[VALUE_TYPE_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

/** Types of tensors; those in between are not known. */
static const char *const type_names[] = {
    [0] = "F32",   [1] = "F16",   [2] = "Q4_0",  [3] = "Q4_1",  [6] = "Q5_0",
    [7] = "Q5_1",  [8] = "Q8_0",  [9] = "Q8_1",  [10] = "Q2_K", [11] = "Q3_K",
    [12] = "Q4_K", [13] = "Q5_K", [14] = "Q6_K", [15] = "Q8_K", [24] = "I8",
    [25] = "I16",  [26] = "I32",  [27] = "I64",  [28] = "F64",  [30] = "BF16",
};

bool segue_gguf_is(const unsigned char magic[4])
{
    return memcmp(magic, "GGUF", 4) == 0;
}

static segue_status skip_string(struct segue_gguf_reader *reader)
{
    uint64_t length_bytes = 0;
    const segue_status status = segue_gguf_take_u64(reader, "a string's length", &length_bytes);
    return status == SEGUE_OK ? segue_gguf_skip(reader, length_bytes, "a string") : status;
}

static segue_status check_type(const struct segue_gguf_reader *reader, uint32_t type)
{
    if (type < VALUE_TYPE_COUNT) {
        return SEGUE_OK;
    }
    return segue_trace_fail(SEGUE_INVALID_DATA,
                            "%s: metadata before byte %" PRIu64 " is of type %" PRIu32
                            "; there are types 0 to %d",
                            reader->file, reader->position, type, VALUE_TYPE_COUNT - 1);
}

/** Passes over the elements of an array, and of arrays in it. */
static segue_status skip_array(struct segue_gguf_reader *reader, uint32_t depth)
{
    uint32_t type = 0;
    uint64_t count = 0;
    segue_status status = segue_gguf_take_u32(reader, "an array's type", &type);
    if (status == SEGUE_OK) {
        status = check_type(reader, type);
    }
    if (status == SEGUE_OK) {
        status = segue_gguf_take_u64(reader, "an array's length", &count);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    // An element that says its length itself takes 8 bytes for that at least.
    const uint32_t least_bytes = value_bytes[type] != 0 ? value_bytes[type] : 8;
    if (count > (reader->limit - reader->position) / least_bytes) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: an array of %" PRIu64 " elements before byte %" PRIu64
                                " leaves the %" PRIu64 " bytes that a header can have here",
                                reader->file, count, reader->position, reader->limit);
    }
    if (value_bytes[type] != 0) {
        return segue_gguf_skip(reader, count * value_bytes[type], "an array");
    }
    if (type == VALUE_ARRAY && depth == MAX_ARRAY_DEPTH) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: arrays in arrays before byte %" PRIu64
                                " are nested more than %u deep",
                                reader->file, reader->position, MAX_ARRAY_DEPTH);
    }
    for (uint64_t i = 0; status == SEGUE_OK && i < count; i++) {
        status = type == VALUE_ARRAY ? skip_array(reader, depth + 1) : skip_string(reader);
    }
    return status;
}

static segue_status read_alignment(struct segue_gguf_reader *reader, uint32_t type)
{
    uint32_t value = 0;
    if (type != VALUE_U32 || reader->has_alignment) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: general.alignment before byte %" PRIu64 " is of type %" PRIu32
                                "; it must be one number of type %d",
                                reader->file, reader->position, type, VALUE_U32);
    }
    const segue_status status = segue_gguf_take_u32(reader, "general.alignment", &value);
    if (status == SEGUE_OK && (value == 0 || (value & (value - 1)) != 0)) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: general.alignment is %" PRIu32 "; it must be a power of two",
                                reader->file, value);
    }
    reader->alignment = value;
    reader->has_alignment = true;
    return status;
}

static segue_status read_value(struct segue_gguf_reader *reader)
{
    char key[SEGUE_GGUF_MAX_NAME_BYTES + 1];
    uint32_t type = 0;
    segue_status status = segue_gguf_take_name(reader, "a metadata key", key);
    if (status == SEGUE_OK) {
        status = segue_gguf_take_u32(reader, "a metadata type", &type);
    }
    if (status == SEGUE_OK) {
        status = check_type(reader, type);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    if (strcmp(key, "general.alignment") == 0) {
        return read_alignment(reader, type);
    }
    if (value_bytes[type] != 0) {
        return segue_gguf_skip(reader, value_bytes[type], key);
    }
    return type == VALUE_ARRAY ? skip_array(reader, 1) : skip_string(reader);
}

/** Dimensions, outermost first. */
static segue_status read_shape(struct segue_gguf_reader *reader, const char *name,
                               struct segue_pool *pool, struct segue_tensor *tensor)
{
    uint32_t count = 0;
    segue_status status = segue_gguf_take_u32(reader, "a tensor's dimensions", &count);
    if (status == SEGUE_OK && count > MAX_DIMENSIONS) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: tensor \"%.80s\" has %" PRIu32
                                " dimensions; at most %u are possible",
                                reader->file, name, count, MAX_DIMENSIONS);
    }
    uint64_t *shape =
        status == SEGUE_OK ? segue_pool_allocate(pool, count, sizeof(shape[0])) : NULL;
    if (status == SEGUE_OK && shape == NULL) {
        return segue_trace_fail_memory("a list of tensors");
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        status = segue_gguf_take_u64(reader, "a tensor's extent", &shape[count - 1 - i]);
    }
    tensor->shape = shape;
    tensor->dimension_count = count;
    return status;
}

/** Bytes that type and shape make. */
static segue_status compute_size(const struct segue_gguf_reader *reader,
                                 struct segue_tensor *tensor)
{
    uint32_t block_elements = 1;
    uint32_t block_bytes = 1;
    (void)segue_tensor_dtype_block(tensor->dtype_name, &block_elements, &block_bytes);
    const uint32_t count = tensor->dimension_count;
    const uint64_t columns = count != 0 ? tensor->shape[count - 1] : 1;
    if (columns % block_elements != 0) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: tensor \"%.80s\" has rows of %" PRIu64
                                " elements, and %s comes in blocks of %" PRIu32,
                                reader->file, tensor->name, columns, tensor->dtype_name,
                                block_elements);
    }
    uint64_t elements = 1;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t extent = tensor->shape[i];
        if (extent != 0 && elements > (uint64_t)INT64_MAX / block_bytes / extent) {
            return segue_trace_fail(SEGUE_INVALID_DATA,
                                    "%s: the size of tensor \"%.80s\" overflows", reader->file,
                                    tensor->name);
        }
        elements *= extent;
    }
    tensor->size_bytes = elements / block_elements * block_bytes;
    return SEGUE_OK;
}

/** Name, shape, type, and the place in the data. */
static segue_status read_tensor(struct segue_gguf_reader *reader, struct segue_pool *pool,
                                struct segue_tensor *tensor)
{
    char name[SEGUE_GGUF_MAX_NAME_BYTES + 1];
    uint32_t type = 0;
    segue_status status = segue_gguf_take_name(reader, "a tensor's name", name);
    if (status == SEGUE_OK) {
        tensor->name = segue_pool_copy_string(pool, name);
        status = tensor->name != NULL ? SEGUE_OK : segue_trace_fail_memory("tensor names");
    }
    if (status == SEGUE_OK) {
        status = read_shape(reader, name, pool, tensor);
    }
    if (status == SEGUE_OK) {
        status = segue_gguf_take_u32(reader, "a tensor's type", &type);
    }
    if (status == SEGUE_OK) {
        status = segue_gguf_take_u64(reader, "a tensor's offset", &tensor->offset_bytes);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    tensor->dtype = -1;
    tensor->type_number = type;
    tensor->dtype_name =
        type < sizeof(type_names) / sizeof(type_names[0]) ? type_names[type] : NULL;
    return tensor->dtype_name != NULL ? compute_size(reader, tensor) : SEGUE_OK;
}

static int compare_positions(const void *left, const void *right)
{
    const struct segue_tensor *a = left;
    const struct segue_tensor *b = right;
    if (a->offset_bytes != b->offset_bytes) {
        return a->offset_bytes < b->offset_bytes ? -1 : 1;
    }
    return (a->size_bytes > b->size_bytes) - (a->size_bytes < b->size_bytes);
}

/** Places are aligned, in the file, and apart from each other; they become places in the file. */
static segue_status check_places(const struct segue_gguf_reader *reader,
                                 struct segue_tensor_list *list)
{
    const uint64_t mask = reader->alignment - 1;
    const uint64_t data_begin = (reader->position + mask) & ~mask;
    uint64_t end = 0;
    if (list->tensor_count != 0 && data_begin > reader->file_bytes) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: the data would begin at byte %" PRIu64 " of %" PRIu64,
                                reader->file, data_begin, reader->file_bytes);
    }
    for (uint32_t i = 0; i < list->tensor_count; i++) {
        struct segue_tensor *tensor = &list->tensors[i];
        const uint64_t data_bytes = reader->file_bytes - data_begin;
        if ((tensor->offset_bytes & mask) != 0) {
            return segue_trace_fail(SEGUE_INVALID_DATA,
                                    "%s: tensor \"%.80s\" begins at byte %" PRIu64
                                    " of the data, no multiple of %" PRIu32,
                                    reader->file, tensor->name, tensor->offset_bytes,
                                    reader->alignment);
        }
        if (tensor->offset_bytes > data_bytes ||
            tensor->size_bytes > data_bytes - tensor->offset_bytes) {
            return segue_trace_fail(SEGUE_INVALID_DATA,
                                    "%s: tensor \"%.80s\" of %" PRIu64 " bytes at byte %" PRIu64
                                    " leaves the %" PRIu64 " bytes of data",
                                    reader->file, tensor->name, tensor->size_bytes,
                                    tensor->offset_bytes, data_bytes);
        }
        if (tensor->offset_bytes < end) {
            return segue_trace_fail(SEGUE_INVALID_DATA,
                                    "%s: tensor \"%.80s\" begins at byte %" PRIu64
                                    " of the data, and the one before ends at %" PRIu64,
                                    reader->file, tensor->name, tensor->offset_bytes, end);
        }
        end = tensor->offset_bytes + tensor->size_bytes;
        tensor->offset_bytes += data_begin;
    }
    return SEGUE_OK;
}

/** Magic, version and counts. */
static segue_status read_counts(struct segue_gguf_reader *reader, uint64_t *out_tensor_count,
                                uint64_t *out_value_count)
{
    uint32_t version = 0;
    segue_status status = segue_gguf_skip(reader, 4, "the magic number");
    if (status == SEGUE_OK) {
        status = segue_gguf_take_u32(reader, "the version", &version);
    }
    if (status == SEGUE_OK && version != 2 && version != 3) {
        return segue_trace_fail(SEGUE_UNIMPLEMENTED,
                                "%s: GGUF of version %" PRIu32
                                "%s; versions 2 and 3, least significant byte first, are supported",
                                reader->file, version,
                                version != 0 && (version & 0xffff) == 0 ? " in big-endian" : "");
    }
    if (status == SEGUE_OK) {
        status = segue_gguf_take_u64(reader, "the number of tensors", out_tensor_count);
    }
    if (status == SEGUE_OK) {
        status = segue_gguf_take_u64(reader, "the number of metadata", out_value_count);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    const uint64_t rest_bytes = reader->limit - reader->position;
    if (*out_tensor_count > MAX_TENSORS || *out_tensor_count > rest_bytes / LEAST_TENSOR_BYTES) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: %" PRIu64 " tensors in %" PRIu64
                                " bytes; at most %u are supported",
                                reader->file, *out_tensor_count, rest_bytes, MAX_TENSORS);
    }
    if (*out_value_count > rest_bytes / LEAST_VALUE_BYTES) {
        return segue_trace_fail(SEGUE_INVALID_DATA,
                                "%s: %" PRIu64 " pieces of metadata in %" PRIu64 " bytes",
                                reader->file, *out_value_count, rest_bytes);
    }
    return SEGUE_OK;
}

static segue_status read_all(struct segue_gguf_reader *reader, struct segue_pool *pool,
                             struct segue_tensor_list *list)
{
    uint64_t tensor_count = 0;
    uint64_t value_count = 0;
    segue_status status = read_counts(reader, &tensor_count, &value_count);
    for (uint64_t i = 0; status == SEGUE_OK && i < value_count; i++) {
        status = read_value(reader);
    }
    if (status == SEGUE_OK) {
        list->tensors = segue_pool_allocate(pool, (size_t)tensor_count, sizeof(list->tensors[0]));
        if (list->tensors == NULL) {
            status = segue_trace_fail_memory("a list of tensors");
        }
    }
    for (uint64_t i = 0; status == SEGUE_OK && i < tensor_count; i++) {
        status = read_tensor(reader, pool, &list->tensors[i]);
        list->tensor_count++;
    }
    if (status == SEGUE_OK && list->tensor_count != 0) {
        qsort(list->tensors, list->tensor_count, sizeof(list->tensors[0]), compare_positions);
    }
    return status == SEGUE_OK ? check_places(reader, list) : status;
}

segue_status segue_gguf_read(const char *file, int fd, uint64_t file_size_bytes,
                             struct segue_pool *pool, struct segue_tensor_list *out_list)
{
    struct segue_gguf_reader reader = {
        .file = file,
        .fd = fd,
        .file_bytes = file_size_bytes,
        .limit = file_size_bytes < SEGUE_GGUF_MAX_HEADER_BYTES ? file_size_bytes
                                                               : SEGUE_GGUF_MAX_HEADER_BYTES,
        .alignment = DEFAULT_ALIGNMENT,
    };
    struct segue_tensor_list list = {0};
    reader.window = malloc(SEGUE_GGUF_WINDOW_BYTES);
    if (reader.window == NULL) {
        return segue_trace_fail_memory("a GGUF header");
    }
    const segue_status status = read_all(&reader, pool, &list);
    free(reader.window);
    if (status == SEGUE_OK) {
        *out_list = list;
    }
    return status;
}
