/*
 * weir under thread isolation: weir_execute() for callers that wait, weir_submit() and a queue of
 * completions for each submitter that does not.
 *
 * Twice: a bare pool, to compare like with like, and one with every gate on, with room and tokens
 * to spare. A submitter fills up what may be in flight, then takes what has ended, then fills
 * again.
 */
#include "support/handoff_subject.h"

#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

#define BARE ", timeout: off"
#define GATES                                                                               \
    ", timeout: 1s, breaker.window.kind: time, breaker.window.span: 10s, rate_limit.rate: " \
    "1000000/s"                                                                             \
    ", rate_limit.burst: 1000000"

enum { BATCH = 256 };

/* What a waiting caller hands over: the command's argument. */
struct work {
    handoff_run *run;
    void *argument;
};

struct weir_pool {
    weir_runtime *runtime; /* owned */
    weir_dependency *dependency;
    weir_queue **queues; /* owned; one for each submitter */
    unsigned submitters;
    unsigned in_flight; /* at the most, for each submitter */
};

static int run_work(weir_call *call, const void *argument, void *result)
{
    const struct work *const work = argument;

    (void)call;
    (void)result;
    work->run(work->argument);
    return 0;
}

static int run_nothing(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

static const weir_command command = {WEIR_SIZED(weir_command), .name = "work",
                                     .isolations = WEIR_THREAD, .argument_max = sizeof(struct work),
                                     .run = run_work};
static const weir_command nothing = {WEIR_SIZED(weir_command), .name = "nothing",
                                     .isolations = WEIR_THREAD, .run = run_nothing};
static const weir_command *const commands[] = {&command, &nothing};
static const weir_request no_request = {WEIR_SIZED(weir_request)};

static bool weir_call_once(void *pool, unsigned caller, handoff_run *run, void *argument)
{
    const struct work work = {run, argument};
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &work,
                                  .argument_size = sizeof(work)};

    (void)caller;
    return weir_execute(((struct weir_pool *)pool)->dependency, &command, &request, NULL) ==
           WEIR_OK;
}

/* Takes what has ended, waiting for the first. False: one has not ended well. */
static bool take(weir_queue *queue, size_t *in_flight, struct handoff_post *post)
{
    weir_completion ended[BATCH];
    const size_t count = weir_queue_take(queue, ended, BATCH, UINT64_MAX);
    size_t good = 0;

    for (size_t i = 0; i < count; ++i) {
        good += ended[i].status == WEIR_OK;
        (void)weir_completion_end(&ended[i], NULL);
    }
    *in_flight -= count;
    post->tasks += good;
    return good == count;
}

/* Being refused by a full pool means to take first: the pool holds all that may be in flight. */
static bool fill(struct weir_pool *pool, weir_queue *queue, size_t *in_flight)
{
    weir_status status = WEIR_OK;

    while (*in_flight < pool->in_flight && status == WEIR_OK) {
        status = weir_submit(pool->dependency, &nothing, &no_request, queue, NULL, NULL, NULL);
        *in_flight += status == WEIR_OK;
    }
    if (*in_flight > 0 && (status == WEIR_OK || status == WEIR_BULKHEAD || status == WEIR_CELLS)) {
        return true;
    }
    (void)fprintf(stderr, "weir_submit: %s\n", weir_status_name(status));
    return false;
}

static bool weir_post(void *pool, struct handoff_post *post)
{
    struct weir_pool *const self = pool;
    weir_queue *const queue = self->queues[post->submitter];
    size_t in_flight = 0;
    bool fine = true;

    while (fine && !atomic_load_explicit(post->stop, memory_order_relaxed)) {
        fine = fill(self, queue, &in_flight) && take(queue, &in_flight, post);
    }
    while (fine && in_flight > 0) {
        fine = take(queue, &in_flight, post);
    }
    return fine;
}

static void weir_close(void *pool)
{
    struct weir_pool *const self = pool;

    for (unsigned i = 0; self->queues != NULL && i < self->submitters; ++i) {
        (void)weir_queue_destroy(self->queues[i]);
    }
    weir_runtime_destroy(self->runtime);
    free(self->queues);
    free(self);
}

static weir_status create(struct weir_pool *pool, const char *settings, weir_error *error)
{
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options), .settings = settings, .commands = commands,
        .command_count = sizeof(commands) / sizeof(commands[0])};
    weir_status status = weir_runtime_create(NULL, &pool->runtime, error);

    if (status == WEIR_OK) {
        status = weir_dependency_create(pool->runtime, "pool", &options, &pool->dependency, error);
    }
    for (unsigned i = 0; status == WEIR_OK && i < pool->submitters; ++i) {
        status = weir_queue_create(pool->runtime, &pool->queues[i], error);
    }
    return status;
}

/* A place in the queue for all that the workers cannot run at once. Queues of completions are made
 * for submitters only: callers that wait need none. */
static void *open_with(const struct handoff_shape *shape, const char *gates)
{
    const unsigned most = shape->callers * shape->in_flight;
    const unsigned queue = most > shape->workers ? most : 0;
    struct weir_pool *const self = calloc(1, sizeof(*self));
    weir_error error = {.message = "no memory"};
    char settings[256];

    if (self == NULL) {
        return NULL;
    }
    self->in_flight = shape->in_flight;
    self->submitters = shape->in_flight > 1 ? shape->callers : 0;
    self->queues = calloc(shape->callers, sizeof(weir_queue *));
    (void)snprintf(settings, sizeof(settings),
                   "isolation: thread, threads: %u, queue: %u, completions: %u%s", shape->workers,
                   queue, most, gates);
    if (self->queues == NULL || create(self, settings, &error) != WEIR_OK) {
        (void)fprintf(stderr, "weir: %s\n", error.message);
        weir_close(self);
        return NULL;
    }
    return self;
}

static void *weir_open_bare(const struct handoff_shape *shape)
{
    return open_with(shape, BARE);
}

static void *weir_open_gates(const struct handoff_shape *shape)
{
    return open_with(shape, GATES);
}

const struct handoff_subject handoff_weir = {.name = "weir",
                                             .parts = HANDOFF_BLOCKING | HANDOFF_CROWD |
                                                      HANDOFF_QUEUED | HANDOFF_POST,
                                             .open = weir_open_bare,
                                             .close = weir_close,
                                             .call = weir_call_once,
                                             .post = weir_post};
const struct handoff_subject handoff_weir_gates = {.name = "weir, every gate on",
                                                   .parts = HANDOFF_BLOCKING | HANDOFF_CROWD |
                                                            HANDOFF_QUEUED | HANDOFF_POST,
                                                   .open = weir_open_gates,
                                                   .close = weir_close,
                                                   .call = weir_call_once,
                                                   .post = weir_post};
