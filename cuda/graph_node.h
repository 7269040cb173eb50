// SPDX-License-Identifier: Apache-2.0
/**
 * @file graph_node.h
 * Operations as parameters of graph nodes, for adding and for patching them
 * alike.
 */
#ifndef SEGUE_CUDA_GRAPH_NODE_H
#define SEGUE_CUDA_GRAPH_NODE_H

#include "graph.h"

/** Of an operation that is a kernel. Attributes are not among them. */
CUDA_KERNEL_NODE_PARAMS
segue_kernel_params(const struct segue_operation *operation);
/** Of a copy. */
CUDA_MEMCPY3D segue_copy_params(const struct segue_operation *operation);
/** Of a memset. */
CUDA_MEMSET_NODE_PARAMS
segue_set_params(const struct segue_operation *operation);

#endif // SEGUE_CUDA_GRAPH_NODE_H
