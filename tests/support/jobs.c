/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * jobs.c: numbered cases tried by several processes.
 *
 * What. Processes take the next few numbers from a common counter. What they count lies in memory
 * they share with the one that began them, which adds it up once a second, keeps it, and says when
 * it is enough. All below the least number that any process has in hand is done.
 */
#define _GNU_SOURCE 1

#include "jobs.h"

#include "repeat.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __GLIBC__
#    include <malloc.h>
#endif

#define JOBS_MAX 64
#define HANDFUL  27 /* neighbours share beginnings, and so disks that need not be recovered again */

struct shared {
    _Atomic uint64_t next;
    _Atomic bool must_stop;
    struct job jobs[JOBS_MAX];
};

static size_t job_count(void)
{
    const char *text = getenv("NORI_JOBS");
    long count = text ? strtol(text, NULL, 10) : sysconf(_SC_NPROCESSORS_ONLN);

    return count < 1 ? 1 : count > JOBS_MAX ? JOBS_MAX : (size_t)count;
}

/* Machines and logs come and go ten thousand times a second: their memory shall neither be given
 * back to the kernel each time nor be tidied up. */
#ifdef __GLIBC__
static void keep_memory(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 25);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 28);
    (void)mallopt(M_TOP_PAD, 1 << 22);
    (void)mallopt(M_MXFAST, 0);
}
#else
static void keep_memory(void)
{
}
#endif

static void work(struct shared *shared, struct job *job,
                 bool (*try_case)(struct job *job, uint64_t number))
{
    while (!atomic_load(&shared->must_stop)) {
        uint64_t first = atomic_fetch_add(&shared->next, HANDFUL);

        for (uint64_t i = first; i < first + HANDFUL && !atomic_load(&shared->must_stop); i++) {
            atomic_store(&job->current, i);
            if (!try_case(job, i)) {
                atomic_store(&shared->must_stop, true);
                return;
            }
        }
        /* Until it has taken others, those are the ones in hand. */
        if (!atomic_load(&shared->must_stop))
            atomic_store(&job->current, first + HANDFUL);
    }
}

/* ---- adding up ---- */

struct sum {
    struct shared *shared;
    size_t count;
    struct sketch kept; /* of earlier runs */
    uint64_t kept_count;
    char path[256];
};

static uint64_t next_of(const struct sum *sum)
{
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < sum->count; i++) {
        uint64_t current = atomic_load(&sum->shared->jobs[i].current);

        next = current < next ? current : next;
    }
    return next;
}

/* What cannot be kept is not told: the next run would count it again. */
static uint64_t add_up(const struct sum *sum, void (*tell)(uint64_t next, uint64_t done))
{
    static struct sketch all;
    uint64_t next = next_of(sum); /* first: all below it is in the sketches by now */
    uint64_t done;

    all = sum->kept;
    for (size_t i = 0; i < sum->count; i++)
        sketch_merge(&all, &sum->shared->jobs[i].sketch);
    done = sketch_count(&all) - sum->kept_count;
    if (!sum->path[0] || sketch_save(&all, sum->path))
        tell(next, done);
    else
        perror(sum->path);
    return done;
}

/* Without what was counted before, the same would count once more. */
static void load_kept(struct sum *sum)
{
    const char *reached = getenv("NORI_TORTURE_REACHED");
    bool is_read = sketch_load(&sum->kept, sum->path);
    char why[sizeof sum->path + 100];

    sum->kept_count = sketch_count(&sum->kept);
    if (is_read && (!reached || sum->kept_count >= strtoull(reached, NULL, 10)))
        return;
    (void)snprintf(why, sizeof why, "%s has not all that was reached: RESET=1 begins it anew",
                   sum->path);
    torture_skip(why);
}

static void begin_sum(struct sum *sum, const struct torture_options *options, const char *name)
{
    const char *folder = getenv("NORI_TORTURE_KEEP");

    if (folder)
        (void)snprintf(sum->path, sizeof sum->path, "%s/%s.sketch", folder, name);
    if (sum->path[0])
        load_kept(sum);
    sum->count = job_count();
    sum->shared =
        mmap(NULL, sizeof *sum->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sum->shared == MAP_FAILED)
        abort();
    atomic_store(&sum->shared->next, options->from);
    for (size_t i = 0; i < sum->count; i++)
        atomic_store(&sum->shared->jobs[i].current, options->from);
}

static void print_sum(const struct sum *sum, uint64_t done, double seconds, double cpu_seconds)
{
    uint64_t looked = 0;

    for (size_t i = 0; i < sum->count; i++)
        looked += atomic_load(&sum->shared->jobs[i].looked);
    (void)printf("# %llu different ones among %llu, cases up to %llu, %.0f s, %.0f a second of one "
                 "processor\n",
                 (unsigned long long)done, (unsigned long long)looked,
                 (unsigned long long)next_of(sum), seconds,
                 (double)done / (cpu_seconds > 0 ? cpu_seconds : 1));
}

bool jobs_run(const struct torture_options *options, const char *name,
              bool (*try_case)(struct job *job, uint64_t number))
{
    static struct sum sum;
    double begun = repeat_now();
    size_t running = 0;
    bool is_good = true;
    uint64_t done = 0;

    begin_sum(&sum, options, name);
    (void)fflush(NULL);
    for (; running < sum.count; running++) {
        if (fork() > 0)
            continue;
        repeat_catch();
        keep_memory();
        work(sum.shared, &sum.shared->jobs[running], try_case);
        _exit(0);
    }
    while (running > 0) {
        int status = 0;
        pid_t ended = waitpid(-1, &status, WNOHANG);

        if (ended > 0) {
            running--;
            is_good = is_good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
            if (!is_good)
                atomic_store(&sum.shared->must_stop, true);
            continue;
        }
        (void)sleep(1);
        done = add_up(&sum, torture_progress);
        if ((options->count > 0 && done >= options->count) ||
            (options->seconds > 0 && repeat_now() - begun >= options->seconds))
            atomic_store(&sum.shared->must_stop, true);
    }
    done = add_up(&sum, torture_end);
    print_sum(&sum, done, repeat_now() - begun, repeat_children_cpu());
    (void)munmap(sum.shared, sizeof *sum.shared);
    return is_good;
}
