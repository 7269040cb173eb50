// SPDX-License-Identifier: Apache-2.0
#include "entry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static enum emulate_access access_of(enum segue_access access)
{
    switch (access) {
    case SEGUE_ACCESS_WRITE:
        return EMULATE_WRITE;
    case SEGUE_ACCESS_READ_WRITE:
        return EMULATE_READ_WRITE;
    case SEGUE_ACCESS_CONSTANT:
        return EMULATE_CONSTANT;
    default:
        return EMULATE_READ;
    }
}

void entry_run(const struct entry_launch *launch, const char *what)
{
    const struct segue_entry_point *entry = launch->entry;
    struct emulate_binding bindings[EMULATE_MAX_BINDINGS];
    uint32_t count = 0;
    while (count < entry->parameter_count &&
           entry->parameters[count].kind == SEGUE_PARAMETER_BINDING) {
        bindings[count] = (struct emulate_binding){
            .access = launch->is_settled[count] ? EMULATE_CONSTANT
                                                : access_of(entry->parameters[count].access),
            .align_bytes = entry->parameters[count].align_bytes,
            .data = launch->memory[count],
            .size_bytes = launch->sizes[count],
            .late_offset = launch->late_offset[count],
            .late_bytes = launch->late_bytes[count],
        };
        count++;
    }
    const struct emulate_launch emulated = {
        .unit = launch->unit,
        .kernel = entry->name,
        .grid = launch->grid,
        .block = entry->block_size[0],
        .cluster = launch->cluster,
        .dynamic_shared_bytes = entry->dynamic_shared_bytes,
        .bindings = bindings,
        .binding_count = count,
        .constants = launch->constants,
        .constants_size_bytes = launch->constants_size_bytes,
        .grid_dependency =
            launch->architecture >= 900 && (entry->flags & SEGUE_ENTRY_GRID_DEPENDENCY) != 0,
        .seed = launch->seed,
    };
    const char *problem = emulate_run(&emulated);
    if (problem)
        fail_msg("%s, %s, seed %d: %s", launch->unit, what, (int)launch->seed, problem);
}
