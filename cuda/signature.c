// SPDX-License-Identifier: Apache-2.0
#include "signature.h"

#include "module.h"
#include "recording.h"

#include <string.h>

static CUfunction function_of(const struct segue_segment *segment)
{
    const struct segue_dispatch_segment *dispatch = (const struct segue_dispatch_segment *)segment;
    return dispatch->executable->module->functions[dispatch->entry_point];
}

/** What is written; `bytes` NULL: only counted. */
struct writer {
    unsigned char *bytes;
    size_t count;
    /** The function of the last dispatch. */
    uint64_t function;
};

/** Seven bits a byte, the lowest first; all but the last have the highest bit set. */
static void write_number(struct writer *writer, uint64_t number)
{
    for (; number >= 0x80; number >>= 7, writer->count++) {
        if (writer->bytes != NULL)
            writer->bytes[writer->count] = (unsigned char)(number | 0x80);
    }
    if (writer->bytes != NULL)
        writer->bytes[writer->count] = (unsigned char)number;
    writer->count++;
}

static uint64_t read_number(const unsigned char **bytes)
{
    uint64_t number = 0;
    for (uint32_t shift = 0;; shift += 7) {
        const unsigned char byte = *(*bytes)++;
        number |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return number;
    }
}

/** Small numbers are the usual ones: the same kernel as before, and dependencies not far back.
 *  SEGUE_NO_LANE becomes 0. */
static void write_node(const struct segue_lowering *lowering, const struct segue_plan *plan,
                       uint32_t index, struct writer *writer)
{
    const struct segue_plan_node *node = &plan->nodes[index];
    const enum segue_node_class class_of_node = segue_lower_class(lowering, node->segment);
    write_number(writer, (uint64_t)class_of_node);
    if (class_of_node == SEGUE_NODE_DISPATCH) {
        const uint64_t function = (uintptr_t)function_of(node->segment);
        write_number(writer, function ^ writer->function);
        writer->function = function;
    }
    write_number(writer, node->lane + 1u);
    write_number(writer, node->dependency_count);
    for (uint32_t i = 0; i < node->dependency_count; i++) {
        const uint64_t back = index - plan->dependencies[node->first_dependency + i];
        const uint64_t kind = (uint64_t)segue_plan_dependency_type(plan, node, i);
        write_number(writer, back << 1 | kind);
    }
}

/** Multiplies by an odd constant (of splitmix64) and folds the high bits back.
 */
static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static uint64_t hash_bytes(const unsigned char *bytes, size_t size_bytes)
{
    uint64_t hash = size_bytes;
    uint64_t word;
    for (; size_bytes >= sizeof(word); bytes += sizeof(word), size_bytes -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, bytes, size_bytes);
    return mix(hash, word);
}

segue_status segue_signature_create(const struct segue_lowering *lowering,
                                    const struct segue_plan *plan,
                                    struct segue_signature *out_signature)
{
    segue_device *device = lowering->recording->device;
    struct segue_signature signature = {.allocator = &device->allocator};
    struct writer counted = {0};
    for (uint32_t i = 0; i < plan->node_count; i++)
        write_node(lowering, plan, i, &counted);
    signature.size_bytes = counted.count;
    signature.bytes = segue_allocate(signature.allocator, signature.size_bytes);
    if (signature.bytes == NULL)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for the signature of command buffer \"%s\"",
                          lowering->recording->label);
    struct writer writer = {.bytes = signature.bytes};
    for (uint32_t i = 0; i < plan->node_count; i++)
        write_node(lowering, plan, i, &writer);
    signature.hash = hash_bytes(signature.bytes, signature.size_bytes);
    *out_signature = signature;
    return SEGUE_OK;
}

void segue_signature_finish(struct segue_signature *signature)
{
    if (signature->allocator != NULL)
        segue_release(signature->allocator, signature->bytes, signature->size_bytes);
    *signature = (struct segue_signature){0};
}

bool segue_signature_equal(const struct segue_signature *a, const struct segue_signature *b)
{
    return a->hash == b->hash && a->size_bytes == b->size_bytes &&
           memcmp(a->bytes, b->bytes, a->size_bytes) == 0;
}

void segue_signature_read(const struct segue_signature *signature, size_t node_count,
                          struct segue_plan *plan)
{
    const unsigned char *bytes = signature->bytes;
    plan->node_count = node_count;
    for (uint32_t i = 0; i < node_count; i++) {
        if (read_number(&bytes) == SEGUE_NODE_DISPATCH)
            (void)read_number(&bytes);
        const uint32_t lane = (uint32_t)read_number(&bytes) - 1;
        const uint32_t count = (uint32_t)read_number(&bytes);
        plan->nodes[i] = (struct segue_plan_node){
            .first_dependency = (uint32_t)plan->edge_count,
            .dependency_count = count,
            .lane = lane,
        };
        if (lane != SEGUE_NO_LANE && lane >= plan->lane_count)
            plan->lane_count = lane + 1;
        for (uint32_t k = 0; k < count; k++) {
            const uint64_t dependency = read_number(&bytes);
            plan->dependencies[plan->edge_count] = i - (uint32_t)(dependency >> 1);
            plan->dependency_types[plan->edge_count++] = (uint8_t)(dependency & 1);
        }
    }
}
