/*
 * The n-th allocation fails, for every n, or there are no random numbers: a status, nothing leaked,
 * nothing half made. And what a call does with its context never allocates.
 *
 * The linker puts the functions below in the place of malloc(), calloc(), free() and getrandom()
 * for all code of this program (--wrap).
 */
#include "support/harness.h"

#include "context/crossing.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/types.h>

static uint64_t allocations; /* asked for */
static uint64_t live;        /* not yet freed */
static uint64_t fail_at;     /* the allocation that fails, counted like `allocations`; 0: none */
static bool fail_forever;    /* and all after it */
static bool no_random;

/* The linker gives these names. */
/* NOLINTBEGIN(readability-identifier-naming) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void __real_free(void *memory);
ssize_t __real_getrandom(void *buffer, size_t size, unsigned flags);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *memory);
ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags);
/* NOLINTEND(readability-identifier-naming) */

static bool fails(void)
{
    ++allocations;
    return fail_at != 0 && (allocations == fail_at || (fail_forever && allocations > fail_at));
}

void *__wrap_malloc(size_t size)
{
    void *const memory = fails() ? NULL : __real_malloc(size);

    live += memory != NULL ? 1 : 0;
    return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *const memory = fails() ? NULL : __real_calloc(count, size);

    live += memory != NULL ? 1 : 0;
    return memory;
}

void __wrap_free(void *memory)
{
    live -= memory != NULL ? 1 : 0;
    __real_free(memory);
}

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags)
{
    if (no_random) {
        errno = EAGAIN;
        return -1;
    }
    return __real_getrandom(buffer, size, flags);
}

/* From now on the n-th allocation fails; 0: none. */
static void fail_next(uint64_t n, bool forever)
{
    fail_at = n == 0 ? 0 : allocations + n;
    fail_forever = forever;
}

/* ---- contexts ---- */

/* True: there was no n-th allocation. */
static bool derive_survives(const weir_context *parent, const weir_label *labels, size_t count,
                            uint64_t n)
{
    const uint64_t before = live;
    weir_context *context = NULL;
    weir_status status;

    fail_next(n, n % 2 == 0);
    status = weir_context_derive(parent, labels, count, 1, &context);
    fail_next(0, false);
    cr_expect_eq(context != NULL, status == WEIR_OK);
    cr_expect(status == WEIR_OK || status == WEIR_E_MEMORY);
    weir_context_release(context);
    cr_expect_eq(live, before);
    return status == WEIR_OK;
}

static uint64_t allocations_of(const weir_context *parent, const weir_label *labels, size_t count)
{
    uint64_t n = 1;

    while (!derive_survives(parent, labels, count, n)) {
        ++n;
    }
    return n - 1;
}

Test(context_fault, a_context_survives_each_of_its_allocations_failing)
{
    const uint64_t before = live;
    weir_context *parent = NULL;

    cr_assert_eq(weir_context_derive(NULL, &(weir_label){"a", "1"}, 1, 0, &parent), WEIR_OK);

    cr_expect_eq(allocations_of(NULL, NULL, 0), 1U);
    cr_expect_eq(allocations_of(NULL, &(weir_label){"a", "1"}, 1), 2U);
    cr_expect_eq(allocations_of(parent, NULL, 0), 1U);
    cr_expect_eq(allocations_of(parent, &(weir_label){"b", "2"}, 1), 2U);
    cr_expect_eq(allocations_of(parent, &(weir_label){"a", NULL}, 1), 1U);
    cr_expect_str_eq(weir_context_get(parent, "a"), "1");
    weir_context_release(parent);
    cr_expect_eq(live, before);
}

Test(context_fault, what_is_refused_leaks_nothing)
{
    static const weir_label bad[] = {
        {"a b", "1"}, {"a", "\n"}, {WEIR_LABEL_TRACE_ID, "1"}, {NULL, NULL}};
    const uint64_t before = live;
    weir_context *context = NULL;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        const weir_label labels[] = {{"good", "1"}, bad[i]};

        cr_expect_eq(weir_context_derive(NULL, labels, 2, 0, &context), WEIR_E_ARGUMENT);
    }
    cr_expect_null(context);
    cr_expect_eq(live, before);
}

Test(context_fault, without_random_numbers_only_a_fresh_trace_id_fails)
{
    const uint64_t before = live;
    weir_context *parent = NULL;
    weir_context *child = NULL;

    cr_assert_eq(weir_context_derive(NULL, NULL, 0, 0, &parent), WEIR_OK);
    no_random = true;
    cr_expect_eq(weir_context_derive(NULL, &(weir_label){"a", "1"}, 1, 0, &child), WEIR_E_SYSTEM);
    cr_expect_eq(
        weir_context_derive(parent, &(weir_label){WEIR_LABEL_TRACE_ID, NULL}, 1, 0, &child),
        WEIR_E_SYSTEM);
    cr_assert_null(child);
    cr_expect_eq(weir_context_derive(parent, &(weir_label){"a", "1"}, 1, 0, &child), WEIR_OK);
    no_random = false;
    weir_context_release(child);
    weir_context_release(parent);
    cr_expect_eq(live, before);
}

/* ---- carriers ---- */

static char value;

static void *capture(void *user)
{
    (void)user;
    return &value;
}

static void *enter(void *user, void *captured)
{
    (void)user;
    return captured;
}

static void leave(void *user, void *saved)
{
    (void)user;
    (void)saved;
}

static const weir_carrier carrier = {WEIR_SIZED(weir_carrier), .name = "c",    .capture = capture,
                                     .enter = enter,           .leave = leave, .release = leave};

/* True: there was no n-th allocation. */
static bool add_survives(uint64_t n)
{
    const uint64_t before = live;
    weir_carrier_slot *slot = NULL;
    weir_status status;

    fail_next(n, n % 2 == 0);
    status = weir_carrier_add(&carrier, &slot);
    fail_next(0, false);
    cr_expect_eq(slot != NULL, status == WEIR_OK);
    if (status == WEIR_OK) {
        cr_expect_eq(weir_carrier_remove(slot), WEIR_OK);
    } else {
        cr_expect_eq(status, WEIR_E_MEMORY);
    }
    cr_expect_eq(live, before);
    return status == WEIR_OK;
}

Test(context_fault, adding_a_carrier_survives_each_of_its_allocations_failing)
{
    uint64_t n = 1;

    while (!add_survives(n)) {
        ++n;
    }
    cr_expect_gt(n, 1U);
}

Test(context_fault, a_carrier_too_many_leaks_nothing)
{
    const uint64_t before = live;
    weir_carrier_slot *slots[WEIR_CARRIERS_MAX];
    weir_carrier_slot *more = NULL;

    for (size_t i = 0; i < WEIR_CARRIERS_MAX; ++i) {
        cr_assert_eq(weir_carrier_add(&carrier, &slots[i]), WEIR_OK);
    }
    const uint64_t full = live;
    cr_expect_eq(weir_carrier_add(&carrier, &more), WEIR_E_TOO_LARGE);
    cr_expect_eq(live, full);
    for (size_t i = 0; i < WEIR_CARRIERS_MAX; ++i) {
        cr_expect_eq(weir_carrier_remove(slots[i]), WEIR_OK);
    }
    cr_expect_eq(live, before);
}

Test(context_fault, removing_a_carrier_needs_no_memory)
{
    const uint64_t before = live;
    weir_carrier_slot *slots[2];
    struct wr_crossing crossing;

    for (size_t i = 0; i < 2; ++i) {
        cr_assert_eq(weir_carrier_add(&carrier, &slots[i]), WEIR_OK);
    }
    fail_next(1, true);
    wr_crossing_capture(&crossing, NULL);
    cr_expect_eq(weir_carrier_remove(slots[0]), WEIR_E_BUSY);
    cr_expect_eq(weir_carrier_remove(slots[1]), WEIR_E_BUSY);
    wr_crossing_release(&crossing);
    cr_expect_eq(weir_carrier_remove(slots[0]), WEIR_OK);
    cr_expect_eq(weir_carrier_remove(slots[1]), WEIR_OK);
    fail_next(0, false);
    cr_expect_eq(live, before);
}

/* ---- the call path ---- */

Test(context_fault, no_call_and_no_scope_allocates)
{
    weir_context *context = NULL;
    weir_carrier_slot *slot = NULL;

    cr_assert_eq(weir_context_derive(NULL, &(weir_label){"a", "1"}, 1, 0, &context), WEIR_OK);
    cr_assert_eq(weir_carrier_add(&carrier, &slot), WEIR_OK);
    const uint64_t before = allocations;
    for (int i = 0; i < 3; ++i) {
        struct wr_crossing crossing;
        struct wr_crossed crossed;
        weir_scope scope;
        weir_scope left_open;

        weir_scope_open(&scope, context);
        wr_crossing_capture(&crossing, NULL);
        wr_crossing_enter(&crossing, &crossed);
        weir_scope_open(&left_open, weir_context_current());
        wr_crossing_leave(&crossing, &crossed);
        wr_crossing_release(&crossing);
        cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
        weir_context_release(weir_context_retain(context));
    }
    cr_expect_eq(allocations, before);
    cr_expect_eq(weir_carrier_remove(slot), WEIR_OK);
    weir_context_release(context);
}
