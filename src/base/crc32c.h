/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * crc32c.h: CRC-32C (Castagnoli, reflected, init and xorout all ones).
 * nw_crc32c(0, "123456789", 9) = e3069283.
 */
#ifndef NW_CRC32C_H
#define NW_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The checksum of what crc is the checksum of (0: nothing), followed by data. */
uint32_t nw_crc32c(uint32_t crc, const void *data, size_t len);

/* The same of source, which is copied to target on the way. It is the sum of what is in target
 * then, even if source changes meanwhile. They do not overlap; either may be NULL if len is 0. */
uint32_t nw_crc32c_copy(uint32_t crc, void *target, const void *source, size_t len);

/* "isa-l" or "table". */
const char *nw_crc32c_implementation(void);

#endif
