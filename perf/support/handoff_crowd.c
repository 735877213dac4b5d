/*
 * Many threads at once: callers that wait, and submitters that do not. See handoff_measure.h.
 *
 * Nobody is pinned. The threads begin together, go on until they are told to stop, and are counted
 * to the end of their last call; the time is from the first's beginning to the last's end.
 */
#define _GNU_SOURCE
#include "support/handoff_measure.h"
#include "support/slices.h"
#include "support/usage.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { CALLERS_MAX = 64, IN_FLIGHT = 256 };

#define NS_PER_S 1000000000U

struct crowd;

struct member {
    struct crowd *crowd;
    unsigned number;
    uint64_t calls;
    bool fine;
    pthread_t thread;
};

struct crowd {
    const struct handoff_row *row;
    const struct handoff_subject *subject;
    void *pool;
    uint64_t sleep_ns; /* what is to be run */
    pthread_barrier_t start;
    _Atomic bool stop;
    struct member members[CALLERS_MAX];
};

static void work(void *argument)
{
    const uint64_t *const sleep_ns = argument;

    if (*sleep_ns != 0) {
        const struct timespec time = {.tv_nsec = (long)*sleep_ns};

        (void)nanosleep(&time, NULL);
    }
}

static void call_until_stop(struct member *self)
{
    struct crowd *const crowd = self->crowd;

    self->fine = true;
    while (self->fine && !atomic_load_explicit(&crowd->stop, memory_order_relaxed)) {
        self->fine = crowd->subject->call(crowd->pool, self->number, work, &crowd->sleep_ns);
        self->calls += 1;
    }
}

static void *run_member(void *argument)
{
    struct member *const self = argument;
    struct crowd *const crowd = self->crowd;
    struct handoff_post post = {.submitter = self->number, .stop = &crowd->stop};

    (void)pthread_barrier_wait(&crowd->start);
    if (crowd->row->part == HANDOFF_POST) {
        self->fine = crowd->subject->post(crowd->pool, &post);
        self->calls = post.tasks;
    } else {
        call_until_stop(self);
    }
    return NULL;
}

static bool run(struct crowd *crowd, struct handoff_result *result)
{
    const unsigned callers = crowd->row->callers;
    const struct perf_usage before = perf_usage_now();
    const uint64_t began_ns = perf_now_ns();
    uint64_t calls = 0;
    bool fine = true;

    (void)pthread_barrier_wait(&crowd->start);
    perf_sleep_until(began_ns + crowd->row->slice_ns);
    atomic_store_explicit(&crowd->stop, true, memory_order_relaxed);
    for (unsigned i = 0; i < callers; ++i) {
        (void)pthread_join(crowd->members[i].thread, NULL);
        calls += crowd->members[i].calls;
        fine = fine && crowd->members[i].fine;
    }
    const double ns = (double)(perf_now_ns() - began_ns);
    const struct perf_usage after = perf_usage_now();

    result->of[HANDOFF_PER_S] = (double)calls / ns * NS_PER_S;
    result->of[HANDOFF_CPU] = (double)(after.cpu_ns - before.cpu_ns) / (double)calls;
    result->of[HANDOFF_SWITCHES] = (double)(after.switches - before.switches) / (double)calls;
    return fine && calls > 0;
}

/* A thread that cannot be started leaves the others at the barrier: then there is no going on. */
static bool start_members(struct crowd *crowd)
{
    if (pthread_barrier_init(&crowd->start, NULL, crowd->row->callers + 1) != 0) {
        return false;
    }
    for (unsigned i = 0; i < crowd->row->callers; ++i) {
        struct member *const member = &crowd->members[i];

        *member = (struct member){.crowd = crowd, .number = i};
        if (pthread_create(&member->thread, NULL, run_member, member) != 0) {
            return false;
        }
    }
    return true;
}

static bool measure(const struct handoff_row *row, const struct handoff_subject *subject,
                    unsigned in_flight, struct handoff_result *ret_result)
{
    static struct crowd crowd;
    const struct handoff_shape shape = {
        .callers = row->callers, .workers = row->workers, .in_flight = in_flight};
    bool fine = row->callers <= CALLERS_MAX;

    crowd.row = row;
    crowd.subject = subject;
    crowd.sleep_ns = row->work_ns;
    crowd.pool = fine ? subject->open(&shape) : NULL;
    atomic_store_explicit(&crowd.stop, false, memory_order_relaxed);
    fine = crowd.pool != NULL && start_members(&crowd) && run(&crowd, ret_result);
    if (!fine) {
        (void)fprintf(stderr, "%s: %s: a call failed\n", row->what, subject->name);
        return false; /* whatever still runs uses the pool: the bench ends now */
    }
    subject->close(crowd.pool);
    (void)pthread_barrier_destroy(&crowd.start);
    return true;
}

bool handoff_measure_crowd(const struct handoff_row *row, const struct handoff_subject *subject,
                           struct handoff_result *ret_result)
{
    return measure(row, subject, 1, ret_result);
}

bool handoff_measure_post(const struct handoff_row *row, const struct handoff_subject *subject,
                          struct handoff_result *ret_result)
{
    return measure(row, subject, IN_FLIGHT, ret_result);
}
