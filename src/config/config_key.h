/*
 * Paths in a file, seen against the property table: a path is a setting (breaker.open_for), a block
 * of settings (breaker.window), both (breaker), or unknown.
 */
#ifndef WR_CONFIG_CONFIG_KEY_H
#define WR_CONFIG_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>

/* The first `length` bytes of the key of property `index`, the first property that has them. */
struct wr_path {
    int index;
    size_t length;
};

/* False: neither a setting nor a block. */
bool wr_path_find(const char *text, size_t length, struct wr_path *ret_path);

bool wr_path_is_setting(struct wr_path path);
bool wr_path_is_block(struct wr_path path);

/* What to do about an unknown path, for the end of a message. */
void wr_path_suggest(const char *text, char *buffer, size_t size);

#endif
