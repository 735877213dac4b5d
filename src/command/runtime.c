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

/* What could not be ended. */
struct leftover {
    bool threads; /* some thread still lives, and uses the runtime's host */
    bool helper;  /* the helper among them: it may be at anything of any pool */
};

/* Stop; what does not end is left to itself. In a child after fork there is nothing to end: the
 * threads are the parent's. */
static struct leftover end_threads(weir_runtime *runtime)
{
    struct leftover left = {.threads = weir_runtime_stop(runtime, 0, NULL) == WEIR_E_BUSY};

    if (left.threads) {
        left.helper = runtime->helper.started;
        wr_helper_abandon(&runtime->helper);
    }
    return left;
}

/* Is anything of it still to be ended, by a permit, a completion or work that has not returned? */
static bool is_in_use(weir_dependency *dependency, struct leftover left)
{
    struct wr_pool *const pool = dependency->pool;
    bool in_use = wr_bulkhead_held(wr_bulkhead_read(&dependency->bulkhead)) > 0;

    if (pool != NULL && wr_pool_is_here(pool)) {
        in_use = wr_pool_abandon_threads(pool) > 0 || wr_cells_used(&pool->cells) > 0 ||
                 left.helper || in_use;
    }
    return in_use;
}

void weir_runtime_destroy(weir_runtime *runtime)
{
    struct wr_registry *registry;
    struct leftover left;
    struct wr_host host;
    bool kept;

    if (runtime == NULL) {
        return;
    }
    registry = wr_registry_of(runtime);
    left = end_threads(runtime);
    kept = left.threads;
    wr_rcu_synchronize(); /* readers that have just left */
    for (uint32_t i = 0; i < registry->count; ++i) {
        if (is_in_use(registry->list[i], left)) {
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
