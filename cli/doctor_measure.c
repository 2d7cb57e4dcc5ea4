/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * doctor_measure.c: what the disk under a folder does.
 *
 * What. Blocks are written and synced, each way in its own file, and the ways take turns of some
 * samples each, so that a disturbance hits all alike. What the log does itself is done by the same
 * calls, those of nori/vfs.h; O_DIRECT and O_DSYNC, which it does not use, by open(2). Then large
 * pieces are written and synced; then blocks once more, while another thread writes such pieces.
 *
 * The files lie in a folder of their own, locked, within the one that is looked at: named, since
 * some file systems sync less of a file that has no name, and to be found by the next doctor if
 * this one is killed. They take an eighth of the free space at most, and less than 80 MiB.
 *
 * Threads. One, and one more that makes load. Signals that end a program set a flag, at which both
 * look between two calls.
 *
 * Failure. Want of space, and a way that is not offered here, are answers. A call that fails
 * otherwise ends it.
 */
#define _GNU_SOURCE 1

#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <nori/vfs.h>

#define FOLDER_NAME  "nori-doctor.tmp"
#define TURN_SAMPLES 20
#define TURNS        10 /* of each way, if the disk is as slow as the time */
#define SAMPLES_MAX  (DOCTOR_PART_MAX / DOCTOR_BLOCK)
#define PIECE_LEN    ((size_t)1 << 20)
#define SYNC_PIECES  8 /* so many of them before they are synced */

#define STRETCH      4

/* How the time is shared: blocks, large pieces, blocks beside load. */
#define SHARE_BLOCKS 0.55
#define SHARE_PIECES 0.15

/* The files, by how many parts they are long. */
enum file_id {
    FILE_GROWING,  /* grows to one */
    FILE_RESERVED, /* two: alone, beside load */
    FILE_ZEROED,   /* one */
    FILE_DIRECT,   /* one */
    FILE_LOAD,     /* four */
    FILE_COUNT
};

static const struct {
    const char *name;
    uint64_t parts;
} files[FILE_COUNT] = {{"growing", 0}, {"reserved", 2}, {"zeroed", 1}, {"direct", 1}, {"load", 4}};

struct way {
    enum file_id file;
    int open_flags; /* of another descriptor on the file; 0: through the seam */
    bool has_sync;
    uint64_t from_part;
};

static const struct way ways[DOCTOR_WAY_COUNT] = {
    [DOCTOR_GROWING] = {FILE_GROWING, 0, true, 0},
    [DOCTOR_RESERVED] = {FILE_RESERVED, 0, true, 0},
    [DOCTOR_ZEROED] = {FILE_ZEROED, 0, true, 0},
    [DOCTOR_DSYNC] = {FILE_ZEROED, O_DSYNC, false, 0},
    [DOCTOR_DIRECT] = {FILE_DIRECT, O_DIRECT, true, 0},
    [DOCTOR_DIRECT_DSYNC] = {FILE_DIRECT, O_DIRECT | O_DSYNC, false, 0},
    [DOCTOR_RESERVED_LOAD] = {FILE_RESERVED, 0, true, 1},
    [DOCTOR_ZEROED_LOAD] = {FILE_ZEROED, 0, true, 0},
};

struct bench {
    const char *folder_name;
    struct doctor_measured *measured;
    struct cli_progress *progress;
    struct nori_error *error;
    uint64_t part; /* bytes */
    uint64_t begun_ns;
    double seconds;
    struct nori_folder *parent;
    struct nori_folder *folder; /* locked; NULL: not ours */
    struct nori_file *files[FILE_COUNT];
    int descriptors[DOCTOR_WAY_COUNT]; /* -1: none */
    bool is_refused[DOCTOR_WAY_COUNT]; /* this way is not offered here */
    uint64_t *samples[DOCTOR_WAY_COUNT];
    uint64_t counts[DOCTOR_WAY_COUNT];
    uint8_t *piece; /* PIECE_LEN of noise, aligned */

    /* The thread that makes load. */
    pthread_t load;
    atomic_bool must_stop;
    int load_rc; /* read after it has ended */
};

static atomic_int signal_seen;

static void remember_signal(int number)
{
    atomic_store(&signal_seen, number);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- failing ---- */

/* Want of space is an answer, not a failure. */
static int fail(struct bench *bench, int rc, const char *what, const char *name)
{
    struct nori_error *error = bench->error;

    if (NORI_VFS_CODE(rc) == NORI_E_NOSPACE) {
        bench->measured->is_full = true;
        return NORI_E_NOSPACE;
    }
    error->code = NORI_VFS_CODE(rc);
    error->os_errno = NORI_VFS_ERRNO(rc);
    (void)snprintf(error->message, sizeof error->message, "%s %.60s/%s%s%s: %s", what,
                   bench->folder_name, FOLDER_NAME, name[0] ? "/" : "", name,
                   error->os_errno ? strerror(error->os_errno) : nori_strerror(error->code));
    return error->code;
}

/* Of the last call that set errno. */
static int posix_failure(void)
{
    bool is_full = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
    bool is_forbidden = errno == EROFS || errno == EACCES || errno == EPERM;

    return NORI_VFS_ERROR(is_full        ? NORI_E_NOSPACE
                          : is_forbidden ? NORI_E_READONLY
                                         : NORI_E_IO,
                          errno);
}

/* ---- the folder and its files ---- */

static void remove_files(struct bench *bench)
{
    for (size_t i = 0; i < FILE_COUNT; i++)
        (void)bench->folder->ops->remove(bench->folder, files[i].name);
}

/* The name of our folder, or of a file in it. The folder's own was short enough. */
static void name_in(const struct bench *bench, const char *name, char target[PATH_MAX])
{
    (void)snprintf(target, PATH_MAX, "%.*s/%s%s%s", PATH_MAX - 64, bench->folder_name, FOLDER_NAME,
                   name[0] ? "/" : "", name);
}

/* Make the folder, or take over what a killed doctor left. */
static int open_folder(struct bench *bench)
{
    const struct nori_vfs *vfs = nori_vfs_posix();
    struct nori_folder *folder = NULL;
    char path[PATH_MAX];
    int rc;

    name_in(bench, "", path);
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return fail(bench, posix_failure(), "make", "");
    rc = vfs->open_folder(vfs->context, bench->folder_name, 0, 0, &bench->parent);
    if (rc >= 0)
        rc = bench->parent->ops->open_folder(bench->parent, FOLDER_NAME, 0, 0, &folder);
    if (rc < 0)
        return fail(bench, rc, "open", "");
    rc = folder->ops->lock(folder);
    if (rc < 0) {
        folder->ops->close(folder);
        bench->measured->is_busy = NORI_VFS_CODE(rc) == NORI_E_LOCKED;
        return bench->measured->is_busy ? NORI_E_LOCKED : fail(bench, rc, "lock", "");
    }
    bench->folder = folder;
    remove_files(bench);
    return NORI_OK;
}

static int write_file(struct nori_file *file, const void *data, size_t len, uint64_t offset)
{
    struct nori_span span = {data, len};

    return file->ops->write(file, &span, 1, offset);
}

/* As the log makes its segments. */
static int make_file(struct bench *bench, enum file_id id, bool is_zeroed)
{
    static const uint8_t zeros[64 << 10];
    uint64_t bytes = files[id].parts * bench->part;
    struct nori_folder *folder = bench->folder;
    struct nori_file *file = NULL;
    int rc = folder->ops->open_file(
        folder, files[id].name,
        NORI_FILE_WRITE | NORI_FILE_CREATE | NORI_FILE_EXCLUSIVE | NORI_FILE_MAPPED, 0600, &file);

    bench->files[id] = file;
    if (rc >= 0 && bytes > 0)
        rc = file->ops->allocate(file, 0, bytes);
    for (uint64_t at = 0; rc >= 0 && is_zeroed && at < bytes; at += sizeof zeros)
        rc = write_file(file, zeros, sizeof zeros, at);
    if (rc >= 0)
        rc = file->ops->sync(file);
    return rc < 0 ? fail(bench, rc, "prepare", files[id].name) : NORI_OK;
}

/* Can the log map its `control` here? */
static bool can_map(struct nori_file *file)
{
    void *data = NULL;

    if (!file->ops->map || file->ops->map(file, DOCTOR_BLOCK, &data) < 0)
        return false;
    file->ops->unmap(file, data, DOCTOR_BLOCK);
    return true;
}

/* Descriptors for the ways that the seam does not go. */
static int open_descriptors(struct bench *bench)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < DOCTOR_WAY_COUNT; i++) {
        if (ways[i].open_flags == 0)
            continue;
        name_in(bench, files[ways[i].file].name, path);
        bench->descriptors[i] = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC | ways[i].open_flags);
        if (bench->descriptors[i] < 0 && errno != EINVAL) /* that: it knows no such writes */
            return fail(bench, posix_failure(), "open", files[ways[i].file].name);
        bench->is_refused[i] = bench->descriptors[i] < 0;
    }
    return NORI_OK;
}

/* The seam writes zeros where the file system reserves nothing; here it is to be known. */
static bool can_reserve(int fd)
{
    return fallocate(fd, 0, 0, (off_t)DOCTOR_BLOCK) == 0 ||
           (errno != EOPNOTSUPP && errno != ENOSYS);
}

static int prepare(struct bench *bench)
{
    struct doctor_measured *measured = bench->measured;
    int rc = open_folder(bench);

    for (int id = 0; rc >= 0 && id < FILE_COUNT; id++)
        rc = make_file(bench, (enum file_id)id, id == FILE_ZEROED || id == FILE_DIRECT);
    if (rc >= 0)
        rc = open_descriptors(bench);
    if (rc < 0)
        return rc;
    measured->can_map = can_map(bench->files[FILE_ZEROED]);
    measured->can_reserve =
        bench->descriptors[DOCTOR_DSYNC] < 0 || can_reserve(bench->descriptors[DOCTOR_DSYNC]);
    return NORI_OK;
}

static void clean_up(struct bench *bench)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < FILE_COUNT; i++)
        if (bench->files[i])
            bench->files[i]->ops->close(bench->files[i]);
    for (size_t i = 0; i < DOCTOR_WAY_COUNT; i++) {
        if (bench->descriptors[i] >= 0)
            (void)close(bench->descriptors[i]);
        free(bench->samples[i]);
    }
    free(bench->piece);
    if (bench->folder) {
        remove_files(bench);
        name_in(bench, "", path);
        (void)rmdir(path);
        bench->folder->ops->close(bench->folder); /* and with it the lock */
    }
    if (bench->parent)
        bench->parent->ops->close(bench->parent);
}

/* ---- measuring ---- */

static double elapsed(const struct bench *bench)
{
    return (double)(now_ns() - bench->begun_ns) / 1e9;
}

/* Is it time for what comes next? */
static bool is_over(const struct bench *bench, double until)
{
    return atomic_load(&signal_seen) != 0 || elapsed(bench) >= until;
}

static void show_progress(const struct bench *bench)
{
    cli_progress_share(bench->progress, elapsed(bench) / bench->seconds);
}

/* Write one block and have it durable. *ret_written_ns: when it was written, but not synced. */
static int do_block(struct bench *bench, enum doctor_way id, uint64_t *ret_written_ns)
{
    const struct way *way = &ways[id];
    struct nori_file *file = bench->files[way->file];
    uint64_t at = way->from_part * bench->part + bench->counts[id] * DOCTOR_BLOCK;
    int fd = bench->descriptors[id];
    int rc;

    errno = EIO; /* of a block that is not written whole */
    if (fd < 0)
        rc = write_file(file, bench->piece, DOCTOR_BLOCK, at);
    else if (pwrite(fd, bench->piece, DOCTOR_BLOCK, (off_t)at) == (ssize_t)DOCTOR_BLOCK)
        rc = 0;
    else
        rc = posix_failure();
    *ret_written_ns = now_ns();
    if (rc >= 0 && way->has_sync && fd < 0)
        rc = file->ops->sync(file);
    else if (rc >= 0 && way->has_sync)
        rc = fdatasync(fd) == 0 ? 0 : posix_failure();
    return rc;
}

/* One turn of one way. */
static int take_turn(struct bench *bench, enum doctor_way id, double seconds)
{
    uint64_t samples_max = bench->part / DOCTOR_BLOCK;
    double until = elapsed(bench) + seconds;

    if (bench->is_refused[id])
        return NORI_OK;
    for (int i = 0; i < TURN_SAMPLES && bench->counts[id] < samples_max; i++) {
        uint64_t begun_ns = now_ns(), written_ns;
        int rc = do_block(bench, id, &written_ns);

        if (rc < 0 && NORI_VFS_ERRNO(rc) == EINVAL && ways[id].open_flags != 0) {
            bench->is_refused[id] = true; /* its blocks are larger, say */
            return NORI_OK;
        }
        if (rc < 0)
            return fail(bench, rc, "write and sync", files[ways[id].file].name);
        bench->samples[id][bench->counts[id]++] = now_ns() - begun_ns;
        if (id >= DOCTOR_RESERVED_LOAD && written_ns - begun_ns > bench->measured->write_stall_ns)
            bench->measured->write_stall_ns = written_ns - begun_ns;
        if (is_over(bench, until))
            break;
    }
    show_progress(bench);
    return NORI_OK;
}

/* Is there enough of each of these ways for a median to mean something? */
static bool is_enough(const struct bench *bench, unsigned first, unsigned last)
{
    for (unsigned id = first; id <= last; id++)
        if (!bench->is_refused[id] && bench->counts[id] < DOCTOR_SAMPLES_LEAST)
            return false;
    return true;
}

/* Let some ways take turns until all have as many samples as there is room for, or the time is
 * over: it is stretched on a disk so slow that there would be next to none. */
static int take_turns(struct bench *bench, unsigned first, unsigned last, double seconds)
{
    double until = elapsed(bench) + seconds;
    double at_most = until + STRETCH * seconds;
    uint64_t before = 0, after = 1;
    int rc = NORI_OK;

    while (rc >= 0 && after > before &&
           !is_over(bench, is_enough(bench, first, last) ? until : at_most)) {
        before = after;
        after = 1;
        for (unsigned id = first; rc >= 0 && id <= last; id++) {
            rc = take_turn(bench, (enum doctor_way)id, seconds / (last - first + 1) / TURNS);
            after += bench->counts[id];
        }
    }
    return rc;
}

/* Write large pieces, the file over and over, synced now and then, until it is over. */
static int write_pieces(struct bench *bench, double until, const atomic_bool *must_stop,
                        uint64_t *ret_bytes)
{
    struct nori_file *file = bench->files[FILE_LOAD];
    uint64_t len = files[FILE_LOAD].parts * bench->part;
    size_t piece = len < PIECE_LEN ? (size_t)len : PIECE_LEN;
    uint64_t written = 0;
    bool is_last = false;
    int rc = 0;

    while (rc >= 0 && !is_last) {
        for (int i = 0; rc >= 0 && i < SYNC_PIECES && !is_last; i++) {
            rc = write_file(file, bench->piece, piece, written % len);
            written += piece;
            is_last = is_over(bench, until) || (must_stop && atomic_load(must_stop));
        }
        if (rc >= 0)
            rc = file->ops->sync(file);
        if (!must_stop)
            show_progress(bench);
    }
    *ret_bytes = written;
    return rc;
}

static int measure_pieces(struct bench *bench, double until)
{
    double begun = elapsed(bench);
    uint64_t bytes = 0;
    int rc = write_pieces(bench, until, NULL, &bytes);

    if (rc < 0)
        return fail(bench, rc, "write and sync", files[FILE_LOAD].name);
    bench->measured->bytes_per_s = (double)bytes / (elapsed(bench) - begun);
    return NORI_OK;
}

static void *make_load(void *argument)
{
    struct bench *bench = argument;
    uint64_t bytes;

    bench->load_rc = write_pieces(bench, HUGE_VAL, &bench->must_stop, &bytes);
    return NULL;
}

static int measure_beside_load(struct bench *bench)
{
    int rc;

    if (pthread_create(&bench->load, NULL, make_load, bench) != 0)
        return fail(bench, NORI_VFS_ERROR(NORI_E_NOMEM, EAGAIN), "start a thread for", "");
    rc = take_turns(bench, DOCTOR_RESERVED_LOAD, DOCTOR_ZEROED_LOAD,
                    bench->seconds * (1 - SHARE_BLOCKS - SHARE_PIECES));
    atomic_store(&bench->must_stop, true);
    (void)pthread_join(bench->load, NULL);
    if (rc >= 0 && bench->load_rc < 0)
        rc = fail(bench, bench->load_rc, "write and sync", files[FILE_LOAD].name);
    return rc;
}

static int compare_ns(const void *a, const void *b)
{
    uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;

    return (first > second) - (first < second);
}

static void give_samples(struct bench *bench)
{
    for (size_t i = 0; i < DOCTOR_WAY_COUNT; i++) {
        struct doctor_sample *sample = &bench->measured->ways[i];
        uint64_t count = bench->is_refused[i] ? 0 : bench->counts[i];

        sample->count = count;
        if (count == 0)
            continue;
        qsort(bench->samples[i], count, sizeof *bench->samples[i], compare_ns);
        sample->p50_ns = bench->samples[i][count / 2];
        sample->p99_ns = bench->samples[i][count * 99 / 100];
        sample->max_ns = bench->samples[i][count - 1];
    }
}

static int make_memory(struct bench *bench)
{
    uint64_t noise = 0x9e3779b97f4a7c15;

    for (size_t i = 0; i < DOCTOR_WAY_COUNT; i++) {
        bench->samples[i] = malloc(SAMPLES_MAX * sizeof *bench->samples[i]);
        if (!bench->samples[i])
            return fail(bench, NORI_VFS_ERROR(NORI_E_NOMEM, ENOMEM), "measure in", "");
    }
    if (posix_memalign((void **)&bench->piece, DOCTOR_BLOCK, PIECE_LEN) != 0)
        return fail(bench, NORI_VFS_ERROR(NORI_E_NOMEM, ENOMEM), "measure in", "");
    /* Neither zeros nor anything that a file system could compress. */
    for (size_t i = 0; i < PIECE_LEN / sizeof noise; i++) {
        noise = noise * 6364136223846793005u + 1442695040888963407u;
        memcpy(bench->piece + i * sizeof noise, &noise, sizeof noise);
    }
    return NORI_OK;
}

static void watch_signals(struct sigaction before[3], bool is_begin)
{
    static const int numbers[3] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction ours;

    memset(&ours, 0, sizeof ours);
    ours.sa_handler = remember_signal;
    for (size_t i = 0; i < 3; i++) {
        if (!is_begin)
            (void)sigaction(numbers[i], &before[i], NULL);
        else if (sigaction(numbers[i], &ours, &before[i]) == 0 && before[i].sa_handler == SIG_IGN)
            (void)sigaction(numbers[i], &before[i], NULL); /* as under nohup */
    }
}

int doctor_measure(const char *folder, double seconds, uint64_t bytes_free,
                   struct cli_progress *progress, struct doctor_measured *ret_measured,
                   struct nori_error *ret_error)
{
    struct bench bench = {.folder_name = folder,
                          .measured = ret_measured,
                          .progress = progress,
                          .error = ret_error,
                          .seconds = seconds};
    struct sigaction before[3];
    int rc;

    bench.part = bytes_free / 8 / DOCTOR_PARTS / DOCTOR_PART_MIN * DOCTOR_PART_MIN;
    bench.part = bench.part < DOCTOR_PART_MAX ? bench.part : DOCTOR_PART_MAX;
    for (size_t i = 0; i < DOCTOR_WAY_COUNT; i++)
        bench.descriptors[i] = -1;
    *ret_measured = (struct doctor_measured){0};
    if (bench.part == 0) {
        ret_measured->is_full = true;
        return NORI_OK;
    }
    watch_signals(before, true);
    rc = make_memory(&bench);
    if (rc >= 0)
        rc = prepare(&bench);
    bench.begun_ns = now_ns();
    if (rc >= 0)
        rc = take_turns(&bench, DOCTOR_GROWING, DOCTOR_DIRECT_DSYNC, seconds * SHARE_BLOCKS);
    if (rc >= 0)
        rc = measure_pieces(&bench, elapsed(&bench) + seconds * SHARE_PIECES);
    if (rc >= 0)
        rc = measure_beside_load(&bench);
    give_samples(&bench);
    clean_up(&bench);
    cli_progress_clear(progress);
    ret_measured->signal_number = atomic_load(&signal_seen);
    watch_signals(before, false);
    return ret_measured->is_full || ret_measured->is_busy ? NORI_OK : rc;
}
