/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * recover.c: opening a log.
 *
 * What. A log of 1 GiB is opened again and again, from the page cache, with every record verified:
 * after it was closed, and after its writer was killed amid appends. The library scans with up to
 * four threads; to see how it does on one processor and on two, the process is kept on these. The
 * floor is the checksum over the same bytes by as many threads. Then how much memory
 * recovery takes, and logs of one segment and of hundred.
 */
#include "bench.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define VALUE_LEN    1024
#define PIECE_LEN    ((size_t)256 << 10)
#define LAST_APPENDS 5000 /* before a kill */
#define MIB          ((uint64_t)1 << 20)

struct opening {
    const struct bench_files *files; /* what scan reads */
    const char *folder;              /* where it lies, if not in `log` */
    unsigned processors;
    bool is_killed; /* the writer dies first */
    uint32_t verify;
    uint64_t segment_bytes;
};

static const struct opening *current; /* what set_config goes by */

static void set_config(struct nori_wal_config *config)
{
    config->verify = current->verify;
    config->max_segment_size = current->segment_bytes;
}

/* Have another process append some records and die of it. */
static void kill_a_writer(void)
{
    pid_t child = bench_fork();
    int status;

    if (child == 0) {
        nori_wal *wal = bench_log_open(NORI_FSYNC_BATCH, NULL, NULL);

        bench_log_fill(wal, VALUE_LEN, LAST_APPENDS, 1, NULL);
        (void)raise(SIGKILL);
    }
    status = bench_wait(child);
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        bench_give_up("the writer did not die as it should");
}

static void open_log(const void *about, struct bench_result *ret_result)
{
    const struct opening *opening = about;
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    uint64_t begun_ns, cpu_ns;
    nori_wal *wal;

    current = opening;
    if (opening->is_killed)
        kill_a_writer();
    bench_use_processors(opening->processors);
    cpu_ns = bench_cpu_ns();
    begun_ns = bench_now_ns();
    wal = bench_log_open(NORI_FSYNC_BATCH, set_config, &info);
    bench_give_rate(ret_result, info.valid_records, info.bytes_scanned, begun_ns);
    ret_result->of[BENCH_OPENING] = (double)(bench_now_ns() - begun_ns);
    ret_result->of[BENCH_CPU] = (double)(bench_cpu_ns() - cpu_ns) / (double)info.valid_records;
    bench_use_processors(0);
    if (info.was_clean == opening->is_killed)
        bench_give_up("recovery does not tell a log that was closed from one that was not");
    if (opening->is_killed)
        bench_log_fill(wal, VALUE_LEN, 1, 1, NULL); /* so that it is closed as one that was used */
    bench_log_close(wal);
}

static void scan(const void *about, struct bench_result *ret_result)
{
    const struct opening *opening = about;
    uint64_t begun_ns = bench_now_ns();

    bench_use_processors(opening->processors);
    bench_files_scan(opening->files, opening->processors, PIECE_LEN, ret_result);
    ret_result->of[BENCH_OPENING] = (double)(bench_now_ns() - begun_ns);
    bench_use_processors(0);
}

static void fill(uint64_t bytes, uint64_t segment_bytes, struct bench_files *ret_files)
{
    struct opening opening = {.segment_bytes = segment_bytes};
    nori_wal *wal;

    current = &opening;
    wal = bench_log_open(NORI_FSYNC_OS, set_config, NULL);
    bench_log_fill(wal, VALUE_LEN, bytes / bench_load(1, VALUE_LEN).record_len, 1, NULL);
    bench_log_close(wal);
    bench_files_list(ret_files);
}

/* ---- memory ---- */

/* VmHWM of this process, in bytes. */
static uint64_t peak_memory(void)
{
    FILE *status = fopen("/proc/self/status", "r");
    unsigned long long kib = 0;
    char line[256];

    while (status && fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %llu", &kib) == 1)
            break;
    if (status)
        (void)fclose(status);
    return (uint64_t)kib << 10;
}

/* In a process of its own, since a peak never goes down again. */
static void measure_memory(const void *about, struct bench_result *ret_result)
{
    int ends[2];
    uint64_t bytes = 0;
    pid_t child;

    current = about;
    if (pipe(ends) < 0)
        bench_give_up("cannot make a pipe");
    child = bench_fork();
    if (child == 0) {
        bench_log_close(bench_log_open(NORI_FSYNC_BATCH, set_config, NULL));
        bytes = peak_memory();
        _exit(write(ends[1], &bytes, sizeof bytes) == (ssize_t)sizeof bytes ? 0 : 1);
    }
    (void)close(ends[1]);
    if (read(ends[0], &bytes, sizeof bytes) != (ssize_t)sizeof bytes || bench_wait(child) != 0)
        bench_give_up("the child that opens the log failed");
    (void)close(ends[0]);
    ret_result->of[BENCH_MEMORY] = (double)bytes;
}

static double memory(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_MEMORY];
}

/* ---- what is demanded ---- */

/* subject: the floor, which comes last */
static double rate_to_scan(const struct bench_result *results, size_t subject)
{
    return results[0].of[BENCH_RATE] / results[subject].of[BENCH_RATE];
}

enum {
    FULL_ONE,
    TAIL_ONE,
    FULL_MANY,
    TAIL_MANY,
    TAIL_SHORT,
    OPEN_SUBJECTS
};

/* It does not grow with the log, but for a look at the header of each segment. */
static double opening_to_short(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_OPENING] / (1.5 * results[TAIL_SHORT].of[BENCH_OPENING] + 1e6);
}

/* ---- the cases ---- */

static void run_recover_cases(const struct bench_options *options)
{
    static const enum bench_metric columns[] = {BENCH_OPENING, BENCH_RATE, BENCH_CPU, BENCH_BYTES,
                                                BENCH_METRIC_COUNT};
    static const enum bench_metric memory_columns[] = {BENCH_MEMORY, BENCH_METRIC_COUNT};
    static const struct bench_demand demand_on_one = {
        "rate, of that of scan", rate_to_scan, 1, 0.7, true, BENCH_UNIT_RATIO};
    static const struct bench_demand demand_on_two = {
        "rate after a close, of that of scan", rate_to_scan, 2, 0.7, true, BENCH_UNIT_RATIO};
    static const struct bench_demand demands[] = {
        {"of memory at most, the whole process", memory, 0, 64.0 * MIB, false, BENCH_UNIT_BYTES}};
    struct bench_files files;
    const struct opening one = {.files = &files, .processors = 1};
    const struct opening two = {.files = &files, .processors = 2};
    const struct opening killed = {.files = &files, .processors = 2, .is_killed = true};
    const struct bench_subject on_one[] = {
        {"log, closed", "nori_wal_open, every record verified", open_log, &one, BENCH_LOG},
        {"floor: scan", "map the files, CRC-32C over all bytes", scan, &one, BENCH_FLOOR}};
    const struct bench_subject on_two[] = {
        {"log, closed", "nori_wal_open, every record verified", open_log, &two, BENCH_LOG},
        {"log, writer killed", "after SIGKILL amid appends", open_log, &killed, BENCH_LOG},
        {"floor: scan", "map the files, CRC-32C over all bytes", scan, &two, BENCH_FLOOR}};
    const struct bench_subject child[] = {
        {"log", "a process that opens the log", measure_memory, &one, BENCH_LOG}};
    const struct bench_case cases[] = {
        {"recover 1 GiB, 1 processor", on_one, 2, columns, true, &demand_on_one, 1, 0},
        {"recover 1 GiB, 2 processors", on_two, 3, columns, true, &demand_on_two, 1, 0},
        {"recover 1 GiB, memory", child, 1, memory_columns, false, demands, 1, 0},
    };
    bool is_wanted = false;

    for (size_t i = 0; i < 3; i++)
        is_wanted |= bench_is_wanted(options, cases[i].name);
    if (!is_wanted)
        return;
    fill(options->is_quick ? 128 * MIB : 1024 * MIB, options->is_quick ? 16 * MIB : 128 * MIB,
         &files);
    bench_run_case(options, &cases[0]);
    if (bench_processors() > 1)
        bench_run_case(options, &cases[1]);
    bench_run_case(options, &cases[2]);
    bench_files_done(&files);
    bench_log_remove();
}

/* There are two logs, and the folder of the one that is opened is called `log`. */
static void open_named(const void *about, struct bench_result *ret_result)
{
    const struct opening *opening = about;
    const struct bench_path path = bench_path("log");

    if (rename(bench_path(opening->folder).text, path.text) < 0)
        bench_give_up("rename a log: %s", strerror(errno));
    open_log(opening, ret_result);
    if (rename(path.text, bench_path(opening->folder).text) < 0)
        bench_give_up("rename a log: %s", strerror(errno));
}

static void fill_named(const char *folder, uint64_t bytes, uint64_t segment_bytes)
{
    struct bench_files files;

    fill(bytes, segment_bytes, &files);
    bench_files_done(&files);
    if (rename(bench_path("log").text, bench_path(folder).text) < 0)
        bench_give_up("rename a log: %s", strerror(errno));
}

static void run_open_case(const struct bench_options *options)
{
    static const enum bench_metric columns[] = {BENCH_OPENING, BENCH_METRIC_COUNT};
    static const struct bench_demand demands[] = {
        {"tail, 1 segment, of 1.5 x that of 1 MiB + 1 ms", opening_to_short, TAIL_ONE, 1, false,
         BENCH_UNIT_RATIO},
        {"the same, 100 segments", opening_to_short, TAIL_MANY, 1, false, BENCH_UNIT_RATIO}};
    const struct opening openings[OPEN_SUBJECTS] = {
        [FULL_ONE] = {.folder = "log-1", .verify = NORI_VERIFY_FULL},
        [TAIL_ONE] = {.folder = "log-1", .verify = NORI_VERIFY_TAIL},
        [FULL_MANY] = {.folder = "log-100", .verify = NORI_VERIFY_FULL},
        [TAIL_MANY] = {.folder = "log-100", .verify = NORI_VERIFY_TAIL},
        [TAIL_SHORT] = {.folder = "log-short", .verify = NORI_VERIFY_TAIL}};
    const struct bench_subject subjects[OPEN_SUBJECTS] = {
        [FULL_ONE] = {"all, 1 segment", "NORI_VERIFY_FULL", open_named, &openings[FULL_ONE],
                      BENCH_LOG},
        [TAIL_ONE] = {"tail, 1 segment", "NORI_VERIFY_TAIL", open_named, &openings[TAIL_ONE],
                      BENCH_LOG},
        [FULL_MANY] = {"all, 100 segments", "NORI_VERIFY_FULL", open_named, &openings[FULL_MANY],
                       BENCH_LOG},
        [TAIL_MANY] = {"tail, 100 segments", "NORI_VERIFY_TAIL", open_named, &openings[TAIL_MANY],
                       BENCH_LOG},
        [TAIL_SHORT] = {"tail, 1 MiB", "NORI_VERIFY_TAIL", open_named, &openings[TAIL_SHORT],
                        BENCH_LOG}};
    const struct bench_case one = {.name = "open 100 MiB",
                                   .subjects = subjects,
                                   .subject_count = OPEN_SUBJECTS,
                                   .columns = columns,
                                   .demands = demands,
                                   .demand_count = 2};

    if (!bench_is_wanted(options, one.name))
        return;
    fill_named("log-1", 100 * MIB, 128 * MIB);
    fill_named("log-100", 100 * MIB, MIB);
    fill_named("log-short", MIB - MIB / 16, MIB);
    bench_run_case(options, &one);
    for (size_t i = 0; i < OPEN_SUBJECTS; i++)
        (void)bench_remove(bench_path(openings[i].folder).text, true);
}

void bench_recover_cases(const struct bench_options *options)
{
    bench_section("Opening",
                  "From the page cache, records of 1 KiB. recover: 1 GiB (--quick: 128 MiB) in 8 "
                  "segments, every record verified. scan: the same bytes, mapped, with a CRC-32C, "
                  "by as many threads as processors. open: 100 MiB in one segment, and in 100, and "
                  "1 MiB; all "
                  "records verified, or only those that are not known to be durable.");
    run_recover_cases(options);
    run_open_case(options);
}
