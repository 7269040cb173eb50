// SPDX-License-Identifier: Apache-2.0
// The lock of a folder. It is an open file description's lock on the file "lock", which the kernel
// drops when its owner ends, however that happens. The file's content says who the owner is; it is
// emptied before the lock is given up, so a text in an unlocked file means that its owner died.
#include "files.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define OWNER_BYTES 128
#define SHORTEST_NAP_NS 1000000u
#define LONGEST_NAP_NS 50000000u

static const char lock_name[] = "lock";

/** Tries once. @return 0, EAGAIN where another has it, or why locking does not work. */
static int try_lock(int fd)
{
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (TEMP_FAILURE_RETRY(fcntl(fd, F_OFD_SETLK, &range)) == 0)
        return 0;
    if (errno == EACCES || errno == EAGAIN)
        return EAGAIN;
    if (errno != EINVAL)
        return errno;
    // A kernel or file system without locks of that kind. All processes on it do the same.
    if (TEMP_FAILURE_RETRY(flock(fd, LOCK_EX | LOCK_NB)) == 0)
        return 0;
    return errno == EWOULDBLOCK ? EAGAIN : errno;
}

/** Who has written the file, for messages; "" if nobody. */
static void read_owner(int fd, char out_owner[OWNER_BYTES])
{
    const ssize_t count = TEMP_FAILURE_RETRY(pread(fd, out_owner, OWNER_BYTES - 1, 0));
    out_owner[count > 0 ? count : 0] = '\0';
    out_owner[strcspn(out_owner, "\n")] = '\0';
}

/** "process 123 of boot 1b4e...": a process number alone means another one after a restart. */
static void write_owner(int fd)
{
    char boot[40] = "?";
    const int boot_fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (boot_fd >= 0) {
        const ssize_t count = TEMP_FAILURE_RETRY(read(boot_fd, boot, sizeof(boot) - 1));
        boot[count > 0 ? count : 0] = '\0';
        boot[strcspn(boot, "\n")] = '\0';
        (void)close(boot_fd);
    }
    char owner[OWNER_BYTES];
    const int length =
        snprintf(owner, sizeof(owner), "process %ld of boot %s\n", (long)getpid(), boot);
    // Only for people and for counting recoveries: the lock holds without it.
    if (TEMP_FAILURE_RETRY(ftruncate(fd, 0)) == 0)
        (void)segue_pack_write(fd, 0, owner, (size_t)length);
}

static void nap(uint64_t time_ns)
{
    const struct timespec time = {.tv_nsec = (long)time_ns};
    (void)nanosleep(&time, NULL);
}

segue_status segue_pack_lock_take(int folder_fd, const char *path, uint64_t timeout_ns,
                                  struct segue_pack_lock *out_lock)
{
    int fd = -1;
    int error = segue_pack_open_at(folder_fd, lock_name, O_RDWR | O_CREAT, &fd);
    if (error != 0)
        return segue_prepack_fail(
            error == EACCES || error == EROFS || error == EPERM ? SEGUE_INVALID_ACCESS
                                                                : SEGUE_IO_ERROR,
            "packed cache %s: its lock could not be opened: %s", path, strerror(error));
    const uint64_t start_ns = segue_pack_now_ns();
    uint64_t nap_ns = SHORTEST_NAP_NS;
    while ((error = try_lock(fd)) == EAGAIN && segue_pack_now_ns() - start_ns < timeout_ns) {
        nap(nap_ns);
        nap_ns = 2 * nap_ns < LONGEST_NAP_NS ? 2 * nap_ns : LONGEST_NAP_NS;
    }
    char owner[OWNER_BYTES];
    read_owner(fd, owner);
    if (error != 0) {
        (void)close(fd);
        if (error == EAGAIN)
            return segue_prepack_fail(SEGUE_TIMEOUT,
                                      "packed cache %s: %s is building in it; wait for it or pack "
                                      "privately",
                                      path, owner[0] != '\0' ? owner : "another process");
        return segue_prepack_fail(SEGUE_IO_ERROR, "packed cache %s: it could not be locked: %s",
                                  path, strerror(error));
    }
    *out_lock = (struct segue_pack_lock){.fd = fd, .recovered = owner[0] != '\0'};
    write_owner(fd);
    return SEGUE_OK;
}

void segue_pack_lock_release(struct segue_pack_lock *lock)
{
    if (lock->fd < 0)
        return;
    // The text goes first: once the lock is given up, the file is another's.
    (void)!TEMP_FAILURE_RETRY(ftruncate(lock->fd, 0));
    (void)close(lock->fd);
    lock->fd = -1;
}
