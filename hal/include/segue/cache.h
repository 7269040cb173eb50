// SPDX-License-Identifier: Apache-2.0
/**
 * @file cache.h
 * The cache of instantiated graphs, one per device. Ending a command buffer (or
 * submitting it with a table) whose graph has the structure of one that is idle
 * in the cache takes that graph and writes only the nodes that differ; nothing
 * is built. A command buffer keeps its graph until it is reset or destroyed and
 * its submissions are done; then the graph is idle.
 *
 * Structure is: the kinds of nodes, kernels, launch attributes, the edges with
 * their kinds, lanes. Everything else - grids, constants, ranges, patterns,
 * inline data - can be written.
 *
 * Thread-safety. All functions may be called from several threads at once.
 * Command buffers may be recorded, ended, reset and submitted on several
 * threads at once: the cache does its own locking, and no lock is held while the
 * driver instantiates or patches, except that graphs of one structure are patched
 * one at a time, and that a submission whose table wants a graph made or written
 * holds that of the device's submissions (segue/command_buffer.h).
 */
#ifndef SEGUE_CACHE_H
#define SEGUE_CACHE_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The ladder: what was given up for what. */
enum segue_cache_fall {
    /** A node could not be written; the whole graph was updated instead. */
    SEGUE_CACHE_FALL_PATCH = 0,
    /** The whole graph could not be updated; it was instantiated anew. */
    SEGUE_CACHE_FALL_UPDATE = 1,
    /** A graph could not be instantiated; the command buffer runs as a stream
       (mode AUTO only). */
    SEGUE_CACHE_FALL_INSTANTIATE = 2,
    /** Instantiating ran out of memory; what was idle was given back and it was
       tried again. */
    SEGUE_CACHE_FALL_MEMORY = 3,
};
/** How many kinds there are. */
#define SEGUE_CACHE_FALL_COUNT 4

/** What the cache may keep. Only idle graphs count against it: those in use
 * stay. */
struct segue_cache_budget {
    /** Bytes of host and device memory. 0: nothing idle is kept. */
    uint64_t max_bytes;
    /** Number of graphs. 0: nothing idle is kept. */
    uint32_t max_graphs;
    /** Graphs that one command buffer with slots may have in flight at a time, each with its own
     * table. A submission with another table than theirs waits, in segue_queue_submit, until one of
     * them is done; not for those that wait for a value that nobody has submitted. 0: no limit. */
    uint32_t max_table_graphs;
};

/** Used until segue_device_set_cache_budget is called. */
#define SEGUE_CACHE_DEFAULT_BYTES (UINT64_C(512) << 20)
/** The same. */
#define SEGUE_CACHE_DEFAULT_GRAPHS 1024

/** Counts since the device was opened, unless said otherwise. */
struct segue_cache_stats {
    /** Command buffers that took a graph from the cache; of those, the ones that
     * were recognised command by command, without passes over order and shape;
     * and the ones that nothing had to be written for. */
    uint64_t hits;
    uint64_t recognised;
    uint64_t unchanged;
    /** Command buffers for which a graph was built, and those for which one more
     * was instantiated from a graph that was there, all others of its structure
     * being in use. */
    uint64_t misses;
    uint64_t copies;
    /** Submissions whose table was written into a graph of the same recording with another one, and
     * nodes that were written for that. Some of them are hits, too. */
    uint64_t rebinds;
    uint64_t rebound_nodes;
    /** Copies in front of launches (in either mode), and bytes of them, of pointers that kernels
     * find in memory (SEGUE_PARAMETER_INDIRECT). */
    uint64_t table_copies;
    uint64_t table_bytes;
    /** Nodes written one by one; whole graphs updated. */
    uint64_t nodes_written;
    uint64_t whole_updates;
    /** Graphs given up because of the budget, for lack of memory, or because a
     * kernel of theirs was destroyed. */
    uint64_t evictions;
    /** By enum segue_cache_fall. */
    uint64_t falls[SEGUE_CACHE_FALL_COUNT];
    /** The last fall: the command's index (SEGUE_NO_COMMAND if none is known),
     * CUresult, and a sentence that names command buffer, command and call. */
    uint32_t last_fall_command;
    int32_t last_fall_result;
    char last_fall[256];
    /** Now: graphs and structures alive, graphs idle. */
    uint32_t graphs;
    uint32_t structures;
    uint32_t idle_graphs;
    /** Now: memory of all graphs (measured as they were instantiated) with what
     * is kept to tell and to patch them; of the idle ones; and the most there
     * was. */
    uint64_t host_bytes;
    uint64_t device_bytes;
    uint64_t idle_bytes;
    uint64_t peak_bytes;
    /** Time spent building graphs (adding, instantiating, uploading), and finding
     * and writing them; what hits would have cost had each graph been built anew,
     * less what they did cost. */
    uint64_t build_ns;
    uint64_t patch_ns;
    uint64_t saved_ns;
};

/** What the cache has done and holds. On devices without one all is 0. */
SEGUE_API void segue_device_get_cache_stats(segue_device *device,
                                            struct segue_cache_stats *out_stats);

/** Sets the budget and gives up what is beyond it, least recently used first.
 *  @param budget  NULL: the default. */
SEGUE_API void segue_device_set_cache_budget(segue_device *device,
                                             const struct segue_cache_budget *budget);

/** Gives up all that is idle. */
SEGUE_API void segue_device_trim_cache(segue_device *device);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_CACHE_H
