/*
 * What an inline call takes, as a multiple of a clock read measured in the same round.
 *
 * All rows take turns within a round, a slice of about 2 ms each, on a pinned thread; a row's ratio
 * is the median over the rounds of its time by the clock read's in that round. Rows of two threads
 * say what sharing costs; they say more of the machine than of weir.
 */
#include "support/inline_shapes.h"
#include "support/slices.h"
#include "support/statistics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ROUNDS = 31, ROWS_MAX = 24, CLOCK_READ = 0 };

/* Short: all rounds together must stay within what the highest rate limit, 1,000,000/s, gives. */
#define SLICE_NS         500000U
#define CALL_TARGET      4.0 /* clock reads: twice two of them */
#define CALL_TARGET_NAME "execute"

/* A row of the table. */
struct row {
    char what[64];
    perf_operation *operation;
    void *subject;
    unsigned threads;
    uint64_t count; /* operations a slice */
    double ns[ROUNDS];
    double ratio[ROUNDS]; /* to the clock read of the round */
};

/* What two threads call: one dependency, or one each. */
struct pair {
    struct perf_bench *bench[2];
};

static struct row rows[ROWS_MAX];
static size_t row_count;

static bool read_clock(void *subject, unsigned thread, uint64_t count)
{
    uint64_t sum = 0;

    (void)subject;
    (void)thread;
    for (uint64_t i = 0; i < count; ++i) {
        sum += perf_now_ns();
    }
    return sum != 0;
}

static bool add(void *subject, unsigned thread, uint64_t count)
{
    _Atomic uint64_t *const word = subject;

    (void)thread;
    for (uint64_t i = 0; i < count; ++i) {
        (void)atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
    }
    return true;
}

static bool compare_and_swap(void *subject, unsigned thread, uint64_t count)
{
    _Atomic uint64_t *const word = subject;
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);

    (void)thread;
    for (uint64_t i = 0; i < count; ++i) {
        while (!atomic_compare_exchange_weak_explicit(word, &old, old + 1, memory_order_relaxed,
                                                      memory_order_relaxed)) {
        }
    }
    return true;
}

static bool call(void *subject, unsigned thread, uint64_t count)
{
    const struct pair *const pair = subject;

    return perf_bench_calls(pair->bench[thread], count);
}

static bool add_row(const char *what, perf_operation *operation, void *subject, unsigned threads)
{
    struct row *const row = &rows[row_count];

    (void)snprintf(row->what, sizeof(row->what), "%s%s", what, threads == 2 ? ", 2 threads" : "");
    row->operation = operation;
    row->subject = subject;
    row->threads = threads;
    row->count = perf_calibrate(operation, subject, SLICE_NS);
    if (row->count == 0) {
        (void)fprintf(stderr, "%s: a call did not end as the bench expects\n", what);
        return false;
    }
    row_count += 1;
    return true;
}

static bool run_rounds(void)
{
    for (size_t round = 0; round < ROUNDS; ++round) {
        for (size_t i = 0; i < row_count; ++i) {
            struct row *const row = &rows[i];

            row->ns[round] = perf_slice(row->operation, row->subject, row->threads, row->count);
            if (row->ns[round] <= 0) {
                (void)fprintf(stderr, "%s: a call did not end as the bench expects\n", row->what);
                return false;
            }
            row->ratio[round] = row->ns[round] / rows[CLOCK_READ].ns[round];
        }
    }
    return true;
}

static void print_rows(void)
{
    (void)printf("%-50s %22s %24s\n", "", "ns [p10..p90]", "clock reads [p10..p90]");
    for (size_t i = 0; i < row_count; ++i) {
        const struct perf_summary ns = perf_summarize(rows[i].ns, ROUNDS);
        const struct perf_summary ratio = perf_summarize(rows[i].ratio, ROUNDS);

        (void)printf("%-50s %7.1f [%5.1f..%5.1f] %9.2f [%5.2f..%5.2f]\n", rows[i].what, ns.median,
                     ns.p10, ns.p90, ratio.median, ratio.p10, ratio.p90);
    }
}

/* Told, not enforced: time on a shared machine is no test. The samples are sorted by now. */
static void print_target(const struct row *row)
{
    const double ratio = row->ratio[(ROUNDS - 1) / 2];

    (void)printf("%s: %s takes %.2f x two clock reads, the target is %.1f\n",
                 ratio <= CALL_TARGET ? "PASS" : "MISS", row->what, ratio / 2, CALL_TARGET / 2);
}

static bool add_baselines(bool two_cpus)
{
    static _Alignas(64) _Atomic uint64_t word;

    return add_row("clock_gettime", read_clock, NULL, 1) && add_row("atomic add", add, &word, 1) &&
           add_row("compare-and-swap", compare_and_swap, &word, 1) &&
           (!two_cpus || add_row("atomic add", add, &word, 2));
}

int main(void)
{
    static struct perf_bench benches[ROWS_MAX];
    static struct perf_bench other;
    static struct pair pairs[ROWS_MAX];
    static struct pair each;
    const struct perf_shape *const execute = perf_shape_find(CALL_TARGET_NAME);
    const bool two_cpus = perf_cpus() > 1;
    const struct row *target = NULL;
    struct pair *shared = NULL;

    if (!perf_pin(0) || !add_baselines(two_cpus)) {
        return 1;
    }
    for (size_t i = 0; i < perf_shape_count; ++i) {
        if (!perf_bench_open(&benches[i], &perf_shapes[i], NULL)) {
            return 1;
        }
        pairs[i] = (struct pair){{&benches[i], &benches[i]}};
        if (&perf_shapes[i] == execute) {
            shared = &pairs[i];
            target = &rows[row_count];
        }
        if (!add_row(perf_shapes[i].what, call, &pairs[i], 1)) {
            return 1;
        }
    }
    if (shared == NULL || !perf_bench_open(&other, execute, NULL)) {
        return 1;
    }
    each = (struct pair){{shared->bench[0], &other}};
    if (two_cpus && !(add_row("execute, one dependency", call, shared, 2) &&
                      add_row("execute, a dependency each", call, &each, 2))) {
        return 1;
    }
    if (!run_rounds()) {
        return 1;
    }
    print_rows();
    print_target(target);
    return 0;
}
