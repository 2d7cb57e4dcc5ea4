/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * point.c: reading one record here, one there.
 *
 * What. A log of many segments stays open. A run reads some thousand of its records again and
 * again, each with a reader that is opened at its position and closed again. All are in the page
 * cache, and were read before. The floor is what is left then: to wait for each record's memory, in
 * files that stay mapped, and to take its checksum. First reads are those right after the log was
 * opened, when the handle knows none of its segments yet.
 *
 * The segments end before they are full, since the log is closed and opened for each.
 */
#include "bench.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define VALUE_LEN   1024
#define BYTES       ((uint64_t)200000000)
#define QUICK_BYTES ((uint64_t)20000000)
#define PLACES      1000 /* at least as many as segments */
#define PASSES      100
#define LIMIT_NS    2000

struct point {
    nori_wal *wal;
    size_t segments;
    size_t places_in_segment;
    struct nori_position positions[PLACES];
    uint64_t sequences[PLACES];
    size_t order[PLACES]; /* in which they are read */
    struct bench_files files;
    const uint8_t *data[PLACES]; /* mapped */
    size_t record_len;
};

/* ---- the log ---- */

static void set_config(struct nori_wal_config *config)
{
    config->verify = NORI_VERIFY_TAIL;
}

static nori_wal *open_log(void)
{
    return bench_log_open(NORI_FSYNC_OS, set_config, NULL);
}

static void write_log(struct point *point, uint64_t bytes)
{
    uint64_t step = bytes / PLACES / point->record_len;
    uint64_t random = 1;

    for (size_t i = 0; i < point->segments; i++) {
        nori_wal *wal = open_log();

        bench_log_fill(wal, VALUE_LEN, step * point->places_in_segment, step,
                       &point->positions[i * point->places_in_segment]);
        bench_log_close(wal);
    }
    for (size_t i = 0; i < PLACES; i++) {
        size_t other = (size_t)(bench_random(&random) % (i + 1));

        point->sequences[i] = 1 + i * step;
        point->order[i] = point->order[other];
        point->order[other] = i;
    }
}

static void map_files(struct point *point)
{
    bench_files_list(&point->files);
    if (point->files.count != point->segments)
        bench_give_up("the log has %zu segments, not %zu", point->files.count, point->segments);
    for (size_t i = 0; i < point->segments; i++) {
        const struct bench_file *file = &point->files.files[i];
        int fd = open(file->path, O_RDONLY | O_CLOEXEC);
        void *data = fd < 0 ? MAP_FAILED : mmap(NULL, file->bytes, PROT_READ, MAP_SHARED, fd, 0);

        if (data == MAP_FAILED)
            bench_give_up("map %s: %s", file->path, strerror(errno));
        (void)close(fd);
        point->data[i] = data;
    }
}

static void unmap_files(struct point *point)
{
    for (size_t i = 0; i < point->segments; i++)
        (void)munmap((void *)(uintptr_t)point->data[i], point->files.files[i].bytes);
    bench_files_done(&point->files);
}

/* ---- the subjects ---- */

static void read_place(const struct point *point, size_t place)
{
    struct nori_record record;
    nori_reader *reader = NULL;

    bench_must(nori_wal_read_from(point->wal, point->positions[place], &reader), "read a record",
               NULL);
    if (nori_reader_next(reader, &record, NULL) != NORI_OK ||
        record.sequence != point->sequences[place])
        bench_give_up("a record is not where it was appended");
    nori_reader_close(reader);
}

static volatile uint32_t kept_sum; /* so that it is not optimised away */

static void sum_place(const struct point *point, size_t place)
{
    const uint8_t *data = point->data[place / point->places_in_segment];

    kept_sum ^= nw_crc32c(0, data + point->positions[place].offset, point->record_len);
}

static void visit(const struct point *point, unsigned passes,
                  void (*step)(const struct point *point, size_t place),
                  struct bench_result *ret_result)
{
    struct bench_histogram *latencies = bench_alloc(sizeof *latencies);
    uint64_t begun_ns = bench_now_ns();
    uint64_t before_ns = begun_ns;

    for (unsigned pass = 0; pass < passes; pass++)
        for (size_t i = 0; i < PLACES; i++) {
            uint64_t now_ns;

            step(point, point->order[i]);
            now_ns = bench_now_ns();
            bench_histogram_add(latencies, now_ns - before_ns);
            before_ns = now_ns;
        }
    bench_give_rate(ret_result, (uint64_t)passes * PLACES,
                    (uint64_t)passes * PLACES * point->record_len, begun_ns);
    bench_histogram_give(latencies, ret_result);
}

static void read_again(const void *about, struct bench_result *ret_result)
{
    visit(about, 1, read_place, ret_result); /* the first time */
    visit(about, PASSES, read_place, ret_result);
}

static void sum_again(const void *about, struct bench_result *ret_result)
{
    visit(about, 1, sum_place, ret_result);
    visit(about, PASSES, sum_place, ret_result);
}

static void read_first(const void *about, struct bench_result *ret_result)
{
    struct point *point = *(struct point *const *)about;

    bench_log_close(point->wal);
    point->wal = open_log();
    visit(point, 1, read_place, ret_result);
}

/* ---- the case ---- */

static double cost(const struct bench_result *results, size_t subject)
{
    return results[subject].of[BENCH_COST];
}

static void run_case(const struct bench_options *options, size_t segments)
{
    static const enum bench_metric columns[] = {
        BENCH_RATE, BENCH_COST, BENCH_P50, BENCH_P95, BENCH_P99, BENCH_P999, BENCH_METRIC_COUNT};
    static const struct bench_demand demand = {
        "a record that was read before, on average", cost, 0, LIMIT_NS, false, BENCH_UNIT_TIME};
    struct point *point = bench_alloc(sizeof *point);
    const struct bench_subject subjects[] = {
        {"log", "nori_wal_read_from, next, close", read_again, point, BENCH_LOG},
        {"log, first reads", "the same, after the log was opened", read_first, &point, BENCH_LOG},
        {"floor: CRC in place", "CRC-32C of the same records, mapped", sum_again, point,
         BENCH_FLOOR}};
    struct bench_case one = {.subjects = subjects,
                             .subject_count = 3,
                             .columns = columns,
                             .is_compared = true,
                             .demands = &demand,
                             .demand_count = 1};

    (void)snprintf(one.name, sizeof one.name, "point %d B, %zu segments", VALUE_LEN, segments);
    if (bench_is_wanted(options, one.name)) {
        point->segments = segments;
        point->places_in_segment = PLACES / segments;
        point->record_len = bench_load(1, VALUE_LEN).record_len;
        write_log(point, options->is_quick ? QUICK_BYTES : BYTES);
        map_files(point);
        point->wal = open_log();
        bench_run_case(options, &one);
        bench_log_close(point->wal);
        unmap_files(point);
        bench_log_remove();
    }
    free(point);
}

void bench_point_cases(const struct bench_options *options)
{
    bench_section(
        "Reading one here, one there",
        "A reader is opened at a position, the record read, the reader closed, all from "
        "the page cache: 1,000 records of a log of 200 MB (--quick: 20 MB). CRC in place: "
        "the checksum of the same records where they lie, in files that stay mapped.");
    run_case(options, 100);
    run_case(options, 1000);
}
