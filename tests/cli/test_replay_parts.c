// SPDX-License-Identifier: Apache-2.0
// The parts of segue-replay that a run of the program does not show well: the command line's
// reader, percentiles, tables, the progress bar with a clock of its own, and exit codes.
#include "options.h"
#include "progress.h"
#include "report.h"
#include "schedule.h"
#include "statistics.h"
#include "table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// The command table names them; no test here runs a command.
int segue_replay_run(const struct segue_replay_options *options)
{
    (void)options;
    return SEGUE_REPLAY_GOOD;
}
int segue_replay_check(const struct segue_replay_options *options)
{
    (void)options;
    return SEGUE_REPLAY_GOOD;
}
int segue_replay_bench(const struct segue_replay_options *options)
{
    (void)options;
    return SEGUE_REPLAY_GOOD;
}
int segue_replay_dump(const struct segue_replay_options *options)
{
    (void)options;
    return SEGUE_REPLAY_GOOD;
}
int segue_replay_report(const struct segue_replay_options *options)
{
    (void)options;
    return SEGUE_REPLAY_GOOD;
}

static const struct segue_replay_command *find_command(const char *name)
{
    for (uint32_t i = 0; i < segue_replay_command_count; ++i) {
        if (strcmp(segue_replay_commands[i].name, name) == 0)
            return &segue_replay_commands[i];
    }
    return NULL;
}

/** Parses "COMMAND word word …", up to 15 words. */
static int parse(const char *line, struct segue_replay_options *out_options)
{
    static char words[512];
    char *argv[16];
    int argc = 0;
    snprintf(words, sizeof(words), "%s", line);
    for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    return segue_replay_parse_options(find_command(argv[0]), argc, argv, out_options);
}

static void test_options_of_run(void **state)
{
    (void)state;
    struct segue_replay_options options;
    assert_int_equal(parse("run t.json", &options), SEGUE_REPLAY_GOOD);
    assert_string_equal(options.trace_path, "t.json");
    assert_string_equal(options.device_uri, "auto");
    assert_int_equal(options.iterations, 1);
    assert_int_equal(options.mode, 0);
    assert_false(options.json);
    assert_null(options.outputs_path);

    assert_int_equal(
        parse("run --json t.json -n 7 --mode=stream -d soft:// -o out -k a -k b", &options),
        SEGUE_REPLAY_GOOD);
    assert_string_equal(options.trace_path, "t.json");
    assert_string_equal(options.device_uri, "soft://");
    assert_string_equal(options.outputs_path, "out");
    assert_int_equal(options.iterations, 7);
    assert_int_equal(options.mode, 2);
    assert_true(options.json);
    assert_false(options.validate);
    assert_int_equal(options.kernel_plugin_count, 2);
    assert_string_equal(options.kernel_plugins[1], "b");
}

static void test_json_is_a_file_for_bench(void **state)
{
    (void)state;
    struct segue_replay_options options;
    assert_int_equal(parse("bench --json - t.json --no-restore", &options), SEGUE_REPLAY_GOOD);
    assert_string_equal(options.json_path, "-");
    assert_true(options.no_restore);
    assert_int_equal(options.iterations, 100);
    assert_int_equal(options.warmup, 10);
}

static void test_choices_are_the_public_values(void **state)
{
    (void)state;
    struct segue_replay_options options;
    assert_int_equal(parse("dump t", &options), SEGUE_REPLAY_GOOD);
    assert_int_equal(options.stage, 2);
    assert_int_equal(options.format, 0);
    assert_int_equal(parse("dump t -s dag -f dot", &options), SEGUE_REPLAY_GOOD);
    assert_int_equal(options.stage, 1);
    assert_int_equal(options.format, 2);
}

static void test_refused_command_lines(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "run",
        "run a b",
        "run --nonsense t",
        "run -q t",
        "run --json=1 t",
        "run --mode t",
        "run --mode fast t",
        "run -n 0 t",
        "run -n 1000001 t",
        "run -n 99999999999999999999999 t",
        "run -n -3 t",
        "run -n 3x t",
        "run -n",
        "check --seeds 100001 t",
        "run --device= t",
        "run -k 1 -k 2 -k 3 -k 4 -k 5 -k 6 -k 7",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); ++i) {
        struct segue_replay_options options;
        memset(&options, 0x5A, sizeof(options));
        const struct segue_replay_options untouched = options;
        if (parse(lines[i], &options) != SEGUE_REPLAY_USAGE)
            fail_msg("'%s' was accepted", lines[i]);
        assert_memory_equal(&options, &untouched, sizeof(options));
    }
}

static void test_help_needs_no_trace(void **state)
{
    (void)state;
    struct segue_replay_options options;
    assert_int_equal(parse("check --help", &options), SEGUE_REPLAY_GOOD);
    assert_true(options.help);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"iterations", "mode", "json"};
    assert_string_equal(segue_replay_nearest("iteratoins", words, 3), "iterations");
    assert_string_equal(segue_replay_nearest("jsom", words, 3), "json");
    assert_null(segue_replay_nearest("banana", words, 3));
    char long_word[200];
    memset(long_word, 'x', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    assert_null(segue_replay_nearest(long_word, words, 3));
}

static void assert_near(double actual, double expected)
{
    if (actual < expected - 1e-9 || actual > expected + 1e-9)
        fail_msg("%.12g is not %.12g", actual, expected);
}

static void test_statistics(void **state)
{
    (void)state;
    struct segue_replay_statistics statistics;
    uint64_t samples[101];
    for (uint32_t i = 0; i < 101; ++i)
        samples[i] = 1000 - 10 * (uint64_t)i;
    segue_replay_compute_statistics(samples, 101, &statistics);
    assert_near(statistics.min, 0);
    assert_near(statistics.p50, 500);
    assert_near(statistics.p90, 900);
    assert_near(statistics.p99, 990);
    assert_near(statistics.max, 1000);
    assert_near(statistics.mean, 500);

    uint64_t two[] = {20, 10};
    segue_replay_compute_statistics(two, 2, &statistics);
    assert_near(statistics.p50, 15);
    assert_near(statistics.p90, 19);
    assert_near(statistics.stddev * statistics.stddev, 50);

    uint64_t one[] = {7};
    segue_replay_compute_statistics(one, 1, &statistics);
    assert_near(statistics.p99, 7);
    assert_near(statistics.stddev, 0);
    segue_replay_compute_statistics(one, 0, &statistics);
    assert_near(statistics.max, 0);
}

static void test_table(void **state)
{
    (void)state;
    struct segue_replay_table table = {.column_count = 3};
    segue_replay_table_add(&table, (const char *const[]){"name", "n", "time"});
    segue_replay_table_add(&table, (const char *const[]){"gr\xC3\xBC\xC3\x9F", "1234", "5 us"});
    segue_replay_table_add(&table, (const char *const[]){"a\033[31mb", "1", NULL});
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_true(segue_replay_table_print(&table, 2, stream));
    fclose(stream);
    assert_string_equal(text, "  name        n  time\n"
                              "  gr\xC3\xBC\xC3\x9F     1234  5 us\n"
                              "  a?[31mb     1      \n");
    free(text);
    segue_replay_table_clear(&table);
    assert_int_equal(table.row_count, 0);
}

static uint64_t test_time_ns;

static uint64_t read_test_time(void)
{
    return test_time_ns;
}

/** What the bar has written until now. */
struct screen {
    char *text;
    size_t size;
    struct segue_replay_progress progress;
};

static void open_screen(struct screen *screen)
{
    *screen = (struct screen){0};
    screen->progress.stream = open_memstream(&screen->text, &screen->size);
    screen->progress.now_ns = read_test_time;
    assert_non_null(screen->progress.stream);
    test_time_ns = 5000000000u;
}

static void close_screen(struct screen *screen)
{
    fclose(screen->progress.stream);
    free(screen->text);
}

static size_t written(struct screen *screen)
{
    fflush(screen->progress.stream);
    return screen->size;
}

static void test_progress_of_a_short_step(void **state)
{
    (void)state;
    struct screen screen;
    open_screen(&screen);
    for (uint64_t i = 0; i <= 99; ++i) {
        segue_replay_progress_update(&screen.progress, "orders", i, 100);
        test_time_ns += 10000000;
    }
    assert_int_equal(written(&screen), 0);
    segue_replay_progress_update(&screen.progress, "orders", 100, 100);
    assert_int_equal(written(&screen), 0);
    close_screen(&screen);
}

static void test_progress_of_a_long_step(void **state)
{
    (void)state;
    struct screen screen;
    open_screen(&screen);
    segue_replay_progress_update(&screen.progress, "fill buffers", 0, 64 << 20);
    test_time_ns += 2000000000u;
    segue_replay_progress_update(&screen.progress, "fill buffers", 32 << 20, 64 << 20);
    const size_t drawn = written(&screen);
    assert_non_null(strstr(screen.text, "fill buffers ["));
    assert_non_null(strstr(screen.text, " 50%"));
    assert_non_null(strstr(screen.text, "16.0 MiB/s"));
    // Too soon to draw again.
    test_time_ns += 10000000;
    segue_replay_progress_update(&screen.progress, "fill buffers", 33 << 20, 64 << 20);
    assert_int_equal(written(&screen), drawn);
    test_time_ns += 100000000;
    segue_replay_progress_update(&screen.progress, "fill buffers", 34 << 20, 64 << 20);
    assert_true(written(&screen) > drawn);
    // The end wipes the bar away.
    segue_replay_progress_update(&screen.progress, "fill buffers", 64 << 20, 64 << 20);
    written(&screen);
    assert_string_equal(screen.text + screen.size - 4, "\r\033[K");
    close_screen(&screen);
}

static void test_progress_of_the_next_step(void **state)
{
    (void)state;
    struct screen screen;
    open_screen(&screen);
    segue_replay_progress_update(&screen.progress, "first", 1, 10);
    test_time_ns += 900000000u;
    segue_replay_progress_update(&screen.progress, "second", 1, 10);
    test_time_ns += 900000000u;
    segue_replay_progress_update(&screen.progress, "second", 2, 10);
    assert_int_equal(written(&screen), 0);
    test_time_ns += 200000000u;
    segue_replay_progress_update(&screen.progress, "second", 3, 10);
    assert_true(written(&screen) > 0);
    assert_non_null(strstr(screen.text, "2.7/s"));
    close_screen(&screen);
}

static void test_no_bar_without_a_terminal(void **state)
{
    (void)state;
    struct segue_replay_progress progress = {.stream = NULL, .now_ns = read_test_time};
    segue_replay_progress_update(&progress, "step", 1, 10);
    segue_replay_progress_clear(&progress);
}

static void test_exit_codes(void **state)
{
    (void)state;
    static const struct {
        segue_status status;
        int device;
        int trace;
        int output;
    } cases[] = {
        {SEGUE_OK, 0, 0, 0},
        {SEGUE_INVALID_ARGUMENT, 2, 3, 4},
        {SEGUE_OUT_OF_RANGE, 2, 3, 4},
        {SEGUE_INVALID_STATE, 4, 3, 4},
        {SEGUE_INVALID_ACCESS, 4, 3, 4},
        {SEGUE_HAZARD, 1, 1, 1},
        {SEGUE_OUT_OF_HOST_MEMORY, 4, 4, 4},
        {SEGUE_OUT_OF_DEVICE_MEMORY, 4, 4, 4},
        {SEGUE_UNAVAILABLE, 4, 4, 4},
        {SEGUE_UNIMPLEMENTED, 4, 4, 4},
        {SEGUE_NOT_FOUND, 4, 4, 4},
        {SEGUE_INCOMPATIBLE, 4, 3, 4},
        {SEGUE_COMPILE_FAILED, 4, 4, 4},
        {SEGUE_TIMEOUT, 4, 4, 4},
        {SEGUE_DEVICE_LOST, 4, 4, 4},
        {SEGUE_DRIVER_ERROR, 4, 4, 4},
        {SEGUE_IO_ERROR, 4, 3, 4},
        {SEGUE_INVALID_DATA, 4, 3, 4},
        {SEGUE_MISMATCH, 1, 1, 1},
        {(segue_status)1000, 4, 4, 4},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
        const segue_status status = cases[i].status;
        assert_int_equal(segue_replay_exit_code(status, SEGUE_REPLAY_PHASE_DEVICE),
                         cases[i].device);
        assert_int_equal(segue_replay_exit_code(status, SEGUE_REPLAY_PHASE_TRACE), cases[i].trace);
        assert_int_equal(segue_replay_exit_code(status, SEGUE_REPLAY_PHASE_OUTPUT),
                         cases[i].output);
    }
}

static void test_texts(void **state)
{
    (void)state;
    char text[32];
    assert_string_equal(segue_replay_format_ns(text, sizeof(text), 0), "0 ns");
    assert_string_equal(segue_replay_format_ns(text, sizeof(text), 812), "812 ns");
    assert_string_equal(segue_replay_format_ns(text, sizeof(text), 8120), "8.12 us");
    assert_string_equal(segue_replay_format_ns(text, sizeof(text), 12.3e6), "12.3 ms");
    assert_string_equal(segue_replay_format_ns(text, sizeof(text), 4321e9), "4321 s");
    assert_string_equal(segue_replay_format_bytes(text, sizeof(text), 1536), "1.50 KiB");
    assert_string_equal(segue_replay_copy_clean(text, sizeof(text), "a\tb\x7F\xC2\x9B c"),
                        "a?b??? c");
    assert_string_equal(segue_replay_copy_clean(text, 4, "abcdef"), "abc");
    assert_string_equal(segue_replay_copy_clean(text, sizeof(text), NULL), "");
}

static const struct segue_cost_model cost = {
    .node_ns = 500, .issue_ns = 10, .wait_ns = 900, .edge_ns = 100, .join_ns = 300};

static void schedules_a_diamond(void **state)
{
    (void)state;
    const struct segue_graph_node nodes[] = {{.lane = 0}, {.lane = 0}, {.lane = 1}, {.lane = 0}};
    const struct segue_graph_edge edges[] = {
        {.from = 0, .to = 1}, {.from = 0, .to = 2}, {.from = 1, .to = 3}, {.from = 2, .to = 3}};
    const struct segue_graph_view view = {nodes, 4, edges, 4, 2};
    const uint64_t durations_ns[] = {1000, 2000, 3000, 500};
    struct segue_replay_schedule schedule = {0};
    assert_true(segue_replay_schedule_make(&view, durations_ns, &cost, &schedule));
    const uint64_t starts_ns[] = {0, 1500, 1900, 5800};
    for (int i = 0; i < 4; ++i) {
        assert_int_equal(schedule.slots[i].start_ns, starts_ns[i]);
        assert_int_equal(schedule.slots[i].duration_ns, durations_ns[i]);
    }
    assert_int_equal(schedule.end_ns, 6300);
    assert_int_equal(schedule.critical_count, 3);
    const uint32_t critical[] = {0, 2, 3};
    assert_memory_equal(schedule.critical_nodes, critical, sizeof(critical));
    assert_int_equal(schedule.slots[0].edge, SEGUE_REPLAY_NO_EDGE);
    assert_int_equal(schedule.slots[2].edge, 1);
    assert_int_equal(schedule.slots[3].edge, 3);
    segue_replay_schedule_clear(&schedule);
    segue_replay_schedule_clear(&schedule);
}

/** Starts are apart; a programmatic edge costs nothing; several edges from other lanes cost more.
 */
static void schedules_by_the_costs_of_edges(void **state)
{
    (void)state;
    const struct segue_graph_node nodes[] = {{.lane = 0}, {.lane = 1}, {.lane = 2}, {.lane = 3}};
    const struct segue_graph_edge edges[] = {
        {.from = 0, .to = 3}, {.from = 1, .to = 3}, {.from = 2, .to = 3}};
    struct segue_graph_view view = {nodes, 4, edges, 3, 4};
    const uint64_t durations_ns[] = {100, 100, 100, 100};
    struct segue_replay_schedule schedule = {0};
    assert_true(segue_replay_schedule_make(&view, durations_ns, &cost, &schedule));
    assert_int_equal(schedule.slots[1].start_ns, 10);
    assert_int_equal(schedule.slots[2].start_ns, 20);
    assert_int_equal(schedule.slots[3].start_ns, 20 + 100 + 900 + 2 * 100);
    assert_int_equal(schedule.slots[3].edge, 2);
    segue_replay_schedule_clear(&schedule);

    const struct segue_graph_edge early = {
        .from = 0, .to = 1, .type = SEGUE_GRAPH_EDGE_PROGRAMMATIC};
    view = (struct segue_graph_view){nodes, 2, &early, 1, 2};
    assert_true(segue_replay_schedule_make(&view, durations_ns, &cost, &schedule));
    assert_int_equal(schedule.slots[1].start_ns, 100);
    segue_replay_schedule_clear(&schedule);

    view = (struct segue_graph_view){0};
    assert_true(segue_replay_schedule_make(&view, durations_ns, &cost, &schedule));
    assert_int_equal(schedule.critical_count, 0);
    assert_int_equal(schedule.end_ns, 0);
    segue_replay_schedule_clear(&schedule);
}

/** Every node after those that it waits for, however the lanes lie; the path has no holes. */
static void schedules_random_graphs(void **state)
{
    (void)state;
    enum { NODES = 300, EDGES = 900 };
    static struct segue_graph_node nodes[NODES];
    static struct segue_graph_edge edges[EDGES];
    static uint64_t durations_ns[NODES];
    uint32_t random = 1;
    for (int round = 0; round < 20; ++round) {
        uint32_t edge_count = 0;
        for (uint32_t i = 0; i < NODES; ++i) {
            random = random * 1664525 + 1013904223;
            nodes[i].lane = random >> 29;
            durations_ns[i] = 1 + (random >> 8 & 4095);
            for (uint32_t k = 0; i > 0 && k < 3; ++k) {
                random = random * 1664525 + 1013904223;
                edges[edge_count++] = (struct segue_graph_edge){.from = (random >> 8) % i, .to = i};
            }
        }
        const struct segue_graph_view view = {nodes, NODES, edges, edge_count, 8};
        struct segue_replay_schedule schedule = {0};
        assert_true(segue_replay_schedule_make(&view, durations_ns, &cost, &schedule));
        uint64_t end_ns = 0;
        for (uint32_t i = 0; i < edge_count; ++i) {
            const struct segue_replay_slot *from = &schedule.slots[edges[i].from];
            const struct segue_replay_slot *to = &schedule.slots[edges[i].to];
            assert_true(to->start_ns >= from->start_ns + from->duration_ns + cost.node_ns);
            end_ns =
                to->start_ns + to->duration_ns > end_ns ? to->start_ns + to->duration_ns : end_ns;
        }
        assert_int_equal(schedule.end_ns, end_ns);
        for (uint32_t i = 1; i < schedule.critical_count; ++i) {
            const uint32_t edge = schedule.slots[schedule.critical_nodes[i]].edge;
            assert_int_equal(edges[edge].from, schedule.critical_nodes[i - 1]);
        }
        segue_replay_schedule_clear(&schedule);
    }
}

static void totals_of_other_lowerings(void **state)
{
    (void)state;
    const uint64_t durations_ns[] = {1000, 3000, 2000, 700};
    const uint32_t scopes[] = {0, 0, 2, 3};
    const struct segue_replay_totals totals =
        segue_replay_totals_of(durations_ns, scopes, 4, &cost);
    assert_int_equal(totals.serial_ns, 6700 + 4 * 500);
    // No join of several with several: edges between lanes, then in line.
    assert_int_equal(totals.fork_join_ns, 3000 + 900 + 2000 + 500 + 700 + 500);
    // Two nodes and an empty one, and once more.
    const uint32_t wide[] = {0, 0, 1, 1};
    assert_int_equal(segue_replay_totals_of(durations_ns, wide, 4, &cost).fork_join_ns,
                     3000 + 2000 + 6 * 950);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_a_diamond),
        cmocka_unit_test(schedules_by_the_costs_of_edges),
        cmocka_unit_test(schedules_random_graphs),
        cmocka_unit_test(totals_of_other_lowerings),
        cmocka_unit_test(test_options_of_run),
        cmocka_unit_test(test_json_is_a_file_for_bench),
        cmocka_unit_test(test_choices_are_the_public_values),
        cmocka_unit_test(test_refused_command_lines),
        cmocka_unit_test(test_help_needs_no_trace),
        cmocka_unit_test(test_nearest),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_progress_of_a_short_step),
        cmocka_unit_test(test_progress_of_a_long_step),
        cmocka_unit_test(test_progress_of_the_next_step),
        cmocka_unit_test(test_no_bar_without_a_terminal),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
