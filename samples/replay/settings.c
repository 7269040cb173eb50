// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool parse_real(const char *text, struct segue_constant_value *out_value)
{
    char *end = NULL;
    const double number = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(number))
        return false;
    if (out_value->size_bytes == 8) {
        out_value->as.f64 = number;
        return true;
    }
    out_value->as.f32 = (float)number;
    return isfinite(out_value->as.f32) != 0;
}

static bool parse_integer(const char *text, struct segue_constant_value *out_value)
{
    const bool negative = text[0] == '-';
    const char *digits = text + negative;
    char *end = NULL;
    if (digits[0] < '0' || digits[0] > '9')
        return false;
    const bool is_hexadecimal = digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    errno = 0;
    const unsigned long long number = strtoull(digits, &end, is_hexadecimal ? 16 : 10);
    const unsigned long long most = out_value->size_bytes == 4 ? UINT32_MAX : UINT64_MAX;
    if (errno != 0 || *end != '\0' || number > (negative ? most / 2 + 1 : most))
        return false;
    out_value->as.u64 = (negative ? 0 - (uint64_t)number : number) & most;
    return true;
}

bool segue_replay_parse_value(const char *text, uint32_t size_bytes,
                              struct segue_constant_value *out_value)
{
    struct segue_constant_value value = {.size_bytes = size_bytes};
    const char *digits = text + (text[0] == '-');
    // An E is a digit then.
    const bool is_hexadecimal = strncmp(digits, "0x", 2) == 0 || strncmp(digits, "0X", 2) == 0;
    const bool is_real = !is_hexadecimal && strpbrk(text, ".eE") != NULL;
    if (!(is_real ? parse_real(text, &value) : parse_integer(text, &value)))
        return false;
    *out_value = value;
    return true;
}

/** Bits 1 and 2: whether a command buffer has a slot of that name with 4 and with 8 bytes. */
static uint32_t find_sizes(struct segue_replay *replay, const char *name)
{
    uint32_t sizes = 0;
    for (uint32_t i = 0; i < replay->counts.command_buffer_count; ++i) {
        const char *ignored;
        struct segue_command_buffer_info info;
        segue_command_buffer_get_info(
            segue_trace_session_command_buffer(replay->session, i, &ignored), &info);
        for (uint32_t k = 0; k < info.constant_slot_count; ++k) {
            if (strcmp(info.constant_slots[k].name, name) == 0)
                sizes |= info.constant_slots[k].size_bytes / 4;
        }
    }
    return sizes;
}

static int apply(struct segue_replay *replay, const char *setting)
{
    const char *equals = strchr(setting, '=');
    char *name = strndup(setting, (size_t)(equals - setting));
    if (!name)
        return segue_replay_error(SEGUE_REPLAY_UNAVAILABLE, "out of memory for --set");
    const uint32_t sizes = find_sizes(replay, name);
    int result = SEGUE_REPLAY_GOOD;
    if (sizes == 0)
        result = segue_replay_usage(
            "run", "--set '%s': the trace has no constant slot of that name", setting);
    for (uint32_t size_bytes = 4; size_bytes <= 8 && result == SEGUE_REPLAY_GOOD; size_bytes += 4) {
        struct segue_constant_value value;
        if ((sizes & size_bytes / 4) == 0)
            continue;
        if (!segue_replay_parse_value(equals + 1, size_bytes, &value)) {
            result = segue_replay_usage("run", "--set '%s': not a number that fits %u bytes",
                                        setting, size_bytes);
            continue;
        }
        const segue_status status = segue_trace_session_set_constant(replay->session, name, &value);
        if (status != SEGUE_OK)
            result = segue_replay_trace_failed(replay, status);
    }
    free(name);
    return result;
}

int segue_replay_apply_settings(struct segue_replay *replay)
{
    int result = SEGUE_REPLAY_GOOD;
    for (uint32_t i = 0; i < replay->options->setting_count && result == SEGUE_REPLAY_GOOD; ++i)
        result = apply(replay, replay->options->settings[i]);
    return result;
}
