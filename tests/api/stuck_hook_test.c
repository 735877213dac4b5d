/*
 * A runtime that is destroyed while a hook blocks its helper thread: what the helper was still to
 * do is forgotten, what it uses is kept.
 */
#include "support/world.h"

#include <dirent.h>
#include <sched.h>
#include <stdatomic.h>

/* Static: what is kept on purpose stays reachable. */
static struct world kept;
static _Atomic int in_hook;
static _Atomic int let_go;

static void block(void *user)
{
    (void)user;
    atomic_store(&in_hook, 1);
    while (atomic_load(&let_go) == 0) {
        (void)sched_yield();
    }
}

static int run_until_left(weir_call *call, const void *argument, void *result)
{
    (void)argument;
    (void)result;
    (void)weir_call_on_leave(call, block, NULL);
    while (atomic_load(&in_hook) == 0) { /* its return would end the hook before it begins */
        (void)sched_yield();
    }
    return 0;
}

static const weir_command command = {WEIR_SIZED(weir_command), .name = "until left",
                                     .isolations = WEIR_THREAD, .run = run_until_left};

static void *execute(void *user)
{
    (void)weir_execute(user, &command, NULL, NULL);
    return NULL;
}

static bool helper_lives(void)
{
    DIR *const folder = opendir("/proc/self/task");
    const struct dirent *entry;
    bool found = false;

    cr_assert_not_null(folder);
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    while ((entry = readdir(folder)) != NULL) {
        char path[300];
        char name[32] = "";
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
        file = fopen(path, "re");
        if (file != NULL) {
            found = (fgets(name, sizeof(name), file) != NULL &&
                     strncmp(name, "weir-helper", strlen("weir-helper")) == 0) ||
                    found;
            (void)fclose(file);
        }
    }
    (void)closedir(folder);
    return found;
}

Test(stuck_hook, destroying_the_runtime_forgets_what_the_helper_was_still_to_do)
{
    const weir_setting fewer = {.dependency = "b", .key = "threads", .value = "1"};
    pthread_t caller;

    world_open_empty(&kept);
    weir_dependency *const left =
        world_add(&kept, "a", "isolation: thread, threads: 1, timeout: 10ms");
    weir_dependency *const shrunk = world_add(&kept, "b", "isolation: thread, threads: 2");
    cr_assert_eq(pthread_create(&caller, NULL, execute, left), 0);
    weir_manual_clock_await_waiters(kept.clock, 1);
    while (count_of(left, WEIR_COUNT_RUNNING) == 0) {
        (void)sched_yield();
    }
    world_pass(&kept, 10 * MS);
    (void)pthread_join(caller, NULL);
    while (atomic_load(&in_hook) == 0) {
        (void)sched_yield();
    }
    /* A worker of "b" goes, which the helper is to join when the hook has returned. */
    cr_assert_eq(weir_runtime_apply(kept.runtime, &fewer, 1, &kept.error), WEIR_OK);
    while (count_of(shrunk, WEIR_COUNT_WORKERS) != 1) {
        (void)sched_yield();
    }
    size_t stuck = 0;
    cr_expect_eq(weir_runtime_stop(kept.runtime, 0, &stuck), WEIR_E_BUSY);
    cr_expect_geq(stuck, 1U);

    weir_runtime_destroy(kept.runtime);

    atomic_store(&let_go, 1);
    while (helper_lives()) {
        (void)sched_yield();
    }
    cr_expect_gt(kept.memory.live, 0U); /* the host stays, for whatever still comes */
}
