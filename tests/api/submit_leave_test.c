/*
 * Submitted calls that are left: at their deadline, by the timer thread, and by
 * weir_ticket_cancel(); each while it waits for a worker and while it runs.
 */
#include "support/pool_world.h"

/* ---- deadlines ---- */

Test(submit_leave, a_running_call_completes_at_its_deadline_though_all_workers_are_blocked)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "threads: 1, timeout: 100ms, breaker: on");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    gate_await(&gate, 1);
    world_pass(&world, 100 * MS - 1);
    cr_expect(queue_is_empty(queue));
    cr_expect_eq(world_count(&world, WEIR_COUNT_RUNNING), 1U);
    world_pass(&world, 1);
    cr_expect_eq(queue_finish(queue, &outcome), WEIR_TIMED_OUT);
    cr_expect_eq(outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(outcome.source, WEIR_BY_NOBODY);
    cr_expect_eq(outcome.attempts, 1U);
    cr_expect_eq(outcome.latency_ns, 100 * MS);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 1U);
    world_check_laws(&world);
    gate_open(&gate);
    cr_expect(await_count(&world, WEIR_COUNT_LATE_VALUES, 1));
    cr_expect(queue_is_empty(queue));
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(task.abandoned[1], 1);
    cr_expect_eq(atomic_load(&task.value_drops), 1);
    cr_expect_eq(atomic_load(&task.argument_drops), 1);
}

Test(submit_leave, a_queued_call_completes_at_its_deadline_and_never_runs)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task held = {.gate = &gate};
    struct task task = {0};
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 1, timeout: off, breaker: on");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &held);
    gate_await(&gate, 1);
    cr_expect_eq(task_submit(world.dependency, queue, &task, 30 * MS, NULL), WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    world_pass(&world, 30 * MS - 1);
    cr_expect(queue_is_empty(queue));
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 1U);
    world_pass(&world, 1);
    cr_expect_eq(queue_finish(queue, &outcome), WEIR_DEADLINE);
    cr_expect_eq(outcome.kind, WEIR_DEADLINE);
    cr_expect_eq(outcome.attempts, 0U);
    cr_expect_eq(outcome.latency_ns, 30 * MS);
    /* Its place is free at once. */
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_DEADLINE), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    world_check_laws(&world);
    gate_open(&gate);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.runs), 0);
    cr_expect_eq(atomic_load(&task.argument_drops), 1);
}

Test(submit_leave, each_call_completes_at_its_own_deadline_whatever_order_they_came_in)
{
    static const uint64_t within_ms[] = {50, 10, 40, 20, 30};
    static const size_t order[] = {1, 3, 4, 2, 0};
    struct world world;
    struct crew crew = {0};
    struct task tasks[5] = {{0}, {0}, {0}, {0}, {0}};
    weir_queue *queue;

    pool_open(&world, "threads: 1, timeout: off");
    queue = queue_open(&world);
    crew_hold(&crew, world.dependency, 1);
    for (size_t i = 0; i < 5; ++i) {
        cr_expect_eq(task_submit(world.dependency, queue, &tasks[i], within_ms[i] * MS, NULL),
                     WEIR_OK);
    }
    for (size_t i = 0; i < 5; ++i) {
        world_pass(&world, 10 * MS);
        weir_completion completion = queue_next(queue);
        cr_expect_eq(completion.user, &tasks[order[i]]);
        cr_expect_eq(completion.status, WEIR_DEADLINE);
        cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
        cr_expect(queue_is_empty(queue));
    }
    crew_release(&crew, WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}

Test(submit_leave, one_jump_of_time_completes_all_that_are_due)
{
    enum { CALLS = 9 };
    struct world world;
    struct crew crew = {0};
    struct task tasks[CALLS];
    weir_queue *queue;

    memset(tasks, 0, sizeof(tasks));
    pool_open(&world, "threads: 1, timeout: off");
    queue = queue_open(&world);
    crew_hold(&crew, world.dependency, 1);
    for (size_t i = 0; i < CALLS; ++i) {
        cr_expect_eq(task_submit(world.dependency, queue, &tasks[i], (i + 1) * MS, NULL), WEIR_OK);
    }
    world_pass(&world, SECOND);
    for (size_t i = 0; i < CALLS; ++i) {
        cr_expect_eq(queue_finish(queue, NULL), WEIR_DEADLINE);
    }
    crew_release(&crew, WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}

Test(submit_leave, a_contexts_deadline_completes_a_call_too)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    struct task *const argument = &task;
    weir_context *context = NULL;
    weir_queue *queue;

    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 3600 * SECOND, &context), WEIR_OK);
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct task *), .context = context};
    pool_open(&world, "timeout: off");
    queue = queue_open(&world);
    cr_expect_eq(weir_submit(world.dependency, task_command(), &request, queue, NULL, NULL, NULL),
                 WEIR_OK);
    gate_await(&gate, 1);
    world_pass(&world, 3600 * SECOND);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_TIMED_OUT);
    gate_open(&gate);
    queue_close(queue);
    pool_close(&world);
    weir_context_release(context);
}

Test(submit_leave, in_mode_observe_no_submitted_call_is_left)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "mode: observe, timeout: 100ms");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    gate_await(&gate, 1);
    world_pass(&world, SECOND);
    cr_expect(queue_is_empty(queue));
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED), 0U);
    gate_open(&gate);
    cr_expect_eq(queue_finish(queue, &outcome), WEIR_OK);
    cr_expect_eq(outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(outcome.flags, (uint32_t)WEIR_FLAG_LATE_VALUE);
    queue_close(queue);
    pool_close(&world);
}

/* ---- cancelling ---- */

Test(submit_leave, cancelled_while_queued_it_never_runs_and_its_place_is_free_at_once)
{
    struct world world;
    struct crew crew = {0};
    struct task tasks[2] = {{0}, {0}};
    weir_ticket ticket;
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 1, timeout: off, breaker: on");
    queue = queue_open(&world);
    crew_hold(&crew, world.dependency, 1);
    ticket = world_submit(&world, queue, &tasks[0]);
    world_pass(&world, 7 * MS);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_CANCELLED), 1U);
    world_check_laws(&world);
    (void)world_submit(&world, queue, &tasks[1]);
    cr_expect_eq(queue_finish(queue, &outcome), WEIR_CANCELLED);
    cr_expect_eq(outcome.kind, WEIR_CANCELLED);
    cr_expect_eq(outcome.source, WEIR_BY_NOBODY);
    cr_expect_eq(outcome.attempts, 0U);
    cr_expect_eq(outcome.latency_ns, 7 * MS);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(atomic_load(&tasks[0].runs), 0);
    cr_expect_eq(atomic_load(&tasks[0].argument_drops), 1);
}

Test(submit_leave, cancelled_while_it_runs_it_is_left_and_neutral_to_the_breaker)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    weir_ticket ticket;
    weir_outcome outcome;
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 0, timeout: off, breaker: on");
    queue = queue_open(&world);
    ticket = world_submit(&world, queue, &task);
    gate_await(&gate, 1);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_OK);
    cr_expect_eq(queue_finish(queue, &outcome), WEIR_CANCELLED);
    cr_expect_eq(outcome.kind, WEIR_CANCELLED);
    cr_expect_eq(outcome.attempts, 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_CANCELLED), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    world_check_laws(&world);
    gate_open(&gate);
    cr_expect(await_count(&world, WEIR_COUNT_LATE_VALUES, 1));
    queue_close(queue);
    pool_close(&world);
    cr_expect_eq(task.abandoned[1], 1);
    cr_expect_eq(atomic_load(&task.value_drops), 1);
}

Test(submit_leave, a_cancelled_trial_returns_its_place)
{
    struct world world;
    struct crew crew = {0};
    struct task tasks[2] = {{0}, {0}};
    weir_ticket ticket;
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 1, timeout: 100ms, breaker.consecutive_failures: 1, "
                      "breaker.open_for: 50ms");
    queue = queue_open(&world);
    crew_hold(&crew, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    world_pass(&world, 50 * MS);
    ticket = world_submit(&world, queue, &tasks[0]);
    cr_expect_eq(task_submit(world.dependency, queue, &tasks[1], 0, NULL), WEIR_OPEN);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_OK);
    (void)world_submit(&world, queue, &tasks[1]);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_CANCELLED);
    crew_come_back(&crew, world.dependency);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_BREAKER_STATE), (uint64_t)WEIR_BREAKER_CLOSED);
    queue_close(queue);
    pool_close(&world);
}

Test(submit_leave, cancelled_twice_is_stale_and_there_is_one_completion)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {0};
    weir_ticket ticket;
    weir_queue *queue;

    pool_open(&world, "threads: 1, timeout: off");
    queue = queue_open(&world);
    crew_hold(&crew, world.dependency, 1);
    ticket = world_submit(&world, queue, &task);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_OK);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_E_STALE);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_CANCELLED);
    cr_expect(queue_is_empty(queue));
    crew_release(&crew, WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}

Test(submit_leave, a_ticket_is_stale_when_its_call_has_its_outcome)
{
    struct world world;
    struct task task = {0};
    weir_ticket ticket;
    weir_completion completion;
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    ticket = world_submit(&world, queue, &task);
    completion = queue_next(queue);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_E_STALE);
    cr_expect_eq(completion.status, WEIR_OK);
    cr_expect_eq(weir_ticket_cancel(queue, completion.ticket), WEIR_E_STALE);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_E_STALE);
    queue_close(queue);
    pool_close(&world);
}

Test(submit_leave, a_ticket_whose_cell_is_in_use_again_cancels_nobody_elses_call)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task tasks[2] = {{0}, {.gate = &gate}};
    weir_ticket tickets[2];
    weir_queue *queue;

    /* A pool of one cell. */
    pool_open(&world, "threads: 1, queue: 0, completions: 0");
    queue = queue_open(&world);
    tickets[0] = world_submit(&world, queue, &tasks[0]);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_CELLS, 0));
    tickets[1] = world_submit(&world, queue, &tasks[1]);
    gate_await(&gate, 1);
    cr_expect_eq(weir_ticket_cancel(queue, tickets[0]), WEIR_E_STALE);
    cr_expect_eq(weir_ticket_cancel(queue, tickets[1]), WEIR_OK);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_CANCELLED);
    gate_open(&gate);
    queue_close(queue);
    pool_close(&world);
}

Test(submit_leave, a_ticket_of_another_queue_and_no_ticket_cancel_nothing)
{
    static const weir_ticket zero = {{0, 0}};
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    weir_ticket ticket;
    weir_queue *queue;
    weir_queue *other;

    pool_open(&world, "");
    queue = queue_open(&world);
    other = queue_open(&world);
    ticket = world_submit(&world, queue, &task);
    gate_await(&gate, 1);
    cr_expect_eq(weir_ticket_cancel(other, ticket), WEIR_E_STALE);
    cr_expect_eq(weir_ticket_cancel(queue, zero), WEIR_E_STALE);
    cr_expect_eq(weir_ticket_cancel(NULL, ticket), WEIR_E_ARGUMENT);
    gate_open(&gate);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    queue_close(queue);
    queue_close(other);
    pool_close(&world);
}

/* ---- races of all against all ---- */

Test(submit_leave, whoever_wins_between_the_work_a_cancel_and_the_deadline_there_is_one_completion)
{
    enum { CALLS = 300 };
    static struct task tasks[CALLS];
    struct world world;
    int ends = 0;
    weir_queue *queue;

    memset(tasks, 0, sizeof(tasks));
    pool_open(&world, "threads: 2, queue: 10, timeout: 1ms");
    queue = queue_open(&world);
    for (size_t i = 0; i < CALLS; ++i) {
        const weir_ticket ticket = world_submit(&world, queue, &tasks[i]);
        weir_completion completion;

        if (i % 3 == 0) {
            (void)weir_ticket_cancel(queue, ticket);
        } else if (i % 3 == 1) {
            world_pass(&world, MS);
        }
        completion = queue_next(queue);
        ends += completion.user == &tasks[i] ? 1 : 0;
        cr_expect(completion.status == WEIR_OK || completion.status == WEIR_CANCELLED ||
                  completion.status == WEIR_TIMED_OUT || completion.status == WEIR_DEADLINE);
        cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
        cr_expect(await_count(&world, WEIR_COUNT_SLOTS_HELD, 0));
    }
    cr_expect_eq(ends, CALLS);
    cr_expect(queue_is_empty(queue));
    queue_close(queue);
    pool_close(&world);
    for (size_t i = 0; i < CALLS; ++i) {
        cr_expect_eq(atomic_load(&tasks[i].argument_drops), 1);
        cr_expect_eq(atomic_load(&tasks[i].value_drops), atomic_load(&tasks[i].runs));
    }
}
