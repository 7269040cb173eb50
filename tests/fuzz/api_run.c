// SPDX-License-Identifier: Apache-2.0
#include "api.h"

#include <segue/trace.h>

#include <stdio.h>

/** What the slots of a command buffer are bound to. */
static uint32_t choose_table(struct api_world *world, const struct api_command_buffer *commands,
                             struct segue_buffer_ref table[API_MAX_BINDINGS])
{
    uint32_t count =
        commands->slot_count < API_MAX_BINDINGS ? commands->slot_count : API_MAX_BINDINGS;
    for (uint32_t i = 0; i < count; ++i)
        table[i] = api_ref(world, 0);
    return count;
}

/** What the constant slots of a command buffer are: mostly a value each. Returns whether the
 * commands have all that they need. */
static bool choose_constants(struct api_world *world, const struct api_command_buffer *commands,
                             struct segue_constant_value values[API_CONSTANT_SLOTS])
{
    bool complete = true;
    for (uint32_t i = 0; i < commands->constant_slot_count; ++i) {
        uint8_t choice = fuzz_u8(&world->input);
        values[i] = (struct segue_constant_value){
            .size_bytes = choice < 240 ? api_constant_slots[i].size_bytes : choice % 3 * 4,
            .as.u64 = choice,
        };
        bool used = (commands->constant_slots_used >> i & 1) != 0;
        complete &= values[i].size_bytes == api_constant_slots[i].size_bytes ||
                    (values[i].size_bytes == 0 && !used);
    }
    return complete;
}

/** Returns NULL where the submission would cost too much. */
static struct api_command_buffer *choose_ended(struct api_world *world)
{
    struct api_command_buffer *commands = api_choose_command_buffer(world, fuzz_u8(&world->input));
    if (commands->state == API_RECORDING)
        api_end(world, commands);
    world->executed_command_count += commands->command_count;
    return world->executed_command_count <= API_MAX_EXECUTED_COMMANDS ? commands : NULL;
}

/** Mostly a value that is reached, to wait for, or the next one, to signal. */
static struct segue_semaphore_value choose_value(struct api_world *world, bool signal)
{
    uint8_t choice = fuzz_u8(&world->input);
    uint32_t index = choice % API_SEMAPHORES;
    uint64_t value = world->semaphore_values[index] + (signal ? 1 : 0);
    if (choice >= 192)
        value += choice / 16 % 4;
    else if (choice >= 160)
        value = choice % 32;
    if (world->semaphores[index] == NULL && choice < 240)
        index = 0;
    if (signal && value > world->semaphore_values[index])
        world->semaphore_values[index] = value;
    return (struct segue_semaphore_value){world->semaphores[index], value};
}

static void submit(struct api_world *world, segue_queue *queue)
{
    struct segue_semaphore_value values[4];
    struct segue_buffer_ref tables[2][API_MAX_BINDINGS];
    struct segue_constant_value constants[2][API_CONSTANT_SLOTS];
    struct segue_execution executions[2];
    bool complete = true;
    uint8_t counts = fuzz_u8(&world->input);
    struct segue_submission submission = {
        .waits = values,
        .wait_count = counts % 3,
        .executions = executions,
        .execution_count = (counts / 4 + 1) % 3,
        .signals = values + 2,
        .signal_count = counts / 16 % 3,
    };
    for (uint32_t i = 0; i < 4; ++i)
        values[i] = choose_value(world, i >= 2);
    for (uint32_t i = 0; i < submission.execution_count; ++i) {
        const struct api_command_buffer *commands = choose_ended(world);
        if (commands == NULL)
            return;
        executions[i] =
            (struct segue_execution){.command_buffer = commands->handle, .bindings = tables[i]};
        executions[i].binding_count = choose_table(world, commands, tables[i]);
        complete &= choose_constants(world, commands, constants[i]);
        executions[i].constants = constants[i];
        executions[i].constant_count = commands->constant_slot_count;
    }
    segue_status status = CALL(world, segue_queue_submit(queue, &submission));
    FUZZ_CHECK(status != SEGUE_OK || complete,
               "expected a failure: a constant slot has no value, or one of another size");
}

static void query(struct api_world *world, segue_semaphore *semaphore)
{
    uint64_t value = 0;
    uint64_t wanted = fuzz_u8(&world->input) % 32;
    segue_status queried = CALL(world, segue_semaphore_query(semaphore, &value));
    segue_status waited = CALL(world, segue_semaphore_wait(semaphore, wanted, 0));
    if (queried == SEGUE_OK && value >= wanted)
        FUZZ_CHECK(waited == SEGUE_OK || world->disturbed || world->wild,
                   "expected SEGUE_OK from a wait for %llu, since %llu is reached; it returns %s",
                   (unsigned long long)wanted, (unsigned long long)value,
                   segue_status_name(waited));
}

void api_run(struct api_world *world)
{
    uint8_t choice = fuzz_u8(&world->input);
    uint32_t index = choice >= 224 ? choice % API_QUEUES : 0;
    struct segue_queue_timing timing;
    struct segue_semaphore_value value;
    segue_status status;
    switch (choice % 8) {
    case 0:
        query(world, world->semaphores[index]);
        break;
    case 1:
        value = choose_value(world, true);
        (void)CALL(world, segue_semaphore_signal(value.semaphore, value.value));
        break;
    case 2:
        status = CALL(world, segue_queue_wait_idle(world->queues[index]));
        if (status == SEGUE_OK)
            (void)CALL(world, segue_queue_get_timing(world->queues[index], &timing));
        break;
    case 3:
        (void)CALL(world, segue_device_wait_idle(world->device));
        break;
    default:
        submit(world, world->queues[index]);
        break;
    }
}

static void set_fault(struct api_world *world)
{
    // Calls whose failure cannot keep objects from being given back; the last three can.
    static const char *const names[] = {
        "cuMem*",         "cuGraph*",    "cuLaunch*", "cuStream*",     "cuEvent*",
        "cuModule*",      "cuFunc*",     "*Create*",  "*Instantiate*", "*Synchronize",
        "*Query*",        "cuGraphAdd*", "*Record*",  "*WaitEvent",    "cuGraphLaunch*",
        "cuGraphUpload*", "cuCtx*",      NULL,        "cu*",
    };
    static const int32_t results[] = {2, 1, 719, 700, 999, 201, 400, 716};
    uint8_t choice = fuzz_u8(&world->input) % (sizeof(names) / sizeof(names[0]));
    uint8_t how = fuzz_u8(&world->input);
    const struct segue_soft_fault fault = {
        .target = how >= 192 ? SEGUE_SOFT_FAULT_ALLOCATION : SEGUE_SOFT_FAULT_DRIVER_CALL,
        .nth = 1 + how % 8,
        .forever = (how & 64) != 0,
        .driver_result = results[how / 8 % 8],
        .name_pattern = how >= 192 ? NULL : names[choice],
    };
    if (choice >= 16 && how < 192)
        world->may_leak = true;
    world->soft->set_fault(&fault);
    world->disturbed = true;
}

void api_disturb(struct api_world *world)
{
    uint8_t choice = fuzz_u8(&world->input);
    switch (choice % 8) {
    case 0:
        set_fault(world);
        break;
    case 1:
        world->soft->set_fault(NULL);
        world->memory.fail_nth = 0;
        break;
    case 2:
        world->memory.fail_nth = 1 + fuzz_u8(&world->input) % 32;
        world->memory.fail_forever = choice >= 128;
        world->disturbed = true;
        break;
    case 3:
        world->soft->set_device_lost(choice >= 128 ? 719 : 0);
        world->disturbed = true;
        break;
    case 4:
        world->soft->set_paused(true);
        break;
    case 5:
        world->soft->set_paused(false);
        break;
    default:
        world->soft->set_seed(choice);
        break;
    }
}

static bool count_command(void *context, const struct segue_command_info *command)
{
    uint32_t *count = context;
    FUZZ_CHECK(command->index == *count && command->group_path != NULL,
               "expected command %u with a path of groups; visited is %u, its path %s", *count,
               command->index, command->group_path != NULL ? command->group_path : "NULL");
    ++*count;
    return true;
}

static segue_status write_execution(struct api_world *world,
                                    const struct segue_execution *execution, const char *path)
{
    const struct segue_submission submission = {.executions = execution, .execution_count = 1};
    segue_trace_writer *writer = NULL;
    segue_status status = CALL(world, segue_trace_writer_create(world->device, path, &writer));
    if (status == SEGUE_OK)
        status = CALL(world, segue_trace_writer_add_submission(writer, &submission));
    if (status == SEGUE_OK)
        status = CALL(world, segue_trace_writer_finish(writer));
    segue_trace_writer_destroy(writer);
    return status;
}

/** A trace of it must load, and be replayed; only slots and events depend on more than it. */
static void write_trace(struct api_world *world, const struct api_command_buffer *commands)
{
    char path[128];
    struct segue_buffer_ref table[API_MAX_BINDINGS];
    struct segue_constant_value constants[API_CONSTANT_SLOTS];
    uint32_t count = choose_table(world, commands, table);
    (void)snprintf(path, sizeof(path), "%s/trace.json", fuzz_folder());
    bool complete = choose_constants(world, commands, constants);
    const struct segue_execution execution = {.command_buffer = commands->handle,
                                              .bindings = table,
                                              .binding_count = count,
                                              .constants = constants,
                                              .constant_count = commands->constant_slot_count};
    segue_status written =
        commands->constant_slot_count > 0
            ? write_execution(world, &execution, path)
            : CALL(world, segue_trace_write_command_buffer(commands->handle, table, count, path));
    FUZZ_CHECK(written != SEGUE_OK || complete,
               "expected a failure: a constant slot has no value, or one of another size");
    if (written != SEGUE_OK)
        return;
    segue_trace *trace = NULL;
    segue_status status = segue_trace_load(path, &trace);
    bool depends = commands->slot_count > 0 || commands->has_events;
    FUZZ_CHECK(status == SEGUE_OK || (status == SEGUE_INVALID_DATA && depends),
               "expected SEGUE_OK from loading what was written%s; it returns %s: %s",
               depends ? ", or SEGUE_INVALID_DATA because of slots or events" : "",
               segue_status_name(status), segue_last_error()->message);
    if (status != SEGUE_OK)
        return;
    segue_trace_session *session = NULL;
    status = CALL(world, segue_trace_session_create(trace, world->device, NULL, &session));
    FUZZ_CHECK(status == SEGUE_OK || status == SEGUE_HAZARD || depends || world->disturbed ||
                   world->wild,
               "expected SEGUE_OK or SEGUE_HAZARD from a session of what was written; it returns "
               "%s: %s",
               segue_status_name(status), segue_last_error()->message);
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
}

void api_inspect(struct api_world *world)
{
    uint8_t choice = fuzz_u8(&world->input);
    const struct api_command_buffer *commands = api_choose_command_buffer(world, choice / 8);
    uint32_t count = 0;
    char *text = NULL;
    struct segue_graph_view view;
    struct segue_command_buffer_stats stats;
    struct segue_memory_stats memory;
    switch (choice % 8) {
    case 0:
        if (CALL(world, segue_command_buffer_visit(commands->handle, count_command, &count)) ==
            SEGUE_OK)
            FUZZ_CHECK(count == commands->command_count || commands->state != API_ENDED,
                       "expected a visit of %u commands; visited are %u", commands->command_count,
                       count);
        break;
    case 1:
    case 2:
        (void)CALL(world, segue_command_buffer_get_graph(
                              commands->handle, (enum segue_graph_stage)(choice % 8 - 1), &view));
        break;
    case 3:
        (void)CALL(world, segue_command_buffer_get_stats(commands->handle, &stats));
        break;
    case 4:
        segue_device_get_memory_stats(world->device, &memory);
        break;
    case 5:
        write_trace(world, commands);
        break;
    default:
        if (CALL(world, segue_dump_command_buffer(
                            commands->handle, (enum segue_dump_stage)(choice / 64),
                            (enum segue_dump_format)(choice / 8 % 3), &text)) == SEGUE_OK)
            segue_dump_free(text);
        break;
    }
}
