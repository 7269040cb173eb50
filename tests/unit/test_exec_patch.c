// SPDX-License-Identifier: Apache-2.0
// Nodes that are written out of their records: kernels of few and of many parameters, in any order,
// get what a lowered one gets.
#include "command_buffer.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#define MAX_PARAMETERS 70

/** The first parameter is where to write, the last one is read, between them are constants of four
 *  and eight bytes in turns. */
struct kernel {
    uint32_t parameter_count;
    char name[16];
    char ptx[4096];
    uint32_t sizes[MAX_PARAMETERS];
    struct segue_parameter parameters[MAX_PARAMETERS];
    segue_executable *executable;
};

static bool is_binding(uint32_t count, uint32_t i)
{
    return i == 0 || i + 1 == count;
}

/** What the kernel writes: everything that it was launched with, told apart by place. */
static uint64_t sum_of(const struct segue_reference_launch *launch, uint64_t read)
{
    uint64_t sum = read + launch->grid[0] * UINT64_C(3) + launch->grid[1] * UINT64_C(5) +
                   launch->grid[2] * UINT64_C(7) + launch->block[0] * UINT64_C(11) +
                   launch->block[1] * UINT64_C(13) + launch->dynamic_shared_bytes * UINT64_C(17);
    for (uint32_t i = 1; i + 1 < launch->parameter_count; i++) {
        uint64_t value = 0;
        memcpy(&value, launch->parameters[i], i % 2 != 0 ? 4 : 8);
        sum += value * (2 * i + 101);
    }
    return sum;
}

static uint64_t address_of(const struct segue_reference_launch *launch, uint32_t i)
{
    uint64_t address;
    memcpy(&address, launch->parameters[i], sizeof(address));
    return address;
}

static bool run(const struct segue_reference_launch *launch, segue_reference_translate translate)
{
    uint64_t *out = translate(launch, address_of(launch, 0), sizeof(*out));
    const uint64_t *in =
        translate(launch, address_of(launch, launch->parameter_count - 1), sizeof(*in));
    if (out == NULL || in == NULL)
        return false;
    *out = sum_of(launch, *in);
    return true;
}

static void list_ranges(const struct segue_reference_launch *launch,
                        struct segue_reference_ranges *ranges)
{
    if (ranges->add_range(ranges, address_of(launch, 0), 8, false, true))
        (void)ranges->add_range(ranges, address_of(launch, launch->parameter_count - 1), 8, true,
                                false);
}

static void make_kernel(struct segue_test *test, uint32_t count, struct kernel *kernel)
{
    *kernel = (struct kernel){.parameter_count = count};
    (void)snprintf(kernel->name, sizeof(kernel->name), "sum_%u", (unsigned)count);
    int length = snprintf(kernel->ptx, sizeof(kernel->ptx),
                          ".version 8.0\n.target sm_70\n.address_size 64\n.visible .entry %s(\n",
                          kernel->name);
    for (uint32_t i = 0; i < count; i++) {
        const bool binding = is_binding(count, i);
        kernel->sizes[i] = binding || i % 2 == 0 ? 8 : 4;
        kernel->parameters[i] = (struct segue_parameter){
            .kind = binding ? SEGUE_PARAMETER_BINDING : SEGUE_PARAMETER_CONSTANT,
            .access = i == 0 ? SEGUE_ACCESS_WRITE : SEGUE_ACCESS_READ,
            .size_bytes = binding ? 0 : kernel->sizes[i],
        };
        length += snprintf(kernel->ptx + length, sizeof(kernel->ptx) - (size_t)length,
                           "    .param .u%u p%u%s\n", (unsigned)kernel->sizes[i] * 8, (unsigned)i,
                           i + 1 < count ? "," : "");
    }
    (void)snprintf(kernel->ptx + length, sizeof(kernel->ptx) - (size_t)length, ")\n{\n ret;\n}\n");
    const struct segue_reference_kernel reference = {
        .name = kernel->name,
        .parameter_sizes = kernel->sizes,
        .parameter_count = count,
        .run = run,
        .ranges = list_ranges,
    };
    const struct segue_entry_point entry = {
        .name = kernel->name,
        .parameters = kernel->parameters,
        .parameter_count = count,
    };
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = kernel->ptx,
        .size_bytes = strlen(kernel->ptx),
        .entry_points = &entry,
        .entry_point_count = 1,
    };
    CHECK_OK(segue_device_register_reference_kernels(test->device, &reference, 1));
    CHECK_OK(segue_executable_create(test->device, &params, &kernel->executable));
}

/** Records what differs from step to step: in the second everything, in the third the places. */
static uint64_t record(const struct kernel *kernel, segue_command_buffer *commands,
                       segue_buffer *data, uint32_t step)
{
    const uint32_t count = kernel->parameter_count;
    unsigned char constants[8 * MAX_PARAMETERS] = {0};
    uint32_t size_bytes = 0;
    const void *values[MAX_PARAMETERS];
    for (uint32_t i = 1; i + 1 < count; i++) {
        const uint64_t value = i * UINT64_C(0x1234567) + (step == 0 ? 0 : i * UINT64_C(77));
        memcpy(constants + size_bytes, &value, kernel->sizes[i]);
        values[i] = constants + size_bytes;
        size_bytes += kernel->sizes[i];
    }
    const uint64_t place_bytes = step < 2 ? 0 : 32;
    const struct segue_buffer_ref bindings[] = {
        {.buffer = data, .offset_bytes = 16 + place_bytes, .length_bytes = 8},
        {.buffer = data, .offset_bytes = place_bytes, .length_bytes = 8},
    };
    const struct segue_dispatch dispatch = {
        .executable = kernel->executable,
        .grid = {1 + step, 2, step == 0 ? 1 : 3},
        .block = {32, step == 0 ? 2 : 1, 1},
        .dynamic_shared_bytes = 64 * step,
        .bindings = bindings,
        .binding_count = 2,
        .constants = constants,
        .constants_size_bytes = size_bytes,
    };
    CHECK_OK(segue_command_buffer_begin(commands));
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_reference_launch launch = {
        .grid = {dispatch.grid[0], dispatch.grid[1], dispatch.grid[2]},
        .block = {dispatch.block[0], dispatch.block[1], 1},
        .dynamic_shared_bytes = dispatch.dynamic_shared_bytes,
        .parameters = values,
        .parameter_count = count,
    };
    return sum_of(&launch, place_bytes == 0 ? 5 : 9);
}

static void patched_nodes_get_what_lowered_ones_get(void **state)
{
    static const uint32_t counts[] = {2, 3, 6, 64, 65, MAX_PARAMETERS};
    struct segue_test *test = *state;
    struct kernel kernel;
    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        make_kernel(test, counts[c], &kernel);
        segue_buffer *data = segue_test_zeros(test, 64);
        const uint64_t first = 5;
        const uint64_t second = 9;
        CHECK_OK(segue_buffer_write(data, 0, &first, sizeof(first)));
        CHECK_OK(segue_buffer_write(data, 32, &second, sizeof(second)));
        segue_command_buffer *commands = segue_test_begin(test);
        for (uint32_t step = 0; step < 3; step++) {
            CHECK_OK(segue_command_buffer_reset(commands));
            const uint64_t expected = record(&kernel, commands, data, step);
            struct segue_command_buffer_stats stats;
            CHECK_OK(segue_command_buffer_get_stats(commands, &stats));
            assert_int_equal(stats.reused, step != 0);
            assert_int_equal(stats.nodes_written, step != 0);
            segue_test_wait(test, segue_test_submit(test, commands));
            uint64_t got;
            CHECK_OK(segue_buffer_read(data, step < 2 ? 16 : 48, &got, sizeof(got)));
            if (got != expected)
                fail_msg("%u parameters, step %u", (unsigned)counts[c], (unsigned)step);
        }
        segue_test_destroy(test, commands);
        segue_executable_destroy(kernel.executable);
    }
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {
        segue_test_case(patched_nodes_get_what_lowered_ones_get),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
