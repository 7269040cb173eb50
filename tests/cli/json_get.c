// SPDX-License-Identifier: Apache-2.0
// json_get FILE POINTER: prints the value at a JSON pointer ("/a/0/b", "" is all of it); of arrays
// and objects their size. Exit code 1: the file is not JSON or has no such value.
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *find(json_t *value, char *pointer)
{
    for (char *key = strtok(pointer, "/"); key && value; key = strtok(NULL, "/"))
        value = json_is_array(value) ? json_array_get(value, strtoul(key, NULL, 10))
                                     : json_object_get(value, key);
    return value;
}

static void print(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        printf("%zu\n", json_object_size(value));
        break;
    case JSON_ARRAY:
        printf("%zu\n", json_array_size(value));
        break;
    case JSON_STRING:
        puts(json_string_value(value));
        break;
    case JSON_INTEGER:
        printf("%lld\n", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        printf("%.17g\n", json_real_value(value));
        break;
    case JSON_TRUE:
        puts("true");
        break;
    case JSON_FALSE:
        puts("false");
        break;
    case JSON_NULL:
        puts("null");
        break;
    }
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    json_error_t error;
    json_t *root = json_load_file(argv[1], JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        fprintf(stderr, "json_get: %s:%d: %s\n", argv[1], error.line, error.text);
        return 1;
    }
    const json_t *value = find(root, argv[2]);
    if (value)
        print(value);
    json_decref(root);
    return value ? 0 : 1;
}
