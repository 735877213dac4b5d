/*
 * Saying in plain text why a dependency stands as it does.
 */
#include "base/rcu.h"
#include "base/saturate.h"
#include "base/sink.h"
#include "base/text.h"
#include "command/attempt.h"
#include "command/state.h"

#include <inttypes.h>

static const char *state_name(uint64_t state)
{
    static const char *const names[] = {"off",         "closed",        "open",   "half-open",
                                        "forced open", "forced closed", "observe"};

    return names[state];
}

static void put_duration(struct wr_sink *text, const char *before, uint64_t ns, const char *after)
{
    char literal[32];

    (void)wr_text_put_duration(literal, sizeof(literal), ns);
    wr_sink_put(text, "%s%s%s", before, literal, after);
}

static void put_setting(struct wr_sink *text, const struct wr_plan *plan, enum wr_key key)
{
    char literal[48];

    wr_property_format(key, plan->value[key], literal, sizeof(literal));
    wr_sink_put(text, "%s %s", wr_properties[key].key, literal);
}

/* The rule that opened it, with its numbers. */
static void put_trip(struct wr_sink *text, const struct wr_plan *plan,
                     const struct wr_breaker_trip *trip)
{
    switch (trip->rule) {
    case WR_TRIP_FAILURE_RATE:
        wr_sink_put(text, "opened by failure rate: %" PRIu64 " of %" PRIu64 " calls failed, limit ",
                    trip->sum.failures, trip->sum.calls);
        put_setting(text, plan, WR_FAILURE_RATE);
        break;
    case WR_TRIP_SLOW_RATE:
        wr_sink_put(text,
                    "opened by slow rate: %" PRIu64 " of %" PRIu64 " calls slow, %" PRIu64
                    " of them overdue, limit ",
                    trip->sum.slow + trip->overdue, trip->sum.calls + trip->overdue, trip->overdue);
        put_setting(text, plan, WR_SLOW_RATE);
        break;
    case WR_TRIP_CONSECUTIVE:
        wr_sink_put(text, "opened by %" PRIu64 " failures in a row, limit ", trip->consecutive);
        put_setting(text, plan, WR_CONSECUTIVE);
        break;
    case WR_TRIP_NONE:
    default:
        wr_sink_put(text, "has not opened yet");
        break;
    }
    wr_sink_put(text, "\n");
}

static void put_next(struct wr_sink *text, const struct wr_plan *plan,
                     const struct wr_breaker_state *state, const struct wr_view *view,
                     uint64_t now_ns)
{
    switch (view->breaker) {
    case WEIR_BREAKER_CLOSED:
        wr_sink_put(text, "  opens when: at least %" PRIu64 " calls in the window and ",
                    plan->breaker.minimum_calls);
        put_setting(text, plan, WR_FAILURE_RATE);
        wr_sink_put(text, " or ");
        put_setting(text, plan, WR_SLOW_RATE);
        if (plan->breaker.consecutive_failures != 0) {
            wr_sink_put(text, ", or %" PRIu64 " failures in a row",
                        plan->breaker.consecutive_failures);
        }
        wr_sink_put(text, "\n");
        if (plan->window.size > 0 && plan->window.size < plan->breaker.minimum_calls) {
            wr_sink_put(text,
                        "  no rate is ever judged: the window holds %" PRIu32
                        " calls, below breaker.minimum_calls\n",
                        plan->window.size);
        }
        break;
    case WEIR_BREAKER_OPEN:
        put_duration(text, "  half-open in ", wr_sat_sub(state->open_until_ns, now_ns), "\n");
        break;
    case WEIR_BREAKER_HALF_OPEN:
        wr_sink_put(text,
                    "  trials: %" PRIu32 " good, %" PRIu32 " bad, %" PRIu32 " free of %" PRIu32
                    "; closes at %" PRIu32 " good\n",
                    state->good_trials, state->bad_trials,
                    wr_breaker_free_trials(state, &plan->breaker, now_ns),
                    plan->breaker.trial_calls, plan->breaker.trial_successes);
        break;
    default:
        wr_sink_put(text, "  overridden: weir_dependency_force(WEIR_FORCE_AUTO) ends it\n");
        break;
    }
}

static void put_breaker(struct wr_sink *text, weir_dependency *dependency,
                        const struct wr_plan *plan, const struct wr_view *view, uint64_t now_ns)
{
    struct wr_breaker_state state;
    struct wr_breaker_trip trip;
    char who[WR_WHO_MAX];
    char why[WR_WHY_MAX];

    if (!plan->breaker_on) {
        wr_sink_put(text, "breaker: off (give any breaker. key to switch it on)\n");
        return;
    }
    wr_breaker_snapshot(&dependency->breaker, &state, &trip, who, why);
    wr_sink_put(text,
                "breaker: %s, epoch %" PRIu64 "; window: %" PRIu64 " calls, %" PRIu64
                " failures, %" PRIu64 " slow; %" PRIu64 " overdue\n",
                state_name(view->breaker), state.epoch, view->window.calls, view->window.failures,
                view->window.slow, view->overdue);
    if (view->breaker >= WEIR_BREAKER_FORCED_OPEN) {
        wr_sink_put(text, "  by \"%s\": \"%s\"\n", who, why);
    }
    wr_sink_put(text, "  ");
    put_trip(text, plan, &trip);
    put_next(text, plan, &state, view, now_ns);
}

static void put_pool(struct wr_sink *text, const struct wr_pool *pool, const struct wr_plan *plan,
                     const struct wr_slot_census *census, uint64_t now_ns)
{
    wr_sink_put(text,
                "pool: %" PRIu32 " workers of %" PRIu32 "; %" PRIu64 " calls run, %" PRIu64
                " queued, %" PRIu64 " abandoned",
                atomic_load_explicit(&pool->alive, memory_order_relaxed), plan->threads,
                census->held - census->queued, census->queued, census->abandoned);
    if (census->abandoned > 0) {
        put_duration(text, ", the oldest for ", wr_sat_sub(now_ns, census->oldest_left_ns), "");
    }
    wr_sink_put(text, "; %" PRIu32 " of %" PRIu32 " cells used\n", wr_cells_used(&pool->cells),
                atomic_load_explicit(&pool->cells.capacity, memory_order_relaxed));
    if (atomic_load_explicit(&pool->worker_failures, memory_order_relaxed) > 0) {
        wr_sink_put(text, "  worker_start has failed %" PRIu64 " times\n",
                    atomic_load_explicit(&pool->worker_failures, memory_order_relaxed));
    }
}

static void explain_all(struct wr_sink *text, weir_dependency *dependency,
                        const struct wr_plan *plan)
{
    const uint64_t now_ns = wr_dependency_now(dependency);
    const struct wr_slot_check check = wr_slot_check_of(dependency, plan, now_ns);
    struct wr_slot_census census;
    struct wr_view view;

    wr_dependency_view(dependency, now_ns, &view);
    wr_slots_count(&dependency->slots, &check, &census);
    view.overdue = census.overdue;
    wr_sink_put(text, "%s: mode ", dependency->name);
    wr_sink_put(text, "%s, isolation %s, snapshot %" PRIu64 "\n",
                wr_properties[WR_MODE].choices[plan->mode], dependency->isolator->name,
                plan->generation);
    put_breaker(text, dependency, plan, &view, now_ns);
    wr_sink_put(text,
                "bulkhead: %" PRIu32 " of %" PRIu32 " places held, %" PRIu32 " calls waiting\n",
                view.in_flight, plan->max_concurrent, view.queued);
    if (dependency->pool != NULL) {
        put_pool(text, dependency->pool, plan, &census, now_ns);
    }
    if (view.rate_on) {
        wr_sink_put(text, "rate limit: %" PRIu64 " tokens available, ", view.tokens);
        put_setting(text, plan, WR_RATE);
        wr_sink_put(text, ", ");
        put_setting(text, plan, WR_BURST);
        wr_sink_put(text, ", ");
        put_setting(text, plan, WR_RATE_MODE);
        wr_sink_put(text, "\n");
    } else {
        wr_sink_put(text, "rate limit: off (give any rate_limit. key to switch it on)\n");
    }
}

static void explain_key(struct wr_sink *text, const struct wr_plan *plan, enum wr_key key)
{
    static const char *const origins[] = {"the built-in default", "the runtime's defaults",
                                          "the dependency's own settings"};
    const struct wr_property *const property = &wr_properties[key];
    char low[48];
    char high[48];

    put_setting(text, plan, key);
    wr_sink_put(text, ", from %s\n  %s\n  %s", origins[plan->origin[key]], property->doc,
                wr_type_name(property->type));
    if (property->choices != NULL) {
        for (size_t i = 0; property->choices[i] != NULL; ++i) {
            wr_sink_put(text, "%s%s", i == 0 ? ": " : ", ", property->choices[i]);
        }
    } else if (property->type != WR_TYPE_SWITCH && property->type != WR_TYPE_RATE) {
        wr_property_format(key, property->min, low, sizeof(low));
        wr_property_format(key, property->max, high, sizeof(high));
        wr_sink_put(text, ", %s to %s%s", low, high, property->off_allowed ? ", or off" : "");
    }
    wr_sink_put(text, ", default %s\n  %s\n", property->default_text,
                wr_reload_name(property->reload));
}

weir_status weir_dependency_explain(weir_dependency *dependency, const char *key, char *buffer,
                                    size_t size)
{
    struct wr_sink text = {.buffer = buffer, .size = size};
    int found = -1;

    if (buffer == NULL || size == 0) {
        return WEIR_E_ARGUMENT;
    }
    buffer[0] = '\0';
    if (dependency == NULL) {
        return WEIR_E_ARGUMENT;
    }
    if (key != NULL) {
        found = wr_property_find(key);
        if (found < 0) {
            const char *const nearest = wr_property_nearest(key);

            wr_sink_put(&text, "unknown key \"%.64s\"%s%s\n", key,
                        nearest != NULL ? ": did you mean " : "", nearest != NULL ? nearest : "");
            return WEIR_E_ARGUMENT;
        }
    }
    wr_rcu_enter();
    if (found >= 0) {
        explain_key(&text, wr_plan_of(dependency), (enum wr_key)found);
    } else {
        explain_all(&text, dependency, wr_plan_of(dependency));
    }
    wr_rcu_leave();
    return text.length >= size ? WEIR_E_TOO_LARGE : WEIR_OK;
}
