// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include "command_buffer.h"
#include "cuda_backend.h"

#include <inttypes.h>
#include <string.h>

/** Lays all inline data of a recording end to end, as segue_update_segment
 * describes. */
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

segue_status segue_stage_acquire(struct segue_lowering *lowering,
                                 struct segue_staging_block **out_block)
{
    const uint64_t size_bytes = segue_stage_bytes(lowering->recording);
    *out_block = NULL;
    if (size_bytes == 0)
        return SEGUE_OK;
    return segue_staging_acquire(lowering->cuda, size_bytes, out_block);
}

uint64_t segue_stage_bytes(const struct segue_recording *recording)
{
    return segue_pointers_bytes(recording) + recording->inline_data_bytes;
}

void segue_stage_use(struct segue_lowering *lowering, const struct segue_staging_block *block)
{
    if (block == NULL)
        return;
    lowering->pointers_address = block->address;
    lowering->staging_address = block->address + segue_pointers_bytes(lowering->recording);
}

segue_status segue_stage_fill(struct segue_lowering *lowering, struct segue_staging_block *block)
{
    if (block == NULL)
        return SEGUE_OK;
    segue_stage_use(lowering, block);
    const segue_status status =
        lowering->recording->inline_data_bytes != 0 ? segue_stage_data(lowering) : SEGUE_OK;
    return status == SEGUE_OK ? segue_pointers_lay_out(lowering, block) : status;
}

segue_status segue_stage_data(struct segue_lowering *lowering)
{
    const struct segue_recording *recording = lowering->recording;
    struct segue_cuda *cuda = lowering->cuda;
    const struct segue_allocator *allocator = segue_cuda_allocator(cuda);
    const uint64_t size_bytes = recording->inline_data_bytes;
    unsigned char *data = segue_allocate_zeroed(allocator, 1, size_bytes);
    if (data == NULL)
        return segue_fail(cuda->base.device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for the %" PRIu64
                          " bytes of inline data of command buffer \"%s\"",
                          size_bytes, recording->label);
    gather_inline_data(recording, data);
    const segue_status status =
        segue_cuda_upload(cuda, lowering->staging_address, data, size_bytes);
    segue_release(allocator, data, size_bytes);
    return status;
}

/** Makes the operations of a stream, with inline data staged. The context is
 * current. */
static segue_status make_stream(struct segue_backend_program *program,
                                const struct segue_plan *plan,
                                struct segue_command_buffer_stats *stats)
{
    struct segue_lowering *lowering = &program->lowering;
    const uint64_t start_ns = segue_now_ns();
    segue_status status = segue_stage_acquire(lowering, &program->staging);
    if (status == SEGUE_OK)
        status = segue_stage_fill(lowering, program->staging);
    if (status == SEGUE_OK)
        status = segue_cuda_stream_create_event(program);
    if (status == SEGUE_OK)
        status = segue_cuda_stream_prepare(program, plan);
    if (status != SEGUE_OK) {
        segue_cuda_stream_finish(program, true);
        segue_staging_release(lowering->cuda, program->staging, true);
        return status;
    }
    stats->node_count = 0;
    stats->edge_count = 0;
    stats->build_ns = segue_now_ns() - start_ns;
    stats->instantiate_ns = 0;
    stats->upload_ns = 0;
    return SEGUE_OK;
}

/** What of a request the graph depends on, its recording aside. */
static struct segue_variant variant_of(const struct segue_program_request *request)
{
    return (struct segue_variant){
        .order_seed = request->order_seed,
        .flags = request->recording->flags &
                 (SEGUE_COMMAND_BUFFER_BARRIER_ORDER | SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT),
        .bound_count = segue_exec_content_bound_count(request->recording),
        .aliases = request->aliases,
    };
}

/** Finds or makes the executable graph. The context is current. */
static segue_status make_graph(struct segue_backend_program *program,
                               const struct segue_program_request *request,
                               struct segue_command_buffer_stats *stats)
{
    if (request->plan->node_count == 0) {
        stats->node_count = stats->edge_count = 0;
        stats->build_ns = stats->instantiate_ns = stats->upload_ns = 0;
        return SEGUE_OK;
    }
    return segue_exec_cache_obtain(&program->lowering, request->plan, variant_of(request), stats,
                                   &program->exec);
}

/** A program without content. */
static segue_status create_shell(struct segue_cuda *cuda,
                                 const struct segue_program_request *request,
                                 struct segue_backend_program **out_program)
{
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
    *out_program = program;
    return SEGUE_OK;
}

static void free_shell(struct segue_cuda *cuda, struct segue_backend_program *program)
{
    segue_arena_finish(&program->lowering.arena);
    segue_release(segue_cuda_allocator(cuda), program, sizeof(*program));
}

/** The table is the caller's and not valid after this; the driver copied every
 * parameter. */
static void settle(struct segue_backend_program *program)
{
    program->lowering.table = NULL;
    if (program->mode == SEGUE_EXECUTION_GRAPH)
        segue_arena_finish(&program->lowering.arena);
}

segue_status segue_cuda_program_reuse(struct segue_backend *backend,
                                      const struct segue_program_request *request,
                                      struct segue_command_buffer_stats *stats,
                                      struct segue_reuse *out_reuse,
                                      struct segue_backend_program **out_program)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    struct segue_backend_program *program = NULL;
    *out_program = NULL;
    segue_status status = create_shell(cuda, request, &program);
    if (status != SEGUE_OK)
        return status;
    status = segue_exec_cache_recognise(&program->lowering, variant_of(request), stats, out_reuse,
                                        &program->exec);
    if (status == SEGUE_OK && program->exec == NULL && request->is_one_shot)
        out_reuse->is_known = segue_exec_cache_remember(&program->lowering, variant_of(request));
    if (status != SEGUE_OK || program->exec == NULL) {
        free_shell(cuda, program);
        return status;
    }
    settle(program);
    *out_program = program;
    return SEGUE_OK;
}

segue_status segue_cuda_program_rebind(struct segue_backend *backend,
                                       struct segue_backend_program *program,
                                       const struct segue_program_request *request,
                                       struct segue_command_buffer_stats *stats, bool *out_rebound)
{
    (void)backend;
    program->lowering.table = request->table;
    const segue_status status = program->mode == SEGUE_EXECUTION_GRAPH
                                    ? segue_exec_rebind(program, stats, out_rebound)
                                    : segue_cuda_stream_rebind(program, out_rebound);
    settle(program);
    return status;
}

segue_status segue_cuda_program_create(struct segue_backend *backend,
                                       const struct segue_program_request *request,
                                       struct segue_command_buffer_stats *stats,
                                       struct segue_backend_program **out_program)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    struct segue_command_buffer_stats made = *stats;
    struct segue_backend_program *program = NULL;
    segue_status status = create_shell(cuda, request, &program);
    if (status != SEGUE_OK)
        return status;
    status = segue_cuda_enter(cuda);
    if (status == SEGUE_OK) {
        status = request->mode == SEGUE_EXECUTION_GRAPH
                     ? make_graph(program, request, &made)
                     : make_stream(program, request->plan, &made);
        segue_cuda_leave(cuda);
    }
    if (status != SEGUE_OK) {
        free_shell(cuda, program);
        return status;
    }
    settle(program);
    *stats = made;
    *out_program = program;
    return SEGUE_OK;
}

void segue_cuda_program_retire(struct segue_backend *backend, struct segue_backend_program *program)
{
    if (segue_exec_cache_lend(segue_cuda_of(backend), program->exec)) {
        program->exec = NULL;
        program->has_lent = true;
    }
}

void segue_cuda_program_destroy(struct segue_backend *backend,
                                struct segue_backend_program *program)
{
    struct segue_cuda *cuda = segue_cuda_of(backend);
    if (program == NULL)
        return;
    if (program->has_lent)
        segue_exec_cache_keep_budget(cuda);
    else
        segue_exec_cache_release(cuda, program->exec);
    if (program->staging != NULL) {
        const bool has_context = segue_cuda_enter_cleanup(cuda);
        segue_cuda_stream_finish(program, has_context);
        segue_staging_release(cuda, program->staging, has_context);
        if (has_context)
            segue_cuda_leave(cuda);
    } else {
        segue_cuda_stream_finish(program, false);
    }
    free_shell(cuda, program);
}

const uint8_t *segue_cuda_program_node_types(struct segue_backend *backend,
                                             const struct segue_backend_program *program)
{
    (void)backend;
    return program->exec != NULL ? program->exec->structure->graph.node_types : NULL;
}

struct segue_cuda_exec *segue_cuda_program_exec(const struct segue_backend_program *program)
{
    return program->exec;
}

static segue_status launch_graph(struct segue_cuda *cuda, struct segue_backend_program *program,
                                 CUstream stream)
{
    struct segue_cuda_exec *exec = program->exec;
    if (exec == NULL)
        return SEGUE_OK;
    const bool has_changed = segue_pointers_have_changed(exec->staging);
    segue_status status =
        has_changed ? segue_pointers_copy(&program->lowering, exec->staging, stream) : SEGUE_OK;
    if (status == SEGUE_OK)
        status = segue_cuda_check(cuda, cuGraphLaunch(exec->handle, stream),
                                  "launching the graph of command buffer \"%s\"",
                                  program->lowering.recording->label);
    // Launches of one graph follow one another on all queues, so later ones are behind the copy.
    if (status == SEGUE_OK && has_changed)
        segue_pointers_settle(exec->staging);
    return status;
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
