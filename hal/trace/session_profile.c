// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include "error.h"

#include <segue/soft.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * How long each command takes, measured in its place: commands run one after the other in recorded
 * order, and between every two of them a kernel of one thread writes down the device's clock. So a
 * command finds the caches as those before it left them, and has the device for itself.
 *
 * Between two stamps lie the command and two edges; between two stamps with nothing in between, one
 * edge. So what a command takes by itself is the one time less twice the other, and that of an
 * empty kernel comes out as about nothing. The clock may tick no faster than once a microsecond:
 * only means over many runs are finer than that.
 */

#define STAMP_NAME "segue_trace_stamp"
/** Stamps with nothing in between, in front of everything else. */
#define CALIBRATION_STAMPS 9
#define STAMP_BYTES sizeof(uint64_t)

static const char stamp_ptx[] = ".version 7.0\n"
                                ".target sm_70\n"
                                ".address_size 64\n"
                                ".visible .entry " STAMP_NAME "(.param .u64 out)\n"
                                "{\n"
                                "    .reg .b64 %rd<4>;\n"
                                "    ld.param.u64 %rd1, [out];\n"
                                "    cvta.to.global.u64 %rd2, %rd1;\n"
                                "    mov.u64 %rd3, %globaltimer;\n"
                                "    st.global.u64 [%rd2], %rd3;\n"
                                "    ret;\n"
                                "}\n";

/** What one command buffer's runs have measured. */
struct segue_profile {
    segue_buffer *stamps;
    /** Stamps recorded so far; the capacity has room for one behind each command. */
    uint32_t stamp_count;
    uint32_t stamp_capacity;
    /** Per command of the trace: the stamp behind it; 0: it is no work. */
    uint32_t *stamp_of;
    /** Per command: sum of the times from the stamp before it to the one behind it. */
    uint64_t *sums_ns;
    uint64_t calibration_ns;
    uint32_t run_count;
};

/* ---- The kernel ------------------------------------------------------------------------------ */

static bool run_stamp(const struct segue_reference_launch *launch,
                      segue_reference_translate translate)
{
    struct timespec now;
    uint64_t address;
    memcpy(&address, launch->parameters[0], sizeof(address));
    uint64_t *stamp = translate(launch, address, STAMP_BYTES);
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (stamp != NULL) {
        *stamp = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    }
    return stamp != NULL;
}

static void state_ranges(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    uint64_t address;
    memcpy(&address, launch->parameters[0], sizeof(address));
    ranges->add_range(ranges, address, STAMP_BYTES, false, true);
}

static segue_status create_stamp_kernel(segue_device *device, segue_executable **out_executable)
{
    static const uint32_t sizes[] = {8};
    static const struct segue_reference_kernel reference = {
        .name = STAMP_NAME,
        .parameter_sizes = sizes,
        .parameter_count = 1,
        .run = run_stamp,
        .ranges = state_ranges,
    };
    static const struct segue_parameter parameter = {
        .kind = SEGUE_PARAMETER_BINDING,
        .access = SEGUE_ACCESS_WRITE,
        .align_bytes = STAMP_BYTES,
    };
    static const struct segue_entry_point entry = {
        .name = STAMP_NAME,
        .parameters = &parameter,
        .parameter_count = 1,
        .block_size = {1, 1, 1},
    };
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = stamp_ptx,
        .size_bytes = sizeof(stamp_ptx),
        .entry_points = &entry,
        .entry_point_count = 1,
        .label = "time stamps",
    };
    segue_status status = segue_device_register_reference_kernels(device, &reference, 1);
    return status == SEGUE_OK ? segue_executable_create(device, &params, out_executable) : status;
}

/* ---- Making and recording -------------------------------------------------------------------- */

static bool is_work(const struct segue_trace_command *command)
{
    return command->kind <= SEGUE_COMMAND_DISPATCH;
}

static segue_status create_profile(segue_trace_session *session, uint32_t index)
{
    const struct segue_trace_command_buffer *model = &session->trace->command_buffers[index];
    struct segue_profile *profile = &session->profiles[index];
    profile->stamp_capacity = CALIBRATION_STAMPS;
    for (uint32_t i = 0; i < model->command_count; i++) {
        profile->stamp_capacity += is_work(&model->commands[i]);
    }
    profile->stamp_of = calloc((size_t)model->command_count + 1, sizeof(profile->stamp_of[0]));
    profile->sums_ns = calloc((size_t)model->command_count + 1, sizeof(profile->sums_ns[0]));
    if (profile->stamp_of == NULL || profile->sums_ns == NULL) {
        return segue_trace_fail_memory("a profile");
    }
    const struct segue_buffer_params params = {
        .size_bytes = profile->stamp_capacity * STAMP_BYTES,
        .label = "time stamps",
    };
    return segue_buffer_create(session->device, &params, &profile->stamps);
}

segue_status segue_session_create_profiles(segue_trace_session *session)
{
    const uint32_t count = session->trace->command_buffer_count;
    session->profiles = calloc((size_t)count + 1, sizeof(session->profiles[0]));
    if (session->profiles == NULL) {
        return segue_trace_fail_memory("a profile");
    }
    segue_status status = create_stamp_kernel(session->device, &session->stamp_kernel);
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        status = create_profile(session, i);
    }
    return status;
}

void segue_session_destroy_profiles(segue_trace_session *session)
{
    for (uint32_t i = 0; session->profiles != NULL && i < session->trace->command_buffer_count;
         i++) {
        segue_buffer_destroy(session->profiles[i].stamps);
        free(session->profiles[i].stamp_of);
        free(session->profiles[i].sums_ns);
    }
    segue_executable_destroy(session->stamp_kernel);
    free(session->profiles);
}

/** Records a stamp behind everything so far and before everything to come. */
static segue_status stamp(segue_trace_session *session, struct segue_profile *profile,
                          segue_command_buffer *target)
{
    const struct segue_buffer_ref binding = {
        .buffer = profile->stamps,
        .offset_bytes = profile->stamp_count * STAMP_BYTES,
        .length_bytes = STAMP_BYTES,
    };
    const struct segue_dispatch dispatch = {
        .executable = session->stamp_kernel,
        .grid = {1, 1, 1},
        .bindings = &binding,
        .binding_count = 1,
        .duration_ns = 1,
    };
    segue_status status = segue_cmd_barrier(target, NULL);
    if (status == SEGUE_OK) {
        status = segue_cmd_dispatch(target, &dispatch);
    }
    profile->stamp_count++;
    return status == SEGUE_OK ? segue_cmd_barrier(target, NULL) : status;
}

segue_status segue_session_begin_profile(segue_trace_session *session, uint32_t index)
{
    struct segue_profile *profile = &session->profiles[index];
    segue_status status = SEGUE_OK;
    profile->stamp_count = 0;
    for (uint32_t i = 0; status == SEGUE_OK && i < CALIBRATION_STAMPS; i++) {
        status = stamp(session, profile, session->command_buffers[index]);
    }
    return status;
}

segue_status segue_session_stamp(segue_trace_session *session, uint32_t index, uint32_t command)
{
    struct segue_profile *profile = &session->profiles[index];
    const struct segue_trace_command *model =
        &session->trace->command_buffers[index].commands[command];
    if (!is_work(model)) {
        return SEGUE_OK;
    }
    profile->stamp_of[command] = profile->stamp_count;
    return stamp(session, profile, session->command_buffers[index]);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static uint64_t difference(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static segue_status read_profile(segue_trace_session *session, uint32_t index)
{
    struct segue_profile *profile = &session->profiles[index];
    const uint32_t command_count = session->trace->command_buffers[index].command_count;
    uint64_t *stamps = calloc(profile->stamp_capacity, STAMP_BYTES);
    if (stamps == NULL) {
        return segue_trace_fail_memory("a profile");
    }
    segue_status status =
        segue_buffer_read(profile->stamps, 0, stamps, profile->stamp_count * STAMP_BYTES);
    // The first run pays for what is done once.
    if (status == SEGUE_OK && profile->run_count == 1) {
        memset(profile->sums_ns, 0, command_count * sizeof(profile->sums_ns[0]));
        profile->calibration_ns = 0;
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < command_count; i++) {
        const uint32_t behind = profile->stamp_of[i];
        if (behind != 0) {
            profile->sums_ns[i] += difference(stamps[behind - 1], stamps[behind]);
        }
    }
    if (status == SEGUE_OK) {
        profile->calibration_ns += difference(stamps[0], stamps[CALIBRATION_STAMPS - 1]);
        profile->run_count++;
    }
    free(stamps);
    return status;
}

segue_status segue_session_read_profiles(segue_trace_session *session)
{
    segue_status status = SEGUE_OK;
    for (uint32_t i = 0; status == SEGUE_OK && i < session->trace->command_buffer_count; i++) {
        status = read_profile(session, i);
    }
    return status;
}

segue_status segue_trace_session_get_durations(const segue_trace_session *session,
                                               uint32_t command_buffer, uint32_t *out_durations_ns,
                                               uint32_t capacity, uint32_t *out_count)
{
    if (session == NULL || out_count == NULL || (out_durations_ns == NULL && capacity != 0)) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT,
                                "session, out_durations_ns and out_count must not be NULL");
    }
    if (command_buffer >= session->trace->command_buffer_count) {
        return segue_trace_fail_on(session->device, SEGUE_OUT_OF_RANGE,
                                   "command_buffer is %" PRIu32 ", the trace has %" PRIu32,
                                   command_buffer, session->trace->command_buffer_count);
    }
    const struct segue_profile *profile =
        session->profiles != NULL ? &session->profiles[command_buffer] : NULL;
    if (profile == NULL || profile->run_count == 0) {
        return segue_trace_fail_on(session->device, SEGUE_INVALID_STATE,
                                   "the session measures no durations, or has not run; create it "
                                   "with `profile` and run it first");
    }
    const uint32_t counted = profile->run_count > 1 ? profile->run_count - 1 : 1;
    const double edges_ns =
        2.0 * (double)profile->calibration_ns / counted / (CALIBRATION_STAMPS - 1);
    *out_count = session->trace->command_buffers[command_buffer].command_count;
    for (uint32_t i = 0; i < *out_count && i < capacity; i++) {
        const double own_ns = (double)profile->sums_ns[i] / counted - edges_ns;
        // 1 says: known, and about nothing.
        const double bounded_ns = own_ns < 1 ? 1 : own_ns > UINT32_MAX ? UINT32_MAX : own_ns;
        out_durations_ns[i] = profile->stamp_of[i] != 0 ? (uint32_t)bounded_ns : 0;
    }
    return SEGUE_OK;
}
