// SPDX-License-Identifier: Apache-2.0
// segue-bench-llama: the fused decode step of segue-llama as one graph, whole, without some of its
// parts, and in chains of one part alone: what each node costs, and what is lost between them.
#include "model.h"
#include "step.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2
#define EXIT_UNAVAILABLE 77
#define ROUNDS 3

#define ENDS (LLAMA_PART_EMBEDDING | LLAMA_PART_HEAD)
#define PRODUCTS (LLAMA_PART_QKV | LLAMA_PART_O | LLAMA_PART_GATE_UP | LLAMA_PART_DOWN)
#define LAYERS (PRODUCTS | LLAMA_PART_ATTENTION)

/** What is recorded. */
static const struct {
    const char *name;
    uint32_t parts;
    /** Of which the time is that of each layer. */
    bool by_layer;
} cases[] = {
    {"step", LAYERS | ENDS, false},
    {"embedding", LLAMA_PART_EMBEDDING, false},
    {"head", LLAMA_PART_HEAD, false},
    {"layers", LAYERS, true},
    {"layers without attention", PRODUCTS, true},
    {"q, k, v", LLAMA_PART_QKV, true},
    {"attention", LLAMA_PART_ATTENTION, true},
    {"o", LLAMA_PART_O, true},
    {"gate, up", LLAMA_PART_GATE_UP, true},
    {"down", LLAMA_PART_DOWN, true},
};
#define CASE_COUNT (sizeof(cases) / sizeof(cases[0]))

struct options {
    struct llama_config config;
    const char *device_uri;
    uint32_t iterations;
    /** Only the first case. */
    bool quick;
};

static const char usage_text[] =
    "Usage: segue-bench-llama [options]\n"
    "Times the fused decode step of a Llama 3 model as one graph, whole and in parts.\n"
    "\n"
    "  --device URI     cuda://N, soft:// or auto (default: $SEGUE_TEST_DEVICE, else auto)\n"
    "  --model NAME     1b, 3b or 8b (default: 1b)\n"
    "  --layers N       only the first N layers\n"
    "  --context N      rows that the caches hold before the step (default: 512)\n"
    "  --iterations N   launches of each, of which the median is taken (default: 60)\n"
    "  --quick          only the whole step\n"
    "  --help           print this and exit\n"
    "\n"
    "Exit codes: 0 good, 1 something failed, 2 usage, 77 the device is not available.\n";

static int report(segue_status status)
{
    fprintf(stderr, "segue-bench-llama: %s: %s\n", segue_status_name(status),
            segue_last_error()->message);
    return status == SEGUE_UNAVAILABLE ? EXIT_UNAVAILABLE : EXIT_FAILURE;
}

/** The shortest median of several rounds. */
static segue_status measure(struct llama_model *model, uint32_t parts, uint32_t iterations,
                            uint32_t *out_nodes, double *out_us)
{
    segue_command_buffer *command_buffer = NULL;
    struct segue_command_buffer_stats stats;
    uint64_t best_ns = UINT64_MAX;
    model->config.left_out = ~parts;
    segue_status status = llama_step_record(model, SEGUE_EXECUTION_GRAPH, &command_buffer);
    if (status == SEGUE_OK)
        status = segue_command_buffer_get_stats(command_buffer, &stats);
    for (uint32_t i = 0; i < ROUNDS && status == SEGUE_OK; i++) {
        struct llama_step_times times = {0};
        status = llama_step_run(model, command_buffer, iterations, &times);
        if (times.device_ns < best_ns)
            best_ns = times.device_ns;
    }
    segue_command_buffer_destroy(command_buffer);
    if (status != SEGUE_OK)
        return status;
    *out_nodes = stats.work_count;
    *out_us = (double)best_ns / 1e3;
    return SEGUE_OK;
}

static segue_status measure_all(struct llama_model *model, const struct options *options)
{
    const uint32_t layers = options->config.layers;
    double chains_us = 0.0, layer_us = 0.0;
    printf("%-26s %6s %12s %14s\n", "Llama", "nodes", "us", "us a layer");
    for (size_t i = 0; i < (options->quick ? 1 : CASE_COUNT); i++) {
        uint32_t nodes;
        double us;
        const segue_status status =
            measure(model, cases[i].parts, options->iterations, &nodes, &us);
        if (status != SEGUE_OK)
            return status;
        printf("%-26s %6u %12.2f", cases[i].name, nodes, us);
        if (cases[i].by_layer && layers != 0)
            printf(" %14.3f", us / layers);
        putchar('\n');
        if (cases[i].parts == LAYERS)
            layer_us = us;
        else if (cases[i].by_layer && cases[i].parts != PRODUCTS)
            chains_us += us;
    }
    if (!options->quick && layers != 0)
        printf("%-26s %6s %12.2f %14.3f\n", "layers less their chains", "", layer_us - chains_us,
               (layer_us - chains_us) / layers);
    return SEGUE_OK;
}

static bool take_number(const char *text, uint32_t highest, uint32_t *out)
{
    char *end = NULL;
    const unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || value > highest)
        return false;
    *out = (uint32_t)value;
    return true;
}

/** Returns -1 to go on, else the exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
    enum { DEVICE = 1, MODEL, LAYER_COUNT, CONTEXT, ITERATIONS, QUICK, HELP };
    static const struct option names[] = {
        {"device", required_argument, NULL, DEVICE},
        {"model", required_argument, NULL, MODEL},
        {"layers", required_argument, NULL, LAYER_COUNT},
        {"context", required_argument, NULL, CONTEXT},
        {"iterations", required_argument, NULL, ITERATIONS},
        {"quick", no_argument, NULL, QUICK},
        {"help", no_argument, NULL, HELP},
        {0},
    };
    uint32_t layers = UINT32_MAX;
    for (int key; (key = getopt_long(argc, argv, "", names, NULL)) != -1;) {
        bool good = true;
        if (key == DEVICE)
            options->device_uri = optarg;
        else if (key == MODEL)
            good = (options->config.shape = llama_find_shape(optarg)) != NULL;
        else if (key == LAYER_COUNT)
            good = take_number(optarg, UINT32_MAX, &layers);
        else if (key == CONTEXT)
            good = take_number(optarg, LLAMA_MAX_CONTEXT, &options->config.context);
        else if (key == ITERATIONS)
            good = take_number(optarg, 100000, &options->iterations) && options->iterations != 0;
        else if (key == QUICK)
            options->quick = true;
        else if (key == HELP)
            return fputs(usage_text, stdout) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        else
            good = false;
        if (!good)
            return fputs("Try segue-bench-llama --help.\n", stderr), EXIT_USAGE;
    }
    options->config.layers =
        layers < options->config.shape->layers ? layers : options->config.shape->layers;
    return optind < argc ? (fputs("Try segue-bench-llama --help.\n", stderr), EXIT_USAGE) : -1;
}

int main(int argc, char **argv)
{
    const char *uri = getenv("SEGUE_TEST_DEVICE");
    struct options options = {
        .config = {.shape = llama_find_shape("1b"),
                   .context = 512,
                   .seed = 7,
                   .packs = true,
                   .fused = true,
                   .tokens = 1},
        .device_uri = uri ? uri : "auto",
        .iterations = 60,
    };
    const int parsed = parse_options(argc, argv, &options);
    if (parsed >= 0)
        return parsed;
    segue_device *device = NULL;
    struct llama_model *model = NULL;
    segue_status status = segue_device_open(options.device_uri, NULL, &device);
    if (status == SEGUE_OK)
        status = llama_model_create(device, &options.config, &model);
    if (status == SEGUE_OK)
        status = llama_model_fill(model);
    if (status == SEGUE_OK)
        status = measure_all(model, &options);
    const int exit_code = status == SEGUE_OK ? EXIT_SUCCESS : report(status);
    llama_model_destroy(model);
    segue_device_destroy(device);
    return exit_code;
}
