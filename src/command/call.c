/*
 * The public shapes: execute, begin and end. Everything that decides is in attempt.c; here are the
 * caller's structs, the waiting and the running.
 */
#include "base/options.h"
#include "command/attempt.h"
#include "command/state.h"
#include "policy/deadline.h"

#include <string.h>

/* Sizes of the first released versions. */
enum { COMMAND_MINIMUM = sizeof(weir_command), REQUEST_MINIMUM = sizeof(weir_request) };

/* A permit's bytes. */
struct permit {
    weir_dependency *dependency; /* NULL: ended */
    struct wr_slot_ref slot;
};
_Static_assert(sizeof(struct permit) <= sizeof(weir_permit), "a permit must fit its bytes");
_Static_assert(sizeof(weir_outcome) == 128, "an outcome has 128 bytes for ever");
_Static_assert(sizeof(weir_error) == 512, "an error has 512 bytes for ever");

static weir_status usage(weir_outcome *outcome, weir_status status)
{
    if (outcome != NULL) {
        *outcome = (weir_outcome){.kind = status};
    }
    return status;
}

static void fill_outcome(weir_outcome *outcome, const struct wr_attempt *attempt)
{
    *outcome = (weir_outcome){.kind = attempt->reason,
                              .flags = attempt->flags,
                              .retry_after_ns = attempt->retry_after_ns,
                              .generation = attempt->plan_generation};
}

static weir_status read_request(weir_request *request, const weir_request *given)
{
    if (given == NULL) {
        *request = (weir_request){.size = sizeof(*request)};
        return WEIR_OK;
    }
    return wr_options_copy(request, sizeof(*request), REQUEST_MINIMUM, given, "weir_request", NULL);
}

static struct wr_ask ask_of(const weir_dependency *dependency, const weir_request *request,
                            bool may_wait)
{
    return (struct wr_ask){.now_ns = wr_dependency_now(dependency),
                           .within_ns = request->within_ns,
                           .cost = request->cost != 0 ? request->cost : 1,
                           .may_wait = may_wait};
}

weir_status weir_begin(weir_dependency *dependency, const weir_request *request,
                       weir_permit *ret_permit, weir_outcome *ret_outcome)
{
    weir_request copy;
    struct wr_attempt attempt;
    struct wr_ask ask;
    weir_status status;

    if (ret_permit != NULL) {
        memset(ret_permit, 0, sizeof(*ret_permit));
    }
    if (dependency == NULL || ret_permit == NULL) {
        return usage(ret_outcome, WEIR_E_ARGUMENT);
    }
    status = read_request(&copy, request);
    if (status != WEIR_OK) {
        return usage(ret_outcome, status);
    }
    if (!dependency->isolator->begin_end) {
        return usage(ret_outcome, WEIR_E_SHAPE);
    }
    ask = ask_of(dependency, &copy, false);
    if (wr_attempt_ask(dependency, &ask, &attempt) == WR_ADMITTED) {
        const struct permit permit = {.dependency = dependency, .slot = attempt.slot};

        attempt.reason = WEIR_OK;
        memcpy(ret_permit, &permit, sizeof(permit));
    }
    if (ret_outcome != NULL) {
        fill_outcome(ret_outcome, &attempt);
    }
    return attempt.reason;
}

weir_status weir_end(weir_permit *permit, weir_verdict verdict, int code)
{
    const weir_status kind = wr_verdict_kind(verdict);
    struct permit bytes;

    (void)code; /* the application's own: travels with events and traces, decides nothing */
    if (permit == NULL || kind < 0) {
        return WEIR_E_ARGUMENT;
    }
    memcpy(&bytes, permit, sizeof(bytes));
    memset(permit, 0, sizeof(*permit));
    if (bytes.dependency == NULL) {
        return WEIR_E_STALE;
    }
    return wr_attempt_settle(bytes.dependency, bytes.slot, kind,
                             wr_dependency_now(bytes.dependency), NULL) == WR_SETTLED_STALE
               ? WEIR_E_STALE
               : WEIR_OK;
}

uint64_t weir_permit_left_ns(const weir_permit *permit)
{
    struct permit bytes;
    uint64_t deadline_ns;

    if (permit == NULL) {
        return 0;
    }
    memcpy(&bytes, permit, sizeof(bytes));
    if (bytes.dependency == NULL) {
        return 0;
    }
    if (bytes.slot.index == WR_SLOT_NONE) {
        return UINT64_MAX;
    }
    if (!wr_slots_deadline(&bytes.dependency->slots, bytes.slot.index, bytes.slot.generation,
                           &deadline_ns)) {
        return 0;
    }
    return wr_deadline_left(deadline_ns, wr_dependency_now(bytes.dependency));
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
                            attempt->wait_until_ns);
        step = wr_attempt_resume(attempt, wr_dependency_now(dependency));
    }
    return step;
}

static void drop_argument(const weir_command *command, const weir_request *request)
{
    if (command->argument_drop != NULL && request->argument != NULL) {
        void *value; /* handed over to us: from here on it is ours to end */

        memcpy(&value, &request->argument, sizeof(value));
        command->argument_drop(value);
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

static weir_verdict classify(const weir_command *command, int code)
{
    if (command->classify != NULL) {
        return command->classify(code);
    }
    return code == 0 ? WEIR_V_OK : WEIR_V_FAILED;
}

static weir_status run_admitted(const weir_command *command, const weir_request *request,
                                const struct wr_attempt *attempt, weir_outcome *outcome)
{
    weir_dependency *const dependency = attempt->dependency;
    weir_call call = {.clock = &dependency->host->clock, .deadline_ns = attempt->deadline_ns};
    const int code = dependency->isolator->run(&call, command, request->argument, request->result);
    const uint64_t now_ns = wr_dependency_now(dependency);
    const weir_verdict verdict = classify(command, code);
    const weir_status kind = judge(verdict, wr_deadline_over(attempt->deadline_ns, now_ns));

    fill_outcome(outcome, attempt);
    outcome->kind = kind;
    outcome->code = code;
    outcome->attempts = 1;
    outcome->retry_after_ns = call.pushback_ns;
    outcome->latency_ns = now_ns - attempt->began_ns;
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

weir_status weir_execute(weir_dependency *dependency, const weir_command *command,
                         const weir_request *request, weir_outcome *ret_outcome)
{
    weir_outcome outcome;
    weir_command command_copy;
    weir_request request_copy;
    struct wr_attempt attempt;
    struct wr_ask ask;
    weir_status status;

    if (dependency == NULL || command == NULL) {
        return usage(ret_outcome, WEIR_E_ARGUMENT);
    }
    status = wr_options_copy(&command_copy, sizeof(command_copy), COMMAND_MINIMUM, command,
                             "weir_command", NULL);
    if (status == WEIR_OK) {
        status = read_request(&request_copy, request);
    }
    if (status == WEIR_OK) {
        status = check_execute(dependency, &command_copy, &request_copy);
    }
    if (status != WEIR_OK) {
        return usage(ret_outcome, status);
    }
    ask = ask_of(dependency, &request_copy, true);
    if (admit_waiting(dependency, &ask, &attempt) == WR_ADMITTED) {
        status = run_admitted(&command_copy, &request_copy, &attempt, &outcome);
    } else {
        fill_outcome(&outcome, &attempt);
        if ((attempt.flags & WEIR_FLAG_WAITED) != 0) {
            outcome.latency_ns = wr_dependency_now(dependency) - attempt.began_ns;
        }
        status = attempt.reason;
    }
    drop_argument(&command_copy, &request_copy);
    if (ret_outcome != NULL) {
        *ret_outcome = outcome;
    }
    return status;
}
