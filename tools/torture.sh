#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# torture.sh [--seed N] [--seconds N] [--goal N] [--reset] [PART...]: the parts of tests/torture.txt, or some of them
# (NAME is also all that begin with NAME-), until each has reached its goal, or N instead of it, or for so many seconds
# each. What was reached is kept in build/torture/: a later run goes on with what was not tried yet. --reset: begin anew.
# DIR in the environment: where logs are made, else in memory: in a folder of its own, which is removed at the end, also
# if the run is interrupted. Status 1 if anything was lost.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
table=tests/torture.txt
build=build/torture-build
kept=build/torture
seconds_max=0
seed_given=
goal_given= # instead of the table's
is_reset=
parts=()

# PART NEEDS GOAL UNIT COMMAND, without comments.
rows() {
    sed 's/#.*//' "$table" | awk 'NF >= 5'
}

# The parts of this name, or all that begin with it.
named() {
    rows | awk -v name="$1" '$1 == name || index($1, name "-") == 1 { print $1 }'
}

# A number, or nothing is begun: what a typing mistake leads to must not count among what was reached.
number() {
    case ${2:-} in
    '' | *[!0-9]* | 0?* | ???????????????????*) echo "torture.sh: $1 needs a whole number, not '${2:-}'" >&2; exit 2 ;;
    esac
}

all=$(rows | awk '{ print $1 }' | tr '\n' ' ')
while [ $# -gt 0 ]; do
    case $1 in
    --seed) number "$@"; seed_given=$2; shift ;;
    --seconds) number "$@"; seconds_max=$2; shift ;;
    --goal) number "$@"; goal_given=$2; shift ;;
    --reset) is_reset=yes ;;
    *)
        [ -n "$(named "$1")" ] || { echo "torture.sh: no part '$1': ${all% }" >&2; exit 2; }
        mapfile -t -O ${#parts[@]} parts < <(named "$1")
        ;;
    esac
    shift
done
# shellcheck disable=SC2206 # one word each
[ ${#parts[@]} -gt 0 ] || parts=($all)
export NORI_BUILD=$build NORI_SOURCE_ROOT=$PWD NORI_TORTURE_KEEP=$PWD/$kept

# ---- what is left behind: nothing ----

base=${DIR:-${TMPDIR:-}}
[ -n "$base" ] || { base=/tmp; [ ! -w /dev/shm ] || base=/dev/shm; }
place=$(mktemp -d "$base/nori-torture-XXXXXX") || exit 2
program= # leads the group of processes of the part that runs

# shellcheck disable=SC2317 # called by trap
leave() {
    local left=10 # times to look whether all have ended
    trap '' INT TERM HUP
    if [ -n "$program" ]; then
        kill -TERM -- "-$program" 2>/dev/null
        while [ $((left--)) -gt 0 ] && kill -0 -- "-$program" 2>/dev/null; do sleep 0.2; done
        kill -KILL -- "-$program" 2>/dev/null
    fi
    rm -rf "$place"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- what a part needs, as far as a look tells: the program tries, and may still say that it cannot run ----

missing=
is_there() {
    case $1 in
    none) ;;
    root) [ "$(id -u)" -eq 0 ] || missing="needs root" ;;
    fuse) [ -w /dev/fuse ] || missing="needs /dev/fuse" ;;
    loop) [ -w /dev/loop-control ] || missing="needs loop devices" ;;
    clang | spin | valgrind) command -v "$1" >/dev/null || missing="needs $1" ;;
    mkfs.*) [ -x "/sbin/$1" ] || missing="needs $1" ;;
    *) missing="needs $1, which torture.sh does not know" ;;
    esac
    [ -z "$missing" ]
}

# ---- what is kept of a part ----

# seed: drawn from · next: not tried yet · reached, violations, seconds: so far · code: what it was reached with
declare -A kept_of
load() {
    local name value
    kept_of=([seed]=$((RANDOM << 15 | RANDOM)) [next]=0 [reached]=0 [violations]=0 [seconds]=0 [code]=$code)
    [ ! -f "$kept/$1.state" ] || while IFS='=' read -r name value; do kept_of[$name]=$value; done <"$kept/$1.state"
}

save() {
    local name
    for name in seed next reached violations seconds code; do
        echo "$name=${kept_of[$name]}"
    done >"$kept/$1.state.new"
    mv "$kept/$1.state.new" "$kept/$1.state"
}

# ---- one part ----

# 1234567 as 1,234,567
grouped() {
    sed -E ':a; s/^([0-9]+)([0-9]{3})/\1,\2/; ta' <<<"$1"
}

told=
tell() {
    local line
    line="$1: $(grouped "${kept_of[reached]}") of $(grouped "$2") $3, ${kept_of[violations]} violations, ${kept_of[seconds]} s"
    [ "$line" = "$told" ] || echo "$line"
    told=$line
}

# Run one, keep what it says as it says it. Of the rest of its output show what repeats a failure.
run() {
    local part=$1 goal=$2 unit=$3 command=$4 begun=$SECONDS shown=$SECONDS line word
    local reached_before=${kept_of[reached]} failed_before=${kept_of[violations]} spent_before=${kept_of[seconds]}
    local log=$kept/$part.log status=1 output
    : >"$log"
    [ "$command" != "${command#tools/}" ] || command=$build/$command
    mkdir "$place/$part"
    # shellcheck disable=SC2086,SC2016 # a command and its words
    exec {output}< <(
        TMPDIR=$place/$part NORI_TORTURE_REACHED=$reached_before exec setsid bash -c '"$@" 2>&1; echo "torture: exit $?"' "$part" $command \
            --seed "${kept_of[seed]}" --from "${kept_of[next]}" --count $((goal - reached_before)) \
            --seconds "$seconds_max"
    )
    program=$!
    while read -r line <&"$output"; do
        case $line in
        "torture: skipped "*) echo "$part: skipped: ${line#torture: skipped }"; missing=${line#torture: skipped } ;;
        "torture: exit "*) status=${line#torture: exit } ;;
        "torture: says "*) echo "$part: ${line#torture: says }" | tee -a "$log" ;;
        "torture: "*)
            for word in ${line#torture: }; do
                case $word in
                next=*) kept_of[next]=${word#*=} ;;
                done=*) kept_of[reached]=$((reached_before + ${word#*=})) ;;
                violations=*) kept_of[violations]=$((failed_before + ${word#*=})) ;;
                esac
            done
            kept_of[seconds]=$((spent_before + SECONDS - begun))
            save "$part"
            if [ $((SECONDS - shown)) -ge 10 ]; then
                tell "$part" "$goal" "$unit"
                shown=$SECONDS
            fi
            ;;
        repeat:*) echo "$part: ${line//.\/test_/tests/test_}" | sed "s| tests/test_| $build/tests/test_|" | tee -a "$log" ;;
        *) echo "$line" >>"$log" ;;
        esac
    done
    exec {output}<&-
    program=
    rm -rf "${place:?}/$part"
    kept_of[seconds]=$((spent_before + SECONDS - begun))
    if [ "$status" -eq 77 ]; then
        return
    elif [ "$status" -eq 2 ]; then
        problem="cannot run: see $log"
        tail -n 20 "$log"
        return
    elif [ "$status" -ne 0 ]; then
        [ "${kept_of[violations]}" -gt "$failed_before" ] || kept_of[violations]=$((failed_before + 1))
        tail -n 20 "$log"
    fi
    save "$part"
    tell "$part" "$goal" "$unit"
}

# ---- all of them ----

[ -z "$is_reset" ] || for part in "${parts[@]}"; do rm -f "$kept/$part".*; done
mkdir -p "$kept"
if [ ! -f $build/build.ninja ]; then
    meson setup $build --buildtype=release -Dtests=enabled -Dexamples=false >"$kept/build.log" 2>&1 || {
        cat "$kept/build.log"
        exit 1
    }
fi
# shellcheck disable=SC2046 # one word each
ninja -C $build $(rows | awk '$5 ~ /^tests\// { print $5 }' | sort -u) >"$kept/build.log" 2>&1 || {
    tail -n 60 "$kept/build.log"
    exit 1
}
code=$(find include src sim tests fuzz cli -name '*.[ch]' -print0 | sort -z | xargs -0 cat | sha256sum | cut -c 1-16)

result=()
failed=0
while read -r part needs goal unit command; do
    case " ${parts[*]} " in *" $part "*) ;; *) continue ;; esac
    goal=${goal_given:-$goal}
    missing=
    problem=
    for need in ${needs//,/ }; do is_there "$need" || break; done
    load "$part"
    note=
    if [ "${kept_of[code]}" != "$code" ]; then
        echo "$part: the code has changed since this figure was begun; RESET=1 begins it anew"
        note="begun with other code"
    fi
    if [ -n "$missing" ]; then
        echo "$part: skipped: $missing"
    elif [ "${kept_of[reached]}" -lt "$goal" ]; then
        [ -z "$seed_given" ] || kept_of[seed]=$seed_given
        echo "$part: seed ${kept_of[seed]}, from ${kept_of[next]} on, log $kept/$part.log"
        run "$part" "$goal" "$unit" "$command"
    fi
    [ -z "$missing" ] || note="skipped: $missing"
    [ -z "$problem" ] || note=$problem failed=$((failed + 1))
    failed=$((failed + kept_of[violations]))
    result+=("$part|$(grouped "${kept_of[reached]}")|$(grouped "$goal")|$unit|${kept_of[violations]}|${kept_of[seconds]}|$note")
done < <(rows)

echo
{
    echo "part|reached|goal|unit|violations|seconds|"
    printf '%s\n' "${result[@]}"
} | awk -F '|' '{ printf "%-15s %15s %15s %-10s %10s %9s  %s\n", $1, $2, $3, $4, $5, $6, $7 }' | sed 's/ *$//'
[ $failed -eq 0 ]
