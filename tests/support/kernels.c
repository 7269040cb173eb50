// SPDX-License-Identifier: Apache-2.0
// Entry points and references of the kernels in kernels.cu. Keep both in step.
#include "kernels.h"

#include <string.h>

static uint32_t load_u32(const struct segue_reference_launch *launch, uint32_t index)
{
    uint32_t value;
    memcpy(&value, launch->parameters[index], sizeof(value));
    return value;
}

static uint64_t load_u64(const struct segue_reference_launch *launch, uint32_t index)
{
    uint64_t value;
    memcpy(&value, launch->parameters[index], sizeof(value));
    return value;
}

/** The host address of `count` words behind a binding; NULL fails the launch by itself. */
static uint32_t *words_of(const struct segue_reference_launch *launch,
                          segue_reference_translate translate, uint32_t index, uint64_t count)
{
    return translate(launch, load_u64(launch, index), count * 4);
}

static void add_words(const struct segue_reference_launch *launch,
                      struct segue_reference_ranges *ranges, uint32_t index, uint64_t count,
                      bool read, bool write)
{
    ranges->add_range(ranges, load_u64(launch, index), count * 4, read, write);
}

static bool add_run(const struct segue_reference_launch *launch,
                    segue_reference_translate translate)
{
    uint32_t count = load_u32(launch, 3);
    const uint32_t *left = words_of(launch, translate, 0, count);
    const uint32_t *right = words_of(launch, translate, 1, count);
    uint32_t *out = words_of(launch, translate, 2, count);
    if (!left || !right || !out)
        return false;
    for (uint32_t i = 0; i < count; ++i)
        out[i] = left[i] + right[i];
    return true;
}

static void add_ranges(const struct segue_reference_launch *launch,
                       struct segue_reference_ranges *ranges)
{
    uint32_t count = load_u32(launch, 3);
    add_words(launch, ranges, 0, count, true, false);
    add_words(launch, ranges, 1, count, true, false);
    add_words(launch, ranges, 2, count, false, true);
}

/** Of SCALE, SLOW_SCALE and OPAQUE: parameter 0 is an address in all three. */
static bool scale_run(const struct segue_reference_launch *launch,
                      segue_reference_translate translate)
{
    uint32_t count = load_u32(launch, 1);
    uint32_t factor = load_u32(launch, 2);
    uint32_t addend = load_u32(launch, 3);
    uint32_t *data = words_of(launch, translate, 0, count);
    if (!data)
        return false;
    for (uint32_t i = 0; i < count; ++i)
        data[i] = data[i] * factor + addend;
    return true;
}

static void scale_ranges(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    add_words(launch, ranges, 0, load_u32(launch, 1), true, true);
}

static bool mix_run(const struct segue_reference_launch *launch,
                    segue_reference_translate translate)
{
    uint32_t count = load_u32(launch, 2);
    uint32_t shift = load_u32(launch, 3);
    const uint32_t *source = words_of(launch, translate, 0, count);
    uint32_t *data = words_of(launch, translate, 1, count);
    if (!source || !data)
        return false;
    for (uint32_t i = 0; i < count; ++i)
        data[i] = data[i] * 31 + source[(i + shift) % count];
    return true;
}

static void mix_ranges(const struct segue_reference_launch *launch,
                       struct segue_reference_ranges *ranges)
{
    uint32_t count = load_u32(launch, 2);
    add_words(launch, ranges, 0, count, true, false);
    add_words(launch, ranges, 1, count, true, true);
}

static bool order_run(const struct segue_reference_launch *launch,
                      segue_reference_translate translate)
{
    uint8_t step;
    uint16_t shift;
    memcpy(&step, launch->parameters[0], sizeof(step));
    memcpy(&shift, launch->parameters[3], sizeof(shift));
    uint64_t start = load_u64(launch, 2);
    uint32_t count = load_u32(launch, 5);
    uint32_t *out = words_of(launch, translate, 1, count);
    const uint32_t *source = words_of(launch, translate, 4, count);
    if (!out || !source)
        return false;
    for (uint32_t i = 0; i < count; ++i)
        out[i] = (uint32_t)(start >> shift) + i * step + source[i];
    return true;
}

static void order_ranges(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    uint32_t count = load_u32(launch, 5);
    add_words(launch, ranges, 1, count, false, true);
    add_words(launch, ranges, 4, count, true, false);
}

static bool struct_run(const struct segue_reference_launch *launch,
                       segue_reference_translate translate)
{
    uint32_t before = load_u32(launch, 0);
    uint32_t words[32];
    memcpy(words, launch->parameters[1], sizeof(words));
    uint32_t *out = words_of(launch, translate, 2, 32);
    if (!out)
        return false;
    for (uint32_t i = 0; i < 32; ++i)
        out[i] = words[i] + before;
    return true;
}

static void struct_ranges(const struct segue_reference_launch *launch,
                          struct segue_reference_ranges *ranges)
{
    add_words(launch, ranges, 2, 32, false, true);
}

static bool large_run(const struct segue_reference_launch *launch,
                      segue_reference_translate translate)
{
    uint32_t words[1000];
    memcpy(words, launch->parameters[0], sizeof(words));
    uint32_t *out = words_of(launch, translate, 1, 1000);
    if (!out)
        return false;
    for (uint32_t i = 0; i < 1000; ++i)
        out[i] = words[i] * 3;
    return true;
}

static void large_ranges(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    add_words(launch, ranges, 1, 1000, false, true);
}

static bool shared_run(const struct segue_reference_launch *launch,
                       segue_reference_translate translate)
{
    uint32_t count = load_u32(launch, 2);
    // On a GPU the kernel would run over the end of its shared memory.
    if ((uint64_t)count * 4 > launch->dynamic_shared_bytes)
        return false;
    const uint32_t *source = words_of(launch, translate, 0, count);
    uint32_t *out = words_of(launch, translate, 1, count);
    if (!source || !out)
        return false;
    for (uint32_t i = 0; i < count; ++i)
        out[i] = source[count - 1 - i];
    return true;
}

static void shared_ranges(const struct segue_reference_launch *launch,
                          struct segue_reference_ranges *ranges)
{
    uint32_t count = load_u32(launch, 2);
    add_words(launch, ranges, 0, count, true, false);
    add_words(launch, ranges, 1, count, false, true);
}

static bool cluster_run(const struct segue_reference_launch *launch,
                        segue_reference_translate translate)
{
    uint32_t *out = words_of(launch, translate, 0, launch->grid[0]);
    if (!out)
        return false;
    for (uint32_t i = 0; i < launch->grid[0]; ++i)
        out[i] = (launch->cluster[0] ? i % launch->cluster[0] : 0) + 100;
    return true;
}

static void cluster_ranges(const struct segue_reference_launch *launch,
                           struct segue_reference_ranges *ranges)
{
    add_words(launch, ranges, 0, launch->grid[0], false, true);
}

static bool cooperative_run(const struct segue_reference_launch *launch,
                            segue_reference_translate translate)
{
    uint32_t *counter = words_of(launch, translate, 0, 1);
    uint32_t *out = words_of(launch, translate, 1, launch->grid[0]);
    if (!counter || !out || !launch->cooperative)
        return false;
    *counter += launch->grid[0];
    for (uint32_t i = 0; i < launch->grid[0]; ++i)
        out[i] = *counter;
    return true;
}

static void cooperative_ranges(const struct segue_reference_launch *launch,
                               struct segue_reference_ranges *ranges)
{
    add_words(launch, ranges, 0, 1, true, true);
    add_words(launch, ranges, 1, launch->grid[0], false, true);
}

static bool nothing_run(const struct segue_reference_launch *launch,
                        segue_reference_translate translate)
{
    (void)launch;
    (void)translate;
    return true;
}

static void nothing_ranges(const struct segue_reference_launch *launch,
                           struct segue_reference_ranges *ranges)
{
    (void)launch;
    (void)ranges;
}

static bool shape_run(const struct segue_reference_launch *launch,
                      segue_reference_translate translate)
{
    uint32_t *out = words_of(launch, translate, 0, 6);
    if (!out)
        return false;
    memcpy(out, launch->grid, sizeof(launch->grid));
    memcpy(out + 3, launch->block, sizeof(launch->block));
    return true;
}

static void shape_ranges(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    add_words(launch, ranges, 0, 6, false, true);
}

static bool dependent_run(const struct segue_reference_launch *launch,
                          segue_reference_translate translate)
{
    uint32_t count = load_u32(launch, 2);
    const uint32_t *table = words_of(launch, translate, 0, 2);
    uint32_t *data = words_of(launch, translate, 1, count);
    if (!table || !data)
        return false;
    for (uint32_t i = 0; i < count; ++i)
        data[i] = data[i] * table[0] + table[1];
    return true;
}

static void dependent_ranges(const struct segue_reference_launch *launch,
                             struct segue_reference_ranges *ranges)
{
    add_words(launch, ranges, 0, 2, true, false);
    add_words(launch, ranges, 1, load_u32(launch, 2), true, true);
}

/** A pointer that the launch finds in memory; 0 if it is not there. */
static uint64_t load_pointer(const struct segue_reference_launch *launch,
                             segue_reference_translate translate, uint32_t table, uint32_t place)
{
    uint64_t pointer = 0;
    const void *found = translate(launch, load_u64(launch, table) + place * 8, 8);
    if (found)
        memcpy(&pointer, found, sizeof(pointer));
    return pointer;
}

static bool indirect_run(const struct segue_reference_launch *launch,
                         segue_reference_translate translate)
{
    uint32_t count = load_u32(launch, 1);
    uint32_t shift = load_u32(launch, 2);
    const uint32_t *source =
        translate(launch, load_pointer(launch, translate, 0, 0), (uint64_t)count * 4);
    uint32_t *data = translate(launch, load_pointer(launch, translate, 0, 1), (uint64_t)count * 4);
    if (!source || !data)
        return false;
    for (uint32_t i = 0; i < count; ++i)
        data[i] = data[i] * 31 + source[(i + shift) % count];
    return true;
}

static void indirect_ranges(const struct segue_reference_launch *launch,
                            segue_reference_translate translate,
                            struct segue_reference_ranges *ranges)
{
    uint64_t size_bytes = (uint64_t)load_u32(launch, 1) * 4;
    ranges->add_range(ranges, load_u64(launch, 0), 16, true, false);
    ranges->add_range(ranges, load_pointer(launch, translate, 0, 0), size_bytes, true, false);
    ranges->add_range(ranges, load_pointer(launch, translate, 0, 1), size_bytes, true, true);
}

static bool indirect_slow_run(const struct segue_reference_launch *launch,
                              segue_reference_translate translate)
{
    uint32_t count = load_u32(launch, 0);
    const uint32_t *source = words_of(launch, translate, 1, count);
    uint32_t *data = translate(launch, load_pointer(launch, translate, 2, 0), (uint64_t)count * 4);
    if (!source || !data)
        return false;
    for (uint32_t i = 0; i < count; ++i)
        data[i] = data[i] * 3 + source[i];
    return true;
}

static void indirect_slow_ranges(const struct segue_reference_launch *launch,
                                 segue_reference_translate translate,
                                 struct segue_reference_ranges *ranges)
{
    uint32_t count = load_u32(launch, 0);
    add_words(launch, ranges, 1, count, true, false);
    ranges->add_range(ranges, load_u64(launch, 2), 8, true, false);
    ranges->add_range(ranges, load_pointer(launch, translate, 2, 0), (uint64_t)count * 4, true,
                      true);
}

#define BINDING(mode)                                                       \
    {                                                                       \
        .kind = SEGUE_PARAMETER_BINDING, .access = (mode), .align_bytes = 4 \
    }
#define INDIRECT(mode)                                                       \
    {                                                                        \
        .kind = SEGUE_PARAMETER_INDIRECT, .access = (mode), .align_bytes = 4 \
    }
#define CONSTANT(size)                                         \
    {                                                          \
        .kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = (size) \
    }

static const struct segue_parameter add_parameters[] = {BINDING(SEGUE_ACCESS_READ),
                                                        BINDING(SEGUE_ACCESS_READ),
                                                        BINDING(SEGUE_ACCESS_WRITE), CONSTANT(4)};
static const struct segue_parameter scale_parameters[] = {BINDING(SEGUE_ACCESS_READ_WRITE),
                                                          CONSTANT(4), CONSTANT(4), CONSTANT(4)};
static const struct segue_parameter mix_parameters[] = {
    BINDING(SEGUE_ACCESS_READ), BINDING(SEGUE_ACCESS_READ_WRITE), CONSTANT(4), CONSTANT(4)};
static const struct segue_parameter slow_scale_parameters[] = {
    BINDING(SEGUE_ACCESS_READ_WRITE), CONSTANT(4), CONSTANT(4), CONSTANT(4), CONSTANT(8)};
static const struct segue_parameter order_parameters[] = {
    CONSTANT(1), BINDING(SEGUE_ACCESS_WRITE), CONSTANT(8),
    CONSTANT(2), BINDING(SEGUE_ACCESS_READ),  CONSTANT(4)};
static const struct segue_parameter struct_parameters[] = {CONSTANT(4), CONSTANT(128),
                                                           BINDING(SEGUE_ACCESS_WRITE)};
static const struct segue_parameter large_parameters[] = {CONSTANT(4000),
                                                          BINDING(SEGUE_ACCESS_WRITE)};
static const struct segue_parameter shared_parameters[] = {
    BINDING(SEGUE_ACCESS_READ), BINDING(SEGUE_ACCESS_WRITE), CONSTANT(4)};
static const struct segue_parameter write_parameters[] = {BINDING(SEGUE_ACCESS_WRITE)};
static const struct segue_parameter cooperative_parameters[] = {BINDING(SEGUE_ACCESS_READ_WRITE),
                                                                BINDING(SEGUE_ACCESS_WRITE)};
static const struct segue_parameter opaque_parameters[] = {CONSTANT(8), CONSTANT(4), CONSTANT(4),
                                                           CONSTANT(4)};
static const struct segue_parameter dependent_parameters[] = {
    BINDING(SEGUE_ACCESS_CONSTANT), BINDING(SEGUE_ACCESS_READ_WRITE), CONSTANT(4)};
static const struct segue_parameter indirect_parameters[] = {
    INDIRECT(SEGUE_ACCESS_READ), CONSTANT(4), INDIRECT(SEGUE_ACCESS_READ_WRITE), CONSTANT(4)};
static const struct segue_parameter indirect_slow_parameters[] = {
    CONSTANT(4), BINDING(SEGUE_ACCESS_READ), INDIRECT(SEGUE_ACCESS_READ_WRITE), CONSTANT(8)};

#undef BINDING
#undef INDIRECT
#undef CONSTANT

#define ENTRY(symbol, list, ...)                                         \
    {                                                                    \
        .name = (symbol), .parameters = (list),                          \
        .parameter_count = sizeof(list) / sizeof((list)[0]), __VA_ARGS__ \
    }
#define BLOCK .block_size = {SEGUE_TEST_BLOCK_SIZE, 1, 1}

const struct segue_entry_point segue_test_entries[SEGUE_TEST_KERNEL_COUNT] = {
    [SEGUE_TEST_ADD] = ENTRY("test_add", add_parameters, BLOCK),
    [SEGUE_TEST_SCALE] = ENTRY("test_scale", scale_parameters, BLOCK),
    [SEGUE_TEST_MIX] = ENTRY("test_mix", mix_parameters, BLOCK),
    [SEGUE_TEST_SLOW_SCALE] = ENTRY("test_slow_scale", slow_scale_parameters, BLOCK),
    [SEGUE_TEST_ORDER] = ENTRY("test_order", order_parameters, BLOCK),
    [SEGUE_TEST_STRUCT] = ENTRY("test_struct", struct_parameters, BLOCK),
    [SEGUE_TEST_LARGE] = ENTRY("test_large", large_parameters, BLOCK),
    [SEGUE_TEST_SHARED] =
        ENTRY("test_shared", shared_parameters, BLOCK, .dynamic_shared_bytes = 64 << 10),
    [SEGUE_TEST_CLUSTER] =
        ENTRY("test_cluster", write_parameters, BLOCK, .cluster_size = {2, 1, 1}),
    [SEGUE_TEST_COOPERATIVE] =
        ENTRY("test_cooperative", cooperative_parameters, BLOCK, .flags = SEGUE_ENTRY_COOPERATIVE),
    [SEGUE_TEST_OPAQUE] =
        ENTRY("test_opaque", opaque_parameters, BLOCK, .flags = SEGUE_ENTRY_OPAQUE),
    [SEGUE_TEST_NOTHING] = {.name = "test_nothing", BLOCK},
    [SEGUE_TEST_SHAPE] = ENTRY("test_shape", write_parameters, .flags = 0),
    [SEGUE_TEST_DEPENDENT] =
        ENTRY("test_dependent", dependent_parameters, BLOCK, .flags = SEGUE_ENTRY_GRID_DEPENDENCY),
    [SEGUE_TEST_INDIRECT] =
        ENTRY("test_indirect", indirect_parameters, BLOCK, .flags = SEGUE_ENTRY_GRID_DEPENDENCY),
    [SEGUE_TEST_INDIRECT_SLOW] = ENTRY("test_indirect_slow", indirect_slow_parameters, BLOCK),
};

#undef ENTRY
#undef BLOCK

#define REFERENCE(symbol, prefix, ...)                                                 \
    {                                                                                  \
        .name = (symbol), .parameter_sizes = (const uint32_t[]){__VA_ARGS__},          \
        .parameter_count = sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), \
        .run = prefix##_run, .ranges = prefix##_ranges                                 \
    }

/** Of a kernel whose ranges depend on what memory holds. */
#define TABLE_REFERENCE(symbol, prefix, ...)                                           \
    {                                                                                  \
        .name = (symbol), .parameter_sizes = (const uint32_t[]){__VA_ARGS__},          \
        .parameter_count = sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), \
        .run = prefix##_run, .table_ranges = prefix##_ranges                           \
    }

const struct segue_reference_kernel segue_test_references[SEGUE_TEST_KERNEL_COUNT] = {
    [SEGUE_TEST_ADD] = REFERENCE("test_add", add, 8, 8, 8, 4),
    [SEGUE_TEST_SCALE] = REFERENCE("test_scale", scale, 8, 4, 4, 4),
    [SEGUE_TEST_MIX] = REFERENCE("test_mix", mix, 8, 8, 4, 4),
    [SEGUE_TEST_SLOW_SCALE] = REFERENCE("test_slow_scale", scale, 8, 4, 4, 4, 8),
    [SEGUE_TEST_ORDER] = REFERENCE("test_order", order, 1, 8, 8, 2, 8, 4),
    [SEGUE_TEST_STRUCT] = REFERENCE("test_struct", struct, 4, 128, 8),
    [SEGUE_TEST_LARGE] = REFERENCE("test_large", large, 4000, 8),
    [SEGUE_TEST_SHARED] = REFERENCE("test_shared", shared, 8, 8, 4),
    [SEGUE_TEST_CLUSTER] = REFERENCE("test_cluster", cluster, 8),
    [SEGUE_TEST_COOPERATIVE] = REFERENCE("test_cooperative", cooperative, 8, 8),
    [SEGUE_TEST_OPAQUE] = REFERENCE("test_opaque", scale, 8, 4, 4, 4),
    [SEGUE_TEST_NOTHING] = {.name = "test_nothing", .run = nothing_run, .ranges = nothing_ranges},
    [SEGUE_TEST_SHAPE] = REFERENCE("test_shape", shape, 8),
    [SEGUE_TEST_DEPENDENT] = REFERENCE("test_dependent", dependent, 8, 8, 4),
    [SEGUE_TEST_INDIRECT] = TABLE_REFERENCE("test_indirect", indirect, 8, 4, 4),
    [SEGUE_TEST_INDIRECT_SLOW] = TABLE_REFERENCE("test_indirect_slow", indirect_slow, 4, 8, 8, 8),
};

#undef REFERENCE
#undef TABLE_REFERENCE

segue_status segue_test_kernels_create(segue_device *device, segue_executable **out_executable)
{
    segue_status status = segue_device_register_reference_kernels(device, segue_test_references,
                                                                  SEGUE_TEST_KERNEL_COUNT);
    if (status != SEGUE_OK)
        return status;
    struct segue_entry_point entries[SEGUE_TEST_KERNEL_COUNT];
    memcpy(entries, segue_test_entries, sizeof(entries));
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    if (!info.supports_clusters)
        memset(entries[SEGUE_TEST_CLUSTER].cluster_size, 0, sizeof(entries[0].cluster_size));
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = segue_test_source,
        .size_bytes = strlen(segue_test_source),
        .entry_points = entries,
        .entry_point_count = SEGUE_TEST_KERNEL_COUNT,
        .label = "test kernels",
    };
    return segue_executable_create(device, &params, out_executable);
}
