// SPDX-License-Identifier: Apache-2.0
/**
 * @file fuzz.h
 * What the fuzz targets share. A target defines LLVMFuzzerTestOneInput; it is linked with libFuzzer
 * (option SEGUE_FUZZ) and, in every build, with replay.c, which runs the corpus in the tree.
 */
#ifndef SEGUE_FUZZ_H
#define SEGUE_FUZZ_H

#include <segue/segue.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Runs one input. Always returns 0; what is wrong ends the process. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Prints what is wrong, and the condition that was expected, and ends the process, which is a
 * finding. */
void fuzz_fail(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((noreturn, format(printf, 4, 5)));
#define FUZZ_CHECK(condition, ...)                                  \
    do {                                                            \
        if (!(condition))                                           \
            fuzz_fail(__FILE__, __LINE__, #condition, __VA_ARGS__); \
    } while (0)

/** The rest of an input that is read as numbers. At its end all numbers are 0. */
struct fuzz_input {
    const uint8_t *next;
    size_t left;
};

/** Numbers, least significant byte first. */
uint8_t fuzz_u8(struct fuzz_input *input);
uint16_t fuzz_u16(struct fuzz_input *input);
uint32_t fuzz_u32(struct fuzz_input *input);
uint64_t fuzz_u64(struct fuzz_input *input);

/** Host memory of a device under test: counted, and failing on request. */
struct fuzz_memory {
    /** Allocations alive. */
    uint64_t live_count;
    /** The nth one from now on fails; 0: none. */
    uint64_t fail_nth;
    /** All after it fail, too. */
    bool fail_forever;
    /** Allocations that were made to fail. */
    uint64_t failed_count;
};

/** Opens the software driver, without compiler and cache. Ends the process where that fails. */
segue_device *fuzz_open_device(struct fuzz_memory *memory, enum segue_validation validation);

/** Once the device and everything of it is gone: no memory, no driver object, no misuse is left. */
void fuzz_check_end(const struct segue_soft_api *soft, const struct fuzz_memory *memory);

/** From now on the driver objects that are alive do not count as left over. */
void fuzz_accept_leaks(const struct segue_soft_api *soft);

/** An empty folder for the process; removed, with its files, when the process ends. */
const char *fuzz_folder(void);

/** An open file without a name that holds the bytes. The caller closes it. */
int fuzz_open_bytes(const void *data, size_t size);

#endif // SEGUE_FUZZ_H
