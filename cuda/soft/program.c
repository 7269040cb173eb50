// SPDX-License-Identifier: Apache-2.0
// Snapshots of graphs.
#include "exec.h"
#include "module.h"

#include <stdlib.h>
#include <string.h>

static void release_topology(struct segue_soft_topology *topology)
{
    if (topology == NULL || --topology->references > 0) {
        return;
    }
    free(topology->edge_starts);
    free(topology->edges);
    free(topology->successor_starts);
    free(topology->successors);
    free(topology->order);
    free(topology);
}

// One more element than needed, so that empty graphs are no special case.
static void *allocate_array(uint64_t count, size_t element_bytes)
{
    return calloc((size_t)count + 1, element_bytes);
}

static struct segue_soft_topology *allocate_topology(const struct segue_soft_graph *graph)
{
    struct segue_soft_topology *topology = calloc(1, sizeof(*topology));
    if (topology == NULL) {
        return NULL;
    }
    uint32_t nodes = graph->node_count;
    topology->references = 1;
    topology->node_count = nodes;
    topology->edge_count = graph->edge_count;
    topology->edge_starts = allocate_array(nodes, sizeof(*topology->edge_starts));
    topology->edges = allocate_array(graph->edge_count, sizeof(*topology->edges));
    topology->successor_starts = allocate_array(nodes, sizeof(*topology->successor_starts));
    topology->successors = allocate_array(graph->edge_count, sizeof(*topology->successors));
    topology->order = allocate_array(nodes, sizeof(*topology->order));
    if (topology->edge_starts == NULL || topology->edges == NULL ||
        topology->successor_starts == NULL || topology->successors == NULL ||
        topology->order == NULL) {
        release_topology(topology);
        return NULL;
    }
    return topology;
}

static void copy_edges(const struct segue_soft_graph *graph, struct segue_soft_topology *topology)
{
    uint64_t edges = 0;
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        const struct segue_soft_node *node = graph->nodes[i];
        topology->edge_starts[i] = edges;
        for (uint32_t j = 0; j < node->edge_count; ++j) {
            topology->edges[edges++] = node->edges[j];
            ++topology->successor_starts[node->edges[j].from];
        }
    }
    topology->edge_starts[graph->node_count] = edges;
    // Counts become ends; filling backwards turns them into starts.
    uint64_t total = 0;
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        total += topology->successor_starts[i];
        topology->successor_starts[i] = total;
    }
    topology->successor_starts[graph->node_count] = total;
    for (uint32_t i = graph->node_count; i-- > 0;) {
        for (uint64_t j = topology->edge_starts[i + 1]; j-- > topology->edge_starts[i];) {
            topology->successors[--topology->successor_starts[topology->edges[j].from]] = i;
        }
    }
}

// Kahn's algorithm. CUDA_ERROR_INVALID_VALUE with a node of a cycle if there is one.
static CUresult sort_nodes(struct segue_soft_topology *topology, uint32_t *out_node)
{
    uint64_t *waiting_for = allocate_array(topology->node_count, sizeof(*waiting_for));
    if (waiting_for == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    uint32_t found = 0;
    for (uint32_t i = 0; i < topology->node_count; ++i) {
        waiting_for[i] = topology->edge_starts[i + 1] - topology->edge_starts[i];
        if (waiting_for[i] == 0) {
            topology->order[found++] = i;
        }
    }
    for (uint32_t next = 0; next < found; ++next) {
        uint32_t node = topology->order[next];
        uint64_t end = topology->successor_starts[node + 1];
        for (uint64_t j = topology->successor_starts[node]; j < end; ++j) {
            if (--waiting_for[topology->successors[j]] == 0) {
                topology->order[found++] = topology->successors[j];
            }
        }
    }
    for (uint32_t i = 0; i < topology->node_count; ++i) {
        if (waiting_for[i] != 0) {
            *out_node = i;
        }
    }
    free(waiting_for);
    return found == topology->node_count ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static struct segue_soft_program *allocate_program(struct segue_soft_topology *topology)
{
    struct segue_soft_program *program = calloc(1, sizeof(*program));
    if (program == NULL) {
        return NULL;
    }
    program->references = 1;
    program->works = allocate_array(topology->node_count, sizeof(*program->works));
    program->enabled = allocate_array(topology->node_count, sizeof(*program->enabled));
    if (program->works == NULL || program->enabled == NULL) {
        free(program->works);
        free(program->enabled);
        free(program);
        return NULL;
    }
    for (uint32_t i = 0; i < topology->node_count; ++i) {
        program->works[i].type = CU_GRAPH_NODE_TYPE_EMPTY;
        program->enabled[i] = true;
    }
    program->topology = topology;
    ++topology->references;
    return program;
}

// `partners` NULL: node i of the graph is node i of the program.
static CUresult copy_works(const struct segue_soft_graph *graph, const uint32_t *partners,
                           struct segue_soft_program *program, CUgraphNode *out_error_node)
{
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        const struct segue_soft_node *node = graph->nodes[partners != NULL ? partners[i] : i];
        CUresult result = segue_soft_work_check(&node->work);
        if (result != CUDA_SUCCESS) {
            *out_error_node = node->handle;
            return result;
        }
        if (!segue_soft_work_clone(&node->work, &program->works[i])) {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    program->alive_at = segue_soft_module_unload_count();
    return CUDA_SUCCESS;
}

CUresult segue_soft_program_create(const struct segue_soft_graph *graph,
                                   struct segue_soft_program **out_program,
                                   CUgraphInstantiateResult *out_error, CUgraphNode *out_error_node)
{
    CUresult result = CUDA_ERROR_OUT_OF_MEMORY;
    struct segue_soft_program *program = NULL;
    struct segue_soft_topology *topology = allocate_topology(graph);
    *out_error = CUDA_GRAPH_INSTANTIATE_ERROR;
    *out_error_node = NULL;
    if (topology == NULL) {
        return result;
    }
    copy_edges(graph, topology);
    uint32_t cycle_node = 0;
    result = sort_nodes(topology, &cycle_node);
    if (result != CUDA_SUCCESS) {
        if (result == CUDA_ERROR_INVALID_VALUE) {
            *out_error = CUDA_GRAPH_INSTANTIATE_INVALID_STRUCTURE;
            *out_error_node = graph->nodes[cycle_node]->handle;
        }
        goto done;
    }
    program = allocate_program(topology);
    if (program == NULL) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
        goto done;
    }
    result = copy_works(graph, NULL, program, out_error_node);
    if (result != CUDA_SUCCESS) {
        segue_soft_program_release(program);
        goto done;
    }
    *out_error = CUDA_GRAPH_INSTANTIATE_SUCCESS;
    *out_program = program;

done:
    release_topology(topology);
    return result;
}

CUresult segue_soft_program_create_like(const struct segue_soft_program *old,
                                        const struct segue_soft_graph *graph,
                                        const uint32_t *partners,
                                        struct segue_soft_program **out_program,
                                        CUgraphNode *out_error_node)
{
    struct segue_soft_program *program = allocate_program(old->topology);
    if (program == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    CUresult result = copy_works(graph, partners, program, out_error_node);
    if (result != CUDA_SUCCESS) {
        segue_soft_program_release(program);
        return result;
    }
    memcpy(program->enabled, old->enabled, graph->node_count * sizeof(*program->enabled));
    *out_program = program;
    return CUDA_SUCCESS;
}

struct segue_soft_program *segue_soft_program_clone(const struct segue_soft_program *program)
{
    struct segue_soft_program *clone = allocate_program(program->topology);
    if (clone == NULL) {
        return NULL;
    }
    uint32_t count = program->topology->node_count;
    for (uint32_t i = 0; i < count; ++i) {
        if (!segue_soft_work_clone(&program->works[i], &clone->works[i])) {
            segue_soft_program_release(clone);
            return NULL;
        }
    }
    memcpy(clone->enabled, program->enabled, count * sizeof(*clone->enabled));
    clone->alive_at = program->alive_at;
    return clone;
}

void segue_soft_program_release(struct segue_soft_program *program)
{
    if (program == NULL || --program->references > 0) {
        return;
    }
    for (uint32_t i = 0; i < program->topology->node_count; ++i) {
        segue_soft_work_clear(&program->works[i]);
    }
    free(program->works);
    free(program->enabled);
    release_topology(program->topology);
    free(program);
}
