/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * node.c: the files and folders of a simulated machine, by number; how they hang together, and the
 * space they take.
 *
 * What. A node lives as long as a name leads to it, now or after a power cut, or a handle is open.
 * Those that are no more are swept when room for new ones is needed.
 */
#include "machine.h"

#include "base/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLUSTER_LEN 4096u /* bytes that a file takes at a time */

static bool is_free(const struct nw_sim_node *node)
{
    return !node->inode && !node->names;
}

/* The first free place from a place on; may be one that does not exist yet. */
static size_t find_free(const struct nori_sim *sim)
{
    size_t place = 0;

    while (place < sim->node_count && !is_free(&sim->nodes[place]))
        place++;
    return place;
}

uint32_t nw_sim_node_new(struct nori_sim *sim, bool is_folder)
{
    size_t place = sim->node_count;
    struct nw_sim_node *node;

    if (place > 0 && place == sim->node_capacity) {
        nw_sim_node_sweep(sim);
        place = find_free(sim);
    }
    if (place == sim->node_count) {
        sim->nodes =
            nw_sim_grow(sim->nodes, sim->node_count, &sim->node_capacity, sizeof *sim->nodes);
        sim->node_count++;
    }
    node = &sim->nodes[place];
    memset(node, 0, sizeof *node);
    if (is_folder)
        node->names = nw_sim_names_new();
    else
        node->inode = nw_sim_inode_new();
    node->identity = ++sim->next_identity;
    node->birth_ns = NW_SIM_EPOCH_MS * 1000000u + sim->now_ns;
    return (uint32_t)place;
}

struct nw_sim_inode *nw_sim_node_own_inode(struct nori_sim *sim, uint32_t node)
{
    sim->nodes[node].inode = nw_sim_inode_own(sim->nodes[node].inode);
    return sim->nodes[node].inode;
}

struct nw_sim_names *nw_sim_node_own_names(struct nori_sim *sim, uint32_t node)
{
    sim->nodes[node].names = nw_sim_names_own(sim->nodes[node].names);
    return sim->nodes[node].names;
}

static struct nw_sim_change change_of(struct nori_sim *sim, enum nw_sim_change_kind kind,
                                      const char *text, uint32_t node)
{
    struct nw_sim_change change = {.kind = kind, .node = node, .stamp = ++sim->stamp};

    nw_sim_name_set(change.text, text);
    return change;
}

void nw_sim_node_link(struct nori_sim *sim, uint32_t folder, const char *name, uint32_t node)
{
    struct nw_sim_change change = change_of(sim, NW_SIM_CREATE, name, node);

    nw_sim_names_change(nw_sim_node_own_names(sim, folder), &change);
    sim->nodes[node].link_count++;
}

void nw_sim_node_rename(struct nori_sim *sim, uint32_t folder, const struct nw_sim_name *found,
                        const char *target)
{
    struct nw_sim_change change = change_of(sim, NW_SIM_RENAME, found->text, found->node);

    nw_sim_name_set(change.target, target);
    nw_sim_names_change(nw_sim_node_own_names(sim, folder), &change);
}

void nw_sim_node_move(struct nori_sim *sim, uint32_t folder, const struct nw_sim_name *found,
                      uint32_t target_folder, const char *target)
{
    struct nw_sim_change leave = change_of(sim, NW_SIM_REMOVE, found->text, found->node);
    struct nw_sim_change arrive = change_of(sim, NW_SIM_CREATE, target, found->node);

    nw_sim_names_change_durably(nw_sim_node_own_names(sim, target_folder), &arrive);
    nw_sim_names_change(nw_sim_node_own_names(sim, folder), &leave);
}

/* Give back the space of a file that nobody can reach any more. */
static void release_space(struct nori_sim *sim, struct nw_sim_node *node)
{
    if (node->link_count > 0 || node->handle_count > 0)
        return;
    sim->used_bytes -= node->charged_bytes;
    node->charged_bytes = 0;
}

void nw_sim_node_unlink(struct nori_sim *sim, uint32_t folder, const struct nw_sim_name *found)
{
    struct nw_sim_change change = change_of(sim, NW_SIM_REMOVE, found->text, found->node);

    nw_sim_names_change(nw_sim_node_own_names(sim, folder), &change);
    sim->nodes[change.node].link_count--;
    release_space(sim, &sim->nodes[change.node]);
}

void nw_sim_node_open(struct nori_sim *sim, uint32_t node)
{
    sim->nodes[node].handle_count++;
    sim->handle_count++;
}

void nw_sim_node_close(struct nori_sim *sim, uint32_t node)
{
    nw_assert(sim->nodes[node].handle_count > 0);
    sim->nodes[node].handle_count--;
    sim->handle_count--;
    release_space(sim, &sim->nodes[node]);
}

int nw_sim_node_check_name(const char *name)
{
    if (name[0] == '\0' || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return nw_sim_error(EINVAL);
    return strlen(name) < NW_SIM_NAME_LEN ? 0 : nw_sim_error(ENAMETOOLONG);
}

int nw_sim_node_walk(struct nori_sim *sim, const char *path, struct nw_sim_place *ret_place)
{
    struct nw_sim_place place = {.node = NW_SIM_ROOT};
    bool is_there = true;

    while (path[0] != '\0') {
        size_t len = strcspn(path, "/");
        const struct nw_sim_name *found;

        if (len > 0 && !(len == 1 && path[0] == '.')) {
            place.has_folder = false;
            *ret_place = place;
            if (!is_there)
                return nw_sim_error(ENOENT);
            if (!sim->nodes[place.node].names)
                return nw_sim_error(ENOTDIR);
            if (len >= NW_SIM_NAME_LEN)
                return nw_sim_error(ENAMETOOLONG);
            place.has_folder = true;
            place.folder = place.node;
            memset(place.name, 0, sizeof place.name);
            memcpy(place.name, path, len);
            found = nw_sim_names_find(sim->nodes[place.folder].names, place.name);
            is_there = found != NULL;
            place.node = found ? found->node : 0;
        }
        path += len;
        path += path[0] == '/';
    }
    *ret_place = place;
    return is_there ? 0 : nw_sim_error(ENOENT);
}

/* Nodes to look at, each once. */
struct mark {
    uint8_t *marks;
    uint32_t *waiting;
    size_t waiting_count;
};

static void reach(struct mark *mark, uint32_t node)
{
    if (mark->marks[node])
        return;
    mark->marks[node] = 1;
    mark->waiting[mark->waiting_count++] = node;
}

uint8_t *nw_sim_node_reachable(struct nori_sim *sim, bool may_return)
{
    struct mark mark = {.marks = nw_sim_alloc(sim->node_count),
                        .waiting = nw_sim_realloc(NULL, sim->node_count * sizeof(uint32_t))};

    reach(&mark, NW_SIM_ROOT);
    while (mark.waiting_count > 0) {
        const struct nw_sim_names *names = sim->nodes[mark.waiting[--mark.waiting_count]].names;

        if (!names)
            continue;
        for (size_t i = 0; i < names->now.count; i++)
            reach(&mark, names->now.items[i].node);
        for (size_t i = 0; may_return && i < names->durable.count; i++)
            reach(&mark, names->durable.items[i].node);
        for (size_t i = 0; may_return && i < names->change_count; i++)
            reach(&mark, names->changes[i].node);
    }
    free(mark.waiting);
    return mark.marks;
}

void nw_sim_node_sweep(struct nori_sim *sim)
{
    uint8_t *marks = nw_sim_node_reachable(sim, true);

    for (size_t i = 0; i < sim->node_count; i++) {
        struct nw_sim_node *node = &sim->nodes[i];

        if (marks[i] || node->handle_count > 0)
            continue;
        if (node->inode)
            nw_sim_inode_unref(sim->store, node->inode);
        if (node->names)
            nw_sim_names_unref(node->names);
        node->inode = NULL;
        node->names = NULL;
    }
    free(marks);
}

static uint64_t space_of(uint64_t bytes)
{
    return (bytes + CLUSTER_LEN - 1) / CLUSTER_LEN * CLUSTER_LEN;
}

bool nw_sim_node_charge(struct nori_sim *sim, uint32_t number, uint64_t bytes)
{
    struct nw_sim_node *node = &sim->nodes[number];
    uint64_t wanted = space_of(bytes);
    uint64_t others = sim->used_bytes - node->charged_bytes;

    if (sim->options.capacity_bytes > 0 && wanted > node->charged_bytes &&
        others + wanted > sim->options.capacity_bytes)
        return false;
    sim->used_bytes = others + wanted;
    node->charged_bytes = wanted;
    return true;
}

void nw_sim_node_recount(struct nori_sim *sim)
{
    sim->used_bytes = 0;
    for (size_t i = 0; i < sim->node_count; i++)
        sim->nodes[i].link_count = i == NW_SIM_ROOT;
    for (size_t i = 0; i < sim->node_count; i++) {
        const struct nw_sim_names *names = sim->nodes[i].names;

        for (size_t j = 0; names && j < names->now.count; j++)
            sim->nodes[names->now.items[j].node].link_count++;
    }
    for (size_t i = 0; i < sim->node_count; i++) {
        struct nw_sim_node *node = &sim->nodes[i];

        node->charged_bytes = node->inode && node->link_count ? space_of(node->inode->bytes) : 0;
        sim->used_bytes += node->charged_bytes;
    }
}
