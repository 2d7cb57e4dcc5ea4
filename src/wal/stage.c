/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stage.c: the way of the bytes from the caller to the kernel. This is where D2 is kept.
 *
 * What. The bytes of an append are copied into the staging ring, each to its LSN modulo the ring's
 * length, and checksummed there (the caller's memory may change). The ring is a shared mapping of
 * `control`, so that what is in it outlives the process, and the append may return. Behind it the
 * bytes are written to their segments in pieces, mostly by the thread of writer.c.
 *
 *      oldest in the ring                                      next byte
 *              |    in the ring, not written     |  being copied   |
 *   -----------+---------------------------------+-----------------+-----
 *           written                          published    current->start + offset
 *
 * Positions move from the end of a batch to the end of a batch, so no reader, no sync and no
 * recovery ever meets half of one. A segment's header is no part of this: roll.c writes it to the
 * file before it is published, and writing steps over it.
 *
 * Direct. An append larger than a quarter of the ring is written before it returns, with the ring
 * as a mere buffer; so is every append if there is no ring in shared memory.
 *
 * Threads. Copying belongs to the append lock, writing to write_mutex, which may be taken under it.
 * A place of the ring is used again only after `written` has passed what it held.
 *
 * Failure. An append that goes through the ring cannot fail once it has room. If what was accepted
 * cannot be written, the log has failed (D8); the ring still has it for the next recovery. A direct
 * append that fails for want of space leaves the log as if nothing had been tried: what it left
 * behind the end is made unreadable, durably, before it returns (else the log has failed), and cut
 * off by beginning a new segment before anything else is appended.
 *
 * Not here. What the bytes are: append.c. When they become durable: sync.c.
 */
#include "base/crc32c.h"
#include "base/probe.h"
#include "wal/log.h"

#include <string.h>

/* Room in the ring is given back in pieces of a quarter of it: the fewer and longer, the less does
 * the kernel need for each byte. */
#define PIECES 4

/* Under `always`, so many zeros are written behind the end. */
#define ZEROS_AHEAD  ((uint64_t)128 << 10)

#define ROOM_WAIT_NS ((uint64_t)1000000) /* then a failure is looked for, too */

NW_PROBE_HERE(write)

static uint64_t next_lsn(const struct nori_wal *wal)
{
    return wal->current->start + wal->offset;
}

/*
 * Where the append under way has the byte with its next LSN. A direct one uses the ring as a mere
 * buffer, and half around from where its bytes would verify: what is refused must not be found
 * there, neither now nor when a power cut brings an older page back (D9).
 */
static uint64_t next_place(const struct nori_wal *wal)
{
    return next_lsn(wal) + (wal->is_direct ? wal->ring_len / 2 : 0);
}

/* The ring's bytes [from, to) as one or two spans; their number. */
static size_t spans_of(const struct nori_wal *wal, uint64_t from, uint64_t to,
                       struct nori_span spans[2])
{
    size_t until_wrap = (size_t)(wal->ring_len - (from & (wal->ring_len - 1)));
    size_t len = (size_t)(to - from);

    spans[0] = (struct nori_span){wal->ring + (from & (wal->ring_len - 1)),
                                  len < until_wrap ? len : until_wrap};
    spans[1] = (struct nori_span){wal->ring, len - spans[0].len};
    return spans[1].len > 0 ? 2 : 1;
}

/* ---- writing what is published ---- */

/* Where a batch ended last within a slot of the ring, so that a piece may end there. */
static uint64_t *end_slot(struct nori_wal *wal, uint64_t lsn)
{
    return &wal->batch_ends[(lsn / (wal->ring_len / NW_RING_SLOTS)) % NW_RING_SLOTS];
}

static void note_batch_end(struct nori_wal *wal, uint64_t lsn)
{
    __atomic_store_n(end_slot(wal, lsn - 1), lsn, __ATOMIC_RELAXED);
}

/* The end of a batch about one piece behind `from`, at most `limit`, which is one itself. */
static uint64_t piece_end(struct nori_wal *wal, uint64_t from, uint64_t limit)
{
    uint64_t slot_len = wal->ring_len / NW_RING_SLOTS;
    uint64_t lsn = from + wal->ring_len / PIECES;

    /* A slot that published has left behind does not change before its bytes are written. */
    if (NW_PLANT("piece-ends-inside-batch") && lsn < limit)
        return lsn;
    for (; lsn + slot_len < limit; lsn += slot_len) {
        uint64_t end = __atomic_load_n(end_slot(wal, lsn), __ATOMIC_RELAXED);

        if (end > from && end <= limit) /* else it is of the lap before: a batch covers the slot */
            return end;
    }
    return limit;
}

static int write_failed(struct nori_wal *wal, int rc, struct nori_position position)
{
    struct nori_error error = NORI_ERROR_INIT;

    (void)nw_io_error(&error, rc, position, "write %06llu.wal at %llu",
                      (unsigned long long)position.segment_id, (unsigned long long)position.offset);
    return nw_log_fail(wal, &error);
}

static void set_written(struct nori_wal *wal, uint64_t lsn)
{
    uint64_t wanted;

    /* Readers first: once an append sees the other, it may overwrite what they look for. */
    atomic_store(&wal->control->words->written, lsn);
    atomic_store(&wal->written_lsn, lsn);
    wanted = atomic_load(&wal->room_wanted_lsn);
    if (wanted == 0 || lsn < wanted)
        return;
    atomic_store(&wal->room_wanted_lsn, 0);
    __atomic_fetch_add(&wal->room_word, 1, __ATOMIC_SEQ_CST);
    wal->env.vfs->word_wake(wal->env.vfs->context, &wal->room_word);
}

/*
 * Space that is only reserved costs a file system more at a sync than blocks that were written
 * before: it must note in its journal, and flush once more, what now has content. Where appends
 * wait for each sync, zeros are written ahead, so that most syncs overwrite. They go where zeros
 * stand already, and nobody else writes there: who appends directly waits for write_mutex's holder
 * first. write_mutex held; the number of spans, of which there is room for two more.
 */
static size_t add_zeros(const struct nori_wal *wal, struct nw_segment *segment, uint64_t end,
                        struct nori_span *spans, size_t count)
{
    uint64_t until = nw_min_u64(atomic_load(&segment->owned), end + ZEROS_AHEAD);

    if (wal->config.fsync_policy != NORI_FSYNC_ALWAYS ||
        wal->config.preallocate == NORI_PREALLOCATE_ZERO || end <= segment->zeroed)
        return count;
    for (; end < until; end += spans[count - 1].len)
        spans[count++] =
            (struct nori_span){nw_zeros, (size_t)nw_min_u64(until - end, NW_ZEROS_LEN)};
    segment->zeroed = until;
    return count;
}

/* `bytes` of the log, and what else is in the spans, into the file at this position. */
static int write_spans(struct nori_wal *wal, struct nori_file *file, struct nori_position position,
                       const struct nori_span *spans, size_t count, uint64_t bytes)
{
    uint64_t begun_ns = nw_now_ns(wal);
    bool is_watched = nw_watch_begin(wal, NW_STALL_WRITE, begun_ns);
    int rc = file->ops->write(file, spans, count, position.offset);
    uint64_t ns = nw_now_ns(wal) - begun_ns;

    nw_watch_end(wal, NW_STALL_WRITE, is_watched);
    nw_stats_stage(wal, NW_STAGE_WRITE, ns);
    NW_PROBE(write, wal->name, position.segment_id, position.offset, bytes, ns);
    return rc;
}

/* Write one piece of what is published, or step over a header. write_mutex held. */
static int write_piece(struct nori_wal *wal)
{
    /* First: a direct append moves `written` and then this, so what lies between the two is never
     * what it wrote itself. */
    uint64_t limit = atomic_load(&wal->published_lsn);
    uint64_t from = atomic_load(&wal->written_lsn);
    struct nori_span spans[2 + ZEROS_AHEAD / NW_ZEROS_LEN];
    struct nw_segment *segment;
    struct nori_position position;
    struct nori_file *file;
    bool is_current;
    uint64_t to;
    size_t count;
    int rc;

    if (from >= limit)
        return NORI_OK;
    nw_lock(wal, wal->mutex);
    segment = nw_log_segment_at(wal, from);
    is_current = segment->end == NW_OPEN_END;
    if (!is_current)
        limit = nw_min_u64(limit, segment->start + segment->end);
    file = segment->file;
    nw_unlock(wal, wal->mutex);
    to = segment->start + segment->begin;
    if (from < to) { /* the header is in the file already */
        set_written(wal, to);
        return NORI_OK;
    }
    to = piece_end(wal, from, limit);
    if (NW_PLANT("written-before-write"))
        set_written(wal, to);
    position = (struct nori_position){segment->id, from - segment->start};
    count = spans_of(wal, from, to, spans);
    if (is_current) /* else it is trimmed to its end, soon */
        count = add_zeros(wal, segment, to - segment->start, spans, count);
    rc = write_spans(wal, file, position, spans, count, to - from);
    if (rc < 0)
        return write_failed(wal, rc, position);
    set_written(wal, to);
    return NORI_OK;
}

int nw_stage_write_to(struct nori_wal *wal, uint64_t target, struct nori_error *error)
{
    int rc = NORI_OK;

    while (rc >= 0 && atomic_load(&wal->written_lsn) < target) {
        if (atomic_load(&wal->has_failed))
            return nw_log_check(wal, error);
        nw_lock(wal, wal->write_mutex);
        rc = write_piece(wal);
        nw_unlock(wal, wal->write_mutex);
    }
    if (rc < 0 && error)
        nw_error_copy(error, &wal->failure);
    return rc;
}

/* ---- copying ---- */

/* Wait until the writer thread has come to `target`, and rather until half of the ring is free: to
 * sleep and be woken for each piece would cost more than to write it. */
static int wait_for_writer(struct nori_wal *wal, uint64_t target, struct nori_error *error)
{
    const struct nori_vfs *vfs = wal->env.vfs;
    uint64_t rather = nw_min_u64(target + wal->ring_len / 2, atomic_load(&wal->published_lsn));

    while (atomic_load(&wal->written_lsn) < target) {
        uint32_t word = __atomic_load_n(&wal->room_word, __ATOMIC_SEQ_CST);

        if (atomic_load(&wal->has_failed))
            return nw_log_check(wal, error);
        atomic_store(&wal->room_wanted_lsn, rather); /* first; then look once more */
        if (atomic_load(&wal->written_lsn) < rather)
            (void)vfs->word_wait(vfs->context, &wal->room_word, word, ROOM_WAIT_NS);
    }
    return NORI_OK;
}

/* Wait until the ring is written up to `target`; out of the way of an append that need not. append
 * lock held. */
__attribute__((noinline)) static int wait_for_room(struct nori_wal *wal, uint64_t target,
                                                   struct nori_error *error)
{
    uint64_t begun_ns = nw_now_ns(wal);
    bool is_watched = nw_watch_begin(wal, NW_STALL_RING, begun_ns);
    int rc = wal->writer_thread ? wait_for_writer(wal, target, error)
                                : nw_stage_write_to(wal, target, error);

    nw_watch_end(wal, NW_STALL_RING, is_watched);
    wal->free_until = atomic_load(&wal->written_lsn) + wal->ring_len;
    nw_stats_waited(wal, &wal->control->words->stats.room_waits, begun_ns);
    return rc;
}

/* A direct append writes what is before it. append lock held. */
__attribute__((noinline)) static int empty_ring(struct nori_wal *wal, struct nori_error *error)
{
    uint64_t target = next_lsn(wal);
    bool is_watched;
    int rc;

    if (atomic_load(&wal->written_lsn) >= target)
        return NORI_OK;
    is_watched = nw_watch_begin(wal, NW_STALL_RING, nw_now_ns(wal));
    rc = nw_stage_write_to(wal, target, error);
    nw_watch_end(wal, NW_STALL_RING, is_watched);
    return rc;
}

int nw_stage_begin(struct nori_wal *wal, uint64_t bytes, struct nori_error *error)
{
    uint64_t lsn = next_lsn(wal);
    int rc = NORI_OK;

    nw_assert(wal->offset + bytes <= atomic_load(&wal->current->owned)); /* D9 */
    wal->is_direct = !wal->has_shared_ring || bytes > wal->ring_len / 4;
    if (!wal->is_direct) {
        if (lsn + bytes > wal->free_until)
            wal->free_until = atomic_load(&wal->written_lsn) + wal->ring_len;
        if (lsn + bytes > wal->free_until)
            rc = wait_for_room(wal, lsn + bytes - wal->ring_len, error);
        /* what is not written yet is not overwritten */
        nw_assert(rc < 0 || lsn + bytes - atomic_load(&wal->written_lsn) <= wal->ring_len);
        return rc;
    }
    wal->flushed_lsn = lsn;
    wal->free_until = lsn + wal->ring_len;
    return empty_ring(wal, error);
}

/*
 * A record that was refused must not come back (D9), neither now nor after a power cut. Nobody
 * knows how much a failed write has left: all of the record, or the first ones of a batch of format
 * 1, which does not say that it goes on. So the beginning is made unreadable, durably. Mostly
 * nothing was left: no record begins with so many zeros.
 */
static int spoil(struct nori_wal *wal, uint64_t offset)
{
    struct nori_file *file = wal->current->file;
    uint8_t bytes[NW_RECORD_LEN_MIN];
    struct nori_span span = {bytes, sizeof bytes};
    size_t len = 0;
    int rc = file->ops->read(file, bytes, sizeof bytes, offset, &len);

    if (rc >= 0 && nw_nonzero_len(bytes, len) == 0)
        return NORI_OK;
    memset(bytes, 0xff, sizeof bytes);
    rc = file->ops->write(file, &span, 1, offset);
    return rc < 0 ? rc : file->ops->sync(file);
}

/* A write failed for want of space: as if nothing had been tried, or the log has failed. */
static int refuse(struct nori_wal *wal, struct nori_error *error)
{
    struct nori_position end = {wal->current->id,
                                atomic_load(&wal->published_lsn) - wal->current->start};
    int rc = spoil(wal, end.offset);

    if (rc >= 0)
        return NORI_E_NOSPACE;
    (void)nw_io_error(error, rc, end, "append: take back what a write left in %06llu.wal at %llu",
                      (unsigned long long)end.segment_id, (unsigned long long)end.offset);
    return nw_log_fail(wal, error);
}

/* A direct append: what the ring has of it goes to the file. */
static int flush(struct nori_wal *wal, struct nori_error *error)
{
    struct nw_segment *segment = wal->current;
    uint64_t offset = wal->flushed_lsn - segment->start;
    struct nori_position position = {segment->id, offset};
    uint64_t len = next_lsn(wal) - wal->flushed_lsn;
    uint64_t place = next_place(wal) - len;
    struct nori_span spans[2];
    int rc = 0;

    if (len > 0 && !NW_PLANT("ack-before-write"))
        rc = write_spans(wal, segment->file, position, spans,
                         spans_of(wal, place, next_place(wal), spans), len);
    if (rc >= 0) {
        wal->flushed_lsn = next_lsn(wal);
        wal->free_until = wal->flushed_lsn + wal->ring_len;
        return NORI_OK;
    }
    wal->must_roll = !NW_PLANT("append-behind-garbage");
    wal->free_until = 0; /* the pieces that were flushed are taken back: asked anew */
    (void)nw_io_error(error, rc, position, "append: write %06llu.wal at %llu",
                      (unsigned long long)position.segment_id, (unsigned long long)position.offset);
    return error->code == NORI_E_NOSPACE ? refuse(wal, error) : nw_log_fail(wal, error);
}

void nw_stage_begin_sum(struct nori_wal *wal)
{
    wal->sum = 0;
}

uint32_t nw_stage_sum(const struct nori_wal *wal)
{
    return wal->sum;
}

int nw_stage_put(struct nori_wal *wal, const void *data, size_t len, struct nori_error *error)
{
    const uint8_t *source = data;

    while (len > 0) {
        size_t at = (size_t)(next_place(wal) & (wal->ring_len - 1));
        uint64_t room = nw_min_u64(wal->free_until - next_lsn(wal), wal->ring_len - at);
        size_t piece = len < room ? len : (size_t)room;

        if (room == 0) {
            int rc;

            nw_assert(wal->is_direct);
            rc = flush(wal, error);
            if (rc < 0)
                return rc;
            continue;
        }
        wal->sum = nw_crc32c_copy(wal->sum, wal->ring + at, source, piece);
        wal->offset += piece;
        source += piece;
        len -= piece;
    }
    return NORI_OK;
}

/* Everything before `offset` is whole, and in the ring or in the kernel. */
static void publish(struct nori_wal *wal)
{
    uint64_t lsn = next_lsn(wal);
    struct nw_control_words *words = wal->control->words;

    nw_assert(lsn >= atomic_load_explicit(&wal->published_lsn, memory_order_relaxed));
    if (wal->is_direct && wal->flushed_lsn == lsn)
        set_written(wal, lsn); /* first: nobody else has anything to write */
    note_batch_end(wal, lsn);
    /* The second store orders both before the loads of whoever may sleep: one locked instruction
     * instead of two. */
    atomic_store_explicit(&wal->published_lsn, lsn, memory_order_release);
    atomic_store(&words->published, lsn);
    nw_control_wake(wal->control);
    nw_writer_check(wal);
}

int nw_stage_end(struct nori_wal *wal, struct nori_error *error)
{
    int rc = wal->is_direct ? flush(wal, error) : NORI_OK;

    if (rc < 0)
        return rc;
    publish(wal);
    return NORI_OK;
}

void nw_stage_step_over_header(struct nori_wal *wal)
{
    wal->is_direct = !wal->has_shared_ring; /* then nobody else steps over it */
    wal->flushed_lsn = next_lsn(wal);
    publish(wal);
}
