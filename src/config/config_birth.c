/*
 * What a dependency of the file is born with. Most settings can be applied to a live dependency;
 * where its calls run cannot, so a dependency that is still to be created gets those first.
 */
#include "config/config_model.h"

#include "base/sink.h"
#include "command/property.h"

#include <string.h>

static bool is_given(const struct weir_config *config, const char *name, const char *key)
{
    for (size_t i = 0; i < config->count; ++i) {
        const weir_setting *const setting = &config->settings[i];

        if (setting->dependency != NULL && strcmp(setting->dependency, name) == 0 &&
            strcmp(setting->key, key) == 0) {
            return true;
        }
    }
    return false;
}

static bool belongs(const struct weir_config *config, const weir_setting *setting, const char *name)
{
    if (setting->dependency != NULL) {
        return strcmp(setting->dependency, name) == 0;
    }
    return wr_properties[wr_property_find(setting->key)].reload == WR_RELOAD_RESTART &&
           !is_given(config, name, setting->key);
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the sink writes to it */
size_t wr_config_birth(const struct weir_config *config, const char *name, char *buffer,
                       size_t size)
{
    struct wr_sink text = {.buffer = buffer, .size = size};

    for (size_t i = 0; i < config->count; ++i) {
        const weir_setting *const setting = &config->settings[i];

        if (belongs(config, setting, name)) {
            wr_sink_put(&text, "%s%s: %s", text.length > 0 ? ", " : "", setting->key,
                        setting->value);
        }
    }
    return text.length;
}
