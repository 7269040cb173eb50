// SPDX-License-Identifier: Apache-2.0
/**
 * @file json_get.h
 * Checked access to a JSON document. A cursor knows the way from the root, so that every message
 * says where: `trace.json: /buffers/0/size: must be …`. All functions return SEGUE_INVALID_DATA
 * with such a message unless they say otherwise.
 */
#ifndef SEGUE_TRACE_JSON_GET_H
#define SEGUE_TRACE_JSON_GET_H

#include <segue/base.h>

#include <jansson.h>

/** A value and where it is. Lives on the stack, as long as its children. */
struct segue_json {
    /** NULL at the root. */
    const struct segue_json *parent;
    /** Name in the parent object; NULL: an array element. */
    const char *key;
    size_t index;
    const json_t *value;
    /** Name of the file, for messages. */
    const char *file;
};

/** Parses a document from memory: no duplicate keys, nothing after it. */
segue_status segue_json_parse(const char *file, const char *text, size_t length_bytes,
                              json_t **out_root);

/** SEGUE_INVALID_DATA with "file: pointer: message". */
segue_status segue_json_fail_at(const struct segue_json *at, const char *source_file, int line,
                                const char *format, ...) SEGUE_PRINTF(4, 5);
#define segue_json_fail(at, ...) segue_json_fail_at((at), __FILE__, __LINE__, __VA_ARGS__)

/** An object all of whose keys are in the NULL-terminated list. */
segue_status segue_json_object(const struct segue_json *at, const char *const *keys);

/** A member that must be there. */
segue_status segue_json_member(const struct segue_json *at, const char *key,
                               struct segue_json *out_child);
/** A member that may be there; false if not. */
bool segue_json_optional(const struct segue_json *at, const char *key,
                         struct segue_json *out_child);

/** An array of at most `limit` elements. */
segue_status segue_json_array(const struct segue_json *at, uint32_t limit, uint32_t *out_count);
/** Element `index`, which must be below the count. */
struct segue_json segue_json_element(const struct segue_json *at, uint32_t index);
/** An optional array member: count 0 if it is not there. */
segue_status segue_json_optional_array(const struct segue_json *at, const char *key, uint32_t limit,
                                       struct segue_json *out_child, uint32_t *out_count);

/** An integer in [minimum, maximum]; above 2^63 - 1 as a string "0x…", which is always allowed. */
segue_status segue_json_u64(const struct segue_json *at, uint64_t minimum, uint64_t maximum,
                            uint64_t *out_value);
/** The member, or out_value unchanged if it is not there. */
segue_status segue_json_optional_u64(const struct segue_json *at, const char *key, uint64_t minimum,
                                     uint64_t maximum, uint64_t *out_value);
segue_status segue_json_optional_u32(const struct segue_json *at, const char *key, uint32_t minimum,
                                     uint32_t maximum, uint32_t *out_value);
segue_status segue_json_optional_bool(const struct segue_json *at, const char *key,
                                      bool *out_value);
/** A finite number. */
segue_status segue_json_double(const struct segue_json *at, double *out_value);

/** A string without control characters of at most `limit_bytes` bytes. Lives as long as the
 *  document. */
segue_status segue_json_string(const struct segue_json *at, size_t limit_bytes,
                               const char **out_text);
/** Any string; the length is there because it may be long. */
segue_status segue_json_text(const struct segue_json *at, const char **out_text,
                             size_t *out_length_bytes);

/** One of `count` names; the index of it. */
segue_status segue_json_enum(const struct segue_json *at, const char *const *names, uint32_t count,
                             uint32_t *out_index);
/** An array of names, each at most once: bit i stands for names[i]. */
segue_status segue_json_flags(const struct segue_json *at, const char *const *names, uint32_t count,
                              uint32_t *out_bits);

/** Hexadecimal digits, two a byte, of at most `limit_bytes` bytes. */
segue_status segue_json_hex(const struct segue_json *at, uint32_t limit_bytes,
                            const char **out_digits, uint32_t *out_length_bytes);
/** Decodes digits that segue_json_hex has checked. */
void segue_hex_decode(const char *digits, uint32_t length_bytes, unsigned char *out_data);
/** Encodes; `out_digits` takes 2 * length_bytes + 1 characters. */
void segue_hex_encode(const void *data, uint32_t length_bytes, char *out_digits);

#endif // SEGUE_TRACE_JSON_GET_H
