// SPDX-License-Identifier: Apache-2.0
// Products: checks, the kernel's options, and recording.
#include "gemv.h"

#include "gemv_plan.h"
#include "layout.h"
#include "number.h"
#include "quant_source.h"

#include <segue/device.h>

#include <stdio.h>

static segue_status refuse_flags(segue_device *device, const struct segue_quant_gemv_params *params,
                                 const char *why)
{
    return quant_fail(device, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": flags is 0x%x; %s",
                      quant_name(&params->matrix), params->flags, why);
}

static segue_status check_flags(segue_device *device, const struct segue_quant_gemv_params *params)
{
    const uint32_t flags = params->flags;
    const uint32_t known = GEMV_BINDING_FLAGS | SEGUE_QUANT_SILU_MUL;
    if (flags & ~known)
        return refuse_flags(device, params, "use bits of segue_quant_gemv_flags");
    if ((flags & SEGUE_QUANT_SILU_MUL) && (flags & ~(SEGUE_QUANT_SILU_MUL | SEGUE_QUANT_NORM)))
        return refuse_flags(device, params,
                            "SEGUE_QUANT_SILU_MUL goes with nothing but SEGUE_QUANT_NORM: neither "
                            "with SEGUE_QUANT_BIAS nor with SEGUE_QUANT_RESIDUAL");
    if ((flags & SEGUE_QUANT_ROPE_KV) &&
        (flags & ~(SEGUE_QUANT_ROPE_KV | SEGUE_QUANT_BIAS | SEGUE_QUANT_NORM | SEGUE_QUANT_KV_FP8)))
        return refuse_flags(device, params,
                            "SEGUE_QUANT_ROPE_KV goes with SEGUE_QUANT_BIAS, SEGUE_QUANT_NORM and "
                            "SEGUE_QUANT_KV_FP8");
    if ((flags & SEGUE_QUANT_KV_FP8) && !(flags & SEGUE_QUANT_ROPE_KV))
        return refuse_flags(device, params, "SEGUE_QUANT_KV_FP8 goes with SEGUE_QUANT_ROPE_KV");
    if ((flags & SEGUE_QUANT_ADVANCE) && !(flags & SEGUE_QUANT_ARGMAX))
        return refuse_flags(device, params, "SEGUE_QUANT_ADVANCE goes with SEGUE_QUANT_ARGMAX");
    return SEGUE_OK;
}

static segue_status check_pairs(segue_device *device, const struct segue_quant_gemv_params *params)
{
    const struct segue_quant_matrix *matrix = &params->matrix;
    if ((params->flags & SEGUE_QUANT_SILU_MUL) && (uint64_t)matrix->pair_stride * 2 != matrix->rows)
        return quant_fail(device, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": pair_stride is %u; SEGUE_QUANT_SILU_MUL needs half of "
                          "the %u rows",
                          quant_name(matrix), matrix->pair_stride, matrix->rows);
    if (!(params->flags & SEGUE_QUANT_ROPE_KV))
        return SEGUE_OK;
    const struct segue_quant_gemv_constants constants = segue_quant_gemv_constants_of(params);
    if (!segue_quant_gemv_heads_fit(&constants))
        return quant_fail(
            device, SEGUE_INVALID_ARGUMENT,
            "matrix \"%s\": %u heads and %u kv_heads of 2 * %u rows with a capacity "
            "of %u; SEGUE_QUANT_ROPE_KV needs none of them 0 and heads + 2 * kv_heads "
            "of them to be the %u rows",
            quant_name(matrix), params->heads.heads, params->heads.kv_heads, matrix->pair_stride,
            params->heads.capacity, matrix->rows);
    if (params->result_type == SEGUE_QUANT_F32)
        return quant_fail(device, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": result_type is %d; SEGUE_QUANT_ROPE_KV writes "
                          "SEGUE_QUANT_BF16 or SEGUE_QUANT_F16",
                          quant_name(matrix), (int)params->result_type);
    return SEGUE_OK;
}

static segue_status check_params(segue_device *device, const struct segue_quant_gemv_params *params)
{
    const segue_status status = segue_quant_check(&params->matrix);
    if (status != SEGUE_OK)
        return status;
    const char *name = quant_name(&params->matrix);
    if (params->batch == 0 || params->batch > SEGUE_QUANT_MAX_BATCH)
        return quant_fail(device, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": batch is %u; use 1 to %u",
                          name, params->batch, SEGUE_QUANT_MAX_BATCH);
    if (params->activation_type != SEGUE_QUANT_BF16 && params->activation_type != SEGUE_QUANT_F16)
        return quant_fail(device, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": activation_type is %d; use SEGUE_QUANT_BF16 or "
                          "SEGUE_QUANT_F16",
                          name, (int)params->activation_type);
    if ((unsigned)params->result_type > SEGUE_QUANT_F32)
        return quant_fail(device, SEGUE_INVALID_ARGUMENT,
                          "matrix \"%s\": result_type is %d; use a value of segue_quant_type", name,
                          (int)params->result_type);
    const segue_status flags_status = check_flags(device, params);
    return flags_status == SEGUE_OK ? check_pairs(device, params) : flags_status;
}

/** The entry point's parameters; returns how many. */
static uint32_t fill_parameters(uint32_t flags,
                                struct segue_parameter out_parameters[GEMV_MAX_PARAMETERS])
{
    enum gemv_binding bindings[GEMV_BINDING_COUNT];
    const uint32_t count = segue_quant_gemv_bindings(flags, bindings);
    for (uint32_t i = 0; i < count; i++)
        out_parameters[i] = segue_quant_gemv_parameter(bindings[i], flags);
    out_parameters[count] = (struct segue_parameter){
        .kind = SEGUE_PARAMETER_CONSTANT,
        .size_bytes = sizeof(struct segue_quant_gemv_constants),
    };
    return count + 1;
}

segue_status segue_quant_gemv_create(segue_device *device,
                                     const struct segue_quant_gemv_params *params,
                                     struct segue_quant_gemv *out_gemv)
{
    if (!params || !out_gemv)
        return quant_fail(device, SEGUE_INVALID_ARGUMENT, "%s is NULL",
                          params ? "out_gemv" : "params");
    segue_status status = check_params(device, params);
    if (status != SEGUE_OK)
        return status;
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    struct segue_quant_gemv gemv = {.constants = segue_quant_gemv_constants_of(params)};
    struct gemv_plan plan;
    if (!segue_quant_gemv_choose(&gemv.constants, &info, &plan))
        return quant_fail(device, SEGUE_UNIMPLEMENTED,
                          "matrix \"%s\": %u vectors of %u columns do not fit the shared memory, "
                          "which SEGUE_QUANT_NORM needs; use a smaller batch, or normalise before",
                          quant_name(&params->matrix), params->batch, params->matrix.columns);

    char texts[GEMV_OPTION_COUNT][GEMV_OPTION_BYTES];
    const char *options[GEMV_OPTION_COUNT];
    segue_quant_gemv_options(&gemv.constants, &plan, texts);
    for (uint32_t i = 0; i < GEMV_OPTION_COUNT; i++)
        options[i] = texts[i];
    struct segue_parameter parameters[GEMV_MAX_PARAMETERS];
    const struct segue_entry_point entry_point = {
        .name = segue_quant_gemv_name(params->flags),
        .parameters = parameters,
        .parameter_count = fill_parameters(params->flags, parameters),
        .block_size = {plan.warps * 32, 1, 1},
        .dynamic_shared_bytes = plan.shared_bytes,
        .flags = plan.wants_cache ? 0 : SEGUE_ENTRY_GRID_DEPENDENCY,
    };
    const struct segue_executable_params executable_params = {
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = segue_quant_gemv_source,
        .size_bytes = strlen(segue_quant_gemv_source),
        .options = options,
        .option_count = GEMV_OPTION_COUNT,
        .entry_points = &entry_point,
        .entry_point_count = 1,
        .label = quant_name(&params->matrix),
    };
    status = segue_executable_create(device, &executable_params, &gemv.executable);
    if (status != SEGUE_OK)
        return status;
    uint64_t sizes[GEMV_BINDING_COUNT];
    segue_quant_gemv_sizes(&gemv.constants, sizes);
    gemv.grid = plan.grid;
    gemv.x_size_bytes = sizes[GEMV_X];
    gemv.packed_size_bytes = sizes[GEMV_PACKED];
    gemv.out_size_bytes = sizes[GEMV_OUT];
    gemv.cache_size_bytes = sizes[GEMV_K_CACHE];
    *out_gemv = gemv;
    return SEGUE_OK;
}

void segue_quant_gemv_destroy(struct segue_quant_gemv *gemv)
{
    if (gemv && gemv->executable)
        segue_executable_destroy(gemv->executable);
    if (gemv)
        gemv->executable = NULL;
}

segue_status segue_quant_cmd_gemv(segue_command_buffer *command_buffer,
                                  const struct segue_quant_gemv *gemv,
                                  const struct segue_quant_gemv_buffers *buffers)
{
    if (!gemv || !buffers || !gemv->executable)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "product: %s is NULL",
                          !gemv     ? "gemv"
                          : buffers ? "gemv->executable"
                                    : "buffers");
    const struct {
        const char *name;
        struct segue_buffer_ref ref;
    } given[GEMV_BINDING_COUNT] = {
        [GEMV_X] = {"x", buffers->x},
        [GEMV_PACKED] = {"packed", buffers->packed},
        [GEMV_NORM] = {"norm", buffers->norm},
        [GEMV_BIAS] = {"bias", buffers->bias},
        [GEMV_RESIDUAL] = {"residual", buffers->residual},
        [GEMV_FREQUENCIES] = {"frequencies", buffers->frequencies},
        [GEMV_KV_SCALES] = {"kv_scales", buffers->kv_scales},
        [GEMV_POSITION] = {"position", buffers->position},
        [GEMV_K_CACHE] = {"k_cache", buffers->k_cache},
        [GEMV_V_CACHE] = {"v_cache", buffers->v_cache},
        [GEMV_OUT] = {"out", buffers->out},
        [GEMV_TOKEN] = {"token", buffers->token},
        [GEMV_STATE] = {"state", buffers->state},
    };
    enum gemv_binding bindings[GEMV_BINDING_COUNT];
    struct segue_buffer_ref refs[GEMV_BINDING_COUNT];
    uint64_t sizes[GEMV_BINDING_COUNT];
    segue_quant_gemv_sizes(&gemv->constants, sizes);
    const uint32_t count = segue_quant_gemv_bindings(gemv->constants.flags, bindings);
    for (uint32_t i = 0; i < count; i++) {
        const enum gemv_binding binding = bindings[i];
        const segue_status status = segue_quant_fit("product", given[binding].name,
                                                    given[binding].ref, sizes[binding], &refs[i]);
        if (status != SEGUE_OK)
            return status;
    }
    const struct segue_dispatch dispatch = {
        .executable = gemv->executable,
        .grid = {gemv->grid, 1, 1},
        .bindings = refs,
        .binding_count = count,
        .constants = &gemv->constants,
        .constants_size_bytes = sizeof(gemv->constants),
    };
    return segue_cmd_dispatch(command_buffer, &dispatch);
}
