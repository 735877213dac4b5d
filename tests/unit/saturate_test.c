/*
 * Saturating arithmetic: exact where the result fits, at its bound where it does not.
 */
#include "support/harness.h"

#include "base/saturate.h"
#include "base/wide.h"

static const uint64_t samples[] = {
    0,          1,          2,         3,          1000,           UINT32_MAX - 1ULL, UINT32_MAX,
    1ULL << 32, 1ULL << 62, INT64_MAX, 1ULL << 63, UINT64_MAX - 1, UINT64_MAX};
enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

Test(saturate, a_sum_is_exact_or_stays_at_the_maximum)
{
    for (size_t i = 0; i < (size_t)SAMPLES * SAMPLES; ++i) {
        const uint64_t a = samples[i / SAMPLES];
        const uint64_t b = samples[i % SAMPLES];
        const wr_u128 exact = (wr_u128)a + b;

        cr_assert_eq(wr_sat_add(a, b), exact > UINT64_MAX ? UINT64_MAX : (uint64_t)exact);
    }
}

Test(saturate, a_difference_is_exact_or_stays_at_zero)
{
    cr_assert_eq(wr_sat_sub(5, 3), 2U);
    cr_assert_eq(wr_sat_sub(3, 3), 0U);
    cr_assert_eq(wr_sat_sub(3, 5), 0U);
    cr_assert_eq(wr_sat_sub(0, UINT64_MAX), 0U);
    cr_assert_eq(wr_sat_sub(UINT64_MAX, 1), UINT64_MAX - 1);
}

Test(saturate, a_product_is_exact_or_stays_at_the_maximum)
{
    for (size_t i = 0; i < (size_t)SAMPLES * SAMPLES; ++i) {
        const uint64_t a = samples[i / SAMPLES];
        const uint64_t b = samples[i % SAMPLES];
        const wr_u128 exact = (wr_u128)a * b;

        cr_assert_eq(wr_sat_mul(a, b), exact > UINT64_MAX ? UINT64_MAX : (uint64_t)exact);
    }
}

Test(saturate, for_ever_plus_something_is_still_for_ever)
{
    cr_assert_eq(wr_sat_add(UINT64_MAX, 1), UINT64_MAX);
    cr_assert_eq(wr_sat_add(UINT64_MAX, UINT64_MAX), UINT64_MAX);
    cr_assert_eq(wr_sat_mul(UINT64_MAX, 2), UINT64_MAX);
    cr_assert_eq(wr_sat_mul(UINT64_MAX, 0), 0U);
}

Test(saturate, the_smaller_and_the_larger_of_two)
{
    cr_assert_eq(wr_min_u64(1, 2), 1U);
    cr_assert_eq(wr_min_u64(2, 1), 1U);
    cr_assert_eq(wr_max_u64(1, 2), 2U);
    cr_assert_eq(wr_max_u64(2, 1), 2U);
    cr_assert_eq(wr_max_u64(UINT64_MAX, 0), UINT64_MAX);
}
