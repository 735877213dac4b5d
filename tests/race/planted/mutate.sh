#!/bin/bash
# usage: mutate.sh MUTANT SOURCE_DIR OUTPUT: a copy of one of the library's sources with an error
# planted in it. A mutant begins with comments, `# source: FILE` among them; each other line is one
# sed expression. Fails when one of them changes nothing: the source has moved on, so must the
# mutant.
set -eu
mutant=$1
source_dir=$2
output=$3

source=$(sed -n 's/^# source: //p' "$mutant")
before=$(mktemp)
after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT
cp "$source_dir/$source" "$before"
while IFS= read -r expression; do
    sed -E "$expression" "$before" >"$after"
    if cmp -s "$before" "$after"; then
        echo "$mutant: changes nothing in $source: $expression"
        exit 1
    fi
    cp "$after" "$before"
done < <(grep -v '^#' "$mutant")
cp "$before" "$output"
