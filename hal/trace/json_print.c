// SPDX-License-Identifier: Apache-2.0
#include "command_json.h"

#include "error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_WIDTH 100

segue_status segue_json_set(json_t *object, const char *key, json_t *value)
{
    if (value == NULL || json_object_set_new(object, key, value) != 0) {
        return segue_trace_fail_memory("a JSON document");
    }
    return SEGUE_OK;
}

json_t *segue_json_from_u64(uint64_t value)
{
    char text[24];
    if (value <= INT64_MAX) {
        return json_integer((json_int_t)value);
    }
    snprintf(text, sizeof(text), "0x%" PRIx64, value);
    return json_string(text);
}

/** Turns every byte that is not ASCII into '?'. */
static void make_ascii(char *text)
{
    for (; *text != '\0'; text++) {
        *text = (unsigned char)*text < 0x80 ? *text : '?';
    }
}

json_t *segue_json_from_text(const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) {
        return NULL;
    }
    segue_text_make_plain(copy);
    if (!segue_text_is_utf8(copy, strlen(copy))) {
        make_ascii(copy);
    }
    json_t *json = json_string(copy);
    free(copy);
    return json;
}

json_t *segue_bits_to_json(uint32_t bits, const char *const *names, uint32_t count)
{
    json_t *array = json_array();
    for (uint32_t i = 0; array != NULL && i < count; i++) {
        if ((bits & 1u << i) != 0 && json_array_append_new(array, json_string(names[i])) != 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/** Text that grows. */
struct text {
    char *data;
    size_t length;
    size_t capacity;
    bool failed;
};

static int append(const char *piece, size_t size, void *context)
{
    struct text *text = context;
    if (text->length + size + 1 > text->capacity) {
        size_t capacity = 2 * (text->length + size) + 64;
        char *data = realloc(text->data, capacity);
        text->failed = text->failed || data == NULL;
        if (data == NULL) {
            return -1;
        }
        text->data = data;
        text->capacity = capacity;
    }
    memcpy(text->data + text->length, piece, size);
    text->length += size;
    text->data[text->length] = '\0';
    return 0;
}

char *segue_json_dumps(const json_t *value, size_t flags)
{
    // json_dumps goes on where memory for a key runs out, and leaves the key out.
    struct text text = {.data = NULL};
    if (json_dump_callback(value, append, &text, flags | JSON_ENCODE_ANY) != 0 || text.failed) {
        free(text.data);
        return NULL;
    }
    return text.data;
}

static bool print_value(FILE *out, json_t *value, size_t indent);

static bool print_array(FILE *out, json_t *array, size_t indent)
{
    fprintf(out, "[\n");
    size_t count = json_array_size(array);
    for (size_t i = 0; i < count; i++) {
        fprintf(out, "%*s", (int)indent + 1, "");
        if (!print_value(out, json_array_get(array, i), indent + 1)) {
            return false;
        }
        fprintf(out, "%s\n", i + 1 < count ? "," : "");
    }
    fprintf(out, "%*s]", (int)indent, "");
    return true;
}

static bool print_object(FILE *out, json_t *object, size_t indent)
{
    fprintf(out, "{\n");
    void *i = json_object_iter(object);
    while (i != NULL) {
        json_t *key = json_string(json_object_iter_key(i));
        char *text = key != NULL ? segue_json_dumps(key, 0) : NULL;
        json_decref(key);
        if (text == NULL) {
            return false;
        }
        fprintf(out, "%*s%s: ", (int)indent + 1, "", text);
        free(text);
        if (!print_value(out, json_object_iter_value(i), indent + 1)) {
            return false;
        }
        i = json_object_iter_next(object, i);
        fprintf(out, "%s\n", i != NULL ? "," : "");
    }
    fprintf(out, "%*s}", (int)indent, "");
    return true;
}

/** Whether the value is known not to fit on a line, without printing it. */
static bool is_long(const json_t *value)
{
    return json_array_size(value) > LINE_WIDTH / 2;
}

static bool print_value(FILE *out, json_t *value, size_t indent)
{
    bool container = json_is_object(value) || json_is_array(value);
    bool breakable = container && (indent == 0 || is_long(value));
    if (!breakable) {
        char *line = segue_json_dumps(value, 0);
        if (line == NULL) {
            return false;
        }
        breakable = container && indent + strlen(line) > LINE_WIDTH;
        if (!breakable) {
            fputs(line, out);
        }
        free(line);
    }
    if (!breakable) {
        return true;
    }
    return json_is_array(value) ? print_array(out, value, indent)
                                : print_object(out, value, indent);
}

char *segue_json_print(const json_t *root)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        return NULL;
    }
    bool done = print_value(out, (json_t *)(uintptr_t)root, 0);
    fputc('\n', out);
    done = done && ferror(out) == 0;
    if (fclose(out) != 0 || !done) {
        free(text);
        return NULL;
    }
    return text;
}
