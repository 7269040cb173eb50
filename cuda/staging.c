// SPDX-License-Identifier: Apache-2.0
#include "staging.h"

#include "cuda_backend.h"

#include <inttypes.h>

bool segue_staging_init(struct segue_staging *staging)
{
    return pthread_mutex_init(&staging->lock, NULL) == 0;
}

static void free_block(struct segue_cuda *cuda, struct segue_staging_block *block, bool has_context)
{
    if (has_context)
        segue_cuda_cleanup(cuda, cuMemFree(block->address),
                           "freeing a staging block of %" PRIu64 " bytes", block->size_bytes);
    segue_pointers_finish(cuda, &block->pointers, has_context);
    segue_release(segue_cuda_allocator(cuda), block, sizeof(*block));
}

/** What a free block keeps from others: it keeps the host's copy of its table, too. */
static uint64_t kept_bytes(const struct segue_staging_block *block)
{
    return block->size_bytes + block->pointers.host_bytes;
}

/** Index of the smallest class that holds `size_bytes`; the count of classes if
 * none does. */
static uint32_t class_of(uint64_t size_bytes)
{
    uint32_t index = 0;
    while (index < SEGUE_STAGING_CLASS_COUNT &&
           ((uint64_t)SEGUE_STAGING_SMALLEST_BYTES << index) < size_bytes)
        index++;
    return index;
}

/** Takes all free blocks out of the pool. */
static struct segue_staging_block *take_free_blocks(struct segue_staging *staging)
{
    struct segue_staging_block *list = NULL;
    pthread_mutex_lock(&staging->lock);
    for (uint32_t i = 0; i < SEGUE_STAGING_CLASS_COUNT; i++) {
        while (staging->free[i] != NULL) {
            struct segue_staging_block *block = staging->free[i];
            staging->free[i] = block->next;
            block->next = list;
            list = block;
        }
    }
    staging->free_bytes = 0;
    pthread_mutex_unlock(&staging->lock);
    return list;
}

static void free_list(struct segue_cuda *cuda, struct segue_staging_block *list, bool has_context)
{
    while (list != NULL) {
        struct segue_staging_block *block = list;
        list = block->next;
        free_block(cuda, block, has_context);
    }
}

bool segue_staging_trim(struct segue_cuda *cuda)
{
    struct segue_staging_block *list = take_free_blocks(&cuda->staging);
    const bool any = list != NULL;
    free_list(cuda, list, true);
    return any;
}

void segue_staging_finish(struct segue_cuda *cuda, bool has_context)
{
    free_list(cuda, take_free_blocks(&cuda->staging), has_context);
}

static void count_in(struct segue_staging *staging, uint64_t size_bytes)
{
    staging->usage.current_bytes += size_bytes;
    staging->usage.allocation_count++;
    if (staging->usage.peak_bytes < staging->usage.current_bytes)
        staging->usage.peak_bytes = staging->usage.current_bytes;
}

static segue_status create_block(struct segue_cuda *cuda, uint64_t size_bytes,
                                 struct segue_staging_block **out_block)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    struct segue_staging_block *block = segue_allocate_zeroed(allocator, 1, sizeof(*block));
    if (block == NULL)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for a staging block");
    struct segue_backend_memory memory;
    const segue_status status =
        segue_cuda_allocate(&cuda->base, SEGUE_MEMORY_DEVICE, size_bytes, &memory);
    if (status != SEGUE_OK) {
        segue_release(allocator, block, sizeof(*block));
        return status;
    }
    block->address = memory.device_address;
    block->size_bytes = size_bytes;
    *out_block = block;
    return SEGUE_OK;
}

segue_status segue_staging_acquire(struct segue_cuda *cuda, uint64_t size_bytes,
                                   struct segue_staging_block **out_block)
{
    struct segue_staging *staging = &cuda->staging;
    const uint32_t index = class_of(size_bytes);
    if (index == SEGUE_STAGING_CLASS_COUNT)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_DEVICE_MEMORY,
                          "%" PRIu64
                          " bytes of pointers and inline data are more than any device holds",
                          size_bytes);
    const uint64_t block_bytes = (uint64_t)SEGUE_STAGING_SMALLEST_BYTES << index;
    pthread_mutex_lock(&staging->lock);
    struct segue_staging_block *block = staging->free[index];
    if (block != NULL) {
        staging->free[index] = block->next;
        staging->free_bytes -= kept_bytes(block);
        count_in(staging, block_bytes);
    }
    pthread_mutex_unlock(&staging->lock);
    if (block == NULL) {
        const segue_status status = create_block(cuda, block_bytes, &block);
        if (status != SEGUE_OK)
            return status;
        pthread_mutex_lock(&staging->lock);
        count_in(staging, block_bytes);
        pthread_mutex_unlock(&staging->lock);
    }
    block->next = NULL;
    *out_block = block;
    return SEGUE_OK;
}

void segue_staging_count(struct segue_cuda *cuda, const struct segue_staging_block *block,
                         bool in_use)
{
    struct segue_staging *staging = &cuda->staging;
    pthread_mutex_lock(&staging->lock);
    if (in_use) {
        count_in(staging, block->size_bytes);
    } else {
        staging->usage.current_bytes -= block->size_bytes;
        staging->usage.allocation_count--;
    }
    pthread_mutex_unlock(&staging->lock);
}

void segue_staging_release(struct segue_cuda *cuda, struct segue_staging_block *block,
                           bool has_context)
{
    if (block == NULL)
        return;
    struct segue_staging *staging = &cuda->staging;
    pthread_mutex_lock(&staging->lock);
    staging->usage.current_bytes -= block->size_bytes;
    staging->usage.allocation_count--;
    const bool keep =
        !has_context || staging->free_bytes + kept_bytes(block) <= SEGUE_STAGING_KEPT_BYTES;
    if (keep) {
        const uint32_t index = class_of(block->size_bytes);
        block->next = staging->free[index];
        staging->free[index] = block;
        staging->free_bytes += kept_bytes(block);
    }
    pthread_mutex_unlock(&staging->lock);
    if (!keep)
        free_block(cuda, block, has_context);
}

void segue_staging_get_usage(struct segue_cuda *cuda, struct segue_memory_usage *out_usage)
{
    pthread_mutex_lock(&cuda->staging.lock);
    *out_usage = cuda->staging.usage;
    pthread_mutex_unlock(&cuda->staging.lock);
}
