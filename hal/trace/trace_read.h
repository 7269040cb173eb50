// SPDX-License-Identifier: Apache-2.0
/**
 * @file trace_read.h
 * The parts of the reader. Each takes a cursor and fills in its part of the trace, whose memory is
 * the trace's pool; on failure the caller destroys the trace. Parts run in the order of this file:
 * each may refer to what earlier ones have read.
 */
#ifndef SEGUE_TRACE_READ_H
#define SEGUE_TRACE_READ_H

#include "json_get.h"
#include "model.h"

/**
 * Reads a trace from memory.
 * @param path          for messages.
 * @param directory_fd  folder of the files that it names; -1: naming files is an error. Owned by
 *                      the trace from now on, even on failure.
 */
segue_status segue_trace_parse(const char *path, const char *text, size_t length_bytes,
                               int directory_fd, segue_trace **out_trace);

/** Reads a trace's JSON file whole. On success *out_text is from malloc. */
segue_status segue_trace_read_document(const char *path, char **out_text, uint64_t *out_size_bytes);

/* Top-level keys; `at` is the root. */
segue_status segue_trace_read_tensors(const struct segue_json *root, segue_trace *trace);
segue_status segue_trace_read_buffers(const struct segue_json *root, segue_trace *trace);
segue_status segue_trace_read_executables(const struct segue_json *root, segue_trace *trace);
segue_status segue_trace_read_packings(const struct segue_json *root, segue_trace *trace);
segue_status segue_trace_read_semaphores(const struct segue_json *root, segue_trace *trace);
segue_status segue_trace_read_events(const struct segue_json *root, segue_trace *trace);
segue_status segue_trace_read_command_buffers(const struct segue_json *root, segue_trace *trace);
segue_status segue_trace_read_submissions(const struct segue_json *root, segue_trace *trace);
segue_status segue_trace_read_expectations(const struct segue_json *root, segue_trace *trace);
/** Runs the submissions in thought: every wait is signalled by someone, no deadlock, events are
 *  signalled before they are waited for, one-shots run once. */
segue_status segue_trace_check_order(const struct segue_json *root, segue_trace *trace);

/* Helpers that the parts share. */

/** Zeroed memory in the trace's pool, or SEGUE_OUT_OF_HOST_MEMORY. */
segue_status segue_trace_allocate(segue_trace *trace, size_t count, size_t size_bytes,
                                  void *out_pointer);
/** A string member of 1 to SEGUE_TRACE_MAX_NAME_BYTES bytes, copied. */
segue_status segue_trace_read_name(const struct segue_json *at, const char *key, segue_trace *trace,
                                   const char **out_name);
/** The optional member "label"; `name` where it is missing. */
segue_status segue_trace_read_label(const struct segue_json *at, segue_trace *trace,
                                    const char *name, const char **out_label);
/** Sorts a table of names that elements of array `at` have; a duplicate is an error there. */
segue_status segue_trace_sort_names(const struct segue_json *at, struct segue_names *names);
/** The member `key` names one of `names`; `what` for the message. */
segue_status segue_trace_read_reference(const struct segue_json *at, const char *key,
                                        const struct segue_names *names, const char *what,
                                        uint32_t *out_index);
/** Opens the file in the trace's folder whose path `at` is. The caller closes it; the path belongs
 * to the document. */
segue_status segue_trace_open_file(const struct segue_json *at, const segue_trace *trace,
                                   const char **out_path, int *out_fd, uint64_t *out_size_bytes);

/** Who may be named by a range. */
struct segue_trace_range_rules {
    /** Whose command it is: its slots may be named; NULL: buffers only. */
    const struct segue_trace_command_buffer *command_buffer;
    /** Bits of segue_buffer_usage that a buffer must have. What fills constants may write constant
     * memory all the same. */
    uint32_t usage;
};

/** {"buffer": …} or {"slot": …} with "offset" and "length": inside the buffer, which must allow the
 *  usage. */
segue_status segue_trace_read_range(const struct segue_json *at, const segue_trace *trace,
                                    const struct segue_trace_range_rules *rules,
                                    struct segue_trace_range *out_range);
/** A content for `size_bytes` bytes. */
segue_status segue_trace_read_content(const struct segue_json *at, const segue_trace *trace,
                                      uint64_t size_bytes, struct segue_trace_content *out_content);
/** Checks a range against its buffer; SEGUE_WHOLE_SIZE becomes the rest. Slots are left alone. */
segue_status segue_trace_resolve_range(const struct segue_json *at, const segue_trace *trace,
                                       struct segue_trace_range *range);
/** Whether the buffer allows the usage; `at` for the message. */
segue_status segue_trace_check_usage(const struct segue_json *at,
                                     const struct segue_trace_buffer *buffer, uint32_t usage);

/** The commands of one command buffer. `at` is the command buffer's object. */
segue_status segue_trace_read_commands(const struct segue_json *at, segue_trace *trace,
                                       struct segue_trace_command_buffer *command_buffer);
/** Parts of a command: "dispatch" and "barrier". `at` is the command. */
segue_status segue_trace_read_dispatch(const struct segue_json *at, segue_trace *trace,
                                       const struct segue_trace_command_buffer *command_buffer,
                                       struct segue_trace_command *command);
/** Members "executable" and "entry": which kernel. */
segue_status segue_trace_read_entry_point(const struct segue_json *at, const segue_trace *trace,
                                          struct segue_trace_dispatch *dispatch);
/** Grid, block and dynamic shared memory of a launch. */
segue_status segue_trace_read_launch(const struct segue_json *at,
                                     const struct segue_entry_point *entry,
                                     struct segue_trace_dispatch *dispatch);
/** The bytes of its constants, of which `expected` are needed. */
segue_status segue_trace_read_constants(const struct segue_json *at, segue_trace *trace,
                                        const struct segue_entry_point *entry, uint32_t expected,
                                        struct segue_trace_dispatch *dispatch);
segue_status segue_trace_read_barrier(const struct segue_json *at, segue_trace *trace,
                                      const struct segue_trace_command_buffer *command_buffer,
                                      struct segue_trace_command *command);

/** The constant slots that a command buffer declares. `at` is the command buffer. */
segue_status segue_trace_read_constant_slots(const struct segue_json *at, segue_trace *trace,
                                             struct segue_trace_command_buffer *command_buffer);
/** Those that a dispatch, whose constants have been read, uses. `at` is the command. */
segue_status segue_trace_read_constant_uses(const struct segue_json *at, segue_trace *trace,
                                            const struct segue_trace_command_buffer *command_buffer,
                                            const struct segue_entry_point *entry,
                                            struct segue_trace_dispatch *dispatch);
/** Their values. `at` is the execution. */
segue_status segue_trace_read_constant_values(const struct segue_json *at, segue_trace *trace,
                                              struct segue_trace_execution *execution);

/** An array of 3 integers in [minimum, limits[i]]. */
segue_status segue_trace_read_dimensions(const struct segue_json *at, uint32_t minimum,
                                         const uint32_t limits[3], uint32_t out_dimensions[3]);

/** Checks the uses of slots by a command against what they stand for in a submission; `at` is the
 *  execution. */
segue_status segue_trace_check_slots(const struct segue_json *at, const segue_trace *trace,
                                     const struct segue_trace_execution *execution);

#endif // SEGUE_TRACE_READ_H
