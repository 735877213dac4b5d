/*
 * Recording an outcome in the breaker, and judging whether it opens. See breaker.h.
 */
#include "guard/breaker_word.h"

#include "base/saturate.h"

static enum wr_recorded record_trial(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                                     const struct wr_breaker_permit *permit,
                                     struct wr_observation observation, uint64_t now_ns)
{
    const uint64_t drawn = wr_breaker_draw(breaker, rule);
    struct wr_breaker_change change;
    bool decided;

    wr_breaker_enter(breaker, &change, now_ns);
    decided = wr_breaker_settle(&breaker->locked.state, rule, permit, observation, now_ns, drawn);
    wr_breaker_leave(breaker, rule, &change);
    return decided ? WR_RECORDED : WR_RECORDED_LATE;
}

/*
 * Count failures in a row, by compare-and-swap on (epoch, count): an older epoch's result fails.
 * Returns the count after this outcome.
 */
static uint64_t count_consecutive(struct wr_breaker *breaker, uint64_t epoch, bool failure)
{
    uint64_t old = atomic_load_explicit(&breaker->consecutive, memory_order_seq_cst);

    for (;;) {
        const uint64_t row = (uint32_t)old;
        const uint64_t next = failure ? wr_min_u64(row + 1, UINT32_MAX) : 0;

        if (old >> 32U != (uint32_t)epoch || next == row) {
            return old >> 32U == (uint32_t)epoch ? row : 0;
        }
        if (atomic_compare_exchange_weak_explicit(&breaker->consecutive, &old,
                                                  (old >> 32U) << 32U | next, memory_order_seq_cst,
                                                  memory_order_seq_cst)) {
            return next;
        }
    }
}

static void judge(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                  const struct wr_window *window, uint64_t epoch, uint64_t consecutive,
                  uint64_t now_ns)
{
    struct wr_breaker_trip why = {.overdue =
                                      wr_breaker_overdue(breaker, rule, epoch, now_ns, false),
                                  .consecutive = consecutive};

    if (why.overdue == 0 && consecutive == 0 && wr_window_quiet(window, now_ns)) {
        return;
    }
    why.sum = wr_window_sum(window, now_ns);
    /* A call that has ended meanwhile is in the sum already: it must not count twice. */
    why.overdue = wr_min_u64(why.overdue, wr_breaker_overdue(breaker, rule, epoch, now_ns, false));
    why.rule = wr_breaker_judge(rule, &why.sum, why.overdue, consecutive);
    if (why.rule != WR_TRIP_NONE) {
        wr_breaker_trip_now(breaker, rule, epoch, &why, now_ns);
    }
}

/* In the window in force; *ret_window is the one that took it. */
static enum wr_recorded record_in_window(struct wr_breaker *breaker, uint64_t epoch,
                                         struct wr_observation observation, uint64_t now_ns,
                                         struct wr_window **ret_window)
{
    for (;;) {
        enum wr_recorded recorded;

        *ret_window = atomic_load_explicit(&breaker->window, memory_order_acquire);
        recorded = wr_window_record(*ret_window, epoch, now_ns, observation);
        if (recorded != WR_RECORDED_MOVED) {
            return recorded;
        }
        /* Its successor is published under this mutex. */
        wr_mutex_lock(&breaker->locked.mutex);
        wr_mutex_unlock(&breaker->locked.mutex);
    }
}

enum wr_recorded wr_breaker_record(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                                   const struct wr_breaker_permit *permit,
                                   struct wr_observation observation, uint64_t now_ns)
{
    const uint64_t word = wr_breaker_word(breaker);
    struct wr_window *window;
    enum wr_recorded recorded;
    uint64_t consecutive;

    if (permit->trial != WR_BREAKER_NO_TRIAL) {
        return record_trial(breaker, rule, permit, observation, now_ns);
    }
    if (wr_epoch_of(word) != permit->epoch) {
        return WR_RECORDED_LATE;
    }
    if (observation.neutral) {
        return WR_RECORDED;
    }
    recorded = record_in_window(breaker, permit->epoch, observation, now_ns, &window);
    if (recorded == WR_RECORDED_LATE) {
        return recorded;
    }
    /* Also while the rule is off: switched on, it judges the failures in a row that there are. */
    consecutive = count_consecutive(breaker, permit->epoch, observation.failure);
    if (wr_look_of(word) != WR_LOOK_FORCED) {
        judge(breaker, rule, window, permit->epoch, consecutive, now_ns);
    }
    return recorded;
}
