// SPDX-License-Identifier: Apache-2.0
#include "module.h"

#include <stdlib.h>
#include <string.h>

static struct segue_soft_reference *references;

static struct segue_soft_reference *find(const char *name)
{
    for (struct segue_soft_reference *it = references; it != NULL; it = it->next) {
        if (strcmp(it->name, name) == 0) {
            return it;
        }
    }
    return NULL;
}

const struct segue_soft_reference *segue_soft_registry_find(const char *name)
{
    return find(name);
}

static bool is_well_formed(const struct segue_reference_kernel *kernel)
{
    if (kernel == NULL || kernel->name == NULL || kernel->name[0] == '\0' || kernel->run == NULL ||
        (kernel->ranges == NULL && kernel->table_ranges == NULL) ||
        (kernel->parameter_count > 0 && kernel->parameter_sizes == NULL)) {
        return false;
    }
    for (uint32_t i = 0; i < kernel->parameter_count; ++i) {
        if (kernel->parameter_sizes[i] == 0) {
            return false;
        }
    }
    return true;
}

bool segue_soft_registry_add(const struct segue_reference_kernel *kernel)
{
    if (!is_well_formed(kernel)) {
        return false;
    }
    struct segue_soft_reference *reference = find(kernel->name);
    struct segue_soft_reference *fresh = NULL;
    // One more, so that no list is empty and malloc(0) never matters.
    uint32_t *sizes = malloc((kernel->parameter_count + 1) * sizeof(*sizes));
    if (sizes == NULL) {
        return false;
    }
    if (reference == NULL) {
        fresh = calloc(1, sizeof(*fresh));
        char *name = strdup(kernel->name);
        if (fresh == NULL || name == NULL) {
            free(fresh);
            free(name);
            free(sizes);
            return false;
        }
        fresh->name = name;
        fresh->next = references;
        references = fresh;
        reference = fresh;
    }
    if (kernel->parameter_count > 0) {
        memcpy(sizes, kernel->parameter_sizes, kernel->parameter_count * sizeof(*sizes));
    }
    free(reference->parameter_sizes);
    reference->parameter_sizes = sizes;
    reference->kernel = *kernel;
    reference->kernel.name = reference->name;
    reference->kernel.parameter_sizes = sizes;
    return true;
}

void segue_soft_registry_clear(void)
{
    while (references != NULL) {
        struct segue_soft_reference *next = references->next;
        free(references->name);
        free(references->parameter_sizes);
        free(references);
        references = next;
    }
}
