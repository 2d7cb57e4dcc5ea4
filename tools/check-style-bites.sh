#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check-style-bites.sh ROOT: show that check-style.sh finds each kind of breach, and none in a good file. Speaks TAP.
set -uo pipefail
checker=${1:?usage: check-style-bites.sh ROOT}/tools/check-style.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
licence='/* SPDX-License-Identifier: MIT OR Apache-2.0 */'
number=0
failures=0

# report STATUS NAME
report() {
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
        return
    fi
    echo "not ok $number - $2"
    failures=$((failures + 1))
}

# A tree with one file; its text comes from standard input. It is listed in the build.
plant() {
    rm -rf "${work:?}/tree"
    mkdir -p "$work/tree/$(dirname "$1")"
    cat >"$work/tree/$1"
    local part=${1%%/*}
    {
        echo "# SPDX-License-Identifier: MIT OR Apache-2.0"
        echo "'${1#*/}'"
    } >"$work/tree/$part/meson.build"
}

# bites FILE MESSAGE: the checker complains about the file with this message.
bites() {
    local said status
    said=$(sh "$checker" "$work/tree")
    status=$?
    [ $status -eq 1 ] && grep -qF "$1:" <<<"$said" && grep -qF "$2" <<<"$said"
    report $? "$2"
    [ $status -eq 1 ] || echo "# it said: $said"
}

lines() {
    awk -v count="$1" -v text="$2" 'BEGIN { for (i = 0; i < count; i++) print text }'
}

plant src/wal/good.c <<<"$licence
/* A comment with http://example.org, a \"//\" and the word XXXXXX is fine. */
const char *text = \"// printf(\";
int code(char c) /* snprintf( is allowed */
{
    return c == '\"' ? snprintf(0, 0, \"x\") : pool->free(c);
}"
sh "$checker" "$work/tree" >"$work/said"
report $? "a good file passes"
[ "$failures" -eq 0 ] || sed 's/^/# /' "$work/said"

plant src/wal/a.c <<<"$licence
$(printf 'x%.0s' {1..101})"
bites src/wal/a.c "longer than 100 columns"
plant include/nori/a.h <<<"$licence
$(printf 'x%.0s' {1..101})"
bites include/nori/a.h "longer than 100 columns"
{ echo "$licence"; echo "int f(void)"; echo "{"; lines 81 "    x++;"; echo "}"; } | plant src/wal/a.c
bites src/wal/a.c "a function of 81 lines"
{ echo "$licence"; lines 1000 "int x;"; } | plant tests/a.c
bites tests/a.c "a file of 1001 lines"
plant cli/a.c <<<"int x;"
bites cli/a.c "no SPDX line"
plant sim/a.c <<<"$licence
int x; // no"
bites sim/a.c "a // comment"
plant src/io/a.c <<<"$licence
int x = printf(\"x\");"
bites src/io/a.c "the library does not print"
plant src/io/a.c <<<"$licence
int x = strcpy(a, b);"
bites src/io/a.c "strcpy(): use memcpy"
plant src/wal/a.c <<<"$licence
int *x = malloc(8);"
bites src/wal/a.c "malloc(): use the allocator"
for mark in TODO FIXME XXX; do
    plant src/base/a.c <<<"$licence
/* $mark: later */"
    bites src/base/a.c "a leftover mark"
done
plant src/base/a.c <<<"$licence
#include \"format/record.h\""
bites src/base/a.c "base includes only base"
plant src/format/a.c <<<"$licence
#include \"io/posix.h\""
bites src/format/a.c "format includes only base and format"
plant src/io/a.c <<<"$licence
#include \"wal/log.h\""
bites src/io/a.c "io includes only base and io"
plant src/observe/a.c <<<"$licence
#include \"wal/log.h\""
bites src/observe/a.c "observe includes only base and observe"
for header in fcntl unistd pthread time sys/stat; do
    plant src/wal/a.c <<<"$licence
#include <$header.h>"
    bites src/wal/a.c "the world is reached through nori/vfs.h only"
done
plant src/wal/a.c <<<"$licence
#include <errno.h>"
bites src/wal/a.c "errno belongs to src/io"
plant cli/a.c <<<"$licence
#include \"base/scan.h\""
bites cli/a.c "cli includes only <nori/...> and its own"
plant sim/a.c <<<"$licence
#include \"wal/log.h\""
bites sim/a.c "sim sees only the public headers"
plant src/wal/a.c <<<"$licence"
echo "# SPDX-License-Identifier: MIT OR Apache-2.0" >"$work/tree/src/meson.build"
bites src/wal/a.c "not listed in src/meson.build"
plant tests/unit/test_a.c <<<"$licence"
echo "# SPDX-License-Identifier: MIT OR Apache-2.0" >"$work/tree/tests/meson.build"
bites tests/unit/test_a.c "not listed in tests/meson.build"

echo "1..$number"
[ $failures -eq 0 ]
