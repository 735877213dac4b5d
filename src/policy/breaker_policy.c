/*
 * The breaker's state machine. See breaker_policy.h.
 */
#include "policy/breaker_policy.h"

#include "base/saturate.h"
#include "base/wide.h"

#include <weir/dependency.h>

#include <string.h>

enum { PPM = 1000000, RAMP_START_PPM = 100000 };

static void enter(struct wr_breaker_state *state, enum wr_breaker_phase phase, uint64_t now_ns)
{
    state->epoch += 1;
    state->phase = phase;
    state->since_ns = now_ns;
    state->good_trials = 0;
    state->bad_trials = 0;
    memset(state->trials, 0, sizeof(state->trials));
}

static void close_breaker(struct wr_breaker_state *state, uint64_t now_ns)
{
    enter(state, WR_PHASE_CLOSED, now_ns);
    state->reopenings = 0;
    state->recovering = false;
}

void wr_breaker_start(struct wr_breaker_state *state, uint64_t now_ns)
{
    close_breaker(state, now_ns);
    state->override = WEIR_FORCE_AUTO;
}

bool wr_breaker_reaches(uint64_t part, uint64_t whole, uint64_t rate_ppm)
{
    return rate_ppm != WR_RATE_OFF && (wr_u128)part * PPM >= (wr_u128)whole * rate_ppm;
}

bool wr_breaker_judge_slow(const struct wr_breaker_rule *rule, const struct wr_window_sum *sum,
                           uint64_t overdue)
{
    return sum->calls + overdue >= rule->minimum_calls &&
           wr_breaker_reaches(sum->slow + overdue, sum->calls + overdue, rule->slow_rate_ppm);
}

enum wr_trip wr_breaker_judge(const struct wr_breaker_rule *rule, const struct wr_window_sum *sum,
                              uint64_t overdue, uint64_t consecutive)
{
    if (rule->consecutive_failures != 0 && consecutive >= rule->consecutive_failures) {
        return WR_TRIP_CONSECUTIVE;
    }
    if (sum->calls >= rule->minimum_calls &&
        wr_breaker_reaches(sum->failures, sum->calls, rule->failure_rate_ppm)) {
        return WR_TRIP_FAILURE_RATE;
    }
    return wr_breaker_judge_slow(rule, sum, overdue) ? WR_TRIP_SLOW_RATE : WR_TRIP_NONE;
}

/*
 * open_for * backoff^k, cut to whole ns. Kept in units of 1e-18 ns while multiplying, which is
 * exact for as many steps as the factor's decimals fit into 18, and to the ns for any number of
 * them from open times of a microsecond on. Both times are at most a day, the factor at most 100.
 */
uint64_t wr_breaker_open_for(const struct wr_breaker_rule *rule, uint64_t k)
{
    const wr_u128 unit = 1000000000000000000U;
    const wr_u128 bound = rule->open_for_max_ns * unit;
    wr_u128 length = rule->open_for_ns * unit;

    if (rule->open_backoff_ppm > PPM) {
        for (uint64_t i = 0; i < k && length > 0 && length < bound; ++i) {
            length =
                length / PPM * rule->open_backoff_ppm + length % PPM * rule->open_backoff_ppm / PPM;
        }
    }
    return (uint64_t)((length < bound ? length : bound) / unit);
}

static void open_breaker(struct wr_breaker_state *state, const struct wr_breaker_rule *rule,
                         uint64_t now_ns, uint64_t draw)
{
    uint64_t length = wr_breaker_open_for(rule, state->reopenings);

    length -= wr_muldiv(wr_muldiv(length, rule->open_jitter_ppm, PPM), draw >> 32U, UINT32_MAX);
    enter(state, WR_PHASE_OPEN, now_ns);
    state->open_until_ns = wr_sat_add(now_ns, length);
}

void wr_breaker_open(struct wr_breaker_state *state, const struct wr_breaker_rule *rule,
                     uint64_t now_ns, uint64_t draw)
{
    state->reopenings = 0;
    open_breaker(state, rule, now_ns, draw);
}

static uint32_t places_used(const struct wr_breaker_state *state)
{
    uint32_t used = state->good_trials + state->bad_trials;

    for (uint32_t i = 0; i < WR_BREAKER_TRIALS_MAX; ++i) {
        used += state->trials[i].serial != 0 ? 1U : 0U;
    }
    return used;
}

static bool expired(const struct wr_breaker_trial *trial, uint64_t now_ns)
{
    return trial->serial != 0 && trial->expires_ns != UINT64_MAX && now_ns >= trial->expires_ns;
}

uint32_t wr_breaker_free_trials(const struct wr_breaker_state *state,
                                const struct wr_breaker_rule *rule, uint64_t now_ns)
{
    uint32_t used = places_used(state);

    for (uint32_t i = 0; i < WR_BREAKER_TRIALS_MAX; ++i) {
        used -= expired(&state->trials[i], now_ns) ? 1U : 0U;
    }
    return used < rule->trial_calls ? rule->trial_calls - used : 0;
}

uint64_t wr_breaker_next_expiry(const struct wr_breaker_state *state)
{
    uint64_t next = UINT64_MAX;

    for (uint32_t i = 0; i < WR_BREAKER_TRIALS_MAX; ++i) {
        if (state->trials[i].serial != 0) {
            next = wr_min_u64(next, state->trials[i].expires_ns);
        }
    }
    return next;
}

/* Close or re-open as soon as the trials have decided it. */
static void resolve(struct wr_breaker_state *state, const struct wr_breaker_rule *rule,
                    uint64_t now_ns, uint64_t draw)
{
    if (state->good_trials >= rule->trial_successes) {
        close_breaker(state, now_ns);
        state->recovering = true;
    } else if (state->bad_trials + rule->trial_successes > rule->trial_calls) {
        state->reopenings += 1;
        open_breaker(state, rule, now_ns, draw);
    }
}

bool wr_breaker_has_trial(const struct wr_breaker_state *state)
{
    return places_used(state) > state->good_trials + state->bad_trials;
}

static struct wr_breaker_answer ask_half_open(struct wr_breaker_state *state,
                                              const struct wr_breaker_rule *rule, uint64_t now_ns)
{
    uint32_t place = WR_BREAKER_NO_TRIAL;

    for (uint32_t i = 0; i < WR_BREAKER_TRIALS_MAX; ++i) {
        if (expired(&state->trials[i], now_ns)) {
            state->trials[i].serial = 0;
        }
        if (place == WR_BREAKER_NO_TRIAL && state->trials[i].serial == 0) {
            place = i;
        }
    }
    /* A live change may leave no place although nothing is decided: then one trial at a time goes
     * on, or the phase would never end. */
    if (place == WR_BREAKER_NO_TRIAL ||
        (places_used(state) >= rule->trial_calls && wr_breaker_has_trial(state))) {
        return (struct wr_breaker_answer){.passes = false};
    }
    state->serial += 1;
    state->trials[place] =
        (struct wr_breaker_trial){.serial = state->serial, .expires_ns = UINT64_MAX};
    return (struct wr_breaker_answer){
        .passes = true, .permit = {.epoch = state->epoch, .serial = state->serial, .trial = place}};
}

bool wr_breaker_ramp_passes(const struct wr_breaker_rule *rule, uint64_t age_ns, uint64_t draw)
{
    if (age_ns >= rule->recovery_ramp_ns) {
        return true;
    }
    return draw % PPM < wr_max_u64(wr_muldiv(age_ns, PPM, rule->recovery_ramp_ns), RAMP_START_PPM);
}

struct wr_breaker_answer wr_breaker_ask(struct wr_breaker_state *state,
                                        const struct wr_breaker_rule *rule, uint64_t now_ns,
                                        uint64_t draw)
{
    if (state->override == WEIR_FORCE_OPEN) {
        return (struct wr_breaker_answer){.passes = false};
    }
    if (state->phase == WR_PHASE_OPEN) {
        if (now_ns < state->open_until_ns) {
            return (struct wr_breaker_answer){.passes = false,
                                              .retry_after_ns = state->open_until_ns - now_ns};
        }
        enter(state, WR_PHASE_HALF_OPEN, now_ns);
    }
    if (state->phase == WR_PHASE_HALF_OPEN) {
        return ask_half_open(state, rule, now_ns);
    }
    return (struct wr_breaker_answer){
        .passes = !state->recovering ||
                  wr_breaker_ramp_passes(rule, wr_sat_sub(now_ns, state->since_ns), draw),
        .permit = {.epoch = state->epoch, .trial = WR_BREAKER_NO_TRIAL}};
}

static struct wr_breaker_trial *trial_of(struct wr_breaker_state *state,
                                         const struct wr_breaker_permit *permit)
{
    struct wr_breaker_trial *trial;

    if (permit->epoch != state->epoch || permit->trial >= WR_BREAKER_TRIALS_MAX) {
        return NULL;
    }
    trial = &state->trials[permit->trial];
    return trial->serial == permit->serial ? trial : NULL;
}

bool wr_breaker_confirm(struct wr_breaker_state *state, const struct wr_breaker_rule *rule,
                        const struct wr_breaker_permit *permit, uint64_t now_ns)
{
    struct wr_breaker_trial *const trial = trial_of(state, permit);

    if (trial != NULL) {
        trial->expires_ns = wr_sat_add(now_ns, rule->trial_lease_ns);
    }
    return permit->epoch == state->epoch;
}

void wr_breaker_give_back(struct wr_breaker_state *state, const struct wr_breaker_permit *permit)
{
    struct wr_breaker_trial *const trial = trial_of(state, permit);

    if (trial != NULL) {
        trial->serial = 0;
    }
}

bool wr_breaker_settle(struct wr_breaker_state *state, const struct wr_breaker_rule *rule,
                       const struct wr_breaker_permit *permit, struct wr_observation observation,
                       uint64_t now_ns, uint64_t draw)
{
    struct wr_breaker_trial *const trial = trial_of(state, permit);

    if (trial == NULL || expired(trial, now_ns)) {
        return false;
    }
    trial->serial = 0;
    if (observation.neutral) {
        return true;
    }
    if (observation.failure || observation.slow) {
        state->bad_trials += 1;
    } else {
        state->good_trials += 1;
    }
    resolve(state, rule, now_ns, draw);
    return true;
}

bool wr_breaker_force(struct wr_breaker_state *state, int32_t override, uint64_t now_ns)
{
    if (state->override == override) {
        return false;
    }
    close_breaker(state, now_ns);
    state->override = override;
    return true;
}

uint64_t wr_breaker_view(const struct wr_breaker_state *state, uint64_t now_ns)
{
    switch (state->override) {
    case WEIR_FORCE_OPEN:
        return WEIR_BREAKER_FORCED_OPEN;
    case WEIR_FORCE_CLOSED:
        return WEIR_BREAKER_FORCED_CLOSED;
    case WEIR_FORCE_OBSERVE:
        return WEIR_BREAKER_OBSERVE;
    default:
        break;
    }
    switch (state->phase) {
    case WR_PHASE_OPEN:
        return now_ns < state->open_until_ns ? WEIR_BREAKER_OPEN : WEIR_BREAKER_HALF_OPEN;
    case WR_PHASE_HALF_OPEN:
        return WEIR_BREAKER_HALF_OPEN;
    case WR_PHASE_CLOSED:
    default:
        return WEIR_BREAKER_CLOSED;
    }
}
