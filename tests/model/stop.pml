/*
 * Stop with work in flight: every call gets its outcome, every thread that can end does.
 *
 * What must hold (each is an assertion below, named S1 to S7):
 *   S1  every call has exactly one outcome: refused by the gate, turned away on its own thread, or told
 *       once.
 *   S2  when stop returns, with or without stuck threads, no call is left without an owner of its outcome:
 *       none runs that has its caller, and one that is queued is just being offered by a thread that will
 *       turn it away.
 *   S3  a place goes back once, and not before the work has returned. At rest the places out are those of
 *       work that is stuck.
 *   S4  a cell is freed once, when its last user is done with it, and never used after.
 *   S5  work that is stuck on a watched descriptor or on what a hook releases is stuck no longer once it
 *       has been left: at rest only work that nothing can stop still runs.
 *   S6  stop says OK only if every thread of the pool has ended; memory is freed only if nobody can touch
 *       it any more, be it a stuck worker or a stuck helper.
 *   S7  nobody waits for ever: when nothing can move any more, every caller has returned, stop has
 *       returned each time it was called, and all threads have ended but those that are stuck in user code.
 *
 * Liveness: no state comes twice (-DLIVE: a search for cycles, without the auditor, finds none), so every
 * run ends; and S1, S5 and S7, asserted at the end of every run, are what must happen in the end, with no
 * other fairness than that whatever can move does.
 *
 * Modelled, one shared access per step; what the pool's mutex guards is one step:
 *   caller        execute without a deadline, or submit and its completion: the gate, wr_job_send, await
 *   worker        start(), wr_pool_retry, wr_pool_next, work(); the work returns at once, waits on a watched
 *                 descriptor, waits for what its hook does, or is stuck
 *   leave         wr_job_leave: withdraw, abandon, end_left; then wr_job_tell
 *   timer         makes submitted calls leave, at any time
 *   stopper       weir_runtime_stop, twice: the first grace ends at any time; the second waits for as long
 *                 as any thread can still end; then weir_runtime_destroy
 *   helper        hooks, each with a reference to its cell, and chores of the pool and of another pool
 * A cell is used for one call here; call.pml uses cells again. How workers are parked: pool.pml.
 *
 * Rules that are easy to miss, each with its planted error:
 *   - when the grace is over a cell may be in a worker's hands and still be QUEUED: the scan takes those
 *     too (SCAN_RUNNING_ONLY), and looks again when the worker was faster (SCAN_ONCE);
 *   - the helper is stopped after the scan, whose hooks it calls (HELPER_FIRST);
 *   - a helper that is left to itself, stuck in a hook, must find no chore of a pool that is gone
 *     (CHORES_LEFT).
 *
 * Not modelled: weak memory order, the process's own clocks, forks, inline calls and permits.
 *
 * Planted errors, each must be found: OFFER_AFTER_CLOSE, SCAN_SKIPPED, SCAN_RUNNING_ONLY, SCAN_ONCE,
 * ACT_SKIPPED, TELL_FIRST, TURNED_AWAY_UNTOLD, TURNED_AWAY_TWICE, NEXT_AFTER_RELEASE, RETRY_UNCHECKED,
 * CLOSE_LEAVES_RETRIES, HELPER_FIRST, FREE_WHEN_BUSY, CHORES_LEFT.
 */

#ifndef CALLS
#define CALLS 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef STUCK
#define STUCK 1 /* calls whose work may never return */
#endif
#ifndef COMES_BACK
#define COMES_BACK 0 /* 1: stuck work returns after the first stop, at any time */
#endif
#ifndef FAILURES
#define FAILURES 0 /* of worker_start, all workers together */
#endif
#ifndef TIMED
#define TIMED 0 /* the first so many calls have a moment */
#endif
#ifndef WATCHES
#define WATCHES 1 /* may work wait on a watched descriptor? */
#endif
#ifndef HOOKS
#define HOOKS 0 /* may work wait for its hook? */
#endif
#ifndef STUCK_HOOKS
#define STUCK_HOOKS 0 /* may a hook be stuck? */
#endif

#define NONE 255

/* word */
#define FREE 0
#define QUEUED 1
#define RUNNING 2
#define DONE 3
#define LEFT 4

/* ends */
#define SETTLED 1
#define RETURNED 2

byte word[CALLS];
byte references[CALLS];
byte ends[CALLS];
bit armed[CALLS];   /* it has a moment */
bit told[CALLS];
bit watch[CALLS];   /* armed */
bit shut[CALLS];    /* its descriptor */
bit hook[CALLS];    /* armed */
bit called[CALLS];  /* its hook has been */

bit refusing;       /* the gate */
byte queue[CALLS];
byte length;
bit closed;
byte alive = WORKERS;
byte abandoned;
bit retries[WORKERS];
bit wake[WORKERS];

/* The timer, the helper. */
bit timer_stopping, timer_gone;
bit helper_stopping, helper_gone, helper_left;
bit hook_posted[CALLS];
bit tend_posted, other_posted;

byte failures = FAILURES;
byte stuck = STUCK;
bit unstuck;

/* What really happened; read by assertions only. */
byte g_outcomes[CALLS];
bit g_place[CALLS];
bit g_run[CALLS];      /* the work has begun and has not returned */
bit g_offering[CALLS]; /* between the gate and the offer */
bit g_freed[CALLS];
byte g_stuck;          /* workers in stuck work */
bit g_hook[CALLS];     /* the helper's reference */
bit g_hook_stuck;      /* the helper in a stuck hook */
bit g_pool_freed, g_other_freed;
byte g_callers;        /* still inside */
byte g_stops;          /* returned */
bit g_over;

hidden byte h_i;

#define HOOK_POSTED (hook_posted[0] || hook_posted[CALLS / 2] || hook_posted[CALLS - 1])

inline use(k)
{
    assert(references[k] > 0 && !g_freed[k] && !g_pool_freed) /* S4, S6 */
}

inline lock()
{
    assert(!g_pool_freed) /* S6 */
}

inline release(k)
{
    atomic {
        use(k);
        references[k]--;
        if
        :: references[k] == 0 -> g_freed[k] = 1
        :: else
        fi
    }
}

inline give_place(k)
{
    atomic { assert(g_place[k] && !g_run[k]); g_place[k] = 0 } /* S3 */
}

inline tell(k)
{
    atomic { use(k); assert(!told[k]); told[k] = 1 } /* S1 */
}

/* Bit `mine`; the second of leaver and worker gives the place back. */
inline end_left(k, mine)
{
    atomic { use(k); ends[k] = ends[k] | mine; ok = (ends[k] == (SETTLED | RETURNED)) };
    if
    :: ok -> give_place(k); atomic { lock(); abandoned-- }
    :: else
    fi
}

/* Off the queue, if it is there; ok: it was. */
inline recall(k)
{
    atomic {
        lock();
        h_i = 0;
        do
        :: h_i < length && queue[h_i] != k -> h_i++
        :: else -> break
        od;
        ok = (h_i < length);
        if
        :: ok ->
            length--;
            do
            :: h_i < length -> queue[h_i] = queue[h_i + 1]; h_i++
            :: else -> break
            od;
            queue[length] = 0
        :: else
        fi;
        h_i = 0
    }
}

inline post_hook(k)
{
    atomic {
        if
        :: !helper_stopping -> hook_posted[k] = 1; references[k]++; g_hook[k] = 1
        :: else
        fi
    }
}

/* The leaver, after the step from RUNNING. */
inline act(k)
{
#ifdef ACT_SKIPPED
    skip
#else
    atomic {
        use(k);
        if
        :: watch[k] -> watch[k] = 0; shut[k] = 1
        :: else
        fi
    };
#if HOOKS
    if
    :: hook[k] -> post_hook(k)
    :: else
    fi
#endif
#endif
}

/* Leave the call in state `state`; won: the caller of this has to tell. */
inline leave(k, state)
{
    won = false;
    if
    :: state == QUEUED || state == RUNNING ->
        atomic {
            won = (word[k] == state);
            if
            :: won -> word[k] = LEFT
            :: else
            fi
        };
        if
        :: won ->
            armed[k] = 0;
            if
            :: state == QUEUED ->
                give_place(k);
                recall(k);
                if
                :: ok -> release(k)
                :: else
                fi
            :: else ->
                atomic {
                    lock();
                    abandoned++;
                    if
                    :: !closed && !helper_stopping -> tend_posted = 1
                    :: else
                    fi
                };
                act(k);
#ifdef TELL_FIRST
                tell(k);
                won = false;
#endif
                end_left(k, SETTLED)
            fi
        :: else
        fi
    :: else
    fi;
    ok = false
}

proctype caller(byte k)
{
    bool ok, won;

    atomic {
        if
        :: refusing -> g_outcomes[k]++; g_callers--; goto over
        :: else -> g_place[k] = 1; g_offering[k] = 1; references[k] = 2
        fi
    };
    word[k] = QUEUED;
#if TIMED
    if
    :: k < TIMED -> armed[k] = 1
    :: else
    fi;
#endif
    atomic {
        lock();
        g_offering[k] = 0;
        ok = !closed;
#ifdef OFFER_AFTER_CLOSE
        ok = true;
#endif
        if
        :: ok -> queue[length] = k; length++
        :: else -> g_offering[k] = 1
        fi
    };
    if
    :: ok -> ok = false
    :: else ->
        leave(k, QUEUED);
#ifdef TURNED_AWAY_TWICE
        won = true;
#endif
        g_offering[k] = 0;
        release(k); /* the work's */
        if
        :: won ->
            won = false;
            release(k);
            atomic { g_outcomes[k]++; g_callers--; goto over }
        :: else
        fi
    fi;
    told[k];
    atomic { use(k); assert(word[k] == DONE || word[k] == LEFT); g_outcomes[k]++ };
    release(k);
    g_callers--;
over:
    skip
}

/* What the work does in cell c. */
inline run_it(c)
{
    if
    :: true
    :: stuck > 0 ->
        atomic { stuck--; g_stuck++ };
end_stuck:
        unstuck;
        atomic { g_stuck-- }
#if WATCHES
    :: true ->
        watch[c] = 1;
        if
        :: word[c] == LEFT ->
            atomic {
                if
                :: watch[c] -> watch[c] = 0; shut[c] = 1
                :: else
                fi
            }
        :: else
        fi;
        shut[c]
#endif
#if HOOKS
    :: true ->
        hook[c] = 1;
        if
        :: word[c] == LEFT -> hook[c] = 0
        :: else ->
end_hooked: /* behind a hook that is stuck */
            called[c]
        fi;
        hook[c] = 0
#endif
    fi
}

proctype worker(byte me)
{
    byte c = NONE;
    bool ok;

    /* worker_start */
    do
    :: atomic { failures > 0 -> failures-- };
        wake[me] = 0;
        atomic {
            lock();
#ifndef RETRY_UNCHECKED
            if
            :: closed -> goto quit
            :: else -> retries[me] = 1
            fi
#else
            retries[me] = 1
#endif
        };
        if
        :: true -> wake[me] /* for long: only the close ends it */
        :: true
        fi
    :: break
    od;

    /* wr_pool_next, work */
    do
    :: atomic { closed && length == 0 -> lock(); goto quit }
    :: atomic {
            length > 0 ->
            lock();
            retries[me] = 0;
            c = queue[0];
            length--;
            h_i = 0;
            do
            :: h_i < length -> queue[h_i] = queue[h_i + 1]; h_i++
            :: else -> break
            od;
            queue[length] = 0;
            h_i = 0
        };
        atomic {
            use(c);
            ok = (word[c] == QUEUED);
            if
            :: ok -> word[c] = RUNNING; g_run[c] = 1
            :: else
            fi
        };
        if
        :: ok ->
            run_it(c);
            atomic {
                use(c);
                g_run[c] = 0;
                ok = (word[c] == RUNNING);
                if
                :: ok -> word[c] = DONE
                :: else
                fi
            };
            if
            :: ok -> give_place(c); armed[c] = 0; tell(c)
            :: else -> end_left(c, RETURNED)
            fi
        :: else
        fi;
        release(c);
        atomic { c = NONE; ok = false }
    od;

quit:
    atomic { lock(); alive--; ok = false; c = NONE }
}

/* Makes submitted calls leave. */
proctype timer()
{
    byte k, state;
    bool ok, won;
    do
    :: atomic { armed[0] && !timer_stopping -> k = 0; state = word[k] };
        goto expire
#if TIMED > 1
    :: atomic { armed[1] && !timer_stopping -> k = 1; state = word[k] };
        goto expire
#endif
    :: timer_stopping -> break;
expire:
        leave(k, state);
        if
        :: won -> tell(k); won = false
        :: !won && state == QUEUED && word[k] == RUNNING -> state = RUNNING; goto expire
        :: else -> !armed[k] || timer_stopping /* its owner takes the moment back */
        fi;
        atomic { k = 0; state = 0 }
    od;
    timer_gone = 1
}

proctype helper()
{
    byte k;
    do
    :: atomic { tend_posted -> tend_posted = 0; assert(!g_pool_freed) } /* S6 */
#if STUCK_HOOKS
    :: atomic { other_posted -> other_posted = 0; assert(!g_other_freed) } /* S6 */
#endif
#if HOOKS
    :: atomic {
            HOOK_POSTED ->
            do
            :: !hook_posted[k] -> k++
            :: else -> hook_posted[k] = 0; break
            od
        };
        atomic {
            use(k);
            if
            :: hook[k] -> called[k] = 1
            :: else
            fi
        };
#if STUCK_HOOKS
        if
        :: called[k] ->
            g_hook_stuck = 1;
end_hook:
            unstuck;
            g_hook_stuck = 0
        :: true
        fi;
#endif
        atomic { g_hook[k] = 0; release(k) };
        k = 0
#endif
    :: helper_stopping && !tend_posted && !other_posted && !HOOK_POSTED -> break
    od;
    helper_gone = 1
}

inline stop_helper()
{
    helper_stopping = 1;
    if
    :: helper_gone
    :: g_hook_stuck -> busy = true
    fi
}

/* wr_pool_join; the last stop's grace lasts until all who can end have. */
inline join(last)
{
    if
    :: alive == 0
    :: !last && alive > 0
    :: last && alive > 0 && (alive == g_stuck || g_hook_stuck) /* hooks come one after the other */
    fi;
    busy = (alive > 0)
}

inline stop(last)
{
    busy = false;
    refusing = 1;
    atomic {
        lock();
        closed = 1;
        do
        :: length > 0 -> length--; mine[length] = queue[length]; queue[length] = 0; n++
        :: else -> break
        od;
#ifndef CLOSE_LEAVES_RETRIES
        h_i = 0;
        do
        :: h_i < WORKERS && retries[h_i] -> retries[h_i] = 0; wake[h_i] = 1; h_i++
        :: h_i < WORKERS && !retries[h_i] -> h_i++
        :: else -> break
        od;
        h_i = 0
#endif
    };
    k = 0;
    do
    :: k < n ->
        c = mine[k];
        state = word[c];
        leave(c, state);
        if
#ifndef TURNED_AWAY_UNTOLD
        :: won -> tell(c); won = false
#endif
        :: else
        fi;
        release(c); /* the work's */
#ifdef NEXT_AFTER_RELEASE
        use(c);
#endif
        atomic { k++; c = 0; state = 0 }
    :: else -> break
    od;
    atomic { k = 0; n = 0; won = false; mine[0] = 0; mine[CALLS - 1] = 0; mine[CALLS / 2] = 0 };

    join(last);
    if
    :: busy ->
#ifdef HELPER_FIRST
        stop_helper();
#endif
#ifndef SCAN_SKIPPED
        do
        :: k < CALLS ->
            state = word[k];
            do
#ifdef SCAN_RUNNING_ONLY
            :: state == RUNNING ->
#else
            :: state == QUEUED || state == RUNNING ->
#endif
                leave(k, state);
                if
                :: won -> tell(k); break
                :: else -> state = word[k]
                fi
#ifdef SCAN_ONCE
                ;
                break
#endif
            :: else -> break
            od;
            atomic { won = false; state = 0; k++ }
        :: else -> break
        od;
        k = 0;
#endif
        join(last)
    :: else
    fi;
    timer_stopping = 1;
    timer_gone;
    stop_helper();
    atomic {
        assert(busy || alive == 0); /* S6 */
        do
        :: k < CALLS ->
            assert(word[k] != RUNNING && (word[k] != QUEUED || g_offering[k])); /* S2 */
            k++
        :: else -> break
        od;
        k = 0;
        g_stops++
    }
}

proctype stopper()
{
    byte k, n, c, state;
    byte mine[CALLS];
    bool ok, won, busy;

    stop(false);
    stop(true);

    /* weir_runtime_destroy: nobody is inside; what is in use stays. */
    g_callers == 0;
    if
    :: !helper_gone ->
#ifdef CHORES_LEFT
        helper_left = 1
#else
        atomic { helper_left = 1; tend_posted = 0; other_posted = 0 }
#endif
    :: else
    fi;
    g_other_freed = 1;
    atomic {
        do
        :: k < CALLS && (references[k] == 0 || g_freed[k]) -> k++
        :: else -> break
        od;
        if
#ifdef FREE_WHEN_BUSY
        :: true -> g_pool_freed = 1
#endif
        :: k == CALLS && alive == 0 -> g_pool_freed = 1
        :: else
        fi;
        k = 0
    };
    g_over = 1
}

/* Something of another pool is posted. */
proctype other()
{
    atomic {
        if
        :: !refusing -> other_posted = 1
        :: else
        fi
    }
}

/* Stuck work comes back. */
proctype comes_back()
{
    g_stops > 0;
    unstuck = 1
}

/* When nothing can move any more. */
proctype auditor()
{
    byte k;
    timeout;
    assert(g_over && g_callers == 0 && timer_gone); /* S7 */
    assert((alive == g_stuck || g_hook_stuck) && (helper_gone || g_hook_stuck || helper_left)); /* S5, S7 */
    assert(!COMES_BACK || alive == 0); /* S7 */
    assert(abandoned == alive);
    do
    :: k < CALLS ->
        assert(g_outcomes[k] == 1); /* S1 */
        assert(g_place[k] == g_run[k]); /* S3 */
        assert(references[k] == g_run[k] + g_hook[k]); /* S4 */
        k++
    :: else -> break
    od
}

init {
    atomic {
        byte k = 0;
        g_callers = CALLS;
        do
        :: k < CALLS -> run caller(k); k++
        :: else -> break
        od;
        k = 0;
        do
        :: k < WORKERS -> run worker(k); k++
        :: else -> k = 0; break
        od;
        run timer();
        run helper();
#if STUCK_HOOKS
        run other();
#endif
        run stopper();
#if COMES_BACK
        run comes_back();
#endif
#ifndef LIVE
        run auditor()
#endif
    }
}
