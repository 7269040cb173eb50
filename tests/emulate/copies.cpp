// SPDX-License-Identifier: Apache-2.0
// Copies into shared memory that arrive later. Their target is poison from the start of the copy
// until somebody waits for it: what is read too early, and what is read of a slot that is being
// filled again, is wrong.
#include "runtime.hpp"

namespace emulate
{

namespace
{

constexpr uint32_t max_copies = 1 << 16;
constexpr uint32_t max_barriers = 1 << 12;

struct copy {
    void *target;
    const void *source;
    uint32_t bytes;
    /** The rest is filled with zeros. */
    uint32_t source_bytes;
    /** Of cp.async: who issued it, in which of that thread's groups. Of bulk copies: the barrier.
     */
    uint32_t thread;
    uint32_t group;
    uint32_t barrier;
};

struct barrier {
    uint32_t address;
    uint32_t count;
    uint32_t missing;
    int64_t bytes;
    uint32_t phase;
};

copy pending[max_copies];
uint32_t pending_count;
/** The open group of each thread. */
uint32_t groups[max_threads];
barrier barriers[max_barriers];
uint32_t barrier_count;

copy *add_copy()
{
    if (pending_count == max_copies)
        fail("has more copies on their way than the emulator can do");
    pending[pending_count] = copy{};
    return &pending[pending_count++];
}

void arrive(uint32_t index)
{
    const copy done = pending[index];
    pending[index] = pending[--pending_count];
    memcpy(done.target, done.source, done.source_bytes);
    memset((uint8_t *)done.target + done.source_bytes, 0, done.bytes - done.source_bytes);
}

/** Blocks of a cluster have the same addresses. */
uint32_t key_of(uint32_t address)
{
    return address + (cluster_rank() << 28);
}

barrier *find_barrier(uint32_t address)
{
    for (uint32_t i = 0; i < barrier_count; i++) {
        if (barriers[i].address == address)
            return &barriers[i];
    }
    fail("uses a barrier in shared memory that nobody has initialised");
}

void end_phase(barrier *barrier)
{
    if (barrier->missing == 0 && barrier->bytes == 0) {
        barrier->phase++;
        barrier->missing = barrier->count;
    }
}

void check_target(uint32_t target, const void *source, uint32_t bytes, uint32_t unit)
{
    if (target % unit != 0 || (uintptr_t)source % unit != 0)
        fail("starts a copy of %u bytes whose addresses are not aligned to %u", bytes, unit);
    poison(shared_pointer(target, bytes), bytes);
}

} // namespace

void reset_copies()
{
    pending_count = barrier_count = 0;
    memset(groups, 0, sizeof(groups));
}

uint32_t count_pending_copies()
{
    return pending_count;
}

void copy_async(uint32_t target, const void *source, uint32_t bytes, uint32_t source_bytes)
{
    check_target(target, source, bytes, bytes);
    if (source_bytes > 0)
        check_read(source, source_bytes, false, "cp.async");
    copy *copy = add_copy();
    copy->target = shared_pointer(target, bytes);
    copy->source = source;
    copy->bytes = bytes;
    copy->source_bytes = source_bytes;
    copy->thread = linear_thread();
    copy->group = groups[linear_thread()];
}

void commit_copies()
{
    groups[linear_thread()]++;
}

void wait_copies(uint32_t newest)
{
    const uint32_t thread = linear_thread();
    for (uint32_t i = pending_count; i-- > 0;) {
        const copy &copy = pending[i];
        if (copy.barrier == 0 && copy.thread == thread && copy.group + newest < groups[thread])
            arrive(i);
    }
}

void copy_bulk(uint32_t target, const void *source, uint32_t bytes, uint32_t barrier)
{
    if (bytes % 16 != 0 || bytes == 0)
        fail("starts a bulk copy of %u bytes, which is not a multiple of 16", bytes);
    check_target(target, source, bytes, 16);
    check_read(source, bytes, false, "cp.async.bulk");
    barrier = key_of(barrier);
    find_barrier(barrier);
    copy *copy = add_copy();
    copy->target = shared_pointer(target, bytes);
    copy->source = source;
    copy->bytes = copy->source_bytes = bytes;
    copy->barrier = barrier;
}

void barrier_init(uint32_t address, uint32_t count)
{
    if (address % 8 != 0)
        fail("initialises a barrier that is not aligned to 8");
    shared_pointer(address, 8);
    if (barrier_count == max_barriers)
        fail("has more barriers than the emulator can do");
    barriers[barrier_count++] = barrier{key_of(address), count, count, 0, 0};
}

void barrier_arrive(uint32_t address, uint32_t expected_bytes)
{
    barrier *barrier = find_barrier(key_of(address));
    if (barrier->missing == 0)
        fail("arrives at a barrier once more than was agreed");
    barrier->bytes += expected_bytes;
    barrier->missing--;
    end_phase(barrier);
}

bool barrier_try_wait(uint32_t address, uint32_t parity)
{
    address = key_of(address);
    barrier *barrier = find_barrier(address);
    if ((barrier->phase & 1) == parity && random_below(4) > 0) {
        for (uint32_t i = pending_count; i-- > 0;) {
            if (pending[i].barrier == address) {
                barrier->bytes -= pending[i].bytes;
                arrive(i);
                end_phase(barrier);
            }
        }
    }
    const bool done = (barrier->phase & 1) != parity;
    if (!done)
        yield();
    return done;
}

} // namespace emulate
