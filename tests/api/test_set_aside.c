/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_set_aside.c: what a repair takes out of a log is in quarantine, also what only the staging
 * ring had of it; and repairs that fail, be it on a full disk, and are tried again.
 */
#include "helpers.h"

#include <nori/sim.h>

/* ---- what only the ring has of a segment that leaves the log ---- */

#define TRACE_LEN   64 /* of a record: enough to know it by */
#define TRACES_MAX  600
#define SEGMENT_LEN (MIB + 4096)

/* A log whose writer was killed, and where each of its records is when it is recovered. */
struct killed {
    nori_sim *sim;
    struct nori_wal_config config;
    size_t count;
    uint64_t segments;
    struct trace {
        struct nori_position position;
        uint8_t bytes[TRACE_LEN];
    } traces[TRACES_MAX];
    uint64_t staged; /* bytes that only the ring has */
};

static void append_traced(struct killed *killed, nori_wal *wal, size_t count, size_t value_len)
{
    for (size_t i = 0; i < count; i++) {
        assert_true(killed->count < TRACES_MAX);
        killed->traces[killed->count].position = append_numbered(wal, killed->count + 1, value_len);
        killed->count++;
    }
}

/* Of the newest segment a part is durable and has a mark, or its file has not even its name and the
 * ring has the end of the segment before it, too. */
static void make_killed(struct killed *killed, bool is_named)
{
    nori_sim *sim = nori_sim_new(NULL), *opened;
    struct nori_wal_config config = config_on(sim);
    struct nori_recovery_info info;
    nori_wal *wal = open_log(&config);

    memset(killed, 0, sizeof *killed);
    while (position_of(wal).segment_id < 1)
        append_traced(killed, wal, 1, 4000);
    while (position_of(wal).segment_id < 2 && position_of(wal).offset < MIB - 4400)
        append_traced(killed, wal, 1, 4000);
    if (is_named) {
        append_traced(killed, wal, 3, 4000);
        assert_int_equal(nori_wal_sync(wal), NORI_OK);
        append_traced(killed, wal, 3, 4000);
    }
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    nori_sim_sleep(sim, 1000000000);
    append_traced(killed, wal, 40, 200);
    killed->segments = position_of(wal).segment_id + 1;
    assert_int_equal(killed->segments, 3);
    nori_sim_crash_kill(sim, &killed->sim);
    close_log(wal);
    nori_sim_free(sim);
    killed->config = config;
    nori_sim_crash_kill(killed->sim, &opened);
    config.vfs = nori_sim_vfs(opened);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, killed->count);
    killed->staged = info.bytes_from_staging;
    assert_true(killed->staged >= 40 * 200);
    for (size_t i = 0; i < killed->count; i++) {
        struct trace *trace = &killed->traces[i];
        char path[64];
        size_t got = 0;

        (void)snprintf(path, sizeof path, "wal/%s", segment_name(trace->position.segment_id));
        assert_int_equal(
            nori_sim_file_read(opened, path, trace->position.offset, trace->bytes, TRACE_LEN, &got),
            0);
    }
    nori_sim_free(opened);
}

/* Where a record may be looked for: a segment in the log or in quarantine, or a piece of one. */
struct search {
    nori_sim *sim;
    const char *folder;
    struct killed *killed;
    bool is_found[TRACES_MAX];
};

static int search_piece(void *context, const char *name)
{
    struct search *search = context;
    static uint8_t bytes[SEGMENT_LEN];
    unsigned long long id, from = 0;
    char path[128];
    size_t len = 0;

    if (sscanf(name, "%llu.wal.%llu-", &id, &from) < 1 || !strstr(name, ".wal") ||
        strstr(name, ".txt"))
        return 0;
    (void)snprintf(path, sizeof path, "%s/%s", search->folder, name);
    assert_int_equal(nori_sim_file_read(search->sim, path, 0, bytes, sizeof bytes, &len), 0);
    for (size_t i = 0; i < search->killed->count; i++) {
        const struct trace *trace = &search->killed->traces[i];
        uint64_t offset = trace->position.offset;

        search->is_found[i] |= trace->position.segment_id == id && offset >= from &&
                               offset - from + TRACE_LEN <= len &&
                               memcmp(bytes + (offset - from), trace->bytes, TRACE_LEN) == 0;
    }
    return 0;
}

/* Flip a bit in a record, or (SIZE_MAX) in this segment's header, and open. */
static void expect_all_kept(struct killed *killed, size_t record, uint64_t segment_id,
                            uint32_t mode)
{
    struct nori_wal_config config = killed->config;
    struct search search = {.killed = killed, .folder = "wal"};
    uint64_t offset = 56;
    char path[64];
    uint8_t byte;
    size_t got;

    if (record != SIZE_MAX) {
        segment_id = killed->traces[record].position.segment_id;
        offset = killed->traces[record].position.offset + 30;
    }
    nori_sim_crash_kill(killed->sim, &search.sim);
    (void)snprintf(path, sizeof path, "wal/%s", segment_name(segment_id));
    if (nori_sim_file_read(search.sim, path, offset, &byte, 1, &got) < 0)
        (void)snprintf(path, sizeof path, "wal/spare");
    assert_int_equal(nori_sim_file_read(search.sim, path, offset, &byte, 1, &got), 0);
    byte ^= 1;
    assert_int_equal(nori_sim_file_poke(search.sim, path, offset, &byte, 1), 0);
    config.vfs = nori_sim_vfs(search.sim);
    config.recovery_mode = mode;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_int_equal(nori_sim_list(search.sim, "wal", search_piece, &search), 0);
    search.folder = "wal/quarantine";
    (void)nori_sim_list(search.sim, "wal/quarantine", search_piece, &search);
    for (size_t i = 0; i < killed->count; i++)
        if (i != record && !search.is_found[i])
            fail_msg("segment %llu damaged at %llu, %s: record %zu, of segment %llu, is nowhere",
                     (unsigned long long)segment_id, (unsigned long long)offset,
                     mode == NORI_RECOVER_PREFIX ? "prefix" : "salvage", i + 1,
                     (unsigned long long)killed->traces[i].position.segment_id);
    nori_sim_free(search.sim);
}

/* D7: the ring is used again; what it alone had of a segment that is set aside goes with that. */
static void what_only_the_ring_has_is_set_aside_with_its_segment(void **state)
{
    static struct killed killed;

    (void)state;
    for (int is_named = 0; is_named < 2; is_named++) {
        make_killed(&killed, is_named);
        for (uint32_t mode = NORI_RECOVER_PREFIX; mode <= NORI_RECOVER_SALVAGE; mode++) {
            for (uint64_t id = 0; id < 2 + (uint64_t)is_named; id++)
                expect_all_kept(&killed, SIZE_MAX, id, mode);
            for (size_t record = 1; record + 50 < killed.count; record += 100)
                expect_all_kept(&killed, record, 0, mode);
            expect_all_kept(&killed, killed.count - 45, 0, mode); /* of the newest in a file */
        }
        nori_sim_free(killed.sim);
    }
}

/* D7: without a header and a mark nothing tells which records in the ring are the segment's. So all
 * of it is kept; but not for format 1, which has no ring, nor if the log was closed. */
static void a_ring_that_nothing_tells_apart_is_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        nori_sim *sim = nori_sim_new(NULL), *left;
        struct nori_wal_config config = config_on(sim);
        bool is_closed = i / 2 == 1;
        uint8_t damage[3000];
        nori_wal *wal;
        uint64_t bytes;

        config.format = i % 2 + 1;
        wal = open_log(&config);
        append_range(wal, 1, 5, 100);
        assert_int_equal(nori_wal_flush(wal), NORI_OK);
        nori_sim_sleep(sim, 1000000000); /* until it has its name */
        append_range(wal, 6, 5, 100);
        if (is_closed)
            close_log(wal);
        nori_sim_crash_kill(sim, &left);
        if (!is_closed)
            close_log(wal);
        nori_sim_free(sim);
        if (config.format == 1) /* behind what will be cut off */
            assert_int_equal(
                nori_sim_file_poke(left, "wal/000001.wal", 0, "\3\5\0keyvalue\xa6\xed\xbc\x9a", 15),
                0);
        memset(damage, 0x55, sizeof damage); /* a log that was closed has a mark, too */
        assert_int_equal(nori_sim_file_poke(left, "wal/000000.wal", config.format == 1 ? 500 : 50,
                                            damage, sizeof damage),
                         0);
        config.vfs = nori_sim_vfs(left);
        config.recovery_mode = NORI_RECOVER_PREFIX;
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        assert_int_equal(nori_sim_file_bytes(left,
                                             config.format == 1 ? "wal/quarantine/000001.wal"
                                                                : "wal/quarantine/000000.wal",
                                             &bytes),
                         0);
        assert_true((nori_sim_file_bytes(left, "wal/quarantine/control.0-69632", &bytes) >= 0) ==
                    (i == 1));
        nori_sim_free(left);
    }
}

/* D6: until a header says durably that the log ends before it, damage stays damage. */
static void a_prefix_that_finds_no_room_leaves_the_damage_told(void **state)
{
    nori_sim *sim = nori_sim_new(NULL), *damaged;
    struct nori_wal_config config = config_on(sim);
    nori_wal *wal = open_log(&config);
    uint64_t offset;
    int refused = 0;
    int rc = NORI_E_NOSPACE;

    (void)state;
    append_range(wal, 1, 10, 100);
    offset = position_of(wal).offset;
    append_range(wal, 11, 10, 100);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    nori_sim_crash_kill(sim, &damaged);
    close_log(wal);
    nori_sim_free(sim);
    (void)nori_sim_file_unlink(damaged, "wal/spare"); /* else there is room */
    assert_int_equal(nori_sim_file_poke(damaged, "wal/000000.wal", offset + 20, "XXXX", 4), 0);
    for (uint64_t blocks = 0; rc == NORI_E_NOSPACE; blocks++) {
        static const struct nori_sim_options empty = NORI_SIM_OPTIONS_INIT;
        struct nori_sim_options full = NORI_SIM_OPTIONS_INIT;

        nori_sim_crash_kill(damaged, &sim);
        full.capacity_bytes = nori_sim_used_bytes(sim) + 4096 * blocks;
        nori_sim_set_options(sim, &full);
        config.vfs = nori_sim_vfs(sim);
        config.recovery_mode = NORI_RECOVER_PREFIX;
        rc = try_open(&config, NULL, NULL);
        nori_sim_set_options(sim, &empty);
        config.recovery_mode = NORI_RECOVER_TAIL;
        assert_int_equal(try_open(&config, NULL, NULL),
                         rc == NORI_E_NOSPACE ? NORI_E_CORRUPT : NORI_OK);
        refused++;
        nori_sim_free(sim);
    }
    assert_int_equal(rc, NORI_OK);
    assert_in_range(refused, 3, 99);
    nori_sim_free(damaged);
}

/* ---- a repair that fails, and is tried again ---- */

/* Three segments; the first has bad bytes, behind which there is no mark that is intact. */
static nori_sim *make_damaged(void)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = config_on(sim);
    uint8_t damage[8000];

    for (uint64_t life = 0; life < 3; life++) {
        nori_wal *wal = open_log(&config);

        append_range(wal, 1 + 20 * life, 20, 100);
        close_log(wal);
    }
    memset(damage, 0x55, sizeof damage);
    assert_int_equal(nori_sim_file_poke(sim, "wal/000000.wal", 1000, damage, 500), 0);
    nori_sim_sync_all(sim);
    return sim;
}

static int open_in_prefix(nori_sim *sim, struct nori_error *error)
{
    struct nori_wal_config config = config_on(sim);

    config.recovery_mode = NORI_RECOVER_PREFIX;
    return try_open(&config, NULL, error);
}

static int count_name(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
    return 0;
}

static size_t count_set_aside(nori_sim *sim)
{
    size_t count = 0;

    (void)nori_sim_list(sim, "wal/quarantine", count_name, &count);
    return count;
}

/* D9: each attempt left an empty piece, until all the names that it may have were used up; then
 * there could be as much room as you like, and the log did not open any more. */
static void a_repair_that_finds_no_room_leaves_nothing_behind(void **state)
{
    struct nori_sim_options full = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = make_damaged();

    (void)state;
    full.capacity_bytes = nori_sim_used_bytes(sim);
    nori_sim_set_options(sim, &full);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(open_in_prefix(sim, NULL), NORI_E_NOSPACE);
        assert_int_equal(count_set_aside(sim), 0);
    }
    full.capacity_bytes = 0;
    nori_sim_set_options(sim, &full);
    assert_int_equal(open_in_prefix(sim, NULL), NORI_OK);
    assert_int_equal(count_set_aside(sim), 6); /* three pieces, and their notes */
    nori_sim_free(sim);
}

/* Is it in the other quarantine, too? */
static int expect_there(void *context, const char *name)
{
    char path[128];
    uint64_t bytes;

    (void)snprintf(path, sizeof path, "wal/quarantine/%s", name);
    if (nori_sim_file_bytes(context, path, &bytes) < 0)
        fail_msg("%s is set aside only if nothing fails", name);
    return 0;
}

/* D7, D9: a service that is started again and again copied the same bytes each time, until the disk
 * was full. */
static void a_repair_that_fails_at_each_call_in_turn_sets_everything_aside_once(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    nori_sim *sim = make_damaged(), *whole;
    uint64_t failures = 0;

    (void)state;
    nori_sim_crash_kill(sim, &whole);
    assert_int_equal(open_in_prefix(whole, NULL), NORI_OK);
    options.fail_mask = NORI_SIM_WRITE | NORI_SIM_SYNC | NORI_SIM_RENAME | NORI_SIM_FOLDER_SYNC;
    do {
        options.fail_nth++;
        nori_sim_set_options(sim, &options);
        failures += open_in_prefix(sim, NULL) < 0;
    } while (nori_sim_did_fail(sim));
    assert_in_range(failures, 10, 1000);
    assert_int_equal(nori_sim_list(whole, "wal/quarantine", expect_there, sim), 0);
    assert_int_equal(count_set_aside(sim), count_set_aside(whole));
    nori_sim_free(whole);
    nori_sim_free(sim);
}

/* The name of a piece of bytes. */
static int note_copy(void *context, const char *name)
{
    if (strstr(name, ".wal.") && !strstr(name, ".txt"))
        (void)snprintf(context, 64, "%.60s", name);
    return 0;
}

/* Who has so many pieces of one name learns where they are, and what to do. */
static void a_piece_whose_names_are_used_up_says_what_to_do(void **state)
{
    struct nori_error error = NORI_ERROR_INIT;
    nori_sim *sim = make_damaged(), *whole;
    struct nori_folder *folder;
    char name[64] = "";

    (void)state;
    nori_sim_crash_kill(sim, &whole);
    assert_int_equal(open_in_prefix(whole, NULL), NORI_OK);
    assert_int_equal(nori_sim_list(whole, "wal/quarantine", note_copy, name), 0);
    nori_sim_free(whole);
    assert_int_equal(nori_sim_vfs(sim)->open_folder(nori_sim_vfs(sim)->context, "wal/quarantine",
                                                    NORI_FOLDER_CREATE, 0700, &folder),
                     0);
    folder->ops->close(folder);
    for (int i = 0; i < 1000; i++) {
        char path[128];

        (void)snprintf(path, sizeof path, i ? "wal/quarantine/%s.%d" : "wal/quarantine/%s", name,
                       i);
        assert_int_equal(nori_sim_file_poke(sim, path, 0, "another one", 11), 0);
    }
    assert_int_equal(open_in_prefix(sim, &error), NORI_E_INVALID);
    assert_non_null(strstr(error.message, "folder quarantine has 1000 files of that name"));
    assert_non_null(strstr(error.message, "move it to another place"));
    nori_sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_the_ring_has_is_set_aside_with_its_segment),
        cmocka_unit_test(a_ring_that_nothing_tells_apart_is_kept),
        cmocka_unit_test(a_prefix_that_finds_no_room_leaves_the_damage_told),
        cmocka_unit_test(a_repair_that_finds_no_room_leaves_nothing_behind),
        cmocka_unit_test(a_repair_that_fails_at_each_call_in_turn_sets_everything_aside_once),
        cmocka_unit_test(a_piece_whose_names_are_used_up_says_what_to_do),
    };

    return cmocka_run_group_tests_name("set_aside", tests, NULL, NULL);
}
