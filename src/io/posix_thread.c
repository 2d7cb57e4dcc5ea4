/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * posix_thread.c: threads, mutexes and conditions from pthreads.
 *
 * What. Conditions wait by the monotonic clock, so that setting the time of day neither delays nor
 * hastens a sync. Our threads leave the application's signals to the application's threads.
 *
 * Failure. Locking and unlocking fail only by misuse, that is by a bug of ours: then the process
 * stops.
 *
 * Not here. Waits across processes: posix_futex_linux.c.
 */
#define _GNU_SOURCE 1

#include "io/posix.h"

#include "base/assert.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct nori_thread {
    pthread_t thread;
    char name[16];
    void (*run)(void *argument);
    void *argument;
};

struct nori_mutex {
    pthread_mutex_t mutex;
};

struct nori_cond {
    pthread_cond_t cond;
};

static void *thread_main(void *argument)
{
    struct nori_thread *thread = argument;

    nw_posix_system_name_thread(thread->name);
    thread->run(thread->argument);
    return NULL;
}

/* All, but those that the kernel raises for a thread's own fault: blocked, they would end the
 * process without a word from the application's crash handler, or from a sanitizer. */
static void signals_to_block(sigset_t *ret_signals)
{
    (void)sigfillset(ret_signals);
    (void)sigdelset(ret_signals, SIGSEGV);
    (void)sigdelset(ret_signals, SIGBUS);
    (void)sigdelset(ret_signals, SIGFPE);
    (void)sigdelset(ret_signals, SIGILL);
    (void)sigdelset(ret_signals, SIGABRT);
    (void)sigdelset(ret_signals, SIGTRAP);
    (void)sigdelset(ret_signals, SIGSYS);
}

int nw_posix_thread_start(void *context, const char *name, void (*run)(void *argument),
                          void *argument, struct nori_thread **ret_thread)
{
    struct nori_thread *thread = calloc(1, sizeof *thread);
    sigset_t blocked, before;
    int failure;

    (void)context;
    if (!thread)
        return NORI_VFS_ERROR(NORI_E_NOMEM, ENOMEM);
    (void)snprintf(thread->name, sizeof thread->name, "%s", name);
    thread->run = run;
    thread->argument = argument;

    signals_to_block(&blocked);
    (void)pthread_sigmask(SIG_BLOCK, &blocked, &before); /* the new thread inherits it */
    failure = pthread_create(&thread->thread, NULL, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure) {
        free(thread);
        return NORI_VFS_ERROR(NORI_E_NOMEM, failure); /* EAGAIN: no thread to be had */
    }
    *ret_thread = thread;
    return 0;
}

void nw_posix_thread_join(void *context, struct nori_thread *thread)
{
    (void)context;
    nw_assert(pthread_join(thread->thread, NULL) == 0);
    free(thread);
}

uint64_t nw_posix_thread_id(void *context)
{
    static _Atomic uint64_t last;
    static _Thread_local uint64_t mine; /* a number that no other thread ever had */

    (void)context;
    if (mine == 0)
        mine = atomic_fetch_add(&last, 1) + 1;
    return mine;
}

int nw_posix_mutex_new(void *context, struct nori_mutex **ret_mutex)
{
    struct nori_mutex *mutex = calloc(1, sizeof *mutex);

    (void)context;
    if (!mutex)
        return NORI_VFS_ERROR(NORI_E_NOMEM, ENOMEM);
    if (pthread_mutex_init(&mutex->mutex, NULL) != 0) {
        free(mutex);
        return NORI_VFS_ERROR(NORI_E_NOMEM, ENOMEM);
    }
    *ret_mutex = mutex;
    return 0;
}

void nw_posix_mutex_lock(void *context, struct nori_mutex *mutex)
{
    (void)context;
    nw_assert(pthread_mutex_lock(&mutex->mutex) == 0);
}

void nw_posix_mutex_unlock(void *context, struct nori_mutex *mutex)
{
    (void)context;
    nw_assert(pthread_mutex_unlock(&mutex->mutex) == 0);
}

void nw_posix_mutex_free(void *context, struct nori_mutex *mutex)
{
    (void)context;
    if (!mutex)
        return;
    nw_assert(pthread_mutex_destroy(&mutex->mutex) == 0);
    free(mutex);
}

int nw_posix_cond_new(void *context, struct nori_cond **ret_cond)
{
    struct nori_cond *cond = calloc(1, sizeof *cond);
    pthread_condattr_t attributes;
    int failure;

    (void)context;
    if (!cond)
        return NORI_VFS_ERROR(NORI_E_NOMEM, ENOMEM);
    failure = pthread_condattr_init(&attributes);
    if (!failure) {
        failure = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        if (!failure)
            failure = pthread_cond_init(&cond->cond, &attributes);
        (void)pthread_condattr_destroy(&attributes);
    }
    if (failure) {
        free(cond);
        return NORI_VFS_ERROR(NORI_E_NOMEM, failure);
    }
    *ret_cond = cond;
    return 0;
}

int nw_posix_cond_wait(void *context, struct nori_cond *cond, struct nori_mutex *mutex,
                       uint64_t deadline_ns)
{
    struct timespec deadline;
    int failure;

    (void)context;
    if (deadline_ns == UINT64_MAX) {
        failure = pthread_cond_wait(&cond->cond, &mutex->mutex);
    } else {
        deadline.tv_sec = (time_t)(deadline_ns / 1000000000u);
        deadline.tv_nsec = (long)(deadline_ns % 1000000000u);
        failure = pthread_cond_timedwait(&cond->cond, &mutex->mutex, &deadline);
    }
    nw_assert(failure == 0 || failure == ETIMEDOUT);
    return failure ? NORI_E_TIMEOUT : 0;
}

void nw_posix_cond_wake_one(void *context, struct nori_cond *cond)
{
    (void)context;
    nw_assert(pthread_cond_signal(&cond->cond) == 0);
}

void nw_posix_cond_wake_all(void *context, struct nori_cond *cond)
{
    (void)context;
    nw_assert(pthread_cond_broadcast(&cond->cond) == 0);
}

void nw_posix_cond_free(void *context, struct nori_cond *cond)
{
    (void)context;
    if (!cond)
        return;
    nw_assert(pthread_cond_destroy(&cond->cond) == 0);
    free(cond);
}
