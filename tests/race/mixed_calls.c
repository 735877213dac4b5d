/*
 * Eight threads make every kind of call on dependencies with small bulkheads, while another changes
 * settings, overrides breakers and reads everything. In the end the counting laws hold exactly,
 * each counter equals what the callers were told, no limit was exceeded and every argument was
 * dropped once; in between, no live snapshot breaks a law by more than the calls under way.
 */
#include "support/race.h"

#include <weir/weir.h>

#include <stdio.h>
#include <string.h>

enum {
    CALLERS = 8,
    DEPENDENCIES = 5,
    RING = 3,
    KINDS = 32, /* statuses, see kind_index() */
    SLOW_SPIN = 4000,
    TEXT = 1 << 16
};
#define LONGEST_RETRY_NS 600000000000U

/* What run is to do, and what became of it. */
struct work {
    struct target *target;
    int code;
    bool slow;
    bool yields; /* others come in while it is inside */
    unsigned runs, drops;
};

/* The argument of a call: it owns nothing, but notes its drop. */
struct argument {
    struct work *work;
};

enum { CODE_OK, CODE_FAILED, CODE_IGNORED, CODE_CANCELLED };

/* A permit on its way to another thread. */
struct parcel {
    _Atomic uint32_t state; /* EMPTY, BUSY, FULL */
    weir_permit permit;
};
enum { EMPTY, BUSY, FULL };

struct target {
    weir_dependency *dependency;
    const char *name;
    uint64_t limit; /* the largest ever in force; 0: not bounded */
    _Alignas(RACE_LINE) _Atomic uint64_t inside;
    _Atomic uint64_t most;
    struct parcel ring[RING];
};

/* What one caller was told about one dependency. */
struct tally {
    uint64_t kind[KINDS];
    uint64_t lost, stale, abandoned;
};

struct caller {
    _Alignas(RACE_LINE) _Atomic uint64_t started; /* calls into weir */
    uint64_t random;
    struct tally tallies[DEPENDENCIES];
};

struct stage {
    weir_runtime *runtime;
    struct target targets[DEPENDENCIES];
    struct caller callers[CALLERS];
    uint64_t rounds;
    _Atomic uint32_t working;
    uint64_t applied, forced, read, behind;
    char text[TEXT];
};

static struct stage stage;

static unsigned kind_index(weir_status kind)
{
    if (kind == WEIR_OK) {
        return 0;
    }
    return (unsigned)(kind < 200 ? kind - 99 : kind < 300 ? kind - 200 + 12 : kind - 300 + 20);
}

static void enter(struct target *target)
{
    race_raise(&target->most, atomic_fetch_add(&target->inside, 1) + 1);
}

static void leave(struct target *target)
{
    (void)atomic_fetch_sub(&target->inside, 1);
}

/* ---- execute ---- */

static int run(weir_call *call, const void *argument, void *result)
{
    struct work *const work = ((const struct argument *)argument)->work;

    enter(work->target);
    work->runs += 1;
    if (work->slow) {
        race_spin(SLOW_SPIN);
        weir_call_pushback(call, 1000);
    }
    if (work->yields) {
        race_pause(UINT32_MAX);
    }
    *(int *)result = work->code;
    leave(work->target);
    return work->code;
}

static weir_verdict classify(int code)
{
    static const weir_verdict verdicts[] = {WEIR_V_OK, WEIR_V_FAILED, WEIR_V_IGNORED,
                                            WEIR_V_CANCELLED};

    return verdicts[code];
}

static void drop(void *argument)
{
    ((struct argument *)argument)->work->drops += 1;
}

static const weir_command command = {
    WEIR_SIZED(weir_command),  .name = "mixed",
    .isolations = WEIR_INLINE, .argument_max = sizeof(struct argument),
    .result_max = sizeof(int), .run = run,
    .classify = classify,      .argument_drop = drop};

static void check_outcome(struct tally *tally, weir_status status, const weir_outcome *outcome)
{
    tally->kind[kind_index(outcome->kind)] += 1;
    race_check(status == outcome->kind || (status == WEIR_OK && outcome->kind == WEIR_TIMED_OUT &&
                                           (outcome->flags & WEIR_FLAG_LATE_VALUE) != 0),
               "status %s, kind %s", weir_status_name(status), weir_status_name(outcome->kind));
    race_check(outcome->retry_after_ns <= LONGEST_RETRY_NS, "%s: retry after %llu ns",
               weir_status_name(outcome->kind), (unsigned long long)outcome->retry_after_ns);
}

static void execute(struct caller *caller, unsigned at, uint64_t bits)
{
    static const int codes[] = {CODE_OK, CODE_OK, CODE_OK,     CODE_OK,
                                CODE_OK, CODE_OK, CODE_FAILED, CODE_IGNORED};
    struct work work = {.target = &stage.targets[at],
                        .code = (bits & 255U) == 0 ? CODE_CANCELLED : codes[bits >> 8U & 7U],
                        .slow = (bits >> 11U & 127U) == 0,
                        .yields = (bits >> 42U & 511U) == 0};
    const struct argument argument = {.work = &work};
    int result = -1;
    weir_request request = {WEIR_SIZED(weir_request),
                            .argument = &argument,
                            .argument_size = sizeof(argument),
                            .result = &result,
                            .within_ns = (bits >> 18U & 63U) == 0 ? 20000 : 0,
                            .cost = (bits >> 24U & 255U) == 0 ? 1001 : 0};
    weir_outcome outcome;
    weir_status status;

    if ((bits >> 32U & 1023U) == 0) { /* a usage error: the argument stays ours */
        request.result = NULL;
        status = weir_execute(work.target->dependency, &command, &request, &outcome);
        race_check(status == WEIR_E_ARGUMENT && work.drops == 0 && work.runs == 0, "usage error");
        return;
    }
    status = weir_execute(work.target->dependency, &command, &request, &outcome);
    check_outcome(&caller->tallies[at], status, &outcome);
    race_check(work.drops == 1, "the argument was dropped %u times", work.drops);
    race_check(work.runs == (outcome.kind >= 100 && outcome.kind < 200 ? 0 : 1) &&
                   work.runs == outcome.attempts,
               "%s, and run was called %u times", weir_status_name(outcome.kind), work.runs);
    race_check(status != WEIR_OK || result == work.code, "a wrong result");
}

/* ---- begin and end ---- */

static void end(struct caller *caller, unsigned at, weir_permit *permit, uint64_t bits)
{
    static const weir_verdict verdicts[] = {WEIR_V_OK,      WEIR_V_OK,       WEIR_V_OK,
                                            WEIR_V_OK,      WEIR_V_OK,       WEIR_V_FAILED,
                                            WEIR_V_IGNORED, WEIR_V_TIMED_OUT};
    static const weir_status kinds[] = {WEIR_OK, WEIR_OK,     WEIR_OK,      WEIR_OK,
                                        WEIR_OK, WEIR_FAILED, WEIR_IGNORED, WEIR_TIMED_OUT};
    struct tally *const tally = &caller->tallies[at];
    weir_permit copy = *permit;
    weir_status status;

    leave(&stage.targets[at]);
    status = weir_end(permit, verdicts[bits & 7U], 0);
    if (status == WEIR_OK) {
        tally->kind[kind_index(kinds[bits & 7U])] += 1;
    } else {
        race_check(status == WEIR_E_STALE, "end: %s", weir_status_name(status));
        tally->lost += 1;
        tally->stale += 1;
    }
    if ((bits >> 3U & 15U) == 0) {
        race_check(weir_end(&copy, WEIR_V_OK, 0) == WEIR_E_STALE, "a second end counted");
        tally->stale += 1;
    }
}

/* False: the ring is full. */
static bool post(struct target *target, const weir_permit *permit)
{
    for (unsigned i = 0; i < RING; ++i) {
        struct parcel *const parcel = &target->ring[i];
        uint32_t empty = EMPTY;

        if (atomic_compare_exchange_strong(&parcel->state, &empty, BUSY)) {
            parcel->permit = *permit;
            atomic_store(&parcel->state, FULL);
            return true;
        }
    }
    return false;
}

static void collect(struct caller *caller, unsigned at, uint64_t bits)
{
    for (unsigned i = 0; i < RING; ++i) {
        struct parcel *const parcel = &stage.targets[at].ring[i];
        uint32_t full = FULL;

        if (atomic_load(&parcel->state) == FULL &&
            atomic_compare_exchange_strong(&parcel->state, &full, BUSY)) {
            weir_permit permit = parcel->permit;

            atomic_store(&parcel->state, EMPTY);
            end(caller, at, &permit, bits);
        }
    }
}

static void begin(struct caller *caller, unsigned at, uint64_t bits)
{
    struct target *const target = &stage.targets[at];
    const weir_request request = {WEIR_SIZED(weir_request),
                                  .cost = (bits >> 24U & 255U) == 0 ? 1001 : 1 + (bits & 1U)};
    weir_permit permit;
    weir_outcome outcome;
    const weir_status status = weir_begin(target->dependency, &request, &permit, &outcome);

    race_check(status == outcome.kind, "begin: status and kind");
    race_check(outcome.retry_after_ns <= LONGEST_RETRY_NS, "%s: retry after %llu ns",
               weir_status_name(status), (unsigned long long)outcome.retry_after_ns);
    if (status != WEIR_OK) {
        caller->tallies[at].kind[kind_index(status)] += 1;
        return;
    }
    enter(target);
    if (at == 4 && (bits >> 33U & 4095U) == 0) { /* never ended: the lease takes it */
        leave(target);
        caller->tallies[at].abandoned += 1;
    } else if ((bits >> 32U & 1U) == 0 || !post(target, &permit)) {
        end(caller, at, &permit, bits >> 40U);
    }
}

static void call(unsigned who)
{
    struct caller *const caller = &stage.callers[who];

    for (uint64_t i = 0; i < stage.rounds; ++i) {
        const uint64_t bits = race_random(&caller->random);
        const unsigned at = (unsigned)(bits >> 60U) % DEPENDENCIES;

        atomic_store_explicit(&caller->started, i + 1, memory_order_release);
        if ((bits >> 56U & 3U) != 0) {
            execute(caller, at, bits);
        } else {
            begin(caller, at, bits);
        }
        collect(caller, at, bits >> 8U);
    }
    (void)atomic_fetch_sub(&stage.working, 1);
}

/* ---- the ninth thread ---- */

static const weir_setting changes[] = {
    {.dependency = "a", .key = "max_concurrent", .value = "1"},
    {.dependency = "a", .key = "max_concurrent", .value = "4"},
    {.dependency = "a", .key = "max_concurrent", .value = "6"},
    {.dependency = "a", .key = "breaker.failure_rate", .value = "30%"},
    {.dependency = "a", .key = "breaker.failure_rate", .value = "90%"},
    {.dependency = "a", .key = "breaker.window.buckets", .value = "5"},
    {.dependency = "a", .key = "breaker.window.buckets", .value = "10"},
    {.dependency = "a", .key = "breaker.window.kind", .value = "count"},
    {.dependency = "a", .key = "breaker.window.kind", .value = "time"},
    {.dependency = "b", .key = "max_concurrent", .value = "1"},
    {.dependency = "b", .key = "max_concurrent", .value = "3"},
    {.dependency = "b", .key = "max_wait", .value = "0ms"},
    {.dependency = "b", .key = "max_wait", .value = "50us"},
    {.dependency = "b", .key = "timeout", .value = "0ms"},
    {.dependency = "b", .key = "timeout", .value = "1s"},
    {.dependency = "c", .key = "rate_limit.rate", .value = "1000000/s"},
    {.dependency = "c", .key = "rate_limit.rate", .value = "50000/s"},
    {.dependency = "c", .key = "rate_limit.mode", .value = "pacing"},
    {.dependency = "c", .key = "rate_limit.mode", .value = "bucket"},
    {.dependency = "c", .key = "rate_limit.max_wait", .value = "20us"},
    {.dependency = "c", .key = "rate_limit.max_wait", .value = "0ms"},
    {.dependency = "c", .key = "breaker.window.size", .value = "50"},
    {.dependency = "c", .key = "breaker.window.size", .value = "100"},
    {.dependency = "d", .key = "mode", .value = "observe"},
    {.dependency = "d", .key = "mode", .value = "off"},
    {.dependency = "d", .key = "mode", .value = "on"},
    {.dependency = "d", .key = "max_concurrent", .value = "2"},
    {.dependency = "d", .key = "max_concurrent", .value = "6"},
    {.dependency = "e", .key = "breaker.slow_call", .value = "5us"},
    {.dependency = "e", .key = "breaker.slow_call", .value = "5ms"},
    {.dependency = "e", .key = "breaker", .value = "off"},
    {.dependency = "e", .key = "breaker", .value = "on"},
    {.dependency = "e", .key = "permit_lease", .value = "2ms"},
    {.dependency = "e", .key = "permit_lease", .value = "200us"},
    {.dependency = NULL, .key = "breaker.trial_lease", .value = "1ms"},
    {.dependency = NULL, .key = "breaker.trial_lease", .value = "10ms"},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

static void apply(uint64_t bits)
{
    weir_setting settings[2] = {changes[bits % CHANGES], changes[(bits >> 16U) % CHANGES]};
    weir_error error = {0};

    race_check(weir_runtime_apply(stage.runtime, settings, 1 + (bits >> 32U) % 2, &error) ==
                   WEIR_OK,
               "apply: %s", error.message);
    stage.applied += 1;
}

static uint64_t started(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < CALLERS; ++i) {
        sum += atomic_load_explicit(&stage.callers[i].started, memory_order_acquire);
    }
    return sum;
}

/* Ends are read before begins: the begins may be ahead by the calls that are inside weir, and by
 * those that came while we read (a round is at most one call, its end, and those from the ring). */
static void check_difference(const char *law, uint64_t left, uint64_t right, uint64_t came)
{
    const int64_t difference = (int64_t)(left - right);
    const int64_t most = (int64_t)(CALLERS + came * (2 + RING));

    race_check(difference <= most, "%s: %lld ahead, at most %lld can be under way", law,
               (long long)difference, (long long)most);
    race_check(difference >= 0, "%s: %lld behind", law, (long long)-difference);
    stage.behind += difference < 0 ? 1 : 0;
}

static void check_laws(const struct target *target)
{
    uint64_t value[WEIR_COUNT_END] = {0};
    const uint64_t before = started();
    uint64_t settled = 0;
    uint64_t refused = 0;
    uint64_t came;

    (void)weir_dependency_read(target->dependency, value, WEIR_COUNT_END);
    came = started() - before;
    for (unsigned i = WEIR_COUNT_CALLS_OK; i <= WEIR_COUNT_CALLS_LOST; ++i) {
        settled += value[i];
    }
    for (unsigned i = WEIR_COUNT_REFUSED_OPEN; i <= WEIR_COUNT_REFUSED_CELLS; ++i) {
        refused += value[i];
    }
    check_difference("calls", value[WEIR_COUNT_CALLS_SUBMITTED],
                     settled + refused + value[WEIR_COUNT_CALLS_OPEN], came);
    check_difference("attempts", value[WEIR_COUNT_ATTEMPTS_BEGUN],
                     value[WEIR_COUNT_ATTEMPTS_SETTLED] + value[WEIR_COUNT_ATTEMPTS_RUNNING], came);
    check_difference("slots", value[WEIR_COUNT_SLOTS_TAKEN],
                     value[WEIR_COUNT_SLOTS_RETURNED] + value[WEIR_COUNT_SLOTS_HELD] +
                         value[WEIR_COUNT_SLOTS_LOST],
                     came);
    race_check(value[WEIR_COUNT_WINDOW_FAILURES] <= value[WEIR_COUNT_WINDOW_CALLS] &&
                   value[WEIR_COUNT_WINDOW_SLOW] <= value[WEIR_COUNT_WINDOW_CALLS],
               "window: %llu failures, %llu slow, %llu calls",
               (unsigned long long)value[WEIR_COUNT_WINDOW_FAILURES],
               (unsigned long long)value[WEIR_COUNT_WINDOW_SLOW],
               (unsigned long long)value[WEIR_COUNT_WINDOW_CALLS]);
    stage.read += 1;
}

static void force(weir_dependency *dependency, uint64_t bits)
{
    const int32_t mode = (bits & 7U) < 4 ? (int32_t)(bits & 3U) : WEIR_FORCE_AUTO;
    const weir_status status = weir_dependency_force(dependency, mode, "test", "race");

    /* Without a breaker it is a usage error. */
    race_check(status == WEIR_OK || status == WEIR_E_ARGUMENT, "force: %s",
               weir_status_name(status));
    stage.forced += 1;
}

static void disturb(void)
{
    uint64_t random = 0x2545f4914f6cdd1dU;

    while (atomic_load(&stage.working) > 0) {
        const uint64_t bits = race_random(&random);
        const struct target *const target = &stage.targets[(bits >> 50U) % DEPENDENCIES];

        switch (bits >> 60U) {
        case 0:
        case 1:
        case 2:
            apply(bits);
            break;
        case 3:
            force(target->dependency, bits);
            break;
        case 4:
            (void)weir_metrics_render(stage.runtime,
                                      (bits & 1U) != 0 ? WEIR_FORMAT_JSON : WEIR_FORMAT_PROMETHEUS,
                                      stage.text, sizeof(stage.text));
            break;
        case 5:
            (void)weir_dependency_explain(target->dependency, NULL, stage.text, sizeof(stage.text));
            break;
        default:
            check_laws(target);
            break;
        }
        race_pause((bits >> 40U & 15U) == 0 ? UINT32_MAX : 0);
    }
}

static void call_or_disturb(void *user, unsigned who)
{
    (void)user;
    if (who == CALLERS) {
        disturb();
    } else {
        call(who);
    }
}

/* ---- before and after ---- */

static void set_up(uint64_t rounds)
{
#define SHORT "breaker.open_for: 100us, breaker.open_for_max: 1ms, breaker.open_backoff: 2.0, "
    /* Mode observe admits more; a lost permit's caller still counts itself inside. */
    static const struct {
        const char *name;
        uint64_t limit;
        const char *settings;
    } dependencies[DEPENDENCIES] = {
        {"a", 6,
         SHORT "max_concurrent: 4, breaker.window.span: 10ms, breaker.minimum_calls: 5, "
               "breaker.slow_call: 500us, breaker.trial_calls: 3, breaker.trial_successes: 2"},
        {"b", 3, "max_concurrent: 2, max_wait: 50us"},
        {"c", 5,
         SHORT "max_concurrent: 5, rate_limit.rate: 1000000/s, rate_limit.burst: 1000, "
               "breaker.window.kind: count, breaker.consecutive_failures: 4"},
        {"d", 0, SHORT "max_concurrent: 6, breaker.failure_rate: 40%, breaker.recovery_ramp: 1ms"},
        {"e", 0,
         SHORT "max_concurrent: 3, permit_lease: 2ms, breaker.slow_call: 5us, "
               "breaker.slow_rate: 30%, breaker.minimum_calls: 10"},
    };
#undef SHORT
    weir_error error = {0};

    race_check(weir_runtime_create(NULL, &stage.runtime, &error) == WEIR_OK, "%s", error.message);
    for (unsigned i = 0; i < DEPENDENCIES; ++i) {
        const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                                 .settings = dependencies[i].settings};

        stage.targets[i].name = dependencies[i].name;
        stage.targets[i].limit = dependencies[i].limit;
        race_check(weir_dependency_create(stage.runtime, dependencies[i].name, &options,
                                          &stage.targets[i].dependency, &error) == WEIR_OK,
                   "%s", error.message);
    }
    stage.rounds = rounds;
    atomic_init(&stage.working, CALLERS);
    for (unsigned i = 0; i < CALLERS; ++i) {
        stage.callers[i].random = 88172645463325252U + i * UINT64_C(7919);
    }
}

/* End what is in the rings, and let the lease take what was abandoned. */
static void calm_down(void)
{
    struct caller *const caller = &stage.callers[0];
    const weir_setting lease = {.dependency = "e", .key = "permit_lease", .value = "1us"};
    uint64_t value[WEIR_COUNT_END] = {0};

    for (unsigned i = 0; i < DEPENDENCIES; ++i) {
        collect(caller, i, 0);
    }
    race_check(weir_runtime_apply(stage.runtime, &lease, 1, NULL) == WEIR_OK, "lease");
    for (unsigned i = 0; i < 1000; ++i) {
        execute(caller, 4, UINT64_MAX);
        (void)weir_dependency_read(stage.targets[4].dependency, value, WEIR_COUNT_END);
        if (value[WEIR_COUNT_SLOTS_HELD] == 0) {
            break;
        }
        race_pause(UINT32_MAX);
    }
}

static void check_target(unsigned at)
{
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
                 {WEIR_COUNT_REFUSED_CELLS, WEIR_CELLS}};
    struct target *const target = &stage.targets[at];
    struct tally told = {0};
    uint64_t value[WEIR_COUNT_END] = {0};

    (void)weir_dependency_read(target->dependency, value, WEIR_COUNT_END);
    for (unsigned who = 0; who < CALLERS; ++who) {
        const struct tally *const tally = &stage.callers[who].tallies[at];

        for (unsigned i = 0; i < KINDS; ++i) {
            told.kind[i] += tally->kind[i];
        }
        told.lost += tally->lost + tally->abandoned;
        told.stale += tally->stale;
    }
    printf("%s: most inside %llu;", target->name, (unsigned long long)atomic_load(&target->most));
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); ++i) {
        const uint64_t counted = value[pairs[i].count];
        const uint64_t was_told = told.kind[kind_index(pairs[i].kind)];

        race_check(counted == was_told, "%s: %s is %llu, callers were told %llu", target->name,
                   weir_count_name(pairs[i].count), (unsigned long long)counted,
                   (unsigned long long)was_told);
        if (counted > 0) {
            printf(" %s %llu", weir_status_name(pairs[i].kind), (unsigned long long)counted);
        }
    }
    printf(
        "; lost %llu, stale %llu, opened %llu\n", (unsigned long long)value[WEIR_COUNT_CALLS_LOST],
        (unsigned long long)value[WEIR_COUNT_STALE], (unsigned long long)value[WEIR_COUNT_OPENED]);
    race_check(value[WEIR_COUNT_CALLS_LOST] == told.lost, "%s: lost %llu, should be %llu",
               target->name, (unsigned long long)value[WEIR_COUNT_CALLS_LOST],
               (unsigned long long)told.lost);
    race_check(value[WEIR_COUNT_STALE] == told.stale, "%s: stale", target->name);
    race_check(value[WEIR_COUNT_CALLS_OPEN] == 0 && value[WEIR_COUNT_SLOTS_HELD] == 0,
               "%s: something is still held", target->name);
    race_check(target->limit == 0 || atomic_load(&target->most) <= target->limit,
               "%s: %llu inside, the largest limit was %llu", target->name,
               (unsigned long long)atomic_load(&target->most), (unsigned long long)target->limit);
}

int main(void)
{
    const uint64_t rounds = race_rounds(7000000, 400000, 30000);
    weir_error error = {0};

    printf("%d threads x %llu calls\n", CALLERS, (unsigned long long)rounds);
    set_up(rounds);
    race_run(CALLERS + 1, call_or_disturb, NULL);
    calm_down();
    for (unsigned i = 0; i < DEPENDENCIES; ++i) {
        check_target(i);
    }
    race_check(weir_runtime_check(stage.runtime, &error) == WEIR_OK, "%s", error.message);
    printf("%llu applies, %llu overrides, %llu live snapshots (%llu laws behind)\n",
           (unsigned long long)stage.applied, (unsigned long long)stage.forced,
           (unsigned long long)stage.read, (unsigned long long)stage.behind);
    weir_runtime_destroy(stage.runtime);
    return race_result();
}
