// SPDX-License-Identifier: Apache-2.0
// Buffers and views, and host access to them.
#include "pairs.h"

static segue_status create(struct segue_test *test, const struct segue_buffer_params *params)
{
    segue_buffer *buffer = NULL;
    segue_status status = segue_buffer_create(test->device, params, &buffer);
    segue_buffer_destroy(buffer);
    return status;
}

static segue_status create_needs_params(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {.size_bytes = 1};
    return create(test, wrong ? NULL : &params);
}

static segue_status size_is_at_least_1(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {.size_bytes = wrong ? 0 : 1, .label = "empty"};
    return create(test, &params);
}

static segue_status memory_type_is_known(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {
        .size_bytes = 1,
        .memory = (enum segue_memory_type)(SEGUE_MEMORY_CONSTANT + wrong),
        .label = "odd",
    };
    return create(test, &params);
}

static segue_status usage_has_known_bits(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {
        .size_bytes = 1, .usage = wrong ? 0x1F : 0xF, .label = "odd"};
    return create(test, &params);
}

static segue_status constant_memory_has_no_write_usage(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {
        .size_bytes = 1,
        .memory = wrong ? SEGUE_MEMORY_CONSTANT : SEGUE_MEMORY_DEVICE,
        .usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET,
        .label = "table",
    };
    return create(test, &params);
}

static segue_status view(struct segue_test *test, uint64_t offset_bytes, uint64_t length_bytes)
{
    segue_buffer *made = NULL;
    segue_status status = segue_buffer_create_view(pair_buffer(test, "whole"), offset_bytes,
                                                   length_bytes, NULL, &made);
    segue_buffer_destroy(made);
    return status;
}

static segue_status view_needs_a_parent(struct segue_test *test, bool wrong)
{
    segue_buffer *made = NULL;
    segue_status status =
        segue_buffer_create_view(wrong ? NULL : pair_buffer(test, "whole"), 0, 1, NULL, &made);
    segue_buffer_destroy(made);
    return status;
}

static segue_status view_begins_in_its_parent(struct segue_test *test, bool wrong)
{
    return view(test, wrong ? PAIR_BYTES + 1 : PAIR_BYTES - 1, SEGUE_WHOLE_SIZE);
}

static segue_status view_ends_in_its_parent(struct segue_test *test, bool wrong)
{
    return view(test, 4000, wrong ? 97 : 96);
}

static segue_status view_is_not_empty(struct segue_test *test, bool wrong)
{
    return view(test, 8, wrong ? 0 : 1);
}

static segue_status rest_of_a_view_is_not_empty(struct segue_test *test, bool wrong)
{
    return view(test, wrong ? PAIR_BYTES : PAIR_BYTES - 1, SEGUE_WHOLE_SIZE);
}

static segue_status map_needs_a_buffer(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {.size_bytes = 1,
                                               .memory = SEGUE_MEMORY_HOST_VISIBLE};
    void *pointer = NULL;
    return segue_buffer_map(wrong ? NULL : segue_test_buffer_of(test, &params), &pointer);
}

static segue_status only_host_visible_memory_is_mapped(struct segue_test *test, bool wrong)
{
    const struct segue_buffer_params params = {
        .size_bytes = 1,
        .memory = wrong ? SEGUE_MEMORY_DEVICE : SEGUE_MEMORY_HOST_VISIBLE,
        .label = "weights",
    };
    void *pointer = NULL;
    return segue_buffer_map(segue_test_buffer_of(test, &params), &pointer);
}

static segue_status write_needs_a_buffer(struct segue_test *test, bool wrong)
{
    return segue_buffer_write(wrong ? NULL : pair_buffer(test, "a"), 0, "x", 1);
}

static segue_status write_needs_data(struct segue_test *test, bool wrong)
{
    return segue_buffer_write(pair_buffer(test, "a"), 0, NULL, wrong ? 1 : 0);
}

static segue_status write_stays_in_the_buffer(struct segue_test *test, bool wrong)
{
    return segue_buffer_write(pair_buffer(test, "a"), wrong ? PAIR_BYTES : PAIR_BYTES - 1, "x", 1);
}

static segue_status read_needs_data(struct segue_test *test, bool wrong)
{
    char byte;
    return segue_buffer_read(pair_buffer(test, "a"), 0, wrong ? NULL : &byte, 1);
}

static segue_status read_begins_in_the_buffer(struct segue_test *test, bool wrong)
{
    char byte;
    return segue_buffer_read(pair_buffer(test, "a"), wrong ? PAIR_BYTES + 1 : PAIR_BYTES, &byte, 0);
}

static segue_status read_stays_in_a_view(struct segue_test *test, bool wrong)
{
    char bytes[9];
    segue_buffer *part = segue_test_view(test, pair_buffer(test, "a"), 16, 8);
    return segue_buffer_read(part, 0, bytes, wrong ? 9 : 8);
}

static const struct pair pairs[] = {
    PAIR(create_needs_params, INVALID_ARGUMENT, "segue_buffer_create|params"),
    PAIR(size_is_at_least_1, INVALID_ARGUMENT, "buffer \"empty\"|size_bytes is 0|at least 1"),
    PAIR(memory_type_is_known, INVALID_ARGUMENT, "buffer \"odd\"|memory is 3|segue_memory_type"),
    PAIR(usage_has_known_bits, INVALID_ARGUMENT, "buffer \"odd\"|usage 0x1f|segue_buffer_usage"),
    PAIR(constant_memory_has_no_write_usage, INVALID_ARGUMENT,
         "buffer \"table\"|usage 0x2|constant memory|use device memory"),
    PAIR(view_needs_a_parent, INVALID_ARGUMENT, "segue_buffer_create_view: parent"),
    PAIR(view_begins_in_its_parent, OUT_OF_RANGE, "buffer \"whole\"|offset 4097|4096 bytes"),
    PAIR(view_ends_in_its_parent, OUT_OF_RANGE,
         "view of buffer \"whole\"|97 bytes at offset 4000|at most 96 fit"),
    PAIR(view_is_not_empty, INVALID_ARGUMENT, "buffer \"whole\" at offset 8|empty|at least 1 byte"),
    PAIR(rest_of_a_view_is_not_empty, INVALID_ARGUMENT, "buffer \"whole\" at offset 4096|empty"),
    PAIR(map_needs_a_buffer, INVALID_ARGUMENT, "segue_buffer_map: buffer"),
    PAIR(only_host_visible_memory_is_mapped, INVALID_ACCESS,
         "buffer \"weights\"|not host-visible|SEGUE_MEMORY_HOST_VISIBLE"),
    PAIR(write_needs_a_buffer, INVALID_ARGUMENT, "write to buffer|NULL"),
    PAIR(write_needs_data, INVALID_ARGUMENT, "write to buffer \"a\"|data is NULL|length 1"),
    PAIR(write_stays_in_the_buffer, OUT_OF_RANGE,
         "write to buffer \"a\"|1 bytes at offset 4096|at most 0 fit"),
    PAIR(read_needs_data, INVALID_ARGUMENT, "read from buffer \"a\"|data is NULL"),
    PAIR(read_begins_in_the_buffer, OUT_OF_RANGE, "read from buffer \"a\"|offset 4097"),
    PAIR(read_stays_in_a_view, OUT_OF_RANGE, "9 bytes at offset 0|at most 8 fit"),
};
PAIR_AREA(buffer, pairs);
