// SPDX-License-Identifier: Apache-2.0

// out = gate / (1 + exp(-gate)) * up
extern "C" __global__ void __launch_bounds__(256)
    segue_silu_mul(const bf16 *gate, const bf16 *up, bf16 *out, u32 count)
{
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x) {
        const float x = to_float(gate[i]);
        out[i] = to_bf16(x / (1.0f + expf(-x)) * to_float(up[i]));
    }
}

// The residual stream: x += y
extern "C" __global__ void __launch_bounds__(256)
    segue_residual_add(float *x, const bf16 *y, u32 count)
{
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += gridDim.x * blockDim.x)
        x[i] += to_float(y[i]);
}
