/*
 * The breaker's state machine: each sentence that it owns, then random steps against a reference
 * machine that is written down a second time at the end of this file.
 */
#include "support/harness.h"

#include "policy/breaker_policy.h"

#include <weir/dependency.h>

#include <inttypes.h>
#include <string.h>

#define SECOND 1000000000ULL
#define DAY    (86400 * SECOND)
#define PPM    1000000ULL

static const struct wr_observation good = {.failure = false};
static const struct wr_observation bad = {.failure = true};
static const struct wr_observation slow = {.slow = true};
static const struct wr_observation neutral = {.neutral = true};

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

static struct wr_breaker_rule rule_of(uint32_t trial_calls, uint32_t trial_successes)
{
    return (struct wr_breaker_rule){.minimum_calls = 20,
                                    .failure_rate_ppm = 500000,
                                    .slow_rate_ppm = 500000,
                                    .slow_call_ns = 200,
                                    .open_for_ns = 5 * SECOND,
                                    .open_backoff_ppm = PPM,
                                    .open_for_max_ns = 60 * SECOND,
                                    .trial_lease_ns = 10 * SECOND,
                                    .trial_calls = trial_calls,
                                    .trial_successes = trial_successes};
}

/* A breaker, its rule, and the time. */
struct breaker {
    struct wr_breaker_state state;
    struct wr_breaker_rule rule;
    uint64_t now;
};

static struct breaker closed_breaker(uint32_t trial_calls, uint32_t trial_successes)
{
    struct breaker breaker = {.rule = rule_of(trial_calls, trial_successes), .now = 100 * SECOND};

    wr_breaker_start(&breaker.state, breaker.now);
    return breaker;
}

static struct breaker opened_breaker(uint32_t trial_calls, uint32_t trial_successes)
{
    struct breaker breaker = closed_breaker(trial_calls, trial_successes);

    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0);
    return breaker;
}

/* The open time has passed; nobody has asked yet. */
static struct breaker rested_breaker(uint32_t trial_calls, uint32_t trial_successes)
{
    struct breaker breaker = opened_breaker(trial_calls, trial_successes);

    breaker.now += breaker.rule.open_for_ns;
    return breaker;
}

static struct wr_breaker_answer ask(struct breaker *breaker)
{
    return wr_breaker_ask(&breaker->state, &breaker->rule, breaker->now, 0);
}

/* Ask, and begin to run. */
static struct wr_breaker_permit begin(struct breaker *breaker)
{
    const struct wr_breaker_answer answer = ask(breaker);

    cr_assert(answer.passes);
    cr_assert(wr_breaker_confirm(&breaker->state, &breaker->rule, &answer.permit, breaker->now));
    return answer.permit;
}

static bool settle(struct breaker *breaker, struct wr_breaker_permit permit,
                   struct wr_observation observation)
{
    return wr_breaker_settle(&breaker->state, &breaker->rule, &permit, observation, breaker->now,
                             0);
}

static uint64_t view(const struct breaker *breaker)
{
    return wr_breaker_view(&breaker->state, breaker->now);
}

static enum wr_trip judged(const struct wr_breaker_rule *rule, struct wr_window_sum sum,
                           uint64_t overdue, uint64_t consecutive)
{
    return wr_breaker_judge(rule, &sum, overdue, consecutive);
}

/* ---- trip rules ---- */

Test(breaker_policy, it_trips_when_calls_reach_the_minimum_and_failures_the_rate)
{
    const struct wr_breaker_rule rule = rule_of(1, 1);

    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 20, .failures = 10}, 0, 0),
                 WR_TRIP_FAILURE_RATE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 20, .failures = 9}, 0, 0),
                 WR_TRIP_NONE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 21, .failures = 10}, 0, 0),
                 WR_TRIP_NONE);
}

Test(breaker_policy, below_the_minimum_no_rate_trips_it)
{
    const struct wr_breaker_rule rule = rule_of(1, 1);

    cr_assert_eq(
        judged(&rule, (struct wr_window_sum){.calls = 19, .failures = 19, .slow = 19}, 0, 0),
        WR_TRIP_NONE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){0}, 0, 0), WR_TRIP_NONE);
}

Test(breaker_policy, it_trips_when_slow_calls_reach_their_rate)
{
    const struct wr_breaker_rule rule = rule_of(1, 1);

    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 20, .slow = 10}, 0, 0),
                 WR_TRIP_SLOW_RATE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 20, .slow = 9}, 0, 0), WR_TRIP_NONE);
}

Test(breaker_policy, failures_and_slow_calls_are_not_added_up)
{
    const struct wr_breaker_rule rule = rule_of(1, 1);

    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 20, .failures = 9, .slow = 9}, 0, 0),
                 WR_TRIP_NONE);
}

Test(breaker_policy, consecutive_failures_trip_it_without_window_or_minimum)
{
    struct wr_breaker_rule rule = rule_of(1, 1);

    rule.consecutive_failures = 5;

    cr_assert_eq(judged(&rule, (struct wr_window_sum){0}, 0, 4), WR_TRIP_NONE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){0}, 0, 5), WR_TRIP_CONSECUTIVE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 1000000, .failures = 6}, 0, 6),
                 WR_TRIP_CONSECUTIVE);
}

Test(breaker_policy, zero_consecutive_failures_means_off)
{
    const struct wr_breaker_rule rule = rule_of(1, 1);

    cr_assert_eq(judged(&rule, (struct wr_window_sum){0}, 0, 0), WR_TRIP_NONE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){0}, 0, UINT64_MAX), WR_TRIP_NONE);
}

Test(breaker_policy, a_rate_that_is_off_never_trips_it)
{
    struct wr_breaker_rule rule = rule_of(1, 1);

    rule.failure_rate_ppm = WR_RATE_OFF;
    rule.slow_rate_ppm = WR_RATE_OFF;

    cr_assert_eq(
        judged(&rule, (struct wr_window_sum){.calls = 20, .failures = 20, .slow = 20}, 1000, 0),
        WR_TRIP_NONE);
}

Test(breaker_policy, overdue_calls_are_calls_and_slow_for_the_slow_rate)
{
    const struct wr_breaker_rule rule = rule_of(1, 1);

    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 10}, 9, 0), WR_TRIP_NONE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 10}, 10, 0), WR_TRIP_SLOW_RATE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 12, .slow = 2}, 8, 0),
                 WR_TRIP_SLOW_RATE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){0}, 20, 0), WR_TRIP_SLOW_RATE);
}

Test(breaker_policy, overdue_calls_do_not_touch_the_failure_rate)
{
    struct wr_breaker_rule rule = rule_of(1, 1);

    rule.slow_rate_ppm = PPM;

    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 19, .failures = 19}, 1, 0),
                 WR_TRIP_NONE);
    cr_assert_eq(judged(&rule, (struct wr_window_sum){.calls = 20, .failures = 10}, 100, 0),
                 WR_TRIP_FAILURE_RATE);
}

Test(breaker_policy, an_admission_judges_the_slow_rate_alone)
{
    const struct wr_breaker_rule rule = rule_of(1, 1);
    const struct wr_window_sum failing = {.calls = 20, .failures = 20};
    const struct wr_window_sum slowing = {.calls = 15, .slow = 5};

    cr_assert_not(wr_breaker_judge_slow(&rule, &failing, 0));
    cr_assert_not(wr_breaker_judge_slow(&rule, &slowing, 4));
    cr_assert(wr_breaker_judge_slow(&rule, &slowing, 5));
}

Test(breaker_policy, rates_are_compared_exactly)
{
    cr_assert(wr_breaker_reaches(1, 2, 500000));
    cr_assert_not(wr_breaker_reaches(333333, 1000000, 333334));
    cr_assert(wr_breaker_reaches(333334, 1000000, 333334));
    cr_assert(wr_breaker_reaches(1, 3, 333333));
    cr_assert_not(wr_breaker_reaches(1, 3, 333334));
    cr_assert(wr_breaker_reaches(0, 5, 0));
    cr_assert(wr_breaker_reaches(UINT64_MAX, UINT64_MAX, PPM));
    cr_assert_not(wr_breaker_reaches(UINT64_MAX - 1, UINT64_MAX, PPM));
    cr_assert_not(wr_breaker_reaches(UINT64_MAX / 2, UINT64_MAX, 500000));
    cr_assert(wr_breaker_reaches(UINT64_MAX / 2 + 1, UINT64_MAX, 500000));
}

/* ---- closed and open ---- */

Test(breaker_policy, it_begins_closed_in_epoch_one)
{
    struct breaker breaker = closed_breaker(1, 1);
    const struct wr_breaker_answer answer = ask(&breaker);

    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
    cr_assert(answer.passes);
    cr_assert_eq(answer.permit.epoch, 1U);
    cr_assert_eq(answer.permit.trial, WR_BREAKER_NO_TRIAL);
}

Test(breaker_policy, from_exactly_open_until_a_call_is_a_trial_one_ns_before_it_is_refused)
{
    struct breaker breaker = opened_breaker(1, 1);
    struct wr_breaker_answer answer;

    answer = ask(&breaker);
    cr_assert_not(answer.passes);
    cr_assert_eq(answer.retry_after_ns, 5 * SECOND);

    breaker.now += 5 * SECOND - 1;
    answer = ask(&breaker);
    cr_assert_not(answer.passes);
    cr_assert_eq(answer.retry_after_ns, 1U);

    breaker.now += 1;
    answer = ask(&breaker);
    cr_assert(answer.passes);
    cr_assert_neq(answer.permit.trial, WR_BREAKER_NO_TRIAL);
}

Test(breaker_policy, a_query_says_half_open_from_open_until_on)
{
    struct breaker breaker = opened_breaker(1, 1);

    cr_assert_eq(wr_breaker_view(&breaker.state, breaker.now + 5 * SECOND - 1), WEIR_BREAKER_OPEN);
    cr_assert_eq(wr_breaker_view(&breaker.state, breaker.now + 5 * SECOND), WEIR_BREAKER_HALF_OPEN);
}

Test(breaker_policy, failures_landing_while_open_neither_count_nor_extend)
{
    struct breaker breaker = closed_breaker(1, 1);
    const struct wr_breaker_permit early = begin(&breaker);

    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0);
    for (int i = 0; i < 100; ++i) {
        breaker.now += SECOND / 100;
        cr_assert_not(settle(&breaker, early, bad));
    }

    cr_assert_eq(ask(&breaker).retry_after_ns, 4 * SECOND);
}

Test(breaker_policy, an_open_time_beyond_the_end_of_the_clock_never_ends)
{
    struct breaker breaker = closed_breaker(1, 1);

    breaker.rule.open_for_ns = UINT64_MAX;
    breaker.rule.open_for_max_ns = UINT64_MAX;
    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0);
    breaker.now = UINT64_MAX - 1;

    cr_assert_not(ask(&breaker).passes);
}

/* ---- how long it stays open ---- */

/* floor(open_for * (backoff/1e6)^k), at most the maximum, in whole numbers of any length. */
static uint64_t exact_open_for(const struct wr_breaker_rule *rule, uint64_t k)
{
    uint32_t limbs[80] = {(uint32_t)rule->open_for_ns, (uint32_t)(rule->open_for_ns >> 32U)};
    uint64_t above = 0;
    uint64_t value;

    for (uint64_t step = 0; step < k; ++step) {
        uint64_t carry = 0;

        for (size_t i = 0; i < 80; ++i) {
            carry += limbs[i] * rule->open_backoff_ppm;
            limbs[i] = (uint32_t)carry;
            carry >>= 32U;
        }
    }
    for (uint64_t step = 0; step < k; ++step) {
        uint64_t rest = 0;

        for (size_t i = 80; i > 0; --i) {
            rest = rest << 32U | limbs[i - 1];
            limbs[i - 1] = (uint32_t)(rest / PPM);
            rest %= PPM;
        }
    }
    for (size_t i = 2; i < 80; ++i) {
        above |= limbs[i];
    }
    value = (uint64_t)limbs[1] << 32U | limbs[0];
    return above != 0 || value > rule->open_for_max_ns ? rule->open_for_max_ns : value;
}

Test(breaker_policy, open_for_grows_by_the_backoff_and_is_cut_to_whole_ns)
{
    struct wr_breaker_rule rule = rule_of(1, 1);

    rule.open_for_ns = SECOND;
    rule.open_backoff_ppm = 1100000;

    cr_assert_eq(wr_breaker_open_for(&rule, 0), SECOND);
    cr_assert_eq(wr_breaker_open_for(&rule, 1), 1100000000U);
    cr_assert_eq(wr_breaker_open_for(&rule, 9), 2357947691U);
    cr_assert_eq(wr_breaker_open_for(&rule, 10), 2593742460U);
}

Test(breaker_policy, open_for_never_exceeds_its_maximum)
{
    struct wr_breaker_rule rule = rule_of(1, 1);

    rule.open_backoff_ppm = 2 * PPM;

    cr_assert_eq(wr_breaker_open_for(&rule, 3), 40 * SECOND);
    cr_assert_eq(wr_breaker_open_for(&rule, 4), 60 * SECOND);
    cr_assert_eq(wr_breaker_open_for(&rule, UINT64_MAX), 60 * SECOND);
    rule.open_for_max_ns = SECOND;
    cr_assert_eq(wr_breaker_open_for(&rule, 0), SECOND);
}

Test(breaker_policy, a_backoff_of_one_keeps_the_open_time)
{
    const struct wr_breaker_rule rule = rule_of(1, 1);

    cr_assert_eq(wr_breaker_open_for(&rule, 1), 5 * SECOND);
    cr_assert_eq(wr_breaker_open_for(&rule, UINT64_MAX), 5 * SECOND);
}

Test(breaker_policy, powers_of_the_backoff_are_exact)
{
    static const uint64_t factors[] = {1000001, 1050000, 1100000, 1250000,  1333333,
                                       1500000, 2000000, 3141592, 10000000, 100000000};
    uint64_t seed = 7;

    for (int i = 0; i < 20000; ++i) {
        const uint64_t k = next_random(&seed) % 60;
        struct wr_breaker_rule rule = rule_of(1, 1);

        rule.open_for_ns = next_random(&seed) % DAY >> next_random(&seed) % 46;
        rule.open_for_max_ns = next_random(&seed) % DAY >> next_random(&seed) % 10;
        rule.open_backoff_ppm = factors[next_random(&seed) % 10];

        cr_assert_eq(wr_breaker_open_for(&rule, k), exact_open_for(&rule, k),
                     "%" PRIu64 " ns * (%" PRIu64 "/1e6)^%" PRIu64 ", at most %" PRIu64,
                     rule.open_for_ns, rule.open_backoff_ppm, k, rule.open_for_max_ns);
    }
}

Test(breaker_policy, powers_of_the_backoff_are_exact_from_the_shortest_open_time_on)
{
    struct wr_breaker_rule rule = rule_of(1, 1);

    rule.open_for_ns = 10;
    rule.open_backoff_ppm = 2869819;
    rule.open_for_max_ns = DAY;

    cr_assert_eq(wr_breaker_open_for(&rule, 28), 66058116085635U);
}

Test(breaker_policy, k_counts_reopenings_in_a_row_and_closing_resets_it)
{
    struct breaker breaker = closed_breaker(1, 1);

    breaker.rule.open_backoff_ppm = 2 * PPM;
    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0);
    for (uint64_t k = 0; k < 3; ++k) {
        cr_assert_eq(ask(&breaker).retry_after_ns, (5 * SECOND) << k);
        breaker.now += (5 * SECOND) << k;
        cr_assert(settle(&breaker, begin(&breaker), bad));
    }
    breaker.now += 40 * SECOND;
    cr_assert(settle(&breaker, begin(&breaker), good));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0);

    cr_assert_eq(ask(&breaker).retry_after_ns, 5 * SECOND);
}

static uint64_t opened_for(uint64_t jitter_ppm, uint64_t draw)
{
    struct breaker breaker = closed_breaker(1, 1);

    breaker.rule.open_for_ns = 10 * SECOND;
    breaker.rule.open_jitter_ppm = jitter_ppm;
    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, draw);
    return ask(&breaker).retry_after_ns;
}

Test(breaker_policy, without_jitter_the_draw_means_nothing)
{
    cr_assert_eq(opened_for(0, 0), 10 * SECOND);
    cr_assert_eq(opened_for(0, UINT64_MAX), 10 * SECOND);
}

Test(breaker_policy, jitter_shortens_the_open_time_by_up_to_its_share)
{
    uint64_t seed = 8;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    for (int i = 0; i < 10000; ++i) {
        const uint64_t length = opened_for(200000, next_random(&seed));

        cr_assert_geq(length, 8 * SECOND);
        cr_assert_leq(length, 10 * SECOND);
        least = length < least ? length : least;
        most = length > most ? length : most;
    }

    cr_assert_lt(least, 8 * SECOND + SECOND / 100); /* and uses all of it */
    cr_assert_gt(most, 10 * SECOND - SECOND / 100);
}

Test(breaker_policy, the_same_draw_gives_the_same_open_time)
{
    cr_assert_eq(opened_for(200000, 0x123456789abcdef0ULL),
                 opened_for(200000, 0x123456789abcdef0ULL));
}

/* ---- half-open ---- */

Test(breaker_policy, half_open_admits_trial_calls_in_total_not_concurrently)
{
    struct breaker breaker = rested_breaker(3, 3);
    struct wr_breaker_permit third;

    cr_assert(settle(&breaker, begin(&breaker), good)); /* one after the other */
    cr_assert(settle(&breaker, begin(&breaker), good));
    third = begin(&breaker);
    cr_assert_not(ask(&breaker).passes);
    cr_assert(settle(&breaker, third, good));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
}

Test(breaker_policy, trials_may_run_at_the_same_time)
{
    struct breaker breaker = rested_breaker(WR_BREAKER_TRIALS_MAX, 1);

    for (uint32_t i = 0; i < WR_BREAKER_TRIALS_MAX; ++i) {
        cr_assert_eq(wr_breaker_free_trials(&breaker.state, &breaker.rule, breaker.now),
                     WR_BREAKER_TRIALS_MAX - i);
        (void)begin(&breaker);
    }

    cr_assert_not(ask(&breaker).passes);
    cr_assert_eq(wr_breaker_free_trials(&breaker.state, &breaker.rule, breaker.now), 0U);
}

Test(breaker_policy, it_closes_as_soon_as_trial_successes_are_in)
{
    struct breaker breaker = rested_breaker(5, 2);
    const struct wr_breaker_permit waiting = begin(&breaker);

    cr_assert(settle(&breaker, begin(&breaker), good));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
    cr_assert(settle(&breaker, begin(&breaker), good));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
    cr_assert_not(settle(&breaker, waiting, bad));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
}

Test(breaker_policy, it_reopens_as_soon_as_trial_successes_can_no_longer_be_reached)
{
    struct breaker breaker = rested_breaker(5, 3);

    cr_assert(settle(&breaker, begin(&breaker), bad));
    cr_assert(settle(&breaker, begin(&breaker), bad));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
    cr_assert(settle(&breaker, begin(&breaker), bad));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_OPEN);
    cr_assert_eq(ask(&breaker).retry_after_ns, 5 * SECOND);
}

Test(breaker_policy, a_slow_trial_has_failed)
{
    struct breaker breaker = rested_breaker(1, 1);

    cr_assert(settle(&breaker, begin(&breaker), slow));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_OPEN);
}

Test(breaker_policy, a_neutral_trial_returns_its_place)
{
    struct breaker breaker = rested_breaker(1, 1);

    for (int i = 0; i < 1000; ++i) {
        const struct wr_breaker_permit permit = begin(&breaker);

        cr_assert_not(ask(&breaker).passes);
        cr_assert(settle(&breaker, permit, neutral));
        cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
    }
    cr_assert(settle(&breaker, begin(&breaker), good));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
}

Test(breaker_policy, a_trial_that_never_ran_returns_its_place)
{
    struct breaker breaker = rested_breaker(1, 1);
    struct wr_breaker_answer answer = ask(&breaker);

    wr_breaker_give_back(&breaker.state, &answer.permit);
    wr_breaker_give_back(&breaker.state, &answer.permit); /* twice returns one place */

    cr_assert_eq(wr_breaker_free_trials(&breaker.state, &breaker.rule, breaker.now), 1U);
    cr_assert(ask(&breaker).passes);
    wr_breaker_give_back(&breaker.state, &answer.permit); /* nor another's */
    cr_assert_not(ask(&breaker).passes);
}

Test(breaker_policy, a_trial_loses_its_place_at_exactly_start_plus_lease)
{
    struct breaker breaker = rested_breaker(1, 1);

    (void)begin(&breaker);
    cr_assert_eq(wr_breaker_next_expiry(&breaker.state), breaker.now + 10 * SECOND);
    breaker.now += 10 * SECOND - 1;
    cr_assert_eq(wr_breaker_free_trials(&breaker.state, &breaker.rule, breaker.now), 0U);
    cr_assert_not(ask(&breaker).passes);
    breaker.now += 1;
    cr_assert_eq(wr_breaker_free_trials(&breaker.state, &breaker.rule, breaker.now), 1U);

    cr_assert(ask(&breaker).passes);
}

Test(breaker_policy, a_trial_settled_one_ns_before_its_lease_ends_decides)
{
    struct breaker breaker = rested_breaker(1, 1);
    const struct wr_breaker_permit permit = begin(&breaker);

    breaker.now += 10 * SECOND - 1;

    cr_assert(settle(&breaker, permit, good));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
}

Test(breaker_policy, a_late_settle_decides_nothing)
{
    struct breaker breaker = rested_breaker(1, 1);
    const struct wr_breaker_permit permit = begin(&breaker);

    breaker.now += 10 * SECOND;

    cr_assert_not(settle(&breaker, permit, good));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
    cr_assert_not(settle(&breaker, permit, bad));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
}

Test(breaker_policy, a_late_settle_frees_no_place)
{
    struct breaker breaker = rested_breaker(1, 1);
    const struct wr_breaker_permit lost = begin(&breaker);

    breaker.now += 10 * SECOND;
    (void)begin(&breaker); /* has the place now */

    cr_assert_not(settle(&breaker, lost, neutral));
    wr_breaker_give_back(&breaker.state, &lost);
    cr_assert_not(ask(&breaker).passes);
}

Test(breaker_policy, a_lost_trial_is_no_failure)
{
    struct breaker breaker = rested_breaker(1, 1);

    for (int i = 0; i < 100; ++i) {
        (void)begin(&breaker);
        breaker.now += 10 * SECOND;
        cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
    }
    cr_assert(settle(&breaker, begin(&breaker), good));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
}

Test(breaker_policy, a_waiting_trials_lease_starts_when_the_wait_ends)
{
    struct breaker breaker = rested_breaker(1, 1);
    const struct wr_breaker_answer answer = ask(&breaker);

    breaker.now += 3600 * SECOND;
    cr_assert_eq(wr_breaker_next_expiry(&breaker.state), UINT64_MAX);
    cr_assert_not(ask(&breaker).passes);
    cr_assert(wr_breaker_confirm(&breaker.state, &breaker.rule, &answer.permit, breaker.now));
    breaker.now += 10 * SECOND - 1;
    cr_assert_not(ask(&breaker).passes);
    breaker.now += 1;

    cr_assert(ask(&breaker).passes);
}

Test(breaker_policy, a_wait_that_outlasts_its_epoch_is_told)
{
    struct breaker breaker = rested_breaker(1, 1);
    const struct wr_breaker_answer answer = ask(&breaker);

    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_CLOSED, breaker.now));

    cr_assert_not(wr_breaker_confirm(&breaker.state, &breaker.rule, &answer.permit, breaker.now));
}

Test(breaker_policy, a_trial_is_known_until_it_settles)
{
    struct breaker breaker = rested_breaker(2, 2);
    struct wr_breaker_permit permit;

    cr_assert_not(wr_breaker_has_trial(&breaker.state));
    permit = begin(&breaker);
    cr_assert(wr_breaker_has_trial(&breaker.state));
    cr_assert(settle(&breaker, permit, good));
    cr_assert_not(wr_breaker_has_trial(&breaker.state));
}

Test(breaker_policy, a_trial_settles_once)
{
    struct breaker breaker = rested_breaker(3, 2);
    const struct wr_breaker_permit permit = begin(&breaker);

    cr_assert(settle(&breaker, permit, good));
    cr_assert_not(settle(&breaker, permit, good));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
}

/* ---- epochs ---- */

Test(breaker_policy, every_change_of_state_is_a_new_epoch)
{
    struct breaker breaker = closed_breaker(1, 1);
    uint64_t epoch = breaker.state.epoch;

    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0);
    cr_assert_gt(breaker.state.epoch, epoch);
    epoch = breaker.state.epoch;
    breaker.now += 5 * SECOND;
    (void)ask(&breaker);
    cr_assert_gt(breaker.state.epoch, epoch);
    epoch = breaker.state.epoch;
    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_OPEN, breaker.now));
    cr_assert_gt(breaker.state.epoch, epoch);
}

Test(breaker_policy, a_result_of_an_older_epoch_decides_nothing_in_any_later_state)
{
    struct breaker breaker = rested_breaker(2, 1);
    const struct wr_breaker_permit old = begin(&breaker);
    uint64_t epoch;

    cr_assert(settle(&breaker, begin(&breaker), good)); /* closed */
    epoch = breaker.state.epoch;
    cr_assert_not(settle(&breaker, old, bad));
    cr_assert_eq(breaker.state.epoch, epoch);

    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0); /* open */
    epoch = breaker.state.epoch;
    cr_assert_not(settle(&breaker, old, good));
    cr_assert_eq(breaker.state.epoch, epoch);

    breaker.now += 5 * SECOND;
    (void)begin(&breaker); /* half-open, the same place in use */
    epoch = breaker.state.epoch;
    cr_assert_not(settle(&breaker, old, good));
    cr_assert_not(settle(&breaker, old, bad));
    cr_assert_eq(breaker.state.epoch, epoch);
    cr_assert_eq(wr_breaker_free_trials(&breaker.state, &breaker.rule, breaker.now), 1U);
}

Test(breaker_policy, a_call_admitted_while_closed_is_no_trial_later)
{
    struct breaker breaker = closed_breaker(1, 1);
    const struct wr_breaker_permit early = begin(&breaker);

    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0);
    breaker.now += 5 * SECOND;
    (void)begin(&breaker);

    cr_assert_not(settle(&breaker, early, good));
    cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
}

/* ---- overrides ---- */

Test(breaker_policy, forced_open_refuses_all_and_knows_no_end)
{
    struct breaker breaker = closed_breaker(1, 1);

    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_OPEN, breaker.now));

    for (int i = 0; i < 100; ++i) {
        const struct wr_breaker_answer answer = ask(&breaker);

        cr_assert_not(answer.passes);
        cr_assert_eq(answer.retry_after_ns, 0U);
        breaker.now += 3600 * SECOND;
    }
    cr_assert_eq(view(&breaker), WEIR_BREAKER_FORCED_OPEN);
}

Test(breaker_policy, forced_closed_and_observe_admit_from_any_state)
{
    static const int32_t overrides[] = {WEIR_FORCE_CLOSED, WEIR_FORCE_OBSERVE};
    static const uint64_t views[] = {WEIR_BREAKER_FORCED_CLOSED, WEIR_BREAKER_OBSERVE};

    for (size_t i = 0; i < 2; ++i) {
        struct breaker breaker = opened_breaker(1, 1);

        cr_assert(wr_breaker_force(&breaker.state, overrides[i], breaker.now));

        cr_assert(ask(&breaker).passes);
        cr_assert_eq(ask(&breaker).permit.trial, WR_BREAKER_NO_TRIAL);
        cr_assert_eq(view(&breaker), views[i]);
    }
}

Test(breaker_policy, auto_ends_an_override_and_begins_closed)
{
    struct breaker breaker = opened_breaker(1, 1);
    uint64_t epoch;

    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_OPEN, breaker.now));
    epoch = breaker.state.epoch;
    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_AUTO, breaker.now));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
    cr_assert_gt(breaker.state.epoch, epoch);
    cr_assert(ask(&breaker).passes);
}

Test(breaker_policy, auto_without_an_override_changes_nothing)
{
    struct breaker breaker = opened_breaker(1, 1);
    const uint64_t epoch = breaker.state.epoch;

    breaker.now += SECOND;
    cr_assert_not(wr_breaker_force(&breaker.state, WEIR_FORCE_AUTO, breaker.now));

    cr_assert_eq(breaker.state.epoch, epoch);
    cr_assert_eq(ask(&breaker).retry_after_ns, 4 * SECOND);
}

Test(breaker_policy, repeating_an_override_changes_nothing)
{
    static const int32_t overrides[] = {WEIR_FORCE_OPEN, WEIR_FORCE_CLOSED, WEIR_FORCE_OBSERVE};

    for (size_t i = 0; i < 3; ++i) {
        struct breaker breaker = closed_breaker(1, 1);
        uint64_t epoch;

        cr_assert(wr_breaker_force(&breaker.state, overrides[i], breaker.now));
        epoch = breaker.state.epoch;
        cr_assert_not(wr_breaker_force(&breaker.state, overrides[i], breaker.now + SECOND));
        cr_assert_eq(breaker.state.epoch, epoch);
    }
}

Test(breaker_policy, an_override_forgets_trials_and_reopenings)
{
    struct breaker breaker = rested_breaker(1, 1);
    struct wr_breaker_permit trial;

    breaker.rule.open_backoff_ppm = 2 * PPM;
    cr_assert(settle(&breaker, begin(&breaker), bad));
    breaker.now += 10 * SECOND;
    trial = begin(&breaker);
    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_OBSERVE, breaker.now));
    cr_assert_not(settle(&breaker, trial, good));
    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_AUTO, breaker.now));
    wr_breaker_open(&breaker.state, &breaker.rule, breaker.now, 0);

    cr_assert_eq(ask(&breaker).retry_after_ns, 5 * SECOND);
}

/* ---- live change ---- */

Test(breaker_policy, new_trial_counts_are_judged_at_the_next_recording)
{
    struct breaker breaker = rested_breaker(5, 4);
    const struct wr_breaker_permit last = begin(&breaker);

    cr_assert(settle(&breaker, begin(&breaker), good));
    cr_assert(settle(&breaker, begin(&breaker), good));
    breaker.rule.trial_successes = 3;
    cr_assert_eq(view(&breaker), WEIR_BREAKER_HALF_OPEN);
    cr_assert(settle(&breaker, last, good));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
}

Test(breaker_policy, fewer_trial_calls_than_have_failed_leave_one_more_trial_that_reopens_it)
{
    struct breaker breaker = rested_breaker(5, 2);
    struct wr_breaker_permit last;

    cr_assert(settle(&breaker, begin(&breaker), bad));
    cr_assert(settle(&breaker, begin(&breaker), bad));
    breaker.rule.trial_calls = 2;
    last = begin(&breaker);
    cr_assert_not(ask(&breaker).passes);
    cr_assert(settle(&breaker, last, bad));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_OPEN);
    cr_assert_eq(ask(&breaker).retry_after_ns, 5 * SECOND);
}

Test(breaker_policy, a_change_that_leaves_no_place_while_a_trial_runs_admits_no_other)
{
    struct breaker breaker = rested_breaker(5, 3);
    struct wr_breaker_permit running;

    cr_assert(settle(&breaker, begin(&breaker), good));
    running = begin(&breaker);
    breaker.rule.trial_calls = 1;
    breaker.rule.trial_successes = 1;
    cr_assert_not(ask(&breaker).passes);
    cr_assert(settle(&breaker, running, good));

    cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
}

Test(breaker_policy, no_change_of_trial_calls_wedges_it)
{
    for (uint32_t before = 1; before <= 8; ++before) {
        for (uint32_t after = 1; after <= 8; ++after) {
            struct breaker breaker = rested_breaker(before, before);

            for (uint32_t i = 0; i < before; ++i) {
                (void)begin(&breaker); /* never settled */
            }
            breaker.rule.trial_calls = after;
            breaker.rule.trial_successes = after;
            breaker.now += 10 * SECOND;

            for (uint32_t i = 0; i < after; ++i) {
                cr_assert(settle(&breaker, begin(&breaker), good));
            }
            cr_assert_eq(view(&breaker), WEIR_BREAKER_CLOSED);
        }
    }
}

Test(breaker_policy, a_shorter_lease_is_for_trials_that_start_after_the_change)
{
    struct breaker breaker = rested_breaker(1, 1);

    (void)begin(&breaker);
    breaker.rule.trial_lease_ns = SECOND;

    breaker.now += 10 * SECOND - 1;
    cr_assert_not(ask(&breaker).passes);
    breaker.now += 1;
    (void)begin(&breaker);
    breaker.now += SECOND;
    cr_assert(ask(&breaker).passes);
}

/* ---- recovery ramp ---- */

static struct breaker recovered_breaker(uint64_t ramp_ns)
{
    struct breaker breaker = rested_breaker(1, 1);

    breaker.rule.recovery_ramp_ns = ramp_ns;
    cr_assert(settle(&breaker, begin(&breaker), good));
    return breaker;
}

static uint64_t passed_of_10000(struct breaker *breaker)
{
    uint64_t seed = 9;
    uint64_t passed = 0;

    for (int i = 0; i < 10000; ++i) {
        passed += wr_breaker_ask(&breaker->state, &breaker->rule, breaker->now, next_random(&seed))
                      .passes;
    }
    return passed;
}

Test(breaker_policy, without_a_ramp_all_calls_pass_after_closing)
{
    struct breaker breaker = recovered_breaker(0);

    cr_assert_eq(passed_of_10000(&breaker), 10000U);
}

Test(breaker_policy, the_ramp_admits_a_growing_share_after_closing)
{
    struct breaker breaker = recovered_breaker(10 * SECOND);
    uint64_t before = passed_of_10000(&breaker);

    cr_assert(before > 0 && before < 2000);
    for (int i = 0; i < 10; ++i) {
        uint64_t passed;

        breaker.now += SECOND;
        passed = passed_of_10000(&breaker);
        cr_assert_geq(passed, before);
        cr_assert(i != 4 || (passed > 4500 && passed < 5500));
        before = passed;
    }
    cr_assert_eq(before, 10000U);
}

Test(breaker_policy, the_ramp_ends_exactly_when_it_is_over)
{
    struct breaker breaker = recovered_breaker(10 * SECOND);

    breaker.now += 10 * SECOND;

    cr_assert(wr_breaker_ask(&breaker.state, &breaker.rule, breaker.now, UINT64_MAX).passes);
    cr_assert_eq(passed_of_10000(&breaker), 10000U);
}

Test(breaker_policy, there_is_no_ramp_at_the_start_nor_after_an_override)
{
    struct breaker breaker = closed_breaker(1, 1);

    breaker.rule.recovery_ramp_ns = 10 * SECOND;
    cr_assert_eq(passed_of_10000(&breaker), 10000U);

    breaker = recovered_breaker(10 * SECOND);
    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_CLOSED, breaker.now));
    cr_assert_eq(passed_of_10000(&breaker), 10000U);
    cr_assert(wr_breaker_force(&breaker.state, WEIR_FORCE_AUTO, breaker.now));
    cr_assert_eq(passed_of_10000(&breaker), 10000U);
}

/* ---- the reference machine ---- */

enum { RUNNING_MAX = 100, STEPS = 1000, RUNS = 1000 };

struct reference_trial {
    uint64_t id;
    uint64_t ends; /* UINT64_MAX: waits */
};

/* The promises once more, with a list of trials where the policy has places. */
struct reference {
    uint64_t epoch;
    int state; /* WEIR_BREAKER_CLOSED, _OPEN, _HALF_OPEN */
    int32_t override;
    uint64_t until;
    uint64_t reopenings;
    uint32_t successes;
    uint32_t failures;
    size_t trials;
    struct reference_trial trial[RUNNING_MAX];
};

struct running {
    struct wr_breaker_permit permit;
    uint64_t epoch;
    uint64_t id; /* 0: no trial */
};

struct pair {
    struct breaker breaker;
    struct reference reference;
    uint64_t seed;
    uint64_t last_id;
    size_t count;
    struct running running[RUNNING_MAX];
};

static void reference_enter(struct reference *reference, int state)
{
    reference->state = state;
    reference->epoch += 1;
    reference->trials = 0;
    reference->successes = 0;
    reference->failures = 0;
    reference->reopenings = state == WEIR_BREAKER_CLOSED ? 0 : reference->reopenings;
}

static void reference_open(struct pair *pair)
{
    reference_enter(&pair->reference, WEIR_BREAKER_OPEN);
    pair->reference.until =
        pair->breaker.now + exact_open_for(&pair->breaker.rule, pair->reference.reopenings);
}

static void reference_decide(struct pair *pair)
{
    struct reference *const reference = &pair->reference;
    const uint32_t wanted = pair->breaker.rule.trial_successes;

    if (reference->successes >= wanted) {
        reference_enter(reference, WEIR_BREAKER_CLOSED);
    } else if (reference->failures + wanted > pair->breaker.rule.trial_calls) {
        reference->reopenings += 1;
        reference_open(pair);
    }
}

static size_t reference_find(const struct reference *reference, const struct running *running)
{
    size_t i = 0;

    while (i < reference->trials && reference->trial[i].id != running->id) {
        ++i;
    }
    return running->epoch == reference->epoch && running->id != 0 ? i : reference->trials;
}

static void reference_drop(struct reference *reference, size_t i)
{
    reference->trials -= 1;
    reference->trial[i] = reference->trial[reference->trials];
}

static void reference_drop_ended(struct reference *reference, uint64_t now)
{
    for (size_t i = reference->trials; i > 0; --i) {
        if (reference->trial[i - 1].ends <= now) {
            reference_drop(reference, i - 1);
        }
    }
}

static bool reference_ask_trial(struct pair *pair, uint64_t *ret_id)
{
    struct reference *const reference = &pair->reference;

    reference_drop_ended(reference, pair->breaker.now);
    /* With nothing decided and no trial running, one goes on whatever a live change has left. */
    if (reference->trials > 0 && reference->trials + reference->successes + reference->failures >=
                                     pair->breaker.rule.trial_calls) {
        return false;
    }
    pair->last_id += 1;
    reference->trial[reference->trials++] =
        (struct reference_trial){.id = pair->last_id, .ends = UINT64_MAX};
    *ret_id = pair->last_id;
    return true;
}

static bool reference_ask(struct pair *pair, uint64_t *ret_id, uint64_t *ret_retry)
{
    struct reference *const reference = &pair->reference;

    *ret_id = 0;
    *ret_retry = 0;
    if (reference->override != WEIR_FORCE_AUTO) {
        return reference->override != WEIR_FORCE_OPEN;
    }
    if (reference->state == WEIR_BREAKER_OPEN && pair->breaker.now < reference->until) {
        *ret_retry = reference->until - pair->breaker.now;
        return false;
    }
    if (reference->state == WEIR_BREAKER_OPEN) {
        reference_enter(reference, WEIR_BREAKER_HALF_OPEN);
    }
    return reference->state == WEIR_BREAKER_CLOSED || reference_ask_trial(pair, ret_id);
}

static bool reference_settle(struct pair *pair, const struct running *running,
                             struct wr_observation observation)
{
    struct reference *const reference = &pair->reference;
    const size_t i = reference_find(reference, running);

    if (i == reference->trials || reference->trial[i].ends <= pair->breaker.now) {
        return false;
    }
    reference_drop(reference, i);
    if (observation.neutral) {
        return true;
    }
    if (observation.failure || observation.slow) {
        reference->failures += 1;
    } else {
        reference->successes += 1;
    }
    reference_decide(pair);
    return true;
}

static uint64_t reference_view(const struct reference *reference, uint64_t now)
{
    static const uint64_t overrides[] = {
        [WEIR_FORCE_OPEN] = WEIR_BREAKER_FORCED_OPEN,
        [WEIR_FORCE_CLOSED] = WEIR_BREAKER_FORCED_CLOSED,
        [WEIR_FORCE_OBSERVE] = WEIR_BREAKER_OBSERVE,
    };

    if (reference->override != WEIR_FORCE_AUTO) {
        return overrides[reference->override];
    }
    return reference->state == WEIR_BREAKER_OPEN && now >= reference->until
               ? WEIR_BREAKER_HALF_OPEN
               : (uint64_t)reference->state;
}

static uint32_t reference_free_trials(struct reference reference, const struct breaker *breaker)
{
    uint32_t used;

    reference_drop_ended(&reference, breaker->now);
    used = (uint32_t)reference.trials + reference.successes + reference.failures;
    return used < breaker->rule.trial_calls ? breaker->rule.trial_calls - used : 0;
}

/* ---- both, step by step ---- */

static struct running *any_running(struct pair *pair)
{
    return &pair->running[next_random(&pair->seed) % pair->count];
}

static void step_ask(struct pair *pair)
{
    const struct wr_breaker_answer answer = ask(&pair->breaker);
    uint64_t id;
    uint64_t retry;
    const bool passes = reference_ask(pair, &id, &retry);

    cr_assert_eq(answer.passes, passes);
    cr_assert_eq(answer.retry_after_ns, retry);
    if (passes) {
        cr_assert_eq(answer.permit.trial == WR_BREAKER_NO_TRIAL, id == 0);
        pair->count = pair->count < RUNNING_MAX ? pair->count + 1 : RUNNING_MAX;
        pair->running[(pair->count < RUNNING_MAX ? pair->count : next_random(&pair->seed)) %
                      pair->count] =
            (struct running){.permit = answer.permit, .epoch = pair->reference.epoch, .id = id};
    }
}

static void step_confirm(struct pair *pair)
{
    const struct running *const running = any_running(pair);
    const size_t i = reference_find(&pair->reference, running);

    if (i < pair->reference.trials && pair->reference.trial[i].ends != UINT64_MAX) {
        return; /* it runs already */
    }
    if (i < pair->reference.trials) {
        pair->reference.trial[i].ends = pair->breaker.now + pair->breaker.rule.trial_lease_ns;
    }
    cr_assert_eq(wr_breaker_confirm(&pair->breaker.state, &pair->breaker.rule, &running->permit,
                                    pair->breaker.now),
                 running->epoch == pair->reference.epoch);
}

static void step_settle(struct pair *pair)
{
    static const struct wr_observation all[] = {{.failure = false},
                                                {.failure = true},
                                                {.slow = true},
                                                {.neutral = true},
                                                {.neutral = true}};
    const struct running *const running = any_running(pair);
    const struct wr_observation observation = all[next_random(&pair->seed) % 5];

    cr_assert_eq(settle(&pair->breaker, running->permit, observation),
                 reference_settle(pair, running, observation));
}

static void step_give_back(struct pair *pair)
{
    const struct running *const running = any_running(pair);
    const size_t i = reference_find(&pair->reference, running);

    wr_breaker_give_back(&pair->breaker.state, &running->permit);
    if (i < pair->reference.trials) {
        reference_drop(&pair->reference, i);
    }
}

static void step_open(struct pair *pair)
{
    if (pair->reference.state == WEIR_BREAKER_CLOSED &&
        pair->reference.override == WEIR_FORCE_AUTO) {
        wr_breaker_open(&pair->breaker.state, &pair->breaker.rule, pair->breaker.now, 0);
        reference_open(pair);
    }
}

static void step_force(struct pair *pair)
{
    const int32_t override = (int32_t)(next_random(&pair->seed) % 20);
    const int32_t wanted = override <= WEIR_FORCE_OBSERVE ? override : WEIR_FORCE_AUTO;
    const bool changes = wanted != pair->reference.override;

    cr_assert_eq(wr_breaker_force(&pair->breaker.state, wanted, pair->breaker.now), changes);
    if (changes) {
        reference_enter(&pair->reference, WEIR_BREAKER_CLOSED);
        pair->reference.override = wanted;
    }
}

static void step_change_rule(struct pair *pair)
{
    static const uint64_t backoffs[] = {PPM, 2 * PPM, 1500000};
    const uint64_t random = next_random(&pair->seed);

    pair->breaker.rule.trial_calls = (uint32_t)(random % 6) + 1;
    pair->breaker.rule.trial_successes =
        (uint32_t)(random / 6 % pair->breaker.rule.trial_calls) + 1;
    pair->breaker.rule.trial_lease_ns = random / 36 % 40 + 1;
    pair->breaker.rule.open_for_ns = random / 2000 % 30 + 1;
    pair->breaker.rule.open_backoff_ppm = backoffs[random / 100000 % 3];
    pair->breaker.rule.open_for_max_ns = 300;
}

static void step_wait(struct pair *pair)
{
    const uint64_t random = next_random(&pair->seed);
    const uint64_t now = pair->breaker.now;
    const uint64_t until = pair->reference.until;

    if (pair->reference.state == WEIR_BREAKER_OPEN && until > now && random % 2 == 0) {
        pair->breaker.now = until - (random / 2 % 3 == 0 ? 1 : 0); /* the edge, or just before */
    } else {
        pair->breaker.now += random / 2 % 12;
    }
}

static void compare(const struct pair *pair, uint64_t seed, int step)
{
    const struct breaker *const breaker = &pair->breaker;

    cr_assert_eq(breaker->state.epoch, pair->reference.epoch, "seed %" PRIu64 ", step %d", seed,
                 step);
    cr_assert_eq(view(breaker), reference_view(&pair->reference, breaker->now),
                 "seed %" PRIu64 ", step %d", seed, step);
    if (pair->reference.state == WEIR_BREAKER_HALF_OPEN) {
        cr_assert_eq(wr_breaker_free_trials(&breaker->state, &breaker->rule, breaker->now),
                     reference_free_trials(pair->reference, breaker), "seed %" PRIu64 ", step %d",
                     seed, step);
    }
}

static void run_both(uint64_t seed)
{
    static void (*const steps[])(struct pair *) = {
        step_ask,    step_ask,    step_ask,       step_confirm, step_confirm, step_settle,
        step_settle, step_settle, step_give_back, step_open,    step_wait,    step_wait};
    static struct pair pair;

    memset(&pair, 0, sizeof(pair));
    pair.seed = seed;
    pair.breaker.now = next_random(&pair.seed) % 1000;
    pair.breaker.rule = rule_of(1, 1);
    step_change_rule(&pair);
    wr_breaker_start(&pair.breaker.state, pair.breaker.now);
    pair.reference.epoch = 1;
    pair.reference.state = WEIR_BREAKER_CLOSED;
    pair.reference.override = WEIR_FORCE_AUTO;
    step_ask(&pair);
    for (int step = 0; step < STEPS; ++step) {
        const uint64_t random = next_random(&pair.seed);
        const uint64_t epoch = pair.breaker.state.epoch;

        if (random % 100 == 0) {
            step_force(&pair);
        } else if (random % 100 == 1) {
            step_change_rule(&pair);
        } else {
            steps[random / 100 % 12](&pair);
        }
        compare(&pair, seed, step);
        cr_assert_geq(pair.breaker.state.epoch, epoch, "seed %" PRIu64 ", step %d", seed, step);
    }
}

Test(breaker_policy, a_million_random_steps_go_as_in_the_reference_machine)
{
    for (uint64_t seed = 1; seed <= RUNS; ++seed) {
        run_both(seed);
    }
}
