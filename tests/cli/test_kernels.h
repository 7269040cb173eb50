// SPDX-License-Identifier: Apache-2.0
/**
 * @file test_kernels.h
 * Kernels of the CLI's tests: one that is as it is declared, and one that is not. Their references
 * are in the plugin that tests give to segue-replay --kernels.
 */
#ifndef SEGUE_CLI_TEST_KERNELS_H
#define SEGUE_CLI_TEST_KERNELS_H

#include <segue/executable.h>
#include <segue/soft.h>

/** Entry points, in this order. All: binding data, then constant u32 count; words. */
enum segue_cli_kernel {
    /** data[i] = data[i] * 3 + 1. */
    SEGUE_CLI_KERNEL_HONEST = 0,
    /** The same, but its binding is declared to be read only. */
    SEGUE_CLI_KERNEL_LIAR = 1,
    /** data[i] = how many launches there have been: never the same twice. */
    SEGUE_CLI_KERNEL_COUNTER = 2,
    SEGUE_CLI_KERNEL_COUNT = 3,
};

/** Parameters of the executable. Static. */
void segue_cli_get_executable(struct segue_executable_params *out_params);

/** What segue-replay looks for in a plugin. */
SEGUE_API const struct segue_reference_kernel *segue_plugin_kernels(uint32_t *count);

#endif // SEGUE_CLI_TEST_KERNELS_H
