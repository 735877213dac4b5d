/*
 * The bulkhead's word, its waiters, slots and permits.
 *
 * What must hold (each is an assertion below, named Q1 to Q8):
 *   Q1  at an admission (taken or handed over) held <= limit.
 *   Q2  a refusal means that held >= limit at some instant between entry and return.
 *   Q3  places are conserved: the word's held is the number of places out, at every change; at the end
 *       held == 0, waiters == 0, the list is empty and every slot is free.
 *   Q4  whenever the list's mutex is free: waiters in the word == length of the list, and
 *       waiters > 0 implies held >= limit (nobody waits beside a free place).
 *   Q5  waiters get places in the order of their arrival. (A newcomer may take a place that a raise of the
 *       limit has just freed before the raise hands it over; a refusal there would break Q2.)
 *   Q6  a successful end (or lease) ends the permit that was issued with that slot and generation and no
 *       other; ended + lost == begun; a second end changes nothing.
 *   Q7  the overdue count of an epoch returns to 0, and never counts a call of another epoch.
 *   Q8  who holds a place finds a free slot: a table as large as the largest limit suffices.
 *   And no deadlock: a patient waiter is served in the end.
 *
 * Modelled, one shared access per step:
 *   bulkhead        (held, waiters, limit), one atomic word, changed by compare-and-swap only
 *   mutex, list     the FIFO of waiters; waiters and list change together under it
 *   grant[]         the waiter's own word
 *   slot[]          (generation, state, overdue flag), one atomic word per slot; stamp[] beside it
 *   overdue         (epoch tag, signed count), one atomic word
 *   take, give, wait for a place      = wr_bulkhead_take, wr_bulkhead_give, wr_bulkhead_wait
 *   limiter                           = wr_bulkhead_set_limit (compare-and-swap under the mutex)
 *   claim, end_permit, reclaimer      = wr_slot_claim, wr_slot_end, wr_slot_reclaim (permit_lease)
 *   scanner                           = wr_slot_scan, by whoever moved next_check
 *
 * Two rules that a simpler protocol lacks, each with its planted error:
 *   - whoever gives a place back while held > limit (the limit has shrunk) hands it to nobody, waiters or
 *     not; the hand-over is itself a compare-and-swap of the word (OVER_LIMIT_HANDOVER);
 *   - the overdue count carries the epoch whose calls it counts (OVERDUE_UNTAGGED).
 *
 * Not modelled: weak memory order, the futex below "wait on own word", wrap of a generation. A load,
 * decision and compare-and-swap of `overdue` is one step, since it retries until it succeeds.
 *
 * Planted errors, each must be found: NO_GENERATION, ADD_THEN_UNDO, LOST_HANDOVER, OVER_LIMIT_HANDOVER,
 * OVERDUE_UNTAGGED, CHECK_OUTSIDE, GIVE_FIRST.
 */

#ifndef CALLERS
#define CALLERS 3
#endif
#ifndef CALLS
#define CALLS 4 /* asks, all callers together */
#endif
#ifndef LIMIT
#define LIMIT 1
#endif
#ifndef LIMIT_CHANGES /* the limit goes LIMIT, OTHER_LIMIT, LIMIT, ... */
#define LIMIT_CHANGES 0
#endif
#ifndef OTHER_LIMIT
#define OTHER_LIMIT 2
#endif
#ifndef WAITING
#define WAITING 0 /* may callers wait? */
#endif
#ifndef SLOTS
#define SLOTS 2
#endif
#ifndef LEASES /* how many permits the lease may reclaim at any time */
#define LEASES 0
#endif
#ifndef SCANS
#define SCANS 0
#endif
#ifndef EPOCHS /* how often the breaker's epoch changes */
#define EPOCHS 0
#endif
#ifndef DOUBLE_ENDS
#define DOUBLE_ENDS 0 /* may callers end any permit ever issued, again? */
#endif

#define BULKHEAD(held, waiters, limit) ((held) + 8 * (waiters) + 64 * (limit))
#define HELD(b) ((b) % 8)
#define WAITERS(b) (((b) / 8) % 8)
#define LIMIT_OF(b) ((b) / 64)
#define ONE_HELD 1
#define ONE_WAITER 8

#define FREE 0
#define CLAIMED 1
#define RUNNING 2
#define ENDING 3
#define OVERDUE 4 /* flag */
#define SLOT(g, s) ((g) * 8 + (s))
#define GENERATION(w) ((w) / 8)
#define STATE(w) ((w) % 4)
#define IS_OVERDUE(w) (((w) / 4) % 2)

#define NOBODY 255

#if defined(LOST_HANDOVER)
#define GIVES_TO_WORD(b) true
#elif defined(OVER_LIMIT_HANDOVER)
#define GIVES_TO_WORD(b) (WAITERS(b) == 0)
#else
#define GIVES_TO_WORD(b) (WAITERS(b) == 0 || HELD(b) > LIMIT_OF(b))
#endif

#ifdef NO_GENERATION
#define MY_SLOT(s, p) (STATE(s) == RUNNING)
#else
#define MY_SLOT(s, p) (STATE(s) == RUNNING && GENERATION(s) == permit_generation[p])
#endif

#ifdef OVERDUE_UNTAGGED
#define COUNTS(p) true
#else
#define COUNTS(p) (overdue_tag == permit_epoch[p])
#endif

short bulkhead = BULKHEAD(0, 0, LIMIT);
bit mutex;
byte list[CALLERS];
byte length;
bit grant[CALLERS];

byte slot[SLOTS];
byte stamp[SLOTS]; /* start stamp and epoch: here the permit's number, which tells both */
byte epoch;
byte overdue_tag;
short overdue;

byte calls = CALLS;
byte leases = LEASES;
byte finished;
byte helpers_done;

/* What really happened; read by assertions only. Permits are numbered from 1 as they begin. */
byte g_places;          /* places out */
bit g_asking[CALLERS];  /* between entry and return of take */
bit g_full[CALLERS];    /* places >= limit at an instant since entry */
byte g_before[CALLERS]; /* bit set: who arrived before me and still waits */
byte begun, ended, lost;
byte permit_slot[CALLS + 1];       /* a permit: slot and generation */
byte permit_generation[CALLS + 1];
byte permit_epoch[CALLS + 1];

hidden byte h_i, h_n, h_who;

/* Ghost: the word or the number of places changed. */
inline g_changed()
{
#ifndef ADD_THEN_UNDO
    assert(HELD(bulkhead) == g_places); /* Q3 */
#endif
    h_i = 0;
    do
    :: h_i < CALLERS ->
        if
        :: g_asking[h_i] && g_places >= LIMIT_OF(bulkhead) -> g_full[h_i] = 1
        :: else
        fi;
        h_i++
    :: else -> break
    od
}

inline g_admitted()
{
    assert(g_places <= LIMIT_OF(bulkhead)) /* Q1 */
}

/* Ghost: `who` leaves the list. */
inline g_left(who)
{
    g_before[who] = 0;
    h_i = 0;
    do
    :: h_i < CALLERS -> g_before[h_i] = g_before[h_i] & ~(1 << (who)); h_i++
    :: else -> break
    od
}

inline unlink(who)
{
    h_i = 0;
    h_n = 0;
    do
    :: h_i < length ->
        if
        :: list[h_i] == who
        :: else -> list[h_n] = list[h_i]; h_n++
        fi;
        h_i++
    :: else -> break
    od;
    length = h_n;
    list[length] = NOBODY;
    g_left(who)
}

inline pop_and_grant()
{
    h_who = list[0];
    assert(g_before[h_who] == 0); /* Q5 */
    grant[h_who] = 1;
    unlink(h_who);
    g_admitted()
}

inline lock()
{
    atomic { mutex == 0 -> mutex = 1 }
}

/* Q4 */
inline unlock()
{
    atomic {
        assert(WAITERS(bulkhead) == length);
        assert(length == 0 || HELD(bulkhead) >= LIMIT_OF(bulkhead));
        mutex = 0
    }
}

/* Take a place, waiting for one if WAITING. has: got one. */
inline take()
{
    has = false;
    do
#ifdef ADD_THEN_UNDO
    :: true ->
        d_step {
            has = (HELD(bulkhead) < LIMIT_OF(bulkhead));
            bulkhead = bulkhead + ONE_HELD;
            if
            :: has -> g_places++; g_changed()
            :: else
            fi;
            skip
        };
        if
        :: has -> break
        :: else -> bulkhead = bulkhead - ONE_HELD; break
        fi
#else
    :: true ->
        b = bulkhead;
        if
        :: HELD(b) < LIMIT_OF(b) ->
            d_step {
                if
                :: bulkhead == b ->
                    bulkhead = b + ONE_HELD;
                    has = true;
                    g_places++;
                    g_changed();
                    g_admitted()
                :: else
                fi;
                b = 0
            };
            if
            :: has -> break
            :: else
            fi
        :: HELD(b) >= LIMIT_OF(b) && !WAITING -> b = 0; break
        :: HELD(b) >= LIMIT_OF(b) && WAITING -> b = 0; wait_for_place()
        fi
#endif
    od
}

/* Join the list if the word still says full, then wait until granted or expired. Breaks out of take's loop. */
inline wait_for_place()
{
    waits = false;
    lock();
    do
    :: true ->
        b = bulkhead;
        if
#ifndef CHECK_OUTSIDE
        :: HELD(b) < LIMIT_OF(b) -> b = 0; break
        :: HELD(b) >= LIMIT_OF(b) ->
#else
        :: true ->
#endif
            d_step {
                if
                :: bulkhead == b ->
                    bulkhead = b + ONE_WAITER;
                    waits = true;
                    h_i = 0;
                    g_before[me] = 0;
                    do
                    :: h_i < length -> g_before[me] = g_before[me] | (1 << list[h_i]); h_i++
                    :: else -> break
                    od;
                    list[length] = me;
                    length++
                :: else
                fi;
                b = 0
            };
            if
            :: waits -> break
            :: else
            fi
        fi
    od;
    unlock();
    if
    :: waits ->
        waits = false;
        if
        :: true -> grant[me]; has = true /* patient */
        :: true -> /* expired or cancelled, at any time */
            lock();
            if
            :: grant[me] -> has = true
            :: else ->
                do
                :: true ->
                    b = bulkhead;
                    d_step {
                        if
                        :: bulkhead == b -> bulkhead = b - ONE_WAITER; unlink(me); waits = true
                        :: else
                        fi;
                        b = 0
                    };
                    if
                    :: waits -> waits = false; break
                    :: else
                    fi
                od
            fi;
            unlock()
        fi;
        grant[me] = 0;
        break
    :: else
    fi
}

/* Give a place back: to the first waiter, or to the word. */
inline give()
{
    done = false;
    do
    :: !done ->
        b = bulkhead;
        if
        :: GIVES_TO_WORD(b) ->
            d_step {
                if
                :: bulkhead == b -> bulkhead = b - ONE_HELD; done = true; g_places--; g_changed()
                :: else
                fi;
                b = 0
            }
        :: else ->
            b = 0;
            lock();
            do
            :: true ->
                b = bulkhead;
                if
                :: GIVES_TO_WORD(b) -> b = 0; break
                :: else ->
                    d_step {
                        if
                        :: bulkhead == b -> bulkhead = b - ONE_WAITER; done = true; pop_and_grant()
                        :: else
                        fi;
                        b = 0
                    };
                    if
                    :: done -> break
                    :: else
                    fi
                fi
            od;
            unlock()
        fi
    :: else -> break
    od
}

/* Claim a free slot for a place that is held; p: the permit's number. */
inline claim()
{
    i = me % SLOTS;
    done = false;
    do
    :: !done ->
        d_step {
            s = slot[i];
            h_n = 0;
            h_i = 0;
            do
            :: h_i < SLOTS -> h_n = h_n + (STATE(slot[h_i]) == FREE); h_i++
            :: else -> break
            od;
            assert(h_n > 0) /* Q8 */
        };
        if
        :: STATE(s) == FREE ->
            d_step {
                if
                :: slot[i] == s -> slot[i] = SLOT(GENERATION(s), CLAIMED); done = true
                :: else
                fi;
                skip
            }
        :: else -> i = (i + 1) % SLOTS
        fi
    :: else -> break
    od;
    done = false;
    atomic {
        begun++;
        p = begun;
        permit_slot[p] = i;
        permit_generation[p] = GENERATION(s);
        permit_epoch[p] = epoch;
        stamp[i] = p
    };
    atomic { slot[i] = SLOT(GENERATION(s), RUNNING); s = 0; i = 0 }
}

/* End permit p; count is the counter of this way to end. Stale: nothing happens. */
inline end_permit(count)
{
    ok = false;
    i = permit_slot[p];
    do
    :: true ->
        s = slot[i];
        if
        :: !MY_SLOT(s, p) -> s = 0; break /* stale */
        :: else ->
            d_step {
                if
                :: slot[i] == s ->
                    slot[i] = s - RUNNING + ENDING;
                    assert(stamp[i] == p); /* Q6 */
                    count++;
                    ok = true
                :: else -> s = 0
                fi;
                skip
            };
            if
            :: ok -> break
            :: else
            fi
        fi
    od;
    if
    :: ok ->
        if
        :: IS_OVERDUE(s) ->
            d_step {
                if
                :: COUNTS(p) -> overdue--
                :: else
                fi;
                skip
            }
        :: else
        fi;
#ifdef GIVE_FIRST
        give();
#endif
        atomic {
            stamp[i] = 0;
            slot[i] = SLOT(GENERATION(s) + 1, FREE);
            s = 0;
            i = 0;
            ok = false
        };
#ifndef GIVE_FIRST
        give();
#endif
        done = false
    :: else -> i = 0
    fi
}

proctype caller(byte me)
{
    byte i, s, p;
    short b;
    bool has, waits, done, ok;

    do
    :: atomic {
            calls > 0 ->
            calls--;
            g_asking[me] = 1;
            g_full[me] = (g_places >= LIMIT_OF(bulkhead))
        };
        take();
        atomic {
            assert(has || g_full[me]); /* Q2 */
            g_asking[me] = 0;
            g_full[me] = 0
        };
        if
        :: has ->
            has = false;
            claim();
            if
            :: end_permit(ended)
#if LEASES
            :: skip /* never ended: the lease takes it */
#endif
            fi;
            p = 0
        :: else
        fi
#if DOUBLE_ENDS
    :: atomic { begun > 0 -> p = 1 };
        do
        :: p < begun -> p++
        :: break
        od;
        end_permit(ended);
        p = 0
#endif
    :: break
    od;
    finished++
}

/* permit_lease: takes back permits, at any time, and at the end all that were never ended. */
proctype reclaimer()
{
    byte i, s, p, me;
    short b;
    bool done, ok;
    do
    :: atomic { leases > 0 && begun > 0 -> leases--; p = 1 };
        do
        :: p < begun -> p++
        :: break
        od;
        end_permit(lost);
        p = 0
    :: atomic { finished == CALLERS && p == 0 -> leases = 0; p = 1 };
        do
        :: p <= begun -> end_permit(lost); p++
        :: else -> break
        od;
        break
    od;
    helpers_done++
}

/* Flags running calls as overdue, then counts them. */
proctype scanner()
{
    byte i, s, p, n;
    bool ok;
    do
    :: n < SCANS ->
        n++;
        i = 0;
        do
        :: i < SLOTS ->
            s = slot[i];
            if
            :: STATE(s) == RUNNING && !IS_OVERDUE(s) ->
                p = stamp[i];
                d_step {
                    if
                    :: slot[i] == s && p != 0 ->
                        slot[i] = s + OVERDUE;
                        assert(stamp[i] == p); /* Q6: the stamp that was judged is that of the flagged call */
                        ok = true
                    :: else
                    fi;
                    skip
                };
                if
                :: ok ->
                    d_step {
                        if
                        :: COUNTS(p) -> overdue++
                        :: else
                        fi;
                        h_n = 0;
                        h_i = 0;
                        do
                        :: h_i < SLOTS ->
                            h_n = h_n + (IS_OVERDUE(slot[h_i]) && permit_epoch[stamp[h_i]] == overdue_tag);
                            h_i++
                        :: else -> break
                        od;
                        assert(overdue <= h_n); /* Q7 */
                        ok = false
                    }
                :: else
                fi;
                p = 0
            :: else
            fi;
            s = 0;
            i++
        :: else -> break
        od;
        i = 0
    :: break
    od;
    helpers_done++
}

/* The breaker begins a new epoch: no call of it is overdue yet. */
proctype epochs()
{
    byte n;
    do
    :: n < EPOCHS -> d_step { epoch++; overdue_tag = epoch; overdue = 0; n++ }
    :: else -> break
    od;
    helpers_done++
}

/* Change the limit under the list's mutex and hand out what a raise has freed. */
proctype limiter()
{
    byte n;
    short b;
    bool done;
    do
    :: n < LIMIT_CHANGES ->
        lock();
        do
        :: !done ->
            b = bulkhead;
            d_step {
                if
                :: bulkhead == b ->
                    bulkhead = BULKHEAD(HELD(b), WAITERS(b), (n % 2 == 0 -> OTHER_LIMIT : LIMIT));
                    done = true;
                    g_changed()
                :: else
                fi;
                b = 0
            }
        :: else -> break
        od;
        done = false;
        do
        :: true ->
            b = bulkhead;
            if
            :: WAITERS(b) == 0 || HELD(b) >= LIMIT_OF(b) -> b = 0; break
            :: else ->
                d_step {
                    if
                    :: bulkhead == b ->
                        bulkhead = b + ONE_HELD - ONE_WAITER;
                        g_places++;
                        g_changed();
                        pop_and_grant()
                    :: else
                    fi;
                    b = 0
                }
            fi
        od;
        unlock();
        n++
    :: else -> break
    od;
    helpers_done++
}

#define HELPERS ((LEASES > 0) + (SCANS > 0) + (EPOCHS > 0) + (LIMIT_CHANGES > 0))

/* Q3, Q6, Q7 at the end. */
proctype auditor()
{
    byte i;
    finished == CALLERS && helpers_done == HELPERS;
    d_step {
        assert(HELD(bulkhead) == 0 && WAITERS(bulkhead) == 0 && length == 0 && mutex == 0);
        do
        :: i < SLOTS -> assert(STATE(slot[i]) == FREE); i++
        :: else -> break
        od;
        assert(ended + lost == begun);
        assert(overdue == 0)
    }
}

init {
    atomic {
        byte k = 0;
        do
        :: k < CALLERS -> list[k] = NOBODY; run caller(k); k++
        :: else -> k = 0; break
        od;
#if LEASES
        run reclaimer();
#endif
#if SCANS
        run scanner();
#endif
#if EPOCHS
        run epochs();
#endif
#if LIMIT_CHANGES
        run limiter();
#endif
        run auditor()
    }
}
