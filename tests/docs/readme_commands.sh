#!/bin/bash
# usage: readme_commands.sh SOURCE_DIR BINARY_DIR
# README.md names each verb of ./dev and of the tool, and no other; its simulator example prints
# what is shown there; docs/metrics.md explains each number that the library tells.
set -u
source=$1 weir=$2/weir
[ -x "$weir" ] || { echo "skipped: no $weir"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
    echo "$*"
    failed=1
}

same() { # same WHAT: the lines of $work/have and $work/shown
    diff -u <(sort -u "$work/have") <(sort -u "$work/shown") || complain "README.md: $1 differ"
}

sed -nE 's/^verb_([a-z]+)\(\).*/\1/p' "$source/dev" >"$work/have"
sed -nE 's/^\| `\.\/dev ([a-z]+).*/\1/p' "$source/README.md" >"$work/shown"
same 'the verbs of ./dev'

"$weir" --help | sed -nE 's/^(usage:)? *weir ([a-z]+) .*/\2/p' >"$work/have"
sed -nE 's/^\| `build\/weir ([a-z]+).*/\1/p' "$source/README.md" >"$work/shown"
same 'the verbs of the tool'

# block KIND: the first fenced block of that kind.
block() {
    awk -v kind="$1" '
        $0 == "```" kind { inside = 1; next }
        /^```/ { if (inside) exit }
        inside' "$source/README.md"
}
block yaml >"$work/pay.yaml"
block sim >"$work/pay.sim"
block csv >"$work/expected"
"$weir" sim "$work/pay.yaml" "$work/pay.sim" | cut -d, -f 1-8 | diff -u "$work/expected" - ||
    complain 'README.md: the simulator prints something else'

sed -nE 's/^ *X\(WEIR_COUNT_[A-Z0-9_]+, "([a-z0-9_]+)".*/\1/p' "$source/include/weir/dependency.h" \
    >"$work/have"
[ -s "$work/have" ] || complain 'include/weir/dependency.h: no counts found'
# shellcheck disable=SC2016 # the backquotes are markdown's
sed -nE 's/^\| `([a-z0-9_]+)` \| (counter|gauge) \|.*/\1/p' "$source/docs/metrics.md" >"$work/shown"
diff -u "$work/have" "$work/shown" || complain 'docs/metrics.md: its numbers are not those of the header'
exit "$failed"
