/*
 * What handing a call to another thread takes: weir's thread isolation beside a raw futex
 * ping-pong, GLib's GThreadPool and Boost.Asio's thread_pool.
 *
 * In each round every row is measured once with every subject, each in a slice of its own with a
 * pool opened for it, and the subjects begin in another order; ratios are taken within a round.
 * Prints the tables and, for each target, PASS or MISS. The exit code says only that all calls
 * ended as they should.
 */
#include "support/handoff_report.h"
#include "support/slices.h"
#include "support/usage.h"

#include <stdio.h>
#include <string.h>

enum { ROUNDS = 15, ROUNDS_QUICK = 3, QUICK_DIVISOR = 3, ROWS_MAX = 16, CROWD = 64 };

#define MS UINT64_C(1000000) /* ns */

static const struct handoff_subject *const subjects[] = {
    &handoff_raw,  &handoff_inline, &handoff_weir, &handoff_weir_gates,
#ifdef PERF_HAVE_GLIB
    &handoff_glib,
#endif
#ifdef PERF_HAVE_ASIO
    &handoff_asio,
#endif
};
static const size_t subject_count = sizeof(subjects) / sizeof(subjects[0]);

/* Posts have no raw form: there weir is the base, and the others are so many times weir. */
static const struct handoff_row rows[] = {
    {"1,000/s, unpinned", HANDOFF_BLOCKING, HANDOFF_UNPINNED, 1000, 1, 1, 0, 300 * MS,
     &handoff_raw},
    {"10,000/s, unpinned", HANDOFF_BLOCKING, HANDOFF_UNPINNED, 10000, 1, 1, 0, 200 * MS,
     &handoff_raw},
    {"10,000/s, one CPU", HANDOFF_BLOCKING, HANDOFF_SAME_CPU, 10000, 1, 1, 0, 200 * MS,
     &handoff_raw},
    {"no pause, one CPU", HANDOFF_BLOCKING, HANDOFF_SAME_CPU, 0, 1, 1, 0, 120 * MS, &handoff_raw},
    {"no pause, two CPUs", HANDOFF_BLOCKING, HANDOFF_TWO_CPUS, 0, 1, 1, 0, 120 * MS, &handoff_raw},
    {"64 to 64, sleep 1 ms", HANDOFF_CROWD, HANDOFF_UNPINNED, 0, CROWD, CROWD, MS, 250 * MS,
     &handoff_inline},
    {"64 to 64, no work", HANDOFF_CROWD, HANDOFF_UNPINNED, 0, CROWD, CROWD, 0, 250 * MS,
     &handoff_raw},
    {"64 to 2, no work", HANDOFF_QUEUED, HANDOFF_UNPINNED, 0, CROWD, 2, 0, 250 * MS, &handoff_weir},
    {"post, 1 to 1", HANDOFF_POST, HANDOFF_UNPINNED, 0, 1, 1, 0, 150 * MS, &handoff_weir},
    {"post, 1 to 2", HANDOFF_POST, HANDOFF_UNPINNED, 0, 1, 2, 0, 150 * MS, &handoff_weir},
    {"post, 2 to 1", HANDOFF_POST, HANDOFF_UNPINNED, 0, 2, 1, 0, 150 * MS, &handoff_weir},
    {"post, 2 to 2", HANDOFF_POST, HANDOFF_UNPINNED, 0, 2, 2, 0, 150 * MS, &handoff_weir},
};

static struct handoff_table tables[ROWS_MAX];
static size_t table_count;

static bool measure(struct handoff_table *table, struct handoff_cell *cell, size_t round,
                    bool quick)
{
    struct handoff_row row = *table->row;
    struct handoff_result result = {0};
    bool fine;

    row.slice_ns /= quick ? QUICK_DIVISOR : 1;
    if ((cell->subject->parts & row.part) == 0) {
        return true;
    }
    if (row.part == HANDOFF_BLOCKING) {
        fine = handoff_measure_blocking(&row, cell->subject, &result);
    } else if (row.part == HANDOFF_POST) {
        fine = handoff_measure_post(&row, cell->subject, &result);
    } else {
        fine = handoff_measure_crowd(&row, cell->subject, &result);
    }
    for (size_t i = 0; i < HANDOFF_MEASURES; ++i) {
        cell->samples[i][round] = result.of[i];
    }
    cell->measured = true;
    return fine;
}

static void prepare_tables(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
        struct handoff_table *const table = &tables[table_count];

        if (rows[i].placement == HANDOFF_TWO_CPUS && perf_cpus() < 2) {
            (void)printf("%s: there is one CPU only, row left out\n", rows[i].what);
            continue;
        }
        table->row = &rows[i];
        table->count = subject_count;
        for (size_t subject = 0; subject < subject_count; ++subject) {
            table->cells[subject].subject = subjects[subject];
        }
        table_count += 1;
    }
}

/* The order of the subjects moves on from round to round. */
static bool run_row(struct handoff_table *table, size_t round, bool quick)
{
    for (size_t i = 0; i < table->count; ++i) {
        if (!measure(table, &table->cells[(i + round) % table->count], round, quick)) {
            return false;
        }
    }
    table->rounds = round + 1;
    return true;
}

static bool run_rounds(size_t rounds, bool quick)
{
    for (size_t i = 0; i < rounds * table_count; ++i) {
        if (!run_row(&tables[i % table_count], i / table_count, quick)) {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    const bool quick = argc == 2 && strcmp(argv[1], "--quick") == 0;

    if (argc > 2 || (argc == 2 && !quick)) {
        (void)fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
        return 2;
    }
#ifndef PERF_HAVE_GLIB
    (void)printf("GLib: not installed, row left out\n");
#endif
#ifndef PERF_HAVE_ASIO
    (void)printf("Boost.Asio: not installed, row left out\n");
#endif
    (void)perf_unpin(); /* remembers where this process may run */
    prepare_tables();
    if (!run_rounds(quick ? ROUNDS_QUICK : ROUNDS, quick)) {
        return 1;
    }
    for (size_t i = 0; i < table_count; ++i) {
        handoff_print_table(&tables[i]);
    }
    (void)printf("\nTargets:\n");
    for (size_t i = 0; i < table_count; ++i) {
        handoff_print_targets(&tables[i]);
    }
    return 0;
}
