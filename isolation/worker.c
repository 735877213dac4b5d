/*
 * The life of one worker thread: make its state, take calls until there are too many workers or the
 * pool closes, end its state.
 */
#include "isolation/pool.h"

#include "base/saturate.h"
#include "base/spawn.h"

#include <stdio.h>

enum { NAME_BYTES = 96, RETRY_DOUBLINGS = 6 };

/* A plain pointer: no destructor, so it can be read at any time of a thread's life. */
static _Thread_local struct wr_worker *self;

struct wr_worker *wr_worker_self(void)
{
    return self;
}

/* Wait for the next attempt. False: the worker is to retire. */
static bool wait_to_retry(struct wr_worker *worker, uint32_t failures)
{
    struct wr_pool *const pool = worker->pool;
    const weir_clock *const clock = &pool->host->clock;
    const uint32_t doublings = failures - 1 < RETRY_DOUBLINGS ? failures - 1 : RETRY_DOUBLINGS;
    uint64_t retry_ns;
    uint64_t until_ns;

    if (!wr_pool_retry(pool, worker, &retry_ns)) {
        return false;
    }
    until_ns = wr_sat_add(wr_clock_now(clock), wr_sat_mul(retry_ns, 1ULL << doublings));
    while (atomic_load_explicit(&worker->wake, memory_order_acquire) == WR_WAKE_NOT &&
           wr_clock_wait(clock, &worker->wake, WR_WAKE_NOT, until_ns) != WEIR_WAIT_EXPIRED) {
    }
    return !wr_pool_retires(pool);
}

/* False: the worker is to retire, without a state. */
static bool start(struct wr_worker *worker)
{
    const struct wr_pool_rule *const rule = &worker->pool->rule;
    uint32_t failures = 0;

    while (rule->worker_start != NULL &&
           rule->worker_start(rule->worker_user, &worker->state) != 0) {
        worker->state = NULL;
        failures += failures < UINT32_MAX ? 1U : 0U;
        (void)atomic_fetch_add_explicit(&worker->pool->worker_failures, 1, memory_order_relaxed);
        if (!wait_to_retry(worker, failures)) {
            return false;
        }
    }
    return true;
}

void *wr_worker_body(void *user)
{
    struct wr_worker *const worker = user;
    struct wr_pool *const pool = worker->pool;
    const struct wr_pool_rule *const rule = &pool->rule;
    char name[NAME_BYTES];

    self = worker;
    (void)snprintf(name, sizeof(name), "%.10s/%u", rule->name, worker->number);
    wr_spawn_settle(name);
    if (start(worker)) {
        struct wr_cell *cell;

        while ((cell = wr_pool_next(pool, worker)) != NULL) {
            rule->ops->work(rule->user, cell, worker);
        }
        if (rule->worker_stop != NULL) {
            rule->worker_stop(rule->worker_user, worker->state);
        }
    }
    wr_pool_quit(pool, worker);
    return NULL;
}
