#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench.sh [--quick ...]: build a release and run bench/ in it; arguments go to the program (--help lists them).
set -eu
cd "$(dirname "$0")/.."
build=build/bench

mkdir -p build
if [ ! -f $build/build.ninja ]; then
    meson setup $build --buildtype=release -Dtests=disabled -Dtool=disabled -Dexamples=false >build/bench.log 2>&1 || {
        cat build/bench.log
        exit 1
    }
fi
ninja -C $build bench/bench >build/bench.log 2>&1 || {
    cat build/bench.log
    exit 1
}
exec $build/bench/bench --dir $build "$@"
