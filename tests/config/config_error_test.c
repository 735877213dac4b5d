/*
 * What is refused, where the message points, and what it says. Each text has one mistake.
 */
#include "support/harness.h"

#include "config/config_events.h"

#include <weir/config.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void expect_refusal(const char *text, size_t length, uint32_t line, uint32_t column,
                           const char *words)
{
    weir_config *config = NULL;
    weir_error error = {.message = ""};

    cr_expect_eq(weir_config_parse("test.yaml", text, length, &config, &error), WEIR_E_CONFIG,
                 "accepted: %s", text);
    cr_expect_null(config);
    cr_expect_eq(error.status, WEIR_E_CONFIG);
    cr_expect_str_eq(error.file, "test.yaml");
    cr_expect_eq(error.line, line, "line %u of: %s", error.line, text);
    cr_expect_eq(error.column, column, "column %u of: %s", error.column, text);
    cr_expect_not_null(strstr(error.message, words), "\"%s\" is not in \"%s\"", words,
                       error.message);
}

static void refused(const char *text, uint32_t line, uint32_t column, const char *words)
{
    expect_refusal(text, strlen(text), line, column, words);
}

/* A mistake in line 4 or later of one dependency's settings. */
static void refused_setting(const char *settings, uint32_t line, uint32_t column, const char *words)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "version: 1\ndependencies:\n  pay:\n%s", settings);
    refused(text, line, column, words);
}

/* ---- keys ---- */

Test(config_error, unknown_key_is_named_with_the_nearest_valid_one)
{
    refused_setting("    timout: 1s\n", 4, 5, "\"timout\": did you mean timeout?");
    refused_setting("    breaker:\n      opne_for: 1s\n", 5, 7,
                    "\"breaker.opne_for\": did you mean breaker.open_for?");
    refused_setting("    breaker: {window: {spam: 1s}}\n", 4, 24,
                    "\"breaker.window.spam\": did you mean breaker.window.span?");
    refused_setting("    braker: {}\n", 4, 5, "did you mean breaker?");
    refused_setting("    <<: {timeout: 1s}\n", 4, 5, "unknown key \"<<\"");
    refused_setting("    \"\": 1s\n", 4, 5, "unknown key \"\"");
}

Test(config_error, key_written_without_its_block_is_told_the_block)
{
    refused_setting("    open_for: 1s\n", 4, 5, "did you mean breaker.open_for?");
    refused_setting("    window: {kind: time}\n", 4, 5, "did you mean breaker.window?");
    refused_setting("    rate: 5/s\n", 4, 5, "did you mean rate_limit.rate?");
}

Test(config_error, key_in_the_wrong_block_is_told_the_right_one)
{
    refused_setting("    breaker: {timeout: 1s}\n", 4, 15, "did you mean timeout?");
    refused_setting("    rate_limit: {open_for: 1s}\n", 4, 18, "did you mean breaker.open_for?");
}

Test(config_error, unknown_part_of_the_file_is_named_with_the_nearest_one)
{
    refused("version: 1\ndependency: {}\n", 2, 1, "did you mean dependencies?");
    refused("version: 1\nxyz: {}\n", 2, 1, "did you mean version, defaults or dependencies?");
}

Test(config_error, setting_outside_of_a_layer_is_told_where_it_belongs)
{
    refused("version: 1\ntimeout: 1s\n", 2, 1, "under defaults: or under dependencies");
}

Test(config_error, duplicate_key_is_refused_at_the_second_place_and_names_the_first)
{
    refused_setting("    timeout: 1s\n    timeout: 1s\n", 5, 5,
                    "timeout is given twice, first in line 4");
    refused_setting("    breaker: {}\n    breaker: off\n", 5, 5, "breaker is given twice");
    refused_setting("    breaker: {open_for: 1s}\n    breaker: {trial_calls: 2}\n", 5, 5,
                    "breaker is given twice");
    refused_setting("    breaker: {open_for: 1s}\n    breaker.open_for: 1s\n", 5, 5,
                    "breaker.open_for is given twice");
    refused("version: 1\nversion: 1\n", 2, 1, "version is given twice");
    refused("version: 1\ndefaults: {}\ndefaults: {}\n", 3, 1, "defaults is given twice");
    refused("version: 1\ndependencies:\n  pay: {}\n  pay: {}\n", 4, 3,
            "dependency pay is given twice");
}

Test(config_error, key_longer_than_any_is_refused)
{
    refused_setting("    a1234567890123456789012345678901234567890123456789012345678901234: 1\n", 4,
                    5, "too long for a name");
}

Test(config_error, mapping_is_no_key)
{
    refused("? {a: b}\n: c\n", 1, 3, "a mapping is no key");
    refused_setting("    ? {a: b}\n    : c\n", 4, 7, "a mapping is no key");
}

/* ---- values ---- */

Test(config_error, bad_value_is_refused_at_the_value)
{
    refused_setting("    timeout: 10\n", 4, 14, "timeout");
    refused_setting("    timeout: -1s\n", 4, 14, "timeout");
    refused_setting("    breaker: {failure_rate: 0.5}\n", 4, 29, "breaker.failure_rate");
    refused_setting("    rate_limit: {rate: 100}\n", 4, 24, "rate_limit.rate");
    refused_setting("    max_concurrent: 0x10\n", 4, 21, "max_concurrent");
    refused_setting("    mode: maybe\n", 4, 11, "mode");
    refused_setting("    isolation: thraed\n", 4, 16, "isolation");
    refused_setting("    breaker: 5\n", 4, 14, "breaker");
}

Test(config_error, value_out_of_range_names_the_range)
{
    refused_setting("    max_concurrent: 99999999\n", 4, 21, "out of range: give 0 to 1000000");
    refused_setting("    rate_limit: {rate: 1000001/s}\n", 4, 24, "above 1000000/s");
    refused_setting("    breaker: {failure_rate: 101%}\n", 4, 29, "out of range");
}

Test(config_error, value_that_is_missing_is_asked_for)
{
    refused_setting("    timeout:\n", 4, 13, "timeout has no value: give one, e.g. 1s");
    refused_setting("    breaker:\n", 4, 13, "breaker has no value: give a block, on or off");
    refused("version: 1\ndependencies: {pay: {timeout}}", 2, 29, "timeout has no value");
}

Test(config_error, block_where_a_value_is_due_is_refused_at_the_key)
{
    refused_setting("    timeout: {a: b}\n", 4, 5, "timeout is one value, not a block");
}

Test(config_error, value_where_a_block_is_due_is_refused_at_the_value)
{
    refused_setting("    breaker: {window: time}\n", 4, 23, "breaker.window is a block");
    refused("version: 1\ndefaults: 5\n", 2, 11, "defaults: a block of settings is due");
    refused("version: 1\ndependencies: pay\n", 2, 15, "dependencies: a block of names is due");
    refused("version: 1\ndependencies: {pay: 5}\n", 2, 21, "pay: a block of settings is due");
    refused("version: 1\ndependencies:\n  pay:\n", 3, 7, "pay: a block of settings is due");
}

Test(config_error, version_must_be_1)
{
    refused("version: 2\n", 1, 10, "write version: 1");
    refused("version: 1.0\n", 1, 10, "write version: 1");
    refused("version: {}\n", 1, 10, "write version: 1");
    refused("dependencies: {}\n", 1, 1, "add a line \"version: 1\"");
}

Test(config_error, names_of_dependencies_are_checked)
{
    refused("version: 1\ndependencies:\n  pa/y: {}\n", 3, 3, "\"pa/y\" cannot name a dependency");
    refused("version: 1\ndependencies:\n  \"\": {}\n", 3, 3, "cannot name a dependency");
    refused("version: 1\ndependencies:\n  \xC3\xA4: {}\n", 3, 3, "cannot name a dependency");
    refused("version: 1\ndependencies:\n"
            "  a1234567890123456789012345678901234567890123456789012345678901234: {}\n",
            3, 3, "cannot name a dependency");
    refused("version: 1\ndependencies:\n  ? {a: b}\n  : {}\n", 3, 5, "cannot name a dependency");
}

/* ---- contradictions ---- */

Test(config_error, contradiction_is_refused_at_the_setting_that_brought_it_about)
{
    refused_setting("    breaker:\n"
                    "      window: {span: 10s, buckets: 7}\n"
                    "      trial_calls: 2\n",
                    5, 36, "pay: breaker.window.span is no multiple");
    refused_setting("    breaker: {trial_calls: 3, trial_successes: 4, open_for: 1s}\n", 4, 48,
                    "breaker.trial_successes is above");
    refused("version: 1\ndefaults: {breaker: {window: {buckets: 7}}}\n", 2, 40, "defaults:");
}

Test(config_error, contradiction_between_layers_is_refused_in_the_dependency)
{
    refused("version: 1\n"
            "defaults: {breaker: {trial_calls: 5, trial_successes: 5}}\n"
            "dependencies:\n"
            "  mail: {}\n"
            "  pay: {breaker: {trial_calls: 4}}\n",
            5, 32, "pay: breaker.trial_successes is above");
}

/* ---- what is YAML, and not allowed ---- */

Test(config_error, anchors_aliases_and_tags_are_refused)
{
    refused("version: &v 1\n", 1, 10, "anchors are not allowed");
    refused("version: 1\ndefaults: &d {timeout: 1s}\n", 2, 11, "anchors are not allowed");
    refused("version: 1\ndefaults: *d\n", 2, 11, "aliases are not allowed");
    refused_setting("    timeout: *t\n", 4, 14, "aliases are not allowed");
    refused("version: !!int 1\n", 1, 10, "tags are not allowed");
    refused("version: 1\ndefaults: !x {}\n", 2, 11, "tags are not allowed");
    refused_setting("    timeout: ! 1s\n", 4, 14, "tags are not allowed");
}

Test(config_error, lists_are_refused)
{
    refused("- version: 1\n", 1, 1, "lists are not allowed");
    refused("version: 1\ndependencies:\n  - pay\n", 3, 3, "lists are not allowed");
    refused_setting("    timeout: [1s]\n", 4, 14, "lists are not allowed");
}

Test(config_error, second_document_is_refused)
{
    refused("version: 1\n---\nversion: 1\n", 3, 1, "a second document");
    refused("version: 1\n---\n", 3, 1, "a second document");
}

Test(config_error, directives_are_refused)
{
    refused("%YAML 1.1\n---\nversion: 1\n", 1, 1, "directives");
    refused("%TAG ! !x\n---\nversion: 1\n", 1, 1, "directives");
}

Test(config_error, block_texts_are_refused)
{
    refused_setting("    timeout: |\n      1s\n", 4, 14, "block texts");
    refused_setting("    timeout: >\n      1s\n", 4, 14, "block texts");
}

Test(config_error, texts_of_several_lines_are_refused)
{
    refused("version: 1\n  x: 1\n", 1, 10, "goes on in the next line");
    refused_setting("    timeout: \"1\n      s\"\n", 4, 14, "goes on in the next line");
}

Test(config_error, mappings_deeper_than_6_are_refused)
{
    static const char text[] = "{a: {b: {c: {d: {e: {f: {g: 1}}}}}}}";
    struct wr_events events;
    struct wr_event event = {.kind = WR_EVENT_BEGIN};
    weir_error error = {.message = ""};
    weir_status status = wr_events_open(&events, "test.yaml", text, sizeof(text) - 1, &error);

    cr_assert_eq(status, WEIR_OK);
    while (status == WEIR_OK && event.kind != WR_EVENT_FINISH) {
        status = wr_events_next(&events, &event);
    }
    wr_events_close(&events);

    cr_expect_eq(status, WEIR_E_CONFIG);
    cr_expect_eq(error.line, 1);
    cr_expect_eq(error.column, 25, "the place of the seventh");
    cr_expect_not_null(strstr(error.message, "deeper than 6"), "%s", error.message);
}

/* ---- what is no YAML ---- */

Test(config_error, empty_file_is_told_how_to_begin)
{
    refused("", 1, 1, "begin with a line \"version: 1\"");
    refused("# nothing\n", 2, 1, "begin with a line \"version: 1\"");
    refused("hello\n", 1, 1, "begin with a line \"version: 1\"");
}

Test(config_error, what_libyaml_refuses_has_a_place_too)
{
    refused("version: 1\ndefaults: {timeout: 1s\n", 3, 1, "check quotes, braces and indentation");
    refused("version: 1\ndefaults:\n\ttimeout: 1s\n", 3, 1, "spaces only");
    refused("version: 1\ndefaults: {timeout: \"1s}\n", 3, 1, "check quotes");
    refused("  version: 1\n x: 1\n", 2, 2, "check quotes, braces and indentation");
}

Test(config_error, bytes_that_are_no_utf_8_are_refused_where_they_stand)
{
    refused("version: 1\n# \xC3\xA4 \xFF\n", 2, 5, "plain UTF-8");
    refused("version: 1\n# \xC0\x80\n", 2, 3, "plain UTF-8");
    refused("version: 1\n\x01\n", 2, 1, "plain UTF-8");
}

Test(config_error, nul_bytes_are_refused)
{
    static const char text[] = "version: 1\ndef\0aults: {}\n";

    expect_refusal(text, sizeof(text) - 1, 2, 4, "plain UTF-8");
    refused_setting("    timeout: \"1\\0s\"\n", 4, 14, "NUL");
}

/* ---- limits ---- */

Test(config_error, more_than_1024_dependencies_are_refused)
{
    enum { COUNT = 1025, LINE = 16, HEAD = 64 };
    char *const text = malloc((size_t)COUNT * LINE + HEAD);
    size_t length;

    cr_assert_not_null(text);
    length = (size_t)snprintf(text, HEAD, "version: 1\ndependencies:\n");
    for (int i = 0; i < COUNT; ++i) {
        length += (size_t)snprintf(text + length, LINE, "  d%d: {}\n", i);
    }
    expect_refusal(text, length, 1027, 3, "more than 1024 dependencies");
    free(text);
}

Test(config_error, more_than_a_mebibyte_is_refused_and_exactly_one_is_not)
{
    enum { LIMIT = 1 << 20 };
    static const char head[] = "version: 1\n";
    char *const text = malloc(LIMIT + 1);
    weir_config *config = NULL;
    weir_error error = {.message = ""};

    cr_assert_not_null(text);
    memset(text, '\n', LIMIT + 1);
    memcpy(text, head, sizeof(head) - 1);
    cr_expect_eq(weir_config_parse("big.yaml", text, LIMIT + 1, &config, &error), WEIR_E_TOO_LARGE);
    cr_expect_str_eq(error.file, "big.yaml");
    cr_expect_null(config);
    cr_expect_eq(weir_config_parse("big.yaml", text, LIMIT, &config, &error), WEIR_OK);
    weir_config_destroy(config);
    free(text);
}

Test(config_error, long_names_and_values_do_not_overflow_a_message)
{
    enum { LONG = 100000, HEAD = 64 };
    char *const text = malloc(LONG + HEAD);
    weir_config *config = NULL;
    size_t length;

    cr_assert_not_null(text);
    length = (size_t)snprintf(text, HEAD, "version: 1\ndefaults: {timeout: ");
    memset(text + length, '9', LONG);
    text[length + LONG] = '}';
    expect_refusal(text, length + LONG + 1, 2, 21, "timeout");
    length = (size_t)snprintf(text, HEAD, "version: 1\n");
    memset(text + length, 'k', LONG);
    text[length + LONG] = ':';
    text[length + LONG + 1] = ' ';
    text[length + LONG + 2] = '1';
    cr_expect_eq(weir_config_parse(NULL, text, length + LONG + 3, &config, NULL), WEIR_E_CONFIG);
    free(text);
}

Test(config_error, what_is_missing_in_the_call_is_a_status)
{
    weir_config *config = NULL;
    weir_error error = {.message = ""};

    cr_expect_eq(weir_config_parse("a", NULL, 5, &config, &error), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_config_parse("a", "version: 1", 10, NULL, &error), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_config_parse("a", NULL, 0, &config, &error), WEIR_E_CONFIG);
    cr_expect_eq(weir_config_read(NULL, &config, &error), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_config_read("a", NULL, &error), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_config_parse("a", "x", 1, &config, NULL), WEIR_E_CONFIG, "no error to fill");
    cr_expect_null(config);
}
