// SPDX-License-Identifier: Apache-2.0
#include <err.h>
#include <segue/segue.h>
#include <stdio.h>

static void check(segue_status status)
{
    if (status != SEGUE_OK)
        errx(1, "%s", segue_last_error()->message);
}

int main(void)
{
    segue_device *device; // A GPU, or the software driver where there is none.
    segue_queue *queue;
    segue_buffer *buffer;
    segue_command_buffer *commands;
    check(segue_device_open("auto", NULL, &device));
    check(segue_queue_create(device, NULL, &queue));
    check(segue_buffer_create(device, &(struct segue_buffer_params){.size_bytes = 32}, &buffer));
    check(segue_command_buffer_create(device, NULL, &commands));
    check(segue_command_buffer_begin(commands));
    check(segue_cmd_fill(commands, (struct segue_buffer_ref){buffer, 0, 0, 16}, '.', 1));
    check(segue_cmd_update(commands, (struct segue_buffer_ref){buffer, 0, 16, 5}, "hello"));
    check(segue_cmd_barrier(commands, NULL));
    check(segue_cmd_copy(commands, (struct segue_buffer_ref){buffer, 0, 16, 5},
                         (struct segue_buffer_ref){buffer, 0, 3, 5}));
    check(segue_command_buffer_end(commands));
    struct segue_execution twice[] = {{.command_buffer = commands}, {.command_buffer = commands}};
    struct segue_submission submission = {.executions = twice, .execution_count = 2};
    check(segue_queue_submit(queue, &submission));
    check(segue_queue_wait_idle(queue));
    char text[17] = {0};
    check(segue_buffer_read(buffer, 0, text, 16));
    printf("%s\n", text);
    segue_command_buffer_destroy(commands);
    segue_buffer_destroy(buffer);
    segue_queue_destroy(queue);
    segue_device_destroy(device);
}
