// SPDX-License-Identifier: Apache-2.0
#include "report.h"

#include <stdio.h>

#define CELL_BYTES 32

bool segue_bench_meets_target(const struct segue_bench_result *result)
{
    const struct segue_bench_target *target = &result->metric->target;
    if (target->value > 0 && result->figure.median > target->value)
        return false;
    if (target->ratio > 0 && result->has_baseline)
        return result->figure.median <= target->ratio * result->baseline.median + target->constant;
    return true;
}

static bool has_target(const struct segue_bench_result *result)
{
    const struct segue_bench_target *target = &result->metric->target;
    return target->value > 0 || (target->ratio > 0 && result->has_baseline);
}

static const char *format_value(char *cell, enum segue_bench_unit unit, double value)
{
    if (unit == SEGUE_BENCH_BYTES)
        snprintf(cell, CELL_BYTES, "%.1f B", value);
    else if (value < 10e3 && value > -10e3)
        snprintf(cell, CELL_BYTES, "%.1f ns", value);
    else if (value < 10e6)
        snprintf(cell, CELL_BYTES, "%.1f us", value / 1e3);
    else
        snprintf(cell, CELL_BYTES, "%.1f ms", value / 1e6);
    return cell;
}

static void format_target(const struct segue_bench_result *result, char *text, size_t capacity)
{
    const struct segue_bench_metric *metric = result->metric;
    const struct segue_bench_target *target = &metric->target;
    char cell[CELL_BYTES];
    const char *verdict = segue_bench_meets_target(result) ? "met" : "MISSED";
    if (target->value > 0)
        snprintf(text, capacity, "  target < %s: %s",
                 format_value(cell, metric->unit, target->value), verdict);
    else if (target->constant > 0)
        snprintf(text, capacity, "  target <= %.3g x + %s: %s", target->ratio,
                 format_value(cell, metric->unit, target->constant), verdict);
    else
        snprintf(text, capacity, "  target <= %.3g x: %s", target->ratio, verdict);
}

static void print_result(const struct segue_bench_result *result)
{
    const enum segue_bench_unit unit = result->metric->unit;
    char figure[CELL_BYTES];
    char low[CELL_BYTES];
    char high[CELL_BYTES];
    printf(
        "%-36s %11s [%11s %11s]", result->name, format_value(figure, unit, result->figure.median),
        format_value(low, unit, result->figure.p10), format_value(high, unit, result->figure.p90));
    if (result->has_baseline)
        printf(" %11s [%11s %11s] %7.3f x", format_value(figure, unit, result->baseline.median),
               format_value(low, unit, result->baseline.p10),
               format_value(high, unit, result->baseline.p90), result->ratio.median);
    else
        printf(" %11s  %11s %11s  %7s  ", "-", "", "", "-");
    if (result->owner->bytes != 0)
        printf("  %.1f GB/s", (double)result->owner->bytes / result->figure.median);
    if (result->metric->baseline)
        printf("  of %s", result->metric->baseline);
    if (has_target(result)) {
        char text[96];
        format_target(result, text, sizeof(text));
        fputs(text, stdout);
    }
    putchar('\n');
}

void segue_bench_print_table(const struct segue_bench *bench)
{
    printf("%s, driver %d, %s%s\n", bench->fixture.info.name, bench->fixture.info.driver_version,
           SEGUE_BENCH_COMMIT, bench->options.quick ? ", quick" : "");
    if (bench->fixture.info.is_soft)
        puts("The software driver's own cost stands for the driver's here: ratios say nothing "
             "about CUDA.");
    printf("%-36s %11s [%11s %11s] %11s [%11s %11s] %9s\n", "", "median", "p10", "p90", "baseline",
           "p10", "p90", "ratio");
    for (uint32_t i = 0; i < bench->result_count; i++)
        print_result(&bench->results[i]);
    for (uint32_t i = 0; i < bench->note_count; i++)
        printf("%s\n", bench->notes[i].text);
}
