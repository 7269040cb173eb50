// SPDX-License-Identifier: Apache-2.0
// Which node of a graph stands for which node of an exec in cuGraphExecUpdate: the driver starts at
// the nodes without successors, in the order of their creation, and follows the lists of
// dependencies back. So the order of those lists counts, and the order of creation does not.
#include "exec.h"

#include <stdlib.h>
#include <string.h>

#define UNPAIRED UINT32_MAX

struct pairing {
    const struct segue_soft_program *program;
    const struct segue_soft_graph *graph;
    /** Exec node to graph node, and back. */
    uint32_t *partners;
    uint32_t *owners;
    /** Pairs whose dependencies have not been looked at, by exec node. */
    uint32_t *stack;
    uint32_t stack_count;
    uint32_t pair_count;
    CUgraphExecUpdateResultInfo *info;
};

static bool fail(struct pairing *pairing, CUgraphExecUpdateResult result,
                 const struct segue_soft_node *node, const struct segue_soft_node *from)
{
    pairing->info->result = result;
    pairing->info->errorNode = node != NULL ? node->handle : NULL;
    pairing->info->errorFromNode = from != NULL ? from->handle : NULL;
    return false;
}

// `user` is the node that depends on the pair, NULL for sinks.
static bool join(struct pairing *pairing, uint32_t old_node, uint32_t new_node,
                 const struct segue_soft_node *user)
{
    const struct segue_soft_node *node = pairing->graph->nodes[new_node];
    if (pairing->partners[old_node] == new_node) {
        return true;
    }
    if (pairing->partners[old_node] != UNPAIRED || pairing->owners[new_node] != UNPAIRED) {
        return fail(pairing, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, user, node);
    }
    if (pairing->program->works[old_node].type != node->work.type) {
        return fail(pairing, CU_GRAPH_EXEC_UPDATE_ERROR_NODE_TYPE_CHANGED, node, NULL);
    }
    pairing->partners[old_node] = new_node;
    pairing->owners[new_node] = old_node;
    pairing->stack[pairing->stack_count++] = old_node;
    ++pairing->pair_count;
    return true;
}

static bool join_dependencies(struct pairing *pairing, uint32_t old_node)
{
    const struct segue_soft_topology *topology = pairing->program->topology;
    const struct segue_soft_node *node = pairing->graph->nodes[pairing->partners[old_node]];
    const struct segue_soft_edge *edges = &topology->edges[topology->edge_starts[old_node]];
    uint64_t count = topology->edge_starts[old_node + 1] - topology->edge_starts[old_node];
    if (count != node->edge_count) {
        return fail(pairing, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, node, NULL);
    }
    for (uint32_t i = 0; i < count; ++i) {
        const struct segue_soft_edge *edge = &node->edges[i];
        if (memcmp(&edges[i].data, &edge->data, sizeof(edge->data)) != 0) {
            return fail(pairing, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, node,
                        pairing->graph->nodes[edge->from]);
        }
        if (!join(pairing, edges[i].from, edge->from, node)) {
            return false;
        }
    }
    return true;
}

// Pairs the nodes without successors. `has_successor` has a place for each node of the graph.
static bool join_sinks(struct pairing *pairing, bool *has_successor)
{
    const struct segue_soft_topology *topology = pairing->program->topology;
    const struct segue_soft_graph *graph = pairing->graph;
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        for (uint32_t j = 0; j < graph->nodes[i]->edge_count; ++j) {
            has_successor[graph->nodes[i]->edges[j].from] = true;
        }
    }
    uint32_t next = 0;
    const struct segue_soft_node *first = NULL;
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        if (has_successor[i]) {
            continue;
        }
        first = first != NULL ? first : graph->nodes[i];
        while (next < topology->node_count &&
               topology->successor_starts[next] != topology->successor_starts[next + 1]) {
            ++next;
        }
        pairing->stack[pairing->stack_count++] = next++;
    }
    uint32_t sinks = 0;
    for (uint32_t i = 0; i < topology->node_count; ++i) {
        sinks += topology->successor_starts[i] == topology->successor_starts[i + 1] ? 1 : 0;
    }
    if (sinks != pairing->stack_count) {
        return fail(pairing, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, first, NULL);
    }
    // The stack holds the exec's sinks in order: joining puts each back at its place.
    pairing->stack_count = 0;
    for (uint32_t i = 0; i < graph->node_count; ++i) {
        if (!has_successor[i] && !join(pairing, pairing->stack[pairing->stack_count], i, NULL)) {
            return false;
        }
    }
    return true;
}

static bool pair_all(struct pairing *pairing, bool *has_successor)
{
    if (!join_sinks(pairing, has_successor)) {
        return false;
    }
    while (pairing->stack_count > 0) {
        if (!join_dependencies(pairing, pairing->stack[--pairing->stack_count])) {
            return false;
        }
    }
    // Nodes of a cycle lead to no sink.
    return pairing->pair_count == pairing->graph->node_count ||
           fail(pairing, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, NULL, NULL);
}

CUresult segue_soft_pair_nodes(const struct segue_soft_program *program,
                               const struct segue_soft_graph *graph,
                               CUgraphExecUpdateResultInfo *info, uint32_t **out_partners)
{
    size_t count = (size_t)graph->node_count + 1;
    struct pairing pairing = {.program = program, .graph = graph, .info = info};
    CUresult result = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
    if (graph->node_count != program->topology->node_count) {
        fail(&pairing, CU_GRAPH_EXEC_UPDATE_ERROR_TOPOLOGY_CHANGED, NULL, NULL);
        return result;
    }
    pairing.partners = malloc(count * sizeof(*pairing.partners));
    pairing.owners = malloc(count * sizeof(*pairing.owners));
    pairing.stack = malloc(count * sizeof(*pairing.stack));
    bool *has_successor = calloc(count, sizeof(*has_successor));
    if (pairing.partners == NULL || pairing.owners == NULL || pairing.stack == NULL ||
        has_successor == NULL) {
        result = CUDA_ERROR_OUT_OF_MEMORY;
        goto done;
    }
    memset(pairing.partners, 0xff, count * sizeof(*pairing.partners));
    memset(pairing.owners, 0xff, count * sizeof(*pairing.owners));
    if (pair_all(&pairing, has_successor)) {
        *out_partners = pairing.partners;
        pairing.partners = NULL;
        result = CUDA_SUCCESS;
    }

done:
    free(pairing.partners);
    free(pairing.owners);
    free(pairing.stack);
    free(has_successor);
    return result;
}
