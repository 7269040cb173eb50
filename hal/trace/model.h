// SPDX-License-Identifier: Apache-2.0
/**
 * @file model.h
 * A trace in memory: plain data in a pool, references as indices, everything checked. Session,
 * verification and order checks are passes over it.
 */
#ifndef SEGUE_TRACE_MODEL_H
#define SEGUE_TRACE_MODEL_H

#include "names.h"
#include "pool.h"
#include "safetensors.h"

#include <segue/segue.h>
#include <segue/trace.h>

/** "No index." */
#define SEGUE_TRACE_NONE UINT32_MAX

/** Limits of the format; docs/trace-format.md lists them. */
#define SEGUE_TRACE_MAX_JSON_BYTES ((uint64_t)256 << 20)
#define SEGUE_TRACE_MAX_CODE_BYTES ((uint64_t)256 << 20)
#define SEGUE_TRACE_MAX_NAME_BYTES 255
#define SEGUE_TRACE_MAX_FILES 256
#define SEGUE_TRACE_MAX_BUFFERS (1u << 20)
#define SEGUE_TRACE_MAX_EXECUTABLES 4096
#define SEGUE_TRACE_MAX_ENTRY_POINTS 4096
#define SEGUE_TRACE_MAX_PARAMETERS 4096
#define SEGUE_TRACE_MAX_CONSTANTS_BYTES 32764
#define SEGUE_TRACE_MAX_OPTIONS 256
#define SEGUE_TRACE_MAX_OPTION_BYTES 4096
#define SEGUE_TRACE_MAX_SYNC_OBJECTS 65536
#define SEGUE_TRACE_MAX_COMMAND_BUFFERS 65536
#define SEGUE_TRACE_MAX_COMMANDS (16u << 20)
#define SEGUE_TRACE_MAX_EXECUTED_COMMANDS ((uint64_t)256 << 20)
#define SEGUE_TRACE_MAX_BARRIER_ITEMS 65536
#define SEGUE_TRACE_MAX_SLOTS 65536
#define SEGUE_TRACE_MAX_CONSTANT_SLOTS 1024
#define SEGUE_TRACE_MAX_GROUP_DEPTH 64
#define SEGUE_TRACE_MAX_SUBMISSIONS (1u << 20)
#define SEGUE_TRACE_MAX_QUEUES 64
#define SEGUE_TRACE_MAX_EXPECTATIONS 65536
#define SEGUE_TRACE_MAX_PACKINGS 65536

/** A safetensors file, open as long as the trace. */
struct segue_trace_file {
    const char *path;
    int fd;
    struct segue_tensor_list tensors;
};

/** A tensor and the file that it is in. */
struct segue_trace_tensor {
    const struct segue_tensor *tensor;
    uint32_t file;
};

/** What a buffer holds at first. */
struct segue_trace_content {
    /** SEGUE_TRACE_NONE: generated. */
    uint32_t tensor;
    struct segue_content generated;
};

struct segue_trace_buffer {
    const char *name;
    const char *label;
    uint64_t size_bytes;
    enum segue_memory_type memory;
    /** Bits of segue_buffer_usage, resolved. */
    uint32_t usage;
    /** Index of the buffer that this one is a view of, its own index for memory of its own. Never
     *  a view itself. */
    uint32_t root;
    uint64_t root_offset_bytes;
    /** Views need none. */
    bool has_content;
    struct segue_trace_content content;
    /** What makes its content; NULL: `content` does. */
    const struct segue_trace_packed *packed;
};

struct segue_trace_executable {
    const char *name;
    /** Points into the trace: label, code, options, entry points. */
    struct segue_executable_params params;
    /** Sum of the constants of each entry point. */
    const uint32_t *constants_bytes;
    /** Bindings of each entry point. */
    const uint32_t *binding_counts;
    /** Of each entry point: the parameter index of each binding. */
    const uint32_t *const *binding_parameters;
    struct segue_names entry_names;
};

/** A range of a buffer, or of a slot where `buffer` is SEGUE_TRACE_NONE. */
struct segue_trace_range {
    uint32_t buffer;
    uint32_t slot;
    uint64_t offset_bytes;
    /** Resolved, except SEGUE_WHOLE_SIZE of slots. */
    uint64_t length_bytes;
};

/** A place in a dispatch's constants that holds a device address. */
struct segue_trace_pointer {
    uint32_t position_bytes;
    uint32_t buffer;
    uint64_t offset_bytes;
};

struct segue_trace_dispatch {
    uint32_t executable;
    uint32_t entry_point;
    uint32_t grid[3];
    uint32_t block[3];
    uint32_t dynamic_shared_bytes;
    /** 0: not known. */
    uint32_t duration_ns;
    uint32_t binding_count;
    uint32_t constants_bytes;
    uint32_t pointer_count;
    uint32_t constant_use_count;
    const struct segue_trace_range *bindings;
    const unsigned char *constants;
    const struct segue_trace_pointer *pointers;
    const struct segue_constant_use *constant_uses;
};

struct segue_trace_packed_source {
    uint64_t size_bytes;
    struct segue_trace_content content;
};

/** A constant buffer that is packed from other contents. */
struct segue_trace_packed {
    uint32_t index;
    uint32_t buffer;
    uint32_t source_count;
    const struct segue_trace_packed_source *sources;
    /** Without bindings. */
    const struct segue_trace_dispatch *dispatch;
    uint32_t layout_id;
    uint32_t layout_version;
    /** NULL: none. */
    const struct segue_trace_dispatch *probe;
    const uint64_t *probe_input_bytes;
    uint64_t probe_output_bytes;
};

struct segue_trace_buffer_barrier {
    uint32_t source;
    uint32_t target;
    struct segue_trace_range range;
};

struct segue_trace_barrier {
    uint32_t flags;
    uint32_t memory_barrier_count;
    uint32_t buffer_barrier_count;
    const struct segue_memory_barrier *memory_barriers;
    const struct segue_trace_buffer_barrier *buffer_barriers;
};

struct segue_trace_command {
    enum segue_command_kind kind;
    union {
        struct {
            struct segue_trace_range target;
            uint32_t pattern;
            uint32_t pattern_size_bytes;
        } fill;
        struct {
            struct segue_trace_range target;
            const unsigned char *data;
        } update;
        struct {
            struct segue_trace_range source;
            struct segue_trace_range target;
        } copy;
        const struct segue_trace_dispatch *dispatch;
        const struct segue_trace_barrier *barrier;
        uint32_t event;
        const char *group_label;
    } as;
};

struct segue_trace_command_buffer {
    const char *name;
    const char *label;
    enum segue_execution_mode mode;
    uint32_t flags;
    uint32_t slot_count;
    uint32_t constant_slot_count;
    const struct segue_constant_slot *constant_slots;
    struct segue_names constant_slot_names;
    /** Per constant slot: a command uses it. */
    bool *constant_slots_used;
    const struct segue_trace_command *commands;
    uint32_t command_count;
    /** Commands that use a slot: their indices. */
    const uint32_t *slot_commands;
    uint32_t slot_command_count;
    /** Commands that signal, reset or wait for an event. */
    const uint32_t *event_commands;
    uint32_t event_command_count;
};

struct segue_trace_semaphore {
    const char *name;
    uint64_t initial_value;
};

struct segue_trace_event {
    const char *name;
};

struct segue_trace_semaphore_value {
    uint32_t semaphore;
    uint64_t value;
};

struct segue_trace_execution {
    uint32_t command_buffer;
    uint32_t binding_count;
    const struct segue_trace_range *bindings;
    /** One per constant slot. */
    const struct segue_constant_value *constants;
};

struct segue_trace_submission {
    uint32_t queue;
    uint32_t wait_count;
    uint32_t execution_count;
    uint32_t signal_count;
    const struct segue_trace_semaphore_value *waits;
    const struct segue_trace_execution *executions;
    const struct segue_trace_semaphore_value *signals;
};

struct segue_trace_digest {
    /** Canonical form: most significant byte first. */
    unsigned char bytes[16];
};

struct segue_trace_expectation {
    const char *name;
    struct segue_trace_range range;
    enum segue_dtype dtype;
    double relative_tolerance;
    /** SEGUE_TRACE_NONE: `digest` counts. */
    uint32_t tensor;
    struct segue_trace_digest digest;
};

struct segue_trace {
    struct segue_pool pool;
    /** As given, for messages. */
    const char *path;
    /** The trace's folder; -1 where files may not be named. */
    int directory_fd;

    struct segue_trace_file *files;
    uint32_t file_count;
    struct segue_trace_tensor *tensors;
    uint32_t tensor_count;
    struct segue_names tensor_names;

    struct segue_trace_buffer *buffers;
    uint32_t buffer_count;
    struct segue_names buffer_names;

    struct segue_trace_executable *executables;
    uint32_t executable_count;
    struct segue_names executable_names;

    struct segue_trace_packed *packings;
    uint32_t packing_count;

    struct segue_trace_semaphore *semaphores;
    uint32_t semaphore_count;
    struct segue_names semaphore_names;

    struct segue_trace_event *events;
    uint32_t event_count;
    struct segue_names event_names;

    struct segue_trace_command_buffer *command_buffers;
    uint32_t command_buffer_count;
    struct segue_names command_buffer_names;
    /** Of all command buffers together. */
    uint32_t command_count;

    struct segue_trace_submission *submissions;
    uint32_t submission_count;
    uint32_t queue_count;
    /** Commands of all executions together. */
    uint64_t executed_command_count;

    struct segue_trace_expectation *expectations;
    uint32_t expectation_count;
};

/** Reads `length_bytes` of a tensor. @return SEGUE_IO_ERROR. */
segue_status segue_trace_read_tensor(const struct segue_trace *trace, uint32_t tensor,
                                     uint64_t offset_bytes, void *data, size_t length_bytes);

#endif // SEGUE_TRACE_MODEL_H
