/*
 * Making, finding and ending dependencies; overriding a breaker.
 */
#include "base/fail.h"
#include "base/options.h"
#include "base/rcu.h"
#include "command/event.h"
#include "command/pool_setup.h"
#include "command/state.h"

#include <string.h>

enum { OPTIONS_MINIMUM = sizeof(weir_dependency_options) };

static bool is_name(const char *name)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    const size_t length = strspn(name, letters);

    return length > 0 && length <= WR_NAME_MAX && name[length] == '\0';
}

void wr_dependency_free(weir_dependency *dependency)
{
    struct wr_host *const host = dependency->host;
    struct wr_plan *const plan = atomic_load_explicit(&dependency->plan, memory_order_relaxed);

    if (plan != NULL) {
        wr_host_release(host, plan, sizeof(*plan));
    }
    wr_rate_destroy(atomic_load_explicit(&dependency->rate, memory_order_relaxed));
    wr_pool_teardown(dependency);
    wr_breaker_destroy(&dependency->breaker);
    wr_bulkhead_destroy(&dependency->bulkhead);
    wr_slots_destroy(&dependency->slots);
    wr_counters_destroy(&dependency->counters);
    wr_host_release(host, dependency, sizeof(*dependency));
}

static weir_status check_commands(const weir_dependency *dependency, weir_error *error)
{
    for (size_t i = 0; i < dependency->command_count; ++i) {
        weir_command command;

        if (dependency->commands[i] == NULL) {
            return wr_fail(error, WEIR_E_ARGUMENT, "%s: commands[%zu] is NULL: give a command",
                           dependency->name, i);
        }
        if (wr_options_copy(&command, sizeof(command), sizeof(command), dependency->commands[i],
                            "weir_command", error) != WEIR_OK) {
            return WEIR_E_SIZE;
        }
        if ((command.isolations & dependency->isolator->isolation) == 0) {
            return wr_fail(error, WEIR_E_CONFIG,
                           "%s: command %s was not written for isolation %s: add it to its "
                           "isolations, or choose another isolation",
                           dependency->name, command.name != NULL ? command.name : "(no name)",
                           dependency->isolator->name);
        }
    }
    return WEIR_OK;
}

/* Everything that the first plan needs. On failure what was made is freed with the dependency. */
static weir_status furnish(weir_dependency *dependency, const struct wr_plan *plan,
                           uint32_t stripes)
{
    const uint64_t now_ns = wr_dependency_now(dependency);
    struct wr_window *window;
    struct wr_rate *rate;

    if (!wr_slots_grow(&dependency->slots, plan->tracked) ||
        !wr_counters_init(&dependency->counters, dependency->host, stripes)) {
        return WEIR_E_MEMORY;
    }
    if (plan->breaker_on) {
        window = wr_window_create(dependency->host, &plan->window, stripes,
                                  wr_breaker_epoch(&dependency->breaker), now_ns);
        if (window == NULL) {
            return WEIR_E_MEMORY;
        }
        (void)wr_breaker_set_window(&dependency->breaker, window);
    }
    if (plan->rate_on) {
        rate = wr_rate_create(dependency->host, &plan->rate, now_ns, NULL);
        if (rate == NULL) {
            return WEIR_E_MEMORY;
        }
        atomic_store_explicit(&dependency->rate, rate, memory_order_relaxed);
    }
    return WEIR_OK;
}

static void breaker_changed(void *user, const struct wr_breaker_change *change)
{
    const struct wr_event_note note = {.kind = WR_BREAKER_CHANGED,
                                       .before = change->before,
                                       .after = change->after,
                                       .sequence = change->epoch,
                                       .now_ns = change->now_ns};

    wr_emit(user, &note);
}

/* A dependency without plan, window and rate limit. */
static weir_dependency *dependency_new(weir_runtime *runtime, const char *name,
                                       const weir_dependency_options *options)
{
    struct wr_host *const host = &runtime->host;
    weir_dependency *const dependency = wr_host_allocate(host, sizeof(*dependency));

    if (dependency == NULL) {
        return NULL;
    }
    dependency->host = host;
    memcpy(dependency->name, name, strlen(name));
    dependency->isolator = &wr_inline_isolator;
    dependency->commands = options->commands;
    dependency->command_count = options->command_count;
    dependency->timer = &runtime->timer;
    dependency->counters.host = host;
    (void)wr_slots_init(&dependency->slots, 0, host);
    wr_bulkhead_init(&dependency->bulkhead, 0, &host->clock);
    wr_breaker_init(&dependency->breaker, &dependency->slots, host, breaker_changed, dependency,
                    wr_dependency_now(dependency));
    return dependency;
}

/* What the isolation needs beside what every dependency has. */
static weir_status isolate(weir_runtime *runtime, weir_dependency *dependency,
                           const struct wr_plan *plan, const weir_dependency_options *options,
                           struct wr_worker_list *ret_recruits, weir_error *error)
{
    if (plan->isolation == WEIR_THREAD) {
        wr_runtime_settle(runtime);
        return wr_pool_setup(dependency, plan, options, &runtime->helper, ret_recruits, error);
    }
    if (options->worker_start != NULL || options->worker_stop != NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT,
                       "%s: worker_start and worker_stop are for isolation thread, inline has no "
                       "workers: remove them",
                       dependency->name);
    }
    return WEIR_OK;
}

static weir_status dependency_make(weir_runtime *runtime, const char *name,
                                   const weir_dependency_options *options,
                                   weir_dependency **ret_dependency,
                                   struct wr_worker_list *ret_recruits, weir_error *error)
    WR_REQUIRES(runtime->locked.mutex)
{
    struct wr_host *const host = &runtime->host;
    weir_dependency *const dependency = dependency_new(runtime, name, options);
    struct wr_plan *plan = NULL;
    weir_status status = WEIR_OK;

    if (dependency == NULL) {
        return wr_fail(error, WEIR_E_MEMORY, "no memory for dependency %s", name);
    }
    plan = wr_host_allocate(host, sizeof(*plan));
    if (plan == NULL) {
        status = wr_fail(error, WEIR_E_MEMORY, "no memory for dependency %s", name);
        goto fail;
    }
    atomic_store_explicit(&dependency->plan, plan, memory_order_relaxed);
    if (options->settings != NULL) {
        status = wr_layer_parse(&dependency->own, options->settings, error);
    }
    if (status == WEIR_OK) {
        status = wr_plan_make(plan, &runtime->locked.defaults, &dependency->own, name, error);
    }
    if (status == WEIR_OK) {
        dependency->isolator =
            plan->isolation == WEIR_THREAD ? &wr_thread_isolator : &wr_inline_isolator;
        status = check_commands(dependency, error);
    }
    if (status != WEIR_OK) {
        goto fail;
    }
    plan->generation = 1;
    if (furnish(dependency, plan, runtime->stripes) != WEIR_OK) {
        status =
            wr_fail(error, WEIR_E_MEMORY,
                    "no memory for dependency %s: lower max_concurrent or the window's size", name);
        goto fail;
    }
    status = isolate(runtime, dependency, plan, options, ret_recruits, error);
    if (status != WEIR_OK) {
        goto fail;
    }
    wr_bulkhead_resize(&dependency->bulkhead, plan->max_concurrent);
    *ret_dependency = dependency;
    return WEIR_OK;
fail:
    wr_dependency_free(dependency);
    return status;
}

/* Make it and publish a registry with it; the old registry is left in *ret_old. */
static weir_status add_locked(weir_runtime *runtime, const char *name,
                              const weir_dependency_options *options, struct wr_registry **ret_old,
                              weir_dependency **ret_dependency, weir_error *error)
    WR_REQUIRES(runtime->locked.mutex)
{
    struct wr_registry *const old = wr_registry_of(runtime);
    const bool overflow = old->count >= WR_DEPENDENCIES_MAX;
    const char *const own_name = overflow ? "_other" : name;
    struct wr_worker_list recruits = {0};
    weir_dependency *dependency = NULL;
    struct wr_registry *registry;
    weir_status status;

    if (runtime->locked.stopped) {
        return wr_fail(error, WEIR_E_BUSY, "the runtime has been stopped: make a new one");
    }
    if (wr_registry_find(old, name) != NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT,
                       "dependency %s exists: use weir_dependency_find(), or another name", name);
    }
    if (overflow && runtime->locked.other != NULL) {
        *ret_dependency = runtime->locked.other;
        return WEIR_OK;
    }
    status = dependency_make(runtime, own_name, options, &dependency, &recruits, error);
    if (dependency == NULL) {
        return status;
    }
    registry = wr_registry_with(&runtime->host, old, dependency);
    if (registry == NULL) {
        if (dependency->pool != NULL) {
            wr_pool_dismiss(dependency->pool, &recruits);
        }
        wr_dependency_free(dependency);
        return wr_fail(error, WEIR_E_MEMORY, "no memory to register dependency %s", name);
    }
    /* Release: whoever finds it finds it complete. */
    atomic_store_explicit(&runtime->registry, registry, memory_order_release);
    runtime->locked.other = overflow ? dependency : NULL;
    if (dependency->pool != NULL) {
        wr_timer_add_pool(&runtime->timer, dependency->pool);
        wr_pool_follow(dependency, wr_plan_of(dependency), &recruits);
    }
    *ret_old = old;
    *ret_dependency = dependency;
    return WEIR_OK;
}

weir_status weir_dependency_create(weir_runtime *runtime, const char *name,
                                   const weir_dependency_options *options,
                                   weir_dependency **ret_dependency, weir_error *error)
{
    weir_dependency_options copy = {.size = sizeof(copy)};
    struct wr_registry *old = NULL;
    weir_dependency *dependency = NULL;
    weir_status status = WEIR_OK;

    if (runtime == NULL || ret_dependency == NULL || name == NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT, "give a runtime, a name and ret_dependency");
    }
    if (!is_name(name) || strcmp(name, "_other") == 0) {
        return wr_fail(error, WEIR_E_ARGUMENT,
                       "dependency name \"%.64s\": give 1 to 64 of A-Z a-z 0-9 _ . -, and not "
                       "_other",
                       name);
    }
    if (options != NULL) {
        status = wr_options_copy(&copy, sizeof(copy), OPTIONS_MINIMUM, options,
                                 "weir_dependency_options", error);
    }
    if (status == WEIR_OK && copy.command_count > 0 && copy.commands == NULL) {
        status = wr_fail(error, WEIR_E_ARGUMENT, "%s: command_count without commands", name);
    }
    if (status != WEIR_OK) {
        return status;
    }
    if (!wr_runtime_is_here(runtime)) {
        return wr_fail(error, WEIR_E_FORKED,
                       "the runtime's threads are the parent's: make a new runtime in the child");
    }
    wr_mutex_lock(&runtime->locked.mutex);
    status = add_locked(runtime, name, &copy, &old, &dependency, error);
    if (old != NULL) {
        wr_rcu_synchronize(); /* nobody searches the old table any more */
        wr_registry_free(&runtime->host, old);
    }
    wr_mutex_unlock(&runtime->locked.mutex);
    if (status == WEIR_OK) {
        *ret_dependency = dependency;
    }
    return status;
}

weir_dependency *weir_dependency_find(weir_runtime *runtime, const char *name)
{
    weir_dependency *found;

    if (runtime == NULL || name == NULL) {
        return NULL;
    }
    wr_rcu_enter();
    found = wr_registry_find(wr_registry_of(runtime), name);
    wr_rcu_leave();
    return found;
}

const char *weir_dependency_name(const weir_dependency *dependency)
{
    return dependency != NULL ? dependency->name : NULL;
}

weir_status weir_dependency_force(weir_dependency *dependency, int32_t override_mode,
                                  const char *who, const char *why)
{
    const struct wr_plan *plan;
    weir_status status = WEIR_E_ARGUMENT;

    if (dependency == NULL || override_mode < WEIR_FORCE_AUTO ||
        override_mode > WEIR_FORCE_OBSERVE) {
        return WEIR_E_ARGUMENT;
    }
    wr_rcu_enter();
    plan = wr_plan_of(dependency);
    if (plan->breaker_on) {
        (void)wr_breaker_override(&dependency->breaker, &plan->breaker, override_mode,
                                  who != NULL ? who : "", why != NULL ? why : "",
                                  wr_dependency_now(dependency));
        status = WEIR_OK;
    }
    wr_rcu_leave();
    return status;
}
