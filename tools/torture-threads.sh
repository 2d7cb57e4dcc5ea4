#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# torture-threads.sh tsan|helgrind [--seed N] [--from N] [--count N] [--seconds N]: tests/crash/test_thread_stress.c for
# --count seconds under ThreadSanitizer or helgrind, in a build of its own. What they are is in tests/torture.txt. The
# first report ends it with another status than 0, and with a line that repeats its round.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
judge=${1:?usage: torture-threads.sh tsan|helgrind [--seed N] [--from N] [--count N] [--seconds N]}
shift
build=${NORI_BUILD:-build/torture-build}-$judge
options=(--buildtype=debugoptimized -Dtests=enabled -Dexamples=false -Dtool=disabled)
run=()

case $judge in
tsan)
    export CC=clang TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
    options+=(-Db_sanitize=thread -Db_lundef=false)
    # The thread sanitizer of this compiler does not know the address layout of newer kernels.
    ! setarch "$(uname -m)" -R true 2>/dev/null || run=(setarch "$(uname -m)" -R)
    ;;
helgrind)
    export CC=gcc
    # Without ISA-L: which of its functions a processor gets it notes when one is first called, in any thread.
    options+=(-Disal=disabled "-Dc_args=-include $PWD/tests/support/helgrind_atomics.h")
    run=(valgrind --quiet --vgdb=no --tool=helgrind --fair-sched=try --default-suppressions=no
        --suppressions=tests/helgrind.supp --exit-on-first-error=yes --error-exitcode=1)
    "${run[@]}" true >/dev/null 2>&1 || {
        echo "torture: skipped helgrind does not run here; it needs libc6-dbg"
        exit 77
    }
    ;;
*)
    echo "torture-threads.sh: tsan or helgrind, not '$judge'" >&2
    exit 2
    ;;
esac

[ -f "$build/build.ninja" ] || meson setup "$build" "${options[@]}" || exit 2
ninja -C "$build" tests/test_thread_stress || exit 2

seed=1
next=0
given=("$@")
for ((i = 0; i + 1 < ${#given[@]}; i++)); do
    case ${given[i]} in
    --seed) seed=${given[i + 1]} ;;
    --from) next=${given[i + 1]} ;;
    esac
done
status=1
while IFS= read -r line; do
    case $line in
    "exit "*) status=${line#exit }; continue ;;
    "torture: next="*) next=${line#torture: next=} next=${next%% *} ;;
    esac
    printf '%s\n' "$line"
done < <("${run[@]}" "$build/tests/test_thread_stress" --seed "$seed" "$@" 2>&1; echo "exit $?")
[ "$status" -eq 0 ] || echo "repeat: tools/torture-threads.sh $judge --seed $seed --from $next --count 60"
exit "$status"
