// SPDX-License-Identifier: Apache-2.0
// How fast the tensors of a folder are read and checked on the host, and uploaded.
#include "command.h"

#include <inttypes.h>
#include <segue/segue.h>
#include <stdlib.h>
#include <time.h>

#define PIECE_BYTES (UINT64_C(16) << 20)

/** One pass over all entries. */
struct pass {
    /** NULL: the host only. */
    segue_device *device;
    unsigned char *piece;
    uint64_t bytes;
    uint64_t read_ns;
    uint64_t upload_ns;
    segue_status status;
};

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static segue_status load(struct pass *pass, segue_packed_entry *entry, uint64_t size_bytes,
                         segue_buffer *buffer)
{
    segue_status status = SEGUE_OK;
    for (uint64_t offset = 0; status == SEGUE_OK && offset < size_bytes; offset += PIECE_BYTES) {
        const uint64_t rest = size_bytes - offset;
        const size_t length = rest < PIECE_BYTES ? (size_t)rest : (size_t)PIECE_BYTES;
        const uint64_t start = now_ns();
        status = segue_packed_entry_read(entry, offset, pass->piece, length);
        const uint64_t middle = now_ns();
        pass->read_ns += middle - start;
        if (status == SEGUE_OK && buffer != NULL)
            status = segue_buffer_write(buffer, offset, pass->piece, length);
        pass->upload_ns += now_ns() - middle;
        pass->bytes += length;
    }
    return status;
}

static bool visit(void *context, segue_packed_entry *entry)
{
    struct pass *pass = context;
    struct segue_packed_entry_info info;
    segue_packed_entry_get_info(entry, &info);
    segue_buffer *buffer = NULL;
    if (pass->device != NULL) {
        const struct segue_buffer_params params = {
            .size_bytes = info.size_bytes, .memory = SEGUE_MEMORY_CONSTANT, .label = info.name};
        pass->status = segue_buffer_create(pass->device, &params, &buffer);
    }
    if (pass->status == SEGUE_OK)
        pass->status = load(pass, entry, info.size_bytes, buffer);
    segue_buffer_destroy(buffer);
    return pass->status == SEGUE_OK;
}

static double rate(uint64_t bytes, uint64_t time_ns)
{
    return time_ns != 0 ? (double)bytes / (double)time_ns : 0;
}

/** Prints a pass, or appends it to `passes`. */
static void report(const struct segue_cache_options *options, const struct pass *pass,
                   uint32_t number, json_t *passes)
{
    const uint64_t total_ns = pass->read_ns + (pass->device != NULL ? pass->upload_ns : 0);
    if (options->json) {
        (void)json_array_append_new(
            passes, json_pack("{s:I, s:I, s:I, s:f, s:f, s:f}", "bytes", (json_int_t)pass->bytes,
                              "read_ns", (json_int_t)pass->read_ns, "upload_ns",
                              (json_int_t)(pass->device != NULL ? pass->upload_ns : 0),
                              "read_gb_per_s", rate(pass->bytes, pass->read_ns), "upload_gb_per_s",
                              pass->device != NULL ? rate(pass->bytes, pass->upload_ns) : 0.0,
                              "total_gb_per_s", rate(pass->bytes, total_ns)));
        return;
    }
    char size[32];
    printf("pass %" PRIu32 ": %s, read and checked (%s) %.2f GB/s", number,
           segue_cache_format_bytes(size, pass->bytes),
           segue_cache_verifications[options->verification], rate(pass->bytes, pass->read_ns));
    if (pass->device != NULL)
        printf(", uploaded %.2f GB/s, together %.2f GB/s", rate(pass->bytes, pass->upload_ns),
               rate(pass->bytes, total_ns));
    puts("");
}

int segue_cache_bench(const struct segue_cache_options *options)
{
    segue_packed_cache *cache = NULL;
    int result = segue_cache_open(options, 0, false, &cache);
    if (result != SEGUE_CACHE_GOOD)
        return result;
    segue_device *device = NULL;
    segue_status status = SEGUE_OK;
    if (options->device_uri != NULL)
        status = segue_device_open(options->device_uri, NULL, &device);
    unsigned char *piece = malloc(PIECE_BYTES);
    json_t *passes = json_array();
    if (status != SEGUE_OK)
        result = segue_cache_error(SEGUE_CACHE_UNAVAILABLE, "%s: %s", options->device_uri,
                                   segue_last_error()->message);
    else if (piece == NULL || passes == NULL)
        result = segue_cache_error(SEGUE_CACHE_UNAVAILABLE, "out of memory");
    for (uint32_t i = 0; result == SEGUE_CACHE_GOOD && i < options->iterations; i++) {
        struct pass pass = {.device = device, .piece = piece};
        status = segue_packed_cache_visit(cache, visit, &pass);
        if (status == SEGUE_OK)
            status = pass.status;
        if (status != SEGUE_OK)
            result = segue_cache_fail(status);
        else
            report(options, &pass, i + 1, passes);
    }
    if (result == SEGUE_CACHE_GOOD && options->json)
        result = segue_cache_print_json(json_pack("{s:O}", "passes", passes));
    json_decref(passes);
    free(piece);
    segue_device_destroy(device);
    segue_packed_cache_close(cache);
    return result;
}
