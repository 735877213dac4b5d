/*
 * The property table: every row, at its bounds and beyond, there and back again, with its words.
 */
#include "support/harness.h"

#include "command/property.h"

#include <stdio.h>

enum { LITERAL_MAX = 48 };

static weir_error error;

static weir_status parse(int key, const char *text, uint64_t *ret_value)
{
    return wr_property_parse((enum wr_key)key, text, ret_value, &error);
}

static bool is_number(const struct wr_property *property)
{
    return property->type == WR_TYPE_DURATION || property->type == WR_TYPE_PERCENT ||
           property->type == WR_TYPE_FACTOR || property->type == WR_TYPE_COUNT ||
           property->type == WR_TYPE_SIZE;
}

/* The literal of a value that the table itself would not write. */
static void write_literal(const struct wr_property *property, uint64_t value, char *text)
{
    const unsigned long long number = value;

    switch (property->type) {
    case WR_TYPE_DURATION:
        (void)snprintf(text, LITERAL_MAX, "%lluns", number);
        break;
    case WR_TYPE_PERCENT:
        (void)snprintf(text, LITERAL_MAX, "%llu.%04llu%%", number / 10000, number % 10000);
        break;
    case WR_TYPE_FACTOR:
        (void)snprintf(text, LITERAL_MAX, "%llu.%06llu", number / 1000000, number % 1000000);
        break;
    case WR_TYPE_SIZE:
        (void)snprintf(text, LITERAL_MAX, "%lluB", number);
        break;
    case WR_TYPE_SWITCH:
    case WR_TYPE_CHOICE:
    case WR_TYPE_COUNT:
    case WR_TYPE_RATE:
    default:
        (void)snprintf(text, LITERAL_MAX, "%llu", number);
        break;
    }
}

static weir_status parse_number(int key, uint64_t value, uint64_t *ret_value)
{
    char text[LITERAL_MAX];

    write_literal(&wr_properties[key], value, text);
    return parse(key, text, ret_value);
}

Test(property_table, every_row_has_a_key_of_its_own_and_words)
{
    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        const struct wr_property *const property = &wr_properties[key];

        cr_assert_not_null(property->key);
        cr_assert_gt(strlen(property->doc), 10U, "%s", property->key);
        cr_assert_gt(strlen(wr_type_name(property->type)), 0U);
        cr_assert_gt(strlen(wr_reload_name(property->reload)), 0U);
        cr_assert_eq(property->choices != NULL, property->type == WR_TYPE_CHOICE);
        cr_assert_eq(wr_property_find(property->key), key);
    }
}

Test(property_table, what_is_no_key_is_not_found)
{
    cr_assert_eq(wr_property_find(""), -1);
    cr_assert_eq(wr_property_find("breaker."), -1);
    cr_assert_eq(wr_property_find("breaker.window"), -1);
    cr_assert_eq(wr_property_find("Mode"), -1);
    cr_assert_eq(wr_property_find("mode "), -1);
}

Test(property_table, a_misspelt_key_has_its_nearest)
{
    char text[LITERAL_MAX];

    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        (void)snprintf(text, sizeof(text), "%sx", wr_properties[key].key);
        cr_assert_str_eq(wr_property_nearest(text), wr_properties[key].key);
    }
    cr_assert_str_eq(wr_property_nearest("open_for"), "breaker.open_for");
    cr_assert_str_eq(wr_property_nearest("burst"), "rate_limit.burst");
    cr_assert_null(wr_property_nearest("qwertzuiopasdfgh"));
}

Test(property_table, every_default_is_valid_and_written_as_it_would_be_shown)
{
    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        char text[LITERAL_MAX];
        uint64_t value;
        uint64_t again;

        cr_assert_eq(parse(key, wr_properties[key].default_text, &value), WEIR_OK, "%s",
                     wr_properties[key].key);
        wr_property_format((enum wr_key)key, value, text, sizeof(text));
        cr_assert_eq(parse(key, text, &again), WEIR_OK);
        cr_assert_eq(again, value);
    }
}

Test(property_table, both_bounds_of_every_number_are_valid_and_come_back_as_they_were)
{
    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        const struct wr_property *const property = &wr_properties[key];
        const uint64_t bounds[] = {property->min, property->max};

        for (size_t i = 0; i < 2 && is_number(property); ++i) {
            char text[LITERAL_MAX];
            uint64_t value;

            cr_assert_eq(parse_number(key, bounds[i], &value), WEIR_OK, "%s", property->key);
            cr_assert_eq(value, bounds[i]);
            wr_property_format((enum wr_key)key, value, text, sizeof(text));
            cr_assert_eq(parse(key, text, &value), WEIR_OK);
            cr_assert_eq(value, bounds[i]);
        }
    }
}

Test(property_table, one_below_and_one_above_the_bounds_are_refused_and_the_message_names_them)
{
    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        const struct wr_property *const property = &wr_properties[key];
        uint64_t value = 4711;
        char low[LITERAL_MAX];
        char high[LITERAL_MAX];

        if (!is_number(property)) {
            continue;
        }
        wr_property_format((enum wr_key)key, property->min, low, sizeof(low));
        wr_property_format((enum wr_key)key, property->max, high, sizeof(high));
        if (property->min > 0) {
            cr_assert_eq(parse_number(key, property->min - 1, &value), WEIR_E_CONFIG);
            cr_assert_not_null(strstr(error.message, low));
        }
        cr_assert_eq(parse_number(key, property->max + 1, &value), WEIR_E_CONFIG);
        cr_assert_not_null(strstr(error.message, property->key));
        cr_assert_not_null(strstr(error.message, high));
        cr_assert_eq(value, 4711U);
    }
}

Test(property_table, off_is_valid_exactly_where_the_table_says_so)
{
    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        const struct wr_property *const property = &wr_properties[key];
        const bool a_choice = key == WR_MODE || property->type == WR_TYPE_SWITCH;
        uint64_t value;
        const weir_status status = parse(key, "off", &value);

        cr_assert_eq(status == WEIR_OK, property->off_allowed || a_choice, "%s", property->key);
        if (property->off_allowed) {
            cr_assert_eq(value, WR_OFF);
        }
    }
}

Test(property_table, every_choice_comes_back_as_it_was)
{
    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        const char *const *const choices = wr_properties[key].choices;

        for (uint64_t i = 0; choices != NULL && choices[i] != NULL; ++i) {
            char text[LITERAL_MAX];
            uint64_t value;

            cr_assert_eq(parse(key, choices[i], &value), WEIR_OK);
            cr_assert_eq(value, i);
            wr_property_format((enum wr_key)key, value, text, sizeof(text));
            cr_assert_str_eq(text, choices[i]);
        }
    }
}

Test(property_table, no_row_takes_a_hostile_text)
{
    static const char *const hostile[] = {
        "",     " ",    "-1",   "+1",  "1e3", "0x10", "nan",  "inf",  "1,5",
        "١",    "1 ms", "1ms ", "1.",  ".5",  "1..5", "ON",   "%s%n", "99999999999999999999",
        "5d",   "1S",   "1%%",  "1/x", "/s",  "%",    "ms",   "1\n",  "184467440737095516150ns",
        "1mss", "true", "null", "~",   "[1]", "{}",   "\x01", "1_000"};

    for (int key = 0; key < WR_KEY_COUNT; ++key) {
        for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
            uint64_t value = 4711;

            cr_assert_eq(parse(key, hostile[i], &value), WEIR_E_CONFIG, "%s: %s",
                         wr_properties[key].key, hostile[i]);
            cr_assert_eq(error.status, WEIR_E_CONFIG);
            cr_assert_not_null(strstr(error.message, wr_properties[key].key));
            cr_assert_not_null(strstr(error.message, "give "));
            cr_assert_eq(value, 4711U);
        }
    }
}

Test(property_table, rates_of_every_unit_come_back_as_they_were)
{
    static const char *const rates[] = {"0/s",    "1/s",          "0.001/s",     "1000000/s",
                                        "30/m",   "60000000/m",   "0.5/h",       "10/h",
                                        "99.9/s", "3600000000/h", "999999.999/s"};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); ++i) {
        char text[LITERAL_MAX];
        uint64_t value;

        cr_assert_eq(parse(WR_RATE, rates[i], &value), WEIR_OK, "%s", rates[i]);
        wr_property_format(WR_RATE, value, text, sizeof(text));
        cr_assert_str_eq(text, rates[i]);
    }
}

Test(property_table, rates_above_a_million_a_second_are_refused_in_every_unit)
{
    static const char *const rates[] = {"1000000.001/s", "1000001/s", "60000001/m", "3600000001/h"};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); ++i) {
        uint64_t value;

        cr_assert_eq(parse(WR_RATE, rates[i], &value), WEIR_E_CONFIG, "%s", rates[i]);
        cr_assert_not_null(strstr(error.message, "give less"), "%s", error.message);
    }
}

Test(property_table, random_values_come_back_as_they_were)
{
    uint64_t seed = 1;

    for (int round = 0; round < 1000; ++round) {
        for (int key = 0; key < WR_KEY_COUNT; ++key) {
            const struct wr_property *const property = &wr_properties[key];
            char text[LITERAL_MAX];
            uint64_t value;
            uint64_t again;

            if (!is_number(property)) {
                continue;
            }
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            value = property->min + (seed >> 8U) % (property->max - property->min + 1);
            wr_property_format((enum wr_key)key, value, text, sizeof(text));
            cr_assert_eq(parse(key, text, &again), WEIR_OK, "%s: %s", property->key, text);
            cr_assert_eq(again, value);
        }
    }
}
