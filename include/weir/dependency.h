/**
 * weir/dependency.h - a dependency: the thing that risky calls go to, with all its policies.
 */
#ifndef WEIR_DEPENDENCY_H
#define WEIR_DEPENDENCY_H

#include <weir/base.h>
#include <weir/runtime.h>

WEIR_BEGIN_DECLS

typedef struct weir_dependency weir_dependency; /**< borrowed until weir_runtime_destroy() */

/** Where a call runs; a command states the isolations it was written for. */
enum {
    WEIR_INLINE = 1, /**< on the caller's thread */
    WEIR_THREAD = 2  /**< on a worker thread of the dependency's own pool */
};

typedef struct weir_command weir_command;

typedef struct weir_dependency_options {
    size_t size;
    /** "key: value, key: value", e.g. "max_concurrent: 20, breaker.failure_rate: 50%". NULL: none.
     *  Copied. */
    const char *settings;
    /** Commands that will be executed here: creation checks that each may run under the isolation,
     *  and makes a pool's cells large enough for their values. May be NULL; borrowed until the
     *  runtime ends. */
    const weir_command *const *commands;
    size_t command_count;
    /** Thread isolation: make what each worker thread needs for itself (a connection, say). Called
     *  first on every worker, before its first call; weir_call_worker() gives run the state. Not 0:
     *  it failed; the worker takes no calls and tries again after `worker_retry`, which doubles
     *  with each failure up to 64 times as long. May be NULL; refused with inline isolation. */
    int (*worker_start)(void *user, void **ret_state);
    /** End such a state, last thing on the worker thread that made it. May be NULL. */
    void (*worker_stop)(void *user, void *state);
    void *user; /**< for both; borrowed until the runtime ends */
} weir_dependency_options;

/**
 * Create a dependency. Memory for all its slots and cells is taken now; its size is in
 * WEIR_COUNT_BYTES of weir_dependency_read(). With thread isolation its workers are started now,
 * all or none, with signals blocked, the affinity that the process was started with, and the
 * default floating-point environment, whatever the calling thread has.
 *
 * Result:  WEIR_OK; WEIR_E_ARGUMENT (name not [A-Za-z0-9_.-]{1,64}, or in use; worker_start with
 *          inline isolation), WEIR_E_SIZE, WEIR_E_CONFIG (settings; a command that forbids the
 *          isolation), WEIR_E_MEMORY, WEIR_E_SYSTEM (a thread could not be started), WEIR_E_BUSY
 *          (the runtime has been stopped), WEIR_E_FORKED. On failure nothing is left behind
 *          but the runtime's helper thread, if this would have been its first pool.
 *          At most 1,024 dependencies have a name of their own: every further name shares one
 *          dependency "_other", made with the options of the first that overflowed.
 * Owns:    the runtime; the handle is borrowed until weir_runtime_destroy().
 * Threads: any; blocks for a grace period. options may be NULL. Callbacks: worker_start, on the
 *          workers; creation does not wait for it.
 * Since:   0.1
 */
WEIR_API weir_status weir_dependency_create(weir_runtime *runtime, const char *name,
                                            const weir_dependency_options *options,
                                            weir_dependency **ret_dependency, weir_error *error);

/**
 * Find a dependency by name. Result: NULL if there is none.
 * Threads: any; never blocks. Cost: one hash and one read section; callers keep the handle.
 * Since: 0.1
 */
WEIR_API weir_dependency *weir_dependency_find(weir_runtime *runtime, const char *name);

/** Name of a dependency; borrowed like the handle. NULL for NULL. Since 0.1. */
WEIR_API const char *weir_dependency_name(const weir_dependency *dependency);

/** Overrides of the breaker. */
enum {
    WEIR_FORCE_AUTO,   /**< end an override; begins closed. Without one it changes nothing */
    WEIR_FORCE_OPEN,   /**< refuse every call */
    WEIR_FORCE_CLOSED, /**< count, never trip */
    WEIR_FORCE_OBSERVE /**< count, never trip, say when it would have opened */
};

/**
 * Override the breaker, or end the override. A change starts an epoch with an empty window: calls
 * in flight count as late. Repeating the override in force changes nothing.
 *
 * `who` and `why` are kept (63 and 127 bytes) and shown by explain; NULL is "".
 * Result:  WEIR_OK; WEIR_E_ARGUMENT (NULL, unknown override, or the breaker is not switched on).
 * Threads: any; takes the breaker's lock for a few microseconds.
 * Since:   0.1
 */
WEIR_API weir_status weir_dependency_force(weir_dependency *dependency, int32_t override_mode,
                                           const char *who, const char *why);

/**
 * Say in plain text why the dependency stands as it does.
 *
 * key NULL: the breaker's state, the numbers and the rule behind it, and what would change it;
 * then the other gates. A settings key ("breaker.open_for"): its value, where it came from, unit,
 * range, default and reload rule.
 * Result:  WEIR_OK; WEIR_E_ARGUMENT (NULL, unknown key; the buffer then names the nearest key);
 *          WEIR_E_TOO_LARGE: the text was cut. The buffer is always NUL-terminated if size > 0.
 * Threads: any; changes nothing.
 * Since:   0.1
 */
WEIR_API weir_status weir_dependency_explain(weir_dependency *dependency, const char *key,
                                             char *buffer, size_t size);

/*
 * What weir_dependency_read() returns, in this order. Later versions only add at the end.
 * X(symbol, name, kind, help): kind is counter or gauge; times are nanoseconds.
 */
#define WEIR_COUNT_LIST(X)                                                                         \
    X(WEIR_COUNT_CALLS_SUBMITTED, "calls_submitted", counter, "calls that asked to run")           \
    X(WEIR_COUNT_CALLS_OK, "calls_ok", counter, "calls that ended ok")                             \
    X(WEIR_COUNT_CALLS_FAILED, "calls_failed", counter, "calls that failed")                       \
    X(WEIR_COUNT_CALLS_IGNORED, "calls_ignored", counter, "calls that were the caller's mistake")  \
    X(WEIR_COUNT_CALLS_TIMED_OUT, "calls_timed_out", counter, "calls whose deadline came first")   \
    X(WEIR_COUNT_CALLS_CANCELLED, "calls_cancelled", counter, "calls given up by their caller")    \
    X(WEIR_COUNT_CALLS_CRASHED, "calls_crashed", counter, "calls whose worker died")               \
    X(WEIR_COUNT_CALLS_LOST, "calls_lost", counter, "calls whose permit's lease ran out")          \
    X(WEIR_COUNT_CALLS_UNTRACKED, "calls_untracked", counter,                                      \
      "mode observe: let through beyond the slot table, their end is not counted")                 \
    X(WEIR_COUNT_REFUSED_OPEN, "refused_open", counter, "refused by the breaker")                  \
    X(WEIR_COUNT_REFUSED_RATE, "refused_rate", counter, "refused by the rate limit")               \
    X(WEIR_COUNT_REFUSED_BULKHEAD, "refused_bulkhead", counter, "refused: no place")               \
    X(WEIR_COUNT_REFUSED_OFF, "refused_off", counter, "refused: switched off")                     \
    X(WEIR_COUNT_REFUSED_DEADLINE, "refused_deadline", counter, "refused: no time left")           \
    X(WEIR_COUNT_REFUSED_COST, "refused_cost", counter, "refused: cost above the burst")           \
    X(WEIR_COUNT_REFUSED_SHUTDOWN, "refused_shutdown", counter, "refused: the runtime stops")      \
    X(WEIR_COUNT_REFUSED_CELLS, "refused_cells", counter, "refused: no slot or cell was free")     \
    X(WEIR_COUNT_WOULD_OPEN, "would_refuse_open", counter, "mode observe: the breaker would have") \
    X(WEIR_COUNT_WOULD_RATE, "would_refuse_rate", counter, "mode observe: the rate limit would")   \
    X(WEIR_COUNT_WOULD_BULKHEAD, "would_refuse_bulkhead", counter, "mode observe: no place")       \
    X(WEIR_COUNT_WOULD_DEADLINE, "would_refuse_deadline", counter, "mode observe: no time left")   \
    X(WEIR_COUNT_WOULD_COST, "would_refuse_cost", counter, "mode observe: cost above the burst")   \
    X(WEIR_COUNT_CALLS_OPEN, "calls_open", gauge, "calls submitted and without outcome")           \
    X(WEIR_COUNT_ATTEMPTS_BEGUN, "attempts_begun", counter, "attempts that were admitted")         \
    X(WEIR_COUNT_ATTEMPTS_SETTLED, "attempts_settled", counter, "attempts that have a verdict")    \
    X(WEIR_COUNT_ATTEMPTS_RUNNING, "attempts_running", gauge, "attempts admitted, not settled")    \
    X(WEIR_COUNT_SLOTS_TAKEN, "slots_taken", counter, "slots taken")                               \
    X(WEIR_COUNT_SLOTS_RETURNED, "slots_returned", counter, "slots given back")                    \
    X(WEIR_COUNT_SLOTS_LOST, "slots_lost", counter, "slots reclaimed by permit_lease")             \
    X(WEIR_COUNT_SLOTS_HELD, "slots_held", gauge, "slots held now")                                \
    X(WEIR_COUNT_LATE, "late_results", counter, "results of an older breaker epoch")               \
    X(WEIR_COUNT_STALE, "stale_ends", counter, "ends of a permit that had ended")                  \
    X(WEIR_COUNT_OUTSIDE_WINDOW, "outside_window", counter, "results too old for the window")      \
    X(WEIR_COUNT_TRANSITIONS, "breaker_transitions", counter, "changes of the breaker's state")    \
    X(WEIR_COUNT_OPENED, "breaker_opened", counter, "times the breaker opened")                    \
    X(WEIR_COUNT_WOULD_HAVE_OPENED, "breaker_would_have_opened", counter, "override observe")      \
    X(WEIR_COUNT_WAITING, "waiting", gauge, "calls that wait for a place")                         \
    X(WEIR_COUNT_LIMIT, "max_concurrent", gauge, "places of the bulkhead")                         \
    X(WEIR_COUNT_OVERDUE, "overdue", gauge, "calls in flight longer than slow_call")               \
    X(WEIR_COUNT_OLDEST_NS, "oldest_call_ns", gauge, "age of the oldest call in flight")           \
    X(WEIR_COUNT_BREAKER_STATE, "breaker_state", gauge, "0 off, else a WEIR_BREAKER_ value")       \
    X(WEIR_COUNT_BREAKER_EPOCH, "breaker_epoch", gauge, "number of the breaker's epoch")           \
    X(WEIR_COUNT_WINDOW_CALLS, "window_calls", gauge, "counted outcomes in the window")            \
    X(WEIR_COUNT_WINDOW_FAILURES, "window_failures", gauge, "failures in the window")              \
    X(WEIR_COUNT_WINDOW_SLOW, "window_slow", gauge, "slow outcomes in the window")                 \
    X(WEIR_COUNT_TOKENS, "rate_tokens", gauge, "whole tokens available now")                       \
    X(WEIR_COUNT_LATENCY_P50_NS, "latency_p50_ns", gauge, "median latency of settled attempts")    \
    X(WEIR_COUNT_LATENCY_P90_NS, "latency_p90_ns", gauge, "90th percentile")                       \
    X(WEIR_COUNT_LATENCY_P99_NS, "latency_p99_ns", gauge, "99th percentile")                       \
    X(WEIR_COUNT_LATENCY_MAX_NS, "latency_max_ns", gauge, "upper bound of the longest")            \
    X(WEIR_COUNT_BYTES, "memory_bytes", gauge, "memory held by the dependency")                    \
    X(WEIR_COUNT_RELOADS, "reloads", counter, "snapshots published after the first")               \
    X(WEIR_COUNT_RUNNING, "running", gauge, "calls whose work runs and whose caller waits")        \
    X(WEIR_COUNT_QUEUED, "queued", gauge, "calls that wait for a worker")                          \
    X(WEIR_COUNT_ABANDONED, "abandoned", gauge,                                                    \
      "calls whose work runs on after their caller left")                                          \
    X(WEIR_COUNT_ABANDONED_NS, "abandoned_oldest_ns", gauge, "time since the first of them left")  \
    X(WEIR_COUNT_LATE_VALUES, "late_values", counter,                                              \
      "abandoned work that came out well after all")                                               \
    X(WEIR_COUNT_WORKERS, "workers", gauge, "worker threads")                                      \
    X(WEIR_COUNT_WORKER_FAILURES, "worker_failures", counter, "times that worker_start failed")    \
    X(WEIR_COUNT_CELLS, "cells_used", gauge, "call cells in use")

enum {
#define WEIR_COUNT_ENUM(symbol, name, kind, help) symbol,
    WEIR_COUNT_LIST(WEIR_COUNT_ENUM)
#undef WEIR_COUNT_ENUM
        WEIR_COUNT_END
};

/** Values of WEIR_COUNT_BREAKER_STATE. */
enum {
    WEIR_BREAKER_NONE,
    WEIR_BREAKER_CLOSED,
    WEIR_BREAKER_OPEN,
    WEIR_BREAKER_HALF_OPEN,
    WEIR_BREAKER_FORCED_OPEN,
    WEIR_BREAKER_FORCED_CLOSED,
    WEIR_BREAKER_OBSERVE
};

/**
 * Read counters and gauges of one dependency in one pass (ends before begins, see
 * weir_runtime_check()). Percentiles are upper bounds of their histogram bucket: at most 6.25 %
 * above the true value from 1 us to 73 minutes; below they are 1023, above UINT64_MAX.
 *
 * Result:  the number of values there are (WEIR_COUNT_END); min(count, that) were written. 0 for a
 *          NULL dependency.
 * Threads: any; takes no lock that a call takes, but the limiter's in rate_limit.mode window;
 *          changes nothing.
 * Cost:    O(slots).
 * Since:   0.1
 */
WEIR_API size_t weir_dependency_read(weir_dependency *dependency, uint64_t *ret_values,
                                     size_t count);

/** Name of a value of weir_dependency_read(), e.g. "calls_submitted"; NULL past the end. Since 0.1
 */
WEIR_API const char *weir_count_name(size_t index);

WEIR_END_DECLS

#endif
