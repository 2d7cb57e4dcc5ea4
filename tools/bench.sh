#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench.sh [--quick ...]: build a release and run `nori bench` of it; arguments go there (--help lists them). With
# --peers it is built with the other stores, too. DIR in the environment: where the data is made.
set -eu
cd "$(dirname "$0")/.."
build=build/bench
program=nori
peers=disabled
for argument in "$@"; do
    if [ "$argument" = --peers ]; then
        build=build/bench-peers
        program=nori-peers
        peers=enabled
    fi
done

mkdir -p build
if [ ! -f $build/build.ninja ]; then
    meson setup $build --buildtype=release -Dtests=disabled -Dexamples=false -Dtool=enabled -Dpeers=$peers \
        >build/bench.log 2>&1 || {
        cat build/bench.log
        exit 1
    }
fi
ninja -C $build cli/$program >build/bench.log 2>&1 || {
    cat build/bench.log
    exit 1
}
exec $build/cli/$program bench "$@" "${DIR:-$build/data}"
