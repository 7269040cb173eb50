// SPDX-License-Identifier: Apache-2.0
// docs/trace.schema.json and the reader name the same things. Whether the schema is valid and takes
// the good traces is tests/traces/validate_schema.py's business, where its package is installed.
#include "test.h"
#include "trace/dtype.h"
#include "trace/vocabulary.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>

#ifndef SEGUE_SCHEMA
#error "SEGUE_SCHEMA must be docs/trace.schema.json"
#endif

static int setup(void **state)
{
    json_error_t error;
    *state = json_load_file(SEGUE_SCHEMA, JSON_REJECT_DUPLICATES, &error);
    if (*state == NULL)
        print_error("%s:%d: %s\n", SEGUE_SCHEMA, error.line, error.text);
    return *state != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    json_decref(*state);
    return 0;
}

/** Walks down from `$defs`; steps are separated by '/', numbers are array indices. */
static json_t *find(json_t *schema, const char *path)
{
    json_t *value = json_object_get(schema, "$defs");
    char step[64];
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        snprintf(step, sizeof(step), "%.*s", (int)length, path);
        value = json_is_array(value) ? json_array_get(value, strtoul(step, NULL, 10))
                                     : json_object_get(value, step);
        if (value == NULL)
            fail_msg("the schema lacks %s", step);
        path += length + (path[length] == '/');
    }
    return value;
}

static void check_words(json_t *schema, const char *path, const char *const *words, size_t count)
{
    const json_t *list = find(schema, path);
    assert_int_equal(json_array_size(list), count);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < count; k++)
            found = found || strcmp(json_string_value(json_array_get(list, k)), words[i]) == 0;
        if (!found)
            fail_msg("%s lacks \"%s\"", path, words[i]);
    }
}

static void vocabularies_agree(void **state)
{
    json_t *schema = *state;
    check_words(schema, "dtype/enum", segue_dtype_names, SEGUE_DTYPE_COUNT);
    check_words(schema, "buffer/oneOf/0/properties/memory/enum", segue_memory_names,
                SEGUE_MEMORY_NAME_COUNT);
    check_words(schema, "buffer/oneOf/0/properties/usage/items/enum", segue_usage_names,
                SEGUE_USAGE_NAME_COUNT);
    check_words(schema, "executable/properties/format/enum", segue_format_names,
                SEGUE_FORMAT_NAME_COUNT);
    check_words(schema, "parameter/oneOf/0/properties/binding/enum", segue_access_names,
                SEGUE_ACCESS_NAME_COUNT);
    check_words(schema, "entry_point/properties/flags/items/enum", segue_entry_flag_names,
                SEGUE_ENTRY_FLAG_NAME_COUNT);
    check_words(schema, "command_buffer/properties/mode/enum", segue_mode_names,
                SEGUE_MODE_NAME_COUNT);
    check_words(schema, "command_buffer/properties/flags/items/enum",
                segue_command_buffer_flag_names, SEGUE_COMMAND_BUFFER_FLAG_NAME_COUNT);
    check_words(schema, "access_mask/items/enum", segue_access_mask_names,
                SEGUE_ACCESS_MASK_NAME_COUNT);
}

static void kinds_agree(void **state)
{
    json_t *schema = *state;
    char path[64];
    for (uint32_t i = 0; i < SEGUE_CONTENT_NAME_COUNT; i++) {
        snprintf(path, sizeof(path), "content/oneOf/%u/properties/kind/const", i);
        assert_string_equal(json_string_value(find(schema, path)), segue_content_names[i]);
    }
    assert_int_equal(json_array_size(find(schema, "content/oneOf")), SEGUE_CONTENT_NAME_COUNT);
    uint32_t found = 0;
    size_t index;
    json_t *command;
    json_array_foreach(find(schema, "command/oneOf"), index, command)
    {
        const json_t *op = json_object_get(json_object_get(command, "properties"), "op");
        for (uint32_t i = 0; i < SEGUE_COMMAND_NAME_COUNT; i++) {
            const json_t *list = json_object_get(op, "enum");
            bool same =
                strcmp(segue_command_names[i], json_object_get(op, "const") != NULL
                                                   ? json_string_value(json_object_get(op, "const"))
                                                   : "") == 0;
            for (size_t k = 0; k < json_array_size(list); k++)
                same = same || strcmp(segue_command_names[i],
                                      json_string_value(json_array_get(list, k))) == 0;
            found += same;
        }
    }
    assert_int_equal(found, SEGUE_COMMAND_NAME_COUNT);
}

static void nothing_unknown_is_allowed(void **state)
{
    // Every object of the schema closes its list of keys, as the reader does.
    json_t *schema = *state;
    const char *name;
    json_t *definition;
    int count = 0;
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    json_object_foreach(json_object_get(schema, "$defs"), name, definition)
    {
        json_t *variants = json_object_get(definition, "oneOf");
        size_t variant_count = json_array_size(variants);
        for (size_t i = 0; i <= variant_count; i++) {
            const json_t *part = i < variant_count ? json_array_get(variants, i) : definition;
            if (json_object_get(part, "properties") == NULL)
                continue;
            assert_true(json_is_false(json_object_get(part, "additionalProperties")));
            count++;
        }
    }
    assert_true(count > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabularies_agree),
        cmocka_unit_test(kinds_agree),
        cmocka_unit_test(nothing_unknown_is_allowed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
