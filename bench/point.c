/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * point.c: reading one record here, one there.
 *
 * What. A log of many segments stays open. A run reads some thousand of its records, each with a
 * reader that is opened at its position and closed again, in an order drawn from a seed. They were
 * read once before, so the floor is what is left: to look for each in memory, in files that were
 * mapped before, and to take its checksum. Cold is the same after the kernel forgot the files and
 * the log was opened anew, and its floor one pread of each record.
 */
#include "bench.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_LEN     ((size_t)1000)
#define RECORD_LEN    ((size_t)1023) /* with key, lengths, flags and checksum */
#define SEGMENT_BYTES ((uint64_t)1 << 20)
#define PLACES        20000
#define PLACES_COLD   2000

struct file {
    int fd;
    size_t bytes;
    const uint8_t *data; /* mapped */
};

struct point_log {
    unsigned segments;
    nori_wal *wal;
    struct nori_position *places; /* PLACES, in the order in which they are read */
    uint64_t *sequences;          /* of the records there */
    struct file *files;           /* by segment */
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void open_log(struct point_log *log)
{
    struct bench_path path = bench_path("log");
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_error error = NORI_ERROR_INIT;

    config.dir = path.text;
    config.fsync_policy = NORI_FSYNC_OS;
    config.verify = NORI_VERIFY_TAIL;
    config.max_segment_size = SEGMENT_BYTES;
    bench_must(nori_wal_open(&config, &log->wal, NULL, &error), "open the log", &error);
}

/* Append until there are so many segments; remember some places, every record with the same
 * chance. */
static void write_log(struct point_log *log)
{
    uint8_t key[BENCH_KEY_LEN] = {0};
    uint8_t *value = bench_alloc(VALUE_LEN);
    struct nori_position position = {0, 0};
    uint64_t random = 1;

    memset(value, 'v', VALUE_LEN);
    open_log(log);
    for (uint64_t i = 0; position.segment_id < log->segments; i++) {
        struct nori_record record = nori_record_put(key, sizeof key, value, VALUE_LEN);
        uint64_t slot = i < PLACES ? i : next_random(&random) % (i + 1);

        memcpy(key, &i, sizeof i);
        bench_must(nori_wal_append(log->wal, &record, &position), "append", NULL);
        if (slot >= PLACES)
            continue;
        log->places[slot] = position;
        log->sequences[slot] = i + 1;
    }
    free(value);
    for (size_t i = PLACES - 1; i > 0; i--) {
        size_t other = (size_t)(next_random(&random) % (i + 1));
        struct nori_position place = log->places[i];
        uint64_t sequence = log->sequences[i];

        log->places[i] = log->places[other];
        log->sequences[i] = log->sequences[other];
        log->places[other] = place;
        log->sequences[other] = sequence;
    }
    bench_must(nori_wal_close(log->wal), "close", NULL);
    open_log(log);
}

static void map_files(struct point_log *log)
{
    for (unsigned id = 0; id <= log->segments; id++) {
        struct file *file = &log->files[id];
        struct stat found;
        char name[32];

        (void)snprintf(name, sizeof name, "log/%06u.wal", id);
        file->fd = open(bench_path(name).text, O_RDONLY | O_CLOEXEC);
        if (file->fd < 0 || fstat(file->fd, &found) < 0)
            bench_give_up("open %s: %s", name, strerror(errno));
        file->bytes = (size_t)found.st_size;
        file->data = mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, file->fd, 0);
        if (file->data == MAP_FAILED)
            bench_give_up("map %s: %s", name, strerror(errno));
        (void)close(file->fd);
    }
}

static void unmap_files(struct point_log *log)
{
    for (unsigned id = 0; id <= log->segments; id++)
        (void)munmap((void *)(uintptr_t)log->files[id].data, log->files[id].bytes);
}

/* ---- the subjects ---- */

static void read_place(const struct point_log *log, size_t i)
{
    struct nori_record record;
    nori_reader *reader = NULL;

    bench_must(nori_wal_read_from(log->wal, log->places[i], &reader), "open a reader", NULL);
    bench_must(nori_reader_next(reader, &record, NULL), "read", NULL);
    if (record.sequence != log->sequences[i])
        bench_give_up("another record than was asked for");
    nori_reader_close(reader);
}

static volatile uint32_t checksum_kept;

static void sum_place(const struct point_log *log, size_t i)
{
    const struct nori_position *place = &log->places[i];

    checksum_kept += nw_crc32c(0, log->files[place->segment_id].data + place->offset, RECORD_LEN);
}

static void pread_place(const struct point_log *log, size_t i)
{
    const struct nori_position *place = &log->places[i];
    uint8_t bytes[RECORD_LEN];
    struct bench_path folder = bench_path("log");
    char path[600];
    int fd;

    (void)snprintf(path, sizeof path, "%s/%06llu.wal", folder.text,
                   (unsigned long long)place->segment_id);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || pread(fd, bytes, sizeof bytes, (off_t)place->offset) < 0)
        bench_give_up("read %s: %s", path, strerror(errno));
    checksum_kept += nw_crc32c(0, bytes, sizeof bytes);
    (void)close(fd);
}

static void visit(const struct point_log *log, size_t count,
                  void (*step)(const struct point_log *log, size_t i),
                  struct bench_result *ret_result)
{
    struct bench_histogram *latencies = bench_alloc(sizeof *latencies);
    uint64_t begun_ns = bench_now_ns();
    uint64_t before_ns = begun_ns;

    for (size_t i = 0; i < count; i++) {
        uint64_t now_ns;

        step(log, i);
        now_ns = bench_now_ns();
        bench_histogram_add(latencies, now_ns - before_ns);
        before_ns = now_ns;
    }
    ret_result->records_per_s = (double)count * 1e9 / (double)(before_ns - begun_ns);
    ret_result->bytes_per_s = ret_result->records_per_s * (double)RECORD_LEN;
    ret_result->p50_ns = bench_histogram_at(latencies, 0.5);
    ret_result->p99_ns = bench_histogram_at(latencies, 0.99);
    ret_result->p999_ns = bench_histogram_at(latencies, 0.999);
    free(latencies);
}

static void read_warm(const void *about, struct bench_result *ret_result)
{
    visit(about, PLACES, read_place, ret_result); /* the first time it gets warm */
    visit(about, PLACES, read_place, ret_result);
}

static void sum_warm(const void *about, struct bench_result *ret_result)
{
    visit(about, PLACES, sum_place, ret_result);
    visit(about, PLACES, sum_place, ret_result);
}

/* Have the kernel forget the files: none is mapped, and all are clean. */
static void drop_cache(const struct point_log *log)
{
    for (unsigned id = 0; id <= log->segments; id++) {
        char name[32];
        int fd;

        (void)snprintf(name, sizeof name, "log/%06u.wal", id);
        fd = open(bench_path(name).text, O_RDONLY | O_CLOEXEC);
        if (fd < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
            bench_give_up("forget %s: %s", name, strerror(errno));
        (void)close(fd);
    }
}

static void read_cold(const void *about, struct bench_result *ret_result)
{
    struct point_log log = *(const struct point_log *)about;

    open_log(&log);
    drop_cache(&log);
    visit(&log, PLACES_COLD, read_place, ret_result);
    bench_must(nori_wal_close(log.wal), "close", NULL);
}

static void pread_cold(const void *about, struct bench_result *ret_result)
{
    drop_cache(about);
    visit(about, PLACES_COLD, pread_place, ret_result);
}

/* ---- the cases ---- */

/* clang-format off */
static const struct bench_subject warm_subjects[] = {
    {"log", "nori_wal_read_from, nori_reader_next, close", read_warm},
    {"floor: CRC in place", "checksum of the same records, in files mapped before", sum_warm},
};
static const struct bench_subject cold_subjects[] = {
    {"log", "the same after opening, nothing cached", read_cold},
    {"floor: pread", "open, pread of one record, checksum, close; nothing cached", pread_cold},
};
/* clang-format on */

static void run_log(const struct bench_options *options, unsigned segments)
{
    struct bench_case warm = {.kind = "point read",
                              .threads = 1,
                              .value_len = VALUE_LEN,
                              .subjects = warm_subjects,
                              .subject_count = 2};
    struct bench_case cold = warm;
    struct point_log log = {.segments = segments};

    (void)snprintf(warm.name, sizeof warm.name, "point read, %u segments", segments);
    (void)snprintf(cold.name, sizeof cold.name, "point read, %u segments, cold", segments);
    if (!bench_is_wanted(options, warm.name) && !bench_is_wanted(options, cold.name))
        return;
    log.places = bench_alloc(PLACES * sizeof *log.places);
    log.sequences = bench_alloc(PLACES * sizeof *log.sequences);
    log.files = bench_alloc((segments + 1) * sizeof *log.files);
    write_log(&log);
    map_files(&log);
    warm.about = &log;
    cold.about = &log;
    cold.subjects = cold_subjects;
    bench_run_case(options, &warm);
    unmap_files(&log);
    bench_must(nori_wal_close(log.wal), "close", NULL);
    bench_run_case(options, &cold);
    free(log.files);
    free(log.sequences);
    free(log.places);
    bench_remove_folder(bench_path("log").text);
}

void bench_point_cases(const struct bench_options *options)
{
    run_log(options, 100);
    run_log(options, options->is_quick ? 500 : 5000);
}
