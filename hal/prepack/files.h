// SPDX-License-Identifier: Apache-2.0
/**
 * @file files.h
 * The folder of a cache and the files in it: names, whole reads and writes, and the lock. Functions
 * that return int return 0 or a positive errno value, and retry what a signal interrupted.
 */
#ifndef SEGUE_PREPACK_FILES_H
#define SEGUE_PREPACK_FILES_H

#include <segue/base.h>

/** Room for the longest name that is used in a folder. */
#define SEGUE_PACK_NAME_BYTES 64

/** "generation-<16 hex digits>.pack". */
void segue_pack_file_name(uint64_t generation, char out_name[SEGUE_PACK_NAME_BYTES]);
/** "generation-<16 hex digits>.used": when the entries of that file were last used. */
void segue_pack_used_name(uint64_t generation, char out_name[SEGUE_PACK_NAME_BYTES]);
/** What a name in the folder means. */
enum segue_pack_name_kind {
    SEGUE_PACK_NAME_OTHER,
    SEGUE_PACK_NAME_FILE,
    SEGUE_PACK_NAME_USED,
    /** Left by a builder that died, or in use by the one that has the lock. */
    SEGUE_PACK_NAME_TEMPORARY,
};
/** Takes a name apart; `out_generation` is set for files and their times of use. */
enum segue_pack_name_kind segue_pack_parse_name(const char *name, uint64_t *out_generation);

/** Reads exactly that much. @return -1 at the end of the file. */
int segue_pack_read(int fd, uint64_t offset_bytes, void *data, size_t length_bytes);
/** One pread, which may read less. @return a negative errno value where it fails. */
int64_t segue_pack_read_once(int fd, uint64_t offset_bytes, void *data, size_t length_bytes);
/** Writes all of it. */
int segue_pack_write(int fd, uint64_t offset_bytes, const void *data, size_t length_bytes);
/** Flushes a file or folder to the disk. */
int segue_pack_sync(int fd);
/** Opens a file in the folder; never through a symbolic link, never blocking on a pipe. */
int segue_pack_open_at(int folder_fd, const char *name, int flags, int *out_fd);
/** Creates a file of a new name in the folder, for the user alone. */
int segue_pack_create_temporary(int folder_fd, char out_name[SEGUE_PACK_NAME_BYTES], int *out_fd);
/** Gives a file its final name, unless there is one of that name (EEXIST). */
int segue_pack_rename(int folder_fd, const char *from, const char *to);
/** Removes a file; that there is none is fine. */
int segue_pack_remove(int folder_fd, const char *name);

/**
 * Opens the folder, creating it (and those above) with access for the user alone where `create`.
 * @param shared  accept one that other users may write.
 * @return SEGUE_NOT_FOUND (no folder, not to be created), SEGUE_INVALID_ACCESS, SEGUE_IO_ERROR.
 */
segue_status segue_pack_open_folder(const char *path, bool create, bool shared, int *out_fd);

/** Whether only the user (or root) can write what `fd` is, by owner and mode. */
bool segue_pack_is_private(int fd);

/** A lock that is held. */
struct segue_pack_lock {
    int fd;
    /** Its last owner died without giving it up. */
    bool recovered;
};

/**
 * Takes the folder's lock, which the kernel gives up with the process.
 * @param path        for messages.
 * @param timeout_ns  0: do not wait.
 * @return SEGUE_TIMEOUT with the owner in the message; SEGUE_INVALID_ACCESS where the folder cannot
 *         be written; SEGUE_IO_ERROR.
 */
segue_status segue_pack_lock_take(int folder_fd, const char *path, uint64_t timeout_ns,
                                  struct segue_pack_lock *out_lock);
/** Gives up the lock. */
void segue_pack_lock_release(struct segue_pack_lock *lock);

/** Clocks: monotonic, and wall in nanoseconds since 1970. */
uint64_t segue_pack_now_ns(void);
uint64_t segue_pack_wall_ns(void);

#endif // SEGUE_PREPACK_FILES_H
