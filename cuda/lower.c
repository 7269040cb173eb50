// SPDX-License-Identifier: Apache-2.0
#include "lower.h"

#include "builtin.h"
#include "cuda_backend.h"
#include "module.h"
#include "recording.h"

#include <stdio.h>
#include <string.h>

/** Bytes that a thread of a built-in kernel handles at a time. */
#define BUILTIN_THREAD_BYTES 16
/** Blocks of a built-in kernel on each multiprocessor, at most; its loops
 * stride over the rest. */
#define BUILTIN_BLOCKS_PER_MULTIPROCESSOR 8

/** Parameters of the built-in kernels, with pointers to each as a launch wants
 * them. */
struct fill_parameters {
    uint64_t target;
    uint64_t length_bytes;
    uint32_t pattern;
    uint32_t pattern_size;
    void *pointers[4];
};
struct copy_parameters {
    uint64_t source;
    uint64_t target;
    uint64_t length_bytes;
    void *pointers[3];
};

const char *segue_lowering_describe(const struct segue_lowering *lowering,
                                    const struct segue_segment *segment, char *out_text,
                                    size_t capacity_bytes)
{
    if (segment != NULL)
        return segue_recording_describe(lowering->recording, segment, out_text, capacity_bytes);
    (void)snprintf(out_text, capacity_bytes, "a join");
    return out_text;
}

static void *allocate(struct segue_lowering *lowering, size_t size_bytes)
{
    return segue_arena_allocate(&lowering->arena, size_bytes);
}

static segue_status fail_memory(struct segue_lowering *lowering)
{
    return segue_fail(lowering->cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                      "out of host memory for lowering command buffer \"%s\"",
                      lowering->recording->label);
}

static segue_status need_builtins(struct segue_lowering *lowering)
{
    if (lowering->builtins.module != NULL)
        return SEGUE_OK;
    return segue_builtins_get(lowering->cuda, &lowering->builtins);
}

static void set_builtin(struct segue_operation *operation, CUfunction function, uint32_t blocks,
                        uint32_t threads, void **parameters)
{
    operation->kind = SEGUE_OPERATION_KERNEL;
    operation->as.kernel.function = function;
    operation->as.kernel.config = (CUlaunchConfig){
        .gridDimX = blocks,
        .gridDimY = 1,
        .gridDimZ = 1,
        .blockDimX = threads,
        .blockDimY = 1,
        .blockDimZ = 1,
    };
    operation->as.kernel.parameters = parameters;
}

/** Whether a kernel is better than the driver at a fill, or at a copy that
 * touches host-visible memory. */
static bool kernel_is_better(const struct segue_lowering *lowering, uint64_t length_bytes)
{
    return lowering->mode == SEGUE_EXECUTION_GRAPH && length_bytes < SEGUE_SMALL_TRANSFER_BYTES;
}

static uint32_t builtin_blocks(const struct segue_lowering *lowering, uint64_t length_bytes)
{
    const uint64_t block_bytes = SEGUE_BUILTIN_BLOCK_SIZE * BUILTIN_THREAD_BYTES;
    const uint64_t wanted = (length_bytes - 1) / block_bytes + 1;
    const uint64_t most =
        (uint64_t)lowering->cuda->limits.multiprocessor_count * BUILTIN_BLOCKS_PER_MULTIPROCESSOR;
    return (uint32_t)(wanted < most ? wanted : most);
}

static segue_status lower_join(struct segue_lowering *lowering, struct segue_operation *operation)
{
    const segue_status status = need_builtins(lowering);
    if (status == SEGUE_OK)
        set_builtin(operation, lowering->builtins.join, 1, 1, NULL);
    return status;
}

static segue_status lower_fill_kernel(struct segue_lowering *lowering,
                                      const struct segue_fill_segment *fill,
                                      const struct segue_resolved_range *target,
                                      struct segue_operation *operation)
{
    const segue_status status = need_builtins(lowering);
    if (status != SEGUE_OK)
        return status;
    struct fill_parameters *parameters = allocate(lowering, sizeof(*parameters));
    if (parameters == NULL)
        return fail_memory(lowering);
    *parameters = (struct fill_parameters){
        .target = target->device_address,
        .length_bytes = target->length_bytes,
        .pattern = fill->base.pattern,
        .pattern_size = fill->base.pattern_size_bytes,
        .pointers = {&parameters->target, &parameters->length_bytes, &parameters->pattern,
                     &parameters->pattern_size},
    };
    set_builtin(operation, lowering->builtins.fill, builtin_blocks(lowering, target->length_bytes),
                SEGUE_BUILTIN_BLOCK_SIZE, parameters->pointers);
    return SEGUE_OK;
}

/** Host-visible memory is always filled by the kernel: it is the bus that takes
 * the time. */
static bool is_kernel_fill(const struct segue_lowering *lowering,
                           const struct segue_resolved_range *target)
{
    return kernel_is_better(lowering, target->length_bytes) ||
           target->memory->backend.host_pointer != NULL;
}

static segue_status lower_fill(struct segue_lowering *lowering,
                               const struct segue_fill_segment *fill,
                               struct segue_operation *operation)
{
    const struct segue_resolved_range target = segue_range_resolve(&fill->target, lowering->table);
    if (is_kernel_fill(lowering, &target))
        return lower_fill_kernel(lowering, fill, &target, operation);
    const uint32_t pattern_bytes = fill->base.pattern_size_bytes;
    operation->kind = SEGUE_OPERATION_SET;
    operation->as.set.target = target.device_address;
    operation->as.set.pattern =
        pattern_bytes == 4 ? fill->base.pattern
                           : fill->base.pattern & ((UINT32_C(1) << (8 * pattern_bytes)) - 1);
    operation->as.set.pattern_bytes = pattern_bytes;
    operation->as.set.pattern_count = target.length_bytes / pattern_bytes;
    return SEGUE_OK;
}

/** Whether a copy within device memory is one that the driver's node is slow at. The kernel is not
 *  unless it has to go in steps of less than 16 bytes. */
static bool is_large_copy(const struct segue_lowering *lowering,
                          const struct segue_copy_end *source, const struct segue_copy_end *target,
                          uint64_t length_bytes)
{
    return lowering->mode == SEGUE_EXECUTION_GRAPH && length_bytes >= SEGUE_LARGE_COPY_BYTES &&
           ((source->address ^ target->address) & (BUILTIN_THREAD_BYTES - 1)) == 0;
}

static bool is_kernel_copy(const struct segue_lowering *lowering,
                           const struct segue_copy_end *source, const struct segue_copy_end *target,
                           uint64_t length_bytes)
{
    if (source->host_pointer == NULL && target->host_pointer == NULL)
        return is_large_copy(lowering, source, target, length_bytes);
    return kernel_is_better(lowering, length_bytes);
}

/** A large copy gets a thread for each step: a grid that strides is slower by a twelfth. */
static uint32_t copy_blocks(const struct segue_lowering *lowering, uint64_t length_bytes)
{
    if (length_bytes < SEGUE_LARGE_COPY_BYTES)
        return builtin_blocks(lowering, length_bytes);
    const uint64_t wanted =
        (length_bytes - 1) / (SEGUE_BUILTIN_BLOCK_SIZE * BUILTIN_THREAD_BYTES) + 1;
    return (uint32_t)(wanted < INT32_MAX ? wanted : INT32_MAX);
}

static segue_status lower_copy_between(struct segue_lowering *lowering,
                                       struct segue_copy_end source, struct segue_copy_end target,
                                       uint64_t length_bytes, struct segue_operation *operation)
{
    if (!is_kernel_copy(lowering, &source, &target, length_bytes)) {
        operation->kind = SEGUE_OPERATION_COPY;
        operation->as.copy.source = source;
        operation->as.copy.target = target;
        operation->as.copy.length_bytes = length_bytes;
        return SEGUE_OK;
    }
    const segue_status status = need_builtins(lowering);
    if (status != SEGUE_OK)
        return status;
    struct copy_parameters *parameters = allocate(lowering, sizeof(*parameters));
    if (parameters == NULL)
        return fail_memory(lowering);
    *parameters = (struct copy_parameters){
        .source = source.address,
        .target = target.address,
        .length_bytes = length_bytes,
        .pointers = {&parameters->source, &parameters->target, &parameters->length_bytes},
    };
    set_builtin(operation, lowering->builtins.copy, copy_blocks(lowering, length_bytes),
                SEGUE_BUILTIN_BLOCK_SIZE, parameters->pointers);
    return SEGUE_OK;
}

static struct segue_copy_end copy_end(const struct segue_resolved_range *range)
{
    char *host_pointer = range->memory->backend.host_pointer;
    return (struct segue_copy_end){
        .address = range->device_address,
        .host_pointer = host_pointer != NULL ? host_pointer + range->offset_bytes : NULL,
    };
}

static struct segue_copy_end staging_end(const struct segue_lowering *lowering,
                                         const struct segue_update_segment *update)
{
    return (struct segue_copy_end){
        .address = lowering->staging_address + update->staging_offset_bytes,
        .host_pointer = NULL,
    };
}

static segue_status lower_update(struct segue_lowering *lowering,
                                 const struct segue_update_segment *update,
                                 struct segue_operation *operation)
{
    const struct segue_resolved_range target =
        segue_range_resolve(&update->target, lowering->table);
    return lower_copy_between(lowering, staging_end(lowering, update), copy_end(&target),
                              update->target.length_bytes, operation);
}

static segue_status lower_copy(struct segue_lowering *lowering,
                               const struct segue_copy_segment *copy,
                               struct segue_operation *operation)
{
    const struct segue_resolved_range source = segue_range_resolve(&copy->source, lowering->table);
    const struct segue_resolved_range target = segue_range_resolve(&copy->target, lowering->table);
    return lower_copy_between(lowering, copy_end(&source), copy_end(&target), target.length_bytes,
                              operation);
}

/** The constants of a dispatch: in the recording, or, where the table fills some in, in the arena.
 *  NULL when out of memory. The driver only reads through pointers to them; its type for them has
 *  no const. */
static unsigned char *constants_of(struct segue_lowering *lowering,
                                   const struct segue_dispatch_segment *dispatch)
{
    if (!dispatch->base.has_constant_uses)
        return (unsigned char *)(uintptr_t)segue_dispatch_constants(dispatch);
    unsigned char *constants = allocate(lowering, dispatch->constants_size_bytes);
    if (constants != NULL)
        segue_dispatch_resolve_constants(dispatch, lowering->table, constants);
    return constants;
}

/** Pointers to all parameter values, in the kernel's order; addresses of
 * bindings are kept in the arena behind them. NULL for a kernel without parameters. Indirect
 * parameters are one, where the first of them is. */
static segue_status lower_parameters(struct segue_lowering *lowering,
                                     const struct segue_dispatch_segment *dispatch,
                                     const struct segue_entry_point *entry, void ***out_parameters)
{
    if (entry->parameter_count == 0) {
        *out_parameters = NULL;
        return SEGUE_OK;
    }
    void **parameters = allocate(lowering, entry->parameter_count * sizeof(*parameters) +
                                               dispatch->binding_count * sizeof(uint64_t));
    unsigned char *constant = constants_of(lowering, dispatch);
    if (parameters == NULL || constant == NULL)
        return fail_memory(lowering);
    uint64_t *address = (uint64_t *)(parameters + entry->parameter_count);
    const struct segue_range *binding = dispatch->bindings;
    *out_parameters = parameters;
    bool has_table = false;
    const struct segue_parameter *end = entry->parameters + entry->parameter_count;
    for (const struct segue_parameter *parameter = entry->parameters; parameter < end;
         parameter++) {
        if (parameter->kind == SEGUE_PARAMETER_BINDING) {
            *address = segue_range_address(binding++, lowering->table);
            *parameters++ = address++;
        } else if (parameter->kind == SEGUE_PARAMETER_CONSTANT) {
            *parameters++ = constant;
            constant += parameter->size_bytes;
        } else {
            binding++;
            if (!segue_parameter_is_passed(parameter, &has_table))
                continue;
            *address = lowering->pointers_address + dispatch->first_indirect * sizeof(uint64_t);
            *parameters++ = address++;
        }
    }
    return SEGUE_OK;
}

static segue_status lower_attributes(struct segue_lowering *lowering,
                                     const struct segue_entry_point *entry, CUlaunchConfig *config)
{
    const bool cooperative = (entry->flags & SEGUE_ENTRY_COOPERATIVE) != 0;
    const bool clustered = entry->cluster_size[0] != 0;
    const uint32_t count = (uint32_t)cooperative + (uint32_t)clustered;
    if (count == 0)
        return SEGUE_OK;
    CUlaunchAttribute *attributes = allocate(lowering, count * sizeof(*attributes));
    if (attributes == NULL)
        return fail_memory(lowering);
    memset(attributes, 0, count * sizeof(*attributes));
    CUlaunchAttribute *next = attributes;
    if (cooperative) {
        next->id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
        next->value.cooperative = 1;
        next++;
    }
    if (clustered) {
        next->id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
        next->value.clusterDim.x = entry->cluster_size[0];
        next->value.clusterDim.y = entry->cluster_size[1];
        next->value.clusterDim.z = entry->cluster_size[2];
    }
    config->attrs = attributes;
    config->numAttrs = count;
    return SEGUE_OK;
}

static segue_status lower_dispatch(struct segue_lowering *lowering,
                                   const struct segue_dispatch_segment *dispatch,
                                   struct segue_operation *operation)
{
    const segue_executable *executable = dispatch->executable;
    const struct segue_entry_point *entry = &executable->entries[dispatch->entry_point].declared;
    operation->kind = SEGUE_OPERATION_KERNEL;
    operation->as.kernel.function = executable->module->functions[dispatch->entry_point];
    operation->as.kernel.config = (CUlaunchConfig){
        .gridDimX = dispatch->grid[0],
        .gridDimY = dispatch->grid[1],
        .gridDimZ = dispatch->grid[2],
        .blockDimX = dispatch->block[0],
        .blockDimY = dispatch->block[1],
        .blockDimZ = dispatch->block[2],
        .sharedMemBytes = dispatch->dynamic_shared_bytes,
    };
    const segue_status status =
        lower_parameters(lowering, dispatch, entry, &operation->as.kernel.parameters);
    if (status != SEGUE_OK)
        return status;
    return lower_attributes(lowering, entry, &operation->as.kernel.config);
}

segue_status segue_lower(struct segue_lowering *lowering, const struct segue_segment *segment,
                         struct segue_operation *out_operation)
{
    out_operation->segment = segment;
    if (segment == NULL)
        return lower_join(lowering, out_operation);
    switch ((enum segue_command_kind)segment->kind) {
    case SEGUE_COMMAND_FILL:
        return lower_fill(lowering, (const struct segue_fill_segment *)segment, out_operation);
    case SEGUE_COMMAND_UPDATE:
        return lower_update(lowering, (const struct segue_update_segment *)segment, out_operation);
    case SEGUE_COMMAND_COPY:
        return lower_copy(lowering, (const struct segue_copy_segment *)segment, out_operation);
    case SEGUE_COMMAND_DISPATCH:
        return lower_dispatch(lowering, (const struct segue_dispatch_segment *)segment,
                              out_operation);
    default:
        return segue_fail(lowering->cuda->base.device, SEGUE_INVALID_STATE,
                          "command %u of kind %d does no work and cannot be lowered",
                          segment->index, (int)segment->kind);
    }
}

static enum segue_node_class copy_class(const struct segue_lowering *lowering,
                                        struct segue_copy_end source, struct segue_copy_end target,
                                        uint64_t length_bytes)
{
    if (is_kernel_copy(lowering, &source, &target, length_bytes))
        return SEGUE_NODE_COPY_KERNEL;
    if (target.host_pointer != NULL)
        return source.host_pointer != NULL ? SEGUE_NODE_COPY_ON_HOST : SEGUE_NODE_COPY_TO_HOST;
    return source.host_pointer != NULL ? SEGUE_NODE_COPY_FROM_HOST : SEGUE_NODE_COPY_ON_DEVICE;
}

enum segue_node_class segue_lower_class(const struct segue_lowering *lowering,
                                        const struct segue_segment *segment)
{
    if (segment == NULL)
        return SEGUE_NODE_JOIN;
    if (segment->kind == SEGUE_COMMAND_DISPATCH)
        return SEGUE_NODE_DISPATCH;
    struct segue_resolved_range source = {0};
    struct segue_resolved_range target;
    if (segment->kind == SEGUE_COMMAND_FILL) {
        const struct segue_fill_segment *fill = (const struct segue_fill_segment *)segment;
        target = segue_range_resolve(&fill->target, lowering->table);
        return is_kernel_fill(lowering, &target) ? SEGUE_NODE_FILL_KERNEL : SEGUE_NODE_SET;
    }
    if (segment->kind == SEGUE_COMMAND_UPDATE) {
        const struct segue_update_segment *update = (const struct segue_update_segment *)segment;
        target = segue_range_resolve(&update->target, lowering->table);
        return copy_class(lowering, staging_end(lowering, update), copy_end(&target),
                          update->target.length_bytes);
    }
    const struct segue_copy_segment *copy = (const struct segue_copy_segment *)segment;
    source = segue_range_resolve(&copy->source, lowering->table);
    target = segue_range_resolve(&copy->target, lowering->table);
    return copy_class(lowering, copy_end(&source), copy_end(&target), target.length_bytes);
}
