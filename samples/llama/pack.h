// SPDX-License-Identifier: Apache-2.0
/**
 * @file pack.h
 * Matrices that are packed: what packs them, what multiplies with them, and how a trace says it.
 */
#ifndef SEGUE_LLAMA_PACK_H
#define SEGUE_LLAMA_PACK_H

#include "model.h"

/** Makes the packing executable. */
SEGUE_MUST_CHECK segue_status llama_pack_load(struct llama_model *model);
/** Gives up all that is here. */
void llama_pack_unload(struct llama_model *model);

/** Adds a packed matrix. */
SEGUE_MUST_CHECK segue_status llama_pack_add(struct llama_model *model,
                                             const struct llama_packed *packed,
                                             uint32_t *out_index);
/** The product with matrices of that shape, which may be new. */
SEGUE_MUST_CHECK segue_status llama_pack_find_gemv(struct llama_model *model,
                                                   const struct llama_linear *linear,
                                                   uint32_t *out_index);

/** Packs a tensor on the device, and waits. */
SEGUE_MUST_CHECK segue_status llama_pack_run(const struct llama_model *model,
                                             const struct llama_tensor *tensor);
/** Says in a trace what it is packed from, and by what. */
SEGUE_MUST_CHECK segue_status llama_pack_write(const struct llama_model *model,
                                               segue_trace_writer *writer,
                                               const struct llama_tensor *tensor);

#endif // SEGUE_LLAMA_PACK_H
