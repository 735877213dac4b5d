/*
 * The isolator seam: where a call's work runs. A dependency has one, chosen by its setting
 * `isolation`. Isolators know nothing of gates and windows: a call reaches them admitted.
 */
#ifndef WR_ISOLATION_ISOLATOR_H
#define WR_ISOLATION_ISOLATOR_H

#include <weir/call.h>

#include <stdbool.h>

/* The running call, as run sees it. */
struct weir_call {
    const weir_clock *clock; /* borrowed */
    uint64_t deadline_ns;    /* UINT64_MAX: none */
    uint64_t pushback_ns;    /* retry_after that run reported; 0: none */
};

struct wr_isolator {
    const char *name;
    uint32_t isolation; /* WEIR_INLINE ... */
    bool begin_end;     /* is the begin / end shape allowed? */
    /* Run the admitted work and return its code. Blocks until the caller may leave. */
    int (*run)(weir_call *call, const weir_command *command, const void *argument, void *result);
};

extern const struct wr_isolator wr_inline_isolator;

#endif
