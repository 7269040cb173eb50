// SPDX-License-Identifier: Apache-2.0
// What executable graphs are compared by, taken apart: what a hash would hide is asked for
// directly.
#include "command_buffer.h"
#include "cuda_backend.h"
#include "test.h"

#include <stdlib.h>

#define NODES 4

/** A recording that is never lowered by itself, and a plan made by hand. */
struct parts {
    segue_command_buffer *commands;
    struct segue_lowering lowering;
    struct segue_plan_node nodes[NODES];
    uint32_t dependencies[NODES];
    uint8_t types[NODES];
    struct segue_plan plan;
};

static struct segue_lowering lowering_of(segue_command_buffer *commands)
{
    return (struct segue_lowering){
        .cuda = segue_cuda_of(commands->device->backend),
        .mode = SEGUE_EXECUTION_GRAPH,
        .recording = commands->recording,
    };
}

/** A chain of four dispatches, which all depend on the first. */
static void make_parts(struct segue_test *test, segue_buffer *data, struct parts *parts)
{
    *parts = (struct parts){.commands = segue_test_begin(test)};
    for (uint32_t i = 0; i < NODES; i++)
        segue_test_dispatch_scale(test, parts->commands, segue_test_ref(data, i * 64, 64), 16, 2,
                                  1);
    parts->lowering = lowering_of(parts->commands);
    const struct segue_segment *segment = parts->commands->recording->first;
    for (uint32_t i = 0; i < NODES; i++, segment = segment->next)
        parts->nodes[i] = (struct segue_plan_node){
            .segment = segment, .first_dependency = i == 0 ? 0 : i - 1, .dependency_count = i != 0};
    parts->plan = (struct segue_plan){
        .nodes = parts->nodes,
        .node_count = NODES,
        .dependencies = parts->dependencies,
        .dependency_types = parts->types,
        .dependency_count = NODES - 1,
        .edge_count = NODES - 1,
    };
}

/** Whether the plan as it is now has another structure; equal hashes must not hide that. */
static bool differs(const struct parts *parts, const struct segue_signature *kept)
{
    struct segue_signature signature;
    CHECK_OK(segue_signature_create(&parts->lowering, &parts->plan, &signature));
    const bool other_hash = signature.hash != kept->hash;
    signature.hash = kept->hash;
    const bool differs = !segue_signature_equal(&signature, kept);
    assert_int_equal(other_hash, differs);
    segue_signature_finish(&signature);
    return differs;
}

static void signatures_tell_structures_apart(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 256);
    struct parts parts;
    struct segue_signature kept;
    make_parts(test, data, &parts);
    CHECK_OK(segue_signature_create(&parts.lowering, &parts.plan, &kept));
    assert_false(differs(&parts, &kept));
    // An edge from elsewhere, an edge of another kind, a lane, the order of two lists.
    parts.dependencies[2] = 1;
    assert_true(differs(&parts, &kept));
    parts.dependencies[2] = 0;
    parts.types[1] = SEGUE_GRAPH_EDGE_PROGRAMMATIC;
    assert_true(differs(&parts, &kept));
    parts.types[1] = SEGUE_GRAPH_EDGE_FULL;
    parts.nodes[3].lane = 1;
    assert_true(differs(&parts, &kept));
    parts.nodes[3].lane = 0;
    parts.nodes[2].dependency_count = 0;
    parts.nodes[3].first_dependency = 1;
    parts.nodes[3].dependency_count = 2;
    assert_true(differs(&parts, &kept));
    parts.nodes[2].dependency_count = 1;
    parts.nodes[3].first_dependency = 2;
    parts.nodes[3].dependency_count = 1;
    assert_false(differs(&parts, &kept));
    // A join in a command's place.
    const struct segue_segment *segment = parts.nodes[2].segment;
    parts.nodes[2].segment = NULL;
    assert_true(differs(&parts, &kept));
    parts.nodes[2].segment = segment;
    // Another kernel.
    struct segue_dispatch_segment *dispatch =
        (struct segue_dispatch_segment *)(uintptr_t)parts.nodes[1].segment;
    dispatch->entry_point = SEGUE_TEST_MIX;
    assert_true(differs(&parts, &kept));
    dispatch->entry_point = SEGUE_TEST_SCALE;
    assert_false(differs(&parts, &kept));
    segue_signature_finish(&kept);
}

/** What is written of a plan is what is read: near and far dependencies, all lanes. */
static void signatures_are_read_as_written(void **state)
{
    struct segue_test *test = *state;
    enum { COUNT = 20000, EDGES = 3 * COUNT };
    struct segue_plan_node *nodes = calloc(COUNT, sizeof(*nodes));
    uint32_t *dependencies = calloc(EDGES, sizeof(*dependencies));
    uint8_t *types = calloc(EDGES, 1);
    assert_true(nodes != NULL && dependencies != NULL && types != NULL);
    uint64_t random = 1;
    segue_buffer *data = segue_test_zeros(test, 256);
    struct parts parts;
    make_parts(test, data, &parts);
    const uint32_t lanes[] = {SEGUE_NO_LANE, 0, 126, 127, SEGUE_NO_LANE - 1};
    struct segue_plan plan = {.nodes = nodes, .node_count = COUNT, .dependencies = dependencies};
    plan.dependency_types = types;
    for (uint32_t i = 0; i < COUNT; i++) {
        const uint32_t wanted = segue_test_random_below(&random, 4);
        const uint32_t near = i < 4 || i % 2 == 0 ? i : 4;
        nodes[i].first_dependency = (uint32_t)plan.edge_count;
        nodes[i].dependency_count = i == 0 ? 0 : wanted;
        nodes[i].lane = lanes[segue_test_random_below(&random, 5)];
        if (i % 3 != 0)
            nodes[i].segment = parts.nodes[i % NODES].segment;
        for (uint32_t k = 0; k < nodes[i].dependency_count; k++, plan.edge_count++) {
            dependencies[plan.edge_count] = i - 1 - segue_test_random_below(&random, near);
            types[plan.edge_count] = (uint8_t)segue_test_random_below(&random, 2);
        }
    }
    plan.dependency_count = plan.edge_count;
    struct segue_signature signature;
    CHECK_OK(segue_signature_create(&parts.lowering, &plan, &signature));
    struct segue_plan read = {.nodes = calloc(COUNT, sizeof(*nodes)),
                              .dependencies = calloc(EDGES, sizeof(*dependencies)),
                              .dependency_types = calloc(EDGES, 1)};
    assert_true(read.nodes && read.dependencies && read.dependency_types);
    segue_signature_read(&signature, COUNT, &read);
    assert_true(read.edge_count == plan.edge_count);
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(read.nodes[i].lane, nodes[i].lane);
        assert_int_equal(read.nodes[i].dependency_count, nodes[i].dependency_count);
        assert_int_equal(read.nodes[i].first_dependency, nodes[i].first_dependency);
    }
    assert_memory_equal(read.dependencies, dependencies, plan.edge_count * sizeof(*dependencies));
    assert_memory_equal(read.dependency_types, types, plan.edge_count);
    segue_signature_finish(&signature);
    free(nodes);
    free(dependencies);
    free(types);
    free(read.nodes);
    free(read.dependencies);
    free(read.dependency_types);
}

/** Records one of several variants; 0 is what is kept. */
static void record_variant(struct segue_test *test, segue_command_buffer *commands,
                           segue_buffer *data, segue_event *event, uint32_t variant)
{
    const struct segue_buffer_ref first = segue_test_ref(data, 0, 64);
    const struct segue_buffer_ref second = segue_test_ref(data, 64, 64);
    segue_test_dispatch_scale(test, commands, first, 16, 2, 1);
    if (variant == 1)
        segue_test_barrier(commands);
    else
        segue_test_memory_barrier(commands, SEGUE_ACCESS_MASK_DISPATCH_WRITE,
                                  variant == 2 ? SEGUE_ACCESS_MASK_DISPATCH_READ
                                               : SEGUE_ACCESS_MASK_ALL);
    CHECK_OK(segue_cmd_signal_event(commands, event));
    CHECK_OK(segue_cmd_fill(commands, second, 1, variant == 3 ? 2 : 4));
    segue_test_buffer_barrier(commands, SEGUE_ACCESS_MASK_ALL,
                              variant == 4 ? SEGUE_ACCESS_MASK_DISPATCH_READ
                                           : SEGUE_ACCESS_MASK_ALL,
                              variant == 5 ? segue_test_ref(data, 64, 60) : second);
    CHECK_OK(segue_cmd_copy(commands, first, segue_test_ref(data, 128, 64)));
    if (variant != 6)
        segue_test_dispatch_scale(test, commands, second, variant == 7 ? 0 : 16, 2, 1);
    if (variant == 8)
        segue_test_dispatch_scale(test, commands, second, 16, 2, 1);
    if (variant == 9)
        segue_test_barrier(commands);
}

/** Hashes aside, anything that order or shape depend on is a difference. */
static void contents_tell_recordings_apart(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 256);
    segue_event *event = segue_test_event(test);
    struct segue_exec_content content = {0};
    struct segue_changes changes = {.allocator = &segue_default_allocator};
    segue_command_buffer *kept = segue_test_begin(test);
    record_variant(test, kept, data, event, 0);
    const struct segue_lowering lowering = lowering_of(kept);
    struct segue_plan plan;
    CHECK_OK(segue_plan_build(kept->recording, SEGUE_EXECUTION_GRAPH, 0, &plan));
    CHECK_OK(segue_exec_content_create(&lowering, &plan, (struct segue_variant){0}, &content));
    for (uint32_t variant = 0; variant <= 10; variant++) {
        segue_command_buffer *commands = segue_test_begin(test);
        record_variant(test, commands, data, event, variant);
        // No two kernels of the tests have the same bindings and constants.
        if (variant == 10)
            ((struct segue_dispatch_segment *)commands->recording->first)->entry_point =
                SEGUE_TEST_SLOW_SCALE;
        const struct segue_lowering other = lowering_of(commands);
        const enum segue_match match = segue_exec_content_match(&content, &other, &changes);
        if (match != (variant == 0 ? SEGUE_MATCH_SAME : SEGUE_MATCH_DIFFERENT))
            fail_msg("variant %u: match is %d", (unsigned)variant, (int)match);
        assert_true(variant != 0 || changes.count == 0);
    }
    segue_changes_finish(&changes);
    segue_exec_content_finish(&content);
    segue_plan_finish(&plan);
}

/** Words of the content of one command. */
static size_t make_content(const struct segue_lowering *lowering,
                           struct segue_exec_content *content)
{
    const struct segue_plan plan = {.allocator = &segue_default_allocator};
    CHECK_OK(segue_exec_content_create(lowering, &plan, (struct segue_variant){0}, content));
    assert_int_equal(segue_record_words(content->words),
                     segue_segment_record_words(lowering->recording->first));
    return content->word_count;
}

/** Lengths of 4 GiB and slots take more room; neither is confused with what takes less. */
static void wide_records_are_not_narrow_ones(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 256);
    struct segue_changes changes = {.allocator = &segue_default_allocator};
    // Of one dispatch with three bindings the last is as recorded, of another length, or a slot.
    struct segue_exec_content contents[4] = {{0}};
    struct segue_lowering lowerings[4];
    size_t words[4];
    for (uint32_t i = 0; i < 4; i++) {
        segue_command_buffer *commands = segue_test_begin(test);
        segue_test_dispatch_add(test, commands, segue_test_ref(data, 0, 64),
                                segue_test_ref(data, 64, 64), segue_test_ref(data, 128, 64), 16);
        struct segue_dispatch_segment *dispatch =
            (struct segue_dispatch_segment *)commands->recording->first;
        struct segue_range *range = &dispatch->bindings[2];
        dispatch->bindings[1].length_bytes = 32;
        if (i == 1 || i == 2)
            range->length_bytes += (uint64_t)i << 32;
        if (i == 3)
            *range = (struct segue_range){.object = 2 << 1 | 1, .length_bytes = 64};
        lowerings[i] = lowering_of(commands);
        words[i] = make_content(&lowerings[i], &contents[i]);
    }
    // A word for each address, half a one for each length; or three for each.
    assert_int_equal(words[1] - words[0], 9 - 5);
    assert_int_equal(words[2], words[1]);
    assert_int_equal(words[3], words[1]);
    for (uint32_t kept = 0; kept < 4; kept++) {
        const struct segue_record_accesses accesses = segue_record_accesses(contents[kept].words);
        assert_int_equal(accesses.count, 3);
        assert_int_equal(accesses.slots == NULL, kept == 0);
        const struct segue_range_list ranges =
            segue_segment_ranges(lowerings[kept].recording->first);
        for (uint32_t i = 0; i < 3; i++)
            assert_true(segue_record_length(&accesses, i) ==
                        segue_range_list_at(&ranges, i)->length_bytes);
        for (uint32_t other = 0; other < 4; other++) {
            const enum segue_match match =
                segue_exec_content_match(&contents[kept], &lowerings[other], &changes);
            if (match != (kept == other ? SEGUE_MATCH_SAME : SEGUE_MATCH_DIFFERENT))
                fail_msg("%u with %u: match is %d", (unsigned)kept, (unsigned)other, (int)match);
            assert_true(kept != other || changes.count == 0);
        }
    }
    for (uint32_t i = 0; i < 4; i++)
        segue_exec_content_finish(&contents[i]);
    segue_changes_finish(&changes);
}

/** Whether a recording of one command, or of as many barriers, is taken for what is kept. */
static bool is_taken(struct segue_test *test, const struct segue_exec_content *kept,
                     segue_command_buffer *commands)
{
    struct segue_changes changes = {.allocator = &segue_default_allocator};
    const struct segue_lowering lowering = lowering_of(commands);
    const enum segue_match match = segue_exec_content_match(kept, &lowering, &changes);
    assert_int_not_equal(match, SEGUE_MATCH_NO_MEMORY);
    segue_changes_finish(&changes);
    segue_test_destroy(test, commands);
    return match == SEGUE_MATCH_SAME;
}

/** A record of one word, the last of its content: nothing behind it is looked at. Nor is it taken
 *  for a word of another record. */
static void plain_barriers_take_a_word(void **state)
{
    struct segue_test *test = *state;
    segue_buffer *data = segue_test_zeros(test, 64);
    struct segue_exec_content barrier;
    struct segue_exec_content fill;
    segue_command_buffer *commands[7];
    for (uint32_t i = 0; i < 7; i++)
        commands[i] = segue_test_begin(test);
    segue_test_barrier(commands[0]);
    CHECK_OK(segue_cmd_fill(commands[1], segue_test_whole(data), 1, 4));
    const struct segue_lowering of_barrier = lowering_of(commands[0]);
    const struct segue_lowering of_fill = lowering_of(commands[1]);
    assert_int_equal(make_content(&of_barrier, &barrier), 1);
    const size_t fill_words = make_content(&of_fill, &fill);
    assert_true(is_taken(test, &barrier, commands[0]));
    assert_false(is_taken(test, &barrier, commands[1]));
    segue_test_dispatch_scale(test, commands[2], segue_test_whole(data), 16, 2, 1);
    assert_false(is_taken(test, &barrier, commands[2]));
    segue_test_memory_barrier(commands[3], SEGUE_ACCESS_MASK_ALL, SEGUE_ACCESS_MASK_ALL);
    assert_false(is_taken(test, &barrier, commands[3]));
    CHECK_OK(segue_cmd_barrier(commands[4], &(struct segue_barrier){0}));
    assert_true(is_taken(test, &barrier, commands[4]));
    for (size_t i = 0; i < fill_words; i++)
        segue_test_barrier(commands[5]);
    assert_false(is_taken(test, &fill, commands[5]));
    segue_test_barrier(commands[6]);
    segue_test_barrier(commands[6]);
    assert_false(is_taken(test, &barrier, commands[6]));
    segue_exec_content_finish(&barrier);
    segue_exec_content_finish(&fill);
}

/** The test of aliases against all pairs: random ranges, moved at random. */
static void aliases_are_those_of_all_pairs(void **state)
{
    struct segue_test *test = *state;
    enum { RANGES = 12, PLACES = 24 };
    segue_buffer *data = segue_test_zeros(test, 1024);
    uint64_t random = 1;
    uint32_t same_count = 0;
    uint32_t different_count = 0;
    for (uint32_t round = 0; round < 3000; round++) {
        struct segue_exec_content content = {0};
        struct segue_alias alias = {0};
        struct segue_changes changes = {.allocator = &segue_default_allocator};
        segue_command_buffer *commands[3] = {NULL, NULL, NULL};
        uint32_t starts[3][RANGES];
        uint32_t lengths[RANGES];
        for (uint32_t i = 0; i < RANGES; i++)
            lengths[i] = 1 + segue_test_random_below(&random, 3);
        for (uint32_t version = 0; version < 3; version++) {
            // Each version moves some of the one before, mostly all by one distance.
            const uint32_t distance = segue_test_random_below(&random, PLACES);
            const uint32_t limit = segue_test_random_below(&random, PLACES);
            for (uint32_t i = 0; i < RANGES; i++) {
                starts[version][i] = version == 0 ? segue_test_random_below(&random, PLACES)
                                                  : starts[version - 1][i];
                if (version != 0 && starts[version][i] >= limit)
                    starts[version][i] += distance;
                if (segue_test_random_below(&random, 100) == 0)
                    starts[version][i] = segue_test_random_below(&random, PLACES);
            }
            commands[version] = segue_test_begin(test);
            for (uint32_t i = 0; i < RANGES; i++)
                CHECK_OK(segue_cmd_fill(
                    commands[version],
                    segue_test_ref(data, (uint64_t)starts[version][i] * 4, lengths[i] * 4), i, 4));
        }
        struct segue_lowering lowering = lowering_of(commands[0]);
        struct segue_plan plan = {.allocator = &segue_default_allocator};
        CHECK_OK(segue_exec_content_create(&lowering, &plan, (struct segue_variant){0}, &content));
        for (uint32_t version = 1; version < 3; version++) {
            lowering = lowering_of(commands[version]);
            assert_int_equal(segue_exec_content_match(&content, &lowering, &changes),
                             SEGUE_MATCH_SAME);
            const enum segue_alias_result result =
                segue_alias_move(&alias, &content, &lowering, &changes);
            assert_int_not_equal(result, SEGUE_ALIAS_NO_MEMORY);
            if (result == SEGUE_ALIAS_DIFFERENT) {
                different_count++;
                break;
            }
            same_count++;
            for (uint32_t a = 0; a < RANGES; a++) {
                for (uint32_t b = 0; b < a; b++) {
                    const int64_t before =
                        (int64_t)starts[version - 1][a] - (int64_t)starts[version - 1][b];
                    const int64_t after = (int64_t)starts[version][a] - (int64_t)starts[version][b];
                    const bool met = before < (int64_t)lengths[b] && -before < (int64_t)lengths[a];
                    const bool meet = after < (int64_t)lengths[b] && -after < (int64_t)lengths[a];
                    // What meets keeps its distance; what does not, goes on not to.
                    if (met != meet || (met && before != after))
                        fail_msg("round %u: ranges %u and %u", (unsigned)round, (unsigned)a,
                                 (unsigned)b);
                }
            }
            for (size_t i = 0; i < changes.count; i++)
                segue_exec_content_rewrite(&content, &lowering, &changes.list[i]);
        }
        for (uint32_t version = 0; version < 3; version++)
            segue_test_destroy(test, commands[version]);
        segue_changes_finish(&changes);
        segue_alias_finish(&alias);
        segue_exec_content_finish(&content);
    }
    assert_true(same_count > 1000);
    assert_true(different_count > 500);
}

int main(void)
{
    const int unprepared = segue_test_prepare();
    if (unprepared != 0)
        return unprepared;
    const struct CMUnitTest tests[] = {
        segue_test_case(signatures_tell_structures_apart),
        segue_test_case(signatures_are_read_as_written),
        segue_test_case(contents_tell_recordings_apart),
        segue_test_case(wide_records_are_not_narrow_ones),
        segue_test_case(plain_barriers_take_a_word),
        segue_test_case(aliases_are_those_of_all_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
