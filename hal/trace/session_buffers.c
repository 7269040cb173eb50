// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include "content.h"
#include "error.h"

#include <inttypes.h>
#include <stdlib.h>

/** Counts bytes over all buffers of one step. */
struct fill_progress {
    const segue_trace_session *session;
    const char *step;
    uint64_t done_bytes;
    uint64_t total_bytes;
};

static void add_done(void *context, uint64_t length_bytes)
{
    struct fill_progress *progress = context;
    progress->done_bytes += length_bytes;
    segue_session_progress(progress->session, progress->step, progress->done_bytes,
                           progress->total_bytes);
}

static segue_status write_tensor(const segue_trace_session *session, uint32_t tensor,
                                 segue_buffer *target, uint64_t size_bytes,
                                 struct fill_progress *progress)
{
    uint64_t piece_bytes = size_bytes < SEGUE_PIECE_BYTES ? size_bytes : SEGUE_PIECE_BYTES;
    void *piece = malloc((size_t)piece_bytes);
    if (piece == NULL) {
        return segue_trace_fail_memory("buffer contents");
    }
    segue_status status = SEGUE_OK;
    for (uint64_t offset = 0; status == SEGUE_OK && offset < size_bytes;) {
        uint64_t length = size_bytes - offset;
        length = length < piece_bytes ? length : piece_bytes;
        status = segue_trace_read_tensor(session->trace, tensor, offset, piece, (size_t)length);
        if (status == SEGUE_OK) {
            status = segue_buffer_write(target, offset, piece, length);
        }
        offset += length;
        if (status == SEGUE_OK && progress != NULL) {
            add_done(progress, length);
        }
    }
    free(piece);
    return status;
}

/** Writes a content to all of a buffer. @param progress NULL: nobody counts. */
static segue_status write_content(const segue_trace_session *session,
                                  const struct segue_trace_content *content, segue_buffer *target,
                                  uint64_t size_bytes, struct fill_progress *progress)
{
    if (content->tensor != SEGUE_TRACE_NONE) {
        return write_tensor(session, content->tensor, target, size_bytes, progress);
    }
    return segue_buffer_generate(target, &content->generated, progress != NULL ? add_done : NULL,
                                 progress);
}

segue_status segue_session_write_content(const segue_trace_session *session,
                                         const struct segue_trace_content *content,
                                         segue_buffer *target, uint64_t size_bytes)
{
    return write_content(session, content, target, size_bytes, NULL);
}

/** Memory without content is zero; views add theirs to what they are views of. */
static bool is_filled(const struct segue_trace_buffer *buffer, uint32_t index)
{
    return buffer->has_content || buffer->root == index;
}

static segue_status fill(segue_trace_session *session, uint32_t index,
                         struct fill_progress *progress)
{
    static const struct segue_trace_content zero = {.tensor = SEGUE_TRACE_NONE};
    const struct segue_trace_buffer *model = &session->trace->buffers[index];
    if (model->packed != NULL) {
        segue_status status = segue_session_pack(session, model->packed);
        if (status == SEGUE_OK) {
            add_done(progress, model->size_bytes);
        }
        return status;
    }
    return write_content(session, model->has_content ? &model->content : &zero,
                         session->buffers[index], model->size_bytes, progress);
}

/** Whether views add to what the memory holds at first: then only the session knows all of it. */
static bool has_filled_views(const segue_trace *trace, uint32_t root)
{
    for (uint32_t i = 0; i < trace->buffer_count; i++) {
        if (i != root && trace->buffers[i].root == root && trace->buffers[i].has_content) {
            return true;
        }
    }
    return false;
}

/** Offers a constant to the caller. @return whether the caller fills it. */
static bool is_taken(const segue_trace_session *session, uint32_t index)
{
    const segue_trace *trace = session->trace;
    const struct segue_trace_buffer *model = &trace->buffers[index];
    if (session->params.fill == NULL || model->memory != SEGUE_MEMORY_CONSTANT ||
        model->root != index) {
        return false;
    }
    if (model->packed != NULL) {
        struct segue_trace_constant packed;
        segue_trace_session_packing(session, model->packed->index, &packed);
        return session->params.fill(session->params.fill_context, &packed);
    }
    if (!model->has_content || has_filled_views(trace, index)) {
        return false;
    }
    struct segue_trace_constant constant = {
        .buffer = session->buffers[index],
        .name = model->name,
        .size_bytes = model->size_bytes,
        .is_generated = model->content.tensor == SEGUE_TRACE_NONE,
        .content = model->content.generated,
        .fd = -1,
    };
    if (!constant.is_generated) {
        const struct segue_trace_tensor *tensor = &trace->tensors[model->content.tensor];
        const struct segue_trace_file *file = &trace->files[tensor->file];
        constant.fd = file->fd;
        constant.file = file->path;
        constant.offset_bytes = tensor->tensor->offset_bytes;
    }
    return session->params.fill(session->params.fill_context, &constant);
}

/** Fills all buffers, or those that commands write, in order: views after their memory. */
static segue_status fill_buffers(segue_trace_session *session, const char *step, bool only_written)
{
    const segue_trace *trace = session->trace;
    struct fill_progress progress = {.session = session, .step = step};
    for (uint32_t i = 0; i < trace->buffer_count; i++) {
        if (is_filled(&trace->buffers[i], i) && (!only_written || session->written[i])) {
            progress.total_bytes += trace->buffers[i].size_bytes;
        }
    }
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->buffer_count; i++) {
        if (is_filled(&trace->buffers[i], i) && (!only_written || session->written[i]) &&
            (only_written || !is_taken(session, i))) {
            status = fill(session, i, &progress);
        }
    }
    return status;
}

segue_status segue_trace_session_restore(segue_trace_session *session)
{
    return fill_buffers(session, "restore buffers", true);
}

/** Says so before the driver does, with numbers. */
static segue_status check_memory(const segue_trace_session *session)
{
    const segue_trace *trace = session->trace;
    struct segue_device_info info;
    segue_device_get_info(session->device, &info);
    uint64_t total_bytes = 0;
    for (uint32_t i = 0; i < trace->buffer_count; i++) {
        const struct segue_trace_buffer *buffer = &trace->buffers[i];
        if (buffer->root == i && buffer->memory != SEGUE_MEMORY_HOST_VISIBLE) {
            total_bytes += buffer->size_bytes;
        }
    }
    if (info.total_memory_bytes != 0 && total_bytes > info.total_memory_bytes) {
        return segue_trace_fail_on(session->device, SEGUE_OUT_OF_DEVICE_MEMORY,
                                   "%s: its buffers take %" PRIu64 " bytes, %s has %" PRIu64,
                                   trace->path, total_bytes, info.name, info.total_memory_bytes);
    }
    return SEGUE_OK;
}

static segue_status create_buffer(segue_trace_session *session, uint32_t index)
{
    const struct segue_trace_buffer *model = &session->trace->buffers[index];
    if (model->root != index) {
        return segue_buffer_create_view(session->buffers[model->root], model->root_offset_bytes,
                                        model->size_bytes, model->label, &session->buffers[index]);
    }
    const struct segue_buffer_params params = {
        .size_bytes = model->size_bytes,
        .memory = model->memory,
        .usage = model->usage,
        .label = model->label,
    };
    return segue_buffer_create(session->device, &params, &session->buffers[index]);
}

segue_status segue_session_create_buffers(segue_trace_session *session)
{
    segue_status status = check_memory(session);
    for (uint32_t i = 0; status == SEGUE_OK && i < session->trace->buffer_count; i++) {
        status = create_buffer(session, i);
    }
    return status == SEGUE_OK ? fill_buffers(session, "fill buffers", false) : status;
}
