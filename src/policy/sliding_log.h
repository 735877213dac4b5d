/*
 * Rate limit without bursts at the edge: at most `limit` tokens in any (t - period, t].
 *
 * An exact log: the stamps of the newest tokens in a ring, at least `limit` of them; a ring that is
 * larger remembers, when the limit was lowered, what must still be known if it is raised again. The
 * n tokens of a take pass at t iff the stamp that lies n places before the end of the log is at
 * most t - period. Stamps never decrease, so a stale clock cannot grant anything extra. Pure and
 * flat: the caller brings the ring and the lock. O(cost) a take.
 */
#ifndef WR_POLICY_SLIDING_LOG_H
#define WR_POLICY_SLIDING_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct wr_sliding_log {
    uint64_t period_ns;
    uint32_t limit;    /* tokens per period; 0: nothing passes */
    uint32_t capacity; /* stamps that the ring can hold, at least `limit` */
    uint32_t filled;   /* stamps in the ring */
    uint32_t next;     /* where the next stamp goes; when full, the oldest stamp */
};

/* When would a take of `cost` pass, as a wait from `now_ns`? 0: now. cost is 1..limit. O(1). */
uint64_t wr_sliding_log_wait(const struct wr_sliding_log *log, const uint64_t *ring,
                             uint64_t now_ns, uint64_t cost);

/* Enter `cost` tokens at `at_ns` (now, or now plus the wait that was granted). */
void wr_sliding_log_take(struct wr_sliding_log *log, uint64_t *ring, uint64_t at_ns, uint64_t cost);

/* Tokens available at `now_ns`. O(log limit). */
uint64_t wr_sliding_log_tokens(const struct wr_sliding_log *log, const uint64_t *ring,
                               uint64_t now_ns);

#endif
