/*
 * What one thread knows of its context: the current one and how many scopes are open. Plain
 * thread-local memory without destructor: valid in thread destructors, atexit handlers and signal
 * handlers, and after fork.
 */
#ifndef WR_CONTEXT_SCOPE_H
#define WR_CONTEXT_SCOPE_H

#include <weir/context.h>

#include <stdatomic.h>

/* Scopes deeper than `depth` and opened up to `number` were closed from outside: their own records
 * do not say so. */
struct wr_unwound {
    uint64_t depth, number;
};

enum { WR_UNWOUND_MAX = 4 };

struct wr_scope_thread {
    /* Borrowed from the innermost scope or call. Atomic only so that a signal handler of this
     * thread, its one other reader, never meets half a pointer. */
    _Atomic(const weir_context *) current;
    uint64_t depth;  /* scopes that are open */
    uint64_t opened; /* scopes that were ever opened: the number of the youngest */
    size_t unwound_count;
    struct wr_unwound unwound[WR_UNWOUND_MAX]; /* both members strictly ascending */
};

extern _Thread_local struct wr_scope_thread wr_scope_self;

static inline const weir_context *wr_scope_current(void)
{
    /* Relaxed: this thread wrote it. Pairs with the store of wr_scope_set() when that is what a
     * signal handler interrupted. */
    return atomic_load_explicit(&wr_scope_self.current, memory_order_relaxed);
}

static inline void wr_scope_set(const weir_context *context)
{
    /* The fence keeps the compiler from writing to the context only after it has become current:
     * pairs with the load in a signal handler on this thread. Other threads never read it. */
    atomic_signal_fence(memory_order_release);
    atomic_store_explicit(&wr_scope_self.current, context, memory_order_relaxed);
}

/* Close every scope deeper than `depth` without touching it: its memory may be gone. */
void wr_scope_unwind(uint64_t depth);

#endif
