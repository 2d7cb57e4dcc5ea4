/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_sim.c: the simulated disk: the seam's contract, then what it promises beyond: which disks a
 * crash may leave. A simulator that is too kind hides bugs, so most tests name a state that must be
 * among the outcomes, or one that must not. Faults, threads and time: test_sim_machine.c.
 */
#include "sim_bench.h"
#include "vfs_contract.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MILLISECOND 1000000u /* ns */

static int setup_contract(void **state)
{
    struct vfs_world *world = calloc(1, sizeof *world);

    if (!world)
        return -1;
    world->context = nori_sim_new(NULL);
    world->vfs = nori_sim_vfs(world->context);
    world->path = "wal";
    *state = world;
    return 0;
}

/* The same with threads that switch wherever they can. */
static int setup_contract_restless(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct vfs_world *world;

    if (setup_contract(state) < 0)
        return -1;
    options.seed = 7;
    options.switch_percent = 60;
    options.spurious_percent = 20;
    options.sync_latency_ns = MILLISECOND;
    options.mapped_versions_max = 3;
    world = *state;
    nori_sim_set_options(world->context, &options);
    return 0;
}

static int teardown_contract(void **state)
{
    struct vfs_world *world = *state;

    nori_sim_free(world->context);
    free(world);
    return 0;
}

/* Power cuts: contents. */

static void synced_bytes_are_the_only_outcome(void **state)
{
    struct bench *bench = *state;

    bench_write_letters(bench->file, 0, 'x', 1500);
    bench_sync_file(bench->file);
    assert_true(nori_sim_outcome_count(bench->sim) == 1);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "xxx");
}

static void unsynced_sectors_survive_in_any_mix(void **state)
{
    struct bench *bench = *state;

    bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    bench_sync_file(bench->file);
    bench_write_letters(bench->file, 0, 'y', 3 * NORI_SIM_SECTOR);
    assert_true(nori_sim_outcome_count(bench->sim) == 8);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors,
                          "xxx xxy xyx xyy yxx yxy yyx yyy");
}

static void each_unsynced_version_may_survive(void **state)
{
    struct bench *bench = *state;

    bench_write_letters(bench->file, 0, 'w', 10);
    bench_sync_file(bench->file);
    bench_write_letters(bench->file, 0, 'x', 10);
    bench_write_letters(bench->file, 0, 'y', 10);
    bench_write_letters(bench->file, 0, 'y', 10); /* the same again is no version */
    bench_write_letters(bench->file, 0, 'z', 10);
    assert_true(nori_sim_outcome_count(bench->sim) == 4);
    bench_assert_outcomes(bench->sim, bench_describe_first, "w x y z");
}

static void the_first_outcome_lost_all_and_the_last_kept_all(void **state)
{
    struct bench *bench = *state;
    uint64_t count;
    nori_sim *after = NULL;

    bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    bench_sync_file(bench->file);
    bench_write_letters(bench->file, 0, 'y', 3 * NORI_SIM_SECTOR);
    bench_write_letters(bench->file, 0, 'z', 3 * NORI_SIM_SECTOR);
    count = nori_sim_outcome_count(bench->sim);
    assert_int_equal(nori_sim_power_cut(bench->sim, 0, &after), 0);
    assert_int_equal(bench_letter_at(after, "wal/a", 600), 'x');
    nori_sim_free(after);
    assert_int_equal(nori_sim_power_cut(bench->sim, count - 1, &after), 0);
    assert_int_equal(bench_letter_at(after, "wal/a", 600), 'z');
    nori_sim_free(after);
    assert_int_equal(NORI_VFS_CODE(nori_sim_power_cut(bench->sim, count, &after)), NORI_E_INVALID);
}

static void a_size_without_its_data_reads_as_zeros(void **state)
{
    struct bench *bench = *state;

    bench_write_letters(bench->file, 0, 'x', 10);
    bench_assert_outcomes(bench->sim, bench_describe_first,
                          "- . x"); /* size lost; data lost; both kept */
}

static void allocated_but_unsynced_space_takes_its_data_with_it(void **state)
{
    struct bench *bench = *state;
    struct nori_file *file = bench->file;

    assert_int_equal(file->ops->allocate(file, 0, 2 * NORI_SIM_SECTOR), 0);
    bench_sync_file(file);
    assert_int_equal(file->ops->allocate(file, 0, 3 * NORI_SIM_SECTOR), 0);
    bench_write_letters(file, 0, 'x', 3 * NORI_SIM_SECTOR);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors,
                          "..- ... ..x .x- .x. .xx x.- x.. x.x xx- xx. xxx");
}

static void truncating_takes_old_bytes_but_not_new_ones(void **state)
{
    struct bench *bench = *state;
    struct nori_file *file = bench->file;

    bench_write_letters(file, 0, 'x', 3 * NORI_SIM_SECTOR);
    bench_sync_file(file);
    assert_int_equal(file->ops->truncate(file, NORI_SIM_SECTOR), 0);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "x-- xxx"); /* it is one step */
    assert_int_equal(file->ops->truncate(file, 3 * NORI_SIM_SECTOR), 0);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "x-- x.. xxx");
    bench_write_letters(file, 2 * NORI_SIM_SECTOR, 'y', 10);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "x-- x.. x.y xxx xxy");
    bench_sync_file(file);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "x.y");
}

static void versions_are_limited_and_the_newest_stay(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

    options.versions_max = 2;
    nori_sim_set_options(bench->sim, &options);
    bench_write_letters(bench->file, 0, 'v', 10);
    bench_sync_file(bench->file);
    for (char letter = 'w'; letter <= 'z'; letter++)
        bench_write_letters(bench->file, 0, letter, 10);
    bench_assert_outcomes(bench->sim, bench_describe_first, "v y z");
}

static void a_write_of_several_pieces_is_one(void **state)
{
    struct bench *bench = *state;
    const struct nori_span spans[] = {{"x", 1}, {"", 0}, {"y", 1}, {"z", 1}};

    assert_int_equal(bench->file->ops->write(bench->file, spans, 4, 0), 0);
    assert_true(nori_sim_outcome_count(bench->sim) == 4); /* the size, and the sector */
    bench_assert_outcomes(bench->sim, bench_describe_first, "- . x");
}

/* Power cuts: names. */

static void names_need_the_folders_sync(void **state)
{
    struct bench *bench = *state;
    struct nori_file *file = bench_open_file(bench->folder, "b");

    bench_write_letters(file, 0, 'b', 10);
    bench_sync_file(file); /* its bytes, not its name */
    bench_assert_outcomes(bench->sim, bench_describe_names, "-!! -b!");
    assert_int_equal(bench->folder->ops->sync(bench->folder), 0);
    bench_assert_outcomes(bench->sim, bench_describe_names, "-b!");
    file->ops->close(file);
}

static void renames_are_whole_and_impossible_changes_fall_away(void **state)
{
    struct bench *bench = *state;
    struct nori_folder *folder = bench->folder;
    struct nori_file *file = bench_open_file(folder, "b");

    bench_write_letters(file, 0, 'b', 10);
    bench_sync_file(file);
    file->ops->close(file);
    assert_int_equal(folder->ops->rename(folder, "b", "c"), 0);
    bench_assert_outcomes(bench->sim, bench_describe_names,
                          "-!! -!b -b!"); /* never both, c only after b */
    assert_int_equal(folder->ops->sync(folder), 0);
    bench_assert_outcomes(bench->sim, bench_describe_names, "-!b");
    assert_int_equal(folder->ops->remove(folder, "c"), 0);
    bench_assert_outcomes(bench->sim, bench_describe_names, "-!! -!b");
    assert_int_equal(folder->ops->rename(folder, "a", "c"), 0); /* impossible where c is there */
    bench_assert_outcomes(bench->sim, bench_describe_names, "!!- -!! -!b");
}

static void a_removed_file_comes_back_with_its_contents(void **state)
{
    struct bench *bench = *state;
    nori_sim *after = NULL;

    bench_write_letters(bench->file, 0, 'x', 10);
    bench_sync_file(bench->file);
    assert_int_equal(bench->folder->ops->remove(bench->folder, "a"), 0);
    bench_assert_outcomes(bench->sim, bench_describe_first, "! x");
    assert_int_equal(bench->folder->ops->sync(bench->folder), 0);
    bench_assert_outcomes(bench->sim, bench_describe_first, "!");
    assert_int_equal(nori_sim_power_cut(bench->sim, 0, &after), 0);
    assert_true(nori_sim_used_bytes(after) == 0);
    nori_sim_free(after);
}

static void opening_with_create_makes_the_folders_name_durable(void **state)
{
    struct bench *bench = *state;
    struct nori_folder *inner = NULL;
    nori_sim *after = NULL;

    assert_int_equal(
        bench->folder->ops->open_folder(bench->folder, "in", NORI_FOLDER_CREATE, 0700, &inner), 0);
    inner->ops->close(inner);
    assert_true(nori_sim_outcome_count(bench->sim) == 1);
    assert_int_equal(nori_sim_power_cut(bench->sim, 0, &after), 0);
    assert_int_equal(nori_sim_list(after, "wal/in", NULL, NULL), 0);
    nori_sim_free(after);
}

/* A file that was synced with all others counted as synced for ever, whatever was written to it: a
 * test that damages a disk and syncs it, and then has a program repair it, saw the repair lost. */
static void what_is_synced_after_a_sync_of_everything_survives(void **state)
{
    struct bench *bench = *state;

    bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    nori_sim_sync_all(bench->sim);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "xxx");
    bench_write_letters(bench->file, NORI_SIM_SECTOR, 'y', NORI_SIM_SECTOR);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "xxx xyx");
    bench_sync_file(bench->file);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "xyx");
    bench_write_letters(bench->file, 0, 'z', NORI_SIM_SECTOR);
    nori_sim_sync_all(bench->sim);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "zyx");
}

/* Process crashes. */

static void a_killed_process_leaves_all_it_wrote_but_not_durable(void **state)
{
    struct bench *bench = *state;
    struct nori_folder *folder;
    nori_sim *killed = NULL;

    assert_int_equal(bench->folder->ops->lock(bench->folder), 0);
    assert_int_equal(bench->folder->ops->is_announced(bench->folder), 0);
    assert_int_equal(bench->folder->ops->announce(bench->folder), 0);
    bench_write_letters(bench->file, 0, 'x', 10);
    nori_sim_crash_kill(bench->sim, &killed);
    assert_int_equal(bench_letter_at(killed, "wal/a", 0), 'x');
    bench_assert_outcomes(killed, bench_describe_first, "- . x");
    folder = bench_open_folder(killed);
    assert_int_equal(folder->ops->is_announced(folder), 0);
    assert_int_equal(folder->ops->lock(folder), 0);
    folder->ops->close(folder);
    nori_sim_free(killed);
}

static void machines_do_not_disturb_each_other(void **state)
{
    struct bench *bench = *state;
    struct nori_folder *folder;
    struct nori_file *file;
    nori_sim *killed = NULL;

    bench_write_letters(bench->file, 0, 'x', 2000);
    nori_sim_crash_kill(bench->sim, &killed);
    folder = bench_open_folder(killed);
    file = bench_open_file(folder, "a");
    bench_write_letters(file, 0, 'y', 10);
    bench_sync_file(file);
    assert_int_equal(folder->ops->remove(folder, "a"), 0);
    file->ops->close(file);
    file = bench_open_file(folder, "b");
    file->ops->close(file);
    folder->ops->close(folder);
    assert_int_equal(bench_letter_at(bench->sim, "wal/a", 0), 'x');
    assert_int_equal(bench_letter_at(bench->sim, "wal/b", 0), '!');
    bench_write_letters(bench->file, 0, 'z', 10);
    assert_int_equal(bench_letter_at(killed, "wal/a", 0), '!');
    assert_int_equal(bench_letter_at(killed, "wal/b", 0), '-');
    nori_sim_free(killed);
}

static void crash_at_stops_the_world_at_each_operation(void **state)
{
    const char expected[] = "-.xx"; /* before allocate, write, sync, truncate */

    (void)state;
    for (uint64_t crash_at = 1; crash_at <= 4; crash_at++) {
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        nori_sim *sim = nori_sim_new(NULL), *left = NULL;
        struct nori_folder *folder = bench_open_folder(sim);
        struct nori_file *file = bench_open_file(folder, "a");

        options.crash_at = crash_at;
        nori_sim_set_options(sim, &options);
        (void)file->ops->allocate(file, 0, 1024);
        (void)bench_write_code(file, 0, "xyz", 3);
        assert_int_equal(file->ops->sync(file) < 0, crash_at < 4);
        assert_int_equal(nori_sim_did_crash(sim), crash_at < 4);
        assert_int_equal(NORI_VFS_CODE(file->ops->truncate(file, 0)), NORI_E_IO);
        nori_sim_crash_kill(sim, &left);
        assert_int_equal(bench_letter_at(left, "wal/a", 0), expected[crash_at - 1]);
        nori_sim_free(left);
        file->ops->close(file);
        folder->ops->close(folder);
        nori_sim_free(sim);
    }
}

struct hook {
    uint64_t last;
    uint64_t outcome_count;
};

static void note_operation(void *context, nori_sim *sim, uint64_t operation)
{
    struct hook *hook = context;
    nori_sim *after = NULL;

    assert_true(operation == hook->last + 1);
    hook->last = operation;
    hook->outcome_count += nori_sim_outcome_count(sim);
    nori_sim_power_cut_random(sim, operation, &after);
    nori_sim_free(after);
}

static void the_hook_sees_the_machine_before_each_operation(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct bench *bench = *state;
    struct hook hook = {0};

    options.before_operation = note_operation;
    options.context = &hook;
    nori_sim_set_options(bench->sim, &options);
    bench_write_letters(bench->file, 0, 'x', 10); /* 1 outcome before */
    bench_sync_file(bench->file);                 /* 4: size and sector */
    bench_write_letters(bench->file, 0, 'y', 10); /* 1 */
    bench_write_letters(bench->file, 0, 'z', 10); /* 2 */
    assert_true(hook.last == 4);
    assert_true(nori_sim_operations(bench->sim) == 4);
    assert_true(hook.outcome_count == 1 + 4 + 1 + 2);
    nori_sim_set_options(bench->sim, NULL);
}

/* Mappings. */

static void mapped_stores_survive_a_kill_and_may_survive_a_power_cut(void **state)
{
    struct bench *bench = *state;
    struct nori_file *file = bench->file;
    nori_sim *killed = NULL;
    void *data = NULL;

    assert_int_equal(file->ops->allocate(file, 0, 8192), 0);
    bench_sync_file(file);
    assert_int_equal(file->ops->map(file, 8192, &data), 0);
    memset(data, 'x', 3 * NORI_SIM_SECTOR);
    nori_sim_crash_kill(bench->sim, &killed);
    assert_int_equal(bench_letter_at(killed, "wal/a", 1025), 'x');
    nori_sim_free(killed);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors,
                          "... ..x .x. .xx x.. x.x xx. xxx");
    bench_sync_file(file);
    bench_assert_outcomes(bench->sim, bench_describe_three_sectors, "xxx");
    memset(data, 'y', 1);
    bench_assert_outcomes(bench->sim, bench_describe_first, "x y");
    memset(data, 'z', 1);
    bench_assert_outcomes(bench->sim, bench_describe_first,
                          "x z"); /* only the newest, unless asked for */
    file->ops->unmap(file, data, 8192);
    assert_int_equal(bench_letter_at(bench->sim, "wal/a", 0), 'z');
}

static void stores_after_the_crash_do_not_count(void **state)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct bench *bench = *state;
    struct nori_file *file = bench->file;
    nori_sim *killed = NULL;
    char *data = NULL;
    void *memory = NULL;

    assert_int_equal(file->ops->allocate(file, 0, 4096), 0);
    assert_int_equal(file->ops->map(file, 4096, &memory), 0);
    data = memory;
    options.crash_at = 1;
    nori_sim_set_options(bench->sim, &options);
    data[0] = 'x';
    assert_int_equal(NORI_VFS_CODE(file->ops->sync(file)), NORI_E_IO);
    data[0] = 'y';
    data[600] = 'y';
    file->ops->unmap(file, memory, 4096);
    nori_sim_crash_kill(bench->sim, &killed);
    assert_int_equal(bench_letter_at(killed, "wal/a", 0), 'x');
    assert_int_equal(bench_letter_at(killed, "wal/a", 600), '.');
    nori_sim_free(killed);
}

static void long_mappings_agree_with_short_ones(void **state)
{
    struct bench *bench = *state;
    struct nori_file *file = bench->file;
    void *small = NULL, *large = NULL, *again = NULL;

    assert_int_equal(file->ops->allocate(file, 0, 4096), 0);
    assert_int_equal(file->ops->map(file, 4096, &small), 0);
    assert_int_equal(file->ops->allocate(file, 0, 20000), 0);
    assert_int_equal(file->ops->map(file, 20000, &large), 0);
    bench_write_letters(file, 1000, 'x', 4000);
    assert_int_equal(((char *)small)[1000], 'x');
    assert_int_equal(((char *)large)[4999], 'x');
    file->ops->unmap(file, small, 4096);
    file->ops->unmap(file, large, 20000);
    assert_int_equal(file->ops->truncate(file, 0), 0);
    assert_int_equal(file->ops->allocate(file, 0, 20000), 0);
    assert_int_equal(file->ops->map(file, 20000, &again), 0);
    for (size_t i = 0; i < 20000; i++)
        assert_int_equal(((char *)again)[i], 0); /* memory is used again, but not what was in it */
    file->ops->unmap(file, again, 20000);
}

/* One random change of the file, or of a mapping of it. */
static void change_at_random(struct nori_file *file, char *mapped, uint64_t *state)
{
    uint64_t dice = (*state = *state * 6364136223846793005u + 1442695040888963407u) >> 33;
    uint64_t offset = (dice >> 3) % 5000;
    char bytes[1200];

    memset(bytes, 'a' + (int)(dice % 23), sizeof bytes);
    switch (dice % 8) {
    case 0:
        assert_int_equal(file->ops->truncate(file, offset), 0);
        break;
    case 1:
        assert_int_equal(file->ops->allocate(file, offset, 700), 0);
        break;
    case 2:
        mapped[offset] = bytes[0]; /* behind the end of the file it is lost */
        break;
    default:
        assert_int_equal(bench_write_code(file, offset, bytes, (size_t)(dice >> 16) % 1200), 0);
        break;
    }
}

/* The digest of the outcome that lost everything, or kept the newest of everything. */
static uint64_t digest_of_extreme(nori_sim *sim, bool is_kept)
{
    size_t count = nori_sim_unsynced_count(sim);
    uint32_t *ways = calloc(count + 1, sizeof *ways);
    struct nori_sim_unsynced unsynced;
    nori_sim *after = NULL;
    uint64_t digest;

    assert_non_null(ways);
    for (size_t i = 0; i < count && is_kept; i++) {
        assert_int_equal(nori_sim_unsynced(sim, i, &unsynced), 0);
        ways[i] = unsynced.ways - 1;
    }
    assert_int_equal(nori_sim_power_cut_choose(sim, ways, count, &after), 0);
    digest = nori_sim_digest(after);
    nori_sim_free(after);
    free(ways);
    return digest;
}

/* Whatever happens to a file, the worst outcome is what was last synced, the best is what is
 * read. */
static void random_histories_lie_between_the_synced_and_the_current(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    uint64_t dice = 1;

    for (uint64_t seed = 0; seed < 200; seed++) {
        uint64_t synced;
        void *mapped = NULL;

        options.versions_max = 1 + (uint32_t)(seed % 5);
        nori_sim_set_options(bench->sim, &options);
        assert_int_equal(bench->file->ops->map(bench->file, 8192, &mapped), 0);
        bench_sync_file(bench->file);
        synced = nori_sim_digest(bench->sim);
        for (int step = 0; step < 30; step++) {
            change_at_random(bench->file, mapped, &dice);
            if (dice >> 60 == 0) {
                bench_sync_file(bench->file);
                synced = nori_sim_digest(bench->sim);
            }
            assert_true(digest_of_extreme(bench->sim, false) == synced);
            assert_true(digest_of_extreme(bench->sim, true) == nori_sim_digest(bench->sim));
        }
        bench->file->ops->unmap(bench->file, mapped, 8192);
    }
}

/* Digests of outcomes are told without making them: the same choices must come to the same. */
static void check_digests(nori_sim *sim, uint64_t seed)
{
    uint64_t count = nori_sim_outcome_count(sim);
    uint64_t outcome = seed * 0x9e3779b97f4a7c15u % count;
    uint64_t digest = 0;
    nori_sim *after = NULL;

    assert_int_equal(nori_sim_power_cut(sim, outcome, &after), 0);
    assert_int_equal(nori_sim_power_cut_digest(sim, outcome, &digest), 0);
    assert_true(digest == nori_sim_digest(after));
    nori_sim_free(after);
    nori_sim_power_cut_random(sim, seed, &after);
    assert_true(nori_sim_power_cut_random_digest(sim, seed) == nori_sim_digest(after));
    nori_sim_free(after);
    assert_int_equal(NORI_VFS_CODE(nori_sim_power_cut_digest(sim, count, &digest)), NORI_E_INVALID);
}

static void an_outcome_has_the_digest_of_what_it_leaves(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    uint64_t dice = 7;

    for (uint64_t seed = 0; seed < 300; seed++) {
        void *mapped = NULL;

        options.versions_max = 1 + (uint32_t)(seed % 4);
        options.flags = seed % 2 ? NORI_SIM_TORN_SECTORS : 0;
        nori_sim_set_options(bench->sim, &options);
        assert_int_equal(bench->file->ops->map(bench->file, 8192, &mapped), 0);
        for (int step = 0; step < 20; step++) {
            change_at_random(bench->file, mapped, &dice);
            if (dice >> 61 == 0)
                bench_sync_file(bench->file);
            if (dice >> 61 == 1)
                assert_int_equal(nori_sim_file_poke(bench->sim, "wal/a", 600, &dice, 8), 0);
            for (uint64_t i = 0; i < 4; i++)
                check_digests(bench->sim, dice + i);
        }
        bench->file->ops->unmap(bench->file, mapped, 8192);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(
                bench->folder->ops->rename(bench->folder, i ? "b" : "a", i ? "a" : "b"), 0);
            check_digests(bench->sim, dice + (uint64_t)i);
        }
        if (seed % 5 == 0)
            assert_int_equal(bench->folder->ops->sync(bench->folder), 0);
    }
}

/* Choices. */

static void choices_can_be_listed_and_made_by_hand(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_unsynced unsynced;
    uint32_t ways[3] = {0};
    nori_sim *after = NULL;

    bench_write_letters(bench->file, 0, 'x', 2 * NORI_SIM_SECTOR);
    bench_sync_file(bench->file);
    bench_write_letters(bench->file, NORI_SIM_SECTOR, 'y', 10);
    bench_write_letters(bench->file, NORI_SIM_SECTOR, 'z', 10);
    assert_int_equal(bench->folder->ops->rename(bench->folder, "a", "b"), 0);
    assert_int_equal(nori_sim_unsynced_count(bench->sim), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(nori_sim_unsynced(bench->sim, i, &unsynced), 0);
        assert_string_equal(unsynced.name, "b");
        if (unsynced.kind == NORI_SIM_UNSYNCED_NAME) {
            assert_true(unsynced.ways == 2);
            ways[i] = 1;
        } else {
            assert_true(unsynced.kind == NORI_SIM_UNSYNCED_SECTOR);
            assert_true(unsynced.ways == 3);
            assert_true(unsynced.offset == NORI_SIM_SECTOR);
            ways[i] = 1;
        }
    }
    assert_int_equal(NORI_VFS_CODE(nori_sim_unsynced(bench->sim, 2, &unsynced)), NORI_E_INVALID);
    assert_int_equal(nori_sim_power_cut_choose(bench->sim, ways, 2, &after), 0);
    assert_int_equal(bench_letter_at(after, "wal/b", NORI_SIM_SECTOR), 'y');
    nori_sim_free(after);
    assert_int_equal(NORI_VFS_CODE(nori_sim_power_cut_choose(bench->sim, ways, 3, &after)),
                     NORI_E_INVALID);
    ways[0] = 3;
    assert_int_equal(NORI_VFS_CODE(nori_sim_power_cut_choose(bench->sim, ways, 2, &after)),
                     NORI_E_INVALID);
}

static void random_cuts_are_outcomes_and_repeat_by_seed(void **state)
{
    struct bench *bench = *state;
    uint64_t digests[64], found = 0;
    uint64_t count;

    bench_write_letters(bench->file, 0, 'x', 3 * NORI_SIM_SECTOR);
    bench_sync_file(bench->file);
    bench_write_letters(bench->file, 0, 'y', 3 * NORI_SIM_SECTOR);
    count = nori_sim_outcome_count(bench->sim);
    assert_true(count == 8);
    for (uint64_t i = 0; i < count; i++) {
        nori_sim *after = NULL;

        assert_int_equal(nori_sim_power_cut(bench->sim, i, &after), 0);
        digests[i] = nori_sim_digest(after);
        for (uint64_t j = 0; j < i; j++)
            assert_true(digests[i] != digests[j]);
        nori_sim_free(after);
    }
    for (uint64_t seed = 0; seed < 200; seed++) {
        nori_sim *after = NULL, *again = NULL;
        uint64_t place = 0;

        nori_sim_power_cut_random(bench->sim, seed, &after);
        nori_sim_power_cut_random(bench->sim, seed, &again);
        assert_true(nori_sim_digest(after) == nori_sim_digest(again));
        while (place < count && digests[place] != nori_sim_digest(after))
            place++;
        assert_true(place < count);
        found |= UINT64_C(1) << place;
        nori_sim_free(after);
        nori_sim_free(again);
    }
    assert_true(found == 0xff); /* all of them come up */
}

static void torn_sectors_are_mixed_of_two_ways(void **state)
{
    struct bench *bench = *state;
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    bool saw_torn = false;

    options.flags = NORI_SIM_TORN_SECTORS;
    nori_sim_set_options(bench->sim, &options);
    bench_write_letters(bench->file, 0, 'x', NORI_SIM_SECTOR);
    bench_sync_file(bench->file);
    bench_write_letters(bench->file, 0, 'y', NORI_SIM_SECTOR);
    for (uint64_t seed = 0; seed < 100; seed++) {
        char bytes[NORI_SIM_SECTOR];
        size_t len = 0, changes = 0;
        nori_sim *after = NULL;

        nori_sim_power_cut_random(bench->sim, seed, &after);
        assert_int_equal(nori_sim_file_read(after, "wal/a", 0, bytes, sizeof bytes, &len), 0);
        for (size_t i = 1; i < len; i++)
            changes += bytes[i] != bytes[i - 1];
        assert_true(changes <= 1);
        saw_torn = saw_torn || changes == 1;
        nori_sim_free(after);
    }
    assert_true(saw_torn);
}

int main(void)
{
#define SIM_TEST(function) cmocka_unit_test_setup_teardown(function, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        SIM_TEST(synced_bytes_are_the_only_outcome),
        SIM_TEST(unsynced_sectors_survive_in_any_mix),
        SIM_TEST(each_unsynced_version_may_survive),
        SIM_TEST(the_first_outcome_lost_all_and_the_last_kept_all),
        SIM_TEST(a_size_without_its_data_reads_as_zeros),
        SIM_TEST(allocated_but_unsynced_space_takes_its_data_with_it),
        SIM_TEST(truncating_takes_old_bytes_but_not_new_ones),
        SIM_TEST(versions_are_limited_and_the_newest_stay),
        SIM_TEST(a_write_of_several_pieces_is_one),
        SIM_TEST(names_need_the_folders_sync),
        SIM_TEST(renames_are_whole_and_impossible_changes_fall_away),
        SIM_TEST(a_removed_file_comes_back_with_its_contents),
        SIM_TEST(opening_with_create_makes_the_folders_name_durable),
        SIM_TEST(what_is_synced_after_a_sync_of_everything_survives),
        SIM_TEST(a_killed_process_leaves_all_it_wrote_but_not_durable),
        SIM_TEST(machines_do_not_disturb_each_other),
        SIM_TEST(crash_at_stops_the_world_at_each_operation),
        SIM_TEST(the_hook_sees_the_machine_before_each_operation),
        SIM_TEST(mapped_stores_survive_a_kill_and_may_survive_a_power_cut),
        SIM_TEST(stores_after_the_crash_do_not_count),
        SIM_TEST(long_mappings_agree_with_short_ones),
        SIM_TEST(random_histories_lie_between_the_synced_and_the_current),
        SIM_TEST(an_outcome_has_the_digest_of_what_it_leaves),
        SIM_TEST(choices_can_be_listed_and_made_by_hand),
        SIM_TEST(random_cuts_are_outcomes_and_repeat_by_seed),
        SIM_TEST(torn_sectors_are_mixed_of_two_ways),
    };
#undef SIM_TEST
    int failed = vfs_contract_run("vfs contract: sim", setup_contract, teardown_contract);

    failed +=
        vfs_contract_run("vfs contract: restless sim", setup_contract_restless, teardown_contract);
    failed += cmocka_run_group_tests_name("simulated disk", tests, NULL, NULL);
    return failed ? 1 : 0;
}
