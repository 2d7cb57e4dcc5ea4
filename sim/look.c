/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * look.c: what a test does to a simulated disk behind the program's back: look at it, damage it,
 * print it.
 *
 * What. No faults, no counts, no scheduling: these functions see the nodes directly.
 */
#include "fiber.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The node of a path, which must be a file, or a folder. */
static int find(nori_sim *sim, const char *path, bool is_folder, struct nw_sim_place *ret_place)
{
    int rc = nw_sim_node_walk(sim, path, ret_place);

    if (rc < 0)
        return rc;
    if ((sim->nodes[ret_place->node].names != NULL) != is_folder)
        return nw_sim_error(is_folder ? ENOTDIR : EISDIR);
    nw_sim_image_absorb(sim, ret_place->node);
    return 0;
}

int nori_sim_file_read(nori_sim *sim, const char *path, uint64_t offset, void *target, size_t len,
                       size_t *ret_len)
{
    struct nw_sim_place place;
    int rc = find(sim, path, false, &place);

    if (rc < 0)
        return rc;
    *ret_len = nw_sim_inode_read(sim->nodes[place.node].inode, offset, target, len);
    return 0;
}

/* A new file, with a durable name. */
static uint32_t create_durably(nori_sim *sim, const struct nw_sim_place *place)
{
    struct nw_sim_change change = {.kind = NW_SIM_CREATE, .stamp = ++sim->stamp};

    change.node = nw_sim_node_new(sim, false);
    memcpy(change.text, place->name, NW_SIM_NAME_LEN);
    nw_sim_names_change_durably(nw_sim_node_own_names(sim, place->folder), &change);
    sim->nodes[change.node].link_count = 1;
    return change.node;
}

int nori_sim_file_poke(nori_sim *sim, const char *path, uint64_t offset, const void *data,
                       size_t len)
{
    const struct nw_sim_write write = {.offset = offset, .data = data, .len = len};
    struct nw_sim_place place;
    struct nw_sim_inode *inode;
    int rc = find(sim, path, false, &place);

    if (offset > NW_SIM_FILE_BYTES_MAX || len > NW_SIM_FILE_BYTES_MAX - offset)
        return nw_sim_error(EFBIG);
    if (NORI_VFS_CODE(rc) == NORI_E_NOTFOUND && place.has_folder) {
        place.node = create_durably(sim, &place);
        rc = 0;
    }
    if (rc < 0)
        return rc;
    inode = nw_sim_node_own_inode(sim, place.node);
    nw_sim_inode_poke(sim->store, inode, &write);
    nw_sim_image_update(sim, place.node, &write);
    (void)nw_sim_node_charge(sim, place.node, inode->bytes);
    return 0;
}

int nori_sim_file_rot(nori_sim *sim, const char *path, uint64_t seed, uint64_t *ret_offset)
{
    uint64_t state = nw_sim_mix(seed, 5);
    uint64_t bytes = 0;
    uint8_t byte = 0;
    size_t got = 0;
    uint64_t offset;
    int rc = nori_sim_file_bytes(sim, path, &bytes);

    if (rc < 0)
        return rc;
    if (bytes == 0)
        return nw_sim_error(EINVAL);
    offset = nw_sim_random(&state) % bytes;
    (void)nori_sim_file_read(sim, path, offset, &byte, 1, &got);
    byte ^= (uint8_t)(1u << nw_sim_random(&state) % 8);
    if (ret_offset)
        *ret_offset = offset;
    return nori_sim_file_poke(sim, path, offset, &byte, 1);
}

int nori_sim_file_resize(nori_sim *sim, const char *path, uint64_t bytes)
{
    struct nw_sim_place place;
    int rc = find(sim, path, false, &place);

    if (rc < 0)
        return rc;
    if (bytes > NW_SIM_FILE_BYTES_MAX)
        return nw_sim_error(EFBIG);
    nw_sim_inode_resize_durably(sim->store, nw_sim_node_own_inode(sim, place.node), bytes);
    nw_sim_image_clip(sim, place.node, bytes);
    (void)nw_sim_node_charge(sim, place.node, bytes);
    return 0;
}

int nori_sim_file_unlink(nori_sim *sim, const char *path)
{
    struct nw_sim_place place;
    struct nw_sim_change change = {.kind = NW_SIM_REMOVE, .stamp = ++sim->stamp};
    int rc = find(sim, path, false, &place);

    if (rc < 0)
        return rc;
    change.node = place.node;
    memcpy(change.text, place.name, NW_SIM_NAME_LEN);
    nw_sim_node_open(sim, place.node); /* so that closing gives its space back */
    nw_sim_names_change_durably(nw_sim_node_own_names(sim, place.folder), &change);
    sim->nodes[place.node].link_count--;
    nw_sim_node_close(sim, place.node);
    return 0;
}

int nori_sim_file_bytes(nori_sim *sim, const char *path, uint64_t *ret_bytes)
{
    struct nw_sim_place place;
    int rc = find(sim, path, false, &place);

    if (rc < 0)
        return rc;
    *ret_bytes = sim->nodes[place.node].inode->bytes;
    return 0;
}

int nori_sim_list(nori_sim *sim, const char *path, int (*entry)(void *context, const char *name),
                  void *context)
{
    struct nw_sim_place place;
    struct nw_sim_names *names;
    int rc = find(sim, path, true, &place);

    if (rc < 0)
        return rc;
    names = nw_sim_names_ref(sim->nodes[place.node].names); /* entry may change the folder */
    for (size_t i = 0; rc == 0 && i < names->now.count; i++)
        rc = entry(context, names->now.items[i].text);
    nw_sim_names_unref(names);
    return rc;
}

/* Each with the stamp of now: what changes later is for later syncs. */
void nori_sim_sync_all(nori_sim *sim)
{
    nw_sim_image_absorb_all(sim);
    for (uint32_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i].inode && nw_sim_inode_is_dirty(sim->nodes[i].inode))
            nw_sim_inode_sync(sim->store, nw_sim_node_own_inode(sim, i), sim->nodes[i].inode,
                              sim->stamp);
        if (sim->nodes[i].names)
            nw_sim_names_sync(nw_sim_node_own_names(sim, i), sim->stamp);
    }
}

static uint64_t digest_of_text(const char *text)
{
    uint64_t digest = 0;

    for (; *text; text++)
        digest = nw_sim_mix(digest, (uint8_t)*text);
    return digest;
}

uint64_t nw_sim_digest_of_names(struct nori_sim *sim, const uint64_t *contents)
{
    uint8_t *marks = nw_sim_node_reachable(sim, false);
    uint64_t digest = 0;

    for (size_t i = 0; i < sim->node_count; i++) {
        const struct nw_sim_names *names = marks[i] ? sim->nodes[i].names : NULL;

        /* A folder is told apart by its identity: the same in all clones that have it. */
        for (size_t j = 0; names && j < names->now.count; j++) {
            const struct nw_sim_name *name = &names->now.items[j];
            const struct nw_sim_node *node = &sim->nodes[name->node];
            uint64_t content = node->names ? node->identity : contents[name->node];

            digest +=
                nw_sim_mix(nw_sim_mix(digest_of_text(name->text), sim->nodes[i].identity), content);
        }
    }
    free(marks);
    return digest;
}

uint64_t nori_sim_digest(nori_sim *sim)
{
    uint64_t *contents = nw_sim_alloc(sim->node_count * sizeof *contents);
    uint64_t digest;

    nw_sim_image_absorb_all(sim);
    for (size_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].inode)
            contents[i] = nw_sim_inode_digest(sim->store, sim->nodes[i].inode);
    digest = nw_sim_digest_of_names(sim, contents);
    free(contents);
    return digest;
}

static void dump_inode(const struct nw_sim_inode *inode)
{
    (void)fprintf(stderr, " %llu bytes", (unsigned long long)inode->bytes);
    if (inode->size_count > 0) {
        (void)fprintf(stderr, ", durable size %llu then", (unsigned long long)inode->durable_bytes);
        for (size_t i = 0; i < inode->size_count; i++)
            (void)fprintf(stderr, " %llu", (unsigned long long)inode->sizes[i].bytes);
    }
    (void)fputc('\n', stderr);
    for (size_t i = 0; i < inode->dirty_count; i++) {
        const struct nw_sim_dirty *dirty = &inode->dirty[i];

        (void)fprintf(stderr, "      at %llu: %u unsynced%s\n",
                      (unsigned long long)dirty->sector * NW_SIM_SECTOR, dirty->version_count,
                      dirty->is_phantom ? ", a phantom" : "");
    }
}

static void dump_change(const struct nw_sim_change *change)
{
    switch (change->kind) {
    case NW_SIM_CREATE:
        (void)fprintf(stderr, "    unsynced: create %s\n", change->text);
        break;
    case NW_SIM_RENAME:
        (void)fprintf(stderr, "    unsynced: rename %s to %s\n", change->text, change->target);
        break;
    case NW_SIM_REMOVE:
        (void)fprintf(stderr, "    unsynced: remove %s\n", change->text);
        break;
    }
}

static void dump_folder(nori_sim *sim, uint32_t number)
{
    const struct nw_sim_names *names = sim->nodes[number].names;

    (void)fprintf(stderr, "  folder %llu%s\n", (unsigned long long)sim->nodes[number].identity,
                  sim->nodes[number].has_writer ? " (locked)" : "");
    for (size_t i = 0; i < names->now.count; i++) {
        const struct nw_sim_node *node = &sim->nodes[names->now.items[i].node];

        (void)fprintf(stderr, "    %s:", names->now.items[i].text);
        if (node->inode)
            dump_inode(node->inode);
        else
            (void)fprintf(stderr, " folder %llu\n", (unsigned long long)node->identity);
    }
    for (size_t i = 0; i < names->change_count; i++)
        dump_change(&names->changes[i]);
}

void nori_sim_dump(nori_sim *sim)
{
    (void)fprintf(stderr,
                  "nori_sim: seed %llu, %llu ns, operation %llu, call %llu%s%s, %llu bytes used, "
                  "%u handles, %u mappings\n",
                  (unsigned long long)sim->options.seed, (unsigned long long)sim->now_ns,
                  (unsigned long long)sim->operation_count, (unsigned long long)sim->call_count,
                  sim->did_fail ? ", has failed" : "", sim->did_crash ? ", has crashed" : "",
                  (unsigned long long)sim->used_bytes, sim->handle_count, sim->image_count);
    nw_sim_image_absorb_all(sim);
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (sim->nodes[i].names)
            dump_folder(sim, i);
    nw_sim_fiber_dump(sim);
}
