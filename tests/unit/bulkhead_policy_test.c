/*
 * The bulkhead's word: three numbers that do not disturb each other, full exactly when held has
 * reached the limit.
 */
#include "support/harness.h"

#include "policy/bulkhead_policy.h"

#include <inttypes.h>

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15ULL;

    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebULL;
    return z ^ z >> 31U;
}

static void check_word(uint64_t word, uint32_t held, uint32_t limit, uint32_t waiters)
{
    cr_assert_eq(wr_bulkhead_held(word), held);
    cr_assert_eq(wr_bulkhead_limit(word), limit);
    cr_assert_eq(wr_bulkhead_waiters(word), waiters);
}

Test(bulkhead_policy, the_word_keeps_all_three_numbers)
{
    static const uint32_t held[] = {0, 1, WR_BULKHEAD_MAX - 1, WR_BULKHEAD_MAX};
    static const uint32_t waiters[] = {0, 1, WR_BULKHEAD_WAITERS_MAX - 1, WR_BULKHEAD_WAITERS_MAX};

    for (size_t i = 0; i < 64; ++i) {
        const uint32_t h = held[i % 4];
        const uint32_t l = held[i / 4 % 4];
        const uint32_t w = waiters[i / 16];

        check_word(wr_bulkhead_word(h, l, w), h, l, w);
    }
}

Test(bulkhead_policy, it_is_full_exactly_when_held_has_reached_the_limit)
{
    cr_assert_not(wr_bulkhead_full(wr_bulkhead_word(9, 10, 0)));
    cr_assert(wr_bulkhead_full(wr_bulkhead_word(10, 10, 0)));
    cr_assert(wr_bulkhead_full(wr_bulkhead_word(11, 10, 0)));
    cr_assert_not(wr_bulkhead_full(wr_bulkhead_word(WR_BULKHEAD_MAX - 1, WR_BULKHEAD_MAX, 0)));
    cr_assert(wr_bulkhead_full(wr_bulkhead_word(WR_BULKHEAD_MAX, WR_BULKHEAD_MAX, 0)));
}

Test(bulkhead_policy, a_limit_of_zero_is_always_full)
{
    cr_assert(wr_bulkhead_full(wr_bulkhead_word(0, 0, 0)));
}

Test(bulkhead_policy, waiters_do_not_make_it_full)
{
    cr_assert_not(wr_bulkhead_full(wr_bulkhead_word(9, 10, WR_BULKHEAD_WAITERS_MAX)));
}

Test(bulkhead_policy, it_never_admits_above_the_limit_nor_refuses_below)
{
    uint64_t word = wr_bulkhead_word(0, 10, 0);

    for (uint32_t held = 0; held < 10; ++held) {
        cr_assert_not(wr_bulkhead_full(word), "held %" PRIu32, held);
        word = wr_bulkhead_take_place(word);
    }
    cr_assert(wr_bulkhead_full(word));
    word = wr_bulkhead_give_place(word);
    cr_assert_not(wr_bulkhead_full(word));
}

Test(bulkhead_policy, after_a_shrink_nothing_is_admitted_until_below)
{
    uint64_t word = wr_bulkhead_with_limit(wr_bulkhead_word(10, 10, 3), 4);

    check_word(word, 10, 4, 3);
    for (uint32_t held = 10; held >= 4; --held) {
        cr_assert(wr_bulkhead_full(word), "held %" PRIu32, held);
        word = wr_bulkhead_give_place(word);
    }
    cr_assert_not(wr_bulkhead_full(word));
    check_word(word, 3, 4, 3);
}

Test(bulkhead_policy, after_a_growth_it_admits_at_once)
{
    const uint64_t word = wr_bulkhead_with_limit(wr_bulkhead_word(10, 10, 3), 11);

    cr_assert_not(wr_bulkhead_full(word));
    check_word(word, 10, 11, 3);
}

Test(bulkhead_policy, a_change_to_the_limit_in_force_changes_nothing)
{
    const uint64_t word = wr_bulkhead_word(7, 10, 2);

    cr_assert_eq(wr_bulkhead_with_limit(word, 10), word);
}

Test(bulkhead_policy, places_and_waiters_balance_over_random_steps)
{
    uint64_t seed = 1;
    uint32_t held = 0;
    uint32_t limit = 10;
    uint32_t waiters = 0;
    uint64_t word = wr_bulkhead_word(held, limit, waiters);

    for (int step = 0; step < 1000000; ++step) {
        const uint64_t random = next_random(&seed);
        const uint64_t what = random % 5;

        if (what == 0 && held < limit) {
            word = wr_bulkhead_take_place(word);
            held += 1;
        } else if (what == 1 && held > 0) {
            word = wr_bulkhead_give_place(word);
            held -= 1;
        } else if (what == 2 && waiters < WR_BULKHEAD_WAITERS_MAX) {
            word = wr_bulkhead_join(word);
            waiters += 1;
        } else if (what == 3 && waiters > 0) {
            word = wr_bulkhead_leave(word);
            waiters -= 1;
        } else if (what == 4) {
            limit = (uint32_t)(random >> 32U) % 20;
            word = wr_bulkhead_with_limit(word, limit);
        }
        cr_assert_eq(word, wr_bulkhead_word(held, limit, waiters), "step %d", step);
        cr_assert_eq(wr_bulkhead_full(word), held >= limit, "step %d", step);
    }
}
