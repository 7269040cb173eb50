// SPDX-License-Identifier: Apache-2.0
#include "json_mutate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** libFuzzer's own; where there is no libFuzzer nothing calls it. */
extern size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

enum { MAX_NODES = 4096 };

/** A value in a document, and what holds it. */
struct node {
    json_t *parent;
    /** Where the parent is an object. */
    const char *key;
    /** Where it is an array. */
    size_t index;
    json_t *value;
};

struct document {
    struct node nodes[MAX_NODES];
    size_t count;
    uint64_t random;
};

static uint64_t pick(struct document *document, uint64_t bound)
{
    uint64_t z = document->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % bound;
}

static void add_node(struct document *document, struct node node)
{
    if (document->count < MAX_NODES)
        document->nodes[document->count++] = node;
}

static void collect(struct document *document, json_t *root)
{
    add_node(document, (struct node){.value = root});
    for (size_t i = 0; i < document->count; ++i) {
        json_t *value = document->nodes[i].value;
        size_t index;
        json_t *child;
        const char *key;
        json_array_foreach(value, index, child)
            add_node(document, (struct node){.parent = value, .index = index, .value = child});
        json_object_foreach(value, key, child)
            add_node(document, (struct node){.parent = value, .key = key, .value = child});
    }
}

static json_t *make_number(struct document *document, json_t *old)
{
    static const int64_t numbers[] = {0,   1,   -1,   2,         3,          4,         64,
                                      255, 256, 4096, INT32_MAX, UINT32_MAX, INT64_MAX, INT64_MIN};
    json_int_t value = json_integer_value(old);
    switch (pick(document, 6)) {
    case 0:
        return json_integer(value < INT64_MAX ? value + 1 : value);
    case 1:
        return json_integer(value > INT64_MIN ? value - 1 : value);
    case 2:
        return json_integer(value / 2);
    case 3:
        return json_real((double)value + 0.5);
    case 4:
        return json_integer((json_int_t)pick(document, 1024));
    default:
        return json_integer(numbers[pick(document, sizeof(numbers) / sizeof(numbers[0]))]);
    }
}

static json_t *make_string(struct document *document, json_t *old)
{
    char text[512];
    switch (pick(document, 3)) {
    case 0: {
        (void)snprintf(text, sizeof(text), "%s", json_string_value(old));
        size_t length = strlen(text);
        if (length > 0)
            text[pick(document, length)] = (char)('0' + pick(document, 75));
        return json_string(text);
    }
    case 1:
        (void)snprintf(text, sizeof(text), "0x%llx",
                       (unsigned long long)pick(document, UINT64_MAX) >> pick(document, 64));
        return json_string(text);
    default: {
        // Some other string of the document: a name, most likely.
        for (int i = 0; i < 16; ++i) {
            json_t *other = document->nodes[pick(document, document->count)].value;
            if (json_is_string(other))
                return json_incref(other);
        }
        return json_string("");
    }
    }
}

/** What takes the place of a value. */
static json_t *make_value(struct document *document, json_t *old)
{
    if (pick(document, 8) == 0)
        return json_deep_copy(document->nodes[pick(document, document->count)].value);
    if (json_is_integer(old))
        return make_number(document, old);
    if (json_is_string(old))
        return make_string(document, old);
    if (json_is_boolean(old))
        return json_boolean(!json_is_true(old));
    if (json_is_real(old))
        return json_real(json_real_value(old) * (double)pick(document, 100) - 10);
    return json_deep_copy(document->nodes[pick(document, document->count)].value);
}

static void remove_node(const struct node *node)
{
    if (node->key != NULL)
        (void)json_object_del(node->parent, node->key);
    else if (node->parent != NULL)
        (void)json_array_remove(node->parent, node->index);
}

static void replace_node(const struct node *node, json_t *value)
{
    if (node->key != NULL)
        (void)json_object_set_new(node->parent, node->key, value);
    else if (node->parent != NULL)
        (void)json_array_set_new(node->parent, node->index, value);
    else
        json_decref(value);
}

/** Adds a copy of a value of the document: to an array, or to an object under a key of another. */
static void add_value(struct document *document, json_t *to)
{
    const struct node *from = &document->nodes[pick(document, document->count)];
    size_t length = json_array_size(to);
    if (json_is_array(to) && length > 0 && pick(document, 4) != 0)
        (void)json_array_insert_new(to, pick(document, length + 1),
                                    json_deep_copy(json_array_get(to, pick(document, length))));
    else if (json_is_array(to))
        (void)json_array_append_new(to, json_deep_copy(from->value));
    else if (json_is_object(to) && from->key != NULL)
        (void)json_object_set_new(to, from->key, json_deep_copy(from->value));
}

static void change(struct document *document)
{
    const struct node *node = &document->nodes[pick(document, document->count)];
    switch (pick(document, 8)) {
    case 0:
        remove_node(node);
        break;
    case 1:
    case 2:
        add_value(document, node->value);
        break;
    default:
        replace_node(node, make_value(document, node->value));
        break;
    }
}

/** Returns 0 where the bytes are no document, or the new one is too long. */
static size_t mutate(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    struct document *document = calloc(1, sizeof(*document));
    json_t *root = json_loadb((const char *)data, size, 0, NULL);
    size_t written = 0;
    if (document != NULL && root != NULL) {
        document->random = seed;
        for (uint64_t changes = 1 + seed % 3; changes > 0; --changes) {
            document->count = 0;
            collect(document, root);
            change(document);
        }
        written = json_dumpb(root, (char *)data, max_size, JSON_COMPACT);
        // Too long: only a part was written, which the caller does not use.
        written = written <= max_size ? written : 0;
    }
    json_decref(root);
    free(document);
    return written;
}

size_t fuzz_mutate_json(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    if (LLVMFuzzerMutate == NULL)
        return size;
    size_t new_size = seed % 4 != 0 ? mutate(data, size, max_size, seed / 4) : 0;
    return new_size > 0 ? new_size : LLVMFuzzerMutate(data, size, max_size);
}
