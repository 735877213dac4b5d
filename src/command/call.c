/*
 * The public shapes execute, begin and end. Everything that decides is in attempt.c; here are the
 * caller's structs, the waiting for places and tokens, and running inline. What becomes of a call
 * in a pool is in pooled.c and job.c; the shape submit is in submit.c.
 */
#include "base/options.h"
#include "base/raw.h"
#include "base/saturate.h"
#include "command/attempt.h"
#include "command/fallback.h"
#include "command/job.h"
#include "command/request.h"
#include "policy/classify.h"
#include "policy/deadline.h"

#include <string.h>

/* A permit's words: the dependency (0: ended), the slot's generation, its index; the rest is 0. */
enum { PERMIT_DEPENDENCY, PERMIT_GENERATION, PERMIT_INDEX };
_Static_assert(sizeof(weir_dependency *) <= sizeof(uint64_t), "a word of a permit holds a pointer");
_Static_assert(sizeof(weir_outcome) == 128, "an outcome has 128 bytes for ever");
_Static_assert(sizeof(weir_error) == 512, "an error has 512 bytes for ever");

static void permit_clear(weir_permit *permit)
{
    for (size_t i = 0; i < sizeof(permit->opaque) / sizeof(permit->opaque[0]); ++i) {
        permit->opaque[i] = 0;
    }
}

static void permit_write(weir_permit *permit, weir_dependency *dependency, struct wr_slot_ref slot)
{
    memcpy(&permit->opaque[PERMIT_DEPENDENCY], &dependency, sizeof(weir_dependency *));
    permit->opaque[PERMIT_GENERATION] = slot.generation;
    permit->opaque[PERMIT_INDEX] = slot.index;
}

/* NULL if it has ended. */
static weir_dependency *permit_read(const weir_permit *permit, struct wr_slot_ref *ret_slot)
{
    weir_dependency *dependency;

    memcpy(&dependency, &permit->opaque[PERMIT_DEPENDENCY], sizeof(weir_dependency *));
    ret_slot->generation = permit->opaque[PERMIT_GENERATION];
    ret_slot->index = (uint32_t)permit->opaque[PERMIT_INDEX];
    return dependency;
}

weir_status weir_begin(weir_dependency *dependency, const weir_request *request,
                       weir_permit *ret_permit, weir_outcome *ret_outcome)
{
    WR_RAW weir_request room;
    const weir_request *read;
    WR_RAW struct wr_attempt attempt;
    WR_RAW struct wr_ask ask;
    weir_status status = WEIR_E_ARGUMENT;

    if (ret_permit != NULL) {
        permit_clear(ret_permit);
    }
    if (dependency == NULL || ret_permit == NULL) {
        return wr_usage(ret_outcome, WEIR_E_ARGUMENT);
    }
    read = wr_request_view(&room, request, &status);
    if (read == NULL) {
        return wr_usage(ret_outcome, status);
    }
    if (!dependency->isolator->begin_end) {
        return wr_usage(ret_outcome, WEIR_E_SHAPE);
    }
    wr_ask_init(&ask, dependency, read, wr_request_context(read));
    ask.leased = true;
    if (wr_attempt_ask(dependency, &ask, &attempt) == WR_ADMITTED) {
        attempt.reason = WEIR_OK;
        permit_write(ret_permit, dependency, attempt.slot);
    }
    if (ret_outcome != NULL) {
        wr_outcome_begin(ret_outcome, &attempt);
    }
    return attempt.reason;
}

weir_status weir_end(weir_permit *permit, weir_verdict verdict, int code)
{
    const weir_status kind = wr_verdict_kind(verdict);
    weir_dependency *dependency;
    struct wr_slot_ref slot;

    (void)code; /* the application's own; decides nothing */
    if (permit == NULL || kind < 0) {
        return WEIR_E_ARGUMENT;
    }
    dependency = permit_read(permit, &slot);
    permit_clear(permit);
    if (dependency == NULL) {
        return WEIR_E_STALE;
    }
    return wr_attempt_settle(dependency, slot, kind, wr_dependency_now(dependency), NULL) ==
                   WR_SETTLED_STALE
               ? WEIR_E_STALE
               : WEIR_OK;
}

/* A live permit's slot; false: it has ended, or (*ret_tracked) is not followed. */
static bool permit_look(const weir_permit *permit, weir_dependency **ret_dependency,
                        uint64_t *ret_deadline_ns, void **ret_context)
{
    struct wr_slot_ref slot;

    *ret_dependency = permit != NULL ? permit_read(permit, &slot) : NULL;
    *ret_context = NULL;
    *ret_deadline_ns = UINT64_MAX;
    if (*ret_dependency == NULL) {
        return false;
    }
    return slot.index == WR_SLOT_NONE ||
           wr_slots_look(&(*ret_dependency)->slots, slot.index, slot.generation, ret_deadline_ns,
                         ret_context);
}

uint64_t weir_permit_left_ns(const weir_permit *permit)
{
    weir_dependency *dependency;
    uint64_t deadline_ns;
    void *context;

    if (!permit_look(permit, &dependency, &deadline_ns, &context)) {
        return 0;
    }
    return deadline_ns == UINT64_MAX ? UINT64_MAX
                                     : wr_deadline_left(deadline_ns, wr_dependency_now(dependency));
}

const weir_context *weir_permit_context(const weir_permit *permit)
{
    weir_dependency *dependency;
    uint64_t deadline_ns;
    void *context;

    return permit_look(permit, &dependency, &deadline_ns, &context) ? context : NULL;
}

/* Sleep through the waits that the gates ask for. */
static enum wr_step admit_waiting(weir_dependency *dependency, const struct wr_ask *ask,
                                  struct wr_attempt *attempt)
{
    enum wr_step step = wr_attempt_ask(dependency, ask, attempt);

    while (step == WR_WAIT) {
        if (!wr_dependency_stops(dependency)) {
            (void)wr_clock_wait(&dependency->host->clock, wr_attempt_word(attempt), 0,
                                wr_attempt_wake_ns(attempt, wr_dependency_now(dependency)));
        }
        step = wr_attempt_resume(attempt, wr_dependency_now(dependency));
    }
    return step;
}

/* What is still needed after run: run may free or reuse the caller's structs, e.g. for a call of
 * its own. */
struct rest {
    weir_verdict (*classify)(int code);
    void (*argument_drop)(void *argument);
    int (*fallback)(weir_call *call, const void *argument, void *result);
    const void *argument;
    void *result;
    uint64_t within_ns;
    const weir_context *context; /* borrowed from the caller */
};

static void drop_argument(const struct rest *rest)
{
    if (rest->argument_drop != NULL && rest->argument != NULL) {
        void *value; /* handed over to us: from here on it is ours to end */

        memcpy(&value, &rest->argument, sizeof(value));
        rest->argument_drop(value);
    }
}

static void rest_init(struct rest *rest, const weir_command *command, const weir_request *request,
                      const weir_context *context)
{
    rest->classify = command->classify;
    rest->argument_drop = command->argument_drop;
    rest->fallback = command->fallback;
    rest->argument = request->argument;
    rest->result = request->result;
    rest->within_ns = request->within_ns;
    rest->context = context;
}

/* The current context is the call's: only scopes that run leaves open have to be closed. */
static int run_in_place(const weir_command *command, const weir_request *request,
                        const struct wr_isolator *isolator, weir_call *call)
{
    static const struct wr_crossing nothing;
    WR_RAW struct wr_crossed crossed;
    int code;

    crossed.current = wr_scope_current();
    crossed.depth = wr_scope_self.depth;
    code = isolator->run(call, command, request->argument, request->result);
    if (wr_scope_self.depth != crossed.depth) {
        wr_crossing_leave(&nothing, &crossed);
    }
    return code;
}

/* Run on this thread, in the call's context if that is another one than the thread's. */
static int run_here(const weir_command *command, const weir_request *request,
                    const struct rest *rest, const struct wr_isolator *isolator, weir_call *call)
{
    WR_RAW struct wr_crossing crossing;
    WR_RAW struct wr_crossed crossed;
    int code;

    if (request->context == NULL) {
        return run_in_place(command, request, isolator, call);
    }
    wr_crossing_borrow(&crossing, rest->context); /* no carriers: nothing hops */
    wr_crossing_enter(&crossing, &crossed);
    code = isolator->run(call, command, request->argument, request->result);
    wr_crossing_leave(&crossing, &crossed);
    return code;
}

static weir_status run_admitted(const weir_command *command, const weir_request *request,
                                const struct rest *rest, const struct wr_attempt *attempt,
                                weir_outcome *outcome)
{
    weir_dependency *const dependency = attempt->dependency;
    weir_call call = {.clock = &dependency->host->clock, .deadline_ns = attempt->deadline_ns};
    const int code = run_here(command, request, rest, dependency->isolator, &call);
    const uint64_t now_ns = wr_dependency_now(dependency);
    const weir_verdict verdict = wr_verdict_of(rest->classify, code);
    const weir_status kind = wr_judge(verdict, wr_deadline_over(attempt->deadline_ns, now_ns));

    wr_outcome_begin(outcome, attempt);
    outcome->kind = kind;
    outcome->code = code;
    outcome->attempts = 1;
    outcome->retry_after_ns = call.pushback_ns;
    outcome->latency_ns = wr_sat_sub(now_ns, attempt->began_ns);
    if (wr_attempt_settle(dependency, attempt->slot, kind, now_ns, NULL) == WR_SETTLED_LATE) {
        outcome->flags |= WEIR_FLAG_LATE_RESULT;
    }
    if (verdict != WEIR_V_OK) {
        return kind;
    }
    outcome->source = WEIR_BY_RUN;
    outcome->flags |= kind == WEIR_TIMED_OUT ? (uint32_t)WEIR_FLAG_LATE_VALUE : 0U;
    return WEIR_OK;
}

static weir_status refused(weir_outcome *outcome, const struct wr_attempt *attempt)
{
    wr_outcome_begin(outcome, attempt);
    if ((attempt->flags & WEIR_FLAG_WAITED) != 0) {
        outcome->latency_ns = wr_sat_sub(wr_dependency_now(attempt->dependency), attempt->began_ns);
    }
    return attempt->reason;
}

/* A call that stayed on this thread and has no value. An inline call that timed out has used its
 * caller's time already: it gets no fallback. */
static bool may_answer_instead(const struct rest *rest, weir_status status)
{
    return wr_may_fall_back(rest->fallback, status) && status != WEIR_TIMED_OUT;
}

__attribute__((noinline)) static weir_status answer_instead(const struct rest *rest,
                                                            const struct wr_attempt *attempt,
                                                            weir_status status,
                                                            weir_outcome *outcome)
{
    const weir_clock *const clock = &attempt->dependency->host->clock;
    struct wr_crossing crossing;

    wr_crossing_borrow(&crossing, rest->context);
    return wr_fall_back(
        &(struct wr_fallback){.answer = rest->fallback,
                              .argument = rest->argument,
                              .result = rest->result,
                              .crossing = &crossing,
                              .clock = clock,
                              .by_ns = wr_context_deadline(
                                  rest->context,
                                  wr_deadline(attempt->began_ns, UINT64_MAX, rest->within_ns),
                                  attempt->began_ns, clock->now == wr_system_now ? 1 : 0)},
        status, outcome);
}

weir_status weir_execute(weir_dependency *dependency, const weir_command *command,
                         const weir_request *request, weir_outcome *ret_outcome)
{
    WR_RAW weir_outcome outcome_room;
    weir_outcome *const outcome = ret_outcome != NULL ? ret_outcome : &outcome_room;
    WR_RAW struct wr_call_room room;
    WR_RAW struct wr_attempt attempt;
    WR_RAW struct wr_ask ask;
    WR_RAW struct rest rest;
    const weir_context *context;
    weir_status status = wr_call_view(&room, dependency, &command, &request);

    if (status == WEIR_OK && request->result == NULL && command->result_max > 0) {
        status = WEIR_E_ARGUMENT;
    }
    if (status != WEIR_OK) {
        return wr_usage(ret_outcome, status);
    }
    context = wr_request_context(request);
    rest_init(&rest, command, request, context);
    wr_ask_init(&ask, dependency, request, context);
    ask.may_wait = true;
    if (admit_waiting(dependency, &ask, &attempt) != WR_ADMITTED) {
        status = refused(outcome, &attempt);
    } else if (dependency->pool != NULL) {
        return wr_pooled_execute(&attempt, command, request, context, outcome);
    } else {
        status = run_admitted(command, request, &rest, &attempt, outcome);
    }
    if (may_answer_instead(&rest, status)) {
        status = answer_instead(&rest, &attempt, status, outcome);
    }
    drop_argument(&rest);
    return status;
}
