// SPDX-License-Identifier: Apache-2.0
// Which commands really depend on which: random recordings against a brute-force oracle that knows
// the models only.
#include "depend.h"
#include "plan.h"
#include "random_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MAX_NODES (4 * RANDOM_MAX_WORKS)
#define WRITES (SEGUE_ACCESS_MASK_TRANSFER_WRITE | SEGUE_ACCESS_MASK_DISPATCH_WRITE)

static struct random_world world;
/** Recordings of the test so far whose dependencies are exact. */
static uint64_t exact_count;

static int setup(void **state)
{
    (void)state;
    random_world_open(&world);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    random_world_close(&world);
    return 0;
}

/* ---- The oracle ------------------------------------------------------------------------------ */

static bool accesses_conflict(const struct model_access *a, const struct model_access *b,
                              bool distinct)
{
    if (((a->mask | b->mask) & WRITES) == 0)
        return false;
    bool a_slot = a->range.memory < 0;
    bool b_slot = b->range.memory < 0;
    bool same =
        a_slot ? b_slot && a->range.slot == b->range.slot : a->range.memory == b->range.memory;
    if (same)
        return a->range.begin < b->range.end && b->range.begin < a->range.end;
    if ((!a_slot && !b_slot) || a->constant || b->constant)
        return false;
    return !a_slot || !b_slot || !distinct;
}

static bool works_conflict(const struct model_item *a, const struct model_item *b, bool distinct)
{
    if (a->opaque || b->opaque)
        return true;
    for (uint32_t i = 0; i < a->access_count; i++) {
        for (uint32_t k = 0; k < b->access_count; k++) {
            if (accesses_conflict(&a->accesses[i], &b->accesses[k], distinct))
                return true;
        }
    }
    return false;
}

static const struct model_item *find_work(const struct random_recording *recording, uint32_t work)
{
    for (uint32_t i = 0; i < recording->item_count; i++) {
        if (recording->items[i].kind == MODEL_WORK && recording->items[i].work == work)
            return &recording->items[i];
    }
    fail_msg("no work %u", work);
    return NULL;
}

static void close_order(struct order_matrix *order, uint32_t count)
{
    for (uint32_t via = 0; via < count; via++) {
        for (uint32_t a = 0; a < count; a++) {
            for (uint32_t b = 0; b < count && order->ordered[a][via]; b++)
                order->ordered[a][b] |= order->ordered[via][b];
        }
    }
}

/** What the passes are told to order, and all that follows from it. */
static void expect_order(const struct random_recording *recording,
                         const struct order_matrix *permit, uint32_t flags,
                         struct order_matrix *out_order)
{
    uint32_t count = recording->work_count;
    bool distinct = (flags & SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT) != 0;
    *out_order = *permit;
    if ((flags & SEGUE_COMMAND_BUFFER_BARRIER_ORDER) != 0)
        return;
    for (uint32_t a = 0; a < count; a++) {
        const struct model_item *first = find_work(recording, a);
        for (uint32_t b = 0; b < count; b++)
            out_order->ordered[a][b] =
                permit->ordered[a][b] && works_conflict(first, find_work(recording, b), distinct);
    }
    close_order(out_order, count);
}

/* ---- What came of it ------------------------------------------------------------------------- */

/** leads[a][b]: a path of edges from node a to node b. */
struct paths {
    bool leads[MAX_NODES][MAX_NODES];
};

static void follow_edges(const struct segue_depend *depend, struct paths *out_paths)
{
    assert_true(depend->node_count <= MAX_NODES);
    memset(out_paths, 0, sizeof *out_paths);
    for (uint32_t i = 0; i < depend->node_count; i++) {
        const struct segue_depend_node *node = &depend->nodes[i];
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            uint32_t before = depend->predecessors[node->first_predecessor + k];
            assert_true(before < i);
            out_paths->leads[before][i] = true;
            for (uint32_t a = 0; a < before; a++)
                out_paths->leads[a][i] |= out_paths->leads[a][before];
        }
    }
}

/** Whether everything that order node `order` waits for leads to `node` without it. */
static bool is_order_node_implied(const struct segue_depend *depend, const struct paths *paths,
                                  const struct segue_depend_node *node, uint32_t order)
{
    const struct segue_depend_node *joined = &depend->nodes[order];
    for (uint32_t i = 0; i < joined->predecessor_count; i++) {
        uint32_t member = depend->predecessors[joined->first_predecessor + i];
        bool leads = false;
        for (uint32_t k = 0; k < node->predecessor_count && !leads; k++) {
            uint32_t other = depend->predecessors[node->first_predecessor + k];
            leads = other != order && (other == member || paths->leads[member][other]);
        }
        if (!leads)
            return false;
    }
    return true;
}

/** What holds for all, and that no edge is too many. */
static void check_shape(const struct segue_depend *depend, const struct paths *paths, uint64_t seed,
                        uint32_t work_count, bool reduced)
{
    uint32_t *successors = calloc(depend->node_count + 1, sizeof *successors);
    assert_non_null(successors);
    uint32_t works = 0;
    uint32_t last_index = 0;
    size_t edges = 0;
    for (uint32_t i = 0; i < depend->node_count; i++) {
        const struct segue_depend_node *node = &depend->nodes[i];
        if (node->segment) {
            assert_true(works == 0 || node->segment->index > last_index);
            last_index = node->segment->index;
            works++;
        } else {
            assert_true(node->predecessor_count >= 2);
        }
        edges += node->predecessor_count;
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            uint32_t before = depend->predecessors[node->first_predecessor + k];
            successors[before]++;
            for (uint32_t m = 0; m < node->predecessor_count; m++) {
                uint32_t other = depend->predecessors[node->first_predecessor + m];
                if ((k != m && before == other) || paths->leads[before][other])
                    fail_msg("seed %lu: node %u waits for %u, which it does through %u",
                             (unsigned long)seed, i, before, other);
            }
            if (reduced && node->segment && !depend->nodes[before].segment &&
                is_order_node_implied(depend, paths, node, before))
                fail_msg("seed %lu: node %u needs no order node %u", (unsigned long)seed, i,
                         before);
        }
    }
    assert_int_equal(works, work_count);
    assert_int_equal(works, depend->command_count);
    assert_int_equal(edges, depend->edge_count);
    for (uint32_t i = 0; i < depend->node_count; i++) {
        assert_int_equal(successors[i], depend->nodes[i].successor_count);
        assert_true(depend->nodes[i].segment || successors[i] > 0);
    }
    free(successors);
}

static void check_paths(const struct segue_depend *depend, const struct paths *paths,
                        const struct random_recording *recording,
                        const struct order_matrix *expected, uint64_t seed)
{
    for (uint32_t i = 0; i < depend->node_count; i++) {
        for (uint32_t k = 0; k < depend->node_count; k++) {
            const struct segue_segment *a = depend->nodes[i].segment;
            const struct segue_segment *b = depend->nodes[k].segment;
            if (!a || !b)
                continue;
            uint32_t first = random_recording_work(recording, a->index);
            uint32_t second = random_recording_work(recording, b->index);
            if (expected->ordered[first][second] && !paths->leads[i][k])
                fail_msg("seed %lu: work %u does not wait for work %u", (unsigned long)seed, second,
                         first);
            if (depend->exact && !expected->ordered[first][second] && paths->leads[i][k])
                fail_msg("seed %lu: work %u waits for work %u without a reason",
                         (unsigned long)seed, second, first);
        }
    }
}

/** What barriers permit, as the order pass sees it: beyond 16 partial barriers more than they say,
 *  and test_dag has its say about that. */
static void permitted_order(const struct random_recording *recording, struct order_matrix *out)
{
    struct segue_dag dag;
    assert_int_equal(segue_dag_build(recording->command_buffer->recording, &dag), SEGUE_OK);
    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < dag.node_count; i++) {
        for (size_t k = i + 1; k < dag.node_count; k++) {
            const struct segue_segment *a = dag.nodes[i].segment;
            const struct segue_segment *b = dag.nodes[k].segment;
            if (a && b && segue_dag_is_ordered(&dag.nodes[i], &dag.nodes[k]))
                out->ordered[random_recording_work(recording, a->index)]
                            [random_recording_work(recording, b->index)] = true;
        }
    }
    segue_dag_finish(&dag);
}

static void check_recording(uint64_t seed, const struct random_shape *shape,
                            const struct segue_depend_options *options)
{
    static struct random_recording recording;
    static struct order_matrix permit;
    static struct order_matrix expected;
    static struct paths paths;
    random_recording_create(&world, seed, shape, &recording);
    if (recording.partial_count < 16)
        oracle_order(&recording, &permit);
    else
        permitted_order(&recording, &permit);
    expect_order(&recording, &permit, options->flags, &expected);
    struct segue_depend depend;
    assert_int_equal(segue_depend_build(recording.command_buffer->recording, options, &depend),
                     SEGUE_OK);
    // A partial barrier behind many commands may become a full one.
    bool in_debt = options->extra_steps < 0;
    assert_true(depend.exact || recording.partial_count >= 16 || in_debt);
    exact_count += depend.exact;
    follow_edges(&depend, &paths);
    check_paths(&depend, &paths, &recording, &expected, seed);
    check_shape(&depend, &paths, seed, recording.work_count, !in_debt);
    segue_depend_finish(&depend);
    random_recording_destroy(&recording);
}

/** All flags in turn. */
static void check_many(uint64_t count, struct random_shape shape, int64_t extra_steps)
{
    exact_count = 0;
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct random_shape varied = shape;
        varied.slots = shape.slots && seed % 2 == 0;
        struct segue_depend_options options = {.extra_steps = extra_steps};
        if (seed % 4 == 0)
            options.flags |= SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT;
        if (seed % 5 == 0)
            options.flags |= SEGUE_COMMAND_BUFFER_BARRIER_ORDER;
        check_recording(seed, &varied, &options);
    }
}

static void test_full_barriers(void **state)
{
    (void)state;
    check_many(2000, (struct random_shape){.items = 40, .full = 30}, 0);
}

static void test_wide_scopes(void **state)
{
    (void)state;
    check_many(1000, (struct random_shape){.items = 60, .full = 8}, 0);
}

static void test_slots(void **state)
{
    (void)state;
    check_many(2000, (struct random_shape){.items = 40, .full = 25, .slots = true}, 0);
}

static void test_partial_barriers(void **state)
{
    (void)state;
    check_many(2000, (struct random_shape){.items = 26, .full = 4, .partial = 20, .slots = true},
               0);
}

static void test_events(void **state)
{
    (void)state;
    check_many(
        2000,
        (struct random_shape){.items = 30, .full = 5, .partial = 8, .event = 30, .slots = true}, 0);
}

static void test_many_partial_barriers(void **state)
{
    (void)state;
    check_many(500, (struct random_shape){.items = 60, .partial = 50, .event = 5, .slots = true},
               0);
    assert_in_range(exact_count, 250, 500);
}

static void test_debt(void **state)
{
    (void)state;
    // What bounds the effort may order more, and must not order less.
    const int64_t debt = -(INT64_C(1) << 40);
    check_many(1000, (struct random_shape){.items = 60, .full = 25}, debt);
    assert_in_range(exact_count, 100, 900);
    check_many(1000, (struct random_shape){.items = 40, .full = 30, .slots = true}, debt);
    check_many(1000, (struct random_shape){.items = 40, .full = 5, .partial = 15, .event = 10},
               debt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_barriers), cmocka_unit_test(test_wide_scopes),
        cmocka_unit_test(test_slots),         cmocka_unit_test(test_partial_barriers),
        cmocka_unit_test(test_events),        cmocka_unit_test(test_many_partial_barriers),
        cmocka_unit_test(test_debt),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
