/*
 * mode: off and mode: observe. Observe lets every gate count and report what it would have refused,
 * and refuses nothing.
 */
#include "support/world.h"

Test(observe, mode_off_refuses_every_call)
{
    struct world world;

    world_open(&world, "mode: off");
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OFF);
    cr_assert_eq(begin_status(world.dependency), WEIR_OFF);
    cr_assert_eq(world_count(&world, WEIR_COUNT_REFUSED_OFF), 2U);
    world_close(&world);
}

/* What would have refused was counted, flagged, and refused nothing. */
static void check_observed(struct world *world, const weir_request *request, size_t would)
{
    const uint64_t before = world_count(world, would);
    weir_permit permit;
    weir_outcome outcome;

    cr_assert_eq(weir_begin(world->dependency, request, &permit, &outcome), WEIR_OK);
    cr_assert_eq(outcome.kind, WEIR_OK);
    cr_assert_eq(outcome.flags & (uint32_t)WEIR_FLAG_OBSERVED, (uint32_t)WEIR_FLAG_OBSERVED);
    cr_assert_eq(world_count(world, would), before + 1);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    for (size_t i = WEIR_COUNT_REFUSED_OPEN; i <= WEIR_COUNT_REFUSED_CELLS; ++i) {
        cr_assert_eq(world_count(world, i), 0U, "%s", weir_count_name(i));
    }
}

Test(observe, it_reports_what_the_breaker_would_have_refused)
{
    struct world world;

    world_open(&world, "mode: observe, breaker: on");
    cr_assert_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, NULL, NULL), WEIR_OK);
    check_observed(&world, NULL, WEIR_COUNT_WOULD_OPEN);
    world_close(&world);
}

Test(observe, it_reports_a_breaker_that_opened_by_its_rule)
{
    struct world world;

    world_open(&world, "mode: observe, breaker.consecutive_failures: 3");
    world_calls(&world, WEIR_V_FAILED, 3);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OPENED), 1U);
    check_observed(&world, NULL, WEIR_COUNT_WOULD_OPEN);
    world_close(&world);
}

Test(observe, it_reports_what_the_rate_limit_would_have_refused)
{
    struct world world;

    world_open(&world, "mode: observe, rate_limit.rate: 0/s");
    check_observed(&world, NULL, WEIR_COUNT_WOULD_RATE);
    world_close(&world);
}

Test(observe, it_reports_what_the_bulkhead_would_have_refused)
{
    struct world world;

    world_open(&world, "mode: observe, max_concurrent: 0");
    check_observed(&world, NULL, WEIR_COUNT_WOULD_BULKHEAD);
    world_close(&world);
}

Test(observe, it_reports_a_call_without_time)
{
    struct world world;

    world_open(&world, "mode: observe, timeout: 0ms");
    check_observed(&world, NULL, WEIR_COUNT_WOULD_DEADLINE);
    world_close(&world);
}

Test(observe, it_reports_a_cost_that_can_never_pass)
{
    const weir_request request = {WEIR_SIZED(weir_request), .cost = 1000};
    struct world world;

    world_open(&world, "mode: observe, rate_limit: on");
    check_observed(&world, &request, WEIR_COUNT_WOULD_COST);
    world_close(&world);
}

Test(observe, it_names_the_first_gate_that_would_have_refused)
{
    struct world world;

    world_open(&world, "mode: observe, rate_limit.rate: 0/s, max_concurrent: 0");
    check_observed(&world, NULL, WEIR_COUNT_WOULD_BULKHEAD);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WOULD_RATE), 0U);
    world_close(&world);
}

Test(observe, a_call_that_every_gate_admits_is_not_flagged)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "mode: observe, breaker: on, rate_limit: on");
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_OK);
    cr_assert_eq(outcome.flags, 0U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_TOKENS), 99U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 1U);
    world_close(&world);
}

Test(observe, it_never_waits)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "mode: observe, max_concurrent: 0, max_wait: 1s, rate_limit.rate: 0/s, "
                       "rate_limit.max_wait: 1s");
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_OK);
    cr_assert_eq(outcome.flags, (uint32_t)WEIR_FLAG_OBSERVED);
    world_close(&world);
}

enum { CROWD = 100 };

/* Many more calls at once than a limit of 1. */
static void open_crowd(struct world *world, weir_permit permits[CROWD])
{
    world_open(world, "mode: observe, max_concurrent: 1, timeout: 1s");
    for (size_t i = 0; i < CROWD; ++i) {
        cr_assert_eq(weir_begin(world->dependency, NULL, &permits[i], NULL), WEIR_OK);
    }
}

Test(observe, it_refuses_nothing_however_far_above_the_limit)
{
    struct world world;
    weir_permit permits[CROWD];

    open_crowd(&world, permits);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), (uint64_t)CROWD);
    cr_assert_eq(world_count(&world, WEIR_COUNT_ATTEMPTS_RUNNING), (uint64_t)CROWD);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WOULD_BULKHEAD), CROWD - 1U);
    world_check_laws(&world);
    for (size_t i = 0; i < CROWD; ++i) {
        cr_assert_eq(weir_end(&permits[i], WEIR_V_OK, 0), WEIR_OK);
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), (uint64_t)CROWD);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    world_close(&world);
}

Test(observe, a_double_end_of_a_copied_permit_above_the_limit_is_stale)
{
    struct world world;
    weir_permit permits[CROWD];
    weir_permit copies[CROWD];

    open_crowd(&world, permits);
    memcpy(copies, permits, sizeof(copies));
    for (size_t i = 0; i < CROWD; ++i) {
        cr_expect_eq(weir_end(&permits[i], WEIR_V_OK, 0), WEIR_OK);
    }
    for (size_t i = 0; i < CROWD; ++i) {
        cr_expect_eq(weir_end(&copies[i], WEIR_V_OK, 0), WEIR_E_STALE);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), (uint64_t)CROWD);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LIMIT), 1U);
    world_close(&world);
}

Test(observe, a_permit_above_the_limit_has_its_deadline_too)
{
    struct world world;
    weir_permit permits[CROWD];

    open_crowd(&world, permits);
    world_pass(&world, 400 * MS);
    for (size_t i = 0; i < CROWD; ++i) {
        cr_expect_eq(weir_permit_left_ns(&permits[i]), 600 * MS);
        cr_expect_eq(weir_end(&permits[i], WEIR_V_OK, 0), WEIR_OK);
    }
    world_close(&world);
}

Test(observe, outcomes_of_calls_above_the_limit_are_counted)
{
    struct world world;
    weir_permit permits[CROWD];

    open_crowd(&world, permits);
    for (size_t i = 0; i < CROWD; ++i) {
        cr_assert_eq(weir_end(&permits[i], WEIR_V_TIMED_OUT, 0), WEIR_OK);
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), (uint64_t)CROWD);
    world_close(&world);
}

/* ---- beyond what it follows ---- */

enum { FLOOD = 8000 };

static weir_permit flood[FLOOD];
static weir_permit copies[FLOOD];

/* More calls at once than there are slots. */
static void open_flood(struct world *world)
{
    world_open(world, "mode: observe, max_concurrent: 1, timeout: 1s");
    for (size_t i = 0; i < FLOOD; ++i) {
        cr_assert_eq(weir_begin(world->dependency, NULL, &flood[i], NULL), WEIR_OK);
    }
    memcpy(copies, flood, sizeof(copies));
}

Test(observe, beyond_its_slots_calls_are_let_through_and_counted_as_untracked)
{
    struct world world;

    open_flood(&world);
    const uint64_t untracked = world_count(&world, WEIR_COUNT_CALLS_UNTRACKED);
    cr_expect(untracked > 0 && untracked < FLOOD);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), FLOOD - untracked);
    world_check_laws(&world);
    for (size_t i = 0; i < FLOOD; ++i) {
        cr_expect_eq(weir_end(&flood[i], WEIR_V_OK, 0), WEIR_OK);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), FLOOD - untracked);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    for (size_t i = WEIR_COUNT_REFUSED_OPEN; i <= WEIR_COUNT_REFUSED_CELLS; ++i) {
        cr_expect_eq(world_count(&world, i), 0U, "%s", weir_count_name(i));
    }
    world_close(&world);
}

Test(observe, double_ends_beyond_its_slots_break_no_count)
{
    struct world world;

    open_flood(&world);
    const uint64_t untracked = world_count(&world, WEIR_COUNT_CALLS_UNTRACKED);
    for (size_t i = 0; i < FLOOD; ++i) {
        (void)weir_end(&flood[i], WEIR_V_OK, 0);
        (void)weir_end(&copies[i], WEIR_V_FAILED, 0);
    }
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OK), FLOOD - untracked);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_FAILED), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    cr_expect_eq(world_count(&world, WEIR_COUNT_LIMIT), 1U);
    cr_assert_eq(world_set(&world, "mode", "on"), WEIR_OK);
    cr_expect_eq(begin_status(world.dependency), WEIR_OK);
    world_close(&world);
}

Test(observe, an_execute_beyond_its_slots_runs_and_gives_its_value)
{
    struct world world;
    weir_outcome outcome;

    open_flood(&world);
    cr_expect_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_OK);
    cr_expect_eq(outcome.source, WEIR_BY_RUN);
    cr_expect_eq(outcome.attempts, 1U);
    cr_expect_eq(world_call_taking(&world, WEIR_V_OK, 2 * SECOND, &outcome), WEIR_OK);
    cr_expect_eq(outcome.kind, WEIR_TIMED_OUT);
    for (size_t i = 0; i < FLOOD; ++i) {
        (void)weir_end(&flood[i], WEIR_V_OK, 0);
    }
    world_close(&world);
}

Test(observe, switched_on_with_calls_above_the_limit_it_admits_again_when_below)
{
    struct world world;
    weir_permit permits[3];

    world_open(&world, "mode: observe, max_concurrent: 1");
    for (size_t i = 0; i < 3; ++i) {
        permits[i] = begin_one(world.dependency);
    }
    cr_assert_eq(world_set(&world, "mode", "on"), WEIR_OK);
    for (size_t i = 0; i < 3; ++i) {
        cr_assert_eq(begin_status(world.dependency), WEIR_BULKHEAD);
        cr_assert_eq(weir_end(&permits[i], WEIR_V_OK, 0), WEIR_OK);
    }
    cr_assert_eq(begin_status(world.dependency), WEIR_OK);
    world_close(&world);
}
