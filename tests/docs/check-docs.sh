#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# check-docs.sh ROOT LIBNORI_WAL.so: what README.md and docs/ say can be checked against the source: the C block of the
# README compiles and runs, and what they name is there. Speaks TAP.
set -uo pipefail
root=$(cd "${1:?usage: check-docs.sh ROOT LIBNORI_WAL.so}" && pwd)
library=${2:?usage: check-docs.sh ROOT LIBNORI_WAL.so}
library=$(cd "$(dirname "$library")" && pwd)/$(basename "$library")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root" || exit 2
documents=$(ls README.md CONTRIBUTING.md docs/*.md)
number=0
failures=0

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

# nothing_in_log NAME: a test that has written each breach to the log.
nothing_in_log() {
    [ ! -s "$work/log" ]
    report $? "$1"
}

# The words of all documents that match, each once.
words() {
    # shellcheck disable=SC2086 # one word each
    grep -ohE "$1" $documents | sort -u
}

# ---- the README's program ----

awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md >"$work/readme.c"
cc -std=c99 -pedantic-errors -Wall -Wextra -Werror -Iinclude "$work/readme.c" "$library" \
    -Wl,-rpath,"$(dirname "$library")" -o "$work/readme" >"$work/log" 2>&1
report $? "the README's program compiles as C99 without warnings"
(
    cd "$work" || exit 1
    ./readme >first && ./readme >second && [ "$(cat first)" = hello ] && [ "$(cat second)" = "hello
hello" ]
) >"$work/log" 2>&1
report $? "it finds one record in its first run and two in its second"
[ "$(wc -l <"$work/readme.c")" -le 26 ] 2>"$work/log"
report $? "it is short"

# ---- what the documents name is there ----

: >"$work/log"
for target in $(words '^make [a-z]+' | awk '{ print $2 }'); do
    grep -q "^$target:" Makefile || echo "make $target" >>"$work/log"
done
nothing_in_log "every make target is in the Makefile"

: >"$work/log"
for document in $documents CHANGELOG.md; do
    grep -oE '\]\([^)]+\)' "$document" | sed 's/^](//; s/)$//' | while read -r link; do
        case $link in http*) continue ;; esac
        file=${link%%#*}
        target=$document
        [ -z "$file" ] || target=$(dirname "$document")/$file
        [ -f "$target" ] || { echo "$document: $link: no such file"; continue; }
        case $link in *'#'*) ;; *) continue ;; esac
        # As the sites do that show Markdown: small letters, no punctuation, hyphens for blanks.
        grep -E '^#+ ' "$target" | sed -E 's/^#+ //' | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g' |
            grep -qxF "${link#*#}" || echo "$document: $link: no such heading"
    done
done >>"$work/log"
nothing_in_log "every link leads somewhere"

: >"$work/log"
for word in $(words '\bnori_[a-z0-9_]+[a-z0-9]\b'); do
    grep -rqwF "$word" include examples || echo "$word" >>"$work/log"
done
for word in $(words '\bNORI_[A-Z0-9_]+[A-Z0-9]\b'); do
    grep -rqwF "$word" include tools src tests || echo "$word" >>"$work/log"
done
for word in $(words '\bnw_[a-z0-9_]+\b'); do
    grep -rqwF "$word" src || echo "$word" >>"$work/log"
done
nothing_in_log "every name of the interface is in a header"

: >"$work/log"
for word in $(words '`wal_[a-z_]+`' | tr -d '`'); do
    grep -qF "\"$word\"" src/observe/metrics.h || echo "$word" >>"$work/log"
done
for word in $(grep -ohE '\bwal_[a-z_]+' contrib/*/* | sed -E 's/_(bucket|sum|count)$//' | sort -u); do
    grep -qF "\"$word\"" src/observe/metrics.h || echo "contrib: $word" >>"$work/log"
done
nothing_in_log "every metric is there"

python3 -m json.tool contrib/grafana/nori-wal.json >/dev/null 2>"$work/log"
report $? "the dashboard is JSON"

: >"$work/log"
for path in $(words '`(src|sim|cli|tests|tools|models|bench|examples|include)/[A-Za-z0-9_./-]+`' | tr -d '`'); do
    case $path in *FOLDER*) continue ;; esac
    [ -e "$path" ] || echo "$path" >>"$work/log"
done
for option in $(words '\-D[a-z_]+=' | sed 's/^-D//; s/=$//'); do
    case $option in b_sanitize | b_lundef) continue ;; esac
    grep -q "^option('$option'" meson_options.txt || echo "-D$option" >>"$work/log"
done
nothing_in_log "every path and every build option is there"

# ---- the tests and the planted bugs in docs/testing.md ----

: >"$work/log"
grep -ohE '`[a-z0-9]+(_[a-z0-9]+){2,}`' docs/testing.md | tr -d '`' | sort -u | while read -r word; do
    grep -rqwF "$word" tests src/base src/wal tools || echo "$word"
done >>"$work/log"
nothing_in_log "every test that docs/testing.md names is there"

# The tables of planted bugs: what each does is written by hand, who catches it comes from tests/planted.txt, where the
# first row of a bug is its cheapest test. With NORI_DOCS_REWRITE in the environment they are written anew instead of
# compared.
block() {
    sed -n "/^<!-- generated: $1 -->\$/,/^<!-- end of $1 -->\$/p" docs/testing.md | sed '1d;$d'
}
rewrite_block() {
    awk -v name="$1" -v table="$2" '
        $0 == "<!-- end of " name " -->" { inside = 0 }
        !inside
        $0 == "<!-- generated: " name " -->" { inside = 1; while ((getline line < table) > 0) print line }
    ' docs/testing.md >"$work/testing.md" && cat "$work/testing.md" >docs/testing.md
}
# same_block NAME TABLE TEST
same_block() {
    [ -z "${NORI_DOCS_REWRITE:-}" ] || rewrite_block "$1" "$2"
    block "$1" | diff - "$2" >"$work/log" || echo "NORI_DOCS_REWRITE=1 tests/docs/check-docs.sh writes it" >>"$work/log"
    nothing_in_log "$3"
}
sed 's/#.*//' tests/planted.txt | awk 'NF >= 5' >"$work/listed"
grep -rhoE 'NW_PLANT\("[a-z0-9-]+"\)' src | sed 's/.*"\(.*\)".*/\1/' | sort -u >"$work/planted"
block planted | awk -F ' [|] ' '/^\| `/ { gsub(/[|` ]/, "", $1); print $1 "|" $2 }' >"$work/described"
awk -v described="$work/described" -v listed="$work/listed" '
    BEGIN {
        while ((getline line < described) > 0) {
            split(line, part, "|")
            what[part[1]] = part[2]
        }
        while ((getline line < listed) > 0) {
            count = split(line, part, " ")
            if (part[1] in test)
                continue
            test[part[1]] = "`test_" part[2] "`: `" part[3] "`"
            promise[part[1]] = part[5]
            for (i = 6; i <= count; i++) promise[part[1]] = promise[part[1]] " " part[i]
        }
        print "| bug | what it does | caught by | breaks |"
        print "|---|---|---|---|"
    }
    { printf "| `%s` | %s | %s | %s |\n", $1, what[$1], test[$1] ? test[$1] : "-", promise[$1] ? promise[$1] : "-" }
' "$work/planted" >"$work/table"
same_block planted "$work/table" "docs/testing.md has the table of planted bugs that tests/planted.txt makes"

grep '|  |' "$work/table" >"$work/log"
nothing_in_log "it says of each what it does"

# Which harness catches which, by what it runs: a program, a part of `make torture`, a corpus.
awk '{
    name = "`test_" $2 "`"
    if ($2 ~ /^replay_/) name = "`" $2 "`, its corpus"
    if ($2 == "golden") name = "`tests/machines/golden.sh`"
    if (sub(/^part:/, "", $3)) name = name ", part `" $3 "`"
    print name "\t" $1
}' "$work/listed" | LC_ALL=C sort -u | awk -F '\t' -v bugs="$(wc -l <"$work/planted")" -v rows="$(wc -l <"$work/listed")" '
    BEGIN {
        print bugs " bugs, caught " rows " times in all.\n"
        print "| harness | catches |"
        print "|---|---|"
    }
    $1 != harness { if (harness) print line " |"; harness = $1; line = "| " $1 " | `" $2 "`"; next }
    { line = line ", `" $2 "`" }
    END { print line " |" }
' >"$work/catchers"
same_block catchers "$work/catchers" "it has the table of harnesses, and what they catch"

awk '{ print $1 }' "$work/listed" | sort -u | diff "$work/planted" - >"$work/log"
report $? "every bug that is planted in src/ is listed in tests/planted.txt, and no other"

# The tool's own fuzzer cannot: no bug is planted in cli/, which knows nothing of the inside of src/. Nor is a part of
# make torture another harness because it names a file system, or looks at all there is.
: >"$work/log"
for harness in tests/crash/test_*.c tests/real/test_*.c fuzz/fuzz_*.c; do
    program=$(basename "$harness" .c)
    program=${program#test_}
    program=${program/#fuzz_/replay_}
    [ "$program" = replay_tool ] || awk '{ print $2 }' "$work/listed" | grep -qx "$program" || echo "$harness"
done >>"$work/log"
awk '!/^#/ && $5 ~ /^tests\/test_/ && NF > 5 && $6 !~ /^(ext4|xfs|btrfs|all)$/ { print $1 }' tests/torture.txt | while read -r part; do
    grep -q " part:$part " "$work/listed" || echo "part $part of make torture"
done >>"$work/log"
nothing_in_log "every harness is shown to catch a bug"

echo "1..$number"
[ $failures -eq 0 ]
