// SPDX-License-Identifier: Apache-2.0
#include "names.h"

#include <stdlib.h>
#include <string.h>

static int compare_names(const void *left, const void *right)
{
    const struct segue_name *a = left;
    const struct segue_name *b = right;
    int order = strcmp(a->text, b->text);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

bool segue_names_sort(struct segue_names *names, uint32_t *out_duplicate)
{
    if (names->count != 0) {
        qsort(names->names, names->count, sizeof(names->names[0]), compare_names);
    }
    for (uint32_t i = 1; i < names->count; i++) {
        if (strcmp(names->names[i - 1].text, names->names[i].text) == 0) {
            *out_duplicate = names->names[i].index;
            return false;
        }
    }
    return true;
}

bool segue_names_find(const struct segue_names *names, const char *text, uint32_t *out_index)
{
    uint32_t low = 0;
    uint32_t high = names->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(names->names[middle].text, text);
        if (order == 0) {
            *out_index = names->names[middle].index;
            return true;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return false;
}
