// SPDX-License-Identifier: Apache-2.0
// Sources that are named: tensors of GGUF and safetensors files, found, held against what the
// caller expects of them, loaded, and known to the cache by what they hold.
#include "folder.h"
#include "gguf.h"
#include "plans.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define WORDS TEST_PLAN_WORDS
#define BYTES TEST_PLAN_BYTES
/** Type I32 of a GGUF file. */
#define I32 26u

/** Two files: input 1 as "left" in GGUF, input 2 as "right" in safetensors. */
struct files {
    char gguf[256];
    char safetensors[256];
    /** Where "left" begins. */
    uint64_t left_offset_bytes;
};

static void write_gguf(const char *folder, struct files *files)
{
    static unsigned char bytes[4096 + BYTES];
    struct segue_test_gguf gguf = {0};
    segue_test_gguf_begin(&gguf, 3, 1, 0);
    segue_test_gguf_tensor(&gguf, "left", WORDS / 50, 50, I32, 0);
    segue_test_gguf_align(&gguf, 32);
    memcpy(bytes, gguf.bytes, gguf.size_bytes);
    (void)test_plan_generate(&test_plan_numbers[1], 0, bytes + gguf.size_bytes, BYTES);
    segue_test_write_file(folder, "model.gguf", bytes, gguf.size_bytes + BYTES);
    files->left_offset_bytes = gguf.size_bytes;
}

static void write_safetensors(const char *folder)
{
    static unsigned char bytes[512 + BYTES];
    char *header = (char *)bytes + 8;
    const int length = snprintf(header, 500,
                                "{\"right\":{\"dtype\":\"U32\",\"shape\":[%u],"
                                "\"data_offsets\":[0,%u]}}",
                                WORDS, (unsigned)BYTES);
    bytes[0] = (unsigned char)length;
    (void)test_plan_generate(&test_plan_numbers[2], 0, bytes + 8 + length, BYTES);
    segue_test_write_file(folder, "model.safetensors", bytes, 8 + (size_t)length + BYTES);
}

static struct files make_files(void)
{
    struct files files;
    const char *folder = segue_test_folder();
    write_gguf(folder, &files);
    write_safetensors(folder);
    (void)snprintf(files.gguf, sizeof(files.gguf), "%s/model.gguf", folder);
    (void)snprintf(files.safetensors, sizeof(files.safetensors), "%s/model.safetensors", folder);
    return files;
}

static struct segue_prepack_source named(const char *file, const char *tensor)
{
    return (struct segue_prepack_source){
        .kind = SEGUE_PREPACK_TENSOR, .file = file, .tensor = tensor};
}

/** Both tensors as they are, and packed together; each file is opened once, and closed again. */
static void test_named_tensors(void **state)
{
    struct segue_test *test = *state;
    struct files files = make_files();
    const int free_fd = dup(0);
    assert_int_equal(close(free_fd), 0);
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    const uint32_t left = test_plan_add(plan, "left", named(files.gguf, "left"), NULL);
    const uint32_t right = test_plan_add(plan, "right", named(files.safetensors, "right"), NULL);
    const struct segue_prepack_source sources[] = {named(files.gguf, "left"),
                                                   named(files.safetensors, "right")};
    const struct segue_prepack_packing packing = test_plan_packing(test);
    const struct segue_prepack_constant constant = {
        .name = "sum",
        .sources = sources,
        .source_count = 2,
        .packing = &packing,
        .packed_bytes = BYTES,
    };
    uint32_t sum = 0;
    CHECK_OK(segue_prepack_plan_add(plan, &constant, &sum));
    const int next_fd = dup(0);
    assert_int_equal(close(next_fd), 0);
    assert_int_equal(next_fd, free_fd + 2);
    // The plan has copies of all that it needs.
    memset(&files, 'x', sizeof(files));
    CHECK_OK(segue_prepack_plan_run(plan));
    test_plan_wait(plan);
    test_plan_check(plan, left, 1, UINT32_MAX);
    test_plan_check(plan, right, 2, UINT32_MAX);
    test_plan_check(plan, sum, 1, 2);
    segue_prepack_plan_destroy(plan);
    const int last_fd = dup(0);
    assert_int_equal(close(last_fd), 0);
    assert_int_equal(last_fd, free_fd);
}

/** What a name stands for is the key's content, not the name: the range itself hits, bytes that
 *  count as other elements do not. */
static void test_named_tensors_in_the_cache(void **state)
{
    struct segue_test *test = *state;
    struct files files = make_files();
    const char *folder = segue_test_folder();
    const int fd = open(files.gguf, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct segue_prepack_source range = {
        .fd = fd,
        .offset_bytes = files.left_offset_bytes,
        .size_bytes = BYTES,
        .dtype = "I32",
        .shape = {WORDS / 50, 50},
        .dimension_count = 2,
    };
    for (uint32_t i = 0; i < 3; i++) {
        segue_packed_cache *cache = NULL;
        CHECK_OK(segue_test_open(folder, 0, &cache));
        const struct segue_prepack_params params = {.cache = cache};
        segue_prepack_plan *plan = test_plan_make(test, &params);
        if (i == 2)
            range.dtype = "U32";
        (void)test_plan_add(plan, "left", i == 0 ? named(files.gguf, "left") : range, NULL);
        CHECK_OK(segue_prepack_plan_run(plan));
        test_plan_wait(plan);
        test_plan_check(plan, 0, 1, UINT32_MAX);
        assert_int_equal(test_plan_stats(plan).hit_count, i == 1);
        segue_prepack_plan_destroy(plan);
        segue_packed_cache_close(cache);
    }
    (void)close(fd);
}

/** One thing wrong at a time; the message names constant, file, tensor and value. */
static void test_refusals(void **state)
{
    struct segue_test *test = *state;
    struct files files = make_files();
    segue_prepack_plan *plan = test_plan_make(test, NULL);
    struct segue_prepack_source source;
    const struct segue_prepack_constant constant = {
        .name = "w", .sources = &source, .source_count = 1};
#define START() source = named(files.gguf, "left")
#define REFUSED(status, text) \
    CHECK_ERROR(segue_prepack_plan_add(plan, &constant, NULL), status, text)
    START();
    source.file = NULL;
    REFUSED(SEGUE_INVALID_ARGUMENT, "constant w, source 0: file is NULL");
    START();
    source.tensor = NULL;
    REFUSED(SEGUE_INVALID_ARGUMENT, "constant w, source 0: tensor is NULL");
    START();
    source.tensor = "right";
    REFUSED(SEGUE_NOT_FOUND, "\"right\"");
    assert_non_null(strstr(segue_last_error()->message, "constant w, source 0: "));
    assert_non_null(strstr(segue_last_error()->message, files.gguf));
    START();
    source.file = "/nonexistent/model.gguf";
    REFUSED(SEGUE_IO_ERROR, "constant w, source 0: /nonexistent/model.gguf");
    START();
    source.offset_bytes = 4;
    REFUSED(SEGUE_INVALID_ARGUMENT, "offset_bytes is 4");
    START();
    source.dtype = "U32";
    REFUSED(SEGUE_INVALID_ARGUMENT, "is I32, not U32");
    START();
    source.size_bytes = BYTES - 4;
    REFUSED(SEGUE_INVALID_ARGUMENT, "has 20000 bytes, not 19996");
    START();
    source.shape[0] = 50;
    source.shape[1] = WORDS / 50;
    source.dimension_count = 2;
    REFUSED(SEGUE_INVALID_ARGUMENT, "has shape [100][50], not [50][100]");
    source.dimension_count = 1;
    REFUSED(SEGUE_INVALID_ARGUMENT, "has shape [100][50], not [50]");
    source.dimension_count = 9;
    REFUSED(SEGUE_INVALID_ARGUMENT, "has shape [100][50], not [50][100][0]");
    // What agrees is fine.
    START();
    source.dtype = "I32";
    source.size_bytes = BYTES;
    source.shape[0] = WORDS / 50;
    source.shape[1] = 50;
    source.dimension_count = 2;
    CHECK_OK(segue_prepack_plan_add(plan, &constant, NULL));
    segue_prepack_plan_destroy(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_named_tensors),
        segue_test_case(test_named_tensors_in_the_cache),
        segue_test_case(test_refusals),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
