/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * forget.c: before a log is opened, let go of what the system remembers of its undurable end.
 *
 * What. After a write-back that failed the page cache shows what the disk does not have (D5). To
 * write that again is not enough everywhere: ext4 (seen with Linux 6.18) takes reserved space for
 * written once the first attempt has failed, writes the data, lets the sync succeed, and after the
 * next mount reads zeros there. A page that was dropped and is read anew is written as any other.
 * So what is dirty is synced, and then everything is dropped of the segments that are not durable
 * as a whole: recovery judges what the disk has.
 *
 * Threads. One, with the folder's lock held.
 *
 * Failure. A sync that fails is an error of open: the next one finds out what is there. What cannot
 * be read or opened is left for recovery to tell. Pages that another process has mapped stay.
 *
 * Not here. `spare`, which is empty, is dropped where it is taken up again: space.c.
 */
#include "wal/forget.h"

#include "format/names.h"

static bool can_forget(const struct nori_folder *folder)
{
    return NW_HAS_MEMBER(folder->ops, forget) && folder->ops->forget;
}

int nw_forget_file(struct nori_folder *folder, const char *name)
{
    int rc = can_forget(folder) ? folder->ops->forget(folder, name) : 0;
    int code = NORI_VFS_CODE(rc);

    return code == NORI_E_NOTFOUND || code == NORI_E_READONLY || code == NORI_E_INVALID ? 0 : rc;
}

/* The last writer closed it, and said so durably: all is as the disk has it. */
static bool is_closed(const struct nw_chain *chain, const struct nw_control *control,
                      uint64_t watermark)
{
    const struct nw_link *last = nw_chain_last(chain);

    return last && control && last->format == 2 &&
           atomic_load(&control->words->clean) == watermark &&
           atomic_load(&control->words->clean_salt) == last->header.salt;
}

static int forget_link(const struct nw_env *env, const struct nw_link *link,
                       struct nori_error *error)
{
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = nw_forget_file(env->folder, name);
    return rc >= 0 ? NORI_OK
                   : nw_io_error(error, rc, (struct nori_position){link->id, 0},
                                 "open: sync what was written to %s", name);
}

int nw_forget_undurable(const struct nw_env *env, struct nori_error *error)
{
    struct nori_error ignored = NORI_ERROR_INIT;
    struct nw_control *control = NULL;
    struct nw_chain chain;
    uint64_t watermark;
    int rc = NORI_OK;

    if (!can_forget(env->folder))
        return NORI_OK;
    nw_chain_init(&chain, env->allocator);
    if (nw_chain_load(&chain, env, false, &ignored) < 0 ||
        nw_control_open(env, false, &control, &ignored) < 0)
        goto out;
    watermark = nw_chain_watermark(&chain);
    watermark = nw_max_u64(watermark, nw_control_watermark(control, &chain));
    for (size_t i = chain.first_live; i < chain.count && !is_closed(&chain, control, watermark);
         i++) {
        const struct nw_link *link = &chain.links[i];

        if (rc >= 0 && link->is_live &&
            (link->end == NW_OPEN_END || link->start + link->end > watermark))
            rc = forget_link(env, link, error);
    }
out:
    nw_control_unref(control);
    nw_chain_done(&chain);
    return rc;
}
