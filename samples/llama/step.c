// SPDX-License-Identifier: Apache-2.0
#include "step.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/** All steps, from the first token on. */
static segue_status run_once(const struct llama_model *model, segue_queue *queue,
                             segue_command_buffer *command_buffer,
                             struct llama_step_times *out_times)
{
    struct segue_execution executions[LLAMA_MAX_TOKENS];
    const uint32_t count = model->config.tokens;
    for (uint32_t i = 0; i < count; i++)
        executions[i] = (struct segue_execution){.command_buffer = command_buffer};
    const struct segue_submission submission = {.executions = executions, .execution_count = count};
    segue_status status = llama_model_rewind(model);
    const uint64_t start_ns = now_ns();
    if (status == SEGUE_OK)
        status = segue_queue_submit(queue, &submission);
    if (status == SEGUE_OK)
        status = segue_queue_wait_idle(queue);
    if (status != SEGUE_OK)
        return status;
    out_times->total_ns = now_ns() - start_ns;
    struct segue_queue_timing timing;
    status = segue_queue_get_timing(queue, &timing);
    if (status != SEGUE_OK)
        return status;
    out_times->issue_ns = timing.issue_ns;
    out_times->device_ns = timing.device_ns;
    return SEGUE_OK;
}

static int compare_u64(const void *left, const void *right)
{
    const uint64_t a = *(const uint64_t *)left;
    const uint64_t b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

/** The median of `count` numbers, which are sorted by it. */
static uint64_t median(uint64_t *values, uint32_t count)
{
    qsort(values, count, sizeof(*values), compare_u64);
    return values[count / 2];
}

static segue_status measure(const struct llama_model *model, segue_queue *queue,
                            segue_command_buffer *command_buffer, uint32_t iterations,
                            struct llama_step_times *out_times)
{
    uint64_t *values = calloc((size_t)iterations * 3, sizeof(*values));
    if (!values)
        return SEGUE_OUT_OF_HOST_MEMORY;
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < iterations && status == SEGUE_OK; i++) {
        struct llama_step_times times = {0};
        status = run_once(model, queue, command_buffer, &times);
        values[i] = times.issue_ns;
        values[iterations + i] = times.device_ns;
        values[2 * (size_t)iterations + i] = times.total_ns;
    }
    if (status == SEGUE_OK) {
        out_times->issue_ns = median(values, iterations);
        out_times->device_ns = median(values + iterations, iterations);
        out_times->total_ns = median(values + 2 * (size_t)iterations, iterations);
    }
    free(values);
    return status;
}

segue_status llama_step_run(const struct llama_model *model, segue_command_buffer *command_buffer,
                            uint32_t iterations, struct llama_step_times *out_times)
{
    const struct segue_queue_params params = {.timing = true, .label = "llama"};
    segue_queue *queue = NULL;
    segue_status status = segue_queue_create(model->device, &params, &queue);
    if (status != SEGUE_OK)
        return status;
    struct llama_step_times first;
    status = run_once(model, queue, command_buffer, &first);
    if (status == SEGUE_OK && out_times) {
        if (iterations > 0)
            status = measure(model, queue, command_buffer, iterations, out_times);
        else
            *out_times = first;
    }
    segue_queue_destroy(queue);
    return status;
}

segue_status llama_step_read(const struct llama_model *model, struct llama_result *out_result)
{
    const segue_status status = segue_buffer_read(llama_model_buffer(model, model->logits), 0,
                                                  out_result->logits, sizeof(out_result->logits));
    if (status != SEGUE_OK)
        return status;
    return segue_buffer_read(llama_model_buffer(model, model->next_token), 0, &out_result->token,
                             sizeof(out_result->token));
}

double llama_result_error(const struct llama_result *actual, const struct llama_result *expected)
{
    double difference = 0.0, norm = 0.0;
    for (uint32_t i = 0; i < LLAMA_VOCABULARY; i++) {
        const double apart = (double)actual->logits[i] - expected->logits[i];
        difference += apart * apart;
        norm += (double)expected->logits[i] * expected->logits[i];
    }
    return sqrt(difference / norm);
}

double llama_result_margin(const struct llama_result *result)
{
    double largest = -INFINITY, second = -INFINITY, norm = 0.0;
    for (uint32_t i = 0; i < LLAMA_VOCABULARY; i++) {
        const double value = result->logits[i];
        norm += value * value;
        if (value > largest) {
            second = largest;
            largest = value;
        } else if (value > second) {
            second = value;
        }
    }
    return (largest - second) / sqrt(norm / LLAMA_VOCABULARY);
}
