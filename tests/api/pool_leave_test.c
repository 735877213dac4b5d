/*
 * A caller leaves at its deadline: while its work runs, and while it waits for a worker. In mode
 * observe nobody does: pool_observe_test.c.
 */
#include "support/pool_world.h"

/* ---- while the work runs ---- */

/* One call with a timeout of 100 ms, held inside run. */
static void open_running(struct world *world, struct crew *crew, const char *settings)
{
    char all[256];

    (void)snprintf(all, sizeof(all), "timeout: 100ms%s", settings);
    pool_open(world, all);
    crew->count = 0;
    crew_hold(crew, world->dependency, 1);
    weir_manual_clock_await_waiters(world->clock, 1);
}

Test(pool_leave, execute_returns_at_the_deadline_while_the_work_runs_on)
{
    struct world world;
    struct crew crew;

    open_running(&world, &crew, "");
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    cr_expect_eq(crew.errands[0].outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(crew.errands[0].outcome.source, WEIR_BY_NOBODY);
    cr_expect_eq(crew.errands[0].outcome.attempts, 1U);
    cr_expect_eq(crew.errands[0].outcome.flags, 0U);
    cr_expect_eq(crew.errands[0].outcome.code, 0);
    cr_expect_eq(crew.errands[0].outcome.latency_ns, 100 * MS);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 1U);
    world_check_laws(&world);
    crew_come_back(&crew, world.dependency);
    pool_close(&world);
}

Test(pool_leave, one_ns_before_the_deadline_the_caller_is_still_there)
{
    struct world world;
    struct crew crew;

    open_running(&world, &crew, "");
    world_pass(&world, 100 * MS - 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_RUNNING), 1U);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(crew.errands[0].outcome.latency_ns, 100 * MS - 1);
    pool_close(&world);
}

Test(pool_leave, the_breaker_counts_a_left_call_as_a_failure_once)
{
    struct world world;
    struct crew crew;

    open_running(&world, &crew, ", breaker: on");
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 1U);
    crew_come_back(&crew, world.dependency);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 1U);
    pool_close(&world);
}

Test(pool_leave, a_left_call_has_a_latency)
{
    struct world world;
    struct crew crew;

    open_running(&world, &crew, "");
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    cr_expect_geq(world_count(&world, WEIR_COUNT_LATENCY_MAX_NS), 100 * MS);
    cr_expect_leq(world_count(&world, WEIR_COUNT_LATENCY_MAX_NS), 107 * MS);
    crew_come_back(&crew, world.dependency);
    pool_close(&world);
}

Test(pool_leave, the_slot_stays_taken_until_the_work_returns)
{
    struct world world;
    struct crew crew;

    open_running(&world, &crew, ", threads: 1, queue: 0");
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_RUNNING), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED), 1U);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_come_back(&crew, world.dependency);
    cr_expect(await_count(&world, WEIR_COUNT_SLOTS_HELD, 0));
    pool_close(&world);
}

Test(pool_leave, the_work_is_told_that_its_caller_has_left)
{
    struct world world;
    struct crew crew;

    open_running(&world, &crew, "");
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    crew_come_back(&crew, world.dependency);
    pool_close(&world);
    cr_expect_eq(crew.tasks[0].abandoned[0], 0);
    cr_expect_eq(crew.tasks[0].abandoned[1], 1);
}

Test(pool_leave, a_caller_leaves_at_its_own_budget)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    struct errand errand = {.within_ns = 30 * MS};

    pool_open(&world, "timeout: off");
    errand_start(&errand, world.dependency, &task);
    gate_await(&gate, 1);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    cr_expect_eq(errand.outcome.latency_ns, 30 * MS);
    gate_open(&gate);
    pool_close(&world);
}

Test(pool_leave, a_caller_leaves_at_its_contexts_deadline)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    struct errand errand = {0};
    weir_context *context = NULL;

    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 3600 * SECOND, &context), WEIR_OK);
    errand.context = context;
    pool_open(&world, "timeout: off");
    errand_start(&errand, world.dependency, &task);
    gate_await(&gate, 1);
    world_pass(&world, 3600 * SECOND);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    gate_open(&gate);
    pool_close(&world);
    cr_expect_leq(task.left_ns, 3600 * SECOND);
    cr_expect_gt(task.left_ns, 0U);
    weir_context_release(context);
}

Test(pool_leave, without_a_deadline_nobody_leaves)
{
    struct world world;
    struct crew crew = {0};

    pool_open(&world, "timeout: off");
    crew_hold(&crew, world.dependency, 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    world_pass(&world, 365ULL * 24 * 3600 * SECOND);
    cr_expect_eq(world_count(&world, WEIR_COUNT_RUNNING), 1U);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(crew.errands[0].outcome.kind, WEIR_OK);
    pool_close(&world);
}

Test(pool_leave, left_work_that_fails_is_no_late_value)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate, .code = WEIR_V_FAILED};
    struct errand errand = {.within_ns = 30 * MS};

    pool_open(&world, "");
    errand_start(&errand, world.dependency, &task);
    gate_await(&gate, 1);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    gate_open(&gate);
    cr_expect(await_count(&world, WEIR_COUNT_ABANDONED, 0));
    cr_expect_eq(world_count(&world, WEIR_COUNT_LATE_VALUES), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_FAILED), 0U);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.value_drops), 0);
}

/* ---- while it waits for a worker ---- */

/* The only worker is held; `errand` waits behind it with a budget of 30 ms. */
static void open_queued(struct world *world, struct crew *crew, struct errand *errand,
                        struct task *task, const char *settings)
{
    char all[256];

    (void)snprintf(all, sizeof(all), "threads: 1, queue: 1, timeout: off%s", settings);
    pool_open(world, all);
    crew->count = 0;
    crew_hold(crew, world->dependency, 1);
    errand->within_ns = 30 * MS;
    errand_start(errand, world->dependency, task);
    weir_manual_clock_await_waiters(world->clock, 2);
}

Test(pool_leave, expired_while_queued_is_a_deadline_and_never_ran)
{
    struct world world;
    struct crew crew;
    struct task task = {0};
    struct errand errand = {0};

    open_queued(&world, &crew, &errand, &task, "");
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_DEADLINE);
    cr_expect_eq(errand.outcome.kind, WEIR_DEADLINE);
    cr_expect_eq(errand.outcome.source, WEIR_BY_NOBODY);
    cr_expect_eq(errand.outcome.attempts, 0U);
    cr_expect_eq(errand.outcome.latency_ns, 30 * MS);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_DEADLINE), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 0U);
    world_check_laws(&world);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.runs), 0);
}

Test(pool_leave, one_ns_before_its_deadline_a_queued_call_still_waits_and_then_runs)
{
    struct world world;
    struct crew crew;
    struct task task = {0};
    struct errand errand = {0};

    open_queued(&world, &crew, &errand, &task, "");
    world_pass(&world, 30 * MS - 1);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(task.left_ns, 1U);
    pool_close(&world);
}

Test(pool_leave, expired_while_queued_is_not_the_breakers_business)
{
    struct world world;
    struct crew crew;
    struct task task = {0};
    struct errand errand = {0};

    open_queued(&world, &crew, &errand, &task, ", breaker.consecutive_failures: 1");
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_DEADLINE);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_BREAKER_STATE), (uint64_t)WEIR_BREAKER_CLOSED);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LATENCY_MAX_NS), 0U);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
}

Test(pool_leave, the_place_of_an_expired_queued_call_is_free_at_once)
{
    struct world world;
    struct crew crew;
    struct task tasks[2] = {{0}, {0}};
    struct errand errands[2] = {{0}, {0}};

    open_queued(&world, &crew, &errands[0], &tasks[0], "");
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errands[0]), WEIR_DEADLINE);
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 1U);
    errand_start(&errands[1], world.dependency, &tasks[1]);
    weir_manual_clock_await_waiters(world.clock, 2);
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 1U);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errands[1]), WEIR_OK);
    pool_close(&world);
}

Test(pool_leave, a_trial_that_expires_in_the_queue_returns_its_place)
{
    struct world world;
    struct crew crew;
    struct task tasks[2] = {{0}, {0}};
    struct errand errands[2] = {{.within_ns = 30 * MS}, {0}};

    open_running(&world, &crew,
                 ", threads: 1, queue: 1, breaker.consecutive_failures: 1, breaker.open_for: 50ms");
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    cr_expect_eq(world_count(&world, WEIR_COUNT_BREAKER_STATE), (uint64_t)WEIR_BREAKER_OPEN);
    world_pass(&world, 50 * MS);

    errand_start(&errands[0], world.dependency, &tasks[0]);
    weir_manual_clock_await_waiters(world.clock, 1);
    cr_expect_eq(world_try(&world), WEIR_OPEN);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errands[0]), WEIR_DEADLINE);
    cr_expect_eq(errands[0].outcome.flags, (uint32_t)WEIR_FLAG_TRIAL);

    errand_start(&errands[1], world.dependency, &tasks[1]);
    weir_manual_clock_await_waiters(world.clock, 1);
    crew_come_back(&crew, world.dependency);
    cr_expect_eq(errand_join(&errands[1]), WEIR_OK);
    cr_expect_eq(errands[1].outcome.flags, (uint32_t)WEIR_FLAG_TRIAL);
    cr_expect_eq(world_count(&world, WEIR_COUNT_BREAKER_STATE), (uint64_t)WEIR_BREAKER_CLOSED);
    pool_close(&world);
}

Test(pool_leave, with_no_time_at_all_it_never_runs)
{
    struct world world;
    struct task task = {0};
    weir_outcome outcome;

    pool_open(&world, "timeout: 0ms");
    cr_assert_eq(task_execute(world.dependency, &task, &outcome), WEIR_DEADLINE);
    cr_assert_eq(outcome.attempts, 0U);
    cr_assert_eq(atomic_load(&task.runs), 0);
    pool_close(&world);
}

/* ---- a late value whose caller is still there ---- */

/* A clock on which everybody oversleeps: waits end by wakes alone. */
static int oversleep(void *user, uint32_t *word, uint32_t old, uint64_t until_ns)
{
    const weir_clock *const manual = user;

    (void)until_ns;
    return manual->wait(manual->user, word, old, UINT64_MAX);
}

static uint64_t manual_now(void *user)
{
    const weir_clock *const manual = user;

    return manual->now(manual->user);
}

static void manual_wake(void *user, uint32_t *word, uint32_t count)
{
    const weir_clock *const manual = user;

    manual->wake(manual->user, word, count);
}

Test(pool_leave, a_late_value_that_comes_before_the_caller_has_left_is_delivered_and_flagged)
{
    weir_manual_clock *const clock = weir_manual_clock_create(START);
    weir_clock manual = *weir_manual_clock_ops(clock);
    const weir_clock late = {.size = sizeof(weir_clock),
                             .user = &manual,
                             .now = manual_now,
                             .wait = oversleep,
                             .wake = manual_wake};
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options), .clock = &late};
    const weir_dependency_options pay = {WEIR_SIZED(weir_dependency_options),
                                         .settings = "isolation: thread, timeout: 100ms, "
                                                     "breaker: on"};
    struct task task = {.clock = clock, .took_ns = 150 * MS, .number = 7};
    struct errand errand = {0};
    weir_runtime *runtime = NULL;
    weir_dependency *dependency = NULL;

    cr_assert_eq(weir_runtime_create(&options, &runtime, NULL), WEIR_OK);
    cr_assert_eq(weir_dependency_create(runtime, "pay", &pay, &dependency, NULL), WEIR_OK);
    errand_start(&errand, dependency, &task);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(errand.outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(errand.outcome.source, WEIR_BY_RUN);
    cr_expect_eq(errand.outcome.flags, (uint32_t)WEIR_FLAG_LATE_VALUE);
    cr_expect_eq(errand.value.number, 7);
    cr_expect_eq(atomic_load(&task.value_drops), 0);
    cr_expect_eq(count_of(dependency, WEIR_COUNT_CALLS_TIMED_OUT), 1U);
    cr_expect_eq(count_of(dependency, WEIR_COUNT_WINDOW_FAILURES), 1U);
    cr_expect_eq(count_of(dependency, WEIR_COUNT_LATE_VALUES), 0U);
    runtime_stop(runtime);
    weir_runtime_destroy(runtime);
    weir_manual_clock_destroy(clock);
}
