// SPDX-License-Identifier: Apache-2.0
// Launches, blocks, and threads that meet.
#include "runtime.hpp"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

namespace emulate
{

index3 thread_index, block_index, block_size, grid_size;

namespace
{

constexpr size_t stack_bytes = 64 << 10;
/** Threads of a launch that exist at the same time. */
constexpr uint32_t max_fibers = 2048;
/** Below each stack there is a page that nobody may touch. */
const size_t guard_bytes = (size_t)sysconf(_SC_PAGESIZE);
/** Turns of a block's threads after which they are taken to wait for what never comes. */
constexpr uint64_t max_turns = 1u << 20;

enum state { READY, AT_BLOCK, AT_WARP, AT_GRID, AT_CLUSTER, DONE };

struct thread {
    void *stack_pointer;
    enum state state;
    /** Has executed griddepcontrol.wait. */
    bool waited;
    /** AT_BLOCK: where it waits. */
    int line;
    bool predicate;
    /** AT_WARP: what the lane brings. */
    const char *what;
    const void *key;
    uint32_t mask;
    void *argument;
    /** Has come to the barrier of the cluster and not waited there yet; for which time. */
    bool in_cluster;
    uint32_t cluster_phase;
};

/** What a block has of its own. Blocks of a cluster take turns: each runs until none of its threads
 *  can, then its shared memory makes way for the next one's. */
struct block {
    index3 index;
    uint32_t rank;
    bool started;
    thread threads[max_threads];
    /** Threads that can run, in no order. */
    uint32_t ready[max_threads];
    uint32_t ready_count;
    uint32_t done_count, arrived_count, predicate_count, last_predicate_count;
    /** Threads at griddepcontrol.wait go on when all others have come to where they wait, too:
     *  opening and closing the bindings for each one costs. In some blocks they do not wait for the
     *  others. */
    uint32_t at_grid[max_threads];
    uint32_t at_grid_count;
    bool grid_gathers;
    /** What it has in shared memory while another one runs. */
    uint8_t *shared;
};

block blocks[max_cluster];
uint32_t cluster_size;
/** The one that runs. */
block *self_block;
uint32_t thread_count;
uint32_t current;
uint64_t turns;
/** barrier.cluster: how many threads have come to it, or have ended, and how often all have. */
uint32_t cluster_arrived, cluster_phase;

uint8_t *stacks;
void *scheduler;
uint64_t random_state;

const kernel *running;
const emulate_launch *running_launch;
uint8_t parameters[1024];
bool bindings_open, someone_waited;
bool in_thread;
char message[1024];
bool failed;

uint8_t *guard_of(uint32_t index)
{
    return stacks + index * (guard_bytes + stack_bytes);
}

thread &self()
{
    return self_block->threads[current];
}

void make_ready(block *block, uint32_t index)
{
    block->threads[index].state = READY;
    block->ready[block->ready_count++] = index;
}

void leave()
{
    emulate_switch(&self().stack_pointer, scheduler);
}

/** One more thread is at the cluster's barrier for good, or for this time. */
void count_at_cluster()
{
    if (++cluster_arrived < cluster_size * thread_count)
        return;
    cluster_phase++;
    cluster_arrived = 0;
    for (uint32_t b = 0; b < cluster_size; b++) {
        cluster_arrived += blocks[b].done_count;
        for (uint32_t i = 0; i < thread_count; i++) {
            if (blocks[b].threads[i].state == AT_CLUSTER)
                make_ready(&blocks[b], i);
        }
    }
}

void thread_main()
{
    running->call(running->function, parameters);
    self().state = DONE;
    self_block->done_count++;
    count_at_cluster();
    leave();
    __builtin_trap();
}

uint32_t existing_lanes(uint32_t first)
{
    const uint32_t left = thread_count - first;
    return left >= warp_size ? 0xFFFFFFFFu : (1u << left) - 1;
}

/** Says which threads wait for what, when none can run. */
void describe_deadlock(const block &block)
{
    uint32_t at_block = 0, at_cluster = 0, line = 0;
    const thread *lane = nullptr;
    for (uint32_t i = 0; i < thread_count; i++) {
        const thread &thread = block.threads[i];
        at_cluster += thread.state == AT_CLUSTER;
        if (thread.state == AT_BLOCK) {
            at_block++;
            line = (uint32_t)thread.line;
        } else if (thread.state == AT_WARP && !lane) {
            lane = &thread;
        }
    }
    if (lane)
        snprintf(message, sizeof(message),
                 "%s, block %u: %u threads wait at __syncthreads (line %u), %u have ended, and "
                 "thread %u waits in vain for lanes 0x%08x of its warp at %s",
                 running->name, block.index.x, at_block, line, block.done_count,
                 (unsigned)(lane - block.threads), lane->mask, lane->what);
    else
        snprintf(message, sizeof(message),
                 "%s, block %u: %u threads wait at __syncthreads (line %u), %u for their cluster, "
                 "and %u have ended",
                 running->name, block.index.x, at_block, line, at_cluster, block.done_count);
    failed = true;
}

void give_turn()
{
    block &block = *self_block;
    const uint32_t at = random_below(block.ready_count);
    current = block.ready[at];
    block.ready[at] = block.ready[--block.ready_count];
    thread_index = {current, 0, 0};
    if (self().waited != bindings_open)
        set_open(bindings_open = self().waited);
    in_thread = true;
    emulate_switch(&scheduler, self().stack_pointer);
    in_thread = false;
}

bool next_is_there(block &block)
{
    if (block.ready_count == 0) {
        while (block.at_grid_count > 0)
            make_ready(&block, block.at_grid[--block.at_grid_count]);
    }
    return block.ready_count > 0 && !failed;
}

void start_block(block &block, uint32_t index, uint32_t rank)
{
    block.index = {index, 0, 0};
    block.rank = rank;
    block.started = false;
    block.at_grid_count = 0;
    block.grid_gathers = random_below(8) > 0;
    block.ready_count = block.done_count = block.arrived_count = block.predicate_count = 0;
    for (uint32_t i = 0; i < thread_count; i++) {
        const uint32_t fiber = rank * thread_count + i;
        block.threads[i] = thread{};
        block.threads[i].waited = !running_launch->grid_dependency;
        block.threads[i].stack_pointer =
            make_fiber(guard_of(fiber) + guard_bytes, stack_bytes, thread_main);
        make_ready(&block, i);
    }
}

/** Lets the threads of a block run until none can. */
void run_block(block &block)
{
    if (self_block != &block) {
        exchange_shared(self_block ? self_block->shared : nullptr,
                        block.started ? block.shared : nullptr);
        // What others have stored there before the block began is lost.
        if (!block.started)
            reset_shared(running_launch->dynamic_shared_bytes);
        block.started = true;
        self_block = &block;
    }
    block_index = block.index;
    while (next_is_there(block))
        give_turn();
}

/** A block, or the blocks of a cluster, which take turns in any order. */
void run_cluster(uint32_t first)
{
    turns = 0;
    cluster_arrived = cluster_phase = 0;
    self_block = nullptr;
    reset_copies();
    for (uint32_t rank = 0; rank < cluster_size; rank++)
        start_block(blocks[rank], first + rank, rank);
    for (bool more = true; more && !failed;) {
        more = false;
        const uint32_t start = random_below(cluster_size);
        for (uint32_t i = 0; i < cluster_size; i++) {
            block &block = blocks[(start + i) % cluster_size];
            more |= next_is_there(block);
            run_block(block);
        }
    }
    for (uint32_t rank = 0; rank < cluster_size && !failed; rank++) {
        if (blocks[rank].done_count < thread_count)
            describe_deadlock(blocks[rank]);
    }
    if (!failed && count_pending_copies() > 0) {
        snprintf(message, sizeof(message),
                 "%s, block %u: %u copies into shared memory are on their way when the block ends",
                 running->name, block_index.x, count_pending_copies());
        failed = true;
    }
}

void run_grid()
{
    static uint32_t order[1 << 16];
    const uint32_t count = running_launch->grid / cluster_size;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = random_below(i + 1);
        order[i] = order[at];
        order[at] = i;
    }
    for (uint32_t i = 0; i < count && !failed; i++)
        run_cluster(order[i] * cluster_size);
    if (!failed && running_launch->grid_dependency && !someone_waited) {
        snprintf(message, sizeof(message), "%s: no thread executes griddepcontrol.wait",
                 running->name);
        failed = true;
    }
}

void on_fault(int number, siginfo_t *info, void *)
{
    if (!in_thread) {
        signal(number, SIG_DFL);
        return; // Not of a kernel: it happens again, and ends the process.
    }
    if (number == SIGILL || number == SIGTRAP)
        fail("does what C++ leaves undefined (alignment, shift or bounds)");
    if (number == SIGFPE)
        fail("divides by zero");
    char text[256];
    describe_address(info->si_addr, text, sizeof(text));
    fail("%s", text);
}

constexpr int caught[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};
constexpr size_t caught_count = sizeof(caught) / sizeof(caught[0]);

void catch_faults(struct sigaction *previous, stack_t *previous_stack)
{
    static uint8_t signal_stack[64 << 10];
    stack_t stack = {};
    stack.ss_sp = signal_stack;
    stack.ss_size = sizeof(signal_stack);
    sigaltstack(&stack, previous_stack);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    // The handler leaves by switching stacks, and may be entered again.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    for (size_t i = 0; i < caught_count; i++)
        sigaction(caught[i], &action, &previous[i]);
}

bool make_stacks()
{
    if (stacks)
        return true;
    void *memory = mmap(nullptr, max_fibers * (guard_bytes + stack_bytes), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    stacks = (uint8_t *)memory;
    for (uint32_t i = 0; i < max_fibers; i++)
        mprotect(guard_of(i), guard_bytes, PROT_NONE);
    return true;
}

/** Where the blocks of a cluster keep their shared memory. */
bool make_rooms()
{
    for (uint32_t rank = 0; cluster_size > 1 && rank < cluster_size; rank++) {
        if (!blocks[rank].shared)
            blocks[rank].shared = (uint8_t *)malloc(shared_bytes());
        if (!blocks[rank].shared)
            return false;
    }
    return true;
}

/** What can be said before anything runs. */
const char *check_launch(const emulate_launch *launch)
{
    if (!running)
        return "there is no such unit or kernel";
    if (launch->block == 0 || launch->block > max_threads)
        return "the block has no size that a block can have";
    if (launch->grid == 0 || launch->grid > 1u << 16)
        return "the grid has no size that the emulator can do";
    if (cluster_size > max_cluster || cluster_size * launch->block > max_fibers)
        return "the cluster is larger than the emulator can do";
    if (launch->grid % cluster_size != 0)
        return "the grid is not a multiple of the cluster";
    if (launch->dynamic_shared_bytes > max_dynamic_shared_bytes)
        return "there is more dynamic shared memory than a block can have";
    if (launch->binding_count * 8 + launch->constants_size_bytes > sizeof(parameters))
        return "there are too many parameters";
    const size_t given = launch->binding_count * 8 + launch->constants_size_bytes;
    if ((given + 7) / 8 != (running->parameters_size_bytes + 7) / 8)
        return "the parameters are not as many bytes as the kernel takes";
    if (!make_stacks() || !make_rooms() || !open_memory(launch))
        return "out of memory";
    return nullptr;
}

} // namespace

void fail(const char *format, ...)
{
    char text[768];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    snprintf(message, sizeof(message), "%s, block %u, thread %u: %s", running->name, block_index.x,
             current, text);
    failed = true;
    leave();
    __builtin_trap();
}

uint32_t random_below(uint32_t count)
{
    // xorshift64*, the upper half of it.
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    const uint64_t upper = random_state * 0x2545F4914F6CDD1Du >> 32;
    return (uint32_t)(upper * count >> 32);
}

void yield()
{
    if (++turns > max_turns)
        fail("waits for what never comes");
    // It may wait for what threads at griddepcontrol.wait do after that.
    while (self_block->at_grid_count > 0)
        make_ready(self_block, self_block->at_grid[--self_block->at_grid_count]);
    make_ready(self_block, current);
    leave();
}

uint32_t lane_index()
{
    return current % warp_size;
}

uint32_t linear_thread()
{
    return self_block->rank * thread_count + current;
}

uint32_t cluster_rank()
{
    return self_block->rank;
}

uint8_t *shared_of_rank(uint32_t rank)
{
    if (rank >= cluster_size)
        fail("reaches for block %u of a cluster of %u", rank, cluster_size);
    if (blocks[rank].done_count == thread_count)
        fail("reaches for shared memory of block %u of its cluster, which has ended", rank);
    return rank == self_block->rank ? nullptr : blocks[rank].shared;
}

void arrive_at_cluster()
{
    if (self().in_cluster)
        fail("comes to the cluster's barrier again without having waited there");
    self().in_cluster = true;
    self().cluster_phase = cluster_phase;
    count_at_cluster();
}

void wait_for_cluster()
{
    if (!self().in_cluster)
        fail("waits at the cluster's barrier without having come there");
    self().in_cluster = false;
    if (self().cluster_phase != cluster_phase)
        return;
    self().state = AT_CLUSTER;
    leave();
}

uint32_t meet_block(int line, bool predicate)
{
    block &block = *self_block;
    self().state = AT_BLOCK;
    self().line = line;
    block.predicate_count += predicate;
    if (++block.arrived_count == thread_count) {
        block.arrived_count = 0;
        block.last_predicate_count = block.predicate_count;
        block.predicate_count = 0;
        for (uint32_t i = 0; i < thread_count; i++) {
            if (block.threads[i].line != line)
                fail("is at __syncthreads of line %d, thread %u at that of line %d", line, i,
                     block.threads[i].line);
            make_ready(&block, i);
        }
    }
    leave();
    return block.last_predicate_count;
}

void meet_warp(const char *what, const void *key, uint32_t mask, warp_work work, void *argument)
{
    block &block = *self_block;
    thread &lane_of_self = self();
    const uint32_t first = current - current % warp_size;
    if (!(mask >> (current - first) & 1))
        fail("%s with mask 0x%08x, which the lane is not in", what, mask);
    lane_of_self.state = AT_WARP;
    lane_of_self.what = what;
    lane_of_self.key = key;
    lane_of_self.mask = mask;
    lane_of_self.argument = argument;
    const uint32_t expected = mask & existing_lanes(first);
    void *arguments[warp_size] = {};
    bool complete = true;
    for (uint32_t lane = 0; lane < warp_size; lane++) {
        if (!(expected >> lane & 1))
            continue;
        const thread &other = block.threads[first + lane];
        complete &=
            other.state == AT_WARP && other.what == what && other.key == key && other.mask == mask;
        arguments[lane] = other.argument;
    }
    if (complete) {
        if (work)
            work(expected, arguments);
        for (uint32_t lane = 0; lane < warp_size; lane++) {
            if (expected >> lane & 1)
                make_ready(&block, first + lane);
        }
    }
    leave();
}

void wait_for_grid()
{
    block &block = *self_block;
    const bool first_time = !self().waited;
    self().waited = true;
    someone_waited = true;
    if (first_time && block.grid_gathers) {
        self().state = AT_GRID;
        block.at_grid[block.at_grid_count++] = current;
        leave();
    }
    if (!bindings_open)
        set_open(bindings_open = true);
}

} // namespace emulate

using namespace emulate;

const char *emulate_run(const emulate_launch *launch)
{
    running = find_kernel(launch->unit, launch->kernel);
    running_launch = launch;
    thread_count = launch->block;
    cluster_size = launch->cluster > 1 ? launch->cluster : 1;
    random_state = (launch->seed + 1) * 0x9E3779B97F4A7C15u;
    failed = someone_waited = false;
    const char *problem = check_launch(launch);
    if (problem) {
        snprintf(message, sizeof(message), "%s: %s", launch->kernel, problem);
        return message;
    }
    for (uint32_t i = 0; i < launch->binding_count; i++) {
        const uint64_t address = binding_address(i);
        memcpy(parameters + i * 8, &address, 8);
    }
    if (launch->constants_size_bytes != 0)
        memcpy(parameters + launch->binding_count * 8, launch->constants,
               launch->constants_size_bytes);
    block_size = {launch->block, 1, 1};
    grid_size = {launch->grid, 1, 1};
    struct sigaction previous[caught_count];
    stack_t previous_stack;
    catch_faults(previous, &previous_stack);
    set_open(bindings_open = !launch->grid_dependency);
    run_grid();
    for (size_t i = 0; i < caught_count; i++)
        sigaction(caught[i], &previous[i], nullptr);
    sigaltstack(&previous_stack, nullptr);
    set_open(true);
    const char *changed = close_memory(launch, !failed);
    if (!failed && changed) {
        snprintf(message, sizeof(message), "%s: %s", launch->kernel, changed);
        failed = true;
    }
    return failed ? message : nullptr;
}
