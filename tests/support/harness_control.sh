#!/bin/bash
# usage: harness_control.sh PROGRAM: the plain runner must count planted failures as failures.
set -u
program=$1

expect() { # expect EXIT_CODE LAST_LINE ARGUMENT...
    local code=$1 line=$2 output
    shift 2
    output=$("$program" "$@")
    if [ "$?" != "$code" ] || [ "$(tail -n 1 <<<"$output")" != "$line" ]; then
        printf '%s\nexpected exit code %s and the line: %s\n' "$output" "$code" "$line"
        exit 1
    fi
}

expect 1 '3 passed, 4 failed'
expect 0 '3 passed, 0 failed' --filter 'harness_passing/*'
expect 1 '0 passed, 1 failed' --filter=harness_failing/floats_apart
expect 1 '0 passed, 0 failed' --filter 'no/such'
if "$program" | grep -q 'not reached' || ! "$program" | grep -q ': reached'; then
    echo 'an assert must leave its test, an expect must not'
    exit 1
fi
