/*
 * Sliding log of token stamps. See sliding_log.h.
 */
#include "policy/sliding_log.h"

#include "base/saturate.h"

/* The stamp of the age-th newest token; age is 1..filled. */
static uint64_t stamp(const struct wr_sliding_log *log, const uint64_t *ring, uint64_t age)
{
    const uint64_t at = log->next + log->capacity - age;

    return ring[at >= log->capacity ? at - log->capacity : at];
}

uint64_t wr_sliding_log_wait(const struct wr_sliding_log *log, const uint64_t *ring,
                             uint64_t now_ns, uint64_t cost)
{
    /* After the take, the log holds the `cost` new tokens and the newest limit - cost old ones: the
     * one before those must have left. */
    const uint64_t age = log->limit - cost + 1;
    uint64_t at = now_ns;

    if (log->filled >= age) {
        at = wr_max_u64(at, wr_sat_add(stamp(log, ring, age), log->period_ns));
    }
    return at - now_ns;
}

void wr_sliding_log_take(struct wr_sliding_log *log, uint64_t *ring, uint64_t at_ns, uint64_t cost)
{
    const uint64_t newest = log->filled > 0 ? stamp(log, ring, 1) : 0;

    for (uint64_t i = 0; i < cost; ++i) {
        ring[log->next] = wr_max_u64(at_ns, newest);
        log->next = log->next + 1 == log->capacity ? 0 : log->next + 1;
        log->filled += log->filled < log->capacity ? 1U : 0U;
    }
}

uint64_t wr_sliding_log_tokens(const struct wr_sliding_log *log, const uint64_t *ring,
                               uint64_t now_ns)
{
    uint32_t inside =
        0; /* the `inside` newest stamps are in the period; ages above `low` are not */
    uint32_t outside = log->filled;

    /* Stamps decrease with age: binary search for the oldest that is still inside. */
    while (inside < outside) {
        const uint32_t age = outside - (outside - inside) / 2;

        if (wr_sat_add(stamp(log, ring, age), log->period_ns) > now_ns) {
            inside = age;
        } else {
            outside = age - 1;
        }
    }
    return wr_sat_sub(log->limit, inside);
}
