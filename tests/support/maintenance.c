/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* maintenance.c: public calls on small logs of all kinds, and what they answer, as text. */
#include "maintenance.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- the logs ---- */

const struct disk disks[] = {
    {"closed", SAMPLE_CLOSED, WHOLE, 0},
    {"killed", SAMPLE_KILLED, WHOLE, 0},
    {"torn", SAMPLE_KILLED, TORN, 2},
    {"ring", SAMPLE_STAGED, WHOLE, 0},
    {"no-control", SAMPLE_NO_CONTROL, WHOLE, 0},
    {"foreign-control", SAMPLE_CLOSED, FOREIGN, 0},
    {"damaged", SAMPLE_CLOSED, FLIPPED, 1},
    {"damaged-end", SAMPLE_NO_CONTROL, FLIPPED, 2},
    {"damaged-ring", SAMPLE_STAGED, FLIPPED, 0},
    {"damaged-header", SAMPLE_CLOSED, HEADLESS, 2},
    {"missing", SAMPLE_KILLED, MISSING, 1},
    {"mended", SAMPLE_CLOSED, MENDED, 1},
    {"format1", SAMPLE_FORMAT1, WHOLE, 0},
    {"format1-damaged", SAMPLE_FORMAT1, FLIPPED, 1},
    {"mixed", SAMPLE_MIXED, WHOLE, 0},
    {"nothing", SAMPLE_CLOSED, NOTHING, 0},
};

static void flip(nori_sim *sim, const char *path, uint64_t offset)
{
    uint8_t byte = 0;
    size_t got;

    assert_true(nori_sim_file_read(sim, path, offset, &byte, 1, &got) >= 0 && got == 1);
    byte ^= 0x55;
    assert_true(nori_sim_file_poke(sim, path, offset, &byte, 1) >= 0);
}

static uint64_t last_record_in(const struct sample *sample, size_t file)
{
    uint64_t offset = 0;

    for (size_t i = 0; i < sample->record_count; i++)
        if (sample->records[i].file == file && sample->records[i].end > 1)
            offset = sample->records[i].position.offset;
    return offset;
}

static void salvage(nori_sim *sim)
{
    struct nori_wal_config config = sample_config(sim, NORI_RECOVER_SALVAGE, NORI_VERIFY_FULL);
    nori_wal *wal = NULL;

    assert_int_equal(nori_wal_open(&config, &wal, NULL, NULL), NORI_OK);
    assert_int_equal(nori_wal_close(wal), NORI_OK);
}

nori_sim *make_disk(const struct disk *disk)
{
    struct sample *sample = sample_shared(disk->kind);
    const struct sample_file *file = &sample->files[disk->file];
    nori_sim *sim;

    if (disk->damage == NOTHING)
        return nori_sim_new(NULL);
    nori_sim_crash_kill(sample->sim, &sim);
    if (disk->damage == FLIPPED || disk->damage == MENDED)
        flip(sim, file->path, file->format == 2 ? 140 : 12);
    else if (disk->damage == TORN)
        flip(sim, file->path, last_record_in(sample, disk->file) + 4);
    else if (disk->damage == HEADLESS)
        flip(sim, file->path, 50);
    else if (disk->damage == FOREIGN)
        flip(sim, SAMPLE_DIR "/control", 16);
    else if (disk->damage == MISSING)
        assert_true(nori_sim_file_unlink(sim, file->path) >= 0);
    if (disk->damage == MENDED)
        salvage(sim);
    nori_sim_sync_all(sim);
    return sim;
}

/* ---- one call, and what it answers ---- */

void complain(struct stage *stage, const char *format, ...)
{
    va_list arguments;

    if (stage->is_broken)
        return; /* the first one counts */
    stage->is_broken = true;
    va_start(arguments, format);
    (void)vsnprintf(stage->why, sizeof stage->why, format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 2, 3))) static void say(struct stage *stage, const char *format, ...)
{
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(stage->text + stage->len, MAINTENANCE_TEXT_LEN - stage->len, format, arguments);
    va_end(arguments);
    assert_true(len >= 0 && (size_t)len < MAINTENANCE_TEXT_LEN - stage->len);
    stage->len += (size_t)len;
}

int code_of(int32_t os_errno)
{
    switch (os_errno) {
    case ENOMEM:
        return NORI_E_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NORI_E_NOSPACE;
    case EROFS:
        return NORI_E_READONLY;
    default:
        return NORI_E_IO;
    }
}

/* Of the fault, not an answer that the log itself gives. */
static bool is_of_fault(const struct stage *stage, int rc)
{
    return nori_sim_did_fail(stage->sim) &&
           (rc == code_of(stage->fault.os_errno) || rc == NORI_E_IO || rc == NORI_E_FAILED);
}

/* The call answered rc: its last line. An error of the fault tells its cause, and ends the call. */
static void end_with(struct stage *stage, int rc, const struct nori_error *error)
{
    const char *cause = strerror(stage->fault.os_errno);

    stage->rc = rc;
    if (!is_of_fault(stage, rc)) {
        say(stage, "= %s %s\n", nori_error_name(rc), rc < 0 ? error->message : "");
        return;
    }
    stage->has_ended = true;
    if (rc != code_of(stage->fault.os_errno) &&
        (stage->fault.mask == NORI_SIM_MEMORY || rc != NORI_E_IO))
        complain(stage, "it gives %s: %s", nori_error_name(rc), error->message);
    if (error->code != rc)
        complain(stage, "it gives %s, its error says %s: %s", nori_error_name(rc),
                 nori_error_name(error->code), error->message);
    if (strstr(error->message, nori_strerror(NORI_E_NOMEM)) && rc == NORI_E_NOMEM)
        return;
    if (error->os_errno != stage->fault.os_errno || !strstr(error->message, cause) ||
        error->message[0] == ':')
        complain(stage, "the message does not tell the cause (errno %d): %s", error->os_errno,
                 error->message);
}

static const char *text_of(const char *text)
{
    return text ? text : "-";
}

static int note_item(void *context, const struct nori_log_item *item)
{
    struct stage *stage = context;
    uint64_t sum = 0;

    if (item->kind == NORI_LOG_PROGRESS)
        return 0;
    for (size_t i = 0; i < item->data_len; i++)
        sum = sum * 31 + ((const uint8_t *)item->data)[i];
    say(stage, "%u.%u %d %u.%u %s %llu:%llu %llu/%llu %llu@%llu %llu-%llu/%llu %llu %llu/%llu %llx",
        item->kind, item->severity, item->code, item->state, item->format, text_of(item->file),
        (unsigned long long)item->position.segment_id, (unsigned long long)item->position.offset,
        (unsigned long long)item->bytes, (unsigned long long)item->bytes_total,
        (unsigned long long)item->records, (unsigned long long)item->first_sequence,
        (unsigned long long)item->start_lsn, (unsigned long long)item->end_lsn,
        (unsigned long long)item->durable_lsn, (unsigned long long)item->segments,
        (unsigned long long)item->bytes_quarantined, (unsigned long long)item->records_lost,
        (unsigned long long)sum);
    say(stage, " %s (%s)\n", text_of(item->message), text_of(item->advice));
    return 0;
}

static struct nori_log_options options_of(const struct stage *stage)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.vfs = nori_sim_vfs(stage->sim);
    options.allocator = nori_sim_allocator(stage->sim);
    return options;
}

static void verify(struct stage *stage)
{
    struct nori_log_options options = options_of(stage);
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_verify(SAMPLE_DIR, &options, note_item, stage, &error);

    end_with(stage, rc, &error);
}

static void stat_log(struct stage *stage)
{
    struct nori_log_options options = options_of(stage);
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_stat(SAMPLE_DIR, &options, note_item, stage, &error);

    end_with(stage, rc, &error);
}

static void repair(struct stage *stage)
{
    struct nori_log_options options = options_of(stage);
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    options.flags = stage->call->how;
    rc = nori_log_repair(SAMPLE_DIR, &options, note_item, stage, &error);
    end_with(stage, rc, &error);
}

/* how: 0 an overview; 1 a header; 2 a record; 3 a mark or what is behind the last record. */
static void explain(struct stage *stage)
{
    struct nori_log_options options = options_of(stage);
    struct nori_error error = NORI_ERROR_INIT;
    const struct sample_file *file = &stage->sample->files[1];
    int rc;

    options.position.segment_id = stage->call->how > 0 ? file->id : 0;
    if (stage->call->how == 1)
        options.position.offset = 3;
    else if (stage->call->how == 2)
        options.position.offset = last_record_in(stage->sample, 1) + 2;
    else if (stage->call->how == 3)
        options.position.offset = file->mark_count > 0 ? file->marks[0].offset : file->end + 3;
    rc = nori_log_explain(SAMPLE_DIR, &options, note_item, stage, &error);
    end_with(stage, rc, &error);
}

static void say_stats(struct stage *stage, const struct nori_wal_stats *stats)
{
    say(stage, "alive %u known %u closed %u format %u segments %llu bytes %llu spare %llu ",
        stats->is_writer_alive, stats->is_known, stats->was_closed, stats->format,
        (unsigned long long)stats->segments, (unsigned long long)stats->bytes,
        (unsigned long long)stats->spare_bytes);
    say(stage, "from %llu:%llu to %llu:%llu, durable to %llu, %llu appends\n",
        (unsigned long long)stats->oldest.segment_id, (unsigned long long)stats->oldest.offset,
        (unsigned long long)stats->appended.segment_id, (unsigned long long)stats->appended.offset,
        (unsigned long long)stats->durable_lsn, (unsigned long long)stats->appends);
}

static void live_stats(struct stage *stage)
{
    struct nori_log_options options = options_of(stage);
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;
    int rc = nori_log_live_stats(SAMPLE_DIR, &options, &stats, &error);

    if (rc >= 0)
        say_stats(stage, &stats);
    end_with(stage, rc, &error);
}

static void advise(struct stage *stage)
{
    struct nori_log_options options = options_of(stage);
    struct nori_log_advice advice = NORI_LOG_ADVICE_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc;

    advice.preallocate = NORI_PREALLOCATE_ZERO;
    advice.zeroed_ns = 12345;
    rc = nori_log_advise(SAMPLE_DIR, &options, &advice, &error);
    end_with(stage, rc, &error);
}

static void advice(struct stage *stage)
{
    struct nori_log_options options = options_of(stage);
    struct nori_log_advice advice = NORI_LOG_ADVICE_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_advice(SAMPLE_DIR, &options, &advice, &error);

    if (rc >= 0)
        say(stage, "%u %llu\n", advice.preallocate, (unsigned long long)advice.zeroed_ns);
    end_with(stage, rc, &error);
}

/* ---- readers ---- */

static void say_record(struct stage *stage, const struct nori_record *record,
                       struct nori_position position)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < record->value_len; i++)
        sum = sum * 31 + ((const uint8_t *)record->value)[i];
    say(stage, "%llu at %llu:%llu, %zu+%zu bytes, %x, %llx\n", (unsigned long long)record->sequence,
        (unsigned long long)position.segment_id, (unsigned long long)position.offset,
        record->key_len, record->value_len, record->flags, (unsigned long long)sum);
}

/* After an error a reader stays where it is: asked again it goes on, unless that fails, too. */
static bool read_one(struct stage *stage, nori_reader *reader)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_record record;
    struct nori_position position;
    int rc;

    for (int tries = 0; tries < 2; tries++) {
        rc = nori_reader_next(reader, &record, &position);
        if (rc == NORI_OK) {
            stage->has_ended = false;
            say_record(stage, &record, position);
            return true;
        }
        if (rc < 0 && nori_reader_last_error(reader, &error) != NORI_OK)
            complain(stage, "a reader has no error for %s", nori_error_name(rc));
        if (!is_of_fault(stage, rc))
            break;
        end_with(stage, rc, &error);
    }
    if (!is_of_fault(stage, rc)) {
        stage->has_ended = false;
        end_with(stage, rc, &error);
    }
    return rc == NORI_E_CORRUPT && strstr(error.message, "set aside"); /* a hole is gone past */
}

static struct nori_reader_config reader_config_of(const struct stage *stage)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;

    config.flags = stage->call->how & NORI_READER_PREAD;
    config.visibility = stage->call->how & 2 ? NORI_VISIBLE_DURABLE : NORI_VISIBLE_APPENDED;
    config.vfs = nori_sim_vfs(stage->sim);
    config.allocator = nori_sim_allocator(stage->sim);
    return config;
}

#define IN_THE_MIDDLE 4u /* how: not from the oldest record on */

static struct nori_position place_of(const struct stage *stage)
{
    return stage->call->how & IN_THE_MIDDLE
               ? stage->sample->records[stage->sample->record_count / 2].position
               : (struct nori_position){0, 0};
}

static void read_all(struct stage *stage)
{
    struct nori_reader_config config = reader_config_of(stage);
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    int rc = nori_reader_open_with(SAMPLE_DIR, &config, place_of(stage), &reader, &error);

    if (rc < 0) {
        end_with(stage, rc, &error);
        return;
    }
    while (read_one(stage, reader))
        ;
    nori_reader_close(reader);
}

/* ---- an open log ---- */

/* A meter that needs memory for its handles: it may have none. */
struct meter {
    const struct nori_allocator *allocator;
    void *handles[64];
    size_t count;
};

static void *new_handle(void *context)
{
    struct meter *meter = context;
    void *handle = meter->allocator->alloc(meter->allocator->context, 1);

    assert_true(meter->count < COUNT(meter->handles));
    meter->handles[meter->count++] = handle;
    return handle;
}

static void *new_counter(void *context, const char *name, const struct nori_label *labels,
                         size_t label_count)
{
    (void)name;
    (void)labels;
    (void)label_count;
    return new_handle(context);
}

static void *new_histogram(void *context, const char *name, const double *buckets,
                           size_t bucket_count, const struct nori_label *labels, size_t label_count)
{
    (void)buckets;
    (void)bucket_count;
    return new_counter(context, name, labels, label_count);
}

static void counter_add(void *counter, uint64_t amount)
{
    (void)amount;
    assert_non_null(counter);
}

static void gauge_set(void *gauge, int64_t value)
{
    (void)value;
    assert_non_null(gauge);
}

static void histogram_observe(void *histogram, double value)
{
    (void)value;
    assert_non_null(histogram);
}

static void free_handles(struct meter *meter)
{
    while (meter->count > 0)
        meter->allocator->free(meter->allocator->context, meter->handles[--meter->count]);
}

#define VERIFY_TAIL 1u /* how of open_log */
#define AS_FORMAT_1 2u

struct nori_wal_config config_of(const struct stage *stage)
{
    uint32_t verify = stage->call->how & VERIFY_TAIL ? NORI_VERIFY_TAIL : NORI_VERIFY_FULL;
    struct nori_wal_config config = sample_config(stage->sim, stage->call->mode, verify);

    config.format = stage->call->how & AS_FORMAT_1 ? 1 : 0;
    return config;
}

static void open_log(struct stage *stage)
{
    struct nori_wal_config config = config_of(stage);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct meter context = {.allocator = nori_sim_allocator(stage->sim)};
    struct nori_meter meter = {sizeof meter, &context,          new_counter,
                               new_counter,  new_histogram,     counter_add,
                               gauge_set,    histogram_observe, NULL};
    nori_wal *wal = NULL;
    bool is_foreign = stage->disk->damage == FOREIGN;
    int rc, closed;

    config.allocator = nori_sim_allocator(stage->sim);
    config.meter = &meter;
    rc = nori_wal_open(&config, &wal, &info, &error);
    /* A foreign `control` that cannot be set aside, for want of space, stays (D9). */
    if (rc >= 0 || rc == NORI_E_CORRUPT)
        say(stage, "%llu records to %llu:%llu, %llu cut, %llu staged, %llu aside, %u %u %s\n",
            (unsigned long long)info.valid_records,
            (unsigned long long)info.last_valid_position.segment_id,
            (unsigned long long)info.last_valid_position.offset,
            (unsigned long long)info.bytes_truncated, (unsigned long long)info.bytes_from_staging,
            is_foreign ? 0 : (unsigned long long)info.bytes_quarantined, info.corruption_detected,
            info.was_clean, is_foreign ? "" : info.message);
    end_with(stage, rc, &error);
    if (rc < 0 && wal)
        complain(stage, "an open that failed gives a handle");
    closed = nori_wal_close(wal);
    if (closed < 0 && closed != NORI_E_IO && closed != NORI_E_FAILED)
        complain(stage, "close gives %s", nori_error_name(closed));
    free_handles(&context);
}

/* A call on an open log may fail, and then once more. */
static bool succeeds(struct stage *stage, int rc)
{
    struct nori_error error = NORI_ERROR_INIT;

    if (rc < 0 && nori_wal_last_error(stage->wal, &error) != NORI_OK)
        complain(stage, "the log has no error for %s", nori_error_name(rc));
    if (!is_of_fault(stage, rc)) {
        say(stage, "= %s\n", nori_error_name(rc));
        return rc >= 0;
    }
    end_with(stage, rc, &error);
    return false;
}

static void read_from_log(struct stage *stage)
{
    struct nori_reader_config config = reader_config_of(stage);
    nori_reader *reader = NULL;

    if (!succeeds(stage, nori_wal_read_with(stage->wal, &config, place_of(stage), &reader)))
        return;
    while (read_one(stage, reader))
        ;
    nori_reader_close(reader);
}

static void read_points(struct stage *stage)
{
    for (size_t i = 0; i < stage->sample->record_count; i += 3) {
        struct nori_position position = stage->sample->records[i].position;
        nori_reader *reader = NULL;

        if (!succeeds(stage, nori_wal_read_from(stage->wal, position, &reader)) &&
            !(stage->has_ended &&
              succeeds(stage, nori_wal_read_from(stage->wal, position, &reader))))
            break;
        stage->has_ended = false;
        (void)read_one(stage, reader);
        nori_reader_close(reader);
        if (stage->has_ended)
            break;
    }
}

static void ask_for_positions(struct stage *stage)
{
    struct nori_position first, durable, end;
    struct nori_wal_stats stats = NORI_WAL_STATS_INIT;

    if (!succeeds(stage, nori_wal_first_position(stage->wal, &first)) ||
        !succeeds(stage, nori_wal_durable_position(stage->wal, &durable)) ||
        !succeeds(stage, nori_wal_position(stage->wal, &end)) ||
        !succeeds(stage, nori_wal_stats(stage->wal, &stats)))
        return;
    say_stats(stage, &stats);
}

const struct call calls[] = {
    {"verify", verify, LOOKS, 0, 0},
    {"stat", stat_log, LOOKS, 0, 0},
    {"dry-run-prefix", repair, LOOKS, 0, NORI_LOG_DRY_RUN},
    {"dry-run-salvage", repair, LOOKS, 0, NORI_LOG_DRY_RUN | NORI_LOG_SALVAGE},
    {"explain-all", explain, LOOKS, 0, 0},
    {"explain-header", explain, LOOKS, 0, 1},
    {"explain-record", explain, LOOKS, 0, 2},
    {"explain-mark", explain, LOOKS, 0, 3},
    {"live-stats", live_stats, LOOKS, 0, 0},
    {"advice", advice, LOOKS, 0, 0},
    {"advise", advise, ADDS, 0, 0},
    {"read", read_all, LOOKS, 0, 0},
    {"read-copy", read_all, LOOKS, 0, NORI_READER_PREAD},
    {"read-durable", read_all, LOOKS, 0, 2},
    {"read-middle", read_all, LOOKS, 0, IN_THE_MIDDLE},
    {"repair-prefix", repair, RECOVERS, NORI_RECOVER_PREFIX, 0},
    {"repair-salvage", repair, RECOVERS, NORI_RECOVER_SALVAGE, NORI_LOG_SALVAGE},
    {"open", open_log, RECOVERS, NORI_RECOVER_TAIL, 0},
    {"open-tail", open_log, RECOVERS, NORI_RECOVER_TAIL, VERIFY_TAIL},
    {"open-strict", open_log, RECOVERS, NORI_RECOVER_STRICT, 0},
    {"open-prefix", open_log, RECOVERS, NORI_RECOVER_PREFIX, 0},
    {"open-prefix-tail", open_log, RECOVERS, NORI_RECOVER_PREFIX, VERIFY_TAIL},
    {"open-salvage", open_log, RECOVERS, NORI_RECOVER_SALVAGE, 0},
    {"open-salvage-tail", open_log, RECOVERS, NORI_RECOVER_SALVAGE, VERIFY_TAIL},
    {"open-format1", open_log, RECOVERS, NORI_RECOVER_TAIL, AS_FORMAT_1},
    {"log-read", read_from_log, IS_OPEN, 0, 0},
    {"log-read-copy", read_from_log, IS_OPEN, 0, NORI_READER_PREAD | IN_THE_MIDDLE},
    {"log-points", read_points, IS_OPEN, 0, 0},
    {"log-positions", ask_for_positions, IS_OPEN, 0, 0},
};

const size_t disk_count = COUNT(disks);
const size_t call_count = COUNT(calls);
