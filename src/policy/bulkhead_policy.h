/*
 * The bulkhead as arithmetic on one word:
 *
 *     | waiters 16 bits | limit 24 bits | held 24 bits |
 *
 * All three in one word make every decision one compare-and-swap from a load, hence exact both
 * ways: held is never raised above the limit, and a refusal means that held >= limit in the very
 * word that was read. (Add-then-undo can refuse while a place is free.)
 */
#ifndef WR_POLICY_BULKHEAD_POLICY_H
#define WR_POLICY_BULKHEAD_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#define WR_BULKHEAD_MAX         0xffffffU /* of held and of limit */
#define WR_BULKHEAD_WAITERS_MAX 0xffffU

static inline uint32_t wr_bulkhead_held(uint64_t word)
{
    return (uint32_t)(word & WR_BULKHEAD_MAX);
}

static inline uint32_t wr_bulkhead_limit(uint64_t word)
{
    return (uint32_t)(word >> 24U & WR_BULKHEAD_MAX);
}

static inline uint32_t wr_bulkhead_waiters(uint64_t word)
{
    return (uint32_t)(word >> 48U);
}

static inline uint64_t wr_bulkhead_word(uint32_t held, uint32_t limit, uint32_t waiters)
{
    return (uint64_t)waiters << 48U | (uint64_t)limit << 24U | held;
}

static inline bool wr_bulkhead_full(uint64_t word)
{
    return wr_bulkhead_held(word) >= wr_bulkhead_limit(word);
}

/* One place more, less; one waiter more, less. The caller has checked that it may. */
static inline uint64_t wr_bulkhead_take_place(uint64_t word)
{
    return word + 1U;
}

static inline uint64_t wr_bulkhead_give_place(uint64_t word)
{
    return word - 1U;
}

static inline uint64_t wr_bulkhead_join(uint64_t word)
{
    return word + (1ULL << 48U);
}

static inline uint64_t wr_bulkhead_leave(uint64_t word)
{
    return word - (1ULL << 48U);
}

static inline uint64_t wr_bulkhead_with_limit(uint64_t word, uint32_t limit)
{
    return wr_bulkhead_word(wr_bulkhead_held(word), limit, wr_bulkhead_waiters(word));
}

#endif
