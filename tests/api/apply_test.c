/*
 * weir_runtime_apply(): all or nothing, layers, messages.
 */
#include "support/world.h"

enum { TEXT_MAX = 4096 };

/* Does explain of a key show this? */
static bool shows(weir_dependency *dependency, const char *key, const char *part)
{
    static char text[TEXT_MAX];

    cr_assert_eq(weir_dependency_explain(dependency, key, text, sizeof(text)), WEIR_OK);
    return strstr(text, part) != NULL;
}

static weir_status apply_one(struct world *world, const weir_setting *setting)
{
    return weir_runtime_apply(world->runtime, setting, 1, &world->error);
}

static weir_status set_default(struct world *world, const char *key, const char *value)
{
    return apply_one(world, &(weir_setting){.key = key, .value = value});
}

static uint64_t generation_of(struct world *world)
{
    weir_outcome outcome;

    (void)world_call_taking(world, WEIR_V_OK, 0, &outcome);
    return outcome.generation;
}

/* ---- all or nothing ---- */

Test(apply, one_bad_setting_among_many_changes_nothing)
{
    static const struct {
        const char *key, *value;
    } bad[] = {{"breaker.open_for", "5"},
               {"no_such_key", "5s"},
               {"max_concurrent", "1000001"},
               {"breaker.window.buckets", "7"},
               {"breaker.trial_successes", "2"}};
    struct world world;

    world_open(&world, "max_concurrent: 3");
    weir_dependency *const db = world_add(&world, "db", NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        const weir_setting settings[] = {
            {.key = "timeout", .value = "9s"},
            {.dependency = "db", .key = "max_concurrent", .value = "9"},
            {.dependency = "pay", .key = "max_concurrent", .value = "9"},
            {.dependency = "pay", .key = bad[i].key, .value = bad[i].value},
            {.dependency = "db", .key = "rate_limit.rate", .value = "9/s"}};

        cr_assert_eq(weir_runtime_apply(world.runtime, settings, 5, &world.error), WEIR_E_CONFIG);
        cr_assert(shows(world.dependency, "max_concurrent", "max_concurrent 3,"));
        cr_assert(shows(world.dependency, "timeout", "timeout 1s,"));
        cr_assert(shows(db, "max_concurrent", "max_concurrent 1024,"));
        cr_assert(shows(db, "rate_limit", "rate_limit off,"));
        cr_assert_eq(count_of(db, WEIR_COUNT_LIMIT), 1024U);
        cr_assert_eq(count_of(db, WEIR_COUNT_RELOADS), 0U);
        cr_assert_eq(generation_of(&world), 1U);
    }
    world_close(&world);
}

Test(apply, a_later_setting_of_the_same_key_wins)
{
    const weir_setting settings[] = {{.dependency = "pay", .key = "max_concurrent", .value = "5"},
                                     {.dependency = "pay", .key = "max_concurrent", .value = "6"}};
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_runtime_apply(world.runtime, settings, 2, &world.error), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), 6U);
    world_close(&world);
}

Test(apply, settings_are_checked_against_each_other_only_when_all_are_known)
{
    const weir_setting settings[] = {
        {.dependency = "pay", .key = "breaker.window.buckets", .value = "7"},
        {.dependency = "pay", .key = "breaker.window.span", .value = "7s"}};
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_runtime_apply(world.runtime, settings, 2, &world.error), WEIR_OK);
    world_close(&world);
}

Test(apply, nothing_to_apply_is_fine_and_changes_nothing)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_runtime_apply(world.runtime, NULL, 0, &world.error), WEIR_OK);
    cr_assert_eq(generation_of(&world), 1U);
    world_close(&world);
}

/* ---- messages ---- */

Test(apply, an_unknown_dependency_is_refused_with_the_nearest_name)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(
        apply_one(&world, &(weir_setting){.dependency = "pya", .key = "timeout", .value = "1s"}),
        WEIR_E_CONFIG);
    cr_assert(world_says(&world, "unknown dependency \"pya\""));
    cr_assert(world_says(&world, "did you mean pay?"));
    cr_assert_eq(apply_one(&world, &(weir_setting){.dependency = "something-else-entirely",
                                                   .key = "timeout",
                                                   .value = "1s"}),
                 WEIR_E_CONFIG);
    cr_assert(world_says(&world, "create it first"));
    world_close(&world);
}

Test(apply, an_unknown_key_is_refused_with_the_nearest_name)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(world_set(&world, "breaker.opn_for", "1s"), WEIR_E_CONFIG);
    cr_assert(world_says(&world, "did you mean breaker.open_for?"));
    cr_assert_eq(world_set(&world, "trial_calls", "1"), WEIR_E_CONFIG);
    cr_assert(world_says(&world, "did you mean breaker.trial_calls?"));
    cr_assert_eq(world_set(&world, "", "1"), WEIR_E_CONFIG);
    cr_assert_eq(world_set(&world, "Timeout", "1s"), WEIR_E_CONFIG);
    world_close(&world);
}

Test(apply, an_error_says_where_the_setting_was_written)
{
    const weir_setting setting = {.dependency = "pay",
                                  .key = "timeout",
                                  .value = "soon",
                                  .file = "/etc/shop/weir.yaml",
                                  .line = 12,
                                  .column = 5};
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(apply_one(&world, &setting), WEIR_E_CONFIG);
    cr_assert_str_eq(world.error.file, "/etc/shop/weir.yaml");
    cr_assert_eq(world.error.line, 12U);
    cr_assert_eq(world.error.column, 5U);
    cr_assert_eq(world_set(&world, "timeout", "soon"), WEIR_E_CONFIG);
    cr_assert_str_eq(world.error.file, "");
    cr_assert_eq(world.error.line, 0U);
    world_close(&world);
}

Test(apply, names_values_and_files_of_any_length_stay_in_bounds)
{
    static char giant[20000];
    struct world world;

    memset(giant, 'a', sizeof(giant) - 1);
    world_open(&world, NULL);
    cr_assert_eq(world_set(&world, giant, "1s"), WEIR_E_CONFIG);
    cr_assert_eq(world_set(&world, "timeout", giant), WEIR_E_CONFIG);
    cr_assert_eq(
        apply_one(
            &world,
            &(weir_setting){.dependency = giant, .key = "timeout", .value = "1s", .file = giant}),
        WEIR_E_CONFIG);
    cr_assert_lt(strlen(world.error.message), sizeof(world.error.message));
    cr_assert_eq(strlen(world.error.file), sizeof(world.error.file) - 1);
    world_close(&world);
}

Test(apply, without_runtime_settings_or_key_it_is_a_usage_error)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_runtime_apply(NULL, NULL, 0, &world.error), WEIR_E_ARGUMENT);
    cr_assert_eq(weir_runtime_apply(world.runtime, NULL, 1, &world.error), WEIR_E_ARGUMENT);
    cr_assert(world_says(&world, "give a runtime, and settings"));
    cr_assert_eq(apply_one(&world, &(weir_setting){.dependency = "pay", .value = "1s"}),
                 WEIR_E_ARGUMENT);
    cr_assert(world_says(&world, "without a key"));
    world_close(&world);
}

Test(apply, what_cannot_run_under_the_isolation_is_no_isolation)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(world_set(&world, "isolation", "thread"), WEIR_E_CONFIG);
    cr_assert(world_says(&world, "cannot change while live"));
    cr_assert_eq(world_set(&world, "isolation", "inline"), WEIR_OK);
    world_close(&world);
}

/* ---- layers ---- */

Test(apply, a_default_reaches_every_dependency_that_does_not_say_otherwise)
{
    struct world world;

    world_open(&world, "max_concurrent: 3");
    weir_dependency *const db = world_add(&world, "db", NULL);
    cr_assert_eq(set_default(&world, "max_concurrent", "7"), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), 3U);
    cr_assert_eq(count_of(db, WEIR_COUNT_LIMIT), 7U);
    cr_assert(shows(db, "max_concurrent", "from the runtime's defaults"));
    cr_assert(shows(world.dependency, "max_concurrent", "from the dependency's own settings"));
    cr_assert(shows(db, "timeout", "from the built-in default"));
    world_close(&world);
}

Test(apply, a_default_reaches_dependencies_that_are_made_later)
{
    struct world world;

    world_open_empty(&world);
    cr_assert_eq(set_default(&world, "max_concurrent", "7"), WEIR_OK);
    world.dependency = world_add(&world, "pay", NULL);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), 7U);
    world_close(&world);
}

Test(apply, no_value_goes_back_to_the_layer_below)
{
    struct world world;

    world_open(&world, "max_concurrent: 3");
    cr_assert_eq(set_default(&world, "max_concurrent", "7"), WEIR_OK);
    cr_assert_eq(world_set(&world, "max_concurrent", NULL), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), 7U);
    cr_assert_eq(set_default(&world, "max_concurrent", NULL), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), 1024U);
    world_close(&world);
}

Test(apply, a_default_that_contradicts_a_dependencys_own_setting_is_refused_by_its_name)
{
    struct world world;

    world_open(&world, "breaker.trial_calls: 4");
    (void)world_add(&world, "db", NULL);
    cr_assert_eq(set_default(&world, "breaker.trial_successes", "3"), WEIR_E_CONFIG);
    cr_assert(world_says(&world, "db: breaker.trial_successes"));
    cr_assert(shows(world.dependency, "breaker.trial_successes", "breaker.trial_successes 1,"));
    world_close(&world);
}

Test(apply, a_block_is_switched_on_by_any_key_of_the_nearest_layer_that_speaks_of_it)
{
    struct world world;

    world_open(&world, NULL);
    weir_dependency *const db = world_add(&world, "db", "breaker: off");
    cr_assert(shows(world.dependency, "breaker", "breaker off,"));
    cr_assert_eq(set_default(&world, "breaker.open_for", "2s"), WEIR_OK);
    cr_assert(shows(world.dependency, "breaker", "breaker on,"));
    cr_assert(shows(db, "breaker", "breaker off,"));
    cr_assert_eq(world_set(&world, "breaker", "off"), WEIR_OK);
    cr_assert(shows(world.dependency, "breaker", "breaker off,"));
    world_close(&world);
}

/* ---- generations ---- */

Test(apply, an_outcome_names_the_snapshot_that_its_call_began_with)
{
    struct world world;

    world_open(&world, NULL);
    for (uint64_t generation = 1; generation < 5; ++generation) {
        cr_assert_eq(generation_of(&world), generation);
        cr_assert_eq(world_count(&world, WEIR_COUNT_RELOADS), generation - 1);
        cr_assert_eq(world_set(&world, "timeout", "2s"), WEIR_OK);
    }
    world_close(&world);
}

Test(apply, a_call_in_flight_keeps_the_snapshot_and_the_deadline_it_began_with)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct caller caller = {0};

    world_open(&world, "timeout: 1s");
    caller_start(&caller, world.dependency, &gate);
    gate_await(&gate, 1);
    cr_expect_eq(world_set(&world, "timeout", "1m"), WEIR_OK);
    world_pass(&world, SECOND);
    gate_open(&gate);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(caller.outcome.generation, 1U);
    cr_expect_eq(caller.outcome.kind, WEIR_TIMED_OUT);
    world_close(&world);
}

Test(apply, only_touched_dependencies_get_a_new_snapshot)
{
    struct world world;

    world_open(&world, NULL);
    weir_dependency *const db = world_add(&world, "db", NULL);
    cr_assert_eq(world_set(&world, "timeout", "2s"), WEIR_OK);
    cr_assert_eq(count_of(db, WEIR_COUNT_RELOADS), 0U);
    cr_assert_eq(set_default(&world, "timeout", "3s"), WEIR_OK);
    cr_assert_eq(count_of(db, WEIR_COUNT_RELOADS), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_RELOADS), 2U);
    world_close(&world);
}
