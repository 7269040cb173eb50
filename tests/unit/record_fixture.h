// SPDX-License-Identifier: Apache-2.0
/**
 * @file record_fixture.h
 * What tests of recording share: a device on the null backend, some buffers, and an executable.
 */
#ifndef SEGUE_TEST_RECORD_FIXTURE_H
#define SEGUE_TEST_RECORD_FIXTURE_H

#include "null_backend.h"

#include "command_buffer.h"

enum record_entry {
    /** Bindings: read (16-byte aligned), read, constant, write; constants: 4 and 12 bytes; blocks
     * of 128. */
    RECORD_GEMV,
    /** One read-write binding; block per dispatch. */
    RECORD_FREE,
    /** No parameters; blocks of 32, clusters of 2 x 1 x 1, 1000 bytes of shared memory. */
    RECORD_CLUSTER,
    /** One constant of 8 bytes, opaque; blocks of 32. */
    RECORD_OPAQUE,
    RECORD_ENTRY_COUNT,
};

#define RECORD_BUFFER_BYTES 4096

struct record_fixture {
    struct null_allocator memory;
    segue_device *device;
    segue_executable *executable;
    /** All of RECORD_BUFFER_BYTES; all usage that the memory type allows. */
    segue_buffer *a;
    segue_buffer *b;
    segue_buffer *constant;
    segue_buffer *host;
    segue_event *event;
    /** Recording when a test begins; 2 slots. */
    segue_command_buffer *recording;
};

/** The declarations of the executable. */
extern const struct segue_entry_point record_entries[RECORD_ENTRY_COUNT];

/** cmocka fixtures; the first opens the device with basic, the second with full validation.
 *  Teardown fails the test if something leaks. */
int record_setup(void **state);
int record_setup_full(void **state);
int record_teardown(void **state);

/** Creates a command buffer and begins it. NULL params: defaults. */
segue_command_buffer *record_begin(struct record_fixture *fixture,
                                   const struct segue_command_buffer_params *params);

static inline struct segue_buffer_ref whole(segue_buffer *buffer)
{
    return (struct segue_buffer_ref){.buffer = buffer, .length_bytes = SEGUE_WHOLE_SIZE};
}
static inline struct segue_buffer_ref part(segue_buffer *buffer, uint64_t offset_bytes,
                                           uint64_t length_bytes)
{
    return (struct segue_buffer_ref){
        .buffer = buffer, .offset_bytes = offset_bytes, .length_bytes = length_bytes};
}
static inline struct segue_buffer_ref in_slot(uint32_t slot, uint64_t offset_bytes,
                                              uint64_t length_bytes)
{
    return (struct segue_buffer_ref){
        .slot = slot, .offset_bytes = offset_bytes, .length_bytes = length_bytes};
}

/** A dispatch of RECORD_GEMV reading a, reading b, constant constant, writing host. `bindings` (4)
 *  is filled in and must live as long. */
struct segue_dispatch record_gemv(const struct record_fixture *fixture,
                                  struct segue_buffer_ref bindings[4]);
/** A dispatch of RECORD_FREE on one buffer, with blocks of 32. */
struct segue_dispatch record_free(const struct record_fixture *fixture,
                                  const struct segue_buffer_ref *binding);

#endif // SEGUE_TEST_RECORD_FIXTURE_H
