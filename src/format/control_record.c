/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * control_record.c: records that the log writes for itself.
 *
 * What. A mark says, in the stream of records itself, how far the log was known to be durable,
 * which record comes next and when. Its value begins with the segment's salt and the log's id:
 * sixteen bytes that stand nowhere else but by intent, so that a reader who lost its way can search
 * for them.
 *
 * Trust. Finding the sixteen bytes proves nothing, since an application may have written them into
 * a value. A mark is one only if the whole record around them verifies in that place; the checksum
 * binds it to salt and offset.
 */
#include "format/control_record.h"

#include "base/assert.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/varint.h"
#include "format/header.h"

#include <string.h>

/* Where things stand in a whole mark record. */
enum {
    AT_KEY_LEN = 0,
    AT_VALUE_LEN = 1,
    AT_FLAGS = 2,
    AT_KEY = 3,
    AT_VALUE = 4,
    AT_CRC = 44
};

/* Where things stand in a mark's value. */
enum {
    AT_SALT = 0,
    AT_LOG_ID = 8,
    AT_NEXT_SEQUENCE = 16,
    AT_DURABLE_LSN = 24,
    AT_TIME_MS = 32
};

#define PATTERN_LEN 16                  /* salt and log_id */
#define WINDOW_LEN  ((size_t)64 * 1024) /* how much a backward search looks through at a time */

NW_STATIC_ASSERT(AT_VALUE + NW_MARK_VALUE_LEN == AT_CRC, "the value ends at the checksum");
NW_STATIC_ASSERT(AT_CRC + NW_RECORD_CRC_LEN == NW_MARK_LEN, "the checksum ends the record");
NW_STATIC_ASSERT(AT_TIME_MS + 8 == NW_MARK_VALUE_LEN, "the time ends the value");
NW_STATIC_ASSERT(AT_SALT == 0 && AT_LOG_ID == 8, "they open the value: that is the pattern");
NW_STATIC_ASSERT(NW_MARK_VALUE_LEN < 0x80, "its length is a varint of one byte");

static struct nw_record_place place_of(uint64_t salt, uint64_t offset)
{
    return (struct nw_record_place){.format = 2, .salt = salt, .offset = offset};
}

void nw_mark_encode(uint8_t target[NW_MARK_LEN], const struct nw_mark *mark, uint64_t offset)
{
    struct nw_record_place place = place_of(mark->salt, offset);
    uint8_t *value = target + AT_VALUE;

    nw_assert(mark->salt != 0);
    target[AT_KEY_LEN] = 1;
    target[AT_VALUE_LEN] = NW_MARK_VALUE_LEN;
    target[AT_FLAGS] = NW_FLAG_CONTROL;
    target[AT_KEY] = NW_CONTROL_MARK;
    nw_put_u64(value + AT_SALT, mark->salt);
    nw_put_u64(value + AT_LOG_ID, mark->log_id);
    nw_put_u64(value + AT_NEXT_SEQUENCE, mark->next_sequence);
    nw_put_u64(value + AT_DURABLE_LSN, mark->durable_lsn);
    nw_put_u64(value + AT_TIME_MS, mark->time_ms);
    nw_put_u32(target + AT_CRC, nw_record_crc(&place, nw_crc32c(0, target, AT_CRC)));
}

static int decode_mark(const struct nw_stored_record *record, uint64_t salt,
                       struct nw_mark *ret_mark)
{
    const uint8_t *value = record->stored;

    if (record->key_len != 1 || record->stored_len != NW_MARK_VALUE_LEN)
        return NORI_E_CORRUPT;
    if (nw_get_u64(value + AT_SALT) != salt || nw_get_u64(value + AT_NEXT_SEQUENCE) > NW_NUMBER_MAX)
        return NORI_E_CORRUPT;
    *ret_mark = (struct nw_mark){
        .salt = salt,
        .log_id = nw_get_u64(value + AT_LOG_ID),
        .next_sequence = nw_get_u64(value + AT_NEXT_SEQUENCE),
        .durable_lsn = nw_get_u64(value + AT_DURABLE_LSN),
        .time_ms = nw_get_u64(value + AT_TIME_MS),
    };
    return NW_CONTROL_IS_MARK;
}

int nw_control_decode(const struct nw_stored_record *record, uint64_t salt,
                      struct nw_mark *ret_mark)
{
    nw_assert(nw_record_is_control(record));
    if (record->key_len == 0)
        return NORI_E_CORRUPT; /* no type */
    if (record->key[0] >= NW_CONTROL_OPTIONAL)
        return NW_CONTROL_IS_SKIP;
    switch (record->key[0]) {
    case NW_CONTROL_MARK:
        return decode_mark(record, salt, ret_mark);
    case NW_CONTROL_HOLE:
        return NW_CONTROL_IS_HOLE;
    default:
        return NORI_E_VERSION;
    }
}

bool nw_mark_is_credible(const struct nw_mark *mark, uint64_t log_id, uint64_t lsn)
{
    return mark->log_id == log_id && mark->durable_lsn <= lsn;
}

/* What a search looks for, and where. */
struct search {
    const uint8_t *data;
    size_t len;
    uint64_t offset; /* of data in the segment's file */
    uint64_t salt;
    uint64_t log_id;
    uint8_t pattern[PATTERN_LEN];
    size_t anchor; /* a byte of the pattern that is not zero: runs of zeros are then skipped fast */
};

static struct search search_for(const uint8_t *data, size_t len, uint64_t offset, uint64_t salt,
                                uint64_t log_id)
{
    struct search search = {
        .data = data, .len = len, .offset = offset, .salt = salt, .log_id = log_id};

    nw_assert(salt != 0);
    nw_put_u64(search.pattern + AT_SALT, salt);
    nw_put_u64(search.pattern + AT_LOG_ID, log_id);
    while (search.pattern[search.anchor] == 0)
        search.anchor++;
    nw_assert(search.anchor < PATTERN_LEN);
    return search;
}

/* How many places of data a mark could begin at. */
static size_t place_count(const struct search *search)
{
    return search->len < NW_MARK_LEN ? 0 : search->len - NW_MARK_LEN + 1;
}

/* True if a mark begins at data + index and its checksum holds there. */
static bool is_mark_at(const struct search *search, size_t index, struct nw_mark *ret_mark)
{
    struct nw_scan scan = nw_scan_over(search->data + index, NW_MARK_LEN);
    struct nw_record_place place = place_of(search->salt, search->offset + index);
    struct nw_stored_record record;

    if (memcmp(search->data + index + AT_VALUE, search->pattern, PATTERN_LEN) != 0)
        return false;
    if (nw_record_decode(&scan, &place, NW_MARK_LEN, &record) != NORI_OK)
        return false;
    return nw_record_is_control(&record) &&
           nw_control_decode(&record, search->salt, ret_mark) == NW_CONTROL_IS_MARK;
}

/* The first mark that begins at an index from `first` up to, not including, `beyond`. */
static const uint8_t *find_between(const struct search *search, size_t first, size_t beyond,
                                   struct nw_mark *ret_mark)
{
    const size_t distance = AT_VALUE + search->anchor; /* from a mark's first byte to the anchor */

    nw_assert(beyond <= place_count(search));
    while (first < beyond) {
        const uint8_t *at = memchr(search->data + first + distance, search->pattern[search->anchor],
                                   beyond - first);

        if (!at)
            return NULL;
        first = (size_t)(at - search->data) - distance;
        if (is_mark_at(search, first, ret_mark))
            return search->data + first;
        first++;
    }
    return NULL;
}

const uint8_t *nw_mark_find(const uint8_t *data, size_t len, uint64_t offset, uint64_t salt,
                            uint64_t log_id, struct nw_mark *ret_mark)
{
    struct search search = search_for(data, len, offset, salt, log_id);

    return find_between(&search, 0, place_count(&search), ret_mark);
}

const uint8_t *nw_mark_find_last(const uint8_t *data, size_t len, uint64_t offset, uint64_t salt,
                                 uint64_t log_id, struct nw_mark *ret_mark)
{
    struct search search = search_for(data, len, offset, salt, log_id);
    size_t beyond = place_count(&search);
    const uint8_t *found = NULL;

    while (beyond > 0 && !found) {
        size_t first = beyond > WINDOW_LEN ? beyond - WINDOW_LEN : 0;
        const uint8_t *next = find_between(&search, first, beyond, ret_mark);

        while (next) { /* the last one of this window wins */
            found = next;
            next = find_between(&search, (size_t)(found - data) + 1, beyond, ret_mark);
        }
        beyond = first;
    }
    return found;
}

const uint8_t *nw_mark_find_any(const uint8_t *data, size_t len, uint64_t offset,
                                struct nw_mark *ret_mark)
{
    const uint8_t head[AT_VALUE] = {1, NW_MARK_VALUE_LEN, NW_FLAG_CONTROL, NW_CONTROL_MARK};

    for (size_t first = 0; len >= NW_MARK_LEN && first <= len - NW_MARK_LEN; first++) {
        const uint8_t *at = memchr(data + first, head[0], len - NW_MARK_LEN - first + 1);
        struct search search;

        if (!at)
            return NULL;
        first = (size_t)(at - data);
        if (memcmp(at, head, sizeof head) != 0 || nw_get_u64(at + AT_VALUE + AT_SALT) == 0 ||
            nw_get_u64(at + AT_VALUE + AT_LOG_ID) == 0)
            continue; /* no segment is called so */
        search = search_for(data, len, offset, nw_get_u64(at + AT_VALUE + AT_SALT),
                            nw_get_u64(at + AT_VALUE + AT_LOG_ID));
        if (is_mark_at(&search, first, ret_mark))
            return at;
    }
    return NULL;
}

/* Of the value that fills room together with its own length; 0: none does, for there its length
 * takes one more byte. */
static size_t value_len_in(size_t room)
{
    for (size_t varint_len = 1; varint_len <= 3; varint_len++)
        if (nw_varint_len(room - varint_len) == varint_len)
            return room - varint_len;
    return 0;
}

void nw_hole_encode(uint8_t *target, size_t len, uint64_t hidden, uint64_t salt, uint64_t offset)
{
    struct nw_record_place place = {2, salt, offset};
    uint8_t *at = target;
    size_t room = len - 1 - 1 - NW_RECORD_CRC_LEN; /* less the length of the key, and the flags */
    size_t key_len = 1;
    size_t value_len;

    nw_assert(len >= NW_HOLE_LEN_MIN && len <= NW_HOLE_LEN_MAX);
    value_len = value_len_in(room - key_len);
    while (value_len == 0) /* pad bytes in the key make up for it */
        value_len = value_len_in(room - ++key_len);
    nw_assert(key_len <= 3 && value_len >= 8);
    memset(target, 0, len);
    at = nw_varint_put(at, key_len);
    at = nw_varint_put(at, value_len);
    *at++ = NW_FLAG_CONTROL;
    *at = NW_CONTROL_HOLE;
    at += key_len;
    nw_put_u64(at, hidden);
    at += value_len;
    nw_put_u32(at, nw_record_crc(&place, nw_crc32c(0, target, (size_t)(at - target))));
    nw_assert(at + NW_RECORD_CRC_LEN == target + len);
}

uint64_t nw_control_count(const struct nw_stored_record *record, uint64_t salt, uint64_t sequence)
{
    struct nw_mark mark;
    int kind = nw_control_decode(record, salt, &mark);

    if (kind == NW_CONTROL_IS_MARK && sequence == 0)
        return mark.next_sequence;
    if (kind != NW_CONTROL_IS_HOLE || sequence == 0)
        return sequence;
    if (nw_hole_hidden(record) == NW_HOLE_UNKNOWN ||
        nw_add_overflow(sequence, nw_hole_hidden(record), &sequence))
        return 0;
    return sequence;
}

uint64_t nw_hole_hidden(const struct nw_stored_record *record)
{
    return record->stored_len >= 8 ? nw_get_u64(record->stored) : NW_HOLE_UNKNOWN;
}

uint64_t nw_hole_hidden_max(const struct nw_stored_record *record)
{
    return record->len / NW_RECORD_LEN_MIN;
}
