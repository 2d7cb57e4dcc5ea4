#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# crash_demo.sh PROGRAM: examples/crash_demo.c on a made-up input, with fewer kills than the demo has. Speaks TAP.
set -uo pipefail
program=${1:?usage: crash_demo.sh PROGRAM}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failures=0

# report STATUS NAME
report() {
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
        return
    fi
    echo "not ok $number - $2"
    sed 's/^/# /' "$work/output"
    failures=$((failures + 1))
}

awk 'BEGIN { for (i = 0; i < 12000; i++) printf "%05X;LINE %d;%0*d\n", i, i, i % 200, i }' >"$work/input"
mkdir "$work/logs"
"$program" --input "$work/input" --dir "$work/logs" --kills 2 >"$work/output" 2>&1
report $? "nothing is missing after two kills under each policy"
for policy in always batch os; do
    [ "$(grep -cE "^$policy +(1|2|finish) " "$work/output")" -eq 3 ]
    report $? "it tells of two kills and the finish under $policy"
done

head -n 3000 "$work/input" >"$work/short"
mkdir "$work/more"
"$program" --input "$work/short" --dir "$work/more" >"$work/output" 2>&1
[ $? -eq 2 ]
report $? "it refuses an input that is too short for so many kills"
echo "1..$number"
[ $failures -eq 0 ]
