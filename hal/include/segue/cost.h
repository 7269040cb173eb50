// SPDX-License-Identifier: Apache-2.0
/**
 * @file cost.h
 * What the pieces of a graph cost on a device. From it Segue decides how a command buffer's graph
 * is shaped: on how many lanes (chains of commands) it runs, and how these wait for each other. A
 * wrong model makes graphs slower, never wrong.
 *
 * The built-in model was measured on an H200. `segue-bench --calibrate` measures the device at hand
 * and writes a file for it, which is used from then on.
 */
#ifndef SEGUE_COST_H
#define SEGUE_COST_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Device times unless said otherwise. In every file and message a figure has the name that it has
 *  here. */
struct segue_cost_model {
    /** What a kernel takes beyond its own work when it follows another on the same lane. */
    uint32_t node_ns;
    /** By how much each further busy lane lengthens that. */
    uint32_t lane_ns;
    /** Least time between the starts of two kernels, on whatever lanes. */
    uint32_t issue_ns;
    /** Waiting for a command on another lane. */
    uint32_t wait_ns;
    /** Where several lanes wait for several: each edge between them. */
    uint32_t edge_ns;
    /** A kernel that does nothing, between lanes that wait for each other, without its edges. */
    uint32_t join_ns;
    /** Nodes that can wait for one without more ado, and what it costs if more do. */
    uint32_t fan_out_limit;
    uint32_t fan_out_ns;
    /** Host time that a launch takes for each node that waits for none, and for each that none
     *  waits for. */
    uint32_t launch_root_ns;
    uint32_t launch_leaf_ns;
    /** Kernels that run side by side at most; no graph has more lanes. 1 to 128. */
    uint32_t max_lane_count;
    /** Work of a dispatch of unknown duration (see segue_dispatch.duration_ns). */
    uint32_t unknown_duration_ns;
    /** Speed of fills and copies within device memory, and across the bus. */
    uint32_t device_bytes_per_us;
    uint32_t bus_bytes_per_us;
    /** What a multiprocessor holds at a time, and how many there are. A count of 0 stands for that
     *  of the device. */
    uint32_t threads_per_multiprocessor;
    uint32_t blocks_per_multiprocessor;
    uint32_t multiprocessor_count;
    /** Host time of launching one command on a stream, and a whole graph. A command buffer in mode
     *  AUTO runs as a graph where that takes the host less. */
    uint32_t stream_launch_ns;
    uint32_t graph_launch_ns;
    /** Host time of writing a node of a graph that the cache has, finding it included. */
    uint32_t graph_write_node_ns;
    /** Host time of making a graph and of giving it up, from the end of recording on: what it takes
     *  in any case, and for each node and edge. A one-shot command buffer in mode AUTO that nothing
     *  in the cache is like runs as a graph where it is done earlier with all of that. */
    uint32_t graph_build_ns;
    uint32_t graph_build_node_ns;
    uint32_t graph_build_edge_ns;
};

/** The model that the device shapes graphs by; see segue_device_params.cost_model. */
SEGUE_API void segue_device_get_cost_model(const segue_device *device,
                                           struct segue_cost_model *out_model);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_COST_H
