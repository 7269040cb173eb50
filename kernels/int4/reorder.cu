// SPDX-License-Identifier: Apache-2.0
// Vectors with their columns in another order (segue_quant_import_get_order). Follows pack.cu.

// struct segue_quant_reorder_constants.
struct reorder_constants {
    u32 columns;
    u32 batch;
    u32 element_bytes;
};

extern "C" __global__ void __launch_bounds__(128)
    segue_quant_reorder(const u8 *x, const u32 *order, u8 *out, reorder_constants c)
{
    const u64 count = (u64)c.batch * c.columns;
    const u64 step = (u64)gridDim.x * blockDim.x;
    for (u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        const u64 from = i / c.columns * c.columns + order[i % c.columns];
        if (c.element_bytes == 4)
            ((u32 *)out)[i] = ((const u32 *)x)[from];
        else
            ((u16 *)out)[i] = ((const u16 *)x)[from];
    }
}
