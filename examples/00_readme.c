/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * 00_readme.c: the first steps with nori-wal, one function for each.
 *
 *   cc 00_readme.c $(pkg-config --cflags --libs nori-wal) && ./a.out FOLDER
 *
 * Each function opens a log of its own within the folder, uses it, and checks what it gets. Without
 * a folder the logs lie in a new one under /tmp. The exit status is 0 if all was as expected.
 */
#include <nori/wal.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A call of the library has to succeed here. */
static void must(int rc, const char *what)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, nori_error_name(rc), nori_strerror(rc));
    exit(1);
}

static void expect(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "not as expected: %s\n", what);
    exit(1);
}

/* Open describes its failure in a struct of the caller: there is no handle yet to ask. */
static nori_wal *open_log(const struct nori_wal_config *config, struct nori_recovery_info *ret_info)
{
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;

    if (nori_wal_open(config, &wal, ret_info, &error) < 0) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return wal;
}

static struct nori_wal_config config_for(const char *dir)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;

    config.dir = dir;
    return config;
}

/* The first record of a log, which stays good until reader is used again. */
static struct nori_record first_record(nori_wal *wal, nori_reader **ret_reader)
{
    struct nori_position oldest = {0, 0};
    struct nori_record record;

    must(nori_wal_read_from(wal, oldest, ret_reader), "read_from");
    expect(nori_reader_next(*ret_reader, &record, NULL) == NORI_OK, "the log has a record");
    return record;
}

/* ---- Basic usage ---- */

static void basic_usage(const char *dir)
{
    struct nori_wal_config config = config_for(dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_position position;

    /* Open the log; this recovers it. */
    nori_wal *wal = open_log(&config, &info);
    printf("Recovered %llu records\n", (unsigned long long)info.valid_records);

    /* Append a record. */
    struct nori_record record = nori_record_put("key", 3, "value", 5);
    must(nori_wal_append(wal, &record, &position), "append");

    /* Delete a key: a tombstone. */
    struct nori_record gone = nori_record_delete("old_key", 7);
    must(nori_wal_append(wal, &gone, NULL), "append");

    /* Sync to the disk. */
    must(nori_wal_sync(wal), "sync");
    must(nori_wal_close(wal), "close");
}

/* ---- Custom configuration ---- */

static void custom_configuration(const char *dir)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;

    config.dir = dir;                              /* "wal" if not given */
    config.max_segment_size = 256u * 1024u * 1024; /* 256 MiB */
    config.fsync_policy = NORI_FSYNC_BATCH;
    config.batch_window_us = 10000; /* 10 ms */
    config.node_id = 42;

    nori_wal *wal = open_log(&config, NULL);
    must(nori_wal_close(wal), "close");
}

/* ---- Reading records ---- */

static void append_three(nori_wal *wal)
{
    struct nori_record records[] = {
        nori_record_put("a", 1, "first", 5),
        nori_record_put("b", 1, "second", 6),
        nori_record_delete("a", 1),
    };

    must(nori_wal_append_batch(wal, records, 3, NULL), "append_batch"); /* all three or none */
}

static void reading_records(const char *dir)
{
    struct nori_wal_config config = config_for(dir);
    struct nori_position beginning = {0, 0};
    struct nori_position position;
    struct nori_record record;
    nori_reader *reader = NULL;
    int count = 0;
    int rc;

    nori_wal *wal = open_log(&config, NULL);
    append_three(wal);

    must(nori_wal_read_from(wal, beginning, &reader), "read_from");
    while ((rc = nori_reader_next(reader, &record, &position)) == NORI_OK) {
        printf("Record at %06llu:%llu: key=%.*s\n", (unsigned long long)position.segment_id,
               (unsigned long long)position.offset, (int)record.key_len, (const char *)record.key);
        if (record.flags & NORI_RECORD_TOMBSTONE)
            printf("  -> Tombstone (deleted)\n");
        else
            printf("  -> Value: %.*s\n", (int)record.value_len, (const char *)record.value);
        count++;
    }
    must(rc, "next"); /* NORI_END at the end of the log; an error otherwise */
    expect(count == 3, "three records were read");

    nori_reader_close(reader);
    must(nori_wal_close(wal), "close");
}

/* ---- With observability ---- */

/* A meter that only counts. The library calls it from several threads. */
#define METRICS_MAX 64

struct metric {
    char name[64]; /* with the label op, where there is one */
    atomic_ullong value;
};

struct counting_meter {
    struct metric metrics[METRICS_MAX];
    size_t metric_count;
    atomic_ullong events[16]; /* by kind */
};

/* Called once for each metric, when the log is opened. */
static void *make_metric(void *context, const char *name, const struct nori_label *labels,
                         size_t label_count)
{
    struct counting_meter *meter = context;
    const char *op = "";

    if (meter->metric_count == METRICS_MAX)
        return NULL; /* not interested in more */
    for (size_t i = 0; i < label_count; i++)
        if (strcmp(labels[i].name, "op") == 0)
            op = labels[i].value;

    struct metric *metric = &meter->metrics[meter->metric_count++];
    snprintf(metric->name, sizeof metric->name, "%s%s%s", name, *op ? " " : "", op);
    return metric;
}

static void *make_histogram(void *context, const char *name, const double *buckets,
                            size_t bucket_count, const struct nori_label *labels,
                            size_t label_count)
{
    (void)buckets;
    (void)bucket_count;
    return make_metric(context, name, labels, label_count);
}

static void add(void *counter, uint64_t amount)
{
    atomic_fetch_add(&((struct metric *)counter)->value, amount);
}

static void set(void *gauge, int64_t value)
{
    atomic_store(&((struct metric *)gauge)->value, (unsigned long long)value);
}

static void observe(void *histogram, double value)
{
    (void)value;
    add(histogram, 1); /* only how often */
}

static void emit(void *context, const struct nori_event *event)
{
    struct counting_meter *meter = context;

    if (event->kind < 16)
        atomic_fetch_add(&meter->events[event->kind], 1);
}

static unsigned long long metric_value(struct counting_meter *meter, const char *name)
{
    for (size_t i = 0; i < meter->metric_count; i++)
        if (strcmp(meter->metrics[i].name, name) == 0)
            return atomic_load(&meter->metrics[i].value);
    return 0;
}

static void print_metrics(struct counting_meter *meter)
{
    for (size_t i = 0; i < meter->metric_count; i++)
        printf("  %-36s %llu\n", meter->metrics[i].name, atomic_load(&meter->metrics[i].value));
}

static void with_observability(const char *dir)
{
    static struct counting_meter counts;
    static char value[1000];
    struct nori_meter meter = NORI_METER_INIT;
    struct nori_wal_config config = config_for(dir);

    meter.context = &counts;
    meter.counter = make_metric;
    meter.gauge = make_metric;
    meter.histogram = make_histogram;
    meter.counter_add = add;
    meter.gauge_set = set;
    meter.histogram_observe = observe;
    meter.emit = emit;
    config.meter = &meter;
    config.max_segment_size = 1024 * 1024; /* small, so that one ends */

    nori_wal *wal = open_log(&config, NULL);
    struct nori_record record = nori_record_put("key", 3, value, sizeof value);
    for (int i = 0; i < 1500; i++)
        must(nori_wal_append(wal, &record, NULL), "append");
    must(nori_wal_sync(wal), "sync");
    must(nori_wal_close(wal), "close");

    print_metrics(&counts);
    expect(metric_value(&counts, "wal_records_total put") == 1500, "1,500 puts were counted");
    expect(metric_value(&counts, "wal_fsync_ms") >= 1, "a sync was counted");
    expect(metric_value(&counts, "wal_segment_rolls_total") == 1, "one segment ended");
    expect(atomic_load(&counts.events[NORI_EVENT_SEGMENT_ROLL]) == 1, "and was told as an event");
    expect(atomic_load(&counts.events[NORI_EVENT_CORRUPTION_TRUNCATED]) == 0,
           "nothing was damaged");
}

/* ---- Fsync policies ---- */

static bool is_before(struct nori_position a, struct nori_position b)
{
    return a.segment_id < b.segment_id || (a.segment_id == b.segment_id && a.offset < b.offset);
}

/* Append one record and return once it is durable, whatever the policy. */
static void append_durably(const char *dir, uint32_t policy)
{
    struct nori_wal_config config = config_for(dir);
    struct nori_record record = nori_record_put("key", 3, "value", 5);
    struct nori_position position;
    struct nori_position durable;

    config.fsync_policy = policy;
    config.batch_window_us = policy == NORI_FSYNC_BATCH ? 5000 : 0;

    nori_wal *wal = open_log(&config, NULL);
    must(nori_wal_append(wal, &record, &position), "append");

    if (policy == NORI_FSYNC_BATCH)
        must(nori_wal_wait_durable(wal, position, 10000),
             "wait_durable"); /* or just go on: it takes about 5 ms */
    if (policy == NORI_FSYNC_OS)
        must(nori_wal_sync(wal),
             "sync"); /* or just go on: the system will write it back some time */

    must(nori_wal_durable_position(wal, &durable), "durable_position");
    expect(is_before(position, durable), "the record is durable");
    must(nori_wal_close(wal), "close");
}

static void fsync_policies(const char *dir)
{
    append_durably(dir, NORI_FSYNC_ALWAYS); /* maximum durability: synced before append returns */
    append_durably(dir, NORI_FSYNC_BATCH);  /* balanced: synced at most 5 ms later */
    append_durably(dir, NORI_FSYNC_OS);     /* best performance: the system decides */
}

/* ---- Recovery ---- */

static void recovery_statistics(const char *dir)
{
    struct nori_wal_config config = config_for(dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;

    nori_wal *wal = open_log(&config, NULL);
    append_three(wal);
    must(nori_wal_close(wal), "close");

    wal = open_log(&config, &info);
    printf("Recovery stats:\n");
    printf("  Valid records: %llu\n", (unsigned long long)info.valid_records);
    printf("  Segments scanned: %llu\n", (unsigned long long)info.segments_scanned);
    printf("  Bytes truncated: %llu\n", (unsigned long long)info.bytes_truncated);
    printf("  Corruption detected: %s\n", info.corruption_detected ? "yes" : "no");
    expect(info.valid_records == 3 && info.segments_scanned == 1,
           "all three records were recovered");
    expect(info.bytes_truncated == 0 && !info.corruption_detected, "nothing was torn or damaged");
    must(nori_wal_close(wal), "close");
}

/* ---- Record types ---- */

static void put_with_ttl(const char *dir)
{
    struct nori_wal_config config = config_for(dir);
    struct nori_record session =
        nori_record_put_with_ttl("session_key", 11, "session_data", 12, 3600 * 1000);
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    nori_reader *reader = NULL;

    nori_wal *wal = open_log(&config, NULL);
    must(nori_wal_append(wal, &session, NULL), "append");

    /* The record carries the time of its append, so a reader can tell when it expires. */
    struct nori_record record = first_record(wal, &reader);
    expect(record.flags & NORI_RECORD_TTL && record.ttl_ms == 3600 * 1000, "the TTL was kept");
    expect(!nori_record_is_expired(&record, now_ms), "it is good for an hour");
    expect(nori_record_is_expired(&record, now_ms + 7200 * 1000), "and not for two");
    nori_reader_close(reader);
    must(nori_wal_close(wal), "close");
}

static void put_with_compression(const char *dir)
{
    static char large_value[10000];
    struct nori_wal_config config = config_for(dir);
    struct nori_record large = nori_record_put("large_key", 9, large_value, sizeof large_value);
    nori_reader *reader = NULL;

    memset(large_value, 'x', sizeof large_value);
    large = nori_record_with_compression(large, NORI_COMPRESSION_LZ4);

    nori_wal *wal = open_log(&config, NULL);
    int rc = nori_wal_append(wal, &large, NULL);
    if (rc == NORI_E_UNSUPPORTED) {
        printf("This build of the library has no LZ4\n");
    } else {
        must(rc, "append");
        struct nori_record record = first_record(wal, &reader);
        expect(record.compression == NORI_COMPRESSION_LZ4, "it is stored compressed");
        expect(record.value_len == sizeof large_value &&
                   memcmp(record.value, large_value, sizeof large_value) == 0,
               "and comes back as it was");
    }
    nori_reader_close(reader);
    must(nori_wal_close(wal), "close");
}

static void delete_key(const char *dir)
{
    struct nori_wal_config config = config_for(dir);
    struct nori_record gone = nori_record_delete("key_to_remove", 13);
    nori_reader *reader = NULL;

    expect(gone.flags & NORI_RECORD_TOMBSTONE, "a delete is a tombstone");

    nori_wal *wal = open_log(&config, NULL);
    must(nori_wal_append(wal, &gone, NULL), "append");
    struct nori_record record = first_record(wal, &reader);
    expect(record.flags & NORI_RECORD_TOMBSTONE && record.value_len == 0, "and is read as one");
    nori_reader_close(reader);
    must(nori_wal_close(wal), "close");
}

/* ---- All of it ---- */

static const struct {
    const char *name;
    void (*run)(const char *dir);
} steps[] = {
    {"basic-usage", basic_usage},
    {"custom-configuration", custom_configuration},
    {"reading-records", reading_records},
    {"with-observability", with_observability},
    {"fsync-policies", fsync_policies},
    {"recovery", recovery_statistics},
    {"ttl", put_with_ttl},
    {"compression", put_with_compression},
    {"delete", delete_key},
};

int main(int argc, char **argv)
{
    char fresh[] = "/tmp/nori-readme-XXXXXX";
    const char *folder = argc > 1 ? argv[1] : mkdtemp(fresh);
    char dir[4096];

    if (!folder) {
        perror("mkdtemp");
        return 1;
    }
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        snprintf(dir, sizeof dir, "%s/%s", folder, steps[i].name);
        printf("== %s\n", steps[i].name);
        steps[i].run(dir);
    }
    printf("All as expected. The logs lie in %s\n", folder);
    return 0;
}
