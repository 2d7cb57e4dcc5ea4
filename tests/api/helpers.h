/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * helpers.h: what the tests of the public interface share: a temporary folder, numbered records
 * whose every byte can be checked, the files of a log as bytes, and children to be killed.
 *
 * Everything here asserts on the test's own thread, but for what says otherwise.
 */
#ifndef NW_TEST_HELPERS_H
#define NW_TEST_HELPERS_H

#include <nori/sim.h>
#include <nori/vfs.h>
#include <nori/wal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB      ((size_t)1 << 20)
#define OLDEST   ((struct nori_position){0, 0})
#define PATIENT  120000 /* milliseconds: a wait that takes so long will never end */
#define SLEEP_MS 500    /* a reader that nobody wakes looks after so long */

/* ---- a temporary folder, $TMPDIR or /tmp ---- */

struct temporary {
    char top[200];
    char dir[220];   /* top/wal, not created */
    char other[220]; /* top/other, likewise */
};

int temporary_setup(void **state);
int temporary_teardown(void **state);
const char *dir_of(void **state);

/* ---- a log ---- */

/* Segments of 1 MiB, policy os. */
struct nori_wal_config config_of(const char *dir);
nori_wal *open_log(const struct nori_wal_config *config);
nori_wal *open_dir(const char *dir); /* with config_of */
void close_log(nori_wal *wal);

/* What open says, with what it reports; closes the log again if there is one. */
int try_open(const struct nori_wal_config *config, struct nori_recovery_info *info,
             struct nori_error *error);

/* It is refused, in the modes that mend nothing, with this code and a message that names the file;
 * not a byte of the folder is changed. */
void expect_log_refused(const char *dir, int code, const char *name);

nori_reader *open_reader(const char *dir, struct nori_position position);
nori_reader *reader_with(nori_wal *wal, uint32_t visibility, uint32_t flags); /* from OLDEST */
void expect_end(nori_reader *reader);

struct nori_position position_of(nori_wal *wal);
struct nori_position durable_of(nori_wal *wal);
int compare_positions(struct nori_position a, struct nori_position b);
bool is_same_position(struct nori_position a, struct nori_position b);
void assert_position(struct nori_position actual, uint64_t segment_id, uint64_t offset);

/* ---- a log on a simulated machine: the folder "wal" ---- */

/* As config_of, with a ring of 64 KiB, and space is taken as it is needed. */
struct nori_wal_config config_on(nori_sim *sim);

/* A machine whose writer was killed when only its ring had the records 1 .. count. */
nori_sim *make_staged_log(uint64_t count);

/* ---- numbered records: an 8-byte key that is the number, a value made of it without zero bytes
 * ---- */

#define NUMBERED_VALUE_MAX ((size_t)4096)

struct numbered {
    uint8_t key[8];
    uint8_t value[NUMBERED_VALUE_MAX];
};

/* May be used by any thread. */
struct nori_record make_numbered(struct numbered *memory, uint64_t number, size_t value_len);
bool is_numbered(const struct nori_record *record, uint64_t *ret_number);

struct nori_position append_numbered(nori_wal *wal, uint64_t number, size_t value_len);
void append_range(nori_wal *wal, uint64_t first, uint64_t count, size_t value_len);

/* Expect exactly the numbers first .. first + count - 1 with as many sequence numbers from
 * `sequence` on, then the end. */
void expect_range(nori_reader *reader, uint64_t first, uint64_t count, uint64_t sequence);
void expect_log(const char *dir, uint64_t first,
                uint64_t count); /* all of it, from sequence number 1 */

/* ---- files ---- */

uint8_t *load_file(const char *dir, const char *name, size_t *ret_len);           /* to be freed */
void store_file(const char *dir, const char *name, const void *data, size_t len); /* in place */
void flip_bit(const char *dir, const char *name, size_t offset, unsigned bit);
void cut_file(const char *dir, const char *name, size_t len);
void remove_file(const char *dir, const char *name);
size_t file_len(const char *dir, const char *name);
bool has_file(const char *dir, const char *name);
void clear_ring(const char *dir); /* the staging ring in `control`: zeros, its words stay */
void make_dir(const char *dir);
void copy_dir(const char *from, const char *to);
void remove_dir(const char *dir);
size_t count_files(const char *dir, const char *suffix);
const char *segment_name(uint64_t id); /* good until the next call but seven */

/* All that is in a folder and in one within it, to be compared: names, kinds, sizes, bytes. Regular
 * files can be put back: in place, so that a file that is still there keeps its inode; what is new
 * is removed. */
struct snapshot;
struct snapshot *take_snapshot(const char *dir);
void free_snapshot(struct snapshot *snapshot);
void put_snapshot_back(const char *dir, const struct snapshot *snapshot);
void expect_unchanged(const char *dir, const struct snapshot *snapshot);

/* ---- children ---- */

/* In a child: leave it with a line on standard error if this does not hold. */
void child_check(bool holds, const char *what, int line);
#define CHILD_CHECK(condition) child_check(condition, #condition, __LINE__)

/* Run in a child process, which ends with run's result as exit status, or by SIGKILL. Returns
 * wait's status. */
int run_child(int (*run)(void *context), void *context);
int start_child(int (*run)(void *context), void *context); /* its process id */
int end_of_child(int child);

void sleep_ms(unsigned milliseconds);
uint64_t now_ms(void); /* monotonic */

#endif
