/*
 * Calls on pools of worker threads, by execute and by submit, on the real clock with timeouts so
 * short that leaving races with finishing; while others take completions, cancel with tickets new
 * and old, resize threads and queue, change settings and override breakers. In the end every call
 * had one outcome, every argument one drop, every value one end, and every counter is what the
 * callers were told; in between no limit was exceeded and no live snapshot broke a law.
 *
 * First in duets: each caller makes one call after the other on a pool with one worker, without a
 * timeout, so that a single lost wake-up stops everything, and the watchdog says so.
 */
#define _GNU_SOURCE
#include "support/diary.h"
#include "support/race.h"
#include "support/watchdog.h"

#include <weir/weir.h>

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum {
    CALLERS = 4,
    TAKERS = 4, /* the last shares the queue of the first */
    QUEUES = 3,
    CANCELLERS = 1,
    CROWDED = 1,
    PLAIN = 3, /* the dependency without timeout and limits */
    DUET = 4,  /* from here on one for each caller */
    DEPENDENCIES = DUET + CALLERS,
    NOTES = 16,
    KINDS = 32,
    BATCH = 8,
    TEXT = 1 << 16
};

/* What happened, in more kinds than there are statuses. */
enum happening {
    DELIVERED,
    DELIVERED_LATE,
    FAILED,
    IGNORED,
    TIMED_OUT,
    EXPIRED,
    CANCELLED_QUEUED,
    CANCELLED_RUNNING,
    REFUSED_BULKHEAD,
    REFUSED_CELLS,
    REFUSED_RATE,
    REFUSED_OPEN,
    FALLEN_BACK,
    STALE_CANCELS,
    VALUES_DROPPED,
    LATE_RESULTS,
    LATE_VALUES,
    HAPPENINGS
};

static const char *const happenings[HAPPENINGS] = {"delivered",
                                                   "late value",
                                                   "failed",
                                                   "ignored",
                                                   "timed out while running",
                                                   "expired while queued",
                                                   "cancelled while queued",
                                                   "cancelled while running",
                                                   "refused: bulkhead",
                                                   "refused: cells",
                                                   "refused: rate",
                                                   "refused: open",
                                                   "answered by fallback",
                                                   "stale cancels",
                                                   "values dropped by completion_end",
                                                   "late results",
                                                   "late values of abandoned work"};

/* A ticket and its call's number, for cancellers to find, again and again. */
struct note {
    _Atomic uint32_t state; /* EMPTY, BUSY, FULL */
    weir_ticket ticket;
    uint64_t number;
    weir_queue *queue;
};
enum { EMPTY, BUSY, FULL };

struct target {
    weir_dependency *dependency;
    struct diary_site site;
    uint64_t most; /* that may run at once, at the largest settings */
    _Atomic uint64_t told[KINDS];
    struct note notes[NOTES];
};

static struct {
    weir_runtime *runtime;
    struct target targets[DEPENDENCIES];
    weir_queue *queues[QUEUES];
    uint64_t duets, rounds;        /* for each caller: of the first part, and of the second */
    pthread_barrier_t second_part; /* sleeps, so that the duets have the processors */
    _Atomic uint32_t calling, taking;
    _Atomic uint64_t submitted, completed;
    _Atomic uint64_t happened[HAPPENINGS];
    uint64_t applied, forced, read;
    char text[TEXT];
} stage;

static void happen(enum happening what)
{
    (void)atomic_fetch_add_explicit(&stage.happened[what], 1, memory_order_relaxed);
}

/* ---- outcomes ---- */

static unsigned kind_index(weir_status kind)
{
    if (kind == WEIR_OK) {
        return 0;
    }
    return (unsigned)(kind < 200 ? kind - 99 : kind < 300 ? kind - 200 + 12 : kind - 300 + 20);
}

static enum happening refusal_of(weir_status kind)
{
    switch ((int)kind) {
    case WEIR_BULKHEAD:
        return REFUSED_BULKHEAD;
    case WEIR_CELLS:
        return REFUSED_CELLS;
    case WEIR_RATE:
        return REFUSED_RATE;
    case WEIR_OPEN:
        return REFUSED_OPEN;
    default:
        return EXPIRED;
    }
}

static enum happening happening_of(const weir_outcome *outcome)
{
    switch ((int)outcome->kind) {
    case WEIR_OK:
        return DELIVERED;
    case WEIR_FAILED:
        return FAILED;
    case WEIR_IGNORED:
        return IGNORED;
    case WEIR_TIMED_OUT:
        return (outcome->flags & WEIR_FLAG_LATE_VALUE) != 0 ? DELIVERED_LATE : TIMED_OUT;
    case WEIR_CANCELLED:
        return outcome->attempts == 0 ? CANCELLED_QUEUED : CANCELLED_RUNNING;
    default:
        return refusal_of(outcome->kind);
    }
}

static void told(struct target *target, uint64_t number, weir_status status,
                 const weir_outcome *outcome)
{
    (void)atomic_fetch_add_explicit(&target->told[kind_index(outcome->kind)], 1,
                                    memory_order_relaxed);
    happen(happening_of(outcome));
    if (outcome->source == WEIR_BY_FALLBACK) {
        happen(FALLEN_BACK);
    }
    diary_told(number, status, outcome);
}

/* ---- callers ---- */

/* Which random bits decide what. */
enum { FALLBACK_BITS = 20, QUEUE_BITS = 24, CANCEL_BITS = 28 };
#define PLAINLY (1U << FALLBACK_BITS | 1U << CANCEL_BITS)

static const weir_command *command_of(uint64_t bits)
{
    return (bits >> FALLBACK_BITS & 7U) == 0 ? &diary_command_with_fallback : &diary_command;
}

static void execute(struct target *target, uint64_t number, weir_request *request, uint64_t bits)
{
    struct diary_value *value = NULL;
    weir_outcome outcome;
    weir_status status;

    request->result = &value;
    status = weir_execute(target->dependency, command_of(bits), request, &outcome);
    if (status == WEIR_OK) {
        diary_receive(number, value);
    }
    told(target, number, status, &outcome);
}

static void cancel(weir_queue *queue, weir_ticket ticket, uint64_t number)
{
    const weir_status status = weir_ticket_cancel(queue, ticket);

    race_check(status == WEIR_OK || status == WEIR_E_STALE, "cancel: %s", weir_status_name(status));
    if (status == WEIR_OK) {
        diary_cancelled(number);
    } else {
        happen(STALE_CANCELS);
    }
}

/* False: somebody is just using it. */
static bool hold_note(struct note *note, uint32_t from)
{
    return atomic_compare_exchange_strong(&note->state, &from, BUSY);
}

static void leave_note(struct target *target, weir_queue *queue, weir_ticket ticket,
                       uint64_t number)
{
    struct note *const note = &target->notes[number % NOTES];

    if (hold_note(note, EMPTY) || hold_note(note, FULL)) {
        note->ticket = ticket;
        note->number = number;
        note->queue = queue;
        atomic_store(&note->state, FULL);
    }
}

static bool submit(struct target *target, uint64_t number, const weir_request *request,
                   uint64_t bits)
{
    weir_queue *const queue = stage.queues[(bits >> QUEUE_BITS & 3U) % QUEUES];
    weir_outcome outcome;
    weir_ticket ticket;
    /* The number comes back with the completion, and where it was sent. */
    const uintptr_t user =
        (uintptr_t)(number * DEPENDENCIES) + (uintptr_t)(target - stage.targets) + 1;
    const weir_status status = weir_submit(target->dependency, command_of(bits), request, queue,
                                           (void *)user, /* NOLINT(performance-no-int-to-ptr) */
                                           &ticket, &outcome);

    if (status != WEIR_OK) {
        told(target, number, status, &outcome);
        return false;
    }
    (void)atomic_fetch_add_explicit(&stage.submitted, 1, memory_order_relaxed);
    if ((bits >> CANCEL_BITS & 31U) == 0) {
        cancel(queue, ticket, number);
    } else {
        leave_note(target, queue, ticket, number);
    }
    return true;
}

/* On the second much work is abandoned, so that its places fill up with it. */
static bool overstays(const struct target *target, uint64_t bits)
{
    return target == &stage.targets[CROWDED] && (bits >> 56U & 7U) == 7;
}

static struct diary_plan plan_of(struct target *target, uint64_t bits)
{
    const unsigned loops = (unsigned)(bits >> 44U & 0xfffU);
    struct diary_plan plan = {.site = &target->site, .loops = loops * 4};

    switch (bits >> 56U & 63U) {
    case 0:
        plan.manner = DIARY_RACES;
        plan.loops = loops * 12; /* up to 49 us before */
        break;
    case 1:
    case 2:
        plan.manner = DIARY_OVERSTAYS;
        break;
    case 3:
        plan.manner = DIARY_FAILS;
        break;
    case 4:
        plan.manner = DIARY_IGNORED;
        break;
    default:
        plan.manner = (bits >> 56U & 3U) == 0 ? DIARY_BUSY : DIARY_QUICK;
        break;
    }
    if (overstays(target, bits)) {
        plan.manner = DIARY_OVERSTAYS;
        plan.loops = loops * 128; /* for some 200 us */
    }
    return plan;
}

/* With a mistake in it: the argument stays ours. */
static void call_wrongly(struct target *target, struct diary_argument *argument,
                         weir_request *request)
{
    request->result = NULL;
    race_check(weir_execute(target->dependency, &diary_command, request, NULL) == WEIR_E_ARGUMENT,
               "no place for the result");
    request->result = argument;
    race_check(weir_submit(target->dependency, &diary_command, request, stage.queues[0], NULL, NULL,
                           NULL) == WEIR_E_ARGUMENT,
               "submit with a result");
    diary_take_back(argument);
}

static void call_one(uint64_t number, uint64_t bits)
{
    static const unsigned places[16] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, PLAIN, PLAIN};
    struct target *const target = &stage.targets[places[bits & 15U]];
    const struct diary_plan plan = plan_of(target, bits);
    struct diary_argument argument = diary_argument_make(number, &plan);
    weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                            .argument_size = sizeof(argument),
                            .within_ns = (bits >> 5U & 3U) == 0 && target != &stage.targets[PLAIN]
                                             ? 50000 + (bits >> 8U & 511U) * 1000
                                             : 0};

    if ((bits >> 34U & 1023U) == 0) {
        call_wrongly(target, &argument, &request);
    } else if ((bits >> 33U & 1U) == 0) {
        execute(target, number, &request, bits);
    } else if (!submit(target, number, &request, bits)) {
        for (unsigned n = 0; n < 8; ++n) {
            race_pause(UINT32_MAX); /* full: let them work */
        }
    }
}

/* One call after the other on a pool of one worker: nobody else comes by and wakes what slept too
 * long. Callers 0 and 1 submit, each to a queue of its own; what caller 1 submits runs until the
 * timer makes it leave. */
static void call_in_duet(unsigned who, uint64_t number)
{
    struct target *const target = &stage.targets[DUET + who];
    const struct diary_plan plan = {.site = &target->site,
                                    .manner = who == 1 ? DIARY_OVERSTAYS : DIARY_QUICK};
    struct diary_argument argument = diary_argument_make(number, &plan);
    weir_request request = {WEIR_SIZED(weir_request), .argument = &argument,
                            .argument_size = sizeof(argument),
                            .within_ns = who == 1 ? 20000 + number % 8192 * 4 : 0};

    if (who > 1) {
        execute(target, number, &request, PLAINLY);
    } else if (submit(target, number, &request, PLAINLY | (uint64_t)(2 - who) << QUEUE_BITS)) {
        for (unsigned n = 0; !diary_is_told(number); ++n) {
            race_pause(n);
        }
    }
}

static void call(unsigned who)
{
    uint64_t random = 88172645463325252U + who * UINT64_C(7919);
    uint64_t number = who * (stage.rounds + stage.duets);

    for (uint64_t i = 0; i < (who == 1 ? stage.duets / 8 : stage.duets); ++i) {
        call_in_duet(who, number++);
    }
    (void)pthread_barrier_wait(&stage.second_part);
    for (uint64_t i = 0; i < stage.rounds; ++i) {
        call_one(number++, race_random(&random));
    }
    (void)atomic_fetch_sub(&stage.calling, 1);
}

/* ---- takers ---- */

static void end_completion(weir_completion *completion, uint64_t bits)
{
    const uint64_t at = (uintptr_t)completion->user - 1;
    struct target *const target = &stage.targets[at % DEPENDENCIES];
    const weir_outcome outcome = completion->outcome;
    const weir_status status = completion->status;
    weir_completion copy = *completion;
    struct diary_value *value = NULL;
    const bool wants = (bits & 3U) != 0;

    race_check(weir_completion_end(completion, wants ? (void *)&value : NULL) == WEIR_OK,
               "call %llu: its completion was stale", (unsigned long long)(at / DEPENDENCIES));
    if ((bits >> 2U & 7U) == 0) {
        race_check(weir_completion_end(&copy, NULL) == WEIR_E_STALE, "a completion ended twice");
    }
    if (status == WEIR_OK && wants) {
        diary_receive(at / DEPENDENCIES, value);
    } else if (status == WEIR_OK) {
        happen(VALUES_DROPPED);
    }
    (void)atomic_fetch_add_explicit(&stage.completed, 1, memory_order_relaxed);
    told(target, at / DEPENDENCIES, status, &outcome);
}

/* False: the last of them was the farewell. */
static bool take(weir_queue *queue, bool polls, uint64_t bits)
{
    weir_completion completions[BATCH];
    bool goes_on = true;
    size_t count;

    if (polls) {
        struct pollfd ready = {.fd = weir_queue_fd(queue), .events = POLLIN};

        (void)poll(&ready, 1, -1);
    }
    count = weir_queue_take(queue, completions, 1 + (bits & (BATCH - 1)), polls ? 0 : UINT64_MAX);
    race_check(polls || count > 0, "a taker came back with nothing");
    for (unsigned n = 0; (bits >> 8U & 15U) == 0 && n < 400; ++n) {
        race_pause(n); /* keeps their cells for a while */
    }
    for (size_t i = 0; i < count; ++i) {
        if (completions[i].user != NULL) {
            end_completion(&completions[i], bits >> 12U);
        } else {
            race_check(weir_completion_end(&completions[i], NULL) == WEIR_OK, "the farewell");
            goes_on = false;
        }
    }
    return goes_on;
}

static void take_all(unsigned who)
{
    uint64_t random = 0x2545f4914f6cdd1dU + who;

    while (take(stage.queues[who % QUEUES], who == 1, race_random(&random))) {
    }
    (void)atomic_fetch_sub(&stage.taking, 1);
}

static int say_farewell(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

/* Takers wait for ever: a completion of nobody's ends each. */
static void end_takers(void)
{
    static const weir_command farewell = {WEIR_SIZED(weir_command), .name = "farewell",
                                          .isolations = WEIR_THREAD, .run = say_farewell};
    weir_dependency *dependency = NULL;
    weir_error error = {0};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings =
                                                 "isolation: thread, threads: 1, timeout: off"};

    race_check(weir_dependency_create(stage.runtime, "farewell", &options, &dependency, &error) ==
                   WEIR_OK,
               "%s", error.message);
    /* Not before they have all that is to come. */
    for (unsigned n = 0; atomic_load(&stage.completed) < atomic_load(&stage.submitted); ++n) {
        race_pause(n);
    }
    for (unsigned n = 0; atomic_load(&stage.taking) > 0; ++n) {
        for (unsigned i = 0; n % 1024 == 0 && i < QUEUES; ++i) {
            (void)weir_submit(dependency, &farewell, NULL, stage.queues[i], NULL, NULL, NULL);
        }
        race_pause(n);
    }
}

/* ---- cancellers ---- */

static void cancel_some(void)
{
    uint64_t random = 0x9e3779b97f4a7c15U;

    while (atomic_load(&stage.calling) > 0) {
        const uint64_t bits = race_random(&random);
        struct note *const note = &stage.targets[bits % DUET].notes[(bits >> 8U) % NOTES];
        struct note found;

        if (hold_note(note, FULL)) {
            found.ticket = note->ticket;
            found.number = note->number;
            found.queue = note->queue;
            atomic_store(&note->state, FULL); /* it stays: next time it is an old one */
            if ((bits >> 16U & 15U) == 0) {
                weir_queue *const other = stage.queues[found.queue == stage.queues[0] ? 1 : 0];

                race_check(weir_ticket_cancel(other, found.ticket) == WEIR_E_STALE,
                           "cancelled through another queue");
            }
            cancel(found.queue, found.ticket, found.number);
        }
        for (unsigned n = 0; n < 4; ++n) {
            race_pause(UINT32_MAX);
        }
    }
}

/* ---- disturbers ---- */

static const weir_setting changes[] = {
    {.dependency = "a", .key = "threads", .value = "1"},
    {.dependency = "a", .key = "threads", .value = "4"},
    {.dependency = "a", .key = "threads", .value = "6"},
    {.dependency = "a", .key = "queue", .value = "0"},
    {.dependency = "a", .key = "queue", .value = "8"},
    {.dependency = "a", .key = "replace_abandoned", .value = "0"},
    {.dependency = "a", .key = "replace_abandoned", .value = "2"},
    {.dependency = "a", .key = "timeout", .value = "100us"},
    {.dependency = "a", .key = "timeout", .value = "500us"},
    {.dependency = "a", .key = "timeout", .value = "2ms"},
    {.dependency = "b", .key = "timeout", .value = "300us"},
    {.dependency = "b", .key = "timeout", .value = "1ms"},
    {.dependency = "c", .key = "rate_limit.rate", .value = "500/s"},
    {.dependency = "c", .key = "rate_limit.rate", .value = "50000/s"},
    {.dependency = "c", .key = "rate_limit.max_wait", .value = "0ms"},
    {.dependency = "c", .key = "rate_limit.max_wait", .value = "100us"},
    {.dependency = "c", .key = "max_wait", .value = "0ms"},
    {.dependency = "c", .key = "max_wait", .value = "200us"},
    {.dependency = "c", .key = "abandoned_max", .value = "1"},
    {.dependency = "c", .key = "abandoned_max", .value = "off"},
    {.dependency = "plain", .key = "threads", .value = "1"},
    {.dependency = "plain", .key = "threads", .value = "2"},
    {.dependency = "plain", .key = "threads", .value = "4"},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

static void apply(uint64_t bits)
{
    const weir_setting settings[2] = {changes[bits % CHANGES], changes[(bits >> 16U) % CHANGES]};
    weir_error error = {0};

    race_check(weir_runtime_apply(stage.runtime, settings, 1 + (bits >> 32U) % 2, &error) ==
                   WEIR_OK,
               "apply: %s", error.message);
    stage.applied += 1;
}

static void check_difference(const char *law, uint64_t left, uint64_t right)
{
    race_check((int64_t)(left - right) >= 0, "%s: %llu against %llu", law, (unsigned long long)left,
               (unsigned long long)right);
}

static uint64_t sum(const uint64_t *value, unsigned first, unsigned last)
{
    uint64_t all = 0;

    for (unsigned i = first; i <= last; ++i) {
        all += value[i];
    }
    return all;
}

static void check_most(const struct target *target)
{
    const uint64_t most = atomic_load(&target->site.most);

    race_check(most <= target->most, "%s: %llu at work, at most %llu",
               weir_dependency_name(target->dependency), (unsigned long long)most,
               (unsigned long long)target->most);
}

/* Ends are read before begins, so the begins are never behind. */
static void check_laws(const struct target *target)
{
    uint64_t value[WEIR_COUNT_END] = {0};

    (void)weir_dependency_read(target->dependency, value, WEIR_COUNT_END);
    check_difference("calls", value[WEIR_COUNT_CALLS_SUBMITTED],
                     sum(value, WEIR_COUNT_CALLS_OK, WEIR_COUNT_REFUSED_CELLS) +
                         value[WEIR_COUNT_CALLS_OPEN]);
    check_difference("attempts", value[WEIR_COUNT_ATTEMPTS_BEGUN],
                     sum(value, WEIR_COUNT_CALLS_OK, WEIR_COUNT_CALLS_UNTRACKED) +
                         value[WEIR_COUNT_ATTEMPTS_RUNNING]);
    check_difference("slots", value[WEIR_COUNT_SLOTS_TAKEN],
                     value[WEIR_COUNT_SLOTS_RETURNED] + value[WEIR_COUNT_SLOTS_HELD]);
    check_most(target);
    stage.read += 1;
}

static void force(const struct target *target, uint64_t bits)
{
    const int32_t mode = (bits & 7U) < 4 ? (int32_t)(bits & 3U) : WEIR_FORCE_AUTO;
    const weir_status status = weir_dependency_force(target->dependency, mode, "test", "race");

    /* Without a breaker it is a usage error. */
    race_check(status == WEIR_OK || status == WEIR_E_ARGUMENT, "force: %s",
               weir_status_name(status));
    stage.forced += 1;
}

static void disturb(void)
{
    uint64_t random = 0x2545f4914f6cdd1dU;

    while (atomic_load(&stage.calling) > 0) {
        const uint64_t bits = race_random(&random);
        const struct target *const target = &stage.targets[(bits >> 50U) % DEPENDENCIES];

        switch (bits >> 60U) {
        case 0:
        case 1:
        case 2:
            apply(bits);
            break;
        case 3:
            force(target, bits);
            break;
        case 4:
            (void)weir_metrics_render(stage.runtime, WEIR_FORMAT_JSON, stage.text, TEXT);
            break;
        default:
            check_laws(target);
            break;
        }
        race_pause((bits >> 40U & 3U) == 0 ? 0 : UINT32_MAX);
    }
}

/* ---- before and after ---- */

enum { THREADS = CALLERS + TAKERS + CANCELLERS + 1 };

static void take_part(void *user, unsigned who)
{
    (void)user;
    if (who < CALLERS) {
        call(who);
    } else if (who < CALLERS + TAKERS) {
        take_all(who - CALLERS);
    } else if (who < CALLERS + TAKERS + CANCELLERS) {
        (void)pthread_barrier_wait(&stage.second_part);
        cancel_some();
    } else {
        (void)pthread_barrier_wait(&stage.second_part);
        disturb();
        end_takers();
    }
}

static void set_up(uint64_t calls)
{
#define BREAKER "breaker.open_for: 200us, breaker.open_for_max: 1ms, breaker.minimum_calls: 20"
#define DUETS   "isolation: thread, threads: 1, timeout: off"
    static const struct {
        const char *name;
        uint64_t most;
        const char *settings;
    } dependencies[DEPENDENCIES] = {
        {"a", 8,
         "isolation: thread, threads: 4, queue: 8, completions: 16, timeout: 500us, "
         "replace_abandoned: 2, " BREAKER},
        /* More workers than places, and hardly a cell to spare. */
        {"b", 3,
         "isolation: thread, threads: 2, queue: 1, completions: 1, timeout: 300us, "
         "replace_abandoned: 4"},
        {"c", 2,
         "isolation: thread, threads: 2, queue: 8, timeout: 1ms, max_wait: 200us, "
         "rate_limit.rate: 50000/s, rate_limit.burst: 20, " BREAKER},
        {"plain", 4, "isolation: thread, threads: 4, queue: 16, timeout: off"},
        {"duet0", 1, DUETS},
        {"duet1", 1, DUETS},
        {"duet2", 1, DUETS},
        {"duet3", 1, DUETS},
    };
#undef DUETS
#undef BREAKER
    weir_error error = {0};

    race_check(weir_runtime_create(NULL, &stage.runtime, &error) == WEIR_OK, "%s", error.message);
    for (unsigned i = 0; i < DEPENDENCIES; ++i) {
        const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                                 .settings = dependencies[i].settings};

        stage.targets[i].most = dependencies[i].most;
        race_check(weir_dependency_create(stage.runtime, dependencies[i].name, &options,
                                          &stage.targets[i].dependency, &error) == WEIR_OK,
                   "%s", error.message);
    }
    for (unsigned i = 0; i < QUEUES; ++i) {
        race_check(weir_queue_create(stage.runtime, &stage.queues[i], &error) == WEIR_OK, "%s",
                   error.message);
    }
    stage.duets = calls / CALLERS / 8;
    stage.rounds = calls / CALLERS - stage.duets;
    (void)pthread_barrier_init(&stage.second_part, NULL, CALLERS + CANCELLERS + 1);
    atomic_init(&stage.calling, CALLERS);
    atomic_init(&stage.taking, TAKERS);
    diary_open((stage.duets + stage.rounds) * CALLERS, false);
}

/* Abandoned work may still run, and what its caller was told is counted a moment later. */
static void calm_down(struct target *target, uint64_t *value)
{
    for (unsigned n = 0;; ++n) {
        (void)weir_dependency_read(target->dependency, value, WEIR_COUNT_END);
        if (value[WEIR_COUNT_CELLS] == 0) {
            break;
        }
        race_pause(n);
    }
    (void)weir_dependency_read(target->dependency, value, WEIR_COUNT_END);
}

static const struct {
    size_t count;
    weir_status kind;
} pairs[] = {{WEIR_COUNT_CALLS_OK, WEIR_OK},
             {WEIR_COUNT_CALLS_FAILED, WEIR_FAILED},
             {WEIR_COUNT_CALLS_IGNORED, WEIR_IGNORED},
             {WEIR_COUNT_CALLS_TIMED_OUT, WEIR_TIMED_OUT},
             {WEIR_COUNT_CALLS_CANCELLED, WEIR_CANCELLED},
             {WEIR_COUNT_REFUSED_OPEN, WEIR_OPEN},
             {WEIR_COUNT_REFUSED_RATE, WEIR_RATE},
             {WEIR_COUNT_REFUSED_BULKHEAD, WEIR_BULKHEAD},
             {WEIR_COUNT_REFUSED_OFF, WEIR_OFF},
             {WEIR_COUNT_REFUSED_DEADLINE, WEIR_DEADLINE},
             {WEIR_COUNT_REFUSED_COST, WEIR_COST},
             {WEIR_COUNT_REFUSED_SHUTDOWN, WEIR_SHUTDOWN},
             {WEIR_COUNT_REFUSED_CELLS, WEIR_CELLS}};

static void check_target(struct target *target)
{
    const char *const name = weir_dependency_name(target->dependency);
    uint64_t value[WEIR_COUNT_END] = {0};

    calm_down(target, value);
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); ++i) {
        const uint64_t counted = value[pairs[i].count];
        const uint64_t was_told = atomic_load(&target->told[kind_index(pairs[i].kind)]);

        race_check(counted == was_told, "%s: %s is %llu, callers were told %llu", name,
                   weir_count_name(pairs[i].count), (unsigned long long)counted,
                   (unsigned long long)was_told);
    }
    race_check(value[WEIR_COUNT_CALLS_OPEN] == 0 && value[WEIR_COUNT_SLOTS_HELD] == 0 &&
                   value[WEIR_COUNT_ABANDONED] == 0 &&
                   value[WEIR_COUNT_SLOTS_TAKEN] == value[WEIR_COUNT_SLOTS_RETURNED] &&
                   value[WEIR_COUNT_STALE] == 0,
               "%s: open %llu, held %llu, slots %llu taken, %llu returned, stale %llu", name,
               (unsigned long long)value[WEIR_COUNT_CALLS_OPEN],
               (unsigned long long)value[WEIR_COUNT_SLOTS_HELD],
               (unsigned long long)value[WEIR_COUNT_SLOTS_TAKEN],
               (unsigned long long)value[WEIR_COUNT_SLOTS_RETURNED],
               (unsigned long long)value[WEIR_COUNT_STALE]);
    check_most(target);
    printf("%s: most at work %llu of %llu\n", name,
           (unsigned long long)atomic_load(&target->site.most), (unsigned long long)target->most);
    (void)atomic_fetch_add(&stage.happened[LATE_RESULTS], value[WEIR_COUNT_LATE]);
    (void)atomic_fetch_add(&stage.happened[LATE_VALUES], value[WEIR_COUNT_LATE_VALUES]);
}

static void check_happenings(bool all)
{
    for (unsigned i = 0; i < HAPPENINGS; ++i) {
        const uint64_t count = atomic_load(&stage.happened[i]);

        printf("%10llu %s\n", (unsigned long long)count, happenings[i]);
        race_check(!all || count > 0, "%s: it never happened", happenings[i]);
    }
    race_check(atomic_load(&stage.happened[VALUES_DROPPED]) +
                       atomic_load(&stage.happened[LATE_VALUES]) ==
                   diary_values_dropped(),
               "%llu values dropped", (unsigned long long)diary_values_dropped());
    race_check(atomic_load(&stage.submitted) == atomic_load(&stage.completed),
               "%llu calls submitted, %llu completed",
               (unsigned long long)atomic_load(&stage.submitted),
               (unsigned long long)atomic_load(&stage.completed));
}

static void close_down(void)
{
    weir_error error = {0};
    size_t stuck = 0;

    race_check(weir_runtime_check(stage.runtime, &error) == WEIR_OK, "%s", error.message);
    race_check(weir_runtime_stop(stage.runtime, 1000000000, &stuck) == WEIR_OK,
               "%zu threads are stuck", stuck);
    for (unsigned i = 0; i < QUEUES; ++i) {
        weir_completion left;

        while (weir_queue_take(stage.queues[i], &left, 1, 0) > 0) {
            race_check(left.user == NULL, "a completion that nobody took");
            (void)weir_completion_end(&left, NULL);
        }
        race_check(weir_queue_destroy(stage.queues[i]) == WEIR_OK, "a queue is busy");
    }
    weir_runtime_destroy(stage.runtime);
    diary_close();
}

static void describe(void)
{
    for (unsigned i = 0; i < DEPENDENCIES; ++i) {
        uint64_t value[WEIR_COUNT_END] = {0};

        (void)weir_dependency_read(stage.targets[i].dependency, value, WEIR_COUNT_END);
        printf("%s:", weir_dependency_name(stage.targets[i].dependency));
        for (unsigned k = 0; k < WEIR_COUNT_END; ++k) {
            if (value[k] != 0) {
                printf(" %s %llu", weir_count_name(k), (unsigned long long)value[k]);
            }
        }
        printf("\n");
    }
}

int main(void)
{
    const uint64_t full = 1000000;
    const uint64_t calls = race_rounds(full, 60000, 50000);

    printf("%d callers, %llu calls\n", CALLERS, (unsigned long long)calls);
    set_up(calls);
    watchdog_start(describe);
    race_run(THREADS, take_part, NULL);
    for (unsigned i = 0; i < DEPENDENCIES; ++i) {
        check_target(&stage.targets[i]);
    }
    check_happenings(calls >= full);
    printf("%llu applies, %llu overrides, %llu live snapshots\n", (unsigned long long)stage.applied,
           (unsigned long long)stage.forced, (unsigned long long)stage.read);
    close_down();
    watchdog_stop();
    return race_result();
}
