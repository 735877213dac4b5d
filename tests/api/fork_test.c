/*
 * The child of a fork: what needs the parent's threads says WEIR_E_FORKED and never hangs; the rest
 * works; a new runtime works. Each child says with its exit code whether all was well.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include <weir/weir.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ThreadSanitizer ends a child that starts a thread after a fork of several threads. */
#ifdef WR_TSAN
#    define CHILD_MAY_START_THREADS false
#else
#    define CHILD_MAY_START_THREADS true
#endif

/* A child that hangs ends itself. */
enum { CHILD_SECONDS = 60 };

/* In a child: says what is wrong and ends it. */
#define CHILD_EXPECT(holds)                                                                 \
    do {                                                                                    \
        if (!(holds)) {                                                                     \
            (void)fprintf(stderr, "%s:%d: in the child: %s\n", __FILE__, __LINE__, #holds); \
            _exit(1);                                                                       \
        }                                                                                   \
    } while (0)

/* ---- a process with a pool ---- */

struct home {
    weir_runtime *runtime;
    weir_dependency *pooled;
    weir_dependency *inlined; /* in the same runtime */
    weir_queue *queue;
    weir_ticket ticket; /* of a call that is over */
};

static _Atomic int argument_drops;

static int run_double(weir_call *call, const void *argument, void *result)
{
    (void)call;
    *(int *)result = 2 * *(const int *)argument;
    return 0;
}

static void count_drop(void *argument)
{
    (void)argument;
    (void)atomic_fetch_add(&argument_drops, 1);
}

static const weir_command *doubling(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command),
                                         .name = "doubling",
                                         .isolations = WEIR_INLINE | WEIR_THREAD,
                                         .argument_max = sizeof(int),
                                         .result_max = sizeof(int),
                                         .run = run_double,
                                         .argument_drop = count_drop};

    return &command;
}

static weir_status execute_double(weir_dependency *dependency, int number, void *ret_result)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &number,
                                  .argument_size = sizeof(number), .result = ret_result};

    return weir_execute(dependency, doubling(), &request, NULL);
}

static weir_status submit_double(weir_dependency *dependency, int number, weir_queue *queue,
                                 weir_ticket *ret_ticket)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &number,
                                  .argument_size = sizeof(number)};

    return weir_submit(dependency, doubling(), &request, queue, NULL, ret_ticket, NULL);
}

static weir_dependency *add(weir_runtime *runtime, const char *name, const char *settings)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;

    (void)weir_dependency_create(runtime, name, &options, &dependency, NULL);
    return dependency;
}

static bool makes_one_submitted_call(weir_dependency *dependency, weir_queue *queue,
                                     weir_ticket *ret_ticket)
{
    weir_completion completion;
    int result = 0;

    return submit_double(dependency, 4, queue, ret_ticket) == WEIR_OK &&
           weir_queue_take(queue, &completion, 1, UINT64_MAX) == 1 &&
           weir_completion_end(&completion, &result) == WEIR_OK && result == 8;
}

static void home_open(struct home *home)
{
    int result = 0;

    memset(home, 0, sizeof(*home));
    cr_assert_eq(weir_runtime_create(NULL, &home->runtime, NULL), WEIR_OK);
    home->pooled = add(home->runtime, "pooled", "isolation: thread, threads: 2, timeout: off");
    home->inlined = add(home->runtime, "inlined",
                        "rate_limit.rate: 1000000/s, rate_limit.burst: 1000000, timeout: off");
    cr_assert_not_null(home->pooled);
    cr_assert_not_null(home->inlined);
    cr_assert_eq(weir_queue_create(home->runtime, &home->queue, NULL), WEIR_OK);
    cr_assert_eq(execute_double(home->pooled, 1, &result), WEIR_OK);
    cr_assert(makes_one_submitted_call(home->pooled, home->queue, &home->ticket));
}

/* The parent's is as it was: it works, and all of it ends. */
static void home_close(struct home *home)
{
    int result = 0;

    cr_expect_eq(execute_double(home->pooled, 3, &result), WEIR_OK);
    cr_expect_eq(result, 6);
    cr_expect(makes_one_submitted_call(home->pooled, home->queue, NULL));
    cr_expect_eq(weir_runtime_check(home->runtime, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_destroy(home->queue), WEIR_OK);
    cr_expect_eq(weir_runtime_stop(home->runtime, UINT64_MAX, NULL), WEIR_OK);
    weir_runtime_destroy(home->runtime);
}

/* 0: all was well in the child; 1: something was not; above: the signal that ended it. */
static int in_child(void (*child)(struct home *home), struct home *home)
{
    int status = 0;
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        (void)alarm(CHILD_SECONDS);
        child(home);
        _exit(0);
    }
    cr_assert_gt(pid, 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* ---- what a child may check of a runtime with the parent's threads ---- */

static bool error_names_a_way_out(const weir_error *error)
{
    return error->status == WEIR_E_FORKED && strstr(error->message, "new runtime") != NULL;
}

static void expect_calls_forked(struct home *home)
{
    weir_outcome outcome;
    int result = 77;
    const int number = 5;
    const int drops = atomic_load(&argument_drops);
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &number,
                                  .argument_size = sizeof(number), .result = &result};

    CHILD_EXPECT(weir_execute(home->pooled, doubling(), &request, &outcome) == WEIR_E_FORKED);
    CHILD_EXPECT(outcome.kind == WEIR_E_FORKED);
    CHILD_EXPECT(outcome.attempts == 0 && result == 77);
    CHILD_EXPECT(submit_double(home->pooled, 5, home->queue, NULL) == WEIR_E_FORKED);
    CHILD_EXPECT(atomic_load(&argument_drops) == drops); /* the argument is still the caller's */
}

static void expect_queue_forked(struct home *home)
{
    weir_completion completion;
    weir_queue *queue = NULL;
    weir_error error;

    CHILD_EXPECT(weir_queue_take(home->queue, &completion, 1, UINT64_MAX) == 0);
    CHILD_EXPECT(weir_ticket_cancel(home->queue, home->ticket) == WEIR_E_FORKED);
    (void)weir_queue_fd(home->queue);
    CHILD_EXPECT(weir_queue_create(home->runtime, &queue, &error) == WEIR_E_FORKED);
    CHILD_EXPECT(queue == NULL && error_names_a_way_out(&error));
}

static void expect_changes_forked(struct home *home)
{
    static const weir_setting setting = {.key = "timeout", .value = "2s"};
    static const char *const both[] = {NULL, "isolation: thread"};
    weir_error error;
    size_t stuck = 7;

    CHILD_EXPECT(weir_runtime_apply(home->runtime, &setting, 1, &error) == WEIR_E_FORKED);
    CHILD_EXPECT(error_names_a_way_out(&error));
    for (size_t i = 0; i < 2; ++i) {
        const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                                 .settings = both[i]};
        weir_dependency *dependency = NULL;

        CHILD_EXPECT(weir_dependency_create(home->runtime, "new", &options, &dependency, &error) ==
                     WEIR_E_FORKED);
        CHILD_EXPECT(dependency == NULL && error_names_a_way_out(&error));
    }
    CHILD_EXPECT(weir_runtime_stop(home->runtime, UINT64_MAX, &stuck) == WEIR_E_FORKED);
    CHILD_EXPECT(stuck == 7);
}

static void expect_new_runtime_works(struct home *home)
{
    weir_runtime *runtime = NULL;
    weir_queue *queue = NULL;
    int result = 0;

    (void)home;
    CHILD_EXPECT(weir_runtime_create(NULL, &runtime, NULL) == WEIR_OK);
    weir_dependency *const inlined = add(runtime, "inlined", "breaker: on, timeout: off");
    CHILD_EXPECT(execute_double(inlined, 21, &result) == WEIR_OK && result == 42);
    if (CHILD_MAY_START_THREADS) {
        weir_dependency *const pooled = add(runtime, "pooled", "isolation: thread, timeout: off");

        CHILD_EXPECT(pooled != NULL);
        CHILD_EXPECT(execute_double(pooled, 4, &result) == WEIR_OK && result == 8);
        CHILD_EXPECT(weir_queue_create(runtime, &queue, NULL) == WEIR_OK);
        CHILD_EXPECT(makes_one_submitted_call(pooled, queue, NULL));
        CHILD_EXPECT(weir_queue_destroy(queue) == WEIR_OK);
    }
    CHILD_EXPECT(weir_runtime_stop(runtime, UINT64_MAX, NULL) == WEIR_OK);
    weir_runtime_destroy(runtime);
}

static void end_the_parents(struct home *home)
{
    CHILD_EXPECT(weir_queue_destroy(home->queue) == WEIR_OK);
    weir_runtime_destroy(home->runtime);
}

static void check_child(void (*child)(struct home *home))
{
    struct home home;

    home_open(&home);
    cr_expect_eq(in_child(child, &home), 0);
    home_close(&home);
}

Test(fork, in_the_child_calls_into_the_pool_say_forked_and_leave_the_argument)
{
    check_child(expect_calls_forked);
}

Test(fork, in_the_child_queue_functions_say_forked_or_give_nothing)
{
    check_child(expect_queue_forked);
}

Test(fork, in_the_child_creating_applying_and_stopping_say_forked_and_name_the_way_out)
{
    check_child(expect_changes_forked);
}

Test(fork, in_the_child_a_new_runtime_works_with_threads_of_its_own)
{
    check_child(expect_new_runtime_works);
}

Test(fork, in_the_child_the_parents_runtime_can_be_destroyed)
{
    check_child(end_the_parents);
}

static void use_inlined(struct home *home)
{
    uint64_t values[WEIR_COUNT_END];
    weir_permit permit;
    int result = 0;

    CHILD_EXPECT(execute_double(home->inlined, 8, &result) == WEIR_OK && result == 16);
    CHILD_EXPECT(weir_begin(home->inlined, NULL, &permit, NULL) == WEIR_OK);
    CHILD_EXPECT(weir_end(&permit, WEIR_V_OK, 0) == WEIR_OK);
    CHILD_EXPECT(weir_dependency_find(home->runtime, "pooled") == home->pooled);
    CHILD_EXPECT(weir_dependency_read(home->inlined, values, WEIR_COUNT_END) == WEIR_COUNT_END);
    CHILD_EXPECT(values[WEIR_COUNT_CALLS_OK] == 2);
    CHILD_EXPECT(weir_dependency_read(home->pooled, values, WEIR_COUNT_END) == WEIR_COUNT_END);
}

Test(fork, in_the_child_inline_dependencies_of_a_runtime_with_threads_work)
{
    check_child(use_inlined);
}

static void expect_all(struct home *home)
{
    expect_calls_forked(home);
    expect_queue_forked(home);
    expect_changes_forked(home);
    end_the_parents(home);
    expect_new_runtime_works(home);
}

static void fork_again(struct home *home)
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        expect_all(home);
        _exit(0);
    }
    CHILD_EXPECT(pid > 0 && waitpid(pid, &status, 0) == pid);
    CHILD_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

Test(fork, a_childs_child_is_told_the_same)
{
    check_child(fork_again);
}

/* ---- a runtime that has started no thread ---- */

static void open_quiet(struct home *home)
{
    memset(home, 0, sizeof(*home));
    cr_assert_eq(weir_runtime_create(NULL, &home->runtime, NULL), WEIR_OK);
    home->inlined = add(home->runtime, "inlined", NULL);
    cr_assert_not_null(home->inlined);
}

static void use_quiet(struct home *home)
{
    static const weir_setting setting = {.dependency = "inlined", .key = "mode", .value = "off"};
    int result = 0;

    CHILD_EXPECT(execute_double(home->inlined, 1, &result) == WEIR_OK && result == 2);
    CHILD_EXPECT(add(home->runtime, "another", "breaker: on") != NULL);
    CHILD_EXPECT(weir_runtime_apply(home->runtime, &setting, 1, NULL) == WEIR_OK);
    CHILD_EXPECT(execute_double(home->inlined, 1, &result) == WEIR_OFF);
    CHILD_EXPECT(weir_runtime_check(home->runtime, NULL) == WEIR_OK);
    CHILD_EXPECT(weir_runtime_stop(home->runtime, 0, NULL) == WEIR_OK);
    weir_runtime_destroy(home->runtime);
}

Test(fork, a_runtime_without_threads_works_in_the_child)
{
    struct home home;
    int result = 0;

    open_quiet(&home);
    cr_expect_eq(in_child(use_quiet, &home), 0);
    cr_expect_eq(execute_double(home.inlined, 1, &result), WEIR_OK);
    weir_runtime_destroy(home.runtime);
}

/* The threads are the child's own then. */
static void start_threads_there(struct home *home)
{
    static const weir_setting setting = {.dependency = "pooled", .key = "threads", .value = "3"};
    weir_dependency *const pooled = add(home->runtime, "pooled", "isolation: thread, timeout: off");
    weir_queue *queue = NULL;
    int result = 0;

    CHILD_EXPECT(pooled != NULL);
    CHILD_EXPECT(execute_double(pooled, 2, &result) == WEIR_OK && result == 4);
    CHILD_EXPECT(weir_queue_create(home->runtime, &queue, NULL) == WEIR_OK);
    CHILD_EXPECT(makes_one_submitted_call(pooled, queue, NULL));
    CHILD_EXPECT(weir_queue_destroy(queue) == WEIR_OK);
    CHILD_EXPECT(weir_runtime_apply(home->runtime, &setting, 1, NULL) == WEIR_OK);
    CHILD_EXPECT(weir_runtime_stop(home->runtime, UINT64_MAX, NULL) == WEIR_OK);
    weir_runtime_destroy(home->runtime);
}

Test(fork, a_runtime_without_threads_may_start_them_in_the_child,
     .disabled = !CHILD_MAY_START_THREADS)
{
    struct home home;

    open_quiet(&home);
    cr_expect_eq(in_child(start_threads_there, &home), 0);
    weir_runtime_destroy(home.runtime);
}

/* ---- permits and contexts ---- */

static weir_permit shared_permit;
static weir_context *shared_context;

static void end_permit(struct home *home)
{
    uint64_t values[WEIR_COUNT_END];

    CHILD_EXPECT(weir_permit_left_ns(&shared_permit) > 0);
    CHILD_EXPECT(weir_permit_context(&shared_permit) == shared_context);
    CHILD_EXPECT(weir_end(&shared_permit, WEIR_V_FAILED, 0) == WEIR_OK);
    CHILD_EXPECT(weir_end(&shared_permit, WEIR_V_FAILED, 0) == WEIR_E_STALE);
    (void)weir_dependency_read(home->inlined, values, WEIR_COUNT_END);
    CHILD_EXPECT(values[WEIR_COUNT_CALLS_FAILED] == 1 && values[WEIR_COUNT_CALLS_OPEN] == 0);
}

Test(fork, a_permit_is_ended_in_parent_and_child_without_either_seeing_the_other)
{
    struct home home;
    weir_scope scope;
    uint64_t values[WEIR_COUNT_END];

    home_open(&home);
    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 0, &shared_context), WEIR_OK);
    weir_scope_open(&scope, shared_context);
    cr_assert_eq(weir_begin(home.inlined, NULL, &shared_permit, NULL), WEIR_OK);
    cr_expect_eq(in_child(end_permit, &home), 0);
    cr_expect_eq(weir_end(&shared_permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    weir_context_release(shared_context);
    (void)weir_dependency_read(home.inlined, values, WEIR_COUNT_END);
    cr_expect_eq(values[WEIR_COUNT_CALLS_FAILED], 0U);
    cr_expect_eq(values[WEIR_COUNT_CALLS_OK], 1U);
    home_close(&home);
}

enum { TRACES = 16, TRACE_BYTES = 33 };

static int trace_pipe[2];

/* Fixed-length texts: each the trace id of a fresh context. */
static void make_traces(char texts[TRACES][TRACE_BYTES])
{
    for (int i = 0; i < TRACES; ++i) {
        weir_context *context = NULL;

        memset(texts[i], 0, TRACE_BYTES);
        if (weir_context_derive(NULL, NULL, 0, 0, &context) == WEIR_OK) {
            memcpy(texts[i], weir_context_get(context, WEIR_LABEL_TRACE_ID), TRACE_BYTES);
        }
        weir_context_release(context);
    }
}

static void tell_traces(struct home *home)
{
    char texts[TRACES][TRACE_BYTES];

    (void)home;
    CHILD_EXPECT(weir_context_current() == shared_context); /* it stays */
    make_traces(texts);
    CHILD_EXPECT(write(trace_pipe[1], texts, sizeof(texts)) == (ssize_t)sizeof(texts));
}

Test(fork, parent_and_children_make_different_trace_ids_and_keep_the_current_context)
{
    char texts[3][TRACES][TRACE_BYTES];
    weir_scope scope;

    cr_assert_eq(pipe(trace_pipe), 0);
    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 0, &shared_context), WEIR_OK);
    weir_scope_open(&scope, shared_context);
    for (int i = 0; i < 2; ++i) {
        cr_expect_eq(in_child(tell_traces, NULL), 0);
        cr_assert_eq(read(trace_pipe[0], texts[i], sizeof(texts[i])), (ssize_t)sizeof(texts[i]));
    }
    make_traces(texts[2]);
    for (int i = 0; i < 3 * TRACES; ++i) {
        cr_expect_eq(strlen(texts[i / TRACES][i % TRACES]), 32U);
        for (int j = 0; j < i; ++j) {
            cr_expect_str_neq(texts[i / TRACES][i % TRACES], texts[j / TRACES][j % TRACES]);
        }
    }
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    weir_context_release(shared_context);
    (void)close(trace_pipe[0]);
    (void)close(trace_pipe[1]);
}

/* ---- forking on a worker ---- */

static int run_fork(weir_call *call, const void *argument, void *result)
{
    struct home *home;
    int status = 0;
    pid_t pid;

    (void)call;
    memcpy(&home, argument, sizeof(struct home *));
    pid = fork();
    if (pid == 0) {
        (void)alarm(CHILD_SECONDS);
        expect_calls_forked(home);
        expect_changes_forked(home);
        _exit(0);
    }
    *(int *)result =
        pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    return 0;
}

Test(fork, work_may_fork_and_its_child_is_told_the_same)
{
    static const weir_command command = {
        WEIR_SIZED(weir_command),  .name = "forking",
        .isolations = WEIR_THREAD, .argument_max = sizeof(struct home *),
        .result_max = sizeof(int), .run = run_fork};
    struct home home;
    struct home *argument = &home;
    int result = -1;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                                  .argument_size = sizeof(struct home *), .result = &result};

    home_open(&home);
    cr_expect_eq(weir_execute(home.pooled, &command, &request, NULL), WEIR_OK);
    cr_expect_eq(result, 0);
    home_close(&home);
}

/* ---- forking in the midst of everything ---- */

enum { HAMMERS = 3, FORKS = 50 };

struct hammer {
    pthread_t thread;
    struct home *home;
    weir_queue *queue;
    int number;
    _Atomic int rounds;
    _Atomic int *stop;
    int bad;
};

static bool hammer_once(struct hammer *hammer, int round)
{
    const weir_setting setting = {
        .dependency = "pooled", .key = "threads", .value = round % 2 == 0 ? "2" : "3"};
    weir_context *context = NULL;
    int result = 0;
    bool well = execute_double(hammer->home->pooled, 1, &result) == WEIR_OK;

    if (hammer->number == 0) {
        well = weir_runtime_apply(hammer->home->runtime, &setting, 1, NULL) == WEIR_OK && well;
    }
    well = makes_one_submitted_call(hammer->home->pooled, hammer->queue, NULL) && well;
    well = weir_context_derive(NULL, NULL, 0, 0, &context) == WEIR_OK && well;
    weir_context_release(context);
    return execute_double(hammer->home->inlined, 1, &result) == WEIR_OK && well;
}

static void *hammer_main(void *user)
{
    struct hammer *const hammer = user;

    for (int round = 0; atomic_load(hammer->stop) == 0; ++round) {
        hammer->bad += hammer_once(hammer, round) ? 0 : 1;
        (void)atomic_fetch_add(&hammer->rounds, 1);
    }
    return NULL;
}

/* A sanitizer's allocator may have been locked by a thread that the child has not: there the child
 * does only what allocates nothing. */
static void expect_in_the_midst(struct home *home)
{
#ifdef WR_SANITIZED
    expect_calls_forked(home);
    expect_queue_forked(home);
    expect_changes_forked(home);
#else
    expect_all(home);
#endif
}

Test(fork, fifty_children_of_a_process_whose_threads_are_all_inside_weir_never_hang)
{
    _Atomic int stop = 0;
    struct hammer hammers[HAMMERS];
    struct home home;

    home_open(&home);
    for (int i = 0; i < HAMMERS; ++i) {
        memset(&hammers[i], 0, sizeof(hammers[i]));
        hammers[i].home = &home;
        hammers[i].number = i;
        hammers[i].stop = &stop;
        cr_assert_eq(weir_queue_create(home.runtime, &hammers[i].queue, NULL), WEIR_OK);
        cr_assert_eq(pthread_create(&hammers[i].thread, NULL, hammer_main, &hammers[i]), 0);
    }
    for (int i = 0; i < FORKS; ++i) {
        const int rounds = atomic_load(&hammers[0].rounds);

        cr_expect_eq(in_child(expect_in_the_midst, &home), 0);
        while (atomic_load(&hammers[0].rounds) == rounds) {
            (void)sched_yield(); /* the parent goes on, too */
        }
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < HAMMERS; ++i) {
        (void)pthread_join(hammers[i].thread, NULL);
        cr_expect_eq(hammers[i].bad, 0);
        cr_expect_eq(weir_queue_destroy(hammers[i].queue), WEIR_OK);
    }
    home_close(&home);
}
