/*
 * The circuit breaker as pure functions over flat state.
 *
 * It owns no window: it judges sums that it is given. Time comes as a number, randomness as a
 * `draw` of 64 random bits that is used only where said. Every change of state is a new epoch;
 * what was admitted in an older epoch decides nothing.
 *
 *            trip rule holds                     open_for has passed (seen by the next ask)
 *   CLOSED -------------------> OPEN ------------------------------------> HALF_OPEN
 *     ^                          ^   trial_successes can no longer be reached    |  |
 *     |                          +-----------------------------------------------+  |
 *     +------------------- trial_successes are in ----------------------------------+
 *
 * An override (forced open, forced closed, observe) stands beside this machine, which is closed
 * meanwhile.
 */
#ifndef WR_POLICY_BREAKER_POLICY_H
#define WR_POLICY_BREAKER_POLICY_H

#include "policy/classify.h"
#include "policy/window_sum.h"

#include <stdbool.h>
#include <stdint.h>

#define WR_BREAKER_TRIALS_MAX 64U
#define WR_BREAKER_NO_TRIAL   UINT32_MAX
#define WR_RATE_OFF           UINT64_MAX /* failure_rate, slow_rate: rule switched off */

struct wr_breaker_rule {
    uint64_t minimum_calls;    /* at least 1 */
    uint64_t failure_rate_ppm; /* of calls, or WR_RATE_OFF */
    uint64_t slow_rate_ppm;
    uint64_t slow_call_ns;
    uint64_t consecutive_failures; /* 0: off */
    uint64_t open_for_ns;
    uint64_t open_backoff_ppm; /* at least 1,000,000 */
    uint64_t open_for_max_ns;
    uint64_t open_jitter_ppm; /* 0: none; the open time shrinks by up to this share */
    uint64_t trial_lease_ns;
    uint64_t recovery_ramp_ns; /* 0: off */
    uint32_t trial_calls;      /* 1..WR_BREAKER_TRIALS_MAX */
    uint32_t trial_successes;  /* 1..trial_calls */
};

enum wr_breaker_phase { WR_PHASE_CLOSED, WR_PHASE_OPEN, WR_PHASE_HALF_OPEN };

struct wr_breaker_trial {
    uint64_t serial;     /* 0: place free */
    uint64_t expires_ns; /* from here on the place is lost; UINT64_MAX while the call still waits */
};

struct wr_breaker_state {
    uint64_t epoch; /* from 1 */
    enum wr_breaker_phase phase;
    int32_t override;  /* WEIR_FORCE_... */
    uint64_t since_ns; /* when this phase or override began */
    uint64_t open_until_ns;
    uint64_t reopenings;  /* k: re-openings in a row */
    uint64_t serial;      /* of the last trial */
    uint32_t good_trials; /* of this half-open phase */
    uint32_t bad_trials;
    bool recovering; /* closed by trials: the recovery ramp applies */
    struct wr_breaker_trial trials[WR_BREAKER_TRIALS_MAX];
};

/* Place in an epoch that an admitted call holds. */
struct wr_breaker_permit {
    uint64_t epoch;
    uint64_t serial; /* of the trial */
    uint32_t trial;  /* index, or WR_BREAKER_NO_TRIAL */
};

enum wr_trip { WR_TRIP_NONE, WR_TRIP_FAILURE_RATE, WR_TRIP_SLOW_RATE, WR_TRIP_CONSECUTIVE };

struct wr_breaker_answer {
    bool passes;
    uint64_t retry_after_ns; /* 0: not known */
    struct wr_breaker_permit permit;
};

/* Closed, epoch 1 above the one it had (0 for a zeroed state). */
void wr_breaker_start(struct wr_breaker_state *state, uint64_t now_ns);

/* Does part/whole reach the rate? Exact. */
bool wr_breaker_reaches(uint64_t part, uint64_t whole, uint64_t rate_ppm);

/* Which trip rule holds? `overdue` counts as calls and slow, for the slow rate alone. */
enum wr_trip wr_breaker_judge(const struct wr_breaker_rule *rule, const struct wr_window_sum *sum,
                              uint64_t overdue, uint64_t consecutive);
/* The slow rate alone: what an admission judges. */
bool wr_breaker_judge_slow(const struct wr_breaker_rule *rule, const struct wr_window_sum *sum,
                           uint64_t overdue);

/* Closed to open. The caller has judged. `draw` is used if jitter is on. */
void wr_breaker_open(struct wr_breaker_state *state, const struct wr_breaker_rule *rule,
                     uint64_t now_ns, uint64_t draw);

/*
 * May a call pass? An open breaker whose time has come turns half-open; expired trial places are
 * freed. A trial's lease starts when the caller confirms it. `draw` is used during the ramp.
 */
struct wr_breaker_answer wr_breaker_ask(struct wr_breaker_state *state,
                                        const struct wr_breaker_rule *rule, uint64_t now_ns,
                                        uint64_t draw);

/* The admitted call begins to run: its trial's lease starts. False: the permit's epoch has passed.
 */
bool wr_breaker_confirm(struct wr_breaker_state *state, const struct wr_breaker_rule *rule,
                        const struct wr_breaker_permit *permit, uint64_t now_ns);

/* The call never ran: its trial place, if it has one, is free again. */
void wr_breaker_give_back(struct wr_breaker_state *state, const struct wr_breaker_permit *permit);

/* A trial's result. False: late (older epoch, or the lease had run out), it decided nothing. */
bool wr_breaker_settle(struct wr_breaker_state *state, const struct wr_breaker_rule *rule,
                       const struct wr_breaker_permit *permit, struct wr_observation observation,
                       uint64_t now_ns, uint64_t draw);

/* Change the override. False: it is in force already, nothing changed. */
bool wr_breaker_force(struct wr_breaker_state *state, int32_t override, uint64_t now_ns);

/* During the recovery ramp, `age_ns` after closing: the share of calls that pass grows from a tenth
 * to all. */
bool wr_breaker_ramp_passes(const struct wr_breaker_rule *rule, uint64_t age_ns, uint64_t draw);

/* The state as a reader sees it: WEIR_BREAKER_... (from open_until on an open one is half-open). */
uint64_t wr_breaker_view(const struct wr_breaker_state *state, uint64_t now_ns);

/* Free trial places at `now_ns`; and when the next place is lost to its lease (UINT64_MAX: never).
 */
uint32_t wr_breaker_free_trials(const struct wr_breaker_state *state,
                                const struct wr_breaker_rule *rule, uint64_t now_ns);
uint64_t wr_breaker_next_expiry(const struct wr_breaker_state *state);

/* Is a trial place held? */
bool wr_breaker_has_trial(const struct wr_breaker_state *state);

/* How long the k-th opening in a row lasts, before jitter. */
uint64_t wr_breaker_open_for(const struct wr_breaker_rule *rule, uint64_t k);

#endif
