/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * fiber.c: who runs next, and what time it is.
 *
 * What. Each simulated thread has a stack of its own on the one real thread, and gives way where it
 * waits. The next one is drawn from those that can run. If none can, the clock jumps to the
 * earliest deadline; if there is none, nothing will ever happen again, and the machine gives up.
 *
 * Threads. The main fiber is whoever calls, on his own stack, be it the program's or that of
 * another machine's fiber.
 *
 * Failure. AddressSanitizer must be told of each change of stacks.
 *
 * Not here. Mutexes, conditions, words: thread.c.
 */
#define _GNU_SOURCE 1

#include "fiber.h"

#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#ifdef __has_feature
#    if __has_feature(address_sanitizer)
#        define HAS_ASAN 1
#    endif
#endif
#ifdef __SANITIZE_ADDRESS__
#    define HAS_ASAN 1
#endif

struct nw_sim_fiber {
    struct nori_sim *sim;
    uint64_t id;
    char name[16];
    void (*run)(void *argument);
    void *argument;
    bool is_done;

    /* Why it does not run. */
    enum nw_sim_wait reason;
    const void *object;
    uint64_t deadline_ns;
    bool is_late;

    ucontext_t context;
    void *stack; /* NULL: the main one's is not ours */

    /* AddressSanitizer's. */
    void *fake_stack;
    const void *stack_bottom;
    size_t stack_len;
};

#ifdef HAS_ASAN
#    include <sanitizer/common_interface_defs.h>

static void before_switch(struct nw_sim_fiber *from, struct nw_sim_fiber *to)
{
    __sanitizer_start_switch_fiber(from->is_done ? NULL : &from->fake_stack, to->stack_bottom,
                                   to->stack_len);
}

/* The stack that we come from tells its bounds: of the main one we did not know them. */
static void after_switch(struct nw_sim_fiber *fiber, struct nw_sim_fiber *previous)
{
    __sanitizer_finish_switch_fiber(fiber->fake_stack, &previous->stack_bottom,
                                    &previous->stack_len);
}
#else
static void before_switch(struct nw_sim_fiber *from, struct nw_sim_fiber *to)
{
    (void)from, (void)to;
}

static void after_switch(struct nw_sim_fiber *fiber, struct nw_sim_fiber *previous)
{
    (void)fiber, (void)previous;
}
#endif

void nw_sim_fibers_init(struct nori_sim *sim)
{
    struct nw_sim_fiber *fiber = nw_sim_alloc(sizeof *fiber);

    fiber->sim = sim;
    fiber->id = ++sim->next_thread_id;
    memcpy(fiber->name, "main", 5);
    sim->main_fiber = sim->running = fiber;
    sim->fibers = nw_sim_grow(NULL, 0, &sim->fiber_capacity, sizeof(struct nw_sim_fiber *));
    sim->fibers[sim->fiber_count++] = fiber;
}

void nw_sim_fibers_done(struct nori_sim *sim)
{
    if (sim->fiber_count > 1)
        nw_sim_give_up(sim, "freed while threads live");
    free(sim->main_fiber);
    free(sim->fibers);
}

static void switch_to(struct nori_sim *sim, struct nw_sim_fiber *to)
{
    struct nw_sim_fiber *from = sim->running;

    if (to == from)
        return;
    sim->previous = from;
    sim->running = to;
    before_switch(from, to);
    nw_assert(swapcontext(&from->context, &to->context) == 0);
    after_switch(from, sim->previous); /* back again, some time later */
}

static bool may_run(const struct nw_sim_fiber *fiber)
{
    return fiber->reason == NW_SIM_RUNS && !fiber->is_done;
}

static void wake(struct nw_sim_fiber *fiber, bool is_late)
{
    fiber->reason = NW_SIM_RUNS;
    fiber->object = NULL;
    fiber->deadline_ns = UINT64_MAX;
    fiber->is_late = is_late;
}

/* Wake all whose time has come; returns the earliest deadline of the others. */
static uint64_t wake_late(struct nori_sim *sim)
{
    uint64_t earliest = UINT64_MAX;

    for (size_t i = 0; i < sim->fiber_count; i++) {
        struct nw_sim_fiber *fiber = sim->fibers[i];

        if (fiber->reason == NW_SIM_RUNS || fiber->deadline_ns == UINT64_MAX)
            continue;
        if (fiber->deadline_ns <= sim->now_ns)
            wake(fiber, true);
        else
            earliest = nw_min_u64(earliest, fiber->deadline_ns);
    }
    return earliest;
}

static bool may_wake_without_cause(const struct nw_sim_fiber *fiber)
{
    return fiber->reason == NW_SIM_COND || fiber->reason == NW_SIM_WORD;
}

/* One of those for whom is_candidate holds, by chance; NULL if there is none. */
static struct nw_sim_fiber *draw(struct nori_sim *sim,
                                 bool (*is_candidate)(const struct nw_sim_fiber *fiber))
{
    struct nw_sim_fiber *found = NULL;
    uint64_t count = 0, place;

    for (size_t i = 0; i < sim->fiber_count; i++) {
        if (!is_candidate(sim->fibers[i]))
            continue;
        found = sim->fibers[i];
        count++;
    }
    if (count <= 1)
        return found;
    place = nw_sim_choice(sim, count);
    for (size_t i = 0;; i++)
        if (is_candidate(sim->fibers[i]) && place-- == 0)
            return sim->fibers[i];
}

/* Who runs next: the caller himself, or another. */
static struct nw_sim_fiber *next_fiber(struct nori_sim *sim)
{
    for (;;) {
        uint64_t earliest = wake_late(sim);
        struct nw_sim_fiber *fiber;

        if (sim->options.spurious_percent > 0 &&
            nw_sim_choice(sim, 100) < sim->options.spurious_percent) {
            fiber = draw(sim, may_wake_without_cause);
            if (fiber)
                wake(fiber, false);
        }
        fiber = draw(sim, may_run);
        if (fiber)
            return fiber;
        if (earliest == UINT64_MAX)
            nw_sim_give_up(sim, "deadlock: all threads wait, none with a deadline");
        sim->now_ns = earliest;
    }
}

/* makecontext passes ints: the pointer comes in halves. */
static void fiber_main(unsigned high, unsigned low)
{
    struct nw_sim_fiber *fiber =
        (struct nw_sim_fiber *)(uintptr_t)((uint64_t)high << 32 | (uint64_t)low);
    struct nori_sim *sim = fiber->sim;

    after_switch(fiber, sim->previous);
    fiber->run(fiber->argument);
    fiber->is_done = true;
    nw_sim_fiber_wake_all(sim, NW_SIM_THREAD_END, fiber);
    switch_to(sim, next_fiber(sim)); /* never to come back */
    nw_sim_give_up(sim, "a thread ran on after its end");
}

struct nw_sim_fiber *nw_sim_fiber_new(struct nori_sim *sim, const char *name,
                                      void (*run)(void *argument), void *argument)
{
    struct nw_sim_fiber *fiber = nw_sim_alloc(sizeof *fiber);
    uint64_t self = (uint64_t)(uintptr_t)fiber;

    fiber->sim = sim;
    fiber->id = ++sim->next_thread_id;
    (void)snprintf(fiber->name, sizeof fiber->name, "%s", name);
    fiber->run = run;
    fiber->argument = argument;
    fiber->deadline_ns = UINT64_MAX;
    fiber->stack = nw_sim_stack_new(sim->store);
    fiber->stack_bottom = fiber->stack;
    fiber->stack_len = NW_SIM_STACK_LEN;
    nw_assert(getcontext(&fiber->context) == 0);
    fiber->context.uc_stack.ss_sp = fiber->stack;
    fiber->context.uc_stack.ss_size = NW_SIM_STACK_LEN;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, (void (*)(void))fiber_main, 2, (unsigned)(self >> 32),
                (unsigned)self);

    sim->fibers = nw_sim_grow(sim->fibers, sim->fiber_count, &sim->fiber_capacity,
                              sizeof(struct nw_sim_fiber *));
    sim->fibers[sim->fiber_count++] = fiber;
    return fiber;
}

void nw_sim_fiber_join(struct nori_sim *sim, struct nw_sim_fiber *fiber)
{
    size_t place = 0;

    while (!fiber->is_done)
        (void)nw_sim_fiber_wait(sim, NW_SIM_THREAD_END, fiber, UINT64_MAX);
    while (sim->fibers[place] != fiber)
        place++;
    sim->fiber_count--;
    memmove(&sim->fibers[place], &sim->fibers[place + 1],
            (sim->fiber_count - place) * sizeof(struct nw_sim_fiber *));
    nw_sim_stack_free(sim->store, fiber->stack);
    free(fiber);
}

uint64_t nw_sim_fiber_id(const struct nw_sim_fiber *fiber)
{
    return fiber->id;
}

void nw_sim_fiber_yield(struct nori_sim *sim)
{
    if (sim->fiber_count > 1)
        switch_to(sim, next_fiber(sim));
}

void nw_sim_fiber_maybe_yield(struct nori_sim *sim)
{
    if (sim->fiber_count > 1 && sim->options.switch_percent > 0 &&
        nw_sim_choice(sim, 100) < sim->options.switch_percent)
        nw_sim_fiber_yield(sim);
}

bool nw_sim_fiber_wait(struct nori_sim *sim, enum nw_sim_wait reason, const void *object,
                       uint64_t deadline_ns)
{
    struct nw_sim_fiber *fiber = sim->running;

    fiber->reason = reason;
    fiber->object = object;
    fiber->deadline_ns = deadline_ns;
    fiber->is_late = false;
    switch_to(sim, next_fiber(sim));
    return !fiber->is_late;
}

static bool waits_for(const struct nw_sim_fiber *fiber, enum nw_sim_wait reason, const void *object)
{
    return fiber->reason == reason && fiber->object == object && !fiber->is_done;
}

void nw_sim_fiber_wake_one(struct nori_sim *sim, enum nw_sim_wait reason, const void *object)
{
    uint64_t count = 0, place;

    for (size_t i = 0; i < sim->fiber_count; i++)
        count += waits_for(sim->fibers[i], reason, object);
    if (count == 0)
        return;
    place = count > 1 ? nw_sim_choice(sim, count) : 0;
    for (size_t i = 0; i < sim->fiber_count; i++) {
        if (waits_for(sim->fibers[i], reason, object) && place-- == 0) {
            wake(sim->fibers[i], false);
            return;
        }
    }
}

void nw_sim_fiber_wake_all(struct nori_sim *sim, enum nw_sim_wait reason, const void *object)
{
    for (size_t i = 0; i < sim->fiber_count; i++)
        if (waits_for(sim->fibers[i], reason, object))
            wake(sim->fibers[i], false);
}

static const char *text_of(enum nw_sim_wait reason)
{
    switch (reason) {
    case NW_SIM_RUNS:
        return "can run";
    case NW_SIM_MUTEX:
        return "waits for mutex";
    case NW_SIM_COND:
        return "waits for condition";
    case NW_SIM_WORD:
        return "waits for word";
    case NW_SIM_THREAD_END:
        return "waits for the end of a thread";
    case NW_SIM_TIME:
        return "sleeps";
    }
    return "?";
}

void nw_sim_fiber_dump(struct nori_sim *sim)
{
    for (size_t i = 0; i < sim->fiber_count; i++) {
        const struct nw_sim_fiber *fiber = sim->fibers[i];

        (void)fprintf(stderr, "  thread %llu %s%s: %s", (unsigned long long)fiber->id, fiber->name,
                      fiber == sim->running ? " (running)" : "",
                      fiber->is_done ? "has ended, not joined" : text_of(fiber->reason));
        if (fiber->object)
            (void)fprintf(stderr, " %p", fiber->object);
        if (fiber->reason != NW_SIM_RUNS && fiber->deadline_ns != UINT64_MAX)
            (void)fprintf(stderr, " until %llu ns", (unsigned long long)fiber->deadline_ns);
        (void)fputc('\n', stderr);
    }
}
