// SPDX-License-Identifier: Apache-2.0
/**
 * @file options.h
 * Which compiler options a trace may carry.
 */
#ifndef SEGUE_TRACE_OPTIONS_H
#define SEGUE_TRACE_OPTIONS_H

#include <stdbool.h>

/** Whether a compiler option may stand in a trace: those that define macros or steer code
 *  generation may, those that name files (to include, to write) may not. */
bool segue_option_is_allowed(const char *option);

#endif // SEGUE_TRACE_OPTIONS_H
