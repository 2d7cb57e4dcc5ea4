/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* helpers.c: what the tests of the public interface share. */
#define _GNU_SOURCE 1

#include "helpers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SNAPSHOT_FILES_MAX 64

/* ---- a temporary folder ---- */

static int remove_tree(const char *path)
{
    char command[600];

    (void)snprintf(command, sizeof command, "rm -rf '%s'", path);
    return system(command);
}

int temporary_setup(void **state)
{
    struct temporary *temporary = calloc(1, sizeof *temporary);
    const char *base = getenv("TMPDIR");

    if (!temporary)
        return -1;
    (void)snprintf(temporary->top, sizeof temporary->top, "%s/nori-api-XXXXXX",
                   base && base[0] ? base : "/tmp");
    if (!mkdtemp(temporary->top)) {
        free(temporary);
        return -1;
    }
    (void)snprintf(temporary->dir, sizeof temporary->dir, "%s/wal", temporary->top);
    (void)snprintf(temporary->other, sizeof temporary->other, "%s/other", temporary->top);
    *state = temporary;
    return 0;
}

int temporary_teardown(void **state)
{
    struct temporary *temporary = *state;
    int rc = remove_tree(temporary->top);

    free(temporary);
    return rc;
}

const char *dir_of(void **state)
{
    return ((struct temporary *)*state)->dir;
}

/* ---- a log ---- */

struct nori_wal_config config_of(const char *dir)
{
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;

    config.dir = dir;
    config.max_segment_size = MIB;
    config.fsync_policy = NORI_FSYNC_OS;
    return config;
}

nori_wal *open_log(const struct nori_wal_config *config)
{
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;

    if (nori_wal_open(config, &wal, NULL, &error) != NORI_OK)
        fail_msg("%s: %s", nori_error_name(error.code), error.message);
    assert_non_null(wal);
    return wal;
}

nori_wal *open_dir(const char *dir)
{
    struct nori_wal_config config = config_of(dir);

    return open_log(&config);
}

void close_log(nori_wal *wal)
{
    assert_int_equal(nori_wal_close(wal), NORI_OK);
}

int try_open(const struct nori_wal_config *config, struct nori_recovery_info *info,
             struct nori_error *error)
{
    nori_wal *wal = NULL;
    int rc;

    if (info)
        *info = (struct nori_recovery_info)NORI_RECOVERY_INFO_INIT;
    if (error)
        *error = (struct nori_error)NORI_ERROR_INIT;
    rc = nori_wal_open(config, &wal, info, error);
    if (rc == NORI_OK)
        close_log(wal);
    else
        assert_null(wal);
    return rc;
}

void expect_log_refused(const char *dir, int code, const char *name)
{
    struct nori_wal_config config = config_of(dir);
    struct snapshot *before = take_snapshot(dir);
    struct nori_error error;

    for (uint32_t mode = NORI_RECOVER_TAIL; mode <= NORI_RECOVER_STRICT; mode++) {
        struct nori_recovery_info info;
        int rc;

        config.recovery_mode = mode;
        rc = try_open(&config, &info, &error);
        if (rc != code)
            fail_msg("%s instead of %s: %s", nori_error_name(rc), nori_error_name(code),
                     error.message);
        assert_int_equal(error.code, code);
        if (!strstr(error.message, name))
            fail_msg("'%s' does not name %s", error.message, name);
        assert_int_equal(info.corruption_detected, code == NORI_E_CORRUPT);
        expect_unchanged(dir, before);
    }
    free_snapshot(before);
}

nori_reader *open_reader(const char *dir, struct nori_position position)
{
    struct nori_error error = NORI_ERROR_INIT;
    nori_reader *reader = NULL;

    if (nori_reader_open(dir, position, &reader, &error) != NORI_OK)
        fail_msg("%s: %s", nori_error_name(error.code), error.message);
    return reader;
}

nori_reader *reader_with(nori_wal *wal, uint32_t visibility, uint32_t flags)
{
    struct nori_reader_config config = NORI_READER_CONFIG_INIT;
    nori_reader *reader = NULL;

    config.visibility = visibility;
    config.flags = flags;
    assert_int_equal(nori_wal_read_with(wal, &config, OLDEST, &reader), NORI_OK);
    return reader;
}

void expect_end(nori_reader *reader)
{
    struct nori_record record;

    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
}

struct nori_position position_of(nori_wal *wal)
{
    struct nori_position position = {UINT64_MAX, UINT64_MAX};

    assert_int_equal(nori_wal_position(wal, &position), NORI_OK);
    return position;
}

struct nori_position durable_of(nori_wal *wal)
{
    struct nori_position position = {UINT64_MAX, UINT64_MAX};

    assert_int_equal(nori_wal_durable_position(wal, &position), NORI_OK);
    return position;
}

int compare_positions(struct nori_position a, struct nori_position b)
{
    if (a.segment_id != b.segment_id)
        return a.segment_id < b.segment_id ? -1 : 1;
    return (a.offset > b.offset) - (a.offset < b.offset);
}

bool is_same_position(struct nori_position a, struct nori_position b)
{
    return compare_positions(a, b) == 0;
}

void assert_position(struct nori_position actual, uint64_t segment_id, uint64_t offset)
{
    assert_int_equal(actual.segment_id, segment_id);
    assert_int_equal(actual.offset, offset);
}

/* ---- a log on a simulated machine ---- */

struct nori_wal_config config_on(nori_sim *sim)
{
    struct nori_wal_config config = config_of("wal");

    config.vfs = nori_sim_vfs(sim);
    config.preallocate = NORI_PREALLOCATE_OFF;
    config.buffer_size = (size_t)64 << 10;
    return config;
}

/* A clone is opened to see that it is as promised: to open the log itself would empty its ring. */
nori_sim *make_staged_log(uint64_t count)
{
    nori_sim *sim = nori_sim_new(NULL), *killed, *opened;
    struct nori_wal_config config = config_on(sim);
    struct nori_recovery_info info;
    nori_wal *wal = open_log(&config);

    append_range(wal, 1, count, 100);
    nori_sim_crash_kill(sim, &killed);
    close_log(wal);
    nori_sim_free(sim);
    nori_sim_crash_kill(killed, &opened);
    config = config_on(opened);
    assert_int_equal(try_open(&config, &info, NULL), NORI_OK);
    assert_int_equal(info.valid_records, count);
    assert_true(info.bytes_from_staging > 0);
    nori_sim_free(opened);
    return killed;
}

/* ---- numbered records ---- */

/* A generator that spreads well, and never gives the byte 0. */
static void fill_value(uint8_t *value, size_t len, uint64_t number)
{
    uint64_t word = number * 0x9e3779b97f4a7c15u + len + 1;

    for (size_t i = 0; i < len; i++) {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        value[i] = (uint8_t)(word % 255 + 1);
    }
}

struct nori_record make_numbered(struct numbered *memory, uint64_t number, size_t value_len)
{
    for (size_t i = 0; i < sizeof memory->key; i++)
        memory->key[i] = (uint8_t)(number >> (8 * i));
    fill_value(memory->value, value_len, number);
    return nori_record_put(memory->key, sizeof memory->key, memory->value, value_len);
}

bool is_numbered(const struct nori_record *record, uint64_t *ret_number)
{
    uint8_t value[NUMBERED_VALUE_MAX];
    const uint8_t *key = record->key;
    uint64_t number = 0;

    if (record->key_len != 8 || record->value_len > sizeof value)
        return false;
    for (size_t i = 0; i < 8; i++)
        number |= (uint64_t)key[i] << (8 * i);
    fill_value(value, record->value_len, number);
    *ret_number = number;
    return memcmp(value, record->value, record->value_len) == 0;
}

struct nori_position append_numbered(nori_wal *wal, uint64_t number, size_t value_len)
{
    struct nori_position position = {UINT64_MAX, UINT64_MAX};
    struct numbered memory;
    struct nori_record record = make_numbered(&memory, number, value_len);

    assert_int_equal(nori_wal_append(wal, &record, &position), NORI_OK);
    return position;
}

void append_range(nori_wal *wal, uint64_t first, uint64_t count, size_t value_len)
{
    for (uint64_t number = first; number < first + count; number++)
        (void)append_numbered(wal, number, value_len);
}

void expect_range(nori_reader *reader, uint64_t first, uint64_t count, uint64_t sequence)
{
    struct nori_position before = {0, 0};
    struct nori_record record;

    for (uint64_t i = 0; i < count; i++) {
        struct nori_position position;
        uint64_t number = 0;

        assert_int_equal(nori_reader_next(reader, &record, &position), NORI_OK);
        assert_true(is_numbered(&record, &number));
        assert_int_equal(number, first + i);
        assert_int_equal(record.sequence, sequence + i);
        assert_true(i == 0 || compare_positions(before, position) < 0);
        before = position;
    }
    assert_int_equal(nori_reader_next(reader, &record, NULL), NORI_END);
}

void expect_log(const char *dir, uint64_t first, uint64_t count)
{
    nori_reader *reader = open_reader(dir, OLDEST);

    expect_range(reader, first, count, 1);
    nori_reader_close(reader);
}

/* ---- files ---- */

static const char *path_of(char path[500], const char *dir, const char *name)
{
    (void)snprintf(path, 500, "%s/%s", dir, name);
    return path;
}

uint8_t *load_file(const char *dir, const char *name, size_t *ret_len)
{
    char path[500];
    size_t len = file_len(dir, name);
    uint8_t *data = malloc(len + 1);
    int fd = open(path_of(path, dir, name), O_RDONLY | O_CLOEXEC);

    assert_non_null(data);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, data, len), len);
    assert_int_equal(close(fd), 0);
    *ret_len = len;
    return data;
}

void store_file(const char *dir, const char *name, const void *data, size_t len)
{
    char path[500];
    int fd = open(path_of(path, dir, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(close(fd), 0);
}

void flip_bit(const char *dir, const char *name, size_t offset, unsigned bit)
{
    char path[500];
    uint8_t byte = 0;
    int fd = open(path_of(path, dir, name), O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte = (uint8_t)(byte ^ (1u << bit));
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    assert_int_equal(close(fd), 0);
}

void cut_file(const char *dir, const char *name, size_t len)
{
    char path[500];

    assert_int_equal(truncate(path_of(path, dir, name), (off_t)len), 0);
}

void remove_file(const char *dir, const char *name)
{
    char path[500];

    assert_int_equal(remove(path_of(path, dir, name)), 0);
}

size_t file_len(const char *dir, const char *name)
{
    char path[500];
    struct stat info;

    assert_int_equal(stat(path_of(path, dir, name), &info), 0);
    return (size_t)info.st_size;
}

bool has_file(const char *dir, const char *name)
{
    char path[500];
    struct stat info;

    return stat(path_of(path, dir, name), &info) == 0;
}

void clear_ring(const char *dir)
{
    size_t len = 0;
    uint8_t *data = load_file(dir, "control", &len);

    assert_true(len > 4096);
    memset(data + 4096, 0, len - 4096);
    store_file(dir, "control", data, len);
    free(data);
}

void make_dir(const char *dir)
{
    assert_int_equal(mkdir(dir, 0700), 0);
}

void copy_dir(const char *from, const char *to)
{
    char command[1200];

    (void)snprintf(command, sizeof command, "cp -r '%s' '%s'", from, to);
    assert_int_equal(system(command), 0);
}

void remove_dir(const char *dir)
{
    assert_int_equal(remove_tree(dir), 0);
}

const char *segment_name(uint64_t id)
{
    static char names[8][32];
    static unsigned next;
    char *name = names[next++ % 8];

    (void)snprintf(name, sizeof names[0], "%06llu.wal", (unsigned long long)id);
    return name;
}

struct snapshot_file {
    char name[128]; /* within the folder: "quarantine/control" */
    mode_t mode;    /* and kind */
    uint8_t *data;  /* of a regular file its bytes, of a link where it points */
    size_t len;
};

struct snapshot {
    struct snapshot_file files[SNAPSHOT_FILES_MAX];
    size_t count;
};

static bool ends_with(const char *name, const char *suffix)
{
    size_t len = strlen(name);

    return len >= strlen(suffix) && strcmp(name + len - strlen(suffix), suffix) == 0;
}

size_t count_files(const char *dir, const char *suffix)
{
    DIR *list = opendir(dir);
    size_t count = 0;

    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        count += entry->d_name[0] != '.' && ends_with(entry->d_name, suffix);
    assert_int_equal(closedir(list), 0);
    return count;
}

static void note_file(struct snapshot *snapshot, const char *dir, const char *name)
{
    struct snapshot_file *file = &snapshot->files[snapshot->count++];
    char path[500];
    struct stat info;

    assert_true(snapshot->count <= SNAPSHOT_FILES_MAX);
    assert_int_equal(lstat(path_of(path, dir, name), &info), 0);
    (void)snprintf(file->name, sizeof file->name, "%.127s", name);
    file->mode = info.st_mode;
    if (S_ISREG(info.st_mode)) {
        file->data = load_file(dir, name, &file->len);
    } else if (S_ISLNK(info.st_mode)) {
        file->data = calloc(1, 500);
        assert_non_null(file->data);
        file->len = (size_t)readlink(path, (char *)file->data, 499);
    }
}

struct snapshot *take_snapshot(const char *dir)
{
    struct snapshot *snapshot = calloc(1, sizeof *snapshot);
    char within[2][128] = {"", ""};

    assert_non_null(snapshot);
    for (size_t next = 0, count = 1; next < count; next++) { /* the folder, and one within it */
        char path[500];
        DIR *list = opendir(path_of(path, dir, within[next]));

        assert_non_null(list);
        for (struct dirent *entry; (entry = readdir(list)) != NULL;) {
            char name[128];

            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            (void)snprintf(name, sizeof name, "%.40s%.80s", within[next], entry->d_name);
            note_file(snapshot, dir, name);
            if (!S_ISDIR(snapshot->files[snapshot->count - 1].mode))
                continue;
            assert_true(count < 2);
            (void)snprintf(within[count++], sizeof within[0], "%.80s/", name);
        }
        assert_int_equal(closedir(list), 0);
    }
    return snapshot;
}

void free_snapshot(struct snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->count; i++)
        free(snapshot->files[i].data);
    free(snapshot);
}

static bool holds(const struct snapshot *snapshot, const char *name)
{
    for (size_t i = 0; i < snapshot->count; i++)
        if (strcmp(snapshot->files[i].name, name) == 0)
            return true;
    return false;
}

void put_snapshot_back(const char *dir, const struct snapshot *snapshot)
{
    DIR *list = opendir(dir);
    char path[500];

    assert_non_null(list);
    for (struct dirent *entry; (entry = readdir(list)) != NULL;)
        if (entry->d_name[0] != '.' && !holds(snapshot, entry->d_name))
            assert_int_equal(remove_tree(path_of(path, dir, entry->d_name)), 0);
    assert_int_equal(closedir(list), 0);
    for (size_t i = 0; i < snapshot->count; i++)
        store_file(dir, snapshot->files[i].name, snapshot->files[i].data, snapshot->files[i].len);
}

/* All but the numbers in the page of `control`, where even a call that is refused counts. */
static bool has_same_bytes(const struct snapshot_file *a, const struct snapshot_file *b)
{
    const size_t numbers = 1024, behind_numbers = 2560;

    if (strcmp(a->name, "control") != 0 || a->len < behind_numbers)
        return a->len == 0 || memcmp(a->data, b->data, a->len) == 0;
    return memcmp(a->data, b->data, numbers) == 0 &&
           memcmp(a->data + behind_numbers, b->data + behind_numbers, a->len - behind_numbers) == 0;
}

void expect_unchanged(const char *dir, const struct snapshot *snapshot)
{
    struct snapshot *after = take_snapshot(dir);

    for (size_t i = 0; i < after->count; i++)
        if (!holds(snapshot, after->files[i].name))
            fail_msg("%s is new", after->files[i].name);
    for (size_t i = 0; i < snapshot->count; i++) {
        const struct snapshot_file *file = &snapshot->files[i];
        const struct snapshot_file *now = after->files;

        if (!holds(after, file->name))
            fail_msg("%s is gone", file->name);
        while (strcmp(now->name, file->name) != 0)
            now++;
        if (now->mode != file->mode || now->len != file->len || !has_same_bytes(now, file))
            fail_msg("%s was changed", file->name);
    }
    free_snapshot(after);
}

/* ---- children ---- */

void child_check(bool is_true, const char *what, int line)
{
    if (is_true)
        return;
    (void)fprintf(stderr, "child, line %d: %s\n", line, what);
    _exit(99);
}

int start_child(int (*run)(void *context), void *context)
{
    pid_t child;

    (void)fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run(context));
    return (int)child;
}

int end_of_child(int child)
{
    int status = 0;

    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    return status;
}

int run_child(int (*run)(void *context), void *context)
{
    return end_of_child(start_child(run, context));
}

void sleep_ms(unsigned milliseconds)
{
    struct timespec time = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};

    (void)nanosleep(&time, NULL);
}

uint64_t now_ms(void)
{
    return nori_vfs_posix()->monotonic_ns(nori_vfs_posix()->context) / 1000000;
}
