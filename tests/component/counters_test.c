/*
 * Striped counters and the log-linear histogram.
 */
#include "support/harness.h"

#include "guard/counters.h"

#include <pthread.h>

static struct wr_host host;
static struct wr_counters counters;

static void start(uint32_t stripes)
{
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options)};

    cr_assert_eq(wr_host_init(&host, &options, NULL), WEIR_OK);
    cr_assert(wr_counters_init(&counters, &host, stripes));
}

static uint64_t share(const uint64_t *buckets, uint64_t total, uint64_t ppm)
{
    return wr_histogram_quantile(buckets, total, ppm);
}

Test(counters, stripes_are_a_power_of_two_up_to_eight)
{
    const uint32_t stripes = wr_stripe_count();

    cr_assert(stripes >= 1 && stripes <= 8);
    cr_assert_eq(stripes & (stripes - 1), 0U);
}

Test(counters, each_event_is_counted_for_itself)
{
    start(4);
    for (uint32_t event = 0; event < WR_EV_COUNT; ++event) {
        for (uint32_t i = 0; i <= event; ++i) {
            wr_count(&counters, (enum wr_event)event);
        }
    }
    for (uint32_t event = 0; event < WR_EV_COUNT; ++event) {
        cr_assert_eq(wr_counters_read(&counters, (enum wr_event)event), event + 1U);
    }
    wr_counters_destroy(&counters);
}

static void *count_many(void *user)
{
    (void)user;
    for (uint64_t i = 0; i < 10000; ++i) {
        wr_count(&counters, WR_EV_OK);
        wr_count_latency(&counters, i * 1000);
    }
    return NULL;
}

Test(counters, counts_of_several_threads_add_up)
{
    static uint64_t buckets[WR_HISTOGRAM_BUCKETS];
    pthread_t threads[4];

    start(2);
    for (size_t i = 0; i < 4; ++i) {
        cr_assert_eq(pthread_create(&threads[i], NULL, count_many, NULL), 0);
    }
    for (size_t i = 0; i < 4; ++i) {
        (void)pthread_join(threads[i], NULL);
    }
    cr_assert_eq(wr_counters_read(&counters, WR_EV_OK), 40000U);
    cr_assert_eq(wr_histogram_read(&counters, buckets), 40000U);
    wr_counters_destroy(&counters);
}

Test(counters, every_value_lies_in_its_bucket)
{
    for (uint64_t value = 1; value < 1ULL << 62U; value += 1 + value / 7) {
        const uint32_t bucket = wr_histogram_bucket(value);

        cr_assert_lt(bucket, (uint32_t)WR_HISTOGRAM_BUCKETS);
        cr_assert_leq(value, wr_histogram_upper(bucket));
        cr_assert(bucket == 0 || value > wr_histogram_upper(bucket - 1));
    }
}

Test(counters, a_bound_is_at_most_a_sixteenth_above_any_value_of_its_bucket)
{
    for (uint32_t bucket = 1; bucket < WR_HISTOGRAM_BUCKETS - 1; ++bucket) {
        const uint64_t smallest = wr_histogram_upper(bucket - 1) + 1;
        const uint64_t upper = wr_histogram_upper(bucket);

        cr_assert_leq((upper - smallest) * 10000, smallest * 625, "bucket %u", bucket);
    }
}

Test(counters, buckets_touch_and_cover_everything)
{
    cr_assert_eq(wr_histogram_bucket(0), 0U);
    for (uint32_t bucket = 0; bucket < WR_HISTOGRAM_BUCKETS - 1; ++bucket) {
        cr_assert_eq(wr_histogram_bucket(wr_histogram_upper(bucket)), bucket);
        cr_assert_eq(wr_histogram_bucket(wr_histogram_upper(bucket) + 1), bucket + 1);
    }
    cr_assert_eq(wr_histogram_bucket(UINT64_MAX), WR_HISTOGRAM_BUCKETS - 1U);
    cr_assert_eq(wr_histogram_upper(WR_HISTOGRAM_BUCKETS - 1), UINT64_MAX);
}

Test(counters, it_spans_one_microsecond_to_73_minutes)
{
    cr_assert_leq(wr_histogram_upper(0), 1024U);
    cr_assert_geq(wr_histogram_upper(WR_HISTOGRAM_BUCKETS - 2), 73ULL * 60 * 1000000000);
}

Test(counters, a_quantile_of_nothing_is_zero)
{
    static const uint64_t buckets[WR_HISTOGRAM_BUCKETS];

    cr_assert_eq(share(buckets, 0, 500000), 0U);
    cr_assert_eq(share(buckets, 0, 1000000), 0U);
    cr_assert_eq(share(buckets, 0, 0), 0U);
}

Test(counters, a_quantile_is_the_bound_of_the_bucket_that_holds_its_rank)
{
    static uint64_t buckets[WR_HISTOGRAM_BUCKETS];

    memset(buckets, 0, sizeof(buckets));
    buckets[10] = 50;
    buckets[20] = 40;
    buckets[30] = 10;
    cr_assert_eq(share(buckets, 100, 0), wr_histogram_upper(10));
    cr_assert_eq(share(buckets, 100, 500000), wr_histogram_upper(10));
    cr_assert_eq(share(buckets, 100, 500001), wr_histogram_upper(20));
    cr_assert_eq(share(buckets, 100, 900000), wr_histogram_upper(20));
    cr_assert_eq(share(buckets, 100, 990000), wr_histogram_upper(30));
    cr_assert_eq(share(buckets, 100, 1000000), wr_histogram_upper(30));
}

Test(counters, the_rank_of_a_quantile_does_not_overflow)
{
    static uint64_t buckets[WR_HISTOGRAM_BUCKETS];

    memset(buckets, 0, sizeof(buckets));
    buckets[1] = UINT64_MAX / 2;
    buckets[2] = UINT64_MAX / 2;
    cr_assert_eq(share(buckets, UINT64_MAX - 1, 400000), wr_histogram_upper(1));
    cr_assert_eq(share(buckets, UINT64_MAX - 1, 990000), wr_histogram_upper(2));
}
