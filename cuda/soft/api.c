// SPDX-License-Identifier: Apache-2.0
// The controls (segue/soft.h), and what happens at load and unload.
#include "builtin.h"
#include "exec.h"
#include "handle.h"
#include "memory.h"
#include "module.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

static bool register_kernel(const struct segue_reference_kernel *kernel)
{
    pthread_mutex_lock(&segue_soft.lock);
    bool added = segue_soft_registry_add(kernel);
    pthread_mutex_unlock(&segue_soft.lock);
    return added;
}

static void set_seed(uint64_t seed)
{
    pthread_mutex_lock(&segue_soft.lock);
    segue_soft.random = segue_soft_mix(seed + 1);
    pthread_mutex_unlock(&segue_soft.lock);
}

static void set_fault(const struct segue_soft_fault *fault)
{
    pthread_mutex_lock(&segue_soft.lock);
    segue_soft_fault_set(fault);
    pthread_mutex_unlock(&segue_soft.lock);
}

static bool set_profile(int32_t driver_version)
{
    if (driver_version != SEGUE_SOFT_PROFILE_12_4 && driver_version != SEGUE_SOFT_PROFILE_12_8 &&
        driver_version != SEGUE_SOFT_PROFILE_13_0) {
        return false;
    }
    pthread_mutex_lock(&segue_soft.lock);
    segue_soft.profile = driver_version;
    pthread_mutex_unlock(&segue_soft.lock);
    return true;
}

static void get_report(struct segue_soft_report *out_report)
{
    pthread_mutex_lock(&segue_soft.lock);
    struct segue_soft_report report = segue_soft.report;
    report.live_allocations = segue_soft_memory_count();
    report.live_streams = segue_soft_handle_count(SEGUE_SOFT_KIND_STREAM);
    report.live_events = segue_soft_handle_count(SEGUE_SOFT_KIND_EVENT);
    report.live_modules = segue_soft_handle_count(SEGUE_SOFT_KIND_MODULE);
    report.live_graphs = segue_soft_handle_count(SEGUE_SOFT_KIND_GRAPH);
    report.live_graph_execs = segue_soft_handle_count(SEGUE_SOFT_KIND_EXEC);
    report.live_objects = report.live_allocations + report.live_streams + report.live_events +
                          report.live_modules + report.live_graphs + report.live_graph_execs +
                          segue_soft_handle_count(SEGUE_SOFT_KIND_CONTEXT);
    report.context_holders = segue_soft_context_holders();
    report.pushed_contexts = segue_soft_pushed_contexts();
    pthread_mutex_unlock(&segue_soft.lock);
    *out_report = report;
}

static void reset_report(void)
{
    pthread_mutex_lock(&segue_soft.lock);
    memset(&segue_soft.report, 0, sizeof(segue_soft.report));
    pthread_mutex_unlock(&segue_soft.lock);
}

static bool set_log_path(const char *path)
{
    pthread_mutex_lock(&segue_soft.lock);
    bool opened = segue_soft_log_open(path);
    pthread_mutex_unlock(&segue_soft.lock);
    return opened;
}

static void set_device_lost(int32_t driver_result)
{
    pthread_mutex_lock(&segue_soft.lock);
    segue_soft.lost = (CUresult)driver_result;
    if (driver_result != 0) {
        segue_soft_streams_discard();
    } else {
        // Healing heals kernel failures, too: a real process would have to end.
        segue_soft.sticky = CUDA_SUCCESS;
    }
    pthread_mutex_unlock(&segue_soft.lock);
}

static void set_paused(bool paused)
{
    pthread_mutex_lock(&segue_soft.lock);
    segue_soft.paused = paused;
    pthread_mutex_unlock(&segue_soft.lock);
}

static const struct segue_soft_api api = {
    .version = SEGUE_SOFT_API_VERSION,
    .register_kernel = register_kernel,
    .set_seed = set_seed,
    .set_fault = set_fault,
    .set_profile = set_profile,
    .get_report = get_report,
    .reset_report = reset_report,
    .set_log_path = set_log_path,
    .set_device_lost = set_device_lost,
    .set_paused = set_paused,
    .compare_graph_nodes = segue_soft_compare_nodes,
};

SEGUE_SOFT_EXPORT const struct segue_soft_api *segue_soft_get_api(void)
{
    return &api;
}

__attribute__((constructor)) static void load(void)
{
    for (uint32_t i = 0; i < segue_builtin_reference_count; ++i) {
        if (!register_kernel(&segue_builtin_references[i])) {
            segue_soft_say("cannot register built-in kernel %s", segue_builtin_references[i].name);
        }
    }
}

static void report_leaks(void)
{
    const char *wanted = getenv("SEGUE_SOFT_LEAKS");
    struct segue_soft_report report;
    get_report(&report);
    if (wanted == NULL || strcmp(wanted, "1") != 0 || report.live_objects == 0) {
        return;
    }
    segue_soft_say("left alive: %llu allocations, %llu streams, %llu events, %llu modules, "
                   "%llu graphs, %llu graph execs, %llu contexts",
                   (unsigned long long)report.live_allocations,
                   (unsigned long long)report.live_streams, (unsigned long long)report.live_events,
                   (unsigned long long)report.live_modules, (unsigned long long)report.live_graphs,
                   (unsigned long long)report.live_graph_execs,
                   (unsigned long long)segue_soft_handle_count(SEGUE_SOFT_KIND_CONTEXT));
}

__attribute__((destructor)) static void unload(void)
{
    report_leaks();
    set_log_path(NULL);
    // Threads that outlive the library get an error instead of freed memory.
    pthread_mutex_lock(&segue_soft.lock);
    segue_soft.deinitialised = true;
    pthread_mutex_unlock(&segue_soft.lock);
    segue_soft_streams_close();
    segue_soft_memory_close();
    segue_soft_registry_clear();
    segue_soft_handle_release_table();
}
