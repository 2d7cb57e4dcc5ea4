/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_regressions.c: histories that once broke a promise, each in its smallest form. */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS */

#include "encode.h"
#include "helpers.h"

#include <errno.h>
#include <nori/sim.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* A position behind the end of an ended segment is no place in the one after it: what a consumer
 * has not read stays. */
static void dropping_before_a_place_behind_an_end_drops_that_segment_only(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    uint64_t deleted = 0;
    struct nori_position first;

    append_range(wal, 1, 4000, 1000);
    assert_int_equal(nori_wal_sync(wal), NORI_OK);
    assert_int_equal(
        nori_wal_delete_segments_before(wal, (struct nori_position){0, 3 * MIB}, &deleted),
        NORI_OK);
    assert_int_equal(deleted, 1);
    assert_int_equal(nori_wal_first_position(wal, &first), NORI_OK);
    assert_int_equal(first.segment_id, 1);
    assert_int_equal(nori_wal_wait_durable(wal, (struct nori_position){1, 3 * MIB}, 0),
                     NORI_E_NOTFOUND);
    close_log(wal);
}

static void store_format1(const char *dir, uint64_t id, uint64_t first)
{
    struct bytes file = {0};

    for (uint64_t i = 0; i < 10; i++) {
        struct numbered memory;
        struct nori_record numbered = make_numbered(&memory, first + i, 50);
        struct raw_record record = {.key = numbered.key,
                                    .key_len = numbered.key_len,
                                    .value = numbered.value,
                                    .value_len = numbered.value_len};

        (void)put_record(&file, &record, 0);
    }
    store_file(dir, segment_name(id), file.data, file.len);
    free_bytes(&file);
}

/* With verify = tail the segments of format 1 have their places, too: none goes that was not
 * named. */
static void segments_of_format_1_have_places_with_verify_tail(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    uint64_t deleted = UINT64_MAX;
    nori_wal *wal;

    make_dir(config.dir);
    for (uint64_t id = 1; id <= 4; id++) /* a record of 000000.wal would lie at {0, 0} */
        store_format1(config.dir, id, 10 * id - 9);
    wal = open_log(&config);
    (void)append_numbered(wal, 41, 50);
    close_log(wal);
    config.verify = NORI_VERIFY_TAIL;
    wal = open_log(&config);
    assert_int_equal(nori_wal_delete_segments_before(wal, OLDEST, &deleted), NORI_OK);
    assert_int_equal(deleted, 0);
    close_log(wal);
    expect_log(config.dir, 1, 41);
}

/* A header whose positions no log reaches is damage, whatever its checksum says: no sum
 * overflows. */
static void impossible_positions_in_a_header_are_damage(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct raw_header header = {.log_id = 7, .salt = 9, .base_sequence = 1, .prev_id = UINT64_MAX};
    struct bytes file = {0};
    nori_wal *wal = NULL;

    header.start = UINT64_MAX - 255;
    header.durable_lsn = header.start;
    make_dir(config.dir);
    put_header(&file, &header);
    store_file(config.dir, segment_name(0), file.data, file.len);
    free_bytes(&file);
    assert_int_equal(nori_wal_open(&config, &wal, NULL, NULL), NORI_E_CORRUPT);
}

/* Design: a hostile `control` costs speed, never the log. */
static void a_watermark_that_was_not_stored_whole_is_not_believed(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    uint8_t *control;
    size_t len;

    append_range(wal, 1, 100, 100);
    close_log(wal);
    control = load_file(dir, "control", &len);
    control[128 + 5] = 1; /* the durable LSN is 2^40 more */
    store_file(dir, "control", control, len);
    free(control);
    wal = open_dir(dir);
    close_log(wal);
    expect_log(dir, 1, 100);
}

/* D11: a power cut may leave an older page of `control` beside newer segments. Until the next open
 * mends that, a record is found by its position as it is by reading all. */
static void a_position_is_found_whatever_a_writer_that_is_gone_published(void **state)
{
    const char *dir = dir_of(state);

    for (uint32_t format = 1; format <= 2; format++) {
        struct nori_wal_config config = config_of(dir);
        struct nori_position positions[10];
        uint8_t *control;
        nori_wal *wal;
        size_t len;

        config.format = format;
        wal = open_log(&config);
        for (uint64_t i = 0; i < 10; i++)
            positions[i] = append_numbered(wal, i + 1, 100);
        close_log(wal);
        control = load_file(dir, "control", &len);
        for (uint64_t published = 0; published <= positions[9].offset; published += 50) {
            memcpy(control + 64, &published, sizeof published);
            store_file(dir, "control", control, len);
            expect_log(dir, 1, 10);
            for (uint64_t i = 0; i < 10; i++) {
                nori_reader *reader = open_reader(dir, positions[i]);

                expect_range(reader, i + 1, 10 - i, i + 1);
                nori_reader_close(reader);
            }
        }
        free(control);
        remove_dir(dir);
    }
}

/* Whoever gets an error keeps what stood in his results. */
static void results_are_untouched_by_a_failure(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_position positions[2] = {{7, 7}, {8, 8}};
    struct nori_record records[2];
    nori_wal *wal;

    config.max_record_size = 100;
    wal = open_log(&config);
    records[0] = nori_record_put("a", 1, "b", 1);
    records[1] = nori_record_put("c", 1, config.dir, 200);
    assert_int_equal(nori_wal_append_batch(wal, records, 2, positions), NORI_E_TOOBIG);
    assert_position(positions[0], 7, 7);
    assert_position(positions[1], 8, 8);
    close_log(wal);
}

/* A thread that never failed is not told of the failure of one that is gone. */
static int look_at_last_error(void *context)
{
    struct nori_error error = NORI_ERROR_INIT;

    return nori_wal_last_error(context, &error) == NORI_END ? 0 : 1;
}

static void *fail_once(void *wal)
{
    return nori_wal_append(wal, NULL, NULL) == NORI_E_INVALID ? wal : NULL;
}

static void *expect_no_error(void *wal)
{
    return look_at_last_error(wal) == 0 ? wal : NULL;
}

static void a_new_thread_has_no_last_error(void **state)
{
    nori_wal *wal = open_dir(dir_of(state));
    pthread_t thread;
    void *result = NULL;

    for (int round = 0; round < 5; round++) {
        assert_int_equal(pthread_create(&thread, NULL, expect_no_error, wal), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, wal);
        assert_int_equal(pthread_create(&thread, NULL, fail_once, wal), 0);
        assert_int_equal(pthread_join(thread, &result), 0);
        assert_ptr_equal(result, wal);
    }
    close_log(wal);
}

/* Files that outlive several threads: a log large enough to be scanned by more than one. */
static void a_log_that_several_threads_scan_is_judged_alike(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal;

    config.max_segment_size = 4 * MIB;
    wal = open_log(&config);
    append_range(wal, 1, 12000, NUMBERED_VALUE_MAX);
    close_log(wal);
    assert_int_equal(try_open(&config, &info, &error), NORI_OK);
    assert_int_equal(info.valid_records, 12000);
    assert_true(info.segments_scanned >= 12);
    flip_bit(config.dir, segment_name(5), 2 * MIB, 3);
    assert_int_equal(try_open(&config, &info, &error), NORI_E_CORRUPT);
    assert_int_equal(error.position.segment_id, 5);
}

/* ---- readers of what was dropped ---- */

static void drop_all(nori_wal *wal)
{
    assert_int_equal(nori_wal_delete_segments_before(wal, position_of(wal), NULL), NORI_OK);
}

static void expect_next(nori_reader *reader, int expected)
{
    struct nori_record record;

    assert_int_equal(nori_reader_next(reader, &record, NULL), expected);
}

/* D11: nothing that it had to read was removed, so it is told nothing, and goes on; until
 * something was. */
static void a_reader_that_has_read_all_outlives_drops_and_reopening(void **state)
{
    const char *dir = dir_of(state);
    nori_wal *wal = open_dir(dir);
    nori_reader *reader;
    nori_reader *own = NULL;

    append_range(wal, 1, 10, 100);
    reader = open_reader(dir, OLDEST);
    assert_int_equal(nori_wal_read_from(wal, OLDEST, &own), NORI_OK);
    expect_range(reader, 1, 10, 1);
    expect_range(own, 1, 10, 1);
    for (uint64_t round = 0; round < 3; round++) {
        drop_all(wal);
        close_log(wal);
        wal = open_dir(dir);
        drop_all(wal);
        if (round == 1) { /* they need not have looked meanwhile */
            expect_next(reader, NORI_END);
            expect_next(own, NORI_END);
        }
    }
    append_range(wal, 11, 10, 100);
    expect_range(reader, 11, 10, 11);
    append_range(wal, 21, 1, 100);
    drop_all(wal);
    close_log(wal);
    wal = open_dir(dir);
    drop_all(wal);
    expect_next(reader, NORI_E_TRUNCATED);
    expect_next(own, NORI_E_TRUNCATED);
    nori_reader_close(own);
    nori_reader_close(reader);
    close_log(wal);
}

/* D11: a power cut left a segment without a record. A reader at the end knows of it and has not
 * been in it; when it is dropped with all else, nothing is missed. */
static void a_reader_at_the_end_outlives_the_drop_of_an_empty_successor(void **state)
{
    const char *dir = dir_of(state);
    struct raw_header header = {.log_id = 7, .salt = 9, .base_sequence = 1, .prev_id = UINT64_MAX};
    struct bytes files[2] = {{0}, {0}};
    nori_reader *reader;
    nori_wal *wal;

    make_dir(dir);
    put_header(&files[0], &header);
    (void)put_plain(&files[0], "k", "v", 9);
    header = (struct raw_header){.log_id = 7, .salt = 10, .segment_id = 1, .base_sequence = 2};
    header.start = header.prev_end = files[0].len;
    header.prev_salt = 9;
    put_header(&files[1], &header);
    for (uint64_t id = 0; id < 2; id++) {
        store_file(dir, segment_name(id), files[id].data, files[id].len);
        free_bytes(&files[id]);
    }
    wal = open_dir(dir);
    reader = open_reader(dir, OLDEST);
    expect_next(reader, NORI_OK);
    drop_all(wal);
    expect_next(reader, NORI_END);
    append_range(wal, 2, 3, 100);
    expect_range(reader, 2, 3, 2);
    nori_reader_close(reader);
    close_log(wal);
}

/* D11: where a repair cut off what a reader had read, its numbers are used again for others. */
static void a_reader_is_told_of_drops_behind_a_repair(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    nori_wal *wal = open_log(&config);
    struct nori_position damaged = {0, 0};
    nori_reader *reader;

    append_range(wal, 1, 10, 100);
    damaged = append_numbered(wal, 11, 100);
    append_range(wal, 12, 9, 100);
    reader = open_reader(config.dir, OLDEST);
    expect_range(reader, 1, 20, 1);
    close_log(wal);
    clear_ring(config.dir); /* it would bring the record back */
    flip_bit(config.dir, segment_name(0), damaged.offset + 50, 1);
    config.recovery_mode = NORI_RECOVER_PREFIX;
    wal = open_log(&config);
    append_range(wal, 111, 10, 100); /* with sequence numbers 11 to 20 */
    drop_all(wal);
    close_log(wal);
    wal = open_log(&config);
    drop_all(wal);
    expect_next(reader, NORI_E_TRUNCATED);
    nori_reader_close(reader);
    close_log(wal);
}

struct cut_log {
    const char *dir;
    uint32_t format;
    struct nori_position *sixth;
};

static int append_ten_and_die(void *context)
{
    const struct cut_log *cut = context;
    struct nori_wal_config config = config_of(cut->dir);
    struct nori_record record;
    struct numbered memory;
    nori_wal *wal = NULL;

    config.format = cut->format;
    CHILD_CHECK(nori_wal_open(&config, &wal, NULL, NULL) == NORI_OK);
    for (uint64_t i = 1; i <= 10; i++) {
        record = make_numbered(&memory, i, 100);
        CHILD_CHECK(nori_wal_append(wal, &record, i == 6 ? cut->sixth : NULL) == NORI_OK);
        /* else the sync that gives the segment its name may come late, and make all durable */
        CHILD_CHECK(i > 1 || nori_wal_sync(wal) == NORI_OK);
    }
    CHILD_CHECK(nori_wal_flush(wal) == NORI_OK);
    return raise(SIGKILL);
}

static uint32_t control_word(const char *dir, size_t offset)
{
    size_t len;
    uint8_t *control = load_file(dir, "control", &len);
    uint32_t word;

    memcpy(&word, control + offset, sizeof word);
    free(control);
    return word;
}

/* D11: a reader has read what was not durable, and is lost. It is told by the open that finds out,
 * not by the append that comes in its place. Words are raised before and behind the others: whoever
 * looks in between looks once more. */
static void a_reader_of_a_lost_tail_is_told_before_the_next_append(void **state)
{
    const char *dir = dir_of(state);
    struct nori_position *sixth =
        mmap(NULL, sizeof *sixth, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(sixth != MAP_FAILED);
    for (uint32_t format = 1; format <= 2; format++) {
        struct cut_log cut = {dir, format, sixth};
        struct nori_wal_config config = config_of(dir);
        struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
        uint32_t cuts, histories;
        nori_reader *reader;
        nori_wal *wal = NULL;
        int status = run_child(append_ten_and_die, &cut);

        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        reader = open_reader(dir, OLDEST);
        expect_range(reader, 1, 10, 1);
        if (format == 2)
            clear_ring(dir); /* it would bring the record back */
        flip_bit(dir, has_file(dir, segment_name(0)) ? segment_name(0) : "spare",
                 sixth->offset + 50, 1);
        cuts = control_word(dir, 264);
        histories = control_word(dir, 268);
        config.format = format;
        assert_int_equal(nori_wal_open(&config, &wal, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, 5);
        assert_int_equal(control_word(dir, 264) - cuts, 2);
        assert_int_equal(control_word(dir, 268) - histories, 2);
        expect_next(reader, NORI_E_TRUNCATED);
        append_range(wal, 106, 10, 100);
        expect_next(reader, NORI_E_TRUNCATED);
        nori_reader_close(reader);
        close_log(wal);
        remove_dir(dir);
    }
    assert_int_equal(munmap(sixth, sizeof *sixth), 0);
}

static const struct nori_folder_ops *mapping_folder_ops;
static const struct nori_file_ops *whole_file_ops;
static nori_reader *quick_reader; /* reads at once what the next write leaves, which then fails */

static int write_and_refuse(struct nori_file *file, const struct nori_span *spans, size_t count,
                            uint64_t offset)
{
    nori_reader *reader = quick_reader;
    int rc = whole_file_ops->write(file, spans, count, offset);

    if (rc < 0 || !reader)
        return rc;
    quick_reader = NULL;
    expect_range(reader, 6, 1, 6);
    return NORI_VFS_ERROR(NORI_E_NOSPACE, ENOSPC);
}

static int open_unmapped(struct nori_folder *folder, const char *name, uint32_t flags,
                         uint32_t mode, struct nori_file **ret_file)
{
    static struct nori_file_ops ops;
    int rc = mapping_folder_ops->open_file(folder, name, flags, mode, ret_file);

    if (rc < 0)
        return rc;
    if (!whole_file_ops) { /* once, before there are other threads */
        whole_file_ops = (*ret_file)->ops;
        ops = *whole_file_ops;
        ops.map = NULL;
        ops.write = write_and_refuse;
    }
    (*ret_file)->ops = &ops;
    return rc;
}

static int open_unmapping_folder(void *context, const char *path, uint32_t flags, uint32_t mode,
                                 struct nori_folder **ret_folder)
{
    static struct nori_folder_ops ops;
    int rc = nori_vfs_posix()->open_folder(context, path, flags, mode, ret_folder);

    if (rc < 0)
        return rc;
    mapping_folder_ops = (*ret_folder)->ops;
    ops = *mapping_folder_ops;
    ops.open_file = open_unmapped;
    (*ret_folder)->ops = &ops;
    return rc;
}

/* D11: where `control` cannot be mapped, readers in other processes go by checksums. A write that
 * says that there is no space may have left a whole record for a moment. It was refused, so the log
 * goes on in another segment, and who has read it is told that it is gone. */
static void a_reader_of_what_was_refused_is_told(void **state)
{
    const char *dir = dir_of(state);
    struct nori_wal_config config = config_of(dir);
    struct nori_vfs vfs = *nori_vfs_posix();
    struct numbered memory;
    struct nori_record refused = make_numbered(&memory, 6, 100);
    nori_reader *reader;
    nori_wal *wal;

    vfs.open_folder = open_unmapping_folder;
    config.vfs = &vfs;
    wal = open_log(&config);
    append_range(wal, 1, 5, 100);
    reader = open_reader(dir, OLDEST);
    expect_range(reader, 1, 5, 1);
    quick_reader = reader;
    assert_int_equal(nori_wal_append(wal, &refused, NULL), NORI_E_NOSPACE);
    assert_null(quick_reader);
    append_range(wal, 106, 10, 100); /* with sequence numbers 6 to 15 */
    expect_next(reader, NORI_E_TRUNCATED);
    expect_next(reader, NORI_E_TRUNCATED);
    nori_reader_close(reader);
    close_log(wal);
    assert_false(has_file(dir, "control"));
}

/* ---- salvage of a log whose beginning was dropped ---- */

/* A log of 3000 records in three segments, of which only those from segment `first` on are left,
 * the oldest of them with a damaged header; beside them an empty file with an older name. Returns
 * the sequence number of the oldest record left. */
static uint64_t make_dropped_log(const char *dir, uint64_t first)
{
    nori_wal *wal = open_dir(dir);
    struct nori_position oldest = {0, 0};
    uint64_t sequence = 0;

    for (uint64_t i = 1; i <= 3000; i++) {
        struct nori_position position = append_numbered(wal, i, 1000);

        if (position.segment_id == first && oldest.offset == 0) {
            oldest = position;
            sequence = i;
        }
    }
    assert_int_equal(nori_wal_delete_segments_before(wal, oldest, NULL), NORI_OK);
    close_log(wal);
    assert_false(has_file(dir, segment_name(first - 1)));
    assert_true(has_file(dir, segment_name(first)));
    flip_bit(dir, segment_name(first), 50, 1);
    store_file(dir, segment_name(0), "", 0);
    return sequence;
}

/* Salvage keeps all that is left, and every mode opens what it made (D1): an empty file is not
 * taken for the beginning of the log. */
static void a_dropped_log_is_salvaged_beside_an_empty_file(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));

    for (uint64_t first = 1; first <= 2; first++) {
        uint64_t sequence = make_dropped_log(config.dir, first);
        struct nori_recovery_info info = NORI_RECOVERY_INFO_INIT;
        nori_reader *reader;
        nori_wal *wal;

        config.recovery_mode = NORI_RECOVER_SALVAGE;
        assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
        assert_int_equal(info.valid_records, 3000 - sequence + 1);
        config.recovery_mode = NORI_RECOVER_STRICT;
        wal = open_log(&config);
        (void)append_numbered(wal, 3001, 1000);
        close_log(wal);
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_OK);
        reader = open_reader(config.dir, OLDEST);
        expect_range(reader, sequence, 3001 - sequence + 1, sequence);
        nori_reader_close(reader);
        remove_dir(config.dir);
    }
}

/* D6: what no writer writes is damage, to open as to verify; salvage makes the header anew. */
static void a_header_that_claims_too_much_is_damage_to_all(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    nori_wal *wal = open_log(&config);
    uint32_t crc;
    uint8_t *bytes;
    size_t len;

    append_range(wal, 1, 1500, 1000);
    close_log(wal);
    bytes = load_file(config.dir, segment_name(1), &len);
    memcpy(bytes + 104, bytes + 64, 8); /* what was durable: as much as lies before it */
    bytes[104]++;                       /* and a byte more */
    crc = slow_crc32c(bytes, 124);
    for (int i = 0; i < 4; i++)
        bytes[124 + i] = (uint8_t)(crc >> 8 * i);
    store_file(config.dir, segment_name(1), bytes, len);
    free(bytes);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_E_CORRUPT);
    assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_E_CORRUPT);
    config.recovery_mode = NORI_RECOVER_SALVAGE;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_OK);
    expect_log(config.dir, 1, 1500);
}

/* D7: damage in a segment that still lies in `spare` is set aside like any other. */
static void damage_in_a_segment_without_a_name_is_mended(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct raw_header header = {.log_id = 7, .salt = 9, .base_sequence = 1, .prev_id = UINT64_MAX};
    struct bytes file = {0};
    uint64_t end;

    for (config.recovery_mode = NORI_RECOVER_PREFIX; config.recovery_mode <= NORI_RECOVER_SALVAGE;
         config.recovery_mode++) {
        struct raw_header second = {.log_id = 7, .salt = 10, .segment_id = 1, .prev_salt = 9};

        make_dir(config.dir);
        put_header(&file, &header);
        (void)put_plain(&file, "k", "v", 9);
        end = file.len;
        store_file(config.dir, segment_name(0), file.data, file.len);
        free_bytes(&file);
        second.base_sequence = 7; /* there is one record before it */
        second.start = second.prev_end = end;
        file = (struct bytes){0};
        put_header(&file, &second);
        store_file(config.dir, "spare", file.data, file.len);
        free_bytes(&file);
        file = (struct bytes){0};
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        assert_true(has_file(config.dir, "quarantine/000001.wal"));
        assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_OK);
        remove_dir(config.dir);
    }
}

/* D6: behind a torn tail over several segments nothing counts, to verify as to open. */
static void headers_behind_a_torn_tail_are_no_damage(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct raw_header header = {.log_id = 7, .salt = 9, .base_sequence = 1, .prev_id = UINT64_MAX};
    struct bytes file = {0};
    size_t torn;

    make_dir(config.dir);
    put_header(&file, &header);
    torn = put_plain(&file, "k", "v", 9);
    header.prev_end = file.len;
    store_file(config.dir, segment_name(0), file.data, torn);
    free_bytes(&file);
    file = (struct bytes){0};
    header.segment_id = 1;
    header.salt = 10;
    header.base_sequence = 2;
    header.start = header.prev_end;
    header.prev_salt = 9;
    header.prev_id = 0;
    put_header(&file, &header);
    store_file(config.dir, segment_name(1), file.data, file.len);
    free_bytes(&file);
    assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_OK);
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_OK);
}

/* Two segments, and a damaged header. */
struct damaged_log {
    struct raw_record record; /* in the first segment */
    uint16_t header_len;      /* of that */
    bool has_mark;            /* behind the record */
    uint64_t damaged;         /* the segment whose header is */
    bool has_stray;           /* behind both a segment of another log */
};

static void store_damaged(const char *dir, const struct damaged_log *log)
{
    struct raw_header header = {.log_id = 7, .salt = 9, .base_sequence = 1, .prev_id = UINT64_MAX};
    struct bytes file = {0};
    uint64_t end;

    make_dir(dir);
    header.header_len = log->header_len;
    put_header(&file, &header);
    (void)put_record(&file, &log->record, 9);
    if (log->has_mark)
        (void)put_mark(&file, 9, 7, 2, 0);
    end = file.len;
    store_file(dir, segment_name(0), file.data, file.len);
    free_bytes(&file);
    file = (struct bytes){0};
    header = (struct raw_header){.log_id = 7, .salt = 10, .segment_id = 1, .base_sequence = 2};
    header.start = header.prev_end = header.durable_lsn = end;
    header.prev_salt = 9;
    put_header(&file, &header);
    (void)put_mark(&file, 10, 7, 2, end);
    store_file(dir, segment_name(1), file.data, file.len);
    free_bytes(&file);
    flip_bit(dir, segment_name(log->damaged), 50, 1);
    if (!log->has_stray)
        return;
    file = (struct bytes){0};
    header = (struct raw_header){.log_id = 8, .salt = 11, .segment_id = 2, .base_sequence = 1};
    header.prev_id = UINT64_MAX;
    put_header(&file, &header);
    store_file(dir, segment_name(2), file.data, file.len);
    free_bytes(&file);
}

/* D12: before a damaged chain is mended, the records are looked through for a newer version's, also
 * behind a damaged header, whose salt the next one knows, or, where that one is taken for another
 * log's, a mark; and behind one that is longer than those of this version. */
static void a_damaged_chain_with_newer_records_is_left_alone(void **state)
{
    const struct raw_record newer = {.key = "k", .key_len = 1, .flags = RAW_LZ4 | RAW_ZSTD};
    const struct damaged_log logs[] = {
        {newer, 128, false, 0, false},
        {newer, 128, false, 1, false},
        {newer, 136, false, 1, false},
        {newer, 128, true, 0, true},
    };
    struct nori_wal_config config = config_of(dir_of(state));

    for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++) {
        store_damaged(config.dir, &logs[i]);
        for (config.recovery_mode = NORI_RECOVER_PREFIX;
             config.recovery_mode <= NORI_RECOVER_SALVAGE; config.recovery_mode++) {
            struct snapshot *before = take_snapshot(config.dir);

            assert_int_equal(try_open(&config, NULL, NULL), NORI_E_VERSION);
            expect_unchanged(config.dir, before);
            free_snapshot(before);
        }
        remove_dir(config.dir);
    }
}

/* How many records a reader shows before the log ends. */
static uint64_t records_in(const char *dir)
{
    struct nori_position oldest = {0, 0};
    struct nori_record record;
    nori_reader *reader = NULL;
    uint64_t count = 0;
    int rc = nori_reader_open(dir, oldest, &reader, NULL);

    for (; rc == NORI_OK; count++)
        rc = nori_reader_next(reader, &record, NULL);
    assert_int_equal(rc, NORI_END);
    nori_reader_close(reader);
    return count - 1;
}

/* D12: a header that is longer than those of this version is not damaged: salvage, which makes the
 * next one anew, keeps it and the record behind it. */
static void salvage_leaves_a_longer_header_alone(void **state)
{
    const struct raw_record record = {.key = "k", .key_len = 1, .value = "v", .value_len = 1};
    const struct damaged_log log = {record, 136, true, 1, false};
    struct nori_wal_config config = config_of(dir_of(state));

    store_damaged(config.dir, &log);
    config.recovery_mode = NORI_RECOVER_SALVAGE;
    assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
    assert_true(has_file(config.dir, "quarantine/000001.wal.0-128"));
    assert_false(has_file(config.dir, "quarantine/000000.wal.0-128"));
    assert_int_equal(records_in(config.dir), 1);
    assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_OK);
}

/* D6: a mark that verifies and is of another log, or knows of more than lies before it, is as good
 * as bytes that do not verify, to all who look: nothing was durable here, so it is a torn tail. */
static void a_mark_that_no_writer_sets_ends_the_log_for_all(void **state)
{
    const struct {
        uint64_t log_id, durable_lsn;
    } marks[] = {{8, 0}, {7, 4096}};
    struct raw_header header = {.log_id = 7, .salt = 9, .base_sequence = 1, .prev_id = UINT64_MAX};

    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        struct nori_wal_config config = config_of(dir_of(state));
        struct bytes file = {0};

        make_dir(config.dir);
        put_header(&file, &header);
        (void)put_plain(&file, "k", "v", 9);
        (void)put_mark(&file, 9, marks[i].log_id, 2, marks[i].durable_lsn);
        (void)put_plain(&file, "k", "v", 9);
        store_file(config.dir, segment_name(0), file.data, file.len);
        free_bytes(&file);
        assert_int_equal(records_in(config.dir), 1);
        assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_OK);
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        assert_int_equal(records_in(config.dir), 1);
        remove_dir(config.dir);
    }
}

/* ---- `spare` on a disk that has failed to write it ---- */

static nori_sim *failing_sim;
static unsigned forgets_to_fail;
static unsigned forgotten; /* how often `spare` was let go of */

static int forget_or_fail(struct nori_folder *folder, const char *name, uint64_t offset)
{
    (void)folder;
    (void)offset;
    if (strcmp(name, "spare") != 0)
        return 0;
    forgotten++;
    if (forgets_to_fail == 0)
        return 0;
    forgets_to_fail--;
    return NORI_VFS_ERROR(NORI_E_IO, EIO);
}

static int open_failing_folder(void *context, const char *path, uint32_t flags, uint32_t mode,
                               struct nori_folder **ret_folder)
{
    static struct nori_folder_ops ops;
    int rc = nori_sim_vfs(failing_sim)->open_folder(context, path, flags, mode, ret_folder);

    if (rc < 0)
        return rc;
    ops = *(*ret_folder)->ops;
    ops.size = sizeof ops;
    ops.forget = forget_or_fail;
    (*ret_folder)->ops = &ops;
    return rc;
}

/* D8: an older `spare` that cannot be synced has nothing of the log. The append that needs it is
 * refused, and is not there; the log has not failed, and all that returns afterwards is kept. */
static void a_spare_that_cannot_be_synced_costs_only_what_was_refused(void **state)
{
    struct nori_wal_config config = config_of("wal");
    struct nori_error failure = NORI_ERROR_INIT;
    struct nori_reader_config reading = NORI_READER_CONFIG_INIT;
    struct numbered memory;
    struct nori_record refused = make_numbered(&memory, 999, 100);
    nori_reader *reader = NULL;
    struct nori_vfs vfs;
    nori_sim *after;
    nori_wal *wal;

    (void)state;
    failing_sim = nori_sim_new(NULL);
    vfs = *nori_sim_vfs(failing_sim);
    vfs.open_folder = open_failing_folder;
    config.vfs = &vfs;
    config.fsync_policy = NORI_FSYNC_ALWAYS;
    for (uint64_t life = 0; life < 4; life++) {
        forgotten = 0;
        forgets_to_fail = (unsigned)life;
        wal = open_log(&config);
        for (uint64_t i = 0; i < life; i++)
            assert_int_equal(nori_wal_append(wal, &refused, NULL), NORI_E_IO);
        assert_int_equal(nori_wal_failure(wal, &failure), NORI_END);
        append_range(wal, 1 + life * 5, 5, 100);
        nori_sim_sleep(failing_sim, 1000000000); /* until the next one is prepared */
        assert_true(forgotten > life);
        assert_int_equal(nori_sim_power_cut(failing_sim, 0, &after), 0);
        reading.vfs = nori_sim_vfs(after);
        assert_int_equal(nori_reader_open_with("wal", &reading, OLDEST, &reader, NULL), NORI_OK);
        expect_range(reader, 1, 5 + life * 5, 1);
        nori_reader_close(reader);
        nori_sim_free(after);
        close_log(wal);
    }
    nori_sim_free(failing_sim);
}

/* D6: behind a header that begins with so large a number the next one would not be believed, and
 * what was appended would be lost. Such a log can be read, and is left as it is. */
static void a_log_without_numbers_left_is_not_continued(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct raw_header header = {.log_id = 7, .salt = 9, .prev_id = UINT64_MAX};
    struct bytes file = {0};

    header.base_sequence = UINT64_C(1) << 62;
    put_header(&file, &header);
    (void)put_plain(&file, "k", "v", 9);
    for (int in_spare = 0; in_spare < 2; in_spare++) { /* beside a damaged segment */
        make_dir(config.dir);
        store_file(config.dir, segment_name(0), file.data, file.len);
        if (in_spare) {
            store_file(config.dir, "spare", file.data, file.len);
            flip_bit(config.dir, segment_name(0), 50, 1);
        } else {
            assert_int_equal(records_in(config.dir), 1);
        }
        for (config.recovery_mode = NORI_RECOVER_TAIL; config.recovery_mode <= NORI_RECOVER_SALVAGE;
             config.recovery_mode++) {
            struct snapshot *before = take_snapshot(config.dir);

            assert_int_equal(try_open(&config, NULL, NULL), NORI_E_UNSUPPORTED);
            expect_unchanged(config.dir, before);
            free_snapshot(before);
        }
        remove_dir(config.dir);
    }
    free_bytes(&file);
}

/* D6: a header that says that it starts before the format 1 before it ends is damage, to all, and
 * is set aside by those who mend. */
static void a_header_that_starts_within_format_1_is_damaged(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct raw_header header = {.segment_id = 1, .log_id = 7, .salt = 9, .base_sequence = 2};
    struct bytes file = {0};

    (void)put_plain(&file, "k", "v", 0);
    for (config.recovery_mode = NORI_RECOVER_TAIL; config.recovery_mode <= NORI_RECOVER_SALVAGE;
         config.recovery_mode++) {
        const bool mends = config.recovery_mode >= NORI_RECOVER_PREFIX;
        struct bytes next = {0};

        make_dir(config.dir);
        store_file(config.dir, segment_name(0), file.data, file.len);
        header.prev_end = file.len;
        header.start = file.len - 1;
        put_header(&next, &header);
        store_file(config.dir, segment_name(1), next.data, next.len);
        free_bytes(&next);
        assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_E_CORRUPT);
        assert_int_equal(try_open(&config, NULL, NULL), mends ? NORI_OK : NORI_E_CORRUPT);
        assert_int_equal(has_file(config.dir, "quarantine/000001.wal"), mends);
        if (mends)
            assert_int_equal(records_in(config.dir), 1);
        remove_dir(config.dir);
    }
    free_bytes(&file);
}

/* D6: a `spare` that says it continues a segment of format 1 which has a successor is not part of
 * the log, whatever its checksum says. Once it was, and what lay between was damage then. */
static void a_spare_does_not_continue_format_1_before_its_end(void **state)
{
    struct nori_wal_config config = config_of(dir_of(state));
    struct raw_header header = {.segment_id = 5, .log_id = 7, .salt = 9, .base_sequence = 2};
    struct bytes first = {0};
    struct bytes spare = {0};

    (void)put_plain(&first, "k", "v", 0);
    header.prev_end = header.start = first.len;
    put_header(&spare, &header);
    make_dir(config.dir);
    store_file(config.dir, segment_name(0), first.data, first.len);
    store_file(config.dir, segment_name(1), "\0torn", 5); /* all that came of a first record */
    store_file(config.dir, "spare", spare.data, spare.len);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(nori_log_verify(config.dir, NULL, NULL, NULL, NULL), NORI_OK);
        assert_int_equal(try_open(&config, NULL, NULL), NORI_OK);
        assert_int_equal(records_in(config.dir), 1);
    }
    free_bytes(&first);
    free_bytes(&spare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, temporary_setup, temporary_teardown)
        TEST(dropping_before_a_place_behind_an_end_drops_that_segment_only),
        TEST(segments_of_format_1_have_places_with_verify_tail),
        TEST(impossible_positions_in_a_header_are_damage),
        TEST(a_watermark_that_was_not_stored_whole_is_not_believed),
        TEST(a_position_is_found_whatever_a_writer_that_is_gone_published),
        TEST(results_are_untouched_by_a_failure),
        TEST(a_new_thread_has_no_last_error),
        TEST(a_log_that_several_threads_scan_is_judged_alike),
        TEST(a_reader_that_has_read_all_outlives_drops_and_reopening),
        TEST(a_reader_at_the_end_outlives_the_drop_of_an_empty_successor),
        TEST(a_reader_is_told_of_drops_behind_a_repair),
        TEST(a_reader_of_a_lost_tail_is_told_before_the_next_append),
        TEST(a_reader_of_what_was_refused_is_told),
        TEST(a_dropped_log_is_salvaged_beside_an_empty_file),
        TEST(a_header_that_claims_too_much_is_damage_to_all),
        TEST(damage_in_a_segment_without_a_name_is_mended),
        TEST(headers_behind_a_torn_tail_are_no_damage),
        TEST(a_damaged_chain_with_newer_records_is_left_alone),
        TEST(salvage_leaves_a_longer_header_alone),
        TEST(a_mark_that_no_writer_sets_ends_the_log_for_all),
        TEST(a_spare_that_cannot_be_synced_costs_only_what_was_refused),
        TEST(a_log_without_numbers_left_is_not_continued),
        TEST(a_header_that_starts_within_format_1_is_damaged),
        TEST(a_spare_does_not_continue_format_1_before_its_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
