/*
 * weir_begin() and weir_end(): permits are bytes, ended once, on any thread; leases.
 */
#define _GNU_SOURCE
#include "support/world.h"

static const weir_permit zero_permit;

static bool is_zero(const weir_permit *permit)
{
    return memcmp(permit, &zero_permit, sizeof(*permit)) == 0;
}

struct ender {
    pthread_t thread;
    pthread_barrier_t *barrier; /* may be NULL */
    weir_permit permit;
    weir_status status;
};

static void *ender_main(void *user)
{
    struct ender *const ender = user;

    if (ender->barrier != NULL) {
        (void)pthread_barrier_wait(ender->barrier);
    }
    ender->status = weir_end(&ender->permit, WEIR_V_OK, 0);
    return NULL;
}

Test(permit, it_may_be_moved_as_bytes_and_ended_on_another_thread)
{
    struct world world;
    struct ender ender = {0};

    world_open(&world, NULL);
    const weir_permit permit = begin_one(world.dependency);
    memcpy(&ender.permit, &permit, sizeof(permit));
    cr_assert_eq(pthread_create(&ender.thread, NULL, ender_main, &ender), 0);
    (void)pthread_join(ender.thread, NULL);
    cr_assert_eq(ender.status, WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 1U);
    world_close(&world);
}

Test(permit, a_double_end_is_stale_and_counts_nothing_twice)
{
    struct world world;

    world_open(&world, "breaker: on");
    weir_permit permit = begin_one(world.dependency);
    weir_permit copy = permit;

    cr_assert_eq(weir_end(&permit, WEIR_V_FAILED, 0), WEIR_OK);
    cr_assert(is_zero(&permit));
    cr_assert_eq(weir_end(&permit, WEIR_V_FAILED, 0), WEIR_E_STALE);
    cr_assert_eq(weir_end(&copy, WEIR_V_FAILED, 0), WEIR_E_STALE);
    cr_assert(is_zero(&copy));
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_FAILED), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_FAILURES), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_STALE), 1U);
    world_close(&world);
}

Test(permit, a_copy_of_an_ended_permit_does_not_end_the_call_that_has_its_slot_now)
{
    struct world world;

    world_open(&world, "max_concurrent: 1");
    weir_permit permit = begin_one(world.dependency);
    const weir_permit copy = permit;

    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    for (int i = 0; i < 100; ++i) {
        weir_permit next = begin_one(world.dependency);
        weir_permit stale = copy;

        cr_assert_eq(weir_end(&stale, WEIR_V_OK, 0), WEIR_E_STALE);
        cr_assert_eq(weir_permit_left_ns(&copy), 0U);
        cr_assert_eq(weir_end(&next, WEIR_V_OK, 0), WEIR_OK);
    }
    world_close(&world);
}

Test(permit, of_two_threads_that_end_it_exactly_one_does)
{
    struct world world;
    pthread_barrier_t barrier;

    world_open(&world, NULL);
    (void)pthread_barrier_init(&barrier, NULL, 2);
    for (int i = 0; i < 200; ++i) {
        struct ender enders[2] = {{.barrier = &barrier}, {.barrier = &barrier}};

        enders[0].permit = enders[1].permit = begin_one(world.dependency);
        for (int e = 0; e < 2; ++e) {
            cr_assert_eq(pthread_create(&enders[e].thread, NULL, ender_main, &enders[e]), 0);
        }
        (void)pthread_join(enders[0].thread, NULL);
        (void)pthread_join(enders[1].thread, NULL);
        cr_assert_eq(enders[0].status + enders[1].status, WEIR_OK + WEIR_E_STALE);
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 200U);
    (void)pthread_barrier_destroy(&barrier);
    world_close(&world);
}

Test(permit, a_zeroed_permit_is_stale)
{
    weir_permit permit = zero_permit;

    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_E_STALE);
    cr_assert_eq(weir_permit_left_ns(&permit), 0U);
}

Test(permit, no_permit_is_a_usage_error)
{
    cr_assert_eq(weir_end(NULL, WEIR_V_OK, 0), WEIR_E_ARGUMENT);
    cr_assert_eq(weir_permit_left_ns(NULL), 0U);
}

Test(permit, what_is_no_verdict_leaves_it_standing)
{
    static const int hostile[] = {-1, WEIR_V_CANCELLED + 1, 1000, INT32_MAX, INT32_MIN};
    struct world world;

    world_open(&world, NULL);
    weir_permit permit = begin_one(world.dependency);
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); ++i) {
        weir_verdict verdict;

        memcpy(&verdict, &hostile[i], sizeof(verdict));
        cr_assert_eq(weir_end(&permit, verdict, 0), WEIR_E_ARGUMENT);
        cr_assert_not(is_zero(&permit));
    }
    cr_assert_eq(world_count(&world, WEIR_COUNT_ATTEMPTS_RUNNING), 1U);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(permit, each_verdict_is_taken_as_said)
{
    static const size_t counts[] = {WEIR_COUNT_CALLS_OK,       WEIR_COUNT_CALLS_FAILED,
                                    WEIR_COUNT_CALLS_IGNORED,  WEIR_COUNT_CALLS_FAILED,
                                    WEIR_COUNT_CALLS_FAILED,   WEIR_COUNT_CALLS_TIMED_OUT,
                                    WEIR_COUNT_CALLS_CANCELLED};
    struct world world;

    world_open(&world, NULL);
    for (size_t verdict = 0; verdict < sizeof(counts) / sizeof(counts[0]); ++verdict) {
        const uint64_t before = world_count(&world, counts[verdict]);
        weir_permit permit = begin_one(world.dependency);

        cr_assert_eq(weir_end(&permit, (weir_verdict)verdict, -5), WEIR_OK);
        cr_assert_eq(world_count(&world, counts[verdict]), before + 1);
    }
    world_close(&world);
}

Test(permit, ended_after_its_deadline_it_is_timed_out_only_if_the_caller_says_so)
{
    struct world world;

    world_open(&world, "timeout: 10ms");
    weir_permit permit = begin_one(world.dependency);
    world_pass(&world, SECOND);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_TIMED_OUT), 0U);
    world_close(&world);
}

Test(permit, a_refusal_leaves_it_all_zero_and_takes_nothing)
{
    struct world world;
    weir_permit permit;
    weir_outcome outcome;

    memset(&permit, 0xff, sizeof(permit));
    world_open(&world, "max_concurrent: 0");
    cr_assert_eq(weir_begin(world.dependency, NULL, &permit, &outcome), WEIR_BULKHEAD);
    cr_assert(is_zero(&permit));
    cr_assert_eq(outcome.kind, WEIR_BULKHEAD);
    cr_assert_eq(world_count(&world, WEIR_COUNT_SLOTS_TAKEN), 0U);
    world_close(&world);
}

Test(permit, begin_refuses_null_and_wrong_sizes_and_leaves_it_all_zero)
{
    static const size_t sizes[] = {0, 1, sizeof(weir_request) - 1, 1U << 20U, SIZE_MAX};
    struct world world;
    weir_permit permit;
    weir_outcome outcome;

    world_open(&world, NULL);
    memset(&permit, 0xff, sizeof(permit));
    cr_assert_eq(weir_begin(NULL, NULL, &permit, &outcome), WEIR_E_ARGUMENT);
    cr_assert(is_zero(&permit));
    cr_assert_eq(outcome.kind, WEIR_E_ARGUMENT);
    cr_assert_eq(weir_begin(world.dependency, NULL, NULL, NULL), WEIR_E_ARGUMENT);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        const weir_request request = {.size = sizes[i]};

        memset(&permit, 0xff, sizeof(permit));
        cr_assert_eq(weir_begin(world.dependency, &request, &permit, &outcome), WEIR_E_SIZE);
        cr_assert(is_zero(&permit));
        cr_assert_eq(outcome.kind, WEIR_E_SIZE);
    }
    world_close(&world);
}

Test(permit, begin_accepts_a_newer_request_while_its_tail_is_zero)
{
    struct {
        weir_request known;
        uint64_t tail[4];
    } request = {.known = {.size = sizeof(request)}};
    struct world world;
    weir_permit permit;

    world_open(&world, NULL);
    request.tail[3] = 1;
    cr_assert_eq(weir_begin(world.dependency, &request.known, &permit, NULL), WEIR_E_SIZE);
    request.tail[3] = 0;
    cr_assert_eq(weir_begin(world.dependency, &request.known, &permit, NULL), WEIR_OK);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(permit, begin_uses_neither_argument_nor_result)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument_size = SIZE_MAX};
    struct world world;
    weir_permit permit;

    world_open(&world, NULL);
    cr_assert_eq(weir_begin(world.dependency, &request, &permit, NULL), WEIR_OK);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(permit, time_left_is_what_remains_of_the_earlier_of_timeout_and_budget)
{
    const weir_request request = {WEIR_SIZED(weir_request), .within_ns = 30 * MS};
    struct world world;
    weir_permit permit;

    world_open(&world, "timeout: 100ms");
    cr_assert_eq(weir_begin(world.dependency, &request, &permit, NULL), WEIR_OK);
    cr_assert_eq(weir_permit_left_ns(&permit), 30 * MS);
    world_pass(&world, 30 * MS - 1);
    cr_assert_eq(weir_permit_left_ns(&permit), 1U);
    world_pass(&world, 1);
    cr_assert_eq(weir_permit_left_ns(&permit), 0U);
    world_pass(&world, SECOND);
    cr_assert_eq(weir_permit_left_ns(&permit), 0U);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(permit, without_a_deadline_the_time_left_is_endless)
{
    struct world world;

    world_open(&world, "timeout: off");
    weir_permit permit = begin_one(world.dependency);
    cr_assert_eq(weir_permit_left_ns(&permit), UINT64_MAX);
    world_pass(&world, 3600 * SECOND);
    cr_assert_eq(weir_permit_left_ns(&permit), UINT64_MAX);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(permit, of_a_trial_the_outcome_says_so)
{
    struct world world;
    weir_permit permit;
    weir_outcome outcome;

    world_open(&world, "breaker.consecutive_failures: 1, breaker.open_for: 1s");
    cr_assert_eq(world_call(&world, WEIR_V_FAILED), WEIR_FAILED);
    cr_assert_eq(weir_begin(world.dependency, NULL, &permit, &outcome), WEIR_OPEN);
    cr_assert_eq(outcome.retry_after_ns, SECOND);
    world_pass(&world, SECOND);
    cr_assert_eq(weir_begin(world.dependency, NULL, &permit, &outcome), WEIR_OK);
    cr_assert_eq(outcome.kind, WEIR_OK);
    cr_assert_eq(outcome.flags, (uint32_t)WEIR_FLAG_TRIAL);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

/* ---- never ended, and leases ---- */

Test(permit, never_ended_it_keeps_its_place_and_shows_its_age)
{
    struct world world;

    world_open(&world, "max_concurrent: 1");
    weir_permit permit = begin_one(world.dependency);
    world_pass(&world, 3600 * SECOND);
    cr_assert_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OLDEST_NS), 3600 * SECOND);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_OLDEST_NS), 0U);
    world_close(&world);
}

Test(permit, its_lease_reclaims_it_as_lost_and_its_end_is_stale)
{
    struct world world;

    world_open(&world, "max_concurrent: 1, permit_lease: 10s");
    weir_permit permit = begin_one(world.dependency);
    world_pass(&world, 10 * SECOND - 1);
    cr_assert_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    world_pass(&world, 1);
    cr_assert_eq(begin_status(world.dependency), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_LOST), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_SLOTS_LOST), 1U);
    cr_assert_eq(weir_permit_left_ns(&permit), 0U);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_E_STALE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_OK), 0U);
    world_close(&world);
}

Test(permit, ended_after_its_lease_it_is_stale_even_if_nobody_had_reclaimed_it)
{
    struct world world;

    world_open(&world, "permit_lease: 10s");
    weir_permit permit = begin_one(world.dependency);
    world_pass(&world, 10 * SECOND);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_E_STALE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_LOST), 1U);
    cr_assert_eq(world_count(&world, WEIR_COUNT_SLOTS_HELD), 0U);
    world_close(&world);
}

Test(permit, lost_it_says_nothing_of_the_dependency)
{
    struct world world;

    world_open(&world, "breaker: on, permit_lease: 10s");
    weir_permit permit = begin_one(world.dependency);
    world_pass(&world, 10 * SECOND);
    cr_assert_eq(begin_status(world.dependency), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    cr_assert_eq(weir_end(&permit, WEIR_V_FAILED, 0), WEIR_E_STALE);
    cr_assert_eq(world_count(&world, WEIR_COUNT_WINDOW_CALLS), 0U);
    world_close(&world);
}

Test(permit, a_lease_switched_on_while_it_is_out_applies_to_it)
{
    struct world world;

    world_open(&world, "max_concurrent: 1");
    weir_permit permit = begin_one(world.dependency);
    world_pass(&world, 10 * SECOND);
    cr_assert_eq(world_set(&world, "permit_lease", "1s"), WEIR_OK);
    cr_assert_eq(begin_status(world.dependency), WEIR_OK);
    cr_assert_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_E_STALE);
    world_close(&world);
}

Test(permit, many_lost_at_once_are_all_reclaimed)
{
    enum { PERMITS = 50 };
    struct world world;
    weir_permit permits[PERMITS];

    world_open(&world, "max_concurrent: 50, permit_lease: 10s");
    for (size_t i = 0; i < PERMITS; ++i) {
        permits[i] = begin_one(world.dependency);
    }
    cr_assert_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    world_pass(&world, 10 * SECOND);
    cr_assert_eq(begin_status(world.dependency), WEIR_OK);
    cr_assert_eq(world_count(&world, WEIR_COUNT_CALLS_LOST), (uint64_t)PERMITS);
    for (size_t i = 0; i < PERMITS; ++i) {
        cr_assert_eq(weir_end(&permits[i], WEIR_V_OK, 0), WEIR_E_STALE);
    }
    world_close(&world);
}

Test(permit, a_lease_is_for_permits_and_not_for_execute)
{
    struct world world;
    struct gate gate = GATE_INIT;
    struct caller caller = {0};

    world_open(&world, "max_concurrent: 1, timeout: off, permit_lease: 1s");
    caller_start(&caller, world.dependency, &gate);
    gate_await(&gate, 1);
    world_pass(&world, 10 * SECOND);
    cr_expect_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    gate_open(&gate);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_LOST), 0U);
    world_close(&world);
}

Test(permit, a_reclaimed_place_goes_to_a_waiter)
{
    struct world world;
    struct gate gate = GATE_INIT; /* keeps the waiter in its place until it has been looked at */
    struct caller caller = {0};

    world_open(&world, "max_concurrent: 1, max_wait: 1m, timeout: off, permit_lease: 10s");
    weir_permit permit = begin_one(world.dependency);
    caller_start(&caller, world.dependency, &gate);
    weir_manual_clock_await_waiters(world.clock, 1);
    world_pass(&world, 10 * SECOND);
    cr_expect_eq(begin_status(world.dependency), WEIR_BULKHEAD);
    gate_open(&gate);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_E_STALE);
    world_close(&world);
}
