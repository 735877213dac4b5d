/*
 * A pool that changes its size while calls run: threads, queue, completions.
 */
#include "support/pool_world.h"

#include <dirent.h>

/* ---- threads ---- */

Test(pool_resize, more_threads_run_what_was_queued)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {0};
    struct errand errand = {0};

    pool_open(&world, "threads: 1, queue: 1");
    crew_hold(&crew, world.dependency, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    cr_expect_eq(world_set(&world, "threads", "2"), WEIR_OK);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 2U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LIMIT), 3U);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
}

Test(pool_resize, idle_workers_that_are_too_many_leave)
{
    struct world world;

    pool_open(&world, "threads: 5");
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 5U);
    cr_expect_eq(world_set(&world, "threads", "2"), WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, 2));
    cr_expect_eq(world_try(&world), WEIR_OK);
    pool_close(&world);
}

Test(pool_resize, busy_workers_that_are_too_many_leave_when_their_call_has_ended)
{
    struct world world;
    struct crew crew = {0};

    pool_open(&world, "threads: 3, queue: 0");
    crew_hold(&crew, world.dependency, 3);
    cr_expect_eq(world_set(&world, "threads", "1"), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 3U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_RUNNING), 3U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 3U);
    world_check_laws(&world);
    crew_release(&crew, WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, 1));
    pool_close(&world);
}

Test(pool_resize, after_a_shrink_nothing_is_admitted_until_below)
{
    struct world world;
    struct crew crews[3];

    memset(crews, 0, sizeof(crews));
    pool_open(&world, "threads: 3, queue: 0");
    for (size_t i = 0; i < 3; ++i) {
        crew_hold(&crews[i], world.dependency, 1);
    }
    cr_expect_eq(world_set(&world, "threads", "1"), WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_release(&crews[0], WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_release(&crews[1], WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 1U);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_release(&crews[2], WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_OK);
    pool_close(&world);
}

Test(pool_resize, a_shrunk_pool_grows_again)
{
    struct world world;
    struct crew crew = {0};

    pool_open(&world, "threads: 3, queue: 0");
    cr_expect_eq(world_set(&world, "threads", "1"), WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, 1));
    cr_expect_eq(world_set(&world, "threads", "3"), WEIR_OK);
    crew_hold(&crew, world.dependency, 3);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
}

Test(pool_resize, a_shrink_taken_back_before_the_calls_end_costs_no_worker)
{
    struct world world;
    struct crew crew = {0};

    pool_open(&world, "threads: 3, queue: 0");
    crew_hold(&crew, world.dependency, 3);
    cr_expect_eq(world_set(&world, "threads", "1"), WEIR_OK);
    cr_expect_eq(world_set(&world, "threads", "3"), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 3U);
    crew_release(&crew, WEIR_OK);
    crew_hold(&crew, world.dependency, 3);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 3U);
    pool_close(&world);
}

/* ---- queue ---- */

Test(pool_resize, a_longer_queue_admits_at_once)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {0};
    struct errand errand = {0};

    pool_open(&world, "threads: 1, queue: 0");
    crew_hold(&crew, world.dependency, 1);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    cr_expect_eq(world_set(&world, "queue", "1"), WEIR_OK);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 1U);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    pool_close(&world);
}

Test(pool_resize, a_longer_queue_hands_its_places_to_who_waits_for_one)
{
    struct world world;
    struct crew crew = {0};
    struct task task = {0};
    struct errand errand = {0};

    pool_open(&world, "threads: 1, queue: 0, max_wait: 1s");
    crew_hold(&crew, world.dependency, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 2);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WAITING), 1U);
    cr_expect_eq(world_set(&world, "queue", "1"), WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_QUEUED, 1));
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    pool_close(&world);
}

Test(pool_resize, queued_calls_keep_their_places_when_the_queue_shrinks)
{
    struct world world;
    struct crew crew = {0};
    struct task tasks[2] = {{0}, {0}};
    struct errand errands[2] = {{0}, {0}};

    pool_open(&world, "threads: 1, queue: 2");
    crew_hold(&crew, world.dependency, 1);
    for (size_t i = 0; i < 2; ++i) {
        errand_start(&errands[i], world.dependency, &tasks[i]);
        weir_manual_clock_await_waiters(world.clock, i + 2);
    }
    cr_expect_eq(world_set(&world, "queue", "0"), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 2U);
    cr_expect_eq(world_try(&world), WEIR_BULKHEAD);
    crew_release(&crew, WEIR_OK);
    cr_expect_eq(errand_join(&errands[0]), WEIR_OK);
    cr_expect_eq(errand_join(&errands[1]), WEIR_OK);
    cr_expect_eq(world_try(&world), WEIR_OK);
    pool_close(&world);
}

/* ---- many times ---- */

static size_t threads_of_this_process(void)
{
    DIR *const folder = opendir("/proc/self/task");
    size_t count = 0;

    cr_assert_not_null(folder);
    while (readdir(folder) != NULL) { /* NOLINT(concurrency-mt-unsafe): a stream of our own */
        ++count;
    }
    (void)closedir(folder);
    return count - 2; /* . and .. */
}

static bool await_threads(size_t count)
{
    for (int i = 0; i < 1000000; ++i) {
        if (threads_of_this_process() == count) {
            return true;
        }
        (void)sched_yield();
    }
    return false;
}

struct traffic {
    struct world *world;
    _Atomic int ends;
    _Atomic int ok;
    _Atomic int other; /* neither ok nor refused */
};

/* Some calls have come through; then no more are made. */
static void traffic_end(struct traffic *traffic)
{
    for (int i = 0; i < 10000000 && atomic_load(&traffic->ok) < 10; ++i) {
        (void)sched_yield();
    }
    cr_expect_geq(atomic_load(&traffic->ok), 10);
    atomic_store(&traffic->ends, 1);
}

static void *traffic_main(void *user)
{
    struct traffic *const traffic = user;

    while (atomic_load(&traffic->ends) == 0) {
        const weir_status status = world_try(traffic->world);

        (void)atomic_fetch_add(status == WEIR_OK ? &traffic->ok : &traffic->other,
                               status == WEIR_BULKHEAD ? 0 : 1);
    }
    return NULL;
}

Test(pool_resize, a_thousand_random_resizes_under_traffic_leave_the_thread_count_right)
{
    struct world world;
    struct traffic traffic = {.world = &world};
    pthread_t thread;
    uint32_t dice = 12345;
    size_t before;
    unsigned wanted = 1;

    pool_open(&world, "threads: 1, queue: 0");
    before = threads_of_this_process() - 1;
    cr_assert_eq(pthread_create(&thread, NULL, traffic_main, &traffic), 0);
    for (int i = 0; i < 1000; ++i) {
        char text[16];

        dice = dice * 1664525U + 1013904223U;
        wanted = 1 + (dice >> 16U) % 12;
        (void)snprintf(text, sizeof(text), "%u", wanted);
        cr_expect_eq(world_set(&world, "threads", text), WEIR_OK);
    }
    traffic_end(&traffic);
    (void)pthread_join(thread, NULL);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, wanted));
    cr_expect(await_threads(before + wanted));
    cr_expect_eq(atomic_load(&traffic.other), 0);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LIMIT), (uint64_t)wanted);
    pool_close(&world);
}

Test(pool_resize, a_thousand_random_resizes_of_the_queue_lose_no_call)
{
    struct world world;
    struct traffic traffic = {.world = &world};
    pthread_t threads[3];
    uint32_t dice = 54321;

    pool_open(&world, "threads: 1, queue: 0");
    for (size_t i = 0; i < 3; ++i) {
        cr_assert_eq(pthread_create(&threads[i], NULL, traffic_main, &traffic), 0);
    }
    for (int i = 0; i < 1000; ++i) {
        char text[16];

        dice = dice * 1664525U + 1013904223U;
        (void)snprintf(text, sizeof(text), "%u", (dice >> 16U) % 8);
        cr_expect_eq(world_set(&world, "queue", text), WEIR_OK);
    }
    traffic_end(&traffic);
    for (size_t i = 0; i < 3; ++i) {
        (void)pthread_join(threads[i], NULL);
    }
    cr_expect_eq(atomic_load(&traffic.other), 0);
    pool_close(&world);
}

/* ---- completions ---- */

Test(pool_resize, completions_that_were_not_collected_bound_what_is_submitted)
{
    struct world world;
    struct task tasks[5] = {{0}, {0}, {0}, {0}, {0}};
    struct task refused = {0};
    weir_completion completions[5];
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 1, completions: 3");
    queue = queue_open(&world);
    for (size_t i = 0; i < 5; ++i) {
        (void)world_submit(&world, queue, &tasks[i]);
        completions[i] = queue_next(queue);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_CELLS), 5U);
    cr_expect_eq(task_submit(world.dependency, queue, &refused, 0, NULL), WEIR_CELLS);
    cr_expect_eq(world_count(&world, WEIR_COUNT_REFUSED_CELLS), 1U);
    cr_expect_eq(atomic_load(&refused.argument_drops), 1);
    world_check_laws(&world);
    cr_expect_eq(weir_completion_end(&completions[0], NULL), WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_CELLS, 4));
    (void)world_submit(&world, queue, &refused);
    completions[0] = queue_next(queue);
    for (size_t i = 0; i < 5; ++i) {
        cr_expect_eq(weir_completion_end(&completions[i], NULL), WEIR_OK);
    }
    queue_close(queue);
    pool_close(&world);
}

Test(pool_resize, execute_is_refused_too_while_there_is_no_cell)
{
    struct world world;
    struct task task = {0};
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 0, completions: 0");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &task);
    weir_completion completion = queue_next(queue); /* its place is free, its cell is not */
    cr_expect_eq(world_try(&world), WEIR_CELLS);
    world_check_laws(&world);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_CELLS, 0));
    cr_expect_eq(world_try(&world), WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}

Test(pool_resize, more_completions_may_be_allowed_live)
{
    struct world world;
    struct task tasks[2] = {{0}, {0}};
    weir_queue *queue;

    pool_open(&world, "threads: 1, queue: 0, completions: 0");
    queue = queue_open(&world);
    (void)world_submit(&world, queue, &tasks[0]);
    weir_completion completion = queue_next(queue);
    cr_expect_eq(world_set(&world, "completions", "1"), WEIR_OK);
    (void)world_submit(&world, queue, &tasks[1]);
    cr_expect_eq(queue_finish(queue, NULL), WEIR_OK);
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    queue_close(queue);
    pool_close(&world);
}
