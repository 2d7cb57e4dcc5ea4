/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* metrics.h: the handles that a log got from its meter at open. Without a meter every call here
 * is one branch. */
#ifndef NW_METRICS_H
#define NW_METRICS_H

#include <nori/observe.h>
#include <stdbool.h>

/* clang-format off */
/* kind, handle, name, label, its value, help */
#define NW_METRICS(X) \
    X(COUNTER, records_put, "wal_records_total", "op", "put", \
      "Records appended.") \
    X(COUNTER, records_delete, "wal_records_total", "op", "delete", \
      "Records appended.") \
    X(COUNTER, appends, "wal_appends_total", NULL, NULL, \
      "Append calls that succeeded; a batch is one.") \
    X(COUNTER, append_bytes, "wal_append_bytes_total", NULL, NULL, \
      "Bytes of records written to segments, marks and headers included.") \
    X(COUNTER, append_waits, "wal_append_waits_total", NULL, NULL, \
      "Appends that waited for space or for the next segment.") \
    X(COUNTER, rolls, "wal_segment_rolls_total", NULL, NULL, \
      "Segments ended because a new one was begun.") \
    X(COUNTER, drops, "wal_segments_dropped_total", NULL, NULL, \
      "Segments removed by retention.") \
    X(COUNTER, corruption_truncated, "wal_corruption_truncated_total", NULL, NULL, \
      "Recoveries that left torn bytes behind.") \
    X(COUNTER, errors_io, "wal_errors_total", "kind", "io", \
      "Calls that failed, by kind.") \
    X(COUNTER, errors_nospace, "wal_errors_total", "kind", "nospace", \
      "Calls that failed, by kind.") \
    X(COUNTER, errors_refused, "wal_errors_total", "kind", "refused", \
      "Calls that failed, by kind.") \
    X(COUNTER, stalls_ring, "wal_stalls_total", "cause", "ring", \
      "Waits of an append or a sync over stall_threshold_ms, by what they waited for.") \
    X(COUNTER, stalls_write, "wal_stalls_total", "cause", "write", \
      "Waits of an append or a sync over stall_threshold_ms, by what they waited for.") \
    X(COUNTER, stalls_sync, "wal_stalls_total", "cause", "sync", \
      "Waits of an append or a sync over stall_threshold_ms, by what they waited for.") \
    X(COUNTER, stalls_segment, "wal_stalls_total", "cause", "segment", \
      "Waits of an append or a sync over stall_threshold_ms, by what they waited for.") \
    X(COUNTER, stalls_space, "wal_stalls_total", "cause", "space", \
      "Waits of an append or a sync over stall_threshold_ms, by what they waited for.") \
    X(COUNTER, stalls_lock, "wal_stalls_total", "cause", "lock", \
      "Waits of an append or a sync over stall_threshold_ms, by what they waited for.") \
    X(GAUGE, segments, "wal_segments", NULL, NULL, \
      "Segments that the log consists of.") \
    X(GAUGE, durable_lag_bytes, "wal_durable_lag_bytes", NULL, NULL, \
      "Bytes appended but not yet durable, as of the end of the last sync.") \
    X(GAUGE, appended_lsn, "wal_appended_bytes", NULL, NULL, \
      "Position of the end of the log in bytes since it began, as of the last sync or roll.") \
    X(GAUGE, durable_lsn, "wal_durable_bytes", NULL, NULL, \
      "Position up to which the log is durable in bytes since it began.") \
    X(GAUGE, failed, "wal_failed", NULL, NULL, \
      "1 if the log has failed and must be reopened, else 0.") \
    X(GAUGE, recovery_records, "wal_recovery_records", NULL, NULL, \
      "Records that the last open found.") \
    X(GAUGE, recovery_torn_bytes, "wal_recovery_truncated_bytes", NULL, NULL, \
      "Torn bytes that the last open left behind.") \
    X(HISTOGRAM, fsync_ms, "wal_fsync_ms", NULL, NULL, \
      "Time of a sync in milliseconds; kept for the original, see wal_fsync_seconds.") \
    X(HISTOGRAM, fsync_seconds, "wal_fsync_seconds", NULL, NULL, \
      "Time of a sync.") \
    X(HISTOGRAM, sync_bytes, "wal_sync_bytes", NULL, NULL, \
      "Bytes that a sync made durable.") \
    X(HISTOGRAM, batch_records, "wal_batch_records", NULL, NULL, \
      "Records in an atomic batch.") \
    X(HISTOGRAM, roll_seconds, "wal_roll_seconds", NULL, NULL, \
      "Time that an append took to begin a new segment, waits included.") \
    X(HISTOGRAM, stage_encode, "wal_stage_seconds", "stage", "encode", \
      "Time of one stage of an append or a sync.") \
    X(HISTOGRAM, stage_wait, "wal_stage_seconds", "stage", "wait", \
      "Time of one stage of an append or a sync.") \
    X(HISTOGRAM, stage_write, "wal_stage_seconds", "stage", "write", \
      "Time of one stage of an append or a sync.") \
    X(HISTOGRAM, stage_sync, "wal_stage_seconds", "stage", "sync", \
      "Time of one stage of an append or a sync.") \
    X(HISTOGRAM, stage_wake, "wal_stage_seconds", "stage", "wake", \
      "Time of one stage of an append or a sync.") \
    X(HISTOGRAM, wait_seconds, "wal_append_wait_seconds", NULL, NULL, \
      "Time that an append waited for space or for the next segment.") \
    X(HISTOGRAM, recovery_seconds, "wal_recovery_seconds", NULL, NULL, \
      "Time that open took to recover the log.")
/* clang-format on */

struct nw_metrics {
    struct nori_meter meter; /* a copy in its newest form; all zero without one */
    uint32_t node_id;
    bool is_on;
#define NW_METRIC_MEMBER(kind, handle, name, label, value, help) void *handle;
    NW_METRICS(NW_METRIC_MEMBER)
#undef NW_METRIC_MEMBER
};

/* Ask the meter (NULL: none) for all handles. */
void nw_metrics_init(struct nw_metrics *metrics, const struct nori_meter *meter,
                     const char *log_name, uint32_t node_id);

/* All do nothing without a meter, or if the meter did not want that one. Any thread. */
void nw_metrics_add(const struct nw_metrics *metrics, void *counter, uint64_t amount);
void nw_metrics_set(const struct nw_metrics *metrics, void *gauge, uint64_t value);
void nw_metrics_observe(const struct nw_metrics *metrics, void *histogram, double value);

/* Fills in size and node_id. */
void nw_metrics_emit(const struct nw_metrics *metrics, struct nori_event event);

#endif
