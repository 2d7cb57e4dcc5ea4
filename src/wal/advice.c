/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * advice.c: what was measured of the disk, kept in `control`, and what `preallocate = auto` makes
 * of it.
 *
 * What. Some words in the page, and a check over them. They are believed in the very file they were
 * stored in (a copy has another inode) and on the device that was measured (a copied device has
 * the same inode). Whoever measures stores them, beside a live writer or none; only open reads
 * them.
 *
 * Failure. What was torn by a power cut, or by two who stored at once, does not pass its check;
 * then there is no advice, which costs speed at most.
 *
 * Not here. Measuring: the tool's command doctor.
 */
#include "wal/advice.h"

#include "format/names.h"
#include "wal/chain.h"
#include "wal/inspect.h"

#include <string.h>

#define ADVICE_SEED ((uint64_t)0x6164766963650001) /* so that a page of zeros has no advice */

uint64_t nw_advice_check(const struct nori_log_advice *advice, uint64_t device)
{
    const uint64_t words[] = {ADVICE_SEED,         advice->preallocate, device,
                              advice->measured_ms, advice->growing_ns,  advice->reserved_ns,
                              advice->zeroed_ns};
    uint64_t check = 0;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        check = nw_splitmix64(check ^ words[i]);
    return check;
}

static bool is_answer(uint64_t preallocate)
{
    return preallocate == NORI_PREALLOCATE_RESERVE || preallocate == NORI_PREALLOCATE_ZERO;
}

bool nw_advice_load(const struct nw_control *control, struct nori_log_advice *ret_advice)
{
    const struct nw_advice_words *words = &control->words->advice;
    struct nori_log_advice advice = NORI_LOG_ADVICE_INIT;
    struct nori_file_info info = {0};
    uint64_t preallocate = atomic_load(&words->preallocate);
    uint64_t device = atomic_load(&words->device);

    if (!control->file || !control->is_in_place || !is_answer(preallocate))
        return false;
    advice.preallocate = (uint32_t)preallocate;
    advice.measured_ms = atomic_load(&words->measured_ms);
    advice.growing_ns = atomic_load(&words->growing_ns);
    advice.reserved_ns = atomic_load(&words->reserved_ns);
    advice.zeroed_ns = atomic_load(&words->zeroed_ns);
    if (atomic_load(&words->check) != nw_advice_check(&advice, device) ||
        control->file->ops->stat(control->file, &info) < 0 || info.device != device)
        return false;
    *ret_advice = advice;
    return true;
}

uint32_t nw_advice_preallocate(const struct nw_control *control, uint32_t fsync_policy)
{
    struct nori_log_advice advice;

    if (fsync_policy != NORI_FSYNC_ALWAYS || !nw_advice_load(control, &advice))
        return NORI_PREALLOCATE_RESERVE;
    return advice.preallocate;
}

static int store(struct nw_control *control, const struct nori_log_advice *advice,
                 struct nori_error *error)
{
    struct nw_advice_words *words = &control->words->advice;
    struct nori_file_info info = {0};
    int rc = control->file->ops->stat(control->file, &info);

    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "look at %s", NW_NAME_CONTROL);
    atomic_store(&words->check, 0); /* of what is changed now, nothing counts */
    atomic_store(&words->preallocate, advice->preallocate);
    atomic_store(&words->device, info.device);
    atomic_store(&words->measured_ms, advice->measured_ms);
    atomic_store(&words->growing_ns, advice->growing_ns);
    atomic_store(&words->reserved_ns, advice->reserved_ns);
    atomic_store(&words->zeroed_ns, advice->zeroed_ns);
    atomic_store(&words->check, nw_advice_check(advice, info.device));
    return NORI_OK;
}

static int has_no_segments(const struct nw_env *env, struct nori_error *error)
{
    struct nw_chain chain;
    int rc;

    nw_chain_init(&chain, env->allocator);
    rc = nw_chain_load(&chain, env, false, error);
    if (rc >= 0 && chain.count > 0)
        rc = nw_error_set(error, NORI_E_NOTFOUND, 0, NW_NOWHERE,
                          "the log has no %s yet: it gets one when it is opened", NW_NAME_CONTROL);
    nw_chain_done(&chain);
    return rc;
}

/* In a folder without a log, as the first open does, which then keeps it. Its ring is made by that
 * open. */
static int make_control(const struct nw_env *env, struct nw_control **ret_control,
                        struct nori_error *error)
{
    uint64_t log_id = 0;
    int rc = env->folder->ops->lock(env->folder); /* so that nobody else makes one */

    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "take the writer's lock");
    rc = has_no_segments(env, error);
    if (rc < 0)
        return rc;
    while (log_id == 0) {
        rc = env->vfs->random(env->vfs->context, &log_id, sizeof log_id);
        if (rc < 0)
            return nw_io_error(error, rc, NW_NOWHERE, "random bytes");
    }
    rc = nw_control_create(env, 0600, log_id, 0, false, ret_control, error);
    if (rc >= 0 && !(*ret_control)->file)
        rc = nw_error_set(error, NORI_E_UNSUPPORTED, 0, NW_NOWHERE,
                          "there can be no file %s: no space, or it cannot be mapped here",
                          NW_NAME_CONTROL);
    if (rc >= 0)
        nw_control_announce(*ret_control);
    return rc;
}

static int open_control(const struct nw_env *env, struct nw_control **ret_control,
                        struct nori_error *error)
{
    struct nori_file *file = NULL;
    int rc = env->folder->ops->open_file(env->folder, NW_NAME_CONTROL, NORI_FILE_WRITE, 0, &file);

    if (rc < 0 && NORI_VFS_CODE(rc) == NORI_E_NOTFOUND)
        return make_control(env, ret_control, error);
    if (rc < 0)
        return nw_io_error(error, rc, NW_NOWHERE, "open %s", NW_NAME_CONTROL);
    file->ops->close(file);
    /* As a reader does: only who has the writer's lock may write to it by other ways than its
     * mapping. A live writer's ring would go back to what it was a moment ago. */
    rc = nw_control_open(env, false, ret_control, error);
    if (rc >= 0 && *ret_control && !(*ret_control)->is_writable) {
        nw_control_unref(*ret_control);
        *ret_control = NULL;
        return nw_error_set(error, NORI_E_UNSUPPORTED, 0, NW_NOWHERE,
                            "%s cannot be stored to, since it shares its blocks with a copy: the "
                            "next open for writing mends that",
                            NW_NAME_CONTROL);
    }
    if (rc >= 0 && !*ret_control)
        rc = nw_error_set(error, NORI_E_NOTFOUND, 0, NW_NOWHERE,
                          "%s is a copy, or of another version: it is made anew when the log is "
                          "opened",
                          NW_NAME_CONTROL);
    return rc;
}

static int check_advice(const struct nori_log_advice *given, struct nori_log_advice *ret_advice,
                        struct nori_error *error)
{
    struct nori_log_advice advice = NORI_LOG_ADVICE_INIT;
    const char *problem = NULL;

    if (!given || given->size < offsetof(struct nori_log_advice, reserved))
        problem = "there is no advice, or its size is not set: use NORI_LOG_ADVICE_INIT";
    else if (!nw_env_knows_all(given, given->size, sizeof advice))
        problem = "advice.size is beyond reason, or fields are set that this version does not know";
    if (!problem) {
        memcpy(&advice, given, given->size < sizeof advice ? given->size : sizeof advice);
        if (!is_answer(advice.preallocate))
            problem = "advice.preallocate is neither RESERVE nor ZERO";
        else if (advice.reserved != 0)
            problem = "advice.reserved is not zero";
    }
    if (problem)
        return nw_error_set(error, NORI_E_INVALID, 0, NW_NOWHERE, "%s", problem);
    *ret_advice = advice;
    return NORI_OK;
}

int nori_log_advise(const char *dir, const struct nori_log_options *options,
                    const struct nori_log_advice *advice, struct nori_error *ret_error)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nw_control *control = NULL;
    struct nori_log_options full;
    struct nori_log_advice known = NORI_LOG_ADVICE_INIT;
    struct nw_staged staged;
    struct nw_env env;
    int rc = check_advice(advice, &known, ret_error);

    if (rc >= 0)
        rc = nw_inspect_begin(dir, options, 0, &env, &staged, &full, ret_error);
    if (rc < 0)
        return rc;
    if (known.measured_ms == 0)
        known.measured_ms = env.vfs->realtime_ms(env.vfs->context);
    rc = open_control(&env, &control, &error);
    if (rc >= 0)
        rc = store(control, &known, &error);
    nw_control_unref(control);
    nw_inspect_end(&env);
    if (rc < 0)
        nw_error_copy(ret_error, &error);
    return rc;
}

int nori_log_advice(const char *dir, const struct nori_log_options *options,
                    struct nori_log_advice *ret_advice, struct nori_error *ret_error)
{
    struct nori_error error = NORI_ERROR_INIT;
    struct nw_control *control = NULL;
    struct nori_log_options full;
    struct nori_log_advice advice;
    struct nw_staged staged;
    struct nw_env env;
    size_t size = ret_advice ? ret_advice->size : 0;
    int rc;

    if (size < sizeof size)
        return nw_error_set(ret_error, NORI_E_INVALID, 0, NW_NOWHERE,
                            "ret_advice is NULL, or its size is not set");
    rc = nw_inspect_begin(dir, options, 0, &env, &staged, &full, ret_error);
    if (rc < 0)
        return rc;
    rc = nw_control_open(&env, false, &control, &error);
    if (rc >= 0 && (!control || !nw_advice_load(control, &advice)))
        rc = nw_error_set(&error, NORI_E_NOTFOUND, 0, NW_NOWHERE, "there is no advice");
    nw_control_unref(control);
    nw_inspect_end(&env);
    if (rc < 0) {
        nw_error_copy(ret_error, &error);
        return rc;
    }
    nw_env_give(ret_advice, size, &advice, sizeof advice);
    return NORI_OK;
}
