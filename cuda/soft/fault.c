// SPDX-License-Identifier: Apache-2.0
// Fault injection: the nth matching call or allocation fails.
#include "state.h"

#include <string.h>

static struct {
    struct segue_soft_fault fault;
    char pattern[128];
    uint64_t matched;
} armed;

bool segue_soft_pattern_matches(const char *pattern, const char *text)
{
    // The usual backtracking to the last star only: linear in practice, no recursion.
    const char *star = NULL;
    const char *retry = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            retry = text;
        } else if (*pattern == *text) {
            ++pattern;
            ++text;
        } else if (star != NULL) {
            pattern = star;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        ++pattern;
    }
    return *pattern == '\0';
}

void segue_soft_fault_set(const struct segue_soft_fault *fault)
{
    armed.matched = 0;
    armed.pattern[0] = '\0';
    if (fault == NULL) {
        armed.fault = (struct segue_soft_fault){.nth = 0};
        return;
    }
    armed.fault = *fault;
    if (fault->name_pattern != NULL) {
        size_t length = strlen(fault->name_pattern);
        length = length < sizeof(armed.pattern) ? length : sizeof(armed.pattern) - 1;
        memcpy(armed.pattern, fault->name_pattern, length);
        armed.pattern[length] = '\0';
    }
    // The caller's string need not live on.
    armed.fault.name_pattern = fault->name_pattern != NULL ? armed.pattern : NULL;
}

CUresult segue_soft_fault_take(enum segue_soft_fault_target target, const char *name)
{
    if (armed.fault.nth == 0 || armed.fault.target != target) {
        return CUDA_SUCCESS;
    }
    if (armed.fault.name_pattern != NULL &&
        !segue_soft_pattern_matches(armed.fault.name_pattern, name)) {
        return CUDA_SUCCESS;
    }
    ++armed.matched;
    bool hit =
        armed.fault.forever ? armed.matched >= armed.fault.nth : armed.matched == armed.fault.nth;
    if (!hit) {
        return CUDA_SUCCESS;
    }
    if (segue_soft.report.fault_count++ == 0) {
        snprintf(segue_soft.report.first_fault, sizeof(segue_soft.report.first_fault), "%s", name);
    }
    return (CUresult)armed.fault.driver_result;
}
