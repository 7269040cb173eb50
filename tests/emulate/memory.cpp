// SPDX-License-Identifier: Apache-2.0
// Bindings on pages of their own, between pages that nobody may touch, and shared memory.
#include "runtime.hpp"

#include <cstdio>
#include <sys/mman.h>
#include <unistd.h>

// The linker's names for the ends of the section that static shared memory is in; the library has
// an object there of its own, so that the section exists.
extern "C" uint8_t __start_emulated_shared[] __attribute__((visibility("hidden")));
extern "C" uint8_t __stop_emulated_shared[] __attribute__((visibility("hidden")));
static uint8_t first_shared[16] __attribute__((section("emulated_shared"), used));

namespace emulate
{

uint8_t *dynamic_shared;

namespace
{

const size_t page = (size_t)sysconf(_SC_PAGESIZE);
constexpr uint8_t canary = 0xC5;
/** Static shared memory begins here in the 32-bit addresses, dynamic one at the other. */
constexpr uint32_t static_window = 0x08000000;
constexpr uint32_t dynamic_window = 0x400;
/** Addresses in a block of the cluster have its rank, and one, above these bits. */
constexpr uint32_t rank_shift = 28;

struct region {
    uint8_t *mapping;
    size_t mapping_bytes;
    /** Pages that hold data. */
    uint8_t *pages;
    size_t pages_bytes;
    uint8_t *data;
    size_t size_bytes;
    enum emulate_access access;
    size_t late_offset;
    size_t late_bytes;
};

region regions[EMULATE_MAX_BINDINGS];
uint32_t region_count;
bool is_open;

uint8_t *shared_mapping;
uint32_t dynamic_bytes;
uint32_t poison_word;

size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

bool place(const emulate_binding *binding, bool lower_end, region *out_region)
{
    const size_t align = binding->align_bytes ? binding->align_bytes : 1;
    region region = {};
    region.pages_bytes = round_up(binding->size_bytes + align + binding->phase_bytes, page);
    region.mapping_bytes = region.pages_bytes + 2 * page;
    void *mapping = mmap(nullptr, region.mapping_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED)
        return false;
    region.mapping = (uint8_t *)mapping;
    region.pages = region.mapping + page;
    region.access = binding->access;
    region.size_bytes = binding->size_bytes;
    region.late_offset = binding->late_offset;
    region.late_bytes = binding->late_bytes;
    mprotect(region.mapping, page, PROT_NONE);
    mprotect(region.pages + region.pages_bytes, page, PROT_NONE);
    memset(region.pages, canary, region.pages_bytes);
    // At one end of its pages, as near to it as the alignment allows: beyond that end nothing can
    // be read, beside the other one writing is noticed.
    size_t offset = 0;
    if (!lower_end)
        offset = (region.pages_bytes - binding->size_bytes - binding->phase_bytes) / align * align;
    region.data = region.pages + offset + binding->phase_bytes;
    memcpy(region.data, binding->data, binding->size_bytes);
    *out_region = region;
    return true;
}

bool may_write(const region &region)
{
    return region.access == EMULATE_WRITE || region.access == EMULATE_READ_WRITE;
}

const region *region_at(const void *address, size_t slack)
{
    for (uint32_t i = 0; i < region_count; i++) {
        const uint8_t *begin = regions[i].data - slack;
        if ((const uint8_t *)address >= begin &&
            (const uint8_t *)address < regions[i].data + regions[i].size_bytes + slack)
            return &regions[i];
    }
    return nullptr;
}

bool is_dynamic(const uint8_t *address)
{
    return address >= dynamic_shared && address < dynamic_shared + dynamic_bytes;
}

bool is_static(const uint8_t *address)
{
    return address >= __start_emulated_shared && address < __stop_emulated_shared;
}

} // namespace

bool open_memory(const emulate_launch *launch)
{
    region_count = 0;
    is_open = true;
    if (!shared_mapping) {
        void *mapping = mmap(nullptr, round_up(max_dynamic_shared_bytes, page) + 2 * page,
                             PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (mapping == MAP_FAILED)
            return false;
        shared_mapping = (uint8_t *)mapping;
        mprotect(shared_mapping, page, PROT_NONE);
        mprotect(shared_mapping + page + round_up(max_dynamic_shared_bytes, page), page, PROT_NONE);
    }
    // Not a number, or a large one that is no infinity: what hides one shows the other.
    poison_word = random_below(2) ? 0xFFFFFFFFu : 0x7B7B7B7Bu;
    for (uint32_t i = 0; i < launch->binding_count; i++) {
        if (i == EMULATE_MAX_BINDINGS ||
            !place(&launch->bindings[i], launch->seed % 4 == 3, &regions[i])) {
            close_memory(launch, false);
            return false;
        }
        region_count++;
    }
    return true;
}

const char *close_memory(const emulate_launch *launch, bool keep)
{
    static char text[128];
    const char *changed = nullptr;
    for (uint32_t i = 0; i < region_count; i++) {
        const region &region = regions[i];
        const uint8_t *end = region.data + region.size_bytes;
        for (const uint8_t *at = region.pages; at < region.pages + region.pages_bytes; at++) {
            if (at == region.data && region.size_bytes > 0)
                at = end - 1;
            else if (*at != canary && !changed) {
                snprintf(text, sizeof(text), "writes %td bytes %s binding %u",
                         at < region.data ? region.data - at : at - end + 1,
                         at < region.data ? "before" : "beyond", i);
                changed = text;
            }
        }
        if (keep && may_write(region))
            memcpy(launch->bindings[i].data, region.data, region.size_bytes);
        munmap(region.mapping, region.mapping_bytes);
    }
    region_count = 0;
    return changed;
}

uint64_t binding_address(uint32_t index)
{
    return (uint64_t)(uintptr_t)regions[index].data;
}

void set_open(bool open)
{
    for (uint32_t i = 0; i < region_count; i++) {
        const region &region = regions[i];
        int protection = PROT_READ;
        if (may_write(region))
            protection |= PROT_WRITE;
        if (!open && region.access != EMULATE_CONSTANT)
            protection = PROT_NONE;
        mprotect(region.pages, region.pages_bytes, protection);
    }
    is_open = open;
}

void check_read(const void *address, size_t size_bytes, bool constant, const char *what)
{
    const uint8_t *from = (const uint8_t *)address;
    if (!constant && (is_dynamic(from) || is_static(from)))
        return;
    const region *region = region_at(address, 0);
    if (!region || from + size_bytes > region->data + region->size_bytes) {
        char text[256];
        describe_address(region ? region->data + region->size_bytes : address, text, sizeof(text));
        fail("%s: %s", what, text);
    }
    if (constant && may_write(*region))
        fail("%s reads binding %td past the coherent path, and the kernel writes to it", what,
             region - regions);
    if (!is_open && region->access != EMULATE_CONSTANT)
        fail("%s touches binding %td before griddepcontrol.wait", what, region - regions);
    const uint8_t *late = region->data + region->late_offset;
    if (!is_open && from < late + region->late_bytes && from + size_bytes > late)
        fail("%s touches what is late in binding %td before griddepcontrol.wait", what,
             region - regions);
}

void describe_address(const void *address, char *out_text, size_t size_bytes)
{
    const uint8_t *at = (const uint8_t *)address;
    const region *inside = region_at(address, 0);
    const region *near = region_at(address, 2 * page);
    if (inside && !is_open && inside->access != EMULATE_CONSTANT)
        snprintf(out_text, size_bytes, "touches binding %td before griddepcontrol.wait",
                 inside - regions);
    else if (inside)
        snprintf(out_text, size_bytes, "writes to byte %td of binding %td, which it may only read",
                 at - inside->data, inside - regions);
    else if (near)
        snprintf(out_text, size_bytes, "touches byte %td of binding %td, which has %zu bytes",
                 at - near->data, near - regions, near->size_bytes);
    else if (at >= shared_mapping &&
             at < shared_mapping + round_up(max_dynamic_shared_bytes, page) + 2 * page)
        snprintf(out_text, size_bytes, "touches byte %td of dynamic shared memory, which has %u",
                 at - dynamic_shared, dynamic_bytes);
    else
        snprintf(out_text, size_bytes, "touches address %p, which is nothing of its own", address);
}

void poison(void *memory, size_t size_bytes)
{
    memset(memory, (int)(poison_word & 0xFF), size_bytes);
}

void reset_shared(uint32_t bytes)
{
    // As near to the end of its pages as the largest alignment allows.
    dynamic_bytes = bytes;
    dynamic_shared =
        shared_mapping + page + round_up(max_dynamic_shared_bytes, page) - round_up(bytes, 128);
    poison(dynamic_shared, round_up(bytes, 128));
    poison(__start_emulated_shared, (size_t)(__stop_emulated_shared - __start_emulated_shared));
}

uint32_t shared_address(const void *pointer)
{
    const uint8_t *at = (const uint8_t *)pointer;
    if (at >= dynamic_shared && at <= dynamic_shared + dynamic_bytes)
        return dynamic_window + (uint32_t)(at - dynamic_shared);
    if (is_static(at))
        return static_window + (uint32_t)(at - __start_emulated_shared);
    fail("takes the shared address of %p, which is not shared memory", pointer);
}

size_t shared_bytes()
{
    return (size_t)(__stop_emulated_shared - __start_emulated_shared) + max_dynamic_shared_bytes;
}

void exchange_shared(uint8_t *keep, const uint8_t *bring)
{
    const size_t static_bytes = (size_t)(__stop_emulated_shared - __start_emulated_shared);
    if (keep) {
        memcpy(keep, __start_emulated_shared, static_bytes);
        memcpy(keep + static_bytes, dynamic_shared, dynamic_bytes);
    }
    if (bring) {
        memcpy(__start_emulated_shared, bring, static_bytes);
        memcpy(dynamic_shared, bring + static_bytes, dynamic_bytes);
    }
}

uint32_t map_shared(uint32_t address, uint32_t rank)
{
    shared_of_rank(rank); // Fails where there is none.
    return (address & ((1u << rank_shift) - 1)) | (rank + 1) << rank_shift;
}

void *cluster_pointer(uint32_t address, uint32_t size_bytes)
{
    const uint32_t there = address & ((1u << rank_shift) - 1);
    uint8_t *own = (uint8_t *)shared_pointer(there, size_bytes);
    uint8_t *room = address >> rank_shift ? shared_of_rank((address >> rank_shift) - 1) : nullptr;
    if (!room)
        return own;
    if (there >= static_window)
        return room + (own - __start_emulated_shared);
    return room + (__stop_emulated_shared - __start_emulated_shared) + (own - dynamic_shared);
}

void *shared_pointer(uint32_t address, uint32_t size_bytes)
{
    if (address >= static_window) {
        uint8_t *at = __start_emulated_shared + (address - static_window);
        if (at + size_bytes <= __stop_emulated_shared)
            return at;
    } else if (address >= dynamic_window &&
               (uint64_t)address + size_bytes <= dynamic_window + dynamic_bytes) {
        return dynamic_shared + (address - dynamic_window);
    }
    fail("touches byte %d of dynamic shared memory, which has %u", (int)(address - dynamic_window),
         dynamic_bytes);
}

} // namespace emulate
