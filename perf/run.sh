#!/bin/bash
# Runs the benches: perf/run.sh [--only SUITE] [--quick] [--record] [--profile SHAPE]
#   --only SUITE     one of perf/suite/*.sh instead of all
#   --quick          few and short rounds where a suite has them: for trying things out
#   --record         write the counts that have fallen, and those that are new, to perf/gate/
#   --profile SHAPE  print where the instructions of one call go, and nothing else
# Fails if a gate is broken: counts of instructions, locked operations and allocations are gates, and
# that no timeout is lost; nanoseconds are not.
# WEIR_PERF_BUILD names the build tree (build); `./dev perf` makes it.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
build=$(readlink -f "${WEIR_PERF_BUILD:-build}")
only=''
record=no
quick=no
profile=''

usage() {
    sed -nE '2,/^set /s/^# ?//p' "$0" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    option=$1
    shift
    case $option in
    --record) record=yes && continue ;;
    --quick) quick=yes && continue ;;
    --only) only=${1:-} ;;
    --profile) profile=${1:-} only=inline ;;
    *) usage ;;
    esac
    [ $# -gt 0 ] || usage
    shift
done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
code=0
ran=0
for suite in perf/suite/*.sh; do
    name=${suite##*/}
    name=${name%.sh}
    [ -z "$only" ] || [ "$only" = "$name" ] || continue
    ran=1
    build=$build scratch=$scratch record=$record quick=$quick profile=$profile "$suite" || code=1
done
if [ $ran = 0 ]; then
    echo "perf/run.sh: no suite \"$only\"; there are: perf/suite/*.sh" >&2
    exit 2
fi
exit $code
