#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# bench.sh NORI [--peers]: `nori bench` measures every kind of case, says what it must, and leaves nothing behind. With
# --peers: other stores really store what they are given. Speaks TAP.
set -u
nori=${1:?usage: bench.sh NORI [--peers]}
case $nori in
/*) ;;
*) nori=$PWD/$nori ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/support/comes.sh
. "$(dirname "$0")/../support/comes.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
cd "$work" || exit 1
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
    for stream in out err; do
        if [ -s "$stream" ]; then
            head -n 5 "$stream" | cut -c 1-300 | sed "s/^/# $stream: /"
        fi
    done
    failures=$((failures + 1))
}

# try STATUS NAME ARGUMENT...: run nori bench and compare its exit status.
try() {
    wanted=$1
    name=$2
    shift 2
    "$nori" bench "$@" >out 2>err
    got=$?
    [ "$got" -eq "$wanted" ] || name="$name (exit status $got, not $wanted)"
    [ "$got" -eq "$wanted" ]
    report $? "$name"
}

is_gone() {
    [ ! -e data ]
    report $? "... and removes its folder"
}

# Prints what is wrong with the JSON lines in out; $1: how many results there must be at least.
check_json() {
    python3 - "$1" <<'PYTHON' >err 2>&1
import json, sys

lines = [json.loads(line) for line in open("out")]
kinds = [line["kind"] for line in lines]
assert kinds[0] == "machine" and kinds[-1] == "summary", kinds
results = [line for line in lines if line["kind"] == "result"]
assert len(results) >= int(sys.argv[1]), len(results)
for result in results:
    spreads = [value for value in result.values() if isinstance(value, dict)]
    assert spreads, result
    assert all(spread["min"] <= spread["median"] <= spread["max"] for spread in spreads), result
names = [(line["case"], line["subject"]) for line in results]
for timed in [line for line in lines if line["kind"] == "latencies"]:
    assert (timed["case"], timed["subject"]) in names, timed
    assert timed["count"] == sum(count for least, most, count in timed["buckets_ns"]) > 0, timed
    ends = [end for least, most, count in timed["buckets_ns"] for end in (least, most)]
    assert ends == sorted(ends), ends
    of = results[names.index((timed["case"], timed["subject"]))]
    # Medians have six digits.
    assert ends[0] * 0.99999 <= of["p50_ns"]["median"] <= of["max_ns"]["max"] <= ends[-1] * 1.00001, of
assert all(("p50_ns" in of) == any(line["kind"] == "latencies" and (line["case"], line["subject"]) == name
                                   for line in lines) for of, name in zip(results, names))
demands = [line for line in lines if line["kind"] == "requirement"]
for demand in demands:
    at_least = demand["value"] >= demand["limit"]
    assert demand["is_met"] == (at_least if demand["is_least"] else demand["value"] <= demand["limit"]), demand
assert lines[-1]["requirements"] == len(demands)
assert lines[-1]["missed"] == sum(not demand["is_met"] for demand in demands)
PYTHON
}

# check_page NAME: the page is sound and says what the JSON lines in `out` say.
check_page() {
    "$here/check_report.py" page.html out 2>err
    report $? "$1"
}

quick="--quick --rounds 1 --seconds 0.02"

if [ "${2:-}" = --peers ]; then
    # The program counts the records of each store after each run and ends if one is missing.
    # shellcheck disable=SC2086 # words on purpose
    try 0 "other stores" --peers $quick --json --report page.html --only peers data
    is_gone
    check_json 55
    report $? "... each in every case"
    check_page "... and on the page"
    for peer in nori-wal RocksDB LevelDB SQLite LMDB; do
        [ "$(grep -c "^{\"kind\": \"result\".*\"subject\": \"$peer\"" out)" -eq 11 ]
        report $? "... $peer among them"
    done
    echo "1..$number"
    exit $((failures > 0))
fi

# ---- every kind of case ----

for only in "append 100 B, os" "append 1024 B, always, 4" paced read "point 1024 B, 100 " recover "open 100" idle writing put get; do
    # shellcheck disable=SC2086 # words on purpose
    try 0 "cases: $only" $quick --json --report page.html --only "$only" data
    check_json 1
    report $? "... and prints JSON that holds together"
    check_page "... and makes a page that is well-formed, loads nothing, and has the same numbers"
    is_gone
done
# shellcheck disable=SC2086 # words on purpose
try 0 "a table" $quick --rounds 2 --only "append 100 B, batch" data
[ -z "$(awk 'NR > 7 && length > 100' out)" ]
report $? "... keeps to 100 columns"
[ "$(grep -cE '^  (met|NOT met) ' out)" -ge 7 ]
report $? "... and says of each requirement whether it is met"
grep -qE '^7 requirements: [0-7] met, [0-7] NOT met' out
report $? "... and sums up"

# ---- drawings ----

# A paced run makes 200,000 calls and an eighth of that twice without an append; the name takes 23 columns.
for locale in C.UTF-8 C; do
    LC_ALL=$locale
    export LC_ALL
    try 0 "drawings in the locale $locale" --quick --histograms --only paced data
    awk '/^  latency, all runs/ { inside = 1; next } !NF { inside = 0 } inside' out >drawn
    [ "$(awk '{ print $NF }' drawn | tr '\n' ' ')" = "200000 200000 50000 50000 " ]
    report $? "... say how many calls each line is of"
    [ -z "$(LC_ALL=C tr -d '\200-\277' <drawn | awk 'length > 100')" ]
    report $? "... keep to 100 columns"
    ascii=$(LC_ALL=C grep -c '^[ -~]*$' drawn)
    if [ $locale = C ]; then [ "$ascii" -eq 4 ]; else [ "$ascii" -eq 0 ]; fi
    report $? "... are made of what the locale can show"
done
unset LC_ALL

# ---- a page ----

hostile="<img src=x onerror=alert(1)>&amp;\"'$(printf '\033[31m\377')"
try 0 "a folder with a hostile name" $quick --json --report page.html --only "always, 1 " "$hostile"
check_page "... is escaped"
grep -q 'img src' page.html && ! grep -q '<img' page.html
report $? "... and named"
try 0 "a page beside tables" --quick --rounds 1 --report page.html --only "always, 1 " data
grep -qxF "The report is $work/page.html" out
report $? "... is named in the end"
mkdir folder
ln -s folder/linked.html link.html
: >folder/linked.html
try 0 "a page behind a link" $quick --report link.html --only "always, 1 " data
[ -L link.html ] && grep -q '</html>' folder/linked.html
report $? "... is written where the link leads"
"$nori" bench --quick --report page.html --only "append 100 B, always" data 2>err | head -n 1 >out
grep -q '</html>' page.html && [ ! -s err ]
report $? "a page is made also if nobody reads the tables to their end"

# ---- what it refuses, and what it leaves ----

mkdir used
echo mine >used/file
try 2 "a folder that is not empty" --quick used
grep -q "used is not empty" err
report $? "... is refused in words"
[ "$(cat used/file)" = mine ]
report $? "... and not touched"
try 3 "a file" --quick used/file
[ "$(cat used/file)" = mine ]
report $? "... is not touched"
mkdir empty
try 0 "an empty folder" --quick --rounds 1 --only "append 100 B, always, 1 " empty
[ -d empty ] && [ -z "$(ls -A empty)" ]
report $? "... is left as it was"
try 2 "no such case" --only frobnicate --report none.html data
[ ! -e none.html ] && [ ! -s out ] && grep -q "no case has 'frobnicate' in its name" err
report $? "... is told, and makes no page"
is_gone
try 2 "other stores, in a tool that has none" --peers data
is_gone
try 2 "no rounds" --rounds 0 data
try 2 "seconds that are none" --seconds x data

for place in none/page.html folder data /dev/null used/file/page.html; do
    try 3 "a page at $place" --quick --report $place data
    grep -q "^nori bench: the report $place: " err && [ ! -s out ]
    report $? "... is refused in words, before anything is measured"
    is_gone
done
for place in data/page.html empty/page.html; do
    try 2 "a page at $place, in the folder of the data" --quick --report $place "${place%/*}"
    grep -q "lies in the folder of the data" err && [ ! -s out ]
    report $? "... is refused in words, before anything is measured"
    is_gone
done
# Longer and longer, until the folder can be removed before there is a page in it.
for seconds in 0.02 0.2 2 20; do
    mkdir brief
    "$nori" bench --quick --rounds 1 --seconds $seconds --report brief/page.html --only "append 100 B, always, 1 " \
        data >out 2>err &
    program=$!
    while [ ! -d data/log ] && kill -0 $program 2>/dev/null; do sleep 0.1; done
    rmdir brief 2>/dev/null && break
    wait $program
    rm -r brief
done
wait $program
[ $? -eq 3 ] && grep -q "^nori bench: the report $work/brief/page.html: No such file" err
report $? "a page whose folder went away meanwhile is complained about"
is_gone

for name in INT TERM; do
    echo old >page.html
    "$nori" bench --quick --only append --report page.html data >out 2>err &
    program=$!
    comes [ -d data/log ]
    report $? "a run has begun"
    kill -$name $program
    wait $program
    [ $? -gt 128 ]
    report $? "SIG$name ends it"
    [ ! -s err ]
    report $? "... without a complaint"
    is_gone
    [ "$(cat page.html)" = old ] && [ -z "$(ls ./*.tmp 2>/dev/null)" ]
    report $? "... an older page stays, and no half of a new one"
done

echo "1..$number"
exit $((failures > 0))
