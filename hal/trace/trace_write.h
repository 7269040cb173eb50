// SPDX-License-Identifier: Apache-2.0
/**
 * @file trace_write.h
 * The writer's state. Objects are described as JSON when they first occur; buffers at the end, when
 * all views of their memories are known.
 */
#ifndef SEGUE_TRACE_WRITE_H
#define SEGUE_TRACE_WRITE_H

#include "command_json.h"
#include "files.h"
#include "handles.h"
#include "safetensors.h"

#include <segue/segue.h>
#include <segue/trace.h>

/** A handle on a buffer. */
struct segue_written_buffer {
    char *name;
    char *label;
    uint32_t memory;
    uint64_t offset_bytes;
    uint64_t size_bytes;
    uint64_t device_address;
};

/** A part of a memory whose initial content is known. */
struct segue_written_piece {
    uint64_t offset_bytes;
    uint64_t length_bytes;
    /** Owned; NULL: zero. */
    json_t *content;
};

/** A memory, and its pieces in order of offset; they do not overlap. */
struct segue_written_memory {
    enum segue_memory_type type;
    uint32_t usage;
    /** Where the last handle on it ends. */
    uint64_t size_bytes;
    struct segue_written_piece *pieces;
    uint32_t piece_count;
};

/** Objects of one kind that are described when they first occur. */
struct segue_written_objects {
    struct segue_handles handles;
    /** Their names, strings in order of the handles' numbers. */
    json_t *names;
    /** Their descriptions, as the trace has them. */
    json_t *items;
};

struct segue_trace_writer {
    segue_device *device;
    char *path;
    /** Path without ".json". */
    char *stem;
    /** After a failure that left files incomplete, or after finish. */
    bool done;

    /** All names in use, as keys that begin with their name space. */
    json_t *used_names;

    struct segue_handles buffer_handles;
    /** Capacity is that of buffer_handles. */
    struct segue_written_buffer *buffers;
    size_t buffer_capacity;
    /** Keyed by memory identifiers. */
    struct segue_handles memory_ids;
    struct segue_written_memory *memories;
    size_t memory_capacity;

    struct segue_written_objects executables;
    struct segue_written_objects semaphores;
    struct segue_written_objects events;
    /** Per semaphore the value reached, per event whether it is signalled. */
    json_t *semaphore_values;
    json_t *event_states;

    /** By handle, the number of the last description made of it. */
    struct segue_handles command_buffer_handles;
    json_t *command_buffer_latest;
    json_t *command_buffers;
    json_t *submissions;
    json_t *expectations;
    json_t *packings;

    struct segue_safetensors_writer tensors;
    bool has_tensors;
    /** Files with code, still under temporary names. */
    struct segue_output_file *code_files;
    uint32_t code_file_count;
};

/** Kinds of objects whose names must differ. */
enum segue_name_space {
    SEGUE_NAMES_OF_BUFFERS = 'b',
    SEGUE_NAMES_OF_EXECUTABLES = 'x',
    SEGUE_NAMES_OF_SEMAPHORES = 's',
    SEGUE_NAMES_OF_EVENTS = 'v',
    SEGUE_NAMES_OF_COMMAND_BUFFERS = 'c',
    SEGUE_NAMES_OF_EXPECTATIONS = 'e',
};

/** A name that no other object of the space has, made from a label or from kind and number. From
 * malloc; NULL when out of memory. */
char *segue_writer_make_name(segue_trace_writer *writer, enum segue_name_space space,
                             const char *label, const char *kind, uint32_t number);

/** Label as a trace may have it: plain, UTF-8, bounded. From malloc; NULL when out of memory. */
char *segue_writer_make_label(const char *label);

/** Name of a buffer; describes it and reads its content if it is new. The name lives as long as the
 *  writer. */
segue_status segue_writer_name_buffer(segue_trace_writer *writer, segue_buffer *buffer,
                                      const char **out_name);
/** The same, with content that is given instead of read (NULL: none); SEGUE_INVALID_STATE if the
 *  buffer is not new. */
segue_status segue_writer_add_buffer(segue_trace_writer *writer, segue_buffer *buffer,
                                     const struct segue_content *content);
/** The "buffers" array. */
segue_status segue_writer_describe_buffers(segue_trace_writer *writer, json_t **out_array);
void segue_writer_free_buffers(segue_trace_writer *writer);

/** Describes bytes of a buffer: *out_content is NULL for zeros, a repeated pattern, or a tensor
 *  that has been stored. */
segue_status segue_writer_store_range(segue_trace_writer *writer, segue_buffer *buffer,
                                      uint64_t offset_bytes, uint64_t length_bytes,
                                      const char *tensor_name, json_t **out_content);
/** Describes generated content. */
segue_status segue_writer_describe_content(const struct segue_content *content,
                                           json_t **out_content);
/** Stores a tensor from memory. */
segue_status segue_writer_store_tensor(segue_trace_writer *writer, const char *name,
                                       enum segue_dtype dtype, const void *data,
                                       uint64_t length_bytes);

/** Name of an executable; describes it and stores its code if it is new. */
segue_status segue_writer_name_executable(segue_trace_writer *writer, segue_executable *executable,
                                          const char **out_name);

/** Name and number of a semaphore or an event; describes it if it is new. */
segue_status segue_writer_name_semaphore(segue_trace_writer *writer, segue_semaphore *semaphore,
                                         const char **out_name, uint32_t *out_number);
segue_status segue_writer_name_event(segue_trace_writer *writer, segue_event *event,
                                     const char **out_name, uint32_t *out_number);

/** Name of a command buffer; describes it if it is new or has been recorded anew since. Events in
 *  it take effect. The name lives as long as the writer. */
segue_status segue_writer_name_command_buffer(segue_trace_writer *writer,
                                              segue_command_buffer *command_buffer,
                                              const char **out_name);

/** Refuses a table whose ranges do not cover what the commands use of the slots. */
segue_status segue_writer_check_slots(segue_device *device,
                                      const struct segue_execution *execution);

/** "constant_slots" of a command buffer, if it has some. */
segue_status segue_writer_describe_constant_slots(const struct segue_command_buffer_info *info,
                                                  json_t *item);
/** "constants" of an execution. Refuses values of another number or size than the slots, and
 *  missing ones that a command uses. */
segue_status segue_writer_describe_constants(segue_device *device,
                                             const struct segue_execution *execution, json_t *item);

/** How commands of this writer are described. */
struct segue_command_names segue_writer_command_names(segue_trace_writer *writer);

#endif // SEGUE_TRACE_WRITE_H
