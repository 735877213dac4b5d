#!/bin/bash
# usage: must_fail.sh PROGRAM: runs a negative control, a program with a planted mistake.
# Passes when the mistake was caught: exit code not 0, and either the program says `caught:` or
# ThreadSanitizer reports. A crash or a missing library is not a catch.
set -u
# Here the report is the wanted result, so it goes to our output and not to the gate's log files.
# (The runtimes read each other's options.)
for options in TSAN_OPTIONS ASAN_OPTIONS UBSAN_OPTIONS; do
    export "$options=$(sed -E 's/log_path=[^: ]*//' <<<"${!options:-}")"
done

output=$("$1" 2>&1)
code=$?
printf '%s\n' "$output" | head -n 40
if [ "$code" = 0 ] || ! grep -qE '^caught:|WARNING: ThreadSanitizer:' <<<"$output"; then
    echo "NOT CAUGHT (exit code $code): the planted mistake went unnoticed"
    exit 1
fi
