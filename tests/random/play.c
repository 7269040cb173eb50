// SPDX-License-Identifier: Apache-2.0
#include "play.h"

#include <stdio.h>

segue_status play_init(struct play *play, segue_device *device, segue_executable *kernels)
{
    memset(play, 0, sizeof(*play));
    play->device = device;
    play->kernels = kernels;
    segue_status status = segue_queue_create(device, NULL, &play->queue);
    for (uint32_t i = 0; i < PROGRAM_EVENTS && status == SEGUE_OK; ++i)
        status = segue_event_create(device, &play->events[i]);
    for (uint32_t i = 0; i < PROGRAM_BUFFERS && status == SEGUE_OK; ++i) {
        const struct segue_buffer_params params = {
            .size_bytes = program_buffer_words(i) * 4,
            .memory = i == PROGRAM_HOST_VISIBLE_BUFFER ? SEGUE_MEMORY_HOST_VISIBLE
                      : i == PROGRAM_CONSTANT_BUFFER   ? SEGUE_MEMORY_CONSTANT
                                                       : SEGUE_MEMORY_DEVICE,
        };
        status = segue_buffer_create(device, &params, &play->buffers[i]);
    }
    return status == SEGUE_OK ? play_restore(play) : status;
}

segue_status play_restore(struct play *play)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < PROGRAM_BUFFERS && status == SEGUE_OK; ++i)
        status = segue_buffer_write(play->buffers[i], 0, program_initial(i),
                                    program_buffer_words(i) * sizeof(uint32_t));
    return status;
}

void play_finish(struct play *play)
{
    segue_queue_destroy(play->queue);
    segue_command_buffer_destroy(play->commands);
    segue_command_buffer_destroy(play->secondary);
    for (uint32_t i = 0; i < PROGRAM_EVENTS; ++i)
        segue_event_destroy(play->events[i]);
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i)
        segue_buffer_destroy(play->buffers[i]);
}

/** Names a range as the op says: by its buffer, through a view, or by a slot. A view is returned in
 *  `out_view`, to be destroyed once recorded. */
static segue_status name_range(struct play *play, const struct program *program,
                               const struct program_range *range, uint8_t naming,
                               struct segue_buffer_ref *out_ref, segue_buffer **out_view)
{
    *out_view = NULL;
    *out_ref = (struct segue_buffer_ref){.buffer = play->buffers[range->buffer],
                                         .offset_bytes = range->offset,
                                         .length_bytes = range->length};
    // There are no empty views.
    if (naming == 1 && range->length != 0) {
        uint32_t start = range->offset / 8 * 4;
        segue_status status =
            segue_buffer_create_view(play->buffers[range->buffer], start,
                                     range->offset + range->length - start, NULL, out_view);
        out_ref->buffer = *out_view;
        out_ref->offset_bytes = range->offset - start;
        return status;
    }
    uint32_t slot = program_slot_of(program, range, naming);
    if (slot != program->slot_count) {
        out_ref->buffer = NULL;
        out_ref->slot = slot;
        out_ref->offset_bytes = range->offset - program->slots[slot].window.offset;
    }
    return SEGUE_OK;
}

/** A hint of any size, or none: hints change the shape of a graph, and may not change a result. */
static uint32_t choose_duration_ns(const struct program_op *op)
{
    static const uint32_t durations_ns[] = {0, 0, 1, 800, 3000, 20000, 1000000};
    return durations_ns[(op->a / 2 + op->b) % (sizeof(durations_ns) / sizeof(durations_ns[0]))];
}

static segue_status record_dispatch(struct play *play, const struct program *program,
                                    segue_command_buffer *commands, const struct program_op *op,
                                    const struct segue_buffer_ref *refs)
{
    uint32_t constants[3] = {op->ranges[0].length / 4, op->a, op->b};
    struct segue_dispatch dispatch = {
        .executable = play->kernels,
        .grid = {constants[0] / 256 + 1, 1, 1},
        .bindings = refs,
        .binding_count = program_range_count(op),
        .constants = constants,
        .duration_ns = choose_duration_ns(op),
    };
    struct segue_constant_use uses[2];
    for (uint32_t i = 0; i < 2; ++i) {
        uint32_t slot;
        if (program_is_given(program, op, i, &slot))
            uses[dispatch.constant_use_count++] = (struct segue_constant_use){
                .slot = slot, .offset_bytes = 4 + 4 * i, .size_bytes = 4};
    }
    dispatch.constant_uses = uses;
    switch (op->kind) {
    case OP_ADD:
        dispatch.entry_point = SEGUE_TEST_ADD;
        dispatch.constants_size_bytes = 4;
        break;
    case OP_SCALE:
        dispatch.entry_point = SEGUE_TEST_SCALE;
        dispatch.constants_size_bytes = 12;
        break;
    default:
        // The same with its buffers as parameters, or with pointers in memory.
        dispatch.entry_point =
            op->a % 2 == 0 || play->direct_only ? SEGUE_TEST_MIX : SEGUE_TEST_INDIRECT;
        dispatch.constants_size_bytes = 8;
        break;
    }
    return segue_cmd_dispatch(commands, &dispatch);
}

static segue_status record_work(struct play *play, const struct program *program,
                                segue_command_buffer *commands, const struct program_op *op,
                                const struct segue_buffer_ref *refs)
{
    unsigned char data[2048];
    switch (op->kind) {
    case OP_FILL:
        return segue_cmd_fill(commands, refs[0], op->a, op->b);
    case OP_UPDATE:
        program_update_data(op, data);
        return segue_cmd_update(commands, refs[0], data);
    case OP_COPY:
        return segue_cmd_copy(commands, refs[0], refs[1]);
    default:
        return record_dispatch(play, program, commands, op, refs);
    }
}

static segue_status record_order(struct play *play, segue_command_buffer *commands,
                                 const struct program_op *op, const struct segue_buffer_ref *refs)
{
    const struct segue_memory_barrier memory = {op->a, op->b};
    const struct segue_buffer_barrier buffer = {op->a, op->b, refs[0]};
    switch (op->kind) {
    case OP_BARRIER:
        return segue_cmd_barrier(commands, NULL);
    case OP_MEMORY_BARRIER:
        return segue_cmd_barrier(commands, &(struct segue_barrier){.memory_barriers = &memory,
                                                                   .memory_barrier_count = 1});
    case OP_BUFFER_BARRIER:
        return segue_cmd_barrier(commands, &(struct segue_barrier){.buffer_barriers = &buffer,
                                                                   .buffer_barrier_count = 1});
    case OP_SIGNAL:
        return segue_cmd_signal_event(commands, play->events[op->a]);
    case OP_RESET:
        return segue_cmd_reset_event(commands, play->events[op->a]);
    case OP_WAIT:
        return segue_cmd_wait_event(commands, play->events[op->a]);
    case OP_BEGIN_GROUP:
        return segue_cmd_begin_group(commands, "group");
    default:
        return segue_cmd_end_group(commands);
    }
}

static segue_status record_op(struct play *play, const struct program *program,
                              segue_command_buffer *commands, const struct program_op *op)
{
    if (op->removed)
        return SEGUE_OK;
    struct segue_buffer_ref refs[3] = {0};
    segue_buffer *views[3] = {NULL, NULL, NULL};
    uint32_t count = op->kind == OP_BUFFER_BARRIER ? 1 : program_range_count(op);
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < count && status == SEGUE_OK; ++i)
        status = name_range(play, program, &op->ranges[i], op->naming[i], &refs[i], &views[i]);
    if (status == SEGUE_OK)
        status = op->kind <= OP_LAST_WORK ? record_work(play, program, commands, op, refs)
                                          : record_order(play, commands, op, refs);
    for (uint32_t i = 0; i < 3; ++i)
        segue_buffer_destroy(views[i]);
    return status;
}

static segue_status record_ops(struct play *play, const struct program *program,
                               segue_command_buffer *commands, uint32_t first, uint32_t end)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = first; i < end && status == SEGUE_OK; ++i)
        status = record_op(play, program, commands, &program->ops[i]);
    return status;
}

static bool has_distinct_slots(const struct program *program)
{
    for (uint32_t a = 0; a < program->slot_count; ++a) {
        for (uint32_t b = 0; b < a; ++b) {
            if (program_ranges_overlap(&program->slots[a].window, &program->slots[b].window))
                return false;
        }
    }
    return program->slot_count != 0;
}

/** Some programs keep the order of every barrier, and some promise that their slots differ. */
static uint32_t choose_flags(const struct program *program)
{
    uint32_t flags = program->seed % 8 == 3 ? SEGUE_COMMAND_BUFFER_BARRIER_ORDER : 0;
    // Other tables than the first may break the promise.
    if ((program->seed % 2 == 0 && has_distinct_slots(program)) ||
        (program->lowers_aliases && program->slot_count != 0))
        flags |= SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT | SEGUE_COMMAND_BUFFER_LOWER_ALIASES;
    return flags;
}

static segue_status begin(struct play *play, const struct program *program,
                          const struct play_configuration *configuration, const char *label,
                          segue_command_buffer **out_commands)
{
    static const struct segue_constant_slot constant_slots[PROGRAM_MAX_CONSTANT_SLOTS] = {
        {"first", 4}, {"second", 4}, {"third", 4}};
    const struct segue_command_buffer_params params = {
        .mode = configuration->mode,
        .order_seed = configuration->order_seed,
        .flags = choose_flags(program),
        .slot_count = program->slot_count,
        .constant_slots = constant_slots,
        .constant_slot_count = program->constant_slot_count,
        .label = label,
    };
    segue_status status = segue_command_buffer_create(play->device, &params, out_commands);
    return status == SEGUE_OK ? segue_command_buffer_begin(*out_commands) : status;
}

/** Ops of the secondary, recorded apart and executed with the same slots. */
static segue_status record_secondary(struct play *play, const struct program *program,
                                     const struct play_configuration *configuration)
{
    if (program->secondary_first == program->secondary_end)
        return SEGUE_OK;
    segue_status status = begin(play, program, configuration, "secondary", &play->secondary);
    if (status == SEGUE_OK)
        status = record_ops(play, program, play->secondary, program->secondary_first,
                            program->secondary_end);
    if (status == SEGUE_OK)
        status = segue_command_buffer_end(play->secondary);
    struct segue_buffer_ref bindings[PROGRAM_MAX_SLOTS];
    for (uint32_t i = 0; i < program->slot_count; ++i)
        bindings[i] = (struct segue_buffer_ref){.slot = i, .length_bytes = SEGUE_WHOLE_SIZE};
    if (status == SEGUE_OK)
        status = segue_cmd_execute(play->commands, play->secondary,
                                   program->slot_count ? bindings : NULL, program->slot_count);
    return status;
}

segue_status play_record(struct play *play, const struct program *program,
                         const struct play_configuration *configuration)
{
    segue_status status = begin(play, program, configuration, PLAY_PRIMARY_LABEL, &play->commands);
    if (status == SEGUE_OK)
        status = record_ops(play, program, play->commands, 0, program->secondary_first);
    if (status == SEGUE_OK)
        status = record_secondary(play, program, configuration);
    if (status == SEGUE_OK)
        status =
            record_ops(play, program, play->commands, program->secondary_end, program->op_count);
    return status == SEGUE_OK ? segue_command_buffer_end(play->commands) : status;
}

const struct segue_submission *play_submission(struct play *play, const struct program *program,
                                               uint32_t run)
{
    for (uint32_t i = 0; i < program->constant_slot_count; ++i)
        play->constants[i] = (struct segue_constant_value){
            .size_bytes = 4, .as.u32 = program_constant(program, i, run)};
    for (uint32_t i = 0; i < program->slot_count; ++i) {
        const struct program_range *window = &program->slots[i].window;
        play->table[i] = (struct segue_buffer_ref){.buffer = play->buffers[window->buffer],
                                                   .offset_bytes = window->offset,
                                                   .length_bytes = window->length};
    }
    play->execution = (struct segue_execution){
        .command_buffer = play->commands,
        .bindings = program->slot_count ? play->table : NULL,
        .binding_count = program->slot_count,
        .constants = program->constant_slot_count ? play->constants : NULL,
        .constant_count = program->constant_slot_count,
    };
    play->submission =
        (struct segue_submission){.executions = &play->execution, .execution_count = 1};
    return &play->submission;
}

segue_status play_run(struct play *play, const struct program *program, uint32_t first_run,
                      uint32_t times)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; i < times && status == SEGUE_OK; ++i)
        status = segue_queue_submit(play->queue, play_submission(play, program, first_run + i));
    return status == SEGUE_OK ? segue_queue_wait_idle(play->queue) : status;
}

segue_status play_compare(struct play *play, uint32_t *const *expected, bool *out_equal,
                          char *out_text, size_t capacity_bytes)
{
    static uint32_t actual[PROGRAM_LARGE_WORDS];
    *out_equal = true;
    for (uint32_t b = 0; b < PROGRAM_BUFFERS && *out_equal; ++b) {
        uint32_t words = program_buffer_words(b);
        segue_status status = segue_buffer_read(play->buffers[b], 0, actual, words * 4);
        if (status != SEGUE_OK)
            return status;
        if (memcmp(actual, expected[b], words * 4) == 0)
            continue;
        *out_equal = false;
        uint32_t i = 0;
        while (actual[i] == expected[b][i])
            ++i;
        (void)snprintf(out_text, capacity_bytes,
                       "wrong result: buffer %u, word %u is 0x%08x, expected 0x%08x", (unsigned)b,
                       (unsigned)i, (unsigned)actual[i], (unsigned)expected[b][i]);
    }
    return SEGUE_OK;
}
