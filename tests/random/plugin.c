// SPDX-License-Identifier: Apache-2.0
// The references of the test kernels, for `segue-replay --kernels`.
#include "kernels.h"

/** What segue-replay looks for in a plugin. */
__attribute__((visibility("default"))) const struct segue_reference_kernel *
segue_plugin_kernels(uint32_t *out_count);

const struct segue_reference_kernel *segue_plugin_kernels(uint32_t *out_count)
{
    *out_count = SEGUE_TEST_KERNEL_COUNT;
    return segue_test_references;
}
