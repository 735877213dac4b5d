/*
 * The numbers behind the gates at one moment. Writes nothing.
 */
#include "base/rcu.h"
#include "command/attempt.h"
#include "command/state.h"

void wr_dependency_view(weir_dependency *dependency, uint64_t now_ns, struct wr_view *ret_view)
{
    const struct wr_plan *plan;
    const uint64_t word = wr_bulkhead_read(&dependency->bulkhead);
    const struct wr_window *window;
    struct wr_rate *rate;

    wr_rcu_enter();
    plan = wr_plan_of(dependency);
    rate = wr_rate_of(dependency);
    window = atomic_load_explicit(&dependency->breaker.window, memory_order_acquire);
    *ret_view = (struct wr_view){.breaker_on = plan->breaker_on,
                                 .rate_on = rate != NULL,
                                 .minimum_calls = plan->breaker.minimum_calls,
                                 .in_flight = wr_bulkhead_held(word),
                                 .queued = wr_bulkhead_waiters(word),
                                 .tokens = rate != NULL ? wr_rate_tokens(rate, now_ns) : 0};
    if (plan->breaker_on) {
        ret_view->breaker = wr_breaker_visible(&dependency->breaker, now_ns);
        ret_view->epoch = wr_breaker_epoch(&dependency->breaker);
        ret_view->window = wr_window_sum(window, now_ns);
    }
    wr_rcu_leave();
}
