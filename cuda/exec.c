// SPDX-License-Identifier: Apache-2.0
// Making and freeing structures and their execs.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "exec_cache.h"
#include "exec_memory.h"
#include "module.h"

static segue_status fail_memory(const struct segue_lowering *lowering)
{
    return segue_fail(lowering->cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                      "out of host memory for the graph of command buffer \"%s\"",
                      lowering->recording->label);
}

void segue_exec_destroy(struct segue_cuda *cuda, struct segue_cuda_exec *exec, bool has_context)
{
    if (exec->handle != NULL && has_context)
        segue_cuda_cleanup(cuda, cuGraphExecDestroy(exec->handle),
                           "destroying an executable graph");
    if (exec->staging != NULL) {
        segue_staging_count(cuda, exec->staging, true);
        segue_staging_release(cuda, exec->staging, has_context);
    }
    segue_exec_content_finish(&exec->content);
    segue_alias_finish(&exec->alias);
    segue_changes_finish(&exec->changes);
    segue_release(segue_cuda_allocator(cuda), exec, sizeof(*exec));
}

void segue_structure_destroy(struct segue_cuda *cuda, struct segue_cuda_structure *structure,
                             bool has_context)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    segue_cuda_graph_finish(cuda, &structure->graph, has_context);
    segue_signature_finish(&structure->signature);
    segue_release(allocator, structure->modules,
                  structure->module_capacity * sizeof(*structure->modules));
    pthread_mutex_destroy(&structure->lock);
    segue_release(allocator, structure, sizeof(*structure));
}

/** An exec of a graph that has just been built or written. */
static segue_status instantiate(struct segue_lowering *lowering,
                                struct segue_cuda_structure *structure,
                                const struct segue_plan *plan,
                                struct segue_command_buffer_stats *stats,
                                struct segue_cuda_exec **out_exec)
{
    struct segue_cuda *cuda = lowering->cuda;
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    struct segue_cuda_exec *exec = segue_allocate_zeroed(allocator, 1, sizeof(*exec));
    if (exec == NULL)
        return fail_memory(lowering);
    exec->structure = structure;
    exec->changes.allocator = allocator;
    const size_t node_count = structure->graph.node_count;
    const struct segue_exec_memory before = segue_exec_memory_before(cuda, node_count);
    const segue_status status =
        segue_cuda_graph_instantiate(lowering, &structure->graph, plan, stats, &exec->handle);
    if (status != SEGUE_OK) {
        segue_release(allocator, exec, sizeof(*exec));
        return status;
    }
    segue_exec_memory_since(cuda, before, node_count, true, &exec->device_bytes, &exec->host_bytes);
    *out_exec = exec;
    return SEGUE_OK;
}

segue_status segue_exec_copy(struct segue_lowering *lowering,
                             struct segue_cuda_structure *structure, const struct segue_plan *plan,
                             const struct segue_exec_content *content,
                             struct segue_command_buffer_stats *stats,
                             struct segue_cuda_exec **out_exec)
{
    bool synced;
    *out_exec = NULL;
    const uint64_t start_ns = segue_now_ns();
    pthread_mutex_lock(&structure->lock);
    segue_status status =
        segue_structure_sync(lowering, structure, content, SEGUE_CACHE_FALL_UPDATE, &synced);
    stats->build_ns = segue_now_ns() - start_ns;
    if (status == SEGUE_OK && synced)
        status = instantiate(lowering, structure, plan, stats, out_exec);
    pthread_mutex_unlock(&structure->lock);
    return status;
}

/** Notes the module of a command's kernel. */
static bool add_module(struct segue_cuda_structure *structure,
                       const struct segue_allocator *allocator, const struct segue_segment *segment)
{
    if (segment == NULL || segment->kind != SEGUE_COMMAND_DISPATCH)
        return true;
    struct segue_backend_module *module =
        ((const struct segue_dispatch_segment *)segment)->executable->module;
    // Neighbours mostly share a module, and a graph has few.
    for (size_t i = structure->module_count; i-- > 0;) {
        if (structure->modules[i] == module)
            return true;
    }
    if (!segue_grow(allocator, (void **)&structure->modules, &structure->module_capacity,
                    structure->module_count + 1, sizeof(struct segue_backend_module *)))
        return false;
    structure->modules[structure->module_count++] = module;
    return true;
}

static segue_status list_modules(const struct segue_lowering *lowering,
                                 const struct segue_plan *plan,
                                 struct segue_cuda_structure *structure)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(lowering->cuda);
    for (size_t i = 0; i < plan->node_count; i++) {
        if (!add_module(structure, allocator, plan->nodes[i].segment))
            return fail_memory(lowering);
    }
    return SEGUE_OK;
}

static uint64_t structure_bytes(const struct segue_cuda_structure *structure)
{
    return sizeof(*structure) + structure->signature.size_bytes +
           structure->graph.node_count * (sizeof(CUgraphNode) + 1);
}

segue_status segue_exec_build(struct segue_lowering *lowering, const struct segue_plan *plan,
                              struct segue_signature *signature,
                              struct segue_command_buffer_stats *stats,
                              struct segue_cuda_exec **out_exec)
{
    struct segue_cuda *cuda = lowering->cuda;
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    const uint64_t start_ns = segue_now_ns();
    struct segue_cuda_structure *structure =
        segue_allocate_zeroed(allocator, 1, sizeof(*structure));
    if (structure == NULL)
        return fail_memory(lowering);
    if (pthread_mutex_init(&structure->lock, NULL) != 0) {
        segue_release(allocator, structure, sizeof(*structure));
        return fail_memory(lowering);
    }
    const struct segue_exec_memory before = segue_exec_memory_before(cuda, plan->node_count);
    uint64_t device_bytes = 0;
    uint64_t host_bytes = 0;
    segue_status status = list_modules(lowering, plan, structure);
    if (status == SEGUE_OK)
        status = segue_cuda_graph_build(lowering, plan, &structure->graph);
    stats->build_ns = segue_now_ns() - start_ns;
    if (status == SEGUE_OK) {
        segue_exec_memory_since(cuda, before, plan->node_count, false, &device_bytes, &host_bytes);
        status = instantiate(lowering, structure, plan, stats, out_exec);
    }
    if (status != SEGUE_OK) {
        segue_structure_destroy(cuda, structure, true);
        return status;
    }
    structure->build_ns = segue_now_ns() - start_ns;
    structure->references = 1;
    structure->signature = *signature;
    structure->bytes = structure_bytes(structure) + device_bytes + host_bytes;
    *signature = (struct segue_signature){0};
    return SEGUE_OK;
}
