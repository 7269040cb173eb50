// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include <inttypes.h>

struct report {
    const struct segue_cache_options *options;
    json_t *defects;
};

static void on_defect(void *context, const char *message)
{
    struct report *report = context;
    if (report->options->json)
        (void)json_array_append_new(report->defects, segue_cache_json_text(message));
    else
        puts(message);
}

int segue_cache_verify(const struct segue_cache_options *options)
{
    segue_packed_cache *cache = NULL;
    int result = segue_cache_open(options, 0, false, &cache);
    if (result != SEGUE_CACHE_GOOD)
        return result;
    struct report report = {.options = options, .defects = json_array()};
    struct segue_packed_verify_result found = {0};
    const segue_status status = segue_packed_cache_verify(cache, on_defect, &report, &found);
    if (status == SEGUE_OK || status == SEGUE_MISMATCH) {
        char size[32];
        if (options->json)
            result = segue_cache_print_json(json_pack(
                "{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "sound", status == SEGUE_OK,
                "files", (json_int_t)found.file_count, "entries", (json_int_t)found.entry_count,
                "chunks", (json_int_t)found.chunk_count, "bytes", (json_int_t)found.byte_count,
                "corrupt_chunks", (json_int_t)found.corrupt_chunks, "corrupt_entries",
                (json_int_t)found.corrupt_entries, "invalid_files", (json_int_t)found.invalid_files,
                "defects", report.defects));
        else
            printf("%" PRIu64 " files, %" PRIu64 " tensors, %" PRIu64 " chunks, %s: %" PRIu64
                   " corrupt tensors, %" PRIu64 " files not valid\n",
                   found.file_count, found.entry_count, found.chunk_count,
                   segue_cache_format_bytes(size, found.byte_count), found.corrupt_entries,
                   found.invalid_files);
    }
    json_decref(report.defects);
    if (status != SEGUE_OK) {
        fflush(stdout);
        result = segue_cache_fail(status);
    }
    segue_packed_cache_close(cache);
    return result;
}
