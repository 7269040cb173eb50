// SPDX-License-Identifier: Apache-2.0
/**
 * @file api.h
 * The API target: bytes as calls. Handles live in small tables, and bytes choose among them; an
 * empty place stands for NULL. A model beside each object knows just enough to say which outcomes
 * of a call would be wrong.
 */
#ifndef SEGUE_FUZZ_API_H
#define SEGUE_FUZZ_API_H

#include "fuzz.h"

enum {
    API_BUFFERS = 8,
    API_EXECUTABLES = 2,
    API_SEMAPHORES = 4,
    API_EVENTS = 4,
    API_COMMAND_BUFFERS = 6,
    API_QUEUES = 3,
    /** Handles that unretained recordings may still name. */
    API_KEPT = 128,
    API_MAX_BINDINGS = 4,
    API_CONSTANT_SLOTS = 3,
    /** Largest buffer, but for sizes that no device has. */
    API_BUFFER_BYTES = 131072,
    /** Bounds on what one input costs. */
    API_MAX_OPS = 256,
    API_MAX_COMMANDS = 1000,
    API_MAX_EXECUTED_COMMANDS = 4000,
};

struct api_buffer {
    segue_buffer *handle;
    uint64_t size_bytes;
};

enum api_state {
    API_NEW,
    API_RECORDING,
    API_ENDED,
    /** `end` has failed. */
    API_FAILED,
};

struct api_command_buffer {
    segue_command_buffer *handle;
    enum api_state state;
    /** The first recording failure. */
    segue_status failure;
    uint32_t slot_count;
    /** The first so many of api_constant_slots; and which of them commands use, as bits. */
    uint32_t constant_slot_count;
    uint32_t constant_slots_used;
    uint32_t command_count;
    bool has_events;
    /** Does not keep alive what it names. */
    bool unretained;
    /** Open groups. */
    uint32_t group_depth;
};

/** Something that is destroyed at the end. */
struct api_kept {
    void *object;
    void (*destroy)(void *object);
};

struct api_world {
    struct fuzz_input input;
    struct fuzz_memory memory;
    segue_device *device;
    const struct segue_soft_api *soft;
    bool full_validation;
    /** Every command is followed by a barrier, so that recordings get long without hazards. */
    bool barriers;
    struct api_buffer buffers[API_BUFFERS];
    segue_executable *executables[API_EXECUTABLES];
    segue_semaphore *semaphores[API_SEMAPHORES];
    /** The largest value that each was asked to reach. */
    uint64_t semaphore_values[API_SEMAPHORES];
    segue_event *events[API_EVENTS];
    struct api_command_buffer command_buffers[API_COMMAND_BUFFERS];
    segue_queue *queues[API_QUEUES];
    struct api_kept kept[API_KEPT];
    uint32_t kept_count;
    /** There is or was an unretained command buffer, or a kernel that was given an address: what
     * they may name is kept to the end. */
    bool keeps;
    /** Something was given up before, so that only recordings may hold it. */
    bool gave_up;
    /** A kernel was given other memory than was declared. */
    bool wild;
    /** An opaque kernel ran without barriers around it: validation does not see its memory. */
    bool unseen;
    /** Something was made to fail, so failures of driver, memory and device are no surprise. */
    bool disturbed;
    /** A call that hands objects back to the driver may have been made to fail. */
    bool may_leak;
    uint32_t executed_command_count;
};

/** A command buffer; mostly one that is there. */
struct api_command_buffer *api_choose_command_buffer(struct api_world *world, uint32_t choice);

/** Looks at the outcome of any call and returns it. */
segue_status api_check(struct api_world *world, segue_status status, const char *call);
#define CALL(world, expression) api_check((world), (expression), #expression)

/** api_record.c: a range of a buffer, or of one of so many slots. */
struct segue_buffer_ref api_ref(struct api_world *world, uint32_t slot_count);
/** What command buffers declare; those of one name are of one size. */
extern const struct segue_constant_slot api_constant_slots[API_CONSTANT_SLOTS];
/** Bytes that `ref` certainly covers, 0 if that is unknown. */
uint64_t api_ref_bytes(const struct api_world *world, const struct segue_buffer_ref *ref);
/** Records one command in a command buffer. */
void api_record(struct api_world *world);

/** api_objects.c: creates, destroys, reads and writes. */
void api_object(struct api_world *world);
/** Creates what every input begins with. */
void api_create_all(struct api_world *world);
void api_destroy_all(struct api_world *world);

/** api_state.c: begins, ends, resets. */
void api_command_buffer_state(struct api_world *world);
void api_begin(struct api_world *world, struct api_command_buffer *commands);
void api_end(struct api_world *world, struct api_command_buffer *commands);
void api_reset(struct api_world *world, struct api_command_buffer *commands);

/** api_run.c: submissions, waits, signals. */
void api_run(struct api_world *world);
/** Faults, seeds, a lost device. */
void api_disturb(struct api_world *world);
/** Views and dumps. */
void api_inspect(struct api_world *world);

#endif // SEGUE_FUZZ_API_H
