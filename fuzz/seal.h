/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * seal.h: make checksums right.
 *
 * Hardly any random bytes have a right checksum, so a fuzzer alone would never get behind one.
 * Checksums are those of tests/api/encode.h, written down a second time from docs/format.md.
 */
#ifndef FUZZ_SEAL_H
#define FUZZ_SEAL_H

#include "format/record.h"

/* Where the record that these bytes begin with ends, whatever its checksum; 0 if it has no room. */
size_t seal_record_len(const uint8_t *bytes, size_t len, uint32_t format);

/* Put its checksum right. Its length, or 0. */
size_t seal_record(uint8_t *bytes, size_t len, const struct nw_record_place *place);

/* Does the checksum at the end of a record of len bytes hold? */
bool seal_is_good(const uint8_t *bytes, size_t len, const struct nw_record_place *place);

/* The header that these bytes begin with. */
#define SEAL_HEADER_LEN 128u
bool seal_has_header(const uint8_t *bytes, size_t len); /* its magic, and room */
void seal_header(uint8_t *bytes, size_t len);

#endif
