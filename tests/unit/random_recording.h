// SPDX-License-Identifier: Apache-2.0
/**
 * @file random_recording.h
 * Random recordings on the null backend, each with a model of itself from which a brute-force
 * oracle derives the order of its commands straight from what the public headers say.
 */
#ifndef SEGUE_TEST_RANDOM_RECORDING_H
#define SEGUE_TEST_RANDOM_RECORDING_H

#include "command_buffer.h"
#include "null_backend.h"

#define RANDOM_MAX_ITEMS 96
#define RANDOM_MAX_WORKS 64
#define RANDOM_MEMORIES 3
#define RANDOM_MEMORY_BYTES 512
#define RANDOM_SLOTS 2

/** One range that a command touches, or that a barrier is about. */
struct model_range {
    /** -1: a slot. */
    int memory;
    uint32_t slot;
    uint64_t begin;
    /** UINT64_MAX: to the end of a slot. */
    uint64_t end;
};

struct model_access {
    struct model_range range;
    uint32_t mask;
    bool constant;
};

enum model_kind { MODEL_WORK, MODEL_FULL, MODEL_PARTIAL, MODEL_SIGNAL, MODEL_RESET, MODEL_WAIT };

/** A command, or one item of a barrier. */
struct model_item {
    enum model_kind kind;
    /** MODEL_WORK: which one, and what it does. */
    uint32_t work;
    uint32_t access_count;
    struct model_access accesses[3];
    bool opaque;
    /** MODEL_PARTIAL. */
    uint32_t source;
    uint32_t target;
    bool has_range;
    struct model_range range;
    /** Events. */
    uint32_t event;
};

/** The device and what recordings refer to. */
struct random_world {
    segue_device *device;
    struct null_allocator allocator;
    segue_buffer *buffers[RANDOM_MEMORIES];
    /** The second half of each memory. */
    segue_buffer *views[RANDOM_MEMORIES];
    segue_executable *executable;
    segue_event *events[2];
};

void random_world_open(struct random_world *world);
/** Fails the test if anything is left. */
void random_world_close(struct random_world *world);

/** Chances out of 100 per item; the rest is work. */
struct random_shape {
    uint32_t items;
    uint32_t full;
    uint32_t partial;
    uint32_t event;
    /** Only ranges that never conflict between works (to get recordings without hazards). */
    bool disjoint;
    bool slots;
};

struct random_recording {
    segue_command_buffer *command_buffer;
    struct model_item items[RANDOM_MAX_ITEMS];
    uint32_t item_count;
    /** Segment index of each work. */
    uint32_t indices[RANDOM_MAX_WORKS];
    uint32_t work_count;
    uint32_t partial_count;
};

/** Records and ends; the same seed gives the same recording. */
void random_recording_create(struct random_world *world, uint64_t seed,
                             const struct random_shape *shape, struct random_recording *recording);
void random_recording_destroy(struct random_recording *recording);

/** ordered[a][b]: work a must come before work b. */
struct order_matrix {
    bool ordered[RANDOM_MAX_WORKS][RANDOM_MAX_WORKS];
};

/** What barriers and events say, and all that follows from it. */
void oracle_order(const struct random_recording *recording, struct order_matrix *out_order);
/** The pairs that are not ordered through a third. */
void oracle_reduce(const struct order_matrix *order, uint32_t count,
                   struct order_matrix *out_reduced);
/** Whether a command conflicts with another that nothing orders it with, or writes what one reads
 *  as constant. */
bool oracle_has_hazard(const struct random_recording *recording);

/** The number of the work with that segment index. */
uint32_t random_recording_work(const struct random_recording *recording, uint32_t index);

/** Next number of a generator, and one below a bound. */
uint64_t random_next(uint64_t *state);
uint32_t random_below(uint64_t *state, uint32_t bound);

#endif // SEGUE_TEST_RANDOM_RECORDING_H
