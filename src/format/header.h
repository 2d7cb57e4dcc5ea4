/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* header.h: the 128 bytes that open a format-2 segment. */
#ifndef NW_HEADER_H
#define NW_HEADER_H

#include <nori/error.h>
#include <stdbool.h>

/* A log never gets to such an LSN or sequence number. */
#define NW_NUMBER_MAX      ((uint64_t)1 << 61)

#define NW_HEADER_LEN      128  /* written */
#define NW_HEADER_LEN_MAX  4096 /* read: a newer version's header_len may be larger, at most this */
#define NW_HEADER_VERSION  2
#define NW_NO_SEGMENT      UINT64_MAX /* prev_id of the first segment of a log */

#define NW_COMPAT_RECYCLED 0x01u /* older bytes may follow the end */
#define NW_COMPAT_KNOWN    NW_COMPAT_RECYCLED
#define NW_INCOMPAT_KNOWN  0u

struct nw_header {
    uint16_t header_len; /* set by decode; encode writes NW_HEADER_LEN */
    uint32_t incompat;
    uint32_t compat;
    uint32_t node_id;
    uint64_t segment_id;
    uint64_t base_sequence;
    uint64_t log_id;
    uint64_t salt;
    uint64_t created_ms;
    uint64_t start;     /* LSN of byte 0 */
    uint64_t prev_salt; /* 0: none, or format 1 */
    uint64_t max_record;
    uint64_t prev_id;  /* NW_NO_SEGMENT: none */
    uint64_t prev_end; /* 0: none */
    uint64_t durable_lsn;
};

void nw_header_encode(uint8_t target[NW_HEADER_LEN], const struct nw_header *header);

/* What nw_header_decode says besides 0. */
#define NW_HEADER_NONE 2 /* no magic: not a format-2 header (maybe format 1, zeros, or nothing) */
#define NW_HEADER_BAD  3 /* the magic is there, but another field is wrong or the bytes too few */

/*
 * Decode the header at the beginning of data; give it up to NW_HEADER_LEN_MAX bytes. Checks, in
 * this order: magic; version (0: BAD, it was cut off; another one: NORI_E_VERSION); header_len (at
 * least NW_HEADER_LEN, at most NW_HEADER_LEN_MAX and len, else BAD); checksum in the last four
 * bytes of header_len (else BAD); unknown incompat bits (NORI_E_VERSION); reserved bytes zero,
 * salt and log_id not zero, and durable_lsn not above start (else BAD).
 * Unknown compat bits are the caller's to judge.
 */
int nw_header_decode(const uint8_t *data, size_t len, struct nw_header *ret_header);

/* Would data begin with a good header if its magic were put right? Then it is a damaged header,
 * and nothing else: no other file has that checksum there. For data that nw_header_decode calls
 * NONE. */
bool nw_header_lacks_only_magic(const uint8_t *data, size_t len);

#endif
