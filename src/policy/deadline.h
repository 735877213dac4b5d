/*
 * Deadlines. Periods are half-open: at exactly its deadline a call has no time left.
 */
#ifndef WR_POLICY_DEADLINE_H
#define WR_POLICY_DEADLINE_H

#include "base/saturate.h"

#include <stdbool.h>

#define WR_NO_DEADLINE UINT64_MAX

/* The earlier of the dependency's timeout and the caller's own budget (0: none given). */
static inline uint64_t wr_deadline(uint64_t now_ns, uint64_t timeout_ns, uint64_t within_ns)
{
    const uint64_t budget = within_ns != 0 ? wr_min_u64(timeout_ns, within_ns) : timeout_ns;

    return wr_sat_add(now_ns, budget);
}

static inline bool wr_deadline_over(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns != WR_NO_DEADLINE && now_ns >= deadline_ns;
}

static inline uint64_t wr_deadline_left(uint64_t deadline_ns, uint64_t now_ns)
{
    return deadline_ns == WR_NO_DEADLINE ? UINT64_MAX : wr_sat_sub(deadline_ns, now_ns);
}

#endif
