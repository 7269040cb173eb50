// SPDX-License-Identifier: Apache-2.0
// The CUDA code of fill, copy and checksums, at all phases of their addresses.
#include "builtin.h"
#include "entry.h"

#include <segue/prepack_kernels.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_BYTES 70000

static uint8_t source[MAX_BYTES], target[MAX_BYTES];

static void fill_randomly(uint8_t *bytes, size_t count)
{
    static uint64_t random = 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        bytes[i] = (uint8_t)(random >> 56);
    }
}

static void run(const struct emulate_launch *launch)
{
    const char *problem = emulate_run(launch);
    if (problem)
        fail_msg("seed %d: %s", (int)launch->seed, problem);
}

static void check_fill(size_t length_bytes, uint32_t phase)
{
    const struct {
        uint64_t length_bytes;
        uint32_t pattern, pattern_size;
    } constants = {length_bytes, 0x84C3A251u, 4};
    const struct emulate_binding binding = {.access = EMULATE_WRITE,
                                            .align_bytes = 16,
                                            .phase_bytes = phase,
                                            .data = target,
                                            .size_bytes = length_bytes};
    const struct emulate_launch launch = {
        .unit = "builtin",
        .kernel = SEGUE_BUILTIN_FILL_NAME,
        .grid = 2,
        .block = SEGUE_BUILTIN_BLOCK_SIZE,
        .bindings = &binding,
        .binding_count = 1,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
        .seed = phase,
    };
    memset(target, 0, length_bytes);
    run(&launch);
    for (size_t i = 0; i < length_bytes; i++)
        assert_int_equal(target[i], (uint8_t)(constants.pattern >> (8 * (i % 4))));
}

static void test_fill(void **state)
{
    (void)state;
    static const size_t lengths[] = {1, 3, 15, 16, 17, 100, 12345};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (uint32_t phase = 0; phase < 16; phase += i < 5 ? 1 : 3)
            check_fill(lengths[i], phase);
    }
}

static void check_copy(uint64_t length_bytes, uint32_t from_phase, uint32_t to_phase)
{
    const struct emulate_binding bindings[] = {
        {EMULATE_READ, 16, from_phase, source, length_bytes, 0, 0},
        {EMULATE_WRITE, 16, to_phase, target, length_bytes, 0, 0},
    };
    const struct emulate_launch launch = {
        .unit = "builtin",
        .kernel = SEGUE_BUILTIN_COPY_NAME,
        .grid = 2,
        .block = SEGUE_BUILTIN_BLOCK_SIZE,
        .bindings = bindings,
        .binding_count = 2,
        .constants = &length_bytes,
        .constants_size_bytes = sizeof(length_bytes),
        .seed = from_phase + to_phase,
    };
    memset(target, 0, length_bytes);
    run(&launch);
    assert_memory_equal(target, source, length_bytes);
}

static void test_copy(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {1, 5, 16, 31, 12345};
    fill_randomly(source, sizeof(source));
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (uint32_t phase = 0; phase < 16; phase += 3) {
            check_copy(lengths[i], phase, phase);
            check_copy(lengths[i], phase, (phase + 4) % 16);
            check_copy(lengths[i], phase, (phase * 7 + 1) % 16);
        }
    }
}

static void test_checksum(void **state)
{
    (void)state;
    static const struct segue_checksum_constants sizes[] = {
        {1, 8}, {8, 8}, {1000, 128}, {69997, 40000}, {65536, 16384}, {8195, 4096},
    };
    struct segue_executable_params params;
    segue_kernels_get_checksum(&params);
    fill_randomly(source, sizeof(source));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const uint64_t chunk_bytes = sizes[i].chunk_bytes;
        const uint32_t chunks = (uint32_t)((sizes[i].size_bytes + chunk_bytes - 1) / chunk_bytes);
        uint64_t sums[16] = {0};
        const struct entry_launch launch = {
            .unit = "checksum",
            .entry = &params.entry_points[0],
            .architecture = 800,
            .grid = chunks,
            .memory = {source, sums},
            .sizes = {sizes[i].size_bytes, chunks * sizeof(sums[0])},
            .constants = &sizes[i],
            .constants_size_bytes = sizeof(sizes[i]),
            .seed = i,
        };
        entry_run(&launch, "checksums");
        for (uint64_t k = 0; k < chunks; k++) {
            const uint64_t rest = sizes[i].size_bytes - k * chunk_bytes;
            assert_int_equal(sums[k], segue_checksum(source + k * chunk_bytes,
                                                     rest < chunk_bytes ? rest : chunk_bytes));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_checksum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
