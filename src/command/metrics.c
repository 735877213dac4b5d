/*
 * Reading a dependency's numbers and checking the counting laws. See metrics.h.
 *
 * Ends are read before begins: whatever has ended had begun, so in a live snapshot the begins can
 * only be ahead. The gauges come from the bulkhead's word and from the slots themselves.
 */
#include "command/metrics.h"

#include "base/fail.h"
#include "base/rcu.h"
#include "base/saturate.h"
#include "command/attempt.h"

#include <weir/runtime.h>

#include <inttypes.h>

static const char *const names[WEIR_COUNT_END] = {
#define COUNT_NAME(symbol, name, kind, help) [symbol] = (name),
    WEIR_COUNT_LIST(COUNT_NAME)
#undef COUNT_NAME
};

static const char *const helps[WEIR_COUNT_END] = {
#define COUNT_HELP(symbol, name, kind, help) [symbol] = (help),
    WEIR_COUNT_LIST(COUNT_HELP)
#undef COUNT_HELP
};

enum { kind_counter = 1, kind_gauge = 0 };
static const bool counters[WEIR_COUNT_END] = {
#define COUNT_KIND(symbol, name, kind, help) [symbol] = kind_##kind,
    WEIR_COUNT_LIST(COUNT_KIND)
#undef COUNT_KIND
};

const char *weir_count_name(size_t index)
{
    return index < WEIR_COUNT_END ? names[index] : NULL;
}

bool wr_count_is_counter(size_t index)
{
    return counters[index];
}

const char *wr_count_help(size_t index)
{
    return helps[index];
}

/* Counters that are one event each. */
static const struct {
    size_t count;
    enum wr_event event;
} plain[] = {
    {WEIR_COUNT_CALLS_OK, WR_EV_OK},
    {WEIR_COUNT_CALLS_FAILED, WR_EV_FAILED},
    {WEIR_COUNT_CALLS_IGNORED, WR_EV_IGNORED},
    {WEIR_COUNT_CALLS_TIMED_OUT, WR_EV_TIMED_OUT},
    {WEIR_COUNT_CALLS_CANCELLED, WR_EV_CANCELLED},
    {WEIR_COUNT_CALLS_CRASHED, WR_EV_CRASHED},
    {WEIR_COUNT_CALLS_LOST, WR_EV_LOST},
    {WEIR_COUNT_CALLS_UNTRACKED, WR_EV_UNTRACKED},
    {WEIR_COUNT_REFUSED_OPEN, WR_EV_REFUSED_OPEN},
    {WEIR_COUNT_REFUSED_RATE, WR_EV_REFUSED_RATE},
    {WEIR_COUNT_REFUSED_BULKHEAD, WR_EV_REFUSED_BULKHEAD},
    {WEIR_COUNT_REFUSED_OFF, WR_EV_REFUSED_OFF},
    {WEIR_COUNT_REFUSED_DEADLINE, WR_EV_REFUSED_DEADLINE},
    {WEIR_COUNT_REFUSED_COST, WR_EV_REFUSED_COST},
    {WEIR_COUNT_REFUSED_SHUTDOWN, WR_EV_REFUSED_SHUTDOWN},
    {WEIR_COUNT_REFUSED_CELLS, WR_EV_REFUSED_CELLS},
    {WEIR_COUNT_WOULD_OPEN, WR_EV_WOULD_OPEN},
    {WEIR_COUNT_WOULD_RATE, WR_EV_WOULD_RATE},
    {WEIR_COUNT_WOULD_BULKHEAD, WR_EV_WOULD_BULKHEAD},
    {WEIR_COUNT_WOULD_DEADLINE, WR_EV_WOULD_DEADLINE},
    {WEIR_COUNT_WOULD_COST, WR_EV_WOULD_COST},
    {WEIR_COUNT_LATE, WR_EV_LATE},
    {WEIR_COUNT_STALE, WR_EV_STALE},
    {WEIR_COUNT_OUTSIDE_WINDOW, WR_EV_OUTSIDE},
    {WEIR_COUNT_SLOTS_LOST, WR_EV_LOST},
    {WEIR_COUNT_LATE_VALUES, WR_EV_LATE_VALUE},
};

static uint64_t total(const uint64_t *value, size_t first, size_t last)
{
    uint64_t sum = 0;

    for (size_t i = first; i <= last; ++i) {
        sum += value[i];
    }
    return sum;
}

/*
 * The order of reading is the order of the laws: first what ends things (outcomes, calls turned
 * back), then the gauges, then what begins them. Whoever is held or has ended has entered before.
 */
static void read_counters(weir_dependency *dependency, uint64_t *value,
                          const struct wr_slot_check *check)
{
    const struct wr_counters *const from = &dependency->counters;
    struct wr_slot_census census;
    uint64_t turned_back;
    uint64_t refused;
    uint64_t for_places;
    uint64_t for_tokens;
    uint64_t entered;
    uint64_t word;

    for_places = wr_counters_read(from, WR_EV_PLACE_WAIT_BEGUN);
    for_tokens = wr_counters_read(from, WR_EV_TOKEN_WAIT_BEGUN);
    turned_back = wr_counters_read(from, WR_EV_TURNED_BACK);
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); ++i) {
        value[plain[i].count] = wr_counters_read(from, plain[i].event);
    }
    refused = total(value, WEIR_COUNT_REFUSED_OPEN, WEIR_COUNT_REFUSED_CELLS);
    wr_slots_count(&dependency->slots, check, &census);
    word = wr_bulkhead_read(&dependency->bulkhead);
    for_places = wr_sat_sub(for_places, wr_counters_read(from, WR_EV_PLACE_WAIT_ENDED));
    for_tokens = wr_sat_sub(for_tokens, wr_counters_read(from, WR_EV_TOKEN_WAIT_ENDED));
    entered = wr_counters_read(from, WR_EV_ENTERED) - turned_back;

    value[WEIR_COUNT_CALLS_SUBMITTED] = entered + refused;
    /* Left calls hold places and have their outcome. */
    value[WEIR_COUNT_CALLS_OPEN] = census.held + census.claimed + wr_bulkhead_waiters(word);
    value[WEIR_COUNT_ATTEMPTS_BEGUN] = entered - for_places - for_tokens;
    value[WEIR_COUNT_ATTEMPTS_SETTLED] =
        total(value, WEIR_COUNT_CALLS_OK, WEIR_COUNT_CALLS_UNTRACKED);
    value[WEIR_COUNT_ATTEMPTS_RUNNING] = census.held;
    value[WEIR_COUNT_SLOTS_TAKEN] = entered + wr_counters_read(from, WR_EV_TAKEN_IN_VAIN) -
                                    for_places - value[WEIR_COUNT_CALLS_UNTRACKED];
    value[WEIR_COUNT_SLOTS_RETURNED] = wr_sat_sub(census.returned, value[WEIR_COUNT_SLOTS_LOST]);
    value[WEIR_COUNT_SLOTS_HELD] = census.held + census.claimed + census.abandoned;
    value[WEIR_COUNT_RUNNING] = census.held - census.queued;
    value[WEIR_COUNT_QUEUED] = census.queued;
    value[WEIR_COUNT_ABANDONED] = census.abandoned;
    value[WEIR_COUNT_ABANDONED_NS] = wr_sat_sub(check->now_ns, census.oldest_left_ns);
    value[WEIR_COUNT_WAITING] = wr_bulkhead_waiters(word);
    value[WEIR_COUNT_LIMIT] = wr_bulkhead_limit(word);
    value[WEIR_COUNT_OVERDUE] = census.overdue;
    value[WEIR_COUNT_OLDEST_NS] = wr_sat_sub(check->now_ns, census.oldest_start_ns);
}

static uint64_t bytes_of(const weir_dependency *dependency)
{
    const struct wr_window *const window =
        atomic_load_explicit(&dependency->breaker.window, memory_order_acquire);
    const struct wr_rate *const rate =
        atomic_load_explicit(&dependency->rate, memory_order_acquire);

    return sizeof(*dependency) + sizeof(struct wr_plan) + wr_slots_bytes(&dependency->slots) +
           wr_counters_bytes(&dependency->counters) +
           (window != NULL ? wr_window_bytes(window) : 0) +
           (rate != NULL ? wr_rate_bytes(rate) : 0) +
           (dependency->pool != NULL ? wr_pool_bytes(dependency->pool) : 0);
}

static void read_pool(const struct wr_pool *pool, uint64_t *value)
{
    value[WEIR_COUNT_WORKERS] = 0;
    value[WEIR_COUNT_WORKER_FAILURES] = 0;
    value[WEIR_COUNT_CELLS] = 0;
    if (pool != NULL) {
        value[WEIR_COUNT_WORKERS] = atomic_load_explicit(&pool->alive, memory_order_relaxed);
        value[WEIR_COUNT_WORKER_FAILURES] =
            atomic_load_explicit(&pool->worker_failures, memory_order_relaxed);
        value[WEIR_COUNT_CELLS] = wr_cells_used(&pool->cells);
    }
}

void wr_metrics_read(weir_dependency *dependency, struct wr_metrics *ret_metrics)
{
    uint64_t *const value = ret_metrics->value;
    const uint64_t now_ns = wr_dependency_now(dependency);
    const struct wr_breaker *const breaker = &dependency->breaker;
    struct wr_slot_check check;
    struct wr_view view;

    wr_rcu_enter();
    check = wr_slot_check_of(dependency, wr_plan_of(dependency), now_ns);
    value[WEIR_COUNT_BYTES] = bytes_of(dependency);
    wr_rcu_leave();
    ret_metrics->latencies = wr_histogram_read(&dependency->counters, ret_metrics->histogram);
    read_counters(dependency, value, &check);
    read_pool(dependency->pool, value);
    wr_dependency_view(dependency, now_ns, &view);

    value[WEIR_COUNT_BREAKER_STATE] = view.breaker;
    value[WEIR_COUNT_BREAKER_EPOCH] = view.epoch;
    value[WEIR_COUNT_WINDOW_CALLS] = view.window.calls;
    value[WEIR_COUNT_WINDOW_FAILURES] = view.window.failures;
    value[WEIR_COUNT_WINDOW_SLOW] = view.window.slow;
    value[WEIR_COUNT_TOKENS] = view.tokens;
    value[WEIR_COUNT_TRANSITIONS] =
        atomic_load_explicit(&dependency->transitions, memory_order_relaxed);
    value[WEIR_COUNT_OPENED] = atomic_load_explicit(&dependency->opened, memory_order_relaxed);
    value[WEIR_COUNT_WOULD_HAVE_OPENED] =
        atomic_load_explicit(&breaker->would_have_opened, memory_order_relaxed);
    value[WEIR_COUNT_RELOADS] = atomic_load_explicit(&dependency->reloads, memory_order_relaxed);
    value[WEIR_COUNT_LATENCY_P50_NS] =
        wr_histogram_quantile(ret_metrics->histogram, ret_metrics->latencies, 500000);
    value[WEIR_COUNT_LATENCY_P90_NS] =
        wr_histogram_quantile(ret_metrics->histogram, ret_metrics->latencies, 900000);
    value[WEIR_COUNT_LATENCY_P99_NS] =
        wr_histogram_quantile(ret_metrics->histogram, ret_metrics->latencies, 990000);
    value[WEIR_COUNT_LATENCY_MAX_NS] =
        wr_histogram_quantile(ret_metrics->histogram, ret_metrics->latencies, 1000000);
}

size_t weir_dependency_read(weir_dependency *dependency, uint64_t *ret_values, size_t count)
{
    struct wr_metrics metrics;

    if (dependency == NULL) {
        return 0;
    }
    wr_metrics_read(dependency, &metrics);
    for (size_t i = 0; i < WEIR_COUNT_END && i < count && ret_values != NULL; ++i) {
        ret_values[i] = metrics.value[i];
    }
    return WEIR_COUNT_END;
}

bool wr_metrics_broken_law(const struct wr_metrics *metrics, const char **ret_law,
                           uint64_t *ret_left, uint64_t *ret_right)
{
    const uint64_t *const value = metrics->value;
    const struct {
        const char *law;
        uint64_t left, right;
    } laws[] = {
        {"calls: submitted = sum of outcomes + open", value[WEIR_COUNT_CALLS_SUBMITTED],
         total(value, WEIR_COUNT_CALLS_OK, WEIR_COUNT_REFUSED_CELLS) +
             value[WEIR_COUNT_CALLS_OPEN]},
        {"attempts: begun = settled + running", value[WEIR_COUNT_ATTEMPTS_BEGUN],
         value[WEIR_COUNT_ATTEMPTS_SETTLED] + value[WEIR_COUNT_ATTEMPTS_RUNNING]},
        {"slots: taken = returned + held + lost", value[WEIR_COUNT_SLOTS_TAKEN],
         value[WEIR_COUNT_SLOTS_RETURNED] + value[WEIR_COUNT_SLOTS_HELD] +
             value[WEIR_COUNT_SLOTS_LOST]},
    };

    for (size_t i = 0; i < sizeof(laws) / sizeof(laws[0]); ++i) {
        if (laws[i].left != laws[i].right) {
            *ret_law = laws[i].law;
            *ret_left = laws[i].left;
            *ret_right = laws[i].right;
            return true;
        }
    }
    return false;
}

static bool check_one(weir_dependency *dependency, weir_error *error)
{
    struct wr_metrics metrics;
    const char *law;
    uint64_t left;
    uint64_t right;

    wr_metrics_read(dependency, &metrics);
    if (!wr_metrics_broken_law(&metrics, &law, &left, &right)) {
        return true;
    }
    (void)wr_fail(error, WEIR_E_BUSY,
                  "%s: %s: %" PRIu64 " against %" PRIu64
                  ": with no thread inside weir they must be equal",
                  dependency->name, law, left, right);
    return false;
}

weir_status weir_runtime_check(weir_runtime *runtime, weir_error *error)
{
    const struct wr_registry *registry;

    if (runtime == NULL) {
        return wr_fail(error, WEIR_E_ARGUMENT, "runtime is NULL");
    }
    /* The table that we see may be replaced meanwhile, the dependencies in it stay. */
    for (uint32_t i = 0;; ++i) {
        weir_dependency *dependency = NULL;

        wr_rcu_enter();
        registry = wr_registry_of(runtime);
        if (i < registry->count) {
            dependency = registry->list[i];
        }
        wr_rcu_leave();
        if (dependency == NULL) {
            return WEIR_OK;
        }
        if (!check_one(dependency, error)) {
            return WEIR_E_BUSY;
        }
    }
}
