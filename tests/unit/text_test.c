/*
 * Literals with units: every form that is one, many that are not, against an exact oracle; nearest
 * names against the edit distance in full.
 */
#include "support/harness.h"

#include "base/text.h"
#include "base/wide.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNTOUCHED    0x5a5a5a5a5aULL

struct literal {
    const char *text;
    uint64_t value;
};

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

static void check_accepted(bool (*read)(const char *, uint64_t *), const struct literal *literals,
                           size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        uint64_t value = UNTOUCHED;

        cr_assert(read(literals[i].text, &value), "'%s' is refused", literals[i].text);
        cr_assert_eq(value, literals[i].value, "'%s' is read as %" PRIu64, literals[i].text, value);
    }
}

static void check_refused(bool (*read)(const char *, uint64_t *), const char *const *texts,
                          size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        uint64_t value = UNTOUCHED;

        cr_assert_not(read(texts[i], &value), "'%s' is read as %" PRIu64, texts[i], value);
        cr_assert_eq(value, UNTOUCHED, "'%s' is refused and writes a value", texts[i]);
    }
}

Test(text, a_duration_is_digits_and_a_unit)
{
    static const struct literal literals[] = {
        {"0ns", 0},
        {"1ns", 1},
        {"7us", 7000},
        {"250ms", 250000000},
        {"10s", 10000000000},
        {"2m", 120000000000},
        {"1h", 3600000000000},
        {"00250ms", 250000000},
        {"1.5s", 1500000000},
        {"1.500s", 1500000000},
        {"0.5ms", 500000},
        {"1.5m", 90000000000},
        {"0.25h", 900000000000},
        {"1.0ns", 1},
        {"1.000us", 1000},
        {"0.000000001s", 1},
        {"12345.678901234s", 12345678901234},
        {"18446744073709551615ns", UINT64_MAX},
        {"18446744073.709551615s", UINT64_MAX},
        {"5124095h", 18446742000000000000ULL},
    };

    check_accepted(wr_text_duration, literals, COUNT(literals));
}

Test(text, a_bare_number_where_a_unit_is_due_is_refused)
{
    static const char *const texts[] = {"250", "0", "1.5", "00"};

    check_refused(wr_text_duration, texts, COUNT(texts));
    check_refused(wr_text_percent, texts, COUNT(texts));
}

Test(text, what_is_no_duration_is_refused)
{
    static const char *const texts[] = {
        "",       " ",     "ms",     "s",         ".",      ".s",         ".5s",       "5.s",
        "1.2.3s", "1..2s", "250 ms", " 250ms",    "250ms ", "250ms\n",    "+1s",       "-1s",
        "1e3ms",  "0x10s", "1,5s",   "1_000s",    "1S",     "1Ms",        "1sec",      "1d",
        "1us1us", "1s1",   "nan",    "inf",       "infs",   "1\xc2\xb5s", "\xd9\xa1s", "1n",
        "1m s",   "1%",    "1/s",    "\x7f\x31s", "1\ts",   "'1s'",       "1.s5",      "1s."};

    check_refused(wr_text_duration, texts, COUNT(texts));
}

Test(text, a_duration_that_does_not_fit_is_refused)
{
    static const char *const texts[] = {"18446744073709551616ns", "18446744073.709551616s",
                                        "5124096h", "340282366920938463463374607431768211456ns",
                                        "99999999999999999999999999999999999999999h"};

    check_refused(wr_text_duration, texts, COUNT(texts));
}

Test(text, a_duration_finer_than_a_nanosecond_is_refused_not_rounded)
{
    static const char *const texts[] = {"0.5ns",          "1.5ns",
                                        "1.05ns",         "1.005ns",
                                        "0.0000000001s",  "0.0001us",
                                        "1.0005us",       "1.00005us",
                                        "1.000005us",     "0.00000000000001h",
                                        "0.0000001ms",    "0.00000001ms",
                                        "0.00000000001m", "1.00000000000000000001s"};

    check_refused(wr_text_duration, texts, COUNT(texts));
}

Test(text, a_literal_may_be_as_long_as_it_likes)
{
    char text[1100];
    uint64_t value = UNTOUCHED;

    memset(text, '0', sizeof(text));
    memcpy(text + 1000, "1s", 3);
    cr_assert(wr_text_duration(text, &value));
    cr_assert_eq(value, 1000000000U);
    memset(text, '9', 1000);
    value = UNTOUCHED;
    cr_assert_not(wr_text_duration(text, &value));
    memset(text, '0', 1000);
    text[1] = '.';
    cr_assert_not(wr_text_duration(text, &value));
    cr_assert_eq(value, UNTOUCHED);
}

/* digits with `decimals` of them after the point, times scale: exact, or not a literal. */
static bool exact(uint64_t digits, unsigned decimals, uint64_t scale, uint64_t *ret_value)
{
    wr_u128 divisor = 1;
    const wr_u128 product = (wr_u128)digits * scale;

    for (unsigned i = 0; i < decimals; ++i) {
        divisor *= 10;
    }
    if (product % divisor != 0 || product / divisor > UINT64_MAX) {
        return false;
    }
    *ret_value = (uint64_t)(product / divisor);
    return true;
}

static void put_decimal(char *text, size_t size, uint64_t digits, unsigned decimals,
                        const char *unit)
{
    char all[40];
    size_t whole;

    (void)snprintf(all, sizeof(all), "%020" PRIu64, digits);
    whole = strlen(all) - decimals;
    (void)snprintf(text, size, "%.*s%s%s%s", (int)whole, all, decimals > 0 ? "." : "", all + whole,
                   unit);
}

Test(text, random_durations_are_read_exactly_or_refused)
{
    static const struct literal units[] = {{"ns", 1},          {"us", 1000},
                                           {"ms", 1000000},    {"s", 1000000000},
                                           {"m", 60000000000}, {"h", 3600000000000}};
    uint64_t seed = 2;

    for (int i = 0; i < 300000; ++i) {
        const uint64_t random = next_random(&seed);
        const struct literal *const unit = &units[random % 6];
        const unsigned decimals = (unsigned)(random / 6 % 14);
        uint64_t digits = next_random(&seed) >> (random / 84 % 64);
        uint64_t expected = UNTOUCHED;
        uint64_t value = UNTOUCHED;
        char text[64];
        bool is_literal;

        for (uint64_t zeroes = random / 6000 % 8; zeroes > 0; --zeroes) {
            digits -= digits % 10;
            digits = digits < UINT64_MAX / 10 ? digits * 10 : digits;
        }
        put_decimal(text, sizeof(text), digits, decimals, unit->text);
        is_literal = exact(digits, decimals, unit->value, &expected);

        cr_assert_eq(wr_text_duration(text, &value), is_literal, "'%s': exactly %" PRIu64 "?", text,
                     expected);
        cr_assert_eq(value, expected, "'%s' is read as %" PRIu64, text, value);
    }
}

Test(text, a_percentage_has_at_most_four_decimals)
{
    static const struct literal literals[] = {
        {"0%", 0},      {"50%", 500000},      {"12.5%", 125000},  {"100%", 1000000},
        {"0.0001%", 1}, {"99.9999%", 999999}, {"1.2500%", 12500}, {"150%", 1500000},
    };
    static const char *const texts[] = {"",
                                        "%",
                                        "50",
                                        "50 %",
                                        "50%%",
                                        "-1%",
                                        "+1%",
                                        "5.%",
                                        ".5%",
                                        "0.5.%",
                                        "0.00001%",
                                        "1.23456%",
                                        "0.000001%",
                                        "0.0000001%",
                                        "1.000001%",
                                        "50%x",
                                        "1e1%",
                                        " 1%",
                                        "18446744073709551615%",
                                        "1844674407370956%"};

    check_accepted(wr_text_percent, literals, COUNT(literals));
    check_refused(wr_text_percent, texts, COUNT(texts));
}

Test(text, a_factor_has_no_unit_and_at_most_six_decimals)
{
    static const struct literal literals[] = {
        {"0", 0},         {"1", 1000000},  {"1.0", 1000000},      {"1.1", 1100000},
        {"2.5", 2500000}, {"0.000001", 1}, {"1.000001", 1000001},
    };
    static const char *const texts[] = {"",
                                        ".",
                                        "1.",
                                        ".5",
                                        "1x",
                                        "1%",
                                        "-1.0",
                                        "+1.0",
                                        "1 ",
                                        " 1",
                                        "0.0000001",
                                        "1.0000001",
                                        "1.00000001",
                                        "1.000000001",
                                        "1,1",
                                        "1e0",
                                        "18446744073710"};

    check_accepted(wr_text_factor, literals, COUNT(literals));
    check_refused(wr_text_factor, texts, COUNT(texts));
}

Test(text, a_count_is_a_whole_number_without_unit)
{
    static const struct literal literals[] = {
        {"0", 0}, {"20", 20}, {"007", 7}, {"18446744073709551615", UINT64_MAX}};
    static const char *const texts[] = {"",
                                        " ",
                                        "1.0",
                                        "1.",
                                        ".1",
                                        "-1",
                                        "+1",
                                        "1k",
                                        "0x10",
                                        "1e3",
                                        "1 ",
                                        " 1",
                                        "1s",
                                        "1%",
                                        "--1",
                                        "1-",
                                        "1\n",
                                        "ten",
                                        "18446744073709551616",
                                        "99999999999999999999999"};

    check_accepted(wr_text_count, literals, COUNT(literals));
    check_refused(wr_text_count, texts, COUNT(texts));
}

struct rate {
    const char *text;
    uint64_t milli;
    uint64_t per_ns;
};

Test(text, a_rate_is_events_per_second_minute_or_hour)
{
    static const struct rate rates[] = {
        {"100/s", 100000, 1000000000},         {"0.5/s", 500, 1000000000},
        {"30/m", 30000, 60000000000},          {"10/h", 10000, 3600000000000},
        {"0.001/h", 1, 3600000000000},         {"0/s", 0, 1000000000},
        {"1000000/s", 1000000000, 1000000000}, {"12.345/m", 12345, 60000000000},
    };

    for (size_t i = 0; i < COUNT(rates); ++i) {
        uint64_t milli = UNTOUCHED;
        uint64_t per_ns = UNTOUCHED;

        cr_assert(wr_text_rate(rates[i].text, &milli, &per_ns), "'%s'", rates[i].text);
        cr_assert_eq(milli, rates[i].milli, "'%s'", rates[i].text);
        cr_assert_eq(per_ns, rates[i].per_ns, "'%s'", rates[i].text);
    }
}

Test(text, what_is_no_rate_is_refused)
{
    static const char *const texts[] = {"",           "100",       "100/",
                                        "/s",         "100/ms",    "100/S",
                                        "100 /s",     "100/ s",    "100/s ",
                                        "-1/s",       "+1/s",      "1/s/s",
                                        "1/d",        "1s",        "1./s",
                                        ".1/s",       "0.0001/s",  "0.00001/s",
                                        "0.000001/s", "1.00001/s", "18446744073709552/s",
                                        "100/min",    "1e3/s",     "1%/s"};

    for (size_t i = 0; i < COUNT(texts); ++i) {
        uint64_t milli = UNTOUCHED;
        uint64_t per_ns = UNTOUCHED;

        cr_assert_not(wr_text_rate(texts[i], &milli, &per_ns), "'%s'", texts[i]);
        cr_assert_eq(milli, UNTOUCHED, "'%s'", texts[i]);
        cr_assert_eq(per_ns, UNTOUCHED, "'%s'", texts[i]);
    }
}

Test(text, a_duration_is_written_in_the_largest_unit_that_divides_it)
{
    static const struct literal literals[] = {
        {"0ms", 0},
        {"1ns", 1},
        {"999ns", 999},
        {"1us", 1000},
        {"250ms", 250000000},
        {"1001us", 1001000},
        {"1s", 1000000000},
        {"1m", 60000000000},
        {"61s", 61000000000},
        {"1h", 3600000000000},
        {"61m", 3660000000000},
        {"18446744073709551615ns", UINT64_MAX},
    };

    for (size_t i = 0; i < COUNT(literals); ++i) {
        char buffer[32];

        cr_assert_eq(wr_text_put_duration(buffer, sizeof(buffer), literals[i].value),
                     (int)strlen(literals[i].text));
        cr_assert_str_eq(buffer, literals[i].text);
    }
}

Test(text, a_written_duration_reads_back_as_itself)
{
    static const uint64_t steps[] = {1, 1000, 1000000, 1000000000, 60000000000, 3600000000000};
    uint64_t seed = 3;

    for (int i = 0; i < 200000; ++i) {
        const uint64_t random = next_random(&seed);
        uint64_t ns = next_random(&seed) >> random % 64;
        uint64_t value = UNTOUCHED;
        char buffer[32];
        int length;

        ns -= ns % steps[random / 64 % 6];
        length = wr_text_put_duration(buffer, sizeof(buffer), ns);

        cr_assert_eq(length, (int)strlen(buffer));
        cr_assert(wr_text_duration(buffer, &value), "%" PRIu64 " -> '%s'", ns, buffer);
        cr_assert_eq(value, ns, "%" PRIu64 " -> '%s' -> %" PRIu64, ns, buffer, value);
    }
}

static const char *const keys[] = {
    "timeout",          "max_concurrent",    "max_wait",           "breaker.failure_rate",
    "breaker.open_for", "breaker.slow_call", "rate_limit.max_wait"};

Test(text, the_nearest_name_to_a_slip_is_the_name_meant)
{
    static const char *const slips[][2] = {
        {"timeout", "timeout"},
        {"timout", "timeout"},
        {"tiemout", "timeout"},
        {"time_out", "timeout"},
        {"Timeout", "timeout"},
        {"max_concurent", "max_concurrent"},
        {"max-wait", "max_wait"},
        {"breaker.failure_rat", "breaker.failure_rate"},
        {"breaker.failurerate", "breaker.failure_rate"},
        {"breaker.open-for", "breaker.open_for"},
        {"ratelimit.max_wait", "rate_limit.max_wait"},
    };

    for (size_t i = 0; i < COUNT(slips); ++i) {
        const char *const nearest = wr_text_nearest(slips[i][0], keys, COUNT(keys));

        cr_assert_not_null(nearest, "'%s'", slips[i][0]);
        cr_assert_str_eq(nearest, slips[i][1], "'%s'", slips[i][0]);
    }
}

Test(text, far_from_every_name_there_is_no_nearest)
{
    static const char *const texts[] = {"zzzzzzzz", "qqqqqqqqqqqqqqqqqqqq", "1", ""};

    for (size_t i = 0; i < COUNT(texts); ++i) {
        cr_assert_null(wr_text_nearest(texts[i], keys, COUNT(keys)), "'%s'", texts[i]);
    }
    cr_assert_null(wr_text_nearest("timeout", keys, 0));
}

Test(text, texts_and_names_of_any_length_are_safe_to_compare)
{
    char text[5000];
    const char *const names[] = {text, "timeout"};

    memset(text, 'a', sizeof(text) - 1);
    for (size_t length = sizeof(text) - 1; length > 0; length -= length > 70 ? 60 : 1) {
        text[length] = '\0';
        (void)wr_text_nearest(text, keys, COUNT(keys));
        cr_assert_str_eq(wr_text_nearest("timeouts", names, COUNT(names)), "timeout");
    }
}

static size_t least(size_t a, size_t b, size_t c)
{
    const size_t ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* The whole table: cell (i, j) is the distance of the first i letters from the first j. */
static size_t edit_distance(const char *a, const char *b)
{
    size_t table[12][12];

    for (size_t i = 0; i < 12; ++i) {
        table[i][0] = i;
        table[0][i] = i;
    }
    for (size_t i = 1; i <= strlen(a); ++i) {
        for (size_t j = 1; j <= strlen(b); ++j) {
            table[i][j] = least(table[i - 1][j] + 1, table[i][j - 1] + 1,
                                table[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0));
        }
    }
    return table[strlen(a)][strlen(b)];
}

static void put_word(char *word, uint64_t *seed)
{
    const uint64_t length = next_random(seed) % 10;

    for (uint64_t i = 0; i < length; ++i) {
        word[i] = (char)('a' + next_random(seed) % 3);
    }
    word[length] = '\0';
}

Test(text, no_other_name_is_nearer_than_the_nearest)
{
    uint64_t seed = 4;

    for (int i = 0; i < 10000; ++i) {
        char words[5][12];
        const char *const names[4] = {words[0], words[1], words[2], words[3]};
        const char *nearest;

        for (size_t w = 0; w < 5; ++w) {
            put_word(words[w], &seed);
        }
        nearest = wr_text_nearest(words[4], names, 4);

        for (size_t w = 0; w < 4 && nearest != NULL; ++w) {
            cr_assert_leq(edit_distance(words[4], nearest), edit_distance(words[4], words[w]),
                          "'%s' is nearer to '%s' than '%s'", words[w], words[4], nearest);
        }
    }
}
