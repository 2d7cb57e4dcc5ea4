/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fuzz_record.c: bytes as a record of both formats. The decoder stays in them, every cut of a
 * record is short, what was decoded encodes to what was read, and a value decompresses or is
 * damaged.
 *
 * Input: format and whether the checksum is put right u8, salt u64, offset u32, the record.
 */
#include "fuzz.h"
#include "seal.h"

#include "format/compress.h"
#include "format/control_record.h"

#include <nori/vfs.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT ((uint64_t)1 << 16)

/* Encode it again: a head of the same length is the same head. */
static void check_head(const uint8_t *bytes, const struct nw_stored_record *stored)
{
    struct nori_record record = {.key_len = (size_t)stored->key_len,
                                 .ttl_ms = stored->ttl_ms,
                                 .time_ms = stored->time_ms,
                                 .version_term = stored->version_term,
                                 .version_index = stored->version_index};
    size_t head_len = (size_t)(stored->key - bytes);
    struct nw_record_head head;

    record.flags |= stored->flags & NW_FLAG_TOMBSTONE ? NORI_RECORD_TOMBSTONE : 0;
    record.flags |= stored->flags & NW_FLAG_TTL ? NORI_RECORD_TTL : 0;
    record.flags |= stored->flags & NW_FLAG_VERSION ? NORI_RECORD_VERSION : 0;
    record.flags |= stored->flags & NW_FLAG_TIME ? NORI_RECORD_TIME : 0;
    nw_record_head_encode(&head, &record, stored->stored_len, stored->compression,
                          nw_record_continues(stored));
    fuzz_check(head.len <= head_len, "a head grows from %zu to %zu bytes", head_len, head.len);
    fuzz_check(head.len < head_len || memcmp(head.bytes, bytes, head_len) == 0,
               "a record encodes to other bytes than it was decoded from");
}

static void check_value(const struct nw_stored_record *stored)
{
    const struct nori_allocator *allocator = nori_allocator_malloc();
    struct nw_compressor *compressor = nw_compressor_new(allocator);
    size_t room = 0;
    size_t len = 0;

    if (nw_decompressed_len(stored->compression, stored->stored, (size_t)stored->stored_len, LIMIT,
                            &room) == 0) {
        uint8_t *value = malloc(room > 0 ? room : 1); /* exactly: a write beyond it is seen */
        int rc;

        fuzz_check(room <= LIMIT, "a value of %zu bytes is over the limit", room);
        rc = nw_decompress(compressor, stored->compression, stored->stored,
                           (size_t)stored->stored_len, value, room, &len);
        fuzz_check(rc < 0 || len <= room, "%zu bytes in room for %zu", len, room);
        free(value);
    }
    nw_compressor_free(compressor);
}

static void check_cuts(const uint8_t *bytes, size_t len, const struct nw_record_place *place)
{
    for (size_t cut = 0; cut < len; cut += len < 64 || cut + 8 > len ? 1 : 7) {
        struct nw_scan scan = nw_scan_over(bytes, cut);
        struct nw_stored_record record;
        int rc = nw_record_decode(&scan, place, LIMIT, &record);

        fuzz_check(rc == NW_DECODE_SHORT, "%zu of %zu bytes decode to %d, not to short", cut, len,
                   rc);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input input = {data, len};
    uint64_t choice = fuzz_number(&input, 1);
    struct nw_record_place place = {choice & 1 ? 2 : 1, fuzz_number(&input, 8),
                                    fuzz_number(&input, 4)};
    uint8_t *bytes = malloc(input.left > 0 ? input.left : 1);
    struct nw_stored_record record;
    struct nw_scan scan;
    struct nw_mark mark;
    int rc;

    if (input.left > 0)
        memcpy(bytes, input.at, input.left);
    if (choice & 2)
        (void)seal_record(bytes, input.left, &place);
    scan = nw_scan_over(bytes, input.left);
    rc = nw_record_decode(&scan, &place, LIMIT, &record);
    fuzz_check(rc == 0 || scan.at == bytes, "the scan moved, but nothing was decoded");
    if (rc == 0) {
        fuzz_check(scan.at == bytes + record.len && record.len <= input.left,
                   "a record of %zu bytes in %zu", record.len, input.left);
        fuzz_check(seal_is_good(bytes, record.len, &place), "its checksum does not hold");
        check_cuts(bytes, record.len, &place);
        check_value(&record);
        if (!nw_record_is_control(&record))
            check_head(bytes, &record);
        else if (nw_control_decode(&record, place.salt, &mark) == NW_CONTROL_IS_HOLE)
            (void)nw_hole_hidden(&record);
    }
    (void)nw_mark_find_any(bytes, input.left, place.offset, &mark);
    free(bytes);
    return 0;
}
