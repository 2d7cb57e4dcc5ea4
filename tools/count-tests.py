#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""count-tests.py [--label NAME] TESTLOG.json...: add up what Meson's test logs say.

A program that speaks TAP (cmocka does, CMOCKA_MESSAGE_OUTPUT=TAP) counts with each of its tests, any other one as a
whole. For each failure it prints the end of the output and the command that repeats it. The last line is
`N passed, N failed, N skipped`; the status is 1 if anything failed or nothing passed.
"""
import json
import os
import re
import shlex
import sys

TAP = re.compile(r"^(ok|not ok) \d+\b *-? *(.*)$")
REPEAT_ENV = ("CMOCKA_", "NORI_")


def count_tap(output):
    """(passed, failed, skipped) of the TAP lines in output."""
    passed = failed = skipped = 0
    for line in output.splitlines():
        match = TAP.match(line)
        if not match:
            continue
        if re.search(r"# *skip", match[2], re.IGNORECASE):
            skipped += 1
        elif match[1] == "ok":
            passed += 1
        else:
            failed += 1
    return passed, failed, skipped


def count_test(test):
    """(passed, failed, skipped) of one program. What Meson calls a failure is at least one."""
    passed, failed, skipped = count_tap(test.get("stdout", ""))
    result = test["result"]
    if result in ("OK", "EXPECTEDFAIL"):
        if passed + failed + skipped == 0:
            passed = 1
    elif result == "SKIP":
        skipped = max(skipped, 1)
    else:
        failed = max(failed, 1)
    return passed, failed, skipped


def describe_failure(label, build, test):
    env = test.get("env") or {}
    words = [f"{name}={shlex.quote(env[name])}" for name in sorted(env) if name.startswith(REPEAT_ENV)]
    words += [shlex.quote(word) for word in test["command"]]
    output = (test.get("stdout", "") + "\n" + test.get("stderr", "")).strip().splitlines()
    print(f"FAILED {label}{test['name']} ({test['result']}, status {test['returncode']})")
    for line in [line for line in output if not line.startswith("ok ")][-40:]:
        print(f"    {line}")
    print(f"  repeat: cd {shlex.quote(build)} && {' '.join(words)}")


def main():
    arguments = sys.argv[1:]
    label = ""
    if arguments[:1] == ["--label"]:
        label = arguments[1] + ": "
        arguments = arguments[2:]
    total = [0, 0, 0]
    for path in arguments:
        if not os.path.exists(path):
            print(f"FAILED {label}no test ran: {path} is not there")
            total[1] += 1
            continue
        with open(path, encoding="utf-8", errors="replace") as log:
            for line in log:
                test = json.loads(line)
                counts = count_test(test)
                total = [have + new for have, new in zip(total, counts)]
                if counts[1]:
                    describe_failure(label, os.path.dirname(os.path.dirname(path)), test)
    print("{} passed, {} failed, {} skipped".format(*total))
    return 1 if total[1] or not total[0] else 0


sys.exit(main())
