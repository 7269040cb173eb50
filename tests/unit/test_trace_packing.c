// SPDX-License-Identifier: Apache-2.0
// Packed constants in traces: written, read, packed by the session or handed to whoever fills
// constants, and refused where they make no sense.
#include "test.h"
#include "trace/model.h"

#include <segue/trace.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WORDS 1000u
#define BYTES (WORDS * 4)

/** The usual world, and a trace in a folder of its own. */
struct world {
    struct segue_test *test;
    char folder[40];
    char path[64];
};

static int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    strcpy(world->folder, "/tmp/segue-packing-XXXXXX");
    if (mkdtemp(world->folder) == NULL || segue_test_setup((void **)&world->test) != 0)
        return -1;
    (void)snprintf(world->path, sizeof(world->path), "%s/t.json", world->folder);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    char command[80];
    (void)snprintf(command, sizeof(command), "rm -r '%s'", world->folder);
    const int removed = system(command);
    const int result = segue_test_teardown((void **)&world->test);
    free(world);
    return result != 0 ? result : removed;
}

/** The first source is generated, the second is stored. */
static const struct segue_content generated = {.kind = SEGUE_CONTENT_NIBBLES, .seed = 5};
static uint32_t stored[WORDS];

/** Packed by ADD: the sums of both sources' words. */
struct packing {
    struct segue_trace_packing_source sources[2];
    struct segue_trace_packing packing;
};

static const uint32_t words = WORDS;
static const uint32_t probe_words = 37;
static const uint64_t probe_input_bytes[2] = {37 * 4, 37 * 4};

static void make_packing(const struct world *world, struct packing *packing)
{
    for (uint32_t i = 0; i < WORDS; i++)
        stored[i] = segue_test_word(9, i);
    packing->sources[0] = (struct segue_trace_packing_source){
        .size_bytes = BYTES, .is_generated = true, .content = generated};
    packing->sources[1] = (struct segue_trace_packing_source){.size_bytes = BYTES, .data = stored};
    packing->packing = (struct segue_trace_packing){
        .sources = packing->sources,
        .source_count = 2,
        .dispatch = {.executable = world->test->kernels,
                     .entry_point = SEGUE_TEST_ADD,
                     .grid = {4, 1, 1},
                     .constants = &words,
                     .constants_size_bytes = sizeof(words)},
        .layout_id = 7,
        .layout_version = 3,
        .probe = {.executable = world->test->kernels,
                  .entry_point = SEGUE_TEST_ADD,
                  .grid = {2, 1, 1},
                  .constants = &probe_words,
                  .constants_size_bytes = sizeof(probe_words)},
        .probe_input_bytes = probe_input_bytes,
        .probe_output_bytes = 37 * 4,
    };
}

static uint32_t expected_word(uint32_t i)
{
    uint64_t pair = 0;
    CHECK_OK(segue_content_generate(&generated, (uint64_t)(i / 2) * 8, 8, &pair));
    return (uint32_t)(pair >> (32 * (i % 2))) + stored[i];
}

static segue_buffer *make_constant(struct world *world)
{
    const struct segue_buffer_params params = {
        .size_bytes = BYTES, .memory = SEGUE_MEMORY_CONSTANT, .label = "packed"};
    return segue_test_buffer_of(world->test, &params);
}

/** A trace that copies the packed constant, and expects what comes of it. */
static void write_trace(struct world *world)
{
    static uint32_t result[WORDS];
    struct packing packing;
    make_packing(world, &packing);
    for (uint32_t i = 0; i < WORDS; i++)
        result[i] = expected_word(i);
    segue_buffer *packed = make_constant(world);
    segue_buffer *out = segue_test_zeros(world->test, WORDS);
    segue_command_buffer *command_buffer = segue_test_begin(world->test);
    CHECK_OK(segue_cmd_copy(command_buffer, segue_test_whole(packed), segue_test_whole(out)));
    CHECK_OK(segue_command_buffer_end(command_buffer));
    const struct segue_execution execution = {.command_buffer = command_buffer};
    const struct segue_submission submission = {.executions = &execution, .execution_count = 1};
    const struct segue_expectation expectation = {
        .range = {.buffer = out, .length_bytes = BYTES},
        .dtype = SEGUE_DTYPE_U32,
        .data = result,
        .name = "sums",
    };
    segue_trace_writer *writer = NULL;
    CHECK_OK(segue_trace_writer_create(world->test->device, world->path, &writer));
    CHECK_OK(segue_trace_writer_set_packing(writer, packed, &packing.packing));
    CHECK_OK(segue_trace_writer_add_submission(writer, &submission));
    CHECK_OK(segue_trace_writer_expect(writer, &expectation));
    CHECK_OK(segue_trace_writer_finish(writer));
    segue_trace_writer_destroy(writer);
}

static void check_packing(const struct segue_trace_constant *constant)
{
    const struct segue_trace_packing *packing = constant->packing;
    assert_non_null(packing);
    assert_string_equal(constant->name, "packed");
    assert_int_equal(constant->size_bytes, BYTES);
    assert_int_equal(packing->source_count, 2);
    assert_true(packing->sources[0].is_generated);
    assert_int_equal(packing->sources[0].content.seed, 5);
    assert_false(packing->sources[1].is_generated);
    static uint32_t read_back[WORDS];
    assert_int_equal(
        pread(packing->sources[1].fd, read_back, BYTES, (off_t)packing->sources[1].offset_bytes),
        BYTES);
    assert_memory_equal(read_back, stored, BYTES);
    assert_int_equal(packing->dispatch.grid[0], 4);
    assert_memory_equal(packing->dispatch.constants, &words, sizeof(words));
    assert_int_equal(packing->layout_id, 7);
    assert_int_equal(packing->layout_version, 3);
    assert_int_equal(packing->probe.grid[0], 2);
    assert_memory_equal(packing->probe.constants, &probe_words, sizeof(probe_words));
    assert_int_equal(packing->probe_input_bytes[1], 37 * 4);
    assert_int_equal(packing->probe_output_bytes, 37 * 4);
}

/** Without anybody who fills constants, the session packs. */
static void packs_what_it_reads(void **state)
{
    struct world *world = *state;
    write_trace(world);
    segue_trace *trace = NULL;
    segue_trace_session *session = NULL;
    struct segue_trace_counts counts;
    struct segue_trace_constant constant;
    struct segue_verification verification;
    CHECK_OK(segue_trace_load(world->path, &trace));
    CHECK_OK(segue_trace_session_create(trace, world->test->device, NULL, &session));
    segue_trace_session_get_counts(session, &counts);
    assert_int_equal(counts.packing_count, 1);
    segue_trace_session_packing(session, 0, &constant);
    check_packing(&constant);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(segue_trace_session_run(session, NULL));
        CHECK_OK(segue_trace_session_verify(session, &verification));
        CHECK_OK(segue_trace_session_restore(session));
    }
    // Nothing is left of the sources.
    struct segue_memory_stats memory;
    segue_device_get_memory_stats(world->test->device, &memory);
    segue_trace_session_destroy(session);
    struct segue_memory_stats after;
    segue_device_get_memory_stats(world->test->device, &after);
    assert_int_equal(memory.device.current_bytes - after.device.current_bytes, BYTES);
    segue_trace_destroy(trace);
}

static bool take(void *context, const struct segue_trace_constant *constant)
{
    check_packing(constant);
    *(segue_buffer **)context = constant->buffer;
    return true;
}

/** Who takes a constant, packs it; until then it is not filled. */
static void hands_packings_on(void **state)
{
    struct world *world = *state;
    write_trace(world);
    segue_trace *trace = NULL;
    segue_trace_session *session = NULL;
    segue_buffer *taken = NULL;
    struct segue_verification verification;
    const struct segue_trace_session_params params = {.fill = take, .fill_context = &taken};
    CHECK_OK(segue_trace_load(world->path, &trace));
    CHECK_OK(segue_trace_session_create(trace, world->test->device, &params, &session));
    assert_non_null(taken);
    CHECK_OK(segue_trace_session_run(session, NULL));
    CHECK_STATUS(segue_trace_session_verify(session, &verification), SEGUE_MISMATCH);
    static uint32_t sums[WORDS];
    for (uint32_t i = 0; i < WORDS; i++)
        sums[i] = expected_word(i);
    CHECK_OK(segue_buffer_write(taken, 0, sums, BYTES));
    CHECK_OK(segue_trace_session_run(session, NULL));
    CHECK_OK(segue_trace_session_verify(session, &verification));
    segue_trace_session_destroy(session);
    segue_trace_destroy(trace);
}

/** One thing wrong at a time; what is right afterwards is still taken. */
static void refuses_to_write_nonsense(void **state)
{
    struct world *world = *state;
    struct packing packing;
    segue_trace_writer *writer = NULL;
    segue_buffer *packed = make_constant(world);
    CHECK_OK(segue_trace_writer_create(world->test->device, world->path, &writer));
#define REFUSED(buffer, text)                                                     \
    CHECK_ERROR(segue_trace_writer_set_packing(writer, buffer, &packing.packing), \
                SEGUE_INVALID_ARGUMENT, text);                                    \
    make_packing(world, &packing)
    make_packing(world, &packing);
    CHECK_STATUS(segue_trace_writer_set_packing(writer, packed, NULL), SEGUE_INVALID_ARGUMENT);
    packing.packing.dispatch.executable = NULL;
    REFUSED(packed, "needs an executable");
    packing.packing.layout_id = 0;
    REFUSED(packed, "a layout other than 0");
    packing.packing.dispatch.entry_point = SEGUE_TEST_KERNEL_COUNT;
    REFUSED(packed, "no such entry point");
    packing.packing.source_count = 9;
    REFUSED(packed, "1 to 8 sources");
    packing.sources[1].data = NULL;
    REFUSED(packed, "has no bytes");
    packing.sources[0].content.kind = (enum segue_content_kind)77;
    REFUSED(packed, "buffer \"packed\"");
    packing.sources[0].content = (struct segue_content){.kind = SEGUE_CONTENT_FILL};
    packing.sources[0].size_bytes = 30;
    REFUSED(packed, "not a multiple");
    REFUSED(segue_test_zeros(world->test, WORDS), "whole constant memory");
    REFUSED(segue_test_view(world->test, packed, 0, 16), "whole constant memory");
    CHECK_OK(segue_trace_writer_set_packing(writer, packed, &packing.packing));
    CHECK_STATUS(segue_trace_writer_set_packing(writer, packed, &packing.packing),
                 SEGUE_INVALID_STATE);
    CHECK_OK(segue_trace_writer_finish(writer));
    CHECK_STATUS(segue_trace_writer_set_packing(writer, packed, &packing.packing),
                 SEGUE_INVALID_STATE);
    segue_trace_writer_destroy(writer);
}

/** Calls of the driver that fail while a session packs: reported, and the next one works. What
 *  cannot be given up stays, so those calls are left out. */
static void survives_failing_packing(void **state)
{
    struct world *world = *state;
    if (world->test->soft == NULL)
        skip();
    static const char *const patterns[] = {"*Alloc*",  "*Memcpy*", "*Launch*",     "*Create*",
                                           "*Record*", "*Query*",  "*Synchronize*"};
    segue_trace *trace = NULL;
    uint32_t failures = 0;
    write_trace(world);
    CHECK_OK(segue_trace_load(world->path, &trace));
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        bool done = false;
        for (uint64_t nth = 1; !done; nth++) {
            const struct segue_soft_fault fault = {
                .nth = nth, .driver_result = 2, .name_pattern = patterns[i]};
            struct segue_soft_report before, after;
            segue_trace_session *session = NULL;
            world->test->soft->get_report(&before);
            world->test->soft->set_fault(&fault);
            const segue_status status =
                segue_trace_session_create(trace, world->test->device, NULL, &session);
            world->test->soft->set_fault(NULL);
            world->test->soft->get_report(&after);
            done = after.fault_count == before.fault_count;
            failures += status != SEGUE_OK;
            assert_true(status == SEGUE_OK ? session != NULL : session == NULL);
            segue_trace_session_destroy(session);
        }
    }
    assert_true(failures > 10);
    segue_trace_destroy(trace);
}

#define packing_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        packing_test(packs_what_it_reads),
        packing_test(hands_packings_on),
        packing_test(refuses_to_write_nonsense),
        packing_test(survives_failing_packing),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
