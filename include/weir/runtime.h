/**
 * weir/runtime.h - the runtime: owner of dependencies, settings and metrics.
 *
 * Several runtimes in one process are independent of each other.
 *
 * Threads: none of its own until they are needed. A dependency with thread isolation has its
 * workers; the first of them also starts the runtime's helper thread (hooks, joining and replacing
 * workers); the first weir_queue_create() starts its timer thread. All of them sleep while nothing
 * happens.
 *
 * Fork: a runtime that has started no thread works in the child (if other threads were inside weir
 * at that moment, make a new one there, as after any fork of a threaded process). Of one that has,
 * what needs its threads gives WEIR_E_FORKED in the child until it is made anew there;
 * weir_runtime_destroy() may be called and frees what is safe to free.
 */
#ifndef WEIR_RUNTIME_H
#define WEIR_RUNTIME_H

#include <weir/base.h>
#include <weir/host.h>

WEIR_BEGIN_DECLS

typedef struct weir_runtime weir_runtime; /**< owned by whoever created it */

typedef struct weir_runtime_options {
    size_t size;
    const weir_clock *clock;         /**< NULL: CLOCK_MONOTONIC and futex */
    const weir_random *random;       /**< NULL: seeded with `seed` */
    const weir_allocator *allocator; /**< NULL: malloc */
    uint64_t seed; /**< of the built-in random numbers; 0: taken from the system */
} weir_runtime_options;

/**
 * One setting: numbers are set by key and text, from code or a file, through one table with one
 * set of checks (docs/settings.md). Strings are borrowed for the duration of the call.
 */
typedef struct weir_setting {
    const char *dependency; /**< NULL: the runtime's default for every dependency */
    const char *key;        /**< e.g. "breaker.open_for" */
    const char *value;      /**< e.g. "5s"; NULL: back to the default */
    const char *file;       /**< where it was written, for messages; NULL: from code */
    uint32_t line, column;
} weir_setting;

/**
 * Create a runtime.
 *
 * Result:  WEIR_OK; WEIR_E_ARGUMENT (ret_runtime NULL, an ops table without a function),
 *          WEIR_E_SIZE, WEIR_E_MEMORY. On failure nothing is left behind.
 * Owns:    the caller owns the runtime and ends it with weir_runtime_destroy().
 * Threads: any. options may be NULL.
 * Since:   0.1
 */
WEIR_API weir_status weir_runtime_create(const weir_runtime_options *options,
                                         weir_runtime **ret_runtime, weir_error *error);

/**
 * Change settings of a live runtime, all or nothing.
 *
 * All values are parsed and checked, also against each other, before anything is changed; then
 * each touched dependency gets its new snapshot. Calls in flight keep the deadline, the epoch and
 * the place they began with; what each key does to live state is its reload rule
 * (docs/settings.md). A later setting of the same key wins within one call.
 *
 * Result:  WEIR_OK; WEIR_E_CONFIG (unknown dependency or key, malformed value, out of range,
 *          restart-only key, contradiction) with a message that names the setting and the nearest
 *          valid name; WEIR_E_ARGUMENT; WEIR_E_MEMORY; WEIR_E_SYSTEM (no thread to be had for a
 *          larger pool); WEIR_E_BUSY (the runtime has been stopped); WEIR_E_FORKED. On failure no
 *          setting has changed (slots and cells that had to grow stay grown).
 * Threads: any; applies are serialised. Blocks for a grace period (a millisecond or so). Calls no
 *          callback but the host's clock, which wakes calls that a raised limit lets in.
 * Cost:    O(settings + touched dependencies).
 * Since:   0.1
 */
WEIR_API weir_status weir_runtime_apply(weir_runtime *runtime, const weir_setting *settings,
                                        size_t count, weir_error *error);

/**
 * Check the counting laws of every dependency:
 *   calls     submitted = sum of outcomes + open
 *   attempts  begun = settled + running
 *   slots     taken = returned + held + lost
 * The right-hand gauges come from their own mechanism (the bulkhead's word, the slots), not from
 * subtraction. Ends are read before begins and the gauges in between, so under load the sides
 * differ by what begins and ends while they are read; with no thread inside weir they must be
 * equal.
 *
 * Result:  WEIR_OK when every difference is 0; else WEIR_E_BUSY with the first difference that is
 *          not, in `error->message`. WEIR_E_ARGUMENT for NULL.
 * Threads: any. Writes nothing. Cost: O(dependencies * slots).
 * Since:   0.1
 */
WEIR_API weir_status weir_runtime_check(weir_runtime *runtime, weir_error *error);

/** Formats of weir_metrics_render(). */
enum {
    WEIR_FORMAT_JSON = 1,      /**< one object: {"dependencies":[{...}]} */
    WEIR_FORMAT_PROMETHEUS = 2 /**< text exposition format 0.0.4 */
};

/**
 * Write all metrics of all dependencies as text.
 *
 * Result:  the length of the whole text without its final NUL; when that is >= size the text was
 *          cut (call again with more room; it may have grown meanwhile). Always NUL-terminated if
 *          size > 0. 0 for an unknown format or a NULL runtime.
 * Threads: any; takes no lock that a call takes, but the limiter's in rate_limit.mode window.
 * Cost:    O(dependencies * slots).
 * Since:   0.1
 */
WEIR_API size_t weir_metrics_render(weir_runtime *runtime, int32_t format, char *buffer,
                                    size_t size);

/**
 * Stop: refuse new calls, let those in flight end, end the threads.
 *
 * From now on every call is refused with WEIR_SHUTDOWN, inline ones and permits too. Calls that
 * wait for a worker are turned away at once, with WEIR_SHUTDOWN. Calls that run on workers have
 * `grace_ns` to end; those that then still run are left as by weir_ticket_cancel(): their callers
 * get WEIR_CANCELLED, their watched descriptors are shut down, their hooks called. Completions can
 * still be taken. Inline calls and permits that have begun are not waited for.
 *
 * Result:  WEIR_OK: all threads of the runtime have ended. WEIR_E_BUSY: *ret_stuck threads (may be
 *          NULL) have not ended, as a rule because they are inside user code; all else has ended,
 *          and what they use stays. Call
 *          again, with any grace, to wait for them. WEIR_E_ARGUMENT: NULL. WEIR_E_FORKED: the
 *          threads are the parent's. In every case every call has its outcome or gets it at once.
 * Threads: any but the runtime's own (WEIR_E_SHAPE from inside run, fallback on a worker, or a
 *          hook); one at a time, others wait. Blocks for grace_ns and a little.
 * Callbacks: argument_drop and the carriers' release of calls turned away, on this thread;
 *          worker_stop on the workers.
 * Since:   0.1
 */
WEIR_API weir_status weir_runtime_stop(weir_runtime *runtime, uint64_t grace_ns, size_t *ret_stuck);

/**
 * End the runtime and free everything it owns, dependencies included. NULL is fine.
 *
 * Nobody may be inside weir with this runtime; queues have been destroyed. Stops it with no grace
 * if weir_runtime_stop() has not. A dependency with permits that were never ended, with work that
 * is still running or with completions that were not ended keeps its memory on purpose, so that
 * their late end is harmless (it still uses the host's clock and allocator; code and data that
 * stuck work uses must stay too: no dlclose()). That does not hold for permits that their lease has
 * reclaimed or that mode observe does not track: end those before, or not at all.
 * Threads: one, last, and none of the runtime's own. Blocks for a grace period, and a little for
 *          threads to end.
 * Since:   0.1
 */
WEIR_API void weir_runtime_destroy(weir_runtime *runtime);

WEIR_END_DECLS

#endif
