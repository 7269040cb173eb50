// SPDX-License-Identifier: Apache-2.0
#include "builtin.h"
#include "cuda_backend.h"
#include "module.h"

#include <string.h>

static segue_status load(struct segue_cuda *cuda, struct segue_builtins *builtins)
{
    struct segue_builtins loaded = {NULL, NULL, NULL, NULL};
    const struct {
        const char *name;
        CUfunction *function;
    } kernels[] = {
        {SEGUE_BUILTIN_FILL_NAME, &loaded.fill},
        {SEGUE_BUILTIN_COPY_NAME, &loaded.copy},
        {SEGUE_BUILTIN_JOIN_NAME, &loaded.join},
    };
    segue_status status = segue_cuda_load_module(cuda, segue_builtin_ptx, strlen(segue_builtin_ptx),
                                                 "built-in kernels", &loaded.module);
    if (status != SEGUE_OK)
        return status;
    for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        status = segue_cuda_check(
            cuda, cuModuleGetFunction(kernels[i].function, loaded.module, kernels[i].name),
            "finding the built-in kernel %s", kernels[i].name);
        if (status != SEGUE_OK)
            goto fail_module;
    }
    *builtins = loaded;
    return SEGUE_OK;

fail_module:
    segue_cuda_cleanup(cuda, cuModuleUnload(loaded.module), "unloading the built-in kernels");
    return status;
}

segue_status segue_builtins_get(struct segue_cuda *cuda, struct segue_builtins *out_builtins)
{
    segue_status status = SEGUE_OK;
    pthread_mutex_lock(&cuda->lazy_lock);
    if (cuda->builtins.module == NULL)
        status = load(cuda, &cuda->builtins);
    if (status == SEGUE_OK)
        *out_builtins = cuda->builtins;
    pthread_mutex_unlock(&cuda->lazy_lock);
    return status;
}

void segue_builtins_finish(struct segue_cuda *cuda)
{
    if (cuda->builtins.module == NULL)
        return;
    segue_cuda_cleanup(cuda, cuModuleUnload(cuda->builtins.module),
                       "unloading the built-in kernels");
    cuda->builtins.module = NULL;
}
