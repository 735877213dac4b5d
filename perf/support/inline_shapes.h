/*
 * The calls that the inline benches measure: one row each, with the settings and the state of the
 * dependency that they go to. Counting, timing and the gates all go by the names given here.
 */
#ifndef PERF_INLINE_SHAPES_H
#define PERF_INLINE_SHAPES_H

#include <weir/weir.h>

#include <stdbool.h>
#include <stdint.h>

enum perf_how { PERF_EXECUTE, PERF_BEGIN_END, PERF_BEGIN };
enum perf_kind { PERF_ADMISSION, PERF_REFUSAL, PERF_INFORMATION };

struct perf_bench;

struct perf_shape {
    const char *name;
    const char *what; /* for the table */
    enum perf_how how;
    enum perf_kind kind;
    const char *settings;
    weir_status expected; /* of every call */
    /* Bring the dependency into the state in which it is measured. NULL: as created. */
    bool (*prepare)(struct perf_bench *bench);
};

/* A shape with its runtime and dependency; one thread sets it up, any number may call. */
struct perf_bench {
    const struct perf_shape *shape;
    weir_runtime *runtime; /* owned */
    weir_dependency *dependency;
    weir_permit held; /* of a full bulkhead; ended by perf_bench_close() */
};

extern const struct perf_shape perf_shapes[];
extern const size_t perf_shape_count;

/* NULL: there is none of that name. */
const struct perf_shape *perf_shape_find(const char *name);

/* Says on stderr why not. allocator NULL: malloc. */
bool perf_bench_open(struct perf_bench *bench, const struct perf_shape *shape,
                     const weir_allocator *allocator);
void perf_bench_close(struct perf_bench *bench);

/* Make so many calls. False: one of them did not end as expected. */
bool perf_bench_calls(struct perf_bench *bench, uint64_t calls);

#endif
