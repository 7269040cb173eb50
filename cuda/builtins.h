// SPDX-License-Identifier: Apache-2.0
/**
 * @file builtins.h
 * The kernels that lowering uses on its own account, loaded on a device.
 */
#ifndef SEGUE_CUDA_BUILTINS_H
#define SEGUE_CUDA_BUILTINS_H

#include <segue/base.h>

#include <cuda.h>

struct segue_cuda;

struct segue_builtins {
    /** NULL until the first use. */
    CUmodule module;
    CUfunction fill;
    CUfunction copy;
    CUfunction join;
};

/** Loads the kernels once; they stay until segue_builtins_finish. The context is current.
 *  Thread-safe. */
SEGUE_MUST_CHECK segue_status segue_builtins_get(struct segue_cuda *cuda,
                                                 struct segue_builtins *out_builtins);
/** Unloads them. The context is current. */
void segue_builtins_finish(struct segue_cuda *cuda);

#endif // SEGUE_CUDA_BUILTINS_H
