/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* states.c: what a power cut may leave on the recording device. */
#include "states.h"

#include "../support/torture.h"

#include <stdlib.h>
#include <string.h>

#define TRIES     50 /* until a state is new */
#define BLOCK     ((size_t)4096)
#define SLOTS_MIN ((size_t)1024)

/* ---- numbers that were seen ---- */

static bool put(struct states_seen *seen, uint64_t number)
{
    size_t at = (size_t)(number * 0x9e3779b97f4a7c15u >> 20) & (seen->capacity - 1);

    while (seen->slots[at] != 0 && seen->slots[at] != number)
        at = (at + 1) & (seen->capacity - 1);
    if (seen->slots[at] == number)
        return false;
    seen->slots[at] = number;
    seen->count++;
    return true;
}

bool states_note(struct states_seen *seen, uint64_t number)
{
    if (2 * seen->count >= seen->capacity) {
        struct states_seen larger = {.capacity = seen->capacity ? 2 * seen->capacity : SLOTS_MIN};

        larger.slots = calloc(larger.capacity, sizeof *larger.slots);
        if (!larger.slots)
            abort();
        for (size_t i = 0; i < seen->capacity; i++)
            if (seen->slots[i] != 0)
                (void)put(&larger, seen->slots[i]);
        free(seen->slots);
        *seen = larger;
    }
    return put(seen, number ? number : 1);
}

void states_forget(struct states_seen *seen)
{
    free(seen->slots);
    memset(seen, 0, sizeof *seen);
}

/* ---- one state ---- */

/* How a power cut treats the writes behind the last flush. */
enum fate {
    FATE_NOTHING, /* none is there */
    FATE_COIN,    /* each or not */
    FATE_BEFORE,  /* those before one, which is torn */
    FATE_ALL_BUT, /* all but one, which is torn */
    FATE_ONLY,    /* only one, maybe torn */
    FATE_TORN,    /* each is torn */
    FATE_COUNT
};

enum part {
    PART_NONE,
    PART_ALL,
    PART_TORN
};

static enum part part_of(enum fate fate, size_t op, size_t chosen, uint64_t *seed)
{
    bool is_torn = torture_random(seed, 2) == 0;

    switch (fate) {
    case FATE_COIN:
        return torture_random(seed, 2) ? PART_ALL : PART_NONE;
    case FATE_BEFORE:
        return op < chosen ? PART_ALL : op == chosen ? PART_TORN : PART_NONE;
    case FATE_ALL_BUT:
        return op != chosen ? PART_ALL : is_torn ? PART_TORN : PART_NONE;
    case FATE_ONLY:
        return op != chosen ? PART_NONE : is_torn ? PART_TORN : PART_ALL;
    case FATE_TORN:
        return PART_TORN;
    case FATE_NOTHING:
    case FATE_COUNT:
        break;
    }
    return PART_NONE;
}

/* A torn write keeps its first sectors, or any. */
static void write_torn(struct states *states, const struct device_op *op)
{
    const uint8_t *bytes = device_new_bytes(states->device, states->tape, op);
    bool is_prefix = torture_random(&states->seed, 2) == 0;
    uint64_t kept = torture_random(&states->seed, op->len / DEVICE_SECTOR + 1);
    bool is_kept = false, has_values = false;

    for (size_t at = 0; at < op->len; at += DEVICE_SECTOR) {
        size_t block_left = BLOCK - (size_t)(op->offset + at) % BLOCK;
        bool is_new_block = at == 0 || block_left == BLOCK;

        if (is_new_block)
            has_values = device_has_values(bytes + at,
                                           op->len - at < block_left ? op->len - at : block_left);
        if (is_new_block || has_values)
            is_kept = is_prefix ? at / DEVICE_SECTOR < kept : torture_random(&states->seed, 2) == 0;
        if (is_kept)
            (void)device_write(states->device, op->offset + at, bytes + at, DEVICE_SECTOR);
    }
}

static void write_part(struct states *states, const struct device_op *op, enum part part)
{
    const uint8_t *bytes = device_new_bytes(states->device, states->tape, op);

    if (op->kind != DEVICE_WRITE || part == PART_NONE)
        return;
    if (part == PART_ALL)
        (void)device_write(states->device, op->offset, bytes, op->len);
    else
        write_torn(states, op);
}

/* Choose a stretch between two flushes. The tape's end counts as a flush that nobody waited for. */
static void choose_stretch(struct states *states, size_t *ret_begin, size_t *ret_end)
{
    const struct device_op *ops = states->device->tapes[states->tape].ops;
    size_t chosen = states->from + (size_t)torture_random(&states->seed, states->to - states->from);

    for (*ret_begin = chosen; *ret_begin > states->from; --*ret_begin)
        if (ops[*ret_begin - 1].kind == DEVICE_FLUSH)
            break;
    for (*ret_end = chosen; *ret_end < states->to; ++*ret_end)
        if (ops[*ret_end].kind == DEVICE_FLUSH)
            break;
}

static void try_one(struct states *states, size_t begin, size_t end)
{
    const struct device_tape *tape = &states->device->tapes[states->tape];
    const struct device_tape *above = &states->device->tapes[states->tape + 1];
    enum fate fate = (enum fate)torture_random(&states->seed, FATE_COUNT);
    size_t chosen = begin + (size_t)torture_random(&states->seed, end - begin + 1);

    device_seek(states->device, states->tape, states->at, begin);
    states->at = begin;
    states->device->tape = states->tape + 1;
    for (size_t i = begin; i < end; i++)
        write_part(states, &tape->ops[i], part_of(fate, i, chosen, &states->seed));
    states->difference = states->base + states->sums[begin - states->from];
    for (size_t i = 0; i < above->count; i++)
        states->difference += device_difference(states->device, states->tape + 1, &above->ops[i]);
}

bool states_make(struct states *states)
{
    const struct device_tape *tape = &states->device->tapes[states->tape];

    for (int i = 0; i < TRIES && states->from < states->to; i++) {
        size_t begin, end;
        bool is_last, is_all;

        choose_stretch(states, &begin, &end);
        is_last = end == tape->count;
        states->moment = is_last ? atomic_load(&states->device->moment) : tape->ops[end].moment;
        if (states->moment < states->least_moment)
            continue;
        try_one(states, begin, end);
        is_all = states->difference == states->base + states->sums[end - states->from];
        /* Everything is the next stretch's nothing, of which more may be promised. */
        if ((is_last || !is_all) && states_note(states->seen, states->difference))
            return true;
        states_unmake(states);
    }
    return false;
}

void states_unmake(struct states *states)
{
    device_rewind(states->device);
    states->device->tape = states->tape;
}

void states_begin(struct states *states)
{
    const struct device_tape *tape = &states->device->tapes[states->tape];

    states->at = tape->count;
    states->sums = calloc(states->to - states->from + 1, sizeof *states->sums);
    if (!states->sums)
        abort();
    for (size_t i = states->from; i < states->to; i++)
        states->sums[i - states->from + 1] =
            states->sums[i - states->from] +
            device_difference(states->device, states->tape, &tape->ops[i]);
}

void states_end(struct states *states)
{
    const struct device_tape *tape = &states->device->tapes[states->tape];

    device_seek(states->device, states->tape, states->at, tape->count);
    free(states->sums);
    states->sums = NULL;
}
