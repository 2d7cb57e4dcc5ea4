/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * forget.c: before a log is opened, let go of what the system remembers of its undurable end.
 *
 * What. After a write-back that failed the page cache shows what the disk does not have (D5). To
 * write that again is not enough everywhere: ext4 (seen with Linux 6.18) takes reserved space for
 * written once the first attempt has failed, writes the data, lets the sync succeed, and after the
 * next mount reads zeros there. A page that was dropped and is read anew is written as any other.
 * btrfs forgets to note what a failed sync did write. So what is dirty is synced (on btrfs its
 * transaction is committed), and then what lies above the watermark is dropped: recovery judges
 * what the disk has. What lies below it was synced, so memory is right there; a large cached log
 * need not be read again.
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

int nw_forget_file(struct nori_folder *folder, const char *name, uint64_t offset)
{
    int rc = can_forget(folder) ? folder->ops->forget(folder, name, offset) : 0;
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

static int forget_link(const struct nw_env *env, const struct nw_link *link, uint64_t watermark,
                       struct nori_error *error)
{
    char name[NW_NAME_MAX];
    int rc;

    nw_link_name(link, name);
    rc = nw_forget_file(env->folder, name, watermark > link->start ? watermark - link->start : 0);
    return rc >= 0 ? NORI_OK
                   : nw_io_error(error, rc, (struct nori_position){link->id, 0},
                                 "open: sync what was written to %s", name);
}

int nw_forget_undurable(const struct nw_env *env, const struct nw_chain *chain,
                        const struct nw_control *control, uint64_t watermark,
                        struct nori_error *error)
{
    int rc = NORI_OK;
    int has_any = 0;

    if (!can_forget(env->folder) || is_closed(chain, control, watermark))
        return 0;
    for (size_t i = chain->first_live; rc >= 0 && i < chain->count; i++) {
        const struct nw_link *link = &chain->links[i];

        if (link->is_live && nw_link_end_lsn(link) > watermark) {
            rc = forget_link(env, link, watermark, error);
            has_any = 1;
        }
    }
    return rc < 0 ? rc : has_any;
}
