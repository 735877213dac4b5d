/*
 * The window of the last N outcomes against a brute-force log, resizes included.
 */
#include "support/harness.h"

#include "policy/count_window.h"

#include <inttypes.h>
#include <string.h>

enum { SIZE_MAX_TESTED = 40, LOG_LENGTH = 4000 };

static const struct wr_observation good = {.failure = false};
static const struct wr_observation bad = {.failure = true};
static const struct wr_observation slow = {.slow = true};
static const struct wr_observation slow_and_bad = {.failure = true, .slow = true};

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

/* A window and its ring. */
struct counted {
    struct wr_count_window window;
    uint8_t ring[SIZE_MAX_TESTED];
};

static struct counted counted_of(uint32_t size)
{
    struct counted counted;

    memset(&counted, 0xff, sizeof(counted)); /* what the ring holds before must not matter */
    wr_count_window_init(&counted.window, size);
    return counted;
}

static void add(struct counted *counted, struct wr_observation observation)
{
    wr_count_window_add(&counted->window, counted->ring, observation);
}

static struct counted resized(const struct counted *from, uint32_t size)
{
    struct counted to = counted_of(size);

    wr_count_window_copy(&to.window, to.ring, &from->window, from->ring);
    return to;
}

static void check_sum(const struct counted *counted, uint64_t calls, uint64_t failures,
                      uint64_t slow_calls)
{
    const struct wr_window_sum sum = wr_count_window_sum(&counted->window);

    cr_assert_eq(sum.calls, calls);
    cr_assert_eq(sum.failures, failures);
    cr_assert_eq(sum.slow, slow_calls);
}

Test(count_window, a_new_window_is_empty)
{
    const struct counted counted = counted_of(5);

    check_sum(&counted, 0, 0, 0);
}

Test(count_window, it_holds_the_last_n_outcomes)
{
    struct counted counted = counted_of(3);

    add(&counted, bad);
    add(&counted, slow);
    add(&counted, good);
    check_sum(&counted, 3, 1, 1);
    add(&counted, good);
    check_sum(&counted, 3, 0, 1);
    add(&counted, slow_and_bad);
    check_sum(&counted, 3, 1, 1);
}

Test(count_window, a_slow_failure_is_in_both_sums_and_leaves_both)
{
    struct counted counted = counted_of(1);

    add(&counted, slow_and_bad);
    check_sum(&counted, 1, 1, 1);
    add(&counted, good);
    check_sum(&counted, 1, 0, 0);
}

Test(count_window, a_window_of_one_outcome_holds_the_last)
{
    struct counted counted = counted_of(1);

    for (int i = 0; i < 10; ++i) {
        add(&counted, bad);
        check_sum(&counted, 1, 1, 0);
        add(&counted, slow);
        check_sum(&counted, 1, 0, 1);
    }
}

Test(count_window, shrinking_keeps_the_newest)
{
    struct counted counted = counted_of(4);
    struct counted smaller;

    add(&counted, bad);
    add(&counted, bad);
    add(&counted, slow);
    add(&counted, good);
    smaller = resized(&counted, 2);

    check_sum(&smaller, 2, 0, 1);
}

Test(count_window, growing_keeps_all_and_makes_room)
{
    struct counted counted = counted_of(2);
    struct counted larger;

    add(&counted, bad);
    add(&counted, slow);
    larger = resized(&counted, 4);
    add(&larger, good);
    add(&larger, good);

    check_sum(&larger, 4, 1, 1);
}

Test(count_window, resizing_keeps_the_order)
{
    struct counted counted = counted_of(3);
    struct counted larger;

    add(&counted, good);
    add(&counted, bad);
    add(&counted, slow);
    add(&counted, good); /* holds bad, slow, good; the ring has turned */
    larger = resized(&counted, 5);

    add(&larger, good);
    add(&larger, good);
    check_sum(&larger, 5, 1, 1);
    add(&larger, good);
    check_sum(&larger, 5, 0, 1); /* bad was the oldest */
    add(&larger, good);
    check_sum(&larger, 5, 0, 0); /* then slow */
}

Test(count_window, an_empty_window_resizes_to_an_empty_one)
{
    const struct counted counted = counted_of(3);
    const struct counted larger = resized(&counted, 7);

    check_sum(&larger, 0, 0, 0);
}

/* What was recorded, in order; `from` is where the window begins after the last resize. */
struct log {
    struct wr_observation entries[LOG_LENGTH];
    uint32_t length;
    uint32_t from;
};

static struct wr_window_sum log_sum(const struct log *log, uint32_t size)
{
    struct wr_window_sum sum = {0};

    for (uint32_t i = log->length; i > log->from && sum.calls < size; --i) {
        sum.calls += 1;
        sum.failures += log->entries[i - 1].failure ? 1U : 0U;
        sum.slow += log->entries[i - 1].slow ? 1U : 0U;
    }
    return sum;
}

static void run_against_log(uint64_t seed_of_run)
{
    static struct log log;
    uint64_t seed = seed_of_run;
    struct counted counted = counted_of((uint32_t)(next_random(&seed) % SIZE_MAX_TESTED) + 1);

    log.length = 0;
    log.from = 0;
    while (log.length < LOG_LENGTH) {
        const uint64_t random = next_random(&seed);
        const uint32_t size = counted.window.size;
        struct wr_window_sum expected;
        struct wr_window_sum sum;

        if (random % 40 == 0) {
            const uint32_t new_size = (uint32_t)(random / 40 % SIZE_MAX_TESTED) + 1;
            const uint32_t keep = new_size < size ? new_size : size;

            counted = resized(&counted, new_size);
            log.from = log.length - log.from > keep ? log.length - keep : log.from;
        } else {
            log.entries[log.length] = (struct wr_observation){.failure = random >> 20U & 1U,
                                                              .slow = (random >> 21U & 3U) == 0};
            add(&counted, log.entries[log.length]);
            log.length += 1;
        }
        expected = log_sum(&log, counted.window.size);
        sum = wr_count_window_sum(&counted.window);
        cr_assert(sum.calls == expected.calls && sum.failures == expected.failures &&
                      sum.slow == expected.slow,
                  "seed %" PRIu64 ", outcome %" PRIu32, seed_of_run, log.length);
    }
}

Test(count_window, a_million_random_steps_equal_a_brute_force_log)
{
    for (uint64_t seed = 1; seed <= 1000000 / LOG_LENGTH; ++seed) {
        run_against_log(seed);
    }
}
