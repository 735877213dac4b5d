/*
 * A runtime on a manual clock and a counting allocator, with one dependency; commands whose outcome
 * the test says; calls on threads and a gate to hold them at. Header only: outside tests link
 * nothing but the libraries.
 */
#ifndef WEIR_TESTS_WORLD_H
#define WEIR_TESTS_WORLD_H

#include "support/harness.h"

#include <weir/testing.h>
#include <weir/weir.h>

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MS     1000000ULL
#define SECOND (1000 * MS)
#define START  (1000 * SECOND) /* where the manual clock begins */

struct world {
    weir_manual_clock *clock;
    weir_failing_allocator memory;
    weir_runtime *runtime;
    weir_dependency *dependency; /* "pay" */
    weir_error error;
};

/* ---- the world ---- */

static inline void world_open_empty(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->clock = weir_manual_clock_create(START);
    cr_assert_not_null(world->clock);
    weir_failing_allocator_init(&world->memory, 0, 0);
    const weir_runtime_options options = {WEIR_SIZED(weir_runtime_options),
                                          .clock = weir_manual_clock_ops(world->clock),
                                          .allocator = &world->memory.ops, .seed = 1};
    cr_assert_eq(weir_runtime_create(&options, &world->runtime, &world->error), WEIR_OK);
}

static inline weir_dependency *world_add(struct world *world, const char *name,
                                         const char *settings)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = settings};
    weir_dependency *dependency = NULL;

    cr_assert_eq(weir_dependency_create(world->runtime, name, &options, &dependency, &world->error),
                 WEIR_OK);
    return dependency;
}

static inline void world_open(struct world *world, const char *settings)
{
    world_open_empty(world);
    world->dependency = world_add(world, "pay", settings);
}

static inline void world_check_laws(struct world *world)
{
    world->error.message[0] = '\0';
    cr_expect_eq(weir_runtime_check(world->runtime, &world->error), WEIR_OK);
    cr_expect_str_eq(world->error.message, "");
}

static inline void world_pass(struct world *world, uint64_t ns)
{
    weir_manual_clock_advance(world->clock, ns);
}

static inline uint64_t count_of(weir_dependency *dependency, size_t index)
{
    uint64_t values[WEIR_COUNT_END];

    (void)weir_dependency_read(dependency, values, WEIR_COUNT_END);
    return values[index];
}

static inline uint64_t world_count(struct world *world, size_t index)
{
    return count_of(world->dependency, index);
}

/* Laws hold, nothing is held, nothing leaks. */
static inline void world_close(struct world *world)
{
    world_check_laws(world);
    cr_expect(world->dependency == NULL || world_count(world, WEIR_COUNT_CALLS_OPEN) == 0);
    weir_runtime_destroy(world->runtime);
    cr_expect_eq(world->memory.live, 0U);
    cr_expect_eq(world->memory.live_bytes, 0U);
    weir_manual_clock_destroy(world->clock);
}

static inline weir_status world_set(struct world *world, const char *key, const char *value)
{
    const weir_setting setting = {.dependency = "pay", .key = key, .value = value};

    return weir_runtime_apply(world->runtime, &setting, 1, &world->error);
}

static inline bool world_says(struct world *world, const char *part)
{
    return strstr(world->error.message, part) != NULL;
}

/* ---- a command that does as it is told ---- */

/* What run is to do. */
struct order {
    weir_manual_clock *clock; /* to move by took_ns while it runs; may be NULL */
    uint64_t took_ns;
    int code; /* a weir_verdict, or any other number */
};

static inline int obey_run(weir_call *call, const void *argument, void *result)
{
    const struct order *const order = argument;

    (void)call;
    if (order->clock != NULL && order->took_ns > 0) {
        weir_manual_clock_advance(order->clock, order->took_ns);
    }
    *(int *)result = 42;
    return order->code;
}

static inline weir_verdict obey_classify(int code)
{
    return (weir_verdict)code;
}

/* The code is the verdict; the value is 42. */
static inline const weir_command *obey(void)
{
    static const weir_command command = {
        WEIR_SIZED(weir_command),  .name = "obey",
        .isolations = WEIR_INLINE, .argument_max = sizeof(struct order),
        .result_max = sizeof(int), .run = obey_run,
        .classify = obey_classify};

    return &command;
}

static inline weir_status call_for(weir_dependency *dependency, const struct order *order,
                                   weir_outcome *ret_outcome)
{
    int result = 0;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = order,
                                  .argument_size = sizeof(*order), .result = &result};

    return weir_execute(dependency, obey(), &request, ret_outcome);
}

static inline weir_status world_call(struct world *world, weir_verdict verdict)
{
    const struct order order = {.code = (int)verdict};

    return call_for(world->dependency, &order, NULL);
}

static inline void world_calls(struct world *world, weir_verdict verdict, int times)
{
    for (int i = 0; i < times; ++i) {
        (void)world_call(world, verdict);
    }
}

static inline weir_status world_call_taking(struct world *world, weir_verdict verdict,
                                            uint64_t took_ns, weir_outcome *ret_outcome)
{
    const struct order order = {.clock = world->clock, .took_ns = took_ns, .code = (int)verdict};

    return call_for(world->dependency, &order, ret_outcome);
}

/* ---- permits ---- */

static inline weir_permit begin_one(weir_dependency *dependency)
{
    weir_permit permit;

    cr_assert_eq(weir_begin(dependency, NULL, &permit, NULL), WEIR_OK);
    return permit;
}

static inline weir_status begin_status(weir_dependency *dependency)
{
    weir_permit permit;
    const weir_status status = weir_begin(dependency, NULL, &permit, NULL);

    if (status == WEIR_OK) {
        (void)weir_end(&permit, WEIR_V_CANCELLED, 0);
    }
    return status;
}

/* ---- a gate that holds calls inside run ---- */

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int inside;
    bool open;
};

#define GATE_INIT                                                               \
    {                                                                           \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER \
    }

static inline void gate_pass(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->mutex);
    gate->inside += 1;
    (void)pthread_cond_broadcast(&gate->changed);
    while (!gate->open) {
        (void)pthread_cond_wait(&gate->changed, &gate->mutex);
    }
    (void)pthread_mutex_unlock(&gate->mutex);
}

static inline void gate_await(struct gate *gate, int inside)
{
    (void)pthread_mutex_lock(&gate->mutex);
    while (gate->inside < inside) {
        (void)pthread_cond_wait(&gate->changed, &gate->mutex);
    }
    (void)pthread_mutex_unlock(&gate->mutex);
}

static inline void gate_open(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->mutex);
}

static inline int gated_run(weir_call *call, const void *argument, void *result)
{
    struct gate *gate;

    (void)call;
    (void)result;
    memcpy(&gate, argument, sizeof(struct gate *));
    gate_pass(gate);
    return 0;
}

/* The argument is a pointer to the gate. */
static inline const weir_command *gated(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command), .name = "gated",
                                         .isolations = WEIR_INLINE,
                                         .argument_max = sizeof(struct gate *), .run = gated_run};

    return &command;
}

/* ---- calls on threads of their own ---- */

struct caller {
    pthread_t thread;
    weir_dependency *dependency;
    struct gate *gate; /* NULL: the call returns at once */
    uint64_t within_ns;
    weir_status status; /* after join */
    weir_outcome outcome;
};

static inline void *caller_main(void *user)
{
    struct caller *const caller = user;
    struct gate gate = GATE_INIT;
    struct gate *at = caller->gate != NULL ? caller->gate : &gate;
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &at,
                                  .argument_size = sizeof(struct gate *),
                                  .within_ns = caller->within_ns};

    gate.open = true;
    caller->status = weir_execute(caller->dependency, gated(), &request, &caller->outcome);
    return NULL;
}

static inline void caller_start(struct caller *caller, weir_dependency *dependency,
                                struct gate *gate)
{
    caller->dependency = dependency;
    caller->gate = gate;
    cr_assert_eq(pthread_create(&caller->thread, NULL, caller_main, caller), 0);
}

static inline weir_status caller_join(struct caller *caller)
{
    (void)pthread_join(caller->thread, NULL);
    return caller->status;
}

#endif
