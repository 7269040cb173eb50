// SPDX-License-Identifier: Apache-2.0
#include "null_backend.h"

#include "allocator.h"
#include "plan.h"
#include "status.h"

#include <stdlib.h>
#include <string.h>

struct null_world null_world;

void null_world_reset(void)
{
    null_world = (struct null_world){
        .max_threads_per_block = 1024,
        .max_dynamic_shared_bytes = 100000,
    };
}

struct segue_backend_module {
    int unused;
};
struct segue_backend_program {
    int unused;
};
struct segue_backend_queue {
    int unused;
};
struct segue_backend_fence {
    int unused;
};

static segue_status forced(segue_device *device, enum null_call call)
{
    if (null_world.fail[call] == SEGUE_OK)
        return SEGUE_OK;
    return segue_fail_driver(device, null_world.fail[call], 700 + (int)call,
                             "null backend: call %d fails as told", (int)call);
}

/** A small object, from the device's allocator so that its failure is met, too. */
static void *create_object(struct segue_backend *backend, int *live)
{
    void *object = segue_allocate_zeroed(&backend->device->allocator, 1, sizeof(int));
    if (object)
        (*live)++;
    return object;
}

static void destroy_object(struct segue_backend *backend, void *object, int *live)
{
    segue_release(&backend->device->allocator, object, sizeof(int));
    (*live)--;
}

static segue_status no_memory(struct segue_backend *backend)
{
    return segue_fail(backend->device, SEGUE_OUT_OF_HOST_MEMORY, "null backend: no memory");
}

static void destroy(struct segue_backend *backend)
{
    segue_release(&backend->device->allocator, backend, sizeof *backend);
    null_world.backends--;
}

static void get_info(struct segue_backend *backend, struct segue_device_info *out_info)
{
    (void)backend;
    *out_info = (struct segue_device_info){
        .name = "null",
        .uri = "null://",
        .is_soft = null_world.soft,
        .max_threads_per_block = null_world.max_threads_per_block,
        .supports_clusters = !null_world.no_clusters,
        .supports_cooperative_launch = !null_world.no_cooperative_launch,
    };
}

static const struct segue_soft_api *get_soft_api(struct segue_backend *backend)
{
    (void)backend;
    return null_world.soft_api;
}

static segue_status allocate(struct segue_backend *backend, enum segue_memory_type type,
                             uint64_t size_bytes, struct segue_backend_memory *out_memory)
{
    segue_status status = forced(backend->device, NULL_CALL_ALLOCATE);
    if (status != SEGUE_OK)
        return status;
    void *pointer = NULL;
    if (posix_memalign(&pointer, SEGUE_BUFFER_ALIGN_BYTES, size_bytes) != 0)
        return segue_fail(backend->device, SEGUE_OUT_OF_DEVICE_MEMORY, "null backend: no memory");
    *out_memory = (struct segue_backend_memory){
        .type = type,
        .size_bytes = size_bytes,
        .device_address = (uintptr_t)pointer,
        .host_pointer = type == SEGUE_MEMORY_HOST_VISIBLE ? pointer : NULL,
    };
    null_world.allocations++;
    return SEGUE_OK;
}

static void release(struct segue_backend *backend, const struct segue_backend_memory *memory)
{
    (void)backend;
    free((void *)(uintptr_t)memory->device_address);
    null_world.allocations--;
}

static segue_status write_memory(struct segue_backend *backend,
                                 const struct segue_backend_memory *memory, uint64_t offset_bytes,
                                 const void *data, uint64_t length_bytes)
{
    segue_status status = forced(backend->device, NULL_CALL_WRITE);
    if (status == SEGUE_OK)
        memcpy((char *)(uintptr_t)memory->device_address + offset_bytes, data, length_bytes);
    return status;
}

static segue_status read_memory(struct segue_backend *backend,
                                const struct segue_backend_memory *memory, uint64_t offset_bytes,
                                void *data, uint64_t length_bytes)
{
    segue_status status = forced(backend->device, NULL_CALL_READ);
    if (status == SEGUE_OK)
        memcpy(data, (const char *)(uintptr_t)memory->device_address + offset_bytes, length_bytes);
    return status;
}

static void get_internal_usage(struct segue_backend *backend, struct segue_memory_usage *out_usage)
{
    (void)backend;
    *out_usage = (struct segue_memory_usage){.current_bytes = 1, .peak_bytes = 2};
}

static segue_status module_create(struct segue_backend *backend,
                                  const struct segue_executable_params *params,
                                  struct segue_backend_entry_limits *out_limits,
                                  struct segue_backend_module **out_module)
{
    segue_status status = forced(backend->device, NULL_CALL_MODULE_CREATE);
    if (status != SEGUE_OK)
        return status;
    struct segue_backend_module *module = create_object(backend, &null_world.modules);
    if (!module)
        return no_memory(backend);
    for (uint32_t i = 0; i < params->entry_point_count; i++)
        out_limits[i] = (struct segue_backend_entry_limits){
            .max_threads_per_block = null_world.max_threads_per_block,
            .max_dynamic_shared_bytes = null_world.max_dynamic_shared_bytes,
        };
    *out_module = module;
    return SEGUE_OK;
}

static void module_destroy(struct segue_backend *backend, struct segue_backend_module *module)
{
    destroy_object(backend, module, &null_world.modules);
}

static segue_status program_create(struct segue_backend *backend,
                                   const struct segue_program_request *request,
                                   struct segue_command_buffer_stats *stats,
                                   struct segue_backend_program **out_program)
{
    segue_status status = forced(backend->device, NULL_CALL_PROGRAM_CREATE);
    if (status != SEGUE_OK)
        return status;
    struct segue_backend_program *program = create_object(backend, &null_world.programs);
    if (!program)
        return no_memory(backend);
    null_world.programs_made++;
    null_world.mode = request->mode;
    null_world.node_count = request->plan->node_count;
    null_world.first_slot =
        request->table && request->table->slot_count != 0 ? request->table->slots[0].object : 0;
    stats->node_count = (uint32_t)request->plan->node_count;
    stats->edge_count = (uint32_t)request->plan->edge_count;
    stats->instantiate_ns = 1;
    *out_program = program;
    return SEGUE_OK;
}

static void program_destroy(struct segue_backend *backend, struct segue_backend_program *program)
{
    destroy_object(backend, program, &null_world.programs);
}

/** Kernels only. */
static const uint8_t *program_node_types(struct segue_backend *backend,
                                         const struct segue_backend_program *program)
{
    static const uint8_t kernels[4096] = {SEGUE_GRAPH_NODE_KERNEL};
    (void)backend;
    (void)program;
    return kernels;
}

static segue_status queue_create(struct segue_backend *backend,
                                 struct segue_backend_queue **out_queue)
{
    *out_queue = create_object(backend, &null_world.queues);
    return *out_queue ? SEGUE_OK : no_memory(backend);
}

static void queue_destroy(struct segue_backend *backend, struct segue_backend_queue *queue)
{
    destroy_object(backend, queue, &null_world.queues);
}

static segue_status queue_run(struct segue_backend *backend, struct segue_backend_queue *queue,
                              struct segue_backend_program *program)
{
    (void)backend;
    (void)queue;
    (void)program;
    return SEGUE_OK;
}

static segue_status queue_wait_idle(struct segue_backend *backend,
                                    struct segue_backend_queue *queue)
{
    (void)backend;
    (void)queue;
    return SEGUE_OK;
}

static segue_status fence_create(struct segue_backend *backend, bool timing,
                                 struct segue_backend_fence **out_fence)
{
    (void)timing;
    *out_fence = create_object(backend, &null_world.fences);
    return *out_fence ? SEGUE_OK : no_memory(backend);
}

static void fence_destroy(struct segue_backend *backend, struct segue_backend_fence *fence)
{
    destroy_object(backend, fence, &null_world.fences);
}

static segue_status fence_use(struct segue_backend *backend, struct segue_backend_queue *queue,
                              struct segue_backend_fence *fence)
{
    (void)backend;
    (void)queue;
    (void)fence;
    return SEGUE_OK;
}

static segue_status fence_query(struct segue_backend *backend, struct segue_backend_fence *fence)
{
    (void)backend;
    (void)fence;
    return SEGUE_OK;
}

static segue_status fence_elapsed(struct segue_backend *backend, struct segue_backend_fence *start,
                                  struct segue_backend_fence *end, uint64_t *out_ns)
{
    (void)backend;
    (void)start;
    (void)end;
    *out_ns = 0;
    return SEGUE_OK;
}

static const struct segue_backend_ops ops = {
    .destroy = destroy,
    .get_info = get_info,
    .get_soft_api = get_soft_api,
    .allocate = allocate,
    .release = release,
    .write = write_memory,
    .read = read_memory,
    .get_internal_usage = get_internal_usage,
    .module_create = module_create,
    .module_destroy = module_destroy,
    .program_create = program_create,
    .program_destroy = program_destroy,
    .program_node_types = program_node_types,
    .queue_create = queue_create,
    .queue_destroy = queue_destroy,
    .queue_run = queue_run,
    .queue_wait_idle = queue_wait_idle,
    .fence_create = fence_create,
    .fence_destroy = fence_destroy,
    .fence_record = fence_use,
    .fence_enqueue_wait = fence_use,
    .fence_query = fence_query,
    .fence_elapsed = fence_elapsed,
};

segue_status null_backend_open(const struct segue_backend_open_params *params,
                               struct segue_backend **out_backend)
{
    null_world.soft = params->soft;
    null_world.ordinal = params->ordinal;
    null_world.soft_profile = params->soft_profile;
    null_world.soft_seed = params->soft_seed;
    null_world.libcuda_path = params->params->libcuda_path;
    segue_status status =
        forced(params->device, params->soft ? NULL_CALL_OPEN_SOFT : NULL_CALL_OPEN_CUDA);
    if (status != SEGUE_OK)
        return status;
    struct segue_backend *backend =
        segue_allocate_zeroed(&params->device->allocator, 1, sizeof *backend);
    if (!backend)
        return segue_fail(params->device, SEGUE_OUT_OF_HOST_MEMORY, "null backend: no memory");
    backend->ops = &ops;
    backend->device = params->device;
    null_world.backends++;
    *out_backend = backend;
    return SEGUE_OK;
}

/** In front of what null_allocate gives out. */
struct header {
    size_t size_bytes;
    size_t padding;
};

static void *null_allocate(void *context, size_t size_bytes, size_t align_bytes)
{
    struct null_allocator *allocator = context;
    allocator->count++;
    bool hit =
        allocator->fail_at != 0 && (allocator->count == allocator->fail_at ||
                                    (allocator->forever && allocator->count > allocator->fail_at));
    if (hit || align_bytes > sizeof(struct header)) {
        allocator->failed++;
        return NULL;
    }
    struct header *header = malloc(sizeof *header + size_bytes);
    if (!header)
        return NULL;
    header->size_bytes = size_bytes;
    allocator->live++;
    allocator->live_bytes += size_bytes;
    // What is not zeroed must not be relied on.
    memset(header + 1, 0xA5, size_bytes);
    return header + 1;
}

static void null_release(void *context, void *pointer, size_t size_bytes)
{
    struct null_allocator *allocator = context;
    struct header *header = (struct header *)pointer - 1;
    if (header->size_bytes != size_bytes)
        allocator->wrong_sizes++;
    allocator->live--;
    allocator->live_bytes -= header->size_bytes;
    free(header);
}

void null_allocator_init(struct null_allocator *allocator)
{
    *allocator = (struct null_allocator){
        .allocator = {.allocate = null_allocate, .release = null_release, .context = allocator},
    };
}

void null_allocator_fail(struct null_allocator *allocator, uint64_t nth, bool forever)
{
    allocator->fail_at = nth;
    allocator->forever = forever;
    allocator->count = 0;
    allocator->failed = 0;
}

segue_device *null_device_open(const struct segue_device_params *params)
{
    segue_device *device = NULL;
    null_world_reset();
    if (segue_device_open_with(null_backend_open, "soft://", params, &device) != SEGUE_OK)
        abort();
    return device;
}
