/*
 * One caller, one worker, and a wait for each call. See handoff_measure.h.
 *
 * Placement is the same for every subject and comes about the same way: the pool is opened while
 * the caller is not pinned, the first call pins the worker from inside (a pool of one has no other
 * that could run it), then the caller pins itself. Unpinned rows pin nobody.
 *
 * Paced calls are timed from the instant at which they were due, so that a call that comes late
 * because the one before took long says so. The caller sleeps to shortly before that instant and
 * then spins; what the spin takes is not in the CPU time, nor are its sleeps in the switches.
 */
#define _GNU_SOURCE
#include "support/handoff_measure.h"
#include "support/slices.h"
#include "support/statistics.h"
#include "support/usage.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES_MAX = 1U << 18U, WARM_UP = 100 };

#define NS_PER_S 1000000000U
#define SPIN_NS \
    UINT64_C(150000)           /* no sleep ends later than this after its time, but for accidents */
#define MARK_NS UINT64_C(5000) /* the spin's last part, after the CPU clock has been read */

struct pinning {
    unsigned cpu;
    bool pinned;
};

/* One caller's run. */
struct blocking {
    const struct handoff_row *row;
    const struct handoff_subject *subject;
    void *pool;
    double *samples; /* ns */
    size_t count;
    uint64_t sleeps;      /* between calls */
    uint64_t mark_ns;     /* when the CPU clock was read last, before a call */
    uint64_t mark_cpu_ns; /* and what it said */
    uint64_t cpu_ns;      /* the caller's own, in calls */
};

static void do_nothing(void *argument)
{
    (void)argument;
}

static void pin_worker(void *argument)
{
    struct pinning *const pinning = argument;

    pinning->pinned = perf_pin(pinning->cpu);
}

static bool call(struct blocking *self)
{
    return self->subject->call(self->pool, 0, do_nothing, NULL);
}

static bool place(struct blocking *self)
{
    struct pinning worker = {.cpu = self->row->placement == HANDOFF_TWO_CPUS ? 1 : 0};

    if (self->row->placement == HANDOFF_UNPINNED) {
        return true;
    }
    return self->subject->call(self->pool, 0, pin_worker, &worker) && worker.pinned && perf_pin(0);
}

/* Returns at `due_ns`, or at once if that is past. */
static void await(struct blocking *self, uint64_t due_ns)
{
    uint64_t now_ns = perf_now_ns();

    if (due_ns > now_ns + 2 * SPIN_NS) {
        self->sleeps += 1;
        perf_sleep_until(due_ns - SPIN_NS);
        now_ns = perf_now_ns();
    }
    while (now_ns + MARK_NS < due_ns) {
        now_ns = perf_now_ns();
    }
    self->mark_cpu_ns = perf_thread_cpu_ns();
    self->mark_ns = perf_now_ns();
    for (now_ns = self->mark_ns; now_ns < due_ns;) {
        now_ns = perf_now_ns();
    }
    self->mark_cpu_ns += now_ns - self->mark_ns; /* spun, which is no part of the call */
}

static bool run_paced(struct blocking *self)
{
    const uint64_t period_ns = NS_PER_S / self->row->per_s;
    const size_t count = (size_t)(self->row->slice_ns / period_ns);
    uint64_t due_ns = perf_now_ns() + period_ns;

    for (; self->count < count && self->count < SAMPLES_MAX; due_ns += period_ns) {
        await(self, due_ns);
        if (!call(self)) {
            return false;
        }
        self->samples[self->count++] = (double)(perf_now_ns() - due_ns);
        self->cpu_ns += perf_thread_cpu_ns() - self->mark_cpu_ns;
    }
    return true;
}

static bool run_back_to_back(struct blocking *self)
{
    uint64_t began_ns = perf_now_ns();
    const uint64_t end_ns = began_ns + self->row->slice_ns;

    while (began_ns < end_ns && self->count < SAMPLES_MAX) {
        if (!call(self)) {
            return false;
        }
        const uint64_t ended_ns = perf_now_ns();

        self->samples[self->count++] = (double)(ended_ns - began_ns);
        began_ns = ended_ns;
    }
    return true;
}

/* All threads but this one by the process's clock, this one by its own. */
static bool run(struct blocking *self, struct handoff_result *result)
{
    const bool paced = self->row->per_s != 0;
    const struct perf_usage before = perf_usage_now();
    const uint64_t own_before_ns = perf_thread_cpu_ns();
    const bool fine = paced ? run_paced(self) : run_back_to_back(self);
    const uint64_t own_ns = perf_thread_cpu_ns() - own_before_ns;
    const struct perf_usage after = perf_usage_now();
    const double others_ns = (double)(after.cpu_ns - before.cpu_ns) - (double)own_ns;
    const double calls = (double)self->count;

    if (!fine || self->count == 0) {
        return false;
    }
    result->of[HANDOFF_CPU] = (others_ns + (double)(paced ? self->cpu_ns : own_ns)) / calls;
    result->of[HANDOFF_SWITCHES] =
        ((double)(after.switches - before.switches) - (double)self->sleeps) / calls;
    perf_sort(self->samples, self->count);
    result->of[HANDOFF_P50] = perf_percentile(self->samples, self->count, 50);
    result->of[HANDOFF_P90] = perf_percentile(self->samples, self->count, 90);
    result->of[HANDOFF_P99] = perf_percentile(self->samples, self->count, 99);
    return true;
}

static bool measure(struct blocking *self, struct handoff_result *result)
{
    bool fine = place(self);

    for (unsigned i = 0; fine && i < WARM_UP; ++i) {
        fine = call(self);
    }
    fine = fine && run(self, result);
    return perf_unpin() && fine;
}

bool handoff_measure_blocking(const struct handoff_row *row, const struct handoff_subject *subject,
                              struct handoff_result *ret_result)
{
    const struct handoff_shape shape = {.callers = 1, .workers = 1, .in_flight = 1};
    struct blocking self = {.row = row, .subject = subject, .pool = subject->open(&shape)};
    bool fine = self.pool != NULL;

    self.samples = malloc(SAMPLES_MAX * sizeof(*self.samples));
    fine = fine && self.samples != NULL && measure(&self, ret_result);
    if (self.pool != NULL) {
        subject->close(self.pool);
    }
    free(self.samples);
    if (!fine) {
        (void)fprintf(stderr, "%s: %s: a call failed, or a pin\n", row->what, subject->name);
    }
    return fine;
}
