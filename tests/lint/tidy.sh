#!/bin/bash
# clang-tidy over every file that this build tree compiles.
# shellcheck source=tests/lint/common.sh
. "$(dirname "$0")/common.sh"
require clang-tidy-14
if ! grep -q clang "$binary_dir/compile_commands.json"; then
    echo 'skipped: this tree is built by another compiler, whose options clang-tidy rejects'
    exit 77
fi
# One file a run: clang-tidy 14 carries state of its va_list check from one file to the next.
sed -nE 's/^ *"file": "(.*)",?$/\1/p' "$binary_dir/compile_commands.json" | sort -u |
    xargs -r -n 1 -P "$(nproc)" clang-tidy-14 -p "$binary_dir" --quiet 2>&1 |
    grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed |^Use -header-filter|^$' >"$binary_dir/tidy.log"
if [ -s "$binary_dir/tidy.log" ]; then
    cat "$binary_dir/tidy.log"
    exit 1
fi
