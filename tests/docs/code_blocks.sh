#!/bin/bash
# usage: code_blocks.sh SOURCE_DIR BINARY_DIR
# Every ```c block in README.md, docs/ and src/ARCHITECTURE.md compiles: one with a main as it is,
# any other as statements after the declarations of fragment.h, which stands beside this script.
# Every link to a file of the project leads to one.
set -eu
source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
checked=0

for page in "$source/README.md" "$source/CHANGELOG.md" "$source/src/ARCHITECTURE.md" "$source"/docs/*.md; do
    [ -e "$page" ] || continue
    while read -r link; do
        if [ ! -e "$(dirname "$page")/$link" ]; then
            echo "${page#"$source"/}: no file $link"
            failed=1
        fi
    done < <(grep -oE '\]\([^)#:]+[)#]' "$page" | sed -E 's/^\]\(//; s/[)#]$//')
    rm -f "$work"/block.*
    awk -v path="$work/block." '
        $0 == "```c" { inside = 1; ++n; next }
        /^```/ { inside = 0 }
        inside { print >(path n) }' "$page"
    for block in "$work"/block.*; do
        [ -e "$block" ] || continue
        if grep -q '^int main(' "$block"; then
            cp "$block" "$work/program.c"
        else
            { cat "$source/tests/docs/fragment.h"; echo 'void fragment(void) {'; cat "$block"; echo '}'; } \
                >"$work/program.c"
        fi
        checked=$((checked + 1))
        if ! "${CC:-gcc}" -std=c11 -Wall -Wextra -Wpedantic -Wno-unused-variable -Werror \
            "-I$source/include" -fsyntax-only "$work/program.c"; then
            echo "${page#"$source"/}: its C block number ${block##*.} does not compile"
            failed=1
        fi
    done
done
echo "$checked blocks"
[ "$checked" -gt 0 ]
exit "$failed"
