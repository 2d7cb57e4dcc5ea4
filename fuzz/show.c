/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* show.c: what a log shows, each record held against the bytes that the disk has. */
#include "show.h"
#include "seal.h"

#include "wal/control.h"

#include <stdio.h>
#include <string.h>

#define RECORDS_MAX ((uint64_t)1 << 20) /* more than any input has bytes for */
#define FILE_ROOM   ((size_t)1 << 20)

/* A piece of disk, beginning with some LSN or offset 0. */
struct piece {
    uint8_t bytes[FILE_ROOM];
    size_t len;
};

/* What the disk has of a segment: its file, `spare`, and the ring. */
static struct piece files[2], ring;
static uint64_t ring_len;

/* Does a record with this key lie in the piece at `at`, in a segment with this salt (0: format 1)?
 */
static bool holds_at(const struct piece *piece, uint64_t at, uint64_t salt, uint64_t offset,
                     const struct nori_record *record)
{
    struct nw_record_place place = {salt ? 2 : 1, salt, offset};
    struct nw_scan scan = nw_scan_over(piece->bytes, piece->len);
    size_t len;

    if (at >= piece->len)
        return false;
    scan.at += at;
    len = seal_record_len(scan.at, piece->len - at, place.format);
    if (len == 0 || !seal_is_good(scan.at, len, &place))
        return false;
    return nw_scan_varint(&scan) == record->key_len;
}

static void load(nori_sim *sim, const char *path, struct piece *piece)
{
    piece->len = 0;
    (void)nori_sim_file_read(sim, path, 0, piece->bytes, sizeof piece->bytes, &piece->len);
}

/* The ring twice, one behind the other, so that no record in it is cut in two. */
static uint64_t load_ring(nori_sim *sim)
{
    uint64_t len;

    load(sim, FOLDER_DIR "/control", &ring);
    if (ring.len <= FOLDER_RING_AT)
        return 0;
    len = nw_get_u64(ring.bytes + offsetof(struct nw_control_words, ring_len));
    if (len == 0 || len > FILE_ROOM / 2 || ring.len < FOLDER_RING_AT + len)
        return 0;
    memmove(ring.bytes, ring.bytes + FOLDER_RING_AT, len);
    memcpy(ring.bytes + len, ring.bytes, len);
    ring.len = (size_t)len * 2;
    return len;
}

static void load_all(nori_sim *sim, uint64_t segment_id)
{
    char path[FOLDER_PATH_LEN];

    (void)snprintf(path, sizeof path, FOLDER_DIR "/%06llu.wal", (unsigned long long)segment_id);
    load(sim, path, &files[0]);
    load(sim, FOLDER_DIR "/spare", &files[1]);
    ring_len = load_ring(sim);
}

static bool is_true(struct nori_position position, const struct nori_record *record)
{
    uint64_t salts[2] = {0};

    if (!seal_has_header(files[0].bytes, files[0].len) &&
        holds_at(&files[0], position.offset, 0, position.offset, record))
        return true;
    for (int i = 0; i < 2; i++) {
        const uint8_t *header = files[i].bytes;
        uint64_t lsn;

        if (!seal_has_header(header, files[i].len) ||
            nw_get_u64(header + 24) != position.segment_id)
            continue;
        salts[i] = nw_get_u64(header + 48);
        lsn = nw_get_u64(header + 64) + position.offset;
        if (holds_at(&files[i], position.offset, salts[i], position.offset, record) ||
            (ring_len && holds_at(&ring, lsn % ring_len, salts[i], position.offset, record)))
            return true;
    }
    for (size_t at = 0; ring_len && at < ring_len; at++) { /* a header that only the ring has */
        const uint8_t *header = ring.bytes + at;
        uint64_t lsn;

        if (*header != 0xff || !seal_has_header(header, ring.len - at) ||
            nw_get_u64(header + 24) != position.segment_id)
            continue;
        lsn = nw_get_u64(header + 64) + position.offset;
        if (holds_at(&ring, lsn % ring_len, nw_get_u64(header + 48), position.offset, record))
            return true;
    }
    return false;
}

static uint64_t digest(uint64_t so_far, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    for (size_t i = 0; i < len; i++)
        so_far = (so_far ^ bytes[i]) * 0x100000001b3u;
    return (so_far ^ len) * 0x100000001b3u;
}

static void note(struct shown *shown, const struct nori_record *record,
                 struct nori_position position)
{
    uint64_t numbers[] = {position.segment_id, position.offset,      record->flags,
                          record->ttl_ms,      record->time_ms,      record->compression,
                          record->sequence,    record->version_term, record->version_index};

    shown->digest = digest(shown->digest, numbers, sizeof numbers);
    shown->digest = digest(shown->digest, record->key, record->key_len);
    shown->digest = digest(shown->digest, record->value, record->value_len);
    shown->last = position;
    shown->records++;
}

static bool is_before(struct nori_position a, struct nori_position b)
{
    return a.segment_id < b.segment_id || (a.segment_id == b.segment_id && a.offset < b.offset);
}

/* Is the error that the reader just gave that of a hole, or of a value that does not decompress, at
 * another place than the one before? Then the next call goes on behind it. */
static bool is_new_hole(nori_reader *reader, int rc, struct nori_position *hole)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_position before = *hole;

    if (rc != NORI_E_CORRUPT || nori_reader_last_error(reader, &error) != NORI_OK)
        return false;
    *hole = error.position;
    return hole->segment_id != before.segment_id || hole->offset != before.offset;
}

static void read_all(nori_sim *sim, nori_reader *reader, struct shown *shown)
{
    uint64_t sequence = 0;
    struct nori_position hole = {UINT64_MAX, 0}; /* none yet */

    for (;;) {
        struct nori_record record;
        struct nori_position position;
        int rc = nori_reader_next(reader, &record, &position);

        if (is_new_hole(reader, rc, &hole)) {
            shown->holes++;
            continue;
        }
        shown->end = rc;
        if (rc != NORI_OK)
            return;
        fuzz_check(shown->records == 0 || is_before(shown->last, position),
                   "a record at %llu:%llu comes behind one at %llu:%llu",
                   (unsigned long long)position.segment_id, (unsigned long long)position.offset,
                   (unsigned long long)shown->last.segment_id,
                   (unsigned long long)shown->last.offset);
        if (record.sequence != 0 && record.sequence <= sequence)
            shown->goes_back = true;
        if (shown->records == 0 || position.segment_id != shown->last.segment_id)
            load_all(sim, position.segment_id);
        fuzz_check(is_true(position, &record), "the record at %llu:%llu does not verify there",
                   (unsigned long long)position.segment_id, (unsigned long long)position.offset);
        sequence = record.sequence > 0 ? record.sequence : sequence; /* before damage: unknown */
        note(shown, &record, position);
        fuzz_check(shown->records < RECORDS_MAX, "reading does not end");
    }
}

void show(nori_sim *sim, uint32_t visibility, uint32_t flags, struct shown *ret_shown)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    struct nori_position oldest = {0, 0};
    nori_reader *reader = NULL;

    memset(ret_shown, 0, sizeof *ret_shown);
    config.visibility = visibility;
    config.flags = flags;
    config.vfs = nori_sim_vfs(sim);
    config.allocator = memory_allocator();
    ret_shown->end = nori_reader_open_with(FOLDER_DIR, &config, oldest, &reader, NULL);
    if (ret_shown->end == NORI_E_NOTFOUND)
        ret_shown->end = NORI_END; /* no log, no records */
    if (reader)
        read_all(sim, reader, ret_shown);
    nori_reader_close(reader);
}
