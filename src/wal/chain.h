/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * chain.h: which segment files there are, and which of them are the log.
 *
 * Valid if and only if: walking back from the newest format-2 header along prev_salt, each header
 * (1) verifies, (2) has the id of its file's name, (3) has the log_id of the newest, (4) starts
 * where its predecessor ends, and (5) finds its predecessor unless no older file exists.
 */
#ifndef NW_CHAIN_H
#define NW_CHAIN_H

#include "format/header.h"
#include "format/names.h"
#include "wal/env.h"

#define NW_ID_MAX   (UINT64_MAX / 2) /* a log never gets there: a strange name or header does */
#define NW_OPEN_END UINT64_MAX       /* a segment without a successor: its end is not stated */

/* A segment as the folder and its header describe it. */
struct nw_link {
    uint64_t id;
    uint32_t format; /* 1 or 2 */
    bool is_live;
    bool is_spare; /* it lies in the file `spare`: its name did not come in time */
    uint64_t file_bytes;
    uint64_t begin;          /* offset of the first record: after the header */
    uint64_t end;            /* as its successor's header states it, or NW_OPEN_END */
    uint64_t start;          /* LSN of byte 0 */
    uint64_t first_sequence; /* of the first record; format 1: 0 until measured */
    struct nw_header header; /* format 2 */
};

/* UINT64_MAX: no successor states it. */
static inline uint64_t nw_link_end_lsn(const struct nw_link *link)
{
    return link->end == NW_OPEN_END ? UINT64_MAX : link->start + link->end;
}

struct nw_chain {
    const struct nori_allocator *allocator;
    struct nw_link *links; /* ascending ids */
    size_t count;
    size_t capacity;
    size_t first_live; /* index of the oldest live link; count if none */
    uint64_t id_max;   /* highest id seen in any name; only if has_ids */
    bool has_ids;
    uint64_t log_id; /* of the live format-2 links; 0 if there are none */
};

void nw_chain_init(struct nw_chain *chain, const struct nori_allocator *allocator);
void nw_chain_done(struct nw_chain *chain);

/*
 * Read the folder and all headers, and walk. If `spare` carries the header that continues the
 * chain, or begins a log in a folder without segments, it is the newest link. NORI_E_CORRUPT,
 * NORI_E_VERSION: *error says which file and why. A file that vanishes meanwhile is left out.
 * Unknown compat bits are NORI_E_VERSION if for_writing.
 */
int nw_chain_load(struct nw_chain *chain, const struct nw_env *env, bool for_writing,
                  struct nori_error *error);

/*
 * Does a file without a format-2 header begin with a record of format 1? Of its first bytes only as
 * many are asked as a header has: the longest head, and a part of the key. A record that goes on
 * beyond them is believed here, and judged by the scan.
 */
bool nw_chain_begins_with_format1(const uint8_t *data, size_t len);

/* Only the names: ids, ascending; nothing is read, nothing is live. */
int nw_chain_list(struct nw_chain *chain, const struct nw_env *env, struct nori_error *error);

/* The chain that the files with smaller ids make, as if there were no others. */
int nw_chain_load_below(struct nw_chain *chain, const struct nw_env *env, uint64_t segment_id,
                        struct nori_error *error);

/*
 * The same, when nothing but a roll can have happened since: look only for the successor of the
 * last link, under the next id or in `spare`. 1 if it was found and appended, else 0. Failures
 * count as not found. In format 1 nothing tells where its predecessor ends, and so where it
 * starts: the caller finds out.
 */
int nw_chain_extend(struct nw_chain *chain, const struct nw_env *env);

/* NORI_E_UNSUPPORTED if a log with this header is near the end of all numbers: a writer must not go
 * on behind it, for readers would refuse what it writes. */
int nw_header_check_room(const struct nw_header *header, const char *name,
                         struct nori_error *error);

/* How far the live headers tell that the log was durable: each when it was made. */
uint64_t nw_chain_watermark(const struct nw_chain *chain);

/* The last live link, or NULL. */
struct nw_link *nw_chain_last(const struct nw_chain *chain);

/* The live link after index i, or NULL; *ret_index (may be i's own variable) becomes its index. */
struct nw_link *nw_chain_next_live(const struct nw_chain *chain, size_t i, size_t *ret_index);

/* The live link with this salt (not 0), or NULL. */
struct nw_link *nw_chain_find_salt(const struct nw_chain *chain, uint64_t salt);

/* The file that holds a link. */
void nw_link_name(const struct nw_link *link, char target[NW_NAME_MAX]);

/* Open the file that holds a link and see that it is the very one. NORI_E_NOTFOUND: it was
 * dropped meanwhile. */
int nw_link_open(const struct nw_env *env, const struct nw_link *link, uint32_t flags,
                 struct nori_file **ret_file, struct nori_error *error);

/* The bytes of key and stored value that a record in this segment may have. */
uint64_t nw_link_record_limit(const struct nw_link *link, uint64_t configured);

#endif
