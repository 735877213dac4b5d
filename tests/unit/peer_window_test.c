/*
 * Failures that other windows had. Each test names where the failure is documented.
 */
#include "support/harness.h"

#include "policy/count_window.h"
#include "policy/time_window.h"

#include <inttypes.h>

enum { SIZE = 16, BUCKETS_MAX = 16 };

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

/* One counter of a time window: a word a position. */
struct counter {
    struct wr_time_rule rule;
    uint64_t newest;
    uint64_t words[BUCKETS_MAX];
};

static void record(struct counter *counter, uint64_t stamp_ns)
{
    const struct wr_time_rule *const rule = &counter->rule;
    const uint64_t bucket = wr_time_window_bucket(rule, stamp_ns);
    uint64_t *word;

    for (uint64_t back = 0; back < rule->buckets && bucket > counter->newest + back; ++back) {
        word = &counter->words[wr_time_window_position(rule, bucket - back)];
        *word = wr_time_window_next_round(*word, wr_time_window_tag(rule, 0, bucket - back));
    }
    counter->newest = bucket > counter->newest ? bucket : counter->newest;
    word = &counter->words[wr_time_window_position(rule, bucket)];
    if (!wr_time_window_left(rule, bucket, counter->newest)) {
        *word = wr_time_window_add(*word);
    }
}

static uint64_t read_sum(const struct counter *counter, uint64_t now_ns)
{
    const struct wr_time_rule *const rule = &counter->rule;
    const uint64_t now = wr_time_window_bucket(rule, now_ns);
    uint64_t sum = 0;

    for (uint64_t back = 0; back < rule->buckets && back <= now; ++back) {
        const uint64_t word = counter->words[wr_time_window_position(rule, now - back)];

        sum += now - back > counter->newest
                   ? 0
                   : wr_time_window_count(word, wr_time_window_tag(rule, 0, now - back));
    }
    return sum;
}

/* resilience4j#1262, resilience4j#1335 */
Test(peer_window, totals_equal_a_brute_force_count_through_a_million_slow_failures)
{
    struct wr_observation last[SIZE] = {{.failure = false}};
    struct wr_count_window window;
    uint8_t ring[SIZE];
    uint64_t seed = 12;

    wr_count_window_init(&window, SIZE);
    for (uint64_t step = 0; step < 1000000; ++step) {
        const uint64_t random = next_random(&seed);
        const struct wr_observation seen = {.failure = random & 1U, .slow = random >> 1U & 1U};
        struct wr_window_sum expected = {.calls = step + 1 < SIZE ? step + 1 : SIZE};
        struct wr_window_sum sum;

        wr_count_window_add(&window, ring, seen);
        last[step % SIZE] = seen;
        for (int i = 0; i < SIZE; ++i) {
            expected.failures += last[i].failure;
            expected.slow += last[i].slow;
        }
        sum = wr_count_window_sum(&window);
        cr_assert(sum.calls == expected.calls && sum.failures == expected.failures &&
                      sum.slow == expected.slow,
                  "step %" PRIu64, step);
    }
}

/* resilience4j#2379 */
Test(peer_window, a_window_of_one_bucket_works)
{
    for (uint64_t span = 1; span <= 50; ++span) {
        struct counter counter = {.rule = {.bucket_ns = span, .buckets = 1}};

        for (uint64_t now = 0; now < 10 * span; ++now) {
            record(&counter, now);
            cr_assert_eq(read_sum(&counter, now), now % span + 1, "span %" PRIu64 ", at %" PRIu64,
                         span, now);
        }
    }
}

/* resilience4j#2379 */
Test(peer_window, every_number_of_buckets_and_every_span_works)
{
    for (uint32_t buckets = 1; buckets <= BUCKETS_MAX; ++buckets) {
        for (uint64_t bucket_ns = 1; bucket_ns <= 10; ++bucket_ns) {
            struct counter counter = {.rule = {.bucket_ns = bucket_ns, .buckets = buckets}};
            const uint64_t before = bucket_ns * (buckets - 1);

            for (uint64_t now = 0; now < 3 * bucket_ns * buckets; ++now) {
                const uint64_t earlier = now / bucket_ns * bucket_ns;

                record(&counter, now);
                cr_assert_eq(read_sum(&counter, now),
                             (earlier < before ? earlier : before) + now - earlier + 1);
            }
        }
    }
}

/* Sentinel#1039, Sentinel#3309 */
Test(peer_window, one_ns_before_at_and_after_a_bucket_edge_two_windows_agree)
{
    for (uint64_t k = 1; k < 1000; ++k) {
        struct counter calls = {.rule = {.bucket_ns = 100, .buckets = 10}};
        struct counter failures = calls;

        for (uint64_t now = k * 100 - 1; now <= k * 100 + 1; ++now) {
            record(&calls, now);
            record(&failures, now);
            cr_assert_eq(read_sum(&calls, now), read_sum(&failures, now));
        }
        cr_assert_eq(read_sum(&calls, k * 100 + 899), 3U);
        cr_assert_eq(read_sum(&calls, k * 100 + 900), 2U); /* bucket k - 1 has left */
        cr_assert_eq(read_sum(&calls, k * 100 + 999), 2U);
        cr_assert_eq(read_sum(&calls, k * 100 + 1000), 0U);
    }
}

/* Hystrix#1392 */
Test(peer_window, after_a_pause_longer_than_the_window_it_is_empty_and_not_at_its_last_value)
{
    static const uint64_t pauses[] = {1000,    1001,           1999,          12345,
                                      1000000, 1000ULL << 20U, 1000ULL << 40U};

    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); ++i) {
        struct counter counter = {.rule = {.bucket_ns = 100, .buckets = 10}};

        for (uint64_t now = 0; now < 1000; ++now) {
            record(&counter, now);
        }
        cr_assert_eq(read_sum(&counter, 999), 1000U);
        cr_assert_eq(read_sum(&counter, 999 + pauses[i]), 0U, "pause %" PRIu64, pauses[i]);
        record(&counter, 999 + pauses[i]);
        cr_assert_eq(read_sum(&counter, 999 + pauses[i]), 1U, "pause %" PRIu64, pauses[i]);
    }
}

/* What a window sees over a while from `origin` on, as one number. */
static uint64_t life_from(uint64_t origin)
{
    struct counter counter = {.rule = {.bucket_ns = 100, .buckets = 10}};
    uint64_t digest = 0;
    uint64_t seed = 13;

    for (uint64_t now = 0; now < 500000; now += next_random(&seed) % 150) {
        record(&counter, origin + now);
        digest = digest * 31 + read_sum(&counter, origin + now + next_random(&seed) % 300);
    }
    return digest;
}

/* dropwizard/metrics#515, dropwizard/metrics#732 */
Test(peer_window, it_counts_the_same_wherever_the_clock_starts)
{
    static const uint64_t origins[] = {1000000, INT64_MAX / 1000 * 1000,
                                       UINT64_MAX / 1000 * 1000 - 1000000};
    const uint64_t expected = life_from(0);

    for (size_t i = 0; i < sizeof(origins) / sizeof(origins[0]); ++i) {
        cr_assert_eq(life_from(origins[i]), expected, "from %" PRIu64, origins[i]);
    }
}

/* sentinel-golang#409, haproxy#2704, stoplight#873 */
Test(peer_window, a_stamp_that_steps_back_evicts_nothing)
{
    struct counter counter = {.rule = {.bucket_ns = 100, .buckets = 10}};

    record(&counter, 5000);
    record(&counter, 4500); /* still in the window */
    record(&counter, 1000); /* long gone: not counted */

    cr_assert_eq(read_sum(&counter, 5000), 2U);
    record(&counter, 5001);
    cr_assert_eq(read_sum(&counter, 5001), 3U);
}
