// SPDX-License-Identifier: Apache-2.0
// Row `token` of an int4 table, dequantised, eight elements a thread. A token beyond the table
// counts as its last row, so that no index leaves it.

extern "C" __global__ void __launch_bounds__(256)
    segue_embed_int4(const u32 *token, const u8 *table, const bf16 *scales, float *out,
                     u32 vocabulary, u32 hidden)
{
    trigger();
    wait_for_predecessors();
    const u32 row = min(*token, vocabulary - 1);
    const u32 *packed = (const u32 *)(table + (u64)row * (hidden / 2));
    const bf16 *row_scales = scales + (u64)row * (hidden / GROUP);
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < hidden / 8;
         i += gridDim.x * blockDim.x) {
        const u32 q = packed[i];
        const float scale = to_float(row_scales[i / (GROUP / 8)]);
        float4 *to = (float4 *)out + i * 2;
        to[0] = make_float4(weight_of(q, 0) * scale, weight_of(q, 1) * scale,
                            weight_of(q, 2) * scale, weight_of(q, 3) * scale);
        to[1] = make_float4(weight_of(q, 4) * scale, weight_of(q, 5) * scale,
                            weight_of(q, 6) * scale, weight_of(q, 7) * scale);
    }
}
