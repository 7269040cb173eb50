// SPDX-License-Identifier: Apache-2.0
// Files of packed tensors. Input: a byte of bits, then either a whole file (bit 0), or pages of
// data, the counts of an index, and the index, which get a sound header and footer. Bits 1 and 2:
// the keys of entries are made right, and sorted, since no mutation would find a digest.
#include "fuzz.h"

#include "prepack/pack_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WHOLE = 1, MEND_KEYS = 2, SORT = 4, LARGEST_FILE_BYTES = 1 << 20 };

/** What the reader promises of every file that it accepts. */
static void check_pack(struct segue_pack *pack, uint64_t file_bytes)
{
    const struct segue_pack_index *index = &pack->index;
    FUZZ_CHECK(index->footer.file_bytes == file_bytes, "the size is another one");
    uint64_t chunk_count = 0;
    for (uint32_t i = 0; i < index->footer.entry_count; ++i) {
        struct segue_pack_entry entry;
        uint32_t found = 0;
        segue_pack_index_entry(index, i, &entry);
        FUZZ_CHECK(entry.size_bytes > 0 && entry.offset_bytes >= SEGUE_PACK_HEADER_BYTES &&
                       entry.offset_bytes % SEGUE_PACKED_ALIGN_BYTES == 0 &&
                       entry.offset_bytes <= index->footer.index_offset_bytes &&
                       entry.size_bytes <= index->footer.index_offset_bytes - entry.offset_bytes,
                   "entry %u leaves the data", i);
        FUZZ_CHECK(segue_pack_index_find(index, &entry.key, &found) && found == i,
                   "entry %u is not found", i);
        const uint64_t count = segue_pack_chunk_count(entry.size_bytes);
        FUZZ_CHECK(entry.first_chunk <= index->footer.chunk_count &&
                       count <= index->footer.chunk_count - entry.first_chunk,
                   "entry %u has no checksums", i);
        chunk_count += count;
        for (uint64_t k = 0; k < count; ++k) {
            static unsigned char chunk[SEGUE_PACKED_CHUNK_BYTES];
            const size_t length = segue_pack_chunk_length(&entry, (uint32_t)k);
            const int error = segue_pack_read(
                pack->fd, entry.offset_bytes + k * SEGUE_PACKED_CHUNK_BYTES, chunk, length);
            FUZZ_CHECK(error == 0, "a chunk cannot be read");
            (void)segue_pack_chunk_matches(pack, &entry, (uint32_t)k, chunk, length);
        }
        FUZZ_CHECK(strlen(segue_pack_string(pack, entry.model)) > 0 &&
                       strlen(segue_pack_string(pack, entry.name)) > 0,
                   "entry %u has no name", i);
    }
    FUZZ_CHECK(chunk_count == index->footer.chunk_count, "checksums belong to nothing");
    for (uint32_t i = 0; i < index->footer.replaced_count; ++i)
        FUZZ_CHECK(segue_pack_index_replaced(index, i) < index->footer.header.generation,
                   "it replaces itself");
    for (uint32_t i = 0; i < index->footer.source_count; ++i) {
        struct segue_packed_digest identity;
        memcpy(&identity, index->sources + (size_t)i * SEGUE_PACK_SOURCE_BYTES, sizeof(identity));
        FUZZ_CHECK(segue_pack_index_find_source(index, &identity) ==
                       index->sources + (size_t)i * SEGUE_PACK_SOURCE_BYTES + sizeof(identity),
                   "source %u is not found", i);
    }
}

static void open_file(const uint8_t *data, size_t size)
{
    const int fd = fuzz_open_bytes(data, size);
    struct segue_pack *pack = NULL;
    const char *problem = NULL;
    const enum segue_pack_state state = segue_pack_open_fd(fd, "fuzz", size, &pack, &problem);
    if (state == SEGUE_PACK_VALID) {
        check_pack(pack, size);
        // It has taken the descriptor over.
        segue_pack_release(pack);
        return;
    }
    FUZZ_CHECK(state == SEGUE_PACK_INVALID || state == SEGUE_PACK_FOREIGN, "state %d", (int)state);
    FUZZ_CHECK(pack == NULL && problem != NULL && problem[0] != '\0', "nobody says why");
    close(fd);
}

static int compare_records(const void *left, const void *right)
{
    return memcmp(left, right, SEGUE_PACKED_DIGEST_BYTES);
}

static void mend_keys(uint8_t *index_bytes, uint32_t entry_count, bool sort)
{
    const struct segue_pack_index index = {.entries = index_bytes};
    for (uint32_t i = 0; i < entry_count; ++i) {
        struct segue_pack_entry entry;
        segue_pack_index_entry(&index, i, &entry);
        segue_pack_key_digest(&entry.parts, &entry.key);
        memcpy(index_bytes + (size_t)i * SEGUE_PACK_ENTRY_BYTES, &entry.key, sizeof(entry.key));
    }
    if (sort && entry_count > 0)
        qsort(index_bytes, entry_count, SEGUE_PACK_ENTRY_BYTES, compare_records);
}

/** A file around an index. */
static void open_index(struct fuzz_input input, uint8_t bits)
{
    static uint8_t file[LARGEST_FILE_BYTES];
    const uint64_t page_count = fuzz_u8(&input) % 64;
    struct segue_pack_footer footer = {.header = {.generation = 5, .build_id = {1}}};
    footer.entry_count = fuzz_u16(&input);
    footer.source_count = fuzz_u16(&input);
    footer.replaced_count = fuzz_u16(&input);
    footer.chunk_count = fuzz_u16(&input);
    footer.string_bytes = fuzz_u16(&input);
    footer.index_offset_bytes = SEGUE_PACK_HEADER_BYTES + page_count * SEGUE_PACKED_ALIGN_BYTES;
    if (input.left > sizeof(file) - footer.index_offset_bytes - SEGUE_PACK_FOOTER_BYTES)
        return;
    footer.index_bytes = input.left;
    footer.file_bytes = footer.index_offset_bytes + footer.index_bytes + SEGUE_PACK_FOOTER_BYTES;
    memset(file, 0, sizeof(file));
    segue_pack_put_header(&footer.header, file);
    uint8_t *index = file + footer.index_offset_bytes;
    memcpy(index, input.next, input.left);
    if (bits & MEND_KEYS && footer.entry_count <= footer.index_bytes / SEGUE_PACK_ENTRY_BYTES)
        mend_keys(index, footer.entry_count, (bits & SORT) != 0);
    segue_packed_digest_bytes(index, footer.index_bytes, &footer.index_digest);
    segue_pack_put_footer(&footer, index + footer.index_bytes);
    open_file(file, footer.file_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const uint8_t bits = data[0];
    if (bits & WHOLE)
        open_file(data + 1, size - 1);
    else
        open_index((struct fuzz_input){data + 1, size - 1}, bits);
    return 0;
}
