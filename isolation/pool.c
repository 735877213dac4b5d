/*
 * The pool's shared state: hand-off, size, end. See pool.h; the life of one worker is in worker.c.
 */
#include "isolation/pool.h"

#include "base/fork.h"
#include "base/saturate.h"
#include "base/spawn.h"

#include <stddef.h>

void wr_pool_destroy(struct wr_pool *pool)
{
    wr_cells_destroy(&pool->cells);
    wr_mutex_destroy(&pool->locked.mutex);
}

bool wr_pool_is_here(const struct wr_pool *pool)
{
    return pool->forks == wr_fork_count();
}

size_t wr_pool_bytes(const struct wr_pool *pool)
{
    return sizeof(*pool) + wr_cells_bytes(&pool->cells) +
           atomic_load_explicit(&pool->alive, memory_order_relaxed) * sizeof(struct wr_worker);
}

/* ---- lists of workers ---- */

static void list_add(struct wr_worker_list *list, struct wr_worker *worker)
{
    worker->previous = NULL;
    worker->next = list->first;
    if (list->first != NULL) {
        list->first->previous = worker;
    }
    list->first = worker;
    list->count += 1;
}

static void list_remove(struct wr_worker_list *list, struct wr_worker *worker)
{
    *(worker->previous != NULL ? &worker->previous->next : &list->first) = worker->next;
    if (worker->next != NULL) {
        worker->next->previous = worker->previous;
    }
    list->count -= 1;
}

static void wake(struct wr_worker *worker, uint32_t how)
{
    /* Release: pairs with the acquire in sleep_until_woken(); `given` is seen. The worker may be
     * gone before the system call that follows: it uses the address only. */
    atomic_store_explicit(&worker->wake, how, memory_order_release);
    wr_unpark(&worker->wake, 1);
}

static uint32_t sleep_until_woken(struct wr_worker *worker)
{
    uint32_t how;

    while ((how = atomic_load_explicit(&worker->wake, memory_order_acquire)) == WR_WAKE_NOT) {
        wr_park(&worker->wake, WR_WAKE_NOT);
    }
    return how;
}

/* ---- recruits ---- */

/* A recruit's thread waits for its first wake; a dismissed one ends at once. */
static void *recruit_body(void *user)
{
    struct wr_worker *const worker = user;

    return sleep_until_woken(worker) == WR_WAKE_DISMISSED ? NULL : wr_worker_body(worker);
}

static struct wr_worker *recruit_one(struct wr_pool *pool, bool *ret_system)
{
    struct wr_worker *const worker = wr_host_allocate(pool->host, sizeof(*worker));

    *ret_system = worker != NULL;
    if (worker == NULL) {
        return NULL;
    }
    worker->pool = pool;
    if (!wr_spawn(&worker->thread, pool->rule.stack_bytes, recruit_body, worker)) {
        wr_host_release(pool->host, worker, sizeof(*worker));
        return NULL;
    }
    return worker;
}

static void dismiss_one(struct wr_pool *pool, struct wr_worker *worker)
{
    wake(worker, WR_WAKE_DISMISSED);
    (void)pthread_join(worker->thread, NULL);
    wr_host_release(pool->host, worker, sizeof(*worker));
}

bool wr_pool_recruit(struct wr_pool *pool, uint32_t count, struct wr_worker_list *ret_recruits,
                     bool *ret_system)
{
    *ret_recruits = (struct wr_worker_list){0};
    while (ret_recruits->count < count) {
        struct wr_worker *const worker = recruit_one(pool, ret_system);

        if (worker == NULL) {
            wr_pool_dismiss(pool, ret_recruits);
            return false;
        }
        list_add(ret_recruits, worker);
    }
    return true;
}

/* False: the pool is closed. */
static bool enlist_one(struct wr_pool *pool, struct wr_worker *worker)
{
    bool closed;

    wr_mutex_lock(&pool->locked.mutex);
    closed = pool->locked.closed;
    if (!closed) {
        worker->number = pool->locked.last_number++;
        list_add(&pool->locked.workers, worker);
        pool->locked.serving += 1;
        (void)atomic_fetch_add_explicit(&pool->alive, 1, memory_order_relaxed);
    }
    wr_mutex_unlock(&pool->locked.mutex);
    return !closed;
}

void wr_pool_enlist(struct wr_pool *pool, struct wr_worker_list *recruits)
{
    while (recruits->first != NULL) {
        struct wr_worker *const worker = recruits->first;

        list_remove(recruits, worker);
        if (enlist_one(pool, worker)) {
            wake(worker, WR_WAKE_LOOK);
        } else {
            dismiss_one(pool, worker);
        }
    }
}

void wr_pool_dismiss(struct wr_pool *pool, struct wr_worker_list *recruits)
{
    while (recruits->first != NULL) {
        struct wr_worker *const worker = recruits->first;

        list_remove(recruits, worker);
        dismiss_one(pool, worker);
    }
}

/* ---- size ---- */

static uint32_t wanted_locked(const struct wr_pool *pool) WR_REQUIRES(pool->locked.mutex)
{
    const uint32_t abandoned = atomic_load_explicit(&pool->abandoned, memory_order_relaxed);

    return pool->locked.size.threads +
           (uint32_t)wr_min_u64(abandoned, pool->locked.size.replace_abandoned);
}

static bool lacks_locked(const struct wr_pool *pool) WR_REQUIRES(pool->locked.mutex)
{
    return !pool->locked.closed && pool->locked.serving < wanted_locked(pool);
}

void wr_pool_top_up(struct wr_pool *pool)
{
    bool lacks;

    wr_mutex_lock(&pool->locked.mutex);
    lacks = lacks_locked(pool);
    wr_mutex_unlock(&pool->locked.mutex);
    if (lacks) {
        (void)wr_helper_post(pool->helper, &pool->tend);
    }
}

uint32_t wr_pool_lacks(struct wr_pool *pool, const struct wr_pool_size *size)
{
    uint32_t serving;

    wr_mutex_lock(&pool->locked.mutex);
    serving = pool->locked.serving;
    wr_mutex_unlock(&pool->locked.mutex);
    return size->threads > serving ? size->threads - serving : 0;
}

/* The parked workers, to be woken without the mutex. */
static struct wr_worker *take_parked_locked(struct wr_pool *pool) WR_REQUIRES(pool->locked.mutex)
{
    struct wr_worker *const parked = pool->locked.parked;

    pool->locked.parked = NULL;
    return parked;
}

static void wake_all(struct wr_worker *parked)
{
    while (parked != NULL) {
        struct wr_worker *const below = parked->below;

        wake(parked, WR_WAKE_LOOK);
        parked = below;
    }
}

/* A worker that waits between two attempts of worker_start, told to look; NULL: none. Nobody else
 * wakes those, so it is still there while the mutex is held. */
static _Atomic uint32_t *end_retry_locked(struct wr_pool *pool) WR_REQUIRES(pool->locked.mutex)
{
    for (struct wr_worker *w = pool->locked.workers.first; w != NULL; w = w->next) {
        if (w->retries) {
            w->retries = false;
            atomic_store_explicit(&w->wake, WR_WAKE_LOOK, memory_order_release);
            return &w->wake;
        }
    }
    return NULL;
}

static void end_retries(struct wr_pool *pool)
{
    _Atomic uint32_t *word;

    do {
        wr_mutex_lock(&pool->locked.mutex);
        word = end_retry_locked(pool);
        wr_mutex_unlock(&pool->locked.mutex);
        if (word != NULL) {
            wr_clock_wake(&pool->host->clock, word, 1); /* its address only */
        }
    } while (word != NULL);
}

void wr_pool_resize(struct wr_pool *pool, const struct wr_pool_size *size)
{
    struct wr_worker *parked = NULL;
    bool surplus;

    wr_mutex_lock(&pool->locked.mutex);
    pool->locked.size = *size;
    surplus = pool->locked.serving > wanted_locked(pool);
    if (surplus) {
        parked = take_parked_locked(pool); /* each looks, and retires or parks again */
    }
    wr_mutex_unlock(&pool->locked.mutex);
    wake_all(parked);
    if (surplus) {
        end_retries(pool);
    }
}

void wr_pool_abandon(struct wr_pool *pool)
{
    wr_mutex_lock(&pool->locked.mutex);
    (void)atomic_fetch_add_explicit(&pool->abandoned, 1, memory_order_relaxed);
    wr_mutex_unlock(&pool->locked.mutex);
    wr_pool_top_up(pool);
}

void wr_pool_come_back(struct wr_pool *pool)
{
    struct wr_worker *parked = NULL;

    wr_mutex_lock(&pool->locked.mutex);
    (void)atomic_fetch_sub_explicit(&pool->abandoned, 1, memory_order_relaxed);
    if (pool->locked.serving > wanted_locked(pool)) {
        parked = take_parked_locked(pool); /* the worker that came back may be parked already */
    }
    wr_mutex_unlock(&pool->locked.mutex);
    wake_all(parked);
}

/* ---- hand-off ---- */

/* Under the mutex: may this worker go? Then it no longer counts as serving. */
static bool retires_locked(struct wr_pool *pool) WR_REQUIRES(pool->locked.mutex)
{
    const bool retires = (pool->locked.closed && pool->locked.queue.first == NULL) ||
                         pool->locked.serving > wanted_locked(pool);

    pool->locked.serving -= retires ? 1U : 0U;
    return retires;
}

bool wr_pool_offer(struct wr_pool *pool, struct wr_cell *cell)
{
    struct wr_worker *worker = NULL;
    bool closed;

    wr_mutex_lock(&pool->locked.mutex);
    closed = pool->locked.closed;
    if (!closed) {
        worker = pool->locked.parked;
        if (worker != NULL) {
            pool->locked.parked = worker->below;
            worker->given = cell;
        } else {
            pool->discipline->push(&pool->locked.queue, cell);
        }
    }
    wr_mutex_unlock(&pool->locked.mutex);
    if (worker != NULL) {
        wake(worker, WR_WAKE_LOOK);
    }
    return !closed;
}

bool wr_pool_recall(struct wr_pool *pool, struct wr_cell *cell)
{
    bool linked;

    wr_mutex_lock(&pool->locked.mutex);
    linked = cell->linked;
    if (linked) {
        pool->discipline->remove(&pool->locked.queue, cell);
    }
    wr_mutex_unlock(&pool->locked.mutex);
    return linked;
}

/* A cell; or NULL: the worker has been parked, or (*ret_retire) is to retire. */
static struct wr_cell *next_locked(struct wr_pool *pool, struct wr_worker *worker, bool *ret_retire)
    WR_REQUIRES(pool->locked.mutex)
{
    struct wr_cell *cell = NULL;

    worker->retries = false;
    *ret_retire = retires_locked(pool);
    if (!*ret_retire) {
        cell = pool->discipline->pick(&pool->locked.queue);
    }
    if (!*ret_retire && cell == NULL) {
        worker->given = NULL;
        atomic_store_explicit(&worker->wake, WR_WAKE_NOT, memory_order_relaxed);
        worker->below = pool->locked.parked;
        pool->locked.parked = worker;
    }
    return cell;
}

struct wr_cell *wr_pool_next(struct wr_pool *pool, struct wr_worker *worker)
{
    for (;;) {
        bool retire = false;
        struct wr_cell *cell;

        wr_mutex_lock(&pool->locked.mutex);
        cell = next_locked(pool, worker, &retire);
        wr_mutex_unlock(&pool->locked.mutex);
        if (cell == NULL && !retire) {
            (void)sleep_until_woken(worker);
            cell = worker->given; /* NULL: look again */
        }
        if (cell != NULL || retire) {
            return cell;
        }
    }
}

void wr_pool_release(struct wr_pool *pool, struct wr_cell *cell)
{
    /* Release: what this side did with the cell; acquire: what the other side did. */
    if (atomic_fetch_sub_explicit(&cell->references, 1, memory_order_acq_rel) == 1) {
        pool->rule.ops->end(pool->rule.user, cell);
        wr_cells_put(&pool->cells, cell);
    }
}

/* ---- the end of workers ---- */

bool wr_pool_retires(struct wr_pool *pool)
{
    bool retires;

    wr_mutex_lock(&pool->locked.mutex);
    retires = retires_locked(pool);
    wr_mutex_unlock(&pool->locked.mutex);
    return retires;
}

bool wr_pool_retry(struct wr_pool *pool, struct wr_worker *worker, uint64_t *ret_retry_ns)
{
    bool retires;

    atomic_store_explicit(&worker->wake, WR_WAKE_NOT, memory_order_relaxed);
    wr_mutex_lock(&pool->locked.mutex);
    retires = retires_locked(pool);
    worker->retries = !retires;
    *ret_retry_ns = pool->locked.size.worker_retry_ns;
    wr_mutex_unlock(&pool->locked.mutex);
    return !retires;
}

void wr_pool_quit(struct wr_pool *pool, struct wr_worker *worker)
{
    bool tend;

    wr_mutex_lock(&pool->locked.mutex);
    if (!pool->locked.orphaned) { /* else it stays with the pool, for ever */
        list_remove(&pool->locked.workers, worker);
        list_add(&pool->locked.exited, worker);
    }
    tend = !pool->locked.closed;
    /* Release: pairs with the acquire in wr_pool_join(). */
    (void)atomic_fetch_sub_explicit(&pool->alive, 1, memory_order_release);
    wr_mutex_unlock(&pool->locked.mutex);
    /* The pool stays: whoever ends it joins this thread first, or keeps the pool for ever. */
    if (tend) {
        (void)wr_helper_post(pool->helper, &pool->tend);
    }
    /* Whoever ends the pool waits on either clock. */
    wr_clock_wake(&pool->host->clock, &pool->alive, INT32_MAX);
    if (pool->host->clock.wake != wr_system_clock.wake) {
        wr_unpark(&pool->alive, INT32_MAX);
    }
}

struct wr_cell *wr_pool_close(struct wr_pool *pool)
{
    struct wr_cell *queued = NULL;
    struct wr_cell **at = &queued;
    struct wr_cell *cell;
    struct wr_worker *parked;

    wr_mutex_lock(&pool->locked.mutex);
    pool->locked.closed = true;
    while ((cell = pool->discipline->pick(&pool->locked.queue)) != NULL) {
        *at = cell;
        cell->next = NULL;
        at = &cell->next;
    }
    parked = take_parked_locked(pool);
    wr_mutex_unlock(&pool->locked.mutex);
    wake_all(parked);
    end_retries(pool);
    return queued;
}

static void join_exited(struct wr_pool *pool)
{
    struct wr_worker *worker;

    for (;;) {
        wr_mutex_lock(&pool->locked.mutex);
        worker = pool->locked.exited.first;
        if (worker != NULL) {
            list_remove(&pool->locked.exited, worker);
        }
        wr_mutex_unlock(&pool->locked.mutex);
        if (worker == NULL) {
            return;
        }
        (void)pthread_join(worker->thread, NULL);
        wr_host_release(pool->host, worker, sizeof(*worker));
    }
}

/* On the helper: join those that have gone, replace those that are stuck. */
static void tend(struct wr_chore *chore)
{
    struct wr_pool *const pool =
        (struct wr_pool *)(void *)((char *)chore - offsetof(struct wr_pool, tend));
    struct wr_worker_list recruit;
    bool system;
    bool lacks = true;

    join_exited(pool);
    while (lacks) {
        wr_mutex_lock(&pool->locked.mutex);
        lacks = lacks_locked(pool);
        wr_mutex_unlock(&pool->locked.mutex);
        /* No thread to be had: the next abandoned call asks again. */
        if (!lacks || !wr_pool_recruit(pool, 1, &recruit, &system)) {
            break;
        }
        wr_pool_enlist(pool, &recruit);
    }
}

void wr_pool_init(struct wr_pool *pool, const struct wr_pool_rule *rule, struct wr_host *host,
                  struct wr_helper *helper)
{
    pool->rule = *rule;
    pool->discipline = &wr_fifo;
    pool->host = host;
    pool->helper = helper;
    pool->forks = wr_fork_count();
    wr_cells_init(&pool->cells, host, rule->cell_bytes);
    atomic_init(&pool->next_expiry_ns, UINT64_MAX);
    wr_mutex_init(&pool->locked.mutex);
    pool->tend.run = tend;
}

uint32_t wr_pool_join(struct wr_pool *pool, const weir_clock *clock, uint64_t until_ns)
{
    uint32_t alive;

    /* Acquire: pairs with the release in wr_pool_quit(). */
    while ((alive = atomic_load_explicit(&pool->alive, memory_order_acquire)) != 0) {
        if (wr_clock_wait(clock, &pool->alive, alive, until_ns) == WEIR_WAIT_EXPIRED) {
            break;
        }
    }
    join_exited(pool);
    return alive;
}

uint32_t wr_pool_abandon_threads(struct wr_pool *pool)
{
    uint32_t alive = 0;

    wr_mutex_lock(&pool->locked.mutex);
    pool->locked.orphaned = true; /* from now on nobody joins those that still live */
    for (struct wr_worker *w = pool->locked.workers.first; w != NULL; w = w->next) {
        (void)pthread_detach(w->thread);
        alive += 1;
    }
    wr_mutex_unlock(&pool->locked.mutex);
    join_exited(pool);
    return alive;
}
