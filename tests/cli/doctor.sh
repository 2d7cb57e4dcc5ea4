#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# doctor.sh NORI: `nori doctor` measures wherever a log may lie, says what it must, keeps what follows, and leaves
# nothing else behind, whatever ends it. Speaks TAP.
set -u
nori=${1:?usage: doctor.sh NORI}
case $nori in
/*) ;;
*) nori=$PWD/$nori ;;
esac
# shellcheck source=tests/support/comes.sh
. "$(dirname "$0")/../support/comes.sh"
work=$(mktemp -d)
mounted=
clean_up() {
    [ -z "$mounted" ] || umount "$work/disk" 2>"$work/err"
    rm -rf "$work"
}
trap clean_up EXIT
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
            head -n 40 "$stream" | cut -c 1-300 | sed "s/^/# $stream: /"
        fi
    done
    failures=$((failures + 1))
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# try STATUSES NAME ARGUMENT...: run nori doctor; its exit status is one of STATUSES ("0 1": a disk may deserve a
# warning).
try() {
    wanted=$1
    name=$2
    shift 2
    "$nori" doctor "$@" >out 2>err
    got=$?
    case " $wanted " in *" $got "*) ;; *) name="$name (exit status $got, not $wanted)" ;; esac
    case " $wanted " in *" $got "*) true ;; *) false ;; esac
    report $? "$name"
}

# All lines of a paragraph are one here.
prints() {
    tr -s ' \n' '  ' <out | grep -qF -e "$1"
    report $? "... and prints: $1"
}

tells() {
    grep -qF -e "$1" err
    report $? "... and tells: $1"
}

# holds FOLDER NAME...: these names are in it, and no others.
holds() {
    folder=$1
    shift
    [ "$(cd "$folder" && find . -mindepth 1 -maxdepth 1 | sort | tr '\n' ' ')" = "$(for name in "$@"; do echo "./$name"; done | sort | tr '\n' ' ')" ]
    report $? "... and leaves in $(basename "$folder"): ${*:-nothing}"
}

# ---- an empty folder ----

mkdir empty
try "0 1" "an empty folder is measured" --seconds 1 empty
prints "into reserved space, fdatasync"
prints "PROPOSED CONFIGURATION preallocate"
prints "Kept in empty/control"
[ -z "$(awk 'length > 80' out)" ]
report $? "... in 80 columns"
[ ! -s err ]
report $? "... and says nothing on standard error"
holds empty control
try "0 1" "with --no-store" --no-store --seconds 0.1 empty
prints "Not kept with the log: as you asked."
printf 'one\ntwo\n' | "$nori" append --policy always empty >out 2>err &&
    [ "$("$nori" dump --json empty | wc -l)" -eq 2 ] && "$nori" verify empty >out 2>err
report $? "the first log in that folder is as any"
"$nori" explain empty >out 2>err && grep -q 'preallocate = auto means' out
report $? "... and knows what was measured"

# ---- JSON ----

try "0 1" "with --json" --json --seconds 1 empty
python3 - "$got" <<'PYTHON' >err 2>&1
import json, sys

lines = [json.loads(line) for line in open("out")]
kinds = [line["kind"] for line in lines]
assert kinds[0] == "machine" and kinds[-1] == "summary", kinds
machine, summary = lines[0], lines[-1]
assert machine["bytes_free"] > 0 and machine["folder"] == "empty", machine
measured = {line["what"]: line for line in lines if line["kind"] == "measurement"}
assert {"growing", "reserved", "zeroed", "sequential", "reserved_loaded", "zeroed_loaded"} <= set(measured), measured
assert measured.pop("sequential")["bytes_per_s"] > 0
for sample in measured.values():
    assert sample["count"] > 0 and 0 < sample["p50_ns"] <= sample["p99_ns"] <= sample["max_ns"], sample
findings = [line for line in lines if line["kind"] == "finding"]
assert {line["grade"] for line in findings} <= {"good", "note", "warning"}
assert summary["warnings"] == sum(line["grade"] == "warning" for line in findings)
assert int(sys.argv[1]) == (summary["warnings"] > 0)
proposals = {line["field"]: line["value"] for line in lines if line["kind"] == "proposal"}
assert set(proposals) == {"preallocate", "buffer_size", "max_segment_size", "batch_window_us"}, proposals
assert proposals["preallocate"] in ("zero", "reserve")
assert proposals["max_segment_size"] >= 1 << 20 and proposals["buffer_size"] >= 4 << 20
assert summary["is_kept"] is True, summary
PYTHON
report $? "... an object a line, and they agree with each other"

# ---- a log in use ----

mkfifo feed
"$nori" append --ack live <feed >acks 2>append.err &
writer=$!
exec 9>feed
echo one >&9
comes [ -s acks ]
try "0 1" "a log that is in use is measured" --seconds 0.5 live
prints "Kept in live/control"
echo two >&9
exec 9>&-
wait $writer
report $? "... and its writer goes on"
[ "$("$nori" dump --json live | wc -l)" -eq 2 ] && "$nori" verify live >out 2>err
report $? "... and all is there"
[ ! -e live/nori-doctor.tmp ]
report $? "... and nothing else"

# ---- folders that are not there ----

mkdir above
try "0 1" "a folder that is not there yet" --seconds 0.1 above/log
prints "which is not there yet"
prints "Not kept with the log: the folder is not there yet"
holds above
try 1 "nor is the one above it" above/no/log
tells "above/no/log is not there"
: >file
try 2 "a file" file
tells "Not a directory"
try 2 "too long a time" --seconds 601 empty
tells "from 0.1 to 600"
try 2 "no time" --seconds soon empty

# ---- ended early ----

mkdir early
# interrupt SIGNAL: end a doctor that is at work.
interrupt() {
    python3 - "$nori" "$1" <<'PYTHON' >interrupted 2>&1
import os, signal, subprocess, sys, time

number = getattr(signal, "SIG" + sys.argv[2])
with open("out", "w") as out, open("err", "w") as err:
    # Also where the tests themselves were begun by nohup.
    doctor = subprocess.Popen([sys.argv[1], "doctor", "--seconds", "60", "early"], stdout=out, stderr=err,
                              preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    for _ in range(1200):
        if os.path.exists("early/nori-doctor.tmp/load"):
            break
        time.sleep(0.1)
    doctor.send_signal(number)
    assert doctor.wait(120) == 128 + number, doctor.returncode
PYTHON
    report $? "SIG$1 ends it"
    tells "its files are removed, and nothing is kept"
    holds early
}
interrupt INT
interrupt TERM
interrupt HUP
"$nori" doctor --seconds 60 early >out 2>err &
first=$!
comes [ -e early/nori-doctor.tmp/load ]
try 1 "a second one at the same time is refused" --seconds 0.1 early
tells "another nori doctor is at work"
kill -KILL $first
wait $first 2>err
holds early nori-doctor.tmp
: >early/nori-doctor.tmp/not-ours
try "0 1" "after a kill" --no-store --seconds 0.1 early
holds early nori-doctor.tmp
[ "$(ls early/nori-doctor.tmp)" = not-ours ]
report $? "... but for a file that is not its own"
rm early/nori-doctor.tmp/not-ours
try "0 1" "and once more" --no-store --seconds 0.1 early
holds early

# ---- limits ----

mkdir limited
(
    ulimit -f 2
    "$nori" doctor --seconds 0.1 limited 2>err
    echo $? >status
) | cat >out
[ "$(cat status)" -eq 1 ]
report $? "a limit on the length of files is told, and no signal ends it"
prints "warning There is too little space to measure in: a limit on the length of files (ulimit -f)"
prints "the log needs 4 MiB"
[ ! -e limited/nori-doctor.tmp ]
report $? "... and leaves nothing behind"

# ---- other file systems ----

if [ "$(stat -f -c %T /dev/shm 2>err)" = tmpfs ] && [ -w /dev/shm ]; then
    shared=$(mktemp -d /dev/shm/nori-doctor-XXXXXX)
    try 1 "tmpfs deserves a warning" --seconds 0.2 "$shared"
    prints "warning This is memory (tmpfs): nothing that is kept here survives a power cut"
    prints "preallocate reserve"
    rm -rf "$shared"
else
    skip "tmpfs deserves a warning" "there is no tmpfs at /dev/shm"
fi

# on_disk MEBIBYTES: a file system of its own at ./disk.
on_disk() {
    mkdir -p disk
    rm -f image
    truncate -s "$1M" image && mkfs.ext4 -q -F image >out 2>err && mount -o loop image disk >out 2>err && mounted=1
}

if [ "$(id -u)" -ne 0 ]; then
    skip "a folder of another user, full and small disks" "only root can do that"
elif ! command -v mkfs.ext4 >out 2>err || ! on_disk 8; then
    skip "full and small disks" "there are no loop devices, or no mkfs.ext4"
else
    dd if=/dev/zero of=disk/filling bs=64k >out 2>err
    mkdir disk/wal
    before=$(df --output=avail disk | tail -n 1)
    try 1 "a full disk" --seconds 0.2 disk/wal
    prints "warning There is too little space to measure in"
    prints "preallocate reserve too little could be measured"
    holds disk/wal
    [ "$(df --output=avail disk | tail -n 1)" -eq "$before" ]
    report $? "... and no space is taken"
    umount disk
    mounted=
    on_disk 96
    try "0 1" "a small disk" --seconds 0.5 disk
    prints "is a loop device on the file"
    prints "max_segment_size 4 MiB"
    prints "Not kept with the log: no log was opened in the folder yet, and it is not empty"
    holds disk lost+found
    mount -o remount,ro disk
    try 3 "a disk that may only be read" --seconds 0.2 disk
    tells "Read-only file system"
    umount disk
    mounted=
fi

if [ "$(id -u)" -eq 0 ] && chown nobody early 2>err; then
    try "0 1" "a folder of another user" --seconds 0.1 early
    prints "Not kept with the log: the folder belongs to another user"
    holds early
fi

echo "1..$number"
[ $failures -eq 0 ]
