// SPDX-License-Identifier: Apache-2.0
/**
 * @file segue.h
 * All of Segue's core. (Traces are a library of their own: segue/trace.h.)
 */
#ifndef SEGUE_SEGUE_H
#define SEGUE_SEGUE_H

#include <segue/base.h>
#include <segue/buffer.h>
#include <segue/cache.h>
#include <segue/command_buffer.h>
#include <segue/cost.h>
#include <segue/device.h>
#include <segue/executable.h>
#include <segue/inspect.h>
#include <segue/queue.h>
#include <segue/soft.h>
#include <segue/sync.h>

#endif // SEGUE_SEGUE_H
