// SPDX-License-Identifier: Apache-2.0
// The public API as a sequence of calls. Input: two bytes of options, then one call after the
// other.
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_verbose;

segue_status api_check(struct api_world *world, segue_status status, const char *call)
{
    FUZZ_CHECK(segue_status_name(status) != NULL && status <= SEGUE_MISMATCH,
               "%s: expected a status up to %d; it returns %d", call, (int)SEGUE_MISMATCH,
               (int)status);
    if (is_verbose)
        fprintf(stderr, "%s: %s%s%s\n", call, segue_status_name(status),
                status != SEGUE_OK ? ": " : "",
                status != SEGUE_OK ? segue_last_error()->message : "");
    if (status == SEGUE_OK)
        return status;
    const struct segue_error *error = segue_last_error();
    // Polling in vain is no failure.
    FUZZ_CHECK(status == SEGUE_TIMEOUT || (error->status == status && error->message[0] != '\0'),
               "%s: expected a message for %s; the last error is %s, \"%s\"", call,
               segue_status_name(status), segue_status_name(error->status), error->message);
    bool calm = !world->disturbed && !world->wild;
    bool surprising = status == SEGUE_DEVICE_LOST || status == SEGUE_DRIVER_ERROR ||
                      status == SEGUE_OUT_OF_HOST_MEMORY || status == SEGUE_UNAVAILABLE ||
                      status == SEGUE_UNIMPLEMENTED || status == SEGUE_MISMATCH ||
                      status == SEGUE_INCOMPATIBLE || status == SEGUE_COMPILE_FAILED;
    FUZZ_CHECK(
        !calm || !surprising,
        "%s: expected SEGUE_OK or a refusal, since nothing was made to fail; it returns %s: %s",
        call, segue_status_name(status), error->message);
    return status;
}

static void run_op(struct api_world *world)
{
    // Most calls record: the rest needs something to work on.
    switch (fuzz_u8(&world->input) % 16) {
    case 0:
        api_object(world);
        break;
    case 1:
    case 2:
        api_command_buffer_state(world);
        break;
    case 3:
    case 4:
        api_run(world);
        break;
    case 5:
        api_disturb(world);
        break;
    case 6:
        api_inspect(world);
        break;
    default:
        api_record(world);
        break;
    }
}

static void end(struct api_world *world)
{
    const struct segue_soft_api *soft = world->soft;
    if (is_verbose)
        fprintf(stderr, "the end\n");
    soft->set_fault(NULL);
    soft->set_device_lost(0);
    soft->set_paused(false);
    world->memory.fail_nth = 0;
    api_destroy_all(world);
    struct segue_soft_report report;
    soft->get_report(&report);
    FUZZ_CHECK(report.hazard_count == 0 || !world->full_validation || world->wild || world->unseen,
               "expected no hazard under full validation; the driver saw %llu, first: %s",
               (unsigned long long)report.hazard_count, report.first_hazard);
    if (world->may_leak && report.fault_count > 0)
        fuzz_accept_leaks(soft);
    fuzz_check_end(soft, &world->memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct api_world world;
    memset(&world, 0, sizeof(world));
    is_verbose = getenv("SEGUE_FUZZ_VERBOSE") != NULL;
    world.input = (struct fuzz_input){data, size};
    uint8_t options = fuzz_u8(&world.input);
    world.full_validation = (options & 1) == 0;
    world.barriers = (options & 2) == 0;
    world.device = fuzz_open_device(&world.memory, world.full_validation ? SEGUE_VALIDATION_FULL
                                                                         : SEGUE_VALIDATION_BASIC);
    world.soft = segue_device_get_soft_api(world.device);
    world.soft->set_seed(fuzz_u8(&world.input));
    api_create_all(&world);
    for (uint32_t i = 0; i < API_MAX_OPS && world.input.left > 0; ++i)
        run_op(&world);
    end(&world);
    return 0;
}
