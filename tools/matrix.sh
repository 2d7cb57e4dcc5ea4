#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# matrix.sh BUILDROOT: logs from one machine are read on another. On each machine tests/machines/golden.c makes a log in
# both formats; all machines read all of them, go on with them, and must print the same lines. So do they with the logs
# in tests/golden, which stay as they are. Machines whose compiler or emulator is missing are skipped. Speaks TAP.
set -uo pipefail
build_root=${1:?usage: matrix.sh BUILDROOT}
cd "$(dirname "$0")/.."
build_root=$(mkdir -p "$build_root" && cd "$build_root" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0
failures=0
skipped=0

# report STATUS NAME: what went wrong stands in $work/log.
report() {
    number=$((number + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $number - $2"
        return
    fi
    echo "not ok $number - $2"
    grep -vE '^\[[0-9]+/[0-9]+\] [CL]' "$work/log" | head -n 20 | sed 's/^/# /'
    failures=$((failures + 1))
}

# machine NAME: its cross file's [host_machine], compiler and emulator. posix is this machine without what only Linux has.
machine() {
    portable=false
    case $1 in
    posix) cc=gcc runner= cpu=x86_64 endian=little portable=true ;;
    x86-64) cc=gcc runner= cpu=x86_64 endian=little ;;
    i386) cc=i686-linux-gnu-gcc runner= cpu=i686 endian=little ;;
    s390x) cc=s390x-linux-gnu-gcc runner=qemu-s390x-static cpu=s390x endian=big ;;
    esac
}

# build NAME: a static golden in $build_root/machine-NAME, without optional libraries, which are not there for others.
build() {
    local folder=$build_root/machine-$1
    machine "$1"
    cat >"$folder.cross" <<END
[binaries]
c = '$cc'
ar = 'ar'
[host_machine]
system = 'linux'
cpu_family = '$([ "$cpu" = i686 ] && echo x86 || echo "$cpu")'
cpu = '$cpu'
endian = '$endian'
END
    [ -f "$folder/build.ninja" ] ||
        meson setup "$folder" --cross-file "$folder.cross" --buildtype=release -Dwerror=true -Dportable=$portable \
            -Disal=disabled -Dlz4=disabled -Dzstd=disabled -Dprometheus=disabled -Dtool=disabled -Dtests=disabled -Dexamples=false \
            >"$work/log" 2>&1 || return 1
    ninja -C "$folder" tests/golden >"$work/log" 2>&1
}

# golden MACHINE ARGUMENTS...: run it there.
golden() {
    local name=$1
    shift
    machine "$name"
    ${runner:+"$runner"} "$build_root/machine-$name/tests/golden" "$@" 2>"$work/log"
}

here=
for name in x86-64 posix i386 s390x; do
    machine "$name"
    missing=
    command -v "$cc" >/dev/null || missing=$cc
    [ -z "$runner" ] || command -v "$runner" >/dev/null || missing=$runner
    if [ -n "$missing" ]; then
        number=$((number + 1)) skipped=$((skipped + 1))
        echo "ok $number - $name # SKIP there is no $missing"
        continue
    fi
    build "$name"
    status=$?
    report $status "the library is built for $name without warnings"
    [ $status -ne 0 ] || here="$here $name"
done

for format in 1 2; do
    [ ! -d "tests/golden/format$format" ] || cp -r "tests/golden/format$format" "$work/kept.$format"
    for name in $here; do
        golden "$name" make "$work/$name.$format" "$format" && [ ! -s "$work/log" ]
        report $? "$name makes a log in format $format"
    done
    for from in kept $here; do
        for name in $here; do
            cp -r "$work/$from.$format" "$work/copy"
            positions='s/^[0-9]*:[0-9]* #/#/' # not compared in logs made now, see tests/machines/golden.sh
            [ "$from" = kept ] && positions=
            golden "$name" read "$work/copy" "$format" | sed "$positions" >"$work/read" &&
                sed "$positions" "tests/golden/format$format.txt" | diff "$work/read" - >"$work/log"
            report $? "$name reads what $from wrote in format $format, and goes on with it"
            rm -rf "$work/copy"
        done
    done
done
echo "1..$number"
echo "$((number - failures - skipped)) passed, $failures failed, $skipped skipped"
[ $failures -eq 0 ]
