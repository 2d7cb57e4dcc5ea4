/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * cut.c: crashes: what a machine leaves behind, as a new machine.
 *
 * What. A process crash leaves everything. At a power cut each node that a name can lead to is
 * asked to cut itself, in the order of their numbers, and asks a chooser in turn for every choice
 * it has. An outcome's number is read in mixed radix: the first choice is its lowest digit. What
 * comes out of a cut is durable in all parts; nodes to which no name leads any more are swept.
 *
 * Threads. The crashed machine goes on as if nothing had happened.
 */
#include "fiber.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A machine without nodes of its own, that takes up where another one is now. */
static struct nori_sim *successor(struct nori_sim *sim)
{
    struct nori_sim *after = nw_sim_bare(nw_sim_store_ref(sim->store));

    after->stamp = sim->stamp;
    after->next_identity = sim->next_identity;
    after->now_ns = sim->now_ns;
    after->random_state = sim->random_state;
    after->node_count = after->node_capacity = sim->node_count;
    after->nodes = nw_sim_alloc(sim->node_count * sizeof *after->nodes);
    for (size_t i = 0; i < sim->node_count; i++) {
        after->nodes[i].identity = sim->nodes[i].identity;
        after->nodes[i].birth_ns = sim->nodes[i].birth_ns;
    }
    return after;
}

void nori_sim_crash_kill(nori_sim *sim, nori_sim **ret_sim)
{
    struct nori_sim *after = successor(sim);

    nw_sim_image_absorb_all(sim);
    after->stamp = sim->stamp;
    for (size_t i = 0; i < sim->node_count; i++) {
        if (sim->nodes[i].inode)
            after->nodes[i].inode = nw_sim_inode_ref(sim->nodes[i].inode);
        if (sim->nodes[i].names)
            after->nodes[i].names = nw_sim_names_ref(sim->nodes[i].names);
    }
    nw_sim_node_sweep(after);
    nw_sim_node_recount(after);
    *ret_sim = after;
}

static struct nori_sim *cut(struct nori_sim *sim, struct nw_sim_chooser *chooser)
{
    struct nori_sim *after = successor(sim);
    uint8_t *marks;

    nw_sim_image_absorb_all(sim);
    marks = nw_sim_node_reachable(sim, true);
    for (size_t i = 0; i < sim->node_count; i++) {
        if (!marks[i])
            continue;
        if (sim->nodes[i].inode)
            after->nodes[i].inode = nw_sim_inode_cut(sim->store, sim->nodes[i].inode, chooser);
        if (sim->nodes[i].names)
            after->nodes[i].names = nw_sim_names_cut(sim->nodes[i].names, chooser);
    }
    free(marks);
    nw_sim_node_sweep(after);
    nw_sim_node_recount(after);
    return after;
}

/* The digest of what cut() would leave: the same choices, but nothing is made that is not needed
 * for it. */
static uint64_t cut_digest(struct nori_sim *sim, struct nw_sim_chooser *chooser)
{
    struct nori_sim after = {.node_count = sim->node_count};
    uint64_t *contents = nw_sim_alloc(sim->node_count * sizeof *contents);
    uint64_t digest;
    uint8_t *marks;

    nw_sim_image_absorb_all(sim);
    after.nodes = nw_sim_alloc(sim->node_count * sizeof *after.nodes);
    marks = nw_sim_node_reachable(sim, true);
    for (size_t i = 0; i < sim->node_count; i++) {
        const struct nw_sim_node *node = &sim->nodes[i];

        if (!marks[i])
            continue;
        after.nodes[i].identity = node->identity;
        if (node->inode)
            contents[i] = nw_sim_inode_cut_digest(sim->store, node->inode, chooser);
        if (node->names)
            after.nodes[i].names = nw_sim_names_cut(node->names, chooser);
    }
    digest = nw_sim_digest_of_names(&after, contents);
    for (size_t i = 0; i < sim->node_count; i++)
        if (after.nodes[i].names)
            nw_sim_names_unref(after.nodes[i].names);
    free(after.nodes);
    free(contents);
    free(marks);
    return digest;
}

/* By number. */

struct number_chooser {
    struct nw_sim_chooser base;
    uint64_t number; /* what is left of it */
};

static uint32_t choose_by_number(struct nw_sim_chooser *base, uint32_t ways)
{
    struct number_chooser *chooser = (struct number_chooser *)base;
    uint32_t way = (uint32_t)(chooser->number % ways);

    chooser->number /= ways;
    return way;
}

/* The product, or UINT64_MAX if it is that or more. */
static uint64_t times(uint64_t count, uint64_t ways)
{
    return count > UINT64_MAX / ways ? UINT64_MAX : count * ways;
}

/* Call visit for each node that has something unsynced, in the order in which cut asks. */
static void visit_unsynced(struct nori_sim *sim,
                           void (*visit)(void *context, struct nori_sim *sim, uint32_t node),
                           void *context)
{
    uint8_t *marks;

    nw_sim_image_absorb_all(sim);
    marks = nw_sim_node_reachable(sim, true);
    for (uint32_t i = 0; i < sim->node_count; i++)
        if (marks[i])
            visit(context, sim, i);
    free(marks);
}

static void count_outcomes(void *context, struct nori_sim *sim, uint32_t number)
{
    const struct nw_sim_node *node = &sim->nodes[number];
    uint64_t *count = context;

    if (node->names)
        for (size_t i = 0; i < node->names->change_count; i++)
            *count = times(*count, 2);
    if (!node->inode)
        return;
    if (node->inode->size_count > 0)
        *count = times(*count, node->inode->size_count + 1);
    for (size_t i = 0; i < node->inode->dirty_count; i++)
        if (node->inode->dirty[i].newest)
            *count = times(*count, node->inode->dirty[i].version_count + UINT64_C(1));
}

uint64_t nori_sim_outcome_count(nori_sim *sim)
{
    uint64_t count = 1;

    visit_unsynced(sim, count_outcomes, &count);
    return count;
}

int nori_sim_power_cut(nori_sim *sim, uint64_t outcome, nori_sim **ret_sim)
{
    struct number_chooser chooser = {.base = {.choose = choose_by_number}, .number = outcome};
    struct nori_sim *after = cut(sim, &chooser.base);

    if (chooser.number > 0) { /* choices were asked for, and digits are left */
        nori_sim_free(after);
        return nw_sim_error(EINVAL);
    }
    *ret_sim = after;
    return 0;
}

int nori_sim_power_cut_digest(nori_sim *sim, uint64_t outcome, uint64_t *ret_digest)
{
    struct number_chooser chooser = {.base = {.choose = choose_by_number}, .number = outcome};
    uint64_t digest = cut_digest(sim, &chooser.base);

    if (chooser.number > 0)
        return nw_sim_error(EINVAL);
    *ret_digest = digest;
    return 0;
}

/* By chance. */

struct random_chooser {
    struct nw_sim_chooser base;
    uint64_t state;
    uint64_t keep_of_16; /* how much is kept */
};

static uint32_t choose_by_chance(struct nw_sim_chooser *base, uint32_t ways)
{
    struct random_chooser *chooser = (struct random_chooser *)base;
    uint64_t value = nw_sim_random(&chooser->state);

    if (value % 4 == 0)
        return (uint32_t)((value >> 8) % ways); /* any, also the middle ones */
    return (value >> 8) % 16 < chooser->keep_of_16 ? ways - 1 : 0;
}

static struct random_chooser chooser_of(const struct nori_sim *sim, uint64_t seed)
{
    static const uint64_t tastes[] = {1, 4, 8, 12, 15};
    struct random_chooser chooser = {
        .base = {.choose = choose_by_chance,
                 .may_tear = sim->options.flags & NORI_SIM_TORN_SECTORS,
                 .random_state = nw_sim_mix(seed, 3)},
        .state = nw_sim_mix(seed, 4)};

    chooser.keep_of_16 = tastes[nw_sim_random(&chooser.state) % (sizeof tastes / sizeof tastes[0])];
    return chooser;
}

void nori_sim_power_cut_random(nori_sim *sim, uint64_t seed, nori_sim **ret_sim)
{
    struct random_chooser chooser = chooser_of(sim, seed);

    *ret_sim = cut(sim, &chooser.base);
}

uint64_t nori_sim_power_cut_random_digest(nori_sim *sim, uint64_t seed)
{
    struct random_chooser chooser = chooser_of(sim, seed);

    return cut_digest(sim, &chooser.base);
}

/* By hand. */

struct unsynced_list {
    size_t count;
    size_t wanted;
    struct nori_sim_unsynced *found; /* number wanted; NULL: only count */
};

/* The name that leads to a node now; the empty one if it is removed, but not durably. */
static void name_of_node(struct nori_sim *sim, uint32_t node, char *target)
{
    const struct nw_sim_name *found = NULL;

    for (size_t i = 0; i < sim->node_count && !found; i++)
        if (sim->nodes[i].names)
            found = nw_sim_names_find_node(sim->nodes[i].names, node);
    nw_sim_name_set(target, found ? found->text : "");
}

static void list_file(struct unsynced_list *list, struct nori_sim *sim, uint32_t number)
{
    const struct nw_sim_inode *inode = sim->nodes[number].inode;
    size_t count = nw_sim_inode_atom_count(inode);
    struct nw_sim_atom *atoms, *atom;

    if (list->found && list->wanted >= list->count && list->wanted < list->count + count) {
        atoms = nw_sim_alloc(count * sizeof *atoms);
        nw_sim_inode_atoms(inode, atoms);
        atom = &atoms[list->wanted - list->count];
        list->found->kind = atom->is_size ? NORI_SIM_UNSYNCED_SIZE : NORI_SIM_UNSYNCED_SECTOR;
        list->found->ways = atom->ways;
        list->found->identity = sim->nodes[number].identity;
        list->found->offset = atom->sector * NW_SIM_SECTOR;
        name_of_node(sim, number, list->found->name);
        free(atoms);
    }
    list->count += count;
}

static void list_folder(struct unsynced_list *list, struct nori_sim *sim, uint32_t number)
{
    const struct nw_sim_names *names = sim->nodes[number].names;

    if (list->found && list->wanted >= list->count &&
        list->wanted < list->count + names->change_count) {
        const struct nw_sim_change *change = &names->changes[list->wanted - list->count];

        list->found->kind = NORI_SIM_UNSYNCED_NAME;
        list->found->ways = 2;
        list->found->identity = sim->nodes[number].identity;
        list->found->offset = 0;
        memcpy(list->found->name, change->kind == NW_SIM_RENAME ? change->target : change->text,
               NW_SIM_NAME_LEN);
    }
    list->count += names->change_count;
}

static void list_unsynced(void *context, struct nori_sim *sim, uint32_t number)
{
    if (sim->nodes[number].inode)
        list_file(context, sim, number);
    if (sim->nodes[number].names)
        list_folder(context, sim, number);
}

size_t nori_sim_unsynced_count(nori_sim *sim)
{
    struct unsynced_list list = {0};

    visit_unsynced(sim, list_unsynced, &list);
    return list.count;
}

int nori_sim_unsynced(nori_sim *sim, size_t index, struct nori_sim_unsynced *ret_unsynced)
{
    struct unsynced_list list = {.wanted = index, .found = ret_unsynced};

    visit_unsynced(sim, list_unsynced, &list);
    return index < list.count ? 0 : nw_sim_error(EINVAL);
}

struct list_chooser {
    struct nw_sim_chooser base;
    const uint32_t *ways;
    size_t count;
    size_t asked;
    bool is_wrong;
};

static uint32_t choose_from_list(struct nw_sim_chooser *base, uint32_t ways)
{
    struct list_chooser *chooser = (struct list_chooser *)base;
    size_t place = chooser->asked++;

    if (place < chooser->count && chooser->ways[place] < ways)
        return chooser->ways[place];
    chooser->is_wrong = true;
    return 0;
}

int nori_sim_power_cut_choose(nori_sim *sim, const uint32_t *ways, size_t count, nori_sim **ret_sim)
{
    struct list_chooser chooser = {
        .base = {.choose = choose_from_list}, .ways = ways, .count = count};
    struct nori_sim *after = cut(sim, &chooser.base);

    if (chooser.is_wrong || chooser.asked != count) {
        nori_sim_free(after);
        return nw_sim_error(EINVAL);
    }
    *ret_sim = after;
    return 0;
}
