/*
 * A task whose command has a fallback that notes what it saw. Header only, like pool_world.h.
 */
#ifndef WEIR_TESTS_PLEA_H
#define WEIR_TESTS_PLEA_H

#include "support/pool_world.h"

/* A task, and what its fallback is to do and has seen. */
struct plea {
    struct task task; /* first: a pointer to it is one to the plea */
    int fallback_code;
    struct gate *fallback_gate; /* where the fallback is held; NULL: nowhere */
    _Atomic int fallbacks;
    pthread_t thread;
    weir_outcome primary;
    bool has_primary;
    uint64_t left_ns;
    int abandoned;
    void *worker;
    weir_status watch;
    int drops; /* of the argument, when it was asked */
    char label[32];
};

enum { ANSWER = 1000 }; /* added to the task's number by the fallback */

static inline int plea_fallback(weir_call *call, const void *argument, void *result)
{
    struct plea *const plea = (struct plea *)(void *)task_of(argument);
    const struct value value = {.task = &plea->task, .number = plea->task.number + ANSWER};
    const char *const label = weir_context_get(weir_context_current(), "user");

    (void)atomic_fetch_add(&plea->fallbacks, 1);
    plea->thread = pthread_self();
    plea->has_primary = weir_call_primary(call) != NULL;
    if (plea->has_primary) {
        plea->primary = *weir_call_primary(call);
    }
    plea->left_ns = weir_call_left_ns(call);
    plea->abandoned = weir_call_abandoned(call);
    plea->worker = weir_call_worker(call);
    plea->watch = weir_call_watch_fd(call, -1);
    plea->drops = atomic_load(&plea->task.argument_drops);
    (void)snprintf(plea->label, sizeof(plea->label), "%s", label != NULL ? label : "");
    if (plea->fallback_gate != NULL) {
        gate_pass(plea->fallback_gate);
    }
    memcpy(result, &value, sizeof(value));
    return plea->fallback_code;
}

static inline const weir_command *plea_command(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command),
                                         .name = "plea",
                                         .isolations = WEIR_INLINE | WEIR_THREAD,
                                         .argument_max = sizeof(struct plea *),
                                         .result_max = sizeof(struct value),
                                         .run = task_run,
                                         .classify = obey_classify,
                                         .argument_drop = task_argument_drop,
                                         .result_drop = task_value_drop,
                                         .fallback = plea_fallback};

    return &command;
}

/* On this thread. */
static inline weir_status plea_execute(struct world *world, struct plea *plea, struct value *value,
                                       weir_outcome *ret_outcome)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &plea,
                                  .argument_size = sizeof(struct plea *), .result = value};

    return weir_execute(world->dependency, plea_command(), &request, ret_outcome);
}

static inline weir_status plea_submit(struct world *world, weir_queue *queue, struct plea *plea,
                                      uint64_t within_ns, weir_ticket *ret_ticket)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &plea,
                                  .argument_size = sizeof(struct plea *), .within_ns = within_ns};

    return weir_submit(world->dependency, plea_command(), &request, queue, plea, ret_ticket, NULL);
}

/* A pool, or inline. */
static inline void plea_open(struct world *world, bool pooled, const char *settings)
{
    if (pooled) {
        pool_open(world, settings);
    } else {
        world_open(world, settings);
    }
}

static inline void plea_close(struct world *world, bool pooled)
{
    if (pooled) {
        pool_close(world);
    } else {
        world_close(world);
    }
}

#endif
