// SPDX-License-Identifier: Apache-2.0
#include "work.h"

#include "module.h"

#include <stdlib.h>
#include <string.h>

void segue_soft_work_clear(struct segue_soft_work *work)
{
    if (work->type == CU_GRAPH_NODE_TYPE_KERNEL) {
        free(work->kernel.parameters);
    } else if (work->type == CU_GRAPH_NODE_TYPE_MEMCPY) {
        free(work->copy.captured);
    }
    *work = (struct segue_soft_work){.type = CU_GRAPH_NODE_TYPE_EMPTY};
}

bool segue_soft_work_clone(const struct segue_soft_work *work, struct segue_soft_work *out_work)
{
    struct segue_soft_work clone = *work;
    if (work->type == CU_GRAPH_NODE_TYPE_KERNEL) {
        const struct segue_soft_kernel *kernel = &work->kernel;
        void **block = malloc(kernel->parameter_block_bytes);
        if (block == NULL) {
            return false;
        }
        memcpy(block, kernel->parameters, kernel->parameter_block_bytes);
        for (uint32_t i = 0; i < kernel->parameter_count; ++i) {
            ptrdiff_t offset = (char *)kernel->parameters[i] - (char *)kernel->parameters;
            block[i] = (char *)block + offset;
        }
        clone.kernel.parameters = block;
    }
    *out_work = clone;
    return true;
}

CUresult segue_soft_work_check(const struct segue_soft_work *work)
{
    switch (work->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return segue_soft_kernel_check(&work->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return segue_soft_copy_check(&work->copy);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return segue_soft_set_check(&work->set);
    default:
        return CUDA_SUCCESS;
    }
}

CUresult segue_soft_work_run(struct segue_soft_work *work)
{
    switch (work->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return segue_soft_kernel_run(&work->kernel);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return segue_soft_copy_run(&work->copy);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return segue_soft_set_run(&work->set);
    default:
        return CUDA_SUCCESS;
    }
}

bool segue_soft_work_ranges(const struct segue_soft_work *work, segue_soft_range_fn add,
                            void *context)
{
    switch (work->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        return segue_soft_kernel_ranges(&work->kernel, add, context);
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        return segue_soft_copy_ranges(&work->copy, add, context);
    case CU_GRAPH_NODE_TYPE_MEMSET:
        return segue_soft_set_ranges(&work->set, add, context);
    default:
        return true;
    }
}

void segue_soft_work_describe(const struct segue_soft_work *work, char *out, size_t out_size)
{
    switch (work->type) {
    case CU_GRAPH_NODE_TYPE_KERNEL:
        snprintf(out, out_size, "kernel %s",
                 segue_soft_handle_alive(SEGUE_SOFT_KIND_FUNCTION, work->kernel.handle)
                     ? work->kernel.function->entry->name
                     : "(unloaded)");
        break;
    case CU_GRAPH_NODE_TYPE_MEMCPY:
        snprintf(out, out_size, "memcpy");
        break;
    case CU_GRAPH_NODE_TYPE_MEMSET:
        snprintf(out, out_size, "memset");
        break;
    default:
        snprintf(out, out_size, "empty");
        break;
    }
}
