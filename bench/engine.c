/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * engine.c: how fast is the log, next to the least that has to be done?
 *
 * What. bench.h tells what cases, subjects and demands are. This file makes the folder, runs all
 * cases and removes the data, whatever happens. append.c, paced.c, read.c, point.c, recover.c,
 * cost.c and targets.c have the cases, floor.c the floors, report.c the turns and the output,
 * peers/ other stores. The log is used through its public interface.
 *
 * Threads. One waits for signals, so that cleaning up need not be done inside a handler. Whoever
 * ends the process first does it; all others stop where they are.
 */
#define _GNU_SOURCE 1

#include "bench.h"
#include "page.h"
#include "peers/peers.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATUS_INPUT  2
#define STATUS_SYSTEM 3

const char *bench_folder;

static bool is_folder_ours;
static bool wants_report;
static pid_t own_pid;
static _Atomic pid_t child_pid;
static atomic_flag is_ending = ATOMIC_FLAG_INIT;

/* ---- the end ---- */

static void remove_data(void)
{
    struct timespec moment = {0, 10000000};

    if (!bench_folder)
        return;
    /* Threads of a log that is still open go on making files for a moment. */
    for (int i = 0; i < 100 && !bench_remove(bench_folder, is_folder_ours); i++)
        (void)nanosleep(&moment, NULL);
}

/* The first who wants to end goes on from here; a child process never touches the data. */
static void claim_the_end(void)
{
    if (getpid() == own_pid && atomic_flag_test_and_set(&is_ending))
        for (;;)
            (void)pause();
}

static void end_now(int status) __attribute__((noreturn));
static void end_now(int status)
{
    pid_t child;

    if (getpid() != own_pid)
        _exit(status);
    child = atomic_load(&child_pid);
    if (child > 0 && kill(child, SIGKILL) == 0)
        (void)waitpid(child, NULL, 0);
    bench_page_discard();
    remove_data();
    bench_progress_clear(); /* others went on drawing it */
    _exit(status);          /* other threads are at work: no handlers */
}

void bench_give_up(const char *format, ...)
{
    va_list arguments;

    claim_the_end(); /* else a log whose files another thread removes would complain here */
    bench_progress_clear();
    va_start(arguments, format);
    fprintf(stderr, "nori bench: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    end_now(STATUS_SYSTEM);
}

void bench_must(int rc, const char *what, const struct nori_error *error)
{
    if (rc < 0)
        bench_give_up("%s: %s", what,
                      error && error->message[0] ? error->message : nori_strerror(rc));
}

void bench_check_output(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return;
    if (errno == EPIPE && wants_report && freopen("/dev/null", "w", stdout))
        return; /* nobody reads on, but the report is to be made */
    if (errno == EPIPE) {
        claim_the_end();
        end_now(0); /* the reader has seen enough, as head(1) */
    }
    bench_give_up("writing standard output: %s", strerror(errno));
}

static void *wait_for_signal(void *argument)
{
    int number = 0;

    (void)sigwait(argument, &number);
    claim_the_end();
    end_now(128 + number);
}

/* All threads block them but the one that waits. */
static void watch_signals(void)
{
    static sigset_t signals;
    pthread_t watcher;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (pthread_create(&watcher, NULL, wait_for_signal, &signals) != 0)
        bench_give_up("cannot start a thread");
    (void)pthread_detach(watcher);
}

/* ---- child processes ---- */

pid_t bench_fork(void)
{
    pid_t child;

    (void)fflush(stdout);
    child = fork();
    if (child < 0)
        bench_give_up("fork: %s", strerror(errno));
    if (child > 0)
        atomic_store(&child_pid, child);
    return child;
}

int bench_wait(pid_t child)
{
    int status = 0;

    if (waitpid(child, &status, 0) != child)
        bench_give_up("wait for a child: %s", strerror(errno));
    atomic_store(&child_pid, 0);
    return status;
}

/* ---- the folder ---- */

/* Does it hold no files? False, with errno set, also if it cannot be read. */
static bool is_empty(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    bool is = true;

    if (!folder)
        return false;
    while ((entry = readdir(folder)) != NULL)
        is &= strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    (void)closedir(folder);
    errno = 0;
    return is;
}

static int make_folder(const char *path)
{
    is_folder_ours = mkdir(path, 0700) == 0;
    if (!is_folder_ours && errno == EEXIST && !is_empty(path) && errno == 0) {
        fprintf(stderr, "nori bench: %s is not empty; data is made in a new or empty folder\n",
                path);
        return STATUS_INPUT;
    }
    if (!is_folder_ours && errno != 0) {
        fprintf(stderr, "nori bench: the folder %s: %s\n", path, strerror(errno));
        return STATUS_SYSTEM;
    }
    bench_folder = path; /* from now on its content is ours to remove */
    return 0;
}

bool bench_has_peers(void)
{
    return bench_peer_count > 0;
}

int bench_run(const struct bench_options *wanted)
{
    struct bench_options options = *wanted;
    unsigned case_count;
    int status;

    own_pid = getpid();
    if (options.rounds == 0)
        options.rounds = options.is_quick ? 3 : 5;
    if (options.seconds <= 0)
        options.seconds = options.is_quick ? 0.1 : 0.5;
    status = make_folder(options.dir);
    if (status == 0 && options.report)
        status = bench_page_prepare(options.report);
    if (status != 0) {
        remove_data();
        return status;
    }
    wants_report = options.report != NULL;
    watch_signals();

    bench_report_begin(&options);
    bench_append_cases(&options);
    bench_paced_cases(&options);
    bench_read_cases(&options);
    bench_point_cases(&options);
    bench_recover_cases(&options);
    bench_cost_cases(&options);
    bench_target_cases(&options);
    if (options.has_peers)
        bench_peer_cases(&options);
    case_count = bench_report_end(&options);

    claim_the_end();
    remove_data();
    if (case_count > 0)
        return 0;
    fprintf(stderr, "nori bench: no case has '%s' in its name\n", options.only);
    return STATUS_INPUT;
}
