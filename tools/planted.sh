#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# planted.sh BUILDROOT: show that tests catch bugs. One build holds every planted bug of tests/planted.txt; NORI_PLANT
# chooses at run time. Each line there names a bug and the test that must fail with it, and does pass without.
# The last line is `N passed, N failed, N skipped`.
set -uo pipefail
build_root=${1:?usage: planted.sh BUILDROOT}
cd "$(dirname "$0")/.."
build=$build_root/planted
list=tests/planted.txt
seconds_max=${NORI_PLANT_SECONDS:-120}

# NAME TEST PROMISE..., without comments.
rows() {
    sed 's/#.*//' "$list" | awk 'NF >= 2'
}

if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" --buildtype=debugoptimized -Dplants=true -Dtests=enabled >"$build_root/planted.log" 2>&1 || {
        cat "$build_root/planted.log"
        exit 1
    }
fi
programs=$(rows | awk '{ print "tests/test_" $2 }' | sort -u)
if [ -n "$programs" ]; then
    # shellcheck disable=SC2086 # one word each
    ninja -C "$build" $programs >"$build_root/planted.log" 2>&1 || {
        tail -n 60 "$build_root/planted.log"
        exit 1
    }
fi

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# run_one PLANT TEST: leave status and output in $results. PLANT may be "none".
run_one() {
    local plant=$1 test=$2
    local output=$results/$plant.$test
    [ "$plant" = none ] && unset NORI_PLANT || export NORI_PLANT=$plant
    CMOCKA_MESSAGE_OUTPUT=TAP NORI_SOURCE_ROOT=$PWD timeout --kill-after=5 "$seconds_max" "$build/tests/test_$test" >"$output" 2>&1 </dev/null
    echo $? >"$output.status"
}
export -f run_one
export results build seconds_max
{
    rows | awk '{ print "none", $2 }' | sort -u
    rows | awk '{ print $1, $2 }'
} | xargs -r -P "$(nproc)" -L 1 bash -c 'run_one "$0" "$1"' 2>/dev/null

status_of() {
    cat "$results/$1.$2.status" 2>/dev/null || echo "no status"
}

passed=0
failed=0
while read -r name test promise; do
    healthy=$(status_of none "$test")
    planted=$(status_of "$name" "$test")
    case $healthy/$planted in
    0/0) verdict="NOT CAUGHT" ;;
    0/124 | 0/137) verdict="NOT CAUGHT in $seconds_max s" ;;
    0/*) verdict="caught" ;;
    *) verdict="test fails without it, too" ;;
    esac
    by=$(sed -n 's/^not ok [0-9]* - *//p' "$results/$name.$test" | head -n 1)
    printf '%-26s %-28s %-14s %s\n' "$name" "$verdict" "$promise" "test_$test${by:+: $by}"
    if [ "$verdict" = caught ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "  repeat: NORI_PLANT=$name $build/tests/test_$test"
    fi
done < <(rows)
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ]
