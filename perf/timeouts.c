/*
 * How late deadlines are: weir's beside a bare futex wait with an absolute timeout, and beside a
 * raw hand-off to a worker that is left in the same way, which is what weir is compared with.
 *
 * Blocking: calls that weir_execute() gives up at their deadline, on an idle machine and beside 16
 * busy threads for each CPU, with the kernel's default timer slack of the calling thread and with
 * the least. Nobody is pinned. Submitted: a flood of calls of which none is in time. The exit code
 * says whether every one of them came back, once and not early; how late is printed, and judged by
 * the reader.
 */
#define _GNU_SOURCE
#include "support/slices.h"
#include "support/statistics.h"
#include "support/timeouts_bare.h"
#include "support/timeouts_flood.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <weir/weir.h>

enum {
    ROUNDS = 9,
    ROUNDS_QUICK = 3,
    CALLS_IDLE = 60,
    CALLS_BUSY = 40,
    BUSY_THREADS = 16, /* for each CPU */
    BUSY_MAX = 4096,
    PARTS = 10, /* of the flood, which has no rounds */
    FLOOD = 1000000,
    FLOOD_QUICK = 50000
};

#define US         1000.0 /* ns */
#define TIMEOUT_NS 5000000U
#define SETTINGS   "isolation: thread, threads: 1, queue: 4, timeout: 5ms"
#define LEAST      1UL /* ns of timer slack; 0 is the default, 50 us */
#define P50_TARGET 1.15
#define P99_TARGET 1.5

static weir_dependency *dependency;
static _Atomic bool idle_again;

static int run_until_left(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)result;
    perf_gate_block(*(const uint32_t *)argument);
    return 0;
}

static const weir_command command = {WEIR_SIZED(weir_command), .name = "late",
                                     .isolations = WEIR_THREAD, .argument_max = sizeof(uint32_t),
                                     .run = run_until_left};
static const weir_command *const commands[] = {&command};

/* Negative: the call ended early, or otherwise than by its timeout. A worker may not have got a CPU
 * in time: such a call is over as well. */
static double weir_late_ns(void)
{
    const uint32_t number = perf_gate_next();
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &number,
                                  .argument_size = sizeof(number)};
    weir_outcome outcome;
    const uint64_t due_ns = perf_now_ns() + TIMEOUT_NS;
    const weir_status status = weir_execute(dependency, &command, &request, &outcome);
    const uint64_t now_ns = perf_now_ns();

    perf_gate_leave(number, outcome.attempts > 0);
    if ((status != WEIR_TIMED_OUT && status != WEIR_DEADLINE) || now_ns < due_ns) {
        (void)fprintf(stderr, "weir_execute: %s, %.1f us after its deadline\n",
                      weir_status_name(status), ((double)now_ns - (double)due_ns) / US);
        return -1;
    }
    return (double)(now_ns - due_ns);
}

static double bare_late_ns(void)
{
    return perf_bare_late_ns(TIMEOUT_NS);
}

static double raw_late_ns(void)
{
    return perf_raw_late_ns(TIMEOUT_NS);
}

/* A line of the table, and the line that it is compared with. */
struct line {
    const char *what;
    double (*late_ns)(void);
    unsigned long slack;
    size_t base;
    double p50[ROUNDS], p99[ROUNDS];
};

static struct line lines[] = {
    {"bare futex wait", bare_late_ns, 0, 1, {0}, {0}},
    {"raw hand-off", raw_late_ns, 0, 1, {0}, {0}},
    {"weir_execute", weir_late_ns, 0, 1, {0}, {0}},
    /* and with the least timer slack, which is lost beside busy threads */
    {"bare futex wait, least slack", bare_late_ns, LEAST, 4, {0}, {0}},
    {"raw hand-off, least slack", raw_late_ns, LEAST, 4, {0}, {0}},
    {"weir_execute, least slack", weir_late_ns, LEAST, 4, {0}, {0}},
};
enum { LINES_BUSY = 3, LINES = sizeof(lines) / sizeof(lines[0]) };

static bool measure(struct line *line, size_t round, size_t calls)
{
    double samples[CALLS_IDLE];

    (void)prctl(PR_SET_TIMERSLACK, line->slack);
    for (size_t i = 0; i < calls; ++i) {
        samples[i] = line->late_ns();
        if (samples[i] < 0) {
            return false;
        }
    }
    (void)prctl(PR_SET_TIMERSLACK, 0UL);
    perf_sort(samples, calls);
    line->p50[round] = perf_percentile(samples, calls, 50);
    line->p99[round] = perf_percentile(samples, calls, 99);
    return true;
}

static struct perf_summary ratio(const double *late, const double *base, size_t rounds)
{
    double samples[ROUNDS];

    for (size_t i = 0; i < rounds; ++i) {
        samples[i] = late[i] / base[i];
    }
    return perf_summarize(samples, rounds);
}

static void print_head(const char *what, const char *ratios)
{
    (void)printf("\n%-29s %29s %29s%s\n", what, "late, p50 us [p10..p90]", "p99 us [p10..p90]",
                 ratios);
}

static void print_line(const char *what, double *p50, double *p99, size_t rounds)
{
    const struct perf_summary half = perf_summarize(p50, rounds);
    const struct perf_summary most = perf_summarize(p99, rounds);

    (void)printf("%-29s %9.1f [%8.1f..%8.1f] %9.1f [%8.1f..%8.1f]", what, half.median / US,
                 half.p10 / US, half.p90 / US, most.median / US, most.p10 / US, most.p90 / US);
}

static void print_target(const char *where, const struct line *line, const char *what,
                         struct perf_summary found, double limit)
{
    (void)printf("%s %s: %s, %s %.2f x raw [%.2f..%.2f], at most %.2f%s\n",
                 found.median <= limit ? "PASS" : "MISS", where, line->what, what, found.median,
                 found.p10, found.p90, limit,
                 found.median > limit && found.p10 <= limit ? " (within the spread)" : "");
}

static void print_lines(const char *where, size_t count, size_t rounds)
{
    struct perf_summary p50[LINES];
    struct perf_summary p99[LINES];

    for (size_t i = 0; i < count; ++i) { /* printing sorts the samples */
        p50[i] = ratio(lines[i].p50, lines[lines[i].base].p50, rounds);
        p99[i] = ratio(lines[i].p99, lines[lines[i].base].p99, rounds);
    }
    print_head(where, "   x raw    p99");
    for (size_t i = 0; i < count; ++i) {
        print_line(lines[i].what, lines[i].p50, lines[i].p99, rounds);
        (void)printf(" %7.2f %6.2f\n", p50[i].median, p99[i].median);
    }
    for (size_t i = 0; i < count; ++i) {
        if (lines[i].late_ns == weir_late_ns) {
            print_target(where, &lines[i], "p50", p50[i], P50_TARGET);
            print_target(where, &lines[i], "p99", p99[i], P99_TARGET);
        }
    }
}

/* The order of the lines moves on from round to round. */
static bool run_rounds(const char *where, size_t count, size_t rounds, size_t calls)
{
    for (size_t i = 0; i < rounds * count; ++i) {
        const size_t round = i / count;

        if (!measure(&lines[(i + round) % count], round, calls)) {
            return false;
        }
    }
    print_lines(where, count, rounds);
    return true;
}

static void *be_busy(void *argument)
{
    while (!atomic_load_explicit(&idle_again, memory_order_relaxed)) {
    }
    return argument;
}

static bool run_busy(size_t rounds)
{
    static pthread_t threads[BUSY_MAX];
    const size_t wanted = (size_t)BUSY_THREADS * perf_cpus();
    size_t count = 0;
    bool fine;

    while (count < wanted && count < BUSY_MAX &&
           pthread_create(&threads[count], NULL, be_busy, NULL) == 0) {
        count += 1;
    }
    fine = run_rounds("16 busy threads a CPU", LINES_BUSY, rounds, CALLS_BUSY);
    atomic_store_explicit(&idle_again, true, memory_order_relaxed);
    for (size_t i = 0; i < count; ++i) {
        (void)pthread_join(threads[i], NULL);
    }
    return fine;
}

static bool run_blocking(size_t rounds)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = SETTINGS, .commands = commands,
                                             .command_count = 1};
    weir_runtime *runtime = NULL;
    weir_error error;
    bool fine;

    if (weir_runtime_create(NULL, &runtime, &error) != WEIR_OK ||
        weir_dependency_create(runtime, "late", &options, &dependency, &error) != WEIR_OK) {
        (void)fprintf(stderr, "timeouts: %s\n", error.message);
        return false;
    }
    fine = run_rounds("idle machine", LINES, rounds, CALLS_IDLE) && run_busy(rounds);
    weir_runtime_destroy(runtime);
    return fine;
}

/* As rounds: equal parts, in the order of submission. */
static void print_parts(const char *what, double *late_ns, size_t count)
{
    const size_t each = count / PARTS;
    double p50[PARTS];
    double p99[PARTS];

    for (size_t i = 0; i < PARTS && each > 0; ++i) {
        perf_sort(&late_ns[i * each], each);
        p50[i] = perf_percentile(&late_ns[i * each], each, 50);
        p99[i] = perf_percentile(&late_ns[i * each], each, 99);
    }
    if (each > 0) {
        print_line(what, p50, p99, PARTS);
        (void)printf("\n");
    }
}

static bool run_flood(size_t calls)
{
    struct flood_result result = {0};
    bool exact = false;

    if (perf_flood(calls, &result)) {
        print_head("submitted, all time out", "");
        print_parts("bare futex wait meanwhile", result.bare_ns, result.bare);
        print_parts("weir_submit", result.late_ns, calls);
        exact = result.missing == 0 && result.wrong == 0;
        (void)printf("%s %zu timeouts, at most %zu in flight: %" PRIu64 " missing, %" PRIu64
                     " early, twice or otherwise wrong; CPU %.2f us each\n",
                     exact ? "PASS" : "FAIL", calls, result.in_flight, result.missing, result.wrong,
                     result.cpu_ns / US);
    }
    free(result.late_ns);
    free(result.bare_ns);
    return exact;
}

int main(int argc, char **argv)
{
    const bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;

    if (argc > 2 || (argc == 2 && !quick)) {
        (void)fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
        return 2;
    }
    return run_blocking(quick ? ROUNDS_QUICK : ROUNDS) && run_flood(quick ? FLOOD_QUICK : FLOOD)
               ? 0
               : 1;
}
