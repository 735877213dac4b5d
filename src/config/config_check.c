/*
 * Settings of a file against each other: span and buckets, trials and successes, ...
 *
 * The library judges a whole plan, so it cannot say which setting is wrong. Given again one by one
 * in file order, the last setting that turned a valid plan into an invalid one is.
 */
#include "config/config_model.h"

#include "base/fail.h"
#include "command/plan.h"

/* The settings of one layer, and where they are to be checked. */
struct part {
    const weir_setting *settings;
    size_t count;
    const char *name;
};

static const struct wr_layer nothing = {{0}, {0}};

/* The plan of a dependency with this layer over `defaults`; those NULL: the layer is the defaults,
 * of a dependency that gives nothing of its own. */
static weir_status plan_of(const struct wr_layer *defaults, const struct wr_layer *layer,
                           const char *name, weir_error *error)
{
    struct wr_plan plan;

    return defaults != NULL ? wr_plan_make(&plan, defaults, layer, name, error)
                            : wr_plan_make(&plan, layer, &nothing, name, error);
}

/* Make `ret_layer` of the first `count` settings. Each was checked when it was read. */
static void layer_of(const struct part *part, size_t count, struct wr_layer *ret_layer)
{
    *ret_layer = (struct wr_layer){0};
    for (size_t i = 0; i < count; ++i) {
        (void)wr_layer_set(ret_layer, part->settings[i].key, part->settings[i].value, NULL);
    }
}

/* The setting of an invalid layer that is to blame; it has at least one. */
static const weir_setting *culprit(const struct wr_layer *defaults, const struct part *part)
{
    size_t blamed = part->count - 1;
    struct wr_layer own;

    for (size_t count = part->count - 1; count > 0; --count) {
        layer_of(part, count, &own);
        if (plan_of(defaults, &own, part->name, NULL) == WEIR_OK) {
            break;
        }
        blamed = count - 1;
    }
    return &part->settings[blamed];
}

static weir_status check_part(const struct wr_layer *defaults, const struct part *part,
                              struct wr_layer *ret_layer, weir_error *error)
{
    weir_status status;
    const weir_setting *blamed;

    layer_of(part, part->count, ret_layer);
    status = plan_of(defaults, ret_layer, part->name, error);
    if (status == WEIR_OK || part->count == 0) {
        return status;
    }
    blamed = culprit(defaults, part);
    (void)wr_fail_at(error, blamed->file, blamed->line, blamed->column);
    return status;
}

weir_status wr_config_check(const struct weir_config *config, weir_error *error)
{
    struct part part = {.settings = config->settings, .name = "defaults"};
    size_t at = 0;
    struct wr_layer defaults;
    struct wr_layer own;
    weir_status status;

    while (at < config->count && config->settings[at].dependency == NULL) {
        ++at;
    }
    part.count = at;
    status = check_part(NULL, &part, &defaults, error);
    while (status == WEIR_OK && at < config->count) {
        part.settings = &config->settings[at];
        part.name = config->settings[at].dependency;
        for (part.count = 0; at < config->count && config->settings[at].dependency == part.name;) {
            ++at;
            ++part.count;
        }
        status = check_part(&defaults, &part, &own, error);
    }
    return status;
}
