#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# power_cuts.sh PROGRAM: examples/power_cuts.c finds the bug that it has, and none without it. Speaks TAP.
set -uo pipefail
program=${1:?usage: power_cuts.sh PROGRAM}
output=$("$program" 2>&1)
status=$?
failures=0

# report STATUS NUMBER NAME
report() {
    [ "$1" -eq 0 ] && echo "ok $2 - $3" && return
    echo "not ok $2 - $3"
    sed 's/^/# /' <<<"$output"
    failures=$((failures + 1))
}

report $status 1 "the simulated machine tells the program with the bug from the one without"
grep -q '^  power cut before operation [0-9]*, outcome [0-9]*: balance 0, promised 600$' <<<"$output"
report $? 2 "it says which power cut costs what"
echo "1..2"
[ $failures -eq 0 ]
