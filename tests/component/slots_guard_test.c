/*
 * The slot table: generations, exactly one end, many slots, growing, overdue flags, leases.
 */
#include "support/harness.h"

#include "guard/slots.h"

#include <weir/testing.h>

static weir_failing_allocator memory;
static struct wr_host host;
static struct wr_slots slots;

static void start(uint32_t places)
{
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .allocator = &memory.ops};

    weir_failing_allocator_init(&memory, 0, 0);
    memset(&slots, 0, sizeof(slots));
    cr_assert_eq(wr_host_init(&host, &options, NULL), WEIR_OK);
    cr_assert(wr_slots_init(&slots, places, &host));
    wr_slots_begin_epoch(&slots, 1);
}

static void stop(void)
{
    wr_slots_destroy(&slots);
    cr_expect_eq(memory.live, 0U);
}

struct held {
    uint32_t index;
    uint64_t generation;
};

static struct held hold(const struct wr_slot_data *data)
{
    struct held held;

    cr_assert(wr_slots_claim(&slots, &held.index, &held.generation));
    wr_slots_hold(&slots, held.index, held.generation, data);
    return held;
}

static struct held hold_from(uint64_t start_ns, uint64_t epoch)
{
    return hold(&(struct wr_slot_data){.start_ns = start_ns, .epoch = epoch, .leased = 1});
}

static bool end(struct held held)
{
    struct wr_slot_data data;

    if (!wr_slots_end(&slots, held.index, held.generation, &data)) {
        return false;
    }
    wr_slots_free(&slots, held.index, held.generation);
    return true;
}

static struct wr_slot_census census_at(uint64_t now_ns)
{
    const struct wr_slot_check check = {
        .now_ns = now_ns, .epoch = 1, .slow_call_ns = 100, .lease_ns = UINT64_MAX};
    struct wr_slot_census census;

    wr_slots_count(&slots, &check, &census);
    return census;
}

static bool check_at(uint64_t now_ns, uint64_t epoch, uint64_t lease_ns)
{
    return wr_slots_check(
        &slots, &(struct wr_slot_check){
                    .now_ns = now_ns, .epoch = epoch, .slow_call_ns = 100, .lease_ns = lease_ns});
}

/* ---- claiming and ending ---- */

Test(slots_guard, what_was_held_comes_back_at_the_end)
{
    const struct wr_slot_data data = {.start_ns = 11,
                                      .deadline_ns = 22,
                                      .epoch = 33,
                                      .trial_serial = 44,
                                      .trial = 55,
                                      .leased = 1};
    struct wr_slot_data back;

    start(4);
    const struct held held = hold(&data);
    cr_assert(wr_slots_end(&slots, held.index, held.generation, &back));
    cr_assert_eq(back.start_ns, 11U);
    cr_assert_eq(back.deadline_ns, 22U);
    cr_assert_eq(back.epoch, 33U);
    cr_assert_eq(back.trial_serial, 44U);
    cr_assert_eq(back.trial, 55U);
    cr_assert_eq(back.leased, 1U);
    wr_slots_free(&slots, held.index, held.generation);
    stop();
}

Test(slots_guard, a_second_end_is_stale)
{
    start(4);
    const struct held held = hold_from(0, 1);
    struct wr_slot_data data;

    cr_assert(wr_slots_end(&slots, held.index, held.generation, &data));
    cr_assert_not(wr_slots_end(&slots, held.index, held.generation, &data));
    wr_slots_free(&slots, held.index, held.generation);
    cr_assert_not(wr_slots_end(&slots, held.index, held.generation, &data));
    stop();
}

Test(slots_guard, a_claimed_slot_that_is_not_held_yet_cannot_be_ended)
{
    struct held held;
    struct wr_slot_data data;

    start(4);
    cr_assert(wr_slots_claim(&slots, &held.index, &held.generation));
    cr_assert_not(wr_slots_end(&slots, held.index, held.generation, &data));
    cr_assert_eq(census_at(0).claimed, 1U);
    wr_slots_free(&slots, held.index, held.generation);
    cr_assert_eq(census_at(0).claimed, 0U);
    stop();
}

Test(slots_guard, the_generation_grows_with_every_use)
{
    start(0);
    const struct held first = hold_from(0, 1);
    cr_assert(end(first));
    for (int i = 0; i < 1000; ++i) {
        const struct held next = hold_from(0, 1);

        cr_assert_not(end(first));
        cr_assert(end(next));
    }
    stop();
}

Test(slots_guard, an_index_outside_the_table_is_stale)
{
    struct wr_slot_data data;
    uint64_t deadline;
    void *context;

    start(4);
    cr_assert_not(wr_slots_end(&slots, WR_SLOT_NONE, 0, &data));
    cr_assert_not(wr_slots_end(&slots, 1000000, 0, &data));
    cr_assert_not(wr_slots_look(&slots, WR_SLOT_NONE, 0, &deadline, &context));
    stop();
}

Test(slots_guard, the_deadline_is_read_while_it_is_held_and_no_longer)
{
    uint64_t deadline = 0;
    void *context;

    start(4);
    const struct held held = hold(&(struct wr_slot_data){.deadline_ns = 77});
    cr_assert(wr_slots_look(&slots, held.index, held.generation, &deadline, &context));
    cr_assert_eq(deadline, 77U);
    cr_assert(end(held));
    cr_assert_not(wr_slots_look(&slots, held.index, held.generation, &deadline, &context));
    stop();
}

Test(slots_guard, there_is_a_slot_for_each_place_and_in_the_end_no_more)
{
    enum { PLACES = 1000, MANY = 2000 };
    static struct held all[MANY];
    size_t count = 0;

    start(PLACES);
    while (count < MANY && wr_slots_claim(&slots, &all[count].index, &all[count].generation)) {
        wr_slots_hold(&slots, all[count].index, all[count].generation,
                      &(struct wr_slot_data){.epoch = 1});
        ++count;
    }
    cr_assert_geq(count, (size_t)PLACES);
    cr_assert_lt(count, (size_t)MANY);
    cr_assert_eq(census_at(0).held, count);
    for (size_t i = 0; i < count; ++i) {
        cr_assert(end(all[i]));
    }
    cr_assert_eq(census_at(0).held, 0U);
    cr_assert_eq(census_at(0).returned, count);
    stop();
}

Test(slots_guard, random_claims_and_ends_match_a_list_of_what_is_held)
{
    enum { MOST = 100, STEPS = 100000 };
    static struct held list[MOST];
    size_t count = 0;
    uint64_t returned = 0;
    uint64_t seed = 42;

    start(MOST);
    for (int step = 0; step < STEPS; ++step) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        if (count < MOST && (seed >> 40U) % 2 == 0) {
            list[count++] = hold_from(0, 1);
        } else if (count > 0) {
            const size_t at = (seed >> 42U) % count;

            cr_assert(end(list[at]));
            cr_assert_not(end(list[at]));
            list[at] = list[--count];
            ++returned;
        }
    }
    cr_assert_eq(census_at(0).held, count);
    cr_assert_eq(census_at(0).returned, returned);
    stop();
}

Test(slots_guard, it_grows_while_slots_are_held)
{
    static struct held more[200];

    start(10);
    const struct held before = hold_from(5, 1);
    cr_assert(wr_slots_grow(&slots, 100));
    cr_assert(wr_slots_grow(&slots, 50)); /* never shrinks */
    for (size_t i = 0; i < 100; ++i) {
        more[i] = hold_from(5, 1);
    }
    cr_assert(end(before));
    for (size_t i = 0; i < 100; ++i) {
        cr_assert(end(more[i]));
    }
    stop();
}

Test(slots_guard, a_million_places_can_be_reached_in_steps_of_one)
{
    start(0);
    for (uint32_t places = 1; places <= 1000000; places += 1 + places / 64) {
        cr_assert(wr_slots_grow(&slots, places));
    }
    cr_assert(wr_slots_grow(&slots, 1000000));
    cr_assert_geq(wr_slots_bytes(&slots), 1000000 * sizeof(struct wr_slot));
    stop();
}

Test(slots_guard, without_memory_it_does_not_grow_and_goes_on)
{
    start(10);
    memory.fail_at = memory.calls + 1;
    cr_assert_not(wr_slots_grow(&slots, 1000));
    cr_assert(end(hold_from(0, 1)));
    cr_assert(wr_slots_grow(&slots, 1000));
    stop();
}

/* ---- overdue ---- */

Test(slots_guard, a_call_is_overdue_when_strictly_longer_than_slow_call)
{
    start(4);
    const struct held held = hold_from(1000, 1);
    cr_assert_eq(census_at(1100).overdue, 0U);
    cr_assert_eq(census_at(1101).overdue, 1U);
    (void)check_at(1100, 1, UINT64_MAX);
    cr_assert_eq(wr_slots_overdue(&slots, 1), 0U);
    (void)check_at(1101, 1, UINT64_MAX);
    cr_assert_eq(wr_slots_overdue(&slots, 1), 1U);
    cr_assert(end(held));
    stop();
}

Test(slots_guard, the_next_check_is_due_when_the_first_call_can_become_overdue)
{
    start(4);
    (void)check_at(1000, 1, UINT64_MAX);
    const struct held held = hold_from(1000, 1);
    cr_assert_not(wr_slots_check_due(&slots, 1100));
    cr_assert(wr_slots_check_due(&slots, 1101));
    cr_assert(end(held));
    stop();
}

Test(slots_guard, a_check_that_is_not_due_flags_nothing)
{
    start(4);
    (void)check_at(1000, 1, UINT64_MAX);
    const struct held held = hold_from(900, 1);
    cr_assert_not(check_at(1050, 1, UINT64_MAX));
    cr_assert_eq(wr_slots_overdue(&slots, 1), 0U);
    wr_slots_check_soon(&slots);
    (void)check_at(1050, 1, UINT64_MAX);
    cr_assert_eq(wr_slots_overdue(&slots, 1), 1U);
    cr_assert(end(held));
    stop();
}

Test(slots_guard, an_overdue_call_that_ends_is_overdue_no_longer)
{
    start(4);
    const struct held one = hold_from(1000, 1);
    const struct held two = hold_from(1000, 1);
    (void)check_at(2000, 1, UINT64_MAX);
    cr_assert_eq(wr_slots_overdue(&slots, 1), 2U);
    cr_assert(end(one));
    cr_assert_eq(wr_slots_overdue(&slots, 1), 1U);
    cr_assert(end(two));
    cr_assert_eq(wr_slots_overdue(&slots, 1), 0U);
    stop();
}

Test(slots_guard, it_is_flagged_once_however_often_it_is_checked)
{
    start(4);
    const struct held held = hold_from(1000, 1);
    for (uint64_t now = 2000; now < 3000; now += 100) {
        wr_slots_check_soon(&slots);
        (void)check_at(now, 1, UINT64_MAX);
        cr_assert_eq(wr_slots_overdue(&slots, 1), 1U);
    }
    cr_assert(end(held));
    stop();
}

Test(slots_guard, calls_of_another_epoch_are_not_overdue)
{
    start(4);
    const struct held old = hold_from(1000, 1);
    (void)check_at(2000, 1, UINT64_MAX);
    wr_slots_begin_epoch(&slots, 2);
    cr_assert_eq(wr_slots_overdue(&slots, 2), 0U);
    const struct held young = hold_from(2000, 2);
    (void)check_at(3000, 2, UINT64_MAX);
    cr_assert_eq(wr_slots_overdue(&slots, 2), 1U);
    cr_assert_eq(wr_slots_overdue(&slots, 1), 0U);
    cr_assert(end(old));
    cr_assert_eq(wr_slots_overdue(&slots, 2), 1U);
    cr_assert(end(young));
    cr_assert_eq(wr_slots_overdue(&slots, 2), 0U);
    stop();
}

Test(slots_guard, a_longer_slow_call_takes_flags_back)
{
    start(4);
    const struct held held = hold_from(1000, 1);
    (void)check_at(1200, 1, UINT64_MAX);
    cr_assert_eq(wr_slots_overdue(&slots, 1), 1U);
    wr_slots_check_soon(&slots);
    (void)wr_slots_check(
        &slots, &(struct wr_slot_check){
                    .now_ns = 1200, .epoch = 1, .slow_call_ns = 500, .lease_ns = UINT64_MAX});
    cr_assert_eq(wr_slots_overdue(&slots, 1), 0U);
    cr_assert(end(held));
    stop();
}

/* ---- leases ---- */

static size_t count_expired(uint64_t now_ns, uint64_t lease_ns)
{
    const struct wr_slot_check check = {
        .now_ns = now_ns, .epoch = 1, .slow_call_ns = UINT64_MAX, .lease_ns = lease_ns};
    uint32_t cursor = 0;
    struct held found;
    size_t count = 0;

    while (wr_slots_expired(&slots, &check, &cursor, &found.index, &found.generation)) {
        ++count;
    }
    return count;
}

Test(slots_guard, a_lease_runs_out_exactly_at_its_end)
{
    start(4);
    const struct held held = hold_from(1000, 1);
    cr_assert_eq(count_expired(1499, 500), 0U);
    cr_assert_eq(count_expired(1500, 500), 1U);
    cr_assert(check_at(1500, 1, 500));
    cr_assert(end(held));
    stop();
}

Test(slots_guard, what_is_not_leased_never_expires)
{
    start(4);
    const struct held held = hold(&(struct wr_slot_data){.start_ns = 1, .leased = 0});
    cr_assert_eq(count_expired(UINT64_MAX, 500), 0U);
    cr_assert(end(held));
    stop();
}

Test(slots_guard, an_endless_lease_never_expires)
{
    start(4);
    const struct held held = hold_from(1, 1);
    cr_assert_eq(count_expired(UINT64_MAX, UINT64_MAX), 0U);
    cr_assert(end(held));
    stop();
}

Test(slots_guard, the_oldest_start_is_known)
{
    start(4);
    cr_assert_eq(census_at(0).oldest_start_ns, UINT64_MAX);
    const struct held one = hold_from(500, 1);
    const struct held two = hold_from(300, 1);
    cr_assert_eq(census_at(600).oldest_start_ns, 300U);
    cr_assert(end(two));
    cr_assert_eq(census_at(600).oldest_start_ns, 500U);
    cr_assert(end(one));
    stop();
}
