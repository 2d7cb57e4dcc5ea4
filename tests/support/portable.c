/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * portable.c: which tests a build with -Dportable=true skips, and why.
 *
 * What. Linked, in that build alone, with every test program: it stands before cmocka's runner
 * (-Wl,--wrap), which gets a test that skips in the place of each listed one. All of them ask for
 * what the file `control` gives, and that takes a shared mapping, which POSIX alone does not make
 * safe. What a log without it must still do is shown by all other tests, and by test_poor_seam.
 *
 * Failure. A name that its program does not have fails that program: the list cannot go stale.
 */
#define _GNU_SOURCE 1 /* program_invocation_short_name */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_IS_USED "it looks at the file control"
#define CLEAN        "nobody knows that a log was closed well, so ids are skipped"
#define OUTSIDE      "nobody outside knows how far a log goes"
#define HANDLE       "a reader that outlives its handle does not find the next one"

static const struct {
    const char *program;
    const char *test;
    const char *why;
} beyond_posix[] = {
    {"advice", "an_advice_is_kept_over_lives", FILE_IS_USED},
    {"advice", "a_live_writer_is_not_disturbed_and_the_next_open_knows", FILE_IS_USED},
    {"advice", "a_control_that_shares_its_blocks_is_not_written_beside_a_writer", FILE_IS_USED},
    {"advice", "a_folder_without_a_log_can_be_advised", FILE_IS_USED},
    {"advice", "a_log_without_control_gets_it_from_its_next_open", FILE_IS_USED},
    {"advice", "a_copy_of_a_log_is_to_be_measured_anew", FILE_IS_USED},
    {"advice", "garbage_is_not_believed_and_costs_nothing", FILE_IS_USED},
    {"advice", "what_was_measured_on_another_device_is_not_believed", FILE_IS_USED},
    {"append", "a_buffer_size_is_rounded_up_to_a_power_of_two", FILE_IS_USED},
    {"append", "opening_and_closing_creates_nothing_but_control", FILE_IS_USED},
    {"bad_input", "a_repair_without_a_quarantine_changes_nothing", FILE_IS_USED},
    {"bad_input", "a_folder_that_may_not_be_written_is_only_read", FILE_IS_USED},
    {"bad_input", "garbage_in_control_costs_no_record", FILE_IS_USED},
    {"bad_input", "a_control_of_an_older_moment_costs_no_record", FILE_IS_USED},
    {"control", "a_control_of_another_log_goes_to_quarantine", FILE_IS_USED},
    {"control", "an_open_that_refuses_leaves_it_where_it_is", FILE_IS_USED},
    {"control", "what_is_no_file_is_left_alone", FILE_IS_USED},
    {"control", "without_a_quarantine_it_stays_where_it_is", FILE_IS_USED},
    {"explain", "the_overview_tells_what_was_measured_and_whether_it_is_believed", FILE_IS_USED},
    {"format1", "no_mix_of_words_in_control_is_damage", FILE_IS_USED},
    {"format1", "a_lost_header_behind_format_1_is_told_until_it_is_mended", FILE_IS_USED},
    {"formats", "opening_a_log_of_format_1_changes_nothing_before_the_first_append", FILE_IS_USED},
    {"live", "any_page_gives_numbers_that_make_sense", FILE_IS_USED},
    {"live", "a_page_that_is_not_ours_is_not_shown", FILE_IS_USED},
    {"live", "percentiles_lie_in_the_bucket_that_holds_them", FILE_IS_USED},
    {"mend", "what_a_person_keeps_in_quarantine_stays", FILE_IS_USED},
    {"observe", "a_torn_tail_is_told_with_its_place_and_bytes", FILE_IS_USED},
    {"processes", "files_have_the_mode_asked_for_less_the_umask", FILE_IS_USED},
    {"readers", "a_durable_reader_without_control_goes_on_as_marks_are_written", FILE_IS_USED},
    {"readers", "a_durable_reader_finds_a_control_that_was_made_since", FILE_IS_USED},
    {"readers", "every_offset_is_a_record_or_leads_to_one_or_is_refused", FILE_IS_USED},
    {"regressions", "a_watermark_that_was_not_stored_whole_is_not_believed", FILE_IS_USED},
    {"regressions", "a_position_is_found_whatever_a_writer_that_is_gone_published", FILE_IS_USED},
    {"regressions", "a_reader_is_told_of_drops_behind_a_repair", FILE_IS_USED},
    {"regressions", "a_reader_of_a_lost_tail_is_told_before_the_next_append", FILE_IS_USED},
    {"repair", "garbage_behind_an_end_does_not_keep_salvage_from_the_next_header", FILE_IS_USED},
    {"repair", "damage_before_a_damaged_header_is_kept_as_evidence", FILE_IS_USED},
    {"repair", "explain_says_what_lies_at_each_kind_of_place", FILE_IS_USED},
    {"repair", "a_mark_is_found_wherever_it_lies", FILE_IS_USED},
    {"retention", "nothing_to_drop_is_no_error", FILE_IS_USED},
    {"shuffled", "a_segment_of_another_log_is_refused", FILE_IS_USED},
    {"append", "every_open_that_appends_begins_a_segment", CLEAN},
    {"bad_input", "a_dry_run_names_the_first_damage", CLEAN},
    {"bad_input", "a_segment_of_unknown_numbers_is_not_given_wrong_ones", CLEAN},
    {"bad_input", "a_locked_log_is_named_and_unharmed", CLEAN},
    {"bad_input", "without_its_newest_segment_a_log_is_as_it_was_before", CLEAN},
    {"bad_input", "names_that_are_not_ours_are_left_alone", CLEAN},
    {"format1", "a_log_of_several_lives_is_whole_under_every_policy", CLEAN},
    {"formats", "a_log_of_format_1_goes_on_in_format_2", CLEAN},
    {"repair", "foreign_files_are_no_damage_and_stay", CLEAN},
    {"repair", "a_long_first_record_of_format_1_is_no_damage", CLEAN},
    {"shuffled", "a_segment_under_another_name_is_refused", CLEAN},
    {"shuffled", "a_missing_segment_in_the_middle_is_refused", CLEAN},
    {"shuffled", "a_file_without_a_header_is_refused", CLEAN},
    {"shuffled", "missing_oldest_segments_are_as_if_dropped", CLEAN},
    {"format1", "a_reader_is_told_what_retention_removed", OUTSIDE},
    {"live_stats", "inside_and_outside_tell_the_same", OUTSIDE},
    {"live_stats", "a_writer_in_another_process_is_seen_alive_and_dead", OUTSIDE},
    {"live_stats", "a_closed_log_says_so_and_keeps_its_last_numbers", OUTSIDE},
    {"live_stats", "a_segment_that_has_no_name_yet_counts", OUTSIDE},
    {"live_stats", "positions_stand_in_order_while_the_log_rolls", OUTSIDE},
    {"live_stats", "positions_are_right_among_many_segments", OUTSIDE},
    {"mend", "damage_beside_a_writer_is_told_once", OUTSIDE},
    {"points", "every_offset_gives_what_it_gives_to_any_reader", OUTSIDE},
    {"points", "damage_in_what_is_lent_is_told_as_ever", OUTSIDE},
    {"processes", "readers_in_other_processes_follow_a_live_writer", OUTSIDE},
    {"readers", "a_durable_reader_shows_nothing_before_its_sync", OUTSIDE},
    {"regressions", "a_reader_that_has_read_all_outlives_drops_and_reopening", OUTSIDE},
    {"regressions", "a_reader_at_the_end_outlives_the_drop_of_an_empty_successor", OUTSIDE},
    {"stats", "a_viewer_sees_what_a_live_log_does", OUTSIDE},
    {"stats", "each_life_begins_with_zeros_and_leaves_its_last_numbers", OUTSIDE},
    {"format1", "readers_follow_a_live_writer_over_ends_of_segments", HANDLE},
    {"points", "a_borrowing_reader_outlives_its_log", HANDLE},
    {"readers", "a_reader_survives_close_and_reopen_of_the_writer", HANDLE},
};
#define BEYOND_COUNT (sizeof beyond_posix / sizeof beyond_posix[0])

int __real__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);

static void is_beyond_posix(void **state)
{
    print_message("# skipped: without control %s\n", (const char *)*state);
    skip();
}

static bool replace(struct CMUnitTest *tests, size_t count, const char *name, const char *why)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tests[i].name, name) != 0)
            continue;
        tests[i].test_func = is_beyond_posix;
        tests[i].setup_func = NULL;
        tests[i].teardown_func = NULL;
        tests[i].initial_state = (void *)(uintptr_t)why;
        return true;
    }
    return false;
}

int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    const char *program = program_invocation_short_name + strlen("test_");
    struct CMUnitTest *copy = calloc(count, sizeof *copy);
    int rc;

    if (!copy)
        return 1;
    memcpy(copy, tests, count * sizeof *copy);
    for (size_t i = 0; i < BEYOND_COUNT; i++) {
        if (strcmp(beyond_posix[i].program, program) != 0 ||
            replace(copy, count, beyond_posix[i].test, beyond_posix[i].why))
            continue;
        (void)fprintf(stderr, "portable.c: test_%s has no %s\n", program, beyond_posix[i].test);
        free(copy);
        return 1;
    }
    rc = __real__cmocka_run_group_tests(group, copy, count, setup, teardown);
    free(copy);
    return rc;
}
