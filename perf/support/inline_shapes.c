/*
 * The table of measured calls. See inline_shapes.h.
 */
#define _GNU_SOURCE
#include "support/inline_shapes.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* Breaker with a time window, bulkhead and timeout; the rate limit differs. */
#define GUARDED "timeout: 1s, breaker.window.kind: time, breaker.window.span: 10s"

/* More tokens than any bench takes. */
#define AMPLE  ", rate_limit.rate: 1000000/s, rate_limit.burst: 1000000"
#define SPENT  ", rate_limit.rate: 1/h, rate_limit.burst: 1"
#define ROOMY  ", max_concurrent: 100"
#define SINGLE ", max_concurrent: 1"
#define TRIPPED \
    ", breaker.consecutive_failures: 1, breaker.open_for: 24h, breaker.open_for_max: 24h"

#define NS_PER_S      1000000000LL
#define OVERDUE_AFTER 300000000LL /* longer than the default slow_call */

static int run_nothing(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

static int run_failing(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 1;
}

static const weir_command nothing = {WEIR_SIZED(weir_command), .name = "nothing",
                                     .isolations = WEIR_INLINE, .run = run_nothing};
static const weir_command failing = {WEIR_SIZED(weir_command), .name = "failing",
                                     .isolations = WEIR_INLINE, .run = run_failing};
static const weir_request no_request = {WEIR_SIZED(weir_request)};

static bool trip(struct perf_bench *bench)
{
    return weir_execute(bench->dependency, &failing, &no_request, NULL) == WEIR_FAILED;
}

static bool spend(struct perf_bench *bench)
{
    return weir_execute(bench->dependency, &nothing, &no_request, NULL) == WEIR_OK;
}

static bool fill(struct perf_bench *bench)
{
    return weir_begin(bench->dependency, &no_request, &bench->held, NULL) == WEIR_OK;
}

static int64_t clock_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* By reading the clock, because counting runs on one that moves only when read. */
static bool fill_and_let_it_be_overdue(struct perf_bench *bench)
{
    const int64_t until = clock_ns() + OVERDUE_AFTER;

    while (clock_ns() < until) {
    }
    if (!fill(bench)) {
        return false;
    }
    for (const int64_t overdue = clock_ns() + OVERDUE_AFTER; clock_ns() < overdue;) {
    }
    return true;
}

const struct perf_shape perf_shapes[] = {
    {"execute", "execute, every gate on", PERF_EXECUTE, PERF_ADMISSION, GUARDED ROOMY AMPLE,
     WEIR_OK, NULL},
    {"begin_end", "begin + end, every gate on", PERF_BEGIN_END, PERF_ADMISSION, GUARDED ROOMY AMPLE,
     WEIR_OK, NULL},
    {"execute_bare", "execute, bulkhead alone", PERF_EXECUTE, PERF_ADMISSION, "timeout: off",
     WEIR_OK, NULL},
    {"refused_open", "execute refused: open breaker", PERF_EXECUTE, PERF_REFUSAL,
     GUARDED ROOMY AMPLE TRIPPED, WEIR_OPEN, trip},
    {"refused_bulkhead", "execute refused: full bulkhead", PERF_EXECUTE, PERF_REFUSAL,
     GUARDED SINGLE AMPLE ", breaker.slow_call: 24h", WEIR_BULKHEAD, fill},
    {"refused_rate", "execute refused: rate limit", PERF_EXECUTE, PERF_REFUSAL, GUARDED ROOMY SPENT,
     WEIR_RATE, spend},
    {"begin_refused", "begin refused: open breaker", PERF_BEGIN, PERF_REFUSAL,
     GUARDED ROOMY AMPLE TRIPPED, WEIR_OPEN, trip},
    {"refused_overdue", "execute refused: full, holder overdue", PERF_EXECUTE, PERF_INFORMATION,
     GUARDED SINGLE AMPLE, WEIR_BULKHEAD, fill_and_let_it_be_overdue},
};
const size_t perf_shape_count = sizeof(perf_shapes) / sizeof(perf_shapes[0]);

const struct perf_shape *perf_shape_find(const char *name)
{
    for (size_t i = 0; i < perf_shape_count; ++i) {
        if (strcmp(perf_shapes[i].name, name) == 0) {
            return &perf_shapes[i];
        }
    }
    return NULL;
}

bool perf_bench_open(struct perf_bench *bench, const struct perf_shape *shape,
                     const weir_allocator *allocator)
{
    const weir_runtime_options runtime_options = {WEIR_SIZED(weir_runtime_options),
                                                  .allocator = allocator, .seed = 1};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = shape->settings};
    weir_error error = {.message = "it did not come into its state"};

    *bench = (struct perf_bench){.shape = shape};
    if (weir_runtime_create(&runtime_options, &bench->runtime, &error) == WEIR_OK &&
        weir_dependency_create(bench->runtime, shape->name, &options, &bench->dependency, &error) ==
            WEIR_OK &&
        (shape->prepare == NULL || shape->prepare(bench))) {
        return true;
    }
    (void)fprintf(stderr, "%s: %s\n", shape->name, error.message);
    perf_bench_close(bench);
    return false;
}

void perf_bench_close(struct perf_bench *bench)
{
    (void)weir_end(&bench->held, WEIR_V_CANCELLED, 0); /* all zero: stale, which is fine */
    weir_runtime_destroy(bench->runtime);
    bench->runtime = NULL;
}

bool perf_bench_calls(struct perf_bench *bench, uint64_t calls)
{
    weir_dependency *const dependency = bench->dependency;
    const weir_status expected = bench->shape->expected;
    uint64_t wrong = 0;
    weir_outcome outcome;
    weir_permit permit;

    switch (bench->shape->how) {
    case PERF_EXECUTE:
        for (uint64_t i = 0; i < calls; ++i) {
            wrong += weir_execute(dependency, &nothing, &no_request, &outcome) != expected;
        }
        break;
    case PERF_BEGIN_END:
        for (uint64_t i = 0; i < calls; ++i) {
            wrong += weir_begin(dependency, &no_request, &permit, &outcome) != expected;
            wrong += weir_end(&permit, WEIR_V_OK, 0) != WEIR_OK;
        }
        break;
    case PERF_BEGIN:
        for (uint64_t i = 0; i < calls; ++i) {
            wrong += weir_begin(dependency, &no_request, &permit, &outcome) != expected;
        }
        break;
    default:
        return false;
    }
    return wrong == 0;
}
