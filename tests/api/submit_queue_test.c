/*
 * Completion queues: taking, waiting, the descriptor for event loops, several takers, the end.
 *
 * Cancelling a call that waits for a worker puts its completion into the queue before it returns:
 * most tests here make their completions that way.
 */
#include "support/pool_world.h"

#include <poll.h>

enum { CALLS = 6 };

/* The only worker is held; six submitted calls wait behind it. */
struct stall {
    struct world world;
    struct crew crew;
    weir_queue *queue;
    struct task tasks[CALLS];
    weir_ticket tickets[CALLS];
};

static void stall_open(struct stall *stall)
{
    memset(stall, 0, sizeof(*stall));
    pool_open(&stall->world, "threads: 1, timeout: off");
    stall->queue = queue_open(&stall->world);
    crew_hold(&stall->crew, stall->world.dependency, 1);
    weir_manual_clock_await_waiters(stall->world.clock, 2); /* the timer, the crew's caller */
    for (size_t i = 0; i < CALLS; ++i) {
        stall->tasks[i].number = (int)i;
        stall->tickets[i] = world_submit(&stall->world, stall->queue, &stall->tasks[i]);
    }
}

/* One completion. */
static void stall_complete(struct stall *stall, size_t index)
{
    cr_expect_eq(weir_ticket_cancel(stall->queue, stall->tickets[index]), WEIR_OK);
}

/* What was not cancelled runs; `left` completions have not been taken. */
static void stall_close(struct stall *stall, size_t left)
{
    crew_release(&stall->crew, WEIR_OK);
    for (size_t i = 0; i < left; ++i) {
        (void)queue_finish(stall->queue, NULL);
    }
    cr_expect(queue_is_empty(stall->queue));
    queue_close(stall->queue);
    pool_close(&stall->world);
}

static size_t take(struct stall *stall, weir_completion *completions, size_t max)
{
    const size_t count = weir_queue_take(stall->queue, completions, max, 0);

    for (size_t i = 0; i < count; ++i) {
        cr_expect_eq(weir_completion_end(&completions[i], NULL), WEIR_OK);
    }
    return count;
}

/* ---- taking ---- */

Test(submit_queue, completions_come_in_the_order_in_which_the_calls_were_settled)
{
    static const size_t order[CALLS] = {3, 5, 0, 1, 4, 2};
    struct stall stall;
    weir_completion completions[CALLS];

    stall_open(&stall);
    for (size_t i = 0; i < CALLS; ++i) {
        stall_complete(&stall, order[i]);
    }
    cr_expect_eq(take(&stall, completions, CALLS), (size_t)CALLS);
    for (size_t i = 0; i < CALLS; ++i) {
        cr_expect_eq(completions[i].user, &stall.tasks[order[i]]);
    }
    stall_close(&stall, 0);
}

Test(submit_queue, calls_that_run_on_one_worker_complete_in_the_order_of_their_submission)
{
    struct stall stall;

    stall_open(&stall);
    crew_release(&stall.crew, WEIR_OK);
    for (size_t i = 0; i < CALLS; ++i) {
        weir_completion completion = queue_next(stall.queue);

        cr_expect_eq(completion.user, &stall.tasks[i]);
        cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    }
    stall_close(&stall, 0);
}

Test(submit_queue, a_take_gives_at_most_as_many_as_there_is_room_for)
{
    struct stall stall;
    weir_completion completions[CALLS];

    stall_open(&stall);
    for (size_t i = 0; i < 5; ++i) {
        stall_complete(&stall, i);
    }
    memset(completions, 0, sizeof(completions));
    cr_expect_eq(take(&stall, completions, 3), 3U);
    cr_expect_eq(completions[2].user, &stall.tasks[2]);
    cr_expect_null(completions[3].user);
    cr_expect_eq(take(&stall, completions, CALLS), 2U);
    cr_expect_eq(completions[0].user, &stall.tasks[3]);
    cr_expect_eq(take(&stall, completions, CALLS), 0U);
    stall_close(&stall, 1);
}

Test(submit_queue, with_nothing_to_take_or_nowhere_to_put_it_take_returns_at_once)
{
    struct stall stall;
    weir_completion completion;

    stall_open(&stall);
    cr_expect_eq(weir_queue_take(stall.queue, &completion, 1, 0), 0U);
    stall_complete(&stall, 0);
    cr_expect_eq(weir_queue_take(stall.queue, &completion, 0, UINT64_MAX), 0U);
    cr_expect_eq(weir_queue_take(stall.queue, NULL, 1, UINT64_MAX), 0U);
    cr_expect_eq(weir_queue_take(NULL, &completion, 1, UINT64_MAX), 0U);
    stall_close(&stall, CALLS);
}

Test(submit_queue, each_queue_gets_the_completions_of_its_own_calls)
{
    struct world world;
    struct task tasks[2] = {{0}, {0}};
    weir_queue *queues[2];

    pool_open(&world, "");
    for (size_t i = 0; i < 2; ++i) {
        queues[i] = queue_open(&world);
        (void)world_submit(&world, queues[i], &tasks[i]);
    }
    for (size_t i = 0; i < 2; ++i) {
        weir_completion completion = queue_next(queues[i]);

        cr_expect_eq(completion.user, &tasks[i]);
        cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
        queue_close(queues[i]);
    }
    pool_close(&world);
}

/* ---- waiting ---- */

struct taker {
    pthread_t thread;
    weir_queue *queue;
    uint64_t wait_ns;
    size_t count;
    weir_completion completion;
};

static void *taker_main(void *user)
{
    struct taker *const taker = user;

    taker->count = weir_queue_take(taker->queue, &taker->completion, 1, taker->wait_ns);
    if (taker->count != 0) {
        (void)weir_completion_end(&taker->completion, NULL);
    }
    return NULL;
}

/* `waiters`: threads that wait on the clock once it does. */
static void taker_start(struct taker *taker, struct stall *stall, uint64_t wait_ns, size_t waiters)
{
    taker->queue = stall->queue;
    taker->wait_ns = wait_ns;
    cr_assert_eq(pthread_create(&taker->thread, NULL, taker_main, taker), 0);
    weir_manual_clock_await_waiters(stall->world.clock, waiters);
}

Test(submit_queue, a_taker_that_waits_is_woken_by_a_completion)
{
    struct stall stall;
    struct taker taker = {0};

    stall_open(&stall);
    taker_start(&taker, &stall, UINT64_MAX, 3);
    stall_complete(&stall, 4);
    (void)pthread_join(taker.thread, NULL);
    cr_expect_eq(taker.count, 1U);
    cr_expect_eq(taker.completion.user, &stall.tasks[4]);
    stall_close(&stall, CALLS - 1);
}

Test(submit_queue, a_taker_waits_for_wait_ns_and_not_longer)
{
    struct stall stall;
    struct taker taker = {.count = 99};

    stall_open(&stall);
    taker_start(&taker, &stall, 50 * MS, 3);
    world_pass(&stall.world, 50 * MS - 1);
    weir_manual_clock_await_waiters(stall.world.clock, 3);
    world_pass(&stall.world, 1);
    (void)pthread_join(taker.thread, NULL);
    cr_expect_eq(taker.count, 0U);
    stall_close(&stall, CALLS);
}

Test(submit_queue, several_takers_that_wait_are_woken_one_for_each_completion)
{
    struct stall stall;
    struct taker takers[3] = {{.count = 0}, {.count = 0}, {.count = 0}};
    bool seen[CALLS] = {false};

    stall_open(&stall);
    for (size_t i = 0; i < 3; ++i) {
        taker_start(&takers[i], &stall, UINT64_MAX, 3 + i);
    }
    for (size_t i = 0; i < 3; ++i) {
        stall_complete(&stall, i);
    }
    for (size_t i = 0; i < 3; ++i) {
        (void)pthread_join(takers[i].thread, NULL);
        cr_expect_eq(takers[i].count, 1U);
        if (takers[i].count == 1) {
            const struct task *const task = takers[i].completion.user;

            cr_expect_not(seen[task->number]);
            seen[task->number] = true;
        }
    }
    stall_close(&stall, CALLS - 3);
}

struct harvest {
    weir_queue *queue;
    _Atomic int left; /* completions that are still to come */
};

static void *harvest_main(void *user)
{
    struct harvest *const harvest = user;
    weir_completion completions[4];

    while (atomic_load(&harvest->left) > 0) {
        const size_t count = weir_queue_take(harvest->queue, completions, 4, 0);

        for (size_t i = 0; i < count; ++i) {
            ((struct task *)completions[i].user)->number += 1;
            (void)weir_completion_end(&completions[i], NULL);
        }
        (void)atomic_fetch_sub(&harvest->left, (int)count);
        (void)sched_yield();
    }
    return NULL;
}

Test(submit_queue, several_takers_at_once_take_each_completion_once)
{
    enum { MANY = 200, TAKERS = 3 };
    static struct task tasks[MANY];
    struct world world;
    struct harvest harvest = {.left = MANY};
    pthread_t threads[TAKERS];

    memset(tasks, 0, sizeof(tasks));
    pool_open(&world, "threads: 2, queue: 300");
    harvest.queue = queue_open(&world);
    for (size_t i = 0; i < TAKERS; ++i) {
        cr_assert_eq(pthread_create(&threads[i], NULL, harvest_main, &harvest), 0);
    }
    for (size_t i = 0; i < MANY; ++i) {
        (void)world_submit(&world, harvest.queue, &tasks[i]);
    }
    for (size_t i = 0; i < TAKERS; ++i) {
        (void)pthread_join(threads[i], NULL);
    }
    cr_expect_eq(atomic_load(&harvest.left), 0);
    for (size_t i = 0; i < MANY; ++i) {
        cr_expect_eq(tasks[i].number, 1);
    }
    queue_close(harvest.queue);
    pool_close(&world);
}

/* ---- the descriptor ---- */

static bool is_readable(weir_queue *queue)
{
    struct pollfd polled = {.fd = weir_queue_fd(queue), .events = POLLIN};

    return poll(&polled, 1, 0) == 1 && (polled.revents & POLLIN) != 0;
}

Test(submit_queue, the_descriptor_is_readable_exactly_while_completions_stand)
{
    struct stall stall;
    weir_completion completions[CALLS];

    stall_open(&stall);
    for (int round = 0; round < 2; ++round) {
        const size_t at = (size_t)round * 3;

        cr_expect_not(is_readable(stall.queue));
        stall_complete(&stall, at);
        cr_expect(is_readable(stall.queue));
        cr_expect(is_readable(stall.queue)); /* level-triggered */
        stall_complete(&stall, at + 1);
        stall_complete(&stall, at + 2);
        cr_expect_eq(take(&stall, completions, 2), 2U);
        cr_expect(is_readable(stall.queue));
        cr_expect_eq(take(&stall, completions, CALLS), 1U);
        cr_expect_not(is_readable(stall.queue));
    }
    stall_close(&stall, 0);
}

Test(submit_queue, asked_for_while_completions_stand_the_descriptor_is_readable_at_once)
{
    struct stall stall;
    weir_completion completions[CALLS];

    stall_open(&stall);
    stall_complete(&stall, 0);
    cr_expect(is_readable(stall.queue));
    cr_expect_eq(take(&stall, completions, CALLS), 1U);
    cr_expect_not(is_readable(stall.queue));
    stall_close(&stall, CALLS - 1);
}

Test(submit_queue, the_descriptor_stays_the_same_and_no_queue_has_none)
{
    struct stall stall;

    stall_open(&stall);
    cr_expect_geq(weir_queue_fd(stall.queue), 0);
    cr_expect_eq(weir_queue_fd(stall.queue), weir_queue_fd(stall.queue));
    cr_expect_eq(weir_queue_fd(NULL), -1);
    stall_close(&stall, CALLS);
}

Test(submit_queue, a_worker_that_ends_a_call_makes_the_descriptor_readable)
{
    struct world world;
    struct task task = {0};
    struct pollfd polled = {.events = POLLIN};
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    polled.fd = weir_queue_fd(queue);
    (void)world_submit(&world, queue, &task);
    cr_expect_eq(poll(&polled, 1, 60000), 1);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    cr_expect_eq(poll(&polled, 1, 0), 0);
    queue_close(queue);
    pool_close(&world);
}

/* ---- beginning and end ---- */

Test(submit_queue, creation_wants_a_runtime_that_has_not_been_stopped)
{
    struct world world;
    weir_queue *queue = NULL;

    pool_open(&world, "");
    cr_expect_eq(weir_queue_create(NULL, &queue, &world.error), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_queue_create(world.runtime, NULL, &world.error), WEIR_E_ARGUMENT);
    runtime_stop(world.runtime);
    cr_expect_eq(weir_queue_create(world.runtime, &queue, &world.error), WEIR_E_BUSY);
    cr_expect_null(queue);
    pool_close(&world);
}

Test(submit_queue, it_cannot_be_destroyed_before_every_completion_has_been_ended)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    weir_completion completion;
    weir_queue *queue;

    cr_expect_eq(weir_queue_destroy(NULL), WEIR_OK);
    pool_open(&world, "");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    gate_await(&gate, 1);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_E_BUSY);
    gate_open(&gate);
    completion = queue_next(queue);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_E_BUSY);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    pool_close(&world);
}

Test(submit_queue, a_queue_of_left_work_can_be_destroyed_while_the_work_runs_on)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {.gate = &gate};
    weir_ticket ticket;
    weir_queue *queue;

    pool_open(&world, "");
    queue = queue_open(&world);
    ticket = world_submit(&world, queue, &task);
    gate_await(&gate, 1);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_OK);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_CANCELLED);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    gate_open(&gate);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.value_drops), 1);
}

Test(submit_queue, a_completion_that_was_not_ended_keeps_what_its_late_end_needs)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = "isolation: thread, threads: 1"};
    static weir_runtime *runtime; /* findable for leak checkers, like the two below */
    static weir_dependency *dependency;
    static weir_completion completion;
    struct task task = {.number = 5};
    struct value value = {0};
    weir_queue *queue = NULL;

    cr_assert_eq(weir_runtime_create(NULL, &runtime, NULL), WEIR_OK);
    cr_assert_eq(weir_dependency_create(runtime, "pay", &options, &dependency, NULL), WEIR_OK);
    cr_assert_eq(weir_queue_create(runtime, &queue, NULL), WEIR_OK);
    cr_assert_eq(task_submit(dependency, queue, &task, 0, NULL), WEIR_OK);
    completion = queue_next(queue);
    runtime_stop(runtime);
    weir_runtime_destroy(runtime);

    cr_expect_eq(weir_completion_end(&completion, &value), WEIR_OK);
    cr_expect_eq(value.number, 5);
    cr_expect_eq(atomic_load(&task.argument_drops), 1);
    cr_expect_eq(weir_completion_end(&completion, &value), WEIR_E_STALE);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
}
