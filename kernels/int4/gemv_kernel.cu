// SPDX-License-Identifier: Apache-2.0
/* ---- The kernel ------------------------------------------------------------------------------ */

extern __shared__ __align__(128) u8 shared[];

extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    ENTRY(const void *x, const u8 *packed,
#if FLAGS & FLAG_NORM
          const u16 *norm,
#endif
#if FLAGS & FLAG_BIAS
          const float *bias,
#endif
#if FLAGS & FLAG_RESIDUAL
          const void *residual,
#endif
#if FLAGS & FLAG_ROPE_KV
          const float *frequencies,
#endif
#if FLAGS & FLAG_KV_FP8
          const float *kv_scales,
#endif
#if FLAGS & (FLAG_ROPE_KV | FLAG_ADVANCE)
          u32 *position,
#endif
#if FLAGS & FLAG_ROPE_KV
          void *k_cache, void *v_cache,
#endif
          void *out,
#if FLAGS & FLAG_ARGMAX
          u32 *token, u64 *state,
#endif
          constants constants)
{
    const u32 warp = threadIdx.x / 32;
    const u32 lane = threadIdx.x % 32;
    share share;
    share.first_tile = (u32)((u64)TILES * blockIdx.x / gridDim.x);
    share.tile_count = (u32)((u64)TILES * (blockIdx.x + 1) / gridDim.x) - share.first_tile;
    const u8 *tiles = packed + share.first_tile * TILE_BYTES;
    u64 *barriers = (u64 *)(shared + WARPS * SLOTS * SLOT_BYTES);
    float *sums = (float *)(barriers + (WARPS * SLOTS + 1) / 2 * 2);
    u8 *staged = (u8 *)(sums + SUMS_FLOATS);

    ring ring = {};
    ring.slots = shared + warp * SLOTS * SLOT_BYTES;
    ring.barriers = barriers + warp * SLOTS;
    const u32 column_warp = warp % COLUMN_WARPS;
    const u32 row_warp = warp / COLUMN_WARPS;
    ring.first_block = BLOCKS * column_warp / COLUMN_WARPS;
    ring.block_count =
        EVEN_SPLIT ? WARP_BLOCKS : BLOCKS * (column_warp + 1) / COLUMN_WARPS - ring.first_block;
    ring.tiles_left = share.tile_count > row_warp ? share.tile_count - row_warp : 0;
    ring.total = (ring.tiles_left + STEP_TILES - 1) / STEP_TILES * slots_of_tile(ring);
    ring.next = tiles + row_warp * TILE_BYTES + (u64)ring.first_block * BLOCK_BYTES;
    open_ring(ring, lane);

    vectors vectors = {x, nullptr, constants.epsilon};
    outputs outputs = {};
#if FLAGS & FLAG_NORM
    vectors.norm = norm;
#endif
#if FLAGS & FLAG_BIAS
    outputs.bias = bias;
#endif
#if FLAGS & FLAG_RESIDUAL
    outputs.residual = residual;
#endif
#if FLAGS & FLAG_ROPE_KV
    outputs.frequencies = frequencies;
    outputs.k_cache = k_cache;
    outputs.v_cache = v_cache;
    outputs.capacity = constants.capacity;
#endif
#if FLAGS & FLAG_KV_FP8
    outputs.kv_scales = kv_scales;
#endif
#if FLAGS & (FLAG_ROPE_KV | FLAG_ADVANCE)
    outputs.position = position;
#endif
#if FLAGS & FLAG_ARGMAX
    __shared__ u64 best[BATCH];
    outputs.token = token;
    outputs.state = state;
    outputs.best = best;
#endif
    outputs.out = out;
#if BYTES
    outputs.squares = (float *)(staged + WARPS * WARP_STAGED_BYTES);
    outputs.epsilon = constants.epsilon;
#endif
    held held;
    prepare_constants(outputs, share);
    hold(vectors, ring, tiles + (u64)BLOCKS * BLOCK_BYTES, held);
#if HAS_BULK_COPY
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
    if (LATE_TRIGGER == 1 || (LATE_TRIGGER == 2 && !BYTES))
        trigger();
    prepare(outputs, share);
    walk(share, ring, vectors, held, sums, staged, outputs);
    finish_argmax(outputs);
}
