/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_orders.c: histories in which two things happen in an order that is rare, and in which a log
 * that did them in another order would lose something. Each takes one machine and one moment;
 * test_crash_states.c and its like, which try all moments of short histories, do not come to them.
 */
#include "../api/helpers.h"
#include "../support/between.h"

#include <errno.h>
#include <nori/sim.h>

#define RECORD_LEN ((size_t)4000)
#define LONG_NS    ((uint64_t)100000000000)
#define CUTS       12 /* random power cuts at each operation */
#define HEADER_LEN 128
#define RING_AT    4096 /* in `control` */

static uint64_t bytes_of(nori_sim *sim, const char *path)
{
    uint64_t bytes = 0;

    (void)nori_sim_file_bytes(sim, path, &bytes);
    return bytes;
}

static bool has_segment(nori_sim *sim, uint64_t id)
{
    char path[64];
    uint64_t bytes;

    (void)snprintf(path, sizeof path, "wal/%s", segment_name(id));
    return nori_sim_file_bytes(sim, path, &bytes) == 0;
}

static uint64_t first_number(nori_wal *wal)
{
    nori_reader *reader = NULL;
    struct nori_record record;
    uint64_t number = 1;

    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    if (nori_reader_next(reader, &record, NULL) == NORI_OK)
        assert_true(is_numbered(&record, &number));
    nori_reader_close(reader);
    return number;
}

/* It opens, and shows the records first .. first + n - 1 for some n, which is returned; first is
 * any if it is 0. */
static uint64_t expect_opens(nori_sim *sim, uint64_t first)
{
    struct nori_wal_config config = config_on(sim);
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;
    nori_wal *wal = NULL;

    if (nori_wal_open(&config, &wal, &info, &error) < 0)
        fail_msg("it does not open: %s", error.message);
    first = first ? first : first_number(wal);
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    if (info.valid_records > 0)
        expect_range(reader, first, info.valid_records, first);
    nori_reader_close(reader);
    close_log(wal);
    return info.valid_records;
}

/* ---- ended segments whose syncs take their time ---- */

static void sync_of_named_takes_long(void *context, const char *name)
{
    if (strcmp(name, "spare") != 0)
        nori_sim_sleep(context, LONG_NS);
}

/* An open log on a machine on which giving a segment its name takes no time, and syncing one that
 * has it takes long. */
static nori_wal *open_where_syncs_take_long(nori_sim *sim)
{
    struct between between = {.before_sync = sync_of_named_takes_long, .context = sim};
    struct nori_wal_config config = config_on(sim);

    config.vfs = between_begin(nori_sim_vfs(sim), &between);
    return open_log(&config);
}

/* D3: the disk is busy with ended segments. A power cut costs the current one and two ended ones,
 * never a third. */
static void no_third_ended_segment_waits_for_its_sync(void **state)
{
    uint64_t first_of[8] = {0}; /* the number of the first record in each segment */
    nori_sim *sim = nori_sim_new(NULL);
    nori_wal *wal = open_where_syncs_take_long(sim);
    uint64_t id = 0;

    (void)state;
    for (uint64_t number = 1; id < 6; number++) {
        nori_sim *after = NULL;

        id = append_numbered(wal, number, RECORD_LEN).segment_id;
        if (first_of[id] != 0 || id == 0)
            continue;
        first_of[id] = number;
        (void)nori_sim_power_cut(sim, 0, &after);
        assert_in_range(expect_opens(after, 1), id < 3 ? 0 : first_of[id - 2] - 1, number - 1);
        nori_sim_free(after);
    }
    close_log(wal);
    nori_sim_free(sim);
}

/*
 * What a power cut leaves of segments the last three of which were not synced since they had their
 * names: the first of these lost its tail, so the log ends there, and the other two are dead.
 */
static nori_sim *with_two_dead_segments(uint64_t live)
{
    nori_sim *sim = nori_sim_new(NULL);
    nori_wal *wal = open_where_syncs_take_long(sim);
    nori_sim *after = NULL;
    uint64_t number = 1;

    while (append_numbered(wal, number++, RECORD_LEN).segment_id + 1 < live)
        continue;
    if (live > 1)
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
    nori_sim_sleep(sim, LONG_NS / 10); /* it is written, and has its name */
    while (position_of(wal).segment_id < live + 1)
        (void)append_numbered(wal, number++, RECORD_LEN);
    nori_sim_sleep(sim, LONG_NS / 10);
    (void)nori_sim_power_cut(sim, 0, &after);
    close_log(wal);
    nori_sim_free(sim);
    for (uint64_t id = 0; id < live + 2; id++)
        assert_true(has_segment(after, id));
    return after;
}

struct watcher {
    uint64_t durable; /* records that must be there */
    uint64_t states;
    uint64_t first;    /* record that is shown; 0: any */
    uint64_t capacity; /* of the disk; 0: no limit */
};

static void look_at(struct watcher *watcher, nori_sim *after)
{
    assert_in_range(expect_opens(after, watcher->first), watcher->durable, UINT64_MAX);
    nori_sim_free(after);
    watcher->states++;
}

static void crash_here(void *context, nori_sim *sim, uint64_t operation)
{
    struct watcher *watcher = context;
    nori_sim *after;

    nori_sim_crash_kill(sim, &after);
    look_at(watcher, after);
    for (uint64_t i = 0; i < CUTS; i++) {
        nori_sim_power_cut_random(sim, operation * CUTS + i, &after);
        look_at(watcher, after);
    }
}

static void watch(nori_sim *sim, struct watcher *watcher)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.before_operation = watcher ? crash_here : NULL;
    options.capacity_bytes = watcher ? watcher->capacity : 0;
    options.context = watcher;
    nori_sim_set_options(sim, &options);
}

/* D1, D6: until the header that killed them is durable, dead segments are what tells that the log
 * went on there. One of two, alone, has no predecessor: the log would be taken for damaged. */
static void dead_segments_outlive_the_crash_before_the_new_header(void **state)
{
    nori_sim *sim = with_two_dead_segments(1);
    struct nori_wal_config config = config_on(sim);
    struct watcher watcher = {.first = 1};
    nori_wal *wal;
    uint64_t count;

    (void)state;
    count = expect_opens(sim, 1); /* opening alone removes nothing */
    assert_true(has_segment(sim, 1) && has_segment(sim, 2));
    watcher.durable = count;
    watch(sim, &watcher);
    wal = open_log(&config);
    (void)append_numbered(wal, count + 1, 10);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    close_log(wal);
    watch(sim, NULL);
    assert_false(has_segment(sim, 1) ||
                 has_segment(sim, 2)); /* they are gone, so that moment came */
    assert_true(watcher.states > 50);
    assert_int_equal(expect_opens(sim, 1), count + 1);
    nori_sim_free(sim);
}

/* D1, D6: a live segment goes after all dead ones, or one of those would look like the oldest of
 * the log: its records would be back, or the log be taken for damaged. */
static void dropped_segments_go_after_the_dead(void **state)
{
    nori_sim *sim = with_two_dead_segments(1);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);
    struct watcher watcher = {.first = 1};
    uint64_t deleted = 0;

    (void)state;
    watch(sim, &watcher);
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), &deleted), NORI_OK);
    watch(sim, NULL);
    assert_int_equal(deleted, 1);
    assert_false(has_segment(sim, 0) || has_segment(sim, 1) || has_segment(sim, 2));
    close_log(wal);
    assert_true(watcher.states > 50);
    nori_sim_free(sim);
}

/* D1: whoever comes first removes the dead ones, in any order of the threads; each once, and
 * nothing that was appended since. */
static void dead_segments_may_go_while_others_are_dropped(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_sim *sim = with_two_dead_segments(1);
        struct nori_wal_config config = config_on(sim);
        uint64_t count = expect_opens(sim, 1);
        uint64_t deleted = 0;
        nori_wal *wal;

        options.seed = seed;
        options.switch_percent = 20 + (uint32_t)(seed % 3) * 30;
        nori_sim_set_options(sim, &options);
        wal = open_log(&config);
        (void)append_numbered(wal, count + 1, 10);
        if (seed % 2)
            assert_int_equal(nori_wal_sync(wal), NORI_OK);
        assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), &deleted), NORI_OK);
        assert_int_equal(deleted, 2);
        assert_false(has_segment(sim, 0) || has_segment(sim, 1) || has_segment(sim, 2));
        (void)append_numbered(wal, count + 2, 10);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        close_log(wal);
        nori_sim_set_options(sim, NULL);
        assert_int_equal(expect_opens(sim, count + 2), 1);
        nori_sim_free(sim);
    }
}

/* D9: dropping needs no room, also while dead segments wait for the header that kills them. They
 * stay: behind the newest live segment they do not look like the oldest. */
static void on_a_full_disk_dropping_does_not_wait_for_the_dead(void **state)
{
    nori_sim *sim = with_two_dead_segments(3);
    struct nori_wal_config config = config_on(sim);
    uint64_t count = expect_opens(sim, 1);
    struct watcher watcher = {.capacity = nori_sim_used_bytes(sim)};
    uint64_t deleted = 0;
    uint64_t left;
    nori_wal *wal;

    (void)state;
    watch(sim, &watcher);
    wal = open_log(&config);
    assert_int_equal(nori_wal_delete_segments_before(wal, (struct nori_position){2, 0}, &deleted),
                     NORI_OK);
    assert_int_equal(deleted, 2);
    assert_false(has_segment(sim, 0) || has_segment(sim, 1));
    assert_true(has_segment(sim, 2) && has_segment(sim, 3) && has_segment(sim, 4));
    (void)append_numbered(wal, count + 1, 10);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    left = count + 2 - first_number(wal);
    close_log(wal);
    watch(sim, NULL);
    assert_true(left > 1 && watcher.states > 50);
    assert_int_equal(expect_opens(sim, 0), left);
    assert_false(has_segment(sim, 3) || has_segment(sim, 4));
    nori_sim_free(sim);
}

/* Append record `number`, the last of the log, and sync: the crashes until then, more than `least`,
 * were looked at, and the record is there. Frees the machine. */
static void append_the_last(nori_sim *sim, nori_wal *wal, struct watcher *watcher, uint64_t number,
                            uint64_t least)
{
    (void)append_numbered(wal, number, 10);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    watch(sim, NULL);
    close_log(wal);
    assert_true(watcher->states > least);
    assert_int_equal(expect_opens(sim, 1), number);
    nori_sim_free(sim);
}

/* D9: what dead segments hold is room for the header that kills them. */
static void on_a_full_disk_the_dead_make_room(void **state)
{
    nori_sim *sim = with_two_dead_segments(1);
    struct nori_wal_config config = config_on(sim);
    uint64_t count = expect_opens(sim, 1);
    struct watcher watcher = {count, 0, 1, nori_sim_used_bytes(sim)};
    nori_wal *wal;

    (void)state;
    watch(sim, &watcher);
    wal = open_log(&config);
    append_the_last(sim, wal, &watcher, count + 1, 50);
}

/* D9, D11: dead files that somebody reads keep their length, and make room when he has gone. */
static void on_a_full_disk_the_dead_make_room_behind_their_readers(void **state)
{
    nori_sim *sim = with_two_dead_segments(1);
    struct nori_wal_config config = config_on(sim);
    struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct numbered memory;
    struct nori_record record = make_numbered(&memory, expect_opens(sim, 1) + 1, 10);
    nori_reader *readers[2];
    nori_wal *wal;

    (void)state;
    reading.vfs = nori_sim_vfs(sim);
    for (uint64_t i = 0; i < 2; i++)
        assert_int_equal(nori_reader_open_with("wal", &reading, (struct nori_position){1 + i, 0},
                                               &readers[i], NULL),
                         NORI_OK);
    options.capacity_bytes = nori_sim_used_bytes(sim);
    nori_sim_set_options(sim, &options);
    wal = open_log(&config);
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_E_NOSPACE);
    nori_reader_close(readers[0]);
    nori_reader_close(readers[1]);
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_OK);
    close_log(wal);
    nori_sim_free(sim);
}

/* D2, D11: of the first append behind dead segments, while they are still there: the predecessor of
 * its segment is not the newest one before it that has a name. */
static void an_append_behind_dead_segments_counts(void **state)
{
    nori_sim *sim = with_two_dead_segments(1);
    struct nori_wal_config config = config_on(sim);
    struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
    uint64_t count = expect_opens(sim, 1);
    struct watcher watcher = {.durable = count, .first = 1};
    nori_reader *reader = NULL;
    nori_sim *after;
    nori_wal *wal;

    (void)state;
    wal = open_log(&config);
    (void)append_numbered(wal, count + 1, 10);
    assert_true(has_segment(sim, 1) && has_segment(sim, 2));
    nori_sim_crash_kill(sim, &after);
    assert_int_equal(expect_opens(after, 1), count + 1);
    nori_sim_free(after);
    reading.vfs = nori_sim_vfs(sim);
    assert_int_equal(nori_reader_open_with("wal", &reading, OLDEST, &reader, NULL), NORI_OK);
    expect_range(reader, 1, count + 1, 1);
    nori_reader_close(reader);
    watch(sim, &watcher);
    append_the_last(sim, wal, &watcher, count + 2, 0);
}

/* ---- marks ---- */

/* D6: a mark that claims what was not yet durable would make damage of every torn tail before it.
 * */
static void a_power_cut_around_a_mark_leaves_a_torn_tail(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);
    uint64_t fewest = UINT64_MAX;

    (void)state;
    (void)append_numbered(wal, 1, RECORD_LEN);
    nori_sim_sleep(sim, LONG_NS);         /* it has its name */
    append_range(wal, 2, 40, RECORD_LEN); /* with two marks, nothing of it durable */
    assert_int_equal(nori_wal_flush(wal), NORI_OK);
    for (uint64_t seed = 0; seed < 100; seed++) {
        nori_sim *after;
        uint64_t count;

        nori_sim_power_cut_random(sim, seed, &after);
        count = expect_opens(after, 1);
        fewest = count < fewest ? count : fewest;
        nori_sim_free(after);
    }
    assert_true(fewest < 16); /* a mark may have survived what stood before it */
    close_log(wal);
    nori_sim_free(sim);
}

/* ---- a ring that is full ---- */

#define BATCH_LEN 3
#define FIFTH_LEN \
    ((size_t)259) /* five batches with such values are a little more than a ring of 4 KiB */

static void append_batch_of_three(nori_wal *wal, uint64_t first)
{
    struct numbered memory[BATCH_LEN];
    struct nori_record records[BATCH_LEN];

    for (uint64_t i = 0; i < BATCH_LEN; i++)
        records[i] = make_numbered(&memory[i], first + i, FIFTH_LEN);
    assert_int_equal(nori_wal_append_batch(wal, records, BATCH_LEN, NULL), NORI_OK);
}

static void kill_here(void *context, nori_sim *sim, uint64_t operation)
{
    struct watcher *watcher = context;
    nori_sim *after;

    (void)operation;
    nori_sim_crash_kill(sim, &after);
    look_at(watcher, after);
}

/* D2, D4: while the writer is behind, its room in the ring is given back batch by batch. Were half
 * a batch written and its room used again, neither file nor ring would have all of it. */
static void a_batch_is_in_the_file_or_in_the_ring_as_a_whole(void **state)
{
    struct watcher watcher = {.first = 1};

    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_wal_config config;
        nori_sim *sim;
        nori_wal *wal;

        options.seed = seed;
        options.switch_percent = 30;
        sim = nori_sim_new(&options);
        config = config_on(sim);
        config.buffer_size = 4096;
        wal = open_log(&config);
        watcher.durable = 0; /* what must be there after a kill is all that returned */
        options.before_operation = kill_here;
        options.context = &watcher;
        nori_sim_set_options(sim, &options);
        for (; watcher.durable < 20 * (uint64_t)BATCH_LEN; watcher.durable += BATCH_LEN)
            append_batch_of_three(wal, watcher.durable + 1);
        watch(sim, NULL);
        close_log(wal);
        nori_sim_free(sim);
    }
    assert_true(watcher.states > 500);
}

/* ---- pages that are forgotten while recovery reads ---- */

struct forgetful {
    nori_sim *medium; /* what the disk has */
    uint64_t reads_left;
    bool has_forgotten;
    bool is_rewritten;
};

/* The segment may still lie in `spare`. */
static bool is_the_segment(const char *name)
{
    return strcmp(name, segment_name(0)) == 0 || strcmp(name, "spare") == 0;
}

static void give_what_the_disk_has(void *context, const char *name, uint64_t offset, void *data,
                                   size_t len)
{
    struct forgetful *forgetful = context;
    size_t got = 0;

    if (!is_the_segment(name) || forgetful->is_rewritten)
        return;
    if (forgetful->reads_left > 0) {
        forgetful->reads_left--;
        return;
    }
    forgetful->has_forgotten = true;
    memset(data, 0, len);
    if (nori_sim_file_read(forgetful->medium, "wal/000000.wal", offset, data, len, &got) < 0)
        (void)nori_sim_file_read(forgetful->medium, "wal/spare", offset, data, len, &got);
}

static void note_rewritten(void *context, const char *name)
{
    struct forgetful *forgetful = context;

    forgetful->is_rewritten |= is_the_segment(name);
}

/* A log of a process that died: the kernel has ten records, the disk and the ring have none of
 * them; nor, if nothing was ever synced, the segment's header. */
static nori_sim *with_records_in_the_page_cache(bool is_synced)
{
    static const uint8_t zeros[(size_t)64 << 10];
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);
    nori_sim *after;

    (void)append_numbered(wal, 1, 100);
    if (is_synced)
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
    append_range(wal, 2, 9, 1000);
    assert_int_equal(nori_wal_flush(wal), NORI_OK);
    nori_sim_crash_kill(sim, &after);
    close_log(wal);
    nori_sim_free(sim);
    (void)nori_sim_file_poke(after, "wal/control", 4096, zeros, sizeof zeros);
    return after;
}

/* D5: the kernel may drop a page that it could not write back, at any moment of a recovery. What
 * open reports is on the disk all the same; or it refuses. */
static void lose_pages_while_recovery_reads(bool is_synced)
{
    bool has_forgotten = true;
    uint64_t most = 0;

    for (uint64_t reads = 0; has_forgotten; reads++) {
        nori_sim *sim = with_records_in_the_page_cache(is_synced);
        struct nori_wal_config config = config_on(sim);
        struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
        struct forgetful forgetful = {.reads_left = reads};
        struct between between = {.after_read = give_what_the_disk_has,
                                  .before_sync = note_rewritten,
                                  .context = &forgetful};
        nori_wal *wal = NULL;
        nori_sim *after;

        (void)nori_sim_power_cut(sim, 0, &forgetful.medium);
        config.vfs = between_begin(nori_sim_vfs(sim), &between);
        if (nori_wal_open(&config, &wal, &info, NULL) < 0)
            info.valid_records = 0;
        (void)nori_sim_power_cut(sim, 0, &after);
        assert_in_range(expect_opens(after, 1), info.valid_records, 10);
        most = info.valid_records > most ? info.valid_records : most;
        close_log(wal);
        nori_sim_free(after);
        nori_sim_free(forgetful.medium);
        nori_sim_free(sim);
        has_forgotten = forgetful.has_forgotten;
        assert_true(reads < 1000);
    }
    assert_int_equal(most, 10); /* when nothing was forgotten in time */
}

/* D5 */
static void pages_lost_while_recovery_reads_cost_nothing_it_reported(void **state)
{
    (void)state;
    lose_pages_while_recovery_reads(true);
    lose_pages_while_recovery_reads(false);
}

/* ---- readers of others ---- */

static void shorten_segment(nori_sim *sim, uint64_t bytes)
{
    const struct nori_vfs *vfs = nori_sim_vfs(sim);
    struct nori_folder *folder = NULL;
    struct nori_file *file = NULL;

    assert_int_equal(vfs->open_folder(vfs->context, "wal", 0, 0, &folder), 0);
    assert_int_equal(folder->ops->open_file(folder, segment_name(0), NORI_FILE_WRITE, 0, &file), 0);
    assert_int_equal(file->ops->truncate(file, bytes), 0);
    file->ops->close(file);
    folder->ops->close(folder);
}

#define STAYED 3 /* records that a power cut left */

/* A power cut left the pages of the ring, but of the file the first records and 7 bytes.
 */
static nori_sim *with_a_ring_that_outlived_its_file(uint64_t ring_len)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal;
    nori_sim *after;
    uint64_t end;

    config.buffer_size = ring_len;
    wal = open_log(&config);
    (void)append_numbered(wal, 1, 50);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    append_range(wal, 2, STAYED - 1, 50);
    end = position_of(wal).offset;
    append_range(wal, STAYED + 1, 20, 10);
    nori_sim_crash_kill(sim, &after);
    close_log(wal);
    nori_sim_free(sim);
    shorten_segment(after, end + 7);
    return after;
}

/* Where the next header comes the ring has zeros: that is no part of it, and overwrites nothing. */
static void expect_wiped(nori_sim *sim, uint64_t ring_len, uint64_t end_lsn)
{
    for (uint64_t i = 0; i < HEADER_LEN; i++) {
        uint8_t byte = 1;
        size_t got = 0;

        assert_int_equal(nori_sim_file_read(sim, "wal/control", RING_AT + (end_lsn + i) % ring_len,
                                            &byte, 1, &got),
                         NORI_OK);
        assert_int_equal(byte, 0);
    }
}

/* D1, D11: what recovery has cut off stays in the ring behind the end. When the next segment begins
 * there, whoever reads along must go into it, not on in the old one; and who has looked at the
 * segments just before finds nothing there. The writer thread has not come to the header yet when
 * they look. */
static void what_recovery_cut_off_is_not_shown_when_the_next_segment_begins(void **state)
{
    (void)state;
    for (uint64_t ring_len = 4096; ring_len <= (uint64_t)64 << 10; ring_len *= 16) {
        nori_sim *sim = with_a_ring_that_outlived_its_file(ring_len);
        struct nori_wal_config config = config_on(sim);
        struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
        nori_reader *along = NULL;
        nori_reader *own = NULL;
        nori_wal *wal;

        config.buffer_size = ring_len;
        reading.vfs = nori_sim_vfs(sim);
        wal = open_log(&config);
        assert_int_equal(nori_reader_open_with("wal", &reading, OLDEST, &along, NULL), NORI_OK);
        assert_int_equal(nori_wal_read_from(wal, OLDEST, &own), NORI_OK);
        expect_range(along, 1, STAYED, 1);
        expect_range(own, 1, STAYED, 1);
        expect_wiped(sim, ring_len, position_of(wal).offset);
        append_range(wal, STAYED + 1, 5, 300); /* others than those of before */
        for (int is_own = 0; is_own < 2; is_own++) {
            nori_reader *reader = is_own ? own : along;
            struct nori_position position;
            struct nori_record record;

            assert_int_equal(nori_reader_next(reader, &record, &position), NORI_OK);
            assert_int_equal(record.value_len, 300);
            assert_int_equal(record.sequence, STAYED + 1);
            assert_true(position.segment_id > 0);
            expect_range(reader, STAYED + 2, 4, STAYED + 2);
            nori_reader_close(reader);
        }
        close_log(wal);
        assert_int_equal(expect_opens(sim, 1), STAYED + 5);
        nori_sim_free(sim);
    }
}

/* D11: whoever maps a segment would be killed (SIGBUS) if its writer cut the file shorter. */
static void a_segment_that_a_reader_maps_keeps_its_length(void **state)
{
    (void)state;
    for (int is_read = 0; is_read < 2; is_read++) {
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = config_on(sim);
        struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
        nori_wal *wal = open_log(&config);
        nori_reader *reader = NULL;
        uint64_t reserved;

        append_range(wal, 1, 10, 100);
        close_log(wal);
        reserved = bytes_of(sim, "wal/000000.wal");
        reading.vfs = nori_sim_vfs(sim);
        if (is_read) {
            assert_int_equal(nori_reader_open_with("wal", &reading, OLDEST, &reader, NULL),
                             NORI_OK);
            expect_range(reader, 1, 10, 1);
        }
        wal = open_log(&config); /* and begins another segment */
        append_range(wal, 11, 10, 100);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        nori_sim_sleep(sim, LONG_NS);
        if (is_read) {
            assert_int_equal(bytes_of(sim, "wal/000000.wal"), reserved);
            expect_range(reader, 11, 10, 11);
            nori_reader_close(reader);
        } else {
            assert_true(bytes_of(sim, "wal/000000.wal") <
                        reserved); /* there was something to cut off */
        }
        close_log(wal);
        nori_sim_free(sim);
    }
}

/* D11: so it is if nobody can tell whether somebody maps it. */
static void a_segment_that_may_be_mapped_keeps_its_length(void **state)
{
    bool was_left_alone = false;

    (void)state;
    for (uint64_t nth = 1; !was_left_alone; nth++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_sim *sim = nori_sim_new(NULL);
        struct nori_wal_config config = config_on(sim);
        struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
        nori_reader *reader = NULL;
        nori_wal *wal = open_log(&config);
        uint64_t reserved;

        append_range(wal, 1, 10, 100);
        close_log(wal);
        reserved = bytes_of(sim, "wal/000000.wal");
        wal = open_log(&config);
        reading.vfs = nori_sim_vfs(sim);
        assert_int_equal(nori_reader_open_with("wal", &reading, OLDEST, &reader, NULL), NORI_OK);
        expect_range(reader, 1, 10, 1);
        options.fail_nth = nth; /* a writer that cannot lock may not cut */
        options.fail_mask = NORI_SIM_LOCK;
        options.fail_errno = ENOLCK;
        nori_sim_set_options(sim, &options);
        append_range(wal, 11, 10, 100);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        nori_sim_sleep(sim, LONG_NS);
        assert_int_equal(bytes_of(sim, "wal/000000.wal"), reserved);
        was_left_alone = !nori_sim_did_fail(sim);
        options.fail_nth = 0;
        nori_sim_set_options(sim, &options);
        expect_range(reader, 11, 10, 11);
        nori_reader_close(reader);
        close_log(wal);
        nori_sim_free(sim);
    }
}

/* ---- a log that has failed ---- */

static void fail_syncs(nori_sim *sim)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.fail_mask = NORI_SIM_SYNC;
    options.fail_nth = 1;
    options.fail_code = NORI_E_IO;
    nori_sim_set_options(sim, &options);
}

/* D8: later syncs succeed, and would have a caller believe in bytes that the first one lost. */
static void a_failed_log_refuses_all_but_reading(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    struct nori_record record = nori_record_put("k", 1, "v", 1);
    nori_wal *wal = open_log(&config);
    nori_reader *reader = NULL;
    uint64_t deleted = 0;

    (void)state;
    append_range(wal, 1, 3000, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    append_range(wal, 3001, 1, 1000);
    fail_syncs(sim);
    assert_int_equal(nori_wal_sync(wal), NORI_E_IO);
    nori_sim_set_options(sim, NULL);
    assert_int_equal(nori_wal_append(wal, &record, NULL), NORI_E_FAILED);
    assert_int_equal(nori_wal_flush(wal), NORI_E_FAILED);
    assert_int_equal(nori_wal_sync(wal), NORI_E_FAILED);
    assert_int_equal(nori_wal_wait_durable(wal, position_of(wal), 10), NORI_E_FAILED);
    assert_true(nori_wal_delete_segments_before(wal, position_of(wal), &deleted) < 0);
    assert_true(compare_positions(durable_of(wal), position_of(wal)) < 0);
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &reader), NORI_OK);
    nori_reader_close(reader);
    assert_int_equal(nori_wal_close(wal), NORI_E_FAILED);
    nori_sim_free(sim);
}

/* Behind the end of a segment there is nothing that could become durable. */
static void a_place_behind_the_end_of_its_segment_is_none(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);

    (void)state;
    append_range(wal, 1, 3000, 1000);
    assert_int_equal(nori_wal_wait_durable(wal, (struct nori_position){0, 1 << 20}, 0),
                     NORI_E_NOTFOUND);
    assert_int_equal(nori_wal_wait_durable(wal, (struct nori_position){0, 200}, -1), NORI_OK);
    close_log(wal);
    nori_sim_free(sim);
}

/* A program that was compiled against an older header: what its struct does not have is not read.
 * What it has counts. */
static void a_shorter_reader_config_is_read_as_far_as_it_goes(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    struct nori_reader_config shorter = NORI_READER_CONFIG_INIT;
    struct nori_reader_config whole = NORI_READER_CONFIG_INIT;
    nori_wal *wal = open_log(&config);
    nori_reader *reader = NULL;

    (void)state;
    append_range(wal, 1, 10, 100);
    shorter.size = offsetof(struct nori_reader_config, vfs);
    shorter.vfs = (const struct nori_vfs *)(const void *)"no seam";
    shorter.allocator = (const struct nori_allocator *)(const void *)"no memory";
    whole.vfs = nori_sim_vfs(sim);
    whole.allocator = nori_sim_allocator(sim);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(nori_wal_read_with(wal, i ? &whole : &shorter, OLDEST, &reader), NORI_OK);
        expect_range(reader, 1, 10, 1);
        nori_reader_close(reader);
    }
    close_log(wal);
    nori_sim_free(sim);
}

/* ---- close ---- */

struct late {
    nori_wal *wal;
    int rc; /* of an append */
    unsigned tried;
};

static void append_late(void *context, const char *name)
{
    struct late *late = context;
    struct nori_record record = nori_record_put("late", 4, "", 0);

    (void)name;
    if (!late->wal)
        return;
    late->rc = nori_wal_append(late->wal, &record, NULL);
    late->tried++;
}

/* D3: an append that comes when close has begun its last sync would be told to be there, and is
 * not. */
static void an_append_while_the_log_closes_is_refused_and_not_there(void **state)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    struct late late = {.wal = NULL};
    struct between between = {.before_sync = append_late, .context = &late};
    nori_wal *wal;

    (void)state;
    config.vfs = between_begin(nori_sim_vfs(sim), &between);
    wal = open_log(&config);
    append_range(wal, 1, 10, 100);
    late.wal = wal;
    close_log(wal);
    assert_true(late.tried > 0);
    assert_int_equal(late.rc, NORI_E_CLOSED);
    assert_int_equal(expect_opens(sim, 1), 10);
    nori_sim_free(sim);
}

/* Ids are never used twice. D11: who goes on behind a position that was told would miss the
 * record that has it now. */
static void no_position_is_told_twice(void **state)
{
    (void)state;
    for (int was_closed = 0; was_closed < 2; was_closed++) {
        for (uint64_t seed = 0; seed <= CUTS; seed++) {
            nori_sim *sim = nori_sim_new(NULL), *next;
            struct nori_wal_config config = config_on(sim);
            struct nori_position told[3] = {{0, 0}};
            nori_wal *wal;

            config.fsync_policy = NORI_FSYNC_OS;
            for (size_t life = 0; life < 3; life++) {
                config.vfs = nori_sim_vfs(sim);
                wal = open_log(&config);
                told[life] = append_numbered(wal, life + 1, 100);
                if (life > 0)
                    assert_true(compare_positions(told[life], told[life - 1]) > 0);
                if (life == 0)
                    assert_int_equal(nori_wal_sync(wal), NORI_OK);
                if (life == 0 && was_closed)
                    assert_int_equal(nori_wal_close(wal), NORI_OK);
                if (life == 0)
                    nori_sim_crash_kill(sim, &next);
                else if (seed == 0)
                    (void)nori_sim_power_cut(sim, 0, &next); /* only what was synced */
                else
                    nori_sim_power_cut_random(sim, seed, &next);
                if (life > 0 || !was_closed)
                    (void)nori_wal_close(wal); /* on the machine that is gone */
                nori_sim_free(sim);
                sim = next;
                if (life == 0)
                    nori_sim_sync_all(sim);
            }
            nori_sim_free(sim);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_position_is_told_twice),
        cmocka_unit_test(no_third_ended_segment_waits_for_its_sync),
        cmocka_unit_test(dead_segments_outlive_the_crash_before_the_new_header),
        cmocka_unit_test(dropped_segments_go_after_the_dead),
        cmocka_unit_test(dead_segments_may_go_while_others_are_dropped),
        cmocka_unit_test(on_a_full_disk_dropping_does_not_wait_for_the_dead),
        cmocka_unit_test(on_a_full_disk_the_dead_make_room),
        cmocka_unit_test(on_a_full_disk_the_dead_make_room_behind_their_readers),
        cmocka_unit_test(an_append_behind_dead_segments_counts),
        cmocka_unit_test(a_power_cut_around_a_mark_leaves_a_torn_tail),
        cmocka_unit_test(a_batch_is_in_the_file_or_in_the_ring_as_a_whole),
        cmocka_unit_test(pages_lost_while_recovery_reads_cost_nothing_it_reported),
        cmocka_unit_test(what_recovery_cut_off_is_not_shown_when_the_next_segment_begins),
        cmocka_unit_test(a_segment_that_a_reader_maps_keeps_its_length),
        cmocka_unit_test(a_segment_that_may_be_mapped_keeps_its_length),
        cmocka_unit_test(a_failed_log_refuses_all_but_reading),
        cmocka_unit_test(a_place_behind_the_end_of_its_segment_is_none),
        cmocka_unit_test(a_shorter_reader_config_is_read_as_far_as_it_goes),
        cmocka_unit_test(an_append_while_the_log_closes_is_refused_and_not_there),
    };

    return cmocka_run_group_tests_name("orders", tests, NULL, NULL);
}
