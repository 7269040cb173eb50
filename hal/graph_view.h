// SPDX-License-Identifier: Apache-2.0
/**
 * @file graph_view.h
 * Why the edges of a graph view are there.
 */
#ifndef SEGUE_HAL_GRAPH_VIEW_H
#define SEGUE_HAL_GRAPH_VIEW_H

#include "segment.h"

/** The conflicts between two commands, as bits of segue_graph_reason; 0: there are none.
 *  @param flags  of the command buffer. */
uint32_t segue_graph_conflict_reasons(const struct segue_segment *from,
                                      const struct segue_segment *to, uint32_t flags);

#endif // SEGUE_HAL_GRAPH_VIEW_H
