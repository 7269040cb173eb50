// SPDX-License-Identifier: Apache-2.0
// Refusals of the trace library that tests/unit does not bring about, each with a neighbour that
// passes: its limits, and arguments that are NULL.
#include "test.h"

#include <segue/trace.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/** A test's folder, with a device where it needs one. */
struct fixture {
    char folder[64];
    void *test;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/segue-pairs-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    assert_int_equal(chdir(fixture->folder), 0);
    *state = fixture;
    return segue_test_setup(&fixture->test);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int failed = segue_test_teardown(&fixture->test);
    char command[128];
    snprintf(command, sizeof(command), "rm -r '%s'", fixture->folder);
    failed |= chdir("/") | system(command);
    free(fixture);
    return failed;
}

static void write_file(const char *name, const char *text, size_t size_bytes)
{
    FILE *file = fopen(name, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, size_bytes, file), size_bytes);
    assert_int_equal(fclose(file), 0);
}

/** `piece` `count` times, with `separator` between. Free it. */
static char *repeat(const char *piece, size_t count, const char *separator)
{
    char *text = malloc(count * (strlen(piece) + strlen(separator)) + 1);
    assert_non_null(text);
    char *end = text;
    *end = '\0';
    for (size_t i = 0; i < count; ++i) {
        end = stpcpy(end, i ? separator : "");
        end = stpcpy(end, piece);
    }
    return text;
}

/** What loading a trace comes to in which `members` follow the version. */
static segue_status load(const char *members)
{
    char *text = NULL;
    assert_true(asprintf(&text, "{\"segue_trace\": \"1.0\"%s}", members) > 0);
    write_file("trace.json", text, strlen(text));
    free(text);
    segue_trace *trace = NULL;
    segue_status status = segue_trace_load("trace.json", &trace);
    assert_true((trace != NULL) == (status == SEGUE_OK));
    segue_trace_destroy(trace);
    return status;
}

/** A trace made of `format`, in which %s is `wrong` or `right`. */
static void pair(const char *format, const char *wrong, const char *right, const char *message)
{
    char *texts[2] = {NULL, NULL};
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    assert_true(asprintf(&texts[0], format, wrong) > 0 && asprintf(&texts[1], format, right) > 0);
#pragma GCC diagnostic pop
    CHECK_ERROR(load(texts[0]), SEGUE_INVALID_DATA, message);
    CHECK_OK(load(texts[1]));
    free(texts[0]);
    free(texts[1]);
}

/** A pair of one piece repeated `most` times, and once more. */
static void pair_of_counts(const char *format, const char *piece, const char *separator,
                           size_t most, const char *message)
{
    char *wrong = repeat(piece, most + 1, separator);
    char *right = repeat(piece, most, separator);
    pair(format, wrong, right, message);
    free(wrong);
    free(right);
}

static void long_text(void **state)
{
    (void)state;
    pair_of_counts(", \"generator\": \"%s\"", "x", "", 255,
                   "a string of 256 bytes; at most 255 are supported");
}

static void long_update(void **state)
{
    (void)state;
    pair_of_counts(", \"buffers\": [{\"name\": \"b\", \"size\": 70000}], \"command_buffers\": "
                   "[{\"name\": \"c\", \"commands\": [{\"op\": \"update\", \"target\": "
                   "{\"buffer\": \"b\", \"length\": 65536}, \"hex\": \"%s\"}]}]",
                   "00", "", SEGUE_MAX_UPDATE_BYTES, "65537 bytes; at most 65536 are supported");
}

/** A safetensors file with one tensor of that many zero bytes. */
static void write_tensor(const char *file_name, uint32_t size_bytes)
{
    char header[128];
    snprintf(header, sizeof(header),
             "{\"t\":{\"dtype\":\"U8\",\"shape\":[%u],\"data_offsets\":[0,%u]}}",
             (unsigned)size_bytes, (unsigned)size_bytes);
    const uint64_t header_bytes = strlen(header);
    char *file = calloc(1, 8 + header_bytes + size_bytes);
    assert_non_null(file);
    memcpy(file, &header_bytes, 8);
    memcpy(file + 8, header, header_bytes);
    write_file(file_name, file, 8 + header_bytes + size_bytes);
    free(file);
}

static void update_by_a_large_tensor(void **state)
{
    (void)state;
    write_tensor("large.safetensors", SEGUE_MAX_UPDATE_BYTES + 1);
    write_tensor("most.safetensors", SEGUE_MAX_UPDATE_BYTES);
    pair(", \"tensors\": [\"%s.safetensors\"], \"buffers\": [{\"name\": \"b\", \"size\": 70000}], "
         "\"command_buffers\": [{\"name\": \"c\", \"commands\": [{\"op\": \"update\", \"target\": "
         "{\"buffer\": \"b\"}, \"tensor\": \"t\"}]}]",
         "large", "most", "65537 bytes; an update takes at most 65536");
}

static void short_constants_with_a_pointer(void **state)
{
    (void)state;
    pair(", \"buffers\": [{\"name\": \"b\", \"size\": 64}], \"executables\": [{\"name\": \"e\", "
         "\"format\": \"cuda\", \"source\": \"x\", \"entry_points\": [{\"name\": \"short\", "
         "\"flags\": [\"opaque\"], \"block\": [1, 1, 1], \"parameters\": [{\"constant\": 4}]}, "
         "{\"name\": \"long\", \"flags\": [\"opaque\"], \"block\": [1, 1, 1], \"parameters\": "
         "[{\"constant\": 8}]}]}], \"command_buffers\": [{\"name\": \"c\", \"commands\": [{\"op\": "
         "\"dispatch\", \"executable\": \"e\", \"grid\": [1, 1, 1], \"pointers\": [{\"at\": 0, "
         "\"buffer\": \"b\"}], %s}]}]",
         "\"entry\": \"short\", \"constants\": \"00000000\"",
         "\"entry\": \"long\", \"constants\": \"0000000000000000\"",
         "the constants are too short for an address");
}

static void value_in_the_place_of_a_pointer(void **state)
{
    (void)state;
    pair(", \"buffers\": [{\"name\": \"b\", \"size\": 64}], \"executables\": [{\"name\": \"e\", "
         "\"format\": \"cuda\", \"source\": \"x\", \"entry_points\": [{\"name\": \"k\", "
         "\"flags\": [\"opaque\"], \"block\": [1, 1, 1], \"parameters\": [{\"constant\": 16}]}]}], "
         "\"command_buffers\": [{\"name\": \"c\", \"constant_slots\": [{\"name\": \"s\", \"size\": "
         "4}], \"commands\": [{\"op\": \"dispatch\", \"executable\": \"e\", \"entry\": \"k\", "
         "\"grid\": [1, 1, 1], \"constants\": \"00000000000000000000000000000000\", \"pointers\": "
         "[{\"at\": 4, \"buffer\": \"b\"}], \"constant_slots\": [%s]}]}]",
         "{\"slot\": \"s\", \"at\": 0}, {\"slot\": \"s\", \"at\": 8}",
         "{\"slot\": \"s\", \"at\": 0}, {\"slot\": \"s\", \"at\": 12}",
         "overlaps the address at 4, one of the pointers");
}

static void many_constants(void **state)
{
    (void)state;
    // 8 times 4092, and what is left of 32764.
    const char *format = ", \"executables\": [{\"name\": \"e\", \"format\": \"cuda\", \"source\": "
                         "\"x\", \"entry_points\": [{\"name\": \"k\", \"parameters\": [%s]}]}]";
    char *most = repeat("{\"constant\": 4092}", 8, ", ");
    char *wrong = NULL;
    char *right = NULL;
    assert_true(asprintf(&wrong, "%s, {\"constant\": 29}", most) > 0);
    assert_true(asprintf(&right, "%s, {\"constant\": 28}", most) > 0);
    pair(format, wrong, right, "32765 bytes of constants; at most 32764 are supported");
    free(most);
    free(wrong);
    free(right);
}

static void empty_code_file(void **state)
{
    (void)state;
    write_file("empty.cu", "", 0);
    write_file("full.cu", "x", 1);
    pair(", \"executables\": [{\"name\": \"e\", \"format\": \"cuda\", \"file\": \"%s.cu\", "
         "\"entry_points\": [{\"name\": \"k\"}]}]",
         "empty", "full", "has 0 bytes; 1 to 268435456 are supported");
}

static void many_executed_commands(void **state)
{
    (void)state;
    enum { COMMANDS = 16384 };
    char *commands = repeat("{\"op\": \"barrier\"}", COMMANDS, ", ");
    char *format = NULL;
    assert_true(asprintf(&format,
                         ", \"command_buffers\": [{\"name\": \"c\", \"commands\": [%s]}], "
                         "\"submissions\": [{\"executions\": [%%s]}]",
                         commands) > 0);
    pair_of_counts(format, "{\"command_buffer\": \"c\"}", ", ", (256u << 20) / COMMANDS,
                   "more than 268435456 commands are executed in all");
    free(format);
    free(commands);
}

static void nothing_where_something_is_needed(void **state)
{
    struct segue_test *test = ((struct fixture *)*state)->test;
    segue_buffer *buffer = segue_test_zeros(test, 4);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_whole(buffer), 1, 4));
    CHECK_OK(segue_command_buffer_end(commands));
    const struct segue_content content = {.kind = SEGUE_CONTENT_ZERO};
    CHECK_ERROR(segue_buffer_write_content(buffer, NULL), SEGUE_INVALID_ARGUMENT, "content");
    CHECK_OK(segue_buffer_write_content(buffer, &content));
    CHECK_ERROR(segue_trace_write_command_buffer(commands, NULL, 0, NULL), SEGUE_INVALID_ARGUMENT,
                "path");
    CHECK_OK(segue_trace_write_command_buffer(commands, NULL, 0, "one.json"));

    segue_trace_writer *writer = NULL;
    CHECK_OK(segue_trace_writer_create(test->device, "two.json", &writer));
    struct segue_execution execution = {.command_buffer = NULL};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    CHECK_ERROR(segue_trace_writer_add_submission(writer, NULL), SEGUE_INVALID_ARGUMENT,
                "submission must not be NULL");
    execution.command_buffer = commands;
    CHECK_OK(segue_trace_writer_add_submission(writer, &submission));
    const uint32_t ones[4] = {1, 1, 1, 1};
    const struct segue_expectation expectation = {
        .range = segue_test_whole(buffer), .dtype = SEGUE_DTYPE_U32, .data = ones};
    CHECK_ERROR(segue_trace_writer_expect(writer, NULL), SEGUE_INVALID_ARGUMENT,
                "expectation must not be NULL");
    CHECK_OK(segue_trace_writer_expect(writer, &expectation));
    CHECK_ERROR(segue_trace_writer_finish(NULL), SEGUE_INVALID_ARGUMENT, "writer");
    CHECK_OK(segue_trace_writer_finish(writer));
    segue_trace_writer_destroy(writer);

    writer = NULL;
    execution.command_buffer = NULL;
    CHECK_OK(segue_trace_writer_create(test->device, "three.json", &writer));
    CHECK_ERROR(segue_trace_writer_add_submission(writer, &submission), SEGUE_INVALID_ARGUMENT,
                "an execution has no command buffer");
    segue_trace_writer_destroy(writer);
}

static void outputs_without_a_path(void **state)
{
    struct segue_test *test = ((struct fixture *)*state)->test;
    segue_trace *trace = NULL;
    segue_trace_session *session = NULL;
    write_file("trace.json", "{\"segue_trace\": \"1.0\"}", 22);
    CHECK_OK(segue_trace_load("trace.json", &trace));
    CHECK_OK(segue_trace_session_create(trace, test->device, NULL, &session));
    CHECK_ERROR(segue_trace_session_write_outputs(session, NULL), SEGUE_INVALID_ARGUMENT, "path");
    CHECK_OK(segue_trace_session_write_outputs(session, "outputs.safetensors"));
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
}

/** Writes a trace of a kernel compiled with that option. */
static segue_status write_with_option(struct segue_test *test, const char *option)
{
    const struct segue_entry_point entry = {.name = "test_nothing", .block_size = {1, 1, 1}};
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = segue_test_source,
        .size_bytes = strlen(segue_test_source),
        .options = &option,
        .option_count = 1,
        .entry_points = &entry,
        .entry_point_count = 1,
    };
    const struct segue_dispatch dispatch = {.executable = segue_test_executable(test, &params),
                                            .grid = {1, 1, 1}};
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_dispatch(commands, &dispatch));
    CHECK_OK(segue_command_buffer_end(commands));
    return segue_trace_write_command_buffer(commands, NULL, 0, "option.json");
}

static void option_that_names_a_folder(void **state)
{
    struct segue_test *test = ((struct fixture *)*state)->test;
    CHECK_ERROR(write_with_option(test, "-I/tmp"), SEGUE_UNIMPLEMENTED, "\"-I/tmp\" cannot stand");
    CHECK_OK(write_with_option(test, "-DUNUSED=1"));
}

/** Writes a trace while files may have `limit_bytes`. */
static segue_status write_limited(segue_command_buffer *commands, rlim_t limit_bytes)
{
    struct rlimit kept;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &kept), 0);
    const struct rlimit small = {.rlim_cur = limit_bytes, .rlim_max = kept.rlim_max};
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    segue_status status = segue_trace_write_command_buffer(commands, NULL, 0, "grows.json");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &kept), 0);
    signal(SIGXFSZ, handler);
    return status;
}

static void file_that_cannot_grow(void **state)
{
    struct segue_test *test = ((struct fixture *)*state)->test;
    segue_buffer *buffer = segue_test_words(test, 512 << 10, 1);
    segue_command_buffer *commands = segue_test_begin(test);
    CHECK_OK(segue_cmd_fill(commands, segue_test_ref(buffer, 0, 4), 1, 4));
    CHECK_OK(segue_command_buffer_end(commands));
    CHECK_ERROR(write_limited(commands, 1 << 20), SEGUE_IO_ERROR,
                "could not be written: File too large");
    assert_int_not_equal(access("grows.json", F_OK), 0);
    CHECK_OK(write_limited(commands, 4 << 20));
}

#define pair_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(long_text),
        pair_test(long_update),
        pair_test(update_by_a_large_tensor),
        pair_test(short_constants_with_a_pointer),
        pair_test(value_in_the_place_of_a_pointer),
        pair_test(many_constants),
        pair_test(empty_code_file),
        pair_test(many_executed_commands),
        pair_test(nothing_where_something_is_needed),
        pair_test(outputs_without_a_path),
        pair_test(option_that_names_a_folder),
        pair_test(file_that_cannot_grow),
    };
    int unprepared = segue_test_prepare();
    return unprepared ? unprepared : cmocka_run_group_tests(tests, NULL, NULL);
}
