/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_tiny_disks.c: real file systems that are full at every place (D9, D1, D2, D3).
 *
 * What. A foreign file fills a small ext4, xfs or btrfs and leaves n times 512 bytes. In that room
 * a process appends until it is refused, syncs or not, and then closes, or is killed, or the file
 * system is cut off (FS_IOC_SHUTDOWN, not on btrfs). Then the foreign file takes what is still
 * free, or what a cut has given back; not on btrfs, which is slow enough. On the full disk the log
 * must open, show all that it must (what was refused is not there), sync, drop, and close; and with
 * the foreign file gone it must go on. Where there was no room even for an empty log, which only a
 * small room may be, the same must open when there is.
 *
 * The number that --from takes counts all rooms, and from then on begins anew with other policies.
 * A file system frees whole blocks, so rooms that
 * share their number of free blocks differ by their first record: it is longer by 512 from one to
 * the next.
 *
 * It needs root and loop devices.
 */
#define _GNU_SOURCE 1 /* fallocate, syncfs */

#include "crew.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHARE       7
#define STEP        ((uint64_t)512)
#define ROOMS       ((uint64_t)8192) /* of STEP each: 4 MiB, all of the smallest ext4 */
#define ROOMS_QUICK ((uint64_t)256)
#define APPENDS_MAX 600
#define SMALL_LEN   150
#define PARTS_MAX   96                    /* appends that fill the room, about */
#define LOG_ROOM    ((uint64_t)256 << 10) /* an empty log needs no more, on xfs up to 168 KiB */

static struct harness harness = {.program = "tiny_disks", .share = SHARE, .options = {.seed = 1}};

enum count {
    COUNT_REFUSED, /* not even an empty log had room */
    COUNT_OPENED   /* with all records that it must have, on a full disk or behind one */
};

enum ending {
    ENDING_CLOSE,
    ENDING_KILL,
    ENDING_CUT
};

/* Set before the crew begins. */
static const struct file_system *file_system;

struct disk {
    char ballast[PLACE_PATH_LEN + 16];
    struct story *story; /* shared with the process that fills it */
    uint64_t number;     /* of the try */
    uint64_t room;       /* bytes */
    uint64_t block;      /* the least that the file system frees, in bytes */
    enum ending ending;
    struct crew *crew;
};

static void count(const struct disk *disk, enum count what)
{
    (void)atomic_fetch_add(&disk->crew->board->counts[what], 1);
}

/* ---- room ---- */

static void sync_disk(void)
{
    int root = open(harness.place.mounted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (root >= 0) {
        (void)syncfs(root);
        (void)close(root);
    }
}

/* Take all the space there is, in ever smaller steps, and give the room back. */
static bool take_all_but(const struct disk *disk, uint64_t room)
{
    int file = open(disk->ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    uint64_t bytes = 0;
    bool is_good = file >= 0;

    for (uint64_t step = file_system->bytes / 2; is_good && step >= STEP;) {
        if (fallocate(file, 0, (off_t)bytes, (off_t)step) == 0)
            bytes += step;
        else if (errno == ENOSPC)
            step /= 2;
        else
            is_good = false;
    }
    is_good = is_good && ftruncate(file, (off_t)(bytes > room ? bytes - room : 0)) == 0;
    if (file >= 0)
        (void)close(file);
    sync_disk();
    return is_good;
}

static void give_room(const struct disk *disk)
{
    (void)unlink(disk->ballast);
    sync_disk();
}

/* ---- filling ---- */

static struct nori_wal_config config_of_disk(const struct disk *disk)
{
    return story_config(disk->story, harness.place.wal);
}

/* Sizes that fill the room in some hundred appends, and small ones among them. */
static size_t value_len_of(const struct disk *disk, uint64_t number)
{
    if (number == 0)
        return SMALL_LEN + (size_t)(disk->room % disk->block);
    return number % 3 == 0 ? SMALL_LEN + (size_t)(disk->room / PARTS_MAX) : SMALL_LEN;
}

static int append(const struct disk *disk, nori_wal *wal, struct oracle *oracle, uint64_t number)
{
    size_t count = number % 3 == 1 ? 3 : 1;
    size_t value_len = value_len_of(disk, number);
    struct nori_record records[ORACLE_BATCH_MAX];
    struct nori_position positions[ORACLE_BATCH_MAX];
    uint8_t *memory = malloc(oracle_fill_len(count, value_len));
    int rc;

    if (!memory)
        abort();
    oracle_append_begin(oracle, count, value_len);
    (void)oracle_fill(oracle, records, memory);
    rc = nori_wal_append_batch(wal, records, count, positions);
    oracle_append_end(oracle, rc, positions);
    if (rc == NORI_OK && disk->story->policy == NORI_FSYNC_ALWAYS)
        oracle_all_durable(oracle);
    free(memory);
    return rc;
}

/* In a process of its own: append until it is refused. */
static bool fill(struct disk *disk)
{
    struct story *story = disk->story;
    struct nori_wal_config config = config_of_disk(disk);
    struct nori_error error = NORI_ERROR_INIT;
    nori_wal *wal = NULL;
    int rc = nori_wal_open(&config, &wal, NULL, &error);

    story->is_refused = rc == NORI_E_NOSPACE;
    if (story->is_refused)
        return disk->room < LOG_ROOM ||
               oracle_complain(story->why, "no room for an empty log: %.120s", error.message);
    for (uint64_t i = 0; rc == NORI_OK && i < APPENDS_MAX; i++)
        rc = append(disk, wal, &story->oracle, i);
    if (rc == NORI_OK)
        return oracle_complain(story->why, "%d appends do not fill it", APPENDS_MAX);
    if (rc != NORI_E_NOSPACE)
        return oracle_complain(story->why, "filling gives %s: %.120s", nori_error_name(rc),
                               error.message);
    if (disk->number / 3 % 2 == 0) {
        rc = nori_wal_sync(wal);
        if (rc < 0)
            return oracle_complain(story->why, "sync on a full disk gives %s", nori_error_name(rc));
        oracle_all_durable(&story->oracle);
    }
    if (disk->ending == ENDING_KILL || disk->ending == ENDING_CUT)
        (void)raise(disk->ending == ENDING_KILL ? SIGKILL : SIGSTOP);
    rc = nori_wal_close(wal);
    if (rc < 0)
        return oracle_complain(story->why, "close on a full disk gives %s", nori_error_name(rc));
    oracle_all_durable(&story->oracle);
    return true;
}

static bool complain(const struct disk *disk, const char *what, const char *why)
{
    return oracle_complain(crew_why(disk->crew), "%s, room %llu: %s: %.100s", file_system->name,
                           (unsigned long long)disk->room, what, why);
}

static bool mount_again(struct disk *disk)
{
    if (!place_unmount(&harness.place))
        return complain(disk, "unmounting", "it is busy");
    return place_mount_image(&harness.place, file_system) ||
           complain(disk, "mounting", "it cannot be");
}

static bool fill_and_end(struct disk *disk)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)signal(SIGBUS, SIG_DFL);
        _exit(fill(disk) ? 0 : 1);
    }
    if (child < 0 || waitpid(child, &status, WUNTRACED) != child)
        return complain(disk, "filling", "no process can be made");
    if (WIFSTOPPED(status)) {
        bool is_cut = place_shut_down(&harness.place, false);

        (void)kill(child, SIGKILL);
        (void)waitpid(child, NULL, 0);
        return is_cut ? mount_again(disk) : complain(disk, "shutting down", "it cannot be");
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return true;
    return complain(disk, "filling", disk->story->why[0] ? disk->story->why : "the process died");
}

/* ---- what must go on a full disk, and behind it ---- */

/* Without any room: on btrfs, too, where the log's files are made without copy-on-write. */
static nori_wal *open_and_read(struct disk *disk, struct oracle *oracle)
{
    struct nori_wal_config config = config_of_disk(disk);
    struct nori_error error = NORI_ERROR_INIT;
    enum oracle_event event = disk->ending == ENDING_CUT ? ORACLE_POWER_CUT : ORACLE_PROCESS_CRASH;
    struct oracle_found found;
    nori_wal *wal = NULL;
    size_t records;
    int rc = nori_wal_open(&config, &wal, NULL, &error);

    if (rc < 0) {
        (void)complain(disk, "opening a full disk", error.message);
        return NULL;
    }
    if (story_read(wal, harness.place.wal, oracle, &found, &records, disk->story->why) &&
        oracle_expect(oracle, &found, event, disk->story->why)) {
        oracle_settle(oracle, &found, records);
        count(disk, COUNT_OPENED);
        return wal;
    }
    (void)complain(disk, "a full disk", disk->story->why);
    (void)nori_wal_close(wal);
    return NULL;
}

static bool drop_all(struct disk *disk, nori_wal *wal, struct oracle *oracle)
{
    struct nori_position end;
    int rc = nori_wal_position(wal, &end);

    if (rc < 0)
        return complain(disk, "position", nori_error_name(rc));
    oracle_drop_begin(oracle, end, true);
    rc = nori_wal_delete_segments_before(wal, end, NULL);
    if (rc < 0 && rc != NORI_E_NOSPACE)
        return complain(disk, "dropping all on a full disk", nori_error_name(rc));
    oracle_drop_end(oracle, rc);
    rc = append(disk, wal, oracle, 2);
    if (rc < 0 && rc != NORI_E_NOSPACE)
        return complain(disk, "appending to a full disk", nori_error_name(rc));
    return true;
}

static bool go_on(struct disk *disk, nori_wal *wal, struct oracle *oracle)
{
    int rc;

    for (uint64_t i = 0; i < 3; i++) {
        rc = append(disk, wal, oracle, i);
        if (rc < 0)
            return complain(disk, "appending, with room again", nori_error_name(rc));
    }
    rc = nori_wal_sync(wal);
    if (rc < 0)
        return complain(disk, "syncing, with room again", nori_error_name(rc));
    oracle_all_durable(oracle);
    return true;
}

/* What must go on a full disk; or, if the log was refused, on one that is full no more. */
static bool use(struct disk *disk)
{
    struct oracle *oracle = &disk->story->oracle;
    bool is_good = true;
    nori_wal *wal;
    int rc;

    if (disk->story->is_refused)
        give_room(disk);
    wal = open_and_read(disk, oracle);
    if (!wal)
        return false;
    if (!disk->story->is_refused) {
        is_good = drop_all(disk, wal, oracle);
        give_room(disk);
    }
    is_good = is_good && go_on(disk, wal, oracle);
    rc = nori_wal_close(wal);
    if (!is_good || rc < 0)
        return is_good ? complain(disk, "closing", nori_error_name(rc)) : false;
    disk->ending = ENDING_CLOSE;
    wal = open_and_read(disk, oracle);
    return wal && nori_wal_close(wal) == NORI_OK;
}

static void remove_log(void)
{
    static const char *const names[] = {"spare", "control"};
    char path[PLACE_PATH_LEN + 32];

    for (unsigned id = 0; id < 64; id++) {
        (void)snprintf(path, sizeof path, "%s/%06u.wal", harness.place.wal, id);
        (void)unlink(path);
    }
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", harness.place.wal, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(harness.place.wal);
}

static void begin_story(struct disk *disk)
{
    static const size_t rings[] = {4096, (size_t)64 << 10};
    struct story *story = disk->story;
    uint64_t seed = harness_story(&harness, disk->number % ROOMS);
    uint64_t life = disk->number / ROOMS; /* other policies for the same room */

    memset(story, 0, offsetof(struct story, records));
    story->is_refused = false;
    story->why[0] = '\0';
    oracle_init(&story->oracle);
    story->oracle.records = story->records;
    story->oracle.capacity = STORY_RECORDS_MAX;
    story->policy = (uint32_t)((seed + life) % 3);
    story->preallocate = (uint32_t)(NORI_PREALLOCATE_OFF + (seed / 3 + life) % 3);
    story->ring_len = rings[(seed / 9 + life) % 2];
    disk->room = disk->number % ROOMS * STEP;
    disk->ending = (enum ending)((seed / 2 + life) % (file_system->has_shutdown ? 3 : 2));
}

static bool one_room(struct disk *disk)
{
    begin_story(disk);
    if (!take_all_but(disk, disk->room))
        return complain(disk, "taking space", "it cannot be");
    if (!fill_and_end(disk))
        return false;
    if (!disk->story->is_refused && file_system->has_shutdown && !take_all_but(disk, 0))
        return complain(disk, "taking the rest", "it cannot be");
    if (!use(disk))
        return false;
    if (disk->story->is_refused)
        count(disk, COUNT_REFUSED);
    remove_log();
    return true;
}

/* ---- all of them ---- */

/* A share of the rooms lies spread over all, beginning with one that has room for a log. On btrfs
 * only over small ones: nearly full, it looks long for space at each store into a mapped page that
 * was written back. */
static uint64_t number_of(const struct crew *crew, uint64_t number)
{
    uint64_t rooms = file_system->has_shutdown ? ROOMS : ROOMS_QUICK;

    return crew->harness->options.count > 0 ? number : (number + 1) * 2654435761u % rooms;
}

static void repeat_room(const struct crew *crew, uint64_t number)
{
    harness_repeat_with(crew->harness, file_system, number_of(crew, number), 1);
}

/* What one process of the crew does. */
static bool fill_rooms(struct crew *crew)
{
    struct disk disk = {.story = story_new(), .crew = crew};
    struct statvfs mounted;
    bool is_good = disk.story && place_make(&harness.place, file_system) &&
                   place_mount_image(&harness.place, file_system) &&
                   statvfs(harness.place.mounted, &mounted) == 0;
    uint64_t number;

    disk.block = is_good ? mounted.f_frsize : 0;
    (void)snprintf(disk.ballast, sizeof disk.ballast, "%s/ballast", harness.place.mounted);
    if (!is_good)
        (void)complain(&disk, "beginning", "no small file system can be made");
    while (is_good && crew_take(crew, &number)) {
        disk.number = number_of(crew, number);
        repeat_room(crew, number);
        is_good = one_room(&disk);
    }
    (void)umount2(harness.place.mounted, MNT_DETACH);
    story_free(disk.story);
    return is_good;
}

static void fill_every_room(const struct file_system *fs)
{
    struct crew crew = {.harness = &harness,
                        .work = fill_rooms,
                        .repeat = repeat_room,
                        .from = harness.options.from,
                        .end = harness.options.from + harness_begin(&harness),
                        .size = (size_t)sysconf(_SC_NPROCESSORS_ONLN)};
    uint64_t next, tried, refused, opened;

    harness_need(fs);
    file_system = fs;
    next = crew_run(&crew);
    tried = next - crew.from;
    torture_end(next, tried);
    refused = atomic_load(&crew.board->counts[COUNT_REFUSED]);
    opened = atomic_load(&crew.board->counts[COUNT_OPENED]);
    print_message("# %s: %llu rooms, %llu of them too small for an empty log; %.1f s\n", fs->name,
                  (unsigned long long)tried, (unsigned long long)refused,
                  repeat_now() - harness.begun);
    assert_int_equal(opened, 2 * tried);
    crew_done(&crew);
}

static void a_full_ext4_is_an_ordinary_day(void **state)
{
    fill_every_room(*state);
}

static void a_full_xfs_is_an_ordinary_day(void **state)
{
    fill_every_room(*state);
}

static void a_full_btrfs_is_an_ordinary_day(void **state)
{
    fill_every_room(*state);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        HARNESS_TEST(a_full_ext4_is_an_ordinary_day, &place_ext4_tiny),
        HARNESS_TEST(a_full_xfs_is_an_ordinary_day, &place_xfs_tiny),
        HARNESS_TEST(a_full_btrfs_is_an_ordinary_day, &place_btrfs_tiny),
    };

    return HARNESS_MAIN(&harness, argc, argv, tests);
}
