// SPDX-License-Identifier: Apache-2.0
#include "json_get.h"

#include "error.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define POINTER_BYTES 512
#define DETAIL_BYTES 2048
/** Untrusted text in messages is cut to this many bytes. */
#define QUOTE_BYTES 80

segue_status segue_json_parse(const char *file, const char *text, size_t length_bytes,
                              json_t **out_root)
{
    json_error_t error;
    json_t *root = json_loadb(text, length_bytes, JSON_REJECT_DUPLICATES, &error);
    if (root != NULL) {
        *out_root = root;
        return SEGUE_OK;
    }
    // Where memory runs out in the middle, jansson says nothing at all.
    if (json_error_code(&error) == json_error_out_of_memory || error.text[0] == '\0') {
        return segue_trace_fail_memory("a JSON document");
    }
    return segue_trace_fail(SEGUE_INVALID_DATA, "%s: line %d, column %d: %s", file, error.line,
                            error.column, error.text);
}

/** Writes one step of a JSON pointer, escaped; returns its length before cutting. */
static size_t print_step(const struct segue_json *at, char *out, size_t capacity)
{
    if (at->key == NULL) {
        int length = snprintf(out, capacity, "/%zu", at->index);
        return length > 0 ? (size_t)length : 0;
    }
    size_t length = 0;
    char step[QUOTE_BYTES];
    step[length++] = '/';
    for (const char *c = at->key; *c != '\0' && length + 2 < sizeof(step); c++) {
        if (*c == '~' || *c == '/') {
            step[length++] = '~';
            step[length++] = *c == '~' ? '0' : '1';
        } else {
            step[length++] = *c;
        }
    }
    step[length] = '\0';
    snprintf(out, capacity, "%s", step);
    return length;
}

static size_t print_pointer(const struct segue_json *at, char *out, size_t capacity)
{
    if (at->parent == NULL) {
        out[0] = '\0';
        return 0;
    }
    size_t length = print_pointer(at->parent, out, capacity);
    if (length >= capacity) {
        return length;
    }
    return length + print_step(at, out + length, capacity - length);
}

segue_status segue_json_fail_at(const struct segue_json *at, const char *source_file, int line,
                                const char *format, ...)
{
    char pointer[POINTER_BYTES];
    char detail[DETAIL_BYTES];
    print_pointer(at, pointer, sizeof(pointer));
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(detail, sizeof(detail), format, arguments) < 0) {
        detail[0] = '\0';
    }
    va_end(arguments);
    return segue_trace_raise(NULL, SEGUE_INVALID_DATA, source_file, line, "%s: %s%s%s", at->file,
                             pointer, pointer[0] != '\0' ? ": " : "", detail);
}

static const char *type_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "a boolean";
    }
}

segue_status segue_json_object(const struct segue_json *at, const char *const *keys)
{
    if (!json_is_object(at->value)) {
        return segue_json_fail(at, "must be an object, is %s", type_name(at->value));
    }
    // jansson iterates over constant objects only through a cast.
    json_t *object = (json_t *)(uintptr_t)at->value;
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        const char *name = json_object_iter_key(i);
        uint32_t k = 0;
        while (keys[k] != NULL && strcmp(keys[k], name) != 0) {
            k++;
        }
        if (keys[k] == NULL) {
            return segue_json_fail(at, "unknown key \"%.*s\"", QUOTE_BYTES, name);
        }
    }
    return SEGUE_OK;
}

bool segue_json_optional(const struct segue_json *at, const char *key, struct segue_json *out_child)
{
    const json_t *value = json_object_get(at->value, key);
    if (value == NULL) {
        return false;
    }
    *out_child = (struct segue_json){.parent = at, .key = key, .value = value, .file = at->file};
    return true;
}

segue_status segue_json_member(const struct segue_json *at, const char *key,
                               struct segue_json *out_child)
{
    if (!json_is_object(at->value)) {
        return segue_json_fail(at, "must be an object, is %s", type_name(at->value));
    }
    if (!segue_json_optional(at, key, out_child)) {
        return segue_json_fail(at, "key \"%s\" is missing", key);
    }
    return SEGUE_OK;
}

segue_status segue_json_array(const struct segue_json *at, uint32_t limit, uint32_t *out_count)
{
    if (!json_is_array(at->value)) {
        return segue_json_fail(at, "must be an array, is %s", type_name(at->value));
    }
    size_t count = json_array_size(at->value);
    if (count > limit) {
        return segue_json_fail(at, "%zu elements; at most %" PRIu32 " are supported", count, limit);
    }
    *out_count = (uint32_t)count;
    return SEGUE_OK;
}

struct segue_json segue_json_element(const struct segue_json *at, uint32_t index)
{
    return (struct segue_json){
        .parent = at, .index = index, .value = json_array_get(at->value, index), .file = at->file};
}

segue_status segue_json_optional_array(const struct segue_json *at, const char *key, uint32_t limit,
                                       struct segue_json *out_child, uint32_t *out_count)
{
    *out_count = 0;
    *out_child = *at;
    return segue_json_optional(at, key, out_child) ? segue_json_array(out_child, limit, out_count)
                                                   : SEGUE_OK;
}

/** Parses "0x" and 1 to 16 digits. */
static bool parse_hex_integer(const char *text, uint64_t *out_value)
{
    uint64_t value = 0;
    size_t length = strlen(text);
    if (length < 3 || length > 18 || text[0] != '0' || text[1] != 'x') {
        return false;
    }
    for (const char *c = text + 2; *c != '\0'; c++) {
        unsigned digit;
        if (*c >= '0' && *c <= '9') {
            digit = (unsigned)(*c - '0');
        } else if ((*c >= 'a' && *c <= 'f') || (*c >= 'A' && *c <= 'F')) {
            digit = (unsigned)((*c | 0x20) - 'a') + 10;
        } else {
            return false;
        }
        value = value << 4 | digit;
    }
    *out_value = value;
    return true;
}

segue_status segue_json_u64(const struct segue_json *at, uint64_t minimum, uint64_t maximum,
                            uint64_t *out_value)
{
    uint64_t value = 0;
    if (json_is_integer(at->value)) {
        json_int_t number = json_integer_value(at->value);
        if (number < 0) {
            return segue_json_fail(at, "%" JSON_INTEGER_FORMAT " is negative", number);
        }
        value = (uint64_t)number;
    } else if (json_is_string(at->value)) {
        if (!parse_hex_integer(json_string_value(at->value), &value)) {
            return segue_json_fail(at, "must be an integer, or a string of \"0x\" and 1 to 16 "
                                       "hexadecimal digits");
        }
    } else {
        return segue_json_fail(at, "must be an integer, is %s", type_name(at->value));
    }
    if (value < minimum || value > maximum) {
        return segue_json_fail(at, "%" PRIu64 " is not in %" PRIu64 " to %" PRIu64, value, minimum,
                               maximum);
    }
    *out_value = value;
    return SEGUE_OK;
}

segue_status segue_json_optional_u64(const struct segue_json *at, const char *key, uint64_t minimum,
                                     uint64_t maximum, uint64_t *out_value)
{
    struct segue_json child;
    return segue_json_optional(at, key, &child)
               ? segue_json_u64(&child, minimum, maximum, out_value)
               : SEGUE_OK;
}

segue_status segue_json_optional_u32(const struct segue_json *at, const char *key, uint32_t minimum,
                                     uint32_t maximum, uint32_t *out_value)
{
    uint64_t value = *out_value;
    segue_status status = segue_json_optional_u64(at, key, minimum, maximum, &value);
    if (status == SEGUE_OK) {
        *out_value = (uint32_t)value;
    }
    return status;
}

segue_status segue_json_optional_bool(const struct segue_json *at, const char *key, bool *out_value)
{
    struct segue_json child;
    if (!segue_json_optional(at, key, &child)) {
        return SEGUE_OK;
    }
    if (!json_is_boolean(child.value)) {
        return segue_json_fail(&child, "must be true or false, is %s", type_name(child.value));
    }
    *out_value = json_is_true(child.value);
    return SEGUE_OK;
}

segue_status segue_json_double(const struct segue_json *at, double *out_value)
{
    if (!json_is_number(at->value) || !isfinite(json_number_value(at->value))) {
        return segue_json_fail(at, "must be a number, is %s", type_name(at->value));
    }
    *out_value = json_number_value(at->value);
    return SEGUE_OK;
}

segue_status segue_json_text(const struct segue_json *at, const char **out_text,
                             size_t *out_length_bytes)
{
    if (!json_is_string(at->value)) {
        return segue_json_fail(at, "must be a string, is %s", type_name(at->value));
    }
    *out_text = json_string_value(at->value);
    *out_length_bytes = json_string_length(at->value);
    return SEGUE_OK;
}

segue_status segue_json_string(const struct segue_json *at, size_t limit_bytes,
                               const char **out_text)
{
    const char *text = NULL;
    size_t length = 0;
    segue_status status = segue_json_text(at, &text, &length);
    if (status != SEGUE_OK) {
        return status;
    }
    if (length > limit_bytes) {
        return segue_json_fail(at, "a string of %zu bytes; at most %zu are supported", length,
                               limit_bytes);
    }
    if (!segue_text_is_plain(text)) {
        return segue_json_fail(at, "contains control characters");
    }
    *out_text = text;
    return SEGUE_OK;
}

/** Index of `text` among names; count if it is not there. */
static uint32_t find_name(const char *text, const char *const *names, uint32_t count)
{
    uint32_t i = 0;
    while (i < count && strcmp(names[i], text) != 0) {
        i++;
    }
    return i;
}

/** Fails with the list of what would have been right. */
static segue_status fail_choice(const struct segue_json *at, const char *text,
                                const char *const *names, uint32_t count)
{
    char list[512] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < count && used < sizeof(list); i++) {
        int length =
            snprintf(list + used, sizeof(list) - used, "%s%s", i != 0 ? ", " : "", names[i]);
        used += length > 0 ? (size_t)length : 0;
    }
    return segue_json_fail(at, "unknown value \"%.*s\"; known: %s", QUOTE_BYTES, text, list);
}

segue_status segue_json_enum(const struct segue_json *at, const char *const *names, uint32_t count,
                             uint32_t *out_index)
{
    const char *text = NULL;
    size_t length = 0;
    segue_status status = segue_json_text(at, &text, &length);
    if (status != SEGUE_OK) {
        return status;
    }
    uint32_t index = find_name(text, names, count);
    if (index == count) {
        return fail_choice(at, text, names, count);
    }
    *out_index = index;
    return SEGUE_OK;
}

segue_status segue_json_flags(const struct segue_json *at, const char *const *names, uint32_t count,
                              uint32_t *out_bits)
{
    uint32_t element_count = 0;
    segue_status status = segue_json_array(at, count, &element_count);
    uint32_t bits = 0;
    for (uint32_t i = 0; status == SEGUE_OK && i < element_count; i++) {
        struct segue_json element = segue_json_element(at, i);
        uint32_t index = 0;
        status = segue_json_enum(&element, names, count, &index);
        if (status == SEGUE_OK && (bits & 1u << index) != 0) {
            status = segue_json_fail(&element, "\"%s\" occurs twice", names[index]);
        }
        bits |= 1u << index;
    }
    if (status == SEGUE_OK) {
        *out_bits = bits;
    }
    return status;
}

segue_status segue_json_hex(const struct segue_json *at, uint32_t limit_bytes,
                            const char **out_digits, uint32_t *out_length_bytes)
{
    const char *text = NULL;
    size_t length = 0;
    segue_status status = segue_json_text(at, &text, &length);
    if (status != SEGUE_OK) {
        return status;
    }
    if (length % 2 != 0 || strspn(text, "0123456789abcdefABCDEF") != length) {
        return segue_json_fail(at, "must be hexadecimal digits, two for each byte");
    }
    if (length / 2 > limit_bytes) {
        return segue_json_fail(at, "%zu bytes; at most %" PRIu32 " are supported", length / 2,
                               limit_bytes);
    }
    *out_digits = text;
    *out_length_bytes = (uint32_t)(length / 2);
    return SEGUE_OK;
}

static unsigned digit_value(char digit)
{
    return digit <= '9' ? (unsigned)(digit - '0') : (unsigned)((digit | 0x20) - 'a') + 10;
}

void segue_hex_decode(const char *digits, uint32_t length_bytes, unsigned char *out_data)
{
    for (uint32_t i = 0; i < length_bytes; i++) {
        out_data[i] = (unsigned char)(digit_value(digits[2 * (size_t)i]) << 4 |
                                      digit_value(digits[2 * (size_t)i + 1]));
    }
}

void segue_hex_encode(const void *data, uint32_t length_bytes, char *out_digits)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *bytes = data;
    for (uint32_t i = 0; i < length_bytes; i++) {
        out_digits[2 * (size_t)i] = digits[bytes[i] >> 4];
        out_digits[2 * (size_t)i + 1] = digits[bytes[i] & 15];
    }
    out_digits[2 * (size_t)length_bytes] = '\0';
}
