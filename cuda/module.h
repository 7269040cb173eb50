// SPDX-License-Identifier: Apache-2.0
/**
 * @file module.h
 * Loaded modules and their functions.
 */
#ifndef SEGUE_CUDA_MODULE_H
#define SEGUE_CUDA_MODULE_H

#include <segue/executable.h>

#include <cuda.h>

struct segue_cuda;

struct segue_backend_module {
    CUmodule module;
    uint32_t entry_count;
    /** In the order of the executable's entry points. */
    CUfunction functions[];
};

/** Size of a kernel parameter: bindings are pointers, and indirect ones together are one to
 *  theirs. */
static inline uint32_t segue_parameter_bytes(const struct segue_parameter *parameter)
{
    return parameter->kind == SEGUE_PARAMETER_CONSTANT ? parameter->size_bytes : 8;
}

/** Whether the kernel has a parameter for one that is declared, all of them taken in order: of the
 *  indirect ones the first. `has_table` is false before the first. */
static inline bool segue_parameter_is_passed(const struct segue_parameter *parameter,
                                             bool *has_table)
{
    const bool is_indirect = parameter->kind == SEGUE_PARAMETER_INDIRECT;
    const bool is_passed = !is_indirect || !*has_table;
    *has_table |= is_indirect;
    return is_passed;
}

/**
 * Loads an image (text zero-terminated). The context is current. A failure carries the driver's
 * compile log. `label` names it in messages.
 * @return SEGUE_COMPILE_FAILED for text that the driver refuses, SEGUE_INVALID_DATA for a broken
 *         binary, SEGUE_UNAVAILABLE for code of other GPUs.
 */
SEGUE_MUST_CHECK segue_status segue_cuda_load_module(struct segue_cuda *cuda, const void *data,
                                                     size_t size_bytes, const char *label,
                                                     CUmodule *out_module);

#endif // SEGUE_CUDA_MODULE_H
