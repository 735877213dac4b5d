/*
 * Waits of weir_execute(): for a place, for tokens, inside the deadline. Real threads on the manual
 * clock: a wait is known to have begun when the clock has its waiter.
 */
#include "support/world.h"

/* One place, held by the returned permit; `extra` is appended to the settings. */
static weir_permit open_full(struct world *world, const char *extra)
{
    char settings[256];

    (void)snprintf(settings, sizeof(settings), "max_concurrent: 1, max_wait: 1s, timeout: 1m%s",
                   extra);
    world_open(world, settings);
    return begin_one(world->dependency);
}

static void start_waiting(struct world *world, struct caller *caller, struct gate *gate,
                          size_t waiters)
{
    caller_start(caller, world->dependency, gate);
    weir_manual_clock_await_waiters(world->clock, waiters);
}

/* ---- for a place ---- */

Test(waiting, a_call_waits_for_a_place_and_runs_when_one_is_given_back)
{
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller caller = {0};

    start_waiting(&world, &caller, NULL, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 2U);
    world_check_laws(&world);
    world_pass(&world, 300 * MS);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(caller.outcome.flags, (uint32_t)WEIR_FLAG_WAITED);
    cr_expect_eq(caller.outcome.latency_ns, 300 * MS);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 0U);
    world_close(&world);
}

Test(waiting, a_wait_ends_exactly_at_max_wait_with_the_bulkheads_refusal)
{
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller caller = {0};

    start_waiting(&world, &caller, NULL, 1);
    world_pass(&world, SECOND);
    cr_expect_eq(caller_join(&caller), WEIR_BULKHEAD);
    cr_expect_eq(caller.outcome.kind, WEIR_BULKHEAD);
    cr_expect_eq(caller.outcome.latency_ns, SECOND);
    cr_expect_eq(caller.outcome.attempts, 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_BULKHEAD), 1U);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(waiting, one_ns_before_max_wait_it_still_waits)
{
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller caller = {0};

    start_waiting(&world, &caller, NULL, 1);
    world_pass(&world, SECOND - 1);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    world_close(&world);
}

Test(waiting, who_waits_is_served_first_come_first_served)
{
    enum { CALLERS = 4 };
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller callers[CALLERS];
    struct gate gates[CALLERS];

    memset(callers, 0, sizeof(callers));
    for (size_t i = 0; i < CALLERS; ++i) {
        gates[i] = (struct gate)GATE_INIT;
        start_waiting(&world, &callers[i], &gates[i], i + 1);
    }
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    for (size_t i = 0; i < CALLERS; ++i) {
        gate_await(&gates[i], 1);
        cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), CALLERS - 1 - i);
        gate_open(&gates[i]);
        cr_expect_eq(caller_join(&callers[i]), WEIR_OK);
    }
    world_close(&world);
}

Test(waiting, nobody_overtakes_a_waiter)
{
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller caller = {0};
    struct gate gate = GATE_INIT;

    start_waiting(&world, &caller, &gate, 1);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    gate_open(&gate);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    world_close(&world);
}

Test(waiting, expired_while_waiting_for_a_place_is_a_deadline_and_never_ran)
{
    struct world world;
    weir_permit permit = open_full(&world, ", breaker: on");
    struct caller caller = {0};

    cr_assert_eq(world_set(&world, "timeout", "500ms"), WEIR_OK);
    start_waiting(&world, &caller, NULL, 1);
    world_pass(&world, 500 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_DEADLINE);
    cr_expect_eq(caller.outcome.attempts, 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_DEADLINE), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(waiting, the_callers_own_budget_ends_a_wait_too)
{
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller caller = {.within_ns = 10 * MS};

    start_waiting(&world, &caller, NULL, 1);
    world_pass(&world, 10 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_DEADLINE);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(waiting, a_place_that_comes_after_the_deadline_goes_back)
{
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller callers[2] = {{.within_ns = 10 * MS}, {0}};

    start_waiting(&world, &callers[0], NULL, 1);
    start_waiting(&world, &callers[1], NULL, 2);
    world_pass(&world, 10 * MS);
    cr_expect_eq(caller_join(&callers[0]), WEIR_DEADLINE);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(caller_join(&callers[1]), WEIR_OK);
    world_close(&world);
}

Test(waiting, begin_never_waits)
{
    struct world world;
    weir_permit permit = open_full(&world, ", rate_limit.max_wait: 1s");

    cr_expect_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(waiting, a_raised_limit_hands_its_places_to_waiters)
{
    enum { CALLERS = 3 };
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller callers[CALLERS];
    struct gate gate = GATE_INIT;

    memset(callers, 0, sizeof(callers));
    for (size_t i = 0; i < CALLERS; ++i) {
        start_waiting(&world, &callers[i], &gate, i + 1);
    }
    cr_expect_eq(world_set(&world, "max_concurrent", "3"), WEIR_OK);
    gate_await(&gate, 2);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 1U);
    gate_open(&gate);
    for (size_t i = 0; i < CALLERS; ++i) {
        cr_expect_eq(caller_join(&callers[i]), WEIR_OK);
    }
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(waiting, after_a_shrink_a_waiter_waits_until_below)
{
    struct world world;
    struct caller caller = {0};
    weir_permit permits[2];

    world_open(&world, "max_concurrent: 2, max_wait: 1s");
    permits[0] = begin_one(world.dependency);
    permits[1] = begin_one(world.dependency);
    start_waiting(&world, &caller, NULL, 1);
    cr_expect_eq(world_set(&world, "max_concurrent", "1"), WEIR_OK);
    cr_expect_eq(weir_end(&permits[0], WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 1U);
    cr_expect_eq(weir_end(&permits[1], WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    world_close(&world);
}

Test(waiting, a_place_handed_over_and_refused_by_the_rate_limit_goes_to_the_next_waiter)
{
    struct world world;
    weir_permit permit = open_full(&world, ", rate_limit: on");
    struct caller callers[2] = {{0}, {0}};

    start_waiting(&world, &callers[0], NULL, 1);
    start_waiting(&world, &callers[1], NULL, 2);
    cr_expect_eq(world_set(&world, "rate_limit.rate", "0/s"), WEIR_OK);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(caller_join(&callers[0]), WEIR_RATE);
    cr_expect_eq(caller_join(&callers[1]), WEIR_RATE);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    world_close(&world);
}

Test(waiting, a_breaker_that_opened_meanwhile_refuses_the_waiter_and_its_place_goes_back)
{
    struct world world;
    weir_permit permit = open_full(&world, ", breaker: on");
    struct caller caller = {0};

    start_waiting(&world, &caller, NULL, 1);
    cr_expect_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, NULL, NULL), WEIR_OK);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(caller_join(&caller), WEIR_OPEN);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 0U);
    world_close(&world);
}

/* ---- for tokens ---- */

/* One token in a bucket of one, 10 a second; the first is spent. */
static void open_dry(struct world *world, const char *extra)
{
    char settings[256];

    (void)snprintf(settings, sizeof(settings),
                   "rate_limit.rate: 10/s, rate_limit.burst: 1, rate_limit.max_wait: 1s%s", extra);
    world_open(world, settings);
    cr_assert_eq(begin_status(world->dependency), WEIR_OK);
}

Test(waiting, a_call_waits_for_its_token)
{
    struct world world;
    struct caller caller = {0};

    open_dry(&world, "");
    start_waiting(&world, &caller, NULL, 1);
    world_check_laws(&world);
    world_pass(&world, 100 * MS - 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ATTEMPTS_BEGUN), 1U);
    world_pass(&world, 1);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(caller.outcome.flags, (uint32_t)WEIR_FLAG_WAITED);
    cr_expect_eq(caller.outcome.latency_ns, 100 * MS);
    world_close(&world);
}

Test(waiting, a_call_that_waits_for_its_token_holds_its_slot)
{
    struct world world;
    struct caller caller = {0};

    open_dry(&world, ", max_concurrent: 1");
    start_waiting(&world, &caller, NULL, 1);
    cr_expect_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ATTEMPTS_RUNNING), 0U);
    world_check_laws(&world);
    world_pass(&world, 100 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    world_close(&world);
}

Test(waiting, a_wait_for_tokens_above_max_wait_is_refused_at_once_with_its_time)
{
    struct world world;
    weir_outcome outcome;

    open_dry(&world, "");
    cr_assert_eq(world_set(&world, "rate_limit.max_wait", "99ms"), WEIR_OK);
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_RATE);
    cr_assert_eq(outcome.retry_after_ns, 100 * MS);
    world_close(&world);
}

Test(waiting, a_wait_for_tokens_that_would_reach_the_deadline_is_refused_at_once)
{
    struct world world;

    open_dry(&world, ", timeout: 100ms");
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_RATE);
    world_close(&world);
}

Test(waiting, waiters_for_tokens_reserve_in_order)
{
    struct world world;
    struct caller callers[3] = {{0}, {0}, {0}};

    open_dry(&world, "");
    for (size_t i = 0; i < 3; ++i) {
        start_waiting(&world, &callers[i], NULL, i + 1);
    }
    for (size_t i = 0; i < 3; ++i) {
        world_pass(&world, 100 * MS);
        cr_expect_eq(caller_join(&callers[i]), WEIR_OK);
        cr_expect_eq(callers[i].outcome.latency_ns, (i + 1) * 100 * MS);
    }
    world_close(&world);
}

Test(waiting, after_its_wait_for_a_token_a_call_asks_the_breaker_again)
{
    struct world world;
    struct caller caller = {0};

    open_dry(&world, ", breaker: on");
    start_waiting(&world, &caller, NULL, 1);
    cr_expect_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, NULL, NULL), WEIR_OK);
    world_pass(&world, 100 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_OPEN);
    cr_expect_eq(caller.outcome.attempts, 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_TOKENS), 0U);
    world_close(&world);
}

Test(waiting, in_a_new_epoch_that_admits_it_a_waiting_call_counts_as_a_new_call)
{
    struct world world;
    struct caller caller = {0};

    open_dry(&world, ", breaker: on");
    start_waiting(&world, &caller, NULL, 1);
    cr_expect_eq(weir_dependency_force(world.dependency, WEIR_FORCE_CLOSED, NULL, NULL), WEIR_OK);
    world_pass(&world, 100 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(caller.outcome.flags, (uint32_t)WEIR_FLAG_WAITED);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 1U);
    world_close(&world);
}

Test(waiting, a_call_that_overslept_its_deadline_while_it_waited_for_a_token_never_runs)
{
    struct world world;
    struct caller caller = {0};

    open_dry(&world, ", timeout: 300ms, breaker: on");
    start_waiting(&world, &caller, NULL, 1);
    world_pass(&world, 300 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_DEADLINE);
    cr_expect_eq(caller.outcome.attempts, 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 0U);
    world_close(&world);
}

Test(waiting, one_call_may_wait_for_a_place_and_then_for_a_token)
{
    struct world world;
    struct caller caller = {0};

    world_open(&world, "max_concurrent: 1, max_wait: 1s, timeout: 5s, rate_limit.rate: 10/s, "
                       "rate_limit.burst: 1, rate_limit.max_wait: 1s");
    weir_permit permit = begin_one(world.dependency);
    start_waiting(&world, &caller, NULL, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 1U);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    while (world_count(&world, WEIR_COUNT_SLOTS_HELD) == 0) {
        (void)sched_yield();
    }
    weir_manual_clock_await_waiters(world.clock, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 0U);
    world_pass(&world, 100 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(caller.outcome.latency_ns, 100 * MS);
    world_close(&world);
}

Test(waiting, a_waiting_trial_keeps_its_place_among_the_trials)
{
    struct world world;
    struct caller caller = {0};

    open_dry(&world, ", timeout: 60s, breaker.consecutive_failures: 1, breaker.open_for: 100ms, "
                     "breaker.trial_lease: 50ms");
    world_pass(&world, 100 * MS);
    cr_expect_eq(world_call(&world, WEIR_V_FAILED), WEIR_FAILED);
    cr_expect_eq(world_count(&world, WEIR_COUNT_BREAKER_STATE), (uint64_t)WEIR_BREAKER_OPEN);
    /* Open for as long as one token takes; the token is spent just before. */
    cr_expect_eq(world_set(&world, "rate_limit.rate", "5/s"), WEIR_OK);
    world_pass(&world, 100 * MS);
    start_waiting(&world, &caller, NULL, 1);
    world_pass(&world, 60 * MS);
    cr_expect_eq(begin_status(world.dependency), WEIR_OPEN);
    world_pass(&world, 40 * MS);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(caller.outcome.flags, (uint32_t)(WEIR_FLAG_WAITED | WEIR_FLAG_TRIAL));
    cr_expect_eq(world_count(&world, WEIR_COUNT_BREAKER_STATE), (uint64_t)WEIR_BREAKER_CLOSED);
    world_close(&world);
}

Test(waiting, many_threads_take_turns_and_none_is_forgotten)
{
    enum { CALLERS = 32 };
    struct world world;
    weir_permit permit = open_full(&world, "");
    struct caller callers[CALLERS];

    memset(callers, 0, sizeof(callers));
    for (size_t i = 0; i < CALLERS; ++i) {
        caller_start(&callers[i], world.dependency, NULL);
    }
    weir_manual_clock_await_waiters(world.clock, CALLERS);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    for (size_t i = 0; i < CALLERS; ++i) {
        cr_expect_eq(caller_join(&callers[i]), WEIR_OK);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), CALLERS + 1U);
    world_close(&world);
}

/* ---- the built-in clock ---- */

Test(waiting, on_the_built_in_clock_a_handed_over_place_wakes_its_waiter)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = "max_concurrent: 1, max_wait: 1h, "
                                                         "timeout: off"};
    weir_runtime *runtime = NULL;
    weir_dependency *dependency = NULL;
    struct caller caller = {0};

    cr_assert_eq(weir_runtime_create(NULL, &runtime, NULL), WEIR_OK);
    cr_assert_eq(weir_dependency_create(runtime, "pay", &options, &dependency, NULL), WEIR_OK);
    weir_permit permit = begin_one(dependency);
    caller_start(&caller, dependency, NULL);
    while (count_of(dependency, WEIR_COUNT_WAITING) == 0) {
        (void)sched_yield();
    }
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    weir_runtime_destroy(runtime);
}

Test(waiting, on_the_built_in_clock_a_wait_ends_at_its_time)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = "max_concurrent: 0, max_wait: 2ms"};
    weir_runtime *runtime = NULL;
    weir_dependency *dependency = NULL;
    struct caller caller = {0};

    cr_assert_eq(weir_runtime_create(NULL, &runtime, NULL), WEIR_OK);
    cr_assert_eq(weir_dependency_create(runtime, "pay", &options, &dependency, NULL), WEIR_OK);
    caller_start(&caller, dependency, NULL);
    cr_expect_eq(caller_join(&caller), WEIR_BULKHEAD);
    cr_expect_geq(caller.outcome.latency_ns, 2 * MS);
    weir_runtime_destroy(runtime);
}
