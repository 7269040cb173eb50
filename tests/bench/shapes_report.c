// SPDX-License-Identifier: Apache-2.0
#include "shapes.h"

#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** How much slower than the best other lowering Segue may be. */
#define TOLERANCE 1.05
/** How much longer than the graph of one line instantiating may take. */
#define INSTANTIATE_TOLERANCE 1.5

/* ---- Comparisons ----------------------------------------------------------------------------- */

static bool is_other(uint32_t lowering)
{
    return lowering != SEGUE_SHAPES_SEGUE && lowering != SEGUE_SHAPES_UNHINTED &&
           lowering != SEGUE_SHAPES_SUBMIT;
}

/** The lowering, Segue's apart, that is done first. */
static uint32_t best_done(const struct segue_shapes_result *result)
{
    uint32_t best = SEGUE_SHAPES_CHAIN;
    for (uint32_t i = 0; i < SEGUE_SHAPES_COUNT; i++) {
        if (is_other(i) && !result->figures[i].left_out &&
            result->figures[i].done_ns < result->figures[best].done_ns)
            best = i;
    }
    return best;
}

static double ratio(double value, double base)
{
    return base > 0 ? value / base : 0;
}

/** What is compared in the summary. */
struct comparison {
    uint32_t best;
    /** To the lowering that is done first. */
    double done;
    double launch;
    /** To the chain. */
    double launch_to_chain;
    double instantiate;
    double unhinted_done;
    /** Of Segue's own graph to the same built by raw calls. */
    double submit_done;
};

static struct comparison compare(const struct segue_shapes_result *result)
{
    const struct segue_shapes_figures *segue = &result->figures[SEGUE_SHAPES_SEGUE];
    const struct segue_shapes_figures *chain = &result->figures[SEGUE_SHAPES_CHAIN];
    const struct segue_shapes_figures *best = &result->figures[best_done(result)];
    return (struct comparison){
        .best = best_done(result),
        .done = best->done_ratio,
        .launch = best->launch_ratio,
        .launch_to_chain = chain->launch_ratio,
        .instantiate = ratio(segue->instantiate_ns, chain->instantiate_ns),
        .unhinted_done = ratio(result->figures[SEGUE_SHAPES_UNHINTED].done_ns, best->done_ns),
        .submit_done = ratio(result->figures[SEGUE_SHAPES_SUBMIT].done_ns, segue->done_ns),
    };
}

/* ---- For people ------------------------------------------------------------------------------ */

static void print_figures(const struct segue_shapes_figures *figures)
{
    if (figures->left_out)
        printf(" %8s %9s |", "-", "-");
    else
        printf(" %8.1f %9.1f |", figures->launch_ns / 1e3, figures->done_ns / 1e3);
}

static void print_table(const struct segue_shapes *shapes)
{
    puts("Microseconds of the launch's host time, and until the device is done (medians).");
    printf("%-32s", "");
    for (uint32_t i = 0; i < SEGUE_SHAPES_COUNT; i++)
        printf(" %-18s |", segue_shapes_lowering_names[i]);
    putchar('\n');
    for (uint32_t i = 0; i < shapes->result_count; i++) {
        const struct segue_shapes_result *result = &shapes->results[i];
        printf("%-32s", result->owner->name);
        for (uint32_t k = 0; k < SEGUE_SHAPES_COUNT; k++)
            print_figures(&result->figures[k]);
        putchar('\n');
    }
}

static void print_ratios(const struct segue_shapes *shapes)
{
    puts("\nSegue's shape to the other lowering that is done first, and to the one-lane graph.");
    printf("%-32s %-12s %8s %8s %8s %8s %8s %8s %6s %7s\n", "", "best other", "done", "unhinted",
           "launch", "/chain", "instant.", "submit", "nodes", "edges");
    for (uint32_t i = 0; i < shapes->result_count; i++) {
        const struct segue_shapes_result *result = &shapes->results[i];
        const struct comparison comparison = compare(result);
        const struct segue_shapes_figures *segue = &result->figures[SEGUE_SHAPES_SEGUE];
        printf("%-32s %-12s %8.3f %8.3f %8.3f %8.3f %8.3f %8.3f %6u %7u%s\n", result->owner->name,
               segue_shapes_lowering_names[comparison.best], comparison.done,
               comparison.unhinted_done, comparison.launch, comparison.launch_to_chain,
               comparison.instantiate, comparison.submit_done, segue->node_count, segue->edge_count,
               comparison.done > TOLERANCE ? "  slower" : "");
    }
}

/** One aim and how far off it is. */
static void print_aim(const char *name, double value, double limit, const char *unit)
{
    printf("  %-62s %9.3f of %9.3f %-3s %s\n", name, value, limit, unit,
           value <= limit ? "met" : "MISSED");
}

static const struct segue_shapes_result *find(const struct segue_shapes *shapes, const char *name)
{
    for (uint32_t i = 0; i < shapes->result_count; i++) {
        if (strcmp(shapes->results[i].owner->name, name) == 0)
            return &shapes->results[i];
    }
    return NULL;
}

static double launch_us(const struct segue_shapes_result *result)
{
    return result->figures[SEGUE_SHAPES_SEGUE].launch_ns / 1e3;
}

static double done_us(const struct segue_shapes_result *result)
{
    return result->figures[SEGUE_SHAPES_SEGUE].done_ns / 1e3;
}

/** Absolute times, as aimed at on an H200. */
static void print_absolute_aims(const struct segue_shapes *shapes)
{
    const struct segue_shapes_result *empty = find(shapes, "shapes/scopes/w32/0us/4b/all");
    const struct segue_shapes_result *wide = find(shapes, "shapes/scopes/w32/3us/4b/all");
    const struct segue_shapes_result *narrow = find(shapes, "shapes/scopes/w4/3us/4b/all");
    const struct segue_shapes_result *trace = find(shapes, "shapes/trace");
    if (empty) {
        print_aim("scopes of 32 empty kernels: launch", launch_us(empty), 9, "us");
        print_aim("scopes of 32 empty kernels: done", done_us(empty), 230, "us");
    }
    if (wide)
        print_aim("scopes of 32 kernels of 3 us: done", done_us(wide), 355, "us");
    if (narrow)
        print_aim("scopes of 4 kernels of 3 us: done", done_us(narrow), 1045, "us");
    if (trace) {
        const struct segue_shapes_figures *fork_join = &trace->figures[SEGUE_SHAPES_FORK_JOIN];
        print_aim("trace: launch, of fork-join's", fork_join->launch_ratio, 1 / 1.5, "x");
        print_aim("trace: done, of fork-join's", fork_join->done_ratio, 1, "x");
    }
}

/** The worst of a ratio over all cases, and how many are above its limit. */
static void print_worst(const struct segue_shapes *shapes, const char *name, double limit,
                        size_t field)
{
    double worst = 0;
    uint32_t above = 0;
    const char *where = "";
    for (uint32_t i = 0; i < shapes->result_count; i++) {
        const struct comparison comparison = compare(&shapes->results[i]);
        double value;
        memcpy(&value, (const char *)&comparison + field, sizeof(value));
        above += value > limit;
        if (value > worst) {
            worst = value;
            where = shapes->results[i].owner->name;
        }
    }
    print_aim(name, worst, limit, "x");
    printf("    worst: %s; above: %u of %u cases\n", where, above, shapes->result_count);
}

/* ---- For docs/performance.md ----------------------------------------------------------------- */

/** Of the many scopes those of 4 blocks stand there; random programs are summed up. */
static bool has_row(const char *name)
{
    if (strstr(name, "/random/"))
        return false;
    return !strstr(name, "/scopes/") || strstr(name, "/4b/");
}

static void print_cell(const struct segue_shapes_figures *figures)
{
    if (figures->left_out)
        printf(" - |");
    else
        printf(" %.1f / %.1f |", figures->launch_ns / 1e3, figures->done_ns / 1e3);
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

/** All cases whose name contains a piece, in one line. */
static void print_sum(const struct segue_shapes *shapes, const char *piece, const char *title)
{
    double ratios[SEGUE_SHAPES_MAX_CASES];
    uint32_t count = 0;
    for (uint32_t i = 0; i < shapes->result_count; i++) {
        if (strstr(shapes->results[i].owner->name, piece))
            ratios[count++] = compare(&shapes->results[i]).done;
    }
    if (count == 0)
        return;
    qsort(ratios, count, sizeof(ratios[0]), compare_doubles);
    printf(
        "%u %s: done in %.2f (median), at best %.2f and at worst %.2f of the best other's time.\n",
        count, title, ratios[count / 2], ratios[0], ratios[count - 1]);
}

static void print_markdown(const struct segue_shapes *shapes)
{
    puts("\n| us in the launch / until done | Segue | without hints | fork-join | join kernel | "
         "all-to-all | one lane | stream | to best other |\n|---|---|---|---|---|---|---|---|---|");
    for (uint32_t i = 0; i < shapes->result_count; i++) {
        const struct segue_shapes_result *result = &shapes->results[i];
        if (!has_row(result->owner->name))
            continue;
        printf("| %s |", result->owner->name + strlen("shapes/"));
        for (uint32_t k = 0; k <= SEGUE_SHAPES_STREAM; k++)
            print_cell(&result->figures[k]);
        printf(" %.2f |\n", compare(result).done);
    }
    putchar('\n');
    print_sum(shapes, "/random/", "random programs");
    print_sum(shapes, "/scopes/", "cases of scopes");
}

void segue_shapes_print(const struct segue_shapes *shapes)
{
    const struct segue_bench *bench = shapes->bench;
    printf("%s, driver %d, %s%s\n", bench->fixture.info.name, bench->fixture.info.driver_version,
           SEGUE_BENCH_COMMIT, bench->options.quick ? ", quick" : "");
    if (bench->fixture.info.is_soft)
        puts("The software driver's own cost stands for the driver's here: nothing below says "
             "anything about CUDA.");
    print_table(shapes);
    print_ratios(shapes);
    print_markdown(shapes);
    puts("\nAims");
    print_absolute_aims(shapes);
    print_worst(shapes, "done, to the best other lowering", TOLERANCE,
                offsetof(struct comparison, done));
    print_worst(shapes, "done without hints, to the best other lowering", TOLERANCE,
                offsetof(struct comparison, unhinted_done));
    print_worst(shapes, "launch, to that of the same lowering", TOLERANCE,
                offsetof(struct comparison, launch));
    print_worst(shapes, "instantiate, to the one-lane graph", INSTANTIATE_TOLERANCE,
                offsetof(struct comparison, instantiate));
}

/* ---- For programs ---------------------------------------------------------------------------- */

static json_t *make_entry(const struct segue_shapes_result *result, uint32_t family,
                          uint32_t lowering)
{
    const struct segue_shapes_figures *figures = &result->figures[lowering];
    char name[SEGUE_SHAPES_NAME_BYTES + 24];
    snprintf(name, sizeof(name), "%s/%s", result->owner->name,
             segue_shapes_lowering_names[lowering]);
    json_t *entry = json_pack(
        "{s:s, s:i, s:i, s:s, s:s, s:i, s:i, s:i, s:s, s:s, s:s}", "name", name, "family_index",
        (int)family, "per_family_instance_index", (int)lowering, "run_name", name, "run_type",
        "aggregate", "repetitions", 1, "threads", 1, "iterations", (int)figures->repeats,
        "aggregate_name", "median", "aggregate_unit", "time", "time_unit", "ns");
    int failed = entry == NULL;
    if (figures->left_out) {
        failed |= json_object_set_new(entry, "error_occurred", json_true());
        failed |= json_object_set_new(entry, "error_message", json_string(figures->left_out));
    } else {
        json_t *measured = json_pack(
            "{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:i, s:i}", "real_time", figures->done_ns,
            "cpu_time", figures->launch_ns, "done_p10", figures->done_p10_ns, "done_p90",
            figures->done_p90_ns, "instantiate_ns", figures->instantiate_ns, "segue_launch_ratio",
            figures->launch_ratio, "segue_done_ratio", figures->done_ratio, "nodes",
            (int)figures->node_count, "edges", (int)figures->edge_count);
        failed |= measured == NULL || json_object_update(entry, measured) != 0;
        json_decref(measured);
    }
    if (lowering == SEGUE_SHAPES_SUBMIT)
        failed |= json_object_set_new(entry, "lower_ns", json_real(result->lower_ns));
    if (!failed)
        return entry;
    json_decref(entry);
    return NULL;
}

json_t *segue_shapes_make_json(const struct segue_shapes *shapes)
{
    json_t *benchmarks = json_array();
    int failed = benchmarks == NULL;
    for (uint32_t i = 0; i < shapes->result_count; i++) {
        for (uint32_t k = 0; k < SEGUE_SHAPES_COUNT; k++)
            failed |= json_array_append_new(benchmarks, make_entry(&shapes->results[i], i, k));
    }
    if (!failed)
        return json_pack("{s:o, s:o}", "context", segue_bench_make_context(shapes->bench),
                         "benchmarks", benchmarks);
    json_decref(benchmarks);
    return NULL;
}
