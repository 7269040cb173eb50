// SPDX-License-Identifier: Apache-2.0
// Two folders: which tensors only one of them has, and which have other bytes for the same key.
#include "command.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/** What is compared of an entry. Names are copies. */
struct item {
    char *model;
    char *name;
    struct segue_packed_key key;
    struct segue_packed_digest content;
    uint64_t size_bytes;
};

struct items {
    const char *only_model;
    struct item *items;
    size_t count;
    bool failed;
};

static int compare_items(const void *left, const void *right)
{
    const struct item *a = left;
    const struct item *b = right;
    int order = strcmp(a->model, b->model);
    if (order == 0)
        order = strcmp(a->name, b->name);
    return order != 0 ? order : memcmp(&a->key, &b->key, sizeof(a->key));
}

static bool collect(void *context, segue_packed_entry *entry)
{
    struct items *items = context;
    struct segue_packed_entry_info info;
    segue_packed_entry_get_info(entry, &info);
    if (items->only_model != NULL && strcmp(info.model, items->only_model) != 0)
        return true;
    if ((items->count & (items->count - 1)) == 0) {
        const size_t capacity = items->count == 0 ? 1 : 2 * items->count;
        struct item *grown = realloc(items->items, capacity * sizeof(*grown));
        items->failed = grown == NULL;
        if (grown == NULL)
            return false;
        items->items = grown;
    }
    struct item *item = &items->items[items->count++];
    *item = (struct item){.model = strdup(info.model),
                          .name = strdup(info.name),
                          .key = info.key,
                          .content = info.content,
                          .size_bytes = info.size_bytes};
    items->failed = item->model == NULL || item->name == NULL;
    return !items->failed;
}

static void free_items(struct items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        free(items->items[i].model);
        free(items->items[i].name);
    }
    free(items->items);
}

/** Reads one folder. @return a segue_cache_exit. */
static int read_folder(const struct segue_cache_options *options, uint32_t at, struct items *items)
{
    segue_packed_cache *cache = NULL;
    const int result = segue_cache_open(options, at, false, &cache);
    if (result != SEGUE_CACHE_GOOD)
        return result;
    items->only_model = options->model;
    const segue_status status = segue_packed_cache_visit(cache, collect, items);
    segue_packed_cache_close(cache);
    if (status != SEGUE_OK)
        return segue_cache_fail(status);
    if (items->failed)
        return segue_cache_error(SEGUE_CACHE_UNAVAILABLE, "out of memory");
    if (items->count != 0)
        qsort(items->items, items->count, sizeof(items->items[0]), compare_items);
    return SEGUE_CACHE_GOOD;
}

struct difference {
    const struct segue_cache_options *options;
    json_t *lines;
    uint64_t count;
    uint64_t equal;
};

static void report(struct difference *difference, const char *kind, const char *mark,
                   const struct item *item)
{
    difference->count++;
    if (difference->options->json)
        (void)json_array_append_new(difference->lines,
                                    json_pack("{s:s, s:o, s:o, s:I, s:I, s:I, s:I}", "kind", kind,
                                              "model", segue_cache_json_text(item->model), "name",
                                              segue_cache_json_text(item->name), "size_bytes",
                                              (json_int_t)item->size_bytes, "layout_id",
                                              (json_int_t)item->key.layout_id, "layout_version",
                                              (json_int_t)item->key.layout_version, "architecture",
                                              (json_int_t)item->key.architecture));
    else
        printf("%s %s  %s  %" PRIu64 " bytes  layout %" PRIu32 ".%" PRIu32 "  arch %" PRIu32 "\n",
               mark, item->model, item->name, item->size_bytes, item->key.layout_id,
               item->key.layout_version, item->key.architecture);
}

/** Walks both sorted lists at once. */
static void compare(struct difference *difference, const struct items *first,
                    const struct items *second)
{
    size_t i = 0;
    size_t k = 0;
    while (i < first->count || k < second->count) {
        const int order = i == first->count    ? 1
                          : k == second->count ? -1
                                               : compare_items(&first->items[i], &second->items[k]);
        if (order < 0) {
            report(difference, "first", "<", &first->items[i++]);
        } else if (order > 0) {
            report(difference, "second", ">", &second->items[k++]);
        } else {
            if (memcmp(&first->items[i].content, &second->items[k].content,
                       sizeof(first->items[i].content)) != 0)
                report(difference, "content", "!", &first->items[i]);
            else
                difference->equal++;
            i++;
            k++;
        }
    }
}

int segue_cache_diff(const struct segue_cache_options *options)
{
    struct items first = {0};
    struct items second = {0};
    int result = read_folder(options, 0, &first);
    if (result == SEGUE_CACHE_GOOD)
        result = read_folder(options, 1, &second);
    if (result == SEGUE_CACHE_GOOD) {
        struct difference difference = {.options = options, .lines = json_array()};
        compare(&difference, &first, &second);
        if (options->json)
            result = segue_cache_print_json(json_pack("{s:o, s:I}", "differences", difference.lines,
                                                      "equal", (json_int_t)difference.equal));
        else
            json_decref(difference.lines);
        if (result == SEGUE_CACHE_GOOD && difference.count != 0) {
            fflush(stdout);
            result = segue_cache_error(
                SEGUE_CACHE_FAILED,
                "%s and %s differ in %" PRIu64 " tensors, %" PRIu64 " are equal", options->paths[0],
                options->paths[1], difference.count, difference.equal);
        }
    }
    free_items(&first);
    free_items(&second);
    return result;
}
