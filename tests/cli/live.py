#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""live.py NORI: nori stat and nori top beside a writer in another process. Speaks TAP.

What a person would lose: numbers that are wrong, a screen that does not move, a log that is said to
be open when nobody has it, and a terminal that does not echo any more.
"""

import fcntl
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

NORI = os.path.abspath(sys.argv[1])
PATIENT = 120  # seconds: what takes so long will never come
PAGE = 4096  # of `control`; its first 64 bytes say what it is, and so does a word at LAYOUT
LAYOUT = 1024
FAILED = LAYOUT + 8 * 9  # words of src/wal/stats.h
STALLED = LAYOUT + 8 * 23  # since when, for want of room in the ring

results = {"passed": 0, "failed": 0}


def report(holds, name, what=""):
    number = results["passed"] + results["failed"] + 1
    results["passed" if holds else "failed"] += 1
    print(f"{'ok' if holds else 'not ok'} {number} - {name}")
    if not holds:
        for line in str(what).splitlines()[-40:]:
            print(f"# {line}")
    sys.stdout.flush()


def environment(**more):
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "LC_ALL", "TERM")}
    return {**kept, "LC_ALL": "C.UTF-8", "TERM": "xterm", **more}


def nori(*arguments, **more):
    return subprocess.run([NORI, *arguments], capture_output=True, text=True, timeout=PATIENT,
                          env=environment(**more), check=False)


class Writer:
    """nori append, fed by hand."""

    def __init__(self, log, *options):
        self.count = 0
        self.process = subprocess.Popen([NORI, "append", "--ack", *options, log], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.append(1)

    def append(self, count):
        """Append so many records and wait until each is durable."""
        for _ in range(count):
            self.process.stdin.write(f"record {self.count}\n")
            self.count += 1
        self.process.stdin.flush()
        for _ in range(count):
            self.process.stdout.readline()

    def close(self):
        self.process.stdin.close()
        self.process.wait(PATIENT)
        self.process.stdout.close()

    def kill(self):
        self.process.kill()
        self.process.wait(PATIENT)


class Top:
    """nori top on a terminal of its own."""

    def __init__(self, log, *options, columns=80, rows=24, under=(), **more):
        self.output = b""
        self.shell, self.terminal = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self.terminal)
        self.process = subprocess.Popen([*under, NORI, "top", "--interval", "0.1", *options, log],
                                        stdin=self.terminal, stdout=self.terminal,
                                        stderr=self.terminal, env=environment(**more),
                                        start_new_session=True, preexec_fn=self.take_terminal)

    def take_terminal(self):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def resize(self, columns, rows):
        fcntl.ioctl(self.shell, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """All there is now, and what comes in that time."""
        end = time.monotonic() + seconds
        while True:
            if select.select([self.shell], [], [], 0.02)[0]:
                self.output += os.read(self.shell, 65536)
            elif time.monotonic() >= end:
                break

    def read_until(self, holds):
        """Read until it holds, or never will. Does it?"""
        end = time.monotonic() + PATIENT
        while not holds() and time.monotonic() < end:
            self.read(0.05)
        return holds()

    def frame(self):
        """The last whole frame, as lines of text; colours are taken out."""
        frames = re.findall(rb"\x1b\[H(?!\x1b\[2J)(.*?)\x1b\[J", self.output, re.S)
        text = frames[-1].decode() if frames else ""
        return re.sub(r"\x1b\[[0-9;]*[mK]", "", text).replace("\r", "").split("\n")

    def shows(self, text, what=None):
        """Wait until a frame has this text."""
        self.read(0.05)
        shown = self.read_until(lambda: any(text in line for line in self.frame()))
        if what:
            report(shown, what, "\n".join(self.frame()))
        return shown

    def press(self, key):
        os.write(self.shell, key.encode())

    def is_restored(self):
        """The screen is the usual one with a cursor, and keys are echoed as before."""
        return (self.read_until(lambda: self.output.rstrip().endswith(b"\x1b[?25h\x1b[?1049l"))
                and termios.tcgetattr(self.terminal) == self.before)

    def ends(self, status, what):
        self.read_until(lambda: self.process.poll() is not None)
        got = self.process.poll()
        if got is None:
            self.process.kill()
        report(got == status and self.is_restored(), what,
               f"status {got}, not {status}; the end was {self.output[-60:]!r}")
        os.close(self.shell)
        os.close(self.terminal)


def test_stat(log):
    writer = Writer(log, "--policy", "always")
    writer.append(9)
    done = nori("stat", log)
    report(f"has it open: process {writer.process.pid}, since 20" in done.stdout,
           "stat tells who has the log open", done.stdout)
    report("policy     always" in done.stdout and
           re.search(r"^appends +10 ", done.stdout, re.M) is not None and
           re.search(r"^sync +1\d ", done.stdout, re.M) is not None,
           "... and what it did", done.stdout)
    report(done.returncode == 0 and done.stderr == "", "... and is content", done.stderr)

    members = {line["kind"]: line for line in map(json.loads,
               nori("stat", "--json", log).stdout.splitlines())}
    report(list(members) == ["segment", "stats", "summary"], "stat --json prints three kinds",
           list(members))
    stats = members["stats"]
    expected = ("kind is_writer_alive is_known was_closed has_failed format policy batch_window_us "
                "process_id opened_ms sampled_ms segments bytes bytes_ahead spare_bytes "
                "segment_size_max oldest durable written appended lag_bytes ring_bytes ring_used "
                "elapsed_ns appends batches puts deletes appended_bytes room_waits space_waits "
                "syncs rolls drops errors_io errors_nospace errors_refused appends_per_s "
                "records_per_s bytes_per_s syncs_per_s encode wait write sync wake stalls").split()
    report(list(stats) == expected, "the members are those that are promised", list(stats))
    latency = ["count", "sum_ns", "p50_ns", "p99_ns", "p999_ns", "max_ns"]
    report(all(list(stats[stage]) == latency
               for stage in ("encode", "wait", "write", "sync", "wake")),
           "... and those of latencies", stats)
    report(list(stats["stalls"]) == ["ring", "write", "sync", "segment", "space", "lock"],
           "... and those of stalls", stats["stalls"])
    report(stats["is_writer_alive"] is True and stats["process_id"] == writer.process.pid
           and stats["puts"] == 10 and stats["policy"] == "always" and stats["lag_bytes"] == 0
           and stats["appended"] == stats["durable"]
           and stats["appended"]["offset"] == members["summary"]["end_offset"],
           "... and they tell the truth", stats)

    before = time.monotonic()
    done = nori("stat", "--interval", "0.3", "--json", log)
    stats = json.loads(done.stdout.splitlines()[-2])
    report(time.monotonic() - before >= 0.3 and stats["puts"] == 0
           and 2e8 < stats["elapsed_ns"] < PATIENT * 1e9 and stats["puts"] == 0,
           "stat --interval tells of that time only", stats)
    report(nori("stat", "--interval", "0", log).returncode == 2, "an interval of 0 is refused")

    writer.close()
    stats = json.loads(nori("stat", "--json", log).stdout.splitlines()[-2])
    report(stats["is_writer_alive"] is False and stats["was_closed"] is True
           and stats["puts"] == 10 and stats["appends_per_s"] is None,
           "of a closed log its last numbers are told", stats)
    report("process" not in nori("stat", log).stdout, "... but nobody is said to have it open")


def test_once(log):
    done = nori("top", "--once", log)
    report(done.returncode == 0 and "no writer" in done.stdout and "\x1b" not in done.stdout,
           "top --once prints one frame as text", done.stdout + done.stderr)
    report("the last writer closed the log" in done.stdout, "... of a closed log", done.stdout)
    report(nori("top", log).stdout == done.stdout, "... as it does without a terminal")
    report(all(len(line) <= 100 and line == line.rstrip() for line in done.stdout.splitlines()),
           "... without blanks at the end of lines", done.stdout)
    done = nori("top", "--once", log, LC_ALL="C")
    report(done.stdout.isascii() and "[####" in done.stdout, "... in ASCII where that is the locale",
           done.stdout)
    done = nori("top", log + "/nowhere")
    report(done.returncode == 1 and "nori top: " in done.stderr and done.stdout == "",
           "top of no log is refused", done.stderr)
    report(nori("top", "--interval", "x", log).returncode == 2, "an interval must be a number")


def test_screen(log):
    writer = Writer(log, "--policy", "always")
    top = Top(log)
    top.shows(f"process {writer.process.pid}, always", "top shows who has the log open")
    during = termios.tcgetattr(top.terminal)
    report(not during[3] & (termios.ICANON | termios.ECHO), "... takes keys as they come")
    frames = top.output.count(b"\x1b[J")
    report(top.read_until(lambda: top.output.count(b"\x1b[J") >= frames + 3),
           "... draws again and again")
    report(len(top.frame()) == 24 and max(map(len, top.frame())) <= 80, "... within the screen",
           "\n".join(top.frame()))
    report(b"\x1b[0;32m" in top.output, "... in colours")
    writer.append(20)
    end = json.loads(nori("stat", "--json", log).stdout.splitlines()[-2])["appended"]
    top.shows(f"{end['segment']}:{end['offset']}", "... and where the log ends, as it grows")

    top.press("p")
    top.shows("(paused)", "p pauses")
    held = top.frame()
    writer.append(20)
    top.read(0.5)
    report(top.frame() == held, "... and nothing moves")
    top.press("p")
    end = json.loads(nori("stat", "--json", log).stdout.splitlines()[-2])["appended"]
    top.shows(f"{end['segment']}:{end['offset']}", "... until it is pressed again")

    for columns, rows in ((60, 15), (160, 50), (20, 4), (1, 1), (300, 100)):
        top.resize(columns, rows)
        top.output = b""
        # A frame that was begun before may come first.
        report(top.read_until(lambda: len(top.frame()) <= rows and top.frame() != [""]
                              and max(map(len, top.frame())) <= columns),
               f"it fits a screen of {columns} by {rows}", "\n".join(top.frame()))
    top.resize(60, 15)
    top.output = b""
    top.shows("q quit   p pause")
    report(any(line.startswith("oldest 0:128, durable ") for line in top.frame()),
           "the least screen has the positions", "\n".join(top.frame()))
    top.resize(80, 24)

    writer.kill()
    top.shows("the last writer did not close the log", "it tells that the writer died")
    writer = Writer(log)
    top.shows(f"process {writer.process.pid}, batch 5.0 ms", "... and follows the next one")
    writer.close()
    top.shows("the last writer closed the log", "... until that closes the log")
    os.rename(log, log + ".away")
    top.shows("No such file or directory", "... and says that the folder is gone")
    os.rename(log + ".away", log)
    top.shows("no writer")
    top.press("q")
    top.ends(0, "q quits, and the terminal is as it was")


def test_signals(log):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        top = Top(log)
        top.shows("no writer")
        top.process.send_signal(number)
        top.ends(-number, f"{number.name} leaves the terminal as it was")
    top = Top(log)
    top.shows("no writer")
    top.press("\x03")
    top.ends(-signal.SIGINT, "... and so does Ctrl-C")

    # Only a program that a shell with job control has started can be stopped.
    go_on = log + ".go"
    top = Top(log, under=("sh", "-mc", f'"$@"; echo stopped; until [ -e {go_on} ]; do sleep 0.1; done; fg',
                          "sh"))
    top.shows("no writer")
    top.press("\x1a")
    top.read_until(lambda: b"stopped" in top.output)
    report(re.search(rb"\x1b\[\?25h\x1b\[\?1049l[^\x1b]*stopped", top.output) is not None
           and termios.tcgetattr(top.terminal) == top.before, "Ctrl-Z gives the terminal back",
           top.output[-200:])
    top.output = b""
    with open(go_on, "w", encoding="utf-8"):
        pass
    top.shows("no writer", "... and fg takes it again")
    top.press("q")
    top.ends(0, "... until the end")


def test_plain(log):
    top = Top(log, NO_COLOR="1")
    top.shows("no writer")
    report(not re.search(rb"\x1b\[[0-9;]*[1-9][0-9;]*m", top.output), "NO_COLOR means no colours",
           top.output[:300])
    top.press("q")
    top.ends(0, "... in a screen that ends as well")
    top = Top(log, LC_ALL="C")
    top.shows("no writer")
    report(top.output.isascii(), "a terminal without UTF-8 gets ASCII", top.output[:300])
    top.press("q")
    top.ends(0, "... and its keys")
    top = Top(log, TERM="dumb")
    top.process.wait(PATIENT)
    top.read_until(lambda: b"no writer" in top.output)
    report(b"no writer" in top.output and b"\x1b" not in top.output,
           "a terminal that cannot be drawn on gets text", top.output[:300])
    os.close(top.shell)
    os.close(top.terminal)


def test_trouble(log):
    """What a sick device would make the writer say is put into its mouth."""
    writer = Writer(log)
    with open(os.path.join(log, "control"), "r+b") as control:
        control.seek(STALLED)
        control.write(struct.pack("=Q", int(1000 * time.time()) - 181000000))
        control.flush()
        top = Top(log, columns=60, rows=15)
        top.shows("waits for room in the ring, for 2 d 2 h", "top tells a stall, and since when")
        report("stalled    ring, for 2 d 2 h" in nori("stat", log).stdout, "... and so does stat")
        control.seek(FAILED)
        control.write(struct.pack("=Q", 1))
        control.flush()
        top.shows("FAILED: it acknowledges nothing until it is opened again",
                  "top tells that the log failed")
        report("failed     yes" in nori("stat", log).stdout, "... and so does stat")
        top.press("q")
        top.ends(0, "... and ends as ever")
    writer.kill()


def test_garbage(log):
    """`control` is another program's memory: whatever it says, the frame ends and fits."""
    random.seed(1)
    writer = Writer(log)
    with open(os.path.join(log, "control"), "r+b") as control:
        page = control.read(PAGE)
        problems = ""
        for turn in range(40):
            words = [random.choice([b"\xff" * 8, b"\0" * 8, random.randbytes(8)])
                     for _ in range(PAGE // 8)]
            garbage = bytearray(b"".join(words))
            garbage[:64] = page[:64]
            garbage[LAYOUT:LAYOUT + 8] = page[LAYOUT:LAYOUT + 8]
            if turn == 20:
                writer.kill()
            control.seek(0)
            control.write(garbage)
            control.flush()
            for command in (["top", "--once", "--interval", "0.1"], ["stat", "--json"], ["stat"]):
                done = nori(*command, log)
                lines = done.stdout.splitlines()
                if done.returncode not in (0, 1) or "runtime error" in done.stderr or (command[0] == "top" and (
                        done.returncode != 0 or max(map(len, lines)) > 100 or len(lines) > 40)):
                    problems += f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n"
                if "--json" in command:
                    for line in lines:
                        json.loads(line)
        report(problems == "", "a control of nonsense harms neither stat nor top", problems)
        control.truncate(100)
        report(nori("top", "--once", log).returncode == 0, "... nor does one that is cut short")


def main():
    work = tempfile.mkdtemp()
    try:
        log = os.path.join(work, "log")
        test_stat(log)
        test_once(log)
        test_screen(log)
        test_signals(log)
        test_plain(log)
        test_trouble(os.path.join(work, "trouble"))
        test_garbage(os.path.join(work, "nonsense"))
    finally:
        shutil.rmtree(work)
    print(f"1..{results['passed'] + results['failed']}")
    print(f"{results['passed']} passed, {results['failed']} failed, 0 skipped")
    return 1 if results["failed"] else 0


sys.exit(main())
