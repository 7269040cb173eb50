// SPDX-License-Identifier: Apache-2.0
// Headers of safetensors files. Input: 8 bytes, the size of the data behind the header; the rest is
// the header. The same input is then read as a whole file, too, and, where the data is small, as a
// file with that header and that much data.
#include "fuzz.h"
#include "json_mutate.h"

#include "trace/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Most data of a file that is made of a header. */
enum { MAX_DATA_BYTES = 4096 };

/** What the format promises of every list that the reader accepts. */
static void check_list(const struct segue_tensor_list *list, uint64_t begin, uint64_t end)
{
    uint64_t position = begin;
    for (uint32_t i = 0; i < list->tensor_count; ++i) {
        const struct segue_tensor *tensor = &list->tensors[i];
        FUZZ_CHECK(tensor->name != NULL && tensor->dtype_name != NULL, "tensor %u has no name", i);
        FUZZ_CHECK(tensor->offset_bytes == position, "tensor %u does not follow the one before", i);
        FUZZ_CHECK(tensor->size_bytes <= end - position, "tensor %u leaves the file", i);
        position += tensor->size_bytes;
        for (uint32_t j = 0; j < i && j < 64; ++j)
            FUZZ_CHECK(strcmp(tensor->name, list->tensors[j].name) != 0, "two are %s",
                       tensor->name);
    }
    FUZZ_CHECK(position == end, "bytes belong to no tensor");
}

static void check_failure(segue_status status)
{
    FUZZ_CHECK(status == SEGUE_INVALID_DATA, "the status is %s", segue_status_name(status));
    FUZZ_CHECK(segue_last_error()->status == status && segue_last_error()->message[0] != '\0',
               "the last error does not say why");
}

static void parse_header(const uint8_t *data, size_t size)
{
    uint64_t data_bytes = 0;
    memcpy(&data_bytes, data, sizeof(data_bytes));
    // No file is larger than this.
    data_bytes &= INT64_MAX >> 1;
    struct segue_pool pool = {0};
    struct segue_tensor_list list = {0};
    segue_status status =
        segue_safetensors_parse("fuzz", (const char *)data + 8, size - 8, data_bytes, &pool, &list);
    if (status == SEGUE_OK)
        check_list(&list, size, size + data_bytes);
    else
        check_failure(status);
    segue_pool_free(&pool);
}

static void read_file(const uint8_t *data, size_t size)
{
    struct segue_pool pool = {0};
    struct segue_tensor_list list = {0};
    int file = fuzz_open_bytes(data, size);
    segue_status status = segue_safetensors_read("fuzz", file, size, &pool, &list);
    if (status == SEGUE_OK) {
        uint64_t header_bytes = 0;
        memcpy(&header_bytes, data, sizeof(header_bytes));
        check_list(&list, 8 + header_bytes, size);
    } else {
        check_failure(status);
    }
    close(file);
    segue_pool_free(&pool);
}

/** The file of a header that the input holds, and of as much data as it says. */
static void read_made_file(const uint8_t *data, size_t size)
{
    uint64_t data_bytes = 0;
    uint64_t header_bytes = size - 8;
    memcpy(&data_bytes, data, sizeof(data_bytes));
    if (data_bytes > MAX_DATA_BYTES)
        return;
    uint8_t *file = calloc(1, size + data_bytes);
    FUZZ_CHECK(file != NULL, "no memory");
    memcpy(file, &header_bytes, sizeof(header_bytes));
    memcpy(file + 8, data + 8, header_bytes);
    read_file(file, size + data_bytes);
    free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size >= 8) {
        parse_header(data, size);
        read_made_file(data, size);
    }
    read_file(data, size);
    return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (size < 8 || seed % 16 == 0)
        return fuzz_mutate_json(data, size, max_size, 0);
    return 8 + fuzz_mutate_json(data + 8, size - 8, max_size - 8, seed);
}
