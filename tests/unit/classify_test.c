/*
 * What outcomes mean to the policies: counted good, counted bad, neutral; slow.
 */
#include "support/harness.h"

#include "policy/classify.h"

#define SLOW_CALL 200U

static struct wr_observation classified(weir_status kind)
{
    return wr_classify(kind, 1, SLOW_CALL);
}

Test(classify, ok_is_counted_as_good)
{
    cr_assert_not(classified(WEIR_OK).neutral);
    cr_assert_not(classified(WEIR_OK).failure);
}

Test(classify, failed_timed_out_and_crashed_are_counted_as_failures)
{
    static const weir_status bad[] = {WEIR_FAILED, WEIR_TIMED_OUT, WEIR_CRASHED};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        cr_assert_not(classified(bad[i]).neutral, "%s", weir_status_name(bad[i]));
        cr_assert(classified(bad[i]).failure, "%s", weir_status_name(bad[i]));
    }
}

Test(classify, ignored_and_cancelled_are_neutral_however_long_they_took)
{
    static const weir_status neutral[] = {WEIR_IGNORED, WEIR_CANCELLED};

    for (size_t i = 0; i < sizeof(neutral) / sizeof(neutral[0]); ++i) {
        const struct wr_observation seen = wr_classify(neutral[i], UINT64_MAX, SLOW_CALL);

        cr_assert(seen.neutral, "%s", weir_status_name(neutral[i]));
        cr_assert_not(seen.failure, "%s", weir_status_name(neutral[i]));
        cr_assert_not(seen.slow, "%s", weir_status_name(neutral[i]));
    }
}

Test(classify, slow_is_strictly_longer_than_slow_call)
{
    cr_assert_not(wr_classify(WEIR_OK, SLOW_CALL - 1, SLOW_CALL).slow);
    cr_assert_not(wr_classify(WEIR_OK, SLOW_CALL, SLOW_CALL).slow);
    cr_assert(wr_classify(WEIR_OK, SLOW_CALL + 1, SLOW_CALL).slow);
}

Test(classify, a_slow_failure_is_both)
{
    const struct wr_observation seen = wr_classify(WEIR_FAILED, SLOW_CALL + 1, SLOW_CALL);

    cr_assert(seen.failure);
    cr_assert(seen.slow);
}

Test(classify, nothing_is_slower_than_a_slow_call_of_for_ever)
{
    cr_assert_not(wr_classify(WEIR_OK, UINT64_MAX, UINT64_MAX).slow);
}

Test(classify, each_verdict_states_one_outcome)
{
    cr_assert_eq(wr_verdict_kind(WEIR_V_OK), WEIR_OK);
    cr_assert_eq(wr_verdict_kind(WEIR_V_FAILED), WEIR_FAILED);
    cr_assert_eq(wr_verdict_kind(WEIR_V_RETRYABLE), WEIR_FAILED);
    cr_assert_eq(wr_verdict_kind(WEIR_V_OVERLOADED), WEIR_FAILED);
    cr_assert_eq(wr_verdict_kind(WEIR_V_IGNORED), WEIR_IGNORED);
    cr_assert_eq(wr_verdict_kind(WEIR_V_TIMED_OUT), WEIR_TIMED_OUT);
    cr_assert_eq(wr_verdict_kind(WEIR_V_CANCELLED), WEIR_CANCELLED);
}

Test(classify, a_number_that_is_no_verdict_is_a_usage_error)
{
    static const int hostile[] = {-1, WEIR_V_CANCELLED + 1, 1000, INT32_MIN, INT32_MAX};

    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        cr_assert_lt(wr_verdict_kind((weir_verdict)hostile[i]), 0, "%d", hostile[i]);
    }
}
