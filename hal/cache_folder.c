// SPDX-License-Identifier: Apache-2.0
#include "cache_folder.h"

#include <stdio.h>
#include <stdlib.h>

bool segue_cache_find_folder(const char *path, char *out_folder, size_t capacity_bytes)
{
    const char *base = path;
    const char *below = "";
    if (path == NULL) {
        base = secure_getenv("XDG_CACHE_HOME");
        below = "/segue";
        // The XDG specification: relative paths are invalid and to be ignored.
        if (base == NULL || base[0] != '/') {
            base = secure_getenv("HOME");
            below = "/.cache/segue";
        }
    }
    if (base == NULL || base[0] == '\0')
        return false;
    int length = snprintf(out_folder, capacity_bytes, "%s%s", base, below);
    return length > 0 && (size_t)length < capacity_bytes;
}
