// SPDX-License-Identifier: Apache-2.0
#include "patterns.h"

#include <string.h>

#define HUGE_BUFFER (PATTERN_BUFFERS - 1)

/** A pattern on its way. */
struct recorder {
    const struct pattern_world *world;
    segue_command_buffer *command_buffer;
    uint32_t index;
    uint64_t random;
    segue_status status;
};

const char *pattern_name(enum pattern pattern)
{
    static const char *const names[PATTERN_COUNT] = {
        [PATTERN_CHAIN] = "chain",
        [PATTERN_SCOPES] = "scopes_of_8",
        [PATTERN_TILES] = "tiles_of_32",
        [PATTERN_TOWERS] = "towers_24",
        [PATTERN_LAYERS] = "layers",
        [PATTERN_READERS_WRITERS] = "readers_writers",
        [PATTERN_WRITERS_READERS] = "writers_readers",
        [PATTERN_OVERLAPS] = "overlaps",
        [PATTERN_SPLITS] = "splits",
        [PATTERN_RANDOM] = "random",
        [PATTERN_RANDOM_SIZES] = "random_sizes",
        [PATTERN_OPAQUE] = "opaque",
        [PATTERN_SOME_OPAQUE] = "some_opaque",
        [PATTERN_SLOTS] = "slots_8",
        [PATTERN_MANY_SLOTS] = "slots_512",
        [PATTERN_MASKED] = "masked",
        [PATTERN_RANGED] = "ranged",
    };
    return names[pattern];
}

static uint32_t below(struct recorder *recorder, uint32_t bound)
{
    recorder->random =
        recorder->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((recorder->random >> 32) % bound);
}

static struct segue_buffer_ref part(const struct recorder *recorder, uint32_t buffer,
                                    uint64_t offset_bytes, uint64_t length_bytes)
{
    return (struct segue_buffer_ref){
        .buffer = recorder->world->buffers[buffer],
        .offset_bytes = offset_bytes,
        .length_bytes = length_bytes,
    };
}

static struct segue_buffer_ref whole(const struct recorder *recorder, uint32_t buffer)
{
    return part(recorder, buffer, 0, SEGUE_WHOLE_SIZE);
}

static void dispatch(struct recorder *recorder, segue_executable *executable,
                     struct segue_buffer_ref a, struct segue_buffer_ref b,
                     struct segue_buffer_ref c, struct segue_buffer_ref target)
{
    const struct segue_buffer_ref bindings[PATTERN_BINDINGS] = {a, b, c, target};
    const unsigned char constants[PATTERN_CONSTANTS_BYTES] = {0};
    const struct segue_dispatch command = {
        .executable = executable,
        .grid = {1, 1, 1},
        .bindings = bindings,
        .binding_count = PATTERN_BINDINGS,
        .constants = constants,
        .constants_size_bytes = sizeof constants,
    };
    recorder->index++;
    if (recorder->status == SEGUE_OK)
        recorder->status = segue_cmd_dispatch(recorder->command_buffer, &command);
}

static void plain(struct recorder *recorder, struct segue_buffer_ref a, struct segue_buffer_ref b,
                  struct segue_buffer_ref c, struct segue_buffer_ref target)
{
    dispatch(recorder, recorder->world->plain, a, b, c, target);
}

static void barrier(struct recorder *recorder)
{
    if (recorder->status == SEGUE_OK)
        recorder->status = segue_cmd_barrier(recorder->command_buffer, NULL);
}

static void barrier_every(struct recorder *recorder, uint32_t width)
{
    if (recorder->index % width == 0)
        barrier(recorder);
}

static void record_same(struct recorder *recorder, uint32_t width)
{
    plain(recorder, part(recorder, 0, 0, 1024), part(recorder, 1, 0, 1024),
          part(recorder, 2, 0, 1024), part(recorder, 3, 0, 1024));
    barrier_every(recorder, width);
}

static void record_tile(struct recorder *recorder)
{
    const uint32_t tile = recorder->index % 32;
    const uint32_t from = recorder->index / 32 % 2;
    const uint64_t bytes = PATTERN_BUFFER_BYTES / 32;
    plain(recorder, part(recorder, from, tile * bytes, bytes), whole(recorder, 2 + tile),
          part(recorder, 2 + tile, 0, 256), part(recorder, 1 - from, tile * bytes, bytes));
}

static void record_tower(struct recorder *recorder)
{
    const uint32_t tower = recorder->index % 24;
    const uint32_t from = recorder->index / 24 % 2;
    plain(recorder, whole(recorder, 2 * tower + from), whole(recorder, 60), whole(recorder, 61),
          whole(recorder, 2 * tower + 1 - from));
    barrier_every(recorder, 24);
}

/** Buffer 0 holds the residual, 1 to 7 what comes between; the weights are those of the layer. */
static void record_layer(struct recorder *recorder)
{
    static const struct {
        uint8_t a, b, target;
        bool barrier;
    } steps[] = {
        {0, 0, 1, true},  {1, 1, 2, false}, {1, 1, 3, false}, {1, 1, 4, true},
        {2, 3, 5, true},  {5, 4, 6, true},  {6, 6, 7, true},  {7, 0, 8, true},
        {8, 8, 9, false}, {8, 8, 10, true}, {9, 10, 0, true},
    };
    const uint32_t layer = recorder->index / 11;
    const uint32_t step = recorder->index % 11;
    plain(recorder, whole(recorder, steps[step].a), whole(recorder, steps[step].b),
          part(recorder, 16 + layer % 40, step * 4096, 4096), whole(recorder, steps[step].target));
    if (steps[step].barrier)
        barrier(recorder);
}

static void record_biclique(struct recorder *recorder, bool writers_first)
{
    const uint64_t bytes = PATTERN_BUFFER_BYTES / 512;
    const uint32_t tile = recorder->index % 512;
    const bool writes = (recorder->index / 512 % 2 == 0) == writers_first;
    const struct segue_buffer_ref own = part(recorder, 1, tile * bytes, bytes);
    if (writes)
        plain(recorder, own, own, own, part(recorder, 0, tile * bytes, bytes));
    else
        plain(recorder, whole(recorder, 0), own, own, part(recorder, 2, tile * bytes, bytes));
    barrier_every(recorder, 512);
}

static void record_overlap(struct recorder *recorder)
{
    const uint64_t bytes = PATTERN_BUFFER_BYTES / 512;
    const uint32_t tile = recorder->index % 512;
    const struct segue_buffer_ref own = part(recorder, 1, tile * bytes, bytes);
    if (recorder->index / 512 % 2 == 0)
        plain(recorder, own, own, own, part(recorder, 0, tile * bytes, bytes));
    else
        plain(recorder, part(recorder, 0, tile * bytes / 2, PATTERN_BUFFER_BYTES / 2), own, own,
              part(recorder, 2, tile * bytes, bytes));
    barrier_every(recorder, 512);
}

static void record_split(struct recorder *recorder)
{
    // Each round of bits halves the parts of the one before.
    uint32_t reversed = 0;
    for (uint32_t i = 0; i < 20; i++)
        reversed |= (recorder->index >> i & 1) << (19 - i);
    const uint64_t offset = (uint64_t)reversed * 64;
    const struct segue_buffer_ref upper =
        part(recorder, HUGE_BUFFER, offset,
             PATTERN_HUGE_BYTES - offset < 4096 + (offset & 65535) ? PATTERN_HUGE_BYTES - offset
                                                                   : 4096 + (offset & 65535));
    const struct segue_buffer_ref own = part(recorder, 0, 0, 256);
    if (recorder->index % 16 == 15)
        plain(recorder, own, own, own, part(recorder, HUGE_BUFFER, offset, 32));
    else
        plain(recorder, upper, own, own, part(recorder, 1, recorder->index % 256 * 256, 256));
    barrier(recorder);
}

static struct segue_buffer_ref random_part(struct recorder *recorder, uint32_t max_bits)
{
    const uint64_t length = UINT64_C(1) << (4 + below(recorder, max_bits - 3));
    const uint64_t offset =
        (uint64_t)below(recorder, (uint32_t)((PATTERN_HUGE_BYTES - length) / 16 + 1)) * 16;
    return part(recorder, HUGE_BUFFER, offset, length);
}

static void record_random(struct recorder *recorder, uint32_t max_bits)
{
    const struct segue_buffer_ref own = part(recorder, 0, recorder->index % 64 * 1024, 1024);
    const struct segue_buffer_ref source = random_part(recorder, max_bits);
    plain(recorder, source, own, own, random_part(recorder, max_bits));
    barrier_every(recorder, 16);
}

static void record_opaque(struct recorder *recorder, uint32_t every, uint32_t width)
{
    const struct segue_buffer_ref own = part(recorder, 0, recorder->index % 64 * 1024, 1024);
    const struct segue_buffer_ref target = part(recorder, 1, recorder->index % 64 * 1024, 1024);
    dispatch(recorder,
             recorder->index % every == 0 ? recorder->world->opaque : recorder->world->plain, own,
             own, own, target);
    barrier_every(recorder, width);
}

static struct segue_buffer_ref slot(uint32_t slot, uint64_t offset_bytes, uint64_t length_bytes)
{
    return (struct segue_buffer_ref){
        .slot = slot,
        .offset_bytes = offset_bytes,
        .length_bytes = length_bytes,
    };
}

static void record_slots(struct recorder *recorder)
{
    const struct segue_buffer_ref own = part(recorder, below(recorder, 8), 0, 1024);
    const struct segue_buffer_ref source =
        slot(below(recorder, 8), 256 * below(recorder, 16), 1024);
    const struct segue_buffer_ref target =
        below(recorder, 2) == 0 ? slot(below(recorder, 8), 256 * below(recorder, 16), 512)
                                : part(recorder, below(recorder, 8), 0, 1024);
    plain(recorder, own, source, source, target);
    barrier_every(recorder, 4);
}

static void record_many_slots(struct recorder *recorder)
{
    const uint32_t from = recorder->index % PATTERN_SLOT_COUNT;
    const uint32_t to = (recorder->index + 256) % PATTERN_SLOT_COUNT;
    plain(recorder, slot(from, 0, 1024), slot(from, 1024, 1024), part(recorder, 0, 0, 64),
          slot(to, 2048 * (recorder->index / 512 % 2), 1024));
    barrier_every(recorder, 32);
}

static void memory_barrier(struct recorder *recorder)
{
    const struct segue_memory_barrier memory = {
        .source = SEGUE_ACCESS_MASK_DISPATCH_WRITE,
        .target = SEGUE_ACCESS_MASK_DISPATCH_READ | SEGUE_ACCESS_MASK_DISPATCH_WRITE,
    };
    const struct segue_barrier masked = {.memory_barriers = &memory, .memory_barrier_count = 1};
    if (recorder->status == SEGUE_OK)
        recorder->status = segue_cmd_barrier(recorder->command_buffer, &masked);
}

static void buffer_barrier(struct recorder *recorder, uint32_t buffer)
{
    const struct segue_buffer_barrier item = {
        .source = SEGUE_ACCESS_MASK_ALL,
        .target = SEGUE_ACCESS_MASK_ALL,
        .range = whole(recorder, buffer),
    };
    const struct segue_barrier ranged = {.buffer_barriers = &item, .buffer_barrier_count = 1};
    if (recorder->status == SEGUE_OK)
        recorder->status = segue_cmd_barrier(recorder->command_buffer, &ranged);
}

static void record_one(struct recorder *recorder, enum pattern pattern)
{
    switch (pattern) {
    case PATTERN_CHAIN:
        record_same(recorder, 1);
        break;
    case PATTERN_SCOPES:
        record_same(recorder, 8);
        break;
    case PATTERN_TILES:
        record_tile(recorder);
        barrier_every(recorder, 32);
        break;
    case PATTERN_TOWERS:
        record_tower(recorder);
        break;
    case PATTERN_LAYERS:
        record_layer(recorder);
        break;
    case PATTERN_READERS_WRITERS:
        record_biclique(recorder, false);
        break;
    case PATTERN_WRITERS_READERS:
        record_biclique(recorder, true);
        break;
    case PATTERN_OVERLAPS:
        record_overlap(recorder);
        break;
    case PATTERN_SPLITS:
        record_split(recorder);
        break;
    case PATTERN_RANDOM:
        record_random(recorder, 8);
        break;
    case PATTERN_RANDOM_SIZES:
        record_random(recorder, 25);
        break;
    case PATTERN_OPAQUE:
        record_opaque(recorder, 1, 1);
        break;
    case PATTERN_SOME_OPAQUE:
        record_opaque(recorder, 8, 4);
        break;
    case PATTERN_SLOTS:
        record_slots(recorder);
        break;
    case PATTERN_MANY_SLOTS:
        record_many_slots(recorder);
        break;
    case PATTERN_MASKED:
        plain(recorder, whole(recorder, 0), whole(recorder, 1), whole(recorder, 2),
              part(recorder, 3, recorder->index % 8 * 1024, 1024));
        if (recorder->index % 8 == 0)
            memory_barrier(recorder);
        break;
    default:
        record_tile(recorder);
        if (recorder->index % 32 == 0)
            buffer_barrier(recorder, recorder->index / 32 % 2);
        break;
    }
}

segue_status pattern_record(const struct pattern_world *world, enum pattern pattern, uint32_t count,
                            enum segue_execution_mode mode,
                            segue_command_buffer **out_command_buffer)
{
    const bool slots = pattern == PATTERN_SLOTS || pattern == PATTERN_MANY_SLOTS;
    const struct segue_command_buffer_params params = {
        .mode = mode,
        .slot_count = slots ? PATTERN_SLOT_COUNT : 0,
        .label = pattern_name(pattern),
    };
    struct recorder recorder = {.world = world, .random = 1};
    segue_status status =
        segue_command_buffer_create(world->device, &params, &recorder.command_buffer);
    if (status != SEGUE_OK)
        return status;
    recorder.status = segue_command_buffer_begin(recorder.command_buffer);
    while (recorder.index < count && recorder.status == SEGUE_OK)
        record_one(&recorder, pattern);
    if (recorder.status == SEGUE_OK)
        recorder.status = segue_command_buffer_end(recorder.command_buffer);
    if (recorder.status == SEGUE_OK)
        *out_command_buffer = recorder.command_buffer;
    else
        segue_command_buffer_destroy(recorder.command_buffer);
    return recorder.status;
}

/* ---- The world ------------------------------------------------------------------------------- */

static segue_status create_executable(segue_device *device, const char *ptx, size_t ptx_bytes,
                                      const char *name, uint32_t flags,
                                      segue_executable **out_executable)
{
    static const struct segue_parameter parameters[] = {
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_WRITE},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = PATTERN_CONSTANTS_BYTES},
    };
    const struct segue_entry_point entry = {
        .name = name,
        .parameters = parameters,
        .parameter_count = PATTERN_BINDINGS + 1,
        .block_size = {32, 1, 1},
        .flags = flags,
    };
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = ptx,
        .size_bytes = ptx_bytes,
        .entry_points = &entry,
        .entry_point_count = 1,
    };
    return segue_executable_create(device, &params, out_executable);
}

segue_status pattern_world_open(struct pattern_world *world, segue_device *device, const char *ptx,
                                size_t ptx_bytes, const char *name)
{
    memset(world, 0, sizeof *world);
    world->device = device;
    segue_status status = create_executable(device, ptx, ptx_bytes, name, 0, &world->plain);
    if (status == SEGUE_OK)
        status =
            create_executable(device, ptx, ptx_bytes, name, SEGUE_ENTRY_OPAQUE, &world->opaque);
    for (uint32_t i = 0; i < PATTERN_BUFFERS && status == SEGUE_OK; i++) {
        const struct segue_buffer_params params = {
            .size_bytes = i == HUGE_BUFFER ? PATTERN_HUGE_BYTES : PATTERN_BUFFER_BYTES,
        };
        status = segue_buffer_create(device, &params, &world->buffers[i]);
    }
    return status;
}

void pattern_world_close(struct pattern_world *world)
{
    for (uint32_t i = 0; i < PATTERN_BUFFERS; i++)
        segue_buffer_destroy(world->buffers[i]);
    segue_executable_destroy(world->plain);
    segue_executable_destroy(world->opaque);
    memset(world, 0, sizeof *world);
}
