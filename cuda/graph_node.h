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

/** Whether segue_cuda_dispatch_set is for the command. */
bool segue_cuda_dispatch_is_direct(const struct segue_segment *segment);
/** What segue_cuda_node_set does for an executable graph and a dispatch whose record
 * (exec_record.h) is written: the values are taken out of the record, so that nothing needs to be
 * lowered. */
CUresult segue_cuda_dispatch_set(struct segue_cuda *cuda, CUgraphExec exec, CUgraphNode node,
                                 const struct segue_dispatch_segment *dispatch,
                                 const uint64_t *record, const char **out_call);

#endif // SEGUE_CUDA_GRAPH_NODE_H
