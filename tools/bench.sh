#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench.sh [--quick ...]: build a release and run `nori bench` of it; arguments go there (--help lists them). With
# --peers it is built with the other stores, too. DIR in the environment: where the data is made. Names of files and
# folders count from where one stands.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
prefix=$root/
[ "$(pwd)" != "$root" ] || prefix=
build=${prefix}build/bench
program=nori
peers=disabled
for argument in "$@"; do
    if [ "$argument" = --peers ]; then
        build=${prefix}build/bench-peers
        program=nori-peers
        peers=enabled
    fi
done

log=${prefix}build/bench.log
mkdir -p "${prefix}build"
if [ ! -f "$build/build.ninja" ]; then
    meson setup "$build" "$root" --buildtype=release -Dtests=disabled -Dexamples=false -Dtool=enabled -Dpeers=$peers \
        >"$log" 2>&1 || {
        cat "$log"
        exit 1
    }
fi
ninja -C "$build" cli/$program >"$log" 2>&1 || {
    cat "$log"
    exit 1
}
exec "$build/cli/$program" bench "$@" "${DIR:-$build/data}"
