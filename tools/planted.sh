#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# planted.sh BUILDROOT: show that tests catch bugs. One build holds every planted bug of tests/planted.txt; NORI_PLANT
# chooses at run time. Each line there names a bug and the one test that must fail with it, and does pass without: it is
# run alone, and no longer than until it fails.
# The last line is `N passed, N failed, N skipped`.
set -uo pipefail
build_root=${1:?usage: planted.sh BUILDROOT}
cd "$(dirname "$0")/.."
build=$build_root/planted
list=tests/planted.txt
seconds_max=${NORI_PLANT_SECONDS:-600} # a few are enough, on a machine that does nothing else

# NAME PROGRAM TEST SHARE PROMISE..., without comments.
rows() {
    sed 's/#.*//' "$list" | awk 'NF >= 5'
}

if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" --buildtype=debugoptimized -Dplants=true -Dtests=enabled >"$build_root/planted.log" 2>&1 || {
        cat "$build_root/planted.log"
        exit 1
    }
fi
# shellcheck disable=SC2046 # one word each
ninja -C "$build" $(rows | awk '{ print "tests/test_" $2 }' | sort -u) >"$build_root/planted.log" 2>&1 || {
    tail -n 60 "$build_root/planted.log"
    exit 1
}

# In memory, if a gigabyte is free, the tests do not wait for a disk; what the bugs do is the same there.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "$(df --output=avail /dev/shm | tail -n 1)" -ge 1048576 ]; then
    export TMPDIR=/dev/shm
fi
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
begun=$SECONDS

# run_one PLANT PROGRAM TEST SHARE: leave status and output in $results. PLANT may be "none".
run_one() {
    local output=$results/$1.$2.$3.$4
    [ "$1" = none ] && unset NORI_PLANT || export NORI_PLANT=$1
    CMOCKA_MESSAGE_OUTPUT=TAP NORI_SOURCE_ROOT=$PWD NORI_ONLY=$3 NORI_SHARE=$4 timeout --kill-after=5 "$seconds_max" \
        "$build/tests/test_$2" >"$output" 2>&1 </dev/null
    echo $? >"$output.status"
}
export -f run_one
export results build seconds_max
{
    rows | awk '{ print "none", $2, $3, $4 }' | sort -u
    rows | awk '{ print $1, $2, $3, $4 }'
} | xargs -r -P "$(nproc)" -L 1 bash -c 'run_one "$0" "$@"' 2>/dev/null

passed=0
failed=0
while read -r name program test share promise; do
    output=$program.$test.$share
    healthy=$(cat "$results/none.$output.status" 2>/dev/null)
    planted=$(cat "$results/$name.$output.status" 2>/dev/null)
    if [ "$healthy" = 0 ] && ! grep -q "^ok .* $test\$" "$results/none.$output"; then
        healthy="no such test"
    fi
    by=$test
    grep -q "^not ok .* $test\$" "$results/$name.$output" || by="$test, stopped by an assertion"
    case $healthy/$planted in
    0/0) verdict="NOT CAUGHT" ;;
    0/124 | 0/137) verdict="NOT CAUGHT in $seconds_max s" ;;
    0/*) verdict=caught ;;
    "no such test"/*) verdict="no such test" ;;
    *) verdict="test fails without it, too" ;;
    esac
    printf '%-26s %-12s %-4s test_%s: %s\n' "$name" "$verdict" "$promise" "$program" "$by"
    if [ "$verdict" = caught ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "  repeat: NORI_PLANT=$name NORI_ONLY=$test NORI_SHARE=$share $build/tests/test_$program"
    fi
done < <(rows)
echo "all of them in $((SECONDS - begun)) s"
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
