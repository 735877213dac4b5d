/*
 * The shared window: against a log in one thread, whole outcomes from many, epochs, shapes, quiet.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include "guard/window.h"

#include <weir/testing.h>

#include <pthread.h>

static weir_failing_allocator memory;
static struct wr_host host;

static const struct wr_observation good = {.failure = false};
static const struct wr_observation bad = {.failure = true};
static const struct wr_observation slow = {.slow = true};
static const struct wr_observation both = {.failure = true, .slow = true};

static const struct wr_window_shape ten_by_ten = {.time = {.bucket_ns = 10, .buckets = 10}};

static struct wr_window *start(const struct wr_window_shape *shape, uint64_t epoch, uint64_t now_ns)
{
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .allocator = &memory.ops};
    struct wr_window *window;

    weir_failing_allocator_init(&memory, 0, 0);
    cr_assert_eq(wr_host_init(&host, &options, NULL), WEIR_OK);
    window = wr_window_create(&host, shape, 4, epoch, now_ns);
    cr_assert_not_null(window);
    return window;
}

static void stop(struct wr_window *window)
{
    wr_window_destroy(window);
    cr_expect_eq(memory.live, 0U);
}

static void check_sum(const struct wr_window *window, uint64_t now_ns, uint64_t calls,
                      uint64_t failures, uint64_t slow_calls)
{
    const struct wr_window_sum sum = wr_window_sum(window, now_ns);

    cr_assert_eq(sum.calls, calls);
    cr_assert_eq(sum.failures, failures);
    cr_assert_eq(sum.slow, slow_calls);
}

Test(window_guard, each_kind_of_outcome_is_counted_as_a_whole)
{
    struct wr_window *const window = start(&ten_by_ten, 1, 1000);

    cr_assert_eq(wr_window_record(window, 1, 1000, good), WR_RECORDED);
    check_sum(window, 1000, 1, 0, 0);
    cr_assert_eq(wr_window_record(window, 1, 1000, bad), WR_RECORDED);
    check_sum(window, 1000, 2, 1, 0);
    cr_assert_eq(wr_window_record(window, 1, 1000, slow), WR_RECORDED);
    check_sum(window, 1000, 3, 1, 1);
    cr_assert_eq(wr_window_record(window, 1, 1000, both), WR_RECORDED);
    check_sum(window, 1000, 4, 2, 2);
    stop(window);
}

Test(window_guard, an_outcome_leaves_when_its_bucket_does)
{
    struct wr_window *const window = start(&ten_by_ten, 1, 1000);

    (void)wr_window_record(window, 1, 1009, bad);
    (void)wr_window_record(window, 1, 1010, slow);
    check_sum(window, 1099, 2, 1, 1);
    check_sum(window, 1100, 1, 0, 1);
    check_sum(window, 1109, 1, 0, 1);
    check_sum(window, 1110, 0, 0, 0);
    stop(window);
}

Test(window_guard, idle_longer_than_the_span_it_is_empty_however_long)
{
    static const uint64_t pauses[] = {100, 1000, 1ULL << 24U, 1ULL << 40U, 1ULL << 62U};

    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); ++i) {
        struct wr_window *const window = start(&ten_by_ten, 1, 1000);

        (void)wr_window_record(window, 1, 1000, bad);
        check_sum(window, 1000 + pauses[i], 0, 0, 0);
        (void)wr_window_record(window, 1, 1000 + pauses[i], good);
        check_sum(window, 1000 + pauses[i], 1, 0, 0);
        stop(window);
    }
}

Test(window_guard, a_stamp_whose_bucket_has_left_is_outside_and_changes_nothing)
{
    struct wr_window *const window = start(&ten_by_ten, 1, 1000);

    (void)wr_window_record(window, 1, 2000, good);
    cr_assert_eq(wr_window_record(window, 1, 1909, bad), WR_RECORDED_OUTSIDE);
    check_sum(window, 2000, 1, 0, 0);
    cr_assert_eq(wr_window_record(window, 1, 1910, bad), WR_RECORDED);
    check_sum(window, 2000, 2, 1, 0);
    stop(window);
}

Test(window_guard, a_stale_reader_sees_what_others_have_recorded_since)
{
    struct wr_window *const window = start(&ten_by_ten, 1, 1000);

    (void)wr_window_record(window, 1, 1050, bad);
    check_sum(window, 1000, 1, 1, 0);
    stop(window);
}

Test(window_guard, a_new_epoch_is_empty_and_old_results_are_late)
{
    struct wr_window *const window = start(&ten_by_ten, 7, 1000);

    (void)wr_window_record(window, 7, 1000, bad);
    wr_window_begin_epoch(window, 8);
    check_sum(window, 1000, 0, 0, 0);
    cr_assert_eq(wr_window_record(window, 7, 1000, bad), WR_RECORDED_LATE);
    cr_assert_eq(wr_window_record(window, 6, 1000, good), WR_RECORDED_LATE);
    cr_assert_eq(wr_window_record(window, 9, 1000, good), WR_RECORDED_LATE);
    check_sum(window, 1000, 0, 0, 0);
    cr_assert_eq(wr_window_record(window, 8, 1000, both), WR_RECORDED);
    check_sum(window, 1000, 1, 1, 1);
    stop(window);
}

Test(window_guard, epochs_of_a_count_window_are_kept_apart_too)
{
    const struct wr_window_shape shape = {.size = 5};
    struct wr_window *const window = start(&shape, 7, 1000);

    cr_assert_eq(wr_window_record(window, 7, 1000, bad), WR_RECORDED);
    wr_window_begin_epoch(window, 8);
    cr_assert_eq(wr_window_record(window, 7, 1000, bad), WR_RECORDED_LATE);
    check_sum(window, 1000, 0, 0, 0);
    stop(window);
}

Test(window_guard, a_count_window_holds_the_last_outcomes_whenever_they_came)
{
    const struct wr_window_shape shape = {.size = 3};
    struct wr_window *const window = start(&shape, 1, 1000);

    for (uint64_t i = 0; i < 3; ++i) {
        (void)wr_window_record(window, 1, i << 50U, both);
    }
    check_sum(window, UINT64_MAX, 3, 3, 3);
    (void)wr_window_record(window, 1, 0, good);
    check_sum(window, 0, 3, 2, 2);
    stop(window);
}

Test(window_guard, a_new_size_of_a_count_window_keeps_the_newest)
{
    const struct wr_window_shape large = {.size = 10};
    const struct wr_window_shape small = {.size = 4};
    struct wr_window *const from = start(&large, 1, 0);
    struct wr_window *const to = wr_window_create(&host, &small, 4, 1, 0);

    for (int i = 0; i < 10; ++i) {
        (void)wr_window_record(from, 1, 0, i < 7 ? bad : good);
    }
    wr_window_inherit(to, from);
    check_sum(to, 0, 4, 1, 0);
    (void)wr_window_record(to, 1, 0, good);
    check_sum(to, 0, 4, 0, 0);
    wr_window_destroy(to);
    stop(from);
}

Test(window_guard, a_window_of_another_kind_inherits_nothing)
{
    const struct wr_window_shape counted = {.size = 10};
    struct wr_window *const from = start(&ten_by_ten, 1, 0);
    struct wr_window *const to = wr_window_create(&host, &counted, 4, 1, 0);

    (void)wr_window_record(from, 1, 0, bad);
    wr_window_inherit(to, from);
    check_sum(to, 0, 0, 0, 0);
    wr_window_destroy(to);
    stop(from);
}

Test(window_guard, it_knows_its_shape)
{
    const struct wr_window_shape other_span = {.time = {.bucket_ns = 20, .buckets = 10}};
    const struct wr_window_shape other_buckets = {.time = {.bucket_ns = 10, .buckets = 5}};
    const struct wr_window_shape counted = {.size = 10};
    struct wr_window *const window = start(&ten_by_ten, 1, 0);

    cr_assert(wr_window_has_shape(window, &ten_by_ten));
    cr_assert_not(wr_window_has_shape(window, &other_span));
    cr_assert_not(wr_window_has_shape(window, &other_buckets));
    cr_assert_not(wr_window_has_shape(window, &counted));
    cr_assert_eq(wr_window_bytes(window), memory.live_bytes);
    stop(window);
}

Test(window_guard, without_memory_there_is_no_window)
{
    stop(start(&ten_by_ten, 1, 0));
    memory.fail_at = memory.calls + 1;
    cr_assert_null(wr_window_create(&host, &ten_by_ten, 4, 1, 0));
    wr_window_destroy(NULL);
}

Test(window_guard, quiet_means_that_it_holds_no_bad_outcome)
{
    static const struct wr_observation kinds[] = {
        {.failure = true}, {.slow = true}, {.failure = true, .slow = true}};

    for (size_t i = 0; i < 3; ++i) {
        struct wr_window *const window = start(&ten_by_ten, 1, 1000);

        cr_assert(wr_window_quiet(window, 1000));
        (void)wr_window_record(window, 1, 1000, good);
        cr_assert(wr_window_quiet(window, 1000));
        (void)wr_window_record(window, 1, 1005, kinds[i]);
        cr_assert_not(wr_window_quiet(window, 1005));
        cr_assert_not(wr_window_quiet(window, 1099));
        cr_assert(wr_window_quiet(window, 1100));
        (void)wr_window_record(window, 1, 1100, kinds[i]);
        wr_window_begin_epoch(window, 2);
        cr_assert(wr_window_quiet(window, 1100));
        stop(window);
    }
}

Test(window_guard, a_count_window_is_quiet_while_it_holds_no_bad_outcome)
{
    const struct wr_window_shape shape = {.size = 2};
    struct wr_window *const window = start(&shape, 1, 0);

    (void)wr_window_record(window, 1, 0, slow);
    cr_assert_not(wr_window_quiet(window, 0));
    (void)wr_window_record(window, 1, 0, good);
    (void)wr_window_record(window, 1, 0, good);
    cr_assert(wr_window_quiet(window, 0));
    stop(window);
}

/* ---- against a log ---- */

enum { LOG_MAX = 4096 };

struct entry {
    uint64_t bucket;
    struct wr_observation observation;
};

static struct entry entries[LOG_MAX];

static struct wr_window_sum log_sum(size_t count, uint64_t first, uint64_t last)
{
    struct wr_window_sum sum = {0};

    for (size_t i = 0; i < count; ++i) {
        if (entries[i].bucket >= first && entries[i].bucket <= last) {
            sum.calls += 1;
            sum.failures += entries[i].observation.failure ? 1 : 0;
            sum.slow += entries[i].observation.slow ? 1 : 0;
        }
    }
    return sum;
}

static void compare_with_log(uint32_t buckets, uint64_t bucket_ns, uint64_t seed)
{
    const struct wr_window_shape shape = {.time = {.bucket_ns = bucket_ns, .buckets = buckets}};
    uint64_t now = seed * 977;
    struct wr_window *const window = start(&shape, 3, now);

    for (size_t count = 0; count < LOG_MAX; ++count) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        now += (seed >> 60U) == 0 ? bucket_ns * buckets * 2 : (seed >> 50U) % (bucket_ns + 1);
        entries[count] = (struct entry){
            .bucket = now / bucket_ns,
            .observation = {.failure = (seed >> 40U) % 3 == 0, .slow = (seed >> 45U) % 4 == 0}};
        cr_assert_eq(wr_window_record(window, 3, now, entries[count].observation), WR_RECORDED);

        const uint64_t last = now / bucket_ns;
        const uint64_t first = last + 1 > buckets ? last + 1 - buckets : 0;
        const struct wr_window_sum expected = log_sum(count + 1, first, last);
        check_sum(window, now, expected.calls, expected.failures, expected.slow);
    }
    stop(window);
}

Test(window_guard, in_one_thread_it_equals_a_brute_force_log)
{
    compare_with_log(1, 10, 1);
    compare_with_log(2, 1, 2);
    compare_with_log(10, 7, 3);
    compare_with_log(120, 3, 4);
}

/* ---- threads ---- */

enum { RECORDERS = 4, RECORDS = 20000 };

struct recorder {
    pthread_t thread;
    pthread_barrier_t *barrier;
    struct wr_window *window;
    _Atomic uint64_t *now_ns;
    uint64_t recorded;
};

static void *recorder_main(void *user)
{
    struct recorder *const recorder = user;

    (void)pthread_barrier_wait(recorder->barrier);
    for (uint64_t i = 0; i < RECORDS; ++i) {
        const uint64_t now = atomic_fetch_add(recorder->now_ns, 1);
        const struct wr_observation observation = {.failure = i % 4 == 0, .slow = i % 8 == 0};

        recorder->recorded +=
            wr_window_record(recorder->window, 1, now, observation) == WR_RECORDED ? 1 : 0;
        if (i % 64 == 0) {
            const struct wr_window_sum sum = wr_window_sum(recorder->window, now);

            recorder->recorded += sum.failures > sum.calls || sum.slow > sum.calls ? 1U << 30U : 0;
        }
    }
    return NULL;
}

Test(window_guard, threads_lose_no_outcome_and_failures_never_exceed_calls)
{
    const struct wr_window_shape shape = {
        .time = {.bucket_ns = RECORDERS * RECORDS / 10, .buckets = 20}};
    struct wr_window *const window = start(&shape, 1, 0);
    static struct recorder recorders[RECORDERS];
    pthread_barrier_t barrier;
    _Atomic uint64_t now_ns = 0;

    (void)pthread_barrier_init(&barrier, NULL, RECORDERS);
    for (size_t i = 0; i < RECORDERS; ++i) {
        recorders[i] = (struct recorder){.barrier = &barrier, .window = window, .now_ns = &now_ns};
        cr_assert_eq(pthread_create(&recorders[i].thread, NULL, recorder_main, &recorders[i]), 0);
    }
    for (size_t i = 0; i < RECORDERS; ++i) {
        (void)pthread_join(recorders[i].thread, NULL);
        cr_assert_eq(recorders[i].recorded, (uint64_t)RECORDS);
    }
    check_sum(window, now_ns - 1, (uint64_t)RECORDERS * RECORDS, (uint64_t)RECORDERS * RECORDS / 4,
              (uint64_t)RECORDERS * RECORDS / 8);
    (void)pthread_barrier_destroy(&barrier);
    stop(window);
}
