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

# kind, name, file, options. A model is searched whole; an error must be found by an assertion. `ends`: no
# state comes twice, so every run ends; `endless`: an error that must be found so.
cat >"$work/checks" <<'END'
model  breaker                     breaker -DCALLERS=2 -DCALLS=4 -DTICKS=2
model  breaker/three             breaker -DCALLERS=3 -DCALLS=3 -DTICKS=1
model  breaker/reset               breaker -DCALLERS=2 -DCALLS=3 -DTICKS=1 -DRESETS=1
model  permit                      permit  -DCALLERS=2 -DCALLS=3 -DLIMIT=2 -DLEASES=1 -DDOUBLE_ENDS=1
model  permit/raise                permit  -DCALLERS=3 -DCALLS=4 -DWAITING=1 -DLIMIT=1 -DOTHER_LIMIT=2 -DLIMIT_CHANGES=1
model  permit/shrink               permit  -DCALLERS=3 -DCALLS=4 -DWAITING=1 -DLIMIT=2 -DOTHER_LIMIT=1 -DLIMIT_CHANGES=1
model  permit/overdue              permit  -DCALLERS=2 -DCALLS=3 -DSLOTS=1 -DLEASES=1 -DSCANS=1 -DEPOCHS=1
model  call                        call    -DCALLS=4
model  call/cells                  call    -DCALLS=2 -DCELLS=2 -DWORKERS=2
model  call/watch                  call    -DCALLS=4 -DWATCHES=1
model  call/hook                   call    -DCALLS=3 -DHOOKS=1
model  call/submit                 call    -DCALLS=3 -DEXECUTES=0 -DCANCELS=1
model  call/mixed                  call    -DCALLS=3 -DEXECUTES=1 -DEXECUTERS=1
ends   call/ends                   call    -DLIVE -DCALLS=2 -DEXECUTES=0 -DCANCELS=1
model  pool                        pool
model  pool/grow                   pool    -DRESIZES=2 -DSIZE=1 -DOTHER_SIZE=2 -DOFFERERS=1 -DCELLS=1
model  pool/shrink                 pool    -DRESIZES=1 -DOFFERERS=1 -DCELLS=1
model  pool/rest                   pool    -DRESIZES=2 -DOFFERERS=1 -DCELLS=1 -DCLOSE_LATE=1
model  pool/retry                  pool    -DFAILURES=1 -DCELLS=2
model  pool/recall                 pool    -DRECALLS=1 -DCELLS=2
model  pool/abandon                pool    -DABANDONS=1 -DSIZE=1 -DOFFERERS=1 -DCELLS=2 -DSTRUCTS=2 -DCLOSE_LATE=1
ends   pool/ends                   pool    -DLIVE -DFAILURES=1 -DRESIZES=1 -DSIZE=1 -DOTHER_SIZE=2 -DSTRUCTS=2 -DOFFERERS=1 -DCELLS=1
model  timer                       timer   -DCALLS=2
model  timer/cell                  timer   -DCALLS=4 -DCELLS=1
model  timer/prompt                timer   -DCALLS=3 -DPOOLS=2 -DPROMPT=1
model  timer/growth                timer   -DCALLS=2 -DSUBMITTERS=1 -DGROWS=1
ends   timer/ends                  timer   -DLIVE -DCALLS=2 -DCELLS=1
model  stop                        stop
model  stop/timed                  stop    -DTIMED=1 -DCOMES_BACK=1 -DWATCHES=0 -DWORKERS=1
model  stop/retries                stop    -DFAILURES=2 -DWATCHES=0 -DWORKERS=1
model  stop/hooks                  stop    -DHOOKS=1 -DSTUCK_HOOKS=1 -DWATCHES=0 -DWORKERS=1
ends   stop/ends                   stop    -DLIVE -DTIMED=1 -DCOMES_BACK=1 -DWATCHES=0 -DWORKERS=1
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
mutant call/DOUBLE_COMPLETION      call    -DDOUBLE_COMPLETION -DCALLS=2
mutant call/EARLY_RELEASE          call    -DEARLY_RELEASE -DCALLS=2
mutant call/NO_GENERATION          call    -DNO_GENERATION -DCALLS=2 -DEXECUTES=0 -DCANCELS=1
mutant call/LOST_SLEEPER           call    -DLOST_SLEEPER -DCALLS=2
mutant call/SLEEPER_UNSEEN         call    -DSLEEPER_UNSEEN -DCALLS=2
mutant call/FREE_EARLY             call    -DFREE_EARLY -DCALLS=2
mutant call/RECALL_TWICE           call    -DRECALL_TWICE -DCALLS=2
mutant call/RESULT_AFTER_DONE      call    -DRESULT_AFTER_DONE -DCALLS=2
mutant call/LATE_RESULT_KEPT       call    -DLATE_RESULT_KEPT -DCALLS=2
mutant call/TELL_FIRST             call    -DTELL_FIRST -DCALLS=2 -DEXECUTES=0
mutant call/EXPIRE_ONCE            call    -DEXPIRE_ONCE -DCALLS=2 -DEXECUTES=0
mutant call/WATCH_UNORDERED        call    -DWATCH_UNORDERED -DCALLS=2 -DWATCHES=1
mutant call/HOOK_UNORDERED         call    -DWATCH_UNORDERED -DCALLS=2 -DHOOKS=1
mutant call/END_WITHOUT_WAIT       call    -DEND_WITHOUT_WAIT -DCALLS=2 -DWATCHES=1
mutant call/HOOK_WITHOUT_WAIT      call    -DEND_WITHOUT_WAIT -DCALLS=2 -DHOOKS=1
mutant call/CHANGED_LATE           call    -DCHANGED_LATE -DCALLS=2 -DWATCHES=1
mutant call/HOOK_UNCOUNTED         call    -DHOOK_UNCOUNTED -DCALLS=2 -DHOOKS=1
endless call/WORD_ONCE             call    -DWORD_ONCE -DLIVE -DCALLS=2 -DEXECUTES=0 -DCANCELS=1
mutant pool/PARK_OUTSIDE           pool    -DPARK_OUTSIDE
mutant pool/LOST_WAKE              pool    -DLOST_WAKE
mutant pool/PUSH_BESIDE_PARKED     pool    -DPUSH_BESIDE_PARKED
mutant pool/DOUBLE_PARK            pool    -DDOUBLE_PARK
mutant pool/GIVEN_LATE             pool    -DGIVEN_LATE
mutant pool/CLOSE_STORES           pool    -DCLOSE_STORES
mutant pool/CLOSE_QUIETLY          pool    -DCLOSE_QUIETLY
mutant pool/STALE_RETRIES          pool    -DSTALE_RETRIES -DFAILURES=1 -DCELLS=2
mutant pool/BELOW_LATE             pool    -DBELOW_LATE -DRESIZES=1 -DOFFERERS=1 -DCELLS=2
mutant pool/RETIRE_UNCOUNTED       pool    -DRETIRE_UNCOUNTED -DRESIZES=1 -DOFFERERS=1 -DCELLS=2
mutant pool/ENLIST_CLOSED          pool    -DENLIST_CLOSED -DRESIZES=1 -DSIZE=1 -DOTHER_SIZE=2 -DOFFERERS=1 -DCELLS=2
mutant pool/FREE_BESIDE_HELPER     pool    -DFREE_BESIDE_HELPER -DRESIZES=1 -DOFFERERS=1 -DCELLS=2
mutant pool/COME_BACK_QUIETLY      pool    -DCOME_BACK_QUIETLY -DABANDONS=1 -DSIZE=1 -DOFFERERS=1 -DCELLS=2 -DSTRUCTS=2 -DCLOSE_LATE=1
mutant timer/ARM_BEFORE_QUEUED     timer   -DARM_BEFORE_QUEUED -DCALLS=2
mutant timer/RAISE_AFTER_SCAN      timer   -DRAISE_AFTER_SCAN -DCALLS=2
mutant timer/UNTIL_UNCHECKED       timer   -DUNTIL_UNCHECKED -DCALLS=2
mutant timer/UNTIL_BEFORE_LOWER    timer   -DUNTIL_BEFORE_LOWER -DCALLS=2
mutant timer/WORD_LATE             timer   -DWORD_LATE -DCALLS=2
mutant timer/STOPPING_FIRST        timer   -DSTOPPING_FIRST -DCALLS=2
mutant timer/MOMENT_FIRST          timer   -DMOMENT_FIRST -DCALLS=2
mutant timer/NO_DISARM             timer   -DNO_DISARM -DCALLS=2
mutant timer/DISARM_LATE           timer   -DDISARM_LATE -DCALLS=2
mutant timer/GROW_EARLY            timer   -DGROW_EARLY -DCALLS=2 -DGROWS=1
mutant stop/OFFER_AFTER_CLOSE      stop    -DOFFER_AFTER_CLOSE -DWATCHES=0 -DWORKERS=1
mutant stop/SCAN_SKIPPED           stop    -DSCAN_SKIPPED -DWATCHES=0 -DWORKERS=1
mutant stop/SCAN_RUNNING_ONLY      stop    -DSCAN_RUNNING_ONLY -DWATCHES=0 -DWORKERS=1
mutant stop/SCAN_ONCE              stop    -DSCAN_ONCE -DWATCHES=0 -DWORKERS=1
mutant stop/ACT_SKIPPED            stop    -DACT_SKIPPED -DWORKERS=1
mutant stop/TELL_FIRST             stop    -DTELL_FIRST -DWATCHES=0 -DWORKERS=1
mutant stop/TURNED_AWAY_UNTOLD     stop    -DTURNED_AWAY_UNTOLD -DWATCHES=0 -DWORKERS=1
mutant stop/TURNED_AWAY_TWICE      stop    -DTURNED_AWAY_TWICE -DWATCHES=0 -DWORKERS=1 -DTIMED=1
mutant stop/NEXT_AFTER_RELEASE     stop    -DNEXT_AFTER_RELEASE -DWATCHES=0 -DWORKERS=1
mutant stop/RETRY_UNCHECKED        stop    -DRETRY_UNCHECKED -DWATCHES=0 -DWORKERS=1 -DFAILURES=1
mutant stop/CLOSE_LEAVES_RETRIES   stop    -DCLOSE_LEAVES_RETRIES -DWATCHES=0 -DWORKERS=1 -DFAILURES=1
mutant stop/HELPER_FIRST           stop    -DHELPER_FIRST -DWATCHES=0 -DWORKERS=1 -DHOOKS=1
mutant stop/FREE_WHEN_BUSY         stop    -DFREE_WHEN_BUSY -DWATCHES=0 -DWORKERS=1 -DCOMES_BACK=1
mutant stop/CHORES_LEFT            stop    -DCHORES_LEFT -DWATCHES=0 -DWORKERS=1 -DHOOKS=1 -DSTUCK_HOOKS=1 -DCOMES_BACK=1
END

# check KIND NAME FILE OPTIONS...: one line of result, the last word of which is told by the exit status.
check()
{
    kind=$1 name=$2 file=$3 search=-DSAFETY how=
    shift 3
    case $kind in
    ends | endless) search=-DNP how=-l ;; # a cycle without progress is any cycle: no label says progress
    esac
    dir=$work/$(echo "$name" | tr / _)
    mkdir -p "$dir" && cd "$dir" || return 1
    if ! spin "$@" -a "$here/$file.pml" >log 2>&1 ||
        ! ${CC:-cc} -O2 -w $search -DCOLLAPSE -DMEMLIM=2900 -o pan pan.c >>log 2>&1; then
        echo "$kind $name: FAILED to build: $(head -1 log)"
        return 1
    fi
    # shellcheck disable=SC2086
    ./pan $how -m1000000 -w24 >log 2>&1
    states=$(sed -n 's/^ *\([0-9][0-9]*\) states, stored.*/\1/p' log)
    why=$(sed -n 's/^pan:1: //p' log | sed 's/ (at depth.*//')
    case $kind-$why in
    mutant-assertion*"array index"*) ;;
    mutant-assertion* | endless-non-progress*) echo "$kind $name: caught" && return 0 ;;
    esac
    if [ "$kind" = mutant ] || [ "$kind" = endless ]; then
        echo "$kind $name: FAILED, not caught (${states:-no} states) $why"
    elif [ -n "$why" ]; then
        echo "$kind $name: FAILED, $why"
    elif ! grep -q 'errors: 0$' log || grep -Eq 'Search not completed|max search depth|out of memory|bound' log; then
        echo "$kind $name: FAILED, not searched to the end: $(grep -E 'error|memory|bound' log | head -1)"
    elif [ "${states:-0}" -lt "$least" ]; then
        echo "$kind $name: FAILED, only $states states"
    else
        echo "$kind $name: $states states, no error"
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
