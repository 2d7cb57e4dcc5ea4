/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_verdict.c: every combination of facts that a scan can stop with is decided, and none of
 * them dangerously (D6). */
#include "wal/verdict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define COMBINATIONS ((size_t)2 * NW_PLACES * NW_SCAN_STOPS * 2 * 2)

static struct nw_facts facts_of(size_t combination)
{
    struct nw_facts facts;

    facts.format = 1 + (uint32_t)(combination % 2);
    combination /= 2;
    facts.place = (enum nw_place)(combination % NW_PLACES);
    combination /= NW_PLACES;
    facts.stop = (enum nw_scan_stop)(combination % NW_SCAN_STOPS);
    combination /= NW_SCAN_STOPS;
    facts.is_below_watermark = combination % 2;
    facts.is_strict = combination / 2;
    return facts;
}

static enum nw_decision decide(const struct nw_facts *facts)
{
    return nw_verdict_of(facts)->decision;
}

static void every_combination_is_decided_with_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMBINATIONS; i++) {
        struct nw_facts facts = facts_of(i);
        const struct nw_verdict *verdict = nw_verdict_of(&facts);

        assert_non_null(verdict);
        assert_in_range(verdict->decision, NW_DECIDE_SOUND, NW_DECIDE_CORRUPT);
        assert_true(strlen(verdict->why) > 20);
        assert_true(nw_verdict_index(verdict) < nw_verdict_count());
    }
}

static void every_row_of_the_table_is_reached(void **state)
{
    bool is_reached[64] = {false};

    (void)state;
    assert_in_range(nw_verdict_count(), 1, 64);
    for (size_t i = 0; i < COMBINATIONS; i++) {
        struct nw_facts facts = facts_of(i);

        is_reached[nw_verdict_index(nw_verdict_of(&facts))] = true;
    }
    for (size_t row = 0; row < nw_verdict_count(); row++)
        assert_true(is_reached[row]);
    assert_int_equal(nw_verdict_index(&(struct nw_verdict){NW_DECIDE_SOUND, ""}),
                     nw_verdict_count());
}

/* D6: below the watermark nothing but a segment that is whole up to its stated end is right. */
static void below_the_watermark_all_but_a_whole_segment_is_corrupt(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMBINATIONS; i++) {
        struct nw_facts facts = facts_of(i);
        bool is_whole = facts.place == NW_PLACE_ENDED && facts.stop == NW_STOP_AT_END;

        if (facts.is_below_watermark)
            assert_int_equal(decide(&facts), is_whole ? NW_DECIDE_SOUND : NW_DECIDE_CORRUPT);
    }
}

static void strict_leaves_nothing_behind_and_tail_refuses_no_tear(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMBINATIONS; i++) {
        struct nw_facts facts = facts_of(i);
        struct nw_facts other = facts;

        other.is_strict = !facts.is_strict;
        if (facts.is_strict)
            assert_int_not_equal(decide(&facts), NW_DECIDE_LEAVE);
        else
            assert_int_not_equal(decide(&facts), NW_DECIDE_REFUSE);
        /* The modes differ in nothing else. */
        if (decide(&facts) == NW_DECIDE_SOUND || decide(&facts) == NW_DECIDE_CORRUPT)
            assert_int_equal(decide(&other), decide(&facts));
        if (decide(&facts) == NW_DECIDE_LEAVE)
            assert_int_equal(decide(&other), NW_DECIDE_REFUSE);
    }
}

/* More knowledge of what was durable never makes a verdict milder. */
static void a_watermark_never_makes_damage_milder(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMBINATIONS; i++) {
        struct nw_facts facts = facts_of(i);
        struct nw_facts below = facts;

        below.is_below_watermark = true;
        assert_true(decide(&below) >= decide(&facts));
    }
}

/* Bytes that are no record are never sound; a clean tail never is a tear, but where there should
 * be a successor. */
static void what_is_sound_is_whole_or_a_clean_tail(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMBINATIONS; i++) {
        struct nw_facts facts = facts_of(i);
        bool is_whole = facts.stop == NW_STOP_AT_END;
        bool is_clean_tail = facts.stop == NW_STOP_CLEAN && facts.place == NW_PLACE_NEWEST;

        if (decide(&facts) == NW_DECIDE_SOUND)
            assert_true(is_whole || is_clean_tail);
        else if (!facts.is_below_watermark)
            assert_false(is_whole || is_clean_tail);
    }
}

/* D6: what had a successor in format 1 was complete once; only format 2 can have a tear over
 * several segments. */
static void an_ended_segment_of_format_1_is_whole_or_corrupt(void **state)
{
    (void)state;
    for (size_t i = 0; i < COMBINATIONS; i++) {
        struct nw_facts facts = facts_of(i);

        if (facts.format == 1 && facts.place == NW_PLACE_ENDED)
            assert_int_equal(decide(&facts),
                             facts.stop == NW_STOP_AT_END ? NW_DECIDE_SOUND : NW_DECIDE_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_combination_is_decided_with_a_reason),
        cmocka_unit_test(every_row_of_the_table_is_reached),
        cmocka_unit_test(below_the_watermark_all_but_a_whole_segment_is_corrupt),
        cmocka_unit_test(strict_leaves_nothing_behind_and_tail_refuses_no_tear),
        cmocka_unit_test(a_watermark_never_makes_damage_milder),
        cmocka_unit_test(what_is_sound_is_whole_or_a_clean_tail),
        cmocka_unit_test(an_ended_segment_of_format_1_is_whole_or_corrupt),
    };

    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
