/*
 * From events to settings: the shape of the file. See config_layer.c for what stands in a layer.
 */
#include "config/config_layer.h"

#include "base/fail.h"
#include "base/text.h"
#include "config/config_key.h"

#include <string.h>

enum { NAME_LENGTH = 64 }; /* of a dependency */

static bool valid_name(const char *name)
{
    const size_t length = strlen(name);

    return length >= 1 && length <= NAME_LENGTH &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
               length;
}

static weir_status add_dependency(struct wr_walk *walk, const struct wr_event *key)
{
    struct weir_config *const config = walk->config;
    const char **names;
    const char *name;

    if (key->kind != WR_EVENT_SCALAR || !valid_name(key->text)) {
        return wr_events_fail(
            &walk->events, key->at,
            "\"%.64s\" cannot name a dependency: use 1 to %d of A-Z a-z 0-9 _ . -",
            key->kind == WR_EVENT_SCALAR ? key->text : "{", NAME_LENGTH);
    }
    for (size_t i = 0; i < config->dependency_count; ++i) {
        if (strcmp(config->dependencies[i], key->text) == 0) {
            return wr_events_fail(&walk->events, key->at,
                                  "dependency %s is given twice: join the two blocks", key->text);
        }
    }
    if (config->dependency_count == WR_CONFIG_DEPENDENCIES) {
        return wr_events_fail(&walk->events, key->at,
                              "more than %d dependencies: the rest would "
                              "have no name of its own",
                              WR_CONFIG_DEPENDENCIES);
    }
    name = wr_arena_text(&config->strings, key->text, strlen(key->text));
    names = wr_vector_grow(config->dependencies, config->dependency_count,
                           &config->dependency_capacity, sizeof(*names));
    config->dependencies = names != NULL ? names : config->dependencies;
    if (name == NULL || names == NULL) {
        return wr_walk_no_memory(walk);
    }
    names[config->dependency_count++] = name;
    return WEIR_OK;
}

static weir_status walk_dependencies(struct wr_walk *walk)
{
    struct wr_event event;
    weir_status status = wr_events_next(&walk->events, &event);

    if (status == WEIR_OK && event.kind != WR_EVENT_BEGIN) {
        return wr_events_fail(&walk->events, event.at,
                              "dependencies: a block of names is due: write {} if there are none");
    }
    while (status == WEIR_OK) {
        status = wr_events_next(&walk->events, &event);
        if (status == WEIR_OK && event.kind == WR_EVENT_END) {
            break;
        }
        if (status == WEIR_OK) {
            status = add_dependency(walk, &event);
        }
        if (status == WEIR_OK) {
            status =
                wr_walk_layer(walk, walk->config->dependencies[walk->config->dependency_count - 1]);
        }
    }
    return status;
}

static weir_status walk_version(struct wr_walk *walk)
{
    struct wr_event value;
    const weir_status status = wr_events_next(&walk->events, &value);

    if (status == WEIR_OK && (value.kind != WR_EVENT_SCALAR || strcmp(value.text, "1") != 0)) {
        return wr_events_fail(&walk->events, value.at,
                              "this version of the format is not known: write version: 1");
    }
    return status;
}

enum part { PART_VERSION, PART_DEFAULTS, PART_DEPENDENCIES, PART_COUNT };

static const char *const part_names[PART_COUNT] = {"version", "defaults", "dependencies"};

static enum part part_of(const char *name)
{
    int part = 0;

    while (part < PART_COUNT && strcmp(name, part_names[part]) != 0) {
        ++part;
    }
    return (enum part)part;
}

static weir_status unknown_part(const struct wr_walk *walk, const struct wr_event *key)
{
    const char *const nearest = wr_text_nearest(key->text, part_names, PART_COUNT);
    struct wr_path path;

    if (wr_path_find(key->text, strlen(key->text), &path)) {
        return wr_events_fail(&walk->events, key->at,
                              "%s is a setting: write it under defaults: or under dependencies: "
                              "NAME:",
                              key->text);
    }
    return wr_events_fail(&walk->events, key->at, "unknown key \"%.64s\": did you mean %s?",
                          key->text,
                          nearest != NULL ? nearest : "version, defaults or dependencies");
}

/* Which part of the file a key begins; each once. */
static weir_status take_part(const struct wr_walk *walk, const struct wr_event *key, bool *seen,
                             enum part *ret_part)
{
    const weir_status status = wr_walk_check_key(walk, key);
    enum part part;

    if (status != WEIR_OK) {
        return status;
    }
    part = part_of(key->text);
    if (part == PART_COUNT) {
        return unknown_part(walk, key);
    }
    if (seen[part]) {
        return wr_events_fail(&walk->events, key->at, "%s is given twice: remove one", key->text);
    }
    seen[part] = true;
    *ret_part = part;
    return WEIR_OK;
}

static weir_status walk_part(struct wr_walk *walk, enum part part)
{
    switch (part) {
    case PART_VERSION:
        return walk_version(walk);
    case PART_DEFAULTS:
        return wr_walk_layer(walk, NULL);
    case PART_DEPENDENCIES:
    case PART_COUNT:
    default:
        return walk_dependencies(walk);
    }
}

/* The document's mapping, and nothing after it. */
static weir_status walk_file(struct wr_walk *walk)
{
    static const struct wr_place start = {1, 1};
    bool seen[PART_COUNT] = {false};
    enum part part = PART_VERSION;
    struct wr_event event;
    weir_status status = wr_events_next(&walk->events, &event);

    if (status == WEIR_OK && event.kind != WR_EVENT_BEGIN) {
        return wr_events_fail(&walk->events, event.at,
                              "no configuration: begin with a line \"version: 1\"");
    }
    while (status == WEIR_OK) {
        status = wr_events_next(&walk->events, &event);
        if (status == WEIR_OK && event.kind == WR_EVENT_END) {
            break;
        }
        if (status == WEIR_OK) {
            status = take_part(walk, &event, seen, &part);
        }
        if (status == WEIR_OK) {
            status = walk_part(walk, part);
        }
    }
    if (status == WEIR_OK && !seen[PART_VERSION]) {
        return wr_events_fail(&walk->events, start, "no version: add a line \"version: 1\"");
    }
    if (status == WEIR_OK) {
        status = wr_events_next(&walk->events, &event);
    }
    if (status == WEIR_OK && event.kind != WR_EVENT_FINISH) {
        return wr_events_fail(&walk->events, event.at,
                              "a second document begins here: one file is one document");
    }
    return status;
}

/* Move the settings of defaults to the front; they are one run. */
static void defaults_first(struct weir_config *config)
{
    size_t first = 0;
    size_t end;

    while (first < config->count && config->settings[first].dependency != NULL) {
        ++first;
    }
    for (end = first; end < config->count && config->settings[end].dependency == NULL; ++end) {
        const weir_setting moved = config->settings[end];

        memmove(&config->settings[end - first + 1], &config->settings[end - first],
                first * sizeof(moved));
        config->settings[end - first] = moved;
    }
}

weir_status wr_config_walk(struct weir_config *config, const char *text, size_t length,
                           weir_error *error)
{
    struct wr_walk walk = {.config = config, .error = error};
    weir_status status = wr_events_open(&walk.events, config->file, text, length, error);

    if (status != WEIR_OK) {
        return status;
    }
    status = walk_file(&walk);
    wr_events_close(&walk.events);
    defaults_first(config);
    return status;
}
