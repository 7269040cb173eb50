// SPDX-License-Identifier: Apache-2.0
/**
 * @file shapes.h
 * The same commands as graphs of different shapes, side by side: Segue's, and those that other
 * systems make or that one would make by hand. All of them are built out of the same operations by
 * the same raw calls and launched in turns, so that only the shape differs.
 *
 * One thread.
 */
#ifndef SEGUE_BENCH_SHAPES_H
#define SEGUE_BENCH_SHAPES_H

#include "harness.h"
#include "lower.h"

#include <jansson.h>

/** One way to run the commands. */
enum segue_shapes_lowering {
    /** The graph that Segue makes, built again by the raw calls. */
    SEGUE_SHAPES_SEGUE,
    /** The same where Segue is not told how long the dispatches take. */
    SEGUE_SHAPES_UNHINTED,
    /** A barrier is an empty node behind all nodes of its scope: what IREE's drivers emit. */
    SEGUE_SHAPES_FORK_JOIN,
    /** The same with a kernel that does nothing. */
    SEGUE_SHAPES_JOIN_KERNEL,
    /** Every node of a scope behind every node of the scope before. */
    SEGUE_SHAPES_ALL_TO_ALL,
    /** All nodes in one line. */
    SEGUE_SHAPES_CHAIN,
    /** The last that is a graph made by raw calls. */
    SEGUE_SHAPES_LAST_GRAPH = SEGUE_SHAPES_CHAIN,
    /** No graph: one launch after the other. */
    SEGUE_SHAPES_STREAM,
    /** Segue's own graph, by segue_queue_submit with one signal. */
    SEGUE_SHAPES_SUBMIT,
    SEGUE_SHAPES_COUNT,
};
extern const char *const segue_shapes_lowering_names[SEGUE_SHAPES_COUNT];

#define SEGUE_SHAPES_NAME_BYTES 64
#define SEGUE_SHAPES_MAX_CASES 320
/** Outputs of a command list, and inputs of one command. */
#define SEGUE_SHAPES_COMMAND_COUNT 1024
#define SEGUE_SHAPES_MAX_INPUTS 3
/** A larger one is left out: instantiating 61,440 edges takes 64 to 134 ms, and twice as many more
 *  than twice as long. */
#define SEGUE_SHAPES_MAX_EDGES 65536

struct segue_shapes;
struct segue_shapes_case;

/** Makes the command buffers of a family of cases. Functions return false after segue_bench_check
 *  or segue_bench_fail has kept what failed. */
struct segue_shapes_maker {
    /** A command buffer in graph mode that has been submitted once and is idle. `state` is kept for
     *  close, which is called in any case. */
    bool (*make)(struct segue_shapes *shapes, const struct segue_shapes_case *self, bool hints,
                 void **state, segue_command_buffer **out_command_buffer);
    /** Whether durations of dispatches can be given as hints. */
    bool has_hints;
    /** Submits it again, with one signal, and does not wait. */
    bool (*submit)(struct segue_shapes *shapes, void *state);
    /** Waits for it. */
    bool (*wait)(struct segue_shapes *shapes, void *state);
    void (*close)(struct segue_shapes *shapes, void *state);
};

/** One list of commands. */
struct segue_shapes_case {
    char name[SEGUE_SHAPES_NAME_BYTES];
    const struct segue_shapes_maker *maker;
    /** What these mean is the maker's business. */
    uint32_t kind;
    uint32_t width;
    uint32_t duration_us;
    uint32_t block_count;
    uint64_t seed;
    const char *path;
};

/** Nodes and edges of a graph. */
struct segue_shapes_graph {
    /** Per node: index of its operation, or one of the two below. Owned, as all arrays. */
    uint32_t *operations;
    /** Of node i: dependencies[first[i]] up to dependencies[first[i + 1]]. */
    uint32_t *first;
    uint32_t *dependencies;
    /** enum segue_graph_edge_type of each dependency. */
    uint8_t *types;
    uint32_t node_count;
    uint32_t edge_count;
};
#define SEGUE_SHAPES_EMPTY_NODE UINT32_MAX
#define SEGUE_SHAPES_JOIN_NODE (UINT32_MAX - 1)

/** The operations of a command buffer, in recorded order, as both graphs and streams need them. */
struct segue_shapes_work {
    struct segue_lowering lowering;
    struct segue_operation *operations;
    /** Per operation: its command, and the number of barriers before it. */
    uint32_t *commands;
    uint32_t *scopes;
    uint32_t operation_count;
    struct segue_operation join;
    CUdeviceptr staging;
};

/** What one lowering of one case takes; medians. */
struct segue_shapes_figures {
    /** Why there is none; NULL: there is. */
    const char *left_out;
    double launch_ns;
    double done_ns;
    double done_p10_ns;
    double done_p90_ns;
    /** 0 where nothing is instantiated. */
    double instantiate_ns;
    /** What Segue's shape takes as a part of what this one takes: medians over the rounds, in which
     *  both were launched right after each other, so that what disturbs both cancels out. */
    double launch_ratio;
    double done_ratio;
    uint32_t node_count;
    uint32_t edge_count;
    uint32_t repeats;
};

struct segue_shapes_result {
    const struct segue_shapes_case *owner;
    struct segue_shapes_figures figures[SEGUE_SHAPES_COUNT];
    /** Host time of Segue's order and shape passes together. */
    double lower_ns;
};

struct segue_shapes {
    struct segue_bench *bench;
    struct segue_shapes_case cases[SEGUE_SHAPES_MAX_CASES];
    uint32_t case_count;
    struct segue_shapes_result results[SEGUE_SHAPES_MAX_CASES];
    uint32_t result_count;
    /** Of the lists of spinning kernels. */
    segue_executable *spin;
    segue_buffer *pieces;
    segue_buffer *source;
    double cycles_per_us;
    /** Of the random programs. */
    segue_executable *kernels;
};

/** Calls `visit` for every name that the filter lets through; needs no device. */
void segue_shapes_visit_names(struct segue_bench *bench,
                              void (*visit)(const char *name, void *context), void *context);
/** Runs everything on the opened fixture and raw driver, prints the summary and writes the JSON
 *  file that the options name. False if something failed; that is on stderr. */
bool segue_shapes_run(struct segue_bench *bench);

/* ---- shapes_spin.c: lists of kernels that take a given time ---------------------------------- */

/** Makes what the spinning kernels need. */
bool segue_shapes_spin_open(struct segue_shapes *shapes);
void segue_shapes_spin_close(struct segue_shapes *shapes);
void segue_shapes_add_spin(struct segue_shapes *shapes);

/* ---- shapes_played.c: random programs, and a trace --------------------------------------------
 */

void segue_shapes_add_played(struct segue_shapes *shapes);
void segue_shapes_played_close(struct segue_shapes *shapes);

/* ---- shapes_work.c: what a command buffer does ------------------------------------------------
 */

/** Lowers all commands of a command buffer that has been submitted. */
bool segue_shapes_work_create(struct segue_bench *bench, segue_command_buffer *command_buffer,
                              struct segue_shapes_work *out_work);
/** Zero-initialised or half-made is fine. */
void segue_shapes_work_destroy(struct segue_bench *bench, struct segue_shapes_work *work);
/** Launches everything in recorded order. */
CUresult segue_shapes_work_issue(struct segue_bench *bench, const struct segue_shapes_work *work,
                                 const char **out_call);
/** Builds a graph; its nodes in order, if `out_nodes` is not NULL. */
CUresult segue_shapes_work_build(struct segue_bench *bench, const struct segue_shapes_work *work,
                                 const struct segue_shapes_graph *graph, CUgraph *out_graph,
                                 CUgraphNode *out_nodes, const char **out_call);

/* ---- shapes_graph.c: the shapes ----------------------------------------------------------------
 */

/** The shape that a lowering up to SEGUE_SHAPES_LAST_GRAPH gives the work. `out_left_out` says why
 *  there is none. */
bool segue_shapes_graph_create(struct segue_bench *bench, const struct segue_shapes_work *work,
                               segue_command_buffer *command_buffer,
                               enum segue_shapes_lowering lowering,
                               struct segue_shapes_graph *out_graph, const char **out_left_out);
/** Zero-initialised is fine. */
void segue_shapes_graph_destroy(struct segue_shapes_graph *graph);

/* ---- shapes_measure.c, shapes_report.c ---------------------------------------------------------
 */

/** Measures one case in all lowerings. */
bool segue_shapes_measure(struct segue_shapes *shapes, const struct segue_shapes_case *owner,
                          struct segue_shapes_result *out_result);

/** Prints a line for each case, and what was aimed at. */
void segue_shapes_print(const struct segue_shapes *shapes);
/** Google Benchmark's document: an entry for each case and lowering, whose real time is that until
 *  the device is done and whose CPU time is the launch's. NULL when out of memory. */
json_t *segue_shapes_make_json(const struct segue_shapes *shapes);

#endif // SEGUE_BENCH_SHAPES_H
