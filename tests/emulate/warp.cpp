// SPDX-License-Identifier: Apache-2.0
// What the lanes of a warp do together.
#include "device.hpp"

using namespace emulate;

namespace
{

struct exchange {
    shuffle_kind kind;
    uint32_t by, width;
    uint64_t in, out;
};

void do_shuffle(uint32_t mask, void *const *arguments)
{
    for (uint32_t lane = 0; lane < warp_size; lane++) {
        if (!(mask >> lane & 1))
            continue;
        exchange *self = (exchange *)arguments[lane];
        const uint32_t first = lane / self->width * self->width;
        uint32_t from = lane;
        switch (self->kind) {
        case SHUFFLE_INDEX:
            from = first + self->by % self->width;
            break;
        case SHUFFLE_UP:
            from = lane >= first + self->by ? lane - self->by : lane;
            break;
        case SHUFFLE_DOWN:
            from = lane + self->by < first + self->width ? lane + self->by : lane;
            break;
        case SHUFFLE_XOR:
            from = (lane ^ self->by) < first + self->width ? lane ^ self->by : lane;
            break;
        }
        // A lane that does not take part has no value to give.
        self->out = mask >> from & 1 ? ((exchange *)arguments[from])->in : 0x7B7B7B7B7B7B7B7Bu;
    }
}

struct vote {
    uint32_t in, out;
};

template <uint32_t combine(uint32_t, uint32_t)>
void do_reduce(uint32_t mask, void *const *arguments)
{
    bool first = true;
    uint32_t result = 0;
    for (uint32_t lane = 0; lane < warp_size; lane++) {
        if (!(mask >> lane & 1))
            continue;
        const uint32_t in = ((vote *)arguments[lane])->in;
        result = first ? in : combine(result, in);
        first = false;
    }
    for (uint32_t lane = 0; lane < warp_size; lane++) {
        if (mask >> lane & 1)
            ((vote *)arguments[lane])->out = result;
    }
}

uint32_t larger_of(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}
uint32_t smaller_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}
uint32_t sum_of(uint32_t a, uint32_t b)
{
    return a + b;
}
uint32_t either_of(uint32_t a, uint32_t b)
{
    return a | b;
}

uint32_t meet_to_vote(const char *what, uint32_t mask, uint32_t value, warp_work work)
{
    vote vote = {value, 0};
    meet_warp(what, nullptr, mask, work, &vote);
    return vote.out;
}

} // namespace

uint64_t emulate::shuffle(shuffle_kind kind, uint32_t mask, uint64_t bits, uint32_t by,
                          uint32_t width)
{
    static const char *const names[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync",
                                        "__shfl_xor_sync"};
    exchange exchange = {kind, by, width, bits, 0};
    meet_warp(names[kind], nullptr, mask, do_shuffle, &exchange);
    return exchange.out;
}

void __syncwarp(unsigned mask)
{
    meet_warp("__syncwarp", nullptr, mask, nullptr, nullptr);
}

unsigned __ballot_sync(unsigned mask, int predicate)
{
    return meet_to_vote("__ballot_sync", mask, predicate ? 1u << lane_index() : 0,
                        do_reduce<either_of>);
}

unsigned __reduce_max_sync(unsigned mask, unsigned value)
{
    return meet_to_vote("__reduce_max_sync", mask, value, do_reduce<larger_of>);
}

unsigned __reduce_min_sync(unsigned mask, unsigned value)
{
    return meet_to_vote("__reduce_min_sync", mask, value, do_reduce<smaller_of>);
}

unsigned __reduce_add_sync(unsigned mask, unsigned value)
{
    return meet_to_vote("__reduce_add_sync", mask, value, do_reduce<sum_of>);
}

unsigned __reduce_or_sync(unsigned mask, unsigned value)
{
    return meet_to_vote("__reduce_or_sync", mask, value, do_reduce<either_of>);
}

unsigned __byte_perm(unsigned a, unsigned b, unsigned selector)
{
    const uint64_t bytes = (uint64_t)b << 32 | a;
    unsigned result = 0;
    for (unsigned i = 0; i < 4; i++) {
        const unsigned from = selector >> (4 * i) & 15;
        unsigned byte = (unsigned)(bytes >> (8 * (from & 7))) & 0xFF;
        if (from & 8)
            byte = byte & 0x80 ? 0xFF : 0;
        result |= byte << (8 * i);
    }
    return result;
}
