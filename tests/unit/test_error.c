/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "base/error.h"

#include "base/assert.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include <cmocka.h>

static const struct nori_position somewhere = {7, 4096};

static void every_code_has_its_name(void **state)
{
    static const struct {
        int code;
        const char *name;
    } rows[] = {
        {0, "NORI_OK"},
        {1, "NORI_END"},
        {-1, "NORI_E_INVALID"},
        {-2, "NORI_E_NOMEM"},
        {-3, "NORI_E_IO"},
        {-4, "NORI_E_NOSPACE"},
        {-5, "NORI_E_CORRUPT"},
        {-6, "NORI_E_VERSION"},
        {-7, "NORI_E_LOCKED"},
        {-8, "NORI_E_NOTFOUND"},
        {-9, "NORI_E_TOOBIG"},
        {-10, "NORI_E_CLOSED"},
        {-11, "NORI_E_FAILED"},
        {-12, "NORI_E_UNSUPPORTED"},
        {-13, "NORI_E_TIMEOUT"},
        {-14, "NORI_E_READONLY"},
        {-15, "NORI_E_TRUNCATED"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(nori_error_name(rows[i].code), rows[i].name);
}

static void every_code_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    assert_string_equal(nori_strerror(NORI_E_NOSPACE), "no space is left");
    for (int code = NORI_E_TRUNCATED; code <= NORI_END; code++) {
        assert_string_not_equal(nori_strerror(code), nori_strerror(9999));
        for (int other = NORI_E_TRUNCATED; other < code; other++)
            assert_string_not_equal(nori_strerror(code), nori_strerror(other));
    }
}

static void an_unknown_code_has_a_name_and_a_sentence(void **state)
{
    static const int codes[] = {2, 9999, NORI_E_TRUNCATED - 1, -9999, INT32_MAX, INT32_MIN};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        assert_string_equal(nori_error_name(codes[i]), "NORI_E_UNKNOWN");
        assert_true(strlen(nori_strerror(codes[i])) > 0);
    }
}

static void the_version_is_three_numbers(void **state)
{
    unsigned major, minor, patch;
    char rest;

    (void)state;
    assert_int_equal(sscanf(nori_version(), "%u.%u.%u%c", &major, &minor, &patch, &rest), 3);
}

static void a_description_has_all_its_parts(void **state)
{
    struct nori_error error = NORI_ERROR_INIT;
    char expected[256];

    (void)state;
    assert_int_equal(nw_error_set(&error, NORI_E_IO, EIO, somewhere, "append: write %06d.wal", 7),
                     NORI_E_IO);
    (void)snprintf(expected, sizeof expected, "append: write 000007.wal: %s", strerror(EIO));
    assert_int_equal(error.size, sizeof error);
    assert_int_equal(error.code, NORI_E_IO);
    assert_int_equal(error.os_errno, EIO);
    assert_int_equal(error.position.segment_id, 7);
    assert_int_equal(error.position.offset, 4096);
    assert_string_equal(error.message, expected);
}

static void without_an_errno_only_the_message_is_there(void **state)
{
    struct nori_error error = NORI_ERROR_INIT;

    (void)state;
    assert_int_equal(nw_error_set(&error, NORI_E_INVALID, 0, NW_NOWHERE, "100%% of %s", "it"),
                     NORI_E_INVALID);
    assert_string_equal(error.message, "100% of it");
    assert_int_equal(error.os_errno, 0);
    assert_int_equal(error.position.segment_id, 0);
    assert_int_equal(error.position.offset, 0);
}

static void an_errno_that_nobody_knows_still_shows_its_number(void **state)
{
    struct nori_error error = NORI_ERROR_INIT;

    (void)state;
    (void)nw_error_set(&error, NORI_E_IO, 98765, NW_NOWHERE, "x");
    assert_non_null(strstr(error.message, "98765"));
}

static void the_code_comes_back_also_without_a_place_for_details(void **state)
{
    (void)state;
    assert_int_equal(nw_error_set(NULL, NORI_E_NOMEM, ENOMEM, somewhere, "x"), NORI_E_NOMEM);
    nw_error_copy(NULL, &(struct nori_error)NORI_ERROR_INIT);
}

/* At every length around the room there is, with and without the system's text. */
static void a_long_message_is_cut_to_fit(void **state)
{
    char text[400];

    (void)state;
    memset(text, 'm', sizeof text);
    for (int len = 200; len < (int)sizeof text; len++) {
        for (int os_errno = 0; os_errno <= EIO; os_errno += EIO) {
            struct nori_error error = NORI_ERROR_INIT;
            size_t shown;

            (void)nw_error_set(&error, NORI_E_IO, os_errno, NW_NOWHERE, "%.*s", len, text);
            assert_non_null(memchr(error.message, 0, sizeof error.message));
            shown = (size_t)len < sizeof error.message ? (size_t)len : sizeof error.message - 1;
            assert_memory_equal(error.message, text, shown);
            if (os_errno == 0)
                assert_int_equal(strlen(error.message), shown);
        }
    }
}

/* A wide character that no locale knows. */
static void a_message_that_cannot_be_written_does_not_hide_the_code(void **state)
{
    static const wchar_t hopeless[] = {(wchar_t)0x7ffffffe, 0};
    struct nori_error error = NORI_ERROR_INIT;

    (void)state;
    assert_int_equal(nw_error_set(&error, NORI_E_IO, EIO, somewhere, "x%ls", hopeless), NORI_E_IO);
    assert_int_equal(error.code, NORI_E_IO);
    assert_int_equal(error.position.offset, 4096);
    assert_non_null(strstr(error.message, strerror(EIO)));
    assert_true(strlen(error.message) < 100);
}

static void a_message_may_be_made_of_the_one_before(void **state)
{
    struct nori_error error = NORI_ERROR_INIT;

    (void)state;
    (void)nw_error_set(&error, NORI_E_IO, 0, somewhere, "read 000007.wal");
    (void)nw_error_set(&error, NORI_E_CORRUPT, 0, error.position, "open: %s", error.message);
    assert_string_equal(error.message, "open: read 000007.wal");
    assert_int_equal(error.position.offset, 4096);
}

/* A caller with a smaller struct, of any size, must find nothing written behind it. */
static void nothing_is_written_beyond_the_callers_size(void **state)
{
    (void)state;
    for (size_t size = 0; size <= sizeof(struct nori_error); size++) {
        union {
            struct nori_error error;
            unsigned char bytes[sizeof(struct nori_error)];
        } target;
        const size_t message = offsetof(struct nori_error, message);

        memset(&target, 0xa5, sizeof target);
        target.error.size = size;
        (void)nw_error_set(&target.error, NORI_E_IO, EIO, somewhere, "message");
        assert_int_equal(target.error.size, size);
        for (size_t i = size > sizeof(size_t) ? size : sizeof(size_t); i < sizeof target; i++)
            assert_int_equal(target.bytes[i], 0xa5);
        if (size >= offsetof(struct nori_error, code) + sizeof target.error.code)
            assert_int_equal(target.error.code, NORI_E_IO);
        if (size > message)
            assert_non_null(memchr(target.error.message, 0, size - message));
    }
}

static void what_a_newer_caller_has_more_is_zeroed(void **state)
{
    struct {
        struct nori_error error;
        unsigned char newer[64];
        unsigned char behind[8];
    } target;
    static const unsigned char zeros[sizeof target.newer];

    (void)state;
    memset(&target, 0xa5, sizeof target);
    target.error.size = sizeof target.error + sizeof target.newer;
    (void)nw_error_set(&target.error, NORI_E_IO, 0, somewhere, "message");
    assert_string_equal(target.error.message, "message");
    assert_memory_equal(target.newer, zeros, sizeof zeros);
    assert_int_equal(target.behind[0], 0xa5);
    assert_int_equal(target.error.size, sizeof target.error + sizeof target.newer);
}

static void a_copy_is_whole_and_keeps_the_targets_size(void **state)
{
    struct nori_error source = NORI_ERROR_INIT;
    struct nori_error target = NORI_ERROR_INIT;

    (void)state;
    (void)nw_error_set(&source, NORI_E_FAILED, EIO, somewhere, "sync");
    source.size = 1; /* not to be believed: it is ours and whole */
    nw_error_copy(&target, &source);
    assert_int_equal(target.size, sizeof target);
    assert_int_equal(target.code, NORI_E_FAILED);
    assert_int_equal(target.os_errno, EIO);
    assert_memory_equal(&target.position, &somewhere, sizeof somewhere);
    assert_string_equal(target.message, source.message);
    nw_error_copy(&target, &target);
    assert_int_equal(target.code, NORI_E_FAILED);
}

/* In a child, whose standard error is a pipe to here. */
static void a_failed_assertion_says_where_and_aborts(void **state)
{
    char said[512] = "";
    int ends[2], status;
    size_t len = 0;
    ssize_t got;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)signal(SIGABRT, SIG_DFL);
        nw_assert(ends[0] == -42);
        _exit(0);
    }
    (void)close(ends[1]);
    while ((got = read(ends[0], said + len, sizeof said - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(len > 0);
    assert_non_null(strstr(said, "test_error.c:"));
    assert_non_null(strstr(said, "ends[0] == -42"));
}

static void a_true_assertion_goes_on(void **state)
{
    int evaluated = 0;

    (void)state;
    nw_assert(++evaluated == 1);
    assert_int_equal(evaluated, 1);
    if (nw_never(evaluated == 2))
        fail();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_name),
        cmocka_unit_test(every_code_has_a_sentence_of_its_own),
        cmocka_unit_test(an_unknown_code_has_a_name_and_a_sentence),
        cmocka_unit_test(the_version_is_three_numbers),
        cmocka_unit_test(a_description_has_all_its_parts),
        cmocka_unit_test(without_an_errno_only_the_message_is_there),
        cmocka_unit_test(an_errno_that_nobody_knows_still_shows_its_number),
        cmocka_unit_test(the_code_comes_back_also_without_a_place_for_details),
        cmocka_unit_test(a_long_message_is_cut_to_fit),
        cmocka_unit_test(a_message_that_cannot_be_written_does_not_hide_the_code),
        cmocka_unit_test(a_message_may_be_made_of_the_one_before),
        cmocka_unit_test(nothing_is_written_beyond_the_callers_size),
        cmocka_unit_test(what_a_newer_caller_has_more_is_zeroed),
        cmocka_unit_test(a_copy_is_whole_and_keeps_the_targets_size),
        cmocka_unit_test(a_failed_assertion_says_where_and_aborts),
        cmocka_unit_test(a_true_assertion_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
