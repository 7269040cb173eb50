// SPDX-License-Identifier: Apache-2.0
// A library that passes for NVRTC as far as loading goes. $FAKE_NVRTC says in which way it is odd:
// the name of the function that fails; or `old`, `new`, `none` and `many` for its version and its
// number of architectures. FAKE_LACKING: nvrtcGetCUBIN is not exported.
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { SUCCESS = 0, INTERNAL_ERROR = 11 };

static int is(const char *way)
{
    const char *chosen = getenv("FAKE_NVRTC");
    return chosen != NULL && strcmp(chosen, way) == 0;
}

/** Nothing but loading is tested with this library. */
#define UNUSED_CALL(name)      \
    EXPORT int name(void);     \
    EXPORT int name(void)      \
    {                          \
        return INTERNAL_ERROR; \
    }

UNUSED_CALL(nvrtcGetErrorString)
UNUSED_CALL(nvrtcCreateProgram)
UNUSED_CALL(nvrtcDestroyProgram)
UNUSED_CALL(nvrtcCompileProgram)
UNUSED_CALL(nvrtcGetPTXSize)
UNUSED_CALL(nvrtcGetPTX)
UNUSED_CALL(nvrtcGetCUBINSize)
#ifndef FAKE_LACKING
UNUSED_CALL(nvrtcGetCUBIN)
#endif
UNUSED_CALL(nvrtcGetProgramLogSize)
UNUSED_CALL(nvrtcGetProgramLog)

EXPORT int nvrtcVersion(int *major, int *minor);
EXPORT int nvrtcVersion(int *major, int *minor)
{
    if (is("nvrtcVersion"))
        return INTERNAL_ERROR;
    *major = is("old") ? 11 : is("new") ? 14 : 12;
    *minor = 8;
    return SUCCESS;
}

EXPORT int nvrtcGetNumSupportedArchs(int *count);
EXPORT int nvrtcGetNumSupportedArchs(int *count)
{
    *count = is("none") ? 0 : is("many") ? 65 : 3;
    return is("nvrtcGetNumSupportedArchs") ? INTERNAL_ERROR : SUCCESS;
}

EXPORT int nvrtcGetSupportedArchs(int *archs);
EXPORT int nvrtcGetSupportedArchs(int *archs)
{
    archs[0] = 80;
    archs[1] = 90;
    archs[2] = 70;
    return is("nvrtcGetSupportedArchs") ? INTERNAL_ERROR : SUCCESS;
}
