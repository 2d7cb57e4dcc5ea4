/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * machine.c: a simulated machine's life, its counts, and the faults that its options plan.
 *
 * What. Every call of the seam passes nw_sim_begin_call, which lets other threads run, lets time
 * pass, and decides whether the call fails; those that change the disk then pass
 * nw_sim_begin_operation, which counts crash points. All that looks random comes from the seed.
 *
 * Failure. Misuse and deadlock print the seed and the state, and abort: a test that does so has
 * found something.
 *
 * Not here. Clones: cut.c.
 */
#include "fiber.h"

#include "base/assert.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CALL_NS         100u        /* that a file or folder call takes */
#define START_NS        1000000000u /* on the clock when the machine starts */
#define VERSIONS_MAX    16u
#define NOT_OF_THE_DISK (NORI_SIM_THREAD | NORI_SIM_RANDOM | NORI_SIM_MEMORY)

int nw_sim_error(int os_errno)
{
    switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NORI_VFS_ERROR(NORI_E_NOSPACE, os_errno);
    case ENOENT:
        return NORI_VFS_ERROR(NORI_E_NOTFOUND, os_errno);
    case EROFS:
    case EACCES:
    case EPERM:
        return NORI_VFS_ERROR(NORI_E_READONLY, os_errno);
    case EAGAIN:
        return NORI_VFS_ERROR(NORI_E_LOCKED, os_errno);
    case EEXIST:
    case EINVAL:
    case ELOOP:
    case EISDIR:
    case ENOTDIR:
    case ENAMETOOLONG:
        return NORI_VFS_ERROR(NORI_E_INVALID, os_errno);
    case ENOMEM:
        return NORI_VFS_ERROR(NORI_E_NOMEM, os_errno);
    case ENOSYS:
    case EOPNOTSUPP:
        return NORI_VFS_ERROR(NORI_E_UNSUPPORTED, os_errno);
    default:
        return NORI_VFS_ERROR(NORI_E_IO, os_errno);
    }
}

_Noreturn void nw_sim_give_up(struct nori_sim *sim, const char *why)
{
    (void)fprintf(stderr, "nori_sim: %s\n", why);
    nori_sim_dump(sim);
    abort();
}

uint64_t nw_sim_choice(struct nori_sim *sim, uint64_t count)
{
    return nw_sim_random(&sim->choice_state) % count;
}

/* The allocator. */

static void *sim_realloc(void *context, void *memory, size_t len)
{
    struct nori_sim *sim = context;

    if (nw_sim_must_fail(sim, NORI_SIM_MEMORY))
        return NULL;
    sim->memory_block_count += memory == NULL;
    sim->allocation_count++;
    return nw_sim_realloc(memory, len ? len : 1);
}

static void *sim_alloc(void *context, size_t len)
{
    return sim_realloc(context, NULL, len);
}

static void sim_free(void *context, void *memory)
{
    struct nori_sim *sim = context;

    if (memory)
        sim->memory_block_count--;
    free(memory);
}

/* Life. */

static void normalise(struct nori_sim_options *options)
{
    options->size = sizeof *options;
    if (options->fail_mask == 0)
        options->fail_mask = NORI_SIM_ALL_CALLS;
    if (options->fail_errno == 0)
        options->fail_errno = EIO;
    if (options->versions_max == 0)
        options->versions_max = VERSIONS_MAX;
    if (options->mapped_versions_max == 0)
        options->mapped_versions_max = 1;
}

void nori_sim_set_options(nori_sim *sim, const struct nori_sim_options *options)
{
    memset(&sim->options, 0, sizeof sim->options);
    if (options)
        memcpy(&sim->options, options,
               options->size < sizeof sim->options ? options->size : sizeof sim->options);
    normalise(&sim->options);
    sim->choice_state = nw_sim_mix(sim->options.seed, 1);
    sim->operation_count = 0;
    sim->call_count = 0;
    sim->did_fail = false;
}

struct nori_sim *nw_sim_bare(struct nw_sim_store *store)
{
    struct nori_sim *sim = nw_sim_alloc(sizeof *sim);

    sim->store = store;
    sim->vfs.size = sizeof sim->vfs;
    sim->vfs.context = sim;
    sim->vfs.open_folder = nw_sim_folder_open;
    nw_sim_thread_install(&sim->vfs);
    sim->allocator = (struct nori_allocator){.size = sizeof sim->allocator,
                                             .context = sim,
                                             .alloc = sim_alloc,
                                             .realloc = sim_realloc,
                                             .free = sim_free};
    nori_sim_set_options(sim, NULL);
    nw_sim_fibers_init(sim);
    return sim;
}

nori_sim *nori_sim_new(const struct nori_sim_options *options)
{
    struct nori_sim *sim = nw_sim_bare(nw_sim_store_new());

    nori_sim_set_options(sim, options);
    sim->now_ns = START_NS;
    sim->random_state = nw_sim_mix(sim->options.seed, 2);
    nw_assert(nw_sim_node_new(sim, true) == NW_SIM_ROOT);
    sim->nodes[NW_SIM_ROOT].link_count = 1;
    return sim;
}

void nori_sim_free(nori_sim *sim)
{
    if (!sim)
        return;
    if (sim->image_count > 0)
        nw_sim_give_up(sim, "freed while mappings are left");
    if (sim->handle_count > 0)
        nw_sim_give_up(sim, "freed while handles are open");
    nw_sim_fibers_done(sim);
    for (size_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i].inode)
            nw_sim_inode_unref(sim->store, sim->nodes[i].inode);
        if (sim->nodes[i].names)
            nw_sim_names_unref(sim->nodes[i].names);
    }
    free(sim->nodes);
    nw_sim_store_unref(sim->store);
    free(sim);
}

const struct nori_vfs *nori_sim_vfs(nori_sim *sim)
{
    return &sim->vfs;
}

const struct nori_allocator *nori_sim_allocator(nori_sim *sim)
{
    return &sim->allocator;
}

uint64_t nori_sim_operations(const nori_sim *sim)
{
    return sim->operation_count;
}

uint64_t nori_sim_calls(const nori_sim *sim)
{
    return sim->call_count;
}

int nori_sim_did_fail(const nori_sim *sim)
{
    return sim->did_fail;
}

int nori_sim_did_crash(const nori_sim *sim)
{
    return sim->did_crash;
}

uint64_t nori_sim_allocations(const nori_sim *sim)
{
    return sim->allocation_count;
}

uint64_t nori_sim_memory_blocks(const nori_sim *sim)
{
    return sim->memory_block_count;
}

uint64_t nori_sim_used_bytes(const nori_sim *sim)
{
    return sim->used_bytes;
}

/* Calls. */

bool nw_sim_must_fail(struct nori_sim *sim, uint32_t kind)
{
    const struct nori_sim_options *options = &sim->options;

    if (!(options->fail_mask & kind))
        return false;
    sim->call_count++;
    if (sim->did_fail && (options->flags & NORI_SIM_FAIL_STICKY))
        return true;
    if (sim->call_count != options->fail_nth && sim->call_count != options->fail_nth_too)
        return false;
    sim->did_fail = true;
    return true;
}

int nw_sim_begin_call(struct nori_sim *sim, uint32_t kind)
{
    const struct nori_sim_options *options = &sim->options;

    if (kind & options->delay_mask)
        nori_sim_sleep(sim, options->delay_ns);
    else
        nw_sim_fiber_maybe_yield(sim);
    sim->must_do_part = false;
    sim->must_lie = false;
    if (!(kind & NOT_OF_THE_DISK)) {
        sim->now_ns += CALL_NS;
        if (sim->did_crash)
            return nw_sim_error(EIO);
    }
    if (!nw_sim_must_fail(sim, kind))
        return 0;
    sim->must_do_part = options->flags & NORI_SIM_FAIL_PARTLY;
    sim->must_lie = kind == NORI_SIM_WRITE &&
                    (options->flags & (NORI_SIM_FAIL_LOST | NORI_SIM_FAIL_MISDIRECTED));
    if (options->flags & NORI_SIM_TRACE)
        (void)fprintf(stderr, "nori_sim: call %llu is made to %s\n",
                      (unsigned long long)sim->call_count, sim->must_lie ? "lie" : "fail");
    if (sim->must_lie)
        return 0;
    if (options->fail_code != 0)
        return NORI_VFS_ERROR(options->fail_code, options->fail_errno);
    return nw_sim_error(options->fail_errno);
}

int nw_sim_begin_operation(struct nori_sim *sim)
{
    const struct nori_sim_options *options = &sim->options;

    sim->operation_count++;
    if (options->mapped_versions_max > 1)
        nw_sim_image_absorb_all(sim);
    if (options->before_operation)
        options->before_operation(options->context, sim, sim->operation_count);
    if (sim->operation_count != options->crash_at)
        return 0;
    nw_sim_image_absorb_all(sim); /* what is stored from now on is stored by the dead */
    sim->did_crash = true;
    sim->must_do_part = options->flags & NORI_SIM_CRASH_PARTLY;
    return nw_sim_error(EIO);
}

int nw_sim_end_call(struct nori_sim *sim, int rc, const char *format, ...)
{
    if (sim->options.flags & NORI_SIM_TRACE) {
        va_list arguments;

        (void)fprintf(
            stderr, "nori_sim: thread %llu op %llu: ", (unsigned long long)sim->vfs.thread_id(sim),
            (unsigned long long)sim->operation_count);
        va_start(arguments, format);
        (void)vfprintf(stderr, format, arguments);
        va_end(arguments);
        (void)fprintf(stderr, " = %s\n", rc < 0 ? strerror(NORI_VFS_ERRNO(rc)) : "ok");
    }
    nw_sim_fiber_maybe_yield(sim);
    return rc;
}
