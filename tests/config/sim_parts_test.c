/*
 * What the simulator is made of: the heap of events, the book of permits, the pool, the rows.
 */
#include "support/harness.h"

#include "tool/event_heap.c"  /* NOLINT(bugprone-suspicious-include): the tool is no library */
#include "tool/item_pool.c"   /* NOLINT(bugprone-suspicious-include): the same */
#include "tool/permit_book.c" /* NOLINT(bugprone-suspicious-include): the same */
#include "tool/sim_row.c"     /* NOLINT(bugprone-suspicious-include): the same */

#include <inttypes.h>

enum { MANY = 20000 };

/* Numbers that look random and are the same in every run. */
static uint64_t scramble(uint64_t n)
{
    n = (n + 1) * 0x9E3779B97F4A7C15ULL;
    n = (n ^ (n >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    return n ^ (n >> 27U);
}

Test(event_heap, events_come_by_time_then_line_then_sequence)
{
    struct wr_event_heap heap = {0};
    struct wr_sim_event last = {0};

    for (uint64_t i = 0; i < MANY; ++i) {
        const struct wr_sim_event event = {
            .at_ns = scramble(i) % 50, .line = scramble(i + MANY) % 20, .sequence = i + 1};

        cr_assert(wr_event_heap_push(&heap, &event));
    }
    for (uint64_t i = 0; i < MANY; ++i) {
        const struct wr_sim_event *const first = wr_event_heap_first(&heap);

        cr_assert_not_null(first);
        cr_assert_not(before(first, &last), "event %" PRIu64, i);
        last = *first;
        wr_event_heap_pop(&heap);
    }
    cr_expect_null(wr_event_heap_first(&heap));
    wr_event_heap_free(&heap);
}

Test(permit_book, permits_are_found_by_name_however_many_there_are)
{
    struct wr_permit_book book = {0};
    char name[24];

    cr_expect_null(wr_permit_book_find(&book, "p0"));
    for (uint32_t i = 0; i < MANY; ++i) {
        struct wr_kept_permit *permit;

        (void)snprintf(name, sizeof(name), "p%" PRIu32, i);
        permit = wr_permit_book_put(&book, name);
        cr_assert_not_null(permit);
        cr_assert_eq(permit->state, WR_PERMIT_NEW);
        permit->state = WR_PERMIT_HELD;
        permit->slot.index = i;
    }
    for (uint32_t i = 0; i < MANY; ++i) {
        const struct wr_kept_permit *permit;

        (void)snprintf(name, sizeof(name), "p%" PRIu32, i);
        permit = wr_permit_book_find(&book, name);
        cr_assert_not_null(permit);
        cr_assert_eq(permit->slot.index, i);
        cr_assert_eq(wr_permit_book_put(&book, name), permit, "a name is kept once");
    }
    cr_expect_null(wr_permit_book_find(&book, "p"));
    cr_expect_eq(book.count, MANY);
    wr_permit_book_free(&book);
}

Test(permit_book, name_that_is_too_long_is_not_kept)
{
    struct wr_permit_book book = {0};

    cr_expect_null(wr_permit_book_put(
        &book, "a1234567890123456789012345678901234567890123456789012345678901234"));
    wr_permit_book_free(&book);
}

Test(item_pool, items_are_zero_distinct_and_come_back)
{
    struct wr_item_pool pool = {.item_size = sizeof(uint64_t[3])};
    uint64_t *items[MANY];

    for (uint64_t i = 0; i < MANY; ++i) {
        items[i] = wr_item_take(&pool);
        cr_assert_not_null(items[i]);
        cr_assert_eq(items[i][0] | items[i][1] | items[i][2], 0);
        items[i][0] = items[i][1] = items[i][2] = i;
    }
    for (uint64_t i = 0; i < MANY; ++i) {
        cr_assert(items[i][0] == i && items[i][2] == i, "item %" PRIu64 " is shared", i);
    }
    wr_item_return(&pool, items[7]);
    cr_expect_eq(wr_item_take(&pool), items[7]);
    cr_expect_eq(items[7][1], 0);
    wr_item_pool_free(&pool);
}

static void expect_row(const struct wr_sim_row *row, const char *expected)
{
    char text[ROW_BYTES + 1] = "";
    FILE *const file = tmpfile();
    size_t length;

    cr_assert_not_null(file);
    cr_assert(wr_sim_row_write(file, row));
    rewind(file);
    length = fread(text, 1, ROW_BYTES, file);
    cr_expect_eq(fclose(file), 0);
    cr_expect_eq(length, strlen(expected));
    cr_expect_str_eq(text, expected, "%s", text);
}

static struct wr_sim_row full_row(void)
{
    return (struct wr_sim_row){.now_ns = 1500001,
                               .dependency = "pay",
                               .event = "call",
                               .id = 7,
                               .verdict = "rejected",
                               .reason = "open",
                               .retry_after_ns = 5000000000,
                               .view = {.breaker_on = true,
                                        .rate_on = true,
                                        .breaker = WEIR_BREAKER_HALF_OPEN,
                                        .minimum_calls = 3,
                                        .window = {.calls = 3, .failures = 1, .slow = 2},
                                        .in_flight = 4,
                                        .queued = 5,
                                        .tokens = 6}};
}

Test(sim_row, times_have_six_decimals_and_rates_two)
{
    const struct wr_sim_row row = full_row();

    expect_row(&row, "1.500001,pay,call,7,rejected,open,5000.000000,half-open,3,1,2,33.33,66.67,4,"
                     "5,6\n");
}

Test(sim_row, rates_are_rounded_half_up)
{
    struct wr_sim_row row = full_row();

    row.view.window = (struct wr_window_sum){.calls = 16, .failures = 1, .slow = 15};
    /* 6.25 is exact; 1/32 is 3.125 */
    expect_row(&row, "1.500001,pay,call,7,rejected,open,5000.000000,half-open,16,1,15,6.25,93.75,4,"
                     "5,6\n");
    row.view.window = (struct wr_window_sum){.calls = 32, .failures = 1, .slow = 32};
    expect_row(&row, "1.500001,pay,call,7,rejected,open,5000.000000,half-open,32,1,32,3.13,100.00,"
                     "4,5,6\n");
}

Test(sim_row, what_is_not_due_is_a_dash)
{
    struct wr_sim_row row = full_row();

    row.view.window.calls = 2;
    row.retry_after_ns = 0;
    row.id = 0;
    row.view.rate_on = false;
    expect_row(&row, "1.500001,pay,call,-,rejected,open,-,half-open,2,1,2,-,-,4,5,-\n");
    row.view.breaker_on = false;
    row.name = "a";
    expect_row(&row, "1.500001,pay,call,a,rejected,open,-,-,-,-,-,-,-,4,5,-\n");
    row.view.breaker_on = true;
    row.view.minimum_calls = 0;
    row.view.window = (struct wr_window_sum){0};
    expect_row(&row, "1.500001,pay,call,a,rejected,open,-,half-open,0,0,0,-,-,4,5,-\n");
}

Test(sim_row, longest_row_fits)
{
    static const char name[] = "a123456789012345678901234567890123456789012345678901234567890123";
    struct wr_sim_row row = full_row();
    FILE *const file = tmpfile();

    cr_assert_not_null(file);
    row.now_ns = row.retry_after_ns = UINT64_MAX;
    row.dependency = row.name = name;
    row.view.breaker = WEIR_BREAKER_FORCED_CLOSED;
    row.view.window = (struct wr_window_sum){UINT32_MAX, UINT32_MAX, UINT32_MAX};
    row.view.in_flight = row.view.queued = UINT32_MAX;
    row.view.tokens = UINT64_MAX;
    cr_expect(wr_sim_row_write(file, &row));
    cr_expect_eq(fseek(file, -1, SEEK_END), 0);
    cr_expect_eq(fgetc(file), '\n', "the row is whole");
    cr_expect_eq(fclose(file), 0);
}
