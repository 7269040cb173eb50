// SPDX-License-Identifier: Apache-2.0
// Images: what the PTX and manifest parsers build.
#include "limits.h"
#include "module.h"

#include <stdlib.h>
#include <string.h>

struct segue_soft_entry *segue_soft_image_add_entry(struct segue_soft_image *image,
                                                    const char *name, size_t name_length)
{
    struct segue_soft_entry *entries =
        realloc(image->entries, (image->entry_count + 1) * sizeof(*entries));
    if (entries == NULL) {
        return NULL;
    }
    image->entries = entries;
    char *copy = malloc(name_length + 1);
    if (copy == NULL) {
        return NULL;
    }
    memcpy(copy, name, name_length);
    copy[name_length] = '\0';
    struct segue_soft_entry *entry = &entries[image->entry_count++];
    *entry =
        (struct segue_soft_entry){.name = copy, .max_threads = SEGUE_SOFT_MAX_THREADS_PER_BLOCK};
    return entry;
}

bool segue_soft_entry_add_parameter(struct segue_soft_entry *entry, uint32_t size_bytes,
                                    uint32_t align_bytes)
{
    struct segue_soft_parameter *parameters =
        realloc(entry->parameters, (entry->parameter_count + 1) * sizeof(*parameters));
    if (parameters == NULL) {
        return false;
    }
    entry->parameters = parameters;
    uint32_t offset = SEGUE_SOFT_PARAMETER_BASE_BYTES;
    if (entry->parameter_count > 0) {
        const struct segue_soft_parameter *last = &parameters[entry->parameter_count - 1];
        offset += last->offset_bytes + last->size_bytes;
    }
    offset = (offset + align_bytes - 1) / align_bytes * align_bytes;
    offset -= SEGUE_SOFT_PARAMETER_BASE_BYTES;
    parameters[entry->parameter_count++] =
        (struct segue_soft_parameter){.size_bytes = size_bytes, .offset_bytes = offset};
    return true;
}

void segue_soft_image_clear(struct segue_soft_image *image)
{
    for (uint32_t i = 0; i < image->entry_count; ++i) {
        free(image->entries[i].name);
        free(image->entries[i].parameters);
    }
    free(image->entries);
    *image = (struct segue_soft_image){.entries = NULL};
}
