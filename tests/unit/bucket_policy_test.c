/*
 * The bucket against an exact rational one.
 *
 * The oracle counts credit in fractions of a token that make every rate whole: TOKEN units are one
 * token, a nanosecond adds milli * (hour / per) units, and credit never exceeds the burst. It knows
 * nothing of arrival times. Where T is a multiple of 1/d ns (d at most 16), decisions, waits and
 * token counts must be the oracle's; elsewhere a take that passes must be one that the oracle could
 * afford, and at least 99.9 % of the rate must pass.
 */
#include "support/harness.h"

#include "policy/bucket_policy.h"

#include <inttypes.h>

#define SECOND 1000000000ULL
#define MINUTE (60 * SECOND)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)
#define TOKEN  ((wide)HOUR * 1000)
#define LATEST (1ULL << 58U) /* nine years: where random sequences end */

__extension__ typedef __int128 wide;

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

/* ---- the oracle ---- */

struct rate {
    uint64_t milli;
    uint64_t per_ns;
    uint64_t burst;
    bool pacing;
};

struct oracle {
    struct rate rate;
    wide credit; /* below zero: promised to takes that wait */
    uint64_t at_ns;
};

static uint64_t capacity(const struct rate *rate)
{
    return rate->pacing ? 1 : rate->burst;
}

static wide units_per_ns(const struct rate *rate)
{
    return (wide)rate->milli * (wide)(HOUR / rate->per_ns);
}

static struct oracle oracle_of(const struct rate *rate, uint64_t now_ns)
{
    return (struct oracle){.rate = *rate, .credit = (wide)capacity(rate) * TOKEN, .at_ns = now_ns};
}

static void refill(struct oracle *oracle, uint64_t now_ns)
{
    const wide full = (wide)capacity(&oracle->rate) * TOKEN;
    const wide grown =
        oracle->credit + (wide)(now_ns - oracle->at_ns) * units_per_ns(&oracle->rate);

    oracle->credit = grown < full ? grown : full;
    oracle->at_ns = now_ns;
}

/* Pacing asks for one token whatever the cost, and lets the cost be paid afterwards. */
static wide missing(const struct oracle *oracle, uint64_t cost)
{
    return (oracle->rate.pacing ? TOKEN : (wide)cost * TOKEN) - oracle->credit;
}

static bool affords(const struct oracle *oracle, uint64_t cost)
{
    return missing(oracle, cost) <= 0;
}

static uint64_t oracle_wait(const struct oracle *oracle, uint64_t cost)
{
    const wide per_ns = units_per_ns(&oracle->rate);
    const wide need = missing(oracle, cost);

    return need <= 0 ? 0 : (uint64_t)((need + per_ns - 1) / per_ns);
}

static uint64_t oracle_tokens(const struct oracle *oracle)
{
    return oracle->credit < TOKEN ? 0 : (uint64_t)(oracle->credit / TOKEN);
}

/* ---- the bucket under test ---- */

struct bucket {
    struct wr_bucket_rule rule;
    uint64_t tat;
};

static struct bucket bucket_of(const struct rate *rate)
{
    return (struct bucket){
        .rule = wr_bucket_rule(rate->milli, rate->per_ns, rate->burst, rate->pacing)};
}

static struct bucket per_second(uint64_t events, uint64_t burst)
{
    return bucket_of(&(struct rate){.milli = events * 1000, .per_ns = SECOND, .burst = burst});
}

static bool took(struct bucket *bucket, uint64_t now_ns, uint64_t cost)
{
    const struct wr_bucket_answer answer = wr_bucket_ask(bucket->tat, &bucket->rule, now_ns, cost);

    if (answer.passes) {
        bucket->tat = answer.tat;
    }
    return answer.passes;
}

static uint64_t waits(const struct bucket *bucket, uint64_t now_ns, uint64_t cost)
{
    return wr_bucket_ask(bucket->tat, &bucket->rule, now_ns, cost).wait_ns;
}

static uint64_t tokens(const struct bucket *bucket, uint64_t now_ns)
{
    return wr_bucket_tokens(bucket->tat, &bucket->rule, now_ns);
}

/* Take one by one until refused, at most `most`. */
static uint64_t drained(struct bucket *bucket, uint64_t now_ns, uint64_t most)
{
    uint64_t count = 0;

    while (count < most && took(bucket, now_ns, 1)) {
        count += 1;
    }
    return count;
}

static struct bucket converted(const struct bucket *from, uint64_t now_ns, const struct rate *rate)
{
    struct bucket to = bucket_of(rate);

    to.tat = wr_bucket_convert(from->tat, &from->rule, now_ns, &to.rule, now_ns);
    return to;
}

/* ---- single behaviours ---- */

Test(bucket_policy, buckets_start_full)
{
    struct bucket bucket = per_second(100, 20);

    cr_assert_eq(tokens(&bucket, 0), 20U);
    cr_assert_eq(drained(&bucket, 0, 100), 20U);
    cr_assert_eq(tokens(&bucket, 0), 0U);
}

Test(bucket_policy, past_the_burst_it_refuses_and_names_the_wait)
{
    struct bucket bucket = per_second(100, 2);

    cr_assert(took(&bucket, 1000, 2));

    cr_assert_not(took(&bucket, 1000, 1));
    cr_assert_eq(waits(&bucket, 1000, 1), 10000000U);
    cr_assert_eq(waits(&bucket, 1000, 2), 20000000U);
    cr_assert_not(took(&bucket, 10000999, 1));
    cr_assert(took(&bucket, 10001000, 1));
}

Test(bucket_policy, a_refusal_leaves_the_bucket_as_it_was)
{
    struct bucket bucket = per_second(100, 2);
    uint64_t before;

    (void)drained(&bucket, 1000, 2);
    before = bucket.tat;
    for (uint64_t now = 1000; now < 10001000; now += 1000) {
        cr_assert_not(took(&bucket, now, 1));
    }

    cr_assert_eq(bucket.tat, before);
    cr_assert(took(&bucket, 10001000, 1));
}

Test(bucket_policy, it_never_holds_more_than_the_burst)
{
    struct bucket bucket = per_second(1000000, 5);

    (void)drained(&bucket, 0, 5);

    cr_assert_eq(tokens(&bucket, DAY), 5U);
    cr_assert_eq(drained(&bucket, DAY, 100), 5U);
}

Test(bucket_policy, a_cost_above_the_burst_can_never_pass)
{
    struct bucket bucket = per_second(100, 10);
    const struct wr_bucket_answer answer = wr_bucket_ask(bucket.tat, &bucket.rule, 1000, 11);

    cr_assert(answer.never);
    cr_assert_not(answer.passes);
    cr_assert(wr_bucket_ask(bucket.tat, &bucket.rule, 1000, UINT64_MAX).never);
    cr_assert_not(wr_bucket_ask(bucket.tat, &bucket.rule, 1000, 10).never);
    cr_assert(took(&bucket, 1000, 10));
    cr_assert_not(wr_bucket_ask(bucket.tat, &bucket.rule, 1000, 10).never);
}

Test(bucket_policy, a_rate_of_zero_refuses_all_for_ever)
{
    static const uint64_t times[] = {0, 1, SECOND, DAY, 100000 * DAY, UINT64_MAX - 1, UINT64_MAX};

    for (int pacing = 0; pacing < 2; ++pacing) {
        struct bucket bucket = bucket_of(
            &(struct rate){.milli = 0, .per_ns = SECOND, .burst = 100, .pacing = pacing != 0});

        for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); ++i) {
            cr_assert_not(took(&bucket, times[i], 1), "at %" PRIu64, times[i]);
            cr_assert(wr_bucket_ask(bucket.tat, &bucket.rule, times[i], 1).never);
            cr_assert_eq(tokens(&bucket, times[i]), 0U);
        }
    }
}

Test(bucket_policy, a_stale_stamp_grants_nothing)
{
    struct bucket bucket = per_second(1000, 10);
    const uint64_t now = 10 * SECOND;
    uint64_t spent;

    cr_assert_eq(drained(&bucket, now, 100), 10U);
    spent = bucket.tat;

    cr_assert_not(took(&bucket, now - 5000000, 1));
    cr_assert_not(took(&bucket, 0, 1));
    cr_assert_eq(tokens(&bucket, now - 5000000), 0U);
    cr_assert_eq(waits(&bucket, now - 5000000, 1), 6000000U);
    cr_assert_eq(bucket.tat, spent);
}

Test(bucket_policy, what_passes_with_a_stale_stamp_would_have_passed_with_a_fresh_one)
{
    uint64_t seed = 5;
    struct bucket bucket = per_second(1000, 10);

    for (uint64_t now = SECOND; now < 20 * SECOND; now += next_random(&seed) % 1500000) {
        const uint64_t cost = next_random(&seed) % 10 + 1;
        const struct wr_bucket_answer fresh = wr_bucket_ask(bucket.tat, &bucket.rule, now, cost);
        const struct wr_bucket_answer stale =
            wr_bucket_ask(bucket.tat, &bucket.rule, now - 5000000, cost);

        cr_assert(fresh.passes || !stale.passes, "at %" PRIu64, now);
        cr_assert_leq(fresh.wait_ns, stale.wait_ns, "at %" PRIu64, now);
        cr_assert_geq(stale.tat, bucket.tat, "at %" PRIu64, now);
        bucket.tat = stale.passes ? stale.tat : bucket.tat;
    }
}

Test(bucket_policy, a_wait_that_is_granted_reserves_its_place)
{
    struct bucket bucket = per_second(100, 1);

    for (uint64_t i = 0; i < 50; ++i) {
        const struct wr_bucket_answer answer = wr_bucket_ask(bucket.tat, &bucket.rule, 0, 1);

        cr_assert_eq(answer.wait_ns, i * 10000000);
        bucket.tat = answer.tat;
    }
    cr_assert_not(took(&bucket, 499999999, 1));
    cr_assert(took(&bucket, 500000000, 1));
}

Test(bucket_policy, pacing_lets_one_pass_every_t_and_saves_nothing)
{
    struct bucket bucket =
        bucket_of(&(struct rate){.milli = 100000, .per_ns = SECOND, .burst = 50, .pacing = true});

    cr_assert_eq(drained(&bucket, DAY, 100), 1U);
    cr_assert_eq(waits(&bucket, DAY, 1), 10000000U);
    cr_assert_not(took(&bucket, DAY + 9999999, 1));
    cr_assert(took(&bucket, DAY + 10000000, 1));
    cr_assert_eq(drained(&bucket, 2 * DAY, 100), 1U);
}

Test(bucket_policy, pacing_lets_a_cost_of_n_pass_at_once_and_then_pauses_n_times)
{
    struct bucket bucket =
        bucket_of(&(struct rate){.milli = 100000, .per_ns = SECOND, .burst = 1, .pacing = true});

    cr_assert(took(&bucket, 0, 7));

    cr_assert_eq(waits(&bucket, 0, 1), 70000000U);
    cr_assert_not(took(&bucket, 69999999, 1));
    cr_assert(took(&bucket, 70000000, 7));
}

Test(bucket_policy, tokens_can_be_set_up_to_the_burst)
{
    const struct bucket bucket = per_second(100, 10);

    for (uint64_t wanted = 0; wanted < 20; ++wanted) {
        struct bucket set = bucket;

        set.tat = wr_bucket_with_tokens(&set.rule, SECOND, wanted);
        cr_assert_eq(tokens(&set, SECOND), wanted < 10 ? wanted : 10);
        cr_assert_eq(drained(&set, SECOND, 100), wanted < 10 ? wanted : 10);
    }
}

/* ---- extremes ---- */

Test(bucket_policy, after_any_idle_time_it_holds_what_came_meanwhile_and_no_more_than_the_burst)
{
    static const uint64_t rates[] = {1,        300,       1000,      3000,      7000,
                                     11000,    13000,     17000,     1000000,   7777777,
                                     16000000, 999999000, 999999999, 1000000000};
    static const uint64_t periods[] = {SECOND, MINUTE, HOUR};
    static const uint64_t days[] = {1, 100, 1000, 5000, 10000};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]) * 15; ++i) {
        const struct rate rate = {.milli = rates[i / 15], .per_ns = periods[i % 3], .burst = 10};
        const uint64_t now = days[i / 3 % 5] * DAY;
        struct bucket bucket = bucket_of(&rate);
        struct oracle oracle = oracle_of(&rate, 0);
        uint64_t passed;

        oracle.credit -= (wide)drained(&bucket, 0, 100) * TOKEN;
        refill(&oracle, now);
        passed = drained(&bucket, now, 100);

        cr_assert(passed <= oracle_tokens(&oracle) && passed + 1 >= oracle_tokens(&oracle),
                  "%" PRIu64 "/1000 per %" PRIu64 " ns, %" PRIu64 " days: %" PRIu64 " pass",
                  rate.milli, rate.per_ns, days[i / 3 % 5], passed);
        cr_assert_not(took(&bucket, now, 1));
        cr_assert_gt(waits(&bucket, now, 1), 0U);
    }
}

Test(bucket_policy, a_burst_worth_more_than_the_age_of_the_clock_is_still_a_bound)
{
    static const uint64_t bursts[] = {5000, 5123, 5124, 5125, 6000, 20000};

    for (size_t i = 0; i < sizeof(bursts) / sizeof(bursts[0]); ++i) {
        const struct rate rate = {.milli = 1, .per_ns = HOUR, .burst = bursts[i]};
        struct bucket bucket = bucket_of(&rate);

        cr_assert_leq(drained(&bucket, SECOND, 100000), bursts[i], "burst %" PRIu64, bursts[i]);
    }
}

Test(bucket_policy, the_slowest_rate_names_its_wait)
{
    struct bucket bucket = bucket_of(&(struct rate){.milli = 1, .per_ns = HOUR, .burst = 1});

    cr_assert(took(&bucket, 0, 1));

    cr_assert_eq(waits(&bucket, 0, 1), 1000 * HOUR);
    cr_assert_not(took(&bucket, 1000 * HOUR - 1, 1));
    cr_assert(took(&bucket, 1000 * HOUR, 1));
}

Test(bucket_policy, the_fastest_rate_is_exact)
{
    struct bucket bucket = per_second(1000000, 1);

    for (uint64_t now = 0; now < SECOND / 10; now += 1000) {
        cr_assert(took(&bucket, now, 1));
        cr_assert_not(took(&bucket, now + 999, 1));
    }
}

/* ---- against the oracle ---- */

static uint64_t divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

/* T = a/d ns with d at most 16. */
static struct rate random_exact_rate(uint64_t *seed)
{
    static const uint64_t periods[] = {SECOND, MINUTE, HOUR};
    const uint64_t random = next_random(seed);
    const uint64_t per_ns = periods[random % 3];
    uint64_t milli;

    do {
        const uint64_t draw = next_random(seed);

        milli = (draw % 16 + 1) << (draw / 16 % 14);
        for (uint64_t i = draw / 1024 % 8; i > 0; --i) {
            milli *= 5;
        }
    } while (milli / divisor(per_ns * 1000, milli) > 16);
    return (struct rate){.milli = milli,
                         .per_ns = per_ns,
                         .burst = (random >> 20U) % 20 + 1,
                         .pacing = random >> 62U == 0};
}

static struct rate random_rate(uint64_t *seed)
{
    static const uint64_t periods[] = {SECOND, MINUTE, HOUR};
    const uint64_t random = next_random(seed);

    return (struct rate){.milli = (next_random(seed) >> (34 + random % 30)) % 1000000000 + 1,
                         .per_ns = periods[random / 30 % 3],
                         .burst = (random >> 20U) % 20 + 1,
                         .pacing = random >> 62U == 0};
}

/* A step that lands at, just before or just after the moment that decides, or anywhere. */
static uint64_t random_step(uint64_t *seed, uint64_t wait_ns)
{
    const uint64_t random = next_random(seed);

    switch (random % 8) {
    case 0:
        return wait_ns;
    case 1:
        return wait_ns + 1;
    case 2:
        return wait_ns > 0 ? wait_ns - 1 : 0;
    case 3:
        return 0;
    case 4:
        return 3 * wait_ns + 7;
    default:
        return (random >> 3U) % (wait_ns + 2);
    }
}

static void run_exactly(uint64_t seed_of_run)
{
    uint64_t seed = seed_of_run;
    const struct rate rate = random_exact_rate(&seed);
    uint64_t now = next_random(&seed) >> (8 + next_random(&seed) % 56);
    struct bucket bucket = bucket_of(&rate);
    struct oracle oracle = oracle_of(&rate, now);

    for (int step = 0; step < 6; ++step) {
        const uint64_t random = next_random(&seed);
        const uint64_t cost = random % rate.burst + 1;
        const struct wr_bucket_answer answer = wr_bucket_ask(bucket.tat, &bucket.rule, now, cost);
        const uint64_t wait_ns = oracle_wait(&oracle, cost);

        cr_assert_eq(answer.passes, affords(&oracle, cost), "seed %" PRIu64 ", step %d",
                     seed_of_run, step);
        cr_assert_eq(answer.wait_ns, wait_ns, "seed %" PRIu64 ", step %d", seed_of_run, step);
        cr_assert_eq(tokens(&bucket, now), oracle_tokens(&oracle), "seed %" PRIu64 ", step %d",
                     seed_of_run, step);
        if (answer.passes || random >> 61U == 0) { /* some that must wait reserve */
            bucket.tat = answer.tat;
            oracle.credit -= (wide)cost * TOKEN;
        }
        now += random_step(&seed, oracle_wait(&oracle, cost));
        refill(&oracle, now);
    }
}

Test(bucket_policy, in_a_million_random_sequences_every_decision_is_the_exact_one)
{
    for (uint64_t seed = 1; seed <= 1000000; ++seed) {
        run_exactly(seed);
    }
}

/* What passes is taken from the oracle too: it must always be able to pay. */
static void run_within(uint64_t seed_of_run)
{
    uint64_t seed = seed_of_run;
    const struct rate rate = random_rate(&seed);
    uint64_t now = next_random(&seed) >> (8 + next_random(&seed) % 56);
    struct bucket bucket = bucket_of(&rate);
    struct oracle oracle = oracle_of(&rate, now);

    for (int step = 0; step < 20 && now < LATEST; ++step) {
        const uint64_t random = next_random(&seed);
        const uint64_t cost = random % rate.burst + 1;

        cr_assert_leq(tokens(&bucket, now), oracle_tokens(&oracle), "seed %" PRIu64 ", step %d",
                      seed_of_run, step);
        if (took(&bucket, now, cost)) {
            cr_assert(affords(&oracle, cost), "seed %" PRIu64 ", step %d", seed_of_run, step);
            oracle.credit -= (wide)cost * TOKEN;
        }
        now += random_step(&seed,
                           random >> 63U ? waits(&bucket, now, cost) : oracle_wait(&oracle, cost));
        refill(&oracle, now);
    }
}

Test(bucket_policy, at_any_rate_nothing_passes_that_the_exact_bucket_could_not_afford)
{
    for (uint64_t seed = 1; seed <= 100000; ++seed) {
        run_within(seed);
    }
}

Test(bucket_policy, at_any_rate_the_wait_is_enough_and_a_little_less_is_not)
{
    uint64_t seed = 6;

    for (int i = 0; i < 100000; ++i) {
        const struct rate rate = random_rate(&seed);
        const uint64_t now = next_random(&seed) >> 8U;
        const uint64_t cost = next_random(&seed) % rate.burst + 1;
        struct bucket bucket = bucket_of(&rate);
        uint64_t wait_ns;

        (void)drained(&bucket, now, rate.burst - cost + 1);
        wait_ns = waits(&bucket, now, cost);

        cr_assert_gt(wait_ns, 0U);
        cr_assert_not(wr_bucket_ask(bucket.tat, &bucket.rule, now + wait_ns - 1, cost).passes);
        cr_assert(wr_bucket_ask(bucket.tat, &bucket.rule, now + wait_ns, cost).passes);
    }
}

/* Over every window at once: the sum of i..j is within burst + rate * W iff, with S the tokens
 * before a take minus what the time before it brought, no S after a take is further than the burst
 * above an earlier S before one. */
static void check_every_window(const struct rate *rate, uint64_t seed_of_run, bool stale)
{
    uint64_t seed = seed_of_run;
    uint64_t now = SECOND;
    wide taken = 0;
    wide lowest = 0;
    struct bucket bucket = bucket_of(rate);

    for (int step = 0; step < 300 && now < LATEST; ++step) {
        const uint64_t random = next_random(&seed);
        const uint64_t cost = random % rate->burst + 1;
        const uint64_t stamp = stale && random >> 62U == 0 ? now - 5000000 : now;

        if (took(&bucket, stamp, cost)) {
            const wide brought = (wide)(now - SECOND) * units_per_ns(rate);

            lowest = taken - brought < lowest ? taken - brought : lowest;
            taken += (wide)cost * TOKEN;
            cr_assert(taken - brought - lowest <=
                          (wide)rate->burst * TOKEN + (stale ? 5000000 * units_per_ns(rate) : 0),
                      "seed %" PRIu64 ", step %d", seed_of_run, step);
        }
        now += random_step(&seed, waits(&bucket, now, cost) + random % 3);
    }
}

Test(bucket_policy, over_any_window_at_most_burst_and_rate_times_window_pass)
{
    for (uint64_t seed = 1; seed <= 2000; ++seed) {
        uint64_t seed_of_rate = seed;
        struct rate rate = random_rate(&seed_of_rate);

        rate.pacing = false;
        check_every_window(&rate, seed, false);
    }
}

Test(bucket_policy, stale_stamps_count_as_the_time_they_name_and_grant_no_more)
{
    for (uint64_t seed = 1; seed <= 2000; ++seed) {
        uint64_t seed_of_rate = seed;
        struct rate rate = random_rate(&seed_of_rate);

        rate.pacing = false;
        check_every_window(&rate, seed, true);
    }
}

/* Somebody is always waiting: whoever passes is followed by one who comes when told to. */
static void check_saturated(const struct rate *rate, uint64_t cost, uint64_t seed)
{
    struct bucket bucket = bucket_of(rate);
    uint64_t now = 1;
    wide taken = 0;
    wide due;

    (void)drained(&bucket, now, rate->burst);
    for (int i = 0; i < 300 && now < LATEST; ++i) {
        now += waits(&bucket, now, cost);
        cr_assert(took(&bucket, now, cost), "seed %" PRIu64, seed);
        taken += (wide)cost * TOKEN;
    }
    due = (wide)(now - 1) * units_per_ns(rate);
    cr_assert_geq(taken * 1000, due * 999, "seed %" PRIu64, seed);
    cr_assert_leq(taken, due, "seed %" PRIu64, seed);
}

Test(bucket_policy, under_saturation_at_least_99_9_percent_of_the_rate_pass)
{
    for (uint64_t seed = 1; seed <= 2000; ++seed) {
        uint64_t random = seed;
        struct rate rate = random_rate(&random);

        check_saturated(&rate, 1, seed);
        rate.pacing = false;
        check_saturated(&rate, random % rate.burst + 1, seed);
    }
    for (uint64_t milli = 999990000; milli <= 1000000000; milli += 77) {
        const struct rate rate = {.milli = milli, .per_ns = SECOND, .burst = 1 + milli % 2};

        check_saturated(&rate, 1, milli);
    }
}

/* ---- live changes ---- */

Test(bucket_policy, a_change_to_the_same_rule_changes_nothing)
{
    static const bool paced[] = {false, true};

    for (size_t p = 0; p < 2; ++p) {
        const struct rate rate = {
            .milli = 100000, .per_ns = SECOND, .burst = 5, .pacing = paced[p]};
        struct bucket bucket = bucket_of(&rate);

        for (uint64_t now = 0; now < SECOND; now += 1700000) {
            const struct bucket same = converted(&bucket, now, &rate);

            cr_assert_eq(tokens(&same, now), tokens(&bucket, now), "at %" PRIu64, now);
            cr_assert_eq(waits(&same, now, 1), waits(&bucket, now, 1),
                         "at %" PRIu64 ": pacing %d, waits %" PRIu64 " and %" PRIu64, now,
                         (int)paced[p], waits(&same, now, 1), waits(&bucket, now, 1));
            bucket = same;
            (void)took(&bucket, now, 1);
        }
    }
}

Test(bucket_policy, a_change_keeps_the_tokens_up_to_the_new_burst)
{
    struct bucket bucket = per_second(100, 10);
    struct bucket changed;

    (void)drained(&bucket, SECOND, 4);
    changed =
        converted(&bucket, SECOND, &(struct rate){.milli = 7000, .per_ns = MINUTE, .burst = 50});
    cr_assert_eq(tokens(&changed, SECOND), 6U);
    changed =
        converted(&bucket, SECOND, &(struct rate){.milli = 7000, .per_ns = MINUTE, .burst = 5});
    cr_assert_eq(tokens(&changed, SECOND), 5U);
}

Test(bucket_policy, a_change_keeps_what_is_promised_to_takes_that_wait)
{
    const struct rate wider = {.milli = 100000, .per_ns = SECOND, .burst = 2};
    struct bucket bucket = per_second(100, 1);
    struct bucket changed;

    for (int i = 0; i < 11; ++i) { /* one passes, ten wait */
        bucket.tat = wr_bucket_ask(bucket.tat, &bucket.rule, SECOND, 1).tat;
    }
    cr_assert_eq(waits(&bucket, SECOND, 1), 110000000U);
    changed = converted(&bucket, SECOND, &wider);

    cr_assert_eq(waits(&changed, SECOND, 1), 110000000U);
}

Test(bucket_policy, a_change_to_rate_zero_and_back_keeps_the_tokens)
{
    const struct rate zero = {.per_ns = SECOND, .burst = 10};
    const struct rate rate = {.milli = 100000, .per_ns = SECOND, .burst = 10};
    struct bucket bucket = bucket_of(&rate);
    struct bucket changed;

    (void)drained(&bucket, SECOND, 4);
    changed = converted(&bucket, SECOND, &zero);
    cr_assert_not(took(&changed, HOUR, 1));
    changed = converted(&changed, HOUR, &rate);

    cr_assert_eq(tokens(&changed, HOUR), 6U);
    cr_assert_eq(drained(&changed, HOUR, 100), 6U);
}

Test(bucket_policy, a_change_to_rate_zero_and_back_keeps_what_is_promised_to_takes_that_wait)
{
    const struct rate zero = {.per_ns = SECOND, .burst = 1};
    const struct rate rate = {.milli = 100000, .per_ns = SECOND, .burst = 1};
    struct bucket bucket = bucket_of(&rate);
    struct bucket changed;

    for (int i = 0; i < 11; ++i) { /* one passes, ten wait */
        bucket.tat = wr_bucket_ask(bucket.tat, &bucket.rule, SECOND, 1).tat;
    }
    changed = converted(&bucket, SECOND, &zero);
    changed = converted(&changed, SECOND, &rate);

    cr_assert_geq(waits(&changed, SECOND, 1), 110000000U);
}

/* The oracle's credit goes on under the new rate; the bucket's is at most one tick less. */
static void check_change(struct bucket *bucket, struct oracle *oracle, const struct rate *next,
                         uint64_t seed)
{
    const wide full = (wide)capacity(next) * TOKEN;
    const uint64_t now = oracle->at_ns;
    uint64_t wait_ns;

    *bucket = converted(bucket, now, next);
    oracle->rate = *next;
    oracle->credit = oracle->credit < full ? oracle->credit : full;
    wait_ns = oracle_wait(oracle, 1);
    cr_assert_leq(tokens(bucket, now), oracle_tokens(oracle), "seed %" PRIu64, seed);
    cr_assert_geq(waits(bucket, now, 1), wait_ns, "seed %" PRIu64 ": credit out of nothing", seed);
    cr_assert_leq(waits(bucket, now, 1), wait_ns + 1, "seed %" PRIu64 ": credit lost", seed);
}

static void run_changes(uint64_t seed_of_run, bool paced)
{
    uint64_t seed = seed_of_run;
    struct rate rate = random_exact_rate(&seed);
    uint64_t now = next_random(&seed) >> 24U;
    struct bucket bucket;
    struct oracle oracle;

    rate.pacing = paced && rate.pacing;
    bucket = bucket_of(&rate);
    oracle = oracle_of(&rate, now);
    for (int step = 0; step < 10; ++step) {
        const uint64_t random = next_random(&seed);
        const uint64_t cost = random % rate.burst + 1;
        const struct wr_bucket_answer answer = wr_bucket_ask(bucket.tat, &bucket.rule, now, cost);

        if (answer.passes && affords(&oracle, cost)) {
            bucket.tat = answer.tat;
            oracle.credit -= (wide)cost * TOKEN;
        }
        now += random_step(&seed, oracle_wait(&oracle, cost));
        refill(&oracle, now);
    }
    rate = random_exact_rate(&seed);
    rate.pacing = paced && rate.pacing;
    check_change(&bucket, &oracle, &rate, seed_of_run);
}

Test(bucket_policy, a_change_neither_creates_nor_destroys_credit)
{
    for (uint64_t seed = 1; seed <= 50000; ++seed) {
        run_changes(seed, false);
    }
}

Test(bucket_policy, a_change_to_or_from_pacing_neither_creates_nor_destroys_credit)
{
    for (uint64_t seed = 1; seed <= 50000; ++seed) {
        run_changes(seed, true);
    }
}

Test(bucket_policy, a_change_may_come_with_a_new_origin)
{
    const struct rate rate = {.milli = 100000, .per_ns = SECOND, .burst = 10};
    struct bucket bucket = bucket_of(&rate);

    (void)drained(&bucket, 1000 * DAY, 7);
    bucket.tat = wr_bucket_convert(bucket.tat, &bucket.rule, 1000 * DAY, &bucket.rule, 5);

    cr_assert_eq(tokens(&bucket, 5), 3U);
    cr_assert_eq(waits(&bucket, 5, 4), 10000000U);
}
