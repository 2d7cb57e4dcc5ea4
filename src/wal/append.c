/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * append.c: records into the log.
 *
 * What. An append is planned without a lock: arguments checked, values compressed, the length
 * known. Then, under the append lock, it gets its place: a new segment is begun if the current one
 * has no room, a mark is set if one is due, owned space is required (D9), and the bytes go where
 * they outlive the process (D2, stage.c). After that the policy decides whether to wait for a sync.
 *
 * A batch is never split over segments, and each of its records but the last says that the batch
 * goes on (D4). Format 1 cannot say that: its batches are written together, no more.
 *
 * Failure. Nothing is published before all of it is written. What fails before the first byte
 * changes nothing.
 *
 * Not here. Files, segments and space: roll.c, space.c. Group commit: sync.c.
 */
#include "base/crc32c.h"
#include "base/probe.h"
#include "format/control_record.h"
#include "wal/log.h"

#include <string.h>

#define MARK_EVERY      ((uint64_t)64 << 10) /* bytes of log between two marks */
#define MARK_AFTER_SYNC ((uint64_t)4 << 10)  /* with a new watermark, after as many */

#define RECORD_FLAGS \
    (NORI_RECORD_TOMBSTONE | NORI_RECORD_TTL | NORI_RECORD_TIME | NORI_RECORD_VERSION)

NW_PROBE_HERE(append)

/* What was found out about an append without a lock. */
struct plan {
    const struct nori_record *records;
    size_t count;
    uint32_t format;
    uint64_t now_ms; /* for records with a TTL and no time */
    uint64_t bytes;  /* of the encoded records */
    uint64_t puts, deletes;
    bool is_sampled;             /* it is measured how long encoding takes */
    uint64_t encode_ns;          /* so far */
    struct nw_scratch *scratch;  /* NULL: nothing is compressed */
    struct nw_record_head first; /* of the first record, which often is the only one */
};

/* What a compressed value looks like in the scratch: its length, then as many bytes. Length 0:
 * stored as it is. */
struct stored {
    const void *data;
    uint64_t len;
    uint32_t compression;
};

static bool is_sample(const struct nori_wal *wal)
{
    const struct nw_stats *stats = &wal->control->words->stats;

    return atomic_load_explicit(&stats->appends, memory_order_relaxed) % NW_STATS_SAMPLE == 0;
}

/* Out of the way of those that are not measured. */
__attribute__((cold, noinline)) static uint64_t look_at_clock(const struct nori_wal *wal)
{
    return nw_now_ns(wal);
}

static void begin_encoding(const struct nori_wal *wal, struct plan *plan)
{
    if (plan->is_sampled)
        plan->encode_ns -= look_at_clock(wal);
}

static void end_encoding(const struct nori_wal *wal, struct plan *plan)
{
    if (plan->is_sampled)
        plan->encode_ns += look_at_clock(wal);
}

static int refuse(struct nori_error *error, int code, const char *what)
{
    return nw_error_set(error, code, 0, NW_NOWHERE, "append: %s", what);
}

static int check_record(const struct nori_wal *wal, const struct nori_record *record,
                        struct nori_error *error)
{
    if ((record->key_len > 0 && !record->key) || (record->value_len > 0 && !record->value))
        return refuse(error, NORI_E_INVALID, "key or value is NULL, but its length is not zero");
    if (record->flags & ~(RECORD_FLAGS | NORI_RECORD_BATCH_CONTINUES))
        return refuse(error, NORI_E_INVALID, "unknown bits in record flags");
    if (record->compression > NORI_COMPRESSION_ZSTD)
        return refuse(error, NORI_E_INVALID, "compression is none of NORI_COMPRESSION_*");
    for (size_t i = 0; i < sizeof record->reserved / sizeof record->reserved[0]; i++)
        if (record->reserved[i] != 0)
            return refuse(error, NORI_E_INVALID, "reserved fields of the record are not zero");
    if ((record->flags & NORI_RECORD_TIME) && wal->config.format == 1)
        return refuse(error, NORI_E_UNSUPPORTED, "records of format 1 have no time");
    if (!nw_compress_is_offered(record->compression)) /* GCOVR_EXCL_BR_LINE: lean builds only */
        return refuse(error, NORI_E_UNSUPPORTED, "this build does not offer that compression");
    return NORI_OK;
}

static int check_records(const struct nori_wal *wal, const struct nori_record *records,
                         size_t count, bool *ret_is_compressed, struct nori_error *error)
{
    uint64_t sum = 0;

    *ret_is_compressed = false;
    if (!records || count == 0)
        return refuse(error, NORI_E_INVALID, "no record is given");
    for (size_t i = 0; i < count; i++) {
        int rc = check_record(wal, &records[i], error);

        if (rc < 0)
            return rc;
        if (nw_add_overflow(sum, records[i].key_len, &sum) ||
            nw_add_overflow(sum, records[i].value_len, &sum) || sum > wal->config.max_record_size)
            return nw_error_set(error, NORI_E_TOOBIG, 0, NW_NOWHERE,
                                "append: keys and values are over max_record_size, %llu bytes",
                                (unsigned long long)wal->config.max_record_size);
        *ret_is_compressed |= records[i].compression != NORI_COMPRESSION_NONE;
    }
    return NORI_OK;
}

static struct nw_scratch *borrow_scratch(struct nori_wal *wal)
{
    struct nw_scratch *scratch;

    nw_lock(wal, wal->mutex);
    scratch = wal->scratches;
    if (scratch)
        wal->scratches = scratch->next;
    nw_unlock(wal, wal->mutex);
    if (scratch)
        return scratch;
    scratch = nw_alloc_zero(wal->env.allocator, sizeof *scratch);
    if (!scratch)
        return NULL;
    nw_buffer_init(&scratch->values, wal->env.allocator, SIZE_MAX / 2);
    scratch->compressor = nw_compressor_new(wal->env.allocator);
    if (!scratch->compressor) {
        nw_free(wal->env.allocator, scratch);
        return NULL;
    }
    return scratch;
}

static void return_scratch(struct nori_wal *wal, struct nw_scratch *scratch)
{
    if (!scratch)
        return;
    nw_lock(wal, wal->mutex);
    scratch->next = wal->scratches;
    wal->scratches = scratch;
    nw_unlock(wal, wal->mutex);
}

/* Compress all values that ask for it into the scratch, each behind its length. */
static int compress_values(struct plan *plan, struct nori_error *error)
{
    struct nw_buffer *values = &plan->scratch->values;

    values->len = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct nori_record *record = &plan->records[i];
        size_t len = 0;
        int rc;

        if (record->compression == NORI_COMPRESSION_NONE)
            continue;
        rc = nw_buffer_reserve(values, values->len + sizeof(uint64_t));
        if (rc < 0)
            return nw_no_memory(error);
        values->len += sizeof(uint64_t);
        rc = nw_compress(plan->scratch->compressor, record->compression, record->value,
                         record->value_len, values, &len);
        if (rc < 0)
            return refuse(error, rc == NORI_E_TOOBIG ? NORI_E_NOMEM : rc, "compress a value");
        nw_assert(len < record->value_len || len == 0);
        nw_put_u64(values->data + values->len - sizeof(uint64_t), len);
        values->len += len;
    }
    return NORI_OK;
}

/* The value of record i as it is stored; *scratch_at goes from one compressed value to the next. */
static struct stored stored_value(const struct plan *plan, size_t i, size_t *scratch_at)
{
    const struct nori_record *record = &plan->records[i];
    struct stored plain = {record->value, record->value_len, NORI_COMPRESSION_NONE};
    const uint8_t *at;
    uint64_t len;

    if (record->compression == NORI_COMPRESSION_NONE)
        return plain;
    at = plan->scratch->values.data + *scratch_at;
    len = nw_get_u64(at);
    *scratch_at += sizeof(uint64_t) + (size_t)len;
    if (len == 0)
        return plain;
    return (struct stored){at + sizeof(uint64_t), len, record->compression};
}

/* The library sets the time of a record that has a TTL and none; format 1 has no place for it. */
static bool needs_time(const struct plan *plan, const struct nori_record *record)
{
    return plan->format == 2 && (record->flags & NORI_RECORD_TTL) &&
           !(record->flags & NORI_RECORD_TIME);
}

/* What stands before the key of record i. */
static void encode_head(const struct plan *plan, size_t i, const struct stored *stored,
                        struct nw_record_head *head)
{
    const struct nori_record *record = &plan->records[i];
    bool goes_on = plan->format == 2 && i + 1 < plan->count && !NW_PLANT("batch-not-atomic");

    if (needs_time(plan, record)) {
        struct nori_record timed = *record;

        timed.flags |= NORI_RECORD_TIME;
        timed.time_ms = plan->now_ms;
        nw_record_head_encode(head, &timed, stored->len, stored->compression, goes_on);
        return;
    }
    nw_record_head_encode(head, record, stored->len, stored->compression, goes_on);
}

static int make_plan(struct nori_wal *wal, struct plan *plan, struct nori_error *error)
{
    bool is_compressed;
    bool has_time = false;
    size_t scratch_at = 0;
    int rc = check_records(wal, plan->records, plan->count, &is_compressed, error);

    if (rc < 0)
        return rc;
    if (is_compressed) {
        plan->scratch = borrow_scratch(wal);
        if (!plan->scratch)
            return nw_no_memory(error);
        rc = compress_values(plan, error);
        if (rc < 0)
            return rc;
    }
    for (size_t i = 0; i < plan->count; i++) {
        const struct nori_record *record = &plan->records[i];
        struct nw_record_head other;
        struct nw_record_head *head = i == 0 ? &plan->first : &other;
        struct stored stored = stored_value(plan, i, &scratch_at);

        if (!has_time && needs_time(plan, record)) {
            plan->now_ms = wal->env.vfs->realtime_ms(wal->env.vfs->context);
            has_time = true;
        }
        encode_head(plan, i, &stored, head);
        plan->bytes += head->len + record->key_len + stored.len + NW_RECORD_CRC_LEN;
        plan->deletes += (record->flags & NORI_RECORD_TOMBSTONE) != 0;
    }
    plan->puts = plan->count - plan->deletes;
    if (plan->bytes > 2 * NW_RECORD_MAX) /* GCOVR_EXCL_BR_LINE: of very many empty records */
        return refuse(error, NORI_E_TOOBIG, "the batch takes more than 2 GiB");
    return NORI_OK;
}

/* A mark is due every 64 KiB of log, and after a sync once 4 KiB have gone by since the last. */
static bool is_mark_due(const struct nori_wal *wal)
{
    uint64_t since = wal->offset - wal->mark_offset;

    if (wal->config.format == 1)
        return false; /* it has no records of the log's own */
    return since >= MARK_EVERY ||
           (since >= MARK_AFTER_SYNC && atomic_load(&wal->durable_lsn) > wal->mark_durable_lsn);
}

static int put_mark(struct nori_wal *wal, struct nori_error *error)
{
    uint8_t bytes[NW_MARK_LEN];
    struct nw_mark mark = {.salt = wal->current->salt,
                           .log_id = wal->log_id,
                           .next_sequence = wal->next_sequence,
                           .durable_lsn = NW_PLANT("mark-too-early")
                                              ? atomic_load(&wal->published_lsn)
                                              : atomic_load(&wal->durable_lsn),
                           .time_ms = wal->env.vfs->realtime_ms(wal->env.vfs->context)};

    nw_assert(mark.durable_lsn <= wal->current->start + wal->offset);
    nw_mark_encode(bytes, &mark, wal->offset);
    wal->mark_offset = wal->offset;
    wal->mark_durable_lsn = mark.durable_lsn;
    return nw_stage_put(wal, bytes, sizeof bytes, error);
}

int nw_append_mark(struct nori_wal *wal, struct nori_error *error)
{
    int rc;

    if (wal->config.format == 1)
        return NORI_OK;
    if (wal->must_roll || wal->offset + NW_MARK_LEN > atomic_load(&wal->current->owned))
        return NORI_OK; /* no room for it: only a little of the next recovery's time is lost */
    rc = nw_stage_begin(wal, NW_MARK_LEN, error);
    if (rc >= 0)
        rc = put_mark(wal, error);
    if (rc >= 0)
        rc = nw_stage_end(wal, error);
    return rc == NORI_E_NOSPACE ? NORI_OK : rc; /* likewise */
}

/* Have a current segment with owned room for `bytes`, and for a mark before and behind them. */
static int make_room(struct nori_wal *wal, uint64_t bytes, struct nori_error *error)
{
    uint64_t need = bytes + (wal->config.format == 1 ? 0 : 2 * (uint64_t)NW_MARK_LEN);
    bool is_over = wal->current && wal->offset + need > wal->config.max_segment_size &&
                   wal->offset > wal->current->begin;
    int rc = nw_log_check(wal, error);

    if (rc < 0)
        return rc;
    if (!wal->current || wal->must_roll || is_over) {
        rc = nw_roll(wal, error);
        if (rc < 0)
            return rc;
    }
    return NW_PLANT("write-into-space-not-owned")
               ? NORI_OK
               : nw_space_require(wal, wal->offset + need, error);
}

/* A record goes where the ring has one piece of memory for it. */
static void copy_record(uint8_t *at, const struct nw_record_head *head,
                        const struct nori_record *record, const struct stored *stored,
                        const struct nw_record_place *place)
{
    uint32_t crc = nw_crc32c_copy(0, at, head->bytes, head->len);

    at += head->len;
    crc = nw_crc32c_copy(crc, at, record->key, record->key_len);
    at += record->key_len;
    crc = nw_crc32c_copy(crc, at, stored->data, (size_t)stored->len);
    at += stored->len;
    nw_put_u32(at, nw_record_crc(place, crc));
}

/* A record goes in pieces, around the ring's end or through it. */
static int put_pieces(struct nori_wal *wal, const struct nw_record_head *head,
                      const struct nori_record *record, const struct stored *stored,
                      const struct nw_record_place *place, struct nori_error *error)
{
    uint8_t checksum[NW_RECORD_CRC_LEN];
    int rc;

    nw_stage_begin_sum(wal);
    rc = nw_stage_put(wal, head->bytes, head->len, error);
    if (rc >= 0)
        rc = nw_stage_put(wal, record->key, record->key_len, error);
    if (rc >= 0)
        rc = nw_stage_put(wal, stored->data, (size_t)stored->len, error);
    if (rc < 0)
        return rc;
    nw_put_u32(checksum, nw_record_crc(place, nw_stage_sum(wal)));
    return nw_stage_put(wal, checksum, sizeof checksum, error);
}

/* Record i, behind what was put before. */
static int put_record(struct nori_wal *wal, const struct plan *plan, size_t i, size_t *scratch_at,
                      struct nori_error *error)
{
    const struct nori_record *record = &plan->records[i];
    struct stored stored = stored_value(plan, i, scratch_at);
    struct nw_record_place place = {plan->format, wal->current->salt, wal->offset};
    const struct nw_record_head *head = &plan->first;
    struct nw_record_head other;
    uint8_t *at;
    size_t len;

    if (i > 0) {
        encode_head(plan, i, &stored, &other);
        head = &other;
    }
    len = head->len + record->key_len + (size_t)stored.len + NW_RECORD_CRC_LEN;
    at = nw_stage_place(wal, len);
    if (!at)
        return put_pieces(wal, head, record, &stored, &place, error);
    nw_stage_expect(wal, len);
    copy_record(at, head, record, &stored, &place);
    wal->offset += len;
    return NORI_OK;
}

/* append lock held */
static void count_append(struct nori_wal *wal, const struct plan *plan)
{
    struct nw_stats *stats = &wal->control->words->stats;

    nw_stats_set(&stats->next_sequence, wal->next_sequence);
    nw_stats_count(&stats->appends, 1);
    if (plan->deletes > 0)
        nw_stats_count(&stats->deletes, plan->deletes);
    if (plan->count > 1)
        nw_stats_count(&stats->batches, 1);
}

/* The whole plan into the log, or nothing. append lock held. */
static int write_plan(struct nori_wal *wal, struct plan *plan, struct nori_position *ret_first,
                      struct nori_error *error)
{
    size_t scratch_at = 0;
    uint64_t begin;
    uint64_t mark_offset = wal->mark_offset;
    uint64_t mark_durable_lsn = wal->mark_durable_lsn;
    uint64_t mark_len;
    int rc = make_room(wal, plan->bytes, error);

    if (rc < 0)
        return rc;
    begin = wal->offset;
    mark_len = is_mark_due(wal) ? NW_MARK_LEN : 0;
    rc = nw_stage_begin(wal, plan->bytes + mark_len, error);
    if (rc >= 0 && mark_len > 0 && !(NW_PLANT("mark-inside-batch") && plan->count > 1))
        rc = put_mark(wal, error);
    begin += mark_len;
    begin_encoding(wal, plan);
    for (size_t i = 0; rc >= 0 && i < plan->count; i++) {
        rc = put_record(wal, plan, i, &scratch_at, error);
        if (NW_PLANT("mark-inside-batch") && rc >= 0 && i == 0 && mark_len > 0 && plan->count > 1)
            rc = put_mark(wal, error);
    }
    end_encoding(wal, plan);
    nw_assert(rc < 0 || wal->offset == begin + plan->bytes);
    if (rc >= 0)
        rc = nw_stage_end(wal, error);
    if (rc < 0) {
        /* A failed piece of a large batch: the end goes back to where it was. */
        wal->offset = atomic_load(&wal->published_lsn) - wal->current->start;
        wal->mark_offset = mark_offset;
        wal->mark_durable_lsn = mark_durable_lsn;
        return rc;
    }
    *ret_first = (struct nori_position){wal->current->id, begin};
    wal->next_sequence += plan->count;
    count_append(wal, plan);
    nw_space_check(wal);
    return NORI_OK;
}

/* Where each record lies, now that all of them do. */
static void fill_positions(const struct plan *plan, struct nori_position first,
                           struct nori_position *ret_positions)
{
    size_t scratch_at = 0;

    for (size_t i = 0; i < plan->count; i++) {
        struct nw_record_head head;
        struct stored stored = stored_value(plan, i, &scratch_at);

        ret_positions[i] = first;
        encode_head(plan, i, &stored, &head);
        first.offset += head.len + plan->records[i].key_len + stored.len + NW_RECORD_CRC_LEN;
    }
}

static void report_append(struct nori_wal *wal, const struct plan *plan)
{
    const struct nw_metrics *metrics = &wal->metrics;

    if (plan->is_sampled && plan->bytes <= wal->ring_len) /* else it was written in between */
        nw_stats_stage(wal, NW_STAGE_ENCODE, plan->encode_ns);
    if (!metrics->is_on)
        return;
    nw_metrics_add(metrics, metrics->appends, 1);
    nw_metrics_add(metrics, metrics->append_bytes, plan->bytes);
    if (plan->puts > 0)
        nw_metrics_add(metrics, metrics->records_put, plan->puts);
    if (plan->deletes > 0)
        nw_metrics_add(metrics, metrics->records_delete, plan->deletes);
    if (plan->count > 1)
        nw_metrics_observe(metrics, metrics->batch_records, (double)plan->count);
}

int nori_wal_append_batch(nori_wal *wal, const struct nori_record *records, size_t count,
                          struct nori_position *ret_positions)
{
    struct nori_error error;
    struct plan plan;
    struct nori_position first = {0, 0};
    uint64_t end_lsn = 0;
    int rc = nw_log_enter(wal);

    if (rc < 0)
        return rc;
    nw_error_begin(&error);
    plan = (struct plan){.records = records, .count = count, .format = wal->config.format};
    plan.is_sampled = is_sample(wal);
    begin_encoding(wal, &plan);
    rc = make_plan(wal, &plan, &error);
    end_encoding(wal, &plan);
    if (rc >= 0) {
        nw_append_lock(wal);
        rc = write_plan(wal, &plan, &first, &error);
        end_lsn = atomic_load(&wal->published_lsn);
        nw_append_unlock(wal);
    }
    if (rc >= 0) {
        NW_PROBE(append, wal->name, first.segment_id, first.offset, plan.bytes, plan.count);
        report_append(wal, &plan);
        if (!wal->has_shared_ring) /* else the writer thread does, under `batch` */
            nw_sync_note_append(wal, nw_now_ns(wal));
        if (wal->config.fsync_policy == NORI_FSYNC_ALWAYS && !NW_PLANT("always-without-wait"))
            rc = nw_sync_to(wal, end_lsn, &error);
    }
    if (rc >= 0 && ret_positions)
        fill_positions(&plan, first, ret_positions);
    return_scratch(wal, plan.scratch);
    return nw_log_leave(wal, rc, &error);
}

int nori_wal_append(nori_wal *wal, const struct nori_record *record,
                    struct nori_position *ret_position)
{
    return nori_wal_append_batch(wal, record, 1, ret_position);
}
