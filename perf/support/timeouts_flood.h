/*
 * Very many submitted calls, none of which ends before its deadline: every one must come back from
 * the queue once, and not early. How late they come is measured; that none is missing is checked.
 */
#ifndef PERF_TIMEOUTS_FLOOD_H
#define PERF_TIMEOUTS_FLOOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flood_result {
    double *late_ns;  /* of each call, in the order of submission; owned, freed by the caller */
    double *bare_ns;  /* of bare futex waits meanwhile; owned as well */
    size_t bare;      /* of these */
    size_t in_flight; /* the most at once */
    uint64_t missing; /* never came */
    uint64_t wrong;   /* came twice, early, or with another outcome than being out of time */
    double cpu_ns;    /* a call, all threads */
};

/* False: it could not be run, and stderr says why. Missing and wrong are for the caller to judge.
 */
bool perf_flood(size_t calls, struct flood_result *ret_result);

#endif
