// SPDX-License-Identifier: Apache-2.0
// One warp's part of attention: up to eight query heads of a kv head over rows of the caches.
//
// A warp takes sixteen rows at a time (a tile). Both products are m16n8k16: the heads are the rows
// of the A operand, of which there are twice as many as needed, so weights go in as the sum of two
// numbers of half the width and lose nothing. Contraction indices are numbered such that the 16
// bytes that a lane has are its fragments. How it comes by them is said elsewhere: from a ring
// (gqa_ring.cu), from memory (gqa_direct.cu), or from what the block has in common (gqa_long.cu).
//
// fp8 becomes f16 of 2^-8 times as much, which takes no arithmetic but moving bits, and is exact;
// queries become f16 in units of the largest power of two in them, and weights in units of 2^-14.

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
    // Of a head in the warp's result, and all of it.
    static constexpr u32 stride = HEAD + v_width;
    static constexpr u32 result_bytes = GQA_HEADS * stride * 4;

    u32 lane;
    u32 query[HEAD / 8];
    float maximum;
    float sum;
    // Of head lane / 4: columns v_width (8 c + 2 (lane % 4) + e) + i are sums[c * v_width + i][e],
    // plus [e + 2] for what weights lost by rounding.
    float sums[HEAD / 8][4];

    __device__ inline void begin()
    {
        lane = threadIdx.x % 32;
        maximum = MINUS_INFINITY;
        sum = 0.0f;
#pragma unroll
        for (u32 i = 0; i < HEAD / 8 * 4; i++)
            sums[i / 4][i % 4] = 0.0f;
    }

    // Scores of the lane's head, in units of a power of two: of rows `row` and `row` + 1, and of
    // those `apart` further on, whose K it has.
    __device__ inline void score(const tile_of_k<HEAD, FP8> &k, u32 row, u32 apart, u32 end,
                                 float scale, float *scores) const
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
            const u32 first = row + i * apart;
            scores[i * 2] = first < end ? (s[0][0] + s[1][0]) * scale : MINUS_INFINITY;
            scores[i * 2 + 1] = first + 1 < end ? (s[0][1] + s[1][1]) * scale : MINUS_INFINITY;
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

    // Stores the result into `to`, and maximum and sum of the heads `apart` from each other.
    __device__ inline void keep(float *to, float *maxima, float *totals, u32 apart, u32 head_count)
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
            maxima[head * apart] = maximum;
            totals[head * apart] = sum;
        }
    }
};
