// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <string.h>

/** Llama 3.2 1B and 3B, Llama 3.1 8B. */
static const struct llama_shape shapes[] = {
    {"1b", 2048, 32, 8, 64, 8192, 16, 32.0, true},
    {"3b", 3072, 24, 8, 128, 8192, 28, 32.0, true},
    {"8b", 4096, 32, 8, 128, 14336, 32, 8.0, false},
};

const struct llama_shape *llama_find_shape(const char *name)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    }
    return NULL;
}
