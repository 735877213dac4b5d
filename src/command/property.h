/*
 * The property table: every setting that exists, once. Parser, defaults, range checks, explain and
 * the documentation are made from it.
 *
 * A value is one uint64_t: nanoseconds, parts per million, a count, the index of a choice, or a
 * rate (thousandths << 2 | unit). Where "off" is allowed it is WR_OFF.
 */
#ifndef WR_COMMAND_PROPERTY_H
#define WR_COMMAND_PROPERTY_H

#include <weir/base.h>

#include <stdbool.h>

#define WR_OFF UINT64_MAX

enum wr_type {
    WR_TYPE_SWITCH,   /* on, off: 1, 0 */
    WR_TYPE_CHOICE,   /* a name */
    WR_TYPE_DURATION, /* 250ms */
    WR_TYPE_PERCENT,  /* 50% */
    WR_TYPE_FACTOR,   /* 1.5 */
    WR_TYPE_COUNT,    /* 20 */
    WR_TYPE_SIZE,     /* 64KiB */
    WR_TYPE_RATE      /* 100/s */
};

enum wr_reload {
    WR_RELOAD_NEXT_CALL,   /* the next call uses it; calls in flight keep what they began with */
    WR_RELOAD_NEXT_RECORD, /* judged at the next recording; the window is kept */
    WR_RELOAD_NEXT_PHASE,  /* used when the breaker next opens or admits a trial */
    WR_RELOAD_EMPTIES,     /* a new shape empties the window (a new size of a count window keeps
                              the newest) */
    WR_RELOAD_CREDIT,      /* at once; the tokens available are kept, up to the new burst */
    WR_RELOAD_SWITCH,      /* at once; switching on begins anew */
    WR_RELOAD_RESIZE,      /* at once upwards; downwards as workers fall idle */
    WR_RELOAD_GROWS,       /* at once upwards; memory is given back at a restart */
    WR_RELOAD_NEXT_USE,    /* the next time that it is needed */
    WR_RELOAD_RESTART      /* refused on a live dependency */
};

/* X(symbol, key, type, choices, off_allowed, min, max, default, reload, doc) */
#define WR_PROPERTIES(X)                                                                           \
    X(WR_MODE, "mode", CHOICE, wr_choices_mode, false, 0, 2, "on", NEXT_CALL,                      \
      "on; observe: every gate counts and reports what it would refuse, and refuses nothing; "     \
      "off: "                                                                                      \
      "every call is refused")                                                                     \
    X(WR_ISOLATION, "isolation", CHOICE, wr_choices_isolation, false, 0, 1, "inline", RESTART,     \
      "where calls run: inline, on the caller's thread; thread, on workers of a pool of its own")  \
    X(WR_MAX_CONCURRENT, "max_concurrent", COUNT, NULL, false, 0, 1000000, "1024", NEXT_CALL,      \
      "isolation inline: calls in flight at once; after a shrink nothing is admitted until below") \
    X(WR_THREADS, "threads", COUNT, NULL, false, 1, 4096, "10", RESIZE,                            \
      "isolation thread: workers, so calls that run at once")                                      \
    X(WR_QUEUE, "queue", COUNT, NULL, false, 0, 1000000, "10", NEXT_CALL,                          \
      "isolation thread: calls that may wait for a worker; the bulkhead has threads + queue "      \
      "places")                                                                                    \
    X(WR_COMPLETIONS, "completions", COUNT, NULL, false, 0, 1000000, "256", GROWS,                 \
      "isolation thread: calls that have ended and were not collected yet; cells beyond threads "  \
      "+ queue")                                                                                   \
    X(WR_CELL_SIZE, "cell_size", SIZE, NULL, false, 0, 16777216, "512B", RESTART,                  \
      "isolation thread: room in a cell for argument and result, each rounded up to 16 bytes, "    \
      "and a fallback's result; the commands given at creation raise it")                          \
    X(WR_STACK_SIZE, "stack_size", SIZE, NULL, false, 0, 1073741824, "0B", RESTART,                \
      "isolation thread: stack of a worker; 0B: the system's default")                             \
    X(WR_ABANDONED_MAX, "abandoned_max", COUNT, NULL, true, 1, 1000000, "off", NEXT_CALL,          \
      "isolation thread: abandoned calls from which on new calls are refused")                     \
    X(WR_REPLACE_ABANDONED, "replace_abandoned", COUNT, NULL, false, 0, 4096, "0", NEXT_USE,       \
      "isolation thread: workers beyond threads, one for each abandoned call")                     \
    X(WR_WORKER_RETRY, "worker_retry", DURATION, NULL, false, 1000000, 3600000000000, "100ms",     \
      NEXT_USE, "isolation thread: wait after a failed worker_start; doubles up to 64 times it")   \
    X(WR_CANCEL_SIGNAL, "cancel_signal", COUNT, NULL, false, 0, 64, "0", RESTART,                  \
      "isolation thread: signal sent to a worker whose caller leaves, so that a system call of "   \
      "run returns EINTR; 0: none")                                                                \
    X(WR_MAX_WAIT, "max_wait", DURATION, NULL, false, 0, 3600000000000, "0ms", NEXT_CALL,          \
      "how long execute waits for a place, inside the deadline")                                   \
    X(WR_TIMEOUT, "timeout", DURATION, NULL, true, 0, 86400000000000, "1s", NEXT_CALL,             \
      "deadline of a call, from its start; off: none")                                             \
    X(WR_PERMIT_LEASE, "permit_lease", DURATION, NULL, true, 1, 86400000000000, "off", NEXT_CALL,  \
      "a permit not ended after this long is lost: its place is free again")                       \
    X(WR_BREAKER, "breaker", SWITCH, NULL, false, 0, 1, "off", SWITCH,                             \
      "circuit breaker; switched on by any of its keys")                                           \
    X(WR_WINDOW_KIND, "breaker.window.kind", CHOICE, wr_choices_window, false, 0, 1, "time",       \
      EMPTIES, "time: outcomes of the last span; count: the last size outcomes")                   \
    X(WR_WINDOW_SPAN, "breaker.window.span", DURATION, NULL, false, 1, 3600000000000, "10s",       \
      EMPTIES, "length of a time window; a multiple of buckets")                                   \
    X(WR_WINDOW_BUCKETS, "breaker.window.buckets", COUNT, NULL, false, 1, 120, "10", EMPTIES,      \
      "equal parts of a time window; it moves by one part at a time")                              \
    X(WR_WINDOW_SIZE, "breaker.window.size", COUNT, NULL, false, 1, 100000, "100", EMPTIES,        \
      "outcomes in a count window")                                                                \
    X(WR_MINIMUM_CALLS, "breaker.minimum_calls", COUNT, NULL, false, 1, 1000000000, "20",          \
      NEXT_RECORD, "outcomes in the window below which no rate is judged")                         \
    X(WR_FAILURE_RATE, "breaker.failure_rate", PERCENT, NULL, true, 1, 1000000, "50%",             \
      NEXT_RECORD, "share of failures that opens the breaker; off: not judged")                    \
    X(WR_SLOW_CALL, "breaker.slow_call", DURATION, NULL, false, 0, 86400000000000, "200ms",        \
      NEXT_RECORD, "a call strictly longer than this is slow")                                     \
    X(WR_SLOW_RATE, "breaker.slow_rate", PERCENT, NULL, true, 1, 1000000, "100%", NEXT_RECORD,     \
      "share of slow calls, overdue ones included, that opens the breaker; off: not judged")       \
    X(WR_CONSECUTIVE, "breaker.consecutive_failures", COUNT, NULL, false, 0, 1000000000, "0",      \
      NEXT_RECORD, "failures in a row that open the breaker whatever the window holds; 0: off")    \
    X(WR_OPEN_FOR, "breaker.open_for", DURATION, NULL, false, 0, 86400000000000, "5s", NEXT_PHASE, \
      "how long it stays open before trials")                                                      \
    X(WR_OPEN_BACKOFF, "breaker.open_backoff", FACTOR, NULL, false, 1000000, 100000000, "1.0",     \
      NEXT_PHASE, "factor on open_for for each re-opening in a row")                               \
    X(WR_OPEN_FOR_MAX, "breaker.open_for_max", DURATION, NULL, false, 0, 86400000000000, "60s",    \
      NEXT_PHASE, "longest open time")                                                             \
    X(WR_OPEN_JITTER, "breaker.open_jitter", PERCENT, NULL, false, 0, 1000000, "0%", NEXT_PHASE,   \
      "an open time is shortened by a random share of up to this")                                 \
    X(WR_TRIAL_CALLS, "breaker.trial_calls", COUNT, NULL, false, 1, 64, "1", NEXT_PHASE,           \
      "calls admitted while half-open, in total")                                                  \
    X(WR_TRIAL_SUCCESSES, "breaker.trial_successes", COUNT, NULL, false, 1, 64, "1", NEXT_PHASE,   \
      "good trials that close it; at most trial_calls")                                            \
    X(WR_TRIAL_LEASE, "breaker.trial_lease", DURATION, NULL, false, 1, 86400000000000, "10s",      \
      NEXT_PHASE, "a trial not settled after this long loses its place")                           \
    X(WR_RECOVERY_RAMP, "breaker.recovery_ramp", DURATION, NULL, false, 0, 86400000000000, "0ms",  \
      NEXT_PHASE, "after closing, the share of calls admitted grows from 10% to 100% over this")   \
    X(WR_RATE_LIMIT, "rate_limit", SWITCH, NULL, false, 0, 1, "off", SWITCH,                       \
      "rate limit; switched on by any of its keys")                                                \
    X(WR_RATE, "rate_limit.rate", RATE, NULL, false, 0, UINT64_MAX, "100/s", CREDIT,               \
      "tokens per second, minute (/m) or hour (/h); 0/s refuses all")                              \
    X(WR_BURST, "rate_limit.burst", COUNT, NULL, false, 1, 1000000, "100", CREDIT,                 \
      "tokens of a full bucket (mode bucket)")                                                     \
    X(WR_RATE_MODE, "rate_limit.mode", CHOICE, wr_choices_rate, false, 0, 2, "bucket", CREDIT,     \
      "bucket: bursts allowed; pacing: one every 1/rate; window: at most rate in any period")      \
    X(WR_RATE_MAX_WAIT, "rate_limit.max_wait", DURATION, NULL, false, 0, 3600000000000, "0ms",     \
      NEXT_CALL, "how long execute waits for its tokens, inside the deadline")

enum wr_key {
#define WR_KEY_ENUM(symbol, ...) symbol,
    WR_PROPERTIES(WR_KEY_ENUM)
#undef WR_KEY_ENUM
        WR_KEY_COUNT
};

enum { WR_MODE_ON, WR_MODE_OBSERVE, WR_MODE_OFF };
enum { WR_ISOLATION_INLINE, WR_ISOLATION_THREAD };
enum { WR_WINDOW_TIME, WR_WINDOW_COUNT };
enum { WR_RATE_BUCKET, WR_RATE_PACING, WR_RATE_WINDOW };

struct wr_property {
    const char *key;
    enum wr_type type;
    const char *const *choices; /* NULL-terminated */
    bool off_allowed;
    uint64_t min, max;
    const char *default_text;
    enum wr_reload reload;
    const char *doc;
};

extern const struct wr_property wr_properties[WR_KEY_COUNT];

/* Index of a key, or -1. */
int wr_property_find(const char *key);

/* The key nearest to a misspelt one, or NULL. */
const char *wr_property_nearest(const char *key);

/* Parse and range-check one value. WEIR_E_CONFIG with a message that names key and fix. */
weir_status wr_property_parse(enum wr_key key, const char *text, uint64_t *ret_value,
                              weir_error *error);

/* The value as a literal; 48 bytes are always enough. */
void wr_property_format(enum wr_key key, uint64_t value, char *buffer, size_t size);

/* Words for documentation and explain. */
const char *wr_type_name(enum wr_type type);
const char *wr_reload_name(enum wr_reload reload);

/* Parts of a rate value. */
uint64_t wr_rate_milli(uint64_t value);
uint64_t wr_rate_per_ns(uint64_t value);

#endif
