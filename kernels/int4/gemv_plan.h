// SPDX-License-Identifier: Apache-2.0
/**
 * @file gemv_plan.h
 * How a product is spread over the device, and the compiler's options for it.
 */
#ifndef SEGUE_KERNELS_GEMV_PLAN_H
#define SEGUE_KERNELS_GEMV_PLAN_H

#include <segue/device.h>
#include <segue/quant.h>

/** Where a warp has its part of x; values as in gemv_common.cu. */
enum gemv_x_place {
    GEMV_X_SHARED = 0,
    GEMV_X_REGISTERS = 1,
    GEMV_X_GLOBAL = 2,
};

/** When the next kernel may start, so that its weights do not come before this one's x; values as
 * in gemv_common.cu. */
enum gemv_trigger {
    GEMV_TRIGGER_AT_START = 0,
    /** Once this one's dependency is there. */
    GEMV_TRIGGER_AFTER_WAIT = 1,
    /** Once x has been read; the same as before where x is not split into bytes. */
    GEMV_TRIGGER_AFTER_X = 2,
};

/** What is chosen for speed alone. */
struct gemv_plan {
    /** Thread blocks. */
    uint32_t grid;
    /** Of a block. */
    uint32_t warps;
    /** Parts of the warps, which take tiles in turn; the columns are split among those of a part.
     */
    uint32_t row_warps;
    /** Tiles that a warp works on at a time. */
    uint32_t pass_tiles;
    /** Rounds of sums that there is room for: with one, warps wait until a round is stored. */
    uint32_t sum_buffers;
    /** Slots of a warp's ring, and 128-column blocks of a slot. */
    uint32_t slots;
    uint32_t slot_blocks;
    /** Tiles whose sums are added up at once. */
    uint32_t round_tiles;
    enum gemv_x_place x_place;
    /** Whether x is multiplied as integers of 16 bits, rather than in its own type. */
    bool bytes;
    /** Thread blocks that a multiprocessor shall have registers for. */
    uint32_t resident;
    enum gemv_trigger late_trigger;
    /** Whether x is read so often that a large cache is worth more than an overlap with the kernel
     *  before, which takes shared memory. */
    bool wants_cache;
    /** Dynamic shared memory. */
    uint32_t shared_bytes;
};

/** What a plan is made of; the rest of it follows from them. */
struct gemv_settings {
    uint32_t warps;
    /** Of shared memory for weights on their way. */
    uint32_t ring_kib;
    /** Thread blocks of this kernel that a multiprocessor has, at most; and of any that shared
     *  memory leaves room for (0: what it leaves). */
    uint32_t blocks_each;
    uint32_t blocks_fitting;
    /** Of a slot at most; 0: as large as lets two of them in, up to four. */
    uint32_t slot_blocks;
    enum gemv_trigger late_trigger;
    /** Of a warp at a time: 2 or 4, where it has few whole blocks of each, there is one vector, and
     *  that is split into bytes; 0: one. */
    uint32_t pass_tiles;
};

static inline uint32_t gemv_divide_up(uint32_t value, uint32_t by)
{
    return (value + by - 1) / by;
}

static inline uint32_t gemv_minimum(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t gemv_maximum(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/** What measured best for that product on that device; NULL: nothing is known of it. Static. */
const struct gemv_settings *
segue_quant_gemv_measured(const struct segue_quant_gemv_constants *constants,
                          const struct segue_device_info *device);

/** What is a good choice for products that are like those that were measured. Returns false for
 *  others. */
bool segue_quant_gemv_rules(const struct segue_quant_gemv_constants *constants,
                            const struct segue_device_info *device,
                            struct gemv_settings *out_settings);

/** Chooses: what measured best, else by rules. Returns false where x has to be in shared memory and
 *  does not fit. */
bool segue_quant_gemv_choose(const struct segue_quant_gemv_constants *constants,
                             const struct segue_device_info *device, struct gemv_plan *out_plan);
/** The same with given settings; NULL: by the rules for any product. */
bool segue_quant_gemv_choose_with(const struct segue_quant_gemv_constants *constants,
                                  const struct segue_device_info *device,
                                  const struct gemv_settings *settings, struct gemv_plan *out_plan);

/** Floats from one vector's sums of a tile to the next one's: as in gemv_common.cu. */
#define GEMV_VECTOR_SUMS(batch, bytes) ((batch) > 4 && !(bytes) ? 20u : 16u)

/** Chooses for so many vectors that they do not fit a large device's shared memory well; returns
 *  false where the other rules are to choose. */
bool segue_quant_gemv_choose_wide(const struct segue_quant_gemv_constants *constants,
                                  const struct segue_device_info *device,
                                  struct gemv_plan *out_plan);

#define GEMV_OPTION_COUNT 26
#define GEMV_OPTION_BYTES 48

/** Writes the options, e.g. "-DROWS=4096". */
void segue_quant_gemv_options(const struct segue_quant_gemv_constants *constants,
                              const struct gemv_plan *plan,
                              char out_options[GEMV_OPTION_COUNT][GEMV_OPTION_BYTES]);

#endif // SEGUE_KERNELS_GEMV_PLAN_H
