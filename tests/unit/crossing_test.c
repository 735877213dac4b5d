/*
 * What a call carries is there on the thread that runs it and nowhere else, and afterwards that
 * thread has back what it had before, whatever user code left behind.
 */
#include "support/harness.h"

#include "context/crossing.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static weir_context *labelled(const char *value)
{
    const weir_label label = {.name = "who", .value = value};
    weir_context *context = NULL;

    cr_assert_eq(weir_context_derive(NULL, &label, 1, 0, &context), WEIR_OK);
    return context;
}

/* A worker with a context of its own, that enters and leaves once. */
struct hop {
    const struct wr_crossing *crossing;
    const weir_context *own;
    void (*leave_behind)(void); /* what the user code does; NULL: nothing */
    const weir_context *within, *after;
    weir_status own_closed;
};

static void *hop_main(void *user)
{
    struct hop *const hop = user;
    struct wr_crossed crossed;
    weir_scope scope;

    weir_scope_open(&scope, hop->own);
    wr_crossing_enter(hop->crossing, &crossed);
    hop->within = weir_context_current();
    if (hop->leave_behind != NULL) {
        hop->leave_behind();
    }
    wr_crossing_leave(hop->crossing, &crossed);
    hop->after = weir_context_current();
    hop->own_closed = weir_scope_close(&scope);
    return NULL;
}

static void hop_over(struct hop *hop)
{
    pthread_t thread;

    cr_assert_eq(pthread_create(&thread, NULL, hop_main, hop), 0);
    (void)pthread_join(thread, NULL);
}

/* ---- contexts ---- */

Test(crossing, the_current_context_is_current_where_the_call_runs)
{
    weir_context *const context = labelled("caller");
    struct wr_crossing crossing;
    struct hop hop = {.crossing = &crossing};
    weir_scope scope;

    weir_scope_open(&scope, context);
    wr_crossing_capture(&crossing, NULL);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    hop_over(&hop);

    cr_expect_eq(hop.within, context);
    cr_expect_null(hop.after);
    cr_expect_eq(hop.own_closed, WEIR_OK);
    wr_crossing_release(&crossing);
    weir_context_release(context);
}

Test(crossing, a_given_context_goes_before_the_current_one)
{
    weir_context *const current = labelled("current");
    weir_context *const given = labelled("given");
    struct wr_crossing crossing;
    struct hop hop = {.crossing = &crossing};
    weir_scope scope;

    weir_scope_open(&scope, current);
    wr_crossing_capture(&crossing, given);
    hop_over(&hop);

    cr_expect_eq(hop.within, given);
    cr_expect_eq(weir_context_current(), current);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    wr_crossing_release(&crossing);
    weir_context_release(given);
    weir_context_release(current);
}

Test(crossing, a_captured_context_outlives_its_scope_and_its_maker)
{
    weir_context *const context = labelled("caller");
    struct wr_crossing crossing;
    struct wr_crossed crossed;
    weir_scope scope;

    weir_scope_open(&scope, context);
    wr_crossing_capture(&crossing, NULL);
    (void)weir_scope_close(&scope);
    weir_context_release(context);

    wr_crossing_enter(&crossing, &crossed);
    cr_expect_str_eq(weir_context_get(weir_context_current(), "who"), "caller");
    wr_crossing_leave(&crossing, &crossed);
    wr_crossing_release(&crossing);
}

Test(crossing, a_worker_has_back_what_it_had)
{
    weir_context *const own = labelled("worker");
    weir_context *const context = labelled("caller");
    struct wr_crossing crossing;
    struct hop hop = {.crossing = &crossing, .own = own};

    wr_crossing_capture(&crossing, context);
    hop_over(&hop);

    cr_expect_eq(hop.within, context);
    cr_expect_eq(hop.after, own);
    cr_expect_eq(hop.own_closed, WEIR_OK);
    wr_crossing_release(&crossing);
    weir_context_release(context);
    weir_context_release(own);
}

Test(crossing, a_call_without_context_does_not_see_the_workers)
{
    weir_context *const own = labelled("worker");
    struct wr_crossing crossing;
    struct hop hop = {.crossing = &crossing, .own = own, .within = own};

    wr_crossing_capture(&crossing, NULL);
    hop_over(&hop);

    cr_expect_null(hop.within);
    cr_expect_eq(hop.after, own);
    wr_crossing_release(&crossing);
    weir_context_release(own);
}

Test(crossing, a_call_on_its_own_thread_restores_and_does_not_clear)
{
    weir_context *const context = labelled("caller");
    struct wr_crossing crossing;
    struct wr_crossed crossed;
    weir_scope scope;

    weir_scope_open(&scope, context);
    wr_crossing_capture_context(&crossing, NULL);
    wr_crossing_enter(&crossing, &crossed);
    cr_expect_eq(weir_context_current(), context);
    wr_crossing_leave(&crossing, &crossed);

    cr_expect_eq(weir_context_current(), context);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    wr_crossing_release(&crossing);
    weir_context_release(context);
}

Test(crossing, a_call_can_be_entered_again_and_within_another)
{
    weir_context *const outer_context = labelled("outer");
    weir_context *const inner_context = labelled("inner");
    struct wr_crossing outer;
    struct wr_crossing inner;
    struct wr_crossed outer_crossed;
    struct wr_crossed inner_crossed;

    wr_crossing_capture(&outer, outer_context);
    wr_crossing_capture(&inner, inner_context);
    for (int i = 0; i < 2; ++i) {
        wr_crossing_enter(&outer, &outer_crossed);
        wr_crossing_enter(&inner, &inner_crossed);
        cr_expect_eq(weir_context_current(), inner_context);
        wr_crossing_leave(&inner, &inner_crossed);
        cr_expect_eq(weir_context_current(), outer_context);
        wr_crossing_leave(&outer, &outer_crossed);
        cr_expect_null(weir_context_current());
    }
    wr_crossing_release(&inner);
    wr_crossing_release(&outer);
    weir_context_release(inner_context);
    weir_context_release(outer_context);
}

/* ---- what user code leaves behind ---- */

static weir_scope left_open[3];

static void leave_scopes_open(void)
{
    for (size_t i = 0; i < 3; ++i) {
        weir_scope_open(&left_open[i], NULL);
    }
}

Test(crossing, scopes_left_open_are_closed_by_leaving)
{
    weir_context *const own = labelled("worker");
    weir_context *const context = labelled("caller");
    struct wr_crossing crossing;
    struct hop hop = {.crossing = &crossing, .own = own, .leave_behind = leave_scopes_open};

    wr_crossing_capture(&crossing, context);
    hop_over(&hop);

    cr_expect_eq(hop.after, own);
    cr_expect_eq(hop.own_closed, WEIR_OK);
    wr_crossing_release(&crossing);
    weir_context_release(context);
    weir_context_release(own);
}

Test(crossing, a_scope_closed_by_leaving_stays_closed)
{
    weir_context *const context = labelled("caller");
    struct wr_crossing crossing;
    struct wr_crossed crossed;
    weir_scope others[3];

    wr_crossing_capture(&crossing, context);
    wr_crossing_enter(&crossing, &crossed);
    leave_scopes_open();
    wr_crossing_leave(&crossing, &crossed);
    for (size_t i = 0; i < 3; ++i) {
        cr_expect_eq(weir_scope_close(&left_open[i]), WEIR_E_STALE);
        weir_scope_open(&others[i], context);
    }

    for (size_t i = 0; i < 3; ++i) {
        cr_expect_eq(weir_scope_close(&left_open[i]), WEIR_E_STALE);
    }
    cr_expect_eq(weir_context_current(), context);
    cr_expect_eq(weir_scope_close(&others[0]), WEIR_E_BUSY);
    cr_expect_null(weir_context_current());
    wr_crossing_release(&crossing);
    weir_context_release(context);
}

Test(crossing, a_scope_from_outside_that_is_closed_within_stays_closed)
{
    weir_context *const ended = labelled("ended");
    weir_context *const around = labelled("around");
    struct wr_crossing crossing;
    struct wr_crossed crossed;
    weir_scope outer;
    weir_scope scope;

    weir_scope_open(&outer, around);
    weir_scope_open(&scope, ended);
    wr_crossing_capture_context(&crossing, NULL);
    wr_crossing_enter(&crossing, &crossed);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    weir_context_release(ended);
    wr_crossing_leave(&crossing, &crossed);
    wr_crossing_release(&crossing);

    cr_expect_str_eq(weir_context_get(weir_context_current(), "who"), "around");
    cr_expect_eq(weir_scope_close(&scope), WEIR_E_STALE);
    cr_expect_eq(weir_scope_close(&outer), WEIR_OK);
    weir_context_release(around);
}
