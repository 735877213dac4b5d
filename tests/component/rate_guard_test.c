/*
 * The shared rate limit: takes, waits, and live changes that conserve credit.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include "guard/rate.h"

#include <weir/testing.h>

#include <pthread.h>

#define SECOND 1000000000ULL

static weir_failing_allocator memory;
static struct wr_host host;

static struct wr_rate_rule per_second(uint64_t rate, uint64_t burst)
{
    return (struct wr_rate_rule){.milli = rate * 1000, .per_ns = SECOND, .burst = burst};
}

static struct wr_rate_rule window_of(uint64_t rate)
{
    return (struct wr_rate_rule){
        .milli = rate * 1000, .per_ns = SECOND, .burst = 1, .window = true};
}

static void start(void)
{
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .allocator = &memory.ops};

    weir_failing_allocator_init(&memory, 0, 0);
    cr_assert_eq(wr_host_init(&host, &options, NULL), WEIR_OK);
}

static void stop(void)
{
    cr_expect_eq(memory.live, 0U);
}

static struct wr_rate *make(struct wr_rate_rule rule, uint64_t now_ns, struct wr_rate *previous)
{
    struct wr_rate *const rate = wr_rate_create(&host, &rule, now_ns, previous);

    cr_assert_not_null(rate);
    return rate;
}

static enum wr_rate_verdict take(struct wr_rate *rate, uint64_t now_ns, uint64_t cost)
{
    return wr_rate_take(rate, now_ns, cost, 0).verdict;
}

static uint64_t take_all(struct wr_rate *rate, uint64_t now_ns)
{
    uint64_t taken = 0;

    while (take(rate, now_ns, 1) == WR_RATE_PASS) {
        ++taken;
    }
    return taken;
}

Test(rate_guard, a_bucket_starts_full)
{
    start();
    struct wr_rate *const rate = make(per_second(10, 7), 5 * SECOND, NULL);
    cr_assert_eq(wr_rate_tokens(rate, 5 * SECOND), 7U);
    cr_assert_eq(take_all(rate, 5 * SECOND), 7U);
    wr_rate_destroy(rate);
    stop();
}

Test(rate_guard, a_look_takes_nothing)
{
    start();
    struct wr_rate *const rate = make(per_second(10, 1), 0, NULL);
    struct wr_rate *const window = make(window_of(1), 0, NULL);
    for (int i = 0; i < 100; ++i) {
        cr_assert_eq(wr_rate_look(rate, 0, 1).verdict, WR_RATE_PASS);
        cr_assert_eq(wr_rate_look(window, 0, 1).verdict, WR_RATE_PASS);
    }
    cr_assert_eq(take(rate, 0, 1), WR_RATE_PASS);
    cr_assert_eq(take(window, 0, 1), WR_RATE_PASS);
    cr_assert_eq(wr_rate_look(rate, 0, 1).wait_ns, SECOND / 10);
    cr_assert_eq(wr_rate_look(window, 0, 1).wait_ns, SECOND);
    wr_rate_destroy(rate);
    wr_rate_destroy(window);
    stop();
}

Test(rate_guard, a_wait_within_patience_reserves_its_place)
{
    start();
    struct wr_rate *const rate = make(per_second(10, 1), 0, NULL);
    cr_assert_eq(take(rate, 0, 1), WR_RATE_PASS);
    for (uint64_t i = 1; i <= 3; ++i) {
        const struct wr_rate_answer answer = wr_rate_take(rate, 0, 1, SECOND);

        cr_assert_eq(answer.verdict, WR_RATE_PASS);
        cr_assert_eq(answer.wait_ns, i * SECOND / 10);
    }
    cr_assert_eq(wr_rate_take(rate, 0, 1, SECOND / 10).verdict, WR_RATE_REFUSE);
    cr_assert_eq(wr_rate_take(rate, 0, 1, 4 * SECOND / 10).verdict, WR_RATE_PASS);
    wr_rate_destroy(rate);
    stop();
}

Test(rate_guard, of_rate_zero_nothing_ever_passes)
{
    start();
    struct wr_rate *const bucket = make(per_second(0, 10), 0, NULL);
    struct wr_rate *const window = make(window_of(0), 0, NULL);
    for (uint64_t day = 0; day < 10; ++day) {
        cr_assert_eq(take(bucket, day * 86400 * SECOND, 1), WR_RATE_NEVER);
        cr_assert_eq(take(window, day * 86400 * SECOND, 1), WR_RATE_NEVER);
        cr_assert_eq(wr_rate_tokens(bucket, day * 86400 * SECOND), 0U);
        cr_assert_eq(wr_rate_tokens(window, day * 86400 * SECOND), 0U);
    }
    wr_rate_destroy(bucket);
    wr_rate_destroy(window);
    stop();
}

Test(rate_guard, a_cost_above_what_can_ever_be_there_is_its_own_answer)
{
    static const uint64_t costs[] = {11, 1000, 1ULL << 40U, UINT64_MAX};

    start();
    struct wr_rate *const bucket = make(per_second(10, 10), 0, NULL);
    struct wr_rate *const window = make(window_of(10), 0, NULL);
    for (size_t i = 0; i < 4; ++i) {
        cr_assert_eq(take(bucket, 0, costs[i]), WR_RATE_COST);
        cr_assert_eq(take(window, 0, costs[i]), WR_RATE_COST);
        cr_assert_eq(wr_rate_look(bucket, 0, costs[i]).verdict, WR_RATE_COST);
    }
    cr_assert_eq(take(bucket, 0, 10), WR_RATE_PASS);
    cr_assert_eq(take(window, 0, 10), WR_RATE_PASS);
    wr_rate_destroy(bucket);
    wr_rate_destroy(window);
    stop();
}

Test(rate_guard, pacing_lets_one_pass_every_period_whatever_it_costs)
{
    const struct wr_rate_rule rule = {.milli = 10000, .per_ns = SECOND, .burst = 1, .pacing = true};

    start();
    struct wr_rate *const rate = make(rule, 0, NULL);
    cr_assert_eq(take(rate, 0, 5), WR_RATE_PASS);
    cr_assert_eq(take(rate, SECOND / 2 - 1, 1), WR_RATE_REFUSE);
    cr_assert_eq(take(rate, SECOND / 2, 1), WR_RATE_PASS);
    wr_rate_destroy(rate);
    stop();
}

Test(rate_guard, a_stale_stamp_grants_nothing_extra)
{
    start();
    struct wr_rate *const bucket = make(per_second(10, 1), 0, NULL);
    struct wr_rate *const window = make(window_of(1), 0, NULL);
    cr_assert_eq(take(bucket, 10 * SECOND, 1), WR_RATE_PASS);
    cr_assert_eq(take(window, 10 * SECOND, 1), WR_RATE_PASS);
    for (uint64_t back = 0; back <= 10; ++back) {
        cr_assert_eq(take(bucket, (10 - back) * SECOND, 1), WR_RATE_REFUSE);
        cr_assert_eq(take(window, (10 - back) * SECOND, 1), WR_RATE_REFUSE);
    }
    wr_rate_destroy(bucket);
    wr_rate_destroy(window);
    stop();
}

Test(rate_guard, it_knows_its_rule_and_its_bytes)
{
    struct wr_rate_rule rule = per_second(10, 10);

    start();
    struct wr_rate *const rate = make(rule, 0, NULL);
    cr_assert(wr_rate_has_rule(rate, &rule));
    rule.burst = 11;
    cr_assert_not(wr_rate_has_rule(rate, &rule));
    cr_assert_eq(wr_rate_bytes(rate), memory.live_bytes);
    wr_rate_destroy(rate);
    wr_rate_destroy(NULL);
    stop();
}

Test(rate_guard, without_memory_there_is_none)
{
    const struct wr_rate_rule rule = per_second(10, 10);

    start();
    memory.fail_at = 1;
    cr_assert_null(wr_rate_create(&host, &rule, 0, NULL));
    stop();
}

/* ---- live changes ---- */

/* Spend `spent` of `from`, change to `to`; how many tokens are there then? */
static uint64_t carried(struct wr_rate_rule from, uint64_t spent, struct wr_rate_rule to)
{
    const uint64_t now = 3 * SECOND;
    uint64_t told;
    uint64_t taken;

    start();
    struct wr_rate *const old = make(from, 0, NULL);
    for (uint64_t i = 0; i < spent; ++i) {
        cr_assert_eq(take(old, now, 1), WR_RATE_PASS);
    }
    struct wr_rate *const young = make(to, now, old);
    wr_rate_adopt(young, now);
    told = wr_rate_tokens(young, now);
    taken = take_all(young, now);
    cr_assert_eq(told, taken);
    cr_assert_eq(take(old, now, 1), WR_RATE_MOVED);
    wr_rate_destroy(young);
    wr_rate_destroy(old);
    stop();
    return taken;
}

Test(rate_guard, a_new_rate_keeps_the_tokens)
{
    cr_assert_eq(carried(per_second(10, 20), 5, per_second(1000, 20)), 15U);
    cr_assert_eq(carried(per_second(1000, 20), 5, per_second(1, 20)), 15U);
    cr_assert_eq(carried(per_second(7, 20), 20, per_second(13, 20)), 0U);
}

Test(rate_guard, a_larger_burst_creates_none_and_a_smaller_one_caps_them)
{
    cr_assert_eq(carried(per_second(10, 20), 5, per_second(10, 100)), 15U);
    cr_assert_eq(carried(per_second(10, 20), 5, per_second(10, 3)), 3U);
}

Test(rate_guard, another_mode_keeps_the_tokens)
{
    cr_assert_eq(carried(per_second(10, 20), 5, window_of(50)), 15U);
    cr_assert_eq(carried(window_of(50), 10, per_second(10, 100)), 40U);
    cr_assert_eq(carried(window_of(50), 10, window_of(30)), 20U);
    cr_assert_eq(carried(window_of(10), 10, window_of(30)), 20U);
    cr_assert_eq(carried(window_of(50), 50, per_second(10, 100)), 0U);
}

Test(rate_guard, a_take_that_meets_a_replaced_limiter_is_told_that_it_moved)
{
    start();
    struct wr_rate *const old = make(window_of(10), 0, NULL);
    struct wr_rate *const young = make(window_of(20), 0, old);
    cr_assert_eq(take(old, 0, 1), WR_RATE_PASS); /* nobody has touched the new one yet */
    cr_assert_eq(take(young, 0, 1), WR_RATE_PASS);
    cr_assert_eq(take(old, 0, 1), WR_RATE_MOVED);
    cr_assert_eq(wr_rate_look(old, 0, 1).verdict, WR_RATE_PASS); /* never MOVED */
    cr_assert_eq(take_all(young, 0), 18U);
    wr_rate_destroy(young);
    wr_rate_destroy(old);
    stop();
}

Test(rate_guard, a_chain_of_changes_hands_the_credit_through)
{
    struct wr_rate *chain[10];

    start();
    chain[0] = make(per_second(10, 50), 0, NULL);
    for (uint64_t i = 0; i < 20; ++i) {
        cr_assert_eq(take(chain[0], 0, 1), WR_RATE_PASS);
    }
    for (size_t i = 1; i < 10; ++i) {
        chain[i] = make(i % 2 == 0 ? per_second(i, 50) : window_of(50), 0, chain[i - 1]);
        wr_rate_adopt(chain[i], 0);
    }
    cr_assert_eq(take_all(chain[9], 0), 30U);
    for (size_t i = 0; i < 10; ++i) {
        wr_rate_destroy(chain[i]);
    }
    stop();
}

/* ---- threads ---- */

enum { TAKERS = 4 };

struct taker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    _Atomic(struct wr_rate *) *current;
    uint64_t taken;
};

static void *taker_main(void *user)
{
    struct taker *const taker = user;

    (void)pthread_barrier_wait(taker->barrier);
    for (int i = 0; i < 20000; ++i) {
        const enum wr_rate_verdict verdict = take(atomic_load(taker->current), 0, 1);

        taker->taken += verdict == WR_RATE_PASS ? 1 : 0;
    }
    return NULL;
}

/* The clock stands still: whatever is changed meanwhile, no more passes than there was. */
static void take_under_changes(struct wr_rate_rule rules[2])
{
    enum { CHANGES = 50 };
    static struct taker takers[TAKERS];
    static struct wr_rate *all[CHANGES + 1];
    pthread_barrier_t barrier;
    _Atomic(struct wr_rate *) current;
    uint64_t taken = 0;

    start();
    all[0] = make(rules[0], 0, NULL);
    atomic_init(&current, all[0]);
    (void)pthread_barrier_init(&barrier, NULL, TAKERS + 1);
    for (size_t i = 0; i < TAKERS; ++i) {
        takers[i] = (struct taker){.barrier = &barrier, .current = &current};
        cr_assert_eq(pthread_create(&takers[i].thread, NULL, taker_main, &takers[i]), 0);
    }
    (void)pthread_barrier_wait(&barrier);
    for (size_t i = 1; i <= CHANGES; ++i) {
        all[i] = make(rules[i % 2], 0, all[i - 1]);
        atomic_store(&current, all[i]);
        wr_rate_adopt(all[i], 0);
    }
    for (size_t i = 0; i < TAKERS; ++i) {
        (void)pthread_join(takers[i].thread, NULL);
        taken += takers[i].taken;
    }
    taken += take_all(all[CHANGES], 0);
    cr_assert_eq(taken, 10000U);
    for (size_t i = 0; i <= CHANGES; ++i) {
        wr_rate_destroy(all[i]);
    }
    (void)pthread_barrier_destroy(&barrier);
    stop();
}

Test(rate_guard, changes_under_load_neither_create_nor_destroy_credit)
{
    take_under_changes((struct wr_rate_rule[]){per_second(10, 10000), per_second(5, 10000)});
}

Test(rate_guard, changes_of_mode_under_load_neither_create_nor_destroy_credit)
{
    take_under_changes((struct wr_rate_rule[]){window_of(10000), per_second(5, 10000)});
}
