// SPDX-License-Identifier: Apache-2.0
// The step with everything in the products that can be: a layer is five nodes.
#include "record.h"

static bool leaves_out(const struct llama_recorder *recorder, enum llama_part part)
{
    return (recorder->model->config.left_out & part) != 0;
}

/** Records a product from x to out, with what `buffers` has besides. */
static void product(struct llama_recorder *recorder, enum llama_part part,
                    const struct llama_linear *linear, uint32_t x, uint32_t out,
                    struct segue_quant_gemv_buffers buffers)
{
    const struct llama_model *model = recorder->model;
    if (recorder->status != SEGUE_OK || leaves_out(recorder, part))
        return;
    buffers.x = llama_whole(model, x);
    buffers.packed = llama_whole(model, linear->weights);
    buffers.out = llama_whole(model, out);
    recorder->status =
        segue_quant_cmd_gemv(recorder->command_buffer, &model->gemvs[linear->gemv], &buffers);
    llama_record_barrier(recorder);
}

void llama_record_fused_attention(struct llama_recorder *recorder, const struct llama_layer *layer)
{
    const struct llama_model *model = recorder->model;
    product(recorder, LLAMA_PART_QKV, &layer->q, model->hidden, model->q,
            (struct segue_quant_gemv_buffers){
                .norm = llama_whole(model, layer->attention_norm),
                .frequencies = llama_whole(model, model->frequencies),
                .position = llama_whole(model, model->position),
                .k_cache = llama_whole(model, layer->k_cache),
                .v_cache = llama_whole(model, layer->v_cache),
            });
    if (!leaves_out(recorder, LLAMA_PART_ATTENTION)) {
        llama_record_attend(recorder, layer);
        llama_record_barrier(recorder);
    }
    product(recorder, LLAMA_PART_O, &layer->o, model->attended, model->hidden,
            (struct segue_quant_gemv_buffers){.residual = llama_whole(model, model->hidden)});
}

void llama_record_fused_mlp(struct llama_recorder *recorder, const struct llama_layer *layer)
{
    const struct llama_model *model = recorder->model;
    product(recorder, LLAMA_PART_GATE_UP, &layer->gate, model->hidden, model->activated,
            (struct segue_quant_gemv_buffers){.norm = llama_whole(model, layer->mlp_norm)});
    product(recorder, LLAMA_PART_DOWN, &layer->down, model->activated, model->hidden,
            (struct segue_quant_gemv_buffers){.residual = llama_whole(model, model->hidden)});
}

void llama_record_fused_head(struct llama_recorder *recorder)
{
    const struct llama_model *model = recorder->model;
    product(recorder, LLAMA_PART_HEAD, &model->head, model->hidden, model->logits,
            (struct segue_quant_gemv_buffers){
                .norm = llama_whole(model, model->final_norm),
                .position = llama_whole(model, model->position),
                .token = llama_whole(model, model->next_token),
                .state = llama_whole(model, model->argmax_state),
            });
}
