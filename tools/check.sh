#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check.sh [STAGE...]: all tests, or some stages of them: debug release tsan lean portable machines planted coverage.
# A stage that fails does not stop the others. The last line is `N passed, N failed, N skipped` over all.
set -uo pipefail
cd "$(dirname "$0")/.."

export ASAN_OPTIONS=${ASAN_OPTIONS:-halt_on_error=1:detect_leaks=1:strict_string_checks=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-halt_on_error=1:print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}

passed=0
failed=0
skipped=0

# Add the last `N passed, N failed, N skipped` line of a log to the totals; a log without one counts as a failure.
add_up() {
    local line
    line=$(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$1" | tail -n 1)
    if [ -z "$line" ]; then
        failed=$((failed + 1))
        return
    fi
    set -- ${line//,/}
    passed=$((passed + $1)) failed=$((failed + $3)) skipped=$((skipped + $5))
}

# build_in FOLDER MESON-OPTION...: set up once, then build everything; no word on success.
build_in() {
    local folder=$1 log=$1.log
    shift
    if [ ! -f "$folder/build.ninja" ]; then
        if ! meson setup "$folder" -Dwerror=true -Dtests=enabled -Dtool=enabled "$@" >"$log" 2>&1; then
            tail -n 30 "$log"
            return 1
        fi
    fi
    if ! ninja -C "$folder" >"$log" 2>&1; then
        grep -v '^\[[0-9]*/[0-9]*\] [CL]' "$log" | tail -n 60
        return 1
    fi
}

# run_stage NAME TITLE REPEAT FUNCTION: run one stage, show its last line, add it up.
run_stage() {
    local name=$1 title=$2 log=build/check-$1.log start=$SECONDS
    echo "== $name: $title"
    "stage_$name" >"$log" 2>&1
    local status=$?
    local before=$failed
    add_up "$log"
    [ $status -eq 0 ] || [ $failed -gt $before ] || failed=$((failed + 1))
    if [ $failed -gt $before ]; then
        cat "$log"
        echo "repeat this stage: tools/check.sh $name"
    else
        tail -n 1 "$log"
    fi
    echo "   ($((SECONDS - start)) s)"
}

# run_tests FOLDER LABEL MESON-TEST-OPTION...
run_tests() {
    local folder=$1 label=$2
    shift 2
    rm -f "$folder"/meson-logs/testlog*.json
    "${without_aslr[@]}" meson test -C "$folder" --no-rebuild --quiet "$@" >"$folder.test.log" 2>&1
    tools/count-tests.py --label "$label" "$folder"/meson-logs/testlog*.json
}
without_aslr=()

stage_debug() {
    build_in build/debug --buildtype=debug -Db_sanitize=address,undefined && run_tests build/debug debug
}

stage_release() {
    build_in build/release --buildtype=release && run_tests build/release release
}

# clang, where it is there: so both compilers see all code with -Werror.
stage_tsan() {
    local compiler=gcc
    command -v clang >/dev/null && compiler=clang
    # The thread sanitizer of these compilers does not know the address layout of newer kernels.
    if setarch "$(uname -m)" -R true 2>/dev/null; then
        without_aslr=(setarch "$(uname -m)" -R)
    fi
    CC=$compiler build_in build/tsan --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false &&
        run_tests build/tsan tsan --suite thread
}

# Without any optional library.
stage_lean() {
    build_in build/lean --buildtype=release -Disal=disabled -Dlz4=disabled -Dzstd=disabled \
        -Dprobes=disabled &&
        run_tests build/lean lean --suite fast
}

# With nothing beyond POSIX. Its tests say which of them it skips; the tool's know only the other build.
stage_portable() {
    build_in build/portable --buildtype=release -Dportable=true -Dtool=disabled -Dprometheus=disabled -Dexamples=false &&
        run_tests build/portable portable --suite fast
}

stage_machines() {
    tools/matrix.sh build
}

stage_planted() {
    tools/planted.sh build
}

stage_coverage() {
    tools/coverage.sh
}

mkdir -p build
[ $# -gt 0 ] || set -- debug release tsan lean portable machines planted coverage
for stage in "$@"; do
    case $stage in
    debug) run_stage debug "address and undefined behaviour sanitizers" ;;
    release) run_stage release "optimised" ;;
    tsan) run_stage tsan "thread sanitizer over the tests with threads" ;;
    lean) run_stage lean "fast tests without ISA-L, LZ4 and Zstandard" ;;
    portable) run_stage portable "fast tests with nothing beyond POSIX" ;;
    machines) run_stage machines "logs of each machine whose compiler is here, read on the others" ;;
    planted) run_stage planted "each planted bug must be caught" ;;
    coverage) run_stage coverage "no less of src/ is reached than before" ;;
    *) echo "check.sh: no stage '$stage': debug release tsan lean portable machines planted coverage" >&2; exit 2 ;;
    esac
done
echo
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
