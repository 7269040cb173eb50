// SPDX-License-Identifier: Apache-2.0
// Faults in what one command does: each is made in a copy of its segment, for the driver, and in
// the op, for the interpreter.
#include "mutant.h"
#include "test.h"

#include <stdlib.h>

static size_t segment_size(const struct segue_segment *segment)
{
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return sizeof(struct segue_fill_segment);
    case SEGUE_COMMAND_UPDATE:
        return sizeof(struct segue_update_segment) +
               ((const struct segue_update_segment *)segment)->target.length_bytes;
    case SEGUE_COMMAND_COPY:
        return sizeof(struct segue_copy_segment);
    default: {
        const struct segue_dispatch_segment *dispatch =
            (const struct segue_dispatch_segment *)segment;
        uint32_t count;
        const struct segue_constant_use *uses = segue_dispatch_constant_uses(dispatch, &count);
        const unsigned char *end =
            count != 0 ? (const unsigned char *)(uses + count)
                       : segue_dispatch_constants(dispatch) + dispatch->constants_size_bytes;
        return (size_t)(end - (const unsigned char *)segment);
    }
    }
}

/** Replaces the node's segment by a copy to be changed. */
static struct segue_segment *change(struct mutant_node *node)
{
    size_t size = segment_size(node->segment);
    node->changed = malloc(size);
    assert_non_null(node->changed);
    memcpy(node->changed, node->segment, size);
    node->segment = node->changed;
    return node->changed;
}

static struct segue_range *range_of(struct segue_segment *segment, uint32_t index)
{
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL:
        return &((struct segue_fill_segment *)segment)->target;
    case SEGUE_COMMAND_UPDATE:
        return &((struct segue_update_segment *)segment)->target;
    case SEGUE_COMMAND_COPY:
        return index == 0 ? &((struct segue_copy_segment *)segment)->source
                          : &((struct segue_copy_segment *)segment)->target;
    default:
        return &((struct segue_dispatch_segment *)segment)->bindings[index];
    }
}

static unsigned char *constants_of(struct segue_segment *segment)
{
    struct segue_dispatch_segment *dispatch = (struct segue_dispatch_segment *)segment;
    return (unsigned char *)(dispatch->bindings + dispatch->binding_count);
}

/** Bytes that a range of the op can grow, shrink or move by. */
static uint32_t element_of(const struct program_op *op)
{
    if (op->kind == OP_FILL)
        return op->b;
    return op->kind <= OP_COPY ? 1 : 4;
}

/** All ranges are in their buffers, and none overlaps the one that is written. */
static bool is_sound(const struct program_op *op)
{
    uint32_t count = program_range_count(op);
    for (uint32_t i = 0; i < count; ++i) {
        const struct program_range *range = &op->ranges[i];
        uint32_t size = program_buffer_words(range->buffer) * 4;
        if (range->offset > size || range->length > size - range->offset ||
            (i + 1 < count && program_ranges_overlap(range, &op->ranges[count - 1])))
            return false;
    }
    return true;
}

static bool swap_ranges(struct mutant *mutant, struct mutant_node *node)
{
    uint32_t count = program_range_count(&node->op);
    if (count < 2)
        return false;
    uint32_t i = segue_test_random_below(&mutant->random, count - 1);
    uint32_t k = i + 1 + segue_test_random_below(&mutant->random, count - 1 - i);
    struct program_op op = node->op;
    op.ranges[i] = node->op.ranges[k];
    op.ranges[k] = node->op.ranges[i];
    if (!is_sound(&op))
        return false;
    node->op = op;
    struct segue_segment *segment = change(node);
    struct segue_range moved = *range_of(segment, i);
    *range_of(segment, i) = *range_of(segment, k);
    *range_of(segment, k) = moved;
    return true;
}

static bool shift(struct mutant *mutant, struct mutant_node *node)
{
    uint32_t index = segue_test_random_below(&mutant->random, program_range_count(&node->op));
    uint32_t by = element_of(&node->op);
    bool down = segue_test_random_below(&mutant->random, 2);
    struct segue_segment *segment = change(node);
    struct segue_range *range = range_of(segment, index);
    if (down && range->offset_bytes < by)
        return false;
    range->offset_bytes = down ? range->offset_bytes - by : range->offset_bytes + by;
    struct program_range *meant = &node->op.ranges[index];
    meant->offset = down ? meant->offset - by : meant->offset + by;
    return is_sound(&node->op);
}

/** One element less, or more. */
static bool stretch(struct mutant *mutant, struct mutant_node *node)
{
    struct program_op *op = &node->op;
    uint32_t by = element_of(op);
    bool more = mutant->kind == MUTANT_LONG;
    // There is no more data than an update has.
    if (more && op->kind == OP_UPDATE)
        return false;
    for (uint32_t i = 0; i < program_range_count(op); ++i)
        op->ranges[i].length = more ? op->ranges[i].length + by : op->ranges[i].length - by;
    if (op->ranges[0].length == 0 || !is_sound(op))
        return false;
    struct segue_segment *segment = change(node);
    if (op->kind <= OP_COPY) {
        for (uint32_t i = 0; i < program_range_count(op); ++i)
            range_of(segment, i)->length_bytes = op->ranges[i].length;
    } else {
        // Kernels go by their first constant.
        uint32_t count = op->ranges[0].length / 4;
        memcpy(constants_of(segment), &count, sizeof(count));
    }
    return true;
}

static bool change_pattern(struct mutant *mutant, struct mutant_node *node)
{
    if (node->op.kind != OP_FILL)
        return false;
    uint32_t size = node->op.b;
    uint32_t bit = UINT32_C(1) << segue_test_random_below(&mutant->random, 8 * size);
    struct segue_segment *segment = change(node);
    for (uint32_t at = 0; at < 4; at += size)
        segment->pattern ^= bit << (8 * at);
    node->op.a ^= bit;
    return true;
}

static bool change_constant(struct mutant *mutant, struct mutant_node *node)
{
    if (node->op.kind != OP_SCALE && node->op.kind != OP_MIX)
        return false;
    uint32_t word = 1;
    if (node->op.kind == OP_SCALE)
        word += segue_test_random_below(&mutant->random, 2);
    uint32_t slot;
    // What is recorded where a submission gives the value makes no difference.
    if (program_is_given(mutant->program, &node->op, word - 1, &slot))
        return false;
    uint32_t *meant = word == 1 ? &node->op.a : &node->op.b;
    *meant ^= UINT32_C(1) << segue_test_random_below(&mutant->random, 8);
    memcpy(constants_of(change(node)) + word * sizeof(*meant), meant, sizeof(*meant));
    return true;
}

static bool change_data(struct mutant *mutant, struct mutant_node *node)
{
    const struct mutant_node *other =
        &mutant->nodes[segue_test_random_below(&mutant->random, mutant->node_count)];
    if (!other->segment || other == node || node->op.kind != OP_UPDATE ||
        other->op.kind != OP_UPDATE || other->op.ranges[0].length < node->op.ranges[0].length)
        return false;
    node->op.a = other->op.a;
    ((struct segue_update_segment *)change(node))->staging_offset_bytes =
        ((const struct segue_update_segment *)other->segment)->staging_offset_bytes;
    return true;
}

/** Two entries of the table change places. */
static bool exchange_slots(struct mutant *mutant)
{
    const struct program *program = mutant->program;
    if (program->slot_count < 2)
        return false;
    uint32_t a = segue_test_random_below(&mutant->random, program->slot_count - 1);
    uint32_t b = a + 1;
    for (uint32_t i = 0; i < mutant->node_count; ++i) {
        struct program_op *op = &mutant->nodes[i].op;
        for (uint32_t k = 0; mutant->nodes[i].segment && k < program_range_count(op); ++k) {
            struct program_range *range = &op->ranges[k];
            uint32_t slot = program_slot_of(program, range, op->naming[k]);
            if (slot != a && slot != b)
                continue;
            const struct program_range *from = &program->slots[slot].window;
            const struct program_range *to = &program->slots[slot == a ? b : a].window;
            range->offset = range->offset - from->offset + to->offset;
            range->buffer = to->buffer;
        }
        if (mutant->nodes[i].segment && !is_sound(op))
            return false;
    }
    struct segue_range moved = mutant->slots[a];
    mutant->slots[a] = mutant->slots[b];
    mutant->slots[b] = moved;
    return true;
}

/** One value of the submission is another one. */
static bool change_constant_slot(struct mutant *mutant)
{
    const struct program *program = mutant->program;
    if (program->constant_slot_count == 0)
        return false;
    uint32_t slot = segue_test_random_below(&mutant->random, program->constant_slot_count);
    mutant->constants[slot] ^= UINT64_C(1) << segue_test_random_below(&mutant->random, 8);
    for (uint32_t i = 0; i < mutant->node_count; ++i) {
        struct program_op *op = &mutant->nodes[i].op;
        for (uint32_t k = 0; mutant->nodes[i].segment && k < 2; ++k) {
            uint32_t given;
            if (!program_is_given(program, op, k, &given) || given != slot)
                continue;
            *(k == 0 ? &op->a : &op->b) = (uint32_t)mutant->constants[slot];
            op->given[k] = 0;
        }
    }
    return true;
}

static bool plant_in(struct mutant *mutant, struct mutant_node *node)
{
    switch (mutant->kind) {
    case MUTANT_SWAP_RANGES:
        return swap_ranges(mutant, node);
    case MUTANT_SHIFT:
        return shift(mutant, node);
    case MUTANT_SHORT:
    case MUTANT_LONG:
        return stretch(mutant, node);
    case MUTANT_PATTERN:
        return change_pattern(mutant, node);
    case MUTANT_CONSTANT:
        return change_constant(mutant, node);
    default:
        return change_data(mutant, node);
    }
}

bool mutant_plant_content(struct mutant *mutant)
{
    if (mutant->kind == MUTANT_SLOTS)
        return exchange_slots(mutant);
    if (mutant->kind == MUTANT_CONSTANT_SLOT)
        return change_constant_slot(mutant);
    // Where a fault does not fit one command, another one is tried.
    for (uint32_t attempt = 0; attempt < 50; ++attempt) {
        struct mutant_node *node =
            &mutant->nodes[segue_test_random_below(&mutant->random, mutant->node_count)];
        if (!node->segment)
            continue;
        struct mutant_node before = *node;
        if (plant_in(mutant, node))
            return true;
        free(node->changed);
        *node = before;
    }
    return false;
}
