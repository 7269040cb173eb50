// SPDX-License-Identifier: Apache-2.0
// Kernels of the tests. Their references are in kernels.c; keep both in step.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define FIRST (blockIdx.x * blockDim.x + threadIdx.x)
#define STEP (gridDim.x * blockDim.x)

// out = left + right
extern "C" __global__ void test_add(const u32 *left, const u32 *right, u32 *out, u32 count)
{
    for (u32 i = FIRST; i < count; i += STEP)
        out[i] = left[i] + right[i];
}

// data = data * factor + addend: what it gives depends on the order of two of them.
extern "C" __global__ void test_scale(u32 *data, u32 count, u32 factor, u32 addend)
{
    for (u32 i = FIRST; i < count; i += STEP)
        data[i] = data[i] * factor + addend;
}

// data = data * 31 + a neighbour in source
extern "C" __global__ void test_mix(const u32 *source, u32 *data, u32 count, u32 shift)
{
    for (u32 i = FIRST; i < count; i += STEP)
        data[i] = data[i] * 31 + source[(i + shift) % count];
}

// test_scale, after some time: what comes too early finds the old values.
extern "C" __global__ void test_slow_scale(u32 *data, u32 count, u32 factor, u32 addend,
                                           u64 spin_ns)
{
    u64 start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (now - start < spin_ns);
    for (u32 i = FIRST; i < count; i += STEP)
        data[i] = data[i] * factor + addend;
}

// Constants of all sizes between bindings, so that padding matters.
extern "C" __global__ void test_order(u8 step, u32 *out, u64 start, u16 shift, const u32 *source,
                                      u32 count)
{
    for (u32 i = FIRST; i < count; i += STEP)
        out[i] = (u32)(start >> shift) + i * step + source[i];
}

struct __align__(64) tensor_map_like {
    u32 words[32];
};

// A constant of 128 bytes that is aligned to 64, as a tensor map is.
extern "C" __global__ void test_struct(u32 before, const struct tensor_map_like map, u32 *out)
{
    if (FIRST < 32)
        out[FIRST] = map.words[FIRST] + before;
}

struct large_constant {
    u32 words[1000];
};

extern "C" __global__ void test_large(const struct large_constant large, u32 *out)
{
    for (u32 i = FIRST; i < 1000; i += STEP)
        out[i] = large.words[i] * 3;
}

// Reverses `count` words through dynamic shared memory; one block.
extern "C" __global__ void test_shared(const u32 *source, u32 *out, u32 count)
{
    extern __shared__ u32 words[];
    for (u32 i = threadIdx.x; i < count; i += blockDim.x)
        words[i] = source[i];
    __syncthreads();
    for (u32 i = threadIdx.x; i < count; i += blockDim.x)
        out[i] = words[count - 1 - i];
}

// Each block writes its rank in its cluster of 2.
extern "C" __global__ void test_cluster(u32 *out)
{
    u32 rank = 0;
#if __CUDA_ARCH__ >= 900
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
    if (threadIdx.x == 0)
        out[blockIdx.x] = rank + 100;
}

// Every block waits until all have arrived (counter must be 0 before), then writes how many.
extern "C" __global__ void test_cooperative(u32 *counter, u32 *out)
{
    if (threadIdx.x == 0) {
        atomicAdd(counter, 1);
        while (*(volatile u32 *)counter < gridDim.x) {
        }
        out[blockIdx.x] = *(volatile u32 *)counter;
    }
}

// Reaches its target through an address in its constants.
extern "C" __global__ void test_opaque(u64 target, u32 count, u32 factor, u32 addend)
{
    u32 *data = (u32 *)target;
    for (u32 i = FIRST; i < count; i += STEP)
        data[i] = data[i] * factor + addend;
}

extern "C" __global__ void test_nothing(void)
{
}

// Writes the launch's own shape.
extern "C" __global__ void test_shape(u32 *out)
{
    if (threadIdx.x + threadIdx.y + threadIdx.z + blockIdx.x + blockIdx.y + blockIdx.z == 0) {
        out[0] = gridDim.x;
        out[1] = gridDim.y;
        out[2] = gridDim.z;
        out[3] = blockDim.x;
        out[4] = blockDim.y;
        out[5] = blockDim.z;
    }
}

// test_scale by a table that nothing in flight writes; what comes after may be launched at once.
extern "C" __global__ void test_dependent(const u32 *table, u32 *data, u32 count)
{
    const u32 factor = table[0];
    const u32 addend = table[1];
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
    for (u32 i = FIRST; i < count; i += STEP)
        data[i] = data[i] * factor + addend;
}

// test_mix with both pointers in memory, which stand fast before what runs ahead is done.
extern "C" __global__ void test_indirect(u32 *const *pointers, u32 count, u32 shift)
{
    const u32 *source = pointers[0];
    u32 *data = pointers[1];
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
    for (u32 i = FIRST; i < count; i += STEP)
        data[i] = data[i] * 31 + source[(i + shift) % count];
}

// data = data * 3 + source, after some time; `source` is a parameter, `data` in memory.
extern "C" __global__ void test_indirect_slow(u32 count, const u32 *source, u32 *const *pointers,
                                              u64 spin_ns)
{
    u64 start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (now - start < spin_ns);
    u32 *data = pointers[0];
    for (u32 i = FIRST; i < count; i += STEP)
        data[i] = data[i] * 3 + source[i];
}
