// SPDX-License-Identifier: Apache-2.0
// Which commands the documented rules order: quadratic, and deliberately naive.
#include "program.h"

#include <segue/command_buffer.h>

#include <string.h>

uint32_t program_range_count(const struct program_op *op)
{
    switch (op->kind) {
    case OP_FILL:
    case OP_UPDATE:
    case OP_SCALE:
        return 1;
    case OP_COPY:
    case OP_MIX:
        return 2;
    case OP_ADD:
        return 3;
    default:
        return 0;
    }
}

bool program_range_reads(const struct program_op *op, uint32_t index)
{
    switch (op->kind) {
    case OP_COPY:
        return index == 0;
    case OP_ADD:
        return index < 2;
    case OP_SCALE:
    case OP_MIX:
        return true;
    default:
        return false;
    }
}

bool program_range_writes(const struct program_op *op, uint32_t index)
{
    return index + 1 == program_range_count(op);
}

static bool is_work(const struct program_op *op)
{
    return op->kind <= OP_LAST_WORK && !op->removed;
}

bool program_ranges_overlap(const struct program_range *a, const struct program_range *b)
{
    return a->buffer == b->buffer && a->length != 0 && b->length != 0 &&
           a->offset < b->offset + b->length && b->offset < a->offset + a->length;
}

/** Bits of segue_access_mask of one range. */
static uint32_t range_mask(const struct program_op *op, uint32_t index)
{
    bool transfer = op->kind <= OP_COPY;
    uint32_t mask = 0;
    if (program_range_reads(op, index))
        mask |= transfer ? SEGUE_ACCESS_MASK_TRANSFER_READ : SEGUE_ACCESS_MASK_DISPATCH_READ;
    if (program_range_writes(op, index))
        mask |= transfer ? SEGUE_ACCESS_MASK_TRANSFER_WRITE : SEGUE_ACCESS_MASK_DISPATCH_WRITE;
    return mask;
}

/** Whether a barrier with `mask` on one of its sides concerns `op`. */
static bool concerns(const struct program_op *barrier, uint32_t mask, const struct program_op *op,
                     bool generous)
{
    bool touches = false;
    uint32_t all = 0;
    for (uint32_t i = 0; i < program_range_count(op); ++i) {
        uint32_t found = range_mask(op, i);
        bool here = barrier->kind != OP_BUFFER_BARRIER ||
                    program_ranges_overlap(&op->ranges[i], &barrier->ranges[0]);
        if (here && (found & mask))
            return true;
        touches |= here;
        all |= found;
    }
    return generous && touches && (all & mask);
}

/** The op that signalled the event that op `wait` waits for, or op_count if none did. */
static uint32_t signal_of(const struct program *program, uint32_t wait)
{
    for (uint32_t i = wait; i-- > 0;) {
        const struct program_op *op = &program->ops[i];
        if (op->removed || op->a != program->ops[wait].a)
            continue;
        if (op->kind == OP_SIGNAL)
            return i;
        if (op->kind == OP_RESET)
            break;
    }
    return program->op_count;
}

/** Marks in `before` the ops that op `middle` orders before op `later`. */
static void add_ordered(const struct program *program, uint32_t middle, uint32_t later,
                        bool generous, bool *before)
{
    const struct program_op *barrier = &program->ops[middle];
    uint32_t end = middle;
    if (barrier->kind == OP_WAIT) {
        end = signal_of(program, middle);
        if (end == program->op_count)
            return;
    } else if (barrier->kind != OP_BARRIER &&
               !concerns(barrier, barrier->b, &program->ops[later], generous)) {
        return;
    }
    for (uint32_t i = 0; i < end; ++i) {
        if (!is_work(&program->ops[i]))
            continue;
        if (barrier->kind == OP_BARRIER || barrier->kind == OP_WAIT ||
            concerns(barrier, barrier->a, &program->ops[i], generous))
            before[i] = true;
    }
}

bool program_conflicts(const struct program_op *first, const struct program_op *second)
{
    for (uint32_t i = 0; i < program_range_count(first); ++i) {
        for (uint32_t k = 0; k < program_range_count(second); ++k) {
            if (program_ranges_overlap(&first->ranges[i], &second->ranges[k]) &&
                (program_range_writes(first, i) || program_range_writes(second, k)))
                return true;
        }
    }
    return false;
}

bool program_order_op(struct program *program, uint32_t later, bool generous, uint32_t *out_first)
{
    bool *before = program->before[later];
    memset(before, 0, sizeof(program->before[later]));
    if (!is_work(&program->ops[later]))
        return false;
    for (uint32_t middle = 0; middle < later; ++middle) {
        const struct program_op *op = &program->ops[middle];
        if (!op->removed && (op->kind == OP_WAIT || op->kind == OP_BARRIER ||
                             op->kind == OP_MEMORY_BARRIER || op->kind == OP_BUFFER_BARRIER))
            add_ordered(program, middle, later, generous, before);
    }
    for (uint32_t i = later; i-- > 0;) {
        for (uint32_t k = 0; before[i] && k < i; ++k)
            before[k] |= program->before[i][k];
    }
    for (uint32_t first = 0; first < later; ++first) {
        if (is_work(&program->ops[first]) && !before[first] &&
            program_conflicts(&program->ops[first], &program->ops[later])) {
            *out_first = first;
            return true;
        }
    }
    return false;
}

bool program_find_hazard(struct program *program, bool generous, uint32_t *out_first,
                         uint32_t *out_second)
{
    for (*out_second = 0; *out_second < program->op_count; ++*out_second) {
        if (program_order_op(program, *out_second, generous, out_first))
            return true;
    }
    return false;
}
