// SPDX-License-Identifier: Apache-2.0
#include "pointers.h"

#include "cuda_backend.h"
#include "lower.h"
#include "recording.h"
#include "staging.h"

/** Alignment of inline data, which follows. */
#define ALIGN_BYTES 16
/** Pinned memory comes in pages. */
#define HOST_STEP_BYTES 4096

uint64_t segue_pointers_bytes(const struct segue_recording *recording)
{
    const uint64_t bytes = (uint64_t)recording->indirect_count * sizeof(uint64_t);
    return (bytes + ALIGN_BYTES - 1) & ~(uint64_t)(ALIGN_BYTES - 1);
}

/** Room for the table in pinned memory. */
static segue_status reserve(struct segue_cuda *cuda, struct segue_pointer_table *table,
                            uint64_t size_bytes)
{
    if (table->host_bytes >= size_bytes)
        return SEGUE_OK;
    struct segue_backend_memory memory;
    const uint64_t rounded_bytes =
        (size_bytes + HOST_STEP_BYTES - 1) & ~(uint64_t)(HOST_STEP_BYTES - 1);
    const segue_status status =
        segue_cuda_allocate(&cuda->base, SEGUE_MEMORY_HOST_VISIBLE, rounded_bytes, &memory);
    if (status != SEGUE_OK)
        return status;
    segue_pointers_finish(cuda, table, true);
    table->host = memory.host_pointer;
    table->host_bytes = memory.size_bytes;
    return SEGUE_OK;
}

/** The entry point's pointers follow one another as they are declared. */
void segue_pointers_write(const struct segue_lowering *lowering, struct segue_staging_block *block,
                          const struct segue_dispatch_segment *dispatch)
{
    struct segue_pointer_table *table = &block->pointers;
    const struct segue_entry *entry = &dispatch->executable->entries[dispatch->entry_point];
    uint32_t place = dispatch->first_indirect;
    for (uint32_t i = 0; i < dispatch->binding_count; i++) {
        if (entry->bindings[i]->kind != SEGUE_PARAMETER_INDIRECT)
            continue;
        const uint64_t address =
            segue_range_resolve(&dispatch->bindings[i], lowering->table).device_address;
        if (table->host[place] != address) {
            table->host[place] = address;
            if (place < table->first_changed)
                table->first_changed = place;
            if (place >= table->end_changed)
                table->end_changed = place + 1;
        }
        place++;
    }
}

segue_status segue_pointers_lay_out(const struct segue_lowering *lowering,
                                    struct segue_staging_block *block)
{
    const struct segue_recording *recording = lowering->recording;
    struct segue_pointer_table *table = &block->pointers;
    const segue_status status =
        reserve(lowering->cuda, table, recording->indirect_count * sizeof(uint64_t));
    if (status != SEGUE_OK)
        return status;
    segue_pointers_settle(block);
    table->count = recording->indirect_count;
    for (const struct segue_segment *segment = recording->first; segment != NULL;
         segment = segment->next) {
        if (segue_segment_has_indirect(segment))
            segue_pointers_write(lowering, block, (const struct segue_dispatch_segment *)segment);
    }
    // Not only what differs from the host's copy: the device's may be older.
    table->first_changed = 0;
    table->end_changed = table->count;
    return SEGUE_OK;
}

bool segue_pointers_have_changed(const struct segue_staging_block *block)
{
    return block != NULL && block->pointers.first_changed < block->pointers.end_changed;
}

segue_status segue_pointers_copy(const struct segue_lowering *lowering,
                                 const struct segue_staging_block *block, CUstream stream)
{
    struct segue_cuda *cuda = lowering->cuda;
    const struct segue_pointer_table *table = &block->pointers;
    const uint32_t count = table->end_changed - table->first_changed;
    const segue_status status = segue_cuda_check(
        cuda,
        cuMemcpyHtoDAsync(block->address + table->first_changed * sizeof(uint64_t),
                          table->host + table->first_changed, count * sizeof(uint64_t), stream),
        "copying %u pointers of command buffer \"%s\" in front of a launch", count,
        lowering->recording->label);
    if (status == SEGUE_OK)
        segue_exec_cache_count_table(cuda, count * sizeof(uint64_t));
    return status;
}

void segue_pointers_settle(struct segue_staging_block *block)
{
    block->pointers.first_changed = UINT32_MAX;
    block->pointers.end_changed = 0;
}

void segue_pointers_finish(struct segue_cuda *cuda, struct segue_pointer_table *table,
                           bool has_context)
{
    if (table->host != NULL && has_context)
        segue_cuda_cleanup(cuda, cuMemFreeHost(table->host),
                           "freeing the host's copy of a table of pointers");
    *table = (struct segue_pointer_table){0};
}
