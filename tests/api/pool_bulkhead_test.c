/*
 * The bulkhead of a pool: running + queued + abandoned calls have threads + queue places, exactly;
 * gauges and laws at each gate. Live changes of its size are in pool_resize_test.c.
 */
#include "support/pool_world.h"

/* Calls that wait for a worker, behind the crew. */
struct line {
    struct task tasks[8];
    struct errand errands[8];
    size_t count;
};

/* `before`: threads that wait on the clock already. */
static void line_up(struct line *line, struct world *world, size_t count, size_t before)
{
    memset(line, 0, sizeof(*line));
    for (; line->count < count; ++line->count) {
        errand_start(&line->errands[line->count], world->dependency, &line->tasks[line->count]);
        weir_manual_clock_await_waiters(world->clock, before + line->count + 1);
    }
}

static void line_end(struct line *line, weir_status status)
{
    for (size_t i = 0; i < line->count; ++i) {
        cr_expect_eq(errand_join(&line->errands[i]), status);
    }
}

static void expect_gauges(struct world *world, uint64_t running, uint64_t queued,
                          uint64_t abandoned)
{
    cr_expect_eq(world_count(world, WEIR_COUNT_RUNNING), running);
    cr_expect_eq(world_count(world, WEIR_COUNT_QUEUED), queued);
    cr_expect_eq(world_count(world, WEIR_COUNT_ABANDONED), abandoned);
    cr_expect_eq(world_count(world, WEIR_COUNT_SLOTS_HELD), running + queued + abandoned);
    cr_expect_eq(world_count(world, WEIR_COUNT_CALLS_OPEN), running + queued);
    world_check_laws(world);
}

/* ---- places ---- */

Test(pool_bulkhead, it_has_threads_and_queue_places_and_a_refusal_means_that_all_are_taken)
{
    struct world world;
    struct crew crew = {0};
    struct line line;
    weir_outcome outcome;
    struct task task = {0};

    pool_open(&world, "threads: 2, queue: 3");
    cr_expect_eq(world_count(&world, WEIR_COUNT_LIMIT), 5U);
    crew_hold(&crew, world.dependency, 2);
    line_up(&line, &world, 3, 2);
    expect_gauges(&world, 2, 3, 0);
    cr_expect_eq(task_execute(world.dependency, &task, &outcome), WEIR_BULKHEAD);
    cr_expect_eq(outcome.kind, WEIR_BULKHEAD);
    cr_expect_eq(outcome.attempts, 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_BULKHEAD), 1U);
    expect_gauges(&world, 2, 3, 0);
    crew_release(&crew, WEIR_OK);
    line_end(&line, WEIR_OK);
    expect_gauges(&world, 0, 0, 0);
    cr_expect_eq(world_try(&world), WEIR_OK);
    pool_close(&world);
    cr_expect_eq(atomic_load(&task.runs), 0);
}

Test(pool_bulkhead, without_a_queue_a_call_passes_only_while_a_worker_is_free)
{
    struct world world;
    struct crew crew = {0};

    pool_open(&world, "threads: 2, queue: 0");
    crew_hold(&crew, world.dependency, 1);
    cr_expect_eq(world_try(&world), WEIR_OK);
    crew_hold(&crew, world.dependency, 1);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_OK);
    pool_close(&world);
}

Test(pool_bulkhead, a_place_is_free_when_execute_returns)
{
    struct world world;

    pool_open(&world, "threads: 1, queue: 0");
    for (int i = 0; i < 200; ++i) {
        cr_assert_eq(world_try(&world), WEIR_OK);
    }
    pool_close(&world);
}

Test(pool_bulkhead, abandoned_work_keeps_its_place)
{
    struct world world;
    struct crew crew = {0};
    struct line line;

    pool_open(&world, "threads: 1, queue: 1, timeout: 100ms");
    crew_hold(&crew, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    expect_gauges(&world, 0, 0, 1);
    line_up(&line, &world, 1, 0);
    expect_gauges(&world, 0, 1, 1);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_come_back(&crew, world.dependency);
    line_end(&line, WEIR_OK);
    expect_gauges(&world, 0, 0, 0);
    pool_close(&world);
}

Test(pool_bulkhead, queued_calls_run_first_come_first_served)
{
    struct world world;
    struct crew crew = {0};
    struct log log = {0};
    struct task tasks[6];
    struct errand errands[6];

    memset(tasks, 0, sizeof(tasks));
    memset(errands, 0, sizeof(errands));
    pool_open(&world, "threads: 1, queue: 6");
    crew_hold(&crew, world.dependency, 1);
    for (int i = 0; i < 6; ++i) {
        tasks[i].log = &log;
        tasks[i].number = i;
        errand_start(&errands[i], world.dependency, &tasks[i]);
        weir_manual_clock_await_waiters(world.clock, (size_t)i + 2);
    }
    crew_release(&crew, WEIR_OK);
    for (int i = 0; i < 6; ++i) {
        cr_expect_eq(errand_join(&errands[i]), WEIR_OK);
    }
    pool_close(&world);
    cr_expect_eq(atomic_load(&log.count), 6U);
    for (int i = 0; i < 6; ++i) {
        cr_expect_eq(log.numbers[i], i);
    }
}

Test(pool_bulkhead, max_wait_lets_execute_wait_for_a_place_on_top_of_the_queue)
{
    struct world world;
    struct crew crew = {0};
    struct line line;

    pool_open(&world, "threads: 1, queue: 1, max_wait: 1s, timeout: off");
    crew_hold(&crew, world.dependency, 1);
    line_up(&line, &world, 2, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 1U);
    world_check_laws(&world);
    crew_release(&crew, WEIR_OK);
    line_end(&line, WEIR_OK);
    cr_expect_eq(line.errands[0].outcome.flags, 0U);
    cr_expect_eq(line.errands[1].outcome.flags, (uint32_t)WEIR_FLAG_WAITED);
    pool_close(&world);
}

Test(pool_bulkhead, a_wait_for_a_place_ends_at_max_wait)
{
    struct world world;
    struct crew crew = {0};
    struct line line;

    pool_open(&world, "threads: 1, queue: 0, max_wait: 1s, timeout: off");
    crew_hold(&crew, world.dependency, 1);
    line_up(&line, &world, 1, 1);
    world_pass(&world, SECOND);
    line_end(&line, WEIR_BULKHEAD);
    cr_expect_eq(line.errands[0].outcome.latency_ns, SECOND);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
    cr_expect_eq(atomic_load(&line.tasks[0].argument_drops), 1);
}

Test(pool_bulkhead, the_place_of_work_that_comes_back_late_goes_to_who_waits_for_one)
{
    struct world world;
    struct crew crew = {0};
    struct line line;

    pool_open(&world, "threads: 1, queue: 0, max_wait: 10s, timeout: 100ms");
    crew_hold(&crew, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    line_up(&line, &world, 1, 0);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 1U);
    crew_come_back(&crew, world.dependency);
    line_end(&line, WEIR_OK);
    pool_close(&world);
}

/* ---- gauges and laws ---- */

Test(pool_bulkhead, the_oldest_abandoned_call_is_as_old_as_its_callers_leaving)
{
    struct world world;
    struct crew first = {0};
    struct crew second = {0};

    pool_open(&world, "threads: 2, timeout: 100ms");
    crew_hold(&first, world.dependency, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED_NS), 0U);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&first, WEIR_TIMED_OUT);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED_NS), 0U);
    crew_hold(&second, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&second, WEIR_TIMED_OUT);
    world_pass(&world, 7 * MS);
    expect_gauges(&world, 0, 0, 2);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED_NS), 107 * MS);
    gate_open(&first.gate);
    cr_expect(await_count(&world, WEIR_COUNT_ABANDONED, 1));
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED_NS), 7 * MS);
    crew_come_back(&second, world.dependency);
    cr_expect_eq(world_count(&world, WEIR_COUNT_ABANDONED_NS), 0U);
    pool_close(&world);
}

Test(pool_bulkhead, the_laws_hold_after_every_mix_of_outcomes)
{
    struct world world;
    struct crew left = {0};
    struct line line;

    pool_open(&world, "threads: 2, queue: 1, breaker: on, timeout: 100ms");
    for (int verdict = WEIR_V_OK; verdict <= WEIR_V_CANCELLED; ++verdict) {
        struct task task = {.code = verdict};

        (void)task_execute(world.dependency, &task, NULL);
        expect_gauges(&world, 0, 0, 0);
    }
    crew_hold(&left, world.dependency, 2);
    expect_gauges(&world, 2, 0, 0);
    line_up(&line, &world, 1, 2);
    expect_gauges(&world, 2, 1, 0);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    expect_gauges(&world, 2, 1, 0);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&left, WEIR_TIMED_OUT);
    line_end(&line, WEIR_DEADLINE);
    expect_gauges(&world, 0, 0, 2);
    cr_expect_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, NULL, NULL), WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_OPEN);
    expect_gauges(&world, 0, 0, 2);
    crew_come_back(&left, world.dependency);
    expect_gauges(&world, 0, 0, 0);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LATE_VALUES), 2U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 12U);
    pool_close(&world);
}

struct storm {
    struct world *world;
    _Atomic uint64_t ok, refused, other;
};

static void *storm_main(void *user)
{
    struct storm *const storm = user;

    for (int i = 0; i < 300; ++i) {
        const weir_status status = world_try(storm->world);

        (void)atomic_fetch_add(status == WEIR_OK         ? &storm->ok
                               : status == WEIR_BULKHEAD ? &storm->refused
                                                         : &storm->other,
                               1);
    }
    return NULL;
}

Test(pool_bulkhead, under_a_storm_of_callers_everything_is_counted_once)
{
    enum { CALLERS = 8 };
    struct world world;
    struct storm storm = {.world = &world};
    pthread_t threads[CALLERS];

    pool_open(&world, "threads: 2, queue: 2");
    for (size_t i = 0; i < CALLERS; ++i) {
        cr_assert_eq(pthread_create(&threads[i], NULL, storm_main, &storm), 0);
    }
    for (size_t i = 0; i < CALLERS; ++i) {
        (void)pthread_join(threads[i], NULL);
    }
    cr_expect_eq(atomic_load(&storm.other), 0U);
    cr_expect_eq(atomic_load(&storm.ok) + atomic_load(&storm.refused), 300UL * CALLERS);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), atomic_load(&storm.ok));
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_BULKHEAD), atomic_load(&storm.refused));
    pool_close(&world);
}

/* ---- abandoned calls ---- */

Test(pool_bulkhead, from_abandoned_max_on_new_calls_are_refused_until_work_comes_back)
{
    struct world world;
    struct crew first = {0};
    struct crew second = {0};

    pool_open(&world, "threads: 4, timeout: 100ms, abandoned_max: 2");
    crew_hold(&first, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&first, WEIR_TIMED_OUT);
    cr_expect_eq(world_try(&world), WEIR_OK);
    crew_hold(&second, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&second, WEIR_TIMED_OUT);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_BULKHEAD), 1U);
    gate_open(&first.gate);
    cr_expect(await_count(&world, WEIR_COUNT_ABANDONED, 1));
    /* The gauge is the slots'; the gate reads the pool's own, which follows. */
    for (int i = 0; i < 100000 && world_try(&world) != WEIR_OK; ++i) {
        (void)sched_yield();
    }
    cr_expect_eq(world_try(&world), WEIR_OK);
    crew_come_back(&second, world.dependency);
    pool_close(&world);
}

Test(pool_bulkhead, abandoned_max_may_change_live)
{
    struct world world;
    struct crew crew = {0};

    pool_open(&world, "threads: 4, timeout: 100ms");
    crew_hold(&crew, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    cr_expect_eq(world_try(&world), WEIR_OK);
    cr_expect_eq(world_set(&world, "abandoned_max", "1"), WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    cr_expect_eq(world_set(&world, "abandoned_max", "off"), WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_OK);
    crew_come_back(&crew, world.dependency);
    pool_close(&world);
}

Test(pool_bulkhead, an_abandoned_worker_is_replaced_and_one_too_many_retires_later)
{
    struct world world;
    struct crew crew = {0};

    pool_open(&world, "threads: 1, queue: 1, timeout: 100ms, replace_abandoned: 1");
    crew_hold(&crew, world.dependency, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 1U);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, 2));
    cr_expect_eq(world_try(&world), WEIR_OK);
    crew_come_back(&crew, world.dependency);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, 1));
    cr_expect_eq(world_try(&world), WEIR_OK);
    pool_close(&world);
}

Test(pool_bulkhead, at_most_replace_abandoned_workers_are_replaced)
{
    struct world world;
    struct crew crew = {0};
    struct crew more = {0};

    pool_open(&world, "threads: 2, queue: 4, timeout: 100ms, replace_abandoned: 1");
    crew_hold(&crew, world.dependency, 2);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, 3));
    crew_hold(&more, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&more, WEIR_TIMED_OUT);
    /* All three are stuck: the next call finds nobody and expires in the queue. */
    more.errands[1].within_ns = 5 * MS;
    errand_start(&more.errands[1], world.dependency, &more.tasks[1]);
    weir_manual_clock_await_waiters(world.clock, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 3U);
    world_pass(&world, 5 * MS);
    cr_expect_eq(errand_join(&more.errands[1]), WEIR_DEADLINE);
    gate_open(&crew.gate);
    crew_come_back(&more, world.dependency);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, 2));
    pool_close(&world);
}

Test(pool_bulkhead, without_replace_abandoned_no_worker_is_replaced)
{
    struct world world;
    struct crew crew = {0};
    struct line line;

    pool_open(&world, "threads: 1, queue: 1, timeout: 100ms");
    crew_hold(&crew, world.dependency, 1);
    world_pass(&world, 100 * MS);
    crew_lose_callers(&crew, WEIR_TIMED_OUT);
    line_up(&line, &world, 1, 0);
    world_pass(&world, 100 * MS);
    line_end(&line, WEIR_DEADLINE);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 1U);
    crew_come_back(&crew, world.dependency);
    pool_close(&world);
}
