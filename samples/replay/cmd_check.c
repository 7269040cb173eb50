// SPDX-License-Identifier: Apache-2.0
#include "compare.h"
#include "json_out.h"
#include "locate.h"
#include "report.h"

#include <segue/soft.h>
#include <stdlib.h>
#include <string.h>

/** A check in progress. */
struct check {
    struct segue_replay replay;
    struct segue_replay_digests expected;
    struct segue_replay_digests actual;
    /** Of the checks done so far. */
    uint32_t failure_count;
    /** What the software driver's static check found. */
    uint64_t hazard_count;
    char first_hazard[sizeof(((struct segue_soft_report *)0)->first_hazard)];
    uint64_t misuse_count;
    char first_misuse[sizeof(((struct segue_soft_report *)0)->first_misuse)];
    uint32_t runs_done;
    uint32_t runs_total;
};

static void print_line(struct check *check, const char *mark, const char *what, const char *detail)
{
    segue_replay_progress_clear(&check->replay.progress);
    char line[SEGUE_ERROR_MESSAGE_SIZE];
    segue_replay_copy_clean(line, sizeof(line), detail);
    printf("%-6s  %-18s %s\n", mark, what, line);
    fflush(stdout);
}

static void print_result(struct check *check, const char *what, bool passed, const char *detail)
{
    check->failure_count += !passed;
    print_line(check, passed ? "ok" : "FAILED", what, detail);
}

/** For what could not be checked: neither good nor bad. */
static void print_unchecked(struct check *check, const char *what, const char *why)
{
    print_line(check, "-", what, why);
}

/** What command buffers with slots touch is known, and validated, when they are submitted. */
static segue_status validate_slots(struct segue_replay *replay)
{
    for (uint32_t i = 0; i < replay->counts.command_buffer_count; ++i) {
        const char *name;
        struct segue_command_buffer_info info;
        segue_command_buffer_get_info(segue_trace_session_command_buffer(replay->session, i, &name),
                                      &info);
        if (info.slot_count > 0 || info.constant_slot_count > 0)
            return segue_trace_session_run(replay->session, NULL);
    }
    return SEGUE_OK;
}

/**
 * Records with full validation. Where that finds a hazard, goes on without it: what the hazard does
 * to the results is worth knowing.
 */
static int record(struct check *check)
{
    struct segue_replay *replay = &check->replay;
    int result = segue_replay_device_open(replay->options, SEGUE_VALIDATION_FULL, &replay->device);
    if (result != SEGUE_REPLAY_GOOD)
        return result;
    char device[256];
    printf("device: %s\n\n", segue_replay_clean(segue_replay_device_describe(
                                 &replay->device, device, sizeof(device))));
    segue_status status = segue_replay_create_session(replay, SEGUE_EXECUTION_STREAM);
    if (status == SEGUE_OK)
        status = validate_slots(replay);
    if (status == SEGUE_OK) {
        print_result(check, "full validation", true, "no hazard between unordered commands");
        return SEGUE_REPLAY_GOOD;
    }
    if (status != SEGUE_HAZARD)
        return segue_replay_trace_failed(replay, status);
    print_result(check, "full validation", false, segue_replay_message(status));
    segue_trace_session_destroy(replay->session);
    replay->session = NULL;
    segue_replay_device_close(&replay->device);
    return segue_replay_record(replay, SEGUE_VALIDATION_BASIC, SEGUE_EXECUTION_STREAM);
}

static int verify_expectations(struct check *check)
{
    const uint32_t count = check->replay.counts.expectation_count;
    char detail[320];
    if (count == 0) {
        print_unchecked(check, "expectations", "the trace has none");
        return SEGUE_REPLAY_GOOD;
    }
    struct segue_verification *results = calloc(count, sizeof(*results));
    if (!results)
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for %u expectations",
                                  count);
    const segue_status status = segue_trace_session_verify(check->replay.session, results);
    uint32_t failed = 0;
    while (status == SEGUE_MISMATCH && failed < count && results[failed].passed)
        ++failed;
    if (status == SEGUE_OK) {
        snprintf(detail, sizeof(detail), "%u of %u hold", count, count);
        print_result(check, "expectations", true, detail);
    } else if (status == SEGUE_MISMATCH) {
        print_result(check, "expectations", false,
                     failed < count ? results[failed].message : segue_replay_message(status));
    }
    free(results);
    if (status != SEGUE_OK && status != SEGUE_MISMATCH)
        return segue_replay_trace_failed(&check->replay, status);
    return SEGUE_REPLAY_GOOD;
}

/** Runs the reference twice: what does not repeat itself cannot be compared with. */
static int run_reference(struct check *check)
{
    struct segue_replay *replay = &check->replay;
    segue_status status = segue_replay_digests_create(replay, &check->expected);
    if (status == SEGUE_OK)
        status = segue_replay_digests_create(replay, &check->actual);
    if (status == SEGUE_OK)
        status = segue_replay_run_digests(replay, replay->session, 0, &check->actual);
    if (status == SEGUE_OK)
        status = segue_replay_run_digests(replay, replay->session, 0, &check->expected);
    if (status != SEGUE_OK)
        return segue_replay_trace_failed(replay, status);
    const uint32_t buffer = segue_replay_compare_digests(&check->expected, &check->actual);
    char detail[320];
    if (buffer < check->expected.count) {
        const char *name;
        bool written;
        segue_trace_session_buffer(replay->session, buffer, &name, &written);
        snprintf(detail, sizeof(detail),
                 "two serial runs leave different bytes in buffer \"%s\": a kernel is not "
                 "deterministic",
                 name);
    } else {
        uint32_t written_count = 0;
        for (uint32_t i = 0; i < replay->counts.buffer_count; ++i) {
            const char *name;
            bool written;
            segue_trace_session_buffer(replay->session, i, &name, &written);
            written_count += written;
        }
        snprintf(detail, sizeof(detail), "%u command buffer%s, %u written buffer%s",
                 replay->counts.command_buffer_count,
                 replay->counts.command_buffer_count == 1 ? "" : "s", written_count,
                 written_count == 1 ? "" : "s");
    }
    print_result(check, "serial reference", buffer == check->expected.count, detail);
    return verify_expectations(check);
}

/** Adds what the driver has found since its report was reset. */
static void collect_report(struct check *check, const struct segue_soft_api *soft)
{
    struct segue_soft_report report;
    soft->get_report(&report);
    if (check->hazard_count == 0)
        memcpy(check->first_hazard, report.first_hazard, sizeof(check->first_hazard));
    if (check->misuse_count == 0)
        memcpy(check->first_misuse, report.first_misuse, sizeof(check->first_misuse));
    check->hazard_count += report.hazard_count;
    check->misuse_count += report.misuse_count;
}

/** Bytes in hexadecimal, and their first word as the values it may be. */
static void print_bytes(const char *what, const uint8_t *bytes, uint32_t size_bytes)
{
    printf("        %-8s", what);
    for (uint32_t i = 0; i < size_bytes; ++i)
        printf(" %02x", bytes[i]);
    if (size_bytes >= 4) {
        uint32_t word;
        float value;
        memcpy(&word, bytes, sizeof(word));
        memcpy(&value, bytes, sizeof(value));
        printf("  u32 %u, f32 %.9g", word, (double)value);
        const uint32_t wide = word << 16;
        memcpy(&value, &wide, sizeof(value));
        printf(", bf16 %.4g", (double)value);
    }
    putchar('\n');
}

static void print_culprit(struct check *check, const struct segue_replay_culprit *culprit)
{
    struct segue_replay *replay = &check->replay;
    const struct segue_replay_difference *difference = &culprit->difference;
    const char *name;
    char clean[256];
    bool written;
    if (culprit->found) {
        segue_trace_session_command_buffer(replay->session, culprit->command_buffer, &name);
        printf("        differs first at command %u of \"%s\": %s\n", culprit->command,
               segue_replay_copy_clean(clean, sizeof(clean), name), culprit->description);
        if (culprit->order.seed != 0)
            printf("        (seen with the commands up to there in order %llu)\n",
                   (unsigned long long)culprit->order.seed);
    } else {
        puts("        no single command could be found where the difference begins");
    }
    segue_trace_session_buffer(replay->session, difference->buffer, &name, &written);
    segue_replay_copy_clean(clean, sizeof(clean), name);
    if (difference->unstable) {
        printf("        buffer \"%s\" differed, but not from a second run of the reference\n",
               clean);
        return;
    }
    printf("        buffer \"%s\" from byte %llu on (%llu bytes differ); at byte %llu:\n", clean,
           (unsigned long long)difference->offset_bytes,
           (unsigned long long)difference->differing_bytes,
           (unsigned long long)difference->window_offset_bytes);
    print_bytes("expected", difference->expected, difference->size_bytes);
    print_bytes("actual", difference->actual, difference->size_bytes);
}

/** Runs everything in one order. @param out_buffer the first buffer that differs, or the count. */
static segue_status run_order(struct check *check, const struct segue_replay_order *order,
                              uint32_t *out_buffer)
{
    const struct segue_soft_api *soft = segue_device_get_soft_api(check->replay.device.handle);
    segue_trace_session *session = NULL;
    if (soft)
        soft->reset_report();
    segue_status status = segue_replay_session_for(&check->replay, order, &session);
    if (status == SEGUE_OK)
        status = segue_replay_run_digests(&check->replay, session, order->seed, &check->actual);
    if (status == SEGUE_OK)
        *out_buffer = segue_replay_compare_digests(&check->expected, &check->actual);
    segue_trace_session_destroy(session);
    if (soft)
        collect_report(check, soft);
    return status;
}

/** Compares one mode in all its orders with the reference; stops at the first difference. */
static int compare_mode(struct check *check, enum segue_execution_mode mode, uint32_t first_seed)
{
    const uint32_t seeds = check->replay.options->seeds;
    const uint32_t order_count = seeds + 1 - first_seed;
    char what[32], detail[128];
    snprintf(what, sizeof(what), "%s mode", segue_replay_mode_name(mode));
    for (uint32_t seed = first_seed; seed <= seeds; ++seed) {
        const struct segue_replay_order order = {
            .mode = mode,
            .seed = seed,
        };
        uint32_t buffer = 0;
        segue_status status = run_order(check, &order, &buffer);
        if (status != SEGUE_OK)
            return segue_replay_trace_failed(&check->replay, status);
        segue_replay_progress_update(&check->replay.progress, "orders", ++check->runs_done,
                                     check->runs_total);
        if (buffer == check->expected.count)
            continue;
        struct segue_replay_culprit culprit;
        status =
            segue_replay_locate(&check->replay, check->replay.session, &order, buffer, &culprit);
        if (status != SEGUE_OK)
            return segue_replay_trace_failed(&check->replay, status);
        snprintf(detail, sizeof(detail), "results differ from the reference with seed %u", seed);
        print_result(check, what, false, detail);
        print_culprit(check, &culprit);
        return SEGUE_REPLAY_GOOD;
    }
    snprintf(detail, sizeof(detail), "same bytes in %u order%s", order_count,
             order_count == 1 ? "" : "s");
    print_result(check, what, true, detail);
    return SEGUE_REPLAY_GOOD;
}

static void print_hazards(struct check *check)
{
    char detail[sizeof(check->first_hazard) + 64];
    if (!check->replay.device.info.is_soft) {
        print_unchecked(check, "static hazards", "only soft:// looks for them");
        return;
    }
    if (check->hazard_count == 0)
        print_result(check, "static hazards", true, "none in any graph");
    else {
        snprintf(detail, sizeof(detail), "%llu found; the first: %s",
                 (unsigned long long)check->hazard_count, check->first_hazard);
        print_result(check, "static hazards", false, detail);
    }
    if (check->misuse_count == 0)
        return;
    snprintf(detail, sizeof(detail), "%llu found; the first: %s",
             (unsigned long long)check->misuse_count, check->first_misuse);
    print_result(check, "driver misuse", false, detail);
}

static int check_all(struct check *check)
{
    const uint32_t seeds = check->replay.options->seeds;
    check->runs_total = 2 * seeds + 1;
    int result = record(check);
    if (result == SEGUE_REPLAY_GOOD)
        result = run_reference(check);
    // Order 0 of stream mode is the reference itself.
    if (result == SEGUE_REPLAY_GOOD)
        result = compare_mode(check, SEGUE_EXECUTION_GRAPH, 0);
    if (result == SEGUE_REPLAY_GOOD && seeds > 0)
        result = compare_mode(check, SEGUE_EXECUTION_STREAM, 1);
    if (result != SEGUE_REPLAY_GOOD)
        return result;
    print_hazards(check);
    if (check->failure_count == 0)
        return SEGUE_REPLAY_GOOD;
    return segue_replay_error(SEGUE_REPLAY_FAILED, "%s: %u of the checks above failed",
                              check->replay.options->trace_path, check->failure_count);
}

int segue_replay_check(const struct segue_replay_options *options)
{
    struct check check = {0};
    int result = segue_replay_load(&check.replay, options);
    if (result == SEGUE_REPLAY_GOOD)
        result = check_all(&check);
    segue_replay_digests_release(&check.expected);
    segue_replay_digests_release(&check.actual);
    segue_replay_close(&check.replay);
    return result;
}
