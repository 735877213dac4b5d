/*
 * The timer thread. See timer.h.
 */
#include "isolation/timer.h"

#include "base/saturate.h"
#include "base/spawn.h"

/* Lower *moment to at most `to_ns`. False: it was as low already. */
static bool lower(_Atomic uint64_t *moment, uint64_t to_ns)
{
    uint64_t old = atomic_load_explicit(moment, memory_order_seq_cst);

    while (to_ns < old) {
        if (atomic_compare_exchange_weak_explicit(moment, &old, to_ns, memory_order_seq_cst,
                                                  memory_order_seq_cst)) {
            return true;
        }
    }
    return false;
}

static void poke(struct wr_timer *timer)
{
    (void)atomic_fetch_add_explicit(&timer->word, 1, memory_order_seq_cst);
    wr_clock_wake(timer->clock, &timer->word, 1);
}

struct expiry {
    struct wr_pool *pool;
    uint64_t now_ns;
};

static void expire(void *user, struct wr_cell *cell, uint64_t word)
{
    const struct expiry *const expiry = user;
    const struct wr_pool_rule *const rule = &expiry->pool->rule;

    rule->ops->expire(rule->user, cell, word, expiry->now_ns);
}

static void scan(struct wr_timer *timer, struct wr_pool *pool)
{
    struct expiry expiry = {.pool = pool, .now_ns = wr_clock_now(timer->clock)};

    if (expiry.now_ns < atomic_load_explicit(&pool->next_expiry_ns, memory_order_seq_cst)) {
        return;
    }
    atomic_store_explicit(&pool->next_expiry_ns, UINT64_MAX, memory_order_seq_cst);
    (void)lower(&pool->next_expiry_ns,
                wr_cells_expired(&pool->cells, expiry.now_ns, expire, &expiry));
}

static uint64_t earliest(struct wr_timer *timer)
{
    uint64_t moment = UINT64_MAX;

    /* Acquire: pairs with the release in wr_timer_add_pool(). */
    for (struct wr_pool *pool = atomic_load_explicit(&timer->pools, memory_order_acquire);
         pool != NULL; pool = pool->next_timed) {
        moment =
            wr_min_u64(moment, atomic_load_explicit(&pool->next_expiry_ns, memory_order_seq_cst));
    }
    return moment;
}

static void *timer_body(void *user)
{
    struct wr_timer *const timer = user;

    wr_spawn_settle("weir-timer");
    wr_spawn_be_punctual();
    for (;;) {
        /* Before it looks at anything: whoever pokes after this look ends the sleep below. */
        const uint32_t word = atomic_load_explicit(&timer->word, memory_order_seq_cst);
        uint64_t until_ns;

        if (atomic_load_explicit(&timer->stopping, memory_order_seq_cst) != 0) {
            return NULL;
        }
        for (struct wr_pool *pool = atomic_load_explicit(&timer->pools, memory_order_acquire);
             pool != NULL; pool = pool->next_timed) {
            scan(timer, pool);
        }
        until_ns = earliest(timer);
        atomic_store_explicit(&timer->until_ns, until_ns, memory_order_seq_cst);
        if (earliest(timer) >= until_ns) {
            (void)wr_clock_wait(timer->clock, &timer->word, word, until_ns);
        }
    }
}

void wr_timer_init(struct wr_timer *timer, const weir_clock *clock)
{
    timer->clock = clock;
    atomic_init(&timer->until_ns, UINT64_MAX);
}

bool wr_timer_start(struct wr_timer *timer)
{
    if (!timer->started) {
        timer->started = wr_spawn(&timer->thread, 0, timer_body, timer);
    }
    return timer->started;
}

void wr_timer_stop(struct wr_timer *timer)
{
    if (timer->started) {
        atomic_store_explicit(&timer->stopping, 1, memory_order_seq_cst);
        poke(timer);
        (void)pthread_join(timer->thread, NULL);
        timer->started = false;
    }
}

void wr_timer_add_pool(struct wr_timer *timer, struct wr_pool *pool)
{
    pool->next_timed = atomic_load_explicit(&timer->pools, memory_order_relaxed);
    atomic_store_explicit(&timer->pools, pool, memory_order_release);
}

void wr_timer_arm(struct wr_timer *timer, struct wr_pool *pool, struct wr_cell *cell,
                  uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX) {
        return;
    }
    atomic_store_explicit(cell->expires_ns, deadline_ns, memory_order_seq_cst);
    if (lower(&pool->next_expiry_ns, deadline_ns) &&
        deadline_ns < atomic_load_explicit(&timer->until_ns, memory_order_seq_cst)) {
        poke(timer);
    }
}
