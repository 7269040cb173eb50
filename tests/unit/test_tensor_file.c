// SPDX-License-Identifier: Apache-2.0
// Tensors found by name in GGUF and safetensors files: what is there, and everything that is not
// as it should be, refused with a sentence that names file, tensor and value.
#include "gguf.h"
#include "test.h"

#include <segue/tensor_file.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q8_0 = 8, Q6_K = 14, IQ1_S = 19, I8 = 24, BF16 = 30 };

/** The file under test, in memory, and how it is opened. */
static int memory = -1;
static char path[64];

static int make_path(void **state)
{
    (void)state;
    memory = memfd_create("tensors", MFD_CLOEXEC);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
    return memory >= 0 ? 0 : -1;
}

static int close_memory(void **state)
{
    (void)state;
    return close(memory);
}

static void write_bytes(const void *data, size_t size_bytes)
{
    assert_int_equal(ftruncate(memory, (off_t)size_bytes), 0);
    assert_int_equal(pwrite(memory, data, size_bytes, 0), size_bytes);
}

static segue_status open_gguf(const struct segue_test_gguf *gguf, segue_tensor_file **out_file)
{
    write_bytes(gguf->bytes, gguf->size_bytes);
    return segue_tensor_file_open(path, out_file);
}

/** Metadata of every type, arrays in arrays among them, and the alignment 64. */
static void add_metadata(struct segue_test_gguf *gguf)
{
    static const uint32_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    for (uint32_t type = 0; type < 13; type++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "key.%u", type);
        segue_test_gguf_string(gguf, key);
        segue_test_gguf_u32(gguf, type);
        if (type == 8) {
            segue_test_gguf_string(gguf, "text");
        } else if (type == 9) {
            // Two arrays: two strings, and three numbers.
            segue_test_gguf_u32(gguf, 9);
            segue_test_gguf_u64(gguf, 2);
            segue_test_gguf_u32(gguf, 8);
            segue_test_gguf_u64(gguf, 2);
            segue_test_gguf_string(gguf, "a");
            segue_test_gguf_string(gguf, "");
            segue_test_gguf_u32(gguf, 4);
            segue_test_gguf_u64(gguf, 3);
            for (uint32_t i = 0; i < 3; i++)
                segue_test_gguf_u32(gguf, i);
        }
        gguf->size_bytes += sizes[type];
    }
    segue_test_gguf_string(gguf, "general.alignment");
    segue_test_gguf_u32(gguf, 4);
    segue_test_gguf_u32(gguf, 64);
}

/** A tensor of each type that matters, out of order, and one of a type that is not known. */
static size_t make_good(struct segue_test_gguf *gguf, uint32_t version)
{
    *gguf = (struct segue_test_gguf){0};
    segue_test_gguf_begin(gguf, version, 9, 14);
    add_metadata(gguf);
    segue_test_gguf_tensor(gguf, "f16", 3, 5, F16, 128);
    segue_test_gguf_tensor(gguf, "f32", 2, 7, F32, 0);
    segue_test_gguf_tensor(gguf, "bf16", 1, 1, BF16, 192);
    segue_test_gguf_tensor(gguf, "q4_0", 2, 64, Q4_0, 256);
    segue_test_gguf_tensor(gguf, "q4_1", 1, 32, Q4_1, 384);
    segue_test_gguf_tensor(gguf, "q8_0", 1, 32, Q8_0, 448);
    segue_test_gguf_tensor(gguf, "q6_k", 1, 256, Q6_K, 512);
    segue_test_gguf_tensor(gguf, "strange", 1, 256, IQ1_S, 768);
    segue_test_gguf_tensor(gguf, "scalar", 0, 0, I8, 832);
    const size_t header_bytes = gguf->size_bytes;
    segue_test_gguf_align(gguf, 64);
    for (uint32_t i = 0; i < 833; i++)
        gguf->bytes[gguf->size_bytes++] = (unsigned char)i;
    return header_bytes;
}

static void finds_tensors_of_gguf(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *dtype;
        uint64_t offset_bytes;
        uint64_t size_bytes;
        uint64_t rows;
        uint64_t columns;
    } expected[] = {
        {"f32", "F32", 0, 56, 2, 7},        {"f16", "F16", 128, 30, 3, 5},
        {"bf16", "BF16", 192, 2, 1, 1},     {"q4_0", "Q4_0", 256, 72, 2, 64},
        {"q4_1", "Q4_1", 384, 20, 1, 32},   {"q8_0", "Q8_0", 448, 34, 1, 32},
        {"q6_k", "Q6_K", 512, 210, 1, 256},
    };
    for (uint32_t version = 2; version < 4; version++) {
        struct segue_test_gguf gguf;
        const size_t header_bytes = make_good(&gguf, version);
        const uint64_t data_begin = (header_bytes + 63) / 64 * 64;
        segue_tensor_file *file = NULL;
        struct segue_tensor_info info;
        CHECK_OK(open_gguf(&gguf, &file));
        assert_int_equal(segue_tensor_file_get_count(file), 9);
        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
            CHECK_OK(segue_tensor_file_find(file, expected[i].name, &info));
            assert_string_equal(info.dtype, expected[i].dtype);
            assert_int_equal(info.offset_bytes, data_begin + expected[i].offset_bytes);
            assert_int_equal(info.size_bytes, expected[i].size_bytes);
            assert_int_equal(info.dimension_count, 2);
            assert_int_equal(info.shape[0], expected[i].rows);
            assert_int_equal(info.shape[1], expected[i].columns);
            unsigned char first = 0;
            assert_int_equal(
                pread(segue_tensor_file_get_fd(file), &first, 1, (off_t)info.offset_bytes), 1);
            assert_int_equal(first, expected[i].offset_bytes % 256);
            // By index they come in the order of their places.
            CHECK_OK(segue_tensor_file_get(file, (uint32_t)i, &info));
            assert_string_equal(info.name, expected[i].name);
        }
        CHECK_OK(segue_tensor_file_find(file, "scalar", &info));
        assert_int_equal(info.dimension_count, 0);
        assert_int_equal(info.size_bytes, 1);
        CHECK_ERROR(segue_tensor_file_find(file, "strange", &info), SEGUE_UNIMPLEMENTED,
                    "tensor \"strange\" is of type 19");
        CHECK_ERROR(segue_tensor_file_find(file, "f3", &info), SEGUE_NOT_FOUND, "\"f3\"");
        CHECK_ERROR(segue_tensor_file_get(file, 9, &info), SEGUE_OUT_OF_RANGE, "no tensor 9 of 9");
        segue_tensor_file_close(file);
    }
}

/** Cut anywhere, a header is refused, and so is data that ends too early. */
static void refuses_truncated_gguf(void **state)
{
    (void)state;
    struct segue_test_gguf gguf;
    (void)make_good(&gguf, 3);
    const size_t whole_bytes = gguf.size_bytes;
    for (size_t size = 0; size < whole_bytes; size++) {
        segue_tensor_file *file = NULL;
        gguf.size_bytes = size;
        CHECK_STATUS(open_gguf(&gguf, &file), SEGUE_INVALID_DATA);
        assert_null(file);
        assert_non_null(strstr(segue_last_error()->message, path));
    }
}

/** Changed anywhere in its header, a file is refused or what is in it is in the file. */
static void survives_every_flip(void **state)
{
    (void)state;
    struct segue_test_gguf good;
    const size_t header_bytes = make_good(&good, 3);
    uint32_t accepted = 0;
    for (size_t at = 0; at < header_bytes; at++) {
        for (int flip = 0; flip < 2; flip++) {
            struct segue_test_gguf gguf = good;
            gguf.bytes[at] ^= flip == 0 ? 0x01 : 0x80;
            segue_tensor_file *file = NULL;
            if (open_gguf(&gguf, &file) != SEGUE_OK)
                continue;
            accepted++;
            for (uint32_t i = 0; i < segue_tensor_file_get_count(file); i++) {
                struct segue_tensor_info info;
                if (segue_tensor_file_get(file, i, &info) != SEGUE_OK)
                    continue;
                assert_true(info.offset_bytes <= gguf.size_bytes &&
                            info.size_bytes <= gguf.size_bytes - info.offset_bytes);
            }
            segue_tensor_file_close(file);
        }
    }
    // Other names and other metadata are as good.
    assert_true(accepted > 50);
}

/** A file of one tensor with one thing wrong. */
static void one_tensor(struct segue_test_gguf *gguf, const char *name, uint64_t rows,
                       uint64_t columns, uint32_t type, uint64_t offset_bytes)
{
    *gguf = (struct segue_test_gguf){0};
    segue_test_gguf_begin(gguf, 3, 1, 0);
    segue_test_gguf_tensor(gguf, name, rows, columns, type, offset_bytes);
    segue_test_gguf_align(gguf, 32);
    gguf->size_bytes += 256;
}

static void refuses_bad_gguf(void **state)
{
    (void)state;
    struct segue_test_gguf gguf;
    segue_tensor_file *file = NULL;
#define REFUSED(status, text) CHECK_ERROR(open_gguf(&gguf, &file), status, text)
#define HEADER(version, tensors, values) \
    gguf = (struct segue_test_gguf){0};  \
    segue_test_gguf_begin(&gguf, version, tensors, values)
    HEADER(1, 0, 0);
    REFUSED(SEGUE_UNIMPLEMENTED, "version 1;");
    HEADER(0x03000000, 0, 0);
    REFUSED(SEGUE_UNIMPLEMENTED, "in big-endian");
    HEADER(3, UINT64_MAX, 0);
    REFUSED(SEGUE_INVALID_DATA, "18446744073709551615 tensors in 0 bytes");
    HEADER(3, 0, 1);
    REFUSED(SEGUE_INVALID_DATA, "1 pieces of metadata in 0 bytes");
    HEADER(3, 0, 1);
    segue_test_gguf_string(&gguf, "key");
    segue_test_gguf_u32(&gguf, 13);
    REFUSED(SEGUE_INVALID_DATA, "type 13; there are types 0 to 12");
    HEADER(3, 0, 1);
    segue_test_gguf_u64(&gguf, UINT64_MAX - 3);
    segue_test_gguf_u64(&gguf, 0);
    REFUSED(SEGUE_INVALID_DATA, "a metadata key of 18446744073709551612 bytes at byte 32");
    HEADER(3, 0, 1);
    segue_test_gguf_u64(&gguf, 0);
    segue_test_gguf_u64(&gguf, 0);
    REFUSED(SEGUE_INVALID_DATA, "a metadata key at byte 24 has 0 bytes");
    HEADER(3, 0, 1);
    segue_test_gguf_string(&gguf, "key");
    segue_test_gguf_u32(&gguf, 8);
    segue_test_gguf_u64(&gguf, UINT64_MAX);
    REFUSED(SEGUE_INVALID_DATA, "a string of 18446744073709551615 bytes");
    HEADER(3, 0, 1);
    segue_test_gguf_string(&gguf, "key");
    segue_test_gguf_u32(&gguf, 9);
    segue_test_gguf_u32(&gguf, 10);
    segue_test_gguf_u64(&gguf, UINT64_MAX / 8 + 1);
    REFUSED(SEGUE_INVALID_DATA, "an array of 2305843009213693952 elements");
    HEADER(3, 0, 1);
    segue_test_gguf_string(&gguf, "key");
    segue_test_gguf_u32(&gguf, 9);
    for (int i = 0; i < 5; i++) {
        segue_test_gguf_u32(&gguf, 9);
        segue_test_gguf_u64(&gguf, 1);
    }
    segue_test_gguf_u64(&gguf, 0);
    REFUSED(SEGUE_INVALID_DATA, "nested more than 4 deep");
    static const uint32_t alignments[] = {0, 48};
    for (int i = 0; i < 2; i++) {
        HEADER(3, 0, 1);
        segue_test_gguf_string(&gguf, "general.alignment");
        segue_test_gguf_u32(&gguf, 4);
        segue_test_gguf_u32(&gguf, alignments[i]);
        REFUSED(SEGUE_INVALID_DATA, "it must be a power of two");
    }
    HEADER(3, 0, 1);
    segue_test_gguf_string(&gguf, "general.alignment");
    segue_test_gguf_u32(&gguf, 10);
    segue_test_gguf_u64(&gguf, 32);
    REFUSED(SEGUE_INVALID_DATA, "general.alignment before byte 53 is of type 10");
    one_tensor(&gguf, "", 1, 8, F32, 0);
    REFUSED(SEGUE_INVALID_DATA, "a tensor's name at byte 24 has 0 bytes");
    one_tensor(&gguf, "a\nb", 1, 8, F32, 0);
    REFUSED(SEGUE_INVALID_DATA, "control characters");
    one_tensor(&gguf, "w", 1, 8, F32, 16);
    REFUSED(SEGUE_INVALID_DATA, "\"w\" begins at byte 16 of the data, no multiple of 32");
    one_tensor(&gguf, "w", 1, 65, F32, 0);
    REFUSED(SEGUE_INVALID_DATA, "\"w\" of 260 bytes at byte 0 leaves the 256 bytes");
    one_tensor(&gguf, "w", 1, 8, F32, UINT64_MAX - 31);
    REFUSED(SEGUE_INVALID_DATA, "at byte 18446744073709551584 leaves");
    one_tensor(&gguf, "w", 2, 48, Q4_0, 0);
    REFUSED(SEGUE_INVALID_DATA, "\"w\" has rows of 48 elements, and Q4_0 comes in blocks of 32");
    one_tensor(&gguf, "w", UINT64_C(1) << 33, UINT64_C(1) << 31, F32, 0);
    REFUSED(SEGUE_INVALID_DATA, "the size of tensor \"w\" overflows");
    one_tensor(&gguf, "w", 1, 8, F32, 0);
    gguf.bytes[24 + 8 + 1] = 5;
    REFUSED(SEGUE_INVALID_DATA, "\"w\" has 5 dimensions");
    HEADER(3, 2, 0);
    segue_test_gguf_tensor(&gguf, "a", 1, 16, F32, 0);
    segue_test_gguf_tensor(&gguf, "b", 1, 8, F32, 32);
    segue_test_gguf_align(&gguf, 32);
    gguf.size_bytes += 256;
    REFUSED(SEGUE_INVALID_DATA,
            "\"b\" begins at byte 32 of the data, and the one before ends at 64");
    HEADER(3, 2, 0);
    segue_test_gguf_tensor(&gguf, "a", 1, 8, F32, 0);
    segue_test_gguf_tensor(&gguf, "a", 1, 8, F32, 32);
    segue_test_gguf_align(&gguf, 32);
    gguf.size_bytes += 256;
    REFUSED(SEGUE_INVALID_DATA, "two tensors are named \"a\"");
}

/** A file of holes: its metadata would be all of it. */
static void refuses_long_headers(void **state)
{
    (void)state;
    struct segue_test_gguf gguf = {0};
    segue_tensor_file *file = NULL;
    segue_test_gguf_begin(&gguf, 3, 0, 1);
    segue_test_gguf_string(&gguf, "key");
    segue_test_gguf_u32(&gguf, 8);
    segue_test_gguf_u64(&gguf, 260u << 20);
    write_bytes(gguf.bytes, gguf.size_bytes);
    assert_int_equal(ftruncate(memory, 300 << 20), 0);
    CHECK_ERROR(segue_tensor_file_open(path, &file), SEGUE_INVALID_DATA,
                "more than 268435456 bytes, the most that are supported: a string of 272629760");
}

static void finds_tensors_of_safetensors(void **state)
{
    (void)state;
    static const char header[] =
        "{\"w\":{\"dtype\":\"BF16\",\"shape\":[2,3],\"data_offsets\":[4,16]},"
        "\"deep\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,4],\"data_offsets\":[0,4]}}";
    unsigned char bytes[8 + sizeof(header) - 1 + 16] = {sizeof(header) - 1};
    memcpy(bytes + 8, header, sizeof(header) - 1);
    write_bytes(bytes, sizeof(bytes));
    segue_tensor_file *file = NULL;
    struct segue_tensor_info info;
    CHECK_OK(segue_tensor_file_open(path, &file));
    CHECK_OK(segue_tensor_file_find(file, "w", &info));
    assert_string_equal(info.dtype, "BF16");
    assert_int_equal(info.offset_bytes, 8 + sizeof(header) - 1 + 4);
    assert_int_equal(info.size_bytes, 12);
    assert_int_equal(info.dimension_count, 2);
    assert_int_equal(info.shape[0], 2);
    assert_int_equal(info.shape[1], 3);
    CHECK_ERROR(segue_tensor_file_find(file, "deep", &info), SEGUE_UNIMPLEMENTED, "9 dimensions");
    segue_tensor_file_close(file);
    write_bytes(bytes, sizeof(bytes) - 1);
    CHECK_ERROR(segue_tensor_file_open(path, &file), SEGUE_INVALID_DATA, path);
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    segue_tensor_file *file = NULL;
    CHECK_ERROR(segue_tensor_file_open("/nonexistent/w.gguf", &file), SEGUE_IO_ERROR,
                "/nonexistent/w.gguf: could not be opened");
    CHECK_ERROR(segue_tensor_file_open("/tmp", &file), SEGUE_IO_ERROR, "not a regular file");
    // A pipe that nobody writes would wait for ever.
    char pipe_path[80];
    (void)snprintf(pipe_path, sizeof(pipe_path), "/tmp/segue-tensors-%ld", (long)getpid());
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    CHECK_ERROR(segue_tensor_file_open(pipe_path, &file), SEGUE_IO_ERROR, "not a regular file");
    assert_int_equal(unlink(pipe_path), 0);
    CHECK_STATUS(segue_tensor_file_open(NULL, &file), SEGUE_INVALID_ARGUMENT);
    struct segue_tensor_info info;
    CHECK_STATUS(segue_tensor_file_get(NULL, 0, &info), SEGUE_INVALID_ARGUMENT);
    CHECK_STATUS(segue_tensor_file_find(NULL, "w", &info), SEGUE_INVALID_ARGUMENT);
    segue_tensor_file_close(NULL);
}

static void knows_dtypes(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint32_t elements;
        uint32_t bytes;
    } expected[] = {
        {"F32", 1, 4},    {"BF16", 1, 2},   {"F8_E4M3", 1, 1}, {"U4", 2, 1},
        {"Q4_0", 32, 18}, {"Q4_1", 32, 20}, {"Q8_0", 32, 34},  {"Q4_K", 256, 144},
    };
    uint32_t elements = 0;
    uint32_t bytes = 0;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(segue_tensor_dtype_block(expected[i].name, &elements, &bytes));
        assert_int_equal(elements, expected[i].elements);
        assert_int_equal(bytes, expected[i].bytes);
    }
    assert_false(segue_tensor_dtype_block("F33", &elements, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_tensors_of_gguf),   cmocka_unit_test(refuses_truncated_gguf),
        cmocka_unit_test(survives_every_flip),     cmocka_unit_test(refuses_bad_gguf),
        cmocka_unit_test(refuses_long_headers),    cmocka_unit_test(finds_tensors_of_safetensors),
        cmocka_unit_test(refuses_what_is_no_file), cmocka_unit_test(knows_dtypes),
    };
    return cmocka_run_group_tests(tests, make_path, close_memory);
}
