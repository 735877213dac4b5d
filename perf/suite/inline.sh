#!/bin/bash
# The inline call: instructions, locked operations and allocations (gates), time and memory (told).
# Started by perf/run.sh, which sets build, scratch, record and profile.
set -euo pipefail
: "${build:?}" "${scratch:?}" "${record:?}"
# shellcheck source=perf/support/count.sh
. perf/support/count.sh
# shellcheck source=perf/support/gate.sh
. perf/support/gate.sh

counter=$build/perf/inline_count
gate=perf/gate/inline.txt
locked_max_call=10
locked_max_refusal=1

# A refusal is compared with the admission it stands for.
admission_of() {
    case $1 in
    begin_*) echo begin_end ;;
    *) echo execute ;;
    esac
}

if [ -n "${profile:-}" ]; then
    steps_of "$counter" "$profile"
    print_profile "$profile"
    exit
fi

shapes=$("$counter")
declare -A instructions=()
printf '\n-- counted under callgrind, per call; clock and bench not counted --\n'
gate_begin "$gate" "$build"
printf '%-42s %12s %9s %7s %6s  %s\n' '' instructions recorded locked malloc gates
while IFS=$'\t' read -r shape kind what; do
    steps_of "$counter" "$shape"
    instructions[$shape]=$(sum_of <"$scratch/$shape.steps")
    locked=$(locked_steps "$shape" | sum_of)
    allocations=$(cat "$scratch/$shape.allocations")
    verdict=''
    limit=$locked_max_call
    [ "$kind" != refusal ] || limit=$locked_max_refusal
    at_most 1 "$locked" || verdict+=' no locked operation found: they are not counted'
    at_most "$locked" "$limit" || verdict+=" locked > $limit"
    at_most "$allocations" 0 || verdict+=' allocates'
    if [ "$kind" = refusal ]; then
        whole=${instructions[$(admission_of "$shape")]}
        share=$(percent "${instructions[$shape]}" "$whole")
        at_most "$share" 50 || verdict+=" ${share}% of an admission, not half"
    fi
    [ "$kind" = information ] || gate_check "$shape" "${instructions[$shape]}" ||
        verdict+=' instructions grew'
    [ -z "$verdict" ] || gate_failed
    printf '%-42s %12s %9s %7s %6s  %s\n' "$what" "${instructions[$shape]}" \
        "$(gate_recorded "$shape")" "$locked" "$allocations" "${verdict:+BROKEN:}${verdict:-ok}"
done <<<"$shapes"
gate_end "$record"

printf '\n-- time: median of 31 interleaved rounds on a pinned thread; no gate --\n'
"$build/perf/inline_time"

printf '\n-- bytes per dependency --\n'
"$build/perf/inline_memory"
printf '\n'
gate_verdict
