// SPDX-License-Identifier: Apache-2.0
/**
 * @file mutant.h
 * Lowerings that are wrong in one place. A device is opened with the real backend, whose
 * program_create is replaced: it takes the real plan, plants one fault in a copy and hands that on.
 * So no production code has a hook, and everything below the plan is the real thing.
 */
#ifndef SEGUE_TEST_MUTANT_H
#define SEGUE_TEST_MUTANT_H

#include "device.h"
#include "plan.h"
#include "program.h"

enum {
    /** Nodes of a plan: every command repeated, and joins. */
    MUTANT_MAX_NODES = 2 * PROGRAM_MAX_OPS,
    MUTANT_WORDS = MUTANT_MAX_NODES / 64,
};

enum mutant_kind {
    /* Order. */
    MUTANT_DROP_EDGE,
    /** An edge from or to a join. */
    MUTANT_DROP_JOIN_EDGE,
    MUTANT_DROP_ALL_EDGES,
    /** A node waits for another one than it should. */
    MUTANT_REDIRECT_EDGE,
    /** An edge between kernels lets the later one start early, though it does not wait itself. */
    MUTANT_EARLY_EDGE,
    /** Two commands take each other's place. */
    MUTANT_EXCHANGE,
    /** Stream mode: a command is issued earlier. */
    MUTANT_MOVE,
    /* Content. */
    MUTANT_DROP_COMMAND,
    MUTANT_REPEAT_COMMAND,
    MUTANT_SWAP_RANGES,
    MUTANT_SHIFT,
    MUTANT_SHORT,
    MUTANT_LONG,
    MUTANT_PATTERN,
    MUTANT_CONSTANT,
    /** An update takes another's data. */
    MUTANT_DATA,
    MUTANT_SLOTS,
    MUTANT_CONSTANT_SLOT,
    MUTANT_KIND_COUNT,
};

/** A node of a plan, and what it means. */
struct mutant_node {
    /** NULL: a join. */
    const struct segue_segment *segment;
    /** A copy with a fault, freed with the mutant; else NULL. */
    struct segue_segment *changed;
    /** What it does. */
    struct program_op op;
    uint64_t dependencies[MUTANT_WORDS];
};

/** One fault to be planted, and what came of it. Zero all but the first five before use. */
struct mutant {
    enum mutant_kind kind;
    const struct program *program;
    /** What the unmutated program leaves. */
    uint32_t *const *expected;
    uint64_t random;
    /** If set: a fault of every program (`kind`, `program` and `expected` are of no use then),
     * which this plants; it returns false where it changes nothing. It may not change segments. */
    bool (*rule)(struct mutant *mutant);

    enum segue_execution_mode mode;
    struct mutant_node nodes[MUTANT_MAX_NODES];
    uint32_t node_count;
    /** MUTANT_EARLY_EDGE: of the edge, which is none of the node's dependencies any more. */
    uint32_t early_node;
    uint32_t early_on;
    struct segue_range slots[PROGRAM_MAX_SLOTS];
    uint64_t constants[PROGRAM_MAX_CONSTANT_SLOTS];
    /** The program had a place for it. */
    bool planted;
    /** It makes a difference, by brute force: two conflicting commands of a graph are left without
     * a path, or a serial run in the order of the plan gives other bytes. Else every order gives
     * the right bytes: the mutant is equivalent. */
    bool matters;
    uint32_t join_count;
};

/** Name for people. */
const char *mutant_name(enum mutant_kind kind);
/** Whether there can be such a fault in a mode. */
bool mutant_fits(enum mutant_kind kind, enum segue_execution_mode mode);
/** Frees what a planted mutant holds; no program made from it may be in use any more. */
void mutant_finish(struct mutant *mutant);

/** Plants a fault in a plan that was taken in (mutant_open_backend does both); false if there is no
 *  place for it. */
bool mutant_plant(struct mutant *mutant);
/** Sets `matters`. */
void mutant_judge(struct mutant *mutant);

/** A segue_backend_open_fn: the real backend, but programs made while mutant_set names a mutant
 *  have its fault. */
segue_status mutant_open_backend(const struct segue_backend_open_params *params,
                                 struct segue_backend **out_backend);
/** NULL: none. */
void mutant_set(struct mutant *mutant);

/* Parts of mutant_plant. */

static inline bool mutant_depends(const struct mutant *mutant, uint32_t node, uint32_t on)
{
    return (mutant->nodes[node].dependencies[on / 64] >> (on % 64) & 1) != 0;
}
static inline void mutant_set_dependency(struct mutant *mutant, uint32_t node, uint32_t on,
                                         bool depends)
{
    uint64_t bit = UINT64_C(1) << (on % 64);
    uint64_t *word = &mutant->nodes[node].dependencies[on / 64];
    *word = depends ? *word | bit : *word & ~bit;
}
/** Removes a command; what waited for it waits for what it waited for. */
void mutant_remove_node(struct mutant *mutant, uint32_t node);
/** Faults of order and of whole commands. */
bool mutant_plant_order(struct mutant *mutant);
/** Faults in what one command does. */
bool mutant_plant_content(struct mutant *mutant);

#endif // SEGUE_TEST_MUTANT_H
