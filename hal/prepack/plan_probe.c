// SPDX-License-Identifier: Apache-2.0
// Fingerprints: what a packer makes of bytes that are always the same.
#include "plan.h"

#include "error.h"

#include <segue/prepack_kernels.h>

#include <stdlib.h>
#include <string.h>

void segue_prepack_make_dispatch(const struct segue_prepack_packer *packer,
                                 const struct segue_prepack_launch *launch,
                                 segue_buffer *const *inputs, segue_buffer *output,
                                 struct segue_buffer_ref *bindings,
                                 struct segue_dispatch *out_dispatch)
{
    for (uint32_t i = 0; i <= packer->input_count; i++)
        bindings[i] = (struct segue_buffer_ref){
            .buffer = i < packer->input_count ? inputs[i] : output,
            .length_bytes = SEGUE_WHOLE_SIZE,
        };
    *out_dispatch = (struct segue_dispatch){
        .executable = packer->executable,
        .entry_point = packer->entry_point,
        .dynamic_shared_bytes = launch->dynamic_shared_bytes,
        .bindings = bindings,
        .binding_count = packer->input_count + 1,
        .constants = launch->constants,
        .constants_size_bytes = launch->constants_size_bytes,
    };
    memcpy(out_dispatch->grid, launch->grid, sizeof(launch->grid));
    memcpy(out_dispatch->block, launch->block, sizeof(launch->block));
}

/** Device memory that holds bytes which follow from `seed`; 0: zeros. */
static segue_status make_buffer(segue_device *device, uint64_t size_bytes, uint64_t seed,
                                segue_buffer **out_buffer)
{
    const struct segue_buffer_params params = {.size_bytes = size_bytes, .label = "prepack probe"};
    unsigned char *data = malloc((size_t)size_bytes);
    if (data == NULL)
        return segue_prepack_fail_memory("a packer's probe");
    for (uint64_t i = 0; i < size_bytes; i++)
        data[i] =
            seed == 0
                ? 0
                : (unsigned char)segue_checksum_mix((seed << 32) + (i + 1) * SEGUE_CHECKSUM_GOLDEN);
    segue_buffer *buffer = NULL;
    segue_status status = segue_buffer_create(device, &params, &buffer);
    if (status == SEGUE_OK)
        status = segue_buffer_write(buffer, 0, data, size_bytes);
    free(data);
    if (status == SEGUE_OK)
        *out_buffer = buffer;
    else
        segue_buffer_destroy(buffer);
    return status;
}

static segue_status digest_output(segue_buffer *output, uint64_t size_bytes,
                                  struct segue_packed_digest *out_digest)
{
    void *data = malloc((size_t)size_bytes);
    if (data == NULL)
        return segue_prepack_fail_memory("a packer's probe");
    const segue_status status = segue_buffer_read(output, 0, data, size_bytes);
    if (status == SEGUE_OK)
        segue_packed_digest_bytes(data, (size_t)size_bytes, out_digest);
    free(data);
    return status;
}

segue_status segue_prepack_fingerprint(segue_prepack_plan *plan,
                                       struct segue_prepack_packer *packer)
{
    if (packer->is_known)
        return SEGUE_OK;
    segue_buffer *inputs[SEGUE_PREPACK_MAX_SOURCES] = {0};
    segue_buffer *output = NULL;
    segue_status status = make_buffer(plan->device, packer->probe.output_bytes, 0, &output);
    for (uint32_t i = 0; status == SEGUE_OK && i < packer->input_count; i++)
        status = make_buffer(plan->device, packer->probe.input_bytes[i], i + 1, &inputs[i]);
    if (status == SEGUE_OK) {
        struct segue_buffer_ref bindings[SEGUE_PREPACK_MAX_SOURCES + 1];
        struct segue_dispatch dispatch;
        segue_prepack_make_dispatch(packer, &packer->probe.launch, inputs, output, bindings,
                                    &dispatch);
        status = segue_prepack_stream_dispatch(plan->stream, &dispatch);
    }
    if (status == SEGUE_OK)
        status = segue_prepack_stream_finish(plan->stream);
    if (status == SEGUE_OK)
        status = digest_output(output, packer->probe.output_bytes, &packer->fingerprint);
    packer->is_known = status == SEGUE_OK;
    for (uint32_t i = 0; i < packer->input_count; i++)
        segue_buffer_destroy(inputs[i]);
    segue_buffer_destroy(output);
    return status;
}
