/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stage.c: the way of the bytes into the kernel. This is where D2 is kept.
 *
 * What. Bytes of records are copied into the staging buffer, checksummed there (the caller's memory
 * may change), and handed to the kernel with one write before the append returns: from then on they
 * outlive this process. A batch that is larger than the buffer goes in pieces. Only then is the new
 * end published, always between two batches, so that no reader and no sync ever sees half of one.
 *
 * Threads. Everything here happens under append_mutex. Publishing stores atomics that others read
 * without a lock.
 *
 * Failure. For want of space: the log goes on as if nothing had been tried. What the write left
 * behind the end is cut off by beginning a new segment before anything else is appended; until then
 * it cannot be taken for a record, since a failed write lacks at least the last byte of it. Any
 * other failure is final (D8).
 *
 * Not here. What the bytes are: append.c. When they become durable: sync.c.
 */
#include "base/crc32c.h"
#include "wal/log.h"

#include <string.h>

/*
 * A record that was refused must not come back (D9). What a failed write left lacks at least its
 * last byte; should that be the zero which stands there anyway, the record would be whole. So its
 * beginning is made unreadable, in a page that the write just touched. If even that fails, nothing
 * is worse.
 */
int nw_stage_spoil(struct nori_wal *wal)
{
    static const uint8_t no_record[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct nori_span span = {no_record, sizeof no_record};
    struct nori_file *file = wal->current->file;

    return file->ops->write(file, &span, 1, wal->offset);
}

/* Write the buffer at the current segment's `offset`, which moves behind it. */
int nw_stage_flush(struct nori_wal *wal, struct nori_error *error)
{
    struct nw_segment *segment = wal->current;
    struct nori_span span = {wal->stage.data, wal->stage_len};
    struct nori_position position = {segment->id, wal->offset};
    int rc = 0;

    nw_assert(wal->offset + wal->stage_len <= atomic_load(&segment->owned)); /* D9 */
    if (wal->stage_len > 0 && !NW_PLANT("ack-before-write"))
        rc = segment->file->ops->write(segment->file, &span, 1, wal->offset);
    if (rc >= 0)
        wal->offset += wal->stage_len;
    wal->stage_len = 0;
    wal->stage_summed_len = 0;
    if (rc >= 0)
        return NORI_OK;
    wal->must_roll = !NW_PLANT("append-behind-garbage");
    (void)nw_io_error(error, rc, position, "append: write %06llu.wal at %llu",
                      (unsigned long long)position.segment_id, (unsigned long long)position.offset);
    if (error->code == NORI_E_NOSPACE) {
        (void)nw_stage_spoil(wal);
        return NORI_E_NOSPACE;
    }
    return nw_log_fail(wal, error);
}

void nw_stage_begin_sum(struct nori_wal *wal)
{
    wal->stage_sum = 0;
    wal->stage_summed_len = wal->stage_len;
}

/* One pass over all pieces of a record: three passes over small ones would cost twice as much. */
uint32_t nw_stage_sum(struct nori_wal *wal)
{
    nw_assert(wal->stage_summed_len <= wal->stage_len);
    wal->stage_sum = nw_crc32c(wal->stage_sum, wal->stage.data + wal->stage_summed_len,
                               wal->stage_len - wal->stage_summed_len);
    wal->stage_summed_len = wal->stage_len;
    return wal->stage_sum;
}

int nw_stage_put(struct nori_wal *wal, const void *data, size_t len, struct nori_error *error)
{
    const uint8_t *source = data;

    while (len > 0) {
        size_t room = wal->stage.capacity - wal->stage_len;
        size_t piece = len < room ? len : room;
        uint8_t *target = wal->stage.data + wal->stage_len;

        if (room == 0) {
            int rc;

            (void)nw_stage_sum(wal); /* as long as the bytes are at hand */
            rc = nw_stage_flush(wal, error);
            if (rc < 0)
                return rc;
            continue;
        }
        memcpy(target, source, piece);
        wal->stage_len += piece;
        source += piece;
        len -= piece;
    }
    return NORI_OK;
}

/* Everything up to `offset` is in the kernel and whole. */
void nw_stage_publish(struct nori_wal *wal)
{
    uint64_t lsn = wal->current->start + wal->offset;
    struct nw_control_words *words = wal->control->words;

    nw_assert(wal->stage_len == 0);
    nw_assert(lsn >= atomic_load(&wal->written_lsn));
    atomic_store(&wal->written_lsn, lsn);
    atomic_store(&words->written, lsn);
    atomic_store(&words->published, lsn);
    nw_control_wake(wal->control);
}
