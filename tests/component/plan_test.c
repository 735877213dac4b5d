/*
 * Layers of settings and the plan that they make: origins, blocks on and off, contradictions.
 */
#include "support/harness.h"

#include "command/plan.h"

static struct wr_layer defaults;
static struct wr_layer own;
static struct wr_plan plan;
static weir_error error;

static void start(const char *default_settings, const char *own_settings)
{
    memset(&defaults, 0, sizeof(defaults));
    memset(&own, 0, sizeof(own));
    cr_assert_eq(wr_layer_parse(&defaults, default_settings, &error), WEIR_OK);
    cr_assert_eq(wr_layer_parse(&own, own_settings, &error), WEIR_OK);
}

static void make(const char *default_settings, const char *own_settings)
{
    start(default_settings, own_settings);
    cr_assert_eq(wr_plan_make(&plan, &defaults, &own, "pay", &error), WEIR_OK, "%s", error.message);
}

static bool refused(const char *default_settings, const char *own_settings, const char *says)
{
    start(default_settings, own_settings);
    return wr_plan_make(&plan, &defaults, &own, "pay", &error) == WEIR_E_CONFIG &&
           strstr(error.message, "pay: ") != NULL && strstr(error.message, says) != NULL;
}

Test(plan, of_nothing_given_every_value_is_the_tables_default)
{
    make("", "");
    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        uint64_t value;

        (void)wr_property_parse((enum wr_key)key, wr_properties[key].default_text, &value, NULL);
        cr_assert_eq(plan.origin[key], WR_FROM_TABLE);
        cr_assert_eq(plan.value[key], value, "%s", wr_properties[key].key);
    }
    cr_assert_not(plan.breaker_on);
    cr_assert_not(plan.rate_on);
}

Test(plan, the_dependencys_own_value_wins_over_the_default)
{
    make("max_concurrent: 5, timeout: 2s", "max_concurrent: 7");
    cr_assert_eq(plan.max_concurrent, 7U);
    cr_assert_eq(plan.origin[WR_MAX_CONCURRENT], WR_FROM_DEPENDENCY);
    cr_assert_eq(plan.timeout_ns, 2000000000U);
    cr_assert_eq(plan.origin[WR_TIMEOUT], WR_FROM_DEFAULTS);
    cr_assert_eq(plan.origin[WR_MAX_WAIT], WR_FROM_TABLE);
}

Test(plan, zero_given_is_zero_and_not_absent)
{
    make("max_concurrent: 5", "max_concurrent: 0");
    cr_assert_eq(plan.max_concurrent, 0U);
}

Test(plan, a_block_is_on_if_its_layer_gives_any_of_its_keys)
{
    make("", "breaker.trial_calls: 2");
    cr_assert(plan.breaker_on);
    cr_assert_not(plan.rate_on);
    make("", "rate_limit.burst: 2");
    cr_assert(plan.rate_on);
    cr_assert_not(plan.breaker_on);
    make("breaker.window.kind: count", "");
    cr_assert(plan.breaker_on);
    cr_assert_eq(plan.origin[WR_BREAKER], WR_FROM_DEFAULTS);
}

Test(plan, a_switch_wins_over_the_keys_of_its_own_layer)
{
    make("", "breaker: off, breaker.trial_calls: 2");
    cr_assert_not(plan.breaker_on);
    cr_assert_eq(plan.value[WR_TRIAL_CALLS], 2U);
}

Test(plan, the_nearer_layer_decides_whether_a_block_is_on)
{
    make("breaker.trial_calls: 2", "breaker: off");
    cr_assert_not(plan.breaker_on);
    make("breaker: off", "breaker.trial_calls: 2");
    cr_assert(plan.breaker_on);
    make("breaker: on, rate_limit: on", "");
    cr_assert(plan.breaker_on);
    cr_assert(plan.rate_on);
}

Test(plan, a_block_that_is_on_takes_values_of_both_layers)
{
    make("breaker.open_for: 2s, breaker.trial_calls: 9", "breaker.trial_calls: 3");
    cr_assert_eq(plan.breaker.open_for_ns, 2000000000U);
    cr_assert_eq(plan.breaker.trial_calls, 3U);
    cr_assert_eq(plan.breaker.minimum_calls, 20U);
}

Test(plan, a_value_taken_back_is_that_of_the_layer_below)
{
    start("max_concurrent: 5", "max_concurrent: 7");
    cr_assert_eq(wr_layer_set(&own, "max_concurrent", NULL, &error), WEIR_OK);
    cr_assert_eq(wr_plan_make(&plan, &defaults, &own, "pay", &error), WEIR_OK);
    cr_assert_eq(plan.max_concurrent, 5U);
    cr_assert_eq(wr_layer_set(&own, "no_such_key", NULL, &error), WEIR_E_CONFIG);
}

Test(plan, a_refused_value_leaves_its_layer_alone)
{
    start("", "max_concurrent: 7");
    cr_assert_eq(wr_layer_set(&own, "max_concurrent", "many", &error), WEIR_E_CONFIG);
    cr_assert_eq(wr_plan_make(&plan, &defaults, &own, "pay", &error), WEIR_OK);
    cr_assert_eq(plan.max_concurrent, 7U);
}

Test(plan, contradictions_are_refused_across_layers)
{
    cr_assert(refused("breaker.window.buckets: 7", "", "multiple"));
    cr_assert(refused("breaker.window.buckets: 7", "breaker.window.span: 10s", "multiple"));
    cr_assert(
        refused("breaker.trial_calls: 2", "breaker.trial_successes: 3", "at most trial_calls"));
    cr_assert(
        refused("rate_limit.mode: window", "rate_limit.rate: 0.5/s", "whole rate_limit.rate"));
    cr_assert(refused("rate_limit.burst: 1000000", "rate_limit.rate: 0.001/h", "lower it"));
}

Test(plan, what_would_contradict_in_one_layer_may_be_mended_by_the_other)
{
    make("breaker.window.buckets: 7", "breaker.window.span: 7s");
    make("breaker.trial_successes: 3", "breaker.trial_calls: 3");
}

Test(plan, modes_of_the_rate_limit_have_their_own_burst)
{
    make("", "rate_limit.mode: bucket, rate_limit.burst: 50");
    cr_assert_eq(plan.rate.burst, 50U);
    make("", "rate_limit.mode: pacing, rate_limit.burst: 50");
    cr_assert_eq(plan.rate.burst, 1U);
    cr_assert(plan.rate.pacing);
    make("", "rate_limit.mode: window, rate_limit.burst: 50");
    cr_assert(plan.rate.window);
    cr_assert_eq(plan.rate.milli, 100000U);
}

Test(plan, windows_of_either_kind_have_their_shape)
{
    make("", "breaker.window.span: 12s, breaker.window.buckets: 4");
    cr_assert_eq(plan.window.size, 0U);
    cr_assert_eq(plan.window.time.bucket_ns, 3000000000U);
    cr_assert_eq(plan.window.time.buckets, 4U);
    make("", "breaker.window.kind: count, breaker.window.size: 7");
    cr_assert_eq(plan.window.size, 7U);
}
