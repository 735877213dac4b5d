/*
 * inline_count NAME CALLS: makes so many calls of one shape and prints the allocations they made.
 * Run twice under callgrind with different numbers of calls: what differs is the calls alone.
 *
 * The clock is replaced by one that moves a microsecond at each reading, so that every run takes
 * the same path through the library: no bucket of a window ends, no check of slow calls falls due
 * in one run and not in the next. The library's own code round the clock is counted, the clock is
 * not.
 */
#define _GNU_SOURCE
#include "support/allocations.h"
#include "support/inline_shapes.h"

#include <weir/testing.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STEP_NS = 1000, WARM_UP = 100 };

#define NS_PER_S 1000000000L

static long now_ns = 3600 * NS_PER_S;

/* Visible, so that the shared library takes it too. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    (void)clock;
    now_ns += STEP_NS;
    *ret_now = (struct timespec){.tv_sec = now_ns / NS_PER_S, .tv_nsec = now_ns % NS_PER_S};
    return 0;
}

static int list_shapes(void)
{
    static const char *const kinds[] = {"admission", "refusal", "information"};

    for (size_t i = 0; i < perf_shape_count; ++i) {
        (void)printf("%s\t%s\t%s\n", perf_shapes[i].name, kinds[perf_shapes[i].kind],
                     perf_shapes[i].what);
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct perf_shape *const shape = argc == 3 ? perf_shape_find(argv[1]) : NULL;
    const uint64_t calls = argc == 3 ? strtoull(argv[2], NULL, 10) : 0;
    weir_failing_allocator allocator;
    struct perf_bench bench;
    uint64_t allocations;
    long began_ns;
    bool fine;

    if (argc == 1) {
        return list_shapes();
    }
    weir_failing_allocator_init(&allocator, 0, 0);
    if (shape == NULL || !perf_bench_open(&bench, shape, &allocator.ops)) {
        (void)fprintf(stderr, "usage: inline_count [NAME CALLS]\n");
        return 2;
    }
    fine = perf_bench_calls(&bench, WARM_UP);
    allocations = perf_allocations();
    began_ns = now_ns;
    fine = perf_bench_calls(&bench, calls) && fine;
    (void)printf("%" PRIu64 "\n", perf_allocations() - allocations);
    if (!fine) {
        (void)fprintf(stderr, "%s: a call did not end as the bench expects\n", shape->name);
    }
    if (now_ns - began_ns < (long)calls * STEP_NS || allocations < allocator.calls) {
        (void)fprintf(stderr, "the library does not use the bench's clock and malloc\n");
        fine = false;
    }
    perf_bench_close(&bench);
    return fine ? 0 : 1;
}
