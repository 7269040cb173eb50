// SPDX-License-Identifier: Apache-2.0
// Making an executable graph do something else: node by node, or as a whole.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "exec_cache.h"
#include "graph_node.h"

/** From this share of the nodes on (in thousandths) the whole graph is updated
 * instead of its nodes one by one. Measured on an H200: writing a node takes
 * 0.17 us (1000 nodes) to 0.30 us (10,000), writing all of the kept graph and
 * updating from it 0.29 us and more a node, whatever differs (docs/performance.md).
 * So it never pays, and is for what cannot be written node by node. */
#define WHOLE_UPDATE_SHARE 1001

/** Whether a failure is one that no other way around helps against. */
static bool is_fatal(CUresult result)
{
    return segue_cuda_status(result) == SEGUE_DEVICE_LOST;
}

static segue_status raise(struct segue_lowering *lowering, const struct segue_segment *segment,
                          CUresult result, const char *call, int line)
{
    char text[512];
    return segue_cuda_raise(lowering->cuda, result, call, __FILE__, line,
                            "command buffer \"%s\", %s", lowering->recording->label,
                            segue_lowering_describe(lowering, segment, text, sizeof(text)));
}

/** Gives a command's node its parameters: in the structure's graph, or (`exec`
 * not NULL) in an executable graph. A refusal of the driver is in
 * `*out_result`. */
static segue_status write_node(struct segue_lowering *lowering,
                               const struct segue_cuda_structure *structure, CUgraphExec exec,
                               const struct segue_segment *segment, const uint64_t *record,
                               CUresult *out_result, const char **out_call)
{
    CUgraphNode node = structure->graph.nodes[segue_record_node(record)];
    if (exec != NULL && segue_cuda_dispatch_is_direct(segment)) {
        *out_result = segue_cuda_dispatch_set(lowering->cuda, exec, node,
                                              (const struct segue_dispatch_segment *)segment,
                                              record, out_call);
    } else {
        struct segue_operation operation;
        const segue_status status = segue_lower(lowering, segment, &operation);
        if (status != SEGUE_OK)
            return status;
        *out_result = segue_cuda_node_set(lowering->cuda, exec, node, &operation, out_call);
        segue_lowering_recycle(lowering);
    }
    if (*out_result != CUDA_SUCCESS && is_fatal(*out_result))
        return raise(lowering, segment, *out_result, *out_call, __LINE__);
    return SEGUE_OK;
}

segue_status segue_structure_sync(struct segue_lowering *lowering,
                                  struct segue_cuda_structure *structure,
                                  const struct segue_exec_content *content,
                                  enum segue_cache_fall fall, bool *out_synced)
{
    const uint64_t *record = content->words;
    *out_synced = false;
    for (const struct segue_segment *segment = lowering->recording->first; segment != NULL;
         segment = segment->next) {
        CUresult result = CUDA_SUCCESS;
        const char *call = NULL;
        if (segment->kind >= SEGUE_COMMAND_BEGIN_GROUP)
            continue;
        const uint64_t *own = record;
        record += segue_record_words(record);
        if (segue_record_node(own) == SEGUE_NO_RECORD)
            continue;
        const segue_status status =
            write_node(lowering, structure, NULL, segment, own, &result, &call);
        if (status != SEGUE_OK)
            return status;
        if (result != CUDA_SUCCESS) {
            segue_exec_cache_note_fall(lowering, fall, segment, result, call);
            return SEGUE_OK;
        }
    }
    *out_synced = true;
    return SEGUE_OK;
}

/** The command of a node, NULL for a join or a node that is not there. */
static const struct segue_segment *find_segment(const struct segue_lowering *lowering,
                                                const struct segue_cuda_structure *structure,
                                                const struct segue_exec_content *content,
                                                CUgraphNode node)
{
    const uint64_t *record = content->words;
    for (const struct segue_segment *segment = lowering->recording->first; segment != NULL;
         segment = segment->next) {
        if (segment->kind >= SEGUE_COMMAND_BEGIN_GROUP)
            continue;
        const uint32_t index = segue_record_node(record);
        record += segue_record_words(record);
        if (index != SEGUE_NO_RECORD && structure->graph.nodes[index] == node)
            return segment;
    }
    return NULL;
}

/** An update takes every node's parameters from the kept graph, patches of
 * before included; so that is written first, all of it. */
static segue_status update_whole(struct segue_lowering *lowering, struct segue_cuda_exec *exec,
                                 const struct segue_exec_content *content, bool *out_updated)
{
    struct segue_cuda_structure *structure = exec->structure;
    const struct segue_driver *driver = &lowering->cuda->driver;
    *out_updated = false;
    bool synced;
    segue_status status =
        segue_structure_sync(lowering, structure, content, SEGUE_CACHE_FALL_UPDATE, &synced);
    if (status != SEGUE_OK || !synced)
        return status;
    CUgraphExecUpdateResultInfo info = {.result = CU_GRAPH_EXEC_UPDATE_SUCCESS};
    const CUresult result = driver->cuGraphExecUpdate(exec->handle, structure->graph.graph, &info);
    if (result == CUDA_SUCCESS) {
        *out_updated = true;
        return SEGUE_OK;
    }
    const struct segue_segment *segment =
        info.errorNode != NULL ? find_segment(lowering, structure, content, info.errorNode) : NULL;
    if (is_fatal(result))
        return raise(lowering, segment, result, "cuGraphExecUpdate", __LINE__);
    segue_exec_cache_note_fall(lowering, SEGUE_CACHE_FALL_UPDATE, segment, result,
                               "cuGraphExecUpdate");
    return SEGUE_OK;
}

/** Writes the changed nodes one by one. */
static segue_status write_nodes(struct segue_lowering *lowering, struct segue_cuda_exec *exec,
                                const struct segue_exec_content *content,
                                const struct segue_changes *changes, uint32_t *out_written,
                                bool *out_done)
{
    *out_done = false;
    *out_written = 0;
    for (size_t i = 0; i < changes->count; i++) {
        const struct segue_change *change = &changes->list[i];
        const uint64_t *record = content->words + change->record;
        CUresult result = CUDA_SUCCESS;
        const char *call = NULL;
        // While the command is in the cache: what the exec will do is written down, too.
        if (content == &exec->content)
            segue_exec_content_rewrite(&exec->content, lowering, change);
        // A barrier that moved has no node, and neither inline data nor a table is in one.
        if (segue_record_node(record) == SEGUE_NO_RECORD || change->data_only)
            continue;
        const segue_status status = write_node(lowering, exec->structure, exec->handle,
                                               change->segment, record, &result, &call);
        if (status != SEGUE_OK)
            return status;
        if (result != CUDA_SUCCESS) {
            segue_exec_cache_note_fall(lowering, SEGUE_CACHE_FALL_PATCH, change->segment, result,
                                       call);
            return SEGUE_OK;
        }
        ++*out_written;
    }
    *out_done = true;
    return SEGUE_OK;
}

/** Writes the pointers of changed commands that find them in memory. */
static void write_pointers(const struct segue_lowering *lowering, struct segue_cuda_exec *exec,
                           const struct segue_changes *changes)
{
    for (size_t i = 0; i < changes->count; i++) {
        const struct segue_segment *segment = changes->list[i].segment;
        if (segue_segment_has_indirect(segment))
            segue_pointers_write(lowering, exec->staging,
                                 (const struct segue_dispatch_segment *)segment);
    }
}

segue_status segue_exec_patch(struct segue_lowering *lowering, struct segue_cuda_exec *exec,
                              const struct segue_exec_content *content,
                              const struct segue_changes *changes,
                              struct segue_command_buffer_stats *stats, bool *out_patched)
{
    struct segue_cuda_structure *structure = exec->structure;
    const bool whole =
        changes->count * 1000 >= structure->graph.node_count * (uint64_t)WHOLE_UPDATE_SHARE;
    segue_status status = SEGUE_OK;
    *out_patched = false;
    if (changes->pointers)
        write_pointers(lowering, exec, changes);
    if (changes->inline_data)
        status = segue_stage_data(lowering);
    if (status != SEGUE_OK)
        return status;
    pthread_mutex_lock(&structure->lock);
    if (!whole)
        status = write_nodes(lowering, exec, content, changes, &stats->nodes_written, out_patched);
    if (status == SEGUE_OK && !*out_patched) {
        status = update_whole(lowering, exec, content, out_patched);
        if (*out_patched) {
            for (size_t i = 0; i < changes->count && content == &exec->content; i++)
                segue_exec_content_rewrite(&exec->content, lowering, &changes->list[i]);
            stats->nodes_written = (uint32_t)structure->graph.node_count;
            segue_exec_cache_count_update(lowering->cuda);
        }
    }
    pthread_mutex_unlock(&structure->lock);
    return status;
}
