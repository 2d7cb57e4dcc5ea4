/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * control.h: what a writer shares with readers in any process, and leaves for the next recovery: a
 * page of words and the staging ring.
 *
 * Both live in the file `control`, mapped shared, so that they outlive the process; where that is
 * impossible the words live in memory, only readers of this process see them, and there is no ring.
 *
 * Missing, foreign, copied or hostile, the words cost speed, never a record: a watermark counts
 * only with the salt of a segment on the live chain, in the very file it was stored in. What the
 * ring holds is believed in any file, since each record proves itself at its place.
 */
#ifndef NW_CONTROL_H
#define NW_CONTROL_H

#include "wal/env.h"
#include "wal/stats.h"

#include <stdatomic.h>

#define NW_CONTROL_LEN   4096
#define NW_CONTROL_STATS 1024 /* where the numbers of stats.h are */

/* The file's layout, native byte order: `version` read by a machine of the other order is
 * another version. */
struct nw_control_words {
    uint8_t magic[8];
    uint32_t version;
    uint32_t len;
    uint64_t log_id;
    uint64_t identity; /* of this very file: a copy elsewhere is not believed */
    uint64_t birth_ns;
    uint64_t ring_len; /* bytes of the ring, which follows the page; a power of two, or 0 */
    uint8_t pad0[16];

    /* LSNs, at ends of batches. */
    _Atomic uint64_t published; /* appended; what returned lies before it */
    _Atomic uint64_t written;   /* in its segment, in the kernel; from here on the ring has it */
    _Atomic uint64_t oldest;    /* start of the oldest segment */

    /* Format 1: where a segment that is there starts, which nothing in its file tells. Two slots:
     * the writer fills the one that place_count does not name, then counts. */
    _Atomic uint64_t place_count; /* 0: none; the newest is places[place_count % 2] */
    struct {
        _Atomic uint64_t id;
        _Atomic uint64_t start;
    } places[2];

    /* The watermark: LSN stored first, salt of its segment second. */
    _Atomic uint64_t durable;
    _Atomic uint64_t durable_salt;
    _Atomic uint64_t durable_check; /* of both: what is torn or garbage is not believed */
    uint8_t pad2[40];

    /* Where the last writer closed; believed only if it is the end found. */
    _Atomic uint64_t clean_salt;
    _Atomic uint64_t clean;
    uint8_t pad3[48];

    /* counts; readers wait on it. Plain for the seam; only __atomic calls touch it */
    uint32_t news;
    /* a reader sleeps on `news`: set by it, cleared by the writer that wakes it */
    _Atomic uint32_t is_awaited;
    /* raised by every open, by each life's first segment, and by every truncation */
    _Atomic uint32_t cut;
    _Atomic uint32_t history; /* another one whenever what was published no longer counts */
    uint8_t pad4[512 - 256 - 16];

    /* What was measured of the disk (advice.c). */
    struct nw_advice_words {
        _Atomic uint64_t preallocate;
        _Atomic uint64_t device; /* that it was measured on */
        _Atomic uint64_t measured_ms;
        _Atomic uint64_t growing_ns;
        _Atomic uint64_t reserved_ns;
        _Atomic uint64_t zeroed_ns;
        _Atomic uint64_t check; /* of all of it: what is torn or garbage is not believed */
        uint64_t pad;
    } advice;
    uint8_t pad5[NW_CONTROL_STATS - 512 - 64];

    struct nw_stats stats; /* to be shown, never to go by */
    uint8_t pad6[NW_CONTROL_LEN - NW_CONTROL_STATS - sizeof(struct nw_stats)];
};
NW_STATIC_ASSERT(sizeof(struct nw_control_words) == NW_CONTROL_LEN, "layout of control");
NW_STATIC_ASSERT(offsetof(struct nw_control_words, published) == 64, "layout of control");
NW_STATIC_ASSERT(offsetof(struct nw_control_words, durable) == 128, "layout of control");
NW_STATIC_ASSERT(offsetof(struct nw_control_words, clean_salt) == 192, "layout of control");
NW_STATIC_ASSERT(offsetof(struct nw_control_words, news) == 256, "layout of control");
NW_STATIC_ASSERT(offsetof(struct nw_control_words, advice) == 512, "layout of control");
NW_STATIC_ASSERT(offsetof(struct nw_control_words, stats) == NW_CONTROL_STATS, "layout of control");

/* Shared by a log and its readers in the process. */
struct nw_control {
    const struct nori_vfs *vfs;
    const struct nori_allocator *allocator;
    _Atomic uint32_t ref_count;
    struct nw_control_words *words; /* mapped, or memory */
    /* The staging ring: the byte with LSN n lies at n modulo ring_len. NULL, 0: there is none. */
    uint8_t *ring;
    size_t ring_len;
    struct nori_file *file; /* NULL: in memory */
    bool is_writable;
    bool is_in_place;   /* the words were stored in this very file: it is not a copy */
    bool has_unwritten; /* when it was opened, its ring had what no segment has */
};

/* A ring is of such a size: at least one page, and a power of two. */
#define NW_RING_LEN_MIN ((size_t)4096)
#define NW_RING_LEN_MAX ((size_t)1 << 30)

/*
 * Look at the folder's control file. *ret_control = NULL if there is none that this version reads
 * and this system maps, or only a copy. for_writing: it will be stored to, and the caller has the
 * writer's lock: one that shares its blocks with a copy is written anew, and one that cannot be
 * opened for writing is an error.
 */
int nw_control_open(const struct nw_env *env, bool for_writing, struct nw_control **ret_control,
                    struct nori_error *error);

/* The same, but also a copy (is_in_place tells): only its ring counts. */
int nw_control_open_anywhere(const struct nw_env *env, bool for_writing,
                             struct nw_control **ret_control, struct nori_error *error);

/* A copy of the page with its numbers, for show, without mapping it: 1, or 0 if there is none in
 * this very file that this version reads and we may. */
int nw_control_copy(const struct nw_env *env, struct nw_control_words *ret_words,
                    struct nori_error *error);

/* May the folder's control, believed or not, be of another log than this one? It says so, or it
 * cannot be read. */
bool nw_control_is_foreign(const struct nw_env *env, uint64_t log_id);

/*
 * Make the folder's control anew, with a ring of ring_len bytes: another file, so that whoever maps
 * the older one is not disturbed. In memory, without a ring, if it cannot be in a file, or
 * must_keep_file: its name is taken by what must not be lost. Nobody believes it before it is
 * announced.
 */
int nw_control_create(const struct nw_env *env, uint32_t file_mode, uint64_t log_id,
                      size_t ring_len, bool must_keep_file, struct nw_control **ret_control,
                      struct nori_error *error);

/* Its words are set, and count from now on. */
void nw_control_announce(struct nw_control *control);

/*
 * Give it a ring of another length, in the same file, which never gets shorter: others map it. What
 * the ring had is lost. If there is no space, it keeps the ring it has, or none. True if it has
 * another one now.
 */
bool nw_control_resize(struct nw_control *control, size_t ring_len);

/* False once a writer has resized it: to be opened again. `cut` is raised then. */
bool nw_control_is_current(const struct nw_control *control);

struct nw_control *nw_control_ref(struct nw_control *control);
void nw_control_unref(struct nw_control *control); /* NULL is a no-op */

/* The watermark as it is stored, whole or not. */
struct nw_control_durable {
    uint64_t lsn;
    uint64_t salt;
    uint64_t check;
};
struct nw_control_durable nw_control_durable(const struct nw_control *control);
void nw_control_set_durable(struct nw_control *control, uint64_t lsn, uint64_t salt);

/* Its words reach the disk, if they are in a file. A code of the seam. */
int nw_control_sync(const struct nw_control *control);
uint64_t nw_control_check(uint64_t lsn, uint64_t salt);

/* Format 1: tell readers the LSN of a live segment's first byte, so that they count as the writer
 * does although older segments were dropped. */
void nw_control_set_place(struct nw_control *control, uint64_t id, uint64_t start);
bool nw_control_place(const struct nw_control *control, uint64_t *ret_id, uint64_t *ret_start);

/* Tell readers that there is news. No system call unless one of them sleeps. */
void nw_control_wake(struct nw_control *control);

/* Sleep until there is news since `news` was read, or timeout_ns is over. Returns soon where
 * words cannot be shared. */
void nw_control_wait(struct nw_control *control, uint32_t news, uint64_t timeout_ns);

#endif
