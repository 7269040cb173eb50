// SPDX-License-Identifier: Apache-2.0
// Buffers, views, host access, memory statistics.
#include "null_backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
    *state = null_device_open(NULL);
    return 0;
}

static int teardown(void **state)
{
    segue_device_destroy(*state);
    return null_world.backends == 0 && null_world.allocations == 0 ? 0 : -1;
}

static segue_buffer *create(segue_device *device, enum segue_memory_type memory,
                            uint64_t size_bytes)
{
    const struct segue_buffer_params params = {
        .size_bytes = size_bytes, .memory = memory, .label = "weights"};
    segue_buffer *buffer = NULL;
    assert_int_equal(segue_buffer_create(device, &params, &buffer), SEGUE_OK);
    return buffer;
}

static void says_what_it_is(void **state)
{
    segue_buffer *buffer = create(*state, SEGUE_MEMORY_DEVICE, 1000);
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    assert_int_equal(info.size_bytes, 1000);
    assert_int_equal(info.memory, SEGUE_MEMORY_DEVICE);
    assert_int_equal(info.usage, SEGUE_BUFFER_USAGE_ALL);
    assert_string_equal(info.label, "weights");
    assert_int_equal(info.device_address % SEGUE_BUFFER_ALIGN_BYTES, 0);
    assert_int_equal(info.memory_offset_bytes, 0);
    segue_buffer_destroy(buffer);

    buffer = create(*state, SEGUE_MEMORY_CONSTANT, 1);
    segue_buffer_get_info(buffer, &info);
    assert_int_equal(info.usage, SEGUE_BUFFER_USAGE_READ_ONLY);
    segue_buffer_destroy(buffer);

    const struct segue_buffer_params params = {.size_bytes = 5,
                                               .usage = SEGUE_BUFFER_USAGE_DISPATCH_READ};
    assert_int_equal(segue_buffer_create(*state, &params, &buffer), SEGUE_OK);
    segue_buffer_get_info(buffer, &info);
    assert_int_equal(info.usage, SEGUE_BUFFER_USAGE_DISPATCH_READ);
    assert_string_equal(info.label, "");
    segue_buffer_destroy(buffer);
    segue_buffer_destroy(NULL);
}

static void refuses_bad_params(void **state)
{
    static const struct {
        struct segue_buffer_params params;
        const char *message;
    } bad[] = {
        {{.size_bytes = 0, .label = "x"}, "buffer \"x\": size_bytes is 0"},
        {{.size_bytes = 1, .memory = (enum segue_memory_type)3}, "memory is 3"},
        {{.size_bytes = 1, .usage = 0x10}, "usage 0x10 has unknown bits"},
        {{.size_bytes = 1,
          .memory = SEGUE_MEMORY_CONSTANT,
          .usage = SEGUE_BUFFER_USAGE_TRANSFER_TARGET},
         "constant memory"},
        {{.size_bytes = 1, .memory = SEGUE_MEMORY_CONSTANT, .usage = SEGUE_BUFFER_USAGE_ALL},
         "constant memory"},
    };
    segue_buffer *buffer = NULL;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(segue_buffer_create(*state, &bad[i].params, &buffer),
                         SEGUE_INVALID_ARGUMENT);
        assert_non_null(strstr(segue_last_error()->message, bad[i].message));
    }
    const struct segue_buffer_params good = {.size_bytes = 1};
    assert_int_equal(segue_buffer_create(NULL, &good, &buffer), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_buffer_create(*state, NULL, &buffer), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_buffer_create(*state, &good, NULL), SEGUE_INVALID_ARGUMENT);
    null_world.fail[NULL_CALL_ALLOCATE] = SEGUE_OUT_OF_DEVICE_MEMORY;
    assert_int_equal(segue_buffer_create(*state, &good, &buffer), SEGUE_OUT_OF_DEVICE_MEMORY);
    assert_null(buffer);
}

static void views_share_memory(void **state)
{
    segue_buffer *parent = create(*state, SEGUE_MEMORY_HOST_VISIBLE, 100);
    segue_buffer *view = NULL;
    segue_buffer *inner = NULL;
    assert_int_equal(segue_buffer_create_view(parent, 10, 50, "view", &view), SEGUE_OK);
    assert_int_equal(segue_buffer_create_view(view, 5, SEGUE_WHOLE_SIZE, NULL, &inner), SEGUE_OK);
    struct segue_buffer_info parent_info, info;
    segue_buffer_get_info(parent, &parent_info);
    segue_buffer_get_info(view, &info);
    assert_string_equal(info.label, "view");
    assert_int_equal(info.size_bytes, 50);
    segue_buffer_get_info(inner, &info);
    assert_int_equal(info.size_bytes, 45);
    assert_int_equal(info.memory_offset_bytes, 15);
    assert_int_equal(info.memory_id, parent_info.memory_id);
    assert_int_equal(info.device_address, parent_info.device_address + 15);
    assert_int_equal(info.memory, SEGUE_MEMORY_HOST_VISIBLE);
    assert_int_equal(info.usage, parent_info.usage);

    segue_buffer *other = create(*state, SEGUE_MEMORY_DEVICE, 100);
    segue_buffer_get_info(other, &info);
    assert_int_not_equal(info.memory_id, parent_info.memory_id);
    segue_buffer_destroy(other);

    // The memory outlives its first handle.
    void *pointer;
    void *inner_pointer;
    assert_int_equal(segue_buffer_map(parent, &pointer), SEGUE_OK);
    segue_buffer_destroy(parent);
    segue_buffer_destroy(view);
    assert_int_equal(null_world.allocations, 1);
    assert_int_equal(segue_buffer_map(inner, &inner_pointer), SEGUE_OK);
    assert_ptr_equal(inner_pointer, (char *)pointer + 15);
    ((char *)inner_pointer)[44] = 1;
    segue_buffer_destroy(inner);
    assert_int_equal(null_world.allocations, 0);
}

static void refuses_bad_views(void **state)
{
    segue_buffer *parent = create(*state, SEGUE_MEMORY_DEVICE, 100);
    segue_buffer *view = NULL;
    assert_int_equal(segue_buffer_create_view(parent, 101, 0, NULL, &view), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_buffer_create_view(parent, 50, 51, NULL, &view), SEGUE_OUT_OF_RANGE);
    assert_non_null(strstr(segue_last_error()->message, "at most 50 fit"));
    assert_int_equal(segue_buffer_create_view(parent, 50, UINT64_MAX - 10, NULL, &view),
                     SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_buffer_create_view(parent, UINT64_MAX, 2, NULL, &view),
                     SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_buffer_create_view(parent, 100, SEGUE_WHOLE_SIZE, NULL, &view),
                     SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_buffer_create_view(parent, 0, 0, NULL, &view), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_buffer_create_view(NULL, 0, 1, NULL, &view), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_buffer_create_view(parent, 0, 1, NULL, NULL), SEGUE_INVALID_ARGUMENT);
    assert_null(view);
    assert_int_equal(segue_buffer_create_view(parent, 0, 100, NULL, &view), SEGUE_OK);
    segue_buffer_destroy(view);
    segue_buffer_destroy(parent);
}

static void only_host_visible_memory_is_mapped(void **state)
{
    static const enum segue_memory_type types[] = {SEGUE_MEMORY_DEVICE, SEGUE_MEMORY_CONSTANT};
    void *pointer = NULL;
    for (size_t i = 0; i < 2; i++) {
        segue_buffer *buffer = create(*state, types[i], 8);
        assert_int_equal(segue_buffer_map(buffer, &pointer), SEGUE_INVALID_ACCESS);
        assert_non_null(strstr(segue_last_error()->message, "\"weights\""));
        assert_int_equal(segue_buffer_map(buffer, NULL), SEGUE_INVALID_ARGUMENT);
        segue_buffer_destroy(buffer);
    }
    assert_int_equal(segue_buffer_map(NULL, &pointer), SEGUE_INVALID_ARGUMENT);
    assert_null(pointer);
}

static void host_writes_and_reads_every_type(void **state)
{
    for (int type = SEGUE_MEMORY_DEVICE; type <= SEGUE_MEMORY_CONSTANT; type++) {
        segue_buffer *buffer = create(*state, (enum segue_memory_type)type, 16);
        segue_buffer *view;
        assert_int_equal(segue_buffer_create_view(buffer, 4, 8, NULL, &view), SEGUE_OK);
        static const char zeros[16] = {0};
        char bytes[16];
        assert_int_equal(segue_buffer_write(buffer, 0, zeros, SEGUE_WHOLE_SIZE), SEGUE_OK);
        assert_int_equal(segue_buffer_write(view, 2, "abc", 3), SEGUE_OK);
        assert_int_equal(segue_buffer_read(buffer, 0, bytes, 16), SEGUE_OK);
        assert_memory_equal(bytes, "\0\0\0\0\0\0abc\0\0\0\0\0\0\0", 16);
        assert_int_equal(segue_buffer_read(view, 3, bytes, 2), SEGUE_OK);
        assert_memory_equal(bytes, "bc", 2);
        segue_buffer_destroy(view);
        segue_buffer_destroy(buffer);
    }
}

static void refuses_bad_host_access(void **state)
{
    segue_buffer *buffer = create(*state, SEGUE_MEMORY_DEVICE, 16);
    char bytes[17] = {0};
    assert_int_equal(segue_buffer_write(buffer, 0, bytes, 17), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_buffer_write(buffer, 17, bytes, 0), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_buffer_read(buffer, 8, bytes, 9), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_buffer_read(buffer, UINT64_MAX - 2, bytes, 9), SEGUE_OUT_OF_RANGE);
    assert_int_equal(segue_buffer_read(buffer, 0, NULL, 1), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_buffer_write(buffer, 0, NULL, 1), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_buffer_write(NULL, 0, bytes, 1), SEGUE_INVALID_ARGUMENT);
    assert_int_equal(segue_buffer_read(NULL, 0, bytes, 1), SEGUE_INVALID_ARGUMENT);
    // Nothing to do is not handed on.
    null_world.fail[NULL_CALL_WRITE] = SEGUE_DRIVER_ERROR;
    null_world.fail[NULL_CALL_READ] = SEGUE_DRIVER_ERROR;
    assert_int_equal(segue_buffer_write(buffer, 16, NULL, 0), SEGUE_OK);
    assert_int_equal(segue_buffer_read(buffer, 16, NULL, SEGUE_WHOLE_SIZE), SEGUE_OK);
    assert_int_equal(segue_buffer_write(buffer, 0, bytes, 1), SEGUE_DRIVER_ERROR);
    assert_int_equal(segue_buffer_read(buffer, 0, bytes, 1), SEGUE_DRIVER_ERROR);
    segue_buffer_destroy(buffer);
}

static void counts_memory_by_kind(void **state)
{
    struct segue_memory_stats stats;
    segue_buffer *device = create(*state, SEGUE_MEMORY_DEVICE, 1000);
    segue_buffer *more = create(*state, SEGUE_MEMORY_DEVICE, 500);
    segue_buffer *host = create(*state, SEGUE_MEMORY_HOST_VISIBLE, 20);
    segue_buffer *constant = create(*state, SEGUE_MEMORY_CONSTANT, 3);
    segue_buffer *view;
    assert_int_equal(segue_buffer_create_view(device, 0, 100, NULL, &view), SEGUE_OK);
    segue_buffer_destroy(more);
    segue_device_get_memory_stats(*state, &stats);
    assert_int_equal(stats.device.current_bytes, 1000);
    assert_int_equal(stats.device.peak_bytes, 1500);
    assert_int_equal(stats.device.allocation_count, 1);
    assert_int_equal(stats.host_visible.current_bytes, 20);
    assert_int_equal(stats.constant.current_bytes, 3);
    assert_int_equal(stats.constant.peak_bytes, 3);
    assert_int_equal(stats.internal.peak_bytes, 2);
    segue_buffer_destroy(device);
    segue_buffer_destroy(host);
    segue_buffer_destroy(constant);
    segue_device_get_memory_stats(*state, &stats);
    assert_int_equal(stats.device.current_bytes, 1000);
    assert_int_equal(stats.host_visible.current_bytes, 0);
    assert_int_equal(stats.host_visible.allocation_count, 0);
    segue_buffer_destroy(view);
    segue_device_get_memory_stats(*state, &stats);
    assert_int_equal(stats.device.current_bytes, 0);
    assert_int_equal(stats.device.peak_bytes, 1500);
}

static void leaks_nothing_under_failing_allocations(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    const struct segue_device_params params = {.allocator = &memory.allocator};
    segue_device *device = null_device_open(&params);
    for (int forever = 0; forever < 2; forever++) {
        bool failed = true;
        for (uint64_t n = 1; failed; n++) {
            const struct segue_buffer_params buffer_params = {.size_bytes = 64, .label = "x"};
            int64_t live = memory.live;
            segue_buffer *buffer = NULL;
            segue_buffer *view = NULL;
            null_allocator_fail(&memory, n, forever != 0);
            segue_status status = segue_buffer_create(device, &buffer_params, &buffer);
            assert_true((status == SEGUE_OK) == (buffer != NULL));
            if (status == SEGUE_OK)
                status = segue_buffer_create_view(buffer, 1, 2, "v", &view);
            assert_true((status == SEGUE_OK) == (view != NULL));
            failed = memory.failed != 0;
            assert_int_equal(status, failed ? SEGUE_OUT_OF_HOST_MEMORY : SEGUE_OK);
            null_allocator_fail(&memory, 0, false);
            segue_buffer_destroy(view);
            segue_buffer_destroy(buffer);
            assert_int_equal(memory.live, live);
            assert_int_equal(null_world.allocations, 0);
        }
    }
    segue_device_destroy(device);
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_sizes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(says_what_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_params, setup, teardown),
        cmocka_unit_test_setup_teardown(views_share_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_views, setup, teardown),
        cmocka_unit_test_setup_teardown(only_host_visible_memory_is_mapped, setup, teardown),
        cmocka_unit_test_setup_teardown(host_writes_and_reads_every_type, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_host_access, setup, teardown),
        cmocka_unit_test_setup_teardown(counts_memory_by_kind, setup, teardown),
        cmocka_unit_test(leaks_nothing_under_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
