// SPDX-License-Identifier: Apache-2.0
#include "program.h"
#include "test.h"

uint32_t program_buffer_words(uint32_t buffer)
{
    return buffer == PROGRAM_LARGE_BUFFER ? PROGRAM_LARGE_WORDS : PROGRAM_SMALL_WORDS;
}

uint32_t program_slot_of(const struct program *program, const struct program_range *range,
                         uint8_t naming)
{
    if (naming != 2 || range->length == 0)
        return program->slot_count;
    // Where slots overlap, all of them are used.
    uint32_t first = program->lowers_aliases ? range->offset / 4 + range->length : 0;
    for (uint32_t i = 0; i < program->slot_count; ++i) {
        uint32_t slot = (first + i) % program->slot_count;
        const struct program_range *window = &program->slots[slot].window;
        if (window->buffer == range->buffer && range->offset >= window->offset &&
            range->offset + range->length <= window->offset + window->length)
            return slot;
    }
    return program->slot_count;
}

/** A range of `length` bytes at a multiple of `align`, in any buffer (one that is written: not the
 *  constant one). */
static struct program_range random_range(uint64_t *random, uint32_t length, uint32_t align,
                                         bool written)
{
    uint32_t buffer;
    do {
        buffer = segue_test_random_below(random, PROGRAM_BUFFERS);
    } while ((written && buffer == PROGRAM_CONSTANT_BUFFER) ||
             length > program_buffer_words(buffer) * 4);
    uint32_t places = (program_buffer_words(buffer) * 4 - length) / align + 1;
    // Most of the large buffer is never touched, so that conflicts happen there, too.
    if (places > 100 && segue_test_random_below(random, 4))
        places = 100;
    return (struct program_range){buffer, segue_test_random_below(random, places) * align, length};
}

/** Makes the ranges of a work op short and spreads them over the large buffer. */
static void spread(struct program_op *op, uint64_t *random)
{
    uint32_t length = (1 + segue_test_random_below(random, 3)) * 4;
    for (uint32_t i = 0; i < program_range_count(op); ++i) {
        // Places do not overlap, so that no op can touch one range of its own with another.
        uint32_t place = segue_test_random_below(random, 400) * 3 + i;
        op->ranges[i] = (struct program_range){PROGRAM_LARGE_BUFFER, place * 16, length};
    }
}

/** Makes the ranges of a work op short and puts them into one small buffer. */
static void gather(struct program_op *op, uint64_t *random)
{
    uint32_t length = (1 + segue_test_random_below(random, 6)) * 4;
    uint32_t first = segue_test_random_below(random, 3);
    for (uint32_t i = 0; i < program_range_count(op); ++i) {
        // Each in a third of its own.
        uint32_t third = PROGRAM_SMALL_WORDS / 3;
        uint32_t word = segue_test_random_below(random, third - length / 4 + 1);
        op->ranges[i] = (struct program_range){PROGRAM_SLOT_BUFFER,
                                               ((first + i) % 3 * third + word) * 4, length};
    }
}

/** Lengths are short, sometimes 0, seldom long enough for the driver's own copies and fills. */
static uint32_t random_words(uint64_t *random)
{
    uint32_t choice = segue_test_random_below(random, 40);
    if (choice == 0)
        return 0;
    if (choice == 1)
        return 16384 + segue_test_random_below(random, 8000);
    return 1 + segue_test_random_below(random, choice < 10 ? 64 : 12);
}

static void random_transfer(struct program_op *op, uint64_t *random)
{
    uint32_t length = random_words(random) * 4;
    switch (op->kind) {
    case OP_FILL:
        op->b = 1u << segue_test_random_below(random, 3);
        length += op->b * segue_test_random_below(random, 4);
        op->ranges[0] = random_range(random, length, op->b, true);
        op->a = (uint32_t)segue_test_random(random);
        break;
    case OP_UPDATE:
        length = (length + segue_test_random_below(random, 4)) % 2048;
        op->ranges[0] = random_range(random, length, 1, true);
        op->a = (uint32_t)segue_test_random(random);
        break;
    default:
        length += segue_test_random_below(random, 4);
        do {
            op->ranges[0] = random_range(random, length, 1, false);
            op->ranges[1] = random_range(random, length, 1, true);
        } while (program_ranges_overlap(&op->ranges[0], &op->ranges[1]));
        break;
    }
}

static void random_dispatch(struct program_op *op, uint64_t *random)
{
    // Bindings of length 0 would make no difference to the kernel's count.
    uint32_t length = (random_words(random) % 4096 + 1) * 4;
    uint32_t count = program_range_count(op);
    bool again;
    do {
        again = false;
        for (uint32_t i = 0; i < count; ++i)
            op->ranges[i] = random_range(random, length, 4, i + 1 == count);
        for (uint32_t i = 0; i + 1 < count; ++i)
            again |= program_ranges_overlap(&op->ranges[i], &op->ranges[count - 1]);
    } while (again);
    op->a = 1 + segue_test_random_below(random, 100) * 2;
    op->b = segue_test_random_below(random, 1000);
}

static struct program_op random_work(uint64_t *random, enum program_style style)
{
    struct program_op op = {.kind = segue_test_random_below(random, OP_LAST_WORK + 1)};
    if (op.kind <= OP_COPY)
        random_transfer(&op, random);
    else
        random_dispatch(&op, random);
    if (style == PROGRAM_WIDE)
        spread(&op, random);
    if (style == PROGRAM_OVERLAPPING_SLOTS)
        gather(&op, random);
    for (int i = 0; i < 3; ++i)
        op.naming[i] = (uint8_t)segue_test_random_below(random, 3);
    return op;
}

/** Some barrier that may or may not order `first` before what comes. */
static struct program_op random_barrier(const struct program *program, uint32_t first,
                                        uint64_t *random)
{
    struct program_op op = {.kind = OP_BARRIER};
    uint32_t choice = segue_test_random_below(random, 10);
    bool all = segue_test_random_below(random, 2);
    op.a = all ? SEGUE_ACCESS_MASK_ALL : 1 + segue_test_random_below(random, 15);
    op.b = all ? SEGUE_ACCESS_MASK_ALL : 1 + segue_test_random_below(random, 15);
    if (choice < 3) {
        op.kind = OP_MEMORY_BARRIER;
    } else if (choice < 6) {
        op.kind = OP_BUFFER_BARRIER;
        const struct program_op *work = &program->ops[first];
        op.ranges[0] = work->ranges[segue_test_random_below(random, program_range_count(work))];
        op.naming[0] = (uint8_t)segue_test_random_below(random, 3);
    } else if (choice < 8) {
        op.kind = OP_WAIT;
        op.a = segue_test_random_below(random, PROGRAM_EVENTS);
    }
    return op;
}

static void append(struct program *program, const struct program_op *op)
{
    program->ops[program->op_count++] = *op;
}

/** Whether a wait has a signal in this program; events never signalled are not for here. */
static bool wait_is_signalled(const struct program *program, uint32_t event)
{
    for (uint32_t i = program->op_count; i-- > 0;) {
        const struct program_op *op = &program->ops[i];
        if ((op->kind == OP_SIGNAL || op->kind == OP_RESET) && op->a == event)
            return op->kind == OP_SIGNAL;
    }
    return false;
}

/** Appends `work`, with barriers before it until it conflicts with nothing unordered. */
static void append_ordered(struct program *program, const struct program_op *work, uint64_t *random,
                           enum program_style style)
{
    for (int attempt = 0;; ++attempt) {
        uint32_t first;
        append(program, work);
        if (!program_order_op(program, program->op_count - 1, false, &first))
            return;
        program->op_count--;
        struct program_op barrier = {.kind = OP_BARRIER};
        if (style != PROGRAM_FULL_BARRIERS && attempt < 3)
            barrier = random_barrier(program, first, random);
        if (barrier.kind == OP_WAIT && !wait_is_signalled(program, barrier.a))
            continue;
        append(program, &barrier);
        program_order_op(program, program->op_count - 1, false, &first);
    }
}

/** Now and then something that does no work. */
static void append_decoration(struct program *program, uint64_t *random, uint32_t *depth)
{
    struct program_op op = {.kind = OP_BARRIER, .a = segue_test_random_below(random, 3)};
    switch (segue_test_random_below(random, 12)) {
    case 0:
    case 1:
    case 2:
        op.kind = OP_SIGNAL;
        break;
    case 3:
        op.kind = OP_RESET;
        break;
    case 4:
        op.kind = OP_BEGIN_GROUP;
        ++*depth;
        break;
    case 5:
        if (*depth == 0)
            return;
        op.kind = OP_END_GROUP;
        --*depth;
        break;
    case 6:
        break;
    default:
        return;
    }
    append(program, &op);
    uint32_t none;
    program_order_op(program, program->op_count - 1, false, &none);
}

static void choose_slots(struct program *program, uint64_t *random)
{
    program->slot_count = segue_test_random_below(random, PROGRAM_MAX_SLOTS + 1);
    for (uint32_t i = 0; i < program->slot_count; ++i) {
        uint32_t buffer = segue_test_random_below(random, PROGRAM_BUFFERS);
        uint32_t half = program_buffer_words(buffer) * 2;
        program->slots[i].window =
            (struct program_range){buffer, segue_test_random_below(random, 2) * half / 8 * 4, half};
    }
}

static void choose_secondary(struct program *program, uint64_t *random)
{
    if (segue_test_random_below(random, 2))
        return;
    uint32_t first = segue_test_random_below(random, program->op_count);
    uint32_t end = first;
    while (end < program->op_count && end < first + 20 && program->ops[end].kind < OP_BEGIN_GROUP)
        ++end;
    program->secondary_first = first;
    program->secondary_end = end;
}

/** Slots that mostly overlap, for all that is in their buffer. */
static void overlap_slots(struct program *program, uint64_t *random)
{
    uint32_t part = PROGRAM_SMALL_WORDS / 8 * 4;
    program->lowers_aliases = true;
    program->slot_count = 2 + segue_test_random_below(random, PROGRAM_MAX_SLOTS - 1);
    for (uint32_t i = 0; i < program->slot_count; ++i)
        program->slots[i].window = (struct program_range){
            PROGRAM_SLOT_BUFFER, segue_test_random_below(random, 5) * part, 4 * part};
    for (uint32_t i = 0; i < program->op_count; ++i)
        memset(program->ops[i].naming, 2, sizeof(program->ops[i].naming));
}

/** By numbers of their own: a program without its constant slots is the same program. */
static void choose_constant_slots(struct program *program)
{
    uint64_t random = program->seed * 131 + 7;
    if (segue_test_random_below(&random, 2))
        return;
    program->constant_slot_count = 1 + segue_test_random_below(&random, PROGRAM_MAX_CONSTANT_SLOTS);
    for (uint32_t i = 0; i < program->op_count; ++i) {
        for (int k = 0; k < 2; ++k) {
            bool given = segue_test_random_below(&random, 2);
            uint32_t slot = segue_test_random_below(&random, program->constant_slot_count);
            program->ops[i].given[k] = given ? (uint8_t)(slot + 1) : 0;
        }
    }
}

void program_generate(struct program *program, uint64_t seed, enum program_style style)
{
    memset(program, 0, sizeof(*program));
    program->seed = seed;
    uint64_t random = seed * 77 + 5;
    uint32_t depth = 0;
    uint32_t work_count = style == PROGRAM_WIDE ? 100 : 5 + segue_test_random_below(&random, 60);
    // Room for what append_ordered adds and for closing groups.
    for (uint32_t i = 0; i < work_count && program->op_count + depth < PROGRAM_MAX_OPS - 40; ++i) {
        if (style == PROGRAM_ALL_BARRIERS || style == PROGRAM_OVERLAPPING_SLOTS)
            append_decoration(program, &random, &depth);
        struct program_op work = random_work(&random, style);
        append_ordered(program, &work, &random, style);
    }
    for (; depth > 0; --depth)
        append(program, &(struct program_op){.kind = OP_END_GROUP});
    if (style == PROGRAM_OVERLAPPING_SLOTS)
        overlap_slots(program, &random);
    else
        choose_slots(program, &random);
    choose_secondary(program, &random);
    choose_constant_slots(program);
}
