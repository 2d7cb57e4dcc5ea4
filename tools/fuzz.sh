#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# fuzz.sh NAME SECONDS: run one fuzzer (api, record, recovery, segment, tool), or `all` one after the other.
# It begins with fuzz/corpus/NAME and its seeds. What it finds that reaches more code goes to build/fuzz/found/NAME, and
# a finding to build/fuzz/NAME-*. fuzz.sh NAME keep: put what was found, minimised, into fuzz/corpus/NAME.
set -euo pipefail
name=${1:?usage: fuzz.sh NAME SECONDS|keep}
seconds=${2:-60}
cd "$(dirname "$0")/.."
all=(api record recovery segment tool)
build=build/fuzz
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1}

if [ ! -f $build/build.ninja ]; then
    mkdir -p build
    CC=clang meson setup $build -Dfuzz=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
        -Dpedantic_asserts=true -Dtests=disabled -Dexamples=false >build/fuzz.log 2>&1 || {
        tail -n 20 build/fuzz.log
        exit 1
    }
fi
ninja -C $build "${all[@]/#/fuzz/fuzz_}" fuzz/fuzz_seeds >build/fuzz.log 2>&1 || {
    tail -n 40 build/fuzz.log
    exit 1
}
rm -rf $build/seeds
$build/fuzz/fuzz_seeds $build/seeds 2>/dev/null

# The longest input that a fuzzer tries: what is longer is slow and finds no more.
longest() {
    case $1 in
    api) echo 200 ;;
    record) echo 300 ;;
    tool) echo 500 ;;
    *) echo 1500 ;;
    esac
}

# The quick ones go after values that they compare; to the slow ones more statistics are only a burden.
tuning() {
    case $1 in
    record | tool) echo -use_value_profile=1 ;;
    *) echo -entropic=0 ;;
    esac
}

run() {
    local found=$build/found/$1 log=$build/$1.log
    mkdir -p "$found"
    if ! nice -n 10 $build/fuzz/fuzz_"$1" -max_total_time="$seconds" -max_len="$(longest "$1")" -timeout=20 \
        "$(tuning "$1")" -print_final_stats=1 -artifact_prefix="$build/$1-" \
        "$found" fuzz/corpus/"$1" $build/seeds/"$1" >"$log" 2>&1; then
        sed -n '/^INFO/d; /^#/d; p' "$log" | tail -n 40
        echo "fuzz.sh: $1: a finding; repeat it: $build/fuzz/fuzz_$1 $(grep -o "$build/$1-[a-z0-9-]*" "$log" | tail -n 1)"
        return 1
    fi
    awk -v name="$1" '
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::average_exec_per_sec/ { rate = $2 }
        END { printf "%-10s %10d inputs, %6d a second, %5d edges reached, no finding\n", name, runs, rate, edges }' "$log"
}

# Of the corpus, what was found and the seeds as few as reach the same code.
keep() {
    local merged=$build/merged
    rm -rf $merged
    mkdir -p $merged
    $build/fuzz/fuzz_"$1" -merge=1 -use_counters=0 -max_len="$(longest "$1")" $merged $build/seeds/"$1" fuzz/corpus/"$1" \
        $build/found/"$1" >$build/"$1".log 2>&1
    rm -rf fuzz/corpus/"$1"
    mkdir -p fuzz/corpus
    cp -r $merged fuzz/corpus/"$1"
    echo "$1: $(ls fuzz/corpus/"$1" | wc -l) inputs, $(cat fuzz/corpus/"$1"/* | wc -c) bytes"
}

[ "$name" = all ] || all=("$name")
failed=0
for one in "${all[@]}"; do
    mkdir -p "fuzz/corpus/$one"
    if [ "$seconds" = keep ]; then
        keep "$one"
    else
        run "$one" || failed=1
    fi
done
exit $failed
