/*
 * Reading and writing values by the property table. See property.h.
 */
#include "command/property.h"

#include "base/fail.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const wr_choices_mode[] = {"on", "observe", "off", NULL};
static const char *const wr_choices_isolation[] = {"inline", "thread", NULL};
static const char *const wr_choices_window[] = {"time", "count", NULL};
static const char *const wr_choices_rate[] = {"bucket", "pacing", "window", NULL};

const struct wr_property wr_properties[WR_KEY_COUNT] = {
#define PROPERTY_ROW(symbol, key_, type_, choices_, off, min_, max_, default_, reload_, doc_) \
    [symbol] = {.key = (key_),                                                                \
                .type = WR_TYPE_##type_,                                                      \
                .choices = (choices_),                                                        \
                .off_allowed = (off),                                                         \
                .min = (min_),                                                                \
                .max = (max_),                                                                \
                .default_text = (default_),                                                   \
                .reload = WR_RELOAD_##reload_,                                                \
                .doc = (doc_)},
    WR_PROPERTIES(PROPERTY_ROW)
#undef PROPERTY_ROW
};

enum { RATE_UNIT_BITS = 2, RATE_UNIT_MASK = 3, RATE_PER_S_MAX = 1000000 };

/* By the value's unit bits; the last is not used. */
static const uint64_t rate_units_ns[] = {1000000000, 60000000000, 3600000000000, 1};

uint64_t wr_rate_milli(uint64_t value)
{
    return value >> RATE_UNIT_BITS;
}

uint64_t wr_rate_per_ns(uint64_t value)
{
    return rate_units_ns[value & RATE_UNIT_MASK];
}

int wr_property_find(const char *key)
{
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        if (strcmp(wr_properties[i].key, key) == 0) {
            return i;
        }
    }
    return -1;
}

const char *wr_property_nearest(const char *key)
{
    const char *names[WR_KEY_COUNT];

    /* The last part alone is what people write first: open_for means breaker.open_for. */
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        const char *const dot = strrchr(wr_properties[i].key, '.');

        if (dot != NULL && strcmp(dot + 1, key) == 0) {
            return wr_properties[i].key;
        }
        names[i] = wr_properties[i].key;
    }
    return wr_text_nearest(key, names, WR_KEY_COUNT);
}

const char *wr_type_name(enum wr_type type)
{
    static const char *const names[] = {
        "on or off",    "choice",       "duration (ns us ms s m h)", "percent (50%)",
        "factor (1.5)", "whole number", "size (B KiB MiB)",          "rate (100/s, 30/m, 10/h)"};

    return names[type];
}

const char *wr_reload_name(enum wr_reload reload)
{
    static const char *const names[] = {
        "live: the next call uses it",
        "live: the window is kept, judged at the next recording",
        "live: used when the breaker next opens or admits a trial",
        "live: a new shape empties the window; a new size keeps the newest outcomes",
        "live: the tokens available are kept, up to the new burst",
        "live: switching on begins anew",
        "live: grows at once; workers that are too many leave as they fall idle",
        "live: grows at once, shrinks at a restart",
        "live: used the next time that it is needed",
        "restart only"};

    return names[reload];
}

static bool parse_choice(const struct wr_property *property, const char *text, uint64_t *ret_value)
{
    for (uint64_t i = 0; property->choices[i] != NULL; ++i) {
        if (strcmp(property->choices[i], text) == 0) {
            *ret_value = i;
            return true;
        }
    }
    return false;
}

static bool parse_switch(const char *text, uint64_t *ret_value)
{
    if (strcmp(text, "on") == 0 || strcmp(text, "off") == 0) {
        *ret_value = strcmp(text, "on") == 0 ? 1 : 0;
        return true;
    }
    return false;
}

static bool parse_rate(const char *text, uint64_t *ret_value)
{
    uint64_t milli;
    uint64_t per_ns;

    if (!wr_text_rate(text, &milli, &per_ns) || milli > UINT64_MAX >> RATE_UNIT_BITS) {
        return false;
    }
    *ret_value = milli << RATE_UNIT_BITS;
    while (wr_rate_per_ns(*ret_value) != per_ns) {
        *ret_value += 1;
    }
    return true;
}

static bool parse_number(const struct wr_property *property, const char *text, uint64_t *ret_value)
{
    if (property->off_allowed && strcmp(text, "off") == 0) {
        *ret_value = WR_OFF;
        return true;
    }
    switch (property->type) {
    case WR_TYPE_SWITCH:
        return parse_switch(text, ret_value);
    case WR_TYPE_CHOICE:
        return parse_choice(property, text, ret_value);
    case WR_TYPE_DURATION:
        return wr_text_duration(text, ret_value);
    case WR_TYPE_PERCENT:
        return wr_text_percent(text, ret_value);
    case WR_TYPE_FACTOR:
        return wr_text_factor(text, ret_value);
    case WR_TYPE_COUNT:
        return wr_text_count(text, ret_value);
    case WR_TYPE_SIZE:
        return wr_text_size(text, ret_value);
    case WR_TYPE_RATE:
        return parse_rate(text, ret_value);
    default:
        return false;
    }
}

static weir_status malformed(const struct wr_property *property, const char *text,
                             weir_error *error)
{
    char choices[96] = "";

    for (size_t i = 0; property->choices != NULL && property->choices[i] != NULL; ++i) {
        const size_t length = strlen(choices);

        (void)snprintf(choices + length, sizeof(choices) - length, "%s%s", i == 0 ? "" : ", ",
                       property->choices[i]);
    }
    return wr_fail(error, WEIR_E_CONFIG, "%s: \"%.64s\" is not one: give %s%s%s%s", property->key,
                   text, property->choices != NULL ? choices : wr_type_name(property->type),
                   property->off_allowed ? ", or off" : "",
                   property->choices != NULL ? "" : ", e.g. ",
                   property->choices != NULL ? "" : property->default_text);
}

static bool in_range(const struct wr_property *property, uint64_t value)
{
    if (property->type == WR_TYPE_RATE) {
        const uint64_t per_s = wr_rate_per_ns(value) / rate_units_ns[0];

        return wr_rate_milli(value) / 1000 <= RATE_PER_S_MAX * per_s &&
               wr_rate_milli(value) <= RATE_PER_S_MAX * 1000ULL * per_s;
    }
    if (property->off_allowed && value == WR_OFF) {
        return true;
    }
    return value >= property->min && value <= property->max;
}

weir_status wr_property_parse(enum wr_key key, const char *text, uint64_t *ret_value,
                              weir_error *error)
{
    const struct wr_property *const property = &wr_properties[key];
    uint64_t value;
    char low[48];
    char high[48];

    if (!parse_number(property, text, &value)) {
        return malformed(property, text, error);
    }
    if (!in_range(property, value)) {
        if (property->type == WR_TYPE_RATE) {
            return wr_fail(error, WEIR_E_CONFIG, "%s: %.64s is above 1000000/s: give less",
                           property->key, text);
        }
        wr_property_format(key, property->min, low, sizeof(low));
        wr_property_format(key, property->max, high, sizeof(high));
        return wr_fail(error, WEIR_E_CONFIG, "%s: %.64s is out of range: give %s to %s",
                       property->key, text, low, high);
    }
    *ret_value = value;
    return WEIR_OK;
}

/* value / scale with as many decimals as it needs. */
static void put_decimal(char *buffer, size_t size, uint64_t value, uint64_t scale, const char *unit)
{
    char digits[24] = "";
    uint64_t rest = value % scale;

    for (size_t at = 0; rest != 0 && at + 1 < sizeof(digits); ++at) {
        rest *= 10;
        digits[at] = (char)('0' + rest / scale);
        rest %= scale;
    }
    (void)snprintf(buffer, size, "%" PRIu64 "%s%s%s", value / scale, digits[0] != '\0' ? "." : "",
                   digits, unit);
}

void wr_property_format(enum wr_key key, uint64_t value, char *buffer, size_t size)
{
    static const char *const per[] = {"/s", "/m", "/h"};
    const struct wr_property *const property = &wr_properties[key];

    if (property->off_allowed && value == WR_OFF) {
        (void)snprintf(buffer, size, "off");
        return;
    }
    switch (property->type) {
    case WR_TYPE_SWITCH:
        (void)snprintf(buffer, size, "%s", value != 0 ? "on" : "off");
        break;
    case WR_TYPE_CHOICE:
        (void)snprintf(buffer, size, "%s", property->choices[value]);
        break;
    case WR_TYPE_DURATION:
        (void)wr_text_put_duration(buffer, size, value);
        break;
    case WR_TYPE_PERCENT:
        put_decimal(buffer, size, value, 10000, "%");
        break;
    case WR_TYPE_FACTOR:
        put_decimal(buffer, size, value, 1000000, "");
        break;
    case WR_TYPE_COUNT:
        (void)snprintf(buffer, size, "%" PRIu64, value);
        break;
    case WR_TYPE_SIZE:
        (void)wr_text_put_size(buffer, size, value);
        break;
    case WR_TYPE_RATE:
        put_decimal(buffer, size, wr_rate_milli(value), 1000, per[value & RATE_UNIT_MASK]);
        break;
    default:
        break;
    }
}
