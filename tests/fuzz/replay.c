// SPDX-License-Identifier: Apache-2.0
// In libFuzzer's place: runs a target on files, and on the files in folders.
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat info;
    FUZZ_CHECK(file != NULL && fstat(fileno(file), &info) == 0, "%s: could not be opened", path);
    size_t size = (size_t)info.st_size;
    // Exactly as large as the input, so that the sanitizer sees every byte too far.
    uint8_t *data = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(data != NULL && fread(data, 1, size, file) == size, "%s: could not be read", path);
    fclose(file);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
}

/** Returns how many files it ran. */
static unsigned run_folder(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, NULL, alphasort);
    FUZZ_CHECK(count >= 0, "%s: could not be listed", path);
    unsigned run_count = 0;
    for (int i = 0; i < count; ++i) {
        char file[4096];
        (void)snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.') {
            run_file(file);
            ++run_count;
        }
        free(entries[i]);
    }
    free(entries);
    return run_count;
}

int main(int argc, char **argv)
{
    unsigned run_count = 0;
    for (int i = 1; i < argc; ++i) {
        struct stat info;
        FUZZ_CHECK(stat(argv[i], &info) == 0, "%s: not there", argv[i]);
        if (S_ISDIR(info.st_mode)) {
            run_count += run_folder(argv[i]);
        } else {
            run_file(argv[i]);
            ++run_count;
        }
    }
    FUZZ_CHECK(run_count > 0, "no input was given");
    printf("%u inputs\n", run_count);
    return 0;
}
