// SPDX-License-Identifier: Apache-2.0
// Checksums of what came from the cache, computed where it is now.
#include "plan.h"

#include "cache.h"
#include "error.h"

#include <segue/prepack_kernels.h>

#include <string.h>

segue_status segue_prepack_make_checksum(segue_device *device, segue_executable **out_executable)
{
    struct segue_executable_params params;
    segue_status status = segue_kernels_register_checksum(device);
    segue_kernels_get_checksum(&params);
    if (status == SEGUE_OK)
        status = segue_executable_create(device, &params, out_executable);
    return status;
}

/** Computes the checksums of all chunks of a buffer into `sums`. */
static segue_status compute(segue_prepack_plan *plan, segue_buffer *buffer, segue_buffer *sums,
                            uint64_t size_bytes, uint32_t chunk_count)
{
    const struct segue_checksum_constants constants = {.size_bytes = size_bytes,
                                                       .chunk_bytes = SEGUE_PACKED_CHUNK_BYTES};
    const struct segue_buffer_ref bindings[] = {
        {.buffer = buffer, .length_bytes = SEGUE_WHOLE_SIZE},
        {.buffer = sums, .length_bytes = SEGUE_WHOLE_SIZE},
    };
    const struct segue_dispatch dispatch = {
        .executable = plan->checksum,
        .grid = {chunk_count, 1, 1},
        .bindings = bindings,
        .binding_count = 2,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
    };
    segue_status status = segue_prepack_stream_dispatch(plan->stream, &dispatch);
    if (status == SEGUE_OK)
        status = segue_prepack_stream_finish(plan->stream);
    return status;
}

/** Holds a result's bytes on the device against its entry. *out_chunk is the first that differs,
 *  SEGUE_PREPACK_NONE if none does. */
static segue_status verify(segue_prepack_plan *plan, const struct segue_prepack_result *result,
                           uint32_t *out_chunk)
{
    const uint64_t size_bytes = plan->items[result->item].packed_bytes;
    const uint32_t chunk_count = (uint32_t)segue_pack_chunk_count(size_bytes);
    const struct segue_buffer_params params = {
        .size_bytes = (uint64_t)chunk_count * sizeof(uint64_t),
        .memory = SEGUE_MEMORY_HOST_VISIBLE,
        .label = "prepack checksums",
    };
    segue_buffer *sums = NULL;
    void *values = NULL;
    segue_status status = segue_buffer_create(plan->device, &params, &sums);
    if (status == SEGUE_OK)
        status = segue_buffer_map(sums, &values);
    if (status == SEGUE_OK)
        status = compute(plan, result->buffer, sums, size_bytes, chunk_count);
    *out_chunk = SEGUE_PREPACK_NONE;
    for (uint32_t i = 0; status == SEGUE_OK && i < chunk_count; i++) {
        uint64_t sum;
        memcpy(&sum, (const char *)values + (size_t)i * sizeof(sum), sizeof(sum));
        if (sum != segue_packed_entry_device_checksum(result->entry, i) &&
            *out_chunk == SEGUE_PREPACK_NONE)
            *out_chunk = i;
    }
    segue_buffer_destroy(sums);
    return status;
}

segue_status segue_prepack_step_verify(segue_prepack_plan *plan, bool *out_done)
{
    while (plan->checksum != NULL && plan->cursor < plan->result_count) {
        struct segue_prepack_result *result = &plan->results[plan->cursor++];
        if (!result->is_wanted || result->way != SEGUE_PREPACK_HIT)
            continue;
        uint32_t chunk = SEGUE_PREPACK_NONE;
        segue_status status = verify(plan, result, &chunk);
        if (status != SEGUE_OK || chunk == SEGUE_PREPACK_NONE)
            return status;
        segue_packed_entry_report_corrupt(result->entry, chunk, "on the device");
        plan->stats.hit_count--;
        status = segue_prepack_replace_entry(plan, result);
        if (status == SEGUE_MISMATCH)
            return segue_prepack_fail_on(plan->device, SEGUE_MISMATCH,
                                         "constant %s: its bytes on the device do not match the "
                                         "cache's checksums",
                                         plan->items[result->item].name);
        // Back to loading: only this one is left to load.
        plan->phase = SEGUE_PREPACK_PHASE_LOAD;
        plan->cursor = 0;
        return status;
    }
    *out_done = true;
    return SEGUE_OK;
}
