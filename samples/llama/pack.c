// SPDX-License-Identifier: Apache-2.0
#include "pack.h"

#include <stdlib.h>

segue_status llama_pack_load(struct llama_model *model)
{
    struct segue_executable_params params;
    segue_quant_get_pack_kernels(&params);
    const segue_status status = segue_quant_register(model->device);
    return status == SEGUE_OK ? segue_executable_create(model->device, &params, &model->packer)
                              : status;
}

void llama_pack_unload(struct llama_model *model)
{
    for (uint32_t i = 0; i < model->gemv_count; i++)
        segue_quant_gemv_destroy(&model->gemvs[i]);
    segue_executable_destroy(model->packer);
    free(model->packed);
}

segue_status llama_pack_add(struct llama_model *model, const struct llama_packed *packed,
                            uint32_t *out_index)
{
    struct llama_packed *grown =
        realloc(model->packed, ((size_t)model->packed_count + 1) * sizeof(*grown));
    if (!grown)
        return SEGUE_OUT_OF_HOST_MEMORY;
    model->packed = grown;
    grown[model->packed_count] = *packed;
    *out_index = model->packed_count++;
    return SEGUE_OK;
}

segue_status llama_pack_find_gemv(struct llama_model *model, const struct llama_linear *linear,
                                  uint32_t *out_index)
{
    // Logits and the residual stream are not rounded.
    const enum segue_quant_type result_type =
        linear->rows == LLAMA_VOCABULARY || (linear->flags & SEGUE_QUANT_RESIDUAL)
            ? SEGUE_QUANT_F32
            : SEGUE_QUANT_BF16;
    for (uint32_t i = 0; i < model->gemv_count; i++) {
        const struct segue_quant_gemv_constants *constants = &model->gemvs[i].constants;
        if (constants->rows == linear->rows && constants->columns == linear->columns &&
            constants->flags == linear->flags && constants->result_type == (uint32_t)result_type) {
            *out_index = i;
            return SEGUE_OK;
        }
    }
    if (model->gemv_count == LLAMA_MAX_GEMVS)
        return SEGUE_UNIMPLEMENTED;
    const struct segue_quant_gemv_params params = {
        .matrix = model->packed[linear->packed].matrix,
        .batch = 1,
        .activation_type = SEGUE_QUANT_BF16,
        .result_type = result_type,
        .flags = linear->flags,
        .epsilon = LLAMA_EPSILON,
        .heads = {.heads = model->config.shape->heads,
                  .kv_heads = model->config.shape->kv_heads,
                  .capacity = model->capacity},
    };
    const segue_status status =
        segue_quant_gemv_create(model->device, &params, &model->gemvs[model->gemv_count]);
    if (status == SEGUE_OK)
        *out_index = model->gemv_count++;
    return status;
}

/** A command buffer that packs, in which `sources` are bound. */
static segue_status record(const struct llama_model *model, const struct llama_packed *packed,
                           const struct segue_quant_pack_buffers *buffers,
                           segue_command_buffer **out_command_buffer)
{
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_STREAM,
        .flags = SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS,
        .label = "pack",
    };
    const struct segue_quant_rows rows = {.count = packed->matrix.rows};
    segue_command_buffer *command_buffer = NULL;
    segue_status status = segue_command_buffer_create(model->device, &params, &command_buffer);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(command_buffer);
    if (status == SEGUE_OK)
        status =
            segue_quant_cmd_pack(command_buffer, model->packer, &packed->matrix, rows, buffers);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(command_buffer);
    if (status != SEGUE_OK) {
        segue_command_buffer_destroy(command_buffer);
        return status;
    }
    *out_command_buffer = command_buffer;
    return SEGUE_OK;
}

static segue_status submit(const struct llama_model *model, segue_command_buffer *command_buffer)
{
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    segue_queue *queue = NULL;
    segue_status status = segue_queue_create(model->device, NULL, &queue);
    if (status == SEGUE_OK)
        status = segue_queue_submit(queue, &submission);
    if (status == SEGUE_OK)
        status = segue_queue_wait_idle(queue);
    segue_queue_destroy(queue);
    return status;
}

/** Device memory with a generated content. */
static segue_status make_source(const struct llama_model *model, uint64_t size_bytes,
                                const struct segue_content *content, segue_buffer **out_buffer)
{
    const struct segue_buffer_params params = {.size_bytes = size_bytes, .label = "pack source"};
    const segue_status status = segue_buffer_create(model->device, &params, out_buffer);
    return status == SEGUE_OK ? segue_buffer_write_content(*out_buffer, content) : status;
}

segue_status llama_pack_run(const struct llama_model *model, const struct llama_tensor *tensor)
{
    const struct llama_packed *packed = &model->packed[tensor->packed];
    struct segue_quant_plain_sizes sizes;
    segue_quant_get_plain_sizes(&packed->matrix, packed->matrix.rows, &sizes);
    segue_buffer *weights = NULL, *scales = NULL;
    segue_command_buffer *command_buffer = NULL;
    segue_status status = make_source(model, sizes.weights_bytes, &packed->weights, &weights);
    if (status == SEGUE_OK)
        status = make_source(model, sizes.scales_bytes, &packed->scales, &scales);
    const struct segue_quant_pack_buffers buffers = {
        .weights = {.buffer = weights, .length_bytes = SEGUE_WHOLE_SIZE},
        .scales = {.buffer = scales, .length_bytes = SEGUE_WHOLE_SIZE},
        .packed = {.buffer = tensor->buffer,
                   .length_bytes = segue_quant_packed_size_bytes(&packed->matrix)},
    };
    if (status == SEGUE_OK)
        status = record(model, packed, &buffers, &command_buffer);
    if (status == SEGUE_OK)
        status = submit(model, command_buffer);
    segue_command_buffer_destroy(command_buffer);
    segue_buffer_destroy(scales);
    segue_buffer_destroy(weights);
    return status;
}

segue_status llama_pack_write(const struct llama_model *model, segue_trace_writer *writer,
                              const struct llama_tensor *tensor)
{
    const struct llama_packed *packed = &model->packed[tensor->packed];
    // Small, of all formats the same, with rows and columns beyond a tile and a block.
    struct segue_quant_matrix probe = packed->matrix;
    probe.rows = probe.pair_stride != 0 ? 32 : 24;
    probe.columns = 160;
    if (probe.pair_stride != 0)
        probe.pair_stride = 16;
    struct segue_quant_plain_sizes sizes, probe_sizes;
    struct segue_quant_pack_constants constants, probe_constants;
    struct segue_trace_packing packing = {
        .layout_id = SEGUE_QUANT_LAYOUT_NUMBER,
        .layout_version = SEGUE_QUANT_LAYOUT_VERSION,
        .probe_output_bytes = segue_quant_packed_size_bytes(&probe),
    };
    segue_status status =
        segue_quant_get_pack_dispatch(&packed->matrix, &constants, &packing.dispatch);
    if (status == SEGUE_OK)
        status = segue_quant_get_pack_dispatch(&probe, &probe_constants, &packing.probe);
    if (status != SEGUE_OK)
        return status;
    segue_quant_get_plain_sizes(&packed->matrix, packed->matrix.rows, &sizes);
    segue_quant_get_plain_sizes(&probe, probe.rows, &probe_sizes);
    const struct segue_trace_packing_source sources[] = {
        {.size_bytes = sizes.weights_bytes, .is_generated = true, .content = packed->weights},
        {.size_bytes = sizes.scales_bytes, .is_generated = true, .content = packed->scales},
    };
    const uint64_t probe_input_bytes[] = {probe_sizes.weights_bytes, probe_sizes.scales_bytes};
    packing.sources = sources;
    packing.source_count = 2;
    packing.dispatch.executable = model->packer;
    packing.probe.executable = model->packer;
    packing.probe_input_bytes = probe_input_bytes;
    return segue_trace_writer_set_packing(writer, tensor->buffer, &packing);
}
