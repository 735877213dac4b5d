/*
 * Literals with units. See text.h.
 */
#include "base/text.h"

#include "base/wide.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t ns;
};

static const struct unit units[] = {
    {"ns", 1},         {"us", 1000},       {"ms", 1000000},
    {"s", 1000000000}, {"m", 60000000000}, {"h", 3600000000000},
};
enum { UNIT_COUNT = sizeof(units) / sizeof(units[0]), NAME_MAX_LENGTH = 64 };

/* Decimals that are read; more must be zeroes. */
enum { DECIMALS_MAX = 18 };

/* A decimal number: whole + part / power. */
struct decimal {
    wr_u128 whole;
    wr_u128 part;
    wr_u128 power;
};

/* Read the digits after a point; NULL if there are none or too many that matter. */
static const char *read_part(const char *at, struct decimal *number)
{
    const char *const first = at;

    for (int n = 0; *at >= '0' && *at <= '9'; ++at, ++n) {
        if (n < DECIMALS_MAX) {
            number->part = number->part * 10 + (unsigned)(*at - '0');
            number->power *= 10;
        } else if (*at != '0') {
            return NULL;
        }
    }
    return at == first ? NULL : at;
}

/*
 * Read a decimal number and return its value times `scale` and the text after it; NULL if there are
 * no digits, it is not whole at that scale, or it does not fit.
 */
static const char *scaled(const char *text, uint64_t scale, uint64_t *ret_value)
{
    struct decimal number = {.power = 1};
    const char *at = text;
    wr_u128 value;

    for (; *at >= '0' && *at <= '9'; ++at) {
        number.whole = number.whole * 10 + (unsigned)(*at - '0');
        if (number.whole > UINT64_MAX) {
            return NULL;
        }
    }
    if (at == text) {
        return NULL;
    }
    if (*at == '.') {
        at = read_part(at + 1, &number);
    }
    value = number.whole * scale + number.part * scale / number.power;
    if (at == NULL || number.part * scale % number.power != 0 || value > UINT64_MAX) {
        return NULL;
    }
    *ret_value = (uint64_t)value;
    return at;
}

static bool ends_with(const char *rest, const char *unit)
{
    return rest != NULL && strcmp(rest, unit) == 0;
}

bool wr_text_duration(const char *text, uint64_t *ret_ns)
{
    const size_t digits = strspn(text, "0123456789.");

    for (size_t i = 0; i < UNIT_COUNT; ++i) {
        uint64_t value;

        if (strcmp(text + digits, units[i].name) == 0 &&
            ends_with(scaled(text, units[i].ns, &value), units[i].name)) {
            *ret_ns = value;
            return true;
        }
    }
    return false;
}

static bool with_unit(const char *text, uint64_t scale, const char *unit, uint64_t *ret_value)
{
    uint64_t value;

    if (!ends_with(scaled(text, scale, &value), unit)) {
        return false;
    }
    *ret_value = value;
    return true;
}

bool wr_text_percent(const char *text, uint64_t *ret_ppm)
{
    return with_unit(text, 10000, "%", ret_ppm);
}

bool wr_text_factor(const char *text, uint64_t *ret_ppm)
{
    return with_unit(text, 1000000, "", ret_ppm);
}

bool wr_text_count(const char *text, uint64_t *ret_count)
{
    return strchr(text, '.') == NULL && with_unit(text, 1, "", ret_count);
}

static const struct {
    const char *name;
    uint64_t bytes;
} size_units[] = {{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}};
enum { SIZE_UNIT_COUNT = sizeof(size_units) / sizeof(size_units[0]) };

bool wr_text_size(const char *text, uint64_t *ret_bytes)
{
    for (size_t i = 0; i < SIZE_UNIT_COUNT; ++i) {
        if (with_unit(text, size_units[i].bytes, size_units[i].name, ret_bytes)) {
            return true;
        }
    }
    return false;
}

int wr_text_put_size(char *buffer, size_t size, uint64_t bytes)
{
    size_t unit = SIZE_UNIT_COUNT - 1;

    while (unit > 0 && (bytes % size_units[unit].bytes != 0 || bytes == 0)) {
        --unit;
    }
    return snprintf(buffer, size, "%" PRIu64 "%s", bytes / size_units[unit].bytes,
                    size_units[unit].name);
}

bool wr_text_rate(const char *text, uint64_t *ret_milli, uint64_t *ret_per_ns)
{
    static const char *const suffixes[] = {"/s", "/m", "/h"};

    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); ++i) {
        if (with_unit(text, 1000, suffixes[i], ret_milli)) {
            *ret_per_ns = units[3 + i].ns;
            return true;
        }
    }
    return false;
}

int wr_text_put_duration(char *buffer, size_t size, uint64_t ns)
{
    size_t unit = UNIT_COUNT - 1;

    while (unit > 0 && (ns % units[unit].ns != 0 || ns == 0)) {
        --unit;
    }
    if (ns == 0) {
        unit = 2; /* "0ms" */
    }
    return snprintf(buffer, size, "%" PRIu64 "%s", ns / units[unit].ns, units[unit].name);
}

/* Levenshtein distance of names of at most NAME_MAX_LENGTH bytes. */
static size_t distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t row[NAME_MAX_LENGTH + 1];

    for (size_t j = 0; j <= b_length; ++j) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_length; ++i) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= b_length; ++j) {
            const size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            const size_t gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;

            diagonal = row[j];
            row[j] = change < gap ? change : gap;
        }
    }
    return row[b_length];
}

const char *wr_text_nearest(const char *text, const char *const *names, size_t count)
{
    const size_t length = strlen(text);
    const char *best = NULL;
    size_t best_distance = length / 2 + 2;

    if (length > NAME_MAX_LENGTH) {
        return NULL;
    }
    for (size_t i = 0; i < count; ++i) {
        const size_t name_length = strlen(names[i]);
        size_t d;

        if (name_length > NAME_MAX_LENGTH) {
            continue;
        }
        d = distance(text, length, names[i], name_length);
        if (d < best_distance) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
