// SPDX-License-Identifier: Apache-2.0
// Row `token` of an int4 table, dequantised. A token beyond the table counts as its last row, so
// that no index leaves it.

extern "C" __global__ void __launch_bounds__(256)
    segue_embed_int4(const u32 *token, const u8 *table, const bf16 *scales, float *out,
                     u32 vocabulary, u32 hidden)
{
    const u32 row = min(*token, vocabulary - 1);
    const u8 *packed = table + (u64)row * (hidden / 2);
    const bf16 *row_scales = scales + (u64)row * (hidden / GROUP);
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < hidden; i += gridDim.x * blockDim.x)
        out[i] = weight_of(packed[i / 2], i % 2) * to_float(row_scales[i / GROUP]);
}
