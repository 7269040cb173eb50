// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include "pack.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/** Standard deviation of (q - 8) * scale for random nibbles q and scales uniform in [-1, 1):
 *  sqrt(21.5 / 3). */
#define INT4_DEVIATION 2.677

/** Adds tensors until one fails. */
struct builder {
    struct llama_model *model;
    /** Tensors so far, a packed one counted as the two that it is made of. */
    uint32_t number;
    segue_status status;
};

static segue_status grow(struct llama_model *model)
{
    if (model->tensor_count < model->tensor_capacity)
        return SEGUE_OK;
    const uint32_t capacity = model->tensor_capacity ? model->tensor_capacity * 2 : 64;
    struct llama_tensor *tensors = realloc(model->tensors, capacity * sizeof(*tensors));
    if (!tensors)
        return SEGUE_OUT_OF_HOST_MEMORY;
    model->tensors = tensors;
    model->tensor_capacity = capacity;
    return SEGUE_OK;
}

/** Every tensor its own numbers, whether it is packed or not. */
static uint64_t next_seed(struct builder *builder)
{
    return builder->model->config.seed * 1000003 + builder->number++;
}

/** Allocates a tensor and returns its index. `data` is NULL or as long as the tensor; the name is
 *  prefix and name together. */
static uint32_t add(struct builder *builder, enum segue_memory_type memory, uint64_t size_bytes,
                    struct segue_content content, const void *data, const char *prefix,
                    const char *name)
{
    struct llama_model *model = builder->model;
    if (builder->status == SEGUE_OK)
        builder->status = grow(model);
    if (builder->status != SEGUE_OK)
        return 0;

    const uint32_t index = model->tensor_count;
    struct llama_tensor *tensor = &model->tensors[index];
    *tensor = (struct llama_tensor){.data = data, .content = content, .packed = LLAMA_NONE};
    tensor->content.seed = next_seed(builder);
    char label[64];
    snprintf(label, sizeof(label), "%s%s", prefix, name);
    const struct segue_buffer_params params = {
        .size_bytes = size_bytes, .memory = memory, .label = label};
    builder->status = segue_buffer_create(model->device, &params, &tensor->buffer);
    if (builder->status != SEGUE_OK)
        return 0;
    model->tensor_count++;
    if (data)
        builder->status = segue_buffer_write(tensor->buffer, 0, data, size_bytes);
    return index;
}

/** A matrix as it is multiplied with: weights and scales in one buffer. */
static void add_packed(struct builder *builder, struct llama_linear *linear,
                       struct llama_packed *packed, const char *prefix, const char *name)
{
    struct llama_model *model = builder->model;
    const uint64_t seed = next_seed(builder);
    if (packed->weights.seed == 0)
        packed->weights.seed = seed;
    // As scales of their own would have: the next one, which the tensor takes.
    packed->scales.seed = packed->weights.seed + 1;
    if (builder->status == SEGUE_OK)
        builder->status = llama_pack_add(model, packed, &linear->packed);
    if (builder->status == SEGUE_OK)
        builder->status = llama_pack_find_gemv(model, linear, &linear->gemv);
    linear->weights =
        add(builder, SEGUE_MEMORY_CONSTANT, segue_quant_packed_size_bytes(&packed->matrix),
            (struct segue_content){.kind = SEGUE_CONTENT_ZERO}, NULL, prefix, name);
    if (builder->status == SEGUE_OK)
        model->tensors[linear->weights].packed = linear->packed;
}

/** @param matrix  name, rows, columns and pairs. */
static struct llama_packed packed_of(struct segue_quant_matrix matrix, double reach)
{
    matrix.bits = 4;
    matrix.group_size = SEGUE_INT4_GROUP_SIZE;
    return (struct llama_packed){
        .matrix = matrix,
        .weights = {.kind = SEGUE_CONTENT_NIBBLES},
        .scales = {.kind = SEGUE_CONTENT_UNIFORM,
                   .dtype = SEGUE_DTYPE_BF16,
                   .a = -reach,
                   .b = reach},
    };
}

/** Weights whose product with a vector of deviation 1 has deviation `gain`. Scales are of both
 * signs, so that the nibbles' mean of -0.5 does not add up along a row. */
static struct llama_linear add_linear(struct builder *builder, uint32_t rows, uint32_t columns,
                                      double gain, bool packs, const char *prefix, const char *name)
{
    const double reach = gain / (INT4_DEVIATION * sqrt(columns));
    struct llama_packed packed = packed_of(
        (struct segue_quant_matrix){.name = name, .rows = rows, .columns = columns}, reach);
    const uint64_t groups = (uint64_t)rows * columns / SEGUE_INT4_GROUP_SIZE;
    struct llama_linear linear = {.rows = rows, .columns = columns, .packed = LLAMA_NONE};
    if (packs) {
        add_packed(builder, &linear, &packed, prefix, name);
        return linear;
    }
    char scales_name[24];
    snprintf(scales_name, sizeof(scales_name), "%s_scales", name);
    linear.weights = add(builder, SEGUE_MEMORY_CONSTANT, groups * SEGUE_INT4_GROUP_SIZE / 2,
                         packed.weights, NULL, prefix, name);
    linear.scales =
        add(builder, SEGUE_MEMORY_CONSTANT, groups * 2, packed.scales, NULL, prefix, scales_name);
    return linear;
}

/** A matrix that takes part in a fused step.
 *  @param matrix  name, rows, columns and pairs.
 *  @param seed    0: numbers of its own.
 *  @param flags   of the product. */
static struct llama_linear add_fused(struct builder *builder, struct segue_quant_matrix matrix,
                                     double gain, uint64_t seed, uint32_t flags, const char *prefix)
{
    const double reach = gain / (INT4_DEVIATION * sqrt(matrix.columns));
    struct llama_linear linear = {
        .rows = matrix.rows, .columns = matrix.columns, .packed = LLAMA_NONE, .flags = flags};
    struct llama_packed packed = packed_of(matrix, reach);
    packed.weights.seed = seed;
    add_packed(builder, &linear, &packed, prefix, matrix.name);
    return linear;
}

static uint32_t add_norm(struct builder *builder, double mean, double deviation, const char *prefix,
                         const char *name)
{
    const struct segue_content content = {
        .kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_BF16, .a = mean, .b = deviation};
    return add(builder, SEGUE_MEMORY_CONSTANT, (uint64_t)builder->model->config.shape->hidden * 2,
               content, NULL, prefix, name);
}

static uint32_t add_cache(struct builder *builder, const char *prefix, const char *name)
{
    const struct llama_shape *shape = builder->model->config.shape;
    const struct segue_content content = {
        .kind = SEGUE_CONTENT_NORMAL, .dtype = SEGUE_DTYPE_BF16, .a = 0.0, .b = 1.0};
    const uint64_t row_bytes = (uint64_t)shape->kv_heads * shape->head_size * 2;
    return add(builder, SEGUE_MEMORY_DEVICE, row_bytes * builder->model->capacity, content, NULL,
               prefix, name);
}

/** q, k and v, and gate and up, are one matrix each. */
static void add_fused_layer(struct builder *builder, struct llama_layer *layer, double gain,
                            double o_gain, const char *prefix)
{
    const struct llama_shape *shape = builder->model->config.shape;
    const uint32_t q_rows = shape->heads * shape->head_size;
    const struct segue_quant_matrix qkv = {
        .name = "qkv",
        .rows = q_rows + 2 * shape->kv_heads * shape->head_size,
        .columns = shape->hidden,
        .pair_stride = shape->head_size / 2,
    };
    const struct segue_quant_matrix o = {.name = "o", .rows = shape->hidden, .columns = q_rows};
    const struct segue_quant_matrix gate_up = {.name = "gate_up",
                                               .rows = shape->ffn * 2,
                                               .columns = shape->hidden,
                                               .pair_stride = shape->ffn};
    const struct segue_quant_matrix down = {
        .name = "down", .rows = shape->hidden, .columns = shape->ffn};
    layer->attention_norm = add_norm(builder, 1.0, 0.1, prefix, "attention_norm");
    layer->q = add_fused(builder, qkv, 1.0, 0, SEGUE_QUANT_NORM | SEGUE_QUANT_ROPE_KV, prefix);
    layer->o = add_fused(builder, o, o_gain, 0, SEGUE_QUANT_RESIDUAL, prefix);
    layer->k_cache = add_cache(builder, prefix, "k_cache");
    layer->v_cache = add_cache(builder, prefix, "v_cache");
    layer->mlp_norm = add_norm(builder, 1.0, 0.1, prefix, "mlp_norm");
    layer->gate =
        add_fused(builder, gate_up, 1.0, 0, SEGUE_QUANT_NORM | SEGUE_QUANT_SILU_MUL, prefix);
    layer->down = add_fused(builder, down, gain, 0, SEGUE_QUANT_RESIDUAL, prefix);
}

static void add_layer(struct builder *builder, uint32_t index)
{
    const struct llama_shape *shape = builder->model->config.shape;
    const uint32_t q_rows = shape->heads * shape->head_size;
    const uint32_t kv_rows = shape->kv_heads * shape->head_size;
    // What all layers add to the residual stream stays below what the embedding began it with.
    // Attention over many random rows averages them down, which its output projection makes up for.
    const double gain = 0.4 / sqrt(shape->layers);
    const double o_gain = gain * fmax(1.0, 0.4 * sqrt(builder->model->config.context + 1.0));
    const bool packs = builder->model->config.packs;
    struct llama_layer *layer = &builder->model->layers[index];
    char prefix[24];
    snprintf(prefix, sizeof(prefix), "layer%u.", index);
    if (builder->model->config.fused) {
        add_fused_layer(builder, layer, gain, o_gain, prefix);
        return;
    }
    layer->attention_norm = add_norm(builder, 1.0, 0.1, prefix, "attention_norm");
    layer->q = add_linear(builder, q_rows, shape->hidden, 1.0, packs, prefix, "q");
    layer->k = add_linear(builder, kv_rows, shape->hidden, 1.0, packs, prefix, "k");
    layer->v = add_linear(builder, kv_rows, shape->hidden, 1.0, packs, prefix, "v");
    layer->o = add_linear(builder, shape->hidden, q_rows, o_gain, packs, prefix, "o");
    layer->k_cache = add_cache(builder, prefix, "k_cache");
    layer->v_cache = add_cache(builder, prefix, "v_cache");
    layer->mlp_norm = add_norm(builder, 1.0, 0.1, prefix, "mlp_norm");
    layer->gate = add_linear(builder, shape->ffn, shape->hidden, 1.0, packs, prefix, "gate");
    layer->up = add_linear(builder, shape->ffn, shape->hidden, 1.0, packs, prefix, "up");
    layer->down = add_linear(builder, shape->hidden, shape->ffn, gain, packs, prefix, "down");
}

/** A buffer between two stages; it starts as zeros. */
static uint32_t add_activation(struct builder *builder, uint32_t count, uint32_t element_bytes,
                               const char *name)
{
    return add(builder, SEGUE_MEMORY_DEVICE, (uint64_t)count * element_bytes,
               (struct segue_content){.kind = SEGUE_CONTENT_ZERO}, NULL, "", name);
}

static void choose_attention(struct builder *builder)
{
    struct llama_model *model = builder->model;
    const struct llama_shape *shape = model->config.shape;
    struct segue_device_info info;
    const struct segue_gqa_decode_constants constants = {
        .heads = shape->heads,
        .kv_heads = shape->kv_heads,
        .capacity = model->capacity,
        .scale = 1.0f / sqrtf((float)shape->head_size),
        // A command buffer does one token, and moves the position at its end if at all.
        .settled = 1,
    };
    segue_device_get_info(model->device, &info);
    if (builder->status == SEGUE_OK)
        builder->status =
            segue_gqa_decode_choose(&constants, shape->head_size, false,
                                    (uint32_t)info.multiprocessor_count, &model->attention);
}

static void add_activations(struct builder *builder)
{
    struct llama_model *model = builder->model;
    const struct llama_shape *shape = model->config.shape;
    const uint32_t q_count = shape->heads * shape->head_size;
    const uint32_t kv_count = shape->kv_heads * shape->head_size;
    model->hidden = add_activation(builder, shape->hidden, 4, "hidden");
    model->normed = add_activation(builder, shape->hidden, 2, "normed");
    model->q = add_activation(builder, q_count, 2, "q");
    model->k = add_activation(builder, kv_count, 2, "k");
    model->v = add_activation(builder, kv_count, 2, "v");
    model->attended = add_activation(builder, q_count, 2, "attended");
    choose_attention(builder);
    const struct segue_gqa_decode_sizes sizes = model->attention.sizes;
    model->arrived =
        add_activation(builder, (uint32_t)(sizes.arrived_bytes / 4), 4, "attention_arrived");
    model->partials =
        add_activation(builder, (uint32_t)(sizes.partials_bytes / 4), 4, "attention_partials");
    model->projected = add_activation(builder, shape->hidden, 2, "projected");
    model->gate = add_activation(builder, shape->ffn, 2, "gate");
    model->up = add_activation(builder, shape->ffn, 2, "up");
    model->activated = add_activation(builder, shape->ffn, 2, "activated");
    model->argmax_state = add_activation(builder, 2, 8, "argmax_state");
    model->logits = add_activation(builder, LLAMA_VOCABULARY, 4, "logits");
    // Of several steps each takes what the one before it has found.
    if (model->config.tokens > 1) {
        model->next_token = model->token;
        return;
    }
    model->next_token =
        add(builder, SEGUE_MEMORY_HOST_VISIBLE, sizeof(uint32_t),
            (struct segue_content){.kind = SEGUE_CONTENT_ZERO}, NULL, "", "next_token");
}

static void add_inputs(struct builder *builder)
{
    struct llama_model *model = builder->model;
    const struct llama_shape *shape = model->config.shape;
    const struct segue_rope_scaling scaling = {
        .theta = 5e5,
        .factor = shape->rope_factor,
        .low_factor = 1.0,
        .high_factor = 4.0,
        .original_context = 8192.0,
    };
    segue_rope_frequencies(&scaling, shape->head_size, model->frequency_values);
    model->token_value = LLAMA_FIRST_TOKEN;
    model->position_value = model->config.context;
    const struct segue_content none = {.kind = SEGUE_CONTENT_ZERO};
    model->frequencies = add(builder, SEGUE_MEMORY_CONSTANT, shape->head_size / 2 * sizeof(float),
                             none, model->frequency_values, "", "rope_frequencies");
    model->token =
        add(builder, SEGUE_MEMORY_DEVICE, sizeof(uint32_t), none, &model->token_value, "", "token");
    model->position = add(builder, SEGUE_MEMORY_DEVICE, sizeof(uint32_t), none,
                          &model->position_value, "", "position");
}

/** The table of the embedding where that is the head, too; packed it is a second one. */
static void add_head(struct builder *builder)
{
    struct llama_model *model = builder->model;
    const struct llama_shape *shape = model->config.shape;
    const double gain = sqrt(shape->hidden);
    const struct segue_quant_matrix head = {
        .name = "head", .rows = LLAMA_VOCABULARY, .columns = shape->hidden};
    uint64_t seed = 0;
    if (shape->is_tied && builder->status == SEGUE_OK)
        seed = model->tensors[model->embedding.weights].content.seed;
    if (model->config.fused)
        model->head = add_fused(builder, head, gain, seed,
                                SEGUE_QUANT_NORM | SEGUE_QUANT_ARGMAX |
                                    (model->config.tokens > 1 ? SEGUE_QUANT_ADVANCE : 0),
                                "");
    else if (shape->is_tied)
        model->head = model->embedding;
    else
        model->head = add_linear(builder, LLAMA_VOCABULARY, shape->hidden, gain,
                                 model->config.packs, "", "head");
}

static segue_status add_all(struct llama_model *model)
{
    struct builder builder = {.model = model};
    const struct llama_shape *shape = model->config.shape;
    add_inputs(&builder);
    add_activations(&builder);
    // Rows of deviation 1 begin the residual stream. A final norm of both signs keeps a tied head
    // from answering with the token that went in, and gives logits a deviation of 1.5.
    model->embedding = add_linear(&builder, LLAMA_VOCABULARY, shape->hidden, sqrt(shape->hidden),
                                  false, "", "embedding");
    model->final_norm = add_norm(&builder, 0.0, 1.5 / sqrt(shape->hidden), "", "final_norm");
    add_head(&builder);
    for (uint32_t i = 0; i < model->config.layers; i++)
        add_layer(&builder, i);
    return builder.status;
}

static segue_status load_kernels(struct llama_model *model)
{
    struct segue_executable_params params;
    segue_kernels_get_decode(&params);
    const segue_status status = segue_kernels_register(model->device);
    if (status != SEGUE_OK)
        return status;
    if (model->config.packs) {
        const segue_status packs = llama_pack_load(model);
        if (packs != SEGUE_OK)
            return packs;
    }
    return segue_executable_create(model->device, &params, &model->executable);
}

segue_status llama_model_create(segue_device *device, const struct llama_config *config,
                                struct llama_model **out_model)
{
    struct llama_model *model = calloc(1, sizeof(*model));
    if (!model)
        return SEGUE_OUT_OF_HOST_MEMORY;
    model->device = device;
    model->config = *config;
    model->capacity = ((config->context + config->tokens - 1) / 64 + 1) * 64;
    segue_status status = SEGUE_OUT_OF_HOST_MEMORY;
    model->layers = calloc(config->layers ? config->layers : 1, sizeof(*model->layers));
    if (!model->layers)
        goto fail;
    status = load_kernels(model);
    if (status == SEGUE_OK)
        status = add_all(model);
    if (status != SEGUE_OK)
        goto fail;
    *out_model = model;
    return SEGUE_OK;

fail:
    llama_model_destroy(model);
    return status;
}

void llama_model_destroy(struct llama_model *model)
{
    if (!model)
        return;
    for (uint32_t i = 0; i < model->tensor_count; i++)
        segue_buffer_destroy(model->tensors[i].buffer);
    segue_executable_destroy(model->executable);
    llama_pack_unload(model);
    free(model->tensors);
    free(model->layers);
    free(model);
}

segue_status llama_model_fill(struct llama_model *model)
{
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        const struct llama_tensor *tensor = &model->tensors[i];
        if (tensor->data)
            continue;
        const segue_status status =
            tensor->packed != LLAMA_NONE
                ? llama_pack_run(model, tensor)
                : segue_buffer_write_content(tensor->buffer, &tensor->content);
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

segue_status llama_model_rewind(const struct llama_model *model)
{
    if (model->config.tokens == 1)
        return SEGUE_OK;
    const segue_status status = segue_buffer_write(llama_model_buffer(model, model->token), 0,
                                                   &model->token_value, sizeof(uint32_t));
    if (status != SEGUE_OK)
        return status;
    return segue_buffer_write(llama_model_buffer(model, model->position), 0, &model->position_value,
                              sizeof(uint32_t));
}

segue_buffer *llama_model_buffer(const struct llama_model *model, uint32_t tensor)
{
    return model->tensors[tensor].buffer;
}

uint64_t llama_model_size_bytes(const struct llama_model *model)
{
    uint64_t size_bytes = 0;
    for (uint32_t i = 0; i < model->tensor_count; i++) {
        struct segue_buffer_info info;
        segue_buffer_get_info(model->tensors[i].buffer, &info);
        size_bytes += info.size_bytes;
    }
    return size_bytes;
}
