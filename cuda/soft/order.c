// SPDX-License-Identifier: Apache-2.0
// The static order check: two nodes whose ranges conflict must have a path between them. No
// schedule is needed to find a missing edge, so none can hide it.
//
// Equal ranges form a group. Groups are sorted by address and swept; for the pairs found, bits tell
// which nodes reach which. Inside a group, where long chains of work on one buffer end up, each
// access is first compared with its neighbours only: if those are ordered, all are.
#include "exec.h"
#include "module.h"

#include <stdlib.h>
#include <string.h>

// Memory for reachability bits; graphs that need more are checked in several sweeps.
#define BITS_BUDGET_BYTES (UINT64_C(64) << 20)
// Only graphs of very many nodes on the same memory come near it. Said on stderr when reached.
#define PAIR_BUDGET UINT64_C(1000000000)
// In larger groups that are not ordered, only neighbours are reported: their number is a lower
// bound.
#define LARGE_GROUP 8192
// Pairs written to the log for each program.
#define LOGGED_PAIRS 64

struct range {
    uint64_t start;
    /** Behind the last byte. */
    uint64_t end;
    uint32_t node;
    /** Place of the node in topology->order. */
    uint32_t position;
    bool read;
    bool write;
};

/** Equal ranges, in topological order. */
struct group {
    uint64_t start;
    uint64_t end;
    size_t first;
    size_t count;
    bool writes;
    /** Some neighbours are not ordered: all pairs have to be looked at. */
    bool unordered;
};

struct check {
    struct segue_soft_program *program;
    struct range *ranges;
    size_t range_count;
    size_t range_capacity;
    struct group *groups;
    size_t group_count;
    /** Node whose ranges are being collected. */
    uint32_t node;
    /** Place of each node in topology->order. */
    uint32_t *positions;
    /** Bit s - first of row n: the node at position s reaches node n. */
    uint64_t *bits;
    uint64_t row_words;
    uint32_t first;
    uint32_t limit;
    bool bits_valid;
    uint64_t pair_count;
};

static bool collect(void *context, uint64_t address, uint64_t size_bytes, bool read, bool write)
{
    struct check *check = context;
    if (size_bytes == 0 || (!read && !write)) {
        return true;
    }
    if (check->range_count == check->range_capacity) {
        size_t capacity = check->range_capacity > 0 ? check->range_capacity * 2 : 256;
        struct range *ranges = realloc(check->ranges, capacity * sizeof(*ranges));
        if (ranges == NULL) {
            return false;
        }
        check->ranges = ranges;
        check->range_capacity = capacity;
    }
    uint64_t end = address + size_bytes;
    check->ranges[check->range_count++] = (struct range){
        .start = address,
        .end = end > address ? end : UINT64_MAX,
        .node = check->node,
        .position = check->positions[check->node],
        .read = read,
        .write = write,
    };
    return true;
}

static int compare_ranges(const void *left, const void *right)
{
    const struct range *a = left;
    const struct range *b = right;
    if (a->start != b->start) {
        return a->start < b->start ? -1 : 1;
    }
    if (a->end != b->end) {
        return a->end < b->end ? -1 : 1;
    }
    return (a->position > b->position) - (a->position < b->position);
}

static bool collect_all(struct check *check)
{
    const struct segue_soft_program *program = check->program;
    for (uint32_t i = 0; i < program->topology->node_count; ++i) {
        check->node = i;
        if (program->enabled[i] && !segue_soft_work_ranges(&program->works[i], collect, check)) {
            return false;
        }
    }
    if (check->range_count > 0) {
        qsort(check->ranges, check->range_count, sizeof(*check->ranges), compare_ranges);
    }
    check->groups = malloc((check->range_count + 1) * sizeof(*check->groups));
    if (check->groups == NULL) {
        return false;
    }
    struct group *group = NULL;
    for (size_t i = 0; i < check->range_count; ++i) {
        const struct range *range = &check->ranges[i];
        if (group == NULL || group->start != range->start || group->end != range->end) {
            group = &check->groups[check->group_count++];
            *group = (struct group){.start = range->start, .end = range->end, .first = i};
        }
        ++group->count;
        group->writes = group->writes || range->write;
    }
    return true;
}

static uint64_t *row_of(const struct check *check, uint32_t node)
{
    return check->bits + node * check->row_words;
}

// Whether a node begins after the end of the one that an edge comes from. By a programmatic edge a
// kernel may begin earlier, and has to wait by itself.
static bool edge_orders(const struct check *check, const struct segue_soft_edge *edge,
                        uint32_t node)
{
    const struct segue_soft_work *work = &check->program->works[node];
    return edge->data.type != CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC ||
           work->kernel.function->entry->waits_for_grids;
}

// Fills the bits for sources at positions first to limit.
static void fill_bits(struct check *check)
{
    const struct segue_soft_topology *topology = check->program->topology;
    memset(check->bits, 0, topology->node_count * check->row_words * sizeof(*check->bits));
    for (uint32_t place = check->first; place < topology->node_count; ++place) {
        uint32_t node = topology->order[place];
        uint64_t *row = row_of(check, node);
        for (uint64_t i = topology->edge_starts[node]; i < topology->edge_starts[node + 1]; ++i) {
            uint32_t from = topology->edges[i].from;
            if (!edge_orders(check, &topology->edges[i], node)) {
                continue;
            }
            const uint64_t *from_row = row_of(check, from);
            for (uint64_t word = 0; word < check->row_words; ++word) {
                row[word] |= from_row[word];
            }
            uint32_t position = check->positions[from];
            if (position >= check->first && position < check->limit) {
                uint32_t bit = position - check->first;
                row[bit / 64] |= UINT64_C(1) << (bit % 64);
            }
        }
    }
    check->bits_valid = true;
}

static const char *access_name(const struct range *range)
{
    return range->read && range->write ? "reads and writes" : range->write ? "writes" : "reads";
}

static void report(struct check *check, const struct range *a, const struct range *b)
{
    struct segue_soft_program *program = check->program;
    if (program->hazard_count++ >= LOGGED_PAIRS) {
        return;
    }
    const struct range *first = a->node < b->node ? a : b;
    const struct range *second = first == a ? b : a;
    char first_name[96];
    char second_name[96];
    segue_soft_work_describe(&program->works[first->node], first_name, sizeof(first_name));
    segue_soft_work_describe(&program->works[second->node], second_name, sizeof(second_name));
    char text[sizeof(program->first_hazard)];
    snprintf(text, sizeof(text),
             "no path between graph nodes %u (%s) and %u (%s): node %u %s %llu bytes at 0x%llx, "
             "node %u %s %llu bytes at 0x%llx",
             first->node, first_name, second->node, second_name, first->node, access_name(first),
             (unsigned long long)(first->end - first->start), (unsigned long long)first->start,
             second->node, access_name(second), (unsigned long long)(second->end - second->start),
             (unsigned long long)second->start);
    if (program->hazard_count == 1) {
        memcpy(program->first_hazard, text, sizeof(text));
    }
    segue_soft_log_note("hazard", text);
}

// The word and bit that tell whether the earlier one of two nodes reaches the later one. NULL if
// that is not of the sources at hand, or there is nothing to order.
static uint64_t *find_bit(struct check *check, const struct range *a, const struct range *b,
                          uint64_t *out_mask)
{
    const struct range *source = a->position < b->position ? a : b;
    const struct range *target = source == a ? b : a;
    if (source->position < check->first || source->position >= check->limit || a->node == b->node ||
        !(a->write || b->write)) {
        return NULL;
    }
    if (!check->bits_valid) {
        fill_bits(check);
    }
    uint32_t bit = source->position - check->first;
    *out_mask = UINT64_C(1) << (bit % 64);
    return &row_of(check, target->node)[bit / 64];
}

static bool is_ordered(struct check *check, const struct range *a, const struct range *b)
{
    uint64_t mask;
    const uint64_t *word = find_bit(check, a, b, &mask);
    return word == NULL || (*word & mask) != 0;
}

static void compare(struct check *check, const struct range *a, const struct range *b)
{
    uint64_t mask;
    uint64_t *word = find_bit(check, a, b, &mask);
    ++check->pair_count;
    if (word != NULL && (*word & mask) == 0) {
        report(check, a, b);
        // A pair of nodes is reported once, however many ranges conflict.
        *word |= mask;
    }
}

// Calls `visit` for each write with the accesses since the write before it, and for each read with
// that write, until it returns false. If all these pairs are ordered, so are all of the group.
static bool visit_neighbours(struct check *check, const struct group *group,
                             bool (*visit)(struct check *, const struct range *,
                                           const struct range *))
{
    const struct range *ranges = &check->ranges[group->first];
    size_t since = 0;
    for (size_t i = 1; group->writes && i < group->count; ++i) {
        size_t end = ranges[i].write ? i : since + 1;
        for (size_t j = since; j < end; ++j) {
            if (!visit(check, &ranges[j], &ranges[i])) {
                return false;
            }
        }
        since = ranges[i].write ? i : since;
    }
    return true;
}

static bool visit_and_compare(struct check *check, const struct range *a, const struct range *b)
{
    compare(check, a, b);
    return true;
}

static void compare_inside(struct check *check, const struct group *group)
{
    const struct range *ranges = &check->ranges[group->first];
    if (!group->unordered) {
        return;
    }
    if (group->count > LARGE_GROUP) {
        visit_neighbours(check, group, visit_and_compare);
        return;
    }
    for (size_t i = 1; i < group->count; ++i) {
        for (size_t j = 0; j < i; ++j) {
            compare(check, &ranges[j], &ranges[i]);
        }
    }
}

static void compare_groups(struct check *check, const struct group *a, const struct group *b)
{
    if (!a->writes && !b->writes) {
        return;
    }
    for (size_t i = 0; i < a->count; ++i) {
        for (size_t j = 0; j < b->count; ++j) {
            compare(check, &check->ranges[a->first + i], &check->ranges[b->first + j]);
        }
    }
}

// Compares each group with those before it that reach into it. False: the budget is used up.
static bool sweep(struct check *check, const struct group **active)
{
    size_t active_count = 0;
    for (size_t i = 0; i < check->group_count; ++i) {
        const struct group *group = &check->groups[i];
        size_t kept = 0;
        for (size_t j = 0; j < active_count; ++j) {
            if (active[j]->end > group->start) {
                compare_groups(check, active[j], group);
                active[kept++] = active[j];
            }
        }
        compare_inside(check, group);
        if (check->pair_count > PAIR_BUDGET) {
            return false;
        }
        active[kept++] = group;
        active_count = kept;
    }
    return true;
}

// Takes the next share of the sources; false if there are none left.
static bool advance_share(struct check *check)
{
    uint32_t node_count = check->program->topology->node_count;
    uint64_t size = check->row_words * 64;
    if (check->limit >= node_count) {
        return false;
    }
    check->first = check->limit;
    check->limit = (uint32_t)(check->first + size < node_count ? check->first + size : node_count);
    check->bits_valid = false;
    return true;
}

static void rewind_shares(struct check *check)
{
    check->limit = 0;
}

static CUresult run_sweeps(struct check *check)
{
    uint32_t node_count = check->program->topology->node_count;
    uint64_t most_words = BITS_BUDGET_BYTES / sizeof(*check->bits) / node_count;
    uint64_t words = ((uint64_t)node_count + 63) / 64;
    check->row_words = words <= most_words ? words : most_words > 0 ? most_words : 1;
    check->bits = malloc(node_count * check->row_words * sizeof(*check->bits));
    const struct group **active = malloc((check->group_count + 1) * sizeof(*active));
    CUresult result =
        check->bits != NULL && active != NULL ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
    rewind_shares(check);
    while (result == CUDA_SUCCESS && advance_share(check)) {
        for (size_t i = 0; i < check->group_count; ++i) {
            struct group *group = &check->groups[i];
            group->unordered = group->unordered || !visit_neighbours(check, group, is_ordered);
        }
    }
    rewind_shares(check);
    while (result == CUDA_SUCCESS && advance_share(check)) {
        if (!sweep(check, active)) {
            segue_soft_say("order check of a graph of %u nodes given up: too many ranges overlap",
                           node_count);
            break;
        }
    }
    free(check->bits);
    free(active);
    return result;
}

CUresult segue_soft_order_check(struct segue_soft_program *program)
{
    const struct segue_soft_topology *topology = program->topology;
    struct check check = {.program = program};
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    program->hazard_count = 0;
    check.positions = malloc(((size_t)topology->node_count + 1) * sizeof(*check.positions));
    if (check.positions == NULL) {
        return result;
    }
    for (uint32_t i = 0; i < topology->node_count; ++i) {
        check.positions[topology->order[i]] = i;
    }
    if (collect_all(&check)) {
        result = topology->node_count > 0 ? run_sweeps(&check) : CUDA_SUCCESS;
    }
    program->checked = result == CUDA_SUCCESS;
    free(check.positions);
    free(check.ranges);
    free(check.groups);
    return result;
}
