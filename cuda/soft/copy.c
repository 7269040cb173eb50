// SPDX-License-Identifier: Apache-2.0
// Copies and memsets as work: checked, run, and described as ranges. Boxes of up to three
// dimensions; arrays (textures) are not modelled.
#include "memory.h"
#include "work.h"

#include <string.h>

// Bytes from the first to behind the last byte of a box; false if that overflows.
static bool box_span(uint64_t width, uint64_t height, uint64_t depth, uint64_t row_pitch,
                     uint64_t slice_pitch, uint64_t *out_bytes)
{
    uint64_t rows;
    uint64_t slices;
    return !__builtin_mul_overflow(height - 1, row_pitch, &rows) &&
           !__builtin_mul_overflow(depth - 1, slice_pitch, &slices) &&
           !__builtin_add_overflow(rows, slices, &rows) &&
           !__builtin_add_overflow(rows, width, out_bytes);
}

// One side of a CUDA_MEMCPY3D in plain values.
struct side_params {
    CUmemorytype type;
    const void *host;
    CUdeviceptr device;
    size_t x, y, z, pitch, height;
};

static CUresult make_side(const struct side_params *params, const CUDA_MEMCPY3D *box,
                          struct segue_soft_copy_side *out_side)
{
    struct segue_soft_copy_side side = {.row_pitch = params->pitch};
    switch (params->type) {
    case CU_MEMORYTYPE_HOST:
        side.address = (uint64_t)(uintptr_t)params->host;
        side.host = true;
        break;
    case CU_MEMORYTYPE_DEVICE:
    case CU_MEMORYTYPE_UNIFIED:
        side.address = (uint64_t)params->device;
        break;
    case CU_MEMORYTYPE_ARRAY:
        return segue_soft_unsupported("copies of CUDA arrays");
    default:
        return CUDA_ERROR_INVALID_VALUE;
    }
    side.row_pitch = side.row_pitch != 0 ? side.row_pitch : params->x + box->WidthInBytes;
    uint64_t height = params->height != 0 ? params->height : params->y + box->Height;
    if (side.row_pitch < params->x + box->WidthInBytes ||
        (box->Depth > 1 && height < params->y + box->Height)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (__builtin_mul_overflow(side.row_pitch, height, &side.slice_pitch)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    side.address += params->z * side.slice_pitch + params->y * side.row_pitch + params->x;
    // Pinned memory given as host memory is found by its address, like any device range.
    if (side.host && segue_soft_memory_place(side.address, 1) == SEGUE_SOFT_PLACE_PINNED) {
        side.host = false;
    }
    *out_side = side;
    return CUDA_SUCCESS;
}

CUresult segue_soft_copy_make(const CUDA_MEMCPY3D *params, struct segue_soft_work *out_work)
{
    if (params->WidthInBytes == 0 || params->Height == 0 || params->Depth == 0 ||
        params->reserved0 != NULL || params->reserved1 != NULL) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    struct side_params source = {
        params->srcMemoryType, params->srcHost, params->srcDevice, params->srcXInBytes,
        params->srcY,          params->srcZ,    params->srcPitch,  params->srcHeight,
    };
    struct side_params target = {
        params->dstMemoryType, params->dstHost, params->dstDevice, params->dstXInBytes,
        params->dstY,          params->dstZ,    params->dstPitch,  params->dstHeight,
    };
    struct segue_soft_work work = {
        .type = CU_GRAPH_NODE_TYPE_MEMCPY,
        .copy =
            {
                .width_bytes = params->WidthInBytes,
                .height = params->Height,
                .depth = params->Depth,
                .source_type = params->srcMemoryType,
                .target_type = params->dstMemoryType,
            },
    };
    CUresult result = make_side(&source, params, &work.copy.source);
    if (result == CUDA_SUCCESS) {
        result = make_side(&target, params, &work.copy.target);
    }
    if (result == CUDA_SUCCESS) {
        result = segue_soft_copy_check(&work.copy);
    }
    if (result == CUDA_SUCCESS) {
        *out_work = work;
    }
    return result;
}

static bool side_span(const struct segue_soft_copy *copy, const struct segue_soft_copy_side *side,
                      uint64_t *out_bytes)
{
    return box_span(copy->width_bytes, copy->height, copy->depth, side->row_pitch,
                    side->slice_pitch, out_bytes);
}

static bool side_is_valid(const struct segue_soft_copy *copy,
                          const struct segue_soft_copy_side *side)
{
    uint64_t bytes;
    if (!side_span(copy, side, &bytes)) {
        return false;
    }
    return side->host ? side->address != 0
                      : segue_soft_memory_translate(side->address, bytes) != NULL;
}

CUresult segue_soft_copy_check(const struct segue_soft_copy *copy)
{
    return side_is_valid(copy, &copy->source) && side_is_valid(copy, &copy->target)
               ? CUDA_SUCCESS
               : CUDA_ERROR_INVALID_VALUE;
}

static uint8_t *side_pointer(const struct segue_soft_copy *copy,
                             const struct segue_soft_copy_side *side)
{
    uint64_t bytes;
    if (!side_span(copy, side, &bytes)) {
        return NULL;
    }
    return side->host ? (uint8_t *)(uintptr_t)side->address
                      : segue_soft_memory_translate(side->address, bytes);
}

CUresult segue_soft_copy_run(const struct segue_soft_copy *copy)
{
    const uint8_t *source = side_pointer(copy, &copy->source);
    uint8_t *target = side_pointer(copy, &copy->target);
    if (source == NULL || target == NULL) {
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    for (uint64_t z = 0; z < copy->depth; ++z) {
        for (uint64_t y = 0; y < copy->height; ++y) {
            memmove(target + z * copy->target.slice_pitch + y * copy->target.row_pitch,
                    source + z * copy->source.slice_pitch + y * copy->source.row_pitch,
                    copy->width_bytes);
        }
    }
    return CUDA_SUCCESS;
}

// Adds a box row by row, or in one piece where rows touch.
static bool add_box(segue_soft_range_fn add, void *context, uint64_t address, uint64_t width,
                    uint64_t height, uint64_t depth, uint64_t row_pitch, uint64_t slice_pitch,
                    bool write)
{
    bool rows_touch = height == 1 || row_pitch == width;
    if (rows_touch && (depth == 1 || slice_pitch == width * height)) {
        return add(context, address, width * height * depth, !write, write);
    }
    for (uint64_t z = 0; z < depth; ++z) {
        for (uint64_t y = 0; y < height; ++y) {
            if (!add(context, address + z * slice_pitch + y * row_pitch, width, !write, write)) {
                return false;
            }
        }
    }
    return true;
}

static bool add_side(const struct segue_soft_copy *copy, const struct segue_soft_copy_side *side,
                     bool write, segue_soft_range_fn add, void *context)
{
    return add_box(add, context, side->address, copy->width_bytes, copy->height, copy->depth,
                   side->row_pitch, side->slice_pitch, write);
}

bool segue_soft_copy_ranges(const struct segue_soft_copy *copy, segue_soft_range_fn add,
                            void *context)
{
    return add_side(copy, &copy->source, false, add, context) &&
           add_side(copy, &copy->target, true, add, context);
}

CUresult segue_soft_set_make(const CUDA_MEMSET_NODE_PARAMS *params,
                             struct segue_soft_work *out_work)
{
    struct segue_soft_work work = {
        .type = CU_GRAPH_NODE_TYPE_MEMSET,
        .set =
            {
                .address = (uint64_t)params->dst,
                .pitch = params->pitch,
                .width = params->width,
                .height = params->height,
                .value = params->value,
                .element_bytes = params->elementSize,
            },
    };
    bool known_size =
        params->elementSize == 1 || params->elementSize == 2 || params->elementSize == 4;
    if (!known_size || params->width == 0 || params->height == 0) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    CUresult result = segue_soft_set_check(&work.set);
    if (result == CUDA_SUCCESS) {
        *out_work = work;
    }
    return result;
}

static uint8_t *set_pointer(const struct segue_soft_set *set)
{
    uint64_t row_bytes;
    uint64_t bytes;
    if (__builtin_mul_overflow(set->width, (uint64_t)set->element_bytes, &row_bytes) ||
        !box_span(row_bytes, set->height, 1, set->pitch, 0, &bytes)) {
        return NULL;
    }
    return segue_soft_memory_translate(set->address, bytes);
}

CUresult segue_soft_set_check(const struct segue_soft_set *set)
{
    bool aligned = set->address % set->element_bytes == 0 &&
                   (set->height == 1 || set->pitch % set->element_bytes == 0);
    bool wide = set->height == 1 || set->pitch / set->element_bytes >= set->width;
    return aligned && wide && set_pointer(set) != NULL ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult segue_soft_set_run(const struct segue_soft_set *set)
{
    uint8_t *start = set_pointer(set);
    if (start == NULL) {
        return CUDA_ERROR_ILLEGAL_ADDRESS;
    }
    for (uint64_t y = 0; y < set->height; ++y) {
        uint8_t *row = start + y * set->pitch;
        if (set->element_bytes == 1) {
            memset(row, (int)(set->value & 0xff), set->width);
            continue;
        }
        for (uint64_t x = 0; x < set->width; ++x) {
            // Little-endian: the low bytes of the value come first.
            memcpy(row + x * set->element_bytes, &set->value, set->element_bytes);
        }
    }
    return CUDA_SUCCESS;
}

bool segue_soft_set_ranges(const struct segue_soft_set *set, segue_soft_range_fn add, void *context)
{
    return add_box(add, context, set->address, set->width * set->element_bytes, set->height, 1,
                   set->pitch, 0, true);
}
