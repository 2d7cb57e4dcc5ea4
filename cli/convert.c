/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * convert.c: nori convert.
 *
 * What. Reads one log from its oldest record to where it ends when the command begins, and appends
 * what it reads to a new one, of either format. Records of an atomic batch are collected and
 * appended as one; any other record goes straight from the reader to the log. The source is only
 * read, and may be open for writing meanwhile.
 *
 * What is lost. Format 1 has no times and no atomic batches: both are counted and told. In format 2
 * a TTL needs a time: one that has none counts from now.
 *
 * Failure. Nothing is made before the source could be opened. A log that is not all of the source
 * would look complete, so the target gets its name when it is (part.c): whatever ends the command
 * before, be it a crash, leaves only a folder that says by its name what it is.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <nori/wal.h>

#include "cli.h"
#include "message.h"
#include "options.h"
#include "output.h"
#include "part.h"
#include "progress.h"
#include "text.h"

#define PROGRESS_RECORDS 1024 /* power of two */
#define RECORD_SIZE_MAX  ((uint64_t)1024 * 1024 * 1024)
#define SEGMENT_SIZE_MIN ((uint64_t)1024 * 1024)

/* The records of a batch, with keys and values one behind the other: the reader's memory is good
 * for one record only. */
struct batch {
    struct nori_record *records;
    size_t count;
    size_t capacity;
    char *bytes;
    size_t bytes_len;
    size_t bytes_capacity;
};

struct convert {
    /* From the command line. */
    struct nori_wal_config config; /* of the target; dir: where it is made */
    const char *source;
    const char *target;
    bool is_json;

    nori_reader *reader;
    nori_wal *wal;
    struct cli_part part;
    struct nori_position end; /* of the source when the command began */
    uint64_t end_sequence;    /* of the next record there; 0: not known, or there is none before */
    uint64_t source_bytes;
    struct batch batch;
    struct cli_output output;
    struct cli_progress progress;

    /* So far, in the target. */
    uint64_t records;
    uint64_t bytes; /* of keys and values */
    uint64_t batches;
    uint64_t times_dropped;
    uint64_t times_set;
};

static const char help[] =
    "usage: nori convert [OPTIONS] SOURCE TARGET\n"
    "\n"
    "Copy the log in SOURCE, of either format, into TARGET, a folder that is not there or empty,\n"
    "and that lies outside of SOURCE and is not the current one.\n"
    "Order, keys, values, TTLs, times, versions, deletes, kinds of compression and atomic batches\n"
    "are kept; positions are new, and sequence numbers count from 1. SOURCE is only read, up to\n"
    "where it ends now; it may be open for writing meanwhile. TARGET is there when all in it is\n"
    "complete and durable; until then it is called TARGET.incomplete.\n"
    "\n"
    "  --format 1|2             of TARGET; default 2. 1 is the one of the Rust crate: it has no\n"
    "                           times, and batches are not atomic in it; what is lost is counted\n"
    "  --segment-size SIZE      of segment files; default 128MiB, at least 1MiB\n"
    "  --max-record-size SIZE   of key and value, or of a whole batch; default 64MiB, up to 1GiB\n"
    "  --json                   print what was done as an object\n"
    "  -h, --help               this text\n"
    "\n"
    "Exit status: 0 all copied; 1 no log in SOURCE, or it is damaged; 2 wrong usage, or TARGET is\n"
    "not empty; 3 I/O error. If not all was copied, or the command was killed, what was is left "
    "in\n"
    "TARGET.incomplete: a good log, but a part of SOURCE. The next run wants it removed.\n"
    "\n"
    "Examples\n"
    "  nori convert from-rust wal\n"
    "  nori convert --format 1 wal for-rust\n";

enum option_id {
    OPTION_FORMAT = 256,
    OPTION_SEGMENT_SIZE,
    OPTION_MAX_RECORD_SIZE,
    OPTION_JSON
};

static const struct option known_options[] = {
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"segment-size", required_argument, NULL, OPTION_SEGMENT_SIZE},
    {"max-record-size", required_argument, NULL, OPTION_MAX_RECORD_SIZE},
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int take_option(struct convert *convert, const struct cli_options *options, int id)
{
    uint64_t format;
    int rc;

    switch (id) {
    case OPTION_FORMAT:
        rc = cli_option_u64(options, 1, 2, &format);
        if (rc == CLI_CONTINUE)
            convert->config.format = (uint32_t)format;
        return rc;
    case OPTION_SEGMENT_SIZE:
        return cli_option_size(options, SEGMENT_SIZE_MIN, UINT64_MAX,
                               &convert->config.max_segment_size);
    case OPTION_MAX_RECORD_SIZE:
        return cli_option_size(options, 1, RECORD_SIZE_MAX, &convert->config.max_record_size);
    case OPTION_JSON:
        convert->is_json = true;
        return CLI_CONTINUE;
    case 'h':
        return cli_output_help(options->command, help);
    default:
        return CLI_USAGE;
    }
}

static int read_options(struct convert *convert, int argc, char **argv)
{
    struct cli_options options = {"convert", argc, argv, known_options, NULL, NULL};
    int id;

    convert->config.format = 2;
    convert->config.fsync_policy = NORI_FSYNC_OS;
    convert->config.flags = NORI_OPEN_MUST_CREATE;
    while ((id = cli_options_next(&options)) != CLI_OPTIONS_END) {
        int rc = take_option(convert, &options, id);

        if (rc != CLI_CONTINUE)
            return rc;
    }
    return cli_options_two_dirs(&options, &convert->source, &convert->target);
}

/* ---- failures ---- */

static int complain(struct convert *convert, const char *dir, int rc, struct nori_error *error)
{
    cli_progress_clear(&convert->progress);
    if (error->code != rc)
        *error = (struct nori_error)NORI_ERROR_INIT;
    error->code = rc;
    return cli_fail("convert", dir, error);
}

static int complain_about_source(struct convert *convert, int rc)
{
    struct nori_error error = NORI_ERROR_INIT;

    (void)nori_reader_last_error(convert->reader, &error);
    return complain(convert, convert->source, rc, &error);
}

static int complain_about_target(struct convert *convert, int rc)
{
    struct nori_error error = NORI_ERROR_INIT;

    if (rc != NORI_E_FAILED || nori_wal_failure(convert->wal, &error) != NORI_OK)
        (void)nori_wal_last_error(convert->wal, &error);
    else
        rc = error.code;
    return complain(convert, convert->config.dir, rc, &error);
}

static int complain_about_memory(struct convert *convert)
{
    struct nori_error error = NORI_ERROR_INIT;

    return complain(convert, convert->source, NORI_E_NOMEM, &error);
}

/* ---- both logs ---- */

static int note_end(void *context, const struct nori_log_item *item)
{
    struct convert *convert = context;

    if (item->kind == NORI_LOG_SUMMARY) {
        convert->end = item->position;
        convert->end_sequence =
            item->first_sequence && item->records ? item->first_sequence + item->records : 0;
        convert->source_bytes = item->bytes;
    }
    return 0;
}

static int open_source(struct convert *convert)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    const struct nori_position oldest = {0, 0};
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_stat(convert->source, NULL, note_end, convert, &error);

    config.flags = NORI_READER_PREAD; /* a bad sector is told, it does not kill */
    if (rc >= 0)
        rc = nori_reader_open_with(convert->source, &config, oldest, &convert->reader, &error);
    return rc < 0 ? cli_fail("convert", convert->source, &error) : CLI_CONTINUE;
}

static int open_target(struct convert *convert)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = cli_part_begin(&convert->part, "convert", convert->target, convert->source);

    if (rc != CLI_CONTINUE)
        return rc;
    convert->config.dir = convert->part.name;
    rc = nori_wal_open(&convert->config, &convert->wal, NULL, &error);
    return rc < 0 ? cli_fail("convert", convert->config.dir, &error) : CLI_CONTINUE;
}

/* ---- records ---- */

static void done_with(struct batch *batch)
{
    free(batch->records);
    free(batch->bytes);
}

/* Room for one more record and its bytes. */
static bool reserve(struct batch *batch, size_t bytes)
{
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity ? batch->capacity * 2 : 64;
        struct nori_record *records = realloc(batch->records, capacity * sizeof *records);

        if (!records)
            return false;
        batch->records = records;
        batch->capacity = capacity;
    }
    if (bytes > batch->bytes_capacity - batch->bytes_len) {
        size_t capacity = (batch->bytes_len + bytes) * 2;
        char *larger = realloc(batch->bytes, capacity);

        if (!larger)
            return false;
        batch->bytes = larger;
        batch->bytes_capacity = capacity;
    }
    return true;
}

static bool collect(struct batch *batch, const struct nori_record *record)
{
    char *at;

    if (!reserve(batch, record->key_len + record->value_len + 1))
        return false;
    at = batch->bytes + batch->bytes_len;
    if (record->key_len > 0)
        memcpy(at, record->key, record->key_len);
    if (record->value_len > 0)
        memcpy(at + record->key_len, record->value, record->value_len);
    batch->bytes_len += record->key_len + record->value_len;
    batch->records[batch->count++] = *record;
    return true;
}

/* What the target's format makes of a record. */
static void adapt(struct convert *convert, struct nori_record *record)
{
    const uint32_t timed = NORI_RECORD_TTL | NORI_RECORD_TIME;

    if (convert->config.format == 1 && (record->flags & NORI_RECORD_TIME)) {
        record->flags &= ~(uint32_t)NORI_RECORD_TIME;
        convert->times_dropped++;
    }
    if (convert->config.format == 2 && (record->flags & timed) == NORI_RECORD_TTL)
        convert->times_set++; /* the library does */
    convert->bytes += record->key_len + record->value_len;
}

static int append(struct convert *convert, struct nori_record *records, size_t count)
{
    int rc;

    for (size_t i = 0; i < count; i++)
        adapt(convert, &records[i]);
    rc = nori_wal_append_batch(convert->wal, records, count, NULL);
    if (rc < 0)
        return complain_about_target(convert, rc);
    convert->records += count;
    convert->batches += count > 1;
    return CLI_CONTINUE;
}

static int append_batch(struct convert *convert)
{
    struct batch *batch = &convert->batch;
    const char *at = batch->bytes;
    int rc;

    for (size_t i = 0; i < batch->count; i++) {
        struct nori_record *record = &batch->records[i];

        record->key = at;
        record->value = at + record->key_len;
        at += record->key_len + record->value_len;
    }
    rc = append(convert, batch->records, batch->count);
    batch->count = 0;
    batch->bytes_len = 0;
    return rc;
}

static bool is_behind(struct nori_position position, struct nori_position end)
{
    return position.segment_id > end.segment_id ||
           (position.segment_id == end.segment_id && position.offset >= end.offset);
}

/* The reader has come to the end. Somebody may have taken away what was there when the command
 * began. */
static int check_end(struct convert *convert, uint64_t next_sequence)
{
    if (next_sequence >= convert->end_sequence)
        return CLI_GOOD;
    cli_progress_clear(&convert->progress);
    cli_message("convert", "%s now ends before record %llu: it went on to record %llu",
                convert->source, (unsigned long long)next_sequence,
                (unsigned long long)convert->end_sequence - 1);
    return CLI_NEGATIVE;
}

static int copy_records(struct convert *convert)
{
    uint64_t next_sequence = 1;

    for (uint64_t read = 1;; read++) {
        struct nori_position position;
        struct nori_record record;
        bool goes_on;
        int rc = nori_reader_next(convert->reader, &record, &position);

        if (rc < 0)
            return complain_about_source(convert, rc);
        if (rc == NORI_END || is_behind(position, convert->end))
            return check_end(convert, next_sequence);
        next_sequence = record.sequence + 1;
        goes_on = (record.flags & NORI_RECORD_BATCH_CONTINUES) != 0;
        rc = CLI_CONTINUE;
        if (!goes_on && convert->batch.count == 0)
            rc = append(convert, &record, 1);
        else if (!collect(&convert->batch, &record))
            return complain_about_memory(convert);
        else if (!goes_on)
            rc = append_batch(convert);
        if (rc != CLI_CONTINUE)
            return rc;
        if (read % PROGRESS_RECORDS == 0)
            cli_progress_update(&convert->progress, convert->records, convert->bytes,
                                convert->source_bytes);
    }
}

/* ---- the end ---- */

static void print_summary(struct convert *convert)
{
    struct cli_output *output = &convert->output;
    char bytes[CLI_TEXT_SIZE];
    bool is_format1 = convert->config.format == 1;

    if (convert->is_json) {
        cli_output_format(
            output,
            "{\"kind\": \"summary\", \"format\": %u, \"records\": %llu, \"bytes\": "
            "%llu, \"batches\": %llu, \"times_dropped\": %llu, \"times_set\": %llu}\n",
            convert->config.format, (unsigned long long)convert->records,
            (unsigned long long)convert->bytes, (unsigned long long)convert->batches,
            (unsigned long long)convert->times_dropped, (unsigned long long)convert->times_set);
        return;
    }
    cli_output_format(output, "copied: %llu %s, %s of keys and values, in format %u\n",
                      (unsigned long long)convert->records,
                      convert->records == 1 ? "record" : "records",
                      cli_text_of_bytes(convert->bytes, bytes), convert->config.format);
    if (is_format1 && convert->times_dropped > 0)
        cli_output_format(output, "times dropped, which format 1 has no place for: %llu\n",
                          (unsigned long long)convert->times_dropped);
    if (is_format1 && convert->batches > 0)
        cli_output_format(output, "batches that are atomic no more in format 1: %llu\n",
                          (unsigned long long)convert->batches);
    if (convert->times_set > 0)
        cli_output_format(output, "TTLs that had no time, and count from now: %llu\n",
                          (unsigned long long)convert->times_set);
}

/* Everything is durable and has its name, or it is told what went wrong and what is there. */
static int close_target(struct convert *convert, int status)
{
    int rc = nori_wal_sync(convert->wal);

    cli_progress_clear(&convert->progress);
    if (rc < 0 && status == CLI_GOOD)
        status = complain_about_target(convert, rc);
    rc = nori_wal_close(convert->wal);
    if (rc < 0 && status == CLI_GOOD) {
        struct nori_error error = NORI_ERROR_INIT;

        status = complain(convert, convert->config.dir, rc, &error);
    }
    if (status != CLI_GOOD) {
        cli_message("convert", "%s is not complete: it holds the first %llu records",
                    convert->config.dir, (unsigned long long)convert->records);
        return status;
    }
    status = cli_part_finish(&convert->part);
    if (status == CLI_GOOD)
        print_summary(convert);
    return status;
}

int cli_convert(int argc, char **argv)
{
    struct convert convert = {.config = NORI_WAL_CONFIG_INIT};
    int status = read_options(&convert, argc, argv);

    if (status != CLI_CONTINUE)
        return status;
    status = cli_output_init(&convert.output, "convert");
    if (status != CLI_CONTINUE)
        return status;
    cli_progress_init(&convert.progress, "convert", true);
    status = open_source(&convert);
    if (status == CLI_CONTINUE)
        status = open_target(&convert);
    if (convert.wal)
        status = close_target(&convert, copy_records(&convert));
    nori_reader_close(convert.reader);
    done_with(&convert.batch);
    cli_part_done(&convert.part);
    return cli_output_done(&convert.output, status);
}
