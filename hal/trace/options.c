// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <stddef.h>
#include <string.h>

/** A list of what is allowed, since options that write files come with new compilers. A trailing
 *  '=' or a macro prefix stands for anything behind it. */
static const char *const allowed[] = {
    "-D",
    "-U",
    "--define-macro=",
    "--undefine-macro=",
    "-std=",
    "--std=",
    "-use_fast_math",
    "--use_fast_math",
    "-ftz=",
    "--ftz=",
    "-prec-div=",
    "--prec-div=",
    "-prec-sqrt=",
    "--prec-sqrt=",
    "-fmad=",
    "--fmad=",
    "-maxrregcount=",
    "--maxrregcount=",
    "-dopt=",
    "--dopt=",
    "-G",
    "--device-debug",
    "-lineinfo",
    "--generate-line-info",
    "-extra-device-vectorization",
    "--extra-device-vectorization",
    "-default-device",
    "--device-as-default-execution-space",
    "-device-int128",
    "--device-int128",
    "-restrict",
    "--restrict",
    "-w",
    "--disable-warnings",
};

bool segue_option_is_allowed(const char *option)
{
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        size_t length = strlen(allowed[i]);
        bool is_prefix = allowed[i][length - 1] == '=' || i < 2;
        if (is_prefix ? strncmp(option, allowed[i], length) == 0 && option[length] != '\0'
                      : strcmp(option, allowed[i]) == 0) {
            return true;
        }
    }
    return false;
}
