// SPDX-License-Identifier: Apache-2.0
// segue-bench-compare RUN BASELINE, and segue-bench-compare --names RUN.
#include "compare.h"

#include <string.h>

enum { EXIT_WITHIN = 0, EXIT_WORSE = 1, EXIT_USAGE = 2, EXIT_OTHER_DEVICE = 77 };

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fprintf(stderr, "segue-bench-compare: %s:%d: %s\n", path, error.line, error.text);
    return root;
}

static void print_name(const char *name, double ratio, double ratio_p90, void *context)
{
    (void)ratio;
    (void)ratio_p90;
    (void)context;
    puts(name);
}

static int print_names(const char *path)
{
    json_t *run = load(path);
    const bool good = run && segue_bench_visit_run(run, print_name, NULL);
    json_decref(run);
    return good ? EXIT_WITHIN : EXIT_USAGE;
}

static int compare(const char *run_path, const char *baseline_path)
{
    json_t *run = load(run_path);
    json_t *baseline = run ? load(baseline_path) : NULL;
    struct segue_bench_comparison comparison;
    int result = EXIT_USAGE;
    if (baseline && segue_bench_compare(run, baseline, stdout, &comparison)) {
        if (!comparison.comparable)
            result = EXIT_OTHER_DEVICE;
        else
            result = comparison.worse || comparison.missing ? EXIT_WORSE : EXIT_WITHIN;
    }
    json_decref(baseline);
    json_decref(run);
    return result;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--names") == 0)
        return print_names(argv[2]);
    if (argc == 3)
        return compare(argv[1], argv[2]);
    fputs("usage: segue-bench-compare RUN BASELINE\n"
          "       segue-bench-compare --names RUN\n"
          "Compares the ratios of a run (segue-bench --json) with a baseline (segue-bench\n"
          "--write-baseline). Exit codes: 0 within the recorded spreads, 1 worse or missing,\n"
          "2 usage or a malformed document, 77 the baseline is of another device.\n",
          stderr);
    return EXIT_USAGE;
}
