/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * read.c: reading a log from its beginning to its end, and opening one.
 *
 * What. A log is written once and then read again and again, from the page cache. The floor is the
 * checksum over the same bytes, mapped anew each time, as a reader maps them: in one go, and record
 * by record. Opening checks every record. It is timed for a log that was closed, and for one whose
 * writer was killed a moment ago, in the middle of appends under `batch`.
 */
#include "bench.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES_MAX    64
#define PIECE_LEN    ((size_t)256 << 10)
#define LAST_APPENDS 5000 /* before a kill */

struct stored_file {
    char name[32];
    size_t bytes; /* of records, up to its end */
};

struct stored_log {
    size_t value_len;
    size_t record_len;
    struct stored_file files[FILES_MAX];
    size_t file_count;
    uint64_t records;
    uint64_t bytes;
    size_t piece_len; /* of the floor at work */
};

/* ---- the log that is read ---- */

static void open_log(uint32_t verify, nori_wal **ret_wal, struct nori_recovery_info *ret_info)
{
    struct bench_path path = bench_path("log");
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;

    config.dir = path.text;
    config.fsync_policy = NORI_FSYNC_BATCH;
    config.verify = verify;
    bench_must(nori_wal_open(&config, ret_wal, ret_info, &error), "open the log", &error);
}

static void append_many(nori_wal *wal, size_t value_len, uint64_t count)
{
    uint8_t key[BENCH_KEY_LEN] = {0};
    uint8_t *value = bench_alloc(value_len);

    memset(value, 'v', value_len);
    for (uint64_t i = 0; i < count; i++) {
        struct nori_record record = nori_record_put(key, sizeof key, value, value_len);

        memcpy(key, &i, sizeof i);
        bench_must(nori_wal_append(wal, &record, NULL), "append", NULL);
    }
    free(value);
}

/* Have another process append some records and die of it. */
static void kill_a_writer(size_t value_len)
{
    nori_wal *wal = NULL;
    int status = 0;
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    if (child < 0)
        bench_give_up("fork: %s", strerror(errno));
    if (child == 0) {
        open_log(NORI_VERIFY_TAIL, &wal, NULL);
        append_many(wal, value_len, LAST_APPENDS);
        (void)raise(SIGKILL);
    }
    if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        bench_give_up("the writer did not die as it should");
}

static int take_item(void *context, const struct nori_log_item *item)
{
    struct stored_log *log = context;
    struct stored_file *file = &log->files[log->file_count];

    if (item->kind == NORI_LOG_SUMMARY) {
        log->records = item->records;
        log->bytes = item->bytes;
    }
    if (item->kind != NORI_LOG_SEGMENT || item->state > NORI_LOG_STATE_NEWEST)
        return 0;
    if (log->file_count == FILES_MAX)
        bench_give_up("the log has too many segments");
    (void)snprintf(file->name, sizeof file->name, "%s", item->file);
    file->bytes = (size_t)item->bytes;
    log->file_count++;
    return 0;
}

static void look_at(struct stored_log *log)
{
    struct nori_error error = NORI_ERROR_INIT;

    log->file_count = 0;
    bench_must(nori_log_stat(bench_path("log").text, NULL, take_item, log, &error), "stat", &error);
}

static void write_log(struct stored_log *log, uint64_t count)
{
    nori_wal *wal = NULL;

    open_log(NORI_VERIFY_FULL, &wal, NULL);
    append_many(wal, log->value_len, count);
    bench_must(nori_wal_close(wal), "close", NULL);
    look_at(log);
}

static void give(struct bench_result *ret_result, uint64_t records, uint64_t bytes,
                 uint64_t begun_ns)
{
    double seconds = (double)(bench_now_ns() - begun_ns) / 1e9;

    ret_result->records_per_s = (double)records / seconds;
    ret_result->bytes_per_s = (double)bytes / seconds;
}

/* ---- the floors ---- */

static volatile uint32_t checksum_kept;

static void pass_over(const struct stored_log *log, size_t piece_len,
                      struct bench_result *ret_result)
{
    uint64_t begun_ns = bench_now_ns();
    uint32_t sum = 0;

    for (size_t i = 0; i < log->file_count; i++) {
        const struct stored_file *file = &log->files[i];
        struct bench_path folder = bench_path("log");
        char path[600];
        uint8_t *data;
        int fd;

        (void)snprintf(path, sizeof path, "%s/%s", folder.text, file->name);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        data = fd < 0 ? MAP_FAILED : mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            bench_give_up("map %s: %s", path, strerror(errno));
        for (size_t at = 0; at < file->bytes; at += piece_len) {
            size_t left = file->bytes - at;

            sum ^= nw_crc32c(0, data + at, left < piece_len ? left : piece_len);
        }
        (void)munmap(data, file->bytes);
        (void)close(fd);
    }
    checksum_kept = sum;
    give(ret_result, log->records, log->bytes, begun_ns);
}

static void pass_whole(const void *about, struct bench_result *ret_result)
{
    pass_over(about, PIECE_LEN, ret_result);
}

static void pass_by_record(const void *about, struct bench_result *ret_result)
{
    const struct stored_log *log = about;

    pass_over(log, log->record_len, ret_result);
}

/* ---- the log ---- */

static void read_all(const struct stored_log *log, const struct nori_reader_config *config,
                     struct bench_result *ret_result)
{
    struct nori_position oldest = {0, 0};
    struct nori_error error = NORI_ERROR_INIT;
    struct nori_record record;
    nori_reader *reader = NULL;
    uint64_t begun_ns = bench_now_ns();
    uint64_t count = 0;
    int rc;

    bench_must(nori_reader_open_with(bench_path("log").text, config, oldest, &reader, &error),
               "open a reader", &error);
    while ((rc = nori_reader_next(reader, &record, NULL)) == NORI_OK)
        count++;
    bench_must(rc, "read", NULL);
    nori_reader_close(reader);
    if (count != log->records)
        bench_give_up("the reader saw %llu records of %llu", (unsigned long long)count,
                      (unsigned long long)log->records);
    give(ret_result, count, log->bytes, begun_ns);
}

static void read_mapped(const void *about, struct bench_result *ret_result)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;

    read_all(about, &config, ret_result);
}

static void read_copied(const void *about, struct bench_result *ret_result)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;

    config.flags = NORI_READER_PREAD;
    read_all(about, &config, ret_result);
}

static void read_durable(const void *about, struct bench_result *ret_result)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;

    config.visibility = NORI_VISIBLE_DURABLE;
    read_all(about, &config, ret_result);
}

static void recover_clean(const void *about, struct bench_result *ret_result)
{
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    uint64_t begun_ns = bench_now_ns();
    nori_wal *wal = NULL;

    (void)about;
    open_log(NORI_VERIFY_FULL, &wal, &info);
    give(ret_result, info.valid_records, info.bytes_scanned, begun_ns);
    if (!info.was_clean)
        bench_give_up("a log that was closed is said not to have been");
    bench_must(nori_wal_close(wal), "close", NULL);
}

static void recover_killed(const void *about, struct bench_result *ret_result)
{
    const struct stored_log *log = about;
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    nori_wal *wal = NULL;
    uint64_t begun_ns;

    kill_a_writer(log->value_len);
    begun_ns = bench_now_ns();
    open_log(NORI_VERIFY_FULL, &wal, &info);
    give(ret_result, info.valid_records, info.bytes_scanned, begun_ns);
    if (info.was_clean)
        bench_give_up("a log whose writer was killed is said to have been closed");
    bench_must(nori_wal_close(wal), "close", NULL);
}

/* ---- the cases ---- */

#define READ_CASES 5

struct read_case {
    const char *kind;
    const char *suffix; /* of the name */
    const char *policy;
    struct bench_subject log;
};

/* clang-format off */
static const struct read_case read_cases[READ_CASES] = {
    {"read", "", NULL,
     {"log", "nori_reader_next from the first record to the last", read_mapped}},
    {"read", ", copied", NULL, {"log", "the same with NORI_READER_PREAD", read_copied}},
    {"read", ", durable only", NULL, {"log", "with NORI_VISIBLE_DURABLE", read_durable}},
    {"recover", ", closed", "batch",
     {"log", "nori_wal_open, every record checked", recover_clean}},
    {"recover", ", killed", "batch",
     {"log", "nori_wal_open after SIGKILL amid appends; it makes durable what was not",
      recover_killed}},
};
static const struct bench_subject floors[] = {
    {"floor: CRC pass", "map the files, CRC-32C over all bytes", pass_whole},
    {"floor: CRC by record", "the same, a call for as many bytes as a record has", pass_by_record},
};
/* clang-format on */

static void run_size(const struct bench_options *options, size_t value_len, size_t record_len,
                     uint64_t count)
{
    struct stored_log log = {.value_len = value_len, .record_len = record_len};
    struct bench_case cases[READ_CASES];
    bool is_wanted = false;

    for (size_t i = 0; i < READ_CASES; i++) {
        cases[i] = (struct bench_case){.kind = read_cases[i].kind,
                                       .policy = read_cases[i].policy,
                                       .threads = 1,
                                       .value_len = value_len,
                                       .about = &log};
        (void)snprintf(cases[i].name, sizeof cases[i].name, "%s %zu B%s", read_cases[i].kind,
                       value_len, read_cases[i].suffix);
        is_wanted |= bench_is_wanted(options, cases[i].name);
    }
    if (!is_wanted)
        return;
    write_log(&log, count);
    for (size_t i = 0; i < READ_CASES; i++) {
        struct bench_subject subjects[] = {read_cases[i].log, floors[0], floors[1]};

        cases[i].subjects = subjects;
        cases[i].subject_count = 3;
        bench_run_case(options, &cases[i]);
    }
    bench_remove_folder(bench_path("log").text);
}

void bench_read_cases(const struct bench_options *options)
{
    uint64_t part = options->is_quick ? 4 : 1;

    run_size(options, 100, 123, 1000000 / part);
    run_size(options, 1024, 1048, ((uint64_t)256 << 20) / 1048 / part);
}
