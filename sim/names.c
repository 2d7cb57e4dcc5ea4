/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * names.c: what is in a simulated folder, and what of it a power cut may leave.
 *
 * What. Changes are made at once to the names a program sees, and kept in a list until the folder
 * is synced. A power cut keeps any of them; those that are then impossible, such as the renaming of
 * a file whose creation was lost, fall away. Lists are short, and searched from the front.
 *
 * Not here. What a name stands for: machine.c.
 */
#define _GNU_SOURCE 1

#include "names.h"

#include "base/assert.h"

#include <stdlib.h>
#include <string.h>

void nw_sim_name_set(char *target, const char *text)
{
    size_t len = strnlen(text, NW_SIM_NAME_LEN - 1);

    memcpy(target, text, len);
    memset(target + len, 0, NW_SIM_NAME_LEN - len);
}

struct nw_sim_names *nw_sim_names_new(void)
{
    struct nw_sim_names *names = nw_sim_alloc(sizeof *names);

    names->refs = 1;
    return names;
}

struct nw_sim_names *nw_sim_names_ref(struct nw_sim_names *names)
{
    names->refs++;
    return names;
}

void nw_sim_names_unref(struct nw_sim_names *names)
{
    if (--names->refs > 0)
        return;
    free(names->now.items);
    free(names->durable.items);
    free(names->changes);
    free(names);
}

static void copy_list(struct nw_sim_name_list *target, const struct nw_sim_name_list *source)
{
    if (source->count > target->capacity) {
        target->items = nw_sim_realloc(target->items, source->count * sizeof *target->items);
        target->capacity = source->count;
    }
    if (source->count > 0)
        memcpy(target->items, source->items, source->count * sizeof *target->items);
    target->count = source->count;
}

struct nw_sim_names *nw_sim_names_own(struct nw_sim_names *names)
{
    struct nw_sim_names *own;

    if (names->refs == 1)
        return names;
    own = nw_sim_names_new();
    copy_list(&own->now, &names->now);
    copy_list(&own->durable, &names->durable);
    if (names->change_count > 0) {
        own->changes = nw_sim_realloc(NULL, names->change_count * sizeof *own->changes);
        memcpy(own->changes, names->changes, names->change_count * sizeof *own->changes);
        own->change_count = own->change_capacity = names->change_count;
    }
    names->refs--; /* not the last */
    return own;
}

static struct nw_sim_name *find_in(const struct nw_sim_name_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].text, text) == 0)
            return &list->items[i];
    return NULL;
}

const struct nw_sim_name *nw_sim_names_find(const struct nw_sim_names *names, const char *text)
{
    return find_in(&names->now, text);
}

const struct nw_sim_name *nw_sim_names_find_node(const struct nw_sim_names *names, uint32_t node)
{
    for (size_t i = 0; i < names->now.count; i++)
        if (names->now.items[i].node == node)
            return &names->now.items[i];
    return NULL;
}

static void add(struct nw_sim_name_list *list, const char *text, uint32_t node)
{
    list->items = nw_sim_grow(list->items, list->count, &list->capacity, sizeof *list->items);
    memcpy(list->items[list->count].text, text, NW_SIM_NAME_LEN);
    list->items[list->count].node = node;
    list->count++;
}

static void take_out(struct nw_sim_name_list *list, const struct nw_sim_name *name)
{
    size_t place = (size_t)(name - list->items);

    memmove(&list->items[place], &list->items[place + 1],
            (list->count - place - 1) * sizeof *list->items);
    list->count--;
}

/* Make a change, or leave it if it is impossible. */
static void apply(struct nw_sim_name_list *list, const struct nw_sim_change *change)
{
    struct nw_sim_name *found = find_in(list, change->text);

    switch (change->kind) {
    case NW_SIM_CREATE:
        if (!found)
            add(list, change->text, change->node);
        break;
    case NW_SIM_RENAME:
        if (found && found->node == change->node && !find_in(list, change->target))
            memcpy(found->text, change->target, NW_SIM_NAME_LEN);
        break;
    case NW_SIM_REMOVE:
        if (found && found->node == change->node)
            take_out(list, found);
        break;
    }
}

void nw_sim_names_change(struct nw_sim_names *names, const struct nw_sim_change *change)
{
    nw_assert(names->refs == 1);
    apply(&names->now, change);
    names->changes = nw_sim_grow(names->changes, names->change_count, &names->change_capacity,
                                 sizeof *names->changes);
    names->changes[names->change_count++] = *change;
}

/* Take out every trace of a node. */
static void forget(struct nw_sim_names *names, uint32_t node)
{
    size_t kept = 0;

    for (size_t i = names->durable.count; i-- > 0;)
        if (names->durable.items[i].node == node)
            take_out(&names->durable, &names->durable.items[i]);
    for (size_t i = 0; i < names->change_count; i++)
        if (names->changes[i].node != node)
            names->changes[kept++] = names->changes[i];
    names->change_count = kept;
}

void nw_sim_names_change_durably(struct nw_sim_names *names, const struct nw_sim_change *change)
{
    nw_assert(names->refs == 1);
    apply(&names->now, change);
    if (change->kind == NW_SIM_REMOVE)
        forget(names, change->node);
    else
        apply(&names->durable, change);
}

void nw_sim_names_sync(struct nw_sim_names *names, uint64_t stamp)
{
    size_t done = 0;

    nw_assert(names->refs == 1);
    while (done < names->change_count && names->changes[done].stamp <= stamp)
        apply(&names->durable, &names->changes[done++]);
    if (done == 0)
        return;
    names->change_count -= done;
    memmove(names->changes, names->changes + done, names->change_count * sizeof *names->changes);
}

struct nw_sim_names *nw_sim_names_cut(struct nw_sim_names *names, struct nw_sim_chooser *chooser)
{
    struct nw_sim_names *left;

    if (names->change_count == 0)
        return nw_sim_names_ref(names);
    left = nw_sim_names_new();
    copy_list(&left->durable, &names->durable);
    for (size_t i = 0; i < names->change_count; i++)
        if (chooser->choose(chooser, 2) == 1)
            apply(&left->durable, &names->changes[i]);
    copy_list(&left->now, &left->durable);
    return left;
}
