/*
 * The public face of weir-config: read, hand out, load. See weir/config.h.
 */
#include <weir/config.h>

#include "config/config_model.h"

#include "base/fail.h"

#include <weir/dependency.h>

#include <string.h>

weir_status weir_config_parse(const char *name, const char *text, size_t length,
                              weir_config **ret_config, weir_error *error)
{
    const char *const file = name != NULL ? name : "(text)";
    weir_config *config;
    weir_status status;

    if (ret_config == NULL || (text == NULL && length > 0)) {
        return wr_fail(error, WEIR_E_ARGUMENT, "weir_config_parse: give a text and a ret_config");
    }
    if (length > WR_CONFIG_BYTES) {
        (void)wr_fail(error, WEIR_E_TOO_LARGE, "more than %d bytes: split the file",
                      WR_CONFIG_BYTES);
        (void)wr_fail_at(error, file, 0, 0);
        return WEIR_E_TOO_LARGE;
    }
    config = wr_config_memory.allocate(sizeof(*config));
    if (config == NULL) {
        return wr_fail(error, WEIR_E_MEMORY, "out of memory while reading %s", file);
    }
    memset(config, 0, sizeof(*config));
    config->file = wr_arena_text(&config->strings, file, strlen(file));
    status = config->file != NULL ? wr_config_walk(config, text != NULL ? text : "", length, error)
                                  : wr_fail(error, WEIR_E_MEMORY, "out of memory");
    if (status == WEIR_OK) {
        status = wr_config_check(config, error);
    }
    if (status != WEIR_OK) {
        weir_config_destroy(config);
        return status;
    }
    *ret_config = config;
    return WEIR_OK;
}

weir_status weir_config_read(const char *path, weir_config **ret_config, weir_error *error)
{
    char *text = NULL;
    size_t length = 0;
    weir_status status;

    if (path == NULL || ret_config == NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT, "weir_config_read: give a path and a ret_config");
    }
    status = wr_config_slurp(path, &text, &length, error);
    if (status == WEIR_OK) {
        status = weir_config_parse(path, text, length, ret_config, error);
        wr_config_memory.release(text);
    }
    return status;
}

void weir_config_destroy(weir_config *config)
{
    if (config == NULL) {
        return;
    }
    wr_arena_free(&config->strings);
    wr_config_memory.release(config->settings);
    wr_config_memory.release(config->dependencies);
    wr_config_memory.release(config);
}

const weir_setting *weir_config_settings(const weir_config *config, size_t *ret_count)
{
    if (ret_count != NULL) {
        *ret_count = config != NULL ? config->count : 0;
    }
    return config != NULL ? config->settings : NULL;
}

size_t weir_config_dependency_count(const weir_config *config)
{
    return config != NULL ? config->dependency_count : 0;
}

const char *weir_config_dependency(const weir_config *config, size_t index)
{
    return index < weir_config_dependency_count(config) ? config->dependencies[index] : NULL;
}

size_t weir_config_creation_settings(const weir_config *config, const char *name, char *buffer,
                                     size_t size)
{
    if (buffer != NULL && size > 0) {
        buffer[0] = '\0';
    }
    return config != NULL && name != NULL ? wr_config_birth(config, name, buffer, size) : 0;
}

static weir_status create(const weir_config *config, weir_runtime *runtime, const char *name,
                          weir_error *error)
{
    const size_t size = wr_config_birth(config, name, NULL, 0) + 1;
    char *const settings = wr_config_memory.allocate(size);
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;
    weir_status status;

    if (settings == NULL) {
        return wr_fail(error, WEIR_E_MEMORY, "out of memory while creating %s", name);
    }
    settings[0] = '\0';
    (void)wr_config_birth(config, name, settings, size);
    status = weir_dependency_create(runtime, name, &options, &dependency, error);
    wr_config_memory.release(settings);
    return status;
}

/* There is a dependency of this name afterwards, whoever made it. */
static weir_status ensure(const weir_config *config, weir_runtime *runtime, const char *name,
                          weir_error *error)
{
    weir_status status;

    if (weir_dependency_find(runtime, name) != NULL) {
        return WEIR_OK;
    }
    status = create(config, runtime, name, error);
    if (status == WEIR_E_ARGUMENT && weir_dependency_find(runtime, name) != NULL) {
        return WEIR_OK; /* another thread was faster */
    }
    return status;
}

weir_status weir_config_load(const weir_config *config, weir_runtime *runtime, weir_error *error)
{
    if (config == NULL || runtime == NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT, "weir_config_load: give a config and a runtime");
    }
    for (size_t i = 0; i < config->dependency_count; ++i) {
        const weir_status status = ensure(config, runtime, config->dependencies[i], error);

        if (status != WEIR_OK) {
            return status;
        }
    }
    return weir_runtime_apply(runtime, config->settings, config->count, error);
}
