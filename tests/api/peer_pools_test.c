/*
 * What went wrong in other libraries with pools, timeouts, contexts and cancellation, asked of
 * calls on worker threads. What concerns the gates alone is in peer_gates_test.c.
 */
#define _GNU_SOURCE
#include "support/world.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_SECS 60 /* for what must happen in real time; nothing waits so long */

/* ---- work: the argument is a pointer to what is to be done and what was seen ---- */

struct work {
    int (*begins)(weir_call *call, struct work *work); /* before `hold`; may be NULL */
    int (*does)(weir_call *call, struct work *work);   /* after; NULL: 0 */
    struct gate *hold;
    struct world *world;
    const weir_context *in_run, *in_fallback;
    uint64_t left_in_fallback_ns;
    _Atomic int runs, fallbacks, arguments_dropped, results_dropped;
    _Atomic int *running, *most_running;   /* over all works; may be NULL */
    void (*calls_back)(struct work *work); /* from every callback; may be NULL */
};

static struct work *work_of(const void *argument)
{
    struct work *work;

    memcpy(&work, argument, sizeof(struct work *));
    return work;
}

static void call_back(struct work *work)
{
    if (work->calls_back != NULL) {
        work->calls_back(work);
    }
}

static void note_running(struct work *work)
{
    const int now = atomic_fetch_add(work->running, 1) + 1;
    int most = atomic_load(work->most_running);

    while (now > most && !atomic_compare_exchange_weak(work->most_running, &most, now)) {
    }
}

static int run_work(weir_call *call, const void *argument, void *result)
{
    struct work *const work = work_of(argument);
    int code;

    memcpy(result, &work, sizeof(struct work *));
    work->in_run = weir_context_current();
    (void)atomic_fetch_add(&work->runs, 1);
    if (work->running != NULL) {
        note_running(work);
    }
    call_back(work);
    if (work->begins != NULL) {
        (void)work->begins(call, work);
    }
    if (work->hold != NULL) {
        gate_pass(work->hold);
    }
    code = work->does != NULL ? work->does(call, work) : 0;
    if (work->running != NULL) {
        (void)atomic_fetch_sub(work->running, 1);
    }
    return code;
}

static int answer_work(weir_call *call, const void *argument, void *result)
{
    struct work *const work = work_of(argument);

    memcpy(result, &work, sizeof(struct work *));
    work->in_fallback = weir_context_current();
    work->left_in_fallback_ns = weir_call_left_ns(call);
    (void)atomic_fetch_add(&work->fallbacks, 1);
    call_back(work);
    return 0;
}

static void drop_argument(void *argument)
{
    struct work *const work = work_of(argument);

    call_back(work);
    (void)atomic_fetch_add(&work->arguments_dropped, 1);
}

static void drop_result(void *result)
{
    struct work *const work = work_of(result);

    call_back(work);
    (void)atomic_fetch_add(&work->results_dropped, 1);
}

static const weir_command *working(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command),
                                         .name = "working",
                                         .isolations = WEIR_THREAD,
                                         .argument_max = sizeof(struct work *),
                                         .result_max = sizeof(struct work *),
                                         .run = run_work,
                                         .argument_drop = drop_argument,
                                         .result_drop = drop_result};

    return &command;
}

static const weir_command *answering(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command),
                                         .name = "answering",
                                         .isolations = WEIR_THREAD,
                                         .argument_max = sizeof(struct work *),
                                         .result_max = sizeof(struct work *),
                                         .run = run_work,
                                         .argument_drop = drop_argument,
                                         .result_drop = drop_result,
                                         .fallback = answer_work};

    return &command;
}

/* ---- calls ---- */

struct executor {
    pthread_t thread;
    weir_dependency *dependency;
    const weir_command *command;
    struct work *work;
    uint64_t within_ns;
    const weir_context *context;
    weir_status status;
    weir_outcome outcome;
};

static weir_status execute(struct executor *executor)
{
    struct work *result = NULL;
    const weir_request request = {WEIR_SIZED(weir_request),
                                  .argument = &executor->work,
                                  .argument_size = sizeof(struct work *),
                                  .result = &result,
                                  .within_ns = executor->within_ns,
                                  .context = executor->context};

    executor->status =
        weir_execute(executor->dependency, executor->command, &request, &executor->outcome);
    return executor->status;
}

static void *executor_main(void *user)
{
    (void)execute(user);
    return NULL;
}

static void executor_start(struct executor *executor)
{
    cr_assert_eq(pthread_create(&executor->thread, NULL, executor_main, executor), 0);
}

static weir_status executor_join(struct executor *executor)
{
    (void)pthread_join(executor->thread, NULL);
    return executor->status;
}

static weir_status call_once(weir_dependency *dependency, struct work *work)
{
    struct executor executor = {.dependency = dependency, .command = working(), .work = work};

    return execute(&executor);
}

static weir_status submit(weir_dependency *dependency, struct work *work, weir_queue *queue,
                          uint64_t within_ns, weir_ticket *ret_ticket)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &work,
                                  .argument_size = sizeof(struct work *), .within_ns = within_ns};

    return weir_submit(dependency, working(), &request, queue, work, ret_ticket, NULL);
}

static weir_queue *make_queue(struct world *world)
{
    weir_queue *queue = NULL;

    cr_assert_eq(weir_queue_create(world->runtime, &queue, NULL), WEIR_OK);
    return queue;
}

static weir_status take_and_end(weir_queue *queue, weir_outcome *ret_outcome)
{
    weir_completion completion;

    cr_assert_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
    if (ret_outcome != NULL) {
        *ret_outcome = completion.outcome;
    }
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    return completion.status;
}

static void close_all(struct world *world, weir_queue *queue)
{
    cr_assert_eq(weir_runtime_stop(world->runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    cr_expect_eq(world_count(world, WEIR_COUNT_SLOTS_HELD), 0U);
    cr_expect_eq(world_count(world, WEIR_COUNT_CELLS), 0U);
    world_close(world);
}

static time_t real_seconds(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static bool await_world_count(struct world *world, size_t index, uint64_t value)
{
    const time_t until = real_seconds() + PATIENCE_SECS;

    while (world_count(world, index) != value && real_seconds() < until) {
        (void)sched_yield();
    }
    return world_count(world, index) == value;
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

/* ---- places ---- */

/* row: failsafe#393 */
Test(peer_pools, callers_whose_wait_for_a_place_runs_out_swallow_none)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work holder = {.hold = &gate};
    struct work work = {0};

    world_open(&world, "isolation: thread, threads: 1, queue: 0, max_wait: 1ms, timeout: off");
    struct executor first = {.dependency = world.dependency, .command = working(), .work = &holder};
    executor_start(&first);
    gate_await(&gate, 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    for (int round = 0; round < 100; ++round) {
        struct executor waiting[3];

        for (size_t i = 0; i < 3; ++i) {
            waiting[i] = (struct executor){
                .dependency = world.dependency, .command = working(), .work = &work};
            executor_start(&waiting[i]);
            weir_manual_clock_await_waiters(world.clock, 2 + i);
        }
        world_pass(&world, MS);
        for (size_t i = 0; i < 3; ++i) {
            cr_expect_eq(executor_join(&waiting[i]), WEIR_BULKHEAD);
        }
    }
    gate_open(&gate);
    cr_expect_eq(executor_join(&first), WEIR_OK);
    cr_expect_eq(call_once(world.dependency, &work), WEIR_OK);
    close_all(&world, NULL);
    cr_expect_eq(atomic_load(&work.runs), 1);
    cr_expect_eq(atomic_load(&work.arguments_dropped), 301);
}

/* row: hystrix-go#13 */
Test(peer_pools, no_end_of_a_call_on_any_path_loses_a_place_or_a_cell)
{
    static const weir_command too_large = {WEIR_SIZED(weir_command), .name = "too_large",
                                           .isolations = WEIR_THREAD, .argument_max = 1U << 20U,
                                           .run = run_work};
    struct gate gate = GATE_INIT;
    struct world world;
    struct work holder = {.hold = &gate};
    struct work works[50];
    weir_ticket ticket;

    memset(works, 0, sizeof(works));
    world_open(&world, "isolation: thread, threads: 1, queue: 1, completions: 0, timeout: off");
    weir_queue *const queue = make_queue(&world);
    cr_assert_eq(submit(world.dependency, &holder, queue, 0, NULL), WEIR_OK);
    gate_await(&gate, 1);
    for (int i = 0; i < 50; ++i) {
        cr_assert_eq(weir_execute(world.dependency, &too_large, NULL, NULL), WEIR_E_TOO_LARGE);
        cr_assert_eq(submit(world.dependency, &works[i], queue, i % 2 == 0 ? MS : 0, &ticket),
                     WEIR_OK);
        cr_assert_eq(submit(world.dependency, &works[i], queue, 0, NULL), WEIR_BULKHEAD);
        if (i % 2 == 0) {
            world_pass(&world, MS);
            cr_expect_eq(take_and_end(queue, NULL), WEIR_DEADLINE);
        } else {
            cr_assert_eq(weir_ticket_cancel(queue, ticket), WEIR_OK);
            cr_expect_eq(take_and_end(queue, NULL), WEIR_CANCELLED);
        }
        cr_expect_eq(atomic_load(&works[i].arguments_dropped), 2);
        cr_expect_eq(atomic_load(&works[i].runs), 0);
    }
    gate_open(&gate);
    cr_expect_eq(take_and_end(queue, NULL), WEIR_OK);
    cr_expect(await_world_count(&world, WEIR_COUNT_CELLS, 0));
    for (int i = 0; i < 2; ++i) {
        cr_expect_eq(submit(world.dependency, &works[i], queue, 0, NULL), WEIR_OK);
        cr_expect_eq(take_and_end(queue, NULL), WEIR_OK);
    }
    close_all(&world, queue);
}

/* row: envoy#22390 */
Test(peer_pools, refused_or_left_at_any_stage_no_counter_wraps)
{
    static const char *const settings[] = {
        "isolation: thread, mode: off",
        "isolation: thread, timeout: 0ms",
        "isolation: thread, rate_limit.rate: 0/s",
        "isolation: thread, threads: 1, queue: 0, breaker.consecutive_failures: 1",
        "isolation: thread, mode: observe, threads: 1, queue: 0, timeout: 1ms",
        "isolation: thread, threads: 2, completions: 0"};

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i) {
        struct gate gate = GATE_INIT;
        struct world world;
        static struct work works[50];
        uint64_t values[WEIR_COUNT_END];
        weir_completion completion;

        memset(works, 0, sizeof(works));
        world_open(&world, settings[i]);
        weir_queue *const queue = make_queue(&world);
        for (int round = 0; round < 50; ++round) {
            weir_ticket ticket;

            works[round].hold = &gate;
            if (submit(world.dependency, &works[round], queue, 0, &ticket) == WEIR_OK &&
                round % 2 == 0) {
                (void)weir_ticket_cancel(queue, ticket);
            }
            world_pass(&world, SECOND);
            (void)weir_dependency_read(world.dependency, values, WEIR_COUNT_END);
            for (size_t v = 0; v < WEIR_COUNT_END; ++v) {
                cr_assert_lt(values[v], 1ULL << 40U, "%s: %s", settings[i], weir_count_name(v));
            }
        }
        gate_open(&gate);
        (void)weir_runtime_stop(world.runtime, UINT64_MAX, NULL);
        while (weir_queue_take(queue, &completion, 1, 0) == 1) {
            cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
        }
        close_all(&world, queue);
    }
}

/* row: Sentinel#628 */
Test(peer_pools, of_many_threads_at_once_exactly_as_many_are_admitted_as_there_are_places)
{
    enum { CROWD = 40, THREADS = 4, PLACES = 10 };
    struct gate gate = GATE_INIT;
    _Atomic int running = 0;
    _Atomic int most_running = 0;
    struct executor executors[CROWD];
    struct work works[CROWD];
    struct world world;
    int admitted = 0;

    memset(works, 0, sizeof(works));
    world_open(&world, "isolation: thread, threads: 4, queue: 6, timeout: off");
    for (int i = 0; i < CROWD; ++i) {
        works[i].hold = &gate;
        works[i].running = &running;
        works[i].most_running = &most_running;
        executors[i] = (struct executor){
            .dependency = world.dependency, .command = working(), .work = &works[i]};
        executor_start(&executors[i]);
    }
    cr_expect(await_world_count(&world, WEIR_COUNT_REFUSED_BULKHEAD, CROWD - PLACES));
    cr_expect(await_world_count(&world, WEIR_COUNT_RUNNING, THREADS));
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), (uint64_t)PLACES - THREADS);
    gate_open(&gate);
    for (int i = 0; i < CROWD; ++i) {
        admitted += executor_join(&executors[i]) == WEIR_OK ? 1 : 0;
    }
    cr_expect_eq(admitted, PLACES);
    cr_expect_eq(atomic_load(&most_running), THREADS);
    cr_expect_eq(atomic_load(&running), 0);
    close_all(&world, NULL);
}

/* row: Hystrix#1867 */
Test(peer_pools, work_that_runs_on_after_its_timeout_keeps_its_place_and_its_worker)
{
    enum { CALLS = 20 };
    struct gate gate = GATE_INIT;
    _Atomic int running = 0;
    _Atomic int most_running = 0;
    struct work stuck[2];
    struct work others[CALLS];
    struct world world;

    memset(stuck, 0, sizeof(stuck));
    memset(others, 0, sizeof(others));
    world_open(&world, "isolation: thread, threads: 3, queue: 0, timeout: 10ms");
    weir_queue *const queue = make_queue(&world);
    for (int i = 0; i < 2; ++i) {
        stuck[i] = (struct work){.hold = &gate, .running = &running, .most_running = &most_running};
        cr_assert_eq(submit(world.dependency, &stuck[i], queue, 0, NULL), WEIR_OK);
    }
    gate_await(&gate, 2);
    world_pass(&world, 10 * MS);
    for (int i = 0; i < 2; ++i) {
        cr_expect_eq(take_and_end(queue, NULL), WEIR_TIMED_OUT);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 2U);
    for (int i = 0; i < CALLS; ++i) {
        others[i].running = &running;
        others[i].most_running = &most_running;
        cr_expect_eq(call_once(world.dependency, &others[i]), WEIR_OK);
    }
    cr_expect_leq(atomic_load(&most_running), 3);
    gate_open(&gate);
    cr_expect(await_world_count(&world, WEIR_COUNT_SLOTS_HELD, 0));
    close_all(&world, queue);
}

/* ---- stuck work and timeouts ---- */

/* row: brpc#1319 */
Test(peer_pools, work_that_never_returns_is_visible_with_its_age_and_others_go_on)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work stuck = {.hold = &gate};
    struct work work = {0};

    world_open(&world, "isolation: thread, threads: 2, timeout: 1s");
    weir_queue *const queue = make_queue(&world);
    cr_assert_eq(submit(world.dependency, &stuck, queue, 0, NULL), WEIR_OK);
    gate_await(&gate, 1);
    world_pass(&world, SECOND);
    cr_expect_eq(take_and_end(queue, NULL), WEIR_TIMED_OUT);
    for (int i = 0; i < 100; ++i) {
        world_pass(&world, SECOND);
        cr_expect_eq(call_once(world.dependency, &work), WEIR_OK);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED_NS), 100 * SECOND);
    gate_open(&gate);
    cr_expect(await_world_count(&world, WEIR_COUNT_ABANDONED, 0));
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED_NS), 0U);
    close_all(&world, queue);
}

/* row: brpc#1648 */
Test(peer_pools, with_every_worker_blocked_timeouts_still_come)
{
    enum { WORKERS = 4, QUEUED = 6, CALLS = WORKERS + QUEUED };
    struct gate gate = GATE_INIT;
    struct world world;
    struct work works[CALLS];
    int timed_out = 0;
    int expired = 0;

    memset(works, 0, sizeof(works));
    world_open(&world, "isolation: thread, threads: 4, queue: 6, timeout: 10ms");
    weir_queue *const queue = make_queue(&world);
    for (int i = 0; i < CALLS; ++i) {
        works[i].hold = &gate;
        cr_assert_eq(submit(world.dependency, &works[i], queue, 0, NULL), WEIR_OK);
    }
    gate_await(&gate, WORKERS);
    world_pass(&world, 10 * MS);
    for (int i = 0; i < CALLS; ++i) {
        weir_outcome outcome;

        (void)take_and_end(queue, &outcome);
        cr_expect_eq(outcome.latency_ns, 10 * MS);
        timed_out += outcome.kind == WEIR_TIMED_OUT ? 1 : 0;
        expired += outcome.kind == WEIR_DEADLINE ? 1 : 0;
    }
    cr_expect_eq(timed_out, WORKERS);
    cr_expect_eq(expired, QUEUED);
    gate_open(&gate);
    close_all(&world, queue);
    for (int i = 0; i < CALLS; ++i) {
        cr_expect_eq(atomic_load(&works[i].arguments_dropped), 1);
    }
}

/* row: Hystrix#985 */
Test(peer_pools, of_thousands_of_timeouts_none_is_missing_and_none_is_early)
{
    enum { ROUNDS = 10, CALLS = 400 };
    static struct work works[CALLS];
    struct world world;

    world_open(&world, "isolation: thread, threads: 2, queue: 400, completions: 400, timeout: off");
    weir_queue *const queue = make_queue(&world);
    for (int round = 0; round < ROUNDS; ++round) {
        struct gate gate = GATE_INIT;
        uint64_t seen = 0;

        for (uint64_t i = 0; i < CALLS; ++i) {
            memset(&works[i], 0, sizeof(works[i]));
            works[i].hold = &gate;
            /* Not in the order of their deadlines. */
            cr_assert_eq(
                submit(world.dependency, &works[i], queue, (1 + i * 37 % CALLS) * MS, NULL),
                WEIR_OK);
        }
        gate_await(&gate, 2);
        for (uint64_t i = 1; i <= CALLS; ++i) {
            weir_outcome outcome;

            world_pass(&world, MS);
            (void)take_and_end(queue, &outcome);
            cr_expect_eq(outcome.latency_ns, i * MS);
            cr_expect(outcome.kind == WEIR_TIMED_OUT || outcome.kind == WEIR_DEADLINE);
            seen += outcome.kind == WEIR_TIMED_OUT ? 1 : 0;
        }
        cr_expect_eq(seen, 2U);
        gate_open(&gate);
        cr_expect(await_world_count(&world, WEIR_COUNT_CELLS, 0));
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 2ULL * ROUNDS);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_DEADLINE), (CALLS - 2ULL) * ROUNDS);
    close_all(&world, queue);
}

/* row: Hystrix#188 */
Test(peer_pools, a_timeout_that_meets_the_end_of_the_work_gives_one_outcome_and_drops_once)
{
    enum { ROUNDS = 2000 };
    static struct work works[ROUNDS];
    struct world world;
    int values = 0;

    memset(works, 0, sizeof(works));
    world_open(&world, "isolation: thread, threads: 2, timeout: 1ms");
    weir_queue *const queue = make_queue(&world);
    for (int i = 0; i < ROUNDS; ++i) {
        weir_completion completion;

        cr_assert_eq(submit(world.dependency, &works[i], queue, 0, NULL), WEIR_OK);
        for (int pause = 0; pause < i % 6; ++pause) {
            (void)sched_yield();
        }
        world_pass(&world, MS);
        cr_assert_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
        values += completion.status == WEIR_OK ? 1 : 0;
        cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
        cr_expect_eq(weir_queue_take(queue, &completion, 1, 0), 0U);
    }
    cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    for (int i = 0; i < ROUNDS; ++i) {
        cr_expect_eq(atomic_load(&works[i].arguments_dropped), 1);
        cr_expect_eq(atomic_load(&works[i].results_dropped), atomic_load(&works[i].runs));
        cr_expect_leq(atomic_load(&works[i].runs), 1);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), (uint64_t)ROUNDS);
    cr_expect_geq(world_count(&world, WEIR_COUNT_CALLS_OK), 0U);
    cr_expect_geq(values, (int)world_count(&world, WEIR_COUNT_CALLS_OK));
    close_all(&world, queue);
}

/* row: Hystrix#1962 */
Test(peer_pools, fast_calls_with_a_long_timeout_leave_no_timer_behind)
{
    struct world world;
    struct work work = {0};
    uint64_t live = 0;
    uint64_t live_bytes = 0;
    uint64_t calls = 0;

    world_open(&world, "isolation: thread, threads: 2, timeout: 24h");
    weir_queue *const queue = make_queue(&world);
    for (int i = 0; i < 5000; ++i) {
        cr_assert_eq(submit(world.dependency, &work, queue, 0, NULL), WEIR_OK);
        cr_expect_eq(take_and_end(queue, NULL), WEIR_OK);
        if (i == 0) {
            live = world.memory.live;
            live_bytes = world.memory.live_bytes;
            calls = world.memory.calls;
        }
    }
    cr_expect_eq(world.memory.live, live);
    cr_expect_eq(world.memory.live_bytes, live_bytes);
    cr_expect_eq(world.memory.calls, calls); /* nothing was allocated in between either */
    world_pass(&world, 86400 * SECOND);      /* and nothing of it comes */
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 0U);
    close_all(&world, queue);
}

/* row: Hystrix#1939 */
Test(peer_pools, a_success_that_comes_after_the_timeout_is_counted_apart_and_answered_by_nobody)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate};

    world_open(&world, "isolation: thread, timeout: 10ms");
    struct executor executor = {
        .dependency = world.dependency, .command = answering(), .work = &work};
    executor_start(&executor);
    gate_await(&gate, 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    world_pass(&world, 10 * MS);
    cr_expect_eq(executor_join(&executor), WEIR_OK);
    cr_expect_eq(executor.outcome.kind, WEIR_TIMED_OUT); /* it is told from a refusal: */
    cr_expect_eq(executor.outcome.attempts, 1U);         /* there may be an effect */
    cr_expect_eq(executor.outcome.source, (int32_t)WEIR_BY_FALLBACK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LATE_VALUES), 0U);
    gate_open(&gate);
    cr_expect(await_world_count(&world, WEIR_COUNT_LATE_VALUES, 1));
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 1U);
    close_all(&world, NULL);
    cr_expect_eq(atomic_load(&work.results_dropped), 1);
}

/* row: Hystrix#685 */
Test(peer_pools, a_fallback_is_given_the_callers_time_that_is_left_and_not_called_without_any)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work first = {.hold = &gate};
    struct work second = {.hold = &gate};

    world_open(&world, "isolation: thread, timeout: 10ms");
    struct executor with_time = {.dependency = world.dependency,
                                 .command = answering(),
                                 .work = &first,
                                 .within_ns = 30 * MS};
    struct executor without = {.dependency = world.dependency,
                               .command = answering(),
                               .work = &second,
                               .within_ns = 10 * MS};
    executor_start(&with_time);
    executor_start(&without);
    gate_await(&gate, 2);
    weir_manual_clock_await_waiters(world.clock, 2);
    world_pass(&world, 10 * MS);
    cr_expect_eq(executor_join(&with_time), WEIR_OK);
    cr_expect_eq(executor_join(&without), WEIR_TIMED_OUT);
    cr_expect_eq(first.left_in_fallback_ns, 20 * MS);
    cr_expect_eq(atomic_load(&second.fallbacks), 0);
    gate_open(&gate);
    close_all(&world, NULL);
}

/* row: spring-cloud-netflix#327 */
static int reads_from_a_connection(weir_call *call, struct work *work)
{
    int fds[2];
    char byte;

    (void)work;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) {
        return 1;
    }
    (void)weir_call_watch_fd(call, fds[0]);
    (void)recv(fds[0], &byte, 1, 0); /* nobody answers */
    (void)weir_call_watch_fd(call, -1);
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 1;
}

Test(peer_pools, connections_of_calls_that_time_out_before_their_sockets_are_all_closed)
{
    enum { CALLS = 100 };
    static struct work works[CALLS];
    const int descriptors = entries_of("/proc/self/fd");
    struct world world;

    memset(works, 0, sizeof(works));
    world_open(&world, "isolation: thread, threads: 5, queue: 0, timeout: 10ms");
    weir_queue *const queue = make_queue(&world);
    for (int i = 0; i < CALLS; i += 5) {
        for (int j = i; j < i + 5; ++j) {
            works[j].does = reads_from_a_connection;
            cr_assert_eq(submit(world.dependency, &works[j], queue, 0, NULL), WEIR_OK);
        }
        cr_expect(await_world_count(&world, WEIR_COUNT_RUNNING, 5));
        world_pass(&world, 10 * MS);
        for (int j = i; j < i + 5; ++j) {
            cr_expect_eq(take_and_end(queue, NULL), WEIR_TIMED_OUT);
        }
        cr_expect(await_world_count(&world, WEIR_COUNT_ABANDONED, 0));
    }
    close_all(&world, queue);
    cr_expect_eq(entries_of("/proc/self/fd"), descriptors);
}

/* ---- threads and memory ---- */

/* row: Hystrix#1737 */
Test(peer_pools, pools_that_come_and_go_leave_nothing_behind)
{
    const int threads = entries_of("/proc/self/task");

    for (int i = 0; i < 50; ++i) {
        struct world world;
        struct work work = {0};

        world_open(&world, "isolation: thread, threads: 3");
        (void)world_add(&world, "mail", "isolation: thread, threads: 2");
        cr_expect_eq(call_once(world.dependency, &work), WEIR_OK);
        close_all(&world, NULL); /* and checks the memory */
    }
    cr_expect(await_threads(threads));
}

/* row: spring-cloud-circuitbreaker#114 */
Test(peer_pools, a_thousand_reloads_leave_the_number_of_threads_as_it_was)
{
    static const char *const timeouts[] = {"1s", "2s"};
    struct world world;
    struct work work = {0};
    int threads = 0;

    world_open(&world, "isolation: thread, threads: 3");
    threads = entries_of("/proc/self/task");
    for (size_t i = 0; i < 1000; ++i) {
        cr_assert_eq(world_set(&world, "timeout", timeouts[i % 2]), WEIR_OK);
    }
    for (size_t i = 0; i < 50; ++i) {
        cr_assert_eq(world_set(&world, "threads", i % 2 == 0 ? "6" : "3"), WEIR_OK);
        cr_expect_eq(call_once(world.dependency, &work), WEIR_OK);
    }
    cr_expect(await_world_count(&world, WEIR_COUNT_WORKERS, 3));
    cr_expect(await_threads(threads));
    close_all(&world, NULL);
}

/* row: Hystrix#388 */
Test(peer_pools, after_the_stop_no_thread_is_left_whatever_it_was_doing)
{
    const int threads = entries_of("/proc/self/task");

    for (int i = 0; i < 20; ++i) {
        struct gate gate = GATE_INIT;
        struct world world;
        struct work works[4] = {{.hold = &gate}, {.hold = &gate}, {0}, {0}};
        weir_completion completion;

        world_open(&world, "isolation: thread, threads: 2, replace_abandoned: 2, timeout: 1ms");
        weir_queue *const queue = make_queue(&world);
        for (int w = 0; w < 2; ++w) {
            cr_assert_eq(submit(world.dependency, &works[w], queue, 0, NULL), WEIR_OK);
        }
        gate_await(&gate, 2);
        world_pass(&world, MS); /* both left, and replaced */
        for (int w = 2; w < 4; ++w) {
            cr_assert_eq(submit(world.dependency, &works[w], queue, 0, NULL), WEIR_OK);
        }
        gate_open(&gate);
        cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
        while (weir_queue_take(queue, &completion, 1, 0) == 1) {
            cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
        }
        cr_expect(await_threads(threads));
        close_all(&world, queue);
    }
}

/* row: Hystrix#1897 */
struct resizer {
    pthread_t thread;
    struct world *world;
    _Atomic int over;
    int refused;
};

static void *resizer_main(void *user)
{
    struct resizer *const resizer = user;
    uint32_t random = 12345;

    for (int i = 0; i < 200; ++i) {
        char threads[16];
        char places[16];
        const weir_setting settings[] = {
            {.dependency = "pay", .key = "threads", .value = threads},
            {.dependency = "pay", .key = "queue", .value = places},
            {.dependency = "pay", .key = "completions", .value = places}};

        random = random * 1664525U + 1013904223U;
        (void)snprintf(threads, sizeof(threads), "%u", 1U + (random >> 20U) % 8U);
        (void)snprintf(places, sizeof(places), "%u", 20U + (random >> 10U) % 50U);
        resizer->refused +=
            weir_runtime_apply(resizer->world->runtime, settings, 3, NULL) != WEIR_OK ? 1 : 0;
    }
    atomic_store(&resizer->over, 1);
    return NULL;
}

Test(peer_pools, resizes_in_any_order_under_load_are_never_refused_and_take_effect)
{
    struct world world;
    struct work work = {0};

    world_open(&world, "isolation: thread, threads: 4, queue: 20, timeout: off");
    struct resizer resizer = {.world = &world};
    cr_assert_eq(pthread_create(&resizer.thread, NULL, resizer_main, &resizer), 0);
    do {
        cr_expect_eq(call_once(world.dependency, &work), WEIR_OK);
    } while (atomic_load(&resizer.over) == 0);
    (void)pthread_join(resizer.thread, NULL);
    cr_expect_eq(resizer.refused, 0);
    for (int i = 1; i <= 5; ++i) {
        char threads[16];

        (void)snprintf(threads, sizeof(threads), "%d", i * 3 % 7 + 1);
        cr_assert_eq(world_set(&world, "threads", threads), WEIR_OK);
        cr_expect(await_world_count(&world, WEIR_COUNT_WORKERS, (uint64_t)i * 3 % 7 + 1));
    }
    close_all(&world, NULL);
}

/* ---- contexts ---- */

static void *capture_badly(void *user)
{
    (void)user;
    errno = EBADF; /* it has failed, and says so as C functions do */
    return NULL;
}

static void *enter_badly(void *user, void *captured)
{
    (void)user;
    (void)captured;
    errno = EBADF;
    return NULL;
}

static void leave_badly(void *user, void *saved)
{
    (void)user;
    (void)saved;
    errno = EBADF;
}

static void release_badly(void *user, void *captured)
{
    (void)user;
    (void)captured;
    errno = EBADF;
}

static int fails_with_errno_kept(weir_call *call, struct work *work)
{
    (void)call;
    (void)work;
    return errno == EBADF ? 2 : 1;
}

/* row: Hystrix#1792 */
Test(peer_pools, a_carrier_that_fails_neither_loses_the_call_nor_keeps_its_caller_waiting)
{
    const weir_carrier carrier = {WEIR_SIZED(weir_carrier), .name = "bad",
                                  .capture = capture_badly, .enter = enter_badly,
                                  .leave = leave_badly,     .release = release_badly};
    struct gate gate = GATE_INIT;
    weir_carrier_slot *slot = NULL;
    struct world world;
    struct work failing = {.does = fails_with_errno_kept};
    struct work slow = {.hold = &gate};

    cr_assert_eq(weir_carrier_add(&carrier, &slot), WEIR_OK);
    world_open(&world, "isolation: thread, timeout: 10ms");
    struct executor executor = {
        .dependency = world.dependency, .command = working(), .work = &failing};
    errno = 0;
    cr_expect_eq(execute(&executor), WEIR_FAILED);
    cr_expect_eq(errno, 0);
    cr_expect_eq(executor.outcome.code, 1);
    executor.command = answering();
    executor.work = &slow;
    executor_start(&executor);
    gate_await(&gate, 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    world_pass(&world, 10 * MS);
    cr_expect_eq(executor_join(&executor), WEIR_OK);
    gate_open(&gate);
    close_all(&world, NULL);
    cr_expect_eq(weir_carrier_remove(slot), WEIR_OK);
}

/* row: Hystrix#1202 */
Test(peer_pools, a_context_is_never_seen_by_the_next_request_on_the_thread_after_any_outcome)
{
    static const uint64_t budgets[] = {0, 10 * MS};
    struct world world;
    weir_context *context = NULL;

    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 0, &context), WEIR_OK);
    world_open(&world, "isolation: thread, threads: 1, timeout: off");
    for (size_t i = 0; i < 2; ++i) {
        struct gate gate = GATE_INIT;
        struct work with = {.hold = &gate};
        struct work without = {.in_run = context};
        struct executor executor = {.dependency = world.dependency,
                                    .command = working(),
                                    .work = &with,
                                    .context = context,
                                    .within_ns = budgets[i]};

        executor_start(&executor);
        gate_await(&gate, 1);
        weir_manual_clock_await_waiters(world.clock, 1);
        world_pass(&world, 10 * MS);
        if (budgets[i] != 0) {
            cr_expect_eq(executor_join(&executor), WEIR_TIMED_OUT);
        }
        gate_open(&gate);
        if (budgets[i] == 0) {
            cr_expect_eq(executor_join(&executor), WEIR_OK);
        }
        cr_expect_eq(call_once(world.dependency, &without), WEIR_OK);
        cr_expect_eq(with.in_run, context);
        cr_expect_null(without.in_run);
        cr_assert_eq(await_world_count(&world, WEIR_COUNT_CELLS, 0), true);
    }
    weir_context_release(context);
    close_all(&world, NULL);
}

/* row: resilience4j#1357 */
Test(peer_pools, the_context_is_the_same_in_run_timeout_fallback_and_outcome)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.hold = &gate};
    weir_context *context = NULL;
    char trace[33];

    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 0, &context), WEIR_OK);
    world_open(&world, "isolation: thread, timeout: 10ms");
    struct executor executor = {
        .dependency = world.dependency, .command = answering(), .work = &work, .context = context};
    executor_start(&executor);
    gate_await(&gate, 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    world_pass(&world, 10 * MS);
    cr_expect_eq(executor_join(&executor), WEIR_OK);
    cr_expect_eq(executor.outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(work.in_run, context);
    cr_expect_eq(work.in_fallback, context);
    for (size_t i = 0; i < 16; ++i) {
        (void)snprintf(trace + 2 * i, 3, "%02x", executor.outcome.trace_id[i]);
    }
    cr_expect_str_eq(trace, weir_context_get(context, WEIR_LABEL_TRACE_ID));
    gate_open(&gate);
    weir_context_release(context);
    close_all(&world, NULL);
}

/* ---- callbacks that call ---- */

static _Atomic int calls_back, gone_wrong;

static int run_nothing(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

static const weir_command nothing = {WEIR_SIZED(weir_command), .name = "nothing",
                                     .isolations = WEIR_THREAD, .run = run_nothing};

/* Every public function that may be called from anywhere. */
static void call_everything(struct work *work)
{
    static const weir_setting same = {.dependency = "pay", .key = "queue", .value = "9"};
    struct world *const world = work->world;
    weir_dependency *const other = weir_dependency_find(world->runtime, "other");
    uint64_t values[WEIR_COUNT_END];
    weir_context *context = NULL;
    weir_scope scope;
    char text[512];
    int wrong = 0;

    wrong += weir_dependency_read(world->dependency, values, WEIR_COUNT_END) == 0 ? 1 : 0;
    (void)weir_dependency_explain(world->dependency, NULL, text, sizeof(text));
    (void)weir_metrics_render(world->runtime, WEIR_FORMAT_JSON, text, sizeof(text));
    (void)weir_runtime_check(world->runtime, NULL);
    wrong += weir_dependency_force(world->dependency, WEIR_FORCE_CLOSED, "a test", NULL);
    wrong += weir_runtime_apply(world->runtime, &same, 1, NULL);
    wrong += weir_context_derive(weir_context_current(), NULL, 0, 0, &context);
    weir_scope_open(&scope, context);
    wrong += weir_execute(other, &nothing, NULL, NULL);
    wrong += weir_scope_close(&scope);
    weir_context_release(context);
    (void)atomic_fetch_add(&calls_back, 1);
    (void)atomic_fetch_add(&gone_wrong, wrong != 0 ? 1 : 0);
}

static bool await_calls_back(int wanted)
{
    const time_t until = real_seconds() + PATIENCE_SECS;

    while (atomic_load(&calls_back) < wanted && real_seconds() < until) {
        (void)sched_yield();
    }
    return atomic_load(&calls_back) == wanted;
}

static void hook_calls_everything(void *user)
{
    call_everything(user);
}

/* Before it waits. */
static int hooks_first(weir_call *call, struct work *work)
{
    (void)weir_call_on_leave(call, hook_calls_everything, work);
    return 0;
}

/* row: Hystrix#1521 */
Test(peer_pools, callbacks_on_every_thread_may_call_every_function)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.begins = hooks_first, .hold = &gate, .calls_back = call_everything};

    atomic_store(&calls_back, 0);
    atomic_store(&gone_wrong, 0);
    world_open(&world, "isolation: thread, threads: 1, queue: 9, timeout: 10ms, breaker: on");
    (void)world_add(&world, "other", "isolation: thread, threads: 2, timeout: off");
    work.world = &world;
    struct executor executor = {
        .dependency = world.dependency, .command = answering(), .work = &work};
    executor_start(&executor);
    gate_await(&gate, 1);
    gate_open(&gate);
    cr_expect_eq(executor_join(&executor), WEIR_OK); /* run and argument_drop have called */
    struct gate second = GATE_INIT;
    work.hold = &second;
    executor_start(&executor);
    gate_await(&second, 1);
    while (world_count(&world, WEIR_COUNT_RUNNING) != 1) {
        (void)sched_yield();
    }
    world_pass(&world, 10 * MS);
    cr_expect_eq(executor_join(&executor), WEIR_OK);
    cr_expect(await_calls_back(5)); /* twice run, argument_drop, fallback, hook */
    gate_open(&second);
    cr_expect(await_calls_back(7)); /* and both drops */
    cr_expect_eq(atomic_load(&gone_wrong), 0);
    close_all(&world, NULL);
}
