/*
 * The state that each worker makes for itself: begun once, given to run, ended once, tried again.
 */
#include "support/pool_world.h"

/* ---- a state for each worker ---- */

struct state {
    pthread_t thread;
    _Atomic int starts, stops, calls;
    _Atomic int stopped_elsewhere; /* worker_stop on another thread than worker_start */
};

/* What worker_start is to do and what happened. */
struct staff {
    _Atomic int attempts;
    _Atomic int failing; /* so many attempts fail, from now on */
    _Atomic int made;
    struct state states[32];
};

static int staff_start(void *user, void **ret_state)
{
    struct staff *const staff = user;
    struct state *state;

    (void)atomic_fetch_add(&staff->attempts, 1);
    if (atomic_fetch_sub(&staff->failing, 1) > 0) {
        return 1;
    }
    state = &staff->states[atomic_fetch_add(&staff->made, 1)];
    state->thread = pthread_self();
    (void)atomic_fetch_add(&state->starts, 1);
    *ret_state = state;
    return 0;
}

static void staff_stop(void *user, void *ended)
{
    struct state *const state = ended;

    (void)user;
    (void)atomic_fetch_add(&state->stopped_elsewhere,
                           pthread_equal(state->thread, pthread_self()) ? 0 : 1);
    (void)atomic_fetch_add(&state->stops, 1);
}

static void staffed_open(struct world *world, struct staff *staff, const char *settings)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings, .worker_start = staff_start,
                                             .worker_stop = staff_stop, .user = staff};

    world_open_empty(world);
    cr_assert_eq(
        weir_dependency_create(world->runtime, "pay", &options, &world->dependency, &world->error),
        WEIR_OK);
}

static int stops_of(const struct staff *staff)
{
    int stops = 0;

    for (size_t i = 0; i < 32; ++i) {
        stops += atomic_load(&staff->states[i].stops);
    }
    return stops;
}

static bool await_number(_Atomic int *number, int value)
{
    for (int i = 0; i < 10000000 && atomic_load(number) != value; ++i) {
        (void)sched_yield();
    }
    return atomic_load(number) == value;
}

Test(pool_worker, each_worker_makes_its_state_once_and_run_is_given_its_own)
{
    struct world world;
    struct staff staff = {0};
    struct crew crew = {0};

    staffed_open(&world, &staff, "isolation: thread, threads: 3");
    for (int i = 0; i < 3; ++i) {
        crew_hold(&crew, world.dependency, 3);
        crew_release(&crew, WEIR_OK);
        for (size_t k = 0; k < 3; ++k) {
            const struct state *const state = crew.tasks[k].worker;

            cr_assert_not_null(state);
            cr_expect(pthread_equal(state->thread, crew.tasks[k].thread));
        }
        cr_expect_neq(crew.tasks[0].worker, crew.tasks[1].worker);
        cr_expect_neq(crew.tasks[1].worker, crew.tasks[2].worker);
        cr_expect_neq(crew.tasks[0].worker, crew.tasks[2].worker);
    }
    cr_expect_eq(atomic_load(&staff.attempts), 3);
    pool_close(&world);
}

Test(pool_worker, without_worker_start_run_is_given_no_state)
{
    struct world world;
    struct task task = {.worker = &world};

    pool_open(&world, "");
    cr_assert_eq(task_execute(world.dependency, &task, NULL), WEIR_OK);
    cr_assert_null(task.worker);
    pool_close(&world);
}

Test(pool_worker, at_the_end_each_state_is_stopped_once_on_its_own_thread)
{
    struct world world;
    struct staff staff = {0};

    staffed_open(&world, &staff, "isolation: thread, threads: 3");
    cr_expect(await_number(&staff.made, 3));
    pool_close(&world);
    cr_expect_eq(atomic_load(&staff.made), 3);
    for (size_t i = 0; i < 3; ++i) {
        cr_expect_eq(atomic_load(&staff.states[i].stops), 1);
        cr_expect_eq(atomic_load(&staff.states[i].stopped_elsewhere), 0);
    }
}

Test(pool_worker, a_shrink_stops_the_states_of_those_that_leave)
{
    struct world world;
    struct staff staff = {0};

    staffed_open(&world, &staff, "isolation: thread, threads: 4");
    cr_expect(await_number(&staff.made, 4));
    cr_expect_eq(world_set(&world, "threads", "1"), WEIR_OK);
    cr_expect(await_count(&world, WEIR_COUNT_WORKERS, 1));
    cr_expect_eq(stops_of(&staff), 3);
    cr_expect_eq(world_set(&world, "threads", "2"), WEIR_OK);
    cr_expect(await_number(&staff.made, 5));
    pool_close(&world);
    cr_expect_eq(stops_of(&staff), 5);
    for (size_t i = 0; i < 5; ++i) {
        cr_expect_eq(atomic_load(&staff.states[i].stopped_elsewhere), 0);
    }
}

Test(pool_worker, worker_start_is_called_without_a_call_and_creation_does_not_wait_for_it)
{
    struct world world;
    struct staff staff = {0};

    staffed_open(&world, &staff, "isolation: thread, threads: 2");
    cr_expect(await_number(&staff.made, 2));
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_SUBMITTED), 0U);
    pool_close(&world);
}

static int gated_start(void *user, void **ret_state)
{
    (void)ret_state;
    gate_pass(user);
    return 0;
}

Test(pool_worker, creation_does_not_wait_for_worker_start_and_calls_queue_meanwhile)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct task task = {0};
    struct errand errand = {0};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = "isolation: thread, threads: 1",
                                             .worker_start = gated_start, .user = &gate};

    world_open_empty(&world);
    cr_assert_eq(
        weir_dependency_create(world.runtime, "pay", &options, &world.dependency, &world.error),
        WEIR_OK);
    gate_await(&gate, 1);
    errand_start(&errand, world.dependency, &task);
    weir_manual_clock_await_waiters(world.clock, 1);
    cr_expect_eq(world_count(&world, WEIR_COUNT_QUEUED), 1U);
    gate_open(&gate);
    cr_expect_eq(errand_join(&errand), WEIR_OK);
    pool_close(&world);
}

/* ---- a worker_start that fails ---- */

Test(pool_worker, a_failed_worker_start_is_tried_again_after_worker_retry_doubled_up_to_64_times)
{
    static const uint64_t waits_ms[] = {100, 200, 400, 800, 1600, 3200, 6400, 6400, 6400};
    struct world world;
    struct staff staff = {.failing = 9};
    int attempts = 1;

    staffed_open(&world, &staff, "isolation: thread, threads: 1, worker_retry: 100ms");
    for (size_t i = 0; i < sizeof(waits_ms) / sizeof(waits_ms[0]); ++i) {
        weir_manual_clock_await_waiters(world.clock, 1);
        cr_expect_eq(atomic_load(&staff.attempts), attempts);
        cr_expect_eq(world_count(&world, WEIR_COUNT_WORKER_FAILURES), (uint64_t)attempts);
        world_pass(&world, waits_ms[i] * MS - 1);
        weir_manual_clock_await_waiters(world.clock, 1);
        cr_expect_eq(atomic_load(&staff.attempts), attempts);
        world_pass(&world, 1);
        ++attempts;
        cr_expect(await_number(&staff.attempts, attempts));
    }
    cr_expect(await_number(&staff.made, 1));
    cr_expect_eq(world_try(&world), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKER_FAILURES), 9U);
    pool_close(&world);
    cr_expect_eq(stops_of(&staff), 1);
}

Test(pool_worker, while_one_worker_cannot_start_the_others_go_on)
{
    struct world world;
    struct staff staff = {.failing = 1};
    struct task task = {0};

    staffed_open(&world, &staff, "isolation: thread, threads: 2");
    weir_manual_clock_await_waiters(world.clock, 1);
    cr_expect(await_number(&staff.made, 1));
    for (int i = 0; i < 20; ++i) {
        cr_expect_eq(task_execute(world.dependency, &task, NULL), WEIR_OK);
        cr_expect_eq(task.worker, &staff.states[0]);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKER_FAILURES), 1U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_WORKERS), 2U);
    pool_close(&world);
}

Test(pool_worker, while_no_worker_can_start_calls_wait_for_one_until_their_deadline)
{
    struct world world;
    struct staff staff = {.failing = 1};
    struct task tasks[2] = {{0}, {0}};
    struct errand errands[2] = {{.within_ns = 30 * MS}, {0}};

    staffed_open(&world, &staff, "isolation: thread, threads: 1, timeout: off");
    weir_manual_clock_await_waiters(world.clock, 1);
    errand_start(&errands[0], world.dependency, &tasks[0]);
    errand_start(&errands[1], world.dependency, &tasks[1]);
    weir_manual_clock_await_waiters(world.clock, 3);
    world_pass(&world, 30 * MS);
    cr_expect_eq(errand_join(&errands[0]), WEIR_DEADLINE);
    world_pass(&world, 70 * MS);
    cr_expect_eq(errand_join(&errands[1]), WEIR_OK);
    pool_close(&world);
}

Test(pool_worker, a_worker_that_never_started_is_not_stopped)
{
    struct world world;
    struct staff staff = {.failing = 1000};

    staffed_open(&world, &staff, "isolation: thread, threads: 3");
    weir_manual_clock_await_waiters(world.clock, 3);
    pool_close(&world);
    cr_expect_eq(stops_of(&staff), 0);
}

Test(pool_worker, worker_start_and_worker_stop_are_refused_inline)
{
    struct world world;
    weir_dependency *dependency = NULL;
    weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                       .worker_start = staff_start};

    world_open_empty(&world);
    cr_assert_eq(weir_dependency_create(world.runtime, "pay", &options, &dependency, &world.error),
                 WEIR_E_ARGUMENT);
    cr_assert(world_says(&world, "worker_start"));
    cr_assert(world_says(&world, "remove"));
    options.worker_start = NULL;
    options.worker_stop = staff_stop;
    cr_assert_eq(weir_dependency_create(world.runtime, "pay", &options, &dependency, &world.error),
                 WEIR_E_ARGUMENT);
    cr_assert_null(weir_dependency_find(world.runtime, "pay"));
    world_close(&world);
}
