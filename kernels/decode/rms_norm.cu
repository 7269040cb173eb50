// SPDX-License-Identifier: Apache-2.0
// out = x / sqrt(mean(x * x) + epsilon) * weight. One block.

extern "C" __global__ void __launch_bounds__(256)
    segue_rms_norm(const float *x, const bf16 *weight, bf16 *out, u32 count, float epsilon)
{
    __shared__ float warp_sums[8];
    if (blockIdx.x > 0)
        return;
    float sum = 0.0f;
    for (u32 i = threadIdx.x; i < count; i += 256)
        sum += x[i] * x[i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        warp_sums[threadIdx.x / 32] = sum;
    __syncthreads();
    sum = 0.0f;
    for (u32 i = 0; i < 8; i++)
        sum += warp_sums[i];
    const float factor = 1.0f / sqrtf(sum / (float)count + epsilon);
    for (u32 i = threadIdx.x; i < count; i += 256)
        out[i] = to_bf16(x[i] * factor * to_float(weight[i]));
}
