// SPDX-License-Identifier: Apache-2.0
#include "prepack.h"

#include "report.h"

#include <inttypes.h>
#include <segue/quant.h>
#include <segue/segue.h>
#include <stddef.h>
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

/**
 * How a packing may be cut: known of Segue's own layout of quantised matrices, where the constants
 * say what the rows are. Other packings, and what does not fit, are packed at a go.
 */
static void fill_rows(const struct segue_trace_constant *constant, struct segue_prepack_rows *rows)
{
    const struct segue_trace_packing *from = constant->packing;
    struct segue_quant_pack_constants matrix;
    if (from->layout_id != SEGUE_QUANT_LAYOUT_NUMBER ||
        from->layout_version != SEGUE_QUANT_LAYOUT_VERSION ||
        from->dispatch.constants_size_bytes != sizeof(matrix))
        return;
    memcpy(&matrix, from->dispatch.constants, sizeof(matrix));
    const uint64_t tiles =
        ((uint64_t)matrix.row_count + SEGUE_QUANT_TILE_ROWS - 1) / SEGUE_QUANT_TILE_ROWS;
    if (matrix.row_count == 0 || constant->size_bytes % tiles != 0)
        return;
    struct segue_prepack_rows filled = {
        .count = matrix.row_count,
        .multiple = SEGUE_QUANT_TILE_ROWS,
        .packed_bytes = constant->size_bytes / tiles,
        .count_offset_bytes = offsetof(struct segue_quant_pack_constants, row_count),
        // 8 stands for rows as they are.
        .pair_rows = matrix.pair_stride != 8 ? matrix.pair_stride : 0,
        .pair_offset_bytes = offsetof(struct segue_quant_pack_constants, pair_stride),
    };
    const uint64_t stretch = 2 * (uint64_t)filled.pair_rows;
    if (stretch != 0 && (stretch % SEGUE_QUANT_TILE_ROWS != 0 || matrix.row_count % stretch != 0))
        return;
    for (uint32_t i = 0; i < from->source_count; ++i) {
        if (from->sources[i].size_bytes % matrix.row_count != 0)
            return;
        filled.source_bytes[i] = from->sources[i].size_bytes / matrix.row_count;
    }
    *rows = filled;
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
    fill_rows(constant, &packing->rows);
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
    const struct {
        const char *name;
        uint64_t value;
    } counts[] = {
        {"constants", stats.constant_count},
        {"hits", stats.hit_count},
        {"packed", stats.packed_count},
        {"shared", stats.shared_count},
        {"corrupt", stats.corrupt_count},
        {"uploaded_bytes", stats.uploaded_bytes},
        {"source_read_bytes", stats.source_read_bytes},
        {"cache_read_bytes", stats.cache_read_bytes},
        {"stored_bytes", stats.stored_bytes},
        {"cached_file_bytes", stats.cached_file_bytes},
        {"direct_file_bytes", stats.direct_file_bytes},
        {"increments", stats.increment_count},
        {"first_submit_ns", stats.first_submit_ns},
        {"key_ns", stats.key_ns},
        {"load_ns", stats.load_ns},
        {"store_ns", stats.store_ns},
        {"read_ns", stats.read_ns},
        {"read_wait_ns", stats.read_wait_ns},
        {"slot_wait_ns", stats.slot_wait_ns},
        {"pin_ns", stats.pin_ns},
        {"allocate_ns", stats.allocate_ns},
        {"submit_ns", stats.submit_ns},
        {"peak_staging_bytes", stats.peak_staging_bytes},
        {"peak_source_bytes", stats.peak_source_bytes},
    };
    json_t *json = json_pack("{s:b}", "private", stats.packed_privately);
    bool complete = json != NULL;
    for (size_t i = 0; complete && i < sizeof(counts) / sizeof(counts[0]); ++i)
        complete = json_object_set_new(json, counts[i].name,
                                       json_integer((json_int_t)counts[i].value)) == 0;
    if (complete)
        complete = json_object_set_new(json, "misses", describe_misses(prepack)) == 0;
    if (complete)
        return json;
    json_decref(json);
    return NULL;
}
