// SPDX-License-Identifier: Apache-2.0
#include "constant_slots.h"
#include "executable.h"

#include <inttypes.h>
#include <string.h>

#define MAX_GRID_X INT32_MAX
#define MAX_GRID_YZ 65535

/** What a binding's declared access asks of the buffer. */
static const uint32_t usage_of_access[] = {
    [SEGUE_ACCESS_READ_WRITE] =
        SEGUE_BUFFER_USAGE_DISPATCH_READ | SEGUE_BUFFER_USAGE_DISPATCH_WRITE,
    [SEGUE_ACCESS_READ] = SEGUE_BUFFER_USAGE_DISPATCH_READ,
    [SEGUE_ACCESS_WRITE] = SEGUE_BUFFER_USAGE_DISPATCH_WRITE,
    [SEGUE_ACCESS_CONSTANT] = SEGUE_BUFFER_USAGE_DISPATCH_READ,
};

static struct segue_range_rules binding_rules(const struct segue_parameter *binding)
{
    return (struct segue_range_rules){
        .usage = usage_of_access[binding->access],
        .align_mask = binding->align_bytes - (binding->align_bytes != 0),
    };
}

struct segue_range_rules segue_dispatch_binding_rules(const struct segue_dispatch_segment *dispatch,
                                                      uint32_t binding)
{
    return binding_rules(dispatch->executable->entries[dispatch->entry_point].bindings[binding]);
}

/** Says what is wrong with a dispatch that does not fit its entry point. */
static SEGUE_COLD segue_status form_failed(segue_command_buffer *command_buffer,
                                           const struct segue_dispatch *dispatch)
{
    // No executable until it is known to be good: the message is made from this head.
    struct segue_dispatch_segment head = {
        .base = segue_record_head(command_buffer, SEGUE_COMMAND_DISPATCH),
    };
    if (!dispatch)
        return segue_record_fail(command_buffer, &head.base, SEGUE_INVALID_ARGUMENT,
                                 "dispatch is NULL");
    segue_executable *executable = dispatch->executable;
    if (!executable)
        return segue_record_fail(command_buffer, &head.base, SEGUE_INVALID_ARGUMENT,
                                 "executable is NULL");
    if (executable->object.device != command_buffer->device)
        return segue_record_fail(command_buffer, &head.base, SEGUE_INVALID_ARGUMENT,
                                 "executable \"%s\" belongs to another device (%s); create it on "
                                 "the command buffer's device",
                                 executable->params.label, executable->object.device->uri);
    if (dispatch->entry_point >= executable->params.entry_point_count)
        return segue_record_fail(command_buffer, &head.base, SEGUE_OUT_OF_RANGE,
                                 "entry point %u of executable \"%s\", which has %u",
                                 dispatch->entry_point, executable->params.label,
                                 executable->params.entry_point_count);
    head.executable = executable;
    head.entry_point = dispatch->entry_point;
    const struct segue_entry *entry = &executable->entries[dispatch->entry_point];
    if (dispatch->binding_count != entry->binding_count)
        return segue_record_fail(command_buffer, &head.base, SEGUE_INVALID_ARGUMENT,
                                 "%u bindings are given; the entry point declares %u",
                                 dispatch->binding_count, entry->binding_count);
    if (dispatch->constants_size_bytes != entry->constants_size_bytes)
        return segue_record_fail(command_buffer, &head.base, SEGUE_INVALID_ARGUMENT,
                                 "%u bytes of constants are given; the entry point declares %u",
                                 dispatch->constants_size_bytes, entry->constants_size_bytes);
    return segue_record_fail(command_buffer, &head.base, SEGUE_INVALID_ARGUMENT,
                             "%s is NULL; the entry point declares %u bindings and %u bytes of "
                             "constants",
                             dispatch->bindings || entry->binding_count == 0 ? "constants"
                                                                             : "bindings",
                             entry->binding_count, entry->constants_size_bytes);
}

/** Whether executable, entry point and counts fit; `*out_entry` is only set then. */
static inline bool check_form(const segue_command_buffer *command_buffer,
                              const struct segue_dispatch *dispatch,
                              const struct segue_entry **out_entry)
{
    if (segue_unlikely(!dispatch || !dispatch->executable))
        return false;
    const segue_executable *executable = dispatch->executable;
    if (segue_unlikely(executable->object.device != command_buffer->device ||
                       dispatch->entry_point >= executable->params.entry_point_count))
        return false;
    const struct segue_entry *entry = &executable->entries[dispatch->entry_point];
    *out_entry = entry;
    return dispatch->binding_count == entry->binding_count &&
           dispatch->constants_size_bytes == entry->constants_size_bytes &&
           (dispatch->bindings || entry->binding_count == 0) &&
           (dispatch->constants || entry->constants_size_bytes == 0);
}

static SEGUE_COLD segue_status block_failed(segue_command_buffer *command_buffer,
                                            const struct segue_dispatch_segment *segment,
                                            const struct segue_entry *entry,
                                            const struct segue_dispatch *dispatch)
{
    const uint32_t *given = dispatch->block;
    const uint32_t *declared = entry->declared.block_size;
    const uint32_t *block = segment->block;
    if (declared[0] != 0 && memcmp(block, declared, sizeof segment->block) != 0)
        return segue_record_fail(command_buffer, &segment->base, SEGUE_INVALID_ARGUMENT,
                                 "block is %u x %u x %u, but the entry point is declared with %u x "
                                 "%u x %u; give that or 0",
                                 given[0], given[1], given[2], declared[0], declared[1],
                                 declared[2]);
    if (block[0] == 0 || block[1] == 0 || block[2] == 0)
        return segue_record_fail(command_buffer, &segment->base, SEGUE_INVALID_ARGUMENT,
                                 "block is %u x %u x %u and the entry point declares none; give "
                                 "all three",
                                 given[0], given[1], given[2]);
    return segue_record_fail(command_buffer, &segment->base, SEGUE_INVALID_ARGUMENT,
                             "block %u x %u x %u is too large: this kernel can have %u threads, "
                             "at most %d of them in z",
                             block[0], block[1], block[2], entry->limits.max_threads_per_block,
                             SEGUE_MAX_BLOCK_DEPTH);
}

static SEGUE_COLD segue_status launch_failed(segue_command_buffer *command_buffer,
                                             const struct segue_dispatch_segment *segment,
                                             const struct segue_entry *entry)
{
    const uint32_t *grid = segment->grid;
    const uint32_t *cluster = entry->declared.cluster_size;
    if (grid[0] > MAX_GRID_X || grid[1] > MAX_GRID_YZ || grid[2] > MAX_GRID_YZ)
        return segue_record_fail(command_buffer, &segment->base, SEGUE_OUT_OF_RANGE,
                                 "grid %u x %u x %u is too large; the limits are %d x %d x %d",
                                 grid[0], grid[1], grid[2], MAX_GRID_X, MAX_GRID_YZ, MAX_GRID_YZ);
    if (segment->dynamic_shared_bytes > entry->limits.max_dynamic_shared_bytes)
        return segue_record_fail(command_buffer, &segment->base, SEGUE_OUT_OF_RANGE,
                                 "dynamic_shared_bytes is %u; this kernel can have %u",
                                 segment->dynamic_shared_bytes,
                                 entry->limits.max_dynamic_shared_bytes);
    return segue_record_fail(command_buffer, &segment->base, SEGUE_INVALID_ARGUMENT,
                             "grid %u x %u x %u is not a multiple of the entry point's cluster of "
                             "%u x %u x %u blocks",
                             grid[0], grid[1], grid[2], cluster[0], cluster[1], cluster[2]);
}

/** Resolves block and shared memory against the entry point and checks them and the grid. */
static inline segue_status set_launch(segue_command_buffer *command_buffer,
                                      struct segue_dispatch_segment *segment,
                                      const struct segue_entry *entry,
                                      const struct segue_dispatch *dispatch)
{
    const struct segue_entry_point *declared = &entry->declared;
    bool none = (dispatch->block[0] | dispatch->block[1] | dispatch->block[2]) == 0;
    const uint32_t *block = none ? declared->block_size : dispatch->block;
    uint32_t x = block[0], y = block[1], z = block[2];
    segment->block[0] = x;
    segment->block[1] = y;
    segment->block[2] = z;
    bool differs = declared->block_size[0] != 0 &&
                   ((x ^ declared->block_size[0]) | (y ^ declared->block_size[1]) |
                    (z ^ declared->block_size[2])) != 0;
    // With z at most 64 and x * y at most 2^32 - 1, the product fits 64 bits.
    uint64_t area = (uint64_t)x * y;
    uint64_t threads = area > UINT32_MAX ? UINT64_MAX : area * z;
    if (segue_unlikely(differs || threads == 0 || z > SEGUE_MAX_BLOCK_DEPTH ||
                       threads > entry->limits.max_threads_per_block))
        return block_failed(command_buffer, segment, entry, dispatch);

    const uint32_t *grid = dispatch->grid;
    const uint32_t *cluster = declared->cluster_size;
    segment->grid[0] = grid[0];
    segment->grid[1] = grid[1];
    segment->grid[2] = grid[2];
    segment->dynamic_shared_bytes = dispatch->dynamic_shared_bytes != 0
                                        ? dispatch->dynamic_shared_bytes
                                        : declared->dynamic_shared_bytes;
    bool wrong = (grid[0] > MAX_GRID_X) | (grid[1] > MAX_GRID_YZ) | (grid[2] > MAX_GRID_YZ) |
                 (segment->dynamic_shared_bytes > entry->limits.max_dynamic_shared_bytes);
    if (cluster[0] != 0)
        wrong |= (grid[0] % cluster[0] | grid[1] % cluster[1] | grid[2] % cluster[2]) != 0;
    if (segue_unlikely(wrong))
        return launch_failed(command_buffer, segment, entry);
    segment->base.is_empty = grid[0] == 0 || grid[1] == 0 || grid[2] == 0;
    return SEGUE_OK;
}

/** Gives a dispatch its place among the pointers that kernels find in memory. False: there are too
 *  many. */
static inline bool place_indirect(struct segue_recording *recording,
                                  const struct segue_entry *entry,
                                  struct segue_dispatch_segment *segment)
{
    segment->first_indirect = SEGUE_NO_INDIRECT;
    if (entry->indirect_count == 0 || segment->base.is_empty)
        return true;
    if (segue_unlikely(entry->indirect_count >= SEGUE_NO_INDIRECT - recording->indirect_count))
        return false;
    segment->first_indirect = recording->indirect_count;
    recording->indirect_count += entry->indirect_count;
    return true;
}

segue_status segue_cmd_dispatch(segue_command_buffer *command_buffer,
                                const struct segue_dispatch *dispatch)
{
    segue_status status = segue_record_check(command_buffer);
    if (segue_unlikely(status != SEGUE_OK))
        return status;
    const struct segue_entry *entry = NULL;
    if (segue_unlikely(!check_form(command_buffer, dispatch, &entry)))
        return form_failed(command_buffer, dispatch);
    size_t uses_bytes = 0;
    if (segue_unlikely(dispatch->constant_use_count != 0)) {
        status = segue_record_check_constant_uses(command_buffer, entry, dispatch);
        if (status != SEGUE_OK)
            return status;
        uses_bytes = segue_record_constant_uses_bytes(dispatch);
    }

    uint32_t binding_count = dispatch->binding_count;
    uint32_t constants_size_bytes = dispatch->constants_size_bytes;
    struct segue_dispatch_segment *segment =
        segue_record_allocate(command_buffer, SEGUE_COMMAND_DISPATCH,
                              sizeof *segment + binding_count * sizeof segment->bindings[0] +
                                  constants_size_bytes + uses_bytes);
    if (segue_unlikely(!segment))
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_DISPATCH);
    segment->executable = dispatch->executable;
    segment->entry_point = dispatch->entry_point;
    segment->binding_count = (uint16_t)binding_count;
    segment->base.duration_ns = dispatch->duration_ns;
    segment->constants_size_bytes = (uint16_t)constants_size_bytes;
    status = set_launch(command_buffer, segment, entry, dispatch);
    if (segue_unlikely(status != SEGUE_OK))
        return status;

    for (uint32_t i = 0; i < binding_count; i++) {
        const struct segue_range_rules rules = binding_rules(entry->bindings[i]);
        if (segue_unlikely(!segue_record_range(command_buffer, &dispatch->bindings[i], rules,
                                               &segment->bindings[i])))
            return segue_record_range_failed(command_buffer, &segment->base, "binding", i,
                                             &dispatch->bindings[i], rules);
    }
    if (segue_unlikely(!place_indirect(command_buffer->recording, entry, segment) ||
                       !segue_record_retain(command_buffer, &dispatch->executable->object)))
        return segue_record_no_memory(command_buffer, SEGUE_COMMAND_DISPATCH);
    if (constants_size_bytes != 0)
        memcpy(segment->bindings + binding_count, dispatch->constants, constants_size_bytes);
    if (segue_unlikely(uses_bytes != 0))
        segue_record_constant_uses(command_buffer, dispatch, segment);
    segue_record_commit(command_buffer, &segment->base);
    return SEGUE_OK;
}
