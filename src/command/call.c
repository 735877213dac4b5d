/*
 * The public shapes: execute, begin and end. Everything that decides is in attempt.c; here are the
 * caller's structs, the waiting and the running.
 */
#include "base/options.h"
#include "base/raw.h"
#include "base/saturate.h"
#include "command/attempt.h"
#include "command/state.h"
#include "policy/deadline.h"

#include <string.h>

/* Sizes of the first released versions. */
enum { COMMAND_MINIMUM = sizeof(weir_command), REQUEST_MINIMUM = sizeof(weir_request) };

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

static weir_status usage(weir_outcome *outcome, weir_status status)
{
    if (outcome != NULL) {
        *outcome = (weir_outcome){.kind = status};
    }
    return status;
}

/* Member by member: clearing the 128 bytes at once is a microcoded loop, which costs 10 ns. */
static void fill_outcome(weir_outcome *outcome, const struct wr_attempt *attempt)
{
    outcome->kind = attempt->reason;
    outcome->source = WEIR_BY_NOBODY;
    outcome->code = 0;
    outcome->fallback_code = 0;
    outcome->signal = 0;
    outcome->attempts = 0;
    outcome->flags = attempt->flags;
    outcome->reserved32 = 0;
    outcome->latency_ns = 0;
    outcome->retry_after_ns = attempt->retry_after_ns;
    outcome->answer_age_ns = 0;
    outcome->generation = attempt->plan_generation;
    memset(outcome->trace_id, 0, sizeof(outcome->trace_id));
    for (size_t i = 0; i < sizeof(outcome->reserved) / sizeof(outcome->reserved[0]); ++i) {
        outcome->reserved[i] = 0;
    }
}

/* Read the caller's request in place; NULL stands for an empty one. */
static const weir_request *read_request(weir_request *room, const weir_request *given,
                                        weir_status *ret_status)
{
    static const weir_request empty = {.size = sizeof(empty)};

    return given == NULL ? &empty
                         : wr_options_view(room, sizeof(*room), REQUEST_MINIMUM, given,
                                           "weir_request", ret_status);
}

static void ask_init(struct wr_ask *ask, const weir_dependency *dependency,
                     const weir_request *request, bool may_wait)
{
    ask->now_ns = wr_dependency_now(dependency);
    ask->within_ns = request->within_ns;
    ask->cost = request->cost != 0 ? request->cost : 1;
    ask->key = 0;
    ask->priority = 0;
    ask->may_wait = may_wait;
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
        return usage(ret_outcome, WEIR_E_ARGUMENT);
    }
    read = read_request(&room, request, &status);
    if (read == NULL) {
        return usage(ret_outcome, status);
    }
    if (!dependency->isolator->begin_end) {
        return usage(ret_outcome, WEIR_E_SHAPE);
    }
    ask_init(&ask, dependency, read, false);
    if (wr_attempt_ask(dependency, &ask, &attempt) == WR_ADMITTED) {
        attempt.reason = WEIR_OK;
        permit_write(ret_permit, dependency, attempt.slot);
    }
    if (ret_outcome != NULL) {
        fill_outcome(ret_outcome, &attempt);
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

uint64_t weir_permit_left_ns(const weir_permit *permit)
{
    weir_dependency *dependency;
    struct wr_slot_ref slot;
    uint64_t deadline_ns;

    if (permit == NULL) {
        return 0;
    }
    dependency = permit_read(permit, &slot);
    if (dependency == NULL) {
        return 0;
    }
    if (slot.index == WR_SLOT_NONE) {
        return UINT64_MAX;
    }
    if (!wr_slots_deadline(&dependency->slots, slot.index, slot.generation, &deadline_ns)) {
        return 0;
    }
    return wr_deadline_left(deadline_ns, wr_dependency_now(dependency));
}

static weir_status check_execute(const weir_dependency *dependency, const weir_command *command,
                                 const weir_request *request)
{
    if (command->run == NULL || command->name == NULL ||
        (command->result_max > 0 && request->result == NULL) ||
        (request->argument == NULL && request->argument_size > 0)) {
        return WEIR_E_ARGUMENT;
    }
    if ((command->isolations & dependency->isolator->isolation) == 0) {
        return WEIR_E_SHAPE;
    }
    return request->argument_size > command->argument_max ? WEIR_E_TOO_LARGE : WEIR_OK;
}

/* Sleep through the waits that the gates ask for. */
static enum wr_step admit_waiting(weir_dependency *dependency, const struct wr_ask *ask,
                                  struct wr_attempt *attempt)
{
    enum wr_step step = wr_attempt_ask(dependency, ask, attempt);

    while (step == WR_WAIT) {
        (void)wr_clock_wait(&dependency->host->clock, &attempt->waiter.granted, 0,
                            wr_attempt_wake_ns(attempt, wr_dependency_now(dependency)));
        step = wr_attempt_resume(attempt, wr_dependency_now(dependency));
    }
    return step;
}

/* What is still needed after run: run may free or reuse the caller's structs, e.g. for a call of
 * its own. */
struct rest {
    weir_verdict (*classify)(int code);
    void (*argument_drop)(void *argument);
    const void *argument;
};

static void drop_argument(const struct rest *rest)
{
    if (rest->argument_drop != NULL && rest->argument != NULL) {
        void *value; /* handed over to us: from here on it is ours to end */

        memcpy(&value, &rest->argument, sizeof(value));
        rest->argument_drop(value);
    }
}

/* What happened, from what run said and when. Ignored and cancelled stay what they are even when
 * they came late: they say nothing of the dependency. */
static weir_status judge(weir_verdict verdict, bool late)
{
    const weir_status kind = wr_verdict_kind(verdict);

    if (kind == WEIR_IGNORED || kind == WEIR_CANCELLED) {
        return kind;
    }
    if (late) {
        return WEIR_TIMED_OUT;
    }
    return kind < 0 ? WEIR_FAILED : kind;
}

static weir_verdict classify(const struct rest *rest, int code)
{
    if (rest->classify != NULL) {
        return rest->classify(code);
    }
    return code == 0 ? WEIR_V_OK : WEIR_V_FAILED;
}

static weir_status run_admitted(const weir_command *command, const weir_request *request,
                                const struct rest *rest, const struct wr_attempt *attempt,
                                weir_outcome *outcome)
{
    weir_dependency *const dependency = attempt->dependency;
    weir_call call = {.clock = &dependency->host->clock, .deadline_ns = attempt->deadline_ns};
    const int code = dependency->isolator->run(&call, command, request->argument, request->result);
    const uint64_t now_ns = wr_dependency_now(dependency);
    const weir_verdict verdict = classify(rest, code);
    const weir_status kind = judge(verdict, wr_deadline_over(attempt->deadline_ns, now_ns));

    fill_outcome(outcome, attempt);
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
    fill_outcome(outcome, attempt);
    if ((attempt->flags & WEIR_FLAG_WAITED) != 0) {
        outcome->latency_ns = wr_sat_sub(wr_dependency_now(attempt->dependency), attempt->began_ns);
    }
    return attempt->reason;
}

weir_status weir_execute(weir_dependency *dependency, const weir_command *command,
                         const weir_request *request, weir_outcome *ret_outcome)
{
    WR_RAW weir_outcome outcome_room;
    weir_outcome *const outcome = ret_outcome != NULL ? ret_outcome : &outcome_room;
    WR_RAW weir_command command_room;
    WR_RAW weir_request request_room;
    WR_RAW struct wr_attempt attempt;
    WR_RAW struct wr_ask ask;
    WR_RAW struct rest rest;
    weir_status status = WEIR_E_ARGUMENT;

    if (dependency == NULL || command == NULL) {
        return usage(ret_outcome, status);
    }
    command = wr_options_view(&command_room, sizeof(command_room), COMMAND_MINIMUM, command,
                              "weir_command", &status);
    request = command != NULL ? read_request(&request_room, request, &status) : NULL;
    if (command == NULL || request == NULL) {
        return usage(ret_outcome, status);
    }
    status = check_execute(dependency, command, request);
    if (status != WEIR_OK) {
        return usage(ret_outcome, status);
    }
    rest.classify = command->classify;
    rest.argument_drop = command->argument_drop;
    rest.argument = request->argument;
    ask_init(&ask, dependency, request, true);
    if (admit_waiting(dependency, &ask, &attempt) == WR_ADMITTED) {
        status = run_admitted(command, request, &rest, &attempt, outcome);
    } else {
        status = refused(outcome, &attempt);
    }
    drop_argument(&rest);
    return status;
}
