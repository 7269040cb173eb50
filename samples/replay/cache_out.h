// SPDX-License-Identifier: Apache-2.0
/**
 * @file cache_out.h
 * What the device's cache of graphs has done.
 */
#ifndef SEGUE_REPLAY_CACHE_OUT_H
#define SEGUE_REPLAY_CACHE_OUT_H

#include <jansson.h>
#include <segue/cache.h>

/** Prints two lines, and one for each kind of fall that there was. */
void segue_replay_print_cache(const struct segue_cache_stats *stats);

/** The same as JSON; NULL when out of memory. */
json_t *segue_replay_json_cache(const struct segue_cache_stats *stats);

#endif // SEGUE_REPLAY_CACHE_OUT_H
