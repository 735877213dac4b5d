/*
 * Mode observe on a pool: nobody leaves, nothing is refused, and what would have been is told.
 */
#include "support/pool_world.h"

Test(pool_observe, nobody_leaves_and_the_late_value_is_delivered_and_flagged)
{
    struct world world;
    struct crew crew;

    crew.count = 0;
    pool_open(&world, "mode: observe, timeout: 100ms, breaker: on");
    crew_hold(&crew, world.dependency, 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    world_pass(&world, SECOND);
    weir_manual_clock_await_waiters(world.clock, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_RUNNING), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED), 0U);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(crew.errands[0].outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(crew.errands[0].outcome.source, WEIR_BY_RUN);
    cr_expect_eq(crew.errands[0].outcome.flags, (uint32_t)WEIR_FLAG_LATE_VALUE);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 1U);
    pool_close(&world);
    cr_expect_eq(crew.tasks[0].abandoned[1], 0);
    cr_expect_eq(atomic_load(&crew.tasks[0].value_drops), 0);
}

Test(pool_observe, a_late_failure_is_a_timeout_without_a_value)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate, .code = WEIR_V_FAILED};
    struct errand errand = {0};

    pool_open(&world, "mode: observe, timeout: 100ms");
    errand_start(&errand, world.dependency, &task);
    gate_await(&gate, 1);
    world_pass(&world, SECOND);
    gate_open(&gate);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    cr_expect_eq(errand.outcome.source, WEIR_BY_NOBODY);
    pool_close(&world);
}

Test(pool_observe, no_place_is_no_reason_and_is_told)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {0};
    struct errand errand = {0};

    pool_open(&world, "mode: observe, threads: 1, queue: 0");
    crew_hold(&crew, world.dependency, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 1U);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(errand.outcome.flags, (uint32_t)WEIR_FLAG_OBSERVED);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WOULD_BULKHEAD), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_BULKHEAD), 0U);
    pool_close(&world);
}

Test(pool_observe, a_queued_call_runs_after_its_deadline)
{
    struct world world;
    struct crew crew;
    struct task task = {0};
    struct errand errand = {0};

    crew.count = 0;
    pool_open(&world, "mode: observe, threads: 1, queue: 1, timeout: 30ms");
    crew_hold(&crew, world.dependency, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, SECOND);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(errand.outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(task.left_ns, 0U);
    cr_expect_eq(atomic_load(&task.runs), 1);
    pool_close(&world);
}

Test(pool_observe, no_gate_refuses)
{
    static const char *const settings[] = {"mode: observe, timeout: 0ms",
                                           "mode: observe, rate_limit.rate: 0/s"};

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i) {
        struct world world;
        struct task task = {0};
        weir_outcome outcome;

        pool_open(&world, settings[i]);
        cr_assert_eq(task_execute(world.dependency, &task, &outcome), WEIR_OK);
        cr_assert_neq(outcome.flags & (uint32_t)WEIR_FLAG_OBSERVED, 0U);
        cr_assert_eq(atomic_load(&task.runs), 1);
        pool_close(&world);
    }
}
