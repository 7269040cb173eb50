// SPDX-License-Identifier: Apache-2.0
/**
 * @file cache_folder.h
 * Where what is worth keeping between runs is kept: compiled images, cost models.
 */
#ifndef SEGUE_HAL_CACHE_FOLDER_H
#define SEGUE_HAL_CACHE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/** Writes the folder that `path` (as in segue_device_params.compile_cache_path) stands for. Returns
 *  false where there shall be no cache: path "", no home folder, or a path that is too long. */
bool segue_cache_find_folder(const char *path, char *out_folder, size_t capacity_bytes);

#endif // SEGUE_HAL_CACHE_FOLDER_H
