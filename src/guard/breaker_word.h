/*
 * What the three files of the breaker's shell share: the published word, and the way in and out of
 * the mutex.
 */
#ifndef WR_GUARD_BREAKER_WORD_H
#define WR_GUARD_BREAKER_WORD_H

#include "guard/breaker.h"

/* What an admission has to do, published in the word. */
enum wr_look {
    WR_LOOK_PASS,        /* closed: pass; recordings are judged */
    WR_LOOK_FORCED,      /* forced closed: pass; recordings are counted, not judged */
    WR_LOOK_OBSERVE,     /* override observe: pass; judged, never opened */
    WR_LOOK_RAMP,        /* closed, recovering: a share passes before `until` */
    WR_LOOK_OPEN,        /* refuse before `until`, then ask */
    WR_LOOK_FULL,        /* half-open, all places taken: refuse before `until`, then ask */
    WR_LOOK_ASK,         /* half-open: ask under the mutex */
    WR_LOOK_FORCED_OPEN, /* refuse */
    WR_LOOK_CHANGING     /* `until` is about to change: ask under the mutex */
};

static inline enum wr_look wr_look_of(uint64_t word)
{
    return (enum wr_look)(word & WR_LOOK_MASK);
}

static inline uint64_t wr_epoch_of(uint64_t word)
{
    return word >> WR_LOOK_BITS;
}

static inline uint64_t wr_breaker_word(const struct wr_breaker *breaker)
{
    /* Acquire: pairs with the release in wr_breaker_leave(). */
    return atomic_load_explicit(&breaker->word, memory_order_acquire);
}

/* word and until that belong together. */
uint64_t wr_breaker_pair(const struct wr_breaker *breaker, uint64_t *ret_until);

/* Lock, to change the state; *ret_before remembers what it was. */
void wr_breaker_enter(struct wr_breaker *breaker, struct wr_breaker_change *ret_before,
                      uint64_t now_ns) WR_ACQUIRES(breaker->locked.mutex);

/* Publish what the state has become, unlock, tell of a change. */
void wr_breaker_leave(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                      struct wr_breaker_change *before) WR_RELEASES(breaker->locked.mutex);

/* A random number if the rule uses any. Drawn before the mutex is taken: it is foreign code. */
uint64_t wr_breaker_draw(struct wr_breaker *breaker, const struct wr_breaker_rule *rule);

/* The rule held in `epoch`: open, unless somebody was faster or an override stands. */
void wr_breaker_trip_now(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                         uint64_t epoch, const struct wr_breaker_trip *why, uint64_t now_ns);

/* How many calls of this epoch are overdue; a query counts for itself and flags nothing. */
uint64_t wr_breaker_overdue(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                            uint64_t epoch, uint64_t now_ns, bool query);

#endif
