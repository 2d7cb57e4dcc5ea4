#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# check-style.sh ROOT: the rules about source files that a program can check. One line for each breach, status 1.
#   100 columns · functions of at most 80 lines (70 is the aim) · files of at most 1,000 lines · an SPDX line
#   no `//` comments · no leftover marks · no printing in src/ · no banned calls · the layer table of includes
#   every source file is in the build
set -u
root=${1:?usage: check-style.sh ROOT}
cd "$root" || exit 2
breaches=$(mktemp)
trap 'rm -f "$breaches"' EXIT

# What the folders of C are; those that do not exist yet are left out.
folders=
for folder in include src sim cli examples tests fuzz bench; do
    [ ! -d $folder ] || folders="$folders $folder"
done

# shellcheck disable=SC2086 # words on purpose
find $folders -name '*.[ch]' | sort | while read -r file; do
    LC_ALL=C awk -v file="$file" '
    function breach(text) { printf "%s:%d: %s\n", file, FNR, text }

    # The line without comments and with empty strings. Keeps in_comment from line to line.
    function code_of(line,    out, i, c, pair, quote) {
        out = ""
        quote = ""
        for (i = 1; i <= length(line); i++) {
            c = substr(line, i, 1)
            pair = substr(line, i, 2)
            if (in_comment) {
                if (pair == "*/") { in_comment = 0; i++ }
            } else if (quote != "") {
                if (c == "\\") i++
                else if (c == quote) { quote = ""; out = out c }
            } else if (pair == "/*") {
                in_comment = 1; i++
            } else if (pair == "//") {
                breach("a // comment: write /* */")
                return out
            } else {
                if (c == "\"" || c == "\047") quote = c
                out = out c
            }
        }
        return out
    }

    # Is the word followed by a parenthesis in the code, and not a member of something?
    function calls(code, word) { return (" " code) ~ ("[^A-Za-z0-9_.>]" word " *\\(") }

    function check_include(line) {
        if (layer == "base" && line ~ /"/ && line !~ /"base\//) breach("base includes only base")
        if (layer == "format" && line ~ /"/ && line !~ /"(base|format)\//) breach("format includes only base and format")
        if (layer == "io" && line ~ /"/ && line !~ /"(base|io)\//) breach("io includes only base and io")
        if (layer == "observe" && line ~ /"/ && line !~ /"(base|observe)\//) breach("observe includes only base and observe")
        if (layer ~ /^(base|format|wal|observe)$/ && line !~ /<sys\/sdt\.h>/ && line ~ /<(fcntl|unistd|pthread|time|signal|sys\/[a-z]*)\.h>/)
            breach("the world is reached through nori/vfs.h only")
        if (layer ~ /^(format|wal|observe)$/ && line ~ /<errno\.h>/) breach("errno belongs to src/io")
        if (layer ~ /^(cli|examples|include)$/ && line ~ /"/ && line ~ /\//) breach(layer " includes only <nori/...> and its own")
        if (layer == "sim" && line ~ /"(format|wal|io|observe)\//) breach("sim sees only the public headers")
    }

    BEGIN {
        count = split(file, part, "/")
        layer = part[1] == "src" ? part[2] : part[1]
        is_ours = part[1] ~ /^(src|cli|sim)$/
        if (is_ours) {
            banned["sprintf"] = banned["vsprintf"] = "snprintf"
            banned["strcpy"] = banned["strcat"] = banned["strncpy"] = "memcpy with a checked length"
            banned["strtok"] = "strcspn"
            banned["atoi"] = banned["atol"] = "strtoull with checks"
            banned["gets"] = "fgets"
            banned["alloca"] = "a bounded array"
            banned["rand"] = banned["srand"] = "the seam of randomness, or a seeded generator"
        }
        if (part[1] == "src" && part[count] != "assert.c") {
            split("printf fprintf vprintf vfprintf puts fputs putchar fputc perror", printing, " ")
            for (i in printing) banned[printing[i]] = "an error or an event: the library does not print"
        }
        if (layer ~ /^(format|wal|observe)$/) {
            split("malloc calloc realloc free", memory, " ")
            for (i in memory) banned[memory[i]] = "the allocator of the log"
        }
    }

    FNR <= 3 && /SPDX-License-Identifier: MIT OR Apache-2\.0/ { has_licence = 1 }
    {
        visible = $0
        gsub(/[\200-\277]/, "", visible)
        if (length(visible) > 100) breach("longer than 100 columns (" length(visible) ")")
        if ($0 ~ /(^|[^A-Za-z0-9_])(TODO|FIXME|XXX)([^A-Za-z0-9_]|$)/) breach("a leftover mark")
        if ($0 ~ /\t/) breach("a tab")
        if ($0 ~ / $/) breach("a blank at the end of the line")
        if ($0 ~ /^ *# *include/) check_include($0)
        code = code_of($0)
        for (word in banned)
            if (index(code, word) && calls(code, word)) breach(word "(): use " banned[word])
        if ($0 == "{") body = FNR
        if ($0 ~ /^}/ && body) {
            if (is_ours && FNR - body - 1 > 80) breach("a function of " FNR - body - 1 " lines; at most 80, better 70")
            body = 0
        }
    }
    END {
        if (FNR > 1000) breach("a file of " FNR " lines; at most 1000")
        if (!has_licence) printf "%s:1: no SPDX line\n", file
    }' "$file"
done >"$breaches"

# Scripts and build files carry the SPDX line, too.
for file in Makefile meson.build meson_options.txt */meson.build packages.debian .ci/run tools/* src/*.map tests/*/*.sh; do
    [ -f "$file" ] || continue
    head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT OR Apache-2.0' || echo "$file:1: no SPDX line"
done >>"$breaches"

# Every source file is in the build.
for part in src sim cli; do
    [ -d $part ] || continue
    find $part -name '*.c' | sort | while read -r file; do
        grep -q "'${file#"$part"/}'" $part/meson.build 2>/dev/null || echo "$file:1: not listed in $part/meson.build"
    done
done >>"$breaches"
for file in tests/*/test_*.c; do
    [ -f "$file" ] || continue
    name=$(basename "$file" .c)
    grep -q "'${name#test_}'" tests/meson.build 2>/dev/null || echo "$file:1: not listed in tests/meson.build"
done >>"$breaches"

if [ -s "$breaches" ]; then
    cat "$breaches"
    echo "$(wc -l <"$breaches") breaches of style"
    exit 1
fi
echo "no breach of style"
