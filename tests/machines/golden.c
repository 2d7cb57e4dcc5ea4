/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * golden.c: a log of every kind of record, made or read. tools/matrix.sh runs it on other machines:
 * whoever wrote a log, and wherever it is read, the lines are the same.
 *
 *     golden make DIR FORMAT      make the log, in format 1 or 2     golden read DIR FORMAT
 * print a line for each record; then open it for writing, append one, print that, too
 */
#include <inttypes.h>
#include <nori/wal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS   180
#define VALUE_MAX 600

static void die(const char *what, int rc, const struct nori_error *error)
{
    (void)fprintf(stderr, "golden: %s: %s: %s\n", what, nori_error_name(rc),
                  error ? error->message : "");
    exit(1);
}

static struct nori_wal_config config_of(const char *dir, uint32_t format)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;

    config.dir = dir;
    config.format = format;
    config.max_segment_size = (uint64_t)1 << 20;
    config.preallocate = NORI_PREALLOCATE_OFF;
    config.buffer_size = 65536;
    config.fsync_policy = NORI_FSYNC_OS;
    return config;
}

/* Record i: with and without value, time to live, time and version, and numbers of every length. */
static struct nori_record record_of(uint64_t i, uint32_t format, char *key, char *value)
{
    size_t len = (size_t)(i * i % VALUE_MAX);
    struct nori_record record;

    (void)snprintf(key, 32, "key-%" PRIu64, i);
    for (size_t at = 0; at < len; at++)
        value[at] = (char)(i + at);
    record = i % 7 == 3 ? nori_record_delete(key, strlen(key))
                        : nori_record_put(key, strlen(key), value, len);
    if (i % 3 == 1) {
        record.flags |= NORI_RECORD_VERSION;
        record.version_term = (uint64_t)1 << (i % 64);
        record.version_index = UINT64_MAX >> (i % 64);
    }
    if (i % 5 == 2) {
        record.flags |= NORI_RECORD_TTL;
        record.ttl_ms = (uint64_t)1 << (i % 50);
    }
    if (format == 2) {
        record.flags |= NORI_RECORD_TIME; /* else the library would set that of now */
        record.time_ms = 1700000000000 + i;
    }
    return record;
}

static void make(const char *dir, uint32_t format)
{
    struct nori_wal_config config = config_of(dir, format);
    struct nori_error error = NORI_ERROR_INIT;
    static char values[3][VALUE_MAX];
    char keys[3][32];
    nori_wal *wal = NULL;
    int rc = NORI_OK;

    for (uint64_t i = 0; i < RECORDS; i += 3) {
        struct nori_record batch[3];

        if (i % 60 == 0) { /* several lives, so several segments */
            rc = nori_wal_close(wal);
            if (rc >= 0)
                rc = nori_wal_open(&config, &wal, NULL, &error);
            if (rc < 0)
                die("open", rc, &error);
        }
        for (uint64_t k = 0; k < 3; k++)
            batch[k] = record_of(i + k, format, keys[k], values[k]);
        rc = nori_wal_append_batch(wal, batch, 3, NULL);
        if (rc < 0)
            die("append", rc, NULL);
    }
    rc = nori_wal_close(wal);
    if (rc < 0)
        die("close", rc, NULL);
}

static uint64_t digest(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3; /* FNV-1a */
    return hash;
}

static void print_all(const char *dir)
{
    struct nori_position position = {0, 0};
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_record record;
    nori_reader *reader = NULL;
    int rc = nori_reader_open(dir, position, &reader, &error);

    if (rc < 0)
        die("open a reader", rc, &error);
    while ((rc = nori_reader_next(reader, &record, &position)) == NORI_OK)
        (void)printf("%" PRIu64 ":%" PRIu64 " #%" PRIu64 " flags %" PRIu32 " ttl %" PRIu64
                     " time %" PRIu64 " version %" PRIu64 ".%" PRIu64
                     " %.*s = %zu bytes, %016" PRIx64 "\n",
                     position.segment_id, position.offset, record.sequence, record.flags,
                     record.ttl_ms, record.time_ms, record.version_term, record.version_index,
                     (int)record.key_len, (const char *)record.key, record.value_len,
                     digest(0xcbf29ce484222325, record.value, record.value_len));
    if (rc != NORI_END)
        die("read", rc, NULL);
    nori_reader_close(reader);
}

static void go_on(const char *dir, uint32_t format)
{
    struct nori_wal_config config = config_of(dir, format);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_record record;
    static char value[VALUE_MAX];
    nori_wal *wal = NULL;
    char key[32];
    int rc = nori_wal_open(&config, &wal, &info, &error);

    if (rc < 0)
        die("open", rc, &error);
    (void)printf("%" PRIu64 " records\n", info.valid_records);
    record = record_of(RECORDS + 10, format, key, value);
    rc = nori_wal_append(wal, &record, NULL);
    if (rc >= 0)
        rc = nori_wal_close(wal);
    if (rc < 0)
        die("append", rc, NULL);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "make") == 0) {
        make(argv[2], (uint32_t)atoi(argv[3]));
        return 0;
    }
    if (argc == 4 && strcmp(argv[1], "read") == 0) {
        print_all(argv[2]);
        go_on(argv[2], (uint32_t)atoi(argv[3]));
        print_all(argv[2]);
        return 0;
    }
    (void)fprintf(stderr, "usage: golden make|read DIR FORMAT\n");
    return 2;
}
