/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * test_mounts.c: the tool reads what Linux tells about mounted file systems. One that it took for
 * another would make it praise a disk that forgets.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../cli/mounts.h"

static void a_line_is_taken_apart(void **state)
{
    struct cli_mount mount;

    (void)state;
    assert_true(cli_mount_parse("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root "
                                "rw,errors=continue\n",
                                &mount));
    assert_int_equal(mount.id, 36);
    assert_int_equal(mount.major, 98);
    assert_int_equal(mount.minor, 0);
    assert_string_equal(mount.point, "/mnt2");
    assert_string_equal(mount.type, "ext3");
    assert_string_equal(mount.source, "/dev/root");
    assert_string_equal(mount.options, "rw,noatime,errors=continue");
}

static void there_may_be_no_tag_or_many(void **state)
{
    struct cli_mount mount;

    (void)state;
    assert_true(cli_mount_parse("1 0 0:22 / /a rw - tmpfs none rw", &mount));
    assert_string_equal(mount.type, "tmpfs");
    assert_true(cli_mount_parse("1 0 0:22 / /a rw shared:1 master:2 propagate_from:3 unbindable - "
                                "fuse.sshfs host:/ rw,user_id=0",
                                &mount));
    assert_string_equal(mount.type, "fuse.sshfs");
    assert_string_equal(mount.source, "host:/");
}

static void escapes_stand_for_bytes(void **state)
{
    struct cli_mount mount;

    (void)state;
    assert_true(cli_mount_parse("1 0 8:1 / /with\\040blank\\011tab\\012line\\134slash rw - ext4 "
                                "/dev/disk\\040one rw",
                                &mount));
    assert_string_equal(mount.point, "/with blank\ttab\nline\\slash");
    assert_string_equal(mount.source, "/dev/disk one");
    assert_true(cli_mount_parse("1 0 8:1 / /a\\04 rw - ext4 b\\777\\ rw", &mount)); /* no escapes */
    assert_string_equal(mount.point, "/a\\04");
    assert_string_equal(mount.source, "b\\777\\");
}

static void a_source_may_be_empty(void **state)
{
    struct cli_mount mount;

    (void)state;
    assert_true(cli_mount_parse("1 0 0:40 / /a rw - tmpfs  rw,size=4k\n", &mount));
    assert_string_equal(mount.source, "");
    assert_string_equal(mount.options, "rw,size=4k");
    assert_true(cli_mount_parse("1 0 0:40 / /a rw - tmpfs  rw\n", &mount));
    assert_string_equal(mount.options, "rw");
    assert_true(cli_mount_parse("1 0 8:1 / /a rw - ext4 b ro,sync", &mount));
    assert_string_equal(mount.options, "rw,ro,sync");
    assert_true(cli_mount_parse("1 0 8:1 / /a ro,noatime - ext4 b ro,sync", &mount));
    assert_string_equal(mount.options, "ro,noatime,sync");
    assert_true(cli_mount_parse("1 0 8:1 / /a rw - ext4 b rwx", &mount));
    assert_string_equal(mount.options, "rw,rwx");
}

static void what_is_too_long_is_cut_and_stays_within_its_room(void **state)
{
    static char line[8192], long_name[3000];
    struct cli_mount mount;

    (void)state;
    memset(long_name, 'x', sizeof long_name - 1);
    (void)snprintf(line, sizeof line, "1 0 8:1 / /%s rw - ext4 %s rw", long_name, long_name);
    assert_true(cli_mount_parse(line, &mount));
    assert_int_equal(strlen(mount.point), sizeof mount.point - 1);
    assert_int_equal(strlen(mount.source), sizeof mount.source - 1);
    (void)snprintf(line, sizeof line, "1 0 8:1 / /a %s - ext4 b %s", long_name, long_name);
    assert_true(cli_mount_parse(line, &mount));
    assert_int_equal(strlen(mount.options), sizeof mount.options - 1);
}

static void a_line_that_is_none_is_refused(void **state)
{
    static const char *const lines[] = {
        "",
        "\n",
        "nothing",
        "1 0 8 / /a rw - ext4 b rw",
        "1 0 8: / /a rw - ext4 b rw",
        "1 0 8:1",
        "1 0 8:1 / /a rw",
        "1 0 8:1 / /a rw shared:1",
        "1 0 8:1 / /a rw ext4 b rw",
        "1 0 8:1 / /a rw -",
        "1 0 8:1 / /a rw - ext4",
        "1 0 8:1 / /a rw - ext4 b",
    };
    struct cli_mount mount = {.id = 77};

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_false(cli_mount_parse(lines[i], &mount));
    assert_int_equal(mount.id, 77);
}

/* Every beginning of a line: taken or refused, but read no further than it goes. */
static void a_line_cut_anywhere_does_no_harm(void **state)
{
    static const char line[] =
        "36 35 98:0 / /mnt\\0402 rw,noatime master:1 - ext3 /dev/r\\134 rw,x";
    struct cli_mount mount;

    (void)state;
    for (size_t len = 0; len < sizeof line; len++) {
        char *cut = malloc(len + 1); /* so that a sanitizer sees the end */

        memcpy(cut, line, len);
        cut[len] = '\0';
        (void)cli_mount_parse(cut, &mount);
        free(cut);
    }
}

static void options_are_whole_words(void **state)
{
    (void)state;
    assert_true(cli_mount_has_option("rw,nobarrier", "nobarrier"));
    assert_true(cli_mount_has_option("nobarrier,rw", "nobarrier"));
    assert_true(cli_mount_has_option("rw,barrier=0,x", "barrier"));
    assert_true(cli_mount_has_option("rw,barrier=0", "barrier=0"));
    assert_false(cli_mount_has_option("rw,barrier=01", "barrier=0"));
    assert_false(cli_mount_has_option("rw,nobarriers", "nobarrier"));
    assert_false(cli_mount_has_option("rw,async", "sync"));
    assert_false(cli_mount_has_option("rw,lazytime", "lazy"));
    assert_false(cli_mount_has_option("", "sync"));
    assert_false(cli_mount_has_option(",,", "sync"));
}

static void an_open_file_tells_where_it_lies(void **state)
{
    int fd = open("/proc/self/stat", O_RDONLY);
    struct cli_mount mount;

    (void)state;
    if (fd < 0)
        skip(); /* there is no /proc */
    assert_true(cli_mount_of(fd, &mount));
    assert_string_equal(mount.type, "proc");
    (void)close(fd);
    assert_false(cli_mount_of(fd, &mount));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_taken_apart),
        cmocka_unit_test(there_may_be_no_tag_or_many),
        cmocka_unit_test(escapes_stand_for_bytes),
        cmocka_unit_test(a_source_may_be_empty),
        cmocka_unit_test(what_is_too_long_is_cut_and_stays_within_its_room),
        cmocka_unit_test(a_line_that_is_none_is_refused),
        cmocka_unit_test(a_line_cut_anywhere_does_no_harm),
        cmocka_unit_test(options_are_whole_words),
        cmocka_unit_test(an_open_file_tells_where_it_lies),
    };

    return cmocka_run_group_tests_name("mounts", tests, NULL, NULL);
}
