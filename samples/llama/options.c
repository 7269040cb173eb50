// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: segue-llama [--out TRACE.json] [--run] [options]\n"
    "Records one decode step of a Llama 3 model with random int4 weights.\n"
    "\n"
    "  --out TRACE.json   write the step as a replay trace (see segue-replay)\n"
    "  --expect           with --out: store the logits and the token that the C reference\n"
    "                     computes as what a replay must compute\n"
    "  --run              run the step as a graph and as stream launches; with --expect, compare\n"
    "  --iterations N     with --run: runs whose median times are shown (1)\n"
    "  --model NAME       1b (Llama 3.2 1B), 3b (3.2 3B) or 8b (3.1 8B); default 1b\n"
    "  --layers N         only the first N layers (all)\n"
    "  --context N        rows that the KV cache holds before the step (128)\n"
    "  --packed           pack the matrices that are only multiplied with, in the trace, too\n"
    "  --fused            pack all matrices, and let their products do all else but attention\n"
    "  --tokens N         with --fused: N steps in a row, each with the token and at the position\n"
    "                     that the one before it has left in memory (1)\n"
    "  --seed N           seed of weights and cache (7)\n"
    "  --device URI       cuda://0, soft:// or auto (soft://)\n"
    "  --help             this text\n"
    "\n"
    "Exit code: 0 good, 1 failed or results differ, 2 usage, 4 device or kernel unavailable.\n";

static bool parse_number(const char *option, const char *text, uint64_t highest, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || text[0] == '-' || value > highest) {
        fprintf(stderr, "segue-llama: --%s: '%s' is not a number from 0 to %llu\n", option, text,
                (unsigned long long)highest);
        return false;
    }
    *out = value;
    return true;
}

static bool check(struct llama_options *options, uint64_t layers)
{
    const struct llama_shape *shape = options->config.shape;
    if (layers != UINT32_MAX && layers > shape->layers) {
        fprintf(stderr, "segue-llama: --layers: model %s has %u layers\n", shape->name,
                shape->layers);
        return false;
    }
    options->config.layers = layers == UINT32_MAX ? shape->layers : (uint32_t)layers;
    if (options->config.tokens == 0 || (options->config.tokens > 1 && !options->config.fused)) {
        fputs("segue-llama: --tokens is 1, or with --fused more\n", stderr);
        return false;
    }
    if (!options->out && !options->run) {
        fputs("segue-llama: nothing to do; give --out TRACE.json or --run (--help says more)\n",
              stderr);
        return false;
    }
    return true;
}

static enum llama_options_result take(struct llama_options *options, int option, uint64_t *layers)
{
    uint64_t number = 0;
    bool good = true;
    switch (option) {
    case 'm':
        options->config.shape = llama_find_shape(optarg);
        good = options->config.shape != NULL;
        if (!good)
            fprintf(stderr, "segue-llama: --model: '%s' is not 1b, 3b or 8b\n", optarg);
        break;
    case 'l':
        good = parse_number("layers", optarg, UINT32_MAX - 1, layers);
        break;
    case 'c':
        good = parse_number("context", optarg, LLAMA_MAX_CONTEXT, &number);
        options->config.context = (uint32_t)number;
        break;
    case 's':
        good = parse_number("seed", optarg, UINT32_MAX, &options->config.seed);
        break;
    case 'i':
        good = parse_number("iterations", optarg, 1000000, &number);
        options->iterations = (uint32_t)number;
        break;
    case 'd':
        options->device = optarg;
        break;
    case 'o':
        options->out = optarg;
        break;
    case 'r':
        options->run = true;
        break;
    case 'e':
        options->expect = true;
        break;
    case 'p':
        options->config.packs = true;
        break;
    case 'f':
        options->config.packs = true;
        options->config.fused = true;
        break;
    case 't':
        good = parse_number("tokens", optarg, LLAMA_MAX_TOKENS, &number);
        options->config.tokens = (uint32_t)number;
        break;
    case 'h':
        fputs(help, stdout);
        return LLAMA_OPTIONS_HELP;
    default:
        good = false;
    }
    return good ? LLAMA_OPTIONS_OK : LLAMA_OPTIONS_WRONG;
}

enum llama_options_result llama_options_parse(int count, char **arguments,
                                              struct llama_options *out_options)
{
    static const struct option known[] = {
        {"model", required_argument, NULL, 'm'},   {"layers", required_argument, NULL, 'l'},
        {"context", required_argument, NULL, 'c'}, {"out", required_argument, NULL, 'o'},
        {"seed", required_argument, NULL, 's'},    {"device", required_argument, NULL, 'd'},
        {"run", no_argument, NULL, 'r'},           {"expect", no_argument, NULL, 'e'},
        {"packed", no_argument, NULL, 'p'},        {"iterations", required_argument, NULL, 'i'},
        {"fused", no_argument, NULL, 'f'},         {"tokens", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    struct llama_options options = {
        .config = {.shape = llama_find_shape("1b"), .context = 128, .seed = 7, .tokens = 1},
        .device = "soft://",
        .iterations = 1,
    };
    uint64_t layers = UINT32_MAX;
    int option;
    while ((option = getopt_long(count, arguments, "", known, NULL)) != -1) {
        const enum llama_options_result result = take(&options, option, &layers);
        if (result != LLAMA_OPTIONS_OK)
            return result;
    }
    if (optind < count) {
        fprintf(stderr, "segue-llama: '%s' is not an option\n", arguments[optind]);
        return LLAMA_OPTIONS_WRONG;
    }
    if (!check(&options, layers))
        return LLAMA_OPTIONS_WRONG;
    *out_options = options;
    return LLAMA_OPTIONS_OK;
}
