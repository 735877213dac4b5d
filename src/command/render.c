/*
 * Metrics as text: JSON and the Prometheus exposition format. Names need no escaping: they are
 * [A-Za-z0-9_.-] by creation.
 */
#include "base/rcu.h"
#include "base/sink.h"
#include "command/metrics.h"

#include <weir/runtime.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 96 };

static weir_dependency *nth(weir_runtime *runtime, uint32_t index)
{
    const struct wr_registry *registry;
    weir_dependency *dependency = NULL;

    wr_rcu_enter();
    registry = wr_registry_of(runtime);
    if (index < registry->count) {
        dependency = registry->list[index];
    }
    wr_rcu_leave();
    return dependency;
}

static void render_json(struct wr_sink *text, weir_runtime *runtime)
{
    struct wr_metrics metrics;
    weir_dependency *dependency;

    wr_sink_put(text, "{\"dependencies\":[");
    for (uint32_t i = 0; (dependency = nth(runtime, i)) != NULL; ++i) {
        wr_metrics_read(dependency, &metrics);
        wr_sink_put(text, "%s{\"name\":\"%s\"", i == 0 ? "" : ",", dependency->name);
        for (size_t v = 0; v < WEIR_COUNT_END; ++v) {
            wr_sink_put(text, ",\"%s\":%" PRIu64, weir_count_name(v), metrics.value[v]);
        }
        wr_sink_put(text, "}");
    }
    wr_sink_put(text, "]}\n");
}

/* Prometheus counts in seconds; what is told in ns here is divided there. */
static bool is_time(size_t index)
{
    return index == WEIR_COUNT_OLDEST_NS || index == WEIR_COUNT_ABANDONED_NS;
}

/* Percentiles are made from the histogram over there. */
static bool is_percentile(size_t index)
{
    return index >= WEIR_COUNT_LATENCY_P50_NS && index <= WEIR_COUNT_LATENCY_MAX_NS;
}

/* The name over there: with the unit or the kind as its last word. */
static void write_name(char *buffer, size_t size, size_t index)
{
    const char *const name = weir_count_name(index);

    if (is_time(index)) {
        (void)snprintf(buffer, size, "weir_%.*s_seconds", (int)(strlen(name) - strlen("_ns")),
                       name);
    } else {
        (void)snprintf(buffer, size, "weir_%s%s", name, wr_count_is_counter(index) ? "_total" : "");
    }
}

static void render_value(struct wr_sink *text, weir_runtime *runtime, size_t index)
{
    char name[NAME_BYTES];
    struct wr_metrics metrics;
    weir_dependency *dependency;

    if (is_percentile(index)) {
        return;
    }
    write_name(name, sizeof(name), index);
    wr_sink_put(text, "# HELP %s %s\n# TYPE %s %s\n", name, wr_count_help(index), name,
                wr_count_is_counter(index) ? "counter" : "gauge");
    for (uint32_t i = 0; (dependency = nth(runtime, i)) != NULL; ++i) {
        wr_metrics_read(dependency, &metrics);
        wr_sink_put(text, "%s{dependency=\"%s\"} ", name, dependency->name);
        if (is_time(index)) {
            wr_sink_put(text, "%" PRIu64 ".%09" PRIu64 "\n", metrics.value[index] / 1000000000,
                        metrics.value[index] % 1000000000);
        } else {
            wr_sink_put(text, "%" PRIu64 "\n", metrics.value[index]);
        }
    }
}

/* One bound for each doubling: the 16 steps between are for our own percentiles. */
static void render_histogram(struct wr_sink *text, weir_dependency *dependency)
{
    struct wr_metrics metrics;
    uint64_t seen = 0;
    uint64_t sum_ns = 0;

    wr_metrics_read(dependency, &metrics);
    for (uint32_t b = 0; b < WR_HISTOGRAM_BUCKETS; ++b) {
        const uint64_t upper = wr_histogram_upper(b);

        seen += metrics.histogram[b];
        if (b < WR_HISTOGRAM_BUCKETS - 1) {
            sum_ns += metrics.histogram[b] * upper;
        }
        if (b % 16 == 0 && b < WR_HISTOGRAM_BUCKETS - 1) {
            wr_sink_put(text,
                        "weir_latency_seconds_bucket{dependency=\"%s\",le=\"%" PRIu64 ".%09" PRIu64
                        "\"} %" PRIu64 "\n",
                        dependency->name, (upper + 1) / 1000000000, (upper + 1) % 1000000000, seen);
        }
    }
    wr_sink_put(text,
                "weir_latency_seconds_bucket{dependency=\"%s\",le=\"+Inf\"} %" PRIu64 "\n"
                "weir_latency_seconds_sum{dependency=\"%s\"} %" PRIu64 ".%09" PRIu64 "\n"
                "weir_latency_seconds_count{dependency=\"%s\"} %" PRIu64 "\n",
                dependency->name, seen, dependency->name, sum_ns / 1000000000, sum_ns % 1000000000,
                dependency->name, seen);
}

static void render_prometheus(struct wr_sink *text, weir_runtime *runtime)
{
    weir_dependency *dependency;

    for (size_t v = 0; v < WEIR_COUNT_END; ++v) {
        render_value(text, runtime, v);
    }
    wr_sink_put(
        text, "# HELP weir_latency_seconds time from admission to end of settled attempts; the sum "
              "is an upper bound\n# TYPE weir_latency_seconds histogram\n");
    for (uint32_t i = 0; (dependency = nth(runtime, i)) != NULL; ++i) {
        render_histogram(text, dependency);
    }
}

size_t weir_metrics_render(weir_runtime *runtime, int32_t format, char *buffer, size_t size)
{
    struct wr_sink text = {.buffer = buffer, .size = buffer != NULL ? size : 0};

    if (text.size > 0) {
        buffer[0] = '\0';
    }
    if (runtime == NULL) {
        return 0;
    }
    if (format == WEIR_FORMAT_JSON) {
        render_json(&text, runtime);
    } else if (format == WEIR_FORMAT_PROMETHEUS) {
        render_prometheus(&text, runtime);
    }
    return text.length;
}
