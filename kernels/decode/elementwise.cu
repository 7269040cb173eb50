// SPDX-License-Identifier: Apache-2.0
// Four elements a thread, and the rest of fewer than four one each.

__device__ inline float silu_mul(float gate, float up)
{
    return gate / (1.0f + expf(-gate)) * up;
}

// out = gate / (1 + exp(-gate)) * up
extern "C" __global__ void __launch_bounds__(256)
    segue_silu_mul(const bf16 *gate, const bf16 *up, bf16 *out, u32 count)
{
    const u32 first = blockIdx.x * blockDim.x + threadIdx.x;
    const u32 rest = count / 4 * 4 + first;
    trigger();
    wait_for_predecessors();
    for (u32 i = first; i < count / 4; i += gridDim.x * blockDim.x) {
        const uint2 g = ((const uint2 *)gate)[i];
        const uint2 u = ((const uint2 *)up)[i];
        ((uint2 *)out)[i] = make_uint2(to_bf16_pair(silu_mul(first_of(g.x), first_of(u.x)),
                                                    silu_mul(second_of(g.x), second_of(u.x))),
                                       to_bf16_pair(silu_mul(first_of(g.y), first_of(u.y)),
                                                    silu_mul(second_of(g.y), second_of(u.y))));
    }
    if (rest < count)
        out[rest] = to_bf16(silu_mul(to_float(gate[rest]), to_float(up[rest])));
}

// The residual stream: x += y
extern "C" __global__ void __launch_bounds__(256)
    segue_residual_add(float *x, const bf16 *y, u32 count)
{
    const u32 first = blockIdx.x * blockDim.x + threadIdx.x;
    const u32 rest = count / 4 * 4 + first;
    trigger();
    wait_for_predecessors();
    for (u32 i = first; i < count / 4; i += gridDim.x * blockDim.x) {
        const float4 a = ((const float4 *)x)[i];
        const uint2 b = ((const uint2 *)y)[i];
        ((float4 *)x)[i] = make_float4(a.x + first_of(b.x), a.y + second_of(b.x),
                                       a.z + first_of(b.y), a.w + second_of(b.y));
    }
    if (rest < count)
        x[rest] += to_float(y[rest]);
}
