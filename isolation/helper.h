/*
 * The helper thread of a runtime: runs what must not delay whoever notices it, one thing after the
 * other: hooks of left calls (user code), joining and replacing workers. Started with the first
 * pool; sleeps while there is nothing to do.
 */
#ifndef WR_ISOLATION_HELPER_H
#define WR_ISOLATION_HELPER_H

#include "base/clock.h"
#include "base/mutex.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Lives in whatever it is about. Posted again while it waits, it runs once. */
struct wr_chore {
    void (*run)(struct wr_chore *chore);
    struct wr_chore *next; /* under the helper's mutex */
    bool posted;           /* under the helper's mutex; cleared before run is called */
};

struct wr_helper {
    pthread_t thread;
    bool started;          /* under the runtime's mutex */
    _Atomic uint32_t word; /* grows with each post; the helper sleeps on it */
    _Atomic uint32_t gone; /* 1: the thread has ended, or is about to and touches nothing */
    struct {
        struct wr_mutex mutex;
        struct wr_chore *first, *last;
        bool stopping;
    } locked;
};

void wr_helper_init(struct wr_helper *helper);
void wr_helper_destroy(struct wr_helper *helper);

/* False: no thread to be had. */
bool wr_helper_start(struct wr_helper *helper);

/* Any thread. False: it is being stopped and takes nothing any more. */
bool wr_helper_post(struct wr_helper *helper, struct wr_chore *chore);

/* Let it finish what was posted, until `until_ns` by the system's clock. False: it has not. */
bool wr_helper_stop(struct wr_helper *helper, uint64_t until_ns);

/* A stuck helper is left to itself, with the chore that it is at; those that wait are forgotten. */
void wr_helper_abandon(struct wr_helper *helper);

/* Is this the helper thread? */
bool wr_helper_is_self(const struct wr_helper *helper);

#endif
