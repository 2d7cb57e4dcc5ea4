#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# format.sh [--fix]: does the code look as .clang-format says? With --fix: make it so.
set -eu
cd "$(dirname "$0")/.."

folders=
for folder in include src sim cli examples tests fuzz bench; do
    [ ! -d $folder ] || folders="$folders $folder"
done
mode='--dry-run -Werror'
[ "${1:-}" != --fix ] || mode=-i

# shellcheck disable=SC2086 # words on purpose
find $folders -name '*.[ch]' -print0 | xargs -0 clang-format $mode
