#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check.sh ROOT: the models hold in every order of their steps; each mistake that can be switched on in them is found,
# and is planted in the code, too; each of their steps names a function, and that is there. Speaks TAP.
set -uo pipefail
root=$(cd "${1:?usage: check.sh ROOT}" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root/models" || exit 2
number=0
failures=0

# Mistakes that one of very many runs of the code would show: they are in the model only.
only_here='LOOK_BEFORE_RESTING LOOK_BEFORE_WAITING CHECK_BEFORE_PUBLISH'

# Steps of the world around the code: they name no function.
world='pause disk_sync scheduler'

# report STATUS NAME: what went wrong stands in $work/log.
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

: >"$work/log"
for model in *.pml; do
    awk -v world=" $world " '
        /^(active )?(inline|proctype) / {
            name = $0
            sub(/^(active )?(inline|proctype) /, "", name)
            sub(/\(.*/, "", name)
            if (above ~ /^\/\* src\/[a-z_0-9\/]+\.c: [a-z_0-9]+\(\) \*\/$/)
                named++
            else if (index(world, " " name " ") == 0)
                print FILENAME ": " name " has no function above it"
        }
        { above = $0 }
        END { if (!named) print FILENAME " names no function" }
    ' "$model" >>"$work/log"
done
sed 's/src\/[^ ]*: [a-z_0-9]*()//g' ./*.pml | grep -E '\b(nw|nori)_[a-z]' >>"$work/log" # without a file
[ ! -s "$work/log" ]
report $? "each step of a model names a function, with its file, but for the steps of the world"

: >"$work/log"
grep -ohE 'src/[a-z_0-9/]+\.c: [a-z_0-9]+\(\)' ./*.pml | sort -u | while IFS=': ' read -r file name; do
    grep -qE "^[a-z][^;=]*\b${name%()}\(" "$root/$file" || echo "$file has no ${name%()}" >>"$work/log"
done
[ ! -s "$work/log" ]
report $? "each function that a model names is in the source"

: >"$work/log"
for mistake in $(sed -n 's/^#ifn*def //p' ./*.pml | sort -u); do
    case " $only_here " in *" $mistake "*) continue ;; esac
    name=$(echo "$mistake" | tr 'A-Z_' 'a-z-')
    grep -q "^$name " "$root/tests/planted.txt" || echo "$name is not in tests/planted.txt" >>"$work/log"
done
[ ! -s "$work/log" ]
report $? "each mistake of a model is planted in the code, but for those of which it says why not"

if ! command -v spin >/dev/null || ! command -v cc >/dev/null; then
    echo "ok $((number + 1)) # SKIP spin or a C compiler is not there"
    echo "1..$((number + 1))"
    exit $((failures > 0))
fi

# run MODEL SWITCH [OPTIMISE]: look at every state; what came out stands in $work/log.
run() {
    local folder=$work/$1.$2
    mkdir "$folder"
    cp "$1.pml" "$folder"
    (
        cd "$folder" && spin -a -D"$2" "$1.pml" && cc "${3:--O0}" -w -DSAFETY -DCOLLAPSE -o pan pan.c &&
            timeout 1200 ./pan -m500000 -n
    ) >"$work/log" 2>&1
}

for model in *.pml; do
    name=${model%.pml}
    run "$name" GOOD -O1 && grep -q 'errors: 0' "$work/log" &&
        ! grep -q 'Search not completed\|max search depth' "$work/log"
    report $? "$name holds in all of $(awk '/states, stored/ { print $1 }' "$work/log") states"
    for mistake in $(sed -n 's/^#ifn*def //p' "$model" | sort -u); do
        run "$name" "$mistake" && grep -qE 'assertion violated|invalid end state \(' "$work/log"
        report $? "$name with $mistake does not"
    done
done
echo "1..$number"
[ $failures -eq 0 ]
