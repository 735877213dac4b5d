#!/bin/sh
# Checks the Spin models and their planted errors: tests/model/run.sh [build-directory]
# Two checks at a time; needs spin, a C compiler and 3 GB of memory. MODEL_JOBS=1 halves the memory.
set -u

here=$(cd "$(dirname "$0")" && pwd)
build=${1:-$here/../../build/model}
jobs=${MODEL_JOBS:-2}
least=1000000
mkdir -p "$build" || exit 1
work=$(mktemp -d "$build/run.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# kind, name, file, options. A model is searched whole; an error must be found by an assertion.
cat >"$work/checks" <<'END'
model  breaker                     breaker -DCALLERS=2 -DCALLS=4 -DTICKS=2
model  breaker/three             breaker -DCALLERS=3 -DCALLS=3 -DTICKS=1
model  breaker/reset               breaker -DCALLERS=2 -DCALLS=3 -DTICKS=1 -DRESETS=1
model  permit                      permit  -DCALLERS=2 -DCALLS=3 -DLIMIT=2 -DLEASES=1 -DDOUBLE_ENDS=1
model  permit/raise                permit  -DCALLERS=3 -DCALLS=4 -DWAITING=1 -DLIMIT=1 -DOTHER_LIMIT=2 -DLIMIT_CHANGES=1
model  permit/shrink               permit  -DCALLERS=3 -DCALLS=4 -DWAITING=1 -DLIMIT=2 -DOTHER_LIMIT=1 -DLIMIT_CHANGES=1
model  permit/overdue              permit  -DCALLERS=2 -DCALLS=3 -DSLOTS=1 -DLEASES=1 -DSCANS=1 -DEPOCHS=1
mutant breaker/NO_EPOCH            breaker -DNO_EPOCH -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/TAGLESS             breaker -DTAGLESS -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/TAG_WRAP            breaker -DTAG_WRAP -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/SWEEP_LATE          breaker -DSWEEP_LATE -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/SUM_OWN             breaker -DSUM_OWN -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/SUM_AT_STAMP        breaker -DSUM_AT_STAMP -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/NO_RESTART          breaker -DNO_RESTART -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/GOOD_FIRST          breaker -DGOOD_FIRST -DNUM=3 -DDEN=5 -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/BAD_SEQ_STORE       breaker -DBAD_SEQ_STORE -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/NO_LEASE            breaker -DNO_LEASE -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant breaker/NO_SERIAL           breaker -DNO_SERIAL -DCALLERS=2 -DCALLS=4 -DTICKS=2
mutant permit/NO_GENERATION        permit  -DNO_GENERATION -DCALLERS=2 -DCALLS=3 -DLIMIT=2 -DDOUBLE_ENDS=1
mutant permit/ADD_THEN_UNDO        permit  -DADD_THEN_UNDO -DCALLERS=3 -DCALLS=4
mutant permit/LOST_HANDOVER        permit  -DLOST_HANDOVER -DCALLERS=3 -DCALLS=4 -DWAITING=1
mutant permit/CHECK_OUTSIDE        permit  -DCHECK_OUTSIDE -DCALLERS=3 -DCALLS=4 -DWAITING=1
mutant permit/OVER_LIMIT_HANDOVER  permit  -DOVER_LIMIT_HANDOVER -DCALLERS=3 -DCALLS=4 -DWAITING=1 -DLIMIT=2 -DOTHER_LIMIT=1 -DLIMIT_CHANGES=1
mutant permit/OVERDUE_UNTAGGED     permit  -DOVERDUE_UNTAGGED -DCALLERS=2 -DCALLS=3 -DSLOTS=1 -DLEASES=1 -DSCANS=1 -DEPOCHS=1
mutant permit/GIVE_FIRST           permit  -DGIVE_FIRST -DCALLERS=2 -DCALLS=3 -DSLOTS=1
END

# check KIND NAME FILE OPTIONS...: one line of result, the last word of which is told by the exit status.
check()
{
    kind=$1 name=$2 file=$3
    shift 3
    dir=$work/$(echo "$name" | tr / _)
    mkdir -p "$dir" && cd "$dir" || return 1
    if ! spin "$@" -a "$here/$file.pml" >log 2>&1 ||
        ! ${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -DMEMLIM=2900 -o pan pan.c >>log 2>&1; then
        echo "$kind $name: FAILED to build: $(head -1 log)"
        return 1
    fi
    ./pan -m1000000 -w24 >log 2>&1
    states=$(sed -n 's/^ *\([0-9][0-9]*\) states, stored.*/\1/p' log)
    why=$(sed -n 's/^pan:1: //p' log | sed 's/ (at depth.*//')
    if [ "$kind" = mutant ]; then
        case $why in
        assertion*"array index"*) ;;
        assertion*) echo "mutant $name: caught" && return 0 ;;
        esac
        echo "mutant $name: FAILED, not caught (${states:-no} states) $why"
        return 1
    fi
    if [ -n "$why" ]; then
        echo "model $name: FAILED, $why"
    elif ! grep -q 'errors: 0$' log || grep -Eq 'Search not completed|max search depth|out of memory|bound' log; then
        echo "model $name: FAILED, not searched to the end: $(grep -E 'error|memory|bound' log | head -1)"
    elif [ "${states:-0}" -lt "$least" ]; then
        echo "model $name: FAILED, only $states states"
    else
        echo "model $name: $states states, no error"
        return 0
    fi
    return 1
}

command -v spin >/dev/null || {
    echo "spin is not installed" >&2
    exit 1
}

# Worker k of n takes every n-th line.
worker()
{
    awk -v k="$1" -v n="$jobs" 'NR % n == k' "$work/checks" | while read -r kind name file options; do
        # shellcheck disable=SC2086
        if line=$(check "$kind" "$name" "$file" $options); then
            echo pass
        else
            echo fail
        fi >>"$work/verdicts.$1"
        echo "$line"
        rm -rf "${work:?}/$(echo "$name" | tr / _)"
    done
}

k=0
while [ "$k" -lt "$jobs" ]; do
    worker "$k" &
    k=$((k + 1))
done
wait

total=$(wc -l <"$work/checks")
passed=$(cat "$work"/verdicts.* 2>/dev/null | grep -c '^pass$')
failed=$((total - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
