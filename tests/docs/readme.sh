#!/bin/bash
# usage: readme.sh SOURCE_DIR BINARY_DIR
# The program in README.md (its first ```c block with a main) compiles as printed, and runs.
set -eu
source=$1 binary=$2
[ -e "$source/README.md" ] || { echo 'skipped: no README.md'; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

awk '/^```c$/ { inside = 1; text = ""; next }
     /^```/ { if (inside && text ~ /int main\(/) { printf "%s", text; exit }; inside = 0 }
     inside { text = text $0 "\n" }' "$source/README.md" >"$work/program.c"
[ -s "$work/program.c" ] || { echo 'README.md shows no C program'; exit 1; }

"${CC:-gcc}" -std=c11 -Wall -Wextra -Wpedantic -Werror "-I$source/include" "$work/program.c" \
    -o "$work/program" "-L$binary" -lweir "-Wl,-rpath,$binary"
timeout 60 "$work/program"
