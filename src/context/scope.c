/*
 * Scopes: what was current before is current again, however they end.
 *
 * A scope that is closed while inner ones are open (an early return, a longjmp) closes those too,
 * and must not read them: their frames may be gone. So the thread itself remembers what it closed
 * from outside, as "deeper than depth, opened up to number". Numbers are never given twice on a
 * thread, so such a scope stays closed when the depth has grown again.
 *
 * Nothing is counted here: contexts are borrowed, so a scope that is never closed leaks nothing.
 */
#include "context/scope.h"

#include "base/thread.h"

#include <stdbool.h>
#include <string.h>

#define SCOPE_MAGIC 0x7765697273636f70ULL

/* The words of a scope. */
enum {
    SEAL,   /* of an open one: the magic and its own address, so that no copy passes for it */
    THREAD, /* the thread's memory ... */
    THREAD_NUMBER, /* ... which a later thread may get, but not the number */
    DEPTH,         /* with this one; the outermost has 1 */
    NUMBER,
    BEFORE /* what was current; borrowed from the scope or call around this one */
};
_Static_assert(sizeof(weir_context *) <= sizeof(uint64_t), "a word of a scope holds a pointer");

_Thread_local struct wr_scope_thread wr_scope_self;

/* Out of line: whoever has moved to another thread meanwhile must not use an address of the old
 * one's memory. */
__attribute__((noinline)) const weir_context *weir_context_current(void)
{
    return wr_scope_current();
}

static uint64_t seal_of(const weir_scope *scope)
{
    return SCOPE_MAGIC ^ (uint64_t)(uintptr_t)scope;
}

static bool was_unwound(const struct wr_scope_thread *self, const weir_scope *scope)
{
    for (size_t i = 0; i < self->unwound_count; ++i) {
        if (scope->opaque[DEPTH] > self->unwound[i].depth &&
            scope->opaque[NUMBER] <= self->unwound[i].number) {
            return true;
        }
    }
    return false;
}

void wr_scope_unwind(uint64_t depth)
{
    struct wr_scope_thread *const self = &wr_scope_self;

    /* What is said of more scopes at a later time says all of it. */
    while (self->unwound_count > 0 && self->unwound[self->unwound_count - 1].depth >= depth) {
        --self->unwound_count;
    }
    if (self->unwound_count < WR_UNWOUND_MAX) {
        self->unwound[self->unwound_count++] = (struct wr_unwound){depth, self->opened};
    } else {
        /* No room: say it of too many. A scope between the two depths that is open now can then be
         * closed only with the one around it; the other mistake would revive a context that may
         * have ended. */
        self->unwound[WR_UNWOUND_MAX - 1].number = self->opened;
    }
    self->depth = depth;
}

void weir_scope_open(weir_scope *scope, const weir_context *context)
{
    struct wr_scope_thread *const self = &wr_scope_self;
    const weir_context *const before = wr_scope_current();

    if (scope == NULL) {
        return;
    }
    scope->opaque[SEAL] = seal_of(scope);
    scope->opaque[THREAD] = (uint64_t)(uintptr_t)self;
    scope->opaque[THREAD_NUMBER] = wr_thread_number();
    scope->opaque[DEPTH] = ++self->depth;
    scope->opaque[NUMBER] = ++self->opened;
    memcpy(&scope->opaque[BEFORE], &before, sizeof(const weir_context *));
    wr_scope_set(context);
}

static bool is_mine(const struct wr_scope_thread *self, const weir_scope *scope)
{
    return scope->opaque[THREAD] == (uint64_t)(uintptr_t)self &&
           scope->opaque[THREAD_NUMBER] == wr_thread_number();
}

weir_status weir_scope_close(weir_scope *scope)
{
    struct wr_scope_thread *const self = &wr_scope_self;
    const weir_context *before;

    if (scope == NULL) {
        return WEIR_E_ARGUMENT;
    }
    if (scope->opaque[SEAL] != seal_of(scope)) {
        return WEIR_E_STALE;
    }
    if (!is_mine(self, scope)) {
        return WEIR_E_ARGUMENT;
    }
    if (scope->opaque[DEPTH] > self->depth || was_unwound(self, scope)) {
        return WEIR_E_STALE;
    }
    scope->opaque[SEAL] = 0;
    memcpy(&before, &scope->opaque[BEFORE], sizeof(const weir_context *));
    wr_scope_set(before);
    if (scope->opaque[DEPTH] == self->depth) {
        --self->depth;
        return WEIR_OK;
    }
    wr_scope_unwind(scope->opaque[DEPTH] - 1);
    return WEIR_E_BUSY;
}
