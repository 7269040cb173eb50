// SPDX-License-Identifier: Apache-2.0
// segue-llama: one decode step of Llama, recorded through the public API only.
#include "options.h"
#include "step.h"
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define EXIT_UNAVAILABLE 4

/** Says what failed and returns the exit code. */
static int report(segue_status status)
{
    const struct segue_error *error = segue_last_error();
    // The program's own allocations fail without a message in Segue.
    const bool is_reported = error->status == status;
    fprintf(stderr, "segue-llama: %s%s%s\n", segue_status_name(status), is_reported ? ": " : "",
            is_reported ? error->message : "");
    return status == SEGUE_UNAVAILABLE ? EXIT_UNAVAILABLE : EXIT_FAILURE;
}

/** What the step must compute: with the C references of the kernels, one after the other, on the
 *  software driver. `model` is used if it is on that, else a second one is made. */
static segue_status compute_expected(struct llama_model *model, struct llama_result *out_expected)
{
    struct segue_device_info info;
    segue_device *device = NULL;
    struct llama_model *reference = model;
    segue_command_buffer *command_buffer = NULL;
    segue_status status = SEGUE_OK;
    segue_device_get_info(model->device, &info);
    if (!info.is_soft) {
        reference = NULL;
        status = segue_device_open("soft://", NULL, &device);
        if (status == SEGUE_OK)
            status = llama_model_create(device, &model->config, &reference);
        if (status == SEGUE_OK)
            status = llama_model_fill(reference);
    }
    if (status == SEGUE_OK)
        status = llama_step_record(reference, SEGUE_EXECUTION_STREAM, &command_buffer);
    if (status == SEGUE_OK)
        status = llama_step_run(reference, command_buffer, 0, NULL);
    if (status == SEGUE_OK)
        status = llama_step_read(reference, out_expected);
    segue_command_buffer_destroy(command_buffer);
    if (reference != model)
        llama_model_destroy(reference);
    segue_device_destroy(device);
    return status;
}

/** What all tokens together took: graphs made, and nodes of them that were changed. */
static void print_graphs(const struct llama_model *model, const struct segue_cache_stats *before,
                         uint32_t nodes)
{
    struct segue_cache_stats after;
    segue_device_get_cache_stats(model->device, &after);
    printf("%" PRIu32 " tokens: graphs made %" PRIu64 ", of %" PRIu32
           " nodes; nodes changed %" PRIu64 "\n",
           model->config.tokens, after.misses + after.copies - before->misses - before->copies,
           nodes,
           after.nodes_written + after.rebound_nodes + after.whole_updates - before->nodes_written -
               before->rebound_nodes - before->whole_updates);
}

static segue_status run_mode(const struct llama_model *model, enum segue_execution_mode mode,
                             uint32_t iterations, struct llama_result *out_result)
{
    segue_command_buffer *command_buffer = NULL;
    struct segue_command_buffer_stats stats;
    struct llama_step_times times;
    struct segue_cache_stats before;
    segue_device_get_cache_stats(model->device, &before);
    segue_status status = llama_step_record(model, mode, &command_buffer);
    if (status != SEGUE_OK)
        return status;
    status = segue_command_buffer_get_stats(command_buffer, &stats);
    if (status == SEGUE_OK)
        status = llama_step_run(model, command_buffer, iterations, &times);
    if (status == SEGUE_OK)
        status = llama_step_read(model, out_result);
    segue_command_buffer_destroy(command_buffer);
    if (status != SEGUE_OK)
        return status;
    const uint64_t prepare_ns =
        stats.lower_ns + stats.build_ns + stats.instantiate_ns + stats.upload_ns;
    printf("%-7s %9.3f %10.3f %9.3f %9.3f %9.3f   %" PRIu32 "\n",
           mode == SEGUE_EXECUTION_GRAPH ? "graph" : "stream", (double)stats.record_ns / 1e6,
           (double)prepare_ns / 1e6, (double)times.issue_ns / 1e6, (double)times.device_ns / 1e6,
           (double)times.total_ns / 1e6, out_result->token);
    if (mode == SEGUE_EXECUTION_GRAPH && model->config.tokens > 1)
        print_graphs(model, &before, stats.work_count);
    return SEGUE_OK;
}

/** Compares what was run with what was expected; says so where that is too far. */
static bool is_as_expected(const struct llama_result *result, const struct llama_result *expected)
{
    const double error = llama_result_error(result, expected);
    printf("relative error of the logits against the C reference: %.2e, token %s\n", error,
           result->token == expected->token ? "equal" : "different");
    return error <= LLAMA_LOGITS_TOLERANCE && result->token == expected->token;
}

/** @param expected  NULL: not known. */
static int run_both_modes(const struct llama_model *model, uint32_t iterations,
                          const struct llama_result *expected)
{
    int exit_code = EXIT_FAILURE;
    struct llama_result *graph = malloc(sizeof(*graph));
    struct llama_result *stream = malloc(sizeof(*stream));
    segue_status status = graph && stream ? SEGUE_OK : SEGUE_OUT_OF_HOST_MEMORY;
    printf("%-7s %9s %10s %9s %9s %9s   %s\n", "mode", "record ms", "prepare ms", "issue ms",
           "device ms", "total ms", "token");
    if (status == SEGUE_OK)
        status = run_mode(model, SEGUE_EXECUTION_GRAPH, iterations, graph);
    if (status == SEGUE_OK)
        status = run_mode(model, SEGUE_EXECUTION_STREAM, iterations, stream);
    if (status != SEGUE_OK)
        exit_code = report(status);
    else if (memcmp(graph, stream, sizeof(*graph)) != 0)
        fputs("segue-llama: graph and stream have computed different logits\n", stderr);
    else if (!expected || is_as_expected(graph, expected))
        exit_code = EXIT_SUCCESS;
    free(stream);
    free(graph);
    return exit_code;
}

static int write_trace(const struct llama_model *model, const struct llama_result *expected,
                       const char *path)
{
    segue_command_buffer *command_buffer = NULL;
    struct segue_command_buffer_stats stats;
    segue_status status = llama_step_record(model, SEGUE_EXECUTION_AUTO, &command_buffer);
    if (status == SEGUE_OK)
        status = segue_command_buffer_get_stats(command_buffer, &stats);
    if (status == SEGUE_OK)
        status = llama_trace_write(model, command_buffer, expected, path);
    segue_command_buffer_destroy(command_buffer);
    if (status != SEGUE_OK)
        return report(status);
    printf("%s: %" PRIu32 " dispatches, %" PRIu32 " commands", path, stats.work_count,
           stats.command_count);
    if (expected)
        printf("; token %" PRIu32 ", ahead by %.3f deviations", expected->token,
               llama_result_margin(expected));
    putchar('\n');
    if (expected && llama_result_margin(expected) < 8 * LLAMA_LOGITS_TOLERANCE)
        puts("That is so little that rounding may decide for another token: try another --seed.");
    return EXIT_SUCCESS;
}

static int work(struct llama_model *model, const struct llama_options *options)
{
    const struct llama_shape *shape = options->config.shape;
    struct llama_result *expected = NULL;
    int exit_code = EXIT_SUCCESS;
    printf("Llama %s, %" PRIu32 " of %" PRIu32 " layers, context %" PRIu32 ", %.0f MB\n",
           shape->name, options->config.layers, shape->layers, options->config.context,
           (double)llama_model_size_bytes(model) / 1e6);
    segue_status status = SEGUE_OK;
    if (options->run || options->expect)
        status = llama_model_fill(model);
    if (status == SEGUE_OK && options->expect) {
        expected = malloc(sizeof(*expected));
        status = expected ? compute_expected(model, expected) : SEGUE_OUT_OF_HOST_MEMORY;
    }
    if (status != SEGUE_OK)
        exit_code = report(status);
    if (exit_code == EXIT_SUCCESS && options->out)
        exit_code = write_trace(model, expected, options->out);
    if (exit_code == EXIT_SUCCESS && options->run)
        exit_code = run_both_modes(model, options->iterations, expected);
    free(expected);
    return exit_code;
}

int main(int count, char **arguments)
{
    struct llama_options options;
    switch (llama_options_parse(count, arguments, &options)) {
    case LLAMA_OPTIONS_OK:
        break;
    case LLAMA_OPTIONS_HELP:
        return EXIT_SUCCESS;
    case LLAMA_OPTIONS_WRONG:
        return EXIT_USAGE;
    }
    segue_device *device = NULL;
    struct llama_model *model = NULL;
    segue_status status = segue_device_open(options.device, NULL, &device);
    if (status == SEGUE_INVALID_ARGUMENT) {
        report(status);
        return EXIT_USAGE;
    }
    if (status == SEGUE_OK)
        status = llama_model_create(device, &options.config, &model);
    const int exit_code = status == SEGUE_OK ? work(model, &options) : report(status);
    llama_model_destroy(model);
    segue_device_destroy(device);
    return exit_code;
}
