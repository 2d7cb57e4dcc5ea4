/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_staging.c: appends that only the staging ring in `control` has when the process dies (D2).
 *
 * On the simulated machine the clock stands still while a thread runs, so the writer thread naps on
 * and nothing reaches a segment before it is flushed or synced, or the ring is full.
 */
#include "../support/only.h"
#include "encode.h"
#include "helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <nori/sim.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_LEN  ((size_t)4096) /* of `control`, before the ring */
#define VALUE_LEN 100

static struct nori_wal_config sim_config(nori_sim *sim, size_t ring_len)
{
    struct nori_wal_config config = config_on(sim);

    config.buffer_size = ring_len;
    return config;
}

/* What anybody sees without a writer: exactly 1 .. count. */
static void expect_shown(nori_sim *sim, const char *dir, uint64_t count)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_reader *reader = NULL;

    config.vfs = nori_sim_vfs(sim);
    assert_int_equal(nori_reader_open_with(dir, &config, OLDEST, &reader, NULL), NORI_OK);
    expect_range(reader, 1, count, 1);
    nori_reader_close(reader);
}

static int take_summary(void *context, const struct nori_log_item *item)
{
    if (item->kind == NORI_LOG_SUMMARY)
        *(uint64_t *)context = item->records;
    return 0;
}

/* What is only in the ring is no damage. */
static void expect_verified(nori_sim *sim, const char *dir, uint64_t count)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    uint64_t records = 0;

    options.vfs = nori_sim_vfs(sim);
    assert_int_equal(nori_log_verify(dir, &options, take_summary, &records, NULL), NORI_OK);
    assert_int_equal(records, count);
    assert_int_equal(nori_log_explain(dir, &options, NULL, NULL, NULL), NORI_OK);
}

/* D2, D5: records 1 .. count are shown, recovered, and durable when open returns; and the log goes
 * on. Returns how many bytes came from the ring. */
static uint64_t expect_recovered(const struct nori_wal_config *like, nori_sim *sim, const char *dir,
                                 uint64_t count)
{
    struct nori_wal_config config = *like;
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_recovery_info later;
    struct nori_error error = NORI_ERROR_INIT;
    nori_sim *after = NULL;
    nori_wal *wal = NULL;

    config.dir = dir;
    config.vfs = nori_sim_vfs(sim);
    expect_shown(sim, dir, count);
    expect_verified(sim, dir, count);
    if (nori_wal_open(&config, &wal, &info, &error) != NORI_OK)
        fail_msg("%s: %s", nori_error_name(error.code), error.message);
    assert_int_equal(info.valid_records, count);
    assert_int_equal(info.bytes_truncated, 0);
    assert_int_equal(info.corruption_detected, 0);
    assert_true(info.bytes_rewritten >= info.bytes_from_staging);
    assert_true(is_same_position(durable_of(wal), position_of(wal)));
    assert_int_equal(nori_sim_power_cut(sim, 0, &after), 0);
    expect_shown(after, dir, count);
    nori_sim_free(after);
    (void)append_numbered(wal, count + 1, VALUE_LEN);
    close_log(wal);
    expect_shown(sim, dir, count + 1);
    assert_int_equal(try_open(&config, &later, NULL), NORI_OK);
    assert_int_equal(later.valid_records, count + 1);
    assert_int_equal(later.bytes_from_staging, 0); /* it was closed */
    return info.bytes_from_staging;
}

/* Kill the process now, and recover what that leaves. */
static uint64_t kill_and_recover(const struct nori_wal_config *config, nori_sim *sim,
                                 uint64_t count)
{
    nori_sim *after;
    uint64_t bytes;

    nori_sim_crash_kill(sim, &after);
    bytes = expect_recovered(config, after, "wal", count);
    nori_sim_free(after);
    return bytes;
}

/* A ring that is never full, one that is full again and again, and one that wraps all the time: at
 * each append the process may die. */
static void what_only_the_ring_has_is_there_after_a_process_crash(void **state)
{
    static const size_t rings[] = {4096, 8192, (size_t)64 << 10, 0};

    (void)state;
    for (size_t i = 0; i < 4 * sizeof rings / sizeof rings[0]; i++) {
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = sim_config(sim, rings[i / 4]);
        uint64_t max = rings[i / 4] == 0 ? 20 : 120;
        size_t staged = 0;
        nori_wal *wal;

        config.fsync_policy = i % 2 ? NORI_FSYNC_BATCH : NORI_FSYNC_OS;
        config.verify = i % 4 / 2 ? NORI_VERIFY_TAIL : NORI_VERIFY_FULL;
        wal = open_log(&config);
        for (uint64_t number = 1; number <= max; number++) {
            (void)append_numbered(wal, number, number % 3 * 200);
            staged += kill_and_recover(&config, sim, number) > 0;
        }
        assert_in_range(staged, max - 1, max); /* but for one, when the writer began */
        close_log(wal);
        nori_sim_free(sim);
    }
}

struct under_always {
    const struct nori_wal_config *config;
    uint64_t returned;
    uint64_t staged; /* crashes after which the ring was needed */
};

static void recover_before(void *context, nori_sim *sim, uint64_t operation)
{
    struct under_always *under = context;
    struct nori_wal_config config = *under->config;
    struct nori_recovery_info info;
    nori_sim *after;

    (void)operation;
    nori_sim_crash_kill(sim, &after);
    config.vfs = nori_sim_vfs(after);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_in_range(info.valid_records, under->returned, under->returned + 1);
    expect_shown(after, "wal", info.valid_records);
    under->staged += info.bytes_from_staging > 0;
    nori_sim_free(after);
}

/* Who waits for the sync has not returned, but what it wrote is whole or not there. */
static void under_always_too_the_ring_is_asked(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = sim_config(sim, 4096);
    struct under_always under = {.config = &config};
    nori_wal *wal;

    (void)state;
    config.fsync_policy = NORI_FSYNC_ALWAYS;
    wal = open_log(&config);
    (void)append_numbered(wal, 1, VALUE_LEN);
    options.before_operation = recover_before;
    options.context = &under;
    nori_sim_set_options(sim, &options);
    for (under.returned = 1; under.returned < 60; under.returned++)
        (void)append_numbered(wal, under.returned + 1, VALUE_LEN);
    nori_sim_set_options(sim, NULL);
    assert_true(under.staged >= 59);
    close_log(wal);
    nori_sim_free(sim);
}

/* A rotation lets the ended segment be synced, so what only the ring has ends one and goes on. */
static void what_only_the_ring_has_may_lie_in_several_segments(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = sim_config(sim, 32 * MIB); /* so full that nobody is woken */
    nori_wal *wal = open_log(&config);
    nori_sim *after;
    uint64_t number = 0;

    (void)state;
    append_range(wal, 1, number = 10, VALUE_LEN);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    while (position_of(wal).segment_id < 2)
        (void)append_numbered(wal, ++number, 4000);
    nori_sim_crash_kill(sim, &after);
    config.verify = NORI_VERIFY_TAIL;
    assert_true(expect_recovered(&config, after, "wal", number) > MIB / 2);
    nori_sim_free(after);
    config.verify = NORI_VERIFY_FULL;
    config.buffer_size = 4096;
    assert_true(kill_and_recover(&config, sim, number) > MIB / 2);
    close_log(wal);
    nori_sim_free(sim);
}

/* At each append around the end of a segment. */
static void a_rotation_costs_nothing_that_only_the_ring_has(void **state)
{
    (void)state;
    for (size_t ring_len = 4096; ring_len <= 4 * MIB; ring_len *= 32) {
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = sim_config(sim, ring_len);
        nori_wal *wal = open_log(&config);
        uint64_t number = 0;

        while (position_of(wal).offset < MIB - 8192)
            (void)append_numbered(wal, ++number, 4000);
        nori_sim_sleep(sim, 1000000000); /* all is written, and the next segment prepared */
        for (size_t i = 0; i < 40; i++) {
            (void)append_numbered(wal, ++number, 250);
            (void)kill_and_recover(&config, sim, number);
        }
        assert_int_equal(position_of(wal).segment_id, 1);
        close_log(wal);
        nori_sim_free(sim);
    }
}

/* ---- a log whose tail is only in the ring ---- */

#define FLUSHED 12
#define STAGED  15
#define ALL     (FLUSHED + STAGED)

struct left {
    nori_sim *sim; /* at rest */
    struct nori_wal_config config;
    uint64_t begins[ALL + 2]; /* LSN of record n, and the end */
    uint8_t *controls[4];     /* `control` at earlier moments */
    size_t control_len;
};

static uint8_t *load_control(nori_sim *sim, size_t *ret_len)
{
    uint64_t bytes = 0;
    uint8_t *data;

    assert_int_equal(nori_sim_file_bytes(sim, "wal/control", &bytes), 0);
    data = malloc((size_t)bytes);
    assert_non_null(data);
    assert_int_equal(nori_sim_file_read(sim, "wal/control", 0, data, (size_t)bytes, ret_len), 0);
    assert_int_equal(*ret_len, bytes);
    return data;
}

/* One life closed, another killed: most of its records durable, the rest in the ring alone. */
static void make_left(struct left *left, size_t ring_len)
{
    nori_sim *sim = nori_sim_new(NULL);
    nori_wal *wal;

    left->config = sim_config(sim, ring_len);
    wal = open_log(&left->config);
    left->controls[0] = load_control(sim, &left->control_len);
    for (uint64_t number = 1; number <= ALL; number++) {
        if (number == 5)
            left->controls[1] = load_control(sim, &left->control_len);
        left->begins[number] = append_numbered(wal, number, VALUE_LEN).offset;
        if (number == FLUSHED - 4)
            assert_int_equal(nori_wal_sync(wal), NORI_OK);
        if (number == FLUSHED)
            assert_int_equal(nori_wal_flush(wal), NORI_OK);
        if (number == FLUSHED)
            left->controls[2] = load_control(sim, &left->control_len);
        if (number == ALL - 3)
            left->controls[3] = load_control(sim, &left->control_len);
    }
    left->begins[ALL + 1] = position_of(wal).offset;
    nori_sim_crash_kill(sim, &left->sim);
    close_log(wal);
    nori_sim_free(sim);
}

static void free_left(struct left *left)
{
    for (size_t i = 0; i < 4; i++)
        free(left->controls[i]);
    nori_sim_free(left->sim);
}

/* A clone of what is left, at which nobody has looked yet. */
static nori_sim *clone_of(const struct left *left)
{
    nori_sim *clone;

    nori_sim_crash_kill(left->sim, &clone);
    return clone;
}

static void all_of_it_is_there_if_nothing_else_happened(void **state)
{
    struct left left;
    nori_sim *clone;

    (void)state;
    make_left(&left, 8192);
    clone = clone_of(&left);
    assert_int_equal(expect_recovered(&left.config, clone, "wal", ALL),
                     left.begins[ALL + 1] - left.begins[FLUSHED + 1]);
    nori_sim_free(clone);
    free_left(&left);
}

static void set_capacity(nori_sim *sim, uint64_t bytes)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.capacity_bytes = bytes;
    nori_sim_set_options(sim, &options);
}

static void shorten_file(nori_sim *sim, const char *name, uint64_t bytes)
{
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nori_folder *folder = NULL;
    struct nori_file *file = NULL;

    assert_int_equal(vfs->open_folder(vfs->context, "wal", 0, 0, &folder), 0);
    assert_int_equal(folder->ops->open_file(folder, name, NORI_FILE_WRITE, 0, &file), 0);
    assert_int_equal(file->ops->truncate(file, bytes), 0);
    file->ops->close(file);
    folder->ops->close(folder);
}

/* D9: a power cut may leave records in the ring, and take back the space that the segment had for
 * them. Somebody else may have it by now: what the file reaches is there, open needs no more. */
static void what_lies_beyond_the_file_is_lost_with_the_machine(void **state)
{
    struct left left;

    (void)state;
    make_left(&left, 8192);
    for (uint64_t bytes = left.begins[FLUSHED + 1]; bytes < left.begins[ALL + 1]; bytes += 7) {
        nori_sim *clone = clone_of(&left);
        struct nori_wal_config config = left.config;
        struct nori_recovery_info info;
        uint64_t expected = FLUSHED;

        while (expected < ALL && left.begins[expected + 2] <= bytes)
            expected++;
        config.vfs = nori_sim_vfs(clone);
        shorten_file(clone, "000000.wal", bytes);
        set_capacity(clone, 1);
        expect_shown(clone, "wal", expected);
        expect_verified(clone, "wal", expected);
        assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, expected);
        set_capacity(clone, 0);
        (void)expect_recovered(&left.config, clone, "wal", expected);
        nori_sim_free(clone);
    }
    free_left(&left);
}

struct copying {
    nori_sim *sim;
    size_t count;
};

static int copy_file(void *context, const char *name)
{
    struct copying *copying = context;
    static uint8_t bytes[MIB];
    char from[64], to[64];
    size_t len = 0;

    (void)snprintf(from, sizeof from, "wal/%.40s", name);
    (void)snprintf(to, sizeof to, "copy/%.40s", name);
    assert_int_equal(nori_sim_file_read(copying->sim, from, 0, bytes, sizeof bytes, &len), 0);
    assert_int_equal(nori_sim_file_poke(copying->sim, to, 0, bytes, len), 0);
    copying->count++;
    return 0;
}

/* The words of a copied `control` count for nothing, its records do. */
static void a_folder_copied_after_the_crash_has_all_of_it(void **state)
{
    struct left left;
    struct copying copying = {0};
    struct nori_folder *folder = NULL;
    const struct nori_vfs *vfs;

    (void)state;
    make_left(&left, 8192);
    vfs = nori_sim_vfs(left.sim);
    assert_int_equal(vfs->open_folder(vfs->context, "copy", NORI_FOLDER_CREATE, 0700, &folder), 0);
    folder->ops->close(folder);
    copying.sim = left.sim;
    assert_int_equal(nori_sim_list(left.sim, "wal", copy_file, &copying), 0);
    assert_true(copying.count >= 2);
    assert_true(expect_recovered(&left.config, left.sim, "copy", ALL) >=
                left.begins[ALL + 1] - left.begins[FLUSHED + 1]);
    assert_true(expect_recovered(&left.config, left.sim, "wal", ALL) > 0);
    free_left(&left);
}

/* Whoever opens it next may want another ring; the old one is needed until all is durable. */
static void another_buffer_size_costs_nothing(void **state)
{
    static const size_t rings[] = {4096, 8192, (size_t)64 << 10, MIB};
    const size_t count = sizeof rings / sizeof rings[0];

    (void)state;
    for (size_t i = 0; i < count * count; i++) {
        struct left left;
        nori_sim *clone;

        make_left(&left, rings[i / count]);
        left.config.buffer_size = rings[i % count];
        clone = clone_of(&left);
        assert_int_equal(expect_recovered(&left.config, clone, "wal", ALL),
                         left.begins[ALL + 1] - left.begins[FLUSHED + 1]);
        nori_sim_free(clone);
        free_left(&left);
    }
}

struct again {
    const struct nori_wal_config *config;
    uint64_t count;
};

static void kill_in_recovery(void *context, nori_sim *sim, uint64_t operation)
{
    struct again *again = context;
    nori_sim *after;

    (void)operation;
    again->count++;
    nori_sim_crash_kill(sim, &after);
    (void)expect_recovered(again->config, after, "wal", ALL);
    nori_sim_free(after);
}

/* D2: killed again while it is recovered, at any operation, with the same ring or another. */
static void a_crash_while_it_is_recovered_costs_nothing(void **state)
{
    (void)state;
    for (size_t ring_len = 4096; ring_len <= 16384; ring_len *= 2) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_wal_config config;
        struct left left;
        struct again again = {0};

        make_left(&left, 8192);
        config = left.config;
        config.buffer_size = ring_len;
        config.vfs = nori_sim_vfs(left.sim);
        again.config = &config;
        options.before_operation = kill_in_recovery;
        options.context = &again;
        nori_sim_set_options(left.sim, &options);
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        nori_sim_set_options(left.sim, NULL);
        assert_true(again.count >= 3);
        free_left(&left);
    }
}

/* ---- a `control` that is not what it was ---- */

/* Some of what only the ring had may be lost, and nothing else: never a wrong record, never called
 * damage. Returns how many records are left. */
static uint64_t expect_at_most_staged_lost(const struct left *left, nori_sim *sim, const char *what)
{
    struct nori_wal_config config = left->config;
    struct nori_recovery_info info;
    struct nori_error error;
    uint64_t counts[2];

    for (uint32_t verify = NORI_VERIFY_FULL; verify <= NORI_VERIFY_TAIL; verify++) {
        nori_sim *clone;

        nori_sim_crash_kill(sim, &clone);
        config.vfs = nori_sim_vfs(clone);
        config.verify = verify;
        if (try_open(&config, &info, &error) != NORI_OK)
            fail_msg("control %s: %s", what, error.message);
        if (info.corruption_detected || info.valid_records < FLUSHED || info.valid_records > ALL)
            fail_msg("control %s: %llu records, %s", what, (unsigned long long)info.valid_records,
                     info.message);
        expect_shown(clone, "wal", info.valid_records);
        expect_shown(sim, "wal", info.valid_records); /* as before it was opened */
        counts[verify] = info.valid_records;
        nori_sim_free(clone);
    }
    assert_int_equal(counts[0], counts[1]);
    return counts[0];
}

static void a_control_that_is_missing_or_cut_costs_only_what_the_ring_had(void **state)
{
    struct left left;
    nori_sim *clone;

    (void)state;
    make_left(&left, 4096);
    clone = clone_of(&left);
    assert_int_equal(nori_sim_file_unlink(clone, "wal/control"), 0);
    assert_int_equal(expect_at_most_staged_lost(&left, clone, "missing"), FLUSHED);
    nori_sim_free(clone);
    for (size_t len = 0; len < left.control_len; len += len % 512 == 511 ? 1 : 511) {
        clone = clone_of(&left);
        assert_int_equal(nori_sim_file_resize(clone, "wal/control", len), 0);
        assert_int_equal(expect_at_most_staged_lost(&left, clone, "cut"), FLUSHED);
        nori_sim_free(clone);
    }
    free_left(&left);
}

/* As a restored backup or a power cut may leave it: in the same place, but older, all of it or only
 * some of its sectors. */
static void a_control_of_an_older_moment_costs_only_what_the_ring_had(void **state)
{
    /* records in the ring by then, if its words were as old as it */
    static const uint64_t expected[4] = {FLUSHED, FLUSHED, FLUSHED, ALL - 3};
    struct left left;

    (void)state;
    make_left(&left, 4096);
    for (size_t i = 0; i < 4; i++) {
        nori_sim *clone = clone_of(&left);

        assert_int_equal(
            nori_sim_file_poke(clone, "wal/control", 0, left.controls[i], left.control_len), 0);
        assert_int_equal(expect_at_most_staged_lost(&left, clone, "older"), expected[i]);
        nori_sim_free(clone);
        for (uint64_t mix = 1; mix <= 60; mix++) {
            uint64_t random = mix * 0x9e3779b97f4a7c15u;

            clone = clone_of(&left);
            for (size_t at = 0; at < left.control_len; at += NORI_SIM_SECTOR) {
                random = random * 6364136223846793005u + 1442695040888963407u;
                if (random >> 63)
                    assert_int_equal(nori_sim_file_poke(clone, "wal/control", at,
                                                        left.controls[i] + at, NORI_SIM_SECTOR),
                                     0);
            }
            (void)expect_at_most_staged_lost(&left, clone, "partly older");
            nori_sim_free(clone);
        }
    }
    free_left(&left);
}

/* Each byte of the ring: what lies before it is there, what is behind it cannot be. */
static void damage_in_the_ring_costs_the_records_from_there_on(void **state)
{
    struct left left;
    uint8_t *control;
    size_t len;

    (void)state;
    make_left(&left, 4096);
    control = load_control(left.sim, &len);
    for (size_t at = PAGE_LEN; at < len; at += 7) {
        nori_sim *clone = clone_of(&left);
        uint8_t byte = (uint8_t)(control[at] ^ 1u << at % 8);
        uint64_t lsn = at - PAGE_LEN;
        uint64_t expected = FLUSHED;

        while (expected < ALL &&
               !(lsn >= left.begins[expected + 1] && lsn < left.begins[expected + 2]))
            expected++;
        if (lsn < left.begins[FLUSHED + 1])
            expected = ALL; /* the segment has that */
        assert_true(left.begins[ALL + 1] < 4096);
        assert_int_equal(nori_sim_file_poke(clone, "wal/control", at, &byte, 1), 0);
        assert_int_equal(expect_at_most_staged_lost(&left, clone, "with a bad ring"), expected);
        nori_sim_free(clone);
    }
    free(control);
    free_left(&left);
}

/* Every bit of the words; garbage of all kinds in words and ring. */
static void garbage_in_control_costs_only_what_the_ring_had(void **state)
{
    struct left left;
    uint8_t *control;
    size_t len;

    (void)state;
    make_left(&left, 4096);
    control = load_control(left.sim, &len);
    for (size_t bit = 0; bit < 320 * 8; bit++) {
        nori_sim *clone = clone_of(&left);
        uint8_t byte = (uint8_t)(control[bit / 8] ^ 1u << bit % 8);

        assert_int_equal(nori_sim_file_poke(clone, "wal/control", bit / 8, &byte, 1), 0);
        (void)expect_at_most_staged_lost(&left, clone, "with a flipped bit");
        nori_sim_free(clone);
    }
    for (unsigned n = 0; n < 60; n++) {
        nori_sim *clone = clone_of(&left);
        uint32_t noise = n * 2654435761u + 1;
        size_t from = n % 3 == 0 ? 0 : n % 3 == 1 ? 64 : PAGE_LEN;

        for (size_t i = from; i < len; i++) {
            noise = noise * 1664525u + 1013904223u;
            control[i] = n < 3 ? 0xff : n < 6 ? 0 : (uint8_t)(noise >> 24);
        }
        assert_int_equal(nori_sim_file_poke(clone, "wal/control", from, control + from, len - from),
                         0);
        (void)expect_at_most_staged_lost(&left, clone, "full of garbage");
        nori_sim_free(clone);
        free(control);
        control = load_control(left.sim, &len);
    }
    free(control);
    free_left(&left);
}

/* D6: the ring is no reason to overlook damage in what was written. */
static void damage_below_the_ring_is_told_all_the_same(void **state)
{
    struct left left;
    uint8_t byte = 0;

    (void)state;
    make_left(&left, 4096);
    for (uint64_t number = 1; number <= FLUSHED - 4; number++) {
        nori_sim *clone = clone_of(&left);
        struct nori_wal_config config = left.config;
        struct nori_error error;

        config.vfs = nori_sim_vfs(clone);
        assert_int_equal(
            nori_sim_file_poke(clone, "wal/000000.wal", left.begins[number] + 30, &byte, 1), 0);
        assert_int_equal(try_open(&config, NULL, &error), NORI_E_CORRUPT);
        assert_position(error.position, 0, left.begins[number]);
        nori_sim_free(clone);
    }
    free_left(&left);
}

/* ---- in truth ---- */

struct victim {
    const char *dir;
    size_t ring_len;
    uint32_t policy;
    uint64_t count;
};

static int append_and_die(void *context)
{
    const struct victim *victim = context;
    struct nori_wal_config config = config_of(victim->dir);
    nori_wal *wal = NULL;

    config.buffer_size = victim->ring_len;
    config.fsync_policy = victim->policy;
    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    for (uint64_t number = 1; number <= victim->count; number++) {
        struct numbered memory;
        struct nori_record record = make_numbered(&memory, number, number * 7 % 900);

        CHILD_CHECK(nori_wal_append(wal, &record, NULL) == NORI_OK);
    }
    (void)kill(getpid(), SIGKILL);
    return 0;
}

/* The third piece of a direct append finds no space. */
static void refuse_append(nori_sim *sim, nori_wal *wal, size_t len)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    uint8_t *value = calloc(1, len);
    struct nori_record record = nori_record_put("refused", 7, value, len);

    assert_int_equal(nori_wal_flush(wal), NORI_OK);
    options.fail_mask = NORI_SIM_WRITE;
    options.fail_errno = ENOSPC;
    options.fail_nth = len > 16384 ? 3 : 1;
    nori_sim_set_options(sim, &options);
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_E_NOSPACE);
    options.fail_nth = 0;
    nori_sim_set_options(sim, &options);
    free(value);
}

/* D2, D9: the pieces that were written before are taken back, and with them the room they seemed to
 * make in the ring: what comes next must not overwrite what is not written. */
static void a_refused_append_makes_no_room_in_the_ring(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = sim_config(sim, 4096);
    nori_wal *wal = open_log(&config);

    (void)state;
    append_range(wal, 1, 10, VALUE_LEN);
    refuse_append(sim, wal, 40000);
    append_range(wal, 11, 190, VALUE_LEN);
    (void)kill_and_recover(&config, sim, 200);
    close_log(wal);
    expect_shown(sim, "wal", 200);
    nori_sim_free(sim);
}

/* D9: an append that is larger than a quarter of the ring and fits into it leaves no whole record
 * there, which a power cut could bring back together with an older page. */
static void a_refused_append_is_not_in_the_ring(void **state)
{
    const size_t ring_len = 16384;
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = sim_config(sim, ring_len);
    nori_wal *wal = open_log(&config);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_position end;
    nori_sim *after;
    uint8_t begin[4];
    size_t got = 0;

    (void)state;
    append_range(wal, 1, 10, VALUE_LEN);
    end = position_of(wal);
    refuse_append(sim, wal, 8000);
    assert_int_equal(nori_sim_file_read(sim, "wal/control", PAGE_LEN + end.offset % ring_len, begin,
                                        sizeof begin, &got),
                     0);
    assert_true(begin[0] != 7 || begin[1] != ((8000 & 0x7f) | 0x80));
    nori_sim_crash_kill(sim, &after);
    config.vfs = nori_sim_vfs(after);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, 10);
    nori_sim_free(after);
    close_log(wal);
    nori_sim_free(sim);
}

/* A hostile ring may hold what verifies and is still nothing that a log may hold, such as a hole
 * that hides nobody knows how many records: open must end, and without it. */
static void what_no_log_may_hold_is_not_taken_from_the_ring(void **state)
{
    static const uint8_t unknown[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t hole = 3;
    struct raw_record record = {&hole, 1, unknown, sizeof unknown, RAW_CONTROL, 0, 0, 0, 0};
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = sim_config(sim, 4096);
    nori_wal *wal = open_log(&config);
    struct nori_position end;
    struct bytes file = {NULL, 0, 0};
    uint8_t salt[8];
    uint64_t number = 0;
    size_t got = 0;
    nori_sim *after;

    (void)state;
    append_range(wal, 1, 10, VALUE_LEN);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    end = position_of(wal);
    nori_sim_crash_kill(sim, &after);
    assert_int_equal(nori_sim_file_read(after, "wal/000000.wal", 48, salt, sizeof salt, &got), 0);
    for (size_t i = sizeof salt; i > 0; i--)
        number = number << 8 | salt[i - 1];
    put_zeros(&file, (size_t)end.offset);
    (void)put_record(&file, &record, number);
    assert_int_equal(nori_sim_file_poke(after, "wal/control", PAGE_LEN + end.offset % 4096,
                                        file.data + end.offset, file.len - (size_t)end.offset),
                     0);
    (void)expect_recovered(&config, after, "wal", 10);
    free_bytes(&file);
    nori_sim_free(after);
    close_log(wal);
    nori_sim_free(sim);
}

/* D2: also in a folder that is copied before anybody recovers it. */
static void a_process_that_kills_itself_leaves_all_it_appended(void **state)
{
    static const size_t rings[] = {0, 4096, MIB};
    const struct temporary *temporary = *state;

    for (uint64_t i = 0; i < 45; i++) {
        struct victim victim = {temporary->dir, rings[i % 3], (uint32_t)(i / 3 % 3),
                                1 + i * i * i % 3000};
        struct nori_wal_config config = config_of(temporary->dir);
        struct nori_recovery_info info;
        int status = run_child(append_and_die, &victim);

        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        copy_dir(temporary->dir, temporary->other);
        for (int where = 0; where < 2; where++) {
            config.dir = where ? temporary->other : temporary->dir;
            expect_log(config.dir, 1, victim.count);
            assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
            assert_int_equal(info.valid_records, victim.count);
            assert_int_equal(info.bytes_truncated, 0);
            assert_int_equal(info.corruption_detected, 0);
            expect_log(config.dir, 1, victim.count);
            remove_dir(config.dir);
        }
    }
}

/* Take all space there is. */
static void fill_disk(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    for (off_t len = (off_t)64 << 20, at = 0; len >= 4096;) {
        if (posix_fallocate(fd, at, len) == 0)
            at += len;
        else
            len /= 2;
    }
    assert_int_equal(close(fd), 0);
}

/* One made for this test, by reflink.sh. */
static bool is_small_disk(const char *path)
{
    struct statvfs disk;

    assert_int_equal(statvfs(path, &disk), 0);
    return disk.f_blocks * disk.f_frsize < (fsblkcnt_t)1 << 30;
}

/* True if the file system has made a copy that shares its blocks with the file. */
static bool clone_file(const char *from, const char *to)
{
    int source = open(from, O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int rc = ioctl(target, FICLONE, source);

    assert_true(source >= 0 && target >= 0);
    assert_int_equal(close(source), 0);
    assert_int_equal(close(target), 0);
    return rc == 0;
}

/* D2, D9: so is one whose `control` was copied by sharing its blocks: the first store to each would
 * need space, and where there is none it would kill the process. Readers never wait for space. */
static void a_control_that_shares_its_blocks_with_a_copy_costs_nothing(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(temporary->dir);
    bool is_small = is_small_disk(temporary->top);
    uint64_t staged = 0;
    int refused = 0;
    char control[300], copy[300], ballast[300];

    (void)snprintf(control, sizeof control, "%s/control", temporary->dir);
    (void)snprintf(copy, sizeof copy, "%s/copy", temporary->top);
    (void)snprintf(ballast, sizeof ballast, "%s/ballast", temporary->top);
    for (int round = 0; round < 8; round++) {
        struct victim victim = {temporary->dir, 0, NORI_FSYNC_OS, 20};
        struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
        int status = run_child(append_and_die, &victim);

        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        if (!clone_file(control, copy)) {
            assert_int_equal(unlink(copy), 0);
            skip(); /* this file system does not */
        }
        if (is_small) {
            int rc;

            fill_disk(ballast);
            expect_log(temporary->dir, 1, victim.count);
            rc = try_open(&config, &info, NULL);
            assert_true(rc == NORI_E_NOSPACE || (rc == NORI_OK && info.bytes_from_staging == 0));
            refused += rc == NORI_E_NOSPACE;
            expect_log(temporary->dir, 1, victim.count);
            assert_int_equal(unlink(ballast), 0);
        }
        expect_log(temporary->dir, 1, victim.count);
        assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, victim.count);
        staged += info.bytes_from_staging;
        assert_int_equal(unlink(copy), 0);
        remove_dir(temporary->dir);
    }
    assert_true(staged > 0); /* else it shows nothing */
    assert_true(!is_small || refused > 0);
}

/* D9: when it was closed its ring has nothing, and opening it needs no space, whatever shares the
 * blocks of its `control`. It is read beside the writer, too, and is whole when there is room. */
static void a_closed_log_whose_control_shares_its_blocks_opens_on_a_full_disk(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = config_of(temporary->dir);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    char control[300], copy[300], ballast[300];
    struct numbered memory;
    struct nori_record record = make_numbered(&memory, 21, VALUE_LEN);
    uint64_t count = 20;
    nori_wal *wal = NULL;
    int rc;

    (void)snprintf(control, sizeof control, "%s/control", temporary->dir);
    (void)snprintf(copy, sizeof copy, "%s/copy", temporary->top);
    (void)snprintf(ballast, sizeof ballast, "%s/ballast", temporary->top);
    wal = open_log(&config);
    append_range(wal, 1, count, VALUE_LEN);
    close_log(wal);
    if (!is_small_disk(temporary->top) || !clone_file(control, copy))
        skip(); /* it would fill a disk of others, or this file system does not */
    fill_disk(ballast);
    assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, count);
    assert_int_equal(info.was_clean, 1);
    rc = nori_wal_append(wal, &record, NULL);
    /* xfs, full, may refuse to take what `spare` has taken already. */
    assert_true(rc == NORI_OK || rc == NORI_E_NOSPACE);
    count += rc == NORI_OK;
    expect_log(temporary->dir, 1, count);
    close_log(wal);
    expect_log(temporary->dir, 1, count);
    assert_int_equal(unlink(ballast), 0);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, count);
    expect_log(temporary->dir, 1, count);
}

/* With an argument: only the tests whose names it matches. */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_the_ring_has_is_there_after_a_process_crash),
        cmocka_unit_test(under_always_too_the_ring_is_asked),
        cmocka_unit_test(what_only_the_ring_has_may_lie_in_several_segments),
        cmocka_unit_test(a_rotation_costs_nothing_that_only_the_ring_has),
        cmocka_unit_test(all_of_it_is_there_if_nothing_else_happened),
        cmocka_unit_test(what_lies_beyond_the_file_is_lost_with_the_machine),
        cmocka_unit_test(a_folder_copied_after_the_crash_has_all_of_it),
        cmocka_unit_test(another_buffer_size_costs_nothing),
        cmocka_unit_test(a_crash_while_it_is_recovered_costs_nothing),
        cmocka_unit_test(a_control_that_is_missing_or_cut_costs_only_what_the_ring_had),
        cmocka_unit_test(a_control_of_an_older_moment_costs_only_what_the_ring_had),
        cmocka_unit_test(damage_in_the_ring_costs_the_records_from_there_on),
        cmocka_unit_test(garbage_in_control_costs_only_what_the_ring_had),
        cmocka_unit_test(damage_below_the_ring_is_told_all_the_same),
        cmocka_unit_test(a_refused_append_makes_no_room_in_the_ring),
        cmocka_unit_test(a_refused_append_is_not_in_the_ring),
        cmocka_unit_test(what_no_log_may_hold_is_not_taken_from_the_ring),
        cmocka_unit_test_setup_teardown(a_process_that_kills_itself_leaves_all_it_appended,
                                        temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(a_control_that_shares_its_blocks_with_a_copy_costs_nothing,
                                        temporary_setup, temporary_teardown),
        cmocka_unit_test_setup_teardown(
            a_closed_log_whose_control_shares_its_blocks_opens_on_a_full_disk, temporary_setup,
            temporary_teardown),
    };

    ONLY_MATCHING(argc, argv, tests, "");
    return cmocka_run_group_tests_name("staging", tests, NULL, NULL);
}
