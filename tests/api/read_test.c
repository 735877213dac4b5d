/*
 * Reading: counts and their names, explain, rendered metrics, the counting laws after mixed loads.
 */
#define _GNU_SOURCE
#include "support/world.h"

#include <stdlib.h>

static const char *const keys[] = {"mode",
                                   "isolation",
                                   "max_concurrent",
                                   "max_wait",
                                   "timeout",
                                   "permit_lease",
                                   "breaker",
                                   "breaker.window.kind",
                                   "breaker.window.span",
                                   "breaker.window.buckets",
                                   "breaker.window.size",
                                   "breaker.minimum_calls",
                                   "breaker.failure_rate",
                                   "breaker.slow_call",
                                   "breaker.slow_rate",
                                   "breaker.consecutive_failures",
                                   "breaker.open_for",
                                   "breaker.open_backoff",
                                   "breaker.open_for_max",
                                   "breaker.open_jitter",
                                   "breaker.trial_calls",
                                   "breaker.trial_successes",
                                   "breaker.trial_lease",
                                   "breaker.recovery_ramp",
                                   "rate_limit",
                                   "rate_limit.rate",
                                   "rate_limit.burst",
                                   "rate_limit.mode",
                                   "rate_limit.max_wait"};
enum { KEYS = sizeof(keys) / sizeof(keys[0]), TEXT_MAX = 65536 };

static char text[TEXT_MAX];

/* ---- counts ---- */

Test(read, every_count_has_a_name_of_its_own)
{
    for (size_t i = 0; i < WEIR_COUNT_END; ++i) {
        cr_assert_not_null(weir_count_name(i));
        for (size_t j = 0; j < i; ++j) {
            cr_assert_str_neq(weir_count_name(i), weir_count_name(j));
        }
    }
    cr_assert_null(weir_count_name(WEIR_COUNT_END));
    cr_assert_null(weir_count_name(SIZE_MAX));
}

Test(read, as_many_counts_are_written_as_there_is_room_for)
{
    uint64_t values[WEIR_COUNT_END + 1];
    struct world world;

    world_open(&world, NULL);
    for (size_t room = 0; room <= WEIR_COUNT_END + 1; ++room) {
        memset(values, 0xee, sizeof(values));
        cr_assert_eq(weir_dependency_read(world.dependency, values, room), (size_t)WEIR_COUNT_END);
        for (size_t i = room; i <= WEIR_COUNT_END; ++i) {
            cr_assert_eq(values[i], 0xeeeeeeeeeeeeeeeeULL);
        }
    }
    cr_assert_eq(values[WEIR_COUNT_END], 0xeeeeeeeeeeeeeeeeULL);
    world_close(&world);
}

Test(read, without_dependency_there_are_no_counts_and_without_room_only_their_number)
{
    uint64_t value = 7;
    struct world world;

    cr_assert_eq(weir_dependency_read(NULL, &value, 1), 0U);
    cr_assert_eq(value, 7U);
    world_open(&world, NULL);
    cr_assert_eq(weir_dependency_read(world.dependency, NULL, 100), (size_t)WEIR_COUNT_END);
    world_close(&world);
}

Test(read, percentiles_are_at_most_a_sixteenth_above_the_true_value)
{
    struct world world;

    world_open(&world, "timeout: off");
    for (uint64_t i = 1; i <= 100; ++i) {
        (void)world_call_taking(&world, WEIR_V_OK, i * MS, NULL);
    }
    const uint64_t p50 = world_count(&world, WEIR_COUNT_LATENCY_P50_NS);
    const uint64_t p99 = world_count(&world, WEIR_COUNT_LATENCY_P99_NS);
    const uint64_t longest = world_count(&world, WEIR_COUNT_LATENCY_MAX_NS);
    cr_assert(p50 >= 50 * MS && p50 <= 50 * MS + 50 * MS / 16);
    cr_assert(p99 >= 99 * MS && p99 <= 99 * MS + 99 * MS / 16);
    cr_assert(longest >= 100 * MS && longest <= 100 * MS + 100 * MS / 16);
    world_close(&world);
}

Test(read, a_query_from_open_until_on_says_half_open_and_writes_nothing)
{
    struct world world;

    world_open(&world, "breaker.consecutive_failures: 1, breaker.open_for: 1s");
    (void)world_call(&world, WEIR_V_FAILED);
    const uint64_t epoch = world_count(&world, WEIR_COUNT_BREAKER_EPOCH);
    world_pass(&world, SECOND - 1);
    cr_assert_eq(world_count(&world, WEIR_COUNT_BREAKER_STATE), (uint64_t)WEIR_BREAKER_OPEN);
    world_pass(&world, 1);
    cr_assert_eq(world_count(&world, WEIR_COUNT_BREAKER_STATE), (uint64_t)WEIR_BREAKER_HALF_OPEN);
    cr_assert_eq(world_count(&world, WEIR_COUNT_BREAKER_EPOCH), epoch);
    world_close(&world);
}

Test(read, overdue_is_a_gauge_beside_the_window)
{
    struct world world;

    world_open(&world, "breaker: on");
    weir_permit permit = begin_one(world.dependency);
    world_pass(&world, 200 * MS);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OVERDUE), 0U);
    world_pass(&world, 1);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OVERDUE), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OVERDUE), 0U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_SLOW), 1U);
    world_close(&world);
}

/* ---- explain ---- */

static bool explains(struct world *world, const char *key, const char *part)
{
    cr_assert_eq(weir_dependency_explain(world->dependency, key, text, sizeof(text)), WEIR_OK);
    return strstr(text, part) != NULL;
}

Test(read, explain_of_every_key_says_value_origin_and_default)
{
    struct world world;

    world_open(&world, NULL);
    for (size_t i = 0; i < KEYS; ++i) {
        cr_assert(explains(&world, keys[i], keys[i]));
        cr_assert(explains(&world, keys[i], ", from the built-in default\n"));
        cr_assert(explains(&world, keys[i], ", default "));
    }
    world_close(&world);
}

Test(read, explain_of_a_key_says_unit_range_and_reload_rule)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert(explains(&world, "max_concurrent", "max_concurrent 1024,"));
    cr_assert(explains(&world, "max_concurrent", "whole number, 0 to 1000000, default 1024"));
    cr_assert(explains(&world, "timeout", "duration (ns us ms s m h), 0ms to 24h, or off"));
    cr_assert(explains(&world, "mode", "choice: on, observe, off, default on"));
    cr_assert(explains(&world, "isolation", "restart only"));
    cr_assert(explains(&world, "breaker.failure_rate", "the window is kept"));
    world_close(&world);
}

Test(read, explain_of_an_unknown_key_names_the_nearest)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_dependency_explain(world.dependency, "open_for", text, sizeof(text)),
                 WEIR_E_ARGUMENT);
    cr_assert_not_null(strstr(text, "breaker.open_for"));
    cr_assert_eq(weir_dependency_explain(world.dependency, "", text, sizeof(text)),
                 WEIR_E_ARGUMENT);
    world_close(&world);
}

Test(read, explain_fits_its_buffer_or_says_that_it_was_cut)
{
    static char copy[TEXT_MAX];
    struct world world;

    world_open(&world, "breaker: on, rate_limit: on");
    for (int i = 0; i < 2; ++i) {
        const char *const key = i == 0 ? NULL : "timeout";
        cr_assert_eq(weir_dependency_explain(world.dependency, key, text, sizeof(text)), WEIR_OK);
        const size_t length = strlen(text);

        cr_assert_eq(weir_dependency_explain(world.dependency, key, copy, length + 1), WEIR_OK);
        cr_assert_str_eq(copy, text);
        for (size_t size = 1; size <= length; ++size) {
            memset(copy, '#', length + 2);
            cr_assert_eq(weir_dependency_explain(world.dependency, key, copy, size),
                         WEIR_E_TOO_LARGE);
            cr_assert_eq(strlen(copy), size - 1);
            cr_assert_eq(copy[size], '#');
        }
    }
    world_close(&world);
}

Test(read, explain_without_dependency_or_buffer_is_a_usage_error)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert_eq(weir_dependency_explain(world.dependency, NULL, NULL, 10), WEIR_E_ARGUMENT);
    cr_assert_eq(weir_dependency_explain(world.dependency, NULL, text, 0), WEIR_E_ARGUMENT);
    text[0] = 'x';
    cr_assert_eq(weir_dependency_explain(NULL, NULL, text, sizeof(text)), WEIR_E_ARGUMENT);
    cr_assert_str_eq(text, "");
    world_close(&world);
}

Test(read, explain_names_the_rule_and_the_numbers_behind_an_open_breaker)
{
    struct world world;

    world_open(&world, "breaker.minimum_calls: 4, breaker.failure_rate: 50%, breaker.open_for: 5s");
    cr_assert(explains(&world, NULL, "has not opened yet"));
    cr_assert(explains(&world, NULL, "opens when: at least 4 calls"));
    world_calls(&world, WEIR_V_OK, 2);
    world_calls(&world, WEIR_V_FAILED, 2);
    cr_assert(explains(&world, NULL, "breaker: open"));
    cr_assert(explains(&world, NULL, "opened by failure rate: 2 of 4 calls failed"));
    cr_assert(explains(&world, NULL, "breaker.failure_rate 50%"));
    cr_assert(explains(&world, NULL, "half-open in 5s"));
    world_pass(&world, 2 * SECOND);
    cr_assert(explains(&world, NULL, "half-open in 3s"));
    world_pass(&world, 3 * SECOND);
    cr_assert(explains(&world, NULL, "breaker: half-open"));
    world_close(&world);
}

Test(read, explain_names_slow_calls_and_overdue_ones)
{
    struct world world;

    world_open(&world, "breaker.minimum_calls: 2, breaker.slow_rate: 50%, timeout: off");
    weir_permit permit = begin_one(world.dependency);
    (void)world_call_taking(&world, WEIR_V_OK, 300 * MS, NULL);
    cr_assert(explains(&world, NULL, "opened by slow rate: 2 of 2 calls slow, 1 of them overdue"));
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(read, explain_names_failures_in_a_row)
{
    struct world world;

    world_open(&world, "breaker.consecutive_failures: 3");
    world_calls(&world, WEIR_V_FAILED, 3);
    cr_assert(explains(&world, NULL, "opened by 3 failures in a row"));
    world_close(&world);
}

Test(read, explain_says_what_is_off_and_how_to_switch_it_on)
{
    struct world world;

    world_open(&world, NULL);
    cr_assert(explains(&world, NULL, "breaker: off (give any breaker. key"));
    cr_assert(explains(&world, NULL, "rate limit: off (give any rate_limit. key"));
    cr_assert(explains(&world, NULL, "bulkhead: 0 of 1024 places held"));
    world_close(&world);
}

/* ---- rendering ---- */

Test(read, rendered_text_has_the_same_length_whatever_the_room)
{
    static const int32_t formats[] = {WEIR_FORMAT_JSON, WEIR_FORMAT_PROMETHEUS};
    static char copy[TEXT_MAX];
    struct world world;

    world_open(&world, "breaker: on, rate_limit: on");
    world_calls(&world, WEIR_V_OK, 3);
    for (size_t f = 0; f < 2; ++f) {
        const size_t length = weir_metrics_render(world.runtime, formats[f], text, sizeof(text));
        const size_t sizes[] = {1, 2, 100, length - 1, length, length + 1};

        cr_assert_eq(strlen(text), length);
        cr_assert_eq(weir_metrics_render(world.runtime, formats[f], NULL, 0), length);
        cr_assert_eq(weir_metrics_render(world.runtime, formats[f], copy, 0), length);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
            memset(copy, '#', sizeof(copy));
            cr_assert_eq(weir_metrics_render(world.runtime, formats[f], copy, sizes[i]), length);
            cr_assert_eq(strlen(copy), sizes[i] - 1);
            cr_assert_eq(strncmp(copy, text, sizes[i] - 1), 0);
            cr_assert_eq(copy[sizes[i]], '#');
        }
    }
    world_close(&world);
}

Test(read, nothing_is_rendered_of_no_runtime_or_in_an_unknown_format)
{
    static const int32_t hostile[] = {0, -1, 3, INT32_MAX, INT32_MIN};
    struct world world;

    world_open(&world, NULL);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        text[0] = 'x';
        cr_assert_eq(weir_metrics_render(world.runtime, hostile[i], text, sizeof(text)), 0U);
        cr_assert_str_eq(text, "");
    }
    cr_assert_eq(weir_metrics_render(NULL, WEIR_FORMAT_JSON, text, sizeof(text)), 0U);
    cr_assert_str_eq(text, "");
    world_close(&world);
}

Test(read, a_runtime_without_dependencies_renders_too)
{
    struct world world;

    world_open_empty(&world);
    cr_assert_eq(weir_metrics_render(world.runtime, WEIR_FORMAT_JSON, text, sizeof(text)),
                 strlen(text));
    cr_assert_str_eq(text, "{\"dependencies\":[]}\n");
    cr_assert_gt(weir_metrics_render(world.runtime, WEIR_FORMAT_PROMETHEUS, text, sizeof(text)),
                 0U);
    world_close(&world);
}

/* ---- laws ---- */

Test(read, the_laws_are_checked_of_a_runtime_only)
{
    weir_error error;

    cr_assert_eq(weir_runtime_check(NULL, &error), WEIR_E_ARGUMENT);
    cr_assert_str_neq(error.message, "");
}

enum { WORKERS = 4, ROUNDS = 2000 };

struct worker {
    pthread_t thread;
    struct world *world;
    unsigned int seed;
};

static void one_random_call(struct worker *worker)
{
    const unsigned int dice = (unsigned int)rand_r(&worker->seed) >> 4U;
    const struct order order = {.code = (int)(dice % 7)};
    weir_permit permit;

    if (dice / 7 % 2 == 0) {
        (void)call_for(worker->world->dependency, &order, NULL);
    } else if (weir_begin(worker->world->dependency, NULL, &permit, NULL) == WEIR_OK) {
        (void)weir_end(&permit, (weir_verdict)(dice % 7), 0);
        (void)weir_end(&permit, WEIR_V_OK, 0);
    }
    if (dice % 64 == 0) {
        weir_manual_clock_advance(worker->world->clock, 50 * MS);
    }
    if (dice % 512 == 0) {
        (void)weir_dependency_force(worker->world->dependency, (int32_t)(dice / 512 % 4), "t", "t");
    }
}

static void *worker_main(void *user)
{
    struct worker *const worker = user;

    for (int i = 0; i < ROUNDS; ++i) {
        one_random_call(worker);
    }
    return NULL;
}

/* Mixed calls by several threads while the settings change. */
static void load(struct world *world, const char *key, const char *const values[2])
{
    struct worker workers[WORKERS];

    for (unsigned int i = 0; i < WORKERS; ++i) {
        workers[i] = (struct worker){.world = world, .seed = i + 1};
        cr_assert_eq(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]), 0);
    }
    for (int i = 0; i < 40; ++i) {
        cr_expect_eq(world_set(world, key, values[i % 2]), WEIR_OK);
        (void)world_count(world, 0);
    }
    for (unsigned int i = 0; i < WORKERS; ++i) {
        (void)pthread_join(workers[i].thread, NULL);
    }
    cr_expect_eq(world_count(world, WEIR_COUNT_CALLS_SUBMITTED), (uint64_t)WORKERS * ROUNDS);
    cr_expect_eq(world_count(world, WEIR_COUNT_CALLS_OPEN), 0U);
    for (size_t i = 0; i < WEIR_COUNT_BYTES; ++i) {
        if (i != WEIR_COUNT_LATENCY_MAX_NS) {
            cr_expect_lt(world_count(world, i), 1ULL << 62U, "%s", weir_count_name(i));
        }
    }
}

static const char busy[] =
    "max_concurrent: 3, breaker.minimum_calls: 5, breaker.open_for: 100ms, breaker.trial_calls: 2, "
    "rate_limit.rate: 1000/s, rate_limit.burst: 200, permit_lease: 1s";

Test(read, the_laws_hold_after_a_mixed_load_under_changing_limits)
{
    struct world world;

    world_open(&world, busy);
    load(&world, "max_concurrent", (const char *const[]){"1", "8"});
    world_close(&world);
}

Test(read, the_laws_hold_after_a_mixed_load_under_changing_windows)
{
    struct world world;

    world_open(&world, busy);
    load(&world, "breaker.window.kind", (const char *const[]){"count", "time"});
    world_close(&world);
}

Test(read, the_laws_hold_after_a_mixed_load_under_changing_rates)
{
    struct world world;

    world_open(&world, busy);
    load(&world, "rate_limit.mode", (const char *const[]){"window", "bucket"});
    world_close(&world);
}

Test(read, the_laws_hold_after_a_mixed_load_under_changing_modes)
{
    struct world world;

    world_open(&world, busy);
    load(&world, "mode", (const char *const[]){"observe", "on"});
    world_close(&world);
}

Test(read, the_laws_hold_after_a_mixed_load_under_a_breaker_switched_off_and_on)
{
    struct world world;

    world_open(&world, busy);
    load(&world, "breaker", (const char *const[]){"off", "on"});
    world_close(&world);
}
