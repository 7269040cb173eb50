// SPDX-License-Identifier: Apache-2.0
/*
 * Measures the figures of a device's cost model (segue/cost.h): graphs of known shapes, made by the
 * raw driver out of kernels that do nothing or take a while, and what differs between them.
 */
#include "calibrate.h"

#include "cache_folder.h"
#include "cost_file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_NODES 4096
#define MAX_EDGES 16384
#define MAX_LANES 32
#define REPEATS 30
#define COUNT 960
#define FANS 64
#define MAX_FAN 16

/** Spins for some microseconds: about 3 on an H200. */
static const char spin_ptx[] = ".version 7.0\n"
                               ".target sm_70\n"
                               ".address_size 64\n"
                               ".visible .entry spin()\n"
                               "{\n"
                               "    .reg .u64 %r<4>;\n"
                               "    .reg .pred %p;\n"
                               "    mov.u64 %r1, %clock64;\n"
                               "again:\n"
                               "    mov.u64 %r2, %clock64;\n"
                               "    sub.u64 %r3, %r2, %r1;\n"
                               "    setp.lt.u64 %p, %r3, 5940;\n"
                               "    @%p bra again;\n"
                               "    ret;\n"
                               "}\n"
                               ".visible .entry nothing()\n"
                               "{\n"
                               "    ret;\n"
                               "}\n";

/** A graph being described. */
struct sketch {
    bool spins[MAX_NODES];
    uint32_t first[MAX_NODES + 1];
    uint32_t edges[MAX_EDGES];
    uint32_t count;
    /** The last node of each lane. */
    uint32_t tails[MAX_LANES];
};

struct calibration {
    struct segue_bench *bench;
    CUmodule module;
    CUfunction spin;
    CUfunction nothing;
    struct sketch sketch;
    CUgraphNode nodes[MAX_NODES];
    CUgraphNode listed[MAX_NODES];
    bool failed;
};

/** The least of all repeats: what disturbs a measurement only ever adds to it. */
struct times {
    double launch_ns;
    double done_ns;
};

static uint32_t add(struct calibration *calibration, bool spins)
{
    struct sketch *sketch = &calibration->sketch;
    sketch->spins[sketch->count] = spins;
    sketch->first[sketch->count + 1] = sketch->first[sketch->count];
    return sketch->count++;
}

/** The node added last comes after `node`. */
static void after(struct calibration *calibration, uint32_t node)
{
    struct sketch *sketch = &calibration->sketch;
    sketch->edges[sketch->first[sketch->count]++] = node;
}

static bool check(struct calibration *calibration, CUresult result, const char *call)
{
    if (!segue_bench_check_raw(calibration->bench, result, call))
        calibration->failed = true;
    return !calibration->failed;
}

static bool build(struct calibration *calibration, CUgraph graph)
{
    const struct segue_driver *driver = &calibration->bench->raw.driver;
    const struct sketch *sketch = &calibration->sketch;
    for (uint32_t i = 0; i < sketch->count; i++) {
        const uint32_t edge_count = sketch->first[i + 1] - sketch->first[i];
        for (uint32_t k = 0; k < edge_count; k++)
            calibration->listed[k] = calibration->nodes[sketch->edges[sketch->first[i] + k]];
        const CUDA_KERNEL_NODE_PARAMS params = {
            .func = sketch->spins[i] ? calibration->spin : calibration->nothing,
            .gridDimX = 4,
            .gridDimY = 1,
            .gridDimZ = 1,
            .blockDimX = 32,
            .blockDimY = 1,
            .blockDimZ = 1,
        };
        if (!check(calibration,
                   driver->cuGraphAddKernelNode(&calibration->nodes[i], graph, calibration->listed,
                                                edge_count, &params),
                   "cuGraphAddKernelNode"))
            return false;
    }
    return true;
}

static int compare(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static struct times launch(struct calibration *calibration, CUgraphExec exec)
{
    const struct segue_bench_raw *raw = &calibration->bench->raw;
    struct times least = {.done_ns = 0};
    for (int i = -2; i < REPEATS; i++) {
        const double start_ns = segue_bench_now_ns();
        const CUresult result = raw->driver.cuGraphLaunch(exec, raw->stream);
        const double launched_ns = segue_bench_now_ns();
        if (!check(calibration, result, "cuGraphLaunch") ||
            !check(calibration, raw->driver.cuStreamSynchronize(raw->stream),
                   "cuStreamSynchronize"))
            return (struct times){.done_ns = 0};
        const double done_ns = segue_bench_now_ns() - start_ns;
        if (i <= 0 || done_ns < least.done_ns)
            least.done_ns = done_ns;
        if (i <= 0 || launched_ns - start_ns < least.launch_ns)
            least.launch_ns = launched_ns - start_ns;
    }
    return least;
}

/** Measures what was described, and forgets it. */
static struct times measure(struct calibration *calibration)
{
    const struct segue_driver *driver = &calibration->bench->raw.driver;
    struct times times = {.done_ns = 0};
    CUgraph graph = NULL;
    CUgraphExec exec = NULL;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    if (!calibration->failed &&
        check(calibration, driver->cuGraphCreate(&graph, 0), "cuGraphCreate") &&
        build(calibration, graph) &&
        check(calibration, driver->cuGraphInstantiateWithParams(&exec, graph, &params),
              "cuGraphInstantiateWithParams"))
        times = launch(calibration, exec);
    if (exec)
        (void)check(calibration, driver->cuGraphExecDestroy(exec), "cuGraphExecDestroy");
    if (graph)
        (void)check(calibration, driver->cuGraphDestroy(graph), "cuGraphDestroy");
    calibration->sketch.count = 0;
    return times;
}

/** Scopes of one kernel a lane, all waiting for all: edge by edge, or through `joins` joins. */
static double scope_ns(struct calibration *calibration, uint32_t lanes, bool spins, uint32_t joins)
{
    uint32_t tails[MAX_LANES];
    uint32_t made[MAX_LANES];
    const uint32_t scopes = COUNT / 2 / lanes;
    const uint32_t root = add(calibration, false);
    for (uint32_t scope = 0; scope < scopes; scope++) {
        uint32_t heads[MAX_LANES];
        for (uint32_t join = 0; scope > 0 && join < joins; join++) {
            made[join] = add(calibration, false);
            for (uint32_t k = 0; k < lanes; k++)
                after(calibration, tails[(join + k) % lanes]);
        }
        for (uint32_t lane = 0; lane < lanes; lane++) {
            heads[lane] = add(calibration, spins);
            if (scope == 0)
                after(calibration, root);
            else if (joins > 0)
                after(calibration, made[lane * joins / lanes]);
            for (uint32_t k = 0; scope > 0 && joins == 0 && k < lanes; k++)
                after(calibration, tails[(lane + k) % lanes]);
        }
        memcpy(tails, heads, sizeof(tails));
    }
    add(calibration, false);
    for (uint32_t lane = 0; lane < lanes; lane++)
        after(calibration, tails[lane]);
    return measure(calibration).done_ns / scopes;
}

/** Chains that do not wait for each other; or (`ring`) where each node waits for the one before it
 *  of the next lane, too. */
static struct times chains(struct calibration *calibration, uint32_t lanes, bool spins, bool ring,
                           bool rooted, bool closed)
{
    uint32_t *tails = calibration->sketch.tails;
    const uint32_t root = rooted ? add(calibration, false) : 0;
    for (uint32_t row = 0; row < COUNT / lanes; row++) {
        uint32_t heads[MAX_LANES];
        for (uint32_t lane = 0; lane < lanes; lane++) {
            heads[lane] = add(calibration, spins);
            if (row > 0)
                after(calibration, tails[lane]);
            else if (rooted)
                after(calibration, root);
            if (row > 0 && ring)
                after(calibration, tails[(lane + 1) % lanes]);
        }
        memcpy(tails, heads, sizeof(heads));
    }
    if (closed) {
        add(calibration, false);
        for (uint32_t lane = 0; lane < lanes; lane++)
            after(calibration, tails[lane]);
    }
    return measure(calibration);
}

/** One, `width` beside each other, one, and so on. */
static double fan_ns(struct calibration *calibration, uint32_t width)
{
    uint32_t joint = add(calibration, false);
    for (uint32_t i = 0; i < FANS; i++) {
        const uint32_t first = calibration->sketch.count;
        for (uint32_t k = 0; k < width; k++) {
            add(calibration, false);
            after(calibration, joint);
        }
        joint = add(calibration, false);
        for (uint32_t k = 0; k < width; k++)
            after(calibration, first + k);
    }
    return measure(calibration).done_ns / FANS;
}

static uint32_t figure(double value)
{
    return value < 1 ? 1 : value < UINT32_MAX ? (uint32_t)(value + 0.5) : UINT32_MAX;
}

/** The widest fan before the step that costs far more than the others do. */
static void measure_fan_out(struct calibration *calibration, struct segue_cost_model *model)
{
    double steps[MAX_FAN + 1];
    double sorted[MAX_FAN + 1];
    double before = fan_ns(calibration, 2);
    for (uint32_t width = 3; width <= MAX_FAN; width++) {
        const double now = fan_ns(calibration, width);
        steps[width] = now - before;
        before = now;
    }
    const size_t count = MAX_FAN - 2;
    memcpy(sorted, steps + 3, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), compare);
    const double usual = sorted[count / 2];
    model->fan_out_limit = UINT32_MAX;
    model->fan_out_ns = 0;
    for (uint32_t width = 3; width <= MAX_FAN; width++) {
        if (steps[width] > usual + 400) {
            model->fan_out_limit = width - 1;
            model->fan_out_ns = figure(steps[width] - usual);
            break;
        }
    }
}

static void measure_all(struct calibration *calibration, struct segue_cost_model *model)
{
    // The clocks rise first.
    for (int i = 0; i < 4; i++)
        (void)chains(calibration, 1, true, false, false, false);
    const double node = chains(calibration, 1, false, false, false, false).done_ns / COUNT;
    const double spin = chains(calibration, 1, true, false, false, false).done_ns / COUNT - node;
    model->node_ns = figure(node);
    const double four = chains(calibration, 4, false, false, true, true).done_ns * 4 / COUNT;
    model->lane_ns = figure((four - node) / 3);
    model->issue_ns = figure(chains(calibration, 12, false, false, true, true).done_ns / COUNT);
    const double alone = chains(calibration, 4, true, false, true, true).done_ns * 4 / COUNT;
    const double ring = chains(calibration, 4, true, true, true, true).done_ns * 4 / COUNT;
    model->wait_ns = figure(ring - alone);

    const double issue = model->issue_ns;
    const double all = scope_ns(calibration, 4, true, 0) - node - spin - 3 * issue;
    model->edge_ns = figure(all / 16);
    const double joined = scope_ns(calibration, 8, true, 2) - node - spin - 7 * issue;
    model->join_ns = figure(joined - 24.0 * model->edge_ns);
    measure_fan_out(calibration, model);

    const struct times open = chains(calibration, 24, false, false, false, false);
    const struct times rooted = chains(calibration, 24, false, false, true, false);
    const struct times closed = chains(calibration, 24, false, false, true, true);
    model->launch_root_ns = figure((open.launch_ns - rooted.launch_ns) / 23);
    model->launch_leaf_ns = figure((rooted.launch_ns - closed.launch_ns) / 23);
}

/** Like mkdir -p; what could not be made shows when the file is written. */
static void make_folders(char *folder)
{
    for (char *end = folder + 1; *end != '\0'; end++) {
        if (*end != '/')
            continue;
        *end = '\0';
        (void)mkdir(folder, 0777);
        *end = '/';
    }
    (void)mkdir(folder, 0777);
}

/** Prints the file's content, and writes it where devices look for it. */
static bool keep(const struct segue_bench *bench, const struct segue_cost_model *model)
{
    char folder[PATH_MAX];
    char path[PATH_MAX];
    char problem[SEGUE_COST_PROBLEM_BYTES];
    if (!segue_cache_find_folder(NULL, folder, sizeof(folder)) ||
        !segue_cost_file_path(folder, bench->fixture.info.name, path, sizeof(path))) {
        fputs("segue-bench: there is no cache folder to keep the model in; set HOME\n", stderr);
        return false;
    }
    make_folders(folder);
    if (!segue_cost_file_write(path, bench->fixture.info.name, model, problem)) {
        fprintf(stderr, "segue-bench: %s\n", problem);
        return false;
    }
    printf("%s\n", path);
    segue_cost_file_print(stdout, model);
    return true;
}

bool segue_bench_calibrate(struct segue_bench *bench)
{
    if (bench->fixture.info.is_soft) {
        fputs("segue-bench: the software driver takes no time that could be measured\n", stderr);
        return false;
    }
    struct calibration *calibration = calloc(1, sizeof(*calibration));
    if (!calibration) {
        fputs("segue-bench: out of memory\n", stderr);
        return false;
    }
    const struct segue_driver *driver = &bench->raw.driver;
    calibration->bench = bench;
    struct segue_cost_model model;
    segue_device_get_cost_model(bench->fixture.device, &model);
    if (check(calibration,
              driver->cuModuleLoadDataEx(&calibration->module, spin_ptx, 0, NULL, NULL),
              "cuModuleLoadDataEx") &&
        check(calibration,
              driver->cuModuleGetFunction(&calibration->spin, calibration->module, "spin"),
              "cuModuleGetFunction") &&
        check(calibration,
              driver->cuModuleGetFunction(&calibration->nothing, calibration->module, "nothing"),
              "cuModuleGetFunction"))
        measure_all(calibration, &model);
    if (calibration->module)
        (void)check(calibration, driver->cuModuleUnload(calibration->module), "cuModuleUnload");
    const bool good = !calibration->failed && segue_bench_calibrate_modes(bench, &model);
    if (!good)
        fprintf(stderr, "segue-bench: %s\n", bench->failure);
    free(calibration);
    return good && keep(bench, &model);
}
