#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# transcripts.sh NORI: the transcripts in docs/recovery.md are what the tool prints. Speaks TAP. With NORI_DOCS_REWRITE
# in the environment they are written anew instead of compared.
set -u
nori=${1:?usage: transcripts.sh NORI}
case $nori in
/*) ;;
*) nori=$PWD/$nori ;;
esac
document=$(cd "$(dirname "$0")/../../docs" && pwd)/recovery.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 2
LC_ALL=C
export LC_ALL
number=0
failures=0

# run ARGUMENT...: a command as a person types it, and what it prints.
run() {
    echo "\$ nori $*"
    "$nori" "$@" 2>&1
}

# Random numbers and times are not the same twice.
mask() {
    sed -E 's/(log|salt) [0-9a-f]{16}/\1 0123456789abcdef/g; s/checksum is [0-9a-f]{8} and should be [0-9a-f]{8}/checksum is 5e5707ae and should be 168d55ec/'
}

# block NAME: what stands in block NAME of the document is what the file `block` has.
block() {
    number=$((number + 1))
    { echo '```' && mask <block && echo '```'; } >wanted
    if [ -n "${NORI_DOCS_REWRITE:-}" ]; then
        awk -v name="$1" '
            $0 == "<!-- end of " name " -->" { inside = 0 }
            !inside
            $0 == "<!-- generated: " name " -->" { inside = 1; while ((getline line < "wanted") > 0) print line }
        ' "$document" >renewed && cat renewed >"$document"
    fi
    sed -n "/^<!-- generated: $1 -->\$/,/^<!-- end of $1 -->\$/p" "$document" | sed '1d;$d' >there
    if diff there wanted >difference; then
        echo "ok $number - the transcript of $1"
    else
        echo "not ok $number - the transcript of $1 (NORI_DOCS_REWRITE=1 tests/docs/transcripts.sh NORI writes it)"
        sed 's/^/# /' difference
        failures=$((failures + 1))
    fi
}

# spoil FILE OFFSET: change one byte (which may be a `#` already).
spoil() {
    found=$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null | tr '\0' '.')
    if [ "$found" = '#' ]; then printf '!'; else printf '#'; fi |
        dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null
}

# lines_of LIFE: its input, which ends when the segment of the life before has given back what it did not need.
lines_of() {
    awk -v life="$1" 'BEGIN { for (i = 1; i <= 400; i++) printf "%0999d\n", life * 400 + i }'
    while [ "$1" -gt 0 ] && [ "$(wc -c <"wal/00000$(($1 - 1)).wal")" -eq 1048576 ]; do sleep 0.1; done
}

# Three segments, each of one life; a sync after each append, so that marks are where they always are.
for life in 0 1 2; do
    lines_of $life | "$nori" append --policy always --batch 1 --segment-size 1MiB wal || exit 2
done
cp -r wal torn
# Without `control` and behind the last mark nothing says that it was durable.
rm torn/control
printf 'the beginning of a record' | dd of=torn/000002.wal bs=1 seek="$("$nori" stat --json torn |
    sed -n 's/.*"kind": "summary".*"end_offset": \([0-9]*\).*/\1/p')" conv=notrunc 2>/dev/null
run verify torn >block
block torn

spoil wal/000000.wal 302000
spoil wal/000001.wal 50
cp -r wal prefix
# Its ring has whole records of the last life, and true bytes for those that are bad.
rm prefix/control
{ run verify wal; echo "\$ echo \$?"; echo 1; } >block
block verify
run explain wal 0:302000 | head -n 12 >block
block explain
run repair --dry-run wal >block
block dry-run
run repair --salvage wal >block
block salvage
{ run verify wal; echo '$ ls wal/quarantine'; ls wal/quarantine; } >block
block after
{ echo '$ cat wal/quarantine/*.0-128.txt'; sed 's/^when: .*/when:  1795363824108 ms after 1970 (UTC)/' wal/quarantine/*.0-128.txt; } >block
block note
run repair prefix | sed 's/ prefix$/ wal/; s:in prefix/:in wal/:' >block
block prefix

echo "1..$number"
[ "$failures" -eq 0 ]
