// SPDX-License-Identifier: Apache-2.0
#include "record.h"

#include <stdio.h>

#define MAX_BINDINGS 8

static uint32_t blocks(uint32_t count, uint32_t per_block)
{
    return (count + per_block - 1) / per_block;
}

void llama_record_barrier(struct llama_recorder *recorder)
{
    if (recorder->status == SEGUE_OK)
        recorder->status = segue_cmd_barrier(recorder->command_buffer, NULL);
}

static void begin_group(struct llama_recorder *recorder, const char *label)
{
    if (recorder->status == SEGUE_OK)
        recorder->status = segue_cmd_begin_group(recorder->command_buffer, label);
}

static void end_group(struct llama_recorder *recorder)
{
    if (recorder->status == SEGUE_OK)
        recorder->status = segue_cmd_end_group(recorder->command_buffer);
}

struct segue_buffer_ref llama_whole(const struct llama_model *model, uint32_t tensor)
{
    return (struct segue_buffer_ref){.buffer = llama_model_buffer(model, tensor),
                                     .length_bytes = SEGUE_WHOLE_SIZE};
}

void llama_record_dispatch(struct llama_recorder *recorder, enum segue_decode_kernel kernel,
                           uint32_t grid, const uint32_t *tensors, uint32_t tensor_count,
                           const void *constants, uint32_t constants_size_bytes)
{
    if (recorder->status != SEGUE_OK)
        return;
    struct segue_buffer_ref bindings[MAX_BINDINGS];
    for (uint32_t i = 0; i < tensor_count; i++)
        bindings[i] = llama_whole(recorder->model, tensors[i]);
    const struct segue_dispatch command = {
        .executable = recorder->model->executable,
        .entry_point = (uint32_t)kernel,
        .grid = {grid, 1, 1},
        .bindings = bindings,
        .binding_count = tensor_count,
        .constants = constants,
        .constants_size_bytes = constants_size_bytes,
    };
    recorder->status = segue_cmd_dispatch(recorder->command_buffer, &command);
}

static void rms_norm(struct llama_recorder *recorder, uint32_t weight)
{
    const struct llama_model *model = recorder->model;
    const struct segue_rms_norm_constants constants = {.count = model->config.shape->hidden,
                                                       .epsilon = LLAMA_EPSILON};
    LLAMA_DISPATCH(recorder, SEGUE_DECODE_RMS_NORM, 1, constants, model->hidden, weight,
                   model->normed);
}

static void linear(struct llama_recorder *recorder, const struct llama_linear *layer, uint32_t from,
                   uint32_t to)
{
    const struct llama_model *model = recorder->model;
    if (layer->packed != LLAMA_NONE) {
        const struct segue_quant_gemv_buffers buffers = {.x = llama_whole(model, from),
                                                         .packed =
                                                             llama_whole(model, layer->weights),
                                                         .out = llama_whole(model, to)};
        if (recorder->status == SEGUE_OK)
            recorder->status = segue_quant_cmd_gemv(recorder->command_buffer,
                                                    &model->gemvs[layer->gemv], &buffers);
        return;
    }
    const struct segue_linear_int4_constants constants = {.rows = layer->rows,
                                                          .columns = layer->columns};
    const enum segue_decode_kernel kernel =
        to == model->logits ? SEGUE_DECODE_LINEAR_INT4_F32 : SEGUE_DECODE_LINEAR_INT4;
    LLAMA_DISPATCH(recorder, kernel, blocks(layer->rows, 8), constants, from, layer->weights,
                   layer->scales, to);
}

static void residual_add(struct llama_recorder *recorder)
{
    const struct llama_model *model = recorder->model;
    const uint32_t count = model->config.shape->hidden;
    LLAMA_DISPATCH(recorder, SEGUE_DECODE_RESIDUAL_ADD, blocks(count, 1024), count, model->hidden,
                   model->projected);
}

static void rope_and_cache(struct llama_recorder *recorder, const struct llama_layer *layer)
{
    const struct llama_model *model = recorder->model;
    const struct llama_shape *shape = model->config.shape;
    const struct segue_rope_kv_constants constants = {
        .heads = shape->heads,
        .kv_heads = shape->kv_heads,
        .head_size = shape->head_size,
        .capacity = model->capacity,
    };
    const uint32_t pairs = (shape->heads + shape->kv_heads) * shape->head_size / 2;
    LLAMA_DISPATCH(recorder, SEGUE_DECODE_ROPE_KV, blocks(pairs, 128), constants, model->q,
                   model->k, model->v, model->frequencies, model->position, layer->k_cache,
                   layer->v_cache);
}

void llama_record_attend(struct llama_recorder *recorder, const struct llama_layer *layer)
{
    const struct llama_model *model = recorder->model;
    const struct segue_gqa_decode *attention = &model->attention;
    LLAMA_DISPATCH(recorder, attention->kernel, attention->sizes.grid, attention->constants,
                   model->q, layer->k_cache, layer->v_cache, model->position, model->attended,
                   model->arrived, model->partials);
}

static void record_attention(struct llama_recorder *recorder, const struct llama_layer *layer)
{
    const struct llama_model *model = recorder->model;
    if (model->config.fused) {
        llama_record_fused_attention(recorder, layer);
        return;
    }
    rms_norm(recorder, layer->attention_norm);
    llama_record_barrier(recorder);
    linear(recorder, &layer->q, model->normed, model->q);
    linear(recorder, &layer->k, model->normed, model->k);
    linear(recorder, &layer->v, model->normed, model->v);
    llama_record_barrier(recorder);
    rope_and_cache(recorder, layer);
    llama_record_barrier(recorder);
    llama_record_attend(recorder, layer);
    llama_record_barrier(recorder);
    linear(recorder, &layer->o, model->attended, model->projected);
    llama_record_barrier(recorder);
    residual_add(recorder);
    llama_record_barrier(recorder);
}

static void record_mlp(struct llama_recorder *recorder, const struct llama_layer *layer)
{
    const struct llama_model *model = recorder->model;
    const uint32_t ffn = model->config.shape->ffn;
    if (model->config.fused) {
        llama_record_fused_mlp(recorder, layer);
        return;
    }
    rms_norm(recorder, layer->mlp_norm);
    llama_record_barrier(recorder);
    linear(recorder, &layer->gate, model->normed, model->gate);
    linear(recorder, &layer->up, model->normed, model->up);
    llama_record_barrier(recorder);
    LLAMA_DISPATCH(recorder, SEGUE_DECODE_SILU_MUL, blocks(ffn, 1024), ffn, model->gate, model->up,
                   model->activated);
    llama_record_barrier(recorder);
    linear(recorder, &layer->down, model->activated, model->projected);
    llama_record_barrier(recorder);
    residual_add(recorder);
    llama_record_barrier(recorder);
}

static void record_embedding(struct llama_recorder *recorder)
{
    const struct llama_model *model = recorder->model;
    if (model->config.left_out & LLAMA_PART_EMBEDDING)
        return;
    const struct segue_embed_int4_constants constants = {.vocabulary = model->embedding.rows,
                                                         .hidden = model->embedding.columns};
    LLAMA_DISPATCH(recorder, SEGUE_DECODE_EMBED_INT4, blocks(constants.hidden, 2048), constants,
                   model->token, model->embedding.weights, model->embedding.scales, model->hidden);
    llama_record_barrier(recorder);
}

static void record_head(struct llama_recorder *recorder)
{
    const struct llama_model *model = recorder->model;
    const uint32_t vocabulary = model->head.rows;
    if (model->config.fused) {
        llama_record_fused_head(recorder);
        return;
    }
    rms_norm(recorder, model->final_norm);
    llama_record_barrier(recorder);
    linear(recorder, &model->head, model->normed, model->logits);
    llama_record_barrier(recorder);
    LLAMA_DISPATCH(recorder, SEGUE_DECODE_ARGMAX, blocks(vocabulary, 2048), vocabulary,
                   model->logits, model->next_token, model->argmax_state);
}

static void record_step(struct llama_recorder *recorder)
{
    const struct llama_model *model = recorder->model;
    begin_group(recorder, "embedding");
    record_embedding(recorder);
    end_group(recorder);
    for (uint32_t i = 0; i < model->config.layers; i++) {
        char label[24];
        snprintf(label, sizeof(label), "layer%u", i);
        begin_group(recorder, label);
        begin_group(recorder, "attention");
        record_attention(recorder, &model->layers[i]);
        end_group(recorder);
        begin_group(recorder, "mlp");
        record_mlp(recorder, &model->layers[i]);
        end_group(recorder);
        end_group(recorder);
    }
    begin_group(recorder, "head");
    record_head(recorder);
    end_group(recorder);
}

segue_status llama_step_record(const struct llama_model *model, enum segue_execution_mode mode,
                               segue_command_buffer **out_command_buffer)
{
    struct llama_recorder recorder = {.model = model};
    const struct segue_command_buffer_params params = {.mode = mode, .label = "step"};
    segue_status status =
        segue_command_buffer_create(model->device, &params, &recorder.command_buffer);
    if (status != SEGUE_OK)
        return status;
    recorder.status = segue_command_buffer_begin(recorder.command_buffer);
    record_step(&recorder);
    status = recorder.status;
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(recorder.command_buffer);
    if (status != SEGUE_OK) {
        segue_command_buffer_destroy(recorder.command_buffer);
        return status;
    }
    *out_command_buffer = recorder.command_buffer;
    return SEGUE_OK;
}
