// SPDX-License-Identifier: Apache-2.0
// out[row] = sum over k of (q[row][k] - 8) * scale[row][k / 32] * x[k], one warp per row. Rows are
// columns / 2 bytes of nibbles, low nibble first; a lane takes one group (16 bytes) at a time.

__device__ inline float dot_8(u32 packed, uint4 x)
{
    return weight_of(packed, 0) * first_of(x.x) + weight_of(packed, 1) * second_of(x.x) +
           weight_of(packed, 2) * first_of(x.y) + weight_of(packed, 3) * second_of(x.y) +
           weight_of(packed, 4) * first_of(x.z) + weight_of(packed, 5) * second_of(x.z) +
           weight_of(packed, 6) * first_of(x.w) + weight_of(packed, 7) * second_of(x.w);
}

__device__ inline float dot_row(const bf16 *x, const u8 *weights, const bf16 *scales, u32 row,
                                u32 columns)
{
    const u32 groups = columns / GROUP;
    const uint4 *packed = (const uint4 *)weights + (u64)row * groups;
    const bf16 *row_scales = scales + (u64)row * groups;
    float sum = 0.0f;
    for (u32 group = threadIdx.x % 32; group < groups; group += 32) {
        const uint4 q = packed[group];
        const uint4 *values = (const uint4 *)(x + group * GROUP);
        const float part = dot_8(q.x, values[0]) + dot_8(q.y, values[1]) + dot_8(q.z, values[2]) +
                           dot_8(q.w, values[3]);
        sum += to_float(row_scales[group]) * part;
    }
    return warp_sum(sum);
}

extern "C" __global__ void __launch_bounds__(256)
    segue_linear_int4(const bf16 *x, const u8 *weights, const bf16 *scales, bf16 *out, u32 rows,
                      u32 columns)
{
    for (u32 row = blockIdx.x * 8 + threadIdx.x / 32; row < rows; row += gridDim.x * 8) {
        const float sum = dot_row(x, weights, scales, row, columns);
        if (threadIdx.x % 32 == 0)
            out[row] = to_bf16(sum);
    }
}

// The same without the last rounding: logits.
extern "C" __global__ void __launch_bounds__(256)
    segue_linear_int4_f32(const bf16 *x, const u8 *weights, const bf16 *scales, float *out,
                          u32 rows, u32 columns)
{
    for (u32 row = blockIdx.x * 8 + threadIdx.x / 32; row < rows; row += gridDim.x * 8) {
        const float sum = dot_row(x, weights, scales, row, columns);
        if (threadIdx.x % 32 == 0)
            out[row] = sum;
    }
}
