// SPDX-License-Identifier: Apache-2.0
#include "plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/** An access of a command, as a range of something that can be compared. */
struct access {
    /** The memory's id times two, or (without a table) an odd number for the slot. */
    uint64_t object;
    uint64_t begin;
    uint64_t end;
    const struct segue_dag_node *command;
    uint32_t epoch;
    /** Which access of the command. */
    uint32_t number;
    bool writes;
    bool constant;
};

/** Accesses that later ones are compared with: of two commands, so that one of them is always
 *  another command, those that reach furthest. */
struct frontier {
    const struct access *first;
    const struct access *second;
};

/** Commands that nothing orders with each other and that are ordered in the same way with all
 *  others, as far as they touch one memory. */
struct class
{
    uint64_t into;
    uint64_t reach;
    struct frontier reads;
    struct frontier writes;
};

struct checker {
    const struct segue_recording *recording;
    const struct segue_allocator *allocator;
    struct access *accesses;
    size_t access_count;
    size_t access_capacity;
    bool has_constants;
    struct class *classes;
    size_t class_count;
    size_t class_capacity;
};

static segue_status out_of_memory(const struct checker *checker)
{
    return segue_fail(checker->recording->device, SEGUE_OUT_OF_HOST_MEMORY,
                      "command buffer \"%s\": no memory to look for hazards",
                      checker->recording->label);
}

static segue_status collect_command(struct checker *checker, const struct segue_dag_node *command,
                                    const struct segue_binding_table *table)
{
    uint32_t count = segue_segment_access_count(command->segment);
    for (uint32_t i = 0; i < count; i++) {
        struct segue_command_access recorded = segue_segment_access(command->segment, i);
        struct segue_resolved_range range = segue_range_resolve(&recorded.range, table);
        if (range.length_bytes == 0)
            continue;
        if (!segue_grow(checker->allocator, (void **)&checker->accesses, &checker->access_capacity,
                        checker->access_count + 1, sizeof *checker->accesses))
            return out_of_memory(checker);
        checker->accesses[checker->access_count++] = (struct access){
            .object = range.memory ? range.memory->id << 1 : (uint64_t)recorded.range.object,
            .begin = range.offset_bytes,
            // The end of a slot's whole range is beyond every offset.
            .end = range.length_bytes > UINT64_MAX - range.offset_bytes
                       ? UINT64_MAX
                       : range.offset_bytes + range.length_bytes,
            .command = command,
            .epoch = command->epoch,
            .number = i,
            .writes = (recorded.mask &
                       (SEGUE_ACCESS_MASK_TRANSFER_WRITE | SEGUE_ACCESS_MASK_DISPATCH_WRITE)) != 0,
            .constant = recorded.constant,
        };
        checker->has_constants |= recorded.constant;
    }
    return SEGUE_OK;
}

/** By epoch, object and begin; then, so that messages do not vary, by command. */
static int compare_accesses(const void *left, const void *right)
{
    const struct access *a = left;
    const struct access *b = right;
    if (a->epoch != b->epoch)
        return a->epoch < b->epoch ? -1 : 1;
    if (a->object != b->object)
        return a->object < b->object ? -1 : 1;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    uint32_t a_index = a->command->segment->index;
    uint32_t b_index = b->command->segment->index;
    if (a_index != b_index)
        return a_index < b_index ? -1 : 1;
    return (a->number > b->number) - (a->number < b->number);
}

static void describe_access(const struct checker *checker, const struct access *access,
                            char *out_text, size_t capacity_bytes)
{
    struct segue_command_access recorded =
        segue_segment_access(access->command->segment, access->number);
    char command[512];
    segue_recording_describe(checker->recording, access->command->segment, command, sizeof command);
    char length[24];
    snprintf(length, sizeof length, "%" PRIu64, recorded.range.length_bytes);
    if (recorded.range.length_bytes == SEGUE_WHOLE_SIZE)
        snprintf(length, sizeof length, "all");
    const char *verb = access->constant ? "reads as constant" : access->writes ? "writes" : "reads";
    if (segue_range_is_slot(&recorded.range))
        snprintf(out_text, capacity_bytes, "%s %s %s bytes at offset %" PRIu64 " of slot %u",
                 command, verb, length, recorded.range.offset_bytes,
                 segue_range_slot(&recorded.range));
    else
        snprintf(out_text, capacity_bytes, "%s %s %s bytes at offset %" PRIu64 " of buffer \"%s\"",
                 command, verb, length, recorded.range.offset_bytes,
                 segue_range_buffer(&recorded.range)->label);
}

/** Reports two accesses, the one recorded first first. */
static segue_status report(const struct checker *checker, const struct access *a,
                           const struct access *b, const char *advice)
{
    if (a->command->segment->index > b->command->segment->index) {
        const struct access *swapped = a;
        a = b;
        b = swapped;
    }
    char first[1024];
    char second[1024];
    describe_access(checker, a, first, sizeof first);
    describe_access(checker, b, second, sizeof second);
    return segue_fail(checker->recording->device, SEGUE_HAZARD, "command buffer \"%s\": %s; %s; %s",
                      checker->recording->label, first, second, advice);
}

static void advance_frontier(struct frontier *frontier, const struct access *access)
{
    if (!frontier->first || frontier->first->command == access->command) {
        if (!frontier->first || frontier->first->end < access->end)
            frontier->first = access;
    } else if (frontier->first->end < access->end) {
        frontier->second = frontier->first;
        frontier->first = access;
    } else if (!frontier->second || frontier->second->end < access->end) {
        frontier->second = access;
    }
}

/** The access of another command in the frontier that reaches beyond where `access` begins; NULL if
 *  there is none. */
static const struct access *find_overlap(const struct frontier *frontier,
                                         const struct access *access)
{
    const struct access *other = frontier->first;
    if (other && other->command == access->command)
        other = frontier->second;
    return other && other->end > access->begin ? other : NULL;
}

/** Whether later accesses of the same memory, which begin at or after `begin`, can meet the class.
 */
static bool is_alive(const struct class *class, uint64_t begin)
{
    return (class->reads.first && class->reads.first->end > begin) ||
           (class->writes.first && class->writes.first->end > begin);
}

/** Compares an access with all earlier ones of the same epoch and memory, then adds it to them. */
static segue_status check_access(struct checker *checker, const struct access *access)
{
    const struct segue_dag_node *command = access->command;
    struct class *own = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < checker->class_count; i++) {
        if (!is_alive(&checker->classes[i], access->begin))
            continue;
        struct class *class = &checker->classes[kept++];
        *class = checker->classes[i];
        if (class->into == command->into && class->reach == command->reach)
            own = class;
        else if ((class->into & command->reach) != 0 || (command->into & class->reach) != 0)
            continue;
        const struct access *other = find_overlap(&class->writes, access);
        if (!other && access->writes)
            other = find_overlap(&class->reads, access);
        if (other)
            return report(checker, other, access,
                          "nothing orders them, and one writes: record a barrier between them");
    }
    checker->class_count = kept;
    if (!own) {
        if (!segue_grow(checker->allocator, (void **)&checker->classes, &checker->class_capacity,
                        checker->class_count + 1, sizeof *checker->classes))
            return out_of_memory(checker);
        own = &checker->classes[checker->class_count++];
        *own = (struct class){.into = command->into, .reach = command->reach};
    }
    advance_frontier(access->writes ? &own->writes : &own->reads, access);
    return SEGUE_OK;
}

/** Inside every epoch: one sweep over each memory, in ascending order of where accesses begin. */
static segue_status check_order(struct checker *checker)
{
    segue_status status = SEGUE_OK;
    for (size_t i = 0; i < checker->access_count && status == SEGUE_OK; i++) {
        const struct access *access = &checker->accesses[i];
        if (i == 0 || access[-1].epoch != access->epoch || access[-1].object != access->object)
            checker->class_count = 0;
        status = check_access(checker, access);
    }
    return status;
}

/** In the whole recording: nothing writes what a dispatch reads as constant, in whatever order. */
static segue_status check_constants(struct checker *checker)
{
    for (size_t i = 0; i < checker->access_count; i++)
        checker->accesses[i].epoch = 0;
    qsort(checker->accesses, checker->access_count, sizeof *checker->accesses, compare_accesses);
    const struct access *constant = NULL;
    const struct access *write = NULL;
    for (size_t i = 0; i < checker->access_count; i++) {
        const struct access *access = &checker->accesses[i];
        if (i > 0 && access[-1].object != access->object) {
            constant = NULL;
            write = NULL;
        }
        const struct access *other = NULL;
        if (access->constant)
            other = write;
        else if (access->writes)
            other = constant;
        if (other && other->end > access->begin)
            return report(checker, other, access,
                          "a constant binding may not be written in the same command buffer: "
                          "declare it as read");
        if (access->constant && (!constant || constant->end < access->end))
            constant = access;
        if (access->writes && (!write || write->end < access->end))
            write = access;
    }
    return SEGUE_OK;
}

segue_status segue_hazard_check(const struct segue_recording *recording,
                                const struct segue_binding_table *table)
{
    struct segue_dag dag;
    segue_status status = segue_dag_build(recording, &dag);
    if (status != SEGUE_OK)
        return status;
    struct checker checker = {
        .recording = recording,
        .allocator = &recording->device->allocator,
    };
    for (size_t i = 0; i < dag.node_count && status == SEGUE_OK; i++) {
        if (dag.nodes[i].segment)
            status = collect_command(&checker, &dag.nodes[i], table);
    }
    if (status == SEGUE_OK && checker.access_count > 0) {
        qsort(checker.accesses, checker.access_count, sizeof *checker.accesses, compare_accesses);
        status = check_order(&checker);
    }
    if (status == SEGUE_OK && checker.has_constants)
        status = check_constants(&checker);
    segue_release(checker.allocator, checker.classes,
                  checker.class_capacity * sizeof *checker.classes);
    segue_release(checker.allocator, checker.accesses,
                  checker.access_capacity * sizeof *checker.accesses);
    segue_dag_finish(&dag);
    return status;
}
