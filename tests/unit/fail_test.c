/*
 * Filling a weir_error: the message, cut if it must be, and where the setting came from.
 */
#include "support/harness.h"

#include "base/fail.h"

#include <string.h>

Test(fail, a_failure_fills_the_error_and_returns_its_status)
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

Test(fail, an_error_may_be_null)
{
    cr_assert_eq(wr_fail(NULL, WEIR_E_MEMORY, "no memory"), WEIR_E_MEMORY);
    cr_assert_lt(wr_fail_at(NULL, "weir.yaml", 1, 2), 0);
}

Test(fail, a_message_that_is_too_long_is_cut_and_terminated)
{
    weir_error error;
    char text[1000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';

    cr_assert_eq(wr_fail(&error, WEIR_E_CONFIG, "%s", text), WEIR_E_CONFIG);

    cr_assert_eq(strlen(error.message), sizeof(error.message) - 1);
}

Test(fail, where_a_setting_came_from_is_added_and_the_message_stays)
{
    weir_error error;

    (void)wr_fail(&error, WEIR_E_CONFIG, "give a unit");

    cr_assert_eq(wr_fail_at(&error, "weir.yaml", 12, 5), WEIR_E_CONFIG);

    cr_assert_str_eq(error.file, "weir.yaml");
    cr_assert_eq(error.line, 12U);
    cr_assert_eq(error.column, 5U);
    cr_assert_str_eq(error.message, "give a unit");
}

Test(fail, a_file_name_that_is_too_long_is_cut_and_terminated)
{
    weir_error error;
    char name[500];

    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    (void)wr_fail(&error, WEIR_E_CONFIG, "give a unit");

    (void)wr_fail_at(&error, name, 1, 1);

    cr_assert_eq(strlen(error.file), sizeof(error.file) - 1);
}

Test(fail, a_setting_from_code_has_no_file)
{
    weir_error error;

    (void)wr_fail(&error, WEIR_E_CONFIG, "give a unit");

    (void)wr_fail_at(&error, NULL, 0, 0);

    cr_assert_str_eq(error.file, "");
}
