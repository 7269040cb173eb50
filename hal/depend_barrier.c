// SPDX-License-Identifier: Apache-2.0
#include "depend_build.h"
#include "plan.h"

#include <inttypes.h>

/** Order nodes of the dag that few commands lead to are not made: NO_NODE. */
#define NO_NODE UINT32_MAX

/** Puts what a dag node waits for on the list; `made` has the node of each dag node. */
static void list_predecessors(struct segue_depend_builder *builder, const struct segue_dag *dag,
                              const struct segue_dag_node *node, const uint32_t *made)
{
    for (uint32_t i = 0; i < node->predecessor_count; i++) {
        uint32_t predecessor = dag->predecessors[node->first_predecessor + i];
        if (made[predecessor] != NO_NODE)
            segue_depend_list(builder, made[predecessor]);
        else
            list_predecessors(builder, dag, &dag->nodes[predecessor], made);
    }
}

/** Whether two commands wait for one and the same order node. */
static bool is_alike(const struct segue_dag *dag, const struct segue_dag_node *a,
                     const struct segue_dag_node *b)
{
    return a->predecessor_count == 1 && b->predecessor_count == 1 &&
           dag->predecessors[a->first_predecessor] == dag->predecessors[b->first_predecessor];
}

static bool add_dag(struct segue_depend_builder *builder, const struct segue_dag *dag,
                    uint32_t *made)
{
    size_t last = dag->node_count;
    for (size_t i = 0; i < dag->node_count && !builder->failed; i++) {
        const struct segue_dag_node *node = &dag->nodes[i];
        made[i] = NO_NODE;
        if (!node->segment && node->predecessor_count <= SEGUE_DEPEND_MAX_DIRECT)
            continue;
        if (node->segment && last < i && is_alike(dag, node, &dag->nodes[last])) {
            made[i] = segue_depend_emit_same(builder, node->segment, made[last]);
        } else {
            list_predecessors(builder, dag, node, made);
            made[i] = segue_depend_emit(builder, node->segment, 0);
        }
        if (node->segment)
            last = i;
    }
    if (!builder->failed)
        segue_depend_sweep(builder);
    return !builder->failed;
}

segue_status segue_depend_from_barriers(const struct segue_recording *recording,
                                        struct segue_depend *depend)
{
    struct segue_dag dag;
    segue_status status = segue_dag_build(recording, &dag);
    if (status != SEGUE_OK)
        return status;
    // Not cleared: every row is written before it is read.
    struct segue_depend_window window;
    struct segue_depend_builder builder = {
        .recording = recording,
        .depend = depend,
        .window = &window,
        .sets.allocator = depend->allocator,
        .credit = INT64_MAX,
    };
    size_t made_bytes = (dag.node_count + 1) * sizeof(uint32_t);
    uint32_t *made = segue_allocate(depend->allocator, made_bytes);
    if (!made || !add_dag(&builder, &dag, made))
        status =
            segue_fail(recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                       "command buffer \"%s\": no memory for the order of its %" PRIu32 " commands",
                       recording->label, recording->command_count);
    segue_release(depend->allocator, made, made_bytes);
    segue_depend_builder_finish(&builder);
    segue_dag_finish(&dag);
    return status;
}
