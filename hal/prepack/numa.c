// SPDX-License-Identifier: Apache-2.0
#include "numa.h"

#include <linux/mempolicy.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NODE_BITS (sizeof(((struct segue_prepack_policy *)0)->nodes) * 8)
#define WORD_BITS (sizeof(unsigned long) * 8)

int32_t segue_prepack_numa_node(const segue_device *device)
{
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    if (info.pci_domain < 0)
        return -1;
    char path[80];
    (void)snprintf(path, sizeof(path), "/sys/bus/pci/devices/%04x:%02x:%02x.0/numa_node",
                   (unsigned)info.pci_domain, (unsigned)info.pci_bus, (unsigned)info.pci_device);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -1;
    int node = -1;
    if (fscanf(file, "%d", &node) != 1 || node < 0 || (size_t)node >= NODE_BITS)
        node = -1;
    (void)fclose(file);
    return node;
}

bool segue_prepack_numa_prefer(int32_t node, struct segue_prepack_policy *out_before)
{
    *out_before = (struct segue_prepack_policy){0};
    if (node < 0 ||
        syscall(SYS_get_mempolicy, &out_before->mode, out_before->nodes, NODE_BITS, NULL, 0) != 0)
        return false;
    unsigned long nodes[NODE_BITS / WORD_BITS] = {0};
    nodes[(size_t)node / WORD_BITS] = 1ul << ((size_t)node % WORD_BITS);
    out_before->changed = syscall(SYS_set_mempolicy, MPOL_PREFERRED, nodes, NODE_BITS) == 0;
    return out_before->changed;
}

void segue_prepack_numa_restore(const struct segue_prepack_policy *before)
{
    // It was in force before, so it is legal now.
    if (before->changed)
        (void)syscall(SYS_set_mempolicy, before->mode, before->nodes, NODE_BITS);
}
