#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# prometheus.sh PROGRAM ROOT: the real Prometheus scrapes examples/02_prometheus.c and has the number of records that
# were appended; promtool has nothing against the page, and the alerts in contrib/ do what they say. Speaks TAP.
set -uo pipefail
program=${1:?usage: prometheus.sh PROGRAM ROOT}
root=${2:?usage: prometheus.sh PROGRAM ROOT}
for tool in prometheus promtool python3; do
    if ! command -v $tool >/dev/null; then
        echo "1..0 # SKIP there is no $tool here (tools/install-packages prometheus)"
        exit 77
    fi
done
work=$(mktemp -d)
number=0
failures=0
children=()

# shellcheck disable=SC2317 # called by the trap
finish() {
    exec 3>&-
    [ ${#children[@]} -eq 0 ] || kill "${children[@]}" 2>/dev/null
    wait
    rm -rf "$work"
}
trap finish EXIT

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

# fetch URL
fetch() {
    python3 -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=60).read().decode())' \
        "$1"
}

# query EXPRESSION: its value in Prometheus; nothing if there is none.
query() {
    python3 - "http://127.0.0.1:$port/api/v1/query" "$1" <<'PYTHON' 2>>"$work/log"
import json, sys, urllib.parse, urllib.request
url = sys.argv[1] + "?" + urllib.parse.urlencode({"query": sys.argv[2]})
result = json.load(urllib.request.urlopen(url, timeout=60))["data"]["result"]
print(" ".join(series["value"][1] for series in result))
PYTHON
}

# becomes EXPRESSION VALUE: within two minutes, or it never will.
becomes() {
    local value
    for _ in $(seq 600); do
        value=$(query "$1")
        [ "$value" != "$2" ] || return 0
        sleep 0.2
    done
    echo "$1 is '$value', not '$2'" >>"$work/log"
    return 1
}

# ---- the alerts ----

promtool check rules "$root/contrib/prometheus/nori-wal.rules.yml" >"$work/log" 2>&1
report $? "promtool takes the rules"
promtool test rules "$root/contrib/prometheus/nori-wal.rules.test.yml" >"$work/log" 2>&1
report $? "each alert fires when it should, and not before"

# ---- a program that runs ----

mkfifo "$work/input"
"$program" "$work/wal" 0 <"$work/input" >"$work/output" 2>"$work/log" &
children+=($!)
exec 3>"$work/input"
seq 1000 >&3
url=
for _ in $(seq 1200); do
    url=$(head -n 1 "$work/output")
    [ -z "$url" ] || break
    sleep 0.1
done
[ -n "$url" ]
report $? "the program says where its metrics are"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
target=${url#http://}
cat >"$work/prometheus.yml" <<YAML
global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}
rule_files: ["$root/contrib/prometheus/nori-wal.rules.yml"]
scrape_configs:
  - job_name: test
    static_configs: [{targets: ["${target%/metrics}"]}]
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --web.listen-address="127.0.0.1:$port" >"$work/prometheus.log" 2>&1 3>&- & # or it holds the input open
children+=($!)

becomes 'up{job="test"}' 1
status=$?
[ $status -eq 0 ] || cat "$work/prometheus.log" >>"$work/log"
report $status "Prometheus scrapes it"
becomes 'wal_records_total{log="lines",op="put"}' 1000
report $? "it has the number of records that were appended"
seq 234 >&3
becomes 'wal_records_total{log="lines",op="put"}' 1234
report $? "it follows"
becomes 'wal_failed{log="lines"}' 0
report $? "it has gauges"
becomes 'wal_fsync_seconds_bucket{log="lines",le="+Inf"} == on () wal_fsync_seconds_count{log="lines"} > bool 0' 1
report $? "it has histograms"
becomes 'count(wal_stage_seconds_count{log="lines"})' 5
report $? "it has the stages of an append"
becomes 'count(wal_stalls_total{log="lines"})' 6
report $? "it has stalls by cause"
# the disk of a busy machine may well stall, and sync slowly
becomes 'count(ALERTS{alertname!~"NoriWalStalled|NoriWalSlowSync"})' ''
report $? "no alert fires about a log that is well"

fetch "$url" >"$work/page"
promtool check metrics <"$work/page" >"$work/log" 2>&1
status=$?
# wal_fsync_ms has the name and the unit of the original.
grep -v '^wal_fsync_ms ' "$work/log" >"$work/breaches"
[ ! -s "$work/breaches" ] && { [ $status -eq 0 ] || [ -s "$work/log" ]; }
report $? "promtool has nothing against the page but the unit of wal_fsync_ms"

exec 3>&-
wait "${children[0]}" 2>"$work/log"
report $? "the program ends well when its input does"
echo "1..$number"
[ $failures -eq 0 ]
