// SPDX-License-Identifier: Apache-2.0
#include "bytes.h"

#include "cache.h"
#include "error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define PIECE_BYTES (1u << 20)

static segue_status read_file(const struct segue_prepack_bytes *bytes, uint64_t offset_bytes,
                              void *data, size_t length_bytes)
{
    const struct segue_prepack_source *source = bytes->source;
    const uint64_t place_bytes = source->offset_bytes + offset_bytes;
    const int error = segue_pack_read(source->fd, place_bytes, data, length_bytes);
    if (error == 0)
        return SEGUE_OK;
    return segue_prepack_fail(SEGUE_IO_ERROR,
                              "constant %s: %zu bytes at byte %" PRIu64 " of %s could not be read: "
                              "%s",
                              bytes->name, length_bytes, place_bytes,
                              source->file != NULL ? source->file : "its file",
                              error > 0 ? strerror(error) : "the file became shorter");
}

segue_status segue_prepack_bytes_read(const struct segue_prepack_bytes *bytes,
                                      uint64_t offset_bytes, void *data, size_t length_bytes)
{
    if (bytes->entry != NULL && bytes->is_unchecked)
        return segue_packed_entry_read_unchecked(bytes->entry, offset_bytes, data, length_bytes);
    if (bytes->entry != NULL)
        return segue_packed_entry_read(bytes->entry, offset_bytes, data, length_bytes);
    const struct segue_prepack_source *source = bytes->source;
    switch (source->kind) {
    case SEGUE_PREPACK_TENSOR: // A range of a file since it was added.
    case SEGUE_PREPACK_FILE:
        return read_file(bytes, offset_bytes, data, length_bytes);
    case SEGUE_PREPACK_HOST:
        memcpy(data, (const char *)source->data + offset_bytes, length_bytes);
        return SEGUE_OK;
    case SEGUE_PREPACK_GENERATOR:
        break;
    }
    if (source->generate(source->generate_context, offset_bytes, data, length_bytes))
        return SEGUE_OK;
    return segue_prepack_fail(SEGUE_INVALID_DATA,
                              "constant %s: its generator did not make %zu bytes at offset "
                              "%" PRIu64,
                              bytes->name, length_bytes, offset_bytes);
}

segue_status segue_prepack_bytes_check(const struct segue_prepack_bytes *bytes,
                                       uint64_t offset_bytes, const void *data, size_t length_bytes)
{
    if (bytes->entry == NULL)
        return SEGUE_OK;
    return segue_packed_entry_accept(bytes->entry, offset_bytes, data, length_bytes,
                                     !bytes->is_unchecked);
}

bool segue_prepack_bytes_file(const struct segue_prepack_bytes *bytes, int *out_fd,
                              uint64_t *out_offset_bytes)
{
    if (bytes->entry != NULL) {
        *out_fd = bytes->entry->pack->fd;
        *out_offset_bytes = bytes->entry->record.offset_bytes;
        return true;
    }
    if (bytes->source->kind != SEGUE_PREPACK_FILE)
        return false;
    *out_fd = bytes->source->fd;
    *out_offset_bytes = bytes->source->offset_bytes;
    return true;
}

segue_status segue_prepack_bytes_digest(const struct segue_prepack_bytes *bytes,
                                        struct segue_packed_digest *out_digest,
                                        uint64_t *out_read_bytes)
{
    if (bytes->source != NULL && bytes->source->kind == SEGUE_PREPACK_HOST) {
        segue_packed_digest_bytes(bytes->source->data, (size_t)bytes->size_bytes, out_digest);
        *out_read_bytes += bytes->size_bytes;
        return SEGUE_OK;
    }
    XXH3_state_t *state = XXH3_createState();
    unsigned char *piece = malloc(PIECE_BYTES);
    segue_status status = SEGUE_OK;
    if (state == NULL || piece == NULL)
        status = segue_prepack_fail_memory("the digest of a constant");
    else
        (void)XXH3_128bits_reset(state);
    for (uint64_t offset = 0; status == SEGUE_OK && offset < bytes->size_bytes;) {
        const uint64_t rest = bytes->size_bytes - offset;
        const size_t length = rest < PIECE_BYTES ? (size_t)rest : PIECE_BYTES;
        status = segue_prepack_bytes_read(bytes, offset, piece, length);
        if (status == SEGUE_OK)
            (void)XXH3_128bits_update(state, piece, length);
        offset += length;
        *out_read_bytes += length;
    }
    if (status == SEGUE_OK) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
        memcpy(out_digest->bytes, canonical.digest, sizeof(out_digest->bytes));
    }
    free(piece);
    (void)XXH3_freeState(state);
    return status;
}
