/*
 * All numbers in one pass, the laws that they obey, and their texts: JSON and Prometheus.
 */
#include "support/world.h"

#include "command/attempt.h"
#include "command/metrics.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>

enum { TEXT_MAX = 1 << 17 };

static char text[TEXT_MAX];

/* ---- laws ---- */

static struct wr_metrics read_all(weir_dependency *dependency)
{
    static struct wr_metrics metrics;

    wr_metrics_read(dependency, &metrics);
    return metrics;
}

static bool breaks(struct wr_metrics *metrics, size_t count, const char *named)
{
    const char *law = "";
    uint64_t left;
    uint64_t right;
    bool broken;

    metrics->value[count] += 1;
    broken = wr_metrics_broken_law(metrics, &law, &left, &right);
    metrics->value[count] -= 1;
    return broken && strstr(law, named) != NULL && left != right;
}

Test(metrics, each_count_of_a_law_breaks_it_when_it_is_wrong)
{
    struct world world;
    const char *law;
    uint64_t left;
    uint64_t right;

    world_open(&world, NULL);
    world_calls(&world, WEIR_V_OK, 5);
    struct wr_metrics metrics = read_all(world.dependency);
    cr_assert_not(wr_metrics_broken_law(&metrics, &law, &left, &right));
    for (size_t i = WEIR_COUNT_CALLS_SUBMITTED; i <= WEIR_COUNT_REFUSED_CELLS; ++i) {
        cr_assert(breaks(&metrics, i, "calls:"), "%s", weir_count_name(i));
    }
    cr_assert(breaks(&metrics, WEIR_COUNT_CALLS_OPEN, "calls:"));
    for (size_t i = WEIR_COUNT_ATTEMPTS_BEGUN; i <= WEIR_COUNT_ATTEMPTS_RUNNING; ++i) {
        cr_assert(breaks(&metrics, i, "attempts:"), "%s", weir_count_name(i));
    }
    for (size_t i = WEIR_COUNT_SLOTS_TAKEN; i <= WEIR_COUNT_SLOTS_HELD; ++i) {
        cr_assert(breaks(&metrics, i, "slots:"), "%s", weir_count_name(i));
    }
    world_close(&world);
}

Test(metrics, a_check_names_the_dependency_and_the_law_that_does_not_hold)
{
    struct world world;

    world_open(&world, NULL);
    wr_count(&world.dependency->counters, WR_EV_OK);
    cr_assert_eq(weir_runtime_check(world.runtime, &world.error), WEIR_E_BUSY);
    cr_assert(world_says(&world, "pay: calls: submitted = sum of outcomes + open: 0 against 1"));
    wr_count(&world.dependency->counters, WR_EV_ENTERED);
    cr_assert_eq(weir_runtime_check(world.runtime, &world.error), WEIR_E_BUSY);
    cr_assert(world_says(&world, "pay: slots:"));
    weir_runtime_destroy(world.runtime);
    weir_manual_clock_destroy(world.clock);
}

Test(metrics, every_count_has_a_kind_and_a_help)
{
    for (size_t i = 0; i < WEIR_COUNT_END; ++i) {
        cr_assert_gt(strlen(wr_count_help(i)), 4U);
    }
    cr_assert(wr_count_is_counter(WEIR_COUNT_CALLS_SUBMITTED));
    cr_assert(wr_count_is_counter(WEIR_COUNT_RELOADS));
    cr_assert_not(wr_count_is_counter(WEIR_COUNT_CALLS_OPEN));
    cr_assert_not(wr_count_is_counter(WEIR_COUNT_BREAKER_STATE));
}

Test(metrics, reading_writes_nothing)
{
    struct world world;

    world_open(&world, "breaker.consecutive_failures: 1, rate_limit: on, permit_lease: 1s");
    weir_permit permit = begin_one(world.dependency);
    (void)world_call(&world, WEIR_V_FAILED);
    world_pass(&world, 3600 * SECOND);
    const struct wr_metrics first = read_all(world.dependency);
    for (int i = 0; i < 10; ++i) {
        const struct wr_metrics again = read_all(world.dependency);

        cr_assert_arr_eq(&again, &first, sizeof(first));
    }
    cr_assert_eq(first.value[WEIR_COUNT_CALLS_LOST], 0U);
    (void)weir_end(&permit, WEIR_V_OK, 0);
    world_close(&world);
}

/* ---- the query of the simulator ---- */

static weir_status query(struct world *world, uint64_t cost, uint64_t *ret_retry_after_ns)
{
    const struct wr_ask ask = {.now_ns = weir_manual_clock_now(world->clock), .cost = cost};

    return wr_attempt_query(world->dependency, &ask, ret_retry_after_ns);
}

Test(metrics, a_query_answers_like_a_call_and_writes_nothing)
{
    uint64_t retry = 0;
    struct world world;

    world_open(&world, "breaker.consecutive_failures: 1, breaker.open_for: 1s, max_concurrent: 1, "
                       "rate_limit.rate: 10/s, rate_limit.burst: 2");
    cr_assert_eq(query(&world, 1, &retry), WEIR_OK);
    cr_assert_eq(query(&world, 3, &retry), WEIR_COST);
    weir_permit permit = begin_one(world.dependency);
    cr_assert_eq(query(&world, 1, &retry), WEIR_BULKHEAD);
    (void)weir_end(&permit, WEIR_V_OK, 0);
    (void)world_call(&world, WEIR_V_FAILED);
    const struct wr_metrics before = read_all(world.dependency);
    cr_assert_eq(query(&world, 1, &retry), WEIR_OPEN);
    cr_assert_eq(retry, SECOND);
    const struct wr_metrics after = read_all(world.dependency);
    cr_assert_arr_eq(&after, &before, sizeof(before));
    world_close(&world);
}

/* ---- JSON ---- */

static const char *skip_value(const char *at);

static const char *skip_string(const char *at)
{
    if (at == NULL || *at != '"') {
        return NULL;
    }
    for (++at; *at != '"'; ++at) {
        if (*at == '\0' || *at == '\\' || (unsigned char)*at < ' ') {
            return NULL; /* names need no escapes */
        }
    }
    return at + 1;
}

/* Members of an object or of an array; `at` is behind the bracket.
 * NOLINTNEXTLINE(misc-no-recursion): as deep as the text is nested */
static const char *skip_members(const char *at, char close, bool named)
{
    if (*at == close) {
        return at + 1;
    }
    for (;;) {
        if (named) {
            at = skip_string(at);
            if (at == NULL || *at++ != ':') {
                return NULL;
            }
        }
        at = skip_value(at);
        if (at == NULL || (*at != ',' && *at != close)) {
            return NULL;
        }
        if (*at++ == close) {
            return at;
        }
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): as deep as the text is nested */
static const char *skip_value(const char *at)
{
    const size_t digits = strspn(at, "0123456789");

    switch (*at) {
    case '{':
        return skip_members(at + 1, '}', true);
    case '[':
        return skip_members(at + 1, ']', false);
    case '"':
        return skip_string(at);
    default:
        return digits > 0 && (at[0] != '0' || digits == 1) ? at + digits : NULL;
    }
}

static void open_three(struct world *world)
{
    world_open(world, "breaker: on, rate_limit: on");
    (void)world_add(world, "A.b_c-9", "mode: observe, max_concurrent: 0");
    (void)world_add(world, "1234567890123456789012345678901234567890123456789012345678901234",
                    NULL);
    world_calls(world, WEIR_V_OK, 3);
    (void)world_call_taking(world, WEIR_V_FAILED, 10 * SECOND, NULL);
}

Test(metrics, the_json_is_json)
{
    struct world world;

    open_three(&world);
    const size_t length = weir_metrics_render(world.runtime, WEIR_FORMAT_JSON, text, TEXT_MAX);
    cr_assert_lt(length, (size_t)TEXT_MAX);
    const char *const end = skip_value(text);
    cr_assert_not_null(end);
    cr_assert_str_eq(end, "\n");
    world_close(&world);
}

Test(metrics, the_json_has_every_count_of_every_dependency)
{
    char member[128];
    struct world world;

    open_three(&world);
    (void)weir_metrics_render(world.runtime, WEIR_FORMAT_JSON, text, TEXT_MAX);
    const char *at = strstr(text, "{\"name\":\"pay\"");
    cr_assert_not_null(at);
    for (size_t i = 0; i < WEIR_COUNT_END; ++i) {
        (void)snprintf(member, sizeof(member), ",\"%s\":%" PRIu64, weir_count_name(i),
                       world_count(&world, i));
        at = strstr(at, member);
        cr_assert_not_null(at, "%s", member);
    }
    cr_assert_not_null(strstr(at, "{\"name\":\"A.b_c-9\""));
    world_close(&world);
}

/* ---- Prometheus ---- */

static bool has_line(const char *line)
{
    const char *const at = strstr(text, line);

    return at != NULL && (at == text || at[-1] == '\n');
}

Test(metrics, the_prometheus_text_counts_in_base_units_and_names_counters_total)
{
    struct world world;

    open_three(&world);
    weir_permit permit = begin_one(world.dependency);
    world_pass(&world, 1500 * MS);
    (void)weir_metrics_render(world.runtime, WEIR_FORMAT_PROMETHEUS, text, TEXT_MAX);
    cr_assert(has_line("# TYPE weir_calls_ok_total counter\n"));
    cr_assert(has_line("weir_calls_ok_total{dependency=\"pay\"} 3\n"));
    cr_assert(has_line("# TYPE weir_calls_open gauge\n"));
    cr_assert(has_line("weir_oldest_call_seconds{dependency=\"pay\"} 1.500000000\n"));
    cr_assert(has_line("# TYPE weir_latency_seconds histogram\n"));
    cr_assert(has_line("weir_latency_seconds_count{dependency=\"pay\"} 4\n"));
    cr_assert_null(strstr(text, "_ns"));
    (void)weir_end(&permit, WEIR_V_OK, 0);
    world_close(&world);
}

Test(metrics, the_buckets_of_the_prometheus_histogram_add_up)
{
    static const char start[] = "weir_latency_seconds_bucket{dependency=\"pay\",le=\"";
    double last_bound = 0;
    uint64_t last = 0;
    int buckets = 0;
    struct world world;

    open_three(&world);
    for (uint64_t took = 1; took < 7000 * SECOND; took *= 3) {
        (void)world_call_taking(&world, WEIR_V_OK, took, NULL);
    }
    (void)weir_metrics_render(world.runtime, WEIR_FORMAT_PROMETHEUS, text, TEXT_MAX);
    for (const char *at = strstr(text, start); at != NULL; at = strstr(at, start)) {
        char *end;
        at += sizeof(start) - 1;
        const double bound = strtod(at, &end);
        const uint64_t seen = strtoull(strchr(end, ' '), NULL, 10);

        cr_assert_gt(bound, last_bound);
        cr_assert_geq(seen, last);
        last_bound = bound;
        last = seen;
        ++buckets;
    }
    cr_assert_gt(buckets, 30);
    cr_assert_eq(last, read_all(world.dependency).latencies);
    world_close(&world);
}
