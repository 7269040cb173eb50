// SPDX-License-Identifier: Apache-2.0
#include "signature.h"

#include "module.h"
#include "recording.h"

#include <string.h>

/** Words of a node before its dependencies: class, function (two), lane, number
 * of dependencies. */
#define NODE_WORDS 5

static CUfunction function_of(const struct segue_segment *segment)
{
    if (segment == NULL || segment->kind != SEGUE_COMMAND_DISPATCH)
        return NULL;
    const struct segue_dispatch_segment *dispatch = (const struct segue_dispatch_segment *)segment;
    return dispatch->executable->module->functions[dispatch->entry_point];
}

/** Dependencies take the low 31 bits, their kind the highest. */
static uint32_t *write_node(const struct segue_lowering *lowering, const struct segue_plan *plan,
                            const struct segue_plan_node *node, uint32_t *words)
{
    const uint64_t function = (uintptr_t)function_of(node->segment);
    *words++ = (uint32_t)segue_lower_class(lowering, node->segment);
    *words++ = (uint32_t)function;
    *words++ = (uint32_t)(function >> 32);
    *words++ = node->lane;
    *words++ = node->dependency_count;
    for (uint32_t i = 0; i < node->dependency_count; i++) {
        const uint32_t kind = (uint32_t)segue_plan_dependency_type(plan, node, i);
        *words++ = plan->dependencies[node->first_dependency + i] | kind << 31;
    }
    return words;
}

/** Multiplies by an odd constant (of splitmix64) and folds the high bits back.
 */
static uint64_t hash_words(const uint32_t *words, size_t count)
{
    uint64_t hash = count;
    for (size_t i = 0; i + 1 < count; i += 2) {
        hash = (hash ^ (words[i] | (uint64_t)words[i + 1] << 32)) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return count % 2 == 0 ? hash : (hash ^ words[count - 1]) * UINT64_C(0x9e3779b97f4a7c15);
}

segue_status segue_signature_create(const struct segue_lowering *lowering,
                                    const struct segue_plan *plan,
                                    struct segue_signature *out_signature)
{
    segue_device *device = lowering->recording->device;
    struct segue_signature signature = {
        .allocator = &device->allocator,
        .word_count = plan->node_count * NODE_WORDS + plan->edge_count,
    };
    signature.words =
        segue_allocate(signature.allocator, signature.word_count * sizeof(*signature.words));
    if (signature.words == NULL)
        return segue_fail(device, SEGUE_OUT_OF_HOST_MEMORY,
                          "out of host memory for the signature of command buffer \"%s\"",
                          lowering->recording->label);
    uint32_t *words = signature.words;
    for (size_t i = 0; i < plan->node_count; i++)
        words = write_node(lowering, plan, &plan->nodes[i], words);
    signature.hash = hash_words(signature.words, signature.word_count);
    *out_signature = signature;
    return SEGUE_OK;
}

void segue_signature_finish(struct segue_signature *signature)
{
    if (signature->allocator != NULL)
        segue_release(signature->allocator, signature->words,
                      signature->word_count * sizeof(*signature->words));
    *signature = (struct segue_signature){0};
}

bool segue_signature_equal(const struct segue_signature *a, const struct segue_signature *b)
{
    return a->hash == b->hash && a->word_count == b->word_count &&
           memcmp(a->words, b->words, a->word_count * sizeof(*a->words)) == 0;
}

void segue_signature_read(const struct segue_signature *signature, size_t node_count,
                          struct segue_plan *plan)
{
    const uint32_t *words = signature->words;
    plan->node_count = node_count;
    for (size_t i = 0; i < node_count; i++, words += NODE_WORDS) {
        const uint32_t count = words[4];
        plan->nodes[i] = (struct segue_plan_node){
            .first_dependency = (uint32_t)plan->edge_count,
            .dependency_count = count,
            .lane = words[3],
        };
        if (words[3] != SEGUE_NO_LANE && words[3] >= plan->lane_count)
            plan->lane_count = words[3] + 1;
        for (uint32_t k = 0; k < count; k++, words++) {
            plan->dependencies[plan->edge_count] = words[NODE_WORDS] & INT32_MAX;
            plan->dependency_types[plan->edge_count++] = (uint8_t)(words[NODE_WORDS] >> 31);
        }
    }
}
