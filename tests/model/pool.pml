/*
 * The pool: the queue, workers that park and are woken, direct hand-off, size, close, and the end of
 * threads and memory.
 *
 * What must hold (each is an assertion below, named W1 to W7):
 *   W1  whenever the mutex is free: no call is queued while a worker is parked.
 *   W2  a cell is in one place: with its offerer, in the queue, given to a worker, with a worker, with
 *       whoever recalled it, or turned away by the close; and each leaves for good exactly once.
 *   W3  a worker is on the parked stack at most once, asleep or about to be, with nothing given.
 *   W4  a worker's struct is touched only while it is allocated, by name: whoever stores `wake` after it has
 *       left the mutex, walks the parked ones, or frees it. (The futex wake after the store uses the
 *       address only.) The same for the pool.
 *   W5  `serving` is the number of workers on the list that have not decided to retire.
 *   W6  nobody waits for ever: when nothing can move any more, every call has left, every thread of the
 *       pool has ended and has been joined once, all its memory is freed.
 *   W7  at rest no more workers serve than are wanted.
 *
 * Modelled, one shared access per step; what the mutex guards is one step, since all of it is done
 * under the mutex:
 *   offer, recall         wr_pool_offer, wr_pool_recall
 *   worker                recruit_body, wr_worker_body: start(), wr_pool_next, wr_pool_quit
 *   wake_up, sleep        wake(), sleep_until_woken(): a store of `wake` outside of the mutex, then a futex
 *                         wake that may come late and then wakes whoever sleeps there by then
 *   resizer               wr_pool_recruit, wr_pool_resize, wr_pool_enlist, wr_pool_top_up; a new size
 *                         comes before the workers for it, or they would retire
 *   leaver                wr_pool_abandon, wr_pool_come_back
 *   helper                tend(): join_exited(), replacing
 *   closer                wr_pool_close, wr_pool_join, wr_helper_stop, then the memory is freed
 *
 * Rules that are easy to miss, each with its planted error:
 *   - whoever waits between two attempts of worker_start is woken by a store under the mutex, which must
 *     not meet a worker that somebody else is about to wake: it could end, and be freed under that one's
 *     hands. So a worker takes its flag back before it can be parked (STALE_RETRIES);
 *   - whoever wakes a list of workers reads the next one before it wakes (BELOW_LATE);
 *   - the pool outlives its threads, and the helper that may just be joining one (FREE_BESIDE_HELPER).
 *
 * No state comes twice (-DLIVE: a search for cycles, without the auditor), so every run ends.
 *
 * Not modelled: weak memory order, the discipline (first come, first served, here), the work itself,
 * failures to start a thread.
 *
 * Planted errors, each must be found: PARK_OUTSIDE, LOST_WAKE, PUSH_BESIDE_PARKED, DOUBLE_PARK,
 * CLOSE_STORES, STALE_RETRIES, BELOW_LATE, FREE_BESIDE_HELPER, GIVEN_LATE, RETIRE_UNCOUNTED,
 * ENLIST_CLOSED, CLOSE_QUIETLY, COME_BACK_QUIETLY.
 */

#ifndef OFFERERS
#define OFFERERS 2
#endif
#ifndef CELLS
#define CELLS 3 /* calls, each offered once */
#endif
#ifndef SIZE
#define SIZE 2 /* workers at the beginning */
#endif
#ifndef RESIZES
#define RESIZES 0 /* the size goes SIZE, OTHER_SIZE, SIZE, ... */
#endif
#ifndef OTHER_SIZE
#define OTHER_SIZE 1
#endif
#ifndef FAILURES
#define FAILURES 0 /* of worker_start, all workers together */
#endif
#ifndef RECALLS
#define RECALLS 0
#endif
#ifndef ABANDONS
#define ABANDONS 0
#endif
#ifndef STRUCTS
#define STRUCTS 3 /* workers that can ever be started: their memory is not used twice */
#endif
#ifndef CLOSE_LATE
#define CLOSE_LATE 0 /* 1: the close comes when nothing moves any more */
#endif

#define NONE 255

/* wake */
#define NOT 0
#define LOOK 1
#define DISMISSED 2

/* lists of workers */
#define NO_LIST 0
#define WORKERS 1
#define EXITED 2

/* where a cell is */
#define WITH_OFFERER 0
#define IN_QUEUE 1
#define GIVEN 2
#define WITH_WORKER 3
#define LEFT 4

byte queue[CELLS];
byte length;
byte parked = NONE;
byte size = SIZE;
byte serving;
byte alive;
byte abandoned;
bit closed;
byte below[STRUCTS];
byte wake[STRUCTS];
byte given[STRUCTS];
bit retries[STRUCTS];
bit asleep[STRUCTS]; /* in the futex */
byte on_list[STRUCTS];

/* The helper. */
bit posted;
bit stopping;
bit gone;

byte failures = FAILURES;
byte to_offer = CELLS;
byte structs; /* allocated so far */

/* What really happened; read by assertions only, and where an actor waits for others to have left. */
byte g_place[CELLS];
byte g_left;              /* cells that have left for good */
bit g_memory[STRUCTS];    /* the struct is allocated */
bit g_ended[STRUCTS];     /* the thread has ended */
bit g_serves[STRUCTS];
bit g_parked[STRUCTS];
bit g_pool_freed;
byte g_users = OFFERERS + (RESIZES > 0) + (RECALLS > 0) + ABANDONS; /* still inside */
bit g_closing = !CLOSE_LATE;
bit g_over;

hidden byte h_i, h_n;

#define WANTED (size + (abandoned > 0))

/* The mutex is released: what must hold whenever it is free. */
inline unlock()
{
    assert(length == 0 || parked == NONE); /* W1 */
    h_i = 0;
    h_n = 0;
    do
    :: h_i < STRUCTS ->
        h_n = h_n + g_serves[h_i];
        assert(!g_parked[h_i] || (g_serves[h_i] && given[h_i] == NONE && wake[h_i] == NOT)); /* W3 */
        h_i++
    :: else -> break
    od;
    assert(serving == h_n); /* W5 */
    h_i = 0;
    h_n = 0
}

inline lock()
{
    assert(!g_pool_freed) /* W4 */
}

/* Under the mutex: cell c goes to `place`. */
inline move(c, from, place)
{
    assert(g_place[c] == from); /* W2 */
    g_place[c] = place;
    if
    :: place == LEFT -> g_left++
    :: else
    fi
}

/* Under the mutex: the queue's first cell, or NONE. */
inline pick(c)
{
    if
    :: length > 0 ->
        c = queue[0];
        length--;
        h_i = 0;
        do
        :: h_i < length -> queue[h_i] = queue[h_i + 1]; h_i++
        :: else -> break
        od;
        queue[length] = 0;
        h_i = 0
    :: else -> c = NONE
    fi
}

/* Under the mutex: the top of the parked stack, for whoever will wake it. */
inline pop_parked(w)
{
    w = parked;
    parked = below[w];
    g_parked[w] = 0
}

inline wake_up(w, how)
{
#ifdef LOST_WAKE
    asleep[w] = 0;
    atomic { assert(g_memory[w]); wake[w] = how } /* W4 */
#else
    atomic { assert(g_memory[w]); wake[w] = how }; /* W4 */
    asleep[w] = 0
#endif
}

/* Woken by anybody, it looks again; a sleep begins only while the word says so. */
inline sleep()
{
    do
    :: atomic { wake[me] != NOT -> break }
    :: atomic { wake[me] == NOT -> skip };
        asleep[me] = (wake[me] == NOT);
        !asleep[me];
#ifdef DOUBLE_PARK
        break
#endif
    od
}

/* Wakes the list that begins with w, without the mutex. */
inline wake_list(w)
{
    do
    :: w != NONE ->
#ifdef BELOW_LATE
        wake_up(w, LOOK);
        atomic { assert(g_memory[w]); w = below[w] } /* W4 */
#else
        atomic { assert(g_memory[w]); under = below[w] }; /* W4 */
        wake_up(w, LOOK);
        atomic { w = under; under = NONE }
#endif
    :: else -> break
    od
}

/* Under the mutex: all parked workers, for whoever will wake them. */
inline take_parked(w)
{
    w = parked;
    parked = NONE;
    h_i = 0;
    do
    :: h_i < STRUCTS -> g_parked[h_i] = 0; h_i++
    :: else -> break
    od;
    h_i = 0
}

/* Whoever waits between two attempts of worker_start looks: told under the mutex, woken without. */
inline end_retries(w)
{
    do
    :: true ->
        atomic {
            lock();
            w = 0;
            do
#ifdef CLOSE_STORES
            :: w < STRUCTS && (on_list[w] != WORKERS || wake[w] == LOOK) -> w++
#else
            :: w < STRUCTS && (on_list[w] != WORKERS || !retries[w]) -> w++
#endif
            :: else -> break
            od;
            if
            :: w < STRUCTS -> retries[w] = 0; assert(g_memory[w]); wake[w] = LOOK /* W4 */
            :: else -> w = NONE
            fi;
            unlock()
        };
        if
        :: w != NONE -> asleep[w] = 0
        :: else -> break
        fi
    od
}

/* Start a thread that waits for its first wake. */
inline recruit(w)
{
    atomic {
        assert(structs < STRUCTS);
        w = structs;
        structs++;
        g_memory[w] = 1;
        given[w] = NONE;
        run worker(w)
    }
}

inline free_struct(w)
{
    g_ended[w]; /* joined */
    atomic { assert(g_memory[w]); g_memory[w] = 0 } /* W4 */
}

/* A recruit becomes a worker, unless the pool has closed. */
inline enlist(w)
{
    atomic {
        lock();
        ok = !closed;
#ifdef ENLIST_CLOSED
        ok = true;
#endif
        if
        :: ok -> on_list[w] = WORKERS; serving++; g_serves[w] = 1; alive++
        :: else
        fi;
        unlock()
    };
    if
    :: ok -> wake_up(w, LOOK)
    :: else -> wake_up(w, DISMISSED); free_struct(w)
    fi;
    atomic { ok = false; w = NONE }
}

inline join_exited(w)
{
    do
    :: true ->
        atomic {
            lock();
            w = 0;
            do
            :: w < STRUCTS && on_list[w] != EXITED -> w++
            :: else -> break
            od;
            if
            :: w < STRUCTS -> on_list[w] = NO_LIST
            :: else -> w = NONE
            fi
        };
        if
        :: w != NONE -> free_struct(w)
        :: else -> break
        fi
    od
}

inline post()
{
    atomic {
        if
        :: !stopping -> posted = 1
        :: else
        fi
    }
}

inline top_up()
{
    atomic { lock(); ok = !closed && serving < WANTED };
    if
    :: ok -> ok = false; post()
    :: else
    fi
}

proctype offerer()
{
    byte c, w = NONE;
    do
    :: atomic { to_offer > 0 -> to_offer--; c = to_offer };
        atomic {
            lock();
            w = NONE;
            if
            :: closed -> move(c, WITH_OFFERER, LEFT)
#ifdef PUSH_BESIDE_PARKED
            :: !closed ->
                w = parked;
#else
            :: !closed && parked != NONE ->
                pop_parked(w);
#ifndef GIVEN_LATE
                given[w] = c;
#endif
                move(c, WITH_OFFERER, GIVEN)
            :: !closed && parked == NONE ->
#endif
                queue[length] = c;
                length++;
                move(c, WITH_OFFERER, IN_QUEUE)
            fi;
            unlock()
        };
        if
        :: w != NONE ->
#ifdef GIVEN_LATE
            wake_up(w, LOOK);
            atomic { assert(g_memory[w]); given[w] = c }
#else
            wake_up(w, LOOK)
#endif
        :: else
        fi;
        c = 0;
        w = NONE
    :: else -> break
    od;
    g_users--
}

/* Somebody leaves a queued call. */
proctype recaller()
{
    byte n, c;
    do
    :: n < RECALLS ->
        if
        :: c = 0
        :: c = CELLS - 1
        fi;
        atomic {
            lock();
            h_n = 0;
            h_i = 0;
            do
            :: h_i < length ->
                if
                :: queue[h_i] == c
                :: else -> queue[h_n] = queue[h_i]; h_n++
                fi;
                h_i++
            :: else -> break
            od;
            if
            :: h_n < length -> length = h_n; queue[length] = 0; move(c, IN_QUEUE, LEFT)
            :: else
            fi;
            unlock();
            c = 0
        };
        n++
    :: else -> break
    od;
    g_users--
}

/* Does this worker go? */
inline retire()
{
    atomic {
        lock();
        retires = (closed && length == 0) || serving > WANTED;
        if
        :: retires -> serving--; g_serves[me] = 0
        :: else
        fi;
        unlock()
    }
}

proctype worker(byte me)
{
    byte c = NONE;
    bool retires, tends;

    sleep();
    if
    :: wake[me] == DISMISSED -> goto over
    :: else
    fi;

    /* worker_start */
    do
    :: atomic { failures > 0 -> failures-- };
        atomic { assert(g_memory[me]); wake[me] = NOT };
        atomic {
            lock();
            retires = (closed && length == 0) || serving > WANTED;
            if
            :: retires -> serving--; g_serves[me] = 0
            :: else -> retries[me] = 1
            fi;
            unlock()
        };
        if
        :: retires -> goto quit
        :: else
        fi;
        if
        :: sleep() /* for long: somebody ends it */
        :: true
        fi;
        retire();
        if
        :: retires -> goto quit
        :: else
        fi
    :: break
    od;

    /* wr_pool_next, then the work */
    do
    :: true ->
        atomic {
            lock();
#ifndef STALE_RETRIES
            retries[me] = 0;
#endif
            retires = (closed && length == 0) || serving > WANTED;
            if
            :: retires ->
                serving--;
#ifndef RETIRE_UNCOUNTED
                g_serves[me] = 0
#endif
            :: else ->
                pick(c);
                if
                :: c != NONE -> move(c, IN_QUEUE, WITH_WORKER)
#ifdef PARK_OUTSIDE
                :: else
                fi
            fi;
            unlock()
        };
        atomic {
            lock();
            if
            :: retires
            :: else ->
                if
                :: c != NONE
#endif
                :: c == NONE ->
                    assert(!g_parked[me]); /* W3 */
                    given[me] = NONE;
                    wake[me] = NOT;
                    below[me] = parked;
                    parked = me;
                    g_parked[me] = 1
                fi
            fi;
            unlock()
        };
        if
        :: retires -> break
        :: !retires && c == NONE ->
            sleep();
            atomic {
                assert(g_memory[me]);
                c = given[me];
                if
                :: c != NONE -> move(c, GIVEN, WITH_WORKER)
                :: else
                fi
            }
        :: else
        fi;
        if
        :: c != NONE -> atomic { move(c, WITH_WORKER, LEFT); c = NONE }
        :: else
        fi
    od;

quit:
    atomic {
        lock();
        assert(g_memory[me] && on_list[me] == WORKERS);
        on_list[me] = EXITED;
        tends = !closed;
        alive--;
        unlock()
    };
    if
    :: tends -> post()
    :: else
    fi;
    lock(); /* wakes whoever waits for `alive` */
over:
    atomic { retires = false; tends = false; g_ended[me] = 1 }
}

/* New sizes. */
proctype resizer()
{
    byte n, w = NONE, under = NONE;
    bool ok;
    do
    :: n < RESIZES ->
        if
        :: (n % 2 == 0 -> OTHER_SIZE : SIZE) > size ->
            h_n = 0;
            recruit(w);
            atomic { lock(); size++; unlock() };
            enlist(w);
            top_up()
        :: else ->
            atomic {
                lock();
                size--;
                if
                :: serving > WANTED -> take_parked(w); ok = true
                :: else
                fi;
                unlock()
            };
            wake_list(w);
            if
            :: ok -> end_retries(w); ok = false
            :: else
            fi
        fi;
        n++
    :: else -> break
    od;
    g_users--
}

/* A call that is left while it runs, and whose work returns later. */
proctype leaver()
{
    byte w = NONE, under = NONE;
    bool ok;
    atomic { lock(); abandoned++; unlock() };
    top_up();
    atomic {
        lock();
        abandoned--;
#ifndef COME_BACK_QUIETLY
        if
        :: serving > WANTED -> take_parked(w)
        :: else
        fi;
#endif
        unlock()
    };
    wake_list(w);
    g_users--
}

/* tend */
proctype helper()
{
    byte w = NONE;
    bool ok;
    do
    :: atomic { posted -> posted = 0 };
        join_exited(w);
        do
        :: true ->
            atomic { lock(); ok = !closed && serving < WANTED && structs < STRUCTS };
            if
            :: ok -> recruit(w); enlist(w)
            :: else -> break
            fi
        od
    :: atomic { stopping && !posted -> break }
    od;
    gone = 1
}

proctype closer()
{
    byte c = NONE, w = NONE, under = NONE;

#if CLOSE_LATE
    atomic {
        timeout;
        assert(g_left == CELLS && g_users == 0 && length == 0); /* W6 */
        assert(serving <= WANTED) /* W7 */
    };
#endif
    atomic {
        g_closing = 1;
        lock();
        closed = 1;
        do
        :: length > 0 -> pick(c); move(c, IN_QUEUE, LEFT)
        :: else -> break
        od;
        c = NONE;
        take_parked(w);
        unlock()
    };
#ifdef CLOSE_QUIETLY
    w = NONE;
#endif
    wake_list(w);
    end_retries(w);

    /* wr_pool_join */
    alive == 0;
    join_exited(w);
    g_users == 0; /* to end a runtime, nobody may be inside */
#ifndef FREE_BESIDE_HELPER
    stopping = 1;
    gone;
#endif
    g_pool_freed = 1;
    atomic {
        do
        :: w != NONE && w < structs -> assert(!g_memory[w] && g_ended[w]); w++ /* W4, W6 */
        :: w == NONE -> w = 0
        :: else -> break
        od
    };
#ifdef FREE_BESIDE_HELPER
    stopping = 1;
#endif
    g_over = 1
}

/* When nothing can move any more. */
proctype auditor()
{
    g_closing && timeout;
    assert(g_over && gone && g_left == CELLS); /* W6 */
    assert(length == 0 && serving == 0 && alive == 0)
}

init {
    atomic {
        byte k;
        byte w;
        bool ok;
        k = 0;
        do
        :: k < SIZE ->
            recruit(w);
            enlist(w);
            k++
        :: else -> break
        od;
        k = 0;
        do
        :: k < OFFERERS -> run offerer(); k++
        :: else -> break
        od;
#if RECALLS
        run recaller();
#endif
#if RESIZES
        run resizer();
#endif
        k = 0;
        do
        :: k < ABANDONS -> run leaver(); k++
        :: else -> break
        od;
        run helper();
        run closer();
#ifndef LIVE
        run auditor();
#endif
        k = 0;
        w = 0
    }
}
