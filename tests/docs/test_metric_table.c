/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* test_metric_table.c: the table of metrics in docs/observability.md is that of the code. */
#include "generated.h"

#include "observe/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void the_table_of_metrics_is_that_of_the_code(void **state)
{
    struct text text = {0};
    const char *before = "";
    int rc;

    (void)state;
    text_add(&text, "| metric | kind | label | what |\n|---|---|---|---|\n");
#define ROW(kind, handle, name, label, value, help)                         \
    do {                                                                    \
        const char *label_name = label;                                     \
                                                                            \
        assert_string_equal(nori_metric_help(name), help);                  \
        if (strcmp(before, name) != 0)                                      \
            text_add(&text, "| `%s` | %s | %s | %s |\n", name, #kind,       \
                     label_name ? label_name : "", nori_metric_help(name)); \
        before = name;                                                      \
    } while (0);
    NW_METRICS(ROW)
#undef ROW
    rc = generated_block("docs/observability.md", "metrics", text.data);
    text_free(&text);
    assert_int_equal(rc, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_metrics_is_that_of_the_code),
    };

    return cmocka_run_group_tests_name("metric table", tests, NULL, NULL);
}
