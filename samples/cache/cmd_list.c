// SPDX-License-Identifier: Apache-2.0
#include "command.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

struct listing {
    const struct segue_cache_options *options;
    json_t *entries;
    uint64_t count;
    uint64_t size_bytes;
    bool failed;
};

/** "2026-11-20 18:00", local time; "-" for 0. */
static char *format_time(char buffer[32], uint64_t time_s)
{
    const time_t time = (time_t)time_s;
    struct tm parts;
    if (time_s == 0 || localtime_r(&time, &parts) == NULL ||
        strftime(buffer, 32, "%Y-%m-%d %H:%M", &parts) == 0)
        (void)strcpy(buffer, "-");
    return buffer;
}

static void print_entry(const struct segue_packed_entry_info *info)
{
    char size[32];
    char used[32];
    char digest[33];
    (void)segue_cache_format_digest(digest, &info->content);
    printf("%-24s %-40s %10s  layout %" PRIu32 ".%" PRIu32 "  arch %" PRIu32 "  generation %" PRIu64
           "  used %-16s  %.16s\n",
           info->model, info->name, segue_cache_format_bytes(size, info->size_bytes),
           info->key.layout_id, info->key.layout_version, info->key.architecture, info->generation,
           format_time(used, info->last_used_s), digest);
}

static json_t *make_json(const struct segue_packed_entry_info *info)
{
    char digests[4][33];
    const struct segue_packed_digest *sources[] = {&info->content, &info->key.inputs,
                                                   &info->key.parameters, &info->key.fingerprint};
    for (int i = 0; i < 4; i++)
        (void)segue_cache_format_digest(digests[i], sources[i]);
    return json_pack(
        "{s:o, s:o, s:I, s:I, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s, s:s, s:s}", "model",
        segue_cache_json_text(info->model), "name", segue_cache_json_text(info->name), "size_bytes",
        (json_int_t)info->size_bytes, "offset_bytes", (json_int_t)info->offset_bytes, "chunks",
        (json_int_t)info->chunk_count, "file", info->file, "generation",
        (json_int_t)info->generation, "layout_id", (json_int_t)info->key.layout_id,
        "layout_version", (json_int_t)info->key.layout_version, "architecture",
        (json_int_t)info->key.architecture, "created_ns", (json_int_t)info->created_ns,
        "last_used_s", (json_int_t)info->last_used_s, "content", digests[0], "inputs", digests[1],
        "parameters", digests[2], "fingerprint", digests[3]);
}

static bool visit(void *context, segue_packed_entry *entry)
{
    struct listing *listing = context;
    struct segue_packed_entry_info info;
    segue_packed_entry_get_info(entry, &info);
    if (listing->options->model != NULL && strcmp(info.model, listing->options->model) != 0)
        return true;
    listing->count++;
    listing->size_bytes += info.size_bytes;
    if (listing->options->json)
        listing->failed = json_array_append_new(listing->entries, make_json(&info)) != 0;
    else
        print_entry(&info);
    return !listing->failed;
}

int segue_cache_list(const struct segue_cache_options *options)
{
    segue_packed_cache *cache = NULL;
    int result = segue_cache_open(options, 0, false, &cache);
    if (result != SEGUE_CACHE_GOOD)
        return result;
    struct listing listing = {.options = options, .entries = json_array()};
    struct segue_packed_cache_stats stats;
    segue_packed_cache_get_stats(cache, &stats);
    const segue_status status = segue_packed_cache_visit(cache, visit, &listing);
    segue_packed_cache_close(cache);
    if (status != SEGUE_OK || listing.failed) {
        json_decref(listing.entries);
        return status != SEGUE_OK ? segue_cache_fail(status) : segue_cache_print_json(NULL);
    }
    if (options->json)
        return segue_cache_print_json(json_pack("{s:o, s:I, s:I, s:I}", "entries", listing.entries,
                                                "files", (json_int_t)stats.file_count, "file_bytes",
                                                (json_int_t)stats.file_bytes, "invalid_files",
                                                (json_int_t)stats.invalid_files));
    json_decref(listing.entries);
    char entries[32];
    char files[32];
    printf("%" PRIu64 " tensors, %s; %" PRIu64 " files, %s", listing.count,
           segue_cache_format_bytes(entries, listing.size_bytes), stats.file_count,
           segue_cache_format_bytes(files, stats.file_bytes));
    if (stats.invalid_files != 0)
        printf("; %" PRIu64 " files left out", stats.invalid_files);
    puts("");
    return SEGUE_CACHE_GOOD;
}
