#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# run.sh NORI: what the tool promises on its command line, input, output and exit status. Speaks TAP.
set -u
nori=${1:?usage: run.sh NORI}
case $nori in
/*) ;;
*) nori=$PWD/$nori ;;
esac
# shellcheck source=tests/support/comes.sh
. "$(dirname "$0")/../support/comes.sh"
work=$(mktemp -d)
writer=
# shellcheck disable=SC2317 # called by trap
clean_up() {
    if [ -n "$writer" ]; then
        kill "$writer" 2>/dev/null
    fi
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
LC_ALL=C
TERM=xterm
export LC_ALL TERM
unset NO_COLOR
passed=0
failed=0
skipped=0

# report STATUS NAME: the result of one test.
report() {
    if [ "$1" -eq 0 ]; then
        passed=$((passed + 1))
        printf '%s\n' "ok $((passed + failed + skipped)) - $2"
        return
    fi
    failed=$((failed + 1))
    printf '%s\n' "not ok $((passed + failed + skipped)) - $2"
    for stream in out err; do
        if [ -s "$stream" ]; then
            head -n 5 "$stream" | cut -c 1-300 | sed "s/^/# $stream: /"
        fi
    done
}

skip() {
    skipped=$((skipped + 1))
    echo "ok $((passed + failed + skipped)) - $1 # SKIP $2"
}

# try STATUS NAME ARGUMENT...: run the tool and compare its exit status.
try() {
    wanted=$1
    name=$2
    shift 2
    "$nori" "$@" >out 2>err
    got=$?
    [ "$got" -eq "$wanted" ] || name="$name (exit status $got, not $wanted)"
    [ "$got" -eq "$wanted" ]
    report $? "$name"
}

# tells TEXT, prints TEXT: what the last run said on standard error, printed on standard output.
tells() {
    grep -qF -e "$1" err
    report $? "... and tells: $1"
}

prints() {
    grep -qF -e "$1" out
    report $? "... and prints: $1"
}

is_silent() {
    [ ! -s err ]
    report $? "... and says nothing on standard error"
}

# counts N: standard output has N lines.
counts() {
    [ "$(wc -l <out)" -eq "$1" ]
    report $? "... and prints $1 lines"
}

# same FILE FILE NAME
same() {
    cmp "$1" "$2" >err 2>&1
    report $? "$3"
}

# ---- help and usage ----

for command in append dump tail verify stat top repair explain convert bench doctor; do
    try 0 "$command --help" "$command" --help
    prints "usage: nori $command"
    prints "Examples"
    [ "$(grep -c "^  .*nori $command" out)" -ge 2 ]
    report $? "... and prints two examples"
    [ -z "$(awk 'length > 100' out)" ]
    report $? "... and keeps to 100 columns"
    cp out help_of_command
    try 0 "help $command" help "$command"
    same out help_of_command "... is the same text"
    try 0 "$command -h" "$command" -h
    same out help_of_command "... is the same text"
done
try 0 "help" help
prints "  verify "
try 0 "--help" --help
prints "  append "
try 0 "--version" --version
prints "library: libnori-wal "
prints "formats: "
prints "compression: none"
try 2 "no command"
tells "try: nori --help"
try 2 "an unknown command" frobnicate
tells "unknown command 'frobnicate'"
tells "try: nori --help"
try 2 "a typo in a command" verfy
tells "did you mean verify?"
try 2 "a typo in help's command" help dmup
tells "did you mean dump?"
try 2 "an option before the command" --json dump
tells "the command comes first"
try 2 "an unknown option" dump --frobnicate log
tells "unknown option '--frobnicate'"
tells "try: nori dump --help"
try 2 "a typo in an option" dump --limt 3 log
tells "did you mean --limit?"
try 2 "an unknown letter" stat -x log
tells "unknown option '-x'"
try 2 "an option without its value" dump log --limit
tells "--limit needs a value"
try 2 "an option with a value that it does not take" dump --json=yes log
tells "--json takes no value"
try 2 "no folder" dump
tells "the folder is missing"
try 2 "two folders" dump one two
tells "'two' follows 'one'"
try 2 "an empty folder name" dump ''
tells "name is empty"

# ---- values of options ----

# refuses NAME TEXT ARGUMENT...
refuses() {
    name=$1
    text=$2
    shift 2
    try 2 "$name is refused" "$@" </dev/null
    tells "$text"
    [ ! -e refused ]
    report $? "... and makes no log"
}
refuses "a policy" "expected batch, always or os" append --policy never refused
refuses "a window without unit" "such as 500us, 5ms or 1s" append --window 5 refused
refuses "a window that is too long" "at most one second" append --window 2s refused
refuses "a window with another policy" "--window makes no sense" append --window 5ms --policy os refused
refuses "a segment size" "such as 65536, 64KiB" append --segment-size 1MB refused
refuses "a small segment size" "at least 1048576" append --segment-size 64K refused
refuses "a huge size" "expected a size" append --segment-size 99999999999G refused
refuses "a format" "at most 2" append --format 3 refused
refuses "a batch of none" "at least 1" append --batch 0 refused
refuses "a batch that is no number" "a whole number" append --batch two refused
refuses "a compression" "expected none, lz4 or zstd" append --compression gzip refused
refuses "a way to preallocate" "auto, off, reserve or zero" append --preallocate much refused
refuses "a long separator" "expected one character" append --key-separator :: refused
refuses "a separator in JSON" "makes no sense with --json" append --json --key-separator : refused
refuses "a position" "a position such as 3:128" dump --from 3:x refused
refuses "a time" "a time such as 2024-05-01T12:00:00Z" dump --since yesterday refused
refuses "the thirtieth of February" "a time such as" dump --since 2024-02-30T00:00:00Z refused
refuses "two forms at once" "only one of --json, --hex and --raw" dump --json --raw refused

# ---- lines ----

printf 'one\ntwo\n\nlast without newline' >lines
try 0 "append lines" append lines_log <lines
is_silent
counts 0
try 0 "dump them" dump lines_log
is_silent
cut -f 2-5 out >columns
printf '1\tput\t""\t"one"\n2\tput\t""\t"two"\n3\tput\t""\t""\n4\tput\t""\t"last without newline"\n' >wanted
same columns wanted "lines are values, an empty one too, the last one without newline too"
try 0 "append more" append --policy always --segment-size 1MiB lines_log <lines
try 0 "dump raw" dump --raw lines_log
{ cat lines && echo && cat lines && echo; } >wanted
same out wanted "both are there in order"
try 0 "append nothing" append nothing_log </dev/null
try 0 "append with keys" append --key-separator '\t' --node-id 7 keys_log <<END
user/1	Ada	Lovelace
user/2	Grace
host/1	x
END
try 0 "dump with keys" dump keys_log
prints "	\"user/1\"	\"Ada\\tLovelace\""
try 0 "--key-prefix" dump --key-prefix user/ keys_log
counts 2
try 0 "--key-prefix and --limit" dump --key-prefix user/ --limit 1 keys_log
counts 1
prints '"user/1"'
try 2 "a line without separator" append --key-separator = bad_lines_log <<END
a=1
b
c=3
END
tells "line 2: there is no key separator in it"
tells "1 record was appended before that"
tells "hint: "
try 0 "what stood before it is in the log" dump bad_lines_log
counts 1

# ---- which records ----

awk 'BEGIN { for (i = 1; i <= 3000; i++) print "value " i }' >many
try 0 "append 3000 lines" append many_log <many
try 0 "--limit" dump --limit 5 many_log
counts 5
try 0 "--limit 0" dump --limit 0 many_log
counts 0
try 0 "--sequence" dump --sequence 2998 many_log
counts 3
prints "value 2998"
try 0 "dump all" dump many_log
counts 3000
position=$(awk '$2 == 2000 { print $1 }' out)
try 0 "--from a record" dump --from "$position" many_log
counts 1001
prints "value 2000"
try 0 "options behind the folder" dump many_log --from "$position" --limit 1
counts 1
try 0 "--from a segment" dump --from 0 many_log
counts 3000
try 1 "--from the inside of a record" dump --from "${position%:*}:$((${position#*:} + 1))" many_log
tells "hint: "
try 1 "--from behind the end" dump --from 999:0 many_log
tells "nori dump: "
"$nori" dump many_log 2>err | head -n 1 >out
report $? "head takes one line"
is_silent
{ "$nori" dump --json many_log 2>err; echo $? >status; } | head -n 1 >out
[ "$(cat status)" = 0 ]
report $? "a reader that goes away is no error"
is_silent

# ---- the last records, and what comes behind them ----

try 0 "tail" tail many_log
counts 10
prints "value 3000"
"$nori" dump --sequence 2991 many_log | cmp -s - out
report $? "... as dump prints them"
try 0 "tail of more than there are" tail -n 5000 --raw many_log
cmp -s out many
report $? "... is all of them"
try 0 "tail -n 0" tail -n 0 many_log
counts 0
try 0 "tail of those that are wanted" tail -n 2 --json --key-prefix '' --since 2000-01-01T00:00:00Z many_log
counts 2
prints '"value 2999"'
try 0 "tail --limit" tail -n 5 --limit 2 --raw many_log
[ "$(tr '\n' ' ' <out)" = "value 2996 value 2997 " ]
report $? "... begins with the first of them"
try 0 "tail --from" tail --from "$position" many_log
counts 1001
refuses "tail from two places" "only one of --count and --from" tail -n 3 --from 0 many_log
refuses "tail without a number" "--count needs a value" tail many_log -n
try 1 "tail of no log" tail no_such_log
tells "hint: "
awk 'BEGIN { for (i = 1; i <= 300; i++) printf "%s%010000d\n", i % 100 ? "rare " : "common ", i }' >long
try 0 "a log of several segments" append --key-separator ' ' --segment-size 1MiB long_log <long
try 0 "tail looks in older segments for what is wanted" tail -n 3 --key-prefix common long_log
[ "$(cut -f 2 out | tr '\n' ' ')" = "100 200 300 " ]
report $? "... and prints it in order"

# has_lines COUNT: what is followed has them.
has_lines() {
    [ "$(wc -l <followed)" -ge "$1" ]
}

"$nori" append followed_log <lines
"$nori" tail -f -n 1 --raw followed_log >followed 2>err &
writer=$!
comes has_lines 1
report $? "tail -f begins with the last records"
{
    echo "last without newline"
    cat many long
} >expected
"$nori" append followed_log <many && "$nori" append --segment-size 1MiB followed_log <long
comes has_lines "$(wc -l <expected)"
report $? "... goes on with what other writers append, over the ends of segments"
cmp -s followed expected
report $? "... every record once and in order"
kill -INT "$writer"
wait "$writer"
report $? "... and ends well when it is interrupted"
is_silent
writer=
{ "$nori" tail -f followed_log 2>err; echo $? >status; } | head -n 1 >out
[ "$(cat status)" = 0 ]
report $? "tail -f ends when nobody reads it any more"
is_silent
try 0 "tail -f --limit ends by itself" tail -f -n 3 --limit 3 followed_log
counts 3

# ---- JSON ----

cat >records <<'END'
{"key": "k1", "value": "v1"}
{"key": "k2", "value": "a \"quoted\"\n\u0000 caf\u00e9 \ud83d\ude00", "ttl_ms": 1500, "time_ms": 1700000000000}

{"key_hex": "00ff6b", "value_hex": "C0AF"}
{"key": "ignored", "key_hex": "6b34", "value": "ignored", "value_hex": "7634", "unknown": [1, {"a": null}]}
{"key": "k1", "tombstone": true, "version": {"term": 3, "index": 18446744073709551615}}
{"value": null, "key": "only a key", "ttl_ms": null, "version": null, "compression": null, "tombstone": null}
{"value": "only a value", "segment": 9, "offset": 9, "sequence": 99}
{"key": "max", "value": "", "ttl_ms": 18446744073709551615, "time_ms": 0}
END
try 0 "append JSON" append --json json_log <records
is_silent
try 0 "dump JSON" dump --json json_log
counts 8
head -n 1 out | sed 's/"segment": [0-9]*, "offset": [0-9]*/"segment": 0, "offset": 128/' >first
cat >wanted <<'END'
{"segment": 0, "offset": 128, "sequence": 1, "key_hex": "6b31", "value_hex": "7631", "tombstone": false, "ttl_ms": null, "time_ms": null, "version": null, "compression": "none", "key": "k1", "value": "v1"}
END
same first wanted "a record has exactly these members"
prints '"value": "a \"quoted\"\n\u0000 café 😀"'
prints '"ttl_ms": 1500, "time_ms": 1700000000000'
prints '"key_hex": "00ff6b", "value_hex": "c0af", "tombstone": false, "ttl_ms": null, "time_ms": null, "version": null, "compression": "none"}'
prints '"key": "k4", "value": "v4"'
prints '"tombstone": true, "ttl_ms": null, "time_ms": null, "version": {"term": 3, "index": 18446744073709551615}'
prints '"key": "", "value": "only a value"'
prints '"ttl_ms": 18446744073709551615, "time_ms": 0'
sed 's/^{"segment": [0-9]*, "offset": [0-9]*, //' out >members_of_a
"$nori" dump --json json_log | "$nori" append --json copy_log 2>err
report $? "dump into append copies a log"
is_silent
try 0 "dump the copy" dump --json copy_log
sed 's/^{"segment": [0-9]*, "offset": [0-9]*, //' out >members_of_b
same members_of_a members_of_b "the copy has the same records, times and versions"
try 0 "--since with time zone" dump --since 2023-11-14T23:13:20.001+01:00 json_log
counts 6
try 0 "--since in milliseconds" dump --since 1700000000000 json_log
counts 7
try 0 "dump for people" dump json_log
prints "	put	\"\\x00\\xffk\"	\"\\xc0\\xaf\""
prints "	ttl_ms=1500	time=2023-11-14T22:13:20.000Z	expired"
prints "	delete	\"k1\"	\"\"	version=3:18446744073709551615"
try 0 "dump in hexadecimal" dump --hex json_log
prints "  00000000  00 ff 6b "
prints "|..k|"
try 0 "raw bytes" dump --raw --key-prefix k4 json_log
printf 'v4\n' >wanted
same out wanted "... are the value and a newline"
try 0 "raw does not print deletes" dump --raw --sequence 5 --limit 2 json_log
printf '\nonly a value\n' >wanted
same out wanted "... but empty values"

# refuses_line TEXT LINE: a second line that is wrong.
refuses_line() {
    rm -rf bad_log
    printf '{"key": "good"}\n%s\n{"key": "behind"}\n' "$2" >bad
    try 2 "append refuses $2" append --json bad_log <bad
    tells "nori append: line 2: $1"
    tells "1 record was appended before that"
    "$nori" dump bad_log >out 2>err
    counts 1
}
refuses_line "not JSON: " '{"key": "a"'
refuses_line "not JSON: " '{"key": "a"} x'
refuses_line "not JSON: " '{"key": "a", "key": "b"}'
refuses_line "not JSON: " 'hello'
refuses_line "not a JSON object" '["key"]'
refuses_line "there is neither a key nor a value" '{}'
refuses_line "there is neither a key nor a value" '{"key": null, "tombstone": true}'
refuses_line '"key" must be a string' '{"key": 1}'
refuses_line '"key_hex" must be an even number' '{"key_hex": "abc"}'
refuses_line '"value_hex" must be an even number' '{"value_hex": "zz"}'
refuses_line '"ttl_ms" must be a whole number' '{"key": "a", "ttl_ms": -1}'
refuses_line '"time_ms" must be a whole number' '{"key": "a", "time_ms": 1.5}'
refuses_line '"tombstone" must be true' '{"key": "a", "tombstone": 1}'
refuses_line '"version" must be an object' '{"key": "a", "version": {"term": 1}}'
refuses_line '"compression" must be' '{"key": "a", "compression": "gzip"}'

# ---- compression ----

awk 'BEGIN { for (i = 0; i < 3; i++) { for (j = 0; j < 200; j++) printf "again and "; print "again" } }' >wordy
for compression in lz4 zstd; do
    "$nori" append --compression $compression ${compression}_log <wordy >out 2>err
    got=$?
    if [ $got -eq 1 ] && grep -q "nori append: .*compress" err; then
        skip "--compression $compression" "not built in"
        continue
    fi
    report $got "--compression $compression"
    try 0 "dump $compression" dump --json ${compression}_log
    prints "\"compression\": \"$compression\""
    "$nori" dump --json ${compression}_log | "$nori" append --json ${compression}_copy 2>err
    report $? "copy $compression"
    try 0 "dump the copy raw" dump --raw ${compression}_copy
    same out wordy "the values are the same"
    try 0 "dump the copy" dump --json ${compression}_copy
    prints "\"compression\": \"$compression\""
done

# ---- large records, batches, acknowledgements ----

awk 'BEGIN { for (i = 0; i < 300000; i++) printf "0123456789"; print "" }' >large
try 0 "append a line of 3 MB" append --segment-size 1MiB large_log <large
try 0 "dump it raw" dump --raw large_log
same out large "it is the same"
"$nori" dump --json large_log | "$nori" append --json large_copy 2>err
report $? "copy it"
try 0 "dump the copy" dump --raw large_copy
same out large "it is the same"
{ echo first && cat large; } >too_large
try 2 "a record over --max-record-size" append --max-record-size 1MiB too_large_log <too_large
tells "nori append: line 2: "
tells "--max-record-size"
tells "1 record was appended before that"
try 0 "a small --max-record-size" append --max-record-size 10 small_log <many
try 0 "dump it raw" dump --raw small_log
same out many "it is no limit for what is appended together"
try 2 "a batch over --max-record-size" append --max-record-size 10 --batch 3 small_batch_log <many
tells "nori append: lines 1 to 3: "
tells "0 records were appended before that"

try 0 "--batch" append --batch 7 batch_log <many
try 0 "dump batches" dump --limit 14 batch_log
awk -F '\t' '{ printf "%s", ($NF == "batch") ? "+" : "." } END { print "" }' out >marks
echo '++++++.++++++.' >wanted
same marks wanted "seven records make a batch"
try 0 "a huge --batch" append --batch 1000000 huge_batch_log <many
try 0 "dump it raw" dump --raw huge_batch_log
same out many "all of it is there"
try 0 "--batch 1" append --batch 1 single_log <many
try 0 "dump single records" dump single_log
! grep -q "	batch$" out
report $? "none is in a batch"
printf '{"key": "a"}\n{"key": "b"}\n{"key": "c"}\nwrong\n' >bad
try 2 "a wrong line in a batch" append --json --batch 2 bad_batch_log <bad
tells "line 4: not JSON"
tells "2 records were appended before that"

for policy in always batch os; do
    try 0 "--ack under $policy" append --ack --policy $policy ack_${policy}_log <many
    cp out positions
    try 0 "dump them" dump ack_${policy}_log
    cut -f 1 out >wanted
    same positions wanted "the positions are those of the records"
done
try 0 "--ack --json" append --ack --json ack_json_log <records
[ "$(grep -cE '^\{"segment": [0-9]+, "offset": [0-9]+\}$' out)" -eq 8 ]
report $? "prints an object for each record"
try 0 "--ack --batch" append --ack --batch 100 ack_batch_log <many
counts 3000
printf '{"key": "a"}\nwrong\n' >bad
try 2 "--ack and a wrong line" append --ack --json ack_bad_log <bad
counts 1

# ---- verify, stat ----

try 0 "verify a sound log" verify many_log
prints "sound: 3000 records in 1 segment"
is_silent
try 0 "verify --json" verify --json many_log
prints '{"kind": "segment", "file": "000000.wal"'
prints '{"kind": "summary", "severity": "info", "code": "NORI_OK"'
awk 'BEGIN { for (i = 0; i < 25000; i++) printf "%0999d\n", i }' >segments
try 0 "append 25 MB in segments of 1 MiB" append --segment-size 1MiB segments_log <segments
try 0 "stat" stat segments_log
grep -qE '^FILE +FORMAT +STATE +RECORDS +FIRST +BYTES +ALLOCATED +CREATED$' out
report $? "... and prints a title"
grep -qE '^000000.wal +2 +live +[0-9]+ +1 +[0-9.]+ .*Z$' out
report $? "... and prints the first segment"
prints "more, shown with --all"
grep -qE '^records +25000, from sequence number 1$' out
report $? "... and counts the records"
grep -qE '^durable +all$' out
report $? "... and says what is durable"
prints "none; the last one closed it"
[ "$(grep -c '\.wal  ' out)" -eq 20 ]
report $? "... and shows twenty segments"
try 0 "stat --all" stat --all segments_log
[ "$(grep -c '\.wal  ' out)" -gt 20 ]
report $? "... shows more of them"
try 0 "stat --json" stat --json segments_log
grep -q '"kind": "summary".*"records": 25000.*"was_clean": true, "is_writer_alive": false' out
report $? "... prints the totals"
try 0 "dump several segments" dump --raw segments_log
same out segments "all records are there in order"

try 0 "append a log to damage" append --batch 1 damaged_log <many
try 0 "it is sound" verify damaged_log
offset=$("$nori" dump --sequence 1500 --limit 1 damaged_log | sed 's/^0:\([0-9]*\).*/\1/')
printf '#' | dd of=damaged_log/000000.wal bs=1 seek=$((offset + 6)) conv=notrunc 2>/dev/null
try 1 "verify finds a damaged byte" verify damaged_log
prints "error: "
prints "  where: 000000.wal, offset "
prints "what to do: "
prints "the log is damaged: "
try 1 "verify --json finds it, too" verify --json damaged_log
prints '{"kind": "finding", "severity": "error", "code": "NORI_E_CORRUPT", "file": "000000.wal"'
try 1 "dump stops at the damage" dump --raw damaged_log
head -n 1499 many >wanted
same out wanted "... behind all records before it"
"$nori" dump damaged_log >out 2>err
tells "nori dump: "
tells "hint: nothing was changed; see what is damaged with: nori verify damaged_log"
try 1 "append refuses a damaged log" append damaged_log <lines
tells "nori append: "
tells "nori verify damaged_log"

# ---- what is no log, or no file of one ----

cp -r damaged_log strange_log
rm strange_log/000000.wal
mkfifo strange_log/000000.wal
for command in verify stat dump append repair explain; do
    try 2 "$command refuses a pipe in place of a segment" $command strange_log </dev/null
    tells "000000.wal: not a regular file"
    tells "hint: check the folder's name, what is in it, and the options"
done
[ -p strange_log/000000.wal ]
report $? "... and leaves it where it is"
rm strange_log/000000.wal
mkdir strange_log/lost+found
touch 'strange_log/000000.wal~' strange_log/.swp
rm -f strange_log/spare # if a close did not come before it was made
for command in verify stat dump repair explain; do
    try 1 "$command finds no log among other files" $command strange_log
done
: >plain_file
for command in verify stat dump append repair explain; do
    try 2 "$command refuses a file in place of the folder" $command plain_file </dev/null
    tells "plain_file"
done

# ---- repair, explain ----

cp -r segments_log hurt_log
# hurt NUMBER: damage the record with this sequence number.
hurt() {
    place=$("$nori" dump --sequence "$1" --limit 1 segments_log | cut -f 1)
    printf '#' | dd of="hurt_log/$(printf '%06d' "${place%:*}").wal" bs=1 seek=$((${place#*:} + 9)) conv=notrunc 2>/dev/null
}
hurt 900
hurt 1700
hurt 5000
printf '########' | dd of=hurt_log/000015.wal bs=1 seek=48 conv=notrunc 2>/dev/null
try 1 "verify finds damage in several places" verify hurt_log
[ "$(grep -c '^error: ' out)" -eq 4 ]
report $? "... and prints each"
prints "records are at risk"
prints "the segment header is damaged"
cp -r hurt_log hurt_before
try 1 "repair --dry-run finds damage" repair --dry-run hurt_log
prints "  would be done: the log ends here"
try 1 "repair --dry-run --salvage, too" repair --dry-run --salvage hurt_log
prints "  would be done: bytes "
prints "made anew"
try 1 "repair --dry-run --json" repair --dry-run --json hurt_log
prints '"kind": "finding"'
prints '"bytes_quarantined": 0'
diff -r hurt_log hurt_before >err 2>&1
report $? "a dry run changes no byte"
try 0 "explain a damaged place" explain hurt_log "$("$nori" dump --sequence 1700 --limit 1 segments_log | cut -f 1)"
prints "that do not verify"
prints "recovery: these bytes were durable once and are damaged now"
try 0 "repair --salvage" repair --salvage hurt_log
prints "the log is repaired: "
prints "quarantine/000015.wal.0-128"
is_silent
try 0 "it is sound then" verify hurt_log
prints "warning: "
cp out verdict_of_repaired
"$nori" explain hurt_log >out 2>err
report $? "explain without a position"
prints "control: "
prints "quarantine/000015.wal.0-128.txt"
find hurt_log/quarantine -type f | sort >pieces
try 0 "a second repair" repair --salvage hurt_log
prints "there was nothing to repair"
find hurt_log/quarantine -type f | sort >pieces_again
same pieces pieces_again "... does nothing more"
"$nori" verify --json hurt_log >out 2>err
kept=$(sed -n 's/.*"kind": "summary".*"records": \([0-9]*\).*/\1/p' out)
[ "$kept" -gt 20000 ] && [ "$kept" -lt 24998 ]
report $? "salvage keeps everything but the stretches"
cp -r hurt_before prefix_log
try 0 "repair without salvage" repair prefix_log
prints "the log is repaired: "
try 0 "the log ends before the first damage" dump --raw prefix_log
count=$(wc -l <out)
[ "$count" -gt 0 ] && [ "$count" -lt 900 ]
report $? "... with less than 900 records"
head -n "$count" segments >wanted
same out wanted "... which are the first ones"
try 0 "it goes on" append prefix_log <lines
try 0 "repair a sound log" repair --json many_log
prints '"message": "there was nothing to repair"'
try 0 "explain --json" explain --json many_log 0:200
prints '{"kind": "explanation", "file": "000000.wal"'
prints '"data_hex": "'
try 0 "explain the first header" explain many_log 0:0
prints "inside the segment header, whose checksum holds: segment 0"
try 1 "explain a segment that is not there" explain many_log 99:1
tells "there is no segment 99"
try 2 "explain a position that is none" explain many_log x
tells "a position such as 3:128"

# ---- format 1, convert ----

cat >mixed <<'END'
{"key": "a", "value": "1"}
{"key": "b", "tombstone": true}
{"key": "c", "value": "3", "ttl_ms": 1500, "version": {"term": 7, "index": 9}}
{"key": "", "value": ""}
END
kinds=$("$nori" --version | sed -n 's/^compression: //p' | tr -d ,) # what this build offers
awk -v kinds="$kinds" 'BEGIN {
    count = split(kinds, kind, " ")
    for (i = 0; i < 3000; i++)
        printf "{\"key\": \"k%d\", \"value\": \"%0999d\", \"compression\": \"%s\"}\n", i, i, kind[i % count + 1]
}' >>mixed
# records LOG: its records without what a copy does not keep.
records() {
    "$nori" dump --json "$1" | sed 's/^.*"key_hex"/"key_hex"/; s/"time_ms": [0-9a-z]*/"time_ms": -/'
}
# first_bytes LOG COUNT: as hexadecimal numbers.
first_bytes() {
    od -An -v -tx1 -N "$2" "$1/000000.wal" | tr -d ' \n'
}
try 0 "append in format 1" append --format 1 --json --segment-size 1MiB f1_log <mixed
is_silent
[ "$(first_bytes f1_log 8)" = 0101006131"$(first_bytes f1_log 8 | cut -c 11-)" ]
report $? "... writes a record at the file's first byte"
try 0 "it is sound" verify f1_log
prints "sound: 3004 records in "
try 0 "it goes on in format 1" append --format 1 --json --segment-size 1MiB f1_log <mixed
try 0 "it is sound then" verify f1_log
prints "sound: 6008 records in "
try 0 "stat of it" stat f1_log
[ "$(grep -cE '^00000[0-3].wal +1 ' out)" -ge 4 ]
report $? "... shows four segments of format 1"
try 1 "format 1 on a log of format 2" append --format 1 many_log <lines
tells "the log has segments of format 2"
tells "nori convert --help"
try 1 "a time in a record of format 1" append --format 1 --json f1_log <<'END'
{"key": "t", "value": "1", "time_ms": 5}
END
tells "records of format 1 have no time"

try 0 "convert to format 2" convert --segment-size 2MiB f1_log to_f2
prints "copied: 6008 records"
prints "in format 2"
prints "TTLs that had no time, and count from now: 2"
is_silent
try 0 "convert back" convert --format 1 --segment-size 1MiB to_f2 back_to_f1
prints "in format 1"
prints "times dropped, which format 1 has no place for: 2"
records f1_log >wanted
records to_f2 >out
same out wanted "... every record is the same in format 2"
records back_to_f1 >out
same out wanted "... and in format 1 again"
"$nori" dump f1_log >wanted
"$nori" dump back_to_f1 >out
cut -f 2- wanted >wanted_records
cut -f 2- out >out_records
same out_records wanted_records "... as people see it, too"
try 0 "convert format 1 to format 1" convert --format 1 --segment-size 16MiB f1_log f1_again
try 0 "... and once more" convert --format 1 --segment-size 16MiB f1_again f1_once_more
try 0 "the copy is sound" verify f1_again
cmp -n "$("$nori" stat --json f1_again | sed -n 's/.*"kind": "summary".*"bytes": \([0-9]*\),.*/\1/p')" \
    f1_again/000000.wal f1_once_more/000000.wal >err 2>&1
report $? "... and its bytes are those of its copy"
[ "$(first_bytes f1_log 4000)" = "$(first_bytes f1_again 4000)" ]
report $? "... and those of the first log"

try 0 "append batches" append --batch 5 batches_log <many
try 0 "convert them" convert --json batches_log batches_copy
prints '{"kind": "summary", "format": 2, "records": 3000, "bytes": '
prints '"batches": 600, "times_dropped": 0, "times_set": 0}'
"$nori" dump batches_log | cut -f 2- >wanted
"$nori" dump batches_copy | cut -f 2- >out
same out wanted "... batches are kept"
try 0 "convert batches to format 1" convert --format 1 batches_log batches_f1
prints "batches that are atomic no more in format 1: 600"
try 0 "the log of an empty folder's name" convert lines_log "$(mkdir empty_folder && echo empty_folder)"
try 2 "convert into a folder with something in it" convert many_log f1_log
tells "f1_log is not empty"
try 2 "convert a log into itself" convert many_log many_log
listing() {
    find many_log | sort
}
mkdir -p many_log/quarantine/deep && ln -s many_log/quarantine link_into_log && ln -s . link_to_here
listing >wanted
for inside in many_log/copy many_log/quarantine/copy many_log/quarantine/deep many_log/../many_log/quarantine/copy \
    link_into_log/copy link_into_log/deep/ link_to_here/many_log/quarantine/deep/copy "$work/many_log/quarantine/copy"; do
    try 2 "convert a log into $inside, which lies in it" convert link_to_here/many_log "$inside"
    tells "which is only read"
done
ln -s many_log/quarantine/deep leading.incomplete
try 2 "convert where a link into the log bears the name" convert many_log leading
tells "leading.incomplete is in the way"
listing >out
same out wanted "... nothing is made in it"
rm -r many_log/quarantine link_into_log link_to_here leading.incomplete
try 0 "convert to beside a log whose name begins alike" convert lines_log many_log.copy
mkdir here
cd here || exit 1
for name in . ../here "$work/here"; do
    "$nori" convert ../lines_log "$name" >../out 2>../err
    [ $? -eq 2 ] && grep -q "here is the current folder, which would be replaced" ../err &&
        [ -z "$(ls -A "$PWD"; ls -d "$PWD"?* 2>/dev/null)" ]
    report $? "convert into the current folder, called $name: refused, it stays"
done
"$nori" convert ../lines_log copy >../out 2>../err
report $? "convert into a folder in the current one"
cd ..
try 3 "convert into a folder that is not there" convert many_log nowhere/copy
try 3 "convert to where a file is" convert many_log mixed
mkdir linked_folder && ln -s linked_folder link_to_folder
try 0 "convert to where a link leads" convert lines_log link_to_folder
[ -L link_to_folder ] && [ -f linked_folder/000000.wal ]
report $? "... follows it"
ln -s nowhere dangling_link
try 2 "convert to where a link leads nowhere" convert many_log dangling_link
tells "dangling_link is a link that leads nowhere"
try 2 "convert without a target" convert many_log
tells "two folders"
try 2 "convert to a format that is not" convert --format 3 many_log new_log
try 1 "convert no log" convert nowhere new_log
[ ! -e new_log ] && [ ! -e nowhere ]
report $? "... makes none"
try 2 "a record larger than the limit" convert --max-record-size 100 f1_log cut_log
tells "cut_log.incomplete is not complete: it holds the first 4 records"
tells "hint: raise the limit with --max-record-size"
[ ! -e cut_log ]
report $? "... and there is no log of the name that was given"
try 2 "convert again with that in the way" convert f1_log cut_log
tells "cut_log.incomplete is in the way"
rm -r cut_log.incomplete
try 0 "convert again when it is removed" convert f1_log cut_log
try 1 "convert a damaged log" convert damaged_log damaged_copy
tells "nori verify damaged_log"
tells "damaged_copy.incomplete is not complete: it holds the first 1499 records"
[ ! -e damaged_copy ]
report $? "... and there is no log of the name that was given"

# ---- other errors ----

for command in dump verify stat top repair explain; do
    try 1 "$command of no log" "$command" nowhere
    tells "nori $command: "
    tells "a new log is made by: nori append nowhere"
    [ ! -e nowhere ]
    report $? "... makes none"
done
try 1 "append in a folder that is not there" append no/where <lines
tells "nori append: "
echo text >file
"$nori" append file <lines >out 2>err
[ $? -ge 2 ]
report $? "append to a file"
tells "Not a directory"
tells "hint: "
if [ -w /dev/full ]; then
    "$nori" dump many_log >/dev/full 2>err
    [ $? -eq 3 ]
    report $? "dump to a full device"
    tells "writing standard output: No space left on device"
    tells "hint: "
    "$nori" dump --help >/dev/full 2>err
    [ $? -eq 3 ]
    report $? "help to a full device"
    "$nori" append --ack full_log <lines >/dev/full 2>err
    [ $? -eq 3 ]
    report $? "acknowledgements to a full device"
else
    skip "a full device" "there is no /dev/full"
fi
"$nori" append closed_log <&- >out 2>err
[ $? -eq 3 ]
report $? "append without standard input"
tells "reading standard input: "
try 3 "append from a folder" append closed_log <.
tells "reading standard input: Is a directory"
if [ "$(id -u)" -ne 0 ]; then
    cp -r many_log secret_log
    chmod 000 secret_log
    try 3 "dump without permission" dump secret_log
    chmod 700 secret_log
else
    skip "dump without permission" "root may read everything"
fi

mkfifo pipe
"$nori" append --ack locked_log <pipe >acks 2>err_of_writer &
writer=$!
exec 3>pipe
echo first >&3
comes [ -s acks ]
[ "$(wc -l <acks)" -eq 1 ]
report $? "a record is acknowledged while the input is open"
try 1 "a second writer is refused" append locked_log <lines
tells "fuser -v locked_log"
try 1 "repair beside a writer is refused" repair locked_log
tells "a writer has the log open"
try 0 "repair --dry-run beside a writer" repair --dry-run locked_log
try 0 "explain beside a writer" explain locked_log
try 0 "dump beside a writer" dump locked_log
prints '"first"'
try 0 "convert beside a writer" convert locked_log unlocked_log
prints "copied: 1 record,"
try 0 "verify beside a writer" verify locked_log
try 0 "stat beside a writer" stat locked_log
prints "has it open"
echo second >&3
exec 3>&-
wait "$writer"
report $? "the writer ends with its input"
writer=
try 0 "both records are there" dump locked_log
counts 2

echo "1..$((passed + failed + skipped))"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
