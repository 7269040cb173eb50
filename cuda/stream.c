// SPDX-License-Identifier: Apache-2.0
// A program in stream mode: operations prepared once, issued one after the other at each run.
#include "cuda_backend.h"
#include "plan.h"
#include "program.h"

#define DESCRIPTION_BYTES 512

segue_status segue_cuda_stream_prepare(struct segue_backend_program *program,
                                       const struct segue_plan *plan)
{
    struct segue_lowering *lowering = &program->lowering;
    const struct segue_allocator *allocator = segue_cuda_allocator(lowering->cuda);
    if (plan->node_count == 0)
        return SEGUE_OK;
    struct segue_operation *operations =
        segue_allocate_zeroed(allocator, plan->node_count, sizeof(*operations));
    if (operations == NULL)
        return segue_fail(lowering->cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for the %zu operations of command buffer \"%s\"",
                          plan->node_count, lowering->recording->label);
    for (size_t i = 0; i < plan->node_count; i++) {
        const segue_status status = segue_lower(lowering, plan->nodes[i].segment, &operations[i]);
        if (status != SEGUE_OK) {
            segue_release(allocator, operations, plan->node_count * sizeof(*operations));
            return status;
        }
    }
    program->operations = operations;
    program->operation_count = (uint32_t)plan->node_count;
    return SEGUE_OK;
}

segue_status segue_cuda_stream_create_event(struct segue_backend_program *program)
{
    const struct segue_lowering *lowering = &program->lowering;
    const struct segue_recording *recording = lowering->recording;
    if (recording->indirect_count == 0 || (recording->flags & SEGUE_COMMAND_BUFFER_ONE_SHOT) != 0)
        return SEGUE_OK;
    return segue_cuda_check(
        lowering->cuda, cuEventCreate(&program->copied, CU_EVENT_DISABLE_TIMING),
        "creating the event of command buffer \"%s\"'s table of pointers", recording->label);
}

segue_status segue_cuda_stream_rebind(struct segue_backend_program *program, bool *out_rebound)
{
    struct segue_lowering *lowering = &program->lowering;
    segue_status status = segue_cuda_enter(lowering->cuda);
    if (status != SEGUE_OK)
        return status;
    // The driver has copied what earlier launches were given.
    segue_arena_reset(&lowering->arena);
    for (uint32_t i = 0; i < program->operation_count && status == SEGUE_OK; i++) {
        const struct segue_segment *segment = program->operations[i].segment;
        status = segue_lower(lowering, segment, &program->operations[i]);
        if (segue_segment_has_indirect(segment))
            segue_pointers_write(lowering, program->staging,
                                 (const struct segue_dispatch_segment *)segment);
    }
    segue_cuda_leave(lowering->cuda);
    *out_rebound = status == SEGUE_OK;
    return status;
}

void segue_cuda_stream_finish(struct segue_backend_program *program, bool has_context)
{
    segue_release(segue_cuda_allocator(program->lowering.cuda), program->operations,
                  program->operation_count * sizeof(*program->operations));
    program->operations = NULL;
    program->operation_count = 0;
    if (program->copied != NULL && has_context)
        segue_cuda_cleanup(program->lowering.cuda, cuEventDestroy(program->copied),
                           "destroying the event of a table of pointers");
    program->copied = NULL;
}

/** The call that an operation is, for messages; its result. */
static CUresult issue(const struct segue_driver *driver, const struct segue_operation *operation,
                      CUstream stream, const char **out_call)
{
    if (operation->kind == SEGUE_OPERATION_KERNEL) {
        CUlaunchConfig config = operation->as.kernel.config;
        config.hStream = stream;
        *out_call = "cuLaunchKernelEx";
        return driver->cuLaunchKernelEx(&config, operation->as.kernel.function,
                                        operation->as.kernel.parameters, NULL);
    }
    if (operation->kind == SEGUE_OPERATION_COPY) {
        const CUdeviceptr source = operation->as.copy.source.address;
        const CUdeviceptr target = operation->as.copy.target.address;
        const size_t length_bytes = operation->as.copy.length_bytes;
        if (operation->as.copy.source.host_pointer == NULL &&
            operation->as.copy.target.host_pointer == NULL) {
            *out_call = "cuMemcpyDtoDAsync";
            return driver->cuMemcpyDtoDAsync(target, source, length_bytes, stream);
        }
        *out_call = "cuMemcpyAsync";
        return driver->cuMemcpyAsync(target, source, length_bytes, stream);
    }
    const CUdeviceptr target = operation->as.set.target;
    const uint32_t pattern = operation->as.set.pattern;
    const size_t count = operation->as.set.pattern_count;
    switch (operation->as.set.pattern_bytes) {
    case 1:
        *out_call = "cuMemsetD8Async";
        return driver->cuMemsetD8Async(target, (unsigned char)pattern, count, stream);
    case 2:
        *out_call = "cuMemsetD16Async";
        return driver->cuMemsetD16Async(target, (unsigned short)pattern, count, stream);
    default:
        *out_call = "cuMemsetD32Async";
        return driver->cuMemsetD32Async(target, pattern, count, stream);
    }
}

/** Has the table of pointers in place for what comes on the stream. */
static segue_status bring_pointers(struct segue_backend_program *program, CUstream stream)
{
    const struct segue_lowering *lowering = &program->lowering;
    if (!segue_pointers_have_changed(program->staging)) {
        if (program->copied == NULL || program->copied_on == stream)
            return SEGUE_OK;
        return segue_cuda_check(lowering->cuda,
                                cuStreamWaitEvent(stream, program->copied, CU_EVENT_WAIT_DEFAULT),
                                "making a queue wait for the table of pointers of command buffer "
                                "\"%s\"",
                                lowering->recording->label);
    }
    segue_status status = segue_pointers_copy(lowering, program->staging, stream);
    if (status == SEGUE_OK && program->copied != NULL)
        status = segue_cuda_check(lowering->cuda, cuEventRecord(program->copied, stream),
                                  "recording that the pointers of command buffer \"%s\" are copied",
                                  lowering->recording->label);
    if (status != SEGUE_OK)
        return status;
    program->copied_on = stream;
    // A one-shot program is only issued again where that has failed, perhaps on another queue,
    // which nothing would have wait for this copy.
    if (program->copied != NULL)
        segue_pointers_settle(program->staging);
    return SEGUE_OK;
}

segue_status segue_cuda_stream_issue(struct segue_backend_program *program, CUstream stream)
{
    const struct segue_lowering *lowering = &program->lowering;
    struct segue_cuda *cuda = lowering->cuda;
    const segue_status status = bring_pointers(program, stream);
    if (status != SEGUE_OK)
        return status;
    for (uint32_t i = 0; i < program->operation_count; i++) {
        const struct segue_operation *operation = &program->operations[i];
        const char *call = NULL;
        const CUresult result = issue(&cuda->driver, operation, stream, &call);
        if (result != CUDA_SUCCESS) {
            char text[DESCRIPTION_BYTES];
            return segue_cuda_raise(
                cuda, result, call, __FILE__, __LINE__, "command buffer \"%s\", %s",
                lowering->recording->label,
                segue_lowering_describe(lowering, operation->segment, text, sizeof(text)));
        }
    }
    return SEGUE_OK;
}
