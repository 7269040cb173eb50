// SPDX-License-Identifier: Apache-2.0
#include "trace_read.h"

#include "dtype.h"
#include "error.h"

#include <inttypes.h>
#include <math.h>

static segue_status read_digest(const struct segue_json *at,
                                struct segue_trace_expectation *expectation)
{
    struct segue_json child;
    const char *digits = NULL;
    uint32_t length = 0;
    if (segue_json_optional(at, "relative_tolerance", &child)) {
        return segue_json_fail(&child, "a digest takes no tolerance");
    }
    segue_status status = segue_json_member(at, "digest", &child);
    if (status == SEGUE_OK) {
        status = segue_json_hex(&child, sizeof(expectation->digest.bytes), &digits, &length);
    }
    if (status == SEGUE_OK && length != sizeof(expectation->digest.bytes)) {
        return segue_json_fail(&child, "an XXH3-128 digest has 32 hexadecimal digits");
    }
    if (status == SEGUE_OK) {
        segue_hex_decode(digits, length, expectation->digest.bytes);
    }
    expectation->tensor = SEGUE_TRACE_NONE;
    return status;
}

static segue_status read_tensor(const struct segue_json *at, const segue_trace *trace,
                                struct segue_trace_expectation *expectation)
{
    struct segue_json child;
    segue_status status = segue_trace_read_reference(at, "tensor", &trace->tensor_names, "tensor",
                                                     &expectation->tensor);
    if (status == SEGUE_OK && segue_json_optional(at, "relative_tolerance", &child)) {
        status = segue_json_double(&child, &expectation->relative_tolerance);
        if (status == SEGUE_OK && expectation->relative_tolerance < 0) {
            return segue_json_fail(&child, "must not be negative");
        }
    }
    if (status != SEGUE_OK) {
        return status;
    }
    const struct segue_tensor *tensor = trace->tensors[expectation->tensor].tensor;
    if (tensor->dtype != (int)expectation->dtype) {
        return segue_json_fail(at, "tensor \"%.80s\" has dtype %s", tensor->name,
                               tensor->dtype_name);
    }
    if (tensor->size_bytes != expectation->range.length_bytes) {
        return segue_json_fail(at, "the tensor has %" PRIu64 " bytes, the range %" PRIu64,
                               tensor->size_bytes, expectation->range.length_bytes);
    }
    return SEGUE_OK;
}

static segue_status read_expectation(const struct segue_json *at, segue_trace *trace,
                                     struct segue_trace_expectation *expectation)
{
    static const char *const keys[] = {
        "name", "range", "dtype", "tensor", "digest", "relative_tolerance", NULL};
    static const struct segue_trace_range_rules rules = {0};
    struct segue_json child;
    uint32_t dtype = 0;
    segue_status status = segue_json_object(at, keys);
    if (status == SEGUE_OK) {
        status = segue_trace_read_name(at, "name", trace, &expectation->name);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "range", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_read_range(&child, trace, &rules, &expectation->range);
    }
    if (status == SEGUE_OK) {
        status = segue_json_member(at, "dtype", &child);
    }
    if (status == SEGUE_OK) {
        status = segue_json_enum(&child, segue_dtype_names, SEGUE_DTYPE_COUNT, &dtype);
    }
    if (status != SEGUE_OK) {
        return status;
    }
    expectation->dtype = (enum segue_dtype)dtype;
    if (expectation->range.length_bytes % segue_dtype_size_bytes(expectation->dtype) != 0) {
        return segue_json_fail(at, "%" PRIu64 " bytes are no whole number of %s elements",
                               expectation->range.length_bytes, segue_dtype_names[dtype]);
    }
    bool has_tensor = segue_json_optional(at, "tensor", &child);
    if (has_tensor == segue_json_optional(at, "digest", &child)) {
        return segue_json_fail(at, "needs either \"tensor\" or \"digest\"");
    }
    return has_tensor ? read_tensor(at, trace, expectation) : read_digest(at, expectation);
}

segue_status segue_trace_read_expectations(const struct segue_json *root, segue_trace *trace)
{
    struct segue_json at;
    uint32_t count = 0;
    struct segue_name *names = NULL;
    segue_status status =
        segue_json_optional_array(root, "expectations", SEGUE_TRACE_MAX_EXPECTATIONS, &at, &count);
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(trace->expectations[0]),
                                      &trace->expectations);
    }
    if (status == SEGUE_OK) {
        status = segue_trace_allocate(trace, count, sizeof(names[0]), &names);
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < count; i++) {
        struct segue_json element = segue_json_element(&at, i);
        status = read_expectation(&element, trace, &trace->expectations[i]);
        names[i] = (struct segue_name){.text = trace->expectations[i].name, .index = i};
    }
    trace->expectation_count = count;
    // Outputs are written under these names.
    struct segue_names table = {.names = names, .count = count};
    return status == SEGUE_OK ? segue_trace_sort_names(&at, &table) : status;
}
