/*
 * Stopping a runtime: no new calls, an outcome for each call in flight, an end to each thread that
 * can end.
 */
#include "base/saturate.h"
#include "command/job.h"

/* In real time, whatever the runtime's clock: for work that has just been cancelled to notice and
 * for its thread to end, as long as there is another one that does; and for hooks that have just
 * been posted to be called. */
#define AFTERMATH_NS 200000000ULL
#define HOOKS_NS     1000000000ULL

static void turn_away_queued(weir_dependency *dependency, uint64_t now_ns)
{
    struct wr_cell *cell = wr_pool_close(dependency->pool);

    while (cell != NULL) {
        struct wr_cell *const next = cell->next;
        struct wr_job *const job = wr_job_of(cell);

        if (wr_job_leave(job, wr_cell_read(cell), WR_CELL_TURNED_AWAY, WR_CELL_CANCELLED, now_ns)) {
            wr_job_tell(job);
        }
        wr_job_release(job); /* the work's: it was taken off the queue */
        cell = next;
    }
}

/* A call that still has its caller loses it. A cell that is queued now is just being offered, or in
 * the hands of a worker that has not begun. */
static void cancel(struct wr_job *job, uint64_t now_ns)
{
    uint64_t word = wr_cell_read(&job->cell);

    while (wr_cell_state(word) == WR_CELL_QUEUED || wr_cell_state(word) == WR_CELL_RUNNING) {
        if (wr_job_leave(job, word, WR_CELL_TURNED_AWAY, WR_CELL_CANCELLED, now_ns)) {
            wr_job_tell(job);
            return;
        }
        word = wr_cell_read(&job->cell);
    }
}

static void cancel_running(weir_dependency *dependency, uint64_t now_ns)
{
    struct wr_cells *const cells = &dependency->pool->cells;
    const uint32_t capacity = atomic_load_explicit(&cells->capacity, memory_order_acquire);

    for (uint32_t i = 0; i < capacity; ++i) {
        cancel(wr_job_of(wr_cells_at(cells, i)), now_ns);
    }
}

static void for_each_pool(const struct wr_registry *registry,
                          void (*visit)(weir_dependency *dependency, uint64_t now_ns))
{
    for (uint32_t i = 0; i < registry->count; ++i) {
        if (registry->list[i]->pool != NULL) {
            visit(registry->list[i], wr_dependency_now(registry->list[i]));
        }
    }
}

/* Wait for all pools; returns how many threads still live. */
static uint32_t join_all(const struct wr_registry *registry, const weir_clock *clock,
                         uint64_t until_ns)
{
    uint32_t alive = 0;

    for (uint32_t i = 0; i < registry->count; ++i) {
        if (registry->list[i]->pool != NULL) {
            alive += wr_pool_join(registry->list[i]->pool, clock, until_ns);
        }
    }
    return alive;
}

static uint64_t from_now(const weir_clock *clock, uint64_t ns)
{
    return wr_sat_add(wr_clock_now(clock), ns);
}

/* Threads that need only a CPU end one after the other; what does not, stays. */
static size_t join_the_rest(const struct wr_registry *registry, size_t alive)
{
    size_t before;

    do {
        before = alive;
        alive = join_all(registry, &wr_system_clock, from_now(&wr_system_clock, AFTERMATH_NS));
    } while (alive != 0 && alive < before);
    return alive;
}

/* From here on no dependency and no queue is added, no setting changes, and every call is refused.
 */
static void refuse_calls(weir_runtime *runtime)
{
    const struct wr_registry *registry;

    wr_mutex_lock(&runtime->locked.mutex);
    runtime->locked.stopped = true;
    registry = wr_registry_of(runtime);
    for (uint32_t i = 0; i < registry->count; ++i) {
        /* Release: pairs with the acquire in wr_dependency_stops(). */
        atomic_store_explicit(&registry->list[i]->stopping, 1, memory_order_release);
    }
    wr_mutex_unlock(&runtime->locked.mutex);
}

/* Those who wait for a place or for tokens are turned away. */
static void wake_waiters(const struct wr_registry *registry, const weir_clock *clock)
{
    for (uint32_t i = 0; i < registry->count; ++i) {
        wr_bulkhead_interrupt(&registry->list[i]->bulkhead);
        wr_clock_wake(clock, &registry->list[i]->stopping, INT32_MAX);
    }
}

static size_t stop_locked(weir_runtime *runtime, uint64_t grace_ns) WR_REQUIRES(runtime->stop)
{
    const weir_clock *const clock = &runtime->host.clock;
    const uint64_t until_ns = from_now(clock, grace_ns);
    const struct wr_registry *registry;
    size_t stuck;

    refuse_calls(runtime);
    registry = wr_registry_of(runtime); /* the last one */
    wake_waiters(registry, clock);
    for_each_pool(registry, turn_away_queued);
    stuck = join_all(registry, clock, until_ns);
    if (stuck != 0) {
        for_each_pool(registry, cancel_running);
        stuck = join_the_rest(registry, stuck);
    }
    wr_timer_stop(&runtime->timer);
    stuck += wr_helper_stop(&runtime->helper, from_now(&wr_system_clock, HOOKS_NS)) ? 0 : 1;
    return stuck;
}

/* Is this a thread that stop would wait for? */
static bool is_own_thread(const weir_runtime *runtime)
{
    const struct wr_worker *const worker = wr_worker_self();

    return (worker != NULL && worker->pool->host == &runtime->host) ||
           wr_helper_is_self(&runtime->helper);
}

weir_status weir_runtime_stop(weir_runtime *runtime, uint64_t grace_ns, size_t *ret_stuck)
{
    size_t stuck;

    if (runtime == NULL) {
        return WEIR_E_ARGUMENT;
    }
    if (!wr_runtime_is_here(runtime)) {
        return WEIR_E_FORKED;
    }
    if (is_own_thread(runtime)) {
        return WEIR_E_SHAPE;
    }
    wr_mutex_lock(&runtime->stop);
    stuck = stop_locked(runtime, grace_ns);
    wr_mutex_unlock(&runtime->stop);
    if (ret_stuck != NULL) {
        *ret_stuck = stuck;
    }
    return stuck == 0 ? WEIR_OK : WEIR_E_BUSY;
}
