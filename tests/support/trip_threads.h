/*
 * Two threads record one outcome each at the same time, again and again; then somebody looks
 * whether what they recorded into is open. The same driver for the library's breaker and for the
 * control that is known to lose trips.
 */
#ifndef WEIR_TESTS_TRIP_THREADS_H
#define WEIR_TESTS_TRIP_THREADS_H

#include <stdbool.h>
#include <stdint.h>

struct crossing {
    void *user;
    /* One thread: begin a round. Returns whether it must be open in the end. */
    bool (*prepare)(void *user, uint64_t round);
    /* Both threads, together: `who` is 0 or 1. */
    void (*record)(void *user, unsigned who);
    /* One thread, after both records have returned. */
    bool (*is_open)(void *user);
};

struct crossing_result {
    uint64_t rounds;
    uint64_t overlapped; /* rounds in which each saw that the other had begun */
    uint64_t missed;     /* had to be open and was not */
    uint64_t invented;   /* must not be open and was */
};

struct crossing_result crossing_run(const struct crossing *crossing, uint64_t rounds);

#endif
