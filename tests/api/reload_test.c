/*
 * Every key that may change while live is seen to act, with a call in flight over the change.
 */
#include "support/world.h"

/* A permit over the change; ended at the end, whatever changed. */
struct over {
    struct world world;
    weir_permit permit;
};

static void over_open(struct over *over, const char *settings)
{
    world_open(&over->world, settings);
    over->permit = begin_one(over->world.dependency);
}

static void over_close(struct over *over)
{
    cr_expect_eq(weir_end(&over->permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&over->world);
}

static void change(struct over *over, const char *key, const char *value)
{
    cr_assert_eq(world_set(&over->world, key, value), WEIR_OK, "%s", over->world.error.message);
}

static weir_status call(struct over *over, weir_verdict verdict)
{
    return world_call(&over->world, verdict);
}

static weir_status call_taking(struct over *over, weir_verdict verdict, uint64_t took_ns)
{
    return world_call_taking(&over->world, verdict, took_ns, NULL);
}

static uint64_t state_of(struct over *over)
{
    return world_count(&over->world, WEIR_COUNT_BREAKER_STATE);
}

static bool is_open(struct over *over)
{
    return state_of(over) == WEIR_BREAKER_OPEN;
}

Test(reload, mode_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, NULL);
    change(&over, "mode", "off");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OFF);
    change(&over, "mode", "on");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    over_close(&over);
}

Test(reload, max_concurrent_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "max_concurrent: 2");
    change(&over, "max_concurrent", "1");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_BULKHEAD);
    change(&over, "max_concurrent", "0");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_BULKHEAD);
    change(&over, "max_concurrent", "1000000");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    over_close(&over);
}

Test(reload, max_wait_acts_with_a_call_in_flight)
{
    struct over over;
    struct caller caller = {0};

    over_open(&over, "max_concurrent: 1, timeout: 1m");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_BULKHEAD);
    change(&over, "max_wait", "1s");
    caller_start(&caller, over.world.dependency, NULL);
    weir_manual_clock_await_waiters(over.world.clock, 1);
    change(&over, "max_wait", "0ms"); /* the one that waits keeps what it began with */
    cr_expect_eq(call(&over, WEIR_V_OK), WEIR_BULKHEAD);
    world_pass(&over.world, SECOND - 1);
    cr_expect_eq(world_count(&over.world, WEIR_COUNT_WAITING), 1U);
    world_pass(&over.world, 1);
    cr_expect_eq(caller_join(&caller), WEIR_BULKHEAD);
    over_close(&over);
}

Test(reload, timeout_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "timeout: 1s");
    change(&over, "timeout", "10ms");
    cr_assert_eq(weir_permit_left_ns(&over.permit), SECOND);
    cr_assert_eq(call_taking(&over, WEIR_V_FAILED, 10 * MS), WEIR_TIMED_OUT);
    change(&over, "timeout", "off");
    cr_assert_eq(call_taking(&over, WEIR_V_OK, 3600 * SECOND), WEIR_OK);
    over_close(&over);
}

Test(reload, permit_lease_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, NULL);
    weir_permit lost = begin_one(over.world.dependency);
    change(&over, "permit_lease", "1s");
    world_pass(&over.world, 500 * MS);
    change(&over, "permit_lease", "500ms");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_CALLS_LOST), 2U);
    cr_assert_eq(weir_end(&lost, WEIR_V_OK, 0), WEIR_E_STALE);
    cr_assert_eq(weir_end(&over.permit, WEIR_V_OK, 0), WEIR_E_STALE);
    change(&over, "permit_lease", "off");
    over.permit = begin_one(over.world.dependency);
    world_pass(&over.world, 3600 * SECOND);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    over_close(&over);
}

Test(reload, breaker_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.consecutive_failures: 1");
    cr_assert_eq(call(&over, WEIR_V_FAILED), WEIR_FAILED);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OPEN);
    change(&over, "breaker", "off");
    cr_assert_eq(state_of(&over), (uint64_t)WEIR_BREAKER_NONE);
    cr_assert_eq(call(&over, WEIR_V_FAILED), WEIR_FAILED);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    change(&over, "breaker", "on");
    cr_assert_eq(state_of(&over), (uint64_t)WEIR_BREAKER_CLOSED);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_assert_eq(call(&over, WEIR_V_FAILED), WEIR_FAILED);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OPEN);
    over_close(&over);
}

Test(reload, breaker_window_kind_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker: on, breaker.window.size: 2");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    change(&over, "breaker.window.kind", "count");
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_CALLS), 0U);
    world_calls(&over.world, WEIR_V_OK, 5);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_CALLS), 2U);
    over_close(&over);
}

Test(reload, breaker_window_span_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker: on");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    change(&over, "breaker.window.span", "1m");
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    world_pass(&over.world, 30 * SECOND);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_CALLS), 1U);
    over_close(&over);
}

Test(reload, breaker_window_buckets_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.window.span: 10s");
    change(&over, "breaker.window.buckets", "1");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    world_pass(&over.world, 10 * SECOND - 1);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_CALLS), 1U);
    world_pass(&over.world, 1);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_CALLS), 0U);
    over_close(&over);
}

Test(reload, breaker_window_size_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.window.kind: count, breaker.window.size: 10");
    world_calls(&over.world, WEIR_V_FAILED, 5);
    world_calls(&over.world, WEIR_V_OK, 5);
    change(&over, "breaker.window.size", "6");
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_CALLS), 6U);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_FAILURES), 1U);
    over_close(&over);
}

Test(reload, breaker_minimum_calls_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.minimum_calls: 100");
    world_calls(&over.world, WEIR_V_FAILED, 10);
    change(&over, "breaker.minimum_calls", "10");
    cr_assert_not(is_open(&over)); /* judged at the next recording, not by the change */
    (void)call(&over, WEIR_V_OK);
    cr_assert(is_open(&over));
    over_close(&over);
}

Test(reload, breaker_failure_rate_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over,
              "breaker.minimum_calls: 10, breaker.failure_rate: off, breaker.slow_rate: off");
    world_calls(&over.world, WEIR_V_FAILED, 5);
    world_calls(&over.world, WEIR_V_OK, 10);
    change(&over, "breaker.failure_rate", "30%");
    (void)call(&over, WEIR_V_OK);
    cr_assert(is_open(&over));
    over_close(&over);
}

Test(reload, breaker_slow_call_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker: on, timeout: off");
    (void)call_taking(&over, WEIR_V_OK, 100 * MS);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_SLOW), 0U);
    change(&over, "breaker.slow_call", "99ms");
    (void)call_taking(&over, WEIR_V_OK, 100 * MS);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_SLOW), 1U);
    over_close(&over);
}

Test(reload, breaker_slow_rate_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.minimum_calls: 3, breaker.slow_rate: off, timeout: off");
    for (int i = 0; i < 3; ++i) {
        cr_assert_eq(call_taking(&over, WEIR_V_OK, 300 * MS), WEIR_OK);
    }
    change(&over, "breaker.slow_rate", "75%");
    (void)call_taking(&over, WEIR_V_OK, 0);
    cr_assert(is_open(&over));
    over_close(&over);
}

Test(reload, breaker_consecutive_failures_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker: on");
    world_calls(&over.world, WEIR_V_FAILED, 3);
    change(&over, "breaker.consecutive_failures", "4");
    cr_assert_not(is_open(&over));
    (void)call(&over, WEIR_V_FAILED);
    cr_assert(is_open(&over));
    over_close(&over);
}

Test(reload, breaker_open_for_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.consecutive_failures: 1, breaker.open_for: 5s");
    (void)call(&over, WEIR_V_FAILED);
    change(&over, "breaker.open_for", "10ms"); /* used when it next opens */
    world_pass(&over.world, 5 * SECOND - 1);
    cr_assert(is_open(&over));
    world_pass(&over.world, 1);
    (void)call(&over, WEIR_V_FAILED);
    cr_assert(is_open(&over));
    world_pass(&over.world, 10 * MS);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    over_close(&over);
}

/* Opened once and re-opened once, by failed trials, after a change. */
static uint64_t reopened_for(const char *key, const char *value)
{
    struct over over;
    weir_outcome outcome;

    over_open(&over, "breaker.consecutive_failures: 1, breaker.open_for: 10s");
    (void)call(&over, WEIR_V_FAILED);
    change(&over, "breaker.open_backoff", "2.0");
    change(&over, key, value);
    world_pass(&over.world, 10 * SECOND);
    (void)call(&over, WEIR_V_FAILED);
    cr_assert_eq(world_call_taking(&over.world, WEIR_V_OK, 0, &outcome), WEIR_OPEN);
    over_close(&over);
    return outcome.retry_after_ns;
}

Test(reload, breaker_open_backoff_acts_with_a_call_in_flight)
{
    cr_assert_eq(reopened_for("breaker.open_backoff", "1.5"), 15 * SECOND);
}

Test(reload, breaker_open_for_max_acts_with_a_call_in_flight)
{
    cr_assert_eq(reopened_for("breaker.open_for_max", "12s"), 12 * SECOND);
}

Test(reload, breaker_open_jitter_acts_with_a_call_in_flight)
{
    const uint64_t length = reopened_for("breaker.open_jitter", "50%");

    cr_assert_lt(length, 20 * SECOND);
    cr_assert_geq(length, 10 * SECOND);
}

Test(reload, breaker_trial_calls_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.consecutive_failures: 1, breaker.open_for: 1s");
    (void)call(&over, WEIR_V_FAILED);
    world_pass(&over.world, SECOND);
    weir_permit trials[2] = {begin_one(over.world.dependency)};
    cr_assert_eq(begin_status(over.world.dependency), WEIR_OPEN);
    change(&over, "breaker.trial_calls", "2");
    trials[1] = begin_one(over.world.dependency);
    cr_assert_eq(begin_status(over.world.dependency), WEIR_OPEN);
    cr_assert_eq(weir_end(&trials[0], WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(weir_end(&trials[1], WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(state_of(&over), (uint64_t)WEIR_BREAKER_CLOSED);
    over_close(&over);
}

Test(reload, breaker_trial_successes_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.consecutive_failures: 1, breaker.open_for: 1s, "
                     "breaker.trial_calls: 3, breaker.trial_successes: 3");
    (void)call(&over, WEIR_V_FAILED);
    world_pass(&over.world, SECOND);
    (void)call(&over, WEIR_V_OK);
    cr_assert_eq(state_of(&over), (uint64_t)WEIR_BREAKER_HALF_OPEN);
    change(&over, "breaker.trial_successes", "2");
    (void)call(&over, WEIR_V_OK);
    cr_assert_eq(state_of(&over), (uint64_t)WEIR_BREAKER_CLOSED);
    over_close(&over);
}

Test(reload, breaker_trial_lease_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "breaker.consecutive_failures: 1, breaker.open_for: 1s");
    (void)call(&over, WEIR_V_FAILED);
    world_pass(&over.world, SECOND);
    change(&over, "breaker.trial_lease", "1s");
    weir_permit trial = begin_one(over.world.dependency);
    world_pass(&over.world, SECOND - 1);
    cr_assert_eq(begin_status(over.world.dependency), WEIR_OPEN);
    world_pass(&over.world, 1);
    cr_assert_eq(begin_status(over.world.dependency), WEIR_OK);
    cr_assert_eq(weir_end(&trial, WEIR_V_FAILED, 0), WEIR_OK);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_LATE), 1U);
    over_close(&over);
}

Test(reload, breaker_recovery_ramp_acts_with_a_call_in_flight)
{
    struct over over;
    int admitted = 0;

    over_open(&over, "breaker.consecutive_failures: 1, breaker.open_for: 1s");
    (void)call(&over, WEIR_V_FAILED);
    change(&over, "breaker.recovery_ramp", "10s");
    world_pass(&over.world, SECOND);
    (void)call(&over, WEIR_V_OK);
    for (int i = 0; i < 1000; ++i) {
        admitted += call(&over, WEIR_V_OK) == WEIR_OK ? 1 : 0;
    }
    cr_assert_gt(admitted, 50);
    cr_assert_lt(admitted, 200);
    world_pass(&over.world, 10 * SECOND);
    for (int i = 0; i < 1000; ++i) {
        cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    }
    over_close(&over);
}

Test(reload, rate_limit_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "rate_limit.rate: 1/h, rate_limit.burst: 1");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_RATE);
    change(&over, "rate_limit", "off");
    world_calls(&over.world, WEIR_V_OK, 10);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_CALLS_OK), 10U);
    change(&over, "rate_limit", "on"); /* begins anew: full */
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_RATE);
    over_close(&over);
}

Test(reload, rate_limit_rate_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "rate_limit.rate: 1/h, rate_limit.burst: 2");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    change(&over, "rate_limit.rate", "10/s");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_RATE); /* no credit was created */
    world_pass(&over.world, 100 * MS);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    over_close(&over);
}

Test(reload, rate_limit_burst_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "rate_limit.rate: 1/h, rate_limit.burst: 10");
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_TOKENS), 9U);
    change(&over, "rate_limit.burst", "100");
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_TOKENS), 9U);
    change(&over, "rate_limit.burst", "3");
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_TOKENS), 3U);
    over_close(&over);
}

Test(reload, rate_limit_mode_acts_with_a_call_in_flight)
{
    struct over over;

    over_open(&over, "rate_limit.rate: 10/s, rate_limit.burst: 10");
    change(&over, "rate_limit.mode", "pacing");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_RATE);
    change(&over, "rate_limit.mode", "window");
    world_pass(&over.world, SECOND);
    for (int i = 0; i < 10; ++i) {
        cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    }
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_RATE);
    world_pass(&over.world, SECOND - 1);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_RATE);
    world_pass(&over.world, 1);
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_OK);
    over_close(&over);
}

Test(reload, rate_limit_max_wait_acts_with_a_call_in_flight)
{
    struct over over;
    struct caller caller = {0};

    over_open(&over, "rate_limit.rate: 10/s, rate_limit.burst: 1");
    cr_assert_eq(call(&over, WEIR_V_OK), WEIR_RATE);
    change(&over, "rate_limit.max_wait", "1s");
    caller_start(&caller, over.world.dependency, NULL);
    weir_manual_clock_await_waiters(over.world.clock, 1);
    change(&over, "rate_limit.max_wait", "0ms");
    world_pass(&over.world, 100 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    over_close(&over);
}

/* ---- what a live change must not do ---- */

Test(reload, a_new_threshold_keeps_the_window)
{
    struct over over;

    over_open(&over, "breaker: on");
    world_calls(&over.world, WEIR_V_FAILED, 7);
    change(&over, "breaker.failure_rate", "90%");
    change(&over, "breaker.slow_call", "1s");
    change(&over, "breaker.minimum_calls", "50");
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_FAILURES), 7U);
    over_close(&over);
}

Test(reload, an_unchanged_shape_keeps_the_window)
{
    struct over over;

    over_open(&over, "breaker: on");
    world_calls(&over.world, WEIR_V_FAILED, 7);
    change(&over, "breaker.window.span", "10s");
    change(&over, "breaker.window.size", "77"); /* of the other kind */
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_FAILURES), 7U);
    over_close(&over);
}

Test(reload, a_call_in_flight_over_a_new_window_still_counts)
{
    struct over over;

    over_open(&over, "breaker: on");
    change(&over, "breaker.window.buckets", "20");
    cr_assert_eq(weir_end(&over.permit, WEIR_V_FAILED, 0), WEIR_OK);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_LATE), 0U);
    cr_assert_eq(world_count(&over.world, WEIR_COUNT_WINDOW_FAILURES), 1U);
    over.permit = begin_one(over.world.dependency);
    over_close(&over);
}

Test(reload, a_hundred_resizes_in_a_row_keep_every_law)
{
    struct over over;
    char value[16];

    over_open(&over, NULL);
    for (unsigned int i = 0; i < 100; ++i) {
        (void)snprintf(value, sizeof(value), "%u", i * 7919 % 500 + 1);
        change(&over, "max_concurrent", value);
        cr_assert_eq(call(&over, WEIR_V_OK), i * 7919 % 500 == 0 ? WEIR_BULKHEAD : WEIR_OK);
        world_check_laws(&over.world);
    }
    over_close(&over);
}
