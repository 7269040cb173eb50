// SPDX-License-Identifier: Apache-2.0
// Random programs, run as graph and as stream in several orders, must do what the serial
// interpreter does; with one needed barrier left out, somebody must notice.
//
// Environment: SEGUE_TEST_PROGRAMS (how many), SEGUE_TEST_FIRST_SEED, SEGUE_TEST_ORDERS (random
// orders a mode), SEGUE_TEST_DEVICE.
#include "play.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/** A device, its kernels, and expected contents. */
struct world {
    segue_device *device;
    const struct segue_soft_api *soft;
    segue_executable *kernels;
    uint32_t *expected[PROGRAM_BUFFERS];
};

static void open_world(struct world *world, enum segue_validation validation)
{
    memset(world, 0, sizeof(*world));
    const struct segue_device_params params = {.validation = validation};
    CHECK_OK(segue_device_open(segue_test_device_uri(), &params, &world->device));
    CHECK_OK(segue_test_kernels_create(world->device, &world->kernels));
    world->soft = segue_device_get_soft_api(world->device);
    if (world->soft)
        world->soft->reset_report();
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i) {
        world->expected[i] = malloc(program_buffer_words(i) * 4);
        assert_non_null(world->expected[i]);
    }
}

static void close_world(struct world *world)
{
    segue_executable_destroy(world->kernels);
    segue_device_destroy(world->device);
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i)
        free(world->expected[i]);
}

/** Once all worlds are closed. */
static void expect_nothing_left(const struct segue_soft_api *soft)
{
    if (!soft)
        return;
    struct segue_soft_report report;
    soft->get_report(&report);
    assert_int_equal(report.live_objects, 0);
    if (report.misuse_count)
        fail_msg("misuse: %s", report.first_misuse);
}

static void interpret(struct world *world, const struct program *program, uint32_t times)
{
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i)
        program_initial(program, i, world->expected[i]);
    for (uint32_t i = 0; i < times; ++i)
        program_interpret(program, world->expected);
}

/** Fails the test with everything that is needed to look into it. */
static void give_up(const struct program *program, const struct play_configuration *configuration,
                    const char *what)
{
    program_print(program);
    fail_msg("%s\n  seed %" PRIu64 ", %s mode, order seed %" PRIu64
             ", device %s\n  again: SEGUE_TEST_FIRST_SEED=%" PRIu64 " SEGUE_TEST_PROGRAMS=1",
             what, program->seed, configuration->mode == SEGUE_EXECUTION_GRAPH ? "graph" : "stream",
             configuration->order_seed, segue_test_device_uri(), program->seed);
}

static uint64_t hazards_of(const struct world *world)
{
    struct segue_soft_report report = {0};
    if (world->soft)
        world->soft->get_report(&report);
    return report.hazard_count;
}

static void run_configuration(struct world *world, const struct program *program,
                              const struct play_configuration *configuration)
{
    struct play play;
    bool equal = false;
    segue_status status = play_init(&play, world->device, world->kernels, program);
    if (status == SEGUE_OK)
        status = play_record(&play, program, configuration);
    if (status == SEGUE_OK)
        status = play_run(&play, program, 2);
    if (status == SEGUE_OK)
        status = play_compare(&play, world->expected, true, &equal);
    play_finish(&play);
    if (status != SEGUE_OK)
        give_up(program, configuration, segue_last_error()->message);
    if (!equal)
        give_up(program, configuration, "wrong result");
    if (hazards_of(world) != 0) {
        struct segue_soft_report report;
        world->soft->get_report(&report);
        give_up(program, configuration, report.first_hazard);
    }
}

static void same_as_serial(void **state)
{
    (void)state;
    uint64_t count = segue_test_environment_number("SEGUE_TEST_PROGRAMS", 60);
    uint64_t first = segue_test_environment_number("SEGUE_TEST_FIRST_SEED", 1);
    uint64_t orders = segue_test_environment_number("SEGUE_TEST_ORDERS", 2);
    static struct program program;
    struct world world;
    open_world(&world, SEGUE_VALIDATION_FULL);
    uint64_t runs = 0;
    uint64_t ops = 0;
    for (uint64_t seed = first; seed < first + count; ++seed) {
        program_generate(&program, seed, PROGRAM_ALL_BARRIERS);
        interpret(&world, &program, 2);
        ops += program.op_count;
        for (uint64_t order = 0; order <= orders; ++order) {
            for (int mode = SEGUE_EXECUTION_GRAPH; mode <= SEGUE_EXECUTION_STREAM; ++mode) {
                const struct play_configuration configuration = {(enum segue_execution_mode)mode,
                                                                 order ? seed * 1000 + order : 0};
                if (world.soft)
                    world.soft->set_seed(seed * 100 + order);
                run_configuration(&world, &program, &configuration);
                ++runs;
            }
        }
    }
    close_world(&world);
    expect_nothing_left(world.soft);
    print_message("%" PRIu64 " programs of %" PRIu64 " commands, %" PRIu64 " runs\n", count, ops,
                  runs);
}

/** Counts of mutated programs, and of those that each means noticed. */
struct detection {
    uint32_t mutated;
    uint32_t by_validation;
    uint32_t by_driver;
    uint32_t by_result;
};

/** Whether full validation refuses the program. */
static bool validation_refuses(struct world *world, const struct program *program)
{
    const struct play_configuration configuration = {SEGUE_EXECUTION_STREAM, 0};
    struct play play;
    segue_status status = play_init(&play, world->device, world->kernels, program);
    if (status == SEGUE_OK)
        status = play_record(&play, program, &configuration);
    if (status == SEGUE_OK)
        status = play_run(&play, program, 1);
    play_finish(&play);
    if (status != SEGUE_OK && status != SEGUE_HAZARD)
        give_up(program, &configuration, segue_last_error()->message);
    return status == SEGUE_HAZARD;
}

static void run_mutation(struct world *world, const struct program *program,
                         struct detection *detection)
{
    const struct play_configuration configuration = {SEGUE_EXECUTION_GRAPH, program->seed};
    struct play play;
    bool equal = false;
    world->soft->reset_report();
    segue_status status = play_init(&play, world->device, world->kernels, program);
    if (status == SEGUE_OK)
        status = play_record(&play, program, &configuration);
    if (status == SEGUE_OK)
        status = play_run(&play, program, 1);
    uint64_t hazards = hazards_of(world);
    world->soft->reset_report();
    if (status == SEGUE_OK)
        status = play_compare(&play, world->expected, false, &equal);
    play_finish(&play);
    if (status != SEGUE_OK)
        give_up(program, &configuration, segue_last_error()->message);
    detection->by_driver += hazards != 0;
    detection->by_result += !equal;
    if (hazards == 0)
        give_up(program, &configuration, "a missing barrier that the driver did not notice");
}

static void missing_barriers_are_noticed(void **state)
{
    (void)state;
    uint64_t count = segue_test_environment_number("SEGUE_TEST_PROGRAMS", 60) / 3 + 1;
    static struct program program;
    struct world checked;
    struct world unchecked;
    open_world(&checked, SEGUE_VALIDATION_FULL);
    open_world(&unchecked, SEGUE_VALIDATION_BASIC);
    if (!unchecked.soft) {
        close_world(&checked);
        close_world(&unchecked);
        skip();
    }
    struct detection detection = {0};
    for (uint64_t seed = 1; seed <= count; ++seed) {
        program_generate(&program, seed + 100000, PROGRAM_FULL_BARRIERS);
        interpret(&unchecked, &program, 1);
        for (uint32_t i = 0; i < program.op_count; ++i) {
            uint32_t first, second;
            if (program.ops[i].kind != OP_BARRIER)
                continue;
            program.ops[i].removed = true;
            if (program_find_hazard(&program, true, &first, &second)) {
                ++detection.mutated;
                if (!validation_refuses(&checked, &program))
                    give_up(&program, &(struct play_configuration){0},
                            "a missing barrier that validation did not notice");
                ++detection.by_validation;
                run_mutation(&unchecked, &program, &detection);
            }
            program.ops[i].removed = false;
        }
    }
    close_world(&checked);
    close_world(&unchecked);
    expect_nothing_left(unchecked.soft);
    print_message("%u barriers left out: validation noticed %u, the driver's check %u, a different "
                  "result %u\n",
                  (unsigned)detection.mutated, (unsigned)detection.by_validation,
                  (unsigned)detection.by_driver, (unsigned)detection.by_result);
    assert_true(detection.mutated >= count);
    assert_true(detection.by_result > 0);
}

/** The checker itself: programs are free of hazards by construction, also when checked whole. */
static void generator_makes_no_hazards(void **state)
{
    (void)state;
    static struct program program;
    for (uint64_t seed = 1; seed <= 300; ++seed) {
        uint32_t first, second;
        program_generate(&program, seed, seed % 3 ? PROGRAM_ALL_BARRIERS : PROGRAM_FULL_BARRIERS);
        assert_true(program.op_count <= PROGRAM_MAX_OPS);
        if (program_find_hazard(&program, false, &first, &second)) {
            program_print(&program);
            fail_msg("seed %" PRIu64 ": %u and %u conflict", seed, (unsigned)first,
                     (unsigned)second);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generator_makes_no_hazards),
        cmocka_unit_test(same_as_serial),
        cmocka_unit_test(missing_barriers_are_noticed),
    };
    int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    return cmocka_run_group_tests_name("random", tests, NULL, NULL) == 0 ? 0 : 1;
}
