// SPDX-License-Identifier: Apache-2.0
#include "save.h"

#include <stdio.h>

static segue_status expect_written(segue_trace_writer *writer, const struct world *world,
                                   const struct play *play, const struct program *program)
{
    bool written[PROGRAM_BUFFERS] = {false};
    for (uint32_t i = 0; i < program->op_count; ++i) {
        const struct program_op *op = &program->ops[i];
        uint32_t count = op->removed ? 0 : program_range_count(op);
        if (count != 0 && op->ranges[count - 1].length != 0)
            written[op->ranges[count - 1].buffer] = true;
    }
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < PROGRAM_BUFFERS && status == SEGUE_OK; ++i) {
        if (!written[i])
            continue;
        const struct segue_expectation expectation = {
            .range = {.buffer = play->buffers[i], .length_bytes = program_buffer_words(i) * 4},
            .dtype = SEGUE_DTYPE_U32,
            .data = world->expected[i],
        };
        status = segue_trace_writer_expect(writer, &expectation);
    }
    return status;
}

segue_status program_save(struct world *world, const struct program *program, const char *path)
{
    const struct play_configuration configuration = {SEGUE_EXECUTION_GRAPH, 0};
    world_interpret(world, program, 0, 1);
    struct play play;
    segue_trace_writer *writer = NULL;
    segue_status status = play_init(&play, world->device, world->kernels);
    if (status == SEGUE_OK)
        status = play_record(&play, program, &configuration);
    if (status == SEGUE_OK)
        status = segue_trace_writer_create(world->device, path, &writer);
    for (uint32_t i = 0; i < PROGRAM_BUFFERS && status == SEGUE_OK; ++i) {
        const struct segue_content content = program_content(i);
        status = segue_trace_writer_set_content(writer, play.buffers[i], &content);
    }
    if (status == SEGUE_OK)
        status = segue_trace_writer_add_submission(writer, play_submission(&play, program, 0));
    if (status == SEGUE_OK)
        status = expect_written(writer, world, &play, program);
    if (status == SEGUE_OK)
        status = segue_trace_writer_finish(writer);
    segue_trace_writer_destroy(writer);
    play_finish(&play);
    return status;
}
