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

// What a lane takes of a row at a time.
struct int4_group {
    uint4 q;
    bf16 scale;
};

__device__ inline int4_group load_group(const u8 *weights, const bf16 *scales, u64 index)
{
    return {((const uint4 *)weights)[index], scales[index]};
}

__device__ inline void store_row(bf16 *out, u32 row, float value)
{
    out[row] = to_bf16(value);
}

// Without the last rounding: logits.
__device__ inline void store_row(float *out, u32 row, float value)
{
    out[row] = value;
}

// The first weights, which are constant, are on their way before the wait for x.
template <typename result>
__device__ inline void linear_int4(const bf16 *x, const u8 *weights, const bf16 *scales,
                                   result *out, u32 rows, u32 columns)
{
    const u32 lane = threadIdx.x % 32;
    const u32 groups = columns / GROUP;
    const u32 first_row = blockIdx.x * 8 + threadIdx.x / 32;
    int4_group next = {};
    trigger();
    if (first_row < rows && lane < groups)
        next = load_group(weights, scales, (u64)first_row * groups + lane);
    wait_for_predecessors();
    for (u32 row = first_row; row < rows; row += gridDim.x * 8) {
        float sum = 0.0f;
        for (u32 group = lane; group < groups; group += 32) {
            if (row != first_row || group != lane)
                next = load_group(weights, scales, (u64)row * groups + group);
            const uint4 *values = (const uint4 *)(x + group * GROUP);
            const float part = dot_8(next.q.x, values[0]) + dot_8(next.q.y, values[1]) +
                               dot_8(next.q.z, values[2]) + dot_8(next.q.w, values[3]);
            sum += to_float(next.scale) * part;
        }
        sum = warp_sum(sum);
        if (lane == 0)
            store_row(out, row, sum);
    }
}

extern "C" __global__ void __launch_bounds__(256)
    segue_linear_int4(const bf16 *x, const u8 *weights, const bf16 *scales, bf16 *out, u32 rows,
                      u32 columns)
{
    linear_int4(x, weights, scales, out, rows, columns);
}

extern "C" __global__ void __launch_bounds__(256)
    segue_linear_int4_f32(const bf16 *x, const u8 *weights, const bf16 *scales, float *out,
                          u32 rows, u32 columns)
{
    linear_int4(x, weights, scales, out, rows, columns);
}
