/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* record.h: the bytes of a record, in both formats. docs/format.md has the table that this follows
 * line for line. */
#ifndef NW_RECORD_H
#define NW_RECORD_H

#include "base/scan.h"

#include <nori/wal.h>

/* Flag bits on disk. */
#define NW_FLAG_TOMBSTONE         0x01u
#define NW_FLAG_TTL               0x02u
#define NW_FLAG_COMPRESSION       0x0cu
#define NW_FLAG_COMPRESSION_SHIFT 2
#define NW_FLAG_VERSION           0x10u
#define NW_FLAG_TIME              0x20u /* format 2 only */
#define NW_FLAG_BATCH_CONTINUES   0x40u /* format 2 only */
#define NW_FLAG_CONTROL           0x80u /* format 2 only; then flags are exactly this */

#define NW_RECORD_HEAD_MAX        61 /* two lengths, flags, ttl, term, index, time */
#define NW_RECORD_CRC_LEN         4
#define NW_RECORD_LEN_MIN         7 /* an empty one */

/* Where a record lies, which its checksum is bound to (format 2). Format 1 ignores salt, offset. */
struct nw_record_place {
    uint32_t format; /* 1 or 2 */
    uint64_t salt;   /* of the segment */
    uint64_t offset; /* of the record's first byte in the segment's file */
};

/* What stands before the key. */
struct nw_record_head {
    uint8_t bytes[NW_RECORD_HEAD_MAX];
    size_t len;
};

/*
 * Encode what stands before the key. stored_len and compression are the value's as stored;
 * record->flags choose the optional fields; batch_continues sets that bit.
 */
void nw_record_head_encode(struct nw_record_head *head, const struct nori_record *record,
                           uint64_t stored_len, uint32_t compression, bool batch_continues);

/* Turn the CRC-32C of a record's bytes before its checksum into the one stored in that place. */
uint32_t nw_record_crc(const struct nw_record_place *place, uint32_t crc32c);

/* A record as it lies in the log: key and stored value point into the scanned bytes. */
struct nw_stored_record {
    const uint8_t *key;
    uint64_t key_len;
    const uint8_t *stored; /* the value as stored, maybe compressed */
    uint64_t stored_len;
    uint64_t ttl_ms, version_term, version_index, time_ms;
    uint8_t flags;        /* on-disk bits */
    uint32_t compression; /* enum nori_compression */
    size_t len;           /* of the whole record, bytes */
};

/* What nw_record_decode says besides 0. Positive, apart from NORI_END. */
#define NW_DECODE_SHORT 2 /* the bytes end before the record, and nothing in them is wrong so far */
#define NW_DECODE_BAD   3 /* these bytes are no record: a bad length or checksum */

/*
 * Decode the record at scan->at. On 0 the scan stands behind it; otherwise it has not moved.
 * Nothing is trusted before the checksum holds. limit bounds key_len and stored_len (each, and
 * their sum; compare without overflow): over it is NW_DECODE_BAD. NORI_E_VERSION: the checksum
 * holds but the flags are unknown: format 1 bits 5-7; compression 3; bit 7 together with others.
 */
int nw_record_decode(struct nw_scan *scan, const struct nw_record_place *place, uint64_t limit,
                     struct nw_stored_record *ret_record);

/* True for control records (marks, holes, ...). */
static inline bool nw_record_is_control(const struct nw_stored_record *record)
{
    return (record->flags & NW_FLAG_CONTROL) != 0;
}

/* True if the next record belongs to the same batch. */
static inline bool nw_record_continues(const struct nw_stored_record *record)
{
    return (record->flags & NW_FLAG_BATCH_CONTINUES) != 0;
}

#endif
