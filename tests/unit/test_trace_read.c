// SPDX-License-Identifier: Apache-2.0
// Reading traces: good ones are read in full, every kind of bad one gets its one line.
#include "test.h"
#include "trace/model.h"
#include "trace/trace_read.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef SEGUE_TRACES
#error "SEGUE_TRACES must be the folder tests/traces"
#endif

static char folder[64];

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/segue-test-XXXXXX");
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    return chdir("/") == 0 ? system(command) : -1;
}

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) < (1 << 20) - 1);
    fclose(file);
    return text;
}

static void reads_every_part(void **state)
{
    (void)state;
    segue_trace *trace = NULL;
    CHECK_OK(segue_trace_load(SEGUE_TRACES "/good/everything.json", &trace));
    assert_int_equal(trace->buffer_count, 10);
    const struct segue_trace_buffer *buffer = &trace->buffers[3];
    assert_string_equal(buffer->name, "y top");
    assert_int_equal(buffer->root, 1);
    assert_int_equal(buffer->root_offset_bytes, 768);
    assert_int_equal(buffer->content.generated.pattern, 0x3f800000);
    assert_string_equal(trace->buffers[1].label, "result");
    assert_int_equal(trace->buffers[4].memory, SEGUE_MEMORY_HOST_VISIBLE);
    assert_true(trace->buffers[4].content.generated.seed == 0xfedcba9876543210);
    assert_true(trace->buffers[4].content.generated.a == 1);
    assert_true(trace->buffers[4].content.generated.b == 0.5);
    assert_int_equal(trace->buffers[5].usage, SEGUE_BUFFER_USAGE_READ_ONLY);
    assert_true(trace->buffers[6].content.generated.a == -8);
    assert_false(trace->buffers[7].has_content);
    assert_int_equal(trace->buffers[7].usage, SEGUE_BUFFER_USAGE_ALL);

    const struct segue_executable_params *executable = &trace->executables[0].params;
    assert_int_equal(executable->format, SEGUE_EXECUTABLE_CUDA_SOURCE);
    assert_int_equal(executable->size_bytes, strlen(executable->data));
    assert_string_equal(executable->options[0], "-DUNUSED=1");
    assert_int_equal(executable->entry_points[0].parameter_count, 4);
    assert_int_equal(executable->entry_points[0].parameters[0].access, SEGUE_ACCESS_WRITE);
    assert_int_equal(executable->entry_points[0].parameters[0].align_bytes, 4);
    assert_int_equal(executable->entry_points[0].parameters[1].size_bytes, 8);
    assert_int_equal(executable->entry_points[0].block_size[0], 256);
    assert_int_equal(trace->executables[0].constants_bytes[0], 16);
    assert_int_equal(trace->executables[0].binding_counts[1], 2);

    const struct segue_trace_packed *packed = trace->buffers[8].packed;
    assert_ptr_equal(packed, &trace->packings[0]);
    assert_int_equal(packed->source_count, 1);
    assert_int_equal(packed->sources[0].size_bytes, 256);
    assert_int_not_equal(packed->sources[0].content.tensor, SEGUE_TRACE_NONE);
    assert_int_equal(packed->dispatch->entry_point, 1);
    assert_int_equal(packed->dispatch->block[0], 64);
    assert_int_equal(packed->layout_id, 7);
    assert_int_equal(packed->layout_version, 2);
    assert_int_equal(packed->probe->block[0], 32);
    assert_int_equal(packed->probe_input_bytes[0], 29);
    assert_int_equal(packed->probe_output_bytes, 29);
    assert_null(trace->buffers[5].packed);

    const struct segue_trace_command *commands = trace->command_buffers[0].commands;
    assert_int_equal(trace->command_buffers[0].command_count, 16);
    assert_int_equal(trace->command_buffers[0].mode, SEGUE_EXECUTION_GRAPH);
    assert_string_equal(trace->command_buffers[0].label, "everything");
    assert_memory_equal(commands[1].as.update.data, "\xde\xad\xbe\xef", 4);
    assert_int_equal(commands[2].as.update.target.length_bytes, 512);
    assert_int_equal(commands[2].as.update.data[3], (3 * 7 + 3) & 255);
    assert_int_equal(commands[3].as.fill.pattern_size_bytes, 1);
    assert_int_equal(commands[6].as.barrier->memory_barriers[0].source,
                     SEGUE_ACCESS_MASK_TRANSFER_WRITE);
    assert_int_equal(commands[6].as.barrier->memory_barriers[0].target,
                     SEGUE_ACCESS_MASK_TRANSFER_READ | SEGUE_ACCESS_MASK_TRANSFER_WRITE);
    assert_int_equal(commands[10].as.barrier->flags, SEGUE_BARRIER_EXECUTION);
    const struct segue_trace_dispatch *dispatch = commands[13].as.dispatch;
    assert_int_equal(dispatch->entry_point, 1);
    assert_int_equal(dispatch->block[0], 64);
    assert_int_equal(dispatch->duration_ns, 2600);
    assert_int_equal(commands[12].as.dispatch->duration_ns, 0);
    assert_int_equal(dispatch->bindings[0].length_bytes, 256);
    assert_memory_equal(dispatch->constants, "\0\1\0\0\0\0\0\0", 8);
    assert_int_equal(trace->command_buffers[0].event_command_count, 3);
    assert_int_equal(trace->command_buffers[1].slot_command_count, 3);
    assert_int_equal(trace->command_buffers[1].flags, SEGUE_COMMAND_BUFFER_UNRETAINED |
                                                          SEGUE_COMMAND_BUFFER_BARRIER_ORDER |
                                                          SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT);
    assert_true(trace->command_buffers[1].commands[0].as.copy.source.length_bytes ==
                SEGUE_WHOLE_SIZE);

    const struct segue_trace_command_buffer *constants = &trace->command_buffers[3];
    assert_int_equal(constants->constant_slot_count, 3);
    assert_string_equal(constants->constant_slots[1].name, "length");
    assert_int_equal(constants->constant_slots[1].size_bytes, 8);
    dispatch = constants->commands[0].as.dispatch;
    assert_int_equal(dispatch->constant_use_count, 2);
    assert_int_equal(dispatch->constant_uses[0].slot, 1);
    assert_int_equal(dispatch->constant_uses[1].slot, 0);
    assert_int_equal(dispatch->constant_uses[1].offset_bytes, 8);
    assert_int_equal(dispatch->constant_uses[1].size_bytes, 4);
    const struct segue_constant_value *values = trace->submissions[3].executions[1].constants;
    assert_int_equal(values[0].as.u32, 257);
    assert_true(values[1].size_bytes == 8 && values[1].as.u64 == 8);
    assert_true(values[2].as.u64 == UINT64_MAX);
    assert_int_equal(trace->submissions[3].executions[0].constants[2].size_bytes, 0);

    assert_int_equal(trace->queue_count, 2);
    assert_int_equal(trace->semaphores[1].initial_value, 2);
    assert_int_equal(trace->submissions[1].waits[0].value, 1);
    assert_int_equal(trace->submissions[1].executions[0].bindings[1].length_bytes, 768);
    assert_int_equal(trace->submissions[2].execution_count, 0);
    assert_int_equal(trace->executed_command_count, 16 + 1 + 3 + 2);
    assert_int_equal(trace->expectations[0].dtype, SEGUE_DTYPE_F32);
    assert_true(trace->expectations[0].relative_tolerance == 1e-6);
    assert_int_equal(trace->expectations[2].tensor, SEGUE_TRACE_NONE);
    assert_memory_equal(trace->expectations[2].digest.bytes, "\x99\xaa\x06\xd3", 4);
    unsigned char bytes[4];
    CHECK_OK(segue_trace_read_tensor(trace, trace->buffers[0].content.tensor, 4, bytes, 4));
    assert_memory_equal(bytes, &(float){-7.75F}, 4);
    segue_trace_destroy(trace);
    segue_trace_destroy(NULL);
}

static void reads_all_good_traces(void **state)
{
    (void)state;
    DIR *directory = opendir(SEGUE_TRACES "/good");
    assert_non_null(directory);
    int count = 0;
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        if (strstr(entry->d_name, ".json") == NULL)
            continue;
        char path[512];
        segue_trace *trace = NULL;
        snprintf(path, sizeof(path), "%s/good/%s", SEGUE_TRACES, entry->d_name);
        CHECK_OK(segue_trace_load(path, &trace));
        segue_trace_destroy(trace);
        count++;
    }
    closedir(directory);
    assert_true(count >= 4);
}

/** The value that a JSON pointer's last step is in, and that step. Names here need no escapes. */
static json_t *find_parent(json_t *root, const char *pointer, char *out_last, size_t capacity)
{
    json_t *value = root;
    char step[64] = "";
    const char *next = pointer;
    while (*next == '/') {
        if (step[0] != '\0') {
            value = json_is_array(value) ? json_array_get(value, strtoul(step, NULL, 10))
                                         : json_object_get(value, step);
            assert_non_null(value);
        }
        size_t length = strcspn(next + 1, "/");
        snprintf(step, sizeof(step), "%.*s", (int)length, next + 1);
        next += 1 + length;
    }
    snprintf(out_last, capacity, "%s", step);
    return value;
}

static void apply_patch(json_t *root, const json_t *patch)
{
    char last[64];
    size_t index;
    json_t *value;
    const char *pointer;
    json_array_foreach(json_object_get(patch, "remove"), index, value)
    {
        json_t *parent = find_parent(root, json_string_value(value), last, sizeof(last));
        assert_int_equal(json_is_array(parent) ? json_array_remove(parent, strtoul(last, NULL, 10))
                                               : json_object_del(parent, last),
                         0);
    }
    json_object_foreach(json_object_get(patch, "set"), pointer, value)
    {
        json_t *parent = find_parent(root, pointer, last, sizeof(last));
        json_t *copy = json_deep_copy(value);
        assert_int_equal(json_is_array(parent)
                             ? json_array_set_new(parent, strtoul(last, NULL, 10), copy)
                             : json_object_set_new(parent, last, copy),
                         0);
    }
}

static void refuses_every_patch_with_its_line(void **state)
{
    (void)state;
    assert_int_equal(system("cp " SEGUE_TRACES "/good/* ."), 0);
    json_t *patches = json_load_file(SEGUE_TRACES "/bad/patches.json", 0, NULL);
    const json_t *cases = json_object_get(patches, "cases");
    assert_true(json_array_size(cases) > 200);
    size_t index;
    json_t *patch;
    int wrong = 0;
    json_array_foreach(cases, index, patch)
    {
        json_t *root = json_load_file(SEGUE_TRACES "/good/everything.json", 0, NULL);
        assert_non_null(root);
        apply_patch(root, patch);
        assert_int_equal(json_dump_file(root, "everything.json", 0), 0);
        json_decref(root);
        segue_trace *trace = NULL;
        segue_status status = segue_trace_load("everything.json", &trace);
        const char *expected = json_string_value(json_object_get(patch, "message"));
        assert_null(trace);
        if (status != SEGUE_INVALID_DATA || strcmp(segue_last_error()->message, expected) != 0) {
            print_error("case %zu: %s: %s\n instead of %s\n", index, segue_status_name(status),
                        segue_last_error()->message, expected);
            wrong++;
        }
    }
    json_decref(patches);
    assert_int_equal(wrong, 0);
}

static void refuses_every_bad_file_with_its_line(void **state)
{
    (void)state;
    assert_int_equal(system("cp " SEGUE_TRACES "/bad/* ."), 0);
    char *list = read_text("expected.txt");
    int count = 0;
    char *rest = list;
    for (char *line = strsep(&rest, "\n"); line != NULL && *line != '\0';
         line = strsep(&rest, "\n")) {
        const char *name = strsep(&line, "\t");
        size_t length = strlen(line);
        // Where the JSON parser's own words follow, they are its business.
        length -= line[length - 1] == '*';
        segue_trace *trace = NULL;
        segue_status status = segue_trace_load(name, &trace);
        if (status != SEGUE_INVALID_DATA ||
            strncmp(segue_last_error()->message, line, length) != 0 ||
            (line[length] == '\0' && segue_last_error()->message[length] != '\0'))
            fail_msg("%s: %s: %s", name, segue_status_name(status), segue_last_error()->message);
        assert_null(strchr(segue_last_error()->message, '\n'));
        count++;
    }
    free(list);
    assert_int_equal(system("test $(ls *.json | grep -vc patches.json) -eq $(wc -l <expected.txt)"),
                     0);
    assert_true(count > 10);
}

static void write_text(const char *name, const char *text)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void stays_in_its_folder(void **state)
{
    (void)state;
    segue_trace *trace = NULL;
    assert_int_equal(mkdir("inside", 0777), 0);
    assert_int_equal(mkdir("inside/sub", 0777), 0);
    write_text("secret.cu", "extern \"C\" __global__ void k() {}");
    write_text("inside/sub/own.cu", "extern \"C\" __global__ void k() {}");
    assert_int_equal(symlink("../secret.cu", "inside/link.cu"), 0);
    assert_int_equal(symlink("..", "inside/up"), 0);
    assert_int_equal(symlink("sub", "inside/sideways"), 0);
    static const struct {
        const char *file;
        const char *text;
    } cases[] = {
        {"link.cu", "/executables/0/file: file \"link.cu\" could not be opened: Too many levels"},
        {"up/secret.cu", "could not be opened: Not a directory"},
        {"sideways/own.cu", "could not be opened: Not a directory"},
        {"sub", "could not be opened: Invalid argument"},
        {"../secret.cu", "component"},
    };
    char text[512];
    const char *format = "{\"segue_trace\": \"1.0\", \"executables\": [{\"name\": \"e\", "
                         "\"format\": \"cuda\", \"file\": \"%s\", "
                         "\"entry_points\": [{\"name\": \"k\"}]}]}";
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), format, cases[i].file);
        write_text("inside/trace.json", text);
        CHECK_ERROR(segue_trace_load("inside/trace.json", &trace), SEGUE_INVALID_DATA,
                    cases[i].text);
    }
    snprintf(text, sizeof(text), format, "sub/own.cu");
    write_text("inside/trace.json", text);
    CHECK_OK(segue_trace_load("inside/trace.json", &trace));
    assert_memory_equal(trace->executables[0].params.data, "extern", 6);
    segue_trace_destroy(trace);
    // The trace itself may be reached through links; its folder is where the link leads first.
    assert_int_equal(symlink("inside/trace.json", "elsewhere.json"), 0);
    trace = NULL;
    CHECK_ERROR(segue_trace_load("elsewhere.json", &trace), SEGUE_INVALID_DATA,
                "\"sub/own.cu\" could not be opened");
}

static void reports_files_that_cannot_be_read(void **state)
{
    (void)state;
    segue_trace *trace = NULL;
    CHECK_ERROR(segue_trace_load("none.json", &trace), SEGUE_IO_ERROR, "none.json");
    CHECK_ERROR(segue_trace_load("/none/trace.json", &trace), SEGUE_IO_ERROR, "No such file");
    CHECK_ERROR(segue_trace_load(".", &trace), SEGUE_IO_ERROR, "regular");
    CHECK_ERROR(segue_trace_load(NULL, &trace), SEGUE_INVALID_ARGUMENT, "NULL");
    CHECK_ERROR(segue_trace_load("x", NULL), SEGUE_INVALID_ARGUMENT, "NULL");
    assert_null(trace);
    write_text("huge.json", "{}");
    assert_int_equal(truncate("huge.json", (off_t)SEGUE_TRACE_MAX_JSON_BYTES + 1), 0);
    CHECK_ERROR(segue_trace_load("huge.json", &trace), SEGUE_INVALID_DATA, "at most 268435456");
}

/** Every prefix of a good trace, and every byte of it changed: errors, but never harm. Sanitizers
 *  see what this cannot. */
static void survives_damage(void **state)
{
    (void)state;
    char *text = read_text(SEGUE_TRACES "/good/everything.json");
    size_t length = strlen(text);
    segue_trace *trace = NULL;
    uint64_t random = 11;
    for (size_t i = 0; i < length; i += 7) {
        // A prefix is complete only where nothing but the line's end is missing.
        if (i + 2 < length)
            assert_int_equal(segue_trace_parse("cut", text, i, -1, &trace), SEGUE_INVALID_DATA);
    }
    for (int i = 0; i < 3000; i++) {
        size_t position = segue_test_random_below(&random, (uint32_t)length);
        char old = text[position];
        static const char bytes[] = "0189-\"{}[],:axe.\\ \xff";
        text[position] = bytes[segue_test_random_below(&random, sizeof(bytes) - 1)];
        int directory_fd = open(SEGUE_TRACES "/good", O_PATH | O_DIRECTORY);
        if (segue_trace_parse("damaged", text, length, directory_fd, &trace) == SEGUE_OK)
            segue_trace_destroy(trace);
        trace = NULL;
        text[position] = old;
    }
    free(text);
    CHECK_ERROR(segue_trace_parse("memory", "{\"segue_trace\": \"1.0\", \"tensors\": [\"x\"]}", 40,
                                  -1, &trace),
                SEGUE_INVALID_DATA, "has no folder");
}

#define temporary_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_part),
        cmocka_unit_test(reads_all_good_traces),
        temporary_test(refuses_every_patch_with_its_line),
        temporary_test(refuses_every_bad_file_with_its_line),
        temporary_test(stays_in_its_folder),
        temporary_test(reports_files_that_cannot_be_read),
        cmocka_unit_test(survives_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
