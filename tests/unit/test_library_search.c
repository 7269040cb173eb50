// SPDX-License-Identifier: Apache-2.0
// Where the software driver is looked for when nobody gives its path: beside the library, beside
// the program, and on the loader's search path. Where both are is made up by the linker's wrappers.
#include "driver.h"
#include "library.h"

#include <segue/segue.h>

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef SOFT_FOLDER
#error "SOFT_FOLDER must be the folder of libsegue_soft.so"
#endif

/** Files of Segue's library and of the program; NULL: cannot be found out. */
static const char *library_file;
static const char *program_file;

int __wrap_dladdr(const void *address, Dl_info *info);
ssize_t __wrap_readlink(const char *path, char *out_path, size_t capacity_bytes);

int __wrap_dladdr(const void *address, Dl_info *info)
{
    (void)address;
    *info = (Dl_info){.dli_fname = library_file};
    return library_file != NULL;
}

ssize_t __wrap_readlink(const char *path, char *out_path, size_t capacity_bytes)
{
    assert_string_equal(path, "/proc/self/exe");
    if (program_file == NULL) {
        errno = EACCES;
        return -1;
    }
    size_t length = strnlen(program_file, capacity_bytes);
    memcpy(out_path, program_file, length);
    return (ssize_t)length;
}

static segue_status load(void)
{
    static const struct segue_device_params params = {0};
    const struct segue_backend_open_params open = {.params = &params, .soft = true};
    struct segue_driver driver;
    segue_status status = segue_driver_load(&open, &driver);
    if (status == SEGUE_OK)
        segue_driver_unload(&driver);
    return status;
}

/** Not found, and all places are named that were looked at. */
static void expect_missing(const char *first, const char *second)
{
    assert_int_equal(load(), SEGUE_UNAVAILABLE);
    const char *message = segue_last_error()->message;
    for (const char *place = first; place != NULL; place = place == first ? second : NULL)
        if (strstr(message, place) == NULL)
            fail_msg("\"%s\" is not in: %s", place, message);
    assert_non_null(strstr(message, "(libsegue_soft.so.0.1: "));
    assert_non_null(strstr(message, "$SEGUE_LIBSOFT"));
}

static void test_missing_everywhere(void **state)
{
    (void)state;
    library_file = "/nowhere/lib/libsegue.so.0.1";
    program_file = "/elsewhere/bin/program";
    assert_int_equal(load(), SEGUE_UNAVAILABLE);
    assert_non_null(strstr(segue_last_error()->message, "/nowhere/lib/libsegue_soft.so"));
    assert_non_null(strstr(segue_last_error()->message, "/elsewhere/bin/../lib/libsegue_soft.so"));
}

static void test_nothing_is_known(void **state)
{
    (void)state;
    library_file = NULL;
    program_file = NULL;
    expect_missing(NULL, NULL);
    // A program called by its name alone has no folder.
    library_file = "program";
    program_file = "program";
    expect_missing(NULL, NULL);
}

static void test_names_too_long(void **state)
{
    (void)state;
    static char endless[PATH_MAX + 2];
    memset(endless, 'a', PATH_MAX + 1);
    endless[0] = '/';
    library_file = endless;
    program_file = endless;
    expect_missing(NULL, NULL);
    // The folder fits, the file in it does not.
    endless[PATH_MAX - 4] = '/';
    endless[PATH_MAX - 2] = '\0';
    expect_missing(NULL, NULL);
    char small[4];
    segue_library_own_folder(small, sizeof(small));
    assert_string_equal(small, "");
}

static void test_beside_the_library(void **state)
{
    (void)state;
    library_file = SOFT_FOLDER "/libsegue.so.0.1";
    program_file = NULL;
    assert_int_equal(load(), SEGUE_OK);
}

static void test_beside_the_program(void **state)
{
    (void)state;
    library_file = "/nowhere/libsegue.so.0.1";
    program_file = SOFT_FOLDER "/../bin/program";
    assert_int_equal(load(), SEGUE_OK);
}

int main(void)
{
    // The failures first: a loaded software driver stays so, and is found by its name.
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_everywhere), cmocka_unit_test(test_nothing_is_known),
        cmocka_unit_test(test_names_too_long),     cmocka_unit_test(test_beside_the_library),
        cmocka_unit_test(test_beside_the_program),
    };
    unsetenv("SEGUE_LIBSOFT");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
