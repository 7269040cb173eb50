// SPDX-License-Identifier: Apache-2.0
#include "runtime.hpp"

namespace emulate
{

static kernel *kernels;

void add_kernel(kernel *entry)
{
    entry->next = kernels;
    kernels = entry;
}

const kernel *find_kernel(const char *unit, const char *name)
{
    for (const kernel *entry = kernels; entry; entry = entry->next) {
        if (strcmp(entry->unit, unit) == 0 && strcmp(entry->name, name) == 0)
            return entry;
    }
    return nullptr;
}

} // namespace emulate

bool emulate_has(const char *unit, const char *kernel)
{
    return emulate::find_kernel(unit, kernel) != nullptr;
}
