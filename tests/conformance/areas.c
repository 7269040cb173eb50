// SPDX-License-Identifier: Apache-2.0
#include "conformance.h"

#define AREAS(use)                                                                         \
    use(barrier) use(buffer) use(constants) use(copy) use(device) use(dispatch) use(event) \
        use(executable) use(failure) use(fill) use(group) use(order) use(quant) use(queue) \
            use(reuse) use(secondary) use(semaphore) use(slots) use(threads) use(update)

#define DECLARE(name) extern const struct segue_conformance_area segue_conformance_##name;
AREAS(DECLARE)

#define ADDRESS(name) &segue_conformance_##name,
const struct segue_conformance_area *const segue_conformance_areas[] = {AREAS(ADDRESS)};
const size_t segue_conformance_area_count =
    sizeof(segue_conformance_areas) / sizeof(segue_conformance_areas[0]);

const struct segue_conformance_area *segue_conformance_find(const char *name)
{
    for (size_t i = 0; i < segue_conformance_area_count; ++i) {
        if (strcmp(segue_conformance_areas[i]->name, name) == 0)
            return segue_conformance_areas[i];
    }
    return NULL;
}
