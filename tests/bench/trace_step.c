// SPDX-License-Identifier: Apache-2.0
#include "trace_step.h"

#include "fixture.h"

#include <segue/kernels.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_BYTES 48
#define MAX_CONSTANTS_BYTES 4096

/* ---- Twins ----------------------------------------------------------------------------------- */

/** The sources of one executable's twin. */
struct twin {
    struct segue_entry_point *entries;
    uint32_t entry_count;
    char (*names)[NAME_BYTES];
    FILE *ptx;
    char *text;
    size_t text_bytes;
};

static uint32_t parameter_bytes(const struct segue_parameter *parameter)
{
    return parameter->kind == SEGUE_PARAMETER_CONSTANT ? parameter->size_bytes : 8;
}

/** The same accesses, all as bindings of their own. NULL when out of memory. */
static struct segue_parameter *copy_parameters(const struct segue_entry_point *entry)
{
    struct segue_parameter *copied = calloc((size_t)entry->parameter_count + 1, sizeof(*copied));
    for (uint32_t i = 0; copied && i < entry->parameter_count; i++) {
        copied[i] = entry->parameters[i];
        if (copied[i].kind == SEGUE_PARAMETER_INDIRECT)
            copied[i].kind = SEGUE_PARAMETER_BINDING;
    }
    return copied;
}

/** Writes the kernel, and registers its reference. */
static bool add_kernel(struct segue_bench *bench, FILE *ptx, const char *name,
                       const struct segue_entry_point *entry)
{
    uint32_t *sizes = calloc((size_t)entry->parameter_count + 1, sizeof(*sizes));
    if (!sizes)
        return segue_bench_fail(bench, "out of memory");
    fprintf(ptx, ".visible .entry %s(", name);
    for (uint32_t i = 0; i < entry->parameter_count; i++) {
        sizes[i] = parameter_bytes(&entry->parameters[i]);
        const uint32_t align = sizes[i] % 8 == 0 ? 8 : sizes[i] % 4 == 0 ? 4 : 1;
        fprintf(ptx, "%s\n    .param .align %" PRIu32 " .b8 p%" PRIu32 "[%" PRIu32 "]",
                i == 0 ? "" : ",", align, i, sizes[i]);
    }
    fputs(")\n{\n    ret;\n}\n", ptx);
    const struct segue_reference_kernel reference = {
        .name = name,
        .parameter_sizes = sizes,
        .parameter_count = entry->parameter_count,
        .run = segue_bench_run_nothing,
        .ranges = segue_bench_no_ranges,
    };
    const bool good = segue_bench_check(
        bench, segue_device_register_reference_kernels(bench->fixture.device, &reference, 1));
    free(sizes);
    return good;
}

static bool write_twin(struct segue_bench *bench, const struct segue_executable_params *original,
                       uint32_t index, struct twin *twin)
{
    const uint32_t count = original->entry_point_count;
    twin->entries = calloc(count, sizeof(*twin->entries));
    twin->names = calloc(count, sizeof(*twin->names));
    twin->ptx = open_memstream(&twin->text, &twin->text_bytes);
    if (!twin->entries || !twin->names || !twin->ptx)
        return segue_bench_fail(bench, "out of memory");
    fputs(".version 7.0\n.target sm_70\n.address_size 64\n", twin->ptx);
    bool good = true;
    for (uint32_t i = 0; i < count && good; i++) {
        const struct segue_entry_point *entry = &original->entry_points[i];
        struct segue_parameter *parameters = copy_parameters(entry);
        if (!parameters)
            return segue_bench_fail(bench, "out of memory");
        snprintf(twin->names[i], NAME_BYTES, "segue_bench_twin_%" PRIu32 "_%" PRIu32, index, i);
        twin->entry_count = i + 1;
        twin->entries[i] = (struct segue_entry_point){
            .name = twin->names[i],
            .parameters = parameters,
            .parameter_count = entry->parameter_count,
            .flags = entry->flags & ~(uint32_t)SEGUE_ENTRY_COOPERATIVE,
        };
        good = add_kernel(bench, twin->ptx, twin->names[i], &twin->entries[i]);
    }
    const bool written = fclose(twin->ptx) == 0;
    twin->ptx = NULL;
    return good && (written || segue_bench_fail(bench, "out of memory"));
}

static bool make_twin(struct segue_bench *bench, const segue_executable *original, uint32_t index,
                      segue_executable **out_twin)
{
    struct segue_executable_params params;
    struct twin twin = {0};
    segue_executable_get_params(original, &params);
    bool good = write_twin(bench, &params, index, &twin);
    if (good) {
        const struct segue_executable_params made = {
            .format = SEGUE_EXECUTABLE_PTX,
            .data = twin.text,
            .size_bytes = twin.text_bytes,
            .entry_points = twin.entries,
            .entry_point_count = params.entry_point_count,
            .label = "twin",
        };
        good = segue_bench_check(bench,
                                 segue_executable_create(bench->fixture.device, &made, out_twin));
    }
    if (twin.ptx)
        fclose(twin.ptx);
    for (uint32_t i = 0; i < twin.entry_count; i++)
        free((void *)twin.entries[i].parameters);
    free(twin.text);
    free(twin.entries);
    free(twin.names);
    return good;
}

/** The twin of an executable, made when it is first met. */
static bool find_twin(struct segue_bench *bench, struct segue_bench_trace_step *step,
                      const segue_executable *original, segue_executable **out_twin)
{
    uint32_t i = 0;
    while (i < step->twin_count && step->originals[i] != original)
        i++;
    if (i == step->twin_count) {
        // There are no more executables than commands.
        if (!make_twin(bench, original, i, &step->twins[i]))
            return false;
        step->originals[i] = original;
        step->twin_count++;
    }
    *out_twin = step->twins[i];
    return true;
}

/* ---- Commands -------------------------------------------------------------------------------- */

struct collecting {
    struct segue_bench *bench;
    struct segue_bench_trace_step *step;
    bool failed;
};

/** Takes over what the command points to. */
static bool keep_data(struct collecting *collecting, struct segue_bench_command *command,
                      const void *data, size_t length_bytes)
{
    command->data = malloc(length_bytes + 1);
    if (!command->data)
        return segue_bench_fail(collecting->bench, "out of memory");
    memcpy(command->data, data, length_bytes);
    return true;
}

static bool keep_dispatch(struct collecting *collecting, struct segue_bench_command *command)
{
    struct segue_bench *bench = collecting->bench;
    struct segue_dispatch *dispatch = &command->info.as.dispatch;
    const size_t bindings_bytes = dispatch->binding_count * sizeof(*dispatch->bindings);
    command->bindings = malloc(bindings_bytes + 1);
    if (!command->bindings)
        return segue_bench_fail(bench, "out of memory");
    memcpy(command->bindings, dispatch->bindings, bindings_bytes);
    if (dispatch->constants_size_bytes > MAX_CONSTANTS_BYTES)
        return segue_bench_fail(bench, "a dispatch of the trace has %" PRIu32 " bytes of constants",
                                dispatch->constants_size_bytes);
    if (!keep_data(collecting, command, dispatch->constants, dispatch->constants_size_bytes))
        return false;
    dispatch->bindings = command->bindings;
    dispatch->constants = command->data;
    dispatch->dynamic_shared_bytes = 0;
    dispatch->constant_uses = NULL;
    dispatch->constant_use_count = 0;
    return find_twin(bench, collecting->step, dispatch->executable, &dispatch->executable);
}

static bool collect(void *context, const struct segue_command_info *info)
{
    struct collecting *collecting = context;
    struct segue_bench_trace_step *step = collecting->step;
    struct segue_bench_command *command = &step->commands[step->command_count];
    bool good = true;
    command->info = *info;
    switch (info->kind) {
    case SEGUE_COMMAND_DISPATCH:
        good = keep_dispatch(collecting, command);
        break;
    case SEGUE_COMMAND_UPDATE:
        good = keep_data(collecting, command, info->as.update.data,
                         (size_t)info->as.update.target.length_bytes);
        break;
    case SEGUE_COMMAND_WAIT_EVENT:
        command->info.kind = SEGUE_COMMAND_BARRIER;
        break;
    case SEGUE_COMMAND_FILL:
    case SEGUE_COMMAND_COPY:
    case SEGUE_COMMAND_BARRIER:
        break;
    default:
        return true;
    }
    step->command_count++;
    collecting->failed = !good;
    return good;
}

segue_command_buffer *segue_bench_longest(struct segue_bench *bench, segue_trace_session *session)
{
    struct segue_trace_counts counts;
    segue_command_buffer *longest = NULL;
    uint32_t most = 0;
    segue_trace_session_get_counts(session, &counts);
    for (uint32_t i = 0; i < counts.command_buffer_count; i++) {
        const char *name;
        struct segue_command_buffer_stats stats;
        segue_command_buffer *candidate = segue_trace_session_command_buffer(session, i, &name);
        if (!segue_bench_check(bench, segue_command_buffer_get_stats(candidate, &stats)))
            return NULL;
        if (stats.work_count > most) {
            most = stats.work_count;
            longest = candidate;
        }
    }
    if (!longest)
        (void)segue_bench_fail(bench, "no command buffer of the trace does any work");
    return longest;
}

/** The kernels that are run do not look at what constants hold. */
static bool leave_empty(void *context, const struct segue_trace_constant *constant)
{
    (void)context;
    (void)constant;
    return true;
}

bool segue_bench_trace_step_open(struct segue_bench *bench, const char *path,
                                 struct segue_bench_trace_step *out_step)
{
    segue_device *device = bench->fixture.device;
    const struct segue_trace_session_params params = {.mode = SEGUE_EXECUTION_STREAM,
                                                      .fill = leave_empty};
    struct segue_command_buffer_stats stats;
    *out_step = (struct segue_bench_trace_step){0};
    if (!segue_bench_check(bench, segue_kernels_register(device)) ||
        !segue_bench_check(bench, segue_trace_load(path, &out_step->trace)) ||
        !segue_bench_check(bench, segue_trace_session_create(out_step->trace, device, &params,
                                                             &out_step->session)))
        return false;
    segue_command_buffer *source = segue_bench_longest(bench, out_step->session);
    struct segue_command_buffer_info info;
    if (!source || !segue_bench_check(bench, segue_command_buffer_get_stats(source, &stats)))
        return false;
    const size_t count = (size_t)stats.command_count + 1;
    out_step->commands = calloc(count, sizeof(*out_step->commands));
    out_step->twins = calloc(count, sizeof(*out_step->twins));
    out_step->originals = calloc(count, sizeof(*out_step->originals));
    if (!out_step->commands || !out_step->twins || !out_step->originals)
        return segue_bench_fail(bench, "out of memory");
    segue_command_buffer_get_info(source, &info);
    if (info.slot_count != 0)
        return segue_bench_fail(bench, "the trace's command buffer has slots");
    struct collecting collecting = {.bench = bench, .step = out_step};
    return segue_bench_check(bench, segue_command_buffer_visit(source, collect, &collecting)) &&
           !collecting.failed;
}

void segue_bench_trace_step_close(struct segue_bench_trace_step *step)
{
    for (uint32_t i = 0; i < step->command_count; i++) {
        free(step->commands[i].bindings);
        free(step->commands[i].data);
    }
    for (uint32_t i = 0; i < step->twin_count; i++)
        segue_executable_destroy(step->twins[i]);
    free(step->commands);
    free(step->twins);
    free(step->originals);
    segue_trace_session_destroy(step->session);
    segue_trace_destroy(step->trace);
    *step = (struct segue_bench_trace_step){0};
}

/** Records a dispatch, if `seed` is not 0 with other constants, or, where it has none, another
 *  grid. */
static segue_status record_dispatch(segue_command_buffer *command_buffer,
                                    const struct segue_dispatch *dispatch, uint32_t seed)
{
    unsigned char constants[MAX_CONSTANTS_BYTES];
    if (seed == 0)
        return segue_cmd_dispatch(command_buffer, dispatch);
    struct segue_dispatch changed = *dispatch;
    const size_t length_bytes = dispatch->constants_size_bytes;
    memcpy(constants, dispatch->constants, length_bytes);
    memcpy(constants, &seed, length_bytes < sizeof(seed) ? length_bytes : sizeof(seed));
    changed.constants = constants;
    changed.grid[0] += length_bytes == 0 ? seed % 2 : 0;
    return segue_cmd_dispatch(command_buffer, &changed);
}

static segue_status record_command(segue_command_buffer *command_buffer,
                                   const struct segue_bench_command *command, uint32_t seed)
{
    const struct segue_command_info *info = &command->info;
    switch (info->kind) {
    case SEGUE_COMMAND_DISPATCH:
        return record_dispatch(command_buffer, &info->as.dispatch, seed);
    case SEGUE_COMMAND_FILL:
        return segue_cmd_fill(command_buffer, info->as.fill.target, info->as.fill.pattern,
                              info->as.fill.pattern_size_bytes);
    case SEGUE_COMMAND_UPDATE:
        return segue_cmd_update(command_buffer, info->as.update.target, command->data);
    case SEGUE_COMMAND_COPY:
        return segue_cmd_copy(command_buffer, info->as.copy.source, info->as.copy.target);
    default:
        return segue_cmd_barrier(command_buffer, NULL);
    }
}

segue_status segue_bench_trace_step_record(const struct segue_bench_trace_step *step,
                                           segue_command_buffer *command_buffer, uint32_t count,
                                           const uint32_t *changed, uint32_t changed_count,
                                           uint32_t seed)
{
    uint32_t done = 0;
    uint32_t next = 0;
    segue_status status = segue_command_buffer_begin(command_buffer);
    for (uint32_t i = 0; done < count && status == SEGUE_OK; i++) {
        if (i == step->command_count) {
            i = 0;
            status = segue_cmd_barrier(command_buffer, NULL);
            if (status != SEGUE_OK)
                break;
        }
        const struct segue_bench_command *command = &step->commands[i];
        const bool is_work = command->info.kind != SEGUE_COMMAND_BARRIER;
        const bool is_changed = is_work && next < changed_count && changed[next] == done;
        status = record_command(command_buffer, command, is_changed ? seed : 0);
        next += is_changed;
        done += is_work;
    }
    return status == SEGUE_OK ? segue_command_buffer_end(command_buffer) : status;
}
