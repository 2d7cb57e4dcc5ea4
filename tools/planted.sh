#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# planted.sh BUILDROOT: show that tests catch bugs. One build holds every planted bug of tests/planted.txt; NORI_PLANT
# chooses at run time. Each line there names a bug and a test that must fail with it, and does pass without: it is run
# alone, and no longer than until it fails. A test that cannot run here without the bug is skipped.
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

# What a row runs, of the build.
program_of() {
    case $1 in
    replay_*) echo "fuzz/$1" ;;
    golden) echo tests/golden ;;
    *) echo "tests/test_$1" ;;
    esac
}

programs() {
    rows | awk '{ print $2 }' | sort -u | while read -r program; do program_of "$program"; done
}
# shellcheck disable=SC2046 # one word each
ninja -C "$build" $(programs) >"$build_root/planted.log" 2>&1 || {
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
    local output=$results/$1.$2.$3.$4 program=$build/$(program_of "$2")
    [ "$1" = none ] && unset NORI_PLANT || export NORI_PLANT=$1
    case $2/$3 in
    */part:*)
        # shellcheck disable=SC2046 # the words of a command
        set -- "$program" $(awk -v part="${3#part:}" '$1 == part { $1 = $2 = $3 = $4 = $5 = ""; print }' \
            tests/torture.txt) --count "$4" --seed 1
        ;;
    replay_*) set -- "$program" "fuzz/corpus/${2#replay_}" ;;
    golden/*) set -- bash tests/machines/golden.sh "$program" . ;;
    *)
        export NORI_ONLY=$3 NORI_SHARE=$4
        set -- "$program"
        ;;
    esac
    echo "NORI_PLANT=${NORI_PLANT:-} ${NORI_ONLY:+NORI_ONLY=$NORI_ONLY NORI_SHARE=$NORI_SHARE }$*" >"$output.repeat"
    CMOCKA_MESSAGE_OUTPUT=TAP NORI_SOURCE_ROOT=$PWD timeout --kill-after=5 "$seconds_max" "$@" \
        >"$output" 2>&1 </dev/null
    echo $? >"$output.status"
}
export -f run_one program_of
export results build seconds_max
{
    rows | awk '{ print "none", $2, $3, $4 }' | sort -u
    rows | awk '{ print $1, $2, $3, $4 }'
} | xargs -r -P "$(nproc)" -L 1 bash -c 'run_one "$0" "$@"' 2>/dev/null

# How the line ends by which the test of a row tells that it has passed, or not.
end_of_line() {
    case $1 in
    part:*) echo torture ;;
    corpus) echo "keep every promise" ;;
    logs) echo "is read and gone on with" ;;
    *) echo "$1" ;;
    esac
}

# judge NAME OUTPUT TEST: set verdict and by. What left no status, since there was no room for one, caught nothing.
judge() {
    local healthy=$results/none.$2 planted=$results/$1.$2 end without with
    end=$(end_of_line "$3")
    without=$(cat "$healthy.status" 2>/dev/null)
    with=$(cat "$planted.status" 2>/dev/null)
    by=$3
    if grep -q '^\(# \|torture: \)skipped' "$healthy"; then
        verdict=skipped
        by="$3: $(sed -n 's/^\(# \|torture: \)skipped:* //p' "$healthy" | head -n 1)"
    elif [ -z "$without" ] || [ -z "$with" ]; then
        verdict="NO RESULT"
        by="$3: is there room in $results?"
    elif [ "$without" != 0 ]; then
        verdict="test fails without it, too"
    elif ! grep -q "^ok .* $end\$" "$healthy"; then
        verdict="no such test"
    elif [ "$with" = 124 ] || [ "$with" = 137 ]; then
        verdict="NOT CAUGHT in $seconds_max s"
    elif grep -q "^not ok .* $end\$" "$planted"; then
        verdict=caught
    elif [ "$with" -gt 128 ]; then
        verdict=caught
        by="$3, stopped by an assertion"
    else
        verdict="NOT CAUGHT"
    fi
}

passed=0
failed=0
skipped=0
while read -r name program test share promise; do
    judge "$name" "$program.$test.$share" "$test"
    printf '%-26s %-12s %-4s %s: %s\n' "$name" "$verdict" "$promise" "$(basename "$(program_of "$program")")" "$by"
    case $verdict in
    caught) passed=$((passed + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        repeat=$(cat "$results/$name.$program.$test.$share.repeat" 2>/dev/null)
        [ -z "$repeat" ] || echo "  repeat: $repeat"
        ;;
    esac
done < <(rows)
echo "all of them in $((SECONDS - begun)) s"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]
