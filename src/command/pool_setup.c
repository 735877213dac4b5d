/*
 * See pool_setup.h.
 */
#define _GNU_SOURCE
#include "command/pool_setup.h"

#include "base/fail.h"
#include "base/options.h"
#include "base/saturate.h"
#include "command/job.h"

#include <signal.h>

/* The largest values of the commands that are known, or what the setting says. */
static uint64_t value_bytes(const weir_dependency *dependency, const struct wr_plan *plan)
{
    uint64_t bytes = plan->cell_size;

    for (size_t i = 0; i < dependency->command_count; ++i) {
        weir_command command;

        if (wr_options_copy(&command, sizeof(command), sizeof(command), dependency->commands[i],
                            "weir_command", NULL) == WEIR_OK) {
            bytes = wr_max_u64(bytes, wr_job_values(&command));
        }
    }
    return bytes;
}

/* Interrupts a system call by its mere being there. */
static void on_cancel_signal(int number)
{
    (void)number;
}

enum { SIGNALS = 65 };

/* How many pools of this process use our handler of a signal. */
static struct {
    struct wr_mutex mutex;
    uint32_t users[SIGNALS];
} handlers = {.mutex = {PTHREAD_MUTEX_INITIALIZER}};

static bool is_plain(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) == 0 &&
           (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN ||
            action->sa_handler == on_cancel_signal);
}

static weir_status claim_locked(int number, bool *ret_ours, const char *name, weir_error *error)
    WR_REQUIRES(handlers.mutex)
{
    const struct sigaction ours = {.sa_handler = on_cancel_signal};
    struct sigaction present;

    if (sigaction(number, NULL, &present) != 0) {
        return wr_fail(error, WEIR_E_CONFIG, "%s: cancel_signal %d is no signal: give another",
                       name, number);
    }
    if (!is_plain(&present) && (present.sa_flags & SA_RESTART) != 0) {
        return wr_fail(error, WEIR_E_CONFIG,
                       "%s: cancel_signal %d has a handler with SA_RESTART, which interrupts "
                       "nothing: install it without, or give another signal",
                       name, number);
    }
    *ret_ours = is_plain(&present);
    if (*ret_ours) {
        (void)sigaction(number, &ours, NULL);
        handlers.users[number] += 1;
    }
    return WEIR_OK;
}

/* See to a handler without SA_RESTART: the service's own, or else ours. */
static weir_status claim_signal(weir_dependency *dependency, int number, weir_error *error)
{
    weir_status status;

    if (number == 0) {
        return WEIR_OK;
    }
    wr_mutex_lock(&handlers.mutex);
    status = claim_locked(number, &dependency->owns_handler, dependency->name, error);
    wr_mutex_unlock(&handlers.mutex);
    return status;
}

/* The last user of our handler takes it away: the library may be unloaded. */
static void release_signal(weir_dependency *dependency, int number)
{
    if (!dependency->owns_handler) {
        return;
    }
    wr_mutex_lock(&handlers.mutex);
    handlers.users[number] -= 1;
    if (handlers.users[number] == 0) {
        (void)signal(number, SIG_DFL);
    }
    wr_mutex_unlock(&handlers.mutex);
}

static struct wr_pool_size size_of(const struct wr_plan *plan)
{
    return (struct wr_pool_size){.threads = plan->threads,
                                 .replace_abandoned = plan->replace_abandoned,
                                 .worker_retry_ns = plan->worker_retry_ns};
}

weir_status wr_pool_setup(weir_dependency *dependency, const struct wr_plan *plan,
                          const weir_dependency_options *options, struct wr_helper *helper,
                          struct wr_worker_list *ret_recruits, weir_error *error)
{
    struct wr_pool_rule rule = {.name = dependency->name,
                                .ops = &wr_job_ops,
                                .user = dependency,
                                .stack_bytes = plan->stack_size,
                                .cancel_signal = plan->cancel_signal,
                                .worker_start = options->worker_start,
                                .worker_stop = options->worker_stop,
                                .worker_user = options->user};
    weir_status status;

    dependency->value_bytes = value_bytes(dependency, plan);
    rule.cell_bytes = wr_job_bytes(dependency->value_bytes);
    dependency->pool = wr_host_allocate(dependency->host, sizeof(*dependency->pool));
    if (dependency->pool == NULL) {
        return wr_fail(error, WEIR_E_MEMORY, "no memory for dependency %s", dependency->name);
    }
    wr_pool_init(dependency->pool, &rule, dependency->host, helper);
    status = claim_signal(dependency, plan->cancel_signal, error);
    if (status != WEIR_OK) {
        return status;
    }
    if (!wr_helper_start(helper)) {
        return wr_fail(error, WEIR_E_SYSTEM,
                       "%s: no thread for the runtime's helper: raise the limit (ulimit -u)",
                       dependency->name);
    }
    return wr_pool_provide(dependency, plan, ret_recruits, error);
}

weir_status wr_pool_provide(weir_dependency *dependency, const struct wr_plan *plan,
                            struct wr_worker_list *ret_recruits, weir_error *error)
{
    struct wr_pool *const pool = dependency->pool;
    const struct wr_pool_size size = size_of(plan);
    bool system = false;

    if (!wr_cells_grow(&pool->cells, plan->tracked + plan->completions)) {
        return wr_fail(error, WEIR_E_MEMORY,
                       "%s: no memory for %u call cells: lower queue, completions or cell_size",
                       dependency->name, plan->tracked + plan->completions);
    }
    if (!wr_pool_recruit(pool, wr_pool_lacks(pool, &size), ret_recruits, &system)) {
        return wr_fail(error, system ? WEIR_E_SYSTEM : WEIR_E_MEMORY,
                       "%s: no %s for %u threads: lower threads or stack_size%s", dependency->name,
                       system ? "thread" : "memory", plan->threads,
                       system ? ", or raise the limit (ulimit -u)" : "");
    }
    return WEIR_OK;
}

void wr_pool_follow(weir_dependency *dependency, const struct wr_plan *plan,
                    struct wr_worker_list *recruits)
{
    const struct wr_pool_size size = size_of(plan);

    wr_pool_resize(dependency->pool, &size);
    wr_pool_enlist(dependency->pool, recruits);
    wr_pool_top_up(dependency->pool); /* one counted as serving may have retired meanwhile */
}

void wr_pool_teardown(weir_dependency *dependency)
{
    if (dependency->pool != NULL) {
        release_signal(dependency, dependency->pool->rule.cancel_signal);
        wr_pool_destroy(dependency->pool);
        wr_host_release(dependency->host, dependency->pool, sizeof(*dependency->pool));
    }
}
