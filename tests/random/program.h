// SPDX-License-Identifier: Apache-2.0
/**
 * @file program.h
 * Random programs of commands, what they mean (a serial interpreter over host arrays that shares no
 * code with the library), and which of their commands the documented rules order (by brute force).
 */
#ifndef SEGUE_TEST_PROGRAM_H
#define SEGUE_TEST_PROGRAM_H

#include <segue/trace.h>

#include <stdbool.h>
#include <stdint.h>

enum {
    PROGRAM_BUFFERS = 6,
    PROGRAM_EVENTS = 3,
    PROGRAM_MAX_OPS = 192,
    PROGRAM_MAX_SLOTS = 3,
    PROGRAM_MAX_CONSTANT_SLOTS = 3,
    /** Words of the last buffer, which is large, and of the others. */
    PROGRAM_LARGE_WORDS = 60000,
    PROGRAM_SMALL_WORDS = 96,
};

/** Roles of buffers. */
enum {
    PROGRAM_HOST_VISIBLE_BUFFER = 0,
    /** Only read. */
    PROGRAM_CONSTANT_BUFFER = 1,
    PROGRAM_SLOT_BUFFER = 2,
    PROGRAM_LARGE_BUFFER = PROGRAM_BUFFERS - 1,
};

enum program_op_kind {
    OP_FILL,
    OP_UPDATE,
    OP_COPY,
    OP_ADD,
    OP_SCALE,
    OP_MIX,
    /** The last kind that does work. */
    OP_LAST_WORK = OP_MIX,
    OP_BARRIER,
    OP_MEMORY_BARRIER,
    OP_BUFFER_BARRIER,
    OP_SIGNAL,
    OP_RESET,
    OP_WAIT,
    OP_BEGIN_GROUP,
    OP_END_GROUP,
};

/** Bytes of a buffer. */
struct program_range {
    uint32_t buffer;
    uint32_t offset;
    uint32_t length;
};

/** One command. */
struct program_op {
    enum program_op_kind kind;
    /** FILL, UPDATE, SCALE: target. COPY, MIX: source, target. ADD: left, right, out. Buffer
     *  barriers: the range. */
    struct program_range ranges[3];
    /** FILL: pattern and its size. SCALE: factor, addend. MIX: shift. UPDATE: seed of the data.
     *  Barriers: source and target mask. Events: number. */
    uint32_t a, b;
    /** Left out (mutations). */
    bool removed;
    /** How each range is named: 0 the buffer, 1 a view, 2 a slot where one has it. */
    uint8_t naming[3];
    /** SCALE, MIX: 0, or one more than the constant slot that gives `a`, and `b`, where the program
     *  has it. */
    uint8_t given[2];
};

/** What a slot stands for. */
struct program_slot {
    struct program_range window;
};

struct program {
    uint64_t seed;
    struct program_op ops[PROGRAM_MAX_OPS];
    uint32_t op_count;
    struct program_slot slots[PROGRAM_MAX_SLOTS];
    uint32_t slot_count;
    uint32_t constant_slot_count;
    /** Slots are promised to be distinct, but may overlap: then their order is found at the
     *  submission. */
    bool lowers_aliases;
    /** Ops [first, end) are recorded in a secondary command buffer; empty: none. */
    uint32_t secondary_first;
    uint32_t secondary_end;
    /** before[b][a]: op a is ordered before op b. Filled in by program_order_op. */
    bool before[PROGRAM_MAX_OPS][PROGRAM_MAX_OPS];
};

/** Which barriers a program may use. */
enum program_style {
    PROGRAM_ALL_BARRIERS,
    PROGRAM_FULL_BARRIERS,
    /** Many short commands between barriers, so that joins are needed. */
    PROGRAM_WIDE,
    /** All in one buffer, most of it named by slots that mostly overlap, and are promised all the
     * same to be distinct. */
    PROGRAM_OVERLAPPING_SLOTS,
};

/** A program without hazards. */
void program_generate(struct program *program, uint64_t seed, enum program_style style);

/** Number of ranges of a work op. */
uint32_t program_range_count(const struct program_op *op);
/** Whether that range is read, and written. */
bool program_range_reads(const struct program_op *op, uint32_t index);
bool program_range_writes(const struct program_op *op, uint32_t index);

bool program_ranges_overlap(const struct program_range *a, const struct program_range *b);

/**
 * Works out what is ordered before op `later` (earlier ops must be done), and finds an op that
 * conflicts with it and is not; false if there is none. With `generous`, a barrier with a range
 * counts for every command that touches it in any way and makes a fitting access anywhere; without,
 * only where one and the same access does both. Both readings of the rule are in use.
 */
bool program_order_op(struct program *program, uint32_t later, bool generous, uint32_t *out_first);

/** Whether two work ops touch the same bytes and one of them writes these. */
bool program_conflicts(const struct program_op *first, const struct program_op *second);

/** The first two ops that conflict without an order; false if there are none. */
bool program_find_hazard(struct program *program, bool generous, uint32_t *out_first,
                         uint32_t *out_second);

uint32_t program_buffer_words(uint32_t buffer);
/** A buffer's initial content, the same in every program; as traces describe it, and its words. */
struct segue_content program_content(uint32_t buffer);
const uint32_t *program_initial(uint32_t buffer);
/** The slot that a range is named by, slot_count if it is named otherwise. */
uint32_t program_slot_of(const struct program *program, const struct program_range *range,
                         uint8_t naming);
/** The data of an UPDATE. */
void program_update_data(const struct program_op *op, unsigned char *bytes);
/** Whether a constant slot gives number `index` of the op, 0: `a`, 1: `b`; and which. */
bool program_is_given(const struct program *program, const struct program_op *op, uint32_t index,
                      uint32_t *out_slot);
/** What a constant slot is in a run of the program, which are counted from 0. */
uint32_t program_constant(const struct program *program, uint32_t slot, uint32_t run);
/** Runs the program once, in recorded order; it is that run. */
void program_interpret(const struct program *program, uint32_t run, uint32_t *const *buffers);
/** For people. */
void program_print(const struct program *program);

#endif // SEGUE_TEST_PROGRAM_H
