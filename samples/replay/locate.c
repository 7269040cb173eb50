// SPDX-License-Identifier: Apache-2.0
#include "locate.h"

#include "report.h"

#include <segue/buffer.h>
#include <segue/executable.h>
#include <stdlib.h>
#include <string.h>

// Every prefix of a short recording is tried, so that the first that differs is found even if later
// ones happen to agree again; of a longer one only about log2(n) of them.
#define LINEAR_LIMIT 64

// A prefix has fewer orders than the whole and the failing seed need not show one of the bad ones.
#define SEEDS_PER_PREFIX 8

struct search {
    struct segue_replay *replay;
    struct segue_replay_order order;
    struct segue_replay_digests expected;
    struct segue_replay_digests actual;
    struct segue_replay_culprit *culprit;
    uint32_t command_buffer;
    /** Prefix lengths worth trying: those that end with a command that does something. */
    uint32_t *lengths;
    uint32_t length_count;
};

// Of the kinds that do work; only those are looked for.
static const char *const kind_names[] = {
    [SEGUE_COMMAND_FILL] = "fill",
    [SEGUE_COMMAND_UPDATE] = "update",
    [SEGUE_COMMAND_COPY] = "copy",
    [SEGUE_COMMAND_DISPATCH] = "dispatch",
};

/** Runs one prefix in one order. On a difference fills in the culprit's order and difference. */
static segue_status try_order(struct search *search, segue_trace_session *reference,
                              const struct segue_replay_order *order, bool *out_differs)
{
    segue_trace_session *session = NULL;
    segue_status status = segue_replay_session_for(search->replay, order, &session);
    if (status == SEGUE_OK)
        status = segue_replay_run_digests(search->replay, session, order->seed, &search->actual);
    if (status == SEGUE_OK) {
        const uint32_t buffer = segue_replay_compare_digests(&search->expected, &search->actual);
        *out_differs = buffer < search->expected.count;
        if (*out_differs) {
            search->culprit->order = *order;
            status = segue_replay_find_difference(search->replay, reference, buffer,
                                                  &search->culprit->difference);
        }
    }
    segue_trace_session_destroy(session);
    return status;
}

/** Whether the first `limit` commands of the command buffer differ from their serial reference. */
static segue_status prefix_differs(struct search *search, uint32_t limit, bool *out_differs)
{
    struct segue_replay_order order = search->order;
    order.limited = true;
    order.limited_command_buffer = search->command_buffer;
    order.command_limit = limit;
    struct segue_replay_order serial = order;
    serial.mode = SEGUE_EXECUTION_STREAM;
    serial.seed = 0;

    bool differs = false;
    segue_trace_session *reference = NULL;
    segue_status status = segue_replay_session_for(search->replay, &serial, &reference);
    if (status == SEGUE_OK)
        status = segue_replay_run_digests(search->replay, reference, 0, &search->expected);
    for (uint64_t i = 0; i < SEEDS_PER_PREFIX && status == SEGUE_OK && !differs; ++i) {
        order.seed = i == 0 ? search->order.seed : i;
        status = try_order(search, reference, &order, &differs);
    }
    segue_trace_session_destroy(reference);
    // Cut short, a command buffer may no longer signal what another one waits for. Such a prefix
    // says nothing.
    if (status == SEGUE_INVALID_STATE) {
        differs = false;
        status = SEGUE_OK;
    }
    if (status == SEGUE_OK)
        *out_differs = differs;
    return status;
}

static bool collect_length(void *context, const struct segue_command_info *command)
{
    struct search *search = context;
    if (command->kind <= SEGUE_COMMAND_DISPATCH)
        search->lengths[search->length_count++] = command->index + 1;
    return true;
}

static segue_status collect_lengths(struct search *search)
{
    const char *name;
    struct segue_command_buffer_stats stats;
    segue_command_buffer *command_buffer =
        segue_trace_session_command_buffer(search->replay->session, search->command_buffer, &name);
    segue_status status = segue_command_buffer_get_stats(command_buffer, &stats);
    if (status != SEGUE_OK)
        return status;
    free(search->lengths);
    search->length_count = 0;
    search->lengths = calloc((size_t)stats.command_count + 1, sizeof(*search->lengths));
    if (!search->lengths)
        return SEGUE_OUT_OF_HOST_MEMORY;
    return segue_command_buffer_visit(command_buffer, collect_length, search);
}

/** Index into lengths of the first prefix that differs, or length_count. The culprit's order and
 *  difference belong to it. */
static segue_status search_linear(struct search *search, uint32_t *out_index)
{
    bool differs = false;
    uint32_t i = 0;
    for (; i < search->length_count; ++i) {
        const segue_status status = prefix_differs(search, search->lengths[i], &differs);
        if (status != SEGUE_OK)
            return status;
        segue_replay_progress_update(&search->replay->progress, "locate", i, search->length_count);
        if (differs)
            break;
    }
    *out_index = i;
    return SEGUE_OK;
}

static segue_status search_binary(struct search *search, uint32_t *out_index)
{
    // Prefixes below `low` agree; the one at `high` differs, or is past the end.
    uint32_t low = 0, high = search->length_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        bool differs = false;
        const segue_status status = prefix_differs(search, search->lengths[middle], &differs);
        if (status != SEGUE_OK)
            return status;
        // What it differs in is then in the culprit, and the next that differs is a shorter one.
        if (differs)
            high = middle;
        else
            low = middle + 1;
        segue_replay_progress_update(&search->replay->progress, "locate",
                                     search->length_count - (high - low), search->length_count);
    }
    *out_index = high;
    return SEGUE_OK;
}

/** The range that a transfer writes. */
static struct segue_buffer_ref transfer_target(const struct segue_command_info *command)
{
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
        return command->as.fill.target;
    case SEGUE_COMMAND_UPDATE:
        return command->as.update.target;
    case SEGUE_COMMAND_COPY:
        return command->as.copy.target;
    default:
        return (struct segue_buffer_ref){0};
    }
}

static bool describe_command(void *context, const struct segue_command_info *command)
{
    struct segue_replay_culprit *culprit = context;
    if (command->index != culprit->command)
        return true;
    char object[128] = "";
    if (command->kind == SEGUE_COMMAND_DISPATCH) {
        struct segue_executable_params executable;
        segue_executable_get_params(command->as.dispatch.executable, &executable);
        snprintf(object, sizeof(object), " \"%s\"",
                 executable.entry_points[command->as.dispatch.entry_point].name);
    } else {
        const struct segue_buffer_ref target = transfer_target(command);
        struct segue_buffer_info info;
        if (target.buffer) {
            segue_buffer_get_info(target.buffer, &info);
            snprintf(object, sizeof(object), " to buffer \"%s\"", info.label);
        } else {
            snprintf(object, sizeof(object), " to slot %u", target.slot);
        }
    }
    const bool grouped = command->group_path[0] != '\0';
    snprintf(culprit->description, sizeof(culprit->description), "%s%s%s%s%s",
             kind_names[command->kind], object, grouped ? " in group \"" : "", command->group_path,
             grouped ? "\"" : "");
    segue_replay_clean(culprit->description);
    return false;
}

/** Searches one command buffer. @param out_found whether a prefix of it is to blame. */
static segue_status search_command_buffer(struct search *search, bool *out_found)
{
    segue_status status = collect_lengths(search);
    if (status != SEGUE_OK || search->length_count == 0)
        return status;
    uint32_t index = search->length_count;
    status = search->length_count <= LINEAR_LIMIT ? search_linear(search, &index)
                                                  : search_binary(search, &index);
    if (status != SEGUE_OK || index == search->length_count)
        return status;
    struct segue_replay_culprit *culprit = search->culprit;
    culprit->command_buffer = search->command_buffer;
    culprit->command = search->lengths[index] - 1;
    const char *name;
    status = segue_command_buffer_visit(
        segue_trace_session_command_buffer(search->replay->session, search->command_buffer, &name),
        describe_command, culprit);
    *out_found = status == SEGUE_OK;
    return status;
}

static segue_status search_all(struct search *search)
{
    const uint32_t count = search->replay->counts.command_buffer_count;
    for (uint32_t i = 0; i < count && !search->culprit->found; ++i) {
        search->command_buffer = i;
        // Where the difference stays without any command of this command buffer, it is another
        // one's.
        bool differs = false;
        segue_status status = SEGUE_OK;
        const struct segue_replay_culprit whole = *search->culprit;
        if (count > 1)
            status = prefix_differs(search, 0, &differs);
        *search->culprit = whole;
        if (status == SEGUE_OK && !differs)
            status = search_command_buffer(search, &search->culprit->found);
        if (!search->culprit->found)
            *search->culprit = whole;
        if (status != SEGUE_OK)
            return status;
    }
    return SEGUE_OK;
}

segue_status segue_replay_locate(struct segue_replay *replay, segue_trace_session *reference,
                                 const struct segue_replay_order *order, uint32_t buffer,
                                 struct segue_replay_culprit *out_culprit)
{
    struct segue_replay_culprit culprit = {.order = *order};
    struct search search = {.replay = replay, .order = *order, .culprit = &culprit};
    segue_status status =
        segue_replay_find_difference(replay, reference, buffer, &culprit.difference);
    if (status == SEGUE_OK)
        status = segue_replay_digests_create(replay, &search.expected);
    if (status == SEGUE_OK)
        status = segue_replay_digests_create(replay, &search.actual);
    if (status == SEGUE_OK)
        status = search_all(&search);
    segue_replay_progress_clear(&replay->progress);
    free(search.lengths);
    segue_replay_digests_release(&search.expected);
    segue_replay_digests_release(&search.actual);
    if (status == SEGUE_OK)
        *out_culprit = culprit;
    return status;
}
