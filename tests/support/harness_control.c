/*
 * Negative control of the plain runner: half of these tests fail on purpose, and
 * harness_control.sh checks that exactly those are counted.
 */
#include "support/harness.h"

static int fixtures;

static void count_init(void)
{
    fixtures += 1;
}

static void count_fini(void)
{
    fixtures += 10;
}

static void fail_at_the_end(void)
{
    cr_assert(0, "planted");
}

Test(harness_passing, asserts_that_hold_pass)
{
    const char *const text = "text";

    cr_assert(1);
    cr_assert(1, "with a message %d", 1);
    cr_assert_eq(2, 2);
    cr_assert_neq(2, 3, "not %s", "equal");
    cr_assert_lt(1, 2);
    cr_assert_leq(2, 2);
    cr_assert_gt(2, 1);
    cr_assert_geq(2, 2);
    cr_assert_str_eq(text, "text");
    cr_assert_null(NULL);
    cr_assert_not_null(text);
    cr_assert_float_eq(1.0, 1.05, 0.1);
}

Test(harness_passing, fixtures_run, .init = count_init, .fini = count_fini)
{
    cr_assert_eq(fixtures, 1);
}

Test(harness_passing, fixtures_ran)
{
    cr_assert_eq(fixtures, 11);
}

Test(harness_failing, an_assert_leaves_the_test)
{
    cr_assert_eq(1, 2, "planted %d", 1);
    cr_assert(0, "not reached");
}

Test(harness_failing, an_expect_goes_on)
{
    cr_expect_str_eq("a", "b");
    cr_expect(0, "reached");
}

Test(harness_failing, floats_apart)
{
    cr_assert_float_eq(1.0, 2.0, 0.5);
}

Test(harness_failing, an_end_fixture_fails_the_test, .fini = fail_at_the_end)
{
    cr_assert(1);
}
