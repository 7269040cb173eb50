// SPDX-License-Identifier: Apache-2.0
// Two builders and four readers in one folder at once, while generations come, are merged and
// evicted: readers only ever see right bytes, and every tensor is built once as long as it is kept.
#include "folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define BUILDERS 2u
#define READERS 4u
#define TENSORS 24u
#define ROUNDS 40u

/** Shared by all processes. */
static struct shared {
    _Atomic uint32_t builders_left;
    _Atomic uint32_t built;
    _Atomic uint32_t reads;
    _Atomic uint32_t hits;
} * shared;

static const char *folder;

static struct segue_test_tensor tensor_of(uint32_t number)
{
    return (struct segue_test_tensor){number, 1000 + 3777 * (uint64_t)number};
}

/** Builds a tensor if it is not there. */
static bool build_one(segue_packed_cache *cache, struct segue_test_tensor tensor)
{
    if (segue_test_look(cache, tensor) == SEGUE_TEST_RIGHT)
        return true;
    segue_packed_writer *writer = NULL;
    if (segue_packed_cache_begin(cache, &writer) != SEGUE_OK)
        return false;
    const enum segue_test_found found = segue_test_look(cache, tensor);
    if (found == SEGUE_TEST_RIGHT) {
        segue_packed_writer_abandon(writer);
        return true;
    }
    const bool added = found == SEGUE_TEST_ABSENT && segue_test_add(writer, tensor) == SEGUE_OK;
    if (!added) {
        segue_packed_writer_abandon(writer);
        return false;
    }
    shared->built++;
    return segue_packed_writer_publish(writer) == SEGUE_OK;
}

static segue_packed_cache *open_with(uint64_t size_limit_bytes)
{
    const struct segue_packed_cache_params params = {
        .path = folder,
        .verification = SEGUE_PACKED_VERIFY_FULL,
        .size_limit_bytes = size_limit_bytes,
    };
    segue_packed_cache *cache = NULL;
    return segue_packed_cache_open(&params, &cache) == SEGUE_OK ? cache : NULL;
}

static int build(uint32_t seed, uint64_t size_limit_bytes, uint32_t rounds)
{
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < rounds; i++) {
        segue_packed_cache *cache = open_with(size_limit_bytes);
        for (uint32_t k = 0; cache != NULL && result == 0 && k < 3; k++) {
            seed = seed * 1103515245u + 12345u;
            const uint32_t number = rounds == 1 ? k : (seed >> 16) % TENSORS;
            result = build_one(cache, tensor_of(number)) ? 0 : 1;
        }
        result = cache != NULL ? result : 2;
        segue_packed_cache_close(cache);
    }
    shared->builders_left--;
    return result;
}

/** Reads until no builder is left. */
static int read_all(uint32_t seed)
{
    int result = 0;
    while (result == 0 && shared->builders_left != 0) {
        segue_packed_cache *cache = open_with(0);
        if (cache == NULL)
            return 2;
        for (uint32_t k = 0; result == 0 && k < 8; k++) {
            seed = seed * 1103515245u + 12345u;
            const enum segue_test_found found =
                segue_test_look(cache, tensor_of((seed >> 16) % TENSORS));
            result = found == SEGUE_TEST_RIGHT || found == SEGUE_TEST_ABSENT ? 0 : 3;
            shared->reads++;
            shared->hits += found == SEGUE_TEST_RIGHT;
            if (k == 4 && segue_packed_cache_refresh(cache) != SEGUE_OK)
                result = 4;
        }
        segue_packed_cache_close(cache);
    }
    return result;
}

/** Runs builders and readers; each must end well. */
static void run_all(uint64_t size_limit_bytes, uint32_t rounds, uint32_t seed)
{
    pid_t children[BUILDERS + READERS];
    shared->builders_left = BUILDERS;
    (void)fflush(NULL);
    for (uint32_t i = 0; i < BUILDERS + READERS; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i] == 0)
            _exit(i < BUILDERS ? build(i + seed, size_limit_bytes, rounds) : read_all(i + seed));
    }
    for (uint32_t i = 0; i < BUILDERS + READERS; i++) {
        int status = 0;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s %u ended with 0x%x", i < BUILDERS ? "builder" : "reader", i, status);
    }
}

static int map_shared(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared != MAP_FAILED ? 0 : 1;
}

/** Builders that start together on an empty folder build each tensor once. */
static void test_built_once(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        folder = segue_test_folder();
        shared->built = 0;
        run_all(0, 1, i);
        assert_int_equal(shared->built, 3);
        segue_test_empty_folder(folder);
    }
}

static void test_everything_at_once(void **state)
{
    (void)state;
    folder = segue_test_folder();
    shared->built = shared->reads = shared->hits = 0;
    run_all(300000, ROUNDS, 7);
    printf("%u builds, %u reads, %u hits\n", shared->built, shared->reads, shared->hits);
    assert_true(shared->built > TENSORS && shared->hits > 0);
    struct segue_packed_cache_stats stats;
    segue_packed_cache *cache = open_with(0);
    assert_non_null(cache);
    segue_packed_cache_get_stats(cache, &stats);
    assert_true(stats.file_bytes <= 300000);
    struct segue_packed_verify_result result;
    assert_int_equal(segue_packed_cache_verify(cache, NULL, NULL, &result), SEGUE_OK);
    segue_packed_cache_close(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_built_once),
        cmocka_unit_test(test_everything_at_once),
    };
    return cmocka_run_group_tests(tests, map_shared, NULL);
}
