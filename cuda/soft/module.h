// SPDX-License-Identifier: Apache-2.0
/**
 * @file module.h
 * Images, modules, functions, and the registry of reference kernels.
 */
#ifndef SEGUE_CUDA_SOFT_MODULE_H
#define SEGUE_CUDA_SOFT_MODULE_H

#include "handle.h"
#include "state.h"

/** One kernel parameter as the image declares it. */
struct segue_soft_parameter {
    uint32_t size_bytes;
    uint32_t offset_bytes;
};

/** One entry point of an image. */
struct segue_soft_entry {
    char *name;
    struct segue_soft_parameter *parameters;
    uint32_t parameter_count;
    /** From .maxntid or .reqntid; 1024 without. */
    uint32_t max_threads;
    /** From .reqntid; zeros without. */
    uint32_t block[3];
    /** From .reqnctapercluster; zeros without. */
    uint32_t cluster[3];
    uint32_t static_shared_bytes;
    /** Its instructions contain griddepcontrol.wait, or are not known. */
    bool waits_for_grids;
};

/** What an image holds; the result of either parser. */
struct segue_soft_image {
    struct segue_soft_entry *entries;
    uint32_t entry_count;
    /** 80 for sm_80. */
    uint32_t target;
    /** Shared variables outside of entry points. */
    uint32_t shared_bytes;
};

/** A message and where in the text it belongs. */
struct segue_soft_parse_error {
    uint32_t line;
    char message[160];
};

/** ptx.c. CUDA_ERROR_INVALID_PTX and others with `out_error` filled in; nothing is kept then. */
CUresult segue_soft_ptx_parse(const char *text, struct segue_soft_image *out_image,
                              struct segue_soft_parse_error *out_error);
/** manifest.c: "SEGUE-SOFT-MODULE 1" and one line an entry. */
CUresult segue_soft_manifest_parse(const char *text, struct segue_soft_image *out_image,
                                   struct segue_soft_parse_error *out_error);
#define SEGUE_SOFT_MANIFEST_MAGIC "SEGUE-SOFT-MODULE 1\n"

/** image.c: building and freeing images. */
struct segue_soft_entry *segue_soft_image_add_entry(struct segue_soft_image *image,
                                                    const char *name, size_t name_length);
bool segue_soft_entry_add_parameter(struct segue_soft_entry *entry, uint32_t size_bytes,
                                    uint32_t align_bytes);
void segue_soft_image_clear(struct segue_soft_image *image);

/** registry.c: a reference kernel, copied. */
struct segue_soft_reference {
    struct segue_soft_reference *next;
    char *name;
    uint32_t *parameter_sizes;
    struct segue_reference_kernel kernel;
};

/** Registers or replaces; false when malformed or out of memory. */
bool segue_soft_registry_add(const struct segue_reference_kernel *kernel);
/** NULL if there is none. The result stays valid; replacement happens inside it. */
const struct segue_soft_reference *segue_soft_registry_find(const char *name);
void segue_soft_registry_clear(void);

struct segue_soft_module {
    CUmodule handle;
    struct segue_soft_image image;
    /** One per entry, NULL until asked for. */
    struct segue_soft_function **functions;
};

struct segue_soft_function {
    CUfunction handle;
    struct segue_soft_module *module;
    const struct segue_soft_entry *entry;
    const struct segue_soft_reference *reference;
    /** Attributes that can be set. */
    int max_dynamic_shared_bytes;
    int carveout;
    int non_portable_cluster;
    int cluster_scheduling;
};

/** Modules unloaded so far: as long as it stands still, functions that were alive still are. */
uint64_t segue_soft_module_unload_count(void);

/** Whether the reference's parameter list is the entry's. */
bool segue_soft_function_matches(const struct segue_soft_entry *entry,
                                 const struct segue_soft_reference *reference);

/** Static shared memory of one block of the function. */
uint32_t segue_soft_function_static_shared(const struct segue_soft_function *function);

/** Blocks of the function that fit on one multiprocessor. */
uint32_t segue_soft_function_occupancy(const struct segue_soft_function *function,
                                       uint32_t block_threads, uint64_t dynamic_shared_bytes);

#endif // SEGUE_CUDA_SOFT_MODULE_H
