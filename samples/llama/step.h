// SPDX-License-Identifier: Apache-2.0
/**
 * @file step.h
 * One decode step of a model, recorded and run.
 */
#ifndef SEGUE_LLAMA_STEP_H
#define SEGUE_LLAMA_STEP_H

#include "model.h"

/** Records a step: from model->token at model->position to model->logits and model->next_token. The
 *  caller destroys the command buffer. */
SEGUE_MUST_CHECK segue_status llama_step_record(const struct llama_model *model,
                                                enum segue_execution_mode mode,
                                                segue_command_buffer **out_command_buffer);

/** Times of a step, or of all steps in a row; medians where they ran several times. */
struct llama_step_times {
    uint64_t issue_ns;
    uint64_t device_ns;
    /** Wall time from before the submission until it is done. */
    uint64_t total_ns;
};

/** Runs a recorded step config.tokens times in one submission, and then `iterations` times more for
 * the times.
 *  @param out_times NULL: not wanted. */
SEGUE_MUST_CHECK segue_status llama_step_run(const struct llama_model *model,
                                             segue_command_buffer *command_buffer,
                                             uint32_t iterations,
                                             struct llama_step_times *out_times);

/** What a step has computed. */
struct llama_result {
    float logits[LLAMA_VOCABULARY];
    uint32_t token;
};

SEGUE_MUST_CHECK segue_status llama_step_read(const struct llama_model *model,
                                              struct llama_result *out_result);

/** ‖actual − expected‖ / ‖expected‖ of the logits. */
double llama_result_error(const struct llama_result *actual, const struct llama_result *expected);

/** By how much the largest logit exceeds the second, in standard deviations of all. */
double llama_result_margin(const struct llama_result *result);

#endif // SEGUE_LLAMA_STEP_H
