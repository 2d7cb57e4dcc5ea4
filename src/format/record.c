/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * record.c: the bytes of a record.
 *
 * What. A record is read and written in the order of the table in docs/format.md:
 *   klen varint, vlen varint, flags u8,
 *   [ttl_ms varint], [term varint, index varint], [time_ms varint],
 *   key[klen], value[vlen], crc u32
 * Only what stands before the key is encoded here. Key and value are copied by whoever owns the
 * place they go to, and the checksum is taken over the bytes in that place.
 *
 * Trust. The lengths come before the checksum that vouches for them. So each is first held against
 * the limit, then against the bytes that are left, and nothing is handed out before the checksum
 * holds.
 *
 * Place. In format 2 the checksum is masked with a number made of the segment's salt and the
 * record's offset: a record that was moved, left over from an earlier life of the file, or copied
 * from another log is no record here.
 */
#include "format/record.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/plant.h"
#include "base/varint.h"

#define FLAGS_OF_FORMAT_1 (NW_FLAG_TOMBSTONE | NW_FLAG_TTL | NW_FLAG_COMPRESSION | NW_FLAG_VERSION)

/* The CRC-32C of three zero bytes, which is what an empty record without flags is before its
 * checksum. */
#define CRC_OF_ZEROS UINT32_C(0x6064a37a)

NW_STATIC_ASSERT(NW_RECORD_HEAD_MAX == 6 * NW_VARINT_MAX + 1, "six varints and the flags");
NW_STATIC_ASSERT(NW_RECORD_LEN_MIN == 3 + NW_RECORD_CRC_LEN, "two lengths, flags, checksum");
NW_STATIC_ASSERT(NW_FLAG_COMPRESSION == 3u << NW_FLAG_COMPRESSION_SHIFT, "two bits");
NW_STATIC_ASSERT(NORI_COMPRESSION_NONE == 0 && NORI_COMPRESSION_LZ4 == 1 &&
                     NORI_COMPRESSION_ZSTD == 2,
                 "the numbers of the API are those on disk");

static uint8_t disk_flags(const struct nori_record *record, uint32_t compression,
                          bool batch_continues)
{
    uint32_t flags = compression << NW_FLAG_COMPRESSION_SHIFT;

    if (record->flags & NORI_RECORD_TOMBSTONE)
        flags |= NW_FLAG_TOMBSTONE;
    if (record->flags & NORI_RECORD_TTL)
        flags |= NW_FLAG_TTL;
    if (record->flags & NORI_RECORD_VERSION)
        flags |= NW_FLAG_VERSION;
    if (record->flags & NORI_RECORD_TIME)
        flags |= NW_FLAG_TIME;
    if (batch_continues)
        flags |= NW_FLAG_BATCH_CONTINUES;
    nw_assert((flags & NW_FLAG_CONTROL) == 0); /* those are made by control_record.c alone */
    return (uint8_t)flags;
}

void nw_record_head_encode(struct nw_record_head *head, const struct nori_record *record,
                           uint64_t stored_len, uint32_t compression, bool batch_continues)
{
    uint8_t flags = disk_flags(record, compression, batch_continues);
    uint8_t *at = head->bytes;

    nw_assert(compression <= NORI_COMPRESSION_ZSTD);
    at = nw_varint_put(at, record->key_len);
    at = nw_varint_put(at, stored_len);
    *at++ = flags;
    if (flags & NW_FLAG_TTL)
        at = nw_varint_put(at, record->ttl_ms);
    if (flags & NW_FLAG_VERSION) {
        at = nw_varint_put(at, record->version_term);
        at = nw_varint_put(at, record->version_index);
    }
    if (flags & NW_FLAG_TIME)
        at = nw_varint_put(at, record->time_ms);
    head->len = (size_t)(at - head->bytes);
    nw_assert(head->len <= sizeof head->bytes);
}

uint32_t nw_record_crc(const struct nw_record_place *place, uint32_t crc32c)
{
    uint32_t mask;

    nw_assert(place->format == 1 || place->format == 2);
    if (place->format == 1)
        return crc32c;
    mask = (uint32_t)nw_splitmix64(place->salt + place->offset);
    if (mask == CRC_OF_ZEROS)
        mask ^= 1; /* else seven zero bytes, as in space taken ahead, would be a record here */
    return crc32c ^ mask;
}

/* nw_scan_varint, with a short way for the one byte that nearly every varint is. */
static inline uint64_t scan_varint(struct nw_scan *scan)
{
    if (scan->at < scan->end && *scan->at < 0x80)
        return *scan->at++;
    return nw_scan_varint(scan);
}

/* Everything before the key. Fields that the flags do not announce are zero. */
static void scan_head(struct nw_scan *scan, uint32_t format, struct nw_stored_record *record)
{
    record->key_len = scan_varint(scan);
    record->stored_len = scan_varint(scan);
    record->flags = nw_scan_u8(scan);
    if (record->flags & NW_FLAG_TTL)
        record->ttl_ms = scan_varint(scan);
    if (record->flags & NW_FLAG_VERSION) {
        record->version_term = scan_varint(scan);
        record->version_index = scan_varint(scan);
    }
    if (format == 2 && (record->flags & NW_FLAG_TIME))
        record->time_ms = scan_varint(scan);
    record->compression = (record->flags & NW_FLAG_COMPRESSION) >> NW_FLAG_COMPRESSION_SHIFT;
}

static bool are_flags_known(uint32_t format, uint8_t flags)
{
    if (format == 1 && (flags & ~FLAGS_OF_FORMAT_1))
        return false;
    if (flags & NW_FLAG_CONTROL)
        return flags == NW_FLAG_CONTROL;
    return (flags & NW_FLAG_COMPRESSION) != NW_FLAG_COMPRESSION;
}

int nw_record_decode(struct nw_scan *scan, const struct nw_record_place *place, uint64_t limit,
                     struct nw_stored_record *ret_record)
{
    struct nw_stored_record record = {0};
    struct nw_scan bytes = *scan; /* the caller's moves only when all is well */
    size_t covered_len;
    uint32_t crc;

    nw_assert(place->format == 1 || place->format == 2);
    scan_head(&bytes, place->format, &record);
    if (bytes.is_bad || ((record.key_len > limit || record.stored_len > limit - record.key_len) &&
                         !NW_PLANT("trust-length")))
        return NW_DECODE_BAD; /* also if they end here: no more bytes would make it a record */

    record.key = nw_scan_bytes(&bytes, record.key_len);
    record.stored = nw_scan_bytes(&bytes, record.stored_len);
    covered_len = (size_t)(bytes.at - scan->at);
    crc = nw_scan_u32(&bytes);
    if (bytes.is_short)
        return NW_DECODE_SHORT;
    if (nw_record_crc(place, nw_crc32c(0, scan->at, covered_len)) != crc &&
        !(NW_PLANT("accept-zero-record") && nw_nonzero_len(scan->at, covered_len) == 0))
        return NW_DECODE_BAD;
    if (!are_flags_known(place->format, record.flags))
        return NORI_E_VERSION; /* D12: what is not known is not damage */

    record.len = covered_len + NW_RECORD_CRC_LEN;
    nw_assert(record.len >= NW_RECORD_LEN_MIN && bytes.at <= bytes.end);
    *ret_record = record;
    *scan = bytes;
    return NORI_OK;
}
