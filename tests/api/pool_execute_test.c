/*
 * weir_execute() under thread isolation: run on a worker, its outcome on the caller's thread. What
 * happens at the deadline is in pool_leave_test.c, who owns the values in pool_value_test.c.
 */
#include "support/pool_world.h"

/* ---- outcomes ---- */

Test(pool_execute, run_is_called_once_on_another_thread)
{
    struct world world;
    struct task task = {0};

    pool_open(&world, "threads: 1");
    cr_assert_eq(task_execute(world.dependency, &task, NULL), WEIR_OK);
    cr_assert_eq(atomic_load(&task.runs), 1);
    cr_assert(!pthread_equal(task.thread, pthread_self()));
    pool_close(&world);
}

Test(pool_execute, ok_means_that_there_is_a_value_and_that_run_gave_it)
{
    struct world world;
    struct task task = {.number = 42};
    struct task *const argument = &task;
    struct value value = {0};
    weir_outcome outcome;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct task *), .result = &value};

    memset(&outcome, 0xff, sizeof(outcome));
    pool_open(&world, "");
    cr_assert_eq(weir_execute(world.dependency, task_command(), &request, &outcome), WEIR_OK);
    cr_assert_eq(value.number, 42);
    cr_assert_eq(outcome.kind, WEIR_OK);
    cr_assert_eq(outcome.source, WEIR_BY_RUN);
    cr_assert_eq(outcome.code, 0);
    cr_assert_eq(outcome.fallback_code, 0);
    cr_assert_eq(outcome.attempts, 1U);
    cr_assert_eq(outcome.flags, 0U);
    cr_assert_eq(outcome.retry_after_ns, 0U);
    cr_assert_eq(outcome.generation, 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 1U);
    world_check_laws(&world);
    pool_close(&world);
}

Test(pool_execute, each_verdict_has_its_kind_its_code_and_its_counter)
{
    static const struct {
        weir_verdict verdict;
        weir_status kind;
        size_t count;
    } rows[] = {
        {WEIR_V_FAILED, WEIR_FAILED, WEIR_COUNT_CALLS_FAILED},
        {WEIR_V_RETRYABLE, WEIR_FAILED, WEIR_COUNT_CALLS_FAILED},
        {WEIR_V_OVERLOADED, WEIR_FAILED, WEIR_COUNT_CALLS_FAILED},
        {WEIR_V_IGNORED, WEIR_IGNORED, WEIR_COUNT_CALLS_IGNORED},
        {WEIR_V_TIMED_OUT, WEIR_TIMED_OUT, WEIR_COUNT_CALLS_TIMED_OUT},
        {WEIR_V_CANCELLED, WEIR_CANCELLED, WEIR_COUNT_CALLS_CANCELLED},
    };
    struct world world;

    pool_open(&world, "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct task task = {.code = (int)rows[i].verdict};
        const uint64_t before = world_count(&world, rows[i].count);
        weir_outcome outcome;

        cr_assert_eq(task_execute(world.dependency, &task, &outcome), rows[i].kind);
        cr_assert_eq(outcome.kind, rows[i].kind);
        cr_assert_eq(outcome.source, WEIR_BY_NOBODY);
        cr_assert_eq(outcome.code, (int)rows[i].verdict);
        cr_assert_eq(outcome.attempts, 1U);
        cr_assert_eq(world_count(&world, rows[i].count), before + 1);
    }
    pool_close(&world);
}

Test(pool_execute, the_breaker_counts_what_it_counts_of_inline_calls)
{
    static const struct {
        weir_verdict verdict;
        uint64_t calls, failures;
    } rows[] = {{WEIR_V_OK, 1, 0},         {WEIR_V_FAILED, 2, 1},    {WEIR_V_RETRYABLE, 3, 2},
                {WEIR_V_OVERLOADED, 4, 3}, {WEIR_V_TIMED_OUT, 5, 4}, {WEIR_V_IGNORED, 5, 4},
                {WEIR_V_CANCELLED, 5, 4}};
    struct world world;

    pool_open(&world, "breaker: on");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct task task = {.code = (int)rows[i].verdict};

        (void)task_execute(world.dependency, &task, NULL);
        cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), rows[i].calls);
        cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), rows[i].failures);
    }
    pool_close(&world);
}

Test(pool_execute, a_classify_that_gives_no_verdict_counts_as_a_failure)
{
    static const int hostile[] = {7, -1, 1000, INT32_MAX, INT32_MIN};
    struct world world;

    pool_open(&world, "");
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        struct task task = {.code = hostile[i]};

        cr_assert_eq(task_execute(world.dependency, &task, NULL), WEIR_FAILED);
    }
    pool_close(&world);
}

Test(pool_execute, without_classify_zero_is_ok_and_all_else_failed)
{
    static const int codes[] = {0, 1, -77};
    struct world world;
    weir_command command = *task_command();

    command.classify = NULL;
    pool_open(&world, "");
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); ++i) {
        struct task task = {.code = codes[i]};
        struct errand errand = {.command = &command};

        errand_start(&errand, world.dependency, &task);
        cr_assert_eq(errand_join(&errand), codes[i] == 0 ? WEIR_OK : WEIR_FAILED);
        cr_assert_eq(errand.outcome.code, codes[i]);
        task_await_drops(&task, 1);
    }
    pool_close(&world);
}

Test(pool_execute, the_pushback_of_run_comes_back_as_retry_after)
{
    struct world world;
    struct task task = {.code = WEIR_V_OVERLOADED, .pushback_ns = 2 * SECOND};
    weir_outcome outcome;

    pool_open(&world, "");
    cr_assert_eq(task_execute(world.dependency, &task, &outcome), WEIR_FAILED);
    cr_assert_eq(outcome.retry_after_ns, 2 * SECOND);
    pool_close(&world);
}

Test(pool_execute, latency_counts_from_the_call_to_its_end_with_the_time_in_the_queue)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {0};
    struct errand errand = {0};

    pool_open(&world, "threads: 1");
    task.clock = world.clock;
    task.took_ns = 5 * MS;
    crew_hold(&crew, world.dependency, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, 7 * MS);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(errand.outcome.latency_ns, 12 * MS);
    pool_close(&world);
}

Test(pool_execute, a_command_without_argument_and_result_is_given_none)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "gated",
                                         .isolations = WEIR_THREAD,
                                         .argument_max = sizeof(struct gate *), .run = gated_run};
    struct world world;
    struct gate gate = GATE_INIT;
    struct gate *const argument = &gate;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct gate *)};

    gate.open = true;
    pool_open(&world, "");
    cr_assert_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_OK);
    cr_assert_eq(gate.inside, 1);
    pool_close(&world);
}

/* ---- the deadline that run sees ---- */

static uint64_t left_in_run(const char *settings, uint64_t within_ns)
{
    struct world world;
    struct task task = {0};
    struct errand errand = {.within_ns = within_ns};

    pool_open(&world, settings);
    errand_start(&errand, world.dependency, &task);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    pool_close(&world);
    return task.left_ns;
}

Test(pool_execute, run_sees_the_earlier_of_timeout_and_the_callers_budget)
{
    cr_assert_eq(left_in_run("timeout: 100ms", 0), 100 * MS);
    cr_assert_eq(left_in_run("timeout: 100ms", 30 * MS), 30 * MS);
    cr_assert_eq(left_in_run("timeout: 100ms", 300 * MS), 100 * MS);
    cr_assert_eq(left_in_run("timeout: off", 30 * MS), 30 * MS);
}

Test(pool_execute, without_timeout_and_budget_run_sees_no_deadline)
{
    cr_assert_eq(left_in_run("timeout: off", 0), UINT64_MAX);
}

Test(pool_execute, time_in_the_queue_is_taken_from_what_run_has)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {0};
    struct errand errand = {.within_ns = 100 * MS};

    pool_open(&world, "threads: 1, timeout: off");
    crew_hold(&crew, world.dependency, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, 40 * MS);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(task.left_ns, 60 * MS);
    pool_close(&world);
}

/* ---- calls inside calls ---- */

struct nest {
    weir_dependency *dependency;
    struct task task;
    weir_status status;
};

static int nest_run(weir_call *call, const void *argument, void *result)
{
    struct nest *nest;

    (void)call;
    (void)result;
    memcpy(&nest, argument, sizeof(struct nest *));
    nest->status = task_execute(nest->dependency, &nest->task, NULL);
    return 0;
}

static weir_status execute_nest(weir_dependency *dependency, struct nest *nest)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "nest",
                                         .isolations = WEIR_THREAD,
                                         .argument_max = sizeof(struct nest *), .run = nest_run};
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &nest,
                                  .argument_size = sizeof(struct nest *)};

    return weir_execute(dependency, &command, &request, NULL);
}

Test(pool_execute, run_may_call_into_another_pool)
{
    struct world world;
    struct nest nest = {0};

    pool_open(&world, "threads: 1");
    nest.dependency = world_add(&world, "other", "isolation: thread, threads: 1");
    cr_assert_eq(execute_nest(world.dependency, &nest), WEIR_OK);
    cr_assert_eq(nest.status, WEIR_OK);
    cr_assert_eq(atomic_load(&nest.task.runs), 1);
    pool_close(&world);
}

Test(pool_execute, run_may_call_into_its_own_pool_while_a_worker_is_free)
{
    struct world world;
    struct nest nest = {0};

    pool_open(&world, "threads: 2");
    nest.dependency = world.dependency;
    cr_assert_eq(execute_nest(world.dependency, &nest), WEIR_OK);
    cr_assert_eq(nest.status, WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 2U);
    pool_close(&world);
}

Test(pool_execute, run_may_make_an_inline_call)
{
    struct world world;
    struct nest nest = {0};

    pool_open(&world, "threads: 1");
    nest.dependency = world_add(&world, "other", NULL);
    cr_assert_eq(execute_nest(world.dependency, &nest), WEIR_OK);
    cr_assert_eq(nest.status, WEIR_OK);
    cr_assert(!pthread_equal(nest.task.thread, pthread_self()));
    pool_close(&world);
}

Test(pool_execute, sixty_four_callers_at_once_each_get_their_own_value)
{
    enum { CALLERS = 64 };
    struct world world;
    static struct task tasks[CALLERS];
    static struct errand errands[CALLERS];

    memset(tasks, 0, sizeof(tasks));
    memset(errands, 0, sizeof(errands));
    pool_open(&world, "threads: 4, queue: 60");
    for (int i = 0; i < CALLERS; ++i) {
        tasks[i].number = 1000 + i;
        errand_start(&errands[i], world.dependency, &tasks[i]);
    }
    for (int i = 0; i < CALLERS; ++i) {
        cr_expect_eq(errand_join(&errands[i]), WEIR_OK);
        cr_expect_eq(errands[i].value.number, 1000 + i);
        cr_expect_eq(atomic_load(&tasks[i].runs), 1);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), (uint64_t)CALLERS);
    pool_close(&world);
}

/* ---- usage errors ---- */

Test(pool_execute, a_command_not_written_for_the_pool_is_refused)
{
    struct world world;
    weir_command command = *task_command();
    struct task task = {0};
    struct errand errand = {.command = &command};

    command.isolations = WEIR_INLINE;
    pool_open(&world, "");
    errand_start(&errand, world.dependency, &task);
    cr_assert_eq(errand_join(&errand), WEIR_E_SHAPE);
    cr_assert_eq(errand.outcome.kind, WEIR_E_SHAPE);
    cr_assert_eq(atomic_load(&task.runs), 0);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 0U);
    pool_close(&world);
}

Test(pool_execute, a_pool_has_no_begin_and_end)
{
    struct world world;
    weir_permit permit;
    weir_outcome outcome;

    pool_open(&world, "");
    cr_assert_eq(weir_begin(world.dependency, NULL, &permit, &outcome), WEIR_E_SHAPE);
    cr_assert_eq(outcome.kind, WEIR_E_SHAPE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 0U);
    pool_close(&world);
}

Test(pool_execute, room_for_the_result_is_required)
{
    struct world world;
    struct task task = {0};
    struct task *const argument = &task;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct task *)};

    pool_open(&world, "");
    cr_assert_eq(weir_execute(world.dependency, task_command(), &request, NULL), WEIR_E_ARGUMENT);
    cr_assert_eq(atomic_load(&task.runs), 0);
    pool_close(&world);
}
