// SPDX-License-Identifier: Apache-2.0
// cuGraph* that build and list graphs.
#include "graph.h"

#include <stdlib.h>
#include <string.h>

CUresult segue_soft_graph_get(CUgraph handle, struct segue_soft_graph **out_graph)
{
    void *object;
    if (handle == NULL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult result = segue_soft_handle_get(SEGUE_SOFT_KIND_GRAPH, handle, &object);
    if (result == CUDA_SUCCESS) {
        *out_graph = object;
    }
    return result;
}

CUresult segue_soft_node_get(CUgraphNode handle, struct segue_soft_node **out_node)
{
    void *object;
    if (handle == NULL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult result = segue_soft_handle_get(SEGUE_SOFT_KIND_NODE, handle, &object);
    if (result == CUDA_SUCCESS) {
        *out_node = object;
    }
    return result;
}

static bool edge_is_default(const CUgraphEdgeData *data)
{
    static const CUgraphEdgeData full;
    return memcmp(data, &full, sizeof(full)) == 0;
}

// Programmatic edges are kept as such. A launch runs its nodes in their order like full ones: a
// reference runs as a whole, as a kernel does that waits before its first access. Whether the
// kernel waits is looked at by the order check.
static CUresult check_edge_data(const struct segue_soft_node *from, CUgraphNodeType to_type,
                                const CUgraphEdgeData *data)
{
    static const unsigned char zeros[sizeof(data->reserved)];
    bool kernels =
        from->work.type == CU_GRAPH_NODE_TYPE_KERNEL && to_type == CU_GRAPH_NODE_TYPE_KERNEL;
    bool clean = data->to_port == 0 && memcmp(data->reserved, zeros, sizeof(zeros)) == 0;
    bool programmatic = data->type == CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC &&
                        (data->from_port == CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC ||
                         data->from_port == CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER);
    bool launch_order = data->type == CU_GRAPH_DEPENDENCY_TYPE_DEFAULT &&
                        data->from_port == CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER;
    bool valid = edge_is_default(data) || (kernels && clean && (programmatic || launch_order));
    return valid ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static bool add_edge(struct segue_soft_node *node, uint32_t from, const CUgraphEdgeData *data)
{
    if (node->edge_count == node->edge_capacity) {
        uint32_t capacity = node->edge_capacity > 0 ? node->edge_capacity * 2 : 4;
        struct segue_soft_edge *edges = realloc(node->edges, capacity * sizeof(*edges));
        if (edges == NULL) {
            return false;
        }
        node->edges = edges;
        node->edge_capacity = capacity;
    }
    struct segue_soft_edge *edge = &node->edges[node->edge_count++];
    memset(edge, 0, sizeof(*edge));
    edge->from = from;
    if (data != NULL) {
        edge->data = *data;
    }
    ++node->graph->edge_count;
    return true;
}

static CUresult resolve_dependency(const struct segue_soft_graph *graph, CUgraphNode handle,
                                   struct segue_soft_node **out_node)
{
    struct segue_soft_node *node = NULL;
    CUresult result = segue_soft_node_get(handle, &node);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    if (node->graph != graph) {
        segue_soft_misuse("node %p belongs to another graph", (void *)handle);
        return CUDA_ERROR_INVALID_VALUE;
    }
    *out_node = node;
    return CUDA_SUCCESS;
}

static CUresult add_edges(struct segue_soft_node *node, CUgraphNodeType type,
                          const struct segue_soft_dependencies *dependencies)
{
    struct segue_soft_graph *graph = node->graph;
    ++graph->stamp;
    for (size_t i = 0; i < dependencies->count; ++i) {
        const CUgraphEdgeData *data = dependencies->data != NULL ? &dependencies->data[i] : NULL;
        struct segue_soft_node *from = NULL;
        CUresult result = resolve_dependency(graph, dependencies->nodes[i], &from);
        if (result == CUDA_SUCCESS && data != NULL) {
            result = check_edge_data(from, type, data);
        }
        if (result != CUDA_SUCCESS) {
            return result;
        }
        if (from->stamp == graph->stamp) {
            segue_soft_misuse("dependency %zu is given twice", i);
            return CUDA_ERROR_INVALID_VALUE;
        }
        from->stamp = graph->stamp;
        if (!add_edge(node, from->index, data)) {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    return CUDA_SUCCESS;
}

static bool grow_nodes(struct segue_soft_graph *graph)
{
    if (graph->node_count < graph->node_capacity) {
        return true;
    }
    uint32_t capacity = graph->node_capacity > 0 ? graph->node_capacity * 2 : 16;
    struct segue_soft_node **nodes = realloc(graph->nodes, capacity * sizeof(*nodes));
    if (nodes == NULL) {
        return false;
    }
    graph->nodes = nodes;
    graph->node_capacity = capacity;
    return true;
}

CUresult segue_soft_graph_add(CUgraph handle, const struct segue_soft_dependencies *dependencies,
                              struct segue_soft_work *work, CUgraphNode *out_node)
{
    struct segue_soft_graph *graph = NULL;
    struct segue_soft_node *node = NULL;
    CUresult result = segue_soft_graph_get(handle, &graph);
    if (result == CUDA_SUCCESS &&
        (out_node == NULL || (dependencies->count > 0 && dependencies->nodes == NULL))) {
        result = CUDA_ERROR_INVALID_VALUE;
    }
    if (result != CUDA_SUCCESS) {
        goto fail_arguments;
    }
    result = CUDA_ERROR_OUT_OF_MEMORY;
    node = calloc(1, sizeof(*node));
    if (node == NULL || !grow_nodes(graph)) {
        goto fail_arguments;
    }
    node->graph = graph;
    node->index = graph->node_count;
    result = add_edges(node, work->type, dependencies);
    if (result != CUDA_SUCCESS) {
        goto fail_edges;
    }
    void *node_handle;
    result = segue_soft_handle_create(SEGUE_SOFT_KIND_NODE, node, &node_handle);
    if (result != CUDA_SUCCESS) {
        goto fail_edges;
    }
    node->handle = node_handle;
    node->work = *work;
    graph->nodes[graph->node_count++] = node;
    *out_node = node_handle;
    return CUDA_SUCCESS;

fail_edges:
    graph->edge_count -= node->edge_count;
    free(node->edges);
fail_arguments:
    free(node);
    segue_soft_work_clear(work);
    return result;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphCreate(CUgraph *phGraph, unsigned int flags)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_GRAPH, "\"flags\":%u", flags);
    static uint64_t last_id;
    if (phGraph == NULL || flags != 0) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    struct segue_soft_graph *graph = calloc(1, sizeof(*graph));
    if (graph == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_OUT_OF_MEMORY);
    }
    void *handle;
    result = segue_soft_handle_create(SEGUE_SOFT_KIND_GRAPH, graph, &handle);
    if (result != CUDA_SUCCESS) {
        free(graph);
        return segue_soft_leave(&call, result);
    }
    graph->handle = handle;
    graph->id = ++last_id;
    *phGraph = handle;
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphDestroy(CUgraph hGraph)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_GRAPH | SEGUE_SOFT_RELEASE, "\"graph\":%llu",
                     (unsigned long long)(uintptr_t)hGraph);
    struct segue_soft_graph *graph = NULL;
    result = segue_soft_graph_get(hGraph, &graph);
    if (result != CUDA_SUCCESS) {
        return segue_soft_leave(&call, result);
    }
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        struct segue_soft_node *node = graph->nodes[i];
        segue_soft_handle_destroy(node->handle);
        segue_soft_work_clear(&node->work);
        free(node->edges);
        free(node);
    }
    segue_soft_handle_destroy(hGraph);
    free(graph->nodes);
    free(graph);
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphNodeGetType(CUgraphNode hNode, CUgraphNodeType *type)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"node\":%llu", (unsigned long long)(uintptr_t)hNode);
    struct segue_soft_node *node = NULL;
    if (type == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_node_get(hNode, &node);
    if (result == CUDA_SUCCESS) {
        *type = node->work.type;
    }
    return segue_soft_leave(&call, result);
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphGetNodes(CUgraph hGraph, CUgraphNode *nodes,
                                                   size_t *numNodes)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"graph\":%llu", (unsigned long long)(uintptr_t)hGraph);
    struct segue_soft_graph *graph = NULL;
    if (numNodes == NULL) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_graph_get(hGraph, &graph);
    if (result != CUDA_SUCCESS) {
        return segue_soft_leave(&call, result);
    }
    // Entries beyond the last node are set to NULL, as documented.
    for (size_t i = 0; nodes != NULL && i < *numNodes; ++i) {
        nodes[i] = i < graph->node_count ? graph->nodes[i]->handle : NULL;
    }
    if (nodes == NULL || *numNodes > graph->node_count) {
        *numNodes = graph->node_count;
    }
    return segue_soft_leave(&call, CUDA_SUCCESS);
}

// Lists edges by the node that they lead to. CUDA_ERROR_LOSSY_QUERY if one is not a full one.
static CUresult list_edges(const struct segue_soft_graph *graph, CUgraphNode *from, CUgraphNode *to,
                           size_t *count)
{
    size_t listed = 0;
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        const struct segue_soft_node *node = graph->nodes[i];
        for (uint32_t j = 0; j < node->edge_count; ++j) {
            if (from != NULL && !edge_is_default(&node->edges[j].data)) {
                return CUDA_ERROR_LOSSY_QUERY;
            }
            if (from != NULL && listed < *count) {
                from[listed] = graph->nodes[node->edges[j].from]->handle;
                to[listed] = node->handle;
            }
            ++listed;
        }
    }
    for (size_t i = listed; from != NULL && i < *count; ++i) {
        from[i] = NULL;
        to[i] = NULL;
    }
    if (from == NULL || *count > listed) {
        *count = listed;
    }
    return CUDA_SUCCESS;
}

// From 13.0 on, cuda.h gives these names to versions with edge data.
#undef cuGraphGetEdges
#undef cuGraphAddDependencies

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphGetEdges(CUgraph hGraph, CUgraphNode *from,
                                                   CUgraphNode *to, size_t *numEdges);

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphGetEdges(CUgraph hGraph, CUgraphNode *from,
                                                   CUgraphNode *to, size_t *numEdges)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"graph\":%llu", (unsigned long long)(uintptr_t)hGraph);
    struct segue_soft_graph *graph = NULL;
    if (numEdges == NULL || (from == NULL) != (to == NULL)) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_graph_get(hGraph, &graph);
    if (result == CUDA_SUCCESS) {
        result = list_edges(graph, from, to, numEdges);
    }
    return segue_soft_leave(&call, result);
}

static CUresult connect(struct segue_soft_graph *graph, CUgraphNode from_handle,
                        CUgraphNode to_handle)
{
    struct segue_soft_node *from = NULL;
    struct segue_soft_node *to = NULL;
    CUresult result = resolve_dependency(graph, from_handle, &from);
    if (result == CUDA_SUCCESS) {
        result = resolve_dependency(graph, to_handle, &to);
    }
    if (result != CUDA_SUCCESS) {
        return result;
    }
    bool known = from == to;
    for (uint32_t i = 0; i < to->edge_count && !known; ++i) {
        known = to->edges[i].from == from->index;
    }
    if (known) {
        segue_soft_misuse("edge %p to %p exists already, or leads to itself", (void *)from_handle,
                          (void *)to_handle);
        return CUDA_ERROR_INVALID_VALUE;
    }
    return add_edge(to, from->index, NULL) ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphAddDependencies(CUgraph hGraph, const CUgraphNode *from,
                                                          const CUgraphNode *to,
                                                          size_t numDependencies);

SEGUE_SOFT_EXPORT CUresult CUDAAPI cuGraphAddDependencies(CUgraph hGraph, const CUgraphNode *from,
                                                          const CUgraphNode *to,
                                                          size_t numDependencies)
{
    SEGUE_SOFT_ENTER(SEGUE_SOFT_CONTEXT, "\"graph\":%llu,\"count\":%zu",
                     (unsigned long long)(uintptr_t)hGraph, numDependencies);
    struct segue_soft_graph *graph = NULL;
    if (numDependencies > 0 && (from == NULL || to == NULL)) {
        return segue_soft_leave(&call, CUDA_ERROR_INVALID_VALUE);
    }
    result = segue_soft_graph_get(hGraph, &graph);
    for (size_t i = 0; i < numDependencies && result == CUDA_SUCCESS; ++i) {
        result = connect(graph, from[i], to[i]);
    }
    return segue_soft_leave(&call, result);
}
