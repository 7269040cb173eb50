// SPDX-License-Identifier: Apache-2.0
// Files of the compile cache. Input: a byte that says which parts of the header are to be made
// right (bits: magic, size, key, checksum), then the file.
#include "fuzz.h"

#include "compile_cache.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    SIZE_AT = 8,
    KEY_AT = 16,
    CHECKSUM_AT = KEY_AT + SEGUE_SHA256_BYTES,
    HEADER_BYTES = CHECKSUM_AT + SEGUE_SHA256_BYTES,
    LARGEST_FILE_BYTES = 1 << 16,
};

static const struct segue_compile_cache_key key = {{1, 2, 3}};

static void take_checksum(const uint8_t *image, size_t size, uint8_t *out_checksum)
{
    struct segue_sha256 hash;
    segue_sha256_init(&hash);
    segue_sha256_update(&hash, image, size);
    segue_sha256_finish(&hash, out_checksum);
}

/** Makes parts of the header right. */
static void mend(uint8_t *file, size_t size, uint8_t parts)
{
    uint64_t image_size = size - HEADER_BYTES;
    if (parts & 1)
        memcpy(file, "SEGUECC1", 8);
    if (parts & 2)
        memcpy(file + SIZE_AT, &image_size, sizeof(image_size));
    if (parts & 4)
        memcpy(file + KEY_AT, key.digest, sizeof(key.digest));
    if (parts & 8)
        take_checksum(file + HEADER_BYTES, image_size, file + CHECKSUM_AT);
}

/** Whether a cache may use the file. */
static bool is_valid(const uint8_t *file, size_t size)
{
    uint8_t checksum[SEGUE_SHA256_BYTES];
    uint64_t image_size = 0;
    if (size <= HEADER_BYTES || memcmp(file, "SEGUECC1", 8) != 0)
        return false;
    memcpy(&image_size, file + SIZE_AT, sizeof(image_size));
    take_checksum(file + HEADER_BYTES, size - HEADER_BYTES, checksum);
    return image_size == size - HEADER_BYTES &&
           memcmp(file + KEY_AT, key.digest, sizeof(key.digest)) == 0 &&
           memcmp(file + CHECKSUM_AT, checksum, sizeof(checksum)) == 0;
}

static void write_file(const char *path, const uint8_t *data, size_t size)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FUZZ_CHECK(file >= 0 && write(file, data, size) == (ssize_t)size, "%s: not written", path);
    close(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t file[LARGEST_FILE_BYTES];
    if (size == 0 || size > sizeof(file))
        return 0;
    size_t file_size = size - 1;
    memcpy(file, data + 1, file_size);
    if (file_size >= HEADER_BYTES)
        mend(file, file_size, data[0]);
    char path[256];
    int length = snprintf(path, sizeof(path), "%s/", fuzz_folder());
    for (size_t i = 0; i < sizeof(key.digest); ++i)
        length += snprintf(path + length, sizeof(path) - (size_t)length, "%02x", key.digest[i]);
    (void)snprintf(path + length, sizeof(path) - (size_t)length, ".bin");
    write_file(path, file, file_size);

    const struct segue_compile_cache cache = {
        .allocator = &segue_default_allocator,
        .folder = fuzz_folder(),
    };
    size_t image_size = 0;
    void *image = segue_compile_cache_load(&cache, &key, &image_size);
    FUZZ_CHECK((image != NULL) == is_valid(file, file_size), "%s",
               image != NULL ? "a broken file was used" : "a good file was not used");
    if (image != NULL) {
        FUZZ_CHECK(image_size == file_size - HEADER_BYTES &&
                       memcmp(image, file + HEADER_BYTES, image_size) == 0,
                   "the image is not the file's");
        segue_release(cache.allocator, image, image_size);
    }
    return 0;
}
