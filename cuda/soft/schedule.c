// SPDX-License-Identifier: Apache-2.0
// Runs a launch node by node. Each launch draws a priority for every node and always runs the ready
// node with the highest: some nodes are starved as long as the edges allow it, which shows missing
// edges far more often than a fair choice.
#include "exec.h"

#include <stdlib.h>

static void push_ready(struct segue_soft_launch *launch, uint32_t node)
{
    uint32_t place = launch->ready_count++;
    while (place > 0) {
        uint32_t parent = (place - 1) / 2;
        if (launch->priorities[launch->ready[parent]] >= launch->priorities[node]) {
            break;
        }
        launch->ready[place] = launch->ready[parent];
        place = parent;
    }
    launch->ready[place] = node;
}

static uint32_t pop_ready(struct segue_soft_launch *launch)
{
    uint32_t top = launch->ready[0];
    uint32_t node = launch->ready[--launch->ready_count];
    uint32_t place = 0;
    for (;;) {
        uint32_t child = 2 * place + 1;
        if (child >= launch->ready_count) {
            break;
        }
        if (child + 1 < launch->ready_count && launch->priorities[launch->ready[child + 1]] >
                                                   launch->priorities[launch->ready[child]]) {
            ++child;
        }
        if (launch->priorities[node] >= launch->priorities[launch->ready[child]]) {
            break;
        }
        launch->ready[place] = launch->ready[child];
        place = child;
    }
    launch->ready[place] = node;
    return top;
}

struct segue_soft_launch *segue_soft_launch_create(struct segue_soft_exec *exec)
{
    const struct segue_soft_topology *topology = exec->program->topology;
    struct segue_soft_launch *launch = calloc(1, sizeof(*launch));
    if (launch == NULL) {
        return NULL;
    }
    size_t count = (size_t)topology->node_count + 1;
    launch->waiting_for = malloc(count * sizeof(*launch->waiting_for));
    launch->ready = malloc(count * sizeof(*launch->ready));
    launch->priorities = malloc(count * sizeof(*launch->priorities));
    if (launch->waiting_for == NULL || launch->ready == NULL || launch->priorities == NULL) {
        free(launch->waiting_for);
        free(launch->ready);
        free(launch->priorities);
        free(launch);
        return NULL;
    }
    uint64_t seed = segue_soft_random();
    for (uint32_t i = 0; i < topology->node_count; ++i) {
        launch->priorities[i] = segue_soft_mix(seed + i);
    }
    for (uint32_t i = 0; i < topology->node_count; ++i) {
        launch->waiting_for[i] =
            (uint32_t)(topology->edge_starts[i + 1] - topology->edge_starts[i]);
        if (launch->waiting_for[i] == 0) {
            push_ready(launch, i);
        }
    }
    launch->exec = exec;
    ++exec->references;
    launch->program = exec->program;
    ++launch->program->references;
    launch->previous = exec->last_launch;
    if (launch->previous != NULL) {
        launch->previous->next = launch;
    }
    exec->last_launch = launch;
    return launch;
}

// What earlier work leaves in memory is there now.
static CUresult check_order(struct segue_soft_program *program)
{
    CUresult result = segue_soft_order_check(program);
    if (result == CUDA_SUCCESS && program->hazard_count > 0) {
        segue_soft_hazard(program->hazard_count, program->first_hazard);
    }
    return result;
}

CUresult segue_soft_launch_step(struct segue_soft_launch *launch, bool *out_done)
{
    const struct segue_soft_topology *topology = launch->program->topology;
    *out_done = launch->ready_count == 0;
    if (*out_done) {
        return CUDA_SUCCESS;
    }
    CUresult result = CUDA_SUCCESS;
    if (launch->program->has_tables && !launch->begun) {
        result = check_order(launch->program);
        if (result != CUDA_SUCCESS) {
            return result;
        }
    }
    launch->begun = true;
    uint32_t node = pop_ready(launch);
    if (launch->program->enabled[node]) {
        result = segue_soft_work_run(&launch->program->works[node]);
    }
    for (uint64_t i = topology->successor_starts[node]; i < topology->successor_starts[node + 1];
         ++i) {
        if (--launch->waiting_for[topology->successors[i]] == 0) {
            push_ready(launch, topology->successors[i]);
        }
    }
    *out_done = launch->ready_count == 0;
    return result;
}

void segue_soft_launch_destroy(struct segue_soft_launch *launch)
{
    struct segue_soft_exec *exec = launch->exec;
    if (launch->previous != NULL) {
        launch->previous->next = launch->next;
    }
    if (launch->next != NULL) {
        launch->next->previous = launch->previous;
    } else {
        exec->last_launch = launch->previous;
    }
    segue_soft_program_release(launch->program);
    free(launch->waiting_for);
    free(launch->ready);
    free(launch->priorities);
    free(launch);
    if (--exec->references == 0) {
        segue_soft_program_release(exec->program);
        free(exec);
    }
}
