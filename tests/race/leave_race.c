/*
 * Work that arms and ends a watch of a descriptor, and a hook, in a tight loop while its caller
 * leaves. After the end of a watch the descriptor is closed and its number used for another socket
 * pair: that one must never be shut down. A hook is called at most once, and never after its end.
 * And no leaving is missed: work that blocks in a watched read, or waits for its hook, comes back.
 */
#define _GNU_SOURCE
#include "support/race.h"
#include "support/watchdog.h"

#include <weir/weir.h>

#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CALLERS = 3, NAP_NS = 20000 };

static struct {
    weir_dependency *dependency;
    uint64_t rounds;
    _Atomic uint64_t watches, shut_down, hooks, hooks_called, reads, waits, left;
} stage;

/* What a hook is given: a thing on the stack of the work that armed it. */
struct bell {
    _Atomic uint32_t armed; /* 0: the work has ended it */
    _Atomic uint32_t rung;
};

static void ring(void *user)
{
    struct bell *const bell = user;

    race_check(atomic_load(&bell->armed) == 1, "a hook was called after its end");
    race_check(atomic_fetch_add(&bell->rung, 1) == 0, "a hook was called twice");
    (void)atomic_fetch_add(&stage.hooks_called, 1);
}

static void make_pair(int *ret_ends)
{
    race_check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_ends) == 0, "no socket pair");
}

static void close_pair(const int *ends)
{
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* Nobody watches this one: it must work both ways. */
static void check_untouched(const int *ends)
{
    char byte = 'x';

    race_check(send(ends[0], &byte, 1, MSG_NOSIGNAL) == 1 && recv(ends[1], &byte, 1, 0) == 1 &&
                   send(ends[1], &byte, 1, MSG_NOSIGNAL) == 1 && recv(ends[0], &byte, 1, 0) == 1,
               "a descriptor that was not watched any more was shut down");
}

static void watch_once(weir_call *call, unsigned loops)
{
    weir_status status;
    int ends[2];

    make_pair(ends);
    status = weir_call_watch_fd(call, ends[0]);
    race_check(status == WEIR_OK || status == WEIR_CANCELLED, "watch: %s",
               weir_status_name(status));
    (void)atomic_fetch_add(&stage.watches, 1);
    race_spin(loops);
    (void)weir_call_watch_fd(call, -1);
    if (status == WEIR_CANCELLED) {
        char byte;

        race_check(recv(ends[0], &byte, 1, MSG_DONTWAIT) == 0, "left before, and not shut down");
        (void)atomic_fetch_add(&stage.shut_down, 1);
    }
    close_pair(ends);
    make_pair(ends);
    race_spin(loops);
    check_untouched(ends);
    close_pair(ends);
}

static void hook_once(weir_call *call, unsigned loops)
{
    struct bell bell = {.armed = 1};
    const weir_status status = weir_call_on_leave(call, ring, &bell);

    race_check(status == WEIR_OK || status == WEIR_CANCELLED, "hook: %s", weir_status_name(status));
    (void)atomic_fetch_add(&stage.hooks, 1);
    race_spin(loops);
    (void)weir_call_on_leave(call, NULL, NULL);
    atomic_store(&bell.armed, 0);
    race_check(status == WEIR_OK || atomic_load(&bell.rung) == 0, "left before, and called");
    race_spin(loops);
}

/* Until the caller leaves: nobody writes. */
static void read_until_left(weir_call *call)
{
    int ends[2];
    char byte;

    make_pair(ends);
    (void)weir_call_watch_fd(call, ends[0]);
    race_check(recv(ends[0], &byte, 1, 0) == 0, "a byte that nobody sent");
    race_check(weir_call_abandoned(call) != 0, "shut down, and the caller is still there");
    (void)weir_call_watch_fd(call, -1);
    close_pair(ends);
    (void)atomic_fetch_add(&stage.reads, 1);
}

static void wait_for_hook(weir_call *call)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    struct bell bell = {.armed = 1};
    const weir_status status = weir_call_on_leave(call, ring, &bell);

    while (status == WEIR_OK && atomic_load(&bell.rung) == 0) {
        (void)nanosleep(&nap, NULL);
    }
    (void)weir_call_on_leave(call, NULL, NULL);
    atomic_store(&bell.armed, 0);
    (void)atomic_fetch_add(&stage.waits, 1);
}

/* ---- calls ---- */

static int run(weir_call *call, const void *argument, void *result)
{
    uint64_t random = *(const uint64_t *)argument;
    const uint64_t manner = random >> 8U & 3U;

    (void)result;
    for (unsigned after = 0; after < 2; after += weir_call_abandoned(call) != 0 ? 1U : 0U) {
        const uint64_t bits = race_random(&random);

        if ((bits & 1U) != 0) {
            watch_once(call, (unsigned)(bits >> 8U & 511U));
        } else {
            hook_once(call, (unsigned)(bits >> 8U & 511U));
        }
        watchdog_pat();
    }
    if (manner == 0) {
        read_until_left(call); /* it has left: at once */
    }
    return 0;
}

/* Armed once, long before its caller leaves. */
static int block(weir_call *call, const void *argument, void *result)
{
    const uint64_t random = *(const uint64_t *)argument;

    (void)result;
    if ((random >> 10U & 1U) != 0) {
        read_until_left(call);
    } else {
        wait_for_hook(call);
    }
    watchdog_pat();
    return 0;
}

static const weir_command busy = {WEIR_SIZED(weir_command), .name = "busy",
                                  .isolations = WEIR_THREAD, .argument_max = sizeof(uint64_t),
                                  .run = run};
static const weir_command blocking = {WEIR_SIZED(weir_command), .name = "blocking",
                                      .isolations = WEIR_THREAD, .argument_max = sizeof(uint64_t),
                                      .run = block};

static void call(void *user, unsigned who)
{
    uint64_t random = 88172645463325252U + who * UINT64_C(7919);

    (void)user;
    for (uint64_t i = 0; i < stage.rounds; ++i) {
        const uint64_t bits = race_random(&random);
        const weir_request request = {WEIR_SIZED(weir_request), .argument = &bits,
                                      .argument_size = sizeof(bits),
                                      .within_ns = 20000 + (bits >> 16U & 0xffffU)};

        if (weir_execute(stage.dependency, (bits & 3U) == 0 ? &blocking : &busy, &request, NULL) ==
            WEIR_TIMED_OUT) {
            (void)atomic_fetch_add(&stage.left, 1);
        }
    }
}

int main(void)
{
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options),
        .settings = "isolation: thread, threads: 4, queue: 4, timeout: off"};
    weir_runtime *runtime = NULL;
    weir_error error = {0};

    stage.rounds = race_rounds(40000, 4000, 2000);
    race_check(weir_runtime_create(NULL, &runtime, &error) == WEIR_OK &&
                   weir_dependency_create(runtime, "a", &options, &stage.dependency, &error) ==
                       WEIR_OK,
               "%s", error.message);
    watchdog_start(NULL);
    race_run(CALLERS, call, NULL);
    race_check(weir_runtime_stop(runtime, 1000000000, NULL) == WEIR_OK, "stop");
    printf("%llu callers left; %llu watches, %llu of them too late; %llu hooks, %llu called; "
           "%llu reads and %llu waits ended\n",
           (unsigned long long)atomic_load(&stage.left),
           (unsigned long long)atomic_load(&stage.watches),
           (unsigned long long)atomic_load(&stage.shut_down),
           (unsigned long long)atomic_load(&stage.hooks),
           (unsigned long long)atomic_load(&stage.hooks_called),
           (unsigned long long)atomic_load(&stage.reads),
           (unsigned long long)atomic_load(&stage.waits));
    weir_runtime_destroy(runtime);
    watchdog_stop();
    return race_result();
}
