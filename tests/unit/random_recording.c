// SPDX-License-Identifier: Apache-2.0
#include "random_recording.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define GRID_BYTES 16
#define ACCESS_WRITES (SEGUE_ACCESS_MASK_TRANSFER_WRITE | SEGUE_ACCESS_MASK_DISPATCH_WRITE)

uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * UINT64_C(0x2545F4914F6CDD1D);
}

uint32_t random_below(uint64_t *state, uint32_t bound)
{
    return (uint32_t)((random_next(state) >> 32) % bound);
}

/* ---- The world ------------------------------------------------------------------------------- */

static const struct segue_parameter parameters[] = {
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_WRITE},
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ_WRITE},
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_CONSTANT},
    {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
};

static const struct segue_entry_point entry_points[] = {
    {.name = "nothing", .block_size = {1, 1, 1}},
    {.name = "read", .parameters = parameters, .parameter_count = 1, .block_size = {1, 1, 1}},
    {.name = "write", .parameters = parameters + 1, .parameter_count = 1, .block_size = {1, 1, 1}},
    {.name = "update", .parameters = parameters + 2, .parameter_count = 1, .block_size = {1, 1, 1}},
    {.name = "map", .parameters = parameters, .parameter_count = 2, .block_size = {1, 1, 1}},
    {.name = "gather", .parameters = parameters, .parameter_count = 3, .block_size = {1, 1, 1}},
    {.name = "opaque",
     .parameters = parameters,
     .parameter_count = 1,
     .block_size = {1, 1, 1},
     .flags = SEGUE_ENTRY_OPAQUE},
    {.name = "lookup", .parameters = parameters + 3, .parameter_count = 2, .block_size = {1, 1, 1}},
};
#define ENTRY_OPAQUE 6
#define ENTRY_LOOKUP 7

void random_world_open(struct random_world *world)
{
    memset(world, 0, sizeof *world);
    null_allocator_init(&world->allocator);
    const struct segue_device_params params = {.allocator = &world->allocator.allocator};
    world->device = null_device_open(&params);
    for (int i = 0; i < RANDOM_MEMORIES; i++) {
        const struct segue_buffer_params buffer = {.size_bytes = RANDOM_MEMORY_BYTES,
                                                   .label = "memory"};
        assert_int_equal(segue_buffer_create(world->device, &buffer, &world->buffers[i]), SEGUE_OK);
        assert_int_equal(segue_buffer_create_view(world->buffers[i], RANDOM_MEMORY_BYTES / 2,
                                                  RANDOM_MEMORY_BYTES / 2, "view",
                                                  &world->views[i]),
                         SEGUE_OK);
    }
    const struct segue_executable_params executable = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = "none",
        .size_bytes = 4,
        .entry_points = entry_points,
        .entry_point_count = sizeof entry_points / sizeof entry_points[0],
    };
    assert_int_equal(segue_executable_create(world->device, &executable, &world->executable),
                     SEGUE_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(segue_event_create(world->device, &world->events[i]), SEGUE_OK);
}

void random_world_close(struct random_world *world)
{
    for (int i = 0; i < RANDOM_MEMORIES; i++) {
        segue_buffer_destroy(world->views[i]);
        segue_buffer_destroy(world->buffers[i]);
    }
    segue_executable_destroy(world->executable);
    for (int i = 0; i < 2; i++)
        segue_event_destroy(world->events[i]);
    segue_device_destroy(world->device);
    assert_int_equal(world->allocator.live, 0);
    assert_int_equal(world->allocator.wrong_sizes, 0);
    assert_int_equal(null_world.backends, 0);
}

/* ---- Recording ------------------------------------------------------------------------------- */

struct recorder {
    struct random_world *world;
    struct random_recording *recording;
    const struct random_shape *shape;
    uint64_t state;
    /** Shape `disjoint`: the next unused range. */
    uint64_t next_free;
};

/** Whether a range of a slot may go to its end: not where the length must be known. */
enum slot_use { SIZED_SLOTS, WHOLE_SLOTS };

/** A range in memory, directly or through a view, or of a slot. */
static struct segue_buffer_ref random_ref(struct recorder *recorder, uint64_t length_bytes,
                                          enum slot_use slots, struct model_range *out_model)
{
    uint64_t *state = &recorder->state;
    if (recorder->shape->slots && random_below(state, 3) == 0) {
        struct segue_buffer_ref ref = {
            .slot = random_below(state, RANDOM_SLOTS),
            .offset_bytes = GRID_BYTES * random_below(state, 12),
            .length_bytes = length_bytes,
        };
        *out_model = (struct model_range){
            .memory = -1,
            .slot = ref.slot,
            .begin = ref.offset_bytes,
            .end = ref.offset_bytes + length_bytes,
        };
        if (slots == WHOLE_SLOTS && random_below(state, 4) == 0) {
            ref.length_bytes = SEGUE_WHOLE_SIZE;
            out_model->end = UINT64_MAX;
        }
        return ref;
    }
    uint32_t memory = random_below(state, RANDOM_MEMORIES);
    uint64_t begin =
        GRID_BYTES *
        random_below(state, (uint32_t)((RANDOM_MEMORY_BYTES - length_bytes) / GRID_BYTES));
    if (recorder->shape->disjoint) {
        memory = (uint32_t)(recorder->next_free / RANDOM_MEMORY_BYTES) % RANDOM_MEMORIES;
        begin = recorder->next_free % RANDOM_MEMORY_BYTES;
        recorder->next_free += GRID_BYTES;
    }
    *out_model = (struct model_range){
        .memory = (int)memory,
        .begin = begin,
        .end = begin + length_bytes,
    };
    bool in_view = begin >= RANDOM_MEMORY_BYTES / 2 && random_below(state, 2) == 0;
    return (struct segue_buffer_ref){
        .buffer = in_view ? recorder->world->views[memory] : recorder->world->buffers[memory],
        .offset_bytes = begin - (in_view ? RANDOM_MEMORY_BYTES / 2 : 0),
        .length_bytes = length_bytes,
    };
}

static uint64_t random_length(struct recorder *recorder)
{
    return GRID_BYTES * (recorder->shape->disjoint ? 1 : 1 + random_below(&recorder->state, 4));
}

static struct model_item *add_item(struct recorder *recorder, enum model_kind kind)
{
    struct random_recording *recording = recorder->recording;
    assert_true(recording->item_count < RANDOM_MAX_ITEMS);
    struct model_item *item = &recording->items[recording->item_count++];
    *item = (struct model_item){.kind = kind};
    if (kind == MODEL_WORK) {
        item->work = recording->work_count;
        recording->indices[recording->work_count++] =
            recording->command_buffer->recording->command_count;
    }
    return item;
}

static void add_access(struct model_item *item, struct model_range range, uint32_t mask,
                       bool constant)
{
    item->accesses[item->access_count++] =
        (struct model_access){.range = range, .mask = mask, .constant = constant};
}

static void record_transfer(struct recorder *recorder, bool copy)
{
    segue_command_buffer *command_buffer = recorder->recording->command_buffer;
    uint64_t length = random_length(recorder);
    struct model_range range;
    bool fill = !copy && random_below(&recorder->state, 2) == 0;
    struct segue_buffer_ref target =
        random_ref(recorder, length, fill ? WHOLE_SLOTS : SIZED_SLOTS, &range);
    struct model_item *item = add_item(recorder, MODEL_WORK);
    add_access(item, range, SEGUE_ACCESS_MASK_TRANSFER_WRITE, false);
    static const unsigned char data[RANDOM_MEMORY_BYTES];
    if (!copy) {
        if (fill)
            assert_int_equal(segue_cmd_fill(command_buffer, target, 7, 1), SEGUE_OK);
        else
            assert_int_equal(segue_cmd_update(command_buffer, target, data), SEGUE_OK);
        return;
    }
    struct model_range source_range;
    struct segue_buffer_ref source;
    do {
        source = random_ref(recorder, length, SIZED_SLOTS, &source_range);
    } while (source_range.memory == range.memory);
    add_access(item, source_range, SEGUE_ACCESS_MASK_TRANSFER_READ, false);
    assert_int_equal(segue_cmd_copy(command_buffer, source, target), SEGUE_OK);
}

static void record_dispatch(struct recorder *recorder)
{
    // Lookups have a constant binding; few, or nearly every recording has a hazard.
    uint32_t entry = random_below(&recorder->state, ENTRY_LOOKUP);
    if (random_below(&recorder->state, 40) == 0)
        entry = ENTRY_LOOKUP;
    const struct segue_entry_point *declared = &entry_points[entry];
    struct model_item *item = add_item(recorder, MODEL_WORK);
    item->opaque = entry == ENTRY_OPAQUE;
    struct segue_buffer_ref bindings[3];
    for (uint32_t i = 0; i < declared->parameter_count; i++) {
        struct model_range range;
        bindings[i] = random_ref(recorder, random_length(recorder), WHOLE_SLOTS, &range);
        enum segue_access access = declared->parameters[i].access;
        uint32_t mask = access == SEGUE_ACCESS_WRITE ? SEGUE_ACCESS_MASK_DISPATCH_WRITE
                        : access == SEGUE_ACCESS_READ_WRITE
                            ? SEGUE_ACCESS_MASK_DISPATCH_READ | SEGUE_ACCESS_MASK_DISPATCH_WRITE
                            : SEGUE_ACCESS_MASK_DISPATCH_READ;
        add_access(item, range, mask, access == SEGUE_ACCESS_CONSTANT);
    }
    const struct segue_dispatch dispatch = {
        .executable = recorder->world->executable,
        .entry_point = entry,
        .grid = {1, 1, 1},
        .bindings = bindings,
        .binding_count = declared->parameter_count,
    };
    assert_int_equal(segue_cmd_dispatch(recorder->recording->command_buffer, &dispatch), SEGUE_OK);
}

static uint32_t random_mask(struct recorder *recorder)
{
    return random_below(&recorder->state, 4) == 0 ? (uint32_t)SEGUE_ACCESS_MASK_ALL
                                                  : 1 + random_below(&recorder->state, 15);
}

/** An execution barrier, said in one of three ways. */
static void record_full(struct recorder *recorder)
{
    const struct segue_memory_barrier memory = {.source = SEGUE_ACCESS_MASK_TRANSFER_READ,
                                                .target = SEGUE_ACCESS_MASK_TRANSFER_READ};
    uint32_t way = random_below(&recorder->state, 3);
    const struct segue_barrier barrier = {
        .flags = way == 0 ? SEGUE_BARRIER_EXECUTION : 0,
        .memory_barriers = &memory,
        .memory_barrier_count = way == 0,
    };
    add_item(recorder, MODEL_FULL);
    assert_int_equal(
        segue_cmd_barrier(recorder->recording->command_buffer, way == 2 ? NULL : &barrier),
        SEGUE_OK);
}

static void record_partial(struct recorder *recorder)
{
    struct segue_memory_barrier memory[2];
    struct segue_buffer_barrier buffer[2];
    struct segue_barrier barrier = {.memory_barriers = memory, .buffer_barriers = buffer};
    uint32_t count = 1 + random_below(&recorder->state, 2);
    for (uint32_t i = 0; i < count; i++) {
        struct model_item *item = add_item(recorder, MODEL_PARTIAL);
        recorder->recording->partial_count++;
        item->source = random_mask(recorder);
        item->target = random_mask(recorder);
        item->has_range = random_below(&recorder->state, 2) == 0;
        if (item->has_range) {
            struct segue_buffer_ref ref =
                random_ref(recorder, random_length(recorder), WHOLE_SLOTS, &item->range);
            buffer[barrier.buffer_barrier_count++] = (struct segue_buffer_barrier){
                .source = item->source, .target = item->target, .range = ref};
        } else {
            memory[barrier.memory_barrier_count++] =
                (struct segue_memory_barrier){.source = item->source, .target = item->target};
        }
    }
    assert_int_equal(segue_cmd_barrier(recorder->recording->command_buffer, &barrier), SEGUE_OK);
}

static void record_event(struct recorder *recorder)
{
    segue_command_buffer *command_buffer = recorder->recording->command_buffer;
    uint32_t kind = random_below(&recorder->state, 8);
    uint32_t event = random_below(&recorder->state, 2);
    segue_event *handle = recorder->world->events[event];
    struct model_item *item = add_item(recorder, kind < 3   ? MODEL_SIGNAL
                                                 : kind < 7 ? MODEL_WAIT
                                                            : MODEL_RESET);
    item->event = event;
    recorder->recording->partial_count += item->kind == MODEL_WAIT;
    segue_status status = kind < 3   ? segue_cmd_signal_event(command_buffer, handle)
                          : kind < 7 ? segue_cmd_wait_event(command_buffer, handle)
                                     : segue_cmd_reset_event(command_buffer, handle);
    assert_int_equal(status, SEGUE_OK);
}

static void record_item(struct recorder *recorder)
{
    const struct random_shape *shape = recorder->shape;
    uint32_t dice = random_below(&recorder->state, 100);
    if (dice < shape->full) {
        record_full(recorder);
    } else if (dice < shape->full + shape->partial) {
        record_partial(recorder);
    } else if (dice < shape->full + shape->partial + shape->event) {
        record_event(recorder);
    } else if (dice % 2 == 0) {
        record_dispatch(recorder);
    } else {
        record_transfer(recorder, random_below(&recorder->state, 2) == 0);
    }
}

void random_recording_create(struct random_world *world, uint64_t seed,
                             const struct random_shape *shape, struct random_recording *recording)
{
    *recording = (struct random_recording){0};
    struct recorder recorder = {
        .world = world,
        .recording = recording,
        .shape = shape,
        .state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1,
    };
    for (int i = 0; i < 4; i++)
        random_next(&recorder.state);
    const struct segue_command_buffer_params params = {
        .mode = SEGUE_EXECUTION_GRAPH,
        .slot_count = shape->slots ? RANDOM_SLOTS : 0,
        .label = "random",
    };
    assert_int_equal(
        segue_command_buffer_create(world->device, &params, &recording->command_buffer), SEGUE_OK);
    assert_int_equal(segue_command_buffer_begin(recording->command_buffer), SEGUE_OK);
    for (uint32_t i = 0; i < shape->items; i++)
        record_item(&recorder);
    assert_int_equal(segue_command_buffer_end(recording->command_buffer), SEGUE_OK);
}

void random_recording_destroy(struct random_recording *recording)
{
    segue_command_buffer_destroy(recording->command_buffer);
}

uint32_t random_recording_work(const struct random_recording *recording, uint32_t index)
{
    for (uint32_t i = 0; i < recording->work_count; i++) {
        if (recording->indices[i] == index)
            return i;
    }
    fail_msg("no work has segment index %u", index);
    return 0;
}

/* ---- The oracle ------------------------------------------------------------------------------ */

/** As barriers see it: a slot may stand for anything but another part of itself. */
static bool may_overlap(const struct model_range *a, const struct model_range *b)
{
    bool disjoint = a->end <= b->begin || b->end <= a->begin;
    if (a->memory < 0 && b->memory < 0)
        return a->slot != b->slot || !disjoint;
    if (a->memory < 0 || b->memory < 0)
        return true;
    return a->memory == b->memory && !disjoint;
}

static bool item_matches(const struct model_item *work, uint32_t mask,
                         const struct model_item *item)
{
    if (!item->has_range && mask == SEGUE_ACCESS_MASK_ALL)
        return true;
    if (work->opaque)
        return true;
    for (uint32_t i = 0; i < work->access_count; i++) {
        const struct model_access *access = &work->accesses[i];
        if ((access->mask & mask) != 0 &&
            (!item->has_range || may_overlap(&access->range, &item->range)))
            return true;
    }
    return false;
}

/** Where the signal that a wait waits for was recorded; -1 if in another recording. */
static int find_signal(const struct random_recording *recording, uint32_t wait)
{
    int signal = -1;
    for (uint32_t i = 0; i < wait; i++) {
        const struct model_item *item = &recording->items[i];
        if (item->event != recording->items[wait].event)
            continue;
        if (item->kind == MODEL_SIGNAL)
            signal = (int)i;
        else if (item->kind == MODEL_RESET)
            signal = -1;
    }
    return signal;
}

/** What one barrier or wait orders. */
static void apply(const struct random_recording *recording, uint32_t position,
                  struct order_matrix *order)
{
    const struct model_item *item = &recording->items[position];
    uint32_t before = position;
    if (item->kind == MODEL_WAIT) {
        int signal = find_signal(recording, position);
        if (signal < 0)
            return;
        before = (uint32_t)signal;
    } else if (item->kind != MODEL_FULL && item->kind != MODEL_PARTIAL) {
        return;
    }
    bool partial = item->kind == MODEL_PARTIAL;
    for (uint32_t i = 0; i < before; i++) {
        const struct model_item *a = &recording->items[i];
        if (a->kind != MODEL_WORK || (partial && !item_matches(a, item->source, item)))
            continue;
        for (uint32_t k = position + 1; k < recording->item_count; k++) {
            const struct model_item *b = &recording->items[k];
            if (b->kind == MODEL_WORK && (!partial || item_matches(b, item->target, item)))
                order->ordered[a->work][b->work] = true;
        }
    }
}

void oracle_order(const struct random_recording *recording, struct order_matrix *out_order)
{
    memset(out_order, 0, sizeof *out_order);
    for (uint32_t i = 0; i < recording->item_count; i++)
        apply(recording, i, out_order);
    uint32_t count = recording->work_count;
    for (uint32_t via = 0; via < count; via++) {
        for (uint32_t a = 0; a < count; a++) {
            for (uint32_t b = 0; b < count && out_order->ordered[a][via]; b++)
                out_order->ordered[a][b] |= out_order->ordered[via][b];
        }
    }
}

void oracle_reduce(const struct order_matrix *order, uint32_t count,
                   struct order_matrix *out_reduced)
{
    *out_reduced = *order;
    for (uint32_t a = 0; a < count; a++) {
        for (uint32_t b = 0; b < count; b++) {
            for (uint32_t via = 0; via < count; via++)
                out_reduced->ordered[a][b] &= !(order->ordered[a][via] && order->ordered[via][b]);
        }
    }
}

/** As hazards see it, without a table: slots meet only themselves. */
static bool overlaps(const struct model_range *a, const struct model_range *b)
{
    if (a->memory != b->memory || (a->memory < 0 && a->slot != b->slot))
        return false;
    return a->begin < b->end && b->begin < a->end;
}

static bool works_conflict(const struct model_item *a, const struct model_item *b, bool ordered)
{
    for (uint32_t i = 0; i < a->access_count; i++) {
        for (uint32_t k = 0; k < b->access_count; k++) {
            const struct model_access *x = &a->accesses[i];
            const struct model_access *y = &b->accesses[k];
            bool x_writes = (x->mask & ACCESS_WRITES) != 0;
            bool y_writes = (y->mask & ACCESS_WRITES) != 0;
            bool constant = (x->constant && y_writes) || (y->constant && x_writes);
            bool race = !ordered && a != b && (x_writes || y_writes);
            if ((constant || race) && overlaps(&x->range, &y->range))
                return true;
        }
    }
    return false;
}

bool oracle_has_hazard(const struct random_recording *recording)
{
    struct order_matrix order;
    oracle_order(recording, &order);
    for (uint32_t i = 0; i < recording->item_count; i++) {
        const struct model_item *a = &recording->items[i];
        for (uint32_t k = i; k < recording->item_count && a->kind == MODEL_WORK; k++) {
            const struct model_item *b = &recording->items[k];
            if (b->kind == MODEL_WORK && works_conflict(a, b, order.ordered[a->work][b->work]))
                return true;
        }
    }
    return false;
}
