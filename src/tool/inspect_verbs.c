/*
 * weir check and weir explain: what a file says, and what that means for a dependency.
 */
#include "tool/verbs.h"

#include "base/text.h"

#include <weir/config.h>
#include <weir/dependency.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXPLAIN_BYTES = 16384 };

int wr_verb_check(char *const arguments[])
{
    weir_config *config = NULL;
    weir_error error;
    size_t settings = 0;
    size_t dependencies;

    if (weir_config_read(arguments[0], &config, &error) != WEIR_OK) {
        return wr_tool_fail(&error);
    }
    (void)weir_config_settings(config, &settings);
    dependencies = weir_config_dependency_count(config);
    (void)printf("%s: ok, %zu %s, %zu %s\n", arguments[0], dependencies,
                 dependencies == 1 ? "dependency" : "dependencies", settings,
                 settings == 1 ? "setting" : "settings");
    weir_config_destroy(config);
    return wr_tool_finish();
}

/*
 * The dependency that `path` begins with, and the key after it (NULL: none). Names may hold dots,
 * so the longest one wins.
 */
static const char *split_path(const weir_config *config, const char *path, const char **ret_key)
{
    const char *found = NULL;
    size_t found_length = 0;

    for (size_t i = 0; i < weir_config_dependency_count(config); ++i) {
        const char *const name = weir_config_dependency(config, i);
        const size_t length = strlen(name);

        if (strncmp(path, name, length) == 0 && (path[length] == '.' || path[length] == '\0') &&
            (found == NULL || length > found_length)) {
            found = name;
            found_length = length;
        }
    }
    *ret_key = found != NULL && path[found_length] == '.' ? path + found_length + 1 : NULL;
    return found;
}

static int no_such_dependency(const weir_config *config, const char *file, const char *path)
{
    const size_t count = weir_config_dependency_count(config);
    const char **const names = calloc(count + 1, sizeof(*names));
    const char *nearest = NULL;

    for (size_t i = 0; names != NULL && i < count; ++i) {
        names[i] = weir_config_dependency(config, i);
    }
    if (names != NULL) {
        char head[65];

        /* The name alone, if a key follows it. */
        (void)snprintf(head, sizeof(head), "%.*s", (int)strcspn(path, "."), path);
        nearest = wr_text_nearest(head, names, count);
        nearest = nearest != NULL ? nearest : wr_text_nearest(path, names, count);
    }
    (void)fprintf(stderr, "weir: no dependency of %s is called \"%s\"%s%s%s\n", file, path,
                  nearest != NULL ? ": did you mean " : "", nearest != NULL ? nearest : "",
                  nearest != NULL ? "?" : "");
    free(names);
    return WR_EXIT_USAGE;
}

static int explain(weir_runtime *runtime, const char *name, const char *key)
{
    static char text[EXPLAIN_BYTES];
    const weir_status status =
        weir_dependency_explain(weir_dependency_find(runtime, name), key, text, sizeof(text));
    size_t length = strlen(text);

    while (length > 0 && text[length - 1] == '\n') {
        text[--length] = '\0';
    }
    if (status == WEIR_E_ARGUMENT) {
        (void)fprintf(stderr, "weir: %s\n", text);
        return WR_EXIT_USAGE;
    }
    (void)puts(text);
    return wr_tool_finish();
}

static int explain_config(const weir_config *config, const char *file, const char *path)
{
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options)};
    weir_runtime *runtime = NULL;
    const char *key = NULL;
    const char *const name = split_path(config, path, &key);
    weir_error error;
    int code;

    if (name == NULL) {
        return no_such_dependency(config, file, path);
    }
    if (weir_runtime_create(&options, &runtime, &error) != WEIR_OK) {
        return wr_tool_fail(&error);
    }
    code = weir_config_load(config, runtime, &error) == WEIR_OK ? explain(runtime, name, key)
                                                                : wr_tool_fail(&error);
    weir_runtime_destroy(runtime);
    return code;
}

int wr_verb_explain(char *const arguments[])
{
    weir_config *config = NULL;
    weir_error error;
    int code;

    if (weir_config_read(arguments[0], &config, &error) != WEIR_OK) {
        return wr_tool_fail(&error);
    }
    code = explain_config(config, arguments[0], arguments[1]);
    weir_config_destroy(config);
    return code;
}
