// SPDX-License-Identifier: Apache-2.0
#include "api.h"

struct api_command_buffer *api_choose_command_buffer(struct api_world *world, uint32_t choice)
{
    uint32_t index = choice % API_COMMAND_BUFFERS;
    for (uint32_t i = 0; i < API_COMMAND_BUFFERS && choice % 32 != 31; ++i) {
        if (world->command_buffers[index].handle != NULL)
            break;
        index = (index + 1) % API_COMMAND_BUFFERS;
    }
    return &world->command_buffers[index];
}

static const char *state_name(enum api_state state)
{
    static const char *const names[] = {"new", "recording", "ended", "failed"};
    return names[state];
}

void api_begin(struct api_world *world, struct api_command_buffer *commands)
{
    segue_status status = CALL(world, segue_command_buffer_begin(commands->handle));
    FUZZ_CHECK(status != SEGUE_OK || commands->state == API_NEW,
               "expected a failure: only what is new can be begun; it is %s",
               state_name(commands->state));
    FUZZ_CHECK(status == SEGUE_OK || commands->state != API_NEW || commands->handle == NULL ||
                   world->disturbed || world->wild,
               "expected SEGUE_OK from begin of a new one; it returns %s: %s",
               segue_status_name(status), segue_last_error()->message);
    if (status == SEGUE_OK)
        commands->state = API_RECORDING;
}

void api_end(struct api_world *world, struct api_command_buffer *commands)
{
    segue_status status = CALL(world, segue_command_buffer_end(commands->handle));
    FUZZ_CHECK(status != SEGUE_OK || commands->state == API_RECORDING,
               "expected a failure: only what records can be ended; it is %s",
               state_name(commands->state));
    if (commands->state != API_RECORDING)
        return;
    FUZZ_CHECK(commands->failure == SEGUE_OK || status == commands->failure,
               "expected the first failure, %s, from end; it returns %s",
               segue_status_name(commands->failure), segue_status_name(status));
    if (status != SEGUE_OK && status != SEGUE_HAZARD && commands->failure == SEGUE_OK)
        FUZZ_CHECK(commands->group_depth > 0 || world->disturbed || world->wild,
                   "expected SEGUE_OK from end, since nothing was wrong; it returns %s: %s",
                   segue_status_name(status), segue_last_error()->message);
    commands->state = status == SEGUE_OK ? API_ENDED : API_FAILED;
}

void api_reset(struct api_world *world, struct api_command_buffer *commands)
{
    segue_status status = CALL(world, segue_command_buffer_reset(commands->handle));
    FUZZ_CHECK(status == SEGUE_OK || commands->handle == NULL || world->disturbed || world->wild,
               "expected SEGUE_OK from reset; it returns %s: %s", segue_status_name(status),
               segue_last_error()->message);
    if (status != SEGUE_OK)
        return;
    *commands = (struct api_command_buffer){
        .handle = commands->handle,
        .slot_count = commands->slot_count,
        .constant_slot_count = commands->constant_slot_count,
        .unretained = commands->unretained,
    };
}

/** Mostly closes open groups before the end. */
static void end_balanced(struct api_world *world, struct api_command_buffer *commands)
{
    while (commands->group_depth > 0 && commands->failure == SEGUE_OK) {
        commands->failure = CALL(world, segue_cmd_end_group(commands->handle));
        --commands->group_depth;
        ++commands->command_count;
    }
    api_end(world, commands);
}

void api_command_buffer_state(struct api_world *world)
{
    uint8_t choice = fuzz_u8(&world->input);
    struct api_command_buffer *commands = api_choose_command_buffer(world, choice / 8);
    switch (choice % 8) {
    case 0:
        api_begin(world, commands);
        break;
    case 1:
        api_reset(world, commands);
        break;
    case 2:
        api_end(world, commands);
        break;
    default:
        end_balanced(world, commands);
        break;
    }
}
