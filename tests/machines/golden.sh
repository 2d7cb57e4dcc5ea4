#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# golden.sh GOLDEN ROOT: logs that were written long ago (tests/golden), and those that GOLDEN makes now, are read, record
# by record as it stands in tests/golden, and gone on with. What tools/matrix.sh does on each machine. Speaks TAP.
# Of a log made now it is not compared where the records stand: after a sync of the library's own a mark lies between.
set -uo pipefail
golden=${1:?usage: golden.sh GOLDEN ROOT}
kept=${2:?usage: golden.sh GOLDEN ROOT}/tests/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "1..4"
number=0
failures=0
for format in 1 2; do
    cp -r "$kept/format$format" "$work/kept"
    # A copy, as of a log that was moved: the next segment's number depends on that.
    "$golden" make "$work/new" $format && cp -r "$work/new" "$work/made" || exit 1
    for from in kept made; do
        number=$((number + 1))
        positions='s/^[0-9]*:[0-9]* #/#/'
        [ $from = made ] || positions=
        "$golden" read "$work/$from" $format 2>"$work/error" | sed "$positions" >"$work/read"
        if sed "$positions" "$kept/format$format.txt" | diff "$work/read" - >"$work/differs" &&
            [ ! -s "$work/error" ]; then
            echo "ok $number - a log of format $format, $from, is read and gone on with"
        else
            echo "not ok $number - a log of format $format, $from, is read and gone on with"
            failures=$((failures + 1))
            head -n 20 "$work/error" "$work/differs" | sed 's/^/# /'
        fi
    done
    rm -rf "$work/kept" "$work/made" "$work/new"
done
[ $failures -eq 0 ]
