/*
 * What a valid file means: which settings, of whom, in which order, from which place.
 */
#include "support/harness.h"

#include <weir/config.h>

#include <stdio.h>
#include <string.h>

enum { LISTING_BYTES = 4096 };

static weir_config *parse(const char *text)
{
    weir_config *config = NULL;
    weir_error error = {.message = ""};
    const weir_status status = weir_config_parse("test.yaml", text, strlen(text), &config, &error);

    cr_assert_eq(status, WEIR_OK, "%s:%u:%u: %s", error.file, error.line, error.column,
                 error.message);
    return config;
}

/* "dependency key=value; ..." with * for defaults. */
static void list(const weir_config *config, char *listing)
{
    size_t count = 0;
    const weir_setting *const settings = weir_config_settings(config, &count);
    size_t length = 0;

    listing[0] = '\0';
    for (size_t i = 0; i < count && length < LISTING_BYTES; ++i) {
        length += (size_t)snprintf(listing + length, LISTING_BYTES - length, "%s%s %s=%s",
                                   i > 0 ? "; " : "",
                                   settings[i].dependency != NULL ? settings[i].dependency : "*",
                                   settings[i].key, settings[i].value);
    }
}

static void expect_settings(const char *text, const char *expected)
{
    weir_config *const config = parse(text);
    char listing[LISTING_BYTES];

    list(config, listing);
    cr_expect_str_eq(listing, expected, "%s", listing);
    weir_config_destroy(config);
}

Test(config_parse, a_file_of_only_its_version_is_valid)
{
    weir_config *const config = parse("version: 1\n");
    size_t count = 1;

    (void)weir_config_settings(config, &count);
    cr_expect_eq(count, 0);
    cr_expect_eq(weir_config_dependency_count(config), 0);
    cr_expect_null(weir_config_dependency(config, 0));
    weir_config_destroy(config);
}

Test(config_parse, nested_mappings_become_dotted_keys)
{
    expect_settings("version: 1\n"
                    "dependencies:\n"
                    "  pay:\n"
                    "    max_concurrent: 10\n"
                    "    breaker:\n"
                    "      window: {kind: time, span: 5s, buckets: 5}\n"
                    "      open_for: 2s\n"
                    "    rate_limit: {rate: 50/s}\n",
                    "pay max_concurrent=10; pay breaker.window.kind=time; "
                    "pay breaker.window.span=5s; pay breaker.window.buckets=5; "
                    "pay breaker.open_for=2s; pay rate_limit.rate=50/s");
}

Test(config_parse, block_and_flow_style_mean_the_same)
{
    expect_settings("{version: 1, dependencies: {pay: {breaker: {open_for: 2s}}}}",
                    "pay breaker.open_for=2s");
    expect_settings("version: 1\ndependencies:\n pay:\n  breaker:\n   open_for: 2s\n",
                    "pay breaker.open_for=2s");
}

Test(config_parse, dotted_key_in_the_file_is_the_same_setting)
{
    expect_settings("version: 1\ndependencies: {pay: {breaker.window.span: 20s}}",
                    "pay breaker.window.span=20s");
}

Test(config_parse, defaults_come_first_wherever_they_are_written)
{
    expect_settings("dependencies:\n"
                    "  pay: {timeout: 2s, max_wait: 1ms}\n"
                    "  mail: {timeout: 3s}\n"
                    "defaults: {timeout: 1s, max_concurrent: 5}\n"
                    "version: 1\n",
                    "* timeout=1s; * max_concurrent=5; pay timeout=2s; pay max_wait=1ms; "
                    "mail timeout=3s");
}

Test(config_parse, empty_block_of_a_policy_switches_it_on)
{
    expect_settings("version: 1\ndependencies: {pay: {breaker: {}, rate_limit: {}}}",
                    "pay breaker=on; pay rate_limit=on");
}

Test(config_parse, block_that_holds_only_an_empty_block_switches_the_policy_on)
{
    expect_settings("version: 1\ndependencies: {pay: {breaker: {window: {}}}}", "pay breaker=on");
}

Test(config_parse, policy_may_be_switched_by_a_word)
{
    expect_settings("version: 1\n"
                    "defaults: {breaker: on}\n"
                    "dependencies: {pay: {breaker: off, rate_limit: on}}",
                    "* breaker=on; pay breaker=off; pay rate_limit=on");
}

Test(config_parse, block_with_settings_needs_no_switch)
{
    expect_settings("version: 1\ndependencies: {pay: {breaker: {minimum_calls: 5}}}",
                    "pay breaker.minimum_calls=5");
}

Test(config_parse, quoted_and_plain_values_are_the_same_text)
{
    expect_settings("version: \"1\"\ndependencies: {'pay': {timeout: \"1s\", max_wait: '5ms'}}",
                    "pay timeout=1s; pay max_wait=5ms");
}

Test(config_parse, values_are_texts_and_never_numbers_or_booleans)
{
    /* To YAML 1.1, on and off are booleans and 010 is eight. */
    expect_settings("version: 1\ndependencies: {pay: {mode: on, max_concurrent: 010}}",
                    "pay mode=on; pay max_concurrent=010");
}

Test(config_parse, dependency_without_settings_is_a_dependency)
{
    weir_config *const config = parse("version: 1\ndependencies: {pay: {}, mail: {}}");

    cr_expect_eq(weir_config_dependency_count(config), 2);
    cr_expect_str_eq(weir_config_dependency(config, 0), "pay");
    cr_expect_str_eq(weir_config_dependency(config, 1), "mail");
    cr_expect_null(weir_config_dependency(config, 2));
    weir_config_destroy(config);
}

Test(config_parse, names_of_dependencies_take_64_letters_digits_and_three_marks)
{
    static const char name[] = "A.b_c-0123456789012345678901234567890123456789012345678901234567";
    char text[160];
    weir_config *config;

    cr_assert_eq(strlen(name), 64);
    (void)snprintf(text, sizeof(text), "version: 1\ndependencies: {%s: {}}", name);
    config = parse(text);
    cr_expect_str_eq(weir_config_dependency(config, 0), name);
    weir_config_destroy(config);
}

Test(config_parse, setting_knows_its_file_line_and_column)
{
    weir_config *const config = parse("version: 1\n"
                                      "dependencies:\n"
                                      "  pay:\n"
                                      "    timeout: 2s\n"
                                      "    breaker: {}\n");
    size_t count = 0;
    const weir_setting *const settings = weir_config_settings(config, &count);

    cr_assert_eq(count, 2);
    cr_expect_str_eq(settings[0].file, "test.yaml");
    cr_expect_eq(settings[0].line, 4);
    cr_expect_eq(settings[0].column, 14, "the value's place");
    cr_expect_eq(settings[1].line, 5);
    cr_expect_eq(settings[1].column, 5, "a switch that is not written: the block's place");
    weir_config_destroy(config);
}

Test(config_parse, comments_blank_lines_a_byte_order_mark_and_carriage_returns_are_fine)
{
    expect_settings("\xEF\xBB\xBF# first\r\n"
                    "\r\n"
                    "version: 1 # second\r\n"
                    "dependencies:\r\n"
                    "  pay: {timeout: 2s} # \xC3\xA4\r\n",
                    "pay timeout=2s");
}

Test(config_parse, marks_of_one_document_are_fine)
{
    expect_settings("---\nversion: 1\ndependencies: {pay: {timeout: 2s}}\n...\n", "pay timeout=2s");
}

Test(config_parse, contradiction_of_a_dependency_may_be_resolved_by_its_own_settings)
{
    expect_settings("version: 1\n"
                    "defaults: {breaker: {window: {span: 9s, buckets: 9}}}\n"
                    "dependencies: {pay: {breaker: {window: {span: 8s, buckets: 8}}}}",
                    "* breaker.window.span=9s; * breaker.window.buckets=9; "
                    "pay breaker.window.span=8s; pay breaker.window.buckets=8");
}

Test(config_parse, ends_of_the_text_are_its_length_and_not_a_zero_byte)
{
    static const char text[] = {'v', 'e', 'r', 's', 'i', 'o', 'n', ':', ' ', '1'};
    weir_config *config = NULL;

    cr_expect_eq(weir_config_parse("test.yaml", text, sizeof(text), &config, NULL), WEIR_OK);
    weir_config_destroy(config);
}

Test(config_parse, nothing_is_asked_of_no_config)
{
    size_t count = 1;

    weir_config_destroy(NULL);
    cr_expect_null(weir_config_settings(NULL, &count));
    cr_expect_eq(count, 0);
    cr_expect_eq(weir_config_dependency_count(NULL), 0);
    cr_expect_null(weir_config_dependency(NULL, 0));
}
