// SPDX-License-Identifier: Apache-2.0
// The CUDA half as a whole: what commands become, in graphs and on streams.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "lower.h"
#include "test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define SMALL ((uint64_t)SEGUE_SMALL_TRANSFER_BYTES - 4)
#define LARGE ((uint64_t)SEGUE_SMALL_TRANSFER_BYTES)

static segue_command_buffer *begin_in(struct segue_test *test, enum segue_execution_mode mode)
{
    const enum segue_execution_mode kept = test->mode;
    test->mode = mode;
    segue_command_buffer *command_buffer = segue_test_begin(test);
    test->mode = kept;
    return command_buffer;
}

static segue_buffer *host_buffer(struct segue_test *test, uint64_t size_bytes)
{
    return segue_test_buffer_of(test,
                                &(struct segue_buffer_params){.size_bytes = size_bytes,
                                                              .memory = SEGUE_MEMORY_HOST_VISIBLE});
}

static struct segue_graph_view graph_of(segue_command_buffer *command_buffer)
{
    struct segue_graph_view view;
    CHECK_OK(segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &view));
    return view;
}

/** Fills, updates and copies of both sizes between both kinds of memory, each on a range of its
 *  own. */
static void record_transfers(struct segue_test *test, segue_command_buffer *command_buffer,
                             segue_buffer *device, segue_buffer *host, segue_buffer *source)
{
    static unsigned char data[SEGUE_MAX_UPDATE_BYTES];
    const uint64_t sizes[] = {SMALL, LARGE};
    uint64_t at = 0;
    (void)test;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7 + i / 256);
    for (size_t i = 0; i < 2; i++, at += LARGE) {
        CHECK_OK(segue_cmd_fill(command_buffer, segue_test_ref(device, at, sizes[i]), 0xab, 1));
        CHECK_OK(segue_cmd_fill(command_buffer, segue_test_ref(host, at, sizes[i]), 0xcdef, 2));
    }
    for (size_t i = 0; i < 2; i++, at += LARGE) {
        CHECK_OK(segue_cmd_update(command_buffer, segue_test_ref(device, at, sizes[i]), data));
        CHECK_OK(segue_cmd_update(command_buffer, segue_test_ref(host, at, sizes[i]), data));
    }
    for (size_t i = 0; i < 2; i++, at += LARGE) {
        CHECK_OK(segue_cmd_copy(command_buffer, segue_test_ref(source, 0, sizes[i]),
                                segue_test_ref(device, at, sizes[i])));
        CHECK_OK(segue_cmd_copy(command_buffer, segue_test_ref(source, 0, sizes[i]),
                                segue_test_ref(host, at, sizes[i])));
    }
}

#define TRANSFER_BYTES (6 * LARGE)

static void test_node_types(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *device = segue_test_buffer(test, TRANSFER_BYTES);
    segue_buffer *host = host_buffer(test, TRANSFER_BYTES);
    segue_buffer *source = segue_test_words(test, LARGE / 4, 1);
    segue_command_buffer *command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
    record_transfers(test, command_buffer, device, host, source);
    CHECK_OK(segue_command_buffer_end(command_buffer));
    static const enum segue_graph_node_type expected[12] = {
        SEGUE_GRAPH_NODE_KERNEL, SEGUE_GRAPH_NODE_KERNEL, // fill, small
        SEGUE_GRAPH_NODE_MEMSET, SEGUE_GRAPH_NODE_KERNEL, // large
        SEGUE_GRAPH_NODE_MEMCPY, SEGUE_GRAPH_NODE_KERNEL, // update, small
        SEGUE_GRAPH_NODE_MEMCPY, SEGUE_GRAPH_NODE_MEMCPY, // large
        SEGUE_GRAPH_NODE_MEMCPY, SEGUE_GRAPH_NODE_KERNEL, // copy, small
        SEGUE_GRAPH_NODE_MEMCPY, SEGUE_GRAPH_NODE_MEMCPY, // large
    };
    const struct segue_graph_view view = graph_of(command_buffer);
    uint32_t commands = 0;
    for (uint32_t i = 0; i < view.node_count; i++) {
        const uint32_t command = view.nodes[i].command;
        if (command == SEGUE_NO_COMMAND)
            continue;
        commands++;
        assert_in_range(command, 0, 11);
        if (view.nodes[i].type != expected[view.nodes[i].command])
            fail_msg("command %" PRIu32 " has type %d, not %d", command, (int)view.nodes[i].type,
                     (int)expected[command]);
    }
    assert_int_equal(commands, 12);
}

/** Only built: nothing of these is to be copied. */
static void test_large_copies(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *source = segue_test_buffer(test, SEGUE_LARGE_COPY_BYTES + 16);
    segue_buffer *target = segue_test_buffer(test, SEGUE_LARGE_COPY_BYTES + 16);
    static const struct {
        uint64_t source_offset, target_offset, length_less;
        enum segue_graph_node_type type;
    } copies[] = {
        {0, 0, 0, SEGUE_GRAPH_NODE_KERNEL},
        {4, 4, 0, SEGUE_GRAPH_NODE_KERNEL},
        {0, 0, 1, SEGUE_GRAPH_NODE_MEMCPY},
        {4, 8, 0, SEGUE_GRAPH_NODE_MEMCPY},
    };
    for (size_t i = 0; i < sizeof(copies) / sizeof(*copies); i++) {
        const uint64_t length = SEGUE_LARGE_COPY_BYTES - copies[i].length_less;
        segue_command_buffer *command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
        CHECK_OK(segue_cmd_copy(command_buffer,
                                segue_test_ref(source, copies[i].source_offset, length),
                                segue_test_ref(target, copies[i].target_offset, length)));
        CHECK_OK(segue_command_buffer_end(command_buffer));
        const struct segue_graph_view view = graph_of(command_buffer);
        assert_int_equal(view.node_count, 1);
        assert_int_equal(view.nodes[0].type, copies[i].type);
    }
}

static void read_bytes(segue_buffer *buffer, unsigned char *bytes, uint64_t size_bytes)
{
    CHECK_OK(segue_buffer_read(buffer, 0, bytes, size_bytes));
}

/** The bytes that record_transfers leaves, but in the gaps (4 bytes behind each small range). */
static unsigned char expected_byte(uint64_t at, bool host)
{
    const uint64_t part = at / LARGE;
    const uint64_t i = at % LARGE;
    if (part < 2)
        return host ? (i % 2 == 0 ? 0xef : 0xcd) : 0xab;
    if (part < 4)
        return (unsigned char)(i * 7 + i / 256);
    return (unsigned char)(segue_test_word(1, i / 4) >> (8 * (i % 4)));
}

static void check_transfers(segue_buffer *buffer, bool host, const char *mode)
{
    unsigned char *bytes = malloc(TRANSFER_BYTES);
    assert_non_null(bytes);
    read_bytes(buffer, bytes, TRANSFER_BYTES);
    for (uint64_t at = 0; at < TRANSFER_BYTES; at++) {
        const bool in_gap = at / LARGE % 2 == 0 && at % LARGE >= SMALL;
        const unsigned char expected = in_gap ? 0x11 : expected_byte(at, host);
        if (bytes[at] != expected)
            fail_msg("%s, %s memory: byte %" PRIu64 " is 0x%02x, not 0x%02x", mode,
                     host ? "host-visible" : "device", at, bytes[at], expected);
    }
    free(bytes);
}

/** Graph and stream do the same work, and write nothing beside it. */
static void test_transfer_results(void **state)
{
    struct segue_test *test = *state;
    static const enum segue_execution_mode modes[] = {SEGUE_EXECUTION_GRAPH,
                                                      SEGUE_EXECUTION_STREAM};
    unsigned char *blank = malloc(TRANSFER_BYTES);
    assert_non_null(blank);
    memset(blank, 0x11, TRANSFER_BYTES);
    for (size_t i = 0; i < 2; i++) {
        segue_buffer *device = segue_test_buffer(test, TRANSFER_BYTES);
        segue_buffer *host = host_buffer(test, TRANSFER_BYTES);
        segue_buffer *source = segue_test_words(test, LARGE / 4, 1);
        CHECK_OK(segue_buffer_write(device, 0, blank, TRANSFER_BYTES));
        CHECK_OK(segue_buffer_write(host, 0, blank, TRANSFER_BYTES));
        segue_command_buffer *command_buffer = begin_in(test, modes[i]);
        record_transfers(test, command_buffer, device, host, source);
        segue_test_run(test, command_buffer);
        check_transfers(device, false, i == 0 ? "graph" : "stream");
        check_transfers(host, true, i == 0 ? "graph" : "stream");
    }
    free(blank);
}

/** Patterns of every size, through the kernel and through the driver, at odd lengths. */
static void test_fill_patterns(void **state)
{
    struct segue_test *test = *state;
    static const enum segue_execution_mode modes[] = {SEGUE_EXECUTION_GRAPH,
                                                      SEGUE_EXECUTION_STREAM};
    for (uint32_t size = 1; size <= 4; size *= 2) {
        for (size_t i = 0; i < 4; i++) {
            const uint64_t length = (i % 2 == 0 ? 1000 : LARGE + 1000) + size;
            const uint64_t offset = 3 * size;
            segue_buffer *buffer = segue_test_zeros(test, LARGE / 2);
            segue_command_buffer *command_buffer = begin_in(test, modes[i / 2]);
            CHECK_OK(segue_cmd_fill(command_buffer, segue_test_ref(buffer, offset, length),
                                    0xd4c3b2a1, size));
            segue_test_run(test, command_buffer);
            unsigned char *bytes = malloc(LARGE * 2);
            assert_non_null(bytes);
            read_bytes(buffer, bytes, LARGE * 2);
            for (uint64_t k = 0; k < LARGE * 2; k++) {
                const bool inside = k >= offset && k < offset + length;
                const uint32_t expected =
                    inside ? 0xd4c3b2a1u >> (8 * ((k - offset) % size)) & 0xff : 0;
                assert_int_equal(bytes[k], expected);
            }
            free(bytes);
        }
    }
}

/** Where many wait for many there are joins; their nodes stand for no command and are kernels. */
static void test_join(void **state)
{
    struct segue_test *test = *state;
    const uint32_t width = 12;
    segue_buffer *buffer = segue_test_zeros(test, width + width * width);
    test->order_seed = 1;
    segue_command_buffer *command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
    for (uint32_t i = 0; i < width; i++)
        CHECK_OK(segue_cmd_fill(command_buffer, segue_test_ref(buffer, i * 4, 4), i + 1, 4));
    segue_test_barrier(command_buffer);
    for (uint32_t i = 0; i < width; i++)
        CHECK_OK(segue_cmd_copy(command_buffer, segue_test_ref(buffer, 0, width * 4),
                                segue_test_ref(buffer, (i + 1) * width * 4, width * 4)));
    segue_test_run(test, command_buffer);
    for (uint32_t i = 0; i < width * width; i++)
        segue_test_expect_all(buffer, width + i, 1, i % width + 1);

    const struct segue_graph_view view = graph_of(command_buffer);
    assert_true(view.edge_count < width * width);
    uint32_t joins = 0;
    for (uint32_t i = 0; i < view.node_count; i++) {
        assert_int_not_equal(view.nodes[i].type, SEGUE_GRAPH_NODE_EMPTY);
        if (view.nodes[i].command != SEGUE_NO_COMMAND)
            continue;
        joins++;
        assert_int_equal(view.nodes[i].type, SEGUE_GRAPH_NODE_KERNEL);
        assert_string_equal(view.nodes[i].label, "join");
    }
    assert_true(joins > 0);
    assert_int_equal(view.node_count, 2 * width + joins);
}

/** Edges are sorted, in whatever order nodes were created. */
static void test_edge_order(void **state)
{
    struct segue_test *test = *state;
    const uint32_t width = 6;
    segue_buffer *buffer = segue_test_zeros(test, width + width * width);
    for (test->order_seed = 1; test->order_seed < 8; test->order_seed++) {
        segue_command_buffer *command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
        for (uint32_t i = 0; i < width; i++)
            CHECK_OK(segue_cmd_fill(command_buffer, segue_test_ref(buffer, i * 4, 4), i, 4));
        segue_test_barrier(command_buffer);
        for (uint32_t i = 0; i < width; i++)
            CHECK_OK(segue_cmd_copy(command_buffer, segue_test_ref(buffer, 0, width * 4),
                                    segue_test_ref(buffer, (i + 1) * width * 4, width * 4)));
        CHECK_OK(segue_command_buffer_end(command_buffer));
        const struct segue_graph_view view = graph_of(command_buffer);
        assert_true(view.edge_count >= 2 * width);
        for (uint32_t i = 1; i < view.edge_count; i++) {
            const struct segue_graph_edge *a = &view.edges[i - 1];
            const struct segue_graph_edge *b = &view.edges[i];
            assert_true(a->to < b->to || (a->to == b->to && a->from < b->from));
        }
    }
}

static void test_stats(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 64);
    segue_command_buffer *command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
    for (uint32_t i = 0; i < 4; i++) {
        segue_test_dispatch_scale(test, command_buffer, segue_test_whole(data), 64, 3, 1);
        segue_test_barrier(command_buffer);
    }
    CHECK_OK(segue_command_buffer_end(command_buffer));
    struct segue_command_buffer_stats stats;
    CHECK_OK(segue_command_buffer_get_stats(command_buffer, &stats));
    assert_int_equal(stats.node_count, 4);
    assert_int_equal(stats.edge_count, 3);
    assert_true(stats.build_ns > 0);
    assert_true(stats.instantiate_ns > 0);
    assert_true(stats.upload_ns > 0);

    command_buffer = begin_in(test, SEGUE_EXECUTION_STREAM);
    segue_test_dispatch_scale(test, command_buffer, segue_test_whole(data), 64, 3, 1);
    CHECK_OK(segue_command_buffer_end(command_buffer));
    CHECK_OK(segue_command_buffer_get_stats(command_buffer, &stats));
    assert_int_equal(stats.node_count, 0);
    assert_int_equal(stats.instantiate_ns, 0);
}

/** A command buffer without work is legal, in both modes. */
static void test_no_nodes(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_zeros(test, 4);
    for (int mode = SEGUE_EXECUTION_GRAPH; mode <= SEGUE_EXECUTION_STREAM; mode++) {
        segue_command_buffer *command_buffer = begin_in(test, (enum segue_execution_mode)mode);
        segue_test_barrier(command_buffer);
        CHECK_OK(segue_cmd_fill(command_buffer, segue_test_ref(buffer, 0, 0), 1, 4));
        segue_test_run(test, command_buffer);
    }
    segue_test_expect_all(buffer, 0, 4, 0);
}

/** Inline data is staged in memory that is counted, given back, and used again. */
static void test_staging(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffer = segue_test_buffer(test, 4096);
    struct segue_memory_stats stats;
    uint64_t allocations = 0;
    for (uint32_t round = 0; round < 4; round++) {
        uint32_t words[256];
        for (uint32_t i = 0; i < 256; i++)
            words[i] = segue_test_word(round, i);
        segue_command_buffer *command_buffer =
            begin_in(test, round % 2 == 0 ? SEGUE_EXECUTION_GRAPH : SEGUE_EXECUTION_STREAM);
        CHECK_OK(segue_cmd_update(command_buffer, segue_test_ref(buffer, 0, 1024), words));
        CHECK_OK(segue_cmd_update(command_buffer, segue_test_ref(buffer, 1024, 1), words + 1));
        segue_test_run(test, command_buffer);
        segue_test_expect(buffer, 0, words, 256);
        segue_device_get_memory_stats(test->device, &stats);
        assert_true(stats.internal.current_bytes >= 1025);
        assert_int_equal(stats.internal.allocation_count, 1);
        segue_test_destroy(test, command_buffer);
        CHECK_OK(segue_queue_wait_idle(test->queue));
        segue_device_get_memory_stats(test->device, &stats);
        assert_int_equal(stats.internal.current_bytes, 0);
        assert_int_equal(stats.internal.allocation_count, 0);
        // An idle graph has no use for its block, but keeps it.
        segue_device_trim_cache(test->device);
        if (test->soft != NULL) {
            struct segue_soft_report report;
            test->soft->get_report(&report);
            if (round == 0)
                allocations = report.allocation_count;
            assert_int_equal(report.allocation_count, allocations);
        }
    }
    assert_true(stats.internal.peak_bytes >= 1025);
}

/** The operation of the only command of an ended command buffer. Parameters stay in the arena. */
static struct segue_operation lower_only(struct segue_test *test,
                                         segue_command_buffer *command_buffer,
                                         struct segue_lowering *lowering)
{
    struct segue_operation operation;
    CHECK_OK(segue_command_buffer_end(command_buffer));
    *lowering = (struct segue_lowering){
        .cuda = segue_cuda_of(test->device->backend),
        .recording = command_buffer->recording,
    };
    segue_arena_init(&lowering->arena, &segue_default_allocator);
    CHECK_OK(segue_lower(lowering, command_buffer->recording->first, &operation));
    assert_int_equal(operation.kind, SEGUE_OPERATION_KERNEL);
    assert_ptr_equal(operation.segment, command_buffer->recording->first);
    return operation;
}

static uint64_t parameter_of(const struct segue_operation *operation, uint32_t index, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, operation->as.kernel.parameters[index], size);
    return value;
}

/** Bindings and constants in the kernel's order, where constants are packed and of odd sizes. */
static void test_parameters(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *out = segue_test_buffer(test, 512);
    segue_buffer *source = segue_test_buffer(test, 512);
    const struct segue_buffer_ref bindings[] = {segue_test_ref(out, 256, 256),
                                                segue_test_ref(source, 0, 64)};
    struct __attribute__((packed)) {
        uint8_t step;
        uint64_t start;
        uint16_t shift;
        uint32_t count;
    } constants = {7, 0x123456789abcdef0, 513, 9};
    const struct segue_dispatch dispatch = {
        .executable = test->kernels,
        .entry_point = SEGUE_TEST_ORDER,
        .grid = {2, 3, 4},
        .bindings = bindings,
        .binding_count = 2,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
    };
    segue_command_buffer *command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
    CHECK_OK(segue_cmd_dispatch(command_buffer, &dispatch));
    struct segue_lowering lowering;
    const struct segue_operation operation = lower_only(test, command_buffer, &lowering);
    struct segue_buffer_info info;
    assert_int_equal(parameter_of(&operation, 0, 1), 7);
    segue_buffer_get_info(out, &info);
    assert_int_equal(parameter_of(&operation, 1, 8), info.device_address + 256);
    assert_int_equal(parameter_of(&operation, 2, 8), 0x123456789abcdef0);
    assert_int_equal(parameter_of(&operation, 3, 2), 513);
    segue_buffer_get_info(source, &info);
    assert_int_equal(parameter_of(&operation, 4, 8), info.device_address);
    assert_int_equal(parameter_of(&operation, 5, 4), 9);
    const CUlaunchConfig *config = &operation.as.kernel.config;
    assert_int_equal(config->gridDimX, 2);
    assert_int_equal(config->gridDimY, 3);
    assert_int_equal(config->gridDimZ, 4);
    assert_int_equal(config->blockDimX, SEGUE_TEST_BLOCK_SIZE);
    assert_int_equal(config->blockDimY, 1);
    assert_int_equal(config->blockDimZ, 1);
    assert_int_equal(config->sharedMemBytes, 0);
    assert_int_equal(config->numAttrs, 0);
    segue_arena_finish(&lowering.arena);
}

static void test_launch_attributes(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 64);
    segue_buffer *counter = segue_test_zeros(test, 64);
    const struct segue_buffer_ref bindings[] = {segue_test_whole(counter), segue_test_whole(data)};
    const struct segue_dispatch cooperative = {
        .executable = test->kernels,
        .entry_point = SEGUE_TEST_COOPERATIVE,
        .grid = {2, 1, 1},
        .bindings = bindings,
        .binding_count = 2,
    };
    struct segue_lowering lowering;
    segue_command_buffer *command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
    CHECK_OK(segue_cmd_dispatch(command_buffer, &cooperative));
    struct segue_operation operation = lower_only(test, command_buffer, &lowering);
    assert_int_equal(operation.as.kernel.config.numAttrs, 1);
    assert_int_equal(operation.as.kernel.config.attrs[0].id, CU_LAUNCH_ATTRIBUTE_COOPERATIVE);
    assert_int_equal(operation.as.kernel.config.attrs[0].value.cooperative, 1);
    segue_arena_finish(&lowering.arena);

    struct segue_dispatch clustered = cooperative;
    clustered.entry_point = SEGUE_TEST_CLUSTER;
    clustered.bindings = bindings + 1;
    clustered.binding_count = 1;
    command_buffer = begin_in(test, SEGUE_EXECUTION_GRAPH);
    CHECK_OK(segue_cmd_dispatch(command_buffer, &clustered));
    operation = lower_only(test, command_buffer, &lowering);
    if (test->info.supports_clusters) {
        assert_int_equal(operation.as.kernel.config.numAttrs, 1);
        const CUlaunchAttribute *attribute = operation.as.kernel.config.attrs;
        assert_int_equal(attribute->id, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
        assert_int_equal(attribute->value.clusterDim.x, 2);
        assert_int_equal(attribute->value.clusterDim.y, 1);
        assert_int_equal(attribute->value.clusterDim.z, 1);
    }
    segue_arena_finish(&lowering.arena);
}

/** Host-visible memory is read and written in place, device memory through the driver. */
static void test_read_write(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *buffers[] = {host_buffer(test, 1024), segue_test_buffer(test, 1024)};
    for (size_t i = 0; i < 2; i++) {
        const unsigned char written[4] = {1, 2, 3, 4};
        unsigned char bytes[8] = {0};
        CHECK_OK(segue_buffer_write(buffers[i], 510, bytes, 8));
        CHECK_OK(segue_buffer_write(buffers[i], 512, written, 4));
        CHECK_OK(segue_buffer_write(buffers[i], 0, bytes, 8));
        CHECK_OK(segue_buffer_read(buffers[i], 511, bytes, 6));
        assert_memory_equal(bytes, "\0\1\2\3\4\0", 6);
        CHECK_OK(segue_buffer_read(buffers[i], 1024, bytes, 0));
    }
    void *pointer = NULL;
    CHECK_OK(segue_buffer_map(buffers[0], &pointer));
    assert_memory_equal((char *)pointer + 512, "\1\2\3\4", 4);
}

static CUresult elapsed_time(float *out_milliseconds, CUevent start, CUevent end)
{
    *out_milliseconds = start == end ? -0.5f : 1.5f;
    return CUDA_SUCCESS;
}

static void test_elapsed_time(void **state)
{
    struct segue_test *test = *state;
    struct segue_backend *backend = test->device->backend;
    struct segue_cuda *cuda = segue_cuda_of(backend);
    const PFN_cuEventElapsedTime_v2000 kept = cuda->driver.cuEventElapsedTime;
    struct segue_backend_fence *start = NULL;
    struct segue_backend_fence *end = NULL;
    uint64_t elapsed_ns = 0;
    CHECK_OK(backend->ops->fence_create(backend, true, &start));
    CHECK_OK(backend->ops->fence_create(backend, true, &end));
    cuda->driver.cuEventElapsedTime = elapsed_time;
    CHECK_OK(backend->ops->fence_elapsed(backend, start, end, &elapsed_ns));
    assert_int_equal(elapsed_ns, 1500000);
    CHECK_OK(backend->ops->fence_elapsed(backend, start, start, &elapsed_ns));
    assert_int_equal(elapsed_ns, 0);
    cuda->driver.cuEventElapsedTime = kept;
    backend->ops->fence_destroy(backend, start);
    backend->ops->fence_destroy(backend, end);
}

#define THREAD_COUNT 4
#define THREAD_ROUNDS 8

/** One thread's work: everything of its own, on a shared device. */
struct worker {
    segue_device *device;
    uint32_t number;
    pthread_t thread;
    /** Set by the thread: the first failure, and whether all words were right. */
    segue_status status;
    bool right;
};

/** Fills, updates and copies through a queue of its own; both modes. */
static segue_status run_round(struct worker *worker, segue_queue *queue, segue_buffer *buffer,
                              uint32_t round)
{
    const struct segue_command_buffer_params params = {
        .mode = round % 2 == 0 ? SEGUE_EXECUTION_GRAPH : SEGUE_EXECUTION_STREAM};
    const uint32_t word = worker->number * 1000 + round;
    uint32_t words[12] = {0};
    segue_command_buffer *command_buffer = NULL;
    segue_status status = segue_command_buffer_create(worker->device, &params, &command_buffer);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(command_buffer);
    if (status == SEGUE_OK)
        status = segue_cmd_fill(command_buffer, segue_test_ref(buffer, 0, 16), word, 4);
    if (status == SEGUE_OK)
        status = segue_cmd_update(command_buffer, segue_test_ref(buffer, 16, 4), &word);
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(command_buffer, NULL);
    if (status == SEGUE_OK)
        status = segue_cmd_copy(command_buffer, segue_test_ref(buffer, 0, 20),
                                segue_test_ref(buffer, 20, 20));
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(command_buffer);
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    if (status == SEGUE_OK)
        status = segue_queue_submit(queue, &submission);
    if (status == SEGUE_OK)
        status = segue_queue_wait_idle(queue);
    if (status == SEGUE_OK)
        status = segue_buffer_read(buffer, 0, words, 40);
    for (uint32_t i = 0; i < 10; i++)
        worker->right = worker->right && words[i] == word;
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    const struct segue_buffer_params params = {.size_bytes = 64};
    segue_queue *queue = NULL;
    segue_buffer *buffer = NULL;
    worker->right = true;
    worker->status = segue_queue_create(worker->device, NULL, &queue);
    if (worker->status == SEGUE_OK)
        worker->status = segue_buffer_create(worker->device, &params, &buffer);
    for (uint32_t round = 0; round < THREAD_ROUNDS && worker->status == SEGUE_OK; round++)
        worker->status = run_round(worker, queue, buffer, round);
    segue_queue_destroy(queue);
    segue_buffer_destroy(buffer);
    return NULL;
}

/** What is loaded at its first use, and the staging memory, are shared by threads. */
static void test_threads(void **state)
{
    struct segue_test *test = *state;
    struct worker workers[THREAD_COUNT];
    for (uint32_t i = 0; i < THREAD_COUNT; i++) {
        workers[i] = (struct worker){.device = test->device, .number = i + 1};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, run_worker, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREAD_COUNT; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    for (uint32_t i = 0; i < THREAD_COUNT; i++) {
        assert_int_equal(workers[i].status, SEGUE_OK);
        assert_true(workers[i].right);
    }
    struct segue_memory_stats stats;
    segue_device_get_memory_stats(test->device, &stats);
    assert_int_equal(stats.internal.current_bytes, 0);
}

static void test_profiles(void **state)
{
    (void)state;
    static const struct {
        const char *uri;
        int32_t version;
    } cases[] = {
        {"soft://?profile=12.4", 12040},
        {"soft://?profile=12.8", 12080},
        {"soft://?profile=13.0", 13000},
        {"soft://", 13000},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        segue_device *device = NULL;
        struct segue_device_info info;
        CHECK_OK(segue_device_open(cases[i].uri, NULL, &device));
        segue_device_get_info(device, &info);
        assert_int_equal(info.driver_version, cases[i].version);
        assert_string_equal(info.uri, cases[i].uri);
        assert_true(info.is_soft);
        assert_true(info.multiprocessor_count > 0);
        assert_true(info.max_threads_per_block >= 256);
        assert_true(info.total_memory_bytes > 0);
        assert_int_equal(info.supports_clusters, info.compute_capability_major >= 9);
        segue_device_destroy(device);
    }
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {
        segue_test_case(test_node_types),
        segue_test_case(test_large_copies),
        segue_test_case(test_transfer_results),
        segue_test_case(test_fill_patterns),
        segue_test_case(test_join),
        segue_test_case(test_edge_order),
        segue_test_case(test_stats),
        segue_test_case(test_no_nodes),
        segue_test_case(test_staging),
        segue_test_case(test_read_write),
        segue_test_case(test_threads),
        segue_test_case(test_elapsed_time),
        segue_test_case(test_parameters),
        segue_test_case(test_launch_attributes),
        cmocka_unit_test(test_profiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
