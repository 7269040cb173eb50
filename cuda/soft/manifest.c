// SPDX-License-Identifier: Apache-2.0
// The manifest: the image of a module whose code cannot be read here (cubin, fatbin, or no
// compiler). One line an entry point: its name, then the sizes of its parameters.
#include "module.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PARAMETER_BYTES 32764

// CUDA aligns a parameter to its type. Only the size is known: its lowest set bit, up to 16, is
// the largest alignment that a type of this size can have, bar over-aligned structs.
static uint32_t natural_alignment(uint32_t size_bytes)
{
    uint32_t align_bytes = size_bytes & (~size_bytes + 1);
    return align_bytes < 8 ? align_bytes : 8;
}

static CUresult parse_line(const char *line, size_t length, struct segue_soft_image *image,
                           struct segue_soft_parse_error *error)
{
    size_t name_length = 0;
    while (name_length < length && line[name_length] != ' ') {
        ++name_length;
    }
    if (name_length == 0) {
        snprintf(error->message, sizeof(error->message), "an entry point has no name");
        return CUDA_ERROR_INVALID_IMAGE;
    }
    struct segue_soft_entry *entry = segue_soft_image_add_entry(image, line, name_length);
    if (entry == NULL) {
        return CUDA_ERROR_OUT_OF_MEMORY;
    }
    entry->waits_for_grids = true;
    size_t position = name_length;
    while (position < length) {
        ++position;
        uint32_t size_bytes = 0;
        size_t digits = 0;
        for (; position < length && line[position] >= '0' && line[position] <= '9' && digits < 6;
             ++position, ++digits) {
            size_bytes = size_bytes * 10 + (uint32_t)(line[position] - '0');
        }
        bool ended = position == length || line[position] == ' ';
        if (digits == 0 || !ended || size_bytes == 0 || size_bytes > MAX_PARAMETER_BYTES) {
            snprintf(error->message, sizeof(error->message), "parameter %u of %s has no valid size",
                     entry->parameter_count, entry->name);
            return CUDA_ERROR_INVALID_IMAGE;
        }
        if (!segue_soft_entry_add_parameter(entry, size_bytes, natural_alignment(size_bytes))) {
            return CUDA_ERROR_OUT_OF_MEMORY;
        }
    }
    return CUDA_SUCCESS;
}

CUresult segue_soft_manifest_parse(const char *text, struct segue_soft_image *out_image,
                                   struct segue_soft_parse_error *out_error)
{
    struct segue_soft_image image = {.entries = NULL};
    const char *line = text + strlen(SEGUE_SOFT_MANIFEST_MAGIC);
    out_error->line = 2;
    while (*line != '\0') {
        size_t length = strcspn(line, "\n");
        if (length > 0) {
            CUresult result = parse_line(line, length, &image, out_error);
            if (result != CUDA_SUCCESS) {
                segue_soft_image_clear(&image);
                return result;
            }
        }
        line += length + (line[length] == '\n' ? 1 : 0);
        ++out_error->line;
    }
    *out_image = image;
    return CUDA_SUCCESS;
}
