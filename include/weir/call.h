/**
 * weir/call.h - the shapes of a call: execute, and begin / end; what the work may ask while it
 * runs.
 *
 * A call passes the gates in this order: off, deadline, breaker, bulkhead, rate limit. All gates
 * are looked at first (loads only); the first refusal in that order is the reason. Then they are
 * taken in the same order; what a later gate refuses is given back, except that a token is taken
 * last and never given back. A refusal allocates nothing and writes only its own counter.
 */
#ifndef WEIR_CALL_H
#define WEIR_CALL_H

#include <weir/base.h>
#include <weir/context.h>
#include <weir/dependency.h>

WEIR_BEGIN_DECLS

typedef struct weir_call weir_call; /**< the running call; valid inside run and fallback only */

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
    int32_t fallback_code;   /**< what fallback returned, if it was called */
    int32_t signal;          /**< 0 */
    uint32_t attempts;       /**< attempts that ran; 0: the work never began */
    uint32_t flags;          /**< WEIR_FLAG_... */
    uint32_t reserved32;     /**< 0 */
    uint64_t latency_ns;     /**< from the call to its end, waits included */
    uint64_t retry_after_ns; /**< after a refusal: when the same call could pass; 0: not known */
    uint64_t answer_age_ns;  /**< 0 */
    uint64_t generation;     /**< configuration snapshot that the call began with, from 1 */
    uint8_t trace_id[16];    /**< of the call's context; 0: none */
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
     *  result_max bytes, zeroed under thread isolation, as are the bytes of the argument between
     *  argument_size and argument_max. It may be called by many threads at once. It must return:
     *  under thread isolation also after its caller has left, see weir_call_abandoned(). */
    int (*run)(weir_call *call, const void *argument, void *result);
    /** What a code means. NULL: 0 is ok, all else failed. Must be pure. */
    weir_verdict (*classify)(int code);
    /** Free what an argument owns. Called exactly once after the last user of the argument, in
     *  every outcome except a usage error. Under thread isolation that may be the worker, also a
     *  moment after weir_execute() has returned: what an argument points to must not be the
     *  caller's own frame. NULL: nothing to free. */
    void (*argument_drop)(void *argument);
    /** Free what a result owns. Called when a result came that nobody is given: its caller had
     *  left, or dropped the completion. NULL: nothing. */
    void (*result_drop)(void *result);
    /** Answer instead of run, when the call has no value: refused, failed, or left at its deadline;
     *  not after WEIR_IGNORED and WEIR_CANCELLED, nor after an inline call that overran. 0:
     * `result` (result_max bytes) is the value; anything else comes back as outcome.fallback_code
     * and the call's own outcome stands. Called at most once, on the thread of weir_execute() or of
     * weir_queue_take(), in the call's context, and only while request.within_ns and the context's
     * deadline leave time (the setting `timeout` bounds run alone). After a timeout run may still
     * be running, with the same argument. NULL: none. */
    int (*fallback)(weir_call *call, const void *argument, void *result);
};

typedef struct weir_request {
    size_t size;
    const void *argument; /**< value of argument_size bytes, moved by memcpy under thread isolation;
                               consumed unless a usage error */
    size_t argument_size; /**< at most command.argument_max */
    void *result;         /**< room for command.result_max bytes; required by weir_execute() if that
                               is not 0. No worker ever writes to it */
    uint64_t within_ns;   /**< the caller's own time budget; 0: none. The earliest of this, the
                               setting `timeout` and the context's deadline is the deadline */
    uint64_t cost;        /**< tokens of the rate limit; 0: not given, which is 1 */
    const weir_context *context; /**< NULL: the thread's current one */
} weir_request;

/**
 * Make one call and wait for its end. request may be NULL: no argument, no result, no budget.
 *
 * Under inline isolation run is called on this thread, with no lock held. A timeout is seen when
 * run returns: the kind is then WEIR_TIMED_OUT, the breaker counts a timeout, and a value that came
 * late is delivered and flagged.
 *
 * Under thread isolation run is called on a worker of the dependency's pool with a copy of the
 * argument, and this function returns at the deadline at the latest, plus wake-up lateness. A call
 * that has not begun by then never runs (WEIR_DEADLINE). One that runs is left (WEIR_TIMED_OUT):
 * it keeps its place until the work returns, and is counted as abandoned. In mode observe nobody is
 * left: timeouts are seen at return, as under inline isolation.
 *
 * Waits for a place (max_wait) and for tokens (rate_limit.max_wait), never beyond the deadline.
 *
 * Result:  WEIR_OK: there is a value in request->result, ret_outcome->source says who answered
 *          (with a late value also for kind WEIR_TIMED_OUT, with a fallback's for a kind that says
 *          why there is none of run). A refusal (class rejected): run was not called;
 * retry_after_ns says when to come back, if known. WEIR_FAILED, WEIR_IGNORED, WEIR_TIMED_OUT,
 * WEIR_CANCELLED: run was called and there is no value; the result's bytes are unspecified and
 * owned by nobody. WEIR_E_ARGUMENT, WEIR_E_SIZE, WEIR_E_SHAPE (the command was not written for the
 *          isolation), WEIR_E_TOO_LARGE (the argument is above argument_max, or the command's
 *          values above the pool's cells), WEIR_E_FORKED (the pool was made before a fork): usage
 *          errors; nothing was done, the argument still belongs to the caller, ret_outcome->kind is
 *          the status.
 * Owns:    the argument is consumed (dropped once) by every status but a usage error. The result is
 *          the caller's on WEIR_OK. ret_outcome may be NULL.
 * Threads: any, also inside run (a call into its own pool needs a free worker: mind the deadline).
 *          Blocks for as long as run does, plus the waits above; under thread isolation never
 *          beyond the deadline.
 * Callbacks: inline: run, classify, argument_drop, fallback, on this thread, no lock held. Thread:
 *          run, classify and the carriers' enter and leave on a worker; fallback and the carriers'
 *          capture on this thread; argument_drop and result_drop on whichever uses them last.
 * Cost:    inline: nine locked operations, two clock reads, no allocation; a refusal one locked
 *          operation. A trial of a half-open breaker takes the breaker's lock besides. Thread: also
 *          two futex wakes, four more clock reads and a pair of short locks.
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
 *          shows its age (oldest_call_ns), unless `permit_lease` reclaims it as lost. It holds a
 *          reference to the call's context, which its end or its lease releases.
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

/** The context that the permit was asked for in; NULL: none, or no live permit. Borrowed until
 *  weir_end() or the permit's lease. Must not race with either. Since 0.1. */
WEIR_API const weir_context *weir_permit_context(const weir_permit *permit);

/*
 * What the work may ask and do. All take the weir_call that run or fallback was given, on the
 * thread that was given it, and only until that function returns. NULL is harmless.
 */

/** Time left until the call's deadline, to set socket timeouts by. 0: over. UINT64_MAX: no
 *  deadline (do not add to it). Round up when you convert to milliseconds. In fallback: the time
 *  left of the caller's own budget. Cost: one clock read. Since 0.1. */
WEIR_API uint64_t weir_call_left_ns(const weir_call *call);

/** Has the caller left (deadline, cancel, stop)? Then nobody will see the result: stop as soon as
 *  the state of the work allows. Always 0 under inline isolation and in fallback. Cost: one load.
 *  Since 0.1. */
WEIR_API int weir_call_abandoned(const weir_call *call);

/**
 * Have `fd` shut down when the caller leaves: whoever leaves does shutdown(fd, SHUT_RDWR), so that
 * a read or write that blocks in run returns. One at a time; -1 ends the watch.
 *
 * Ending waits for a shutdown that is under way, so closing the descriptor afterwards cannot hit a
 * reused number. The watch also ends, in the same way, when run returns.
 * Result:  WEIR_OK. WEIR_CANCELLED: the caller had left before: a descriptor given now has been
 *          shut down by this function, one watched until now may have been. WEIR_E_SHAPE: inline,
 *          fallback: nobody can leave, so nothing is watched. WEIR_E_ARGUMENT: NULL.
 * Limits:  sockets only: shutdown(2) does nothing for pipes, files, terminals, and nothing for a
 *          thread that is not in a system call on this descriptor.
 * Cost:    two or three locked operations. Since 0.1.
 */
WEIR_API weir_status weir_call_watch_fd(weir_call *call, int fd);

/**
 * Call `hook(user)` when the caller leaves, on the runtime's helper thread: for whatever stops the
 * work (cancel a query over a second connection, interrupt a client library). One at a time; NULL
 * ends it.
 *
 * Ending waits for a hook that is under way; so does the return of run. A hook must not block for
 * long: all hooks of a runtime share one thread, and it must not use the weir_call.
 * Result:  WEIR_OK; WEIR_CANCELLED: the caller had left before: a hook given now will not be
 *          called, one given before may have been; WEIR_E_SHAPE: inline or fallback;
 *          WEIR_E_ARGUMENT: NULL call.
 * Cost:    two or three locked operations. Since 0.1.
 */
WEIR_API weir_status weir_call_on_leave(weir_call *call, void (*hook)(void *user), void *user);

/** The state that worker_start made for the worker thread that this is; NULL: none, inline, or in
 *  fallback. Since 0.1. */
WEIR_API void *weir_call_worker(const weir_call *call);

/** In fallback: the outcome that it is to answer instead of. NULL in run. Since 0.1. */
WEIR_API const weir_outcome *weir_call_primary(const weir_call *call);

/** Tell that the other side asked to be left alone for a while (e.g. Retry-After). It comes back as
 *  outcome.retry_after_ns. Inside run only; the last one wins. Since 0.1. */
WEIR_API void weir_call_pushback(weir_call *call, uint64_t retry_after_ns);

WEIR_END_DECLS

#endif
