#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# fuzz.sh NAME SECONDS: run one fuzzer (api, record, recovery, segment, tool), or `all` one after the other.
# It begins with fuzz/corpus/NAME and its seeds. What it finds that reaches more code goes to build/fuzz/found/NAME, and
# a finding to build/fuzz/NAME-*. fuzz.sh NAME keep: put what was found, minimised, into fuzz/corpus/NAME.
# fuzz.sh NAME --seed N --from N --count N --seconds N: a part of tests/torture.txt, counted in seconds of processor time.
set -euo pipefail
name=${1:?usage: fuzz.sh NAME SECONDS|keep}
seconds=${2:-60}
cd "$(dirname "$0")/.."
all=(api record recovery segment tool)
build=build/fuzz
case " all ${all[*]} " in
*" $name "*) ;;
*) echo "fuzz.sh: no fuzzer '$name': ${all[*]} all" >&2; exit 2 ;;
esac
case $seconds in
keep | --*) ;;
'' | *[!0-9]*) echo "fuzz.sh: '$seconds' is no number of seconds" >&2; exit 2 ;;
esac
# Short stacks of allocations and a small quarantine: a finding is repeated with the longer ones.
export ASAN_OPTIONS=${ASAN_OPTIONS:-malloc_context_size=2:quarantine_size_mb=16:allocator_release_to_os_interval_ms=-1}

if [[ $seconds == --* ]] && ! clang -fsanitize=fuzzer -x c - -o /dev/null 2>/dev/null \
    <<<'int LLVMFuzzerTestOneInput(const char *data, unsigned long len) { return data && len > 9; }'; then
    echo "torture: skipped needs the libFuzzer of clang (Debian: libclang-rt-14-dev)"
    exit 77
fi
if [ ! -f $build/build.ninja ]; then
    mkdir -p build
    CC=clang meson setup $build -Dfuzz=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false \
        -Dpedantic_asserts=true -Dtests=disabled -Dexamples=false >build/fuzz.log 2>&1 || {
        tail -n 20 build/fuzz.log
        exit 2
    }
fi
ninja -C $build "${all[@]/#/fuzz/fuzz_}" fuzz/fuzz_seeds >build/fuzz.log 2>&1 || {
    tail -n 40 build/fuzz.log
    exit 2
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

# fuzz NAME OPTION: run it, in the place of this shell.
fuzz() {
    mkdir -p $build/found/"$1"
    exec nice -n 10 $build/fuzz/fuzz_"$1" "$2" -max_len="$(longest "$1")" -timeout=60 "$(tuning "$1")" \
        -print_final_stats=1 -artifact_prefix="$build/$1-" \
        $build/found/"$1" fuzz/corpus/"$1" $build/seeds/"$1" >$build/"$1".log 2>&1
}

# The file that the last finding was written to.
finding() {
    grep -o "$build/$1-[a-z]*-[0-9a-f]*" $build/"$1".log | tail -n 1
}

run() {
    local log=$build/$1.log
    if ! (fuzz "$1" -max_total_time="$seconds"); then
        sed -n '/^INFO/d; /^#/d; p' "$log" | tail -n 40
        echo "fuzz.sh: $1: a finding; repeat it: $build/fuzz/fuzz_$1 $(finding "$1")"
        return 1
    fi
    awk -v name="$1" '
        / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") edges = $(i + 1) }
        /^stat::number_of_executed_units/ { runs = $2 }
        /^stat::average_exec_per_sec/ { rate = $2 }
        END { printf "%-10s %10d inputs, %6d a second, %5d edges reached, no finding\n", name, runs, rate, edges }' "$log"
}

# Of the corpus, what was found and the seeds as few as reach the same code; and the seeds that are there for what they
# are beside.
keep() {
    local merged=$build/merged
    rm -rf $merged
    mkdir -p $merged
    find $build/seeds/"$1" -name 'seed-beside-*' -exec cp {} $merged \;
    $build/fuzz/fuzz_"$1" -merge=1 -use_counters=0 -max_len="$(longest "$1")" $merged $build/seeds/"$1" fuzz/corpus/"$1" \
        $build/found/"$1" >$build/"$1".log 2>&1
    rm -rf fuzz/corpus/"$1"
    mkdir -p fuzz/corpus
    cp -r $merged fuzz/corpus/"$1"
    echo "$1: $(ls fuzz/corpus/"$1" | wc -l) inputs, $(cat fuzz/corpus/"$1"/* | wc -c) bytes"
}

# note_inputs NAME FILE BEFORE: keep in FILE how many inputs were tried BEFORE this run, and in it.
note_inputs() {
    local inputs
    inputs=$(awk '/^#[0-9]+[ \t]/ { n = substr($1, 2) } /^stat::number_of_executed_units/ { n = $2 } END { print n + 0 }' \
        $build/"$1".log 2>/dev/null) || inputs=0
    echo $(($3 + inputs)) >"$2.new"
    mv "$2.new" "$2"
}

# torture NAME --seed N --from N --count N --seconds N: by processor time, so that it may run beside other work. What was
# found is kept, and so is how many inputs were tried.
torture() {
    local seed=1 from=0 count=0 limit=0 pid spent=0 before status=0
    local total=${NORI_TORTURE_KEEP:-$build}/fuzz-$1.inputs
    while [ $# -gt 1 ]; do
        case $2 in
        --seed) seed=$3 ;;
        --from) from=$3 ;;
        --count) count=$3 ;;
        --seconds) limit=$3 ;;
        esac
        set -- "$1" "${@:4}"
    done
    before=$(cat "$total" 2>/dev/null || echo 0)
    (fuzz "$1" -seed=$(((seed + from) % 2147483647 + 1))) &
    pid=$!
    trap 'kill $pid 2>/dev/null' EXIT
    SECONDS=0
    while sleep 2 && kill -0 $pid 2>/dev/null; do
        spent=$(awk -v unit="$(getconf CLK_TCK)" '{ print int(($14 + $15) / unit) }' /proc/$pid/stat) || break
        echo "torture: next=$((from + spent)) done=$spent violations=0"
        note_inputs "$1" "$total" "$before"
        # USR1: end behind this input, and say how many there were
        if [ "$spent" -ge "$count" ] || { [ "$limit" -gt 0 ] && [ $SECONDS -ge "$limit" ]; }; then
            kill -USR1 $pid
            break
        fi
    done
    wait $pid || status=$?
    trap - EXIT
    note_inputs "$1" "$total" "$before"
    echo "torture: says $(cat "$total") inputs so far"
    [ $status -ne 0 ] || return 0
    sed '/^INFO/d; /^#/d' $build/"$1".log | tail -n 40
    echo "repeat: $build/fuzz/fuzz_$1 $(finding "$1")"
    echo "torture: next=$((from + spent + 1)) done=$spent violations=1"
    return 1
}

if [[ $seconds == --* ]]; then
    torture "$@"
    exit
fi
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
