// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <inttypes.h>
#include <string.h>

#define FORMS "use auto, cuda://N or soft://?profile=12.4&seed=7"

/** Reads all of [text, end) as a decimal number that is at most `limit`. */
static bool parse_number(const char *text, const char *end, uint64_t limit, uint64_t *out_value)
{
    if (text == end)
        return false;
    uint64_t value = 0;
    for (; text < end; text++) {
        if (*text < '0' || *text > '9')
            return false;
        uint64_t digit = (uint64_t)(*text - '0');
        if (value > (limit - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out_value = value;
    return true;
}

/** "12.4" as 12040, if it is a version that the software driver can act as; else 0. */
static int32_t parse_profile(const char *text, const char *end)
{
    static const struct {
        const char *text;
        int32_t version;
    } profiles[] = {{"12.4", 12040}, {"12.8", 12080}, {"13.0", 13000}};
    size_t length = (size_t)(end - text);
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++)
        if (strlen(profiles[i].text) == length && memcmp(profiles[i].text, text, length) == 0)
            return profiles[i].version;
    return 0;
}

/** One "key=value" of a soft:// URI. */
static segue_status parse_option(const char *uri, const char *text, const char *end,
                                 struct segue_device_uri *out)
{
    static const char profile_key[] = "profile=";
    static const char seed_key[] = "seed=";
    size_t length = (size_t)(end - text);
    if (length >= strlen(profile_key) && memcmp(text, profile_key, strlen(profile_key)) == 0) {
        const char *value = text + strlen(profile_key);
        out->soft_profile = parse_profile(value, end);
        if (out->soft_profile == 0)
            return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                              "device URI \"%s\": profile \"%.*s\" is not one of 12.4, 12.8, 13.0",
                              uri, (int)(end - value), value);
        return SEGUE_OK;
    }
    if (length >= strlen(seed_key) && memcmp(text, seed_key, strlen(seed_key)) == 0) {
        const char *value = text + strlen(seed_key);
        if (!parse_number(value, end, UINT64_MAX, &out->soft_seed))
            return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                              "device URI \"%s\": seed \"%.*s\" is not a 64-bit decimal number",
                              uri, (int)(end - value), value);
        return SEGUE_OK;
    }
    return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                      "device URI \"%s\": unknown option \"%.*s\"; soft:// takes profile and seed",
                      uri, (int)length, text);
}

static segue_status parse_soft(const char *uri, const char *rest, struct segue_device_uri *out)
{
    if (*rest == '\0')
        return SEGUE_OK;
    if (*rest != '?')
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                          "device URI \"%s\": \"%s\" after soft:// is not understood; " FORMS, uri,
                          rest);
    for (const char *text = rest + 1;;) {
        const char *end = strchrnul(text, '&');
        segue_status status = parse_option(uri, text, end, out);
        if (status != SEGUE_OK || *end == '\0')
            return status;
        text = end + 1;
    }
}

segue_status segue_device_parse_uri(const char *uri, struct segue_device_uri *out_uri)
{
    static const char cuda_scheme[] = "cuda://";
    static const char soft_scheme[] = "soft://";
    if (!uri)
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "device URI is NULL; " FORMS);

    struct segue_device_uri parsed = {0};
    if (strcmp(uri, "auto") == 0) {
        parsed.automatic = true;
        parsed.soft = true;
    } else if (strncmp(uri, cuda_scheme, strlen(cuda_scheme)) == 0) {
        const char *number = uri + strlen(cuda_scheme);
        uint64_t ordinal = 0;
        if (*number != '\0' && !parse_number(number, strchr(number, '\0'), INT32_MAX, &ordinal))
            return segue_fail(NULL, SEGUE_INVALID_ARGUMENT,
                              "device URI \"%s\": \"%s\" is not the number of a GPU; " FORMS, uri,
                              number);
        parsed.ordinal = (uint32_t)ordinal;
    } else if (strncmp(uri, soft_scheme, strlen(soft_scheme)) == 0) {
        parsed.soft = true;
        segue_status status = parse_soft(uri, uri + strlen(soft_scheme), &parsed);
        if (status != SEGUE_OK)
            return status;
    } else {
        return segue_fail(NULL, SEGUE_INVALID_ARGUMENT, "device URI \"%s\" is unknown; " FORMS,
                          uri);
    }
    *out_uri = parsed;
    return SEGUE_OK;
}
