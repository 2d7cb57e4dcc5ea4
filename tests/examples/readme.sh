#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# readme.sh PROGRAM: examples/00_readme.c runs in an empty folder, twice, and says what the README promises.
# Speaks TAP.
set -uo pipefail
program=${1:?usage: readme.sh PROGRAM}
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

# says TEXT: the output has a line that begins like this.
says() {
    grep -q "^ *$1" "$work/output"
    report $? "it prints: $1"
}

mkdir "$work/logs"
"$program" "$work/logs" >"$work/output" 2>&1
report $? "every step is as expected in an empty folder"
says "Recovered 0 records"
says "Record at 000000:.*: key=a"
says "-> Tombstone (deleted)"
says "-> Value: second"
says "wal_records_total put  *1500"
says "Valid records: 3"
says "Corruption detected: no"

for step in basic-usage custom-configuration reading-records with-observability fsync-policies recovery ttl \
    compression delete; do
    grep -qx "== $step" "$work/output"
    report $? "it has a step about $step"
done

# Once more in the same folder: the first step recovers what it left.
"$program" "$work/logs" >"$work/output" 2>&1
says "Recovered 2 records"
echo "1..$number"
[ $failures -eq 0 ]
