// SPDX-License-Identifier: Apache-2.0
/**
 * @file buffer.h
 * Memory that commands read and write.
 */
#ifndef SEGUE_BUFFER_H
#define SEGUE_BUFFER_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Where memory is, and who may write it. */
enum segue_memory_type {
    /** Device memory. Not readable from the host but through segue_buffer_read. */
    SEGUE_MEMORY_DEVICE = 0,
    /** Pinned host memory that the device reads and writes; segue_buffer_map gives its address. */
    SEGUE_MEMORY_HOST_VISIBLE = 1,
    /** Device memory that only the host fills (segue_buffer_write); commands may only read it. */
    SEGUE_MEMORY_CONSTANT = 2,
};

/** What commands may do with a buffer. Bits. */
enum segue_buffer_usage {
    SEGUE_BUFFER_USAGE_TRANSFER_SOURCE = 1u << 0,
    SEGUE_BUFFER_USAGE_TRANSFER_TARGET = 1u << 1,
    SEGUE_BUFFER_USAGE_DISPATCH_READ = 1u << 2,
    SEGUE_BUFFER_USAGE_DISPATCH_WRITE = 1u << 3,
    SEGUE_BUFFER_USAGE_ALL = 0xF,
    SEGUE_BUFFER_USAGE_READ_ONLY =
        SEGUE_BUFFER_USAGE_TRANSFER_SOURCE | SEGUE_BUFFER_USAGE_DISPATCH_READ,
};

/** Every buffer starts at a device address that is a multiple of this. */
#define SEGUE_BUFFER_ALIGN_BYTES 256

/** How to make a buffer. */
struct segue_buffer_params {
    /** At least 1. */
    uint64_t size_bytes;
    enum segue_memory_type memory;
    /** Bits of segue_buffer_usage; 0: all that the memory type allows. */
    uint32_t usage;
    /** For messages, dumps and traces. NULL: none. Copied. */
    const char *label;
};

/**
 * Allocates memory; its content is undefined.
 * @return SEGUE_OUT_OF_DEVICE_MEMORY, SEGUE_OUT_OF_HOST_MEMORY; SEGUE_INVALID_ARGUMENT for size 0,
 *         unknown bits, or write usage on constant memory.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_buffer_create(
    segue_device *device, const struct segue_buffer_params *params, segue_buffer **out_buffer);

/**
 * A view: another handle on [offset, offset + length) of `parent`, which stays alive as long. A
 * view of a view refers to the original memory. Hazards are found between views of one memory. The
 * view inherits memory type and usage.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_buffer_create_view(segue_buffer *parent,
                                                                 uint64_t offset_bytes,
                                                                 uint64_t length_bytes,
                                                                 const char *label,
                                                                 segue_buffer **out_view);

/** Gives up the handle. The memory goes when nothing recorded or in flight uses it any more. */
SEGUE_API void segue_buffer_destroy(segue_buffer *buffer);

/** What is known of a buffer. */
struct segue_buffer_info {
    uint64_t size_bytes;
    enum segue_memory_type memory;
    uint32_t usage;
    /** "" if none. Lives as long as the buffer. */
    const char *label;
    /** As kernels see it; for constants that carry pointers (see SEGUE_ENTRY_OPAQUE). */
    uint64_t device_address;
    /** Identifies the underlying memory: views of one memory share it. */
    uint64_t memory_id;
    /** Offset within the underlying memory, and the size of that. */
    uint64_t memory_offset_bytes;
    uint64_t memory_size_bytes;
    /** Nothing can write it any more (segue_buffer_seal). */
    bool is_sealed;
};

/** Describes a buffer or view. */
SEGUE_API void segue_buffer_get_info(const segue_buffer *buffer,
                                     struct segue_buffer_info *out_info);

/**
 * Host address of a host-visible buffer. Valid as long as the buffer. What the device wrote may be
 * read once a semaphore wait says that the writing submission is done.
 * @return SEGUE_INVALID_ACCESS for other memory types.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_buffer_map(segue_buffer *buffer, void **out_pointer);

/**
 * Copies host memory into the buffer (any type) and waits. Not ordered with submissions: the caller
 * makes sure that none in flight uses the range.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_buffer_write(segue_buffer *buffer,
                                                           uint64_t offset_bytes, const void *data,
                                                           uint64_t length_bytes);

/** Copies from the buffer (any type) into host memory and waits. Not ordered with submissions. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_buffer_read(segue_buffer *buffer,
                                                          uint64_t offset_bytes, void *data,
                                                          uint64_t length_bytes);

/**
 * Ends the writing of constant memory, for good and for all views of it: neither
 * segue_buffer_write nor command buffers with SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS may write it
 * afterwards. Submissions made before are not affected. Sealing twice is fine.
 * @return SEGUE_INVALID_ACCESS for other memory types.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_buffer_seal(segue_buffer *buffer);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_BUFFER_H
