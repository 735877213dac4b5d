/*
 * The breaker's shell. See breaker.h.
 */
#include "guard/breaker.h"

#include "base/saturate.h"

#include <weir/dependency.h>

#include <stdio.h>

/* What an admission has to do, published in the word. */
enum look {
    LOOK_PASS,       /* closed: pass; recordings are judged */
    LOOK_FORCED,     /* forced closed: pass; recordings are counted, not judged */
    LOOK_OBSERVE,    /* override observe: pass; judged, never opened */
    LOOK_RAMP,       /* closed, recovering: a share passes before `until` */
    LOOK_OPEN,       /* refuse before `until`, then ask */
    LOOK_FULL,       /* half-open, all places taken: refuse before `until`, then ask */
    LOOK_ASK,        /* half-open: ask under the mutex */
    LOOK_FORCED_OPEN /* refuse */
};

enum { LOOK_BITS = 3, LOOK_MASK = 7 };

static enum look look_of(uint64_t word)
{
    return (enum look)(word & LOOK_MASK);
}

static uint64_t epoch_of(uint64_t word)
{
    return word >> LOOK_BITS;
}

static uint64_t load_word(const struct wr_breaker *breaker)
{
    /* Acquire: pairs with the release in publish_locked(). */
    return atomic_load_explicit(&breaker->word, memory_order_acquire);
}

uint64_t wr_breaker_epoch(const struct wr_breaker *breaker)
{
    return epoch_of(load_word(breaker));
}

static enum look choose_look(const struct wr_breaker_state *state,
                             const struct wr_breaker_rule *rule, uint64_t now_ns,
                             uint64_t *ret_until)
{
    switch (state->override) {
    case WEIR_FORCE_OPEN:
        return LOOK_FORCED_OPEN;
    case WEIR_FORCE_CLOSED:
        return LOOK_FORCED;
    case WEIR_FORCE_OBSERVE:
        return LOOK_OBSERVE;
    default:
        break;
    }
    if (state->phase == WR_PHASE_OPEN) {
        *ret_until = state->open_until_ns;
        return LOOK_OPEN;
    }
    if (state->phase == WR_PHASE_CLOSED) {
        *ret_until = wr_sat_add(state->since_ns, rule->recovery_ramp_ns);
        return state->recovering && now_ns < *ret_until ? LOOK_RAMP : LOOK_PASS;
    }
    /* With no trial under way an ask must be let through whatever the places say: a live change may
     * have decided the phase. */
    *ret_until = wr_breaker_next_expiry(state);
    return wr_breaker_free_trials(state, rule, now_ns) > 0 || !wr_breaker_has_trial(state)
               ? LOOK_ASK
               : LOOK_FULL;
}

static void publish_locked(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                           uint64_t now_ns) WR_REQUIRES(breaker->locked.mutex)
{
    const struct wr_breaker_state *const state = &breaker->locked.state;
    const uint64_t old = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    uint64_t until = 0;
    const enum look look = choose_look(state, rule, now_ns, &until);

    if (epoch_of(old) != state->epoch) {
        struct wr_window *const window =
            atomic_load_explicit(&breaker->window, memory_order_relaxed);

        if (state->phase == WR_PHASE_CLOSED && window != NULL) {
            wr_window_begin_epoch(window, state->epoch);
        }
        atomic_store_explicit(&breaker->consecutive, state->epoch << 32U, memory_order_seq_cst);
        breaker->locked.would_open = false;
        wr_slots_begin_epoch(breaker->slots, state->epoch);
        (void)atomic_fetch_add_explicit(&breaker->transitions, 1, memory_order_relaxed);
    }
    if (atomic_load_explicit(&breaker->until, memory_order_relaxed) != until) {
        /* For a moment everybody has to ask under the mutex, so that no reader takes the new
         * `until` for the old look: who sees it (release, acquire) sees this word changed as well.
         */
        atomic_store_explicit(&breaker->word, epoch_of(old) << LOOK_BITS | LOOK_ASK,
                              memory_order_release);
        atomic_store_explicit(&breaker->until, until, memory_order_release);
    }
    atomic_store_explicit(&breaker->word, state->epoch << LOOK_BITS | (uint64_t)look,
                          memory_order_seq_cst);
}

void wr_breaker_init(struct wr_breaker *breaker, struct wr_slots *slots, struct wr_host *host,
                     uint64_t now_ns)
{
    breaker->slots = slots;
    breaker->host = host;
    wr_mutex_init(&breaker->locked.mutex);
    wr_breaker_start(&breaker->locked.state, now_ns);
    atomic_init(&breaker->word, breaker->locked.state.epoch << LOOK_BITS | LOOK_PASS);
    atomic_init(&breaker->consecutive, breaker->locked.state.epoch << 32U);
    wr_slots_begin_epoch(slots, breaker->locked.state.epoch);
}

void wr_breaker_destroy(struct wr_breaker *breaker)
{
    wr_window_destroy(atomic_load_explicit(&breaker->window, memory_order_relaxed));
    wr_mutex_destroy(&breaker->locked.mutex);
}

struct wr_window *wr_breaker_set_window(struct wr_breaker *breaker, struct wr_window *window)
{
    struct wr_window *old;

    wr_mutex_lock(&breaker->locked.mutex);
    old = atomic_load_explicit(&breaker->window, memory_order_relaxed);
    if (window != NULL) {
        wr_window_begin_epoch(window, breaker->locked.state.epoch);
        if (old != NULL) {
            wr_window_inherit(window, old);
        }
    }
    /* Release: readers inside their RCU section see the window complete. */
    atomic_store_explicit(&breaker->window, window, memory_order_release);
    wr_mutex_unlock(&breaker->locked.mutex);
    return old;
}

void wr_breaker_restart(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                        uint64_t now_ns)
{
    wr_mutex_lock(&breaker->locked.mutex);
    wr_breaker_start(&breaker->locked.state, now_ns);
    publish_locked(breaker, rule, now_ns);
    wr_mutex_unlock(&breaker->locked.mutex);
}

void wr_breaker_refresh(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                        uint64_t now_ns)
{
    wr_mutex_lock(&breaker->locked.mutex);
    publish_locked(breaker, rule, now_ns);
    wr_mutex_unlock(&breaker->locked.mutex);
}

/* Drawn before the mutex is taken: the host's function is foreign code. */
static uint64_t draw(struct wr_breaker *breaker, const struct wr_breaker_rule *rule)
{
    return rule->open_jitter_ppm != 0 || rule->recovery_ramp_ns != 0 ? wr_host_random(breaker->host)
                                                                     : 0;
}

/* The rule held in `epoch`: open, unless somebody was faster or an override stands. */
static void trip(struct wr_breaker *breaker, const struct wr_breaker_rule *rule, uint64_t epoch,
                 const struct wr_breaker_trip *why, uint64_t now_ns)
{
    const uint64_t drawn = draw(breaker, rule);
    struct wr_breaker_state *const state = &breaker->locked.state;

    wr_mutex_lock(&breaker->locked.mutex);
    if (state->epoch == epoch && state->phase == WR_PHASE_CLOSED) {
        if (state->override == WEIR_FORCE_AUTO) {
            wr_breaker_open(state, rule, now_ns, drawn);
            breaker->locked.trip = *why;
            (void)atomic_fetch_add_explicit(&breaker->opened, 1, memory_order_relaxed);
            publish_locked(breaker, rule, now_ns);
        } else if (state->override == WEIR_FORCE_OBSERVE && !breaker->locked.would_open) {
            breaker->locked.would_open = true;
            breaker->locked.trip = *why;
            (void)atomic_fetch_add_explicit(&breaker->would_have_opened, 1, memory_order_relaxed);
        }
    }
    wr_mutex_unlock(&breaker->locked.mutex);
}

/* How many calls of this epoch are overdue; a query counts for itself and flags nothing. */
static uint64_t overdue_now(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
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
    const uint64_t overdue = overdue_now(breaker, rule, epoch, now_ns, query);
    const struct wr_window *window;
    struct wr_breaker_trip why = {.rule = WR_TRIP_SLOW_RATE, .overdue = overdue};

    if (overdue == 0) {
        return false;
    }
    window = atomic_load_explicit(&breaker->window, memory_order_acquire);
    why.sum = wr_window_sum(window, now_ns);
    if (!wr_breaker_judge_slow(rule, &why.sum, overdue)) {
        return false;
    }
    if (!query) {
        trip(breaker, rule, epoch, &why, now_ns);
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

/* word and until that belong together. */
static uint64_t load_pair(const struct wr_breaker *breaker, uint64_t *ret_until)
{
    uint64_t word = load_word(breaker);

    for (;;) {
        uint64_t again;

        *ret_until = atomic_load_explicit(&breaker->until, memory_order_acquire);
        again = load_word(breaker);
        if (again == word) {
            return word;
        }
        word = again;
    }
}

static struct wr_breaker_answer look_at_closed(struct wr_breaker *breaker,
                                               const struct wr_breaker_rule *rule, uint64_t word,
                                               uint64_t now_ns, bool query)
{
    if (overdue_trips(breaker, rule, epoch_of(word), now_ns, query) &&
        look_of(word) != LOOK_OBSERVE) {
        const uint64_t open_for = wr_breaker_open_for(rule, 0);
        uint64_t until;

        if (query) {
            return refuse(open_for);
        }
        word = load_pair(breaker, &until);
        return look_of(word) == LOOK_OPEN ? refuse(wr_sat_sub(until, now_ns)) : refuse(0);
    }
    if (look_of(word) == LOOK_RAMP && !query) {
        uint64_t until;
        const uint64_t drawn = wr_host_random(breaker->host);

        (void)load_pair(breaker, &until);
        if (!wr_breaker_ramp_passes(
                rule, wr_sat_sub(now_ns, wr_sat_sub(until, rule->recovery_ramp_ns)), drawn)) {
            return refuse(0);
        }
    }
    return pass(epoch_of(word));
}

struct wr_breaker_answer wr_breaker_look(struct wr_breaker *breaker,
                                         const struct wr_breaker_rule *rule, uint64_t now_ns,
                                         bool query)
{
    const uint64_t word = load_word(breaker);
    uint64_t until = 0;

    switch (look_of(word)) {
    case LOOK_PASS:
    case LOOK_RAMP:
    case LOOK_OBSERVE:
        return look_at_closed(breaker, rule, word, now_ns, query);
    case LOOK_OPEN:
        return load_pair(breaker, &until) == word && now_ns < until ? refuse(until - now_ns)
                                                                    : pass(epoch_of(word));
    case LOOK_FULL:
        return load_pair(breaker, &until) == word && now_ns < until ? refuse(0)
                                                                    : pass(epoch_of(word));
    case LOOK_FORCED_OPEN:
        return refuse(0);
    case LOOK_FORCED:
    case LOOK_ASK:
    default:
        return pass(epoch_of(word));
    }
}

static bool passes_unasked(enum look look)
{
    return look == LOOK_PASS || look == LOOK_RAMP || look == LOOK_OBSERVE || look == LOOK_FORCED;
}

struct wr_breaker_answer wr_breaker_take(struct wr_breaker *breaker,
                                         const struct wr_breaker_rule *rule, uint64_t now_ns)
{
    const uint64_t word = load_word(breaker);
    struct wr_breaker_answer answer;
    uint64_t drawn;

    if (passes_unasked(look_of(word))) {
        return pass(epoch_of(word));
    }
    drawn = draw(breaker, rule);
    wr_mutex_lock(&breaker->locked.mutex);
    answer = wr_breaker_ask(&breaker->locked.state, rule, now_ns, drawn);
    publish_locked(breaker, rule, now_ns);
    wr_mutex_unlock(&breaker->locked.mutex);
    return answer;
}

void wr_breaker_begin(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                      const struct wr_breaker_permit *permit, uint64_t now_ns)
{
    if (permit->trial == WR_BREAKER_NO_TRIAL) {
        return;
    }
    wr_mutex_lock(&breaker->locked.mutex);
    (void)wr_breaker_confirm(&breaker->locked.state, rule, permit, now_ns);
    publish_locked(breaker, rule, now_ns);
    wr_mutex_unlock(&breaker->locked.mutex);
}

void wr_breaker_return(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                       const struct wr_breaker_permit *permit, uint64_t now_ns)
{
    if (permit->trial == WR_BREAKER_NO_TRIAL) {
        return;
    }
    wr_mutex_lock(&breaker->locked.mutex);
    wr_breaker_give_back(&breaker->locked.state, permit);
    publish_locked(breaker, rule, now_ns);
    wr_mutex_unlock(&breaker->locked.mutex);
}

static enum wr_recorded record_trial(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                                     const struct wr_breaker_permit *permit,
                                     struct wr_observation observation, uint64_t now_ns)
{
    const uint64_t drawn = draw(breaker, rule);
    bool decided;

    wr_mutex_lock(&breaker->locked.mutex);
    decided = wr_breaker_settle(&breaker->locked.state, rule, permit, observation, now_ns, drawn);
    if (breaker->locked.state.phase == WR_PHASE_OPEN && decided) {
        (void)atomic_fetch_add_explicit(&breaker->opened, 1, memory_order_relaxed);
    }
    publish_locked(breaker, rule, now_ns);
    wr_mutex_unlock(&breaker->locked.mutex);
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
    struct wr_breaker_trip why = {.overdue = overdue_now(breaker, rule, epoch, now_ns, false),
                                  .consecutive = consecutive};

    if (why.overdue == 0 && consecutive == 0 && wr_window_quiet(window, now_ns)) {
        return;
    }
    why.sum = wr_window_sum(window, now_ns);
    why.rule = wr_breaker_judge(rule, &why.sum, why.overdue, consecutive);
    if (why.rule != WR_TRIP_NONE) {
        trip(breaker, rule, epoch, &why, now_ns);
    }
}

enum wr_recorded wr_breaker_record(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                                   const struct wr_breaker_permit *permit,
                                   struct wr_observation observation, uint64_t now_ns)
{
    const uint64_t word = load_word(breaker);
    struct wr_window *window;
    enum wr_recorded recorded;
    uint64_t consecutive;

    if (permit->trial != WR_BREAKER_NO_TRIAL) {
        return record_trial(breaker, rule, permit, observation, now_ns);
    }
    if (epoch_of(word) != permit->epoch) {
        return WR_RECORDED_LATE;
    }
    if (observation.neutral) {
        return WR_RECORDED;
    }
    window = atomic_load_explicit(&breaker->window, memory_order_acquire);
    recorded = wr_window_record(window, permit->epoch, now_ns, observation);
    if (recorded == WR_RECORDED_LATE) {
        return recorded;
    }
    /* Also while the rule is off: switched on, it judges the failures in a row that there are. */
    consecutive = count_consecutive(breaker, permit->epoch, observation.failure);
    if (look_of(word) != LOOK_FORCED) {
        judge(breaker, rule, window, permit->epoch, consecutive, now_ns);
    }
    return recorded;
}

bool wr_breaker_override(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                         int32_t override, const char *who, const char *why, uint64_t now_ns)
{
    bool changed;

    wr_mutex_lock(&breaker->locked.mutex);
    changed = wr_breaker_force(&breaker->locked.state, override, now_ns);
    if (changed) {
        (void)snprintf(breaker->locked.who, sizeof(breaker->locked.who), "%s", who);
        (void)snprintf(breaker->locked.why, sizeof(breaker->locked.why), "%s", why);
        publish_locked(breaker, rule, now_ns);
    }
    wr_mutex_unlock(&breaker->locked.mutex);
    return changed;
}

void wr_breaker_snapshot(struct wr_breaker *breaker, struct wr_breaker_state *ret_state,
                         struct wr_breaker_trip *ret_trip, char ret_who[WR_WHO_MAX],
                         char ret_why[WR_WHY_MAX])
{
    wr_mutex_lock(&breaker->locked.mutex);
    *ret_state = breaker->locked.state;
    *ret_trip = breaker->locked.trip;
    (void)snprintf(ret_who, WR_WHO_MAX, "%s", breaker->locked.who);
    (void)snprintf(ret_why, WR_WHY_MAX, "%s", breaker->locked.why);
    wr_mutex_unlock(&breaker->locked.mutex);
}

uint64_t wr_breaker_visible(const struct wr_breaker *breaker, uint64_t now_ns)
{
    uint64_t until;

    switch (look_of(load_pair(breaker, &until))) {
    case LOOK_FORCED:
        return WEIR_BREAKER_FORCED_CLOSED;
    case LOOK_OBSERVE:
        return WEIR_BREAKER_OBSERVE;
    case LOOK_OPEN:
        return now_ns < until ? WEIR_BREAKER_OPEN : WEIR_BREAKER_HALF_OPEN;
    case LOOK_FULL:
    case LOOK_ASK:
        return WEIR_BREAKER_HALF_OPEN;
    case LOOK_FORCED_OPEN:
        return WEIR_BREAKER_FORCED_OPEN;
    case LOOK_PASS:
    case LOOK_RAMP:
    default:
        return WEIR_BREAKER_CLOSED;
    }
}
