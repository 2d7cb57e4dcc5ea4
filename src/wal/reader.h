/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * reader.h: what the parts of a reader share. reader_open.c makes one and puts it where it begins,
 * reader_place.c moves it from segment to segment, reader.c has it read.
 */
#ifndef NW_READER_H
#define NW_READER_H

#include "format/compress.h"
#include "wal/chain.h"
#include "wal/cursor.h"
#include "wal/maps.h"
#include "wal/staged.h"

struct nori_reader {
    struct nw_env env; /* with the folder of `shared`, or one of its own */
    struct nw_shared_folder *shared;
    struct nori_reader_config config;
    uint64_t process_generation;
    struct nw_control *control; /* NULL: none is believed */
    struct nw_chain chain;
    uint32_t cut;          /* as of the chain */
    uint32_t history;      /* as of the chain */
    uint32_t history_here; /* when our place was last found on the chain */
    uint64_t durable_lsn;  /* known to be so since `cut` was; for NORI_VISIBLE_DURABLE */

    bool is_truncated; /* our place is gone */
    bool has_place;
    struct nw_link here;    /* a copy: it may have left the chain */
    struct nori_file *file; /* NULL while it reads what is lent */
    struct nw_map *map;     /* NULL: nothing is */
    uint64_t lent_end;      /* offset: behind it the file is needed */
    struct nw_cursor cursor;
    struct nw_staged staged; /* the stretch of `here` that came from the ring last */
    uint64_t staged_lsn;     /* where it ends */
    bool is_patched;         /* `file` reads as if it had that stretch */
    uint64_t sequence;       /* of the next record */
    uint64_t salt_asked_for; /* the chain was loaded anew for it */
    uint64_t marks_lsn;      /* what the marks of the last segment tell, if has_marks_lsn */
    bool has_marks_lsn;
    uint64_t end_lsn;          /* the log ends here, and nobody writes; UINT64_MAX: not known */
    uint64_t looked_from;      /* LSN of the bad bytes behind which marks were looked for */
    uint64_t looked_watermark; /* the highest that they told */
    bool is_lost;              /* the chain could not be loaded: nothing is read before it is */
    bool is_in_batch;          /* the last record returned goes on in the next */

    bool has_next; /* looked ahead by wait: next_rc and, if that is 0, next and next_position */
    int next_rc;
    struct nori_record next;
    struct nori_position next_position;

    struct nw_compressor *compressor;
    struct nw_buffer value;
    struct nori_error error;
};

static inline struct nori_position nw_reader_place(const struct nori_reader *reader)
{
    return (struct nori_position){reader->here.id, reader->cursor.offset};
}

static inline uint64_t nw_reader_lsn(const struct nori_reader *reader)
{
    return reader->here.start + reader->cursor.offset;
}

/* As nw_env_ask_writer. */
static inline int nw_reader_ask_writer(struct nori_reader *reader)
{
    return nw_env_ask_writer(&reader->env, &reader->error);
}

static inline bool nw_reader_shows_durable_only(const struct nori_reader *reader)
{
    return reader->config.visibility == NORI_VISIBLE_DURABLE;
}

/* Has the writer made another `control` than the one that is mapped? Then that one is let go, and
 * the chain is loaded anew by the next call that needs it. */
bool nw_reader_has_lost_control(struct nori_reader *reader);

static inline uint32_t nw_reader_current_cut(const struct nori_reader *reader)
{
    return reader->control ? atomic_load(&reader->control->words->cut) : 0;
}

static inline uint32_t nw_reader_current_history(const struct nori_reader *reader)
{
    return reader->control ? atomic_load(&reader->control->words->history) : 0;
}

/* ---- reader_place.c ---- */

/* The chain as it is now, and `cut` with it. */
int nw_reader_load_chain(struct nori_reader *reader);

/* In the chain as it was loaded: the live link with this id and salt, or NULL. */
struct nw_link *nw_reader_find_link(struct nori_reader *reader, const struct nw_link *link);

/* The live link that names `here` as its predecessor, or NULL. */
struct nw_link *nw_reader_find_successor(struct nori_reader *reader);

/* NORI_E_TRUNCATED, for good: whoever goes on must choose from where. */
int nw_reader_truncated(struct nori_reader *reader);

/* Load the chain and find our place in it. */
int nw_reader_relocate(struct nori_reader *reader);

/* The file has no record at our place, or not yet: 1 if the staging ring has, and will be read from
 * next. */
int nw_reader_ask_ring(struct nori_reader *reader);

/* Up to which LSN a writer has filled the file of `here`, or the ring did for this reader. */
uint64_t nw_reader_file_end(const struct nori_reader *reader);

/* Stand at the beginning of a link. */
int nw_reader_enter(struct nori_reader *reader, const struct nw_link *link);

/* 1 if the reader went on in the next segment, or in the first one; 0 if there is none. */
int nw_reader_enter_successor(struct nori_reader *reader);
int nw_reader_enter_first(struct nori_reader *reader);

/* Stand at the beginning of a segment that is lent. The reference is the reader's from now on. */
void nw_reader_enter_lent(struct nori_reader *reader, const struct nw_loan *loan);

/* What is lent has no answer: load the chain and go on at the same place in the file. */
int nw_reader_take_file(struct nori_reader *reader);

/* Leave the segment. */
void nw_reader_leave(struct nori_reader *reader);

/* ---- reader.c ---- */

/* How far this call may go: an LSN, and whether records below it are known to be whole. */
struct nw_reader_limit {
    uint64_t lsn;
    bool is_known;
};

int nw_reader_find_limit(struct nori_reader *reader, struct nw_reader_limit *ret_limit);

/* The next record: nori_reader_next without what a wait has looked at. */
int nw_reader_read(struct nori_reader *reader, struct nori_record *ret_record,
                   struct nori_position *ret_position);

/* ---- reader_open.c ---- */

void nw_reader_free(struct nori_reader *reader);

#endif
