// SPDX-License-Identifier: Apache-2.0
// Comparing executable graphs, which the driver API itself has no calls to read.
#include "exec.h"
#include "module.h"

#include <string.h>

static bool equal_kernels(const struct segue_soft_kernel *a, const struct segue_soft_kernel *b)
{
    if (a->handle != b->handle || memcmp(a->grid, b->grid, sizeof(a->grid)) != 0 ||
        memcmp(a->block, b->block, sizeof(a->block)) != 0 ||
        memcmp(a->cluster, b->cluster, sizeof(a->cluster)) != 0 ||
        a->shared_bytes != b->shared_bytes || a->priority != b->priority ||
        a->cooperative != b->cooperative || a->parameter_count != b->parameter_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->parameter_count; ++i) {
        size_t size_bytes = a->function->entry->parameters[i].size_bytes;
        if (memcmp(a->parameters[i], b->parameters[i], size_bytes) != 0) {
            return false;
        }
    }
    return true;
}

static bool equal_sides(const struct segue_soft_copy_side *a, const struct segue_soft_copy_side *b)
{
    return a->address == b->address && a->host == b->host && a->row_pitch == b->row_pitch &&
           a->slice_pitch == b->slice_pitch;
}

static bool equal_works(const struct segue_soft_work *a, const struct segue_soft_work *b)
{
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return equal_kernels(&a->kernel, &b->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return equal_sides(&a->copy.source, &b->copy.source) &&
               equal_sides(&a->copy.target, &b->copy.target) &&
               a->copy.width_bytes == b->copy.width_bytes && a->copy.height == b->copy.height &&
               a->copy.depth == b->copy.depth && a->copy.source_type == b->copy.source_type &&
               a->copy.target_type == b->copy.target_type;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return a->set.address == b->set.address && a->set.width == b->set.width &&
               a->set.height == b->set.height && a->set.value == b->set.value &&
               a->set.element_bytes == b->set.element_bytes;
    default:
        return true;
    }
}

static bool equal_edges(const struct segue_soft_topology *a, const struct segue_soft_topology *b,
                        uint32_t node)
{
    uint64_t count = a->edge_starts[node + 1] - a->edge_starts[node];
    if (count != b->edge_starts[node + 1] - b->edge_starts[node]) {
        return false;
    }
    for (uint64_t i = 0; i < count; ++i) {
        const struct segue_soft_edge *left = &a->edges[a->edge_starts[node] + i];
        const struct segue_soft_edge *right = &b->edges[b->edge_starts[node] + i];
        if (left->from != right->from ||
            memcmp(&left->data, &right->data, sizeof(left->data)) != 0) {
            return false;
        }
    }
    return true;
}

bool segue_soft_compare_nodes(void *left, void *right, uint32_t node)
{
    struct segue_soft_exec *a = NULL;
    struct segue_soft_exec *b = NULL;
    bool same = false;
    pthread_mutex_lock(&segue_soft.lock);
    if (segue_soft_exec_get(left, &a) == CUDA_SUCCESS &&
        segue_soft_exec_get(right, &b) == CUDA_SUCCESS) {
        const struct segue_soft_topology *topology = a->program->topology;
        same = topology->node_count == b->program->topology->node_count &&
               node < topology->node_count &&
               a->program->enabled[node] == b->program->enabled[node] &&
               equal_works(&a->program->works[node], &b->program->works[node]) &&
               equal_edges(topology, b->program->topology, node);
    }
    pthread_mutex_unlock(&segue_soft.lock);
    return same;
}
