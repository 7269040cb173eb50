// SPDX-License-Identifier: Apache-2.0
/**
 * @file trace.h
 * Writing a recorded step as a replay trace.
 */
#ifndef SEGUE_LLAMA_TRACE_H
#define SEGUE_LLAMA_TRACE_H

#include "step.h"

/** Largest relative error of logits that the trace accepts. */
#define LLAMA_LOGITS_TOLERANCE 5e-3

/** Writes the step to `path`; weights and caches as what generates them, not as bytes.
 *  @param expected  what the step must compute; NULL: nothing is expected. */
SEGUE_MUST_CHECK segue_status llama_trace_write(const struct llama_model *model,
                                                segue_command_buffer *command_buffer,
                                                const struct llama_result *expected,
                                                const char *path);

#endif // SEGUE_LLAMA_TRACE_H
