/*
 * Snapshots, windows, limiters and the registry are replaced while calls use them: what was
 * replaced is freed when nobody reads it any more (a sanitizer sees it when that is too early),
 * nothing leaks, and a change is in force for every call that begins after it.
 */
#include "support/race.h"

#include <weir/testing.h>
#include <weir/weir.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLERS = 3, CREATED_MAX = 200, TEXT = 1 << 15 };

/* Memory that is overwritten when it is released: a late reader shows at once. */
struct poisoning {
    _Atomic uint64_t live;
};

static void *allocate(void *user, size_t bytes, size_t alignment)
{
    struct poisoning *const self = user;
    void *const memory = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);

    if (memory != NULL) {
        (void)atomic_fetch_add(&self->live, 1);
    }
    return memory;
}

static void release(void *user, void *memory, size_t bytes, size_t alignment)
{
    struct poisoning *const self = user;

    (void)alignment;
    if (memory != NULL) {
        memset(memory, 0xdb, bytes);
        (void)atomic_fetch_sub(&self->live, 1);
        free(memory);
    }
}

struct stage {
    struct poisoning memory;
    weir_runtime *runtime;
    weir_dependency *dependency;
    uint64_t applies;
    _Atomic bool stop;
    _Atomic uint64_t calls, created;
    _Atomic uint64_t generation; /* of the last apply that has returned */
    char texts[CALLERS][TEXT];
};

static struct stage stage;

static int run(weir_call *call, const void *argument, void *result)
{
    (void)call;
    (void)argument;
    (void)result;
    return 0;
}

static const weir_command command = {WEIR_SIZED(weir_command), .name = "c",
                                     .isolations = WEIR_INLINE, .run = run};

static void one_call(uint64_t bits)
{
    const weir_request request = {WEIR_SIZED(weir_request)};
    const uint64_t generation = atomic_load(&stage.generation);
    weir_outcome outcome;
    weir_permit permit;

    if ((bits & 1U) != 0) {
        (void)weir_execute(stage.dependency, &command, &request, &outcome);
    } else if (weir_begin(stage.dependency, &request, &permit, &outcome) == WEIR_OK) {
        race_check(weir_permit_left_ns(&permit) == UINT64_MAX, "a live permit looks stale");
        race_check(weir_end(&permit, (bits & 14U) == 0 ? WEIR_V_FAILED : WEIR_V_OK, 0) == WEIR_OK,
                   "end");
    }
    race_check(outcome.generation >= generation, "a call began with snapshot %llu after %llu",
               (unsigned long long)outcome.generation, (unsigned long long)generation);
}

static void call_all(unsigned who)
{
    uint64_t random = 88172645463325252U + who;
    uint64_t calls = 0;

    while (!atomic_load(&stage.stop)) {
        const uint64_t bits = race_random(&random);
        char name[16];

        for (unsigned i = 0; i < 16; ++i) {
            one_call(bits >> i);
        }
        calls += 16;
        (void)snprintf(name, sizeof(name), "n%u", (unsigned)(bits % CREATED_MAX));
        if (weir_dependency_find(stage.runtime, name) != NULL) {
            race_check((bits % CREATED_MAX) < atomic_load(&stage.created) + 1, "found too early");
        }
        if ((bits >> 32U & 63U) == 0) {
            (void)weir_metrics_render(stage.runtime, WEIR_FORMAT_PROMETHEUS, stage.texts[who],
                                      TEXT);
            (void)weir_dependency_explain(stage.dependency, NULL, stage.texts[who], TEXT);
            (void)weir_dependency_explain(stage.dependency, "max_wait", stage.texts[who], TEXT);
        }
    }
    (void)atomic_fetch_add(&stage.calls, calls);
}

static const weir_setting changes[] = {
    {.dependency = "d", .key = "breaker.window.buckets", .value = "5"},
    {.dependency = "d", .key = "breaker.window.buckets", .value = "20"},
    {.dependency = "d", .key = "breaker.window.kind", .value = "count"},
    {.dependency = "d", .key = "breaker.window.size", .value = "70"},
    {.dependency = "d", .key = "breaker.window.size", .value = "30"},
    {.dependency = "d", .key = "breaker.window.kind", .value = "time"},
    {.dependency = "d", .key = "rate_limit.rate", .value = "1000000/s"},
    {.dependency = "d", .key = "rate_limit.mode", .value = "window"},
    {.dependency = "d", .key = "rate_limit.rate", .value = "100000/s"},
    {.dependency = "d", .key = "rate_limit.mode", .value = "bucket"},
    {.dependency = "d", .key = "rate_limit", .value = "off"},
    {.dependency = "d", .key = "breaker", .value = "off"},
    {.dependency = "d", .key = "rate_limit", .value = "on"},
    {.dependency = "d", .key = "breaker", .value = "on"},
    {.dependency = "d", .key = "max_concurrent", .value = "2"},
    {.dependency = "d", .key = "max_concurrent", .value = "500"},
    {.dependency = NULL, .key = "breaker.open_for", .value = "1ms"},
    {.dependency = NULL, .key = "breaker.open_for", .value = "2ms"},
};
enum { CHANGES = sizeof(changes) / sizeof(changes[0]) };

static void apply_all(void)
{
    uint64_t random = 424242;

    for (uint64_t i = 0; i < stage.applies; ++i) {
        const uint64_t bits = race_random(&random);
        weir_error error = {0};
        weir_setting bad = changes[bits % CHANGES];

        race_check(weir_runtime_apply(stage.runtime, &changes[i % CHANGES], 1, &error) == WEIR_OK,
                   "apply: %s", error.message);
        /* Every change touches d, so its generation is one higher. */
        (void)atomic_fetch_add(&stage.generation, 1);
        bad.value = "nonsense";
        race_check(weir_runtime_apply(stage.runtime, &bad, 1, &error) == WEIR_E_CONFIG, "nonsense");
        if (i % (stage.applies / CREATED_MAX + 1) == 0 &&
            atomic_load(&stage.created) < CREATED_MAX) {
            char name[16];
            weir_dependency *created;

            (void)snprintf(name, sizeof(name), "n%u", (unsigned)atomic_load(&stage.created));
            race_check(weir_dependency_create(
                           stage.runtime, name,
                           &(weir_dependency_options){WEIR_SIZED(weir_dependency_options),
                                                      .settings = "max_concurrent: 1"},
                           &created, &error) == WEIR_OK,
                       "create: %s", error.message);
            (void)atomic_fetch_add(&stage.created, 1);
        }
    }
    atomic_store(&stage.stop, true);
}

static void call_or_apply(void *user, unsigned who)
{
    (void)user;
    if (who == CALLERS) {
        apply_all();
    } else {
        call_all(who);
    }
}

static void replace_under_load(uint64_t applies)
{
    const weir_allocator allocator = {WEIR_SIZED(weir_allocator), .user = &stage.memory,
                                      .allocate = allocate, .release = release};
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .allocator = &allocator};
    const weir_dependency_options dependency = {
        WEIR_SIZED(weir_dependency_options),
        .settings = "timeout: off, max_concurrent: 2, breaker.failure_rate: 90%, "
                    "rate_limit.rate: 1000000/s, rate_limit.burst: 1000"};
    weir_error error = {0};

    race_check(weir_runtime_create(&options, &stage.runtime, &error) == WEIR_OK &&
                   weir_dependency_create(stage.runtime, "d", &dependency, &stage.dependency,
                                          &error) == WEIR_OK,
               "%s", error.message);
    stage.applies = applies;
    atomic_init(&stage.generation, 1);
    race_run(CALLERS + 1, call_or_apply, NULL);
    race_check(weir_runtime_check(stage.runtime, &error) == WEIR_OK, "%s", error.message);
    weir_runtime_destroy(stage.runtime);
    race_check(atomic_load(&stage.memory.live) == 0, "%llu allocations left",
               (unsigned long long)atomic_load(&stage.memory.live));
    printf("%llu applies and as many refused ones, %llu calls, %llu dependencies created\n",
           (unsigned long long)applies, (unsigned long long)atomic_load(&stage.calls),
           (unsigned long long)atomic_load(&stage.created));
}

/* ---- a lease that is switched on live reclaims what is out ---- */

#define LEASE_NS 1000000U

struct leases {
    weir_runtime *runtime;
    weir_dependency *dependency;
    weir_manual_clock *clock;
    uint64_t rounds;
    _Atomic bool stop;
    uint64_t reclaimed;
};

static void call_without_pause(struct leases *self)
{
    while (!atomic_load(&self->stop)) {
        weir_permit permit;

        if (weir_begin(self->dependency, NULL, &permit, NULL) == WEIR_OK) {
            (void)weir_end(&permit, WEIR_V_OK, 0);
        }
    }
}

static void switch_leases(struct leases *self)
{
    weir_setting setting = {.dependency = "d", .key = "permit_lease"};

    for (uint64_t i = 0; i < self->rounds; ++i) {
        weir_permit permit = {{0}};
        weir_permit other = {{0}};
        weir_status status;

        setting.value = "off";
        race_check(weir_runtime_apply(self->runtime, &setting, 1, NULL) == WEIR_OK, "off");
        race_check(weir_begin(self->dependency, NULL, &permit, NULL) == WEIR_OK, "begin");
        setting.value = "1ms";
        race_check(weir_runtime_apply(self->runtime, &setting, 1, NULL) == WEIR_OK, "on");
        weir_manual_clock_advance(self->clock, LEASE_NS);
        /* The next call finds it, unless another one has just begun to look with an older stamp. */
        for (unsigned n = 0; n < 50 && weir_permit_left_ns(&permit) > 0; ++n) {
            if (weir_begin(self->dependency, NULL, &other, NULL) == WEIR_OK) {
                (void)weir_end(&other, WEIR_V_OK, 0);
            }
            race_pause(UINT32_MAX);
        }
        status = weir_end(&permit, WEIR_V_OK, 0);
        self->reclaimed += status == WEIR_E_STALE ? 1 : 0;
    }
    atomic_store(&self->stop, true);
}

static void switch_or_call(void *user, unsigned who)
{
    if (who == 0) {
        switch_leases(user);
    } else {
        call_without_pause(user);
    }
}

static void leases_switched_on_live(uint64_t rounds)
{
    struct leases self = {.rounds = rounds, .clock = weir_manual_clock_create(1000000000)};
    weir_runtime_options options = {WEIR_SIZED(weir_runtime_options)};
    const weir_dependency_options dependency = {WEIR_SIZED(weir_dependency_options),
                                                .settings = "max_concurrent: 100"};
    weir_error error = {0};

    options.clock = weir_manual_clock_ops(self.clock);
    race_check(weir_runtime_create(&options, &self.runtime, &error) == WEIR_OK &&
                   weir_dependency_create(self.runtime, "d", &dependency, &self.dependency,
                                          &error) == WEIR_OK,
               "%s", error.message);
    race_run(1 + CALLERS, switch_or_call, &self);
    printf("leases switched on live: %llu rounds, %llu reclaimed\n", (unsigned long long)rounds,
           (unsigned long long)self.reclaimed);
    race_check(self.reclaimed == rounds, "%llu permits outlived their lease",
               (unsigned long long)(rounds - self.reclaimed));
    race_check(weir_runtime_check(self.runtime, &error) == WEIR_OK, "%s", error.message);
    weir_runtime_destroy(self.runtime);
    weir_manual_clock_destroy(self.clock);
}

int main(void)
{
    const uint64_t applies = race_rounds(8000, 2000, 600);

    replace_under_load(applies);
    leases_switched_on_live(applies / 4);
    return race_result();
}
