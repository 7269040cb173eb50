// SPDX-License-Identifier: Apache-2.0
/**
 * @file files.h
 * Files: opening what untrusted paths name, whole reads, and writing under a temporary name.
 */
#ifndef SEGUE_TRACE_FILES_H
#define SEGUE_TRACE_FILES_H

#include <segue/base.h>

/** Longest path that a trace may contain. */
#define SEGUE_TRACE_MAX_PATH 1024

/**
 * NULL if the path may be opened below a trace's folder: relative, '/' between non-empty
 * components, none of them "." or "..", no control characters. Else what is wrong (static string).
 */
const char *segue_path_problem(const char *path);

/**
 * Opens a regular file below `directory_fd` for reading. No component may be a symbolic link, so
 * the path cannot leave the folder.
 * @param path  has passed segue_path_problem.
 * @return a negative errno value (-ELOOP for a symbolic link, -EINVAL for anything but a regular
 *         file), else the descriptor, which the caller closes.
 */
int segue_open_beneath(int directory_fd, const char *path, uint64_t *out_size_bytes);

/** Opens the folder that contains `path`. @return a descriptor or a negative errno value. */
int segue_open_parent(const char *path);

/** Reads exactly `length_bytes` at `offset_bytes`. @return 0, a positive errno value, or -1 at the
 *  end of the file. */
int segue_read_exactly(int fd, uint64_t offset_bytes, void *data, size_t length_bytes);

/** Reads a whole open file into memory from malloc with a 0 byte behind it. @return as above. */
int segue_read_whole(int fd, uint64_t size_bytes, char **out_data);

/** A file being written under a temporary name beside its own. Zero: none. */
struct segue_output_file {
    char *path;
    char *temporary_path;
    int fd;
    uint64_t size_bytes;
};

/** Creates the temporary file. On failure nothing is left. @return SEGUE_IO_ERROR. */
segue_status segue_output_open(struct segue_output_file *file, const char *path);

/** Appends. */
segue_status segue_output_write(struct segue_output_file *file, const void *data,
                                uint64_t length_bytes);

/** Closes and renames to the real name; on failure the temporary file is removed. */
segue_status segue_output_commit(struct segue_output_file *file);

/** Closes and removes the temporary file. Does nothing where none is open. */
void segue_output_abandon(struct segue_output_file *file);

#endif // SEGUE_TRACE_FILES_H
