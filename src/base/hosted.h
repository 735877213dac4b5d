/*
 * The host's three ops tables, completed with the built-in ones. Copied into the runtime.
 */
#ifndef WR_BASE_HOST_H
#define WR_BASE_HOST_H

#include <weir/runtime.h>

#include <stdatomic.h>

struct wr_host {
    weir_clock clock;
    weir_random random;
    weir_allocator allocator;
    _Atomic uint64_t seed; /* state of the built-in random numbers; used if random.user is NULL */
};

/* Fill in place: random.user points into *host, which must not move afterwards. */
weir_status wr_host_init(struct wr_host *host, const weir_runtime_options *options,
                         weir_error *error);

uint64_t wr_host_random(struct wr_host *host);

/* Zeroed memory on a cache line's boundary, or NULL. */
void *wr_host_allocate(struct wr_host *host, size_t bytes);

/* NULL is fine; `bytes` as allocated. */
void wr_host_release(struct wr_host *host, void *memory, size_t bytes);

#endif
