/*
 * The flood of timeouts. See timeouts_flood.h.
 *
 * This thread submits at a steady rate, as many a second as are to be in flight with a timeout of a
 * second; another takes the completions; a third makes bare futex waits with an absolute timeout,
 * one after the other, for comparison under the same load. Each dependency has one worker, which
 * the first call occupies until the end: all others run out of time in the queue.
 */
#define _GNU_SOURCE
#include "support/timeouts_flood.h"
#include "support/perf_futex.h"
#include "support/slices.h"
#include "support/timeouts_bare.h"
#include "support/usage.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <weir/weir.h>

enum {
    DEPENDENCIES = 10,
    IN_FLIGHT = 100000,
    BATCH = 256,
    BARE_MAX = 20000,
    CHUNK = 100 /* submitted at once, so that the pace costs little */
};

#define NS_PER_S   1000000000U
#define TIMEOUT_NS 1000000000U
#define PAUSE_NS   100000U      /* with all in flight that may be */
#define PATIENCE   10000000000U /* after which a completion is missing */
#define BARE_NS    5000000U
#define SETTINGS   "isolation: thread, threads: 1, queue: 11000, completions: 11000, timeout: 1s"

struct call {
    uint64_t due_ns; /* not before this */
    bool ended;
};

struct flood {
    weir_runtime *runtime; /* owned */
    weir_queue *queue;     /* owned */
    weir_dependency *dependencies[DEPENDENCIES];
    struct call *calls; /* owned */
    size_t count;
    size_t submitted;         /* submitter's */
    _Atomic size_t completed; /* taker's; read by the submitter */
    _Atomic bool over;        /* all are submitted */
    _Atomic bool stop;        /* bare waits */
    struct flood_result result;
};

static _Atomic uint32_t released;

static int run_until_released(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    while (atomic_load_explicit(&released, memory_order_acquire) == 0) {
        perf_futex_wait(&released, 0, NULL);
    }
    return 0;
}

static const weir_command command = {WEIR_SIZED(weir_command), .name = "late",
                                     .isolations = WEIR_THREAD, .run = run_until_released};
static const weir_command *const commands[] = {&command};
static const weir_request no_request = {WEIR_SIZED(weir_request)};

static void note(struct flood *flood, weir_completion *completion, uint64_t now_ns)
{
    struct call *const call = completion->user;
    const bool out_of_time =
        completion->status == WEIR_TIMED_OUT || completion->status == WEIR_DEADLINE;

    if (call->ended || !out_of_time || now_ns < call->due_ns) {
        flood->result.wrong += 1;
    }
    call->ended = true;
    flood->result.late_ns[call - flood->calls] = (double)now_ns - (double)call->due_ns;
    (void)weir_completion_end(completion, NULL);
}

/* Until all have come, or nothing has for too long after the last was submitted. */
static void *take_completions(void *argument)
{
    struct flood *const flood = argument;
    size_t completed = 0;
    bool over = false;
    size_t count = 0;

    while (!over || (count > 0 && completed < flood->count)) {
        weir_completion taken[BATCH];

        over = atomic_load_explicit(&flood->over, memory_order_acquire);
        count = weir_queue_take(flood->queue, taken, BATCH, PATIENCE);
        const uint64_t now_ns = perf_now_ns();

        for (size_t i = 0; i < count; ++i) {
            note(flood, &taken[i], now_ns);
        }
        completed += count;
        atomic_store_explicit(&flood->completed, completed, memory_order_release);
    }
    return NULL;
}

static void *wait_barely(void *argument)
{
    struct flood *const flood = argument;

    while (flood->result.bare < BARE_MAX &&
           !atomic_load_explicit(&flood->stop, memory_order_relaxed)) {
        flood->result.bare_ns[flood->result.bare++] = perf_bare_late_ns(BARE_NS);
    }
    return NULL;
}

/* One that is refused, because all places are taken for a moment, is tried again. */
static bool submit(struct flood *flood)
{
    struct call *const call = &flood->calls[flood->submitted];
    weir_dependency *const dependency = flood->dependencies[flood->submitted % DEPENDENCIES];
    weir_status status;

    do {
        const size_t open =
            flood->submitted - atomic_load_explicit(&flood->completed, memory_order_acquire);

        flood->result.in_flight = open > flood->result.in_flight ? open : flood->result.in_flight;
        if (open >= IN_FLIGHT) {
            perf_sleep_until(perf_now_ns() + PAUSE_NS);
            status = WEIR_BULKHEAD;
            continue;
        }
        call->due_ns = perf_now_ns() + TIMEOUT_NS;
        status = weir_submit(dependency, &command, &no_request, flood->queue, call, NULL, NULL);
    } while (status == WEIR_BULKHEAD || status == WEIR_CELLS);
    flood->submitted += status == WEIR_OK;
    return status == WEIR_OK;
}

static bool submit_all(struct flood *flood)
{
    const uint64_t chunk_ns = (uint64_t)TIMEOUT_NS * CHUNK / IN_FLIGHT;
    uint64_t due_ns = perf_now_ns();
    bool fine = true;

    while (fine && flood->submitted < flood->count) {
        for (unsigned i = 0; fine && i < CHUNK && flood->submitted < flood->count; ++i) {
            fine = submit(flood);
        }
        due_ns += chunk_ns;
        perf_sleep_until(due_ns);
    }
    atomic_store_explicit(&flood->over, true, memory_order_release);
    return fine;
}

static bool run(struct flood *flood)
{
    const struct perf_usage before = perf_usage_now();
    pthread_t taker;
    pthread_t bare;
    bool fine;

    if (pthread_create(&taker, NULL, take_completions, flood) != 0 ||
        pthread_create(&bare, NULL, wait_barely, flood) != 0) {
        return false;
    }
    fine = submit_all(flood);
    (void)pthread_join(taker, NULL);
    atomic_store_explicit(&flood->stop, true, memory_order_relaxed);
    (void)pthread_join(bare, NULL);
    flood->result.cpu_ns = (double)(perf_usage_now().cpu_ns - before.cpu_ns) / (double)flood->count;
    for (size_t i = 0; i < flood->count; ++i) {
        flood->result.missing += !flood->calls[i].ended;
    }
    return fine;
}

static weir_status create(struct flood *flood, weir_error *error)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = SETTINGS, .commands = commands,
                                             .command_count = 1};
    weir_status status = weir_runtime_create(NULL, &flood->runtime, error);

    if (status == WEIR_OK) {
        status = weir_queue_create(flood->runtime, &flood->queue, error);
    }
    for (unsigned i = 0; status == WEIR_OK && i < DEPENDENCIES; ++i) {
        char name[32];

        (void)snprintf(name, sizeof(name), "flood%u", i);
        status =
            weir_dependency_create(flood->runtime, name, &options, &flood->dependencies[i], error);
    }
    return status;
}

static void let_go(void)
{
    atomic_store_explicit(&released, 1, memory_order_release);
    perf_futex_wake(&released, PERF_FUTEX_ALL);
}

bool perf_flood(size_t calls, struct flood_result *ret_result)
{
    static struct flood flood;
    weir_error error = {.message = "no memory"};
    bool fine;

    flood.count = calls;
    flood.calls = calloc(calls, sizeof(*flood.calls));
    flood.result.late_ns = calloc(calls, sizeof(*flood.result.late_ns));
    flood.result.bare_ns = calloc(BARE_MAX, sizeof(*flood.result.bare_ns));
    if (flood.calls == NULL || flood.result.late_ns == NULL || flood.result.bare_ns == NULL ||
        create(&flood, &error) != WEIR_OK) {
        (void)fprintf(stderr, "flood: %s\n", error.message);
        return false;
    }
    fine = run(&flood);
    let_go();
    (void)weir_queue_destroy(flood.queue);
    weir_runtime_destroy(flood.runtime);
    free(flood.calls);
    *ret_result = flood.result;
    return fine;
}
