#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# coverage.sh [--raise]: how much of src/ the tests reach: a table by folder, held against the floors of
# tests/coverage.txt, and build/coverage.html. With --raise the floors are then raised to what was found, never lowered.
# The last line is `N passed, N failed, N skipped`: tests, floors, and the rules for what does not count.
set -uo pipefail
cd "$(dirname "$0")/.."
build=build/coverage
floors=tests/coverage.txt
exclusions_max=10
margin=0.2 # percent by which a run of the same tests may differ from another: threads
share=5    # percent of their default that the programs in tests/crash/ do: the rest reaches nothing new

is_raising=no
case ${1:-} in
--raise) is_raising=yes ;;
'') ;;
*) echo "usage: coverage.sh [--raise]" >&2; exit 2 ;;
esac
if ! command -v gcovr >/dev/null; then
    echo "coverage: skipped, gcovr is not installed (tools/install-packages coverage)"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
fi

# Only src/ counts, so nothing else is slowed down; atomic counters, so that threads lose none. Probes are a branch each
# that is taken only while somebody traces.
set_up() {
    [ -f $build/build.ninja ] ||
        CC=gcc meson setup $build --buildtype=plain -Db_coverage=true -Dtests=enabled -Dprobes=disabled \
            '-Dc_args=-fprofile-update=atomic -fprofile-filter-files=.*/src/.*' || return
    ninja -C $build build.ninja # so that it knows new tests
}

# The tests to run: all but those about the house, the tool and the examples, and those that the floors' file names.
tests() {
    meson test -C $build --no-rebuild --list --no-suite house --no-suite cli --no-suite examples 2>/dev/null | sed 's/.* //' |
        grep -vxF -f <(awk '$1 == "without" { print $2 }' $floors)
}

# The programs of these tests, as Ninja knows them.
programs() {
    sed 's,^fuzz_,fuzz/replay_,; t; s,^golden$,tests/golden,; t; s,^,tests/test_,'
}

run_tests() {
    find $build -name '*.gcda' -delete
    rm -f $build/meson-logs/testlog.json
    # shellcheck disable=SC2046 # one word each
    NORI_SHARE=$share meson test -C $build --no-rebuild --quiet --timeout-multiplier 4 $(tests) >build/coverage.test.log 2>&1
    tools/count-tests.py --label coverage $build/meson-logs/testlog.json
}

# Where an assertion fails no test can go.
measure() {
    gcovr --root . --filter src/ --object-directory $build \
        --exclude-branches-by-pattern '.*\bnw_(debug_)?(assert|never)\(.*' \
        --html-details build/coverage.html --html-title 'nori-wal: coverage of src/' \
        --csv build/coverage.csv --txt build/coverage.list $build/src
}

# FOLDER WHAT PERCENT COVERED TOTAL, from the rows of gcovr: file, lines and their covered ones, branches likewise.
by_folder() {
    awk -F, 'NR > 1 && (getline line < $1) >= 0 {
        folder = $1; sub("/[^/]*$", "", folder)
        total[folder " lines"] += $2; covered[folder " lines"] += $3
        total[folder " branches"] += $5; covered[folder " branches"] += $6
    }
    END { for (key in total) if (total[key])
        printf "%s %.1f %d %d\n", key, int(1000 * covered[key] / total[key]) / 10, covered[key], total[key] }' \
        build/coverage.csv | sort
}

passed=0
failed=0
fail() {
    failed=$((failed + 1))
    echo "FAILED coverage: $*"
}

compare() {
    local folder what percent covered total floor
    while read -r folder what percent covered total; do
        floor=$(awk -v folder="$folder" -v what="$what" '$1 == folder && $2 == what { print $3 }' $floors)
        printf '%-14s %-9s %5s %%  %5d of %5d  floor %s\n' "$folder" "$what" "$percent" "$covered" "$total" "${floor:-none}"
        if [ -z "$floor" ]; then
            continue
        elif awk "BEGIN { exit !($percent < $floor) }"; then
            fail "$what of $folder: $percent %, and were $floor % at least; build/coverage.html has the lines"
        else
            passed=$((passed + 1))
            awk "BEGIN { exit !($percent > $floor + 2 * $margin) }" &&
                echo "    the floor can be raised: tools/coverage.sh --raise"
        fi
    done <build/coverage.folders
    while read -r folder what floor; do
        grep -q "^$folder $what " build/coverage.folders || fail "$what of $folder: none measured, and were $floor % at least"
    done < <(awk '$1 ~ /^src\// && NF == 3' $floors)
}

# A branch is left out only by a mark in the source, `GCOVR_EXCL_BR_LINE: why`, and not many are.
check_exclusions() {
    local count
    count=$(grep -rE '_EXCL_(BR_)?(LINE|START)' src | wc -l)
    if [ "$count" -gt $exclusions_max ]; then
        fail "$count exclusions in src/, at most $exclusions_max may be"
    elif grep -rnE '_EXCL_' src | grep -vE 'GCOVR_EXCL_(BR_)?LINE: [a-z]'; then
        fail "an exclusion is one line, and says why"
    else
        passed=$((passed + 1))
    fi
}

raise() {
    awk -v margin=$margin 'NR == FNR { found[$1 " " $2] = $3; next }
    ($1 " " $2) in found {
        wanted = found[$1 " " $2]
        if (wanted < 100) wanted -= margin
        if (wanted > $3) $0 = sprintf("%-14s %-9s %5.1f", $1, $2, wanted)
    }
    { print }' build/coverage.folders $floors >build/coverage.raised && cp build/coverage.raised $floors
}

mkdir -p build
set_up >build/coverage.log 2>&1 && tests | programs | xargs ninja -C $build >>build/coverage.log 2>&1 || {
    tail -n 60 build/coverage.log
    exit 1
}
counted=$(run_tests)
printf '%s\n' "$counted" | sed '$d'
read -r passed _ failed _ skipped _ <<<"$(printf '%s\n' "$counted" | tail -n 1)"
measure >build/coverage.log 2>&1 || {
    tail -n 60 build/coverage.log
    exit 1
}
by_folder >build/coverage.folders
compare
check_exclusions
[ $is_raising = no ] || raise
echo "each line: build/coverage.html; each file: build/coverage.list"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
