// SPDX-License-Identifier: Apache-2.0
// Files that were cut or changed: what is wrong in header, index or footer makes a file be left
// out, what is wrong in the data makes a tensor be refused. Nothing wrong is ever served.
#include "folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include <cmocka.h>

#define MIB (1u << 20)
#define FILE_NAME "generation-0000000000000001.pack"
#define HEADER_BYTES 4096u
#define FOOTER_BYTES 256u
#define DATA_FLIPS 4000u

/** A small file, for what is done to each of its bytes, and one with a tensor of two chunks. */
static const struct segue_test_tensor tensors[] = {{1, 5000}, {3, 4096}, {4, 1}, {2, MIB + 100}};
#define SMALL_COUNT 3u
#define LARGE_COUNT 4u

static const char *folder;
static unsigned char *good;
static size_t good_bytes;
static unsigned char *large;
static size_t large_bytes;

static int make_files(void **state)
{
    (void)state;
    folder = segue_test_folder();
    if (segue_test_build(folder, tensors, LARGE_COUNT) != SEGUE_OK)
        return 1;
    large = segue_test_read_file(folder, ".pack", &large_bytes);
    segue_test_empty_folder(folder);
    if (segue_test_build(folder, tensors, SMALL_COUNT) != SEGUE_OK)
        return 1;
    good = segue_test_read_file(folder, ".pack", &good_bytes);
    return 0;
}

static int free_files(void **state)
{
    (void)state;
    free(good);
    free(large);
    return 0;
}

/** A number below `limit` from a seed. */
static uint64_t random_below(uint64_t *seed, uint64_t limit)
{
    *seed += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t value = (*seed ^ (*seed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (value ^ (value >> 31)) % limit;
}

/** Opens the folder as it is. Returns how many of the first `count` tensors are served, all of them
 *  right; *out_refused those that are there and refused. */
static uint32_t look_again(uint32_t count, uint32_t *out_refused)
{
    segue_packed_cache *cache = NULL;
    assert_int_equal(segue_test_open(folder, 0, &cache), SEGUE_OK);
    uint32_t right = 0;
    *out_refused = 0;
    for (uint32_t i = 0; i < count; i++) {
        const enum segue_test_found found = segue_test_look(cache, tensors[i]);
        assert_true(found != SEGUE_TEST_WRONG && found != SEGUE_TEST_FAILED);
        right += found == SEGUE_TEST_RIGHT;
        *out_refused += found == SEGUE_TEST_REFUSED;
    }
    segue_packed_cache_close(cache);
    return right;
}

/** The same with this small file in the folder. */
static uint32_t look(const unsigned char *file, size_t size_bytes, uint32_t *out_refused)
{
    segue_test_write_file(folder, FILE_NAME, file, size_bytes);
    return look_again(SMALL_COUNT, out_refused);
}

static void test_good_file(void **state)
{
    (void)state;
    uint32_t refused = 0;
    assert_int_equal(look(good, good_bytes, &refused), SMALL_COUNT);
    assert_int_equal(refused, 0);
}

/** Where the index of a file begins, as its footer says. */
static size_t index_of(const unsigned char *file, size_t size_bytes)
{
    uint64_t offset = 0;
    for (int i = 0; i < 8; i++)
        offset |= (uint64_t)file[size_bytes - FOOTER_BYTES + 48 + (size_t)i] << (8 * i);
    return (size_t)offset;
}

static size_t index_offset(void)
{
    return index_of(good, good_bytes);
}

static void test_truncation(void **state)
{
    (void)state;
    uint32_t refused = 0;
    uint32_t count = 0;
    assert_true(index_offset() > HEADER_BYTES && index_offset() < good_bytes - FOOTER_BYTES);
    for (size_t size = index_offset(); size < good_bytes; size++, count++)
        assert_int_equal(look(good, size, &refused), 0);
    for (size_t size = 0; size < index_offset(); size += 97)
        assert_int_equal(look(good, size, &refused), 0);
    unsigned char *longer = calloc(1, good_bytes + 300);
    assert_non_null(longer);
    memcpy(longer, good, good_bytes);
    for (size_t more = 1; more < 300; more += 37)
        assert_int_equal(look(longer, good_bytes + more, &refused), 0);
    free(longer);
    printf("%u places in index and footer\n", count);
}

/** Flips one bit in every byte of a part of the file: none of it may be believed. */
static void flip_all(size_t begin, size_t end)
{
    uint64_t seed = begin;
    uint32_t refused = 0;
    for (size_t at = begin; at < end; at++) {
        const unsigned char bit = (unsigned char)(1u << random_below(&seed, 8));
        good[at] ^= bit;
        if (look(good, good_bytes, &refused) != 0)
            fail_msg("a changed byte %zu was not noticed", at);
        good[at] ^= bit;
    }
}

static void test_header_flips(void **state)
{
    (void)state;
    flip_all(0, HEADER_BYTES);
}

static void test_index_and_footer_flips(void **state)
{
    (void)state;
    flip_all(index_offset(), good_bytes);
}

/** Flips a bit of the file in the folder. */
static void flip_in_folder(size_t at, unsigned char bit)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, FILE_NAME);
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char byte = 0;
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= bit;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    (void)close(fd);
}

/** One bit somewhere in the data: its tensor is refused, the others are served. */
static void test_data_flips(void **state)
{
    (void)state;
    uint64_t seed = 1;
    uint32_t in_tensors = 0;
    uint32_t between = 0;
    segue_test_write_file(folder, FILE_NAME, large, large_bytes);
    const size_t data_bytes = index_of(large, large_bytes) - HEADER_BYTES;
    for (uint32_t i = 0; i < DATA_FLIPS; i++) {
        // Half of them among the small ones at the front.
        const size_t range_bytes = i % 2 == 0 ? data_bytes : 20480;
        const size_t at = HEADER_BYTES + (size_t)random_below(&seed, range_bytes);
        const unsigned char bit = (unsigned char)(1u << random_below(&seed, 8));
        flip_in_folder(at, bit);
        uint32_t refused = 0;
        const uint32_t right = look_again(LARGE_COUNT, &refused);
        assert_int_equal(right + refused, LARGE_COUNT);
        assert_true(refused <= 1);
        in_tensors += refused;
        between += refused == 0;
        // The check of whole files also finds what lies between tensors.
        if (i % 16 == 0 || refused == 0) {
            segue_packed_cache *cache = NULL;
            struct segue_packed_verify_result result;
            assert_int_equal(segue_test_open(folder, 0, &cache), SEGUE_OK);
            assert_int_equal(segue_packed_cache_verify(cache, NULL, NULL, &result), SEGUE_MISMATCH);
            assert_int_equal(result.corrupt_entries, 1);
            segue_packed_cache_close(cache);
        }
        flip_in_folder(at, bit);
    }
    printf("%u of %u flips were in tensors, %u between them\n", in_tensors, DATA_FLIPS, between);
    assert_true(in_tensors > DATA_FLIPS / 2 && between > 10);
}

/** A broken file is replaced by the next build, and does not stay in the folder. */
static void test_broken_file_is_replaced(void **state)
{
    (void)state;
    uint32_t refused = 0;
    segue_test_empty_folder(folder);
    good[good_bytes - 1] ^= 1;
    assert_int_equal(look(good, good_bytes, &refused), 0);
    good[good_bytes - 1] ^= 1;
    assert_int_equal(segue_test_build(folder, tensors, SMALL_COUNT), SEGUE_OK);
    char name[64];
    assert_int_equal(segue_test_count_files(folder, ".pack", name), 1);
    // The number of the broken one is not used again.
    assert_string_equal(name, "generation-0000000000000002.pack");
    segue_packed_cache *cache = NULL;
    assert_int_equal(segue_test_open(folder, 0, &cache), SEGUE_OK);
    for (uint32_t i = 0; i < SMALL_COUNT; i++)
        assert_int_equal(segue_test_look(cache, tensors[i]), SEGUE_TEST_RIGHT);
    segue_packed_cache_close(cache);
    segue_test_empty_folder(folder);
}

/** A file of a later version of the format is somebody else's: left out, and left alone. One that
 *  only looks like it, because its version was damaged, is replaced. */
static void test_other_version(void **state)
{
    (void)state;
    for (int sealed = 0; sealed < 2; sealed++) {
        uint32_t refused = 0;
        segue_test_empty_folder(folder);
        unsigned char *later = malloc(good_bytes);
        assert_non_null(later);
        memcpy(later, good, good_bytes);
        later[8] = 2;
        if (sealed) {
            const uint64_t checksum = XXH3_64bits(later, HEADER_BYTES - 8);
            for (int i = 0; i < 8; i++)
                later[HEADER_BYTES - 8 + i] = (unsigned char)(checksum >> (8 * i));
        }
        assert_int_equal(look(later, good_bytes, &refused), 0);
        assert_int_equal(segue_test_build(folder, tensors, 1), SEGUE_OK);
        assert_int_equal(segue_test_count_files(folder, ".pack", NULL), 1 + sealed);
        free(later);
    }
}

/** A good file under the name of another generation. */
static void test_wrong_name(void **state)
{
    (void)state;
    segue_test_empty_folder(folder);
    segue_test_write_file(folder, "generation-0000000000000009.pack", good, good_bytes);
    segue_test_write_file(folder, "generation-1.pack", good, good_bytes);
    segue_test_write_file(folder, "notes.txt", "mine", 4);
    segue_packed_cache *cache = NULL;
    assert_int_equal(segue_test_open(folder, 0, &cache), SEGUE_OK);
    assert_int_equal(segue_test_look(cache, tensors[0]), SEGUE_TEST_ABSENT);
    segue_packed_cache_close(cache);
    // Files that are no generations stay.
    assert_int_equal(segue_test_build(folder, tensors, 1), SEGUE_OK);
    assert_int_equal(segue_test_count_files(folder, "notes.txt", NULL), 1);
    assert_int_equal(segue_test_count_files(folder, "generation-1.pack", NULL), 1);
}

/** Times of use may be anything: they only say what goes first. */
static void test_damaged_times(void **state)
{
    (void)state;
    segue_test_empty_folder(folder);
    static const unsigned char noise[] = {255, 255, 255, 255, 1, 2, 3};
    segue_test_write_file(folder, "generation-0000000000000001.used", noise, sizeof(noise));
    uint32_t refused = 0;
    assert_int_equal(look(good, good_bytes, &refused), SMALL_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_file),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_header_flips),
        cmocka_unit_test(test_index_and_footer_flips),
        cmocka_unit_test(test_data_flips),
        cmocka_unit_test(test_damaged_times),
        cmocka_unit_test(test_other_version),
        cmocka_unit_test(test_wrong_name),
        cmocka_unit_test(test_broken_file_is_replaced),
    };
    return cmocka_run_group_tests(tests, make_files, free_files);
}
