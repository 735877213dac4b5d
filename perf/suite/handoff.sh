#!/bin/bash
# Thread isolation: what the hand-off takes beside others', how late deadlines are (told), and that
# no timeout is lost (a gate). Started by perf/run.sh, which sets build and quick.
set -euo pipefail
: "${build:?}" "${quick:?}"
options=()
[ "$quick" = no ] || options=(--quick)

printf '\n-- hand-off: interleaved rounds, a pool opened for each slice; no gate --\n'
"$build/perf/handoff" "${options[@]}"

printf '\n-- deadlines: no gate but that none is lost --\n'
"$build/perf/timeouts" "${options[@]}"
