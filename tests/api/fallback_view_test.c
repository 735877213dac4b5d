/*
 * Fallbacks: where they run, what they see, and that their answer stands beside the outcome of the
 * call and beside the work that was left, and never instead of them. When one is asked is in
 * fallback_test.c.
 */
#include "support/plea.h"

/* ---- where it runs and what it sees ---- */

Test(fallback_view, it_runs_on_the_thread_of_execute_and_sees_the_primary_outcome)
{
    for (int pooled = 0; pooled < 2; ++pooled) {
        struct world world;
        struct plea plea = {.task = {.code = WEIR_V_RETRYABLE, .pushback_ns = 3 * MS}};
        struct value value;

        plea_open(&world, pooled != 0, "");
        cr_assert_eq(plea_execute(&world, &plea, &value, NULL), WEIR_OK);
        cr_assert(pthread_equal(plea.thread, pthread_self()));
        cr_assert(plea.has_primary);
        cr_assert_eq(plea.primary.kind, WEIR_FAILED);
        cr_assert_eq(plea.primary.code, WEIR_V_RETRYABLE);
        cr_assert_eq(plea.primary.source, WEIR_BY_NOBODY);
        cr_assert_eq(plea.primary.attempts, 1U);
        cr_assert_eq(plea.primary.retry_after_ns, 3 * MS);
        plea_close(&world, pooled != 0);
    }
}

Test(fallback_view, nobody_can_leave_it_and_it_has_no_worker)
{
    struct world world;
    struct plea plea = {.task = {.code = WEIR_V_FAILED}, .abandoned = -1, .worker = &plea};
    struct value value;

    pool_open(&world, "");
    cr_assert_eq(plea_execute(&world, &plea, &value, NULL), WEIR_OK);
    cr_assert_eq(plea.abandoned, 0);
    cr_assert_null(plea.worker);
    cr_assert_eq(plea.watch, WEIR_E_SHAPE);
    pool_close(&world);
}

static int no_primary_run(weir_call *call, const void *argument, void *result)
{
    (void)argument;
    (void)result;
    return weir_call_primary(call) == NULL ? 0 : 1;
}

Test(fallback_view, there_is_no_primary_outcome_in_run)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "no_primary",
                                         .isolations = WEIR_INLINE | WEIR_THREAD,
                                         .run = no_primary_run};

    for (int pooled = 0; pooled < 2; ++pooled) {
        struct world world;

        plea_open(&world, pooled != 0, "");
        cr_assert_eq(weir_execute(world.dependency, &command, NULL, NULL), WEIR_OK);
        plea_close(&world, pooled != 0);
    }
}

Test(fallback_view, it_runs_in_the_calls_context_and_the_thread_has_its_own_back_afterwards)
{
    const weir_label labels[] = {{"user", "ann"}};
    weir_context *context = NULL;

    cr_assert_eq(weir_context_derive(NULL, labels, 1, 0, &context), WEIR_OK);
    for (int pooled = 0; pooled < 2; ++pooled) {
        struct world world;
        struct plea plea = {.task = {.code = WEIR_V_FAILED}};
        struct plea *const argument = &plea;
        struct value value;
        const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                      .argument_size = sizeof(struct plea *), .result = &value,
                                      .context = context};

        plea_open(&world, pooled != 0, "");
        cr_assert_eq(weir_execute(world.dependency, plea_command(), &request, NULL), WEIR_OK);
        cr_assert_str_eq(plea.label, "ann");
        cr_assert_str_eq(plea.task.label[0], "ann");
        cr_assert_null(weir_context_current());
        plea_close(&world, pooled != 0);
    }
    weir_context_release(context);
}

Test(fallback_view, of_a_submitted_call_it_runs_on_the_taking_thread_in_the_calls_context)
{
    const weir_label labels[] = {{"user", "ann"}};
    struct world world;
    struct plea plea = {.task = {.code = WEIR_V_FAILED, .number = 5}};
    struct plea *const argument = &plea;
    struct value value = {0};
    weir_context *context = NULL;
    weir_queue *queue;

    cr_assert_eq(weir_context_derive(NULL, labels, 1, 0, &context), WEIR_OK);
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct plea *), .context = context};
    pool_open(&world, "");
    queue = queue_open(&world);
    cr_expect_eq(weir_submit(world.dependency, plea_command(), &request, queue, NULL, NULL, NULL),
                 WEIR_OK);
    weir_context_release(context);
    cr_expect(await_count(&world, WEIR_COUNT_CALLS_FAILED, 1));
    cr_expect_eq(atomic_load(&plea.fallbacks), 0); /* not before it is taken */
    weir_completion completion = queue_next(queue);
    cr_expect(pthread_equal(plea.thread, pthread_self()));
    cr_expect_str_eq(plea.label, "ann");
    cr_expect_null(weir_context_current());
    cr_expect_eq(plea.primary.kind, WEIR_FAILED);
    cr_expect_eq(completion.status, WEIR_OK);
    cr_expect_eq(completion.outcome.kind, WEIR_FAILED);
    cr_expect_eq(completion.outcome.source, WEIR_BY_FALLBACK);
    cr_expect_eq(weir_completion_end(&completion, &value), WEIR_OK);
    cr_expect_eq(value.number, 5 + ANSWER);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&plea.fallbacks), 1);
}

/* ---- a fallback that fails ---- */

Test(fallback_view, its_failure_stands_beside_the_outcome)
{
    for (int pooled = 0; pooled < 2; ++pooled) {
        struct world world;
        struct plea plea = {.task = {.code = WEIR_V_FAILED}, .fallback_code = -9};
        struct value value;
        weir_outcome outcome;

        plea_open(&world, pooled != 0, "");
        cr_assert_eq(plea_execute(&world, &plea, &value, &outcome), WEIR_FAILED);
        cr_assert_eq(outcome.kind, WEIR_FAILED);
        cr_assert_eq(outcome.source, WEIR_BY_NOBODY);
        cr_assert_eq(outcome.code, WEIR_V_FAILED);
        cr_assert_eq(outcome.fallback_code, -9);
        plea_close(&world, pooled != 0);
        cr_assert_eq(atomic_load(&plea.fallbacks), 1);
        cr_assert_eq(atomic_load(&plea.task.value_drops), 0);
    }
}

/* ---- beside work that still runs ---- */

Test(fallback_view, it_shares_the_argument_with_the_work_that_was_left_and_each_has_its_own_result)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct gate fallback_gate = GATE_INIT;
    struct plea plea = {.task = {.gate = &gate, .number = 5}, .fallback_gate = &fallback_gate};
    struct errand errand = {.command = plea_command()};

    pool_open(&world, "timeout: 100ms");
    errand_start(&errand, world.dependency, &plea.task);
    gate_await(&gate, 1);
    world_pass(&world, 100 * MS);
    gate_await(&fallback_gate, 1);

    /* The work returns while the fallback has not: its value is dropped, the argument is not. */
    gate_open(&gate);
    cr_expect(await_count(&world, WEIR_COUNT_LATE_VALUES, 1));
    cr_expect(await_count(&world, WEIR_COUNT_ABANDONED, 0));
    cr_expect_eq(atomic_load(&plea.task.argument_drops), 0);
    gate_open(&fallback_gate);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(errand.value.number, 5 + ANSWER);
    pool_close(&world);
    cr_expect_eq(plea.drops, 0);
    cr_expect_eq(atomic_load(&plea.task.argument_drops), 1);
    cr_expect_eq(atomic_load(&plea.task.value_drops), 1);
}

Test(fallback_view, its_answer_in_a_completion_stays_while_late_work_writes_its_own_result)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct plea plea = {.task = {.gate = &gate, .number = 5}};
    struct value value = {0};
    weir_queue *queue;

    pool_open(&world, "timeout: 100ms");
    queue = queue_open(&world);
    cr_expect_eq(plea_submit(&world, queue, &plea, 0, NULL), WEIR_OK);
    gate_await(&gate, 1);
    world_pass(&world, 100 * MS);
    weir_completion completion = queue_next(queue);
    cr_expect_eq(completion.status, WEIR_OK);
    cr_expect_eq(completion.outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(completion.outcome.source, WEIR_BY_FALLBACK);
    gate_open(&gate);
    cr_expect(await_count(&world, WEIR_COUNT_LATE_VALUES, 1));
    cr_expect_eq(weir_completion_end(&completion, &value), WEIR_OK);
    cr_expect_eq(value.number, 5 + ANSWER);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&plea.task.argument_drops), 1);
    cr_expect_eq(atomic_load(&plea.task.value_drops), 1); /* the late one */
}

Test(fallback_view, an_answer_that_nobody_moves_out_of_its_completion_is_dropped)
{
    struct world world;
    struct plea plea = {.task = {.code = WEIR_V_FAILED}};
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    cr_expect_eq(plea_submit(&world, queue, &plea, 0, NULL), WEIR_OK);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    cr_expect_eq(atomic_load(&plea.task.value_drops), 1);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&plea.task.value_drops), 1);
}

Test(fallback_view, of_a_submitted_call_it_is_not_started_when_the_callers_time_is_over_at_the_take)
{
    struct world world;
    struct plea plea = {.task = {.code = WEIR_V_FAILED}};
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    cr_expect_eq(plea_submit(&world, queue, &plea, 30 * MS, NULL), WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_CALLS_FAILED, 1));
    world_pass(&world, 30 * MS);
    cr_expect_eq(queue_finish(queue, &outcome), WEIR_FAILED);
    cr_expect_eq(outcome.source, WEIR_BY_NOBODY);
    cr_expect_eq(atomic_load(&plea.fallbacks), 0);
    queue_close(queue);
    pool_close(&world);
}

Test(fallback_view, of_a_submitted_call_it_answers_after_the_setting_timeout_alone)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct plea plea = {.task = {.gate = &gate, .number = 5}};
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "timeout: 100ms");
    queue = queue_open(&world);
    cr_expect_eq(plea_submit(&world, queue, &plea, SECOND, NULL), WEIR_OK);
    gate_await(&gate, 1);
    world_pass(&world, 100 * MS);
    cr_expect_eq(queue_finish(queue, &outcome), WEIR_OK);
    cr_expect_eq(outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(outcome.source, WEIR_BY_FALLBACK);
    cr_expect_eq(plea.left_ns, SECOND - 100 * MS);
    gate_open(&gate);
    queue_close(queue);
    pool_close(&world);
}
