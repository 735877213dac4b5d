/*
 * The simulator's script, line by line: what each line means, and what is refused with its number.
 */
#include "support/harness.h"

#include "tool/script.c"       /* NOLINT(bugprone-suspicious-include): the tool is no library */
#include "tool/script_words.c" /* NOLINT(bugprone-suspicious-include): the same */

static struct wr_script script;

/* The first line of `text`. */
static struct wr_line first_of(const char *text)
{
    struct wr_line line = {.number = 0};
    weir_error error = {.message = ""};
    bool more = false;

    wr_script_start(&script, "test.sim", text, strlen(text));
    cr_assert_eq(wr_script_next(&script, &line, &more, &error), WEIR_OK, "%s", error.message);
    cr_assert(more);
    return line;
}

/* The script fails in `number` with a message that holds `words`. */
static void refused_in(const char *text, size_t length, uint32_t number, const char *words)
{
    struct wr_line line;
    weir_error error = {.message = ""};
    weir_status status = WEIR_OK;
    bool more = true;

    wr_script_start(&script, "test.sim", text, length);
    while (status == WEIR_OK && more) {
        status = wr_script_next(&script, &line, &more, &error);
    }
    cr_expect_eq(status, WEIR_E_CONFIG, "accepted: %s", text);
    cr_expect_str_eq(error.file, "test.sim");
    cr_expect_eq(error.line, number, "line %u: %s", error.line, text);
    cr_expect_eq(error.column, 0);
    cr_expect_not_null(strstr(error.message, words), "\"%s\" is not in \"%s\"", words,
                       error.message);
}

static void refused(const char *text, const char *words)
{
    refused_in(text, strlen(text), 1, words);
}

Test(script, call_has_an_outcome_and_options_in_any_order)
{
    const struct wr_line line =
        first_of("1.5ms pay call fail x30 priority 7 cost 2 took 5us key t17");

    cr_expect_eq(line.number, 1);
    cr_expect_eq(line.at_ns, 1500000);
    cr_expect_str_eq(line.dependency, "pay");
    cr_expect_eq(line.verb, WR_VERB_CALL);
    cr_expect_eq(line.outcome, WEIR_FAILED);
    cr_expect_eq(line.count, 30);
    cr_expect_eq(line.priority, 7);
    cr_expect_eq(line.cost, 2);
    cr_expect_eq(line.took_ns, 5000);
    cr_expect_neq(line.key, 0);
}

Test(script, call_is_by_default_one_that_costs_1_and_takes_no_time)
{
    const struct wr_line line = first_of("0ms pay call ok");

    cr_expect_eq(line.count, 1);
    cr_expect_eq(line.cost, 1);
    cr_expect_eq(line.took_ns, 0);
    cr_expect_eq(line.key, 0);
    cr_expect_eq(line.priority, 0);
}

Test(script, every_outcome_has_its_word)
{
    cr_expect_eq(first_of("0ms pay call ok").outcome, WEIR_OK);
    cr_expect_eq(first_of("0ms pay call fail").outcome, WEIR_FAILED);
    cr_expect_eq(first_of("0ms pay call timeout").outcome, WEIR_TIMED_OUT);
    cr_expect_eq(first_of("0ms pay call ignore").outcome, WEIR_IGNORED);
    cr_expect_eq(first_of("0ms pay call cancel").outcome, WEIR_CANCELLED);
    cr_expect_eq(first_of("0ms pay call crash").outcome, WEIR_CRASHED);
}

Test(script, begin_end_and_ask)
{
    struct wr_line line = first_of("0ms pay begin a-1 cost 2 key t17");

    cr_expect_eq(line.verb, WR_VERB_BEGIN);
    cr_expect_str_eq(line.id, "a-1");
    cr_expect_eq(line.cost, 2);
    line = first_of("0ms pay end a-1 crash");
    cr_expect_eq(line.verb, WR_VERB_END);
    cr_expect_str_eq(line.id, "a-1");
    cr_expect_eq(line.outcome, WEIR_CRASHED);
    line = first_of("0ms pay ask cost 3");
    cr_expect_eq(line.verb, WR_VERB_ASK);
    cr_expect_eq(line.cost, 3);
}

Test(script, force_and_set)
{
    struct wr_line line = first_of("0ms pay force observe");

    cr_expect_eq(line.verb, WR_VERB_FORCE);
    cr_expect_eq(line.override, WEIR_FORCE_OBSERVE);
    cr_expect_str_eq(line.word, "observe");
    cr_expect_eq(first_of("0ms pay force auto").override, WEIR_FORCE_AUTO);
    cr_expect_eq(first_of("0ms pay force open").override, WEIR_FORCE_OPEN);
    cr_expect_eq(first_of("0ms pay force closed").override, WEIR_FORCE_CLOSED);
    line = first_of("0ms pay set breaker.open_for 2s");
    cr_expect_eq(line.verb, WR_VERB_SET);
    cr_expect_str_eq(line.word, "breaker.open_for");
    cr_expect_str_eq(line.value, "2s");
}

Test(script, comments_and_blank_lines_say_nothing_but_are_counted)
{
    static const char text[] =
        "# first\n\n \t\r\n0ms pay ask#at once\n1ms pay ask # \xC3\xA4\r\n#last";
    struct wr_line line;
    bool more = true;

    wr_script_start(&script, "test.sim", text, sizeof(text) - 1);
    cr_assert_eq(wr_script_next(&script, &line, &more, NULL), WEIR_OK);
    cr_expect_eq(line.number, 4);
    cr_assert_eq(wr_script_next(&script, &line, &more, NULL), WEIR_OK);
    cr_expect_eq(line.number, 5);
    cr_assert_eq(wr_script_next(&script, &line, &more, NULL), WEIR_OK);
    cr_expect_not(more);
}

Test(script, times_need_units_and_never_go_back)
{
    refused("0 pay ask", "give one with its unit");
    refused("-1ms pay ask", "is no time");
    refused("1000001h pay ask", "is no time");
    refused_in("5ms pay ask\n\n4ms pay ask", 24, 3, "times never go back");
    cr_expect_eq(first_of("1000000h pay ask").at_ns, 3600000000000000000U);
}

Test(script, unknown_words_are_named_with_the_nearest_one)
{
    refused("0ms pay cal ok", "unknown verb \"cal\": did you mean call?");
    refused("0ms pay zzzzzzzz", "give one of call, begin, end, ask, force, set");
    refused("0ms pay call fial", "unknown outcome \"fial\": did you mean fail?");
    refused("0ms pay end a tiemout", "did you mean timeout?");
    refused("0ms pay call ok tok 5ms", "unknown word \"tok\": did you mean took?");
    refused("0ms pay call ok 3x", "unknown word \"3x\"");
    refused("0ms pay force opne", "unknown override \"opne\": did you mean open?");
}

Test(script, words_that_are_missing_or_too_many_are_refused)
{
    refused("0ms", "too few words");
    refused("0ms pay", "too few words");
    refused("0ms pay call", "no outcome");
    refused("0ms pay begin", "no name of the permit");
    refused("0ms pay end a", "no outcome");
    refused("0ms pay force", "force what");
    refused("0ms pay set breaker.open_for", "set needs a key and a value");
    refused("0ms pay set breaker.open_for 2s now", "\"now\" is one word too many");
    refused("0ms pay end a ok now", "\"now\" is one word too many");
    refused("0ms pay call ok took", "took has no value");
    refused("0ms pay call ok 1 2 3 4 5 6 7 8 9 10 11 12 13", "too many words");
}

Test(script, options_are_checked)
{
    refused("0ms pay call ok cost 0", "cost \"0\"");
    refused("0ms pay call ok cost 1.5", "cost \"1.5\"");
    refused("0ms pay call ok took 5", "a duration with its unit");
    refused("0ms pay call ok took 1000001h", "a duration");
    refused("0ms pay call ok priority high", "priority \"high\"");
    refused("0ms pay call ok priority 4294967296", "priority");
    refused("0ms pay call ok x0", "give x1 to x1000000");
    refused("0ms pay call ok x1000001", "give x1 to x1000000");
    refused("0ms pay call ok x2 x3", "xN is given twice");
    refused("0ms pay call ok cost 2 cost 2", "cost is given twice");
    refused("0ms pay begin a took 5ms", "took goes with call only");
    refused("0ms pay ask x3", "x3 goes with call only");
    cr_expect_eq(first_of("0ms pay call ok x1000000").count, 1000000);
}

Test(script, names_of_permits_fit_a_csv_field)
{
    refused("0ms pay begin a,b", "cannot name a permit");
    refused("0ms pay begin a1234567890123456789012345678901234567890123456789012345678901234",
            "cannot name a permit");
}

Test(script, strange_bytes_and_endless_lines_are_refused)
{
    char text[WR_SCRIPT_LINE_MAX + 16];

    refused("0ms pay \xC3\xA4", "byte 0xc3");
    refused_in("0ms pay\0ask", 11, 1, "byte 0x00");
    memset(text, 'a', sizeof(text));
    refused_in(text, sizeof(text), 1, "longer than 1023 bytes");
    memset(text, ' ', sizeof(text));
    memcpy(text, "0ms pay ask", 11);
    text[sizeof(text) - 1] = '\0';
    cr_expect_eq(first_of(text).verb, WR_VERB_ASK, "blanks at the end do not count");
}
