/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * format1.c: beginning a segment of format 1, for exchange with the Rust crate.
 *
 * What. There is no header: nothing states where the predecessor ends, and its file tells only that
 * it was complete once, because it has a successor. So the order is stricter than in format 2. All
 * of the predecessor is durable, and nothing but zeros lies behind its last record, before its
 * successor has a name; and it has that name durably before its first record is written. A crash
 * between two of these steps leaves a torn tail that is there still, or an empty newest segment.
 *
 * Tails. What a torn or failed write left behind the end is cut off. Not while a reader maps the
 * file, or another name (a backup) leads to it: then those bytes are overwritten with zeros.
 *
 * Waiting. An append that begins a segment waits for these syncs, under every policy.
 *
 * Failure. Want of space changes nothing that counts; the next append tries again. Any other
 * failure to write, cut, rename or sync is final (D8).
 *
 * Not here. What the records are: append.c. The rest of beginning a segment: roll.c.
 */
#include "format/names.h"
#include "wal/log.h"

#define CHUNK_LEN ((size_t)4096) /* a block: one that holds a byte that is not zero is allocated */

static int begin_failed(struct nori_wal *wal, int rc, uint64_t segment_id, const char *what,
                        struct nori_error *error)
{
    (void)nw_io_error(error, rc, (struct nori_position){segment_id, 0}, "append: %s segment %llu",
                      what, (unsigned long long)segment_id);
    return error->code == NORI_E_NOSPACE ? NORI_E_NOSPACE : nw_log_fail(wal, error);
}

/* D8: for want of space, too, a failed sync is final. */
static int sync_result(int rc)
{
    return rc < 0 ? NORI_VFS_ERROR(NORI_E_IO, NORI_VFS_ERRNO(rc)) : rc;
}

/* Overwrite what is not zero behind `end`. */
static int wipe(struct nori_file *file, uint64_t end)
{
    uint8_t chunk[CHUNK_LEN];

    for (;;) {
        size_t want = CHUNK_LEN - (size_t)(end % CHUNK_LEN);
        struct nori_span span = {nw_zeros, 0};
        int rc = file->ops->read(file, chunk, want, end, &span.len);

        if (rc >= 0 && nw_nonzero_len(chunk, span.len) > 0)
            rc = file->ops->write(file, &span, 1, end);
        if (rc < 0 || span.len < want)
            return rc;
        end += want;
    }
}

/* May the file become shorter? Then its lock is ours. */
static bool may_cut(struct nori_file *file)
{
    struct nori_file_info info = {0};

    if (file->ops->lock(file, NORI_LOCK_EXCLUSIVE) < 0)
        return false;
    if (file->ops->stat(file, &info) >= 0 && info.link_count == 1)
        return true;
    (void)file->ops->lock(file, NORI_LOCK_NONE);
    return false;
}

static int cut_tail(struct nori_wal *wal, const struct nw_segment *segment, uint64_t end,
                    struct nori_error *error)
{
    struct nori_file *file = segment->file;
    char name[NW_NAME_MAX];
    int rc = 0;

    nw_name_format(name, segment->id);
    if (!file)
        rc = wal->env.folder->ops->open_file(wal->env.folder, name, NORI_FILE_WRITE, 0, &file);
    if (rc < 0)
        return nw_io_error(error, rc, (struct nori_position){segment->id, end}, "append: open %s",
                           name);
    if (may_cut(file)) {
        rc = file->ops->truncate(file, end);
        (void)file->ops->lock(file, NORI_LOCK_NONE);
    } else {
        rc = wipe(file, end);
    }
    if (rc >= 0)
        rc = sync_result(file->ops->sync(file));
    if (rc < 0)
        rc = begin_failed(wal, rc, segment->id, "cut off the torn tail of", error);
    if (file != segment->file)
        file->ops->close(file);
    return rc;
}

/*
 * Must the segment that is to be ended be cut? That of an earlier life always: what is seen of its
 * end may be a cut that no sync has brought to the medium.
 */
static bool needs_cut(const struct nori_wal *wal, const struct nw_segment *segment)
{
    return segment != wal->current || wal->must_roll;
}

int nw_format1_begin(struct nori_wal *wal, struct nw_segment *segment,
                     const struct nw_segment *previous, uint64_t previous_end,
                     struct nori_error *error)
{
    struct nori_folder *folder = wal->env.folder;
    char name[NW_NAME_MAX];
    int rc = NORI_OK;

    nw_assert(!previous || previous->salt == 0);
    if (!NW_PLANT("successor-before-sync"))
        rc = nw_sync_to(wal, atomic_load(&wal->published_lsn), error);
    if (rc >= 0 && previous && needs_cut(wal, previous) && !NW_PLANT("torn-tail-not-cut"))
        rc = cut_tail(wal, previous, previous_end, error);
    if (rc < 0)
        return rc;
    segment->id = wal->next_id;
    segment->start = atomic_load(&wal->published_lsn);
    segment->is_named = true;
    nw_name_format(name, segment->id);
    rc = folder->ops->rename(folder, NW_NAME_SPARE, name);
    if (rc < 0)
        return begin_failed(wal, rc, segment->id, "name", error);
    rc = sync_result(folder->ops->sync(folder));
    if (rc < 0)
        return begin_failed(wal, rc, segment->id, "sync the folder for", error);
    nw_control_set_place(wal->control, segment->id, segment->start);
    return NORI_OK;
}
