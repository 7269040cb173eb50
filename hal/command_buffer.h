// SPDX-License-Identifier: Apache-2.0
/**
 * @file command_buffer.h
 * The object behind segue_command_buffer, and the programs that run it.
 */
#ifndef SEGUE_HAL_COMMAND_BUFFER_H
#define SEGUE_HAL_COMMAND_BUFFER_H

#include "plan.h"
#include "slot_alias.h"

enum segue_command_buffer_state {
    SEGUE_STATE_NEW,
    SEGUE_STATE_RECORDING,
    SEGUE_STATE_ENDED,
    /** Recording failed; only reset and destroy are left. */
    SEGUE_STATE_FAILED,
};

/** A backend program, counted: its command buffer holds one reference, each submission one. */
struct segue_program {
    segue_refcount references;
    struct segue_recording *recording;
    struct segue_backend_program *backend;
    /** The table it was made for (copy; buffers are retained); slot_count 0 without slots. */
    struct segue_range *slots;
    uint32_t slot_count;
    /** Counted in its recording's table_program_count. */
    bool is_for_table;
    /** Which distinct slots stand for the same memory in tables that it can be given. */
    struct segue_slot_pattern aliases;
    /** Links segue_command_buffer.program; guarded by submission_lock. */
    struct segue_program *next;
    /** Values of constant slots; constant_count 0 without any. */
    uint64_t *constants;
    uint32_t constant_count;
};

void segue_program_retain(struct segue_program *program);
void segue_program_release(struct segue_program *program);

/** The constant slots that a command buffer declares. */
struct segue_constant_slots {
    /** Names and slots are in one block of memory. */
    struct segue_constant_slot *slots;
    uint32_t count;
    /** Per slot: the first command of the recording that uses it, or SEGUE_NO_COMMAND. */
    uint32_t *first_use;
    size_t memory_bytes;
};

struct segue_command_buffer {
    segue_refcount references;
    segue_device *device;
    enum segue_execution_mode mode;
    uint32_t flags;
    uint32_t slot_count;
    struct segue_constant_slots constants;
    uint64_t order_seed;
    char *label;
    enum segue_command_buffer_state state;
    /** The first failure while recording, if state is FAILED. Allocated with the command buffer, so
     *  that a failure to allocate can be latched, too. */
    struct segue_error *latched;
    /** In state NEW: NULL, or an empty one to record into. */
    struct segue_recording *recording;
    /** Innermost open group and how many are open. */
    uint32_t open_group;
    uint32_t open_group_depth;
    /** The secondary that is being recorded into this one, for messages; else NULL. */
    const struct segue_command_buffer *executing;
    /** Without slots: made by end. With slots: of the last table, then those of a few tables before
     *  that are in flight; guarded by submission_lock. */
    struct segue_program *program;
    /** A one-shot that was submitted; guarded by submission_lock. */
    bool submitted;
    /** AUTO resolved. */
    enum segue_execution_mode resolved_mode;
    struct segue_command_buffer_stats stats;
    uint64_t begin_ns;
    /** What segue_command_buffer_get_graph returned last. */
    struct segue_graph_view view;
    /** Of each of its nodes; NULL for a join. */
    const struct segue_segment *const *view_segments;
    /** What its order went by. */
    uint32_t view_flags;
    void *view_memory;
    size_t view_memory_bytes;
};

void segue_command_buffer_retain(segue_command_buffer *command_buffer);
void segue_command_buffer_release(segue_command_buffer *command_buffer);

/** What has to happen without the lock before a program can be had. */
struct segue_acquire {
    /** Finished work was retired since the first attempt. */
    bool has_reaped;
    /** Not NULL: wait for this point; a reference. */
    struct segue_point *point;
    /** What has lost its last reference and is to be freed without the lock. */
    struct segue_object *dead_objects;
    struct segue_program *dead_programs;
};

/**
 * The program to submit for `table` (NULL without slots). Where there is one for an equal table it
 * is that one; else one that is not in flight is given the table; else one more is made. Called
 * with submission_lock held. The caller gets a reference.
 *
 * SEGUE_TIMEOUT (no error is recorded): not now; call segue_acquire_prepare without the lock and
 * try again.
 */
segue_status segue_command_buffer_acquire_program(segue_command_buffer *command_buffer,
                                                  const struct segue_binding_table *table,
                                                  struct segue_acquire *acquire,
                                                  struct segue_program **out_program);
/** Retires what is done, and waits for what must be. Without the lock. */
SEGUE_MUST_CHECK segue_status segue_acquire_prepare(segue_device *device,
                                                    struct segue_acquire *acquire);
/** Frees what attempts have given up, good ones and others. Without the lock, after each. */
void segue_acquire_finish(struct segue_acquire *acquire);
/** Releases a command buffer's list of programs. */
void segue_programs_release(struct segue_program *programs);

/** Monotonic clock. */
uint64_t segue_now_ns(void);

#endif // SEGUE_HAL_COMMAND_BUFFER_H
