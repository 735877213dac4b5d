/*
 * From texts to rules: a layer of given values, and the plan (immutable snapshot of everything that
 * a call needs to know) that the layers make.
 */
#ifndef WR_COMMAND_PLAN_H
#define WR_COMMAND_PLAN_H

#include "command/property.h"
#include "guard/rate.h"
#include "guard/window.h"
#include "policy/breaker_policy.h"

/* Values given in one place; what is not given comes from the layer below. */
struct wr_layer {
    uint64_t value[WR_KEY_COUNT];
    bool given[WR_KEY_COUNT];
};

enum wr_origin { WR_FROM_TABLE, WR_FROM_DEFAULTS, WR_FROM_DEPENDENCY };

/* Immutable once published. */
struct wr_plan {
    uint64_t generation; /* from 1 */
    uint32_t mode;
    uint32_t isolation;      /* WEIR_INLINE ... */
    uint32_t max_concurrent; /* places: of a pool threads + queue */
    uint32_t threads;        /* this and what follows: of a pool */
    uint32_t completions;
    uint32_t replace_abandoned;
    int cancel_signal;
    uint64_t abandoned_max; /* WR_OFF: none */
    uint64_t worker_retry_ns;
    uint64_t cell_size;
    uint64_t stack_size;
    uint32_t tracked; /* calls in flight that must have slots; more than places in mode observe */
    bool breaker_on;
    bool rate_on;
    uint64_t max_wait_ns;
    uint64_t timeout_ns; /* WR_OFF: none */
    uint64_t permit_lease_ns;
    uint64_t rate_max_wait_ns;
    struct wr_breaker_rule breaker;
    struct wr_window_shape window;
    struct wr_rate_rule rate;
    uint64_t value[WR_KEY_COUNT]; /* for explain */
    uint8_t origin[WR_KEY_COUNT];
};

/* Set one key (text NULL: no longer given). */
weir_status wr_layer_set(struct wr_layer *layer, const char *key, const char *text,
                         weir_error *error);

/* Parse "key: value, key: value" into a layer. */
weir_status wr_layer_parse(struct wr_layer *layer, const char *settings, weir_error *error);

/*
 * Make the plan of two layers over the table's defaults and check it against itself. `name` is for
 * messages. generation is left 0.
 */
weir_status wr_plan_make(struct wr_plan *plan, const struct wr_layer *defaults,
                         const struct wr_layer *own, const char *name, weir_error *error);

#endif
