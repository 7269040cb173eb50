// SPDX-License-Identifier: Apache-2.0
/**
 * @file options.h
 * The command line.
 */
#ifndef SEGUE_LLAMA_OPTIONS_H
#define SEGUE_LLAMA_OPTIONS_H

#include "model.h"

struct llama_options {
    struct llama_config config;
    const char *device;
    /** NULL: no trace. */
    const char *out;
    bool run;
    bool expect;
    uint32_t iterations;
};

enum llama_options_result {
    LLAMA_OPTIONS_OK,
    /** Help was printed. */
    LLAMA_OPTIONS_HELP,
    /** What is wrong was printed. */
    LLAMA_OPTIONS_WRONG,
};

/** Strings point into `arguments`. */
enum llama_options_result llama_options_parse(int count, char **arguments,
                                              struct llama_options *out_options);

#endif // SEGUE_LLAMA_OPTIONS_H
