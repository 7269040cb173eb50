// SPDX-License-Identifier: Apache-2.0
/**
 * @file order.h
 * The order in which a dag's commands are created or issued.
 */
#ifndef SEGUE_HAL_ORDER_H
#define SEGUE_HAL_ORDER_H

#include "plan.h"

/** The nodes of a dag, each command after all that it depends on. Without meaning for order nodes,
 *  which may be left out. */
struct segue_order {
    const struct segue_allocator *allocator;
    /** Dag indices; NULL: all in the order of the dag. */
    uint32_t *commands;
    size_t count;
    size_t capacity;
};

/** Seed 0: recorded order. Else commands get random priorities, and of those whose predecessors are
 *  all placed the one with the highest comes next; some wait long, as on a real device.
 *  Returns false when out of memory. */
bool segue_order_create(const struct segue_dag *dag, uint64_t seed, struct segue_order *out_order);
void segue_order_finish(struct segue_order *order);

/** The i-th dag index. */
static inline uint32_t segue_order_at(const struct segue_order *order, size_t i)
{
    return order->commands ? order->commands[i] : (uint32_t)i;
}

#endif // SEGUE_HAL_ORDER_H
