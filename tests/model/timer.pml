/*
 * The timer: moments in an array, the moment before which no scan is due, and the timer thread's sleep.
 *
 * What must hold (each is an assertion below, named T1 to T5):
 *   T1  no moment is missed: when nothing can move any more but the clock, every call whose moment has come
 *       has left.
 *   T2  no call leaves before its own moment, and one without a moment never, whatever the cell that it is
 *       in was used for before: an old moment never meets a new call.
 *   T3  each call ends once, by its work or by the timer.
 *   T4  a cell is looked at only when it has been made: the store grows while the timer scans.
 *   T5  nobody waits for ever: all calls end, and the timer's thread when it is stopped.
 *
 * Modelled, one shared access per step:
 *   word[]           (generation, state) of a cell: FREE, QUEUED (stands for running too), ENDED
 *   moment[]         expires_ns, written after the word says QUEUED, taken back before the end is told
 *   next_expiry[]    of a pool: raised by the timer before it reads the moments, lowered by whoever arms
 *   until            the timer sleeps until then; word_of_timer grows with each poke
 *   submitter        a call: wr_timer_arm; then it ends by its work, or waits for the timer (in which case
 *                    nobody else ends it)
 *   timer            timer_body: scan = scan(), look_at(); the sleep is clock->wait
 *   grower           wr_cells_grow: its memory is zeroed, so its moments have come before it is made
 *   clock            ticks at any time; with PROMPT only when nothing else can move, and then every moment
 *                    that has come must have been seen
 *
 * Rules that are easy to miss, each with its planted error:
 *   - the word is read before the moment that decides (MOMENT_FIRST): read after a live word, a moment is
 *     that call's or a later one's, and in the latter case the step fails;
 *   - the moment is stored after the word (ARM_BEFORE_QUEUED): else a scan finds it due beside a free cell,
 *     passes it over, and nobody asks for another;
 *   - after storing `until` the timer reads every next_expiry again (UNTIL_UNCHECKED);
 *   - it reads its word before it looks at `stopping`, not only before the scan (STOPPING_FIRST).
 *
 * No state comes twice (-DLIVE: a search for cycles, without the auditor), so every run ends.
 *
 * Not modelled: weak memory order, the wrap of generations and of the timer's word, a list of pools that
 * grows while the timer walks it.
 *
 * Planted errors, each must be found: ARM_BEFORE_QUEUED, RAISE_AFTER_SCAN, UNTIL_UNCHECKED,
 * UNTIL_BEFORE_LOWER, WORD_LATE, STOPPING_FIRST, MOMENT_FIRST, NO_DISARM, DISARM_LATE,
 * GROW_EARLY.
 */

#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifndef CALLS
#define CALLS 3 /* all submitters together */
#endif
#ifndef CELLS
#define CELLS 2
#endif
#ifndef POOLS
#define POOLS 1 /* cell c is of pool c % POOLS */
#endif
#ifndef LAST
#define LAST 2 /* the clock stops here */
#endif
#ifndef PROMPT
#define PROMPT 0
#endif
#ifndef GROWS
#define GROWS 0 /* 1: the last cell is added at any time */
#endif

#define NEVER 15

#define FREE 0
#define QUEUED 1
#define ENDED 2
#define WORD(g, s) ((g) * 4 + (s))
#define STATE(w) ((w) % 4)
#define GENERATION(w) ((w) / 4)

byte word[CELLS];
byte moment[CELLS] = NEVER;
byte next_expiry[POOLS] = NEVER;
byte until = NEVER;
byte word_of_timer;
bit stopping;
byte now;

byte capacity = CELLS - GROWS;
bit taken[CELLS]; /* off the free list */
bit told[CELLS];  /* the waiting side has been told */
byte calls = CALLS;

/* What really happened; read by assertions only. */
byte g_moment[CELLS] = NEVER; /* of the call that is in the cell */
bit g_live[CELLS];            /* it has not ended */
bit g_made[CELLS] = 1;
byte g_finished;
bit g_timer_ended;

hidden byte h_i;

/* Lower next_expiry[p] to at most `to`; ok: it was higher. */
inline lower(p, to)
{
    ok = false;
    old = next_expiry[p];
    do
    :: to < old && !ok ->
        atomic {
            if
            :: next_expiry[p] == old -> next_expiry[p] = to; ok = true
            :: else -> old = next_expiry[p]
            fi
        }
    :: else -> break
    od;
    old = 0
}

inline poke()
{
    word_of_timer++
}

/* The call in cell c ends: by whoever made the step from `w`, whose call had this generation. */
inline step(c, w)
{
    atomic {
        ok = (word[c] == w);
        if
        :: ok ->
            word[c] = w - QUEUED + ENDED;
            assert(g_live[c]); /* T3 */
            g_live[c] = 0
        :: else
        fi
    }
}

inline queue_it(c)
{
    atomic { word[c] = word[c] - FREE + QUEUED; w = word[c]; g_moment[c] = d; g_live[c] = 1 }
}

proctype submitter()
{
    byte c, d, w, old, seen;
    bool ok, patient;
    do
    :: atomic {
            calls > 0 ->
            calls--;
            if
            :: !taken[0] -> c = 0
            :: CELLS > 1 && !taken[CELLS - 1] -> c = CELLS - 1
            fi;
            taken[c] = 1;
            told[c] = 0;
            if
            :: d = 1
            :: d = LAST
            :: d = NEVER
            fi
        };
#if PROMPT
        if
        :: true
        :: now >= 1 -> skip
        fi;
#endif
#ifndef ARM_BEFORE_QUEUED
        queue_it(c);
#endif
        if
        :: d != NEVER ->
            moment[c] = d;
#ifdef UNTIL_BEFORE_LOWER
            seen = until;
            lower(c % POOLS, d);
#else
            lower(c % POOLS, d);
            if
            :: ok -> seen = until
            :: else
            fi;
#endif
            if
            :: ok && d < seen -> poke()
            :: else
            fi;
            atomic { ok = false; seen = 0 }
        :: else
        fi;
#ifdef ARM_BEFORE_QUEUED
        queue_it(c);
#endif
        if
        :: d != NEVER -> told[c] /* waits for the timer */
        :: true ->
            step(c, w);
            if
            :: ok ->
#ifndef NO_DISARM
                moment[c] = NEVER
#endif
            :: else -> told[c]
            fi
        fi;
        /* Both references are gone. */
        atomic {
            ok = false;
            word[c] = WORD(GENERATION(w) + 1, FREE);
            g_moment[c] = NEVER;
            taken[c] = 0;
            c = 0;
            d = 0;
            w = 0
        }
    :: else -> break
    od;
    g_finished++
}

inline scan(p)
{
    t = now;
    if
    :: t >= next_expiry[p] ->
#ifndef RAISE_AFTER_SCAN
        next_expiry[p] = NEVER;
#endif
        first = NEVER;
        c = p;
        n = capacity;
        do
        :: c < n ->
            m = moment[c];
            if
            :: m <= t ->
                atomic { assert(g_made[c]); w = word[c] }; /* T4 */
#ifndef MOMENT_FIRST
                m = moment[c];
#endif
                if
                :: m <= t && STATE(w) == QUEUED ->
                    atomic {
                        step(c, w);
                        if
                        :: ok -> assert(g_moment[c] <= now) /* T2 */
                        :: else
                        fi
                    };
                    if
                    :: ok ->
#ifdef DISARM_LATE
                        told[c] = 1;
                        moment[c] = NEVER
#else
                        moment[c] = NEVER;
                        told[c] = 1
#endif
                    :: else
                    fi;
                    ok = false
                :: m <= t && STATE(w) != QUEUED
                :: m > t -> first = (m < first -> m : first)
                fi;
                w = 0
            :: else -> first = (m < first -> m : first)
            fi;
            m = 0;
            c = c + POOLS
        :: else -> break
        od;
        atomic { c = 0; n = 0 };
#ifdef RAISE_AFTER_SCAN
        next_expiry[p] = NEVER;
#endif
        lower(p, first);
        atomic { ok = false; first = 0 }
    :: else
    fi;
    t = 0
}

/* The earliest next_expiry. */
inline earliest(e)
{
    e = next_expiry[0];
#if POOLS > 1
    m = next_expiry[1];
    atomic { e = (m < e -> m : e); m = 0 }
#endif
}

proctype timer()
{
    byte c, w, m, n, t, first, old, u, v, seen;
    bool ok;
    do
    :: true ->
#ifdef STOPPING_FIRST
        if
        :: stopping -> break
        :: else
        fi;
        seen = word_of_timer;
#else
#ifndef WORD_LATE
        seen = word_of_timer;
#endif
        if
        :: stopping -> break
        :: else
        fi;
#endif
        scan(0);
#if POOLS > 1
        scan(1);
#endif
        earliest(u);
        until = u;
#ifndef UNTIL_UNCHECKED
        earliest(v);
#else
        v = u;
#endif
#ifdef WORD_LATE
        seen = word_of_timer;
#endif
        if
        :: v >= u -> (word_of_timer != seen || (u != NEVER && now >= u))
        :: else
        fi;
        atomic { u = 0; v = 0; seen = 0 }
    od;
    g_timer_ended = 1
}

proctype grower()
{
#ifdef GROW_EARLY
    capacity = CELLS;
#endif
    moment[CELLS - 1] = NEVER;
    g_made[CELLS - 1] = 1;
#ifndef GROW_EARLY
    capacity = CELLS;
#endif
    taken[CELLS - 1] = 0
}

proctype clock()
{
    do
    :: now < LAST ->
#if PROMPT
        atomic {
            timeout;
            h_i = 0;
            do
            :: h_i < CELLS -> assert(!g_live[h_i] || g_moment[h_i] > now); h_i++ /* T1 */
            :: else -> break
            od;
            h_i = 0;
            now++
        }
#else
        now++
#endif
    :: else -> break
    od
}

proctype stopper()
{
    g_finished == SUBMITTERS;
    stopping = 1;
    poke()
}

/* When nothing can move any more. */
proctype auditor()
{
    now == LAST && timeout;
    assert(g_finished == SUBMITTERS && g_timer_ended); /* T1, T5 */
    assert(calls == 0)
}

init {
    atomic {
        byte k = 0;
        do
        :: k < SUBMITTERS -> run submitter(); k++
        :: else -> k = 0; break
        od;
#if GROWS
        moment[CELLS - 1] = 0;
        g_made[CELLS - 1] = 0;
        taken[CELLS - 1] = 1;
        run grower();
#endif
        run timer();
        run clock();
        run stopper();
#ifndef LIVE
        run auditor()
#endif
    }
}
