/*
 * The circuit breaker under concurrency: epochs, the time window, trips, trials and their leases.
 *
 * What must hold (each is an assertion below, named P1 to P5):
 *   P1  no missed trip: when a recording returns and the breaker is still closed in its epoch, then the
 *       trip rule does not hold over the outcomes whose recordings have returned. Outcomes whose
 *       recording is under way may or may not count, so it is enough that one choice of them says no.
 *       When nothing is under way there is no choice: the rule over everything recorded says no.
 *   P2  no invented trip: whoever opens the breaker did so while recording an outcome, and at some
 *       instant of that recording the rule held over the outcomes recorded in this epoch.
 *   P3  a result of an older epoch changes neither a window word nor a trial of a newer epoch; and a result
 *       is late only because the window has moved on, never because it lags behind the published epoch.
 *   P4  trial places out + trials settled <= TRIALS, and each settlement is of the lease it was given.
 *   P5  half-open never wedges: whatever was lost, an ask one lease (and one open time) later is admitted.
 *   And no deadlock: every caller and the timer reach their end.
 *
 * Modelled, one shared access per step:
 *   word          (epoch, mode), one atomic word              wr_breaker: published state
 *   until         the instant from which an ask may go half-open
 *   mutex         the policy state: places taken, ok, bad, leases   (steps inside it are merged,
 *                 except those that threads without the lock can see: word, until, window words)
 *   cell[]        window words (era, round, count): one bad word per bucket, STRIPES good words per bucket
 *   bad_seq       1 + the newest round that may hold a bad outcome; it only rises
 *   ask           caller, "ask"         = wr_breaker_look / wr_breaker_take
 *   settle        caller, "settle"      = wr_breaker_settle; a neutral trial = wr_breaker_give_back
 *   record, judge caller, "record"      = wr_window_add, wr_window_sum
 *   trip, close   publish_open, close_ = wr_breaker_open_locked, wr_breaker_close_locked (sweep = wr_window_sweep)
 *   reset         an override and its end: a new closed epoch with an empty window = wr_breaker_force
 * One tick of `now` is one bucket; every stamp is read before it is used, so it can be stale.
 *
 * Three rules of the window that are easy to miss, each with its planted error:
 *   - a sum ends at the newest round found in the window, not at the recorder's own stamp (SUM_AT_STAMP);
 *     on meeting a newer round it starts again (NO_RESTART);
 *   - bad_seq rises only, by compare-and-swap: a plain store by a recorder with an older stamp lowers it,
 *     and a good outcome that completes the minimum then skips its sum (BAD_SEQ_STORE);
 *   - the sum reads bad words first: good ones first invents trips (GOOD_FIRST).
 *
 * Not modelled: weak memory order (every access here is sequentially consistent), slow calls and the
 * overdue count (permit.pml), consecutive failures, count windows, back-off, and the wrap of an era tag
 * (the tag is the whole epoch here; -DTAG_WRAP shows what a tag that wraps does).
 *
 * Planted errors, each must be found: NO_EPOCH, TAGLESS, TAG_WRAP, SUM_OWN, SUM_AT_STAMP, GOOD_FIRST,
 * BAD_SEQ_STORE, SWEEP_LATE, NO_LEASE, NO_SERIAL.
 */

#ifndef CALLERS
#define CALLERS 2
#endif
#ifndef CALLS
#define CALLS 4 /* admitted calls, all callers together */
#endif
#ifndef TICKS
#define TICKS 2 /* the timer stops here */
#endif
#ifndef RESETS /* 1: somebody starts a new closed epoch at any time */
#define RESETS 0
#endif
#ifndef MINIMUM
#define MINIMUM 2
#endif
#ifndef NUM /* the threshold NUM/DEN */
#define NUM 1
#define DEN 2
#endif
#ifndef TRIALS
#define TRIALS 2
#endif
#ifndef SUCCESSES
#define SUCCESSES 1
#endif
#define BUCKETS 2
#define STRIPES 2
#define OPEN_FOR 1
#define LEASE 1
#define CELLS (BUCKETS * (1 + STRIPES))

#define CLOSED 0
#define OPEN 1
#define HALF_OPEN 2
#define WORD(e, m) ((e) * 4 + (m))
#define EPOCH(w) ((w) / 4)
#define MODE(w) ((w) % 4)

#define CELL(e, r, c) ((e) * 256 + (r) * 16 + (c))
#define ERA(c) ((c) / 256)
#define ROUND(c) (((c) / 16) % 16)
#define COUNT(c) ((c) % 16)
#define BAD_CELL(r) ((r) % BUCKETS)
#define GOOD_CELL(who, r) (BUCKETS + ((who) % STRIPES) * BUCKETS + (r) % BUCKETS)

#ifdef TAG_WRAP
#define SAME_ERA(a, b) ((a) % 3 == (b) % 3)
#else
#define SAME_ERA(a, b) ((a) == (b))
#endif

#ifdef TAGLESS
#define TAG_MATCHES(c) true
#else
#define TAG_MATCHES(c) SAME_ERA(ERA(c), e)
#endif

#if defined(NO_EPOCH)
#define LEASE_IS_MINE (MODE(word) == HALF_OPEN)
#elif defined(NO_SERIAL)
#define LEASE_IS_MINE (EPOCH(word) == e && MODE(word) == HALF_OPEN && lease_expiry[lease] > t)
#elif defined(NO_LEASE)
#define LEASE_IS_MINE (EPOCH(word) == e && MODE(word) == HALF_OPEN && lease_serial[lease] == serial)
#else
#define LEASE_IS_MINE \
    (EPOCH(word) == e && MODE(word) == HALF_OPEN && lease_serial[lease] == serial && lease_expiry[lease] > t)
#endif

#ifdef GOOD_FIRST
#define SUM_ORDER(i) (CELLS - 1 - (i))
#else
#define SUM_ORDER(i) (i)
#endif

#ifdef NO_RESTART
#define RESTART skip
#else
#define RESTART i = 0; bad = 0; good = 0
#endif

#define OUTCOME_OK 0
#define OUTCOME_BAD 1
#define OUTCOME_NEUTRAL 2
#define OUTCOME_LOST 3

#define ENOUGH(b, g) ((b) + (g) >= MINIMUM)
#define RATE(b, g) ((b) > 0 && DEN * (b) >= NUM * ((b) + (g)))
#define IN_WINDOW(r, m) ((r) <= (m) && (r) + BUCKETS > (m))

short word = WORD(0, CLOSED);
byte until;
short cell[CELLS];
byte bad_seq;
byte now;

byte calls = CALLS; /* how many may still be admitted, so that the model is finite */

bit mutex; /* 1 only while a locked section is between two steps */
byte taken, trial_ok, trial_bad;
byte next_serial = 1;
byte lease_serial[TRIALS]; /* 0: no lease */
byte lease_expiry[TRIALS];

byte finished;

/* What really happened in the closed epoch g_epoch; read by assertions only. */
byte g_epoch;
byte g_bad[TICKS + 1];
byte g_good[TICKS + 1];
byte g_pending[CALLERS]; /* 1 + 2 * round + bad: recorded, not returned */
bit g_held[CALLERS];     /* the rule held at an instant of this recording */

hidden byte h_i, h_m, h_b, h_g, h_gr, h_first, h_last;
hidden byte h_all;
hidden short h_c;

/* Ghost: note the recordings under way while the rule holds over some window that has begun. */
inline g_hold()
{
    h_all = 0;
    h_m = 0;
    do
    :: h_m <= now ->
        h_b = 0;
        h_g = 0;
        h_i = 0;
        do
        :: h_i <= h_m ->
            if
            :: IN_WINDOW(h_i, h_m) -> h_b = h_b + g_bad[h_i]; h_g = h_g + g_good[h_i]
            :: else
            fi;
            h_i++
        :: else -> break
        od;
        h_all = h_all || (ENOUGH(h_b, h_g) && RATE(h_b, h_g));
        h_m++
    :: else -> break
    od;
    h_i = 0;
    do
    :: h_i < CALLERS ->
        if
        :: g_pending[h_i] != 0 && h_all -> g_held[h_i] = 1
        :: else
        fi;
        h_i++
    :: else -> break
    od
}

/* Ghost: outcome (bad?) of round r was recorded just now. */
inline g_recorded(r, bad)
{
    if
    :: e == g_epoch ->
        if
        :: bad -> g_bad[r]++
        :: else -> g_good[r]++
        fi;
        g_pending[me] = 1 + 2 * (r) + (bad);
        g_hold()
    :: else
    fi
}

/* Ghost: a closed epoch begins with an empty window. */
inline g_begin(epoch)
{
    g_epoch = epoch;
    h_i = 0;
    do
    :: h_i <= TICKS -> g_bad[h_i] = 0; g_good[h_i] = 0; h_i++
    :: else -> break
    od;
    h_i = 0;
    do
    :: h_i < CALLERS -> g_pending[h_i] = 0; g_held[h_i] = 0; h_i++
    :: else -> break
    od
}

/* Ghost, P1: the rule over what has returned, every choice of what is under way included. */
inline g_check_returned()
{
    h_first = 0; /* newest round returned */
    h_last = 0;  /* newest round recorded */
    h_i = 0;
    do
    :: h_i <= TICKS ->
        h_b = g_bad[h_i] + g_good[h_i];
        if
        :: h_b > 0 -> h_last = h_i
        :: else
        fi;
        h_m = 0;
        do
        :: h_m < CALLERS ->
            if
            :: g_pending[h_m] != 0 && (g_pending[h_m] - 1) / 2 == h_i -> h_b--
            :: else
            fi;
            h_m++
        :: else -> break
        od;
        if
        :: h_b > 0 -> h_first = h_i
        :: else
        fi;
        h_i++
    :: else -> break
    od;
    h_all = 1;
    h_m = h_first;
    do
    :: h_m <= h_last ->
        h_b = 0;  /* bad, returned */
        h_gr = 0; /* good, returned */
        h_g = 0;  /* good, recorded */
        h_i = 0;
        do
        :: h_i <= TICKS ->
            if
            :: IN_WINDOW(h_i, h_m) ->
                h_b = h_b + g_bad[h_i];
                h_gr = h_gr + g_good[h_i];
                h_g = h_g + g_good[h_i]
            :: else
            fi;
            h_i++
        :: else -> break
        od;
        h_i = 0;
        do
        :: h_i < CALLERS ->
            if
            :: g_pending[h_i] != 0 && IN_WINDOW((g_pending[h_i] - 1) / 2, h_m) ->
                if
                :: (g_pending[h_i] - 1) % 2 == 1 -> h_b--
                :: else -> h_gr--
                fi
            :: else
            fi;
            h_i++
        :: else -> break
        od;
        if
        :: !(ENOUGH(h_b, h_gr) && RATE(h_b, h_g)) -> h_all = 0
        :: else
        fi;
        h_m++
    :: else -> break
    od;
    assert(!h_all) /* P1 */
}

/* Ghost: the recording of this caller returns. */
inline returned()
{
    if
    :: g_pending[me] != 0 ->
        g_pending[me] = 0;
        g_held[me] = 0;
        if
        :: word == WORD(g_epoch, CLOSED) -> g_check_returned()
        :: else
        fi
    :: else
    fi
}

inline clear_trials()
{
    taken = 0;
    trial_ok = 0;
    trial_bad = 0;
    h_i = 0;
    do
    :: h_i < TRIALS -> lease_serial[h_i] = 0; lease_expiry[h_i] = 0; h_i++
    :: else -> break
    od
}

/* Locked, second half of opening; `until` is stored already. */
inline publish_open()
{
    word = WORD(EPOCH(word) + 1, OPEN);
    clear_trials();
    mutex = 0
}

/* Locked: a new closed epoch with an empty window. */
inline close_()
{
    d_step { g_begin(EPOCH(word) + 1); clear_trials(); i = 0 };
#ifdef SWEEP_LATE
    word = WORD(EPOCH(word) + 1, CLOSED);
    do
    :: i < CELLS -> d_step { cell[i] = CELL(EPOCH(word), 0, 0); i++ }
    :: d_step { i == CELLS -> i = 0; mutex = 0 }; break
    od
#else
    do
    :: i < CELLS -> d_step { cell[i] = CELL(EPOCH(word) + 1, 0, 0); i++ }
    :: d_step { i == CELLS -> i = 0; word = WORD(EPOCH(word) + 1, CLOSED); mutex = 0 }; break
    od
#endif
}

inline check_trials()
{
    h_b = 0;
    h_i = 0;
    do
    :: h_i < TRIALS ->
        h_b = h_b + (lease_serial[h_i] != 0);
        h_i++
    :: else -> break
    od;
    assert(taken == trial_ok + trial_bad + h_b); /* P4 */
    assert(taken <= TRIALS)
}

/* Locked, half-open: reclaim expired leases, then take a place if one is left. serial == 0: refused. */
inline take_trial()
{
    serial = 0;
    i = 0;
#ifndef NO_LEASE
    do
    :: i < TRIALS ->
        if
        :: lease_serial[i] != 0 && lease_expiry[i] <= t ->
            lease_serial[i] = 0;
            lease_expiry[i] = 0;
            taken--
        :: else
        fi;
        i++
    :: else -> i = 0; break
    od;
#endif
    if
    :: taken < TRIALS ->
        taken++;
        do
        :: lease_serial[i] != 0 -> i++
        :: else -> break
        od;
        serial = next_serial;
        next_serial++;
        lease = i;
        lease_serial[i] = serial;
        lease_expiry[i] = t + LEASE
    :: else
    fi;
    i = 0;
    check_trials()
}

/* Ask at stamp t. admitted; e = epoch of the permit; serial != 0: a trial. */
inline ask()
{
    d_step { w = word; admitted = (MODE(w) == CLOSED); e = EPOCH(w) };
    if
    :: MODE(w) == OPEN && t < until /* one load of `until` */ -> w = 0
    :: MODE(w) == HALF_OPEN || (MODE(w) == OPEN && t >= until) ->
        /* under the lock; one store that others can see (word), so one step */
        d_step {
            mutex == 0 ->
            if
            :: MODE(word) == OPEN && t >= until -> word = WORD(EPOCH(word) + 1, HALF_OPEN); clear_trials()
            :: else
            fi;
            if
            :: MODE(word) == HALF_OPEN -> take_trial(); admitted = (serial != 0)
            :: else -> admitted = (MODE(word) == CLOSED)
            fi;
            e = EPOCH(word);
            w = 0
        }
    :: MODE(w) == CLOSED -> w = 0
    fi
}

/*
 * Sum the window, one load per step, bad words first. The window ends at the newest round seen, not at the
 * recorder's own: a recorder with an older stamp would not see a newer outcome that did not see it
 * (-DSUM_AT_STAMP). Whoever meets a newer round starts again with it: half a sum of one window and half of
 * another is a sum of neither (-DNO_RESTART).
 */
inline sum()
{
    d_step { i = 0; m = t; bad = 0; good = 0 };
    do
    :: i < CELLS ->
        d_step {
            h_c = cell[SUM_ORDER(i)];
            if
            :: !SAME_ERA(ERA(h_c), e) || COUNT(h_c) == 0 -> i++
#ifndef SUM_AT_STAMP
            :: SAME_ERA(ERA(h_c), e) && COUNT(h_c) > 0 && ROUND(h_c) > m ->
                m = ROUND(h_c);
                RESTART
#endif
            :: else ->
                if
                :: IN_WINDOW(ROUND(h_c), m) && SUM_ORDER(i) < BUCKETS -> bad = bad + COUNT(h_c)
                :: IN_WINDOW(ROUND(h_c), m) && SUM_ORDER(i) >= BUCKETS -> good = good + COUNT(h_c)
                :: else
                fi;
                i++
            fi
        }
    :: else -> break
    od
}

inline judge()
{
    atomic {
#ifdef SUM_OWN
        if
        :: outcome == OUTCOME_BAD -> bad++
        :: else -> good++
        fi;
#endif
        tripped = ENOUGH(bad, good) && RATE(bad, good);
        i = 0;
        m = 0;
        bad = 0;
        good = 0;
        if
        :: !tripped -> returned()
        :: else
        fi;
        skip
    }
}

/* Compare-and-swap one more outcome of round t into cell i. added: it counts in this epoch. */
inline add_to(i)
{
    added = false;
    do
    :: true ->
        w = cell[i];
        if
        :: !TAG_MATCHES(w) -> d_step { assert(ERA(w) > e); /* P3 */ w = 0 }; break /* late */
        :: TAG_MATCHES(w) && ROUND(w) > t -> w = 0; break /* its bucket has left the window: metrics only */
        :: else ->
            d_step {
                if
                :: cell[i] == w ->
                    if
                    :: ROUND(w) == t -> cell[i] = CELL(ERA(w), t, COUNT(w) + 1)
                    :: else -> cell[i] = CELL(ERA(w), t, 1)
                    fi;
                    assert(ERA(w) == issued); /* P3 */
                    added = true;
                    g_recorded(t, outcome == OUTCOME_BAD)
                :: else
                fi;
                w = 0
            };
            if
            :: added -> break
            :: else
            fi
        fi
    od
}

inline record()
{
#ifdef SUM_OWN
    sum();
#endif
    if
    :: outcome == OUTCOME_BAD ->
#ifdef BAD_SEQ_STORE
        bad_seq = t + 1;
#else
        do
        :: true ->
            w = bad_seq;
            if
            :: w >= t + 1 -> w = 0; break
            :: else ->
                d_step {
                    if
                    :: bad_seq == w -> bad_seq = t + 1
                    :: else
                    fi;
                    w = 0
                }
            fi
        od;
#endif
        add_to(BAD_CELL(t));
        tripped = added
    :: else ->
        add_to(GOOD_CELL(me, t));
        atomic {
            tripped = added && bad_seq + BUCKETS > t + 1; /* one load: may a bad outcome be in the window? */
            if
            :: !tripped -> returned()
            :: else
            fi;
            skip
        }
    fi;
    if
    :: tripped ->
#ifndef SUM_OWN
        sum();
#endif
        judge()
    :: else
    fi;
    if
    :: tripped ->
        d_step {
            mutex == 0 ->
            tripped = (word == WORD(e, CLOSED));
            if
            :: tripped ->
                assert(e == g_epoch && g_held[me]); /* P2 */
                mutex = 1;
                until = t + OPEN_FOR
            :: else -> returned()
            fi;
            skip
        };
        if
        :: tripped -> d_step { publish_open(); returned(); tripped = false }
        :: else
        fi
    :: else
    fi;
    added = false
}

/* The trial settles under the lock: one step unless it closes or opens the breaker. */
inline settle_trial()
{
    d_step {
        mutex == 0 ->
        if
        :: LEASE_IS_MINE ->
            assert(EPOCH(word) == issued);         /* P3 */
            assert(lease_serial[lease] == serial); /* P4 */
#ifndef NO_LEASE
            assert(lease_expiry[lease] > t);
#endif
            lease_serial[lease] = 0;
            lease_expiry[lease] = 0;
            if
            :: outcome == OUTCOME_OK -> trial_ok++
            :: outcome == OUTCOME_BAD -> trial_bad++
            :: else -> taken--
            fi;
            check_trials();
            closes = (trial_ok >= SUCCESSES);
            opens = !closes && trial_bad > TRIALS - SUCCESSES;
            mutex = closes || opens;
            if
            :: opens -> until = t + OPEN_FOR
            :: else
            fi
        :: else /* late: a newer epoch, a reclaimed place, or at or after the end of the lease */
        fi;
        skip
    };
    if
    :: closes -> closes = false; close_(); skip
    :: opens -> d_step { opens = false; publish_open(); skip }
    :: else
    fi
}

proctype caller(byte me)
{
    byte t, e, issued, serial, lease, i;
    byte outcome, m, bad, good;
    bool admitted, added, tripped, closes, opens;
    short w;

    do
    :: atomic { calls > 0 -> calls--; t = now };
        ask();
        if
        :: admitted ->
            atomic {
                admitted = false;
                issued = e;
                t = 0;
                if /* the call runs; how does it end? */
                :: outcome = OUTCOME_OK
                :: outcome = OUTCOME_BAD
                :: serial != 0 -> outcome = OUTCOME_NEUTRAL
                :: outcome = OUTCOME_LOST /* never settled */
                fi
            };
            if
            :: outcome != OUTCOME_LOST ->
                t = now;
                w = word;
#ifdef NO_EPOCH
                e = EPOCH(w);
                if
                :: MODE(w) == HALF_OPEN -> w = 0; settle_trial()
                :: MODE(w) == CLOSED && outcome != OUTCOME_NEUTRAL -> w = 0; record()
                :: else -> w = 0
                fi
#else
                if
                :: EPOCH(w) != e -> w = 0 /* late: decides nothing */
                :: EPOCH(w) == e && serial != 0 -> w = 0; settle_trial()
                :: EPOCH(w) == e && serial == 0 -> w = 0; record()
                fi
#endif
            :: else
            fi;
            d_step { t = 0; e = 0; issued = 0; serial = 0; lease = 0; outcome = 0 }
        :: else -> d_step { t = 0; e = 0; calls++ } /* refused: may ask again */
        fi
    :: break
    od;
    finished++
}

proctype timer()
{
    do
    :: now < TICKS -> d_step { now++; g_hold(); skip }
    :: else -> break
    od;
    finished++
}

proctype reset()
{
    byte i;
    atomic { mutex == 0 -> mutex = 1 };
    close_();
    finished++
}

/* P5: when everything has ended, time passes and somebody asks. */
proctype probe()
{
    byte t, e, serial, lease, i;
    bool admitted;
    short w;
    finished == CALLERS + 1 + RESETS;
    d_step { now = now + LEASE + OPEN_FOR; t = now };
    ask();
    assert(admitted) /* P5 */
}

init {
    atomic {
        byte k = 0;
        do
        :: k < CALLERS -> run caller(k); k++
        :: else -> k = 0; break
        od;
        run timer();
        run probe();
#if RESETS
        run reset()
#endif
    }
}
