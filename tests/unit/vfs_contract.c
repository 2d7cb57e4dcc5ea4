/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * vfs_contract.c: the seam's contract, sentence by sentence.
 *
 * What. The tests know nothing but nori/vfs.h. POSIX and the simulated machine both run them, so
 * that what holds on the simulated disk is worth something on the real one.
 *
 * Threads. Asserts stay on the test's own thread; the others hand their results back.
 */
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

static struct nori_folder *open_folder(struct vfs_world *world)
{
    struct nori_folder *folder = NULL;

    assert_int_equal(world->vfs->open_folder(world->vfs->context, world->path, NORI_FOLDER_CREATE,
                                             0700, &folder),
                     0);
    return folder;
}

static struct nori_file *open_file(struct nori_folder *folder, const char *name, uint32_t flags)
{
    struct nori_file *file = NULL;

    assert_int_equal(folder->ops->open_file(folder, name, flags, 0600, &file), 0);
    return file;
}

static struct nori_file *create_file(struct nori_folder *folder, const char *name)
{
    return open_file(folder, name, NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_EXCLUSIVE);
}

static int open_code(struct nori_folder *folder, const char *name, uint32_t flags)
{
    struct nori_file *file = NULL;
    int rc = folder->ops->open_file(folder, name, flags, 0600, &file);

    if (rc == 0)
        file->ops->close(file);
    else
        assert_null(file); /* written only on success */
    return NORI_VFS_CODE(rc);
}

static void write_at(struct nori_file *file, uint64_t offset, const char *text)
{
    struct nori_span span = {text, strlen(text)};

    assert_int_equal(file->ops->write(file, &span, 1, offset), 0);
}

static void assert_reads(struct nori_file *file, uint64_t offset, const void *expected, size_t len)
{
    uint8_t found[8192];
    size_t found_len = 0;

    assert_true(len <= sizeof found);
    assert_int_equal(file->ops->read(file, found, len, offset, &found_len), 0);
    assert_int_equal(found_len, len);
    assert_memory_equal(found, expected, len);
}

static void assert_zeros(struct nori_file *file, uint64_t offset, size_t len)
{
    static const uint8_t zeros[8192];

    assert_reads(file, offset, zeros, len);
}

static uint64_t bytes_of(struct nori_file *file)
{
    struct nori_file_info info;

    assert_int_equal(file->ops->stat(file, &info), 0);
    return info.bytes;
}

/* Files. */

static void open_tells_absent_present_and_wrong_names_apart(void **state)
{
    struct nori_folder *folder = open_folder(*state);

    assert_int_equal(open_code(folder, "a", 0), NORI_E_NOTFOUND);
    assert_int_equal(open_code(folder, "a", NORI_FILE_WRITE), NORI_E_NOTFOUND);
    assert_int_equal(open_code(folder, "a", NORI_FILE_WRITE | NORI_FILE_CREATE), 0);
    assert_int_equal(open_code(folder, "a", NORI_FILE_WRITE | NORI_FILE_CREATE), 0);
    assert_int_equal(
        open_code(folder, "a", NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_EXCLUSIVE),
        NORI_E_INVALID);
    assert_int_equal(open_code(folder, "a", 0), 0);
    assert_int_equal(open_code(folder, "../a", 0), NORI_E_INVALID);
    assert_int_equal(open_code(folder, "", 0), NORI_E_INVALID);
    assert_int_equal(open_code(folder, "..", 0), NORI_E_INVALID);
    folder->ops->close(folder);
}

static void write_puts_all_spans_one_behind_the_other(void **state)
{
    enum {
        COUNT = 100,
        LEN_MAX = 300
    };
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = create_file(folder, "a");
    struct nori_span spans[COUNT];
    uint8_t bytes[COUNT * LEN_MAX];
    uint8_t found[COUNT * LEN_MAX];
    size_t total = 0, found_len = 0;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    for (size_t i = 0; i < COUNT; i++) {
        spans[i].data = bytes + total;
        spans[i].len = i % 3 == 1 ? 0 : (i * 37) % LEN_MAX; /* some are empty, the first too */
        total += spans[i].len;
    }
    assert_int_equal(file->ops->write(file, spans, COUNT, 1000), 0);
    assert_int_equal(bytes_of(file), 1000 + total);
    assert_zeros(file, 0, 1000);
    assert_int_equal(file->ops->read(file, found, sizeof found, 1000, &found_len), 0);
    assert_int_equal(found_len, total);
    assert_memory_equal(found, bytes, total);

    assert_int_equal(file->ops->write(file, spans, 0, 0), 0);
    assert_int_equal(file->ops->write(file, spans, 1, 1 << 20), 0); /* nothing, far out */
    assert_int_equal(bytes_of(file), 1000 + total);
    file->ops->close(file);
    folder->ops->close(folder);
}

static void read_stops_short_only_at_the_end(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = create_file(folder, "a");
    char found[16];
    size_t found_len = 99;

    write_at(file, 0, "abcdef");
    assert_int_equal(file->ops->read(file, found, sizeof found, 2, &found_len), 0);
    assert_int_equal(found_len, 4);
    assert_memory_equal(found, "cdef", 4);
    assert_int_equal(file->ops->read(file, found, sizeof found, 6, &found_len), 0);
    assert_int_equal(found_len, 0);
    assert_int_equal(file->ops->read(file, found, sizeof found, 1 << 20, &found_len), 0);
    assert_int_equal(found_len, 0);
    file->ops->close(file);
    folder->ops->close(folder);
}

static void writes_of_parts_keep_their_neighbours(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = create_file(folder, "a");

    write_at(file, 508, "0123456789");
    write_at(file, 511, "xy");
    assert_reads(file, 508, "012xy56789", 10);
    assert_int_equal(file->ops->sync(file), 0);
    write_at(file, 509, "z");
    assert_reads(file, 508, "0z2xy56789", 10);
    file->ops->close(file);

    file = open_file(folder, "a", 0);
    assert_reads(file, 508, "0z2xy56789", 10);
    file->ops->close(file);
    folder->ops->close(folder);
}

static void allocate_grows_with_zeros_and_keeps_contents(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = create_file(folder, "a");

    write_at(file, 0, "abc");
    assert_int_equal(file->ops->allocate(file, 0, 6000), 0);
    assert_int_equal(bytes_of(file), 6000);
    assert_reads(file, 0, "abc", 4);
    assert_zeros(file, 3, 5997);
    assert_int_equal(file->ops->allocate(file, 0, 100), 0); /* is there already */
    assert_int_equal(bytes_of(file), 6000);
    assert_int_equal(file->ops->allocate(file, 5000, 3000), 0);
    assert_int_equal(bytes_of(file), 8000);
    assert_zeros(file, 3, 7997);
    assert_int_equal(NORI_VFS_CODE(file->ops->allocate(file, 8000, UINT64_MAX)), NORI_E_NOSPACE);
    assert_int_equal(NORI_VFS_CODE(file->ops->allocate(file, 0, UINT64_MAX / 2)), NORI_E_NOSPACE);
    assert_int_equal(bytes_of(file), 8000);
    file->ops->close(file);
    folder->ops->close(folder);
}

static void truncate_cuts_for_good_and_grows_with_zeros(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = create_file(folder, "a");

    write_at(file, 0, "0123456789");
    write_at(file, 2000, "far");
    assert_int_equal(file->ops->truncate(file, 4), 0);
    assert_int_equal(bytes_of(file), 4);
    assert_int_equal(file->ops->truncate(file, 3000), 0);
    assert_int_equal(bytes_of(file), 3000);
    assert_reads(file, 0, "0123", 5);
    assert_zeros(file, 4, 2996);
    file->ops->close(file);
    folder->ops->close(folder);
}

static void stat_tells_files_apart(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *first = create_file(folder, "a");
    struct nori_file *second = create_file(folder, "b");
    struct nori_file *again = open_file(folder, "a", 0);
    struct nori_file_info info, other, same;

    assert_int_equal(first->ops->stat(first, &info), 0);
    assert_int_equal(second->ops->stat(second, &other), 0);
    assert_int_equal(again->ops->stat(again, &same), 0);
    assert_true(info.identity != other.identity);
    assert_true(info.identity == same.identity);
    assert_true(info.birth_ns == same.birth_ns);
    assert_true(info.device != 0 && info.device == other.device);
    assert_int_equal(info.link_count, 1);
    assert_int_equal(info.bytes, 0);
    first->ops->close(first);
    second->ops->close(second);
    again->ops->close(again);
    folder->ops->close(folder);
}

static void file_locks_belong_to_handles(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *a = create_file(folder, "a");
    struct nori_file *b = open_file(folder, "a", 0);
    struct nori_file *c = open_file(folder, "a", 0);

    assert_int_equal(a->ops->lock(a, NORI_LOCK_SHARED), 0);
    assert_int_equal(b->ops->lock(b, NORI_LOCK_SHARED), 0);
    assert_int_equal(NORI_VFS_CODE(c->ops->lock(c, NORI_LOCK_EXCLUSIVE)), NORI_E_LOCKED);
    assert_int_equal(a->ops->lock(a, NORI_LOCK_NONE), 0);
    assert_int_equal(b->ops->lock(b, NORI_LOCK_EXCLUSIVE), 0); /* the only one, so it may change */
    assert_int_equal(NORI_VFS_CODE(c->ops->lock(c, NORI_LOCK_SHARED)), NORI_E_LOCKED);
    b->ops->close(b);
    assert_int_equal(c->ops->lock(c, NORI_LOCK_EXCLUSIVE), 0);
    assert_int_equal(c->ops->lock(c, NORI_LOCK_SHARED), 0);
    assert_int_equal(a->ops->lock(a, NORI_LOCK_SHARED), 0);
    assert_int_equal(NORI_VFS_CODE(a->ops->lock(a, 77)), NORI_E_INVALID);
    a->ops->close(a);
    c->ops->close(c);
    folder->ops->close(folder);
}

static void map_reads_and_writes_agree(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = open_file(
        folder, "a", NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_EXCLUSIVE | NORI_FILE_MAPPED);
    struct nori_file *reader = open_file(folder, "a", 0);
    void *writable = NULL, *readable = NULL;
    int rc;

    assert_int_equal(file->ops->allocate(file, 0, 16384), 0);
    write_at(file, 100, "before");
    rc = file->ops->map ? file->ops->map(file, 16384, &writable) : NORI_E_UNSUPPORTED;
    if (NORI_VFS_CODE(rc) != NORI_E_UNSUPPORTED) {
        assert_int_equal(rc, 0);
        assert_int_equal(reader->ops->map(reader, 8192, &readable), 0);
        assert_memory_equal((char *)readable + 100, "before", 6);
        memcpy((char *)writable + 5000, "stored", 6);
        assert_memory_equal((char *)readable + 5000, "stored", 6);
        assert_reads(reader, 5000, "stored", 6);
        write_at(file, 5003, "YZ");
        assert_memory_equal((char *)readable + 5000, "stoYZd", 6);
        assert_memory_equal((char *)writable + 5000, "stoYZd", 6);
        reader->ops->unmap(reader, readable, 8192);
        memcpy((char *)writable + 9000, "later", 5);
        file->ops->unmap(file, writable, 16384);
        assert_reads(reader, 9000, "later", 5);
    }
    file->ops->close(file);
    reader->ops->close(reader);
    folder->ops->close(folder);
}

/* What it is for shows only on a disk that fails: tests/real/test_writeback.c. */
static void what_is_forgotten_is_read_again_as_it_was(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    const struct nori_folder_ops *ops = folder->ops;
    struct nori_file *file = open_file(folder, "a", NORI_FILE_WRITE | NORI_FILE_CREATE);

    write_at(file, 5000, "before");
    if (ops->size > offsetof(struct nori_folder_ops, forget) && ops->forget) {
        assert_int_equal(ops->forget(folder, "a", 1), 0);
        assert_int_equal(NORI_VFS_CODE(ops->forget(folder, "b", 0)), NORI_E_NOTFOUND);
    }
    assert_reads(file, 5000, "before", 6);
    file->ops->close(file);
    ops->close(folder);
}

static void what_is_mapped_outlives_detaching(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = open_file(folder, "a", NORI_FILE_WRITE | NORI_FILE_CREATE);
    struct nori_file *reader = open_file(folder, "a", 0);
    void *data = NULL;

    assert_int_equal(file->ops->allocate(file, 0, 8192), 0);
    write_at(file, 5000, "before");
    if (reader->ops->size > offsetof(struct nori_file_ops, detach) && reader->ops->detach &&
        reader->ops->map && reader->ops->map(reader, 8192, &data) == 0) {
        assert_int_equal(reader->ops->lock(reader, NORI_LOCK_SHARED), 0);
        reader->ops->detach(reader);
        assert_int_equal(file->ops->lock(file, NORI_LOCK_EXCLUSIVE), 0);
        write_at(file, 5003, "YZ");
        assert_memory_equal((char *)data + 5000, "befYZe", 6);
        reader->ops->unmap(reader, data, 8192);
    }
    file->ops->close(file);
    reader->ops->close(reader);
    folder->ops->close(folder);
}

/* Folders. */

struct names {
    char text[256];
    int stop_with;
};

static int note_name(void *context, const char *name)
{
    struct names *names = context;

    strcat(names->text, name);
    strcat(names->text, " ");
    return names->stop_with;
}

static void list_calls_for_every_name_until_told_to_stop(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_folder *inner = NULL;
    struct names names = {.text = ""}, first = {.text = "", .stop_with = 42};

    assert_int_equal(folder->ops->list(folder, note_name, &names), 0);
    assert_string_equal(names.text, "");
    assert_int_equal(open_code(folder, "a", NORI_FILE_WRITE | NORI_FILE_CREATE), 0);
    assert_int_equal(open_code(folder, ".b", NORI_FILE_WRITE | NORI_FILE_CREATE), 0);
    assert_int_equal(folder->ops->open_folder(folder, "c", NORI_FOLDER_CREATE, 0700, &inner), 0);
    inner->ops->close(inner);

    assert_int_equal(folder->ops->list(folder, note_name, &names), 0);
    assert_int_equal(strlen(names.text), 7);
    assert_non_null(strstr(names.text, "a "));
    assert_non_null(strstr(names.text, ".b "));
    assert_non_null(strstr(names.text, "c "));
    assert_int_equal(folder->ops->list(folder, note_name, &first), 42);
    assert_true(strlen(first.text) <= 3);
    folder->ops->close(folder);
}

static void rename_moves_and_never_replaces(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = create_file(folder, "a");

    write_at(file, 0, "first");
    assert_int_equal(folder->ops->rename(folder, "a", "b"), 0);
    assert_int_equal(open_code(folder, "a", 0), NORI_E_NOTFOUND);
    write_at(file, 5, " more"); /* the handle goes with the file */
    file->ops->close(file);

    file = create_file(folder, "a");
    write_at(file, 0, "second");
    file->ops->close(file);
    assert_int_equal(NORI_VFS_CODE(folder->ops->rename(folder, "a", "b")), NORI_E_INVALID);
    assert_int_equal(NORI_VFS_CODE(folder->ops->rename(folder, "x", "y")), NORI_E_NOTFOUND);
    assert_int_equal(NORI_VFS_CODE(folder->ops->rename(folder, "a", "../y")), NORI_E_INVALID);

    file = open_file(folder, "b", 0);
    assert_reads(file, 0, "first more", 10);
    file->ops->close(file);
    file = open_file(folder, "a", 0);
    assert_reads(file, 0, "second", 6);
    file->ops->close(file);
    assert_int_equal(folder->ops->sync(folder), 0);
    folder->ops->close(folder);
}

static void remove_takes_the_name_and_leaves_open_handles(void **state)
{
    struct nori_folder *folder = open_folder(*state);
    struct nori_file *file = create_file(folder, "a");
    struct nori_file_info info;

    write_at(file, 0, "still here");
    assert_int_equal(folder->ops->remove(folder, "a"), 0);
    assert_int_equal(NORI_VFS_CODE(folder->ops->remove(folder, "a")), NORI_E_NOTFOUND);
    assert_int_equal(open_code(folder, "a", 0), NORI_E_NOTFOUND);
    assert_reads(file, 0, "still here", 10);
    assert_int_equal(file->ops->stat(file, &info), 0);
    assert_int_equal(info.link_count, 0);
    file->ops->close(file);
    folder->ops->close(folder);
}

/* Only who holds it can announce itself; all see that, and no more once it has gone. */
static void folder_lock_is_for_one_who_can_be_seen_by_all(void **state)
{
    struct nori_folder *a = open_folder(*state);
    struct nori_folder *b = open_folder(*state);

    assert_int_equal(a->ops->is_announced(a), 0);
    assert_int_equal(a->ops->lock(a), 0);
    assert_int_equal(NORI_VFS_CODE(b->ops->lock(b)), NORI_E_LOCKED);
    assert_int_equal(NORI_VFS_CODE(b->ops->announce(b)), NORI_E_INVALID);
    assert_int_equal(a->ops->announce(a), 0);
    assert_int_equal(NORI_VFS_CODE(b->ops->lock(b)), NORI_E_LOCKED);
    assert_int_equal(a->ops->is_announced(a), 1);
    assert_int_equal(b->ops->is_announced(b), 1);
    a->ops->close(a);
    assert_int_equal(b->ops->is_announced(b), 0);
    assert_int_equal(b->ops->lock(b), 0);
    b->ops->close(b);
}

static void folders_lie_in_folders(void **state)
{
    struct vfs_world *world = *state;
    struct nori_folder *folder = NULL, *inner = NULL, *again = NULL;
    char path[512];

    assert_int_equal(
        NORI_VFS_CODE(world->vfs->open_folder(world->vfs->context, world->path, 0, 0, &folder)),
        NORI_E_NOTFOUND);
    folder = open_folder(world);
    assert_int_equal(NORI_VFS_CODE(folder->ops->open_folder(folder, "in", 0, 0, &inner)),
                     NORI_E_NOTFOUND);
    assert_int_equal(folder->ops->open_folder(folder, "in", NORI_FOLDER_CREATE, 0700, &inner), 0);
    assert_int_equal(folder->ops->open_folder(folder, "in", NORI_FOLDER_CREATE, 0700, &again), 0);
    again->ops->close(again);
    assert_int_equal(NORI_VFS_CODE(folder->ops->open_folder(folder, "in/x", 0, 0, &again)),
                     NORI_E_INVALID);
    assert_int_equal(open_code(inner, "a", NORI_FILE_WRITE | NORI_FILE_CREATE), 0);
    assert_int_equal(NORI_VFS_CODE(inner->ops->open_folder(inner, "a", 0, 0, &again)),
                     NORI_E_INVALID);
    assert_int_equal(
        NORI_VFS_CODE(inner->ops->open_folder(inner, "a", NORI_FOLDER_CREATE, 0700, &again)),
        NORI_E_INVALID);
    assert_int_equal(open_code(folder, "in", 0), NORI_E_INVALID);
    inner->ops->close(inner);
    folder->ops->close(folder);

    (void)strcpy(path, world->path);
    (void)strcat(path, "/in/");
    assert_int_equal(world->vfs->open_folder(world->vfs->context, path, 0, 0, &inner), 0);
    assert_int_equal(open_code(inner, "a", 0), 0);
    inner->ops->close(inner);
    (void)strcat(path, "a");
    assert_int_equal(
        NORI_VFS_CODE(world->vfs->open_folder(world->vfs->context, path, 0, 0, &inner)),
        NORI_E_INVALID);
}

/* Clock, randomness, threads. */

static void clocks_go_forward(void **state)
{
    const struct nori_vfs *vfs = ((struct vfs_world *)*state)->vfs;
    uint64_t before = vfs->monotonic_ns(vfs->context);

    for (int i = 0; i < 1000; i++) {
        uint64_t now = vfs->monotonic_ns(vfs->context);

        assert_true(before <= now);
        before = now;
    }
    assert_true(vfs->realtime_ms(vfs->context) > 1600000000000u);
}

static void random_bytes_differ(void **state)
{
    const struct nori_vfs *vfs = ((struct vfs_world *)*state)->vfs;
    uint64_t first = 0, second = 0;
    uint8_t odd[13] = {0};

    assert_int_equal(vfs->random(vfs->context, &first, sizeof first), 0);
    assert_int_equal(vfs->random(vfs->context, &second, sizeof second), 0);
    assert_true(first != second);
    assert_int_equal(vfs->random(vfs->context, odd, sizeof odd), 0);
    assert_int_equal(vfs->random(vfs->context, odd, 0), 0);
}

/* Two threads that take turns. */
struct game {
    const struct nori_vfs *vfs;
    struct nori_mutex *mutex;
    struct nori_cond *cond;

    /* Guarded by mutex. */
    unsigned turns;
    unsigned sleeping;
    uint64_t other_id;
};

static void play(void *argument)
{
    struct game *game = argument;
    const struct nori_vfs *vfs = game->vfs;

    vfs->mutex_lock(vfs->context, game->mutex);
    game->other_id = vfs->thread_id(vfs->context);
    while (game->turns < 100) {
        if (game->turns % 2 == 1) {
            game->turns++;
            vfs->cond_wake_one(vfs->context, game->cond);
        } else {
            (void)vfs->cond_wait(vfs->context, game->cond, game->mutex, UINT64_MAX);
        }
    }
    vfs->mutex_unlock(vfs->context, game->mutex);
}

static void game_begin(struct game *game, void **state)
{
    const struct nori_vfs *vfs = ((struct vfs_world *)*state)->vfs;

    memset(game, 0, sizeof *game);
    game->vfs = vfs;
    assert_int_equal(vfs->mutex_new(vfs->context, &game->mutex), 0);
    assert_int_equal(vfs->cond_new(vfs->context, &game->cond), 0);
}

static void game_end(struct game *game)
{
    game->vfs->cond_free(game->vfs->context, game->cond);
    game->vfs->mutex_free(game->vfs->context, game->mutex);
    game->vfs->cond_free(game->vfs->context, NULL);
    game->vfs->mutex_free(game->vfs->context, NULL);
}

static void threads_take_turns_by_mutex_and_condition(void **state)
{
    struct nori_thread *thread = NULL;
    struct game game;
    const struct nori_vfs *vfs;

    game_begin(&game, state);
    vfs = game.vfs;
    assert_int_equal(vfs->thread_start(vfs->context, "a name that is long", play, &game, &thread),
                     0);
    vfs->mutex_lock(vfs->context, game.mutex);
    while (game.turns < 100) {
        if (game.turns % 2 == 0) {
            game.turns++;
            vfs->cond_wake_one(vfs->context, game.cond);
        } else {
            (void)vfs->cond_wait(vfs->context, game.cond, game.mutex, UINT64_MAX);
        }
    }
    vfs->mutex_unlock(vfs->context, game.mutex);
    vfs->thread_join(vfs->context, thread);
    assert_true(game.turns == 100);
    assert_true(game.other_id != 0);
    assert_true(vfs->thread_id(vfs->context) != 0);
    assert_true(game.other_id != vfs->thread_id(vfs->context));
    game_end(&game);
}

static void sleep_until_woken(void *argument)
{
    struct game *game = argument;
    const struct nori_vfs *vfs = game->vfs;

    vfs->mutex_lock(vfs->context, game->mutex);
    game->sleeping++;
    while (game->turns == 0)
        (void)vfs->cond_wait(vfs->context, game->cond, game->mutex, UINT64_MAX);
    game->sleeping--;
    vfs->mutex_unlock(vfs->context, game->mutex);
}

static void wake_all_wakes_all(void **state)
{
    enum {
        COUNT = 4
    };
    struct nori_thread *threads[COUNT];
    struct game game;
    const struct nori_vfs *vfs;

    game_begin(&game, state);
    vfs = game.vfs;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(
            vfs->thread_start(vfs->context, "sleeper", sleep_until_woken, &game, &threads[i]), 0);
    vfs->mutex_lock(vfs->context, game.mutex);
    while (game.sleeping < COUNT)
        (void)vfs->cond_wait(vfs->context, game.cond, game.mutex,
                             vfs->monotonic_ns(vfs->context) + MILLISECOND);
    game.turns = 1;
    vfs->cond_wake_all(vfs->context, game.cond);
    vfs->mutex_unlock(vfs->context, game.mutex);
    for (int i = 0; i < COUNT; i++)
        vfs->thread_join(vfs->context, threads[i]);
    assert_int_equal(game.sleeping, 0);
    game_end(&game);
}

static void cond_wait_ends_at_its_deadline(void **state)
{
    struct game game;
    const struct nori_vfs *vfs;
    uint64_t deadline;
    int rc = 0;

    game_begin(&game, state);
    vfs = game.vfs;
    vfs->mutex_lock(vfs->context, game.mutex);
    deadline = vfs->monotonic_ns(vfs->context) + 2 * MILLISECOND;
    while (rc == 0)
        rc = vfs->cond_wait(vfs->context, game.cond, game.mutex, deadline);
    assert_int_equal(rc, NORI_E_TIMEOUT);
    assert_true(vfs->monotonic_ns(vfs->context) >= deadline);
    assert_int_equal(vfs->cond_wait(vfs->context, game.cond, game.mutex, 0), NORI_E_TIMEOUT);
    vfs->mutex_unlock(vfs->context, game.mutex);
    game_end(&game);
}

struct word {
    const struct nori_vfs *vfs;
    uint32_t value;
};

static void change_word(void *argument)
{
    struct word *word = argument;

    __atomic_store_n(&word->value, 1, __ATOMIC_RELEASE);
    word->vfs->word_wake(word->vfs->context, &word->value);
}

static void word_wait_ends_by_change_wake_or_time(void **state)
{
    const struct nori_vfs *vfs = ((struct vfs_world *)*state)->vfs;
    struct word word = {.vfs = vfs};
    struct nori_thread *thread = NULL;
    int rc = 0;

    assert_int_equal(vfs->word_wait(vfs->context, &word.value, 7, UINT64_MAX), 0);
    while (rc == 0)
        rc = vfs->word_wait(vfs->context, &word.value, 0, MILLISECOND);
    assert_int_equal(rc, NORI_E_TIMEOUT);

    assert_int_equal(vfs->thread_start(vfs->context, "changer", change_word, &word, &thread), 0);
    while (__atomic_load_n(&word.value, __ATOMIC_ACQUIRE) == 0)
        assert_int_equal(vfs->word_wait(vfs->context, &word.value, 0, UINT64_MAX), 0);
    vfs->thread_join(vfs->context, thread);
}

static void generation_stays_within_a_process(void **state)
{
    const struct nori_vfs *vfs = ((struct vfs_world *)*state)->vfs;

    assert_true(vfs->process_generation(vfs->context) == vfs->process_generation(vfs->context));
}

int vfs_contract_run(const char *name, int (*setup)(void **state), int (*teardown)(void **state))
{
#define CONTRACT(function)                         \
    {                                              \
#        function, function, setup, teardown, NULL \
    }
    const struct CMUnitTest tests[] = {
        CONTRACT(open_tells_absent_present_and_wrong_names_apart),
        CONTRACT(write_puts_all_spans_one_behind_the_other),
        CONTRACT(read_stops_short_only_at_the_end),
        CONTRACT(writes_of_parts_keep_their_neighbours),
        CONTRACT(allocate_grows_with_zeros_and_keeps_contents),
        CONTRACT(truncate_cuts_for_good_and_grows_with_zeros),
        CONTRACT(stat_tells_files_apart),
        CONTRACT(file_locks_belong_to_handles),
        CONTRACT(map_reads_and_writes_agree),
        CONTRACT(what_is_forgotten_is_read_again_as_it_was),
        CONTRACT(what_is_mapped_outlives_detaching),
        CONTRACT(list_calls_for_every_name_until_told_to_stop),
        CONTRACT(rename_moves_and_never_replaces),
        CONTRACT(remove_takes_the_name_and_leaves_open_handles),
        CONTRACT(folder_lock_is_for_one_who_can_be_seen_by_all),
        CONTRACT(folders_lie_in_folders),
        CONTRACT(clocks_go_forward),
        CONTRACT(random_bytes_differ),
        CONTRACT(threads_take_turns_by_mutex_and_condition),
        CONTRACT(wake_all_wakes_all),
        CONTRACT(cond_wait_ends_at_its_deadline),
        CONTRACT(word_wait_ends_by_change_wake_or_time),
        CONTRACT(generation_stays_within_a_process),
    };
#undef CONTRACT

    return _cmocka_run_group_tests(name, tests, sizeof tests / sizeof tests[0], NULL, NULL);
}
