// SPDX-License-Identifier: Apache-2.0
#include "gguf.h"

#include <string.h>

static void append(struct segue_test_gguf *gguf, const void *data, size_t size_bytes)
{
    if (size_bytes > sizeof(gguf->bytes) - gguf->size_bytes)
        return;
    memcpy(gguf->bytes + gguf->size_bytes, data, size_bytes);
    gguf->size_bytes += size_bytes;
}

void segue_test_gguf_u32(struct segue_test_gguf *gguf, uint32_t value)
{
    const unsigned char bytes[4] = {(unsigned char)value, (unsigned char)(value >> 8),
                                    (unsigned char)(value >> 16), (unsigned char)(value >> 24)};
    append(gguf, bytes, sizeof(bytes));
}

void segue_test_gguf_u64(struct segue_test_gguf *gguf, uint64_t value)
{
    segue_test_gguf_u32(gguf, (uint32_t)value);
    segue_test_gguf_u32(gguf, (uint32_t)(value >> 32));
}

void segue_test_gguf_string(struct segue_test_gguf *gguf, const char *text)
{
    segue_test_gguf_u64(gguf, strlen(text));
    append(gguf, text, strlen(text));
}

void segue_test_gguf_align(struct segue_test_gguf *gguf, size_t alignment)
{
    while (gguf->size_bytes % alignment != 0)
        append(gguf, "", 1);
}

void segue_test_gguf_begin(struct segue_test_gguf *gguf, uint32_t version, uint64_t tensor_count,
                           uint64_t value_count)
{
    append(gguf, "GGUF", 4);
    segue_test_gguf_u32(gguf, version);
    segue_test_gguf_u64(gguf, tensor_count);
    segue_test_gguf_u64(gguf, value_count);
}

void segue_test_gguf_tensor(struct segue_test_gguf *gguf, const char *name, uint64_t rows,
                            uint64_t columns, uint32_t type, uint64_t offset_bytes)
{
    segue_test_gguf_string(gguf, name);
    segue_test_gguf_u32(gguf, columns != 0 ? 2 : 0);
    if (columns != 0) {
        // Innermost first.
        segue_test_gguf_u64(gguf, columns);
        segue_test_gguf_u64(gguf, rows);
    }
    segue_test_gguf_u32(gguf, type);
    segue_test_gguf_u64(gguf, offset_bytes);
}
