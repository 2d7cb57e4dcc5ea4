/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "format/names.h"

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void segments_have_names_of_at_least_six_digits(void **state)
{
    static const struct {
        uint64_t id;
        const char *name;
    } rows[] = {
        {0, "000000.wal"},        {7, "000007.wal"},
        {123456, "123456.wal"},   {999999, "999999.wal"},
        {1000000, "1000000.wal"}, {UINT64_MAX - 1, "18446744073709551614.wal"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[NW_NAME_MAX];
        uint64_t id = 42;

        nw_name_format(name, rows[i].id);
        assert_string_equal(name, rows[i].name);
        assert_true(nw_name_parse(rows[i].name, &id));
        assert_int_equal(id, rows[i].id);
    }
}

static void every_name_gives_back_its_id(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t expected = i < 2000 ? i : nw_splitmix64(i) >> (i % 64);
        char name[NW_NAME_MAX];
        uint64_t id = 0;

        if (expected == UINT64_MAX)
            continue;
        nw_name_format(name, expected);
        assert_true(nw_name_parse(name, &id));
        assert_int_equal(id, expected);
    }
}

static void names_that_are_not_ours_are_left_alone(void **state)
{
    static const char *const names[] = {
        "",
        ".",
        "..",
        ".wal",
        "wal",
        "7.wal",
        "00007.wal",
        "0000007.wal",
        "01000000.wal",
        "000007",
        "000007.",
        "000007.wa",
        "000007.wal.",
        "000007.wal ",
        "000007.wal~",
        "000007.wal.bak",
        "000007.WAL",
        "000007.log",
        " 000007.wal",
        "+00007.wal",
        "-00007.wal",
        "00000a.wal",
        "0x0007.wal",
        "000007\n.wal",
        "00 007.wal",
        "./000007.wal",
        "000007.wal/",
        "18446744073709551615.wal", /* UINT64_MAX: never an id */
        "18446744073709551616.wal",
        "18446744073709551617.wal",
        "36893488147419103239.wal", /* 2 * 2^64 + 7 */
        "99999999999999999999.wal",
        "100000000000000000000000000000000000000007.wal",
        "000000000000000000000000000000000000000007.wal",
        NW_NAME_SPARE,
        NW_NAME_CONTROL,
        "holds",
        "quarantine",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint64_t id = 42;

        assert_false(nw_name_parse(names[i], &id));
        assert_int_equal(id, 42);
    }
}

/* Of all one-byte changes to a name, exactly those of a digit to another digit give a name of
 * ours. */
static void one_wrong_byte_makes_a_name_foreign(void **state)
{
    static const char good[] = "012345.wal";

    (void)state;
    for (size_t at = 0; at < sizeof good - 1; at++) {
        for (int byte = 0; byte <= UINT8_MAX; byte++) {
            char name[sizeof good];
            uint64_t id;

            memcpy(name, good, sizeof name);
            name[at] = (char)byte;
            assert_int_equal(nw_name_parse(name, &id),
                             name[at] == good[at] || (at < 6 && byte >= '0' && byte <= '9'));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_have_names_of_at_least_six_digits),
        cmocka_unit_test(every_name_gives_back_its_id),
        cmocka_unit_test(names_that_are_not_ours_are_left_alone),
        cmocka_unit_test(one_wrong_byte_makes_a_name_foreign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
