// SPDX-License-Identifier: Apache-2.0
#include "session.h"

#include "compare.h"
#include "content.h"
#include "dtype.h"
#include "error.h"
#include "json_get.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

/** Room for one piece of what came and one of what was expected. */
struct pieces {
    unsigned char *actual;
    unsigned char *expected;
    uint64_t size_bytes;
};

static segue_status allocate_pieces(const segue_trace *trace, struct pieces *out_pieces)
{
    uint64_t size_bytes = 16;
    for (uint32_t i = 0; i < trace->expectation_count; i++) {
        uint64_t length = trace->expectations[i].range.length_bytes;
        size_bytes = length > size_bytes ? length : size_bytes;
    }
    size_bytes = size_bytes < SEGUE_PIECE_BYTES ? size_bytes : SEGUE_PIECE_BYTES;
    unsigned char *memory = malloc(2 * (size_t)size_bytes);
    if (memory == NULL) {
        return segue_trace_fail_memory("comparing results");
    }
    *out_pieces = (struct pieces){memory, memory + size_bytes, size_bytes};
    return SEGUE_OK;
}

static segue_status read_actual(const segue_trace_session *session,
                                const struct segue_trace_expectation *expectation,
                                uint64_t offset_bytes, uint64_t length_bytes, void *data)
{
    const struct segue_trace_range *range = &expectation->range;
    return segue_buffer_read(session->buffers[range->buffer], range->offset_bytes + offset_bytes,
                             data, length_bytes);
}

static segue_status verify_digest(const segue_trace_session *session, struct pieces *pieces,
                                  const struct segue_trace_expectation *expectation,
                                  struct segue_verification *result)
{
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL || XXH3_128bits_reset(state) != XXH_OK) {
        XXH3_freeState(state);
        return segue_trace_fail_memory("a digest");
    }
    segue_status status = SEGUE_OK;
    for (uint64_t offset = 0; status == SEGUE_OK && offset < expectation->range.length_bytes;) {
        uint64_t length = expectation->range.length_bytes - offset;
        length = length < pieces->size_bytes ? length : pieces->size_bytes;
        status = read_actual(session, expectation, offset, length, pieces->actual);
        if (status == SEGUE_OK) {
            XXH3_128bits_update(state, pieces->actual, (size_t)length);
        }
        offset += length;
    }
    XXH128_canonical_t digest;
    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(state));
    XXH3_freeState(state);
    if (status != SEGUE_OK) {
        return status;
    }
    char actual[33];
    char expected[33];
    segue_hex_encode(digest.digest, sizeof(digest.digest), actual);
    segue_hex_encode(expectation->digest.bytes, sizeof(expectation->digest.bytes), expected);
    result->passed = strcmp(actual, expected) == 0;
    result->relative_error = result->passed ? 0 : INFINITY;
    if (result->passed) {
        snprintf(result->message, sizeof(result->message), "%.100s: digest matches",
                 expectation->name);
    } else {
        snprintf(result->message, sizeof(result->message),
                 "%.100s: XXH3-128 digest is %s, expected %s", expectation->name, actual, expected);
    }
    return SEGUE_OK;
}

/** One walk over actual and expected values; stops early where `visit` returns false. */
typedef bool (*piece_visitor)(void *context, const struct pieces *pieces, size_t element_count);

static segue_status walk(const segue_trace_session *session, struct pieces *pieces,
                         const struct segue_trace_expectation *expectation, piece_visitor visit,
                         void *context)
{
    size_t element_bytes = segue_dtype_size_bytes(expectation->dtype);
    uint64_t piece_bytes = pieces->size_bytes / element_bytes * element_bytes;
    for (uint64_t offset = 0; offset < expectation->range.length_bytes;) {
        uint64_t length = expectation->range.length_bytes - offset;
        length = length < piece_bytes ? length : piece_bytes;
        segue_status status = read_actual(session, expectation, offset, length, pieces->actual);
        if (status == SEGUE_OK) {
            status = segue_trace_read_tensor(session->trace, expectation->tensor, offset,
                                             pieces->expected, (size_t)length);
        }
        if (status != SEGUE_OK) {
            return status;
        }
        if (!visit(context, pieces, (size_t)(length / element_bytes))) {
            return SEGUE_OK;
        }
        offset += length;
    }
    return SEGUE_OK;
}

static bool compare_piece(void *context, const struct pieces *pieces, size_t element_count)
{
    segue_comparison_add(context, pieces->actual, pieces->expected, element_count);
    return true;
}

/** Looks for the element that a message should name. */
struct outlier_search {
    enum segue_dtype dtype;
    double limit;
    bool found;
    uint64_t index;
    double actual;
    double expected;
};

static bool search_piece(void *context, const struct pieces *pieces, size_t element_count)
{
    struct outlier_search *search = context;
    size_t i = segue_find_outlier(search->dtype, pieces->actual, pieces->expected, element_count,
                                  search->limit);
    search->index += i;
    search->found = i < element_count;
    if (search->found) {
        search->actual = segue_dtype_load(search->dtype, pieces->actual, i);
        search->expected = segue_dtype_load(search->dtype, pieces->expected, i);
    }
    return !search->found;
}

/** With a tolerance nearly every element differs a little, so the one to name is the first that
 *  differs by more than its share: if the error is too large, there is one. */
static segue_status describe_failure(const segue_trace_session *session, struct pieces *pieces,
                                     const struct segue_trace_expectation *expectation,
                                     const struct segue_comparison *comparison,
                                     struct segue_verification *result)
{
    struct outlier_search search = {
        .dtype = expectation->dtype,
        .found = comparison->differs,
        .index = comparison->first_index,
        .actual = comparison->first_actual,
        .expected = comparison->first_expected,
    };
    segue_status status = SEGUE_OK;
    if (expectation->relative_tolerance != 0) {
        double share =
            segue_norm_value(&comparison->expected) / sqrt((double)comparison->element_count);
        search.limit = expectation->relative_tolerance * (isnan(share) ? 0 : share);
        search.index = 0;
        search.found = false;
        status = walk(session, pieces, expectation, search_piece, &search);
    }
    int length;
    if (expectation->relative_tolerance == 0) {
        length = snprintf(result->message, sizeof(result->message), "%.100s: %s", expectation->name,
                          comparison->differs ? "bytes differ" : "holds a NaN or infinity");
    } else {
        length = snprintf(result->message, sizeof(result->message),
                          "%.100s: relative error %.3g exceeds %.3g", expectation->name,
                          result->relative_error, expectation->relative_tolerance);
    }
    if (search.found && length > 0 && (size_t)length < sizeof(result->message)) {
        snprintf(result->message + length, sizeof(result->message) - (size_t)length,
                 "; first differing element %" PRIu64 ": %.9g, expected %.9g", search.index,
                 search.actual, search.expected);
    }
    return status;
}

static segue_status verify_tensor(const segue_trace_session *session, struct pieces *pieces,
                                  const struct segue_trace_expectation *expectation,
                                  struct segue_verification *result)
{
    struct segue_comparison comparison = {.dtype = expectation->dtype};
    segue_status status = walk(session, pieces, expectation, compare_piece, &comparison);
    if (status != SEGUE_OK) {
        return status;
    }
    result->relative_error = segue_comparison_error(&comparison);
    result->passed = segue_comparison_passes(&comparison, expectation->relative_tolerance);
    if (!result->passed) {
        return describe_failure(session, pieces, expectation, &comparison, result);
    }
    snprintf(result->message, sizeof(result->message), "%.100s: relative error %.3g, allowed %.3g",
             expectation->name, result->relative_error, expectation->relative_tolerance);
    return SEGUE_OK;
}

segue_status segue_trace_session_verify(segue_trace_session *session,
                                        struct segue_verification *out_results)
{
    if (session == NULL || (out_results == NULL && session->trace->expectation_count != 0)) {
        return segue_trace_fail(SEGUE_INVALID_ARGUMENT, "session and out_results must not be NULL");
    }
    const segue_trace *trace = session->trace;
    struct pieces pieces = {0};
    segue_status status = allocate_pieces(trace, &pieces);
    if (status != SEGUE_OK) {
        return status;
    }
    struct segue_verification *first_failure = NULL;
    uint32_t failure_count = 0;
    for (uint32_t i = 0; status == SEGUE_OK && i < trace->expectation_count; i++) {
        const struct segue_trace_expectation *expectation = &trace->expectations[i];
        struct segue_verification *result = &out_results[i];
        *result = (struct segue_verification){
            .name = expectation->name,
            .tolerance = expectation->relative_tolerance,
        };
        status = expectation->tensor == SEGUE_TRACE_NONE
                     ? verify_digest(session, &pieces, expectation, result)
                     : verify_tensor(session, &pieces, expectation, result);
        if (status == SEGUE_OK && !result->passed) {
            failure_count++;
            first_failure = first_failure != NULL ? first_failure : result;
        }
    }
    free(pieces.actual);
    if (status == SEGUE_OK && failure_count != 0) {
        return segue_trace_fail_on(session->device, SEGUE_MISMATCH,
                                   "%" PRIu32 " of %" PRIu32 " expectations failed; %s",
                                   failure_count, trace->expectation_count, first_failure->message);
    }
    return status;
}
