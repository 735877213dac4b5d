/*
 * weir_submit() and its completions: one for each call, with the outcome that execute would give;
 * refusals at once; usage errors; what weir_completion_end() does with the value. The queue itself
 * is in submit_queue_test.c, deadlines and cancelling are in submit_leave_test.c.
 */
#include "support/pool_world.h"

/* ---- one completion ---- */

Test(submit, each_submitted_call_has_exactly_one_completion_with_its_user_pointer_and_its_value)
{
    enum { CALLS = 20 };
    struct world world;
    struct task tasks[CALLS];
    int seen[CALLS] = {0};
    weir_queue *queue;

    memset(tasks, 0, sizeof(tasks));
    pool_open(&world, "threads: 3, queue: 20");
    queue = queue_open(&world);
    for (int i = 0; i < CALLS; ++i) {
        tasks[i].number = i;
        (void)world_submit(&world, queue, &tasks[i]);
    }
    for (int i = 0; i < CALLS; ++i) {
        weir_completion completion = queue_next(queue);
        const struct task *const task = completion.user;
        struct value value = {0};

        cr_expect_eq(completion.status, WEIR_OK);
        cr_expect_eq(weir_completion_end(&completion, &value), WEIR_OK);
        cr_expect_eq(value.number, task->number);
        cr_expect_eq(value.task, task);
        seen[task->number] += 1;
    }
    cr_expect(queue_is_empty(queue));
    for (int i = 0; i < CALLS; ++i) {
        cr_expect_eq(seen[i], 1);
        cr_expect_eq(atomic_load(&tasks[i].runs), 1);
    }
    queue_close(queue);
    pool_close(&world);
    for (int i = 0; i < CALLS; ++i) {
        cr_expect_eq(atomic_load(&tasks[i].argument_drops), 1);
        cr_expect_eq(atomic_load(&tasks[i].value_drops), 0);
    }
}

Test(submit, it_does_not_wait_for_the_work)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    weir_outcome outcome;
    struct task *const argument = &task;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct task *)};
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    cr_expect_eq(
        weir_submit(world.dependency, task_command(), &request, queue, NULL, NULL, &outcome),
        WEIR_OK);
    cr_expect_eq(outcome.kind, WEIR_OK);
    cr_expect(queue_is_empty(queue));
    gate_await(&gate, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 1U);
    gate_open(&gate);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}

Test(submit, a_completions_outcome_is_what_execute_gives)
{
    struct world world;
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    for (int verdict = -1; verdict <= WEIR_V_CANCELLED + 1; ++verdict) {
        struct task tasks[2] = {{.code = verdict, .pushback_ns = 5 * MS},
                                {.code = verdict, .pushback_ns = 5 * MS}};
        weir_outcome executed;
        weir_outcome completed;
        const weir_status status = task_execute(world.dependency, &tasks[0], &executed);

        (void)world_submit(&world, queue, &tasks[1]);
        cr_expect_eq(queue_finish(queue, &completed), status);
        task_await_drops(&tasks[1], 1);
        cr_expect_arr_eq(&completed, &executed, sizeof(executed), "verdict %d", verdict);
    }
    queue_close(queue);
    pool_close(&world);
}

Test(submit, latency_and_generation_are_told_too)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "");
    cr_expect_eq(world_set(&world, "timeout", "5s"), WEIR_OK);
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    gate_await(&gate, 1);
    world_pass(&world, 7 * MS);
    gate_open(&gate);
    cr_expect_eq(queue_finish(queue, &outcome), WEIR_OK);
    cr_expect_eq(outcome.latency_ns, 7 * MS);
    cr_expect_eq(outcome.generation, 2U);
    cr_expect_eq(task.left_ns, 5 * SECOND);
    queue_close(queue);
    pool_close(&world);
}

Test(submit, a_ticket_is_written_and_the_completion_has_the_same)
{
    static const weir_ticket zero = {{0, 0}};
    struct world world;
    struct task task = {0};
    weir_ticket ticket;
    weir_completion completion;
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    ticket = world_submit(&world, queue, &task);
    completion = queue_next(queue);
    cr_expect_neq(memcmp(&ticket, &zero, sizeof(ticket)), 0);
    cr_expect_arr_eq(&completion.ticket, &ticket, sizeof(ticket));
    cr_expect_eq(completion.reserved, 0U);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}

struct sender {
    weir_dependency *dependency;
    weir_queue *queue;
    struct task task;
    weir_status status;
};

static int send_run(weir_call *call, const void *argument, void *result)
{
    struct sender *sender;

    (void)call;
    (void)result;
    memcpy(&sender, argument, sizeof(struct sender *));
    sender->status = task_submit(sender->dependency, sender->queue, &sender->task, 0, NULL);
    return 0;
}

Test(submit, run_may_submit_to_its_own_pool)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "send",
                                         .isolations = WEIR_THREAD,
                                         .argument_max = sizeof(struct sender *), .run = send_run};
    struct world world;
    struct sender sender = {.status = WEIR_E_BUSY};
    struct sender *const argument = &sender;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct sender *)};

    pool_open(&world, "threads: 1");
    sender.dependency = world.dependency;
    sender.queue = queue_open(&world);
    cr_expect_eq(weir_execute(world.dependency, &command, &request, NULL), WEIR_OK);
    cr_expect_eq(sender.status, WEIR_OK);
    cr_expect_eq(queue_finish(sender.queue, NULL), WEIR_OK);
    queue_close(sender.queue);
    pool_close(&world);
}

/* ---- refusals ---- */

/* Refused at once: nothing comes, the argument is consumed. */
static void expect_refusal(struct world *world, weir_queue *queue, weir_status reason,
                           weir_outcome *ret_outcome)
{
    struct task task = {0};
    struct task *const argument = &task;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct task *)};
    weir_outcome outcome;

    memset(&outcome, 0xff, sizeof(outcome));
    cr_expect_eq(
        weir_submit(world->dependency, task_command(), &request, queue, NULL, NULL, &outcome),
        reason);
    cr_expect_eq(outcome.kind, reason);
    cr_expect_eq(outcome.source, WEIR_BY_NOBODY);
    cr_expect_eq(outcome.attempts, 0U);
    cr_expect(weir_status_is_rejected(reason));
    cr_expect(queue_is_empty(queue));
    cr_expect_eq(atomic_load(&task.argument_drops), 1);
    cr_expect_eq(atomic_load(&task.runs), 0);
    if (ret_outcome != NULL) {
        *ret_outcome = outcome;
    }
}

Test(submit, a_full_pool_refuses_at_once_also_with_max_wait)
{
    struct world world;
    struct crew crew = {0};
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 0, max_wait: 1s");
    queue = queue_open(&world);
    crew_hold(&crew, world.dependency, 1);
    expect_refusal(&world, queue, WEIR_BULKHEAD, NULL);
    crew_release(&crew, WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}

Test(submit, an_empty_bucket_refuses_at_once_and_names_the_wait_also_with_max_wait)
{
    struct world world;
    struct task task = {0};
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "rate_limit.rate: 10/s, rate_limit.burst: 1, rate_limit.max_wait: 1s");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    expect_refusal(&world, queue, WEIR_RATE, &outcome);
    cr_expect_eq(outcome.retry_after_ns, 100 * MS);
    queue_close(queue);
    pool_close(&world);
}

Test(submit, an_open_breaker_refuses_at_once_and_names_the_wait)
{
    struct world world;
    struct task task = {.code = WEIR_V_FAILED};
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "breaker.consecutive_failures: 1, breaker.open_for: 5s");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_FAILED);
    expect_refusal(&world, queue, WEIR_OPEN, &outcome);
    cr_expect_eq(outcome.retry_after_ns, 5 * SECOND);
    queue_close(queue);
    pool_close(&world);
}

Test(submit, switched_off_and_without_time_it_refuses_at_once)
{
    struct world world;
    weir_queue *queue;

    pool_open(&world, "mode: off");
    queue = queue_open(&world);
    expect_refusal(&world, queue, WEIR_OFF, NULL);
    cr_expect_eq(world_set(&world, "mode", "on"), WEIR_OK);
    cr_expect_eq(world_set(&world, "timeout", "0ms"), WEIR_OK);
    expect_refusal(&world, queue, WEIR_DEADLINE, NULL);
    queue_close(queue);
    pool_close(&world);
}

Test(submit, without_a_free_cell_it_refuses_at_once)
{
    struct world world;
    struct task task = {0};
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 0, completions: 0");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    weir_completion completion = queue_next(queue);
    expect_refusal(&world, queue, WEIR_CELLS, NULL);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}

Test(submit, a_stopped_runtime_refuses_at_once)
{
    struct world world;
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    runtime_stop(world.runtime);
    expect_refusal(&world, queue, WEIR_SHUTDOWN, NULL);
    queue_close(queue);
    pool_close(&world);
}

/* ---- usage errors ---- */

Test(submit, usage_errors_leave_the_argument_with_the_caller_and_bring_no_completion)
{
    struct world world;
    struct world other;
    struct task task = {0};
    struct task *const argument = &task;
    struct value value;
    weir_command command = *task_command();
    weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                            .argument_size = sizeof(struct task *)};
    weir_outcome outcome;
    weir_queue *queue;
    weir_queue *foreign;
    weir_dependency *inline_one;

    pool_open(&world, "");
    world_open_empty(&other);
    queue = queue_open(&world);
    foreign = queue_open(&other);
    inline_one = world_add(&world, "other", NULL);

    cr_expect_eq(weir_submit(NULL, &command, &request, queue, NULL, NULL, NULL), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_submit(world.dependency, NULL, &request, queue, NULL, NULL, NULL),
                 WEIR_E_ARGUMENT);
    cr_expect_eq(weir_submit(world.dependency, &command, &request, NULL, NULL, NULL, &outcome),
                 WEIR_E_ARGUMENT);
    cr_expect_eq(outcome.kind, WEIR_E_ARGUMENT);
    cr_expect_eq(weir_submit(world.dependency, &command, &request, foreign, NULL, NULL, NULL),
                 WEIR_E_ARGUMENT);
    cr_expect_eq(weir_submit(inline_one, &command, &request, queue, NULL, NULL, NULL),
                 WEIR_E_SHAPE);
    request.result = &value;
    cr_expect_eq(weir_submit(world.dependency, &command, &request, queue, NULL, NULL, NULL),
                 WEIR_E_ARGUMENT);
    request.result = NULL;
    request.argument_size += 1;
    cr_expect_eq(weir_submit(world.dependency, &command, &request, queue, NULL, NULL, NULL),
                 WEIR_E_TOO_LARGE);
    request.argument_size -= 1;
    command.result_max = 1 << 20;
    cr_expect_eq(weir_submit(world.dependency, &command, &request, queue, NULL, NULL, NULL),
                 WEIR_E_TOO_LARGE);
    command = *task_command();
    command.isolations = WEIR_INLINE;
    cr_expect_eq(weir_submit(world.dependency, &command, &request, queue, NULL, NULL, NULL),
                 WEIR_E_SHAPE);
    request.size = 1;
    cr_expect_eq(weir_submit(world.dependency, task_command(), &request, queue, NULL, NULL, NULL),
                 WEIR_E_SIZE);

    cr_expect_eq(atomic_load(&task.argument_drops), 0);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 0U);
    cr_expect(queue_is_empty(queue));
    queue_close(queue);
    queue_close(foreign);
    world_close(&other);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.runs), 0);
}

/* ---- the value ---- */

Test(submit, an_ended_completion_without_room_for_its_value_drops_it_once)
{
    struct world world;
    struct task task = {0};
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    weir_completion completion = queue_next(queue);
    cr_expect_eq(atomic_load(&task.value_drops), 0);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect_eq(atomic_load(&task.value_drops), 1);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.value_drops), 1);
    cr_expect_eq(atomic_load(&task.argument_drops), 1);
}

Test(submit, without_a_value_the_memory_for_it_is_left_alone)
{
    struct world world;
    struct task task = {.code = WEIR_V_FAILED, .number = 5};
    struct value value = {.number = -1};
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    weir_completion completion = queue_next(queue);
    cr_expect_eq(completion.status, WEIR_FAILED);
    cr_expect_eq(weir_completion_end(&completion, &value), WEIR_OK);
    cr_expect_eq(value.number, -1);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.value_drops), 0);
}

Test(submit, a_completion_ended_twice_is_stale_also_through_a_copy)
{
    struct world world;
    struct task tasks[2] = {{0}, {0}};
    struct value value = {.number = -1};
    weir_completion copies[2];
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 0, completions: 0");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &tasks[0]);
    weir_completion completion = queue_next(queue);
    copies[0] = completion;
    copies[1] = completion;
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect_null(completion.cell);
    cr_expect_eq(weir_completion_end(&completion, &value), WEIR_E_STALE);
    cr_expect_eq(weir_completion_end(&copies[0], &value), WEIR_E_STALE);

    /* The pool's only cell is in use again. */
    cr_expect(await_count(&world, WEIR_COUNT_CELLS, 0));
    (void)world_submit(&world, queue, &tasks[1]);
    completion = queue_next(queue);
    cr_expect_eq(weir_completion_end(&copies[1], &value), WEIR_E_STALE);
    cr_expect_eq(value.number, -1);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&tasks[0].value_drops), 1);
    cr_expect_eq(atomic_load(&tasks[1].value_drops), 1);
}

Test(submit, no_completion_is_a_usage_error_and_a_zeroed_one_is_stale)
{
    weir_completion zeroed;

    memset(&zeroed, 0, sizeof(zeroed));
    cr_assert_eq(weir_completion_end(NULL, NULL), WEIR_E_ARGUMENT);
    cr_assert_eq(weir_completion_end(&zeroed, NULL), WEIR_E_STALE);
    cr_assert_null(weir_completion_context(NULL));
    cr_assert_null(weir_completion_context(&zeroed));
}

Test(submit, a_completion_keeps_its_calls_context_until_it_is_ended)
{
    const weir_label labels[] = {{"user", "ann"}};
    struct world world;
    struct task task = {0};
    struct task *const argument = &task;
    weir_context *context = NULL;
    weir_queue *queue;

    cr_assert_eq(weir_context_derive(NULL, labels, 1, 0, &context), WEIR_OK);
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct task *), .context = context};
    pool_open(&world, "");
    queue = queue_open(&world);
    cr_expect_eq(weir_submit(world.dependency, task_command(), &request, queue, NULL, NULL, NULL),
                 WEIR_OK);
    weir_context_release(context);
    weir_completion completion = queue_next(queue);
    cr_expect_str_eq(weir_context_get(weir_completion_context(&completion), "user"), "ann");
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect_null(weir_completion_context(&completion));
    queue_close(queue);
    pool_close(&world);
    cr_expect_str_eq(task.label[0], "ann");
}
