// SPDX-License-Identifier: Apache-2.0
// Random programs, run as graph and as stream in several orders, must do what the serial
// interpreter does; with one needed barrier left out, somebody must notice.
//
// usage: segue_random [programs]
// Environment: SEGUE_TEST_PROGRAMS (how many), SEGUE_TEST_FIRST_SEED, SEGUE_TEST_ORDERS (random
// orders a mode), SEGUE_TEST_DEVICE, SEGUE_TEST_FAILURES (where traces of failures go; default: the
// working folder).
#include "save.h"
#include "shrink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/** Programs, unless the environment says otherwise. */
static uint64_t default_count = 500;

/** Shrinks a program that failed, writes it as a trace into SEGUE_TEST_FAILURES, and fails the test
 *  with everything that is needed to look into it. */
static void give_up(struct world *world, struct program *program,
                    const struct play_configuration *configuration, uint64_t driver_seed,
                    uint32_t times, const char *what)
{
    char path[512];
    const char *folder = getenv("SEGUE_TEST_FAILURES");
    uint32_t op_count = program->op_count;
    static struct world_attempt attempt;
    attempt = (struct world_attempt){
        .world = world,
        .configuration = *configuration,
        .driver_seed = driver_seed,
        .times = times,
    };
    if (!world_attempt_fails(&attempt, program))
        fail_msg("seed %" PRIu64 " failed once, but not when it was run again: %s", program->seed,
                 what);
    uint32_t tried = program_shrink(program, world_attempt_fails, &attempt);
    program_print(program);
    (void)snprintf(path, sizeof(path), "%s/random-%" PRIu64 ".json", folder ? folder : ".",
                   program->seed);
    // Recording must not refuse what shows a fault of the validation itself; and the other tests
    // count what is left.
    world_close(world);
    world_open(world, SEGUE_VALIDATION_BASIC, NULL);
    segue_status status = program_save(world, program, path);
    world_close(world);
    fail_msg("%s\n  seed %" PRIu64 ", %s mode, order seed %" PRIu64 ", driver seed %" PRIu64
             ", device %s\n  shrunk from %u to %u commands in %u attempts: %s\n  %s%s\n"
             "  again: SEGUE_TEST_FIRST_SEED=%" PRIu64 " SEGUE_TEST_PROGRAMS=1",
             what, program->seed, configuration->mode == SEGUE_EXECUTION_GRAPH ? "graph" : "stream",
             configuration->order_seed, driver_seed, segue_test_device_uri(), (unsigned)op_count,
             (unsigned)program->op_count, (unsigned)tried, attempt.verdict.text,
             status == SEGUE_OK ? "segue-replay check --kernels libsegue_random_kernels.so " : "",
             status == SEGUE_OK ? path : segue_last_error()->message, program->seed);
}

/** Most programs use everything; some are made for joins, and some for slots. */
static enum program_style style_of(uint64_t seed)
{
    return seed % 8 == 0   ? PROGRAM_WIDE
           : seed % 8 == 1 ? PROGRAM_OVERLAPPING_SLOTS
                           : PROGRAM_ALL_BARRIERS;
}

static void same_as_serial(void **state)
{
    (void)state;
    uint64_t count = segue_test_environment_number("SEGUE_TEST_PROGRAMS", default_count);
    uint64_t first = segue_test_environment_number("SEGUE_TEST_FIRST_SEED", 1);
    uint64_t orders = segue_test_environment_number("SEGUE_TEST_ORDERS", 2);
    static struct program program;
    struct world world;
    world_open(&world, SEGUE_VALIDATION_FULL, NULL);
    uint64_t runs = 0;
    uint64_t ops = 0;
    for (uint64_t seed = first; seed < first + count; ++seed) {
        program_generate(&program, seed, style_of(seed));
        ops += program.op_count;
        world_interpret(&world, &program, 0, 2);
        for (uint64_t order = 0; order <= orders; ++order) {
            for (int mode = SEGUE_EXECUTION_GRAPH; mode <= SEGUE_EXECUTION_STREAM; ++mode) {
                const struct play_configuration configuration = {(enum segue_execution_mode)mode,
                                                                 order ? seed * 1000 + order : 0};
                struct world_verdict verdict;
                uint64_t driver_seed = seed * 100 + order;
                world_run(&world, &program, &configuration, driver_seed, 2, &verdict);
                if (verdict.failed)
                    give_up(&world, &program, &configuration, driver_seed, 2, verdict.text);
                ++runs;
            }
        }
    }
    world_close(&world);
    world_expect_nothing_left(world.soft);
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

static void unnoticed(const struct program *program, const char *who)
{
    program_print(program);
    fail_msg("a missing barrier that %s did not notice: %s", who, segue_last_error()->message);
}

/** Whether full validation refuses the program. */
static bool validation_refuses(struct world *world, const struct program *program)
{
    const struct play_configuration configuration = {SEGUE_EXECUTION_STREAM, 0};
    struct play play;
    segue_status status = play_init(&play, world->device, world->kernels);
    if (status == SEGUE_OK)
        status = play_record(&play, program, &configuration);
    if (status == SEGUE_OK)
        status = play_run(&play, program, 0, 1);
    play_finish(&play);
    return status == SEGUE_HAZARD;
}

static void run_without_barrier(struct world *world, const struct program *program,
                                struct detection *detection)
{
    const struct play_configuration configuration = {SEGUE_EXECUTION_GRAPH, program->seed};
    struct world_verdict verdict;
    world_run(world, program, &configuration, program->seed, 1, &verdict);
    bool noticed = world_hazards(world) != 0;
    detection->by_driver += noticed;
    detection->by_result += verdict.failed && strncmp(verdict.text, "hazard", 6) != 0;
    if (!noticed)
        unnoticed(program, "the driver");
}

static void missing_barriers_are_noticed(void **state)
{
    (void)state;
    uint64_t count = segue_test_environment_number("SEGUE_TEST_PROGRAMS", default_count) / 20 + 10;
    static struct program program;
    struct world checked;
    struct world unchecked;
    world_open(&checked, SEGUE_VALIDATION_FULL, NULL);
    world_open(&unchecked, SEGUE_VALIDATION_BASIC, NULL);
    if (!unchecked.soft) {
        world_close(&checked);
        world_close(&unchecked);
        skip();
    }
    struct detection detection = {0};
    for (uint64_t seed = 1; seed <= count; ++seed) {
        program_generate(&program, seed + 100000, PROGRAM_FULL_BARRIERS);
        world_interpret(&unchecked, &program, 0, 1);
        for (uint32_t i = 0; i < program.op_count; ++i) {
            uint32_t first, second;
            if (program.ops[i].kind != OP_BARRIER)
                continue;
            program.ops[i].removed = true;
            if (program_find_hazard(&program, true, &first, &second)) {
                ++detection.mutated;
                if (!validation_refuses(&checked, &program))
                    unnoticed(&program, "validation");
                ++detection.by_validation;
                run_without_barrier(&unchecked, &program, &detection);
            }
            program.ops[i].removed = false;
        }
    }
    world_close(&checked);
    world_close(&unchecked);
    world_expect_nothing_left(unchecked.soft);
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
        program_generate(&program, seed, (enum program_style)(seed % 4));
        assert_true(program.op_count <= PROGRAM_MAX_OPS);
        if (!program_is_valid(&program)) {
            first = second = 0;
            (void)program_find_hazard(&program, false, &first, &second);
            program_print(&program);
            fail_msg("seed %" PRIu64 ": %u and %u conflict", seed, (unsigned)first,
                     (unsigned)second);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        default_count = strtoull(argv[1], NULL, 10);
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
