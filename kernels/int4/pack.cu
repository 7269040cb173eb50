// SPDX-License-Identifier: Apache-2.0
// Packing of quantised rows and its inverse (docs/int4-layout.md). Packing: one thread for each
// word of eight nibbles, or for each scale and zero. Unpacking: one thread for each plain byte,
// scale and zero, so that no two threads write to one byte.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define TILE_ROWS 16
#define BLOCK_COLUMNS 128
#define PLANE_BYTES (TILE_ROWS * BLOCK_COLUMNS / 2)

// struct segue_quant_pack_constants.
struct constants {
    u32 columns;
    u32 bits;
    u32 group_size;
    u32 scale_bytes;
    u32 zero_bytes;
    u32 row_count;
    u32 pair_stride;
};

struct layout {
    bool per_row;
    u32 planes;
    u32 groups;
    u32 record_groups;
    u32 blocks;
    u32 record_bytes;
    u32 block_bytes;
    u64 tile_bytes;
    u64 tiles;
};

__device__ inline layout layout_of(const constants &c)
{
    layout l;
    l.per_row = c.group_size == c.columns;
    l.planes = c.bits / 4;
    l.groups = c.columns / c.group_size;
    l.blocks = (c.columns + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
    l.record_groups = l.per_row ? 1 : BLOCK_COLUMNS / c.group_size;
    l.record_bytes = TILE_ROWS * l.record_groups * (c.scale_bytes + c.zero_bytes);
    l.block_bytes = l.planes * PLANE_BYTES + (l.per_row ? 0 : l.record_bytes);
    l.tile_bytes = (u64)l.blocks * l.block_bytes + (l.per_row ? l.record_bytes : 0);
    l.tiles = ((u64)c.row_count + TILE_ROWS - 1) / TILE_ROWS;
    return l;
}

__device__ inline u32 plain_row_of(u32 row, u32 stride)
{
    const u32 stretch = row / (2 * stride) * (2 * stride);
    const u32 inside = row - stretch;
    return stretch + inside / 16 * 8 + inside % 8 + inside % 16 / 8 * stride;
}

// The inverse of plain_row_of.
__device__ inline u32 packed_row_of(u32 row, u32 stride)
{
    const u32 stretch = row / (2 * stride) * (2 * stride);
    const u32 inside = row - stretch;
    const u32 upper = inside / stride;
    const u32 pair = inside - upper * stride;
    return stretch + pair / 8 * 16 + pair % 8 + 8 * upper;
}

__device__ inline u32 get_nibble(const constants &c, const u8 *weights, u32 row, u32 column,
                                 u32 plane)
{
    const u64 index = (u64)row * c.columns + column;
    if (c.bits == 8)
        return (weights[index] ^ 0x80u) >> (4 * plane) & 15;
    return weights[index / 2] >> (4 * (index % 2)) & 15;
}

// Word `at` of the nibbles of the block.
__device__ inline u32 pack_word(const constants &c, const u8 *weights, u64 tile, u32 block, u32 at)
{
    const u32 plane = at / (PLANE_BYTES / 4);
    const u32 lane = at / 4 % 32;
    const u32 word = at % 4;
    const u32 first_column = block * BLOCK_COLUMNS + 64 * (at / 128 % 2) + 32 * (word / 2) +
                             8 * (lane % 4) + 4 * (word % 2);
    u32 value = 0;
    for (u32 i = 0; i < 8; i++) {
        const u64 row = tile * TILE_ROWS + lane / 4 + 8 * (i & 1);
        const u32 column = first_column + i / 2;
        u32 nibble = c.bits == 4 || plane == 1 ? 8 : 0;
        if (column < c.columns && row < c.row_count)
            nibble = get_nibble(c, weights, plain_row_of((u32)row, c.pair_stride), column, plane);
        value |= nibble << (4 * i);
    }
    return value;
}

// What every byte of zeros changes by: zero points of 8 bits are counted as the stored weights are,
// with 128 added.
__device__ inline u8 zero_flip(const constants &c)
{
    return c.bits == 8 && c.zero_bytes == 1 ? 0x80 : 0;
}

// Element `i` of one kind of a record of scales; `bytes` is 1, 2 or 4. Bytes one by one: a plain
// array of single bytes may begin anywhere.
__device__ inline void pack_element(const constants &c, const layout &l, const u8 *plain, u32 bytes,
                                    u8 flip, u64 tile, u32 first_group, u32 i, u8 *packed)
{
    const u64 row = tile * TILE_ROWS + i / (2 * l.record_groups) + 8 * (i % 2);
    const u32 group = first_group + i / 2 % l.record_groups;
    const bool inside = group < l.groups && row < c.row_count;
    const u64 from =
        inside ? ((u64)plain_row_of((u32)row, c.pair_stride) * l.groups + group) * bytes : 0;
    for (u32 k = 0; k < bytes; k++)
        packed[i * bytes + k] = inside ? plain[from + k] ^ flip : 0;
}

__device__ inline void pack_record(const constants &c, const layout &l, const u8 *scales,
                                   const u8 *zeros, u64 tile, u32 first_group, u8 *packed)
{
    const u32 count = TILE_ROWS * l.record_groups;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
        pack_element(c, l, scales, c.scale_bytes, 0, tile, first_group, i, packed);
        if (c.zero_bytes != 0)
            pack_element(c, l, zeros, c.zero_bytes, zero_flip(c), tile, first_group, i,
                         packed + count * c.scale_bytes);
    }
}

__device__ void pack(const constants &c, const u8 *weights, const u8 *scales, const u8 *zeros,
                     u8 *packed)
{
    const layout l = layout_of(c);
    for (u64 unit = blockIdx.x; unit < l.tiles * l.blocks; unit += gridDim.x) {
        const u64 tile = unit / l.blocks;
        const u32 block = (u32)(unit % l.blocks);
        u8 *at = packed + tile * l.tile_bytes + (u64)block * l.block_bytes;
        for (u32 i = threadIdx.x; i < l.planes * PLANE_BYTES / 4; i += blockDim.x)
            ((u32 *)at)[i] = pack_word(c, weights, tile, block, i);
        if (!l.per_row)
            pack_record(c, l, scales, zeros, tile, block * l.record_groups,
                        at + l.planes * PLANE_BYTES);
        else if (block == 0)
            pack_record(c, l, scales, zeros, tile, 0, at + (u64)l.blocks * l.block_bytes);
    }
}

extern "C" __global__ void __launch_bounds__(128)
    segue_quant_pack(const u8 *weights, const u8 *scales, u8 *packed, constants c)
{
    pack(c, weights, scales, nullptr, packed);
}

extern "C" __global__ void __launch_bounds__(128)
    segue_quant_pack_zeros(const u8 *weights, const u8 *scales, const u8 *zeros, u8 *packed,
                           constants c)
{
    pack(c, weights, scales, zeros, packed);
}

// The nibble of the weight at a packed row and a column.
__device__ inline u32 find_nibble(const layout &l, const u8 *packed, u32 packed_row, u32 column,
                                  u32 plane)
{
    const u32 inside = column % BLOCK_COLUMNS;
    const u32 lane = packed_row % 8 * 4 + inside / 8 % 4;
    const u32 word = inside / 32 % 2 * 2 + inside / 4 % 2;
    const u64 at = packed_row / TILE_ROWS * l.tile_bytes +
                   (u64)(column / BLOCK_COLUMNS) * l.block_bytes + plane * PLANE_BYTES +
                   inside / 64 * 512 + lane * 16 + word * 4 + inside % 4;
    return packed[at] >> (4 * (packed_row / 8 % 2)) & 15;
}

// Byte `index` of the plain weights.
__device__ inline u8 unpack_byte(const constants &c, const layout &l, const u8 *packed, u64 index)
{
    const u32 row_bytes = c.columns * c.bits / 8;
    const u32 packed_row = packed_row_of((u32)(index / row_bytes), c.pair_stride);
    const u32 byte = (u32)(index % row_bytes);
    if (c.bits == 8)
        return (u8)((find_nibble(l, packed, packed_row, byte, 0) |
                     find_nibble(l, packed, packed_row, byte, 1) << 4) ^
                    0x80u);
    return (u8)(find_nibble(l, packed, packed_row, 2 * byte, 0) |
                find_nibble(l, packed, packed_row, 2 * byte + 1, 0) << 4);
}

// Scale or zero `index` of the plain ones; `skipped` bytes of each record come before its kind.
__device__ inline void unpack_element(const constants &c, const layout &l, const u8 *packed,
                                      u32 skipped, u32 bytes, u8 flip, u64 index, u8 *plain)
{
    const u32 packed_row = packed_row_of((u32)(index / l.groups), c.pair_stride);
    const u32 group = (u32)(index % l.groups);
    u64 at = packed_row / TILE_ROWS * l.tile_bytes + skipped;
    if (l.per_row)
        at += (u64)l.blocks * l.block_bytes;
    else
        at += (u64)(group / l.record_groups) * l.block_bytes + l.planes * PLANE_BYTES;
    at += ((packed_row % 8 * l.record_groups + group % l.record_groups) * 2 + packed_row / 8 % 2) *
          bytes;
    for (u32 k = 0; k < bytes; k++)
        plain[index * bytes + k] = packed[at + k] ^ flip;
}

__device__ void unpack(const constants &c, const u8 *packed, u8 *weights, u8 *scales, u8 *zeros)
{
    const layout l = layout_of(c);
    const u64 first = (u64)blockIdx.x * blockDim.x + threadIdx.x;
    const u64 step = (u64)gridDim.x * blockDim.x;
    const u64 weight_bytes = (u64)c.row_count * (c.columns * c.bits / 8);
    for (u64 i = first; i < weight_bytes; i += step)
        weights[i] = unpack_byte(c, l, packed, i);
    for (u64 i = first; i < (u64)c.row_count * l.groups; i += step) {
        unpack_element(c, l, packed, 0, c.scale_bytes, 0, i, scales);
        if (c.zero_bytes != 0)
            unpack_element(c, l, packed, TILE_ROWS * l.record_groups * c.scale_bytes, c.zero_bytes,
                           zero_flip(c), i, zeros);
    }
}

extern "C" __global__ void __launch_bounds__(128)
    segue_quant_unpack(const u8 *packed, u8 *weights, u8 *scales, constants c)
{
    unpack(c, packed, weights, scales, nullptr);
}

extern "C" __global__ void __launch_bounds__(128)
    segue_quant_unpack_zeros(const u8 *packed, u8 *weights, u8 *scales, u8 *zeros, constants c)
{
    unpack(c, packed, weights, scales, zeros);
}
