/*
 * The runtime's beginning and end.
 */
#include "base/fail.h"
#include "base/options.h"
#include "base/rcu.h"
#include "command/state.h"

enum { OPTIONS_MINIMUM = sizeof(weir_runtime_options) };

weir_status weir_runtime_create(const weir_runtime_options *options, weir_runtime **ret_runtime,
                                weir_error *error)
{
    weir_runtime_options copy = {.size = sizeof(copy)};
    struct wr_host probe; /* to have the allocator before there is a runtime to hold it */
    weir_runtime *runtime;
    weir_status status = WEIR_OK;

    if (ret_runtime == NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT, "ret_runtime is NULL: give a place for the runtime");
    }
    if (options != NULL) {
        status = wr_options_copy(&copy, sizeof(copy), OPTIONS_MINIMUM, options,
                                 "weir_runtime_options", error);
    }
    if (status == WEIR_OK) {
        status = wr_host_init(&probe, &copy, error);
    }
    if (status != WEIR_OK) {
        return status;
    }
    runtime = wr_host_allocate(&probe, sizeof(*runtime));
    if (runtime == NULL) {
        return wr_fail(error, WEIR_E_MEMORY, "no memory for a runtime");
    }
    (void)wr_host_init(&runtime->host, &copy, NULL);
    runtime->stripes = wr_stripe_count();
    wr_runtime_settle(runtime);
    wr_helper_init(&runtime->helper);
    wr_timer_init(&runtime->timer, &runtime->host.clock);
    atomic_init(&runtime->registry, wr_registry_with(&runtime->host, NULL, NULL));
    if (wr_registry_of(runtime) == NULL) {
        wr_host_release(&probe, runtime, sizeof(*runtime));
        return wr_fail(error, WEIR_E_MEMORY, "no memory for a runtime");
    }
    wr_mutex_init(&runtime->locked.mutex);
    wr_mutex_init(&runtime->stop);
    *ret_runtime = runtime;
    return WEIR_OK;
}

/* Stop; what does not end is left to itself. False: something was. In a child after fork there is
 * nothing to end: the threads are the parent's. */
static bool end_threads(weir_runtime *runtime)
{
    if (weir_runtime_stop(runtime, 0, NULL) != WEIR_E_BUSY) {
        return true;
    }
    wr_helper_abandon(&runtime->helper);
    return false;
}

/* Is anything of it still to be ended, by a permit, a completion or work that has not returned? */
static bool is_in_use(weir_dependency *dependency)
{
    struct wr_pool *const pool = dependency->pool;
    bool in_use = wr_bulkhead_held(wr_bulkhead_read(&dependency->bulkhead)) > 0;

    if (pool != NULL && wr_pool_is_here(pool)) {
        in_use = wr_pool_abandon_threads(pool) > 0 || wr_cells_used(&pool->cells) > 0 || in_use;
    }
    return in_use;
}

void weir_runtime_destroy(weir_runtime *runtime)
{
    struct wr_registry *registry;
    struct wr_host host;
    bool kept = false;

    if (runtime == NULL) {
        return;
    }
    registry = wr_registry_of(runtime);
    kept = !end_threads(runtime);
    wr_rcu_synchronize(); /* readers that have just left */
    for (uint32_t i = 0; i < registry->count; ++i) {
        if (is_in_use(registry->list[i])) {
            kept = true; /* a late end must find it */
        } else {
            wr_dependency_free(registry->list[i]);
        }
    }
    wr_registry_free(&runtime->host, registry);
    if (kept) {
        return; /* the kept dependencies use the runtime's host */
    }
    wr_helper_destroy(&runtime->helper);
    wr_mutex_destroy(&runtime->locked.mutex);
    wr_mutex_destroy(&runtime->stop);
    host.allocator = runtime->host.allocator;
    wr_host_release(&host, runtime, sizeof(*runtime));
}
