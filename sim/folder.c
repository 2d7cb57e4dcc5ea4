/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * folder.c: a handle of a simulated folder: the folder operations of nori/vfs.h.
 *
 * What. Each operation begins as all calls do (machine.c), checks what a kernel would check, and
 * works on the names.
 *
 * Not here. What survives a power cut: names.c.
 */
#include "fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sim_folder {
    struct nori_folder base;
    struct nori_sim *sim;
    uint32_t node;
    bool has_lock;
};

static const struct nori_folder_ops folder_ops;

static struct sim_folder *from_base(struct nori_folder *folder)
{
    return (struct sim_folder *)folder; /* the base is its first member */
}

static const struct nw_sim_name *find(struct sim_folder *folder, const char *name)
{
    return nw_sim_names_find(folder->sim->nodes[folder->node].names, name);
}

/* The checks that every call with a name begins with. */
static int begin_named(struct sim_folder *folder, uint32_t kind, const char *name)
{
    int rc = nw_sim_begin_call(folder->sim, kind);

    return rc < 0 ? rc : nw_sim_node_check_name(name);
}

static int open_file_now(struct sim_folder *folder, const char *name, uint32_t flags,
                         struct nori_file **ret_file)
{
    struct nori_sim *sim = folder->sim;
    const struct nw_sim_name *found;
    uint32_t node;
    int rc;

    rc = begin_named(folder, NORI_SIM_OPEN, name);
    if (rc < 0)
        return rc;
    found = find(folder, name);
    if (found && (flags & NORI_FILE_CREATE) && (flags & NORI_FILE_EXCLUSIVE))
        return nw_sim_error(EEXIST);
    if (found && !sim->nodes[found->node].inode)
        return nw_sim_error(EISDIR);
    if (!found && !(flags & NORI_FILE_CREATE))
        return nw_sim_error(ENOENT);
    if (found) {
        node = found->node;
    } else {
        rc = nw_sim_begin_operation(sim);
        if (rc < 0)
            return rc;
        node = nw_sim_node_new(sim, false);
        sim->nodes[node].inode->is_in_place = flags & NORI_FILE_MAPPED;
        nw_sim_node_link(sim, folder->node, name, node);
    }
    *ret_file = nw_sim_file_new(sim, node, flags & NORI_FILE_WRITE, name);
    return 0;
}

static int folder_open_file(struct nori_folder *base, const char *name, uint32_t flags,
                            uint32_t mode, struct nori_file **ret_file)
{
    struct sim_folder *folder = from_base(base);
    int rc = open_file_now(folder, name, flags, ret_file);

    (void)mode;
    return nw_sim_end_call(folder->sim, rc, "open %s%s", name,
                           flags & NORI_FILE_CREATE ? ", create" : "");
}

static int list_names(const struct nw_sim_name_list *list, size_t first,
                      int (*entry)(void *context, const char *name), void *context)
{
    for (size_t i = 0; i < list->count; i++) {
        int rc = entry(context, list->items[(first + i) % list->count].text);

        if (rc != 0)
            return rc;
    }
    return 0;
}

static int folder_list(struct nori_folder *base, int (*entry)(void *context, const char *name),
                       void *context)
{
    struct sim_folder *folder = from_base(base);
    struct nori_sim *sim = folder->sim;
    struct nw_sim_names *names;
    size_t count;
    int rc = nw_sim_begin_call(sim, NORI_SIM_LIST);

    if (rc == 0) {
        /* A reference of our own, as entry may change the folder. No program may rely on the order.
         * */
        names = nw_sim_names_ref(sim->nodes[folder->node].names);
        count = names->now.count;
        rc = list_names(&names->now, count > 1 ? (size_t)nw_sim_choice(sim, count) : 0, entry,
                        context);
        nw_sim_names_unref(names);
    }
    return nw_sim_end_call(sim, rc, "list");
}

static int rename_now(struct sim_folder *folder, const char *source, const char *target)
{
    int rc = begin_named(folder, NORI_SIM_RENAME, source);

    if (rc == 0)
        rc = nw_sim_node_check_name(target);
    if (rc < 0)
        return rc;
    if (!find(folder, source))
        return nw_sim_error(ENOENT);
    if (find(folder, target))
        return nw_sim_error(EEXIST);
    rc = nw_sim_begin_operation(folder->sim);
    if (rc < 0)
        return rc;
    nw_sim_node_rename(folder->sim, folder->node, find(folder, source), target);
    return 0;
}

static int folder_rename(struct nori_folder *base, const char *source, const char *target)
{
    struct sim_folder *folder = from_base(base);
    int rc = rename_now(folder, source, target);

    return nw_sim_end_call(folder->sim, rc, "rename %s to %s", source, target);
}

static int move_now(struct sim_folder *folder, const char *name, struct sim_folder *target_folder,
                    const char *target)
{
    int rc = begin_named(folder, NORI_SIM_RENAME, name);

    if (rc == 0)
        rc = nw_sim_node_check_name(target);
    if (rc < 0)
        return rc;
    if (!find(folder, name))
        return nw_sim_error(ENOENT);
    if (find(target_folder, target))
        return nw_sim_error(EEXIST);
    rc = nw_sim_begin_operation(folder->sim);
    if (rc < 0)
        return rc;
    nw_sim_node_move(folder->sim, folder->node, find(folder, name), target_folder->node, target);
    return 0;
}

static int folder_move(struct nori_folder *base, const char *name, struct nori_folder *target_base,
                       const char *target)
{
    struct sim_folder *folder = from_base(base);
    int rc = move_now(folder, name, from_base(target_base), target);

    return nw_sim_end_call(folder->sim, rc, "move %s to %s", name, target);
}

static int remove_now(struct sim_folder *folder, const char *name)
{
    const struct nw_sim_name *found;
    int rc = begin_named(folder, NORI_SIM_REMOVE, name);

    if (rc < 0)
        return rc;
    found = find(folder, name);
    if (!found)
        return nw_sim_error(ENOENT);
    if (!folder->sim->nodes[found->node].inode)
        return nw_sim_error(EISDIR);
    rc = nw_sim_begin_operation(folder->sim);
    if (rc < 0)
        return rc;
    nw_sim_node_unlink(folder->sim, folder->node, find(folder, name));
    return 0;
}

static int folder_remove(struct nori_folder *base, const char *name)
{
    struct sim_folder *folder = from_base(base);

    return nw_sim_end_call(folder->sim, remove_now(folder, name), "remove %s", name);
}

static int sync_names(struct nori_sim *sim, uint32_t node)
{
    uint64_t stamp;
    int rc = nw_sim_begin_call(sim, NORI_SIM_FOLDER_SYNC);

    if (rc == 0)
        rc = nw_sim_begin_operation(sim);
    if (rc < 0 || (sim->options.flags & NORI_SIM_LYING_FOLDER_SYNC))
        return rc;
    stamp = sim->stamp; /* what comes while we wait is not part of it */
    if (sim->options.sync_latency_ns > 0) {
        nori_sim_sleep(sim, sim->options.sync_latency_ns);
        if (sim->did_crash)
            return nw_sim_error(EIO);
    }
    if (sim->nodes[node].names->change_count > 0)
        nw_sim_names_sync(nw_sim_node_own_names(sim, node), stamp);
    return 0;
}

static int folder_sync(struct nori_folder *base)
{
    struct sim_folder *folder = from_base(base);

    return nw_sim_end_call(folder->sim, sync_names(folder->sim, folder->node), "sync folder");
}

static int folder_lock(struct nori_folder *base)
{
    struct sim_folder *folder = from_base(base);
    struct nw_sim_node *node;
    int rc = nw_sim_begin_call(folder->sim, NORI_SIM_LOCK);

    if (rc == 0 && !folder->has_lock) {
        node = &folder->sim->nodes[folder->node];
        if (node->has_writer)
            rc = nw_sim_error(EAGAIN);
        else
            node->has_writer = folder->has_lock = true;
    }
    return nw_sim_end_call(folder->sim, rc, "lock folder");
}

static int folder_announce(struct nori_folder *base)
{
    struct sim_folder *folder = from_base(base);
    int rc = nw_sim_begin_call(folder->sim, NORI_SIM_LOCK);

    if (rc == 0 && !folder->has_lock)
        rc = nw_sim_error(EINVAL);
    if (rc == 0)
        folder->sim->nodes[folder->node].is_announced = true;
    return nw_sim_end_call(folder->sim, rc, "announce the folder's writer");
}

static int folder_is_announced(struct nori_folder *base)
{
    struct sim_folder *folder = from_base(base);
    int rc = nw_sim_begin_call(folder->sim, NORI_SIM_LOCK);

    if (rc == 0)
        rc = folder->sim->nodes[folder->node].is_announced;
    return nw_sim_end_call(folder->sim, rc, "ask for the folder's writer");
}

static void folder_close(struct nori_folder *base)
{
    struct sim_folder *folder = from_base(base);

    if (folder->has_lock) {
        folder->sim->nodes[folder->node].has_writer = false;
        folder->sim->nodes[folder->node].is_announced = false;
    }
    nw_sim_node_close(folder->sim, folder->node);
    free(folder);
}

static struct nori_folder *folder_new(struct nori_sim *sim, uint32_t node)
{
    struct sim_folder *folder = nw_sim_alloc(sizeof *folder);

    folder->base.ops = &folder_ops;
    folder->sim = sim;
    folder->node = node;
    nw_sim_node_open(sim, node);
    return &folder->base;
}

/* Open the folder of this name within another; create it if allowed, and then sync the other. */
static int open_within(struct nori_sim *sim, uint32_t parent, const char *name, uint32_t flags,
                       struct nori_folder **ret_folder)
{
    const struct nw_sim_name *found = nw_sim_names_find(sim->nodes[parent].names, name);
    uint32_t node;
    int rc;

    if (!found && !(flags & NORI_FOLDER_CREATE))
        return nw_sim_error(ENOENT);
    if (found && !sim->nodes[found->node].names)
        return nw_sim_error(ENOTDIR);
    if (found) {
        node = found->node;
    } else {
        rc = nw_sim_begin_operation(sim);
        if (rc < 0)
            return rc;
        node = nw_sim_node_new(sim, true);
        nw_sim_node_link(sim, parent, name, node);
    }
    /* Also if it was there: whoever created it may have died before this. */
    if ((flags & NORI_FOLDER_CREATE) && sim->nodes[parent].names->change_count > 0) {
        rc = sync_names(sim, parent);
        if (rc < 0)
            return rc;
    }
    *ret_folder = folder_new(sim, node);
    return 0;
}

static int folder_open_folder(struct nori_folder *base, const char *name, uint32_t flags,
                              uint32_t mode, struct nori_folder **ret_folder)
{
    struct sim_folder *folder = from_base(base);
    bool is_itself = strcmp(name, ".") == 0;
    int rc = is_itself ? nw_sim_begin_call(folder->sim, NORI_SIM_OPEN)
                       : begin_named(folder, NORI_SIM_OPEN, name);

    (void)mode;
    if (rc == 0 && is_itself)
        *ret_folder = folder_new(folder->sim, folder->node);
    else if (rc == 0)
        rc = open_within(folder->sim, folder->node, name, flags, ret_folder);
    return nw_sim_end_call(folder->sim, rc, "open folder %s", name);
}

int nw_sim_folder_open(void *context, const char *path, uint32_t flags, uint32_t mode,
                       struct nori_folder **ret_folder)
{
    struct nori_sim *sim = context;
    struct nw_sim_place place;
    int rc = nw_sim_begin_call(sim, NORI_SIM_OPEN);

    (void)mode;
    if (rc == 0) {
        rc = nw_sim_node_walk(sim, path, &place);
        if (place.has_folder)
            rc = open_within(sim, place.folder, place.name, flags, ret_folder);
        else if (rc == 0)
            *ret_folder = folder_new(sim, NW_SIM_ROOT);
    }
    return nw_sim_end_call(sim, rc, "open folder %s", path);
}

static const struct nori_folder_ops folder_ops = {
    .size = sizeof(struct nori_folder_ops),
    .open_file = folder_open_file,
    .list = folder_list,
    .rename = folder_rename,
    .remove = folder_remove,
    .sync = folder_sync,
    .lock = folder_lock,
    .announce = folder_announce,
    .is_announced = folder_is_announced,
    .open_folder = folder_open_folder,
    .close = folder_close,
    .move = folder_move,
};
