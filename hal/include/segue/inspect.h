// SPDX-License-Identifier: Apache-2.0
/**
 * @file inspect.h
 * Looking into a command buffer: its commands, the order between them, the graph that the driver
 * was given, and what each step cost. Traces and dumps are written with nothing else.
 */
#ifndef SEGUE_INSPECT_H
#define SEGUE_INSPECT_H

#include <segue/command_buffer.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a command does; each is recorded by the segue_cmd_ function of that name. */
enum segue_command_kind {
    SEGUE_COMMAND_FILL = 0,
    SEGUE_COMMAND_UPDATE = 1,
    SEGUE_COMMAND_COPY = 2,
    SEGUE_COMMAND_DISPATCH = 3,
    SEGUE_COMMAND_BARRIER = 4,
    SEGUE_COMMAND_SIGNAL_EVENT = 5,
    SEGUE_COMMAND_RESET_EVENT = 6,
    SEGUE_COMMAND_WAIT_EVENT = 7,
    SEGUE_COMMAND_BEGIN_GROUP = 8,
    SEGUE_COMMAND_END_GROUP = 9,
};

/** One recorded command. Lengths are resolved, except SEGUE_WHOLE_SIZE of slots. */
struct segue_command_info {
    enum segue_command_kind kind;
    /** Position in the recording; every command counts, barriers and groups too. */
    uint32_t index;
    /** Labels of the open groups joined by '/', "" at the top. Valid during the call. */
    const char *group_path;
    union {
        struct {
            struct segue_buffer_ref target;
            uint32_t pattern;
            uint32_t pattern_size_bytes;
        } fill;
        struct {
            struct segue_buffer_ref target;
            const void *data;
        } update;
        struct {
            struct segue_buffer_ref source;
            struct segue_buffer_ref target;
        } copy;
        /** block and dynamic_shared_bytes are resolved. */
        struct segue_dispatch dispatch;
        struct segue_barrier barrier;
        segue_event *event;
        const char *group_label;
    } as;
};

/** Return false to stop. */
typedef bool (*segue_command_visitor)(void *context, const struct segue_command_info *command);

/** Calls `visit` for each command in recorded order. SEGUE_INVALID_STATE unless ended. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_command_buffer_visit(
    segue_command_buffer *command_buffer, segue_command_visitor visit, void *context);

/** Which form of a command buffer is asked for. */
enum segue_graph_stage {
    /** One node for each command that does work, in recorded order, and an edge for each pair that
     *  must be ordered: that conflicts, or, with SEGUE_COMMAND_BUFFER_BARRIER_ORDER, that a barrier
     *  or an event orders. Pairs that other edges order are left out, but for some that are far
     *  apart. */
    SEGUE_GRAPH_STAGE_DAG = 0,
    /** The graph that the driver has. SEGUE_INVALID_STATE where none has been built (stream mode,
     * or slots and no submission yet). */
    SEGUE_GRAPH_STAGE_GRAPH = 1,
};

/** What a node of a graph does, in the terms of the driver. */
enum segue_graph_node_type {
    SEGUE_GRAPH_NODE_KERNEL = 0,
    SEGUE_GRAPH_NODE_MEMCPY = 1,
    SEGUE_GRAPH_NODE_MEMSET = 2,
    SEGUE_GRAPH_NODE_EMPTY = 3,
    SEGUE_GRAPH_NODE_HOST = 4,
    SEGUE_GRAPH_NODE_CHILD = 5,
    SEGUE_GRAPH_NODE_CONDITIONAL = 6,
};

/** What an edge waits for: the end of a node, or a point that its kernel triggers. */
enum segue_graph_edge_type {
    SEGUE_GRAPH_EDGE_FULL = 0,
    SEGUE_GRAPH_EDGE_PROGRAMMATIC = 1,
};

/** A node that stands for no command (a join). */
#define SEGUE_NO_COMMAND UINT32_MAX
/** A node that is on no lane. */
#define SEGUE_NO_LANE UINT32_MAX

/** One node of a graph. */
struct segue_graph_node {
    /** Index of the command, or SEGUE_NO_COMMAND. */
    uint32_t command;
    enum segue_graph_node_type type;
    /** e.g. "layer0/attention/gqa_decode". */
    const char *label;
    /** The chain that it was placed on, or SEGUE_NO_LANE; stage DAG has no lanes. */
    uint32_t lane;
    /** How long it takes by itself, as Segue believed when it made the graph: the hint of a
     *  dispatch, or what the device's cost model says. 0 for a join. */
    uint32_t duration_ns;
};

/** Why an edge is there. Bits. */
enum segue_graph_reason {
    /** `to` reads, or may read, what `from` writes. */
    SEGUE_GRAPH_REASON_READ_AFTER_WRITE = 1u << 0,
    /** `to` writes what `from` reads. */
    SEGUE_GRAPH_REASON_WRITE_AFTER_READ = 1u << 1,
    /** Both write it. */
    SEGUE_GRAPH_REASON_WRITE_AFTER_WRITE = 1u << 2,
    /** One of them may touch anything (SEGUE_ENTRY_OPAQUE). */
    SEGUE_GRAPH_REASON_OPAQUE = 1u << 3,
    /** With the ones above: one range is of a slot, which may stand for the memory of the other. */
    SEGUE_GRAPH_REASON_MAY_ALIAS = 1u << 4,
    /** A barrier or an event orders them, and they do not conflict: kept because of
     *  SEGUE_COMMAND_BUFFER_BARRIER_ORDER. */
    SEGUE_GRAPH_REASON_BARRIER = 1u << 5,
    /** They follow each other on one lane. Alone: order that the shape adds, and nothing needs. */
    SEGUE_GRAPH_REASON_LANE = 1u << 6,
    /** One of them is a join, which stands for many. */
    SEGUE_GRAPH_REASON_JOIN = 1u << 7,
    /** None of the others: what `to` conflicts with comes before `from`. */
    SEGUE_GRAPH_REASON_IMPLIED = 1u << 8,
};

/** "`to` runs after `from`". */
struct segue_graph_edge {
    /** Indices into the nodes. */
    uint32_t from;
    uint32_t to;
    enum segue_graph_edge_type type;
    /** Bits of segue_graph_reason, at least one. */
    uint32_t reasons;
};

/** Nodes in creation order, and the edges between them, sorted by `to`, then `from`. */
struct segue_graph_view {
    const struct segue_graph_node *nodes;
    uint32_t node_count;
    const struct segue_graph_edge *edges;
    uint32_t edge_count;
    /** Lanes are below this. 0 in stage DAG. */
    uint32_t lane_count;
};

/**
 * Describes a stage. The view belongs to the command buffer and is valid until the next call of
 * this function on it, its reset, or its destruction.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_command_buffer_get_graph(segue_command_buffer *command_buffer, enum segue_graph_stage stage,
                               struct segue_graph_view *out_view);

/** One pair of accesses because of which a command waits for another. */
struct segue_graph_conflict {
    /** Bits of segue_graph_reason up to MAY_ALIAS. With OPAQUE the rest means nothing. */
    uint32_t reasons;
    /** Which range of each command: a dispatch's binding; of a copy 0 is the source, 1 the target;
     *  0 of a fill or an update. */
    uint32_t from_access;
    uint32_t to_access;
    /** The bytes that both touch, in the buffer or slot that the later command names. */
    struct segue_buffer_ref range;
};

/**
 * Why an edge of the last view is there: the pairs of accesses of its two commands that conflict.
 * @param edge           index of the edge in what segue_command_buffer_get_graph returned last.
 * @param out_conflicts  room for `capacity`; as many as fit are written. NULL with 0.
 * @param out_count      how many there are; 0 where the edge's reasons are others.
 * @return SEGUE_INVALID_STATE without a view, SEGUE_OUT_OF_RANGE for an edge that it lacks.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_command_buffer_explain_edge(
    segue_command_buffer *command_buffer, uint32_t edge, struct segue_graph_conflict *out_conflicts,
    uint32_t capacity, uint32_t *out_count);

/** Which mode the command buffer runs in (AUTO resolved), its size and what preparing it cost. */
struct segue_command_buffer_stats {
    enum segue_execution_mode mode;
    /** All commands, and those of them that do work on the device. */
    uint32_t command_count;
    uint32_t work_count;
    /** Host memory that the recording uses, and has reserved. */
    uint64_t recorded_bytes;
    uint64_t reserved_bytes;
    /** Of the last graph built; 0 in stream mode. */
    uint32_t node_count;
    uint32_t edge_count;
    /** The graph came from the cache (segue/cache.h), and that many of its nodes were written;
     *  build_ns is then the time to find and to write it. */
    bool reused;
    uint32_t nodes_written;
    /** Host time from begin to end without lowering, of lowering (order and shape), of building the
     *  driver's graph, of instantiating it, and of uploading it. */
    uint64_t record_ns;
    uint64_t lower_ns;
    uint64_t build_ns;
    uint64_t instantiate_ns;
    uint64_t upload_ns;
};

/** SEGUE_INVALID_STATE unless ended. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_command_buffer_get_stats(
    segue_command_buffer *command_buffer, struct segue_command_buffer_stats *out_stats);

/** The device, slots and label that the command buffer was created with. */
struct segue_command_buffer_info {
    segue_device *device;
    uint32_t flags;
    uint32_t slot_count;
    const char *label;
    /** Owned by the command buffer. */
    const struct segue_constant_slot *constant_slots;
    uint32_t constant_slot_count;
};
/** Describes a command buffer, in whatever state it is. */
SEGUE_API void segue_command_buffer_get_info(const segue_command_buffer *command_buffer,
                                             struct segue_command_buffer_info *out_info);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_INSPECT_H
