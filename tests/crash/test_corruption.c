/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_corruption.c: small logs of several segments, damaged in every way that a byte, a sector or
 * a file can be.
 *
 * Every bit is flipped, every byte set to 00 and FF, every sector zeroed, exchanged and replaced by
 * an older one, every file cut to every length, missing, doubled, renamed and exchanged, and
 * `control` is taken from anywhere. Then all look at it: support/corruption.h says who, and what
 * they must find. Bytes are so many that each is looked at by three and one of the others only,
 * drawn; NORI_SHARE=800 is all eight of those.
 *
 * NORI_CORRUPTION=KIND.NUMBER repeats one. With arguments it is a part of `make torture`
 * (support/torture.h): `all` is all of these by all; without that word one to four such damages at
 * once, of any length, by seed, for hours.
 */
#include "../support/corruption.h"
#include "../support/jobs.h"
#include "../support/only.h"
#include "../support/repeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- every byte ---- */

/* Nothing states where a segment of format 1 ends, unless one of format 2 follows. */
static bool is_end_unknown(const struct sample *sample, size_t file)
{
    return sample->files[file].format == 1 && file + 1 < sample->file_count &&
           sample->files[file + 1].format == 1;
}

static uint64_t size_of(const struct sample *sample, size_t file)
{
    uint64_t bytes = 0;

    (void)nori_sim_file_bytes(sample->sim, sample->files[file].path, &bytes);
    return bytes;
}

static void poke(const struct corruption *corruption, const char *path, uint64_t offset,
                 const void *data, size_t len)
{
    assert_true(nori_sim_file_poke(corruption->sim, path, offset, data, len) >= 0);
}

static void bytes_of_files(struct sample *sample)
{
    /* One bit of each byte is enough where another sample has most of the same bytes. */
    bool is_like_another = sample->kind == SAMPLE_KILLED || sample->kind == SAMPLE_STAGED ||
                           sample->kind == SAMPLE_NO_CONTROL;
    struct corruption corruption;

    for (size_t i = 0; i < sample->file_count; i++) {
        const struct sample_file *file = &sample->files[i];
        uint64_t len = size_of(sample, i) < file->end + 40 ? size_of(sample, i) : file->end + 40;

        for (uint64_t at = 0; at < len; at++) {
            uint8_t was = file->bytes[at];

            for (unsigned change = 0; change < 10; change++) {
                uint8_t byte = (uint8_t)(change < 8    ? was ^ 1u << change
                                         : change == 8 ? 0u
                                                       : 0xffu);

                if (byte == was || (is_like_another && change < 8 && change != at % 8) ||
                    !corruption_begin(&corruption, sample))
                    continue;
                corruption.is_byte = true;
                /* Behind records of format 1 there are zeros, or more records. */
                corruption.is_hidden = at >= file->end && is_end_unknown(sample, i);
                poke(&corruption, file->path, at, &byte, 1);
                corruption_finish(&corruption, "byte %llu of %s from %02x to %02x",
                                  (unsigned long long)at, file->path, was, byte);
            }
        }
    }
}

/* ---- every sector ---- */

#define SECTORS_MAX 64

struct sector {
    const char *path;
    bool is_format1; /* it may be all there is of a segment that nothing tells about */
    uint64_t offset;
    size_t len;
    uint8_t bytes[NORI_SIM_SECTOR];
};

static size_t sectors_of(const struct sample *sample, struct sector *sectors)
{
    size_t count = 0;

    for (size_t i = 0; i < sample->file_count; i++)
        for (uint64_t at = 0; at < sample->files[i].end; at += NORI_SIM_SECTOR) {
            struct sector *sector = &sectors[count++];

            assert_true(count < SECTORS_MAX);
            sector->path = sample->files[i].path;
            sector->is_format1 = sample->files[i].format == 1;
            sector->offset = at;
            (void)nori_sim_file_read(sample->sim, sector->path, at, sector->bytes,
                                     sizeof sector->bytes, &sector->len);
        }
    return count;
}

static void sectors_of_files(struct sample *sample)
{
    static struct sector sectors[SECTORS_MAX];
    static const uint8_t zeros[NORI_SIM_SECTOR];
    size_t count = sectors_of(sample, sectors);
    struct corruption corruption;

    for (size_t i = 0; i < count; i++) {
        if (corruption_begin(&corruption, sample)) {
            corruption.is_hidden = sectors[i].is_format1;
            poke(&corruption, sectors[i].path, sectors[i].offset, zeros, sectors[i].len);
            corruption_finish(&corruption, "sector at %llu of %s zeroed",
                              (unsigned long long)sectors[i].offset, sectors[i].path);
        }
        for (size_t j = i + 1; j < count; j++) {
            size_t len = sectors[i].len < sectors[j].len ? sectors[i].len : sectors[j].len;

            if (!corruption_begin(&corruption, sample))
                continue;
            corruption.is_hidden = sectors[i].is_format1 || sectors[j].is_format1;
            corruption.are_heads_exchanged = sectors[i].offset == 0 && sectors[j].offset == 0;
            poke(&corruption, sectors[i].path, sectors[i].offset, sectors[j].bytes, len);
            poke(&corruption, sectors[j].path, sectors[j].offset, sectors[i].bytes, len);
            corruption_finish(&corruption, "sectors at %llu of %s and %llu of %s exchanged",
                              (unsigned long long)sectors[i].offset, sectors[i].path,
                              (unsigned long long)sectors[j].offset, sectors[j].path);
        }
    }
}

/* What was meant for one sector is in another one, too. */
static void misdirected_sectors(struct sample *sample)
{
    static struct sector sectors[SECTORS_MAX];
    size_t count = sectors_of(sample, sectors);
    struct corruption corruption;

    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            size_t len = sectors[i].len < sectors[j].len ? sectors[i].len : sectors[j].len;

            if (i == j || !corruption_begin(&corruption, sample))
                continue;
            corruption.is_hidden = sectors[i].is_format1 || sectors[j].is_format1;
            corruption.are_heads_exchanged = sectors[i].offset == 0 && sectors[j].offset == 0;
            poke(&corruption, sectors[i].path, sectors[i].offset, sectors[j].bytes, len);
            corruption_finish(&corruption, "sector at %llu of %s also at %llu of %s",
                              (unsigned long long)sectors[j].offset, sectors[j].path,
                              (unsigned long long)sectors[i].offset, sectors[i].path);
        }
}

/* From every earlier moment, and from another log. */
static void stale_sectors(struct sample *sample, struct sample *other)
{
    static struct sector sectors[SECTORS_MAX];
    size_t count = sectors_of(sample, sectors);
    struct corruption corruption;

    for (size_t i = 0; i < count; i++) {
        for (size_t past = 0; past <= sample->past_count; past++) {
            nori_sim *source = past < sample->past_count ? sample->past[past] : other->sim;
            uint8_t bytes[NORI_SIM_SECTOR] = {0};
            size_t got = 0;

            (void)nori_sim_file_read(source, sectors[i].path, sectors[i].offset, bytes,
                                     sectors[i].len, &got);
            if (memcmp(bytes, sectors[i].bytes, sectors[i].len) == 0 ||
                !corruption_begin(&corruption, sample))
                continue;
            corruption.is_hidden = sectors[i].is_format1;
            poke(&corruption, sectors[i].path, sectors[i].offset, bytes, sectors[i].len);
            corruption_finish(&corruption, "sector at %llu of %s as it was at moment %zu",
                              (unsigned long long)sectors[i].offset, sectors[i].path, past);
        }
    }
}

/* ---- every length ---- */

static void lengths_of_files(struct sample *sample)
{
    struct corruption corruption;

    for (size_t i = 0; i < sample->file_count; i++) {
        uint64_t end = sample->files[i].end;
        uint64_t bytes = size_of(sample, i);

        for (uint64_t len = 0; len < bytes; len += len <= end + 10 ? 1 : 1021) {
            if (!corruption_begin(&corruption, sample))
                continue;
            assert_true(nori_sim_file_resize(corruption.sim, sample->files[i].path, len) >= 0);
            corruption.is_hidden = is_end_unknown(sample, i) && len < end;
            corruption_finish(&corruption, "%s cut to %llu", sample->files[i].path,
                              (unsigned long long)len);
        }
    }
}

/* ---- every file ---- */

static void copy_to(const struct corruption *corruption, const struct sample_file *file,
                    const char *path)
{
    (void)nori_sim_file_unlink(corruption->sim, path);
    poke(corruption, path, 0, file->bytes, (size_t)file->end);
}

static void one_file(struct sample *sample, size_t i)
{
    static const uint64_t other_ids[] = {1, 3, 5, 7, 9, 30, 999999};
    const struct sample_file *file = &sample->files[i];
    bool is_blind = file->format == 1;
    struct corruption corruption;

    if (corruption_begin(&corruption, sample)) {
        assert_true(nori_sim_file_unlink(corruption.sim, file->path) >= 0);
        corruption.is_hidden = is_blind;
        corruption.are_names_changed = true;
        corruption_finish(&corruption, "%s missing", file->path);
    }
    for (size_t n = 0; n < 2 * sizeof other_ids / sizeof other_ids[0]; n++) {
        char path[SAMPLE_PATH_LEN];

        (void)snprintf(path, sizeof path, SAMPLE_DIR "/%06llu.wal",
                       (unsigned long long)other_ids[n / 2]);
        if (strcmp(path, file->path) == 0 || !corruption_begin(&corruption, sample))
            continue;
        copy_to(&corruption, file, path);
        if (n % 2 == 1)
            (void)nori_sim_file_unlink(corruption.sim, file->path);
        corruption.is_hidden = is_blind;
        corruption.are_names_changed = true;
        corruption_finish(&corruption, "%s %s %s", file->path, n % 2 ? "renamed to" : "also as",
                          path);
    }
}

static void names_of_files(struct sample *sample, struct sample *other)
{
    struct corruption corruption;

    for (size_t i = 0; i < sample->file_count; i++) {
        one_file(sample, i);
        for (size_t j = i + 1; j < sample->file_count; j++) {
            const struct sample_file *a = &sample->files[i];
            const struct sample_file *b = &sample->files[j];

            if (!corruption_begin(&corruption, sample))
                continue;
            copy_to(&corruption, a, b->path);
            copy_to(&corruption, b, a->path);
            corruption.is_hidden = a->format == 1 || b->format == 1;
            corruption.are_names_changed = true;
            corruption_finish(&corruption, "%s and %s exchanged", a->path, b->path);
        }
        if (i < other->file_count && corruption_begin(&corruption, sample)) {
            copy_to(&corruption, &other->files[i], sample->files[i].path);
            corruption.is_hidden = other->files[i].format == 1;
            corruption.are_names_changed = true;
            corruption_finish(&corruption, "%s from another log", sample->files[i].path);
        }
    }
}

/* ---- control and spare ---- */

#define CONTROL_LEN SAMPLE_CONTROL_LEN
#define PAGE_LEN    (SAMPLE_CONTROL_LEN - SAMPLE_RING_LEN)
#define CONTROL     SAMPLE_DIR "/control"

/* These bytes in place of control, in the same file. keep: as many of its own stay. */
static void try_control(struct sample *sample, const uint8_t *bytes, size_t keep, const char *what)
{
    struct corruption corruption;

    if (!corruption_begin(&corruption, sample))
        return;
    poke(&corruption, CONTROL, keep, bytes + keep, CONTROL_LEN - keep);
    corruption.has_control = false;
    corruption_finish(&corruption, "control %s, but for %zu bytes", what, keep);
}

static void control_from_anywhere(struct sample *sample, struct sample *other)
{
    static uint8_t bytes[CONTROL_LEN], was[CONTROL_LEN];
    struct corruption corruption;

    if (sample_load(sample->sim, CONTROL, was, sizeof was) != sizeof was)
        return;
    if (corruption_begin(&corruption, sample)) {
        assert_true(nori_sim_file_unlink(corruption.sim, CONTROL) >= 0);
        corruption.has_control = false;
        corruption_finish(&corruption, "control missing");
    }
    for (uint64_t len = 0; len < CONTROL_LEN; len += len <= PAGE_LEN ? 61 : 4093) {
        if (!corruption_begin(&corruption, sample))
            continue;
        assert_true(nori_sim_file_resize(corruption.sim, CONTROL, len) >= 0);
        corruption.has_control = false;
        corruption_finish(&corruption, "control cut to %llu", (unsigned long long)len);
    }
    for (size_t past = 0; past < sample->past_count; past++)
        if (sample_load(sample->past[past], CONTROL, bytes, sizeof bytes) == sizeof bytes)
            try_control(sample, bytes, 0, "of an earlier moment");
    if (sample_load(other->sim, CONTROL, bytes, sizeof bytes) == sizeof bytes)
        for (size_t keep = 0; keep <= 64; keep += 8)
            try_control(sample, bytes, keep, "of another log");
    for (unsigned n = 0; n < 40; n++) {
        uint32_t noise = n * 2654435761u + 1;

        for (size_t i = 0; i < sizeof bytes; i++) {
            noise = noise * 1664525u + 1013904223u;
            bytes[i] = n == 0 ? 0xff : n == 1 ? 0 : (uint8_t)(noise >> 24);
        }
        try_control(sample, bytes, n % 2 ? 64 : 0, "full of garbage");
    }
}

/* Words that name the very segments, with wild LSNs, prove nothing that is not there. */
static void bytes_of_control(struct sample *sample)
{
    struct corruption corruption;
    uint8_t was[320];

    if (sample_load(sample->sim, CONTROL, was, sizeof was) != sizeof was)
        return;
    for (size_t at = 0; at < sizeof was; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            uint8_t byte = (uint8_t)(was[at] ^ 1u << bit);

            if (!corruption_begin(&corruption, sample))
                continue;
            poke(&corruption, CONTROL, at, &byte, 1);
            corruption.has_control = false;
            /* It may now claim that more was durable than there is. */
            corruption.are_names_changed = at >= 128 && at < 136;
            corruption_finish(&corruption, "bit %u of byte %zu of control", bit, at);
        }
}

/* Each byte of the ring from where it alone has records: those before it are there. */
static void bytes_of_ring(struct sample *sample)
{
    const struct sample_file *last = &sample->files[sample->file_count - 1];
    uint64_t from = last->start + last->end;
    struct corruption corruption;

    for (uint64_t lsn = from; sample->staged_count > 0 && lsn < from + 400; lsn++) {
        uint64_t at = PAGE_LEN + lsn % SAMPLE_RING_LEN;
        uint8_t byte = 0;
        size_t got = 0;

        (void)nori_sim_file_read(sample->sim, CONTROL, at, &byte, 1, &got);
        byte ^= (uint8_t)(1u << lsn % 8);
        if (!corruption_begin(&corruption, sample))
            continue;
        poke(&corruption, CONTROL, at, &byte, 1);
        corruption.has_control = false;
        corruption_finish(&corruption, "byte %llu of control", (unsigned long long)at);
    }
}

static void bytes_of_spare(struct sample *sample)
{
    struct corruption corruption;
    uint8_t bytes[1024] = {0};
    uint8_t ones = 0xff;

    for (size_t at = 0; at < 300; at += 3) {
        if (!corruption_begin(&corruption, sample))
            continue;
        poke(&corruption, SAMPLE_DIR "/spare", at, &ones, 1);
        corruption_finish(&corruption, "byte %zu of spare set", at);
    }
    for (size_t i = 0; i < sample->file_count; i++) {
        if (!corruption_begin(&corruption, sample))
            continue;
        memcpy(bytes, sample->files[i].bytes, sizeof bytes);
        poke(&corruption, SAMPLE_DIR "/spare", 0, bytes, sizeof bytes);
        corruption_finish(&corruption, "spare begins as %s", sample->files[i].path);
    }
}

/* ---- the tests ---- */

static void damage_everything(enum sample_kind kind)
{
    static struct sample sample, other;
    double begun = repeat_now();

    sample_make(&sample, kind, 1);
    sample_make(&other, kind, 77);
    assert_int_equal(sample.staged_count, kind == SAMPLE_STAGED ? 6 : 0);
    corruptions.next_number = 0;
    sectors_of_files(&sample);
    misdirected_sectors(&sample);
    stale_sectors(&sample, &other);
    lengths_of_files(&sample);
    names_of_files(&sample, &other);
    control_from_anywhere(&sample, &other);
    bytes_of_control(&sample);
    bytes_of_ring(&sample);
    bytes_of_spare(&sample);
    bytes_of_files(&sample);
    sample_free(&sample);
    sample_free(&other);
    corruptions.seconds += repeat_now() - begun;
}

static void a_closed_log(void **state)
{
    (void)state;
    damage_everything(SAMPLE_CLOSED);
}

static void a_log_with_an_undurable_tail(void **state)
{
    (void)state;
    damage_everything(SAMPLE_KILLED);
}

/* D2: damage to `control` costs what only its ring had, and nothing else. */
static void a_log_whose_tail_is_only_in_the_ring(void **state)
{
    (void)state;
    damage_everything(SAMPLE_STAGED);
}

static void a_log_without_control(void **state)
{
    (void)state;
    damage_everything(SAMPLE_NO_CONTROL);
}

static void a_log_of_format_1(void **state)
{
    (void)state;
    damage_everything(SAMPLE_FORMAT1);
}

static void a_log_of_both_formats(void **state)
{
    (void)state;
    damage_everything(SAMPLE_MIXED);
}

/* ---- what was found ---- */

static struct sample *only_one(enum sample_kind kind)
{
    static struct sample sample;

    sample_make(&sample, kind, 1);
    corruptions.next_number = 99; /* the next one is among the share */
    return &sample;
}

/* Looking for a mark before it took for ever. */
static void a_watermark_far_behind_the_end_costs_no_time(void **state)
{
    struct sample *sample = only_one(SAMPLE_KILLED);
    struct corruption corruption;
    uint8_t byte = 0x40;

    (void)state;
    assert_true(corruption_begin(&corruption, sample));
    poke(&corruption, CONTROL, 135, &byte, 1);
    corruption.has_control = false;
    corruption.are_names_changed = true;
    corruption_finish(&corruption, "the durable position set far behind the end");
    sample_free(sample);
}

/* Segments of format 1 that verify = tail had skipped were written again to a wrong end. */
static void both_formats_open_by_their_tail_without_control(void **state)
{
    struct sample *sample = only_one(SAMPLE_MIXED);
    struct corruption corruption;

    (void)state;
    assert_true(corruption_begin(&corruption, sample));
    assert_true(nori_sim_file_unlink(corruption.sim, CONTROL) >= 0);
    corruption.has_control = false;
    corruption_finish(&corruption, "control missing");
    sample_free(sample);
}

/* A copy under a smaller id took the whole log with it into quarantine. */
static void a_stray_copy_goes_alone(void **state)
{
    struct sample *sample = only_one(SAMPLE_MIXED);
    struct corruption corruption;

    (void)state;
    assert_true(corruption_begin(&corruption, sample));
    copy_to(&corruption, &sample->files[sample->file_count - 1], SAMPLE_DIR "/000005.wal");
    corruption.are_names_changed = true;
    corruption_finish(&corruption, "the newest segment also as 5");
    sample_free(sample);
}

/* ---- hours of it ---- */

#define HEADER_LEN 128u
#define MAGIC_LEN  8u

static struct torture_options options = {0, 1, 0, 0};

/* Format 1 has no more than the checksums of its records. Where it is damaged, or what tells it
 * from format 2 and numbers its records, chance decides what is noticed; and a log of which no file
 * begins as format 2 does passes for one. */
static bool is_left_to_chance(const struct corruption *corruption)
{
    const struct sample *sample = corruption->sample;
    size_t format2 = 0, damaged = 0, headless = 0;

    for (size_t i = 0; i < sample->file_count; i++) {
        const struct sample_file *file = &sample->files[i];
        uint8_t header[HEADER_LEN] = {0};

        (void)sample_load(corruption->sim, file->path, header, sizeof header);
        format2 += file->format == 2;
        damaged += file->format == 2 && memcmp(header, file->bytes, sizeof header) != 0;
        headless += file->format == 2 && memcmp(header, file->bytes, MAGIC_LEN) != 0;
    }
    return (format2 < sample->file_count && damaged > 0) || (format2 > 0 && headless == format2) ||
           sample_is_format1_touched(sample, corruption->sim, sample->file_count);
}

static void try_drawn(struct job *job, enum sample_kind kind, uint64_t number, bool has_sectors)
{
    struct corruption corruption = {
        .sample = sample_shared(kind), .number = number, .has_control = true};
    uint64_t seed = number;
    size_t count;

    corruptions.drawn = has_sectors ? ".sectors" : ".drawn";
    nori_sim_crash_kill(corruption.sample->sim, &corruption.sim);
    count = 1 + torture_random(&seed, 4);
    corruption.is_compound = count > 1 || has_sectors; /* of which two change at once */
    for (size_t i = 0; i < count; i++) {
        if (has_sectors && torture_random(&seed, 2))
            sample_damage_sector(corruption.sample, corruption.sim, &seed);
        else
            sample_damage(corruption.sample, corruption.sim, &seed);
    }
    corruption.is_hidden = is_left_to_chance(&corruption);
    if (job) {
        atomic_fetch_add(&job->looked, 1);
        sketch_add(&job->sketch, nori_sim_digest(corruption.sim));
    }
    corruption_finish(&corruption, "%zu damages by seed", count);
}

/* A hundred of them, every other one with sectors at the wrong place or time. */
static bool try_case(struct job *job, uint64_t number)
{
    uint64_t seed = options.seed + number;

    corruptions.is_worker = true;
    for (int i = 0; i < 100; i++)
        try_drawn(job, (enum sample_kind)(number % SAMPLE_KINDS), torture_random(&seed, UINT64_MAX),
                  i % 2 == 1);
    return true;
}

static void torture(void **state)
{
    (void)state;
    assert_true(jobs_run(&options, "damage", try_case));
}

/* All that the tests above do a share of, looked at by all. */
static void torture_all(void **state)
{
    uint64_t next;

    (void)state;
    corruptions.is_part = corruptions.is_by_all = true;
    corruptions.from = options.from;
    corruptions.until = options.seconds > 0 ? repeat_now() + options.seconds : 0;
    for (int kind = 0; kind < SAMPLE_KINDS; kind++)
        damage_everything((enum sample_kind)kind);
    next = corruptions.passed > options.from ? corruptions.passed : options.from;
    torture_end(next, next - options.from);
    if (options.count > 0 && options.seconds <= 0 && next != options.from + options.count)
        (void)printf("torture: says there are %llu damages, but its goal is %llu\n",
                     (unsigned long long)next, (unsigned long long)(options.from + options.count));
}

static void one_that_failed(void **state)
{
    const char *text = getenv("NORI_CORRUPTION");
    unsigned long long number;
    int kind;

    (void)state;
    corruptions.is_by_all = true;
    if (sscanf(text, "%d.%llu", &kind, &number) != 2 || kind < 0 || kind >= SAMPLE_KINDS)
        fail_msg("NORI_CORRUPTION is not understood");
    corruptions.only_number = number;
    if (strstr(text, ".drawn") || strstr(text, ".sectors")) {
        try_drawn(NULL, (enum sample_kind)kind, number, strstr(text, ".sectors") != NULL);
        return;
    }
    damage_everything((enum sample_kind)kind);
}

static void print_totals(void)
{
    print_message("corruptions: %llu tried in %.1f s, %llu looks; opens: %llu whole, %llu torn, "
                  "%llu refused, %llu of a newer version, %llu cut, %llu with holes\n",
                  (unsigned long long)corruptions.tried, corruptions.seconds,
                  (unsigned long long)corruptions.looks, (unsigned long long)corruptions.whole,
                  (unsigned long long)corruptions.torn, (unsigned long long)corruptions.refused,
                  (unsigned long long)corruptions.version, (unsigned long long)corruptions.cut,
                  (unsigned long long)corruptions.salvaged);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest repeated[] = {cmocka_unit_test(one_that_failed)};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_log),
        cmocka_unit_test(a_log_with_an_undurable_tail),
        cmocka_unit_test(a_log_whose_tail_is_only_in_the_ring),
        cmocka_unit_test(a_log_without_control),
        cmocka_unit_test(a_log_of_format_1),
        cmocka_unit_test(a_log_of_both_formats),
        cmocka_unit_test(a_watermark_far_behind_the_end_costs_no_time),
        cmocka_unit_test(both_formats_open_by_their_tail_without_control),
        cmocka_unit_test(a_stray_copy_goes_alone),
    };
    const struct CMUnitTest tortures[] = {cmocka_unit_test(torture)};
    const struct CMUnitTest all[] = {cmocka_unit_test(torture_all)};
    int failed;

    if (getenv("NORI_CORRUPTION"))
        return cmocka_run_group_tests(repeated, NULL, NULL);
    if (argc > 1 && strcmp(argv[1], "all") == 0) {
        torture_parse(argc, argv, &options);
        failed = cmocka_run_group_tests(all, NULL, NULL);
        print_totals();
        return failed;
    }
    if (argc > 1 && strncmp(argv[1], "--", 2) == 0) {
        torture_parse(argc, argv, &options);
        return cmocka_run_group_tests(tortures, NULL, NULL);
    }
    ONLY_MATCHING(argc, argv, tests, " | [all] --count N ...");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    print_totals();
    return failed;
}
