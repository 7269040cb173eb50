// SPDX-License-Identifier: Apache-2.0
// What can be known to be wrong with a constant before a byte is moved.
#include "plan.h"

#include "error.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

/** What a constant's messages begin with. */
static const char *name_of(const struct segue_prepack_constant *constant)
{
    return constant->name != NULL ? constant->name : "";
}

/** Bytes that dtype and shape make: 0 where they do not fit 64 bits or whole blocks. */
static uint64_t shape_bytes(const struct segue_prepack_source *source, uint32_t block_elements,
                            uint32_t block_bytes)
{
    uint64_t elements = 1;
    for (uint32_t i = 0; i < source->dimension_count; i++) {
        if (source->shape[i] == 0 || elements > UINT64_MAX / 512 / source->shape[i])
            return 0;
        elements *= source->shape[i];
    }
    return elements % block_elements != 0 ? 0 : elements / block_elements * block_bytes;
}

static segue_status check_shape(const segue_prepack_plan *plan,
                                const struct segue_prepack_constant *constant, uint32_t at)
{
    const struct segue_prepack_source *source = &constant->sources[at];
    if (source->dimension_count > SEGUE_PREPACK_MAX_DIMENSIONS)
        return segue_prepack_fail_on(plan->device, SEGUE_OUT_OF_RANGE,
                                     "constant %s, source %u: %u dimensions; at most %d are "
                                     "possible",
                                     name_of(constant), at, source->dimension_count,
                                     SEGUE_PREPACK_MAX_DIMENSIONS);
    if (source->dtype == NULL)
        return SEGUE_OK;
    uint32_t block_elements = 0;
    uint32_t block_bytes = 0;
    if (!segue_tensor_dtype_block(source->dtype, &block_elements, &block_bytes))
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s, source %u: its dtype \"%s\" is not known; leave "
                                     "it out for plain bytes",
                                     name_of(constant), at, source->dtype);
    if (source->dimension_count == 0)
        return SEGUE_OK;
    const uint64_t expected_bytes = shape_bytes(source, block_elements, block_bytes);
    if (expected_bytes != source->size_bytes)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s, source %u: its shape makes %" PRIu64
                                     " bytes of %s, and its size is %" PRIu64,
                                     name_of(constant), at, expected_bytes, source->dtype,
                                     source->size_bytes);
    return SEGUE_OK;
}

static segue_status check_file(const segue_prepack_plan *plan,
                               const struct segue_prepack_constant *constant, uint32_t at)
{
    const struct segue_prepack_source *source = &constant->sources[at];
    const char *file = source->file != NULL ? source->file : "its file";
    struct stat info;
    if (fstat(source->fd, &info) != 0 || !S_ISREG(info.st_mode))
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s, source %u: %s is not an open plain file",
                                     name_of(constant), at, file);
    const uint64_t file_bytes = (uint64_t)info.st_size;
    if (source->offset_bytes > file_bytes || source->size_bytes > file_bytes - source->offset_bytes)
        return segue_prepack_fail_on(plan->device, SEGUE_OUT_OF_RANGE,
                                     "constant %s, source %u: %" PRIu64 " bytes at byte %" PRIu64
                                     " leave the %" PRIu64 " bytes of %s",
                                     name_of(constant), at, source->size_bytes,
                                     source->offset_bytes, file_bytes, file);
    return SEGUE_OK;
}

/** Adds the size of the source to *all_bytes, so that sums of sizes never overflow. */
static segue_status check_source(const segue_prepack_plan *plan,
                                 const struct segue_prepack_constant *constant, uint32_t at,
                                 uint64_t *all_bytes)
{
    const struct segue_prepack_source *source = &constant->sources[at];
    if (source->size_bytes == 0)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s, source %u: it has no bytes", name_of(constant),
                                     at);
    if (source->size_bytes > INT64_MAX - *all_bytes)
        return segue_prepack_fail_on(plan->device, SEGUE_OUT_OF_RANGE,
                                     "constant %s, source %u: with its %" PRIu64
                                     " bytes there are more than %" PRId64 " in all",
                                     name_of(constant), at, source->size_bytes, INT64_MAX);
    *all_bytes += source->size_bytes;
    segue_status status = SEGUE_OK;
    switch (source->kind) {
    case SEGUE_PREPACK_FILE:
        status = check_file(plan, constant, at);
        break;
    case SEGUE_PREPACK_HOST:
        if (source->data == NULL)
            status = segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                           "constant %s, source %u: data is NULL",
                                           name_of(constant), at);
        break;
    case SEGUE_PREPACK_GENERATOR:
        if (source->generate == NULL || (source->identity == NULL && source->identity_bytes != 0))
            status = segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                           "constant %s, source %u: generate or identity is NULL",
                                           name_of(constant), at);
        break;
    default:
        status = segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                       "constant %s, source %u: kind is %d; use a value of "
                                       "segue_prepack_source_kind",
                                       name_of(constant), at, (int)source->kind);
        break;
    }
    return status == SEGUE_OK ? check_shape(plan, constant, at) : status;
}

static segue_status check_packing(const segue_prepack_plan *plan,
                                  const struct segue_prepack_constant *constant)
{
    const struct segue_prepack_packing *packing = constant->packing;
    if (packing->executable == NULL)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s: its packing has no executable",
                                     name_of(constant));
    struct segue_executable_params executable;
    segue_executable_get_params(packing->executable, &executable);
    if (packing->entry_point >= executable.entry_point_count)
        return segue_prepack_fail_on(
            plan->device, SEGUE_OUT_OF_RANGE, "constant %s: its packing's entry point is %u of %u",
            name_of(constant), packing->entry_point, executable.entry_point_count);
    const struct segue_entry_point *entry = &executable.entry_points[packing->entry_point];
    uint32_t binding_count = 0;
    for (uint32_t i = 0; i < entry->parameter_count; i++)
        binding_count += entry->parameters[i].kind != SEGUE_PARAMETER_CONSTANT;
    if (binding_count != constant->source_count + 1)
        return segue_prepack_fail_on(
            plan->device, SEGUE_INCOMPATIBLE,
            "constant %s: %s takes %u buffers, and its %u sources with the "
            "packed constant make %u",
            name_of(constant), entry->name, binding_count, constant->source_count,
            constant->source_count + 1);
    if (packing->layout_id == 0)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s: layout 0 stands for bytes as they are; give its "
                                     "packing's layout an id",
                                     name_of(constant));
    if (plan->params.cache != NULL && packing->probe == NULL)
        return segue_prepack_fail_on(
            plan->device, SEGUE_INVALID_ARGUMENT,
            "constant %s: its packing needs a probe, so that the cache can "
            "tell when %s has changed",
            name_of(constant), entry->name);
    if (packing->probe != NULL) {
        for (uint32_t i = 0; i < constant->source_count; i++) {
            if (packing->probe->input_bytes[i] == 0 || packing->probe->output_bytes == 0)
                return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                             "constant %s: its packing's probe has no bytes",
                                             name_of(constant));
        }
    }
    return SEGUE_OK;
}

static segue_status check_destination(const segue_prepack_plan *plan,
                                      const struct segue_prepack_constant *constant,
                                      uint64_t packed_bytes)
{
    struct segue_buffer_info info;
    segue_buffer_get_info(constant->destination, &info);
    if (info.memory != SEGUE_MEMORY_CONSTANT)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ACCESS,
                                     "constant %s: its destination \"%s\" must be constant memory",
                                     name_of(constant), info.label);
    if (info.memory_offset_bytes != 0 || info.memory_size_bytes != info.size_bytes)
        return segue_prepack_fail_on(
            plan->device, SEGUE_INVALID_ACCESS,
            "constant %s: its destination \"%s\" is a part of other memory "
            "and must be dedicated",
            name_of(constant), info.label);
    if (info.is_sealed)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ACCESS,
                                     "constant %s: its destination \"%s\" is sealed; a constant is "
                                     "loaded once",
                                     name_of(constant), info.label);
    if (info.size_bytes != packed_bytes)
        return segue_prepack_fail_on(plan->device, SEGUE_OUT_OF_RANGE,
                                     "constant %s: its destination \"%s\" has %" PRIu64
                                     " bytes, and packed it has %" PRIu64,
                                     name_of(constant), info.label, info.size_bytes, packed_bytes);
    return SEGUE_OK;
}

segue_status segue_prepack_check(const segue_prepack_plan *plan,
                                 const struct segue_prepack_constant *constant,
                                 uint64_t *out_packed_bytes)
{
    if (constant->name == NULL || constant->name[0] == '\0' ||
        strlen(constant->name) > SEGUE_PACKED_MAX_NAME_BYTES ||
        !segue_prepack_is_plain(constant->name))
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %u: its name must have 1 to %d bytes and no control "
                                     "characters",
                                     plan->item_count, SEGUE_PACKED_MAX_NAME_BYTES);
    const uint32_t most_sources = constant->packing != NULL ? SEGUE_PREPACK_MAX_SOURCES : 1;
    if (constant->sources == NULL || constant->source_count == 0 ||
        constant->source_count > most_sources)
        return segue_prepack_fail_on(plan->device, SEGUE_OUT_OF_RANGE,
                                     "constant %s: %u sources; it must have 1 to %u",
                                     name_of(constant), constant->source_count, most_sources);
    segue_status status = SEGUE_OK;
    uint64_t all_bytes = 0;
    for (uint32_t i = 0; status == SEGUE_OK && i < constant->source_count; i++)
        status = check_source(plan, constant, i, &all_bytes);
    if (status == SEGUE_OK && constant->packing != NULL)
        status = check_packing(plan, constant);
    if (status != SEGUE_OK)
        return status;
    const uint64_t source_bytes = constant->sources[0].size_bytes;
    const uint64_t packed_bytes = constant->packed_bytes == 0 && constant->packing == NULL
                                      ? source_bytes
                                      : constant->packed_bytes;
    if (packed_bytes == 0 || (constant->packing == NULL && packed_bytes != source_bytes))
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s: packed_bytes is %" PRIu64 "%s",
                                     name_of(constant), packed_bytes,
                                     packed_bytes == 0 ? "; say what the packing makes"
                                                       : ", unlike its source that is not packed");
    const char *problem =
        constant->packing != NULL ? segue_prepack_rows_problem(constant, packed_bytes) : NULL;
    if (problem != NULL)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s: the %u rows of its packing %s",
                                     name_of(constant), constant->packing->rows.count, problem);
    const uint32_t align_bytes = constant->align_bytes;
    if ((align_bytes & (align_bytes - 1)) != 0 || align_bytes > SEGUE_BUFFER_ALIGN_BYTES)
        return segue_prepack_fail_on(plan->device, SEGUE_INVALID_ARGUMENT,
                                     "constant %s: align_bytes is %u; use a power of two up to %d",
                                     name_of(constant), align_bytes, SEGUE_BUFFER_ALIGN_BYTES);
    if (constant->destination != NULL)
        status = check_destination(plan, constant, packed_bytes);
    if (status == SEGUE_OK)
        *out_packed_bytes = packed_bytes;
    return status;
}
