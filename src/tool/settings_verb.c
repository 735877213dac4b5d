/*
 * weir settings: the property table as the page docs/settings.md.
 */
#include "tool/verbs.h"

#include "command/property.h"

#include <stdio.h>
#include <string.h>

enum { LITERAL_BYTES = 48 };

static void put_range(enum wr_key key)
{
    const struct wr_property *const property = &wr_properties[key];
    char low[LITERAL_BYTES];
    char high[LITERAL_BYTES];

    if (property->type == WR_TYPE_SWITCH) {
        (void)printf("`on`, `off`");
    } else if (property->type == WR_TYPE_CHOICE) {
        for (size_t i = 0; property->choices[i] != NULL; ++i) {
            (void)printf("%s`%s`", i > 0 ? ", " : "", property->choices[i]);
        }
    } else if (property->type == WR_TYPE_RATE) {
        (void)printf("`0/s` to `1000000/s`");
    } else {
        wr_property_format(key, property->min, low, sizeof(low));
        wr_property_format(key, property->max, high, sizeof(high));
        (void)printf("`%s` to `%s`%s", low, high, property->off_allowed ? ", or `off`" : "");
    }
}

static void put_row(enum wr_key key)
{
    const struct wr_property *const property = &wr_properties[key];

    (void)printf("| `%s` | %s | ", property->key, wr_type_name(property->type));
    put_range(key);
    (void)printf(" | `%s` | %s | %s |\n", property->default_text, property->doc,
                 wr_reload_name(property->reload));
}

int wr_verb_settings(char *const arguments[])
{
    (void)arguments;
    (void)fputs(
        "# Settings\n"
        "\n"
        "Every setting that exists. This page is printed by `weir settings` from the table that\n"
        "the library itself reads. A setting that is not given has its default; 0 means zero.\n"
        "In a file, a dot is a block: `breaker.open_for` is written `breaker: {open_for: 5s}`\n"
        "(docs/configuration.md). In code, keys are written as here.\n"
        "\n"
        "| key | type | range | default | meaning | change while running |\n"
        "|---|---|---|---|---|---|\n",
        stdout);
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        put_row((enum wr_key)i);
    }
    return wr_tool_finish();
}
