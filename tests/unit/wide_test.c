/*
 * Products in 128 bits: a * b / c loses nothing on the way.
 */
#include "support/harness.h"

#include "base/wide.h"

Test(wide, the_quotient_of_a_product_is_cut_not_rounded)
{
    cr_assert_eq(wr_muldiv(7, 3, 2), 10U);
    cr_assert_eq(wr_muldiv(2, 1, 3), 0U);
    cr_assert_eq(wr_muldiv(0, UINT64_MAX, 7), 0U);
}

Test(wide, a_product_beyond_64_bits_is_divided_exactly)
{
    cr_assert_eq(wr_muldiv(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    cr_assert_eq(wr_muldiv(UINT64_MAX, 1000000, 1000000), UINT64_MAX);
    cr_assert_eq(wr_muldiv(UINT64_MAX, 999999, 1000000), 18446725626965477905ULL);
}

Test(wide, a_quotient_beyond_64_bits_stays_at_the_maximum)
{
    cr_assert_eq(wr_muldiv(UINT64_MAX, 2, 1), UINT64_MAX);
    cr_assert_eq(wr_muldiv(UINT64_MAX, UINT64_MAX, 1), UINT64_MAX);
    cr_assert_eq(wr_muldiv(1ULL << 63, 4, 2), UINT64_MAX);
}

Test(wide, the_quotient_rounded_up_loses_nothing_either)
{
    cr_assert_eq(wr_muldiv_up(7, 3, 2), 11U);
    cr_assert_eq(wr_muldiv_up(6, 3, 2), 9U);
    cr_assert_eq(wr_muldiv_up(0, UINT64_MAX, 7), 0U);
    cr_assert_eq(wr_muldiv_up(1, 1, UINT64_MAX), 1U);
    cr_assert_eq(wr_muldiv_up(UINT64_MAX, 999999, 1000000), 18446725626965477906ULL);
    cr_assert_eq(wr_muldiv_up(UINT64_MAX, UINT64_MAX, UINT64_MAX), UINT64_MAX);
    cr_assert_eq(wr_muldiv_up(UINT64_MAX, 2, 1), UINT64_MAX);
    cr_assert_eq(wr_muldiv_up(UINT64_MAX, UINT64_MAX, 1), UINT64_MAX);
}
