/**
 * weir/context.h - request context: labels, a trace id and a deadline that follow a call.
 *
 * Thread-local variables do not survive the hop to a worker thread; a context does, because it is
 * carried. A context is immutable and counted. It is captured once, when a call is made, and it is
 * the current context in run, in fallback, and for the completion, on whatever thread they run.
 * Afterwards the thread has back what it had before.
 *
 * Carriers do the same for values that live elsewhere: a tracing library's current span, a logging
 * library's fields, the thread-local variables of older code.
 */
#ifndef WEIR_CONTEXT_H
#define WEIR_CONTEXT_H

#include <weir/base.h>

WEIR_BEGIN_DECLS

typedef struct weir_context weir_context; /**< immutable, counted */

/** One label. Strings are copied by whoever takes them. */
typedef struct weir_label {
    const char *name;  /**< [A-Za-z0-9_.-]{1,64} */
    const char *value; /**< at most 256 bytes, no control characters; NULL: without this label */
} weir_label;

/** Labels of one context, at the most; the trace id does not count. */
#define WEIR_LABELS_MAX 64

/** The label whose value is the trace id: 32 lower-case hex digits, not all zero. */
#define WEIR_LABEL_TRACE_ID "trace_id"

/**
 * Make a context from a parent: its labels with `labels` added, replaced or (value NULL) taken
 * away, and its deadline cut to `within_ns` from now.
 *
 * parent NULL: an empty one, with a fresh random trace id. A child keeps its parent's trace id
 * unless the label "trace_id" gives another or, with value NULL, asks for a fresh one. within_ns 0:
 * the parent's deadline as it is.
 * Result:  WEIR_OK; WEIR_E_ARGUMENT (ret_context NULL, labels NULL with a count, a malformed or
 *          doubled name, a malformed value or trace id); WEIR_E_TOO_LARGE (more than 64 labels or
 *          129 edits, a value above 256 bytes); WEIR_E_MEMORY; WEIR_E_SYSTEM (no random numbers).
 *          On failure nothing is made.
 * Owns:    the caller owns one reference and ends it with weir_context_release(). The parent is
 *          only read.
 * Threads: any; never blocks. Allocates with malloc. Cost: O(labels * edits).
 * Since:   0.1
 */
WEIR_API weir_status weir_context_derive(const weir_context *parent, const weir_label *labels,
                                         size_t count, uint64_t within_ns,
                                         weir_context **ret_context);

/** One more reference, for a context that outlives its scope or call. NULL gives NULL. Any thread.
 *  Cost: one locked operation. Since 0.1. */
WEIR_API weir_context *weir_context_retain(const weir_context *context);

/** End one reference; the last one frees. NULL is fine. Any thread; never blocks. Since 0.1. */
WEIR_API void weir_context_release(weir_context *context);

/** Value of a label, or NULL. "trace_id" is always there. Borrowed from the context. NULL context:
 *  NULL. Any thread. Cost: O(labels). Since 0.1. */
WEIR_API const char *weir_context_get(const weir_context *context, const char *name);

/** Time left by CLOCK_MONOTONIC until the context's deadline; 0: over; UINT64_MAX: none, or a NULL
 *  context. Any thread. Cost: one clock read if there is a deadline. Since 0.1. */
WEIR_API uint64_t weir_context_left_ns(const weir_context *context);

/**
 * The context of this thread: what the innermost open scope set, or inside run and fallback the
 * call's; NULL: none.
 *
 * Borrowed while that scope is open or that call runs; weir_context_retain() keeps it longer. Never
 * allocates, never blocks; also in signal handlers, atexit handlers and thread destructors. Not
 * inlined, so that a coroutine that has moved to another thread reads that thread's. Since 0.1.
 */
WEIR_API const weir_context *weir_context_current(void);

/** An open scope: lives in the caller's frame, is not copied. */
typedef struct weir_scope {
    uint64_t opaque[8];
} weir_scope;

/**
 * Make `context` (NULL: none) the current one of this thread until weir_scope_close().
 *
 * The context is borrowed: it must live until the scope is closed. Scopes nest. Never fails; a NULL
 * scope does nothing. Threads: any; the scope belongs to this one. Cost: a few instructions. Since
 * 0.1.
 */
WEIR_API void weir_scope_open(weir_scope *scope, const weir_context *context);

/**
 * Close a scope: what was current before it was opened is current again.
 *
 * Result:  WEIR_OK. WEIR_E_BUSY: scopes opened after it were still open; they were closed with it
 *          (closing them now gives WEIR_E_STALE). WEIR_E_STALE: it is not open. WEIR_E_ARGUMENT:
 *          NULL, or opened by another thread; nothing has changed.
 * Threads: the one that opened it; never blocks. Since 0.1.
 */
WEIR_API weir_status weir_scope_close(weir_scope *scope);

/** What a carrier does on a thread where its call has no value. */
enum {
    WEIR_CARRY_CLEAR, /**< enter is called with NULL, to clear what the thread had */
    WEIR_CARRY_KEEP   /**< enter is not called; the thread keeps what it had */
};

/** Carriers of one process, at the most. */
#define WEIR_CARRIERS_MAX 8

/**
 * How to move one foreign value along with every call that hops to another thread.
 *
 * capture runs once, on the thread that makes the call. enter and leave run in pairs on the thread
 * of run (and of a fallback that runs elsewhere than where the value was captured), in ascending
 * `order`, leave in reverse. release runs once, after the last leave, on any thread but the
 * timer's. errno is kept around all four. They must not call weir functions that block.
 */
typedef struct weir_carrier {
    size_t size;
    const char *name; /**< for messages; borrowed until removed */
    int32_t order;    /**< lower enters earlier; equal: in order of addition */
    int32_t policy;   /**< WEIR_CARRY_... */
    void *user;
    void *(*capture)(void *user);                /**< the value, by copy or counted; NULL: none */
    void *(*enter)(void *user, void *captured);  /**< install it; returns what was there before */
    void (*leave)(void *user, void *saved);      /**< put back what enter returned */
    void (*release)(void *user, void *captured); /**< end a captured value; not called for NULL */
} weir_carrier;

typedef struct weir_carrier_slot weir_carrier_slot; /**< an added carrier */

/**
 * Add a carrier to the process: calls made from now on carry its value.
 *
 * Result:  WEIR_OK; WEIR_E_ARGUMENT (NULL, a function or the name missing, unknown policy),
 *          WEIR_E_SIZE, WEIR_E_TOO_LARGE (8 are there), WEIR_E_MEMORY. On failure nothing changes.
 * Owns:    the struct is copied; end it with weir_carrier_remove().
 * Threads: any; blocks for a grace period. Since 0.1.
 */
WEIR_API weir_status weir_carrier_add(const weir_carrier *carrier, weir_carrier_slot **ret_slot);

/**
 * Take a carrier out: calls made from now on do not carry its value.
 *
 * Result:  WEIR_OK: no call holds a value of it any more, its functions will not be called again,
 *          the slot is freed. WEIR_E_BUSY: it is out, but calls made before may still use it, or
 *          another thread is just adding or removing a carrier; call again when they have ended
 *          (before dlclose() of its code). WEIR_E_ARGUMENT: NULL.
 * Threads: any but inside a carrier's own functions, one at a time for a slot; blocks for a grace
 *          period, never for a call.
 * Since:   0.1
 */
WEIR_API weir_status weir_carrier_remove(weir_carrier_slot *slot);

WEIR_END_DECLS

#endif
