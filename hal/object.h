// SPDX-License-Identifier: Apache-2.0
/**
 * @file object.h
 * The objects behind the public handles, and how they are counted. Only what recorded or in-flight
 * work can outlive is counted: the count starts at 1 for the caller's handle.
 */
#ifndef SEGUE_HAL_OBJECT_H
#define SEGUE_HAL_OBJECT_H

#include "allocator.h"
#include "arena.h"
#include "backend.h"
#include "status.h"

#include <pthread.h>
#include <stdatomic.h>

typedef atomic_uint_fast32_t segue_refcount;

enum segue_object_kind {
    SEGUE_OBJECT_BUFFER,
    SEGUE_OBJECT_EXECUTABLE,
    SEGUE_OBJECT_EVENT,
    SEGUE_OBJECT_SEMAPHORE,
};

/** Begins every counted object. */
struct segue_object {
    segue_refcount references;
    enum segue_object_kind kind;
    /** Held alive by the object. */
    segue_device *device;
    /** Serial of the last recording that retained it (a hint that saves retaining it twice). */
    atomic_uint_fast64_t last_recording;
    /** Links objects without references that are yet to be freed. */
    struct segue_object *next_dead;
};

static inline void segue_object_retain(struct segue_object *object)
{
    atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
}
/** One reference, for the caller's handle; retains the device. */
void segue_object_init(struct segue_object *object, enum segue_object_kind kind,
                       segue_device *device);
/** Destroys the object with its last reference. NULL is fine. */
void segue_object_release(struct segue_object *object);
/** The same where a lock is held that freeing, which may wait for the device, should not be done
 *  under: with its last reference the object goes on the list, for segue_objects_free. */
void segue_object_drop(struct segue_object *object, struct segue_object **dead);
/** Destroys what is on the list, and empties it. */
void segue_objects_free(struct segue_object **dead);

/** Free what an object owns, and its memory, but not its reference to the device. Only called by
 *  segue_object_release; must not take the submission lock, which may be held. */
void segue_buffer_free(segue_buffer *buffer);
void segue_executable_free(segue_executable *executable);
void segue_event_free(segue_event *event);
void segue_semaphore_free(segue_semaphore *semaphore);

struct segue_work;

/** What past submissions leave for the next ones, so that in a steady state submitting allocates
 *  nothing and creates no fence (point.c, submission.c). */
struct segue_submission_pool {
    /** Guards the lists; taken after submission_lock where both are. */
    pthread_mutex_t lock;
    /** Free points: without and with timing. */
    struct segue_point *points[2];
    struct segue_work *works;
};

struct segue_device {
    /** The caller's handle, plus one per live object. */
    segue_refcount references;
    struct segue_allocator allocator;
    segue_log_fn log;
    void *log_context;
    enum segue_validation validation;
    char *uri;
    struct segue_backend *backend;
    /** Set when the device is opened. */
    struct segue_cost_model cost_model;
    bool programmatic_edges;

    /** Guards everything about submissions on the device: queues, semaphores, events, and
     *  [locked] backend calls. */
    pthread_mutex_t submission_lock;
    /** Signalled, with submission_lock, when a semaphore changes or a submission is issued. */
    pthread_cond_t submission_changed;
    /** All queues, linked through segue_queue.next. */
    segue_queue *queues;
    /** segue_cache_budget.max_table_graphs. */
    uint32_t max_table_graphs;
    struct segue_submission_pool submission_pool;
    /** SEGUE_DEVICE_LOST once the device is lost, set by segue_raise. */
    atomic_int lost;

    /** Guards last_error, lost_reason and memory_stats. */
    pthread_mutex_t state_lock;
    struct segue_error last_error;
    /** The failure that lost the device, cut to fit. */
    char lost_reason[256];
    /** Level at which failures are logged: lower while `auto` tries a device. */
    enum segue_log_level failure_level;
    struct segue_memory_stats memory_stats;
    atomic_uint_fast64_t next_serial;
};

void segue_device_retain(segue_device *device);
void segue_device_release(segue_device *device);
/** SEGUE_OK, or SEGUE_DEVICE_LOST with an error that says since when. */
SEGUE_MUST_CHECK segue_status segue_device_check(segue_device *device);

/** One allocation, shared by a buffer and its views. */
struct segue_memory {
    segue_refcount references;
    segue_device *device;
    struct segue_backend_memory backend;
    /** Unique in the process. */
    uint64_t id;
    /** Constant memory that nothing may write any more. Set with submission_lock held, so that it
     *  does not change while a submission is checked. */
    atomic_bool sealed;
};

/** Allocates and counts memory; one reference. */
SEGUE_MUST_CHECK segue_status segue_memory_create(segue_device *device, enum segue_memory_type type,
                                                  uint64_t size_bytes,
                                                  struct segue_memory **out_memory);
void segue_memory_retain(struct segue_memory *memory);
/** Frees the memory with its last reference. */
void segue_memory_release(struct segue_memory *memory);

struct segue_buffer {
    struct segue_object object;
    struct segue_memory *memory;
    /** Within the memory. */
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint32_t usage;
    /** Never NULL. */
    char *label;
};

/** An entry point with what recording needs at hand. */
struct segue_entry {
    struct segue_entry_point declared;
    struct segue_backend_entry_limits limits;
    /** Indirect ones included. */
    uint32_t binding_count;
    uint32_t indirect_count;
    uint32_t constants_size_bytes;
    /** Per binding, in order: access and alignment. */
    const struct segue_parameter **bindings;
};

struct segue_executable {
    struct segue_object object;
    /** Deep copy of what it was created from; all memory in `arena`. The data is followed by a zero
     *  byte that size_bytes does not count. */
    struct segue_executable_params params;
    struct segue_arena arena;
    struct segue_entry *entries;
    struct segue_backend_module *module;
};

/** A fence that several parties wait for. With its last reference it goes back to the device's
 *  submission pool, which is why it holds no reference to the device: whoever holds one does. */
struct segue_point {
    segue_refcount references;
    segue_device *device;
    struct segue_backend_fence *fence;
    /** Links free points. */
    struct segue_point *next;
    /** segue_queue.id of the queue it was recorded on. */
    uint64_t queue_id;
    /** The fence measures time. */
    bool timing;
};

struct segue_event {
    struct segue_object object;
    /** Guarded by submission_lock: NULL while unsignalled; the end of the last submission that
     *  signalled it. */
    struct segue_point *point;
};

#endif // SEGUE_HAL_OBJECT_H
