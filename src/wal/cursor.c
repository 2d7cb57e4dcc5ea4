/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cursor.c: the records of one segment file, one after the other.
 *
 * What. nw_cursor_next() decodes the record at cursor->offset from the bytes at hand. When these
 * end too early it fetches more: a copying cursor moves its window and, for a record that is
 * larger, doubles it; a mapping cursor maps as much of the file as there is now.
 *
 * Trust. Lengths come from disk. The window grows towards the record limit only, and only as far as
 * the file has bytes, so a hostile length costs at most the limit in memory, which the caller
 * chose.
 *
 * Failure. Nothing moves: the same call can be made again.
 */
#include "wal/cursor.h"

#include "format/header.h"

#include <string.h>

#define WINDOW_LEN ((size_t)256 << 10)

void nw_cursor_begin(struct nw_cursor *cursor, const struct nori_allocator *allocator,
                     struct nori_file *file, uint32_t format, uint64_t salt, uint64_t offset,
                     uint64_t record_limit, bool use_map)
{
    memset(cursor, 0, sizeof *cursor);
    cursor->allocator = allocator;
    cursor->is_mapped = use_map;
    nw_buffer_init(&cursor->copy, allocator, SIZE_MAX / 2);
    nw_cursor_restart(cursor, file, format, salt, offset, record_limit);
}

static void forget_map(struct nw_cursor *cursor)
{
    if (cursor->map)
        cursor->file->ops->unmap(cursor->file, cursor->map, cursor->map_len);
    cursor->map = NULL;
    cursor->map_len = 0;
}

void nw_cursor_refresh(struct nw_cursor *cursor)
{
    forget_map(cursor);
    cursor->data = NULL;
    cursor->data_len = 0;
    cursor->data_offset = 0;
    cursor->is_at_file_end = false;
}

void nw_cursor_restart(struct nw_cursor *cursor, struct nori_file *file, uint32_t format,
                       uint64_t salt, uint64_t offset, uint64_t record_limit)
{
    nw_cursor_refresh(cursor);
    cursor->file = file;
    cursor->format = format;
    cursor->salt = salt;
    cursor->offset = offset;
    cursor->record_limit = record_limit;
    cursor->stop = UINT64_MAX;
}

void nw_cursor_lend(struct nw_cursor *cursor, const uint8_t *data, size_t len)
{
    nw_assert(!cursor->file);
    cursor->data = data;
    cursor->data_offset = 0;
    cursor->data_len = len;
    cursor->is_at_file_end = true;
}

void nw_cursor_done(struct nw_cursor *cursor)
{
    nw_cursor_refresh(cursor);
    nw_buffer_done(&cursor->copy);
}

/* Map all there is of the file now. */
static int fetch_map(struct nw_cursor *cursor)
{
    struct nori_file_info info;
    int rc = cursor->file->ops->stat(cursor->file, &info);

    if (rc < 0)
        return rc;
    if (info.bytes > cursor->map_len) {
        void *map = NULL;

        if (info.bytes > SIZE_MAX / 2) /* GCOVR_EXCL_BR_LINE: machines of 32 bits */
            return NORI_VFS_ERROR(NORI_E_UNSUPPORTED, 0);
        rc = cursor->file->ops->map(cursor->file, (size_t)info.bytes, &map);
        if (rc < 0)
            return rc;
        forget_map(cursor);
        cursor->map = map;
        cursor->map_len = (size_t)info.bytes;
    }
    cursor->data = cursor->map;
    cursor->data_offset = 0;
    cursor->data_len = cursor->map_len;
    cursor->is_at_file_end = true;
    return 0;
}

/* Have the window begin at cursor->offset and hold more than it does now. */
static int fetch_copy(struct nw_cursor *cursor)
{
    uint64_t have_end = cursor->data_offset + cursor->data_len;
    size_t kept = 0;
    size_t want;
    size_t got = 0;
    int rc;

    nw_assert(cursor->offset < cursor->stop);
    if (cursor->data && cursor->offset >= cursor->data_offset && cursor->offset < have_end)
        kept = (size_t)(have_end - cursor->offset);
    want = kept * 2 > WINDOW_LEN ? kept * 2 : WINDOW_LEN;
    /* What lies behind stop may still be written: a copy would be stale once stop moves on. */
    if (cursor->stop - cursor->offset < want)
        want = (size_t)(cursor->stop - cursor->offset);
    kept = kept < want ? kept : want;
    if (nw_buffer_reserve(&cursor->copy, want) < 0) /* first: it may move the bytes at hand */
        return NORI_E_NOMEM;
    if (kept > 0)
        memmove(cursor->copy.data, cursor->copy.data + (cursor->offset - cursor->data_offset),
                kept);
    cursor->data = cursor->copy.data;
    cursor->data_offset = cursor->offset;
    cursor->data_len = kept;

    rc = cursor->file->ops->read(cursor->file, cursor->copy.data + kept, want - kept,
                                 cursor->offset + kept, &got);
    if (rc < 0)
        return rc;
    cursor->data_len = kept + got;
    cursor->is_at_file_end = got < want - kept;
    return 0;
}

static int fetch(struct nw_cursor *cursor)
{
    int rc;

    if (!cursor->is_mapped)
        return fetch_copy(cursor);
    rc = cursor->file->ops->map ? fetch_map(cursor) : NORI_VFS_ERROR(NORI_E_UNSUPPORTED, 0);
    if (rc >= 0 || NORI_VFS_CODE(rc) != NORI_E_UNSUPPORTED)
        return rc;
    cursor->is_mapped = false; /* for good: this file system copies */
    nw_cursor_refresh(cursor);
    return fetch_copy(cursor);
}

/* Is the window's end the end of all there is to read? */
static bool is_all_at_hand(const struct nw_cursor *cursor)
{
    return cursor->is_at_file_end || cursor->data_offset + cursor->data_len >= cursor->stop;
}

int nw_cursor_next(struct nw_cursor *cursor, struct nw_stored_record *ret_record)
{
    struct nw_record_place place = {cursor->format, cursor->salt, cursor->offset};

    if (cursor->offset >= cursor->stop)
        return NW_CURSOR_SHORT;
    for (bool has_fetched = false;; has_fetched = true) {
        uint64_t have_end = nw_min_u64(cursor->data_offset + cursor->data_len, cursor->stop);
        int rc = NW_DECODE_SHORT;

        if (cursor->data && cursor->offset >= cursor->data_offset && cursor->offset < have_end) {
            struct nw_scan scan =
                nw_scan_over(cursor->data + (cursor->offset - cursor->data_offset),
                             (size_t)(have_end - cursor->offset));

            rc = nw_record_decode(&scan, &place, cursor->record_limit, ret_record);
            if (rc == 0) {
                nw_assert(ret_record->len >= NW_RECORD_LEN_MIN);
                cursor->offset += ret_record->len;
                nw_assert(cursor->offset <= have_end);
                return 0;
            }
        }
        if (rc == NW_DECODE_BAD)
            return NW_CURSOR_BAD;
        if (rc < 0)
            return rc;
        if (!cursor->file || (has_fetched && is_all_at_hand(cursor)))
            return NW_CURSOR_SHORT;
        rc = fetch(cursor);
        if (rc < 0)
            return rc;
    }
}
