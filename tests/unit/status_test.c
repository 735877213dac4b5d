/*
 * Names of statuses and sources, the version, and the size of an error.
 */
#include "support/harness.h"

#include "base/fail.h"

#include <string.h>

Test(status, each_status_has_its_name)
{
#define CHECK_NAME(symbol, number, name, meaning) \
    cr_assert_eq(symbol, (number));               \
    cr_assert_str_eq(weir_status_name(number), name);
    WEIR_STATUS_LIST(CHECK_NAME)
#undef CHECK_NAME
}

Test(status, a_number_that_is_no_status_is_called_unknown)
{
    static const weir_status hostile[] = {1, 99, 199, 400, -12, -100, INT32_MIN, INT32_MAX};

    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        cr_assert_str_eq(weir_status_name(hostile[i]), "unknown", "%d", (int)hostile[i]);
    }
}

Test(status, the_class_of_a_status_is_its_range)
{
    cr_assert_lt(WEIR_E_ARGUMENT, 0);
    cr_assert(WEIR_OPEN >= 100 && WEIR_CELLS < 200);
    cr_assert(WEIR_FAILED >= 200 && WEIR_IGNORED < 300);
    cr_assert(WEIR_TIMED_OUT >= 300 && WEIR_CANCELLED < 400);
}

Test(status, each_source_has_its_name)
{
    cr_assert_str_eq(weir_source_name(WEIR_BY_NOBODY), "nobody");
    cr_assert_str_eq(weir_source_name(WEIR_BY_RUN), "run");
    cr_assert_str_eq(weir_source_name(WEIR_BY_CACHE), "cache");
    cr_assert_str_eq(weir_source_name(WEIR_BY_STALE), "stale");
    cr_assert_str_eq(weir_source_name(WEIR_BY_STATIC), "static");
    cr_assert_str_eq(weir_source_name(WEIR_BY_FALLBACK), "fallback");
}

Test(status, a_number_that_is_no_source_is_called_unknown)
{
    cr_assert_str_eq(weir_source_name(-1), "unknown");
    cr_assert_str_eq(weir_source_name(WEIR_BY_FALLBACK + 1), "unknown");
    cr_assert_str_eq(weir_source_name(INT32_MIN), "unknown");
    cr_assert_str_eq(weir_source_name(INT32_MAX), "unknown");
}

Test(status, the_version_is_the_one_of_the_headers)
{
    cr_assert_str_eq(weir_version(), WEIR_VERSION);
}

Test(status, an_error_is_512_bytes_for_ever)
{
    cr_assert_eq(sizeof(weir_error), 512U);
}
