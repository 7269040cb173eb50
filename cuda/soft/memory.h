// SPDX-License-Identifier: Apache-2.0
/**
 * @file memory.h
 * Device and pinned memory. Device addresses lie in a reservation D that nobody may touch, so that
 * a host access through one faults as it would on hardware; the bytes live in a second reservation
 * H of the same size. Pinned memory has one address for both sides. Every allocation is surrounded
 * by pages without access, in H and in pinned memory alike.
 */
#ifndef SEGUE_CUDA_SOFT_MEMORY_H
#define SEGUE_CUDA_SOFT_MEMORY_H

#include "state.h"

/** As an H200 reports it. */
#define SEGUE_SOFT_MEMORY_BYTES UINT64_C(150121545728)

enum segue_soft_place {
    /** In no allocation: pageable host memory, or nothing at all. */
    SEGUE_SOFT_PLACE_UNKNOWN = 0,
    SEGUE_SOFT_PLACE_DEVICE,
    SEGUE_SOFT_PLACE_PINNED,
    /** In an allocation, but not to its end. */
    SEGUE_SOFT_PLACE_OUTSIDE,
};

/** Makes the reservations; CUDA_ERROR_OUT_OF_MEMORY if the system refuses them. Repeatable. */
CUresult segue_soft_memory_open(void);

/** What lies at [address, address + size_bytes). */
enum segue_soft_place segue_soft_memory_place(uint64_t address, uint64_t size_bytes);

/** Host pointer to a valid device or pinned range, else NULL. An empty range is valid anywhere. */
void *segue_soft_memory_translate(uint64_t address, uint64_t size_bytes);

/** Live allocations, device and pinned. */
uint64_t segue_soft_memory_count(void);

/** Unmaps all, at unload. */
void segue_soft_memory_close(void);

#endif // SEGUE_CUDA_SOFT_MEMORY_H
