// SPDX-License-Identifier: Apache-2.0
// What a program means: plain C over host arrays, one command after the other.
#include "program.h"
#include "test.h"

#include <inttypes.h>

struct segue_content program_content(uint32_t buffer)
{
    return (struct segue_content){.kind = SEGUE_CONTENT_UNIFORM,
                                  .dtype = SEGUE_DTYPE_U32,
                                  .seed = buffer + 1,
                                  .a = 0,
                                  .b = 0x1p32};
}

const uint32_t *program_initial(uint32_t buffer)
{
    static uint32_t words[PROGRAM_BUFFERS][PROGRAM_LARGE_WORDS];
    static bool generated[PROGRAM_BUFFERS];
    if (!generated[buffer]) {
        const struct segue_content content = program_content(buffer);
        CHECK_OK(segue_content_generate(
            &content, 0, program_buffer_words(buffer) * sizeof(uint32_t), words[buffer]));
        generated[buffer] = true;
    }
    return words[buffer];
}

void program_update_data(const struct program_op *op, unsigned char *bytes)
{
    for (uint32_t i = 0; i < op->ranges[0].length; ++i)
        bytes[i] = (unsigned char)segue_test_word(op->a, i);
}

bool program_is_given(const struct program *program, const struct program_op *op, uint32_t index,
                      uint32_t *out_slot)
{
    bool takes = op->kind == OP_SCALE || (op->kind == OP_MIX && index == 0);
    *out_slot = op->given[index] - 1u;
    return takes && *out_slot < program->constant_slot_count;
}

uint32_t program_constant(const struct program *program, uint32_t slot, uint32_t run)
{
    return segue_test_word(program->seed * PROGRAM_MAX_CONSTANT_SLOTS + slot, run) % 1000;
}

static void interpret_op(const struct program_op *op, uint32_t *const *buffers)
{
    unsigned char *bytes[3] = {NULL, NULL, NULL};
    for (uint32_t i = 0; i < program_range_count(op); ++i)
        bytes[i] = (unsigned char *)buffers[op->ranges[i].buffer] + op->ranges[i].offset;
    uint32_t length = op->ranges[0].length;
    uint32_t count = length / 4;
    switch (op->kind) {
    case OP_FILL:
        for (uint32_t i = 0; i < length; ++i)
            bytes[0][i] = (unsigned char)(op->a >> (8 * (i % op->b)));
        break;
    case OP_UPDATE:
        program_update_data(op, bytes[0]);
        break;
    case OP_COPY:
        memcpy(bytes[1], bytes[0], length);
        break;
    case OP_ADD:
        for (uint32_t i = 0; i < count; ++i)
            ((uint32_t *)(void *)bytes[2])[i] =
                ((uint32_t *)(void *)bytes[0])[i] + ((uint32_t *)(void *)bytes[1])[i];
        break;
    case OP_SCALE:
        for (uint32_t i = 0; i < count; ++i)
            ((uint32_t *)(void *)bytes[0])[i] = ((uint32_t *)(void *)bytes[0])[i] * op->a + op->b;
        break;
    case OP_MIX:
        for (uint32_t i = 0; i < count; ++i)
            ((uint32_t *)(void *)bytes[1])[i] = ((uint32_t *)(void *)bytes[1])[i] * 31 +
                                                ((uint32_t *)(void *)bytes[0])[(i + op->a) % count];
        break;
    default:
        break;
    }
}

void program_interpret(const struct program *program, uint32_t run, uint32_t *const *buffers)
{
    for (uint32_t i = 0; i < program->op_count; ++i) {
        struct program_op op = program->ops[i];
        uint32_t slot;
        if (op.removed)
            continue;
        if (program_is_given(program, &op, 0, &slot))
            op.a = program_constant(program, slot, run);
        if (program_is_given(program, &op, 1, &slot))
            op.b = program_constant(program, slot, run);
        interpret_op(&op, buffers);
    }
}

void program_print(const struct program *program)
{
    static const char *const names[] = {
        "fill",           "update",         "copy",   "add",   "scale", "mix",         "barrier",
        "memory barrier", "buffer barrier", "signal", "reset", "wait",  "begin group", "end group"};
    print_message(
        "program of seed %" PRIu64 ", %u slots%s, %u constant slots, secondary %u to %u\n",
        program->seed, (unsigned)program->slot_count,
        program->lowers_aliases ? " that may overlap" : "", (unsigned)program->constant_slot_count,
        (unsigned)program->secondary_first, (unsigned)program->secondary_end);
    for (uint32_t i = 0; i < program->op_count; ++i) {
        const struct program_op *op = &program->ops[i];
        uint32_t ranges = op->kind == OP_BUFFER_BARRIER ? 1 : program_range_count(op);
        print_message("%4u %s%s a=%u b=%u", (unsigned)i, op->removed ? "(removed) " : "",
                      names[op->kind], (unsigned)op->a, (unsigned)op->b);
        for (uint32_t k = 0; k < 2; ++k) {
            uint32_t slot;
            if (program_is_given(program, op, k, &slot))
                print_message(" (%c from constant slot %u)", 'a' + (int)k, (unsigned)slot);
        }
        for (uint32_t k = 0; k < ranges; ++k)
            print_message(" %u[%u+%u]/%u", (unsigned)op->ranges[k].buffer,
                          (unsigned)op->ranges[k].offset, (unsigned)op->ranges[k].length,
                          (unsigned)op->naming[k]);
        print_message("\n");
    }
}
