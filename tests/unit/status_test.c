/*
 * Names of statuses and sources, and the filling of a weir_error.
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

Test(status, a_failure_fills_the_error_and_returns_its_status)
{
    weir_error error;

    memset(&error, 0xff, sizeof(error));

    cr_assert_eq(wr_fail(&error, WEIR_E_CONFIG, "%s is %d", "timeout", 7), WEIR_E_CONFIG);

    cr_assert_eq(error.status, WEIR_E_CONFIG);
    cr_assert_str_eq(error.message, "timeout is 7");
    cr_assert_str_eq(error.file, "");
    cr_assert_eq(error.line, 0U);
    cr_assert_eq(error.column, 0U);
}

Test(status, an_error_may_be_null)
{
    cr_assert_eq(wr_fail(NULL, WEIR_E_MEMORY, "no memory"), WEIR_E_MEMORY);
    cr_assert_lt(wr_fail_at(NULL, "weir.yaml", 1, 2), 0);
}

Test(status, a_message_that_is_too_long_is_cut_and_terminated)
{
    weir_error error;
    char text[1000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    cr_assert_eq(wr_fail(&error, WEIR_E_CONFIG, "%s", text), WEIR_E_CONFIG);

    cr_assert_eq(strlen(error.message), sizeof(error.message) - 1);
}

Test(status, where_a_setting_came_from_is_added_and_the_message_stays)
{
    weir_error error;

    (void)wr_fail(&error, WEIR_E_CONFIG, "give a unit");

    cr_assert_eq(wr_fail_at(&error, "weir.yaml", 12, 5), WEIR_E_CONFIG);

    cr_assert_str_eq(error.file, "weir.yaml");
    cr_assert_eq(error.line, 12U);
    cr_assert_eq(error.column, 5U);
    cr_assert_str_eq(error.message, "give a unit");
}

Test(status, a_file_name_that_is_too_long_is_cut_and_terminated)
{
    weir_error error;
    char name[500];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)wr_fail(&error, WEIR_E_CONFIG, "give a unit");

    (void)wr_fail_at(&error, name, 1, 1);

    cr_assert_eq(strlen(error.file), sizeof(error.file) - 1);
}

Test(status, a_setting_from_code_has_no_file)
{
    weir_error error;

    (void)wr_fail(&error, WEIR_E_CONFIG, "give a unit");

    (void)wr_fail_at(&error, NULL, 0, 0);

    cr_assert_str_eq(error.file, "");
}

Test(status, an_error_is_512_bytes_for_ever)
{
    cr_assert_eq(sizeof(weir_error), 512U);
}
