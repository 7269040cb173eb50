// SPDX-License-Identifier: Apache-2.0
/**
 * @file cost.h
 * The cost model, and what single commands cost by it.
 */
#ifndef SEGUE_HAL_COST_H
#define SEGUE_HAL_COST_H

#include "segment.h"

#include <segue/cost.h>

struct segue_recording;

/** Measured on an H200 (driver 580.159, CUDA 13.0). */
extern const struct segue_cost_model segue_cost_model_h200;

/** The whole device, in the unit of segue_work_cost.share. */
#define SEGUE_WHOLE_DEVICE 65536

/** What a command asks of the device. */
struct segue_work_cost {
    /** Its own work, at least 1. */
    uint32_t duration_ns;
    /** How much of the device it occupies meanwhile, 1 to SEGUE_WHOLE_DEVICE. */
    uint32_t share;
};

/** Whether launching a graph that is there takes the host less time than launching its commands on
 * a stream. */
static inline bool segue_graph_pays(const struct segue_cost_model *model, uint32_t work_count)
{
    return work_count != 0 &&
           (uint64_t)work_count * model->stream_launch_ns >= model->graph_launch_ns;
}

/** The same where the graph is in the cache, and each of its nodes may have to be written. */
static inline bool segue_kept_graph_pays(const struct segue_cost_model *model, uint32_t work_count)
{
    return work_count != 0 &&
           (uint64_t)work_count * model->stream_launch_ns >=
               (uint64_t)work_count * model->graph_write_node_ns + model->graph_launch_ns;
}

/** The most edges with which a recording that runs once is done earlier as a graph made for it than
 *  on a stream, where the device runs what has been launched while the host launches the rest; an
 *  edge a node costs nothing extra. 0: it is not, however few there are. The graph's nodes are
 * taken to run one after the other. 0 with transfers, most of which are faster on a stream. */
uint64_t segue_built_graph_edge_limit(const struct segue_cost_model *model,
                                      const struct segue_recording *recording);

/** Of a command that is work. Dispatches: the hint, or unknown_duration_ns; blocks and threads
 *  against what the device holds. Transfers: their length, where it is known. */
struct segue_work_cost segue_work_cost(const struct segue_cost_model *model,
                                       const struct segue_segment *segment);

#endif // SEGUE_HAL_COST_H
