// SPDX-License-Identifier: Apache-2.0
#include "api.h"
#include "kernels.h"

#include <string.h>

/** Contents of buffers, both ways. */
static uint8_t bytes[API_BUFFER_BYTES];

static void destroy_buffer(void *object)
{
    segue_buffer_destroy(object);
}

static void destroy_executable(void *object)
{
    segue_executable_destroy(object);
}

static void destroy_event(void *object)
{
    segue_event_destroy(object);
}

/** Destroys, or keeps what a recording may name and does not keep alive. */
static void give_up(struct api_world *world, void *object, void (*destroy)(void *object))
{
    if (!world->keeps || object == NULL) {
        world->gave_up = world->gave_up || object != NULL;
        destroy(object);
        return;
    }
    FUZZ_CHECK(world->kept_count < API_KEPT, "expected fewer than %d kept objects; %u are",
               (int)API_KEPT, world->kept_count);
    world->kept[world->kept_count++] = (struct api_kept){object, destroy};
}

static uint64_t choose_size(struct api_world *world)
{
    static const uint64_t sizes[] = {4096,  256, 1024, 65536, API_BUFFER_BYTES, 1,
                                     70000, 4,   8192, 0,     UINT64_C(1) << 50};
    uint8_t choice = fuzz_u8(&world->input);
    return choice < 128 ? sizes[choice % (sizeof(sizes) / sizeof(sizes[0]))]
                        : fuzz_u16(&world->input);
}

static void create_buffer(struct api_world *world, struct api_buffer *buffer)
{
    if (world->kept_count == API_KEPT)
        return;
    const struct segue_buffer_params params = {
        .size_bytes = choose_size(world),
        .memory = (enum segue_memory_type)(fuzz_u8(&world->input) % 4),
        .usage = fuzz_u8(&world->input) % 32,
        .label = fuzz_u8(&world->input) % 4 == 0 ? "labelled" : NULL,
    };
    segue_buffer *created = NULL;
    if (CALL(world, segue_buffer_create(world->device, &params, &created)) != SEGUE_OK)
        return;
    FUZZ_CHECK(params.size_bytes > 0 && params.size_bytes <= API_BUFFER_BYTES &&
                   params.memory <= SEGUE_MEMORY_CONSTANT && params.usage <= 15,
               "expected a failure; a buffer was made of %llu bytes, memory type %d, usage 0x%x",
               (unsigned long long)params.size_bytes, (int)params.memory, params.usage);
    give_up(world, buffer->handle, destroy_buffer);
    *buffer = (struct api_buffer){created, params.size_bytes};
}

static void create_view(struct api_world *world, struct api_buffer *buffer)
{
    if (world->kept_count == API_KEPT)
        return;
    const struct api_buffer *parent = &world->buffers[fuzz_u8(&world->input) % API_BUFFERS];
    uint64_t offset = (uint64_t)fuzz_u8(&world->input) * 16;
    uint64_t length = (uint64_t)fuzz_u16(&world->input);
    length = length == UINT16_MAX ? SEGUE_WHOLE_SIZE : length;
    segue_buffer *view = NULL;
    if (CALL(world, segue_buffer_create_view(parent->handle, offset, length, NULL, &view)) !=
        SEGUE_OK)
        return;
    struct segue_buffer_info info;
    segue_buffer_get_info(view, &info);
    FUZZ_CHECK(offset <= parent->size_bytes && info.size_bytes <= parent->size_bytes - offset &&
                   info.size_bytes > 0,
               "expected a view inside %llu bytes; it has %llu bytes at %llu",
               (unsigned long long)parent->size_bytes, (unsigned long long)info.size_bytes,
               (unsigned long long)offset);
    give_up(world, buffer->handle, destroy_buffer);
    *buffer = (struct api_buffer){view, info.size_bytes};
}

static void move_bytes(struct api_world *world, const struct api_buffer *buffer)
{
    uint64_t offset = fuzz_u16(&world->input);
    uint64_t length = fuzz_u16(&world->input);
    bool inside = offset <= buffer->size_bytes && length <= buffer->size_bytes - offset;
    bool write = fuzz_u8(&world->input) % 2 == 0;
    segue_status status =
        write ? CALL(world, segue_buffer_write(buffer->handle, offset, bytes, length))
              : CALL(world, segue_buffer_read(buffer->handle, offset, bytes, length));
    FUZZ_CHECK(status != SEGUE_OK || (buffer->handle != NULL && inside),
               "expected a failure; %llu bytes at %llu of a buffer of %llu were %s",
               (unsigned long long)length, (unsigned long long)offset,
               (unsigned long long)buffer->size_bytes, write ? "written" : "read");
    void *pointer = NULL;
    if (CALL(world, segue_buffer_map(buffer->handle, &pointer)) == SEGUE_OK)
        memset(pointer, (int)length, buffer->size_bytes);
}

static void create_executable(struct api_world *world, segue_executable **executable)
{
    segue_executable *created = NULL;
    if (world->kept_count == API_KEPT ||
        CALL(world, segue_test_kernels_create(world->device, &created)) != SEGUE_OK)
        return;
    give_up(world, *executable, destroy_executable);
    *executable = created;
}

static void create_event(struct api_world *world, segue_event **event)
{
    segue_event *created = NULL;
    if (world->kept_count == API_KEPT ||
        CALL(world, segue_event_create(world->device, &created)) != SEGUE_OK)
        return;
    give_up(world, *event, destroy_event);
    *event = created;
}

static void create_semaphore(struct api_world *world, segue_semaphore **semaphore)
{
    segue_semaphore *created = NULL;
    uint64_t value = fuzz_u8(&world->input);
    if (CALL(world, segue_semaphore_create(world->device, value, &created)) != SEGUE_OK)
        return;
    segue_semaphore_destroy(*semaphore);
    *semaphore = created;
    world->semaphore_values[semaphore - world->semaphores] = value;
}

static void create_queue(struct api_world *world, segue_queue **queue)
{
    segue_queue *created = NULL;
    const struct segue_queue_params params = {.timing = fuzz_u8(&world->input) % 2 == 1};
    if (CALL(world, segue_queue_create(world->device, &params, &created)) != SEGUE_OK)
        return;
    segue_queue_destroy(*queue);
    *queue = created;
}

static void create_command_buffer(struct api_world *world, struct api_command_buffer *commands)
{
    uint8_t choice = fuzz_u8(&world->input);
    uint8_t more = fuzz_u8(&world->input);
    struct segue_constant_slot constant_slots[API_CONSTANT_SLOTS];
    memcpy(constant_slots, api_constant_slots, sizeof(constant_slots));
    // One of 32 with such slots is declared wrongly.
    bool spoiled = more == 0xe7;
    if (spoiled)
        constant_slots[fuzz_u8(&world->input) % API_CONSTANT_SLOTS] = (struct segue_constant_slot){
            fuzz_u8(&world->input) % 2 == 0 ? api_constant_slots[0].name : "a=", 5};
    const struct segue_command_buffer_params params = {
        .mode = (enum segue_execution_mode)(choice % 4),
        .flags = ((choice >> 2) % 8) | ((uint32_t)(more >> 2) % 8) << 3,
        .slot_count = choice >= 224 ? UINT32_MAX : (choice >> 5) % 4,
        .order_seed = more % 4,
        .constant_slots = constant_slots,
        .constant_slot_count = spoiled ? API_CONSTANT_SLOTS : (more >> 5) % 4u,
    };
    const uint32_t known_flags =
        SEGUE_COMMAND_BUFFER_ONE_SHOT | SEGUE_COMMAND_BUFFER_UNRETAINED |
        SEGUE_COMMAND_BUFFER_BARRIER_ORDER | SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT |
        SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS | SEGUE_COMMAND_BUFFER_LOWER_ALIASES;
    segue_command_buffer *created = NULL;
    if (CALL(world, segue_command_buffer_create(world->device, &params, &created)) != SEGUE_OK)
        return;
    FUZZ_CHECK(params.mode <= SEGUE_EXECUTION_STREAM && (params.flags & ~known_flags) == 0 &&
                   params.slot_count <= 65536 && !spoiled,
               "expected a failure; a command buffer was made of mode %d, flags 0x%x (known are "
               "0x%x), %u slots, %s constant slots",
               (int)params.mode, params.flags, known_flags, params.slot_count,
               spoiled ? "wrong" : "right");
    world->keeps = world->keeps || (params.flags & SEGUE_COMMAND_BUFFER_UNRETAINED) != 0;
    segue_command_buffer_destroy(commands->handle);
    *commands = (struct api_command_buffer){
        .handle = created,
        .slot_count = params.slot_count,
        .constant_slot_count = params.constant_slot_count,
        .unretained = (params.flags & SEGUE_COMMAND_BUFFER_UNRETAINED) != 0,
    };
}

static void destroy(struct api_world *world)
{
    uint8_t choice = fuzz_u8(&world->input);
    uint32_t index = choice / 8;
    struct api_buffer *buffer = &world->buffers[index % API_BUFFERS];
    segue_executable **executable = &world->executables[index % API_EXECUTABLES];
    segue_event **event = &world->events[index % API_EVENTS];
    if (world->kept_count == API_KEPT)
        return;
    switch (choice % 8) {
    case 0:
        give_up(world, buffer->handle, destroy_buffer);
        *buffer = (struct api_buffer){0};
        break;
    case 1:
        give_up(world, *executable, destroy_executable);
        *executable = NULL;
        break;
    case 2:
        give_up(world, *event, destroy_event);
        *event = NULL;
        break;
    case 3:
        segue_semaphore_destroy(world->semaphores[index % API_SEMAPHORES]);
        world->semaphores[index % API_SEMAPHORES] = NULL;
        break;
    case 4:
        segue_queue_destroy(world->queues[index % API_QUEUES]);
        world->queues[index % API_QUEUES] = NULL;
        break;
    default:
        segue_command_buffer_destroy(world->command_buffers[index % API_COMMAND_BUFFERS].handle);
        world->command_buffers[index % API_COMMAND_BUFFERS] = (struct api_command_buffer){0};
        break;
    }
}

void api_object(struct api_world *world)
{
    uint8_t choice = fuzz_u8(&world->input);
    uint32_t index = choice / 16;
    switch (choice % 16) {
    case 0:
    case 1:
        create_buffer(world, &world->buffers[index % API_BUFFERS]);
        break;
    case 2:
    case 3:
        create_view(world, &world->buffers[index % API_BUFFERS]);
        break;
    case 4:
        move_bytes(world, &world->buffers[index % API_BUFFERS]);
        break;
    case 5:
        create_executable(world, &world->executables[index % API_EXECUTABLES]);
        break;
    case 6:
        create_event(world, &world->events[index % API_EVENTS]);
        break;
    case 7:
        create_semaphore(world, &world->semaphores[index % API_SEMAPHORES]);
        break;
    case 8:
        create_queue(world, &world->queues[index % API_QUEUES]);
        break;
    case 9:
    case 10:
    case 11:
        create_command_buffer(world, &world->command_buffers[index % API_COMMAND_BUFFERS]);
        break;
    default:
        destroy(world);
        break;
    }
}

void api_create_all(struct api_world *world)
{
    static const struct segue_buffer_params buffers[API_BUFFERS - 2] = {
        {.size_bytes = 4096}, {.size_bytes = 4096},
        {.size_bytes = 8192}, {.size_bytes = 4096, .memory = SEGUE_MEMORY_HOST_VISIBLE},
        {.size_bytes = 4096}, {.size_bytes = 4096, .memory = SEGUE_MEMORY_CONSTANT},
    };
    static const struct segue_command_buffer_params commands[] = {
        {.mode = SEGUE_EXECUTION_GRAPH},
        {.mode = SEGUE_EXECUTION_GRAPH, .slot_count = 2},
        {.mode = SEGUE_EXECUTION_STREAM},
        {.flags = SEGUE_COMMAND_BUFFER_ONE_SHOT},
        {.mode = SEGUE_EXECUTION_GRAPH,
         .flags = SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT | SEGUE_COMMAND_BUFFER_LOWER_ALIASES,
         .slot_count = 3,
         .constant_slots = api_constant_slots,
         .constant_slot_count = API_CONSTANT_SLOTS},
    };
    for (uint32_t i = 0; i < API_BUFFERS - 2; ++i) {
        struct api_buffer *buffer = &world->buffers[i];
        buffer->size_bytes = buffers[i].size_bytes;
        (void)CALL(world, segue_buffer_create(world->device, &buffers[i], &buffer->handle));
    }
    for (uint32_t i = 0; i < sizeof(commands) / sizeof(commands[0]); ++i) {
        struct api_command_buffer *command_buffer = &world->command_buffers[i];
        command_buffer->slot_count = commands[i].slot_count;
        command_buffer->constant_slot_count = commands[i].constant_slot_count;
        (void)CALL(world, segue_command_buffer_create(world->device, &commands[i],
                                                      &command_buffer->handle));
    }
    (void)CALL(world, segue_test_kernels_create(world->device, &world->executables[0]));
    (void)CALL(world, segue_semaphore_create(world->device, 0, &world->semaphores[0]));
    (void)CALL(world, segue_event_create(world->device, &world->events[0]));
    (void)CALL(world, segue_queue_create(world->device, NULL, &world->queues[0]));
}

void api_destroy_all(struct api_world *world)
{
    // In flight or not, and in what order, must not matter; the device goes first or last.
    uint8_t choice = fuzz_u8(&world->input);
    if (choice % 2 == 1)
        segue_device_destroy(world->device);
    for (uint32_t i = 0; i < API_SEMAPHORES; ++i)
        segue_semaphore_destroy(world->semaphores[i]);
    for (uint32_t i = 0; i < API_QUEUES; ++i)
        segue_queue_destroy(world->queues[i]);
    for (uint32_t i = 0; i < API_COMMAND_BUFFERS; ++i)
        segue_command_buffer_destroy(world->command_buffers[i].handle);
    for (uint32_t i = 0; i < world->kept_count; ++i)
        world->kept[i].destroy(world->kept[i].object);
    for (uint32_t i = 0; i < API_BUFFERS; ++i)
        segue_buffer_destroy(world->buffers[i].handle);
    for (uint32_t i = 0; i < API_EXECUTABLES; ++i)
        segue_executable_destroy(world->executables[i]);
    for (uint32_t i = 0; i < API_EVENTS; ++i)
        segue_event_destroy(world->events[i]);
    if (choice % 2 == 0)
        segue_device_destroy(world->device);
}
