// SPDX-License-Identifier: Apache-2.0
/**
 * @file record.h
 * What the recordings of a step, stage by stage and fused, share.
 */
#ifndef SEGUE_LLAMA_RECORD_H
#define SEGUE_LLAMA_RECORD_H

#include "step.h"

/** Records until a command fails. */
struct llama_recorder {
    const struct llama_model *model;
    segue_command_buffer *command_buffer;
    segue_status status;
};

/** All of a tensor. */
struct segue_buffer_ref llama_whole(const struct llama_model *model, uint32_t tensor);

/** Everything after it waits for everything before it. */
void llama_record_barrier(struct llama_recorder *recorder);

/** @param tensors  the bindings: indices of tensors, all of each. */
void llama_record_dispatch(struct llama_recorder *recorder, enum segue_decode_kernel kernel,
                           uint32_t grid, const uint32_t *tensors, uint32_t tensor_count,
                           const void *constants, uint32_t constants_size_bytes);

#define LLAMA_DISPATCH(recorder, kernel, grid, constants, ...)                        \
    llama_record_dispatch(recorder, kernel, grid, (const uint32_t[]){__VA_ARGS__},    \
                          sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), \
                          &(constants), sizeof(constants))

/** Attention over the caches of a layer, from model->q to model->attended. */
void llama_record_attend(struct llama_recorder *recorder, const struct llama_layer *layer);

/** One layer of a model with config.fused, from model->hidden to there. */
void llama_record_fused_attention(struct llama_recorder *recorder, const struct llama_layer *layer);
/** Its second half. */
void llama_record_fused_mlp(struct llama_recorder *recorder, const struct llama_layer *layer);
/** From model->hidden to the results. */
void llama_record_fused_head(struct llama_recorder *recorder);

#endif // SEGUE_LLAMA_RECORD_H
