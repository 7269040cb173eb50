// SPDX-License-Identifier: Apache-2.0
/**
 * @file model.h
 * A Llama 3 model with random int4 weights, as buffers on a device. Nothing here is thread-safe.
 */
#ifndef SEGUE_LLAMA_MODEL_H
#define SEGUE_LLAMA_MODEL_H

#include <segue/kernels.h>
#include <segue/quant.h>
#include <segue/segue.h>
#include <segue/trace.h>

/** Dimensions of a released model. */
struct llama_shape {
    const char *name;
    uint32_t hidden;
    uint32_t heads;
    uint32_t kv_heads;
    uint32_t head_size;
    uint32_t ffn;
    uint32_t layers;
    double rope_factor;
    /** The head is the embedding table. */
    bool is_tied;
};

#define LLAMA_VOCABULARY 128256
/** Of all norms. */
#define LLAMA_EPSILON 1e-5f
/** Shapes of matrices in one model, at most. */
#define LLAMA_MAX_GEMVS 8
/** "<|begin_of_text|>". */
#define LLAMA_FIRST_TOKEN 128000
#define LLAMA_MAX_CONTEXT 131071
#define LLAMA_MAX_TOKENS 64

/** The shape of that name ("1b", "3b", "8b"); NULL if there is none. */
const struct llama_shape *llama_find_shape(const char *name);

/** Nodes of a fused step. Bits. */
enum llama_part {
    LLAMA_PART_EMBEDDING = 1u << 0,
    LLAMA_PART_QKV = 1u << 1,
    LLAMA_PART_ATTENTION = 1u << 2,
    LLAMA_PART_O = 1u << 3,
    LLAMA_PART_GATE_UP = 1u << 4,
    LLAMA_PART_DOWN = 1u << 5,
    LLAMA_PART_HEAD = 1u << 6,
};

struct llama_config {
    const struct llama_shape *shape;
    /** Layers to make, at most the model's. */
    uint32_t layers;
    /** Rows that the caches hold already; the step's position. */
    uint32_t context;
    uint64_t seed;
    /** Matrices that are only multiplied with are packed (segue/quant.h). */
    bool packs;
    /** They are, and norms, rotation, residuals and activations are part of the products: layers
     *  have one matrix for q, k and v, in `q`, and one for gate and up, in `gate`. */
    bool fused;
    /** Steps in a row, each from the token and the position that the one before it has left in
     *  memory. More than one only of a fused step. */
    uint32_t tokens;
    /** Parts of a fused step that are not recorded, bits of llama_part: to see what they cost. */
    uint32_t left_out;
};

/** A buffer and what it holds before a step. */
struct llama_tensor {
    segue_buffer *buffer;
    /** Written by llama_model_create where not NULL (and small). */
    const void *data;
    /** Else made by llama_model_fill. */
    struct segue_content content;
    /** Else packed by it: an index into llama_model.packed, LLAMA_NONE if it is not. */
    uint32_t packed;
};

#define LLAMA_NONE UINT32_MAX

/** What a packed tensor is made of. */
struct llama_packed {
    struct segue_quant_matrix matrix;
    struct segue_content weights;
    struct segue_content scales;
};

/** Indices into llama_model.tensors. */
struct llama_linear {
    uint32_t weights;
    uint32_t scales;
    uint32_t rows;
    uint32_t columns;
    /** Packed weights and scales in one, and the product with them; LLAMA_NONE where the two above
     *  are used. */
    uint32_t packed;
    uint32_t gemv;
    /** Of the product: segue_quant_gemv_flags. */
    uint32_t flags;
};

struct llama_layer {
    uint32_t attention_norm;
    struct llama_linear q, k, v, o;
    uint32_t k_cache, v_cache;
    uint32_t mlp_norm;
    struct llama_linear gate, up, down;
};

struct llama_model {
    segue_device *device;
    segue_executable *executable;
    struct llama_config config;
    /** Rows of the caches. */
    uint32_t capacity;
    struct segue_gqa_decode attention;

    struct llama_tensor *tensors;
    uint32_t tensor_count;
    uint32_t tensor_capacity;

    /** With config.packs: what packs, packed tensors, and one product for each shape of matrix. */
    segue_executable *packer;
    struct llama_packed *packed;
    uint32_t packed_count;
    struct segue_quant_gemv gemvs[LLAMA_MAX_GEMVS];
    uint32_t gemv_count;

    struct llama_layer *layers;
    struct llama_linear embedding, head;
    uint32_t final_norm, frequencies, token, position;
    /** What stages hand on. */
    uint32_t hidden, normed, q, k, v, attended, projected, gate, up, activated;
    /** What attention, layer after layer, and the choice of the token work in. */
    uint32_t arrived, partials, argmax_state;
    /** The results: f32 [vocabulary], and u32. */
    uint32_t logits, next_token;

    float frequency_values[128];
    uint32_t token_value;
    uint32_t position_value;
};

/** Loads the kernels and allocates all buffers; generated contents are not written yet. The device
 *  must outlive the model. */
SEGUE_MUST_CHECK segue_status llama_model_create(segue_device *device,
                                                 const struct llama_config *config,
                                                 struct llama_model **out_model);
void llama_model_destroy(struct llama_model *model);

/** Gives every buffer its content. */
SEGUE_MUST_CHECK segue_status llama_model_fill(struct llama_model *model);

/** Goes back to the first token and position, where steps have moved on from them. */
SEGUE_MUST_CHECK segue_status llama_model_rewind(const struct llama_model *model);

segue_buffer *llama_model_buffer(const struct llama_model *model, uint32_t tensor);

/** Bytes of all buffers. */
uint64_t llama_model_size_bytes(const struct llama_model *model);

#endif // SEGUE_LLAMA_MODEL_H
