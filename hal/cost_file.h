// SPDX-License-Identifier: Apache-2.0
/**
 * @file cost_file.h
 * Cost models in files: one line `name value` for each figure of struct segue_cost_model, `#`
 * begins a comment. One file for each device name, in the folder of the compile cache.
 */
#ifndef SEGUE_HAL_COST_FILE_H
#define SEGUE_HAL_COST_FILE_H

#include <segue/cost.h>

#include <stdio.h>

/** Text for people: why a file was not read or written. */
#define SEGUE_COST_PROBLEM_BYTES 512

enum segue_cost_file_result {
    SEGUE_COST_FILE_READ,
    /** No file; nothing is wrong. */
    SEGUE_COST_FILE_MISSING,
    /** A file that cannot be read, or that says something else: `out_problem` says where. */
    SEGUE_COST_FILE_BAD,
};

/** Path of a device's file. Returns false if it is too long. */
bool segue_cost_file_path(const char *folder, const char *device_name, char *out_path,
                          size_t capacity_bytes);

/** Reads the file at `path`. Figures that it leaves out keep the values that they have; unless all
 *  of it can be read `model` is left alone. `out_problem` has SEGUE_COST_PROBLEM_BYTES. */
enum segue_cost_file_result segue_cost_file_read(const char *path, struct segue_cost_model *model,
                                                 char *out_problem);

/** Prints all figures, a line each. Returns false if the stream took not all of it. */
bool segue_cost_file_print(FILE *stream, const struct segue_cost_model *model);

/** Writes all figures, through another file that is renamed, so that readers see a whole one or
 *  none. The folder must exist. Returns false, with `out_problem`, if it could not. */
bool segue_cost_file_write(const char *path, const char *device_name,
                           const struct segue_cost_model *model, char *out_problem);

#endif // SEGUE_HAL_COST_FILE_H
