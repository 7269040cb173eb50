// SPDX-License-Identifier: Apache-2.0
#include "library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *segue_library_open(const char *file, struct segue_library_reason *reason)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library != NULL)
        return library;
    const char *why = dlerror();
    const size_t used = strlen(reason->text);
    (void)snprintf(reason->text + used, sizeof(reason->text) - used, "%s%s", used > 0 ? "; " : "",
                   why != NULL ? why : file);
    return NULL;
}

void segue_library_close(void *library)
{
    // RTLD_NODELETE: this only gives the reference back, so a failure would change nothing.
    if (library != NULL)
        (void)dlclose(library);
}

const char *segue_library_choose_path(const char *explicit_path, const char *variable)
{
    if (explicit_path != NULL)
        return explicit_path;
    const char *value = secure_getenv(variable);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/** Cuts a path to its folder. */
static void cut_to_folder(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash != NULL)
        *slash = '\0';
    else
        path[0] = '\0';
}

void segue_library_own_folder(char *out_path, size_t capacity_bytes)
{
    static const char anchor = 0;
    Dl_info info;
    out_path[0] = '\0';
    if (dladdr(&anchor, &info) == 0 || info.dli_fname == NULL)
        return;
    if (strlen(info.dli_fname) >= capacity_bytes)
        return;
    strcpy(out_path, info.dli_fname);
    cut_to_folder(out_path);
}

void segue_library_program_folder(char *out_path, size_t capacity_bytes)
{
    const ssize_t length = readlink("/proc/self/exe", out_path, capacity_bytes);
    if (length < 0 || (size_t)length >= capacity_bytes) {
        out_path[0] = '\0';
        return;
    }
    out_path[length] = '\0';
    cut_to_folder(out_path);
}
