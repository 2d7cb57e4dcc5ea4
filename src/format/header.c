/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * header.c: the 128 bytes that open a format-2 segment.
 *
 * What. Fields stand at fixed places, little-endian, in the order of the table in docs/format.md. A
 * header is valid if and only if (1) it begins with the magic, (2) its version is 2, (3) its
 * header_len lies within bounds and within the file, (4) the checksum in the last four bytes of
 * header_len holds, (5) it has no incompat bit that we do not know, (6) its reserved bytes are
 * zero, its salt and log_id are not, and (7) its durable_lsn is not above its start.
 *
 * Order. The version is judged before the checksum, because a newer version may keep its checksum
 * elsewhere: it is then something that we cannot read (D12), not damage. Everything else is
 * believed only once the checksum holds.
 */
#include "format/header.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/plant.h"

#include <string.h>

/* Where the fields stand. */
enum {
    AT_MAGIC = 0,
    AT_VERSION = 8,
    AT_HEADER_LEN = 10,
    AT_INCOMPAT = 12,
    AT_COMPAT = 16,
    AT_NODE_ID = 20,
    AT_SEGMENT_ID = 24,
    AT_BASE_SEQUENCE = 32,
    AT_LOG_ID = 40,
    AT_SALT = 48,
    AT_CREATED_MS = 56,
    AT_START = 64,
    AT_PREV_SALT = 72,
    AT_MAX_RECORD = 80,
    AT_PREV_ID = 88,
    AT_PREV_END = 96,
    AT_DURABLE_LSN = 104,
    AT_RESERVED = 112,
    AT_CRC = 124
};

#define MAGIC_LEN    8
#define RESERVED_LEN 12
#define CRC_LEN      4 /* always the last bytes of header_len */

NW_STATIC_ASSERT(AT_VERSION == AT_MAGIC + MAGIC_LEN, "the version follows the magic");
NW_STATIC_ASSERT(AT_RESERVED + RESERVED_LEN == AT_CRC, "the reserved bytes end at the checksum");
NW_STATIC_ASSERT(AT_CRC + CRC_LEN == NW_HEADER_LEN, "the checksum ends the header");
NW_STATIC_ASSERT(NW_HEADER_LEN_MAX <= UINT16_MAX, "header_len is a u16");

/* Read as format 1 its flags would be the "R": bit 6 is set, so it is never a record there. */
static const uint8_t magic[MAGIC_LEN] = {0xff, 0x4e, 0x4f, 0x52, 0x49, 0x57, 0x41, 0x4c};

void nw_header_encode(uint8_t target[NW_HEADER_LEN], const struct nw_header *header)
{
    nw_assert(header->salt != 0);
    nw_assert(header->log_id != 0);
    nw_assert(header->base_sequence != 0);
    nw_assert((header->incompat & ~NW_INCOMPAT_KNOWN) == 0);
    nw_assert((header->compat & ~NW_COMPAT_KNOWN) == 0);
    nw_assert(header->durable_lsn <= header->start);

    memset(target, 0, NW_HEADER_LEN);
    memcpy(target + AT_MAGIC, magic, MAGIC_LEN);
    nw_put_u16(target + AT_VERSION, NW_HEADER_VERSION);
    nw_put_u16(target + AT_HEADER_LEN, NW_HEADER_LEN);
    nw_put_u32(target + AT_INCOMPAT, header->incompat);
    nw_put_u32(target + AT_COMPAT, header->compat);
    nw_put_u32(target + AT_NODE_ID, header->node_id);
    nw_put_u64(target + AT_SEGMENT_ID, header->segment_id);
    nw_put_u64(target + AT_BASE_SEQUENCE, header->base_sequence);
    nw_put_u64(target + AT_LOG_ID, header->log_id);
    nw_put_u64(target + AT_SALT, header->salt);
    nw_put_u64(target + AT_CREATED_MS, header->created_ms);
    nw_put_u64(target + AT_START, header->start);
    nw_put_u64(target + AT_PREV_SALT, header->prev_salt);
    nw_put_u64(target + AT_MAX_RECORD, header->max_record);
    nw_put_u64(target + AT_PREV_ID, header->prev_id);
    nw_put_u64(target + AT_PREV_END, header->prev_end);
    nw_put_u64(target + AT_DURABLE_LSN, header->durable_lsn);
    nw_put_u32(target + AT_CRC, nw_crc32c(0, target, AT_CRC));
}

static void get_fields(const uint8_t *data, struct nw_header *header)
{
    header->header_len = nw_get_u16(data + AT_HEADER_LEN);
    header->incompat = nw_get_u32(data + AT_INCOMPAT);
    header->compat = nw_get_u32(data + AT_COMPAT);
    header->node_id = nw_get_u32(data + AT_NODE_ID);
    header->segment_id = nw_get_u64(data + AT_SEGMENT_ID);
    header->base_sequence = nw_get_u64(data + AT_BASE_SEQUENCE);
    header->log_id = nw_get_u64(data + AT_LOG_ID);
    header->salt = nw_get_u64(data + AT_SALT);
    header->created_ms = nw_get_u64(data + AT_CREATED_MS);
    header->start = nw_get_u64(data + AT_START);
    header->prev_salt = nw_get_u64(data + AT_PREV_SALT);
    header->max_record = nw_get_u64(data + AT_MAX_RECORD);
    header->prev_id = nw_get_u64(data + AT_PREV_ID);
    header->prev_end = nw_get_u64(data + AT_PREV_END);
    header->durable_lsn = nw_get_u64(data + AT_DURABLE_LSN);
}

int nw_header_decode(const uint8_t *data, size_t len, struct nw_header *ret_header)
{
    struct nw_header header;
    size_t header_len;

    if (len < MAGIC_LEN || memcmp(data + AT_MAGIC, magic, MAGIC_LEN) != 0)
        return NW_HEADER_NONE;
    if (len < AT_INCOMPAT)
        return NW_HEADER_BAD; /* too short for a version and a length */
    if (nw_get_u16(data + AT_VERSION) == 0)
        return NW_HEADER_BAD; /* no version, newer or older, is 0: cut off behind the magic */
    if (nw_get_u16(data + AT_VERSION) != NW_HEADER_VERSION)
        return NORI_E_VERSION;
    header_len = nw_get_u16(data + AT_HEADER_LEN);
    if (header_len < NW_HEADER_LEN || header_len > NW_HEADER_LEN_MAX || header_len > len)
        return NW_HEADER_BAD;
    if (nw_crc32c(0, data, header_len - CRC_LEN) != nw_get_u32(data + header_len - CRC_LEN))
        return NW_HEADER_BAD;

    get_fields(data, &header);
    nw_assert(header.header_len == header_len);
    if ((header.incompat & ~NW_INCOMPAT_KNOWN) && !NW_PLANT("ignore-incompat"))
        return NORI_E_VERSION;
    if (nw_nonzero_len(data + AT_RESERVED, RESERVED_LEN) > 0 || header.salt == 0 ||
        header.log_id == 0 || header.base_sequence == 0)
        return NW_HEADER_BAD;
    if (header.durable_lsn > header.start)
        return NW_HEADER_BAD; /* none knows more than what lies before it */
    *ret_header = header;
    return NORI_OK;
}

bool nw_header_lacks_only_magic(const uint8_t *data, size_t len)
{
    uint8_t header[NW_HEADER_LEN_MAX];
    struct nw_header ignored;

    len = len < sizeof header ? len : sizeof header;
    if (len < NW_HEADER_LEN)
        return false;
    memcpy(header, data, len);
    memcpy(header + AT_MAGIC, magic, MAGIC_LEN);
    return nw_header_decode(header, len, &ignored) == NORI_OK;
}
