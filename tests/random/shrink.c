// SPDX-License-Identifier: Apache-2.0
// Delta debugging: chunks of commands of halving size are left out while the rest still fails, then
// each command is made plainer, all again until nothing changes.
#include "shrink.h"

#include <string.h>

#define MAX_CANDIDATES 5000

struct shrinker {
    struct program *best;
    struct program candidate;
    program_fails_fn fails;
    void *context;
    uint32_t tried;
};

static bool overlaps_itself(const struct program_op *op)
{
    uint32_t count = program_range_count(op);
    for (uint32_t i = 0; i + 1 < count; ++i) {
        if (program_ranges_overlap(&op->ranges[i], &op->ranges[count - 1]))
            return true;
    }
    return false;
}

/** Events and groups make sense. */
static bool is_well_formed(const struct program *program)
{
    bool signalled[PROGRAM_EVENTS] = {false};
    uint32_t depth = 0;
    for (uint32_t i = 0; i < program->op_count; ++i) {
        const struct program_op *op = &program->ops[i];
        if (op->removed)
            continue;
        if (op->kind == OP_SIGNAL || op->kind == OP_RESET)
            signalled[op->a] = op->kind == OP_SIGNAL;
        if (op->kind == OP_WAIT && !signalled[op->a])
            return false;
        if (op->kind == OP_END_GROUP && depth-- == 0)
            return false;
        depth += op->kind == OP_BEGIN_GROUP;
        if (op->kind <= OP_LAST_WORK && overlaps_itself(op))
            return false;
    }
    return depth == 0;
}

bool program_is_valid(struct program *program)
{
    uint32_t first, second;
    return program->op_count != 0 && is_well_formed(program) &&
           !program_find_hazard(program, false, &first, &second);
}

/** Keeps the candidate if it is another program that still fails. */
static bool try_candidate(struct shrinker *shrinker)
{
    if (shrinker->tried == MAX_CANDIDATES || !program_is_valid(&shrinker->candidate))
        return false;
    shrinker->tried++;
    if (!shrinker->fails(shrinker->context, &shrinker->candidate))
        return false;
    *shrinker->best = shrinker->candidate;
    return true;
}

/** How far a boundary moves when ops [first, end) go. */
static uint32_t move(uint32_t boundary, uint32_t first, uint32_t end)
{
    if (boundary <= first)
        return boundary;
    return boundary < end ? first : boundary - (end - first);
}

static bool try_without(struct shrinker *shrinker, uint32_t first, uint32_t end)
{
    struct program *program = &shrinker->candidate;
    *program = *shrinker->best;
    memmove(&program->ops[first], &program->ops[end],
            (program->op_count - end) * sizeof(program->ops[0]));
    program->op_count -= end - first;
    program->secondary_first = move(program->secondary_first, first, end);
    program->secondary_end = move(program->secondary_end, first, end);
    return try_candidate(shrinker);
}

static bool shrink_commands(struct shrinker *shrinker)
{
    bool changed = false;
    for (uint32_t size = shrinker->best->op_count / 2; size != 0; size /= 2) {
        for (uint32_t first = 0; first + size <= shrinker->best->op_count;) {
            if (try_without(shrinker, first, first + size))
                changed = true;
            else
                first += size;
        }
    }
    return changed;
}

/** A group goes with both its ends, which no chunk may have held together. */
static bool shrink_groups(struct shrinker *shrinker)
{
    bool changed = false;
    for (uint32_t i = 0; i < shrinker->best->op_count; ++i) {
        struct program *program = &shrinker->candidate;
        *program = *shrinker->best;
        if (program->ops[i].kind != OP_BEGIN_GROUP)
            continue;
        uint32_t depth = 0;
        for (uint32_t k = i; k < program->op_count; ++k) {
            depth += program->ops[k].kind == OP_BEGIN_GROUP;
            depth -= program->ops[k].kind == OP_END_GROUP;
            if (depth != 0)
                continue;
            program->ops[k] = program->ops[i] = (struct program_op){.kind = OP_SIGNAL};
            break;
        }
        changed |= try_candidate(shrinker);
    }
    return changed;
}

/** No secondary, no slots of any kind, no views. */
static bool shrink_naming(struct shrinker *shrinker)
{
    bool changed = false;
    struct program *program = &shrinker->candidate;
    if (shrinker->best->secondary_first != shrinker->best->secondary_end) {
        *program = *shrinker->best;
        program->secondary_first = program->secondary_end = 0;
        changed |= try_candidate(shrinker);
    }
    if (shrinker->best->slot_count != 0) {
        *program = *shrinker->best;
        program->slot_count = 0;
        changed |= try_candidate(shrinker);
    }
    if (shrinker->best->constant_slot_count != 0) {
        *program = *shrinker->best;
        program->constant_slot_count = 0;
        changed |= try_candidate(shrinker);
    }
    for (uint32_t i = 0; i < shrinker->best->op_count; ++i) {
        *program = *shrinker->best;
        memset(program->ops[i].naming, 0, sizeof(program->ops[i].naming));
        if (memcmp(program->ops[i].naming, shrinker->best->ops[i].naming,
                   sizeof(program->ops[i].naming)) != 0)
            changed |= try_candidate(shrinker);
    }
    return changed;
}

/** Shortest length that means something, of which a length must be a multiple. */
static uint32_t unit_of(const struct program_op *op)
{
    if (op->kind == OP_FILL)
        return op->b;
    return op->kind <= OP_COPY ? 1 : 4;
}

/** Keeps the first bytes of all ranges, or the last. */
static bool try_length(struct shrinker *shrinker, uint32_t index, uint32_t length, bool last)
{
    struct program_op *op = &shrinker->candidate.ops[index];
    shrinker->candidate = *shrinker->best;
    length = length / unit_of(op) * unit_of(op);
    if (length == 0 || length >= op->ranges[0].length)
        return false;
    for (uint32_t i = 0; i < program_range_count(op); ++i) {
        op->ranges[i].offset += last ? op->ranges[i].length - length : 0;
        op->ranges[i].length = length;
    }
    return try_candidate(shrinker);
}

static bool shrink_lengths(struct shrinker *shrinker, uint32_t index)
{
    const struct program_op *op = &shrinker->best->ops[index];
    bool changed = false;
    while (try_length(shrinker, index, op->ranges[0].length / 2, false) ||
           try_length(shrinker, index, op->ranges[0].length / 2, true) ||
           try_length(shrinker, index, op->ranges[0].length - unit_of(op), false) ||
           try_length(shrinker, index, op->ranges[0].length - unit_of(op), true))
        changed = true;
    return changed;
}

/** All ranges that touch the same bytes can only move together: every range of one buffer goes down
 *  by what the lowest of them allows. */
static bool shrink_offsets(struct shrinker *shrinker, uint32_t buffer)
{
    struct program *program = &shrinker->candidate;
    *program = *shrinker->best;
    uint32_t lowest = UINT32_MAX;
    for (int pass = 0; pass < 2; ++pass) {
        for (uint32_t i = 0; i < program->op_count; ++i) {
            struct program_op *op = &program->ops[i];
            uint32_t count = op->kind == OP_BUFFER_BARRIER ? 1 : program_range_count(op);
            for (uint32_t k = 0; k < count; ++k) {
                if (op->ranges[k].buffer != buffer)
                    continue;
                if (pass == 1)
                    op->ranges[k].offset -= lowest;
                else if (op->ranges[k].offset / 4 * 4 < lowest)
                    lowest = op->ranges[k].offset / 4 * 4;
            }
        }
        if (lowest == 0 || lowest == UINT32_MAX)
            return false;
    }
    return try_candidate(shrinker);
}

/** Fewer buffers: a range at the same place of an earlier one. */
static bool shrink_buffers(struct shrinker *shrinker, uint32_t from, uint32_t to)
{
    struct program *program = &shrinker->candidate;
    *program = *shrinker->best;
    bool found = false;
    for (uint32_t i = 0; i < program->op_count; ++i) {
        struct program_op *op = &program->ops[i];
        uint32_t count = op->kind == OP_BUFFER_BARRIER ? 1 : program_range_count(op);
        for (uint32_t k = 0; k < count; ++k) {
            if (op->ranges[k].buffer != from)
                continue;
            found = true;
            op->ranges[k].buffer = to;
            if (op->ranges[k].offset + op->ranges[k].length > program_buffer_words(to) * 4)
                return false;
        }
    }
    return found && try_candidate(shrinker);
}

static bool try_numbers(struct shrinker *shrinker, uint32_t index, uint32_t a, uint32_t b)
{
    struct program_op *op = &shrinker->candidate.ops[index];
    shrinker->candidate = *shrinker->best;
    if (op->a <= a && op->b <= b)
        return false;
    op->a = a;
    op->b = b;
    return try_candidate(shrinker);
}

static bool shrink_numbers(struct shrinker *shrinker, uint32_t index)
{
    const struct program_op *op = &shrinker->best->ops[index];
    switch (op->kind) {
    case OP_FILL:
        // Patterns stay different, so that their order shows.
        return try_numbers(shrinker, index, index + 1, 1) || try_numbers(shrinker, index, op->a, 1);
    case OP_SCALE:
        return try_numbers(shrinker, index, 3, 1);
    case OP_UPDATE:
    case OP_MIX:
        return try_numbers(shrinker, index, 1, op->b);
    default:
        return false;
    }
}

/** A fill of what the command writes; a barrier for everything. */
static bool shrink_kind(struct shrinker *shrinker, uint32_t index)
{
    struct program_op *op = &shrinker->candidate.ops[index];
    shrinker->candidate = *shrinker->best;
    struct program_op plain = {.kind = OP_BARRIER};
    if (op->kind > OP_FILL && op->kind <= OP_LAST_WORK) {
        uint32_t target = program_range_count(op) - 1;
        plain = (struct program_op){.kind = OP_FILL, .a = index + 1, .b = 1};
        plain.ranges[0] = op->ranges[target];
        plain.naming[0] = op->naming[target];
    } else if (op->kind != OP_MEMORY_BARRIER && op->kind != OP_BUFFER_BARRIER &&
               op->kind != OP_WAIT) {
        return false;
    }
    *op = plain;
    return try_candidate(shrinker);
}

uint32_t program_shrink(struct program *program, program_fails_fn fails, void *context)
{
    static struct shrinker shrinker;
    shrinker = (struct shrinker){.best = program, .fails = fails, .context = context};
    bool changed = true;
    while (changed) {
        changed = shrink_naming(&shrinker);
        changed |= shrink_groups(&shrinker);
        changed |= shrink_commands(&shrinker);
        for (uint32_t i = 0; i < program->op_count; ++i) {
            changed |= shrink_kind(&shrinker, i);
            if (program->ops[i].kind > OP_LAST_WORK)
                continue;
            changed |= shrink_lengths(&shrinker, i);
            changed |= shrink_numbers(&shrinker, i);
        }
        for (uint32_t from = PROGRAM_CONSTANT_BUFFER + 1; from < PROGRAM_BUFFERS; ++from) {
            changed |= from != 2 && shrink_buffers(&shrinker, from, 2);
            changed |= shrink_offsets(&shrinker, from);
        }
    }
    return shrinker.tried;
}
