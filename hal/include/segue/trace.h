// SPDX-License-Identifier: Apache-2.0
/**
 * @file trace.h
 * Replay traces: command buffers with everything they need, as a JSON document with safetensors
 * files beside it. The format is described in docs/trace-format.md. This is a library of its own
 * (libsegue_trace), so that the core depends on libc alone.
 *
 * Traces are untrusted input: every offset, size and reference is checked, paths cannot leave the
 * trace's folder, and a bad trace is SEGUE_INVALID_DATA with one line that says where (a JSON
 * pointer) and what.
 */
#ifndef SEGUE_TRACE_H
#define SEGUE_TRACE_H

#include <segue/inspect.h>
#include <segue/queue.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Version of the format that this library writes; it reads this major version. */
#define SEGUE_TRACE_VERSION_MAJOR 1
/** See SEGUE_TRACE_VERSION_MAJOR. */
#define SEGUE_TRACE_VERSION_MINOR 3

/** Type of an element. */
enum segue_dtype {
    SEGUE_DTYPE_U8 = 0,
    SEGUE_DTYPE_I8,
    SEGUE_DTYPE_U16,
    SEGUE_DTYPE_I16,
    SEGUE_DTYPE_U32,
    SEGUE_DTYPE_I32,
    SEGUE_DTYPE_U64,
    SEGUE_DTYPE_I64,
    SEGUE_DTYPE_F16,
    SEGUE_DTYPE_BF16,
    SEGUE_DTYPE_F32,
    SEGUE_DTYPE_F64,
};

/** "bf16" and so on; NULL for an unknown value. */
SEGUE_API const char *segue_dtype_name(enum segue_dtype dtype);
/** Size of an element; 0 for an unknown value. */
SEGUE_API size_t segue_dtype_size_bytes(enum segue_dtype dtype);

/** How content is generated. */
enum segue_content_kind {
    /** All bytes zero. */
    SEGUE_CONTENT_ZERO = 0,
    /** A repeated 4-byte pattern. */
    SEGUE_CONTENT_FILL = 1,
    /** Seeded, about normal: `mean` and `stddev`; F16, BF16, F32 or F64. */
    SEGUE_CONTENT_NORMAL = 2,
    /** Seeded, uniform in [low, high); any dtype. */
    SEGUE_CONTENT_UNIFORM = 3,
    /** Seeded random 4-bit values, two a byte. */
    SEGUE_CONTENT_NIBBLES = 4,
};

/** How a buffer is filled without storing its bytes. Element i depends on seed and i alone, in
 * exact arithmetic, so every machine makes the same bytes. */
struct segue_content {
    enum segue_content_kind kind;
    enum segue_dtype dtype;
    uint64_t seed;
    /** NORMAL: mean, UNIFORM: low. */
    double a;
    /** NORMAL: standard deviation, UNIFORM: high. */
    double b;
    uint32_t pattern;
};

/** Writes bytes [offset, offset + length) of the content; both multiples of the element size (4 for
 *  FILL). SEGUE_INVALID_ARGUMENT for a kind, dtype or range that does not fit. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_content_generate(const struct segue_content *content,
                                                               uint64_t offset_bytes,
                                                               uint64_t length_bytes, void *data);

/** Fills a whole buffer with generated content (segue_buffer_write in bounded pieces). */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_buffer_write_content(segue_buffer *buffer, const struct segue_content *content);

/* ---- Packing -------------------------------------------------------------------------------- */

/** Most inputs of a packing. */
#define SEGUE_TRACE_MAX_PACKING_SOURCES 8

/** An input of a packing: what its buffer holds. */
struct segue_trace_packing_source {
    uint64_t size_bytes;
    /** `content` says how it is made; else its bytes are at `data` (writing) or a range of an open
     *  file (what was read). */
    bool is_generated;
    struct segue_content content;
    const void *data;
    int fd;
    const char *file;
    uint64_t offset_bytes;
};

/** How constant memory comes to hold what it does at first: by a dispatch that packs. */
struct segue_trace_packing {
    /** 1 to SEGUE_TRACE_MAX_PACKING_SOURCES. */
    const struct segue_trace_packing_source *sources;
    uint32_t source_count;
    /** Without bindings: these are the sources, in order, then the constant. No opaque entry point.
     */
    struct segue_dispatch dispatch;
    /** The layout that it makes, not 0, and its version: what a packed cache tells entries apart
     *  by. */
    uint32_t layout_id;
    uint32_t layout_version;
    /** A small run of the same entry point, which tells a changed packer: bytes of each source
     * (NULL: there is none, and the packing itself serves), and of the result. */
    struct segue_dispatch probe;
    const uint64_t *probe_input_bytes;
    uint64_t probe_output_bytes;
};

/* ---- Writing --------------------------------------------------------------------------------- */

/** A trace that is being written. */
typedef struct segue_trace_writer segue_trace_writer;

/** Writes one ended command buffer as a trace with one submission: PATH (JSON) and, where bytes
 * must be stored, PATH with `.json` replaced by `.safetensors`. Contents of its buffers are read
 * back now, so call it before running. Slots need `bindings`. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_write_command_buffer(
    segue_command_buffer *command_buffer, const struct segue_buffer_ref *bindings,
    uint32_t binding_count, const char *path);

/** A writer for everything beyond that. One thread at a time. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_writer_create(segue_device *device,
                                                                  const char *path,
                                                                  segue_trace_writer **out_writer);
/** Gives up the writer; without segue_trace_writer_finish nothing is written. */
SEGUE_API void segue_trace_writer_destroy(segue_trace_writer *writer);

/** The reader shall generate this buffer's content instead of storing its bytes. Call it before the
 *  buffer first occurs in a submission. `buffer` may not be a view. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_writer_set_content(
    segue_trace_writer *writer, segue_buffer *buffer, const struct segue_content *content);

/** The reader shall pack this buffer's content. Call it before the buffer first occurs in a
 *  submission. `buffer` is constant memory, whole, and holds by now what the packing makes. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_writer_set_packing(
    segue_trace_writer *writer, segue_buffer *buffer, const struct segue_trace_packing *packing);

/** Appends a submission, and with it its command buffers, executables, semaphores, events and
 *  buffers (contents are read back now unless set before). All must outlive the writer. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_writer_add_submission(
    segue_trace_writer *writer, const struct segue_submission *submission);

/** What a range must hold after all submissions. */
struct segue_expectation {
    /** `buffer` set. */
    struct segue_buffer_ref range;
    enum segue_dtype dtype;
    /** Expected values, range length bytes. */
    const void *data;
    /** ‖actual − expected‖ / ‖expected‖ may be at most this; 0: bytes must be equal, and only an
     *  XXH3-128 digest is stored. */
    double relative_tolerance;
    /** NULL: "buffer[offset]". */
    const char *name;
};
/** Adds an expectation. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_trace_writer_expect(segue_trace_writer *writer, const struct segue_expectation *expectation);

/** Writes the files: to temporary names, then renamed. The writer is then done. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_writer_finish(segue_trace_writer *writer);

/* ---- Reading and replaying ------------------------------------------------------------------- */

/** A trace that has been read. */
typedef struct segue_trace segue_trace;

/** Reads and checks a trace. SEGUE_IO_ERROR, SEGUE_INVALID_DATA, SEGUE_OUT_OF_HOST_MEMORY. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_load(const char *path, segue_trace **out_trace);
/** Gives up the trace. */
SEGUE_API void segue_trace_destroy(segue_trace *trace);

/** A trace with its objects on a device. */
typedef struct segue_trace_session segue_trace_session;

/** Progress of a long step, e.g. ("fill buffers", bytes done, bytes in all). */
typedef void (*segue_progress_fn)(void *context, const char *step, uint64_t done, uint64_t total);

/** What barriers of a session's command buffers order. */
enum segue_trace_order {
    /** As each was recorded. */
    SEGUE_TRACE_ORDER_AUTO = 0,
    /** Only commands that conflict: none has SEGUE_COMMAND_BUFFER_BARRIER_ORDER. */
    SEGUE_TRACE_ORDER_HAZARD = 1,
    /** Everything: all have it. */
    SEGUE_TRACE_ORDER_BARRIER = 2,
};

/** What constant memory of a trace holds. Pointers live as long as the trace. */
struct segue_trace_constant {
    /** A whole memory, not yet filled. */
    segue_buffer *buffer;
    const char *name;
    uint64_t size_bytes;
    /** `content` says how it is made; else its bytes are a range of an open file. */
    bool is_generated;
    struct segue_content content;
    int fd;
    const char *file;
    uint64_t offset_bytes;
    /** NULL: as it is. Else what it is packed by and from; the fields above do not count. It lives
     *  as long as the session. */
    const struct segue_trace_packing *packing;
};

/**
 * Asked for each constant memory when a session is created. True: the caller fills it before the
 * first run. False: the session does, now.
 */
typedef bool (*segue_trace_fill_fn)(void *context, const struct segue_trace_constant *constant);

/** How to replay. */
struct segue_trace_session_params {
    /** Mode for every command buffer; AUTO: as each was recorded. */
    enum segue_execution_mode mode;
    /** See segue_command_buffer_params.order_seed. */
    uint64_t order_seed;
    enum segue_trace_order order;
    /** Measure how long each command takes: all run as graphs, one command after the other in
     *  recorded order, with a kernel of one thread between them that writes down the time. Results
     *  are the same; `mode` and `order` do not count. See segue_trace_session_get_durations. */
    bool profile;
    /** Of command buffer `limited_command_buffer` only the first `command_limit` commands are
     *  recorded, and the signals, resets and waits of events behind them; open groups are closed.
     */
    bool limit_commands;
    uint32_t limited_command_buffer;
    uint32_t command_limit;
    /** Take the buffers and executables of this session, which must be of the same trace and device
     *  and outlive this one, instead of creating them. */
    segue_trace_session *share_buffers;
    segue_progress_fn progress;
    void *progress_context;
    /** NULL: the session fills all buffers. */
    segue_trace_fill_fn fill;
    void *fill_context;
};

/** Creates the trace's buffers with their contents, its executables, and records its command
 *  buffers. Trace and device must outlive the session. @param params NULL: defaults. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_session_create(
    segue_trace *trace, segue_device *device, const struct segue_trace_session_params *params,
    segue_trace_session **out_session);
/** Gives up the session's objects. */
SEGUE_API void segue_trace_session_destroy(segue_trace_session *session);

/** Gives every buffer that commands write its initial content again. */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_session_restore(segue_trace_session *session);

/**
 * Gives constant slots another value than the trace's submissions do, in all later runs: those of
 * that name, and of the value's size, in every command buffer.
 * @return SEGUE_NOT_FOUND where there is none.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_session_set_constant(
    segue_trace_session *session, const char *name, const struct segue_constant_value *value);

/** Sums over all submissions of one run. */
struct segue_trace_timing {
    uint64_t issue_ns;
    uint64_t device_ns;
    /** Wall time from before the first submission until all are done. */
    uint64_t total_ns;
};

/** Runs all submissions and waits. @param out_timing NULL: not wanted. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_trace_session_run(segue_trace_session *session, struct segue_trace_timing *out_timing);

/**
 * How long the commands of a command buffer take by themselves, without launch and edges, in the
 * caches that those before them leave: means over the runs of a session made with `profile`, the
 * first of several left out. Where a run executes it more than once, the last time counts.
 * @param out_durations_ns  per command, at most `capacity`: 0 for one that does no work on the
 *                          device, at least 1 for the others.
 * @param out_count         how many commands there are.
 * @return SEGUE_INVALID_STATE without `profile` or before the first run.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status segue_trace_session_get_durations(
    const segue_trace_session *session, uint32_t command_buffer, uint32_t *out_durations_ns,
    uint32_t capacity, uint32_t *out_count);

/** Durations of the commands of one command buffer, by index; those of dispatches that are not 0
 *  are written. */
struct segue_trace_durations {
    uint32_t command_buffer;
    const uint32_t *durations_ns;
    uint32_t count;
};

/**
 * Writes a trace once more, with these durations in place of those it had. The new document refers
 * to the same files as the old one, so it must be in the same folder; it may be the old one.
 * @return SEGUE_INVALID_ARGUMENT for another folder, SEGUE_INVALID_DATA if the document has changed
 *         since it was loaded, SEGUE_IO_ERROR.
 */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_trace_write_durations(const segue_trace *trace, const struct segue_trace_durations *durations,
                            uint32_t durations_count, const char *path);

/** Outcome of one expectation. */
struct segue_verification {
    const char *name;
    bool passed;
    double relative_error;
    double tolerance;
    /** One line for people. */
    char message[256];
};

/** Compares all expectations. @param out_results array of segue_trace_session_get_counts'
 *  expectation_count. @return SEGUE_MISMATCH if one fails. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_trace_session_verify(segue_trace_session *session, struct segue_verification *out_results);

/** Writes all ranges with an expectation (all written buffers if there is none) as safetensors. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_trace_session_write_outputs(segue_trace_session *session, const char *path);

/** How many objects of each kind a trace has. */
struct segue_trace_counts {
    uint32_t buffer_count;
    uint32_t executable_count;
    uint32_t command_buffer_count;
    uint32_t submission_count;
    uint32_t expectation_count;
    uint32_t packing_count;
};
/** Counts the objects. */
SEGUE_API void segue_trace_session_get_counts(const segue_trace_session *session,
                                              struct segue_trace_counts *out_counts);

/** Index below the matching count; owned by the session. Names as in the trace. */
SEGUE_API segue_command_buffer *segue_trace_session_command_buffer(segue_trace_session *session,
                                                                   uint32_t index,
                                                                   const char **out_name);
/** @param out_written whether a command writes it. */
SEGUE_API segue_buffer *segue_trace_session_buffer(segue_trace_session *session, uint32_t index,
                                                   const char **out_name, bool *out_written);

/** What the packing of that index makes, and how. */
SEGUE_API void segue_trace_session_packing(const segue_trace_session *session, uint32_t index,
                                           struct segue_trace_constant *out_constant);

/* ---- Dumping --------------------------------------------------------------------------------- */

/** What is dumped: the commands, or a graph (segue_graph_stage). */
enum segue_dump_stage {
    SEGUE_DUMP_SEGMENTS = 0,
    SEGUE_DUMP_DAG = 1,
    SEGUE_DUMP_GRAPH = 2,
};
/** How a dump is written. */
enum segue_dump_format {
    SEGUE_DUMP_TEXT = 0,
    SEGUE_DUMP_JSON = 1,
    SEGUE_DUMP_DOT = 2,
};

/** Describes an ended command buffer. `out_text` is zero-terminated and freed with
 *  segue_dump_free. DOT of SEGMENTS is SEGUE_INVALID_ARGUMENT. */
SEGUE_API SEGUE_MUST_CHECK segue_status
segue_dump_command_buffer(segue_command_buffer *command_buffer, enum segue_dump_stage stage,
                          enum segue_dump_format format, char **out_text);
/** Frees a dump. NULL does nothing. */
SEGUE_API void segue_dump_free(char *text);

#ifdef __cplusplus
}
#endif

#endif // SEGUE_TRACE_H
