/*
 * Failures that other breakers had, as far as the state machine alone can have them. Each test
 * names where the failure is documented.
 */
#include "support/harness.h"

#include "policy/breaker_policy.h"

#include <weir/dependency.h>

#include <inttypes.h>

#define SECOND 1000000000ULL

static const struct wr_observation good = {.failure = false};
static const struct wr_observation bad = {.failure = true};

static const struct wr_breaker_rule rule = {.minimum_calls = 10,
                                            .failure_rate_ppm = 500000,
                                            .slow_rate_ppm = WR_RATE_OFF,
                                            .slow_call_ns = SECOND,
                                            .open_for_ns = 5 * SECOND,
                                            .open_backoff_ppm = 1000000,
                                            .open_for_max_ns = 60 * SECOND,
                                            .trial_lease_ns = 10 * SECOND,
                                            .trial_calls = 4,
                                            .trial_successes = 2};

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

/* Open since `now`. */
static struct wr_breaker_state opened(uint64_t now)
{
    struct wr_breaker_state state = {0};

    wr_breaker_start(&state, now);
    wr_breaker_open(&state, &rule, now, 0);
    return state;
}

static bool asked(struct wr_breaker_state *state, uint64_t now,
                  struct wr_breaker_permit *ret_permit)
{
    const struct wr_breaker_answer answer = wr_breaker_ask(state, &rule, now, 0);

    *ret_permit = answer.permit;
    return answer.passes && (answer.permit.trial == WR_BREAKER_NO_TRIAL ||
                             wr_breaker_confirm(state, &rule, &answer.permit, now));
}

static bool settled(struct wr_breaker_state *state, const struct wr_breaker_permit *permit,
                    struct wr_observation observation, uint64_t now)
{
    return wr_breaker_settle(state, &rule, permit, observation, now, 0);
}

/* resilience4j#544 */
Test(peer_breaker, a_trial_whose_outcome_is_ignored_gives_its_place_to_the_next_call)
{
    const struct wr_observation ignored = wr_classify(WEIR_IGNORED, 1, rule.slow_call_ns);
    const uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now - 5 * SECOND);
    struct wr_breaker_permit permit;

    for (int i = 0; i < 1000; ++i) {
        cr_assert(asked(&state, now, &permit));
        cr_assert(settled(&state, &permit, ignored, now));
        cr_assert_eq(wr_breaker_free_trials(&state, &rule, now), rule.trial_calls);
    }
    cr_assert(asked(&state, now, &permit));
    cr_assert(settled(&state, &permit, good, now));
    cr_assert(asked(&state, now, &permit));
    cr_assert(settled(&state, &permit, good, now));
    cr_assert_eq(wr_breaker_view(&state, now), WEIR_BREAKER_CLOSED);
}

/* resilience4j#935, resilience4j#903, resilience4j#1389, resilience4j#2028 */
Test(peer_breaker, trials_that_never_return_hold_it_half_open_for_one_lease_at_most)
{
    uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now - 5 * SECOND);
    struct wr_breaker_permit permit;

    for (int phase = 0; phase < 100; ++phase) { /* the dependency hangs */
        for (uint32_t i = 0; i < rule.trial_calls; ++i) {
            cr_assert(asked(&state, now, &permit));
        }
        cr_assert_not(asked(&state, now, &permit));
        now += rule.trial_lease_ns;
    }
    cr_assert(asked(&state, now, &permit)); /* it has recovered */
    cr_assert(settled(&state, &permit, good, now));
    cr_assert(asked(&state, now, &permit));
    cr_assert(settled(&state, &permit, good, now));
    cr_assert_eq(wr_breaker_view(&state, now), WEIR_BREAKER_CLOSED);
}

/* Polly#1979, Polly#311, Polly#717 */
Test(peer_breaker, a_trial_that_says_nothing_of_the_dependency_neither_closes_nor_blocks)
{
    const struct wr_observation not_mine = wr_classify(WEIR_CANCELLED, 1, rule.slow_call_ns);
    const uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now - 5 * SECOND);
    struct wr_breaker_permit permit;

    for (int i = 0; i < 100; ++i) {
        cr_assert(asked(&state, now, &permit));
        cr_assert(settled(&state, &permit, not_mine, now));
        cr_assert_eq(wr_breaker_view(&state, now), WEIR_BREAKER_HALF_OPEN);
    }
}

/* Sentinel#1638, sentinel-golang#196 */
Test(peer_breaker, a_trial_blocked_by_a_later_gate_gives_its_place_back)
{
    const uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now - 5 * SECOND);

    for (int i = 0; i < 1000; ++i) {
        const struct wr_breaker_answer answer = wr_breaker_ask(&state, &rule, now, 0);

        cr_assert(answer.passes);
        wr_breaker_give_back(&state, &answer.permit);
    }
    cr_assert_eq(wr_breaker_free_trials(&state, &rule, now), rule.trial_calls);
}

/* Hystrix#2108: after whatever happened, a breaker that is left alone and asked again tries again.
 */
Test(peer_breaker, after_any_sequence_it_tries_again_once_leases_and_open_time_have_passed)
{
    struct wr_breaker_permit permits[16] = {{0}};
    uint64_t seed = 10;
    uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now);

    for (int step = 0; step < 1000000; ++step) {
        const uint64_t random = next_random(&seed);
        struct wr_breaker_permit *const permit = &permits[random % 16];

        switch (random / 16 % 4) {
        case 0:
            now += random / 64 % (2 * SECOND);
            break;
        case 1:
            (void)settled(&state, permit, random >> 63U ? good : bad, now);
            break;
        default:
            (void)asked(&state, now, permit);
            break;
        }
        if (random >> 50U == 0) {
            now += rule.trial_lease_ns + rule.open_for_max_ns;
            cr_assert(asked(&state, now, permit), "step %d", step);
        }
        if (state.phase == WR_PHASE_CLOSED) {
            wr_breaker_open(&state, &rule, now, 0);
        }
    }
}

/* Hystrix#1541 */
Test(peer_breaker, a_million_queries_take_no_trial_place_and_change_nothing)
{
    const uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now - 5 * SECOND);
    const uint64_t epoch = state.epoch;
    struct wr_breaker_permit permit;

    for (int i = 0; i < 1000000; ++i) {
        cr_assert_eq(wr_breaker_view(&state, now), WEIR_BREAKER_HALF_OPEN);
    }

    cr_assert_eq(state.epoch, epoch);
    cr_assert_eq(wr_breaker_free_trials(&state, &rule, now), rule.trial_calls);
    cr_assert(asked(&state, now, &permit));
}

/* Polly#216, nodeshift/opossum#120, smallrye-fault-tolerance#323, takapi327/ldbc#731 */
Test(peer_breaker, of_many_calls_at_the_instant_of_half_open_exactly_trial_calls_pass)
{
    const uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now - 5 * SECOND);
    struct wr_breaker_permit permit;
    uint32_t passed = 0;

    for (int i = 0; i < 64; ++i) {
        passed += asked(&state, now, &permit) ? 1U : 0U;
    }

    cr_assert_eq(passed, rule.trial_calls);
}

/* Hystrix#1350, Polly#217, Polly#218, Polly#219, Polly#223, denoland/std#7306, k8s-breakglass#981
 */
Test(peer_breaker, late_results_of_older_epochs_never_move_a_later_state)
{
    uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now - 5 * SECOND);
    struct wr_breaker_permit old[4];
    struct wr_breaker_permit permit;
    uint64_t epoch;

    for (int i = 0; i < 4; ++i) {
        cr_assert(asked(&state, now, &old[i]));
    }
    cr_assert(settled(&state, &old[0], bad, now));
    cr_assert(settled(&state, &old[1], bad, now));
    cr_assert(settled(&state, &old[2], bad, now));
    cr_assert_eq(wr_breaker_view(&state, now), WEIR_BREAKER_OPEN);

    for (int state_number = 0; state_number < 3; ++state_number) { /* open, half-open, closed */
        epoch = state.epoch;
        cr_assert_not(settled(&state, &old[3], good, now));
        cr_assert_not(settled(&state, &old[3], bad, now));
        cr_assert_eq(state.epoch, epoch);
        now += 5 * SECOND;
        cr_assert(asked(&state, now, &permit));
        (void)(state_number == 1 && settled(&state, &permit, good, now) &&
               asked(&state, now, &permit) && settled(&state, &permit, good, now));
    }
    cr_assert_eq(wr_breaker_view(&state, now), WEIR_BREAKER_CLOSED);
}

/* monix#1080 */
Test(peer_breaker, a_trial_cancelled_before_or_while_it_runs_conserves_its_place)
{
    const struct wr_observation cancelled = wr_classify(WEIR_CANCELLED, 1, rule.slow_call_ns);
    const uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now - 5 * SECOND);
    struct wr_breaker_answer answer = wr_breaker_ask(&state, &rule, now, 0);
    struct wr_breaker_permit permit;

    wr_breaker_give_back(&state, &answer.permit); /* while it waited */
    cr_assert_eq(wr_breaker_free_trials(&state, &rule, now), rule.trial_calls);
    cr_assert(asked(&state, now, &permit)); /* while it ran */
    cr_assert(settled(&state, &permit, cancelled, now));
    cr_assert_eq(wr_breaker_free_trials(&state, &rule, now), rule.trial_calls);
    cr_assert(asked(&state, now, &permit)); /* after its lease */
    cr_assert_not(settled(&state, &permit, cancelled, now + rule.trial_lease_ns));
    cr_assert_eq(wr_breaker_free_trials(&state, &rule, now + rule.trial_lease_ns),
                 rule.trial_calls);
}

/* openab#969 */
Test(peer_breaker, failures_while_open_do_not_move_the_time_of_the_next_trial)
{
    const uint64_t start = 100 * SECOND;
    struct wr_breaker_state state = {0};
    struct wr_breaker_permit early;

    wr_breaker_start(&state, start);
    cr_assert(asked(&state, start, &early));
    wr_breaker_open(&state, &rule, start, 0);

    for (uint64_t now = start; now < start + 5 * SECOND; now += SECOND / 100) {
        cr_assert_not(settled(&state, &early, bad, now));
        cr_assert_eq(wr_breaker_ask(&state, &rule, now, 0).retry_after_ns,
                     start + 5 * SECOND - now);
    }
    cr_assert(asked(&state, start + 5 * SECOND, &early));
}

/* rubyist/circuitbreaker#1, mercari/go-circuitbreaker#7, sony/gobreaker#27 */
Test(peer_breaker, a_threshold_that_was_jumped_over_trips_it_still)
{
    struct wr_breaker_rule consecutive = rule;

    consecutive.consecutive_failures = 5;
    for (uint64_t failures = 5; failures < 100; ++failures) {
        const struct wr_window_sum sum = {.calls = 100, .failures = 45 + failures};

        cr_assert_eq(wr_breaker_judge(&consecutive, &sum, 0, failures), WR_TRIP_CONSECUTIVE);
        cr_assert_eq(wr_breaker_judge(&rule, &sum, 0, failures), WR_TRIP_FAILURE_RATE);
    }
}

/* The whole life of a breaker, as what it answers over `steps` steps from `start` on. */
static uint64_t life_from(uint64_t start, int steps)
{
    struct wr_breaker_permit permits[4] = {{0}};
    struct wr_breaker_state state = opened(start);
    uint64_t seed = 11;
    uint64_t now = start;
    uint64_t digest = 0;

    for (int i = 0; i < steps; ++i) {
        const uint64_t random = next_random(&seed);
        struct wr_breaker_answer answer;

        now += random % SECOND;
        answer = wr_breaker_ask(&state, &rule, now, 0);
        if (answer.passes) {
            permits[random / SECOND % 4] = answer.permit;
            (void)wr_breaker_confirm(&state, &rule, &answer.permit, now);
        }
        (void)settled(&state, &permits[random >> 62U], random >> 61U & 1U ? good : bad, now);
        digest = digest * 31 + answer.retry_after_ns + (answer.passes ? 1 : 0) +
                 wr_breaker_view(&state, now) * 7;
        if (state.phase == WR_PHASE_CLOSED) {
            wr_breaker_open(&state, &rule, now, 0);
        }
    }
    return digest;
}

/* dropwizard/metrics#515, dropwizard/metrics#732 */
Test(peer_breaker, it_lives_the_same_life_wherever_the_clock_starts)
{
    static const uint64_t starts[] = {1, INT64_MAX - 500 * SECOND, INT64_MAX, 1ULL << 63U,
                                      UINT64_MAX - 5000 * SECOND};
    const uint64_t expected = life_from(0, 5000);

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); ++i) {
        cr_assert_eq(life_from(starts[i], 5000), expected, "from %" PRIu64, starts[i]);
    }
}

/* sentinel-golang#409, haproxy#2704, stoplight#873 */
Test(peer_breaker, a_stamp_that_steps_back_admits_nothing_and_resets_nothing)
{
    const uint64_t now = 100 * SECOND;
    struct wr_breaker_state state = opened(now);
    struct wr_breaker_permit permit;

    cr_assert_not(asked(&state, now - 50 * SECOND, &permit));
    cr_assert_not(asked(&state, 0, &permit));
    cr_assert_eq(wr_breaker_ask(&state, &rule, now + 5 * SECOND - 1, 0).retry_after_ns, 1U);
    for (uint32_t i = 0; i < rule.trial_calls; ++i) {
        cr_assert(asked(&state, now + 5 * SECOND, &permit));
    }
    cr_assert_not(asked(&state, now, &permit));
    cr_assert_eq(wr_breaker_view(&state, now), WEIR_BREAKER_HALF_OPEN);
}
