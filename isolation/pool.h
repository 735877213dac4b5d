/*
 * A pool: worker threads, and the queue of calls that wait for one.
 *
 * Invariants, all under the pool's mutex:
 *   - a worker is parked only while the queue is empty: whoever offers a call finds either a parked
 *     worker, which is handed the cell directly and woken once, or nobody, and then queues it; a
 *     worker looks at the queue before it parks. So no call waits beside a parked worker and no
 *     wake-up can be lost.
 *   - a cell is in the queue, or with one worker, or with whoever recalled it; never in two places.
 *   - serving <= wanted in the long run: a worker that finds more serve than are wanted retires.
 * How many calls may be here is the bulkhead's business, exactly; the queue itself has no bound.
 *
 * The last parked worker is woken first (its stack and cache are warm), so that idle ones stay
 * idle.
 */
#ifndef WR_ISOLATION_POOL_H
#define WR_ISOLATION_POOL_H

#include "base/mutex.h"
#include "isolation/cells.h"
#include "isolation/discipline.h"
#include "isolation/helper.h"

#include <weir/dependency.h>

#include <pthread.h>

struct wr_pool;

/* A worker thread, from its start until it has been joined. */
struct wr_worker {
    struct wr_pool *pool;
    pthread_t thread;
    uint32_t number;
    void *state;                       /* of worker_start; the worker's own */
    _Atomic uint32_t wake;             /* WR_WAKE_...; it sleeps on this */
    struct wr_cell *given;             /* written before `wake` */
    bool retries;                      /* under the mutex: waits to try worker_start again */
    struct wr_worker *below;           /* the parked stack, under the mutex */
    struct wr_worker *previous, *next; /* one of the pool's lists, under the mutex */
};

enum { WR_WAKE_NOT, WR_WAKE_LOOK, WR_WAKE_DISMISSED };

struct wr_worker_list {
    struct wr_worker *first;
    uint32_t count;
};

struct wr_pool_ops {
    /* On a worker: a cell that was queued, with the work's reference. */
    void (*work)(void *user, struct wr_cell *cell, struct wr_worker *worker);
    /* On the timer thread: the cell in `word` should have left by now. */
    void (*expire)(void *user, struct wr_cell *cell, uint64_t word, uint64_t now_ns);
    /* Both references are gone: end what the cell owns. On the thread of the last user. */
    void (*end)(void *user, struct wr_cell *cell);
};

/* Fixed when the pool is made. */
struct wr_pool_rule {
    const char *name;
    const struct wr_pool_ops *ops;
    void *user; /* of the ops */
    size_t cell_bytes;
    size_t stack_bytes;
    int cancel_signal; /* 0: none */
    int (*worker_start)(void *user, void **ret_state);
    void (*worker_stop)(void *user, void *state);
    void *worker_user;
};

/* May change live. */
struct wr_pool_size {
    uint32_t threads;
    uint32_t replace_abandoned; /* workers beyond `threads`, one for each abandoned call */
    uint64_t worker_retry_ns;
};

struct wr_pool {
    struct wr_pool_rule rule;
    const struct wr_discipline *discipline;
    struct wr_host *host;
    struct wr_helper *helper;
    uint32_t forks; /* of the process that the threads are in */
    struct wr_cells cells;
    struct wr_pool *next_timed; /* the timer's list */
    /* Read by each submitted call, seldom written. */
    _Alignas(64) _Atomic uint64_t next_expiry_ns; /* no cell expires before; see timer.h */
    _Atomic uint32_t abandoned;                   /* written under the mutex, read by the gate */
    _Atomic uint32_t alive; /* threads; written under the mutex, waited for by stop */
    _Atomic uint64_t worker_failures;
    struct wr_chore tend; /* joins and replaces workers */
    struct {
        _Alignas(64) struct wr_mutex mutex;
        struct wr_pool_size size;
        struct wr_cell_queue queue;
        struct wr_worker *parked;
        struct wr_worker_list workers; /* alive */
        struct wr_worker_list exited;  /* to be joined */
        uint32_t serving;              /* alive and not retiring */
        uint32_t last_number;
        bool closed;   /* takes no calls any more */
        bool orphaned; /* nobody will join its threads any more */
    } locked;
};

/* A pool without threads and cells. Cannot fail. */
void wr_pool_init(struct wr_pool *pool, const struct wr_pool_rule *rule, struct wr_host *host,
                  struct wr_helper *helper);

/* Threads have been joined or abandoned. */
void wr_pool_destroy(struct wr_pool *pool);

/* Were its threads started in this process? */
bool wr_pool_is_here(const struct wr_pool *pool);

size_t wr_pool_bytes(const struct wr_pool *pool);

/*
 * Start `count` threads that wait for wr_pool_enlist() or wr_pool_dismiss(). All or none; false:
 * out of memory, or (errno EAGAIN) out of threads. *ret_system tells which.
 */
bool wr_pool_recruit(struct wr_pool *pool, uint32_t count, struct wr_worker_list *ret_recruits,
                     bool *ret_system);
void wr_pool_enlist(struct wr_pool *pool, struct wr_worker_list *recruits);
void wr_pool_dismiss(struct wr_pool *pool, struct wr_worker_list *recruits);

/* How many threads it lacks to reach this size. */
uint32_t wr_pool_lacks(struct wr_pool *pool, const struct wr_pool_size *size);

/* Idle workers that are too many retire, busy ones when their call has ended. */
void wr_pool_resize(struct wr_pool *pool, const struct wr_pool_size *size);

/* Have the helper replace workers that went while the size was changing. */
void wr_pool_top_up(struct wr_pool *pool);

/* Hand a queued cell over. False: the pool is closed, the cell is still the caller's. */
bool wr_pool_offer(struct wr_pool *pool, struct wr_cell *cell);

/* Take a cell off the queue. False: a worker has it. */
bool wr_pool_recall(struct wr_pool *pool, struct wr_cell *cell);

/* A call that runs has been left; its work has returned. */
void wr_pool_abandon(struct wr_pool *pool);
void wr_pool_come_back(struct wr_pool *pool);

/* End one reference. */
void wr_pool_release(struct wr_pool *pool, struct wr_cell *cell);

/* Take no more calls, let the workers go; returns what was queued, linked by `next`. */
struct wr_cell *wr_pool_close(struct wr_pool *pool);

/* Wait for the threads of a closed pool until `until_ns` on the host's clock or the system's, and
 * join those that have ended. Returns how many have not. */
uint32_t wr_pool_join(struct wr_pool *pool, const weir_clock *clock, uint64_t until_ns);

/* Threads that will never be joined. After this the pool's memory must stay if any is alive. */
uint32_t wr_pool_abandon_threads(struct wr_pool *pool);

/* The worker that this thread is, or NULL. */
struct wr_worker *wr_worker_self(void);

/* worker.c, for pool.c */
void *wr_worker_body(void *user);

/* pool.c, for worker.c: the next cell, or NULL: retire. */
struct wr_cell *wr_pool_next(struct wr_pool *pool, struct wr_worker *worker);
void wr_pool_quit(struct wr_pool *pool, struct wr_worker *worker);
/* May a worker without a call go? Then it no longer counts as serving. */
bool wr_pool_retires(struct wr_pool *pool);

/* worker_start has failed: false: retire; else when to try again, unless woken on `wake` before. */
bool wr_pool_retry(struct wr_pool *pool, struct wr_worker *worker, uint64_t *ret_retry_ns);

#endif
