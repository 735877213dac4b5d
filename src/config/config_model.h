/*
 * A parsed file, and what the steps of reading it share.
 *
 *   config_file    path -> text
 *   config_events  text -> events of the subset
 *   config_walk    events -> settings; keys and values checked one by one
 *   config_check   settings -> checked against each other
 */
#ifndef WR_CONFIG_CONFIG_MODEL_H
#define WR_CONFIG_CONFIG_MODEL_H

#include "config/config_memory.h"

#include <weir/config.h>

enum { WR_CONFIG_BYTES = 1 << 20, WR_CONFIG_DEPENDENCIES = 1024 };

struct weir_config {
    struct wr_arena strings; /* owns every string below that is not a key of the property table */
    const char *file;        /* its name */
    weir_setting *settings;  /* owned; in file order, defaults first */
    size_t count, capacity;
    const char **dependencies; /* owned; in file order */
    size_t dependency_count, dependency_capacity;
};

/* Read at most WR_CONFIG_BYTES. The caller owns *ret_text and releases it. */
weir_status wr_config_slurp(const char *path, char **ret_text, size_t *ret_length,
                            weir_error *error);

/* Fill the empty `config`, whose file name is set. What a failure leaves in it is the caller's. */
weir_status wr_config_walk(struct weir_config *config, const char *text, size_t length,
                           weir_error *error);

/* What a dependency must be created with: its own settings, and those of the defaults that cannot
 * be changed later. Its length; with a buffer that is long enough the text, NUL-terminated. */
size_t wr_config_birth(const struct weir_config *config, const char *name, char *buffer,
                       size_t size);

/* Contradictions, at the setting that brought them about. */
weir_status wr_config_check(const struct weir_config *config, weir_error *error);

#endif
