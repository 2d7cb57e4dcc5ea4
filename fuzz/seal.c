/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* seal.c: make checksums right. */
#include "seal.h"

#include "../tests/api/encode.h"

#include <string.h>

#define CRC_LEN      4u
#define CRC_OF_ZEROS UINT32_C(0x6064a37a)

size_t seal_record_len(const uint8_t *bytes, size_t len, uint32_t format)
{
    struct nw_scan scan = nw_scan_over(bytes, len);
    uint64_t key_len = nw_scan_varint(&scan);
    uint64_t stored_len = nw_scan_varint(&scan);
    uint8_t flags = nw_scan_u8(&scan);

    if (flags & RAW_TTL)
        (void)nw_scan_varint(&scan);
    for (int i = 0; i < 2 && (flags & RAW_VERSION); i++)
        (void)nw_scan_varint(&scan);
    if (format == 2 && (flags & RAW_TIME))
        (void)nw_scan_varint(&scan);
    (void)nw_scan_bytes(&scan, key_len);
    (void)nw_scan_bytes(&scan, stored_len);
    (void)nw_scan_bytes(&scan, CRC_LEN);
    return scan.is_short || scan.is_bad ? 0 : (size_t)(scan.at - bytes);
}

static uint32_t crc_of(const uint8_t *bytes, size_t len, const struct nw_record_place *place)
{
    uint32_t mask = (uint32_t)slow_splitmix64(place->salt + place->offset);

    if (mask == CRC_OF_ZEROS)
        mask ^= 1;
    return slow_crc32c(bytes, len) ^ (place->format == 2 ? mask : 0);
}

size_t seal_record(uint8_t *bytes, size_t len, const struct nw_record_place *place)
{
    size_t record_len = seal_record_len(bytes, len, place->format);

    if (record_len > 0)
        nw_put_u32(bytes + record_len - CRC_LEN, crc_of(bytes, record_len - CRC_LEN, place));
    return record_len;
}

bool seal_is_good(const uint8_t *bytes, size_t len, const struct nw_record_place *place)
{
    return len >= CRC_LEN &&
           nw_get_u32(bytes + len - CRC_LEN) == crc_of(bytes, len - CRC_LEN, place);
}

bool seal_has_header(const uint8_t *bytes, size_t len)
{
    static const uint8_t magic[8] = {0xff, 'N', 'O', 'R', 'I', 'W', 'A', 'L'};

    return len >= SEAL_HEADER_LEN && memcmp(bytes, magic, sizeof magic) == 0;
}

void seal_header(uint8_t *bytes, size_t len)
{
    size_t header_len = (size_t)bytes[10] | (size_t)bytes[11] << 8;

    if (header_len >= SEAL_HEADER_LEN && header_len <= len)
        nw_put_u32(bytes + header_len - CRC_LEN, slow_crc32c(bytes, header_len - CRC_LEN));
}
