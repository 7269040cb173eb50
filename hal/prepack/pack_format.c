// SPDX-License-Identifier: Apache-2.0
#include "pack_format.h"

#include "error.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define BYTE_ORDER_MARK 0x0A0B0C0Du

static const char header_magic[8] = {'S', 'E', 'G', 'U', 'E', 'P', 'K', '1'};
static const char footer_magic[8] = {'S', 'E', 'G', 'U', 'E', 'P', 'K', 'F'};

/** Where fields are. */
enum {
    MAGIC_AT = 0,
    VERSION_AT = 8,
    BYTE_ORDER_AT = 12,
    GENERATION_AT = 16,
    BUILD_ID_AT = 24,
    HEADER_CREATED_AT = 40,
    HEADER_CHUNK_BYTES_AT = 48,
    HEADER_END = 56,

    FOOTER_FILE_BYTES_AT = 40,
    FOOTER_INDEX_OFFSET_AT = 48,
    FOOTER_INDEX_BYTES_AT = 56,
    FOOTER_ENTRIES_AT = 64,
    FOOTER_SOURCES_AT = 68,
    FOOTER_REPLACED_AT = 72,
    FOOTER_CHUNKS_AT = 80,
    FOOTER_STRINGS_AT = 88,
    FOOTER_DIGEST_AT = 96,
    FOOTER_CREATED_AT = 112,
    FOOTER_END = 120,

    ENTRY_KEY_AT = 0,
    ENTRY_INPUTS_AT = 16,
    ENTRY_PARAMETERS_AT = 32,
    ENTRY_FINGERPRINT_AT = 48,
    ENTRY_LAYOUT_AT = 64,
    ENTRY_LAYOUT_VERSION_AT = 68,
    ENTRY_ARCHITECTURE_AT = 72,
    ENTRY_CONTENT_AT = 80,
    ENTRY_OFFSET_AT = 96,
    ENTRY_SIZE_AT = 104,
    ENTRY_FIRST_CHUNK_AT = 112,
    ENTRY_CREATED_AT = 120,
    ENTRY_MODEL_AT = 128,
    ENTRY_NAME_AT = 132,
    ENTRY_END = 136,

    CHECKSUM_BYTES = 8,
};

static void put(unsigned char *bytes, uint64_t value, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char *bytes, size_t size_bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size_bytes; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static uint32_t get_u32(const unsigned char *bytes)
{
    return (uint32_t)get(bytes, 4);
}

static uint64_t get_u64(const unsigned char *bytes)
{
    return get(bytes, 8);
}

void segue_pack_put_u64(uint64_t value, unsigned char out_bytes[8])
{
    put(out_bytes, value, 8);
}

static bool is_zero(const unsigned char *bytes, size_t size_bytes)
{
    unsigned char all = 0;
    for (size_t i = 0; i < size_bytes; i++)
        all |= bytes[i];
    return all == 0;
}

/** The last 8 bytes of header and footer are the XXH3 of what is before them. */
static void seal(unsigned char *bytes, size_t size_bytes)
{
    const size_t covered_bytes = size_bytes - CHECKSUM_BYTES;
    put(bytes + covered_bytes, XXH3_64bits(bytes, covered_bytes), CHECKSUM_BYTES);
}

static bool is_sealed(const unsigned char *bytes, size_t size_bytes)
{
    const size_t covered_bytes = size_bytes - CHECKSUM_BYTES;
    return get_u64(bytes + covered_bytes) == XXH3_64bits(bytes, covered_bytes);
}

void segue_packed_digest_bytes(const void *data, size_t size_bytes,
                               struct segue_packed_digest *out_digest)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size_bytes));
    memcpy(out_digest->bytes, canonical.digest, sizeof(out_digest->bytes));
}

void segue_pack_key_digest(const struct segue_packed_key *key,
                           struct segue_packed_digest *out_digest)
{
    unsigned char bytes[ENTRY_CONTENT_AT - ENTRY_INPUTS_AT] = {0};
    memcpy(bytes, &key->inputs, sizeof(key->inputs));
    memcpy(bytes + 16, &key->parameters, sizeof(key->parameters));
    memcpy(bytes + 32, &key->fingerprint, sizeof(key->fingerprint));
    put(bytes + 48, key->layout_id, 4);
    put(bytes + 52, key->layout_version, 4);
    put(bytes + 56, key->architecture, 4);
    segue_packed_digest_bytes(bytes, sizeof(bytes), out_digest);
}

void segue_pack_put_header(const struct segue_pack_header *header,
                           unsigned char out_bytes[SEGUE_PACK_HEADER_BYTES])
{
    memset(out_bytes, 0, SEGUE_PACK_HEADER_BYTES);
    memcpy(out_bytes + MAGIC_AT, header_magic, sizeof(header_magic));
    put(out_bytes + VERSION_AT, SEGUE_PACK_VERSION, 4);
    put(out_bytes + BYTE_ORDER_AT, BYTE_ORDER_MARK, 4);
    put(out_bytes + GENERATION_AT, header->generation, 8);
    memcpy(out_bytes + BUILD_ID_AT, header->build_id, sizeof(header->build_id));
    put(out_bytes + HEADER_CREATED_AT, header->created_ns, 8);
    put(out_bytes + HEADER_CHUNK_BYTES_AT, SEGUE_PACKED_CHUNK_BYTES, 4);
    seal(out_bytes, SEGUE_PACK_HEADER_BYTES);
}

/** What header and footer have in common. */
static const char *check_start(const unsigned char *bytes, const char magic[8], size_t size_bytes)
{
    if (memcmp(bytes + MAGIC_AT, magic, 8) != 0)
        return "it is not a file of packed tensors, or it was cut";
    if (get_u32(bytes + BYTE_ORDER_AT) != BYTE_ORDER_MARK)
        return "its byte order is not little-endian";
    if (get_u32(bytes + VERSION_AT) != SEGUE_PACK_VERSION)
        return "its version of the format is not supported";
    if (!is_sealed(bytes, size_bytes))
        return "the checksum of its header or footer does not match";
    return NULL;
}

bool segue_pack_is_other_version(const unsigned char bytes[SEGUE_PACK_HEADER_BYTES])
{
    return memcmp(bytes + MAGIC_AT, header_magic, sizeof(header_magic)) == 0 &&
           get_u32(bytes + BYTE_ORDER_AT) == BYTE_ORDER_MARK &&
           get_u32(bytes + VERSION_AT) != SEGUE_PACK_VERSION &&
           is_sealed(bytes, SEGUE_PACK_HEADER_BYTES);
}

const char *segue_pack_get_header(const unsigned char bytes[SEGUE_PACK_HEADER_BYTES],
                                  struct segue_pack_header *out_header)
{
    const char *problem = check_start(bytes, header_magic, SEGUE_PACK_HEADER_BYTES);
    if (problem != NULL)
        return problem;
    if (get_u32(bytes + HEADER_CHUNK_BYTES_AT) != SEGUE_PACKED_CHUNK_BYTES)
        return "its chunks have a size that is not supported";
    if (!is_zero(bytes + HEADER_END - 4, SEGUE_PACK_HEADER_BYTES - HEADER_END + 4 - CHECKSUM_BYTES))
        return "its header has bytes that should be zero";
    out_header->generation = get_u64(bytes + GENERATION_AT);
    memcpy(out_header->build_id, bytes + BUILD_ID_AT, sizeof(out_header->build_id));
    out_header->created_ns = get_u64(bytes + HEADER_CREATED_AT);
    return NULL;
}

void segue_pack_put_footer(const struct segue_pack_footer *footer,
                           unsigned char out_bytes[SEGUE_PACK_FOOTER_BYTES])
{
    memset(out_bytes, 0, SEGUE_PACK_FOOTER_BYTES);
    memcpy(out_bytes + MAGIC_AT, footer_magic, sizeof(footer_magic));
    put(out_bytes + VERSION_AT, SEGUE_PACK_VERSION, 4);
    put(out_bytes + BYTE_ORDER_AT, BYTE_ORDER_MARK, 4);
    put(out_bytes + GENERATION_AT, footer->header.generation, 8);
    memcpy(out_bytes + BUILD_ID_AT, footer->header.build_id, sizeof(footer->header.build_id));
    put(out_bytes + FOOTER_FILE_BYTES_AT, footer->file_bytes, 8);
    put(out_bytes + FOOTER_INDEX_OFFSET_AT, footer->index_offset_bytes, 8);
    put(out_bytes + FOOTER_INDEX_BYTES_AT, footer->index_bytes, 8);
    put(out_bytes + FOOTER_ENTRIES_AT, footer->entry_count, 4);
    put(out_bytes + FOOTER_SOURCES_AT, footer->source_count, 4);
    put(out_bytes + FOOTER_REPLACED_AT, footer->replaced_count, 4);
    put(out_bytes + FOOTER_CHUNKS_AT, footer->chunk_count, 8);
    put(out_bytes + FOOTER_STRINGS_AT, footer->string_bytes, 8);
    memcpy(out_bytes + FOOTER_DIGEST_AT, &footer->index_digest, sizeof(footer->index_digest));
    put(out_bytes + FOOTER_CREATED_AT, footer->header.created_ns, 8);
    seal(out_bytes, SEGUE_PACK_FOOTER_BYTES);
}

/** Whether the arrays that the footer counts are exactly the index. Each is taken from what is
 *  left, so nothing can wrap. */
static bool counts_fit(const struct segue_pack_footer *footer)
{
    const struct {
        uint64_t count;
        uint64_t size_bytes;
    } arrays[] = {
        {footer->entry_count, SEGUE_PACK_ENTRY_BYTES},
        {footer->chunk_count, SEGUE_PACK_CHUNK_BYTES},
        {footer->source_count, SEGUE_PACK_SOURCE_BYTES},
        {footer->replaced_count, SEGUE_PACK_REPLACED_BYTES},
        {footer->string_bytes, 1},
    };
    uint64_t left_bytes = footer->index_bytes;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        if (arrays[i].count > left_bytes / arrays[i].size_bytes)
            return false;
        left_bytes -= arrays[i].count * arrays[i].size_bytes;
    }
    return left_bytes == 0;
}

const char *segue_pack_get_footer(const unsigned char bytes[SEGUE_PACK_FOOTER_BYTES],
                                  uint64_t file_bytes, const struct segue_pack_header *header,
                                  struct segue_pack_footer *out_footer)
{
    const char *problem = check_start(bytes, footer_magic, SEGUE_PACK_FOOTER_BYTES);
    if (problem != NULL)
        return problem;
    struct segue_pack_footer footer = {
        .header = {.generation = get_u64(bytes + GENERATION_AT),
                   .created_ns = get_u64(bytes + FOOTER_CREATED_AT)},
        .file_bytes = get_u64(bytes + FOOTER_FILE_BYTES_AT),
        .index_offset_bytes = get_u64(bytes + FOOTER_INDEX_OFFSET_AT),
        .index_bytes = get_u64(bytes + FOOTER_INDEX_BYTES_AT),
        .entry_count = get_u32(bytes + FOOTER_ENTRIES_AT),
        .source_count = get_u32(bytes + FOOTER_SOURCES_AT),
        .replaced_count = get_u32(bytes + FOOTER_REPLACED_AT),
        .chunk_count = get_u64(bytes + FOOTER_CHUNKS_AT),
        .string_bytes = get_u64(bytes + FOOTER_STRINGS_AT),
    };
    memcpy(footer.header.build_id, bytes + BUILD_ID_AT, sizeof(footer.header.build_id));
    memcpy(&footer.index_digest, bytes + FOOTER_DIGEST_AT, sizeof(footer.index_digest));
    if (!is_zero(bytes + FOOTER_REPLACED_AT + 4, 4) ||
        !is_zero(bytes + FOOTER_END, SEGUE_PACK_FOOTER_BYTES - FOOTER_END - CHECKSUM_BYTES))
        return "its footer has bytes that should be zero";
    if (footer.header.generation != header->generation ||
        footer.header.created_ns != header->created_ns ||
        memcmp(footer.header.build_id, header->build_id, sizeof(header->build_id)) != 0)
        return "its header and footer are of different files";
    if (footer.file_bytes != file_bytes || file_bytes > SEGUE_PACK_MAX_FILE_BYTES ||
        file_bytes < SEGUE_PACK_HEADER_BYTES + SEGUE_PACK_FOOTER_BYTES)
        return "its size is not what its footer says";
    const uint64_t footer_offset_bytes = file_bytes - SEGUE_PACK_FOOTER_BYTES;
    if (footer.index_offset_bytes < SEGUE_PACK_HEADER_BYTES ||
        footer.index_offset_bytes % SEGUE_PACKED_ALIGN_BYTES != 0 ||
        footer.index_offset_bytes > footer_offset_bytes ||
        footer.index_bytes != footer_offset_bytes - footer.index_offset_bytes ||
        footer.index_bytes > SEGUE_PACK_MAX_INDEX_BYTES)
        return "its index is not between its data and its footer";
    if (footer.entry_count > SEGUE_PACK_MAX_ENTRIES || !counts_fit(&footer))
        return "the counts in its footer do not add up to its index";
    *out_footer = footer;
    return NULL;
}

void segue_pack_put_entry(const struct segue_pack_entry *entry,
                          unsigned char out_bytes[SEGUE_PACK_ENTRY_BYTES])
{
    memset(out_bytes, 0, SEGUE_PACK_ENTRY_BYTES);
    memcpy(out_bytes + ENTRY_KEY_AT, &entry->key, sizeof(entry->key));
    memcpy(out_bytes + ENTRY_INPUTS_AT, &entry->parts.inputs, sizeof(entry->parts.inputs));
    memcpy(out_bytes + ENTRY_PARAMETERS_AT, &entry->parts.parameters,
           sizeof(entry->parts.parameters));
    memcpy(out_bytes + ENTRY_FINGERPRINT_AT, &entry->parts.fingerprint,
           sizeof(entry->parts.fingerprint));
    put(out_bytes + ENTRY_LAYOUT_AT, entry->parts.layout_id, 4);
    put(out_bytes + ENTRY_LAYOUT_VERSION_AT, entry->parts.layout_version, 4);
    put(out_bytes + ENTRY_ARCHITECTURE_AT, entry->parts.architecture, 4);
    memcpy(out_bytes + ENTRY_CONTENT_AT, &entry->content, sizeof(entry->content));
    put(out_bytes + ENTRY_OFFSET_AT, entry->offset_bytes, 8);
    put(out_bytes + ENTRY_SIZE_AT, entry->size_bytes, 8);
    put(out_bytes + ENTRY_FIRST_CHUNK_AT, entry->first_chunk, 8);
    put(out_bytes + ENTRY_CREATED_AT, entry->created_ns, 8);
    put(out_bytes + ENTRY_MODEL_AT, entry->model, 4);
    put(out_bytes + ENTRY_NAME_AT, entry->name, 4);
}

void segue_pack_put_chunk(const struct segue_pack_chunk *chunk,
                          unsigned char out_bytes[SEGUE_PACK_CHUNK_BYTES])
{
    put(out_bytes, chunk->xxh3, 8);
    put(out_bytes + 8, chunk->device, 8);
}

void segue_pack_index_entry(const struct segue_pack_index *index, uint32_t at,
                            struct segue_pack_entry *out_entry)
{
    const unsigned char *bytes = index->entries + (size_t)at * SEGUE_PACK_ENTRY_BYTES;
    struct segue_pack_entry *entry = out_entry;
    memcpy(&entry->key, bytes + ENTRY_KEY_AT, sizeof(entry->key));
    memcpy(&entry->parts.inputs, bytes + ENTRY_INPUTS_AT, sizeof(entry->parts.inputs));
    memcpy(&entry->parts.parameters, bytes + ENTRY_PARAMETERS_AT, sizeof(entry->parts.parameters));
    memcpy(&entry->parts.fingerprint, bytes + ENTRY_FINGERPRINT_AT,
           sizeof(entry->parts.fingerprint));
    entry->parts.layout_id = get_u32(bytes + ENTRY_LAYOUT_AT);
    entry->parts.layout_version = get_u32(bytes + ENTRY_LAYOUT_VERSION_AT);
    entry->parts.architecture = get_u32(bytes + ENTRY_ARCHITECTURE_AT);
    memcpy(&entry->content, bytes + ENTRY_CONTENT_AT, sizeof(entry->content));
    entry->offset_bytes = get_u64(bytes + ENTRY_OFFSET_AT);
    entry->size_bytes = get_u64(bytes + ENTRY_SIZE_AT);
    entry->first_chunk = get_u64(bytes + ENTRY_FIRST_CHUNK_AT);
    entry->created_ns = get_u64(bytes + ENTRY_CREATED_AT);
    entry->model = get_u32(bytes + ENTRY_MODEL_AT);
    entry->name = get_u32(bytes + ENTRY_NAME_AT);
}

struct segue_pack_chunk segue_pack_index_chunk(const struct segue_pack_index *index, uint64_t at)
{
    const unsigned char *bytes = index->chunks + at * SEGUE_PACK_CHUNK_BYTES;
    return (struct segue_pack_chunk){.xxh3 = get_u64(bytes), .device = get_u64(bytes + 8)};
}

uint64_t segue_pack_index_replaced(const struct segue_pack_index *index, uint32_t at)
{
    return get_u64(index->replaced + (size_t)at * SEGUE_PACK_REPLACED_BYTES);
}

/** A name in the strings. The strings end with a zero byte, so every place in them does. */
static const char *check_name(const struct segue_pack_index *index, uint32_t at)
{
    if (at >= index->footer.string_bytes)
        return "a name lies outside its index";
    const char *name = index->strings + at;
    const size_t length = strlen(name);
    if (length == 0 || length > SEGUE_PACKED_MAX_NAME_BYTES || !segue_prepack_is_plain(name))
        return "a name is empty, too long, or has control characters";
    return NULL;
}

static const char *check_entry(const struct segue_pack_index *index, uint32_t at,
                               struct segue_pack_range *out_range)
{
    const unsigned char *bytes = index->entries + (size_t)at * SEGUE_PACK_ENTRY_BYTES;
    struct segue_pack_entry entry;
    segue_pack_index_entry(index, at, &entry);
    struct segue_packed_digest key;
    segue_pack_key_digest(&entry.parts, &key);
    if (memcmp(&key, &entry.key, sizeof(key)) != 0)
        return "an entry's key is not that of its parts";
    if (at != 0 && memcmp(bytes - SEGUE_PACK_ENTRY_BYTES, bytes, sizeof(key)) >= 0)
        return "its entries are not sorted, or two have one key";
    if (!is_zero(bytes + ENTRY_ARCHITECTURE_AT + 4, 4) ||
        !is_zero(bytes + ENTRY_END, SEGUE_PACK_ENTRY_BYTES - ENTRY_END))
        return "an entry has bytes that should be zero";
    const uint64_t data_end_bytes = index->footer.index_offset_bytes;
    if (entry.size_bytes == 0 || entry.offset_bytes < SEGUE_PACK_HEADER_BYTES ||
        entry.offset_bytes % SEGUE_PACKED_ALIGN_BYTES != 0 || entry.offset_bytes > data_end_bytes ||
        entry.size_bytes > data_end_bytes - entry.offset_bytes)
        return "an entry's bytes are not in its data";
    const uint64_t chunk_count = segue_pack_chunk_count(entry.size_bytes);
    if (entry.first_chunk > index->footer.chunk_count ||
        chunk_count > index->footer.chunk_count - entry.first_chunk)
        return "an entry's checksums are not in its index";
    const char *problem = check_name(index, entry.model);
    if (problem == NULL)
        problem = check_name(index, entry.name);
    *out_range = (struct segue_pack_range){
        .begin = entry.offset_bytes,
        .end = entry.offset_bytes + segue_pack_align(entry.size_bytes),
        .first_chunk = entry.first_chunk,
        .chunk_count = chunk_count,
    };
    return problem;
}

static int compare_ranges(const void *left, const void *right)
{
    const struct segue_pack_range *a = left;
    const struct segue_pack_range *b = right;
    return (a->begin > b->begin) - (a->begin < b->begin);
}

/** In order of their bytes, entries must follow each other without a hole, in data and checksums.
 */
static const char *check_ranges(const struct segue_pack_footer *footer,
                                struct segue_pack_range *ranges)
{
    uint64_t end_bytes = SEGUE_PACK_HEADER_BYTES;
    uint64_t chunk = 0;
    if (footer->entry_count != 0)
        qsort(ranges, footer->entry_count, sizeof(ranges[0]), compare_ranges);
    for (uint32_t i = 0; i < footer->entry_count; i++) {
        if (ranges[i].begin != end_bytes || ranges[i].first_chunk != chunk)
            return "its entries overlap or leave holes";
        end_bytes = ranges[i].end;
        chunk += ranges[i].chunk_count;
    }
    if (end_bytes != footer->index_offset_bytes || chunk != footer->chunk_count)
        return "its data or checksums belong to no entry";
    return NULL;
}

/** Sources must be sorted by identity, for the search. */
static const char *check_sources(const struct segue_pack_index *index)
{
    for (uint32_t i = 1; i < index->footer.source_count; i++) {
        const unsigned char *bytes = index->sources + (size_t)i * SEGUE_PACK_SOURCE_BYTES;
        if (memcmp(bytes - SEGUE_PACK_SOURCE_BYTES, bytes, SEGUE_PACKED_DIGEST_BYTES) >= 0)
            return "its sources are not sorted, or two have one identity";
    }
    return NULL;
}

const char *segue_pack_get_index(const unsigned char *bytes, const struct segue_pack_footer *footer,
                                 struct segue_pack_range *scratch,
                                 struct segue_pack_index *out_index)
{
    struct segue_packed_digest digest;
    segue_packed_digest_bytes(bytes, (size_t)footer->index_bytes, &digest);
    if (memcmp(&digest, &footer->index_digest, sizeof(digest)) != 0)
        return "the checksum of its index does not match";
    struct segue_pack_index index = {.footer = *footer, .entries = bytes};
    index.chunks = index.entries + (size_t)footer->entry_count * SEGUE_PACK_ENTRY_BYTES;
    index.sources = index.chunks + (size_t)footer->chunk_count * SEGUE_PACK_CHUNK_BYTES;
    index.replaced = index.sources + (size_t)footer->source_count * SEGUE_PACK_SOURCE_BYTES;
    index.strings =
        (const char *)index.replaced + (size_t)footer->replaced_count * SEGUE_PACK_REPLACED_BYTES;
    if (footer->string_bytes != 0 && index.strings[footer->string_bytes - 1] != '\0')
        return "its names do not end";
    for (uint32_t i = 0; i < footer->entry_count; i++) {
        const char *problem = check_entry(&index, i, &scratch[i]);
        if (problem != NULL)
            return problem;
    }
    const char *problem = check_ranges(footer, scratch);
    if (problem == NULL)
        problem = check_sources(&index);
    for (uint32_t i = 0; problem == NULL && i < footer->replaced_count; i++) {
        if (segue_pack_index_replaced(&index, i) >= footer->header.generation)
            problem = "it claims to replace a later generation";
    }
    if (problem == NULL)
        *out_index = index;
    return problem;
}

/** Binary search among records that begin with a digest. @return NULL if none has this one. */
static const unsigned char *search(const unsigned char *records, uint32_t count,
                                   size_t stride_bytes, const struct segue_packed_digest *digest)
{
    uint32_t begin = 0;
    uint32_t end = count;
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        const unsigned char *record = records + (size_t)middle * stride_bytes;
        const int order = memcmp(digest, record, sizeof(*digest));
        if (order == 0)
            return record;
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return NULL;
}

bool segue_pack_index_find(const struct segue_pack_index *index,
                           const struct segue_packed_digest *key, uint32_t *out_at)
{
    const unsigned char *record =
        search(index->entries, index->footer.entry_count, SEGUE_PACK_ENTRY_BYTES, key);
    if (record == NULL)
        return false;
    *out_at = (uint32_t)((size_t)(record - index->entries) / SEGUE_PACK_ENTRY_BYTES);
    return true;
}

const unsigned char *segue_pack_index_find_source(const struct segue_pack_index *index,
                                                  const struct segue_packed_digest *identity)
{
    const unsigned char *record =
        search(index->sources, index->footer.source_count, SEGUE_PACK_SOURCE_BYTES, identity);
    return record != NULL ? record + SEGUE_PACKED_DIGEST_BYTES : NULL;
}
