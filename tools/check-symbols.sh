#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check-symbols.sh INCLUDE_FOLDER LIBNORI_WAL.so LIBNORI_SIM.so [LIBNORI_PROMETHEUS.so]: each shared library exports
# exactly the functions that its public headers mark with NORI_API. Speaks TAP.
set -uo pipefail
include=$1
wal_library=$2
sim_library=$3
prometheus_library=${4:-}
failures=0

# The names of the functions marked NORI_API in the given headers.
declared() {
    cat "$@" | grep -v '^ *#' | tr '\n' ' ' | sed 's:/\*:\n/*:g; s:\*/:*/\n:g' | sed 's:^/\*.*\*/$::' | tr '\n' ' ' |
        grep -oE 'NORI_API[^;(]*\(' | grep -oE 'nori_[a-z0-9_]+ *\($' | tr -d ' (' | sort -u
}

exported() {
    nm --dynamic --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort -u
}

# compare NUMBER LIBRARY HEADER...
compare() {
    local number=$1 library=$2 difference
    shift 2
    difference=$(diff <(declared "$@") <(exported "$library"))
    if [ -n "$(declared "$@")" ] && [ -z "$difference" ]; then
        echo "ok $number - $(basename "$library") exports what its headers declare"
        return
    fi
    echo "not ok $number - $(basename "$library") exports what its headers declare"
    echo "# < declared, not exported (is it in the map?)    > exported, not declared"
    echo "$difference" | sed 's/^/# /'
    failures=$((failures + 1))
}

echo "1..$(($# - 1))"
compare 1 "$wal_library" "$include"/nori/{error,wal,observe,vfs}.h
compare 2 "$sim_library" "$include"/nori/sim.h
[ -z "$prometheus_library" ] || compare 3 "$prometheus_library" "$include"/nori/prometheus.h
[ $failures -eq 0 ]
