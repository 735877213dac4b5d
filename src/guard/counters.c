/*
 * Striped counters and histogram. See counters.h.
 */
#include "guard/counters.h"

#include "base/thread.h"
#include "base/wide.h"

#include <unistd.h>

enum { STRIPES_MAX = 8, SUB_BITS = 4, SUB = 1 << SUB_BITS, FIRST_BIT = 10, LAST_BIT = 42 };

struct wr_stripe {
    _Atomic uint64_t events[WR_EV_COUNT];
    _Atomic uint64_t histogram[WR_HISTOGRAM_BUCKETS];
    uint64_t padding[(8 - (WR_EV_COUNT + WR_HISTOGRAM_BUCKETS) % 8) % 8 + 8];
};

uint32_t wr_stripe_count(void)
{
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    uint32_t stripes = 1;

    while (stripes < STRIPES_MAX && (long)stripes < cpus) {
        stripes *= 2;
    }
    return stripes;
}

bool wr_counters_init(struct wr_counters *counters, struct wr_host *host, uint32_t stripes)
{
    counters->host = host;
    counters->count = stripes;
    counters->stripes = wr_host_allocate(host, wr_counters_bytes(counters));
    return counters->stripes != NULL;
}

void wr_counters_destroy(struct wr_counters *counters)
{
    wr_host_release(counters->host, counters->stripes, wr_counters_bytes(counters));
}

size_t wr_counters_bytes(const struct wr_counters *counters)
{
    return counters->count * sizeof(struct wr_stripe);
}

static struct wr_stripe *own(struct wr_counters *counters)
{
    return &counters->stripes[wr_thread_number() & (counters->count - 1)];
}

void wr_count(struct wr_counters *counters, enum wr_event event)
{
    /* Release: a reader that sees an end (acquire) sees the begin that came before it. */
    (void)atomic_fetch_add_explicit(&own(counters)->events[event], 1, memory_order_release);
}

void wr_count_latency(struct wr_counters *counters, uint64_t ns)
{
    (void)atomic_fetch_add_explicit(&own(counters)->histogram[wr_histogram_bucket(ns)], 1,
                                    memory_order_relaxed);
}

uint64_t wr_counters_read(const struct wr_counters *counters, enum wr_event event)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < counters->count; ++i) {
        sum += atomic_load_explicit(&counters->stripes[i].events[event], memory_order_acquire);
    }
    return sum;
}

uint64_t wr_histogram_read(const struct wr_counters *counters,
                           uint64_t ret_buckets[WR_HISTOGRAM_BUCKETS])
{
    uint64_t total = 0;

    for (uint32_t b = 0; b < WR_HISTOGRAM_BUCKETS; ++b) {
        ret_buckets[b] = 0;
        for (uint32_t i = 0; i < counters->count; ++i) {
            ret_buckets[b] +=
                atomic_load_explicit(&counters->stripes[i].histogram[b], memory_order_relaxed);
        }
        total += ret_buckets[b];
    }
    return total;
}

uint32_t wr_histogram_bucket(uint64_t ns)
{
    uint32_t top;

    if (ns < 1ULL << FIRST_BIT) {
        return 0;
    }
    top = 63U - (uint32_t)__builtin_clzll(ns);
    if (top >= LAST_BIT) {
        return WR_HISTOGRAM_BUCKETS - 1;
    }
    return 1 + (top - FIRST_BIT) * SUB + (uint32_t)(ns >> (top - SUB_BITS) & (SUB - 1));
}

uint64_t wr_histogram_upper(uint32_t bucket)
{
    uint32_t shift;

    if (bucket == 0) {
        return (1ULL << FIRST_BIT) - 1;
    }
    if (bucket >= WR_HISTOGRAM_BUCKETS - 1) {
        return UINT64_MAX;
    }
    shift = (bucket - 1) / SUB + FIRST_BIT - SUB_BITS;
    return ((uint64_t)((bucket - 1) % SUB + SUB + 1) << shift) - 1;
}

uint64_t wr_histogram_quantile(const uint64_t buckets[WR_HISTOGRAM_BUCKETS], uint64_t total,
                               uint64_t share_ppm)
{
    const uint64_t rank = (uint64_t)(((wr_u128)total * share_ppm + 999999) / 1000000);
    uint64_t seen = 0;

    for (uint32_t b = 0; b < WR_HISTOGRAM_BUCKETS && total > 0; ++b) {
        seen += buckets[b];
        if (seen >= rank && seen > 0) {
            return wr_histogram_upper(b);
        }
    }
    return 0;
}
