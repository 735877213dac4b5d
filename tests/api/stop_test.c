/*
 * The end of a runtime: weir_runtime_stop() refuses, turns away, waits, cancels and joins;
 * weir_runtime_destroy() frees what nobody uses any more.
 */
#define _GNU_SOURCE
#include "support/world.h"

#include <dirent.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#define ONE_THREAD    "isolation: thread, threads: 1, timeout: off"
#define PATIENCE_SECS 60 /* for what must happen in real time; nothing waits so long */

/* ---- work: the argument is a pointer to what is to be done ---- */

struct work {
    struct gate *hold;   /* run waits here; may be NULL */
    struct gate *hook;   /* a hook waits here; may be NULL: no hook */
    weir_runtime *stops; /* run stops this one; may be NULL */
    weir_status stopped; /* what that gave */
    _Atomic int dropped; /* arguments */
    _Atomic int results_dropped;
    _Atomic int hooks_over;
};

static struct work *work_of(const void *argument)
{
    struct work *work;

    memcpy(&work, argument, sizeof(struct work *));
    return work;
}

static void hook_work(void *user)
{
    struct work *const work = user;

    gate_pass(work->hook);
    if (work->stops != NULL) {
        work->stopped = weir_runtime_stop(work->stops, UINT64_MAX, NULL);
    }
    (void)atomic_fetch_add(&work->hooks_over, 1);
}

/* The result is the work itself, so that its drop finds it. */
static int run_work(weir_call *call, const void *argument, void *result)
{
    struct work *const work = work_of(argument);

    memcpy(result, &work, sizeof(struct work *));
    if (work->hook != NULL) {
        (void)weir_call_on_leave(call, hook_work, work);
    } else if (work->stops != NULL) {
        work->stopped = weir_runtime_stop(work->stops, UINT64_MAX, NULL);
    }
    if (work->hold != NULL) {
        gate_pass(work->hold);
    }
    return 0;
}

static void drop_argument(void *argument)
{
    (void)atomic_fetch_add(&work_of(argument)->dropped, 1);
}

static void drop_result(void *result)
{
    (void)atomic_fetch_add(&work_of(result)->results_dropped, 1);
}

static const weir_command *working(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command),
                                         .name = "working",
                                         .isolations = WEIR_INLINE | WEIR_THREAD,
                                         .argument_max = sizeof(struct work *),
                                         .result_max = sizeof(struct work *),
                                         .run = run_work,
                                         .argument_drop = drop_argument,
                                         .result_drop = drop_result};

    return &command;
}

static weir_status execute(weir_dependency *dependency, struct work *work,
                           weir_outcome *ret_outcome)
{
    struct work *result = NULL;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &work,
                                  .argument_size = sizeof(struct work *), .result = &result};

    return weir_execute(dependency, working(), &request, ret_outcome);
}

static weir_status submit(weir_dependency *dependency, struct work *work, weir_queue *queue,
                          weir_outcome *ret_outcome)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &work,
                                  .argument_size = sizeof(struct work *)};

    return weir_submit(dependency, working(), &request, queue, work, NULL, ret_outcome);
}

static weir_queue *make_queue(struct world *world)
{
    weir_queue *queue = NULL;

    cr_assert_eq(weir_queue_create(world->runtime, &queue, NULL), WEIR_OK);
    return queue;
}

/* ---- executing and stopping on threads of their own ---- */

struct executor {
    pthread_t thread;
    weir_dependency *dependency;
    struct work *work;
    _Atomic int over;
    weir_status status;
    weir_outcome outcome;
};

static void *executor_main(void *user)
{
    struct executor *const executor = user;

    executor->status = execute(executor->dependency, executor->work, &executor->outcome);
    atomic_store(&executor->over, 1);
    return NULL;
}

static void executor_start(struct executor *executor, weir_dependency *dependency,
                           struct work *work)
{
    memset(executor, 0, sizeof(*executor));
    executor->dependency = dependency;
    executor->work = work;
    cr_assert_eq(pthread_create(&executor->thread, NULL, executor_main, executor), 0);
}

static weir_status executor_join(struct executor *executor)
{
    (void)pthread_join(executor->thread, NULL);
    return executor->status;
}

struct stopper {
    pthread_t thread;
    weir_runtime *runtime;
    uint64_t grace_ns;
    weir_status status;
    size_t stuck;
};

static void *stopper_main(void *user)
{
    struct stopper *const stopper = user;

    stopper->status = weir_runtime_stop(stopper->runtime, stopper->grace_ns, &stopper->stuck);
    return NULL;
}

static void stopper_start(struct stopper *stopper, weir_runtime *runtime, uint64_t grace_ns)
{
    *stopper = (struct stopper){.runtime = runtime, .grace_ns = grace_ns, .stuck = 12345};
    cr_assert_eq(pthread_create(&stopper->thread, NULL, stopper_main, stopper), 0);
}

static weir_status stopper_join(struct stopper *stopper)
{
    (void)pthread_join(stopper->thread, NULL);
    return stopper->status;
}

/* ---- bounded waits for what happens in real time ---- */

static time_t real_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool await_count(_Atomic int *count, int wanted)
{
    const time_t until = real_seconds() + PATIENCE_SECS;

    while (atomic_load(count) < wanted && real_seconds() < until) {
        (void)sched_yield();
    }
    return atomic_load(count) >= wanted;
}

/* Enough of the machine for whoever could go on. */
static bool comes_soon(_Atomic int *count, int wanted)
{
    for (int i = 0; i < 20000 && atomic_load(count) < wanted; ++i) {
        (void)sched_yield();
    }
    return atomic_load(count) >= wanted;
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' ? 1 : 0;
}

static int entries_of(const char *path)
{
    struct dirent **entries = NULL;
    const int count = scandir(path, &entries, is_visible, NULL);

    for (int i = 0; i < count; ++i) {
        free(entries[i]);
    }
    free(entries);
    return count;
}

/* A thread that has been joined may be seen there a moment longer. */
static bool await_threads(int wanted)
{
    const time_t until = real_seconds() + PATIENCE_SECS;

    while (entries_of("/proc/self/task") != wanted && real_seconds() < until) {
        (void)sched_yield();
    }
    return entries_of("/proc/self/task") == wanted;
}

/* All threads have ended, however long the machine takes for it. */
static void close_quietly(struct world *world)
{
    cr_expect_eq(weir_runtime_stop(world->runtime, UINT64_MAX, NULL), WEIR_OK);
    world_close(world);
}

/* ---- refusing ---- */

Test(stop, every_shape_of_new_call_is_refused_and_counted)
{
    struct world world;
    struct work work = {0};
    weir_outcome outcome;

    world_open(&world, ONE_THREAD);
    weir_dependency *const inline_one = world_add(&world, "inline", NULL);
    weir_queue *const queue = make_queue(&world);
    cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    for (int i = 1; i <= 3; ++i) {
        cr_expect_eq(execute(world.dependency, &work, &outcome), WEIR_SHUTDOWN);
        cr_expect_eq(outcome.kind, WEIR_SHUTDOWN);
        cr_expect_eq(outcome.attempts, 0U);
        cr_expect_eq(submit(world.dependency, &work, queue, &outcome), WEIR_SHUTDOWN);
        cr_expect_eq(outcome.kind, WEIR_SHUTDOWN);
        cr_expect_eq(execute(inline_one, &work, &outcome), WEIR_SHUTDOWN);
        cr_expect_eq(begin_status(inline_one), WEIR_SHUTDOWN);
        cr_expect_eq(atomic_load(&work.dropped), 3 * i); /* consumed, as by every refusal */
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_SHUTDOWN), 6U);
    cr_expect_eq(count_of(inline_one, WEIR_COUNT_REFUSED_SHUTDOWN), 6U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 6U);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK); /* nothing was submitted */
    world_close(&world);
}

Test(stop, observing_or_switched_off_dependencies_refuse_too)
{
    static const char *const settings[] = {"mode: observe", "mode: off",
                                           "isolation: thread, mode: observe",
                                           "isolation: thread, mode: off"};

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i) {
        struct world world;
        struct work work = {0};

        world_open(&world, settings[i]);
        cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
        cr_expect_eq(execute(world.dependency, &work, NULL), WEIR_SHUTDOWN, "%zu", i);
        world_close(&world);
    }
}

Test(stop, a_permit_is_not_waited_for_and_may_be_ended_afterwards)
{
    struct world world;

    world_open(&world, NULL);
    weir_permit permit = begin_one(world.dependency);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 1U);
    world_close(&world);
}

/* ---- calls that wait ---- */

Test(stop, calls_that_wait_for_a_worker_are_turned_away_at_once)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work running = {.hold = &gate};
    struct work queued[3] = {{0}, {0}, {0}};
    struct executor executor;
    struct executor waiting;
    struct stopper stopper;
    weir_completion completions[2];

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    executor_start(&executor, world.dependency, &running);
    gate_await(&gate, 1);
    cr_assert_eq(submit(world.dependency, &queued[0], queue, NULL), WEIR_OK);
    cr_assert_eq(submit(world.dependency, &queued[1], queue, NULL), WEIR_OK);
    executor_start(&waiting, world.dependency, &queued[2]);
    weir_manual_clock_await_waiters(world.clock, 3); /* two callers and the timer */
    stopper_start(&stopper, world.runtime, 3600 * SECOND);
    cr_expect_eq(executor_join(&waiting), WEIR_SHUTDOWN); /* in the grace, before it is over */
    cr_expect_eq(waiting.outcome.attempts, 0U);
    cr_expect_eq(weir_queue_take(queue, &completions[0], 1, UINT64_MAX), 1U);
    cr_expect_eq(weir_queue_take(queue, &completions[1], 1, UINT64_MAX), 1U);
    for (int i = 0; i < 2; ++i) {
        cr_expect_eq(completions[i].status, WEIR_SHUTDOWN);
        cr_expect_eq(completions[i].outcome.kind, WEIR_SHUTDOWN);
        cr_expect_eq(completions[i].outcome.attempts, 0U);
        cr_expect_eq(weir_completion_end(&completions[i], NULL), WEIR_OK);
    }
    cr_expect_eq(atomic_load(&executor.over), 0);
    gate_open(&gate);
    cr_expect_eq(executor_join(&executor), WEIR_OK);
    cr_expect_eq(stopper_join(&stopper), WEIR_OK);
    for (int i = 0; i < 3; ++i) {
        cr_expect_eq(atomic_load(&queued[i].dropped), 1);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_SHUTDOWN), 3U);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    world_close(&world);
}

/* header: in every case every call has its outcome or gets it at once */
static void check_waiter_is_turned_away(const char *settings, uint64_t until_it_may_go_ns)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work running = {.hold = &gate};
    struct work waits = {0};
    struct executor executor;
    struct executor waiting;

    world_open(&world, settings);
    executor_start(&executor, world.dependency, &running);
    gate_await(&gate, 1);
    executor_start(&waiting, world.dependency, &waits);
    while (world_count(&world, WEIR_COUNT_CALLS_OPEN) != 2) {
        (void)sched_yield();
    }
    (void)weir_runtime_stop(world.runtime, 0, NULL);
    cr_expect(comes_soon(&waiting.over, 1), "%s: it still waits after stop", settings);
    world_pass(&world, until_it_may_go_ns);
    gate_open(&gate);
    cr_expect_eq(executor_join(&waiting), WEIR_SHUTDOWN, "%s: %s", settings,
                 weir_status_name(waiting.status));
    cr_expect_eq(waiting.outcome.attempts, 0U);
    (void)executor_join(&executor);
    cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    world_close(&world);
}

Test(stop, a_call_that_waits_for_a_place_in_a_pool_is_turned_away)
{
    check_waiter_is_turned_away(
        "isolation: thread, threads: 1, queue: 0, max_wait: 1h, timeout: off", 3600 * SECOND);
}

Test(stop, a_call_that_waits_for_an_inline_place_is_turned_away)
{
    check_waiter_is_turned_away("max_concurrent: 1, max_wait: 1h, timeout: off", 3600 * SECOND);
}

Test(stop, a_call_that_waits_for_tokens_is_turned_away)
{
    check_waiter_is_turned_away("isolation: thread, threads: 2, rate_limit.rate: 1/h, "
                                "rate_limit.burst: 1, rate_limit.max_wait: 1h, timeout: off",
                                3600 * SECOND);
}

Test(stop, an_inline_call_that_waits_for_tokens_is_turned_away)
{
    check_waiter_is_turned_away("rate_limit.rate: 1/h, rate_limit.burst: 1, "
                                "rate_limit.max_wait: 1h, timeout: off",
                                3600 * SECOND);
}

static int never_starts(void *user, void **ret_state)
{
    (void)ret_state;
    (void)atomic_fetch_add((_Atomic int *)user, 1);
    return 1;
}

static void open_without_workers(struct world *world, _Atomic int *tries)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = ONE_THREAD ", worker_retry: 1h",
                                             .worker_start = never_starts, .user = tries};

    atomic_store(tries, 0);
    world_open_empty(world);
    cr_assert_eq(weir_dependency_create(world->runtime, "pay", &options, &world->dependency, NULL),
                 WEIR_OK);
    weir_manual_clock_await_waiters(world->clock, 1); /* the worker, for its next try */
}

Test(stop, a_call_that_waits_for_workers_which_cannot_start_is_turned_away_at_once)
{
    _Atomic int tries;
    struct world world;
    struct work work = {0};
    struct executor executor;

    open_without_workers(&world, &tries);
    executor_start(&executor, world.dependency, &work);
    weir_manual_clock_await_waiters(world.clock, 2);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(executor_join(&executor), WEIR_SHUTDOWN);
    world_close(&world);
}

Test(stop, a_worker_that_waits_for_its_next_try_ends_without_it)
{
    _Atomic int tries;
    struct world world;

    open_without_workers(&world, &tries);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(atomic_load(&tries), 1);
    world_close(&world);
}

/* ---- calls that run ---- */

Test(stop, calls_that_run_may_end_within_the_grace)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate};
    struct executor executor;
    struct stopper stopper;

    world_open(&world, ONE_THREAD);
    executor_start(&executor, world.dependency, &work);
    gate_await(&gate, 1);
    stopper_start(&stopper, world.runtime, SECOND);
    weir_manual_clock_await_waiters(world.clock, 2); /* the caller and stop */
    world_pass(&world, SECOND - 1);
    cr_expect_eq(atomic_load(&executor.over), 0);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED), 0U);
    gate_open(&gate);
    cr_expect_eq(executor_join(&executor), WEIR_OK);
    cr_expect_eq(stopper_join(&stopper), WEIR_OK);
    cr_expect_eq(stopper.stuck, 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 1U);
    world_close(&world);
}

Test(stop, a_caller_whose_work_still_runs_after_the_grace_gets_cancelled)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate};
    struct executor executor;
    struct stopper stopper;

    world_open(&world, ONE_THREAD ", breaker: on"); /* no deadline of any kind */
    executor_start(&executor, world.dependency, &work);
    gate_await(&gate, 1);
    stopper_start(&stopper, world.runtime, SECOND);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, SECOND);
    cr_expect_eq(executor_join(&executor), WEIR_CANCELLED);
    cr_expect_eq(executor.outcome.kind, WEIR_CANCELLED);
    cr_expect_eq(executor.outcome.attempts, 1U);
    cr_expect_eq(executor.outcome.latency_ns, SECOND);
    cr_expect_eq(stopper_join(&stopper), WEIR_E_BUSY);
    cr_expect_eq(stopper.stuck, 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_CANCELLED), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U); /* neutral */
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED), 1U);
    cr_expect_eq(atomic_load(&work.dropped), 0); /* in use */
    gate_open(&gate);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(atomic_load(&work.dropped), 1);
    cr_expect_eq(atomic_load(&work.results_dropped), 1);
    world_close(&world);
}

Test(stop, in_mode_observe_a_caller_whose_work_still_runs_gets_cancelled_too)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate};
    struct executor executor;

    world_open(&world, "isolation: thread, mode: observe, timeout: 1ms");
    executor_start(&executor, world.dependency, &work);
    gate_await(&gate, 1);
    world_pass(&world, SECOND);
    cr_expect_eq(weir_runtime_stop(world.runtime, 0, NULL), WEIR_E_BUSY);
    cr_expect_eq(executor_join(&executor), WEIR_CANCELLED);
    gate_open(&gate);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    world_close(&world);
}

Test(stop, a_deadline_that_comes_within_the_grace_is_a_timeout)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate};
    struct executor executor;
    struct stopper stopper;

    world_open(&world, "isolation: thread, threads: 1, timeout: 10ms");
    executor_start(&executor, world.dependency, &work);
    gate_await(&gate, 1);
    stopper_start(&stopper, world.runtime, SECOND);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, 10 * MS);
    cr_expect_eq(executor_join(&executor), WEIR_TIMED_OUT);
    gate_open(&gate);
    cr_expect_eq(stopper_join(&stopper), WEIR_OK);
    world_close(&world);
}

Test(stop, the_number_of_stuck_workers_is_over_all_pools)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate};
    struct executor executors[5];
    size_t stuck = 0;

    world_open(&world, "isolation: thread, threads: 3, timeout: off");
    weir_dependency *const mail = world_add(&world, "mail", "isolation: thread, timeout: off");
    for (int i = 0; i < 5; ++i) {
        executor_start(&executors[i], i < 3 ? world.dependency : mail, &work);
    }
    gate_await(&gate, 5);
    cr_expect_eq(weir_runtime_stop(world.runtime, 0, &stuck), WEIR_E_BUSY);
    cr_expect_eq(stuck, 5U);
    for (int i = 0; i < 5; ++i) {
        cr_expect_eq(executor_join(&executors[i]), WEIR_CANCELLED);
    }
    cr_expect_eq(weir_runtime_stop(world.runtime, 0, NULL), WEIR_E_BUSY); /* still */
    gate_open(&gate);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, &stuck), WEIR_OK);
    cr_expect_eq(stuck, 0U);
    world_close(&world);
}

Test(stop, many_idle_workers_all_end)
{
    struct world world;
    size_t stuck = 12345;

    world_open(&world, "isolation: thread, threads: 500, stack_size: 64KiB");
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, &stuck), WEIR_OK);
    cr_expect_eq(stuck, 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 0U);
    world_close(&world);
}

Test(stop, an_inline_call_is_not_waited_for_and_ends_by_itself)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate};
    struct executor executor;

    world_open(&world, NULL);
    executor_start(&executor, world.dependency, &work);
    gate_await(&gate, 1);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    gate_open(&gate);
    cr_expect_eq(executor_join(&executor), WEIR_OK);
    world_close(&world);
}

/* ---- completions ---- */

Test(stop, completions_can_be_taken_and_ended_afterwards)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work works[2] = {{0}, {.hold = &gate}};
    struct work *value = NULL;
    weir_completion completions[2];

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    cr_assert_eq(submit(world.dependency, &works[0], queue, NULL), WEIR_OK);
    cr_assert_eq(submit(world.dependency, &works[1], queue, NULL), WEIR_OK);
    gate_await(&gate, 1); /* the first is over */
    cr_expect_eq(weir_runtime_stop(world.runtime, 0, NULL), WEIR_E_BUSY);
    cr_expect_eq(weir_queue_take(queue, completions, 2, 0), 2U);
    cr_expect_eq(completions[0].status, WEIR_OK);
    cr_expect_eq(completions[1].status, WEIR_CANCELLED);
    cr_expect_eq(weir_completion_end(&completions[0], &value), WEIR_OK);
    cr_expect_eq(value, &works[0]);
    cr_expect_eq(weir_completion_end(&completions[1], NULL), WEIR_OK);
    cr_expect_eq(weir_queue_take(queue, completions, 2, 0), 0U);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    gate_open(&gate);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    world_close(&world);
}

/* ---- from where ---- */

Test(stop, from_inside_run_it_is_refused_and_changes_nothing)
{
    struct world world;
    struct work work = {0};
    struct work next = {0};

    world_open(&world, ONE_THREAD);
    work.stops = world.runtime;
    cr_expect_eq(execute(world.dependency, &work, NULL), WEIR_OK);
    cr_expect_eq(work.stopped, WEIR_E_SHAPE);
    cr_expect_eq(execute(world.dependency, &next, NULL), WEIR_OK);
    close_quietly(&world);
}

Test(stop, from_inside_a_hook_it_is_refused_and_changes_nothing)
{
    struct gate gate = GATE_INIT;
    struct gate hook = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate, .hook = &hook};
    struct work next = {0};
    weir_completion completion;
    weir_ticket ticket;

    world_open(&world, "isolation: thread, threads: 2, timeout: off");
    weir_queue *const queue = make_queue(&world);
    work.stops = world.runtime;
    struct work *argument = &work;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct work *)};
    gate_open(&hook);
    cr_assert_eq(weir_submit(world.dependency, working(), &request, queue, NULL, &ticket, NULL),
                 WEIR_OK);
    gate_await(&gate, 1);
    cr_expect_eq(weir_ticket_cancel(queue, ticket), WEIR_OK);
    cr_expect(await_count(&work.hooks_over, 1));
    cr_expect_eq(work.stopped, WEIR_E_SHAPE);
    cr_expect_eq(execute(world.dependency, &next, NULL), WEIR_OK);
    gate_open(&gate);
    cr_expect_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    world_close(&world);
}

Test(stop, from_inside_run_another_runtime_may_be_stopped)
{
    struct world world;
    struct world other;
    struct work work = {0};

    world_open(&world, ONE_THREAD);
    world_open(&other, ONE_THREAD);
    work.stops = other.runtime;
    cr_expect_eq(execute(world.dependency, &work, NULL), WEIR_OK);
    cr_expect_eq(work.stopped, WEIR_OK);
    close_quietly(&other);
    close_quietly(&world);
}

Test(stop, nothing_to_stop_is_an_argument_error)
{
    size_t stuck = 7;

    cr_expect_eq(weir_runtime_stop(NULL, 0, &stuck), WEIR_E_ARGUMENT);
    cr_expect_eq(stuck, 7U);
}

Test(stop, again_and_from_two_threads_at_once_it_says_the_same)
{
    struct world world;
    struct stopper stoppers[2];

    world_open(&world, ONE_THREAD);
    for (int i = 0; i < 2; ++i) {
        stopper_start(&stoppers[i], world.runtime, UINT64_MAX);
    }
    for (int i = 0; i < 2; ++i) {
        cr_expect_eq(stopper_join(&stoppers[i]), WEIR_OK);
        cr_expect_eq(stoppers[i].stuck, 0U);
    }
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    world_close(&world);
}

Test(stop, afterwards_nothing_is_created_or_applied_and_the_message_says_why)
{
    static const weir_setting setting = {.dependency = "pay", .key = "timeout", .value = "2s"};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = ONE_THREAD};
    struct world world;
    weir_dependency *dependency = NULL;
    weir_queue *queue = NULL;

    world_open(&world, NULL);
    cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_create(world.runtime, &queue, &world.error), WEIR_E_BUSY);
    cr_expect(world_says(&world, "stopped"));
    cr_expect_null(queue);
    memset(&world.error, 0, sizeof(world.error));
    cr_expect_eq(weir_dependency_create(world.runtime, "new", &options, &dependency, &world.error),
                 WEIR_E_BUSY);
    cr_expect(world_says(&world, "stopped"));
    cr_expect_null(dependency);
    cr_expect_null(weir_dependency_find(world.runtime, "new"));
    memset(&world.error, 0, sizeof(world.error));
    cr_expect_eq(weir_runtime_apply(world.runtime, &setting, 1, &world.error), WEIR_E_BUSY);
    cr_expect(world_says(&world, "stopped"));
    cr_expect_eq(world_count(&world, WEIR_COUNT_RELOADS), 0U);
    world_close(&world);
}

/* What run asks of a runtime that is being stopped, while stop waits for it. */
struct question {
    weir_runtime *runtime;
    struct gate *hold;
    weir_status applied, queue_made, dependency_made;
    _Atomic int answered;
};

static int run_ask(weir_call *call, const void *argument, void *result)
{
    struct question *question;
    weir_dependency *dependency = NULL;
    weir_queue *queue = NULL;

    (void)call;
    (void)result;
    memcpy(&question, argument, sizeof(struct question *));
    gate_pass(question->hold);
    question->applied = weir_runtime_apply(question->runtime, NULL, 0, NULL);
    question->queue_made = weir_queue_create(question->runtime, &queue, NULL);
    question->dependency_made =
        weir_dependency_create(question->runtime, "new", NULL, &dependency, NULL);
    atomic_store(&question->answered, 1);
    return 0;
}

Test(stop, work_that_asks_for_a_change_while_stop_waits_for_it_is_told_so_at_once)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "asking",
                                         .isolations = WEIR_THREAD,
                                         .argument_max = sizeof(struct question *), .run = run_ask};
    struct gate gate = GATE_INIT;
    struct world world;
    struct stopper stopper;
    weir_completion completion;

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    struct question question = {.runtime = world.runtime, .hold = &gate};
    struct question *argument = &question;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct question *)};
    cr_assert_eq(weir_submit(world.dependency, &command, &request, queue, NULL, NULL, NULL),
                 WEIR_OK);
    gate_await(&gate, 1);
    stopper_start(&stopper, world.runtime, 3600 * SECOND);
    weir_manual_clock_await_waiters(world.clock, 2); /* the timer and stop */
    gate_open(&gate);
    cr_expect(comes_soon(&question.answered, 1), "it waits for stop, which waits for it");
    world_pass(&world, 3600 * SECOND);
    cr_expect_eq(stopper_join(&stopper), WEIR_OK);
    cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(question.applied, WEIR_E_BUSY);
    cr_expect_eq(question.queue_made, WEIR_E_BUSY);
    cr_expect_eq(question.dependency_made, WEIR_E_BUSY);
    cr_assert_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
    cr_expect_eq(completion.status, WEIR_OK);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    world_close(&world);
}

/* ---- hooks ---- */

Test(stop, it_waits_for_the_hooks_of_the_calls_that_it_leaves)
{
    struct gate gate = GATE_INIT;
    struct gate hook = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate, .hook = &hook};
    struct executor executor;

    world_open(&world, ONE_THREAD);
    gate_open(&hook);
    executor_start(&executor, world.dependency, &work);
    gate_await(&gate, 1);
    cr_expect_eq(weir_runtime_stop(world.runtime, 0, NULL), WEIR_E_BUSY);
    cr_expect_eq(atomic_load(&work.hooks_over), 1);
    (void)executor_join(&executor);
    gate_open(&gate);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(atomic_load(&work.hooks_over), 1);
    world_close(&world);
}

Test(stop, a_hook_that_blocks_is_one_stuck_thread_and_a_later_stop_finds_it_ended)
{
    struct gate gate = GATE_INIT;
    struct gate hook = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate, .hook = &hook};
    struct executor executor;
    size_t stuck = 0;

    world_open(&world, ONE_THREAD);
    executor_start(&executor, world.dependency, &work);
    gate_await(&gate, 1);
    cr_expect_eq(weir_runtime_stop(world.runtime, 0, &stuck), WEIR_E_BUSY);
    cr_expect_eq(stuck, 2U);                                /* the worker and the helper */
    cr_expect_eq(executor_join(&executor), WEIR_CANCELLED); /* at once all the same */
    gate_open(&hook);
    gate_open(&gate);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, &stuck), WEIR_OK);
    cr_expect_eq(stuck, 0U);
    cr_expect_eq(atomic_load(&work.hooks_over), 1);
    world_close(&world);
}

/* ---- under load ---- */

enum { HAMMERS = 3 };

struct hammer {
    pthread_t thread;
    weir_dependency *dependency;
    struct work work; /* a worker may drop it when the call has returned */
    _Atomic int *begun;
    int ok, shutdown, other;
};

static void *hammer_main(void *user)
{
    struct hammer *const hammer = user;

    while (hammer->shutdown < 3) {
        switch (execute(hammer->dependency, &hammer->work, NULL)) {
        case WEIR_OK:
            hammer->ok += 1;
            break;
        case WEIR_SHUTDOWN:
            hammer->shutdown += 1;
            break;
        default:
            hammer->other += 1;
            break;
        }
        (void)atomic_fetch_add(hammer->begun, 1);
    }
    return NULL;
}

Test(stop, in_the_midst_of_calls_each_of_them_ends_well_or_is_refused)
{
    for (int round = 0; round < 20; ++round) {
        _Atomic int begun = 0;
        struct hammer hammers[HAMMERS];
        struct world world;
        uint64_t sum = 0;

        world_open(&world, "isolation: thread, threads: 2, queue: 10, timeout: off");
        for (int i = 0; i < HAMMERS; ++i) {
            hammers[i] = (struct hammer){.dependency = world.dependency, .begun = &begun};
            cr_assert_eq(pthread_create(&hammers[i].thread, NULL, hammer_main, &hammers[i]), 0);
        }
        cr_expect(await_count(&begun, 10 * round));
        cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
        for (int i = 0; i < HAMMERS; ++i) {
            (void)pthread_join(hammers[i].thread, NULL);
            cr_expect_eq(hammers[i].other, 0);
            sum += (uint64_t)hammers[i].ok;
        }
        cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), sum);
        cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_SHUTDOWN), 3ULL * HAMMERS);
        world_close(&world);
    }
}

/* ---- destroy ---- */

/* Static: on a machine that is busy enough destroy may give up waiting and keep it all. */
static struct world unstopped;

Test(stop, destroy_stops_a_runtime_that_nobody_has_stopped)
{
    struct work work = {0};
    const int threads = entries_of("/proc/self/task");

    world_open(&unstopped, "isolation: thread, threads: 3");
    weir_queue *const queue = make_queue(&unstopped);
    cr_expect_eq(execute(unstopped.dependency, &work, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    cr_expect_gt(entries_of("/proc/self/task"), threads);
    weir_runtime_destroy(unstopped.runtime);
    cr_expect(await_threads(threads));
}

/* Stays for ever, as what stuck work uses does: static, so that a leak checker finds it in use. */
static struct world kept, kept_with_hook, kept_with_permit;

Test(stop, destroy_keeps_what_stuck_work_uses_and_its_late_end_is_harmless)
{
    static struct gate gate = GATE_INIT;
    static struct work work;
    struct executor executor;
    const int threads = entries_of("/proc/self/task");

    work.hold = &gate;
    world_open(&kept, ONE_THREAD ", breaker: on, rate_limit: on");
    executor_start(&executor, kept.dependency, &work);
    gate_await(&gate, 1);
    cr_expect_eq(weir_runtime_stop(kept.runtime, 0, NULL), WEIR_E_BUSY);
    cr_expect_eq(executor_join(&executor), WEIR_CANCELLED);
    weir_runtime_destroy(kept.runtime);
    cr_expect_gt(kept.memory.live, 0U);
    cr_expect_eq(atomic_load(&work.dropped), 0);
    gate_open(&gate);
    cr_expect(await_count(&work.dropped, 1));
    cr_expect(await_threads(threads));
    cr_expect_eq(atomic_load(&work.results_dropped), 1);
    cr_expect_eq(atomic_load(&work.dropped), 1);
}

Test(stop, destroy_keeps_what_a_stuck_hook_uses_and_its_late_end_is_harmless)
{
    static struct gate gate = GATE_INIT;
    static struct gate hook = GATE_INIT;
    static struct work work;
    struct executor executor;
    const int threads = entries_of("/proc/self/task");

    work.hold = &gate;
    work.hook = &hook;
    world_open(&kept_with_hook, ONE_THREAD);
    executor_start(&executor, kept_with_hook.dependency, &work);
    gate_await(&gate, 1);
    weir_runtime_destroy(kept_with_hook.runtime); /* stops, without grace */
    cr_expect_eq(executor_join(&executor), WEIR_CANCELLED);
    gate_open(&hook);
    cr_expect(await_count(&work.hooks_over, 1));
    gate_open(&gate);
    cr_expect(await_count(&work.dropped, 1));
    cr_expect(await_threads(threads));
}

Test(stop, destroy_keeps_what_a_permit_uses_and_its_late_end_is_harmless)
{
    world_open(&kept_with_permit, NULL);
    weir_permit permit = begin_one(kept_with_permit.dependency);
    weir_runtime_destroy(kept_with_permit.runtime);
    cr_expect_gt(kept_with_permit.memory.live, 0U);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
}

Test(stop, destroying_nothing_is_fine)
{
    weir_runtime_destroy(NULL);
}

Test(stop, a_hundred_runtimes_leave_no_thread_and_no_descriptor)
{
    const int threads = entries_of("/proc/self/task");
    const int descriptors = entries_of("/proc/self/fd");

    for (int i = 0; i < 100; ++i) {
        struct world world;
        struct work work = {0};
        weir_completion completion;

        world_open(&world, "isolation: thread, threads: 3, timeout: off");
        weir_queue *const queue = make_queue(&world);
        cr_expect_eq(execute(world.dependency, &work, NULL), WEIR_OK);
        cr_assert_eq(submit(world.dependency, &work, queue, NULL), WEIR_OK);
        cr_assert_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
        cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
        cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
        cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
        weir_runtime_destroy(world.runtime);
        cr_expect_eq(world.memory.live, 0U);
        weir_manual_clock_destroy(world.clock);
    }
    cr_expect(await_threads(threads));
    cr_expect_eq(entries_of("/proc/self/fd"), descriptors);
}
