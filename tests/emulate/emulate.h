// SPDX-License-Identifier: Apache-2.0
/**
 * @file emulate.h
 * Runs CUDA kernels on the CPU, for tests: the .cu text is translated (translate.h), compiled as
 * host code, and every thread of a block becomes a fiber. A launch fails, with words, where a
 * kernel touches memory outside its bindings or against their declared access, touches what other
 * kernels write before griddepcontrol.wait, lets threads of a block or lanes of a warp wait for
 * each other in vain, or does what C++ leaves undefined (alignment, shifts, bounds). Blocks, and
 * the threads between two points where they meet, run in random order, shared memory starts as
 * poison, and asynchronous copies arrive as late as they may: what a missing barrier or wait reads
 * is wrong.
 *
 * Not seen: what only blocks that run at the same time show, as they run one after the other here
 * (those of a cluster in turns), and orders that only weak memory gives (a missing fence).
 *
 * One launch at a time; not thread-safe.
 */
#ifndef SEGUE_TEST_EMULATE_H
#define SEGUE_TEST_EMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EMULATE_API __attribute__((visibility("default")))

enum emulate_access {
    EMULATE_READ,
    EMULATE_WRITE,
    EMULATE_READ_WRITE,
    /** Read only, and by no kernel written: may be read before griddepcontrol.wait. */
    EMULATE_CONSTANT,
};

/** Memory that a launch may touch, and nothing beside it. */
struct emulate_binding {
    enum emulate_access access;
    /** The kernel sees a copy at an address of this alignment (a power of two; 0 is 1), plus
     *  `phase_bytes`; afterwards what it wrote is copied back. */
    uint32_t align_bytes;
    uint32_t phase_bytes;
    void *data;
    size_t size_bytes;
    /** Of a constant one: bytes that a kernel before writes all the same. That inline assembly
     * reads them before griddepcontrol.wait is noticed. */
    size_t late_offset;
    size_t late_bytes;
};

#define EMULATE_MAX_BINDINGS 16

/** A launch. Kernel parameters are the addresses of the bindings, in order, then the constants. */
struct emulate_launch {
    /** Name of the unit (units.h) and of the kernel in it. */
    const char *unit;
    const char *kernel;
    uint32_t grid;
    uint32_t block;
    /** Blocks of a cluster, up to 8; 0: none. */
    uint32_t cluster;
    uint32_t dynamic_shared_bytes;
    const struct emulate_binding *bindings;
    uint32_t binding_count;
    /** One after the other, each aligned to its own size as in a C struct. */
    const void *constants;
    size_t constants_size_bytes;
    /** The kernel was declared with SEGUE_ENTRY_GRID_DEPENDENCY, and the unit is compiled for an
     *  architecture that has it: all bindings but constant ones are closed until a thread waits. */
    bool grid_dependency;
    /** Of all random choices. Reads beyond the end of a binding are caught unless this is 3 modulo
     * 4, when those before its beginning are; writes always. */
    uint64_t seed;
};

/** Runs the launch. Returns NULL, or what went wrong in a static buffer, valid until the next
 *  launch; bindings keep their content then. */
EMULATE_API const char *emulate_run(const struct emulate_launch *launch);

/** Whether there is such a unit and kernel. */
EMULATE_API bool emulate_has(const char *unit, const char *kernel);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_TEST_EMULATE_H
