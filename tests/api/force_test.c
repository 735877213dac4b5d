/*
 * Overriding the breaker: forced open, forced closed, observe, auto.
 */
#include "support/world.h"

static weir_status force(struct world *world, int32_t mode)
{
    return weir_dependency_force(world->dependency, mode, "ops", "drill");
}

static uint64_t state_of(struct world *world)
{
    return world_count(world, WEIR_COUNT_BREAKER_STATE);
}

static uint64_t epoch_of(struct world *world)
{
    return world_count(world, WEIR_COUNT_BREAKER_EPOCH);
}

/* Opens after three failures in a row, for a second. */
static void open_touchy(struct world *world)
{
    world_open(world, "breaker.consecutive_failures: 3, breaker.open_for: 1s");
}

Test(force, open_refuses_every_call_and_knows_no_time_of_return)
{
    struct world world;
    weir_outcome outcome;

    open_touchy(&world);
    cr_assert_eq(force(&world, WEIR_FORCE_OPEN), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_FORCED_OPEN);
    for (int i = 0; i < 3; ++i) {
        cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_OPEN);
        cr_assert_eq(outcome.retry_after_ns, 0U);
        world_pass(&world, 3600 * SECOND);
    }
    world_close(&world);
}

Test(force, closed_counts_and_never_trips)
{
    struct world world;

    open_touchy(&world);
    cr_assert_eq(force(&world, WEIR_FORCE_CLOSED), WEIR_OK);
    world_calls(&world, WEIR_V_FAILED, 100);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_FORCED_CLOSED);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 100U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OPENED), 0U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WOULD_HAVE_OPENED), 0U);
    world_close(&world);
}

Test(force, observe_counts_never_trips_and_says_once_that_it_would_have_opened)
{
    struct world world;

    open_touchy(&world);
    cr_assert_eq(force(&world, WEIR_FORCE_OBSERVE), WEIR_OK);
    world_calls(&world, WEIR_V_FAILED, 2);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WOULD_HAVE_OPENED), 0U);
    world_calls(&world, WEIR_V_FAILED, 98);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_OBSERVE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WOULD_HAVE_OPENED), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OPENED), 0U);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    world_close(&world);
}

Test(force, a_change_of_override_starts_an_epoch_with_an_empty_window)
{
    static const int32_t modes[] = {WEIR_FORCE_CLOSED, WEIR_FORCE_OBSERVE, WEIR_FORCE_CLOSED,
                                    WEIR_FORCE_AUTO};
    struct world world;

    open_touchy(&world);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); ++i) {
        const uint64_t epoch = epoch_of(&world);

        world_calls(&world, WEIR_V_FAILED, 2);
        world_calls(&world, WEIR_V_OK, 2);
        cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 4U);
        cr_assert_eq(force(&world, modes[i]), WEIR_OK);
        cr_assert_eq(epoch_of(&world), epoch + 1);
        cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
        cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 0U);
    }
    world_close(&world);
}

Test(force, failures_in_a_row_before_an_override_are_forgotten_with_it)
{
    struct world world;

    open_touchy(&world);
    world_calls(&world, WEIR_V_FAILED, 2);
    cr_assert_eq(force(&world, WEIR_FORCE_CLOSED), WEIR_OK);
    world_calls(&world, WEIR_V_FAILED, 2);
    cr_assert_eq(force(&world, WEIR_FORCE_AUTO), WEIR_OK);
    world_calls(&world, WEIR_V_FAILED, 2);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    world_calls(&world, WEIR_V_FAILED, 1);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_OPEN);
    world_close(&world);
}

Test(force, auto_ends_an_override_and_begins_closed)
{
    static const int32_t modes[] = {WEIR_FORCE_OPEN, WEIR_FORCE_CLOSED, WEIR_FORCE_OBSERVE};
    struct world world;

    open_touchy(&world);
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); ++i) {
        cr_assert_eq(force(&world, modes[i]), WEIR_OK);
        cr_assert_eq(force(&world, WEIR_FORCE_AUTO), WEIR_OK);
        cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
        cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    }
    world_close(&world);
}

Test(force, auto_without_an_override_changes_nothing)
{
    struct world world;

    open_touchy(&world);
    world_calls(&world, WEIR_V_FAILED, 2);
    const uint64_t epoch = epoch_of(&world);
    cr_assert_eq(force(&world, WEIR_FORCE_AUTO), WEIR_OK);
    cr_assert_eq(epoch_of(&world), epoch);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 2U);
    world_close(&world);
}

Test(force, auto_does_not_close_a_breaker_that_opened_by_itself)
{
    struct world world;

    open_touchy(&world);
    world_calls(&world, WEIR_V_FAILED, 3);
    cr_assert_eq(force(&world, WEIR_FORCE_AUTO), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_OPEN);
    world_pass(&world, SECOND);
    cr_assert_eq(force(&world, WEIR_FORCE_AUTO), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_HALF_OPEN);
    world_close(&world);
}

Test(force, repeating_the_override_in_force_changes_nothing)
{
    struct world world;

    open_touchy(&world);
    cr_assert_eq(force(&world, WEIR_FORCE_CLOSED), WEIR_OK);
    world_calls(&world, WEIR_V_FAILED, 5);
    const uint64_t epoch = epoch_of(&world);
    cr_assert_eq(force(&world, WEIR_FORCE_CLOSED), WEIR_OK);
    cr_assert_eq(epoch_of(&world), epoch);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 5U);
    world_close(&world);
}

Test(force, calls_in_flight_over_a_change_count_as_late)
{
    struct world world;

    open_touchy(&world);
    weir_permit permits[2] = {begin_one(world.dependency), begin_one(world.dependency)};
    cr_assert_eq(force(&world, WEIR_FORCE_CLOSED), WEIR_OK);
    cr_assert_eq(weir_end(&permits[0], WEIR_V_FAILED, 0), WEIR_OK);
    cr_assert_eq(weir_end(&permits[1], WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LATE), 2U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_FAILED), 1U);
    world_close(&world);
}

Test(force, what_is_no_override_is_a_usage_error)
{
    static const int32_t hostile[] = {-1, WEIR_FORCE_OBSERVE + 1, INT32_MAX, INT32_MIN};
    struct world world;

    open_touchy(&world);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        cr_assert_eq(force(&world, hostile[i]), WEIR_E_ARGUMENT);
    }
    cr_assert_eq(weir_dependency_force(NULL, WEIR_FORCE_OPEN, "a", "b"), WEIR_E_ARGUMENT);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    world_close(&world);
}

Test(force, without_a_breaker_it_is_a_usage_error)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(force(&world, WEIR_FORCE_OPEN), WEIR_E_ARGUMENT);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    world_close(&world);
}

static bool explains(struct world *world, const char *part)
{
    static char text[8192];

    cr_assert_eq(weir_dependency_explain(world->dependency, NULL, text, sizeof(text)), WEIR_OK);
    return strstr(text, part) != NULL;
}

Test(force, who_and_why_are_shown_by_explain)
{
    struct world world;

    open_touchy(&world);
    cr_assert_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, "alice", "migration"),
                 WEIR_OK);
    cr_assert(explains(&world, "by \"alice\": \"migration\""));
    cr_assert(explains(&world, "forced open"));
    cr_assert_eq(weir_dependency_force(world.dependency, WEIR_FORCE_CLOSED, NULL, NULL), WEIR_OK);
    cr_assert(explains(&world, "by \"\": \"\""));
    world_close(&world);
}

Test(force, of_who_63_bytes_are_kept_and_of_why_127)
{
    char who[200];
    char why[200];
    char shown[300];
    struct world world;

    memset(who, 'w', sizeof(who) - 1);
    memset(why, 'y', sizeof(why) - 1);
    who[sizeof(who) - 1] = why[sizeof(why) - 1] = '\0';
    (void)snprintf(shown, sizeof(shown), "by \"%.63s\": \"%.127s\"", who, why);
    open_touchy(&world);
    cr_assert_eq(weir_dependency_force(world.dependency, WEIR_FORCE_OPEN, who, why), WEIR_OK);
    cr_assert(explains(&world, shown));
    world_close(&world);
}

Test(force, an_override_is_gone_when_the_breaker_was_switched_off_and_on)
{
    struct world world;

    open_touchy(&world);
    cr_assert_eq(force(&world, WEIR_FORCE_OPEN), WEIR_OK);
    cr_assert_eq(world_set(&world, "breaker", "off"), WEIR_OK);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(world_set(&world, "breaker", "on"), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    world_close(&world);
}
