/*
 * Layers of settings, and the plan they make. See plan.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "command/plan.h"

#include "base/fail.h"
#include "base/text.h"
#include "base/wide.h"

#include <weir/dependency.h>

#include <signal.h>
#include <string.h>

/* The C library keeps the first two for itself. */
enum { FIRST_REALTIME_SIGNAL = 34 };

weir_status wr_layer_set(struct wr_layer *layer, const char *key, const char *text,
                         weir_error *error)
{
    const int found = wr_property_find(key);
    uint64_t value = 0;
    weir_status status;

    if (found < 0) {
        const char *const nearest = wr_property_nearest(key);

        return wr_fail(error, WEIR_E_CONFIG, "unknown key \"%.64s\"%s%s%s", key,
                       nearest != NULL ? ": did you mean " : ": see docs/settings.md",
                       nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    }
    if (text == NULL) {
        layer->given[found] = false;
        return WEIR_OK;
    }
    status = wr_property_parse((enum wr_key)found, text, &value, error);
    if (status == WEIR_OK) {
        layer->value[found] = value;
        layer->given[found] = true;
    }
    return status;
}

enum { WORD_MAX = 96 };

/* Copy [from, to) without blanks at its ends; false if it is empty or too long. */
static bool copy_word(char *word, const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\n' || *from == '\t')) {
        ++from;
    }
    while (to > from && (to[-1] == ' ' || to[-1] == '\n' || to[-1] == '\t')) {
        --to;
    }
    if (from == to || to - from >= WORD_MAX) {
        return false;
    }
    memcpy(word, from, (size_t)(to - from));
    word[to - from] = '\0';
    return true;
}

static weir_status parse_pair(struct wr_layer *layer, const char *at, const char *end,
                              weir_error *error)
{
    const char *const colon = memchr(at, ':', (size_t)(end - at));
    char key[WORD_MAX];
    char value[WORD_MAX];
    int found;

    if (colon == NULL || !copy_word(key, at, colon) || !copy_word(value, colon + 1, end)) {
        return wr_fail(error, WEIR_E_CONFIG,
                       "settings: \"%.*s\" is no pair: write \"key: value, key: value\"",
                       end - at < WORD_MAX ? (int)(end - at) : WORD_MAX, at);
    }
    if (value[0] == '{') {
        return wr_fail(error, WEIR_E_CONFIG,
                       "settings: braces are for files: write each key in full, e.g. "
                       "breaker.open_for: 5s");
    }
    found = wr_property_find(key);
    if (found >= 0 && layer->given[found]) {
        return wr_fail(error, WEIR_E_CONFIG, "settings: %s is given twice: remove one", key);
    }
    return wr_layer_set(layer, key, value, error);
}

weir_status wr_layer_parse(struct wr_layer *layer, const char *settings, weir_error *error)
{
    const char *at = settings;

    while (at[strspn(at, " \n\t")] != '\0') {
        const char *const end = at + strcspn(at, ",");
        const weir_status status = parse_pair(layer, at, end, error);

        if (status != WEIR_OK) {
            return status;
        }
        at = *end == ',' ? end + 1 : end;
    }
    return WEIR_OK;
}

/* A policy is on if its switch says so, or else if the layer gives any of its keys. */
static int block_switch(const struct wr_layer *layer, enum wr_key block)
{
    const size_t length = strlen(wr_properties[block].key);

    if (layer->given[block]) {
        return (int)layer->value[block];
    }
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        if (layer->given[i] &&
            strncmp(wr_properties[i].key, wr_properties[block].key, length) == 0 &&
            wr_properties[i].key[length] == '.') {
            return 1;
        }
    }
    return -1;
}

static void settle_block(struct wr_plan *plan, const struct wr_layer *defaults,
                         const struct wr_layer *own, enum wr_key block)
{
    const int by_own = block_switch(own, block);
    const int by_defaults = block_switch(defaults, block);

    plan->origin[block] = WR_FROM_TABLE;
    plan->value[block] = 0;
    if (by_own >= 0) {
        plan->origin[block] = WR_FROM_DEPENDENCY;
        plan->value[block] = (uint64_t)by_own;
    } else if (by_defaults >= 0) {
        plan->origin[block] = WR_FROM_DEFAULTS;
        plan->value[block] = (uint64_t)by_defaults;
    }
}

static void merge(struct wr_plan *plan, const struct wr_layer *defaults, const struct wr_layer *own)
{
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        if (own->given[i]) {
            plan->origin[i] = WR_FROM_DEPENDENCY;
            plan->value[i] = own->value[i];
        } else if (defaults->given[i]) {
            plan->origin[i] = WR_FROM_DEFAULTS;
            plan->value[i] = defaults->value[i];
        } else {
            plan->origin[i] = WR_FROM_TABLE;
            (void)wr_property_parse((enum wr_key)i, wr_properties[i].default_text, &plan->value[i],
                                    NULL);
        }
    }
    settle_block(plan, defaults, own, WR_BREAKER);
    settle_block(plan, defaults, own, WR_RATE_LIMIT);
}

static void fill_breaker(struct wr_plan *plan)
{
    const uint64_t *const value = plan->value;

    plan->breaker = (struct wr_breaker_rule){
        .minimum_calls = value[WR_MINIMUM_CALLS],
        .failure_rate_ppm = value[WR_FAILURE_RATE],
        .slow_rate_ppm = value[WR_SLOW_RATE],
        .slow_call_ns = value[WR_SLOW_CALL],
        .consecutive_failures = value[WR_CONSECUTIVE],
        .open_for_ns = value[WR_OPEN_FOR],
        .open_backoff_ppm = value[WR_OPEN_BACKOFF],
        .open_for_max_ns = value[WR_OPEN_FOR_MAX],
        .open_jitter_ppm = value[WR_OPEN_JITTER],
        .trial_lease_ns = value[WR_TRIAL_LEASE],
        .recovery_ramp_ns = value[WR_RECOVERY_RAMP],
        .trial_calls = (uint32_t)value[WR_TRIAL_CALLS],
        .trial_successes = (uint32_t)value[WR_TRIAL_SUCCESSES],
    };
    if (value[WR_WINDOW_KIND] == WR_WINDOW_COUNT) {
        plan->window = (struct wr_window_shape){.size = (uint32_t)value[WR_WINDOW_SIZE]};
    } else {
        plan->window = (struct wr_window_shape){
            .time = {.bucket_ns = value[WR_WINDOW_SPAN] / value[WR_WINDOW_BUCKETS],
                     .buckets = (uint32_t)value[WR_WINDOW_BUCKETS]}};
    }
}

/* Mode observe lets calls through beyond max_concurrent; so many at once it still follows. */
enum { OBSERVED_CALLS = 4096 };

static void fill_pool(struct wr_plan *plan)
{
    const uint64_t *const value = plan->value;
    const bool pooled = value[WR_ISOLATION] == WR_ISOLATION_THREAD;

    plan->isolation = pooled ? WEIR_THREAD : WEIR_INLINE;
    plan->threads = (uint32_t)value[WR_THREADS];
    plan->max_concurrent =
        (uint32_t)(pooled ? value[WR_THREADS] + value[WR_QUEUE] : value[WR_MAX_CONCURRENT]);
    plan->completions = (uint32_t)value[WR_COMPLETIONS];
    plan->replace_abandoned = (uint32_t)value[WR_REPLACE_ABANDONED];
    plan->cancel_signal = (int)value[WR_CANCEL_SIGNAL];
    plan->abandoned_max = value[WR_ABANDONED_MAX];
    plan->worker_retry_ns = value[WR_WORKER_RETRY];
    plan->cell_size = value[WR_CELL_SIZE];
    plan->stack_size = value[WR_STACK_SIZE];
}

static void fill(struct wr_plan *plan)
{
    const uint64_t *const value = plan->value;
    const bool bursts = value[WR_RATE_MODE] == WR_RATE_BUCKET;

    plan->mode = (uint32_t)value[WR_MODE];
    fill_pool(plan);
    plan->tracked = plan->max_concurrent;
    if (plan->mode == WR_MODE_OBSERVE && plan->tracked < OBSERVED_CALLS) {
        plan->tracked = OBSERVED_CALLS;
    }
    plan->max_wait_ns = value[WR_MAX_WAIT];
    plan->timeout_ns = value[WR_TIMEOUT];
    plan->permit_lease_ns = value[WR_PERMIT_LEASE];
    plan->breaker_on = value[WR_BREAKER] != 0;
    plan->rate_on = value[WR_RATE_LIMIT] != 0;
    plan->rate_max_wait_ns = value[WR_RATE_MAX_WAIT];
    plan->rate = (struct wr_rate_rule){.milli = wr_rate_milli(value[WR_RATE]),
                                       .per_ns = wr_rate_per_ns(value[WR_RATE]),
                                       .burst = bursts ? value[WR_BURST] : 1,
                                       .pacing = value[WR_RATE_MODE] == WR_RATE_PACING,
                                       .window = value[WR_RATE_MODE] == WR_RATE_WINDOW};
    fill_breaker(plan);
}

static weir_status check_breaker(const uint64_t *value, const char *name, weir_error *error)
{
    if (value[WR_WINDOW_SPAN] % value[WR_WINDOW_BUCKETS] != 0) {
        return wr_fail(error, WEIR_E_CONFIG,
                       "%s: breaker.window.span is no multiple of breaker.window.buckets: "
                       "give e.g. span 10s with buckets 10",
                       name);
    }
    if (value[WR_TRIAL_SUCCESSES] > value[WR_TRIAL_CALLS]) {
        return wr_fail(error, WEIR_E_CONFIG,
                       "%s: breaker.trial_successes is above breaker.trial_calls and could never "
                       "be reached: give at most trial_calls",
                       name);
    }
    return WEIR_OK;
}

static weir_status check_rate(const struct wr_plan *plan, const char *name, weir_error *error)
{
    const struct wr_rate_rule *const rate = &plan->rate;

    if (rate->window && (rate->milli % 1000 != 0 || rate->milli / 1000 > WR_RATE_WINDOW_MAX)) {
        return wr_fail(error, WEIR_E_CONFIG,
                       "%s: rate_limit.mode window keeps one stamp a token: give a whole "
                       "rate_limit.rate of at most %u per period",
                       name, WR_RATE_WINDOW_MAX);
    }
    if (rate->milli != 0 && (wr_u128)rate->per_ns * 1000 / rate->milli * rate->burst > (wr_u128)1
                                                                                           << 58U) {
        return wr_fail(error, WEIR_E_CONFIG,
                       "%s: rate_limit.burst takes more than nine years to refill: lower it", name);
    }
    return WEIR_OK;
}

/* A key of one isolation, given to a dependency of another, is a mistake (in the defaults it just
 * does not apply). */
static weir_status check_isolation(const struct wr_plan *plan, const struct wr_layer *own,
                                   const char *name, weir_error *error)
{
    static const struct {
        enum wr_key key;
        uint64_t isolation;
    } keys[] = {
        {WR_MAX_CONCURRENT, WR_ISOLATION_INLINE},    {WR_PERMIT_LEASE, WR_ISOLATION_INLINE},
        {WR_THREADS, WR_ISOLATION_THREAD},           {WR_QUEUE, WR_ISOLATION_THREAD},
        {WR_COMPLETIONS, WR_ISOLATION_THREAD},       {WR_CELL_SIZE, WR_ISOLATION_THREAD},
        {WR_STACK_SIZE, WR_ISOLATION_THREAD},        {WR_ABANDONED_MAX, WR_ISOLATION_THREAD},
        {WR_REPLACE_ABANDONED, WR_ISOLATION_THREAD}, {WR_WORKER_RETRY, WR_ISOLATION_THREAD},
        {WR_CANCEL_SIGNAL, WR_ISOLATION_THREAD},
    };
    const char *const *const names = wr_properties[WR_ISOLATION].choices;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); ++i) {
        if (own->given[keys[i].key] && plan->value[WR_ISOLATION] != keys[i].isolation) {
            return wr_fail(error, WEIR_E_CONFIG,
                           "%s: %s is for isolation %s, this is %s: remove it%s", name,
                           wr_properties[keys[i].key].key, names[keys[i].isolation],
                           names[plan->value[WR_ISOLATION]],
                           keys[i].key == WR_MAX_CONCURRENT ? " and give threads and queue" : "");
        }
    }
    return WEIR_OK;
}

static weir_status check_pool(const struct wr_plan *plan, const char *name, weir_error *error)
{
    enum { STACK_MINIMUM = 65536 };

    if (plan->stack_size != 0 && plan->stack_size < STACK_MINIMUM) {
        return wr_fail(error, WEIR_E_CONFIG,
                       "%s: stack_size is below 64KiB: give more, or 0B for the system's default",
                       name);
    }
    if (plan->cancel_signal != 0 && plan->cancel_signal != SIGUSR1 &&
        plan->cancel_signal != SIGUSR2 && plan->cancel_signal != SIGURG &&
        plan->cancel_signal < FIRST_REALTIME_SIGNAL) {
        return wr_fail(error, WEIR_E_CONFIG,
                       "%s: cancel_signal %d has a meaning of its own: give %d (SIGUSR1), %d "
                       "(SIGUSR2), %d (SIGURG) or a real-time signal from %d on",
                       name, plan->cancel_signal, SIGUSR1, SIGUSR2, SIGURG, FIRST_REALTIME_SIGNAL);
    }
    return WEIR_OK;
}

weir_status wr_plan_make(struct wr_plan *plan, const struct wr_layer *defaults,
                         const struct wr_layer *own, const char *name, weir_error *error)
{
    weir_status status;

    memset(plan, 0, sizeof(*plan));
    merge(plan, defaults, own);
    status = check_breaker(plan->value, name, error);
    if (status == WEIR_OK) {
        fill(plan);
        status = check_rate(plan, name, error);
    }
    if (status == WEIR_OK) {
        status = check_isolation(plan, own, name, error);
    }
    if (status == WEIR_OK) {
        status = check_pool(plan, name, error);
    }
    return status;
}
