// SPDX-License-Identifier: Apache-2.0
/**
 * @file json_out.h
 * The JSON that segue-replay prints.
 */
#ifndef SEGUE_REPLAY_JSON_OUT_H
#define SEGUE_REPLAY_JSON_OUT_H

#include "device.h"
#include "statistics.h"

#include <jansson.h>
#include <segue/inspect.h>

/** The functions that make a value return NULL when out of memory, which the functions of jansson
 *  that take one pass on. */
json_t *segue_replay_json_device(const struct segue_replay_device *device);
json_t *segue_replay_json_statistics(const struct segue_replay_statistics *statistics);
json_t *segue_replay_json_stats(const char *name, const struct segue_command_buffer_stats *stats);

/** A string that need not be UTF-8: bytes that are not become '?'. */
json_t *segue_replay_json_text(const char *text);

/** "graph" or "stream". */
const char *segue_replay_mode_name(enum segue_execution_mode mode);

/**
 * Writes `root` and gives it up.
 * @param root  NULL: memory ran out while it was made.
 * @param path  NULL or "-": stdout.
 * @return a segue_replay_exit; has said why on stderr.
 */
int segue_replay_json_write(json_t *root, const char *path);

/** Writes text to a file; NULL or "-": stdout. @return a segue_replay_exit. */
int segue_replay_write_text(const char *text, const char *path);

#endif // SEGUE_REPLAY_JSON_OUT_H
