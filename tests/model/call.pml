/*
 * One call in its cell: who owns its outcome, who waits, who holds the cell, and what happens to work
 * that is left.
 *
 * What must hold (each is an assertion below, named C1 to C8):
 *   C1  every call is settled exactly once, and told once: its caller in execute returns once, a submitted
 *       call has one completion.
 *   C2  its place goes back exactly once, not before its work has returned, and before its cell is free.
 *   C3  its argument is dropped exactly once, after its last use; a result is taken or dropped exactly once,
 *       and whoever takes it finds this call's.
 *   C4  a cell is used only by who holds a reference, or by who has won the step to the end of its call and
 *       has not told yet; it is free when the last reference is gone, not before.
 *   C5  no step of an old generation succeeds: an old ticket and a late timer hit nothing. A moment that
 *       has come leaves its call without a caller: the timer does not lose it to the worker's step.
 *   C6  no shutdown of a descriptor, and no call of a hook, after the end of its watch has returned.
 *   C7  a leave is never missed by a watch or a hook that stands.
 *   C8  nobody waits for ever, in execute or at the end of a watch.
 *
 * Modelled, one shared access per step:
 *   word[]        (generation, state), changed by compare-and-swap; LEFT stands for the five ways to leave
 *   done[]        with the futex of the thread in execute; a wake may come late and then wakes whoever
 *                 sleeps on that cell by then
 *   references[], ends[], moment[], linked[] (in the pool's queue), fd[], hook[], changed[]
 *   executer      wr_pooled_execute, await(), leave(): patient, or leaves at any moment
 *   submitter     wr_job_send with wr_timer_arm
 *   worker        work(), work_on(), finish(), finish_late(), with wr_leave_open and wr_leave_close
 *   leave         wr_job_leave: withdraw(), abandon(), end_left(); tell = wr_job_tell
 *   timer         look_at(), expire(), at any moment; canceller = weir_ticket_cancel with any ticket ever
 *                 issued; taker = weir_queue_take, weir_completion_end
 *   watch         weir_call_watch_fd against shut_down(); hooked = weir_call_on_leave against call_hook()
 *
 * No state comes twice (-DLIVE: a search for cycles, without the auditor), so every run ends, and C8 at
 * the end of every run is what must happen in the end. An error that makes it run for ever: WORD_ONCE.
 *
 * Not modelled: weak memory order, the free list (a cell is taken in one step), the wrap of generations
 * and of `changed`, the pool (pool.pml), its close (stop.pml), when a moment comes (timer.pml).
 *
 * Planted errors, each must be found: DOUBLE_COMPLETION, EARLY_RELEASE, NO_GENERATION, LOST_SLEEPER,
 * SLEEPER_UNSEEN, FREE_EARLY, RECALL_TWICE, RESULT_AFTER_DONE, LATE_RESULT_KEPT, TELL_FIRST, EXPIRE_ONCE,
 * WATCH_UNORDERED, END_WITHOUT_WAIT, CHANGED_LATE, HOOK_UNCOUNTED.
 */

#ifndef CALLS
#define CALLS 3
#endif
#ifndef EXECUTES
#define EXECUTES CALLS /* so many of them are executed, the others submitted */
#endif
#ifndef EXECUTERS
#define EXECUTERS 2
#endif
#ifndef CELLS
#define CELLS 1
#endif
#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef CANCELS
#define CANCELS 0
#endif
#ifndef WATCHES
#define WATCHES 0
#endif
#ifndef HOOKS
#define HOOKS 0
#endif
#define SUBMITS (CALLS - EXECUTES)

#define NONE 255

#define FREE 0
#define QUEUED 1
#define RUNNING 2
#define DONE 3
#define LEFT 4
#define WORD(g, s) ((g) * 8 + (s))
#define GENERATION(w) ((w) / 8)
#define STATE(w) ((w) % 8)
#define IS_LIVE(w) (STATE(w) == QUEUED || STATE(w) == RUNNING)

/* done */
#define SLEEPER 1
#define ALL_DONE 2

/* ends */
#define SETTLED 1
#define RETURNED 2

/* fd, hook */
#define OFF 0
#define ARMED 1
#define ACTING 2
#define CLOSED 3

byte word[CELLS];
byte done[CELLS];
bit asleep[CELLS]; /* in the futex on done */
byte references[CELLS];
byte ends[CELLS];
bit moment[CELLS]; /* there is one */
bit linked[CELLS];
byte result[CELLS]; /* 1 + the call whose result it is */
byte fd[CELLS];
byte hook[CELLS];
bit changed[CELLS];
bit posted[CELLS]; /* the hook's chore */
bit completed[CELLS]; /* in the completion queue */
bit is_free[CELLS] = 1;
byte executes = EXECUTES;
byte submits = SUBMITS;
byte cancels = CANCELS;
byte ticket_cell[CALLS];
byte ticket_generation[CALLS];
bit issued[CALLS];

/* What really happened; read by assertions only. */
byte g_begun;
byte g_ended; /* calls whose cell has been freed */
byte g_call[CELLS] = NONE;
bit g_settled[CALLS];
bit g_told[CALLS];
bit g_place[CALLS];
bit g_runs[CALLS];
bit g_argument[CALLS];
byte g_result[CALLS]; /* 1: there is one, 2: taken or dropped */
byte g_answers[CALLS];
byte g_abandoned;
bit g_open[CELLS];   /* the descriptor; the frame that the hook uses */
bit g_stands[CELLS]; /* the watch or hook, as far as the work was told */
bit g_acted[CELLS];  /* the leaver has */
bit g_seen[CELLS];   /* shut down; posted */

hidden byte h_i;

/* A cell is used for call k. */
inline use(c, k)
{
    assert(g_call[c] == k && references[c] > 0) /* C4 */
}

inline settle(c, k)
{
    atomic { use(c, k); assert(!g_settled[k]); g_settled[k] = 1 } /* C1 */
}

inline give_place(k)
{
    atomic { assert(g_place[k] && !g_runs[k]); g_place[k] = 0 } /* C2 */
}

/* The last one drops the argument and frees the cell. */
inline release(c, k)
{
    atomic {
        use(c, k);
#ifdef FREE_EARLY
        references[c] = 0;
#else
        references[c]--;
#endif
        last = (references[c] == 0);
        if
        :: last ->
            assert(g_argument[k] && !g_runs[k]); /* C3 */
            g_argument[k] = 0;
            assert(g_settled[k] && !g_place[k]); /* C1, C2 */
            g_call[c] = NONE;
            g_open[c] = 0;
            g_stands[c] = 0;
            g_acted[c] = 0;
            g_seen[c] = 0
        :: else
        fi
    };
    if
    :: last ->
#ifdef NO_GENERATION
        word[c] = WORD(GENERATION(word[c]), FREE);
#else
        word[c] = WORD(GENERATION(word[c]) + 1, FREE);
#endif
        atomic { last = false; is_free[c] = 1; g_ended++ }
    :: else
    fi
}

/* Bit `mine`; the second of leaver and worker gives the place back. */
inline end_left(c, k, mine)
{
    atomic { use(c, k); ends[c] = ends[c] | mine; ok = (ends[c] == (SETTLED | RETURNED)) };
#ifdef EARLY_RELEASE
    ok = (mine == SETTLED);
#endif
    if
    :: ok -> give_place(k); atomic { use(c, k); g_abandoned--; ok = false }
    :: else
    fi
}

inline tell(c, k)
{
    atomic { use(c, k); assert(!g_told[k]); g_told[k] = 1 }; /* C1 */
    if
    :: k >= EXECUTES -> completed[c] = 1
    :: else ->
#ifdef SLEEPER_UNSEEN
        ok = (done[c] == SLEEPER);
        done[c] = ALL_DONE;
#else
        atomic { ok = (done[c] == SLEEPER); done[c] = ALL_DONE };
#endif
        if
        :: ok -> atomic { ok = false; asleep[c] = 0 }
        :: else
        fi
    fi
}

/* ---- the leaver ---- */

inline shut_down(c, k)
{
    atomic { use(c, k); ok = (fd[c] == ARMED) };
    if
    :: ok ->
        atomic {
            ok = (fd[c] == ARMED);
            if
            :: ok -> fd[c] = ACTING
            :: else
            fi
        };
        if
        :: ok ->
            atomic { assert(g_open[c]); g_seen[c] = 1; use(c, k) }; /* C6 */
            fd[c] = OFF;
            changed[c] = !changed[c]
        :: else
        fi
    :: else
    fi;
    ok = false
}

inline post_hook(c, k)
{
    atomic { use(c, k); ok = (hook[c] == ARMED) };
    if
    :: ok ->
#ifndef HOOK_UNCOUNTED
        references[c]++;
#endif
        atomic { posted[c] = 1; g_seen[c] = 1; ok = false }
    :: else
    fi
}

/* Leave the call k that is in word w; won: whoever does this has to tell, if others wait. */
inline leave(c, k, w)
{
    atomic {
        won = (IS_LIVE(w) && word[c] == w);
        if
        :: won -> assert(g_call[c] == k); word[c] = WORD(GENERATION(w), LEFT) /* C5 */
        :: else
        fi
    };
    if
    :: won ->
        atomic { use(c, k); moment[c] = 0 };
        if
        :: STATE(w) == QUEUED ->
            settle(c, k);
            give_place(k);
            atomic { use(c, k); ok = linked[c]; linked[c] = 0 };
#ifdef RECALL_TWICE
            ok = true;
#endif
            if
            :: ok -> ok = false; release(c, k)
            :: else
            fi
        :: else ->
            settle(c, k);
            g_abandoned++;
#if WATCHES
            shut_down(c, k);
#endif
#if HOOKS
            post_hook(c, k);
#endif
            atomic { g_acted[c] = 1; assert(!g_stands[c] || g_seen[c]) }; /* C7 */
#ifdef TELL_FIRST
            if
            :: k >= EXECUTES -> tell(c, k); won = false
            :: else
            fi;
#endif
            end_left(c, k, SETTLED)
        fi
    :: else
    fi
}

/* ---- the callers ---- */

/* Make call k, which holds a place, a job in a free cell. */
inline make(c, k)
{
    atomic {
        if
        :: is_free[0] -> c = 0
        :: CELLS > 1 && is_free[CELLS - 1] -> c = CELLS - 1
        fi;
        is_free[c] = 0;
        g_begun++;
        g_call[c] = k;
        g_place[k] = 1;
        g_argument[k] = 1;
        done[c] = 0;
        references[c] = 2;
        ends[c] = 0;
        result[c] = 0;
        w = WORD(GENERATION(word[c]), QUEUED)
    }
}

inline offer(c)
{
    atomic { assert(!linked[c] && references[c] > 0); linked[c] = 1 } /* C4 */
}

/* Whoever sees DONE takes the result. */
inline take_value(c, k)
{
    atomic {
        use(c, k);
        g_answers[k]++;
        assert(g_answers[k] == 1); /* C1 */
        if
        :: STATE(word[c]) == DONE ->
            assert(result[c] == k + 1 && g_result[k] == 1); /* C3 */
            g_result[k] = 2
        :: else -> assert(STATE(word[c]) == LEFT)
        fi
    }
}

proctype executer()
{
    byte c, k, w;
    bool ok, won, last, forever;
    do
    :: atomic { executes > 0 -> executes--; k = executes };
        make(c, k);
        word[c] = w;
        offer(c);
        /* await() */
        do
        :: true ->
            if
            :: atomic { done[c] == ALL_DONE -> use(c, k) }; break
            :: else
            fi;
#ifdef LOST_SLEEPER
            done[c] = SLEEPER;
            ok = true;
#else
            atomic {
                ok = (done[c] != ALL_DONE);
                if
                :: ok -> done[c] = SLEEPER
                :: else
                fi
            };
#endif
            if
            :: ok ->
                atomic { use(c, k); asleep[c] = (done[c] == SLEEPER); ok = false };
                if
                :: true -> !asleep[c] /* for as long as it takes; or woken for nothing */
                :: !forever -> /* its deadline comes */
                    asleep[c] = 0;
                    if
                    :: done[c] == ALL_DONE -> break
                    :: else
                    fi;
                    do
                    :: true ->
                        atomic { use(c, k); w = word[c] };
                        leave(c, k, w);
                        if
                        :: won || STATE(w) == DONE -> goto ends_here
                        :: !won && STATE(w) == LEFT -> forever = true; break
                        :: else
                        fi
                    od
                fi
            :: else
            fi
        od;
ends_here:
        take_value(c, k);
        release(c, k);
        atomic { c = 0; k = 0; w = 0; won = false; ok = false; forever = false }
    :: else -> break
    od
}

proctype submitter()
{
    byte c, k, w;
    do
    :: atomic { submits > 0 -> submits--; k = EXECUTES + submits };
        make(c, k);
        word[c] = w;
        if
        :: moment[c] = 1
        :: true /* no deadline */
        fi;
        offer(c);
        /* It can be told of by now; whoever is told has the ticket, or sees this function return. */
        atomic {
            ticket_cell[k] = c;
            ticket_generation[k] = GENERATION(w);
            issued[k] = 1;
            c = 0;
            k = 0;
            w = 0
        }
    :: else -> break
    od
}

/* ---- the worker ---- */

#ifdef CHANGED_LATE
#define CHANGED_BEFORE skip
#define CHANGED_AFTER seen = changed[c]
#else
#define CHANGED_BEFORE seen = changed[c]
#define CHANGED_AFTER skip
#endif

/* End a watch or a hook; ok: it was armed, and nobody had acted on it. */
inline end_action(word_, then)
{
    do
    :: true ->
        CHANGED_BEFORE;
        atomic {
            state = word_;
            ok = (state == ARMED);
            if
            :: ok -> word_ = then
            :: else
            fi
        };
        if
        :: state == ACTING ->
#ifdef END_WITHOUT_WAIT
            break
#else
            CHANGED_AFTER;
            changed[c] != seen
#endif
        :: else -> break
        fi
    od;
    atomic { state = 0; seen = 0 }
}

/* weir_call_watch_fd(), some work, the end of the watch, close(). */
inline watch()
{
    g_open[c] = 1;
#ifdef WATCH_UNORDERED
    w = word[c];
    fd[c] = ARMED;
#else
    fd[c] = ARMED;
    w = word[c];
#endif
    if
    :: STATE(w) == LEFT ->
        end_action(fd[c], OFF);
        ok = false
    :: else -> atomic { g_stands[c] = 1; assert(!g_acted[c] || g_seen[c]) } /* C7 */
    fi;
    g_stands[c] = 0;
    end_action(fd[c], OFF);
    atomic { g_open[c] = 0; ok = false; w = 0 }
}

/* weir_call_on_leave(), some work, its end, the end of the frame that it uses. */
inline hooked()
{
    g_open[c] = 1;
#ifdef WATCH_UNORDERED
    w = word[c];
    hook[c] = ARMED;
#else
    hook[c] = ARMED;
    w = word[c];
#endif
    ok = false;
    if
    :: STATE(w) == LEFT ->
        atomic {
            ok = (hook[c] == ARMED);
            if
            :: ok -> hook[c] = CLOSED
            :: else
            fi
        }
    :: else
    fi;
    if
    :: !ok -> atomic { g_stands[c] = 1; assert(!g_acted[c] || g_seen[c]) } /* C7 */
    :: else
    fi;
    g_stands[c] = 0;
    end_action(hook[c], CLOSED);
    atomic { g_open[c] = 0; ok = false; w = 0 }
}

proctype worker()
{
    byte c, k, w, g, state;
    bool ok, won, last, seen;
    do
    :: atomic {
            (linked[0] || linked[CELLS - 1]) && k == 0 ->
            if
            :: linked[0] -> c = 0
            :: CELLS > 1 && linked[CELLS - 1] -> c = CELLS - 1
            fi;
            linked[c] = 0;
            k = g_call[c]
        };
        atomic { use(c, k); w = word[c] };
        if
        :: STATE(w) == QUEUED -> /* in time */
            atomic { use(c, k); fd[c] = OFF; hook[c] = OFF };
            atomic {
                ok = (word[c] == w);
                if
                :: ok -> assert(g_call[c] == k); word[c] = w - QUEUED + RUNNING; g_runs[k] = 1 /* C5 */
                :: else
                fi
            };
            if
            :: ok ->
                atomic { ok = false; g = GENERATION(w); w = 0; use(c, k); assert(g_argument[k]) }; /* C3 */
#if WATCHES
                watch();
#endif
#if HOOKS
                hooked();
#endif
                atomic { use(c, k); assert(g_argument[k]); g_runs[k] = 0; g_result[k] = 1 }; /* C3 */
#ifndef RESULT_AFTER_DONE
                result[c] = k + 1;
#endif
                atomic {
                    use(c, k);
                    ok = (word[c] == WORD(g, RUNNING));
                    if
                    :: ok -> word[c] = WORD(g, DONE)
                    :: else
                    fi
                };
#ifdef RESULT_AFTER_DONE
                result[c] = k + 1;
#endif
#ifdef DOUBLE_COMPLETION
                ok = true;
#endif
                if
                :: ok ->
                    ok = false;
                    settle(c, k);
                    give_place(k);
                    atomic { use(c, k); moment[c] = 0 };
                    tell(c, k)
                :: else ->
#ifndef LATE_RESULT_KEPT
                    atomic { assert(g_result[k] == 1); g_result[k] = 2 }; /* C3 */
#endif
                    end_left(c, k, RETURNED)
                fi
            :: else
            fi
        :: STATE(w) == QUEUED -> /* its deadline is over */
            leave(c, k, w);
            if
            :: won -> won = false; tell(c, k)
            :: else
            fi
        :: else
        fi;
        release(c, k);
        atomic { c = 0; k = 0; w = 0; g = 0 }
    :: g_ended == CALLS -> break
    od
}

#if SUBMITS

proctype timer()
{
    byte c, k, w, g;
    bool ok, won, last;
    do
    :: moment[0] -> goto look
#if CELLS > 1
    :: moment[CELLS - 1] -> c = CELLS - 1; goto look
#endif
    :: g_ended == CALLS -> break;
look:
        atomic { w = word[c]; k = g_call[c]; g = GENERATION(w) };
        if
        :: IS_LIVE(w) && moment[c] ->
            do
            :: true ->
                leave(c, k, w);
                if
                :: won -> break
                :: else -> w = word[c]
                fi;
#ifdef EXPIRE_ONCE
                break
#endif
                if
                :: w == WORD(g, RUNNING)
                :: else -> break
                fi
            od;
            assert(GENERATION(word[c]) != g || !IS_LIVE(word[c])); /* C5 */
            if
            :: won -> won = false; tell(c, k)
            :: else
            fi
        :: else
        fi;
        /* Not looked at again before it is armed again. */
        !moment[c] || GENERATION(word[c]) != g;
        atomic { c = 0; k = 0; w = 0; g = 0 }
    od
}

proctype canceller()
{
    byte c, k, w;
    bool ok, won, last;
    do
    :: atomic {
            cancels > 0 && g_ended < CALLS ->
            cancels--;
            if
            :: issued[CALLS - 1] -> k = CALLS - 1
            :: issued[EXECUTES] -> k = EXECUTES
            :: issued[(EXECUTES + CALLS) / 2] -> k = (EXECUTES + CALLS) / 2
            :: g_ended == CALLS -> break
            fi;
            c = ticket_cell[k]
        };
#ifdef WORD_ONCE
        w = word[c];
#endif
        do
        :: true ->
#ifndef WORD_ONCE
            w = word[c];
#endif
            if
            :: GENERATION(w) == ticket_generation[k] && IS_LIVE(w) ->
                leave(c, k, w);
                if
                :: won -> won = false; tell(c, k); break
                :: else
                fi
            :: else -> break
            fi
        od;
        atomic { c = 0; k = 0; w = 0 }
    :: cancels == 0 || g_ended == CALLS -> break
    od
}

proctype taker()
{
    byte c, k;
    bool last;
    do
    :: atomic { completed[0] -> completed[0] = 0; c = 0; k = g_call[c] }; goto take
#if CELLS > 1
    :: atomic { completed[CELLS - 1] -> completed[CELLS - 1] = 0; c = CELLS - 1; k = g_call[c] }; goto take
#endif
    :: g_ended == CALLS -> break;
take:
        take_value(c, k);
        release(c, k);
        atomic { c = 0; k = 0 }
    od
}

#endif

proctype helper()
{
    byte c, k;
    bool ok, last;
    do
    :: atomic {
            (posted[0] || posted[CELLS - 1]) && !ok ->
            if
            :: posted[0] -> c = 0
            :: CELLS > 1 && posted[CELLS - 1] -> c = CELLS - 1
            fi;
            posted[c] = 0;
            k = g_call[c]
        };
        atomic {
            use(c, k);
            ok = (hook[c] == ARMED);
            if
            :: ok -> hook[c] = ACTING
            :: else
            fi
        };
        if
        :: ok ->
            atomic { assert(g_open[c]); use(c, k) }; /* C6 */
            hook[c] = OFF;
            changed[c] = !changed[c]
        :: else
        fi;
        ok = false;
        release(c, k);
        atomic { c = 0; k = 0 }
    :: g_ended == CALLS -> break
    od
}

/* When nothing can move any more. */
proctype auditor()
{
    byte k;
    timeout;
    assert(g_ended == CALLS); /* C8 */
    assert(g_abandoned == 0);
    do
    :: k < CALLS ->
        assert(g_settled[k] && !g_place[k] && !g_argument[k] && g_result[k] != 1); /* C1, C2, C3 */
        assert(g_answers[k] == 1); /* C1 */
        k++
    :: else -> break
    od
}

init {
    atomic {
        byte k = 0;
        do
        :: k < EXECUTERS && EXECUTES > 0 -> run executer(); k++
        :: else -> k = 0; break
        od;
        do
        :: k < WORKERS -> run worker(); k++
        :: else -> k = 0; break
        od;
#if SUBMITS
        run submitter();
        run timer();
        run canceller();
        run taker();
#endif
#if HOOKS
        run helper();
#endif
#ifndef LIVE
        run auditor()
#endif
    }
}
