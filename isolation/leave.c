/*
 * Acting on work whose caller leaves, and the public functions that arm it. See leave.h.
 */
#define _GNU_SOURCE
#include "isolation/leave.h"

#include "isolation/pool.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>

enum { OFF, ARMED, ACTING, CLOSED, FD_BITS = 2, FD_MASK = 3 };

static uint64_t fd_word(int fd, unsigned state)
{
    return (uint64_t)(uint32_t)fd << FD_BITS | state;
}

/* An action is over: whoever waits to end it may go on. */
static void tell_changed(struct wr_leave *leave)
{
    (void)atomic_fetch_add_explicit(&leave->changed, 1, memory_order_release);
    wr_unpark(&leave->changed, INT32_MAX);
}

/* ---- the leaver ---- */

static void shut_down(struct wr_leave *leave)
{
    uint64_t word = atomic_load_explicit(&leave->fd, memory_order_seq_cst);
    const int fd = (int)(uint32_t)(word >> FD_BITS);

    if ((word & FD_MASK) == ARMED &&
        atomic_compare_exchange_strong_explicit(&leave->fd, &word, fd_word(fd, ACTING),
                                                memory_order_seq_cst, memory_order_relaxed)) {
        (void)shutdown(fd, SHUT_RDWR);
        atomic_store_explicit(&leave->fd, OFF, memory_order_release);
        tell_changed(leave);
    }
}

static void interrupt(struct wr_pool *pool, struct wr_leave *leave)
{
    uint32_t state = ARMED;

    if (pool->rule.cancel_signal != 0 &&
        atomic_compare_exchange_strong_explicit(&leave->signal, &state, ACTING,
                                                memory_order_acq_rel, memory_order_relaxed)) {
        leave->signalled = true;
        (void)pthread_kill(leave->worker, pool->rule.cancel_signal);
        atomic_store_explicit(&leave->signal, OFF, memory_order_release);
        tell_changed(leave);
    }
}

static struct wr_cell *cell_of(struct wr_leave *leave)
{
    return (struct wr_cell *)(void *)((char *)leave - offsetof(struct wr_cell, leave));
}

/* On the helper thread, with a reference to the cell. */
static void call_hook(struct wr_chore *chore)
{
    struct wr_leave *const leave =
        (struct wr_leave *)(void *)((char *)chore - offsetof(struct wr_leave, chore));
    uint32_t state = ARMED;

    if (atomic_compare_exchange_strong_explicit(&leave->hook, &state, ACTING, memory_order_acquire,
                                                memory_order_relaxed)) {
        leave->call(leave->user);
        atomic_store_explicit(&leave->hook, OFF, memory_order_release);
        tell_changed(leave);
    }
    wr_pool_release(leave->pool, cell_of(leave));
}

void wr_leave_act(struct wr_pool *pool, struct wr_cell *cell)
{
    struct wr_leave *const leave = &cell->leave;

    shut_down(leave);
    interrupt(pool, leave);
    if (atomic_load_explicit(&leave->hook, memory_order_seq_cst) == ARMED) {
        (void)atomic_fetch_add_explicit(&cell->references, 1, memory_order_relaxed);
        leave->chore.run = call_hook;
        if (!wr_helper_post(pool->helper, &leave->chore)) {
            wr_pool_release(pool, cell);
        }
    }
}

/* ---- the worker ---- */

static void let_signal(int number, int how)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)pthread_sigmask(how, &set, NULL);
}

void wr_leave_open(struct wr_pool *pool, struct wr_cell *cell)
{
    struct wr_leave *const leave = &cell->leave;

    leave->pool = pool;
    leave->worker = pthread_self();
    leave->signalled = false;
    atomic_store_explicit(&leave->fd, OFF, memory_order_relaxed);
    atomic_store_explicit(&leave->hook, OFF, memory_order_relaxed);
    atomic_store_explicit(&leave->signal, pool->rule.cancel_signal != 0 ? ARMED : CLOSED,
                          memory_order_relaxed);
}

void wr_leave_let_in(struct wr_pool *pool)
{
    if (pool->rule.cancel_signal != 0) {
        let_signal(pool->rule.cancel_signal, SIG_UNBLOCK);
    }
}

/* End one 32-bit action; waits while it is acted on. */
static void end_action(struct wr_leave *leave, _Atomic uint32_t *word)
{
    for (;;) {
        const uint32_t changed = atomic_load_explicit(&leave->changed, memory_order_acquire);
        uint32_t state = ARMED;

        if (atomic_compare_exchange_strong_explicit(word, &state, CLOSED, memory_order_seq_cst,
                                                    memory_order_acquire) ||
            state != ACTING) {
            return;
        }
        wr_park(&leave->changed, changed);
    }
}

/* False: it was not armed (any more). */
static bool end_fd(struct wr_leave *leave)
{
    for (;;) {
        const uint32_t changed = atomic_load_explicit(&leave->changed, memory_order_acquire);
        uint64_t word = atomic_load_explicit(&leave->fd, memory_order_acquire);

        if ((word & FD_MASK) == OFF) {
            return false;
        }
        if ((word & FD_MASK) == ARMED &&
            atomic_compare_exchange_strong_explicit(&leave->fd, &word, OFF, memory_order_seq_cst,
                                                    memory_order_relaxed)) {
            return true;
        }
        if ((word & FD_MASK) == ACTING) {
            wr_park(&leave->changed, changed);
        }
    }
}

/* A signal that came is taken here, so that it interrupts nothing of the next call. */
static void end_signal(struct wr_pool *pool, struct wr_leave *leave)
{
    const struct timespec at_once = {0};
    sigset_t set;

    let_signal(pool->rule.cancel_signal, SIG_BLOCK);
    end_action(leave, &leave->signal);
    if (leave->signalled) {
        (void)sigemptyset(&set);
        (void)sigaddset(&set, pool->rule.cancel_signal);
        while (sigtimedwait(&set, NULL, &at_once) == -1 && errno == EINTR) {
        }
    }
}

void wr_leave_close(struct wr_pool *pool, struct wr_cell *cell)
{
    struct wr_leave *const leave = &cell->leave;

    if (pool->rule.cancel_signal != 0) {
        end_signal(pool, leave);
    }
    (void)end_fd(leave);
    end_action(leave, &leave->hook);
}

/* ---- inside run ---- */

static bool has_left(const weir_call *call)
{
    return wr_cell_has_left(wr_cell_read(call->cell));
}

int weir_call_abandoned(const weir_call *call)
{
    return call != NULL && call->cell != NULL && has_left(call) ? 1 : 0;
}

weir_status weir_call_watch_fd(weir_call *call, int fd)
{
    struct wr_leave *leave;

    if (call == NULL) {
        return WEIR_E_ARGUMENT;
    }
    if (call->cell == NULL) {
        return WEIR_E_SHAPE;
    }
    leave = &call->cell->leave;
    (void)end_fd(leave);
    if (fd >= 0) {
        atomic_store_explicit(&leave->fd, fd_word(fd, ARMED), memory_order_seq_cst);
    }
    if (!has_left(call)) {
        return WEIR_OK;
    }
    /* The leaver may have looked before the watch stood: then it is ours to act. */
    if (fd >= 0 && end_fd(leave)) {
        (void)shutdown(fd, SHUT_RDWR);
    }
    return WEIR_CANCELLED;
}

weir_status weir_call_on_leave(weir_call *call, void (*hook)(void *user), void *user)
{
    struct wr_leave *leave;
    uint32_t state = ARMED;

    if (call == NULL) {
        return WEIR_E_ARGUMENT;
    }
    if (call->cell == NULL) {
        return WEIR_E_SHAPE;
    }
    leave = &call->cell->leave;
    end_action(leave, &leave->hook);
    if (hook == NULL) {
        return has_left(call) ? WEIR_CANCELLED : WEIR_OK;
    }
    leave->call = hook;
    leave->user = user;
    atomic_store_explicit(&leave->hook, ARMED, memory_order_seq_cst);
    if (!has_left(call)) {
        return WEIR_OK;
    }
    /* Has the leaver seen it? If it is being called, or was, then it is as if it had been there in
     * time. */
    return atomic_compare_exchange_strong_explicit(&leave->hook, &state, CLOSED,
                                                   memory_order_seq_cst, memory_order_relaxed)
               ? WEIR_CANCELLED
               : WEIR_OK;
}
