/*
 * Thread isolation in a test's hand: tasks that say what a worker is to do and note what it did,
 * callers on threads of their own, a completion queue, and an end with no thread left inside weir.
 * Header only, like world.h.
 */
#ifndef WEIR_TESTS_POOL_WORLD_H
#define WEIR_TESTS_POOL_WORLD_H

#include "support/world.h"

#include <sched.h>
#include <stdatomic.h>

/* ---- a dependency with a pool ---- */

/* `settings` may be "". */
static inline void pool_open(struct world *world, const char *settings)
{
    char all[512];

    (void)snprintf(all, sizeof(all), "isolation: thread%s%s", settings[0] != '\0' ? ", " : "",
                   settings);
    world_open(world, all);
}

/* Poll, as nothing in the API tells of it. False: it has not come about in a long while. */
static inline bool await_count_of(weir_dependency *dependency, size_t index, uint64_t value)
{
    for (int i = 0; i < 2000000; ++i) {
        if (count_of(dependency, index) == value) {
            return true;
        }
        (void)sched_yield();
    }
    return false;
}

static inline bool await_count(struct world *world, size_t index, uint64_t value)
{
    return await_count_of(world->dependency, index, value);
}

/* All work returns: every thread ends. What stop waits for in real time may take longer than that
 * on a busy machine, hence again. */
static inline void runtime_stop(weir_runtime *runtime)
{
    weir_status status = WEIR_E_BUSY;

    for (int i = 0; i < 60 && status == WEIR_E_BUSY; ++i) {
        status = weir_runtime_stop(runtime, SECOND, NULL);
    }
    cr_expect_eq(status, WEIR_OK);
}

/* All threads end; then as world_close(). Queues have been destroyed. */
static inline void pool_close(struct world *world)
{
    runtime_stop(world->runtime);
    cr_expect_eq(world_count(world, WEIR_COUNT_CELLS), 0U);
    cr_expect_eq(world_count(world, WEIR_COUNT_SLOTS_HELD), 0U);
    cr_expect_eq(world_count(world, WEIR_COUNT_WORKERS), 0U);
    world_close(world);
}

/* ---- tasks ---- */

struct log {
    _Atomic size_t count;
    int numbers[64];
};

/* One call's work. The argument is a pointer to it; it lives until the argument is dropped, which a
 * worker may do after execute has returned. */
struct task {
    struct gate *gate; /* where run is held; NULL: nowhere */
    int code;          /* what run returns; a weir_verdict, or any other number */
    int number;        /* the value */
    struct log *log;   /* run writes its number there; NULL: nowhere */
    weir_manual_clock *clock;
    uint64_t took_ns; /* by which run moves the clock, if there is one */
    uint64_t pushback_ns;
    /* What happened: */
    _Atomic int runs, argument_drops, value_drops;
    pthread_t thread;  /* of run */
    uint64_t left_ns;  /* when run begins */
    int abandoned[2];  /* when run begins, and behind the gate */
    void *worker;      /* the worker's state */
    char label[2][32]; /* the label "user", when run begins, and behind the gate */
};

struct value {
    struct task *task;
    int number;
};

static inline struct task *task_of(const void *argument)
{
    struct task *task;

    memcpy(&task, argument, sizeof(struct task *));
    return task;
}

static inline void task_note(struct task *task, const weir_call *call, int at)
{
    const char *const label = weir_context_get(weir_context_current(), "user");

    task->abandoned[at] = weir_call_abandoned(call);
    (void)snprintf(task->label[at], sizeof(task->label[at]), "%s", label != NULL ? label : "");
}

static inline int task_run(weir_call *call, const void *argument, void *result)
{
    struct task *const task = task_of(argument);
    const struct value value = {.task = task, .number = task->number};

    (void)atomic_fetch_add(&task->runs, 1);
    task->thread = pthread_self();
    task->left_ns = weir_call_left_ns(call);
    task->worker = weir_call_worker(call);
    task_note(task, call, 0);
    memcpy(result, &value, sizeof(value));
    if (task->log != NULL) {
        task->log->numbers[atomic_fetch_add(&task->log->count, 1)] = task->number;
    }
    if (task->gate != NULL) {
        gate_pass(task->gate);
    }
    task_note(task, call, 1);
    if (task->clock != NULL) {
        weir_manual_clock_advance(task->clock, task->took_ns);
    }
    if (task->pushback_ns != 0) {
        weir_call_pushback(call, task->pushback_ns);
    }
    memcpy(result, &value, sizeof(value));
    return task->code;
}

static inline void task_argument_drop(void *argument)
{
    (void)atomic_fetch_add(&task_of(argument)->argument_drops, 1);
}

static inline void task_value_drop(void *result)
{
    struct value value;

    memcpy(&value, result, sizeof(value));
    (void)atomic_fetch_add(&value.task->value_drops, 1);
}

/* Does its task, on whatever thread; the code is the verdict. */
static inline const weir_command *task_command(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command),
                                         .name = "task",
                                         .isolations = WEIR_INLINE | WEIR_THREAD,
                                         .argument_max = sizeof(struct task *),
                                         .result_max = sizeof(struct value),
                                         .run = task_run,
                                         .classify = obey_classify,
                                         .argument_drop = task_argument_drop,
                                         .result_drop = task_value_drop};

    return &command;
}

/* Nobody uses the task any more: so many calls of it have dropped it. */
static inline void task_await_drops(struct task *task, int drops)
{
    for (int i = 0; i < 10000000 && atomic_load(&task->argument_drops) < drops; ++i) {
        (void)sched_yield();
    }
    cr_expect_eq(atomic_load(&task->argument_drops), drops);
}

/* ---- execute ---- */

/* On this thread. Unless it was a usage error the task has been dropped on return. */
static inline weir_status task_execute(weir_dependency *dependency, struct task *task,
                                       weir_outcome *ret_outcome)
{
    struct value value = {0};
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &task,
                                  .argument_size = sizeof(struct task *), .result = &value};
    const int drops = atomic_load(&task->argument_drops);
    const weir_status status = weir_execute(dependency, task_command(), &request, ret_outcome);

    if (status >= 0) {
        task_await_drops(task, drops + 1);
    }
    return status;
}

static inline int try_run(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

/* What becomes of a call that does nothing but come back. */
static inline weir_status world_try(struct world *world)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "try",
                                         .isolations = WEIR_INLINE | WEIR_THREAD, .run = try_run};

    return weir_execute(world->dependency, &command, NULL, NULL);
}

/* A call on a thread of its own. */
struct errand {
    pthread_t thread;
    weir_dependency *dependency;
    const weir_command *command; /* NULL: task_command() */
    struct task *task;
    uint64_t within_ns;
    const weir_context *context;
    struct value value; /* the caller's memory for the result */
    weir_status status; /* after join */
    weir_outcome outcome;
};

static inline void *errand_main(void *user)
{
    struct errand *const errand = user;
    const weir_request request = {WEIR_SIZED(weir_request),
                                  .argument = &errand->task,
                                  .argument_size = sizeof(struct task *),
                                  .result = &errand->value,
                                  .within_ns = errand->within_ns,
                                  .context = errand->context};

    errand->status =
        weir_execute(errand->dependency, errand->command != NULL ? errand->command : task_command(),
                     &request, &errand->outcome);
    return NULL;
}

static inline void errand_start(struct errand *errand, weir_dependency *dependency,
                                struct task *task)
{
    errand->dependency = dependency;
    errand->task = task;
    cr_assert_eq(pthread_create(&errand->thread, NULL, errand_main, errand), 0);
}

static inline weir_status errand_join(struct errand *errand)
{
    (void)pthread_join(errand->thread, NULL);
    return errand->status;
}

/* Calls that are held at one gate, or wait for a worker behind those. */
struct crew {
    struct gate gate;
    struct task tasks[16];
    struct errand errands[16];
    size_t count;
};

/* `count` calls more, each of which runs. */
static inline void crew_hold(struct crew *crew, weir_dependency *dependency, size_t count)
{
    if (crew->count == 0) {
        memset(crew, 0, sizeof(*crew));
        crew->gate = (struct gate)GATE_INIT;
    }
    for (size_t end = crew->count + count; crew->count < end; ++crew->count) {
        crew->tasks[crew->count].gate = &crew->gate;
        errand_start(&crew->errands[crew->count], dependency, &crew->tasks[crew->count]);
    }
    gate_await(&crew->gate, (int)crew->count);
}

/* Let all go; each comes back with `status`. */
static inline void crew_release(struct crew *crew, weir_status status)
{
    gate_open(&crew->gate);
    for (size_t i = 0; i < crew->count; ++i) {
        cr_expect_eq(errand_join(&crew->errands[i]), status);
        task_await_drops(&crew->tasks[i], 1);
    }
    crew->count = 0;
}

/* All its callers have left, its work is still held. */
static inline void crew_lose_callers(struct crew *crew, weir_status status)
{
    for (size_t i = 0; i < crew->count; ++i) {
        cr_expect_eq(errand_join(&crew->errands[i]), status);
    }
}

/* The work of a crew without callers returns. */
static inline void crew_come_back(struct crew *crew, weir_dependency *dependency)
{
    gate_open(&crew->gate);
    cr_expect(await_count_of(dependency, WEIR_COUNT_ABANDONED, 0));
    for (size_t i = 0; i < crew->count; ++i) {
        task_await_drops(&crew->tasks[i], 1);
    }
    crew->count = 0;
}

/* ---- submit ---- */

static inline weir_queue *queue_open(struct world *world)
{
    weir_queue *queue = NULL;

    cr_assert_eq(weir_queue_create(world->runtime, &queue, &world->error), WEIR_OK);
    return queue;
}

static inline void queue_close(weir_queue *queue)
{
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
}

/* The task is the completion's user pointer too. */
static inline weir_status task_submit(weir_dependency *dependency, weir_queue *queue,
                                      struct task *task, uint64_t within_ns,
                                      weir_ticket *ret_ticket)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &task,
                                  .argument_size = sizeof(struct task *), .within_ns = within_ns};

    return weir_submit(dependency, task_command(), &request, queue, task, ret_ticket, NULL);
}

static inline weir_ticket world_submit(struct world *world, weir_queue *queue, struct task *task)
{
    weir_ticket ticket = {{0, 0}};

    cr_expect_eq(task_submit(world->dependency, queue, task, 0, &ticket), WEIR_OK);
    return ticket;
}

/* The next completion, however long it takes. */
static inline weir_completion queue_next(weir_queue *queue)
{
    weir_completion completion;

    memset(&completion, 0, sizeof(completion));
    cr_expect_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
    return completion;
}

/* Take the next one and end it; its value is dropped. Returns its status. */
static inline weir_status queue_finish(weir_queue *queue, weir_outcome *ret_outcome)
{
    weir_completion completion = queue_next(queue);

    if (ret_outcome != NULL) {
        *ret_outcome = completion.outcome;
    }
    cr_expect_eq(weir_completion_end(&completion, NULL), WEIR_OK);
    return completion.status;
}

static inline bool queue_is_empty(weir_queue *queue)
{
    weir_completion completion;

    return weir_queue_take(queue, &completion, 1, 0) == 0;
}

#endif
