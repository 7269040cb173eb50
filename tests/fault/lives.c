// SPDX-License-Identifier: Apache-2.0
#include "scenario.h"

#include <stdio.h>

enum { COUNT = 64 };

/** Everything that a scenario may make; destroyed in one place, whatever was made. */
struct life {
    segue_device *device;
    segue_executable *kernels;
    segue_queue *queues[2];
    segue_semaphore *semaphore;
    /** Raised by the host only. */
    segue_semaphore *gate;
    segue_event *event;
    segue_buffer *data;
    segue_buffer *view;
    segue_buffer *host;
    segue_command_buffer *commands;
    segue_command_buffer *secondary;
};

static void finish(struct life *life)
{
    segue_queue_destroy(life->queues[0]);
    segue_queue_destroy(life->queues[1]);
    segue_command_buffer_destroy(life->commands);
    segue_command_buffer_destroy(life->secondary);
    segue_event_destroy(life->event);
    segue_semaphore_destroy(life->semaphore);
    segue_semaphore_destroy(life->gate);
    segue_buffer_destroy(life->view);
    segue_buffer_destroy(life->data);
    segue_buffer_destroy(life->host);
    segue_executable_destroy(life->kernels);
    segue_device_destroy(life->device);
}

/** Device, kernels, queues, a semaphore, an event, and two buffers of words. */
static segue_status start(struct life *life, const struct segue_device_params *params)
{
    const struct segue_queue_params timed = {.timing = true, .label = "timed"};
    const struct segue_buffer_params data = {.size_bytes = COUNT * 4, .label = "data"};
    const struct segue_buffer_params host = {.size_bytes = COUNT * 4,
                                             .memory = SEGUE_MEMORY_HOST_VISIBLE};
    uint32_t words[COUNT];
    for (uint32_t i = 0; i < COUNT; ++i)
        words[i] = segue_test_word(1, i);
    segue_status status = segue_device_open("soft://", params, &life->device);
    if (status == SEGUE_OK)
        status = segue_test_kernels_create(life->device, &life->kernels);
    if (status == SEGUE_OK)
        status = segue_queue_create(life->device, &timed, &life->queues[0]);
    if (status == SEGUE_OK)
        status = segue_queue_create(life->device, NULL, &life->queues[1]);
    if (status == SEGUE_OK)
        status = segue_semaphore_create(life->device, 0, &life->semaphore);
    if (status == SEGUE_OK)
        status = segue_semaphore_create(life->device, 0, &life->gate);
    if (status == SEGUE_OK)
        status = segue_event_create(life->device, &life->event);
    if (status == SEGUE_OK)
        status = segue_buffer_create(life->device, &data, &life->data);
    if (status == SEGUE_OK)
        status = segue_buffer_create_view(life->data, 0, COUNT * 4, "view", &life->view);
    if (status == SEGUE_OK)
        status = segue_buffer_create(life->device, &host, &life->host);
    if (status == SEGUE_OK)
        status = segue_buffer_write(life->data, 0, words, sizeof(words));
    return status;
}

static segue_status begin(struct life *life, enum segue_execution_mode mode, uint32_t slot_count,
                          segue_command_buffer **out_commands)
{
    const struct segue_command_buffer_params params = {
        .mode = mode, .slot_count = slot_count, .label = "commands"};
    segue_status status = segue_command_buffer_create(life->device, &params, out_commands);
    return status == SEGUE_OK ? segue_command_buffer_begin(*out_commands) : status;
}

static segue_status scale(struct life *life, segue_command_buffer *commands,
                          struct segue_buffer_ref data)
{
    const uint32_t constants[] = {COUNT, 3, 1};
    const struct segue_dispatch dispatch = {.executable = life->kernels,
                                            .entry_point = SEGUE_TEST_SCALE,
                                            .grid = {1, 1, 1},
                                            .bindings = &data,
                                            .binding_count = 1,
                                            .constants = constants,
                                            .constants_size_bytes = sizeof(constants)};
    return segue_cmd_dispatch(commands, &dispatch);
}

static struct segue_semaphore_value at(segue_semaphore *semaphore, uint64_t value)
{
    return (struct segue_semaphore_value){semaphore, value};
}

static segue_status submit(struct life *life, uint32_t queue, segue_command_buffer *commands,
                           const struct segue_buffer_ref *binding,
                           struct segue_semaphore_value wait, uint64_t signal)
{
    const struct segue_execution execution = {
        .command_buffer = commands, .bindings = binding, .binding_count = binding != NULL};
    const struct segue_semaphore_value signals = {life->semaphore, signal};
    const struct segue_submission submission = {
        &wait, wait.semaphore != NULL, &execution, 1, &signals, 1};
    return segue_queue_submit(life->queues[queue], &submission);
}

/** SEGUE_MISMATCH unless data is what `scales` scales make of the start. */
static segue_status compare(struct life *life, uint32_t scales)
{
    uint32_t words[COUNT];
    segue_status status = segue_buffer_read(life->data, 0, words, sizeof(words));
    for (uint32_t i = 0; i < COUNT && status == SEGUE_OK; ++i) {
        uint32_t word = segue_test_word(1, i);
        for (uint32_t k = 0; k < scales; ++k)
            word = word * 3 + 1;
        if (words[i] != word)
            status = SEGUE_MISMATCH;
    }
    return status;
}

/** Commands of every kind; data is scaled twice, the host buffer gets a copy. */
static segue_status record_all(struct life *life, segue_command_buffer *commands)
{
    static const unsigned char bytes[100] = {1, 2, 3};
    const struct segue_buffer_ref data = segue_test_whole(life->view);
    const struct segue_buffer_ref host = segue_test_ref(life->host, 0, 128);
    segue_status status = segue_cmd_begin_group(commands, "all");
    if (status == SEGUE_OK)
        status = segue_cmd_fill(commands, host, 0x77, 1);
    if (status == SEGUE_OK)
        status = scale(life, commands, data);
    if (status == SEGUE_OK)
        status = segue_cmd_update(commands, segue_test_ref(life->host, 128, 100), bytes);
    if (status == SEGUE_OK)
        status = segue_cmd_signal_event(commands, life->event);
    if (status == SEGUE_OK)
        status = segue_cmd_wait_event(commands, life->event);
    if (status == SEGUE_OK)
        status = scale(life, commands, data);
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(commands, NULL);
    if (status == SEGUE_OK)
        status = segue_cmd_copy(commands, segue_test_ref(life->data, 0, 128), host);
    if (status == SEGUE_OK)
        status = segue_cmd_end_group(commands);
    return status == SEGUE_OK ? segue_command_buffer_end(commands) : status;
}

/** Records, runs twice, records again, runs. */
static segue_status live(struct life *life, enum segue_execution_mode mode)
{
    struct segue_queue_timing timing;
    struct segue_graph_view view;
    struct segue_graph_conflict conflict;
    uint32_t conflict_count;
    segue_status status = begin(life, mode, 0, &life->commands);
    if (status == SEGUE_OK)
        status = record_all(life, life->commands);
    if (status == SEGUE_OK)
        status = segue_command_buffer_get_graph(life->commands, SEGUE_GRAPH_STAGE_DAG, &view);
    for (uint32_t i = 0; status == SEGUE_OK && i < view.edge_count; i++)
        status =
            segue_command_buffer_explain_edge(life->commands, i, &conflict, 1, &conflict_count);
    if (status == SEGUE_OK && mode == SEGUE_EXECUTION_GRAPH)
        status = segue_command_buffer_get_graph(life->commands, SEGUE_GRAPH_STAGE_GRAPH, &view);
    if (status == SEGUE_OK)
        status = submit(life, 0, life->commands, NULL, at(NULL, 0), 1);
    if (status == SEGUE_OK)
        status = submit(life, 1, life->commands, NULL, at(life->semaphore, 1), 2);
    if (status == SEGUE_OK)
        status = segue_semaphore_wait(life->semaphore, 2, SEGUE_TIMEOUT_INFINITE);
    if (status == SEGUE_OK)
        status = segue_queue_wait_idle(life->queues[0]);
    if (status == SEGUE_OK)
        status = segue_queue_get_timing(life->queues[0], &timing);
    if (status == SEGUE_OK)
        status = compare(life, 4);
    if (status == SEGUE_OK)
        status = segue_command_buffer_reset(life->commands);
    if (status == SEGUE_OK)
        status = segue_command_buffer_begin(life->commands);
    if (status == SEGUE_OK)
        status = record_all(life, life->commands);
    if (status == SEGUE_OK)
        status = submit(life, 0, life->commands, NULL, at(NULL, 0), 3);
    if (status == SEGUE_OK)
        status = segue_device_wait_idle(life->device);
    return status == SEGUE_OK ? compare(life, 6) : status;
}

/** Slots, a secondary, and a submission that is kept until the host signals. */
static segue_status live_with_slots(struct life *life, enum segue_execution_mode mode)
{
    const struct segue_buffer_ref data = segue_test_whole(life->data);
    const struct segue_buffer_ref slot = segue_test_slot(0, 0, SEGUE_WHOLE_SIZE);
    segue_status status = begin(life, mode, 1, &life->secondary);
    if (status == SEGUE_OK)
        status = scale(life, life->secondary, slot);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(life->secondary);
    if (status == SEGUE_OK)
        status = begin(life, mode, 1, &life->commands);
    if (status == SEGUE_OK)
        status = segue_cmd_execute(life->commands, life->secondary, &slot, 1);
    if (status == SEGUE_OK)
        status = segue_cmd_barrier(life->commands, NULL);
    if (status == SEGUE_OK)
        status = scale(life, life->commands, slot);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(life->commands);
    if (status == SEGUE_OK)
        status = submit(life, 0, life->commands, &data, at(life->gate, 1), 1);
    if (status == SEGUE_OK)
        status = submit(life, 1, life->commands, &data, at(life->semaphore, 1), 2);
    if (status == SEGUE_OK)
        status = segue_semaphore_signal(life->gate, 1);
    if (status == SEGUE_OK)
        status = segue_semaphore_wait(life->semaphore, 2, SEGUE_TIMEOUT_INFINITE);
    if (status == SEGUE_OK)
        status = segue_queue_wait_idle(life->queues[1]);
    return status == SEGUE_OK ? compare(life, 4) : status;
}

/** Lives `live_in`, and gives everything up. */
static void run_life(const struct scenario_run *run, struct scenario_outcome *out_outcome,
                     segue_status (*live_in)(struct life *, enum segue_execution_mode),
                     enum segue_execution_mode mode)
{
    struct life life = {0};
    run->arm(run->context);
    segue_status status = start(&life, &run->params);
    if (status == SEGUE_OK)
        status = live_in(&life, mode);
    *out_outcome = (struct scenario_outcome){.status = status};
    if (status != SEGUE_OK && segue_last_error()->status == status)
        snprintf(out_outcome->message, sizeof(out_outcome->message), "%.511s",
                 segue_last_error()->message);
    finish(&life);
}

static void run_graph(const struct scenario *scenario, const struct scenario_run *run,
                      struct scenario_outcome *out_outcome)
{
    (void)scenario;
    run_life(run, out_outcome, live, SEGUE_EXECUTION_GRAPH);
}

static void run_stream(const struct scenario *scenario, const struct scenario_run *run,
                       struct scenario_outcome *out_outcome)
{
    (void)scenario;
    run_life(run, out_outcome, live, SEGUE_EXECUTION_STREAM);
}

static void run_slots(const struct scenario *scenario, const struct scenario_run *run,
                      struct scenario_outcome *out_outcome)
{
    (void)scenario;
    run_life(run, out_outcome, live_with_slots, SEGUE_EXECUTION_GRAPH);
}

const struct scenario segue_lives[] = {
    {"graph", run_graph, NULL},
    {"stream", run_stream, NULL},
    {"slots", run_slots, NULL},
};
const size_t segue_life_count = sizeof(segue_lives) / sizeof(segue_lives[0]);
