/*
 * What happens to work whose caller leaves: a watched descriptor is shut down, a hook is called on
 * the helper thread, a signal interrupts the worker's system call.
 *
 * Each of the three is one word with the states OFF, ARMED, ACTING (and CLOSED for the signal). The
 * worker arms and ends it, the leaver acts; both by compare-and-swap, so it is acted on at most
 * once, and ending waits while somebody acts. That is what makes closing the descriptor, or leaving
 * the frame that the hook uses, safe.
 *
 * Neither misses the other: the worker arms, then reads the cell's state; the leaver steps to LEFT,
 * then reads the words. All four are sequentially consistent, so at least one sees the other; if
 * both do, the compare-and-swap decides who acts.
 */
#ifndef WR_ISOLATION_LEAVE_H
#define WR_ISOLATION_LEAVE_H

#include "isolation/helper.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct wr_cell;
struct wr_pool;

struct wr_leave {
    struct wr_pool *pool;     /* borrowed */
    _Atomic uint64_t fd;      /* descriptor << 2 | state */
    _Atomic uint32_t changed; /* grows when an action is over; whoever ends one sleeps on it */
    _Atomic uint32_t hook;    /* state */
    _Atomic uint32_t signal;  /* state */
    bool signalled;           /* the leaver's while ACTING, then the worker's */
    pthread_t worker;         /* written before the step to RUNNING */
    void (*call)(void *user);
    void *user;
    struct wr_chore chore; /* calls the hook */
};

/* The leaver, after the step from RUNNING to LEFT. May post a chore, which holds a reference. */
void wr_leave_act(struct wr_pool *pool, struct wr_cell *cell);

/* The worker: before the step to RUNNING; before run; when run has returned. */
void wr_leave_open(struct wr_pool *pool, struct wr_cell *cell);
void wr_leave_let_in(struct wr_pool *pool);
void wr_leave_close(struct wr_pool *pool, struct wr_cell *cell);

#endif
