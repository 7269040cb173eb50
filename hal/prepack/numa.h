// SPDX-License-Identifier: Apache-2.0
/**
 * @file numa.h
 * Which part of the host's memory is near a device, and taking memory from there.
 */
#ifndef SEGUE_PREPACK_NUMA_H
#define SEGUE_PREPACK_NUMA_H

#include <segue/device.h>

/** The memory policy of a thread before it was changed. */
struct segue_prepack_policy {
    bool changed;
    int mode;
    unsigned long nodes[16];
};

/** The NUMA node of a device by sysfs; -1 where there is none, or it is not told. */
int32_t segue_prepack_numa_node(const segue_device *device);

/** Has the calling thread take memory from that node, as far as there is some. False where the node
 *  is -1 or the kernel refuses: nothing has changed then. */
bool segue_prepack_numa_prefer(int32_t node, struct segue_prepack_policy *out_before);
/** Puts back what was before. */
void segue_prepack_numa_restore(const struct segue_prepack_policy *before);

#endif // SEGUE_PREPACK_NUMA_H
