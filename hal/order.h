// SPDX-License-Identifier: Apache-2.0
/**
 * @file order.h
 * Random orders of commands, for tests.
 */
#ifndef SEGUE_HAL_ORDER_H
#define SEGUE_HAL_ORDER_H

#include "depend.h"

/** All nodes of a dependency graph, each after its predecessors: they get
 * random priorities, and of those whose predecessors are all placed the one
 * with the highest comes next; so some wait long, as on a real device. Order
 * nodes come as soon as they can. The same seed gives the same order.
 *  @return depend->node_count indices, to be released with the graph's
 * allocator; NULL when out of memory. */
uint32_t *segue_order_create(const struct segue_depend *depend, uint64_t seed);
void segue_order_destroy(const struct segue_depend *depend, uint32_t *order);

#endif // SEGUE_HAL_ORDER_H
