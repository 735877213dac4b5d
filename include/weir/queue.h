/**
 * weir/queue.h - submit: calls that nobody waits for, their completions taken from a queue.
 *
 * For event loops and fan-out: weir_submit() hands a call to the dependency's pool and returns;
 * when the call has its outcome, a completion stands in the queue that was named, whose file
 * descriptor is then readable.
 *
 *     weir_submit() -> completion in the queue -> weir_queue_take() -> weir_completion_end()
 *
 * A submitted call has exactly one completion, at its deadline at the latest (plus the timer
 * thread's wake-up lateness), also when it is cancelled or the runtime is stopped.
 */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H

#include <weir/base.h>
#include <weir/call.h>
#include <weir/dependency.h>

WEIR_BEGIN_DECLS

typedef struct weir_queue weir_queue; /**< owned by whoever created it */

/** Names one submitted call, to cancel it. Bytes: may be copied; zeroed is never a live one. */
typedef struct weir_ticket {
    uint64_t opaque[2];
} weir_ticket;

/** A submitted call that has its outcome; filled by weir_queue_take(). Fixed size for ever. */
typedef struct weir_completion {
    void *user;         /**< what was given to weir_submit() */
    void *cell;         /**< weir's own; NULL once ended */
    weir_ticket ticket; /**< of the call, now stale */
    weir_status status; /**< WEIR_OK: there is a value; else as weir_execute() would return */
    uint32_t reserved;  /**< 0 */
    weir_outcome outcome;
} weir_completion;

/**
 * Create a completion queue. Also starts the runtime's timer thread, once.
 *
 * Result:  WEIR_OK; WEIR_E_ARGUMENT; WEIR_E_MEMORY; WEIR_E_SYSTEM (no descriptor or no thread to be
 *          had); WEIR_E_BUSY (the runtime has been stopped); WEIR_E_FORKED. On failure nothing is
 *          left behind but the timer thread.
 * Owns:    the caller ends it with weir_queue_destroy(), before weir_runtime_destroy().
 * Threads: any.
 * Since:   0.1
 */
WEIR_API weir_status weir_queue_create(weir_runtime *runtime, weir_queue **ret_queue,
                                       weir_error *error);

/**
 * End a queue. NULL is fine.
 *
 * Result:  WEIR_OK; WEIR_E_BUSY: calls submitted with it have not been ended with
 *          weir_completion_end() yet; the queue stands.
 * Threads: one, last. Since 0.1.
 */
WEIR_API weir_status weir_queue_destroy(weir_queue *queue);

/**
 * A file descriptor that is readable while completions stand in the queue: for epoll, poll or an
 * event loop, level-triggered. Do not read it; weir_queue_take() makes it quiet again. The queue
 * owns it. -1 for NULL. Completions are signalled from the first call of this function on.
 * Threads: any; never blocks. Since 0.1.
 */
WEIR_API int weir_queue_fd(weir_queue *queue);

/**
 * Take up to `max` completions, in the order in which the calls were settled. If there is none,
 * wait for at most `wait_ns` (0: not at all; UINT64_MAX: for ever).
 *
 * A call that has no value and whose command has a fallback gets it here, on this thread, in the
 * call's context, while its own time budget lasts (see weir_command.fallback).
 * Result:  how many were taken; each must be ended with weir_completion_end().
 * Threads: any, several at once. Blocks for wait_ns at most, plus what fallbacks take.
 * Callbacks: fallback and result_drop of those taken, carriers; no lock held.
 * Since:   0.1
 */
WEIR_API size_t weir_queue_take(weir_queue *queue, weir_completion *ret_completions, size_t max,
                                uint64_t wait_ns);

/**
 * End a completion: move its value out, or drop it.
 *
 * ret_result receives the command's result_max bytes when completion->status is WEIR_OK and is left
 * alone otherwise; NULL drops the value (result_drop). Until then the call holds its cell (setting
 * `completions`).
 * Result:  WEIR_OK; WEIR_E_STALE: it has been ended before; WEIR_E_ARGUMENT: NULL.
 * Callbacks: result_drop, argument_drop and the carriers' release, on this thread, if it is the
 *          last user.
 * Threads: any, each completion by one. Never blocks. Since 0.1.
 */
WEIR_API weir_status weir_completion_end(weir_completion *completion, void *ret_result);

/** The context that the call was made in; NULL: none. Borrowed until weir_completion_end(). Open a
 *  scope with it to handle the completion in the call's context. Since 0.1. */
WEIR_API const weir_context *weir_completion_context(const weir_completion *completion);

/**
 * Make one call on the dependency's pool without waiting for it.
 *
 * Never waits: a full pool and an empty token bucket refuse, with retry_after where known. There is
 * no fallback for a refusal: the caller is here and can answer at once.
 *
 * Result:  WEIR_OK: exactly one completion will stand in `queue`. Else nothing will come: a refusal
 *          (class rejected: WEIR_BULKHEAD when threads and queue are full, WEIR_CELLS when too many
 *          completions have not been ended, ...), the argument consumed; or a usage error
 *          (WEIR_E_ARGUMENT, WEIR_E_SIZE, WEIR_E_SHAPE under inline isolation or for a command not
 *          written for the pool, WEIR_E_TOO_LARGE, WEIR_E_FORKED), the argument still the caller's.
 * Owns:    the argument is copied and consumed by every status but a usage error. request->result
 *          must be NULL: the value comes with the completion. ret_ticket and ret_outcome may be
 *          NULL; a ticket is written before the call can complete.
 * Threads: any, also inside run. Blocks on no other call. Allocates nothing.
 * Callbacks: the carriers' capture; after a refusal argument_drop, perhaps the carriers' release;
 *          on this thread.
 * Since:   0.1
 */
WEIR_API weir_status weir_submit(weir_dependency *dependency, const weir_command *command,
                                 const weir_request *request, weir_queue *queue, void *user,
                                 weir_ticket *ret_ticket, weir_outcome *ret_outcome);

/**
 * Give a submitted call up.
 *
 * A call that has not begun never runs and its place is free at once (outcome.attempts is 0). One
 * that runs is left, as at its deadline: see weir_call_abandoned(). Either way its completion comes
 * with WEIR_CANCELLED, which is neutral to the breaker.
 * Result:  WEIR_OK: this call of the function gave it up; WEIR_E_STALE: it has its outcome already,
 *          or the ticket is none of this queue's; WEIR_E_ARGUMENT: NULL queue; WEIR_E_FORKED.
 * Threads: any. Blocks on no other call. Since 0.1.
 */
WEIR_API weir_status weir_ticket_cancel(weir_queue *queue, weir_ticket ticket);

WEIR_END_DECLS

#endif
