/*
 * The shared bulkhead: exact both ways, waiters first come first served, hand-over, resizing.
 */
#define _GNU_SOURCE
#include "support/harness.h"

#include "guard/bulkhead.h"

#include <weir/testing.h>

#include <pthread.h>

enum { CROWD = 8, ROUNDS = 20000 };

/* Counts the wake-ups; nobody sleeps in these tests. */
static unsigned int wakes;

static uint64_t fixed_now(void *user)
{
    (void)user;
    return 1;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the table says so */
static int never_wait(void *user, uint32_t *word, uint32_t old, uint64_t until_ns)
{
    (void)user;
    (void)word;
    (void)old;
    (void)until_ns;
    return WEIR_WAIT_EXPIRED;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the table says so */
static void count_wake(void *user, uint32_t *word, uint32_t count)
{
    (void)user;
    (void)word;
    wakes += count;
}

static const weir_clock counting_clock = {WEIR_SIZED(weir_clock), .now = fixed_now,
                                          .wait = never_wait, .wake = count_wake};

static struct wr_bulkhead bulkhead;

static void start(uint32_t limit)
{
    wakes = 0;
    wr_bulkhead_init(&bulkhead, limit, &counting_clock);
}

static void take_all(uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i) {
        cr_assert(wr_bulkhead_take(&bulkhead));
    }
}

static uint32_t held(void)
{
    return wr_bulkhead_held(wr_bulkhead_read(&bulkhead));
}

static uint32_t waiters(void)
{
    return wr_bulkhead_waiters(wr_bulkhead_read(&bulkhead));
}

static bool granted(struct wr_waiter *waiter)
{
    return atomic_load(&waiter->granted) != 0;
}

Test(bulkhead_guard, exactly_as_many_places_as_the_limit)
{
    start(3);
    take_all(3);
    cr_assert_not(wr_bulkhead_take(&bulkhead));
    wr_bulkhead_give(&bulkhead);
    cr_assert(wr_bulkhead_take(&bulkhead));
    cr_assert_eq(held(), 3U);
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, of_a_limit_of_zero_nobody_gets_a_place)
{
    start(0);
    cr_assert_not(wr_bulkhead_take(&bulkhead));
    cr_assert_eq(held(), 0U);
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, a_waiter_gets_the_place_that_is_given_back_and_held_does_not_change)
{
    struct wr_waiter waiter;

    start(1);
    take_all(1);
    cr_assert_eq(wr_bulkhead_wait(&bulkhead, &waiter), WR_JOINED);
    cr_assert_eq(waiters(), 1U);
    wr_bulkhead_give(&bulkhead);
    cr_assert(granted(&waiter));
    cr_assert_eq(wakes, 1U);
    cr_assert_eq(held(), 1U);
    cr_assert_eq(waiters(), 0U);
    wr_bulkhead_give(&bulkhead);
    cr_assert_eq(held(), 0U);
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, who_would_wait_while_a_place_is_free_takes_it)
{
    struct wr_waiter waiter;

    start(1);
    cr_assert_eq(wr_bulkhead_wait(&bulkhead, &waiter), WR_JOIN_TOOK);
    cr_assert_eq(held(), 1U);
    cr_assert_eq(waiters(), 0U);
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, waiters_are_served_first_come_first_served)
{
    struct wr_waiter line[5];

    start(1);
    take_all(1);
    for (size_t i = 0; i < 5; ++i) {
        cr_assert_eq(wr_bulkhead_wait(&bulkhead, &line[i]), WR_JOINED);
    }
    for (size_t i = 0; i < 5; ++i) {
        wr_bulkhead_give(&bulkhead);
        for (size_t j = 0; j < 5; ++j) {
            cr_assert_eq(granted(&line[j]), j <= i);
        }
    }
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, nobody_takes_a_place_while_somebody_waits_for_it)
{
    struct wr_waiter waiter;

    start(1);
    take_all(1);
    cr_assert_eq(wr_bulkhead_wait(&bulkhead, &waiter), WR_JOINED);
    wr_bulkhead_give(&bulkhead);
    cr_assert_not(wr_bulkhead_take(&bulkhead));
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, who_quits_from_anywhere_in_the_line_leaves_the_rest_in_order)
{
    for (size_t quitter = 0; quitter < 4; ++quitter) {
        struct wr_waiter line[4];
        size_t served = 0;

        start(1);
        take_all(1);
        for (size_t i = 0; i < 4; ++i) {
            cr_assert_eq(wr_bulkhead_wait(&bulkhead, &line[i]), WR_JOINED);
        }
        cr_assert(wr_bulkhead_quit(&bulkhead, &line[quitter]));
        cr_assert_eq(waiters(), 3U);
        for (size_t i = 0; i < 4; ++i) {
            if (i != quitter) {
                wr_bulkhead_give(&bulkhead);
                cr_assert(granted(&line[i]));
                served += 1;
            }
        }
        cr_assert_eq(served, 3U);
        cr_assert_not(granted(&line[quitter]));
        wr_bulkhead_give(&bulkhead);
        cr_assert_eq(held(), 0U);
        wr_bulkhead_destroy(&bulkhead);
    }
}

Test(bulkhead_guard, who_quits_after_the_hand_over_owns_the_place)
{
    struct wr_waiter waiter;

    start(1);
    take_all(1);
    cr_assert_eq(wr_bulkhead_wait(&bulkhead, &waiter), WR_JOINED);
    wr_bulkhead_give(&bulkhead);
    cr_assert_not(wr_bulkhead_quit(&bulkhead, &waiter));
    cr_assert_eq(held(), 1U);
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, after_a_shrink_nothing_is_admitted_until_below)
{
    start(4);
    take_all(4);
    wr_bulkhead_resize(&bulkhead, 2);
    for (int i = 0; i < 2; ++i) {
        cr_assert_not(wr_bulkhead_take(&bulkhead));
        wr_bulkhead_give(&bulkhead);
    }
    cr_assert_not(wr_bulkhead_take(&bulkhead));
    wr_bulkhead_give(&bulkhead);
    cr_assert(wr_bulkhead_take(&bulkhead));
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, after_a_shrink_no_place_above_the_limit_is_handed_over)
{
    struct wr_waiter waiter;

    start(3);
    take_all(3);
    cr_assert_eq(wr_bulkhead_wait(&bulkhead, &waiter), WR_JOINED);
    wr_bulkhead_resize(&bulkhead, 1);
    wr_bulkhead_give(&bulkhead);
    wr_bulkhead_give(&bulkhead);
    cr_assert_not(granted(&waiter));
    cr_assert_eq(held(), 1U);
    wr_bulkhead_give(&bulkhead);
    cr_assert(granted(&waiter));
    cr_assert_eq(held(), 1U);
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, a_raised_limit_hands_out_as_many_places_as_it_has_gained)
{
    struct wr_waiter line[5];

    start(1);
    take_all(1);
    for (size_t i = 0; i < 5; ++i) {
        cr_assert_eq(wr_bulkhead_wait(&bulkhead, &line[i]), WR_JOINED);
    }
    wr_bulkhead_resize(&bulkhead, 4);
    for (size_t i = 0; i < 5; ++i) {
        cr_assert_eq(granted(&line[i]), i < 3);
    }
    cr_assert_eq(wakes, 3U);
    cr_assert_eq(held(), 4U);
    cr_assert_eq(waiters(), 2U);
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, a_raise_above_all_who_wait_leaves_the_rest_free)
{
    struct wr_waiter waiter;

    start(0);
    cr_assert_eq(wr_bulkhead_wait(&bulkhead, &waiter), WR_JOINED);
    wr_bulkhead_resize(&bulkhead, 3);
    cr_assert(granted(&waiter));
    take_all(2);
    cr_assert_not(wr_bulkhead_take(&bulkhead));
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, in_mode_observe_places_are_taken_above_the_limit)
{
    start(1);
    for (int i = 0; i < 10; ++i) {
        cr_assert(wr_bulkhead_take_anyway(&bulkhead));
    }
    cr_assert_eq(held(), 10U);
    for (int i = 0; i < 10; ++i) {
        cr_assert_not(wr_bulkhead_take(&bulkhead));
        wr_bulkhead_give(&bulkhead);
    }
    cr_assert(wr_bulkhead_take(&bulkhead));
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, even_above_the_limit_it_ends_where_its_word_ends)
{
    start(1);
    atomic_store(&bulkhead.word, wr_bulkhead_word(WR_BULKHEAD_MAX, 1, 0));
    cr_assert_not(wr_bulkhead_take_anyway(&bulkhead));
    cr_assert_eq(wr_bulkhead_limit(wr_bulkhead_read(&bulkhead)), 1U);
    wr_bulkhead_destroy(&bulkhead);
}

Test(bulkhead_guard, the_line_ends_where_its_word_ends)
{
    struct wr_waiter waiter;

    start(1);
    atomic_store(&bulkhead.word, wr_bulkhead_word(1, 1, WR_BULKHEAD_WAITERS_MAX));
    cr_assert_eq(wr_bulkhead_wait(&bulkhead, &waiter), WR_JOIN_FULL);
    cr_assert_eq(waiters(), WR_BULKHEAD_WAITERS_MAX);
    wr_bulkhead_destroy(&bulkhead);
}

/* ---- threads ---- */

struct taker {
    pthread_t thread;
    pthread_barrier_t *barrier;
    _Atomic uint32_t *inside;
    uint32_t most;
};

static void *taker_main(void *user)
{
    struct taker *const taker = user;

    (void)pthread_barrier_wait(taker->barrier);
    for (int i = 0; i < ROUNDS; ++i) {
        if (wr_bulkhead_take(&bulkhead)) {
            const uint32_t now = atomic_fetch_add(taker->inside, 1) + 1;

            taker->most = now > taker->most ? now : taker->most;
            (void)atomic_fetch_sub(taker->inside, 1);
            wr_bulkhead_give(&bulkhead);
        }
    }
    return NULL;
}

Test(bulkhead_guard, threads_never_hold_more_than_the_limit_and_lose_no_place)
{
    static struct taker takers[CROWD];
    pthread_barrier_t barrier;
    _Atomic uint32_t inside = 0;

    start(3);
    (void)pthread_barrier_init(&barrier, NULL, CROWD);
    for (size_t i = 0; i < CROWD; ++i) {
        takers[i] = (struct taker){.barrier = &barrier, .inside = &inside};
        cr_assert_eq(pthread_create(&takers[i].thread, NULL, taker_main, &takers[i]), 0);
    }
    for (size_t i = 0; i < CROWD; ++i) {
        (void)pthread_join(takers[i].thread, NULL);
        cr_assert_leq(takers[i].most, 3U);
    }
    cr_assert_eq(held(), 0U);
    (void)pthread_barrier_destroy(&barrier);
    wr_bulkhead_destroy(&bulkhead);
}
