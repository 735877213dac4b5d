/*
 * Carriers: which of their functions run, when, in which order and with what; and that a carrier
 * is freed only when no call can use it any more.
 */
#include "support/harness.h"

#include "context/crossing.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a carrier that writes down what is done with it ---- */

/* "c1 e2 ..": function and carrier, in order. */
static char said[512];

static void say(char function, char id)
{
    const size_t length = strlen(said);

    (void)snprintf(said + length, sizeof(said) - length, "%s%c%c", length > 0 ? " " : "", function,
                   id);
}

/* The foreign value is one per thread and carrier. */
struct probe {
    weir_carrier_slot *slot;
    char id;
    bool without_value; /* capture gives NULL */
    int captured, released;
    void *value; /* stands for a thread-local variable; the tests use one thread at a time */
    const weir_context *current_at_enter, *current_at_leave;
};

static void *probe_capture(void *user)
{
    struct probe *const probe = user;
    char *const copy = malloc(1);

    say('c', probe->id);
    errno = ENOENT;
    if (probe->without_value || copy == NULL) {
        free(copy);
        return NULL;
    }
    *copy = probe->id;
    ++probe->captured;
    return copy;
}

static void *probe_enter(void *user, void *captured)
{
    struct probe *const probe = user;
    void *const before = probe->value;

    say(captured != NULL ? 'e' : 'E', probe->id);
    errno = EPERM;
    probe->value = captured;
    probe->current_at_enter = weir_context_current();
    return before;
}

static void probe_leave(void *user, void *saved)
{
    struct probe *const probe = user;

    say('l', probe->id);
    errno = EINTR;
    probe->value = saved;
    probe->current_at_leave = weir_context_current();
}

static void probe_release(void *user, void *captured)
{
    struct probe *const probe = user;

    say('r', probe->id);
    errno = EIO;
    cr_expect_not_null(captured);
    cr_expect_eq(*(char *)captured, probe->id);
    ++probe->released;
    free(captured);
}

static weir_carrier carrier_of(struct probe *probe, int32_t order, int32_t policy)
{
    return (weir_carrier){WEIR_SIZED(weir_carrier), .name = "probe",      .order = order,
                          .policy = policy,         .user = probe,        .capture = probe_capture,
                          .enter = probe_enter,     .leave = probe_leave, .release = probe_release};
}

static void add(struct probe *probe, char id, int32_t order, int32_t policy)
{
    *probe = (struct probe){.id = id};
    const weir_carrier carrier = carrier_of(probe, order, policy);

    cr_assert_eq(weir_carrier_add(&carrier, &probe->slot), WEIR_OK);
    cr_assert_not_null(probe->slot);
}

/* Every value that was captured has been released, and nothing is in the way of the removal. */
static void take_out(struct probe *probe)
{
    cr_expect_eq(weir_carrier_remove(probe->slot), WEIR_OK);
    cr_expect_eq(probe->captured, probe->released);
}

/* One call from end to end; what was said. */
static const char *one_call(void)
{
    struct wr_crossing crossing;
    struct wr_crossed crossed;

    said[0] = '\0';
    wr_crossing_capture(&crossing, NULL);
    wr_crossing_enter(&crossing, &crossed);
    wr_crossing_leave(&crossing, &crossed);
    wr_crossing_release(&crossing);
    return said;
}

/* ---- what runs ---- */

Test(carrier, without_carriers_nothing_runs)
{
    struct wr_crossing crossing;

    cr_expect_str_eq(one_call(), "");
    wr_crossing_capture(&crossing, NULL);
    cr_expect_null(crossing.table);
    cr_expect_null(crossing.context);
    wr_crossing_release(&crossing);
}

Test(carrier, each_function_runs_once_in_its_turn)
{
    struct probe probe;

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    cr_expect_str_eq(one_call(), "c1 e1 l1 r1");
    take_out(&probe);
}

Test(carrier, they_enter_in_ascending_order_and_leave_in_reverse)
{
    struct probe probes[4];

    add(&probes[0], '3', 30, WEIR_CARRY_CLEAR);
    add(&probes[1], '1', -10, WEIR_CARRY_CLEAR);
    add(&probes[2], '4', 40, WEIR_CARRY_KEEP);
    add(&probes[3], '2', 20, WEIR_CARRY_CLEAR);

    cr_expect_str_eq(one_call(), "c1 c2 c3 c4 e1 e2 e3 e4 l4 l3 l2 l1 r1 r2 r3 r4");

    for (size_t i = 0; i < 4; ++i) {
        take_out(&probes[i]);
    }
}

Test(carrier, those_of_equal_order_enter_in_order_of_addition)
{
    struct probe probes[4];

    add(&probes[0], '2', 5, WEIR_CARRY_CLEAR);
    add(&probes[1], '3', 5, WEIR_CARRY_CLEAR);
    add(&probes[2], '1', 4, WEIR_CARRY_CLEAR);
    add(&probes[3], '4', 5, WEIR_CARRY_CLEAR);

    cr_expect_str_eq(one_call(), "c1 c2 c3 c4 e1 e2 e3 e4 l4 l3 l2 l1 r1 r2 r3 r4");

    for (size_t i = 0; i < 4; ++i) {
        take_out(&probes[i]);
    }
}

Test(carrier, a_thread_has_the_calls_value_within_and_its_own_afterwards)
{
    struct probe probe;
    struct wr_crossing crossing;
    struct wr_crossed crossed;
    char own = 'o';

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    probe.value = &own;
    wr_crossing_capture(&crossing, NULL);
    for (int i = 0; i < 2; ++i) {
        wr_crossing_enter(&crossing, &crossed);
        cr_expect_eq(probe.value, crossing.captured[0]);
        wr_crossing_leave(&crossing, &crossed);
        cr_expect_eq(probe.value, &own);
    }
    wr_crossing_release(&crossing);
    take_out(&probe);
}

Test(carrier, without_a_value_clear_enters_with_null)
{
    struct probe probe;
    struct wr_crossing crossing;
    struct wr_crossed crossed;
    char own = 'o';

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    probe.without_value = true;
    probe.value = &own;
    wr_crossing_capture(&crossing, NULL);
    wr_crossing_enter(&crossing, &crossed);
    cr_expect_null(probe.value);
    wr_crossing_leave(&crossing, &crossed);
    cr_expect_eq(probe.value, &own);
    wr_crossing_release(&crossing);

    cr_expect_str_eq(one_call(), "c1 E1 l1");
    take_out(&probe);
}

Test(carrier, without_a_value_keep_neither_enters_nor_leaves)
{
    struct probe probes[3];

    add(&probes[0], '1', 1, WEIR_CARRY_KEEP);
    add(&probes[1], '2', 2, WEIR_CARRY_KEEP);
    add(&probes[2], '3', 3, WEIR_CARRY_CLEAR);
    probes[1].without_value = true;

    cr_expect_str_eq(one_call(), "c1 c2 c3 e1 e3 l3 l1 r1 r3");

    for (size_t i = 0; i < 3; ++i) {
        take_out(&probes[i]);
    }
}

Test(carrier, a_call_that_stays_on_its_thread_carries_no_values)
{
    struct probe probe;
    struct wr_crossing crossing;
    struct wr_crossed crossed;

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    said[0] = '\0';
    wr_crossing_capture_context(&crossing, NULL);
    wr_crossing_enter(&crossing, &crossed);
    wr_crossing_leave(&crossing, &crossed);
    wr_crossing_release(&crossing);

    cr_expect_str_eq(said, "");
    take_out(&probe);
}

Test(carrier, errno_is_kept_around_all_functions)
{
    struct probe probe;
    struct wr_crossing crossing;
    struct wr_crossed crossed;

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    errno = E2BIG;
    wr_crossing_capture(&crossing, NULL);
    cr_expect_eq(errno, E2BIG);
    wr_crossing_enter(&crossing, &crossed);
    cr_expect_eq(errno, E2BIG);
    errno = EDOM;
    wr_crossing_leave(&crossing, &crossed);
    cr_expect_eq(errno, EDOM);
    wr_crossing_release(&crossing);
    cr_expect_eq(errno, EDOM);
    take_out(&probe);
}

Test(carrier, they_enter_and_leave_under_the_context_of_the_call)
{
    struct probe probe;
    struct wr_crossing crossing;
    struct wr_crossed crossed;
    weir_context *context = NULL;
    weir_scope left_open;

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 0, &context), WEIR_OK);
    wr_crossing_capture(&crossing, context);
    wr_crossing_enter(&crossing, &crossed);
    weir_scope_open(&left_open, NULL);
    wr_crossing_leave(&crossing, &crossed);

    cr_expect_eq(probe.current_at_enter, context);
    cr_expect_eq(probe.current_at_leave, context);
    cr_expect_null(weir_context_current());
    cr_expect_eq(weir_scope_close(&left_open), WEIR_E_STALE);
    wr_crossing_release(&crossing);
    weir_context_release(context);
    take_out(&probe);
}

static void *cross(void *user)
{
    struct wr_crossing *const crossing = user;
    struct wr_crossed crossed;

    wr_crossing_enter(crossing, &crossed);
    wr_crossing_leave(crossing, &crossed);
    wr_crossing_release(crossing);
    return NULL;
}

Test(carrier, the_value_of_one_thread_is_entered_on_another)
{
    struct probe probe;
    struct wr_crossing crossing;
    pthread_t thread;

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    said[0] = '\0';
    wr_crossing_capture(&crossing, NULL);
    cr_assert_eq(pthread_create(&thread, NULL, cross, &crossing), 0);
    (void)pthread_join(thread, NULL);

    cr_expect_str_eq(said, "c1 e1 l1 r1");
    take_out(&probe);
}

/* ---- adding and removing ---- */

Test(carrier, an_incomplete_one_is_refused)
{
    struct probe probe = {.id = '1'};
    weir_carrier_slot *slot = NULL;
    weir_carrier bad[8];

    for (size_t i = 0; i < 8; ++i) {
        bad[i] = carrier_of(&probe, 0, WEIR_CARRY_CLEAR);
    }
    bad[0].name = NULL;
    bad[1].capture = NULL;
    bad[2].enter = NULL;
    bad[3].leave = NULL;
    bad[4].release = NULL;
    bad[5].policy = WEIR_CARRY_KEEP + 1;
    bad[6].policy = -1;
    for (size_t i = 0; i < 7; ++i) {
        cr_expect_eq(weir_carrier_add(&bad[i], &slot), WEIR_E_ARGUMENT);
    }
    cr_expect_eq(weir_carrier_add(NULL, &slot), WEIR_E_ARGUMENT);
    cr_expect_eq(weir_carrier_add(&bad[7], NULL), WEIR_E_ARGUMENT);
    bad[7].size = 0;
    cr_expect_eq(weir_carrier_add(&bad[7], &slot), WEIR_E_SIZE);

    cr_expect_null(slot);
    cr_expect_eq(weir_carrier_remove(NULL), WEIR_E_ARGUMENT);
    cr_expect_str_eq(one_call(), "");
}

Test(carrier, there_are_at_most_8)
{
    struct probe probes[WEIR_CARRIERS_MAX];
    struct probe more = {.id = 'x'};
    const weir_carrier carrier = carrier_of(&more, 0, WEIR_CARRY_CLEAR);
    weir_carrier_slot *slot = NULL;

    for (size_t i = 0; i < WEIR_CARRIERS_MAX; ++i) {
        add(&probes[i], (char)('1' + i), 0, WEIR_CARRY_CLEAR);
    }
    cr_expect_eq(weir_carrier_add(&carrier, &slot), WEIR_E_TOO_LARGE);
    cr_expect_null(slot);
    cr_expect_null(strchr(one_call(), 'x'));

    take_out(&probes[3]);
    cr_assert_eq(weir_carrier_add(&carrier, &more.slot), WEIR_OK);
    cr_expect_not_null(strchr(one_call(), 'x'));
    cr_expect_null(strchr(said, '4'));
    take_out(&more);
    for (size_t i = 0; i < WEIR_CARRIERS_MAX; ++i) {
        if (i != 3) {
            take_out(&probes[i]);
        }
    }
}

Test(carrier, a_removed_one_is_not_asked_again)
{
    struct probe probes[2];

    add(&probes[0], '1', 1, WEIR_CARRY_CLEAR);
    add(&probes[1], '2', 2, WEIR_CARRY_CLEAR);
    take_out(&probes[0]);
    cr_expect_str_eq(one_call(), "c2 e2 l2 r2");
    take_out(&probes[1]);
    cr_expect_str_eq(one_call(), "");
}

Test(carrier, one_that_a_call_still_holds_is_busy_until_the_call_ends)
{
    struct probe probe;
    struct wr_crossing crossing;
    struct wr_crossed crossed;

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    wr_crossing_capture(&crossing, NULL);
    cr_expect_eq(weir_carrier_remove(probe.slot), WEIR_E_BUSY);
    cr_expect_eq(weir_carrier_remove(probe.slot), WEIR_E_BUSY);
    cr_expect_str_eq(one_call(), "");

    said[0] = '\0';
    wr_crossing_enter(&crossing, &crossed);
    wr_crossing_leave(&crossing, &crossed);
    cr_expect_eq(weir_carrier_remove(probe.slot), WEIR_E_BUSY);
    wr_crossing_release(&crossing);

    cr_expect_str_eq(said, "e1 l1 r1");
    take_out(&probe);
}

Test(carrier, a_call_without_a_value_holds_it_too)
{
    struct probe probe;
    struct wr_crossing crossing;
    struct wr_crossed crossed;

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    probe.without_value = true;
    wr_crossing_capture(&crossing, NULL);
    cr_expect_eq(weir_carrier_remove(probe.slot), WEIR_E_BUSY);
    said[0] = '\0';
    wr_crossing_enter(&crossing, &crossed);
    wr_crossing_leave(&crossing, &crossed);
    wr_crossing_release(&crossing);

    cr_expect_str_eq(said, "E1 l1");
    take_out(&probe);
}

Test(carrier, calls_made_later_do_not_keep_a_removed_one_busy)
{
    struct probe probes[2];
    struct wr_crossing before;
    struct wr_crossing later;

    add(&probes[0], '1', 0, WEIR_CARRY_CLEAR);
    add(&probes[1], '2', 0, WEIR_CARRY_CLEAR);
    wr_crossing_capture(&before, NULL);
    cr_expect_eq(weir_carrier_remove(probes[0].slot), WEIR_E_BUSY);
    wr_crossing_capture(&later, NULL);
    wr_crossing_release(&before);

    take_out(&probes[0]);
    cr_expect_eq(weir_carrier_remove(probes[1].slot), WEIR_E_BUSY);
    wr_crossing_release(&later);
    take_out(&probes[1]);
}

Test(carrier, a_call_leaves_by_the_table_it_was_captured_by)
{
    struct probe probes[4];
    struct wr_crossing crossing;
    struct wr_crossed crossed;

    add(&probes[0], '1', 10, WEIR_CARRY_CLEAR);
    add(&probes[1], '2', 20, WEIR_CARRY_CLEAR);
    wr_crossing_capture(&crossing, NULL);
    add(&probes[2], '3', 15, WEIR_CARRY_CLEAR);
    said[0] = '\0';
    wr_crossing_enter(&crossing, &crossed);
    cr_expect_eq(weir_carrier_remove(probes[1].slot), WEIR_E_BUSY);
    add(&probes[3], '4', 5, WEIR_CARRY_CLEAR);
    wr_crossing_leave(&crossing, &crossed);
    wr_crossing_enter(&crossing, &crossed);
    wr_crossing_leave(&crossing, &crossed);
    wr_crossing_release(&crossing);

    cr_expect_str_eq(said, "e1 e2 l2 l1 e1 e2 l2 l1 r1 r2");
    cr_expect_str_eq(one_call(), "c4 c1 c3 e4 e1 e3 l3 l1 l4 r4 r1 r3");
    for (size_t i = 0; i < 4; ++i) {
        take_out(&probes[i]);
    }
}

Test(carrier, the_same_one_can_be_added_twice)
{
    struct probe probe;
    struct probe twin;

    add(&probe, '1', 0, WEIR_CARRY_CLEAR);
    twin = probe;
    const weir_carrier carrier = carrier_of(&probe, 0, WEIR_CARRY_CLEAR);
    cr_assert_eq(weir_carrier_add(&carrier, &twin.slot), WEIR_OK);

    cr_expect_str_eq(one_call(), "c1 c1 e1 e1 l1 l1 r1 r1");

    cr_expect_eq(weir_carrier_remove(twin.slot), WEIR_OK);
    cr_expect_str_eq(one_call(), "c1 e1 l1 r1");
    take_out(&probe);
}
