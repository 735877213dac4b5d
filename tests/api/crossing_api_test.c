/*
 * The context and the carriers' values of a call, wherever its code runs: on workers, in fallbacks,
 * for completions and permits; and that nothing of it is left behind.
 */
#define _GNU_SOURCE
#include "support/world.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#define ONE_THREAD "isolation: thread, threads: 1, timeout: off"

/* ---- work: the argument is a pointer to what is to be done and what was seen ---- */

struct work {
    int code;                                         /* what run returns */
    int answer;                                       /* what fallback returns */
    bool leaks_scope;                                 /* run leaves a scope open */
    struct gate *hold;                                /* run waits here; may be NULL */
    const weir_context *in_run, *in_fallback, *again; /* what was current */
    const char *label_in_run;                         /* "who", of what was current */
    const char *label_in_fallback;
    int carried_in_run, carried_in_fallback; /* the carrier's variable */
    uint64_t left_ns;
    pthread_t runner, answerer;
};

static _Thread_local int variable; /* what the carrier carries */

static struct work *work_of(const void *argument)
{
    struct work *work;

    memcpy(&work, argument, sizeof(struct work *));
    return work;
}

static int run_work(weir_call *call, const void *argument, void *result)
{
    struct work *const work = work_of(argument);
    weir_scope scope;

    (void)result;
    work->runner = pthread_self();
    work->in_run = weir_context_current();
    work->label_in_run = weir_context_get(work->in_run, "who");
    work->carried_in_run = variable;
    work->left_ns = weir_call_left_ns(call);
    if (work->hold != NULL) {
        gate_pass(work->hold);
    }
    work->again = weir_context_current();
    if (work->leaks_scope) {
        weir_scope_open(&scope, NULL);
        variable = -1;
    }
    return work->code;
}

static int answer_work(weir_call *call, const void *argument, void *result)
{
    struct work *const work = work_of(argument);

    (void)call;
    (void)result;
    work->answerer = pthread_self();
    work->in_fallback = weir_context_current();
    work->label_in_fallback = weir_context_get(work->in_fallback, "who");
    work->carried_in_fallback = variable;
    return work->answer;
}

static weir_verdict classify_work(int code)
{
    return (weir_verdict)code;
}

static const weir_command *working(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command),
                                         .name = "working",
                                         .isolations = WEIR_INLINE | WEIR_THREAD,
                                         .argument_max = sizeof(struct work *),
                                         .run = run_work,
                                         .classify = classify_work};

    return &command;
}

static const weir_command *answering(void)
{
    static const weir_command command = {WEIR_SIZED(weir_command),
                                         .name = "answering",
                                         .isolations = WEIR_INLINE | WEIR_THREAD,
                                         .argument_max = sizeof(struct work *),
                                         .run = run_work,
                                         .classify = classify_work,
                                         .fallback = answer_work};

    return &command;
}

static weir_context *make_context(const char *who, uint64_t within_ns)
{
    const weir_label label = {.name = "who", .value = who};
    weir_context *context = NULL;

    cr_assert_eq(weir_context_derive(NULL, &label, 1, within_ns, &context), WEIR_OK);
    return context;
}

static bool is_trace_of(const weir_outcome *outcome, const weir_context *context)
{
    char text[33];

    for (size_t i = 0; i < sizeof(outcome->trace_id); ++i) {
        (void)snprintf(text + 2 * i, 3, "%02x", outcome->trace_id[i]);
    }
    return strcmp(text, weir_context_get(context, WEIR_LABEL_TRACE_ID)) == 0;
}

static bool has_no_trace(const weir_outcome *outcome)
{
    static const uint8_t none[16];

    return memcmp(outcome->trace_id, none, sizeof(none)) == 0;
}

/* ---- calls ---- */

static weir_status execute(struct world *world, const weir_command *command, struct work *work,
                           const weir_context *context, weir_outcome *ret_outcome)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &work,
                                  .argument_size = sizeof(struct work *), .context = context};

    return weir_execute(world->dependency, command, &request, ret_outcome);
}

static weir_status submit(struct world *world, const weir_command *command, struct work *work,
                          const weir_context *context, weir_queue *queue, weir_ticket *ret_ticket)
{
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &work,
                                  .argument_size = sizeof(struct work *), .context = context};

    return weir_submit(world->dependency, command, &request, queue, work, ret_ticket, NULL);
}

static weir_queue *make_queue(struct world *world)
{
    weir_queue *queue = NULL;

    cr_assert_eq(weir_queue_create(world->runtime, &queue, NULL), WEIR_OK);
    return queue;
}

static weir_completion take_one(weir_queue *queue)
{
    weir_completion completion;

    memset(&completion, 0, sizeof(completion));
    cr_assert_eq(weir_queue_take(queue, &completion, 1, UINT64_MAX), 1U);
    return completion;
}

static void end_one(weir_completion *completion)
{
    cr_expect_eq(weir_completion_end(completion, NULL), WEIR_OK);
}

static void close_all(struct world *world, weir_queue *queue)
{
    cr_assert_eq(weir_runtime_stop(world->runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(weir_queue_destroy(queue), WEIR_OK);
    world_close(world);
}

/* ---- the context in run and fallback ---- */

Test(crossing_api, run_on_a_worker_has_the_callers_current_context_from_beginning_to_end)
{
    struct world world;
    struct work work = {.code = WEIR_V_OK};
    weir_scope scope;

    world_open(&world, ONE_THREAD);
    weir_context *const context = make_context("a", 0);
    weir_scope_open(&scope, context);
    cr_expect_eq(execute(&world, working(), &work, NULL, NULL), WEIR_OK);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    cr_expect_eq(pthread_equal(work.runner, pthread_self()), 0);
    cr_expect_eq(work.in_run, context);
    cr_expect_eq(work.again, context);
    cr_expect_str_eq(work.label_in_run, "a");
    weir_context_release(context);
    close_all(&world, NULL);
}

Test(crossing_api, a_context_given_with_the_request_is_taken_instead_of_the_current_one)
{
    static const char *const isolations[] = {ONE_THREAD, "isolation: inline"};

    for (size_t i = 0; i < 2; ++i) {
        struct world world;
        struct work work = {.code = WEIR_V_FAILED, .answer = 0};
        weir_scope scope;

        world_open(&world, isolations[i]);
        weir_context *const current = make_context("current", 0);
        weir_context *const given = make_context("given", 0);
        weir_scope_open(&scope, current);
        cr_expect_eq(execute(&world, answering(), &work, given, NULL), WEIR_OK);
        cr_expect_eq(weir_context_current(), current);
        cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
        cr_expect_eq(work.in_run, given);
        cr_expect_eq(work.in_fallback, given);
        weir_context_release(current);
        weir_context_release(given);
        close_all(&world, NULL);
    }
}

Test(crossing_api, a_fallback_in_execute_has_the_calls_context_after_every_refusal_and_failure)
{
    static const char *const settings[] = {ONE_THREAD,
                                           "isolation: inline",
                                           "isolation: thread, mode: off",
                                           "isolation: thread, rate_limit.rate: 0/s",
                                           "isolation: inline, max_concurrent: 0",
                                           "isolation: thread, timeout: 0ms"};

    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); ++i) {
        struct world world;
        struct work work = {.code = WEIR_V_FAILED, .answer = 0};

        world_open(&world, settings[i]);
        weir_context *const context = make_context("a", 0);
        cr_expect_eq(execute(&world, answering(), &work, context, NULL), WEIR_OK, "%zu", i);
        cr_expect_neq(pthread_equal(work.answerer, pthread_self()), 0);
        cr_expect_eq(work.in_fallback, context, "%zu", i);
        cr_expect_null(weir_context_current());
        weir_context_release(context);
        close_all(&world, NULL);
    }
}

struct executor {
    pthread_t thread;
    struct world *world;
    struct work *work;
    const weir_context *context;
    weir_status status;
    weir_outcome outcome;
    const weir_context *afterwards;
};

static void *executor_main(void *user)
{
    struct executor *const executor = user;
    weir_scope scope;

    weir_scope_open(&scope, executor->context);
    executor->status =
        execute(executor->world, answering(), executor->work, NULL, &executor->outcome);
    executor->afterwards = weir_context_current();
    (void)weir_scope_close(&scope);
    return NULL;
}

Test(crossing_api, run_keeps_the_context_while_the_fallback_answers_its_timeout_with_it)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.code = WEIR_V_OK, .hold = &gate};

    world_open(&world, "isolation: thread, threads: 1, timeout: 10ms");
    weir_context *const context = make_context("a", 0);
    struct executor executor = {.world = &world, .work = &work, .context = context};
    cr_assert_eq(pthread_create(&executor.thread, NULL, executor_main, &executor), 0);
    gate_await(&gate, 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    world_pass(&world, 10 * MS);
    (void)pthread_join(executor.thread, NULL);
    cr_expect_eq(executor.status, WEIR_OK);
    cr_expect_eq(executor.outcome.kind, WEIR_TIMED_OUT);
    cr_expect_eq(executor.afterwards, context);
    cr_expect_eq(work.in_fallback, context);
    weir_context_release(context); /* run holds it on */
    gate_open(&gate);
    cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(work.again, work.in_run);
    close_all(&world, NULL);
}

Test(crossing_api, a_fallback_on_the_taking_thread_has_the_calls_context_and_leaves_the_threads_own)
{
    struct world world;
    struct work work = {.code = WEIR_V_FAILED, .answer = 0};
    weir_scope scope;

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    weir_context *const context = make_context("a", 0);
    weir_context *const own = make_context("own", 0);
    cr_assert_eq(submit(&world, answering(), &work, context, queue, NULL), WEIR_OK);
    weir_context_release(context);
    weir_scope_open(&scope, own);
    weir_completion completion = take_one(queue);
    cr_expect_eq(weir_context_current(), own);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    cr_expect_eq(completion.status, WEIR_OK);
    cr_expect_eq(work.in_fallback, context);
    cr_expect_str_eq(work.label_in_fallback, "a");
    end_one(&completion);
    weir_context_release(own);
    close_all(&world, queue);
}

Test(crossing_api, a_completion_has_its_calls_context_until_it_is_ended)
{
    struct world world;
    struct work work = {.code = WEIR_V_OK};

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    weir_context *const context = make_context("a", 0);
    cr_assert_eq(submit(&world, working(), &work, context, queue, NULL), WEIR_OK);
    weir_context_release(context);
    weir_completion completion = take_one(queue);
    cr_expect_eq(weir_completion_context(&completion), context);
    cr_expect_str_eq(weir_context_get(weir_completion_context(&completion), "who"), "a");
    end_one(&completion);
    cr_expect_null(weir_completion_context(&completion));
    cr_expect_null(weir_completion_context(NULL));
    close_all(&world, queue);
}

Test(crossing_api, a_call_without_context_has_none_anywhere)
{
    struct world world;
    struct work work = {.code = WEIR_V_FAILED, .answer = 0};

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    work.in_run = work.in_fallback = (const weir_context *)&work; /* not NULL */
    cr_assert_eq(submit(&world, answering(), &work, NULL, queue, NULL), WEIR_OK);
    weir_completion completion = take_one(queue);
    cr_expect_null(work.in_run);
    cr_expect_null(work.in_fallback);
    cr_expect_null(weir_completion_context(&completion));
    cr_expect(has_no_trace(&completion.outcome));
    end_one(&completion);
    close_all(&world, queue);
}

/* ---- captured at submit, gone afterwards ---- */

Test(crossing_api, the_context_is_the_one_at_submit_whatever_is_current_when_it_runs)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work before = {.code = WEIR_V_OK, .hold = &gate};
    struct work work = {.code = WEIR_V_OK};
    weir_scope first;
    weir_scope second;

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    weir_context *const then = make_context("then", 0);
    weir_context *const now = make_context("now", 0);
    cr_assert_eq(submit(&world, working(), &before, NULL, queue, NULL), WEIR_OK);
    gate_await(&gate, 1);
    weir_scope_open(&first, then);
    cr_assert_eq(submit(&world, working(), &work, NULL, queue, NULL), WEIR_OK);
    weir_scope_open(&second, now);
    gate_open(&gate);
    for (int i = 0; i < 2; ++i) {
        weir_completion completion = take_one(queue);

        end_one(&completion);
    }
    cr_expect_eq(work.in_run, then);
    cr_expect_null(before.in_run);
    cr_expect_eq(weir_scope_close(&second), WEIR_OK);
    cr_expect_eq(weir_scope_close(&first), WEIR_OK);
    weir_context_release(then);
    weir_context_release(now);
    close_all(&world, queue);
}

Test(crossing_api, the_next_call_on_the_worker_has_no_context_of_the_one_before)
{
    struct world world;
    struct work with = {.code = WEIR_V_OK};
    struct work without = {.code = WEIR_V_OK};

    world_open(&world, ONE_THREAD);
    weir_context *const context = make_context("a", 0);
    for (int i = 0; i < 3; ++i) {
        without.in_run = context;
        cr_expect_eq(execute(&world, working(), &with, context, NULL), WEIR_OK);
        cr_expect_eq(execute(&world, working(), &without, NULL, NULL), WEIR_OK);
        cr_expect_eq(with.in_run, context);
        cr_expect_null(without.in_run);
        cr_expect_neq(pthread_equal(with.runner, without.runner), 0);
    }
    weir_context_release(context);
    close_all(&world, NULL);
}

static const weir_context *at_worker_stop;

static void stop_worker(void *user, void *state)
{
    (void)user;
    (void)state;
    at_worker_stop = weir_context_current();
}

Test(crossing_api, between_calls_a_worker_has_no_context)
{
    const weir_dependency_options options = {WEIR_SIZED(weir_dependency_options),
                                             .settings = ONE_THREAD, .worker_stop = stop_worker};
    struct world world;
    struct work work = {.code = WEIR_V_OK, .leaks_scope = true};

    world_open_empty(&world);
    cr_assert_eq(weir_dependency_create(world.runtime, "pay", &options, &world.dependency, NULL),
                 WEIR_OK);
    weir_context *const context = make_context("a", 0);
    at_worker_stop = context;
    cr_expect_eq(execute(&world, working(), &work, context, NULL), WEIR_OK);
    close_all(&world, NULL);
    cr_expect_null(at_worker_stop);
    weir_context_release(context);
}

Test(crossing_api, a_scope_that_run_leaves_open_is_closed_before_the_next_call_and_the_fallback)
{
    struct world world;
    struct work leaky = {.code = WEIR_V_FAILED, .answer = 0, .leaks_scope = true};
    struct work next = {.code = WEIR_V_OK};

    world_open(&world, ONE_THREAD);
    weir_context *const context = make_context("a", 0);
    weir_context *const other = make_context("b", 0);
    for (int i = 0; i < 100; ++i) {
        next.in_run = other;
        cr_expect_eq(execute(&world, answering(), &leaky, context, NULL), WEIR_OK);
        cr_expect_eq(leaky.in_run, context);
        cr_expect_eq(leaky.in_fallback, context);
        cr_expect_eq(execute(&world, working(), &next, i % 2 == 0 ? NULL : other, NULL), WEIR_OK);
        cr_expect_eq(next.in_run, i % 2 == 0 ? NULL : other);
    }
    weir_context_release(context);
    weir_context_release(other);
    close_all(&world, NULL);
}

Test(crossing_api, after_an_inline_call_with_a_context_of_its_own_the_caller_has_back_what_it_had)
{
    static const int codes[] = {WEIR_V_OK, WEIR_V_FAILED};
    struct world world;
    weir_scope scope;

    world_open(&world, NULL);
    weir_context *const own = make_context("own", 0);
    weir_context *const given = make_context("given", 0);
    weir_scope_open(&scope, own);
    for (size_t i = 0; i < 4; ++i) {
        struct work work = {.code = codes[i % 2], .answer = 1, .leaks_scope = i >= 2};

        (void)execute(&world, answering(), &work, given, NULL);
        cr_expect_eq(work.in_run, given);
        cr_expect_eq(weir_context_current(), own);
    }
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    cr_expect_null(weir_context_current());
    weir_context_release(own);
    weir_context_release(given);
    world_close(&world);
}

Test(crossing_api, after_an_inline_call_in_the_current_context_the_caller_has_back_what_it_had)
{
    struct world world;
    struct work work = {.code = WEIR_V_OK, .leaks_scope = true};
    weir_scope scope;

    world_open(&world, NULL);
    weir_context *const own = make_context("own", 0);
    weir_scope_open(&scope, own);
    cr_expect_eq(execute(&world, working(), &work, NULL, NULL), WEIR_OK);
    cr_expect_eq(work.in_run, own);
    cr_expect_eq(weir_context_current(), own);
    (void)weir_scope_close(&scope);
    cr_expect_null(weir_context_current());
    weir_context_release(own);
    world_close(&world);
}

/* ---- the trace id ---- */

static void check_trace(const char *settings, int code, weir_status kind)
{
    struct world world;
    struct work work = {.code = code};
    weir_outcome outcome;

    world_open(&world, settings);
    weir_context *const context = make_context("a", 0);
    memset(&outcome, 0, sizeof(outcome));
    (void)execute(&world, working(), &work, context, &outcome);
    cr_expect_eq(outcome.kind, kind, "%s: %d", settings, (int)outcome.kind);
    cr_expect(is_trace_of(&outcome, context), "%s", settings);
    (void)execute(&world, working(), &work, NULL, &outcome);
    cr_expect(has_no_trace(&outcome), "%s", settings);
    weir_context_release(context);
    close_all(&world, NULL);
}

Test(crossing_api, the_trace_id_is_in_every_outcome_that_run_decides)
{
    static const char *const isolations[] = {"isolation: inline", "isolation: thread"};

    for (size_t i = 0; i < 2; ++i) {
        check_trace(isolations[i], WEIR_V_OK, WEIR_OK);
        check_trace(isolations[i], WEIR_V_FAILED, WEIR_FAILED);
        check_trace(isolations[i], WEIR_V_IGNORED, WEIR_IGNORED);
        check_trace(isolations[i], WEIR_V_RETRYABLE, WEIR_FAILED);
        check_trace(isolations[i], WEIR_V_TIMED_OUT, WEIR_TIMED_OUT);
        check_trace(isolations[i], WEIR_V_CANCELLED, WEIR_CANCELLED);
    }
}

Test(crossing_api, the_trace_id_is_in_the_outcome_of_every_refusal)
{
    check_trace("mode: off", 0, WEIR_OFF);
    check_trace("timeout: 0ms", 0, WEIR_DEADLINE);
    check_trace("max_concurrent: 0", 0, WEIR_BULKHEAD);
    check_trace("rate_limit.rate: 0/s", 0, WEIR_RATE);
    check_trace("isolation: thread, mode: off", 0, WEIR_OFF);
    check_trace("isolation: thread, timeout: 0ms", 0, WEIR_DEADLINE);
    check_trace("isolation: thread, rate_limit.rate: 0/s", 0, WEIR_RATE);
}

Test(crossing_api, the_trace_id_is_in_the_outcomes_of_breaker_cost_and_shutdown)
{
    struct world world;
    struct work work = {.code = WEIR_V_FAILED};
    weir_outcome outcome;

    world_open(&world, "isolation: thread, breaker.consecutive_failures: 1");
    weir_context *const context = make_context("a", 0);
    (void)execute(&world, working(), &work, context, NULL);
    cr_expect_eq(execute(&world, working(), &work, context, &outcome), WEIR_OPEN);
    cr_expect(is_trace_of(&outcome, context));
    cr_assert_eq(world_set(&world, "breaker", "off"), WEIR_OK);
    cr_assert_eq(world_set(&world, "rate_limit.burst", "1"), WEIR_OK);
    struct work *argument = &work;
    const weir_request dear = {WEIR_SIZED(weir_request), .argument = &argument,
                               .argument_size = sizeof(struct work *), .cost = 2,
                               .context = context};
    cr_expect_eq(weir_execute(world.dependency, working(), &dear, &outcome), WEIR_COST);
    cr_expect(is_trace_of(&outcome, context));
    cr_assert_eq(weir_runtime_stop(world.runtime, 0, NULL), WEIR_OK);
    cr_expect_eq(execute(&world, working(), &work, context, &outcome), WEIR_SHUTDOWN);
    cr_expect(is_trace_of(&outcome, context));
    weir_context_release(context);
    close_all(&world, NULL);
}

/* Submitted calls that are given up: one that waits, one that runs; by cancel, deadline, stop. */
static void check_trace_of_left(void (*leave)(struct world *world, weir_queue *queue,
                                              const weir_ticket tickets[2]),
                                weir_status running, weir_status waiting)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work works[2] = {{.hold = &gate}, {.code = WEIR_V_OK}};
    weir_context *contexts[2];
    weir_ticket tickets[2];

    world_open(&world, "isolation: thread, threads: 1, timeout: 10ms");
    weir_queue *const queue = make_queue(&world);
    for (size_t i = 0; i < 2; ++i) {
        contexts[i] = make_context("a", 0);
        cr_assert_eq(submit(&world, working(), &works[i], contexts[i], queue, &tickets[i]),
                     WEIR_OK);
    }
    gate_await(&gate, 1);
    leave(&world, queue, tickets);
    for (int i = 0; i < 2; ++i) {
        weir_completion completion = take_one(queue);
        const size_t which = completion.user == &works[0] ? 0 : 1;

        cr_expect_eq(completion.outcome.kind, which == 0 ? running : waiting);
        cr_expect(is_trace_of(&completion.outcome, contexts[which]));
        cr_expect_eq(weir_completion_context(&completion), contexts[which]);
        end_one(&completion);
    }
    gate_open(&gate);
    weir_context_release(contexts[0]);
    weir_context_release(contexts[1]);
    close_all(&world, queue);
}

static void leave_by_cancel(struct world *world, weir_queue *queue, const weir_ticket tickets[2])
{
    (void)world;
    cr_expect_eq(weir_ticket_cancel(queue, tickets[0]), WEIR_OK);
    cr_expect_eq(weir_ticket_cancel(queue, tickets[1]), WEIR_OK);
}

static void leave_by_deadline(struct world *world, weir_queue *queue, const weir_ticket tickets[2])
{
    (void)queue;
    (void)tickets;
    world_pass(world, 10 * MS);
}

static void leave_by_stop(struct world *world, weir_queue *queue, const weir_ticket tickets[2])
{
    (void)queue;
    (void)tickets;
    cr_expect_eq(weir_runtime_stop(world->runtime, 0, NULL), WEIR_E_BUSY);
}

Test(crossing_api, trace_id_and_context_are_in_the_completions_of_cancelled_calls)
{
    check_trace_of_left(leave_by_cancel, WEIR_CANCELLED, WEIR_CANCELLED);
}

Test(crossing_api, trace_id_and_context_are_in_the_completions_of_calls_past_their_deadline)
{
    check_trace_of_left(leave_by_deadline, WEIR_TIMED_OUT, WEIR_DEADLINE);
}

Test(crossing_api, trace_id_and_context_are_in_the_completions_of_calls_that_were_stopped)
{
    check_trace_of_left(leave_by_stop, WEIR_CANCELLED, WEIR_SHUTDOWN);
}

/* ---- the deadline ---- */

#define HOUR (3600 * SECOND)

Test(crossing_api, the_contexts_deadline_bounds_the_call_if_it_is_the_earliest)
{
    struct world world;
    struct work work = {.code = WEIR_V_OK};

    world_open(&world, "isolation: thread, timeout: 2h");
    weir_context *const context = make_context("a", HOUR);
    cr_expect_eq(execute(&world, working(), &work, context, NULL), WEIR_OK);
    cr_expect_leq(work.left_ns, HOUR);
    cr_expect_gt(work.left_ns, HOUR / 2);
    cr_assert_eq(world_set(&world, "timeout", "1s"), WEIR_OK);
    cr_expect_eq(execute(&world, working(), &work, context, NULL), WEIR_OK);
    cr_expect_eq(work.left_ns, SECOND);
    weir_context_release(context);
    close_all(&world, NULL);
}

Test(crossing_api, a_context_whose_time_is_over_refuses_calls_and_permits)
{
    static const char *const isolations[] = {"isolation: inline", "isolation: thread"};

    for (size_t i = 0; i < 2; ++i) {
        struct world world;
        struct work work = {.code = WEIR_V_OK};

        world_open(&world, isolations[i]);
        weir_context *const context = make_context("a", 1);
        cr_expect_eq(execute(&world, working(), &work, context, NULL), WEIR_DEADLINE);
        cr_expect_null(work.in_run);
        weir_context_release(context);
        close_all(&world, NULL);
    }
}

Test(crossing_api, a_call_is_left_when_its_contexts_time_is_over)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work work = {.code = WEIR_V_OK, .hold = &gate, .answer = 1};

    world_open(&world, ONE_THREAD);
    weir_context *const context = make_context("a", HOUR);
    struct executor executor = {.world = &world, .work = &work, .context = context};
    cr_assert_eq(pthread_create(&executor.thread, NULL, executor_main, &executor), 0);
    gate_await(&gate, 1);
    weir_manual_clock_await_waiters(world.clock, 1);
    world_pass(&world, HOUR);
    (void)pthread_join(executor.thread, NULL);
    cr_expect_eq(executor.status, WEIR_TIMED_OUT);
    cr_expect_null(work.in_fallback); /* no time is left for one */
    gate_open(&gate);
    weir_context_release(context);
    close_all(&world, NULL);
}

/* ---- permits ---- */

static weir_permit begin_with(struct world *world, const weir_context *context)
{
    const weir_request request = {WEIR_SIZED(weir_request), .context = context};
    weir_permit permit;

    cr_assert_eq(weir_begin(world->dependency, &request, &permit, NULL), WEIR_OK);
    return permit;
}

Test(crossing_api, a_permit_keeps_its_context_until_it_is_ended)
{
    struct world world;
    weir_scope scope;

    world_open(&world, "max_concurrent: 2, timeout: 2h");
    weir_context *const context = make_context("a", HOUR);
    weir_permit given = begin_with(&world, context);
    weir_scope_open(&scope, context);
    weir_permit current = begin_one(world.dependency);
    cr_expect_eq(weir_scope_close(&scope), WEIR_OK);
    weir_context_release(context); /* the permits hold it */
    cr_expect_eq(weir_permit_context(&given), context);
    cr_expect_str_eq(weir_context_get(weir_permit_context(&current), "who"), "a");
    cr_expect_leq(weir_permit_left_ns(&given), HOUR);
    cr_expect_eq(weir_end(&given, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_str_eq(weir_context_get(weir_permit_context(&current), "who"), "a");
    cr_expect_null(weir_permit_context(&given));
    cr_expect_null(weir_permit_context(NULL));
    cr_expect_eq(weir_end(&current, WEIR_V_OK, 0), WEIR_OK);
    weir_permit none = begin_one(world.dependency);
    cr_expect_null(weir_permit_context(&none)); /* nor from the slot's last user */
    cr_expect_eq(weir_end(&none, WEIR_V_OK, 0), WEIR_OK);
    world_close(&world);
}

Test(crossing_api, a_permit_that_its_lease_reclaims_gives_its_context_back)
{
    struct world world;

    world_open(&world, "max_concurrent: 1, permit_lease: 1s, timeout: off");
    weir_context *const context = make_context("a", 0);
    weir_permit lost = begin_with(&world, context);
    weir_context_release(context); /* the lease's end frees it: seen by the leak checker */
    world_pass(&world, SECOND);
    weir_permit next = begin_one(world.dependency);
    cr_expect_null(weir_permit_context(&lost));
    cr_expect_null(weir_permit_context(&next));
    cr_expect_eq(weir_end(&lost, WEIR_V_OK, 0), WEIR_E_STALE);
    cr_expect_eq(weir_end(&next, WEIR_V_OK, 0), WEIR_OK);
    cr_expect_eq(world_count(&world, WEIR_COUNT_CALLS_LOST), 1U);
    world_close(&world);
}

/* ---- carriers ---- */

static struct {
    _Atomic int captured, entered, left, released;
    _Atomic int open;     /* captured and not released */
    _Atomic int unpaired; /* leave with another value than enter gave */
    _Atomic pthread_t captured_on;
} carried;

/* The value is a counted copy of the thread's variable. */
static void *capture_variable(void *user)
{
    int *value = NULL;

    (void)user;
    (void)atomic_fetch_add(&carried.captured, 1);
    atomic_store(&carried.captured_on, pthread_self());
    if (variable != 0) {
        value = malloc(sizeof(*value));
        if (value != NULL) {
            *value = variable;
            (void)atomic_fetch_add(&carried.open, 1);
        }
    }
    return value;
}

static void *enter_variable(void *user, void *captured)
{
    int *const before = malloc(sizeof(*before));

    (void)user;
    (void)atomic_fetch_add(&carried.entered, 1);
    if (before != NULL) {
        *before = variable;
    }
    variable = captured != NULL ? *(const int *)captured : 0;
    return before;
}

static void leave_variable(void *user, void *saved)
{
    (void)user;
    (void)atomic_fetch_add(&carried.left, 1);
    if (saved != NULL) {
        variable = *(const int *)saved;
    } else {
        (void)atomic_fetch_add(&carried.unpaired, 1);
    }
    free(saved);
}

static void release_variable(void *user, void *captured)
{
    (void)user;
    (void)atomic_fetch_add(&carried.released, 1);
    (void)atomic_fetch_sub(&carried.open, 1);
    free(captured);
}

static weir_carrier_slot *add_carrier(void)
{
    const weir_carrier carrier = {WEIR_SIZED(weir_carrier),   .name = "variable",
                                  .policy = WEIR_CARRY_CLEAR, .capture = capture_variable,
                                  .enter = enter_variable,    .leave = leave_variable,
                                  .release = release_variable};
    weir_carrier_slot *slot = NULL;

    atomic_store(&carried.captured, 0);
    atomic_store(&carried.entered, 0);
    atomic_store(&carried.left, 0);
    atomic_store(&carried.released, 0);
    atomic_store(&carried.open, 0);
    atomic_store(&carried.unpaired, 0);
    variable = 0;
    cr_assert_eq(weir_carrier_add(&carrier, &slot), WEIR_OK);
    return slot;
}

/* Everything has been put back: no call holds a value. */
static void remove_carrier(weir_carrier_slot *slot)
{
    cr_expect_eq(weir_carrier_remove(slot), WEIR_OK);
    cr_expect_eq(atomic_load(&carried.open), 0);
    cr_expect_eq(atomic_load(&carried.unpaired), 0);
    cr_expect_eq(atomic_load(&carried.entered), atomic_load(&carried.left));
    variable = 0;
}

static void expect_carried(int captured, int entered, int released)
{
    cr_expect_eq(atomic_load(&carried.captured), captured, "%d", carried.captured);
    cr_expect_eq(atomic_load(&carried.entered), entered, "%d", carried.entered);
    cr_expect_eq(atomic_load(&carried.left), entered, "%d", carried.left);
    cr_expect_eq(atomic_load(&carried.released), released, "%d", carried.released);
}

Test(crossing_api, a_carriers_value_is_captured_here_entered_around_run_and_released_once)
{
    struct world world;
    struct work work = {.code = WEIR_V_OK};
    weir_carrier_slot *const slot = add_carrier();

    world_open(&world, ONE_THREAD);
    variable = 7;
    cr_expect_eq(execute(&world, working(), &work, NULL, NULL), WEIR_OK);
    cr_assert_eq(weir_runtime_stop(world.runtime, UINT64_MAX, NULL), WEIR_OK);
    cr_expect_eq(variable, 7);
    cr_expect_eq(work.carried_in_run, 7);
    cr_expect_neq(pthread_equal(atomic_load(&carried.captured_on), pthread_self()), 0);
    expect_carried(1, 1, 1);
    close_all(&world, NULL);
    remove_carrier(slot);
}

Test(crossing_api, a_carriers_value_is_the_one_at_submit)
{
    struct gate gate = GATE_INIT;
    struct world world;
    struct work before = {.code = WEIR_V_OK, .hold = &gate};
    struct work work = {.code = WEIR_V_OK};
    weir_carrier_slot *const slot = add_carrier();

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    cr_assert_eq(submit(&world, working(), &before, NULL, queue, NULL), WEIR_OK);
    gate_await(&gate, 1);
    variable = 7;
    cr_assert_eq(submit(&world, working(), &work, NULL, queue, NULL), WEIR_OK);
    variable = 8;
    gate_open(&gate);
    for (int i = 0; i < 2; ++i) {
        weir_completion completion = take_one(queue);

        end_one(&completion);
    }
    cr_expect_eq(before.carried_in_run, 0);
    cr_expect_eq(work.carried_in_run, 7);
    close_all(&world, queue);
    expect_carried(2, 2, 1);
    remove_carrier(slot);
}

Test(crossing_api, a_carriers_value_is_entered_again_around_a_fallback_on_the_taking_thread)
{
    struct world world;
    struct work work = {.code = WEIR_V_FAILED, .answer = 0};
    weir_carrier_slot *const slot = add_carrier();

    world_open(&world, ONE_THREAD);
    weir_queue *const queue = make_queue(&world);
    variable = 7;
    cr_assert_eq(submit(&world, answering(), &work, NULL, queue, NULL), WEIR_OK);
    variable = 8;
    weir_completion completion = take_one(queue);
    cr_expect_eq(variable, 8);
    cr_expect_eq(work.carried_in_run, 7);
    cr_expect_eq(work.carried_in_fallback, 7);
    expect_carried(1, 2, 0);
    end_one(&completion);
    close_all(&world, queue);
    expect_carried(1, 2, 1);
    remove_carrier(slot);
}

Test(crossing_api, a_fallback_in_execute_finds_the_threads_own_value_without_entering)
{
    struct world world;
    struct work work = {.code = WEIR_V_FAILED, .answer = 0};
    weir_carrier_slot *const slot = add_carrier();

    world_open(&world, ONE_THREAD);
    variable = 7;
    cr_expect_eq(execute(&world, answering(), &work, NULL, NULL), WEIR_OK);
    cr_expect_eq(work.carried_in_fallback, 7);
    close_all(&world, NULL);
    expect_carried(1, 1, 1);
    remove_carrier(slot);
}

Test(crossing_api, a_carriers_value_is_gone_for_the_next_call_on_the_worker_even_if_run_changed_it)
{
    struct world world;
    struct work first = {.code = WEIR_V_OK, .leaks_scope = true};
    struct work next = {.code = WEIR_V_OK, .carried_in_run = 1};
    weir_carrier_slot *const slot = add_carrier();

    world_open(&world, ONE_THREAD);
    variable = 7;
    cr_expect_eq(execute(&world, working(), &first, NULL, NULL), WEIR_OK);
    variable = 0;
    cr_expect_eq(execute(&world, working(), &next, NULL, NULL), WEIR_OK);
    cr_expect_eq(first.carried_in_run, 7);
    cr_expect_eq(next.carried_in_run, 0);
    close_all(&world, NULL);
    remove_carrier(slot);
}

Test(crossing_api, an_inline_call_moves_no_carriers_value)
{
    struct world world;
    struct work work = {.code = WEIR_V_OK};
    weir_carrier_slot *const slot = add_carrier();

    world_open(&world, NULL);
    variable = 7;
    cr_expect_eq(execute(&world, working(), &work, NULL, NULL), WEIR_OK);
    cr_expect_eq(work.carried_in_run, 7);
    world_close(&world);
    expect_carried(0, 0, 0);
    remove_carrier(slot);
}

Test(crossing_api, a_refused_call_leaves_no_carriers_value_behind)
{
    struct world world;
    struct work work = {.code = WEIR_V_OK};
    weir_carrier_slot *const slot = add_carrier();

    world_open(&world, "isolation: thread, rate_limit.rate: 0/s");
    weir_queue *const queue = make_queue(&world);
    variable = 7;
    cr_expect_eq(submit(&world, working(), &work, NULL, queue, NULL), WEIR_RATE);
    cr_expect_eq(execute(&world, working(), &work, NULL, NULL), WEIR_RATE);
    close_all(&world, queue);
    cr_expect_eq(atomic_load(&carried.captured), atomic_load(&carried.released));
    cr_expect_eq(atomic_load(&carried.entered), 0);
    remove_carrier(slot);
}

/* Both captured, only the one that ran entered, both released. */
static void check_carrier_of_left(void (*leave)(struct world *world, weir_queue *queue,
                                                const weir_ticket tickets[2]))
{
    weir_carrier_slot *const slot = add_carrier();
    struct gate gate = GATE_INIT;
    struct world world;
    struct work works[2] = {{.code = WEIR_V_OK, .hold = &gate}, {.code = WEIR_V_OK}};
    weir_ticket tickets[2];

    world_open(&world, "isolation: thread, threads: 1, timeout: 10ms");
    weir_queue *const queue = make_queue(&world);
    variable = 7;
    for (size_t i = 0; i < 2; ++i) {
        cr_assert_eq(submit(&world, working(), &works[i], NULL, queue, &tickets[i]), WEIR_OK);
    }
    gate_await(&gate, 1);
    leave(&world, queue, tickets);
    for (int i = 0; i < 2; ++i) {
        weir_completion completion = take_one(queue);

        end_one(&completion);
    }
    cr_expect_eq(weir_carrier_remove(slot), WEIR_E_BUSY); /* the work uses its value still */
    cr_expect_eq(atomic_load(&carried.released), 1);
    gate_open(&gate);
    close_all(&world, queue);
    expect_carried(2, 1, 2);
    cr_expect_eq(works[0].carried_in_run, 7);
    remove_carrier(slot);
}

Test(crossing_api, the_value_of_a_cancelled_call_is_released_when_its_work_is_over)
{
    check_carrier_of_left(leave_by_cancel);
}

Test(crossing_api, the_value_of_a_call_past_its_deadline_is_released_when_its_work_is_over)
{
    check_carrier_of_left(leave_by_deadline);
}

Test(crossing_api, the_value_of_a_stopped_call_is_released_when_its_work_is_over)
{
    check_carrier_of_left(leave_by_stop);
}

/* ---- nothing of one call is ever seen by another ---- */

enum { POISONERS = 4, POISON_CALLS = 2500 };

/* The argument is the call's number: 0 for a call without context and value. */
static _Atomic int poisoned, poison_runs;

static void look_for_poison(int number)
{
    const weir_context *const context = weir_context_current();
    const char *const who = weir_context_get(context, "who");
    char own[16];

    (void)snprintf(own, sizeof(own), "%d", number);
    if (number == 0 ? context != NULL : who == NULL || strcmp(who, own) != 0) {
        (void)atomic_fetch_add(&poisoned, 1);
    }
    if (variable != number) {
        (void)atomic_fetch_add(&poisoned, 1);
    }
}

/* Leaves behind whatever it can. */
static int run_poison(weir_call *call, const void *argument, void *result)
{
    weir_scope scope;
    int number;

    (void)call;
    (void)result;
    memcpy(&number, argument, sizeof(number));
    look_for_poison(number);
    (void)atomic_fetch_add(&poison_runs, 1);
    if (number % 3 == 0) {
        weir_scope_open(&scope, weir_context_current());
    }
    variable = -number;
    return number % 2;
}

static int answer_poison(weir_call *call, const void *argument, void *result)
{
    int number;

    (void)call;
    (void)result;
    memcpy(&number, argument, sizeof(number));
    look_for_poison(number);
    return 0;
}

struct poisoner {
    pthread_t thread;
    weir_dependency *dependency;
    weir_queue *queue;
    int first;
    int bad; /* calls that did not come out well */
};

/* Executed and submitted in turns; a third without anything to carry. */
static weir_status poison_once(const struct poisoner *poisoner, int number, int turn)
{
    static const weir_command command = {WEIR_SIZED(weir_command),  .name = "poison",
                                         .isolations = WEIR_THREAD, .argument_max = sizeof(int),
                                         .run = run_poison,         .fallback = answer_poison};
    const weir_request request = {WEIR_SIZED(weir_request), .argument = &number,
                                  .argument_size = sizeof(number)};
    weir_completion completion;
    weir_status status;

    variable = number;
    if (turn % 2 == 0) {
        return weir_execute(poisoner->dependency, &command, &request, NULL);
    }
    status =
        weir_submit(poisoner->dependency, &command, &request, poisoner->queue, NULL, NULL, NULL);
    variable = -number - 1;
    if (status == WEIR_OK) {
        (void)weir_queue_take(poisoner->queue, &completion, 1, UINT64_MAX);
        status = completion.status;
        (void)weir_completion_end(&completion, NULL);
    }
    return status;
}

static void *poisoner_main(void *user)
{
    struct poisoner *const poisoner = user;

    for (int i = 0; i < POISON_CALLS; ++i) {
        const int number = i % 3 == 0 ? 0 : poisoner->first + i;
        weir_context *context = NULL;
        weir_scope scope;
        char who[16];
        const weir_label label = {.name = "who", .value = who};

        (void)snprintf(who, sizeof(who), "%d", number);
        if (number != 0) {
            (void)weir_context_derive(NULL, &label, 1, 0, &context);
        }
        weir_scope_open(&scope, context);
        poisoner->bad += poison_once(poisoner, number, i) != WEIR_OK ? 1 : 0;
        poisoner->bad += weir_context_current() != context ? 1 : 0;
        poisoner->bad += weir_scope_close(&scope) != WEIR_OK ? 1 : 0;
        weir_context_release(context);
    }
    variable = 0;
    return NULL;
}

Test(crossing_api, of_ten_thousand_calls_through_one_pool_none_sees_a_value_of_another)
{
    struct world world;
    struct poisoner poisoners[POISONERS];
    weir_carrier_slot *const slot = add_carrier();

    atomic_store(&poisoned, 0);
    atomic_store(&poison_runs, 0);
    world_open(&world, "isolation: thread, threads: 3, queue: 20, timeout: off");
    for (int i = 0; i < POISONERS; ++i) {
        poisoners[i] = (struct poisoner){
            .dependency = world.dependency, .queue = make_queue(&world), .first = 1 + i * 10000};
        cr_assert_eq(pthread_create(&poisoners[i].thread, NULL, poisoner_main, &poisoners[i]), 0);
    }
    for (int i = 0; i < POISONERS; ++i) {
        (void)pthread_join(poisoners[i].thread, NULL);
        cr_expect_eq(poisoners[i].bad, 0);
        cr_expect_eq(weir_queue_destroy(poisoners[i].queue), WEIR_OK);
    }
    close_all(&world, NULL);
    cr_expect_eq(atomic_load(&poison_runs), POISONERS * POISON_CALLS);
    cr_expect_eq(atomic_load(&poisoned), 0);
    cr_expect_eq(atomic_load(&carried.captured), POISONERS * POISON_CALLS);
    remove_carrier(slot);
}
