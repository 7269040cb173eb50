// SPDX-License-Identifier: Apache-2.0
#include <segue/cache.h>

#include "backend.h"
#include "object.h"

void segue_device_get_cache_stats(segue_device *device, struct segue_cache_stats *out_stats)
{
    const struct segue_backend_ops *ops = device->backend->ops;
    *out_stats = (struct segue_cache_stats){.last_fall_command = SEGUE_NO_COMMAND};
    if (ops->get_cache_stats)
        ops->get_cache_stats(device->backend, out_stats);
}

void segue_device_set_cache_budget(segue_device *device, const struct segue_cache_budget *budget)
{
    static const struct segue_cache_budget defaults = {
        .max_bytes = SEGUE_CACHE_DEFAULT_BYTES,
        .max_graphs = SEGUE_CACHE_DEFAULT_GRAPHS,
    };
    const struct segue_backend_ops *ops = device->backend->ops;
    const struct segue_cache_budget wanted = budget ? *budget : defaults;
    pthread_mutex_lock(&device->submission_lock);
    device->max_table_graphs = wanted.max_table_graphs;
    pthread_mutex_unlock(&device->submission_lock);
    if (ops->set_cache_budget)
        ops->set_cache_budget(device->backend, wanted);
}

void segue_device_trim_cache(segue_device *device)
{
    const struct segue_backend_ops *ops = device->backend->ops;
    if (ops->trim_cache)
        ops->trim_cache(device->backend);
}
