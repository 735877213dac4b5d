/*
 * What went wrong in other libraries, asked of the whole call: gates, permits, counters. The rules
 * alone are asked in tests/unit/peer_*_test.c.
 */
#define _GNU_SOURCE
#include "support/world.h"

static void open_touchy(struct world *world, const char *extra)
{
    char settings[512];

    (void)snprintf(settings, sizeof(settings),
                   "breaker.consecutive_failures: 1, breaker.open_for: 1s%s", extra);
    world_open(world, settings);
}

/* Half-open from now on: the next call is a trial. */
static void make_half_open(struct world *world)
{
    cr_assert_eq(world_call(world, WEIR_V_FAILED), WEIR_FAILED);
    world_pass(world, SECOND);
}

static uint64_t state_of(struct world *world)
{
    return world_count(world, WEIR_COUNT_BREAKER_STATE);
}

/* row: resilience4j#544 */
Test(peer_gates, a_trial_that_ends_ignored_lets_the_next_call_be_the_trial)
{
    struct world world;
    weir_outcome outcome;

    open_touchy(&world, "");
    make_half_open(&world);
    cr_assert_eq(world_call(&world, WEIR_V_IGNORED), WEIR_IGNORED);
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_OK);
    cr_assert_eq(outcome.flags, (uint32_t)WEIR_FLAG_TRIAL);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    world_close(&world);
}

/* row: resilience4j#935 */
Test(peer_gates, a_trial_that_never_returns_is_replaced_after_its_lease)
{
    struct world world;

    open_touchy(&world, ", breaker.trial_lease: 10s");
    make_half_open(&world);
    weir_permit hung = begin_one(world.dependency);
    world_pass(&world, 10 * SECOND - 1);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OPEN);
    world_pass(&world, 1);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    cr_assert_eq(weir_end(&hung, WEIR_V_FAILED, 0), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    world_close(&world);
}

/* row: Polly#1979 */
Test(peer_gates, a_classify_that_knows_no_verdict_for_a_trial_does_not_leave_it_stuck)
{
    struct world world;
    const struct order order = {.code = 12345};

    open_touchy(&world, "");
    make_half_open(&world);
    cr_assert_eq(call_for(world.dependency, &order, NULL), WEIR_FAILED);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_OPEN);
    world_pass(&world, SECOND);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    world_close(&world);
}

/* row: Sentinel#1638 */
Test(peer_gates, a_trial_refused_by_a_later_gate_goes_back)
{
    struct world world;

    open_touchy(&world, ", rate_limit.rate: 1/s, rate_limit.burst: 1, max_concurrent: 1");
    make_half_open(&world);
    cr_assert_eq(world_set(&world, "rate_limit.rate", "0/s"), WEIR_OK);
    for (int i = 0; i < 10; ++i) {
        cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_RATE);
    }
    cr_assert_eq(world_set(&world, "max_concurrent", "0"), WEIR_OK);
    for (int i = 0; i < 10; ++i) {
        cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_BULKHEAD);
    }
    cr_assert_eq(world_set(&world, "max_concurrent", "1"), WEIR_OK);
    cr_assert_eq(world_set(&world, "rate_limit", "off"), WEIR_OK);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    world_close(&world);
}

/* row: Hystrix#1541 */
Test(peer_gates, a_thousand_reads_take_no_trial)
{
    static char text[8192];
    uint64_t state = 0;
    struct world world;

    open_touchy(&world, "");
    make_half_open(&world);
    const uint64_t transitions = world_count(&world, WEIR_COUNT_TRANSITIONS);
    for (int i = 0; i < 1000; ++i) {
        uint64_t values[WEIR_COUNT_END];

        (void)weir_dependency_read(world.dependency, values, WEIR_COUNT_END);
        (void)weir_dependency_explain(world.dependency, NULL, text, sizeof(text));
        state = values[WEIR_COUNT_BREAKER_STATE];
    }
    cr_assert_eq(state, (uint64_t)WEIR_BREAKER_HALF_OPEN);
    cr_assert_eq(world_count(&world, WEIR_COUNT_TRANSITIONS), transitions);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    world_close(&world);
}

/* ---- threads that all begin at once and hold what they got ---- */

enum { CROWD = 64 };

struct asker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    weir_dependency *dependency;
    weir_permit permit;
    weir_status status;
};

static void *asker_main(void *user)
{
    struct asker *const asker = user;

    (void)pthread_barrier_wait(asker->barrier);
    asker->status = weir_begin(asker->dependency, NULL, &asker->permit, NULL);
    return NULL;
}

static int ask_together(weir_dependency *dependency, struct asker askers[CROWD])
{
    pthread_barrier_t barrier;
    int admitted = 0;

    (void)pthread_barrier_init(&barrier, NULL, CROWD);
    for (int i = 0; i < CROWD; ++i) {
        askers[i] = (struct asker){.barrier = &barrier, .dependency = dependency};
        cr_assert_eq(pthread_create(&askers[i].thread, NULL, asker_main, &askers[i]), 0);
    }
    for (int i = 0; i < CROWD; ++i) {
        (void)pthread_join(askers[i].thread, NULL);
        admitted += askers[i].status == WEIR_OK ? 1 : 0;
    }
    (void)pthread_barrier_destroy(&barrier);
    return admitted;
}

static void end_all(struct asker askers[CROWD], weir_verdict verdict)
{
    for (int i = 0; i < CROWD; ++i) {
        if (askers[i].status == WEIR_OK) {
            cr_expect_eq(weir_end(&askers[i].permit, verdict, 0), WEIR_OK);
        }
    }
}

/* row: Polly#216 */
Test(peer_gates, of_64_threads_at_the_instant_of_half_open_exactly_trial_calls_are_admitted)
{
    static struct asker askers[CROWD];
    struct world world;

    open_touchy(&world, ", breaker.trial_calls: 5, breaker.trial_successes: 5");
    for (int round = 0; round < 5; ++round) {
        make_half_open(&world);
        cr_assert_eq(ask_together(world.dependency, askers), 5);
        end_all(askers, WEIR_V_OK);
        cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    }
    world_close(&world);
}

/* row: Sentinel#628 */
Test(peer_gates, many_threads_on_a_limit_of_ten_get_exactly_ten_places)
{
    static struct asker askers[CROWD];
    struct world world;

    world_open(&world, "max_concurrent: 10");
    for (int round = 0; round < 5; ++round) {
        cr_assert_eq(ask_together(world.dependency, askers), 10);
        cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 10U);
        end_all(askers, WEIR_V_OK);
        cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    }
    world_close(&world);
}

/* row: Hystrix#1350 */
Test(peer_gates, late_results_of_an_older_epoch_are_counted_and_decide_nothing)
{
    static const weir_verdict verdicts[] = {WEIR_V_OK, WEIR_V_FAILED, WEIR_V_TIMED_OUT};
    struct world world;
    weir_permit late[9];

    open_touchy(&world, "");
    for (size_t i = 0; i < 9; ++i) {
        late[i] = begin_one(world.dependency);
    }
    cr_assert_eq(world_call(&world, WEIR_V_FAILED), WEIR_FAILED);
    for (size_t i = 0; i < 3; ++i) {
        cr_assert_eq(weir_end(&late[i], verdicts[i], 0), WEIR_OK);
        cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_OPEN);
    }
    world_pass(&world, SECOND);
    weir_permit trial = begin_one(world.dependency);
    for (size_t i = 0; i < 3; ++i) {
        cr_assert_eq(weir_end(&late[3 + i], verdicts[i], 0), WEIR_OK);
        cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_HALF_OPEN);
    }
    cr_assert_eq(weir_end(&trial, WEIR_V_OK, 0), WEIR_OK);
    for (size_t i = 0; i < 3; ++i) {
        cr_assert_eq(weir_end(&late[6 + i], verdicts[i], 0), WEIR_OK);
        cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_LATE), 9U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_TRANSITIONS), 3U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OPENED), 1U);
    world_close(&world);
}

/* row: monix#1080 */
Test(peer_gates, a_trial_cancelled_at_any_stage_returns_its_place)
{
    static const struct {
        const char *key, *value, *back;
        weir_status status;
    } stages[] = {{"mode", "off", "on", WEIR_OFF},
                  {"timeout", "0ms", "1s", WEIR_DEADLINE},
                  {"max_concurrent", "0", "9", WEIR_BULKHEAD},
                  {"rate_limit.rate", "0/s", "1000/s", WEIR_RATE}};
    struct world world;

    open_touchy(&world, ", rate_limit.rate: 1000/s");
    make_half_open(&world);
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); ++i) {
        cr_assert_eq(world_set(&world, stages[i].key, stages[i].value), WEIR_OK);
        cr_assert_eq(world_call(&world, WEIR_V_OK), stages[i].status);
        cr_assert_eq(world_set(&world, stages[i].key, stages[i].back), WEIR_OK);
        cr_assert_eq(world_call(&world, WEIR_V_CANCELLED), WEIR_CANCELLED);
        cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_HALF_OPEN);
    }
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    world_close(&world);
}

/* row: failsafe#393 */
Test(peer_gates, waiters_that_time_out_swallow_no_place)
{
    enum { ROUNDS = 100 };
    struct world world;

    world_open(&world, "max_concurrent: 1, max_wait: 1ms, timeout: 1m");
    weir_permit permit = begin_one(world.dependency);
    for (int round = 0; round < ROUNDS; ++round) {
        struct caller callers[3] = {{0}, {0}, {0}};

        for (size_t i = 0; i < 3; ++i) {
            caller_start(&callers[i], world.dependency, NULL);
            weir_manual_clock_await_waiters(world.clock, i + 1);
        }
        world_pass(&world, MS);
        for (size_t i = 0; i < 3; ++i) {
            cr_expect_eq(caller_join(&callers[i]), WEIR_BULKHEAD);
        }
    }
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    cr_expect_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    world_close(&world);
}

/* row: hystrix-go#13 */
Test(peer_gates, no_error_on_any_path_loses_a_place)
{
    struct world world;
    weir_command broken = *obey();
    const weir_request small = {.size = 1};
    weir_permit permit;

    world_open(&world, "max_concurrent: 2, rate_limit.rate: 0/s");
    broken.run = NULL;
    for (int i = 0; i < 100; ++i) {
        cr_assert_eq(weir_execute(world.dependency, &broken, NULL, NULL), WEIR_E_ARGUMENT);
        cr_assert_eq(weir_begin(world.dependency, &small, &permit, NULL), WEIR_E_SIZE);
        cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_RATE);
    }
    cr_assert_eq(world_set(&world, "rate_limit", "off"), WEIR_OK);
    weir_permit both[2] = {begin_one(world.dependency), begin_one(world.dependency)};
    cr_assert_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    cr_assert_eq(weir_end(&both[0], WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(weir_end(&both[1], WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

/* row: envoy#22390 */
Test(peer_gates, refused_at_any_gate_no_counter_wraps)
{
    static const char *const settings[] = {
        "mode: off",
        "timeout: 0ms",
        "max_concurrent: 0",
        "rate_limit.rate: 0/s",
        "breaker.consecutive_failures: 1",
        "mode: observe, max_concurrent: 0, timeout: 0ms, rate_limit.rate: 0/s"};

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i) {
        struct world world;
        uint64_t values[WEIR_COUNT_END];

        world_open(&world, settings[i]);
        world_calls(&world, WEIR_V_FAILED, 50);
        (void)weir_dependency_read(world.dependency, values, WEIR_COUNT_END);
        for (size_t v = 0; v < WEIR_COUNT_END; ++v) {
            cr_assert_lt(values[v], 1ULL << 32U, "%s", weir_count_name(v));
        }
        world_close(&world);
    }
}

/* row: brpc#1319 */
Test(peer_gates, a_call_that_never_ends_is_visible_with_its_age_and_others_go_on)
{
    struct world world;

    world_open(&world, "max_concurrent: 2");
    weir_permit stuck = begin_one(world.dependency);
    for (int i = 0; i < 100; ++i) {
        world_pass(&world, SECOND);
        cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_OLDEST_NS), 100 * SECOND);
    cr_assert_eq(world_count(&world, WEIR_COUNT_ATTEMPTS_RUNNING), 1U);
    cr_assert_eq(weir_end(&stuck, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

/* row: Hystrix#1867 */
Test(peer_gates, a_call_past_its_deadline_keeps_its_place_until_the_work_ends)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct caller caller = {0};

    world_open(&world, "max_concurrent: 1, timeout: 10ms");
    caller_start(&caller, world.dependency, &gate);
    gate_await(&gate, 1);
    world_pass(&world, SECOND);
    cr_expect_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    gate_open(&gate);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(begin_status(world.dependency), WEIR_OK);
    world_close(&world);
}

/* row: Hystrix#1939 */
Test(peer_gates, a_late_success_is_delivered_and_told_from_a_timeout_without_value)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "timeout: 10ms");
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, SECOND, &outcome), WEIR_OK);
    cr_assert_eq(outcome.kind, WEIR_TIMED_OUT);
    cr_assert_eq(outcome.flags, (uint32_t)WEIR_FLAG_LATE_VALUE);
    cr_assert_eq(world_call_taking(&world, WEIR_V_FAILED, SECOND, &outcome), WEIR_TIMED_OUT);
    cr_assert_eq(outcome.kind, WEIR_TIMED_OUT);
    cr_assert_eq(outcome.flags, 0U);
    world_close(&world);
}

/* row: Hystrix#1737 */
Test(peer_gates, runtimes_that_come_and_go_leave_nothing_behind)
{
    weir_failing_allocator memory;
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .allocator = &memory.ops};
    const weir_dependency_options full = {WEIR_SIZED(weir_dependency_options),
                                          .settings = "breaker: on, rate_limit.mode: window"};

    weir_failing_allocator_init(&memory, 0, 0);
    for (int i = 0; i < 200; ++i) {
        weir_runtime *runtime = NULL;
        weir_dependency *dependency = NULL;

        cr_assert_eq(weir_runtime_create(&options, &runtime, NULL), WEIR_OK);
        cr_assert_eq(weir_dependency_create(runtime, "a", &full, &dependency, NULL), WEIR_OK);
        cr_assert_eq(begin_status(dependency), WEIR_OK);
        weir_runtime_destroy(runtime);
        cr_assert_eq(memory.live, 0U);
    }
}

/* row: spring-cloud-circuitbreaker#114 */
Test(peer_gates, a_thousand_reloads_leave_nothing_behind)
{
    static const char *const sizes[] = {"10", "20"};
    uint64_t live = 0;
    struct world world;

    world_open(&world, "breaker: on, rate_limit: on");
    for (size_t i = 0; i < 1000; ++i) {
        cr_assert_eq(world_set(&world, "breaker.window.buckets", sizes[i % 2]), WEIR_OK);
        cr_assert_eq(world_set(&world, "rate_limit.burst", sizes[i % 2]), WEIR_OK);
        live = i == 1 ? world.memory.live : live;
    }
    cr_assert_eq(world.memory.live, live);
    world_close(&world);
}

/* row: go-zero#5551 */
Test(peer_gates, its_own_refusals_never_feed_the_breaker)
{
    struct world world;

    world_open(&world, "breaker.minimum_calls: 1, breaker.failure_rate: 1%, rate_limit.rate: 0/s");
    world_calls(&world, WEIR_V_FAILED, 100);
    cr_assert_eq(world_set(&world, "rate_limit", "off"), WEIR_OK);
    cr_assert_eq(world_set(&world, "max_concurrent", "0"), WEIR_OK);
    world_calls(&world, WEIR_V_FAILED, 100);
    cr_assert_eq(world_set(&world, "max_concurrent", "9"), WEIR_OK);
    cr_assert_eq(world_set(&world, "timeout", "0ms"), WEIR_OK);
    world_calls(&world, WEIR_V_FAILED, 100);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    world_close(&world);
}

/* row: kratos#2777 */
Test(peer_gates, after_an_outage_under_full_load_it_closes_within_the_open_time_and_one_trial)
{
    struct world world;

    world_open(&world, "breaker.minimum_calls: 10, breaker.open_for: 1s");
    for (int i = 0; i < 3000; ++i) { /* three seconds of outage, then health */
        world_pass(&world, MS);
        (void)world_call(&world, WEIR_V_FAILED);
    }
    uint64_t until = weir_manual_clock_now(world.clock) + SECOND + MS;
    while (state_of(&world) != WEIR_BREAKER_CLOSED) {
        cr_assert_lt(weir_manual_clock_now(world.clock), until);
        world_pass(&world, MS);
        (void)world_call(&world, WEIR_V_OK);
    }
    world_close(&world);
}

/* row: openab#969 */
Test(peer_gates, failures_that_land_while_open_do_not_extend_it)
{
    struct world world;
    weir_permit permits[5];

    open_touchy(&world, "");
    for (size_t i = 0; i < 5; ++i) {
        permits[i] = begin_one(world.dependency);
    }
    (void)world_call(&world, WEIR_V_FAILED);
    for (size_t i = 0; i < 5; ++i) {
        world_pass(&world, 100 * MS);
        cr_assert_eq(weir_end(&permits[i], WEIR_V_FAILED, 0), WEIR_OK);
    }
    world_pass(&world, 500 * MS - 1);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OPEN);
    world_pass(&world, 1);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    world_close(&world);
}

/* row: resilience4j#1262 */
Test(peer_gates, slow_failures_are_counted_once_each_and_leave_with_their_bucket)
{
    struct world world;

    world_open(&world, "breaker.minimum_calls: 1000, timeout: off");
    for (int i = 0; i < 20; ++i) {
        (void)world_call_taking(&world, WEIR_V_FAILED, 250 * MS, NULL);
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_SLOW), 20U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 20U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 20U);
    world_pass(&world, 10 * SECOND);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_SLOW), 0U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 0U);
    world_close(&world);
}

/* row: resilience4j#2379 */
Test(peer_gates, a_window_of_one_bucket_and_one_of_one_outcome_work)
{
    static const char *const settings[] = {
        "breaker.window.buckets: 1, breaker.minimum_calls: 1",
        "breaker.window.kind: count, breaker.window.size: 1, breaker.minimum_calls: 1",
        "breaker.window.span: 1ns, breaker.window.buckets: 1, breaker.minimum_calls: 1"};

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i) {
        struct world world;

        world_open(&world, settings[i]);
        cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
        cr_assert_eq(world_call(&world, WEIR_V_FAILED), WEIR_FAILED);
        cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OPEN);
        world_close(&world);
    }
}

/* row: Sentinel#1039 */
Test(peer_gates, one_stamp_per_settlement_puts_it_in_one_bucket)
{
    struct world world;

    world_open(&world, "breaker.window.span: 10s, breaker.window.buckets: 10");
    world_pass(&world, SECOND - 1); /* the last ns of its bucket */
    (void)world_call(&world, WEIR_V_OK);
    world_pass(&world, 1); /* the first of the next */
    (void)world_call(&world, WEIR_V_OK);
    world_pass(&world, 9 * SECOND - 1);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 2U);
    world_pass(&world, 1);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 1U);
    world_pass(&world, SECOND);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    world_close(&world);
}

/* row: Hystrix#1392 */
Test(peer_gates, after_a_pause_longer_than_the_window_old_failures_trip_nothing)
{
    struct world world;

    world_open(&world, "breaker.minimum_calls: 10");
    world_calls(&world, WEIR_V_FAILED, 9);
    world_pass(&world, 60 * SECOND);
    cr_assert_eq(world_call(&world, WEIR_V_FAILED), WEIR_FAILED);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_CLOSED);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 1U);
    world_close(&world);
}

/* row: sentinel-golang#409 */
Test(peer_gates, a_clock_set_back_over_a_call_harms_nothing)
{
    struct world world;
    weir_outcome outcome;

    world_open(&world, "breaker: on, rate_limit: on");
    weir_permit permit = begin_one(world.dependency);
    (void)world_call(&world, WEIR_V_OK);
    weir_manual_clock_set(world.clock, START - 500 * SECOND);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(world_call_taking(&world, WEIR_V_OK, 0, &outcome), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OUTSIDE_WINDOW), 2U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 1U);
    weir_manual_clock_set(world.clock, START);
    cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 2U);
    world_close(&world);
}

static int run_back(weir_call *call, const void *argument, void *result)
{
    weir_manual_clock *clock;

    (void)call;
    (void)result;
    memcpy(&clock, argument, sizeof(weir_manual_clock *));
    weir_manual_clock_set(clock, START - SECOND);
    return 0;
}

/* row: haproxy#2704 */
Test(peer_gates, a_clock_set_back_while_it_runs_gives_no_latency_and_no_timeout)
{
    static const weir_command command = {
        WEIR_SIZED(weir_command), .name = "back", .isolations = WEIR_INLINE,
        .argument_max = sizeof(weir_manual_clock *), .run = run_back};
    struct world world;
    weir_outcome outcome;

    world_open(&world, NULL);
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &world.clock,
                                  .argument_size = sizeof(weir_manual_clock *)};
    cr_assert_eq(weir_execute(world.dependency, &command, &request, &outcome), WEIR_OK);
    cr_assert_eq(outcome.kind, WEIR_OK);
    cr_assert_eq(outcome.latency_ns, 0U);
    world_close(&world);
}

/* row: dropwizard-metrics#515 */
Test(peer_gates, it_behaves_the_same_wherever_the_clock_begins)
{
    static const uint64_t starts[] = {
        0, 1, SECOND, 1ULL << 62U, (1ULL << 63U) - SECOND, UINT64_MAX - 100 * SECOND};

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); ++i) {
        weir_manual_clock *const clock = weir_manual_clock_create(starts[i]);
        const weir_runtime_options host = {WEIR_SIZED(weir_runtime_options),
                                           .clock = weir_manual_clock_ops(clock)};
        const weir_dependency_options options = {
            WEIR_SIZED(weir_dependency_options),
            .settings = "breaker.consecutive_failures: 1, breaker.open_for: 1s, "
                        "rate_limit.rate: 1/s, rate_limit.burst: 2"};
        const struct order fail = {.code = WEIR_V_FAILED};
        weir_runtime *runtime = NULL;
        weir_dependency *dependency = NULL;

        cr_assert_eq(weir_runtime_create(&host, &runtime, NULL), WEIR_OK);
        cr_assert_eq(weir_dependency_create(runtime, "a", &options, &dependency, NULL), WEIR_OK);
        cr_expect_eq(call_for(dependency, &fail, NULL), WEIR_FAILED);
        cr_expect_eq(begin_status(dependency), WEIR_OPEN);
        weir_manual_clock_advance(clock, SECOND);
        cr_expect_eq(begin_status(dependency), WEIR_OK, "start %zu", i);
        cr_expect_eq(begin_status(dependency), WEIR_OK);
        cr_expect_eq(begin_status(dependency), WEIR_RATE);
        weir_runtime_destroy(runtime);
        weir_manual_clock_destroy(clock);
    }
}

/* row: Sentinel#461 */
Test(peer_gates, a_limit_of_zero_refuses_every_call_for_ever)
{
    struct world world;

    world_open(&world, "rate_limit.rate: 0/s");
    weir_dependency *const narrow = world_add(&world, "narrow", "max_concurrent: 0");
    for (int i = 0; i < 100; ++i) {
        cr_assert_eq(world_call(&world, WEIR_V_OK), WEIR_RATE);
        cr_assert_eq(begin_status(narrow), WEIR_BULKHEAD);
        world_pass(&world, 86400 * SECOND);
    }
    world_close(&world);
}

/* row: envoy#21327 */
Test(peer_gates, under_five_times_its_rate_it_admits_its_rate)
{
    struct world world;
    uint64_t admitted = 0;

    world_open(&world, "rate_limit.rate: 100/s, rate_limit.burst: 1");
    for (int i = 0; i < 5000; ++i) { /* ten seconds */
        admitted += begin_status(world.dependency) == WEIR_OK ? 1 : 0;
        world_pass(&world, 2 * MS);
    }
    cr_assert(admitted >= 999 && admitted <= 1001);
    world_close(&world);
}

/* row: resilience4j#2489 */
Test(peer_gates, a_limit_lowered_below_what_is_held_comes_back_to_itself)
{
    enum { HELD = 20 };
    struct world world;
    weir_permit permits[HELD];

    world_open(&world, "max_concurrent: 20");
    for (size_t i = 0; i < HELD; ++i) {
        permits[i] = begin_one(world.dependency);
    }
    cr_assert_eq(world_set(&world, "max_concurrent", "5"), WEIR_OK);
    for (size_t i = 0; i < HELD; ++i) {
        cr_assert_eq(begin_status(world.dependency), i <= HELD - 5 ? WEIR_BULKHEAD : WEIR_OK);
        cr_assert_eq(weir_end(&permits[i], WEIR_V_OK, 0), WEIR_OK);
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OPEN), 0U);
    world_close(&world);
}

/* row: Hystrix#1897 */
Test(peer_gates, limits_raised_and_lowered_in_any_order_converge_at_once)
{
    static const char *const limits[] = {"1", "1000", "3", "0", "17", "16", "500000", "2"};
    static const uint64_t numbers[] = {1, 1000, 3, 0, 17, 16, 500000, 2};
    struct world world;

    world_open(&world, NULL);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); ++i) {
        cr_assert_eq(world_set(&world, "max_concurrent", limits[i]), WEIR_OK);
        cr_assert_eq(world_count(&world, WEIR_COUNT_LIMIT), numbers[i]);
        cr_assert_eq(begin_status(world.dependency), numbers[i] == 0 ? WEIR_BULKHEAD : WEIR_OK);
    }
    world_close(&world);
}

/* row: rubyist-circuitbreaker#1 */
Test(peer_gates, a_threshold_reached_by_two_recordings_at_once_is_not_jumped_over)
{
    struct world world;

    world_open(&world, "breaker.consecutive_failures: 4");
    weir_permit permits[6];
    for (size_t i = 0; i < 6; ++i) {
        permits[i] = begin_one(world.dependency);
    }
    cr_assert_eq(world_set(&world, "breaker.consecutive_failures", "0"), WEIR_OK);
    for (size_t i = 0; i < 5; ++i) {
        cr_assert_eq(weir_end(&permits[i], WEIR_V_FAILED, 0), WEIR_OK);
    }
    cr_assert_eq(world_set(&world, "breaker.consecutive_failures", "4"), WEIR_OK);
    cr_assert_eq(weir_end(&permits[5], WEIR_V_FAILED, 0), WEIR_OK);
    cr_assert_eq(state_of(&world), (uint64_t)WEIR_BREAKER_OPEN);
    world_close(&world);
}

/* row: gofr#3755 */
Test(peer_gates, a_time_without_a_unit_is_refused)
{
    static const char *const times[] = {"max_wait",
                                        "timeout",
                                        "permit_lease",
                                        "breaker.open_for",
                                        "breaker.slow_call",
                                        "rate_limit.max_wait",
                                        "breaker.window.span",
                                        "breaker.trial_lease"};
    struct world world;

    world_open(&world, NULL);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); ++i) {
        cr_assert_eq(world_set(&world, times[i], "1"), WEIR_E_CONFIG);
        cr_assert_eq(world_set(&world, times[i], "0"), WEIR_E_CONFIG);
        cr_assert(world_says(&world, "duration (ns us ms s m h)"));
    }
    world_close(&world);
}
