// SPDX-License-Identifier: Apache-2.0
/**
 * @file device.h
 * The device that a trace is replayed on, with the reference kernels that a software one needs.
 */
#ifndef SEGUE_REPLAY_DEVICE_H
#define SEGUE_REPLAY_DEVICE_H

#include "command.h"

#include <segue/device.h>
#include <stdio.h>

/** An open device; zero-initialise. */
struct segue_replay_device {
    segue_device *handle;
    struct segue_device_info info;
    /** dlopen handles of --kernels. */
    void *plugins[SEGUE_REPLAY_MAX_KERNEL_PLUGINS];
    uint32_t plugin_count;
};

/**
 * Opens options->device_uri, registers Segue's own reference kernels and those of --kernels.
 * @return a segue_replay_exit; has said why on stderr.
 */
int segue_replay_device_open(const struct segue_replay_options *options,
                             enum segue_validation validation,
                             struct segue_replay_device *out_device);

/** Closes the device, then its plugins. Does nothing for a zeroed one. */
void segue_replay_device_close(struct segue_replay_device *device);

/** "NVIDIA H200 (cuda://0, driver 12.8)". @return buffer. */
char *segue_replay_device_describe(const struct segue_replay_device *device, char *buffer,
                                   size_t size);

#endif // SEGUE_REPLAY_DEVICE_H
