// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include "handle.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES UINT64_C(4096)
#define ALIGN_BYTES UINT64_C(256)
#define RESERVED_BYTES (UINT64_C(192) << 30)
// Larger allocations are poisoned at both ends only: touching all of them would make them real.
#define POISON_ALL_BYTES (UINT64_C(64) << 20)
#define POISON_EDGE_BYTES (UINT64_C(1) << 20)
#define POISON_ALLOCATED 0xcd

struct allocation {
    /** First byte; device allocations end where their last page ends, up to alignment. */
    uint64_t address;
    uint64_t size_bytes;
    /** Its pages. */
    uint64_t first_page;
    uint64_t page_bytes;
    CUcontext context;
    unsigned int host_flags;
    bool pinned;
};

static struct {
    uint64_t device_base;
    uint8_t *host_base;
    /** Sorted by address. */
    struct allocation *items;
    size_t count;
    size_t capacity;
    /** Where the next search for a gap starts: addresses are not used again at once. */
    uint64_t cursor;
    uint64_t device_bytes;
} memory;

static uint64_t round_up(uint64_t value, uint64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

static void *reserve(uint64_t size_bytes)
{
    void *base =
        mmap(NULL, size_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return base != MAP_FAILED ? base : NULL;
}

CUresult segue_soft_memory_open(void)
{
    if (memory.host_base != NULL) {
        return CUDA_SUCCESS;
    }
    void *device = reserve(RESERVED_BYTES);
    void *host = reserve(RESERVED_BYTES);
    if (device == NULL || host == NULL) {
        if (device != NULL) {
            munmap(device, RESERVED_BYTES);
        }
        if (host != NULL) {
            munmap(host, RESERVED_BYTES);
        }
        segue_soft_say("cannot reserve 2 x %llu GiB of addresses",
                       (unsigned long long)(RESERVED_BYTES >> 30));
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    memory.device_base = (uint64_t)(uintptr_t)device;
    memory.host_base = host;
    memory.cursor = memory.device_base + PAGE_BYTES;
    return CUDA_SUCCESS;
}

void segue_soft_memory_close(void)
{
    for (size_t i = 0; i < memory.count; ++i) {
        if (memory.items[i].pinned) {
            munmap((void *)(uintptr_t)(memory.items[i].first_page - PAGE_BYTES),
                   memory.items[i].page_bytes + 2 * PAGE_BYTES);
        }
    }
    free(memory.items);
    if (memory.host_base != NULL) {
        munmap(memory.host_base, RESERVED_BYTES);
        munmap((void *)(uintptr_t)memory.device_base, RESERVED_BYTES);
    }
    memset(&memory, 0, sizeof(memory));
}

uint64_t segue_soft_memory_count(void)
{
    return memory.count;
}

// Index of the first allocation whose address is above `address`.
static size_t upper_bound(uint64_t address)
{
    size_t low = 0;
    size_t high = memory.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory.items[middle].address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct allocation *find_allocation(uint64_t address)
{
    size_t index = upper_bound(address);
    if (index == 0) {
        return NULL;
    }
    struct allocation *item = &memory.items[index - 1];
    return address - item->address < item->size_bytes ? item : NULL;
}

enum segue_soft_place segue_soft_memory_place(uint64_t address, uint64_t size_bytes)
{
    const struct allocation *item = find_allocation(address);
    if (item == NULL) {
        bool reserved = address - memory.device_base < RESERVED_BYTES && memory.host_base != NULL;
        return reserved ? SEGUE_SOFT_PLACE_OUTSIDE : SEGUE_SOFT_PLACE_UNKNOWN;
    }
    if (size_bytes > item->size_bytes - (address - item->address)) {
        return SEGUE_SOFT_PLACE_OUTSIDE;
    }
    return item->pinned ? SEGUE_SOFT_PLACE_PINNED : SEGUE_SOFT_PLACE_DEVICE;
}

void *segue_soft_memory_translate(uint64_t address, uint64_t size_bytes)
{
    enum segue_soft_place place = segue_soft_memory_place(address, size_bytes);
    if (place == SEGUE_SOFT_PLACE_PINNED) {
        return (void *)(uintptr_t)address;
    }
    if (place == SEGUE_SOFT_PLACE_DEVICE || size_bytes == 0) {
        uint64_t offset = address - memory.device_base;
        return memory.host_base + (offset < RESERVED_BYTES ? offset : 0);
    }
    return NULL;
}

static bool insert_item(const struct allocation *item)
{
    if (memory.count == memory.capacity) {
        size_t capacity = memory.capacity > 0 ? memory.capacity * 2 : 64;
        struct allocation *items = realloc(memory.items, capacity * sizeof(*items));
        if (items == NULL) {
            return false;
        }
        memory.items = items;
        memory.capacity = capacity;
    }
    size_t index = upper_bound(item->address);
    memmove(&memory.items[index + 1], &memory.items[index],
            (memory.count - index) * sizeof(*memory.items));
    memory.items[index] = *item;
    ++memory.count;
    return true;
}

static void remove_item(struct allocation *item)
{
    size_t index = (size_t)(item - memory.items);
    --memory.count;
    memmove(item, item + 1, (memory.count - index) * sizeof(*item));
}

static void poison(uint8_t *bytes, uint64_t size_bytes)
{
    if (size_bytes <= POISON_ALL_BYTES) {
        memset(bytes, POISON_ALLOCATED, size_bytes);
        return;
    }
    memset(bytes, POISON_ALLOCATED, POISON_EDGE_BYTES);
    memset(bytes + size_bytes - POISON_EDGE_BYTES, POISON_ALLOCATED, POISON_EDGE_BYTES);
}

// First page of a gap of `page_bytes` with a guard page on both sides, from `start` on; 0 if none.
static uint64_t find_gap(uint64_t start, uint64_t page_bytes)
{
    uint64_t end = memory.device_base + RESERVED_BYTES;
    uint64_t candidate = start;
    for (size_t i = upper_bound(start - 1); i < memory.count; ++i) {
        const struct allocation *item = &memory.items[i];
        if (item->pinned && item->address - memory.device_base >= RESERVED_BYTES) {
            break;
        }
        if (candidate + page_bytes + PAGE_BYTES <= item->first_page) {
            return candidate;
        }
        candidate = item->first_page + item->page_bytes + PAGE_BYTES;
    }
    return candidate + page_bytes + PAGE_BYTES <= end ? candidate : 0;
}

// Looks for the gap behind the cursor first, then from the start.
static uint64_t take_gap(uint64_t page_bytes)
{
    uint64_t page = find_gap(memory.cursor, page_bytes);
    return page != 0 ? page : find_gap(memory.device_base + PAGE_BYTES, page_bytes);
}

static CUresult allocate_device(uint64_t size_bytes, uint64_t *out_address)
{
    if (size_bytes > SEGUE_SOFT_MEMORY_BYTES) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    uint64_t aligned = round_up(size_bytes, ALIGN_BYTES);
    uint64_t page_bytes = round_up(aligned, PAGE_BYTES);
    if (page_bytes > SEGUE_SOFT_MEMORY_BYTES - memory.device_bytes) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    uint64_t page = take_gap(page_bytes);
    if (page == 0) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    struct allocation item = {
        .address = page + page_bytes - aligned,
        .size_bytes = size_bytes,
        .first_page = page,
        .page_bytes = page_bytes,
        .context = segue_soft_current_context(),
    };
    uint8_t *host_page = memory.host_base + (page - memory.device_base);
    if (mprotect(host_page, page_bytes, PROT_READ | PROT_WRITE) != 0) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    if (!insert_item(&item)) {
        mprotect(host_page, page_bytes, PROT_NONE);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    poison(host_page, page_bytes);
    memory.device_bytes += page_bytes;
    memory.cursor = page + page_bytes + PAGE_BYTES;
    *out_address = item.address;
    return CUDA_SUCCESS;
}

static CUresult allocate_pinned(uint64_t size_bytes, unsigned int flags, void **out_pointer)
{
    if (size_bytes > RESERVED_BYTES) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    uint64_t page_bytes = round_up(size_bytes, PAGE_BYTES);
    uint8_t *base = reserve(page_bytes + 2 * PAGE_BYTES);
    if (base == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    struct allocation item = {
        .address = (uint64_t)(uintptr_t)base + PAGE_BYTES,
        .size_bytes = size_bytes,
        .first_page = (uint64_t)(uintptr_t)base + PAGE_BYTES,
        .page_bytes = page_bytes,
        .context = segue_soft_current_context(),
        .host_flags = flags,
        .pinned = true,
    };
    if (mprotect(base + PAGE_BYTES, page_bytes, PROT_READ | PROT_WRITE) != 0 ||
        !insert_item(&item)) {
        munmap(base, page_bytes + 2 * PAGE_BYTES);
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    poison(base + PAGE_BYTES, page_bytes);
    *out_pointer = base + PAGE_BYTES;
    return CUDA_SUCCESS;
}

static void release_item(struct allocation *item)
{
    if (item->pinned) {
        munmap((void *)(uintptr_t)(item->first_page - PAGE_BYTES),
               item->page_bytes + 2 * PAGE_BYTES);
    } else {
        uint8_t *host_page = memory.host_base + (item->first_page - memory.device_base);
        // A late access through a stale host pointer faults, and the bytes go back to the system.
        madvise(host_page, item->page_bytes, MADV_DONTNEED);
        mprotect(host_page, item->page_bytes, PROT_NONE);
        memory.device_bytes -= item->page_bytes;
    }
    remove_item(item);
}

static CUresult free_address(uint64_t address, bool pinned)
{
    if (address == 0) {
        return CUDA_SUCCESS;
    }
    struct allocation *item = find_allocation(address);
    if (item == NULL || item->address != address || item->pinned != pinned) {
        segue_soft_misuse("0x%llx is not the start of a live %s allocation",
                          (unsigned long long)address, pinned ? "pinned" : "device");
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (item->context != segue_soft_current_context()) {
        segue_soft_misuse("allocation 0x%llx belongs to another context",
                          (unsigned long long)address);
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    // Freeing waits for the device, as the real driver does.
    CUresult result = segue_soft_streams_finish();
    release_item(find_allocation(address));
    return result;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytesize)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"size_bytes\":%zu", bytesize);
    if (dptr == NULL || bytesize == 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    ++segue_soft.report.allocation_count;
    result = segue_soft_fault_take(SEGUE_SOFT_FAULT_ALLOCATION, call.name);
    if (result != CUDA_SUCCESS) {
        call.faulted = true;
        return segue_soft_leave(&call, result);
    }
    uint64_t address;
    result = allocate_device(bytesize, &address);
    if (result == CUDA_SUCCESS) {
        *dptr = (CUdeviceptr)address;
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemFree_v2(CUdeviceptr dptr)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT | SEGUE_SOFT_RELEASE, "\"address\":%llu",
                     (unsigned long long)dptr);
    return segue_soft_leave(&call, free_address((uint64_t)dptr, false));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemHostAlloc(void **pp, size_t bytesize, unsigned int Flags)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"size_bytes\":%zu,\"flags\":%u", bytesize, Flags);
    const unsigned int known =
        CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_WRITECOMBINED;
    if (pp == NULL || (Flags & ~known) != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    if (bytesize == 0) {
        *pp = NULL;
        return segue_soft_leave(&call, CUDA_SUCCESS);
    }
    ++segue_soft.report.allocation_count;
    result = segue_soft_fault_take(SEGUE_SOFT_FAULT_ALLOCATION, call.name);
    if (result != CUDA_SUCCESS) {
        call.faulted = true;
        return segue_soft_leave(&call, result);
    }
    return segue_soft_leave(&call, allocate_pinned(bytesize, Flags, pp));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemFreeHost(void *p)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT | SEGUE_SOFT_RELEASE, "\"pointer\":%llu",
                     (unsigned long long)(uintptr_t)p);
    return segue_soft_leave(&call, free_address((uint64_t)(uintptr_t)p, true));
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemHostGetDevicePointer_v2(CUdeviceptr *pdptr, void *p,
                                                                unsigned int Flags)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"pointer\":%llu", (unsigned long long)(uintptr_t)p);
    const struct allocation *item = find_allocation((uint64_t)(uintptr_t)p);
    if (pdptr == NULL || Flags != 0 || item == NULL || !item->pinned) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    *pdptr = (CUdeviceptr)(uintptr_t)p;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "%s", "");
    if (free_bytes == NULL || total_bytes == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    *free_bytes = (size_t)(SEGUE_SOFT_MEMORY_BYTES - memory.device_bytes);
    *total_bytes = (size_t)SEGUE_SOFT_MEMORY_BYTES;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}
