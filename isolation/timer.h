/*
 * The timer thread of a runtime: makes submitted calls leave at their deadline, whether they wait
 * for a worker or run. (Whoever waits in execute watches its own deadline and needs no timer.) It
 * runs no user code and needs no worker. Started with the first completion queue; sleeps for ever
 * while no submitted call has a deadline.
 *
 * There is no list of timers: each pool keeps one moment a cell, in a dense array, which is written
 * when a call is submitted and taken back when it is settled. `next_expiry_ns` of a pool is a
 * moment before which none of its cells expires; only when that has come is the array scanned. So
 * arming is two stores and two loads, ending one store, and a timer that is not needed any more
 * leaves nothing behind.
 *
 * No moment is missed. Submitting stores the moment, then reads next_expiry_ns; the timer raises
 * next_expiry_ns, then reads the moments. Lowering next_expiry_ns comes before reading `until_ns`;
 * the timer stores `until_ns`, then reads every next_expiry_ns again. All sequentially consistent,
 * so of each pair at least one sees the other.
 */
#ifndef WR_ISOLATION_TIMER_H
#define WR_ISOLATION_TIMER_H

#include "isolation/pool.h"

struct wr_timer {
    const weir_clock *clock; /* borrowed */
    pthread_t thread;
    bool started;          /* under the runtime's mutex */
    _Atomic uint32_t word; /* grows when it should look again; it sleeps on this */
    _Atomic uint32_t stopping;
    _Atomic uint64_t until_ns;       /* it sleeps until then */
    _Atomic(struct wr_pool *) pools; /* a list that only grows, at its head */
};

void wr_timer_init(struct wr_timer *timer, const weir_clock *clock);

/* False: no thread to be had. */
bool wr_timer_start(struct wr_timer *timer);

/* Ends the thread; it never is inside anything that blocks. */
void wr_timer_stop(struct wr_timer *timer);

/* The pool must outlive the timer's thread. */
void wr_timer_add_pool(struct wr_timer *timer, struct wr_pool *pool);

/* A queued cell of the pool is to leave at `deadline_ns` (UINT64_MAX: never). */
void wr_timer_arm(struct wr_timer *timer, struct wr_pool *pool, struct wr_cell *cell,
                  uint64_t deadline_ns);

/* The cell has been settled. */
static inline void wr_timer_disarm(struct wr_cell *cell)
{
    /* Relaxed: a scan that still reads the moment finds the word settled. */
    atomic_store_explicit(cell->expires_ns, UINT64_MAX, memory_order_relaxed);
}

#endif
