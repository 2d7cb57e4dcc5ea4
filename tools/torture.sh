#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# torture.sh [--seed N] [--seconds N] [kill|step]: build a release and let processes die in it, far more often than
# `make check` does: 2,000 kills under each policy, and two threads that append 10,000 records and may die between any
# two instructions. --seconds: at most so long for each test. DIR in the environment: where the logs are made, else in
# memory. Status 1 if anything was lost.
set -uo pipefail
cd "$(dirname "$0")/.."
build=build/torture
limits=()
seed=$((RANDOM << 15 | RANDOM)) # each run tries other moments; it is printed
parts=()
while [ $# -gt 0 ]; do
    case $1 in
    --seed) seed=${2:?torture.sh: --seed needs a number}; shift 2 ;;
    --seconds) limits+=("$1" "${2:?torture.sh: --seconds needs a number}"); shift 2 ;;
    kill | step) parts+=("$1"); shift ;;
    *) echo "torture.sh: no part '$1': kill step" >&2; exit 2 ;;
    esac
done
[ ${#parts[@]} -gt 0 ] || parts=(kill step)
[ -z "${DIR:-}" ] || export TMPDIR=$DIR

mkdir -p build
if [ ! -f $build/build.ninja ]; then
    meson setup $build --buildtype=release -Dtests=enabled -Dexamples=false >build/torture.log 2>&1 || {
        cat build/torture.log
        exit 1
    }
fi
ninja -C $build tests/test_kills tests/test_single_step >build/torture.log 2>&1 || {
    tail -n 60 build/torture.log
    exit 1
}

status=0
for part in "${parts[@]}"; do
    case $part in
    kill) $build/tests/test_kills --count 2000 --seed "$seed" "${limits[@]}" || status=1 ;;
    step) $build/tests/test_single_step --count 10000 --seed "$seed" "${limits[@]}" || status=1 ;;
    esac
done
exit $status
