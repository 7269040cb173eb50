// SPDX-License-Identifier: Apache-2.0
#include "soft_driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

struct soft_driver cu;
CUcontext soft_context;
CUmodule soft_module;
CUfunction soft_store;
CUfunction soft_step;
CUfunction soft_blob;
CUfunction soft_broken;
CUfunction soft_nothing;

const char soft_ptx[] = "//\n// Of the tests.\n//\n"
                        ".version 8.4\n.target sm_80\n.address_size 64\n\n"
                        "\t// .globl\tt_store\n"
                        ".visible .entry t_store(\n"
                        "\t.param .u64 .ptr .global .align 16 t_store_param_0,\n"
                        "\t.param .u32 t_store_param_1\n)\n{\n\tret;\n}\n"
                        ".visible .entry t_step(.param .u64 a, .param .u64 b, .param .u32 c)\n"
                        ".maxntid 256, 1, 1\n{\n"
                        "\t.shared .align 4 .b8 _ZZ1tiles[1024];\n"
                        "\t{ /* a block */ ld.shared.u32 %r1, [a]; }\n\tret;\n}\n"
                        ".visible .entry t_blob(\n"
                        "\t.param .u8 a,\n\t.param .align 8 .b8 b[24],\n"
                        "\t.param .align 64 .b8 c[128],\n\t.param .u16 d\n)\n{ ret; }\n"
                        ".visible .entry t_broken()\n{ ret; }\n"
                        ".visible .entry t_nothing()\n{ ret; }\n"
                        ".visible .entry t_unregistered()\n{ ret; }\n";

static bool run_store(const struct segue_reference_launch *launch,
                      segue_reference_translate translate)
{
    uint64_t target = *(const uint64_t *)launch->parameters[0];
    uint32_t *word = translate(launch, target, sizeof(*word));
    if (word != NULL) {
        memcpy(word, launch->parameters[1], sizeof(*word));
    }
    return true;
}

static void ranges_store(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    (void)ranges->add_range(ranges, *(const uint64_t *)launch->parameters[0], 4, false, true);
}

static bool run_step(const struct segue_reference_launch *launch,
                     segue_reference_translate translate)
{
    uint32_t count = *(const uint32_t *)launch->parameters[2];
    uint64_t target = *(const uint64_t *)launch->parameters[0];
    uint64_t source = *(const uint64_t *)launch->parameters[1];
    uint32_t *out = translate(launch, target, count * sizeof(*out));
    const uint32_t *in = translate(launch, source, count * sizeof(*in));
    for (uint32_t i = 0; i < count && out != NULL && in != NULL; ++i) {
        out[i] = in[i] * 3 + 1;
    }
    return true;
}

static void ranges_step(const struct segue_reference_launch *launch,
                        struct segue_reference_ranges *ranges)
{
    uint32_t count = *(const uint32_t *)launch->parameters[2];
    if (ranges->add_range(ranges, *(const uint64_t *)launch->parameters[0], count * 4, false,
                          true)) {
        (void)ranges->add_range(ranges, *(const uint64_t *)launch->parameters[1], count * 4, true,
                                false);
    }
}

static bool run_nothing(const struct segue_reference_launch *launch,
                        segue_reference_translate translate)
{
    (void)launch;
    (void)translate;
    return true;
}

static bool run_broken(const struct segue_reference_launch *launch,
                       segue_reference_translate translate)
{
    (void)launch;
    (void)translate;
    return false;
}

static void ranges_nothing(const struct segue_reference_launch *launch,
                           struct segue_reference_ranges *ranges)
{
    (void)launch;
    (void)ranges;
}

void soft_register(const char *name, const uint32_t *sizes, uint32_t count)
{
    struct segue_reference_kernel kernel = {
        .name = name,
        .parameter_sizes = sizes,
        .parameter_count = count,
        .run = run_nothing,
        .ranges = ranges_nothing,
    };
    assert_true(cu.api->register_kernel(&kernel));
}

static bool register_kernels(void)
{
    static const uint32_t store_sizes[] = {8, 4};
    static const uint32_t step_sizes[] = {8, 8, 4};
    static const uint32_t blob_sizes[] = {1, 24, 128, 2};
    const struct segue_reference_kernel kernels[] = {
        {.name = "t_store",
         .parameter_sizes = store_sizes,
         .parameter_count = 2,
         .run = run_store,
         .ranges = ranges_store},
        {.name = "t_step",
         .parameter_sizes = step_sizes,
         .parameter_count = 3,
         .run = run_step,
         .ranges = ranges_step},
        {.name = "t_blob",
         .parameter_sizes = blob_sizes,
         .parameter_count = 4,
         .run = run_nothing,
         .ranges = ranges_nothing},
        {.name = "t_broken", .run = run_broken, .ranges = ranges_nothing},
        {.name = "t_nothing", .run = run_nothing, .ranges = ranges_nothing},
    };
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); ++i) {
        if (!cu.api->register_kernel(&kernels[i])) {
            return false;
        }
    }
    return true;
}

static bool resolve(const char *name, int version, void *out_function)
{
    CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
    if (cu.get_proc_address(name, out_function, version, 0, &status) != CUDA_SUCCESS ||
        status != CU_GET_PROC_ADDRESS_SUCCESS) {
        fprintf(stderr, "%s, version %d, is not there\n", name, version);
        return false;
    }
    return true;
}

bool soft_driver_load(void)
{
    const char *path = getenv("SEGUE_LIBSOFT");
    if (!soft_driver_load_from(path != NULL ? path : "libsegue_soft.so")) {
        return false;
    }
    if (cu.api == NULL) {
        fprintf(stderr, "%s is not the software driver\n", path);
        return false;
    }
    return register_kernels();
}

bool soft_driver_load_from(const char *path)
{
    cu.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (cu.library == NULL) {
        fprintf(stderr, "%s cannot be loaded: %s\n", path, dlerror());
        return false;
    }
    segue_soft_get_api_fn get_api = NULL;
    *(void **)&get_api = dlsym(cu.library, SEGUE_SOFT_GET_API_SYMBOL);
    *(void **)&cu.get_proc_address = dlsym(cu.library, "cuGetProcAddress_v2");
    if (cu.get_proc_address == NULL) {
        fprintf(stderr, "%s has no cuGetProcAddress_v2\n", path);
        return false;
    }
    cu.api = get_api != NULL ? get_api() : NULL;
    bool found = true;
#define RESOLVE(name, abi) found = resolve(#name, abi, (void *)&cu.name) && found;
    SEGUE_DRIVER_CALLS(RESOLVE)
    SEGUE_DRIVER_OPTIONAL_CALLS(RESOLVE)
#undef RESOLVE
    return found;
}

int soft_driver_begin(void **state)
{
    (void)state;
    cu.api->set_fault(NULL);
    cu.api->set_device_lost(0);
    cu.api->set_paused(false);
    cu.api->set_seed(1);
    assert_ok(cu.cuInit(0));
    assert_ok(cu.cuDevicePrimaryCtxRetain(&soft_context, 0));
    assert_ok(cu.cuCtxSetCurrent(soft_context));
    assert_ok(cu.cuModuleLoadDataEx(&soft_module, soft_ptx, 0, NULL, NULL));
    assert_ok(cu.cuModuleGetFunction(&soft_store, soft_module, "t_store"));
    assert_ok(cu.cuModuleGetFunction(&soft_step, soft_module, "t_step"));
    assert_ok(cu.cuModuleGetFunction(&soft_blob, soft_module, "t_blob"));
    assert_ok(cu.cuModuleGetFunction(&soft_broken, soft_module, "t_broken"));
    assert_ok(cu.cuModuleGetFunction(&soft_nothing, soft_module, "t_nothing"));
    cu.api->reset_report();
    return 0;
}

int soft_driver_end(void **state)
{
    (void)state;
    cu.api->set_fault(NULL);
    cu.api->set_device_lost(0);
    cu.api->set_paused(false);
    assert_ok(cu.cuModuleUnload(soft_module));
    assert_ok(cu.cuCtxSetCurrent(NULL));
    assert_ok(cu.cuDevicePrimaryCtxRelease(0));
    struct segue_soft_report report = soft_report();
    assert_int_equal(0, report.live_streams);
    assert_int_equal(0, report.live_events);
    assert_int_equal(0, report.live_allocations);
    assert_int_equal(0, report.live_modules);
    assert_int_equal(0, report.live_graphs);
    assert_int_equal(0, report.live_graph_execs);
    assert_int_equal(0, report.live_objects);
    return 0;
}

CUresult soft_launch(CUfunction function, CUstream stream, void **parameters)
{
    CUlaunchConfig config = {
        .gridDimX = 1,
        .gridDimY = 1,
        .gridDimZ = 1,
        .blockDimX = 1,
        .blockDimY = 1,
        .blockDimZ = 1,
        .hStream = stream,
    };
    return cu.cuLaunchKernelEx(&config, function, parameters, NULL);
}

CUDA_KERNEL_NODE_PARAMS_v2 soft_node(CUfunction function, void **parameters)
{
    return (CUDA_KERNEL_NODE_PARAMS_v2){
        .func = function,
        .gridDimX = 1,
        .gridDimY = 1,
        .gridDimZ = 1,
        .blockDimX = 1,
        .blockDimY = 1,
        .blockDimZ = 1,
        .kernelParams = parameters,
    };
}

CUDA_MEMCPY3D soft_copy(CUdeviceptr target, CUdeviceptr source, size_t size_bytes)
{
    return (CUDA_MEMCPY3D){
        .srcMemoryType = CU_MEMORYTYPE_DEVICE,
        .srcDevice = source,
        .dstMemoryType = CU_MEMORYTYPE_DEVICE,
        .dstDevice = target,
        .WidthInBytes = size_bytes,
        .Height = 1,
        .Depth = 1,
    };
}

CUDA_MEMSET_NODE_PARAMS soft_set(CUdeviceptr target, unsigned value, size_t words)
{
    return (CUDA_MEMSET_NODE_PARAMS){
        .dst = target, .value = value, .elementSize = 4, .width = words, .height = 1};
}

CUgraphExec soft_instantiate(CUgraph graph)
{
    CUgraphExec exec = NULL;
    CUDA_GRAPH_INSTANTIATE_PARAMS params = {.flags = 0};
    assert_ok(cu.cuGraphInstantiateWithParams(&exec, graph, &params));
    assert_int_equal(CUDA_GRAPH_INSTANTIATE_SUCCESS, params.result_out);
    return exec;
}

CUgraphNode soft_add(CUgraph graph, CUfunction function, void **parameters,
                     const CUgraphNode *dependencies, size_t count)
{
    CUgraphNode node = NULL;
    CUDA_KERNEL_NODE_PARAMS_v2 params = soft_node(function, parameters);
    assert_ok(cu.cuGraphAddKernelNode(&node, graph, dependencies, count, &params));
    return node;
}

CUgraphNode soft_add_store(CUgraph graph, CUdeviceptr target, uint32_t value,
                           const CUgraphNode *dependencies, size_t count)
{
    void *parameters[] = {&target, &value};
    return soft_add(graph, soft_store, parameters, dependencies, count);
}

CUgraphNode soft_add_step(CUgraph graph, CUdeviceptr target, CUdeviceptr source, uint32_t count,
                          const CUgraphNode *dependencies, size_t dependency_count)
{
    void *parameters[] = {&target, &source, &count};
    return soft_add(graph, soft_step, parameters, dependencies, dependency_count);
}

CUdeviceptr soft_allocate(size_t size_bytes)
{
    CUdeviceptr address = 0;
    assert_ok(cu.cuMemAlloc(&address, size_bytes));
    return address;
}

uint32_t soft_word(CUdeviceptr address)
{
    uint32_t word = 0;
    assert_ok(cu.cuCtxSynchronize());
    assert_ok(cu.cuMemcpyDtoH(&word, address, sizeof(word)));
    return word;
}

struct segue_soft_report soft_report(void)
{
    struct segue_soft_report report;
    cu.api->get_report(&report);
    return report;
}
