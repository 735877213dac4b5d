/*
 * Counting tasks in flight. See handoff_flight.h.
 */
#define _GNU_SOURCE
#include "support/handoff_flight.h"
#include "support/perf_futex.h"

#include <stdlib.h>

enum { LINE = 64 };

struct handoff_flight {
    _Alignas(LINE) _Atomic uint32_t in_flight;
    /* 0: nobody sleeps. Else the submitter does, until fewer than this are in flight. */
    _Alignas(LINE) _Atomic uint32_t below;
    uint32_t most;
};

struct handoff_flight *handoff_flights_create(unsigned count, unsigned in_flight)
{
    struct handoff_flight *const flights = aligned_alloc(LINE, count * sizeof(*flights));

    for (unsigned i = 0; flights != NULL && i < count; ++i) {
        flights[i] = (struct handoff_flight){.most = in_flight};
    }
    return flights;
}

void handoff_flights_destroy(struct handoff_flight *flights)
{
    free(flights);
}

struct handoff_flight *handoff_flight_of(struct handoff_flight *flights, unsigned submitter)
{
    return &flights[submitter];
}

/* Sequentially consistent on both sides: either the submitter sees the count of the last task that
 * it waits for, or that task sees that the submitter sleeps. */
void handoff_flight_land(void *flight)
{
    struct handoff_flight *const self = flight;
    const uint32_t left = atomic_fetch_sub(&self->in_flight, 1) - 1;
    uint32_t below = atomic_load(&self->below);

    if (left < below && atomic_compare_exchange_strong(&self->below, &below, 0)) {
        perf_futex_wake(&self->below, 1);
    }
}

static void sleep_until_below(struct handoff_flight *flight, uint32_t below)
{
    while (atomic_load(&flight->in_flight) >= below) {
        atomic_store(&flight->below, below);
        if (atomic_load(&flight->in_flight) >= below) {
            perf_futex_wait(&flight->below, below, NULL);
        }
    }
    atomic_store(&flight->below, 0);
}

bool handoff_flight_post(struct handoff_flight *flight, struct handoff_post *post,
                         void (*start)(void *pool, unsigned submitter), void *pool)
{
    while (!atomic_load_explicit(post->stop, memory_order_relaxed)) {
        if (atomic_load_explicit(&flight->in_flight, memory_order_relaxed) >= flight->most) {
            sleep_until_below(flight, flight->most / 2 + 1);
        }
        (void)atomic_fetch_add_explicit(&flight->in_flight, 1, memory_order_relaxed);
        start(pool, post->submitter);
        post->tasks += 1;
    }
    sleep_until_below(flight, 1);
    return true;
}
