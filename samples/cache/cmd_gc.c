// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include <inttypes.h>

int segue_cache_gc(const struct segue_cache_options *options)
{
    // A folder that is not there is not to be made.
    segue_packed_cache *cache = NULL;
    int result = segue_cache_open(options, 0, false, &cache);
    if (result != SEGUE_CACHE_GOOD)
        return result;
    if (!options->dry_run) {
        segue_packed_cache_close(cache);
        cache = NULL;
        result = segue_cache_open(options, 0, true, &cache);
    }
    if (result != SEGUE_CACHE_GOOD)
        return result;
    const struct segue_packed_gc_params params = {
        .size_limit_bytes = options->size_limit_bytes,
        .max_age_s = options->max_age_s,
        .model = options->model,
        .dry_run = options->dry_run,
    };
    struct segue_packed_gc_result collected;
    const segue_status status = segue_packed_cache_gc(cache, &params, &collected);
    segue_packed_cache_close(cache);
    if (status != SEGUE_OK)
        return segue_cache_fail(status);
    if (options->json)
        return segue_cache_print_json(json_pack(
            "{s:b, s:I, s:I, s:I, s:I, s:I}", "dry_run", options->dry_run, "removed_files",
            (json_int_t)collected.removed_files, "removed_entries",
            (json_int_t)collected.removed_entries, "kept_entries",
            (json_int_t)collected.kept_entries, "bytes_before", (json_int_t)collected.bytes_before,
            "bytes_after", (json_int_t)collected.bytes_after));
    char before[32];
    char after[32];
    printf("%s%" PRIu64 " tensors removed, %" PRIu64 " kept; %" PRIu64 " files removed; %s",
           options->dry_run ? "would be: " : "", collected.removed_entries, collected.kept_entries,
           collected.removed_files, segue_cache_format_bytes(before, collected.bytes_before));
    if (!options->dry_run)
        printf(" before, %s after", segue_cache_format_bytes(after, collected.bytes_after));
    puts("");
    return SEGUE_CACHE_GOOD;
}
