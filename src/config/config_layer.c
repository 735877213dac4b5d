/*
 * From events to the settings of one layer (defaults, or one dependency).
 *
 * Leaves keys and values to the property table. Nested keys become dotted ones:
 * breaker: {window: {span: 5s}} is the setting breaker.window.span. A switch written as a block
 * that holds no setting is switched on. Every failure names the place of the key or of the value
 * that is wrong.
 */
#include "config/config_layer.h"

#include "base/fail.h"
#include "command/property.h"
#include "config/config_key.h"

#include <stdio.h>
#include <string.h>

enum {
    KEY_LENGTH = 64,                                      /* longer keys are unknown anyhow */
    PATH_SIZE = (WR_CONFIG_DEPTH + 1) * (KEY_LENGTH + 1), /* the keys of all levels, with dots */
    SEEN_MAX = 2 * WR_KEY_COUNT                           /* settings and blocks of one layer */
};

/* A mapping inside a layer. */
struct block {
    size_t outer_length; /* of the path round it */
    size_t settings;     /* of the file before it */
    struct wr_path path;
    struct wr_place key;
};

/* One layer of settings: defaults, or one dependency. */
struct layer {
    const char *dependency; /* NULL: defaults */
    char path[PATH_SIZE];   /* of the innermost block, then of the key */
    size_t length;
    struct block blocks[WR_CONFIG_DEPTH];
    size_t depth;
    struct {
        struct wr_path path;
        uint32_t line;
    } seen[SEEN_MAX];
    size_t seen_count;
};

weir_status wr_walk_no_memory(const struct wr_walk *walk)
{
    return wr_fail(walk->error, WEIR_E_MEMORY, "out of memory while reading %s",
                   walk->config->file);
}

weir_status wr_walk_check_key(const struct wr_walk *walk, const struct wr_event *key)
{
    if (key->kind != WR_EVENT_SCALAR) {
        return wr_events_fail(&walk->events, key->at, "a mapping is no key: write `name: value`");
    }
    if (strlen(key->text) > KEY_LENGTH) {
        return wr_events_fail(&walk->events, key->at,
                              "\"%.64s...\" is too long for a name: at most %d bytes", key->text,
                              KEY_LENGTH);
    }
    return WEIR_OK;
}

/* Note that the path is used in this layer; twice is an error. */
static weir_status note_path(const struct wr_walk *walk, struct layer *layer, struct wr_path path,
                             struct wr_place at)
{
    for (size_t i = 0; i < layer->seen_count; ++i) {
        if (layer->seen[i].path.index == path.index && layer->seen[i].path.length == path.length) {
            return wr_events_fail(&walk->events, at,
                                  "%s is given twice, first in line %u: remove "
                                  "one",
                                  layer->path, (unsigned int)layer->seen[i].line);
        }
    }
    layer->seen[layer->seen_count].path = path;
    layer->seen[layer->seen_count].line = at.line;
    ++layer->seen_count;
    return WEIR_OK;
}

/* Append the key to the layer's path and look it up. */
static weir_status enter_key(const struct wr_walk *walk, struct layer *layer,
                             const struct wr_event *key, struct wr_path *ret_path)
{
    const weir_status status = wr_walk_check_key(walk, key);
    char advice[96];

    if (status != WEIR_OK) {
        return status;
    }
    layer->length +=
        (size_t)snprintf(layer->path + layer->length, sizeof(layer->path) - layer->length, "%s%s",
                         layer->length > 0 ? "." : "", key->text);
    if (!wr_path_find(layer->path, layer->length, ret_path)) {
        wr_path_suggest(layer->path, advice, sizeof(advice));
        return wr_events_fail(&walk->events, key->at, "unknown key \"%.128s\": %s", layer->path,
                              advice);
    }
    return note_path(walk, layer, *ret_path, key->at);
}

static weir_status add_setting(struct wr_walk *walk, const struct layer *layer, int index,
                               const char *text, struct wr_place at)
{
    struct weir_config *const config = walk->config;
    const char *const value = wr_arena_text(&config->strings, text, strlen(text));
    weir_setting *const settings =
        wr_vector_grow(config->settings, config->count, &config->capacity, sizeof(*settings));

    config->settings = settings != NULL ? settings : config->settings;
    if (value == NULL || settings == NULL) {
        return wr_walk_no_memory(walk);
    }
    settings[config->count++] = (weir_setting){.dependency = layer->dependency,
                                               .key = wr_properties[index].key,
                                               .value = value,
                                               .file = config->file,
                                               .line = at.line,
                                               .column = at.column};
    return WEIR_OK;
}

static weir_status take_value(struct wr_walk *walk, const struct layer *layer, struct wr_path path,
                              const struct wr_event *value)
{
    const struct wr_property *const property = &wr_properties[path.index];
    const bool block = wr_path_is_block(path);
    uint64_t number;
    weir_status status;

    if (!wr_path_is_setting(path)) {
        return wr_events_fail(&walk->events, value->at,
                              "%s is a block: write %s: {key: value, ...}", layer->path,
                              layer->path);
    }
    if (value->absent) {
        return wr_events_fail(&walk->events, value->at, "%s has no value: give %s, e.g. %s",
                              layer->path, block ? "a block, on or off" : "one",
                              block ? "{}" : property->default_text);
    }
    status = wr_property_parse((enum wr_key)path.index, value->text, &number, walk->error);
    if (status != WEIR_OK) {
        (void)wr_fail_at(walk->error, walk->config->file, value->at.line, value->at.column);
        return status;
    }
    return add_setting(walk, layer, path.index, value->text, value->at);
}

static weir_status open_block(const struct wr_walk *walk, struct layer *layer, struct wr_path path,
                              const struct wr_event *key, size_t outer_length)
{
    if (!wr_path_is_block(path)) {
        return wr_events_fail(&walk->events, key->at,
                              "%s is one value, not a block: write e.g. %s: %s", layer->path,
                              layer->path, wr_properties[path.index].default_text);
    }
    layer->blocks[layer->depth++] = (struct block){.outer_length = outer_length,
                                                   .settings = walk->config->count,
                                                   .path = path,
                                                   .key = key->at};
    return WEIR_OK;
}

static weir_status close_block(struct wr_walk *walk, struct layer *layer)
{
    const struct block *const block = &layer->blocks[--layer->depth];
    weir_status status = WEIR_OK;

    if (walk->config->count == block->settings && wr_path_is_setting(block->path)) {
        status = add_setting(walk, layer, block->path.index, "on", block->key);
    }
    layer->length = block->outer_length;
    layer->path[layer->length] = '\0';
    return status;
}

/* One key with its value, or with the beginning of its block. */
static weir_status walk_pair(struct wr_walk *walk, struct layer *layer, const struct wr_event *key)
{
    const size_t outer_length = layer->length;
    const struct wr_event at_key = {.kind = key->kind, .at = key->at};
    struct wr_path path = {0, 0};
    struct wr_event value;
    weir_status status = enter_key(walk, layer, key, &path);

    if (status == WEIR_OK) {
        status = wr_events_next(&walk->events, &value);
    }
    if (status != WEIR_OK) {
        return status;
    }
    if (value.kind == WR_EVENT_BEGIN) {
        return open_block(walk, layer, path, &at_key, outer_length);
    }
    status = take_value(walk, layer, path, &value);
    layer->length = outer_length;
    layer->path[outer_length] = '\0';
    return status;
}

weir_status wr_walk_layer(struct wr_walk *walk, const char *dependency)
{
    struct layer layer = {.dependency = dependency};
    struct wr_event event;
    weir_status status = wr_events_next(&walk->events, &event);

    if (status == WEIR_OK && event.kind != WR_EVENT_BEGIN) {
        return wr_events_fail(&walk->events, event.at,
                              "%s: a block of settings is due: write {} if there are none",
                              dependency != NULL ? dependency : "defaults");
    }
    while (status == WEIR_OK) {
        status = wr_events_next(&walk->events, &event);
        if (status != WEIR_OK) {
            break;
        }
        if (event.kind != WR_EVENT_END) {
            status = walk_pair(walk, &layer, &event);
        } else if (layer.depth > 0) {
            status = close_block(walk, &layer);
        } else {
            break;
        }
    }
    return status;
}
