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
    atomic_init(&runtime->registry, wr_registry_with(&runtime->host, NULL, NULL));
    if (wr_registry_of(runtime) == NULL) {
        wr_host_release(&probe, runtime, sizeof(*runtime));
        return wr_fail(error, WEIR_E_MEMORY, "no memory for a runtime");
    }
    wr_mutex_init(&runtime->locked.mutex);
    *ret_runtime = runtime;
    return WEIR_OK;
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
    wr_rcu_synchronize(); /* readers that have just left */
    for (uint32_t i = 0; i < registry->count; ++i) {
        if (wr_bulkhead_held(wr_bulkhead_read(&registry->list[i]->bulkhead)) > 0) {
            kept = true; /* a late weir_end() must find it */
        } else {
            wr_dependency_free(registry->list[i]);
        }
    }
    wr_registry_free(&runtime->host, registry);
    wr_mutex_destroy(&runtime->locked.mutex);
    if (kept) {
        return; /* the kept dependencies use the runtime's host */
    }
    host.allocator = runtime->host.allocator;
    wr_host_release(&host, runtime, sizeof(*runtime));
}
