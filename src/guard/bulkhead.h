/*
 * The bulkhead: at most `limit` places are held; who may wait is served first come, first served.
 *
 * Invariant: while a call waits, no place is free (but for the moment in which a raised limit is
 * handed out, when a newcomer may be faster). A released place is handed straight to the first
 * waiter (held does not change), so nobody overtakes and no wake-up can be lost; a waiter joins by
 * the same compare-and-swap that sees every place taken; a raised limit hands the new places out.
 * The word (policy/bulkhead_policy.h) is written by everybody, by compare-and-swap only; its limit
 * and its waiters, and the list of waiters, change only under the mutex, which is taken only when
 * somebody waits or the limit changes.
 */
#ifndef WR_GUARD_BULKHEAD_H
#define WR_GUARD_BULKHEAD_H

#include "base/mutex.h"
#include "policy/bulkhead_policy.h"

#include <weir/host.h>

#include <stdatomic.h>

/* Values of `granted`. */
enum { WR_WAITS, WR_GRANTED, WR_INTERRUPTED };

/* In the waiting call's own memory, linked while it waits. */
struct wr_waiter {
    _Atomic uint32_t granted; /* WR_GRANTED: a place was handed over; waits sleep on it */
    struct wr_waiter *previous, *next;
};

struct wr_bulkhead {
    _Atomic uint64_t word;
    const weir_clock *clock; /* borrowed: wakes waiters */
    struct {
        struct wr_mutex mutex;
        struct wr_waiter *first, *last;
    } locked;
};

enum wr_join { WR_JOINED, WR_JOIN_TOOK, WR_JOIN_FULL };

void wr_bulkhead_init(struct wr_bulkhead *bulkhead, uint32_t limit, const weir_clock *clock);
void wr_bulkhead_destroy(struct wr_bulkhead *bulkhead);

static inline uint64_t wr_bulkhead_read(const struct wr_bulkhead *bulkhead)
{
    return atomic_load_explicit(&bulkhead->word, memory_order_acquire);
}

/* Take a place. False: at the moment of the last read every place was taken. */
bool wr_bulkhead_take(struct wr_bulkhead *bulkhead);

/* Take a place even above the limit (mode observe). False only at 2^24 - 1. */
bool wr_bulkhead_take_anyway(struct wr_bulkhead *bulkhead);

/* Give a place back, or hand it to the first waiter. */
void wr_bulkhead_give(struct wr_bulkhead *bulkhead);

/* Join the waiters; or take a place if one is free; FULL: 65,535 are waiting. */
enum wr_join wr_bulkhead_wait(struct wr_bulkhead *bulkhead, struct wr_waiter *waiter);

/* Stop waiting. False: a place had been handed over already, it is the caller's. */
bool wr_bulkhead_quit(struct wr_bulkhead *bulkhead, struct wr_waiter *waiter);

/* Wake everybody who waits, to look around: nothing is handed over, they still wait. Who joins
 * later is not woken. */
void wr_bulkhead_interrupt(struct wr_bulkhead *bulkhead);

/* Change the limit; a raise hands places to waiters. */
void wr_bulkhead_resize(struct wr_bulkhead *bulkhead, uint32_t limit);

#endif
