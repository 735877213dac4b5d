/*
 * The two things that own everything else: the runtime and the dependency.
 */
#ifndef WR_COMMAND_STATE_H
#define WR_COMMAND_STATE_H

#include "base/clock.h"
#include "base/fork.h"
#include "command/plan.h"
#include "guard/breaker.h"
#include "guard/bulkhead.h"
#include "guard/counters.h"
#include "guard/rate.h"
#include "guard/slots.h"
#include "isolation/pool.h"
#include "isolation/timer.h"

#include <weir/dependency.h>

enum { WR_NAME_MAX = 64, WR_DEPENDENCIES_MAX = 1024 };

struct weir_dependency {
    struct wr_host *host; /* the runtime's */
    char name[WR_NAME_MAX + 1];
    const struct wr_isolator *isolator;
    const weir_command *const *commands; /* borrowed from the options */
    size_t command_count;

    struct wr_pool *pool;      /* owned; NULL: inline */
    struct wr_timer *timer;    /* the runtime's */
    bool owns_handler;         /* counted as a user of our handler of cancel_signal */
    size_t value_bytes;        /* room in a cell for argument and result together */
    _Atomic uint32_t stopping; /* 1: refuse every call; those who wait for tokens sleep on it */

    _Atomic(struct wr_plan *) plan;                /* RCU: read inside a section */
    _Atomic(struct wr_rate *) rate;                /* RCU; NULL: no rate limit */
    _Atomic uint64_t reloads, transitions, opened; /* events, counted by wr_emit() */

    struct wr_bulkhead bulkhead;
    struct wr_slots slots;
    struct wr_breaker breaker;
    struct wr_counters counters;

    struct wr_layer own; /* under the runtime's mutex */
};

/* Immutable hash table of all dependencies; a creation publishes a new one. */
struct wr_registry {
    uint32_t mask;
    uint32_t count;
    weir_dependency **list;   /* count, in order of creation */
    weir_dependency *slots[]; /* mask + 1, open addressing */
};

struct weir_runtime {
    struct wr_host host;
    uint32_t stripes;
    _Atomic uint32_t forks;                 /* of the process that its threads are in */
    _Atomic(struct wr_registry *) registry; /* RCU */
    struct wr_helper helper;
    struct wr_timer timer;
    struct wr_mutex stop; /* one stop at a time; taken before the other, and held over waits */
    struct {
        struct wr_mutex mutex; /* creation, apply */
        bool stopped;          /* nothing is added or changed any more */
        struct wr_layer defaults;
        weir_dependency *other; /* "_other", once the names have run out */
    } locked;
};

/* Inside an RCU section. Acquire: pairs with the release of whoever published it. */
static inline struct wr_plan *wr_plan_of(weir_dependency *dependency)
{
    return atomic_load_explicit(&dependency->plan, memory_order_acquire);
}

static inline struct wr_rate *wr_rate_of(weir_dependency *dependency)
{
    return atomic_load_explicit(&dependency->rate, memory_order_acquire);
}

static inline struct wr_registry *wr_registry_of(weir_runtime *runtime)
{
    return atomic_load_explicit(&runtime->registry, memory_order_acquire);
}

/* Are the threads that it has started in this process? */
static inline bool wr_runtime_is_here(const weir_runtime *runtime)
{
    return atomic_load_explicit(&runtime->forks, memory_order_relaxed) == wr_fork_count() ||
           (!runtime->helper.started && !runtime->timer.started);
}

/* A thread is about to be started: if it is the first, this is the process that they are in. */
static inline void wr_runtime_settle(weir_runtime *runtime)
{
    atomic_store_explicit(&runtime->forks, wr_fork_count(), memory_order_relaxed);
}

/* Acquire: pairs with the release in stop.c. Who has joined the waiters after they were interrupted
 * sees it, by the bulkhead's mutex. */
static inline bool wr_dependency_stops(const weir_dependency *dependency)
{
    return atomic_load_explicit(&dependency->stopping, memory_order_acquire) != 0;
}

static inline uint64_t wr_dependency_now(const weir_dependency *dependency)
{
    return wr_clock_now(&dependency->host->clock);
}

/* registry.c: a new table with one more dependency (NULL: out of memory), and its end. */
struct wr_registry *wr_registry_with(struct wr_host *host, const struct wr_registry *old,
                                     weir_dependency *dependency);
void wr_registry_free(struct wr_host *host, struct wr_registry *registry);
weir_dependency *wr_registry_find(const struct wr_registry *registry, const char *name);

/* dependency.c: everything but the registration. */
void wr_dependency_free(weir_dependency *dependency);

/* What a check of the slots looks for, by the plan. */
static inline struct wr_slot_check wr_slot_check_of(const weir_dependency *dependency,
                                                    const struct wr_plan *plan, uint64_t now_ns)
{
    return (struct wr_slot_check){.now_ns = now_ns,
                                  .epoch = wr_breaker_epoch(&dependency->breaker),
                                  .slow_call_ns =
                                      plan->breaker_on && plan->breaker.slow_rate_ppm != WR_RATE_OFF
                                          ? plan->breaker.slow_call_ns
                                          : UINT64_MAX,
                                  .lease_ns = plan->permit_lease_ns};
}

#endif
