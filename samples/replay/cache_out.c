// SPDX-License-Identifier: Apache-2.0
#include "cache_out.h"

#include "json_out.h"
#include "report.h"

#include <inttypes.h>

/** By enum segue_cache_fall. */
static const char *const fall_names[SEGUE_CACHE_FALL_COUNT] = {"patch", "update", "instantiate",
                                                               "memory"};
static const char *const fall_words[SEGUE_CACHE_FALL_COUNT] = {
    "a node could not be written, the whole graph was updated",
    "a graph could not be updated, it was instantiated anew",
    "a graph could not be instantiated, the command buffer runs as a stream",
    "memory ran out, what was idle was given back",
};

void segue_replay_print_cache(const struct segue_cache_stats *stats)
{
    char host[16], device[16], saved[16], table[16];
    printf("graph cache: %" PRIu64 " hits (%" PRIu64 " recognised, %" PRIu64 " unchanged), %" PRIu64
           " misses, %" PRIu64 " copies, %" PRIu64 " evictions; %" PRIu64 " nodes written, %" PRIu64
           " whole updates; %" PRIu64 " rebinds (%" PRIu64 " nodes), %" PRIu64
           " copies of pointers (%s)\n",
           stats->hits, stats->recognised, stats->unchanged, stats->misses, stats->copies,
           stats->evictions, stats->nodes_written, stats->whole_updates, stats->rebinds,
           stats->rebound_nodes, stats->table_copies,
           segue_replay_format_bytes(table, sizeof(table), (double)stats->table_bytes));
    printf("             %" PRIu32 " graphs (%" PRIu32
           " idle), %s of host and %s of device memory; "
           "%s saved\n",
           stats->graphs, stats->idle_graphs,
           segue_replay_format_bytes(host, sizeof(host), (double)stats->host_bytes),
           segue_replay_format_bytes(device, sizeof(device), (double)stats->device_bytes),
           segue_replay_format_ns(saved, sizeof(saved), (double)stats->saved_ns));
    bool fell = false;
    for (uint32_t i = 0; i < SEGUE_CACHE_FALL_COUNT; ++i) {
        if (stats->falls[i] > 0)
            printf("             %" PRIu64 " x %s\n", stats->falls[i], fall_words[i]);
        fell = fell || stats->falls[i] > 0;
    }
    char line[sizeof(stats->last_fall)];
    if (fell)
        printf("             last: %s\n",
               segue_replay_copy_clean(line, sizeof(line), stats->last_fall));
}

json_t *segue_replay_json_cache(const struct segue_cache_stats *stats)
{
    json_t *falls = json_object();
    int failed = falls == NULL;
    for (uint32_t i = 0; i < SEGUE_CACHE_FALL_COUNT; ++i)
        failed |=
            json_object_set_new(falls, fall_names[i], json_integer((json_int_t)stats->falls[i]));
    if (failed) {
        json_decref(falls);
        return NULL;
    }
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:I, s:I, "
        "s:I, s:I}",
        "rebinds", (json_int_t)stats->rebinds, "rebound_nodes", (json_int_t)stats->rebound_nodes,
        "table_copies", (json_int_t)stats->table_copies, "table_bytes",
        (json_int_t)stats->table_bytes, "hits", (json_int_t)stats->hits, "recognised",
        (json_int_t)stats->recognised, "unchanged", (json_int_t)stats->unchanged, "misses",
        (json_int_t)stats->misses, "copies", (json_int_t)stats->copies, "nodes_written",
        (json_int_t)stats->nodes_written, "whole_updates", (json_int_t)stats->whole_updates,
        "evictions", (json_int_t)stats->evictions, "falls", falls, "last_fall",
        segue_replay_json_text(stats->last_fall), "graphs", (json_int_t)stats->graphs,
        "idle_graphs", (json_int_t)stats->idle_graphs, "host_bytes", (json_int_t)stats->host_bytes,
        "device_bytes", (json_int_t)stats->device_bytes, "saved_ns", (json_int_t)stats->saved_ns);
}
