/*
 * Looking up paths in the property table, which lists a switch before the keys of its block. See
 * config_key.h.
 */
#include "config/config_key.h"

#include "command/property.h"

#include <stdio.h>
#include <string.h>

/* Does `key` begin with the path, followed by `after`? */
static bool begins(const char *key, const char *path, size_t length, char after)
{
    return strncmp(key, path, length) == 0 && key[length] == after;
}

bool wr_path_find(const char *text, size_t length, struct wr_path *ret_path)
{
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        const char *const key = wr_properties[i].key;

        if (begins(key, text, length, '\0') || begins(key, text, length, '.')) {
            *ret_path = (struct wr_path){.index = i, .length = length};
            return length > 0;
        }
    }
    return false;
}

bool wr_path_is_setting(struct wr_path path)
{
    return wr_properties[path.index].key[path.length] == '\0';
}

bool wr_path_is_block(struct wr_path path)
{
    const char *const text = wr_properties[path.index].key;

    for (int i = path.index; i < WR_KEY_COUNT; ++i) {
        if (begins(wr_properties[i].key, text, path.length, '.')) {
            return true;
        }
    }
    return false;
}

/* A block inside another that is called `name`: its whole path, as a part of a key; or NULL. */
static const char *inner_block(const char *name, size_t *ret_length)
{
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        const char *const key = wr_properties[i].key;
        const char *const dot = strchr(key, '.');

        if (dot != NULL && begins(dot + 1, name, strlen(name), '.')) {
            *ret_length = (size_t)(dot - key) + 1 + strlen(name);
            return key;
        }
    }
    return NULL;
}

/* The key whose last part is `name`: the right name in the wrong block; or NULL. */
static const char *key_of_name(const char *name)
{
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        const char *const key = wr_properties[i].key;
        const char *const dot = strrchr(key, '.');

        if (strcmp(dot != NULL ? dot + 1 : key, name) == 0) {
            return key;
        }
    }
    return NULL;
}

void wr_path_suggest(const char *text, char *buffer, size_t size)
{
    const char *const dot = strrchr(text, '.');
    const char *const last = dot != NULL ? dot + 1 : text;
    size_t length = 0;
    const char *nearest = *last != '\0' ? inner_block(last, &length) : NULL;

    if (nearest == NULL) {
        nearest = key_of_name(last);
        nearest = nearest == NULL ? wr_property_nearest(text) : nearest;
        length = nearest != NULL ? strlen(nearest) : 0;
    }
    if (nearest == NULL) {
        (void)snprintf(buffer, size, "see docs/settings.md");
    } else {
        (void)snprintf(buffer, size, "did you mean %.*s?", (int)length, nearest);
    }
}
