// SPDX-License-Identifier: Apache-2.0
#include "mutant.h"

#include "play.h"

#include <stdlib.h>

const char *mutant_name(enum mutant_kind kind)
{
    static const char *const names[MUTANT_KIND_COUNT] = {
        [MUTANT_DROP_EDGE] = "an edge left out",
        [MUTANT_DROP_JOIN_EDGE] = "an edge of a join left out",
        [MUTANT_DROP_ALL_EDGES] = "all edges into a node left out",
        [MUTANT_REDIRECT_EDGE] = "an edge from another node",
        [MUTANT_EARLY_EDGE] = "a programmatic edge",
        [MUTANT_EXCHANGE] = "two commands in each other's place",
        [MUTANT_MOVE] = "a command issued too early",
        [MUTANT_DROP_COMMAND] = "a command left out",
        [MUTANT_REPEAT_COMMAND] = "a command done twice",
        [MUTANT_SWAP_RANGES] = "two ranges of a command swapped",
        [MUTANT_SHIFT] = "a range one element off",
        [MUTANT_SHORT] = "one element too few",
        [MUTANT_LONG] = "one element too many",
        [MUTANT_PATTERN] = "one bit of a pattern",
        [MUTANT_CONSTANT] = "one bit of a constant",
        [MUTANT_DATA] = "another update's data",
        [MUTANT_SLOTS] = "two slots swapped",
        [MUTANT_CONSTANT_SLOT] = "one bit of a constant slot",
    };
    return names[kind];
}

bool mutant_fits(enum mutant_kind kind, enum segue_execution_mode mode)
{
    if (kind == MUTANT_MOVE)
        return mode == SEGUE_EXECUTION_STREAM;
    return kind >= MUTANT_EXCHANGE || mode == SEGUE_EXECUTION_GRAPH;
}

void mutant_finish(struct mutant *mutant)
{
    for (uint32_t i = 0; i < mutant->node_count; ++i)
        free(mutant->nodes[i].changed);
    mutant->node_count = 0;
}

/** Two conflicting commands have no path between them. */
static bool leaves_conflict(const struct mutant *mutant)
{
    // reach[b]: the nodes that have a path to b, as bits.
    static uint64_t reach[MUTANT_MAX_NODES][MUTANT_WORDS];
    memset(reach, 0, sizeof(reach));
    for (uint32_t b = 0; b < mutant->node_count; ++b) {
        const struct mutant_node *later = &mutant->nodes[b];
        for (uint32_t a = 0; a < b; ++a) {
            if (!mutant_depends(mutant, b, a))
                continue;
            reach[b][a / 64] |= UINT64_C(1) << (a % 64);
            for (uint32_t i = 0; i < MUTANT_WORDS; ++i)
                reach[b][i] |= reach[a][i];
        }
        for (uint32_t a = 0; a < b; ++a) {
            const struct mutant_node *earlier = &mutant->nodes[a];
            if (!earlier->segment || !later->segment ||
                !program_conflicts(&earlier->op, &later->op))
                continue;
            if ((reach[b][a / 64] >> (a % 64) & 1) == 0)
                return true;
        }
    }
    return false;
}

static bool changes_results(const struct mutant *mutant)
{
    static struct program serial;
    static uint32_t words[PROGRAM_BUFFERS][PROGRAM_LARGE_WORDS];
    uint32_t *buffers[PROGRAM_BUFFERS];
    serial.op_count = 0;
    serial.seed = mutant->program->seed;
    serial.constant_slot_count = mutant->program->constant_slot_count;
    for (uint32_t i = 0; i < mutant->node_count; ++i) {
        if (mutant->nodes[i].segment)
            serial.ops[serial.op_count++] = mutant->nodes[i].op;
    }
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i) {
        buffers[i] = words[i];
        memcpy(words[i], program_initial(i), program_buffer_words(i) * sizeof(uint32_t));
    }
    program_interpret(&serial, 0, buffers);
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i) {
        if (memcmp(words[i], mutant->expected[i], program_buffer_words(i) * sizeof(uint32_t)) != 0)
            return true;
    }
    return false;
}

void mutant_judge(struct mutant *mutant)
{
    mutant->matters = (mutant->mode == SEGUE_EXECUTION_GRAPH && leaves_conflict(mutant)) ||
                      changes_results(mutant);
}

/** The command kind that an op is recorded as. */
static enum segue_command_kind command_kind(enum program_op_kind kind)
{
    return kind == OP_FILL     ? SEGUE_COMMAND_FILL
           : kind == OP_UPDATE ? SEGUE_COMMAND_UPDATE
           : kind == OP_COPY   ? SEGUE_COMMAND_COPY
                               : SEGUE_COMMAND_DISPATCH;
}

static void take_in(struct mutant *mutant, const struct segue_program_request *request)
{
    const struct segue_plan *plan = request->plan;
    mutant->mode = request->mode;
    assert_true(plan->node_count < MUTANT_MAX_NODES);
    mutant->node_count = (uint32_t)plan->node_count;
    for (uint32_t i = 0; i < mutant->node_count; ++i) {
        const struct segue_plan_node *planned = &plan->nodes[i];
        struct mutant_node *node = &mutant->nodes[i];
        node->segment = planned->segment;
        mutant->join_count += !planned->segment;
        for (uint32_t k = 0; k < planned->dependency_count; ++k)
            mutant_set_dependency(mutant, i, plan->dependencies[planned->first_dependency + k],
                                  true);
        if (!planned->segment || mutant->rule)
            continue;
        // Ops are recorded one by one, so that a command's number is its op's.
        assert_true(planned->segment->index < mutant->program->op_count);
        node->op = mutant->program->ops[planned->segment->index];
        assert_int_equal(planned->segment->kind, command_kind(node->op.kind));
    }
    for (uint32_t i = 0; request->table && i < request->table->slot_count; ++i)
        mutant->slots[i] = request->table->slots[i];
    for (uint32_t i = 0; request->table && i < request->table->constant_count; ++i)
        mutant->constants[i] = request->table->constants[i];
}

bool mutant_plant(struct mutant *mutant)
{
    if (mutant->rule)
        return mutant->rule(mutant);
    if (mutant->node_count == 0)
        return false;
    if (mutant->kind > MUTANT_REPEAT_COMMAND)
        return mutant_plant_content(mutant);
    // One that does not fit somewhere may fit elsewhere.
    for (uint32_t attempt = 0; attempt < 20; ++attempt) {
        if (mutant_plant_order(mutant))
            return true;
    }
    return false;
}

/** What the backend is given instead. */
static void make_plan(const struct mutant *mutant, struct segue_plan *plan)
{
    static struct segue_plan_node nodes[MUTANT_MAX_NODES];
    static uint32_t dependencies[MUTANT_MAX_NODES * MUTANT_MAX_NODES / 2];
    static uint8_t types[MUTANT_MAX_NODES * MUTANT_MAX_NODES / 2];
    bool early = mutant->kind == MUTANT_EARLY_EDGE && !mutant->rule;
    plan->nodes = nodes;
    plan->node_count = mutant->node_count;
    plan->dependencies = dependencies;
    plan->dependency_count = 0;
    for (uint32_t i = 0; i < mutant->node_count; ++i) {
        nodes[i] = (struct segue_plan_node){
            .segment = mutant->nodes[i].segment,
            .first_dependency = (uint32_t)plan->dependency_count,
        };
        for (uint32_t on = 0; on < i; ++on) {
            bool is_early = early && i == mutant->early_node && on == mutant->early_on;
            if (!is_early && !mutant_depends(mutant, i, on))
                continue;
            types[plan->dependency_count] =
                is_early ? SEGUE_GRAPH_EDGE_PROGRAMMATIC : SEGUE_GRAPH_EDGE_FULL;
            dependencies[plan->dependency_count++] = on;
        }
        nodes[i].dependency_count = (uint32_t)plan->dependency_count - nodes[i].first_dependency;
    }
    plan->edge_count = plan->dependency_count;
    // No kernel of a program waits by itself, so every other edge is a full one.
    plan->dependency_types = early ? types : NULL;
}

static struct mutant *current;
static const struct segue_backend_ops *real_ops;

void mutant_set(struct mutant *mutant)
{
    current = mutant;
}

static segue_status create_program(struct segue_backend *backend,
                                   const struct segue_program_request *request,
                                   struct segue_command_buffer_stats *stats,
                                   struct segue_backend_program **out_program)
{
    // A secondary has a program of its own, which is never run.
    if (!current || strcmp(request->recording->label, PLAY_PRIMARY_LABEL) != 0)
        return real_ops->program_create(backend, request, stats, out_program);
    memset(current->nodes, 0, sizeof(current->nodes));
    take_in(current, request);
    current->planted = mutant_plant(current);
    if (!current->planted)
        return real_ops->program_create(backend, request, stats, out_program);
    if (!current->rule)
        mutant_judge(current);
    struct segue_plan plan = *request->plan;
    make_plan(current, &plan);
    const struct segue_binding_table table = {
        .slots = current->slots,
        .slot_count = request->table ? request->table->slot_count : 0,
        .constants = current->constants,
        .constant_count = request->table ? request->table->constant_count : 0,
    };
    struct segue_program_request mutated = *request;
    mutated.plan = &plan;
    mutated.table = request->table ? &table : NULL;
    return real_ops->program_create(backend, &mutated, stats, out_program);
}

segue_status mutant_open_backend(const struct segue_backend_open_params *params,
                                 struct segue_backend **out_backend)
{
    static struct segue_backend_ops ops;
    segue_status status = segue_cuda_backend_open(params, out_backend);
    if (status != SEGUE_OK)
        return status;
    real_ops = (*out_backend)->ops;
    ops = *real_ops;
    ops.program_create = create_program;
    // A wrong graph must not be found again, and a right one not in its place.
    ops.program_reuse = NULL;
    ops.program_rebind = NULL;
    ops.program_plan = NULL;
    real_ops->set_cache_budget(*out_backend, (struct segue_cache_budget){0});
    (*out_backend)->ops = &ops;
    return SEGUE_OK;
}
