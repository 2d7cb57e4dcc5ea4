/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * live.c: a log's numbers for whoever asks, in this process or another.
 *
 * What. The words of stats.h and the positions, put into one struct. The writer's own process has
 * the list of segments to turn LSNs into positions; another one copies the page of `control` with
 * one read, lists the folder, and reads the headers of the newest segments, where three of the four
 * positions lie, and of the oldest.
 *
 * Threads. Every word is loaded on its own, so positions may cross by what happened between two
 * loads; they are put in order.
 *
 * Failure. What stands in the page may be anything, and is only shown: sums cannot overflow,
 * nothing is looked up by it, and no loop runs as long as it says. The page is copied, not mapped:
 * a file that is cut short meanwhile would be a SIGBUS.
 *
 * Not here. Counting: stats.c. Judging a log: inspect.c.
 */
#include "wal/inspect.h"
#include "wal/log.h"

#include <string.h>

#define NEWEST_PLACES \
    ((size_t)4) /* D3: two ended segments may be unsynced, and one is written to */
#define OLDEST_PLACES ((size_t)2)
#define UNKNOWN_START UINT64_MAX
#define PLACES_MAX    (NEWEST_PLACES + OLDEST_PLACES + 1)

NW_STATIC_ASSERT(NORI_LATENCY_BUCKETS == NW_STATS_BUCKETS, "buckets as they are shown");
NW_STATIC_ASSERT(NW_STATS_BUCKET_SHIFT == 7, "the header says 128 ns");
NW_STATIC_ASSERT((int)NW_STALL_COUNT < NORI_STALLS_MAX, "room for every cause");

/* ---- latencies ---- */

/* So that the sum of all buckets is a number, whatever the page says. */
#define BUCKET_MAX (UINT64_MAX / 64)

static uint64_t bucket_high(size_t i)
{
    return (uint64_t)1 << (NW_STATS_BUCKET_SHIFT + i);
}

/* What the slowest of the fastest `permille` took: its place within its bucket is where it would be
 * if they lay evenly. */
static uint64_t percentile(const struct nori_latency *latency, uint64_t permille)
{
    uint64_t rank =
        latency->count / 1000 * permille + (latency->count % 1000 * permille + 999) / 1000;
    uint64_t below = 0;

    for (size_t i = 0; i < NORI_LATENCY_BUCKETS; i++) {
        uint64_t in = latency->buckets[i];
        uint64_t low = i == 0 ? 0 : bucket_high(i - 1);
        uint64_t high = i + 1 < NORI_LATENCY_BUCKETS ? bucket_high(i) : latency->max_ns;

        if (in > 0 && below + in >= rank) {
            high = nw_min_u64(high, latency->max_ns);
            return low + (uint64_t)((double)(high - low) * ((double)(rank - below) / (double)in));
        }
        below += in;
    }
    return 0;
}

/* From the buckets, sum_ns and max_ns, which are filled. */
static void complete(struct nori_latency *latency)
{
    size_t last = 0;

    latency->count = 0;
    for (size_t i = 0; i < NORI_LATENCY_BUCKETS; i++) {
        latency->buckets[i] = nw_min_u64(latency->buckets[i], BUCKET_MAX);
        latency->count += latency->buckets[i];
        if (latency->buckets[i] > 0)
            last = i;
    }
    /* Of a part of the time the longest is known by its bucket only. */
    if (last + 1 < NORI_LATENCY_BUCKETS)
        latency->max_ns = nw_min_u64(latency->max_ns, bucket_high(last));
    if (last > 0)
        latency->max_ns = nw_max_u64(latency->max_ns, bucket_high(last - 1));
    if (latency->count == 0)
        latency->max_ns = 0;
    latency->p50_ns = percentile(latency, 500);
    latency->p99_ns = percentile(latency, 990);
    latency->p999_ns = percentile(latency, 999);
}

static void take_latency(const struct nw_stats *stats, enum nw_stage stage,
                         struct nori_latency *ret_latency)
{
    ret_latency->sum_ns = nw_stats_get(&stats->stage_ns[stage]);
    ret_latency->max_ns = nw_stats_get(&stats->stage_max_ns[stage]);
    for (size_t i = 0; i < NORI_LATENCY_BUCKETS; i++)
        ret_latency->buckets[i] = nw_stats_get(&stats->stages[stage][i]);
    complete(ret_latency);
}

/* ---- the page ---- */

static uint64_t grown(uint64_t from, uint64_t to)
{
    return to > from ? to - from : 0;
}

static void take_counts(const struct nw_stats *stats, struct nori_wal_stats *ret_stats)
{
    uint64_t records =
        grown(nw_stats_get(&stats->opened_sequence), nw_stats_get(&stats->next_sequence));

    ret_stats->appends = nw_stats_get(&stats->appends);
    ret_stats->batches = nw_stats_get(&stats->batches);
    ret_stats->deletes = nw_min_u64(nw_stats_get(&stats->deletes), records);
    ret_stats->puts = records - ret_stats->deletes;
    ret_stats->appended_bytes = grown(nw_stats_get(&stats->opened_lsn), ret_stats->appended_lsn);
    ret_stats->room_waits = nw_stats_get(&stats->room_waits);
    ret_stats->space_waits = nw_stats_get(&stats->space_waits);
    ret_stats->syncs = nw_stats_get(&stats->syncs);
    ret_stats->rolls = nw_stats_get(&stats->rolls);
    ret_stats->drops = nw_stats_get(&stats->drops);
    ret_stats->errors_io = nw_stats_get(&stats->errors_io);
    ret_stats->errors_nospace = nw_stats_get(&stats->errors_nospace);
    ret_stats->errors_refused = nw_stats_get(&stats->errors_refused);
    for (size_t i = 0; i < NW_STALL_COUNT; i++) { /* enum nori_stall_cause counts from 1 */
        ret_stats->stalled_since_ms[i + 1] = nw_stats_get(&stats->stalled_since_ms[i]);
        ret_stats->stalls[i + 1] = nw_stats_get(&stats->stalls[i]);
    }
}

/* The oldest first: what moves on meanwhile is what comes later. */
static void take_lsns(const struct nw_control_words *words, struct nori_wal_stats *ret_stats)
{
    uint64_t oldest = atomic_load(&words->oldest);
    uint64_t durable = atomic_load(&words->durable);
    uint64_t written = atomic_load(&words->written);
    uint64_t appended = atomic_load(&words->published);

    ret_stats->appended_lsn = appended;
    ret_stats->oldest_lsn = nw_min_u64(oldest, appended);
    ret_stats->durable_lsn = nw_min_u64(durable, appended);
    ret_stats->written_lsn = nw_max_u64(nw_min_u64(written, appended), ret_stats->durable_lsn);
    ret_stats->bytes = appended - ret_stats->oldest_lsn;
    ret_stats->lag_bytes = appended - ret_stats->durable_lsn;
}

/* All that the page knows. sampled_ms and is_writer_alive are filled. */
static void take_page(const struct nw_control_words *words, struct nori_wal_stats *ret_stats)
{
    const struct nw_stats *stats = &words->stats;
    uint64_t format_policy = nw_stats_get(&stats->format_policy);

    ret_stats->is_known = 1;
    ret_stats->has_failed = nw_stats_get(&stats->is_failed) != 0;
    ret_stats->format = (uint32_t)(format_policy >> 32);
    ret_stats->fsync_policy = (uint32_t)format_policy;
    ret_stats->batch_window_us = (uint32_t)nw_stats_get(&stats->window_us);
    ret_stats->process_id = nw_stats_get(&stats->process_id);
    ret_stats->opened_ms = nw_stats_get(&stats->opened_ms);
    if (ret_stats->is_writer_alive)
        ret_stats->elapsed_ns =
            nw_min_u64(grown(ret_stats->opened_ms, ret_stats->sampled_ms), UINT64_MAX / 1000000) *
            1000000;
    ret_stats->segment_size_max = nw_stats_get(&stats->segment_size_max);
    take_lsns(words, ret_stats);
    ret_stats->was_closed =
        !ret_stats->is_writer_alive && atomic_load(&words->clean) == ret_stats->appended_lsn;
    take_counts(stats, ret_stats);
    take_latency(stats, NW_STAGE_ENCODE, &ret_stats->encode);
    take_latency(stats, NW_STAGE_WAIT, &ret_stats->wait);
    take_latency(stats, NW_STAGE_WRITE, &ret_stats->write);
    take_latency(stats, NW_STAGE_SYNC, &ret_stats->sync);
    take_latency(stats, NW_STAGE_WAKE, &ret_stats->wake);
    ret_stats->ring_bytes = nw_stats_get(&stats->ring_len);
    ret_stats->ring_used =
        nw_min_u64(ret_stats->appended_lsn - ret_stats->written_lsn, ret_stats->ring_bytes);
}

static void note_time(const struct nori_vfs *vfs, struct nori_wal_stats *ret_stats)
{
    ret_stats->sampled_ms = vfs->realtime_ms(vfs->context);
    ret_stats->sampled_ns = vfs->monotonic_ns(vfs->context);
}

/* To the caller's struct, as much of it as there is; what we do not know in it becomes zero. */
static void hand_out(const struct nori_wal_stats *stats, struct nori_wal_stats *ret_stats)
{
    size_t size = ret_stats->size;
    size_t known = size < sizeof *stats ? size : sizeof *stats;
    uint8_t *bytes = (uint8_t *)ret_stats;

    memcpy(bytes + sizeof size, (const uint8_t *)stats + sizeof size, known - sizeof size);
    if (size > known)
        memset(bytes + known, 0, size - known);
}

static bool is_good_size(const struct nori_wal_stats *stats)
{
    const size_t size_max = (size_t)1 << 16; /* more is no size, but what stood in memory */

    return stats && stats->size > sizeof stats->size && stats->size <= size_max;
}

/* ---- of an open log ---- */

static struct nori_position place_of(struct nori_wal *wal, uint64_t lsn)
{
    const struct nw_segment *segment = nw_log_segment_at(wal, lsn);

    if (!segment)
        return (struct nori_position){0, 0};
    return (struct nori_position){segment->id, lsn - segment->start};
}

/* mutex held */
static void take_segments(struct nori_wal *wal, struct nori_wal_stats *stats)
{
    const struct nw_segment *newest;

    stats->segments = wal->segment_count;
    stats->spare_bytes = wal->spare.is_ready ? wal->spare.owned : 0;
    if (wal->segment_count == 0)
        return;
    newest = wal->segments[wal->segment_count - 1];
    if (newest->end == NW_OPEN_END)
        stats->bytes_ahead =
            grown(stats->appended_lsn, newest->start + atomic_load(&newest->owned));
    stats->oldest = (struct nori_position){wal->segments[0]->id, wal->segments[0]->begin};
    stats->durable = place_of(wal, stats->durable_lsn);
    stats->written = place_of(wal, stats->written_lsn);
    stats->appended = place_of(wal, stats->appended_lsn);
}

int nori_wal_stats(nori_wal *wal, struct nori_wal_stats *ret_stats)
{
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    if (!is_good_size(ret_stats))
        return nw_log_leave(wal, NORI_E_INVALID, &error);
    stats.is_writer_alive = 1;
    note_time(wal->env.vfs, &stats);
    nw_lock(wal, wal->mutex); /* so that no segment comes or goes between the two */
    take_page(wal->control->words, &stats);
    take_segments(wal, &stats);
    nw_unlock(wal, wal->mutex);
    hand_out(&stats, ret_stats);
    return nw_log_leave(wal, NORI_OK, &error);
}

/* ---- of a log in a folder ---- */

/* A segment that was looked at. */
struct place {
    uint64_t id;
    uint64_t start; /* or UNKNOWN_START */
    uint64_t begin;
    uint64_t file_bytes;
};

struct look {
    struct nw_env env;
    struct nw_control_words words;   /* a copy of the page; only if stats->is_known */
    struct place places[PLACES_MAX]; /* ascending, but for some between */
    size_t count;
    bool is_newest_in_spare;
    uint64_t spare_bytes; /* of the file `spare`, if it is no segment */
};

/* Format 1: where a segment starts stands in no file; the page tells it of two. */
static uint64_t find_start(const struct look *look, uint64_t id)
{
    uint64_t count = atomic_load(&look->words.place_count);

    for (size_t i = 0; i < 2 && i < count; i++) {
        size_t slot = (count - i) % 2;

        if (atomic_load(&look->words.places[slot].id) == id)
            return atomic_load(&look->words.places[slot].start);
    }
    return UNKNOWN_START;
}

/* Look at a file's header: 1, or 0 if it is gone, no segment of this log, or of a newer version. */
static int read_place(const struct look *look, const char *name, struct place *ret_place,
                      struct nori_error *error)
{
    uint8_t bytes[NW_HEADER_LEN_MAX];
    size_t len = sizeof bytes;
    struct nw_header header;
    int rc;

    ret_place->file_bytes = 0;
    rc = nw_env_read_start(&look->env, name, bytes, &len, &ret_place->file_bytes, error);
    if (rc == NORI_E_NOTFOUND || rc == NORI_E_INVALID)
        return 0;
    if (rc < 0)
        return rc;
    rc = nw_header_decode(bytes, len, &header);
    if (rc == NW_HEADER_NONE) {
        ret_place->begin = 0;
        if (!nw_name_parse(name, &ret_place->id))
            return 0;
        ret_place->start = find_start(look, ret_place->id);
        return 1;
    }
    if (rc != 0 || header.log_id != look->words.log_id)
        return 0;
    ret_place->id = header.segment_id;
    ret_place->start = header.start;
    ret_place->begin = header.header_len;
    return 1;
}

static int look_at_spare(struct look *look, struct place *ret_spare, struct nori_error *error)
{
    int rc = read_place(look, NW_NAME_SPARE, ret_spare, error);

    look->is_newest_in_spare = rc == 1;
    look->spare_bytes = look->is_newest_in_spare ? 0 : ret_spare->file_bytes;
    return rc < 0 ? rc : NORI_OK;
}

/* The segments that positions can lie in. */
static int look_at_segments(struct look *look, const struct nw_chain *listed,
                            const struct place *spare, struct nori_error *error)
{
    char name[NW_NAME_MAX];
    int rc;

    for (size_t i = 0; i < listed->count; i++) {
        if (i >= OLDEST_PLACES && listed->count - i > NEWEST_PLACES)
            i = listed->count - NEWEST_PLACES;
        nw_assert(look->count < PLACES_MAX);
        nw_name_format(name, listed->links[i].id);
        rc = read_place(look, name, &look->places[look->count], error);
        if (rc < 0)
            return rc;
        look->count += rc == 1;
    }
    if (!look->is_newest_in_spare)
        return NORI_OK;
    nw_assert(look->count < PLACES_MAX);
    /* Since it was read it may have got its name. */
    look->is_newest_in_spare =
        listed->count == 0 || listed->links[listed->count - 1].id < spare->id;
    if (look->is_newest_in_spare)
        look->places[look->count++] = *spare;
    return NORI_OK;
}

static struct nori_position position_in(const struct look *look, uint64_t lsn)
{
    struct nori_position position = {0, 0};

    for (size_t i = 0; i < look->count; i++)
        if (look->places[i].start != UNKNOWN_START && look->places[i].start <= lsn)
            position = (struct nori_position){look->places[i].id, lsn - look->places[i].start};
    return position;
}

static void take_places(const struct look *look, struct nori_wal_stats *stats)
{
    const struct place *newest = look->count > 0 ? &look->places[look->count - 1] : NULL;

    for (size_t i = 0; i < look->count && i < OLDEST_PLACES; i++)
        if (look->places[i].start == stats->oldest_lsn ||
            (look->places[i].start == UNKNOWN_START && i == 0))
            stats->oldest = (struct nori_position){look->places[i].id, look->places[i].begin};
    stats->durable = position_in(look, stats->durable_lsn);
    stats->written = position_in(look, stats->written_lsn);
    stats->appended = position_in(look, stats->appended_lsn);
    if (newest && newest->start <= stats->appended_lsn)
        stats->bytes_ahead = grown(stats->appended_lsn - newest->start, newest->file_bytes);
}

static int look_at_log(struct look *look, struct nori_wal_stats *stats, struct nori_error *error)
{
    struct place spare = {0};
    struct nw_chain listed;
    int rc;

    nw_chain_init(&listed, look->env.allocator);
    /* First: it may get its name before the folder is listed. */
    rc = look_at_spare(look, &spare, error);
    if (rc >= 0)
        rc = nw_chain_list(&listed, &look->env, error);
    if (rc >= 0 && stats->is_known)
        rc = look_at_segments(look, &listed, &spare, error);
    if (rc >= 0) {
        stats->segments = listed.count + look->is_newest_in_spare;
        if (stats->is_known && stats->is_writer_alive) /* dead files are not gone yet */
            stats->segments =
                nw_min_u64(stats->segments, nw_stats_get(&look->words.stats.segment_count));
        stats->spare_bytes = look->spare_bytes;
    }
    nw_chain_done(&listed);
    return rc;
}

int nori_log_live_stats(const char *dir, const struct nori_log_options *options,
                        struct nori_wal_stats *ret_stats, struct nori_error *ret_error)
{
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    struct look look = {.count = 0};
    struct nori_log_options full;
    struct nw_staged staged;
    int rc;

    if (!is_good_size(ret_stats))
        return nw_error_set(ret_error, NORI_E_INVALID, 0, NW_NOWHERE,
                            "ret_stats is NULL, or its size is not set: use NORI_WAL_STATS_INIT");
    rc = nw_inspect_begin(dir, options, 0, &look.env, &staged, &full, ret_error);
    if (rc < 0)
        return rc;
    stats.is_writer_alive = staged.is_live;
    note_time(look.env.vfs, &stats);
    rc = nw_control_copy(&look.env, &look.words, ret_error);
    if (rc == 1)
        take_page(&look.words, &stats);
    if (rc >= 0)
        rc = look_at_log(&look, &stats, ret_error);
    if (rc >= 0 && stats.is_known)
        take_places(&look, &stats);
    if (rc >= 0 && stats.segments == 0 && !stats.is_writer_alive)
        rc = nw_error_set(ret_error, NORI_E_NOTFOUND, 0, NW_NOWHERE, "%s: there is no log", dir);
    nw_inspect_end(&look.env);
    if (rc >= 0)
        hand_out(&stats, ret_stats);
    return rc;
}

/* ---- between two looks ---- */

static const size_t count_places[] = {
    offsetof(struct nori_wal_stats, appends),
    offsetof(struct nori_wal_stats, batches),
    offsetof(struct nori_wal_stats, puts),
    offsetof(struct nori_wal_stats, deletes),
    offsetof(struct nori_wal_stats, appended_bytes),
    offsetof(struct nori_wal_stats, room_waits),
    offsetof(struct nori_wal_stats, space_waits),
    offsetof(struct nori_wal_stats, syncs),
    offsetof(struct nori_wal_stats, rolls),
    offsetof(struct nori_wal_stats, drops),
    offsetof(struct nori_wal_stats, errors_io),
    offsetof(struct nori_wal_stats, errors_nospace),
    offsetof(struct nori_wal_stats, errors_refused),
};

static const size_t latency_places[] = {
    offsetof(struct nori_wal_stats, encode), offsetof(struct nori_wal_stats, wait),
    offsetof(struct nori_wal_stats, write),  offsetof(struct nori_wal_stats, sync),
    offsetof(struct nori_wal_stats, wake),
};

static void subtract_latency(struct nori_latency *latency, const struct nori_latency *before)
{
    bool is_max_new = latency->max_ns > before->max_ns;
    uint64_t max_ns = latency->max_ns;

    latency->sum_ns = grown(before->sum_ns, latency->sum_ns);
    for (size_t i = 0; i < NORI_LATENCY_BUCKETS; i++)
        latency->buckets[i] = grown(before->buckets[i], latency->buckets[i]);
    complete(latency);
    if (is_max_new && latency->count > 0)
        latency->max_ns = max_ns;
}

static void subtract(struct nori_wal_stats *stats, const struct nori_wal_stats *before)
{
    for (size_t i = 0; i < sizeof count_places / sizeof *count_places; i++) {
        uint64_t *count = (uint64_t *)(void *)((char *)stats + count_places[i]);

        *count = grown(*(const uint64_t *)(const void *)((const char *)before + count_places[i]),
                       *count);
    }
    for (size_t i = 0; i < sizeof latency_places / sizeof *latency_places; i++)
        subtract_latency(
            (struct nori_latency *)(void *)((char *)stats + latency_places[i]),
            (const struct nori_latency *)(const void *)((const char *)before + latency_places[i]));
    for (size_t i = 0; i < NORI_STALLS_MAX; i++)
        stats->stalls[i] = grown(before->stalls[i], stats->stalls[i]);
    stats->elapsed_ns = grown(before->sampled_ns, stats->sampled_ns);
}

int nori_wal_stats_between(const struct nori_wal_stats *before, const struct nori_wal_stats *after,
                           struct nori_wal_stats *ret_between)
{
    struct nori_wal_stats first = NORI_WAL_STATS_INIT;
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;

    if (!is_good_size(before) || !is_good_size(after) || !is_good_size(ret_between))
        return NORI_E_INVALID;
    memcpy(&first, before, (size_t)nw_min_u64(before->size, sizeof first));
    memcpy(&stats, after, (size_t)nw_min_u64(after->size, sizeof stats));
    if (first.is_known && stats.is_known && first.opened_ms == stats.opened_ms &&
        first.process_id == stats.process_id)
        subtract(&stats, &first);
    hand_out(&stats, ret_between);
    return NORI_OK;
}
