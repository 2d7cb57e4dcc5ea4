#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# demo.sh [--seed N]: build a release and run examples/crash_demo.c on the Unicode character database.
set -eu
cd "$(dirname "$0")/.."
build=build/demo
data=/usr/share/unicode/UnicodeData.txt

mkdir -p build
if [ ! -f $build/build.ninja ]; then
    meson setup $build --buildtype=release -Dtests=disabled -Dtool=disabled >build/demo.log 2>&1 || {
        cat build/demo.log
        exit 1
    }
fi
ninja -C $build examples/crash_demo >build/demo.log 2>&1 || {
    cat build/demo.log
    exit 1
}

folder=$(mktemp -d "$PWD/$build/run.XXXXXX")
status=0
$build/examples/crash_demo --input "$data" --dir "$folder" "$@" || status=$?
if [ $status -eq 0 ]; then
    rm -rf "$folder"
else
    echo "The logs are kept for a look: $folder" >&2
fi
exit $status
