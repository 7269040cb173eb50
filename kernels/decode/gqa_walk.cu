// SPDX-License-Identifier: Apache-2.0
// One warp's part of attention: up to eight query heads of a kv head over rows of the caches.
//
// A warp takes sixteen rows at a time (a tile). Both products are m16n8k16: the heads are the rows
// of the A operand, of which there are twice as many as needed, so weights go in as the sum of two
// numbers of half the width and lose nothing. Contraction indices are numbered such that the 16
// bytes that a lane has are its fragments.
//
// Rows come in one of two ways. For short contexts they are copied into a ring in shared memory, as
// far ahead as it goes, which needs no registers while the kernel waits for those before it; what
// is copied in one piece is a whole line of memory, and units of 16 bytes are placed such that no
// eight lanes meet in a bank, when they are stored nor when they are read. For long ones they are
// loaded into registers, all of the next tiles before the arithmetic of this one, which reads
// heads of 128 a fifth faster and those of 64 no slower.
//
// fp8 becomes f16 of 2^-8 times as much, which takes no arithmetic but moving bits, and is exact;
// queries become f16 in units of the largest power of two in them, and weights in units of 2^-14.

#define GQA_HEADS 8u
#ifndef GQA_WARPS
#define GQA_WARPS 4u
#endif
// Dynamic shared memory of a block: rings, later the warps' results.
#ifndef GQA_ROOM_BYTES
#define GQA_ROOM_BYTES 65536u
#endif
#define GQA_ROWS 16u
#define LOG2_E 1.4426950408889634f

__device__ inline u32 to_f16_pair(float first, float second)
{
    u32 pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(second), "f"(first));
    return pair;
}

__device__ inline float f16_to_float(u32 bits)
{
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"((unsigned short)bits));
    return value;
}

__device__ inline float power_of_two(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

__device__ inline u32 shared_address(const void *pointer)
{
    return (u32)__cvta_generic_to_shared(pointer);
}

// Copies 16 bytes, or puts zeros there.
__device__ inline void copy_unit(u32 to, const u8 *from, bool is_there)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                 "r"(is_there ? 16u : 0u)
                 : "memory");
}

__device__ inline void commit_copies()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

template <u32 PENDING> __device__ inline void wait_for_copies()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

__device__ inline uint4 load_unit(u32 address)
{
    uint4 v;
    asm volatile("ld.shared.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "r"(address)
                 : "memory");
    return v;
}

__device__ inline uint2 load_half_unit(u32 address)
{
    uint2 v;
    asm volatile("ld.shared.v2.u32 {%0,%1}, [%2];"
                 : "=r"(v.x), "=r"(v.y)
                 : "r"(address)
                 : "memory");
    return v;
}

// The same from memory.
__device__ inline uint4 load_unit(const u8 *address)
{
    uint4 v;
    asm volatile("ld.global.L1::no_allocate.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(address)
                 : "memory");
    return v;
}

__device__ inline uint2 load_half_unit(const u8 *address)
{
    uint2 v;
    asm volatile("ld.global.L1::no_allocate.v2.u32 {%0,%1}, [%2];"
                 : "=r"(v.x), "=r"(v.y)
                 : "l"(address)
                 : "memory");
    return v;
}

template <bool F16> __device__ inline void multiply(float *sums, const u32 *a, u32 b0, u32 b1)
{
    if (F16)
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    else
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                     "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// fp8 in the upper bytes of both halves (whatever is in the lower ones), as f16 of 2^-8 times as
// much. There is no NaN: 0x7F is 480.
__device__ inline u32 spread_e4m3(u32 pair)
{
    return (pair & 0x80008000u) | (pair >> 1 & 0x3F803F80u);
}

__device__ inline void keep_words(uint4 v, u32 *words)
{
    words[0] = v.x;
    words[1] = v.y;
    words[2] = v.z;
    words[3] = v.w;
}

__device__ inline void keep_words(uint2 v, u32 *words)
{
    words[0] = v.x;
    words[1] = v.y;
}

// What a lane has of a tile.
template <u32 HEAD, bool FP8> struct tile_of_k {
    u32 words[2][HEAD / (FP8 ? 64 : 32)][4];
};

// [chunk][row]; of the shortest rows only the first two words count.
template <u32 HEAD, bool FP8> struct tile_of_v {
    static constexpr u32 chunks = FP8 && HEAD > 64 ? HEAD / 128 : HEAD / 64;
    u32 words[chunks][4][FP8 && HEAD == 64 ? 2 : 4];
};

template <u32 HEAD, bool FP8> struct walk {
    static constexpr u32 row_bytes = HEAD * (FP8 ? 1 : 2);
    static constexpr u32 units = row_bytes / 16;
    // Columns of V that a lane reads at a time; 8 bytes where the row is too short for more.
    static constexpr u32 v_width = FP8 && HEAD > 64 ? 16 : 8;
    static constexpr u32 v_chunks = HEAD / 8 / v_width;
    static constexpr u32 k_bytes = GQA_ROWS * row_bytes;
    static constexpr u32 stage_bytes = 2 * k_bytes;
    static constexpr u32 room_bytes = GQA_ROOM_BYTES / GQA_WARPS;
    static constexpr u32 stages = room_bytes / stage_bytes < 8 ? room_bytes / stage_bytes : 8;
    // Tiles that are on their way to registers together. Of the largest heads there is room for
    // half of one.
    static constexpr u32 ahead = row_bytes <= 128 ? 2 : 1;
    static constexpr bool halves = HEAD > 128;
    // Of a head in the warp's result.
    static constexpr u32 stride = HEAD + v_width;
    static_assert(stages > 0 && GQA_HEADS * stride * 4 <= room_bytes, "the ring is too small");

    const u8 *k_cache;
    const u8 *v_cache;
    // From a row to the next one.
    u64 pitch;
    u32 ring;
    u32 lane;
    u32 query[HEAD / 8];
    float maximum;
    float sum;
    // Of head lane / 4: columns v_width (8 c + 2 (lane % 4) + e) + i are sums[c * v_width + i][e],
    // plus [e + 2] for what weights lost by rounding.
    float sums[HEAD / 8][4];

    __device__ inline void begin(const u8 *k, const u8 *v, u64 row_pitch, u32 room)
    {
        k_cache = k;
        v_cache = v;
        pitch = row_pitch;
        ring = room;
        lane = threadIdx.x % 32;
        maximum = MINUS_INFINITY;
        sum = 0.0f;
#pragma unroll
        for (u32 i = 0; i < HEAD / 8 * 4; i++)
            sums[i / 4][i % 4] = 0.0f;
    }

    // Starts to copy what is from..to - 1 of the sixteen rows from `first` on. Of V, rows from
    // `end` on become zeros: what weighs nothing must not be NaN.
    __device__ inline void copy(u32 stage, u32 first, u32 from, u32 to, u32 end) const
    {
        const u32 k_room = ring + stage * stage_bytes;
        const u32 v_room = k_room + k_bytes;
#pragma unroll
        for (u32 i = 0; i < units / 2; i++) {
            const u32 at = i * 32 + lane;
            const u32 r = at / units, unit = at % units;
            const u32 row = first + r;
            const u32 place = units < 8 ? unit : unit ^ (r & 1) * 4;
            if (row >= from && row < to)
                copy_unit(k_room + (r * units + place) * 16, k_cache + row * pitch + unit * 16,
                          true);
        }
#pragma unroll
        for (u32 i = 0; i < units / 2; i++) {
            // Four rows of eight units, or eight rows of four: those that are read together.
            const u32 group = units < 8 ? i * 2 + lane / 16 : i / (units / 8);
            const u32 chunk = units < 8 ? 0 : i % (units / 8);
            const u32 r = units < 8 ? lane / 4 % 4 : lane / 8;
            const u32 unit = units < 8 ? lane % 4 : lane % 8;
            const u32 row = first + group / 2 * 8 + r * 2 + group % 2;
            const u32 place =
                units < 8 ? lane / 16 * 16 + r * 4 + (unit ^ r / 2 * 2) : r * 8 + (unit ^ r * 2);
            if (row >= from && (row < to || row >= end))
                copy_unit(v_room + (i * 32 + place) * 16,
                          v_cache + row * pitch + chunk * 128 + unit * 16, row < to);
        }
    }

    __device__ inline void take_k(u32 stage, tile_of_k<HEAD, FP8> &k) const
    {
        const u32 odd = units < 8 ? 0 : lane / 4 % 2 * 64;
        const u32 from = ring + stage * stage_bytes + (lane / 4 * units + lane % 4) * 16;
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
#pragma unroll
            for (u32 c = 0; c < units / 4; c++)
                keep_words(load_unit(from + i * 8 * row_bytes + (c * 64 ^ odd)), k.words[i][c]);
        }
    }

    __device__ inline void take_v(u32 stage, tile_of_v<HEAD, FP8> &v) const
    {
        const u32 r = lane % 4, column = lane / 4;
        const u32 from = ring + stage * stage_bytes + k_bytes;
#pragma unroll
        for (u32 c = 0; c < v_chunks; c++) {
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                if (units < 8)
                    keep_words(load_half_unit(from +
                                              (i * 16 + r * 4 + (column / 2 ^ r / 2 * 2)) * 16 +
                                              column % 2 * 8),
                               v.words[c][i]);
                else
                    keep_words(
                        load_unit(from + ((i * v_chunks + c) * 32 + r * 8 + (column ^ r * 2)) * 16),
                        v.words[c][i]);
            }
        }
    }

    // Straight from memory. Beyond the last row any row will do: its weight is 0.
    __device__ inline void load_k(u32 first, u32 end, tile_of_k<HEAD, FP8> &k) const
    {
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            const u8 *from =
                k_cache + min(first + i * 8 + lane / 4, end - 1) * pitch + lane % 4 * 16;
#pragma unroll
            for (u32 c = 0; c < units / 4; c++)
                keep_words(load_unit(from + c * 64), k.words[i][c]);
        }
    }

    __device__ inline void load_v(u32 first, u32 end, tile_of_v<HEAD, FP8> &v) const
    {
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            const u32 row = first + i / 2 * 8 + lane % 4 * 2 + i % 2;
            const u8 *from = v_cache + min(row, end - 1) * pitch + lane / 4 * (units < 8 ? 8 : 16);
#pragma unroll
            for (u32 c = 0; c < v_chunks; c++) {
                if (units < 8)
                    keep_words(load_half_unit(from), v.words[c][i]);
                else
                    keep_words(load_unit(from + c * 128), v.words[c][i]);
            }
        }
    }

    // Scores of the lane's head, in units of a power of two; row i / 2 * 8 + lane % 4 * 2 + i % 2.
    __device__ inline void score(const tile_of_k<HEAD, FP8> &k, u32 first, u32 end, float scale,
                                 float *scores) const
    {
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            float s[2][4] = {};
#pragma unroll
            for (u32 c = 0; c < units / 4; c++) {
                const u32 *words = k.words[i][c];
#pragma unroll
                for (u32 j = 0; j < 4; j += FP8 ? 1 : 2) {
                    const u32 at = FP8 ? (c * 4 + j) * 2 : c * 4 + j;
                    const u32 a[4] = {query[at], 0, query[at + 1], 0};
                    if (FP8)
                        multiply<true>(s[j % 2], a, spread_e4m3(words[j] << 8),
                                       spread_e4m3(words[j]));
                    else
                        multiply<false>(s[j / 2], a, words[j], words[(j + 1) % 4]);
                }
            }
            const u32 row = first + i * 8 + lane % 4 * 2;
            scores[i * 2] = row < end ? (s[0][0] + s[1][0]) * scale : MINUS_INFINITY;
            scores[i * 2 + 1] = row + 1 < end ? (s[0][1] + s[1][1]) * scale : MINUS_INFINITY;
        }
    }

    // Adds rows of V with these weights.
    __device__ inline void add_rows(const tile_of_v<HEAD, FP8> &v, const float *weights)
    {
        u32 a[4];
#pragma unroll
        for (u32 i = 0; i < 2; i++) {
            const float x = weights[i * 2], y = weights[i * 2 + 1];
            if (FP8) {
                a[i * 2] = to_f16_pair(x, y);
                a[i * 2 + 1] = to_f16_pair(x - f16_to_float(a[i * 2] & 0xFFFF),
                                           y - f16_to_float(a[i * 2] >> 16));
            } else {
                a[i * 2] = to_bf16_pair(x, y);
                a[i * 2 + 1] = to_bf16_pair(x - first_of(a[i * 2]), y - second_of(a[i * 2]));
            }
        }
#pragma unroll
        for (u32 c = 0; c < v_chunks; c++) {
            const auto &words = v.words[c];
#pragma unroll
            for (u32 i = 0; i < v_width; i++) {
                u32 b[2];
#pragma unroll
                for (u32 k = 0; k < 2; k++) {
                    const u32 *pair[2] = {words[k * 2], words[k * 2 + 1]};
                    if (FP8)
                        b[k] = spread_e4m3(
                            __byte_perm(pair[0][i / 4], pair[1][i / 4], 0x4400 + 0x1111 * (i % 4)));
                    else
                        b[k] = __byte_perm(pair[0][i / 2], pair[1][i / 2], i % 2 ? 0x7632 : 0x5410);
                }
                multiply<FP8>(sums[c * v_width + i], a, b[0], b[1]);
            }
        }
    }

    // Scores become weights.
    __device__ inline void weigh_rows(float *scores)
    {
        float largest = maximum;
#pragma unroll
        for (u32 i = 0; i < 4; i++)
            largest = fmaxf(largest, scores[i]);
        largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, 1));
        largest = fmaxf(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, 2));
        const float base = largest == MINUS_INFINITY ? 0.0f : largest;
        if (__any_sync(0xFFFFFFFFu, largest > maximum)) {
            const float keep = power_of_two(maximum - base);
            sum *= keep;
#pragma unroll
            for (u32 i = 0; i < HEAD / 8 * 4; i++)
                sums[i / 4][i % 4] *= keep;
        }
        maximum = largest;
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            scores[i] = power_of_two(scores[i] - base + (FP8 ? 14.0f : 0.0f));
            sum += scores[i];
        }
    }

    // The sixteen rows from `first` on, from the ring.
    __device__ inline void step(u32 stage, u32 first, u32 end, float scale)
    {
        float scores[4];
        tile_of_k<HEAD, FP8> k;
        take_k(stage, k);
        score(k, first, end, scale, scores);
        weigh_rows(scores);
        tile_of_v<HEAD, FP8> v;
        take_v(stage, v);
        add_rows(v, scores);
    }

    __device__ inline void run_by_halves(u32 first, u32 pace, u32 end, float scale)
    {
        for (; first < end; first += pace) {
            float scores[4];
            tile_of_k<HEAD, FP8> k;
            load_k(first, end, k);
            score(k, first, end, scale, scores);
            tile_of_v<HEAD, FP8> v;
            load_v(first, end, v);
            weigh_rows(scores);
            add_rows(v, scores);
        }
    }

    __device__ inline void run_ahead(u32 first, u32 pace, u32 end, float scale)
    {
        tile_of_k<HEAD, FP8> k[ahead];
        tile_of_v<HEAD, FP8> v[ahead];
#pragma unroll
        for (u32 i = 0; i < ahead; i++) {
            if (first + i * pace < end) {
                load_k(first + i * pace, end, k[i]);
                load_v(first + i * pace, end, v[i]);
            }
        }
        for (; first < end; first += ahead * pace) {
#pragma unroll
            for (u32 i = 0; i < ahead; i++) {
                const u32 row = first + i * pace, next = row + ahead * pace;
                if (row >= end)
                    break;
                float scores[4];
                score(k[i], row, end, scale, scores);
                if (next < end)
                    load_k(next, end, k[i]);
                weigh_rows(scores);
                add_rows(v[i], scores);
                if (next < end)
                    load_v(next, end, v[i]);
            }
        }
    }

    // Rows first, first + pace and so on, sixteen each, straight from memory.
    __device__ inline void run(u32 first, u32 pace, u32 end, float scale)
    {
        if (halves)
            run_by_halves(first, pace, end, scale);
        else
            run_ahead(first, pace, end, scale);
    }

    // Rows of the query heads as operands. Returns what scores are to be multiplied with.
    __device__ inline float load_query(const bf16 *q, u32 head_count)
    {
        const bf16 *row = q + lane / 4 * HEAD + lane % 4 * (FP8 ? 16 : 8);
        u32 raw[HEAD / 8];
#pragma unroll
        for (u32 i = 0; i < HEAD / 32; i++) {
            uint4 v = make_uint4(0, 0, 0, 0);
            if (lane / 4 < head_count)
                v = *(const uint4 *)(row + (FP8 ? i / 2 * 64 + i % 2 * 8 : i * 32));
            raw[i * 4] = v.x;
            raw[i * 4 + 1] = v.y;
            raw[i * 4 + 2] = v.z;
            raw[i * 4 + 3] = v.w;
        }
        if (!FP8) {
#pragma unroll
            for (u32 i = 0; i < HEAD / 8; i++)
                query[i] = raw[i];
            return 1.0f;
        }
        u32 largest = 0;
#pragma unroll
        for (u32 i = 0; i < HEAD / 8; i++)
            largest = max(largest, max(raw[i] & 0x7F80u, raw[i] >> 16 & 0x7F80u));
        largest = max(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, 1));
        largest = max(largest, __shfl_xor_sync(0xFFFFFFFFu, largest, 2));
        const u32 exponent = min(max(largest >> 7, 2u), 244u);
        const float down = __uint_as_float((254 - exponent) << 23);
#pragma unroll
        for (u32 i = 0; i < HEAD / 16; i++) {
            // As elements lie in a word of four: the even ones, then the odd ones.
            query[i * 2] =
                to_f16_pair(first_of(raw[i * 2]) * down, first_of(raw[i * 2 + 1]) * down);
            query[i * 2 + 1] =
                to_f16_pair(second_of(raw[i * 2]) * down, second_of(raw[i * 2 + 1]) * down);
        }
        return __uint_as_float((exponent + 8) << 23); // 2^8 is what K lacks.
    }

    // Of a float of the warp's result, where eight lanes that store fours do not meet in a bank.
    __device__ static inline u32 place(u32 head, u32 column)
    {
        const u32 four = column / 4;
        return head * stride + (four ^ (four >> 3 & (v_width == 16 ? 3 : 1))) * 4 + column % 4;
    }

    // Stores the result into `to`, and maximum and sum of the heads GQA_WARPS apart.
    __device__ inline void keep(float *to, float *maxima, float *totals, u32 head_count)
    {
        const u32 head = lane / 4;
        sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 1);
        sum += __shfl_xor_sync(0xFFFFFFFFu, sum, 2);
        if (head >= head_count)
            return;
#pragma unroll
        for (u32 i = 0; i < HEAD / 4 / 4; i++) {
            const u32 e = i % 2, k = i / 2 * 4;
            const u32 column = (k / v_width * 8 + lane % 4 * 2 + e) * v_width + k % v_width;
            *(float4 *)(to + place(head, column)) = make_float4(
                sums[k][e] + sums[k][e + 2], sums[k + 1][e] + sums[k + 1][e + 2],
                sums[k + 2][e] + sums[k + 2][e + 2], sums[k + 3][e] + sums[k + 3][e + 2]);
        }
        if (lane % 4 == 0) {
            maxima[head * GQA_WARPS] = maximum;
            totals[head * GQA_WARPS] = sum;
        }
    }
};
