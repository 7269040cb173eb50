// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

void world_open(struct world *world, enum segue_validation validation,
                segue_backend_open_fn open_backend)
{
    memset(world, 0, sizeof(*world));
    const struct segue_device_params params = {.validation = validation};
    CHECK_OK(open_backend ? segue_device_open_with(open_backend, segue_test_device_uri(), &params,
                                                   &world->device)
                          : segue_device_open(segue_test_device_uri(), &params, &world->device));
    CHECK_OK(segue_test_kernels_create(world->device, &world->kernels));
    world->soft = segue_device_get_soft_api(world->device);
    if (world->soft)
        world->soft->reset_report();
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i) {
        world->expected[i] = malloc(program_buffer_words(i) * sizeof(uint32_t));
        assert_non_null(world->expected[i]);
    }
}

void world_close(struct world *world)
{
    segue_executable_destroy(world->kernels);
    segue_device_destroy(world->device);
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i)
        free(world->expected[i]);
}

void world_expect_nothing_left(const struct segue_soft_api *soft)
{
    if (!soft)
        return;
    struct segue_soft_report report;
    soft->get_report(&report);
    assert_int_equal(report.live_objects, 0);
    if (report.misuse_count)
        fail_msg("misuse: %s", report.first_misuse);
}

void world_interpret(struct world *world, const struct program *program, uint32_t first_run,
                     uint32_t times)
{
    for (uint32_t i = 0; i < PROGRAM_BUFFERS; ++i)
        memcpy(world->expected[i], program_initial(i), program_buffer_words(i) * sizeof(uint32_t));
    for (uint32_t i = 0; i < times; ++i)
        program_interpret(program, first_run + i, world->expected);
}

uint64_t world_hazards(const struct world *world)
{
    struct segue_soft_report report = {0};
    if (world->soft)
        world->soft->get_report(&report);
    return report.hazard_count;
}

void world_run(struct world *world, const struct program *program,
               const struct play_configuration *configuration, uint64_t driver_seed, uint32_t times,
               struct world_verdict *out_verdict)
{
    struct play play;
    bool equal = false;
    if (world->soft) {
        world->soft->set_seed(driver_seed);
        world->soft->reset_report();
    }
    segue_status status = play_init(&play, world->device, world->kernels);
    if (status == SEGUE_OK)
        status = play_record(&play, program, configuration);
    if (status == SEGUE_OK)
        status = play_run(&play, program, 0, times);
    *out_verdict = (struct world_verdict){0};
    if (status == SEGUE_OK)
        status = play_compare(&play, world->expected, &equal, out_verdict->text,
                              sizeof(out_verdict->text));
    if (status != SEGUE_OK)
        (void)snprintf(out_verdict->text, sizeof(out_verdict->text), "%.1000s",
                       segue_last_error()->message);
    play_finish(&play);
    out_verdict->failed = status != SEGUE_OK || !equal;
    if (out_verdict->failed || world_hazards(world) == 0)
        return;
    struct segue_soft_report report;
    world->soft->get_report(&report);
    out_verdict->failed = true;
    (void)snprintf(out_verdict->text, sizeof(out_verdict->text), "hazard: %s", report.first_hazard);
}

bool world_attempt_fails(void *context, const struct program *candidate)
{
    struct world_attempt *attempt = context;
    world_interpret(attempt->world, candidate, 0, attempt->times);
    for (uint64_t i = 0; i < 8; ++i) {
        struct play_configuration configuration = attempt->configuration;
        struct world_verdict verdict;
        configuration.order_seed = i == 0 ? configuration.order_seed : i - 1;
        world_run(attempt->world, candidate, &configuration, attempt->driver_seed + i,
                  attempt->times, &verdict);
        if (!verdict.failed)
            continue;
        attempt->verdict = verdict;
        return true;
    }
    return false;
}
