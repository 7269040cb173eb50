// SPDX-License-Identifier: Apache-2.0
/**
 * @file runtime.hpp
 * What the parts of the emulator share; see emulate.h. Nothing here throws or needs the C++
 * library.
 */
#ifndef SEGUE_TEST_EMULATE_RUNTIME_HPP
#define SEGUE_TEST_EMULATE_RUNTIME_HPP

#include "emulate.h"

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace emulate
{

/** Lanes of a warp. */
constexpr uint32_t warp_size = 32;
constexpr uint32_t max_threads = 1024;
/** Blocks of a cluster. */
constexpr uint32_t max_cluster = 8;
constexpr uint32_t max_dynamic_shared_bytes = 227 << 10;

struct index3 {
    unsigned x, y, z;
};

/* ---- Kernels (registry.cpp) ------------------------------------------------------------------ */

/** Calls a kernel with parameters laid out one after the other. */
using call_function = void (*)(const void *kernel, const uint8_t *parameters);

struct kernel {
    const char *unit;
    const char *name;
    const void *function;
    call_function call;
    /** Bytes of all parameters, laid out as in a C struct. */
    size_t parameters_size_bytes;
    kernel *next;
};

/** Kernels register themselves while the library is loaded. */
void add_kernel(kernel *entry);
const kernel *find_kernel(const char *unit, const char *name);

/* ---- Threads (schedule.cpp, fiber.cpp) ------------------------------------------------------- */

/** The thread that runs. */
extern index3 thread_index, block_index, block_size, grid_size;

/** Switches stacks: what is running is left at *save, what was left at `resume` goes on. */
extern "C" void emulate_switch(void **save, void *resume);
/** A stack that runs `entry` when it is first switched to. */
void *make_fiber(uint8_t *stack, size_t size_bytes, void (*entry)());

/** Ends the launch with a message; the running thread is abandoned. Only for what threads call. */
[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Lets others run. */
void yield();

/** A number below `count`. */
uint32_t random_below(uint32_t count);

/** Gives control to others until all threads of the block have called it from the same line.
 *  Returns the number of threads whose predicate is true. */
uint32_t meet_block(int line, bool predicate);

/** What the lanes of a warp do together: `work` gets the argument of each lane of `mask` once all
 *  have come with the same `what`, `key` and mask. Lanes that do not exist count as there. */
using warp_work = void (*)(uint32_t mask, void *const *arguments);
void meet_warp(const char *what, const void *key, uint32_t mask, warp_work work, void *argument);

uint32_t lane_index();
/** Of all threads that exist at the same time. */
uint32_t linear_thread();

/** barrier.cluster: a thread that ends counts as having come for good. */
void arrive_at_cluster();
void wait_for_cluster();
/** The running block's place in its cluster. */
uint32_t cluster_rank();
/** What another block of the cluster has in shared memory, in the order of exchange_shared; NULL
 *  for the running one. */
uint8_t *shared_of_rank(uint32_t rank);

/** griddepcontrol.wait: opens the bindings for the running thread. */
void wait_for_grid();

/* ---- Memory (memory.cpp) --------------------------------------------------------------------- */

/** Places the bindings; false, with a message kept, when there is no memory. */
bool open_memory(const emulate_launch *launch);
/** Checks what must not have changed; NULL, or words. Copies back what may have if `keep`. */
const char *close_memory(const emulate_launch *launch, bool keep);
uint64_t binding_address(uint32_t index);
/** Closes or opens what other kernels may write. */
void set_open(bool open);
/** Fails unless [address, address + size) is shared memory or may be read now, as constant data if
 *  `constant`. */
void check_read(const void *address, size_t size_bytes, bool constant, const char *what);
/** What a fault at this address means, for messages. */
void describe_address(const void *address, char *out_text, size_t size_bytes);

/** Poisons shared memory, and sets the size of its dynamic part. */
void reset_shared(uint32_t dynamic_bytes);
extern uint8_t *dynamic_shared;
/** 32-bit addresses of shared memory, as PTX has them. */
uint32_t shared_address(const void *pointer);
void *shared_pointer(uint32_t address, uint32_t size_bytes);
/** mapa: the address of the same place in another block's shared memory. */
uint32_t map_shared(uint32_t address, uint32_t rank);
/** Memory at an address that map_shared has made, or one of the block's own. */
void *cluster_pointer(uint32_t address, uint32_t size_bytes);
void poison(void *memory, size_t size_bytes);
/** Bytes of a block's shared memory: static, then dynamic. */
size_t shared_bytes();
/** Keeps what is in shared memory, and puts another block's content there; NULL: neither. */
void exchange_shared(uint8_t *keep, const uint8_t *bring);

/* ---- Asynchronous copies (copies.cpp) -------------------------------------------------------- */

void reset_copies();
/** Copies that nobody has waited for yet. */
uint32_t count_pending_copies();
void copy_async(uint32_t target, const void *source, uint32_t bytes, uint32_t source_bytes);
void commit_copies();
/** Waits for all but the newest `pending` groups. */
void wait_copies(uint32_t pending);
void copy_bulk(uint32_t target, const void *source, uint32_t bytes, uint32_t barrier);
void barrier_init(uint32_t address, uint32_t count);
void barrier_arrive(uint32_t address, uint32_t expected_bytes);
bool barrier_try_wait(uint32_t address, uint32_t parity);

/* ---- Numbers (number.cpp) -------------------------------------------------------------------- */

float float_of_bits(uint32_t bits);
uint32_t bits_of_float(float value);
float float_of_f16(uint16_t value);
/** To nearest even. */
uint16_t f16_of_float(float value);
float float_of_bf16(uint16_t value);
uint16_t bf16_of_float(float value);
/** fp8 with four bits of exponent and three of mantissa; no infinities, 0x7F is NaN. */
float float_of_e4m3(uint8_t value);
/** To nearest even; beyond 448 gives 448. */
uint8_t e4m3_of_float(float value);

/* ---- Inline assembly (ptx.cpp, instructions.cpp) --------------------------------------------- */

struct operand {
    /** Where the variable is; NULL: `value` holds an input. */
    void *variable;
    uint32_t size_bytes;
    uint64_t value;
};

/** A parsed asm text. */
struct code;
code *parse_assembly(const char *text);
void run_assembly(code *code, operand *operands);

} // namespace emulate

#endif // SEGUE_TEST_EMULATE_RUNTIME_HPP
