// SPDX-License-Identifier: Apache-2.0
#include "prepack.h"

#include "report.h"

#include <inttypes.h>
#include <segue/segue.h>
#include <stdlib.h>
#include <string.h>

static void print_warning(void *context, enum segue_log_level level, const char *message)
{
    (void)context;
    (void)level;
    (void)segue_replay_error(0, "%s", message);
}

segue_status segue_replay_prepack_open(struct segue_replay_prepack *prepack, segue_device *device,
                                       const char *path, segue_prepack_progress_fn progress,
                                       void *progress_context)
{
    const struct segue_packed_cache_params cache = {.path = path, .log = print_warning};
    segue_status status = segue_packed_cache_open(&cache, &prepack->cache);
    const struct segue_prepack_params params = {
        .model = "trace",
        .cache = prepack->cache,
        .progress = progress,
        .progress_context = progress_context,
        .log = print_warning,
    };
    if (status == SEGUE_OK)
        status = segue_prepack_plan_create(device, &params, &prepack->plan);
    return status;
}

/** A segue_prepack_generate_fn; the context is a struct segue_content. */
static bool generate(void *context, uint64_t offset_bytes, void *data, size_t length_bytes)
{
    return segue_content_generate(context, offset_bytes, length_bytes, data) == SEGUE_OK;
}

/** Keeps a content as long as the plan; NULL when out of memory. */
static struct segue_content *keep_content(struct segue_replay_prepack *prepack,
                                          const struct segue_content *content)
{
    struct segue_content **contents =
        realloc(prepack->contents, (prepack->content_count + 1) * sizeof(contents[0]));
    if (!contents)
        return NULL;
    prepack->contents = contents;
    struct segue_content *copy = calloc(1, sizeof(*copy));
    if (!copy)
        return NULL;
    // Field by field: holes must be zero, since the bytes are the generator's identity.
    copy->kind = content->kind;
    copy->dtype = content->dtype;
    copy->seed = content->seed;
    copy->a = content->a;
    copy->b = content->b;
    copy->pattern = content->pattern;
    contents[prepack->content_count++] = copy;
    return copy;
}

/** Where bytes come from: what makes them, or a range of a file. False when out of memory. */
static bool fill_source(struct segue_replay_prepack *prepack,
                        const struct segue_trace_packing_source *from,
                        struct segue_prepack_source *source)
{
    *source = (struct segue_prepack_source){
        .fd = from->fd,
        .file = from->file,
        .offset_bytes = from->offset_bytes,
        .size_bytes = from->size_bytes,
    };
    if (!from->is_generated)
        return true;
    struct segue_content *content = keep_content(prepack, &from->content);
    source->kind = SEGUE_PREPACK_GENERATOR;
    source->generate = generate;
    source->generate_context = content;
    source->identity = content;
    source->identity_bytes = sizeof(*content);
    return content != NULL;
}

static struct segue_prepack_launch launch_of(const struct segue_dispatch *dispatch)
{
    struct segue_prepack_launch launch = {
        .dynamic_shared_bytes = dispatch->dynamic_shared_bytes,
        .constants = dispatch->constants,
        .constants_size_bytes = dispatch->constants_size_bytes,
    };
    memcpy(launch.grid, dispatch->grid, sizeof(launch.grid));
    memcpy(launch.block, dispatch->block, sizeof(launch.block));
    return launch;
}

/** The trace's packing as the plan's; without a probe in the trace the packing itself is one. */
static void fill_packing(const struct segue_trace_constant *constant,
                         struct segue_prepack_packing *packing, struct segue_prepack_probe *probe)
{
    const struct segue_trace_packing *from = constant->packing;
    const bool has_probe = from->probe_input_bytes != NULL;
    *packing = (struct segue_prepack_packing){
        .executable = from->dispatch.executable,
        .entry_point = from->dispatch.entry_point,
        .launch = launch_of(&from->dispatch),
        .layout_id = from->layout_id,
        .layout_version = from->layout_version,
        .probe = probe,
    };
    *probe = (struct segue_prepack_probe){
        .launch = has_probe ? launch_of(&from->probe) : packing->launch,
        .output_bytes = has_probe ? from->probe_output_bytes : constant->size_bytes,
    };
    for (uint32_t i = 0; i < from->source_count; ++i)
        probe->input_bytes[i] =
            has_probe ? from->probe_input_bytes[i] : from->sources[i].size_bytes;
}

bool segue_replay_prepack_add(void *context, const struct segue_trace_constant *constant)
{
    struct segue_replay_prepack *prepack = context;
    if (prepack->status != SEGUE_OK)
        return true;
    const struct segue_trace_packing_source plain = {
        .size_bytes = constant->size_bytes,
        .is_generated = constant->is_generated,
        .content = constant->content,
        .fd = constant->fd,
        .file = constant->file,
        .offset_bytes = constant->offset_bytes,
    };
    const bool packs = constant->packing != NULL;
    const struct segue_trace_packing_source *from = packs ? constant->packing->sources : &plain;
    struct segue_prepack_source sources[SEGUE_PREPACK_MAX_SOURCES];
    struct segue_prepack_packing packing;
    struct segue_prepack_probe probe;
    struct segue_prepack_constant added = {
        .name = constant->name,
        .sources = sources,
        .source_count = packs ? constant->packing->source_count : 1,
        .packing = packs ? &packing : NULL,
        .packed_bytes = constant->size_bytes,
        .destination = constant->buffer,
    };
    for (uint32_t i = 0; i < added.source_count; ++i) {
        // Without memory for it the session fills it in the old way.
        if (!fill_source(prepack, &from[i], &sources[i]))
            return false;
    }
    if (packs)
        fill_packing(constant, &packing, &probe);
    prepack->status = segue_prepack_plan_add(prepack->plan, &added, NULL);
    return true;
}

segue_status segue_replay_prepack_run(struct segue_replay_prepack *prepack)
{
    segue_status status = prepack->status;
    if (status == SEGUE_OK)
        status = segue_prepack_plan_run(prepack->plan);
    struct segue_semaphore_value point;
    segue_prepack_plan_get_point(prepack->plan, &point);
    if (status == SEGUE_OK)
        status = segue_semaphore_wait(point.semaphore, point.value, SEGUE_TIMEOUT_INFINITE);
    return status;
}

void segue_replay_prepack_close(struct segue_replay_prepack *prepack)
{
    segue_prepack_plan_destroy(prepack->plan);
    segue_packed_cache_close(prepack->cache);
    for (uint32_t i = 0; i < prepack->content_count; ++i)
        free(prepack->contents[i]);
    free(prepack->contents);
    *prepack = (struct segue_replay_prepack){0};
}

void segue_replay_prepack_print(const struct segue_replay_prepack *prepack, FILE *stream)
{
    if (!prepack->plan)
        return;
    struct segue_prepack_stats stats;
    segue_prepack_plan_get_stats(prepack->plan, &stats);
    char size[32], time[32];
    segue_replay_format_bytes(size, sizeof(size), (double)stats.uploaded_bytes);
    segue_replay_format_ns(time, sizeof(time), (double)stats.load_ns);
    fprintf(stream,
            "prepack: %" PRIu32 " constants, %" PRIu32 " from the cache, %" PRIu32
            " loaded and stored, %" PRIu32 " shared; %s in %s, %.2f GB/s, %" PRIu64 " increments\n",
            stats.constant_count, stats.hit_count, stats.packed_count, stats.shared_count, size,
            time, stats.load_ns ? (double)stats.uploaded_bytes / (double)stats.load_ns : 0,
            stats.increment_count);
}

/** Why constants were not in the cache: a count for each reason. NULL when out of memory. */
static json_t *describe_misses(const struct segue_replay_prepack *prepack)
{
    struct segue_packed_cache_stats stats;
    segue_packed_cache_get_stats(prepack->cache, &stats);
    json_t *misses = json_object();
    for (int i = 0; misses && i < SEGUE_PACKED_MISS_COUNT; ++i) {
        const char *name = segue_packed_miss_name((enum segue_packed_miss)i);
        if (json_object_set_new(misses, name, json_integer((json_int_t)stats.misses[i])) != 0) {
            json_decref(misses);
            misses = NULL;
        }
    }
    return misses;
}

json_t *segue_replay_prepack_json(const struct segue_replay_prepack *prepack)
{
    if (!prepack->plan)
        return NULL;
    struct segue_prepack_stats stats;
    segue_prepack_plan_get_stats(prepack->plan, &stats);
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b}",
        "constants", (json_int_t)stats.constant_count, "hits", (json_int_t)stats.hit_count,
        "packed", (json_int_t)stats.packed_count, "shared", (json_int_t)stats.shared_count,
        "corrupt", (json_int_t)stats.corrupt_count, "uploaded_bytes",
        (json_int_t)stats.uploaded_bytes, "increments", (json_int_t)stats.increment_count,
        "first_submit_ns", (json_int_t)stats.first_submit_ns, "key_ns", (json_int_t)stats.key_ns,
        "load_ns", (json_int_t)stats.load_ns, "store_ns", (json_int_t)stats.store_ns,
        "peak_staging_bytes", (json_int_t)stats.peak_staging_bytes, "source_read_bytes",
        (json_int_t)stats.source_read_bytes, "cache_read_bytes", (json_int_t)stats.cache_read_bytes,
        "stored_bytes", (json_int_t)stats.stored_bytes, "private", stats.packed_privately);
    json_t *misses = describe_misses(prepack);
    if (!json || !misses || json_object_set(json, "misses", misses) != 0) {
        json_decref(json);
        json = NULL;
    }
    json_decref(misses);
    return json;
}
