// SPDX-License-Identifier: Apache-2.0
// make_cache DIR MODEL FIRST COUNT SIZE [SEED]: builds one generation with tensors FIRST to
// FIRST + COUNT - 1 of SIZE bytes each; SEED changes their bytes and not their keys.
#include <segue/packed_cache.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static segue_status add(segue_packed_writer *writer, const char *model, uint32_t number,
                        uint64_t size_bytes, uint32_t seed)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "tensor %u", number);
    struct segue_packed_tensor tensor = {
        .key = {.layout_id = 3, .layout_version = 1, .architecture = 90},
        .model = model,
        .name = name,
        .size_bytes = size_bytes,
    };
    segue_packed_digest_bytes(&number, sizeof(number), &tensor.key.inputs);
    unsigned char *data = malloc((size_t)size_bytes);
    if (data == NULL)
        return SEGUE_OUT_OF_HOST_MEMORY;
    memset(data, (int)(number + seed), (size_t)size_bytes);
    segue_status status = segue_packed_writer_add(writer, &tensor);
    if (status == SEGUE_OK)
        status = segue_packed_writer_append(writer, data, size_bytes);
    free(data);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return 2;
    const struct segue_packed_cache_params params = {.path = argv[1]};
    const uint32_t first = (uint32_t)strtoul(argv[3], NULL, 10);
    const uint32_t count = (uint32_t)strtoul(argv[4], NULL, 10);
    const uint32_t seed = argc > 6 ? (uint32_t)strtoul(argv[6], NULL, 10) : 0;
    segue_packed_cache *cache = NULL;
    segue_packed_writer *writer = NULL;
    segue_status status = segue_packed_cache_open(&params, &cache);
    if (status == SEGUE_OK)
        status = segue_packed_cache_begin(cache, &writer);
    for (uint32_t i = first; status == SEGUE_OK && i < first + count; i++)
        status = add(writer, argv[2], i, strtoull(argv[5], NULL, 10), seed);
    if (status == SEGUE_OK) {
        status = segue_packed_writer_publish(writer);
        writer = NULL;
    }
    segue_packed_writer_abandon(writer);
    segue_packed_cache_close(cache);
    if (status != SEGUE_OK)
        fprintf(stderr, "make_cache: %s\n", segue_last_error()->message);
    return status != SEGUE_OK;
}
