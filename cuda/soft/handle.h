// SPDX-License-Identifier: Apache-2.0
/**
 * @file handle.h
 * Handles as given to callers: kind, generation and index packed into a pointer value that can
 * never be dereferenced. A handle names its object exactly once: after destruction, a new object in
 * the same place has another generation.
 */
#ifndef SEGUE_CUDA_SOFT_HANDLE_H
#define SEGUE_CUDA_SOFT_HANDLE_H

#include "state.h"

enum segue_soft_kind {
    SEGUE_SOFT_KIND_NONE = 0,
    SEGUE_SOFT_KIND_CONTEXT,
    SEGUE_SOFT_KIND_STREAM,
    SEGUE_SOFT_KIND_EVENT,
    SEGUE_SOFT_KIND_MODULE,
    SEGUE_SOFT_KIND_FUNCTION,
    SEGUE_SOFT_KIND_GRAPH,
    SEGUE_SOFT_KIND_NODE,
    SEGUE_SOFT_KIND_EXEC,
    SEGUE_SOFT_KIND_COUNT,
};

/** "stream", "graph exec", … Never NULL. */
const char *segue_soft_kind_name(enum segue_soft_kind kind);

/** Gives `object` a handle. Streams, events and modules belong to the current context. */
CUresult segue_soft_handle_create(enum segue_soft_kind kind, void *object, void **out_handle);

/**
 * The object behind a handle. A handle that is NULL, made up, of another kind or given up is
 * recorded as misuse and gives CUDA_ERROR_INVALID_HANDLE (contexts: CUDA_ERROR_INVALID_CONTEXT);
 * one of another context CUDA_ERROR_INVALID_CONTEXT.
 */
CUresult segue_soft_handle_get(enum segue_soft_kind kind, const void *handle, void **out_object);

/** Whether the handle names a live object of this kind. Records nothing. */
bool segue_soft_handle_alive(enum segue_soft_kind kind, const void *handle);

/** Gives the handle up. It must be alive. */
void segue_soft_handle_destroy(const void *handle);

/** Live handles of a kind. */
uint64_t segue_soft_handle_count(enum segue_soft_kind kind);

/** Frees the table itself, at unload. */
void segue_soft_handle_release_table(void);

#endif // SEGUE_CUDA_SOFT_HANDLE_H
