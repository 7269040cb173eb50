// SPDX-License-Identifier: Apache-2.0
#include "cost.h"

#include "recording.h"

// Unknown dispatches count as long ones: too many lanes for short kernels were measured to cost 19
// % at most (32 empty ones between barriers), too few for long ones up to 5 times the time.
const struct segue_cost_model segue_cost_model_h200 = {
    .node_ns = 540,
    .lane_ns = 75,
    .issue_ns = 183,
    .wait_ns = 400,
    .edge_ns = 18,
    .join_ns = 550,
    .fan_out_limit = 6,
    .fan_out_ns = 715,
    .launch_root_ns = 950,
    .launch_leaf_ns = 150,
    .max_lane_count = 128,
    .unknown_duration_ns = 20000,
    .device_bytes_per_us = 3500000,
    .bus_bytes_per_us = 50000,
    .threads_per_multiprocessor = 2048,
    .blocks_per_multiprocessor = 32,
    .multiprocessor_count = 0,
    .stream_launch_ns = 2950,
    .graph_launch_ns = 1500,
    .graph_write_node_ns = 310,
    .graph_build_ns = 10500,
    .graph_build_node_ns = 2800,
    .graph_build_edge_ns = 2900,
};

/** Bytes of a transfer from which on it has the device's memory, or the bus, to itself. */
#define FULL_TRANSFER_BYTES (1u << 20)

static uint32_t clamp(uint64_t value, uint32_t most)
{
    return value < 1 ? 1 : value > most ? most : (uint32_t)value;
}

static bool is_host(const struct segue_range *range)
{
    const segue_buffer *buffer = segue_range_buffer(range);
    return buffer && buffer->memory->backend.host_pointer;
}

static struct segue_work_cost transfer_cost(const struct segue_cost_model *model,
                                            uint64_t length_bytes, bool uses_bus)
{
    if (length_bytes == SEGUE_WHOLE_SIZE)
        return (struct segue_work_cost){model->unknown_duration_ns, SEGUE_WHOLE_DEVICE};
    uint64_t speed = uses_bus ? model->bus_bytes_per_us : model->device_bytes_per_us;
    // Beyond four seconds there is nothing more to tell apart.
    uint64_t bytes = length_bytes < UINT64_MAX / 1000 ? length_bytes : UINT64_MAX / 1000;
    return (struct segue_work_cost){
        .duration_ns = clamp(bytes * 1000 / (speed ? speed : 1), UINT32_MAX),
        .share =
            clamp(length_bytes / (FULL_TRANSFER_BYTES / SEGUE_WHOLE_DEVICE), SEGUE_WHOLE_DEVICE),
    };
}

static struct segue_work_cost dispatch_cost(const struct segue_cost_model *model,
                                            const struct segue_dispatch_segment *dispatch)
{
    // A grid has less than 2^31 * 2^16 * 2^16 blocks; as a double it cannot overflow.
    double blocks = (double)dispatch->grid[0] * dispatch->grid[1] * dispatch->grid[2];
    double threads = blocks * dispatch->block[0] * dispatch->block[1] * dispatch->block[2];
    double multiprocessors = model->multiprocessor_count ? model->multiprocessor_count : 1;
    double by_blocks = blocks / (multiprocessors * model->blocks_per_multiprocessor);
    double by_threads = threads / (multiprocessors * model->threads_per_multiprocessor);
    double share = by_blocks > by_threads ? by_blocks : by_threads;
    return (struct segue_work_cost){
        .duration_ns =
            dispatch->base.duration_ns ? dispatch->base.duration_ns : model->unknown_duration_ns,
        .share = share < 1 ? clamp((uint64_t)(share * SEGUE_WHOLE_DEVICE), SEGUE_WHOLE_DEVICE)
                           : SEGUE_WHOLE_DEVICE,
    };
}

struct segue_work_cost segue_work_cost(const struct segue_cost_model *model,
                                       const struct segue_segment *segment)
{
    switch (segment->kind) {
    case SEGUE_COMMAND_FILL: {
        const struct segue_range *target = &((const struct segue_fill_segment *)segment)->target;
        return transfer_cost(model, target->length_bytes, is_host(target));
    }
    case SEGUE_COMMAND_UPDATE: {
        const struct segue_range *target = &((const struct segue_update_segment *)segment)->target;
        return transfer_cost(model, target->length_bytes, is_host(target));
    }
    case SEGUE_COMMAND_COPY: {
        const struct segue_copy_segment *copy = (const struct segue_copy_segment *)segment;
        // Read and written.
        uint64_t length_bytes = copy->target.length_bytes;
        return transfer_cost(
            model, length_bytes < SEGUE_WHOLE_SIZE / 2 ? 2 * length_bytes : SEGUE_WHOLE_SIZE,
            is_host(&copy->source) || is_host(&copy->target));
    }
    default:
        return dispatch_cost(model, (const struct segue_dispatch_segment *)segment);
    }
}

uint64_t segue_built_graph_edge_limit(const struct segue_cost_model *model,
                                      const struct segue_recording *recording)
{
    const uint64_t count = recording->work_count;
    const uint64_t stream_ns = count * model->stream_launch_ns;
    uint64_t graph_ns = (uint64_t)model->graph_launch_ns + model->graph_build_ns +
                        count * ((uint64_t)model->graph_build_node_ns + model->node_ns);
    for (const struct segue_segment *segment = recording->first; segment && graph_ns < stream_ns;
         segment = segment->next) {
        if (!segue_segment_is_work(segment))
            continue;
        if (segment->kind != SEGUE_COMMAND_DISPATCH)
            return 0;
        graph_ns += segue_work_cost(model, segment).duration_ns;
    }
    if (graph_ns >= stream_ns)
        return 0;
    if (model->graph_build_edge_ns == 0)
        return UINT64_MAX;
    return count + (stream_ns - 1 - graph_ns) / model->graph_build_edge_ns;
}
