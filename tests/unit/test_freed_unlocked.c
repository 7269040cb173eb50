// SPDX-License-Identifier: Apache-2.0
// What a submission gives up is freed when the submission lock has been given back: freeing memory
// or a graph may wait for the device, and then nobody could submit.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "test.h"

#include <stdlib.h>

#define WHOLE SEGUE_WHOLE_SIZE

/** What is freed while it is watched, and whether the submission lock was held then. */
struct watch {
    segue_device *device;
    const void *watched;
    uint32_t freed_count;
    uint32_t locked_count;
};

static void *watch_allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    (void)context;
    return segue_default_allocator.allocate(NULL, size_bytes, align_bytes);
}

static void watch_release(void *context, void *pointer, size_t size_bytes)
{
    struct watch *watch = context;
    if (pointer != NULL && pointer == watch->watched) {
        watch->freed_count++;
        watch->watched = NULL;
        if (pthread_mutex_trylock(&watch->device->submission_lock) == 0)
            pthread_mutex_unlock(&watch->device->submission_lock);
        else
            watch->locked_count++;
    }
    segue_default_allocator.release(NULL, pointer, size_bytes);
}

/** A device that is watched, and commands that fill each of two slots or stage data for it. */
struct world {
    struct watch watch;
    struct segue_allocator allocator;
    segue_queue *queue;
    segue_command_buffer *commands;
    segue_semaphore *start;
    uint64_t started;
    segue_buffer *buffers[4];
};

static void open_world(struct world *world, enum segue_execution_mode mode, bool with_data)
{
    *world = (struct world){.allocator = {watch_allocate, watch_release, &world->watch}};
    const struct segue_device_params params = {.allocator = &world->allocator};
    const struct segue_command_buffer_params two_slots = {.mode = mode, .slot_count = 2};
    const struct segue_buffer_params small = {.size_bytes = 64};
    CHECK_OK(segue_device_open("soft://", &params, &world->watch.device));
    CHECK_OK(segue_queue_create(world->watch.device, NULL, &world->queue));
    CHECK_OK(segue_semaphore_create(world->watch.device, 0, &world->start));
    for (uint32_t i = 0; i < 4; i++)
        CHECK_OK(segue_buffer_create(world->watch.device, &small, &world->buffers[i]));
    CHECK_OK(segue_command_buffer_create(world->watch.device, &two_slots, &world->commands));
    CHECK_OK(segue_command_buffer_begin(world->commands));
    for (uint32_t slot = 0; slot < 2; slot++) {
        CHECK_OK(segue_cmd_fill(world->commands, segue_test_slot(slot, 0, WHOLE), slot, 4));
        if (with_data)
            CHECK_OK(segue_cmd_update(world->commands, segue_test_slot(slot, 0, 4), "data"));
    }
    CHECK_OK(segue_command_buffer_end(world->commands));
}

static void close_world(struct world *world)
{
    segue_semaphore_destroy(world->start);
    segue_command_buffer_destroy(world->commands);
    for (uint32_t i = 0; i < 4; i++)
        segue_buffer_destroy(world->buffers[i]);
    segue_queue_destroy(world->queue);
    segue_device_destroy(world->watch.device);
}

/** Submits with two buffers; `wait` may be NULL. */
static void submit(struct world *world, uint32_t first, uint32_t second,
                   const struct segue_semaphore_value *wait)
{
    const struct segue_buffer_ref table[] = {segue_test_whole(world->buffers[first]),
                                             segue_test_whole(world->buffers[second])};
    const struct segue_execution execution = {
        .command_buffer = world->commands, .bindings = table, .binding_count = 2};
    CHECK_OK(segue_queue_submit(world->queue, &(struct segue_submission){.waits = wait,
                                                                         .wait_count = wait != NULL,
                                                                         .executions = &execution,
                                                                         .execution_count = 1}));
}

/** Two that wait are two programs; the next submission after them gives one of them up. */
static void run_two_at_once(struct world *world, uint32_t first, uint32_t second)
{
    const struct segue_semaphore_value wait = {world->start, ++world->started};
    submit(world, first, 1, &wait);
    submit(world, second, 1, &wait);
    CHECK_OK(segue_semaphore_signal(world->start, wait.value));
    CHECK_OK(segue_queue_wait_idle(world->queue));
}

static void destroy_buffer(struct world *world, uint32_t index)
{
    segue_buffer_destroy(world->buffers[index]);
    world->watch.watched = world->buffers[index];
    world->buffers[index] = NULL;
}

static void expect_freed(const struct world *world, uint32_t count)
{
    assert_int_equal(world->watch.freed_count, count);
    assert_int_equal(world->watch.locked_count, 0);
}

/** What only an old table kept alive. */
static void buffers_of_old_tables(void **state)
{
    struct world world;
    (void)state;
    open_world(&world, SEGUE_EXECUTION_AUTO, false);
    // The buffers of the first table are only the program's then; another table takes their place.
    submit(&world, 0, 1, NULL);
    CHECK_OK(segue_queue_wait_idle(world.queue));
    destroy_buffer(&world, 0);
    submit(&world, 2, 1, NULL);
    expect_freed(&world, 1);
    CHECK_OK(segue_queue_wait_idle(world.queue));
    run_two_at_once(&world, 2, 3);
    destroy_buffer(&world, 2);
    submit(&world, 3, 1, NULL);
    expect_freed(&world, 2);
    CHECK_OK(segue_queue_wait_idle(world.queue));
    close_world(&world);
}

/** Has one of two programs given up, and with it `watched`. */
static void expect_freed_with(struct world *world, const void *watched)
{
    assert_non_null(watched);
    world->watch.watched = watched;
    submit(world, 3, 1, NULL);
    expect_freed(world, 1);
    CHECK_OK(segue_queue_wait_idle(world->queue));
}

/** The program that the next submission gives up. */
static const struct segue_backend_program *next_to_go(const struct world *world)
{
    assert_non_null(world->commands->program->next);
    return world->commands->program->next->backend;
}

static struct segue_cache_stats stats_of(const struct world *world)
{
    struct segue_cache_stats stats;
    segue_device_get_cache_stats(world->watch.device, &stats);
    return stats;
}

/** Leaves no graph that is not in flight, so that one is freed with its program. */
static void graphs_beyond_the_budget(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct world world;
        open_world(&world, SEGUE_EXECUTION_GRAPH, true);
        segue_device_set_cache_budget(world.watch.device, &(struct segue_cache_budget){0});
        run_two_at_once(&world, 2, 3);
        assert_int_equal(stats_of(&world).graphs, 2);
        const struct segue_backend_program *program = next_to_go(&world);
        expect_freed_with(&world,
                          i == 0 ? (const void *)program : segue_cuda_program_exec(program));
        assert_int_equal(stats_of(&world).graphs, 1);
        assert_int_equal(stats_of(&world).idle_graphs, 0);
        assert_int_equal(stats_of(&world).evictions, 1);
        close_world(&world);
    }
}

/** The program of a stream, with its staging block. */
static void streams(void **state)
{
    struct world world;
    (void)state;
    open_world(&world, SEGUE_EXECUTION_STREAM, true);
    run_two_at_once(&world, 2, 3);
    expect_freed_with(&world, next_to_go(&world));
    close_world(&world);
}

/** A graph that one table of a submission has no use for any more is there for the next table of
 *  the same submission, beyond the budget or not. */
static void graphs_are_left_to_the_next_table(void **state)
{
    (void)state;
    for (uint32_t max_graphs = 0; max_graphs < 2; max_graphs++) {
        struct world world;
        open_world(&world, SEGUE_EXECUTION_GRAPH, true);
        segue_device_set_cache_budget(
            world.watch.device,
            &(struct segue_cache_budget){.max_bytes = UINT64_MAX, .max_graphs = max_graphs});
        run_two_at_once(&world, 2, 3);
        const struct segue_buffer_ref tables[2][2] = {
            {segue_test_whole(world.buffers[3]), segue_test_whole(world.buffers[1])},
            {segue_test_whole(world.buffers[0]), segue_test_whole(world.buffers[1])}};
        const struct segue_execution executions[] = {
            {.command_buffer = world.commands, .bindings = tables[0], .binding_count = 2},
            {.command_buffer = world.commands, .bindings = tables[1], .binding_count = 2},
        };
        CHECK_OK(segue_queue_submit(world.queue, &(struct segue_submission){
                                                     .executions = executions,
                                                     .execution_count = 2,
                                                 }));
        assert_int_equal(stats_of(&world).graphs, 2);
        assert_int_equal(stats_of(&world).rebinds, 1);
        assert_int_equal(stats_of(&world).evictions, 0);
        CHECK_OK(segue_queue_wait_idle(world.queue));
        close_world(&world);
    }
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_of_old_tables),
        cmocka_unit_test(graphs_beyond_the_budget),
        cmocka_unit_test(streams),
        cmocka_unit_test(graphs_are_left_to_the_next_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
