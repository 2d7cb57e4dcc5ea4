#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check-install.sh BUILD: install into an empty folder and use the library from there, by pkg-config, by CMake and
# statically. Speaks TAP.
set -uo pipefail
build=${1:?usage: check-install.sh BUILD}
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
    sed 's/^/# /' "$work/log"
    failures=$((failures + 1))
}

prefix=$(meson introspect --buildoptions "$build" |
    python3 -c 'import json, sys; print(next(o["value"] for o in json.load(sys.stdin) if o["name"] == "prefix"))')
DESTDIR=$work/root meson install -C "$build" --no-rebuild >"$work/log" 2>&1
report $? "meson install works"

export PKG_CONFIG_SYSROOT_DIR=$work/root
PKG_CONFIG_PATH=$(dirname "$(find "$work/root" -name nori-wal.pc)")
export PKG_CONFIG_PATH
library_folder=$(dirname "$(find "$work/root" -name libnori-wal.so)")

cat >"$work/use.c" <<'C'
#include <nori/wal.h>
#include <string.h>

int main(void)
{
    nori_wal *wal = NULL;
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    struct nori_record record = nori_record_put("k", 1, "v", 1);

    config.dir = "records";
    if (nori_wal_open(&config, &wal, NULL, NULL) != NORI_OK || nori_wal_append(wal, &record, NULL) != NORI_OK)
        return 1;
    return nori_wal_close(wal) == NORI_OK && strcmp(nori_version(), WANTED) == 0 ? 0 : 1;
}
C
wanted=$(pkg-config --modversion nori-wal)
cd "$work" || exit 2

# shellcheck disable=SC2046 # words on purpose
cc -DWANTED="\"$wanted\"" use.c -o use_shared $(pkg-config --cflags --libs nori-wal) >log 2>&1 &&
    LD_LIBRARY_PATH=$library_folder ./use_shared >>log 2>&1
report $? "a program builds with pkg-config and runs"

# Of ours the archive, of all others what the linker finds.
# shellcheck disable=SC2046 # words on purpose
cc -DWANTED="\"$wanted\"" use.c -o use_static $(pkg-config --cflags nori-wal) "$library_folder/libnori-wal.a" \
    $(pkg-config --static --libs nori-wal | tr ' ' '\n' | grep -v '^-lnori-wal$') >log 2>&1 && ./use_static >>log 2>&1
report $? "a program builds with the static library and runs"

if [ -e "$PKG_CONFIG_PATH/nori-sim.pc" ]; then
    pkg-config --exists --print-errors nori-sim >log 2>&1
    report $? "pkg-config knows nori-sim"
fi

if [ -e "$PKG_CONFIG_PATH/nori-prometheus.pc" ]; then
    cat >scrape.c <<'C'
#include <nori/prometheus.h>

int main(void)
{
    nori_prometheus *registry;
    int rc = nori_prometheus_new(&registry);

    if (rc == NORI_OK)
        nori_prometheus_free(registry);
    return rc < 0;
}
C
    # shellcheck disable=SC2046 # words on purpose
    cc scrape.c -o scrape $(pkg-config --cflags --libs nori-prometheus) -Wl,-rpath-link,"$library_folder" >log 2>&1 &&
        LD_LIBRARY_PATH=$library_folder ./scrape >>log 2>&1
    report $? "a program builds with pkg-config nori-prometheus and runs"
fi

if command -v cmake >/dev/null; then
    mkdir cmake
    cat >cmake/CMakeLists.txt <<CMAKE
cmake_minimum_required(VERSION 3.13)
project(use C)
find_package(nori-wal ${wanted%.*} REQUIRED CONFIG)
add_executable(use ../use.c)
target_compile_definitions(use PRIVATE WANTED="$wanted")
target_link_libraries(use PRIVATE nori-wal::nori-wal)
add_executable(simulate ../simulate.c)
target_link_libraries(simulate PRIVATE nori-wal::nori-sim)
if(EXISTS "\${CMAKE_CURRENT_SOURCE_DIR}/../scrape.c")
  add_executable(scrape ../scrape.c)
  target_link_libraries(scrape PRIVATE nori-wal::nori-prometheus)
elseif(TARGET nori-wal::nori-prometheus)
  message(FATAL_ERROR "there is a target nori-wal::nori-prometheus, but no such library")
endif()
CMAKE
    cat >simulate.c <<'C'
#include <nori/sim.h>
#include <nori/wal.h>

int main(void)
{
    struct nori_sim_options options = NORI_SIM_OPTIONS_INIT;
    struct nori_wal_config config = NORI_WAL_CONFIG_INIT;
    nori_sim *sim = nori_sim_new(&options);
    nori_wal *wal = NULL;
    int rc;

    if (!sim)
        return 1;
    config.vfs = nori_sim_vfs(sim);
    config.allocator = nori_sim_allocator(sim);
    rc = nori_wal_open(&config, &wal, NULL, NULL);
    if (rc == NORI_OK)
        rc = nori_wal_close(wal);
    nori_sim_free(sim);
    return rc < 0;
}
C
    env -u PKG_CONFIG_SYSROOT_DIR cmake -S cmake -B cmake/build -DCMAKE_PREFIX_PATH="$work/root$prefix" >log 2>&1 &&
        cmake --build cmake/build >>log 2>&1 && cmake/build/use >>log 2>&1
    report $? "a program builds with CMake and runs"
    export LD_LIBRARY_PATH=$library_folder # where one library looks for another
    cmake/build/simulate >log 2>&1 && { [ ! -e scrape.c ] || cmake/build/scrape >>log 2>&1; }
    report $? "... and so do those that use the other libraries"
else
    number=$((number + 1))
    echo "ok $number - a program builds with CMake and runs # SKIP no cmake here"
fi
echo "1..$number"
[ $failures -eq 0 ]
