// SPDX-License-Identifier: Apache-2.0
#include "api.h"
#include "kernels.h"

#include <string.h>

const struct segue_constant_slot api_constant_slots[API_CONSTANT_SLOTS] = {
    {"a", 4}, {"b", 4}, {"wide", 8}};

/** A place in the table that holds a buffer, if any does. */
static const struct api_buffer *choose_buffer(const struct api_world *world, uint32_t choice)
{
    for (uint32_t i = 0; i < API_BUFFERS; ++i) {
        const struct api_buffer *buffer = &world->buffers[(choice + i) % API_BUFFERS];
        if (buffer->handle != NULL)
            return buffer;
    }
    return &world->buffers[0];
}

/** Cuts a range to a buffer. */
static void cut(struct segue_buffer_ref *ref, uint64_t size_bytes)
{
    ref->offset_bytes %= size_bytes > 0 ? size_bytes : 1;
    uint64_t rest = size_bytes - ref->offset_bytes;
    ref->length_bytes = ref->length_bytes < rest ? ref->length_bytes : rest;
}

struct segue_buffer_ref api_ref(struct api_world *world, uint32_t slot_count)
{
    uint8_t choice = fuzz_u8(&world->input);
    struct segue_buffer_ref ref = {
        .offset_bytes = (uint64_t)fuzz_u8(&world->input) * 16,
        .length_bytes = (uint64_t)fuzz_u8(&world->input) * 16,
    };
    const struct api_buffer *buffer = choose_buffer(world, choice % 8);
    if ((choice & 8) != 0 && slot_count > 0) {
        ref.slot = choice % 8 % slot_count;
    } else {
        ref.buffer = buffer->handle;
        cut(&ref, buffer->size_bytes);
    }
    // What follows breaks rules, now and then.
    switch (choice / 16) {
    case 0:
        ref.offset_bytes = 0;
        ref.length_bytes = SEGUE_WHOLE_SIZE;
        break;
    case 1:
        ref.length_bytes = SEGUE_WHOLE_SIZE;
        break;
    case 2:
        ref.offset_bytes += fuzz_u8(&world->input) % 16;
        ref.length_bytes += fuzz_u8(&world->input) % 16;
        break;
    case 3:
        if (choice % 16 == 0)
            ref.offset_bytes = fuzz_u64(&world->input);
        else if (choice % 16 == 1)
            ref.length_bytes = fuzz_u64(&world->input);
        else if (choice % 16 == 2)
            ref.buffer = NULL;
        else if (choice % 16 == 3)
            ref.slot = slot_count;
        break;
    default:
        break;
    }
    return ref;
}

uint64_t api_ref_bytes(const struct api_world *world, const struct segue_buffer_ref *ref)
{
    if (ref->buffer == NULL)
        return ref->length_bytes == SEGUE_WHOLE_SIZE ? 0 : ref->length_bytes;
    for (uint32_t i = 0; i < API_BUFFERS; ++i) {
        uint64_t size = world->buffers[i].size_bytes;
        if (world->buffers[i].handle != ref->buffer || ref->offset_bytes > size)
            continue;
        uint64_t rest = size - ref->offset_bytes;
        return ref->length_bytes < rest ? ref->length_bytes : rest;
    }
    return 0;
}

static segue_status record_fill(struct api_world *world, struct api_command_buffer *commands)
{
    struct segue_buffer_ref target = api_ref(world, commands->slot_count);
    uint8_t pattern_size = fuzz_u8(&world->input);
    static const uint32_t sizes[] = {4, 1, 2, 3};
    return CALL(world,
                segue_cmd_fill(commands->handle, target, fuzz_u8(&world->input) * 0x01010101u,
                               sizes[pattern_size < 250 ? pattern_size % 3 : 3]));
}

static segue_status record_update(struct api_world *world, struct api_command_buffer *commands)
{
    static const uint8_t data[SEGUE_MAX_UPDATE_BYTES] = {1, 2, 3};
    struct segue_buffer_ref target = api_ref(world, commands->slot_count);
    return CALL(world, segue_cmd_update(commands->handle, target, data));
}

static segue_status record_copy(struct api_world *world, struct api_command_buffer *commands)
{
    struct segue_buffer_ref source = api_ref(world, commands->slot_count);
    struct segue_buffer_ref target = api_ref(world, commands->slot_count);
    // Mostly the smaller of both lengths.
    if (fuzz_u8(&world->input) < 250) {
        source.length_bytes =
            source.length_bytes < target.length_bytes ? source.length_bytes : target.length_bytes;
        target.length_bytes = source.length_bytes;
    }
    return CALL(world, segue_cmd_copy(commands->handle, source, target));
}

/** Bindings and constants of a dispatch. */
struct arguments {
    struct segue_buffer_ref bindings[API_MAX_BINDINGS];
    uint8_t constants[4096];
    /** Words that every binding certainly has. */
    uint64_t words;
};

static uint32_t put(struct arguments *arguments, uint32_t at, const void *value, uint32_t size)
{
    memcpy(arguments->constants + at, value, size);
    return at + size;
}

/** An address inside a buffer, with so many words behind it; an opaque kernel gets there. */
static uint64_t choose_address(struct api_world *world, uint32_t *out_count)
{
    const struct api_buffer *buffer = &world->buffers[fuzz_u8(&world->input) % API_BUFFERS];
    *out_count = 0;
    if (buffer->handle == NULL)
        return 0;
    struct segue_buffer_info info;
    segue_buffer_get_info(buffer->handle, &info);
    *out_count = (uint32_t)((info.size_bytes & ~UINT64_C(3)) / 4);
    // References read whole words.
    if (info.device_address % 4 != 0)
        *out_count = 0;
    return info.device_address;
}

/** Blocks that the kernel may have so that it stays in its bindings. */
static uint32_t choose_grid(struct api_world *world, uint32_t kernel, uint64_t words)
{
    uint32_t needed_words = kernel == SEGUE_TEST_STRUCT      ? 32
                            : kernel == SEGUE_TEST_LARGE     ? 1000
                            : kernel == SEGUE_TEST_SHAPE     ? 6
                            : kernel == SEGUE_TEST_DEPENDENT ? 2
                                                             : 0;
    uint32_t grid = 1 + fuzz_u8(&world->input) % 4;
    if (kernel == SEGUE_TEST_CLUSTER)
        grid *= 2;
    if (kernel == SEGUE_TEST_CLUSTER || kernel == SEGUE_TEST_COOPERATIVE)
        needed_words = grid;
    return words < needed_words ? 0 : grid;
}

static uint32_t fill_constants(struct api_world *world, uint32_t kernel, bool wild,
                               struct arguments *arguments)
{
    uint64_t address = 0;
    uint32_t count = arguments->words < UINT32_MAX ? (uint32_t)arguments->words : 0;
    uint32_t limit = fuzz_u8(&world->input) * 16u;
    count = count < limit ? count : limit;
    if (kernel == SEGUE_TEST_OPAQUE)
        address = choose_address(world, &count);
    if (wild)
        count = fuzz_u32(&world->input);
    uint32_t number = fuzz_u8(&world->input);
    uint16_t shift = (uint16_t)(number % 64);
    uint64_t start = number * 77u;
    uint32_t end = 0;
    switch (kernel) {
    case SEGUE_TEST_ADD:
        return put(arguments, 0, &count, 4);
    case SEGUE_TEST_OPAQUE:
        end = put(arguments, 0, &address, 8);
        // fallthrough
    case SEGUE_TEST_SCALE:
    case SEGUE_TEST_SLOW_SCALE:
        end = put(arguments, end, &count, 4);
        end = put(arguments, end, &number, 4);
        end = put(arguments, end, &number, 4);
        return kernel == SEGUE_TEST_SLOW_SCALE ? put(arguments, end, &start, 8) : end;
    case SEGUE_TEST_INDIRECT_SLOW:
        end = put(arguments, 0, &count, 4);
        return put(arguments, end, &start, 8);
    case SEGUE_TEST_MIX:
    case SEGUE_TEST_INDIRECT:
        end = put(arguments, end, &count, 4);
        return put(arguments, end, &number, 4);
    case SEGUE_TEST_ORDER:
        end = put(arguments, end, &number, 1);
        end = put(arguments, end, &start, 8);
        end = put(arguments, end, &shift, 2);
        return put(arguments, end, &count, 4);
    case SEGUE_TEST_STRUCT:
        return 132;
    case SEGUE_TEST_LARGE:
        return 4000;
    case SEGUE_TEST_SHARED:
    case SEGUE_TEST_DEPENDENT:
        return put(arguments, 0, &count, 4);
    default:
        return 0;
    }
}

/** Constants of the kernel that may have any value: where they are, their size in bytes. Returns
 * how many there are. */
static uint32_t list_free_constants(uint32_t kernel, struct segue_constant_use free_constants[3])
{
    static const struct {
        uint32_t kernel;
        uint32_t count;
        struct segue_constant_use uses[3];
    } kernels[] = {
        {SEGUE_TEST_SCALE, 2, {{0, 4, 4}, {0, 8, 4}}},
        {SEGUE_TEST_SLOW_SCALE, 3, {{0, 4, 4}, {0, 8, 4}, {0, 12, 8}}},
        {SEGUE_TEST_MIX, 1, {{0, 4, 4}}},
        {SEGUE_TEST_ORDER, 1, {{0, 1, 8}}},
        {SEGUE_TEST_OPAQUE, 2, {{0, 12, 4}, {0, 16, 4}}},
        {SEGUE_TEST_STRUCT, 3, {{0, 0, 4}, {0, 8, 8}, {0, 124, 4}}},
    };
    for (uint32_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); ++i) {
        if (kernels[i].kernel != kernel)
            continue;
        memcpy(free_constants, kernels[i].uses, sizeof(kernels[i].uses));
        return kernels[i].count;
    }
    return 0;
}

/** Has submissions give some of them, in slots of their size. */
static uint32_t choose_uses(struct api_world *world, const struct api_command_buffer *commands,
                            uint32_t kernel, struct segue_constant_use uses[3])
{
    struct segue_constant_use free_constants[3];
    if (commands->constant_slot_count == 0)
        return 0;
    uint32_t free_count = list_free_constants(kernel, free_constants);
    uint8_t choice = free_count > 0 ? fuzz_u8(&world->input) : 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < free_count; ++i) {
        uint32_t slot = (choice >> (2 * i)) % 4;
        if (slot >= commands->constant_slot_count ||
            api_constant_slots[slot].size_bytes != free_constants[i].size_bytes)
            continue;
        uses[count] = free_constants[i];
        uses[count++].slot = slot;
    }
    return count;
}

/** Breaks a rule of segue_constant_use. */
static void spoil_use(struct api_world *world, struct segue_constant_use *use)
{
    uint8_t choice = fuzz_u8(&world->input);
    uint32_t *const fields[] = {&use->slot, &use->offset_bytes, &use->size_bytes};
    *fields[choice % 3] += choice / 3 - 40u;
}

/** Breaks a rule of segue_dispatch. */
static void spoil(struct api_world *world, struct segue_dispatch *dispatch)
{
    uint8_t choice = fuzz_u8(&world->input);
    uint8_t value = fuzz_u8(&world->input);
    switch (choice % 8) {
    case 0:
        dispatch->entry_point += value;
        break;
    case 1:
        dispatch->grid[value % 3] = fuzz_u32(&world->input);
        break;
    case 2:
        dispatch->block[value % 3] = fuzz_u32(&world->input);
        break;
    case 3:
        dispatch->binding_count = value % (API_MAX_BINDINGS + 1);
        break;
    case 4:
        dispatch->constants_size_bytes = value;
        break;
    case 5:
        dispatch->dynamic_shared_bytes = fuzz_u32(&world->input);
        break;
    case 6:
        dispatch->bindings = NULL;
        break;
    default:
        dispatch->constants = NULL;
        break;
    }
}

static segue_status record_dispatch(struct api_world *world, struct api_command_buffer *commands)
{
    uint8_t choice = fuzz_u8(&world->input);
    uint32_t kernel = choice % SEGUE_TEST_KERNEL_COUNT;
    uint8_t manner = fuzz_u8(&world->input);
    bool wild = manner >= 252;
    bool spoiled = manner >= 240;
    struct arguments arguments = {.words = UINT64_MAX};
    const struct segue_entry_point *entry = &segue_test_entries[kernel];
    uint32_t binding_count = 0;
    for (uint32_t i = 0; i < entry->parameter_count; ++i) {
        if (entry->parameters[i].kind == SEGUE_PARAMETER_CONSTANT)
            continue;
        struct segue_buffer_ref ref = api_ref(world, commands->slot_count);
        uint64_t words = api_ref_bytes(world, &ref) / 4;
        arguments.words = words < arguments.words ? words : arguments.words;
        arguments.bindings[binding_count++] = ref;
    }
    struct segue_dispatch dispatch = {
        .executable = world->executables[choice >= 240 ? 1 : 0],
        .entry_point = kernel,
        .grid = {choose_grid(world, kernel, arguments.words), 1, 1},
        .block = {kernel == SEGUE_TEST_SHAPE ? 32 : 0, kernel == SEGUE_TEST_SHAPE ? 1 : 0,
                  kernel == SEGUE_TEST_SHAPE ? 1 : 0},
        .bindings = arguments.bindings,
        .binding_count = binding_count,
        .constants = arguments.constants,
    };
    dispatch.constants_size_bytes = fill_constants(world, kernel, wild, &arguments);
    struct segue_constant_use uses[3];
    dispatch.constant_uses = uses;
    dispatch.constant_use_count = choose_uses(world, commands, kernel, uses);
    if (spoiled && dispatch.constant_use_count > 0 && manner % 2 == 1)
        spoil_use(world, &uses[0]);
    else if (spoiled)
        spoil(world, &dispatch);
    segue_status status = CALL(world, segue_cmd_dispatch(commands->handle, &dispatch));
    for (uint32_t i = 0; i < dispatch.constant_use_count && status == SEGUE_OK; ++i) {
        FUZZ_CHECK(uses[i].slot < commands->constant_slot_count &&
                       uses[i].size_bytes == api_constant_slots[uses[i].slot].size_bytes,
                   "expected a failure; slot %u of %u was taken for %u bytes", uses[i].slot,
                   commands->constant_slot_count, uses[i].size_bytes);
        commands->constant_slots_used |= 1u << uses[i].slot;
    }
    // What was spoiled, and accepted all the same, may still be another launch than was meant.
    world->wild = world->wild || (spoiled && status == SEGUE_OK);
    if (kernel == SEGUE_TEST_OPAQUE) {
        world->keeps = true;
        world->unseen = world->unseen || !world->barriers;
    }
    return status;
}

static segue_status record_barrier(struct api_world *world, struct api_command_buffer *commands)
{
    struct segue_memory_barrier memory[2];
    struct segue_buffer_barrier buffers[2];
    uint8_t choice = fuzz_u8(&world->input);
    if (choice < 64)
        return CALL(world, segue_cmd_barrier(commands->handle, NULL));
    const struct segue_barrier barrier = {
        .flags = choice >= 240 ? choice % 4 : 0,
        .memory_barriers = memory,
        .memory_barrier_count = choice % 3,
        .buffer_barriers = buffers,
        .buffer_barrier_count = choice / 3 % 3,
    };
    for (uint32_t i = 0; i < barrier.memory_barrier_count; ++i) {
        uint8_t masks = fuzz_u8(&world->input);
        memory[i] = (struct segue_memory_barrier){masks % 16, masks / 16};
    }
    for (uint32_t i = 0; i < barrier.buffer_barrier_count; ++i) {
        uint8_t masks = fuzz_u8(&world->input);
        buffers[i] = (struct segue_buffer_barrier){masks % 16, masks / 16,
                                                   api_ref(world, commands->slot_count)};
    }
    return CALL(world, segue_cmd_barrier(commands->handle, &barrier));
}

static segue_status record_event(struct api_world *world, struct api_command_buffer *commands)
{
    uint8_t choice = fuzz_u8(&world->input);
    segue_event *event = world->events[choice / 4 % API_EVENTS];
    commands->has_events = true;
    if (event == NULL && choice < 240)
        event = world->events[0];
    switch (choice % 4) {
    case 0:
        return CALL(world, segue_cmd_reset_event(commands->handle, event));
    case 1:
        return CALL(world, segue_cmd_wait_event(commands->handle, event));
    default:
        return CALL(world, segue_cmd_signal_event(commands->handle, event));
    }
}

static segue_status record_execute(struct api_world *world, struct api_command_buffer *commands)
{
    uint8_t choice = fuzz_u8(&world->input);
    const struct api_command_buffer *secondary = api_choose_command_buffer(world, choice);
    struct segue_buffer_ref bindings[API_MAX_BINDINGS];
    // Nothing to do, most likely.
    if (secondary->state != API_ENDED && choice < 240)
        return SEGUE_OK;
    // The secondary may be the last that holds what was given up, and may let go of it.
    if (commands->unretained && world->gave_up)
        return SEGUE_OK;
    uint32_t count = choice >= 240 ? choice % (API_MAX_BINDINGS + 1) : secondary->slot_count;
    count = count < API_MAX_BINDINGS ? count : API_MAX_BINDINGS;
    for (uint32_t i = 0; i < count; ++i)
        bindings[i] = api_ref(world, commands->slot_count);
    segue_status status = CALL(world, segue_cmd_execute(commands->handle, secondary->handle,
                                                        count > 0 ? bindings : NULL, count));
    if (status == SEGUE_OK) {
        commands->command_count += secondary->command_count;
        commands->constant_slots_used |= secondary->constant_slots_used;
    }
    commands->has_events = commands->has_events || secondary->has_events;
    return status;
}

static segue_status record_group(struct api_world *world, struct api_command_buffer *commands)
{
    uint8_t choice = fuzz_u8(&world->input);
    bool close = choice >= 250 || (commands->group_depth > 0 && choice % 2 == 1);
    segue_status status = close ? CALL(world, segue_cmd_end_group(commands->handle))
                                : CALL(world, segue_cmd_begin_group(commands->handle, "group"));
    if (status == SEGUE_OK)
        commands->group_depth += close ? UINT32_MAX : 1;
    return status;
}

/** Records what a table says, and keeps the model. */
static void record_one(struct api_world *world, struct api_command_buffer *commands, uint8_t choice)
{
    segue_status (*const record[16])(struct api_world *, struct api_command_buffer *) = {
        record_fill,     record_fill,     record_update,   record_update,
        record_copy,     record_copy,     record_dispatch, record_dispatch,
        record_dispatch, record_dispatch, record_barrier,  record_barrier,
        record_event,    record_event,    record_group,    record_execute,
    };
    uint32_t before = commands->command_count;
    segue_status status = record[choice % 16](world, commands);
    if (status == SEGUE_OK && record[choice % 16] != record_execute)
        ++commands->command_count;
    FUZZ_CHECK(commands->command_count == before || commands->state == API_RECORDING,
               "expected a failure, since the command buffer does not record (state %d); "
               "recorded are %u commands, %u before",
               (int)commands->state, commands->command_count, before);
    if (status != SEGUE_OK && commands->state == API_RECORDING && commands->failure == SEGUE_OK)
        commands->failure = status;
    if (!world->barriers || commands->state != API_RECORDING)
        return;
    status = CALL(world, segue_cmd_barrier(commands->handle, NULL));
    if (status == SEGUE_OK)
        ++commands->command_count;
    else if (commands->failure == SEGUE_OK)
        commands->failure = status;
}

void api_record(struct api_world *world)
{
    uint8_t choice = fuzz_u8(&world->input);
    struct api_command_buffer *commands = api_choose_command_buffer(world, choice / 16);
    if (commands->command_count >= API_MAX_COMMANDS)
        return;
    // A recording without a begin shows little.
    if (commands->state == API_FAILED)
        api_reset(world, commands);
    if (commands->state == API_NEW && choice % 16 != 0)
        api_begin(world, commands);
    record_one(world, commands, choice);
}
