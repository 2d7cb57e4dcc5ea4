/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * maps.c: segments that a handle keeps mapped, and lends to the readers that it opens.
 *
 * What. A point read is a reader that is opened, reads a record, and is closed. Opening and mapping
 * a file for each would cost ten times what reading costs, so the handle keeps the segments that
 * were read last, and notes where in them records begin: else each read would have to count its way
 * from the last mark. Both are found without a call of the seam.
 *
 * Loan. A reader reads in a borrowed map only what lies before the end of its segment and is
 * written: that stays, whatever becomes of the file. Who wants more opens the file as any reader.
 * So a map needs no lock, and nobody waits for one to trim a file: what is trimmed is never looked
 * at. (Recycling a file would need to know that no map of it is lent.)
 *
 * The current segment's map keeps its file, locked like that of any reader: those who borrowed it
 * go on in it when it has grown, even if it was dropped meanwhile. That lasts until it is trimmed:
 * then the handle gives it up, and only readers still keep it. All other maps have their file
 * detached: they cost addresses and page tables, no descriptors.
 *
 * Threads. The list is guarded by wal->mutex. A map itself never changes; who has a reference uses
 * it without a lock, also after the log is closed. Waypoints are single words: anyone stores them,
 * and all store the truth.
 *
 * Failure. There is nothing to fail: who cannot borrow reads the long way.
 */
#include "wal/maps.h"

#include "format/control_record.h"
#include "wal/log.h"

#include <string.h>

#define COUNT_MAX   ((size_t)8192) /* an eighth of what Linux allows a process */
#define FILES_MAX   ((size_t)16)   /* where files cannot be detached */
#define BYTES_MAX   (sizeof(void *) > 4 ? (uint64_t)16 << 30 : (uint64_t)256 << 20)
#define STRETCH_LEN ((uint64_t)4 << 10)
#define WINDOW_LEN  ((uint64_t)64 << 10) /* of the search for a mark; a multiple of stretches */

/* A waypoint in a word: is it known, is it in a batch, where in its stretch, and how many records
 * of the segment lie before it. */
#define WAYPOINT_KNOWN    1u
#define WAYPOINT_IN_BATCH 2u
#define WAYPOINT_PLACE    2
#define WAYPOINT_RECORDS  16

NW_STATIC_ASSERT(STRETCH_LEN <= 1u << (WAYPOINT_RECORDS - WAYPOINT_PLACE), "its place fits");

static void free_map(struct nw_map *map)
{
    if (map->data)
        map->file->ops->unmap(map->file, map->data, map->len);
    map->file->ops->close(map->file);
    nw_free(map->allocator, map);
}

void nw_map_unref(struct nw_map *map)
{
    if (map && atomic_fetch_sub(&map->ref_count, 1) == 1)
        free_map(map);
}

/* ---- waypoints ---- */

static size_t stretch_count(uint64_t bytes)
{
    return (size_t)((bytes + STRETCH_LEN - 1) / STRETCH_LEN);
}

static uint64_t place_of(uint64_t word)
{
    return (word >> WAYPOINT_PLACE) % STRETCH_LEN;
}

void nw_map_note(struct nw_map *map, const struct nw_waypoint *waypoint)
{
    uint64_t place = waypoint->offset % STRETCH_LEN;
    uint64_t known;
    uint64_t word = WAYPOINT_KNOWN | (waypoint->is_in_batch ? WAYPOINT_IN_BATCH : 0) |
                    place << WAYPOINT_PLACE |
                    (waypoint->sequence - map->link.first_sequence) << WAYPOINT_RECORDS;
    _Atomic uint64_t *noted;

    if (waypoint->offset >= map->len || waypoint->sequence < map->link.first_sequence)
        return;
    noted = &map->waypoints[waypoint->offset / STRETCH_LEN];
    known = atomic_load_explicit(noted, memory_order_relaxed);
    if (known == 0 || place_of(known) > place) /* the first in its stretch serves most */
        atomic_store_explicit(noted, word, memory_order_relaxed);
}

/* One that was noted between two offsets, the last one. */
static bool find_noted(const struct nw_map *map, uint64_t from, uint64_t offset,
                       struct nw_waypoint *ret_waypoint)
{
    for (uint64_t stretch = offset / STRETCH_LEN + 1; stretch-- > from / STRETCH_LEN;) {
        uint64_t word = atomic_load_explicit(&map->waypoints[stretch], memory_order_relaxed);
        uint64_t place = stretch * STRETCH_LEN + place_of(word);

        if (word == 0 || place > offset || place < from)
            continue;
        *ret_waypoint = (struct nw_waypoint){
            .offset = place,
            .sequence = map->link.first_sequence + (word >> WAYPOINT_RECORDS),
            .is_in_batch = (word & WAYPOINT_IN_BATCH) != 0,
        };
        return true;
    }
    return false;
}

struct nw_waypoint nw_map_waypoint_before(const struct nw_map *map, uint64_t offset)
{
    const struct nw_header *header = &map->link.header;
    uint64_t begin = map->link.begin;
    struct nw_waypoint found = {.offset = begin, .sequence = map->link.first_sequence};

    nw_assert(offset >= begin && offset < map->len);
    for (uint64_t high = offset; high > begin;) {
        uint64_t low = high > begin + WINDOW_LEN ? high - WINDOW_LEN : begin;
        /* A mark that begins in this window may end behind it, but not behind the offset. */
        uint64_t end = nw_min_u64(high + NW_MARK_LEN - 1, offset);
        const uint8_t *at;
        struct nw_mark mark;

        if (find_noted(map, low, high, &found))
            return found;
        at = nw_mark_find_last(map->data + low, (size_t)(end - low), low, header->salt,
                               header->log_id, &mark);
        if (at)
            return (struct nw_waypoint){.offset = (uint64_t)(at - map->data),
                                        .sequence = mark.next_sequence};
        high = low;
    }
    return found;
}

/* ---- making one ---- */

/* The segment's file, if it can be mapped up to `end` and is what we took it for. */
static int open_file(struct nori_wal *wal, const struct nw_link *wanted, uint64_t end,
                     struct nori_file **ret_file, size_t *ret_len)
{
    struct nori_error ignored = NORI_ERROR_INIT;
    struct nori_file_info info = {0};
    struct nori_file *file = NULL;
    int rc = nw_link_open(&wal->env, wanted, 0, &file, &ignored);

    if (rc < 0)
        return rc;
    rc = file->ops->stat(file, &info);
    if (rc >= 0 && (!file->ops->map || info.bytes < end || info.bytes > BYTES_MAX))
        rc = NORI_E_UNSUPPORTED; /* shorter than it must be: damage, which the long way tells */
    if (rc < 0) {
        file->ops->close(file);
        return rc;
    }
    *ret_file = file;
    *ret_len = (size_t)info.bytes;
    return NORI_OK;
}

static bool can_detach(const struct nori_file *file)
{
    return NW_HAS_MEMBER(file->ops, detach) && file->ops->detach;
}

/* Map a file; the map takes it over, also on failure. */
static int new_map(struct nori_wal *wal, struct nori_file *file, size_t len, bool is_ended,
                   struct nw_map **ret_map)
{
    size_t words_len = stretch_count(len) * sizeof(uint64_t);
    struct nw_map *map = nw_alloc_zero(wal->env.allocator, sizeof *map + words_len);
    void *data = NULL;
    int rc;

    if (!map) {
        file->ops->close(file);
        return NORI_E_NOMEM;
    }
    map->allocator = wal->env.allocator;
    map->file = file;
    map->len = len;
    atomic_store(&map->ref_count, 1);
    rc = file->ops->map(file, len, &data);
    map->data = data;
    if (rc >= 0 && !is_ended) {
        rc = file->ops->lock(file, NORI_LOCK_SHARED);
        map->has_file = true;
    }
    if (rc < 0) {
        free_map(map);
        return rc;
    }
    if (is_ended && can_detach(file))
        file->ops->detach(file);
    *ret_map = map;
    return NORI_OK;
}

static int make_map(struct nori_wal *wal, const struct nw_link *wanted, const struct nw_loan *loan,
                    struct nw_map **ret_map)
{
    bool is_ended = loan->segment_end != NW_OPEN_END;
    struct nori_file *file = NULL;
    struct nw_map *map = NULL;
    size_t len = 0;
    int rc = open_file(wal, wanted, is_ended ? loan->segment_end : loan->end, &file, &len);

    /* What lies behind an end is never read, and costs waypoints. */
    if (rc >= 0)
        rc = new_map(wal, file, is_ended ? (size_t)loan->segment_end : len, is_ended, &map);
    if (rc < 0)
        return rc;
    map->link = *wanted;
    if (nw_header_decode(map->data, map->len < NW_HEADER_LEN_MAX ? map->len : NW_HEADER_LEN_MAX,
                         &map->link.header) != 0 ||
        map->link.header.salt != wanted->header.salt) {
        nw_map_unref(map);
        return NORI_E_CORRUPT; /* as above */
    }
    map->link.first_sequence = map->link.header.base_sequence;
    *ret_map = map;
    return NORI_OK;
}

/* ---- the list; mutex held ---- */

static void unlink_map(struct nw_maps *maps, struct nw_map *map)
{
    *(map->newer ? &map->newer->older : &maps->newest) = map->older;
    *(map->older ? &map->older->newer : &maps->oldest) = map->newer;
    map->newer = NULL;
    map->older = NULL;
}

static void link_newest(struct nw_maps *maps, struct nw_map *map)
{
    map->older = maps->newest;
    *(maps->newest ? &maps->newest->newer : &maps->oldest) = map;
    maps->newest = map;
}

struct nw_map *nw_maps_take(struct nori_wal *wal, struct nw_segment *segment)
{
    struct nw_map *map = segment->map;

    if (!map)
        return NULL;
    nw_assert(map->owner == segment);
    unlink_map(&wal->maps, map);
    wal->maps.count--;
    wal->maps.bytes -= map->len;
    map->owner = NULL;
    segment->map = NULL;
    return map;
}

static void give(struct nori_wal *wal, struct nw_segment *segment, struct nw_map *map)
{
    nw_assert(!segment->map);
    atomic_fetch_add(&map->ref_count, 1);
    segment->map = map;
    map->owner = segment;
    wal->maps.count++;
    wal->maps.bytes += map->len;
    link_newest(&wal->maps, map);
}

/* If there are too many, the oldest one that was not used since it was looked at last. */
static struct nw_map *take_surplus(struct nori_wal *wal, size_t count_max)
{
    struct nw_maps *maps = &wal->maps;

    if (maps->count <= count_max && maps->bytes <= BYTES_MAX)
        return NULL;
    while (maps->oldest->was_used) {
        struct nw_map *map = maps->oldest;

        map->was_used = false;
        unlink_map(maps, map);
        link_newest(maps, map);
    }
    return nw_maps_take(wal, maps->oldest->owner);
}

/* Keep no more than so many. No lock held. */
static void shrink(struct nori_wal *wal, size_t count_max)
{
    struct nw_map *surplus;

    do {
        nw_lock(wal, wal->mutex);
        surplus = take_surplus(wal, count_max);
        nw_unlock(wal, wal->mutex);
        nw_map_unref(surplus);
    } while (surplus);
}

void nw_maps_done(struct nori_wal *wal)
{
    while (wal->maps.oldest)
        nw_map_unref(nw_maps_take(wal, wal->maps.oldest->owner));
}

/* ---- lending ---- */

static struct nw_segment *segment_of_id(const struct nori_wal *wal, uint64_t id)
{
    size_t low = 0;
    size_t high = wal->segment_count;
    uint64_t guess;

    nw_assert(high > 0); /* a log that had a segment has one */
    guess = id - wal->segments[0]->id;
    /* Ids follow one another, but for those that a recovery left out. */
    if (guess < high && wal->segments[guess]->id == id)
        return wal->segments[guess];
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (wal->segments[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < wal->segment_count && wal->segments[low]->id == id ? wal->segments[low] : NULL;
}

/* What may be lent of a segment now, its map apart. mutex held. */
static bool describe(const struct nori_wal *wal, const struct nw_segment *segment,
                     bool durable_only, struct nw_loan *loan)
{
    bool is_last = segment == wal->segments[wal->segment_count - 1];
    uint64_t shown;

    loan->durable_lsn = atomic_load(&wal->durable_lsn);
    shown = durable_only ? loan->durable_lsn : atomic_load(&wal->written_lsn);
    loan->segment_end = is_last ? NW_OPEN_END : segment->end;
    loan->end = shown > segment->start ? nw_min_u64(loan->segment_end, shown - segment->start) : 0;
    return segment->salt != 0; /* format 1 is not lent */
}

/* Have the segment's map, if it reaches far enough. mutex held. */
static bool take_reference(const struct nw_segment *segment, struct nw_loan *loan)
{
    struct nw_map *map = segment->map;

    if (!map || map->len < loan->end)
        return false;
    map->was_used = true;
    atomic_fetch_add(&map->ref_count, 1);
    loan->map = map;
    return true;
}

/* Map the segment, and keep the map if nobody was faster, and if it was not dropped meanwhile. */
static int lend_new(struct nori_wal *wal, const struct nw_link *wanted, struct nw_loan *loan)
{
    struct nw_map *map = NULL;
    struct nw_map *older = NULL;
    struct nw_segment *segment;
    int rc = make_map(wal, wanted, loan, &map);

    if (NORI_VFS_CODE(rc) == NORI_E_NOMEM)
        shrink(wal, 0); /* we shall not be the reason */
    if (rc < 0)
        return 0;
    loan->map = map;
    nw_lock(wal, wal->mutex);
    segment = segment_of_id(wal, wanted->id);
    if (segment && (!segment->map || segment->map->len < map->len)) {
        older = nw_maps_take(wal, segment);
        give(wal, segment, map);
    }
    nw_unlock(wal, wal->mutex);
    nw_map_unref(older);
    shrink(wal, can_detach(map->file) ? COUNT_MAX : FILES_MAX);
    return 1;
}

int nw_maps_lend(struct nori_wal *wal, struct nori_position position, bool durable_only,
                 struct nw_loan *ret_loan)
{
    bool is_oldest = position.segment_id == 0 && position.offset == 0;
    struct nw_link wanted = {.format = 2, .is_live = true, .end = NW_OPEN_END};
    struct nw_loan loan = {.cut = atomic_load(&wal->control->words->cut), /* first */
                           .history = atomic_load(&wal->control->words->history)};
    struct nw_segment *segment = NULL;
    bool may_lend;
    bool is_lent;

    nw_lock(wal, wal->mutex);
    if (wal->segment_count > 0)
        segment = is_oldest ? wal->segments[0] : segment_of_id(wal, position.segment_id);
    may_lend = segment && describe(wal, segment, durable_only, &loan) &&
               nw_max_u64(position.offset, segment->begin) < loan.end;
    is_lent = may_lend && take_reference(segment, &loan);
    if (may_lend) {
        wanted.id = segment->id;
        wanted.is_spare = !segment->is_named;
        wanted.begin = segment->begin;
        wanted.start = segment->start;
        wanted.header.salt = segment->salt;
    }
    nw_unlock(wal, wal->mutex);
    if (may_lend && (is_lent || lend_new(wal, &wanted, &loan))) {
        *ret_loan = loan;
        return 1;
    }
    return 0;
}
