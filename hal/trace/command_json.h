// SPDX-License-Identifier: Apache-2.0
/**
 * @file command_json.h
 * A recorded command as JSON, in the form that traces use: for the writer and for dumps.
 */
#ifndef SEGUE_TRACE_COMMAND_JSON_H
#define SEGUE_TRACE_COMMAND_JSON_H

#include <segue/trace.h>

#include <jansson.h>

/** What objects are called, and where data goes. Names are used before the next call. */
struct segue_command_names {
    segue_status (*buffer)(void *context, segue_buffer *buffer, const char **out_name);
    segue_status (*executable)(void *context, segue_executable *executable, const char **out_name);
    segue_status (*event)(void *context, segue_event *event, const char **out_name);
    /** Adds an update's data to the command. */
    segue_status (*data)(void *context, json_t *command, const void *data, uint64_t length_bytes);
    /** Adds what is to be known about addresses inside constants; NULL: nothing. */
    segue_status (*pointers)(void *context, json_t *command, const struct segue_dispatch *dispatch);
    /** The command buffer's, for the names of those that dispatches use. */
    const struct segue_constant_slot *constant_slots;
    void *context;
};

/** A new reference in *out_json. */
segue_status segue_command_to_json(const struct segue_command_info *command,
                                   const struct segue_command_names *names, json_t **out_json);

/** {"buffer": …, "offset": …, "length": …}, or with "slot"; keys that are defaults are left out. */
segue_status segue_range_to_json(const struct segue_buffer_ref *ref,
                                 const struct segue_command_names *names, json_t **out_json);

/** The names of the bits that are set, as an array; NULL when out of memory. */
json_t *segue_bits_to_json(uint32_t bits, const char *const *names, uint32_t count);

/** Sets `key` to `value` (a new reference, which is used up; NULL counts as out of memory). */
segue_status segue_json_set(json_t *object, const char *key, json_t *value);
/** An integer; above 2^63 - 1 as a string "0x…". NULL when out of memory. */
json_t *segue_json_from_u64(uint64_t value);
/** A string whose control characters and broken UTF-8 have become '?'. */
json_t *segue_json_from_text(const char *text);

/** json_dumps, but for what that leaves out where memory runs out. */
char *segue_json_dumps(const json_t *value, size_t flags);

/** Prints a document for people to read: what fits on a line stays on one. Returns text from
 *  malloc, NULL when out of memory. */
char *segue_json_print(const json_t *root);

#endif // SEGUE_TRACE_COMMAND_JSON_H
