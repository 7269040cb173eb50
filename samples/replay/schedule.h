// SPDX-License-Identifier: Apache-2.0
/**
 * @file schedule.h
 * When the nodes of a graph would run: a model, from their durations, their edges, and what edges
 * cost on the device. It knows nothing of kernels that share the device's multiprocessors.
 */
#ifndef SEGUE_REPLAY_SCHEDULE_H
#define SEGUE_REPLAY_SCHEDULE_H

#include <segue/cost.h>
#include <segue/inspect.h>

/** One node in the plan of times. */
struct segue_replay_slot {
    uint64_t start_ns;
    uint64_t duration_ns;
    /** The edge that it starts behind, SEGUE_REPLAY_NO_EDGE where it waits for none. */
    uint32_t edge;
};
#define SEGUE_REPLAY_NO_EDGE UINT32_MAX

/** Times of all nodes, and the path of nodes and edges that decides when the last one ends. */
struct segue_replay_schedule {
    /** Per node. Owned, as the other arrays. */
    struct segue_replay_slot *slots;
    uint32_t node_count;
    uint64_t end_ns;
    /** In order of time. */
    uint32_t *critical_nodes;
    uint32_t critical_count;
};

/**
 * Fills in a zeroed schedule.
 * @param durations_ns  per node.
 * @return false when out of memory.
 */
bool segue_replay_schedule_make(const struct segue_graph_view *view, const uint64_t *durations_ns,
                                const struct segue_cost_model *model,
                                struct segue_replay_schedule *out_schedule);
/** Zero-initialised is fine. */
void segue_replay_schedule_clear(struct segue_replay_schedule *schedule);

/** What other lowerings of the same commands would take. */
struct segue_replay_totals {
    /** One node after the other. */
    uint64_t serial_ns;
    /** A barrier is an empty node behind all nodes of its scope. */
    uint64_t fork_join_ns;
};

/**
 * @param durations_ns  per node that is a command, in recorded order.
 * @param scopes        per such node: the number of barriers before it.
 */
struct segue_replay_totals segue_replay_totals_of(const uint64_t *durations_ns,
                                                  const uint32_t *scopes, uint32_t count,
                                                  const struct segue_cost_model *model);

#endif // SEGUE_REPLAY_SCHEDULE_H
