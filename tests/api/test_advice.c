/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_advice.c: what was measured of the disk is kept for opens to come, believed only where it
 * was measured, and obeyed only where it helps. Nothing else depends on it: no record is ever at
 * stake.
 */
#define _GNU_SOURCE 1 /* SEEK_HOLE */

#include "encode.h"
#include "helpers.h"

#include <errno.h>
#include <fcntl.h>
#include <nori/sim.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADVICE_AT  512 /* in `control` */
#define ADVICE_LEN 56

static const struct nori_log_advice zero_advice = {sizeof(struct nori_log_advice),
                                                   NORI_PREALLOCATE_ZERO,
                                                   0,
                                                   1795363824108,
                                                   400000,
                                                   300000,
                                                   150000};

static struct nori_wal_config always_config(const char *dir)
{
    struct nori_wal_config config = config_of(dir);

    config.fsync_policy = NORI_FSYNC_ALWAYS;
    return config;
}

static int advise(const char *dir, const struct nori_log_advice *advice)
{
    struct nori_error error = NORI_ERROR_INIT;
    int rc = nori_log_advise(dir, NULL, advice, &error);

    if (rc < 0) {
        assert_int_equal(error.code, rc);
        assert_true(error.message[0] != '\0');
    }
    return rc;
}

static int ask(const char *dir, struct nori_log_advice *ret_advice)
{
    *ret_advice = (struct nori_log_advice)NORI_LOG_ADVICE_INIT;
    return nori_log_advice(dir, NULL, ret_advice, NULL);
}

static bool is_advised(const char *dir)
{
    struct nori_log_advice advice;

    return ask(dir, &advice) == NORI_OK;
}

static void make_log(const struct nori_wal_config *config)
{
    nori_wal *wal = open_log(config);

    append_range(wal, 1, 3, 100);
    close_log(wal);
}

/* With the space for its next segment, which is taken in the background: else a close may come
 * first. */
static void make_log_and_spare(const struct nori_wal_config *config)
{
    nori_wal *wal = open_log(config);
    struct stat found = {0};
    char path[300];

    append_range(wal, 1, 3, 100);
    while (!has_file(config->dir, segment_name(0))) /* it was `spare` until now */
        sleep_ms(1);
    (void)snprintf(path, sizeof path, "%s/spare", config->dir);
    while (stat(path, &found) != 0 || found.st_size == 0)
        sleep_ms(1);
    close_log(wal);
}

/* Was the space behind the last record written, or only reserved? 1, 0; -1 if this file system does
 * not tell. */
static int is_written(const char *dir)
{
    char path[300];
    struct stat found;
    off_t hole;
    int fd;

    (void)snprintf(path, sizeof path, "%s/spare", dir);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &found), 0);
    assert_true(found.st_size > 0);
    hole = lseek(fd, 0, SEEK_HOLE);
    (void)close(fd);
    return hole < 0 ? -1 : hole == found.st_size;
}

/* How a new log under this configuration prepares its next segment. */
static int way_of(const struct temporary *temporary, uint32_t preallocate)
{
    struct nori_wal_config config = always_config(temporary->other);
    int way;

    config.preallocate = preallocate;
    make_log_and_spare(&config);
    way = is_written(temporary->other);
    remove_dir(temporary->other);
    return way;
}

/* Does this file system tell what was written from what was reserved? */
static bool can_tell(const struct temporary *temporary)
{
    return way_of(temporary, NORI_PREALLOCATE_RESERVE) == 0 &&
           way_of(temporary, NORI_PREALLOCATE_ZERO) == 1;
}

static void an_advice_is_kept_over_lives(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = always_config(dir);
    struct nori_log_advice advice;

    make_log(&config);
    assert_int_equal(ask(dir, &advice), NORI_E_NOTFOUND);
    assert_int_equal(advise(dir, &zero_advice), NORI_OK);
    for (int life = 0; life < 3; life++) {
        assert_int_equal(ask(dir, &advice), NORI_OK);
        assert_memory_equal(&advice, &zero_advice, sizeof advice);
        config.buffer_size = (size_t)8192 << life; /* the ring is made anew, the words stay */
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    }
    expect_log(dir, 1, 3);
}

static void a_live_writer_is_not_disturbed_and_the_next_open_knows(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = always_config(dir);
    nori_wal *wal = open_log(&config);
    struct nori_log_advice advice = zero_advice;

    append_range(wal, 1, 3, 100);
    assert_int_equal(advise(dir, &advice), NORI_OK);
    append_range(wal, 4, 3, 100);
    assert_true(is_advised(dir));
    advice.preallocate = NORI_PREALLOCATE_RESERVE;
    advice.measured_ms = 0; /* now */
    assert_int_equal(advise(dir, &advice), NORI_OK);
    close_log(wal);
    assert_int_equal(ask(dir, &advice), NORI_OK);
    assert_int_equal(advice.preallocate, NORI_PREALLOCATE_RESERVE);
    assert_true(advice.measured_ms > 1700000000000);
    expect_log(dir, 1, 6);
}

/* ---- `control` that shares its blocks with a copy ---- */

static int writes_to_control;

static int refuse_map(struct nori_file *file, size_t len, void **ret_data)
{
    (void)file;
    (void)len;
    (void)ret_data;
    return NORI_VFS_ERROR(NORI_E_UNSUPPORTED, 0);
}

static int count_write(struct nori_file *file, const struct nori_span *spans, size_t count,
                       uint64_t offset)
{
    (void)file;
    (void)spans;
    (void)count;
    (void)offset;
    writes_to_control++;
    return NORI_VFS_ERROR(NORI_E_NOSPACE, ENOSPC);
}

static const struct nori_folder_ops *whole_folder_ops;

static int open_shared_file(struct nori_folder *folder, const char *name, uint32_t flags,
                            uint32_t mode, struct nori_file **ret_file)
{
    static struct nori_file_ops ops;
    int rc = whole_folder_ops->open_file(folder, name, flags, mode, ret_file);

    if (rc < 0 || strcmp(name, "control") != 0 || !(flags & NORI_FILE_WRITE))
        return rc;
    ops = *(*ret_file)->ops;
    ops.map = refuse_map;
    ops.write = count_write;
    (*ret_file)->ops = &ops;
    return rc;
}

static int open_shared_folder(void *context, const char *path, uint32_t flags, uint32_t mode,
                              struct nori_folder **ret_folder)
{
    static struct nori_folder_ops ops;
    int rc = nori_vfs_posix()->open_folder(context, path, flags, mode, ret_folder);

    if (rc < 0)
        return rc;
    whole_folder_ops = (*ret_folder)->ops;
    ops = *whole_folder_ops;
    ops.open_file = open_shared_file;
    (*ret_folder)->ops = &ops;
    return rc;
}

/* D2: to write it anew, the same bytes, would take back what a live writer has just put into its
 * ring. So who advises does not, and is told. */
static void a_control_that_shares_its_blocks_is_not_written_beside_a_writer(void **state)
{
    const char *dir = dir_of(state);
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct nori_vfs vfs = *nori_vfs_posix();
    nori_wal *wal = open_dir(dir);

    append_range(wal, 1, 3, 100);
    vfs.open_folder = open_shared_folder;
    options.vfs = &vfs;
    writes_to_control = 0;
    assert_int_equal(nori_log_advise(dir, &options, &zero_advice, NULL), NORI_E_UNSUPPORTED);
    assert_int_equal(writes_to_control, 0);
    assert_false(is_advised(dir));
    close_log(wal);
    expect_log(dir, 1, 3);
}

static void auto_obeys_it_where_appends_wait_for_syncs(void **state)
{
    const struct temporary *temporary = *state;
    const uint32_t policies[] = {NORI_FSYNC_ALWAYS, NORI_FSYNC_BATCH, NORI_FSYNC_OS};

    if (!can_tell(temporary))
        skip(); /* this file system does not tell what was written from what was reserved */
    for (size_t i = 0; i < 3; i++) {
        struct nori_wal_config config = config_of(temporary->dir);

        config.fsync_policy = policies[i];
        make_dir(temporary->dir);
        assert_int_equal(advise(temporary->dir, &zero_advice), NORI_OK);
        make_log_and_spare(&config);
        assert_int_equal(is_written(temporary->dir), policies[i] == NORI_FSYNC_ALWAYS);
        remove_dir(temporary->dir);
    }
}

static void what_the_configuration_says_comes_first(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = always_config(temporary->dir);

    if (!can_tell(temporary))
        skip();
    config.preallocate = NORI_PREALLOCATE_RESERVE;
    make_dir(temporary->dir);
    assert_int_equal(advise(temporary->dir, &zero_advice), NORI_OK);
    make_log_and_spare(&config);
    assert_int_equal(is_written(temporary->dir), 0);
}

/* As `nori doctor` does before the first record. */
static void a_folder_without_a_log_can_be_advised(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = always_config(dir);
    struct nori_recovery_info info;

    assert_int_equal(advise(dir, &zero_advice), NORI_E_NOTFOUND); /* no such folder */
    make_dir(dir);
    assert_int_equal(advise(dir, &zero_advice), NORI_OK);
    assert_true(is_advised(dir));
    config.flags = NORI_OPEN_MUST_EXIST;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_NOTFOUND); /* it is no log yet */
    config.flags = NORI_OPEN_MUST_CREATE;
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.was_clean, 1);
    config.flags = 0;
    make_log(&config);
    assert_true(has_file(dir, segment_name(0)));
    assert_true(is_advised(dir));
    expect_log(dir, 1, 3);
}

static void a_log_without_control_gets_it_from_its_next_open(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = always_config(dir);
    char path[300];

    make_log(&config);
    (void)snprintf(path, sizeof path, "%s/control", dir);
    assert_int_equal(remove(path), 0);
    assert_int_equal(advise(dir, &zero_advice), NORI_E_NOTFOUND);
    assert_false(has_file(dir, "control"));
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_int_equal(advise(dir, &zero_advice), NORI_OK);
    expect_log(dir, 1, 3);
}

/* It was measured elsewhere. */
static void a_copy_of_a_log_is_to_be_measured_anew(void **state)
{
    const struct temporary *temporary = *state;
    struct nori_wal_config config = always_config(temporary->dir);

    make_log(&config);
    assert_int_equal(advise(temporary->dir, &zero_advice), NORI_OK);
    copy_dir(temporary->dir, temporary->other);
    assert_false(is_advised(temporary->other));
    assert_int_equal(advise(temporary->other, &zero_advice), NORI_E_NOTFOUND);
    config.dir = temporary->other;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_false(is_advised(temporary->other));
    assert_true(is_advised(temporary->dir));
}

/* Any bit of it that is not as it was stored, and any part that never reached the disk. */
static void garbage_is_not_believed_and_costs_nothing(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = always_config(dir);
    size_t len = 0;
    uint8_t *control;

    make_log(&config);
    assert_int_equal(advise(dir, &zero_advice), NORI_OK);
    control = load_file(dir, "control", &len);
    for (size_t bit = 0; bit < (size_t)8 * ADVICE_LEN; bit++) {
        flip_bit(dir, "control", ADVICE_AT + bit / 8, (unsigned)(bit % 8));
        assert_false(is_advised(dir));
        flip_bit(dir, "control", ADVICE_AT + bit / 8, (unsigned)(bit % 8));
    }
    assert_true(is_advised(dir));
    for (size_t word = 0; word < ADVICE_LEN / 8; word++) {
        uint8_t *torn = load_file(dir, "control", &len);

        memset(torn + ADVICE_AT + 8 * word, 0, 8);
        store_file(dir, "control", torn, len);
        free(torn);
        assert_false(is_advised(dir));
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        expect_log(dir, 1, 3);
        store_file(dir, "control", control, len);
    }
    free(control);
}

/* A device that was copied, block by block, has the same inodes; another disk may lie below it. */
static void what_was_measured_on_another_device_is_not_believed(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = always_config(dir);
    uint64_t words[ADVICE_LEN / 8];
    uint64_t check = 0;
    size_t len = 0;
    uint8_t *control;

    make_log(&config);
    assert_int_equal(advise(dir, &zero_advice), NORI_OK);
    control = load_file(dir, "control", &len);
    for (int is_other = 0; is_other < 2; is_other++) {
        memcpy(words, control + ADVICE_AT, sizeof words);
        words[1] += (uint64_t)is_other;
        check = slow_splitmix64(0x6164766963650001); /* as docs/architecture.md has it */
        for (size_t i = 0; i < sizeof words / 8 - 1; i++)
            check = slow_splitmix64(check ^ words[i]);
        words[sizeof words / 8 - 1] = check;
        memcpy(control + ADVICE_AT, words, sizeof words);
        store_file(dir, "control", control, len);
        assert_int_equal(is_advised(dir), !is_other);
    }
    free(control);
}

static void a_senseless_advice_is_refused(void **state)
{
    const char *dir = dir_of(state);
    struct nori_log_advice advice = zero_advice;
    struct nori_log_advice small = {.size = 0};

    make_dir(dir);
    assert_int_equal(advise(dir, NULL), NORI_E_INVALID);
    advice.preallocate = NORI_PREALLOCATE_OFF;
    assert_int_equal(advise(dir, &advice), NORI_E_INVALID);
    advice = zero_advice;
    advice.size = 0;
    assert_int_equal(advise(dir, &advice), NORI_E_INVALID);
    advice = zero_advice;
    advice.reserved = 1;
    assert_int_equal(advise(dir, &advice), NORI_E_INVALID);
    assert_int_equal(nori_log_advice(dir, NULL, NULL, NULL), NORI_E_INVALID);
    assert_int_equal(nori_log_advice(dir, NULL, &small, NULL), NORI_E_INVALID);
    assert_int_equal(advise(NULL, &zero_advice), NORI_E_INVALID);
    assert_false(has_file(dir, "control"));
}

/* ---- on a simulated machine ---- */

static int advise_sim(nori_sim *sim)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;

    options.vfs = nori_sim_vfs(sim);
    return nori_log_advise("wal", &options, &zero_advice, NULL);
}

static nori_sim *make_sim_log(void)
{
    nori_sim *sim = nori_sim_new(NULL);
    struct nori_wal_config config = always_config("wal");

    config.vfs = nori_sim_vfs(sim);
    config.buffer_size = 4096;
    make_log(&config);
    return sim;
}

static void expect_sim_log(nori_sim *sim)
{
    struct nori_wal_config config = always_config("wal");
    struct nori_recovery_info info;

    config.vfs = nori_sim_vfs(sim);
    config.buffer_size = 4096;
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, 3);
    assert_int_equal(info.was_clean, 1);
}

/* D1: storing it, or failing to, takes nothing from the log. */
static void whatever_call_fails_the_log_is_unharmed(void **state)
{
    bool did_fail = true;

    (void)state;
    for (uint64_t nth = 1; did_fail; nth++) {
        nori_sim *sim = make_sim_log();
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;

        options.fail_nth = nth;
        nori_sim_set_options(sim, &options);
        (void)advise_sim(sim);
        did_fail = nori_sim_did_fail(sim);
        nori_sim_set_options(sim, NULL);
        expect_sim_log(sim);
        assert_int_equal(advise_sim(sim), NORI_OK);
        nori_sim_free(sim);
    }
}

/* The same before there is a log: it is kept, or the folder is as good as new. */
static void whatever_call_fails_a_new_folder_can_be_advised_later(void **state)
{
    bool did_fail = true;

    (void)state;
    for (uint64_t nth = 1; did_fail; nth++) {
        nori_sim *sim = nori_sim_new(NULL);
        const struct nori_vfs *vfs = nori_sim_vfs(sim);
        struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
        struct nori_wal_config config = always_config("wal");
        struct nori_folder *folder = NULL;
        int rc;

        assert_int_equal(vfs->open_folder(vfs->context, "wal", NORI_FOLDER_CREATE, 0700, &folder),
                         0);
        folder->ops->close(folder);
        options.fail_nth = nth;
        nori_sim_set_options(sim, &options);
        rc = advise_sim(sim);
        did_fail = nori_sim_did_fail(sim);
        nori_sim_set_options(sim, NULL);
        assert_true(rc == NORI_OK || did_fail);
        assert_int_equal(advise_sim(sim), NORI_OK);
        config.vfs = vfs;
        config.buffer_size = 4096;
        make_log(&config);
        expect_sim_log(sim);
        nori_sim_free(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ON_DISK(test) cmocka_unit_test_setup_teardown(test, temporary_setup, temporary_teardown)
        ON_DISK(an_advice_is_kept_over_lives),
        ON_DISK(a_live_writer_is_not_disturbed_and_the_next_open_knows),
        ON_DISK(a_control_that_shares_its_blocks_is_not_written_beside_a_writer),
        ON_DISK(auto_obeys_it_where_appends_wait_for_syncs),
        ON_DISK(what_the_configuration_says_comes_first),
        ON_DISK(a_folder_without_a_log_can_be_advised),
        ON_DISK(a_log_without_control_gets_it_from_its_next_open),
        ON_DISK(a_copy_of_a_log_is_to_be_measured_anew),
        ON_DISK(garbage_is_not_believed_and_costs_nothing),
        ON_DISK(what_was_measured_on_another_device_is_not_believed),
        ON_DISK(a_senseless_advice_is_refused),
        cmocka_unit_test(whatever_call_fails_the_log_is_unharmed),
        cmocka_unit_test(whatever_call_fails_a_new_folder_can_be_advised_later),
    };

    return cmocka_run_group_tests_name("advice", tests, NULL, NULL);
}
