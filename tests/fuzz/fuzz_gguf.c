// SPDX-License-Identifier: Apache-2.0
// Headers of GGUF files. Input: a whole file; the size of the data behind its header is what the
// file has, so mutations of offsets and extents matter.
#include "fuzz.h"

#include "trace/gguf.h"

#include <segue/tensor_file.h>

#include <string.h>
#include <unistd.h>

/** What the reader promises of every list that it accepts. */
static void check_list(const struct segue_tensor_list *list, uint64_t file_bytes)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < list->tensor_count; ++i) {
        const struct segue_tensor *tensor = &list->tensors[i];
        FUZZ_CHECK(tensor->name != NULL && tensor->name[0] != '\0', "tensor %u has no name", i);
        FUZZ_CHECK(tensor->offset_bytes <= file_bytes &&
                       tensor->size_bytes <= file_bytes - tensor->offset_bytes,
                   "tensor %u leaves the file", i);
        FUZZ_CHECK(tensor->offset_bytes >= end, "tensor %u overlaps the one before", i);
        end = tensor->offset_bytes + tensor->size_bytes;
        if (tensor->dtype_name == NULL)
            continue;
        uint32_t block_elements = 0;
        uint32_t block_bytes = 0;
        FUZZ_CHECK(segue_tensor_dtype_block(tensor->dtype_name, &block_elements, &block_bytes),
                   "tensor %u has a dtype that is not known", i);
        uint64_t elements = 1;
        for (uint32_t k = 0; k < tensor->dimension_count; ++k)
            elements *= tensor->shape[k];
        FUZZ_CHECK(elements / block_elements * block_bytes == tensor->size_bytes,
                   "the size of tensor %u is not that of its shape", i);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct segue_pool pool = {0};
    struct segue_tensor_list list = {0};
    const int file = fuzz_open_bytes(data, size);
    const segue_status status = segue_gguf_read("fuzz", file, size, &pool, &list);
    if (status == SEGUE_OK) {
        check_list(&list, size);
    } else {
        FUZZ_CHECK(status == SEGUE_INVALID_DATA || status == SEGUE_UNIMPLEMENTED,
                   "the status is %s", segue_status_name(status));
        FUZZ_CHECK(segue_last_error()->status == status && segue_last_error()->message[0] != '\0',
                   "the last error does not say why");
    }
    close(file);
    segue_pool_free(&pool);
    return 0;
}
