/*
 * The n-th allocation fails, for every n, once and for ever: a status, a message, nothing leaked,
 * nothing half made. And the call path never allocates.
 */
#include "support/world.h"

static const char everything[] =
    "max_concurrent: 40, breaker.minimum_calls: 5, breaker.failure_rate: 50%, "
    "rate_limit.rate: 1000/s, rate_limit.burst: 1000";

/* From now on the n-th allocation fails. */
static void fail_next(struct world *world, uint64_t n, int forever)
{
    world->memory.fail_at = n == 0 ? 0 : world->memory.calls + n;
    world->memory.fail_forever = forever;
}

/* Was there an n-th allocation that failed? */
static bool failed(const struct world *world)
{
    return world->memory.calls >= world->memory.fail_at;
}

/* ---- the runtime ---- */

/* True: it was made (and ended), so there was no n-th allocation. */
static bool runtime_survives(uint64_t n, int forever)
{
    weir_failing_allocator memory;
    weir_runtime *runtime = NULL;
    weir_error error;
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .allocator = &memory.ops};
    weir_status status;

    weir_failing_allocator_init(&memory, n, forever);
    status = weir_runtime_create(&options, &runtime, &error);
    if (status == WEIR_OK) {
        weir_runtime_destroy(runtime);
    } else {
        cr_expect_eq(status, WEIR_E_MEMORY);
        cr_expect_eq(error.status, WEIR_E_MEMORY);
        cr_expect_str_neq(error.message, "");
        cr_expect_null(runtime);
    }
    cr_expect_eq(memory.live, 0U);
    cr_expect_eq(memory.live_bytes, 0U);
    return status == WEIR_OK;
}

Test(allocation, a_runtime_survives_each_of_its_allocations_failing)
{
    for (int forever = 0; forever <= 1; ++forever) {
        uint64_t n = 1;

        while (!runtime_survives(n, forever)) {
            ++n;
        }
        cr_assert_gt(n, 1U);
    }
}

/* ---- a dependency ---- */

/* True: there was no n-th allocation. What failed may be done without, then it works all the same.
 */
static bool create_survives(struct world *world, const char *settings, uint64_t n, int forever)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    const uint64_t live = world->memory.live;
    const uint64_t live_bytes = world->memory.live_bytes;
    weir_dependency *dependency = NULL;
    weir_status status;
    bool survived;

    fail_next(world, n, forever);
    status = weir_dependency_create(world->runtime, "db", &options, &dependency, &world->error);
    survived = !failed(world);
    fail_next(world, 0, 0);
    if (status != WEIR_OK) {
        cr_expect_eq(status, WEIR_E_MEMORY);
        cr_expect(world_says(world, "no memory"));
        cr_expect(world_says(world, "db"));
        cr_expect_null(dependency);
        cr_expect_null(weir_dependency_find(world->runtime, "db"));
        cr_expect_eq(world->memory.live, live);
        cr_expect_eq(world->memory.live_bytes, live_bytes);
    }
    cr_expect(status == WEIR_OK || !survived);
    return survived;
}

static void create_until_it_works(const char *settings, int forever)
{
    uint64_t n = 0;
    bool survived = false;

    while (!survived) {
        struct world world;

        world_open(&world, NULL);
        survived = create_survives(&world, settings, ++n, forever);
        if (weir_dependency_find(world.runtime, "db") == NULL) {
            (void)world_add(&world, "db", settings);
        }
        cr_expect_eq(begin_status(weir_dependency_find(world.runtime, "db")), WEIR_OK);
        cr_expect_eq(begin_status(world.dependency), WEIR_OK);
        world_close(&world);
    }
    cr_expect_gt(n, 5U);
}

Test(allocation, a_dependency_survives_each_of_its_allocations_failing)
{
    create_until_it_works(everything, 0);
    create_until_it_works(everything, 1);
}

Test(allocation, a_dependency_of_the_other_kinds_survives_each_of_its_allocations_failing)
{
    static const char settings[] =
        "breaker.window.kind: count, rate_limit.mode: window, rate_limit.rate: 50/s";

    create_until_it_works(settings, 0);
    create_until_it_works(settings, 1);
}

/* ---- apply ---- */

enum { CHANGES_MAX = 4 };

struct changes {
    weir_setting settings[CHANGES_MAX];
    size_t count;
};

/* What can be seen of one dependency's settings. */
static void look_at(weir_dependency *dependency, char *buffer, size_t size)
{
    static const char *const keys[] = {
        "max_concurrent",         "breaker",         "breaker.window.kind", "breaker.window.span",
        "breaker.window.buckets", "rate_limit.rate", "rate_limit.burst",    "rate_limit.mode"};
    size_t length = 0;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); ++i) {
        cr_assert_eq(weir_dependency_explain(dependency, keys[i], buffer + length, size - length),
                     WEIR_OK);
        length += strlen(buffer + length);
    }
    (void)snprintf(buffer + length, size - length, "limit %llu, tokens %llu, reloads %llu",
                   (unsigned long long)count_of(dependency, WEIR_COUNT_LIMIT),
                   (unsigned long long)count_of(dependency, WEIR_COUNT_TOKENS),
                   (unsigned long long)count_of(dependency, WEIR_COUNT_RELOADS));
}

/* True: there was no n-th allocation, and it was applied. */
static bool apply_survives(struct world *world, const struct changes *changes, uint64_t n,
                           int forever)
{
    weir_dependency *const both[] = {world->dependency, weir_dependency_find(world->runtime, "db")};
    static char before[2][8192];
    static char after[2][8192];
    weir_status status;
    bool survived;

    for (int i = 0; i < 2; ++i) {
        look_at(both[i], before[i], sizeof(before[i]));
    }
    fail_next(world, n, forever);
    status = weir_runtime_apply(world->runtime, changes->settings, changes->count, &world->error);
    survived = !failed(world);
    fail_next(world, 0, 0);
    for (int i = 0; i < 2 && status != WEIR_OK; ++i) {
        look_at(both[i], after[i], sizeof(after[i]));
        cr_expect_str_eq(after[i], before[i]);
        cr_expect_eq(begin_status(both[i]), WEIR_OK);
    }
    if (status != WEIR_OK) {
        cr_expect_eq(status, WEIR_E_MEMORY);
        cr_expect(world_says(world, "no memory"));
        cr_expect(world_says(world, "nothing has changed"));
    }
    cr_expect_eq(status == WEIR_OK, survived);
    world_check_laws(world);
    return survived;
}

static void apply_until_it_works(const struct changes *changes)
{
    for (int forever = 0; forever <= 1; ++forever) {
        struct world world;
        uint64_t n = 1;

        world_open(&world, everything);
        (void)world_add(&world, "db", everything);
        weir_permit permit = begin_one(world.dependency);
        while (!apply_survives(&world, changes, n, forever)) {
            ++n;
        }
        cr_expect_gt(n, 2U);
        cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
        world_close(&world);
    }
}

Test(allocation, an_apply_that_grows_the_slots_survives_each_of_its_allocations_failing)
{
    apply_until_it_works(&(struct changes){
        .settings = {{.dependency = "pay", .key = "max_concurrent", .value = "1000"}}, .count = 1});
}

Test(allocation, an_apply_of_a_new_window_survives_each_of_its_allocations_failing)
{
    apply_until_it_works(&(struct changes){
        .settings = {{.dependency = "pay", .key = "breaker.window.buckets", .value = "20"}},
        .count = 1});
}

Test(allocation, an_apply_of_another_kind_of_window_survives_each_of_its_allocations_failing)
{
    apply_until_it_works(&(struct changes){
        .settings = {{.dependency = "pay", .key = "breaker.window.kind", .value = "count"}},
        .count = 1});
}

Test(allocation, an_apply_of_a_new_rate_survives_each_of_its_allocations_failing)
{
    apply_until_it_works(&(struct changes){
        .settings = {{.dependency = "pay", .key = "rate_limit.rate", .value = "500/s"}},
        .count = 1});
}

Test(allocation, an_apply_of_another_mode_of_the_rate_survives_each_of_its_allocations_failing)
{
    apply_until_it_works(&(struct changes){
        .settings = {{.dependency = "pay", .key = "rate_limit.mode", .value = "window"}},
        .count = 1});
}

Test(allocation, an_apply_of_all_at_once_survives_each_of_its_allocations_failing)
{
    apply_until_it_works(&(struct changes){
        .settings = {{.dependency = "db", .key = "max_concurrent", .value = "500"},
                     {.dependency = "pay", .key = "max_concurrent", .value = "1000"},
                     {.dependency = "pay", .key = "breaker.window.span", .value = "20s"},
                     {.dependency = "db", .key = "rate_limit.burst", .value = "10"}},
        .count = 4});
}

Test(allocation, an_apply_to_every_dependency_survives_each_of_its_allocations_failing)
{
    apply_until_it_works(
        &(struct changes){.settings = {{.key = "timeout", .value = "2s"}}, .count = 1});
}

Test(allocation, an_apply_that_fails_a_hundred_times_holds_no_more_memory_than_one)
{
    const weir_setting settings[] = {
        {.dependency = "pay", .key = "max_concurrent", .value = "1000"},
        {.dependency = "pay", .key = "breaker.window.buckets", .value = "20"}};
    uint64_t after_one = 0;
    struct world world;

    world_open(&world, everything);
    for (int i = 0; i < 100; ++i) {
        uint64_t n = 1;

        /* The last allocation that there is. */
        for (fail_next(&world, n, 1);; fail_next(&world, ++n, 1)) {
            const uint64_t calls = world.memory.calls;

            cr_assert_eq(weir_runtime_apply(world.runtime, settings, 2, NULL), WEIR_E_MEMORY);
            if (world.memory.calls - calls < n || n == 3) {
                break;
            }
        }
        fail_next(&world, 0, 0);
        after_one = i == 0 ? world.memory.live_bytes : after_one;
        cr_assert_eq(world.memory.live_bytes, after_one);
    }
    world_close(&world);
}

/* ---- the call path ---- */

static void exercise_calls(struct world *world)
{
    for (int verdict = 0; verdict <= WEIR_V_CANCELLED; ++verdict) {
        (void)world_call(world, (weir_verdict)verdict);
        (void)world_call_taking(world, (weir_verdict)verdict, 2 * SECOND, NULL);
        weir_permit permit = {{0}};
        (void)weir_begin(world->dependency, NULL, &permit, NULL);
        (void)weir_end(&permit, (weir_verdict)verdict, 0);
        (void)weir_end(&permit, WEIR_V_OK, 0);
    }
}

static void exercise_readers(struct world *world)
{
    static char text[32768];

    (void)world_count(world, 0);
    (void)weir_dependency_explain(world->dependency, NULL, text, sizeof(text));
    (void)weir_dependency_explain(world->dependency, "timeout", text, sizeof(text));
    (void)weir_metrics_render(world->runtime, WEIR_FORMAT_JSON, text, sizeof(text));
    (void)weir_metrics_render(world->runtime, WEIR_FORMAT_PROMETHEUS, text, sizeof(text));
    (void)weir_runtime_check(world->runtime, NULL);
    (void)weir_dependency_find(world->runtime, "pay");
}

Test(allocation, no_call_of_any_outcome_allocates)
{
    struct world world;

    world_open(&world, "breaker.window.kind: count, permit_lease: 1s");
    const uint64_t calls = world.memory.calls;
    for (int i = 0; i < 20; ++i) {
        exercise_calls(&world);
    }
    cr_assert_eq(world.memory.calls, calls);
    world_close(&world);
}

Test(allocation, no_refusal_of_any_gate_allocates)
{
    static const char *const settings[] = {"mode: off",
                                           "timeout: 0ms",
                                           "max_concurrent: 0",
                                           "rate_limit.rate: 0/s",
                                           "breaker.consecutive_failures: 1",
                                           "mode: observe, max_concurrent: 0"};

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i) {
        struct world world;

        world_open(&world, settings[i]);
        const uint64_t calls = world.memory.calls;
        exercise_calls(&world);
        cr_assert_eq(world.memory.calls, calls);
        world_close(&world);
    }
}

Test(allocation, neither_overriding_nor_reading_allocates)
{
    struct world world;

    world_open(&world, everything);
    const uint64_t calls = world.memory.calls;
    for (int32_t mode = WEIR_FORCE_OBSERVE; mode >= WEIR_FORCE_AUTO; --mode) {
        cr_assert_eq(weir_dependency_force(world.dependency, mode, "who", "why"), WEIR_OK);
        exercise_calls(&world);
        exercise_readers(&world);
    }
    cr_assert_eq(world.memory.calls, calls);
    world_close(&world);
}

Test(allocation, waiting_for_a_place_does_not_allocate)
{
    struct world world;
    struct caller caller = {0};

    world_open(&world, "max_concurrent: 1, max_wait: 1s, timeout: 1m");
    weir_permit permit = begin_one(world.dependency);
    const uint64_t calls = world.memory.calls;
    caller_start(&caller, world.dependency, NULL);
    weir_manual_clock_await_waiters(world.clock, 1);
    cr_expect_eq(weir_end(&permit, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(caller_join(&caller), WEIR_OK);
    cr_expect_eq(world.memory.calls, calls);
    world_close(&world);
}

Test(allocation, the_reported_bytes_are_the_bytes_that_are_held)
{
    struct world world;

    world_open_empty(&world);
    (void)world_add(&world, "first", NULL);
    const uint64_t before = world.memory.live_bytes;
    world.dependency = world_add(&world, "second", everything);
    const uint64_t held = world.memory.live_bytes - before;
    const uint64_t told = world_count(&world, WEIR_COUNT_BYTES);
    /* The table of names grows too, by a few words. */
    cr_assert_leq(told, held);
    cr_assert_leq(held - told, 512U);
    world_close(&world);
}
