/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * stats.c: numbers that a log always keeps, in the page of `control`.
 *
 * What. Each life of a log begins with zeros. Appends count under their lock with plain stores, all
 * others with relaxed additions. A duration is measured once, by whoever knows it, and goes from
 * here to the buckets in the page and to the meter's histogram.
 *
 * Not here. What the words mean: stats.h. What a meter gets: observe/metrics.h.
 */
#include "wal/log.h"

static uint64_t process_id(const struct nori_vfs *vfs)
{
    return NW_HAS_MEMBER(vfs, process_id) && vfs->process_id ? vfs->process_id(vfs->context) : 0;
}

/* `layout` goes first and comes last: nobody takes the words of two lives for those of one. */
static void clear(struct nw_stats *stats)
{
    _Atomic uint64_t *words = (void *)stats;

    for (size_t i = 0; i < sizeof *stats / sizeof *words; i++)
        nw_stats_set(&words[i], 0);
}

void nw_stats_begin(struct nori_wal *wal)
{
    struct nw_stats *stats = &wal->control->words->stats;
    const struct nori_vfs *vfs = wal->env.vfs;

    clear(stats);
    nw_stats_set(&stats->process_id, process_id(vfs));
    nw_stats_set(&stats->opened_ms, vfs->realtime_ms(vfs->context));
    nw_stats_set(&stats->opened_lsn, atomic_load(&wal->published_lsn));
    nw_stats_set(&stats->opened_sequence, wal->next_sequence);
    nw_stats_set(&stats->format_policy,
                 (uint64_t)wal->config.format << 32 | wal->config.fsync_policy);
    nw_stats_set(&stats->window_us, wal->config.batch_window_us);
    nw_stats_set(&stats->ring_len, wal->ring_len);
    nw_stats_set(&stats->segment_size_max, wal->config.max_segment_size);
    nw_stats_set(&stats->next_sequence, wal->next_sequence);
    nw_stats_set(&stats->segment_count, wal->segment_count);
    atomic_store(&stats->layout, NW_STATS_LAYOUT);
}

static size_t bucket_of(uint64_t ns)
{
    uint64_t units = ns >> NW_STATS_BUCKET_SHIFT;
    size_t bucket = units == 0 ? 0 : (size_t)(64 - __builtin_clzll(units));

    return bucket < NW_STATS_BUCKETS ? bucket : NW_STATS_BUCKETS - 1;
}

static void *histogram_of(const struct nw_metrics *metrics, enum nw_stage stage)
{
    void *const histograms[NW_STAGE_COUNT] = {
        [NW_STAGE_ENCODE] = metrics->stage_encode, [NW_STAGE_WAIT] = metrics->stage_wait,
        [NW_STAGE_WRITE] = metrics->stage_write,   [NW_STAGE_SYNC] = metrics->stage_sync,
        [NW_STAGE_WAKE] = metrics->stage_wake,
    };

    return histograms[stage];
}

void nw_stats_stage(struct nori_wal *wal, enum nw_stage stage, uint64_t ns)
{
    struct nw_stats *stats = &wal->control->words->stats;

    nw_assert(stage < NW_STAGE_COUNT);
    nw_stats_add(&stats->stages[stage][bucket_of(ns)], 1);
    nw_stats_add(&stats->stage_ns[stage], ns);
    nw_stats_raise(&stats->stage_max_ns[stage], ns);
    nw_metrics_observe(&wal->metrics, histogram_of(&wal->metrics, stage), (double)ns / 1e9);
}

void nw_stats_waited(struct nori_wal *wal, _Atomic uint64_t *counter, uint64_t begun_ns)
{
    uint64_t ns = nw_now_ns(wal) - begun_ns;

    nw_stats_add(counter, 1);
    nw_stats_stage(wal, NW_STAGE_WAIT, ns);
    nw_metrics_add(&wal->metrics, wal->metrics.append_waits, 1);
    nw_metrics_observe(&wal->metrics, wal->metrics.wait_seconds, (double)ns / 1e9);
}
