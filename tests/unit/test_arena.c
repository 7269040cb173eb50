// SPDX-License-Identifier: Apache-2.0
// Host memory: the helpers over the user's allocator, and arenas.
#include "null_backend.h"

#include "allocator.h"
#include "arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void default_allocator_aligns(void **state)
{
    (void)state;
    const struct segue_allocator *allocator = &segue_default_allocator;
    static const size_t alignments[] = {1, 8, 16, 64, 4096};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        void *pointer = allocator->allocate(NULL, 100, alignments[i]);
        assert_non_null(pointer);
        assert_int_equal((uintptr_t)pointer % alignments[i], 0);
        allocator->release(NULL, pointer, 100);
    }
    assert_null(allocator->allocate(NULL, SIZE_MAX - 10, 4096));
}

static void zeroes_and_refuses_overflow(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    unsigned char *bytes = segue_allocate_zeroed(&memory.allocator, 10, 7);
    for (int i = 0; i < 70; i++)
        assert_int_equal(bytes[i], 0);
    assert_int_equal(memory.live_bytes, 70);
    segue_release(&memory.allocator, bytes, 70);
    segue_release(&memory.allocator, NULL, 70);
    uint64_t count = memory.count;
    assert_null(segue_allocate_zeroed(&memory.allocator, SIZE_MAX / 2, 3));
    assert_int_equal(memory.count, count);
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_sizes, 0);
}

static void copies_strings(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    char *text = segue_copy_string(&memory.allocator, "label");
    assert_string_equal(text, "label");
    char *none = segue_copy_string(&memory.allocator, NULL);
    assert_string_equal(none, "");
    segue_release_string(&memory.allocator, text);
    segue_release_string(&memory.allocator, none);
    segue_release_string(&memory.allocator, NULL);
    null_allocator_fail(&memory, 1, false);
    assert_null(segue_copy_string(&memory.allocator, "label"));
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_sizes, 0);
}

static void grows_arrays(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    void *array = NULL;
    size_t capacity = 0;
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(segue_grow(&memory.allocator, &array, &capacity, i + 1, sizeof(uint32_t)));
        assert_true(capacity > i);
        ((uint32_t *)array)[i] = i;
    }
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(((uint32_t *)array)[i], i);
    assert_true(memory.count < 12);

    void *before = array;
    size_t capacity_before = capacity;
    null_allocator_fail(&memory, 1, false);
    assert_false(segue_grow(&memory.allocator, &array, &capacity, capacity + 1, sizeof(uint32_t)));
    assert_int_equal(memory.failed, 1);
    assert_false(segue_grow(&memory.allocator, &array, &capacity, SIZE_MAX, 1));
    assert_false(segue_grow(&memory.allocator, &array, &capacity, SIZE_MAX / 4, 8));
    assert_ptr_equal(array, before);
    assert_int_equal(capacity, capacity_before);
    segue_release(&memory.allocator, array, capacity * sizeof(uint32_t));
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_sizes, 0);
}

static void arena_gives_distinct_aligned_memory(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    struct segue_arena arena;
    segue_arena_init(&arena, &memory.allocator);
    unsigned char *pieces[3000];
    uint64_t total = 0;
    for (size_t i = 0; i < 3000; i++) {
        size_t size_bytes = 1 + (i * 37) % 300;
        pieces[i] = segue_arena_allocate(&arena, size_bytes);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % 8, 0);
        memset(pieces[i], (int)(i & 0xFF), size_bytes);
        total += (size_bytes + 7) & ~(uint64_t)7;
    }
    for (size_t i = 0; i < 3000; i++) {
        size_t size_bytes = 1 + (i * 37) % 300;
        for (size_t k = 0; k < size_bytes; k++)
            assert_int_equal(pieces[i][k], i & 0xFF);
    }
    assert_int_equal(arena.used_bytes, total);
    assert_int_equal(arena.reserved_bytes, memory.live_bytes);
    assert_true(arena.reserved_bytes >= total);
    assert_true(arena.reserved_bytes < total + total / 4);
    segue_arena_finish(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_sizes, 0);
}

static void arena_blocks_grow_from_4_to_64_kib(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    struct segue_arena arena;
    segue_arena_init(&arena, &memory.allocator);
    uint64_t largest = 0;
    uint64_t reserved = 0;
    for (int i = 0; i < 10000; i++) {
        assert_non_null(segue_arena_allocate(&arena, 100));
        if (i == 0)
            assert_int_equal(arena.reserved_bytes, 4096);
        if (arena.reserved_bytes - reserved > largest)
            largest = arena.reserved_bytes - reserved;
        reserved = arena.reserved_bytes;
    }
    assert_int_equal(largest, 65536);
    segue_arena_finish(&arena);
}

static void arena_keeps_its_block_beside_a_large_piece(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    struct segue_arena arena;
    segue_arena_init(&arena, &memory.allocator);
    char *first = segue_arena_allocate(&arena, 64);
    char *large = segue_arena_allocate(&arena, 1 << 20);
    assert_non_null(large);
    memset(large, 1, 1 << 20);
    char *second = segue_arena_allocate(&arena, 64);
    assert_ptr_equal(second, first + 64);
    assert_int_equal(memory.live, 2);
    segue_arena_finish(&arena);

    // As the first piece, too.
    large = segue_arena_allocate(&arena, 1 << 20);
    assert_non_null(large);
    memset(large, 1, 1 << 20);
    segue_arena_finish(&arena);
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_sizes, 0);
}

static void arena_keeps_large_blocks_over_a_reset(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    struct segue_arena arena;
    segue_arena_init(&arena, &memory.allocator);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 5000; i++) {
            char *piece = segue_arena_allocate(&arena, 100);
            assert_non_null(piece);
            memset(piece, 1, 100);
        }
        assert_non_null(segue_arena_allocate(&arena, 100000));
        assert_int_equal(arena.used_bytes, 5000 * 104 + 100000);
        assert_int_equal(arena.reserved_bytes, memory.live_bytes);
        segue_arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
        assert_int_equal(arena.reserved_bytes, memory.live_bytes);
        assert_int_equal(memory.live_bytes % 65536, 0);
        assert_in_range(memory.live, 7, 8);
    }
    // In the last rounds only the large piece and what the small blocks held were allocated.
    null_allocator_fail(&memory, 0, false);
    for (int i = 0; i < 4000; i++)
        assert_non_null(segue_arena_allocate(&arena, 100));
    assert_int_equal(memory.count, 0);
    segue_arena_finish(&arena);
    assert_int_equal(memory.live, 0);
    assert_int_equal(memory.wrong_sizes, 0);
}

static void arena_survives_failing_allocations(void **state)
{
    (void)state;
    struct null_allocator memory;
    null_allocator_init(&memory);
    struct segue_arena arena;
    segue_arena_init(&arena, &memory.allocator);
    null_allocator_fail(&memory, 1, false);
    assert_null(segue_arena_allocate(&arena, 10));
    assert_int_equal(arena.used_bytes, 0);
    assert_int_equal(arena.reserved_bytes, 0);
    assert_non_null(segue_arena_allocate(&arena, 10));
    assert_null(segue_arena_allocate(&arena, SIZE_MAX));
    assert_null(segue_arena_allocate(&arena, SIZE_MAX - 15));
    null_allocator_fail(&memory, 1, false);
    assert_null(segue_arena_allocate(&arena, 100000));
    assert_int_equal(arena.used_bytes, 16);
    segue_arena_finish(&arena);
    assert_int_equal(memory.live, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_allocator_aligns),
        cmocka_unit_test(zeroes_and_refuses_overflow),
        cmocka_unit_test(copies_strings),
        cmocka_unit_test(grows_arrays),
        cmocka_unit_test(arena_gives_distinct_aligned_memory),
        cmocka_unit_test(arena_blocks_grow_from_4_to_64_kib),
        cmocka_unit_test(arena_keeps_its_block_beside_a_large_piece),
        cmocka_unit_test(arena_keeps_large_blocks_over_a_reset),
        cmocka_unit_test(arena_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
