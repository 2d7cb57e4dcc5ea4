/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_dry_run.c: a dry run of a repair announces what the repair then does, and changes nothing.
 *
 * On these sentences people decide whether to repair, and how. So small logs of all kinds are
 * damaged in all ways, and for each mode what the dry run says of each finding is read as a person
 * would read it: which files are set aside, which bytes, which headers and segments are made anew.
 * Then a clone is repaired, and its files and its quarantine are compared with that.
 */
#include "../support/repeat.h"
#include "../support/sample.h"
#include "../support/torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define IDS       24 /* of segments: more than any sample has */
#define STRETCHES 32
#define TEXT_LEN  ((size_t)8 << 10)

/* What is done to a log. */
struct deeds {
    bool is_moved[IDS];  /* the whole file is set aside */
    bool has_holes[IDS]; /* what else is damaged of it is set aside */
    struct {
        uint64_t id, from, to; /* to 0: whatever follows */
    } stretches[STRETCHES];    /* that are set aside */
    size_t stretch_count;
    uint64_t records, lost;
    char text[TEXT_LEN]; /* all sentences, for the message */
};

static struct {
    uint64_t compared, same;
} totals;

static bool has_file(nori_sim *sim, uint64_t id)
{
    char path[SAMPLE_PATH_LEN];
    uint64_t bytes;

    (void)snprintf(path, sizeof path, SAMPLE_DIR "/%06llu.wal", (unsigned long long)id);
    return nori_sim_file_bytes(sim, path, &bytes) >= 0;
}

static uint64_t id_of(const char *name)
{
    unsigned long long id = IDS;

    return name && sscanf(name, "%llu.wal", &id) == 1 ? id : IDS;
}

static void move_files(struct deeds *deeds, nori_sim *sim, uint64_t from, uint64_t to)
{
    for (uint64_t id = from; id < to && id < IDS; id++)
        deeds->is_moved[id] |= has_file(sim, id);
}

static uint64_t bytes_of(nori_sim *sim, uint64_t id)
{
    char path[SAMPLE_PATH_LEN];
    uint64_t bytes = 0;

    (void)snprintf(path, sizeof path, SAMPLE_DIR "/%06llu.wal", (unsigned long long)id);
    (void)nori_sim_file_bytes(sim, path, &bytes);
    return bytes;
}

static void add_stretch(struct deeds *deeds, uint64_t id, uint64_t from, uint64_t to)
{
    if (deeds->stretch_count == STRETCHES)
        return;
    deeds->stretches[deeds->stretch_count].id = id;
    deeds->stretches[deeds->stretch_count].from = from;
    deeds->stretches[deeds->stretch_count++].to = to;
}

/* What is there of a stretch that is to be set aside. */
static void announce(struct deeds *deeds, nori_sim *sim, uint64_t id, uint64_t from, uint64_t to)
{
    uint64_t bytes = bytes_of(sim, id);

    if (from < bytes)
        add_stretch(deeds, id, from, to < bytes ? to : bytes);
}

struct listener {
    nori_sim *sim;
    struct deeds *deeds;
    bool is_dry;
};

static void read_plan(struct listener *listener, const struct nori_log_item *item)
{
    struct deeds *deeds = listener->deeds;
    const char *plan = item->advice;
    unsigned long long from, to;
    const char *at;

    if (sscanf(plan, "bytes %llu to %llu", &from, &to) == 2) {
        announce(deeds, listener->sim, id_of(item->file), from, to);
    } else if ((at = strstr(plan, "what follows in ")) != NULL) {
        uint64_t id = id_of(at + strlen("what follows in "));

        announce(deeds, listener->sim, id, item->position.offset, 0);
        move_files(deeds, listener->sim, id + 1, IDS);
    } else if ((at = strstr(plan, "before this segment: ")) != NULL) {
        move_files(deeds, listener->sim, id_of(at + strlen("before this segment: ")), IDS);
    } else if (strstr(plan, "the damaged header is set aside and made anew")) {
        announce(deeds, listener->sim, id_of(item->file), 0, 128);
        deeds->has_holes[id_of(item->file)] = strstr(plan, "holes") != NULL;
    } else if (sscanf(plan, "all of %llu.wal", &from) == 1) {
        deeds->is_moved[from] = true;
    } else if (strstr(plan, "the older files hold no record")) {
        move_files(deeds, listener->sim, 0, item->position.segment_id);
    }
}

static void read_piece(struct listener *listener, const struct nori_log_item *item)
{
    const char *name = item->file + strlen("quarantine/");
    unsigned long long id, from, to;

    if (sscanf(name, "%llu.wal.%llu-%llu", &id, &from, &to) == 3)
        add_stretch(listener->deeds, id, from, to);
    else if (id_of(name) < IDS)
        listener->deeds->is_moved[id_of(name)] = true;
}

static int listen(void *context, const struct nori_log_item *item)
{
    struct listener *listener = context;
    struct deeds *deeds = listener->deeds;
    size_t len = strlen(deeds->text);
    bool is_piece = item->file && strncmp(item->file, "quarantine/", 11) == 0;

    if (item->kind == NORI_LOG_SUMMARY) {
        deeds->records = item->records;
        deeds->lost = item->records_lost;
    }
    if (item->kind != NORI_LOG_FINDING)
        return 0;
    (void)snprintf(deeds->text + len, TEXT_LEN - len, "#   %s at %llu: %s%s%s\n", item->file,
                   (unsigned long long)item->position.offset, item->message,
                   item->advice ? ": " : "", item->advice ? item->advice : "");
    if (is_piece && !listener->is_dry)
        read_piece(listener, item);
    if (!is_piece && listener->is_dry && item->advice)
        read_plan(listener, item);
    return 0;
}

static int repair(nori_sim *sim, uint32_t flags, struct deeds *deeds)
{
    struct nori_log_options options = NORI_LOG_OPTIONS_INIT;
    struct listener listener = {sim, deeds, (flags & NORI_LOG_DRY_RUN) != 0};

    memset(deeds, 0, sizeof *deeds);
    options.flags = flags;
    options.vfs = nori_sim_vfs(sim);
    return nori_log_repair(SAMPLE_DIR, &options, listen, &listener, NULL);
}

static bool has_stretch(const struct deeds *deeds, uint64_t id, uint64_t from, uint64_t to)
{
    for (size_t i = 0; i < deeds->stretch_count; i++)
        if (deeds->stretches[i].id == id && deeds->stretches[i].from == from &&
            (to == 0 || deeds->stretches[i].to == 0 || deeds->stretches[i].to == to))
            return true;
    return false;
}

static const char *difference(const struct deeds *said, const struct deeds *done)
{
    static char text[200];

    for (uint64_t id = 0; id < IDS; id++)
        if (said->is_moved[id] != done->is_moved[id]) {
            (void)snprintf(text, sizeof text, "%06llu.wal %s", (unsigned long long)id,
                           said->is_moved[id] ? "should be moved" : "was moved");
            return text;
        }
    for (size_t i = 0; i < said->stretch_count; i++)
        if (!has_stretch(done, said->stretches[i].id, said->stretches[i].from,
                         said->stretches[i].to)) {
            (void)snprintf(text, sizeof text, "no stretch of %llu from %llu",
                           (unsigned long long)said->stretches[i].id,
                           (unsigned long long)said->stretches[i].from);
            return text;
        }
    for (size_t i = 0; i < done->stretch_count; i++)
        if (!said->has_holes[done->stretches[i].id] &&
            !has_stretch(said, done->stretches[i].id, done->stretches[i].from,
                         done->stretches[i].to)) {
            (void)snprintf(text, sizeof text, "unannounced: stretch of %llu from %llu to %llu",
                           (unsigned long long)done->stretches[i].id,
                           (unsigned long long)done->stretches[i].from,
                           (unsigned long long)done->stretches[i].to);
            return text;
        }
    return NULL;
}

static void compare(const struct sample *sample, nori_sim *damaged, bool is_sole, const char *what,
                    uint32_t mode)
{
    static struct deeds said, done;
    uint64_t digest = nori_sim_digest(damaged);
    const char *problem;
    nori_sim *clone;
    int rc = repair(damaged, mode | NORI_LOG_DRY_RUN, &said);
    int done_rc;

    assert_true(nori_sim_digest(damaged) == digest);
    nori_sim_crash_kill(damaged, &clone);
    nori_sim_sync_all(clone);
    done_rc = repair(clone, mode, &done);
    nori_sim_free(clone);
    totals.compared++;
    if (rc != NORI_OK && rc != NORI_E_CORRUPT)
        problem = done_rc == rc ? NULL : "the codes differ";
    else
        problem = done_rc < 0 ? "the repair fails" : difference(&said, &done);
    if (!problem) {
        totals.same++;
        return;
    }
    if (is_sole) /* a damage among others may be mended only when they are */
        fail_msg("sample %d, %s, %s: %s\n# said:\n%s# done:\n%s", (int)sample->kind, what,
                 mode ? "salvage" : "prefix", problem, said.text, done.text);
}

static void compare_both(const struct sample *sample, nori_sim *damaged, bool is_sole,
                         const char *what)
{
    compare(sample, damaged, is_sole, what, 0);
    compare(sample, damaged, is_sole, what, NORI_LOG_SALVAGE);
}

/* ---- damage ---- */

static const char *const ways[] = {"empty",
                                   "zeros",
                                   "gone",
                                   "a bit of the header",
                                   "no header",
                                   "512 zeros",
                                   "no magic",
                                   "its first record",
                                   "in the middle",
                                   "its last byte",
                                   "cut in half",
                                   "another's bytes",
                                   "zeros from the middle",
                                   "a mark"};
#define WAYS (sizeof ways / sizeof ways[0])

static void flip(nori_sim *sim, const struct sample_file *file, uint64_t at)
{
    uint8_t byte = 0;
    size_t got;

    (void)nori_sim_file_read(sim, file->path, at, &byte, 1, &got);
    byte ^= 0x10;
    (void)nori_sim_file_poke(sim, file->path, at, &byte, 1);
}

static void damage(const struct sample *sample, nori_sim *sim, size_t i, size_t way)
{
    static const uint8_t zeros[SAMPLE_BYTES_MAX];
    const struct sample_file *file = &sample->files[i];
    const struct sample_file *other = &sample->files[(i + 1) % sample->file_count];
    uint64_t begin = file->format == 2 ? 128 : 0;

    switch (way) {
    case 0:
        (void)nori_sim_file_resize(sim, file->path, 0);
        break;
    case 1:
        (void)nori_sim_file_poke(sim, file->path, 0, zeros, file->end);
        break;
    case 2:
        (void)nori_sim_file_unlink(sim, file->path);
        break;
    case 3:
        flip(sim, file, 60);
        break;
    case 4:
        (void)nori_sim_file_poke(sim, file->path, 0, zeros, 128);
        break;
    case 5:
        (void)nori_sim_file_poke(sim, file->path, 0, zeros, 512);
        break;
    case 6:
        (void)nori_sim_file_poke(sim, file->path, 0, zeros, 8);
        break;
    case 7:
        flip(sim, file, begin + 4);
        break;
    case 8:
        flip(sim, file, (begin + file->end) / 2);
        break;
    case 9:
        flip(sim, file, file->end - 1);
        break;
    case 10:
        (void)nori_sim_file_resize(sim, file->path, file->end / 2);
        break;
    case 11:
        (void)nori_sim_file_poke(sim, file->path, 0, other->bytes, other->end);
        break;
    case 12:
        (void)nori_sim_file_poke(sim, file->path, file->end / 2, zeros, file->end - file->end / 2);
        break;
    default:
        if (file->mark_count > 0)
            flip(sim, file, file->marks[0].offset + 10);
    }
}

static void a_dry_run_says_what_the_repair_does(void **state)
{
    (void)state;
    for (int kind = 0; kind < SAMPLE_KINDS; kind++) {
        struct sample *sample = sample_shared((enum sample_kind)kind);

        for (size_t i = 0; i < sample->file_count * WAYS; i++) {
            char what[100];
            nori_sim *sim;

            nori_sim_crash_kill(sample->sim, &sim);
            damage(sample, sim, i / WAYS, i % WAYS);
            nori_sim_sync_all(sim);
            (void)snprintf(what, sizeof what, "%s: %s", sample->files[i / WAYS].path,
                           ways[i % WAYS]);
            compare_both(sample, sim, true, what);
            nori_sim_free(sim);
        }
    }
}

/* So many damages in one log, drawn from a seed. */
static void draw(uint64_t seeds, uint64_t damages)
{
    memset(&totals, 0, sizeof totals);
    for (int kind = 0; kind < SAMPLE_KINDS; kind++) {
        struct sample *sample = sample_shared((enum sample_kind)kind);

        for (uint64_t number = 1; number <= repeat_share(seeds); number++) {
            uint64_t seed = number * 1000003;
            char what[100];
            nori_sim *sim;

            nori_sim_crash_kill(sample->sim, &sim);
            for (uint64_t i = 0; i < damages; i++)
                sample_damage(sample, sim, &seed);
            nori_sim_sync_all(sim);
            (void)snprintf(what, sizeof what, "seed %llu", (unsigned long long)number);
            compare_both(sample, sim, damages == 1, what);
            nori_sim_free(sim);
        }
    }
    print_message("%llu of %llu the same\n", (unsigned long long)totals.same,
                  (unsigned long long)totals.compared);
}

static void a_dry_run_says_what_the_repair_does_about_a_damage_that_is_drawn(void **state)
{
    (void)state;
    draw(500, 1);
}

/* One that is mended may let the next be mended better than it could be alone, or worse. */
static void a_dry_run_of_several_damages_is_seldom_wrong(void **state)
{
    (void)state;
    draw(300, 2);
    assert_true(totals.same * 100 >= totals.compared * 95);
    draw(300, 3);
    assert_true(totals.same * 100 >= totals.compared * 90);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dry_run_says_what_the_repair_does),
        cmocka_unit_test(a_dry_run_says_what_the_repair_does_about_a_damage_that_is_drawn),
        cmocka_unit_test(a_dry_run_of_several_damages_is_seldom_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
