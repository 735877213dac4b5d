/*
 * Deadlines: the earlier of two budgets, half-open, for ever where no end was given.
 */
#include "support/harness.h"

#include "policy/deadline.h"

Test(deadline, the_earlier_of_timeout_and_the_callers_budget_is_the_deadline)
{
    cr_assert_eq(wr_deadline(100, 50, 20), 120U);
    cr_assert_eq(wr_deadline(100, 20, 50), 120U);
    cr_assert_eq(wr_deadline(100, 50, 50), 150U);
}

Test(deadline, without_a_budget_the_timeout_alone_counts)
{
    cr_assert_eq(wr_deadline(100, 50, 0), 150U);
}

Test(deadline, at_exactly_its_deadline_a_call_has_no_time_left)
{
    cr_assert_not(wr_deadline_over(150, 149));
    cr_assert(wr_deadline_over(150, 150));
    cr_assert(wr_deadline_over(150, 151));
}

Test(deadline, what_is_left_shrinks_to_zero_and_stays_there)
{
    cr_assert_eq(wr_deadline_left(150, 100), 50U);
    cr_assert_eq(wr_deadline_left(150, 149), 1U);
    cr_assert_eq(wr_deadline_left(150, 150), 0U);
    cr_assert_eq(wr_deadline_left(150, UINT64_MAX), 0U);
}

Test(deadline, time_is_left_exactly_as_long_as_it_is_not_over)
{
    for (uint64_t now = 0; now < 300; ++now) {
        cr_assert_eq(wr_deadline_left(150, now) == 0, wr_deadline_over(150, now));
    }
}

Test(deadline, no_timeout_is_never_over)
{
    const uint64_t deadline = wr_deadline(100, WR_NO_DEADLINE, 0);

    cr_assert_eq(deadline, WR_NO_DEADLINE);
    cr_assert_not(wr_deadline_over(deadline, UINT64_MAX));
    cr_assert_eq(wr_deadline_left(deadline, UINT64_MAX - 1), UINT64_MAX);
}

Test(deadline, a_budget_beyond_the_end_of_time_is_for_ever)
{
    cr_assert_eq(wr_deadline(UINT64_MAX - 10, 11, 0), WR_NO_DEADLINE);
    cr_assert_eq(wr_deadline(1ULL << 63, UINT64_MAX, 1ULL << 63), WR_NO_DEADLINE);
    cr_assert_eq(wr_deadline(1ULL << 63, UINT64_MAX, 5), (1ULL << 63) + 5);
}
