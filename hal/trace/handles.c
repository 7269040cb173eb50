// SPDX-License-Identifier: Apache-2.0
#include "handles.h"

#include <stdlib.h>
#include <string.h>

static size_t first_position(const void *handle, size_t table_size)
{
    uint64_t bits = (uint64_t)(uintptr_t)handle * 0x9e3779b97f4a7c15u;
    return (size_t)(bits >> 32) & (table_size - 1);
}

bool segue_handles_find(const struct segue_handles *handles, const void *handle,
                        uint32_t *out_number)
{
    if (handles->table_size == 0) {
        return false;
    }
    size_t position = first_position(handle, handles->table_size);
    while (handles->table[position] != 0) {
        uint32_t number = handles->table[position] - 1;
        if (handles->items[number] == handle) {
            *out_number = number;
            return true;
        }
        position = (position + 1) & (handles->table_size - 1);
    }
    return false;
}

static void insert(uint32_t *table, size_t table_size, const void *handle, uint32_t number)
{
    size_t position = first_position(handle, table_size);
    while (table[position] != 0) {
        position = (position + 1) & (table_size - 1);
    }
    table[position] = number + 1;
}

static bool grow(struct segue_handles *handles)
{
    size_t capacity = handles->capacity != 0 ? 2 * handles->capacity : 64;
    uint32_t *table = calloc(2 * capacity, sizeof(table[0]));
    const void **items = realloc(handles->items, capacity * sizeof(items[0]));
    if (items != NULL) {
        handles->items = items;
    }
    if (table == NULL || items == NULL) {
        free(table);
        return false;
    }
    for (uint32_t i = 0; i < handles->count; i++) {
        insert(table, 2 * capacity, items[i], i);
    }
    free(handles->table);
    handles->table = table;
    handles->table_size = 2 * capacity;
    handles->capacity = capacity;
    return true;
}

bool segue_handles_add(struct segue_handles *handles, const void *handle, uint32_t *out_number,
                       bool *out_is_new)
{
    *out_is_new = false;
    if (segue_handles_find(handles, handle, out_number)) {
        return true;
    }
    if (handles->count == handles->capacity && !grow(handles)) {
        return false;
    }
    *out_number = handles->count;
    *out_is_new = true;
    insert(handles->table, handles->table_size, handle, handles->count);
    handles->items[handles->count++] = handle;
    return true;
}

void segue_handles_free(struct segue_handles *handles)
{
    free(handles->items);
    free(handles->table);
    *handles = (struct segue_handles){0};
}
