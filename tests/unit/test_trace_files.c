// SPDX-License-Identifier: Apache-2.0
// Files: paths that must not leave a folder, temporary names, safetensors, and the small tables.
#include "test.h"
#include "trace/files.h"
#include "trace/handles.h"
#include "trace/names.h"
#include "trace/pool.h"
#include "trace/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/** A folder of its own for each test. */
struct folder {
    char path[64];
    int fd;
};

static int setup(void **state)
{
    struct folder *folder = calloc(1, sizeof(*folder));
    snprintf(folder->path, sizeof(folder->path), "/tmp/segue-test-XXXXXX");
    if (mkdtemp(folder->path) == NULL)
        return -1;
    folder->fd = open(folder->path, O_PATH | O_DIRECTORY);
    *state = folder;
    return folder->fd >= 0 ? 0 : -1;
}

static int teardown(void **state)
{
    struct folder *folder = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", folder->path);
    close(folder->fd);
    int result = system(command);
    free(folder);
    return result;
}

static void write_file(const struct folder *folder, const char *name, const void *data, size_t size)
{
    int fd = openat(folder->fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static int count_files(const struct folder *folder)
{
    char command[128];
    int count = -1;
    snprintf(command, sizeof(command), "ls -A '%s' | wc -l", folder->path);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%d", &count), 1);
    pclose(pipe);
    return count;
}

static void judges_paths(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a/b.c", "..a", "a..", "...", ".a", "a b/\xc3\xa4"};
    static const char *const bad[] = {"",       "/a",   "a/",   "a//b",       ".",
                                      "..",     "../a", "a/..", "a/.",        "./a",
                                      "a/../b", "a\nb", "\x7f", "\xc2\x9b[0m"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_null(segue_path_problem(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_non_null(segue_path_problem(bad[i]));
    char long_path[SEGUE_TRACE_MAX_PATH + 1];
    memset(long_path, 'a', sizeof(long_path) - 1);
    long_path[sizeof(long_path) - 1] = '\0';
    assert_non_null(segue_path_problem(long_path));
    long_path[sizeof(long_path) - 2] = '\0';
    assert_null(segue_path_problem(long_path));
}

static void opens_only_beneath(void **state)
{
    const struct folder *folder = *state;
    uint64_t size = 0;
    write_file(folder, "file", "12345", 5);
    assert_int_equal(mkdirat(folder->fd, "sub", 0777), 0);
    write_file(folder, "sub/file", "123", 3);
    assert_int_equal(symlinkat("file", folder->fd, "link"), 0);
    assert_int_equal(symlinkat("/etc", folder->fd, "etc"), 0);
    assert_int_equal(symlinkat("sub", folder->fd, "sublink"), 0);
    assert_int_equal(mkfifoat(folder->fd, "fifo", 0666), 0);

    int fd = segue_open_beneath(folder->fd, "file", &size);
    assert_true(fd >= 0);
    assert_int_equal(size, 5);
    char *text = NULL;
    assert_int_equal(segue_read_whole(fd, 5, &text), 0);
    assert_string_equal(text, "12345");
    free(text);
    assert_int_equal(segue_read_whole(fd, 6, &text), -1);
    close(fd);
    fd = segue_open_beneath(folder->fd, "sub/file", &size);
    assert_true(fd >= 0);
    assert_int_equal(size, 3);
    close(fd);

    assert_int_equal(segue_open_beneath(folder->fd, "link", &size), -ELOOP);
    assert_int_equal(segue_open_beneath(folder->fd, "etc/passwd", &size), -ENOTDIR);
    assert_int_equal(segue_open_beneath(folder->fd, "sublink/file", &size), -ENOTDIR);
    assert_int_equal(segue_open_beneath(folder->fd, "fifo", &size), -EINVAL);
    assert_int_equal(segue_open_beneath(folder->fd, "sub", &size), -EINVAL);
    assert_int_equal(segue_open_beneath(folder->fd, "none", &size), -ENOENT);
    assert_int_equal(segue_open_beneath(folder->fd, "none/file", &size), -ENOENT);
}

static void writes_under_temporary_names(void **state)
{
    const struct folder *folder = *state;
    char path[128];
    struct segue_output_file file = {0};
    struct stat info;
    snprintf(path, sizeof(path), "%s/out", folder->path);
    CHECK_OK(segue_output_open(&file, path));
    CHECK_OK(segue_output_write(&file, "abc", 3));
    assert_int_equal(stat(path, &info), -1);
    CHECK_OK(segue_output_commit(&file));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    assert_int_equal(count_files(folder), 1);

    CHECK_OK(segue_output_open(&file, path));
    CHECK_OK(segue_output_write(&file, "x", 1));
    segue_output_abandon(&file);
    segue_output_abandon(&file);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_size, 3);
    assert_int_equal(count_files(folder), 1);

    snprintf(path, sizeof(path), "%s/none/out", folder->path);
    CHECK_ERROR(segue_output_open(&file, path), SEGUE_IO_ERROR, "No such file");
    // A folder in the way: rename fails, and the temporary file goes.
    snprintf(path, sizeof(path), "%s/folder", folder->path);
    assert_int_equal(mkdirat(folder->fd, "folder", 0777), 0);
    CHECK_OK(segue_output_open(&file, path));
    CHECK_ERROR(segue_output_commit(&file), SEGUE_IO_ERROR, "folder");
    assert_int_equal(count_files(folder), 2);
}

static segue_status parse(const char *header, uint64_t data_size, struct segue_pool *pool,
                          struct segue_tensor_list *list)
{
    return segue_safetensors_parse("t", header, strlen(header), data_size, pool, list);
}

static void reads_safetensors_headers(void **state)
{
    (void)state;
    struct segue_pool pool = {0};
    struct segue_tensor_list list = {0};
    CHECK_OK(parse("{\"__metadata__\": {\"a\": \"b\"},"
                   " \"z\": {\"dtype\": \"BF16\", \"shape\": [2, 3], \"data_offsets\": [4, 16]},"
                   " \"e\": {\"dtype\": \"F64\", \"shape\": [0, 9], \"data_offsets\": [4, 4]},"
                   " \"a\": {\"dtype\": \"F32\", \"shape\": [], \"data_offsets\": [0, 4]},"
                   " \"b\": {\"dtype\": \"BOOL\", \"shape\": [1], \"data_offsets\": [16, 17]}}   ",
                   17, &pool, &list));
    assert_int_equal(list.tensor_count, 4);
    assert_string_equal(list.tensors[0].name, "a");
    assert_string_equal(list.tensors[1].name, "e");
    assert_string_equal(list.tensors[2].name, "z");
    assert_int_equal(list.tensors[2].dtype, SEGUE_DTYPE_BF16);
    assert_int_equal(list.tensors[2].size_bytes, 12);
    assert_int_equal(list.tensors[2].offset_bytes - list.tensors[0].offset_bytes, 4);
    assert_int_equal(list.tensors[3].dtype, -1);
    CHECK_OK(parse("{}", 0, &pool, &list));
    assert_int_equal(list.tensor_count, 0);
    segue_pool_free(&pool);
}

static void refuses_bad_safetensors_headers(void **state)
{
    (void)state;
#define TENSOR(dtype, shape, offsets) \
    "{\"a\": {\"dtype\": " dtype ", \"shape\": " shape ", \"data_offsets\": " offsets "}}"
    static const struct {
        const char *header;
        const char *text;
    } cases[] = {
        {"", "must begin with '{'"},
        {" {}", "must begin with '{'"},
        {"{", "line 1"},
        {"{} x", "end of file expected"},
        {"{}", "end at byte 0 of 8"},
        {"[]", "must begin with '{'"},
        {TENSOR("\"F32\"", "[1]", "[0, 4]"), "end at byte 4 of 8"},
        {TENSOR("\"F32\"", "[2]", "[0, 9]"), "t: /a/data_offsets/1: 9 is not in 0 to 8"},
        {TENSOR("\"F32\"", "[2]", "[8, 0]"), "/data_offsets/1: 0 is not in 8 to 8"},
        {TENSOR("\"F32\"", "[1]", "[4, 8]"), "begins at byte 4"},
        {TENSOR("\"F32\"", "[3]", "[0, 8]"), "make 12 bytes, data_offsets 8"},
        {TENSOR("\"F33\"", "[2]", "[0, 8]"), "unknown value \"F33\""},
        {TENSOR("3", "[2]", "[0, 8]"), "must be a string"},
        {TENSOR("\"F32\"", "2", "[0, 8]"), "/shape: must be an array"},
        {TENSOR("\"F32\"", "[-2]", "[0, 8]"), "is negative"},
        {TENSOR("\"F32\"", "[2.0]", "[0, 8]"), "must be an integer"},
        {TENSOR("\"U8\"", "[4294967296, 4294967296]", "[0, 8]"), "overflows"},
        {TENSOR("\"F32\"", "[2]", "[0]"), "two offsets"},
        {TENSOR("\"F32\"", "[2]", "[0, 4, 8]"), "at most 2"},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [8]}}", "\"data_offsets\" is missing"},
        {"{\"a\": 5}", "must be an object"},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": [0, 8], \"x\": 0}}",
         "unknown key \"x\""},
        {"{\"\": {\"dtype\": \"U8\", \"shape\": [8], \"data_offsets\": [0, 8]}}", "name"},
        {"{\"__metadata__\": {\"a\": 5}}", "must be an object of strings"},
        {"{\"__metadata__\": 5}", "must be an object of strings"},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [0, 4]},"
         " \"a\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [4, 8]}}",
         "duplicate"},
        {"{\"a\": {\"dtype\": \"U8\", \"shape\": [5], \"data_offsets\": [0, 5]},"
         " \"b\": {\"dtype\": \"U8\", \"shape\": [4], \"data_offsets\": [4, 8]}}",
         "\"b\" begins at byte 4"},
    };
#undef TENSOR
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct segue_pool pool = {0};
        struct segue_tensor_list list = {0};
        CHECK_ERROR(parse(cases[i].header, 8, &pool, &list), SEGUE_INVALID_DATA, cases[i].text);
        assert_null(list.tensors);
        segue_pool_free(&pool);
    }
    uint64_t header_bytes = 0;
    unsigned char prefix[8] = {16};
    CHECK_OK(segue_safetensors_check_size("t", prefix, 24, &header_bytes));
    assert_int_equal(header_bytes, 16);
    CHECK_ERROR(segue_safetensors_check_size("t", prefix, 23, &header_bytes), SEGUE_INVALID_DATA,
                "header of 16 bytes in a file of 23");
    CHECK_ERROR(segue_safetensors_check_size("t", prefix, 7, &header_bytes), SEGUE_INVALID_DATA,
                "too few");
    memset(prefix, 0xff, 8);
    CHECK_ERROR(segue_safetensors_check_size("t", prefix, UINT64_MAX, &header_bytes),
                SEGUE_INVALID_DATA, "at most");
}

static void writes_what_it_reads(void **state)
{
    const struct folder *folder = *state;
    struct segue_safetensors_writer writer = {0};
    struct segue_output_file file = {0};
    char path[128];
    snprintf(path, sizeof(path), "%s/t.safetensors", folder->path);
    CHECK_OK(segue_safetensors_begin(&writer, path));
    CHECK_OK(segue_safetensors_add(&writer, "first \"x\"", SEGUE_DTYPE_U16, 6));
    CHECK_OK(segue_safetensors_append(&writer, "ab", 2));
    CHECK_OK(segue_safetensors_append(&writer, "cdef", 4));
    CHECK_OK(segue_safetensors_add(&writer, "empty", SEGUE_DTYPE_F64, 0));
    CHECK_OK(segue_safetensors_add(&writer, "last", SEGUE_DTYPE_I8, 3));
    CHECK_OK(segue_safetensors_append(&writer, "ghi", 3));
    CHECK_ERROR(segue_safetensors_add(&writer, "__metadata__", SEGUE_DTYPE_I8, 3),
                SEGUE_INVALID_ARGUMENT, "__metadata__");
    CHECK_OK(segue_output_open(&file, path));
    CHECK_OK(segue_safetensors_finish(&writer, &file));
    CHECK_OK(segue_output_commit(&file));
    assert_int_equal(count_files(folder), 1);

    uint64_t size = 0;
    struct segue_pool pool = {0};
    struct segue_tensor_list list = {0};
    int fd = segue_open_beneath(folder->fd, "t.safetensors", &size);
    assert_true(fd >= 0);
    CHECK_OK(segue_safetensors_read("t", fd, size, &pool, &list));
    assert_int_equal(list.tensor_count, 3);
    assert_string_equal(list.tensors[0].name, "first \"x\"");
    assert_int_equal(list.tensors[0].offset_bytes % 8, 0);
    assert_string_equal(list.tensors[2].name, "last");
    char data[4] = "";
    assert_int_equal(segue_read_exactly(fd, list.tensors[2].offset_bytes, data, 3), 0);
    assert_string_equal(data, "ghi");
    CHECK_ERROR(segue_safetensors_read("t", fd, size + 1, &pool, &list), SEGUE_INVALID_DATA,
                "bytes of data");
    segue_pool_free(&pool);
    close(fd);
    write_file(folder, "cut", "\x50\0\0\0\0\0\0\0{", 9);
    fd = segue_open_beneath(folder->fd, "cut", &size);
    CHECK_ERROR(segue_safetensors_read("t", fd, 100, &pool, &list), SEGUE_IO_ERROR, "shorter");
    CHECK_ERROR(segue_safetensors_read("t", fd, size, &pool, &list), SEGUE_INVALID_DATA, "80");
    close(fd);
    CHECK_OK(segue_safetensors_begin(&writer, path));
    segue_safetensors_abandon(&writer);
    segue_safetensors_abandon(&writer);
    assert_int_equal(count_files(folder), 2);
}

static void names_are_found_and_unique(void **state)
{
    (void)state;
    struct segue_name items[] = {{"c", 0}, {"a", 1}, {"b", 2}, {"", 3}};
    struct segue_names names = {items, 4};
    uint32_t index = 9;
    assert_true(segue_names_sort(&names, &index));
    for (uint32_t i = 0; i < 4; i++) {
        static const char *const texts[] = {"c", "a", "b", ""};
        assert_true(segue_names_find(&names, texts[i], &index));
        assert_int_equal(index, i);
    }
    assert_false(segue_names_find(&names, "d", &index));
    assert_false(segue_names_find(&names, "aa", &index));
    struct segue_name doubled[] = {{"x", 0}, {"a", 1}, {"x", 2}};
    names = (struct segue_names){doubled, 3};
    assert_false(segue_names_sort(&names, &index));
    assert_int_equal(index, 2);
    names = (struct segue_names){NULL, 0};
    assert_true(segue_names_sort(&names, &index));
    assert_false(segue_names_find(&names, "a", &index));
}

static void handles_are_numbered_in_order(void **state)
{
    (void)state;
    struct segue_handles handles = {0};
    static char targets[1000];
    uint32_t number = 0;
    bool is_new = false;
    assert_false(segue_handles_find(&handles, targets, &number));
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 1000; i++) {
            assert_true(segue_handles_add(&handles, &targets[i], &number, &is_new));
            assert_int_equal(number, i);
            assert_int_equal(is_new, round == 0);
        }
    }
    assert_int_equal(handles.count, 1000);
    assert_true(segue_handles_find(&handles, &targets[999], &number));
    assert_int_equal(number, 999);
    segue_handles_free(&handles);
    assert_false(segue_handles_find(&handles, targets, &number));
}

static void pools_give_zeroed_aligned_memory(void **state)
{
    (void)state;
    struct segue_pool pool = {0};
    uint64_t random = 3;
    for (int i = 0; i < 2000; i++) {
        size_t size = segue_test_random_below(&random, i % 100 == 0 ? 100000 : 200);
        unsigned char *memory = segue_pool_allocate(&pool, size, 1);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < size; k++)
            assert_int_equal(memory[k], 0);
        memset(memory, 0xff, size);
    }
    assert_null(segue_pool_allocate(&pool, SIZE_MAX / 2, 4));
    assert_null(segue_pool_allocate(&pool, SIZE_MAX, 1));
    assert_string_equal(segue_pool_copy_string(&pool, "text"), "text");
    segue_pool_free(&pool);
    segue_pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_paths),
        cmocka_unit_test_setup_teardown(opens_only_beneath, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_under_temporary_names, setup, teardown),
        cmocka_unit_test(reads_safetensors_headers),
        cmocka_unit_test(refuses_bad_safetensors_headers),
        cmocka_unit_test_setup_teardown(writes_what_it_reads, setup, teardown),
        cmocka_unit_test(names_are_found_and_unique),
        cmocka_unit_test(handles_are_numbered_in_order),
        cmocka_unit_test(pools_give_zeroed_aligned_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
