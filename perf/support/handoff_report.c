/*
 * Tables and targets of the hand-off bench. See handoff_report.h.
 */
#include "support/handoff_report.h"
#include "support/statistics.h"

#include <stdio.h>
#include <string.h>

#define US       1000.0 /* ns */
#define THOUSAND 1000.0

/* Round trips: at most so many times the raw one. Peers: never slower. A crowd that sleeps: at
 * least that share of the calls that the same threads make inline. */
#define P50_TARGET    1.15
#define P99_TARGET    1.5
#define CPU_TARGET    1.2
#define PEER_TARGET   1.0
#define INLINE_TARGET 0.95

static const struct handoff_cell *cell_of(const struct handoff_table *table,
                                          const struct handoff_subject *subject)
{
    for (size_t i = 0; i < table->count; ++i) {
        if (table->cells[i].subject == subject && table->cells[i].measured) {
            return &table->cells[i];
        }
    }
    return NULL;
}

static struct perf_summary summarize(const struct handoff_table *table,
                                     const struct handoff_cell *cell, enum handoff_measure measure)
{
    double samples[HANDOFF_ROUNDS_MAX];

    (void)memcpy(samples, cell->samples[measure], sizeof(samples));
    return perf_summarize(samples, table->rounds);
}

static struct perf_summary ratio(const struct handoff_table *table, const struct handoff_cell *cell,
                                 const struct handoff_cell *base, enum handoff_measure measure)
{
    double samples[HANDOFF_ROUNDS_MAX];

    for (size_t i = 0; i < table->rounds; ++i) {
        samples[i] = cell->samples[measure][i] / base->samples[measure][i];
    }
    return perf_summarize(samples, table->rounds);
}

static void print_ratio(const struct handoff_table *table, const struct handoff_cell *cell,
                        const struct handoff_cell *base, enum handoff_measure measure)
{
    if (base == NULL) {
        (void)printf(" %6s", "-");
    } else {
        (void)printf(" %6.2f", ratio(table, cell, base, measure).median);
    }
}

static void print_blocking(const struct handoff_table *table, const struct handoff_cell *cell,
                           const struct handoff_cell *base)
{
    const struct perf_summary p50 = summarize(table, cell, HANDOFF_P50);
    const struct perf_summary p99 = summarize(table, cell, HANDOFF_P99);

    (void)printf("%6.1f [%5.1f..%5.1f] %6.1f %7.1f [%5.1f..%6.1f] %6.1f %6.2f", p50.median / US,
                 p50.p10 / US, p50.p90 / US, summarize(table, cell, HANDOFF_P90).median / US,
                 p99.median / US, p99.p10 / US, p99.p90 / US,
                 summarize(table, cell, HANDOFF_CPU).median / US,
                 summarize(table, cell, HANDOFF_SWITCHES).median);
    print_ratio(table, cell, base, HANDOFF_P50);
    print_ratio(table, cell, base, HANDOFF_P99);
    print_ratio(table, cell, base, HANDOFF_CPU);
}

static void print_crowd(const struct handoff_table *table, const struct handoff_cell *cell,
                        const struct handoff_cell *base)
{
    const struct perf_summary rate = summarize(table, cell, HANDOFF_PER_S);

    (void)printf("%10.1f [%8.1f..%8.1f] %8.2f %9.3f", rate.median / THOUSAND, rate.p10 / THOUSAND,
                 rate.p90 / THOUSAND, summarize(table, cell, HANDOFF_CPU).median / US,
                 summarize(table, cell, HANDOFF_SWITCHES).median);
    print_ratio(table, cell, base, HANDOFF_PER_S);
    print_ratio(table, cell, base, HANDOFF_CPU);
}

static void print_head(const struct handoff_row *row)
{
    if (row->part == HANDOFF_BLOCKING) {
        (void)printf("\n%-22s %22s %6s %24s %6s %6s    x %s\n", row->what, "", "", "", "", "",
                     row->base->name);
        (void)printf("%-22s %22s %6s %24s %6s %6s %6s %6s %6s\n", "", "p50 us [p10..p90]", "p90",
                     "p99 us [p10..p90]", "CPU us", "switch", "p50", "p99", "CPU");
    } else {
        (void)printf("\n%-22s %30s %8s %9s    x %s\n", row->what, "", "", "", row->base->name);
        (void)printf("%-22s %31s %8s %9s %6s %6s\n", "", "thousand/s [p10..p90]", "CPU us",
                     "switches", "per s", "CPU");
    }
}

void handoff_print_table(const struct handoff_table *table)
{
    const struct handoff_cell *const base = cell_of(table, table->row->base);

    print_head(table->row);
    for (size_t i = 0; i < table->count; ++i) {
        const struct handoff_cell *const cell = &table->cells[i];

        (void)printf("%-22s ", cell->subject->name);
        if (!cell->measured) {
            (void)printf("%6s", "-");
        } else if (table->row->part == HANDOFF_BLOCKING) {
            print_blocking(table, cell, base);
        } else {
            print_crowd(table, cell, base);
        }
        (void)printf("\n");
    }
}

static const struct handoff_subject *const peers[] = {
#ifdef PERF_HAVE_GLIB
    &handoff_glib,
#endif
#ifdef PERF_HAVE_ASIO
    &handoff_asio,
#endif
    NULL};

/* A target of weir against one other subject. */
struct target {
    const struct handoff_subject *other;
    enum handoff_measure measure;
    const char *what;
    double limit;
    bool at_least; /* else at most */
};

static void print_target(const struct handoff_table *table, const struct target *target)
{
    const struct handoff_cell *const weir = cell_of(table, &handoff_weir);
    const struct handoff_cell *const other = cell_of(table, target->other);

    if (weir == NULL || other == NULL) {
        return;
    }
    const struct perf_summary found = ratio(table, weir, other, target->measure);
    const bool pass =
        target->at_least ? found.median >= target->limit : found.median <= target->limit;
    const bool near = target->at_least ? found.p90 >= target->limit : found.p10 <= target->limit;

    (void)printf("%s %s: %s %.2f x %s [%.2f..%.2f], %s %.2f%s\n", pass ? "PASS" : "MISS",
                 table->row->what, target->what, found.median, target->other->name, found.p10,
                 found.p90, target->at_least ? "at least" : "at most", target->limit,
                 !pass && near ? " (within the spread)" : "");
}

static void print_peer_target(const struct handoff_table *table, const struct handoff_subject *peer)
{
    const bool waits = table->row->part == HANDOFF_BLOCKING;
    const struct target target = {peer, waits ? HANDOFF_P50 : HANDOFF_PER_S,
                                  waits ? "p50" : "per s", PEER_TARGET, !waits};

    print_target(table, &target);
}

void handoff_print_targets(const struct handoff_table *table)
{
    static const struct target against_raw[] = {
        {&handoff_raw, HANDOFF_P50, "p50", P50_TARGET, false},
        {&handoff_raw, HANDOFF_P99, "p99", P99_TARGET, false},
        {&handoff_raw, HANDOFF_CPU, "CPU", CPU_TARGET, false},
    };
    static const struct target against_inline = {&handoff_inline, HANDOFF_PER_S, "per s",
                                                 INLINE_TARGET, true};

    for (size_t i = 0; table->row->part == HANDOFF_BLOCKING && i < 3; ++i) {
        print_target(table, &against_raw[i]);
    }
    if (table->row->work_ns != 0) {
        print_target(table, &against_inline);
    }
    for (size_t i = 0; peers[i] != NULL; ++i) {
        print_peer_target(table, peers[i]);
    }
}
