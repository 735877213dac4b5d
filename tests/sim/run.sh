#!/bin/bash
# usage: tests/sim/run.sh [--update] [NAME...]
# Runs `weir sim NAME.yaml NAME.sim` and compares with NAME.csv; without names, all of them.
# --update writes NAME.csv instead: read the difference before you commit it.
set -u
cd "$(dirname "$0")" || exit 1
tool=${WEIR_TOOL:-../../build/weir}
update=
if [ "${1:-}" = --update ]; then
    update=yes
    shift
fi
if [ $# = 0 ]; then
    for script in *.sim; do
        set -- "$@" "${script%.sim}"
    done
fi

output=$(mktemp)
trap 'rm -f "$output"' EXIT
failed=0
for name in "$@"; do
    if ! "$tool" sim "$name.yaml" "$name.sim" >"$output"; then
        echo "$name: weir sim failed"
        failed=1
    elif [ -n "$update" ]; then
        cat "$output" >"$name.csv"
    elif ! diff -u "$name.csv" "$output"; then
        echo "$name: differs from tests/sim/$name.csv"
        failed=1
    fi
done
exit "$failed"
