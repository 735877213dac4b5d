/*
 * The breaker's shell: its life, its publication, its overrides. Admission is in breaker_admit.c,
 * recording in breaker_record.c.
 */
#include "guard/breaker_word.h"

#include "base/saturate.h"

#include <weir/dependency.h>

#include <stdio.h>

uint64_t wr_breaker_epoch(const struct wr_breaker *breaker)
{
    return wr_epoch_of(wr_breaker_word(breaker));
}

static enum wr_look choose_look(const struct wr_breaker_state *state,
                                const struct wr_breaker_rule *rule, uint64_t now_ns,
                                uint64_t *ret_until)
{
    switch (state->override) {
    case WEIR_FORCE_OPEN:
        return WR_LOOK_FORCED_OPEN;
    case WEIR_FORCE_CLOSED:
        return WR_LOOK_FORCED;
    case WEIR_FORCE_OBSERVE:
        return WR_LOOK_OBSERVE;
    default:
        break;
    }
    if (state->phase == WR_PHASE_OPEN) {
        *ret_until = state->open_until_ns;
        return WR_LOOK_OPEN;
    }
    if (state->phase == WR_PHASE_CLOSED) {
        *ret_until = wr_sat_add(state->since_ns, rule->recovery_ramp_ns);
        return state->recovering && now_ns < *ret_until ? WR_LOOK_RAMP : WR_LOOK_PASS;
    }
    /* With no trial under way an ask must be let through whatever the places say: a live change may
     * have decided the phase. */
    *ret_until = wr_breaker_next_expiry(state);
    return wr_breaker_free_trials(state, rule, now_ns) > 0 || !wr_breaker_has_trial(state)
               ? WR_LOOK_ASK
               : WR_LOOK_FULL;
}

static void publish_locked(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                           uint64_t now_ns) WR_REQUIRES(breaker->locked.mutex)
{
    const struct wr_breaker_state *const state = &breaker->locked.state;
    const uint64_t old = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    uint64_t until = 0;
    const enum wr_look look = choose_look(state, rule, now_ns, &until);

    if (wr_epoch_of(old) != state->epoch) {
        struct wr_window *const window =
            atomic_load_explicit(&breaker->window, memory_order_relaxed);

        if (state->phase == WR_PHASE_CLOSED && window != NULL) {
            wr_window_begin_epoch(window, state->epoch);
        }
        atomic_store_explicit(&breaker->consecutive, state->epoch << 32U, memory_order_seq_cst);
        breaker->locked.would_open = false;
        wr_slots_begin_epoch(breaker->slots, state->epoch);
    }
    if (atomic_load_explicit(&breaker->until, memory_order_relaxed) != until) {
        /* For a moment everybody has to ask under the mutex, so that no reader takes the new
         * `until` for the old look: who sees it (release, acquire) sees this word changed as well.
         */
        atomic_store_explicit(&breaker->word, wr_epoch_of(old) << WR_LOOK_BITS | WR_LOOK_CHANGING,
                              memory_order_release);
        atomic_store_explicit(&breaker->until, until, memory_order_release);
    }
    atomic_store_explicit(&breaker->word, state->epoch << WR_LOOK_BITS | (uint64_t)look,
                          memory_order_seq_cst);
}

void wr_breaker_enter(struct wr_breaker *breaker, struct wr_breaker_change *ret_before,
                      uint64_t now_ns)
{
    wr_mutex_lock(&breaker->locked.mutex);
    *ret_before =
        (struct wr_breaker_change){.before = wr_breaker_view(&breaker->locked.state, now_ns),
                                   .epoch = breaker->locked.state.epoch,
                                   .now_ns = now_ns};
    if (breaker->locked.state.phase == WR_PHASE_OPEN) {
        ret_before->before = WEIR_BREAKER_OPEN; /* also when its time has come */
    }
}

void wr_breaker_leave(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                      struct wr_breaker_change *before)
{
    const bool changed = before->epoch != breaker->locked.state.epoch;

    publish_locked(breaker, rule, before->now_ns);
    before->epoch = breaker->locked.state.epoch;
    before->after = wr_breaker_view(&breaker->locked.state, before->now_ns);
    if (breaker->locked.state.phase == WR_PHASE_OPEN) {
        before->after = WEIR_BREAKER_OPEN;
    }
    wr_mutex_unlock(&breaker->locked.mutex);
    if (changed && breaker->told != NULL) {
        breaker->told(breaker->user, before);
    }
}

void wr_breaker_init(struct wr_breaker *breaker, struct wr_slots *slots, struct wr_host *host,
                     wr_breaker_told *told, void *user, uint64_t now_ns)
{
    breaker->slots = slots;
    breaker->host = host;
    breaker->told = told;
    breaker->user = user;
    wr_mutex_init(&breaker->locked.mutex);
    wr_breaker_start(&breaker->locked.state, now_ns);
    atomic_init(&breaker->word, breaker->locked.state.epoch << WR_LOOK_BITS | WR_LOOK_PASS);
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
    struct wr_breaker_change change;

    wr_breaker_enter(breaker, &change, now_ns);
    wr_breaker_start(&breaker->locked.state, now_ns);
    wr_breaker_leave(breaker, rule, &change);
}

void wr_breaker_refresh(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                        uint64_t now_ns)
{
    struct wr_breaker_change change;

    wr_breaker_enter(breaker, &change, now_ns);
    wr_breaker_leave(breaker, rule, &change);
}

uint64_t wr_breaker_draw(struct wr_breaker *breaker, const struct wr_breaker_rule *rule)
{
    return rule->open_jitter_ppm != 0 || rule->recovery_ramp_ns != 0 ? wr_host_random(breaker->host)
                                                                     : 0;
}

void wr_breaker_trip_now(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                         uint64_t epoch, const struct wr_breaker_trip *why, uint64_t now_ns)
{
    const uint64_t drawn = wr_breaker_draw(breaker, rule);
    struct wr_breaker_state *const state = &breaker->locked.state;
    struct wr_breaker_change change;

    wr_breaker_enter(breaker, &change, now_ns);
    if (state->epoch == epoch && state->phase == WR_PHASE_CLOSED) {
        if (state->override == WEIR_FORCE_AUTO) {
            wr_breaker_open(state, rule, now_ns, drawn);
            breaker->locked.trip = *why;
        } else if (state->override == WEIR_FORCE_OBSERVE && !breaker->locked.would_open) {
            breaker->locked.would_open = true;
            breaker->locked.trip = *why;
            (void)atomic_fetch_add_explicit(&breaker->would_have_opened, 1, memory_order_relaxed);
        }
    }
    wr_breaker_leave(breaker, rule, &change);
}

bool wr_breaker_override(struct wr_breaker *breaker, const struct wr_breaker_rule *rule,
                         int32_t override, const char *who, const char *why, uint64_t now_ns)
{
    struct wr_breaker_change change;
    bool changed;

    wr_breaker_enter(breaker, &change, now_ns);
    changed = wr_breaker_force(&breaker->locked.state, override, now_ns);
    if (changed) {
        (void)snprintf(breaker->locked.who, sizeof(breaker->locked.who), "%s", who);
        (void)snprintf(breaker->locked.why, sizeof(breaker->locked.why), "%s", why);
    }
    wr_breaker_leave(breaker, rule, &change);
    return changed;
}

uint64_t wr_breaker_pair(const struct wr_breaker *breaker, uint64_t *ret_until)
{
    uint64_t word = wr_breaker_word(breaker);

    for (;;) {
        uint64_t again;

        *ret_until = atomic_load_explicit(&breaker->until, memory_order_acquire);
        again = wr_breaker_word(breaker);
        if (again == word && wr_look_of(word) != WR_LOOK_CHANGING) {
            return word;
        }
        word = again;
    }
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

    switch (wr_look_of(wr_breaker_pair(breaker, &until))) {
    case WR_LOOK_FORCED:
        return WEIR_BREAKER_FORCED_CLOSED;
    case WR_LOOK_OBSERVE:
        return WEIR_BREAKER_OBSERVE;
    case WR_LOOK_OPEN:
        return now_ns < until ? WEIR_BREAKER_OPEN : WEIR_BREAKER_HALF_OPEN;
    case WR_LOOK_FULL:
    case WR_LOOK_ASK:
        return WEIR_BREAKER_HALF_OPEN;
    case WR_LOOK_FORCED_OPEN:
        return WEIR_BREAKER_FORCED_OPEN;
    case WR_LOOK_PASS:
    case WR_LOOK_RAMP:
    case WR_LOOK_CHANGING:
    default:
        return WEIR_BREAKER_CLOSED;
    }
}
