// SPDX-License-Identifier: Apache-2.0
// The constants of a command buffer.
#include "plan.h"

#include "error.h"

#include <stdlib.h>

/** One walk over a command buffer. */
struct walk {
    segue_prepack_plan *plan;
    segue_prepack_resolve_fn resolve;
    void *context;
    /** Memory that was met before. */
    uint64_t *seen;
    uint32_t seen_count;
    uint32_t added;
    segue_status status;
};

/** Notes that memory was met; false if it was before, or when out of memory. */
static bool is_new(struct walk *walk, uint64_t memory_id)
{
    for (uint32_t i = 0; i < walk->seen_count; i++) {
        if (walk->seen[i] == memory_id)
            return false;
    }
    if ((walk->seen_count & (walk->seen_count - 1)) == 0) {
        const size_t capacity = walk->seen_count == 0 ? 1 : 2 * (size_t)walk->seen_count;
        uint64_t *grown = realloc(walk->seen, capacity * sizeof(*grown));
        if (grown == NULL) {
            walk->status = segue_prepack_fail_memory("the constants of a command buffer");
            return false;
        }
        walk->seen = grown;
    }
    walk->seen[walk->seen_count++] = memory_id;
    return true;
}

static void meet(struct walk *walk, segue_buffer *buffer)
{
    if (buffer == NULL || walk->status != SEGUE_OK)
        return;
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer, &info);
    if (info.memory != SEGUE_MEMORY_CONSTANT || !is_new(walk, info.memory_id))
        return;
    struct segue_prepack_constant constant = {0};
    if (!walk->resolve(walk->context, buffer, &constant))
        return;
    constant.destination = buffer;
    walk->status = segue_prepack_plan_add(walk->plan, &constant, NULL);
    walk->added += walk->status == SEGUE_OK;
}

static bool visit(void *context, const struct segue_command_info *command)
{
    struct walk *walk = context;
    // Constant memory is only ever a source of copies, or bound.
    if (command->kind == SEGUE_COMMAND_COPY)
        meet(walk, command->as.copy.source.buffer);
    for (uint32_t i = 0;
         command->kind == SEGUE_COMMAND_DISPATCH && i < command->as.dispatch.binding_count; i++)
        meet(walk, command->as.dispatch.bindings[i].buffer);
    return walk->status == SEGUE_OK;
}

segue_status segue_prepack_plan_add_command_buffer(segue_prepack_plan *plan,
                                                   segue_command_buffer *command_buffer,
                                                   segue_prepack_resolve_fn resolve, void *context,
                                                   uint32_t *out_count)
{
    if (plan == NULL || command_buffer == NULL || resolve == NULL)
        return segue_prepack_fail(SEGUE_INVALID_ARGUMENT,
                                  "segue_prepack_plan_add_command_buffer: plan, command_buffer and "
                                  "resolve must not be NULL");
    struct walk walk = {.plan = plan, .resolve = resolve, .context = context};
    const uint32_t count_before = plan->item_count;
    segue_status status = segue_command_buffer_visit(command_buffer, visit, &walk);
    if (status == SEGUE_OK)
        status = walk.status;
    free(walk.seen);
    if (status != SEGUE_OK)
        segue_prepack_plan_remove_last(plan, count_before);
    else if (out_count != NULL)
        *out_count = walk.added;
    return status;
}
