#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# probes.sh LIBRARY ROOT yes|no: the built library has each probe that docs/tracing.md has, with as many arguments, and
# each can be switched on: it has a semaphore. no: it was built without probes. Speaks TAP.
set -uo pipefail
library=${1:?usage: probes.sh LIBRARY ROOT yes|no}
root=${2:?usage: probes.sh LIBRARY ROOT yes|no}
if [ "${3:?usage: probes.sh LIBRARY ROOT yes|no}" = no ]; then
    echo "1..0 # SKIP built without probes: there is no sys/sdt.h (systemtap-sdt-dev), or -Dprobes=disabled"
    exit 77
fi
if ! command -v readelf >/dev/null; then
    echo "1..0 # SKIP there is no readelf here (tools/install-packages test)"
    exit 77
fi
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
    failures=$((failures + 1))
}

# The notes of this library: name, semaphore, number of arguments.
found=$(readelf --notes --wide "$library" 2>/dev/null | awk '
    /Provider:/ { ours = $NF == "nori_wal" }
    /Name:/ { name = $2 }
    /Semaphore:/ { semaphore = $NF }
    /Arguments:/ && ours { print name, semaphore, NF - 1 }')

# The rows of the table in docs/tracing.md: name, number of arguments.
described=$(awk -F '|' '/^\| `[a-z]+` \|/ { gsub(/[` ]/, "", $2); print $2, split($4, ignored, ",") }' "$root/docs/tracing.md")

[ -n "$described" ]
report $? "docs/tracing.md has a table of probes"
while read -r name arguments; do
    row=$(awk -v name="$name" '$1 == name' <<<"$found" | head -n 1)
    read -r _ semaphore count <<<"$row"
    [ -n "$row" ] && [ "$count" -eq "$arguments" ] && [[ ! $semaphore =~ ^0x0+$ ]]
    report $? "$name is in the library, with $arguments arguments and a semaphore"
    [ -n "$row" ] || echo "# there is no probe of this name"
done <<<"$described"
[ "$(awk '{ print $1 }' <<<"$found" | sort -u)" = "$(awk '{ print $1 }' <<<"$described" | sort)" ]
report $? "no probe is in the library that docs/tracing.md does not have"
echo "1..$number"
[ $failures -eq 0 ]
