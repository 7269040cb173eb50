// SPDX-License-Identifier: Apache-2.0
// Looking into command buffers.
#include "pairs.h"

static bool visit_nothing(void *context, const struct segue_command_info *command)
{
    (void)context;
    (void)command;
    return true;
}

/** Ended, unless `recording`. */
static segue_command_buffer *make(struct segue_test *test, bool recording)
{
    segue_command_buffer *command_buffer = segue_test_begin(test);
    if (!recording)
        CHECK_OK(segue_command_buffer_end(command_buffer));
    return command_buffer;
}

/** Two fills of one buffer with a barrier between them: one edge. */
static segue_command_buffer *make_pair_of_fills(struct segue_test *test)
{
    const struct segue_buffer_ref target = segue_test_whole(pair_buffer(test, "a"));
    segue_command_buffer *command_buffer = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(command_buffer, target, 1, 4));
    CHECK_OK(segue_cmd_barrier(command_buffer, NULL));
    CHECK_OK(segue_cmd_fill(command_buffer, target, 2, 4));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    return command_buffer;
}

static segue_status visit_needs_a_visitor(struct segue_test *test, bool wrong)
{
    return segue_command_buffer_visit(make(test, false), wrong ? NULL : visit_nothing, NULL);
}

static segue_status visit_needs_an_ended_command_buffer(struct segue_test *test, bool wrong)
{
    return segue_command_buffer_visit(make(test, wrong), visit_nothing, NULL);
}

static segue_status stats_need_a_command_buffer(struct segue_test *test, bool wrong)
{
    struct segue_command_buffer_stats stats;
    return segue_command_buffer_get_stats(wrong ? NULL : make(test, false), &stats);
}

static segue_status stats_need_an_ended_command_buffer(struct segue_test *test, bool wrong)
{
    struct segue_command_buffer_stats stats;
    return segue_command_buffer_get_stats(make(test, wrong), &stats);
}

static segue_status graph_needs_somewhere_to_put_it(struct segue_test *test, bool wrong)
{
    struct segue_graph_view view;
    return segue_command_buffer_get_graph(make(test, false), SEGUE_GRAPH_STAGE_DAG,
                                          wrong ? NULL : &view);
}

static segue_status graph_needs_an_ended_command_buffer(struct segue_test *test, bool wrong)
{
    struct segue_graph_view view;
    return segue_command_buffer_get_graph(make(test, wrong), SEGUE_GRAPH_STAGE_DAG, &view);
}

static segue_status stage_is_known(struct segue_test *test, bool wrong)
{
    struct segue_graph_view view;
    const int stage = wrong ? 2 : SEGUE_GRAPH_STAGE_DAG;
    return segue_command_buffer_get_graph(make(test, false), (enum segue_graph_stage)stage, &view);
}

static segue_status explain_needs_somewhere_to_put_it(struct segue_test *test, bool wrong)
{
    struct segue_graph_conflict conflict;
    struct segue_graph_view view;
    uint32_t count = 0;
    segue_command_buffer *command_buffer = make_pair_of_fills(test);
    CHECK_OK(segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_DAG, &view));
    return segue_command_buffer_explain_edge(command_buffer, 0, wrong ? NULL : &conflict, 1,
                                             &count);
}

static segue_status explain_needs_a_view(struct segue_test *test, bool wrong)
{
    struct segue_graph_view view;
    uint32_t count = 0;
    segue_command_buffer *command_buffer = make_pair_of_fills(test);
    if (!wrong)
        CHECK_OK(segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_DAG, &view));
    return segue_command_buffer_explain_edge(command_buffer, 0, NULL, 0, &count);
}

static segue_status explained_edge_exists(struct segue_test *test, bool wrong)
{
    struct segue_graph_view view;
    uint32_t count = 0;
    segue_command_buffer *command_buffer = make_pair_of_fills(test);
    CHECK_OK(segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_DAG, &view));
    return segue_command_buffer_explain_edge(command_buffer, wrong ? 1 : 0, NULL, 0, &count);
}

static segue_status graph_of(struct segue_test *test, enum segue_execution_mode mode)
{
    const struct segue_command_buffer_params params = {.mode = mode, .label = "decode"};
    segue_command_buffer *command_buffer = NULL;
    struct segue_graph_view view;
    CHECK_OK(segue_command_buffer_create(test->device, &params, &command_buffer));
    CHECK_OK(segue_command_buffer_begin(command_buffer));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    segue_status status =
        segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &view);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static segue_status graph_needs_graph_mode(struct segue_test *test, bool wrong)
{
    return graph_of(test, wrong ? SEGUE_EXECUTION_STREAM : SEGUE_EXECUTION_GRAPH);
}

static segue_status graph_with_slots_needs_a_submission(struct segue_test *test, bool wrong)
{
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_GRAPH, .slot_count = 1, .label = "decode"};
    const struct segue_buffer_ref binding = segue_test_whole(pair_buffer(test, "a"));
    segue_command_buffer *command_buffer = NULL;
    struct segue_graph_view view;
    CHECK_OK(segue_command_buffer_create(test->device, &params, &command_buffer));
    CHECK_OK(segue_command_buffer_begin(command_buffer));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    if (!wrong)
        CHECK_OK(pair_submit(test, command_buffer, &binding, 1));
    segue_status status =
        segue_command_buffer_get_graph(command_buffer, SEGUE_GRAPH_STAGE_GRAPH, &view);
    segue_command_buffer_destroy(command_buffer);
    return status;
}

static const struct pair pairs[] = {
    PAIR(visit_needs_a_visitor, INVALID_ARGUMENT, "segue_command_buffer_visit|NULL"),
    PAIR(visit_needs_an_ended_command_buffer, INVALID_STATE,
         "segue_command_buffer_visit|not ended|end it first"),
    PAIR(stats_need_a_command_buffer, INVALID_ARGUMENT, "segue_command_buffer_get_stats|NULL"),
    PAIR(stats_need_an_ended_command_buffer, INVALID_STATE,
         "segue_command_buffer_get_stats|not ended|end it first"),
    PAIR(graph_needs_somewhere_to_put_it, INVALID_ARGUMENT, "out_view is NULL"),
    PAIR(graph_needs_an_ended_command_buffer, INVALID_STATE, "not ended|end it first"),
    PAIR(stage_is_known, INVALID_ARGUMENT, "no stage 2|segue_graph_stage"),
    PAIR(explain_needs_somewhere_to_put_it, INVALID_ARGUMENT, "out_conflicts is NULL"),
    PAIR(explain_needs_a_view, INVALID_STATE, "nobody has asked|segue_command_buffer_get_graph"),
    PAIR(explained_edge_exists, OUT_OF_RANGE, "edge is 1|has 1 edges"),
    PAIR(graph_needs_graph_mode, INVALID_STATE, "\"decode\" runs in stream mode|no graph"),
    PAIR(graph_with_slots_needs_a_submission, INVALID_STATE, "\"decode\" has slots|submitted"),
};
PAIR_AREA(inspect, pairs);
