// SPDX-License-Identifier: Apache-2.0
// Quantised matrices through plan and cache, packed by Segue's own kernels: shapes with tails of
// rows and columns, and everything that the same bytes may be packed otherwise by.
#include "folder.h"
#include "plans.h"

#include <segue/quant.h>

#include <stdlib.h>

/** One load of one matrix. */
struct load {
    struct segue_quant_matrix matrix;
    /** Inputs that weights, scales and zeros are taken from. */
    uint32_t weights;
    uint32_t scales;
    uint32_t zeros;
};

struct world {
    struct segue_test *test;
    segue_executable *packer;
    const char *folder;
    /** Misses of the last load, by reason. */
    uint64_t misses[SEGUE_PACKED_MISS_COUNT];
};

static void open_world(struct world *world, void **state)
{
    struct segue_executable_params params;
    *world = (struct world){.test = *state, .folder = segue_test_folder()};
    CHECK_OK(segue_quant_register(world->test->device));
    segue_quant_get_pack_kernels(&params);
    world->packer = segue_test_executable(world->test, &params);
}

/** The packed bytes, by the host. Free them. */
static unsigned char *expect(const struct load *load, const struct segue_prepack_source *sources,
                             uint64_t packed_bytes)
{
    void *plain[3] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        plain[i] = malloc((size_t)sources[i].size_bytes + 8);
        assert_non_null(plain[i]);
        (void)test_plan_generate(sources[i].generate_context, 0, plain[i],
                                 (size_t)sources[i].size_bytes);
    }
    unsigned char *packed = malloc((size_t)packed_bytes);
    assert_non_null(packed);
    const struct segue_quant_plain buffers = {plain[0], plain[1], plain[2]};
    const struct segue_quant_rows rows = {.count = load->matrix.rows};
    CHECK_OK(segue_quant_pack(&load->matrix, rows, &buffers, packed));
    for (uint32_t i = 0; i < 3; i++)
        free(plain[i]);
    return packed;
}

static struct segue_prepack_launch launch_of(const struct segue_dispatch *dispatch)
{
    return (struct segue_prepack_launch){
        .grid = {dispatch->grid[0], dispatch->grid[1], dispatch->grid[2]},
        .constants = dispatch->constants,
        .constants_size_bytes = dispatch->constants_size_bytes,
    };
}

/** Runs a plan of one matrix and compares every byte. @return how many were packed. */
static uint32_t run(struct world *world, const struct load *load)
{
    struct segue_quant_plain_sizes sizes;
    struct segue_quant_pack_constants constants;
    struct segue_dispatch dispatch;
    segue_quant_get_plain_sizes(&load->matrix, load->matrix.rows, &sizes);
    CHECK_OK(segue_quant_get_pack_dispatch(&load->matrix, &constants, &dispatch));
    const struct segue_prepack_source sources[] = {
        test_plan_generated(load->weights, sizes.weights_bytes),
        test_plan_generated(load->scales, sizes.scales_bytes),
        test_plan_generated(load->zeros, sizes.zeros_bytes),
    };
    // The same for all matrices of a format, so that parameters are told apart by themselves.
    struct segue_quant_matrix small = load->matrix;
    small.rows = 24;
    small.columns = 160;
    small.group_size = 32;
    small.pair_stride = 0;
    struct segue_quant_plain_sizes small_sizes;
    struct segue_quant_pack_constants small_constants;
    struct segue_dispatch small_dispatch;
    segue_quant_get_plain_sizes(&small, small.rows, &small_sizes);
    CHECK_OK(segue_quant_get_pack_dispatch(&small, &small_constants, &small_dispatch));
    const struct segue_prepack_probe probe = {
        .launch = launch_of(&small_dispatch),
        .input_bytes = {small_sizes.weights_bytes, small_sizes.scales_bytes,
                        small_sizes.zeros_bytes},
        .output_bytes = segue_quant_packed_size_bytes(&small),
    };
    const uint64_t packed_bytes = segue_quant_packed_size_bytes(&load->matrix);
    const struct segue_prepack_packing packing = {
        .executable = world->packer,
        .entry_point = dispatch.entry_point,
        .launch = launch_of(&dispatch),
        .layout_id = SEGUE_QUANT_LAYOUT_NUMBER,
        .layout_version = SEGUE_QUANT_LAYOUT_VERSION,
        .probe = &probe,
    };
    const struct segue_prepack_constant constant = {
        .name = "matrix",
        .sources = sources,
        .source_count = sizes.zeros_bytes != 0 ? 3 : 2,
        .packing = &packing,
        .packed_bytes = packed_bytes,
    };
    segue_packed_cache *cache = NULL;
    CHECK_OK(segue_test_open(world->folder, 0, &cache));
    const struct segue_prepack_params params = {.model = "model", .cache = cache};
    segue_prepack_plan *plan = test_plan_make(world->test, &params);
    segue_buffer *buffer = NULL;
    CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    CHECK_OK(segue_prepack_plan_get_buffer(plan, 0, &buffer));
    unsigned char *expected = expect(load, sources, packed_bytes);
    unsigned char *actual = malloc((size_t)packed_bytes);
    assert_non_null(actual);
    CHECK_OK(segue_buffer_read(buffer, 0, actual, packed_bytes));
    assert_memory_equal(actual, expected, (size_t)packed_bytes);
    free(actual);
    free(expected);
    struct segue_packed_cache_stats stats;
    segue_packed_cache_get_stats(cache, &stats);
    memcpy(world->misses, stats.misses, sizeof(stats.misses));
    const uint32_t packed_count = test_plan_stats(plan).packed_count;
    segue_buffer_destroy(buffer);
    segue_prepack_plan_destroy(plan);
    segue_packed_cache_close(cache);
    return packed_count;
}

/** Rows that are no whole tile, columns that are no whole block, every format; twice each. */
static void test_tails(void **state)
{
    static const struct segue_quant_matrix matrices[] = {
        {.rows = 16, .columns = 128, .bits = 4, .group_size = 32},
        {.rows = 1, .columns = 32, .bits = 4, .group_size = 32},
        {.rows = 17, .columns = 160, .bits = 4, .group_size = 32},
        {.rows = 50, .columns = 192, .bits = 4, .group_size = 64},
        {.rows = 33, .columns = 384, .bits = 4, .group_size = 128},
        {.rows = 24, .columns = 96, .bits = 4, .group_size = 96},
        {.rows = 31, .columns = 160, .bits = 8, .group_size = 32},
        {.rows = 20, .columns = 192, .bits = 4, .group_size = 64, .zero = SEGUE_QUANT_ZERO_POINTS},
        {.rows = 20,
         .columns = 96,
         .bits = 4,
         .group_size = 32,
         .scale_type = SEGUE_QUANT_F32,
         .zero = SEGUE_QUANT_ZERO_OFFSETS},
        {.rows = 48, .columns = 128, .bits = 4, .group_size = 32, .pair_stride = 24},
    };
    struct world world;
    open_world(&world, state);
    for (uint32_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < sizeof(matrices) / sizeof(matrices[0]); i++) {
            const struct load load = {.matrix = matrices[i], .weights = 1, .scales = 2, .zeros = 3};
            assert_int_equal(run(&world, &load), round == 0);
        }
    }
}

/** The same weights with anything else: each is packed once, and none is served for another. */
static void test_same_bytes_packed_otherwise(void **state)
{
    static const struct segue_quant_matrix base = {
        .rows = 40, .columns = 128, .bits = 4, .group_size = 32, .zero = SEGUE_QUANT_ZERO_POINTS};
    struct load loads[8];
    for (size_t i = 0; i < 8; i++)
        loads[i] = (struct load){.matrix = base, .weights = 1, .scales = 2, .zeros = 3};
    loads[1].scales = 4;
    loads[2].zeros = 4;
    loads[3].matrix.group_size = 64;
    loads[4].matrix.pair_stride = 16;
    loads[4].matrix.rows = 32;
    loads[5].matrix.zero = SEGUE_QUANT_ZERO_MIDDLE;
    // As many bytes of each, and another matrix.
    loads[6].matrix.rows = 20;
    loads[6].matrix.columns = 256;
    // Only the order of the rows is another one than in the fifth.
    loads[7].matrix.rows = 32;
    struct world world;
    open_world(&world, state);
    for (uint32_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 8; i++)
            assert_int_equal(run(&world, &loads[i]), round == 0);
    }
}

/** Keeps the only entry's key. */
static bool keep_key(void *context, segue_packed_entry *entry)
{
    struct segue_packed_entry_info info;
    segue_packed_entry_get_info(entry, &info);
    *(struct segue_packed_key *)context = info.key;
    return true;
}

/** What was packed for another architecture, or by another packer, is not served, whatever bytes it
 *  has. */
static void test_other_architecture_and_packer(void **state)
{
    const struct load load = {
        .matrix = {.rows = 40, .columns = 160, .bits = 4, .group_size = 32},
        .weights = 1,
        .scales = 2,
    };
    const uint64_t packed_bytes = segue_quant_packed_size_bytes(&load.matrix);
    struct world world;
    open_world(&world, state);
    assert_int_equal(run(&world, &load), 1);
    segue_packed_cache *cache = NULL;
    struct segue_packed_tensor foreign = {
        .model = "model", .name = "matrix", .size_bytes = packed_bytes};
    CHECK_OK(segue_test_open(world.folder, 0, &cache));
    CHECK_OK(segue_packed_cache_visit(cache, keep_key, &foreign.key));
    segue_packed_cache_close(cache);
    const struct segue_packed_key own = foreign.key;
    static const struct segue_packed_digest nothing;
    assert_memory_not_equal(&own.fingerprint, &nothing, sizeof(nothing));
    assert_int_equal(own.architecture % 1000, 10 * world.test->info.compute_capability_major +
                                                  world.test->info.compute_capability_minor);
    unsigned char *zeros = calloc(1, (size_t)packed_bytes);
    assert_non_null(zeros);
    for (int packer = 0; packer < 2; packer++) {
        segue_packed_writer *writer = NULL;
        foreign.key = own;
        if (packer)
            foreign.key.fingerprint.bytes[3] ^= 1;
        else
            foreign.key.architecture += 10;
        segue_test_empty_folder(world.folder);
        CHECK_OK(segue_test_open(world.folder, 0, &cache));
        CHECK_OK(segue_packed_cache_begin(cache, &writer));
        CHECK_OK(segue_packed_writer_add(writer, &foreign));
        CHECK_OK(segue_packed_writer_append(writer, zeros, packed_bytes));
        CHECK_OK(segue_packed_writer_publish(writer));
        segue_packed_cache_close(cache);
        assert_int_equal(run(&world, &load), 1);
        assert_int_equal(
            world.misses[packer ? SEGUE_PACKED_MISS_PACKER : SEGUE_PACKED_MISS_ARCHITECTURE], 1);
        assert_int_equal(run(&world, &load), 0);
    }
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_tails),
        segue_test_case(test_same_bytes_packed_otherwise),
        segue_test_case(test_other_architecture_and_packer),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
