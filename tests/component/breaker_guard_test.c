/*
 * The shared breaker: the published word, epochs, late results, overrides, overdue calls.
 */
#include "support/harness.h"

#include "base/rcu.h"
#include "guard/breaker.h"

#include <weir/dependency.h>
#include <weir/testing.h>

static weir_failing_allocator memory;
static struct wr_host host;
static struct wr_slots slots;
static struct wr_breaker breaker;
static struct wr_breaker_rule rule;

static const struct wr_observation good = {.failure = false};
static const struct wr_observation bad = {.failure = true};
static const struct wr_observation slow = {.slow = true};
static const struct wr_observation neutral = {.neutral = true};

/* Opens when half of at least 4 fail, for 1000 ns; one trial with a lease of 500 ns. */
static void start(void)
{
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .allocator = &memory.ops, .seed = 1};
    const struct wr_window_shape shape = {.time = {.bucket_ns = 1000, .buckets = 10}};

    weir_failing_allocator_init(&memory, 0, 0);
    memset(&slots, 0, sizeof(slots));
    memset(&breaker, 0, sizeof(breaker));
    cr_assert_eq(wr_host_init(&host, &options, NULL), WEIR_OK);
    cr_assert(wr_slots_init(&slots, 16, &host));
    wr_breaker_init(&breaker, &slots, &host, NULL, NULL, 10000);
    cr_assert_null(wr_breaker_set_window(&breaker, wr_window_create(&host, &shape, 2, 1, 10000)));
    rule = (struct wr_breaker_rule){.minimum_calls = 4,
                                    .failure_rate_ppm = 500000,
                                    .slow_rate_ppm = 500000,
                                    .slow_call_ns = 100,
                                    .open_for_ns = 1000,
                                    .open_backoff_ppm = 1000000,
                                    .open_for_max_ns = 60000,
                                    .trial_lease_ns = 500,
                                    .trial_calls = 1,
                                    .trial_successes = 1};
}

static void stop(void)
{
    wr_breaker_destroy(&breaker);
    wr_slots_destroy(&slots);
    cr_expect_eq(memory.live, 0U);
}

static struct wr_breaker_answer look(uint64_t now_ns)
{
    return wr_breaker_look(&breaker, &rule, now_ns, false);
}

static struct wr_breaker_permit take(uint64_t now_ns)
{
    const struct wr_breaker_answer answer = wr_breaker_take(&breaker, &rule, now_ns);

    cr_assert(answer.passes);
    wr_breaker_begin(&breaker, &rule, &answer.permit, now_ns);
    return answer.permit;
}

static enum wr_recorded record(struct wr_breaker_permit permit, struct wr_observation observation,
                               uint64_t now_ns)
{
    enum wr_recorded recorded;

    wr_rcu_enter();
    recorded = wr_breaker_record(&breaker, &rule, &permit, observation, now_ns);
    wr_rcu_leave();
    return recorded;
}

static void record_many(struct wr_observation observation, int count, uint64_t now_ns)
{
    for (int i = 0; i < count; ++i) {
        cr_assert_eq(record(take(now_ns), observation, now_ns), WR_RECORDED);
    }
}

static uint64_t seen(uint64_t now_ns)
{
    return wr_breaker_visible(&breaker, now_ns);
}

static bool force(int32_t mode)
{
    return wr_breaker_override(&breaker, &rule, mode, "who", "why", 20000);
}

static struct wr_window_sum window_at(uint64_t now_ns)
{
    return wr_window_sum(atomic_load(&breaker.window), now_ns);
}

/* ---- the word ---- */

Test(breaker_guard, closed_it_passes_everybody_and_writes_nothing)
{
    start();
    const uint64_t word = atomic_load(&breaker.word);
    for (int i = 0; i < 100; ++i) {
        cr_assert(look(10000).passes);
        (void)take(10000);
    }
    cr_assert_eq(atomic_load(&breaker.word), word);
    cr_assert_eq(seen(10000), (uint64_t)WEIR_BREAKER_CLOSED);
    stop();
}

Test(breaker_guard, it_is_open_when_the_recording_that_reached_the_threshold_has_returned)
{
    start();
    record_many(good, 2, 10000);
    record_many(bad, 1, 10000);
    cr_assert_eq(seen(10000), (uint64_t)WEIR_BREAKER_CLOSED);
    record_many(bad, 1, 10000);
    cr_assert_eq(seen(10000), (uint64_t)WEIR_BREAKER_OPEN);
    stop();
}

Test(breaker_guard, open_it_refuses_with_the_time_left_and_from_exactly_its_end_asks)
{
    start();
    record_many(bad, 4, 10000);
    cr_assert_not(look(10000).passes);
    cr_assert_eq(look(10000).retry_after_ns, 1000U);
    cr_assert_eq(look(10999).retry_after_ns, 1U);
    cr_assert(look(11000).passes);
    cr_assert_eq(seen(10999), (uint64_t)WEIR_BREAKER_OPEN);
    cr_assert_eq(seen(11000), (uint64_t)WEIR_BREAKER_HALF_OPEN);
    stop();
}

Test(breaker_guard, opening_keeps_the_window_visible_and_closing_empties_it)
{
    start();
    record_many(bad, 4, 10000);
    cr_assert_eq(window_at(10000).failures, 4U);
    cr_assert_eq(record(take(11000), good, 11000), WR_RECORDED);
    cr_assert_eq(seen(11000), (uint64_t)WEIR_BREAKER_CLOSED);
    cr_assert_eq(window_at(11000).calls, 0U);
    stop();
}

Test(breaker_guard, each_change_of_state_is_a_new_epoch)
{
    start();
    cr_assert_eq(wr_breaker_epoch(&breaker), 1U);
    record_many(bad, 4, 10000);
    cr_assert_eq(wr_breaker_epoch(&breaker), 2U);
    const struct wr_breaker_permit trial = take(11000);
    cr_assert_eq(wr_breaker_epoch(&breaker), 3U);
    cr_assert_eq(record(trial, good, 11000), WR_RECORDED);
    cr_assert_eq(wr_breaker_epoch(&breaker), 4U);
    stop();
}

Test(breaker_guard, with_all_trials_out_it_refuses_until_the_first_lease_ends)
{
    start();
    record_many(bad, 4, 10000);
    (void)take(11000);
    cr_assert_not(look(11499).passes);
    cr_assert(look(11500).passes);
    (void)take(11500);
    cr_assert_not(look(11999).passes);
    stop();
}

Test(breaker_guard, a_trial_returned_unused_lets_the_next_one_in)
{
    start();
    record_many(bad, 4, 10000);
    const struct wr_breaker_permit trial = take(11000);
    cr_assert_not(look(11001).passes);
    wr_breaker_return(&breaker, &rule, &trial, 11001);
    cr_assert(look(11001).passes);
    cr_assert(wr_breaker_take(&breaker, &rule, 11001).passes);
    stop();
}

Test(breaker_guard, a_trial_that_still_waits_has_no_lease_yet)
{
    start();
    record_many(bad, 4, 10000);
    const struct wr_breaker_answer trial = wr_breaker_take(&breaker, &rule, 11000);
    cr_assert_not(look(90000).passes);
    wr_breaker_begin(&breaker, &rule, &trial.permit, 90000);
    cr_assert_not(look(90499).passes);
    cr_assert(look(90500).passes);
    stop();
}

Test(breaker_guard, a_query_changes_nothing_in_any_state)
{
    start();
    for (int phase = 0; phase < 3; ++phase) {
        const uint64_t now = phase == 0 ? 10000 : 11000;
        const uint64_t word = atomic_load(&breaker.word);

        for (int i = 0; i < 100; ++i) {
            (void)wr_breaker_look(&breaker, &rule, now, true);
            (void)seen(now);
        }
        cr_assert_eq(atomic_load(&breaker.word), word);
        if (phase == 0) {
            record_many(bad, 4, 10000);
        } else if (phase == 1) {
            (void)take(11000);
        }
    }
    stop();
}

/* ---- late results ---- */

Test(breaker_guard, results_of_older_epochs_are_late_and_decide_nothing)
{
    start();
    const struct wr_breaker_permit first = take(10000);
    record_many(bad, 4, 10000);
    cr_assert_eq(record(first, bad, 10001), WR_RECORDED_LATE);
    const struct wr_breaker_permit trial = take(11000);
    cr_assert_eq(record(first, good, 11000), WR_RECORDED_LATE);
    cr_assert_eq(seen(11000), (uint64_t)WEIR_BREAKER_HALF_OPEN);
    cr_assert_eq(record(trial, good, 11000), WR_RECORDED);
    cr_assert_eq(record(first, bad, 11000), WR_RECORDED_LATE);
    cr_assert_eq(record(trial, bad, 11000), WR_RECORDED_LATE);
    cr_assert_eq(window_at(11000).calls, 0U);
    stop();
}

Test(breaker_guard, late_results_leave_the_failures_in_a_row)
{
    start();
    rule.consecutive_failures = 2;
    rule.minimum_calls = 100;
    const struct wr_breaker_permit old = take(10000);
    cr_assert(force(WEIR_FORCE_CLOSED));
    cr_assert(force(WEIR_FORCE_AUTO));
    record_many(bad, 1, 20000);
    cr_assert_eq(record(old, good, 20000), WR_RECORDED_LATE);
    record_many(bad, 1, 20000);
    cr_assert_eq(seen(20000), (uint64_t)WEIR_BREAKER_OPEN);
    stop();
}

Test(breaker_guard, ok_resets_the_failures_in_a_row_and_neutral_leaves_them)
{
    start();
    rule.consecutive_failures = 3;
    rule.minimum_calls = 100;
    record_many(bad, 2, 10000);
    record_many(good, 1, 10000);
    record_many(bad, 2, 10000);
    record_many(neutral, 5, 10000);
    cr_assert_eq(seen(10000), (uint64_t)WEIR_BREAKER_CLOSED);
    record_many(bad, 1, 10000);
    cr_assert_eq(seen(10000), (uint64_t)WEIR_BREAKER_OPEN);
    stop();
}

Test(breaker_guard, neutral_outcomes_are_not_in_the_window)
{
    start();
    record_many(neutral, 10, 10000);
    cr_assert_eq(window_at(10000).calls, 0U);
    stop();
}

/* ---- overrides ---- */

Test(breaker_guard, from_any_override_to_any_other_it_is_a_new_epoch_with_an_empty_window)
{
    for (int32_t from = WEIR_FORCE_AUTO; from <= WEIR_FORCE_OBSERVE; ++from) {
        for (int32_t to = WEIR_FORCE_AUTO; to <= WEIR_FORCE_OBSERVE; ++to) {
            start();
            cr_assert_eq(force(from), from != WEIR_FORCE_AUTO);
            if (from != WEIR_FORCE_OPEN) {
                record_many(bad, 1, 20000);
            }
            const uint64_t epoch = wr_breaker_epoch(&breaker);
            const uint64_t calls = window_at(20000).calls;

            cr_assert_eq(force(to), from != to);
            cr_assert_eq(wr_breaker_epoch(&breaker), from != to ? epoch + 1 : epoch);
            cr_assert_eq(window_at(20000).calls, from != to ? 0 : calls);
            stop();
        }
    }
}

Test(breaker_guard, forced_closed_counts_and_never_trips)
{
    start();
    rule.consecutive_failures = 1;
    cr_assert(force(WEIR_FORCE_CLOSED));
    record_many(bad, 100, 20000);
    cr_assert_eq(window_at(20000).failures, 100U);
    cr_assert_eq(seen(20000), (uint64_t)WEIR_BREAKER_FORCED_CLOSED);
    stop();
}

Test(breaker_guard, what_was_counted_under_forced_closed_trips_nothing_afterwards)
{
    start();
    cr_assert(force(WEIR_FORCE_CLOSED));
    record_many(bad, 100, 20000);
    cr_assert(force(WEIR_FORCE_AUTO));
    record_many(bad, 3, 20000);
    cr_assert_eq(seen(20000), (uint64_t)WEIR_BREAKER_CLOSED);
    record_many(bad, 1, 20000);
    cr_assert_eq(seen(20000), (uint64_t)WEIR_BREAKER_OPEN);
    stop();
}

Test(breaker_guard, observe_says_once_an_epoch_that_it_would_have_opened)
{
    start();
    cr_assert(force(WEIR_FORCE_OBSERVE));
    record_many(bad, 3, 20000);
    cr_assert_eq(atomic_load(&breaker.would_have_opened), 0U);
    record_many(bad, 20, 20000);
    cr_assert_eq(atomic_load(&breaker.would_have_opened), 1U);
    cr_assert_eq(seen(20000), (uint64_t)WEIR_BREAKER_OBSERVE);
    cr_assert(force(WEIR_FORCE_AUTO));
    cr_assert(force(WEIR_FORCE_OBSERVE));
    record_many(bad, 4, 20000);
    cr_assert_eq(atomic_load(&breaker.would_have_opened), 2U);
    stop();
}

Test(breaker_guard, who_and_why_are_kept_and_cut)
{
    static char giant[1000];
    struct wr_breaker_state state;
    struct wr_breaker_trip trip;
    char who[WR_WHO_MAX];
    char why[WR_WHY_MAX];

    memset(giant, 'x', sizeof(giant) - 1);
    start();
    cr_assert(wr_breaker_override(&breaker, &rule, WEIR_FORCE_OPEN, giant, giant, 20000));
    wr_breaker_snapshot(&breaker, &state, &trip, who, why);
    cr_assert_eq(strlen(who), WR_WHO_MAX - 1U);
    cr_assert_eq(strlen(why), WR_WHY_MAX - 1U);
    cr_assert_eq(state.override, (int32_t)WEIR_FORCE_OPEN);
    stop();
}

/* ---- slow and overdue ---- */

static void hold_overdue(uint32_t *ret_index, uint64_t *ret_generation, uint64_t epoch)
{
    cr_assert(wr_slots_claim(&slots, ret_index, ret_generation));
    wr_slots_hold(&slots, *ret_index, *ret_generation,
                  &(struct wr_slot_data){.start_ns = 10000, .epoch = epoch});
}

static void check_slots(uint64_t now_ns)
{
    wr_slots_check_soon(&slots);
    (void)wr_slots_check(&slots, &(struct wr_slot_check){.now_ns = now_ns,
                                                         .epoch = wr_breaker_epoch(&breaker),
                                                         .slow_call_ns = rule.slow_call_ns,
                                                         .lease_ns = UINT64_MAX});
}

Test(breaker_guard, slow_outcomes_open_it)
{
    start();
    record_many(good, 2, 10000);
    record_many(slow, 2, 10000);
    cr_assert_eq(seen(10000), (uint64_t)WEIR_BREAKER_OPEN);
    stop();
}

Test(breaker_guard, overdue_calls_open_it_at_an_admission)
{
    uint32_t index[4];
    uint64_t generation[4];

    start();
    for (size_t i = 0; i < 4; ++i) {
        hold_overdue(&index[i], &generation[i], 1);
    }
    check_slots(10100);
    cr_assert(look(10100).passes);
    check_slots(10101);
    cr_assert_not(look(10101).passes);
    cr_assert_eq(seen(10101), (uint64_t)WEIR_BREAKER_OPEN);
    cr_assert_eq(window_at(10101).calls, 0U);
    stop();
}

Test(breaker_guard, overdue_calls_of_an_older_epoch_open_nothing)
{
    uint32_t index[4];
    uint64_t generation[4];

    start();
    for (size_t i = 0; i < 4; ++i) {
        hold_overdue(&index[i], &generation[i], 1);
    }
    cr_assert(force(WEIR_FORCE_CLOSED));
    cr_assert(force(WEIR_FORCE_AUTO));
    check_slots(30000);
    cr_assert(look(30000).passes);
    stop();
}

Test(breaker_guard, with_the_slow_rate_off_nobody_is_overdue)
{
    uint32_t index[4];
    uint64_t generation[4];

    start();
    for (size_t i = 0; i < 4; ++i) {
        hold_overdue(&index[i], &generation[i], 1);
    }
    check_slots(30000);
    rule.slow_rate_ppm = WR_RATE_OFF;
    cr_assert(look(30000).passes);
    record_many(slow, 10, 30000);
    cr_assert_eq(seen(30000), (uint64_t)WEIR_BREAKER_CLOSED);
    stop();
}

/* ---- windows and restarts ---- */

Test(breaker_guard, a_new_window_counts_for_the_epoch_in_force)
{
    const struct wr_window_shape shape = {.time = {.bucket_ns = 500, .buckets = 4}};

    start();
    cr_assert(force(WEIR_FORCE_CLOSED));
    cr_assert(force(WEIR_FORCE_AUTO));
    const struct wr_breaker_permit permit = take(20000);
    wr_window_destroy(
        wr_breaker_set_window(&breaker, wr_window_create(&host, &shape, 2, 1, 20000)));
    cr_assert_eq(record(permit, bad, 20000), WR_RECORDED);
    cr_assert_eq(window_at(20000).failures, 1U);
    stop();
}

Test(breaker_guard, a_restart_begins_closed_in_a_new_epoch)
{
    start();
    record_many(bad, 4, 10000);
    wr_breaker_restart(&breaker, &rule, 10000);
    cr_assert_eq(seen(10000), (uint64_t)WEIR_BREAKER_CLOSED);
    cr_assert_eq(wr_breaker_epoch(&breaker), 3U);
    cr_assert_eq(window_at(10000).calls, 0U);
    stop();
}
