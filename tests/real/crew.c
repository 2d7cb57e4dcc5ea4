/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* crew.c: numbers tried by several processes at once, each on a file system of its own. */
#define _GNU_SOURCE 1 /* MAP_ANONYMOUS, usleep */

#include "crew.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOOK_US 50000

bool crew_take(struct crew *crew, uint64_t *ret_number)
{
    struct crew_board *board = crew->board;

    atomic_store(&board->in_hand[crew->own], atomic_load(&board->next)); /* or above it */
    if (atomic_load(&board->must_stop) || atomic_load(&board->next) >= crew->end)
        return false;
    *ret_number = atomic_fetch_add(&board->next, 1);
    atomic_store(&board->in_hand[crew->own], *ret_number);
    return *ret_number < crew->end;
}

char *crew_why(const struct crew *crew)
{
    return crew->board->why[crew->own];
}

static size_t size_of(const struct crew *crew)
{
    const char *text = getenv("NORI_JOBS");
    unsigned long size = text ? strtoul(text, NULL, 10) : crew->size;

    return size < 1 ? 1 : size > CREW_MAX ? CREW_MAX : (size_t)size;
}

_Noreturn static void work(struct crew *crew)
{
    const char *lack;
    bool is_good;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    repeat_catch();
    lack = place_enter(&crew->harness->place);
    if (lack)
        (void)snprintf(crew_why(crew), sizeof crew->board->why[0], "%s", lack);
    is_good = !lack && crew->work(crew);
    place_leave(&crew->harness->place);
    _exit(is_good ? 0 : 1);
}

static uint64_t least_in_hand(const struct crew *crew)
{
    uint64_t least = crew->end;

    for (size_t i = 0; i < crew->size; i++) {
        uint64_t number = atomic_load(&crew->board->in_hand[i]);

        least = number < least ? number : least;
    }
    return least;
}

static void note_end(const struct crew *crew, const pid_t *children, pid_t ended, int status)
{
    struct crew_board *board = crew->board;

    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    atomic_store(&board->must_stop, true);
    for (size_t i = 0; i < crew->size; i++)
        if (children[i] == ended && atomic_load(&board->failed) == 0)
            atomic_store(&board->failed, i + 1);
}

static void wait_for_all(const struct crew *crew, const pid_t *children)
{
    for (size_t running = crew->size; running > 0;) {
        int status = 0;
        pid_t ended = waitpid(-1, &status, WNOHANG);
        uint64_t next = least_in_hand(crew);

        if (ended > 0) {
            note_end(crew, children, ended, status);
            running--;
            continue;
        }
        torture_progress(next, next - crew->from);
        if (!harness_has_time(crew->harness))
            atomic_store(&crew->board->must_stop, true);
        (void)usleep(LOOK_US);
    }
}

uint64_t crew_run(struct crew *crew)
{
    pid_t children[CREW_MAX];
    size_t failed;

    crew->size = size_of(crew);
    crew->board =
        mmap(NULL, sizeof *crew->board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (crew->board == MAP_FAILED)
        abort();
    atomic_store(&crew->board->next, crew->from);
    for (size_t i = 0; i < crew->size; i++)
        atomic_store(&crew->board->in_hand[i], crew->from);
    (void)fflush(NULL);
    for (crew->own = 0; crew->own < crew->size; crew->own++) {
        children[crew->own] = fork();
        if (children[crew->own] == 0)
            work(crew);
        if (children[crew->own] < 0)
            abort();
    }
    wait_for_all(crew, children);
    failed = atomic_load(&crew->board->failed);
    if (failed > 0) {
        crew->repeat(crew, atomic_load(&crew->board->in_hand[failed - 1]));
        harness_fail(crew->board->why[failed - 1][0] ? crew->board->why[failed - 1]
                                                     : "a process died");
    }
    return least_in_hand(crew);
}

void crew_done(struct crew *crew)
{
    (void)munmap(crew->board, sizeof *crew->board);
}
