// SPDX-License-Identifier: Apache-2.0
// Sources that are named: tensors of safetensors and GGUF files become ranges of open files.
#include "plan.h"

#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** The file of that path, which may be new. */
static segue_status open_file(segue_prepack_plan *plan, const char *path,
                              segue_tensor_file **out_tensors)
{
    for (uint32_t i = 0; i < plan->file_count; i++) {
        if (strcmp(plan->files[i].path, path) == 0) {
            *out_tensors = plan->files[i].tensors;
            return SEGUE_OK;
        }
    }
    struct segue_prepack_file *files =
        realloc(plan->files, ((size_t)plan->file_count + 1) * sizeof(files[0]));
    if (files == NULL)
        return segue_prepack_fail_memory("the files of a plan");
    plan->files = files;
    struct segue_prepack_file file = {.path = strdup(path)};
    if (file.path == NULL)
        return segue_prepack_fail_memory("the files of a plan");
    const segue_status status = segue_tensor_file_open(path, &file.tensors);
    if (status != SEGUE_OK) {
        free(file.path);
        return status;
    }
    plan->files[plan->file_count++] = file;
    *out_tensors = file.tensors;
    return SEGUE_OK;
}

/** "[2][3]" and the like; "[]" without dimensions. */
static const char *shape_text(const uint64_t *shape, uint32_t count, char *text, size_t size_bytes)
{
    size_t used = 0;
    (void)snprintf(text, size_bytes, "[]");
    for (uint32_t i = 0; i < count && used < size_bytes; i++) {
        const int length = snprintf(text + used, size_bytes - used, "[%" PRIu64 "]", shape[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    return text;
}

/** Holds what the caller expects of a tensor against what it is. */
static segue_status check_tensor(const segue_prepack_plan *plan, const char *name, uint32_t at,
                                 const struct segue_prepack_source *source,
                                 const struct segue_tensor_info *info)
{
    if (source->offset_bytes != 0)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s, source %u: offset_bytes is %" PRIu64
                                     "; a tensor is taken whole, parts of files as "
                                     "SEGUE_PREPACK_FILE",
                                     name, at, source->offset_bytes);
    if (source->dtype != NULL && strcmp(source->dtype, info->dtype) != 0)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s, source %u: tensor \"%s\" of %s is %s, not %s",
                                     name, at, info->name, source->file, info->dtype,
                                     source->dtype);
    if (source->size_bytes != 0 && source->size_bytes != info->size_bytes)
        return segue_prepack_fail_on(
            plan->device, SEGUE_INVALID_ARGUMENT,
            "constant %s, source %u: tensor \"%s\" of %s has %" PRIu64 " bytes, not %" PRIu64, name,
            at, info->name, source->file, info->size_bytes, source->size_bytes);
    const uint32_t count = source->dimension_count;
    if (count == 0 || (count == info->dimension_count &&
                       memcmp(source->shape, info->shape, count * sizeof(info->shape[0])) == 0))
        return SEGUE_OK;
    char has[200];
    char wanted[200];
    return segue_prepack_fail_on(
        plan->device, SEGUE_INVALID_ARGUMENT,
        "constant %s, source %u: tensor \"%s\" of %s has shape %s, not %s", name, at, info->name,
        source->file, shape_text(info->shape, info->dimension_count, has, sizeof(has)),
        shape_text(source->shape,
                   count <= SEGUE_PREPACK_MAX_DIMENSIONS ? count : SEGUE_PREPACK_MAX_DIMENSIONS,
                   wanted, sizeof(wanted)));
}

static segue_status resolve(segue_prepack_plan *plan, const struct segue_prepack_constant *constant,
                            uint32_t at, struct segue_prepack_source *out_source)
{
    const struct segue_prepack_source *source = &constant->sources[at];
    const char *name = constant->name != NULL ? constant->name : "";
    if (source->file == NULL || source->tensor == NULL)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s, source %u: %s is NULL; a tensor needs the path "
                                     "of its file and its name",
                                     name, at, source->file == NULL ? "file" : "tensor");
    segue_tensor_file *tensors = NULL;
    struct segue_tensor_info info;
    segue_status status = open_file(plan, source->file, &tensors);
    if (status == SEGUE_OK)
        status = segue_tensor_file_find(tensors, source->tensor, &info);
    if (status != SEGUE_OK && status != SEGUE_OUT_OF_HOST_MEMORY) {
        // Messages are limited: what the file said comes last.
        char message[SEGUE_ERROR_MESSAGE_SIZE];
        (void)snprintf(message, sizeof(message), "%s", segue_last_error()->message);
        return segue_prepack_fail_on(plan->device, status, "constant %s, source %u: %s", name, at,
                                     message);
    }
    if (status == SEGUE_OK)
        status = check_tensor(plan, name, at, source, &info);
    if (status != SEGUE_OK)
        return status;
    *out_source = (struct segue_prepack_source){
        .kind = SEGUE_PREPACK_FILE,
        .fd = segue_tensor_file_get_fd(tensors),
        .file = source->file,
        .offset_bytes = info.offset_bytes,
        .size_bytes = info.size_bytes,
        .dtype = info.dtype,
        .dimension_count = info.dimension_count,
    };
    memcpy(out_source->shape, info.shape, info.dimension_count * sizeof(info.shape[0]));
    return SEGUE_OK;
}

segue_status segue_prepack_resolve_sources(segue_prepack_plan *plan,
                                           const struct segue_prepack_constant *constant,
                                           struct segue_prepack_source *out_sources)
{
    // Too many are refused by the checks that follow, which look at the count only.
    const uint32_t count = constant->source_count <= SEGUE_PREPACK_MAX_SOURCES
                               ? constant->source_count
                               : SEGUE_PREPACK_MAX_SOURCES;
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && constant->sources != NULL && i < count; i++) {
        out_sources[i] = constant->sources[i];
        if (constant->sources[i].kind == SEGUE_PREPACK_TENSOR)
            status = resolve(plan, constant, i, &out_sources[i]);
    }
    return status;
}

void segue_prepack_close_files(segue_prepack_plan *plan)
{
    for (uint32_t i = 0; i < plan->file_count; i++) {
        segue_tensor_file_close(plan->files[i].tensors);
        free(plan->files[i].path);
    }
    free(plan->files);
    plan->files = NULL;
    plan->file_count = 0;
}
