// SPDX-License-Identifier: Apache-2.0
#include "trace.h"

#include "pack.h"

static segue_status set_contents(segue_trace_writer *writer, const struct llama_model *model)
{
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        const struct llama_tensor *tensor = &model->tensors[i];
        if (tensor->data)
            continue;
        const segue_status status =
            tensor->packed != LLAMA_NONE
                ? llama_pack_write(model, writer, tensor)
                : segue_trace_writer_set_content(writer, tensor->buffer, &tensor->content);
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

static segue_status expect(segue_trace_writer *writer, const struct llama_model *model,
                           const struct llama_result *expected)
{
    const struct segue_expectation logits = {
        .range = {.buffer = llama_model_buffer(model, model->logits),
                  .length_bytes = sizeof(expected->logits)},
        .dtype = SEGUE_DTYPE_F32,
        .data = expected->logits,
        .relative_tolerance = LLAMA_LOGITS_TOLERANCE,
        .name = "logits",
    };
    const struct segue_expectation token = {
        .range = {.buffer = llama_model_buffer(model, model->next_token),
                  .length_bytes = sizeof(expected->token)},
        .dtype = SEGUE_DTYPE_U32,
        .data = &expected->token,
        .name = "token",
    };
    const segue_status status = segue_trace_writer_expect(writer, &logits);
    if (status != SEGUE_OK)
        return status;
    return segue_trace_writer_expect(writer, &token);
}

segue_status llama_trace_write(const struct llama_model *model,
                               segue_command_buffer *command_buffer,
                               const struct llama_result *expected, const char *path)
{
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    segue_trace_writer *writer = NULL;
    segue_status status = segue_trace_writer_create(model->device, path, &writer);
    if (status != SEGUE_OK)
        return status;
    status = llama_model_rewind(model);
    if (status == SEGUE_OK)
        status = set_contents(writer, model);
    for (uint32_t i = 0; i < model->config.tokens && status == SEGUE_OK; i++)
        status = segue_trace_writer_add_submission(writer, &submission);
    if (status == SEGUE_OK && expected)
        status = expect(writer, model, expected);
    if (status == SEGUE_OK)
        status = segue_trace_writer_finish(writer);
    segue_trace_writer_destroy(writer);
    return status;
}
