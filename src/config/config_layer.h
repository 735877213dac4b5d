/*
 * One layer of settings, read from events.
 */
#ifndef WR_CONFIG_CONFIG_LAYER_H
#define WR_CONFIG_CONFIG_LAYER_H

#include "config/config_events.h"
#include "config/config_model.h"

/* What the functions that read a file share. */
struct wr_walk {
    struct weir_config *config; /* borrowed: filled as the reading goes on */
    struct wr_events events;
    weir_error *error; /* may be NULL */
};

/*
 * Read a block of settings, from the event that begins it to the one that ends it, and add them to
 * the file's. `dependency` is NULL for defaults.
 */
weir_status wr_walk_layer(struct wr_walk *walk, const char *dependency);

/* A key is a scalar of at most 64 bytes. */
weir_status wr_walk_check_key(const struct wr_walk *walk, const struct wr_event *key);

weir_status wr_walk_no_memory(const struct wr_walk *walk);

#endif
