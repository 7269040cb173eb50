// SPDX-License-Identifier: Apache-2.0
// Faults planted in the lowering of random programs: every one that makes a difference must be
// noticed, by the driver's static check of order or by wrong bytes in one of several random orders;
// every other one must go unnoticed. Prints the table of docs/conformance.md.
//
// usage: segue_mutants [programs]
// Environment: SEGUE_TEST_MUTANTS (programs that each kind is planted in), SEGUE_TEST_FIRST_SEED,
// SEGUE_TEST_ORDERS (random orders that each mutant runs in), SEGUE_TEST_DEVICE.
#include "mutant.h"
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>

/** Programs, unless the environment says otherwise. */
static uint64_t default_count = 40;

/** A line of the table. */
struct row {
    uint32_t planted;
    uint32_t equivalent;
    uint32_t by_check;
    uint32_t by_results;
    uint32_t by_both;
    uint32_t missed;
};

/** What one mutant's runs showed. */
struct findings {
    bool by_check;
    bool by_results;
};

/** Runs a mutant in several of the driver's orders. */
static segue_status run_mutant(struct world *world, const struct program *program,
                               const struct play_configuration *configuration, uint64_t orders,
                               struct findings *out_findings)
{
    struct play play;
    *out_findings = (struct findings){0};
    world->soft->reset_report();
    segue_status status = play_init(&play, world->device, world->kernels);
    play.direct_only = true;
    if (status == SEGUE_OK)
        status = play_record(&play, program, configuration);
    for (uint64_t order = 0; order < orders && status == SEGUE_OK; ++order) {
        bool equal = true;
        char text[256];
        world->soft->set_seed(program->seed * 100 + order);
        status = play_restore(&play);
        if (status == SEGUE_OK)
            status = play_run(&play, program, 0, 1);
        if (status == SEGUE_OK)
            status = play_compare(&play, world->expected, &equal, text, sizeof(text));
        out_findings->by_results |= !equal;
    }
    out_findings->by_check = world_hazards(world) != 0;
    world->soft->reset_report();
    play_finish(&play);
    return status;
}

static void count(struct row *row, const struct mutant *mutant, const struct findings *findings)
{
    if (!mutant->planted)
        return;
    row->planted++;
    if (!mutant->matters) {
        row->equivalent++;
        return;
    }
    row->by_check += findings->by_check;
    row->by_results += findings->by_results;
    row->by_both += findings->by_check && findings->by_results;
    row->missed += !findings->by_check && !findings->by_results;
}

static void plant(struct world *world, struct program *program,
                  const struct play_configuration *configuration, enum mutant_kind kind,
                  uint64_t orders, struct row *row)
{
    static struct mutant mutant;
    struct findings findings;
    memset(&mutant, 0, sizeof(mutant));
    mutant.kind = kind;
    mutant.program = program;
    mutant.expected = world->expected;
    mutant.random = program->seed * MUTANT_KIND_COUNT + kind;
    // A stream has one order.
    bool graph = configuration->mode == SEGUE_EXECUTION_GRAPH;
    mutant_set(&mutant);
    segue_status status = run_mutant(world, program, configuration, graph ? orders : 1, &findings);
    mutant_set(NULL);
    mutant_finish(&mutant);
    count(row, &mutant, &findings);
    bool noticed = findings.by_check || findings.by_results;
    if (status == SEGUE_OK && noticed == (mutant.planted && mutant.matters))
        return;
    program_print(program);
    fail_msg("seed %" PRIu64 ", %s mode, order seed %" PRIu64 ", \"%s\" %s: %s", program->seed,
             graph ? "graph" : "stream", configuration->order_seed, mutant_name(kind),
             !mutant.planted  ? "not planted"
             : mutant.matters ? "makes a difference"
                              : "makes no difference",
             status != SEGUE_OK ? segue_last_error()->message
             : noticed          ? "but something was noticed"
                                : "but nothing was noticed");
}

static void print_row(const char *mode, enum mutant_kind kind, const struct row *row,
                      struct row *total)
{
    print_message("| %s | %s | %u | %u | %u | %u | %u | %u |\n", mutant_name(kind), mode,
                  (unsigned)row->planted, (unsigned)row->equivalent, (unsigned)row->by_check,
                  (unsigned)row->by_results, (unsigned)row->by_both, (unsigned)row->missed);
    total->planted += row->planted;
    total->equivalent += row->equivalent;
    total->by_check += row->by_check;
    total->by_results += row->by_results;
    total->by_both += row->by_both;
    total->missed += row->missed;
}

static void print_table(struct row (*rows)[MUTANT_KIND_COUNT])
{
    struct row total = {0};
    print_message("| fault | mode | planted | equivalent | caught by the static check | by results "
                  "| by both | missed |\n|---|---|---:|---:|---:|---:|---:|---:|\n");
    for (int mode = 0; mode < 2; ++mode) {
        for (int kind = 0; kind < MUTANT_KIND_COUNT; ++kind) {
            if (rows[mode][kind].planted)
                print_row(mode == 0 ? "graph" : "stream", (enum mutant_kind)kind, &rows[mode][kind],
                          &total);
        }
    }
    print_message("| all | | %u | %u | %u | %u | %u | %u |\n", (unsigned)total.planted,
                  (unsigned)total.equivalent, (unsigned)total.by_check, (unsigned)total.by_results,
                  (unsigned)total.by_both, (unsigned)total.missed);
}

static void mutants_are_noticed(void **state)
{
    (void)state;
    uint64_t programs = segue_test_environment_number("SEGUE_TEST_MUTANTS", default_count);
    uint64_t first = segue_test_environment_number("SEGUE_TEST_FIRST_SEED", 1);
    uint64_t orders = segue_test_environment_number("SEGUE_TEST_ORDERS", 4);
    static struct program program;
    static struct row rows[2][MUTANT_KIND_COUNT];
    struct world world;
    world_open(&world, SEGUE_VALIDATION_BASIC, mutant_open_backend);
    if (!world.soft) {
        world_close(&world);
        skip();
    }
    for (uint64_t seed = first; seed < first + programs; ++seed) {
        program_generate(&program, seed, seed % 4 ? PROGRAM_ALL_BARRIERS : PROGRAM_WIDE);
        world_interpret(&world, &program, 0, 1);
        for (int mode = 0; mode < 2; ++mode) {
            const struct play_configuration configuration = {
                mode == 0 ? SEGUE_EXECUTION_GRAPH : SEGUE_EXECUTION_STREAM, seed % 2 ? seed : 0};
            for (int kind = 0; kind < MUTANT_KIND_COUNT; ++kind) {
                if (mutant_fits((enum mutant_kind)kind, configuration.mode))
                    plant(&world, &program, &configuration, (enum mutant_kind)kind, orders,
                          &rows[mode][kind]);
            }
        }
    }
    world_close(&world);
    world_expect_nothing_left(world.soft);
    print_table(rows);
    // Every kind was planted, and made a difference at least once.
    for (int mode = 0; mode < 2; ++mode) {
        for (int kind = 0; kind < MUTANT_KIND_COUNT; ++kind) {
            if (mutant_fits((enum mutant_kind)kind,
                            mode == 0 ? SEGUE_EXECUTION_GRAPH : SEGUE_EXECUTION_STREAM))
                assert_true(rows[mode][kind].planted > rows[mode][kind].equivalent);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc > 1)
        default_count = strtoull(argv[1], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mutants_are_noticed),
    };
    int unprepared = segue_test_prepare();
    if (unprepared)
        return unprepared;
    return cmocka_run_group_tests_name("mutants", tests, NULL, NULL) == 0 ? 0 : 1;
}
