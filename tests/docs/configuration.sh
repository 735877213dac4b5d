#!/bin/bash
# usage: configuration.sh SOURCE_DIR BINARY_DIR
# The files shown in docs/configuration.md are accepted, or refused with the message shown above
# them; the script in docs/simulator.md runs; docs/settings.md is what the tool prints.
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

# blocks KIND FILE: each fenced block of that kind, as $work/KIND.1, $work/KIND.2 ...
blocks() {
    awk -v kind="$1" -v path="$work/$1." '
        $0 == "```" kind { inside = 1; ++n; next }
        /^```/ { inside = 0 }
        inside { print >(path n) }' "$2"
}

blocks yaml "$source/docs/configuration.md"
[ -e "$work/yaml.2" ] || complain 'docs/configuration.md shows no files'
for file in "$work"/yaml.*; do
    expected=$(sed -n '1s/^# refused: //p' "$file")
    message=$("$weir" check "$file" 2>&1 >/dev/null)
    code=$?
    if [ -z "$expected" ]; then
        [ "$code" = 0 ] || complain "docs/configuration.md: refused: $message"
    elif [ "$code" != 1 ] || [ "$message" != "$file:$expected" ]; then
        complain "docs/configuration.md: expected $expected, got (exit code $code) $message"
    fi
done

blocks sim "$source/docs/simulator.md"
"$weir" sim "$work/yaml.1" "$work/sim.1" >"$work/rows" ||
    complain 'docs/simulator.md: its script fails'
columns=$(head -n 1 "$work/rows" | tr ',' '\n')
for column in $columns; do
    grep -q "^| .*\`$column\`" "$source/docs/simulator.md" ||
        complain "docs/simulator.md does not explain the column $column"
done

"$weir" settings | diff -u "$source/docs/settings.md" - ||
    complain 'docs/settings.md is old: build/weir settings >docs/settings.md'
exit "$failed"
