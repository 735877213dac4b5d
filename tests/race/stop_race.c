/*
 * Runtimes that are stopped, with no grace or a little, while calls come in from several threads,
 * settings change, dependencies are added and somebody else stops them too; then destroyed. Some
 * work ends only once its caller has left, some is stuck for longer than a stop waits. Every call
 * gets exactly one outcome, whichever way it met the stop.
 */
#define _GNU_SOURCE
#include "support/diary.h"
#include "support/race.h"
#include "support/watchdog.h"

#include <weir/weir.h>

#include <pthread.h>
#include <stdio.h>

enum { CALLERS = 3, CALLS = 12, BATCH = 4, THREADS = CALLERS + 2 };

#define MS UINT64_C(1000000)

static struct {
    uint64_t rounds;
    pthread_barrier_t begin, end;
    weir_runtime *runtime;
    weir_dependency *dependency;
    weir_queue *queue;
    struct diary_site site;
    _Atomic bool over;
    bool stops; /* else destroying does */
    _Atomic uint64_t submitted, completed;
    _Atomic uint64_t served, timed_out, cancelled, turned_away, refused, other;
    uint64_t stops_busy, stops_ok;
} stage;

static void told(uint64_t number, weir_status status, const weir_outcome *outcome)
{
    _Atomic uint64_t *count;

    switch ((int)outcome->kind) {
    case WEIR_OK:
        count = &stage.served;
        break;
    case WEIR_TIMED_OUT:
    case WEIR_DEADLINE:
        count = &stage.timed_out;
        break;
    case WEIR_CANCELLED:
        count = &stage.cancelled;
        break;
    case WEIR_SHUTDOWN:
        count = &stage.turned_away;
        break;
    case WEIR_BULKHEAD:
        count = &stage.refused;
        break;
    default:
        count = &stage.other;
        break;
    }
    (void)atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
    diary_told(number, status, outcome);
}

/* ---- callers ---- */

static struct diary_plan plan_of(uint64_t bits)
{
    struct diary_plan plan = {.site = &stage.site, .manner = DIARY_QUICK};

    switch (bits >> 4U & 7U) {
    case 0:
        plan.manner = DIARY_OVERSTAYS;
        plan.loops = (unsigned)(bits >> 32U & 0xffffU);
        break;
    case 1:
        plan.manner = DIARY_BUSY;
        plan.loops = (unsigned)(bits >> 32U & 0xffffU);
        break;
    default:
        break;
    }
    if (stage.stops && (bits >> 16U & 2047U) == 0) {
        plan.manner = DIARY_OVERSTAYS;
        plan.loops = UINT32_MAX >> 4U; /* some 100 ms: stuck, for a stop */
    }
    return plan;
}

/* Returns what became of it, as far as one is told at once. */
static weir_status call_one(uint64_t number, uint64_t bits)
{
    const struct diary_plan plan = plan_of(bits);
    struct diary_argument argument = diary_argument_make(number, &plan);
    struct diary_value *value = NULL;
    weir_request request = {
        WEIR_SIZED(weir_request), .argument = &argument, .argument_size = sizeof(argument),
        /* Without a stop nothing else makes them leave. */
        .within_ns =
            stage.stops && (bits & 2U) != 0 ? 60000 * MS : 100000 + (bits >> 8U & 0xffffU)};
    weir_outcome outcome;
    weir_status status;

    if ((bits & 1U) != 0) {
        request.result = &value;
        status = weir_execute(stage.dependency, &diary_command, &request, &outcome);
        if (status == WEIR_OK) {
            diary_receive(number, value);
        }
        told(number, status, &outcome);
        return outcome.kind;
    }
    /* The number comes back with the completion. */
    status = weir_submit(stage.dependency, &diary_command, &request, stage.queue,
                         (void *)(uintptr_t)number, /* NOLINT(performance-no-int-to-ptr) */
                         NULL, &outcome);
    if (status == WEIR_OK) {
        (void)atomic_fetch_add(&stage.submitted, 1);
    } else {
        told(number, status, &outcome);
    }
    return status;
}

static void disturb(uint64_t bits)
{
    const weir_setting setting = {
        .dependency = "a", .key = "threads", .value = (bits & 1U) != 0 ? "1" : "4"};
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = "isolation: thread, threads: 1"};
    weir_dependency *dependency = NULL;
    weir_status status = WEIR_OK;

    switch (bits >> 8U & 7U) {
    case 0:
        status = weir_runtime_stop(stage.runtime, bits >> 16U & 0xffffU, NULL);
        break;
    case 1:
    case 2:
        status = weir_runtime_apply(stage.runtime, &setting, 1, NULL);
        break;
    case 3:
        status = weir_dependency_create(stage.runtime, "b", &options, &dependency, NULL);
        break;
    default:
        break;
    }
    race_check(status == WEIR_OK || status == WEIR_E_BUSY, "%s", weir_status_name(status));
}

static void call(unsigned who, uint64_t round, uint64_t *random)
{
    uint64_t number = (round * CALLERS + who) * CALLS;
    unsigned turned_away = 0;

    for (unsigned i = 0; i < CALLS && turned_away < 2; ++i) {
        const uint64_t bits = race_random(random);

        turned_away += call_one(number++, bits) == WEIR_SHUTDOWN ? 1U : 0U;
        if (i == 0 && who == 0 && stage.stops) {
            disturb(race_random(random));
        }
        race_pause((bits >> 40U & 3U) == 0 ? UINT32_MAX : 0);
    }
}

/* ---- the taker ---- */

static void take(void)
{
    weir_completion completions[BATCH];

    while (!atomic_load(&stage.over)) {
        const size_t count = weir_queue_take(stage.queue, completions, BATCH, MS / 5);

        for (size_t i = 0; i < count; ++i) {
            const uint64_t number = (uintptr_t)completions[i].user;
            const weir_outcome outcome = completions[i].outcome;
            const weir_status status = completions[i].status;
            struct diary_value *value = NULL;

            race_check(weir_completion_end(&completions[i], (void *)&value) == WEIR_OK, "stale");
            if (status == WEIR_OK) {
                diary_receive(number, value);
            }
            told(number, status, &outcome);
            (void)atomic_fetch_add(&stage.completed, 1);
        }
    }
}

/* ---- whoever stops ---- */

static void set_up(uint64_t bits)
{
    const weir_dependency_options options = {
        WEIR_SIZED(weir_dependency_options),
        .settings = "isolation: thread, threads: 2, queue: 3, timeout: off, replace_abandoned: 1"};
    weir_error error = {0};

    race_check(weir_runtime_create(NULL, &stage.runtime, &error) == WEIR_OK &&
                   weir_dependency_create(stage.runtime, "a", &options, &stage.dependency,
                                          &error) == WEIR_OK &&
                   weir_queue_create(stage.runtime, &stage.queue, &error) == WEIR_OK,
               "%s", error.message);
    stage.stops = (bits & 7U) != 0;
    atomic_store(&stage.over, false);
    atomic_store(&stage.submitted, 0);
    atomic_store(&stage.completed, 0);
}

static void stop(uint64_t grace_ns)
{
    size_t stuck = 0;
    const weir_status status = weir_runtime_stop(stage.runtime, grace_ns, &stuck);

    race_check(status == (stuck == 0 ? WEIR_OK : WEIR_E_BUSY), "stop: %s, %zu stuck",
               weir_status_name(status), stuck);
    *(status == WEIR_OK ? &stage.stops_ok : &stage.stops_busy) += 1;
}

/* All have their outcome: the callers are through, and the taker soon is. */
static void tear_down(void)
{
    weir_error error = {0};

    for (unsigned n = 0; atomic_load(&stage.completed) < atomic_load(&stage.submitted); ++n) {
        race_pause(n);
    }
    if (stage.stops) {
        stop(60000 * MS); /* those that were stuck */
        race_check(weir_runtime_check(stage.runtime, &error) == WEIR_OK, "%s", error.message);
    }
    atomic_store(&stage.over, true);
}

static void stop_after_a_while(uint64_t bits)
{
    if (stage.stops) {
        race_spin((unsigned)(bits >> 8U & 0xffffU));
        stop((bits >> 24U & 1U) == 0 ? 0 : bits >> 32U & 0x3ffffU);
    }
}

/* ---- rounds ---- */

static void take_part(void *user, unsigned who)
{
    uint64_t random = 88172645463325252U + who * UINT64_C(7919);

    (void)user;
    for (uint64_t round = 0; round < stage.rounds; ++round) {
        const uint64_t bits = race_random(&random);

        if (who == THREADS - 1) {
            set_up(bits);
        }
        (void)pthread_barrier_wait(&stage.begin);
        if (who < CALLERS) {
            call(who, round, &random);
            (void)pthread_barrier_wait(&stage.end);
        } else if (who == CALLERS) {
            take();
        } else {
            stop_after_a_while(bits);
            (void)pthread_barrier_wait(&stage.end);
            tear_down();
        }
        (void)pthread_barrier_wait(&stage.begin);
        if (who == THREADS - 1) {
            race_check(weir_queue_destroy(stage.queue) == WEIR_OK, "the queue is busy");
            weir_runtime_destroy(stage.runtime);
        }
    }
}

int main(void)
{
    stage.rounds = race_rounds(4000, 400, 400);
    (void)pthread_barrier_init(&stage.begin, NULL, THREADS);
    (void)pthread_barrier_init(&stage.end, NULL, CALLERS + 1);
    diary_open(stage.rounds * CALLERS * CALLS, true);
    watchdog_start(NULL);
    race_run(THREADS, take_part, NULL);
    printf("%llu rounds, %llu stops, %llu more with stuck work; %llu served, %llu timed out, "
           "%llu cancelled, %llu turned away, %llu refused, %llu others\n",
           (unsigned long long)stage.rounds, (unsigned long long)stage.stops_ok,
           (unsigned long long)stage.stops_busy, (unsigned long long)atomic_load(&stage.served),
           (unsigned long long)atomic_load(&stage.timed_out),
           (unsigned long long)atomic_load(&stage.cancelled),
           (unsigned long long)atomic_load(&stage.turned_away),
           (unsigned long long)atomic_load(&stage.refused),
           (unsigned long long)atomic_load(&stage.other));
    diary_close();
    watchdog_stop();
    return race_result();
}
