// SPDX-License-Identifier: Apache-2.0
/**
 * @file patterns.h
 * Recordings of any length that the dependency pass meets in programs, and those that are meant to
 * make it slow. For its tests and its benchmark.
 */
#ifndef SEGUE_TEST_PATTERNS_H
#define SEGUE_TEST_PATTERNS_H

#include <segue/segue.h>

#define PATTERN_BINDINGS 4
#define PATTERN_BUFFERS 64
/** Of each buffer; of the last one PATTERN_HUGE_BYTES. */
#define PATTERN_BUFFER_BYTES 65536
#define PATTERN_HUGE_BYTES (UINT64_C(1) << 26)
#define PATTERN_CONSTANTS_BYTES 16

enum pattern {
    /** One command after the other: the same four bindings, a full barrier after each. */
    PATTERN_CHAIN,
    /** Scopes of 8 with the same four bindings. */
    PATTERN_SCOPES,
    /** Scopes of 32, each command a part of two buffers in turn and weights of its own. */
    PATTERN_TILES,
    /** 24 independent chains side by side. */
    PATTERN_TOWERS,
    /** Layers of eleven commands with fan-outs, as in a transformer. */
    PATTERN_LAYERS,
    /** 512 readers of a buffer, then 512 writers of parts of it. */
    PATTERN_READERS_WRITERS,
    /** 512 writers of parts of a buffer, then 512 readers of it. */
    PATTERN_WRITERS_READERS,
    /** 512 writers of parts, then readers of 512 different large ranges. */
    PATTERN_OVERLAPS,
    /** Reads that split a buffer in ever smaller parts, with a barrier after each, and now and then
     *  a write of a small part. */
    PATTERN_SPLITS,
    /** Random small ranges of the huge buffer, scopes of 16. */
    PATTERN_RANDOM,
    /** The same with ranges of all sizes. */
    PATTERN_RANDOM_SIZES,
    /** Opaque dispatches only, a barrier after each. */
    PATTERN_OPAQUE,
    /** Every eighth opaque, scopes of 4. */
    PATTERN_SOME_OPAQUE,
    /** Random ranges of 8 slots and of buffers, scopes of 4. */
    PATTERN_SLOTS,
    /** Ranges of 512 slots, scopes of 32. */
    PATTERN_MANY_SLOTS,
    /** Scopes of 8 behind memory barriers with masks. */
    PATTERN_MASKED,
    /** Tiles behind buffer barriers of the buffer written last. */
    PATTERN_RANGED,
    PATTERN_COUNT,
};

#define PATTERN_SLOT_COUNT 512

const char *pattern_name(enum pattern pattern);

/** What patterns refer to, on any device. */
struct pattern_world {
    segue_device *device;
    segue_buffer *buffers[PATTERN_BUFFERS];
    /** Three bindings read, one written; the second is also opaque. */
    segue_executable *plain;
    segue_executable *opaque;
};

/** @param ptx a kernel `name` of four pointers and 16 bytes; a device without a driver takes any */
segue_status pattern_world_open(struct pattern_world *world, segue_device *device, const char *ptx,
                                size_t ptx_bytes, const char *name);
/** Half-opened is fine. */
void pattern_world_close(struct pattern_world *world);

/** Records `count` commands for `mode` and ends. */
segue_status pattern_record(const struct pattern_world *world, enum pattern pattern, uint32_t count,
                            enum segue_execution_mode mode,
                            segue_command_buffer **out_command_buffer);

#endif // SEGUE_TEST_PATTERNS_H
