// SPDX-License-Identifier: Apache-2.0
/**
 * @file entry.h
 * Launches of declared entry points: access and alignment of the bindings, the block's size and
 * whether there is a grid dependency come from the declaration.
 */
#ifndef SEGUE_TEST_EMULATE_ENTRY_H
#define SEGUE_TEST_EMULATE_ENTRY_H

#include "emulate.h"

#include <segue/executable.h>

/** What a launch of an entry point needs besides its declaration. */
struct entry_launch {
    const char *unit;
    const struct segue_entry_point *entry;
    /** __CUDA_ARCH__ of the unit: below 900 there are no grid dependencies. */
    uint32_t architecture;
    uint32_t grid;
    /** In order; changed by the launch. */
    void *memory[EMULATE_MAX_BINDINGS];
    size_t sizes[EMULATE_MAX_BINDINGS];
    /** Bindings that count as constant whatever is declared, but for these bytes of them. */
    bool is_settled[EMULATE_MAX_BINDINGS];
    size_t late_offset[EMULATE_MAX_BINDINGS];
    size_t late_bytes[EMULATE_MAX_BINDINGS];
    /** Blocks of a cluster, for which the kernel is compiled; 0: none. */
    uint32_t cluster;
    const void *constants;
    size_t constants_size_bytes;
    uint64_t seed;
};

/** Runs it; fails the running test, with `what` before the words, where the emulator does. */
void entry_run(const struct entry_launch *launch, const char *what);

#endif // SEGUE_TEST_EMULATE_ENTRY_H
