/*
 * See diary.h.
 */
#define _GNU_SOURCE
#include "support/diary.h"

#include "support/watchdog.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ALIVE       UINT64_C(0x5ca1ab1e0ddba115)
#define POISONED    UINT64_C(0xdeadbeefdeadbeef)
#define PATIENCE_NS UINT64_C(5000000000)

enum {
    QUARANTINE = 4096,
    NAP_NS = 20000,
    FAILED_CODE = 1,
    IGNORED_CODE = 2,
    OVERTIME_NS = 2000000
};

/*
 * A page of the diary: small counters, so that a second time is seen, in one word.
 */
enum {
    TOLD = 1 << 0,
    DROPPED = 1 << 4,
    RAN = 1 << 8,
    MADE = 1 << 12,  /* values */
    ENDED = 1 << 16, /* values */
    NEVER_RAN = 1 << 20,
    GIVEN_UP = 1 << 24, /* its outcome is WEIR_CANCELLED */
    CANCELLED = 1 << 28 /* its ticket was cancelled */
};

static unsigned times(uint32_t page, uint32_t what)
{
    return page / what & 15U;
}

struct diary_order {
    uint64_t canary;
    uint64_t number;
    struct diary_plan plan;
};

struct diary_value {
    uint64_t canary;
    uint64_t number;
};

static struct {
    uint64_t calls;
    bool stops;
    void *book; /* owns the pages */
    _Atomic uint32_t *pages;
    _Alignas(RACE_LINE) _Atomic uint64_t values_dropped;
    _Alignas(RACE_LINE) _Atomic uint64_t last;
    _Atomic(void *) quarantine[QUARANTINE];
} diary;

/* Returns the page as it was. */
static uint32_t note(uint64_t number, uint32_t what)
{
    if (number >= diary.calls) {
        race_check(false, "a call with the number %llu", (unsigned long long)number);
        return 0;
    }
    return atomic_fetch_add_explicit(&diary.pages[number], what, memory_order_relaxed);
}

/* Free memory that nobody should use any more, in a while. */
static void discard(void *memory)
{
#if defined(WR_SANITIZED)
    free(memory);
#else
    const uint64_t at = atomic_fetch_add_explicit(&diary.last, 1, memory_order_relaxed);

    free(atomic_exchange(&diary.quarantine[at % QUARANTINE], memory));
#endif
}

static void *make(size_t size)
{
    void *const memory = calloc(1, size);

    if (memory == NULL) {
        (void)fprintf(stderr, "no memory\n");
        abort();
    }
    return memory;
}

void diary_open(uint64_t calls, bool stops)
{
    diary.stops = stops;
    diary.calls = calls;
    diary.book = make(calls * sizeof(*diary.pages));
    diary.pages = diary.book;
}

/* ---- arguments ---- */

struct diary_argument diary_argument_make(uint64_t number, const struct diary_plan *plan)
{
    struct diary_order *const order = make(sizeof(*order));

    *order = (struct diary_order){.canary = ALIVE, .number = number, .plan = *plan};
    return (struct diary_argument){.order = order, .number = number};
}

static void check_alive(const struct diary_argument *argument, uint64_t number, const char *when)
{
    race_check(argument->number == number && argument->order->number == number &&
                   argument->order->canary == ALIVE,
               "call %llu: its argument is not its own %s: %llu, %llu, canary %llx",
               (unsigned long long)number, when, (unsigned long long)argument->number,
               (unsigned long long)argument->order->number,
               (unsigned long long)argument->order->canary);
}

static void argument_drop(void *value)
{
    struct diary_argument *const argument = value;
    const uint32_t page = note(argument->number, DROPPED);

    race_check(times(page, DROPPED) == 0, "call %llu: its argument was dropped twice",
               (unsigned long long)argument->number);
    check_alive(argument, argument->number, "when it is dropped");
    if (times(page, DROPPED) == 0) {
        argument->order->canary = POISONED;
        discard(argument->order);
    }
}

void diary_take_back(struct diary_argument *argument)
{
    race_check(atomic_load(&diary.pages[argument->number]) == 0,
               "call %llu: a usage error did something", (unsigned long long)argument->number);
    check_alive(argument, argument->number, "after a usage error");
    free(argument->order);
}

/* ---- values ---- */

static void give_value(uint64_t number, void *result)
{
    struct diary_value *const value = make(sizeof(*value));

    *value = (struct diary_value){.canary = ALIVE, .number = number};
    (void)note(number, MADE);
    *(struct diary_value **)result = value;
}

static void end_value(struct diary_value *value)
{
    race_check(value->canary == ALIVE, "call %llu: a value that had ended",
               (unsigned long long)value->number);
    if (value->canary == ALIVE) {
        (void)note(value->number, ENDED);
        value->canary = POISONED;
        discard(value);
    }
}

static void result_drop(void *result)
{
    (void)atomic_fetch_add_explicit(&diary.values_dropped, 1, memory_order_relaxed);
    end_value(*(struct diary_value **)result);
}

void diary_receive(uint64_t number, struct diary_value *value)
{
    race_check(value != NULL, "call %llu: ok without a value", (unsigned long long)number);
    if (value != NULL) {
        race_check(value->number == number, "call %llu was given the value of %llu",
                   (unsigned long long)number, (unsigned long long)value->number);
        end_value(value);
    }
}

uint64_t diary_values_dropped(void)
{
    return atomic_load(&diary.values_dropped);
}

/* ---- the command ---- */

static void race_with_the_deadline(const weir_call *call, unsigned early_ns)
{
    const uint64_t until_ns = race_now() + OVERTIME_NS;

    while (weir_call_left_ns(call) > early_ns && race_now() < until_ns) {
        race_pause(0);
    }
}

static void overstay(const weir_call *call, unsigned loops)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};

    if (weir_call_left_ns(call) == UINT64_MAX) {
        return; /* its caller may wait for ever */
    }
    while (weir_call_abandoned(call) == 0) {
        (void)nanosleep(&nap, NULL);
    }
    race_spin(loops);
}

static int behave(const weir_call *call, const struct diary_plan *plan)
{
    switch (plan->manner) {
    case DIARY_BUSY:
        race_spin(plan->loops);
        return 0;
    case DIARY_FAILS:
        return FAILED_CODE;
    case DIARY_IGNORED:
        return IGNORED_CODE;
    case DIARY_RACES:
        race_with_the_deadline(call, plan->loops);
        return 0;
    case DIARY_OVERSTAYS:
        overstay(call, plan->loops);
        return 0;
    case DIARY_QUICK:
    default:
        return 0;
    }
}

static int run(weir_call *call, const void *value, void *result)
{
    const struct diary_argument *const argument = value;
    const uint64_t number = argument->number;
    const struct diary_plan plan = argument->order->plan;
    uint32_t page;
    int code;

    check_alive(argument, number, "when run begins");
    page = note(number, RAN);
    race_check(times(page, RAN) == 0 && times(page, DROPPED) == 0 && times(page, NEVER_RAN) == 0,
               "call %llu: it runs, page %x", (unsigned long long)number, page);
    race_raise(&plan.site->most, atomic_fetch_add(&plan.site->inside, 1) + 1);
    code = behave(call, &plan);
    check_alive(argument, number, "when run returns");
    if (code == 0) {
        give_value(number, result);
    }
    (void)atomic_fetch_sub(&plan.site->inside, 1);
    return code;
}

static int fall_back(weir_call *call, const void *value, void *result)
{
    const struct diary_argument *const argument = value;

    (void)call;
    check_alive(argument, argument->number, "in fallback");
    give_value(argument->number, result);
    return 0;
}

static weir_verdict classify(int code)
{
    static const weir_verdict verdicts[] = {WEIR_V_OK, WEIR_V_FAILED, WEIR_V_IGNORED};

    return verdicts[code];
}

const weir_command diary_command = {WEIR_SIZED(weir_command),
                                    .name = "diary",
                                    .isolations = WEIR_THREAD,
                                    .argument_max = sizeof(struct diary_argument),
                                    .result_max = sizeof(struct diary_value *),
                                    .run = run,
                                    .classify = classify,
                                    .argument_drop = argument_drop,
                                    .result_drop = result_drop};

const weir_command diary_command_with_fallback = {WEIR_SIZED(weir_command),
                                                  .name = "diary with fallback",
                                                  .isolations = WEIR_THREAD,
                                                  .argument_max = sizeof(struct diary_argument),
                                                  .result_max = sizeof(struct diary_value *),
                                                  .run = run,
                                                  .classify = classify,
                                                  .argument_drop = argument_drop,
                                                  .result_drop = result_drop,
                                                  .fallback = fall_back};

/* ---- outcomes ---- */

void diary_told(uint64_t number, weir_status status, const weir_outcome *outcome)
{
    const bool ran = outcome->attempts != 0;
    const uint32_t page = note(number, (uint32_t)TOLD | (ran ? 0U : NEVER_RAN) |
                                           (outcome->kind == WEIR_CANCELLED ? GIVEN_UP : 0U));

    watchdog_pat();
    race_check(times(page, TOLD) == 0, "call %llu: a second outcome, %s",
               (unsigned long long)number, weir_status_name(outcome->kind));
    race_check(ran || times(page, RAN) == 0, "call %llu: it never ran, they say, and it did",
               (unsigned long long)number);
    race_check((status == WEIR_OK) == (outcome->source != WEIR_BY_NOBODY) &&
                   (status == WEIR_OK || status == outcome->kind),
               "call %llu: status %s, kind %s, source %d", (unsigned long long)number,
               weir_status_name(status), weir_status_name(outcome->kind), outcome->source);
}

void diary_cancelled(uint64_t number)
{
    const uint32_t page = note(number, CANCELLED);

    race_check(times(page, CANCELLED) == 0, "call %llu: cancelled twice",
               (unsigned long long)number);
    race_check(times(page, TOLD) == 0 || times(page, GIVEN_UP) == 1,
               "call %llu: cancelled after another outcome", (unsigned long long)number);
}

bool diary_is_told(uint64_t number)
{
    return times(atomic_load(&diary.pages[number]), TOLD) != 0;
}

static void check_page(uint64_t number, uint32_t page)
{
    if (page == 0) {
        return; /* a usage error, or not used */
    }
    race_check(times(page, TOLD) == 1 && times(page, DROPPED) == 1 &&
                   times(page, RAN) + times(page, NEVER_RAN) == 1 &&
                   times(page, MADE) == times(page, ENDED) &&
                   (times(page, GIVEN_UP) == times(page, CANCELLED) ||
                    (diary.stops && times(page, CANCELLED) == 0)),
               "call %llu: told %u, dropped %u, ran %u or never %u, values made %u and ended %u, "
               "given up %u by %u cancels",
               (unsigned long long)number, times(page, TOLD), times(page, DROPPED),
               times(page, RAN), times(page, NEVER_RAN), times(page, MADE), times(page, ENDED),
               times(page, GIVEN_UP), times(page, CANCELLED));
}

/* Abandoned work may still run. */
static void await_drop(uint64_t number)
{
    const uint64_t until_ns = race_now() + PATIENCE_NS;

    for (unsigned n = 0; race_now() < until_ns; ++n) {
        const uint32_t page = atomic_load(&diary.pages[number]);

        if (page == 0 || times(page, DROPPED) != 0) {
            return;
        }
        race_pause(n);
    }
}

void diary_close(void)
{
    for (uint64_t i = 0; i < diary.calls; ++i) {
        await_drop(i);
        check_page(i, atomic_load(&diary.pages[i]));
    }
    for (unsigned i = 0; i < QUARANTINE; ++i) {
        free(atomic_exchange(&diary.quarantine[i], NULL));
    }
    free(diary.book);
}
