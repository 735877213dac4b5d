/*
 * The sliding log against an exact one that keeps every stamp: at most n tokens in any
 * (t - period, t], and not one fewer than fits.
 */
#include "support/harness.h"

#include "policy/sliding_log.h"

#include <inttypes.h>
#include <string.h>

enum { LIMIT_MAX = 24, TOKENS_MAX = 400 };

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

struct limiter {
    struct wr_sliding_log log;
    uint64_t ring[LIMIT_MAX];
};

static struct limiter limiter_of(uint32_t limit, uint64_t period_ns)
{
    struct limiter limiter = {.log = {.period_ns = period_ns, .limit = limit, .capacity = limit}};

    memset(limiter.ring, 0xff,
           sizeof(limiter.ring)); /* what the ring holds before must not matter */
    return limiter;
}

static uint64_t wait(const struct limiter *limiter, uint64_t now_ns, uint64_t cost)
{
    return wr_sliding_log_wait(&limiter->log, limiter->ring, now_ns, cost);
}

/* Take if it passes now. */
static bool took(struct limiter *limiter, uint64_t now_ns, uint64_t cost)
{
    if (wait(limiter, now_ns, cost) != 0) {
        return false;
    }
    wr_sliding_log_take(&limiter->log, limiter->ring, now_ns, cost);
    return true;
}

static uint64_t tokens(const struct limiter *limiter, uint64_t now_ns)
{
    return wr_sliding_log_tokens(&limiter->log, limiter->ring, now_ns);
}

Test(sliding_log, an_unused_one_lets_its_limit_pass_at_once)
{
    struct limiter limiter = limiter_of(10, 1000);

    cr_assert_eq(tokens(&limiter, 0), 10U);
    cr_assert_eq(wait(&limiter, 0, 10), 0U);
    for (int i = 0; i < 10; ++i) {
        cr_assert(took(&limiter, 0, 1));
    }
    cr_assert_not(took(&limiter, 0, 1));
    cr_assert_eq(tokens(&limiter, 0), 0U);
}

Test(sliding_log, a_token_leaves_exactly_one_period_after_it_was_taken)
{
    struct limiter limiter = limiter_of(1, 1000);

    cr_assert(took(&limiter, 500, 1));

    cr_assert_eq(wait(&limiter, 500, 1), 1000U);
    cr_assert_eq(wait(&limiter, 1499, 1), 1U);
    cr_assert_eq(tokens(&limiter, 1499), 0U);
    cr_assert_eq(wait(&limiter, 1500, 1), 0U);
    cr_assert_eq(tokens(&limiter, 1500), 1U);
}

Test(sliding_log, there_is_no_burst_at_the_edge_of_a_period)
{
    struct limiter limiter = limiter_of(10, 1000);

    for (uint64_t i = 0; i < 10; ++i) {
        cr_assert(took(&limiter, 990 + i, 1));
    }

    cr_assert_not(took(&limiter, 1000, 1));
    cr_assert_not(took(&limiter, 1989, 1));
    cr_assert(took(&limiter, 1990, 1));
    cr_assert_not(took(&limiter, 1990, 1));
}

Test(sliding_log, a_take_of_many_waits_for_the_last_that_it_needs)
{
    struct limiter limiter = limiter_of(3, 1000);

    cr_assert(took(&limiter, 0, 1));
    cr_assert(took(&limiter, 100, 1));
    cr_assert(took(&limiter, 300, 1));

    cr_assert_eq(wait(&limiter, 400, 1), 600U);
    cr_assert_eq(wait(&limiter, 400, 2), 700U);
    cr_assert_eq(wait(&limiter, 400, 3), 900U);
}

Test(sliding_log, a_wait_that_is_granted_reserves_its_place)
{
    struct limiter limiter = limiter_of(2, 1000);

    cr_assert(took(&limiter, 0, 2));
    for (uint64_t i = 0; i < 6; ++i) {
        const uint64_t wait_ns = wait(&limiter, 10, 1);

        cr_assert_eq(wait_ns, (i / 2 + 1) * 1000 - 10);
        wr_sliding_log_take(&limiter.log, limiter.ring, 10 + wait_ns, 1);
    }

    cr_assert_eq(tokens(&limiter, 10), 0U);
    cr_assert_eq(tokens(&limiter, 3999), 0U);
    cr_assert_eq(tokens(&limiter, 4000), 2U);
}

Test(sliding_log, a_stale_stamp_grants_nothing)
{
    struct limiter limiter = limiter_of(5, 1000000000);
    const uint64_t now = 10000000000;

    cr_assert(took(&limiter, now, 5));

    cr_assert_not(took(&limiter, now - 5000000, 1));
    cr_assert_geq(wait(&limiter, now - 5000000, 1), 1005000000U);
    cr_assert_not(took(&limiter, 0, 1));
}

Test(sliding_log, a_stale_take_counts_for_as_long_as_a_fresh_one)
{
    struct limiter limiter = limiter_of(2, 1000);

    cr_assert(took(&limiter, 5000, 1));
    cr_assert(took(&limiter, 4000, 1)); /* entered at 5000: stamps never decrease */

    cr_assert_eq(tokens(&limiter, 5999), 0U);
    cr_assert_eq(tokens(&limiter, 6000), 2U);
}

Test(sliding_log, a_period_beyond_the_end_of_time_never_ends)
{
    struct limiter limiter = limiter_of(1, UINT64_MAX);

    cr_assert(took(&limiter, 1, 1));

    cr_assert_neq(wait(&limiter, UINT64_MAX - 1, 1), 0U);
    cr_assert_eq(tokens(&limiter, UINT64_MAX - 1), 0U);
}

Test(sliding_log, a_late_clock_changes_nothing)
{
    const uint64_t start = (1ULL << 63U) - 500;
    struct limiter limiter = limiter_of(1, 1000);

    for (uint64_t i = 0; i < 5; ++i) {
        cr_assert(took(&limiter, start + i * 1000, 1));
        cr_assert_eq(wait(&limiter, start + i * 1000 + 1, 1), 999U);
    }
}

Test(sliding_log, idle_for_longer_than_the_period_it_is_whole_again_and_no_more_than_whole)
{
    struct limiter limiter = limiter_of(7, 1000);

    cr_assert(took(&limiter, 0, 7));

    cr_assert_eq(tokens(&limiter, 8640000000000000000ULL), 7U);
    cr_assert(took(&limiter, 8640000000000000000ULL, 7));
    cr_assert_not(took(&limiter, 8640000000000000000ULL, 1));
}

/* ---- against every stamp ever entered ---- */

struct every {
    uint64_t stamps[TOKENS_MAX]; /* in order */
    uint32_t length;
};

/* Would `cost` tokens at `at` keep every (t - period, t] at the limit? Earlier stamps are <= at. */
static bool fits(const struct every *every, const struct limiter *limiter, uint64_t at,
                 uint64_t cost)
{
    uint64_t inside = 0;

    for (uint32_t i = 0; i < every->length; ++i) {
        inside += every->stamps[i] + limiter->log.period_ns > at ? 1U : 0U;
    }
    return inside + cost <= limiter->log.limit;
}

static void enter(struct every *every, struct limiter *limiter, uint64_t at, uint64_t cost)
{
    const uint64_t newest = every->length > 0 ? every->stamps[every->length - 1] : 0;

    for (uint64_t i = 0; i < cost; ++i) {
        every->stamps[every->length++] = at > newest ? at : newest;
    }
    wr_sliding_log_take(&limiter->log, limiter->ring, at, cost);
}

static void check_wait(const struct every *every, const struct limiter *limiter, uint64_t now,
                       uint64_t cost, uint64_t seed)
{
    const uint64_t wait_ns = wait(limiter, now, cost);

    cr_assert(fits(every, limiter, now + wait_ns, cost), "seed %" PRIu64 ": too early", seed);
    if (wait_ns > 0) {
        cr_assert_not(fits(every, limiter, now + wait_ns - 1, cost), "seed %" PRIu64 ": too late",
                      seed);
    }
}

static void check_tokens(const struct every *every, const struct limiter *limiter, uint64_t now,
                         uint64_t seed)
{
    const uint64_t free_tokens = tokens(limiter, now);

    cr_assert_leq(free_tokens, limiter->log.limit, "seed %" PRIu64, seed);
    if (free_tokens > 0) {
        cr_assert(fits(every, limiter, now, free_tokens), "seed %" PRIu64, seed);
    }
    cr_assert_not(fits(every, limiter, now, free_tokens + 1), "seed %" PRIu64, seed);
}

/* The promise itself, over the whole history. */
static void check_every_period(const struct every *every, const struct limiter *limiter,
                               uint64_t seed)
{
    for (uint32_t i = limiter->log.limit; i < every->length; ++i) {
        cr_assert_geq(every->stamps[i] - every->stamps[i - limiter->log.limit],
                      limiter->log.period_ns, "seed %" PRIu64, seed);
    }
}

static void run_against_every_stamp(uint64_t seed_of_run, bool stale)
{
    static struct every every;
    uint64_t seed = seed_of_run;
    const uint32_t limit = (uint32_t)(next_random(&seed) % LIMIT_MAX) + 1;
    const uint64_t period = next_random(&seed) % 100 + 1;
    struct limiter limiter = limiter_of(limit, period);
    uint64_t now = next_random(&seed) % 2 * 1000;

    every.length = 0;
    while (every.length + limit <= TOKENS_MAX) {
        const uint64_t random = next_random(&seed);
        const uint64_t cost = random % limit + 1;
        const uint64_t max_wait = random / limit % 4 == 0 ? period : 0;
        const uint64_t stamp = stale && random >> 62U == 0 ? now - now % (period + 1) : now;
        const uint64_t wait_ns = wait(&limiter, stamp, cost);

        if (!stale) {
            check_wait(&every, &limiter, stamp, cost, seed_of_run);
            check_tokens(&every, &limiter, stamp, seed_of_run);
        }
        if (wait_ns <= max_wait) {
            enter(&every, &limiter, stamp + wait_ns, cost);
        }
        now += (random >> 40U) % 3 == 0 ? (random >> 45U) % (period + 2) : 0;
    }
    check_every_period(&every, &limiter, seed_of_run);
}

Test(sliding_log, over_random_steps_every_decision_is_that_of_an_exact_log)
{
    for (uint64_t seed = 1; seed <= 4000; ++seed) {
        run_against_every_stamp(seed, false);
    }
}

Test(sliding_log, over_random_steps_with_stale_stamps_no_period_holds_more_than_the_limit)
{
    for (uint64_t seed = 1; seed <= 20000; ++seed) {
        run_against_every_stamp(seed, true);
    }
}
