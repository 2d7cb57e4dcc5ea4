/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_sketch.c: the figures of `make torture` count what is different, over several runs, once. */
#define _GNU_SOURCE 1 /* mkdtemp */

#include "../support/sketch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define SMALL_FILE 1000 /* bytes */

static char folder[200];
static char path[sizeof folder + 20];

static int begin(void **state)
{
    const char *base = getenv("TMPDIR");

    (void)state;
    (void)snprintf(folder, sizeof folder, "%s/nori-sketch-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/sketch", folder);
    return 0;
}

static int end(void **state)
{
    char new_path[sizeof path + 4];

    (void)state;
    (void)snprintf(new_path, sizeof new_path, "%s.new", path);
    (void)unlink(new_path);
    (void)unlink(path);
    return rmdir(folder);
}

/* The first so many numbers, and whatever is in it already. */
static void count_up(struct sketch *sketch, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        sketch_add(sketch, i);
}

static void what_was_counted_in_an_earlier_run_does_not_count_again(void **state)
{
    static struct sketch first, second;

    (void)state;
    assert_true(sketch_load(&first, path)); /* there is none yet */
    assert_int_equal(sketch_count(&first), 0);
    count_up(&first, 10000);
    assert_in_range(sketch_count(&first), 9900, 10100);
    assert_true(sketch_save(&first, path));
    assert_true(sketch_load(&second, path));
    assert_memory_equal(&first, &second, sizeof first);
    count_up(&second, 10000);
    assert_int_equal(sketch_count(&second), sketch_count(&first));
}

static void a_save_that_fails_costs_nothing_that_was_kept(void **state)
{
    static struct sketch kept, more, found;
    struct rlimit all, few;

    (void)state;
    count_up(&kept, 1000);
    assert_true(sketch_save(&kept, path));
    count_up(&more, 2000);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &all), 0);
    few = all;
    few.rlim_cur = SMALL_FILE;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &few), 0);
    assert_false(sketch_save(&more, path));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &all), 0);
    assert_true(sketch_load(&found, path));
    assert_memory_equal(&found, &kept, sizeof kept);
}

static void a_file_that_was_cut_or_has_grown_is_no_sketch(void **state)
{
    static const off_t lens[] = {0, 1, SKETCH_LEN - 1, SKETCH_LEN + 1};
    static struct sketch sketch;

    (void)state;
    count_up(&sketch, 10);
    assert_true(sketch_save(&sketch, path));
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        assert_int_equal(truncate(path, lens[i]), 0);
        assert_false(sketch_load(&sketch, path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_counted_in_an_earlier_run_does_not_count_again,
                                        begin, end),
        cmocka_unit_test_setup_teardown(a_save_that_fails_costs_nothing_that_was_kept, begin, end),
        cmocka_unit_test_setup_teardown(a_file_that_was_cut_or_has_grown_is_no_sketch, begin, end),
    };

    return cmocka_run_group_tests_name("sketch", tests, NULL, NULL);
}
