/*
 * Failures that other rate limiters had. Each test names where the failure is documented.
 */
#include "support/harness.h"

#include "policy/bucket_policy.h"
#include "policy/bulkhead_policy.h"

#include <inttypes.h>

#define SECOND 1000000000ULL
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

__extension__ typedef unsigned __int128 wide;

static const wide units_a_token = (wide)1000 * SECOND; /* of a rate in 1/1000 per s */

struct bucket {
    struct wr_bucket_rule rule;
    uint64_t tat;
};

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

static bool took(struct bucket *bucket, uint64_t now_ns)
{
    const struct wr_bucket_answer answer = wr_bucket_ask(bucket->tat, &bucket->rule, now_ns, 1);

    bucket->tat = answer.passes ? answer.tat : bucket->tat;
    return answer.passes;
}

static uint64_t drained(struct bucket *bucket, uint64_t now_ns)
{
    uint64_t count = 0;

    while (count < 1000000 && took(bucket, now_ns)) {
        count += 1;
    }
    return count;
}

/* guava#1622, aws-sdk-cpp#3338, spark-connector#654, traefik#8235, firecracker#3370,
 * pragmatica#1315 */
Test(peer_rate, after_any_idle_time_at_any_rate_tokens_are_within_one_of_the_exact_number)
{
    static const uint64_t millis[] = {1, 2, 10, 700, 1000, 3000, 12345, 999999999, 1000000000};
    static const uint64_t idles[] = {1,       1000,      SECOND,     6 * DAY + 1,
                                     7 * DAY, 365 * DAY, 3650 * DAY, 10000 * DAY};
    const uint64_t burst = 1000;

    for (size_t i = 0; i < (size_t)9 * 8; ++i) {
        const uint64_t milli = millis[i % 9];
        const uint64_t idle = idles[i / 9];
        const wide came = (wide)idle * milli / units_a_token;
        const uint64_t exact = came < burst ? (uint64_t)came : burst;
        struct bucket bucket = {.rule = wr_bucket_rule(milli, SECOND, burst, false)};
        uint64_t tokens;

        cr_assert_eq(drained(&bucket, SECOND), burst);
        tokens = wr_bucket_tokens(bucket.tat, &bucket.rule, SECOND + idle);

        cr_assert(tokens <= exact && tokens + 1 >= exact,
                  "%" PRIu64 "/1000 per s, idle %" PRIu64 " ns: %" PRIu64 " and not %" PRIu64,
                  milli, idle, tokens, exact);
        cr_assert_eq(drained(&bucket, SECOND + idle), tokens,
                     "%" PRIu64 "/1000 per s, idle %" PRIu64 " ns", milli, idle);
    }
}

/* guava#1622 */
Test(peer_rate, a_huge_wait_is_named_and_never_wraps)
{
    struct bucket bucket = {.rule = wr_bucket_rule(10, HOUR, 1000, false)};
    uint64_t before = 0;

    cr_assert_eq(drained(&bucket, 0), 1000U);
    for (uint64_t cost = 1; cost <= 1000; ++cost) {
        const uint64_t wait_ns = wr_bucket_ask(bucket.tat, &bucket.rule, 0, cost).wait_ns;

        cr_assert_eq(wait_ns, cost * 100 * HOUR);
        cr_assert_gt(wait_ns, before);
        before = wait_ns;
    }
}

/* Sentinel PR#461 */
Test(peer_rate, a_rate_of_zero_rejects_all_for_ever)
{
    struct bucket bucket = {.rule = wr_bucket_rule(0, SECOND, 100, false)};

    for (uint64_t now = 0; now < 100000 * DAY; now += 997 * DAY) {
        cr_assert_not(took(&bucket, now));
        cr_assert_not(took(&bucket, now + 1));
    }
}

/* Sentinel PR#461 */
Test(peer_rate, a_limit_of_zero_places_admits_nothing)
{
    cr_assert(wr_bulkhead_full(wr_bulkhead_word(0, 0, 0)));
    cr_assert(wr_bulkhead_full(wr_bulkhead_word(1, 0, 0)));
}

/* envoy#21327, envoy#16407, envoy#24282 */
Test(peer_rate, ten_seconds_at_five_times_the_rate_admit_within_one_percent_of_the_rate)
{
    static const uint64_t rates[] = {10, 77, 100, 999, 20000};
    const uint64_t burst = 2;

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); ++i) {
        struct bucket bucket = {.rule = wr_bucket_rule(rates[i] * 1000, SECOND, burst, false)};
        const uint64_t asks = 50 * rates[i];
        uint64_t admitted = 0;

        for (uint64_t ask = 0; ask < asks; ++ask) {
            admitted += took(&bucket, ask * SECOND / (5 * rates[i]));
        }
        cr_assert_leq(admitted, 10 * rates[i] + burst, "%" PRIu64 "/s", rates[i]);
        cr_assert_geq(admitted * 100, 10 * rates[i] * 99, "%" PRIu64 "/s", rates[i]);
    }
}

/* guava#1622 (a stale stamp before the compare-and-swap) */
Test(peer_rate, a_stamp_five_ms_old_grants_nothing_extra)
{
    struct bucket bucket = {.rule = wr_bucket_rule(1000000, SECOND, 10, false)};
    uint64_t seed = 14;
    uint64_t now = SECOND;
    uint64_t admitted = 0;

    while (now < 11 * SECOND) {
        const uint64_t stamp = next_random(&seed) % 2 == 0 ? now : now - 5000000;

        admitted += took(&bucket, stamp);
        now += next_random(&seed) % 100000;
    }
    cr_assert_leq(admitted, 10 * 1000 + 10);
    cr_assert_geq(admitted, 10 * 1000 * 99 / 100);
}

/* resilience4j#2489, resilience4j#1073, resilience4j#822 */
Test(peer_rate, a_hundred_thousand_live_changes_never_stop_it_and_never_give_more_than_the_larger)
{
    const uint64_t largest = 1000000; /* in 1/1000 per s */
    struct bucket bucket = {.rule = wr_bucket_rule(largest, SECOND, 10, false)};
    uint64_t seed = 15;
    uint64_t now = SECOND;
    wide due = 0; /* in 1/1000 token ns */
    uint64_t admitted = 0;

    for (int change = 0; change < 100000; ++change) {
        const uint64_t milli = next_random(&seed) % largest + 1000;
        const struct wr_bucket_rule next =
            wr_bucket_rule(milli, SECOND, next_random(&seed) % 10 + 1, false);

        bucket.tat = wr_bucket_convert(bucket.tat, &bucket.rule, now, &next, now);
        bucket.rule = next;
        for (int i = 0; i < 10; ++i) {
            now += 1000000;
            admitted += took(&bucket, now);
        }
        due += (wide)milli * 10000000;
        cr_assert_leq((wide)admitted, 10 + due / units_a_token, "change %d", change);
    }
    cr_assert_geq((wide)admitted * 2, due / units_a_token);
}

/* resilience4j#2489 */
Test(peer_rate, a_limit_lowered_below_what_is_held_returns_to_itself)
{
    uint64_t word = wr_bulkhead_with_limit(wr_bulkhead_word(100, 100, 0), 5);

    for (int i = 0; i < 100; ++i) {
        word = wr_bulkhead_give_place(word);
    }

    cr_assert_eq(word, wr_bulkhead_word(0, 5, 0));
}
