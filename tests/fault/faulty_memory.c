// SPDX-License-Identifier: Apache-2.0
#include "faulty_memory.h"

#include <stdlib.h>
#include <string.h>

static void *faulty_allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    struct faulty_memory *memory = context;
    pthread_mutex_lock(&memory->lock);
    uint64_t count = ++memory->count;
    bool fail = memory->nth != 0 && (memory->forever ? count >= memory->nth : count == memory->nth);
    void *pointer = NULL;
    size_t align = align_bytes < sizeof(void *) ? sizeof(void *) : align_bytes;
    if (fail)
        ++memory->failed;
    else if (posix_memalign(&pointer, align, size_bytes) != 0)
        pointer = NULL;
    if (pointer) {
        ++memory->live;
        memory->live_bytes += size_bytes;
    }
    pthread_mutex_unlock(&memory->lock);
    // What is not initialised shall show.
    if (pointer)
        memset(pointer, 0xa5, size_bytes);
    return pointer;
}

static void faulty_release(void *context, void *pointer, size_t size_bytes)
{
    struct faulty_memory *memory = context;
    pthread_mutex_lock(&memory->lock);
    --memory->live;
    memory->live_bytes -= size_bytes;
    pthread_mutex_unlock(&memory->lock);
    memset(pointer, 0x5a, size_bytes);
    free(pointer);
}

struct segue_allocator segue_test_faulty_allocator(struct faulty_memory *memory)
{
    return (struct segue_allocator){faulty_allocate, faulty_release, memory};
}
