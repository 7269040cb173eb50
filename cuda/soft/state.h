// SPDX-License-Identifier: Apache-2.0
/**
 * @file state.h
 * What every file of the software driver shares: the one lock, the frame around each driver call
 * (count, log, fault, sticky errors), misuse records and the random numbers.
 *
 * Everything below the exported functions runs with the lock held, which is why nothing else in
 * this folder says so. Reference kernels run under it, too: they must not call the driver.
 */
#ifndef SEGUE_CUDA_SOFT_STATE_H
#define SEGUE_CUDA_SOFT_STATE_H

#include <cuda.h>
#include <pthread.h>
#include <stdio.h>

#include <segue/soft.h>

/** The driver versions it can act as. */
enum segue_soft_profile {
    SEGUE_SOFT_PROFILE_12_4 = 12040,
    SEGUE_SOFT_PROFILE_12_8 = 12080,
    SEGUE_SOFT_PROFILE_13_0 = 13000,
};

/** Process-wide state that belongs to no single object. */
struct segue_soft_state {
    pthread_mutex_t lock;
    bool initialised;
    /** The library is being unloaded: every call fails. */
    bool deinitialised;
    bool paused;
    int32_t profile;
    uint64_t random;
    /** A CUresult: the device is lost, or a kernel failed and the context with it. */
    CUresult lost;
    CUresult sticky;
    /** The call in progress, for messages. */
    const char *call_name;
    uint64_t call_index;
    /** Counts since the report was reset; live counts are never reset. */
    struct segue_soft_report report;
};

extern struct segue_soft_state segue_soft;

/** Next random number, and one below `bound` (which must not be 0). */
uint64_t segue_soft_random(void);
uint64_t segue_soft_random_below(uint64_t bound);
/** A well-mixed function of `value`. */
uint64_t segue_soft_mix(uint64_t value);
uint64_t segue_soft_now_ns(void);

/** What a call asks for before it does anything; bits. */
enum segue_soft_call_flags {
    /** Works at any time. */
    SEGUE_SOFT_ANY = 0,
    /** cuInit must have been called. */
    SEGUE_SOFT_INITIALISED = 1,
    /** A current context that is alive; fails with the sticky error of the context. */
    SEGUE_SOFT_CONTEXT = 2,
    /** Builds graphs: needs no context, and fails only with the device. */
    SEGUE_SOFT_GRAPH = 8,
    /** Gives something up. Injected faults and sticky errors are returned, but the object is gone
     *  all the same, as with the real driver, whose releases report earlier errors. */
    SEGUE_SOFT_RELEASE = 4,
};

/** One driver call in progress, on the caller's stack. */
struct segue_soft_call {
    char name[64];
    uint64_t index;
    /** Returned in place of success. */
    CUresult late;
    bool faulted;
    char arguments[320];
};

/**
 * Takes the lock and counts the call; then the fault to inject, the state of driver, context and
 * device are looked at. `format` gives the arguments as JSON members without braces; it is only
 * formatted for a log. Whatever it returns, segue_soft_leave must follow.
 */
CUresult segue_soft_enter(struct segue_soft_call *call, const char *function, unsigned flags,
                          const char *format, ...) SEGUE_PRINTF(4, 5);

/** Logs the call, gives the lock back, and returns what the call is to return. */
CUresult segue_soft_leave(struct segue_soft_call *call, CUresult result);

/** Opens an exported function. */
#define SEGUE_SOFT_ENTER(flags, ...)                                           \
    struct segue_soft_call call;                                               \
    CUresult result = segue_soft_enter(&call, __func__, (flags), __VA_ARGS__); \
    if (result != CUDA_SUCCESS) {                                              \
        return segue_soft_leave(&call, result);                                \
    }

/** An exported function of the driver. */
#define SEGUE_SOFT_EXPORT __attribute__((visibility("default")))

/** Records a use of an object that the rules forbid. */
void segue_soft_misuse(const char *format, ...) SEGUE_PRINTF(1, 2);
/** Counts pairs of conflicting nodes without a path between them; `text` describes the first. */
void segue_soft_hazard(uint64_t count, const char *text);
/** Says on stderr that the call in progress asked for something that is not modelled, and returns
 *  CUDA_ERROR_NOT_SUPPORTED. */
CUresult segue_soft_unsupported(const char *format, ...) SEGUE_PRINTF(1, 2);
/** A line on stderr. */
void segue_soft_say(const char *format, ...) SEGUE_PRINTF(1, 2);

/** fault.c: the code to fail the call (or the allocation inside of it) with, or CUDA_SUCCESS. */
CUresult segue_soft_fault_take(enum segue_soft_fault_target target, const char *name);
void segue_soft_fault_set(const struct segue_soft_fault *fault);
bool segue_soft_pattern_matches(const char *pattern, const char *text);

/** log.c: one JSON object a line. */
bool segue_soft_log_open(const char *path);
bool segue_soft_log_active(void);
void segue_soft_log_call(const struct segue_soft_call *call, CUresult result);
/** A line that is no call, e.g. a hazard. */
void segue_soft_log_note(const char *kind, const char *text);
/** `text` as the inside of a JSON string, cut to fit. Returns `out`. */
const char *segue_soft_log_escape(const char *text, char *out, size_t out_size);

/** device.c: the current context of the calling thread, or NULL. */
CUcontext segue_soft_current_context(void);
/** CUDA_SUCCESS if that context may be used. */
CUresult segue_soft_check_context(void);
/** CUDA_SUCCESS if `context` is alive. */
CUresult segue_soft_check_context_argument(CUcontext context);

/** How many contexts all threads have pushed and not popped, and how often the primary context is
 *  retained. */
uint64_t segue_soft_pushed_contexts(void);
uint64_t segue_soft_context_holders(void);

/** error_names.c. */
const char *segue_soft_result_name(CUresult result);
const char *segue_soft_result_text(CUresult result);

/** api.c: what segue_soft_get_api hands out. */
const struct segue_soft_api *segue_soft_get_api(void);

#endif // SEGUE_CUDA_SOFT_STATE_H
