#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check-headers.sh INCLUDE_FOLDER: each public header compiles alone, as C99 and as C++11, and has the macros' initial
# values right in both languages. Speaks TAP.
set -uo pipefail
include=$(cd "${1:?usage: check-headers.sh INCLUDE_FOLDER}" && pwd)
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
    failures=$((failures + 1))
}

# try COMPILER STANDARD EXTENSION HEADER
try() {
    local compiler=$1 standard=$2 extension=$3 header=$4
    if ! command -v "$compiler" >/dev/null; then
        number=$((number + 1))
        echo "ok $number - $header as $standard # SKIP no $compiler here"
        return
    fi
    {
        echo "#include <nori/$header>"
        grep -oE '^#define NORI_[A-Z_]+_INIT\b' "$include/nori/$header" | while read -r _ macro; do
            local type
            type=$(echo "${macro%_INIT}" | tr '[:upper:]' '[:lower:]')
            echo "struct $type use_$type = $macro;"
        done
    } >"$work/use.$extension"
    "$compiler" -std="$standard" -pedantic-errors -Wall -Wextra -Werror -fsyntax-only -I"$include" "$work/use.$extension"
    report $? "$header as $standard by $compiler"
}

for path in "$include"/nori/*.h; do
    header=$(basename "$path")
    try gcc c99 c "$header"
    try clang c99 c "$header"
    try g++ c++11 cpp "$header"
    try clang++ c++11 cpp "$header"
done
echo "1..$number"
[ $failures -eq 0 ]
