/**
 * weir/call.h - the shapes of a call: execute, and begin / end.
 *
 * A call passes the gates in this order: off, deadline, breaker, bulkhead, rate limit. All gates
 * are looked at first (loads only); the first refusal in that order is the reason. Then they are
 * taken in the same order; what a later gate refuses is given back, except that a token is taken
 * last and never given back. A refusal allocates nothing and writes only its own counter.
 */
#ifndef WEIR_CALL_H
#define WEIR_CALL_H

#include <weir/base.h>
#include <weir/dependency.h>

WEIR_BEGIN_DECLS

typedef struct weir_call weir_call; /**< the running call; valid inside run only */

/** What became of the work, said by classify or by the caller of weir_end(). */
typedef enum weir_verdict {
    WEIR_V_OK,         /**< counted as good */
    WEIR_V_FAILED,     /**< counted as failure */
    WEIR_V_IGNORED,    /**< neutral: the caller's own mistake */
    WEIR_V_RETRYABLE,  /**< counted as failure; a later attempt may pass */
    WEIR_V_OVERLOADED, /**< counted as failure; the other side asked for less */
    WEIR_V_TIMED_OUT,  /**< counted as failure; outcome unknown */
    WEIR_V_CANCELLED   /**< neutral: given up by the caller */
} weir_verdict;

/** Flags of an outcome. */
enum {
    WEIR_FLAG_LATE_VALUE = 1,  /**< timed out, but the value came after all and is delivered */
    WEIR_FLAG_TRIAL = 2,       /**< a trial of a half-open breaker */
    WEIR_FLAG_OBSERVED = 4,    /**< mode observe let it run although a gate would have refused it */
    WEIR_FLAG_LATE_RESULT = 8, /**< the breaker's epoch changed meanwhile; it decided nothing */
    WEIR_FLAG_WAITED = 16      /**< waited for a place or for tokens */
};

/** Everything about one call: 128 bytes for ever, needs no initialisation, always filled in full
 *  unless the status is a usage error. */
typedef struct weir_outcome {
    weir_status kind;        /**< what happened: ok, failed, timed_out, rejected: open, ... */
    int32_t source;          /**< who answered: WEIR_BY_... */
    int32_t code;            /**< what run returned, or the code given to weir_end() */
    int32_t fallback_code;   /**< 0 */
    int32_t signal;          /**< 0 */
    uint32_t attempts;       /**< attempts that ran */
    uint32_t flags;          /**< WEIR_FLAG_... */
    uint32_t reserved32;     /**< 0 */
    uint64_t latency_ns;     /**< from the call to its end, waits included */
    uint64_t retry_after_ns; /**< after a refusal: when the same call could pass; 0: not known */
    uint64_t answer_age_ns;  /**< 0 */
    uint64_t generation;     /**< configuration snapshot that the call began with, from 1 */
    uint8_t trace_id[16];    /**< 0 */
    uint64_t reserved[6];    /**< 0 */
} weir_outcome;

/** A kind of call: written once as a static const. */
struct weir_command {
    size_t size;
    const char *name;    /**< for messages; required */
    uint32_t isolations; /**< the WEIR_INLINE ... it was written for; 0 is an error */
    size_t argument_max; /**< bytes of the largest argument; 0: none */
    size_t result_max;   /**< bytes of the result; 0: none */
    /** Do the work. 0 is success, anything else the application's own code. `result` points to
     *  result_max bytes. It may be called by many threads at once. */
    int (*run)(weir_call *call, const void *argument, void *result);
    /** What a code means. NULL: 0 is ok, all else failed. Must be pure. */
    weir_verdict (*classify)(int code);
    /** Free what an argument owns. Called exactly once after the last user of the argument, in
     *  every outcome except a usage error. NULL: nothing to free. */
    void (*argument_drop)(void *argument);
    /** Free what a result owns. Called when a result came that nobody is given. NULL: nothing. */
    void (*result_drop)(void *result);
};

typedef struct weir_request {
    size_t size;
    const void *argument; /**< value of argument_size bytes; consumed unless a usage error */
    size_t argument_size; /**< at most command.argument_max */
    void *result;         /**< room for command.result_max bytes; required if that is not 0 */
    uint64_t within_ns;   /**< the caller's own time budget; 0: none. The earlier of this and the
                               setting `timeout` is the deadline */
    uint64_t cost;        /**< tokens of the rate limit; 0: not given, which is 1 */
} weir_request;

/**
 * Make one call and wait for its end. request may be NULL: no argument, no result, no budget.
 *
 * Under inline isolation run is called on this thread, with no lock held. A timeout is seen when
 * run returns: the kind is then WEIR_TIMED_OUT, the breaker counts a timeout, and a value that came
 * late is delivered and flagged. Waits for a place (max_wait) and for tokens
 * (rate_limit.max_wait), never beyond the deadline.
 *
 * Result:  WEIR_OK: there is a value in request->result, ret_outcome->source says who answered
 *          (with a late value also for kind WEIR_TIMED_OUT). A refusal (class rejected): run was
 *          not called; retry_after_ns says when to come back, if known. WEIR_FAILED,
 *          WEIR_IGNORED, WEIR_TIMED_OUT, WEIR_CANCELLED: run was called and gave no value; the
 *          result's bytes are unspecified and owned by nobody. WEIR_E_ARGUMENT, WEIR_E_SIZE,
 *          WEIR_E_SHAPE (the command was not written for the isolation), WEIR_E_TOO_LARGE: usage
 *          errors; nothing was done, the argument still belongs to the caller, ret_outcome->kind is
 *          the status.
 * Owns:    the argument is consumed (dropped once) by every status but a usage error. The result is
 *          the caller's on WEIR_OK. ret_outcome may be NULL.
 * Threads: any, also inside run. Blocks for as long as run does, plus the waits above.
 * Callbacks: run, classify, argument_drop: on this thread, no lock held. Inline hands every value
 *          to its caller, so result_drop is not called.
 * Cost:    nine locked operations, two clock reads, no allocation; a refusal one locked operation.
 *          A trial of a half-open breaker takes the breaker's lock besides.
 * Since:   0.1
 */
WEIR_API weir_status weir_execute(weir_dependency *dependency, const weir_command *command,
                                  const weir_request *request, weir_outcome *ret_outcome);

/** Leave to make one call: bytes that may be moved, ended once, on any thread. */
typedef struct weir_permit {
    uint64_t opaque[8];
} weir_permit;

/**
 * Ask every gate for leave to make one call on this thread; never waits.
 *
 * request may be NULL; its argument and result are not used.
 * Result:  WEIR_OK and a permit that weir_end() must end once; or a refusal (class rejected) with
 *          nothing taken, ret_outcome->kind naming the gate and retry_after_ns the wait after which
 *          the same call could pass (0: not known); or WEIR_E_ARGUMENT, WEIR_E_SIZE, WEIR_E_SHAPE
 *          (the isolation has no begin / end). ret_permit is all zero after anything but WEIR_OK.
 *          Mode observe lets calls through even when its slots (4,096 at the least) are used up;
 *          such a permit is not tracked: ending it, also twice, gives WEIR_OK and counts nothing.
 * Owns:    the caller owns the permit's bytes. A permit that is never ended keeps its place and
 *          shows its age (oldest_call_ns), unless `permit_lease` reclaims it as lost.
 * Threads: any, also inside run. Calls no callback but the host's clock, allocates nothing.
 *          ret_outcome may be NULL.
 * Cost:    four locked operations; a refusal makes one.
 * Since:   0.1
 */
WEIR_API weir_status weir_begin(weir_dependency *dependency, const weir_request *request,
                                weir_permit *ret_permit, weir_outcome *ret_outcome);

/**
 * End a permit with what became of the call.
 *
 * The verdict is taken as said: a call that ended after its deadline is timed out only if the
 * caller says so. `code` is the application's own and decides nothing. The permit's bytes are
 * zeroed.
 * Result:  WEIR_OK; WEIR_E_STALE: it has ended before (also through a copy) or its lease ran out,
 *          nothing was counted twice; WEIR_E_ARGUMENT: NULL or no verdict, the permit still stands.
 *          A zeroed permit is WEIR_E_STALE.
 * Threads: any. Never waits. Calls no callback but the host's clock.
 * Cost:    five locked operations; a trial takes the breaker's lock besides.
 * Since:   0.1
 */
WEIR_API weir_status weir_end(weir_permit *permit, weir_verdict verdict, int code);

/**
 * Time left until the permit's deadline. 0: over, or not a live permit. UINT64_MAX: no deadline, or
 * not tracked (see weir_begin()).
 * Threads: any; must not race with weir_end() of the same permit. Cost: one clock read. Since 0.1.
 */
WEIR_API uint64_t weir_permit_left_ns(const weir_permit *permit);

/** Time left until the call's deadline, to set socket timeouts by. 0: over. UINT64_MAX: no
 *  deadline (do not add to it). Round up when you convert to milliseconds. Inside run only.
 *  Cost: one clock read. Since 0.1. */
WEIR_API uint64_t weir_call_left_ns(const weir_call *call);

/** Tell that the other side asked to be left alone for a while (e.g. Retry-After). It comes back as
 *  outcome.retry_after_ns. Inside run only; the last one wins. Since 0.1. */
WEIR_API void weir_call_pushback(weir_call *call, uint64_t retry_after_ns);

WEIR_END_DECLS

#endif
