/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_decision_table.c: what docs/recovery.md says recovery decides is what src/wal/verdict.c
 * decides, for every combination of facts. */
#include "generated.h"

#include "wal/verdict.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *const place_names[NW_PLACES] = {
    [NW_PLACE_NEWEST] = "newest",
    [NW_PLACE_ENDED] = "ended",
};

static const char *const stop_names[NW_SCAN_STOPS] = {
    [NW_STOP_AT_END] = "at the stated end",
    [NW_STOP_CLEAN] = "zeros or nothing",
    [NW_STOP_SHORT] = "cut off",
    [NW_STOP_BAD] = "other bytes",
};

static const char *const decision_names[] = {
    [NW_DECIDE_SOUND] = "sound",
    [NW_DECIDE_LEAVE] = "leave",
    [NW_DECIDE_REFUSE] = "refuse",
    [NW_DECIDE_CORRUPT] = "corrupt",
};

/* "sound (1)": the decision, and the number of its reason. */
static void add_cell(struct text *text, struct nw_facts facts, uint32_t format, bool is_strict)
{
    const struct nw_verdict *verdict;

    facts.format = format;
    facts.is_strict = is_strict;
    verdict = nw_verdict_of(&facts);
    text_add(text, " | %s (%zu)", decision_names[verdict->decision], nw_verdict_index(verdict) + 1);
}

static void add_row(struct text *text, struct nw_facts facts)
{
    text_add(text, "| %s | %s | %s", place_names[facts.place], stop_names[facts.stop],
             facts.is_below_watermark ? "yes" : "no");
    add_cell(text, facts, 2, false);
    add_cell(text, facts, 2, true);
    add_cell(text, facts, 1, false);
    add_cell(text, facts, 1, true);
    text_add(text, " |\n");
}

static void the_table_of_decisions_is_that_of_the_code(void **state)
{
    struct text text = {0};
    int rc;

    (void)state;
    text_add(&text, "| segment | what follows the last whole batch | below the watermark"
                    " | `tail` | `strict` | format 1, `tail` | format 1, `strict` |\n"
                    "|---|---|---|---|---|---|---|\n");
    for (int place = 0; place < NW_PLACES; place++)
        for (int stop = 0; stop < NW_SCAN_STOPS; stop++)
            for (int below = 0; below < 2; below++)
                add_row(&text, (struct nw_facts){.place = (enum nw_place)place,
                                                 .stop = (enum nw_scan_stop)stop,
                                                 .is_below_watermark = below != 0});
    rc = generated_block("docs/recovery.md", "decisions", text.data);
    text_free(&text);
    assert_int_equal(rc, 0);
}

/* The verdict with this index, from any facts that lead to it; NULL if none do. */
static const struct nw_verdict *find_verdict(size_t index)
{
    for (unsigned bits = 0; bits < 2 * NW_PLACES * NW_SCAN_STOPS * 2 * 2; bits++) {
        struct nw_facts facts = {
            .format = 1 + (bits & 1),
            .is_below_watermark = (bits >> 1 & 1) != 0,
            .is_strict = (bits >> 2 & 1) != 0,
            .place = (enum nw_place)(bits >> 3 & 1),
            .stop = (enum nw_scan_stop)(bits >> 4),
        };
        const struct nw_verdict *verdict = nw_verdict_of(&facts);

        if (nw_verdict_index(verdict) == index)
            return verdict;
    }
    return NULL;
}

static void the_reasons_are_those_of_the_code(void **state)
{
    struct text text = {0};
    int rc;

    (void)state;
    for (size_t i = 0; i < nw_verdict_count(); i++) {
        const struct nw_verdict *verdict = find_verdict(i);

        assert_non_null(verdict); /* every row is reached */
        text_add(&text, "%zu. %s: %s\n", i + 1, decision_names[verdict->decision], verdict->why);
    }
    rc = generated_block("docs/recovery.md", "reasons", text.data);
    text_free(&text);
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_decisions_is_that_of_the_code),
        cmocka_unit_test(the_reasons_are_those_of_the_code),
    };

    return cmocka_run_group_tests_name("decision table", tests, NULL, NULL);
}
