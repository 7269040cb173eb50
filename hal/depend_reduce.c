// SPDX-License-Identifier: Apache-2.0
#include "depend_window.h"

#include <string.h>

/** In a mark: the node was taken out of the list, as others of it imply it. */
#define IMPLIED (UINT32_C(1) << 31)
/** Looking for a way between nodes further apart than the rows reach: nodes that are looked at, and
 *  their predecessors. */
#define MAX_SEARCHED 32
#define MAX_SEARCHED_LIST 16
bool segue_depend_reaches(const struct segue_depend_builder *builder, uint32_t earlier,
                          uint32_t later)
{
    const struct segue_depend_window *window = builder->window;
    // The row must still be there (that of the next node may be in the making), and reach far
    // enough back.
    if (builder->depend->node_count - later >= SEGUE_DEPEND_RING)
        return false;
    return earlier < window->full[later % SEGUE_DEPEND_RING] ||
           (segue_depend_is_near(earlier, later) &&
            segue_depend_has_bit(window->rows[later % SEGUE_DEPEND_RING], earlier));
}

/** What leads to a node through the nodes of a list. */
struct reach {
    uint64_t row[SEGUE_DEPEND_ROW];
    uint32_t full;
};

/** Joins all of the list but `except`. */
static struct reach join_reach(const struct segue_depend_builder *builder, uint32_t node,
                               const uint32_t *list, size_t count, uint32_t except)
{
    struct reach reach = {0};
    for (size_t i = 0; i < count; i++) {
        if (list[i] == except || !segue_depend_is_near(list[i], node))
            continue;
        segue_depend_join_row(builder->window, reach.row, node, list[i]);
        uint32_t full = builder->window->full[list[i] % SEGUE_DEPEND_RING];
        reach.full = full > reach.full ? full : reach.full;
    }
    return reach;
}

static inline bool is_reached(const struct reach *reach, uint32_t node, uint32_t earlier)
{
    return earlier < reach->full ||
           (segue_depend_is_near(earlier, node) && segue_depend_has_bit(reach->row, earlier));
}

/** Whether all that an order node stands for leads to `node` through others of the list. */
static bool is_superfluous(struct segue_depend_builder *builder, uint32_t node,
                           const uint32_t *list, size_t count, uint32_t order_node)
{
    const struct segue_depend *depend = builder->depend;
    const struct segue_depend_node *order = &depend->nodes[order_node];
    struct reach reach = join_reach(builder, node, list, count, order_node);
    for (size_t i = 0; i < count; i++) {
        if (list[i] != order_node && segue_depend_is_near(list[i], node))
            segue_depend_set_bit(reach.row, list[i]);
    }
    builder->credit -= (int64_t)count;
    for (uint32_t i = 0; i < order->predecessor_count; i++) {
        if (!is_reached(&reach, node, depend->predecessors[order->first_predecessor + i])) {
            builder->credit -= i;
            return false;
        }
    }
    builder->credit -= order->predecessor_count;
    return true;
}

/** Takes out of the list those of order nodes that are not needed. @return what is left of it */
static size_t drop_order_nodes(struct segue_depend_builder *builder, uint32_t node, uint32_t *list,
                               size_t count)
{
    for (size_t i = count; i-- > 0 && count > 1;) {
        uint32_t candidate = list[i];
        if (builder->depend->nodes[candidate].segment || builder->credit < 0 ||
            !is_superfluous(builder, node, list, count, candidate))
            continue;
        memmove(&list[i], &list[i + 1], (count - i - 1) * sizeof *list);
        count--;
    }
    return count;
}

/** Takes out of the list what leads to another of it directly. For long lists, which may go back
 *  beyond the rows. Their nodes are marked with the stamp. */
static size_t drop_direct(struct segue_depend_builder *builder, uint32_t *list, size_t count)
{
    struct segue_depend *depend = builder->depend;
    uint32_t stamp = builder->stamp;
    for (size_t i = 0; i < count && builder->credit >= 0; i++) {
        const struct segue_depend_node *node = &depend->nodes[list[i]];
        builder->credit -= node->predecessor_count / 4;
        for (uint32_t k = 0; k < node->predecessor_count; k++) {
            struct segue_depend_node *before =
                &depend->nodes[depend->predecessors[node->first_predecessor + k]];
            if (before->mark == stamp)
                before->mark = stamp | IMPLIED;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (depend->nodes[list[i]].mark == stamp)
            list[kept++] = list[i];
    }
    return kept;
}

/** Leaves every node in the list once, marked. */
static size_t deduplicate(struct segue_depend_builder *builder, uint32_t *list, size_t count)
{
    struct segue_depend_node *nodes = builder->depend->nodes;
    uint32_t stamp = ++builder->stamp;
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (nodes[list[i]].mark == stamp)
            continue;
        nodes[list[i]].mark = stamp;
        list[kept++] = list[i];
    }
    return kept;
}

/** The same for a long list, whose nodes are marked, and may be further back than the row. */
static uint32_t extend_full_marked(const struct segue_depend_builder *builder, const uint64_t *row,
                                   uint32_t full, uint32_t node)
{
    for (;;) {
        while (full < node && (builder->depend->nodes[full].mark & ~IMPLIED) == builder->stamp)
            full++;
        uint32_t extended = segue_depend_extend_full(row, full, node);
        if (extended == full)
            return full;
        full = extended;
    }
}

/** Whether a short search finds a way to node `target` from others of the list. */
static bool is_found(struct segue_depend_builder *builder, const uint32_t *list, size_t count,
                     uint32_t target)
{
    const struct segue_depend *depend = builder->depend;
    uint32_t queue[MAX_SEARCHED];
    uint32_t queued = 0;
    for (size_t i = 0; i < count && queued < MAX_SEARCHED; i++) {
        if (list[i] > target)
            queue[queued++] = list[i];
    }
    for (uint32_t next = 0; next < queued; next++) {
        const struct segue_depend_node *node = &depend->nodes[queue[next]];
        uint32_t length = node->predecessor_count < MAX_SEARCHED_LIST ? node->predecessor_count
                                                                      : MAX_SEARCHED_LIST;
        builder->credit--;
        for (uint32_t i = 0; i < length; i++) {
            uint32_t before = depend->predecessors[node->first_predecessor + i];
            if (before == target)
                return true;
            if (before > target && queued < MAX_SEARCHED)
                queue[queued++] = before;
        }
    }
    return false;
}

/** Takes out of the list nodes before the rows to which a short search finds a way. */
static size_t drop_far(struct segue_depend_builder *builder, uint32_t node, uint32_t *list,
                       size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        // What has been left out already leads nowhere that what is left does not lead to.
        if (segue_depend_is_near(list[i], node) || builder->credit < 0 ||
            !is_found(builder, list, count, list[i]))
            list[kept++] = list[i];
    }
    return kept;
}

size_t segue_depend_reduce(struct segue_depend_builder *builder, uint32_t *list, size_t count)
{
    struct segue_depend_window *window = builder->window;
    uint32_t node = (uint32_t)builder->depend->node_count;
    uint64_t *row = window->rows[node % SEGUE_DEPEND_RING];
    if (count > 1)
        count = deduplicate(builder, list, count);
    bool is_long = count > SEGUE_DEPEND_MAX_DIRECT;
    if (is_long)
        count = drop_direct(builder, list, count);
    struct reach reach = join_reach(builder, node, list, count, node);
    bool has_order_node = false;
    bool has_far = false;
    if (count > 1) {
        size_t kept = 0;
        for (size_t i = 0; i < count; i++) {
            if (is_reached(&reach, node, list[i]))
                continue;
            has_order_node |= !builder->depend->nodes[list[i]].segment;
            has_far |= !segue_depend_is_near(list[i], node);
            list[kept++] = list[i];
        }
        count = kept;
    }
    if (has_far && count > 1 && !is_long)
        count = drop_far(builder, node, list, count);
    for (size_t i = 0; i < count; i++) {
        if (segue_depend_is_near(list[i], node))
            segue_depend_set_bit(reach.row, list[i]);
    }
    if (has_order_node && count > 1)
        count = drop_order_nodes(builder, node, list, count);
    memcpy(row, reach.row, sizeof reach.row);
    window->full[node % SEGUE_DEPEND_RING] =
        is_long ? extend_full_marked(builder, row, reach.full, node)
                : segue_depend_extend_full(row, reach.full, node);
    return count;
}
