#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# coverage.sh: coverage of src/ by all tests but those about the house: a table, and build/coverage.html.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/coverage
mkdir -p build

if [ ! -f $build/build.ninja ]; then
    meson setup $build --buildtype=debug -Db_coverage=true -Dtests=enabled >build/coverage.log
fi
find $build -name '*.gcda' -delete
ninja -C $build >build/coverage.log || { tail -n 60 build/coverage.log; exit 1; }
status=0
meson test -C $build --no-rebuild --quiet --no-suite house --timeout-multiplier 4 >build/coverage.log 2>&1 || status=$?
tools/count-tests.py --label coverage $build/meson-logs/testlog.json

# The branch where an assertion fails is not taken by design.
gcovr --root . --filter src/ --object-directory $build \
    --exclude-branches-by-pattern '.*\bnw_(debug_)?(assert|never)\(.*' \
    --html-details build/coverage.html --html-title 'nori-wal: coverage of src/' \
    --txt - --print-summary $build
echo "build/coverage.html has the lines"
exit $status
