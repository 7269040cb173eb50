// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include "command_buffer.h"
#include "cuda_backend.h"

#include <inttypes.h>
#include <string.h>

/** Lays all inline data of a recording end to end, as segue_update_segment describes. */
static void gather_inline_data(const struct segue_recording *recording, unsigned char *data)
{
    for (const struct segue_segment *segment = recording->first; segment != NULL;
         segment = segment->next) {
        if (segment->kind != SEGUE_COMMAND_UPDATE || segment->is_empty)
            continue;
        const struct segue_update_segment *update = (const struct segue_update_segment *)segment;
        memcpy(data + update->staging_offset_bytes, update->data, update->target.length_bytes);
    }
}

/** Copies the recording's inline data to the device, once, so that running the program only copies
 *  on the device. */
static segue_status stage_inline_data(struct segue_cuda *cuda,
                                      const struct segue_recording *recording,
                                      struct segue_staging_block **out_block)
{
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    const uint64_t size_bytes = recording->inline_data_bytes;
    if (size_bytes == 0) {
        *out_block = NULL;
        return SEGUE_OK;
    }
    unsigned char *data = segue_allocate_zeroed(allocator, 1, size_bytes);
    if (data == NULL)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for the %" PRIu64
                          " bytes of inline data of command buffer \"%s\"",
                          size_bytes, recording->label);
    gather_inline_data(recording, data);
    struct segue_staging_block *block = NULL;
    segue_status status = segue_staging_acquire(cuda, size_bytes, &block);
    if (status != SEGUE_OK)
        goto fail_data;
    status = segue_cuda_upload(cuda, block->address, data, size_bytes);
    if (status != SEGUE_OK)
        goto fail_block;
    segue_release(allocator, data, size_bytes);
    *out_block = block;
    return SEGUE_OK;

fail_block:
    segue_staging_release(cuda, block, true);
fail_data:
    segue_release(allocator, data, size_bytes);
    return status;
}

/** Makes the program's content. The context is current. */
static segue_status fill_in(struct segue_cuda *cuda, const struct segue_program_request *request,
                            struct segue_command_buffer_stats *stats,
                            struct segue_backend_program *program)
{
    const uint64_t start_ns = segue_now_ns();
    segue_status status = stage_inline_data(cuda, request->recording, &program->staging);
    if (status != SEGUE_OK)
        return status;
    uint64_t stage_ns = 0;
    if (program->staging != NULL) {
        program->lowering.staging_address = program->staging->address;
        stage_ns = segue_now_ns() - start_ns;
    }
    struct segue_command_buffer_stats made = *stats;
    if (request->mode == SEGUE_EXECUTION_GRAPH) {
        status = segue_cuda_graph_create(&program->lowering, request->plan, &made, &program->graph);
        // The driver copied every parameter when the nodes were added.
        segue_arena_finish(&program->lowering.arena);
        made.build_ns += stage_ns;
    } else {
        status = segue_cuda_stream_prepare(program, request->plan);
        made.node_count = 0;
        made.edge_count = 0;
        made.build_ns = segue_now_ns() - start_ns;
        made.instantiate_ns = 0;
        made.upload_ns = 0;
    }
    if (status == SEGUE_OK)
        *stats = made;
    else
        segue_staging_release(cuda, program->staging, true);
    return status;
}

segue_status segue_cuda_program_create(struct segue_backend *backend,
                                       const struct segue_program_request *request,
                                       struct segue_command_buffer_stats *stats,
                                       struct segue_backend_program **out_program)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    struct segue_backend_program *program = segue_allocate_zeroed(allocator, 1, sizeof(*program));
    if (program == NULL)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for running command buffer \"%s\"",
                          request->recording->label);
    program->mode = request->mode;
    program->lowering.cuda = cuda;
    program->lowering.mode = request->mode;
    program->lowering.recording = request->recording;
    program->lowering.table = request->table;
    segue_arena_init(&program->lowering.arena, allocator);
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        goto fail_enter;
    status = fill_in(cuda, request, stats, program);
    segue_cuda_leave(cuda);
    if (status != SEGUE_OK)
        goto fail_enter;
    // The table is the caller's and not valid after this.
    program->lowering.table = NULL;
    *out_program = program;
    return SEGUE_OK;

fail_enter:
    segue_arena_finish(&program->lowering.arena);
    segue_release(allocator, program, sizeof(*program));
    return status;
}

void segue_cuda_program_destroy(struct segue_backend *backend,
                                struct segue_backend_program *program)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    if (program == NULL)
        return;
    const bool has_context = segue_cuda_enter_cleanup(cuda);
    segue_cuda_graph_destroy(cuda, &program->graph, has_context);
    segue_cuda_stream_finish(program);
    segue_staging_release(cuda, program->staging, has_context);
    if (has_context)
        segue_cuda_leave(cuda);
    segue_arena_finish(&program->lowering.arena);
    segue_release(segue_cuda_allocator(cuda), program, sizeof(*program));
}

const uint8_t *segue_cuda_program_node_types(struct segue_backend *backend,
                                             const struct segue_backend_program *program)
{
    (void)backend;
    return program->graph.node_types;
}

static segue_status launch_graph(struct segue_cuda *cuda, struct segue_backend_program *program,
                                 CUstream stream)
{
    if (program->graph.exec == NULL)
        return SEGUE_OK;
    return segue_cuda_check(cuda, cuGraphLaunch(program->graph.exec, stream),
                            "launching the graph of command buffer \"%s\"",
                            program->lowering.recording->label);
}

segue_status segue_cuda_queue_run(struct segue_backend *backend, struct segue_backend_queue *queue,
                                  struct segue_backend_program *program)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    segue_status status = segue_cuda_enter(cuda);
    if (status != SEGUE_OK)
        return status;
    status = program->mode == SEGUE_EXECUTION_GRAPH
                 ? launch_graph(cuda, program, queue->stream)
                 : segue_cuda_stream_issue(program, queue->stream);
    segue_cuda_leave(cuda);
    return status;
}
