// SPDX-License-Identifier: Apache-2.0
/**
 * @file command_buffer.h
 * Recording: a linear list of commands that is turned into a graph, or into stream launches.
 *
 * Order. Commands between two barriers are unordered: they may run at the same time or in any
 * order. A barrier orders commands before it with commands after it, as far as its masks and ranges
 * say. Barriers at the beginning, at the end or one after the other are legal and cost nothing.
 *
 * Errors. Every recording function returns a status, and the first failure is latched:
 * segue_command_buffer_end returns it again, and a failed command buffer refuses to be submitted
 * until it is reset. Messages name the command's index and its debug-group path.
 *
 * Thread-safety. A command buffer is recorded, ended, reset and destroyed by one thread at a time.
 * An ended command buffer may be submitted from several threads at once, each with its own
 * bindings, and looked at (segue/inspect.h, but for segue_command_buffer_get_graph and what it
 * returns) while it is; the caller sees to it that no submission of it comes at the same time as
 * its reset or destruction. What is in flight needs nobody's care: it keeps its recording, its
 * bindings and its graph, which is never written while it runs. Different command buffers may be
 * recorded, ended and submitted on different threads at once, without a lock of the caller's:
 * recording takes none, ending takes those of the cache for a moment (segue/cache.h), and
 * submitting takes one of the device. Under that one, bindings that differ from the last are also
 * written into a graph.
 */
#ifndef SEGUE_COMMAND_BUFFER_H
#define SEGUE_COMMAND_BUFFER_H

#include <segue/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How an ended command buffer is run. */
enum segue_execution_mode {
    /** Graph for reusable buffers, stream for one-shot ones and those without work. A one-shot
     * buffer is a graph where one like it is in the cache (segue/cache.h), or has been recorded
     * before, or where making one is faster than the stream by the device's cost model
     * (segue/cost.h); a buffer whose graph the driver refuses runs as a stream. */
    SEGUE_EXECUTION_AUTO = 0,
    /** As one CUDA graph. */
    SEGUE_EXECUTION_GRAPH = 1,
    /** As launches on the queue's stream, one after the other. */
    SEGUE_EXECUTION_STREAM = 2,
};

/** How a command buffer will be used. Bits. */
enum segue_command_buffer_flags {
    /** Submitted at most once. */
    SEGUE_COMMAND_BUFFER_ONE_SHOT = 1u << 0,
    /** Does not keep recorded buffers, executables and events alive; the caller does, until the
     *  command buffer is reset or destroyed and its submissions are done. */
    SEGUE_COMMAND_BUFFER_UNRETAINED = 1u << 1,
    /** Keeps the full order of every barrier, whatever the commands around it touch: for callers
     * who do not trust what their executables declare. Without it, a barrier orders two commands
     * only where they conflict. */
    SEGUE_COMMAND_BUFFER_BARRIER_ORDER = 1u << 2,
    /** No two slots that commands use stand for bytes that overlap, unless nothing writes either:
     *  a submission with such bindings is refused with SEGUE_INVALID_ARGUMENT. Without it, any two
     *  may, and commands that use different slots wait for each other where a barrier permits and
     *  one of them writes. */
    SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT = 1u << 3,
    /** Its commands may write constant memory, not through slots: for packing weights on the
     * device. Needs SEGUE_COMMAND_BUFFER_ONE_SHOT. Refused at the submission where the memory has
     * been sealed meanwhile (segue_buffer_seal). */
    SEGUE_COMMAND_BUFFER_FILLS_CONSTANTS = 1u << 4,
    /** With SEGUE_COMMAND_BUFFER_SLOTS_DISTINCT: bindings that overlap are not refused. The command
     *  buffer is ordered anew for the way in which they do, and gets a graph for each such way,
     *  which the cache keeps (segue/cache.h) like those of other structures. */
    SEGUE_COMMAND_BUFFER_LOWER_ALIASES = 1u << 5,
};

/** A constant whose value each submission gives: a position, a length. */
struct segue_constant_slot {
    /** 1 to 255 bytes, printable ASCII without spaces and "="; differs from those of the command
     *  buffer's other constant slots. Copied. */
    const char *name;
    /** 4 or 8. */
    uint32_t size_bytes;
};

/** How to make a command buffer. */
struct segue_command_buffer_params {
    enum segue_execution_mode mode;
    /** Bits of segue_command_buffer_flags. */
    uint32_t flags;
    /** Slots that recorded buffer references may name (see segue_buffer_ref), at most 65536. */
    uint32_t slot_count;
    /** Testing aid: when not 0, unordered commands are issued (stream) or created as nodes (graph)
     *  in a random order made from this seed, instead of in recorded order. */
    uint64_t order_seed;
    /** For messages, dumps and traces. NULL: none. Copied. */
    const char *label;
    /** What parts of dispatches' constants may stand for (see segue_constant_use), at most 1024. */
    const struct segue_constant_slot *constant_slots;
    uint32_t constant_slot_count;
};

/** @param params NULL: defaults (reusable, retained, AUTO). */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_command_buffer_create(segue_device *device, const struct segue_command_buffer_params *params,
                            segue_command_buffer **out_command_buffer);

/** Gives up the handle; submissions in flight go on. */
SEGUE_API void segue_command_buffer_destroy(segue_command_buffer *command_buffer);

/** Starts recording. @return SEGUE_INVALID_STATE unless the command buffer is new or reset. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_command_buffer_begin(segue_command_buffer *command_buffer);

/**
 * Ends recording: returns the first recording failure if there was one; checks that debug groups
 * are balanced; with full validation reports hazards; lowers, instantiates and uploads the graph
 * (in graph mode, without slots; with slots that happens at the first submission, and at a later
 * one with other bindings only where every graph of this command buffer is in flight: else the
 * nodes of commands that use what differs are written).
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_command_buffer_end(segue_command_buffer *command_buffer);

/** Forgets the recording (submissions in flight keep theirs) and makes the buffer new again. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_command_buffer_reset(segue_command_buffer *command_buffer);

/**
 * A range of memory in a command: of `buffer`, or, where buffer is NULL, of whatever buffer the
 * submission's table holds at `slot`.
 */
struct segue_buffer_ref {
    segue_buffer *buffer;
    uint32_t slot;
    uint64_t offset_bytes;
    /** SEGUE_WHOLE_SIZE: to the end. */
    uint64_t length_bytes;
};

/**
 * Fills a range with a repeated pattern of 1, 2 or 4 bytes (the low bytes of `pattern`). Length and
 * offset, counted within the underlying memory, must be multiples of the pattern's size. Length 0
 * does nothing.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_fill(segue_command_buffer *command_buffer,
                                                       struct segue_buffer_ref target,
                                                       uint32_t pattern,
                                                       uint32_t pattern_size_bytes);

/** Largest inline update. */
#define SEGUE_MAX_UPDATE_BYTES 65536

/** Writes host data, captured now, when the command runs. target.length_bytes is the data's size.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_update(segue_command_buffer *command_buffer,
                                                         struct segue_buffer_ref target,
                                                         const void *data);

/**
 * Copies target.length_bytes bytes (SEGUE_WHOLE_SIZE in either: take the other's length; in both:
 * the two rests, which must be equal). Lengths must agree; overlap is SEGUE_INVALID_ARGUMENT.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_copy(segue_command_buffer *command_buffer,
                                                       struct segue_buffer_ref source,
                                                       struct segue_buffer_ref target);

/** A part of a dispatch's constants that every submission fills in with its value of a constant
 *  slot. It lies in one constant parameter. Grids cannot be filled in. */
struct segue_constant_use {
    /** Index into the command buffer's constant slots. */
    uint32_t slot;
    /** In the dispatch's constants. */
    uint32_t offset_bytes;
    /** The slot's. */
    uint32_t size_bytes;
};

/** A launch of a kernel. */
struct segue_dispatch {
    segue_executable *executable;
    /** Index into the executable's entry points. */
    uint32_t entry_point;
    /** Blocks. A 0 in any dimension makes the dispatch do nothing. */
    uint32_t grid[3];
    /** Threads per block; all 0: the entry point's static size. */
    uint32_t block[3];
    /** 0: the entry point's. */
    uint32_t dynamic_shared_bytes;
    /** One per binding parameter, indirect or not, in order. */
    const struct segue_buffer_ref *bindings;
    uint32_t binding_count;
    /** The values of all constant parameters, in order, with no padding between them. */
    const void *constants;
    uint32_t constants_size_bytes;
    /** A hint: about how long the dispatch takes when it runs alone. 0: not known. */
    uint32_t duration_ns;
    /** In order of offset_bytes, without overlap. What `constants` holds there does not count. */
    const struct segue_constant_use *constant_uses;
    uint32_t constant_use_count;
};

/** Runs a kernel. Bindings and constants are captured now. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_dispatch(segue_command_buffer *command_buffer,
                                                           const struct segue_dispatch *dispatch);

/** Kinds of access that a barrier orders. Bits. */
enum segue_access_mask {
    /** Sources of copies. */
    SEGUE_ACCESS_MASK_TRANSFER_READ = 1u << 0,
    /** Targets of fills, updates and copies. */
    SEGUE_ACCESS_MASK_TRANSFER_WRITE = 1u << 1,
    SEGUE_ACCESS_MASK_DISPATCH_READ = 1u << 2,
    SEGUE_ACCESS_MASK_DISPATCH_WRITE = 1u << 3,
    SEGUE_ACCESS_MASK_ALL = 0xF,
};

/** Orders every earlier command that makes a `source` access with every later `target` access. */
struct segue_memory_barrier {
    /** Bits of segue_access_mask, at least one each. There are no stage masks: write-after-read
     *  needs a read bit in source and a write bit in target. */
    uint32_t source;
    uint32_t target;
};

/** The same, only for commands that touch the range. */
struct segue_buffer_barrier {
    uint32_t source;
    uint32_t target;
    struct segue_buffer_ref range;
};

/** What a barrier orders besides its memory and buffer barriers. Bits. */
enum segue_barrier_flags {
    /** Everything before is ordered with everything after. */
    SEGUE_BARRIER_EXECUTION = 1u << 0,
};

/** A barrier without memory and buffer barriers is an execution barrier. */
struct segue_barrier {
    /** Bits of segue_barrier_flags. */
    uint32_t flags;
    const struct segue_memory_barrier *memory_barriers;
    uint32_t memory_barrier_count;
    const struct segue_buffer_barrier *buffer_barriers;
    uint32_t buffer_barrier_count;
};

/** @param barrier NULL: an execution barrier. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_barrier(segue_command_buffer *command_buffer,
                                                          const struct segue_barrier *barrier);

/** Signals the event once all commands recorded so far are done. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_signal_event(segue_command_buffer *command_buffer,
                                                               segue_event *event);

/** Makes the event unsignalled again: a later wait needs a later signal. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_reset_event(segue_command_buffer *command_buffer,
                                                              segue_event *event);

/**
 * Orders what the event's signal ordered before it with every later command. Where this command
 * buffer has not signalled the event before, an earlier submission must have; otherwise submitting
 * returns SEGUE_INVALID_STATE.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_wait_event(segue_command_buffer *command_buffer,
                                                             segue_event *event);

/** Opens a named group; groups nest up to 64 deep and order nothing. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_begin_group(segue_command_buffer *command_buffer,
                                                              const char *label);

/** Closes the innermost open group. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_end_group(segue_command_buffer *command_buffer);

/**
 * Records all commands of an ended command buffer of the same device here, as if they had been
 * recorded one by one (no barrier is added). The secondary may be destroyed or reset afterwards.
 * Where its dispatches use constant slots, those of the same name and size here are meant.
 * @param bindings  what the secondary's slots stand for here, one per slot; NULL if it has none.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_cmd_execute(segue_command_buffer *command_buffer,
                                                          segue_command_buffer *secondary,
                                                          const struct segue_buffer_ref *bindings,
                                                          uint32_t binding_count);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_COMMAND_BUFFER_H
