// SPDX-License-Identifier: Apache-2.0
// Kernels with one defect each, and one without: what the emulator must find. Blocks of 64 threads.
// `in` may be written by another kernel before, `table` is constant; 256 words each, as is `out`.

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define KERNEL(name) \
    extern "C" __global__ void __launch_bounds__(64) name(const u32 *in, const u32 *table, u32 *out)

#define TRIGGER() asm volatile("griddepcontrol.launch_dependents;")
#define WAIT() asm volatile("griddepcontrol.wait;" ::: "memory")

extern __shared__ __align__(128) u8 slots[];

__device__ __forceinline__ u32 shared_address(const void *pointer)
{
    return (u32)__cvta_generic_to_shared(pointer);
}

__device__ __forceinline__ void start_copy(u32 target, const void *source)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target), "l"(source) : "memory");
}

// out[i] = in[63 - i] + table[i] + the sum of in[0..31] or in[32..63].
KERNEL(good)
{
    __shared__ u32 kept[64];
    TRIGGER();
    const u32 constant = table[threadIdx.x];
    WAIT();
    const u32 value = in[threadIdx.x];
    kept[threadIdx.x] = value;
    u32 sum = value;
    for (u32 distance = 16; distance > 0; distance /= 2)
        sum += __shfl_xor_sync(0xFFFFFFFFu, sum, distance);
    __syncthreads();
    out[threadIdx.x] = kept[63 - threadIdx.x] + constant + sum;
}

KERNEL(no_barrier)
{
    __shared__ u32 kept[64];
    WAIT();
    kept[threadIdx.x] = in[threadIdx.x];
    out[threadIdx.x] = kept[63 - threadIdx.x];
}

KERNEL(wrong_lane)
{
    WAIT();
    u32 sum = in[threadIdx.x];
    for (u32 distance = 8; distance > 0; distance /= 2)
        sum += __shfl_xor_sync(0xFFFFFFFFu, sum, distance);
    out[threadIdx.x] = sum;
}

KERNEL(early_read)
{
    const u32 value = in[threadIdx.x];
    WAIT();
    out[threadIdx.x] = value;
}

// Thread 0 waits; the others do not.
KERNEL(early_write)
{
    if (threadIdx.x == 0)
        WAIT();
    __syncthreads();
    out[threadIdx.x] = 0;
}

KERNEL(no_wait)
{
}

KERNEL(beyond)
{
    WAIT();
    out[threadIdx.x] = in[threadIdx.x * 4 + 4];
}

KERNEL(before)
{
    WAIT();
    out[(int)threadIdx.x - 1] = 0;
}

KERNEL(constant_write)
{
    WAIT();
    ((u32 *)table)[threadIdx.x] = in[threadIdx.x];
}

KERNEL(divergent)
{
    WAIT();
    if (threadIdx.x < 32)
        __syncthreads();
    out[threadIdx.x] = 0;
}

KERNEL(ended_lanes)
{
    WAIT();
    if (threadIdx.x % 32 == 5)
        return;
    out[threadIdx.x] = __shfl_xor_sync(0xFFFFFFFFu, threadIdx.x, 1);
}

KERNEL(misaligned)
{
    WAIT();
    const uint4 value = *(const uint4 *)(in + threadIdx.x + 1);
    out[threadIdx.x] = value.x;
}

// Fills its slot again while other lanes have still to read it.
KERNEL(late_slot)
{
    WAIT();
    u32 *slot = (u32 *)slots + threadIdx.x / 32 * 4;
    u32 sum = 0;
    for (u32 turn = 0; turn < 2; turn++) {
        if (threadIdx.x % 32 == 0) {
            start_copy(shared_address(slot), in + turn * 4);
            asm volatile("cp.async.commit_group;" ::: "memory");
            asm volatile("cp.async.wait_group 0;" ::: "memory");
        }
        __syncwarp();
        sum += slot[threadIdx.x % 4];
    }
    out[threadIdx.x] = sum;
}

KERNEL(no_copy_wait)
{
    WAIT();
    u32 *slot = (u32 *)slots + threadIdx.x * 4;
    start_copy(shared_address(slot), in + threadIdx.x * 4);
    asm volatile("cp.async.commit_group;" ::: "memory");
    asm volatile("cp.async.wait_group 1;" ::: "memory");
    const u32 value = slot[0];
    asm volatile("cp.async.wait_group 0;" ::: "memory");
    out[threadIdx.x] = value;
}

KERNEL(unfinished_copy)
{
    WAIT();
    start_copy(shared_address((u32 *)slots + threadIdx.x * 4), in + threadIdx.x * 4);
    out[threadIdx.x] = 0;
}

// Waits for bytes that nobody copies.
KERNEL(endless)
{
    __shared__ u64 barrier;
    WAIT();
    const u32 address = shared_address(&barrier);
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(address) : "memory");
        asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(address), "r"(16)
                     : "memory");
    }
    __syncthreads();
    u32 done = 0;
    while (!done)
        asm volatile("{\n\t.reg .pred p;\n\t"
                     "mbarrier.try_wait.parity.shared.b64 p, [%1], %2;\n\t"
                     "selp.u32 %0, 1, 0, p;\n\t}"
                     : "=r"(done)
                     : "r"(address), "r"(0)
                     : "memory");
}

KERNEL(wrong_constant)
{
    WAIT();
    u32 value;
    asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(value) : "l"(out + threadIdx.x));
    out[threadIdx.x] = value + 1;
}

KERNEL(past_shared)
{
    WAIT();
    ((u32 *)slots)[threadIdx.x + 256] = 0;
}

/* ---- Clusters of four blocks ----------------------------------------------------------------- */

#define CLUSTER 4u

__device__ __forceinline__ void cluster_arrive()
{
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}

__device__ __forceinline__ void cluster_wait()
{
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

__device__ __forceinline__ void store_in_cluster(const u32 *place, u32 rank, u32 value)
{
    asm volatile("{\n\t.reg .u32 there;\n\t"
                 "mapa.shared::cluster.u32 there, %0, %1;\n\t"
                 "st.shared::cluster.u32 [there], %2;\n\t}" ::"r"(shared_address(place)),
                 "r"(rank), "r"(value)
                 : "memory");
}

// Thread i of block b: the sum over the blocks c of in[64 c + (64 - 16 b + i) % 64].
template <bool BEGIN, bool END>
__device__ inline void turn(u32 (*inbox)[64], const u32 *in, u32 *out)
{
    const u32 rank = blockIdx.x;
    WAIT();
    if (BEGIN) {
        cluster_arrive();
        cluster_wait();
    }
    for (u32 to = 0; to < CLUSTER; to++)
        store_in_cluster(&inbox[rank][(threadIdx.x + 16 * to) % 64], to,
                         in[rank * 64 + threadIdx.x]);
    if (END) {
        cluster_arrive();
        cluster_wait();
    }
    u32 sum = 0;
    for (u32 from = 0; from < CLUSTER; from++)
        sum += inbox[from][threadIdx.x];
    out[rank * 64 + threadIdx.x] = sum;
}

KERNEL(good_cluster)
{
    __shared__ u32 inbox[CLUSTER][64];
    turn<true, true>(inbox, in, out);
}

KERNEL(no_cluster_begin)
{
    __shared__ u32 inbox[CLUSTER][64];
    turn<false, true>(inbox, in, out);
}

KERNEL(no_cluster_end)
{
    __shared__ u32 inbox[CLUSTER][64];
    turn<true, false>(inbox, in, out);
}

// All but the first block end when they have come to the barrier.
KERNEL(ended_cluster)
{
    __shared__ u32 inbox[64];
    WAIT();
    cluster_arrive();
    if (blockIdx.x > 0)
        return;
    cluster_wait();
    store_in_cluster(inbox + threadIdx.x, 1, 1);
    out[threadIdx.x] = 0;
}

KERNEL(beyond_cluster)
{
    __shared__ u32 inbox[1];
    WAIT();
    store_in_cluster(inbox, CLUSTER, 1);
    out[threadIdx.x] = 0;
}

KERNEL(cluster_not_begun)
{
    WAIT();
    cluster_wait();
    out[threadIdx.x] = 0;
}

KERNEL(cluster_twice)
{
    WAIT();
    cluster_arrive();
    cluster_arrive();
    out[threadIdx.x] = 0;
}

// Thread 0 of block 0 does not come.
KERNEL(cluster_in_vain)
{
    WAIT();
    if (blockIdx.x + threadIdx.x > 0) {
        cluster_arrive();
        cluster_wait();
    }
    __syncthreads();
    out[threadIdx.x] = 0;
}
