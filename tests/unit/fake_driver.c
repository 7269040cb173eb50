// SPDX-License-Identifier: Apache-2.0
// A library that passes for libcuda as far as loading goes. Built in several variants:
//   FAKE_VERSION          what cuDriverGetVersion says
//   FAKE_MISSING          a function that cuGetProcAddress does not know
//   FAKE_WITHOUT_LOOKUP   cuGetProcAddress_v2 is not exported
//   FAKE_SOFT_VERSION     exports the software driver's controls, of that version
#include <segue/soft.h>

#include <cuda.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

static CUresult get_version(int *out_version)
{
    *out_version = FAKE_VERSION;
    return CUDA_SUCCESS;
}

static CUresult do_nothing(void)
{
    return CUDA_SUCCESS;
}

#ifndef FAKE_WITHOUT_LOOKUP
#undef cuGetProcAddress
EXPORT CUresult cuGetProcAddress_v2(const char *symbol, void **out_function, int version,
                                    cuuint64_t flags, CUdriverProcAddressQueryResult *out_status)
{
    CUresult (*function)(void) = do_nothing;
    CUresult (*version_function)(int *) = get_version;
    (void)version;
    (void)flags;
    (void)out_status;
    *out_function = NULL;
#ifdef FAKE_MISSING
    if (strcmp(symbol, FAKE_MISSING) == 0)
        return CUDA_ERROR_NOT_FOUND;
#endif
    if (strcmp(symbol, "cuDriverGetVersion") == 0)
        memcpy(out_function, &version_function, sizeof(*out_function));
    else
        memcpy(out_function, &function, sizeof(*out_function));
    return CUDA_SUCCESS;
}
#else
EXPORT CUresult fake_driver_version(int *out_version)
{
    (void)do_nothing;
    return get_version(out_version);
}
#endif

#ifdef FAKE_SOFT_VERSION
/** What the loader has asked for. */
EXPORT uint64_t fake_soft_seed;
EXPORT int32_t fake_soft_profile;

static void set_seed(uint64_t seed)
{
    fake_soft_seed = seed;
}

static bool set_profile(int32_t driver_version)
{
    fake_soft_profile = driver_version;
    return driver_version >= 12040;
}

EXPORT const struct segue_soft_api *segue_soft_get_api(void)
{
    static const struct segue_soft_api api = {
        .version = FAKE_SOFT_VERSION,
        .set_seed = set_seed,
        .set_profile = set_profile,
    };
    return &api;
}
#endif
