/*
 * Fallbacks: after which outcomes a call's is asked. What it sees is in fallback_view_test.c.
 */
#include "support/plea.h"

/* ---- when it is asked ---- */

Test(fallback, it_answers_a_call_that_failed_and_the_outcome_says_both)
{
    for (int pooled = 0; pooled < 2; ++pooled) {
        struct world world;
        struct plea plea = {.task = {.code = WEIR_V_FAILED, .number = 5}};
        struct value value = {0};
        weir_outcome outcome;

        plea_open(&world, pooled != 0, "breaker: on");
        cr_assert_eq(plea_execute(&world, &plea, &value, &outcome), WEIR_OK);
        cr_assert_eq(value.number, 5 + ANSWER);
        cr_assert_eq(outcome.kind, WEIR_FAILED);
        cr_assert_eq(outcome.source, WEIR_BY_FALLBACK);
        cr_assert_eq(outcome.code, WEIR_V_FAILED);
        cr_assert_eq(outcome.fallback_code, 0);
        cr_assert_eq(outcome.attempts, 1U);
        cr_assert_eq(atomic_load(&plea.fallbacks), 1);
        cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_FAILED), 1U);
        cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 0U);
        cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 1U);
        plea_close(&world, pooled != 0);
        cr_assert_eq(atomic_load(&plea.task.argument_drops), 1);
        cr_assert_eq(atomic_load(&plea.task.value_drops), 0);
    }
}

Test(fallback, it_answers_every_refusal)
{
    static const struct {
        const char *settings;
        weir_status kind;
    } rows[] = {{"mode: off", WEIR_OFF},
                {"timeout: 0ms", WEIR_DEADLINE},
                {"breaker: on", WEIR_OPEN},
                {"rate_limit.rate: 0/s", WEIR_RATE}};

    for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); ++i) {
        const bool pooled = i % 2 == 0;
        struct world world;
        struct plea plea = {.task = {.number = 5}};
        struct value value = {0};
        weir_outcome outcome;

        plea_open(&world, pooled, rows[i / 2].settings);
        if (rows[i / 2].kind == WEIR_OPEN) {
            cr_assert_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, NULL, NULL),
                         WEIR_OK);
        }
        cr_assert_eq(plea_execute(&world, &plea, &value, &outcome), WEIR_OK);
        cr_assert_eq(value.number, 5 + ANSWER);
        cr_assert_eq(outcome.kind, rows[i / 2].kind);
        cr_assert_eq(outcome.source, WEIR_BY_FALLBACK);
        cr_assert_eq(outcome.attempts, 0U);
        cr_assert_eq(atomic_load(&plea.task.runs), 0);
        plea_close(&world, pooled);
        cr_assert_eq(atomic_load(&plea.task.argument_drops), 1);
    }
}

Test(fallback, it_answers_a_call_that_found_no_place)
{
    struct world world;
    struct crew crew = {0};
    struct plea plea = {.task = {.number = 5}};
    struct value value = {0};
    weir_outcome outcome;

    pool_open(&world, "threads: 1, queue: 0");
    crew_hold(&crew, world.dependency, 1);
    cr_expect_eq(plea_execute(&world, &plea, &value, &outcome), WEIR_OK);
    cr_expect_eq(outcome.kind, WEIR_BULKHEAD);
    cr_expect_eq(value.number, 5 + ANSWER);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
}

/* One that runs is left at `timeout`: run has spent that, the caller has not. */
Test(fallback, it_answers_after_the_setting_timeout_alone)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct plea plea = {.task = {.gate = &gate, .number = 5}};
    struct errand errand = {.command = plea_command()};

    pool_open(&world, "timeout: 100ms");
    errand_start(&errand, world.dependency, &plea.task);
    gate_await(&gate, 1);
    world_pass(&world, 100 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(errand.outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(errand.outcome.source, WEIR_BY_FALLBACK);
    cr_expect_eq(errand.value.number, 5 + ANSWER);
    cr_expect_eq(plea.left_ns, UINT64_MAX);
    gate_open(&gate);
    pool_close(&world);
    cr_expect_eq(atomic_load(&plea.fallbacks), 1);
}

Test(fallback, it_answers_a_call_that_expired_in_the_queue)
{
    struct world world;
    struct crew crew = {0};
    struct plea plea = {.task = {.number = 5}};
    struct errand errand = {.command = plea_command(), .within_ns = SECOND};

    pool_open(&world, "threads: 1, timeout: off");
    crew_hold(&crew, world.dependency, 1);
    cr_expect_eq(world_set(&world, "timeout", "100ms"), WEIR_OK);
    errand_start(&errand, world.dependency, &plea.task);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, 100 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(errand.outcome.kind, WEIR_DEADLINE);
    cr_expect_eq(errand.value.number, 5 + ANSWER);
    cr_expect_eq(plea.left_ns, SECOND - 100 * MS);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
}

/* ---- when it is not ---- */

Test(fallback, it_is_not_asked_when_there_is_a_value)
{
    for (int pooled = 0; pooled < 2; ++pooled) {
        struct world world;
        struct plea plea = {.task = {.number = 5}};
        struct value value;
        weir_outcome outcome;

        plea_open(&world, pooled != 0, "");
        cr_assert_eq(plea_execute(&world, &plea, &value, &outcome), WEIR_OK);
        cr_assert_eq(outcome.source, WEIR_BY_RUN);
        cr_assert_eq(value.number, 5);
        plea_close(&world, pooled != 0);
        cr_assert_eq(atomic_load(&plea.fallbacks), 0);
    }
}

Test(fallback, it_is_not_asked_for_the_callers_own_mistake)
{
    for (int pooled = 0; pooled < 2; ++pooled) {
        struct world world;
        struct plea plea = {.task = {.code = WEIR_V_IGNORED}};
        struct value value;
        weir_outcome outcome;

        plea_open(&world, pooled != 0, "");
        cr_assert_eq(plea_execute(&world, &plea, &value, &outcome), WEIR_IGNORED);
        cr_assert_eq(outcome.source, WEIR_BY_NOBODY);
        plea_close(&world, pooled != 0);
        cr_assert_eq(atomic_load(&plea.fallbacks), 0);
    }
}

Test(fallback, it_is_not_asked_for_a_call_that_run_says_was_given_up)
{
    for (int pooled = 0; pooled < 2; ++pooled) {
        struct world world;
        struct plea plea = {.task = {.code = WEIR_V_CANCELLED}};
        struct value value;
        weir_outcome outcome;

        plea_open(&world, pooled != 0, "");
        cr_assert_eq(plea_execute(&world, &plea, &value, &outcome), WEIR_CANCELLED);
        cr_assert_eq(outcome.source, WEIR_BY_NOBODY);
        plea_close(&world, pooled != 0);
        cr_assert_eq(atomic_load(&plea.fallbacks), 0);
    }
}

Test(fallback, it_is_not_asked_for_a_call_whose_ticket_was_cancelled)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct plea pleas[2] = {{.task = {.gate = &gate}}, {.task = {.number = 1}}};
    weir_ticket tickets[2];
    weir_queue *queue;

    pool_open(&world, "threads: 1, timeout: off");
    queue = queue_open(&world);
    cr_expect_eq(plea_submit(&world, queue, &pleas[0], 0, &tickets[0]), WEIR_OK);
    gate_await(&gate, 1);
    cr_expect_eq(plea_submit(&world, queue, &pleas[1], 0, &tickets[1]), WEIR_OK);
    for (size_t i = 0; i < 2; ++i) {
        cr_expect_eq(weir_ticket_cancel(queue, tickets[i]), WEIR_OK);
        cr_expect_eq(queue_finish(queue, NULL), WEIR_CANCELLED);
    }
    gate_open(&gate);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&pleas[0].fallbacks), 0);
    cr_expect_eq(atomic_load(&pleas[1].fallbacks), 0);
}

Test(fallback, it_is_not_asked_after_an_inline_timeout)
{
    struct world world;
    struct plea plea = {.task = {.code = WEIR_V_FAILED, .took_ns = 200 * MS}};
    struct value value;
    weir_outcome outcome;

    world_open(&world, "timeout: 100ms");
    plea.task.clock = world.clock;
    cr_assert_eq(plea_execute(&world, &plea, &value, &outcome), WEIR_TIMED_OUT);
    cr_assert_eq(outcome.source, WEIR_BY_NOBODY);
    cr_assert_eq(atomic_load(&plea.fallbacks), 0);
    world_close(&world);
}

Test(fallback, it_is_not_started_when_the_callers_own_time_is_over)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct plea plea = {.task = {.gate = &gate}};
    struct errand errand = {.command = plea_command(), .within_ns = 30 * MS};

    pool_open(&world, "timeout: off");
    errand_start(&errand, world.dependency, &plea.task);
    gate_await(&gate, 1);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    cr_expect_eq(errand.outcome.source, WEIR_BY_NOBODY);
    cr_expect_eq(errand.outcome.fallback_code, 0);
    gate_open(&gate);
    pool_close(&world);
    cr_expect_eq(atomic_load(&plea.fallbacks), 0);
}

Test(fallback, it_is_not_started_when_the_contexts_time_is_over)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct plea plea = {.task = {.gate = &gate}};
    struct errand errand = {.command = plea_command()};
    weir_context *context = NULL;

    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 3600 * SECOND, &context), WEIR_OK);
    errand.context = context;
    pool_open(&world, "timeout: off");
    errand_start(&errand, world.dependency, &plea.task);
    gate_await(&gate, 1);
    world_pass(&world, 3600 * SECOND);
    cr_expect_eq(errand_join(&errand), WEIR_TIMED_OUT);
    gate_open(&gate);
    pool_close(&world);
    cr_expect_eq(atomic_load(&plea.fallbacks), 0);
    weir_context_release(context);
}

Test(fallback, a_refused_submit_is_answered_by_nobody)
{
    struct world world;
    struct plea plea = {.task = {.number = 5}};
    weir_queue *queue;

    pool_open(&world, "mode: off");
    queue = queue_open(&world);
    cr_assert_eq(plea_submit(&world, queue, &plea, 0, NULL), WEIR_OFF);
    cr_assert(queue_is_empty(queue));
    cr_assert_eq(atomic_load(&plea.fallbacks), 0);
    cr_assert_eq(atomic_load(&plea.task.argument_drops), 1);
    queue_close(queue);
    pool_close(&world);
}
