// SPDX-License-Identifier: Apache-2.0
#include "handle.h"

#include <stdlib.h>

// Bits 63 to 56. Such an address is not canonical: dereferencing one faults on every machine.
#define HANDLE_TAG UINT64_C(0x5e)
#define INDEX_BITS 24
#define GENERATION_BITS 24
#define FIELD_MASK ((UINT64_C(1) << 24) - 1)
#define NO_SLOT UINT32_MAX
// Given-up slots rest in a queue this long, so that generations are used up slowly.
#define RESTING_SLOTS 64

struct slot {
    void *object;
    CUcontext context;
    uint64_t destroyed_at;
    uint32_t generation;
    uint32_t next_free;
    enum segue_soft_kind kind;
};

static struct {
    struct slot *slots;
    uint32_t count;
    uint32_t capacity;
    uint32_t first_free;
    uint32_t last_free;
    uint32_t free_count;
    uint64_t live[SEGUE_SOFT_KIND_COUNT];
} table = {.first_free = NO_SLOT, .last_free = NO_SLOT};

const char *segue_soft_kind_name(enum segue_soft_kind kind)
{
    static const char *const names[SEGUE_SOFT_KIND_COUNT] = {
        "nothing",  "context", "stream",     "event",      "module",
        "function", "graph",   "graph node", "graph exec",
    };
    return names[kind < SEGUE_SOFT_KIND_COUNT ? kind : SEGUE_SOFT_KIND_NONE];
}

static void *encode(enum segue_soft_kind kind, uint32_t generation, uint32_t index)
{
    uint64_t value = HANDLE_TAG << 56 | (uint64_t)kind << (INDEX_BITS + GENERATION_BITS) |
                     (uint64_t)generation << INDEX_BITS | index;
    return (void *)(uintptr_t)value;
}

static bool take_slot(uint32_t *out_index)
{
    if (table.free_count > RESTING_SLOTS) {
        *out_index = table.first_free;
        table.first_free = table.slots[*out_index].next_free;
        --table.free_count;
        return true;
    }
    if (table.count == table.capacity) {
        uint32_t capacity = table.capacity > 0 ? table.capacity * 2 : 256;
        if (capacity > FIELD_MASK) {
            return false;
        }
        struct slot *slots = realloc(table.slots, capacity * sizeof(*slots));
        if (slots == NULL) {
            return false;
        }
        table.slots = slots;
        table.capacity = capacity;
    }
    *out_index = table.count++;
    table.slots[*out_index] = (struct slot){.generation = 1};
    return true;
}

CUresult segue_soft_handle_create(enum segue_soft_kind kind, void *object, void **out_handle)
{
    uint32_t index;
    if (!take_slot(&index)) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    bool bound = kind == SEGUE_SOFT_KIND_STREAM || kind == SEGUE_SOFT_KIND_EVENT ||
                 kind == SEGUE_SOFT_KIND_MODULE || kind == SEGUE_SOFT_KIND_FUNCTION;
    struct slot *slot = &table.slots[index];
    slot->object = object;
    slot->kind = kind;
    slot->context = bound ? segue_soft_current_context() : NULL;
    ++table.live[kind];
    *out_handle = encode(kind, slot->generation, index);
    return CUDA_SUCCESS;
}

// The slot that a handle of this form names, whatever has become of it; NULL if it is made up.
static struct slot *find_slot(const void *handle, enum segue_soft_kind *out_kind,
                              uint32_t *out_generation)
{
    uint64_t value = (uint64_t)(uintptr_t)handle;
    uint32_t index = (uint32_t)(value & FIELD_MASK);
    uint32_t kind = (uint32_t)(value >> (INDEX_BITS + GENERATION_BITS)) & 0xff;
    if (value >> 56 != HANDLE_TAG || index >= table.count || kind == 0 ||
        kind >= SEGUE_SOFT_KIND_COUNT) {
        return NULL;
    }
    *out_kind = (enum segue_soft_kind)kind;
    *out_generation = (uint32_t)(value >> INDEX_BITS & FIELD_MASK);
    return &table.slots[index];
}

CUresult segue_soft_handle_get(enum segue_soft_kind kind, const void *handle, void **out_object)
{
    CUresult invalid =
        kind == SEGUE_SOFT_KIND_CONTEXT ? CUDA_ERROR_INVALID_CONTEXT : CUDA_ERROR_INVALID_HANDLE;
    const char *wanted = segue_soft_kind_name(kind);
    enum segue_soft_kind named = SEGUE_SOFT_KIND_NONE;
    uint32_t generation = 0;
    struct slot *slot = find_slot(handle, &named, &generation);
    if (slot == NULL) {
        segue_soft_misuse("%p is no handle (of kind %s)", handle, wanted);
        return invalid;
    }
    if (named != kind) {
        segue_soft_misuse("%p is of kind %s, not %s", handle, segue_soft_kind_name(named), wanted);
        return invalid;
    }
    if (slot->object == NULL || slot->generation != generation || slot->kind != kind) {
        segue_soft_misuse("%s %p was destroyed (the last one in its place by call %llu)", wanted,
                          handle, (unsigned long long)slot->destroyed_at);
        return invalid;
    }
    if (slot->context != NULL && slot->context != segue_soft_current_context()) {
        segue_soft_misuse("%s %p belongs to context %p, but %p is current", wanted, handle,
                          (void *)slot->context, (void *)segue_soft_current_context());
        return CUDA_ERROR_INVALID_CONTEXT;
    }
    *out_object = slot->object;
    return CUDA_SUCCESS;
}

bool segue_soft_handle_alive(enum segue_soft_kind kind, const void *handle)
{
    enum segue_soft_kind named = SEGUE_SOFT_KIND_NONE;
    uint32_t generation = 0;
    const struct slot *slot = find_slot(handle, &named, &generation);
    return slot != NULL && named == kind && slot->kind == kind && slot->object != NULL &&
           slot->generation == generation;
}

void segue_soft_handle_destroy(const void *handle)
{
    uint32_t index = (uint32_t)((uint64_t)(uintptr_t)handle & FIELD_MASK);
    struct slot *slot = &table.slots[index];
    --table.live[slot->kind];
    slot->object = NULL;
    slot->destroyed_at = segue_soft.call_index;
    slot->generation = slot->generation == FIELD_MASK ? 1 : slot->generation + 1;
    slot->next_free = NO_SLOT;
    if (table.free_count == 0) {
        table.first_free = index;
    } else {
        table.slots[table.last_free].next_free = index;
    }
    table.last_free = index;
    ++table.free_count;
}

uint64_t segue_soft_handle_count(enum segue_soft_kind kind)
{
    return table.live[kind];
}

void segue_soft_handle_release_table(void)
{
    free(table.slots);
    table.slots = NULL;
    table.count = table.capacity = table.free_count = 0;
}
