// SPDX-License-Identifier: Apache-2.0
// The frame around every driver call.
#include "state.h"

#include "stream.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INITIAL_SEED UINT64_C(0x5e90e)

struct segue_soft_state segue_soft = {
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .profile = SEGUE_SOFT_PROFILE_13_0,
    .random = INITIAL_SEED,
    .call_name = "",
};

uint64_t segue_soft_mix(uint64_t value)
{
    // splitmix64's finaliser.
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

uint64_t segue_soft_random(void)
{
    segue_soft.random += UINT64_C(0x9e3779b97f4a7c15);
    return segue_soft_mix(segue_soft.random);
}

uint64_t segue_soft_random_below(uint64_t bound)
{
    return segue_soft_random() % bound;
}

uint64_t segue_soft_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void segue_soft_say(const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    fprintf(stderr, "segue software driver: %s\n", text);
}

void segue_soft_misuse(const char *format, ...)
{
    char reason[320];
    char text[sizeof(segue_soft.report.first_misuse)];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    snprintf(text, sizeof(text), "%s (call %llu): %s", segue_soft.call_name,
             (unsigned long long)segue_soft.call_index, reason);
    if (segue_soft.report.misuse_count++ == 0) {
        memcpy(segue_soft.report.first_misuse, text, sizeof(text));
    }
    segue_soft_log_note("misuse", text);
}

void segue_soft_hazard(uint64_t count, const char *text)
{
    if (segue_soft.report.hazard_count == 0) {
        snprintf(segue_soft.report.first_hazard, sizeof(segue_soft.report.first_hazard), "%s",
                 text);
    }
    segue_soft.report.hazard_count += count;
    segue_soft_log_note("hazard", text);
}

CUresult segue_soft_unsupported(const char *format, ...)
{
    char text[320];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    segue_soft_say("%s: not modelled: %s", segue_soft.call_name, text);
    segue_soft_log_note("unsupported", text);
    return CUDA_ERROR_NOT_SUPPORTED;
}

// "cuMemAlloc" of "cuMemAlloc_v2": faults and logs name calls as programs do.
static void copy_plain_name(char *out, size_t out_size, const char *function)
{
    size_t length = strlen(function);
    const char *suffix = strrchr(function, '_');
    if (suffix != NULL && suffix[1] == 'v' && suffix[2] >= '0' && suffix[2] <= '9') {
        length = (size_t)(suffix - function);
    }
    length = length < out_size - 1 ? length : out_size - 1;
    memcpy(out, function, length);
    out[length] = '\0';
}

static CUresult check_state(unsigned flags)
{
    if (segue_soft.deinitialised) {
        return CUDA_ERROR_DEINITIALIZED;
    }
    if (flags != SEGUE_SOFT_ANY && !segue_soft.initialised) {
        return CUDA_ERROR_NOT_INITIALIZED;
    }
    return (flags & SEGUE_SOFT_CONTEXT) != 0 ? segue_soft_check_context() : CUDA_SUCCESS;
}

// Errors that a release reports without being kept from its work.
static CUresult check_health(unsigned flags)
{
    if ((flags & (SEGUE_SOFT_CONTEXT | SEGUE_SOFT_GRAPH)) == 0) {
        return CUDA_SUCCESS;
    }
    bool broken = segue_soft.lost == CUDA_SUCCESS && (flags & SEGUE_SOFT_CONTEXT) != 0;
    return broken ? segue_soft.sticky : segue_soft.lost;
}

CUresult segue_soft_enter(struct segue_soft_call *call, const char *function, unsigned flags,
                          const char *format, ...)
{
    pthread_mutex_lock(&segue_soft.lock);
    copy_plain_name(call->name, sizeof(call->name), function);
    call->index = ++segue_soft.report.call_count;
    call->late = CUDA_SUCCESS;
    call->arguments[0] = '\0';
    segue_soft.call_name = call->name;
    segue_soft.call_index = call->index;
    if (segue_soft_log_active()) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(call->arguments, sizeof(call->arguments), format, arguments);
        va_end(arguments);
    }
    CUresult fault = segue_soft_fault_take(SEGUE_SOFT_FAULT_DRIVER_CALL, call->name);
    call->faulted = fault != CUDA_SUCCESS;
    bool release = (flags & SEGUE_SOFT_RELEASE) != 0;
    if (call->faulted && !release) {
        return fault;
    }
    CUresult result = check_state(flags);
    if (result != CUDA_SUCCESS) {
        return result;
    }
    if ((flags & SEGUE_SOFT_CONTEXT) != 0) {
        segue_soft_streams_wander();
    }
    CUresult health = check_health(flags);
    if (!release) {
        return health;
    }
    call->late = call->faulted ? fault : health;
    return CUDA_SUCCESS;
}

CUresult segue_soft_leave(struct segue_soft_call *call, CUresult result)
{
    if (result == CUDA_SUCCESS) {
        result = call->late;
    }
    if (segue_soft_log_active()) {
        segue_soft_log_call(call, result);
    }
    segue_soft.call_name = "";
    pthread_mutex_unlock(&segue_soft.lock);
    return result;
}
