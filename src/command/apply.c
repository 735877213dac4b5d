/*
 * Changing settings of a live runtime, all or nothing: parse and check everything, allocate
 * everything, publish everything, wait for a grace period, free what was replaced.
 */
#include "base/fail.h"
#include "base/rcu.h"
#include "base/text.h"
#include "command/event.h"
#include "command/pool_setup.h"
#include "command/state.h"

#include <string.h>

/* What is about to happen to one dependency. */
struct change {
    weir_dependency *dependency;
    bool touched;
    struct wr_layer own;
    struct wr_plan *plan;           /* new; after install the old one */
    struct wr_window *window;       /* new, or NULL to keep; after install the old one */
    struct wr_worker_list recruits; /* threads that wait to be let in */
    struct wr_rate *rate;           /* new, or NULL to keep or to end; after install the old one */
};

struct apply {
    weir_runtime *runtime;
    struct wr_layer defaults;
    uint32_t count;
    struct change *changes; /* one for each dependency */
};

static weir_status unknown_dependency(const struct apply *apply, const weir_setting *setting,
                                      weir_error *error)
{
    const char *names[WR_DEPENDENCIES_MAX + 1];
    const char *nearest;

    for (uint32_t i = 0; i < apply->count; ++i) {
        names[i] = apply->changes[i].dependency->name;
    }
    nearest = wr_text_nearest(setting->dependency, names, apply->count);
    return wr_fail(error, WEIR_E_CONFIG, "unknown dependency \"%.64s\"%s%s%s", setting->dependency,
                   nearest != NULL ? ": did you mean " : ": create it first",
                   nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
}

static weir_status set_one(struct apply *apply, const weir_setting *setting, weir_error *error)
{
    struct wr_layer *layer = setting->dependency == NULL ? &apply->defaults : NULL;

    if (setting->key == NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT, "a setting without a key: give one");
    }
    for (uint32_t i = 0; i < apply->count; ++i) {
        struct change *const change = &apply->changes[i];

        if (setting->dependency == NULL) {
            change->touched = true;
        } else if (strcmp(change->dependency->name, setting->dependency) == 0) {
            change->touched = true;
            layer = &change->own;
            break;
        }
    }
    if (layer == NULL) {
        return unknown_dependency(apply, setting, error);
    }
    return wr_layer_set(layer, setting->key, setting->value, error);
}

static weir_status check_restart(const struct change *change, const struct wr_plan *old,
                                 weir_error *error)
{
    for (int i = 0; i < WR_KEY_COUNT; ++i) {
        if (wr_properties[i].reload == WR_RELOAD_RESTART &&
            old->value[i] != change->plan->value[i]) {
            return wr_fail(error, WEIR_E_CONFIG,
                           "%s: %s cannot change while live: restart the service",
                           change->dependency->name, wr_properties[i].key);
        }
    }
    return WEIR_OK;
}

static weir_status no_memory(const struct change *change, weir_error *error)
{
    return wr_fail(error, WEIR_E_MEMORY, "%s: no memory for the new settings; nothing has changed",
                   change->dependency->name);
}

/* Make all that the new plan needs and the dependency does not have. */
static weir_status furnish(struct change *change, struct wr_host *host, uint32_t stripes,
                           weir_error *error)
{
    weir_dependency *const dependency = change->dependency;
    const struct wr_plan *const plan = change->plan;
    struct wr_rate *const rate = wr_rate_of(dependency);
    const struct wr_window *const window =
        atomic_load_explicit(&dependency->breaker.window, memory_order_acquire);
    const uint64_t now_ns = wr_dependency_now(dependency);

    if (!wr_slots_grow(&dependency->slots, plan->tracked)) {
        return no_memory(change, error);
    }
    if (plan->breaker_on && (window == NULL || !wr_window_has_shape(window, &plan->window))) {
        change->window = wr_window_create(host, &plan->window, stripes,
                                          wr_breaker_epoch(&dependency->breaker), now_ns);
        if (change->window == NULL) {
            return no_memory(change, error);
        }
    }
    if (dependency->pool != NULL) {
        const weir_status status = wr_pool_provide(dependency, plan, &change->recruits, error);

        if (status != WEIR_OK) {
            return status;
        }
    }
    if (plan->rate_on && (rate == NULL || !wr_rate_has_rule(rate, &plan->rate))) {
        change->rate = wr_rate_create(host, &plan->rate, now_ns, rate);
        if (change->rate == NULL) {
            return no_memory(change, error);
        }
    }
    return WEIR_OK;
}

static weir_status prepare(struct apply *apply, struct change *change, weir_error *error)
{
    struct wr_host *const host = &apply->runtime->host;
    const struct wr_plan *const old = wr_plan_of(change->dependency);
    weir_status status;

    if (!change->touched) {
        return WEIR_OK;
    }
    change->plan = wr_host_allocate(host, sizeof(*change->plan));
    if (change->plan == NULL) {
        return no_memory(change, error);
    }
    status =
        wr_plan_make(change->plan, &apply->defaults, &change->own, change->dependency->name, error);
    if (status == WEIR_OK) {
        status = check_restart(change, old, error);
    }
    if (status == WEIR_OK) {
        status = furnish(change, host, apply->runtime->stripes, error);
    }
    change->plan->generation = old->generation + 1;
    return status;
}

/* Cannot fail. What was replaced is left in the change. */
static void install(struct change *change)
{
    weir_dependency *const dependency = change->dependency;
    struct wr_plan *const plan = change->plan;
    struct wr_plan *const old = wr_plan_of(dependency);
    struct wr_rate *const rate = wr_rate_of(dependency);
    const uint64_t now_ns = wr_dependency_now(dependency);
    const struct wr_event_note note = {.kind = WR_SETTINGS_CHANGED,
                                       .before = old->generation,
                                       .after = plan->generation,
                                       .sequence = plan->generation,
                                       .now_ns = now_ns};

    if (change->window != NULL) {
        change->window = wr_breaker_set_window(&dependency->breaker, change->window);
    }
    if (change->rate != NULL || !plan->rate_on) {
        struct wr_rate *const next = plan->rate_on ? change->rate : NULL;

        /* Release: the new limiter is complete. Published before the old one is frozen. */
        atomic_store_explicit(&dependency->rate, next, memory_order_release);
        if (next != NULL) {
            wr_rate_adopt(next, now_ns);
        }
        change->rate = rate;
    }
    if (plan->breaker_on && !old->breaker_on) {
        /* Before anybody is judged by what it was when it was switched off. */
        wr_breaker_restart(&dependency->breaker, &plan->breaker, now_ns);
    }
    /* Release: pairs with the acquire of wr_plan_of(); a call sees the whole plan. */
    atomic_store_explicit(&dependency->plan, plan, memory_order_release);
    if (plan->breaker_on && old->breaker_on) {
        wr_breaker_refresh(&dependency->breaker, &plan->breaker, now_ns);
    }
    wr_slots_check_soon(&dependency->slots);
    if (dependency->pool != NULL) {
        wr_pool_follow(dependency, plan, &change->recruits);
    }
    wr_bulkhead_resize(&dependency->bulkhead, plan->max_concurrent);
    dependency->own = change->own;
    wr_emit(dependency, &note);
    change->plan = old;
}

/* After the grace period: a call that began under the old plan may have published by its rule, or
 * moved the next check of the slots, after install() did. */
static void confirm(weir_dependency *dependency)
{
    const struct wr_plan *const plan = wr_plan_of(dependency);

    if (plan->breaker_on) {
        wr_breaker_refresh(&dependency->breaker, &plan->breaker, wr_dependency_now(dependency));
    }
    wr_slots_check_soon(&dependency->slots);
}

/* Free the unpublished, or after install and a grace period the replaced. */
static void discard(struct change *change, struct wr_host *host)
{
    if (change->dependency->pool != NULL) {
        wr_pool_dismiss(change->dependency->pool, &change->recruits);
    }
    if (change->plan != NULL) {
        wr_host_release(host, change->plan, sizeof(*change->plan));
    }
    wr_window_destroy(change->window);
    wr_rate_destroy(change->rate);
}

static weir_status prepare_all(struct apply *apply, const weir_setting *settings, size_t count,
                               weir_error *error)
{
    for (size_t i = 0; i < count; ++i) {
        const weir_status status = set_one(apply, &settings[i], error);

        if (status != WEIR_OK) {
            (void)wr_fail_at(error, settings[i].file, settings[i].line, settings[i].column);
            return status;
        }
    }
    for (uint32_t i = 0; i < apply->count; ++i) {
        const weir_status status = prepare(apply, &apply->changes[i], error);

        if (status != WEIR_OK) {
            return status;
        }
    }
    return WEIR_OK;
}

static weir_status apply_locked(weir_runtime *runtime, const weir_setting *settings, size_t count,
                                weir_error *error) WR_REQUIRES(runtime->locked.mutex)
{
    const struct wr_registry *const registry = wr_registry_of(runtime);
    const size_t bytes = (registry->count + 1) * sizeof(struct change);
    struct apply apply = {.runtime = runtime,
                          .defaults = runtime->locked.defaults,
                          .count = registry->count,
                          .changes = wr_host_allocate(&runtime->host, bytes)};
    weir_status status;

    if (apply.changes == NULL) {
        return wr_fail(error, WEIR_E_MEMORY, "no memory to apply settings; nothing has changed");
    }
    for (uint32_t i = 0; i < apply.count; ++i) {
        apply.changes[i].dependency = registry->list[i];
        apply.changes[i].own = registry->list[i]->own;
    }
    status = prepare_all(&apply, settings, count, error);
    for (uint32_t i = 0; i < apply.count && status == WEIR_OK; ++i) {
        if (apply.changes[i].touched) {
            install(&apply.changes[i]);
        }
    }
    if (status == WEIR_OK) {
        runtime->locked.defaults = apply.defaults;
        wr_rcu_synchronize(); /* no call reads what was replaced any more */
    }
    for (uint32_t i = 0; i < apply.count; ++i) {
        if (status == WEIR_OK && apply.changes[i].touched) {
            confirm(apply.changes[i].dependency);
        }
        discard(&apply.changes[i], &runtime->host);
    }
    wr_host_release(&runtime->host, apply.changes, bytes);
    return status;
}

weir_status weir_runtime_apply(weir_runtime *runtime, const weir_setting *settings, size_t count,
                               weir_error *error)
{
    weir_status status;

    if (runtime == NULL || (settings == NULL && count > 0)) {
        return wr_fail(error, WEIR_E_ARGUMENT, "give a runtime, and settings if count is not 0");
    }
    if (!wr_runtime_is_here(runtime)) {
        return wr_fail(error, WEIR_E_FORKED,
                       "the runtime's threads are the parent's: make a new runtime in the child");
    }
    wr_mutex_lock(&runtime->locked.mutex);
    status = runtime->locked.stopped
                 ? wr_fail(error, WEIR_E_BUSY, "the runtime has been stopped: make a new one")
                 : apply_locked(runtime, settings, count, error);
    wr_mutex_unlock(&runtime->locked.mutex);
    return status;
}
