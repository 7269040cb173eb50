// SPDX-License-Identifier: Apache-2.0
// What the driver was given, told from what is kept of it: no pass is run
// again, so that this is right for a graph that was built for an earlier
// recording, too.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "program.h"

/** Sets each node's command: the program's recording and the exec's content go
 * side by side. */
static void name_commands(const struct segue_backend_program *program, struct segue_plan *plan)
{
    const uint64_t *record = program->exec->content.words;
    for (const struct segue_segment *segment = program->lowering.recording->first; segment != NULL;
         segment = segment->next) {
        if (segment->kind >= SEGUE_COMMAND_BEGIN_GROUP)
            continue;
        const uint32_t node = segue_record_node(record);
        record += segue_record_words(record);
        if (node != SEGUE_NO_RECORD)
            plan->nodes[node].segment = segment;
    }
}

segue_status segue_cuda_program_plan(struct segue_backend *backend,
                                     const struct segue_backend_program *program,
                                     struct segue_plan *out_plan)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    struct segue_plan plan = {.allocator = segue_cuda_allocator(cuda)};
    if (program->exec == NULL) {
        *out_plan = plan;
        return SEGUE_OK;
    }
    const struct segue_cuda_structure *structure = program->exec->structure;
    plan.node_capacity = structure->graph.node_count;
    plan.dependency_capacity = structure->graph.edge_count;
    plan.dependency_count = structure->graph.edge_count;
    plan.nodes = segue_allocate_zeroed(plan.allocator, plan.node_capacity, sizeof(*plan.nodes));
    plan.dependencies =
        segue_allocate(plan.allocator, plan.dependency_capacity * sizeof(*plan.dependencies));
    plan.dependency_types = segue_allocate(plan.allocator, plan.dependency_capacity);
    if (plan.nodes == NULL || plan.dependencies == NULL || plan.dependency_types == NULL) {
        segue_plan_finish(&plan);
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for describing command buffer \"%s\"",
                          program->lowering.recording->label);
    }
    segue_signature_read(&structure->signature, structure->graph.node_count, &plan);
    name_commands(program, &plan);
    // A driver without them was given full edges.
    for (size_t i = 0; i < plan.edge_count && !segue_cuda_has_typed_edges(cuda); i++)
        plan.dependency_types[i] = SEGUE_GRAPH_EDGE_FULL;
    *out_plan = plan;
    return SEGUE_OK;
}
