/*
 * The neutral condition in which worker threads start, whatever the creating thread has.
 */
#define _GNU_SOURCE
#include "support/pool_world.h"

#include <fenv.h>
#include <signal.h>

/* What a worker finds itself to be. */
struct mirror {
    sigset_t blocked;
    char name[32];
    int cpus;
    int rounding;
    int cancel_state;
    size_t stack_bytes;
};

static int mirror_run(weir_call *call, const void *argument, void *result)
{
    struct mirror mirror = {0};
    pthread_attr_t attributes;
    cpu_set_t cpus;

    (void)call;
    (void)argument;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &mirror.blocked);
    (void)pthread_getname_np(pthread_self(), mirror.name, sizeof(mirror.name));
    if (pthread_getaffinity_np(pthread_self(), sizeof(cpus), &cpus) == 0) {
        mirror.cpus = CPU_COUNT(&cpus);
    }
    mirror.rounding = fegetround();
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mirror.cancel_state);
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        (void)pthread_attr_getstacksize(&attributes, &mirror.stack_bytes);
        (void)pthread_attr_destroy(&attributes);
    }
    memcpy(result, &mirror, sizeof(mirror));
    return 0;
}

static struct mirror look_at_worker(struct world *world)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "mirror",
                                         .isolations = WEIR_THREAD,
                                         .result_max = sizeof(struct mirror), .run = mirror_run};
    struct mirror mirror = {0};
    const weir_request request = {WEIR_SIZED(weir_request), .result = &mirror};

    cr_expect_eq(weir_execute(world->dependency, &command, &request, NULL), WEIR_OK);
    return mirror;
}

Test(pool_thread, signals_are_blocked_but_those_that_a_fault_raises)
{
    static const int blocked[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGUSR1, SIGUSR2,
                                  SIGALRM, SIGCHLD, SIGPIPE, SIGPROF, SIGURG};
    static const int open[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    struct world world;
    struct mirror mirror;

    pool_open(&world, "");
    mirror = look_at_worker(&world);
    pool_close(&world);
    for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); ++i) {
        cr_expect_eq(sigismember(&mirror.blocked, blocked[i]), 1, "signal %d", blocked[i]);
    }
    cr_expect_eq(sigismember(&mirror.blocked, SIGRTMIN), 1);
    cr_expect_eq(sigismember(&mirror.blocked, SIGRTMAX), 1);
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); ++i) {
        cr_expect_eq(sigismember(&mirror.blocked, open[i]), 0, "signal %d", open[i]);
    }
}

Test(pool_thread, the_creating_threads_signal_mask_is_left_alone)
{
    struct world world;
    sigset_t before;
    sigset_t after;

    (void)pthread_sigmask(SIG_SETMASK, NULL, &before);
    pool_open(&world, "");
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    cr_assert_eq(sigismember(&after, SIGTERM), sigismember(&before, SIGTERM));
    cr_assert_eq(sigismember(&after, SIGUSR1), sigismember(&before, SIGUSR1));
    pool_close(&world);
}

Test(pool_thread, its_name_begins_with_the_dependencys)
{
    struct world world;
    struct mirror mirror;

    pool_open(&world, "threads: 1");
    mirror = look_at_worker(&world);
    cr_assert_str_eq(mirror.name, "pay/0");
    pool_close(&world);

    world_open_empty(&world);
    world.dependency = world_add(&world, "a-very-long-name-of-a-dependency", "isolation: thread");
    mirror = look_at_worker(&world);
    cr_assert_eq(strncmp(mirror.name, "a-very-lon/", 11), 0);
    pool_close(&world);
}

Test(pool_thread, it_runs_where_the_process_was_started_to_run_whatever_its_creator_is_pinned_to)
{
    struct world world;
    struct mirror mirror;
    cpu_set_t all;
    cpu_set_t one;
    int cpu = 0;

    cr_assert_eq(pthread_getaffinity_np(pthread_self(), sizeof(all), &all), 0);
    while (!CPU_ISSET((size_t)cpu, &all)) {
        ++cpu;
    }
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    cr_assert_eq(pthread_setaffinity_np(pthread_self(), sizeof(one), &one), 0);
    pool_open(&world, "threads: 1");
    mirror = look_at_worker(&world);
    pool_close(&world);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(all), &all);
    cr_assert_eq(mirror.cpus, CPU_COUNT(&all));
}

Test(pool_thread, its_floating_point_rounds_to_nearest_whatever_its_creators_does)
{
    struct world world;
    struct mirror mirror;

    cr_assert_eq(fesetround(FE_UPWARD), 0);
    pool_open(&world, "threads: 1");
    mirror = look_at_worker(&world);
    pool_close(&world);
    (void)fesetround(FE_TONEAREST);
    cr_assert_eq(mirror.rounding, FE_TONEAREST);
}

Test(pool_thread, it_cannot_be_cancelled)
{
    struct world world;

    pool_open(&world, "threads: 1");
    cr_assert_eq(look_at_worker(&world).cancel_state, PTHREAD_CANCEL_DISABLE);
    pool_close(&world);
}

/* One size above the usual default, one below. The C library may hand out a stack of an earlier
 * thread that is up to four times as large. */
Test(pool_thread, its_stack_has_the_size_that_was_set)
{
    struct world world;

    pool_open(&world, "threads: 1, stack_size: 20MiB");
    cr_assert_geq(look_at_worker(&world).stack_bytes, 20U << 20U);
    pool_close(&world);
    pool_open(&world, "threads: 1, stack_size: 512KiB");
    cr_assert_lt(look_at_worker(&world).stack_bytes, 4U << 20U);
    pool_close(&world);
}

Test(pool_thread, workers_that_are_added_live_start_in_the_same_condition)
{
    struct world world;
    struct crew crew = {0};
    struct mirror mirror;

    pool_open(&world, "threads: 1");
    crew_hold(&crew, world.dependency, 1); /* the first worker: the second has the call below */
    cr_assert_eq(fesetround(FE_UPWARD), 0);
    cr_expect_eq(world_set(&world, "threads", "2"), WEIR_OK);
    mirror = look_at_worker(&world);
    (void)fesetround(FE_TONEAREST);
    cr_expect_eq(mirror.rounding, FE_TONEAREST);
    cr_expect_eq(sigismember(&mirror.blocked, SIGTERM), 1);
    cr_expect_eq(mirror.cancel_state, PTHREAD_CANCEL_DISABLE);
    cr_expect_str_eq(mirror.name, "pay/1");
    crew_release(&crew, WEIR_OK);
    pool_close(&world);
}
