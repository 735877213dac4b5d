/*
 * What work notices when its caller leaves: weir_call_abandoned(), a watched descriptor, a hook, a
 * signal; and on which threads user code runs. Real sockets and system calls; the manual clock
 * brings the deadline.
 */
#define _GNU_SOURCE
#include "support/world.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ONE_THREAD    "isolation: thread, threads: 1, timeout: off"
#define WITHIN        (10 * MS)
#define PATIENCE_SECS 60 /* for what must happen in real time; nothing waits so long */

/* ---- work: the argument is a pointer to what is to be done ---- */

struct work {
    int (*does)(weir_call *call, struct work *work);
    struct gate here; /* open from the beginning: it only says that run is there */
    struct gate hold; /* run waits here */
    struct gate hook; /* the hook waits here */
    int fds[2];       /* run's end, the test's end */
    int spare[2];
    weir_status said[3]; /* by watch and on_leave, in order */
    int abandoned[2];    /* before and after `hold` */
    ssize_t got;         /* of a system call */
    int error;
    _Atomic pid_t worker;
    _Atomic pid_t hook_thread;
    _Atomic int hooks; /* begun */
    _Atomic int hooks_over;
    _Atomic int other_hooks;
    _Atomic int ending; /* run is about to end its watch, or to return */
    int over_at_end;    /* hooks_over, seen by run */
    char hook_name[16];
};

static pid_t own_tid(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static void work_init(struct work *work, int (*does)(weir_call *call, struct work *work))
{
    memset(work, 0, sizeof(*work));
    work->does = does;
    work->here = (struct gate)GATE_INIT;
    work->here.open = true;
    work->hold = (struct gate)GATE_INIT;
    work->hook = (struct gate)GATE_INIT;
    work->fds[0] = work->fds[1] = work->spare[0] = work->spare[1] = -1;
}

static void work_connect(struct work *work)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, work->fds), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, work->spare), 0);
}

static void work_disconnect(struct work *work)
{
    for (int i = 0; i < 2; ++i) {
        (void)close(work->fds[i]);
        (void)close(work->spare[i]);
    }
}

/* Its other end would read the end of the stream. */
static bool is_shut_down(int other_end)
{
    char byte;

    return recv(other_end, &byte, 1, MSG_DONTWAIT) == 0;
}

static int run_work(weir_call *call, const void *argument, void *result)
{
    struct work *work;

    (void)result;
    memcpy(&work, argument, sizeof(struct work *));
    atomic_store(&work->worker, own_tid());
    return work->does(call, work);
}

static int answer_with_work(weir_call *call, const void *argument, void *result)
{
    struct work *work;

    (void)result;
    memcpy(&work, argument, sizeof(struct work *));
    work->said[0] = weir_call_watch_fd(call, work->fds[0]);
    work->said[1] = weir_call_on_leave(call, NULL, NULL);
    work->abandoned[1] = weir_call_abandoned(call);
    return 0;
}

static const weir_command *working(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "working",
                                         .isolations = WEIR_INLINE | WEIR_THREAD,
                                         .argument_max = sizeof(struct work *), .run = run_work};

    return &command;
}

/* ---- one call, and the three ways of leaving it ---- */

enum way { BY_DEADLINE, BY_CANCEL, BY_STOP };

struct scene {
    struct world world;
    weir_queue *queue; /* only by cancel */
    pthread_t thread;  /* else: of the caller in execute */
    struct work *work;
    enum way way;
    weir_ticket ticket;
    weir_status status;
    weir_outcome outcome;
};

static void *scene_caller(void *user)
{
    struct scene *const scene = user;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &scene->work,
                                  .argument_size = sizeof(struct work *),
                                  .within_ns = scene->way == BY_DEADLINE ? WITHIN : 0};

    scene->status = weir_execute(scene->world.dependency, working(), &request, &scene->outcome);
    return NULL;
}

static void scene_call(struct scene *scene, struct work *work)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &scene->work,
                                  .argument_size = sizeof(struct work *)};

    scene->work = work;
    if (scene->way != BY_CANCEL) {
        cr_assert_eq(pthread_create(&scene->thread, NULL, scene_caller, scene), 0);
        return;
    }
    cr_assert_eq(weir_submit(scene->world.dependency, working(), &request, scene->queue, NULL,
                             &scene->ticket, NULL),
                 WEIR_OK);
}

static void scene_open(struct scene *scene, enum way way, const char *settings)
{
    memset(scene, 0, sizeof(*scene));
    scene->way = way;
    world_open(&scene->world, settings);
    if (way == BY_CANCEL) {
        cr_assert_eq(weir_queue_create(scene->world.runtime, &scene->queue, NULL), WEIR_OK);
    }
}

/* When this returns the call has been left, though the caller may still be on its way out. */
static void scene_leave(struct scene *scene)
{
    switch (scene->way) {
    case BY_DEADLINE:
        weir_manual_clock_await_waiters(scene->world.clock, 1);
        world_pass(&scene->world, WITHIN);
        (void)pthread_join(scene->thread, NULL);
        cr_expect_eq(scene->status, WEIR_TIMED_OUT);
        break;
    case BY_CANCEL:
        cr_expect_eq(weir_ticket_cancel(scene->queue, scene->ticket), WEIR_OK);
        break;
    case BY_STOP:
    default:
        (void)weir_runtime_stop(scene->world.runtime, 0, NULL);
        (void)pthread_join(scene->thread, NULL);
        cr_expect_eq(scene->status, WEIR_CANCELLED);
        break;
    }
}

/* The call's outcome, however it ended. */
static void scene_collect(struct scene *scene)
{
    weir_completion completion;

    if (scene->way != BY_CANCEL) {
        return;
    }
    cr_assert_eq(weir_queue_take(scene->queue, &completion, 1, UINT64_MAX), 1U);
    scene->status = completion.status;
    scene->outcome = completion.outcome;
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
}

/* All work has returned, all hooks are over. */
static void scene_quiet(struct scene *scene)
{
    cr_assert_eq(weir_runtime_stop(scene->world.runtime, UINT64_MAX, NULL), WEIR_OK);
}

static void scene_close(struct scene *scene)
{
    scene_quiet(scene);
    cr_expect_eq(weir_queue_destroy(scene->queue), WEIR_OK);
    world_close(&scene->world);
}

/* A second call, on the same worker and cell, that nobody leaves before it has returned. */
static weir_status scene_next(struct scene *scene, struct work *work)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &work,
                                  .argument_size = sizeof(struct work *)};

    return weir_execute(scene->world.dependency, working(), &request, NULL);
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

static bool await_abandoned(const weir_call *call)
{
    const time_t until = real_seconds() + PATIENCE_SECS;

    while (weir_call_abandoned(call) == 0 && real_seconds() < until) {
        (void)sched_yield();
    }
    return weir_call_abandoned(call) != 0;
}

/* Room for what must not happen. */
static void let_others_run(void)
{
    for (int i = 0; i < 200; ++i) {
        (void)sched_yield();
    }
}

/* The state letter of a thread of ours; 'S': it sleeps in a system call. */
static int state_of_thread(pid_t tid)
{
    char path[64];
    char text[256] = "";
    const char *end;
    ssize_t length;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    length = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    (void)close(fd);
    text[length > 0 ? length : 0] = '\0';
    end = strrchr(text, ')');
    return end != NULL && end[1] == ' ' ? end[2] : '?';
}

static bool await_asleep(const struct work *work)
{
    const time_t until = real_seconds() + PATIENCE_SECS;

    while (state_of_thread(atomic_load(&work->worker)) != 'S' && real_seconds() < until) {
        (void)sched_yield();
    }
    return state_of_thread(atomic_load(&work->worker)) == 'S';
}

/* ---- abandoned ---- */

static int asks_twice(weir_call *call, struct work *work)
{
    work->abandoned[0] = weir_call_abandoned(call);
    gate_pass(&work->hold);
    work->abandoned[1] = weir_call_abandoned(call);
    return 0;
}

static void check_abandoned(enum way way)
{
    struct scene scene;
    struct work work;

    work_init(&work, asks_twice);
    scene_open(&scene, way, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    cr_expect_eq(work.abandoned[0], 0);
    scene_leave(&scene);
    cr_expect_eq(world_count(&scene.world, WEIR_COUNT_ABANDONED), 1U);
    gate_open(&work.hold);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(work.abandoned[1], 1);
    cr_expect_eq(scene.status, way == BY_DEADLINE ? WEIR_TIMED_OUT : WEIR_CANCELLED);
    cr_expect_eq(scene.outcome.attempts, 1U);
    cr_expect_eq(world_count(&scene.world, WEIR_COUNT_ABANDONED), 0U);
    scene_close(&scene);
}

Test(cancellation, work_is_abandoned_once_its_callers_deadline_has_come)
{
    check_abandoned(BY_DEADLINE);
}

Test(cancellation, work_is_abandoned_once_it_has_been_cancelled)
{
    check_abandoned(BY_CANCEL);
}

Test(cancellation, work_is_abandoned_once_the_runtime_stops)
{
    check_abandoned(BY_STOP);
}

Test(cancellation, work_whose_caller_waits_on_is_not_abandoned)
{
    struct scene scene;
    struct work work;

    work_init(&work, asks_twice);
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    world_pass(&scene.world, 3600 * SECOND);
    gate_open(&work.hold);
    scene_collect(&scene);
    cr_expect_eq(scene.status, WEIR_OK);
    cr_expect_eq(work.abandoned[0], 0);
    cr_expect_eq(work.abandoned[1], 0);
    scene_close(&scene);
}

/* ---- a watched descriptor ---- */

static int reads_watched(weir_call *call, struct work *work)
{
    char byte;

    work->said[0] = weir_call_watch_fd(call, work->fds[0]);
    gate_pass(&work->here);
    work->got = read(work->fds[0], &byte, 1);
    return 0;
}

static void check_read_returns(enum way way)
{
    struct scene scene;
    struct work work;

    work_init(&work, reads_watched);
    work_connect(&work);
    scene_open(&scene, way, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.here, 1);
    cr_expect(await_asleep(&work));
    scene_leave(&scene);
    scene_collect(&scene);
    scene_quiet(&scene); /* without grace for ever, if the read does not return */
    cr_expect_eq(work.said[0], WEIR_OK);
    cr_expect_eq(work.got, 0);
    cr_expect(is_shut_down(work.fds[1]));
    cr_expect_not(is_shut_down(work.spare[1]));
    work_disconnect(&work);
    scene_close(&scene);
}

Test(cancellation, a_read_on_a_watched_socket_returns_at_the_deadline)
{
    check_read_returns(BY_DEADLINE);
}

Test(cancellation, a_read_on_a_watched_socket_returns_when_the_call_is_cancelled)
{
    check_read_returns(BY_CANCEL);
}

Test(cancellation, a_read_on_a_watched_socket_returns_when_the_runtime_stops)
{
    check_read_returns(BY_STOP);
}

static int ends_its_watch(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_watch_fd(call, work->fds[0]);
    work->said[1] = weir_call_watch_fd(call, -1);
    (void)dup3(work->spare[0], work->fds[0], O_CLOEXEC); /* the number is another socket's now */
    gate_pass(&work->hold);
    work->said[2] = weir_call_watch_fd(call, -1);
    return 0;
}

Test(cancellation, a_socket_that_got_the_number_after_the_watch_ended_is_not_shut_down)
{
    struct scene scene;
    struct work work;

    work_init(&work, ends_its_watch);
    work_connect(&work);
    scene_open(&scene, BY_DEADLINE, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    scene_leave(&scene);
    gate_open(&work.hold);
    scene_quiet(&scene);
    cr_expect_eq(work.said[0], WEIR_OK);
    cr_expect_eq(work.said[1], WEIR_OK);
    cr_expect_eq(work.said[2], WEIR_CANCELLED);
    cr_expect_not(is_shut_down(work.spare[1]));
    work_disconnect(&work);
    scene_close(&scene);
}

static int returns(weir_call *call, struct work *work)
{
    (void)call;
    (void)work;
    return 0;
}

/* A call of its own on the only worker: the one before it has returned. */
static void scene_pass_through(struct scene *scene)
{
    struct work work;

    work_init(&work, returns);
    cr_expect_eq(scene_next(scene, &work), WEIR_OK);
}

/* The leaver and the end of the watch meet at any step. */
static int races_its_watch(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_watch_fd(call, work->fds[0]);
    gate_pass(&work->here);
    work->said[1] = weir_call_watch_fd(call, -1);
    (void)dup3(work->spare[0], work->fds[0], O_CLOEXEC);
    let_others_run();
    return 0;
}

Test(cancellation, ending_a_watch_while_the_caller_leaves_never_hits_a_reused_number)
{
    struct scene scene;

    scene_open(&scene, BY_CANCEL, ONE_THREAD ", queue: 1");
    for (int round = 0; round < 200; ++round) {
        struct work work;

        work_init(&work, races_its_watch);
        work_connect(&work);
        scene_call(&scene, &work);
        gate_await(&work.here, 1);
        for (int i = 0; i < round % 8; ++i) {
            (void)sched_yield();
        }
        (void)weir_ticket_cancel(scene.queue, scene.ticket);
        scene_collect(&scene);
        scene_pass_through(&scene);
        cr_expect_not(is_shut_down(work.spare[1]));
        work_disconnect(&work);
    }
    scene_close(&scene);
}

static int watches_when_left(weir_call *call, struct work *work)
{
    char byte;

    gate_pass(&work->here);
    work->abandoned[0] = await_abandoned(call) ? 1 : 0;
    work->said[0] = weir_call_watch_fd(call, work->fds[0]);
    work->got = recv(work->fds[0], &byte, 1, MSG_DONTWAIT);
    return 0;
}

Test(cancellation, a_socket_watched_after_the_caller_has_left_is_shut_down_at_once)
{
    struct scene scene;
    struct work work;

    work_init(&work, watches_when_left);
    work_connect(&work);
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.here, 1);
    scene_leave(&scene);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(work.abandoned[0], 1);
    cr_expect_eq(work.said[0], WEIR_CANCELLED);
    cr_expect_eq(work.got, 0);
    cr_expect(is_shut_down(work.fds[1]));
    work_disconnect(&work);
    scene_close(&scene);
}

static int watches_two(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_watch_fd(call, work->spare[0]);
    work->said[1] = weir_call_watch_fd(call, work->fds[0]);
    gate_pass(&work->hold);
    return 0;
}

Test(cancellation, a_second_watch_takes_the_place_of_the_first)
{
    struct scene scene;
    struct work work;

    work_init(&work, watches_two);
    work_connect(&work);
    scene_open(&scene, BY_DEADLINE, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    scene_leave(&scene);
    cr_expect_eq(work.said[1], WEIR_OK);
    cr_expect(is_shut_down(work.fds[1]));
    cr_expect_not(is_shut_down(work.spare[1]));
    gate_open(&work.hold);
    work_disconnect(&work);
    scene_close(&scene);
}

/* Between the return of run and the outcome: classify waits there. */
static struct gate *classify_gate;

static weir_verdict classify_slowly(int code)
{
    gate_pass(classify_gate);
    return code == 0 ? WEIR_V_OK : WEIR_V_FAILED;
}

/* A call that is left when its run has returned and its outcome is not yet there. */
static void leave_behind_run(struct work *work)
{
    static const weir_command command = {
        WEIR_SIZED(weir_command),  .name = "slowly",
        .isolations = WEIR_THREAD, .argument_max = sizeof(struct work *),
        .run = run_work,           .classify = classify_slowly};
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &work,
                                  .argument_size = sizeof(struct work *)};
    struct gate gate = GATE_INIT;
    struct scene scene;

    classify_gate = &gate;
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    cr_assert_eq(weir_submit(scene.world.dependency, &command, &request, scene.queue, NULL,
                             &scene.ticket, NULL),
                 WEIR_OK);
    gate_await(&gate, 1);
    scene_leave(&scene);
    scene_collect(&scene);
    cr_expect_eq(scene.status, WEIR_CANCELLED);
    gate_open(&gate);
    scene_close(&scene);
}

static int watches_and_returns(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_watch_fd(call, work->fds[0]);
    return 0;
}

Test(cancellation, a_watch_ends_when_run_returns)
{
    struct work work;

    work_init(&work, watches_and_returns);
    work_connect(&work);
    leave_behind_run(&work);
    cr_expect_eq(work.said[0], WEIR_OK);
    cr_expect_not(is_shut_down(work.fds[1]));
    work_disconnect(&work);
}

/* ---- hooks ---- */

static void on_leave(void *user)
{
    struct work *const work = user;

    atomic_store(&work->hook_thread, own_tid());
    (void)prctl(PR_GET_NAME, work->hook_name, 0, 0, 0);
    (void)atomic_fetch_add(&work->hooks, 1);
    gate_pass(&work->hook);
    (void)atomic_fetch_add(&work->hooks_over, 1);
}

static void on_leave_otherwise(void *user)
{
    struct work *const work = user;

    (void)atomic_fetch_add(&work->other_hooks, 1);
}

static int hooks_and_waits(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_on_leave(call, on_leave, work);
    gate_pass(&work->hold);
    work->said[1] = weir_call_on_leave(call, NULL, NULL);
    return 0;
}

static void check_hook(enum way way)
{
    struct scene scene;
    struct work work;

    work_init(&work, hooks_and_waits);
    gate_open(&work.hook);
    scene_open(&scene, way, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    cr_expect_eq(atomic_load(&work.hooks), 0);
    scene_leave(&scene);
    cr_expect(await_count(&work.hooks_over, 1)); /* while run is still held */
    gate_open(&work.hold);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(work.said[0], WEIR_OK);
    cr_expect_eq(work.said[1], WEIR_CANCELLED);
    cr_expect_eq(atomic_load(&work.hooks), 1);
    cr_expect_str_eq(work.hook_name, "weir-helper");
    cr_expect_neq(atomic_load(&work.hook_thread), own_tid());
    cr_expect_neq(atomic_load(&work.hook_thread), atomic_load(&work.worker));
    scene_close(&scene);
}

Test(cancellation, a_hook_is_called_on_the_helper_thread_at_the_deadline)
{
    check_hook(BY_DEADLINE);
}

Test(cancellation, a_hook_is_called_on_the_helper_thread_when_the_call_is_cancelled)
{
    check_hook(BY_CANCEL);
}

Test(cancellation, a_hook_is_called_on_the_helper_thread_when_the_runtime_stops)
{
    check_hook(BY_STOP);
}

static int hooks_and_returns(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_on_leave(call, on_leave, work);
    return 0;
}

Test(cancellation, a_hook_is_not_called_when_nobody_leaves)
{
    struct scene scene;
    struct work work;

    work_init(&work, hooks_and_returns);
    gate_open(&work.hook);
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    scene_call(&scene, &work);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(scene.status, WEIR_OK);
    cr_expect_eq(work.said[0], WEIR_OK);
    cr_expect_eq(atomic_load(&work.hooks), 0);
    scene_close(&scene);
}

Test(cancellation, a_hook_ends_when_run_returns)
{
    struct work work;

    work_init(&work, hooks_and_returns);
    gate_open(&work.hook);
    leave_behind_run(&work);
    cr_expect_eq(work.said[0], WEIR_OK);
    cr_expect_eq(atomic_load(&work.hooks), 0);
}

static int hooks_and_ends_it(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_on_leave(call, on_leave, work);
    work->said[1] = weir_call_on_leave(call, NULL, NULL);
    gate_pass(&work->hold);
    return 0;
}

Test(cancellation, a_hook_that_was_ended_is_not_called)
{
    struct scene scene;
    struct work work;

    work_init(&work, hooks_and_ends_it);
    gate_open(&work.hook);
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    scene_leave(&scene);
    gate_open(&work.hold);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(work.said[0], WEIR_OK);
    cr_expect_eq(work.said[1], WEIR_OK);
    cr_expect_eq(atomic_load(&work.hooks), 0);
    scene_close(&scene);
}

static int hooks_another(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_on_leave(call, on_leave_otherwise, work);
    work->said[1] = weir_call_on_leave(call, on_leave, work);
    gate_pass(&work->hold);
    return 0;
}

Test(cancellation, a_second_hook_takes_the_place_of_the_first)
{
    struct scene scene;
    struct work work;

    work_init(&work, hooks_another);
    gate_open(&work.hook);
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    scene_leave(&scene);
    cr_expect(await_count(&work.hooks, 1));
    gate_open(&work.hold);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(atomic_load(&work.hooks), 1);
    cr_expect_eq(atomic_load(&work.other_hooks), 0);
    scene_close(&scene);
}

Test(cancellation, a_hook_is_called_once_however_often_the_call_is_given_up)
{
    struct scene scene;
    struct work work;

    work_init(&work, hooks_and_waits);
    gate_open(&work.hook);
    scene_open(&scene, BY_CANCEL, "isolation: thread, threads: 1, timeout: 10ms");
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    scene_leave(&scene);
    cr_expect_eq(weir_ticket_cancel(scene.queue, scene.ticket), WEIR_E_STALE);
    world_pass(&scene.world, SECOND); /* its deadline, too */
    (void)weir_runtime_stop(scene.world.runtime, 0, NULL);
    gate_open(&work.hold);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(atomic_load(&work.hooks), 1);
    scene_close(&scene);
}

static int ends_a_hook_under_way(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_on_leave(call, on_leave, work);
    gate_pass(&work->hold);
    atomic_store(&work->ending, 1);
    work->said[1] = weir_call_on_leave(call, NULL, NULL);
    work->over_at_end = atomic_load(&work->hooks_over);
    return 0;
}

Test(cancellation, ending_a_hook_waits_while_it_is_under_way)
{
    struct scene scene;
    struct work work;

    work_init(&work, ends_a_hook_under_way);
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    scene_leave(&scene);
    gate_await(&work.hook, 1); /* it is under way, and stays there */
    gate_open(&work.hold);
    cr_expect(await_count(&work.ending, 1));
    let_others_run();
    gate_open(&work.hook);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(work.said[1], WEIR_CANCELLED);
    cr_expect_eq(work.over_at_end, 1);
    scene_close(&scene);
}

static int returns_under_a_hook(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_on_leave(call, on_leave, work);
    gate_pass(&work->hold);
    atomic_store(&work->ending, 1);
    return 0;
}

Test(cancellation, a_worker_takes_no_other_call_while_a_hook_of_the_one_before_is_under_way)
{
    struct scene scene;
    struct work work;
    struct work next;

    work_init(&work, returns_under_a_hook);
    work_init(&next, returns);
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.hold, 1);
    scene_leave(&scene);
    gate_await(&work.hook, 1);
    scene_collect(&scene);
    scene_call(&scene, &next);
    gate_open(&work.hold);
    cr_expect(await_count(&work.ending, 1));
    let_others_run();
    cr_expect_eq(atomic_load(&next.worker), 0); /* it has not begun */
    cr_expect_eq(world_count(&scene.world, WEIR_COUNT_ABANDONED), 1U);
    gate_open(&work.hook);
    scene_collect(&scene);
    cr_expect_eq(scene.status, WEIR_OK);
    cr_expect_eq(atomic_load(&next.worker), atomic_load(&work.worker));
    scene_close(&scene);
}

static int hooks_when_left(weir_call *call, struct work *work)
{
    gate_pass(&work->here);
    work->abandoned[0] = await_abandoned(call) ? 1 : 0;
    work->said[0] = weir_call_on_leave(call, on_leave, work);
    work->said[1] = weir_call_on_leave(call, NULL, NULL);
    return 0;
}

Test(cancellation, a_hook_given_after_the_caller_has_left_is_not_called)
{
    struct scene scene;
    struct work work;

    work_init(&work, hooks_when_left);
    gate_open(&work.hook);
    scene_open(&scene, BY_CANCEL, ONE_THREAD);
    scene_call(&scene, &work);
    gate_await(&work.here, 1);
    scene_leave(&scene);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(work.abandoned[0], 1);
    cr_expect_eq(work.said[0], WEIR_CANCELLED);
    cr_expect_eq(work.said[1], WEIR_CANCELLED);
    cr_expect_eq(atomic_load(&work.hooks), 0);
    scene_close(&scene);
}

/* The leaver and the hook's end meet at any step: called at most once, and never after its end. */
static int races_its_hook(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_on_leave(call, on_leave, work);
    gate_pass(&work->here);
    work->said[1] = weir_call_on_leave(call, NULL, NULL);
    work->over_at_end = atomic_load(&work->hooks_over);
    let_others_run();
    return 0;
}

Test(cancellation, a_hook_that_races_its_end_is_over_when_the_end_returns_or_is_never_called)
{
    struct scene scene;

    scene_open(&scene, BY_CANCEL, ONE_THREAD ", queue: 1");
    for (int round = 0; round < 200; ++round) {
        struct work work;

        work_init(&work, races_its_hook);
        gate_open(&work.hook);
        scene_call(&scene, &work);
        gate_await(&work.here, 1);
        for (int i = 0; i < round % 8; ++i) {
            (void)sched_yield();
        }
        (void)weir_ticket_cancel(scene.queue, scene.ticket);
        scene_collect(&scene);
        scene_pass_through(&scene);
        cr_expect_eq(atomic_load(&work.hooks), work.over_at_end);
        cr_expect_leq(work.over_at_end, 1);
    }
    scene_close(&scene);
}

/* ---- the signal ---- */

#define SIGNALLED ONE_THREAD ", cancel_signal: 12" /* SIGUSR2 */
_Static_assert(SIGUSR2 == 12, "the signal's number on this machine");

static _Atomic int signals_seen;

static void count_signal(int number)
{
    (void)number;
    (void)atomic_fetch_add(&signals_seen, 1);
}

static void install(int number, int flags, void (*handler)(int number))
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = handler;
    action.sa_flags = flags;
    cr_assert_eq(sigaction(number, &action, NULL), 0);
}

static int sleeps_long(weir_call *call, struct work *work)
{
    const struct timespec hour = {.tv_sec = 3600};

    (void)call;
    gate_pass(&work->here);
    work->got = nanosleep(&hour, NULL);
    work->error = errno;
    return 0;
}

static int reads_blocking(weir_call *call, struct work *work)
{
    char byte;

    (void)call;
    gate_pass(&work->here);
    work->got = read(work->fds[0], &byte, 1);
    work->error = errno;
    return 0;
}

static int polls_blocking(weir_call *call, struct work *work)
{
    struct pollfd socket = {.fd = work->fds[0], .events = POLLIN};

    (void)call;
    gate_pass(&work->here);
    work->got = poll(&socket, 1, -1);
    work->error = errno;
    return 0;
}

static void check_interrupted(int (*does)(weir_call *call, struct work *work), enum way way)
{
    struct scene scene;
    struct work work;

    install(SIGUSR2, 0, SIG_DFL);
    work_init(&work, does);
    work_connect(&work);
    scene_open(&scene, way, SIGNALLED);
    scene_call(&scene, &work);
    gate_await(&work.here, 1);
    cr_expect(await_asleep(&work));
    scene_leave(&scene);
    scene_collect(&scene);
    scene_quiet(&scene);
    cr_expect_eq(work.got, -1);
    cr_expect_eq(work.error, EINTR);
    work_disconnect(&work);
    scene_close(&scene);
}

Test(cancellation, the_signal_interrupts_a_sleep)
{
    check_interrupted(sleeps_long, BY_DEADLINE);
}

Test(cancellation, the_signal_interrupts_a_read)
{
    check_interrupted(reads_blocking, BY_CANCEL);
}

Test(cancellation, the_signal_interrupts_a_poll)
{
    check_interrupted(polls_blocking, BY_STOP);
}

/* With the signal blocked it stays pending on the worker when run returns. */
static int leaves_the_signal_pending(weir_call *call, struct work *work)
{
    sigset_t set;
    sigset_t pending;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGUSR2);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
    gate_pass(&work->here);
    work->abandoned[0] = await_abandoned(call) ? 1 : 0;
    (void)gate_pass(&work->hold); /* until the one who leaves has sent it */
    (void)sigpending(&pending);
    work->got = sigismember(&pending, SIGUSR2);
    return 0;
}

Test(cancellation, a_signal_that_run_did_not_take_is_not_delivered_to_the_next_call)
{
    struct scene scene;
    struct work work;
    struct work next;

    atomic_store(&signals_seen, 0);
    install(SIGUSR2, 0, count_signal);
    work_init(&work, leaves_the_signal_pending);
    work_init(&next, reads_blocking);
    work_connect(&next);
    scene_open(&scene, BY_CANCEL, SIGNALLED);
    scene_call(&scene, &work);
    gate_await(&work.here, 1);
    scene_leave(&scene);
    gate_open(&work.hold);
    scene_collect(&scene);
    scene_call(&scene, &next);
    gate_await(&next.here, 1);
    cr_expect(await_asleep(&next));
    cr_expect_eq(write(next.fds[1], "x", 1), 1);
    scene_collect(&scene);
    cr_expect_eq(work.got, 1); /* it was there */
    cr_expect_eq(next.got, 1);
    cr_expect_eq(atomic_load(&signals_seen), 0);
    work_disconnect(&next);
    scene_close(&scene);
}

static int passes_by(weir_call *call, struct work *work)
{
    (void)call;
    gate_pass(&work->here);
    return 0;
}

Test(cancellation, a_signal_that_races_the_end_of_run_never_interrupts_the_next_call)
{
    struct scene scene;
    int interrupted = 0;

    install(SIGUSR2, 0, count_signal);
    scene_open(&scene, BY_CANCEL, SIGNALLED);
    for (int round = 0; round < 200; ++round) {
        struct work work;
        struct work next;

        work_init(&work, passes_by);
        work_init(&next, reads_blocking);
        work_connect(&next);
        scene_call(&scene, &work);
        gate_await(&work.here, 1);
        (void)weir_ticket_cancel(scene.queue, scene.ticket);
        scene_collect(&scene);
        scene_call(&scene, &next);
        gate_await(&next.here, 1);
        cr_expect(await_asleep(&next));
        cr_expect_eq(write(next.fds[1], "x", 1), 1);
        scene_collect(&scene);
        interrupted += next.got != 1 ? 1 : 0;
        work_disconnect(&next);
    }
    cr_expect_eq(interrupted, 0);
    scene_close(&scene);
}

Test(cancellation, a_handler_of_the_services_own_is_called_and_kept)
{
    struct scene scene;
    struct work work;
    struct sigaction now;

    atomic_store(&signals_seen, 0);
    install(SIGUSR2, 0, count_signal);
    work_init(&work, sleeps_long);
    scene_open(&scene, BY_CANCEL, SIGNALLED);
    scene_call(&scene, &work);
    gate_await(&work.here, 1);
    cr_expect(await_asleep(&work));
    scene_leave(&scene);
    scene_collect(&scene);
    scene_close(&scene);
    cr_expect_eq(work.error, EINTR);
    cr_expect_eq(atomic_load(&signals_seen), 1);
    cr_assert_eq(sigaction(SIGUSR2, NULL, &now), 0);
    cr_expect(now.sa_handler == count_signal);
}

static weir_status create_with_signal(struct world *world, const char *number)
{
    char settings[128];
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;

    (void)snprintf(settings, sizeof(settings), ONE_THREAD ", cancel_signal: %s", number);
    return weir_dependency_create(world->runtime, "signalled", &options, &dependency,
                                  &world->error);
}

Test(cancellation, a_handler_that_restarts_system_calls_is_refused_with_a_message)
{
    struct world world;

    install(SIGUSR2, SA_RESTART, count_signal);
    world_open_empty(&world);
    cr_expect_eq(create_with_signal(&world, "12"), WEIR_E_CONFIG);
    cr_expect(world_says(&world, "SA_RESTART"));
    install(SIGUSR2, 0, SIG_DFL);
    cr_expect_eq(create_with_signal(&world, "12"), WEIR_OK);
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    world_close(&world);
}

Test(cancellation, numbers_that_are_no_signal_or_have_a_meaning_of_their_own_are_refused)
{
    static const char *const bad[] = {"1",  "9",  "11", "15", "17",  "19",
                                      "32", "33", "65", "-1", "USR2"};
    struct world world;

    world_open_empty(&world);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        cr_expect_eq(create_with_signal(&world, bad[i]), WEIR_E_CONFIG, "%s", bad[i]);
        cr_expect(world_says(&world, "signal"), "%s", bad[i]);
        cr_expect_null(weir_dependency_find(world.runtime, "signalled"));
    }
    world_close(&world);
}

/* ---- where nobody can leave ---- */

static int asks_all(weir_call *call, struct work *work)
{
    work->said[0] = weir_call_watch_fd(call, work->fds[0]);
    work->said[1] = weir_call_on_leave(call, on_leave, work);
    work->abandoned[0] = weir_call_abandoned(call);
    return 0;
}

Test(cancellation, inline_work_has_nothing_to_watch)
{
    struct scene scene;
    struct work work;

    work_init(&work, asks_all);
    work_connect(&work);
    scene_open(&scene, BY_DEADLINE, "isolation: inline");
    cr_expect_eq(scene_next(&scene, &work), WEIR_OK);
    cr_expect_eq(work.said[0], WEIR_E_SHAPE);
    cr_expect_eq(work.said[1], WEIR_E_SHAPE);
    cr_expect_eq(work.abandoned[0], 0);
    cr_expect_eq(atomic_load(&work.hooks), 0);
    work_disconnect(&work);
    scene_close(&scene);
}

static int fails(weir_call *call, struct work *work)
{
    (void)call;
    (void)work;
    return 1;
}

static weir_command with_fallback(void)
{
    weir_command command = *working();

    command.fallback = answer_with_work;
    return command;
}

Test(cancellation, a_fallback_in_execute_has_nothing_to_watch)
{
    const weir_command command = with_fallback();
    struct scene scene;
    struct work work;

    work_init(&work, fails);
    work_connect(&work);
    scene_open(&scene, BY_DEADLINE, ONE_THREAD);
    struct work *argument = &work;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct work *)};
    work.said[0] = work.said[1] = WEIR_OK;
    cr_expect_eq(weir_execute(scene.world.dependency, &command, &request, NULL), WEIR_OK);
    cr_expect_eq(work.said[0], WEIR_E_SHAPE);
    cr_expect_eq(work.said[1], WEIR_E_SHAPE);
    cr_expect_eq(work.abandoned[1], 0);
    work_disconnect(&work);
    scene_close(&scene);
}

Test(cancellation, a_fallback_on_the_taking_thread_has_nothing_to_watch)
{
    const weir_command command = with_fallback();
    struct scene scene;
    struct work work;

    work_init(&work, asks_twice);
    work_connect(&work);
    scene_open(&scene, BY_CANCEL, "isolation: thread, threads: 1, timeout: 10ms");
    struct work *argument = &work;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct work *)};
    cr_assert_eq(weir_submit(scene.world.dependency, &command, &request, scene.queue, NULL,
                             &scene.ticket, NULL),
                 WEIR_OK);
    gate_await(&work.hold, 1);
    world_pass(&scene.world, WITHIN);
    scene_collect(&scene);
    cr_expect_eq(scene.status, WEIR_OK);
    cr_expect_eq(scene.outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(scene.outcome.source, (int32_t)WEIR_BY_FALLBACK);
    cr_expect_eq(work.said[0], WEIR_E_SHAPE);
    cr_expect_eq(work.said[1], WEIR_E_SHAPE);
    cr_expect_eq(work.abandoned[1], 0);
    gate_open(&work.hold);
    work_disconnect(&work);
    scene_close(&scene);
}

Test(cancellation, without_a_call_there_is_nothing_to_ask)
{
    cr_expect_eq(weir_call_abandoned(NULL), 0);
    cr_expect_eq(weir_call_watch_fd(NULL, 0), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_call_on_leave(NULL, on_leave, NULL), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_call_left_ns(NULL), UINT64_MAX);
    cr_expect_null(weir_call_worker(NULL));
    cr_expect_null(weir_call_primary(NULL));
    weir_call_pushback(NULL, 1);
}

/* ---- which thread runs user code ---- */

enum callback {
    RUN,
    CLASSIFY,
    DROP_ARGUMENT,
    DROP_RESULT,
    FALLBACK,
    HOOK,
    WORKER_START,
    WORKER_STOP,
    CAPTURE,
    ENTER,
    LEAVE,
    RELEASE,
    CALLBACKS
};

static struct {
    _Atomic int calls[CALLBACKS];
    _Atomic int on_timer[CALLBACKS];
    _Atomic int on_helper[CALLBACKS];
} noted;

static void note(enum callback which)
{
    char name[16] = "";

    (void)prctl(PR_GET_NAME, name, 0, 0, 0);
    (void)atomic_fetch_add(&noted.calls[which], 1);
    (void)atomic_fetch_add(&noted.on_timer[which], strcmp(name, "weir-timer") == 0 ? 1 : 0);
    (void)atomic_fetch_add(&noted.on_helper[which], strcmp(name, "weir-helper") == 0 ? 1 : 0);
}

static void noted_hook(void *user)
{
    (void)user;
    note(HOOK);
}

/* The argument says whether to wait until the caller has left and the hook has been called. */
static int noted_run(weir_call *call, const void *argument, void *result)
{
    const int hooks = atomic_load(&noted.calls[HOOK]);
    const weir_status armed = weir_call_on_leave(call, noted_hook, NULL);
    int waits;

    note(RUN);
    memcpy(&waits, argument, sizeof(waits));
    if (waits != 0) {
        (void)await_abandoned(call);
        (void)(armed == WEIR_OK && await_count(&noted.calls[HOOK], hooks + 1));
    }
    *(int *)result = 1;
    return 0;
}

static weir_verdict noted_classify(int code)
{
    note(CLASSIFY);
    return code == 0 ? WEIR_V_OK : WEIR_V_FAILED;
}

static void noted_argument_drop(void *argument)
{
    (void)argument;
    note(DROP_ARGUMENT);
}

static void noted_result_drop(void *result)
{
    (void)result;
    note(DROP_RESULT);
}

static int noted_fallback(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    note(FALLBACK);
    *(int *)result = 2;
    return 0;
}

static int noted_worker_start(void *user, void **ret_state)
{
    (void)user;
    (void)ret_state;
    note(WORKER_START);
    return 0;
}

static void noted_worker_stop(void *user, void *state)
{
    (void)user;
    (void)state;
    note(WORKER_STOP);
}

static char carried;

static void *noted_capture(void *user)
{
    (void)user;
    note(CAPTURE);
    return &carried;
}

static void *noted_enter(void *user, void *captured)
{
    (void)user;
    (void)captured;
    note(ENTER);
    return NULL;
}

static void noted_leave(void *user, void *saved)
{
    (void)user;
    (void)saved;
    note(LEAVE);
}

static void noted_release(void *user, void *captured)
{
    (void)user;
    (void)captured;
    note(RELEASE);
}

static const weir_command *noting(void)
{
    static const weir_command command = {
        WEIR_SIZED(weir_command),         .name = "noting",
        .isolations = WEIR_THREAD,        .argument_max = sizeof(int),
        .result_max = sizeof(int),        .run = noted_run,
        .classify = noted_classify,       .argument_drop = noted_argument_drop,
        .result_drop = noted_result_drop, .fallback = noted_fallback};

    return &command;
}

static weir_carrier_slot *add_noting_carrier(void)
{
    const weir_carrier carrier = {WEIR_SIZED(weir_carrier), .name = "noted",
                                  .capture = noted_capture, .enter = noted_enter,
                                  .leave = noted_leave,     .release = noted_release};
    weir_carrier_slot *slot = NULL;

    cr_assert_eq(weir_carrier_add(&carrier, &slot), WEIR_OK);
    return slot;
}

/* One that runs into its deadline, one that expires behind it in the queue. */
static void expire_two(struct world *world, weir_queue *queue)
{
    const int waits = 1;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &waits,
                                  .argument_size = sizeof(waits)};
    weir_completion completions[2];

    for (int i = 0; i < 2; ++i) {
        cr_assert_eq(weir_submit(world->dependency, noting(), &request, queue, NULL, NULL, NULL),
                     WEIR_OK);
    }
    cr_expect(await_count(&noted.calls[RUN], atomic_load(&noted.calls[CLASSIFY]) + 1));
    world_pass(world, SECOND);
    for (int i = 0; i < 2; ++i) {
        cr_assert_eq(weir_queue_take(queue, &completions[i], 1, UINT64_MAX), 1U);
        cr_expect_eq(completions[i].status, WEIR_OK); /* the fallback's */
        cr_expect_eq(weir_completion_end(&completions[i], NULL), WEIR_OK);
    }
}

/* The one that was left is over: on its only worker another call has run. */
static void pass_after(struct world *world)
{
    const int waits = 0;
    int result = 0;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &waits,
                                  .argument_size = sizeof(waits), .result = &result};

    cr_expect_eq(weir_execute(world->dependency, noting(), &request, NULL), WEIR_OK);
    cr_expect_eq(result, 1);
}

Test(cancellation, the_timer_thread_runs_no_user_code_and_the_helper_only_hooks_and_drops)
{
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options),
        .settings = "isolation: thread, threads: 1, queue: 1, timeout: 10ms",
        .worker_start = noted_worker_start, .worker_stop = noted_worker_stop};
    struct world world;
    weir_queue *queue = NULL;

    memset(&noted, 0, sizeof(noted));
    world_open_empty(&world);
    weir_carrier_slot *const slot = add_noting_carrier();
    cr_assert_eq(weir_dependency_create(world.runtime, "pay", &options, &world.dependency, NULL),
                 WEIR_OK);
    cr_assert_eq(weir_queue_create(world.runtime, &queue, NULL), WEIR_OK);
    for (int round = 0; round < 50; ++round) {
        expire_two(&world, queue);
        pass_after(&world);
    }
    cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    for (int i = 0; i < CALLBACKS; ++i) {
        cr_expect_gt(atomic_load(&noted.calls[i]), 0, "%d", i);
        cr_expect_eq(atomic_load(&noted.on_timer[i]), 0, "%d", i);
        cr_expect(i == HOOK || i == DROP_ARGUMENT || i == DROP_RESULT || i == RELEASE ||
                      atomic_load(&noted.on_helper[i]) == 0,
                  "%d", i);
    }
    cr_expect_eq(atomic_load(&noted.on_helper[HOOK]), atomic_load(&noted.calls[HOOK]));
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    world_close(&world);
    cr_expect_eq(weir_carrier_remove(slot), WEIR_OK);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.' ? 1 : 0;
}

/* How many threads of this process have this name. */
static int threads_named(const char *name)
{
    struct dirent **tasks = NULL;
    const int count = scandir("/proc/self/task", &tasks, is_visible, NULL);
    int found = 0;

    for (int i = 0; i < count; ++i) {
        char path[320];
        char text[32] = "";
        FILE *file;

        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/comm", tasks[i]->d_name);
        file = fopen(path, "re");
        if (file != NULL && fgets(text, sizeof(text), file) != NULL) {
            text[strcspn(text, "\n")] = '\0';
            found += strcmp(text, name) == 0 ? 1 : 0;
        }
        if (file != NULL) {
            (void)fclose(file);
        }
        free(tasks[i]);
    }
    free(tasks);
    return found;
}

static bool await_threads_named(const char *name, int count)
{
    const time_t until = real_seconds() + PATIENCE_SECS;

    while (threads_named(name) != count && real_seconds() < until) {
        (void)sched_yield(); /* a thread names itself */
    }
    return threads_named(name) == count;
}

Test(cancellation, helper_and_timer_are_one_thread_each_whose_name_says_so)
{
    struct world world;
    weir_queue *queues[2] = {NULL, NULL};

    world_open(&world, ONE_THREAD);
    (void)world_add(&world, "mail", ONE_THREAD);
    cr_expect(await_threads_named("weir-helper", 1));
    cr_expect_eq(threads_named("weir-timer"), 0); /* nobody has needed it yet */
    for (int i = 0; i < 2; ++i) {
        cr_assert_eq(weir_queue_create(world.runtime, &queues[i], NULL), WEIR_OK);
    }
    cr_expect(await_threads_named("weir-timer", 1));
    cr_expect_eq(threads_named("weir-helper"), 1);
    for (int i = 0; i < 2; ++i) {
        cr_expect_eq(weir_queue_destroy(queues[i]), WEIR_OK);
    }
    cr_expect_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    world_close(&world);
    cr_expect_eq(threads_named("weir-helper"), 0);
    cr_expect_eq(threads_named("weir-timer"), 0);
}
