/*
 * Counters and the latency histogram of one dependency, striped over threads.
 *
 * Nothing here decides anything. Each event is one relaxed add to the thread's stripe; a reader
 * sums the stripes, ends before begins (wr_counters_read's order of calls is the caller's
 * business). The histogram is log-linear: 16 buckets to each doubling, so a bucket's upper bound is
 * at most 6.25 % above any value in it; from 1 us to 73 minutes, below and above in one bucket
 * each.
 */
#ifndef WR_GUARD_COUNTERS_H
#define WR_GUARD_COUNTERS_H

#include "base/hosted.h"

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Events. One event may stand for several counted facts: ENTERED, counted before anything is taken,
 * is a call submitted, an attempt begun and a slot taken, unless another event says what did not
 * happen after all. A call refused at the look has its refusal alone.
 */
enum wr_event {
    WR_EV_ENTERED,
    WR_EV_TURNED_BACK,      /* refused after all, and nothing is held any more */
    WR_EV_PLACE_WAIT_BEGUN, /* entered, waiting for a place: no slot taken, no attempt begun */
    WR_EV_PLACE_WAIT_ENDED,
    WR_EV_TOKEN_WAIT_BEGUN, /* entered, waiting for tokens: no attempt begun */
    WR_EV_TOKEN_WAIT_ENDED,
    WR_EV_TAKEN_IN_VAIN, /* a slot was taken, then given back without an attempt */
    WR_EV_OK,
    WR_EV_FAILED,
    WR_EV_IGNORED,
    WR_EV_TIMED_OUT,
    WR_EV_CANCELLED,
    WR_EV_CRASHED,
    WR_EV_LOST,
    WR_EV_REFUSED_OPEN,
    WR_EV_REFUSED_RATE,
    WR_EV_REFUSED_BULKHEAD,
    WR_EV_REFUSED_OFF,
    WR_EV_REFUSED_DEADLINE,
    WR_EV_REFUSED_COST,
    WR_EV_REFUSED_SHUTDOWN,
    WR_EV_REFUSED_CELLS,
    WR_EV_WOULD_OPEN,
    WR_EV_WOULD_RATE,
    WR_EV_WOULD_BULKHEAD,
    WR_EV_WOULD_DEADLINE,
    WR_EV_WOULD_COST,
    WR_EV_LATE,
    WR_EV_STALE,
    WR_EV_OUTSIDE,
    WR_EV_LATE_VALUE, /* abandoned work came out well after all */
    WR_EV_UNTRACKED,  /* mode observe, no slot left: let through, its end is not counted */
    WR_EV_COUNT
};

enum { WR_HISTOGRAM_BUCKETS = 514 };

struct wr_stripe; /* one for several threads */

struct wr_counters {
    struct wr_host *host;
    struct wr_stripe *stripes;
    uint32_t count; /* a power of two */
};

/* Stripes for this machine: the CPUs rounded up to a power of two, at most 8. */
uint32_t wr_stripe_count(void);

bool wr_counters_init(struct wr_counters *counters, struct wr_host *host, uint32_t stripes);
void wr_counters_destroy(struct wr_counters *counters);
size_t wr_counters_bytes(const struct wr_counters *counters);

/* One relaxed locked add. */
void wr_count(struct wr_counters *counters, enum wr_event event);
void wr_count_latency(struct wr_counters *counters, uint64_t ns);

uint64_t wr_counters_read(const struct wr_counters *counters, enum wr_event event);

/* Add up the histogram; returns the number of values. */
uint64_t wr_histogram_read(const struct wr_counters *counters,
                           uint64_t ret_buckets[WR_HISTOGRAM_BUCKETS]);

/* Which bucket a value goes to, and the largest value of a bucket (UINT64_MAX for the last). */
uint32_t wr_histogram_bucket(uint64_t ns);
uint64_t wr_histogram_upper(uint32_t bucket);

/* Upper bound of the bucket that holds the given share (parts per million) of `total` values; 0 if
 * there are none. 1,000,000: the longest. */
uint64_t wr_histogram_quantile(const uint64_t buckets[WR_HISTOGRAM_BUCKETS], uint64_t total,
                               uint64_t share_ppm);

#endif
