// SPDX-License-Identifier: Apache-2.0
// The cost model: what commands cost by it, its files, and which one a device takes.
#include "cost.h"
#include "cost_file.h"
#include "null_backend.h"
#include "recording.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct segue_cost_model h200(void)
{
    struct segue_cost_model model = segue_cost_model_h200;
    model.multiprocessor_count = 132;
    return model;
}

static struct segue_work_cost dispatch_cost(uint32_t duration_ns, uint32_t blocks, uint32_t threads)
{
    const struct segue_cost_model model = h200();
    struct segue_dispatch_segment *dispatch = calloc(1, sizeof *dispatch);
    assert_non_null(dispatch);
    dispatch->base.kind = SEGUE_COMMAND_DISPATCH;
    dispatch->base.duration_ns = duration_ns;
    dispatch->grid[0] = blocks;
    dispatch->grid[1] = dispatch->grid[2] = 1;
    dispatch->block[0] = threads;
    dispatch->block[1] = dispatch->block[2] = 1;
    struct segue_work_cost cost = segue_work_cost(&model, &dispatch->base);
    free(dispatch);
    return cost;
}

static void test_dispatches(void **state)
{
    (void)state;
    assert_int_equal(dispatch_cost(1234, 1, 32).duration_ns, 1234);
    assert_int_equal(dispatch_cost(0, 1, 32).duration_ns,
                     segue_cost_model_h200.unknown_duration_ns);
    // By blocks: 32 fit on a multiprocessor. By threads: 2048.
    assert_int_equal(dispatch_cost(1, 132, 32).share, SEGUE_WHOLE_DEVICE / 32);
    assert_int_equal(dispatch_cost(1, 132, 1024).share, SEGUE_WHOLE_DEVICE / 2);
    assert_int_equal(dispatch_cost(1, 264, 1024).share, SEGUE_WHOLE_DEVICE);
    assert_int_equal(dispatch_cost(1, UINT32_MAX, 1024).share, SEGUE_WHOLE_DEVICE);
    assert_in_range(dispatch_cost(1, 1, 1).share, 1, 16);
}

static struct segue_work_cost fill_cost(uintptr_t object, uint64_t length_bytes)
{
    const struct segue_cost_model model = h200();
    const struct segue_fill_segment fill = {
        .base = {.kind = SEGUE_COMMAND_FILL},
        .target = {.object = object, .length_bytes = length_bytes},
    };
    return segue_work_cost(&model, &fill.base);
}

static void test_transfers(void **state)
{
    (void)state;
    struct segue_memory device_memory = {.backend = {.host_pointer = NULL}};
    struct segue_memory host_memory = {.backend = {.host_pointer = &host_memory}};
    const struct segue_buffer device_buffer = {.memory = &device_memory};
    const struct segue_buffer host_buffer = {.memory = &host_memory};
    const uint64_t large = UINT64_C(1) << 24;
    assert_int_equal(fill_cost((uintptr_t)&device_buffer, 4).duration_ns, 1);
    assert_int_equal(fill_cost((uintptr_t)&device_buffer, 4).share, 1);
    struct segue_work_cost filled = fill_cost((uintptr_t)&device_buffer, large);
    assert_in_range(filled.duration_ns, 4000, 6000);
    assert_int_equal(filled.share, SEGUE_WHOLE_DEVICE);
    assert_in_range(fill_cost((uintptr_t)&host_buffer, large).duration_ns, 250000, 400000);
    // A slot of unknown size, and more than any memory.
    assert_int_equal(fill_cost(1, SEGUE_WHOLE_SIZE).duration_ns,
                     segue_cost_model_h200.unknown_duration_ns);
    assert_int_equal(fill_cost(1, SEGUE_WHOLE_SIZE - 1).duration_ns, UINT32_MAX);

    const struct segue_cost_model model = h200();
    struct segue_copy_segment copy = {
        .base = {.kind = SEGUE_COMMAND_COPY},
        .source = {.object = (uintptr_t)&device_buffer, .length_bytes = large},
        .target = {.object = (uintptr_t)&device_buffer, .length_bytes = large},
    };
    assert_int_equal(segue_work_cost(&model, &copy.base).duration_ns, filled.duration_ns * 2);
    copy.source.object = (uintptr_t)&host_buffer;
    assert_in_range(segue_work_cost(&model, &copy.base).duration_ns, 500000, 800000);
    struct segue_cost_model zero = {0};
    (void)segue_work_cost(&zero, &copy.base);
}

/* ---- Stream or graph --------------------------------------------------------------------------
 */

/** A recording of that many dispatches, one after the other in one block of memory. */
static struct segue_recording *record_dispatches(uint32_t count, uint32_t duration_ns)
{
    struct segue_recording *recording = calloc(1, sizeof *recording);
    struct segue_dispatch_segment *dispatches = calloc(count, sizeof *dispatches);
    assert_non_null(recording);
    assert_non_null(dispatches);
    for (uint32_t i = 0; i < count; i++) {
        dispatches[i].base.kind = SEGUE_COMMAND_DISPATCH;
        dispatches[i].base.duration_ns = duration_ns;
        dispatches[i].base.next = i + 1 < count ? &dispatches[i + 1].base : NULL;
    }
    recording->first = &dispatches[0].base;
    recording->work_count = count;
    return recording;
}

static bool built_pays(const struct segue_cost_model *model, uint32_t count, uint32_t duration_ns,
                       uint64_t edge_count)
{
    struct segue_recording *recording = record_dispatches(count, duration_ns);
    const uint64_t edge_limit = segue_built_graph_edge_limit(model, recording);
    const bool pays = edge_limit != 0 && edge_count <= edge_limit;
    free(recording->first);
    free(recording);
    return pays;
}

static void test_stream_or_graph(void **state)
{
    (void)state;
    const struct segue_cost_model model = {
        .node_ns = 500,
        .unknown_duration_ns = 20000,
        .stream_launch_ns = 3000,
        .graph_launch_ns = 4000,
        .graph_write_node_ns = 1000,
        .graph_build_ns = 10000,
        .graph_build_node_ns = 1500,
        .graph_build_edge_ns = 100,
    };
    assert_false(segue_graph_pays(&model, 0));
    assert_false(segue_graph_pays(&model, 1));
    assert_true(segue_graph_pays(&model, 2));
    assert_false(segue_kept_graph_pays(&model, 0));
    assert_false(segue_kept_graph_pays(&model, 1));
    assert_true(segue_kept_graph_pays(&model, 2));
    // 1 us is left of each launch on a stream: for 14 us, and for what the kernels take.
    assert_false(built_pays(&model, 14, 1, 0));
    assert_true(built_pays(&model, 15, 1, 0));
    assert_false(built_pays(&model, 28, 500, 0));
    assert_true(built_pays(&model, 29, 500, 0));
    assert_false(built_pays(&model, 1000, 1000, 0));
    assert_false(built_pays(&model, 1000, 0, 0));
    // An edge for each node is in what a node takes.
    assert_true(built_pays(&model, 29, 500, 29));
    assert_false(built_pays(&model, 29, 500, 29 + 5));
    // On an H200 building takes as long as the stream at best.
    assert_false(built_pays(&segue_cost_model_h200, 100000, 1, 0));
    // Transfers stay where they are.
    struct segue_recording *recording = record_dispatches(100, 1);
    assert_int_not_equal(segue_built_graph_edge_limit(&model, recording), 0);
    recording->first->next->kind = SEGUE_COMMAND_FILL;
    assert_int_equal(segue_built_graph_edge_limit(&model, recording), 0);
    free(recording->first);
    free(recording);
}

/* ---- Files ------------------------------------------------------------------------------------
 */

static char folder[] = "/tmp/segue_cost_XXXXXX";
static char path[PATH_MAX];

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) && segue_cost_file_path(folder, "null", path, sizeof path) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    (void)remove(path);
    return rmdir(folder);
}

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_paths(void **state)
{
    (void)state;
    char text[64];
    assert_true(segue_cost_file_path("/a b", "NVIDIA H200/x", text, sizeof text));
    assert_string_equal(text, "/a b/cost-NVIDIA-H200-x.txt");
    assert_false(segue_cost_file_path("/a b", "NVIDIA H200", text, 10));
}

static void test_write_and_read(void **state)
{
    (void)state;
    char problem[SEGUE_COST_PROBLEM_BYTES] = "";
    struct segue_cost_model model = {0};
    assert_int_equal(segue_cost_file_read(path, &model, problem), SEGUE_COST_FILE_MISSING);
    struct segue_cost_model written = h200();
    written.join_ns = UINT32_MAX;
    assert_true(segue_cost_file_write(path, "null", &written, problem));
    assert_int_equal(segue_cost_file_read(path, &model, problem), SEGUE_COST_FILE_READ);
    assert_memory_equal(&model, &written, sizeof model);
    // What a file leaves out stays.
    write_text("# only this\n\nedge_ns 7 # and a comment\n  node_ns\t8\n");
    assert_int_equal(segue_cost_file_read(path, &model, problem), SEGUE_COST_FILE_READ);
    assert_int_equal(model.edge_ns, 7);
    assert_int_equal(model.node_ns, 8);
    assert_int_equal(model.join_ns, UINT32_MAX);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *problem;
    } cases[] = {
        {"edge_ns 1\nedge_nss 2\n", ":2: the line has a name"},
        {"edge_ns\n", ":1: the line is not"},
        {"edge_ns 1 2\n", ":1: the line is not"},
        {"edge_ns x\n", ":1: the line has no number"},
        {"edge_ns -1\n", ":1: the line has no number"},
        {"edge_ns 4294967296\n", ":1: the line has no number"},
        {"edge_ns 99999999999999999999\n", ":1: the line has no number"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char problem[SEGUE_COST_PROBLEM_BYTES] = "";
        struct segue_cost_model model = h200();
        const struct segue_cost_model before = model;
        write_text(cases[i].text);
        assert_int_equal(segue_cost_file_read(path, &model, problem), SEGUE_COST_FILE_BAD);
        assert_non_null(strstr(problem, cases[i].problem));
        assert_memory_equal(&model, &before, sizeof model);
    }
    char line[400];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    char problem[SEGUE_COST_PROBLEM_BYTES] = "";
    struct segue_cost_model model = h200();
    write_text(line);
    assert_int_equal(segue_cost_file_read(path, &model, problem), SEGUE_COST_FILE_BAD);
    assert_non_null(strstr(problem, "too long"));
    assert_int_equal(segue_cost_file_read(folder, &model, problem), SEGUE_COST_FILE_BAD);
    assert_false(segue_cost_file_write("/nowhere/at/all", "null", &model, problem));
    assert_non_null(strstr(problem, "/nowhere/at/all"));
}

/* ---- Devices ----------------------------------------------------------------------------------
 */

static char logged[512];

static void keep_log(void *context, enum segue_log_level level, const char *message)
{
    (void)context;
    if (level == SEGUE_LOG_WARNING)
        (void)snprintf(logged, sizeof logged, "%s", message);
}

static struct segue_cost_model model_of_device(const char *cache_path,
                                               const struct segue_cost_model *given)
{
    const struct segue_device_params params = {
        .compile_cache_path = cache_path,
        .cost_model = given,
        .log = keep_log,
    };
    logged[0] = '\0';
    segue_device *device = NULL;
    assert_int_equal(segue_device_open_with(null_backend_open, "cuda://0", &params, &device),
                     SEGUE_OK);
    struct segue_cost_model model;
    segue_device_get_cost_model(device, &model);
    segue_device_destroy(device);
    return model;
}

static void test_devices(void **state)
{
    (void)state;
    struct segue_cost_model expected = h200();
    struct segue_cost_model model = model_of_device("", NULL);
    assert_memory_equal(&model, &expected, sizeof model);
    write_text("edge_ns 77\n");
    expected.edge_ns = 77;
    model = model_of_device(folder, NULL);
    assert_memory_equal(&model, &expected, sizeof model);
    assert_string_equal(logged, "");
    // What is given comes first; a bad file is none.
    struct segue_cost_model given = {.edge_ns = 5, .multiprocessor_count = 9};
    model = model_of_device(folder, &given);
    assert_memory_equal(&model, &given, sizeof model);
    write_text("edge_ns 78\nnonsense\n");
    expected.edge_ns = segue_cost_model_h200.edge_ns;
    model = model_of_device(folder, NULL);
    assert_memory_equal(&model, &expected, sizeof model);
    assert_non_null(strstr(logged, ":2: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dispatches),
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_stream_or_graph),
        cmocka_unit_test(test_paths),
        cmocka_unit_test_setup_teardown(test_write_and_read, make_folder, NULL),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test_setup_teardown(test_devices, NULL, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
