/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * nori/sim.h: a simulated machine for tests of programs that keep data in a log (library
 * libnori-sim). UNSTABLE until version 1.0.
 *
 * It is a nori_vfs (nori/vfs.h) in memory: a disk that can lose power, fill up and fail, a clock
 * that jumps, and threads that run one at a time, in an order chosen by a seed. The same seed and
 * the same program give the same run, so any failure can be repeated.
 *
 *     struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
 *     nori_sim *sim = nori_sim_new(&options), *after;
 *
 *     run_my_program(nori_sim_vfs(sim), nori_sim_allocator(sim));
 *     for (uint64_t outcome = 0; outcome < nori_sim_outcome_count(sim); outcome++) {
 *         nori_sim_power_cut(sim, outcome, &after); (each disk that a power cut could leave now)
 *         check_what_my_program_finds(nori_sim_vfs(after));
 *         nori_sim_free(after);
 *     }
 *     nori_sim_free(sim);
 *
 * THE DISK. Contents are kept by the sector of 512 bytes. Each unsynced write of a sector is a
 * version of it. Changes of a file's size (allocate, truncate, a write beyond the end) and of a
 * folder's names (creation, rename, removal) are pending too: a file's sync makes its contents and
 * size durable, a folder's sync its names. Neither does the other's work. What survives:
 *   - A process crash (nori_sim_crash_kill) leaves everything as the kernel saw it, unsynced still;
 *     stores into mappings included. Locks are gone.
 *   - A power cut (nori_sim_power_cut and its sisters) leaves of every sector its durable content
 *     or any one of its unsynced versions, of every file its durable size or any pending one, and
 *     of every folder any of its pending changes: applied in order, those left out that became
 *     impossible (a rename without its source, or onto a name that is there). A file whose size
 *     survived without its data reads as zeros; data beyond the size that survived is lost. A cut
 *     that truncated a file takes away what lay behind it, and nothing written later.
 *   - Of a sector in a mapping that was stored to, it leaves what was last synced, or what is there
 *     now (or at an earlier operation: mapped_versions_max).
 * What a process crash or power cut leaves is another sim: a clone, which costs about a
 * microsecond and shares memory with its parent. The parent goes on unharmed; each is freed on its
 * own, in any order.
 *
 * OPERATIONS. Those calls that change the disk or sync it are counted from 1: write, sync,
 * allocate, truncate, creating a file or folder (for a folder the sync of its parent too), rename,
 * remove, sync of a folder. A call that fails is none. Between two of them lie all states that a
 * crash can find, but for stores into mappings. Either run once with the hook before_operation and
 * clone in it, or run again and again with crash_at = 1, 2, ...
 *
 * THREADS. Simulated threads are fibers on one real thread; the caller of the first function is the
 * main one. They switch where they wait and, with probability switch_percent, at every file or
 * folder call and mutex. The clock stands still while any of them can run, save for 100 ns a file
 * call and 20 ns a look at the clock; when all wait, it jumps to the earliest deadline. When all
 * wait without deadline, the run is over: the seed and what each thread waits for are printed to
 * standard error, and the process aborts. So does it for misuse: a mutex locked twice, a sim freed
 * while a thread lives. A thread's stack has 256 KiB.
 *
 * RULES. One sim and all its clones are used by one real thread. A handle belongs to the sim whose
 * vfs opened it, and must be closed before that sim is freed; so must threads be joined. Names have
 * at most 63 bytes. Paths start at the root folder of the sim, which is there from the beginning:
 * "wal", "wal/000000.wal"; a leading "/" means nothing. Functions that return an int give 0 or a
 * negative NORI_VFS_ERROR. Running out of real memory aborts.
 */
#ifndef NORI_SIM_H
#define NORI_SIM_H

#include <nori/vfs.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nori_sim nori_sim;

#define NORI_SIM_SECTOR 512u /* bytes */

/* Kinds of call, for fail_mask. */
#define NORI_SIM_OPEN        (1u << 0) /* open_file, open_folder */
#define NORI_SIM_READ        (1u << 1)
#define NORI_SIM_WRITE       (1u << 2)
#define NORI_SIM_SYNC        (1u << 3) /* of a file */
#define NORI_SIM_ALLOCATE    (1u << 4)
#define NORI_SIM_TRUNCATE    (1u << 5)
#define NORI_SIM_STAT        (1u << 6)
/* of a file or folder, announce, is_announced; not unlocking */
#define NORI_SIM_LOCK        (1u << 7)
#define NORI_SIM_MAP         (1u << 8)
#define NORI_SIM_LIST        (1u << 9)
#define NORI_SIM_RENAME      (1u << 10)
#define NORI_SIM_REMOVE      (1u << 11)
#define NORI_SIM_FOLDER_SYNC (1u << 12) /* also the parent's, when a folder is created */
#define NORI_SIM_THREAD      (1u << 13) /* thread_start, mutex_new, cond_new */
#define NORI_SIM_RANDOM      (1u << 14)
#define NORI_SIM_MEMORY      (1u << 15) /* alloc and realloc of nori_sim_allocator */
#define NORI_SIM_ALL_CALLS   0xffffu

/* Flags. */
#define NORI_SIM_FAIL_STICKY (1u << 0) /* once failed, every later call of these kinds fails too */
/* a write or read that fails has done a part, of a length from the seed; a short count without an
 * error comes through the seam at the end of a file only, as the loops around pread and pwritev are
 * below it */
#define NORI_SIM_FAIL_PARTLY (1u << 1)
/* a failed sync of a file makes its unsynced data phantoms, see below */
#define NORI_SIM_FAIL_PHANTOM (1u << 2)
#define NORI_SIM_CRASH_PARTLY (1u << 3) /* a write that crash_at hits has written such a part */
/* nori_sim_power_cut_random may tear a sector between two versions */
#define NORI_SIM_TORN_SECTORS (1u << 4)
/* with capacity_bytes: overwriting needs free space, as on btrfs, but for files that were created
 * with NORI_FILE_MAPPED */
#define NORI_SIM_COPY_ON_WRITE (1u << 5)
#define NORI_SIM_NO_MAP        (1u << 6) /* map gives NORI_E_UNSUPPORTED */
#define NORI_SIM_TRACE         (1u << 7) /* to standard error: each file and folder call */
/* Planted faults: machines that break their word, to show that a test would notice. */
#define NORI_SIM_LYING_SYNC        (1u << 8) /* sync of a file answers 0 and does nothing */
#define NORI_SIM_LYING_FOLDER_SYNC (1u << 9) /* sync of a folder answers 0 and does nothing */
/* a write that is to fail answers 0 instead, and never reaches the medium: its sectors are stale
 * after a power cut, synced or not; until then it is read (a phantom, see below) */
#define NORI_SIM_FAIL_LOST (1u << 10)
/* a write that is to fail answers 0 instead, and went to another place of the same file: as many
 * bytes further, or before, as the seed says, in whole sectors */
#define NORI_SIM_FAIL_MISDIRECTED (1u << 11)

/*
 * Zero means none or off for every field, unless it says otherwise. Start from
 * NORI_SIM_OPTIONS_INIT.
 *
 * Phantoms are what Linux leaves after a failed write-back: the data is marked clean, reads go on
 * to serve it, from new processes too, later syncs return 0, but the medium does not have it and a
 * power cut shows that. A phantom sector becomes ordinary again when it is written again.
 */
struct nori_sim_options {
    size_t size; /* sizeof(struct nori_sim_options) */
    /* of the order of threads and every other choice; random bytes too, but only in nori_sim_new */
    uint64_t seed;

    /* Failing calls. Calls of the kinds in fail_mask (0: all kinds) are counted from 1; the
     * fail_nth fails, and the fail_nth_too. With fail_errno (0: EIO), and the code that
     * nori/vfs.h has for it unless fail_code says another. */
    uint64_t fail_nth;
    uint64_t fail_nth_too;
    uint32_t fail_mask; /* NORI_SIM_OPEN ... */
    int32_t fail_code;  /* NORI_E_* */
    int32_t fail_errno;
    uint32_t flags; /* NORI_SIM_FAIL_STICKY ... */

    /* From this operation on (counted from 1) the machine is dead: every file and folder call
     * gives NORI_E_IO and changes nothing, stores into mappings count no more. Threads, mutexes,
     * conditions, the clock, unmap and close go on working, so that the program can wind up;
     * then look at what the crash left with nori_sim_crash_kill or nori_sim_power_cut. */
    uint64_t crash_at;

    /* Full disk: a file takes its size, rounded up to 4096, until it has no name and no handle. */
    uint64_t capacity_bytes;

    /* chance of a switch of threads where one is possible; 0: only where they wait */
    uint32_t switch_percent;
    /* chance, when a thread is chosen, that one waiting for a condition or word wakes without
     * cause */
    uint32_t spurious_percent;
    /* time that a sync takes; what is written meanwhile is not part of it */
    uint64_t sync_latency_ns;
    /* unsynced versions kept of a sector and sizes of a file; 0: 16. The newest stay */
    uint32_t versions_max;
    /* the same for mapped sectors, looked at before every operation; 0: 1, the newest */
    uint32_t mapped_versions_max;

    /* Called before every operation that is about to happen, with its number, by the thread that
     * does it. It may use any function of this header on sim that does not change it, and do
     * anything with clones. */
    void (*before_operation)(void *context, nori_sim *sim, uint64_t operation);
    void *context;

    /* Each call of the kinds in delay_mask takes so long; other threads run meanwhile. */
    uint64_t delay_ns;
    uint32_t delay_mask; /* NORI_SIM_OPEN ... */
};
/* clang-format off */
#define NORI_SIM_OPTIONS_INIT \
    {sizeof(struct nori_sim_options), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0}
/* clang-format on */

/* A machine with an empty root folder. NULL options: defaults. Never NULL. */
NORI_API nori_sim *nori_sim_new(const struct nori_sim_options *options);

/* NULL is a no-op. Aborts if threads, handles or mappings are left. */
NORI_API void nori_sim_free(nori_sim *sim);

/* New options for a machine that goes on. Counts (operations, calls) start again from 0; random
 * bytes do not repeat. A machine that crashed stays dead. */
NORI_API void nori_sim_set_options(nori_sim *sim, const struct nori_sim_options *options);

/* What to give to the program. Both live as long as the sim. */
NORI_API const struct nori_vfs *nori_sim_vfs(nori_sim *sim);
NORI_API const struct nori_allocator *nori_sim_allocator(nori_sim *sim);

/* What happened so far. */
NORI_API uint64_t nori_sim_operations(const nori_sim *sim); /* operations begun */
/* calls of the kinds in fail_mask */
NORI_API uint64_t nori_sim_calls(const nori_sim *sim);
/* 1 if fail_nth or fail_nth_too was reached */
NORI_API int nori_sim_did_fail(const nori_sim *sim);
NORI_API int nori_sim_did_crash(const nori_sim *sim); /* 1 if crash_at was reached */
/* calls of alloc and realloc that gave memory */
NORI_API uint64_t nori_sim_allocations(const nori_sim *sim);
/* pieces of the allocator not yet freed */
NORI_API uint64_t nori_sim_memory_blocks(const nori_sim *sim);
/* of the disk; see capacity_bytes */
NORI_API uint64_t nori_sim_used_bytes(const nori_sim *sim);

/* Let the calling thread sleep, so that the others run and the clock goes on. */
NORI_API void nori_sim_sleep(nori_sim *sim, uint64_t duration_ns);

/*
 * Crashes. Each makes a clone that holds what the crash leaves, with default options (so without
 * faults), the same clock and its own future random bytes, no handles, locks or threads. After a
 * power cut all of it is durable; after a process crash, exactly what was durable before.
 */
NORI_API void nori_sim_crash_kill(nori_sim *sim, nori_sim **ret_sim);

/* How many outcomes a power cut has now, UINT64_MAX if that many or more. Different outcomes may
 * look the same. */
NORI_API uint64_t nori_sim_outcome_count(nori_sim *sim);

/* Outcome number outcome, below the count: 0 has lost everything unsynced, the last kept the
 * newest of everything. NORI_E_INVALID beyond the count. */
NORI_API int nori_sim_power_cut(nori_sim *sim, uint64_t outcome, nori_sim **ret_sim);

/* A random outcome. Seeds differ in how much they keep: some lose nearly all, some nearly
 * nothing. */
NORI_API void nori_sim_power_cut_random(nori_sim *sim, uint64_t seed, nori_sim **ret_sim);

/* What nori_sim_digest would say of these, told without making them. Most outcomes of neighbouring
 * points are the same disks: those need not be recovered again. */
NORI_API int nori_sim_power_cut_digest(nori_sim *sim, uint64_t outcome, uint64_t *ret_digest);
NORI_API uint64_t nori_sim_power_cut_random_digest(nori_sim *sim, uint64_t seed);

/* The choices of which an outcome is made. Each is independent of the others. */
#define NORI_SIM_UNSYNCED_SIZE \
    1u /* of a file: way 0 is the durable one, then the pending ones, oldest first */
#define NORI_SIM_UNSYNCED_SECTOR \
    2u /* of a file: way 0 is the durable content, then its versions, oldest first */
#define NORI_SIM_UNSYNCED_NAME 3u /* a change in a folder: way 0 is lost, 1 is kept */

struct nori_sim_unsynced {
    uint32_t kind;     /* NORI_SIM_UNSYNCED_* */
    uint32_t ways;     /* at least 2 */
    uint64_t identity; /* of the file, or of the folder whose names change */
    uint64_t offset;   /* in bytes, of a sector; else 0 */
    char name[64];     /* the file's name now, or the name that is created, removed or renamed to */
};

NORI_API size_t nori_sim_unsynced_count(nori_sim *sim);

/* Number index, below the count; else NORI_E_INVALID. */
NORI_API int nori_sim_unsynced(nori_sim *sim, size_t index, struct nori_sim_unsynced *ret_unsynced);

/* The outcome with these ways, one for each choice; NORI_E_INVALID if count is another or a way
 * is not there. */
NORI_API int nori_sim_power_cut_choose(nori_sim *sim, const uint32_t *ways, size_t count,
                                       nori_sim **ret_sim);

/*
 * A look at the disk, and a hand in it, past all faults, counts and scheduling.
 */

/* Read up to len bytes as a program would now. NORI_E_NOTFOUND, NORI_E_INVALID (a folder). */
NORI_API int nori_sim_file_read(nori_sim *sim, const char *path, uint64_t offset, void *target,
                                size_t len, size_t *ret_len);

/* Change bytes on the medium and in the page cache, as bit rot or another program would: durable
 * at once, unsynced versions of these sectors are gone. The file grows if need be; it is created
 * if absent, durably, if its folder is there. */
NORI_API int nori_sim_file_poke(nori_sim *sim, const char *path, uint64_t offset, const void *data,
                                size_t len);

/* Bit rot: flip one bit of the file, which the seed chooses, on the medium and in the page cache.
 * *ret_offset: of the byte that it is in. NORI_E_NOTFOUND, NORI_E_INVALID (a folder, no bytes). */
NORI_API int nori_sim_file_rot(nori_sim *sim, const char *path, uint64_t seed,
                               uint64_t *ret_offset);

/* Set the size, durably; removes the file, durably. */
NORI_API int nori_sim_file_resize(nori_sim *sim, const char *path, uint64_t bytes);
NORI_API int nori_sim_file_unlink(nori_sim *sim, const char *path);

NORI_API int nori_sim_file_bytes(nori_sim *sim, const char *path, uint64_t *ret_bytes);

/* As list of nori/vfs.h, in the order of creation. */
NORI_API int nori_sim_list(nori_sim *sim, const char *path,
                           int (*entry)(void *context, const char *name), void *context);

/* Make all there is durable, as sync(2). */
NORI_API void nori_sim_sync_all(nori_sim *sim);

/* A number made of all names, sizes and contents that a program could read now: equal disks have
 * equal numbers, and different ones different numbers, but for chance. For counting distinct
 * states. */
NORI_API uint64_t nori_sim_digest(nori_sim *sim);

/* Print files, what is unsynced, threads and counts to standard error, for a person. */
NORI_API void nori_sim_dump(nori_sim *sim);

#ifdef __cplusplus
}
#endif

#endif
