// SPDX-License-Identifier: Apache-2.0
/**
 * @file signature.h
 * The structure of a graph: everything about it that no change of parameters
 * can alter. Two plans with equal signatures can share an executable graph, one
 * being patched into the other.
 */
#ifndef SEGUE_CUDA_SIGNATURE_H
#define SEGUE_CUDA_SIGNATURE_H

#include "lower.h"

#include "plan.h"

/** The structure written out, node by node in creation order: class and
 * function (launch attributes are the function's), lane, dependencies, and
 * their kinds. The hash finds candidates; equality is that of the bytes. */
struct segue_signature {
    const struct segue_allocator *allocator;
    uint64_t hash;
    unsigned char *bytes;
    size_t size_bytes;
};

/** SEGUE_OUT_OF_HOST_MEMORY. */
SEGUE_MUST_CHECK segue_status segue_signature_create(const struct segue_lowering *lowering,
                                                     const struct segue_plan *plan,
                                                     struct segue_signature *out_signature);
/** The nodes (but their commands) and dependencies of a signature, into the
 * arrays of `plan`, which have room for them. */
void segue_signature_read(const struct segue_signature *signature, size_t node_count,
                          struct segue_plan *plan);
void segue_signature_finish(struct segue_signature *signature);
bool segue_signature_equal(const struct segue_signature *a, const struct segue_signature *b);

#endif // SEGUE_CUDA_SIGNATURE_H
