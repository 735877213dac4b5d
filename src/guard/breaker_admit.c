/*
 * The breaker asked for admission: one load while it is closed. See breaker.h.
 */
#include "guard/breaker_word.h"

#include "base/saturate.h"

uint64_t wr_breaker_overdue(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                            uint64_t epoch, uint64_t now_ns, bool query)
{
    const struct wr_slot_check check = {.now_ns = now_ns,
                                        .epoch = epoch,
                                        .slow_call_ns = rule->slow_call_ns,
                                        .lease_ns = UINT64_MAX};
    struct wr_slot_census census;

    if (rule->slow_rate_ppm == WR_RATE_OFF) {
        return 0;
    }
    if (query && wr_slots_check_due(breaker->slots, now_ns)) {
        wr_slots_count(breaker->slots, &check, &census);
        return census.overdue;
    }
    return wr_slots_overdue(breaker->slots, epoch);
}

/* Does the slow rate hold because of overdue calls? Then open. */
static bool overdue_trips(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                          uint64_t epoch, uint64_t now_ns, bool query)
{
    const uint64_t overdue = wr_breaker_overdue(breaker, rule, epoch, now_ns, query);
    const struct wr_window *window;
    struct wr_breaker_trip why = {.rule = WR_TRIP_SLOW_RATE, .overdue = overdue};

    if (overdue == 0) {
        return false;
    }
    window = atomic_load_explicit(&breaker->window, memory_order_acquire);
    why.sum = wr_window_sum(window, now_ns);
    /* A call that has ended meanwhile is in the sum already: it must not count twice. */
    why.overdue = wr_min_u64(overdue, wr_breaker_overdue(breaker, rule, epoch, now_ns, query));
    if (why.overdue == 0 || !wr_breaker_judge_slow(rule, &why.sum, why.overdue)) {
        return false;
    }
    if (!query) {
        wr_breaker_trip_now(breaker, rule, epoch, &why, now_ns);
    }
    return true;
}

static struct wr_breaker_answer pass(uint64_t epoch)
{
    return (struct wr_breaker_answer){.passes = true,
                                      .permit = {.epoch = epoch, .trial = WR_BREAKER_NO_TRIAL}};
}

static struct wr_breaker_answer refuse(uint64_t retry_after_ns)
{
    return (struct wr_breaker_answer){.passes = false, .retry_after_ns = retry_after_ns};
}

static bool passes_unasked(enum wr_look look)
{
    return look == WR_LOOK_PASS || look == WR_LOOK_RAMP || look == WR_LOOK_OBSERVE ||
           look == WR_LOOK_FORCED;
}

static struct wr_breaker_answer look_at_closed(struct wr_breaker *breaker,
                                               const struct wr_breaker_rule *rule, uint64_t word,
                                               uint64_t now_ns, bool query)
{
    if (overdue_trips(breaker, rule, wr_epoch_of(word), now_ns, query) &&
        wr_look_of(word) != WR_LOOK_OBSERVE) {
        const uint64_t open_for = wr_breaker_open_for(rule, 0);
        uint64_t until;

        if (query) {
            return refuse(open_for);
        }
        word = wr_breaker_pair(breaker, &until);
        if (passes_unasked(wr_look_of(word))) {
            return pass(wr_epoch_of(word)); /* somebody has closed it meanwhile */
        }
        return refuse(wr_look_of(word) == WR_LOOK_OPEN ? wr_sat_sub(until, now_ns) : 0);
    }
    if (wr_look_of(word) == WR_LOOK_RAMP && !query) {
        uint64_t until;

        (void)wr_breaker_pair(breaker, &until);
        if (now_ns < until &&
            !wr_breaker_ramp_passes(rule,
                                    wr_sat_sub(now_ns, wr_sat_sub(until, rule->recovery_ramp_ns)),
                                    wr_host_random(breaker->host))) {
            return refuse(0);
        }
    }
    return pass(wr_epoch_of(word));
}

struct wr_breaker_answer wr_breaker_look(struct wr_breaker *breaker,
                                         const struct wr_breaker_rule *rule, uint64_t now_ns,
                                         bool query)
{
    const uint64_t word = wr_breaker_word(breaker);
    uint64_t until = 0;

    switch (wr_look_of(word)) {
    case WR_LOOK_PASS:
    case WR_LOOK_RAMP:
    case WR_LOOK_OBSERVE:
        return look_at_closed(breaker, rule, word, now_ns, query);
    case WR_LOOK_OPEN:
        return wr_breaker_pair(breaker, &until) == word && now_ns < until ? refuse(until - now_ns)
                                                                          : pass(wr_epoch_of(word));
    case WR_LOOK_FULL:
        return wr_breaker_pair(breaker, &until) == word && now_ns < until ? refuse(0)
                                                                          : pass(wr_epoch_of(word));
    case WR_LOOK_FORCED_OPEN:
        return refuse(0);
    case WR_LOOK_FORCED:
    case WR_LOOK_ASK:
    case WR_LOOK_CHANGING:
    default:
        return pass(wr_epoch_of(word));
    }
}

struct wr_breaker_answer wr_breaker_take(struct wr_breaker *breaker,
                                         const struct wr_breaker_rule *rule, uint64_t now_ns)
{
    const uint64_t word = wr_breaker_word(breaker);
    struct wr_breaker_change change;
    struct wr_breaker_answer answer;
    uint64_t drawn;

    if (passes_unasked(wr_look_of(word))) {
        return pass(wr_epoch_of(word));
    }
    drawn = wr_breaker_draw(breaker, rule);
    wr_breaker_enter(breaker, &change, now_ns);
    answer = wr_breaker_ask(&breaker->locked.state, rule, now_ns, drawn);
    wr_breaker_leave(breaker, rule, &change);
    return answer;
}

void wr_breaker_begin(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                      const struct wr_breaker_permit *permit, uint64_t now_ns)
{
    struct wr_breaker_change change;

    if (permit->trial != WR_BREAKER_NO_TRIAL) {
        wr_breaker_enter(breaker, &change, now_ns);
        (void)wr_breaker_confirm(&breaker->locked.state, rule, permit, now_ns);
        wr_breaker_leave(breaker, rule, &change);
    }
}

void wr_breaker_return(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                       const struct wr_breaker_permit *permit, uint64_t now_ns)
{
    struct wr_breaker_change change;

    if (permit->trial != WR_BREAKER_NO_TRIAL) {
        wr_breaker_enter(breaker, &change, now_ns);
        wr_breaker_give_back(&breaker->locked.state, permit);
        wr_breaker_leave(breaker, rule, &change);
    }
}
