#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# reflink.sh TEST: run those of test_staging that are about shared blocks on an xfs of its own, where files may share
# blocks, and small enough to be filled. Needs root and mkfs.xfs; else it is skipped. Speaks TAP.
set -u
test=${1:?usage: reflink.sh TEST}
if [ "$(id -u)" -ne 0 ] || ! command -v mkfs.xfs >/dev/null; then
    echo "1..0 # SKIP only root may mount, and mkfs.xfs must be there"
    exit 0
fi
work=$(mktemp -d)
trap 'umount "$work/disk" 2>/dev/null; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
mkdir "$work/disk"
truncate -s 320M "$work/image"
if ! mkfs.xfs -q -m reflink=1 "$work/image" >"$work/log" 2>&1 || ! mount -o loop "$work/image" "$work/disk" 2>>"$work/log"; then
    echo "1..0 # SKIP $(tail -n 1 "$work/log")"
    exit 0
fi
echo "1..1"
if TMPDIR=$work/disk "$test" '*shares_its_blocks*' >"$work/log" 2>&1 && grep -q '  OK \] .*shares_its_blocks' "$work/log"; then
    echo "ok 1 - with blocks shared, on a full disk"
else
    sed 's/^/# /' "$work/log"
    echo "not ok 1 - with blocks shared, on a full disk"
    exit 1
fi
