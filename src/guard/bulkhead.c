/*
 * The bulkhead's shell: compare-and-swap loops, and the list of waiters. See bulkhead.h.
 *
 * Memory order: taking a place is acquire, giving it back is release, both on `word`: what the last
 * holder did happens before what the next one does.
 */
#include "guard/bulkhead.h"

#include "base/backoff.h"
#include "base/clock.h"

#include <stddef.h>

void wr_bulkhead_init(struct wr_bulkhead *bulkhead, uint32_t limit, const weir_clock *clock)
{
    atomic_init(&bulkhead->word, wr_bulkhead_word(0, limit, 0));
    bulkhead->clock = clock;
    wr_mutex_init(&bulkhead->locked.mutex);
    bulkhead->locked.first = NULL;
    bulkhead->locked.last = NULL;
}

void wr_bulkhead_destroy(struct wr_bulkhead *bulkhead)
{
    wr_mutex_destroy(&bulkhead->locked.mutex);
}

static bool swap(struct wr_bulkhead *bulkhead,
                 uint64_t *word, /* NOLINT(readability-non-const-parameter): written on failure */
                 uint64_t next)
{
    return atomic_compare_exchange_strong_explicit(&bulkhead->word, word, next,
                                                   memory_order_acq_rel, memory_order_acquire);
}

bool wr_bulkhead_take(struct wr_bulkhead *bulkhead)
{
    unsigned int pause = WR_BACKOFF_START;
    uint64_t word = wr_bulkhead_read(bulkhead);

    while (!wr_bulkhead_full(word)) {
        if (swap(bulkhead, &word, wr_bulkhead_take_place(word))) {
            return true;
        }
        wr_backoff(&pause);
    }
    return false;
}

bool wr_bulkhead_take_anyway(struct wr_bulkhead *bulkhead)
{
    uint64_t word = wr_bulkhead_read(bulkhead);

    while (wr_bulkhead_held(word) < WR_BULKHEAD_MAX) {
        if (swap(bulkhead, &word, wr_bulkhead_take_place(word))) {
            return true;
        }
    }
    return false;
}

static void unlink_locked(struct wr_bulkhead *bulkhead, struct wr_waiter *waiter)
    WR_REQUIRES(bulkhead->locked.mutex)
{
    *(waiter->previous != NULL ? &waiter->previous->next : &bulkhead->locked.first) = waiter->next;
    *(waiter->next != NULL ? &waiter->next->previous : &bulkhead->locked.last) = waiter->previous;
}

/*
 * The first waiter has been counted out of the word and a place into `held`: tell it. Its memory
 * may be gone once `granted` is set; the wake that follows only uses the address.
 */
static _Atomic uint32_t *grant_locked(struct wr_bulkhead *bulkhead)
    WR_REQUIRES(bulkhead->locked.mutex)
{
    struct wr_waiter *const waiter = bulkhead->locked.first;

    unlink_locked(bulkhead, waiter);
    /* Release: pairs with the acquire in wr_attempt_granted() and in the wait. */
    atomic_store_explicit(&waiter->granted, WR_GRANTED, memory_order_release);
    return &waiter->granted;
}

/* Is this place for a waiter? Above the limit (after a shrink, or in mode observe) it goes back. */
static bool hands_over(uint64_t word)
{
    return wr_bulkhead_waiters(word) != 0 && wr_bulkhead_held(word) <= wr_bulkhead_limit(word);
}

/* Hand the caller's place to the first waiter; NULL: there is none any more, or the limit shrank.
 */
static _Atomic uint32_t *hand_over(struct wr_bulkhead *bulkhead)
{
    _Atomic uint32_t *granted = NULL;
    uint64_t word;

    wr_mutex_lock(&bulkhead->locked.mutex);
    word = wr_bulkhead_read(bulkhead);
    while (hands_over(word)) {
        /* The hand-over: one waiter less, held stays. */
        if (swap(bulkhead, &word, wr_bulkhead_leave(word))) {
            granted = grant_locked(bulkhead);
            break;
        }
    }
    wr_mutex_unlock(&bulkhead->locked.mutex);
    return granted;
}

void wr_bulkhead_give(struct wr_bulkhead *bulkhead)
{
    unsigned int pause = WR_BACKOFF_START;

    for (;;) {
        uint64_t word = wr_bulkhead_read(bulkhead);
        _Atomic uint32_t *const granted = hands_over(word) ? hand_over(bulkhead) : NULL;

        if (granted != NULL) {
            wr_clock_wake(bulkhead->clock, granted, 1);
            return;
        }
        if (!hands_over(word) && swap(bulkhead, &word, wr_bulkhead_give_place(word))) {
            return;
        }
        wr_backoff(&pause);
    }
}

/* In one step: take a place if one is free, else be counted as a waiter. */
static enum wr_join join_locked(struct wr_bulkhead *bulkhead) WR_REQUIRES(bulkhead->locked.mutex)
{
    uint64_t word = wr_bulkhead_read(bulkhead);

    for (;;) {
        const bool full = wr_bulkhead_full(word);

        if (full && wr_bulkhead_waiters(word) == WR_BULKHEAD_WAITERS_MAX) {
            return WR_JOIN_FULL;
        }
        if (swap(bulkhead, &word, full ? wr_bulkhead_join(word) : wr_bulkhead_take_place(word))) {
            return full ? WR_JOINED : WR_JOIN_TOOK;
        }
    }
}

enum wr_join wr_bulkhead_wait(struct wr_bulkhead *bulkhead, struct wr_waiter *waiter)
{
    enum wr_join result;

    atomic_store_explicit(&waiter->granted, WR_WAITS, memory_order_relaxed);
    wr_mutex_lock(&bulkhead->locked.mutex);
    result = join_locked(bulkhead);
    if (result == WR_JOINED) {
        waiter->next = NULL;
        waiter->previous = bulkhead->locked.last;
        *(waiter->previous != NULL ? &waiter->previous->next : &bulkhead->locked.first) = waiter;
        bulkhead->locked.last = waiter;
    }
    wr_mutex_unlock(&bulkhead->locked.mutex);
    return result;
}

bool wr_bulkhead_quit(struct wr_bulkhead *bulkhead, struct wr_waiter *waiter)
{
    bool granted;

    wr_mutex_lock(&bulkhead->locked.mutex);
    granted = atomic_load_explicit(&waiter->granted, memory_order_relaxed) == WR_GRANTED;
    if (!granted) {
        uint64_t word = wr_bulkhead_read(bulkhead);

        unlink_locked(bulkhead, waiter);
        while (!swap(bulkhead, &word, wr_bulkhead_leave(word))) {
        }
    }
    wr_mutex_unlock(&bulkhead->locked.mutex);
    return !granted;
}

enum { INTERRUPT_BATCH = 64 };

/* Mark some of those that wait and are not marked; their words are woken without the mutex. */
static size_t interrupt_some(struct wr_bulkhead *bulkhead,
                             _Atomic uint32_t *ret_words[INTERRUPT_BATCH])
{
    size_t count = 0;

    wr_mutex_lock(&bulkhead->locked.mutex);
    for (struct wr_waiter *w = bulkhead->locked.first; w != NULL && count < INTERRUPT_BATCH;
         w = w->next) {
        if (atomic_load_explicit(&w->granted, memory_order_relaxed) == WR_WAITS) {
            atomic_store_explicit(&w->granted, WR_INTERRUPTED, memory_order_release);
            ret_words[count++] = &w->granted;
        }
    }
    wr_mutex_unlock(&bulkhead->locked.mutex);
    return count;
}

void wr_bulkhead_interrupt(struct wr_bulkhead *bulkhead)
{
    _Atomic uint32_t *words[INTERRUPT_BATCH];
    size_t count;

    do {
        count = interrupt_some(bulkhead, words);
        for (size_t i = 0; i < count; ++i) {
            wr_clock_wake(bulkhead->clock, words[i], 1); /* their addresses only */
        }
    } while (count == INTERRUPT_BATCH);
}

/* Take one free place for the first waiter; NULL: no waiter, or no free place. */
static _Atomic uint32_t *feed_locked(struct wr_bulkhead *bulkhead)
    WR_REQUIRES(bulkhead->locked.mutex)
{
    uint64_t word = wr_bulkhead_read(bulkhead);

    while (wr_bulkhead_waiters(word) != 0 && !wr_bulkhead_full(word)) {
        if (swap(bulkhead, &word, wr_bulkhead_leave(wr_bulkhead_take_place(word)))) {
            return grant_locked(bulkhead);
        }
    }
    return NULL;
}

void wr_bulkhead_resize(struct wr_bulkhead *bulkhead, uint32_t limit)
{
    _Atomic uint32_t *granted;

    do {
        uint64_t word;

        /* A waiter joins under the mutex: none can join between the new limit and the feeding. */
        wr_mutex_lock(&bulkhead->locked.mutex);
        word = wr_bulkhead_read(bulkhead);
        while (!swap(bulkhead, &word, wr_bulkhead_with_limit(word, limit))) {
        }
        granted = feed_locked(bulkhead);
        wr_mutex_unlock(&bulkhead->locked.mutex);
        if (granted != NULL) {
            wr_clock_wake(bulkhead->clock, granted, 1); /* foreign code: outside the mutex */
        }
    } while (granted != NULL);
}
