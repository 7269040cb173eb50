// SPDX-License-Identifier: Apache-2.0
// The software driver's parsers of PTX and of manifests. Input: a byte that chooses the driver
// version, then text.
#include "fuzz.h"

#include "soft/module.h"

#include <stdlib.h>
#include <string.h>

/** All of the driver that the parsers need. */
struct segue_soft_state segue_soft;

static void check_entry(const struct segue_soft_entry *entry)
{
    FUZZ_CHECK(entry->name != NULL && entry->name[0] != '\0', "an entry point has no name");
    FUZZ_CHECK(entry->max_threads >= 1 && entry->max_threads <= 1024, "%s: %u threads", entry->name,
               entry->max_threads);
    FUZZ_CHECK(entry->static_shared_bytes <= INT32_MAX, "%s: shared memory", entry->name);
    uint64_t end = 0;
    for (uint32_t i = 0; i < entry->parameter_count; ++i) {
        const struct segue_soft_parameter *parameter = &entry->parameters[i];
        FUZZ_CHECK(parameter->size_bytes > 0, "%s: parameter %u has no size", entry->name, i);
        FUZZ_CHECK(parameter->offset_bytes >= end, "%s: parameter %u overlaps", entry->name, i);
        end = (uint64_t)parameter->offset_bytes + parameter->size_bytes;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int32_t profiles[] = {SEGUE_SOFT_PROFILE_12_4, SEGUE_SOFT_PROFILE_12_8,
                                       SEGUE_SOFT_PROFILE_13_0};
    if (size == 0)
        return 0;
    segue_soft.profile = profiles[data[0] % 3];
    char *text = malloc(size);
    FUZZ_CHECK(text != NULL, "out of memory");
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    size_t magic_size = strlen(SEGUE_SOFT_MANIFEST_MAGIC);
    struct segue_soft_image image = {.target = UINT32_MAX};
    struct segue_soft_parse_error error = {.line = 0};
    bool manifest = strncmp(text, SEGUE_SOFT_MANIFEST_MAGIC, magic_size) == 0;
    CUresult result = manifest ? segue_soft_manifest_parse(text, &image, &error)
                               : segue_soft_ptx_parse(text, &image, &error);
    if (result == CUDA_SUCCESS) {
        for (uint32_t i = 0; i < image.entry_count; ++i)
            check_entry(&image.entries[i]);
        segue_soft_image_clear(&image);
    } else {
        FUZZ_CHECK(image.target == UINT32_MAX, "a text that was refused left something");
        FUZZ_CHECK(error.line > 0 && error.message[0] != '\0', "refused without saying why");
    }
    free(text);
    return 0;
}
